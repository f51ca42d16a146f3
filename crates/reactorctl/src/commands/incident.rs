//! `reactorctl incident`: one storage incident as a story, and its end by hand.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use reactor_api::verbs::{CloseIncident, Incidents};

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::parts::{incident, outcome};

/// Show one storage incident, or close it
#[derive(Clone, Debug, Args)]
pub struct IncidentArgs {
    /// What to do with it
    #[command(subcommand)]
    pub command: IncidentCommand,
}

/// What to do with an incident.
#[derive(Clone, Debug, Subcommand)]
pub enum IncidentCommand {
    /// Tell what happened: each type of event, on which device, the cause, what it means and what to do
    Show {
        /// Its id, or the beginning of it
        #[arg(value_name = "ID")]
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say that a person has seen to it
    Close {
        /// Its id, or the beginning of it
        #[arg(value_name = "ID")]
        id: String,
    },
}

impl Run for IncidentArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        match &self.command {
            IncidentCommand::Show { id, json } => {
                let all = incident::ask(place, &Incidents { id: Some(id.as_str().into()), past: None })?;
                let found = incident::of(all, id)?;
                if *json {
                    writeln!(out, "{}", serde_json::to_string(&found).map_err(io::Error::from)?)?;
                } else {
                    incident::story(&found, Timestamp::now(), out)?;
                }
                Ok(Exit::Ok)
            }
            IncidentCommand::Close { id } => {
                let open = incident::known(daemon::ask(place, &Incidents::default())?.incidents);
                let found = incident::of(open, id)?;
                outcome::print(&daemon::ask(place, &CloseIncident { incident: found.id })?, out)
            }
        }
    }
}
