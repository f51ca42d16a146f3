//! `reactorctl undrain`: services may run on this node again.

use std::io::Write;

use clap::Args;
use reactor_api::verbs::Undrain;

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::parts::outcome;

/// End a drain: promoted resources may run on this node again
#[derive(Clone, Debug, Args)]
pub struct UndrainArgs {}

impl Run for UndrainArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        outcome::print(&daemon::ask(place, &Undrain {})?, out)
    }
}
