//! `reactorctl status`: problems first, then every resource as a tree, then the daemon's own parts.

mod all;

use std::io::Write;

use anstyle::Style;
use clap::Args;
use reactor_api::client::ClientError;
use reactor_api::status::{ConfigurationStatus, OtherSourceStatus, PluginState, PluginStatus, SourceState};
use reactor_api::{Status, verbs};
use serde_json::Value;

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::live::Live;
use crate::parts::cluster::all_are_known;
use crate::parts::which::Which;
use crate::parts::{promoted, tree};
use crate::problems::{Problem, problems};
use crate::style::{BAD, DIM, END, GOOD, NAME, WARN, count, make_harmless};
use crate::text::{between, duration};
use crate::watching::{News, Then, Watching, Whom};

/// Show what the daemon knows: problems first, then every resource and plugin
#[derive(Clone, Debug, Default, Args)]
pub struct StatusArgs {
    /// Which resources
    #[command(flatten)]
    pub which: Which,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// All nodes of the context: where each resource runs, and how it is there
    #[arg(short, long)]
    pub all: bool,

    /// Go on, and show it again whenever it has changed
    #[arg(short, long)]
    pub watch: bool,
}

impl Run for StatusArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        if self.all {
            return if self.watch { all::watch(self, place, out) } else { all::run(self, place, out) };
        }
        if self.watch {
            return self.follow(place, out);
        }
        let mut answer = match daemon::ask_as_it_comes(place, &self.which.request()) {
            // A daemon of an older version only knows the whole.
            Err(Failure::Client(ClientError::Refused { name, .. })) if name.ends_with(".InvalidParameter") => {
                daemon::ask_as_it_comes(place, &verbs::Status::default())?
            }
            answer => answer?,
        };
        let status = answer.get_mut("status").map(Value::take).unwrap_or_default();
        let known = all_are_known(&self.which.names(), &[&status]);
        print(status, self, out)?;
        known.map(|()| Exit::Ok)
    }

    fn asks_one_daemon(&self) -> bool {
        !self.all
    }
}

impl StatusArgs {
    /// Until the daemon stops.
    fn follow(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let whom = vec![Whom::Here(Box::new(place.clone()))];
        let watching = Watching::start(whom, &self.which.names(), Then::End);
        let mut live = Live::begin();
        while let Some((_, news)) = watching.next(None) {
            let picture = match news {
                News::Picture(picture) => picture,
                News::Ended(failure) => return Err(failure),
            };
            if self.json {
                // One document each line.
                writeln!(out, "{picture}")?;
                out.flush()?;
                continue;
            }
            let mut text = Vec::new();
            print(picture, self, &mut text)?;
            live.draw(&String::from_utf8_lossy(&text), out)?;
        }
        Err(Failure::Stopped)
    }
}

/// Prints what the daemon answered. JSON goes through as it came: also what a newer daemon says and we do not know.
fn print(mut status: Value, args: &StatusArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let names = args.which.names();
    if !names.is_empty()
        && let Some(resources) = status.get_mut("resources").and_then(Value::as_array_mut)
    {
        let wanted = |name: &str| names.iter().any(|wanted| wanted == name);
        resources.retain(|resource| resource.get("name").and_then(Value::as_str).is_some_and(wanted));
        if let Some(promoted) = status.get_mut("promoted").and_then(Value::as_array_mut) {
            promoted.retain(|resource| resource.get("resource").and_then(Value::as_str).is_some_and(wanted));
        }
    }
    if args.json {
        let text = serde_json::to_string_pretty(&status).map_err(|source| Failure::Answer { source })?;
        writeln!(out, "{text}")?;
        return Ok(());
    }
    make_harmless(&mut status);
    let status: Status = serde_json::from_value(status).map_err(|source| Failure::Answer { source })?;
    render(&status, out)?;
    Ok(())
}

fn render(status: &Status, out: &mut dyn Write) -> std::io::Result<()> {
    head(status, out)?;
    for problem in problems(status) {
        print_problem(&problem, out)?;
    }
    writeln!(out)?;
    if status.resources.is_empty() {
        writeln!(out, "  {DIM}no resources{END}")?;
    }
    for resource in &status.resources {
        tree::resource(resource, out)?;
    }
    if !status.promoted.is_empty() {
        writeln!(out, "\n  services")?;
    }
    for promoted in &status.promoted {
        promoted::tree(promoted, &status.now, out)?;
    }
    writeln!(out)?;
    source(status, out)?;
    for source in &status.other_sources {
        other_source(source, out)?;
    }
    systemd(status, out)?;
    configuration(&status.configuration, out)?;
    for plugin in &status.plugins {
        print_plugin(plugin, out)?;
    }
    Ok(())
}

fn head(status: &Status, out: &mut dyn Write) -> std::io::Result<()> {
    let mode = if status.mode == "drbd-reactor" { ", compatible to drbd-reactor" } else { "" };
    let mut up = match between(&status.started, &status.now) {
        Some(up) => format!("running for {}", duration(up)),
        None => format!("running since {}", status.started),
    };
    if status.stopping {
        up.push_str(", stopping: it waits for its services to stop");
    }
    writeln!(
        out,
        "{NAME}{}{END}: Storage Reactor {} (pid {}{mode}), {up}, {}",
        status.node,
        status.version,
        status.pid,
        count(status.resources.len() as u64, "resource"),
    )
}

fn print_problem(problem: &Problem, out: &mut dyn Write) -> std::io::Result<()> {
    let (mark, style) = problem.severity.mark();
    writeln!(out, "{style}{mark}{END} {NAME}{}{END}: {style}{}{END}", problem.place, problem.what)?;
    for hint in &problem.hints {
        writeln!(out, "      {hint}")?;
    }
    Ok(())
}

fn source(status: &Status, out: &mut dyn Write) -> std::io::Result<()> {
    let source = &status.source;
    let (word, style) = state(source.state);
    write!(out, "  source         {style}{word}{END}")?;
    if let Some(command) = &source.command {
        write!(out, "  {command}")?;
    }
    for (what, version) in [("DRBD", &source.kernel_version), ("drbd-utils", &source.utils_version)] {
        if let Some(version) = version {
            write!(out, ", {what} {version}")?;
        }
    }
    let (lines, changes) = (count(status.counters.lines, "line"), count(status.counters.changes, "change"));
    writeln!(out, "  {DIM}{lines}, {changes}{END}")
}

fn state(state: SourceState) -> (&'static str, Style) {
    match state {
        SourceState::Up => ("up", GOOD),
        SourceState::Ended => ("ended", DIM),
        SourceState::Down => ("down", BAD),
        SourceState::Starting => ("starting", WARN),
        SourceState::Unknown => ("unknown", WARN),
    }
}

fn other_source(source: &OtherSourceStatus, out: &mut dyn Write) -> std::io::Result<()> {
    let (word, style) = state(source.state);
    write!(out, "  {:<13}  {style}{word}{END}  {}", source.name, count(source.records, "record"))?;
    // What never happened is no news; --json has all of it.
    for (number, what) in [(source.overruns, "overrun"), (source.lost, "lost record")] {
        if number > 0 {
            write!(out, ", {}", count(number, what))?;
        }
    }
    if source.not_understood > 0 {
        write!(out, ", {} not understood", source.not_understood)?;
    }
    if let Some(command) = &source.command {
        write!(out, "  {DIM}{command}{END}")?;
    }
    writeln!(out)
}

fn systemd(status: &Status, out: &mut dyn Write) -> std::io::Result<()> {
    let Some(systemd) = &status.systemd else { return Ok(()) };
    let (word, style) = if systemd.up { ("up", GOOD) } else { ("down", BAD) };
    writeln!(out, "  systemd        {style}{word}{END}  {}", count(systemd.units, "unit"))
}

fn configuration(configuration: &ConfigurationStatus, out: &mut dyn Write) -> std::io::Result<()> {
    let Some(main) = configuration.files.first() else { return Ok(()) };
    write!(out, "  configuration  {}", main.path)?;
    if configuration.files.len() > 1 {
        write!(out, " and {}", count(configuration.files.len() as u64 - 1, "snippet"))?;
    }
    match &configuration.last_reload {
        Some(time) => writeln!(out, "  {DIM}read {time}{END}"),
        None => writeln!(out),
    }
}

fn print_plugin(plugin: &PluginStatus, out: &mut dyn Write) -> std::io::Result<()> {
    let (word, style) = match plugin.state {
        PluginState::Running => ("running", GOOD),
        PluginState::Stopped => ("stopped", BAD),
        PluginState::Unknown => ("unknown", WARN),
    };
    write!(out, "  {:<13}  {style}{word}{END}  {}:{}", plugin.kind, plugin.file, plugin.line)?;
    // What never happened is no news; --json has all of it.
    for (name, value) in plugin.details.iter().filter(|(_, value)| *value != "0") {
        write!(out, ", {name} {value}")?;
    }
    writeln!(out)
}

#[cfg(test)]
mod tests;
