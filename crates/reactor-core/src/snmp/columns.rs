//! Every object: its number, its name and type in the MIB, what it says, and where its value comes from. A new object is a new row here; then
//! `cargo xtask docs` writes it into the MIB file.
//!
//! Numbers are for ever: managers have them in their templates.

use std::sync::Arc;

use crate::drbd::types::{DiskState, ReplicationState};
use crate::ids::{Minor, PeerNodeId, Volume};
use crate::metrics::Health;
use crate::metrics::health::PromotedHealth;
use crate::model::objects::{Connection, Device, PeerDevice, Resource};
use crate::plugin::promoter::report::StateWord;

use super::table::Index;
use super::value::Value;
use super::{BASE, Oid};

/// A type of the MIB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Syntax {
    Integer,
    /// A number that is an index: it has no sign.
    Number,
    Unsigned32,
    Gauge32,
    Counter64,
    /// A number that goes up and down, of 64 bits: on the wire it is a `Counter64`.
    Gauge64,
    Text,
    /// A text that is an index.
    Name,
    Truth,
}

use Syntax::{Counter64, Gauge32, Gauge64, Integer, Name, Number, Text, Truth, Unsigned32};

/// A column of a table, whose values are functions of a row.
pub(super) struct Column<F> {
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) syntax: Syntax,
    pub(super) says: &'static str,
    pub(super) of: F,
}

const fn column<F: Copy>(number: u32, name: &'static str, syntax: Syntax, says: &'static str, of: F) -> Column<F> {
    Column { number, name, syntax, says, of }
}

/// A table.
pub(super) struct TableSpec {
    /// Behind [`BASE`].
    pub(super) path: &'static [u32],
    pub(super) name: &'static str,
    /// Of the row's type in the MIB.
    pub(super) entry_name: &'static str,
    pub(super) says: &'static str,
    pub(super) row_says: &'static str,
    /// The columns that a row is found by.
    pub(super) index: &'static [&'static str],
}

impl TableSpec {
    /// What all its instances begin with.
    pub(super) fn entry(&self) -> Oid {
        Oid::joined(&Oid::joined(BASE, self.path), &[1])
    }
}

/// `drbdData`, below which everything is.
pub(super) const DATA: u32 = 1;

/// Where our own part begins, below [`DATA`].
pub(super) const OURS: u32 = 1000;

pub(super) const DEVICE_TABLE: TableSpec = TableSpec {
    path: &[DATA, 2],
    name: "drbdTable",
    entry_name: "drbdEntry",
    says: "The DRBD devices of this node.",
    row_says: "A DRBD device of this node.",
    index: &["drbdMinor"],
};

pub(super) const CONNECTION_TABLE: TableSpec = TableSpec {
    path: &[DATA, OURS, 1, 2],
    name: "srConnectionTable",
    entry_name: "srConnectionEntry",
    says: "The connections of this node to peers. Not served if peer-states is false, and not for resources with a name of more than 112 bytes.",
    row_says: "A connection of a resource to a peer.",
    index: &["srConnectionResource", "srConnectionPeerNodeId"],
};

pub(super) const PEER_TABLE: TableSpec = TableSpec {
    path: &[DATA, OURS, 1, 3],
    name: "srPeerDeviceTable",
    entry_name: "srPeerDeviceEntry",
    says: "The volumes of peers as this node sees them. Not served if peer-states is false.",
    row_says: "A volume on a peer.",
    index: &["drbdMinor", "srPeerDeviceNodeId"],
};

pub(super) const PROMOTED_TABLE: TableSpec = TableSpec {
    path: &[DATA, OURS, 1, 4],
    name: "srPromotedTable",
    entry_name: "srPromotedEntry",
    says: "The resources that the promoter manages on this node. Not those with a name of more than 112 bytes.",
    row_says: "A resource that the promoter manages.",
    index: &["srPromotedResource"],
};

/// Bytes that a name may have to be an index: an identifier has 128 numbers at most, and a peer may follow.
pub(super) const NAME_MAX: usize = 112;

/// The index that begins with a name: how many bytes it has, and each of them. `None` = it is too long for one.
pub(super) fn index_of_name(name: &str, rest: &[u32]) -> Option<Index> {
    let length = u32::try_from(name.len()).ok().filter(|_| name.len() <= NAME_MAX)?;
    let bytes = name.bytes().map(u32::from);
    Some(std::iter::once(length).chain(bytes).chain(rest.iter().copied()).collect())
}

/// An object that there is once.
pub(super) struct Scalar {
    /// Behind [`BASE`].
    path: &'static [u32],
    /// Whether its instance is the object itself, as drbd-reactor has it, and not `.0` below it.
    bare: bool,
    pub(super) name: &'static str,
    pub(super) syntax: Syntax,
    pub(super) says: &'static str,
    pub(super) of: fn(&Health, usize) -> Option<Value>,
}

impl Scalar {
    /// Its identifier in the MIB.
    pub(super) fn object(&self) -> Oid {
        Oid::joined(BASE, self.path)
    }

    /// The number below its parent.
    pub(super) fn number(&self) -> u32 {
        self.path.last().copied().unwrap_or_default()
    }

    /// Whether drbd-reactor has it too.
    pub(super) fn is_inherited(&self) -> bool {
        self.bare
    }

    /// What is asked for.
    pub(super) fn instance(&self) -> Oid {
        if self.bare { self.object() } else { Oid::joined(&self.object(), &[0]) }
    }
}

/// In the order of their identifiers.
pub(super) const SCALARS: &[Scalar] = &[
    Scalar {
        path: &[DATA, 1, 1],
        bare: true,
        name: "drbdModuleVersion",
        syntax: Text,
        says: "Version of DRBD in the kernel. Its instance has no .0, as in drbd-reactor.",
        of: |health, _| Some(Value::text(&health.drbd.as_ref()?.kmod)),
    },
    Scalar {
        path: &[DATA, 1, 2],
        bare: true,
        name: "drbdUtilsVersion",
        syntax: Text,
        says: "Version of drbd-utils. Its instance has no .0, as in drbd-reactor.",
        of: |health, _| Some(Value::text(&health.drbd.as_ref()?.utils)),
    },
    Scalar {
        path: &[DATA, OURS, 1, 1, 1],
        bare: false,
        name: "srVersion",
        syntax: Text,
        says: "Version of Storage Reactor.",
        of: |health, _| Some(Value::text(&health.version)),
    },
    Scalar {
        path: &[DATA, OURS, 1, 1, 2],
        bare: false,
        name: "srSourceUp",
        syntax: Truth,
        says: "Whether what is said about DRBD is the present: its events are being read.",
        of: |health, _| Some(Value::truth(health.source.up)),
    },
    Scalar {
        path: &[DATA, OURS, 1, 1, 3],
        bare: false,
        name: "srDrained",
        syntax: Truth,
        says: "Whether an operator has drained this node.",
        of: |health, _| Some(Value::truth(health.drained)),
    },
    Scalar {
        path: &[DATA, OURS, 1, 1, 4],
        bare: false,
        name: "srResources",
        syntax: Gauge32,
        says: "How many DRBD resources this node has.",
        of: |_, resources| Some(Value::gauge(resources as u64)),
    },
];

/// A device of this node.
pub(super) struct DeviceRow<'a> {
    resource: &'a Resource,
    volume: Volume,
    device: &'a Device,
    peers: Peers,
}

/// How many peers are in which state.
#[derive(Default)]
struct Peers {
    all: i32,
    disk: [i32; DISKS],
    replication: [i32; REPLICATIONS],
}

const DISKS: usize = DiskState::KNOWN.len();
const REPLICATIONS: usize = ReplicationState::KNOWN.len();

impl<'a> DeviceRow<'a> {
    pub(super) fn new(resource: &'a Resource, volume: Volume, device: &'a Device) -> Self {
        let mut peers = Peers::default();
        for peer in resource.connections.values().filter_map(|connection| connection.peer_devices.get(&volume)) {
            peers.all += 1;
            // A word that we do not know counts among all only.
            if let Some(at) = DiskState::KNOWN.iter().position(|known| *known == peer.state.peer_disk) {
                peers.disk[at] += 1;
            }
            if let Some(at) = ReplicationState::KNOWN.iter().position(|known| *known == peer.state.replication) {
                peers.replication[at] += 1;
            }
        }
        Self { resource, volume, device, peers }
    }
}

/// A connection.
pub(super) struct ConnectionRow<'a> {
    pub(super) resource: &'a Resource,
    pub(super) peer: PeerNodeId,
    pub(super) connection: &'a Connection,
}

/// A volume on a peer.
pub(super) struct PeerRow<'a> {
    pub(super) connection: &'a ConnectionRow<'a>,
    pub(super) volume: Volume,
    pub(super) minor: Minor,
    pub(super) peer_device: &'a PeerDevice,
}

type OfDevice = fn(&DeviceRow<'_>) -> Option<Value>;
type OfConnection = fn(&ConnectionRow<'_>) -> Option<Value>;
type OfPeer = fn(&PeerRow<'_>) -> Option<Value>;
type OfPromoted = fn(&PromotedHealth) -> Option<Value>;

/// Whether a column of the table of devices is about peers.
pub(super) fn is_of_peers(number: u32) -> bool {
    (24..=49).contains(&number)
}

/// 1 to 49 are drbd-reactor's.
pub(super) const DEVICE: &[Column<OfDevice>] = &[
    column(1, "drbdMinor", Number, "Minor number of the device: /dev/drbdN.", |d| {
        d.device.state.minor.map(|minor| Value::integer(minor.0))
    }),
    column(2, "drbdResourceName", Text, "Name of its resource.", |d| text(d.resource.name.as_str())),
    column(3, "drbdResourceRole", Text, "Role of this node, for example Primary.", |d| {
        text(d.resource.state.role.as_str())
    }),
    column(4, "drbdResourceSuspended", Truth, "Whether I/O on the resource is suspended.", |d| {
        truth(Some(!d.resource.state.suspended.is_empty()))
    }),
    column(5, "drbdResourceWriteOrdering", Text, "How write ordering is kept, for example flush.", |d| {
        shared(d.resource.state.write_ordering.as_ref())
    }),
    column(
        6,
        "drbdResourceForceIOFailures",
        Truth,
        "Whether all I/O fails because this node was forced to be Secondary while something holds a device open.",
        |d| truth(d.resource.state.force_io_failures),
    ),
    column(7, "drbdResourceMayPromote", Truth, "Whether this node could become Primary now.", |d| {
        truth(Some(d.resource.state.may_promote))
    }),
    column(8, "drbdResourcePromotionScore", Integer, "How good a Primary this node would be: higher is better.", |d| {
        d.resource.state.promotion_score.map(Value::Integer)
    }),
    column(9, "drbdVolume", Integer, "Number of the volume within its resource.", |d| Some(Value::integer(d.volume.0))),
    column(10, "drbdDiskState", Text, "State of the disk below, for example UpToDate.", |d| {
        text(d.device.state.disk.as_str())
    }),
    column(11, "drbdBackingDev", Text, "The disk below; none if there is none.", |d| {
        shared(d.device.state.backing_dev.as_ref())
    }),
    column(12, "drbdClient", Truth, "Whether this node is diskless on purpose.", |d| truth(d.device.state.client)),
    column(13, "drbdQuorum", Truth, "Whether the device has quorum.", |d| truth(d.device.state.quorum)),
    column(14, "drbdSize", Unsigned32, "Size of the device, in units of drbdSizeUnits.", |d| {
        size(d.device.state.size_kib?).map(|(size, _)| Value::Gauge32(size))
    }),
    column(15, "drbdSizeUnits", Unsigned32, "Bytes of one unit of drbdSize: 1024, or 1024 times more often.", |d| {
        size(d.device.state.size_kib?).map(|(_, unit)| Value::Gauge32(unit))
    }),
    column(
        16,
        "drbdRead",
        Counter64,
        "Data read from the disk below, in KiB, as drbd-reactor has it. drbdReadBytes has bytes.",
        |d| d.device.stats.read_kib.map(Value::Counter64),
    ),
    column(
        17,
        "drbdWritten",
        Counter64,
        "Data written to the disk below, in KiB, as drbd-reactor has it. drbdWrittenBytes has bytes.",
        |d| d.device.stats.written_kib.map(Value::Counter64),
    ),
    column(18, "drbdAlWrites", Counter64, "Updates of the activity log.", |d| {
        d.device.stats.al_writes.map(Value::Counter64)
    }),
    column(19, "drbdBmWrites", Counter64, "Updates of the bitmap.", |d| d.device.stats.bm_writes.map(Value::Counter64)),
    column(20, "drbdUpperPending", Gauge32, "I/O requests from above that are not completed.", |d| {
        d.device.stats.upper_pending.map(Value::gauge)
    }),
    column(21, "drbdLowerPending", Gauge32, "I/O requests to the disk below that are not completed.", |d| {
        d.device.stats.lower_pending.map(Value::gauge)
    }),
    column(22, "drbdAlSuspended", Truth, "Whether the activity log is suspended.", |d| {
        truth(d.device.stats.al_suspended)
    }),
    column(23, "drbdBlocked", Text, "What blocks I/O at this moment: no, upper, lower, or both.", |d| {
        text(&d.device.stats.blocked.to_string())
    }),
    column(24, "drbdPeerNumberOfPeers", Integer, "How many peers have this volume.", |d| {
        Some(Value::Integer(d.peers.all))
    }),
    column(25, "drbdPeerDiskDiskless", Integer, "Peers whose disk is Diskless.", peers_disk::<0>),
    column(26, "drbdPeerDiskAttaching", Integer, "Peers whose disk is Attaching.", peers_disk::<1>),
    column(27, "drbdPeerDiskDetaching", Integer, "Peers whose disk is Detaching.", peers_disk::<2>),
    column(28, "drbdPeerDiskFailed", Integer, "Peers whose disk is Failed.", peers_disk::<3>),
    column(29, "drbdPeerDiskNegotiating", Integer, "Peers whose disk is Negotiating.", peers_disk::<4>),
    column(30, "drbdPeerDiskInconsistent", Integer, "Peers whose disk is Inconsistent.", peers_disk::<5>),
    column(31, "drbdPeerDiskOutdated", Integer, "Peers whose disk is Outdated.", peers_disk::<6>),
    column(32, "drbdPeerDiskUnknown", Integer, "Peers whose disk is DUnknown.", peers_disk::<7>),
    column(33, "drbdPeerDiskConsistent", Integer, "Peers whose disk is Consistent.", peers_disk::<8>),
    column(34, "drbdPeerDiskUpToDate", Integer, "Peers whose disk is UpToDate.", peers_disk::<9>),
    column(35, "drbdPeerReplOff", Integer, "Peers with which the replication state is Off.", peers_replication::<0>),
    column(
        36,
        "drbdPeerReplEstablished",
        Integer,
        "Peers with which the replication state is Established.",
        peers_replication::<1>,
    ),
    column(
        37,
        "drbdPeerReplStartingSyncS",
        Integer,
        "Peers with which the replication state is StartingSyncS.",
        peers_replication::<2>,
    ),
    column(
        38,
        "drbdPeerReplStartingSyncT",
        Integer,
        "Peers with which the replication state is StartingSyncT.",
        peers_replication::<3>,
    ),
    column(
        39,
        "drbdPeerReplWFBitMapS",
        Integer,
        "Peers with which the replication state is WFBitMapS.",
        peers_replication::<4>,
    ),
    column(
        40,
        "drbdPeerReplWFBitMapT",
        Integer,
        "Peers with which the replication state is WFBitMapT.",
        peers_replication::<5>,
    ),
    column(
        41,
        "drbdPeerReplWFSyncUUID",
        Integer,
        "Peers with which the replication state is WFSyncUUID.",
        peers_replication::<6>,
    ),
    column(
        42,
        "drbdPeerReplSyncSource",
        Integer,
        "Peers with which the replication state is SyncSource.",
        peers_replication::<7>,
    ),
    column(
        43,
        "drbdPeerReplSyncTarget",
        Integer,
        "Peers with which the replication state is SyncTarget.",
        peers_replication::<8>,
    ),
    column(
        44,
        "drbdPeerReplVerifyS",
        Integer,
        "Peers with which the replication state is VerifyS.",
        peers_replication::<9>,
    ),
    column(
        45,
        "drbdPeerReplVerifyT",
        Integer,
        "Peers with which the replication state is VerifyT.",
        peers_replication::<10>,
    ),
    column(
        46,
        "drbdPeerReplPausedSyncS",
        Integer,
        "Peers with which the replication state is PausedSyncS.",
        peers_replication::<11>,
    ),
    column(
        47,
        "drbdPeerReplPausedSyncT",
        Integer,
        "Peers with which the replication state is PausedSyncT.",
        peers_replication::<12>,
    ),
    column(
        48,
        "drbdPeerReplAhead",
        Integer,
        "Peers with which the replication state is Ahead.",
        peers_replication::<13>,
    ),
    column(
        49,
        "drbdPeerReplBehind",
        Integer,
        "Peers with which the replication state is Behind.",
        peers_replication::<14>,
    ),
    column(1001, "drbdReadBytes", Counter64, "Data read from the disk below, in bytes.", |d| {
        bytes(d.device.stats.read_kib)
    }),
    column(1002, "drbdWrittenBytes", Counter64, "Data written to the disk below, in bytes.", |d| {
        bytes(d.device.stats.written_kib)
    }),
    column(1003, "drbdOpen", Truth, "Whether something holds the device open.", |d| truth(d.device.state.open)),
    column(1004, "drbdUnintentionalDiskless", Truth, "Whether this node is diskless and should not be.", |d| {
        truth(Some(d.device.state.disk == DiskState::Diskless && d.device.state.client != Some(true)))
    }),
];

fn peers_disk<const AT: usize>(row: &DeviceRow<'_>) -> Option<Value> {
    Some(Value::Integer(row.peers.disk[AT]))
}

fn peers_replication<const AT: usize>(row: &DeviceRow<'_>) -> Option<Value> {
    Some(Value::Integer(row.peers.replication[AT]))
}

pub(super) const CONNECTION: &[Column<OfConnection>] = &[
    column(1, "srConnectionResource", Name, "Name of the resource.", |c| text(c.resource.name.as_str())),
    column(2, "srConnectionPeerNodeId", Number, "DRBD's node id of the peer.", |c| Some(Value::integer(c.peer.0))),
    column(3, "srConnectionPeerName", Text, "Name of the peer, as the connection is called.", |c| {
        text(c.connection.state.conn_name.as_ref()?.as_str())
    }),
    column(4, "srConnectionState", Text, "State of the connection, for example Connected.", |c| {
        text(c.connection.state.connection.as_str())
    }),
    column(5, "srConnectionPeerRole", Text, "Role of the peer, for example Primary.", |c| {
        text(c.connection.state.peer_role.as_str())
    }),
    column(6, "srConnectionCongested", Truth, "Whether the send buffer is congested.", |c| {
        truth(c.connection.state.congested)
    }),
];

pub(super) const PEER: &[Column<OfPeer>] = &[
    column(1, "srPeerDeviceNodeId", Number, "DRBD's node id of the peer.", |p| {
        Some(Value::integer(p.connection.peer.0))
    }),
    column(2, "srPeerDeviceMinor", Integer, "Minor number of the device of this node.", |p| {
        Some(Value::integer(p.minor.0))
    }),
    column(3, "srPeerDeviceResource", Text, "Name of the resource.", |p| text(p.connection.resource.name.as_str())),
    column(4, "srPeerDeviceVolume", Integer, "Number of the volume within its resource.", |p| {
        Some(Value::integer(p.volume.0))
    }),
    column(5, "srPeerDevicePeerName", Text, "Name of the peer, as the connection is called.", |p| {
        text(p.connection.connection.state.conn_name.as_ref()?.as_str())
    }),
    column(6, "srPeerDeviceReplication", Text, "Replication state, for example Established.", |p| {
        text(p.peer_device.state.replication.as_str())
    }),
    column(7, "srPeerDeviceDisk", Text, "State of the disk of the peer, for example UpToDate.", |p| {
        text(p.peer_device.state.peer_disk.as_str())
    }),
    column(8, "srPeerDeviceOutOfSyncBytes", Gauge64, "Data known to differ between this node and the peer.", |p| {
        bytes(p.peer_device.stats.out_of_sync_kib)
    }),
    column(9, "srPeerDeviceSentBytes", Counter64, "Data sent to the peer.", |p| bytes(p.peer_device.stats.sent_kib)),
    column(10, "srPeerDeviceReceivedBytes", Counter64, "Data received from the peer.", |p| {
        bytes(p.peer_device.stats.received_kib)
    }),
    column(
        11,
        "srPeerDeviceResyncDone",
        Gauge32,
        "How much of the running resync or verify is done, in hundredths of a percent. No instance if none runs.",
        |p| {
            let done = p.peer_device.progress.as_ref()?.done_percent?;
            done.is_finite().then(|| Value::gauge((done.clamp(0.0, 100.0) * 100.0).round() as u64))
        },
    ),
    column(
        12,
        "srPeerDeviceResyncSecondsLeft",
        Gauge32,
        "Seconds until the running resync or verify ends, if it goes on as fast as now.",
        |p| p.peer_device.progress.as_ref()?.eta_s.map(Value::gauge),
    ),
];

pub(super) const PROMOTED: &[Column<OfPromoted>] = &[
    column(1, "srPromotedResource", Name, "Name of the resource.", |p| text(&p.name)),
    column(
        2,
        "srPromotedState",
        Text,
        "What holds: preparing, standby, waiting, starting, running, stopping, frozen, blocked, held, drained or unmanaged.",
        |p| text(p.state),
    ),
    column(3, "srPromotedFailures", Gauge32, "Failures of its services here within the failure window.", |p| {
        Some(Value::gauge(p.failures))
    }),
    column(4, "srPromotedFailedUnits", Gauge32, "Units of it that have failed.", |p| {
        Some(Value::gauge(p.failed_units))
    }),
    column(5, "srPromotedHeld", Truth, "Whether an operator holds it.", |p| truth(Some(p.held))),
    column(6, "srPromotedDrained", Truth, "Whether it is not started because the node is drained.", |p| {
        truth(Some(p.state == StateWord::Drained.as_str()))
    }),
    column(7, "srPromotedBlocked", Truth, "Whether it is not started because it failed too often here.", |p| {
        truth(Some(p.state == StateWord::Blocked.as_str()))
    }),
    column(8, "srPromotedIoHangs", Truth, "Whether it is Primary here, and its I/O hangs.", |p| {
        truth(Some(p.io_hangs))
    }),
    column(9, "srPromotedRunsNowhere", Truth, "Whether it runs nowhere although this side could run it.", |p| {
        truth(Some(p.runs_nowhere))
    }),
    column(10, "srPromotedWarnings", Gauge32, "Warnings that a person should look at: reactorctl why has them.", |p| {
        Some(Value::gauge(p.warnings))
    }),
];

fn text(text: &str) -> Option<Value> {
    Some(Value::text(text))
}

fn shared(text: Option<&Arc<str>>) -> Option<Value> {
    text.map(|text| Value::text(text))
}

fn truth(flag: Option<bool>) -> Option<Value> {
    flag.map(Value::truth)
}

fn bytes(kib: Option<u64>) -> Option<Value> {
    kib.map(|kib| Value::Counter64(kib.saturating_mul(1024)))
}

/// A size in KiB as a number of 32 bits and its unit in bytes: divided by 1024 until it fits. `None` = there is no such unit.
fn size(mut kib: u64) -> Option<(u32, u32)> {
    let mut unit = 1024_u32;
    loop {
        match u32::try_from(kib) {
            Ok(size) => return Some((size, unit)),
            Err(_) => (kib, unit) = (kib / 1024, unit.checked_mul(1024)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_fit() {
        let below = u64::from(u32::MAX);
        for (kib, fits) in [
            (0, Some((0, 1024))),
            (below, Some((u32::MAX, 1024))),
            (below + 1, Some((4_194_304, 1 << 20))),
            (below * 1024 + 1023, Some((u32::MAX, 1 << 20))),
            (below * 1024 + 1024, Some((4_194_304, 1 << 30))),
            // A byte has no place for the next unit.
            (u64::MAX, None),
        ] {
            assert_eq!(size(kib), fits, "{kib}");
        }
    }

    #[test]
    fn columns_are_in_order() {
        fn check<F>(columns: &[Column<F>]) {
            assert!(columns.is_sorted_by(|a, b| a.number < b.number));
        }
        check(DEVICE);
        check(CONNECTION);
        check(PEER);
        check(PROMOTED);
        assert!(SCALARS.is_sorted_by(|a, b| a.instance() < b.instance()));
    }
}
