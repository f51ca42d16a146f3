//! `cat`: the text of snippets, by a pretty printer where a person looks.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use super::Act;
use crate::cli::Place;
use crate::exit::{Exit, Failure};
use crate::io::Io;
use crate::snippets::{Snippets, Wanted, content};

/// The names that bat has.
const PRINTERS: [&str; 2] = ["bat", "batcat"];

/// Show snippets, by bat if it is there
#[derive(Clone, Debug, Args)]
pub struct CatArgs {
    /// Only these snippets; otherwise all that are enabled
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

impl Act for CatArgs {
    fn act(&self, place: &Place, io: &mut Io<'_>) -> Result<Exit, Failure> {
        let snippets = Snippets::of(place)?;
        let wanted = if self.files.is_empty() { Wanted::Enabled } else { Wanted::Either };
        let (selected, mut exit) = snippets.select_and_tell(&self.files, wanted, io)?;
        for snippet in selected {
            io.say(&format!("Displaying {}...", snippet.path.display()))?;
            match content::text(&snippet.path) {
                Ok(_) if io.is_terminal && is_printed(&snippet.path, io)? => {}
                Ok(text) => io.out.write_all(text.as_bytes())?,
                Err(error) => {
                    exit = exit.or(error.exit());
                    io.fail(&error.into())?;
                }
            }
        }
        Ok(exit)
    }

    fn only_reads(&self) -> bool {
        true
    }
}

/// Whether a pretty printer has done it.
fn is_printed(path: &Path, io: &mut Io<'_>) -> Result<bool, Failure> {
    io.out.flush()?;
    Ok(PRINTERS
        .iter()
        .any(|printer| Command::new(printer).arg("--").arg(path).status().is_ok_and(|status| status.success())))
}
