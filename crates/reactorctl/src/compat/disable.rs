//! `disable`: a snippet does not count any more, and with `--now` what it ran is stopped.

use std::path::PathBuf;

use clap::Args;
use reactor_core::plugin::promoter::units;
use reactor_core::settings::promoter::Runner;

use super::Act;
use crate::cli::Place;
use crate::exit::{Exit, Failure};
use crate::io::Io;
use crate::snippets::apply::{Applied, apply};
use crate::snippets::{Snippet, Snippets, Wanted, content, folder};
use crate::systemctl::Systemctl;

/// Disable snippets, and wait until the daemon has let them go
#[derive(Clone, Debug, Args)]
pub struct DisableArgs {
    /// Then also stop what promoters run; DRBD is demoted, and another node may start it (see evict)
    #[arg(long)]
    pub now: bool,

    /// Only these snippets; otherwise all that are enabled
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

impl Act for DisableArgs {
    fn act(&self, place: &Place, io: &mut Io<'_>) -> Result<Exit, Failure> {
        let snippets = Snippets::of(place)?;
        let (selected, mut exit) = snippets.select_and_tell(&self.files, Wanted::Enabled, io)?;
        let (mut changed, mut targets) = (Vec::new(), Vec::new());
        for snippet in selected {
            io.say(&format!("Disabling '{}'...", snippet.path.display()))?;
            let of_it = if self.now { targets_of(&snippets, &snippet, io)? } else { Vec::new() };
            match folder::switch(&snippets, &snippet) {
                Ok(disabled) => {
                    changed.push(disabled);
                    targets.extend(of_it);
                }
                Err(error) => {
                    exit = exit.or(error.exit());
                    io.fail(&error.into())?;
                }
            }
        }
        if changed.is_empty() {
            return Ok(exit);
        }
        let applied = apply(place, &snippets, &changed, io)?;
        let stopped = if self.now { stop_after(applied, &snippets, &targets, io)? } else { Exit::Ok };
        // Without a daemon nothing starts them again, and that was what --now is for.
        let applied = if self.now && applied == Applied::NoDaemon { Exit::Ok } else { applied.exit() };
        Ok(exit.or(applied).or(stopped))
    }
}

/// The targets of what a snippet promotes.
pub(super) fn targets_of(snippets: &Snippets, snippet: &Snippet, io: &mut Io<'_>) -> Result<Vec<String>, Failure> {
    let plugins = content::read(snippet, snippets.mode).plugins;
    let mut targets = Vec::new();
    for (name, resource) in content::promoted(&plugins) {
        match resource.runner {
            Runner::Systemd => targets.push(units::target(name).to_string()),
            Runner::Shell => io.warn(&format!("{name} is run by a shell and has no target: it is not stopped"))?,
        }
    }
    Ok(targets)
}

/// Stops targets once a change of the snippets has taken effect: before, the daemon would start them again.
pub(super) fn stop_after(
    applied: Applied,
    snippets: &Snippets,
    targets: &[String],
    io: &mut Io<'_>,
) -> Result<Exit, Failure> {
    match applied {
        Applied::NotTaken(_) => {
            io.warn("nothing is stopped: the daemon would start it again")?;
            return Ok(Exit::Ok);
        }
        Applied::Told => {
            io.warn("the daemon may not have read its files yet: if it starts something again, stop it once more")?;
        }
        Applied::Taken | Applied::NoDaemon => {}
    }
    stop(Systemctl::of(&snippets.daemon), targets, io)
}

/// Stops targets, waits, and looks whether they have stopped.
pub(super) fn stop(systemctl: Systemctl, targets: &[String], io: &mut Io<'_>) -> Result<Exit, Failure> {
    let mut exit = Exit::Ok;
    for target in targets {
        io.say(&format!("Stopping '{target}'..."))?;
        let stopped = systemctl.run(&["stop", target]).and_then(|()| systemctl.state(target));
        let failure = match stopped {
            Ok(state) if matches!(state.active.as_str(), "inactive" | "failed") => continue,
            Ok(state) => {
                Failure::Program { what: target.clone(), why: format!("it is {} after its stop", state.active) }
            }
            Err(error) => error.into(),
        };
        exit = exit.or(failure.exit());
        io.fail(&failure)?;
    }
    Ok(exit)
}
