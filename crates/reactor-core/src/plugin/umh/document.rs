//! The JSON document on a handler's standard input (`stdin = "json"`). Its schema is in `docs/umh.md`.
//!
//! Fields have the names of the rules' conditions. A field that DRBD does not report is left out; a side on which the object did
//! not exist is `null`. New fields may come; none of version 1 will change.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::change::{Change, HelperEvent, What};
use crate::drbd::types::{ResyncSuspended, Suspended};
use crate::ids::{PeerNodeId, ResourceName, Volume};
use crate::model::Node;
use crate::model::objects::{
    Connection, ConnectionInfo, ConnectionStats, Device, DeviceState, DeviceStats, Path, PathId, PathState, PeerDevice,
    PeerDeviceState, PeerDeviceStats, Progress, Resource, ResourceState,
};

use super::call::Asked;
use super::env;
use super::rules::{ObjectKind, Side};

/// Version of the schema.
const VERSION: u32 = 1;

/// Document of a change. `resource` is the resource at this moment, when the handler is started.
pub(super) fn of_change(rule: &str, change: &Change, node: &Node) -> String {
    let sides = (Side::old(change.kind), Side::new(change.kind));
    let (old, new) = states(&change.what, sides);
    render(&Document {
        version: VERSION,
        rule,
        event: env::event_type(change),
        origin: Some(change.origin.as_str()),
        seq: Some(change.seq.0),
        object: object(&change.resource, &change.what),
        old,
        new,
        resource: node.resource(change.resource.as_str()).map(whole),
    })
}

/// Document of a helper call that waits for an answer.
pub(super) fn of_call(rule: &str, asked: &Asked<'_>, node: &Node) -> String {
    let conn_name = asked.peer.and_then(|peer| node.resource(asked.resource.as_str())?.conn_name(peer));
    render(&Document {
        version: VERSION,
        rule,
        event: env::HELPER,
        origin: None,
        seq: None,
        object: Object {
            kind: ObjectKind::Helper.word(),
            name: asked.resource.as_str(),
            volume: asked.volume.map(|volume| volume.0),
            peer_node_id: asked.peer.map(|peer| peer.0),
            conn_name: conn_name.map(crate::ids::ConnName::as_str),
            helper: Some(&asked.call.helper),
            on: Some("answer"),
            env: Some(asked.call.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()),
            ..Object::default()
        },
        old: None,
        new: None,
        resource: node.resource(asked.resource.as_str()).map(whole),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    version: u32,
    rule: &'a str,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    object: Object<'a>,
    old: Option<State<'a>>,
    new: Option<State<'a>>,
    resource: Option<ResourceDoc<'a>>,
}

/// Which object, and what identifies it.
#[derive(Serialize, Default)]
#[serde(rename_all = "kebab-case")]
struct Object<'a> {
    kind: &'static str,
    /// The resource.
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    volume: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minor: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_node_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conn_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    local: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    helper: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on: Option<&'static str>,
    /// Exit code of a helper.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<i32>,
    /// DRBD's environment of a helper call.
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<BTreeMap<&'a str, &'a str>>,
}

/// One side of a change.
#[derive(Serialize)]
#[serde(untagged)]
enum State<'a> {
    Resource(ResourceStateDoc<'a>),
    Device(DeviceStateDoc<'a>),
    Connection(ConnectionStateDoc<'a>),
    PeerDevice(PeerDeviceStateDoc<'a>),
    Path(PathStateDoc),
}

/// Declares a flat record: every field that is `None` is left out.
macro_rules! record {
    ($name:ident { $($field:ident: $ty:ty),+ $(,)? }) => {
        #[derive(Serialize)]
        #[serde(rename_all = "kebab-case")]
        struct $name<'a> {
            $(#[serde(skip_serializing_if = "Option::is_none")] $field: Option<$ty>,)+
        }
    };
}

record!(ResourceStateDoc {
    role: &'a str,
    may_promote: bool,
    promotion_score: i32,
    suspended: Vec<&'a str>,
    force_io_failures: bool,
    write_ordering: &'a str,
});

record!(DeviceStateDoc {
    minor: u32,
    backing_dev: &'a str,
    disk_state: &'a str,
    client: bool,
    quorum: bool,
    size: u64,
    open: bool,
});

record!(ConnectionStateDoc { conn_name: &'a str, connection_state: &'a str, peer_role: &'a str, congested: bool });

record!(PeerDeviceStateDoc {
    replication_state: &'a str,
    peer_disk_state: &'a str,
    peer_client: bool,
    resync_suspended: Vec<&'a str>,
});

#[derive(Serialize)]
struct PathStateDoc {
    #[serde(skip_serializing_if = "Option::is_none")]
    established: Option<bool>,
}

/// A resource with all that belongs to it.
#[derive(Serialize)]
struct ResourceDoc<'a> {
    name: &'a str,
    #[serde(flatten)]
    state: ResourceStateDoc<'a>,
    devices: Vec<DeviceDoc<'a>>,
    connections: Vec<ConnectionDoc<'a>>,
}

#[derive(Serialize)]
struct DeviceDoc<'a> {
    volume: u32,
    #[serde(flatten)]
    state: DeviceStateDoc<'a>,
    statistics: DeviceStatsDoc,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ConnectionDoc<'a> {
    peer_node_id: u32,
    #[serde(flatten)]
    state: ConnectionStateDoc<'a>,
    statistics: ConnectionStatsDoc,
    peer_devices: Vec<PeerDeviceDoc<'a>>,
    paths: Vec<PathDoc<'a>>,
}

#[derive(Serialize)]
struct PeerDeviceDoc<'a> {
    volume: u32,
    #[serde(flatten)]
    state: PeerDeviceStateDoc<'a>,
    statistics: PeerDeviceStatsDoc,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<ProgressDoc>,
}

#[derive(Serialize)]
struct PathDoc<'a> {
    local: &'a str,
    peer: &'a str,
    #[serde(flatten)]
    state: PathStateDoc,
}

/// Declares a record of numbers.
macro_rules! numbers {
    ($name:ident { $($field:ident: $ty:ty),+ $(,)? }) => {
        #[derive(Serialize)]
        #[serde(rename_all = "kebab-case")]
        struct $name {
            $(#[serde(skip_serializing_if = "Option::is_none")] $field: Option<$ty>,)+
        }
    };
}

numbers!(DeviceStatsDoc {
    read_kib: u64,
    written_kib: u64,
    al_writes: u64,
    bm_writes: u64,
    upper_pending: u64,
    lower_pending: u64,
    al_suspended: bool,
});

numbers!(ConnectionStatsDoc { ap_in_flight_sectors: u64, rs_in_flight_sectors: u64 });

numbers!(PeerDeviceStatsDoc { received_kib: u64, sent_kib: u64, out_of_sync_kib: u64, pending: u64, unacked: u64 });

numbers!(ProgressDoc { done_percent: f64, eta_s: u64 });

fn render(document: &Document<'_>) -> String {
    // Only maps with non-string keys and failing writers make serde_json fail; there is neither.
    let mut text = serde_json::to_string(document).unwrap_or_default();
    text.push('\n');
    text
}

fn states<'a>(what: &'a What, (before, after): (Side, Side)) -> (Option<State<'a>>, Option<State<'a>>) {
    let (old, new) = match what {
        What::Resource { old, new } => (State::Resource(resource_state(old)), State::Resource(resource_state(new))),
        What::Device { old, new, .. } => {
            (State::Device(device_state(&old.state)), State::Device(device_state(&new.state)))
        }
        What::Connection { old, new, .. } => {
            (State::Connection(connection_state(&old.state)), State::Connection(connection_state(&new.state)))
        }
        What::PeerDevice { old, new, .. } => {
            (State::PeerDevice(peer_device_state(&old.state)), State::PeerDevice(peer_device_state(&new.state)))
        }
        What::Path { old, new, .. } => (State::Path(path_state(old)), State::Path(path_state(new))),
        What::Renamed { .. } | What::Helper(_) => return (None, None),
    };
    ((before == Side::There).then_some(old), (after == Side::There).then_some(new))
}

fn object<'a>(resource: &'a ResourceName, what: &'a What) -> Object<'a> {
    let kind = ObjectKind::of_change(what).map_or("resource", ObjectKind::word);
    let object = Object { kind, name: resource.as_str(), ..Object::default() };
    match what {
        What::Resource { .. } | What::Renamed { .. } => object,
        What::Device { volume, old, new } => {
            Object { volume: Some(volume.0), minor: new.state.minor.or(old.state.minor).map(|minor| minor.0), ..object }
        }
        What::Connection { peer, old, new } => Object {
            peer_node_id: Some(peer.0),
            conn_name: new.state.conn_name.as_ref().or(old.state.conn_name.as_ref()).map(crate::ids::ConnName::as_str),
            ..object
        },
        What::PeerDevice { peer, volume, .. } => {
            Object { peer_node_id: Some(peer.0), volume: Some(volume.0), ..object }
        }
        What::Path { peer, path, .. } => Object {
            peer_node_id: Some(peer.0),
            local: Some(path.local.as_str()),
            peer: Some(path.peer.as_str()),
            ..object
        },
        What::Helper(event) => helper(object, event),
    }
}

fn helper<'a>(object: Object<'a>, event: &'a HelperEvent) -> Object<'a> {
    Object {
        volume: event.volume.map(|volume| volume.0),
        minor: event.minor.map(|minor| minor.0),
        peer_node_id: event.peer.map(|peer| peer.0),
        conn_name: event.conn_name.as_ref().map(crate::ids::ConnName::as_str),
        helper: Some(&event.helper),
        on: Some(if event.status.is_none() { "call" } else { "response" }),
        status: event.exit_code(),
        ..object
    }
}

fn whole(resource: &Resource) -> ResourceDoc<'_> {
    ResourceDoc {
        name: resource.name.as_str(),
        state: resource_state(&resource.state),
        devices: resource.devices.iter().map(|(volume, it)| device(volume, it)).collect(),
        connections: resource.connections.iter().map(|(peer, it)| connection(peer, it)).collect(),
    }
}

fn device<'a>(volume: &Volume, device: &'a Device) -> DeviceDoc<'a> {
    DeviceDoc { volume: volume.0, state: device_state(&device.state), statistics: device_stats(&device.stats) }
}

fn connection<'a>(peer: &PeerNodeId, connection: &'a Connection) -> ConnectionDoc<'a> {
    ConnectionDoc {
        peer_node_id: peer.0,
        state: connection_state(&connection.state),
        statistics: connection_stats(&connection.stats),
        peer_devices: connection.peer_devices.iter().map(|(volume, it)| peer_device(volume, it)).collect(),
        paths: connection.paths.iter().map(path).collect(),
    }
}

fn peer_device<'a>(volume: &Volume, device: &'a PeerDevice) -> PeerDeviceDoc<'a> {
    PeerDeviceDoc {
        volume: volume.0,
        state: peer_device_state(&device.state),
        statistics: peer_device_stats(&device.stats),
        progress: device.progress.as_ref().map(progress),
    }
}

fn path<'a>((id, path): (&'a PathId, &Path)) -> PathDoc<'a> {
    PathDoc { local: id.local.as_str(), peer: id.peer.as_str(), state: path_state(&path.state) }
}

fn resource_state(state: &ResourceState) -> ResourceStateDoc<'_> {
    ResourceStateDoc {
        role: Some(state.role.as_str()),
        may_promote: Some(state.may_promote),
        promotion_score: state.promotion_score,
        suspended: Some(Suspended::words(&state.suspended).collect()),
        force_io_failures: state.force_io_failures,
        write_ordering: state.write_ordering.as_deref(),
    }
}

fn device_state(state: &DeviceState) -> DeviceStateDoc<'_> {
    DeviceStateDoc {
        minor: state.minor.map(|minor| minor.0),
        backing_dev: state.backing_dev.as_deref(),
        disk_state: Some(state.disk.as_str()),
        client: state.client,
        quorum: state.quorum,
        size: state.size_kib,
        open: state.open,
    }
}

fn connection_state(state: &ConnectionInfo) -> ConnectionStateDoc<'_> {
    ConnectionStateDoc {
        conn_name: state.conn_name.as_ref().map(crate::ids::ConnName::as_str),
        connection_state: Some(state.connection.as_str()),
        peer_role: Some(state.peer_role.as_str()),
        congested: state.congested,
    }
}

fn peer_device_state(state: &PeerDeviceState) -> PeerDeviceStateDoc<'_> {
    PeerDeviceStateDoc {
        replication_state: Some(state.replication.as_str()),
        peer_disk_state: Some(state.peer_disk.as_str()),
        peer_client: state.peer_client,
        resync_suspended: Some(ResyncSuspended::words(&state.resync_suspended).collect()),
    }
}

fn path_state(state: &PathState) -> PathStateDoc {
    PathStateDoc { established: state.established }
}

fn device_stats(stats: &DeviceStats) -> DeviceStatsDoc {
    DeviceStatsDoc {
        read_kib: stats.read_kib,
        written_kib: stats.written_kib,
        al_writes: stats.al_writes,
        bm_writes: stats.bm_writes,
        upper_pending: stats.upper_pending,
        lower_pending: stats.lower_pending,
        al_suspended: stats.al_suspended,
    }
}

fn connection_stats(stats: &ConnectionStats) -> ConnectionStatsDoc {
    ConnectionStatsDoc {
        ap_in_flight_sectors: stats.ap_in_flight_sectors,
        rs_in_flight_sectors: stats.rs_in_flight_sectors,
    }
}

fn peer_device_stats(stats: &PeerDeviceStats) -> PeerDeviceStatsDoc {
    PeerDeviceStatsDoc {
        received_kib: stats.received_kib,
        sent_kib: stats.sent_kib,
        out_of_sync_kib: stats.out_of_sync_kib,
        pending: stats.pending,
        unacked: stats.unacked,
    }
}

fn progress(progress: &Progress) -> ProgressDoc {
    // JSON has no NaN: it would become `null`.
    ProgressDoc { done_percent: progress.done_percent.filter(|done| done.is_finite()), eta_s: progress.eta_s }
}
