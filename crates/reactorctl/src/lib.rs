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
pub mod compat;
pub mod completion;
mod config;
mod daemon;
mod drbd;
mod editor;
pub mod exit;
pub mod expression;
mod fold;
mod interrupts;
mod io;
mod live;
mod nodes;
mod parts;
mod problems;
mod program;
mod progress;
pub mod prpt;
mod snippets;
mod steps;
mod style;
mod sync;
mod system;
mod systemctl;
#[cfg(test)]
mod testing;
mod text;
mod watching;

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use cli::Cli;
use commands::{Command, Run as _, check_plugin};
use compat::{OldCli, Reach};
use exit::{Exit, Failure};
use fold::Folded;
use io::Io;
use nodes::context::{self, Whose};

/// Runs the program and says how it went.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let called = args.first().and_then(|called| Path::new(called).file_name()?.to_str());
    let asks = std::env::var_os(completion::VARIABLE).is_some_and(|shell| !shell.is_empty());
    if asks && called != Some(OLD_NAME) && completion::answer(&args) {
        return Exit::Ok.into();
    }
    let mut out = anstream::stdout().lock();
    let result = if called == Some(OLD_NAME) {
        let cli = match parse::<OldCli>(&args, &mut out) {
            Ok(cli) => cli,
            Err(exit) => return exit.into(),
        };
        run_old(&cli, &args, &mut out)
    } else {
        let cli = match parse::<Cli>(&args, &mut out) {
            Ok(cli) => cli,
            Err(exit) => return exit.into(),
        };
        let is_for_people = cli.command.as_ref().is_none_or(Command::is_for_people);
        let json = args.iter().any(|arg| arg == "--json");
        if is_for_people && !json && std::io::stdout().is_terminal() {
            let mut folded = Folded::new(&mut out, progress::width());
            let result = run_own(cli, &mut folded);
            folded.flush().map_err(Failure::from).and(result)
        } else {
            run_own(cli, &mut out)
        }
    };
    let result = result.and_then(|exit| {
        out.flush()?;
        Ok(exit)
    });
    match result {
        Ok(exit) => exit.into(),
        // `reactorctl ... | head`: whoever reads has enough.
        Err(Failure::Output { source }) if source.kind() == std::io::ErrorKind::BrokenPipe => Exit::Ok.into(),
        Err(failure) => {
            let name = if called == Some(OLD_NAME) { OLD_NAME } else { "reactorctl" };
            let mut text = format!("{}{name}:{} {}\n", style::BAD, style::END, failure.chain());
            if let Some(hint) = failure.hint() {
                text.push_str(&format!("  {hint}\n"));
            }
            if std::io::stderr().is_terminal() && called != Some(OLD_NAME) {
                text = fold::fold(&text, progress::width());
            }
            let _ = write!(anstream::stderr(), "{text}");
            failure.exit().into()
        }
    }
}

/// What LINBIT's program is called.
const OLD_NAME: &str = "drbd-reactorctl";

/// The arguments, or the exit code of a program that has said what is wrong with them, or has helped.
fn parse<C: CommandFactory + FromArgMatches>(args: &[OsString], out: &mut dyn std::io::Write) -> Result<C, Exit> {
    C::command().try_get_matches_from(args).and_then(|matches| C::from_arg_matches(&matches)).map_err(|error| {
        if error.use_stderr() && check_plugin::is_meant(args) {
            return check_plugin::refuse(&error, out);
        }
        // If even that cannot be printed there is nobody left to tell.
        let _ = error.print();
        if error.use_stderr() { Exit::Usage } else { Exit::Ok }
    })
}

/// Called by our name.
fn run_own(cli: Cli, out: &mut dyn std::io::Write) -> Result<Exit, Failure> {
    let mut place = cli.place();
    let command = cli.command.unwrap_or_default();
    if let Some(node) = cli.node.filter(|_| !command.names_a_node()) {
        if !command.asks_one_daemon() {
            return Err(Failure::NotForANode);
        }
        match context::nodes(Whose::Ours, &cli.context, &[node]) {
            Ok(mut nodes) => place.node = nodes.pop(),
            Err(error) => return command.failed(error.into(), out),
        }
    }
    let name = place.node.as_ref().map(|node| node.name.clone());
    command.run(&place, out).map_err(|failure| match name {
        Some(node) => failure.of_node(&node),
        None => failure.with_nodes(|| {
            let nodes = context::nodes(Whose::Ours, &cli.context, &[]).unwrap_or_default();
            nodes.into_iter().map(|node| node.name).collect()
        }),
    })
}

/// Called by the old name.
fn run_old(cli: &OldCli, args: &[OsString], out: &mut dyn std::io::Write) -> Result<Exit, Failure> {
    let mut err = anstream::stderr();
    let mut io = Io { out, err: &mut err, is_terminal: std::io::stdout().is_terminal() };
    let command = cli.command.clone().unwrap_or_default();
    // Who names a socket means the daemon behind it.
    if !cli.local && cli.socket.is_none() && command.act().reach() == Reach::AllNodes {
        let nodes = context::nodes(Whose::Theirs, &cli.context, &cli.nodes)?;
        if !nodes.is_empty() {
            return nodes::run(cli, args, &nodes, &mut io);
        }
    }
    command.act().act(&cli.place(), &mut io)
}
