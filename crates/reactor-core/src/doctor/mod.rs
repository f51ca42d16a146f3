//! What is wrong with a cluster, or will be when it is needed: judged of facts that others have gathered, one file for each family of checks.
//!
//! ```text
//!  settings, NodeFacts, Status of each node ─▶ Cluster ─▶ options, links, names, drift, kernel, wordings, clocks, units, agents, split_brain, lost, silent, nowhere ─▶ findings
//! ```
//!
//! A check is a function of [`Cluster`]; a new one is a file and a line in [`examine`]. It says what, where, why it matters, and the exact command or
//! line that mends it. Nothing is ever mended from here.

mod agents;
mod clocks;
mod drift;
mod kernel;
mod links;
mod lost;
mod names;
mod nowhere;
mod options;
mod silent;
mod split_brain;
mod units;
mod wordings;

use std::collections::BTreeMap;
use std::fmt;

use reactor_api::doctor::{Finding, Severity};
use reactor_api::survey::{NodeFacts, ResourceFacts};
use reactor_api::{Status, WireChange};

pub use agents::{AgentMetaData, Parameter};
pub use nowhere::NOWHERE;

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

/// One node, as far as it has answered. It may have facts and no status: those of this machine need no daemon.
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
    /// Its daemon has not answered.
    pub silent: Option<Silent>,
    /// Since when its connections that do not stand have not, by resource and peer.
    pub lost: BTreeMap<(String, String), Lost>,
}

/// Why a daemon has not answered, and what to look at.
#[derive(Clone, Debug, Default)]
pub struct Silent {
    /// Why.
    pub why: String,
    /// What to look at, one line each.
    pub mend: Vec<String>,
}

/// For how long a connection does not stand.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Lost {
    /// Since when, for people.
    pub since: String,
    /// For how long.
    pub seconds: u64,
    /// The daemon does not remember its end: it was lost before, too.
    pub at_least: bool,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.at_least { "for at least " } else { "for " })?;
        match self.seconds {
            seconds @ 0..120 => write!(f, "{seconds} s"),
            seconds @ 120..7200 => write!(f, "{} min", seconds / 60),
            seconds @ 7200..172_800 => write!(f, "{} h", seconds / 3600),
            seconds => write!(f, "{} d", seconds / 86400),
        }
    }
}

impl Node {
    /// Whether `name` means this node, as itself or as whoever asked calls it: a context may have nicknames.
    pub fn is_called(&self, name: &str) -> bool {
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
        nowhere::check,
        split_brain::check,
        silent::check,
        lost::check,
        options::check,
        units::check,
        agents::check,
        names::check,
        drift::check,
        links::check,
        kernel::check,
        wordings::check,
        clocks::check,
    ] {
        check(cluster, &mut findings);
    }
    told(findings)
}

/// Findings as they are told: the same at several places once, the worst first.
pub fn told(findings: Vec<Finding>) -> Vec<Finding> {
    let mut told: Vec<Finding> = Vec::new();
    let mut known: BTreeMap<_, usize> = BTreeMap::new();
    for finding in findings {
        let Finding { severity, check, resource, what, facts, mend, .. } = &finding;
        let key = (*severity, check.clone(), resource.clone(), what.clone(), facts.clone(), mend.clone());
        match known.get(&key).map(|at| &mut told[*at]) {
            Some(one) if one.place.split(", ").any(|place| place == finding.place) => {}
            Some(one) => one.place = format!("{}, {}", one.place, finding.place),
            None => {
                known.insert(key, told.len());
                told.push(finding);
            }
        }
    }
    // Stable: within a severity the order is that of the checks.
    told.sort_by_key(|finding| finding.severity);
    told
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

    /// The node of this name, as itself or as DRBD calls it.
    fn node_called(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.is_called(name))
    }

    /// A peer as DRBD calls it, by the name that it has here.
    fn known_as<'a>(&'a self, peer: &'a str) -> &'a str {
        self.node_called(peer).map_or(peer, |node| &node.name)
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

/// Names of which there may be many.
fn some_of(names: &[&str]) -> String {
    const SOME: usize = 5;
    match names {
        names if names.len() <= SOME + 1 => names.join(", "),
        names => format!("{} and {} more", names[..SOME].join(", "), names.len() - SOME),
    }
}

#[cfg(test)]
mod tests;
