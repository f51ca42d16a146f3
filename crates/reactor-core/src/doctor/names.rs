//! Names of nodes in the settings that nobody has.

use std::collections::BTreeSet;

use reactor_api::doctor::{Finding, Severity};

use super::{Cluster, finding, listed};
use crate::names::strangers;

pub(super) fn check(cluster: &Cluster<'_>, out: &mut Vec<Finding>) {
    for (resource, settings) in cluster.promoted() {
        let mut known: BTreeSet<&str> = BTreeSet::new();
        for node in cluster.nodes {
            let Some(found) = node.facts_of(resource.as_str()) else { continue };
            known.insert(node.own_name().unwrap_or(&node.name));
            known.extend(found.connections.keys().map(String::as_str));
        }
        // What DRBD does not have here can't be compared.
        if known.is_empty() {
            continue;
        }
        for name in strangers(&settings.preferred_nodes, &known) {
            let all: Vec<&str> = known.iter().copied().collect();
            let short = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
            let alike = known.iter().find(|one| short(one) == short(name));
            let mend = match alike {
                Some(one) => format!("in preferred-nodes of {resource}: \"{one}\" in place of \"{name}\""),
                None => format!("in preferred-nodes of {resource}: one of {}, or take it out", listed(&all)),
            };
            out.push(Finding {
                resource: Some(resource.to_string()),
                why: "a name that is no node's never matches, and the order of the others is not what was meant"
                    .to_owned(),
                mend: vec![mend],
                ..finding(
                    Severity::Warning,
                    "names",
                    format!("preferred-nodes of {resource}"),
                    format!("no node is called {name}: DRBD knows {}", listed(&all)),
                )
            });
        }
    }
}
