//! `reactorctl incidents`: what is wrong with the disks, each cause once.

use std::io::{self, Write};

use clap::Args;
use jiff::Timestamp;
use reactor_api::verbs::Incidents;

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::parts::incident;
use crate::style::{END, GOOD};

/// List the storage incidents that are open: what is wrong with disks and what is built on them
#[derive(Clone, Debug, Args)]
pub struct IncidentsArgs {
    /// Only those that touch this DRBD resource
    #[arg(value_name = "RESOURCE")]
    pub resource: Option<String>,

    /// Print JSON, one incident a line
    #[arg(long)]
    pub json: bool,
}

impl Run for IncidentsArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let mut open = incident::known(daemon::ask(place, &Incidents {})?.incidents);
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
            writeln!(out, "{GOOD}no storage incident is open{END}")?;
        }
        let now = Timestamp::now();
        for each in &open {
            incident::line(each, now, out)?;
        }
        Ok(Exit::Ok)
    }
}
