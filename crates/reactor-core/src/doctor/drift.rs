//! Files whose text should be the same on all nodes.

use std::collections::{BTreeMap, BTreeSet};

use reactor_api::doctor::{Finding, Severity};

use super::{Cluster, finding, listed};

const CHECK: &str = "drift";

pub(super) fn check(cluster: &Cluster<'_>, out: &mut Vec<Finding>) {
    let nodes: Vec<_> =
        cluster.nodes.iter().filter_map(|node| Some((node.name.as_str(), node.facts.as_ref()?))).collect();
    for (node, facts) in &nodes {
        for unknown in &facts.unknown {
            out.push(finding(Severity::Note, CHECK, *node, format!("not looked at: {unknown}")));
        }
    }
    if nodes.len() < 2 {
        return;
    }
    let paths: BTreeSet<&str> =
        nodes.iter().flat_map(|(_, facts)| &facts.files).map(|file| file.path.as_str()).collect();
    for path in paths {
        let mut texts: BTreeMap<Option<&str>, Vec<&str>> = BTreeMap::new();
        for (node, facts) in &nodes {
            let file = facts.files.iter().find(|file| file.path == path);
            // It is there, and what is in it is not told.
            if file.is_some_and(|file| file.checksum.is_empty()) {
                continue;
            }
            texts.entry(file.map(|file| file.checksum.as_str())).or_default().push(node);
        }
        if texts.len() < 2 {
            continue;
        }
        let missing = texts.remove(&None);
        let mut groups: Vec<Vec<&str>> = texts.into_values().collect();
        // The text that most nodes have first.
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        let mut what: Vec<String> = Vec::new();
        if let [first, others @ ..] = &groups[..]
            && !others.is_empty()
        {
            let others: Vec<String> = others.iter().map(|group| listed(group)).collect();
            what.push(format!("another text on {} than on {}", others.join(", and another on "), listed(first)));
        }
        what.extend(missing.iter().map(|nodes| format!("missing on {}", listed(nodes))));
        let have = groups.first().and_then(|group| group.first()).copied().unwrap_or_default();
        let differs = groups
            .get(1)
            .and_then(|group| group.first())
            .or_else(|| missing.as_ref()?.first())
            .copied()
            .unwrap_or_default();
        let then =
            if path.ends_with(".toml") { "reactorctl reload".to_owned() } else { "drbdadm adjust all".to_owned() };
        out.push(Finding {
            why: "nodes that do not agree about a resource start other services, or none, when they take over"
                .to_owned(),
            mend: vec![
                format!("ssh {have} cat {path} | ssh {differs} diff - {path}"),
                format!("scp -p {have}:{path} {differs}:{path} && ssh {differs} {then}     (or the other way round)"),
            ],
            ..finding(Severity::Warning, CHECK, path, what.join("; "))
        });
    }
}
