//! `reactorctl status --all`: each resource, where it runs, whether all is well with it, and how it is on every node of the context.
//!
//! Availability and health are two things: a service that runs on its last node is available, and not well.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use anstyle::Style;
use reactor_api::objects::WireResource;
use reactor_api::verb::{Limit, Verb as _};
use reactor_api::{PromotedStatus, Status};
use serde_json::{Map, Value, json};

use super::status::{StatusArgs, between, duration};
use crate::cli::Place;
use crate::exit::{Exit, Failure};
use crate::nodes::ask_all;
use crate::nodes::context::{self, ContextError, Node, Whose};
use crate::problems::{Severity, problems};
use crate::style::{BAD, DIM, END, GOOD, NAME, WARN, count, harmless, make_harmless};

/// What a node has said.
type Answer = Result<Value, Failure>;

pub(super) fn run(args: &StatusArgs, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
    let nodes = context::nodes(Whose::Ours, &place.context, &[])?;
    if nodes.is_empty() {
        return Err(ContextError::NoNodes.into());
    }
    let request = args.request();
    let answers = ask_all(&nodes, Limit::Short.client().max(request.limit().client()), |client| {
        let mut answer = client.ask_as_it_comes(&request).map_err(Failure::about_resource)?;
        Ok(answer.get_mut("status").map(Value::take).unwrap_or_default())
    });
    let exit = if answers.iter().all(Result::is_ok) { Exit::Ok } else { Exit::NodesFailed };
    if args.json {
        writeln!(out, "{}", document(&nodes, answers))?;
        return Ok(exit);
    }
    let said: Vec<(String, Result<Status, String>)> = nodes
        .iter()
        .zip(answers)
        .map(|(node, answer)| (harmless(&node.name).into_owned(), understood(node, answer)))
        .collect();
    render(&said, &args.resources, out)?;
    Ok(exit)
}

/// `{"n1": {"status": {...}}, "n3": {"error": "..."}}`.
fn document(nodes: &[Node], answers: Vec<Answer>) -> Value {
    let member = |(node, answer): (&Node, Answer)| match answer {
        Ok(status) => (node.name.clone(), json!({ "status": status })),
        Err(failure) => (node.name.clone(), json!({ "error": reason(node, &failure) })),
    };
    Value::Object(nodes.iter().zip(answers).map(member).collect::<Map<_, _>>())
}

fn understood(node: &Node, answer: Answer) -> Result<Status, String> {
    let mut value = answer.map_err(|failure| harmless(&reason(node, &failure)).into_owned())?;
    make_harmless(&mut value);
    serde_json::from_value(value).map_err(|error| format!("its answer is not understood: {error}"))
}

/// Why there is no answer, without the name of the node.
fn reason(node: &Node, failure: &Failure) -> String {
    let text = failure.chain();
    text.strip_prefix(&format!("{}: ", node.name)).unwrap_or(&text).to_owned()
}

/// What one node says of one resource.
struct Here<'a> {
    drbd: Option<&'a WireResource>,
    promoted: Option<&'a PromotedStatus>,
    /// The worst of its problems there, and what it is.
    worst: Option<(Severity, String)>,
}

fn render(said: &[(String, Result<Status, String>)], wanted: &[String], out: &mut dyn Write) -> io::Result<()> {
    let mut table: BTreeMap<&str, BTreeMap<&str, Here<'_>>> = BTreeMap::new();
    let statuses = || said.iter().filter_map(|(node, status)| Some((node.as_str(), status.as_ref().ok()?)));
    for (node, status) in statuses() {
        let problems = problems(status);
        let drbd = status.resources.iter().map(|resource| resource.name.as_str());
        let names: BTreeSet<&str> = drbd.chain(status.promoted.iter().map(|one| one.resource.as_str())).collect();
        for name in names.into_iter().filter(|name| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name)) {
            let is_about = |place: &str| place.split(' ').next() == Some(name);
            let worst =
                problems.iter().filter(|problem| is_about(&problem.place)).min_by_key(|problem| problem.severity);
            let here = Here {
                drbd: status.resources.iter().find(|resource| resource.name == name),
                promoted: status.promoted.iter().find(|promoted| promoted.resource == name),
                worst: worst.map(|problem| (problem.severity, format!("{}: {}", problem.place, problem.what))),
            };
            table.entry(name).or_default().insert(node, here);
        }
    }
    let now: BTreeMap<&str, &str> = statuses().map(|(node, status)| (node, status.now.as_str())).collect();
    for (name, nodes) in &table {
        resource(name, nodes, &now, out)?;
    }
    if table.is_empty() {
        writeln!(out, "{DIM}no resources{END}")?;
    }
    writeln!(out)?;
    for (node, status) in said {
        self::node(node, status, out)?;
    }
    Ok(())
}

fn resource(
    name: &str,
    nodes: &BTreeMap<&str, Here<'_>>,
    now: &BTreeMap<&str, &str>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (available, style) = availability(nodes, now);
    let worst = nodes
        .iter()
        .filter_map(|(node, here)| Some((here.worst.as_ref()?, node)))
        .min_by_key(|((severity, _), _)| *severity);
    let health = match worst {
        None => format!("{GOOD}well{END}"),
        Some(((severity, what), node)) => {
            let (word, style) = severity_word(*severity);
            format!("{style}{word}{END}: {what} (on {node})")
        }
    };
    writeln!(out, "{NAME}{name}{END}  {style}{available}{END}  {health}")?;
    for (node, here) in nodes {
        let state = here.promoted.map_or("-", |promoted| promoted.state.as_str());
        let role = here.drbd.map_or("-", |drbd| drbd.fields.role.as_str());
        writeln!(
            out,
            "  {node:<12} {state:<10} {role:<10} {}",
            here.drbd.map_or_else(|| "not known to DRBD".to_owned(), disks)
        )?;
    }
    Ok(())
}

/// Where it runs. Of what no promoter has, where it is Primary.
fn availability(nodes: &BTreeMap<&str, Here<'_>>, now: &BTreeMap<&str, &str>) -> (String, Style) {
    let running =
        nodes.iter().find_map(|(node, here)| Some((node, here.promoted?)).filter(|(_, it)| it.state == "running"));
    if let Some((node, promoted)) = running {
        let since = now.get(node).and_then(|now| between(&promoted.since, now));
        let long = since.map_or(String::new(), |since| format!(" for {}", duration(since)));
        return (format!("runs on {node}{long}"), GOOD);
    }
    let on_its_way = nodes.iter().find_map(|(node, here)| {
        let state = here.promoted?.state.as_str();
        matches!(state, "starting" | "stopping" | "waiting" | "frozen").then(|| format!("{state} on {node}"))
    });
    if let Some(words) = on_its_way {
        return (words, WARN);
    }
    let primary = nodes.iter().find(|(_, here)| here.drbd.is_some_and(|drbd| drbd.fields.role == "Primary"));
    let is_promoted = nodes.values().any(|here| here.promoted.is_some());
    match primary {
        Some((node, _)) => (format!("Primary on {node}"), if is_promoted { WARN } else { GOOD }),
        None if is_promoted => ("runs nowhere".to_owned(), BAD),
        None => ("Primary nowhere".to_owned(), DIM),
    }
}

fn severity_word(severity: Severity) -> (&'static str, Style) {
    match severity {
        Severity::Bad => ("bad", BAD),
        Severity::Degraded => ("degraded", WARN),
        Severity::Note => ("note", DIM),
    }
}

/// `UpToDate`, or `UpToDate, Inconsistent`: each state of a disk once.
fn disks(drbd: &WireResource) -> String {
    let states: BTreeSet<&str> = drbd.devices.iter().map(|device| device.fields.disk_state.as_str()).collect();
    let states: Vec<&str> = states.into_iter().collect();
    if states.is_empty() { "no volumes".to_owned() } else { states.join(", ") }
}

/// The node itself: what is wrong with its daemon, or that it does not answer.
fn node(name: &str, status: &Result<Status, String>, out: &mut dyn Write) -> io::Result<()> {
    let status = match status {
        Ok(status) => status,
        Err(why) => return writeln!(out, "{BAD}!{END} {NAME}{name}{END}: {why}"),
    };
    let up =
        between(&status.started, &status.now).map(|up| format!(", running for {}", duration(up))).unwrap_or_default();
    let resources = count(status.resources.len() as u64, "resource");
    writeln!(out, "  {NAME}{name}{END}: Storage Reactor {}{up}, {resources}", status.version)?;
    let resources: BTreeSet<&str> = status.resources.iter().map(|resource| resource.name.as_str()).collect();
    for problem in problems(status) {
        let of_resource = problem.place.split(' ').next().is_some_and(|word| resources.contains(word));
        if !of_resource {
            let (word, style) = severity_word(problem.severity);
            writeln!(out, "      {style}{word}{END}: {}: {}", problem.place, problem.what)?;
        }
    }
    Ok(())
}
