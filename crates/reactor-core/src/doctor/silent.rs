//! Nodes whose daemon does not answer. What DRBD has there its peers know: a node without a daemon may well be Primary.

use std::collections::{BTreeMap, BTreeSet};

use reactor_api::doctor::{Finding, Severity};
use reactor_api::objects::WireConnection;

use super::{Cluster, Lost, Node, finding, listed, some_of};

const CHECK: &str = "daemon";

pub(super) fn check(cluster: &Cluster<'_>, out: &mut Vec<Finding>) {
    for node in cluster.nodes {
        let Some(silent) = &node.silent else { continue };
        let seen = Seen::of(cluster, node);
        let (says, why) = seen.words();
        let mut mend = Vec::new();
        if !seen.is_up() && !seen.lost.is_empty() {
            mend.push(format!("does {} have power, and a network? Its console says", node.name));
        }
        mend.extend(silent.mend.iter().cloned());
        out.push(Finding {
            why: why.to_owned(),
            facts: seen.facts(),
            mend,
            ..finding(Severity::Error, CHECK, node.name.clone(), format!("no answer: {}{says}", silent.why))
        });
    }
}

/// What the peers of a node know of it.
struct Seen<'a> {
    /// The nodes that are connected to it.
    connected: BTreeSet<&'a str>,
    /// Its role, of each resource with which a peer is connected.
    roles: BTreeMap<&'a str, &'a str>,
    /// The nodes that are not.
    lost_by: BTreeSet<&'a str>,
    /// Resources that no peer is connected with.
    lost: BTreeSet<&'a str>,
    /// Since when it is lost, the longest.
    since: Option<&'a Lost>,
}

impl<'a> Seen<'a> {
    fn of(cluster: &'a Cluster<'_>, silent: &Node) -> Self {
        let mut seen = Self {
            connected: BTreeSet::new(),
            roles: BTreeMap::new(),
            lost_by: BTreeSet::new(),
            lost: BTreeSet::new(),
            since: None,
        };
        for node in cluster.nodes.iter().filter(|node| node.name != silent.name) {
            seen.add(node, silent);
        }
        let roles = &seen.roles;
        seen.lost.retain(|resource| !roles.contains_key(resource));
        seen
    }

    fn add(&mut self, node: &'a Node, silent: &Node) {
        let is_it = |one: &WireConnection| one.fields.name.as_deref().is_some_and(|name| silent.is_called(name));
        for resource in node.status.iter().flat_map(|status| &status.resources) {
            for connection in resource.connections.iter().filter(|one| is_it(one)) {
                if connection.fields.connection_state == "Connected" {
                    self.connected.insert(&node.name);
                    self.roles.insert(&resource.name, &connection.fields.peer_role);
                    continue;
                }
                self.lost_by.insert(&node.name);
                self.lost.insert(&resource.name);
                let lost = node.lost.get(&(resource.name.clone(), connection.display_name()));
                self.since = self.since.into_iter().chain(lost).max_by_key(|lost| lost.seconds);
            }
        }
    }

    fn is_up(&self) -> bool {
        !self.roles.is_empty()
    }

    fn is_primary(&self) -> bool {
        self.roles.values().any(|role| *role == "Primary")
    }

    /// What it comes to, and why it matters.
    fn words(&self) -> (String, &'static str) {
        if self.is_up() {
            let says = format!("; the node is up: {} connected to its DRBD", are(&self.connected));
            let why = if self.is_primary() {
                "its services may well run there, and no other node can take them over while it is Primary. Nobody looks after them: what fails is not \
                 started again, and nothing can be moved away"
            } else {
                "nothing is started there, so that it is no node to take over; its copy of the data is kept up"
            };
            (says, why)
        } else if self.lost.is_empty() {
            let why = "nothing is known of it, neither by itself nor by a node that answers; if it is down, there is one node less to take over";
            (String::new(), why)
        } else {
            let since = self.since.map_or(String::new(), |lost| format!(", {lost}"));
            let says = format!("; {} not connected to it either{since}", are(&self.lost_by));
            (says, "it is down or cut off: there is one node less to take over, and one copy less")
        }
    }

    /// One line for each role, Primary first.
    fn facts(&self) -> Vec<String> {
        let mut by_role: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (resource, role) in &self.roles {
            by_role.entry(role).or_default().push(resource);
        }
        let mut lines: Vec<String> =
            by_role.into_iter().map(|(role, names)| format!("{role} there: {}", some_of(&names))).collect();
        if !self.lost.is_empty() && self.is_up() {
            let names: Vec<&str> = self.lost.iter().copied().collect();
            lines.push(format!("not connected: {}", some_of(&names)));
        }
        lines
    }
}

/// `n1 is`, `n1 and n2 are`.
fn are(names: &BTreeSet<&str>) -> String {
    let all: Vec<&str> = names.iter().copied().collect();
    format!("{} {}", listed(&all), if all.len() == 1 { "is" } else { "are" })
}
