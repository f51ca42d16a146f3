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
use crate::steps::args::RangeArgs;
use crate::steps::follow::Follow;
use crate::steps::part::{self, Action};
use crate::steps::range::{Verb, all};
use crate::steps::{Line, Printer};
use crate::watching::{News, Then, Watching, Whom, may_come_back, understood};

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
        let whom = vec![Whom::Here(Box::new(place.clone()))];
        let watching = Watching::start(whom, std::slice::from_ref(resource), Then::Again);
        let now = watching.first()?;
        let missing = || Failure::NoSuchResource { resource: resource.clone() };
        let before = takeover::promoted(&now, resource).ok_or_else(missing)?;
        let steps = all(&before, takeover::is_primary_here(&now, resource));
        let names: Vec<String> = steps.iter().map(|step| step.name.clone()).collect();
        let about = format!("drbd:{resource}");
        let mut printer =
            Printer::new(out, self.range.json, names.iter().map(String::as_str).chain([resource.as_str(), &about]));
        if self.range.dry_run {
            return self.would(&before, takeover::primary_peer(&now, resource), &mut printer);
        }
        printer.say(&Line::info(resource, format!("start requested on {}", now.node)))?;
        let mut follow = Follow::default();
        for line in follow.next(Instant::now(), &before) {
            printer.say(&line)?;
        }
        if before.drbd.as_ref().is_some_and(|drbd| drbd.availability == "down") && place.node.is_none() {
            adjust(place, resource, &mut printer)?;
        }
        let call = Release { resource: resource.as_str().into(), command: Some("start".into()) };
        let mut client = daemon::connect(place, call.limit().client())?;
        let outcome = daemon::ask_over(&mut client, &call)?;
        printer.say(&Line::info(resource, outcome.text))?;
        let report = daemon::why(&mut client, resource)?;
        if !may_start(&report) {
            printer.say(&Line::error(resource, format!("it {}", sentence_and_why(&report))))?;
            printer.say(&Line::info(resource, format!("reactorctl why {resource} says what would change that")))?;
            return Ok(Exit::Refused);
        }
        if self.no_wait {
            printer.say(&Line::info(resource, format!("it {}", sentence_and_why(&report))))?;
            return Ok(Exit::Ok);
        }
        // It may run already, and then no picture comes.
        for line in follow.next(Instant::now(), &report) {
            printer.say(&line)?;
        }
        if is_up(&report) {
            printer.done(resource, &format!("up on {}", now.node))?;
            return Ok(Exit::Ok);
        }
        let end = Instant::now() + Duration::from_secs(self.timeout);
        self.follow(&watching, end, &before, &mut follow, &mut printer, &now.node)
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
fn adjust(place: &Place, resource: &str, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let about = format!("drbd:{resource}");
    printer.say(&Line::info(&about, format!("run: drbdadm adjust {resource}")))?;
    let output = program::output(&config::daemon(place).drbdadm, &["adjust", resource], Some(ADJUST_LIMIT))?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::Program { what: format!("drbdadm adjust {resource}"), why })
}

/// Whether all that it needs is up.
fn is_up(report: &PromotedStatus) -> bool {
    let needed = report.units.iter().filter(|unit| !unit.optional);
    report.state == "running" && report.hold.is_none() && needed.into_iter().all(|unit| unit.active == "active")
}

impl StartArgs {
    fn would(
        &self,
        report: &PromotedStatus,
        primary: Option<String>,
        printer: &mut Printer<'_>,
    ) -> Result<Exit, Failure> {
        let resource = &self.resource;
        if let Some(peer) = primary {
            printer.say(&Line::error(resource, format!("would not start here: {peer} is Primary")))?;
            return Ok(Exit::Refused);
        }
        let is_primary = report.drbd.as_ref().is_some_and(|drbd| drbd.availability == "up");
        let steps = self.range.select(Verb::Start, &all(report, is_primary));
        let steps = steps.map_err(|error| Failure::Denied { why: error.to_string() })?;
        if let Some(hold) = &report.hold {
            printer.say(&Line::info(resource, format!("would end: {}", promoted::hold(hold))))?;
        }
        for step in steps {
            let about = if step.name == "drbd" { format!("drbd:{resource}") } else { step.name.clone() };
            let text = if step.is_active { "already active".to_owned() } else { format!("would start {}", step.unit) };
            printer.say(&Line::info(&about, text))?;
        }
        for unit in &report.left_out {
            printer.say(&Line::info(&unit.entry, "left out: disabled on this node"))?;
        }
        Ok(Exit::Ok)
    }

    /// Says each step until it runs, or until one has failed and all is down again.
    fn follow(
        &self,
        watching: &Watching,
        end: Instant,
        before: &PromotedStatus,
        follow: &mut Follow,
        printer: &mut Printer<'_>,
        node: &str,
    ) -> Result<Exit, Failure> {
        let resource = &self.resource;
        let mut failed: Option<String> = None;
        let mut last = before.clone();
        while let Some((_, news)) = watching.next(Some(end)) {
            let status = match news {
                News::Picture(picture) => understood(picture)?,
                News::Ended(failure) if may_come_back(&failure) => {
                    printer.say(&Line::warn(resource, failure.chain()))?;
                    continue;
                }
                News::Ended(failure) => return Err(failure),
            };
            let Some(report) = takeover::promoted(&status, resource) else { continue };
            for line in follow.next(Instant::now(), &report) {
                printer.say(&line)?;
            }
            if report.failures > last.failures {
                failed = report.last_failure.clone().or_else(|| Some("a service failed".to_owned()));
            }
            if failed.is_none() && is_up(&report) {
                printer.done(resource, &format!("up on {node}"))?;
                return Ok(Exit::Ok);
            }
            if let Some(peer) = report.peers.iter().find(|peer| peer.primary) {
                printer.say(&Line::error(resource, format!("{} was faster, and is Primary", peer.node)))?;
                return Ok(Exit::Refused);
            }
            let is_on_its_way = matches!(report.state.as_str(), "starting" | "running" | "stopping" | "frozen");
            if let Some(why) = failed.as_ref().filter(|_| !is_on_its_way) {
                return self.rolled_back(why, &report, follow, printer);
            }
            if report.state == "held" && report.hold.as_ref() != last.hold.as_ref() {
                printer.say(&Line::error(resource, format!("it {}", sentence_and_why(&report))))?;
                return Ok(Exit::Refused);
            }
            last = report;
        }
        printer.say(&Line::error(resource, format!("the time is up: it {}", sentence_and_why(&last))))?;
        Ok(Exit::TimedOut)
    }

    fn rolled_back(
        &self,
        why: &str,
        report: &PromotedStatus,
        follow: &Follow,
        printer: &mut Printer<'_>,
    ) -> Result<Exit, Failure> {
        let resource = &self.resource;
        let back: Vec<&str> =
            follow.went_down.iter().filter(|name| follow.started.contains(name)).map(String::as_str).collect();
        let back = if back.is_empty() { String::new() } else { format!("; rolled back: {}", back.join(", ")) };
        printer.say(&Line::error(resource, format!("the start failed: {why}{back}")))?;
        printer.say(&Line::info(resource, format!("it {}", sentence_and_why(report))))?;
        Ok(Exit::StepFailed)
    }
}
