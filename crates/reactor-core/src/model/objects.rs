//! What we know about each DRBD object: its identity, its state, its statistics.
//!
//! State is what a rule can react to; statistics are what moves with every I/O. The two are apart so that a poll, which prints
//! numbers for every object, costs no comparison of states and raises no state change.
//! What a dialect cannot say is `None`, never a made-up value.
//!
//! The parts of a resource are boxed: a map keeps room for eleven entries at once, most resources have one or two of each, and with a
//! thousand resources the empty room was most of the memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::drbd::types::{
    Blocked, ConnectionState as ConnState, DiskState, ReplicationState, ResyncSuspended, Role, Suspended,
};
use crate::ids::{ConnName, Minor, PathAddress, PeerNodeId, ResourceName, Volume};

use super::split_brain::Mark;

/// Keys that we do not know, with their raw values, by key. Shared, because they hardly ever exist or change.
pub type Extra = Option<Arc<BTreeMap<Box<str>, Box<str>>>>;

/// A DRBD resource with all that belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Its name.
    pub name: ResourceName,
    /// Its own state.
    pub state: ResourceState,
    /// Local devices by volume.
    pub devices: BTreeMap<Volume, Box<Device>>,
    /// Connections by peer node id.
    pub connections: BTreeMap<PeerNodeId, Box<Connection>>,
    /// Grows with every line about this resource or anything in it: equal numbers mean nothing changed.
    pub generation: u64,
    /// The generation in which a state changed, or a part came or went, for the last time: with equal numbers, only statistics
    /// can differ.
    pub shape: u64,
    /// Whether DRBD itself says `may_promote`; if not, it is computed from the state at the end of each burst.
    pub says_may_promote: bool,
    /// Split brains that DRBD has found, by peer node id. See [`split_brains`](Self::split_brains).
    pub split: BTreeMap<PeerNodeId, Mark>,
    /// Keys that we do not know.
    pub extra: Extra,
}

/// State of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ResourceState {
    /// Role of this node.
    pub role: Role,
    /// Whether this node could become Primary now: said by DRBD 9, computed from the state where the dialect does not say it.
    pub may_promote: bool,
    /// How good a Primary this node would be; `None` with DRBD 8.4.
    pub promotion_score: Option<i32>,
    /// Why I/O is suspended.
    pub suspended: Suspended,
    /// Whether a forced demotion makes all I/O fail until the last opener is gone; `None` with DRBD 8.4.
    pub force_io_failures: Option<bool>,
    /// How write ordering is kept (`flush`, `drain`, `none`, `bio`); `None` where it is not printed.
    pub write_ordering: Option<Arc<str>>,
}

/// A local DRBD device: one volume of a resource on this node.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Device {
    /// Its state.
    pub state: DeviceState,
    /// Its statistics.
    pub stats: DeviceStats,
    /// Keys that we do not know.
    pub extra: Extra,
}

/// State of a device.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DeviceState {
    /// `/dev/drbdMINOR`.
    pub minor: Option<Minor>,
    /// The disk below; `none` when there is none, `None` with DRBD 8.4, which does not print it.
    pub backing_dev: Option<Arc<str>>,
    /// State of the disk below.
    pub disk: DiskState,
    /// Whether this node is diskless on purpose; `None` with DRBD 8.4.
    pub client: Option<bool>,
    /// Whether this device has quorum; `None` with DRBD 8.4, which knows no quorum.
    pub quorum: Option<bool>,
    /// Size in KiB.
    pub size_kib: Option<u64>,
    /// Whether somebody holds the device open; `None` where drbd-utils is older than 9.28 and does not print it.
    pub open: Option<bool>,
}

impl DeviceState {
    /// The backing device, unless there is none.
    pub fn backing_device(&self) -> Option<&str> {
        self.backing_dev.as_deref().filter(|dev| *dev != "none")
    }
}

/// Statistics of a device. Sizes in KiB (drbdsetup prints sectors / 2), the others are counts.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DeviceStats {
    /// KiB read from the disk below.
    pub read_kib: Option<u64>,
    /// KiB written to the disk below.
    pub written_kib: Option<u64>,
    /// Updates of the activity log.
    pub al_writes: Option<u64>,
    /// Updates of the bitmap.
    pub bm_writes: Option<u64>,
    /// I/O requests from above that are not completed.
    pub upper_pending: Option<u64>,
    /// I/O requests to the disk below that are not completed.
    pub lower_pending: Option<u64>,
    /// Whether the activity log is suspended.
    pub al_suspended: Option<bool>,
    /// What blocks I/O at this moment.
    pub blocked: Blocked,
}

/// A connection to a peer with its peer devices and paths.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Connection {
    /// Its state.
    pub state: ConnectionInfo,
    /// Its statistics.
    pub stats: ConnectionStats,
    /// The peer's devices by volume.
    pub peer_devices: BTreeMap<Volume, Box<PeerDevice>>,
    /// Network paths by their two ends.
    pub paths: BTreeMap<PathId, Path>,
    /// Keys that we do not know.
    pub extra: Extra,
}

/// State of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConnectionInfo {
    /// Its name.
    pub conn_name: Option<ConnName>,
    /// Its connection state.
    pub connection: ConnState,
    /// Role of the peer.
    pub peer_role: Role,
    /// Whether the send buffer is congested; `None` where it is not printed.
    pub congested: Option<bool>,
}

/// Statistics of a connection, in sectors of 512 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ConnectionStats {
    /// Application data on its way to the peer.
    pub ap_in_flight_sectors: Option<u64>,
    /// Resync data on its way to the peer.
    pub rs_in_flight_sectors: Option<u64>,
}

/// One volume as this node sees it on a peer.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct PeerDevice {
    /// Its state.
    pub state: PeerDeviceState,
    /// Its statistics.
    pub stats: PeerDeviceStats,
    /// Progress of a running resync or verify; `None` while none runs.
    pub progress: Option<Progress>,
    /// Keys that we do not know.
    pub extra: Extra,
}

/// State of a peer device.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PeerDeviceState {
    /// Replication state.
    pub replication: ReplicationState,
    /// State of the peer's disk.
    pub peer_disk: DiskState,
    /// Whether the peer is diskless on purpose; `None` with DRBD 8.4.
    pub peer_client: Option<bool>,
    /// Why the resync is paused.
    pub resync_suspended: ResyncSuspended,
}

/// Statistics of a peer device: KiB and counts.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PeerDeviceStats {
    /// KiB received from the peer.
    pub received_kib: Option<u64>,
    /// KiB sent to the peer.
    pub sent_kib: Option<u64>,
    /// KiB known to differ.
    pub out_of_sync_kib: Option<u64>,
    /// Requests sent to the peer and not answered.
    pub pending: Option<u64>,
    /// Requests received from the peer and not answered.
    pub unacked: Option<u64>,
}

/// Progress of a resync or verify.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Progress {
    /// Percent done. Useless in a verify on DRBD 8.4, which says 100 from the start.
    pub done_percent: Option<f64>,
    /// Seconds until the end at the present speed; `None` while DRBD does not know (`eta:nan`).
    pub eta_s: Option<u64>,
    /// Speed over the last seconds in MiB/s (`dbdt1`).
    pub speed_mib_s: Option<f64>,
    /// The other keys that DRBD prints while a resync or verify runs, raw.
    pub details: Extra,
}

/// The two ends of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId {
    /// Address on this node.
    pub local: PathAddress,
    /// Address on the peer.
    pub peer: PathAddress,
}

/// A network path of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Path {
    /// Its state.
    pub state: PathState,
    /// Keys that we do not know.
    pub extra: Extra,
}

/// State of a path.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PathState {
    /// Whether the path carries traffic; `None` before DRBD has said so.
    pub established: Option<bool>,
}

impl Resource {
    /// A resource of which only the name is known.
    pub fn new(name: ResourceName) -> Self {
        Self {
            name,
            state: ResourceState::default(),
            devices: BTreeMap::new(),
            connections: BTreeMap::new(),
            generation: 0,
            shape: 0,
            says_may_promote: false,
            split: BTreeMap::new(),
            extra: None,
        }
    }

    /// Name of the connection to `peer`, if it is known.
    pub fn conn_name(&self, peer: PeerNodeId) -> Option<&ConnName> {
        self.connections.get(&peer)?.state.conn_name.as_ref()
    }
}
