//! `prpt`: see `reactorctl::prpt` for everything.

use std::process::ExitCode;

fn main() -> ExitCode {
    reactorctl::prpt::run(std::env::args_os())
}
