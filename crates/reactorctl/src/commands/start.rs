//! `reactorctl start`: what was stopped or held may run here again.

use std::io::Write;

use clap::Args;
use reactor_api::verb::Verb as _;
use reactor_api::verbs::Release;

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::parts::outcome;
use crate::parts::promoted::sentence_and_why;

/// Let a promoted resource that was stopped or held run here again, and say what comes of it
#[derive(Clone, Debug, Args)]
pub struct StartArgs {
    /// The resource
    #[arg(value_name = "RESOURCE")]
    pub resource: String,
}

impl Run for StartArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let call = Release { resource: self.resource.as_str().into(), command: Some("start".into()) };
        let mut client = daemon::connect(place, call.limit().client())?;
        outcome::print(&daemon::ask_over(&mut client, &call)?, out)?;
        let report = daemon::why(&mut client, &self.resource)?;
        writeln!(out, "  it {}", sentence_and_why(&report))?;
        if matches!(report.state.as_str(), "running" | "starting" | "waiting") {
            return Ok(Exit::Ok);
        }
        writeln!(out, "  reactorctl why {} says what would change that", self.resource)?;
        Ok(Exit::Refused)
    }
}
