//! The program inside a node that runs commands for the host: `lab-agent [LINE]`, by default /dev/ttyS0.
//! `lab-agent write FILE ACKS` is the service of `lab chaos` and `lab failover`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if let [write, file, acks] = arguments.as_slice()
        && write == "write"
    {
        let node = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let error = match lab::chaos::writer::write(file.as_ref(), acks.as_ref(), node.trim()) {
            Err(error) => error,
            Ok(never) => match never {},
        };
        return failed(file.as_ref(), &error);
    }
    let first = arguments.into_iter().next();
    if first.as_deref().is_some_and(|first| first == "--version") {
        let version = format!("lab-agent {} protocol {}\n", env!("CARGO_PKG_VERSION"), lab::agent::wire::VERSION);
        return ExitCode::from(u8::from(std::io::stdout().write_all(version.as_bytes()).is_err()));
    }
    let line = first.map_or_else(|| PathBuf::from("/dev/ttyS0"), PathBuf::from);
    match lab::agent::guest::serve_terminal(&line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&line, &error),
    }
}

fn failed(what: &Path, error: &dyn std::error::Error) -> ExitCode {
    let what = format!("lab-agent: {}: {error}\n", what.display());
    // Nobody to tell it to if even this is closed.
    let _closed = std::io::stderr().write_all(what.as_bytes());
    ExitCode::FAILURE
}
