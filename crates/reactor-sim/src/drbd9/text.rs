//! events2 text: what a state change prints, and the dump of the present.

use std::fmt::Write as _;

use reactor_core::drbd::types::DiskState;

use super::node::{Connection, Device, PeerDevice, Resource};
use super::spec::{NodeIx, Placement, ResIx};
use super::{Burst, Cluster};

/// Seconds since 1970 that virtual time begins with, unless told: 2026-11-21 02:00:00 UTC.
pub(super) const EPOCH: u64 = 1_795_226_400;

fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// The stamp of `--timestamps`, from microseconds since 1970.
pub(super) fn stamp(micros: u64) -> String {
    let seconds = micros / 1_000_000;
    let (days, day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, date) = civil(days);
    format!(
        "{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}.{:06}+00:00",
        day / 3600,
        day / 60 % 60,
        day % 60,
        micros % 1_000_000
    )
}

/// Year, month and day of a day since 1970 (Howard Hinnant's algorithm, for years after 1970).
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// The words of `suspended:`.
pub(super) fn suspended(resource: &Resource) -> String {
    let mut words = Vec::new();
    for (on, word) in [
        (resource.suspended_user, "user"),
        (resource.suspended_fencing, "fencing"),
        (resource.suspended_quorum, "quorum"),
    ] {
        if on {
            words.push(word);
        }
    }
    if words.is_empty() { "no".to_owned() } else { words.join(",") }
}

/// The words of `resync-suspended:`.
pub(super) fn resync_suspended(device: &PeerDevice) -> String {
    let mut words = Vec::new();
    for (on, word) in [(device.rs_user, "user"), (device.rs_peer, "peer"), (device.rs_dependency, "dependency")] {
        if on {
            words.push(word);
        }
    }
    if words.is_empty() { "no".to_owned() } else { words.join(",") }
}

fn resource_text(resource: &Resource) -> String {
    format!(
        "role:{} suspended:{} force-io-failures:{} write-ordering:flush may_promote:{} promotion_score:{}",
        resource.role,
        suspended(resource),
        yes(resource.forced),
        yes(resource.may_promote()),
        resource.score()
    )
}

fn connection_text(connection: &Connection) -> String {
    format!("connection:{} role:{} congested:no ap-in-flight:0 rs-in-flight:0", connection.state, connection.role)
}

/// What is ready to be printed: kind, the object's key words, its state, its statistics.
struct Line {
    kind: &'static str,
    key: String,
    state: String,
    statistics: String,
}

impl Line {
    fn write(&self, out: &mut String, stamp: &str, word: &str, name: &str) {
        let gap = |text: &str| if text.is_empty() { "" } else { " " };
        let _ = writeln!(
            out,
            "{stamp} {word} {} name:{name}{}{} {}{}{}",
            self.kind,
            gap(&self.key),
            self.key,
            self.state,
            gap(&self.statistics),
            self.statistics
        );
    }
}

impl Cluster {
    /// The moment of a node's next burst: no two bursts of a node carry one stamp.
    pub(super) fn next_stamp(&mut self, node: NodeIx) -> String {
        let now = self.wall_epoch * 1_000_000 + self.now.0 / 1000;
        let node = &mut self.nodes[node];
        node.stamp = now.max(node.stamp + 1);
        stamp(node.stamp)
    }

    pub(super) fn push(&mut self, node: NodeIx, text: String) {
        let at = self.now;
        self.nodes[node].output.push(Burst { at, text });
    }

    /// Prints what differs from what was printed last, as one burst; paths follow in a burst of their own.
    pub(super) fn emit(&mut self, node: NodeIx, ix: ResIx) {
        let mut lines = Vec::new();
        let spec = &self.spec;
        let Some(resource) = self.nodes[node].resources.get_mut(&ix) else { return };
        let name = resource.name.clone();
        let state = resource_text(resource);
        note(&mut lines, &mut resource.shown, "resource", String::new(), state, String::new());
        for (peer, connection) in &mut resource.connections {
            let key = connection_key(*peer, &spec.nodes[*peer]);
            let text = connection_text(connection);
            note(&mut lines, &mut connection.shown, "connection", key, text, String::new());
        }
        for volume in 0..resource.devices.len() {
            if resource.devices[volume].created {
                let line = device_line(spec, ix, node, volume, &resource.devices[volume]);
                let shown = &mut resource.devices[volume].shown;
                note(&mut lines, shown, line.kind, line.key, line.state, line.statistics);
            }
        }
        for (peer, connection) in &mut resource.connections {
            for volume in 0..connection.peer_devices.len() {
                let number = spec.resources[ix].volumes[volume].number;
                let line = peer_device_line(*peer, &spec.nodes[*peer], number, &connection.peer_devices[volume]);
                let shown = &mut connection.peer_devices[volume].shown;
                note(&mut lines, shown, line.kind, line.key, line.state, line.statistics);
            }
        }
        if !lines.is_empty() {
            let stamp = self.next_stamp(node);
            let mut text = String::new();
            for (word, line) in lines {
                line.write(&mut text, &stamp, word, &name);
            }
            self.push(node, text);
        }
        self.emit_paths(node, ix);
    }

    fn emit_paths(&mut self, node: NodeIx, ix: ResIx) {
        let mut changed = Vec::new();
        let Some(resource) = self.nodes[node].resources.get_mut(&ix) else { return };
        let name = resource.name.clone();
        for (peer, connection) in &mut resource.connections {
            if connection.path != connection.path_shown {
                let word = if connection.path_shown.is_none() { "create" } else { "change" };
                if let Some(established) = connection.path {
                    changed.push((*peer, word, established));
                }
                connection.path_shown = connection.path;
            }
        }
        for (peer, word, established) in changed {
            let stamp = self.next_stamp(node);
            let mut text = String::new();
            self.path_line(node, ix, peer, established).write(&mut text, &stamp, word, &name);
            self.push(node, text);
        }
    }

    /// A `destroy` line; it names the object and nothing else.
    pub(super) fn emit_destroy(&mut self, node: NodeIx, ix: ResIx, kind: &str, key: &str) {
        let Some(resource) = self.nodes[node].resources.get(&ix) else { return };
        let name = resource.name.clone();
        let stamp = self.next_stamp(node);
        let gap = if key.is_empty() { "" } else { " " };
        self.push(node, format!("{stamp} destroy {kind} name:{name}{gap}{key}\n"));
    }

    /// A `call` or `response` line of a helper.
    pub(super) fn emit_helper(
        &mut self,
        node: NodeIx,
        ix: ResIx,
        peer: Option<NodeIx>,
        volume: Option<usize>,
        helper: &str,
        status: Option<i32>,
    ) {
        let Some(resource) = self.nodes[node].resources.get(&ix) else { return };
        let mut text = format!("name:{}", resource.name);
        if let Some(peer) = peer {
            let _ = write!(text, " {}", connection_key(peer, &self.spec.nodes[peer]));
        }
        if let Some(volume) = volume {
            let volume = &self.spec.resources[ix].volumes[volume];
            let _ = match peer {
                Some(_) => write!(text, " volume:{}", volume.number),
                None => write!(text, " volume:{} minor:{}", volume.number, volume.minor),
            };
        }
        let word = if status.is_some() { "response" } else { "call" };
        let _ = write!(text, " helper:{helper}");
        if let Some(status) = status {
            let _ = write!(text, " status:{status}");
        }
        let stamp = self.next_stamp(node);
        self.push(node, format!("{stamp} {word} helper {text}\n"));
    }

    /// Addresses of a path: `10.77.0.N`, one network for all nodes.
    pub(super) fn path_key(&self, node: NodeIx, ix: ResIx, peer: NodeIx) -> String {
        let port = self.spec.resources[ix].port;
        format!(
            "{} local:ipv4:10.77.0.{}:{port} peer:ipv4:10.77.0.{}:{port}",
            connection_key(peer, &self.spec.nodes[peer]),
            node + 1,
            peer + 1
        )
    }

    fn path_line(&self, node: NodeIx, ix: ResIx, peer: NodeIx, established: bool) -> Line {
        Line {
            kind: "path",
            key: self.path_key(node, ix, peer),
            state: format!("established:{}", yes(established)),
            statistics: String::new(),
        }
    }

    /// The `exists` lines of a node, in DRBD's order: resources as they were created, highest node id and volume first.
    pub(super) fn dump_text(&self, node: NodeIx) -> String {
        let mut text = String::new();
        let stamp = stamp(self.wall_epoch * 1_000_000 + self.now.0 / 1000);
        let this = &self.nodes[node];
        for ix in &this.order {
            let Some(resource) = this.resources.get(ix) else { continue };
            self.dump_resource(&mut text, &stamp, node, *ix, resource);
        }
        let _ = writeln!(text, "{stamp} exists -");
        text
    }

    fn dump_resource(&self, text: &mut String, stamp: &str, node: NodeIx, ix: ResIx, resource: &Resource) {
        let mut write = |line: &Line| line.write(text, stamp, "exists", &resource.name);
        write(&Line {
            kind: "resource",
            key: String::new(),
            state: resource_text(resource),
            statistics: String::new(),
        });
        for (peer, connection) in resource.connections.iter().rev() {
            write(&Line {
                kind: "connection",
                key: connection_key(*peer, &self.spec.nodes[*peer]),
                state: connection_text(connection),
                statistics: String::new(),
            });
        }
        for (volume, device) in resource.devices.iter().enumerate().rev() {
            if device.created {
                let mut line = device_line(&self.spec, ix, node, volume, device);
                line.statistics.push_str(" blocked:no");
                write(&line);
            }
        }
        for (peer, connection) in resource.connections.iter().rev() {
            for (volume, device) in connection.peer_devices.iter().enumerate().rev() {
                let number = self.spec.resources[ix].volumes[volume].number;
                write(&peer_device_line(*peer, &self.spec.nodes[*peer], number, device));
            }
            if let Some(established) = connection.path {
                write(&self.path_line(node, ix, *peer, established));
            }
        }
    }

    /// The burst of a `rename`.
    pub(super) fn emit_rename(&mut self, node: NodeIx, old: &str, new: &str) {
        let stamp = self.next_stamp(node);
        self.push(node, format!("{stamp} rename resource name:{old} new_name:{new}\n"));
    }
}

/// Adds a line if the state differs from what was shown last.
fn note(
    lines: &mut Vec<(&'static str, Line)>,
    shown: &mut Option<String>,
    kind: &'static str,
    key: String,
    state: String,
    statistics: String,
) {
    if shown.as_ref() == Some(&state) {
        return;
    }
    let word = if shown.is_none() { "create" } else { "change" };
    *shown = Some(state.clone());
    lines.push((word, Line { kind, key, state, statistics }));
}

fn connection_key(peer: NodeIx, name: &str) -> String {
    format!("peer-node-id:{peer} conn-name:{name}")
}

fn device_line(spec: &super::ClusterSpec, ix: ResIx, node: NodeIx, volume: usize, device: &Device) -> Line {
    let what = &spec.resources[ix].volumes[volume];
    let client = spec.resources[ix].placement[node] == Placement::Diskless;
    let detached = client || matches!(device.disk, DiskState::Diskless | DiskState::Detaching);
    let backing = if detached { "none" } else { &what.backing };
    Line {
        kind: "device",
        key: format!("volume:{} minor:{}", what.number, what.minor),
        state: format!(
            "backing_dev:{backing} disk:{} client:{} open:{} quorum:{}",
            device.disk,
            yes(client),
            yes(device.opens > 0),
            yes(device.quorum)
        ),
        statistics: format!(
            "size:{} read:0 written:{} al-writes:0 bm-writes:0 upper-pending:0 lower-pending:0 al-suspended:no",
            what.size_kib, device.written
        ),
    }
}

fn peer_device_line(peer: NodeIx, name: &str, number: u32, device: &PeerDevice) -> Line {
    Line {
        kind: "peer-device",
        key: format!("{} volume:{number}", connection_key(peer, name)),
        state: format!(
            "replication:{} peer-disk:{} peer-client:{} resync-suspended:{}",
            device.replication,
            device.disk,
            yes(device.client),
            resync_suspended(device)
        ),
        statistics: "received:0 sent:0 out-of-sync:0 pending:0 unacked:0".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_written_as_drbd_writes_them() {
        assert_eq!(stamp((EPOCH + 2357) * 1_000_000 + 978_263), "2026-11-21T02:39:17.978263+00:00");
        assert_eq!(stamp(951_782_400 * 1_000_000), "2000-02-29T00:00:00.000000+00:00");
    }
}
