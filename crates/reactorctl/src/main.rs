//! `reactorctl`: see the library for everything.

use std::process::ExitCode;

fn main() -> ExitCode {
    reactorctl::run(std::env::args_os())
}
