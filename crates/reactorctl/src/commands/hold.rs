//! `reactorctl hold`: hands off a resource until it is released.

use std::io::Write;

use clap::Args;
use reactor_api::verbs::Hold;

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::parts::outcome;

/// Leave a promoted resource alone until it is released, across restarts too
#[derive(Clone, Debug, Args)]
pub struct HoldArgs {
    /// The resource
    #[arg(value_name = "RESOURCE")]
    pub resource: String,

    /// Why, for whoever looks later
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

impl Run for HoldArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let why = self.why.as_deref().map(Into::into);
        outcome::print(&daemon::ask(place, &Hold { resource: self.resource.as_str().into(), why })?, out)
    }
}
