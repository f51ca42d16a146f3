//! A small service for the simulated cluster: counts on a replicated device. It is never installed. See `reactor_sim::lookalike`.

use std::process::ExitCode;

fn main() -> ExitCode {
    reactor_sim::lookalike::counting::main()
}
