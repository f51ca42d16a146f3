//! `reactorctl wait`: until something is so.
//!
//! Whatever ends meanwhile is tried again, so that a daemon may be restarted: the time that was given is what ends it.

use std::io::Write;
use std::time::{Duration, Instant};

use clap::Args;
use reactor_api::Status;
use reactor_api::status::SourceState;
use serde_json::{Map, Value, json};

use crate::cli::Place;
use crate::commands::Run;
use crate::exit::{Exit, Failure};
use crate::expression::{self, Expression, Known, Missing, Verdict, parse};
use crate::nodes::context;
use crate::nodes::way;
use crate::progress::Progress;
use crate::style::{END, GOOD, NAME, harmless};
use crate::watching::{News, Then, Watching, Whom, may_come_back, understood};

/// Wait until something is so of a resource, for example 'role=Primary and disk=UpToDate'
#[derive(Clone, Debug, Args)]
#[command(after_long_help = expression::help())]
pub struct WaitArgs {
    /// The resource
    #[arg(value_name = "RESOURCE")]
    pub resource: String,

    /// What has to be so: FIELD=VALUE, with != < <= > >=, and, or, not, ( ); any FIELD=VALUE if one of several is enough
    #[arg(value_name = "CONDITION", required = true, num_args = 1..)]
    pub condition: Vec<String>,

    /// How long: a number of seconds, or for example 10m; without it, for ever
    #[arg(long, value_name = "TIME", value_parser = reactor_config::parse_duration)]
    pub timeout: Option<Duration>,

    /// On every node of the context that has the resource
    #[arg(short, long, conflicts_with = "any")]
    pub all: bool,

    /// On one node of the context at least
    #[arg(long)]
    pub any: bool,

    /// Print one JSON object at the end
    #[arg(long)]
    pub json: bool,
}

impl Run for WaitArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let text = self.condition.join(" ");
        let condition = parse(&text).map_err(|mistake| Failure::Condition { report: mistake.render(&text) })?;
        let (mut names, whom) = self.whom(place)?;
        let mut waiting = Waiting {
            args: self,
            condition,
            nodes: names.drain(..).map(|name| Node { name, ..Node::default() }).collect(),
            progress: Progress::begin(),
        };
        let watching = Watching::start(whom, std::slice::from_ref(&self.resource), Then::Again);
        let ended = waiting.wait(&watching, out);
        waiting.progress.end(out)?;
        waiting.tell(ended?, out)
    }

    fn asks_one_daemon(&self) -> bool {
        !(self.all || self.any)
    }
}

impl WaitArgs {
    /// Names of the nodes, and the nodes.
    fn whom(&self, place: &Place) -> Result<(Vec<String>, Vec<Whom>), Failure> {
        if self.asks_one_daemon() {
            let name = place.node.as_ref().map(|node| node.name.clone()).unwrap_or_default();
            return Ok((vec![name], vec![Whom::Here(Box::new(place.clone()))]));
        }
        let nodes = context::needed(&place.context)?;
        Ok(nodes.into_iter().map(|node| (node.name.clone(), Whom::Node(node))).unzip())
    }
}

/// What is known of one node.
#[derive(Debug, Default)]
struct Node {
    /// Empty for the one daemon that is asked: it says its name itself.
    name: String,
    said: Said,
    /// It has had the resource.
    had_it: bool,
}

impl Node {
    fn is_met(&self) -> bool {
        matches!(&self.said, Said::Verdict(verdict) if verdict.is_met)
    }
}

#[derive(Debug, Default)]
enum Said {
    /// Nothing yet.
    #[default]
    Nothing,
    /// It has no picture of DRBD, for this reason.
    Blind(String),
    /// It knows no such resource.
    Absent,
    /// How it is.
    Verdict(Verdict),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Met,
    TimedOut,
    Gone,
}

impl Ended {
    fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::TimedOut => "timed-out",
            Self::Gone => "gone",
        }
    }

    fn exit(self) -> Exit {
        match self {
            Self::Met => Exit::Ok,
            Self::TimedOut => Exit::NotMet,
            Self::Gone => Exit::Gone,
        }
    }
}

struct Waiting<'a> {
    args: &'a WaitArgs,
    condition: Expression,
    nodes: Vec<Node>,
    progress: Progress,
}

impl Waiting<'_> {
    fn wait(&mut self, watching: &Watching, out: &mut dyn Write) -> Result<Ended, Failure> {
        let begin = Instant::now();
        let given = self.args.timeout.and_then(|time| begin.checked_add(time));
        loop {
            // Each is asked once, however short the time is.
            let end = given.map(|end| if self.all_have_said() { end } else { end.max(begin + way::LIMIT) });
            match watching.next(self.progress.next(end)) {
                Some((number, News::Picture(picture))) => self.seen(number, &understood(picture)?),
                Some((number, News::Ended(failure))) => self.lost(number, failure)?,
                None => {}
            }
            if let Some(ended) = self.judge()? {
                return Ok(ended);
            }
            let is_over = |end: Instant| end <= Instant::now();
            if end.is_some_and(is_over) || (given.is_some_and(is_over) && self.all_have_said()) {
                return Ok(Ended::TimedOut);
            }
            if !self.args.json && self.all_have_said() {
                let missing = self.missing();
                self.progress.step(&missing, out)?;
            }
        }
    }

    fn all_have_said(&self) -> bool {
        self.nodes.iter().all(|node| !matches!(node.said, Said::Nothing))
    }

    /// A node says how it is.
    fn seen(&mut self, number: usize, status: &Status) {
        let known = Known::of(status, &self.args.resource);
        let said = match (status.source.state, known.is_there()) {
            (SourceState::Up | SourceState::Ended, true) => Said::Verdict(self.condition.judge(&known)),
            (SourceState::Up | SourceState::Ended, false) => Said::Absent,
            (SourceState::Down, _) => Said::Blind("it has no news of DRBD".to_owned()),
            (SourceState::Starting | SourceState::Unknown, _) => Said::Blind("it has just started".to_owned()),
        };
        let node = &mut self.nodes[number];
        if node.name.is_empty() {
            node.name = harmless(&status.node).into_owned();
        }
        node.had_it |= known.is_there();
        node.said = said;
    }

    /// A node says nothing more, for now.
    fn lost(&mut self, number: usize, failure: Failure) -> Result<(), Failure> {
        let (is_alone, node) = (self.args.asks_one_daemon(), &mut self.nodes[number]);
        let is_new = matches!(node.said, Said::Nothing);
        // Who has never answered is not restarted just now: of one node that is an answer, of many one that is dead.
        if is_alone && (is_new || !may_come_back(&failure)) {
            return Err(failure);
        }
        node.said = Said::Blind(failure.without_node(&node.name));
        Ok(())
    }

    /// Whether it is over.
    fn judge(&self) -> Result<Option<Ended>, Failure> {
        if self.args.any && self.nodes.iter().any(Node::is_met) {
            return Ok(Some(Ended::Met));
        }
        // Those that have it, or of which nobody knows.
        let mut wanted = self.nodes.iter().filter(|node| !matches!(node.said, Said::Absent)).peekable();
        let is_gone = |node: &Node| node.had_it && matches!(node.said, Said::Absent);
        if wanted.peek().is_none() {
            if self.nodes.iter().any(|node| node.had_it) {
                return Ok(Some(Ended::Gone));
            }
            return Err(Failure::Unknown { resource: self.args.resource.clone() });
        }
        if self.args.any {
            return Ok(None);
        }
        if self.nodes.iter().any(is_gone) {
            return Ok(Some(Ended::Gone));
        }
        Ok(wanted.all(Node::is_met).then_some(Ended::Met))
    }

    /// What is missing still, on which node.
    fn missing(&self) -> String {
        let is_alone = self.args.asks_one_daemon();
        let of = |node: &Node| {
            let what = match &node.said {
                Said::Nothing => "it has not answered yet".to_owned(),
                Said::Blind(why) => why.clone(),
                Said::Absent => return None,
                Said::Verdict(verdict) if verdict.is_met => return None,
                Said::Verdict(verdict) => list(&verdict.missing),
            };
            Some(if is_alone { what } else { format!("{}: {what}", node.name) })
        };
        let missing: Vec<String> = self.nodes.iter().filter_map(of).collect();
        format!("not yet: {}", missing.join("; "))
    }

    /// Of several nodes: on which it is so.
    fn met_on(&self) -> String {
        if self.args.asks_one_daemon() {
            return String::new();
        }
        let met = self.nodes.iter().filter(|node| node.is_met());
        format!(" on {}", met.map(|node| node.name.as_str()).collect::<Vec<_>>().join(" and "))
    }

    /// The end of it.
    fn tell(&self, ended: Ended, out: &mut dyn Write) -> Result<Exit, Failure> {
        if self.args.json {
            writeln!(out, "{}", self.document(ended))?;
            return Ok(ended.exit());
        }
        let (resource, took) = (&self.args.resource, self.progress.took());
        match ended {
            Ended::Met => {
                let took = took.as_secs_f64();
                let on = self.met_on();
                writeln!(out, "{GOOD}done{END}: {NAME}{resource}{END}: {}{on} after {took:.1} s", self.condition)?;
                Ok(Exit::Ok)
            }
            Ended::TimedOut => {
                Err(Failure::NotMet { resource: resource.clone(), seconds: took.as_secs(), missing: self.missing() })
            }
            Ended::Gone => Err(Failure::Gone { resource: resource.clone() }),
        }
    }

    fn document(&self, ended: Ended) -> Value {
        let node = |node: &Node| {
            let value = match &node.said {
                Said::Nothing => json!({ "met": false, "error": "it has not answered yet" }),
                Said::Blind(why) => json!({ "met": false, "error": why }),
                Said::Absent => json!({ "met": false, "absent": true }),
                Said::Verdict(verdict) => {
                    let missing = |missing: &Missing| json!({ "part": missing.part, "is": missing.is });
                    let missing: Vec<Value> = verdict.missing.iter().map(missing).collect();
                    json!({ "met": verdict.is_met, "missing": missing })
                }
            };
            (node.name.clone(), value)
        };
        json!({
            "result": ended.as_str(),
            "resource": self.args.resource,
            "condition": self.condition.to_string(),
            "waited-ms": u64::try_from(self.progress.took().as_millis()).unwrap_or(u64::MAX),
            "nodes": Value::Object(self.nodes.iter().map(node).collect::<Map<_, _>>()),
        })
    }
}

fn list(missing: &[Missing]) -> String {
    missing.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
