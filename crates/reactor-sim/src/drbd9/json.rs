//! JSON answers: `drbdsetup status --json` and `drbdsetup show --show-defaults --json`, in drbd-utils' form.

use serde_json::{Value, json};

use super::Cluster;
use super::node::{Connection, Resource};
use super::spec::{NodeIx, OnLoss, Placement, ResIx};
use super::text::resync_suspended;

impl Cluster {
    /// `drbdsetup status --json [RES]`: what exists now, in creation order.
    pub fn status_json(&self, node: NodeIx, only: Option<&str>) -> String {
        let this = &self.nodes[node];
        let list: Vec<Value> = this
            .order
            .iter()
            .filter_map(|ix| this.resources.get(ix).map(|resource| (*ix, resource)))
            .filter(|(_, resource)| only.is_none_or(|name| name == resource.name))
            .map(|(ix, resource)| self.status_of(node, ix, resource))
            .collect();
        pretty(&Value::Array(list))
    }

    fn status_of(&self, node: NodeIx, ix: ResIx, resource: &Resource) -> Value {
        let spec = &self.spec.resources[ix];
        let client = spec.placement[node] == Placement::Diskless;
        let devices: Vec<Value> = resource
            .devices
            .iter()
            .zip(&spec.volumes)
            .filter(|(device, _)| device.created)
            .map(|(device, volume)| {
                json!({
                    "volume": volume.number, "minor": volume.minor, "disk-state": device.disk.as_str(), "client": client,
                    "open": device.opens > 0, "quorum": device.quorum, "size": volume.size_kib, "read": 0,
                    "written": device.written, "al-writes": 0, "bm-writes": 0, "upper-pending": 0, "lower-pending": 0,
                })
            })
            .collect();
        let connections: Vec<Value> = resource
            .connections
            .iter()
            .map(|(peer, connection)| self.status_of_connection(node, ix, *peer, connection))
            .collect();
        json!({
            "name": resource.name, "node-id": node, "role": resource.role.as_str(),
            "suspended": resource.suspended(), "suspended-user": resource.suspended_user, "suspended-no-data": false,
            "suspended-fencing": resource.suspended_fencing, "suspended-quorum": resource.suspended_quorum,
            "force-io-failures": resource.forced, "write-ordering": "flush",
            "devices": devices, "connections": connections,
        })
    }

    fn status_of_connection(&self, node: NodeIx, ix: ResIx, peer: NodeIx, connection: &Connection) -> Value {
        let volumes = &self.spec.resources[ix].volumes;
        let devices: Vec<Value> = connection
            .peer_devices
            .iter()
            .zip(volumes)
            .map(|(device, volume)| {
                json!({
                    "volume": volume.number, "replication-state": device.replication.as_str(),
                    "peer-disk-state": device.disk.as_str(), "peer-client": device.client,
                    "resync-suspended": resync_suspended(device), "received": 0, "sent": 0, "out-of-sync": 0,
                    "pending": 0, "unacked": 0, "has-sync-details": false, "has-online-verify-details": false,
                    "percent-in-sync": 100.0,
                })
            })
            .collect();
        json!({
            "peer-node-id": peer, "name": self.spec.nodes[peer], "connection-state": connection.state.as_str(),
            "congested": false, "peer-role": connection.role.as_str(), "tls": false, "ap-in-flight": 0,
            "rs-in-flight": 0,
            "paths": [{
                "this_host": self.address(ix, node), "remote_host": self.address(ix, peer),
                "established": connection.path.unwrap_or(false),
            }],
            "peer_devices": devices,
        })
    }

    fn address(&self, ix: ResIx, node: NodeIx) -> Value {
        let port = self.spec.resources[ix].port;
        json!({"address": format!("10.77.0.{}", node + 1), "port": port, "family": "ipv4"})
    }

    /// `drbdsetup show --show-defaults --json [RES]`: the options, defaults included.
    pub fn show_json(&self, node: NodeIx, only: Option<&str>) -> String {
        let this = &self.nodes[node];
        let list: Vec<Value> = this
            .order
            .iter()
            .filter_map(|ix| this.resources.get(ix).map(|resource| (*ix, resource)))
            .filter(|(_, resource)| only.is_none_or(|name| name == resource.name))
            .map(|(ix, resource)| self.show_of(node, ix, resource))
            .collect();
        pretty(&Value::Array(list))
    }

    fn show_of(&self, node: NodeIx, ix: ResIx, resource: &Resource) -> Value {
        let spec = &self.spec.resources[ix];
        let options = &spec.options;
        let diskful = spec.placement[node] == Placement::Diskful;
        let volumes: Vec<Value> = spec
            .volumes
            .iter()
            .map(|volume| {
                let backing = if diskful { volume.backing.as_str() } else { "none" };
                json!({
                    "volume_nr": volume.number, "device_minor": volume.minor, "backing-disk": backing,
                    "meta-disk": "internal", "disk": {"on-io-error": "detach"},
                })
            })
            .collect();
        let connections: Vec<Value> =
            resource.connections.iter().map(|(peer, there)| self.show_connection(node, ix, *peer, there)).collect();
        json!({
            "resource": resource.name,
            "options": {
                "on-no-data-accessible": loss(options.on_no_data), "auto-promote": options.auto_promote,
                "quorum": if options.quorum { "majority" } else { "off" },
                "on-no-quorum": loss(options.on_no_quorum), "quorum-minimum-redundancy": "off",
                "on-suspended-primary-outdated": if options.force_secondary { "force-secondary" } else { "disconnect" },
                "twopc-timeout": "300", "twopc-retry-timeout": "1", "auto-promote-timeout": "20",
            },
            "_this_host": {"node-id": node, "volumes": volumes},
            "connections": connections,
        })
    }

    fn show_connection(&self, node: NodeIx, ix: ResIx, peer: NodeIx, connection: &Connection) -> Value {
        let options = &self.spec.resources[ix].options;
        json!({
            "paths": [{"this_host": self.address(ix, node), "remote_host": self.address(ix, peer)}],
            "_cstate": connection.state.as_str(),
            "net": {
                "protocol": "C", "timeout": "60", "connect-int": "10",
                "ping-int": options.ping_int.as_secs().to_string(),
                "ping-timeout": (options.ping_timeout.as_millis() / 100).to_string(),
                "allow-two-primaries": false, "after-sb-0pri": "disconnect", "after-sb-1pri": "disconnect",
                "after-sb-2pri": "disconnect",
                "rr-conflict": if options.retry_connect { "retry-connect" } else { "disconnect" },
                "fencing": options.fencing.as_str(), "_name": self.spec.nodes[peer],
            },
            "volumes": [], "_peer_node_id": peer,
        })
    }
}

fn loss(what: OnLoss) -> &'static str {
    match what {
        OnLoss::IoError => "io-error",
        OnLoss::SuspendIo => "suspend-io",
    }
}

fn pretty(value: &Value) -> String {
    let mut text = format!("{value:#}");
    text.push('\n');
    text
}
