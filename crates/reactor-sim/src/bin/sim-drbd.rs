//! The simulated DRBD cluster as a process, for tests and the demo. It is never installed. See `reactor_sim::lookalike`.

use std::process::ExitCode;

fn main() -> ExitCode {
    reactor_sim::lookalike::simulator::main()
}
