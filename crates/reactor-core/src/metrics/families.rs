//! Every family that is about DRBD: name, type, help, and where its samples come from. A new metric is a new row here and in
//! docs/metrics.md. Names that drbd-reactor has too keep its types, labels and units, whatever today's customs say.

use crate::drbd::types::{Blocked, ConnectionState, DiskState, ReplicationState, ResyncSuspended, Role, Suspended};
use crate::model::objects::{Connection, Device, Path, PeerDevice, Resource};

use super::daemon;
use super::text::Kind::{self, Counter, Gauge};
use super::text::Number;

/// A family of samples, one or more per object of type `T`.
pub(super) struct Family<T: 'static> {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    /// Written only if all families are asked for: drbd-reactor does not have it, and few need it.
    pub(super) rare: bool,
    /// It says nothing but states, so it is as it was for as long as [`Resource::shape`] is.
    pub(super) of_state: bool,
    pub(super) samples: Samples<T>,
}

/// Hands each word of a set to a function.
type Words<T> = fn(&T, &mut dyn FnMut(&str));

/// The samples of one object.
pub(super) enum Samples<T: 'static> {
    /// A number; `None` = DRBD does not say it, so there is no sample.
    Number(fn(&T) -> Option<Number>),
    /// The state as a label, value 1.
    Word { label: &'static str, word: fn(&T) -> &str },
    /// One sample per state, 1 for the one that is; only with `enums`. The label has the family's name.
    States { known: fn(usize) -> Option<&'static str>, word: fn(&T) -> &str },
    /// Words of which several may hold at a time: one sample with value 1 for each that does, with `enums` also 0 for the others.
    Set { label: &'static str, known: &'static [&'static str], words: Words<T> },
}

const fn number<T>(name: &'static str, kind: Kind, help: &'static str, samples: fn(&T) -> Option<Number>) -> Family<T> {
    Family { name, kind, help, rare: false, of_state: false, samples: Samples::Number(samples) }
}

/// A number that is a state and no statistic.
const fn state<T>(name: &'static str, help: &'static str, samples: fn(&T) -> Option<Number>) -> Family<T> {
    Family { of_state: true, ..number(name, Gauge, help, samples) }
}

const fn word<T>(name: &'static str, label: &'static str, help: &'static str, word: fn(&T) -> &str) -> Family<T> {
    Family { name, kind: Gauge, help, rare: false, of_state: true, samples: Samples::Word { label, word } }
}

const fn states<T>(
    name: &'static str,
    help: &'static str,
    known: fn(usize) -> Option<&'static str>,
    word: fn(&T) -> &str,
) -> Family<T> {
    Family { name, kind: Gauge, help, rare: false, of_state: true, samples: Samples::States { known, word } }
}

const fn set<T>(
    name: &'static str,
    label: &'static str,
    help: &'static str,
    known: &'static [&'static str],
    words: Words<T>,
) -> Family<T> {
    Family { name, kind: Gauge, help, rare: false, of_state: false, samples: Samples::Set { label, known, words } }
}

const fn rare<T>(family: Family<T>) -> Family<T> {
    Family { rare: true, ..family }
}

fn flag(flag: Option<bool>) -> Option<Number> {
    flag.map(Number::from)
}

fn count(count: Option<u64>) -> Option<Number> {
    count.map(Number::Whole)
}

fn kib(kib: Option<u64>) -> Option<Number> {
    kib.map(|kib| Number::Whole(kib.saturating_mul(1024)))
}

fn sectors(sectors: Option<u64>) -> Option<Number> {
    sectors.map(|sectors| Number::Whole(sectors.saturating_mul(512)))
}

fn real(number: Option<f64>) -> Option<Number> {
    number.filter(|number| number.is_finite()).map(Number::Real)
}

pub(super) const RESOURCE_LABELS: &[&str] = &["name"];
pub(super) const RESOURCE: &[Family<Resource>] = &[
    states(
        "drbd_resource_role",
        "Role of this node: 1 for the role it has, 0 for the others",
        |i| Role::KNOWN.get(i).map(Role::as_str),
        |r| r.state.role.as_str(),
    ),
    word("drbd_resource_role_info", "role", "Role of this node, as a label", |r| r.state.role.as_str()),
    state("drbd_resource_suspended", "Whether I/O is suspended", |r| flag(Some(!r.state.suspended.is_empty()))),
    set(
        "drbd_resource_suspended_reason",
        "reason",
        "Why I/O is suspended: 1 for each reason that holds",
        Suspended::KNOWN,
        |r, each| r.state.suspended.words().for_each(each),
    ),
    state("drbd_resource_maypromote", "Whether this node could become Primary now", |r| {
        flag(Some(r.state.may_promote))
    }),
    state("drbd_resource_promotionscore", "How good a Primary this node would be: higher is better", |r| {
        r.state.promotion_score.map(|score| Number::Signed(i64::from(score)))
    }),
    state(
        "drbd_resource_forceiofailures",
        "Whether all I/O fails because this node was forced to be Secondary while something holds a device open",
        |r| flag(r.state.force_io_failures),
    ),
    state("drbd_resource_split_brains", "Peers with which DRBD has found a split brain that is not over", |r| {
        count(Some(r.split_brains().filter(|(_, _, evidence)| evidence.is_sure()).count() as u64))
    }),
    number(
        "drbd_resource_split_brains_possible",
        Gauge,
        "Peers of which nobody says that there is a split brain, but the connection is StandAlone, and this node has written since",
        |r| count(Some(r.split_brains().filter(|(_, _, evidence)| !evidence.is_sure()).count() as u64)),
    ),
];

pub(super) const CONNECTION_LABELS: &[&str] = &["name", "conn_name", "peer_node_id"];
pub(super) const CONNECTION: &[Family<Connection>] = &[
    states(
        "drbd_connection_state",
        "State of the connection: 1 for the state it is in, 0 for the others",
        |i| ConnectionState::KNOWN.get(i).map(ConnectionState::as_str),
        |c| c.state.connection.as_str(),
    ),
    word("drbd_connection_state_info", "connection", "State of the connection, as a label", |c| {
        c.state.connection.as_str()
    }),
    rare(states(
        "drbd_connection_peer_role",
        "Role of the peer: 1 for the role it has, 0 for the others",
        |i| Role::KNOWN.get(i).map(Role::as_str),
        |c| c.state.peer_role.as_str(),
    )),
    rare(word("drbd_connection_peer_role_info", "peer_role", "Role of the peer, as a label", |c| {
        c.state.peer_role.as_str()
    })),
    state("drbd_connection_congested", "Whether the send buffer is congested", |c| flag(c.state.congested)),
    number("drbd_connection_apinflight_bytes", Gauge, "Application data on its way to the peer", |c| {
        sectors(c.stats.ap_in_flight_sectors)
    }),
    number("drbd_connection_rsinflight_bytes", Gauge, "Resync data on its way to the peer", |c| {
        sectors(c.stats.rs_in_flight_sectors)
    }),
];

pub(super) const PATH_LABELS: &[&str] = &["name", "conn_name", "peer_node_id", "local", "peer"];
pub(super) const PATH: &[Family<Path>] =
    &[rare(state("drbd_path_established", "Whether the network path carries traffic", |p| flag(p.state.established)))];

pub(super) const PEER_DEVICE_LABELS: &[&str] = &["name", "conn_name", "peer_node_id", "volume"];
pub(super) const PEER_DEVICE: &[Family<PeerDevice>] = &[
    rare(states(
        "drbd_peerdevice_replication",
        "Replication state: 1 for the state it is in, 0 for the others",
        |i| ReplicationState::KNOWN.get(i).map(ReplicationState::as_str),
        |p| p.state.replication.as_str(),
    )),
    rare(word("drbd_peerdevice_replication_info", "replication", "Replication state, as a label", |p| {
        p.state.replication.as_str()
    })),
    rare(states(
        "drbd_peerdevice_disk",
        "State of the peer's disk: 1 for the state it is in, 0 for the others",
        |i| DiskState::KNOWN.get(i).map(DiskState::as_str),
        |p| p.state.peer_disk.as_str(),
    )),
    word("drbd_peerdevice_disk_info", "peer_disk", "State of the peer's disk, as a label", |p| {
        p.state.peer_disk.as_str()
    }),
    rare(state("drbd_peerdevice_client", "Whether the peer is diskless on purpose", |p| flag(p.state.peer_client))),
    number("drbd_peerdevice_outofsync_bytes", Gauge, "Data known to differ between this node and the peer", |p| {
        kib(p.stats.out_of_sync_kib)
    }),
    number("drbd_peerdevice_sent_bytes", Counter, "Data sent to the peer", |p| kib(p.stats.sent_kib)),
    number("drbd_peerdevice_received_bytes", Counter, "Data received from the peer", |p| kib(p.stats.received_kib)),
    rare(number("drbd_peerdevice_pending", Gauge, "Requests sent to the peer and not answered yet", |p| {
        count(p.stats.pending)
    })),
    rare(number("drbd_peerdevice_unacked", Gauge, "Requests received from the peer and not answered yet", |p| {
        count(p.stats.unacked)
    })),
    set(
        "drbd_peerdevice_resync_suspended_reason",
        "reason",
        "Why the resync is paused: 1 for each reason that holds",
        ResyncSuspended::KNOWN,
        |p, each| p.state.resync_suspended.words().for_each(each),
    ),
    number(
        "drbd_peerdevice_resync_done_ratio",
        Gauge,
        "How much of the running resync or verify is done, from 0 to 1",
        |p| real(p.progress.as_ref()?.done_percent.map(|percent| percent / 100.0)),
    ),
    number(
        "drbd_peerdevice_resync_eta_seconds",
        Gauge,
        "Time until the running resync or verify ends, if it goes on as fast as now",
        |p| count(p.progress.as_ref()?.eta_s),
    ),
    number(
        "drbd_peerdevice_resync_speed_bytes_per_second",
        Gauge,
        "Speed of the running resync or verify over the last seconds",
        |p| real(p.progress.as_ref()?.speed_mib_s.map(|speed| (speed * 1_048_576.0).round())),
    ),
];

pub(super) const DEVICE_LABELS: &[&str] = &["name", "volume", "minor"];
pub(super) const DEVICE: &[Family<Device>] = &[
    states(
        "drbd_device_state",
        "State of the disk: 1 for the state it is in, 0 for the others",
        |i| DiskState::KNOWN.get(i).map(DiskState::as_str),
        |d| d.state.disk.as_str(),
    ),
    word("drbd_device_state_info", "disk", "State of the disk, as a label", |d| d.state.disk.as_str()),
    state("drbd_device_client", "Whether this node is diskless on purpose", |d| flag(d.state.client)),
    state("drbd_device_unintentionaldiskless", "Whether this node is diskless and should not be", |d| {
        flag(Some(d.state.disk == DiskState::Diskless && d.state.client != Some(true)))
    }),
    state("drbd_device_quorum", "Whether the device has quorum", |d| flag(d.state.quorum)),
    state("drbd_device_open", "Whether something holds the device open", |d| flag(d.state.open)),
    state("drbd_device_size_bytes", "Size of the device", |d| kib(d.state.size_kib)),
    number("drbd_device_read_bytes_total", Counter, "Data read from the disk below", |d| kib(d.stats.read_kib)),
    number("drbd_device_written_bytes_total", Counter, "Data written to the disk below", |d| kib(d.stats.written_kib)),
    number("drbd_device_alwrites_total", Counter, "Updates of the activity log", |d| count(d.stats.al_writes)),
    number("drbd_device_bmwrites_total", Counter, "Updates of the bitmap", |d| count(d.stats.bm_writes)),
    number("drbd_device_upperpending", Gauge, "I/O requests from above that are not completed", |d| {
        count(d.stats.upper_pending)
    }),
    number("drbd_device_lowerpending", Gauge, "I/O requests to the disk below that are not completed", |d| {
        count(d.stats.lower_pending)
    }),
    number("drbd_device_alsuspended", Gauge, "Whether the activity log is suspended", |d| flag(d.stats.al_suspended)),
    set(
        "drbd_device_blocked",
        "layer",
        "What blocks I/O at this moment, the layer above or below: 1 for each that does",
        Blocked::KNOWN,
        |d, each| d.stats.blocked.words().for_each(each),
    ),
];

/// How many families there are per resource.
pub(super) const FAMILIES: usize = RESOURCE.len() + CONNECTION.len() + PATH.len() + PEER_DEVICE.len() + DEVICE.len();

/// Name, type and help of each family, in the order of the text.
pub(super) const HEADERS: [(&str, Kind, &str); FAMILIES] = headers();

const fn headers() -> [(&'static str, Kind, &'static str); FAMILIES] {
    const fn add<T>(
        headers: &mut [(&'static str, Kind, &'static str); FAMILIES],
        from: usize,
        families: &[Family<T>],
    ) -> usize {
        let mut i = 0;
        while i < families.len() {
            headers[from + i] = (families[i].name, families[i].kind, families[i].help);
            i += 1;
        }
        from + families.len()
    }
    let mut headers = [("", Gauge, ""); FAMILIES];
    let at = add(&mut headers, 0, RESOURCE);
    let at = add(&mut headers, at, CONNECTION);
    let at = add(&mut headers, at, PATH);
    let at = add(&mut headers, at, PEER_DEVICE);
    add(&mut headers, at, DEVICE);
    headers
}

/// What docs/metrics.md says of a family.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Described {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its labels, in the order of the text.
    pub labels: Vec<&'static str>,
    /// Its HELP text.
    pub help: &'static str,
    /// Whether it has samples only if `enums` is on.
    pub only_with_enums: bool,
    /// Whether it has samples only if `all-families` is on.
    pub rare: bool,
}

/// Every family in the order of the text. The counters of plugins are not in it: plugins name them.
pub fn catalogue() -> Vec<Described> {
    let mut all: Vec<Described> = daemon::HEAD.iter().map(daemon::Fixed::described).collect();
    describe(&mut all, RESOURCE_LABELS, RESOURCE);
    describe(&mut all, CONNECTION_LABELS, CONNECTION);
    describe(&mut all, PATH_LABELS, PATH);
    describe(&mut all, PEER_DEVICE_LABELS, PEER_DEVICE);
    describe(&mut all, DEVICE_LABELS, DEVICE);
    let behind = daemon::TAIL.iter().chain(super::promoter::ROWS).chain(super::notify::ROWS);
    all.extend(behind.map(daemon::Fixed::described));
    all
}

fn describe<T>(all: &mut Vec<Described>, labels: &[&'static str], families: &[Family<T>]) {
    all.extend(families.iter().map(|family| {
        let last = match family.samples {
            Samples::Number(_) => None,
            Samples::Word { label, .. } | Samples::Set { label, .. } => Some(label),
            Samples::States { .. } => Some(family.name),
        };
        Described {
            name: family.name,
            kind: family.kind,
            labels: labels.iter().copied().chain(last).collect(),
            help: family.help,
            only_with_enums: matches!(family.samples, Samples::States { .. }),
            rare: family.rare,
        }
    }));
}
