//! The network between nodes, as DRBD sees it: how soon a dead node is noticed, and links that come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use reactor_api::change::WireWhat;
use reactor_api::doctor::{Finding, Severity};
use reactor_api::objects::WireConnection;

use super::{Cluster, Node, finding, some_of};

const CHECK: &str = "links";

/// A dead node may take this long to be noticed, in milliseconds, before there is advice about it.
const SOON_MS: u64 = 4_000;

/// Losses of one connection that are remembered and still no pattern.
const SOME: usize = 3;

/// States of a connection that say that the network failed, not that somebody has disconnected.
const LOST: [&str; 5] = ["NetworkFailure", "Timeout", "BrokenPipe", "ProtocolError", "Unconnected"];

pub(super) fn check(cluster: &Cluster<'_>, out: &mut Vec<Finding>) {
    for (resource, _) in cluster.promoted() {
        slow_to_notice(cluster, resource.as_str(), out);
    }
    come_and_go(cluster, out);
    for node in cluster.nodes {
        congestion(node, out);
    }
}

/// `ping-int` and `ping-timeout`: a Secondary that hears nothing waits for both.
fn slow_to_notice(cluster: &Cluster<'_>, resource: &str, out: &mut Vec<Finding>) {
    let times = cluster.facts_of(resource).flat_map(|(node, facts)| {
        facts.connections.values().filter_map(move |net| {
            let number = |key: &str| net.get(key)?.parse::<u64>().ok();
            let (interval_s, timeout_ds) = (number("ping-int")?, number("ping-timeout").unwrap_or(5));
            Some((interval_s * 1000 + timeout_ds * 100, interval_s, node))
        })
    });
    let Some((ms, interval_s, node)) = times.max_by_key(|(ms, ..)| *ms).filter(|(ms, ..)| *ms > SOON_MS) else {
        return;
    };
    out.push(Finding {
        resource: Some(resource.to_owned()),
        why: "nothing can be taken over before a peer is known to be gone: this is the longest part of a fail-over"
            .to_owned(),
        mend: vec![
            format!("in the file of {resource} in /etc/drbd.d: net {{ ping-int 2; }}"),
            format!("drbdadm adjust {resource}"),
        ],
        ..finding(
            Severity::Note,
            CHECK,
            node,
            format!(
                "ping-int is {interval_s}: that a node has died is noticed after up to {}.{} s",
                ms / 1000,
                ms % 1000 / 100
            ),
        )
    });
}

/// How often the network has ended a connection, as far as a daemon remembers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Losses<'a> {
    pub(super) times: usize,
    first: &'a str,
    last: &'a str,
}

impl fmt::Display for Losses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lost {} times between {} and {}", self.times, self.first, self.last)
    }
}

/// A resource and two nodes, in the order of their names: a link that both ends tell of is one.
pub(super) type Link<'a> = (&'a str, String, String);

/// The link of a resource between two nodes.
pub(super) fn link<'a>(resource: &'a str, a: &str, b: &str) -> Link<'a> {
    (resource, a.min(b).to_owned(), a.max(b).to_owned())
}

/// Links that the network has ended again and again; as the end has it that has seen more of it.
pub(super) fn losses<'a>(cluster: &'a Cluster<'_>) -> BTreeMap<Link<'a>, Losses<'a>> {
    let mut all: BTreeMap<Link<'a>, Losses<'a>> = BTreeMap::new();
    for node in cluster.nodes {
        let mut here: BTreeMap<Link<'a>, Losses<'a>> = BTreeMap::new();
        for change in &node.changes {
            let WireWhat::Connection { peer_node_id, old: Some(old), new: Some(new) } = &change.what else { continue };
            if old.connection_state == "Connected" && LOST.contains(&new.connection_state.as_str()) {
                let peer = new.name.clone().unwrap_or_else(|| format!("node {peer_node_id}"));
                let peer = cluster.known_as(&peer);
                let at = change.time.as_deref().unwrap_or_default();
                let known = here.entry(link(&change.resource, &node.name, peer));
                let known = known.or_insert(Losses { times: 0, first: at, last: at });
                (known.times, known.last) = (known.times + 1, at);
            }
        }
        for (link, seen) in here.into_iter().filter(|(_, seen)| seen.times >= SOME) {
            let known = all.entry(link).or_insert(seen);
            if seen.times > known.times {
                *known = seen;
            }
        }
    }
    all
}

/// Links that come and go, and stand now: of those that do not the finding about that says it.
fn come_and_go(cluster: &Cluster<'_>, out: &mut Vec<Finding>) {
    let down: BTreeSet<Link<'_>> = cluster
        .nodes
        .iter()
        .flat_map(connections)
        .filter(|(.., connection)| connection.fields.connection_state != "Connected")
        .map(|(node, resource, connection)| link(resource, node, cluster.known_as(&connection.display_name())))
        .collect();
    // The network is the same for all resources of two nodes.
    let mut pairs: BTreeMap<(String, String), Vec<(&str, Losses<'_>)>> = BTreeMap::new();
    for ((resource, a, b), losses) in losses(cluster).into_iter().filter(|(link, _)| !down.contains(link)) {
        pairs.entry((a, b)).or_default().push((resource, losses));
    }
    for ((a, b), all) in pairs {
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        let Some((resource, losses)) = all.iter().max_by_key(|(_, losses)| losses.times) else { continue };
        let of = if names.len() > 1 { format!(" (the worst of {})", some_of(&names)) } else { String::new() };
        let (from, host) = match (address(cluster, resource, &a, &b), address(cluster, resource, &b, &a)) {
            (Some((host, _)), _) => (&a, host.to_owned()),
            // The other end does not answer.
            (None, Some((host, _))) => (&b, host.to_owned()),
            (None, None) => (&a, format!("ADDRESS-OF-{b}")),
        };
        out.push(Finding {
            resource: (names.len() == 1).then(|| (*resource).to_owned()),
            why: "the network between these nodes loses what DRBD sends, or holds it for longer than ping-timeout and ko-count allow; each time a resync follows, \
                  and a node that is cut off can't keep its services"
                .to_owned(),
            mend: vec![
                format!("on {from}: ping -c 1000 -i 0.01 -s 1400 -M do {host}     (lost packets, a smaller MTU on the way)"),
                "ip -s link; ethtool -S INTERFACE | grep -iE 'err|drop|crc'     (a cable, a port, a full queue)".to_owned(),
                format!("journalctl -k -g 'drbd {resource} .*(PingAck|timed out|sock)'"),
            ],
            ..finding(Severity::Warning, CHECK, format!("between {a} and {b}"), format!("{losses}{of}"))
        });
    }
}

/// The connections that a node tells of, each with the node and the resource.
pub(super) fn connections(node: &Node) -> impl Iterator<Item = (&str, &str, &WireConnection)> {
    let resources = node.status.iter().flat_map(|status| &status.resources);
    resources.flat_map(move |resource| {
        resource.connections.iter().map(move |connection| (node.name.as_str(), resource.name.as_str(), connection))
    })
}

/// The address of `to`, as `from` connects to it, and its port.
pub(super) fn address<'a>(
    cluster: &'a Cluster<'_>,
    resource: &str,
    from: &str,
    to: &str,
) -> Option<(&'a str, &'a str)> {
    let node = cluster.nodes.iter().find(|node| node.name == from)?;
    let to = |(_, of, one): &(&str, &str, &WireConnection)| {
        *of == resource && one.fields.name.as_deref().is_some_and(|name| cluster.known_as(name) == to)
    };
    let (.., connection) = connections(node).find(to)?;
    // Before it stands what kind of address it is.
    let (_, address) = connection.paths.first()?.peer.split_once(':')?;
    let (host, port) = address.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']), port))
}

/// Links whose buffers are full now.
fn congestion(node: &Node, out: &mut Vec<Finding>) {
    let Some(status) = &node.status else { return };
    for resource in &status.resources {
        for connection in resource.connections.iter().filter(|connection| connection.fields.congested == Some(true)) {
            out.push(Finding {
                resource: Some(resource.name.clone()),
                why: "writes wait for the network; if it stays so, the link or the peer's disk is slower than what is written".to_owned(),
                mend: vec![format!("drbdsetup status {} --verbose --statistics", resource.name)],
                ..finding(Severity::Note, CHECK, format!("{} connection to {}", node.name, connection.display_name()), "congested")
            });
        }
    }
}
