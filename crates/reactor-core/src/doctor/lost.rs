//! Connections that do not stand: with whom, for how long, and what to look at. Those that are StandAlone are judged in `split_brain`, those to a
//! node that does not answer in `silent`.

use std::collections::{BTreeMap, BTreeSet};

use reactor_api::doctor::{Finding, Severity};
use reactor_api::objects::WireConnection;

use super::links::{Losses, address, connections, link, losses};
use super::{Cluster, Lost, Node, finding, listed, some_of};

const CHECK: &str = "links";

/// A connection that has not come back by itself within this many seconds is a matter for a person.
const LONG_S: u64 = 600;

/// One connection that is lost, as one node has it.
struct Side<'a> {
    node: &'a Node,
    resource: &'a str,
    /// By its name here.
    peer: String,
    connection: &'a WireConnection,
}

/// What is one finding.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Where {
    /// This node has lost all others.
    CutOff(String),
    /// Two nodes have lost each other.
    Between(String, String),
    /// A node of which only others tell.
    To(String),
}

pub(super) fn check(cluster: &Cluster<'_>, out: &mut Vec<Finding>) {
    let sides: Vec<Side<'_>> = cluster.nodes.iter().flat_map(|node| lost(cluster, node)).collect();
    let cut_off = cut_off(cluster, &sides);
    let mut places: BTreeMap<Where, Vec<Side<'_>>> = BTreeMap::new();
    for side in sides {
        let (node, peer) = (&side.node.name, &side.peer);
        let place = if let Some(alone) = [node, peer].into_iter().find(|name| cut_off.contains(name.as_str())) {
            Where::CutOff(alone.clone())
        } else if cluster.nodes.iter().all(|one| one.name != *peer) {
            Where::To(peer.clone())
        } else {
            Where::Between(node.min(peer).clone(), node.max(peer).clone())
        };
        places.entry(place).or_default().push(side);
    }
    let losses = losses(cluster);
    for (place, sides) in places {
        let often = sides.iter().filter_map(|side| losses.get(&link(side.resource, &side.node.name, &side.peer)));
        let often = often.max_by_key(|losses| losses.times);
        out.push(judged(cluster, &place, &sides, often));
    }
}

/// The connections that a node has lost, but for those that are being brought up, and those of which another finding tells.
fn lost<'a>(cluster: &'a Cluster<'_>, node: &'a Node) -> impl Iterator<Item = Side<'a>> {
    let promoted = || node.status.iter().flat_map(|status| &status.promoted);
    let comes_up = move |name: &str| promoted().any(|one| one.resource == name && one.is_adjusting);
    connections(node).filter_map(move |(_, resource, connection)| {
        let peer = cluster.known_as(&connection.display_name()).to_owned();
        let is_lost = !matches!(connection.fields.connection_state.as_str(), "Connected" | "StandAlone");
        let there = cluster.nodes.iter().find(|one| one.name == peer);
        let is_told = there.is_some_and(|there| there.silent.is_some() || is_alone(there, resource, node));
        (is_lost && !comes_up(resource) && !is_told).then_some(Side { node, resource, peer, connection })
    })
}

/// Whether that node has given its side of it up.
fn is_alone(node: &Node, resource: &str, peer: &Node) -> bool {
    connections(node).any(|(_, name, connection)| {
        name == resource
            && connection.fields.name.as_deref().is_some_and(|name| peer.is_called(name))
            && connection.fields.connection_state == "StandAlone"
    })
}

/// The nodes that have more than one peer, and are connected with none.
fn cut_off<'a>(cluster: &'a Cluster<'_>, sides: &[Side<'a>]) -> BTreeSet<&'a str> {
    let is_alone = |node: &&Node| {
        let peers: BTreeSet<&str> =
            sides.iter().filter(|side| side.node.name == node.name).map(|side| side.peer.as_str()).collect();
        let all_are_lost = connections(node).all(|(.., one)| one.fields.connection_state != "Connected");
        peers.len() > 1 && all_are_lost
    };
    cluster.nodes.iter().filter(is_alone).map(|node| node.name.as_str()).collect()
}

fn judged(cluster: &Cluster<'_>, place: &Where, sides: &[Side<'_>], often: Option<&Losses<'_>>) -> Finding {
    let names: BTreeSet<&str> = sides.iter().map(|side| side.resource).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let one = if let [one] = names[..] { Some(one.to_owned()) } else { None };
    let of = if one.is_some() { String::new() } else { format!(" ({})", some_of(&names)) };
    let longest = sides.iter().filter_map(Side::since).max_by_key(|lost| lost.seconds);
    let how_long = longest.map_or(String::new(), |lost| format!(", {lost}"));
    let severity = match longest {
        Some(lost) if lost.seconds >= LONG_S => Severity::Error,
        Some(_) | None => Severity::Warning,
    };
    let others = |name: &str| {
        let both = sides.iter().flat_map(|side| [side.node.name.as_str(), side.peer.as_str()]);
        let others: BTreeSet<&str> = both.filter(|one| *one != name).collect();
        listed(&others.into_iter().collect::<Vec<_>>())
    };
    let (place_words, what) = match place {
        Where::CutOff(node) => (node.clone(), format!("cut off: not connected with {}", others(node))),
        Where::Between(a, b) => (format!("between {a} and {b}"), "not connected".to_owned()),
        Where::To(peer) => (format!("{} connection to {peer}", others(peer)), "not connected".to_owned()),
    };
    let mut facts = facts(sides);
    let absent = absent(cluster, sides);
    facts.extend(absent.iter().map(|(node, names)| format!("{node}: DRBD does not have {} there", some_of(names))));
    facts.extend(often.map(|losses| format!("it comes and goes: {losses}")));
    Finding {
        resource: one,
        why: "what one side writes the other does not have: there is one copy less, and a node less that can take over"
            .to_owned(),
        facts,
        mend: if absent.is_empty() { look(cluster, place, sides) } else { bring_up(&absent) },
        ..finding(severity, CHECK, place_words, format!("{what}{how_long}{of}"))
    }
}

impl Side<'_> {
    fn since(&self) -> Option<&Lost> {
        self.node.lost.get(&(self.resource.to_owned(), self.connection.display_name()))
    }
}

/// One line for each end and state.
fn facts(sides: &[Side<'_>]) -> Vec<String> {
    let mut said: BTreeMap<(&str, &str, String), Vec<&str>> = BTreeMap::new();
    for side in sides {
        let since = side.since().map(|lost| format!(", since {}", lost.since)).unwrap_or_default();
        let state = format!("{}{since}", side.connection.fields.connection_state);
        said.entry((&side.node.name, &side.peer, state)).or_default().push(side.resource);
    }
    let line = |((node, peer, state), names): ((&str, &str, String), Vec<&str>)| {
        format!("{node} to {peer}: {}: {state}", some_of(&names))
    };
    said.into_iter().map(line).collect()
}

/// Resources that the peer does not have: it answers, and its DRBD knows nothing of them.
fn absent<'a>(cluster: &'a Cluster<'_>, sides: &[Side<'a>]) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut absent: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for side in sides {
        let Some(there) = cluster.nodes.iter().find(|node| node.name == side.peer) else { continue };
        let Some(status) = &there.status else { continue };
        if status.resources.iter().all(|one| one.name != side.resource) {
            absent.entry(&there.name).or_default().push(side.resource);
        }
    }
    absent
}

fn bring_up(absent: &BTreeMap<&str, Vec<&str>>) -> Vec<String> {
    let up = |(node, names): (&&str, &Vec<&str>)| format!("on {node}: drbdadm up {}", names.join(" "));
    absent.iter().map(up).collect()
}

/// What to look at.
fn look(cluster: &Cluster<'_>, place: &Where, sides: &[Side<'_>]) -> Vec<String> {
    let Some(side) = sides.first() else { return Vec::new() };
    let (node, resource, peer) = (&side.node.name, side.resource, &side.peer);
    let mut lines = Vec::new();
    if let Where::To(peer) = place {
        lines.push(format!(
            "does {peer} have power, and a network? Its console says; and there: drbdadm status {resource}"
        ));
    }
    if let Some((host, port)) = address(cluster, resource, node, peer) {
        lines.push(format!("on {node}: ping -c 3 {host}; nc -zv {host} {port}     (a cable, a switch, a firewall)"));
    }
    lines.push(format!("on both: journalctl -k -n 50 -g 'drbd {resource}'     (what DRBD says of each attempt)"));
    lines
}
