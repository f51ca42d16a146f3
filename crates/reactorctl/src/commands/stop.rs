//! `reactorctl stop`: a resource goes down here, and stays down; or a part of it is stopped by hand.

use std::io::Write;
use std::time::Instant;

use clap::Args;
use reactor_api::PromotedStatus;
use reactor_api::verb::Verb as _;
use reactor_api::verbs::Stop;

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::parts::promoted::sentence_and_why;
use crate::parts::takeover::warn_if_stranded;
use crate::steps::Line;
use crate::steps::args::RangeArgs;
use crate::steps::follow::Follow;
use crate::steps::part::{self, Action};
use crate::steps::range::Verb;
use crate::steps::whole::{Whole, in_seconds};

/// Stop a promoted resource on this node and keep it stopped here, across restarts too; another node may take it over. Or stop a part of it by hand
#[derive(Clone, Debug, Args)]
pub struct StopArgs {
    /// The resource
    #[arg(value_name = "RESOURCE")]
    pub resource: String,

    #[command(flatten)]
    #[allow(missing_docs, reason = "its arguments say what they do")]
    pub range: RangeArgs,

    /// Why, for whoever looks later
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,

    /// Do not wait until it is down
    #[arg(long)]
    pub no_wait: bool,

    /// So long it is waited for
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub timeout: u64,
}

impl Run for StopArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let resource = &self.resource;
        if self.range.is_a_part() {
            return part::run(Action::Stop, resource, &self.range, self.why.as_deref(), place, out);
        }
        let mut whole = Whole::watch(place, resource, self.range.json, out)?;
        if self.range.dry_run {
            let steps = whole.steps.iter().rev().cloned().collect();
            return part::would(resource, &[(Verb::Stop, steps)], &mut whole.printer);
        }
        warn_if_stranded(place, Some(resource));
        let call = Stop { resource: resource.as_str().into(), why: self.why.as_deref().map(Into::into) };
        let mut client = daemon::connect(place, call.limit().client())?;
        let outcome = daemon::ask_over(&mut client, &call)?;
        whole.say(&Line::info(resource, outcome.text))?;
        if !self.no_wait {
            // It may be down already, and then no picture comes.
            let report = daemon::why(&mut client, resource)?;
            let exit = self.follow(report, &mut whole)?;
            if exit != Exit::Ok {
                return Ok(exit);
            }
        }
        whole.say(&Line::info(resource, format!("reactorctl start {resource} lets it run here again")))?;
        Ok(Exit::Ok)
    }
}

/// Whether nothing of it is up or on its way.
fn is_down(report: &PromotedStatus) -> bool {
    let is_up = |active: &str| matches!(active, "active" | "activating" | "deactivating" | "reloading");
    let is_primary = report.drbd.as_ref().is_some_and(|drbd| drbd.availability == "up");
    !is_primary && !report.units.iter().any(|unit| is_up(&unit.active)) && report.state != "stopping"
}

impl StopArgs {
    /// Says each step until all is down.
    fn follow(&self, report: PromotedStatus, whole: &mut Whole<'_>) -> Result<Exit, Failure> {
        let (end, mut follow) = (in_seconds(self.timeout), Follow::default());
        // How it was is no step of the way.
        let _ = follow.next(Instant::now(), &whole.before);
        let (mut next, mut last) = (Some(report), whole.before.clone());
        while let Some(report) = next {
            whole.say_all(&follow.next(Instant::now(), &report))?;
            // Without a hold it is the picture of before.
            if let Some(hold) = &report.hold {
                if !hold.stops {
                    let text = format!("somebody held it: it {}", sentence_and_why(&report));
                    whole.say(&Line::error(&self.resource, text))?;
                    return Ok(Exit::Refused);
                }
                if is_down(&report) {
                    let drbd = report.drbd.as_ref().map(|drbd| format!(", DRBD is {},", drbd.words));
                    let text = format!("down on {}{}", whole.status.node, drbd.unwrap_or_default());
                    whole.printer.done(&self.resource, &text)?;
                    return Ok(Exit::Ok);
                }
            }
            last = report;
            next = whole.next(end)?;
        }
        whole.say(&Line::error(&self.resource, format!("the time is up: it {}", sentence_and_why(&last))))?;
        Ok(Exit::TimedOut)
    }
}
