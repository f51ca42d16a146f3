//! How well a resource is, apart from whether it runs: what a person should know of DRBD although the services are up, and of what is
//! optional. "Up is granted when all is UpToDate on both sides" is said here, and keeps nothing from running.

use crate::drbd::types::{ConnectionState, DiskState, ReplicationState, Role};
use crate::ids::Volume;
use crate::model::objects::{Connection, Device, PeerDevice, Resource};

use super::availability::Availability;
use super::view::{self, PeerNames};

/// DRBD's part of the status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrbdHealth {
    /// Whether its side of the service is up here: Primary, or Secondary as it should be where the services do not run.
    pub availability: Availability,
    /// In a few words: role and disk here, then each peer.
    pub words: String,
    /// What is not as it should be, one sentence each.
    pub degraded: Vec<String>,
}

/// Looks at DRBD. `resource`: none if DRBD does not have it; `is_always_on`: it should be up whether the services run or not.
pub(super) fn drbd(resource: Option<&Resource>, names: &PeerNames, is_always_on: bool) -> DrbdHealth {
    let Some(resource) = resource else {
        let availability = if is_always_on { Availability::StandbyDown } else { Availability::Down };
        let degraded = if is_always_on { vec!["DRBD does not have it here".to_owned()] } else { Vec::new() };
        return DrbdHealth { availability, words: "not configured".to_owned(), degraded };
    };
    let mut out = DrbdHealth { availability: availability(resource), ..DrbdHealth::default() };
    out.words = format!("{} {}", resource.state.role, disks(resource));
    for (volume, device) in &resource.devices {
        out.degraded.extend(of_disk(resource, *volume, device));
    }
    let lost = view::without_quorum(resource);
    if !lost.is_empty() {
        out.degraded.push(format!("no quorum on {}", view::volumes(&lost)));
    }
    for (peer, connection) in &resource.connections {
        let name = names.of(resource, *peer);
        let is_split = resource.split.contains_key(peer);
        let (words, degraded) = of_peer(resource, &name, connection, is_split);
        out.words.push_str(&format!("; {words}"));
        out.degraded.extend(degraded);
    }
    out
}

/// By the role. A Secondary is as it should be with whatever disk it has, if that can become good; one that lost its disk is not.
fn availability(resource: &Resource) -> Availability {
    let lost = |device: &Device| {
        let is_lost = matches!(device.state.disk, DiskState::Diskless | DiskState::Failed | DiskState::Detaching);
        is_lost && device.state.client != Some(true)
    };
    match resource.state.role {
        Role::Primary => Availability::Up,
        Role::Secondary if resource.devices.values().any(|device| lost(device)) => Availability::StandbyDown,
        Role::Secondary => Availability::StandbyUp,
        Role::Unknown | Role::Other(_) => Availability::Undef,
    }
}

/// The disks of this node: one word if all are alike.
fn disks(resource: &Resource) -> String {
    let word = |device: &Device| match device.state.client {
        Some(true) => "diskless on purpose".to_owned(),
        _ => device.state.disk.to_string(),
    };
    let words: Vec<(String, String)> =
        resource.devices.iter().map(|(volume, device)| (volume.to_string(), word(device))).collect();
    one_or_each(&words, "without volumes")
}

/// `UpToDate`, or `UpToDate (volume 0), Inconsistent (volume 1)`.
fn one_or_each(words: &[(String, String)], none: &str) -> String {
    match words {
        [] => none.to_owned(),
        [(_, first), rest @ ..] if rest.iter().all(|(_, word)| word == first) => first.clone(),
        all => all.iter().map(|(volume, word)| format!("{word} (volume {volume})")).collect::<Vec<_>>().join(", "),
    }
}

/// A disk of this node that is not UpToDate.
fn of_disk(resource: &Resource, volume: Volume, device: &Device) -> Option<String> {
    if device.state.disk == DiskState::UpToDate || device.state.client == Some(true) {
        return None;
    }
    let sync =
        resource.connections.values().filter_map(|peer| peer.peer_devices.get(&volume)).find_map(|peer| progress(peer));
    Some(format!("volume {volume} is {} here{}", device.state.disk, sync.unwrap_or_default()))
}

/// How far a resync is.
fn progress(peer: &PeerDevice) -> Option<String> {
    let is_sync = matches!(peer.state.replication, ReplicationState::SyncTarget | ReplicationState::SyncSource);
    let done = peer.progress.as_ref().and_then(|progress| progress.done_percent).filter(|_| is_sync)?;
    Some(format!(", {done:.1} % synced"))
}

/// A peer in a few words, and what is not as it should be.
fn of_peer(resource: &Resource, name: &str, connection: &Connection, is_split: bool) -> (String, Vec<String>) {
    if connection.state.connection != ConnectionState::Connected {
        let state = connection.state.connection.to_string();
        let why = if is_split {
            format!(" (split brain, see: reactorctl doctor {})", resource.name)
        } else if connection.state.connection == ConnectionState::StandAlone {
            format!(" (possibly split brain, see: reactorctl doctor {})", resource.name)
        } else {
            String::new()
        };
        return (format!("{name}: {state}"), vec![format!("{name} is not connected: {state}{why}")]);
    }
    let (mut disks, mut degraded) = (Vec::new(), Vec::new());
    for (volume, peer) in &connection.peer_devices {
        if peer.state.peer_client == Some(true) {
            disks.push((volume.to_string(), "diskless on purpose".to_owned()));
            continue;
        }
        let disk = &peer.state.peer_disk;
        disks.push((volume.to_string(), disk.to_string()));
        if *disk != DiskState::UpToDate {
            degraded.push(format!("volume {volume} is {disk} on {name}{}", progress(peer).unwrap_or_default()));
        }
    }
    (format!("{name}: {}", one_or_each(&disks, "without volumes")), degraded)
}
