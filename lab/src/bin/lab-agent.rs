//! The program inside a node that runs commands for the host: `lab-agent [LINE]`, by default /dev/ttyS0.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let first = std::env::args_os().nth(1);
    if first.as_deref().is_some_and(|first| first == "--version") {
        let version = format!("lab-agent {} protocol {}\n", env!("CARGO_PKG_VERSION"), lab::agent::wire::VERSION);
        return ExitCode::from(u8::from(std::io::stdout().write_all(version.as_bytes()).is_err()));
    }
    let line = first.map_or_else(|| PathBuf::from("/dev/ttyS0"), PathBuf::from);
    match lab::agent::guest::serve_terminal(&line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let what = format!("lab-agent: {}: {error}\n", line.display());
            // Nobody to tell it to if even this is closed.
            let _closed = std::io::stderr().write_all(what.as_bytes());
            ExitCode::FAILURE
        }
    }
}
