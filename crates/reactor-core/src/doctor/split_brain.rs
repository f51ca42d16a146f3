//! Split brain: two nodes have written apart from each other. Who would lose how much, and the commands; never run from here.

use std::collections::BTreeSet;

use reactor_api::doctor::{Finding, Severity};
use reactor_api::objects::{WireConnection, WireDevice, WireResource};

use super::{Cluster, Lost, Node, finding};

const CHECK: &str = "split-brain";

/// One side of a connection.
struct Side<'a> {
    node: &'a Node,
    resource: &'a WireResource,
    connection: &'a WireConnection,
}

pub(super) fn check(cluster: &Cluster<'_>, out: &mut Vec<Finding>) {
    for (at, node) in cluster.nodes.iter().enumerate() {
        for side in sides(node).filter(Side::is_alone) {
            let is_back = |back: &Side<'_>| back.resource.name == side.resource.name && back.is_to(node);
            let mut others =
                cluster.nodes.iter().enumerate().filter(|(there, other)| *there != at && side.is_to(other));
            let other = others.find_map(|(there, other)| Some((there, sides(other).find(is_back)?)));
            match other {
                // Each pair once, from its first side.
                Some((there, back)) if there > at => pair(&side, &back, out),
                Some((_, back)) if !back.is_alone() => pair(&back, &side, out),
                Some(_) => {}
                // It does not say to whom it was: see there.
                None if side.is_nameless() && side.is_split() => {}
                None => one(&side, out),
            }
        }
    }
    without_connection(cluster, out);
}

/// The connections of a node that do not work because somebody, or DRBD, has given them up, or that may wait for such a side.
fn sides(node: &Node) -> impl Iterator<Item = Side<'_>> {
    node.status
        .iter()
        .flat_map(move |status| status.resources.iter().flat_map(move |resource| sides_of(node, resource)))
}

fn sides_of<'a>(node: &'a Node, resource: &'a WireResource) -> impl Iterator<Item = Side<'a>> {
    resource.connections.iter().map(move |connection| Side { node, resource, connection })
}

impl Side<'_> {
    /// Whether the connection is to this node.
    fn is_to(&self, node: &Node) -> bool {
        self.connection.fields.name.as_deref().is_some_and(|peer| node.is_called(peer))
    }

    /// The other end, as DRBD calls it here: so its tools want it.
    fn peer(&self) -> String {
        self.connection.display_name()
    }

    /// Whether a promoter has it there.
    fn is_promoted(&self) -> bool {
        let mut promoted = self.node.status.iter().flat_map(|status| &status.promoted);
        promoted.any(|one| one.resource == self.resource.name)
    }

    /// Since when it does not stand.
    fn lost(&self) -> Option<&Lost> {
        self.node.lost.get(&(self.resource.name.clone(), self.peer()))
    }

    /// Whether DRBD there has found a split brain.
    fn is_split(&self) -> bool {
        let mut found = self.resource.split_brains.iter().filter(|split| split.is_sure());
        found.any(|split| split.peer_node_id == self.connection.peer_node_id)
    }

    /// DRBD 8.4 does not say whom a connection is to that never stood since this daemon follows it.
    fn is_nameless(&self) -> bool {
        self.connection.fields.name.is_none()
    }

    fn is_alone(&self) -> bool {
        self.connection.fields.connection_state == "StandAlone"
    }

    /// What this side has written since the two parted, in KiB: DRBD marks it in its bitmap for the peer.
    fn own_kib(&self) -> u64 {
        self.connection.peer_devices.iter().filter_map(|device| device.fields.out_of_sync_kib).sum()
    }

    /// One line of facts.
    fn facts(&self) -> String {
        let lost = self.lost().map(|lost| format!(" {lost}")).unwrap_or_default();
        format!(
            "{}: {}, {}{lost}, {} written since they parted, {}",
            self.node.name,
            self.resource.fields.role,
            self.connection.fields.connection_state,
            size(self.own_kib()),
            disks(self.resource)
        )
    }

    /// What has to be done so that this side gives up its data.
    fn give_up(&self, survivor: &Side<'_>) -> Vec<String> {
        let (name, node, peer) = (&self.resource.name, &self.node.name, self.peer());
        let mut lines = Vec::new();
        if self.is_promoted() {
            lines.push(format!("on {node}: reactorctl stop {name}"));
        }
        lines.extend([
            format!("on {node}: drbdadm disconnect {name}:{peer}"),
            format!("on {node}: drbdadm secondary {name}"),
            format!("on {node}: drbdadm connect --discard-my-data {name}:{peer}"),
        ]);
        if survivor.is_alone() {
            lines.push(format!("on {}: drbdadm connect {name}:{}", survivor.node.name, survivor.peer()));
        }
        if self.is_promoted() {
            lines.push(format!("on {node}, when it is UpToDate: reactorctl start {name}"));
        }
        lines
    }
}

fn pair(a: &Side<'_>, b: &Side<'_>, out: &mut Vec<Finding>) {
    let name = &a.resource.name;
    let place = format!("{name} between {} and {}", a.node.name, b.node.name);
    let both_primary = [a, b].iter().all(|side| side.resource.fields.role == "Primary");
    let is_found = a.is_split() || b.is_split();
    if !is_found && !both_primary && (a.own_kib() == 0 || b.own_kib() == 0) {
        let alone = if a.is_alone() { a } else { b };
        out.push(Finding {
            resource: Some(name.clone()),
            why: "nothing connects it again by itself, and until then there is one copy less. Only one side has written, so that nothing is lost when they connect".to_owned(),
            facts: vec![a.facts(), b.facts()],
            mend: vec![format!("on {}: drbdadm connect {name}:{}", alone.node.name, alone.peer())],
            ..finding(Severity::Error, CHECK, place, format!("StandAlone on {}", alone.node.name))
        });
        return;
    }
    // The side that loses less; of two alike, the one that is not Primary.
    let loses = |side: &Side<'_>| (side.own_kib(), side.resource.fields.role == "Primary");
    let (victim, survivor) = if loses(a) <= loses(b) { (a, b) } else { (b, a) };
    let mut mend = vec![
        "first look at the data of both sides: what is thrown away is gone. Then one of the two".to_owned(),
        format!("to throw away the {} that {} has written:", size(victim.own_kib()), victim.node.name),
    ];
    mend.extend(victim.give_up(survivor));
    mend.push(format!("or, to throw away the {} that {} has written:", size(survivor.own_kib()), survivor.node.name));
    mend.extend(survivor.give_up(victim));
    out.push(Finding {
        resource: Some(name.clone()),
        why: "each side has data that the other does not have, and one of them has to be thrown away; the longer both write, the more".to_owned(),
        facts: vec![a.facts(), b.facts()],
        mend,
        ..finding(Severity::Error, CHECK, place, "split brain")
    });
}

/// One side, of which the other says nothing.
fn one(side: &Side<'_>, out: &mut Vec<Finding>) {
    let (name, peer) = (&side.resource.name, side.peer());
    if side.is_split() {
        out.push(Finding {
            resource: Some(name.clone()),
            why: "each side has data that the other does not have, and one of them has to be thrown away; the other side has not answered here".to_owned(),
            mend: vec!["reactorctl doctor --context NAME, with both nodes in the context, names what each side would lose".to_owned()],
            facts: vec![side.facts()],
            ..finding(Severity::Error, CHECK, format!("{} connection to {peer}", side.node.name), "split brain")
        });
        return;
    }
    out.push(Finding {
        resource: Some(name.clone()),
        why: "nothing connects it again by itself. After a split brain one side's data has to be thrown away, and the other side has not answered here".to_owned(),
        mend: vec![
            format!("journalctl -k -g 'drbd {name}.*Split-Brain'     (on both nodes: was it one?)"),
            format!("if it was none: drbdadm connect {name}:{peer}"),
            "if it was: reactorctl doctor --context NAME, with both nodes in the context, names what each side would lose".to_owned(),
        ],
        facts: vec![side.facts()],
        ..finding(Severity::Error, CHECK, format!("{} connection to {peer}", side.node.name), "StandAlone")
    });
}

/// With DRBD 8.4 the connection is gone as soon as it is StandAlone, and what that side has written is nowhere to be seen. A daemon that starts then is
/// shown one without a name.
fn without_connection(cluster: &Cluster<'_>, out: &mut Vec<Finding>) {
    let mut told = BTreeSet::new();
    for node in cluster.nodes {
        for resource in node.status.iter().flat_map(|status| &status.resources) {
            let named = || resource.connections.iter().filter(|connection| connection.fields.name.is_some());
            let is_there = |id| named().any(|connection| connection.peer_node_id == id);
            let mut split = resource.split_brains.iter().filter(|split| split.is_sure());
            if !split.any(|split| !is_there(split.peer_node_id)) || !told.insert(&resource.name) {
                continue;
            }
            let name = &resource.name;
            let sides: Vec<(&Node, &WireResource)> = cluster
                .nodes
                .iter()
                .filter_map(|node| Some((node, node.status.as_ref()?.resources.iter().find(|one| one.name == *name)?)))
                .collect();
            let names: Vec<&str> = sides.iter().map(|(node, _)| node.name.as_str()).collect();
            let facts = |(node, resource): &(&Node, &WireResource)| {
                let alone = sides_of(node, resource).find(|side| side.is_alone() && side.is_nameless());
                let unknown = || format!("{}: {}, no connection, {}", node.name, resource.fields.role, disks(resource));
                alone.map_or_else(unknown, |side| side.facts())
            };
            out.push(Finding {
                resource: Some(name.clone()),
                why: "each side has data that the other does not have, and one of them has to be thrown away; the longer both write, the more".to_owned(),
                facts: sides.iter().map(facts).collect(),
                mend: vec![
                    "first look at the data of both sides: what is thrown away is gone. Then".to_owned(),
                    format!("on the node whose data is thrown away, if a promoter has it: reactorctl stop {name}"),
                    format!("on the same: drbdadm secondary {name}"),
                    format!("on the same: drbdadm connect --discard-my-data {name}"),
                    format!("on the other one: drbdadm connect {name}"),
                    format!("on the first, when it is UpToDate: reactorctl start {name}"),
                ],
                ..finding(Severity::Error, CHECK, format!("{name} on {}", names.join(" and ")), "split brain")
            });
        }
    }
}

/// The disks of a resource, in words.
fn disks(resource: &WireResource) -> String {
    let disk = |device: &WireDevice| format!("volume {} {}", device.volume, device.fields.disk_state);
    resource.devices.iter().map(disk).collect::<Vec<_>>().join(", ")
}

/// A number of KiB for people.
fn size(kib: u64) -> String {
    match kib {
        0..1024 => format!("{kib} KiB"),
        1024..1_048_576 => format!("{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024),
        _ => format!("{}.{} GiB", kib / 1_048_576, kib % 1_048_576 * 10 / 1_048_576),
    }
}
