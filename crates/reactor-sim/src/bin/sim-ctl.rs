//! Faults of the simulated cluster by hand. It is never installed. See `reactor_sim::lookalike`.

use std::process::ExitCode;

fn main() -> ExitCode {
    reactor_sim::lookalike::program::control()
}
