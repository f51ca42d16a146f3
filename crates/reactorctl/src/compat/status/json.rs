//! The status for programs: the fields of drbd-reactorctl, on one line without an end.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::gather::{Item, Promoted, Runs, SnippetReport, Unit};
use crate::drbd::PrimaryOn;

pub(super) fn print(node: &str, snippets: &[SnippetReport], out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{}", value(node, snippets))
}

fn value(node: &str, snippets: &[SnippetReport]) -> Value {
    let mut kinds: [(&str, Vec<Value>); 5] =
        ["promoter", "prometheus", "debugger", "umh", "agentx"].map(|kind| (kind, Vec::new()));
    for snippet in snippets {
        for item in &snippet.items {
            let (kind, mut value) = match item {
                Item::Promoter(promoted) => ("promoter", promoter(node, promoted)),
                Item::Prometheus { address, runs } => {
                    ("prometheus", json!({ "address": address, "status": word(runs) }))
                }
                Item::Agentx { address, runs } => ("agentx", json!({ "address": address, "status": word(runs) })),
                Item::Umh { runs } => ("umh", json!({ "status": word(runs) })),
                Item::Debugger { runs } => ("debugger", json!({ "status": word(runs) })),
                // drbd-reactor has no such plugin, and its document no place for it.
                Item::NoPrimary { .. } | Item::Events { .. } | Item::Notify { .. } => continue,
            };
            value["path"] = json!(snippet.path);
            value["enabled"] = json!(snippet.is_enabled);
            if let Some((_, list)) = kinds.iter_mut().find(|(name, _)| *name == kind) {
                list.push(value);
            }
        }
    }
    kinds.into_iter().map(|(kind, list)| (kind.to_owned(), Value::Array(list))).collect()
}

fn promoter(node: &str, promoted: &Promoted) -> Value {
    let primary_on = match &promoted.primary_on {
        // Its name, which people compare with those of the peers.
        PrimaryOn::ThisNode => node.to_owned(),
        PrimaryOn::Node(name) => name.clone(),
        PrimaryOn::Unknown => "unknown".to_owned(),
    };
    json!({
        "drbd_resource": promoted.resource,
        "primary_on": primary_on,
        "target": unit(&promoted.target),
        "dependencies": promoted.dependencies.iter().map(unit).collect::<Vec<_>>(),
        "status": word(&promoted.runs),
    })
}

fn unit(unit: &Unit) -> Value {
    let freezer = if unit.state.freezer.is_empty() { "unknown" } else { &unit.state.freezer };
    json!({ "name": unit.name, "status": unit.state.active, "freezer": freezer })
}

fn word(runs: &Runs) -> &'static str {
    match runs {
        Runs::Yes => "active",
        Runs::No(_) => "inactive",
        Runs::Failed(_) => "failed",
        Runs::Unknown(_) => "unknown",
    }
}
