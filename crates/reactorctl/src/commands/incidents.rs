//! `reactorctl incidents`: what is wrong with the disks, each cause once.

use std::io::{self, Write};

use clap::Args;
use jiff::Timestamp;
use reactor_api::verbs::Incidents;
use reactor_api::words::Last;

use crate::cli::Place;
use crate::commands::Run;
use crate::exit::{Exit, Failure};
use crate::parts::incident;
use crate::style::{END, GOOD};

/// List the storage incidents that are open: what is wrong with disks and what is built on them
#[derive(Clone, Debug, Args)]
pub struct IncidentsArgs {
    /// Only those that touch this DRBD resource
    #[arg(value_name = "RESOURCE")]
    pub resource: Option<String>,

    /// Also those that are over
    #[arg(short, long)]
    pub all: bool,

    /// With --all: the last N of those that are over
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100, requires = "all", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub limit: u64,

    /// Print JSON, one incident a line
    #[arg(long)]
    pub json: bool,
}

impl Run for IncidentsArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let past = self.all.then_some(Last(self.limit));
        let mut open = incident::ask(place, &Incidents { id: None, past })?;
        if let Some(resource) = &self.resource {
            open.retain(|incident| incident.resources.contains(resource));
        }
        if self.json {
            for incident in &open {
                writeln!(out, "{}", serde_json::to_string(incident).map_err(io::Error::from)?)?;
            }
            return Ok(Exit::Ok);
        }
        if open.is_empty() {
            let what = if self.all { "no storage incident is known" } else { "no storage incident is open" };
            writeln!(out, "{GOOD}{what}{END}")?;
        }
        let now = Timestamp::now();
        for each in &open {
            incident::line(each, now, out)?;
        }
        Ok(Exit::Ok)
    }
}
