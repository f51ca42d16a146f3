//! What is known of a DRBD resource: by the daemon, or by drbdsetup where no daemon answers.

use std::collections::BTreeMap;
use std::time::Duration;

use reactor_api::client::ClientError;
use reactor_api::objects::WireResource;
use reactor_api::{Status, verbs};
use reactor_core::settings::DaemonSettings;
use serde_json::Value;

use crate::cli::Place;
use crate::daemon;
use crate::exit::Failure;
use crate::program;
use crate::style::make_harmless;

/// How long drbdsetup may take.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// One resource, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Resource {
    pub(crate) role: String,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) peers: Vec<Peer>,
}

/// A volume of this node.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Volume {
    pub(crate) number: u64,
    pub(crate) has_quorum: Option<bool>,
}

/// Another node.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) connection: String,
    pub(crate) role: String,
    /// The state of its disk by volume.
    pub(crate) disks: BTreeMap<u64, String>,
}

/// Where a resource is Primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PrimaryOn {
    ThisNode,
    Node(String),
    Unknown,
}

impl Resource {
    pub(crate) fn primary_on(&self) -> PrimaryOn {
        if self.role == "Primary" {
            return PrimaryOn::ThisNode;
        }
        let peer = self.peers.iter().find(|peer| peer.role == "Primary");
        peer.map_or(PrimaryOn::Unknown, |peer| PrimaryOn::Node(peer.name.clone()))
    }
}

impl From<&WireResource> for Resource {
    fn from(wire: &WireResource) -> Self {
        let volumes = wire
            .devices
            .iter()
            .map(|device| Volume { number: device.volume.into(), has_quorum: device.fields.quorum })
            .collect();
        let peers = wire.connections.iter().map(|connection| Peer {
            name: connection.display_name(),
            connection: connection.fields.connection_state.clone(),
            role: connection.fields.peer_role.clone(),
            disks: connection
                .peer_devices
                .iter()
                .map(|device| (device.volume.into(), device.fields.peer_disk_state.clone()))
                .collect(),
        });
        Self { role: wire.fields.role.clone(), volumes, peers: peers.collect() }
    }
}

/// All that can be known, from the daemon or without it.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) resources: BTreeMap<String, Resource>,
    /// Of a daemon that runs.
    pub(crate) status: Option<Status>,
}

impl Known {
    /// Asks the daemon, and drbdsetup if none runs. One that runs and does not answer is an error: what it does meanwhile nobody knows.
    pub(crate) fn ask(place: &Place, settings: &DaemonSettings) -> Result<Self, Failure> {
        match daemon::status(place, &verbs::Status::default()) {
            Ok(status) => {
                let resources = status.resources.iter().map(|wire| (wire.name.clone(), Resource::from(wire))).collect();
                Ok(Self { resources, status: Some(status) })
            }
            Err(Failure::Client(ClientError::NotRunning { .. })) => {
                Ok(Self { resources: ask(settings)?, status: None })
            }
            Err(failure) => Err(failure),
        }
    }

    /// Whether a daemon promotes the resource.
    pub(crate) fn is_promoted(&self, resource: &str) -> bool {
        self.status.iter().flat_map(|status| &status.promoted).any(|promoted| promoted.resource == resource)
    }
}

/// Asks drbdsetup about all resources.
pub(crate) fn ask(daemon: &DaemonSettings) -> Result<BTreeMap<String, Resource>, Failure> {
    let program = daemon.drbdsetup.display().to_string();
    let failed = |why: String| Failure::Program { what: format!("{program} status"), why };
    let output = program::output(&daemon.drbdsetup, &["status", "--json"], Some(READ_LIMIT))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let mut value: Value = serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))?;
    make_harmless(&mut value);
    Ok(list(&value, "").into_iter().map(|resource| (word(resource, "name"), read(resource))).collect())
}

fn read(value: &Value) -> Resource {
    let volume = |device: &Value| Volume {
        number: device.get("volume").and_then(Value::as_u64).unwrap_or_default(),
        has_quorum: device.get("quorum").and_then(Value::as_bool),
    };
    let disk = |device: &Value| {
        (device.get("volume").and_then(Value::as_u64).unwrap_or_default(), word(device, "peer-disk-state"))
    };
    let peer = |connection: &Value| Peer {
        name: word(connection, "name"),
        connection: word(connection, "connection-state"),
        role: word(connection, "peer-role"),
        disks: list(connection, "peer_devices").into_iter().map(disk).collect(),
    };
    Resource {
        role: word(value, "role"),
        volumes: list(value, "devices").into_iter().map(volume).collect(),
        peers: list(value, "connections").into_iter().map(peer).collect(),
    }
}

fn word(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The list at `key`, or `value` itself without a key; nothing if it is no list.
fn list<'v>(value: &'v Value, key: &str) -> Vec<&'v Value> {
    let value = if key.is_empty() { Some(value) } else { value.get(key) };
    value.and_then(Value::as_array).into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use reactor_core::api::drbdsetup_status;

    use super::*;
    use crate::testing::{BAD, GOOD, core_of, status_of};

    #[test]
    fn the_daemon_and_drbdsetup_say_the_same() {
        for events2 in [GOOD, BAD] {
            let core = core_of(events2);
            let printed = serde_json::to_value(drbdsetup_status::of_node(core.node())).unwrap();
            for (wire, printed) in status_of(events2).resources.iter().zip(printed.as_array().unwrap()) {
                assert_eq!(printed["name"], *wire.name);
                assert_eq!(read(printed), Resource::from(wire));
            }
        }
    }

    #[test]
    fn who_is_primary() {
        let resources = status_of(BAD).resources;
        assert_eq!(Resource::from(&resources[0]).primary_on(), PrimaryOn::ThisNode);
        assert_eq!(Resource::from(&resources[1]).primary_on(), PrimaryOn::Node("n2".to_owned()));
        assert_eq!(Resource::default().primary_on(), PrimaryOn::Unknown);
    }
}
