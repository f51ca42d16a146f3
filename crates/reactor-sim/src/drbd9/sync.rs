//! Resync: who is source and target, one source at a time, and what the others see of it.

use reactor_core::drbd::types::{DiskState, ReplicationState};

use super::Cluster;
use super::data::Relation;
use super::node::Flag;
use super::queue::{Event, Message, Step};
use super::spec::{NodeIx, Placement, Range, ResIx};

impl Cluster {
    /// Whether some Primary is in the cluster that this node is not connected to: what it has may fall behind.
    pub(super) fn hidden_primary(&self, node: NodeIx, res: ResIx) -> bool {
        let Some(resource) = self.res(node, res) else { return false };
        let members = self.reach(node, res);
        self.primaries(&members, res).iter().any(|primary| {
            *primary != node && !resource.connections.get(primary).is_some_and(super::node::Connection::connected)
        })
    }

    /// Whether a resync could start now: see [`Cluster::maybe_resync`].
    pub(super) fn wants_resync(&self, node: NodeIx, res: ResIx) -> bool {
        let Some(resource) = self.res(node, res) else { return false };
        if resource.devices.iter().any(|device| device.disk == DiskState::Outdated) {
            let members = self.reach(node, res);
            let newest = |volume| self.is_newest_of_all(node, res, volume, &members);
            if self.primaries(&members, res).is_empty() && (0..resource.devices.len()).any(newest) {
                return true;
            }
        }
        if (0..resource.devices.len()).any(|volume| waits_for_nobody(resource, volume)) {
            return true;
        }
        !resource.hidden_primary
            && resource.devices.iter().enumerate().any(|(volume, device)| {
                let busy = resource.connections.values().any(|c| is_target(&c.peer_devices[volume].replication));
                bad(&device.disk)
                    && !busy
                    && resource.connected().any(|(_, c)| {
                        let there = &c.peer_devices[volume];
                        there.disk == DiskState::UpToDate && there.replication == ReplicationState::Established
                    })
            })
    }

    /// If every disk of a volume is here and none is good, the newest data is good: there is nothing better anywhere.
    /// (The model's own rule; DRBD leaves some of these cases to the admin.)
    fn adopt_newest(&mut self, node: NodeIx, res: ResIx) {
        let members = self.reach(node, res);
        if !self.primaries(&members, res).is_empty() {
            return;
        }
        if self.locked_by(&members, res).is_some() {
            let boot = self.nodes[node].boot;
            return self.after(Range::ms(200, 500), Event::LookAgain { node, boot, res, forced: false });
        }
        for volume in 0..self.spec.resources[res].volumes.len() {
            if self.is_newest_of_all(node, res, volume, &members) {
                if let Some(disk) = &mut self.nodes[node].disks[res][volume] {
                    disk.flag = Flag::Good;
                }
                self.alter(node, res, |r| r.devices[volume].disk = DiskState::UpToDate);
                self.tell_disks(node, res);
            }
        }
    }

    fn is_newest_of_all(
        &self,
        node: NodeIx,
        res: ResIx,
        volume: usize,
        members: &std::collections::BTreeSet<NodeIx>,
    ) -> bool {
        let Some(own) = self.nodes[node].disks[res][volume].filter(|disk| disk.flag == Flag::Outdated) else {
            return false;
        };
        self.res(node, res).is_some_and(|r| r.devices[volume].disk == DiskState::Outdated)
            && self.spec.resources[res].placement.iter().enumerate().all(|(other, place)| {
                if *place != Placement::Diskful || other == node {
                    return true;
                }
                let there = self.res(other, res).filter(|_| members.contains(&other) && self.reachable(node, other));
                let state = there.map(|r| &r.devices[volume].disk);
                let known = matches!(state, Some(DiskState::Outdated | DiskState::Inconsistent));
                known
                    && self.nodes[other].disks[res][volume].is_some_and(|disk| {
                        disk.flag == Flag::Inconsistent || self.lineage.contains(own.data, disk.data)
                    })
            })
    }

    /// Starts a resync of what is bad here from peers that are good, if nothing hinders it and none is under way.
    pub(super) fn maybe_resync(&mut self, node: NodeIx, res: ResIx) {
        self.adopt_newest(node, res);
        for volume in 0..self.spec.resources[res].volumes.len() {
            if self.res(node, res).is_some_and(|resource| waits_for_nobody(resource, volume)) {
                self.next_source(node, res, volume);
                self.changed(node, res);
            }
        }
        let Some(resource) = self.res(node, res) else { return };
        if resource.devices.iter().all(|device| !bad(&device.disk)) || self.hidden_primary(node, res) {
            return;
        }
        let mut pairs = Vec::new();
        for (volume, device) in resource.devices.iter().enumerate() {
            let busy = resource.connections.values().any(|c| is_target(&c.peer_devices[volume].replication));
            if !bad(&device.disk) || busy {
                continue;
            }
            for (peer, connection) in resource.connected() {
                let there = &connection.peer_devices[volume];
                if there.disk == DiskState::UpToDate && there.replication == ReplicationState::Established {
                    pairs.push((peer, volume));
                }
            }
        }
        let peers: std::collections::BTreeSet<NodeIx> = pairs.iter().map(|(peer, _)| *peer).collect();
        for peer in peers {
            let volumes = pairs.iter().filter(|(p, _)| *p == peer).map(|(_, volume)| *volume).collect::<Vec<_>>();
            self.start_sync(node, peer, res, &volumes, None);
        }
    }

    /// `target` begins to sync volumes from `source`: bitmaps are exchanged.
    pub(super) fn start_sync(
        &mut self,
        target: NodeIx,
        source: NodeIx,
        res: ResIx,
        volumes: &[usize],
        disk: Option<&DiskState>,
    ) {
        for (node, peer, state) in
            [(target, source, ReplicationState::WFBitMapT), (source, target, ReplicationState::WFBitMapS)]
        {
            let Some(connection) = self.res_mut(node, res).and_then(|resource| resource.connections.get_mut(&peer))
            else {
                return;
            };
            for volume in volumes {
                let device = &mut connection.peer_devices[*volume];
                device.replication = state.clone();
                if let (ReplicationState::WFBitMapS, Some(disk)) = (&state, disk) {
                    device.disk = disk.clone();
                }
            }
            self.changed(node, res);
        }
        self.exchange_bitmaps(target, source, res);
    }

    /// The exchange ends a little later, on both.
    pub(super) fn exchange_bitmaps(&mut self, a: NodeIx, b: NodeIx, res: ResIx) {
        for (node, peer) in [(a, b), (b, a)] {
            let Some(epoch) = self.epoch(node, res, peer) else { return };
            let boot = self.nodes[node].boot;
            self.after(self.spec.times.bitmap, Event::BitmapDone { node, boot, res, peer, epoch });
        }
    }

    pub(super) fn epoch(&self, node: NodeIx, res: ResIx, peer: NodeIx) -> Option<u64> {
        Some(self.res(node, res)?.connections.get(&peer)?.epoch)
    }

    /// The bitmaps are there: handlers are asked, volume after volume; the target starts after its own.
    pub(super) fn bitmap_done(&mut self, node: NodeIx, res: ResIx, peer: NodeIx, epoch: u64) {
        let Some(connection) = self.res(node, res).and_then(|resource| resource.connections.get(&peer)) else { return };
        if connection.epoch != epoch || !connection.connected() {
            return;
        }
        let mut steps = Vec::new();
        for (volume, device) in connection.peer_devices.iter().enumerate() {
            let helper = match device.replication {
                ReplicationState::WFBitMapT => "before-resync-target",
                ReplicationState::WFBitMapS => "before-resync-source",
                _ => continue,
            };
            steps.push(Step::Guard(peer, epoch));
            steps.push(Step::Call(Some(peer), Some(volume), helper));
            steps.push(Step::Response(Some(peer), Some(volume), helper, 0));
            if device.replication == ReplicationState::WFBitMapT {
                steps.push(Step::SyncStart(volume, peer, epoch));
            } else {
                steps.push(Step::Guard(peer, epoch));
                steps.push(Step::SourceStart(volume, peer));
            }
        }
        self.start_job(node, res, None, steps);
    }

    /// The target starts, or waits because it syncs from somebody else.
    pub(super) fn sync_start(&mut self, node: NodeIx, res: ResIx, volume: usize, source: NodeIx, epoch: u64) {
        if self.epoch(node, res, source) != Some(epoch) {
            return;
        }
        let Some(resource) = self.res_mut(node, res) else { return };
        let here = |resource: &super::node::Resource, peer: NodeIx| {
            resource.connections.get(&peer).map(|c| c.peer_devices[volume].replication.clone())
        };
        if here(resource, source) != Some(ReplicationState::WFBitMapT) {
            return;
        }
        let busy = resource
            .connections
            .iter()
            .find(|(_, c)| c.peer_devices[volume].replication == ReplicationState::SyncTarget)
            .map(|(peer, _)| *peer);
        if let Some(first) = busy {
            if self.changes_source(first, source, res, volume) {
                return self.change_source(node, res, volume, first, source);
            }
            self.peer_device(node, res, source, volume, |device| {
                device.replication = ReplicationState::PausedSyncT;
                device.rs_dependency = true;
            });
            self.send(node, source, res, Message::SyncStarted { volume, paused: true });
            return;
        }
        self.become_target(node, res, volume, source);
        self.changed(node, res);
    }

    /// Now and then a target goes over to the source that came later (recording r3), if that has all that the first has.
    fn changes_source(&mut self, first: NodeIx, later: NodeIx, res: ResIx, volume: usize) -> bool {
        let data = |holder: NodeIx| self.nodes[holder].disks[res][volume].map(|disk| disk.data);
        let (Some(old), Some(new)) = (data(first), data(later)) else { return false };
        self.lineage.contains(new, old) && self.rng.below(4) == 0
    }

    /// Both wait for a moment, then the later one is the source, and the first waits for it.
    fn change_source(&mut self, node: NodeIx, res: ResIx, volume: usize, first: NodeIx, later: NodeIx) {
        self.alter(node, res, |resource| {
            for peer in [first, later] {
                if let Some(connection) = resource.connections.get_mut(&peer) {
                    connection.peer_devices[volume].replication = ReplicationState::PausedSyncT;
                    connection.peer_devices[volume].rs_dependency = false;
                }
            }
        });
        self.become_target(node, res, volume, later);
        self.changed(node, res);
    }

    /// The sync itself begins; the caller prints.
    fn become_target(&mut self, node: NodeIx, res: ResIx, volume: usize, source: NodeIx) {
        let full = self.nodes[node].disks[res][volume].is_some_and(|disk| disk.blank);
        if let Some(disk) = &mut self.nodes[node].disks[res][volume] {
            disk.flag = Flag::Inconsistent;
        }
        self.note_overwritten(res, volume);
        let Some(resource) = self.res_mut(node, res) else { return };
        resource.devices[volume].disk = DiskState::Inconsistent;
        let mut epoch = 0;
        for (peer, connection) in &mut resource.connections {
            let device = &mut connection.peer_devices[volume];
            if *peer == source {
                device.replication = ReplicationState::SyncTarget;
                device.rs_dependency = false;
                epoch = connection.epoch;
            } else {
                device.rs_dependency = true;
            }
        }
        let range = if full { self.spec.times.full_sync } else { self.spec.times.partial_sync };
        let boot = self.nodes[node].boot;
        self.after(range, Event::SyncDone { node, boot, res, volume, source, epoch });
        for peer in self.connected_peers(node, res) {
            let body = if peer == source {
                Message::SyncStarted { volume, paused: false }
            } else {
                Message::SyncElsewhere { volume }
            };
            self.send(node, peer, res, body);
        }
    }

    /// The source of a running sync is lost: a waiting one takes over, if there is one. The caller prints.
    pub(super) fn next_source(&mut self, node: NodeIx, res: ResIx, volume: usize) {
        let Some(resource) = self.res_mut(node, res) else { return };
        for connection in resource.connections.values_mut() {
            connection.peer_devices[volume].rs_dependency = false;
        }
        let next = resource
            .connected()
            .find(|(_, c)| c.peer_devices[volume].replication == ReplicationState::PausedSyncT)
            .map(|(peer, _)| peer);
        match next {
            Some(source) => self.become_target(node, res, volume, source),
            None => {
                for peer in self.connected_peers(node, res) {
                    self.send(node, peer, res, Message::SyncFree { volume });
                }
            }
        }
    }

    /// A source that waited and has what the one that is done lacks: a Primary that this one does not see.
    fn better_source(&self, node: NodeIx, res: ResIx, volume: usize, done: NodeIx) -> Option<NodeIx> {
        let data = |holder: NodeIx| self.nodes[holder].disks[res][volume].map(|disk| disk.data);
        let copied = data(done)?;
        let mut waiting = self
            .res(node, res)?
            .connected()
            .filter(|(_, connection)| connection.peer_devices[volume].replication == ReplicationState::PausedSyncT);
        waiting
            .find(|(peer, _)| data(*peer).is_some_and(|theirs| !self.lineage.contains(copied, theirs)))
            .map(|(peer, _)| peer)
    }

    /// The target has everything. It is good, unless a Primary is about that it does not see.
    pub(super) fn sync_done(&mut self, node: NodeIx, res: ResIx, volume: usize, source: NodeIx, epoch: u64) {
        let alive = self.epoch(node, res, source) == Some(epoch);
        let running = self
            .res(node, res)
            .and_then(|resource| resource.connections.get(&source))
            .is_some_and(|c| c.peer_devices[volume].replication == ReplicationState::SyncTarget);
        if !alive || !running {
            return;
        }
        if !self.reachable(node, source) {
            // The last blocks are still on their way.
            let boot = self.nodes[node].boot;
            self.after(self.spec.times.bitmap, Event::SyncDone { node, boot, res, volume, source, epoch });
            return;
        }
        let Some(from) = self.nodes[source].disks[res][volume] else { return };
        let hidden = self.hidden_primary(node, res);
        let source_disk = self.res(source, res).map(|resource| resource.devices[volume].disk.clone());
        let (disk, flag) = match source_disk {
            _ if hidden => (DiskState::Inconsistent, Flag::Inconsistent),
            Some(DiskState::UpToDate) => (DiskState::UpToDate, Flag::Good),
            Some(DiskState::Consistent) => (DiskState::Consistent, Flag::Good),
            Some(DiskState::Outdated) => (DiskState::Outdated, Flag::Outdated),
            _ => (DiskState::Inconsistent, Flag::Inconsistent),
        };
        if let Some(own) = &mut self.nodes[node].disks[res][volume] {
            own.data = from.data;
            own.flag = flag;
            own.crashed_primary = false;
            own.blank = false;
        }
        self.note_copied(res, volume, from.data);
        if let Some(better) = self.better_source(node, res, volume, source) {
            self.peer_device(node, res, source, volume, |device| device.replication = ReplicationState::Established);
            self.send(node, source, res, Message::SyncEnded { volume, disk: DiskState::Inconsistent });
            self.become_target(node, res, volume, better);
            return self.changed(node, res);
        }
        let Some(resource) = self.res_mut(node, res) else { return };
        resource.devices[volume].disk = disk.clone();
        let mut waited = Vec::new();
        for (peer, connection) in &mut resource.connections {
            let device = &mut connection.peer_devices[volume];
            device.rs_dependency = false;
            if is_target(&device.replication) {
                device.replication = ReplicationState::Established;
            }
            if *peer != source && connection.connected() {
                waited.push(*peer);
            }
        }
        self.changed(node, res);
        self.send(node, source, res, Message::SyncEnded { volume, disk: disk.clone() });
        for peer in waited {
            self.send(node, peer, res, Message::SyncEnded { volume, disk: disk.clone() });
            self.send(node, peer, res, Message::SyncFree { volume });
        }
        let steps = vec![
            Step::Call(Some(source), Some(volume), "after-resync-target"),
            Step::Response(Some(source), Some(volume), "after-resync-target", 0),
        ];
        self.start_job(node, res, None, steps);
        if disk == DiskState::Consistent {
            let boot = self.nodes[node].boot;
            self.after(self.spec.times.settle, Event::Settle { node, boot, res, tries: 0 });
        }
    }

    /// The source starts; it waits if it has heard that the target is busy with another.
    pub(super) fn source_start(&mut self, node: NodeIx, res: ResIx, volume: usize, target: NodeIx) {
        self.peer_device(node, res, target, volume, |device| {
            if device.replication == ReplicationState::WFBitMapS {
                device.disk = DiskState::Inconsistent;
                device.replication =
                    if device.rs_peer { ReplicationState::PausedSyncS } else { ReplicationState::SyncSource };
            }
        });
    }

    pub(super) fn receive_sync_started(&mut self, node: NodeIx, res: ResIx, from: NodeIx, volume: usize, paused: bool) {
        self.peer_device(node, res, from, volume, |device| {
            device.disk = DiskState::Inconsistent;
            if paused {
                device.replication = ReplicationState::PausedSyncS;
                device.rs_peer = true;
            } else {
                device.replication = ReplicationState::SyncSource;
                device.rs_peer = false;
            }
        });
    }

    pub(super) fn receive_sync_ended(
        &mut self,
        node: NodeIx,
        res: ResIx,
        from: NodeIx,
        volume: usize,
        disk: DiskState,
    ) {
        if let Some(own) = &mut self.nodes[node].disks[res][volume] {
            own.crashed_primary = false;
        }
        let before = self.unfence_due(node, res, from);
        self.peer_device(node, res, from, volume, |device| {
            device.disk = disk;
            device.replication = ReplicationState::Established;
        });
        self.unfence(node, res, from, before);
        // The peer was synced from somebody who has more than this node: its turn now.
        let data = |holder: NodeIx| self.nodes[holder].disks[res][volume].filter(|disk| disk.flag == Flag::Good);
        if let (Some(own), Some(theirs)) = (data(node), data(from))
            && self.lineage.relation(own.data, theirs.data) == Relation::Earlier
            && !self.res(node, res).is_some_and(super::node::Resource::primary)
        {
            self.outdate(node, res);
            self.maybe_resync(node, res);
        }
    }

    /// The rejoin trap (drbd9.md): the handshake of a crashed primary dies on one survivor, which stays StandAlone.
    pub(super) fn trap(&mut self, node: NodeIx, res: ResIx, peer: NodeIx, epoch: u64) {
        let connected = self
            .res(node, res)
            .and_then(|resource| resource.connections.get(&peer))
            .is_some_and(|c| c.epoch == epoch && c.connected());
        if connected {
            self.break_off(node, res, peer, Vec::new());
        }
    }
}

/// A paused sync whose turn it is.
fn waits_for_nobody(resource: &super::node::Resource, volume: usize) -> bool {
    let any = |wanted: &[ReplicationState]| {
        resource.connections.values().any(|c| wanted.contains(&c.peer_devices[volume].replication))
    };
    any(&[ReplicationState::PausedSyncT]) && !any(&[ReplicationState::SyncTarget, ReplicationState::WFBitMapT])
}

/// A disk that a resync would help.
fn bad(disk: &DiskState) -> bool {
    matches!(disk, DiskState::Inconsistent | DiskState::Outdated)
}

pub(super) fn is_target(state: &ReplicationState) -> bool {
    matches!(state, ReplicationState::WFBitMapT | ReplicationState::SyncTarget | ReplicationState::PausedSyncT)
}
