//! A look-alike of `drbdsetup` for the simulated cluster. It is never installed. See `reactor_sim::lookalike`.

use std::process::ExitCode;

use reactor_sim::lookalike::program;
use reactor_sim::lookalike::protocol::Program;

fn main() -> ExitCode {
    program::run(Program::Drbdsetup)
}
