//! `reactorctl plan`: the decisions that would follow for a promoted resource, as things are or after an event. Nothing is done.
//!
//! The daemon works it out on a copy of what it knows, by the code that decides in earnest. Each node knows its own settings, holds and failures
//! only, so over a context every node is asked, and who would start it first is said.

use std::io::{self, Write};

use clap::Args;
use reactor_api::PlanStatus;
use reactor_api::plan::PlanStep;
use reactor_api::verbs;
use reactor_api::words::Event;
use serde_json::Value;

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::nodes::context;
use crate::parts::promoted::words;
use crate::parts::race::{self, after, ask_of, condition, counted_from, document, does};
use crate::style::{DIM, END, NAME, make_harmless};

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
        let answers = ask_of(&nodes, &self.resource, self.event.as_ref());
        let exit = race::exit(&answers);
        if self.json {
            print_json(&document(&answers), out)?;
            return Ok(exit);
        }
        match exit {
            Exit::NoSuchResource => return Err(Failure::NoSuchResource { resource: self.resource.clone() }),
            Exit::Refused => return Err(Failure::Denied { why: race::unsaid(&answers) }),
            _ => {}
        }
        race::render(&self.resource, self.event.as_ref(), &answers, out)?;
        Ok(exit)
    }
}

fn print_json(value: &Value, out: &mut dyn Write) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|source| Failure::Answer { source })?;
    Ok(writeln!(out, "{text}")?)
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
    if let Some(what) = counted_from(plan.event.as_deref(), plan.noticed_within_ms) {
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
