//! What DRBD says of a resource, put into the words in which the promoter thinks. Levels only: nothing here remembers.

use std::time::Duration;

use crate::action::DrbdOptions;
use crate::drbd::types::{ConnectionState, DiskState, ReplicationState, Role, Suspended};
use crate::ids::{PeerNodeId, Volume};
use crate::input::Dialect;
use crate::model::objects::{Connection, PeerDeviceState, Resource};

use super::policy::Policy;

/// Whether this node is Primary.
pub(super) fn is_primary(resource: &Resource) -> bool {
    resource.state.role == Role::Primary
}

/// Volumes without quorum.
pub(super) fn without_quorum(resource: &Resource) -> Vec<Volume> {
    let lost = resource.devices.iter().filter(|(_, device)| device.state.quorum == Some(false));
    lost.map(|(volume, _)| *volume).collect()
}

/// DRBD keeps back what this node writes until it has quorum or good data again: whoever has the device open hangs, and can't be stopped. What a
/// person has suspended is for that person to resume, and what waits for fencing goes on by itself.
pub(super) fn is_suspended(resource: &Resource) -> bool {
    let suspended = &resource.state.suspended;
    is_primary(resource) && [Suspended::QUORUM, Suspended::NO_DATA].iter().any(|why| suspended.contains(why))
}

/// The peers that are Primary.
pub(super) fn primary_peers(resource: &Resource) -> Vec<PeerNodeId> {
    let peers = resource.connections.iter().filter(|(_, connection)| connection.state.peer_role == Role::Primary);
    peers.map(|(peer, _)| *peer).collect()
}

/// What the peers are called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PeerNames {
    /// DRBD 8.4 calls its only peer `peer`; this is what its configuration calls it.
    pub(super) only: Option<String>,
}

impl PeerNames {
    /// From what the tools say of a resource.
    pub(super) fn of_config(options: &DrbdOptions, dialect: Dialect) -> Self {
        let name = || options.connections.first()?.name.clone();
        Self { only: (dialect == Dialect::Drbd84).then(name).flatten() }
    }

    /// A peer as people call it.
    pub(super) fn of(&self, resource: &Resource, peer: PeerNodeId) -> String {
        let told = || resource.conn_name(peer).map_or_else(|| format!("peer {peer}"), ToString::to_string);
        self.only.clone().unwrap_or_else(told)
    }
}

/// Volumes as people read them: `volume 0`, `volumes 0, 2`.
pub(super) fn volumes(volumes: &[Volume]) -> String {
    let list: Vec<String> = volumes.iter().map(ToString::to_string).collect();
    format!("volume{} {}", if list.len() == 1 { "" } else { "s" }, list.join(", "))
}

/// Volumes whose good data are out of reach: neither the disk here nor that of a connected peer is UpToDate. Words that we do not
/// know prove nothing.
pub(super) fn without_data(resource: &Resource) -> Vec<Volume> {
    let good = |disk: &DiskState| matches!(disk, DiskState::UpToDate | DiskState::Other(_));
    let served = |volume: &Volume| {
        let connected =
            resource.connections.values().filter(|peer| peer.state.connection == ConnectionState::Connected);
        let mut theirs = connected.filter_map(|peer| peer.peer_devices.get(volume));
        theirs.any(|peer| good(&peer.state.peer_disk))
    };
    let lost = resource.devices.iter().filter(|(volume, device)| !good(&device.state.disk) && !served(volume));
    lost.map(|(volume, _)| *volume).collect()
}

/// A peer that is not connected and may have good data of a volume, for all that is known here.
pub(super) fn may_have_data(resource: &Resource, volume: Volume) -> Option<PeerNodeId> {
    let away = |connection: &Connection| {
        let peer = connection.peer_devices.get(&volume);
        let unknown =
            |state: &PeerDeviceState| state.peer_disk == DiskState::DUnknown && state.peer_client != Some(true);
        connection.state.connection != ConnectionState::Connected && peer.is_some_and(|peer| unknown(&peer.state))
    };
    resource.connections.iter().find(|(_, connection)| away(connection)).map(|(peer, _)| *peer)
}

/// Volumes that lost their disk: Diskless, and not on purpose.
pub(super) fn detached(resource: &Resource) -> Vec<Volume> {
    let detached = resource
        .devices
        .iter()
        .filter(|(_, device)| device.state.disk == DiskState::Diskless && device.state.client != Some(true));
    detached.map(|(volume, _)| *volume).collect()
}

/// Whether a connected peer has good data on disks of its own for every volume of the resource (all, not any).
pub(super) fn has_all_data(resource: &Resource, connection: &Connection) -> bool {
    connection.state.connection == ConnectionState::Connected
        && !resource.devices.is_empty()
        && resource.devices.keys().all(|volume| {
            connection
                .peer_devices
                .get(volume)
                .is_some_and(|peer| peer.state.peer_disk == DiskState::UpToDate && peer.state.peer_client != Some(true))
        })
}

/// Whether, besides [`has_all_data`], nothing is being synced with it.
pub(super) fn is_settled(resource: &Resource, connection: &Connection) -> bool {
    has_all_data(resource, connection)
        && connection.peer_devices.values().all(|peer| peer.state.replication == ReplicationState::Established)
}

/// The wait that the state of the local disks asks for, and the volume that asks for it. A resource without devices has none.
pub(super) fn disk_delay(resource: &Resource) -> Option<(Volume, &DiskState, Duration)> {
    let delays = resource.devices.iter().map(|(volume, device)| {
        let seconds = match device.state.disk {
            DiskState::UpToDate => 0,
            DiskState::Consistent => 1,
            DiskState::Outdated => 2,
            DiskState::Inconsistent => 3,
            DiskState::Diskless
            | DiskState::Attaching
            | DiskState::Detaching
            | DiskState::Failed
            | DiskState::Negotiating
            | DiskState::DUnknown
            | DiskState::Other(_) => 6,
        };
        (*volume, &device.state.disk, Duration::from_secs(seconds))
    });
    delays.max_by_key(|(_, _, delay)| *delay)
}

/// Whether no other node is Primary, as far as one can be sure of it here: with quorum no other side has one, and without it only who sees all
/// peers knows.
pub(super) fn no_other_has_it(resource: &Resource, policy: Policy) -> bool {
    let sure = match policy {
        Policy::Quorum => without_quorum(resource).is_empty(),
        Policy::Fencing | Policy::Alone | Policy::None => not_connected(resource).is_empty(),
        Policy::Unknown => false,
    };
    sure && !resource.devices.is_empty() && primary_peers(resource).is_empty()
}

/// Volumes that somebody has open here; `None` = DRBD does not say.
pub(super) fn open(resource: &Resource) -> Option<Vec<Volume>> {
    let mut open = Vec::new();
    for (volume, device) in &resource.devices {
        if device.state.open? {
            open.push(*volume);
        }
    }
    Some(open)
}

/// Whether any peer is connected.
pub(super) fn has_connected_peer(resource: &Resource) -> bool {
    resource.connections.values().any(|peer| peer.state.connection == ConnectionState::Connected)
}

/// Peers whose connection is not Connected.
pub(super) fn not_connected(resource: &Resource) -> Vec<PeerNodeId> {
    let peers = resource.connections.iter().filter(|(_, peer)| peer.state.connection != ConnectionState::Connected);
    peers.map(|(peer, _)| *peer).collect()
}

/// The connected peers that would make a better Primary: more volumes with good data on disks of their own, and with equal data the
/// lower node id. Every node computes this from what it sees, so that usually only one of them has nobody before it.
pub(super) fn better(resource: &Resource, own_id: Option<u32>) -> Vec<PeerNodeId> {
    let own = resource.devices.values().filter(|device| device.state.disk == DiskState::UpToDate).count();
    let better = resource.connections.iter().filter(|(id, connection)| {
        if connection.state.connection != ConnectionState::Connected {
            return false;
        }
        // A survivor that says Consistent becomes UpToDate within the same second.
        let good = |disk: &DiskState| matches!(disk, DiskState::UpToDate | DiskState::Consistent);
        let theirs = connection.peer_devices.values().filter(|peer| good(&peer.state.peer_disk)).count();
        theirs > own || (theirs == own && own_id.is_some_and(|own_id| id.0 < own_id))
    });
    better.map(|(id, _)| *id).collect()
}
