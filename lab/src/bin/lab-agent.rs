//! The program inside a node that runs commands for the host: `lab-agent [LINE]`, by default /dev/ttyS0.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let line = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("/dev/ttyS0"), PathBuf::from);
    match lab::agent::guest::serve_terminal(&line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let what = format!("lab-agent: {}: {error}\n", line.display());
            // Nobody to tell it to if even this is closed.
            let _closed = std::io::Write::write_all(&mut std::io::stderr(), what.as_bytes());
            ExitCode::FAILURE
        }
    }
}
