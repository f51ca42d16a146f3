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
use crate::steps::follow::Follow;
use crate::steps::part::{self, Action};
use crate::steps::range::DRBD;
use crate::steps::whole::{Whole, in_seconds};
use crate::steps::{Level, Line};

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
        let mut whole = Whole::watch(place, resource, self.range.json, out)?;
        if !matches!(whole.before.state.as_str(), "running" | "starting") {
            let why = format!("{resource} can't be restarted: it {}", sentence_and_why(&whole.before));
            return Err(Failure::Denied { why });
        }
        let own = place.node.as_ref().map_or_else(|| whole.status.node.clone(), |node| node.name.clone());
        let told = self.tell_others(place, &own, &mut whole)?;
        let ended = self.stop_and_start(place, &mut whole);
        for node in &told {
            self.undo(node, &own);
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
    fn tell_others(&self, place: &Place, own: &str, whole: &mut Whole<'_>) -> Result<Vec<Node>, Failure> {
        let peers = whole.before.peers.clone();
        let mut nodes = context::nodes(Whose::Ours, &place.context, &[])?;
        nodes.retain(|node| !same(&node.name, own) && takeover::is_connected(&peers, &node.name));
        let call = self.leave(Some(own), 2 * self.timeout);
        let said = connect_all(&nodes, WITHIN, |client| match daemon::ask_over(client, &call) {
            // No promoter, or one that a person has told otherwise: it starts nothing.
            Err(Failure::NoSuchResource { .. } | Failure::Denied { .. }) => Ok(false),
            asked => asked.map(|outcome| outcome.changed),
        });
        let mut told = Vec::new();
        let able = peers.iter().filter(|peer| peer.obstacles.is_empty());
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
                    let text = format!("{}: {}", node.name, failure.without_node(&node.name));
                    whole.say(&Line::warn(&self.resource, text))?;
                }
            }
        }
        if !could_be_faster.is_empty() {
            let names = could_be_faster.join(", ");
            let text = format!("not told to leave it to this node: {names}; another node may be faster");
            whole.say(&Line::warn(&self.resource, text))?;
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

    fn stop_and_start(&self, place: &Place, whole: &mut Whole<'_>) -> Result<Exit, Failure> {
        let resource = &self.resource;
        let connect = || daemon::connect(place, Limit::Short.client());
        let mut client = connect()?;
        daemon::ask_over(&mut client, &self.leave(None, self.timeout))?;
        whole.say(&Line::info(resource, "restart: its services stop, and start again"))?;
        let mut way = Way { follow: Follow::default(), last: String::new() };
        let _ = way.follow.next(Instant::now(), &whole.before);
        let end = in_seconds(self.timeout) + GRACE;
        let stopped = way.until(whole, end, |report, is_under_way| match &report.hold {
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
        let started = way.until(whole, in_seconds(self.timeout), |report, _| {
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
                let text = format!("runs on {} again", whole.status.node);
                whole.printer.done(resource, &text)?;
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
struct Way {
    follow: Follow,
    /// The state that was told last.
    last: String,
}

impl Way {
    /// Says how it goes until something is so. `Some` = it will not be so, for this reason.
    fn until(
        &mut self,
        whole: &mut Whole<'_>,
        end: Instant,
        is_so: impl Fn(&PromotedStatus, bool) -> Option<Result<(), String>>,
    ) -> Result<Option<String>, Failure> {
        let (mut is_under_way, mut because) = (false, String::new());
        while let Some(report) = whole.next(end)? {
            is_under_way |= report.hold.is_some();
            because = report.because.join("; ");
            // How it was before is no step of the way.
            if report.state != self.last && (is_under_way || !self.last.is_empty()) {
                whole.say(&Line::info(&report.resource, promoted::step(&report)))?;
                self.last.clone_from(&report.state);
            }
            let mut lines = self.follow.next(Instant::now(), &report);
            // Its state has been said.
            lines.retain(|line| line.level != Level::Info || line.about != report.resource);
            whole.say_all(&lines)?;
            match is_so(&report, is_under_way) {
                Some(Ok(())) => return Ok(None),
                Some(Err(why)) => return Ok(Some(why)),
                None => {}
            }
        }
        Ok(Some(format!("the time is up: {because}")))
    }
}
