//! `reactorctl restart`: the services of a resource stop and start again here, once.
//!
//! ```text
//! other nodes of the context: leave it to this node ─▶ this node: left to others for a time ─▶ stopped ─▶ released ─▶ runs again
//! ```
//!
//! While its services are down DRBD is Secondary, so that another node may be faster: those that can be told leave it to this one meanwhile. All that is
//! asked for ends by itself after the time, also if this command is killed.

use std::io::Write;
use std::time::{Duration, Instant};

use clap::Args;
use reactor_api::client::Client;
use reactor_api::verb::Limit;
use reactor_api::verbs::{Release, Yield};
use reactor_api::{PromotedStatus, words};
use reactor_core::names::same;

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::nodes::context::{self, Node, Whose};
use crate::nodes::{connect_all, way};
use crate::parts::promoted::{self, sentence_and_why};
use crate::parts::takeover::{self, WITHIN};
use crate::steps::args::RangeArgs;
use crate::steps::part::{self, Action};
use crate::steps::range::DRBD;
use crate::steps::{Line, Printer};
use crate::style::{DIM, END, GOOD, NAME, WARN};
use crate::watching::{News, Then, Watching, Whom, may_come_back, understood};

/// What is over after the time is waited for a little longer.
const GRACE: Duration = Duration::from_secs(5);

/// Stop and start the services of a promoted resource on this node, once; with `--from`, those from an entry on, while DRBD stays Primary
#[derive(Clone, Debug, Args)]
pub struct RestartArgs {
    /// The resource
    #[arg(value_name = "RESOURCE")]
    pub resource: String,

    #[command(flatten)]
    #[allow(missing_docs, reason = "its arguments say what they do")]
    pub range: RangeArgs,

    /// If it has not stopped by then, it is left as it is; and so long it has to start again
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,

    /// Why, for whoever looks later
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

impl Run for RestartArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let resource = &self.resource;
        if self.range.is_a_part() {
            return part::run(Action::Restart, resource, &self.range, self.why.as_deref(), place, out);
        }
        if self.range.dry_run {
            // All of it goes down, DRBD too.
            let all = RangeArgs { from: Some(DRBD.to_owned()), ..self.range.clone() };
            return part::run(Action::Restart, resource, &all, None, place, out);
        }
        let mut printer = self.range.json.then(|| Printer::new(&mut *out, true, std::iter::empty()));
        if let Some(printer) = &mut printer {
            let mut lines = Lines { resource, printer, rest: String::new() };
            return self.all(place, &mut lines);
        }
        self.all(place, out)
    }
}

/// Text for people as lines of JSON.
struct Lines<'a, 'o> {
    resource: &'a str,
    printer: &'a mut Printer<'o>,
    rest: String,
}

impl Write for Lines<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.rest.push_str(&String::from_utf8_lossy(bytes));
        while let Some((line, rest)) = self.rest.split_once('\n') {
            let plain = anstream::adapter::strip_str(line).to_string();
            let rest = rest.to_owned();
            self.printer.say(&Line::info(self.resource, plain.trim()))?;
            self.rest = rest;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl RestartArgs {
    /// All of it: its services stop, and start again.
    fn all(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let resource = &self.resource;
        let whom = vec![Whom::Here(Box::new(place.clone()))];
        let watching = Watching::start(whom, std::slice::from_ref(resource), Then::Again);
        let now = watching.first()?;
        let missing = || Failure::NoSuchResource { resource: resource.clone() };
        let before = takeover::promoted(&now, resource).ok_or_else(missing)?;
        if !matches!(before.state.as_str(), "running" | "starting") {
            let why = format!("{resource} can't be restarted: it {}", sentence_and_why(&before));
            return Err(Failure::Denied { why });
        }
        let begin = Instant::now();
        let own = place.node.as_ref().map_or(now.node.as_str(), |node| &node.name);
        let told = self.tell_others(place, own, &before, out)?;
        let ended = self.stop_and_start(place, &watching, begin, out);
        for node in &told {
            self.undo(node, own);
        }
        ended
    }
}

impl RestartArgs {
    /// To this node, which has it now, or to nobody in particular.
    fn leave(&self, to: Option<&str>, limit: u64) -> Yield {
        Yield {
            resource: self.resource.as_str().into(),
            to: to.map(Into::into),
            // For its stop and for its start.
            limit: words::Limit(limit.min(3600)),
            why: self.why.as_deref().map(Into::into),
            restarts: to.map(|_| true),
            command: Some("restart".into()),
        }
    }

    fn give_back(&self) -> Release {
        Release { resource: self.resource.as_str().into(), command: Some("restart".into()) }
    }

    /// Who could be faster leaves it to this node. Says whom nobody could tell.
    fn tell_others(
        &self,
        place: &Place,
        own: &str,
        report: &PromotedStatus,
        out: &mut dyn Write,
    ) -> Result<Vec<Node>, Failure> {
        let mut nodes = context::nodes(Whose::Ours, &place.context, &[])?;
        nodes.retain(|node| !same(&node.name, own) && takeover::is_connected(&report.peers, &node.name));
        let call = self.leave(Some(own), 2 * self.timeout);
        let said = connect_all(&nodes, WITHIN, |client| match daemon::ask_over(client, &call) {
            // No promoter, or one that a person has told otherwise: it starts nothing.
            Err(Failure::NoSuchResource { .. } | Failure::Denied { .. }) => Ok(false),
            asked => asked.map(|outcome| outcome.changed),
        });
        let mut told = Vec::new();
        let able = report.peers.iter().filter(|peer| peer.obstacles.is_empty());
        let mut could_be_faster: Vec<&str> = able.map(|peer| peer.node.as_str()).collect();
        for (node, said) in nodes.iter().zip(said) {
            match said {
                Ok((_, was_told)) => {
                    could_be_faster.retain(|name| !same(name, &node.name));
                    if was_told {
                        told.push(node.clone());
                    }
                }
                Err(failure) => {
                    writeln!(out, "{WARN}{}: {}{END}", node.name, failure.without_node(&node.name))?;
                }
            }
        }
        if !could_be_faster.is_empty() {
            let names = could_be_faster.join(", ");
            writeln!(out, "{DIM}not told to leave it to this node: {names}; another node may be faster{END}")?;
        }
        Ok(told)
    }

    /// Only what is left to this node for a time is given back: a person's hold stays. If that does not work, it ends by itself.
    fn undo(&self, node: &Node, own: &str) {
        let Ok(mut client) = way::connect(node, WITHIN) else { return };
        let is_ours = daemon::why(&mut client, &self.resource).is_ok_and(|report| {
            report.hold.is_some_and(|hold| hold.restarts && hold.until_primary.as_deref() == Some(own))
        });
        if is_ours {
            let _ = daemon::ask_over(&mut client, &self.give_back());
        }
    }

    fn stop_and_start(
        &self,
        place: &Place,
        watching: &Watching,
        begin: Instant,
        out: &mut dyn Write,
    ) -> Result<Exit, Failure> {
        let resource = &self.resource;
        let connect = || daemon::connect(place, Limit::Short.client());
        let mut client = connect()?;
        daemon::ask_over(&mut client, &self.leave(None, self.timeout))?;
        writeln!(out, "{NAME}{resource}{END} is restarted: its services stop, and start again")?;
        let mut account = Account { begin, last: String::new() };
        let end = Instant::now() + Duration::from_secs(self.timeout) + GRACE;
        let stopped = account.until(watching, end, resource, out, |report, is_under_way| match &report.hold {
            None if is_under_way => Some(Err(faster(report).unwrap_or_else(|| "somebody has released it".to_owned()))),
            Some(hold) if hold.until_primary.is_none() => {
                Some(Err(format!("it was {} meanwhile", promoted::hold(hold))))
            }
            Some(_) if report.state == "held" => Some(Ok(())),
            None | Some(_) => None,
        })?;
        // The connection may have been idle for too long.
        self.release(&mut connect()?)?;
        if let Some(why) = stopped {
            return Err(Failure::NotBack { resource: resource.clone(), why });
        }
        let end = Instant::now() + Duration::from_secs(self.timeout);
        let started = account.until(watching, end, resource, out, |report, _| {
            if let Some(why) = faster(report) {
                return Some(Err(why));
            }
            match (report.state.as_str(), &report.hold) {
                ("running", None) => Some(Ok(())),
                ("blocked", _) => Some(Err(report.because.join("; "))),
                _ => None,
            }
        })?;
        match started {
            Some(why) => Err(Failure::NotBack { resource: resource.clone(), why }),
            None => {
                let took = begin.elapsed().as_secs_f64();
                writeln!(out, "{GOOD}done{END}: {resource} runs here again after {took:.1} s")?;
                Ok(Exit::Ok)
            }
        }
    }

    fn release(&self, client: &mut Client) -> Result<(), Failure> {
        daemon::ask_over(client, &self.give_back()).map(drop)
    }
}

/// Another node has it.
fn faster(report: &PromotedStatus) -> Option<String> {
    report.peers.iter().find(|peer| peer.primary).map(|peer| format!("{} was faster, and is Primary", peer.node))
}

/// What was told of the way.
struct Account {
    begin: Instant,
    last: String,
}

impl Account {
    /// Says how it goes until something is so. `Some` = it will not be so, for this reason.
    fn until(
        &mut self,
        watching: &Watching,
        end: Instant,
        resource: &str,
        out: &mut dyn Write,
        is_so: impl Fn(&PromotedStatus, bool) -> Option<Result<(), String>>,
    ) -> Result<Option<String>, Failure> {
        let (mut is_under_way, mut because) = (false, String::new());
        while let Some((_, news)) = watching.next(Some(end)) {
            let took = self.begin.elapsed().as_secs_f64();
            let status = match news {
                News::Picture(picture) => understood(picture)?,
                News::Ended(failure) if may_come_back(&failure) => {
                    writeln!(out, "{took:>7.1} s  {WARN}{}{END}", failure.chain())?;
                    continue;
                }
                News::Ended(failure) => return Err(failure),
            };
            let Some(report) = takeover::promoted(&status, resource) else { continue };
            is_under_way |= report.hold.is_some();
            because = report.because.join("; ");
            // How it was before is no step of the way.
            if report.state != self.last && (is_under_way || !self.last.is_empty()) {
                writeln!(out, "{took:>7.1} s  {}", promoted::step(&report))?;
                out.flush()?;
                self.last.clone_from(&report.state);
            }
            match is_so(&report, is_under_way) {
                Some(Ok(())) => return Ok(None),
                Some(Err(why)) => return Ok(Some(why)),
                None => {}
            }
        }
        Ok(Some(format!("the time is up: {because}")))
    }
}
