//! `reactorctl drain`: no service stays on this node.

use std::io::Write;

use clap::Args;
use reactor_api::verbs::Drain;

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::parts::outcome;
use crate::parts::takeover::{warn_if_stranded, warn_of_held};

/// Stop all promoted resources on this node and start none, across restarts too, until undrain
#[derive(Clone, Debug, Args)]
pub struct DrainArgs {
    /// Why, for whoever looks later
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

impl Run for DrainArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        warn_of_held(place);
        warn_if_stranded(place, None);
        let why = self.why.as_deref().map(Into::into);
        let exit = outcome::print(&daemon::ask(place, &Drain { why })?, out)?;
        writeln!(out, "  reactorctl status shows what is still on its way down; reactorctl undrain ends it")?;
        Ok(exit)
    }
}
