//! Promoted resources that run on no node, and what each node says of that.

use std::collections::BTreeMap;

use reactor_api::PromotedStatus;
use reactor_api::doctor::{Finding, Severity};
use reactor_api::objects::WireResource;

use super::{Cluster, Node, finding, listed};

/// Its word in a finding.
pub const NOWHERE: &str = "nowhere";

/// What one node has of a resource.
#[derive(Clone, Copy)]
struct Here<'a> {
    node: &'a Node,
    promoted: Option<&'a PromotedStatus>,
    drbd: Option<&'a WireResource>,
}

pub(super) fn check(cluster: &Cluster<'_>, out: &mut Vec<Finding>) {
    let mut all: BTreeMap<&str, Vec<Here<'_>>> = BTreeMap::new();
    for node in cluster.nodes {
        let Some(status) = &node.status else { continue };
        let mut here: BTreeMap<&str, Here<'_>> = BTreeMap::new();
        let nothing = Here { node, promoted: None, drbd: None };
        for one in &status.promoted {
            here.entry(&one.resource).or_insert(nothing).promoted = Some(one);
        }
        for one in &status.resources {
            here.entry(&one.name).or_insert(nothing).drbd = Some(one);
        }
        for (name, here) in here {
            all.entry(name).or_default().push(here);
        }
    }
    for (name, nodes) in all {
        out.extend(of_resource(cluster, name, &nodes));
    }
}

fn of_resource(cluster: &Cluster<'_>, name: &str, nodes: &[Here<'_>]) -> Option<Finding> {
    let says: Vec<(&Node, &PromotedStatus)> =
        nodes.iter().filter_map(|here| Some((here.node, here.promoted?))).collect();
    let is = |words: &[&str]| says.iter().any(|(_, one)| words.contains(&one.state.as_str()));
    // Frozen it is somewhere, and a finding of its own.
    if says.is_empty() || is(&["running", "frozen"]) || nodes.iter().any(sees_primary) {
        return None;
    }
    let others = Others::of(cluster, nodes);
    let on_its_way = is(&["starting", "waiting", "stopping", "preparing"]);
    let asked_for = says.iter().all(|(_, one)| matches!(one.state.as_str(), "held" | "drained"));
    let (severity, how) = match (on_its_way, asked_for) {
        (true, _) => (Severity::Warning, "runs nowhere just now"),
        (false, true) => (Severity::Warning, "runs nowhere: it was asked for"),
        (false, false) => (Severity::Error, "runs nowhere"),
    };
    let unseen = match &others.unseen[..] {
        [] => String::new(),
        unseen => format!(", as far as is known: nobody who answers sees {}", listed(unseen)),
    };
    let mut facts: Vec<String> = says.iter().map(|(node, one)| reason(node, one)).collect();
    facts.extend(others.facts);
    Some(Finding {
        resource: Some(name.to_owned()),
        why: if on_its_way { "it is down until one of them has started it" } else { "nobody can use it" }.to_owned(),
        facts,
        mend: says.iter().flat_map(|(node, one)| mend(node, one)).collect(),
        ..finding(severity, NOWHERE, name, format!("{how}{unseen}"))
    })
}

/// Whether it is Primary there, or on a node that this one is connected to.
fn sees_primary(here: &Here<'_>) -> bool {
    here.drbd.is_some_and(|drbd| {
        drbd.fields.role == "Primary" || drbd.connections.iter().any(|peer| peer.fields.peer_role == "Primary")
    })
}

/// The nodes that have no promoter to say something.
struct Others<'a> {
    facts: Vec<String>,
    /// Those that nobody sees.
    unseen: Vec<&'a str>,
}

impl<'a> Others<'a> {
    fn of(cluster: &'a Cluster<'_>, nodes: &[Here<'a>]) -> Self {
        let mut others = Self { facts: Vec::new(), unseen: Vec::new() };
        // Who is connected to it, and as what it is seen.
        let mut seen: BTreeMap<&str, Option<(&str, &str)>> = BTreeMap::new();
        for Here { node, drbd, .. } in nodes {
            for connection in drbd.iter().flat_map(|drbd| &drbd.connections) {
                let Some(peer) = connection.fields.name.as_deref() else { continue };
                let peer = cluster.known_as(peer);
                let role = (connection.fields.connection_state == "Connected")
                    .then_some((node.name.as_str(), connection.fields.peer_role.as_str()));
                let known = seen.entry(peer).or_default();
                *known = known.or(role);
            }
        }
        for node in cluster.nodes.iter().filter(|node| node.silent.is_some()) {
            seen.entry(&node.name).or_default();
        }
        for (peer, role) in seen {
            let node = cluster.nodes.iter().find(|node| node.name == peer);
            let has_promoter =
                |node: &Node| nodes.iter().any(|one| one.node.name == node.name && one.promoted.is_some());
            let fact = match (node, role) {
                (Some(node), _) if has_promoter(node) => continue,
                (Some(node), _) if node.status.is_some() => "no promoter has it there".to_owned(),
                (Some(_), Some((by, role))) => format!("no answer; {role}, as {by} says"),
                (Some(_), None) => "no answer, and nobody who answers is connected to it".to_owned(),
                (None, Some((by, role))) => format!("not asked; {role}, as {by} says"),
                (None, None) => "not asked, and not connected".to_owned(),
            };
            if role.is_none() && node.is_none_or(|node| node.status.is_none()) {
                others.unseen.push(peer);
            }
            others.facts.push(format!("{peer}: {fact}"));
        }
        others
    }
}

/// What a node says of it, with what has failed there.
fn reason(node: &Node, one: &PromotedStatus) -> String {
    let mut parts = one.because.clone();
    parts.extend(one.last_failure.iter().filter(|last| !one.because.contains(last)).cloned());
    parts.extend(failed(one).map(|unit| format!("unit {unit} has failed")));
    let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join("; ")) };
    format!("{}: {}{parts}", node.name, one.state)
}

fn failed(one: &PromotedStatus) -> impl Iterator<Item = &str> {
    one.units.iter().filter(|unit| unit.active == "failed").map(|unit| unit.unit.as_str())
}

fn mend(node: &Node, one: &PromotedStatus) -> Vec<String> {
    let (node, name) = (&node.name, &one.resource);
    let mut lines: Vec<String> = failed(one).map(|unit| format!("on {node}: systemctl status {unit}")).collect();
    lines.extend(match one.state.as_str() {
        "blocked" => Some(format!("on {node}, when that is mended: reactorctl clear {name}")),
        "held" => {
            let is_stopped = one.hold.as_ref().is_some_and(|hold| hold.stops && hold.until_primary.is_none());
            let verb = if is_stopped { "start" } else { "release" };
            Some(format!("on {node}: reactorctl {verb} {name}     (whoever said so may have a reason)"))
        }
        "drained" => Some(format!("on {node}: reactorctl undrain     (whoever has drained it may have a reason)")),
        "starting" | "waiting" | "stopping" => None,
        _ => Some(format!("on {node}: reactorctl why {name}")),
    });
    lines
}
