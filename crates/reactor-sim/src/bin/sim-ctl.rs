//! Faults of the simulated cluster by hand. It is never installed. See `reactor_sim::lookalike`.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use reactor_sim::lookalike::protocol::{Reply, Request};
use reactor_sim::lookalike::{Client, Identity, control, program};

fn main() -> ExitCode {
    program::exit("sim-ctl", control())
}

fn control() -> Result<u8> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.is_empty() || args.iter().any(|arg| arg == "--help" || arg == "-h") {
        write!(std::io::stdout(), "sim-ctl: faults for the simulated cluster\n{}", control::USAGE)?;
        return Ok(u8::from(args.is_empty()));
    }
    match Client::connect(&Identity::find()?.socket)?.ask(&Request::Control { args })? {
        Reply::Done { code, stdout, stderr } => program::print(code, &stdout, &stderr),
        other => anyhow::bail!("the simulator answers {other:?}"),
    }
}
