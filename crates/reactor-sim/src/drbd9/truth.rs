//! The truth about the cluster, for invariants: who can write what, what was acknowledged, what is lost.

use reactor_core::drbd::types::{ConnectionState, DiskState, ReplicationState, Role};

use super::data::{Lineage, Relation, Version};
use super::node::{Connection, Flag, Resource};
use super::spec::{ClusterSpec, NodeIx, Placement, ResIx};
use super::{Cluster, Damage, ResTruth};

/// Every line of data that was acknowledged to a service: the newest state of each.
#[derive(Debug)]
pub(super) struct Ledger {
    heads: Heads,
    /// What quorum protects: states that are on the disks of a majority. What a Primary writes while its only peer is being synced it alone has, and
    /// a disk that is being synced has nothing for that time; DRBD asks for more only with `quorum-minimum-redundancy`.
    safe: Heads,
}

/// By resource and volume.
type Heads = Vec<Vec<Vec<Version>>>;

impl Ledger {
    pub(super) fn new(spec: &ClusterSpec) -> Self {
        let heads = spec.resources.iter().map(|resource| resource.volumes.iter().map(|_| Vec::new()).collect());
        let heads: Heads = heads.collect();
        Self { safe: heads.clone(), heads }
    }

    fn add(heads: &mut Vec<Version>, lineage: &Lineage, version: Version) {
        heads.retain(|head| !lineage.contains(version, *head));
        heads.push(version);
    }
}

impl Cluster {
    /// A write was acknowledged.
    pub(super) fn note_acknowledged(&mut self, res: ResIx, volume: usize, version: Version) {
        Ledger::add(&mut self.acknowledged.heads[res][volume], &self.lineage, version);
        self.note_copied(res, volume, version);
    }

    /// A state has reached another disk.
    pub(super) fn note_copied(&mut self, res: ResIx, volume: usize, version: Version) {
        if self.is_safe(res, volume, version) {
            Ledger::add(&mut self.acknowledged.safe[res][volume], &self.lineage, version);
        }
    }

    /// A disk is being synced from now on: what a majority had, it may have no longer.
    pub(super) fn note_overwritten(&mut self, res: ResIx, volume: usize) {
        let heads = std::mem::take(&mut self.acknowledged.safe[res][volume]);
        for head in heads {
            let shared = self.good_disks(res, volume).map(|disk| self.lineage.fork(head, disk));
            let newest =
                shared.filter(|version| self.is_safe(res, volume, *version)).max_by_key(|version| version.writes);
            if let Some(newest) = newest {
                Ledger::add(&mut self.acknowledged.safe[res][volume], &self.lineage, newest);
            }
        }
    }

    fn is_safe(&self, res: ResIx, volume: usize, version: Version) -> bool {
        let placement = &self.spec.resources[res].placement;
        let holders = self.good_disks(res, volume).filter(|disk| self.lineage.contains(*disk, version)).count();
        holders * 2 > placement.iter().filter(|place| **place == Placement::Diskful).count()
    }

    fn good_disks(&self, res: ResIx, volume: usize) -> impl Iterator<Item = Version> + '_ {
        let disks = self.nodes.iter().filter_map(move |node| node.disks[res][volume]);
        disks.filter(|disk| disk.flag != Flag::Inconsistent).map(|disk| disk.data)
    }
}

/// See [`Cluster::data_marks`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataMarks {
    disks: Vec<Vec<Version>>,
    safe: Vec<Vec<Version>>,
}

impl Cluster {
    /// Whether DRBD of a node has a resource.
    pub fn has(&self, node: NodeIx, resource: ResIx) -> bool {
        self.nodes[node].alive && self.res(node, resource).is_some()
    }

    /// The truth about a resource on a node.
    pub fn truth(&self, node: NodeIx, resource: ResIx) -> ResTruth {
        let alive = self.nodes[node].alive;
        let volumes = self.spec.resources[resource].volumes.len();
        let there = self.res(node, resource).filter(|_| alive);
        let served: Vec<Option<Version>> =
            (0..volumes).map(|volume| self.served(node, resource, volume).filter(|_| alive)).collect();
        let answering = there.is_some_and(|r| r.connected().all(|(peer, _)| self.answers(node, peer, resource)));
        let can_write = there.is_some_and(|r| {
            r.primary() && !r.suspended() && !r.forced && r.devices.iter().all(|device| device.quorum)
        }) && answering
            && !self.nodes[node].frozen
            && served.iter().all(Option::is_some);
        let could_promote = there.is_some()
            && answering
            && !self.nodes[node].frozen
            && self.promotion_refused(node, resource, false).is_none();
        let newest = |volume: usize| {
            let heads = &self.acknowledged.heads[resource][volume];
            served[volume].is_some_and(|data| heads.iter().all(|head| self.lineage.contains(data, *head)))
        };
        ResTruth {
            alive,
            primary: there.is_some_and(Resource::primary),
            can_write,
            could_promote,
            has_newest_data: (0..volumes).all(newest),
            writes: served.iter().map(|data| data.map_or(0, |data| data.writes)).collect(),
        }
    }

    /// Everything that [`Cluster::damage`] looks at: the same marks, the same damage.
    pub fn data_marks(&self, resource: ResIx) -> DataMarks {
        let volumes = 0..self.spec.resources[resource].volumes.len();
        let disks = volumes.map(|volume| self.good_disks(resource, volume).collect()).collect();
        DataMarks { disks, safe: self.acknowledged.safe[resource].clone() }
    }

    /// What is wrong with the data of a resource, if anything: disks of which neither is an earlier state of the other,
    /// and acknowledged writes that no disk has any more though a majority had them.
    pub fn damage(&self, resource: ResIx) -> Damage {
        let mut damage = Damage { diverged: false, torn: false, lost_writes: 0 };
        for volume in 0..self.spec.resources[resource].volumes.len() {
            let disks: Vec<Version> = self.good_disks(resource, volume).collect();
            let safe = &self.acknowledged.safe[resource][volume];
            for (number, one) in disks.iter().enumerate() {
                for other in &disks[..number] {
                    if self.lineage.relation(*one, *other) == Relation::Diverged {
                        let fork = self.lineage.fork(*one, *other).writes;
                        let kept =
                            |disk: &Version| safe.iter().any(|head| self.lineage.fork(*head, *disk).writes > fork);
                        damage.diverged = true;
                        damage.torn |= kept(one) && kept(other);
                    }
                }
            }
            for head in self.acknowledged.safe[resource][volume].iter().filter(|head| !disks.contains(head)) {
                let kept = disks.iter().map(|disk| self.lineage.fork(*head, *disk).writes).max().unwrap_or(0);
                damage.lost_writes = damage.lost_writes.max(head.writes.saturating_sub(kept));
            }
        }
        damage
    }

    /// Everything up, connected and good, without a word printed.
    pub(super) fn settle_at_once(&mut self) {
        for res in 0..self.spec.resources.len() {
            for node in 0..self.nodes.len() {
                if self.spec.resources[res].placement[node] != Placement::Absent {
                    self.settle_node(node, res);
                }
            }
        }
        for node in 0..self.nodes.len() {
            for res in 0..self.spec.resources.len() {
                // Quorum and the lines as if they had been printed.
                self.changed(node, res);
            }
            self.nodes[node].output.clear();
        }
    }

    fn settle_node(&mut self, node: NodeIx, res: ResIx) {
        let spec = &self.spec.resources[res];
        let diskful = spec.placement[node] == Placement::Diskful;
        let volumes = spec.volumes.len();
        let mut resource = Resource::new(&spec.name, volumes);
        for device in &mut resource.devices {
            device.created = true;
            device.disk = if diskful { DiskState::UpToDate } else { DiskState::Diskless };
        }
        for peer in self.configured_peers(node, res) {
            let client = self.spec.resources[res].placement[peer] == Placement::Diskless;
            let mut connection = Connection::new(volumes);
            connection.state = ConnectionState::Connected;
            connection.role = Role::Secondary;
            connection.path = Some(true);
            for device in &mut connection.peer_devices {
                device.replication = ReplicationState::Established;
                device.disk = if client { DiskState::Diskless } else { DiskState::UpToDate };
                device.client = client;
            }
            resource.connections.insert(peer, connection);
        }
        for disk in self.nodes[node].disks[res].iter_mut().flatten() {
            disk.flag = Flag::Good;
            disk.blank = false;
        }
        self.nodes[node].resources.insert(res, resource);
        self.nodes[node].order.push(res);
    }
}
