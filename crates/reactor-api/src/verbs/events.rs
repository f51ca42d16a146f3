//! Storage events that the daemon has stored, and those that come.

use crate::parameter::{Described, object};
use crate::storage_event::WireEvent;
use crate::verb::{AsStream, Caller, Limit, Verb};
use crate::words::{DeviceName, EventType, IncidentId, Last, StorageSeverity, StorageSubsystem};

object! {
    /// Asks for storage events of the past. All that is given has to hold.
    QueryEvents {
        /// This and worse: `info`, `notice`, `warning`, `error`, `critical`.
        severity: Option<StorageSeverity>,
        /// One of these types.
        types: Option<Vec<EventType>>,
        /// One of these parts of storage.
        subsystems: Option<Vec<StorageSubsystem>>,
        /// About this device, by any name, or what is above or below it.
        device: Option<DeviceName>,
        /// Of this incident: its id, or the beginning of it.
        incident: Option<IncidentId>,
        /// From then on, Unix time in milliseconds.
        since_ms: Option<u64>,
        /// Until then, Unix time in milliseconds.
        until_ms: Option<u64>,
        /// So many at most; none = 100.
        last: Option<Last>,
        /// Whether the oldest come first, and are those that are wanted if there are more; none = the newest.
        oldest_first: Option<bool>,
    }
}

object! {
    /// One answer to [`QueryEvents`].
    QueryEventsReply {
        /// In the order that was asked for.
        events: Vec<Described<WireEvent>>,
    }
}

impl Verb for QueryEvents {
    const NAME: &'static str = "QueryEvents";
    const ABOUT: &'static str = "\
        The storage events that are stored, the newest first. More than 128 events need \"more\". docs/reactorctl-events.schema.json\n\
        describes the fields.";
    const CALLER: Caller = Caller::Reader;
    type Reply = QueryEventsReply;
    type Answered = AsStream;

    fn limit(&self) -> Limit {
        Limit::Long
    }

    fn needs_more(&self) -> bool {
        self.last() > Self::PAGE
    }
}

impl QueryEvents {
    /// So many events are in one reply at most.
    pub const PAGE: u64 = 128;

    /// How many are wanted.
    pub fn last(&self) -> u64 {
        self.last.map_or(100, |last| last.0)
    }
}

object! {
    /// Asks for each storage event that is stored from now on.
    MonitorEvents {
        /// As in [`QueryEvents`].
        severity: Option<StorageSeverity>,
        /// The same.
        types: Option<Vec<EventType>>,
        /// The same.
        subsystems: Option<Vec<StorageSubsystem>>,
        /// The same.
        device: Option<DeviceName>,
        /// The same.
        incident: Option<IncidentId>,
        /// Not from now on, but from behind this number: what was stored or counted on meanwhile comes first.
        after: Option<u64>,
    }
}

object! {
    /// One answer to [`MonitorEvents`].
    MonitorEventsReply {
        /// In the order in which they were stored. An event comes once more when it has another count.
        events: Vec<Described<WireEvent>>,
        /// All up to this number was looked at: who comes back goes on behind it.
        after: u64,
    }
}

impl Verb for MonitorEvents {
    const NAME: &'static str = "MonitorEvents";
    const ABOUT: &'static str = "\
        Each storage event as it is stored, and once more when its count is another; with \"more\". The first reply comes at once. Who\n\
        was away goes on behind the last after that it has seen, and misses nothing.";
    const CALLER: Caller = Caller::Reader;
    type Reply = MonitorEventsReply;
    type Answered = AsStream;

    fn limit(&self) -> Limit {
        Limit::Long
    }

    fn needs_more(&self) -> bool {
        true
    }
}
