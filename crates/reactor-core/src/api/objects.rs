//! DRBD objects as the wire has them.

use reactor_api::objects::{
    ConnectionFields, DeviceFields, ExtraFields, PathFields, PeerDeviceFields, ResourceFields, WireConnection,
    WireDevice, WirePath, WirePeerDevice, WireResource, WireSplitBrain,
};

use crate::change::{ConnectionView, DeviceView, PeerDeviceView};
use crate::ids::{ConnName, PeerNodeId};
use crate::model::objects::{
    Connection, ConnectionInfo, ConnectionStats, Device, DeviceState, DeviceStats, Extra, Path, PathId, PathState,
    PeerDevice, PeerDeviceState, PeerDeviceStats, Progress, Resource, ResourceState,
};
use crate::model::split_brain::Evidence;

fn extra(extra: &Extra) -> ExtraFields {
    extra.iter().flat_map(|map| map.iter()).map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

impl From<&ResourceState> for ResourceFields {
    fn from(state: &ResourceState) -> Self {
        Self {
            role: state.role.to_string(),
            may_promote: state.may_promote,
            promotion_score: state.promotion_score,
            suspended: state.suspended.to_string(),
            force_io_failures: state.force_io_failures,
            write_ordering: state.write_ordering.as_deref().map(str::to_owned),
        }
    }
}

fn device_fields(state: &DeviceState, stats: &DeviceStats) -> DeviceFields {
    DeviceFields {
        minor: state.minor.map(|minor| minor.0),
        disk_state: state.disk.to_string(),
        backing_device: state.backing_device().map(str::to_owned),
        client: state.client,
        quorum: state.quorum,
        size_kib: state.size_kib,
        open: state.open,
        read_kib: stats.read_kib,
        written_kib: stats.written_kib,
        al_writes: stats.al_writes,
        bm_writes: stats.bm_writes,
        upper_pending: stats.upper_pending,
        lower_pending: stats.lower_pending,
        al_suspended: stats.al_suspended,
        blocked: stats.blocked.to_string(),
    }
}

fn connection_fields(state: &ConnectionInfo, stats: &ConnectionStats) -> ConnectionFields {
    ConnectionFields {
        name: state.conn_name.as_ref().map(ToString::to_string),
        connection_state: state.connection.to_string(),
        peer_role: state.peer_role.to_string(),
        congested: state.congested,
        ap_in_flight_sectors: stats.ap_in_flight_sectors,
        rs_in_flight_sectors: stats.rs_in_flight_sectors,
    }
}

fn peer_device_fields(
    state: &PeerDeviceState,
    stats: &PeerDeviceStats,
    progress: Option<&Progress>,
) -> PeerDeviceFields {
    PeerDeviceFields {
        replication_state: state.replication.to_string(),
        peer_disk_state: state.peer_disk.to_string(),
        peer_client: state.peer_client,
        resync_suspended: state.resync_suspended.to_string(),
        received_kib: stats.received_kib,
        sent_kib: stats.sent_kib,
        out_of_sync_kib: stats.out_of_sync_kib,
        pending: stats.pending,
        unacked: stats.unacked,
        done_percent: progress.and_then(|progress| progress.done_percent),
        eta_s: progress.and_then(|progress| progress.eta_s),
        speed_mib_s: progress.and_then(|progress| progress.speed_mib_s),
    }
}

impl From<&DeviceView> for DeviceFields {
    fn from(view: &DeviceView) -> Self {
        device_fields(&view.state, &view.stats)
    }
}

impl From<&ConnectionView> for ConnectionFields {
    fn from(view: &ConnectionView) -> Self {
        connection_fields(&view.state, &view.stats)
    }
}

impl From<&PeerDeviceView> for PeerDeviceFields {
    fn from(view: &PeerDeviceView) -> Self {
        peer_device_fields(&view.state, &view.stats, view.progress.as_ref())
    }
}

impl From<&PathState> for PathFields {
    fn from(state: &PathState) -> Self {
        Self { established: state.established }
    }
}

impl From<&Resource> for WireResource {
    fn from(resource: &Resource) -> Self {
        Self {
            name: resource.name.to_string(),
            fields: (&resource.state).into(),
            devices: resource.devices.iter().map(|(volume, device)| wire_device(volume.0, device)).collect(),
            connections: resource.connections.iter().map(|(peer, conn)| wire_connection(peer.0, conn)).collect(),
            split_brains: resource.split_brains().map(wire_split_brain).collect(),
            extra: extra(&resource.extra),
        }
    }
}

fn wire_split_brain((peer, name, evidence): (PeerNodeId, Option<&ConnName>, Evidence)) -> WireSplitBrain {
    let peer_name = name.map(ToString::to_string);
    WireSplitBrain { peer_node_id: peer.0, peer: peer_name, evidence: evidence.as_str().to_owned() }
}

fn wire_device(volume: u32, device: &Device) -> WireDevice {
    WireDevice { volume, fields: device_fields(&device.state, &device.stats), extra: extra(&device.extra) }
}

fn wire_connection(peer_node_id: u32, connection: &Connection) -> WireConnection {
    WireConnection {
        peer_node_id,
        fields: connection_fields(&connection.state, &connection.stats),
        paths: connection.paths.iter().map(|(id, path)| wire_path(id, path)).collect(),
        peer_devices: connection
            .peer_devices
            .iter()
            .map(|(volume, device)| wire_peer_device(volume.0, device))
            .collect(),
        extra: extra(&connection.extra),
    }
}

fn wire_peer_device(volume: u32, device: &PeerDevice) -> WirePeerDevice {
    WirePeerDevice {
        volume,
        fields: peer_device_fields(&device.state, &device.stats, device.progress.as_ref()),
        extra: extra(&device.extra),
    }
}

fn wire_path(id: &PathId, path: &Path) -> WirePath {
    WirePath {
        local: id.local.to_string(),
        peer: id.peer.to_string(),
        fields: (&path.state).into(),
        extra: extra(&path.extra),
    }
}
