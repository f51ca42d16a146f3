//! A mock of systemd on a bus of its own: prints the address of the bus, then serves until it is told to end.

use std::io;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use reactor_sim::systemd_bus::harness::{self, Options};
use reactor_sim::systemd_bus::processes;

/// A mock of systemd (org.freedesktop.systemd1) on a bus of its own.
#[derive(Debug, Parser)]
struct Args {
    /// Folder for the socket of the bus and for the logs of the units
    #[arg(long, value_name = "DIR", required_unless_present = "guard")]
    folder: Option<PathBuf>,
    /// Folder of unit files and drop-ins; of several, the first that has a file wins
    #[arg(long, value_name = "DIR")]
    units: Vec<PathBuf>,
    /// End when stdin is closed
    #[arg(long)]
    until_stdin_closes: bool,
    /// Be the process that ends what a mock left behind
    #[arg(long, hide = true)]
    guard: bool,
}

#[expect(clippy::print_stdout, reason = "the address is what this program says")]
fn main() -> Result<()> {
    let args = Args::parse();
    if args.guard {
        processes::guard(io::stdin().lock());
        return Ok(());
    }
    let folder = args.folder.context("--folder is missing")?;
    // A relative folder would be another one for a process that runs elsewhere.
    let folder = std::path::absolute(folder)?;
    let options = Options { folder, units: args.units, until_stdin_closes: args.until_stdin_closes };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(harness::run(&options, |address| println!("{address}")))
}
