//! `reactorctl stop`: a resource goes down here, and stays down.

use std::io::Write;

use clap::Args;
use reactor_api::verbs::Stop;

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::parts::outcome;
use crate::parts::takeover::warn_if_stranded;

/// Stop a promoted resource on this node and keep it stopped here, across restarts too; another node may take it over
#[derive(Clone, Debug, Args)]
pub struct StopArgs {
    /// The resource
    #[arg(value_name = "RESOURCE")]
    pub resource: String,

    /// Why, for whoever looks later
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

impl Run for StopArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        warn_if_stranded(place, Some(&self.resource));
        let why = self.why.as_deref().map(Into::into);
        let exit = outcome::print(&daemon::ask(place, &Stop { resource: self.resource.as_str().into(), why })?, out)?;
        writeln!(out, "  reactorctl start {} lets it run here again", self.resource)?;
        Ok(exit)
    }
}
