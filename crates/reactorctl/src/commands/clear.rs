//! `reactorctl clear`: what failed too often may run again.

use std::io::Write;

use clap::Args;
use reactor_api::verbs::Clear;

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::parts::outcome;

/// Forget the failures of a promoted resource: what was blocked may run again
#[derive(Clone, Debug, Args)]
pub struct ClearArgs {
    /// The resource
    #[arg(value_name = "RESOURCE")]
    pub resource: String,
}

impl Run for ClearArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        outcome::print(&daemon::ask(place, &Clear { resource: self.resource.as_str().into() })?, out)
    }
}
