//! One snapshot of DRBD: the resources, and how an event changes them.
//!
//! There are two while a dump is read: the one everybody looks at, and the new one that is built aside (see [`super::Node`]).
//! The cost of an event does not grow with the size of its resource: it touches its own object and nothing else.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crate::change::{Change, ConnectionView, DeviceView, EventKind, HelperEvent, Origin, PeerDeviceView, What};
use crate::drbd::events2::{
    ConnectionFields, DeviceFields, Event, HelperFields, PathFields, PeerDeviceFields, ResourceFields, Verb,
};
use crate::drbd::types::ConnectionState;
use crate::ids::{ConnName, EventSeq, Minor, PathAddress, PeerNodeId, ResourceName, Volume};
use crate::input::Dialect;
use crate::settings::Detail;

use super::objects::{Connection, Device, Path, PathId, PathState, PeerDevice, Resource, ResourceState};
use super::reports::Reports;
use super::split_brain::{Evidence, Parted};
use super::table::Table;
use super::update;

/// The resources by name, and the minors of their devices.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) resources: Table,
    /// Which device has a minor: minors are unique on a node.
    pub(super) minors: BTreeMap<Minor, (ResourceName, Volume)>,
}

/// Where changes go, and what is wanted of them.
pub(super) struct Sink<'a> {
    /// The changes.
    pub(super) out: &'a mut Vec<Change>,
    /// Number of the last one.
    pub(super) seq: &'a mut u64,
    /// `None` while a dump is built aside: nobody is told.
    pub(super) detail: Option<Detail>,
    pub(super) origin: Origin,
    pub(super) reports: &'a mut Reports,
    /// Resources of which a device became blocked, or is so no longer.
    pub(super) blocking: &'a mut BTreeSet<ResourceName>,
    /// Split brains that were found, or are over.
    pub(super) parted: &'a mut Vec<Parted>,
    /// What the source can say.
    pub(super) dialect: Dialect,
    /// Number for [`Resource::generation`].
    pub(super) generation: u64,
}

/// How something went away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Gone {
    /// DRBD said so.
    Told,
    /// With what it was a part of, without a line of its own.
    WithItsWhole,
}

impl Sink<'_> {
    pub(super) fn push(&mut self, kind: EventKind, resource: &ResourceName, what: What) {
        self.put(kind, false, resource, what);
    }

    /// Something is gone.
    pub(super) fn gone(&mut self, how: Gone, resource: &ResourceName, what: What) {
        self.put(EventKind::Destroy, how == Gone::WithItsWhole, resource, what);
    }

    fn put(&mut self, kind: EventKind, implied: bool, resource: &ResourceName, what: What) {
        if self.detail.is_none() {
            return;
        }
        *self.seq += 1;
        let seq = EventSeq(*self.seq);
        self.out.push(Change { seq, kind, origin: self.origin, implied, resource: resource.clone(), what });
    }

    /// Something that may be the begin or the end of a split brain.
    fn parted(&mut self, resource: &mut Resource, look: impl FnOnce(&mut Resource) -> Option<Parted>) {
        let Some(news) = look(resource) else { return };
        (resource.generation, resource.shape) = (self.generation, self.generation);
        // What a dump says that is built aside is compared when it is complete.
        if self.detail.is_some() {
            self.parted.push(news);
        }
    }

    fn wants_statistics(&self) -> bool {
        self.detail == Some(Detail::All)
    }
}

/// What a line did to an object that may be new.
fn kind(is_new: bool) -> EventKind {
    if is_new { EventKind::Create } else { EventKind::Change }
}

impl Snapshot {
    /// Applies one event. `refresh` = a periodic dump in the middle of a live stream (DRBD 8.4): it may be older than what is
    /// known, so that only statistics of known objects are taken from it.
    pub(super) fn apply(&mut self, event: &Event<'_>, refresh: bool, sink: &mut Sink<'_>) {
        match event {
            Event::DumpEnd | Event::Unknown { .. } => {}
            Event::Rename { from, to } => self.rename(from, to, sink),
            Event::Helper(f) => self.helper(f, sink),
            Event::Resource(Verb::Destroy, f) => self.destroy_resource(f.name, sink),
            Event::Resource(verb, f) => self.resource(f, refresh && *verb == Verb::Exists, sink),
            _ => self.part(event, refresh, sink),
        }
    }

    fn resource(&mut self, f: &ResourceFields<'_>, refresh: bool, sink: &mut Sink<'_>) {
        if refresh {
            return;
        }
        let (resource, is_new) = self.resources.get_or_insert(f.name);
        resource.generation = sink.generation;
        resource.says_may_promote |= f.may_promote.is_some();
        let old = update::resource(&mut resource.state, &mut resource.extra, f, sink.reports);
        if is_new || old.is_some() {
            resource.shape = sink.generation;
            let what = What::Resource { old: old.unwrap_or_default(), new: resource.state.clone() };
            sink.push(kind(is_new), &resource.name, what);
        }
    }

    /// An event of something that belongs to a resource.
    fn part(&mut self, event: &Event<'_>, refresh: bool, sink: &mut Sink<'_>) {
        let (verb, name) = match event {
            Event::Device(verb, f) => (*verb, f.name),
            Event::Connection(verb, f) => (*verb, f.name),
            Event::PeerDevice(verb, f) => (*verb, f.name),
            Event::Path(verb, f) => (*verb, f.name),
            _ => return,
        };
        let refresh = refresh && verb == Verb::Exists;
        let Some(resource) = self.resources.get_mut(name) else {
            sink.reports.orphan(name);
            return;
        };
        resource.generation = sink.generation;
        if verb == Verb::Destroy {
            resource.shape = sink.generation;
        }
        match (event, verb) {
            (Event::Device(_, f), Verb::Destroy) => {
                destroy_device(resource, &mut self.minors, Volume(f.volume), Gone::Told, sink);
            }
            (Event::Connection(_, f), Verb::Destroy) => {
                destroy_connection(resource, PeerNodeId(f.peer), Gone::Told, sink);
            }
            (Event::PeerDevice(_, f), Verb::Destroy) => {
                destroy_peer_device(resource, PeerNodeId(f.peer), Volume(f.volume), Gone::Told, sink);
            }
            (Event::Path(_, f), Verb::Destroy) => destroy_path(resource, f, sink),
            (Event::Device(_, f), _) => device(resource, &mut self.minors, f, refresh, sink),
            (Event::Connection(_, f), _) => connection(resource, f, refresh, sink),
            (Event::PeerDevice(_, f), _) => peer_device(resource, f, refresh, sink),
            (Event::Path(_, f), _) => path(resource, f, refresh, sink),
            _ => {}
        }
    }

    fn destroy_resource(&mut self, name: &str, sink: &mut Sink<'_>) {
        let Some(mut resource) = self.resources.remove(name) else {
            sink.reports.orphan(name);
            return;
        };
        // DRBD destroys the parts first; what it did not mention goes now.
        while let Some(peer) = resource.connections.keys().next().copied() {
            destroy_connection(&mut resource, peer, Gone::WithItsWhole, sink);
        }
        while let Some(volume) = resource.devices.keys().next().copied() {
            destroy_device(&mut resource, &mut self.minors, volume, Gone::WithItsWhole, sink);
        }
        let what = What::Resource { old: resource.state, new: ResourceState::default() };
        sink.push(EventKind::Destroy, &resource.name, what);
    }

    fn rename(&mut self, from: &str, to: &str, sink: &mut Sink<'_>) {
        if from == to {
            return;
        }
        let Some(mut resource) = self.resources.remove(from) else {
            sink.reports.orphan(from);
            return;
        };
        if self.resources.contains(to) {
            sink.reports
                .violation(format!("{from} was renamed to {to}, which exists already; the old {to} is dropped"));
            self.destroy_resource(to, sink);
        }
        let to = ResourceName::new(to);
        sink.push(EventKind::Change, &resource.name, What::Renamed { to: to.clone() });
        resource.name = to.clone();
        resource.generation = sink.generation;
        resource.shape = sink.generation;
        for (volume, device) in &resource.devices {
            if let Some(minor) = device.state.minor {
                self.minors.insert(minor, (to.clone(), *volume));
            }
        }
        self.resources.insert(resource);
    }

    fn helper(&mut self, f: &HelperFields<'_>, sink: &mut Sink<'_>) {
        if let (false, "split-brain", Some(peer)) = (f.response, f.helper, f.peer)
            && let Some(resource) = self.resources.get_mut(f.name)
        {
            let name = f.conn_name.map(ConnName::new);
            sink.parted(resource, |resource| resource.part(PeerNodeId(peer), name.as_ref(), Evidence::Handler));
        }
        for (key, value) in &f.unknown {
            sink.reports.unknown_key("helper", key, value);
        }
        let event = HelperEvent {
            status: f.response.then(|| f.status.unwrap_or_default()),
            helper: f.helper.to_owned(),
            peer: f.peer.map(PeerNodeId),
            conn_name: f.conn_name.map(ConnName::new),
            volume: f.volume.map(Volume),
            minor: f.minor.map(Minor),
        };
        sink.push(EventKind::Change, &ResourceName::new(f.name), What::Helper(event));
    }
}

/// A part of an object, and whether it is new. `refresh` = only if it is known.
fn part_of<K: Ord, P: Default>(parts: &mut BTreeMap<K, Box<P>>, key: K, refresh: bool) -> Option<(&mut P, bool)> {
    match parts.entry(key) {
        Entry::Occupied(known) => Some((known.into_mut(), false)),
        Entry::Vacant(_) if refresh => None,
        Entry::Vacant(place) => Some((place.insert(Box::default()), true)),
    }
}

fn device(
    resource: &mut Resource,
    minors: &mut BTreeMap<Minor, (ResourceName, Volume)>,
    f: &DeviceFields<'_>,
    refresh: bool,
    sink: &mut Sink<'_>,
) {
    let volume = Volume(f.volume);
    let Resource { name, devices, shape, .. } = resource;
    let Some((device, is_new)) = part_of(devices, volume, refresh) else { return };
    let old_stats = sink.wants_statistics().then(|| device.stats.clone());
    let was_blocked = !device.stats.blocked.is_empty();
    let moved = update::device_stats(&mut device.stats, f, sink.reports);
    if was_blocked == device.stats.blocked.is_empty() {
        sink.blocking.insert(name.clone());
    }
    let old = if refresh { None } else { update::device(&mut device.state, &mut device.extra, f, sink.reports) };
    if let Some(minor) = device.state.minor
        && (is_new || old.as_ref().is_some_and(|old| old.minor != device.state.minor))
    {
        if let Some(before) = old.as_ref().and_then(|old| old.minor) {
            minors.remove(&before);
        }
        if let Some((other, its)) = minors.insert(minor, (name.clone(), volume))
            && (other != *name || its != volume)
        {
            sink.reports.violation(format!("minor {minor} belongs to {name}/{volume}, but was {other}/{its}'s"));
        }
    }
    if is_new || old.is_some() {
        *shape = sink.generation;
    }
    if is_new || old.is_some() || (moved && old_stats.is_some()) {
        let new = DeviceView { state: device.state.clone(), stats: device.stats.clone() };
        let old = if is_new {
            DeviceView::default()
        } else {
            DeviceView {
                state: old.unwrap_or_else(|| new.state.clone()),
                stats: old_stats.unwrap_or_else(|| new.stats.clone()),
            }
        };
        sink.push(kind(is_new), name, What::Device { volume, old, new });
    }
}

fn connection(resource: &mut Resource, f: &ConnectionFields<'_>, refresh: bool, sink: &mut Sink<'_>) {
    let peer = PeerNodeId(f.peer);
    let Resource { name, connections, shape, .. } = resource;
    let Some((connection, is_new)) = part_of(connections, peer, refresh) else { return };
    let old_stats = sink.wants_statistics().then(|| connection.stats.clone());
    let was_alone = connection.state.connection == ConnectionState::StandAlone;
    let moved = update::connection_stats(&mut connection.stats, f);
    let old =
        if refresh { None } else { update::connection(&mut connection.state, &mut connection.extra, f, sink.reports) };
    let is_tried = was_alone && connection.state.connection != ConnectionState::StandAlone;
    if is_new || old.is_some() {
        *shape = sink.generation;
    }
    if is_new || old.is_some() || (moved && old_stats.is_some()) {
        let new = ConnectionView { state: connection.state.clone(), stats: connection.stats.clone() };
        let old = if is_new {
            ConnectionView::default()
        } else {
            ConnectionView {
                state: old.unwrap_or_else(|| new.state.clone()),
                stats: old_stats.unwrap_or_else(|| new.stats.clone()),
            }
        };
        sink.push(kind(is_new), name, What::Connection { peer, old, new });
    }
    if is_tried {
        resource.tried(peer);
    }
    sink.parted(resource, |resource| resource.meet(peer));
}

fn peer_device(resource: &mut Resource, f: &PeerDeviceFields<'_>, refresh: bool, sink: &mut Sink<'_>) {
    let (peer, volume) = (PeerNodeId(f.peer), Volume(f.volume));
    let Resource { name, connections, shape, .. } = resource;
    // DRBD 8.4's fence-peer speaks of peer devices whose connection is gone already.
    let Some(connection) = connections.get_mut(&peer) else {
        sink.reports.orphan(f.name);
        return;
    };
    let Some((device, is_new)) = part_of(&mut connection.peer_devices, volume, refresh) else { return };
    let before = sink.wants_statistics().then(|| (device.stats.clone(), device.progress.clone()));
    let moved = update::peer_device_stats(device, f);
    let old = if refresh { None } else { update::peer_device(&mut device.state, &mut device.extra, f, sink.reports) };
    if is_new || old.is_some() {
        *shape = sink.generation;
    }
    if is_new || old.is_some() || (moved && before.is_some()) {
        let new = PeerDeviceView {
            state: device.state.clone(),
            stats: device.stats.clone(),
            progress: device.progress.clone(),
        };
        let old = if is_new {
            PeerDeviceView::default()
        } else {
            let (stats, progress) = before.unwrap_or_else(|| (new.stats.clone(), new.progress.clone()));
            PeerDeviceView { state: old.unwrap_or_else(|| new.state.clone()), stats, progress }
        };
        sink.push(kind(is_new), name, What::PeerDevice { peer, volume, old, new });
    }
}

fn path_id(f: &PathFields<'_>) -> PathId {
    PathId { local: PathAddress::new(f.local), peer: PathAddress::new(f.remote) }
}

fn path(resource: &mut Resource, f: &PathFields<'_>, refresh: bool, sink: &mut Sink<'_>) {
    let peer = PeerNodeId(f.peer);
    let Resource { name, connections, shape, .. } = resource;
    let Some(connection) = connections.get_mut(&peer) else {
        sink.reports.orphan(f.name);
        return;
    };
    let id = path_id(f);
    let is_new = !connection.paths.contains_key(&id);
    if refresh {
        return;
    }
    let path = connection.paths.entry(id.clone()).or_default();
    let old = update::path(&mut path.state, &mut path.extra, f, sink.reports);
    if is_new || old.is_some() {
        *shape = sink.generation;
        let what = What::Path { peer, path: id, old: old.unwrap_or_default(), new: path.state.clone() };
        sink.push(kind(is_new), name, what);
    }
}

fn destroy_path(resource: &mut Resource, f: &PathFields<'_>, sink: &mut Sink<'_>) {
    let (peer, id) = (PeerNodeId(f.peer), path_id(f));
    let gone = resource.connections.get_mut(&peer).and_then(|connection| connection.paths.remove(&id));
    match gone {
        Some(path) => tell_path(&resource.name, peer, id, path, Gone::Told, sink),
        None => sink.reports.orphan(f.name),
    }
}

fn tell_path(name: &ResourceName, peer: PeerNodeId, path: PathId, gone: Path, how: Gone, sink: &mut Sink<'_>) {
    let what = What::Path { peer, path, old: gone.state, new: PathState::default() };
    sink.gone(how, name, what);
}

fn destroy_peer_device(resource: &mut Resource, peer: PeerNodeId, volume: Volume, how: Gone, sink: &mut Sink<'_>) {
    let gone = resource.connections.get_mut(&peer).and_then(|connection| connection.peer_devices.remove(&volume));
    if let Some(gone) = gone {
        tell_peer_device(&resource.name, peer, volume, *gone, how, sink);
    }
}

fn tell_peer_device(
    name: &ResourceName,
    peer: PeerNodeId,
    volume: Volume,
    gone: PeerDevice,
    how: Gone,
    sink: &mut Sink<'_>,
) {
    let old = PeerDeviceView { state: gone.state, stats: gone.stats, progress: gone.progress };
    sink.gone(how, name, What::PeerDevice { peer, volume, old, new: PeerDeviceView::default() });
}

/// A device goes, and with it its peer devices: DRBD does not mention them.
fn destroy_device(
    resource: &mut Resource,
    minors: &mut BTreeMap<Minor, (ResourceName, Volume)>,
    volume: Volume,
    how: Gone,
    sink: &mut Sink<'_>,
) {
    let peers: Vec<_> = resource.connections.keys().copied().collect();
    for peer in peers {
        destroy_peer_device(resource, peer, volume, Gone::WithItsWhole, sink);
    }
    let Some(Device { state, stats, .. }) = resource.devices.remove(&volume).map(|gone| *gone) else {
        sink.reports.orphan(resource.name.as_str());
        return;
    };
    if let Some(minor) = state.minor
        && minors.get(&minor).is_some_and(|(name, its)| *name == resource.name && *its == volume)
    {
        minors.remove(&minor);
    }
    let what = What::Device { volume, old: DeviceView { state, stats }, new: DeviceView::default() };
    sink.gone(how, &resource.name, what);
}

/// A connection goes, and with it its peer devices and paths: DRBD does not mention the former.
fn destroy_connection(resource: &mut Resource, peer: PeerNodeId, how: Gone, sink: &mut Sink<'_>) {
    let gone = resource.connections.remove(&peer).map(|gone| *gone);
    if sink.dialect == Dialect::Drbd9 {
        resource.split.remove(&peer);
    }
    let Some(Connection { state, stats, peer_devices, paths, .. }) = gone else {
        sink.reports.orphan(resource.name.as_str());
        return;
    };
    for (volume, gone) in peer_devices {
        tell_peer_device(&resource.name, peer, volume, *gone, Gone::WithItsWhole, sink);
    }
    for (id, gone) in paths {
        tell_path(&resource.name, peer, id, gone, Gone::WithItsWhole, sink);
    }
    let old = ConnectionView { state, stats };
    let new = old.gone();
    sink.gone(how, &resource.name, What::Connection { peer, old, new });
}
