//! DRBD objects on the wire.
//!
//! Each object has its fields in one struct, states first, then statistics. The same struct is the object in the status and the
//! `old` and `new` of a change. What DRBD did not say is absent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// Split brains, and those that are possible.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub split_brains: Vec<WireSplitBrain>,
    /// Keys that this version does not know.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: ExtraFields,
}

/// A split brain: this node and a peer have written apart from each other, and DRBD does not connect them.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct WireSplitBrain {
    /// DRBD's node id of the peer.
    pub peer_node_id: u32,
    /// The peer, as DRBD calls it here.
    pub peer: Option<String>,
    /// Why it is believed: `handler` (DRBD called its handler `split-brain`), `kernel` (its line in the kernel's log), or `standalone`: it is possible
    /// no more, because the connection is StandAlone and this node has written since.
    pub evidence: String,
}

impl WireSplitBrain {
    /// The peer, by name or number.
    pub fn peer(&self) -> String {
        self.peer.clone().unwrap_or_else(|| format!("peer {}", self.peer_node_id))
    }

    /// Whether DRBD itself has found it.
    pub fn is_sure(&self) -> bool {
        self.evidence != "standalone"
    }
}

/// A local device.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

impl WireConnection {
    /// What to call the peer in a message: its name, or its node id where the name is not known.
    pub fn display_name(&self) -> String {
        self.fields.name.clone().unwrap_or_else(|| format!("node {}", self.peer_node_id))
    }
}
