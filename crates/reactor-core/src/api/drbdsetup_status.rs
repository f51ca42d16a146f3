//! The form of `drbdsetup status --json --verbose --statistics`, and a comparison of two such snapshots.
//!
//! `reactorctl replay --final` prints the model in this form, so that the state at the end of a recording can be laid beside what
//! the kernel said at that moment. Keys and their order are drbdsetup's. Absent is what events2 does not tell: `node-id` of this
//! node, `tls` of a connection, and the details of a running resync beyond progress, time left and speed.

use serde::{Deserialize, Serialize};

use crate::drbd::types::{ReplicationState, Suspended as Reasons};
use crate::ids::PathAddress;
use crate::model::Node;
use crate::model::objects as model;

/// A resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the keys are drbdsetup's, and its manual page explains them")]
pub struct Resource {
    pub name: String,
    pub role: String,
    pub suspended: bool,
    pub suspended_user: bool,
    pub suspended_no_data: bool,
    pub suspended_fencing: bool,
    pub suspended_quorum: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_io_failures: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_ordering: Option<String>,
    pub devices: Vec<Device>,
    pub connections: Vec<Connection>,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the keys are drbdsetup's, and its manual page explains them")]
pub struct Device {
    pub volume: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor: Option<u32>,
    pub disk_state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub al_writes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bm_writes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper_pending: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower_pending: Option<u64>,
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the keys are drbdsetup's, and its manual page explains them")]
pub struct Connection {
    pub peer_node_id: u32,
    #[serde(default)]
    pub name: String,
    pub connection_state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub congested: Option<bool>,
    pub peer_role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ap_in_flight: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rs_in_flight: Option<u64>,
    /// Not printed by drbd-utils 9.22.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<Path>>,
    #[serde(rename = "peer_devices")]
    pub peer_devices: Vec<PeerDevice>,
}

/// A path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the keys are drbdsetup's, and its manual page explains them")]
pub struct Path {
    pub this_host: Host,
    pub remote_host: Host,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub established: Option<bool>,
}

/// One end of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the keys are drbdsetup's, and its manual page explains them")]
pub struct Host {
    pub address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    pub family: String,
}

/// A peer device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the keys are drbdsetup's, and its manual page explains them")]
pub struct PeerDevice {
    pub volume: u32,
    pub replication_state: String,
    pub peer_disk_state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_client: Option<bool>,
    pub resync_suspended: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_of_sync: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unacked: Option<u64>,
    #[serde(default)]
    pub has_sync_details: bool,
    #[serde(default)]
    pub has_online_verify_details: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent_in_sync: Option<f64>,
    #[serde(default, rename = "db1/dt1 [MiB/s]", skip_serializing_if = "Option::is_none")]
    pub speed_mib_s: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_seconds_to_finish: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent_resync_done: Option<f64>,
}

/// All resources of `node`, by name.
pub fn of_node(node: &Node) -> Vec<Resource> {
    node.resources().map(Resource::from).collect()
}

impl From<&model::Resource> for Resource {
    fn from(resource: &model::Resource) -> Self {
        let state = &resource.state;
        let suspended = |reason| state.suspended.contains(&reason);
        Self {
            name: resource.name.to_string(),
            role: state.role.to_string(),
            suspended: !state.suspended.is_empty(),
            suspended_user: suspended(Reasons::USER),
            suspended_no_data: suspended(Reasons::NO_DATA),
            suspended_fencing: suspended(Reasons::FENCING),
            suspended_quorum: suspended(Reasons::QUORUM),
            force_io_failures: state.force_io_failures,
            write_ordering: state.write_ordering.as_deref().map(str::to_owned),
            devices: resource.devices.iter().map(|(volume, device)| Device::of(volume.0, device)).collect(),
            connections: resource
                .connections
                .iter()
                .map(|(peer, connection)| Connection::of(peer.0, connection, resource))
                .collect(),
        }
    }
}

impl Device {
    fn of(volume: u32, device: &model::Device) -> Self {
        let (state, stats) = (&device.state, &device.stats);
        Self {
            volume,
            minor: state.minor.map(|minor| minor.0),
            disk_state: state.disk.to_string(),
            client: state.client,
            open: state.open,
            quorum: state.quorum,
            size: state.size_kib,
            read: stats.read_kib,
            written: stats.written_kib,
            al_writes: stats.al_writes,
            bm_writes: stats.bm_writes,
            upper_pending: stats.upper_pending,
            lower_pending: stats.lower_pending,
        }
    }
}

impl Connection {
    fn of(peer_node_id: u32, connection: &model::Connection, resource: &model::Resource) -> Self {
        let size_kib = |volume| resource.devices.get(volume).and_then(|device| device.state.size_kib);
        Self {
            peer_node_id,
            name: connection.state.conn_name.as_ref().map(ToString::to_string).unwrap_or_default(),
            connection_state: connection.state.connection.to_string(),
            congested: connection.state.congested,
            peer_role: connection.state.peer_role.to_string(),
            ap_in_flight: connection.stats.ap_in_flight_sectors,
            rs_in_flight: connection.stats.rs_in_flight_sectors,
            paths: Some(connection.paths.iter().map(|(id, path)| Path::of(id, path)).collect()),
            peer_devices: connection
                .peer_devices
                .iter()
                .map(|(volume, device)| PeerDevice::of(volume.0, device, size_kib(volume)))
                .collect(),
        }
    }
}

impl Path {
    fn of(id: &model::PathId, path: &model::Path) -> Self {
        Self {
            this_host: Host::from(&id.local),
            remote_host: Host::from(&id.peer),
            established: path.state.established,
        }
    }
}

impl From<&PathAddress> for Host {
    /// `ipv4:10.0.0.1:7000`, `ipv6:[fe80::1]:7000`. What looks otherwise is kept whole as the address.
    fn from(address: &PathAddress) -> Self {
        let text = address.as_str();
        let parts = text.split_once(':').and_then(|(family, rest)| {
            let (address, port) = rest.rsplit_once(':')?;
            Some((family, address, port.parse().ok()?))
        });
        match parts {
            Some((family, address, port)) => {
                let address = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(address);
                Self { address: address.to_owned(), port: Some(port), family: family.to_owned() }
            }
            None => Self { address: text.to_owned(), port: None, family: String::new() },
        }
    }
}

impl std::fmt::Display for Host {
    /// As events2 prints it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port {
            Some(port) if self.address.contains(':') => write!(f, "{}:[{}]:{port}", self.family, self.address),
            Some(port) => write!(f, "{}:{}:{port}", self.family, self.address),
            None => f.write_str(&self.address),
        }
    }
}

impl PeerDevice {
    fn of(volume: u32, device: &model::PeerDevice, size_kib: Option<u64>) -> Self {
        let (state, stats, progress) = (&device.state, &device.stats, device.progress.as_ref());
        let verify = matches!(state.replication, ReplicationState::VerifyS | ReplicationState::VerifyT);
        Self {
            volume,
            replication_state: state.replication.to_string(),
            peer_disk_state: state.peer_disk.to_string(),
            peer_client: state.peer_client,
            resync_suspended: state.resync_suspended.to_string(),
            received: stats.received_kib,
            sent: stats.sent_kib,
            out_of_sync: stats.out_of_sync_kib,
            pending: stats.pending,
            unacked: stats.unacked,
            has_sync_details: progress.is_some(),
            has_online_verify_details: progress.is_some() && verify,
            percent_in_sync: percent_in_sync(size_kib, stats.out_of_sync_kib),
            speed_mib_s: progress.and_then(|progress| progress.speed_mib_s),
            estimated_seconds_to_finish: progress.and_then(|progress| progress.eta_s),
            percent_resync_done: progress.and_then(|progress| progress.done_percent),
        }
    }
}

/// In percent, with two decimals as drbdsetup prints it.
fn percent_in_sync(size_kib: Option<u64>, out_of_sync_kib: Option<u64>) -> Option<f64> {
    let (size, out_of_sync) = (size_kib? as f64, out_of_sync_kib? as f64);
    let percent = if size > 0.0 { 100.0 * (1.0 - out_of_sync / size).max(0.0) } else { 100.0 };
    Some((percent * 100.0).round() / 100.0)
}

/// Where `ours` (from a recording) and `theirs` (what drbdsetup printed) differ in a state; empty if nowhere. One line each.
///
/// Objects are matched by what names them: resource name, volume, peer node id, both ends of a path. An object that only one
/// side has is a difference. Order does not matter: drbdsetup prints resources as they were created, the model has them by name.
///
/// Compared is every state: `role`, `suspended` and its reasons, `force-io-failures`, `write-ordering`; `minor`, `disk-state`,
/// `client`, `open`, `quorum`, `size`; `name`, `connection-state`, `peer-role`; `replication-state`, `peer-disk-state`,
/// `peer-client`, `resync-suspended`; `established`. What `theirs` does not print (drbd-utils 9.22: `open`, `paths`) is not
/// compared. Not compared are statistics (they go on between the last line of the recording and the status), `congested` (it
/// flickers with I/O, and changes of it alone print no line), and what events2 does not tell (`node-id`, `tls`). A change of
/// `write-ordering` alone prints no line either; only a recording with polls has it.
pub fn compare(ours: &[Resource], theirs: &[Resource]) -> Vec<String> {
    let mut diff = Diff::default();
    diff.pairs("resource", ours, theirs, |resource| resource.name.clone(), Diff::resource);
    diff.lines
}

#[derive(Default)]
struct Diff {
    /// The object that is being compared, for example `resource r0 device 0`.
    place: Vec<String>,
    lines: Vec<String>,
}

impl Diff {
    fn line(&mut self, text: &str) {
        self.lines.push(format!("{}: {text}", self.place.join(" ")));
    }

    /// Compares what has the same name on both sides, and reports what only one side has.
    fn pairs<T, K: Ord + std::fmt::Display>(
        &mut self,
        object: &str,
        ours: &[T],
        theirs: &[T],
        key: impl Fn(&T) -> K,
        compare: impl Fn(&mut Self, &T, &T),
    ) {
        for one in ours {
            self.place.push(format!("{object} {}", key(one)));
            match theirs.iter().find(|other| key(other) == key(one)) {
                Some(other) => compare(self, one, other),
                None => self.line("in the recording, not in the status"),
            }
            self.place.pop();
        }
        for other in theirs {
            if !ours.iter().any(|one| key(one) == key(other)) {
                self.place.push(format!("{object} {}", key(other)));
                self.line("in the status, not in the recording");
                self.place.pop();
            }
        }
    }

    fn same<T: PartialEq + std::fmt::Debug>(&mut self, key: &str, ours: &T, theirs: &T) {
        if ours != theirs {
            self.line(&format!("{key} {ours:?}, drbdsetup says {theirs:?}"));
        }
    }

    /// Only where drbdsetup printed the key.
    fn same_if_said<T: PartialEq + std::fmt::Debug>(&mut self, key: &str, ours: &Option<T>, theirs: &Option<T>) {
        if theirs.is_some() {
            self.same(key, ours, theirs);
        }
    }

    fn resource(&mut self, ours: &Resource, theirs: &Resource) {
        self.same("role", &ours.role, &theirs.role);
        self.same("suspended", &ours.suspended, &theirs.suspended);
        self.same("suspended-user", &ours.suspended_user, &theirs.suspended_user);
        self.same("suspended-no-data", &ours.suspended_no_data, &theirs.suspended_no_data);
        self.same("suspended-fencing", &ours.suspended_fencing, &theirs.suspended_fencing);
        self.same("suspended-quorum", &ours.suspended_quorum, &theirs.suspended_quorum);
        self.same_if_said("force-io-failures", &ours.force_io_failures, &theirs.force_io_failures);
        self.same_if_said("write-ordering", &ours.write_ordering, &theirs.write_ordering);
        self.pairs("device", &ours.devices, &theirs.devices, |device| device.volume, Self::device);
        let peer = |connection: &Connection| connection.peer_node_id;
        self.pairs("connection", &ours.connections, &theirs.connections, peer, Self::connection);
    }

    fn device(&mut self, ours: &Device, theirs: &Device) {
        self.same_if_said("minor", &ours.minor, &theirs.minor);
        self.same("disk-state", &ours.disk_state, &theirs.disk_state);
        self.same_if_said("client", &ours.client, &theirs.client);
        self.same_if_said("open", &ours.open, &theirs.open);
        self.same_if_said("quorum", &ours.quorum, &theirs.quorum);
        self.same_if_said("size", &ours.size, &theirs.size);
    }

    fn connection(&mut self, ours: &Connection, theirs: &Connection) {
        self.same("name", &ours.name, &theirs.name);
        self.same("connection-state", &ours.connection_state, &theirs.connection_state);
        self.same("peer-role", &ours.peer_role, &theirs.peer_role);
        self.pairs("peer-device", &ours.peer_devices, &theirs.peer_devices, |device| device.volume, Self::peer_device);
        if let (Some(ours), Some(theirs)) = (&ours.paths, &theirs.paths) {
            let ends = |path: &Path| format!("{} {}", path.this_host, path.remote_host);
            self.pairs("path", ours, theirs, ends, |diff, ours, theirs| {
                diff.same("established", &ours.established, &theirs.established);
            });
        }
    }

    fn peer_device(&mut self, ours: &PeerDevice, theirs: &PeerDevice) {
        self.same("replication-state", &ours.replication_state, &theirs.replication_state);
        self.same("peer-disk-state", &ours.peer_disk_state, &theirs.peer_disk_state);
        self.same_if_said("peer-client", &ours.peer_client, &theirs.peer_client);
        self.same("resync-suspended", &ours.resync_suspended, &theirs.resync_suspended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drbd::types::DiskState;
    use crate::ids::{ConnName, Minor, PeerNodeId, ResourceName, Volume};

    /// As drbdsetup 9.34 prints it, cut down.
    const STATUS: &str = r#"[{
        "name": "r0", "node-id": 0, "role": "Secondary", "suspended": true, "suspended-user": false,
        "suspended-no-data": false, "suspended-fencing": false, "suspended-quorum": true, "force-io-failures": false,
        "write-ordering": "flush",
        "devices": [{ "volume": 0, "minor": 10, "disk-state": "UpToDate", "client": false, "open": false, "quorum": true,
            "size": 65496, "read": 65496, "written": 512, "al-writes": 1, "bm-writes": 3, "upper-pending": 0,
            "lower-pending": 0 }],
        "connections": [{ "peer-node-id": 1, "name": "n2", "connection-state": "Connected", "congested": false,
            "peer-role": "Secondary", "tls": false, "ap-in-flight": 0, "rs-in-flight": 0,
            "paths": [{ "this_host": { "address": "10.77.0.1", "port": 7000, "family": "ipv4" },
                "remote_host": { "address": "10.77.0.2", "port": 7000, "family": "ipv4" }, "established": true }],
            "peer_devices": [{ "volume": 0, "replication-state": "Established", "peer-disk-state": "UpToDate",
                "peer-client": false, "resync-suspended": "no", "received": 0, "sent": 65752, "out-of-sync": 0,
                "pending": 0, "unacked": 0, "has-sync-details": false, "has-online-verify-details": false,
                "percent-in-sync": 100.00 }] }]
    }]"#;

    /// The same in the model.
    fn resource() -> model::Resource {
        let mut resource = model::Resource::new(ResourceName::new("r0"));
        resource.state.role = crate::drbd::types::Role::Secondary;
        resource.state.suspended = Reasons::QUORUM;
        resource.state.force_io_failures = Some(false);
        resource.state.write_ordering = Some("flush".into());
        let mut device = model::Device::default();
        device.state.minor = Some(Minor(10));
        device.state.disk = DiskState::UpToDate;
        device.state.client = Some(false);
        device.state.open = Some(false);
        device.state.quorum = Some(true);
        device.state.size_kib = Some(65496);
        resource.devices.insert(Volume(0), Box::new(device));
        let mut connection = model::Connection::default();
        connection.state.conn_name = Some(ConnName::new("n2"));
        connection.state.connection = crate::drbd::types::ConnectionState::Connected;
        connection.state.peer_role = crate::drbd::types::Role::Secondary;
        let mut peer_device = model::PeerDevice::default();
        peer_device.state.replication = ReplicationState::Established;
        peer_device.state.peer_disk = DiskState::UpToDate;
        peer_device.state.peer_client = Some(false);
        peer_device.stats.out_of_sync_kib = Some(655);
        connection.peer_devices.insert(Volume(0), Box::new(peer_device));
        let ends = model::PathId {
            local: PathAddress::new("ipv4:10.77.0.1:7000"),
            peer: PathAddress::new("ipv4:10.77.0.2:7000"),
        };
        let path = model::Path { state: model::PathState { established: Some(true) }, extra: None };
        connection.paths.insert(ends, path);
        resource.connections.insert(PeerNodeId(1), Box::new(connection));
        resource
    }

    fn theirs() -> Vec<Resource> {
        serde_json::from_str(STATUS).unwrap()
    }

    #[test]
    fn equal_states_are_equal_whatever_the_statistics_say() {
        let ours = vec![Resource::from(&resource())];
        assert_eq!(compare(&ours, &theirs()), [""; 0]);
        assert_eq!(ours[0].connections[0].peer_devices[0].percent_in_sync, Some(99.0));
    }

    #[test]
    fn each_difference_is_one_line_with_its_place() {
        let mut model = resource();
        model.state.suspended = Reasons::default();
        model.devices.get_mut(&Volume(0)).unwrap().state.quorum = Some(false);
        let connection = model.connections.get_mut(&PeerNodeId(1)).unwrap();
        connection.peer_devices.clear();
        connection.paths.first_entry().unwrap().get_mut().state.established = None;
        expect_test::expect![[r#"
            resource r0: suspended false, drbdsetup says true
            resource r0: suspended-quorum false, drbdsetup says true
            resource r0 device 0: quorum Some(false), drbdsetup says Some(true)
            resource r0 connection 1 peer-device 0: in the status, not in the recording
            resource r0 connection 1 path ipv4:10.77.0.1:7000 ipv4:10.77.0.2:7000: established None, drbdsetup says Some(true)"#]]
        .assert_eq(&compare(&[Resource::from(&model)], &theirs()).join("\n"));
        assert_eq!(compare(&[], &theirs()), ["resource r0: in the status, not in the recording"]);
    }

    #[test]
    fn keys_have_the_order_of_drbdsetup() {
        let json = serde_json::to_string(&theirs()).unwrap();
        let order: Vec<_> = [
            "\"name\"",
            "\"role\"",
            "\"suspended\"",
            "\"write-ordering\"",
            "\"devices\"",
            "\"volume\"",
            "\"open\"",
            "\"quorum\"",
            "\"connections\"",
            "\"peer-role\"",
            "\"paths\"",
            "\"this_host\"",
            "\"peer_devices\"",
            "\"has-sync-details\"",
            "\"percent-in-sync\"",
        ]
        .iter()
        .map(|key| json.find(key).unwrap())
        .collect();
        assert!(order.is_sorted(), "{json}");
        // What an older drbd-utils does not print is absent, not null.
        assert!(!json.contains("null"), "{json}");
    }

    #[test]
    fn addresses_of_both_families_and_of_none() {
        let host = |text| Host::from(&PathAddress::new(text));
        assert_eq!(host("ipv6:[fe80::1]:7000").address, "fe80::1");
        for text in ["ipv6:[fe80::1]:7000", "ipv4:10.0.0.1:7000", "strange"] {
            assert_eq!(host(text).to_string(), text);
        }
        assert_eq!(host("ipv6:[fe80::1]:7000").port, Some(7000));
        assert_eq!(host("strange"), Host { address: "strange".to_owned(), port: None, family: String::new() });
    }
}
