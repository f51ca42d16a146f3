//! Clocks that differ, and daemons of different versions.

use std::collections::BTreeMap;

use reactor_api::doctor::{Finding, Severity};

use super::{Cluster, finding, listed};

/// Clocks may differ by this, in milliseconds.
const ALIKE_MS: u64 = 1_000;

pub(super) fn check(cluster: &Cluster<'_>, out: &mut Vec<Finding>) {
    for node in cluster.nodes {
        let Some((ahead_ms, doubt_ms)) = node.clock else { continue };
        let off = ahead_ms.unsigned_abs();
        if off <= ALIKE_MS.saturating_add(doubt_ms) {
            continue;
        }
        let word = if ahead_ms > 0 { "ahead of" } else { "behind" };
        // The one that it is compared with has none; whoever asks from outside is no node.
        let first = cluster.nodes.first().filter(|node| node.clock.is_none() && node.facts.is_some());
        let ours = first.map_or("this machine", |node| node.name.as_str());
        out.push(Finding {
            why: "failback-window means another time there, and nobody can put the logs of two nodes side by side"
                .to_owned(),
            mend: vec![
                format!("on {}: timedatectl     (is NTP active, and synchronized?)", node.name),
                "systemctl restart systemd-timesyncd, or chronyc makestep".to_owned(),
            ],
            ..finding(
                Severity::Warning,
                "clocks",
                node.name.clone(),
                format!("its clock is {}.{} s {word} that of {ours}", off / 1000, off % 1000 / 100),
            )
        });
    }
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in cluster.nodes {
        if let Some(status) = &node.status {
            versions.entry(&status.version).or_default().push(&node.name);
        }
    }
    if versions.len() > 1 {
        let all: Vec<String> =
            versions.iter().map(|(version, nodes)| format!("{version} on {}", listed(nodes))).collect();
        out.push(Finding {
            why: "fine while a cluster is being updated; after that, one node behaves otherwise than the rest"
                .to_owned(),
            ..finding(Severity::Note, "versions", "all nodes", format!("different versions: {}", all.join(", ")))
        });
    }
}
