//! The network between nodes, as DRBD sees it: how soon a dead node is noticed, and links that come and go.

use std::collections::BTreeMap;

use reactor_api::change::WireWhat;
use reactor_api::doctor::{Finding, Severity};

use super::{Cluster, Node, finding};

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
    for node in cluster.nodes {
        losses(node, out);
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

/// Connections that the network has ended again and again.
fn losses(node: &Node, out: &mut Vec<Finding>) {
    let mut lost: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
    for change in &node.changes {
        let WireWhat::Connection { peer_node_id, old: Some(old), new: Some(new) } = &change.what else { continue };
        if old.connection_state == "Connected" && LOST.contains(&new.connection_state.as_str()) {
            let peer = new.name.clone().unwrap_or_else(|| format!("node {peer_node_id}"));
            lost.entry((&change.resource, peer)).or_default().push(change.time.as_deref().unwrap_or_default());
        }
    }
    for ((resource, peer), times) in lost {
        let (Some(first), Some(last)) = (times.first(), times.last()) else { continue };
        if times.len() < SOME {
            continue;
        }
        out.push(Finding {
            resource: Some(resource.to_owned()),
            why: "the network between these nodes loses what DRBD sends, or holds it for longer than ping-timeout and ko-count allow; each time a resync follows, \
                  and a node that is cut off can't keep its services"
                .to_owned(),
            mend: vec![
                format!("ping -c 1000 -i 0.01 -s 1400 -M do ADDRESS-OF-{peer}     (lost packets, a smaller MTU on the way)"),
                "ip -s link; ethtool -S INTERFACE | grep -iE 'err|drop|crc'     (a cable, a port, a full queue)".to_owned(),
                format!("journalctl -k -g 'drbd {resource} .*(PingAck|timed out|sock)'"),
            ],
            ..finding(
                Severity::Warning,
                CHECK,
                format!("{} connection to {peer}", node.name),
                format!("lost {} times between {first} and {last}", times.len()),
            )
        });
    }
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
