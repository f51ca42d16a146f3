//! Which rules a change concerns.
//!
//! The rules are indexed by the kind of object, so a change costs only the rules of its kind, and of those mostly one look at an
//! enum. Reading order of a rule: event type, did a field change that it looks at, which object, `new`, `old`, resource name.

use crate::change::{Change, ConnectionView, DeviceView, EventKind, HelperEvent, Origin, PeerDeviceView, What};
use crate::model::objects::{PathState, ResourceState};
use crate::settings::umh::{
    ConnectionConditions, DeviceConditions, Edge, HelperConditions, HelperMoment, PathConditions, PeerDeviceConditions,
    ResourceConditions, Rule, When,
};

use super::matcher::{accepts, meets};

/// Kinds of objects that rules are about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum ObjectKind {
    Resource,
    Device,
    PeerDevice,
    Connection,
    Path,
    Helper,
    Event,
}

impl ObjectKind {
    /// How many there are.
    pub(super) const COUNT: usize = 7;

    /// Of a change; `None` for a rename, which no rule is about.
    pub(super) fn of_change(what: &What) -> Option<Self> {
        Some(match what {
            What::Resource { .. } => Self::Resource,
            What::Device { .. } => Self::Device,
            What::PeerDevice { .. } => Self::PeerDevice,
            What::Connection { .. } => Self::Connection,
            What::Path { .. } => Self::Path,
            What::Helper(_) => Self::Helper,
            What::Renamed { .. } => return None,
        })
    }

    /// Of a rule.
    pub(super) fn of_rule(when: &When) -> Self {
        match when {
            When::Resource(_) => Self::Resource,
            When::Device { .. } => Self::Device,
            When::PeerDevice { .. } => Self::PeerDevice,
            When::Connection { .. } => Self::Connection,
            When::Path { .. } => Self::Path,
            When::Helper(_) => Self::Helper,
            When::Event(_) => Self::Event,
        }
    }

    /// The table's name in the configuration.
    pub(super) fn table(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Device => "device",
            Self::PeerDevice => "peerdevice",
            Self::Connection => "connection",
            Self::Path => "path",
            Self::Helper => "helper",
            Self::Event => "event",
        }
    }

    /// The object as events2 spells it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::PeerDevice => "peer-device",
            Self::Resource | Self::Device | Self::Connection | Self::Path | Self::Helper | Self::Event => self.table(),
        }
    }
}

/// Whether an object was there on one side of a change. Where it was not, fields that have no value count as drbd-reactor counts
/// them (`false`, 0, empty), and in all other cases a field without a value is one that DRBD does not report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    /// The object has this state.
    There,
    /// First sight (`old`) or gone (`new`).
    Absent,
}

impl Side {
    /// What `old` is in an event of this kind.
    pub(super) fn old(kind: EventKind) -> Self {
        match kind {
            EventKind::Exists | EventKind::Create => Self::Absent,
            EventKind::Change | EventKind::Destroy => Self::There,
        }
    }

    /// What `new` is in an event of this kind.
    pub(super) fn new(kind: EventKind) -> Self {
        match kind {
            EventKind::Destroy => Self::Absent,
            EventKind::Exists | EventKind::Create | EventKind::Change => Self::There,
        }
    }

    /// `value`, or the default if the object is absent.
    pub(super) fn value<T: Default>(self, value: Option<T>) -> Option<T> {
        match self {
            Self::There => value,
            Self::Absent => Some(value.unwrap_or_default()),
        }
    }
}

/// Whether `rule` fires on `change`, but for `for` and `rate-limit`.
pub(super) fn fires(rule: &Rule, change: &Change) -> bool {
    wants_event(rule, change)
        && concerns(rule, change)
        && new_matches(rule, change)
        && old_matches(rule, change)
        && rule.resource.as_ref().is_none_or(|matcher| accepts(matcher, change.resource.as_str()))
}

/// Whether the state after `change` is one that `rule` waits for: what `for` asks to hold on.
pub(super) fn level_matches(rule: &Rule, change: &Change) -> bool {
    change.kind != EventKind::Destroy
        && new_matches(rule, change)
        && rule.resource.as_ref().is_none_or(|matcher| accepts(matcher, change.resource.as_str()))
}

/// `event-type`. Helper calls are no events of an object: `on` chooses among them.
fn wants_event(rule: &Rule, change: &Change) -> bool {
    if matches!(change.what, What::Helper(_)) {
        return true;
    }
    match change.origin {
        Origin::Replay => rule.events.replay,
        Origin::Live | Origin::Initial | Origin::CatchUp => {
            rule.events.contains(change.kind) && (rule.events.implied || !change.implied)
        }
    }
}

/// Whether a field changed that this rule looks at.
///
/// We follow more fields than drbd-reactor does, so there are changes that it never saw. They must not fire a rule that was
/// written for the others: they reach only a rule with a condition on the very field.
fn concerns(rule: &Rule, change: &Change) -> bool {
    if change.kind != EventKind::Change {
        return true;
    }
    match (&rule.when, &change.what) {
        (When::Resource(edge), What::Resource { old, new }) => {
            old.role != new.role
                || old.may_promote != new.may_promote
                || old.promotion_score != new.promotion_score
                || (old.suspended != new.suspended && names(edge, |c| c.suspended.is_some()))
                || (old.force_io_failures != new.force_io_failures && names(edge, |c| c.force_io_failures.is_some()))
        }
        (
            When::Device { .. },
            What::Device { old: DeviceView { state: old, .. }, new: DeviceView { state: new, .. }, .. },
        ) => {
            old.disk != new.disk
                || old.client != new.client
                || old.quorum != new.quorum
                || old.size_kib != new.size_kib
                || old.open != new.open
        }
        (When::PeerDevice { edge, .. }, What::PeerDevice { old, new, .. }) => {
            let (old, new) = (&old.state, &new.state);
            old.replication != new.replication
                || old.peer_disk != new.peer_disk
                || old.peer_client != new.peer_client
                || old.resync_suspended.is_empty() != new.resync_suspended.is_empty()
                || (old.resync_suspended != new.resync_suspended && names(edge, |c| c.resync_suspended.is_some()))
        }
        (When::Connection { .. }, What::Connection { old, new, .. }) => old.state != new.state,
        (When::Path { .. }, What::Path { old, new, .. }) => old != new,
        (When::Helper(_), What::Helper(_)) => true,
        (
            When::Resource(_)
            | When::Device { .. }
            | When::PeerDevice { .. }
            | When::Connection { .. }
            | When::Path { .. }
            | When::Helper(_)
            | When::Event(_),
            _,
        ) => false,
    }
}

/// Whether either side of an edge has the condition.
fn names<C>(edge: &Edge<C>, has: impl Fn(&C) -> bool) -> bool {
    has(&edge.old) || has(&edge.new)
}

/// Identity and `new`.
fn new_matches(rule: &Rule, change: &Change) -> bool {
    let side = Side::new(change.kind);
    match (&rule.when, &change.what) {
        (When::Resource(edge), What::Resource { new, .. }) => resource(&edge.new, new, side),
        (When::Device { volume, edge }, What::Device { volume: number, new, .. }) => {
            meets(volume, Some(&number.0)) && device(&edge.new, new, side)
        }
        (When::PeerDevice { volume, peer_node_id, edge }, What::PeerDevice { peer, volume: number, new, .. }) => {
            meets(volume, Some(&number.0)) && meets(peer_node_id, Some(&peer.0)) && peer_device(&edge.new, new, side)
        }
        (When::Connection { peer_node_id, edge }, What::Connection { peer, new, .. }) => {
            meets(peer_node_id, Some(&peer.0)) && connection(&edge.new, new, side)
        }
        (When::Path { peer_node_id, local, peer, edge }, What::Path { peer: id, path: ends, new, .. }) => {
            meets(peer_node_id, Some(&id.0))
                && path(&edge.new, new, side)
                && meets(local, Some(ends.local.as_str()))
                && meets(peer, Some(ends.peer.as_str()))
        }
        (When::Helper(conditions), What::Helper(event)) => helper_event(conditions, event),
        _ => false,
    }
}

/// `old`.
fn old_matches(rule: &Rule, change: &Change) -> bool {
    let side = Side::old(change.kind);
    match (&rule.when, &change.what) {
        (When::Resource(edge), What::Resource { old, .. }) => resource(&edge.old, old, side),
        (When::Device { edge, .. }, What::Device { old, .. }) => device(&edge.old, old, side),
        (When::PeerDevice { edge, .. }, What::PeerDevice { old, .. }) => peer_device(&edge.old, old, side),
        (When::Connection { edge, .. }, What::Connection { old, .. }) => connection(&edge.old, old, side),
        (When::Path { edge, .. }, What::Path { old, .. }) => path(&edge.old, old, side),
        (When::Helper(_), What::Helper(_)) => true,
        _ => false,
    }
}

fn resource(want: &ResourceConditions, state: &ResourceState, side: Side) -> bool {
    meets(&want.role, Some(&state.role))
        && meets(&want.may_promote, Some(&state.may_promote))
        && meets(&want.promotion_score, side.value(state.promotion_score).as_ref())
        && meets(&want.suspended, Some(&state.suspended))
        && meets(&want.force_io_failures, side.value(state.force_io_failures).as_ref())
}

fn device(want: &DeviceConditions, view: &DeviceView, side: Side) -> bool {
    let state = &view.state;
    meets(&want.disk_state, Some(&state.disk))
        && meets(&want.client, side.value(state.client).as_ref())
        && meets(&want.quorum, side.value(state.quorum).as_ref())
        && meets(&want.size, side.value(state.size_kib).as_ref())
        && meets(&want.open, side.value(state.open).as_ref())
}

fn peer_device(want: &PeerDeviceConditions, view: &PeerDeviceView, side: Side) -> bool {
    let state = &view.state;
    meets(&want.replication_state, Some(&state.replication))
        && meets(&want.peer_disk_state, Some(&state.peer_disk))
        && meets(&want.peer_client, side.value(state.peer_client).as_ref())
        && meets(&want.resync_suspended, Some(&state.resync_suspended))
        && meets(&want.resync_suspended_at_all, Some(&!state.resync_suspended.is_empty()))
}

fn connection(want: &ConnectionConditions, view: &ConnectionView, side: Side) -> bool {
    let state = &view.state;
    let name = state.conn_name.as_ref().map(crate::ids::ConnName::as_str);
    meets(&want.connection_state, Some(&state.connection))
        && meets(&want.peer_role, Some(&state.peer_role))
        && meets(&want.congested, side.value(state.congested).as_ref())
        && meets(&want.conn_name, side.value(name))
}

fn path(want: &PathConditions, state: &PathState, side: Side) -> bool {
    meets(&want.established, side.value(state.established).as_ref())
}

/// A line of events2 about a helper.
fn helper_event(want: &HelperConditions, event: &HelperEvent) -> bool {
    let moment = match event.status {
        None => HelperMoment::Call,
        Some(_) => HelperMoment::Response,
    };
    want.on == moment
        && meets(&want.peer_node_id, event.peer.map(|peer| peer.0).as_ref())
        && meets(&want.volume, event.volume.map(|volume| volume.0).as_ref())
        && meets(&want.status, event.exit_code().as_ref())
        && meets(&want.helper, Some(event.helper.as_str()))
}
