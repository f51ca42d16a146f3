//! `reactorctl plan`: the decisions that would follow for a promoted resource, as things are or after an event. Nothing is done.
//!
//! The daemon works it out on a copy of what it knows, by the code that decides in earnest. Each node knows its own settings, holds and failures
//! only, so over a context every node is asked, and who would start it first is said.

use std::io::{self, Write};

use anstyle::Style;
use clap::Args;
use reactor_api::PlanStatus;
use reactor_api::plan::PlanStep;
use reactor_api::verbs;
use reactor_api::words::Event;
use serde_json::{Map, Value, json};

use super::promoted::words;
use super::race::{self, Answer};
use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::nodes::context::{self, Node};
use crate::nodes::{ask_all, way};
use crate::style::{BAD, DIM, END, GOOD, NAME, WARN, make_harmless};

/// Say what would be done with a promoted resource, now or after an event, and why; nothing is done
#[derive(Clone, Debug, Args)]
pub struct PlanArgs {
    /// The resource
    #[arg(value_name = "RESOURCE")]
    pub resource: String,

    /// What happens first, in thought: node-down=NODE, quorum-lost, disk-failed, peer-lost=NODE, daemon-restart
    #[arg(long, value_name = "EVENT")]
    pub event: Option<Event>,

    /// Ask all nodes of the context, and say which would start it
    #[arg(short, long)]
    pub all: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl PlanArgs {
    fn request(&self) -> verbs::Plan {
        verbs::Plan { resource: self.resource.as_str().into(), event: self.event.clone() }
    }
}

impl Run for PlanArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        if self.all {
            return self.over_all(place, out);
        }
        let mut answer = daemon::ask_as_it_comes(place, &self.request())?;
        let mut plan = answer.get_mut("plan").map(Value::take).unwrap_or_default();
        if self.json {
            print_json(&plan, out)?;
            return Ok(Exit::Ok);
        }
        make_harmless(&mut plan);
        let plan: PlanStatus = serde_json::from_value(plan).map_err(|source| Failure::Answer { source })?;
        render(&plan, out)?;
        Ok(Exit::Ok)
    }

    fn asks_one_daemon(&self) -> bool {
        !self.all
    }
}

impl PlanArgs {
    fn over_all(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let nodes = context::needed(&place.context)?;
        let answers = ask_nodes(&nodes, &self.resource, self.event.as_ref());
        let exit = if answers.iter().all(|(_, plan)| plan.is_ok()) { Exit::Ok } else { Exit::NodesFailed };
        if self.json {
            print_json(&document(&answers), out)?;
            return Ok(exit);
        }
        race::render(&self.resource, self.event.as_ref(), &answers, out)?;
        Ok(exit)
    }
}

fn print_json(value: &Value, out: &mut dyn Write) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|source| Failure::Answer { source })?;
    Ok(writeln!(out, "{text}")?)
}

/// Each node's plan; not that of the node which is gone then.
pub(super) fn ask_nodes(nodes: &[Node], resource: &str, event: Option<&Event>) -> Vec<Answer> {
    let is_gone = |node: &&Node| match event {
        Some(Event::NodeDown(name) | Event::PeerLost(name)) => race::same(name, &node.name),
        _ => false,
    };
    let asked: Vec<Node> = nodes.iter().filter(|node| !is_gone(node)).cloned().collect();
    let request = verbs::Plan { resource: resource.into(), event: event.cloned() };
    let plans = ask_all(&asked, way::LIMIT, |client| {
        let plan = daemon::ask_over(client, &request)?.plan.known();
        plan.map_err(|source| Failure::Answer { source })
    });
    let plans = plans.into_iter().zip(&asked).map(|(plan, node)| {
        let why = |failure: Failure| {
            let text = failure.chain();
            text.strip_prefix(&format!("{}: ", node.name)).unwrap_or(&text).to_owned()
        };
        (node.name.clone(), plan.map_err(why))
    });
    plans.collect()
}

/// `{"nodes": {"n1": {"plan": {...}}, "n3": {"error": "..."}}, "starts": ["n1"]}`.
pub(super) fn document(answers: &[Answer]) -> Value {
    let member = |(node, plan): &Answer| match plan {
        Ok(plan) => (node.clone(), json!({ "plan": plan })),
        Err(why) => (node.clone(), json!({ "error": why })),
    };
    let nodes = Value::Object(answers.iter().map(member).collect::<Map<_, _>>());
    json!({ "nodes": nodes, "starts": race::first(answers).map(|(names, _)| names).unwrap_or_default() })
}

/// Prints the plan of one node.
fn render(plan: &PlanStatus, out: &mut dyn Write) -> io::Result<()> {
    let condition = condition(plan.event.as_deref(), &plan.node);
    writeln!(out, "{NAME}{}{END} on {}, {condition}: {}", plan.resource, plan.node, does(plan))?;
    for (number, step) in plan.steps.iter().enumerate() {
        self::step(step, number == 0, out)?;
    }
    if plan.ends == "bound" {
        writeln!(out, "  and so on: it was followed no further")?;
    }
    writeln!(out)?;
    if let Some(what) = counted_from(plan.event.as_deref()) {
        writeln!(out, "  {DIM}{what}{END}")?;
    }
    for assumed in &plan.assumed {
        writeln!(out, "  assumed: {assumed}")?;
    }
    for unknown in &plan.unknown {
        writeln!(out, "  not known here: {unknown}")?;
    }
    if !plan.unknown.is_empty() {
        let event = plan.event.as_ref().map(|event| format!(" --event {event}")).unwrap_or_default();
        writeln!(out, "  reactorctl plan {}{event} --all asks all nodes of the context", plan.resource)?;
    }
    Ok(())
}

fn step(step: &PlanStep, is_first: bool, out: &mut dyn Write) -> io::Result<()> {
    let when = if is_first { "now".to_owned() } else { after(step.in_ms) };
    let what = step.action.as_deref().map_or_else(|| words(&step.state).to_owned(), str::to_owned);
    writeln!(out, "  {when:<10} {NAME}{what}{END}")?;
    for fact in &step.because {
        writeln!(out, "  {:<10}   because {fact}", "")?;
    }
    if let (Some(ms), Some(what)) = (step.next_in_ms, &step.next_for) {
        writeln!(out, "  {:<10}   {DIM}{}: {what}{END}", "", after(ms))?;
    }
    Ok(())
}

/// The condition, as part of a sentence.
pub(super) fn condition(event: Option<&str>, node: &str) -> String {
    match event.map(str::parse) {
        None => "as things are".to_owned(),
        Some(Ok(Event::NodeDown(other))) => format!("if {other} goes down"),
        Some(Ok(Event::QuorumLost)) => format!("if {node} loses quorum"),
        Some(Ok(Event::DiskFailed)) => format!("if its disks on {node} fail"),
        Some(Ok(Event::PeerLost(other))) => format!("if {node} and {other} do not reach each other any more"),
        Some(Ok(Event::DaemonRestart)) => format!("if the daemon of {node} is restarted"),
        // Of a newer daemon.
        Some(Err(_)) => format!("after {}", event.unwrap_or_default()),
    }
}

/// From when the times of a plan count.
pub(super) fn counted_from(event: Option<&str>) -> Option<&'static str> {
    match event?.parse() {
        Ok(Event::NodeDown(_) | Event::PeerLost(_) | Event::QuorumLost) => {
            Some("Times count from when DRBD notices, by default within 10.5 s (ping-int).")
        }
        Ok(Event::DiskFailed) => Some("Times count from when DRBD notices: with the next I/O to the disk."),
        Ok(Event::DaemonRestart) | Err(_) => None,
    }
}

/// What comes of it, in short.
pub(super) fn does(plan: &PlanStatus) -> String {
    let when = plan.in_ms.map(after).unwrap_or_default();
    let (style, text): (Style, String) = match plan.does.as_str() {
        "starts" => (GOOD, format!("it starts here, {when}")),
        "stops" => (WARN, format!("it is stopped, {when}")),
        "freezes" => (WARN, format!("its services are frozen, {when}")),
        "runs" => (GOOD, "it runs here, and goes on".to_owned()),
        "frozen" => (WARN, "its services stay frozen".to_owned()),
        "nothing" => (NAME, "nothing is started here".to_owned()),
        "down" => (BAD, "all that runs on it is gone".to_owned()),
        other => (NAME, other.to_owned()),
    };
    format!("{style}{text}{END}")
}

/// `at once`, `after 0.2 s`, `after 5 s`, `after 2 h 0 min`.
pub(super) fn after(ms: u64) -> String {
    match ms {
        0 => "at once".to_owned(),
        1..60_000 if ms.is_multiple_of(1000) => format!("after {} s", ms / 1000),
        1..60_000 => format!("after {}.{} s", ms / 1000, ms % 1000 / 100),
        _ => format!("after {}", crate::text::duration(std::time::Duration::from_millis(ms))),
    }
}
