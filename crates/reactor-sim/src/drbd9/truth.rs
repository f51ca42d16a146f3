//! The truth about the cluster, for invariants: who can write what, what was acknowledged, what is lost.

use reactor_core::drbd::types::{ConnectionState, DiskState, ReplicationState, Role};

use super::data::{Lineage, Relation, Version};
use super::node::{Connection, Flag, Resource};
use super::spec::{ClusterSpec, NodeIx, Placement, ResIx};
use super::{Cluster, Damage, ResTruth};

/// Every line of data that was acknowledged to a service: the newest state of each.
#[derive(Debug)]
pub(super) struct Ledger {
    heads: Vec<Vec<Vec<Version>>>,
}

impl Ledger {
    pub(super) fn new(spec: &ClusterSpec) -> Self {
        let heads = spec.resources.iter().map(|resource| resource.volumes.iter().map(|_| Vec::new()).collect());
        Self { heads: heads.collect() }
    }

    pub(super) fn add(&mut self, lineage: &Lineage, res: ResIx, volume: usize, version: Version) {
        let heads = &mut self.heads[res][volume];
        heads.retain(|head| !lineage.contains(version, *head));
        heads.push(version);
    }
}

impl Cluster {
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

    /// What is wrong with the data of a resource, if anything: disks of which neither is an earlier state of the other,
    /// and acknowledged writes that no disk has any more.
    pub fn damage(&self, resource: ResIx) -> Damage {
        let mut damage = Damage { diverged: false, lost_writes: 0 };
        for volume in 0..self.spec.resources[resource].volumes.len() {
            let disks: Vec<Version> = self
                .nodes
                .iter()
                .filter_map(|node| node.disks[resource][volume])
                .filter(|disk| disk.flag != Flag::Inconsistent)
                .map(|disk| disk.data)
                .collect();
            for (number, one) in disks.iter().enumerate() {
                damage.diverged |=
                    disks[..number].iter().any(|other| self.lineage.relation(*one, *other) == Relation::Diverged);
            }
            for head in self.acknowledged.heads[resource][volume].iter().filter(|head| !disks.contains(head)) {
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
