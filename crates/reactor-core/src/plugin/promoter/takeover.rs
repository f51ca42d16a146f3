//! Which of the peers could take a resource over, for all that DRBD says here. Whether a peer's own promoter would, only that node knows: it may be
//! held, blocked or drained there.

use crate::drbd::types::{ConnectionState, DiskState, ReplicationState};
use crate::ids::Volume;
use crate::model::objects::{Connection, Resource};

use super::report::PeerReport;
use super::view::{self, PeerNames};

/// Every peer, each with what stands in its way.
pub(super) fn peers(resource: &Resource, names: &PeerNames) -> Vec<PeerReport> {
    let primary = view::primary_peers(resource);
    let peers = resource.connections.iter().map(|(id, connection)| PeerReport {
        node: names.of(resource, *id),
        primary: primary.contains(id),
        connected: connection.state.connection == ConnectionState::Connected,
        obstacles: obstacles(resource, connection),
    });
    peers.collect()
}

/// Why it could not.
fn obstacles(resource: &Resource, connection: &Connection) -> Vec<String> {
    if connection.state.connection != ConnectionState::Connected {
        return vec![format!("not connected: {}", connection.state.connection)];
    }
    resource.devices.keys().filter_map(|volume| obstacle(connection, *volume)).collect()
}

fn obstacle(connection: &Connection, volume: Volume) -> Option<String> {
    let Some(peer) = connection.peer_devices.get(&volume) else {
        return Some(format!("it does not have volume {volume}"));
    };
    let (disk, replication) = (&peer.state.peer_disk, &peer.state.replication);
    if peer.state.peer_client == Some(true) {
        // It may run there over the network, but then every read depends on this node.
        return Some(format!("it has no disk for volume {volume}"));
    }
    match disk {
        DiskState::UpToDate => None,
        _ if *replication != ReplicationState::Established => {
            Some(format!("volume {volume} is {disk} there ({replication})"))
        }
        _ => Some(format!("volume {volume} is {disk} there")),
    }
}
