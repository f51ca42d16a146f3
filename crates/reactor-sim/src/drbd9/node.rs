//! State of a node: what its kernel knows of each resource, and what is on its disks.

use std::collections::BTreeMap;

use reactor_core::drbd::types::{ConnectionState, DiskState, ReplicationState, Role};
use reactor_core::ids::Mono;

use super::Burst;
use super::data::Version;
use super::queue::Event;
use super::spec::{NodeIx, ResIx};

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) alive: bool,
    pub(super) frozen: bool,
    /// Counts power cycles: what was under way before the last is void.
    pub(super) boot: u64,
    /// Resources that the kernel knows.
    pub(super) resources: BTreeMap<ResIx, Resource>,
    /// The same in creation order, as dumps list them.
    pub(super) order: Vec<ResIx>,
    /// Disks, by resource and volume index; `None` where the resource has none here.
    pub(super) disks: Vec<Vec<Option<Disk>>>,
    /// Printed and not yet taken.
    pub(super) output: Vec<Burst>,
    /// Stamp of the last burst, in microseconds.
    pub(super) stamp: u64,
    /// What waits for a frozen node to run on.
    pub(super) deferred: Vec<Event>,
}

/// What a disk says of its data, in its metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    Inconsistent,
    Outdated,
    Good,
}

/// A backing device with its metadata. It survives everything but its own replacement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disk {
    pub(super) failing: bool,
    /// An attach does not get beyond Negotiating.
    pub(super) attach_hangs: bool,
    pub(super) flag: Flag,
    pub(super) data: Version,
    /// It was never synced or written.
    pub(super) blank: bool,
    /// Its node was Primary when it lost power.
    pub(super) crashed_primary: bool,
}

/// A node is part of a two-phase commit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lock {
    pub(super) until: Mono,
    pub(super) owner: NodeIx,
    pub(super) promotes: bool,
}

/// A resource in a kernel.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) suspended_quorum: bool,
    pub(super) suspended_user: bool,
    pub(super) suspended_fencing: bool,
    pub(super) forced: bool,
    pub(super) devices: Vec<Device>,
    pub(super) connections: BTreeMap<NodeIx, Connection>,
    /// Just after a change that the cluster has not agreed on: `may_promote` stays no.
    pub(super) unsettled: bool,
    /// A Primary is in the cluster that this node is not connected to.
    pub(super) hidden_primary: bool,
    /// The rejoin trap has been set for one of its connections.
    pub(super) trapped: bool,
    /// A two-phase commit holds this node.
    pub(super) locked: Option<Lock>,
    /// The generation that this node has begun as Primary, per volume.
    pub(super) writing: Vec<Option<usize>>,
    /// What this node has shown to its services as Primary, per volume: nothing older may take its place.
    pub(super) exposed: Vec<Option<Version>>,
    pub(super) shown: Option<String>,
}

/// A device of a resource.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) created: bool,
    pub(super) disk: DiskState,
    pub(super) opens: u32,
    pub(super) quorum: bool,
    pub(super) written: u64,
    pub(super) shown: Option<String>,
}

/// A connection to a peer.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) state: ConnectionState,
    pub(super) role: Role,
    pub(super) path: Option<bool>,
    pub(super) path_shown: Option<bool>,
    /// Counts establishments and losses: what was under way before is void.
    pub(super) epoch: u64,
    pub(super) discard: bool,
    pub(super) peer_devices: Vec<PeerDevice>,
    pub(super) shown: Option<String>,
}

/// A volume as seen through a connection.
#[derive(Clone, Debug)]
pub(super) struct PeerDevice {
    pub(super) replication: ReplicationState,
    pub(super) disk: DiskState,
    pub(super) client: bool,
    pub(super) rs_user: bool,
    pub(super) rs_peer: bool,
    pub(super) rs_dependency: bool,
    pub(super) shown: Option<String>,
}

impl PeerDevice {
    fn new() -> Self {
        Self {
            replication: ReplicationState::Off,
            disk: DiskState::DUnknown,
            client: false,
            rs_user: false,
            rs_peer: false,
            rs_dependency: false,
            shown: None,
        }
    }
}

impl Resource {
    pub(super) fn new(name: &str, volumes: usize) -> Self {
        let device =
            || Device { created: false, disk: DiskState::Diskless, opens: 0, quorum: false, written: 0, shown: None };
        Self {
            name: name.to_owned(),
            role: Role::Secondary,
            suspended_quorum: false,
            suspended_user: false,
            suspended_fencing: false,
            forced: false,
            devices: (0..volumes).map(|_| device()).collect(),
            connections: BTreeMap::new(),
            unsettled: false,
            hidden_primary: false,
            trapped: false,
            locked: None,
            writing: vec![None; volumes],
            exposed: vec![None; volumes],
            shown: None,
        }
    }

    pub(super) fn suspended(&self) -> bool {
        self.suspended_quorum || self.suspended_user || self.suspended_fencing
    }

    pub(super) fn primary(&self) -> bool {
        self.role == Role::Primary
    }

    /// Peers that are Connected.
    pub(super) fn connected(&self) -> impl Iterator<Item = (NodeIx, &Connection)> {
        self.connections.iter().filter(|(_, c)| c.state == ConnectionState::Connected).map(|(peer, c)| (*peer, c))
    }

    pub(super) fn opens(&self) -> u32 {
        self.devices.iter().map(|device| device.opens).sum()
    }

    /// The promotion score, as drbd-utils prints it: 10000 if every local disk has data that could become good, 100 for
    /// each volume that is up to date here, and the number of up-to-date copies of the volume that has the fewest.
    pub(super) fn score(&self) -> u32 {
        if self.devices.is_empty() || self.forced {
            return 0;
        }
        let mut attached = 10_000;
        let mut local = 0;
        let mut fewest = u32::MAX;
        for (volume, device) in self.devices.iter().enumerate() {
            if !device.created || !device.quorum {
                return 0;
            }
            let here = u32::from(device.disk == DiskState::UpToDate);
            let copies = here
                + u32::try_from(
                    self.connected().filter(|(_, c)| c.peer_devices[volume].disk == DiskState::UpToDate).count(),
                )
                .unwrap_or(u32::MAX);
            if copies == 0 {
                return 0;
            }
            if !matches!(device.disk, DiskState::Inconsistent | DiskState::Consistent | DiskState::UpToDate) {
                attached = 0;
            }
            local += here * 100;
            fewest = fewest.min(copies);
        }
        attached + local + fewest
    }

    /// `may_promote`: there is a score, and nobody is Primary.
    pub(super) fn may_promote(&self) -> bool {
        self.score() > 0
            && !self.primary()
            && !self.forced
            && !self.unsettled
            && !self.hidden_primary
            && self.connections.values().all(|connection| connection.role != Role::Primary)
    }
}

impl Connection {
    pub(super) fn new(volumes: usize) -> Self {
        Self {
            state: ConnectionState::StandAlone,
            role: Role::Unknown,
            path: None,
            path_shown: None,
            epoch: 0,
            discard: false,
            peer_devices: (0..volumes).map(|_| PeerDevice::new()).collect(),
            shown: None,
        }
    }

    pub(super) fn connected(&self) -> bool {
        self.state == ConnectionState::Connected
    }
}
