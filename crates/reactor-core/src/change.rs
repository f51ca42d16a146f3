//! What the model hands out: one change of one object, with the state before and after.

use crate::ids::{ConnName, EventSeq, Minor, PeerNodeId, ResourceName, Volume};
use crate::model::objects::{
    ConnectionInfo, ConnectionStats, DeviceState, DeviceStats, PathId, PathState, PeerDeviceState, PeerDeviceStats,
    Progress, ResourceState,
};

/// What happened to an object, in the words of events2.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum EventKind {
    /// It was already there when we began to look.
    Exists,
    /// It appeared.
    Create,
    /// It changed.
    Change,
    /// It went away. `old` is its last state, `new` the default state; a connection keeps its name, as DRBD says it to the end.
    Destroy,
}

impl EventKind {
    /// The word as rules and `DRBD_EVENT_TYPE` spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exists => "Exists",
            Self::Create => "Create",
            Self::Change => "Change",
            Self::Destroy => "Destroy",
        }
    }
}

/// Where a change comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Origin {
    /// An event as it happened.
    Live,
    /// The first snapshot after the start of the daemon; always [`EventKind::Exists`].
    Initial,
    /// Happened while the source was down: the difference between the snapshot before and the dump after.
    CatchUp,
    /// The present state told to a plugin that is new; always [`EventKind::Exists`]. Nothing happened.
    Replay,
}

impl Origin {
    /// The word as logs and JSON spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Initial => "initial",
            Self::CatchUp => "catch-up",
            Self::Replay => "replay",
        }
    }
}

/// One change of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its number. Replays carry the number of the last real change.
    pub seq: EventSeq,
    /// What happened.
    pub kind: EventKind,
    /// Where it comes from.
    pub origin: Origin,
    /// It went away with what it was a part of. DRBD has no line for that: a peer device goes silently with its connection.
    pub implied: bool,
    /// The resource that it belongs to.
    pub resource: ResourceName,
    /// The object, with old and new.
    pub what: What,
}

/// The object of a change, with the state before and after. Without a "before" (first sight) `old` is the default state.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The resource itself.
    Resource {
        /// Before.
        old: ResourceState,
        /// After.
        new: ResourceState,
    },
    /// One of its devices.
    Device {
        /// Which.
        volume: Volume,
        /// Before.
        old: DeviceView,
        /// After.
        new: DeviceView,
    },
    /// One of its connections.
    Connection {
        /// Which.
        peer: PeerNodeId,
        /// Before.
        old: ConnectionView,
        /// After.
        new: ConnectionView,
    },
    /// One of its peer devices.
    PeerDevice {
        /// Which connection.
        peer: PeerNodeId,
        /// Which volume.
        volume: Volume,
        /// Before.
        old: PeerDeviceView,
        /// After.
        new: PeerDeviceView,
    },
    /// One of its paths.
    Path {
        /// Which connection.
        peer: PeerNodeId,
        /// Which path.
        path: PathId,
        /// Before.
        old: PathState,
        /// After.
        new: PathState,
    },
    /// The resource has another name from now on; [`Change::resource`] is the old one. Nothing else changed.
    Renamed {
        /// The new name.
        to: ResourceName,
    },
    /// DRBD called a helper, or the helper came back.
    Helper(HelperEvent),
}

/// A device at one moment.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DeviceView {
    /// Its state.
    pub state: DeviceState,
    /// Its statistics.
    pub stats: DeviceStats,
}

/// A connection at one moment.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ConnectionView {
    /// Its state.
    pub state: ConnectionInfo,
    /// Its statistics.
    pub stats: ConnectionStats,
}

impl ConnectionView {
    /// What is left of it when it is gone: its name, which DRBD still says then.
    pub fn gone(&self) -> Self {
        let state = ConnectionInfo { conn_name: self.state.conn_name.clone(), ..ConnectionInfo::default() };
        Self { state, stats: ConnectionStats::default() }
    }
}

/// A peer device at one moment.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct PeerDeviceView {
    /// Its state.
    pub state: PeerDeviceState,
    /// Its statistics.
    pub stats: PeerDeviceStats,
    /// Progress of a running resync or verify.
    pub progress: Option<Progress>,
}

/// One `call helper` or `response helper` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelperEvent {
    /// `Some` in a response: the raw wait status (exit code 4 is 1024).
    pub status: Option<i32>,
    /// The helper's name, for example `before-resync-target` or `split-brain`.
    pub helper: String,
    /// The peer, if the call names one.
    pub peer: Option<PeerNodeId>,
    /// The connection, if the call names one.
    pub conn_name: Option<ConnName>,
    /// The volume, if the call names one.
    pub volume: Option<Volume>,
    /// The minor, if the call names one.
    pub minor: Option<Minor>,
}

impl HelperEvent {
    /// Exit code of the helper, if this is the response of one that exited by itself.
    pub fn exit_code(&self) -> Option<i32> {
        self.status.filter(|status| status & 0x7f == 0).map(|status| (status >> 8) & 0xff)
    }
}

impl Change {
    /// Whether anything but statistics differs. Appearing, going away, renaming and helper calls always count.
    pub fn is_state(&self) -> bool {
        if self.kind != EventKind::Change {
            return true;
        }
        match &self.what {
            What::Resource { old, new } => old != new,
            What::Device { old, new, .. } => old.state != new.state,
            What::Connection { old, new, .. } => old.state != new.state,
            What::PeerDevice { old, new, .. } => old.state != new.state,
            What::Path { old, new, .. } => old != new,
            What::Renamed { .. } | What::Helper(_) => true,
        }
    }
}
