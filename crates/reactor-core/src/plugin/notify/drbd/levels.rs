//! How each part of a resource is, judged from what DRBD says now: good, bad, or on its way from one to the other.

use std::fmt;
use std::time::Duration;

use reactor_storage::event::Severity;

use crate::drbd::types::{ConnectionState, DiskState, ReplicationState};
use crate::ids::{PeerNodeId, Volume};
use crate::input::Dialect;
use crate::model::objects::{Connection, Device, PathId, Resource};

/// A part of a resource that can be good or bad. Causes stand before their consequences.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The backing device of a volume, and the data on it.
    Disk(Volume),
    /// The connection to a peer.
    Connection(PeerNodeId),
    /// One of its paths.
    Path(PeerNodeId, PathId),
    /// A peer's backing device.
    PeerDisk(PeerNodeId, Volume),
    /// Whether the data of two nodes differ.
    Data(PeerNodeId),
    /// Quorum of this node.
    Quorum,
    /// Whether I/O goes on.
    Suspension,
    /// Whether I/O is made to fail.
    IoFailures,
    /// Where its services run; DRBD says nothing of that.
    Services,
}

/// Stable from version to version: what was told is remembered by it.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(volume) => write!(f, "volume {volume}"),
            Self::Connection(peer) | Self::Data(peer) => write!(f, "peer {peer}"),
            Self::Path(peer, path) => write!(f, "peer {peer} path {} {}", path.local, path.peer),
            Self::PeerDisk(peer, volume) => write!(f, "peer {peer} volume {volume}"),
            Self::Quorum | Self::Suspension | Self::IoFailures | Self::Services => f.write_str("resource"),
        }
    }
}

/// How a part is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Level {
    /// As it should be.
    Good,
    /// Neither: it is judged when it has come to rest.
    Unclear,
    /// Not as it should be.
    Bad(Bad),
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bad {
    /// The word for it.
    pub(super) word: &'static str,
    pub(super) severity: Severity,
    /// What has become of it, without the name of the resource.
    pub(super) text: String,
    /// What is so, if nobody saw it come; `None` = the same.
    pub(super) found: Option<String>,
    /// The state, as DRBD spells it, if it has one.
    pub(super) state: Option<String>,
    /// Whether it is told at all.
    pub(super) told: Told,
}

/// When something bad is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// At once.
    AtOnce,
    /// At once if it was good before; otherwise if it stays so for long: it is still coming up.
    IfItWasGood,
    /// Only if it was good before.
    OnlyIfItWasGood,
    /// If it lasts for so long.
    After(Duration),
}

/// What passes within this time is no news: a fail-over suspends I/O for a moment, and whoever takes a resource down drops all of it, piece by piece.
pub(super) const SETTLE: Duration = Duration::from_secs(5);

fn bad(word: &'static str, severity: Severity, told: Told, text: impl Into<String>) -> Bad {
    Bad { word, severity, text: text.into(), found: None, state: None, told }
}

impl Bad {
    /// In this state.
    fn in_state(self, state: &impl ToString) -> Level {
        Level::Bad(Self { state: Some(state.to_string()), ..self })
    }
}

/// Whether somebody drops a connection on this node, as it is done when a resource is taken down.
pub(super) fn is_dropped(resource: &Resource) -> bool {
    let is_it = |connection: &Connection| connection.state.connection == ConnectionState::Disconnecting;
    resource.connections.values().any(|connection| is_it(connection))
}

/// How a peer is called.
pub(super) fn peer_name(resource: &Resource, peer: PeerNodeId) -> String {
    let mark = || resource.split.get(&peer).and_then(|mark| mark.peer.as_ref());
    resource.conn_name(peer).or_else(mark).map_or_else(|| format!("peer {peer}"), ToString::to_string)
}

/// All parts that DRBD says something of.
pub(super) fn of(resource: &Resource, dialect: Dialect) -> Vec<(Part, Level)> {
    let mut levels = Vec::new();
    for (volume, device) in &resource.devices {
        if device.state.client != Some(true) {
            levels.push((Part::Disk(*volume), disk(resource, *volume, device, dialect)));
        }
    }
    for (peer, connection) in &resource.connections {
        let name = peer_name(resource, *peer);
        levels.push((Part::Connection(*peer), link(connection, &name)));
        paths(*peer, connection, &name, &mut levels);
        peer_disks(*peer, connection, &name, &mut levels);
        if connection.state.connection == ConnectionState::Connected && !resource.split.contains_key(peer) {
            levels.push((Part::Data(*peer), Level::Good));
        }
    }
    for peer in resource.split.keys() {
        let name = peer_name(resource, *peer);
        let text =
            format!("split brain with {name}: the data differ, and DRBD does not connect until a person decides");
        levels.push((Part::Data(*peer), Level::Bad(bad("split-brain", Severity::Critical, Told::IfItWasGood, text))));
    }
    whole(resource, &mut levels);
    levels
}

fn disk(resource: &Resource, volume: Volume, device: &Device, dialect: Dialect) -> Level {
    let backing = device.state.backing_device().map(|path| format!(" {path}")).unwrap_or_default();
    let state = &device.state.disk;
    let is_synced = || {
        let of_volume = resource.connections.values().filter_map(|connection| connection.peer_devices.get(&volume));
        of_volume.into_iter().any(|peer| makes_equal(&peer.state.replication))
    };
    match state {
        DiskState::UpToDate => Level::Good,
        // DRBD 8.4 says `Failed` also when a person detaches it.
        DiskState::Failed if dialect == Dialect::Drbd84 => {
            let text = format!("the backing device{backing} failed or was detached");
            bad("disk-detached", Severity::Error, Told::After(SETTLE), text).in_state(state)
        }
        DiskState::Failed => {
            bad("disk-failed", Severity::Critical, Told::AtOnce, format!("the backing device{backing} failed"))
                .in_state(state)
        }
        DiskState::Detaching | DiskState::Diskless => {
            bad("disk-detached", Severity::Warning, Told::After(SETTLE), "there is no backing device").in_state(state)
        }
        DiskState::Inconsistent | DiskState::Outdated if is_synced() => Level::Unclear,
        DiskState::Inconsistent => {
            let text = "the data here can't be used, and nothing puts them right";
            bad("disk-inconsistent", Severity::Error, Told::IfItWasGood, text).in_state(state)
        }
        DiskState::Outdated => {
            bad("disk-outdated", Severity::Warning, Told::IfItWasGood, "a peer has newer data").in_state(state)
        }
        DiskState::Attaching
        | DiskState::Negotiating
        | DiskState::DUnknown
        | DiskState::Consistent
        | DiskState::Other(_) => Level::Unclear,
    }
}

/// The two compare their data, or make them equal.
fn makes_equal(replication: &ReplicationState) -> bool {
    use ReplicationState as Repl;
    match replication {
        Repl::Off | Repl::Established | Repl::VerifyS | Repl::VerifyT | Repl::Ahead | Repl::Other(_) => false,
        Repl::StartingSyncS
        | Repl::StartingSyncT
        | Repl::WFBitMapS
        | Repl::WFBitMapT
        | Repl::WFSyncUUID
        | Repl::SyncSource
        | Repl::SyncTarget
        | Repl::PausedSyncS
        | Repl::PausedSyncT
        | Repl::Behind => true,
    }
}

fn link(connection: &Connection, name: &str) -> Level {
    let state = &connection.state.connection;
    if *state == ConnectionState::Connected {
        return Level::Good;
    }
    let (severity, told) = match state {
        // Asked for here, and maybe a part of taking the resource down; or asked for by the peer.
        ConnectionState::Disconnecting => (Severity::Warning, Told::After(SETTLE)),
        ConnectionState::TearDown => (Severity::Warning, Told::IfItWasGood),
        _ => (Severity::Error, Told::IfItWasGood),
    };
    let lost = bad("connection-lost", severity, told, format!("the connection to {name} is lost"));
    Bad { found: Some(format!("no connection to {name}")), ..lost }.in_state(state)
}

fn paths(peer: PeerNodeId, connection: &Connection, name: &str, levels: &mut Vec<(Part, Level)>) {
    let is_up = |connection: &Connection| connection.state.connection == ConnectionState::Connected;
    if connection.paths.len() < 2 || !is_up(connection) {
        return;
    }
    for (id, path) in &connection.paths {
        let level = match path.state.established {
            Some(true) => Level::Good,
            Some(false) => {
                let text = format!("a path to {name} is down: {} to {}", id.local, id.peer);
                Level::Bad(bad("path-lost", Severity::Warning, Told::OnlyIfItWasGood, text))
            }
            None => continue,
        };
        levels.push((Part::Path(peer, id.clone()), level));
    }
}

fn peer_disks(peer: PeerNodeId, connection: &Connection, name: &str, levels: &mut Vec<(Part, Level)>) {
    for (volume, device) in &connection.peer_devices {
        let state = &device.state.peer_disk;
        let level = match state {
            DiskState::UpToDate => Level::Good,
            DiskState::Failed | DiskState::Diskless if device.state.peer_client != Some(true) => {
                let text = format!("{name} has lost its backing device");
                bad("peer-disk-failed", Severity::Error, Told::OnlyIfItWasGood, text).in_state(state)
            }
            _ => Level::Unclear,
        };
        levels.push((Part::PeerDisk(peer, *volume), level));
    }
}

/// What is of the resource as a whole.
fn whole(resource: &Resource, levels: &mut Vec<(Part, Level)>) {
    let quorum = |is: bool| resource.devices.values().any(|device| device.state.quorum == Some(is));
    if quorum(false) {
        let lost = bad("quorum-lost", Severity::Critical, Told::IfItWasGood, "quorum is lost");
        levels.push((Part::Quorum, Level::Bad(Bad { found: Some("no quorum".to_owned()), ..lost })));
    } else if quorum(true) {
        levels.push((Part::Quorum, Level::Good));
    }
    let suspended = &resource.state.suspended;
    let level = if suspended.is_empty() {
        Level::Good
    } else {
        let is_asked_for = suspended.words().eq(["user"]);
        let severity = if is_asked_for { Severity::Warning } else { Severity::Error };
        bad("suspended", severity, Told::After(SETTLE), "I/O is suspended").in_state(suspended)
    };
    levels.push((Part::Suspension, level));
    match resource.state.force_io_failures {
        Some(true) => {
            let text = "all I/O fails, because `secondary --force` was asked for";
            levels.push((
                Part::IoFailures,
                Level::Bad(bad("force-io-failures", Severity::Error, Told::IfItWasGood, text)),
            ));
        }
        Some(false) => levels.push((Part::IoFailures, Level::Good)),
        None => {}
    }
}
