//! `reactorctl release`: the services of a resource may be moved again.

use std::io::Write;

use clap::Args;
use reactor_api::verbs::Release;

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::parts::outcome;

/// End a hold
#[derive(Clone, Debug, Args)]
pub struct ReleaseArgs {
    /// The resource
    #[arg(value_name = "RESOURCE")]
    pub resource: String,
}

impl Run for ReleaseArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        outcome::print(&daemon::ask(place, &Release { resource: self.resource.as_str().into(), command: None })?, out)
    }
}
