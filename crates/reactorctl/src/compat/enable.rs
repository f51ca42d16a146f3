//! `enable`: what was disabled counts again.

use std::path::PathBuf;

use clap::Args;

use super::Act;
use crate::cli::Place;
use crate::exit::{Exit, Failure};
use crate::io::Io;
use crate::snippets::{Snippets, Wanted, apply, folder};

/// Enable snippets, and wait until the daemon runs them
#[derive(Clone, Debug, Args)]
pub struct EnableArgs {
    /// Only these snippets; otherwise all that are disabled
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

impl Act for EnableArgs {
    fn act(&self, place: &Place, io: &mut Io<'_>) -> Result<Exit, Failure> {
        let snippets = Snippets::of(place)?;
        let (selected, mut exit) = snippets.select_and_tell(&self.files, Wanted::Disabled, io)?;
        let mut changed = Vec::new();
        for snippet in selected {
            io.say(&format!("Enabling '{}'...", snippet.path.display()))?;
            match folder::switch(&snippets, &snippet) {
                Ok(enabled) => changed.push(enabled),
                Err(error) => {
                    exit = exit.or(error.exit());
                    io.fail(&error.into())?;
                }
            }
        }
        if changed.is_empty() {
            return Ok(exit);
        }
        Ok(exit.or(apply::apply(place, &snippets, &changed, io)?.exit()))
    }
}
