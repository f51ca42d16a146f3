//! `reactorctl history`: what has happened, and where resources ran; `log` (in its own file) follows it.
//!
//! ```text
//!  this node's daemon ─┐
//!  no daemon: the file ─┼─▶ entries ─▶ sorted by time ─▶ one line each, or JSON
//!  --all: each node ────┘
//! ```

mod downtime;
mod line;
mod source;
pub(crate) mod when;

use std::io::Write;

use clap::Args;

use crate::cli::Place;
use crate::commands::Run;
use crate::exit::{Exit, Failure};
use source::Source;
pub(super) use source::{Follow, follow};
pub(crate) use source::{is_away, next, say};

/// Show what has happened: what was decided and why, who asked for it, and where resources ran
///
/// If no daemon answers, the file that it has written is read, which is for root.
#[derive(Clone, Debug, Args)]
pub struct HistoryArgs {
    /// Of this resource only
    pub resource: Option<String>,

    /// From then on: a time ago (`2h`, `3d`), or a time in UTC (`11:30` today, `2026-11-29`, `2026-11-29T10:00`)
    #[arg(long, value_name = "WHEN", value_parser = when::parse)]
    pub since: Option<u64>,

    /// Until then
    #[arg(long, value_name = "WHEN", value_parser = when::parse)]
    pub until: Option<u64>,

    /// The last N entries [default: 100; with --since 10000]
    #[arg(short = 'n', long = "limit", visible_alias = "last", value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub limit: Option<u64>,

    /// For each resource and month: how long it ran, and how long it did not
    #[arg(long, conflicts_with = "limit")]
    pub downtime: bool,

    /// Of all nodes of the context, in the order of time
    #[arg(short, long)]
    pub all: bool,

    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// Entries that are shown if nobody says how many.
const LIMIT: u64 = 100;

/// The same with `--since`, which is a bound itself.
const LIMIT_SINCE: u64 = 10_000;

impl Run for HistoryArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let source = Source::of(place, self.all)?;
        let default = if self.since.is_some() { LIMIT_SINCE } else { LIMIT };
        let query = source::Query {
            resource: self.resource.clone(),
            since: self.since,
            until: self.until,
            last: self.limit.unwrap_or(default),
        };
        if self.downtime {
            let (spans, exit) = source.spans(&query)?;
            let now = when::now();
            let rows = downtime::sums(&spans, self.since.unwrap_or(0), self.until.unwrap_or(now).min(now));
            downtime::print(&rows, self.json, out)?;
            return Ok(exit);
        }
        let (entries, exit) = source.entries(&query)?;
        for entry in &entries {
            print(entry, source.names_nodes(), self.json, out)?;
        }
        Ok(exit)
    }

    fn asks_one_daemon(&self) -> bool {
        !self.all
    }
}

pub(super) use line::print;
