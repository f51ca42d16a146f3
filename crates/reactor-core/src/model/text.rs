//! The snapshot written as `events2` text: a full dump that reads back to the same snapshot.
//!
//! Each file of the recorder begins with one, so that it replays by itself.

use std::fmt::{Display, Write};

use crate::ids::PeerNodeId;

use super::Node;
use super::objects::{Connection, Device, Extra, PeerDevice, Resource};

/// Writes one line key by key.
struct LineWriter<'a> {
    out: &'a mut String,
}

impl LineWriter<'_> {
    fn key(&mut self, key: &str, value: impl Display) -> &mut Self {
        // Writing to a String cannot fail.
        let _ = write!(self.out, " {key}:{value}");
        self
    }

    fn some(&mut self, key: &str, value: Option<impl Display>) -> &mut Self {
        if let Some(value) = value {
            self.key(key, value);
        }
        self
    }

    fn yes_no(&mut self, key: &str, value: Option<bool>) -> &mut Self {
        self.some(key, value.map(|yes| if yes { "yes" } else { "no" }))
    }

    fn extra(&mut self, extra: &Extra) -> &mut Self {
        for (key, value) in extra.iter().flat_map(|map| map.iter()) {
            self.key(key, value);
        }
        self
    }

    fn end(&mut self) {
        self.out.push('\n');
    }
}

fn line<'a>(out: &'a mut String, object: &str, resource: &Resource) -> LineWriter<'a> {
    out.push_str("exists ");
    out.push_str(object);
    let mut writer = LineWriter { out };
    writer.key("name", &resource.name);
    writer
}

impl Node {
    /// The present state as the dump that `drbdsetup events2 --full --statistics` prints, `exists -` included.
    pub fn to_events2(&self) -> String {
        let mut out = String::new();
        for resource in self.resources() {
            write_resource(&mut out, resource);
        }
        out.push_str("exists -\n");
        out
    }
}

fn write_resource(out: &mut String, resource: &Resource) {
    let state = &resource.state;
    line(out, "resource", resource)
        .key("role", &state.role)
        .key("suspended", &state.suspended)
        .yes_no("force-io-failures", state.force_io_failures)
        .some("write-ordering", state.write_ordering.as_deref())
        .yes_no("may_promote", resource.says_may_promote.then_some(state.may_promote))
        .some("promotion_score", state.promotion_score)
        .extra(&resource.extra)
        .end();
    // Highest node id and volume first, as DRBD prints them.
    for (peer, connection) in resource.connections.iter().rev() {
        let state = &connection.state;
        line(out, "connection", resource)
            .key("peer-node-id", peer)
            .some("conn-name", state.conn_name.as_ref())
            .key("connection", &state.connection)
            .key("role", &state.peer_role)
            .yes_no("congested", state.congested)
            .some("ap-in-flight", connection.stats.ap_in_flight_sectors)
            .some("rs-in-flight", connection.stats.rs_in_flight_sectors)
            .extra(&connection.extra)
            .end();
    }
    for (volume, device) in resource.devices.iter().rev() {
        write_device(out, resource, *volume, device);
    }
    for (peer, connection) in resource.connections.iter().rev() {
        write_parts(out, resource, *peer, connection);
    }
    // DRBD has no line for a split brain that is there; this one says the same.
    for (peer, mark) in resource.split.iter().filter(|(_, mark)| !mark.is_tried) {
        out.push_str("call helper");
        let mut writer = LineWriter { out };
        writer.key("name", &resource.name).key("peer-node-id", peer).some("conn-name", mark.peer.as_ref());
        writer.key("helper", "split-brain").end();
    }
}

fn write_device(out: &mut String, resource: &Resource, volume: crate::ids::Volume, device: &Device) {
    let (state, stats) = (&device.state, &device.stats);
    line(out, "device", resource)
        .key("volume", volume)
        .some("minor", state.minor)
        .some("backing_dev", state.backing_dev.as_deref())
        .key("disk", &state.disk)
        .yes_no("client", state.client)
        .yes_no("open", state.open)
        .yes_no("quorum", state.quorum)
        .some("size", state.size_kib)
        .some("read", stats.read_kib)
        .some("written", stats.written_kib)
        .some("al-writes", stats.al_writes)
        .some("bm-writes", stats.bm_writes)
        .some("upper-pending", stats.upper_pending)
        .some("lower-pending", stats.lower_pending)
        .yes_no("al-suspended", stats.al_suspended)
        .key("blocked", &stats.blocked)
        .extra(&device.extra)
        .end();
}

fn write_parts(out: &mut String, resource: &Resource, peer: PeerNodeId, connection: &Connection) {
    let name = connection.state.conn_name.as_ref();
    for (volume, peer_device) in connection.peer_devices.iter().rev() {
        let PeerDevice { state, stats, progress, extra } = &**peer_device;
        let mut writer = line(out, "peer-device", resource);
        writer
            .key("peer-node-id", peer)
            .some("conn-name", name)
            .key("volume", volume)
            .key("replication", &state.replication)
            .key("peer-disk", &state.peer_disk)
            .yes_no("peer-client", state.peer_client)
            .key("resync-suspended", &state.resync_suspended)
            .some("received", stats.received_kib)
            .some("sent", stats.sent_kib)
            .some("out-of-sync", stats.out_of_sync_kib)
            .some("pending", stats.pending)
            .some("unacked", stats.unacked);
        if let Some(progress) = progress {
            writer
                .some("done", progress.done_percent)
                .some("eta", progress.eta_s)
                .some("dbdt1", progress.speed_mib_s)
                .extra(&progress.details);
        }
        writer.extra(extra).end();
    }
    for (path, known) in &connection.paths {
        line(out, "path", resource)
            .key("peer-node-id", peer)
            .some("conn-name", name)
            .key("local", &path.local)
            .key("peer", &path.peer)
            .yes_no("established", known.state.established)
            .extra(&known.extra)
            .end();
    }
}
