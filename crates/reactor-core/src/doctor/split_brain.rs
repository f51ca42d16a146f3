//! Split brain: two nodes have written apart from each other. Who would lose how much, and the commands; never run from here.

use reactor_api::Status;
use reactor_api::doctor::{Finding, Severity};
use reactor_api::objects::{WireConnection, WireResource};

use super::{Cluster, finding};

const CHECK: &str = "split-brain";

/// One side of a connection.
struct Side<'a> {
    node: &'a str,
    resource: &'a WireResource,
    connection: &'a WireConnection,
    promoted: bool,
}

pub(super) fn check(cluster: &Cluster<'_>, out: &mut Vec<Finding>) {
    let said: Vec<(&str, &Status)> =
        cluster.nodes.iter().filter_map(|node| Some((node.name.as_str(), node.status.as_ref()?))).collect();
    for (at, (node, status)) in said.iter().enumerate() {
        for side in sides(node, status) {
            let peer = side.connection.fields.name.as_deref();
            let other = said.iter().enumerate().filter(|(_, (name, _))| Some(*name) == peer).find_map(
                |(there, (name, status))| {
                    let back = sides(name, status).find(|back| {
                        back.resource.name == side.resource.name
                            && back.connection.fields.name.as_deref() == Some(*node)
                    })?;
                    Some((there, back))
                },
            );
            match other {
                // Each pair once, from its first side.
                Some((there, back)) if there > at => pair(&side, &back, out),
                Some(_) => {}
                None => one(&side, out),
            }
        }
    }
}

/// The connections of a node that do not work because somebody, or DRBD, has given them up, or that may wait for such a side.
fn sides<'a>(node: &'a str, status: &'a Status) -> impl Iterator<Item = Side<'a>> {
    status.resources.iter().flat_map(move |resource| {
        let promoted = status.promoted.iter().any(|one| one.resource == resource.name);
        resource.connections.iter().map(move |connection| Side { node, resource, connection, promoted })
    })
}

impl Side<'_> {
    fn is_alone(&self) -> bool {
        self.connection.fields.connection_state == "StandAlone"
    }

    /// What this side has written since the two parted, in KiB: DRBD marks it in its bitmap for the peer.
    fn own_kib(&self) -> u64 {
        self.connection.peer_devices.iter().filter_map(|device| device.fields.out_of_sync_kib).sum()
    }

    /// One line of facts.
    fn facts(&self) -> String {
        let disks: Vec<String> = self
            .resource
            .devices
            .iter()
            .map(|device| format!("volume {} {}", device.volume, device.fields.disk_state))
            .collect();
        format!(
            "{}: {}, {}, {} written since they parted, {}",
            self.node,
            self.resource.fields.role,
            self.connection.fields.connection_state,
            size(self.own_kib()),
            disks.join(", ")
        )
    }

    /// What has to be done so that this side gives up its data.
    fn give_up(&self, survivor: &Side<'_>) -> Vec<String> {
        let name = &self.resource.name;
        let mut lines = Vec::new();
        if self.promoted {
            lines.push(format!("on {}: reactorctl stop {name}", self.node));
        }
        lines.extend([
            format!("on {}: drbdadm disconnect {name}:{}", self.node, survivor.node),
            format!("on {}: drbdadm secondary {name}", self.node),
            format!("on {}: drbdadm connect --discard-my-data {name}:{}", self.node, survivor.node),
        ]);
        if survivor.is_alone() {
            lines.push(format!("on {}: drbdadm connect {name}:{}", survivor.node, self.node));
        }
        if self.promoted {
            lines.push(format!("on {}, when it is UpToDate: reactorctl start {name}", self.node));
        }
        lines
    }
}

fn pair(a: &Side<'_>, b: &Side<'_>, out: &mut Vec<Finding>) {
    if !a.is_alone() && !b.is_alone() {
        return;
    }
    let name = &a.resource.name;
    let place = format!("{name} between {} and {}", a.node, b.node);
    let both_primary = [a, b].iter().all(|side| side.resource.fields.role == "Primary");
    if !both_primary && (a.own_kib() == 0 || b.own_kib() == 0) {
        let alone = if a.is_alone() { a } else { b };
        let other = if a.is_alone() { b } else { a };
        out.push(Finding {
            resource: Some(name.clone()),
            why: "nothing connects it again by itself, and until then there is one copy less. Only one side has written, so that nothing is lost when they connect".to_owned(),
            mend: vec![format!("on {}: drbdadm connect {name}:{}", alone.node, other.node)],
            ..finding(Severity::Warning, CHECK, place, format!("StandAlone on {}: {}; {}", alone.node, a.facts(), b.facts()))
        });
        return;
    }
    // The side that loses less; of two alike, the one that is not Primary.
    let loses = |side: &Side<'_>| (side.own_kib(), side.resource.fields.role == "Primary");
    let (victim, survivor) = if loses(a) <= loses(b) { (a, b) } else { (b, a) };
    let mut mend = vec![
        "first look at the data of both sides: what is thrown away is gone. Then one of the two".to_owned(),
        format!("to throw away the {} that {} has written:", size(victim.own_kib()), victim.node),
    ];
    mend.extend(victim.give_up(survivor));
    mend.push(format!("or, to throw away the {} that {} has written:", size(survivor.own_kib()), survivor.node));
    mend.extend(survivor.give_up(victim));
    out.push(Finding {
        resource: Some(name.clone()),
        why: "each side has data that the other does not have, and one of them has to be thrown away; the longer both write, the more".to_owned(),
        mend,
        ..finding(Severity::Error, CHECK, place, format!("split brain: {}; {}", a.facts(), b.facts()))
    });
}

/// One side, of which the other says nothing.
fn one(side: &Side<'_>, out: &mut Vec<Finding>) {
    if !side.is_alone() {
        return;
    }
    let (name, peer) = (&side.resource.name, side.connection.display_name());
    out.push(Finding {
        resource: Some(name.clone()),
        why: "nothing connects it again by itself. After a split brain one side's data has to be thrown away, and the other side has not answered here".to_owned(),
        mend: vec![
            format!("journalctl -k -g 'drbd {name}.*Split-Brain'     (on both nodes: was it one?)"),
            format!("if it was none: drbdadm connect {name}:{peer}"),
            "if it was: reactorctl doctor --context NAME, with both nodes in the context, names what each side would lose".to_owned(),
        ],
        ..finding(Severity::Warning, CHECK, format!("{} connection to {peer}", side.node), format!("StandAlone: {}", side.facts()))
    });
}

/// A number of KiB for people.
fn size(kib: u64) -> String {
    match kib {
        0..1024 => format!("{kib} KiB"),
        1024..1_048_576 => format!("{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024),
        _ => format!("{}.{} GiB", kib / 1_048_576, kib % 1_048_576 * 10 / 1_048_576),
    }
}
