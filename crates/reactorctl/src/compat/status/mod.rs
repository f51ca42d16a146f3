//! `status`: the snippets, and what the daemon, DRBD and systemd say of what they configure.
//!
//! It says whether the daemon runs a plugin, and not only that a file asks for it. What is not known is said to be unknown; and if the daemon
//! does not answer, everything else is shown all the same.

mod gather;
mod json;
mod text;

use std::path::PathBuf;

use clap::Args;

use super::Act;
use crate::cli::Place;
use crate::exit::{Exit, Failure};
use crate::io::Io;
use crate::snippets::{Snippets, Wanted};

/// Show what snippets configure, and how it is
#[derive(Clone, Debug, Default, Args)]
pub struct StatusArgs {
    /// Also try the addresses of Prometheus and AgentX
    #[arg(short, long)]
    pub verbose: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// Of promoters only these resources
    #[arg(short, long = "resource", value_name = "RESOURCE", num_args = 1..)]
    pub resources: Vec<String>,

    /// Only these snippets
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

impl Act for StatusArgs {
    fn act(&self, place: &Place, io: &mut Io<'_>) -> Result<Exit, Failure> {
        let snippets = Snippets::of(place)?;
        let (selected, mut exit) = snippets.select_and_tell(&self.files, Wanted::Either, io)?;
        let gathered = gather::gather(place, &snippets, selected, &self.resources);
        for failure in &gathered.failures {
            exit = exit.or(failure.exit());
            io.fail(failure)?;
        }
        if self.json {
            json::print(&gathered.node, &gathered.snippets, io.out)?;
        } else {
            text::print(&gathered.snippets, self.verbose, io.out)?;
        }
        Ok(exit)
    }

    fn is_json(&self) -> bool {
        self.json
    }

    fn only_reads(&self) -> bool {
        true
    }
}
