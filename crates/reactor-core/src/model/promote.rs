//! Whether this node could become Primary, for dialects that do not say it (DRBD 8.4).
//!
//! The rule is drbd-utils': no Primary in sight, every volume with quorum, and a stable UpToDate replica for every volume. The
//! recordings of DRBD 9, which does say it, are the test of this rule.

use crate::drbd::types::{ConnectionState, DiskState, ReplicationState, Role};
use crate::ids::Volume;

use super::objects::{Connection, Device, Resource};

/// The rule above. A volume without a word on quorum counts as having it: the dialect knows no quorum.
pub fn promotable(resource: &Resource) -> bool {
    if resource.state.role == Role::Primary || resource.devices.is_empty() {
        return false;
    }
    // A forced demotion whose openers are not gone yet: DRBD refuses.
    if resource.state.force_io_failures == Some(true) {
        return false;
    }
    if resource.connections.values().any(|connection| connection.state.peer_role == Role::Primary) {
        return false;
    }
    resource
        .devices
        .iter()
        .all(|(volume, device)| device.state.quorum != Some(false) && has_good_replica(*volume, device, resource))
}

fn has_good_replica(volume: Volume, device: &Device, resource: &Resource) -> bool {
    match device.state.disk {
        DiskState::UpToDate => true,
        // Not decided yet which data is good.
        DiskState::Attaching | DiskState::Negotiating | DiskState::Consistent => false,
        _ => resource.connections.values().any(|connection| peer_has_it(volume, connection)),
    }
}

fn peer_has_it(volume: Volume, connection: &Connection) -> bool {
    connection.state.connection == ConnectionState::Connected
        && connection.peer_devices.get(&volume).is_some_and(|peer| {
            peer.state.peer_disk == DiskState::UpToDate && peer.state.replication != ReplicationState::Off
        })
}
