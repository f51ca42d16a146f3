//! `restart`: the daemon, or what single snippets configure.

use std::path::PathBuf;

use clap::Args;

use super::Act;
use super::disable::{stop, stop_after, targets_of};
use crate::cli::Place;
use crate::exit::{Exit, Failure};
use crate::interrupts::Interrupts;
use crate::io::Io;
use crate::snippets::apply::{Applied, apply};
use crate::snippets::{Snippet, Snippets, Wanted, folder};
use crate::systemctl::{self, Systemctl};

/// Restart the daemon, or the plugins of snippets
#[derive(Clone, Debug, Args)]
pub struct RestartArgs {
    /// Also stop what promoters run; DRBD is demoted, and another node may start it
    #[arg(long)]
    pub with_targets: bool,

    /// Only the plugins of these snippets
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

impl Act for RestartArgs {
    fn act(&self, place: &Place, io: &mut Io<'_>) -> Result<Exit, Failure> {
        let snippets = Snippets::of(place)?;
        let (selected, exit) = snippets.select_and_tell(&self.files, Wanted::Enabled, io)?;
        let mut targets = Vec::new();
        if self.with_targets {
            for snippet in &selected {
                targets.extend(targets_of(&snippets, snippet, io)?);
            }
        }
        if self.files.is_empty() {
            return Ok(exit.or(restart_daemon(place, &snippets, &targets, io)?));
        }
        if selected.is_empty() {
            return Ok(exit);
        }
        Ok(exit.or(restart_plugins(place, &snippets, selected, &targets, io)?))
    }
}

fn restart_daemon(place: &Place, snippets: &Snippets, targets: &[String], io: &mut Io<'_>) -> Result<Exit, Failure> {
    let (systemctl, unit) = (Systemctl::of(&snippets.daemon), systemctl::daemon_unit(place.mode));
    io.say(&format!("Restarting '{unit}'..."))?;
    if targets.is_empty() {
        systemctl.run(&["restart", unit])?;
        return Ok(Exit::Ok);
    }
    // While it runs it would start them again.
    let _noted = Interrupts::noted()?;
    systemctl.run(&["stop", unit])?;
    let stopped = stop(systemctl, targets, io);
    systemctl.run(&["start", unit])?;
    stopped
}

/// Off and on again, each waited for: two reloads in a row could be one to the daemon, and nothing would have been restarted.
fn restart_plugins(
    place: &Place,
    snippets: &Snippets,
    selected: Vec<Snippet>,
    targets: &[String],
    io: &mut Io<'_>,
) -> Result<Exit, Failure> {
    let _noted = Interrupts::noted()?;
    let (mut exit, mut off) = (Exit::Ok, Vec::new());
    for snippet in selected {
        io.say(&format!("Restarting '{}'...", snippet.path.display()))?;
        match folder::switch(snippets, &snippet) {
            Ok(disabled) => off.push(disabled),
            Err(error) => {
                exit = exit.or(error.exit());
                io.fail(&error.into())?;
            }
        }
    }
    // Whatever happens from here on, they are switched on again.
    let applied = apply(place, snippets, &off, io);
    let stopped = match &applied {
        Ok(applied) => stop_after(*applied, snippets, targets, io),
        Err(_) => Ok(Exit::Ok),
    };
    let mut on = Vec::new();
    for snippet in &off {
        match folder::switch(snippets, snippet) {
            Ok(enabled) => on.push(enabled),
            Err(error) => {
                exit = exit.or(error.exit());
                io.fail(&error.into())?;
            }
        }
    }
    let applied = applied?;
    exit = exit.or(stopped?);
    Ok(match applied {
        Applied::Taken | Applied::Told => exit.or(apply(place, snippets, &on, io)?.exit()),
        Applied::NoDaemon | Applied::NotTaken(_) => exit.or(applied.exit()),
    })
}
