//! DRBD objects on the wire.
//!
//! Each object has its fields in one struct, states first, then statistics. The same struct is the object in the status and the
//! `old` and `new` of a change. What DRBD did not say is absent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::change::{ConnectionView, DeviceView, PeerDeviceView};
use crate::model::objects::{
    Connection, ConnectionInfo, ConnectionStats, Device, DeviceState, DeviceStats, Extra, Path, PathId, PathState,
    PeerDevice, PeerDeviceState, PeerDeviceStats, Progress, Resource, ResourceState,
};

/// A value that DRBD may or may not have said, and its word.
trait Word {
    fn is_absent(&self) -> bool;
    fn word(&self) -> String;
}

impl Word for String {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
    fn word(&self) -> String {
        self.clone()
    }
}

impl Word for bool {
    fn is_absent(&self) -> bool {
        false
    }
    fn word(&self) -> String {
        if *self { "yes" } else { "no" }.to_owned()
    }
}

macro_rules! number_words {
    ($($ty:ty),+) => {$(
        impl Word for $ty {
            fn is_absent(&self) -> bool {
                false
            }
            fn word(&self) -> String {
                self.to_string()
            }
        }
    )+};
}
number_words!(i32, u32, u64, f64);

impl<T: Word> Word for Option<T> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }
    fn word(&self) -> String {
        self.as_ref().map(T::word).unwrap_or_default()
    }
}

/// One field of an object: its key, its word (empty = not said), and whether it is a state or a statistic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The key, as on the wire.
    pub key: &'static str,
    /// The value as DRBD writes it; empty if DRBD did not say it.
    pub word: String,
    /// A state, not a statistic.
    pub is_state: bool,
}

macro_rules! fields {
    (
        $(#[$doc:meta])* $id:ident
        states { $($(#[$sdoc:meta])* $skey:literal $state:ident: $sty:ty,)+ }
        statistics { $($(#[$tdoc:meta])* $tkey:literal $stat:ident: $tty:ty,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $id {
            $(
                $(#[$sdoc])*
                #[serde(rename = $skey, skip_serializing_if = "Word::is_absent")]
                pub $state: $sty,
            )+
            $(
                $(#[$tdoc])*
                #[serde(rename = $tkey, skip_serializing_if = "Word::is_absent")]
                pub $stat: $tty,
            )*
        }

        impl $id {
            /// All fields in the order of this struct.
            pub fn fields(&self) -> Vec<Field> {
                vec![
                    $(Field { key: $skey, word: self.$state.word(), is_state: true },)+
                    $(Field { key: $tkey, word: self.$stat.word(), is_state: false },)*
                ]
            }
        }
    };
}

fields! {
    /// Fields of a resource.
    ResourceFields
    states {
        /// Role of this node.
        "role" role: String,
        /// Whether this node could become Primary now.
        "may-promote" may_promote: bool,
        /// How good a Primary this node would be. Not with DRBD 8.4.
        "promotion-score" promotion_score: Option<i32>,
        /// Why I/O is suspended: `no`, or a comma list of `user`, `no-data`, `fencing`, `quorum`.
        "suspended" suspended: String,
        /// Whether a forced demotion makes all I/O fail until the last opener is gone. Not with DRBD 8.4.
        "force-io-failures" force_io_failures: Option<bool>,
        /// How write ordering is kept.
        "write-ordering" write_ordering: Option<String>,
    }
    statistics {}
}

fields! {
    /// Fields of a device.
    DeviceFields
    states {
        /// Minor number: `/dev/drbdMINOR`.
        "minor" minor: Option<u32>,
        /// State of the local disk.
        "disk-state" disk_state: String,
        /// The disk below; absent if there is none, or with DRBD 8.4.
        "backing-device" backing_device: Option<String>,
        /// Whether this node is diskless on purpose. Not with DRBD 8.4.
        "client" client: Option<bool>,
        /// Whether this device has quorum. Not with DRBD 8.4.
        "quorum" quorum: Option<bool>,
        /// Size in KiB.
        "size" size_kib: Option<u64>,
        /// Whether somebody holds it open. Not with drbd-utils before 9.28.
        "open" open: Option<bool>,
    }
    statistics {
        /// KiB read from the disk.
        "read" read_kib: Option<u64>,
        /// KiB written to the disk.
        "written" written_kib: Option<u64>,
        /// Updates of the activity log.
        "al-writes" al_writes: Option<u64>,
        /// Updates of the bitmap.
        "bm-writes" bm_writes: Option<u64>,
        /// Requests from above that are not completed.
        "upper-pending" upper_pending: Option<u64>,
        /// Requests to the disk that are not completed.
        "lower-pending" lower_pending: Option<u64>,
        /// Whether the activity log is suspended.
        "al-suspended" al_suspended: Option<bool>,
        /// What blocks I/O at this moment: `no`, or a comma list of `upper`, `lower`.
        "blocked" blocked: String,
    }
}

fields! {
    /// Fields of a connection.
    ConnectionFields
    states {
        /// Its name: the peer's host name as DRBD's configuration spells it.
        "name" name: Option<String>,
        /// State of the connection.
        "connection-state" connection_state: String,
        /// Role of the peer.
        "peer-role" peer_role: String,
        /// Whether the send buffer is congested.
        "congested" congested: Option<bool>,
    }
    statistics {
        /// Application data on its way to the peer, in sectors of 512 bytes.
        "ap-in-flight" ap_in_flight_sectors: Option<u64>,
        /// Resync data on its way to the peer, in sectors of 512 bytes.
        "rs-in-flight" rs_in_flight_sectors: Option<u64>,
    }
}

fields! {
    /// Fields of a peer device.
    PeerDeviceFields
    states {
        /// Replication state.
        "replication-state" replication_state: String,
        /// State of the peer's disk.
        "peer-disk-state" peer_disk_state: String,
        /// Whether the peer is diskless on purpose. Not with DRBD 8.4.
        "peer-client" peer_client: Option<bool>,
        /// Why the resync is paused: `no`, or a comma list of `user`, `peer`, `dependency`.
        "resync-suspended" resync_suspended: String,
    }
    statistics {
        /// KiB received from the peer.
        "received" received_kib: Option<u64>,
        /// KiB sent to the peer.
        "sent" sent_kib: Option<u64>,
        /// KiB known to differ.
        "out-of-sync" out_of_sync_kib: Option<u64>,
        /// Requests sent to the peer and not answered.
        "pending" pending: Option<u64>,
        /// Requests received from the peer and not answered.
        "unacked" unacked: Option<u64>,
        /// Percent done of the resync or verify that runs.
        "percent-resync-done" done_percent: Option<f64>,
        /// Seconds until the resync or verify ends.
        "estimated-seconds-to-finish" eta_s: Option<u64>,
        /// Speed of the resync or verify in MiB/s.
        "speed-mib-s" speed_mib_s: Option<f64>,
    }
}

fields! {
    /// Fields of a path.
    PathFields
    states {
        /// Whether the path carries traffic.
        "established" established: Option<bool>,
    }
    statistics {}
}

/// Keys of events2 that this version does not know, with their raw values.
pub type ExtraFields = BTreeMap<String, String>;

/// A resource with all that belongs to it.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct WireResource {
    /// Its name.
    pub name: String,
    /// Its fields.
    #[serde(flatten)]
    pub fields: ResourceFields,
    /// Local devices by volume.
    pub devices: Vec<WireDevice>,
    /// Connections by peer node id.
    pub connections: Vec<WireConnection>,
    /// Keys that this version does not know.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: ExtraFields,
}

/// A local device.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct WireDevice {
    /// Its volume.
    pub volume: u32,
    /// Its fields.
    #[serde(flatten)]
    pub fields: DeviceFields,
    /// Keys that this version does not know.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: ExtraFields,
}

/// A connection with what belongs to it.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct WireConnection {
    /// DRBD's node id of the peer.
    pub peer_node_id: u32,
    /// Its fields.
    #[serde(flatten)]
    pub fields: ConnectionFields,
    /// Network paths.
    pub paths: Vec<WirePath>,
    /// The peer's devices by volume.
    pub peer_devices: Vec<WirePeerDevice>,
    /// Keys that this version does not know.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: ExtraFields,
}

/// One volume as this node sees it on a peer.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct WirePeerDevice {
    /// Its volume.
    pub volume: u32,
    /// Its fields.
    #[serde(flatten)]
    pub fields: PeerDeviceFields,
    /// Keys that this version does not know.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: ExtraFields,
}

/// A network path.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct WirePath {
    /// Address on this node, as events2 prints it.
    pub local: String,
    /// Address on the peer, as events2 prints it.
    pub peer: String,
    /// Its fields.
    #[serde(flatten)]
    pub fields: PathFields,
    /// Keys that this version does not know.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: ExtraFields,
}

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

impl DeviceFields {
    fn of(state: &DeviceState, stats: &DeviceStats) -> Self {
        Self {
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
}

impl ConnectionFields {
    fn of(state: &ConnectionInfo, stats: &ConnectionStats) -> Self {
        Self {
            name: state.conn_name.as_ref().map(ToString::to_string),
            connection_state: state.connection.to_string(),
            peer_role: state.peer_role.to_string(),
            congested: state.congested,
            ap_in_flight_sectors: stats.ap_in_flight_sectors,
            rs_in_flight_sectors: stats.rs_in_flight_sectors,
        }
    }
}

impl PeerDeviceFields {
    fn of(state: &PeerDeviceState, stats: &PeerDeviceStats, progress: Option<&Progress>) -> Self {
        Self {
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
}

impl From<&DeviceView> for DeviceFields {
    fn from(view: &DeviceView) -> Self {
        Self::of(&view.state, &view.stats)
    }
}

impl From<&ConnectionView> for ConnectionFields {
    fn from(view: &ConnectionView) -> Self {
        Self::of(&view.state, &view.stats)
    }
}

impl From<&PeerDeviceView> for PeerDeviceFields {
    fn from(view: &PeerDeviceView) -> Self {
        Self::of(&view.state, &view.stats, view.progress.as_ref())
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
            devices: resource.devices.iter().map(|(volume, device)| WireDevice::of(volume.0, device)).collect(),
            connections: resource.connections.iter().map(|(peer, conn)| WireConnection::of(peer.0, conn)).collect(),
            extra: extra(&resource.extra),
        }
    }
}

impl WireDevice {
    fn of(volume: u32, device: &Device) -> Self {
        Self { volume, fields: DeviceFields::of(&device.state, &device.stats), extra: extra(&device.extra) }
    }
}

impl WireConnection {
    fn of(peer_node_id: u32, connection: &Connection) -> Self {
        Self {
            peer_node_id,
            fields: ConnectionFields::of(&connection.state, &connection.stats),
            paths: connection.paths.iter().map(|(id, path)| WirePath::of(id, path)).collect(),
            peer_devices: connection
                .peer_devices
                .iter()
                .map(|(volume, device)| WirePeerDevice::of(volume.0, device))
                .collect(),
            extra: extra(&connection.extra),
        }
    }

    /// What to call the peer in a message: its name, or its node id where the name is not known.
    pub fn display_name(&self) -> String {
        self.fields.name.clone().unwrap_or_else(|| format!("node {}", self.peer_node_id))
    }
}

impl WirePeerDevice {
    fn of(volume: u32, device: &PeerDevice) -> Self {
        Self {
            volume,
            fields: PeerDeviceFields::of(&device.state, &device.stats, device.progress.as_ref()),
            extra: extra(&device.extra),
        }
    }
}

impl WirePath {
    fn of(id: &PathId, path: &Path) -> Self {
        Self {
            local: id.local.to_string(),
            peer: id.peer.to_string(),
            fields: (&path.state).into(),
            extra: extra(&path.extra),
        }
    }
}
