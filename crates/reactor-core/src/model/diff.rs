//! The differences between two snapshots, told as changes.
//!
//! After a restart of the source its dump is built aside; what differs from the snapshot before is what happened in between.

use std::collections::BTreeMap;

use crate::change::{ConnectionView, DeviceView, EventKind, PeerDeviceView, What};
use crate::ids::{PeerNodeId, ResourceName, Volume};

use super::objects::{Connection, Device, PeerDevice, Resource, ResourceState};
use super::snapshot::{Gone, Sink};

/// Tells one resource: gone (no `new`), new (no `old`), or what changed in it. Parts go before their resource and come after it,
/// as DRBD does it. `appeared` is the kind for what is only in `new`: `Exists` in a first snapshot, `Create` for what was not there before.
pub(super) fn tell(old: Option<&Resource>, new: Option<&Resource>, appeared: EventKind, sink: &mut Sink<'_>) {
    let Some(name) = new.or(old).map(|resource| &resource.name) else { return };
    let nothing = Resource::new(name.clone());
    let (was, is) = (old.unwrap_or(&nothing), new.unwrap_or(&nothing));
    let tell = Tell { name, appeared };
    if new.is_some() {
        let (o, n) = (&was.state, &is.state);
        if let Some(kind) = tell.kind(old.is_some(), true, o != n) {
            sink.push(kind, name, What::Resource { old: o.clone(), new: n.clone() });
        }
    }
    tell.devices(&was.devices, &is.devices, sink);
    tell.connections(&was.connections, &is.connections, sink);
    if new.is_none() {
        let what = What::Resource { old: was.state.clone(), new: ResourceState::default() };
        sink.push(EventKind::Destroy, name, what);
    }
}

struct Tell<'a> {
    name: &'a ResourceName,
    appeared: EventKind,
}

impl Tell<'_> {
    /// What to call it; `None` = nothing happened.
    fn kind(&self, was: bool, is: bool, differs: bool) -> Option<EventKind> {
        match (was, is) {
            (false, true) => Some(self.appeared),
            (true, false) => Some(EventKind::Destroy),
            (true, true) if differs => Some(EventKind::Change),
            _ => None,
        }
    }

    fn devices(&self, was: &BTreeMap<Volume, Box<Device>>, is: &BTreeMap<Volume, Box<Device>>, sink: &mut Sink<'_>) {
        for (volume, old, new) in both(was, is) {
            let view = |device: Option<&Device>| {
                device
                    .map_or_else(DeviceView::default, |d| DeviceView { state: d.state.clone(), stats: d.stats.clone() })
            };
            let (o, n) = (view(old), view(new));
            if let Some(kind) = self.kind(old.is_some(), new.is_some(), o.state != n.state) {
                sink.push(kind, self.name, What::Device { volume, old: o, new: n });
            }
        }
    }

    fn connections(
        &self,
        was: &BTreeMap<PeerNodeId, Box<Connection>>,
        is: &BTreeMap<PeerNodeId, Box<Connection>>,
        sink: &mut Sink<'_>,
    ) {
        let nothing = Connection::default();
        for (peer, old, new) in both(was, is) {
            let view = |c: Option<&Connection>| {
                c.map_or_else(ConnectionView::default, |c| ConnectionView {
                    state: c.state.clone(),
                    stats: c.stats.clone(),
                })
            };
            let o = view(old);
            let n = if new.is_some() { view(new) } else { o.gone() };
            let kind = self.kind(old.is_some(), new.is_some(), o.state != n.state);
            let what = What::Connection { peer, old: o, new: n };
            if let (Some(kind), true) = (kind, new.is_some()) {
                sink.push(kind, self.name, what.clone());
            }
            let (old_parts, new_parts) = (old.unwrap_or(&nothing), new.unwrap_or(&nothing));
            self.peer_devices(peer, old_parts, new_parts, sink);
            self.paths(peer, old_parts, new_parts, sink);
            if let (Some(kind), None) = (kind, new) {
                sink.push(kind, self.name, what);
            }
        }
    }

    fn peer_devices(&self, peer: PeerNodeId, was: &Connection, is: &Connection, sink: &mut Sink<'_>) {
        for (volume, old, new) in both(&was.peer_devices, &is.peer_devices) {
            let view = |d: Option<&PeerDevice>| {
                d.map_or_else(PeerDeviceView::default, |d| PeerDeviceView {
                    state: d.state.clone(),
                    stats: d.stats.clone(),
                    progress: d.progress.clone(),
                })
            };
            let (o, n) = (view(old), view(new));
            let kind = self.kind(old.is_some(), new.is_some(), o.state != n.state);
            let what = What::PeerDevice { peer, volume, old: o, new: n };
            match kind {
                // DRBD has no line for the end of a peer device.
                Some(EventKind::Destroy) => sink.gone(Gone::WithItsWhole, self.name, what),
                Some(kind) => sink.push(kind, self.name, what),
                None => {}
            }
        }
    }

    fn paths(&self, peer: PeerNodeId, was: &Connection, is: &Connection, sink: &mut Sink<'_>) {
        let keys: std::collections::BTreeSet<_> = was.paths.keys().chain(is.paths.keys()).collect();
        for path in keys {
            let (old, new) = (was.paths.get(path), is.paths.get(path));
            let o = old.map(|p| p.state.clone()).unwrap_or_default();
            let n = new.map(|p| p.state.clone()).unwrap_or_default();
            if let Some(kind) = self.kind(old.is_some(), new.is_some(), o != n) {
                sink.push(kind, self.name, What::Path { peer, path: path.clone(), old: o, new: n });
            }
        }
    }
}

/// Every key of either map, in order, with what each has.
fn both<'a, K: Copy + Ord, V>(
    was: &'a BTreeMap<K, Box<V>>,
    is: &'a BTreeMap<K, Box<V>>,
) -> impl Iterator<Item = (K, Option<&'a V>, Option<&'a V>)> {
    let keys: std::collections::BTreeSet<K> = was.keys().chain(is.keys()).copied().collect();
    keys.into_iter().map(move |key| (key, was.get(&key).map(|v| &**v), is.get(&key).map(|v| &**v)))
}
