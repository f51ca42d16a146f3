//! `rm`: a snippet is deleted, after a question.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::Act;
use crate::cli::Place;
use crate::exit::{Exit, Failure};
use crate::io::Io;
use crate::snippets::{Snippets, Wanted, apply, folder};

/// Remove snippets, and wait until the daemon has let them go
#[derive(Clone, Debug, Args)]
pub struct RmArgs {
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,

    /// Those that are disabled
    #[arg(long)]
    pub disabled: bool,

    /// The snippets
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

impl Act for RmArgs {
    fn act(&self, place: &Place, io: &mut Io<'_>) -> Result<Exit, Failure> {
        let snippets = Snippets::of(place)?;
        let wanted = if self.disabled { Wanted::Disabled } else { Wanted::Enabled };
        let (selected, mut exit) = snippets.select_and_tell(&self.files, wanted, io)?;
        let mut changed = Vec::new();
        for snippet in selected {
            let path = snippet.path.display();
            io.say(&format!("Removing '{path}'..."))?;
            if !self.force && !is_wanted(&format!("Remove '{path}'?"), io)? {
                exit = exit.or(Exit::Aborted);
                continue;
            }
            match folder::remove(&snippets, &snippet) {
                Ok(_) => changed.push(crate::snippets::Snippet { is_enabled: false, ..snippet }),
                Err(error) => {
                    exit = exit.or(error.exit());
                    io.fail(&error.into())?;
                }
            }
        }
        // The daemon does not read what is disabled.
        if changed.is_empty() || self.disabled {
            return Ok(exit);
        }
        Ok(exit.or(apply::apply(place, &snippets, &changed, io)?.exit()))
    }

    fn agree(&self, io: &mut Io<'_>) -> Result<Option<Vec<OsString>>, Failure> {
        if self.force {
            return Ok(Some(Vec::new()));
        }
        let names: Vec<String> = self.files.iter().map(|file| format!("'{}'", file.display())).collect();
        let question = format!("Remove {} on all nodes of the context?", names.join(", "));
        Ok(is_wanted(&question, io)?.then(|| vec![OsString::from("--force")]))
    }
}

fn is_wanted(question: &str, io: &mut Io<'_>) -> Result<bool, Failure> {
    let answer = io.ask(question, false)?;
    match answer {
        None => io.say("not removed: nobody answered. --force does not ask")?,
        Some(false) => io.say("not removed")?,
        Some(true) => {}
    }
    Ok(answer == Some(true))
}
