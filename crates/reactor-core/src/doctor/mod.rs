//! What is wrong with a cluster, or will be when it is needed: judged of facts that others have gathered, one file for each family of checks.
//!
//! ```text
//!  settings, NodeFacts, Status of each node ─▶ Cluster ─▶ options, links, names, drift, kernel, clocks, units, agents, split_brain ─▶ findings
//! ```
//!
//! A check is a function of [`Cluster`]; a new one is a file and a line in [`examine`]. It says what, where, why it matters, and the exact command or
//! line that mends it. Nothing is ever mended from here.

mod agents;
mod clocks;
mod drift;
mod kernel;
mod links;
mod names;
mod options;
mod split_brain;
mod units;

use std::collections::BTreeMap;

use reactor_api::doctor::{Finding, Severity};
use reactor_api::survey::{NodeFacts, ResourceFacts};
use reactor_api::{Status, WireChange};

pub use agents::{AgentMetaData, Parameter};

use crate::facts::Agent;
use crate::ids::ResourceName;
use crate::names::same;
use crate::settings::promoter::PromotedResource;
use crate::settings::{PluginSettings, Settings};

/// Everything that is judged.
#[derive(Clone, Debug)]
pub struct Cluster<'a> {
    /// The settings of the node on which this is asked.
    pub settings: &'a Settings,
    /// The nodes, that one first.
    pub nodes: &'a [Node],
    /// What its OCF agents say of their parameters; those that could not be asked are not in it.
    pub agents: &'a BTreeMap<Agent, AgentMetaData>,
}

/// One node, as far as it has answered.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What it was found to be.
    pub facts: Option<NodeFacts>,
    /// What its daemon says.
    pub status: Option<Status>,
    /// The last changes that its daemon remembers, oldest first.
    pub changes: Vec<WireChange>,
    /// By how many milliseconds its clock is ahead of ours, and how far off that may be.
    pub clock: Option<(i64, u64)>,
}

impl Node {
    /// Whether `name` means this node, as itself or as whoever asked calls it: a context may have nicknames.
    fn is_called(&self, name: &str) -> bool {
        same(&self.name, name) || self.own_name().is_some_and(|own| same(own, name))
    }

    /// What it has of a resource of DRBD.
    fn facts_of(&self, resource: &str) -> Option<&ResourceFacts> {
        self.facts.as_ref()?.resources.iter().find(|one| one.name == resource)
    }

    /// As it calls itself.
    fn own_name(&self) -> Option<&str> {
        let of_facts = self.facts.as_ref().map(|facts| facts.node.as_str());
        let of_status = self.status.as_ref().map(|status| status.node.as_str());
        of_facts.into_iter().chain(of_status).find(|name| !name.is_empty())
    }
}

/// All findings, the worst first.
pub fn examine(cluster: &Cluster<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for check in [
        split_brain::check,
        options::check,
        units::check,
        agents::check,
        names::check,
        drift::check,
        links::check,
        kernel::check,
        clocks::check,
    ] {
        check(cluster, &mut findings);
    }
    // Stable: within a severity the order is that of the checks.
    findings.sort_by_key(|finding| finding.severity);
    findings
}

impl Cluster<'_> {
    /// Every promoted resource with its settings.
    fn promoted(&self) -> impl Iterator<Item = (&ResourceName, &PromotedResource)> {
        self.settings.plugins.iter().flat_map(|entry| {
            match &entry.settings {
                PluginSettings::Promoter(promoter) => Some(&promoter.resources),
                _ => None,
            }
            .into_iter()
            .flatten()
        })
    }

    /// What each node has of a resource of DRBD.
    fn facts_of<'a>(&'a self, resource: &'a str) -> impl Iterator<Item = (&'a str, &'a ResourceFacts)> {
        self.nodes.iter().filter_map(move |node| Some((node.name.as_str(), node.facts_of(resource)?)))
    }
}

/// A finding about a resource on a node.
fn finding(severity: Severity, check: &str, place: impl Into<String>, what: impl Into<String>) -> Finding {
    Finding { severity, check: check.to_owned(), place: place.into(), what: what.into(), ..Finding::default() }
}

/// Nodes as people list them: `n1, n2 and n3`.
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests;
