//! `[[umh]]`: rules that run a user's handler when a state change matches.

use std::time::Duration;

use reactor_storage::event::{Severity, Subsystem};
use regex::Regex;

use crate::change::EventKind;
use crate::drbd::types::{ConnectionState, DiskState, ReplicationState, ResyncSuspended, Role, Suspended};

/// One `[[umh]]` table.
#[derive(Clone, Debug, PartialEq)]
pub struct UmhSettings {
    /// Its rules, in the order of the file within each kind: resource, device, peerdevice, connection, path, helper, event.
    pub rules: Vec<Rule>,
    /// `max-parallel`: how many handlers of this table run at the same time. Default 64.
    pub max_parallel: usize,
    /// `max-queued`: how many wait for a free place, over all rules; what comes on top is dropped, logged and counted.
    /// Default 1024.
    pub max_queued: usize,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// `name`; empty if it has none.
    pub name: String,
    /// `command`, for `/bin/sh -c`.
    pub command: String,
    /// `env`: wins over everything that we set ourselves.
    pub env: Vec<(String, String)>,
    /// `event-type`: which kinds of events it looks at.
    pub events: EventSet,
    /// `resource-name`.
    pub resource: Option<Matcher<String>>,
    /// The object and the conditions on it.
    pub when: When,
    /// `for`: the new state must have held this long.
    pub hold: Option<Duration>,
    /// `rate-limit`.
    pub rate_limit: Option<RateLimit>,
    /// `serialize`: a handler of this rule starts when the one before it has ended.
    pub serialize: bool,
    /// `timeout`: after this the handler's process group is ended. Default 10 minutes.
    pub timeout: Duration,
    /// `max-output`: bytes kept of each of its outputs. Default 16 KiB.
    pub max_output_bytes: usize,
    /// `stdin`.
    pub stdin: HandlerStdin,
}

/// Which events a rule looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventSet {
    /// Objects that were there when we began to look.
    pub exists: bool,
    /// New objects.
    pub create: bool,
    /// Changes.
    pub change: bool,
    /// Objects that go away.
    pub destroy: bool,
    /// With [`Self::destroy`]: also those that DRBD has no line for, because they go with what they are a part of. drbd-reactor does
    /// not see them.
    pub implied: bool,
    /// The present state told to a rule that is new after a reload (as `Exists`).
    pub replay: bool,
}

impl EventSet {
    /// Only real changes: our default.
    pub const CHANGE: Self = Self { change: true, ..Self::NONE };
    /// Everything that drbd-reactor sees, replays included: the default as drbd-reactor.
    pub const ALL: Self =
        Self { exists: true, create: true, change: true, destroy: true, implied: false, replay: true };
    /// Nothing.
    pub const NONE: Self =
        Self { exists: false, create: false, change: false, destroy: false, implied: false, replay: false };

    /// Whether `kind` is in the set; replays are asked for by [`Self::replay`].
    pub fn contains(self, kind: EventKind) -> bool {
        match kind {
            EventKind::Exists => self.exists,
            EventKind::Create => self.create,
            EventKind::Change => self.change,
            EventKind::Destroy => self.destroy,
        }
    }
}

/// What a handler finds on its standard input.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum HandlerStdin {
    /// `"null"`: nothing, as drbd-reactor.
    #[default]
    Null,
    /// `"json"`: one JSON document with the change (old and new) and the whole resource.
    Json,
}

/// `rate-limit = "COUNT/DURATION"`: at most so many starts in any such span; what comes on top is dropped and counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateLimit {
    /// How many.
    pub count: u32,
    /// In which span.
    pub per: Duration,
}

/// A condition on one field.
#[derive(Clone, Debug, PartialEq)]
pub enum Matcher<T> {
    /// The value is one of these: a bare value, a list, or `operator = "Equals"`.
    In(Vec<T>),
    /// The value is none of these: `operator = "NotEquals"`.
    NotIn(Vec<T>),
    /// The text of the value matches: `operator = "Matches"`.
    Matches(Pattern),
    /// The text of the value does not match: `operator = "NotMatches"`.
    NotMatches(Pattern),
}

/// A regular expression that is equal to another if its text is.
#[derive(Clone, Debug)]
pub struct Pattern(pub Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

/// A condition that nobody set is `None`: it does not matter.
pub type Condition<T> = Option<Matcher<T>>;

/// Conditions on the state before and after.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Edge<C> {
    /// `old`.
    pub old: C,
    /// `new`.
    pub new: C,
}

/// The object of a rule and what must be true of it.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// `[[umh.resource]]`.
    Resource(Edge<ResourceConditions>),
    /// `[[umh.device]]`.
    Device {
        /// `volume`.
        volume: Condition<u32>,
        /// `old`, `new`.
        edge: Edge<DeviceConditions>,
    },
    /// `[[umh.peerdevice]]`.
    PeerDevice {
        /// `volume`.
        volume: Condition<u32>,
        /// `peer-node-id`.
        peer_node_id: Condition<u32>,
        /// `old`, `new`.
        edge: Edge<PeerDeviceConditions>,
    },
    /// `[[umh.connection]]`.
    Connection {
        /// `peer-node-id`.
        peer_node_id: Condition<u32>,
        /// `old`, `new`.
        edge: Edge<ConnectionConditions>,
    },
    /// `[[umh.path]]`.
    Path {
        /// `peer-node-id`.
        peer_node_id: Condition<u32>,
        /// `local`, as events2 prints it.
        local: Condition<String>,
        /// `peer`, as events2 prints it.
        peer: Condition<String>,
        /// `old`, `new`.
        edge: Edge<PathConditions>,
    },
    /// `[[umh.helper]]`: DRBD's own helper calls.
    Helper(HelperConditions),
    /// `[[umh.event]]`: storage events and incidents.
    Event(EventConditions),
}

/// Conditions on a resource.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ResourceConditions {
    /// `role`.
    pub role: Condition<Role>,
    /// `may-promote`.
    pub may_promote: Condition<bool>,
    /// `promotion-score`.
    pub promotion_score: Condition<i32>,
    /// `suspended`: the whole set, for example `"no"` or `"quorum"`; a regular expression sees the comma list.
    pub suspended: Condition<Suspended>,
    /// `force-io-failures`.
    pub force_io_failures: Condition<bool>,
}

/// Conditions on a device.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DeviceConditions {
    /// `disk-state`.
    pub disk_state: Condition<DiskState>,
    /// `client`.
    pub client: Condition<bool>,
    /// `quorum`.
    pub quorum: Condition<bool>,
    /// `size`, KiB.
    pub size: Condition<u64>,
    /// `open`.
    pub open: Condition<bool>,
}

/// Conditions on a peer device.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct PeerDeviceConditions {
    /// `replication-state`.
    pub replication_state: Condition<ReplicationState>,
    /// `peer-disk-state`.
    pub peer_disk_state: Condition<DiskState>,
    /// `peer-client`.
    pub peer_client: Condition<bool>,
    /// `resync-suspended`. drbd-reactor reads a bool here: `true` = any reason, `false` = none.
    pub resync_suspended: Condition<ResyncSuspended>,
    /// `resync-suspended` as a bool.
    pub resync_suspended_at_all: Condition<bool>,
}

/// Conditions on a connection.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ConnectionConditions {
    /// `conn-name`.
    pub conn_name: Condition<String>,
    /// `connection-state`.
    pub connection_state: Condition<ConnectionState>,
    /// `peer-role`.
    pub peer_role: Condition<Role>,
    /// `congested`.
    pub congested: Condition<bool>,
}

/// Conditions on a path.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct PathConditions {
    /// `established`.
    pub established: Condition<bool>,
}

/// Conditions on a helper call.
#[derive(Clone, Debug, PartialEq)]
pub struct HelperConditions {
    /// `helper`: name of the helper, for example `before-resync-target`.
    pub helper: Condition<String>,
    /// `peer-node-id`.
    pub peer_node_id: Condition<u32>,
    /// `volume`.
    pub volume: Condition<u32>,
    /// `status`: exit code of DRBD's helper; only with `on = "response"`.
    pub status: Condition<i32>,
    /// `on`.
    pub on: HelperMoment,
}

/// Conditions on a storage event, or on the events of an incident: one of them has to meet each.
#[derive(Clone, Debug, PartialEq)]
pub struct EventConditions {
    /// `on`.
    pub on: EventMoment,
    /// `type` of the event.
    pub kind: Condition<String>,
    /// `severity`: this and worse; of an incident that of its worst event.
    pub severity: Severity,
    /// `subsystem`; empty = all.
    pub subsystems: Vec<Subsystem>,
    /// `device`: any name of it, or of what is above or below it; empty = all.
    pub devices: Vec<String>,
}

impl Default for EventConditions {
    fn default() -> Self {
        let (on, severity) = (EventMoment::default(), Severity::Info);
        Self { on, kind: None, severity, subsystems: Vec::new(), devices: Vec::new() }
    }
}

/// `on` of an event rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EventMoment {
    /// `"event"`: an event began.
    #[default]
    Event,
    /// `"opened"`: an incident opened.
    Opened,
    /// `"grew"`: one reaches something more.
    Grew,
    /// `"over"`: one is over.
    Over,
}

impl EventMoment {
    /// The words of the configuration.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("event", Self::Event), ("opened", Self::Opened), ("grew", Self::Grew), ("over", Self::Over)];

    /// The word as configuration and environment spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Opened => "opened",
            Self::Grew => "grew",
            Self::Over => "over",
        }
    }
}

/// `on` of a helper rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum HelperMoment {
    /// `"call"`: DRBD called the helper; the handler runs beside it.
    #[default]
    Call,
    /// `"response"`: the helper came back.
    Response,
    /// `"answer"`: the handler is the helper: `reactor-helper` waits for it, and DRBD gets its exit code.
    Answer,
}
