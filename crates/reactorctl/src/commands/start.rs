//! `reactorctl start`: what was stopped or held may run here again; or a part of it is started by hand.

use std::io::Write;
use std::time::{Duration, Instant};

use clap::Args;
use reactor_api::PromotedStatus;
use reactor_api::verb::Verb as _;
use reactor_api::verbs::Release;

use crate::cli::Place;
use crate::commands::Run;
use crate::config;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::parts::promoted::{self, sentence_and_why};
use crate::parts::takeover;
use crate::program;
use crate::steps::Line;
use crate::steps::args::RangeArgs;
use crate::steps::follow::Follow;
use crate::steps::part::{self, Action};
use crate::steps::range::Verb;
use crate::steps::whole::{Whole, in_seconds};

/// How long an adjust may take, as for the daemon.
const ADJUST_LIMIT: Duration = Duration::from_secs(20);

/// Let a promoted resource that was stopped or held run here again, and say each step; or start a part of it by hand
#[derive(Clone, Debug, Args)]
pub struct StartArgs {
    /// The resource
    #[arg(value_name = "RESOURCE")]
    pub resource: String,

    #[command(flatten)]
    #[allow(missing_docs, reason = "its arguments say what they do")]
    pub range: RangeArgs,

    /// Do not wait until it runs
    #[arg(long)]
    pub no_wait: bool,

    /// So long it is waited for
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub timeout: u64,
}

impl Run for StartArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let resource = &self.resource;
        if self.range.is_a_part() {
            return part::run(Action::Start, resource, &self.range, None, place, out);
        }
        let mut whole = Whole::watch(place, resource, self.range.json, out)?;
        if self.range.dry_run {
            return would(&mut whole);
        }
        let mut follow = Follow::default();
        whole.say(&Line::info(resource, format!("start requested on {}", whole.status.node)))?;
        whole.say_all(&follow.next(Instant::now(), &whole.before))?;
        if whole.before.drbd.as_ref().is_some_and(|drbd| drbd.availability == "down") && place.node.is_none() {
            adjust(place, &mut whole)?;
        }
        let call = Release { resource: resource.as_str().into(), command: Some("start".into()) };
        let mut client = daemon::connect(place, call.limit().client())?;
        let outcome = daemon::ask_over(&mut client, &call)?;
        whole.say(&Line::info(resource, outcome.text))?;
        let report = daemon::why(&mut client, resource)?;
        if !may_start(&report) {
            whole.say(&Line::error(resource, format!("it {}", sentence_and_why(&report))))?;
            whole.say(&Line::info(resource, format!("reactorctl why {resource} says what would change that")))?;
            return Ok(Exit::Refused);
        }
        if self.no_wait {
            whole.say(&Line::info(resource, format!("it {}", sentence_and_why(&report))))?;
            return Ok(Exit::Ok);
        }
        let mut start = Start { follow, failed: None, last: whole.before.clone() };
        let end = in_seconds(self.timeout);
        // It may run already, and then no picture comes.
        let mut next = Some(report);
        while let Some(report) = next {
            if let Some(exit) = start.look(report, &mut whole)? {
                return Ok(exit);
            }
            next = whole.next(end)?;
        }
        whole.say(&Line::error(resource, format!("the time is up: it {}", sentence_and_why(&start.last))))?;
        Ok(Exit::TimedOut)
    }
}

/// What keeps it from being started for a moment only: nobody has to do anything about it.
const PASSES: [&str; 6] = ["no-news", "no-systemd", "unit-not-told", "unit-files", "options-not-read", "adjusting"];

/// Whether it starts, or will.
fn may_start(report: &PromotedStatus) -> bool {
    let passes = report.obstacle.as_ref().is_some_and(|obstacle| PASSES.contains(&obstacle.kind.as_str()));
    passes || matches!(report.state.as_str(), "running" | "starting" | "waiting" | "preparing")
}

/// DRBD is not always on here, and whoever starts it here wants it.
fn adjust(place: &Place, whole: &mut Whole<'_>) -> Result<(), Failure> {
    let what = format!("drbdadm adjust {}", whole.resource);
    whole.say(&Line::info(&format!("drbd:{}", whole.resource), format!("run: {what}")))?;
    let output = program::output(&config::daemon(place).drbdadm, &["adjust", &whole.resource], Some(ADJUST_LIMIT))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::Program { what, why: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}

/// Nothing is done.
fn would(whole: &mut Whole<'_>) -> Result<Exit, Failure> {
    let resource = whole.resource.clone();
    if let Some(peer) = takeover::primary_peer(&whole.status, &resource) {
        whole.say(&Line::error(&resource, format!("would not start here: {peer} is Primary")))?;
        return Ok(Exit::Refused);
    }
    if let Some(hold) = whole.before.hold.clone() {
        whole.say(&Line::info(&resource, format!("would end: {}", promoted::hold(&hold))))?;
    }
    part::would(&resource, &[(Verb::Start, whole.steps.clone())], &mut whole.printer)?;
    for unit in &whole.before.left_out {
        whole.printer.say(&Line::info(&unit.entry, "left out: disabled on this node"))?;
    }
    Ok(Exit::Ok)
}

/// Whether all that it needs is up.
fn is_up(report: &PromotedStatus) -> bool {
    let needed = report.units.iter().filter(|unit| !unit.optional);
    report.state == "running" && report.hold.is_none() && needed.into_iter().all(|unit| unit.active == "active")
}

/// A start that is watched.
struct Start {
    follow: Follow,
    failed: Option<String>,
    last: PromotedStatus,
}

impl Start {
    /// Says what is new. `Some` = it runs, or one step has failed and all is down again, or something else came in between.
    fn look(&mut self, report: PromotedStatus, whole: &mut Whole<'_>) -> Result<Option<Exit>, Failure> {
        whole.say_all(&self.follow.next(Instant::now(), &report))?;
        let resource = whole.resource.clone();
        if report.failures > self.last.failures {
            self.failed = report.last_failure.clone().or_else(|| Some("a service failed".to_owned()));
        }
        if self.failed.is_none() && is_up(&report) {
            let text = format!("up on {}", whole.status.node);
            whole.printer.done(&resource, &text)?;
            return Ok(Some(Exit::Ok));
        }
        if let Some(peer) = report.peers.iter().find(|peer| peer.primary) {
            whole.say(&Line::error(&resource, format!("{} was faster, and is Primary", peer.node)))?;
            return Ok(Some(Exit::Refused));
        }
        let is_on_its_way = matches!(report.state.as_str(), "starting" | "running" | "stopping" | "frozen");
        if let Some(why) = self.failed.as_ref().filter(|_| !is_on_its_way) {
            self.say_rolled_back(why, &report, whole)?;
            return Ok(Some(Exit::StepFailed));
        }
        if report.state == "held" && report.hold != self.last.hold {
            whole.say(&Line::error(&resource, format!("it {}", sentence_and_why(&report))))?;
            return Ok(Some(Exit::Refused));
        }
        self.last = report;
        Ok(None)
    }

    fn say_rolled_back(&self, why: &str, report: &PromotedStatus, whole: &mut Whole<'_>) -> Result<(), Failure> {
        let resource = whole.resource.clone();
        let back = self.follow.went_down.iter().filter(|name| self.follow.started.contains(name));
        let back: Vec<&str> = back.map(String::as_str).collect();
        let back = if back.is_empty() { String::new() } else { format!("; rolled back: {}", back.join(", ")) };
        whole.say(&Line::error(&resource, format!("the start failed: {why}{back}")))?;
        whole.say(&Line::info(&resource, format!("it {}", sentence_and_why(report))))
    }
}
