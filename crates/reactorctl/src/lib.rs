//! The command line of Storage Reactor.
//!
//! ```text
//! arguments ─▶ cli ─▶ commands ─▶ control socket, files ─▶ text or JSON ─▶ exit code
//! ```
//!
//! Everything that prints is a function from data to a writer, so that the whole output is tested without a terminal.
//! A library beside the program, because the manual pages are generated from [`cli::Cli`].

pub mod cli;
mod commands;
mod config;
mod daemon;
pub mod exit;
mod problems;
mod style;
mod system;
#[cfg(test)]
mod testing;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use cli::{Cli, Place};
use commands::Run as _;
use exit::{Exit, Failure};

/// Runs the program and says how it went.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let called = args.first().and_then(|called| Path::new(called).file_name()?.to_str());
    let name = if called == Some("drbd-reactorctl") { "drbd-reactorctl" } else { "reactorctl" };
    let parsed = Cli::command().name(name).try_get_matches_from(&args);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // If even that cannot be printed there is nobody left to tell.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() };
        }
    };
    let place = Place::new(&cli, args.first());
    let mut out = anstream::stdout().lock();
    let result = cli.command.unwrap_or_default().run(&place, &mut out).and_then(|exit| {
        out.flush()?;
        Ok(exit)
    });
    match result {
        Ok(exit) => exit.into(),
        // `reactorctl ... | head`: whoever reads has enough.
        Err(Failure::Output { source }) if source.kind() == io::ErrorKind::BrokenPipe => Exit::Ok.into(),
        Err(failure) => {
            let _ = writeln!(anstream::stderr(), "{}reactorctl:{} {}", style::BAD, style::END, failure.chain());
            if let Some(hint) = failure.hint() {
                let _ = writeln!(anstream::stderr(), "  {hint}");
            }
            failure.exit().into()
        }
    }
}
