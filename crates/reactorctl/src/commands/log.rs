//! `reactorctl log`: the history, and each entry as it is written.

use std::io::Write;

use clap::Args;

use super::history::{Follow, HistoryArgs, follow, print};
use crate::cli::Place;
use crate::commands::Run;
use crate::exit::{Exit, Failure};

/// Show the last entries of the history, and with --follow each further one as it is written
#[derive(Clone, Debug, Args)]
pub struct LogArgs {
    /// Of this resource only
    pub resource: Option<String>,

    /// Go on with each entry as it is written; one comes once more when its outcome is known
    #[arg(short, long)]
    pub follow: bool,

    /// Begin with the last N entries
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=100_000))]
    pub last: u64,

    /// Of all nodes of the context
    #[arg(short, long)]
    pub all: bool,

    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
}

impl Run for LogArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        if self.follow {
            let what = Follow { resource: self.resource.clone(), last: self.last, all: self.all };
            return follow(place, &what, |entry| {
                print(entry, self.all, self.json, out)?;
                Ok(out.flush()?)
            });
        }
        let args = HistoryArgs {
            resource: self.resource.clone(),
            since: None,
            until: None,
            limit: Some(self.last),
            downtime: false,
            all: self.all,
            json: self.json,
        };
        args.run(place, out)
    }

    fn asks_one_daemon(&self) -> bool {
        !self.all
    }
}
