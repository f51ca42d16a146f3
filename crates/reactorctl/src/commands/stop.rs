//! `reactorctl stop`: a resource goes down here, and stays down; or a part of it is stopped by hand.

use std::io::Write;
use std::time::{Duration, Instant};

use clap::Args;
use reactor_api::PromotedStatus;
use reactor_api::verb::Verb as _;
use reactor_api::verbs::Stop;

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::parts::promoted::sentence_and_why;
use crate::parts::takeover::{self, warn_if_stranded};
use crate::steps::args::RangeArgs;
use crate::steps::follow::Follow;
use crate::steps::part::{self, Action};
use crate::steps::range::{Step, Verb, all};
use crate::steps::{Line, Printer};
use crate::watching::{News, Then, Watching, Whom, may_come_back, understood};

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
            return self.would(&steps, &mut printer);
        }
        warn_if_stranded(place, Some(resource));
        let why = self.why.as_deref().map(Into::into);
        let call = Stop { resource: resource.as_str().into(), why };
        let mut client = daemon::connect(place, call.limit().client())?;
        printer.say(&Line::info(resource, daemon::ask_over(&mut client, &call)?.text))?;
        if !self.no_wait {
            let end = Instant::now() + Duration::from_secs(self.timeout);
            // It may be down already, and then no picture comes.
            let report = daemon::why(&mut client, resource)?;
            let mut told = Told { follow: Follow::default(), node: now.node };
            let _ = told.follow.next(Instant::now(), &before);
            let exit = match told.look(resource, &report, &mut printer)? {
                Some(exit) => exit,
                None => self.follow(&watching, end, report, told, &mut printer)?,
            };
            if exit != Exit::Ok {
                return Ok(exit);
            }
        }
        printer.say(&Line::info(resource, format!("reactorctl start {resource} lets it run here again")))?;
        Ok(Exit::Ok)
    }
}

/// Whether nothing of it is up or on its way.
fn is_down(report: &PromotedStatus) -> bool {
    let is_up = |active: &str| matches!(active, "active" | "activating" | "deactivating" | "reloading");
    let is_primary = report.drbd.as_ref().is_some_and(|drbd| drbd.availability == "up");
    !is_primary && !report.units.iter().any(|unit| is_up(&unit.active)) && report.state != "stopping"
}

/// What was said of the way down.
struct Told {
    follow: Follow,
    node: String,
}

impl Told {
    /// Says what is new. `Some` = that was all.
    fn look(
        &mut self,
        resource: &str,
        report: &PromotedStatus,
        printer: &mut Printer<'_>,
    ) -> Result<Option<Exit>, Failure> {
        for line in self.follow.next(Instant::now(), report) {
            printer.say(&line)?;
        }
        // Without a hold it is the picture of before.
        let Some(hold) = &report.hold else { return Ok(None) };
        if !hold.stops {
            printer.say(&Line::error(resource, format!("somebody held it: it {}", sentence_and_why(report))))?;
            return Ok(Some(Exit::Refused));
        }
        if !is_down(report) {
            return Ok(None);
        }
        let drbd = report.drbd.as_ref().map_or_else(String::new, |drbd| format!(", DRBD is {},", drbd.words));
        printer.done(resource, &format!("down on {}{drbd}", self.node))?;
        Ok(Some(Exit::Ok))
    }
}

impl StopArgs {
    fn would(&self, steps: &[Step], printer: &mut Printer<'_>) -> Result<Exit, Failure> {
        let steps = self.range.select(Verb::Stop, steps);
        for step in steps.map_err(|error| Failure::Denied { why: error.to_string() })? {
            let about = if step.name == "drbd" { format!("drbd:{}", self.resource) } else { step.name.clone() };
            let text = if step.is_active { format!("would stop {}", step.unit) } else { "already down".to_owned() };
            printer.say(&Line::info(&about, text))?;
        }
        Ok(Exit::Ok)
    }

    /// Says each step until all is down.
    fn follow(
        &self,
        watching: &Watching,
        end: Instant,
        mut last: PromotedStatus,
        mut told: Told,
        printer: &mut Printer<'_>,
    ) -> Result<Exit, Failure> {
        let resource = &self.resource;
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
            if let Some(exit) = told.look(resource, &report, printer)? {
                return Ok(exit);
            }
            last = report;
        }
        printer.say(&Line::error(resource, format!("the time is up: it {}", sentence_and_why(&last))))?;
        Ok(Exit::TimedOut)
    }
}
