//! The present state told as changes: of one object, to judge anew what waited; of all objects, for a rule that is new.

use crate::change::{Change, ConnectionView, DeviceView, EventKind, Origin, PeerDeviceView, What};
use crate::ids::{EventSeq, PeerNodeId, ResourceName, Volume};
use crate::model::Node;
use crate::model::objects::{Connection, Device, PathId, PeerDevice, Resource};

/// Which object of this node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct ObjectKey {
    resource: ResourceName,
    part: Part,
}

/// Which object of a resource.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Part {
    Resource,
    Device(Volume),
    Connection(PeerNodeId),
    PeerDevice(PeerNodeId, Volume),
    Path(PeerNodeId, PathId),
}

impl ObjectKey {
    /// The object of a change; `None` if the change is about no object with a state.
    pub(super) fn of(change: &Change) -> Option<Self> {
        let part = match &change.what {
            What::Resource { .. } => Part::Resource,
            What::Device { volume, .. } => Part::Device(*volume),
            What::Connection { peer, .. } => Part::Connection(*peer),
            What::PeerDevice { peer, volume, .. } => Part::PeerDevice(*peer, *volume),
            What::Path { peer, path, .. } => Part::Path(*peer, path.clone()),
            What::Renamed { .. } | What::Helper(_) => return None,
        };
        Some(Self { resource: change.resource.clone(), part })
    }

    /// Whether it belongs to this resource.
    pub(super) fn is_of(&self, resource: &ResourceName) -> bool {
        self.resource == *resource
    }

    /// The same object after its resource got another name.
    pub(super) fn renamed(self, to: &ResourceName) -> Self {
        Self { resource: to.clone(), part: self.part }
    }
}

/// `change` with the present state as its `new`; `None` if the object is gone.
pub(super) fn with_present(change: &Change, node: &Node) -> Option<Change> {
    let resource = node.resource(change.resource.as_str())?;
    let mut change = change.clone();
    match &mut change.what {
        What::Resource { new, .. } => *new = resource.state.clone(),
        What::Device { volume, new, .. } => *new = device(resource.devices.get(volume)?),
        What::Connection { peer, new, .. } => *new = connection(resource.connections.get(peer)?),
        What::PeerDevice { peer, volume, new, .. } => {
            *new = peer_device(resource.connections.get(peer)?.peer_devices.get(volume)?);
        }
        What::Path { peer, path, new, .. } => {
            *new = resource.connections.get(peer)?.paths.get(path)?.state.clone();
        }
        What::Renamed { .. } | What::Helper(_) => return None,
    }
    Some(change)
}

/// Tells the present state of everything as replayed `Exists` events, in the order of an events2 dump.
pub(super) fn replay(node: &Node, seq: EventSeq, mut tell: impl FnMut(&Change)) {
    for resource in node.resources() {
        for what in objects(resource) {
            let resource = resource.name.clone();
            tell(&Change { seq, kind: EventKind::Exists, origin: Origin::Replay, implied: false, resource, what });
        }
    }
}

/// Every object of a resource, with the default state as its `old`.
fn objects(resource: &Resource) -> impl Iterator<Item = What> {
    let whole = What::Resource { old: Default::default(), new: resource.state.clone() };
    let connections = resource.connections.iter();
    let devices = resource.devices.iter();
    std::iter::once(whole)
        .chain(connections.clone().map(|(peer, found)| What::Connection {
            peer: *peer,
            old: Default::default(),
            new: connection(found),
        }))
        .chain(devices.map(|(volume, found)| What::Device {
            volume: *volume,
            old: Default::default(),
            new: device(found),
        }))
        .chain(connections.clone().flat_map(|(peer, found)| {
            found.peer_devices.iter().map(|(volume, found)| What::PeerDevice {
                peer: *peer,
                volume: *volume,
                old: Default::default(),
                new: peer_device(found),
            })
        }))
        .chain(connections.flat_map(|(peer, found)| {
            found.paths.iter().map(|(path, found)| What::Path {
                peer: *peer,
                path: path.clone(),
                old: Default::default(),
                new: found.state.clone(),
            })
        }))
}

fn device(device: &Device) -> DeviceView {
    DeviceView { state: device.state.clone(), stats: device.stats.clone() }
}

fn connection(connection: &Connection) -> ConnectionView {
    ConnectionView { state: connection.state.clone(), stats: connection.stats.clone() }
}

fn peer_device(device: &PeerDevice) -> PeerDeviceView {
    PeerDeviceView { state: device.state.clone(), stats: device.stats.clone(), progress: device.progress.clone() }
}
