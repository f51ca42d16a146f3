//! Messages between nodes, and connections that end: by a ping that nobody answers, by the peer, on request.

use std::time::Duration;

use reactor_core::drbd::types::{ConnectionState, DiskState, ReplicationState, Role};

use super::Cluster;
use super::node::PeerDevice;
use super::queue::{Event, Message, Step};
use super::spec::{Fencing, NodeIx, Placement, Range, ResIx};

impl Cluster {
    /// Sends a message over an established connection. TCP delivers it in order, as soon as the network lets it.
    pub(super) fn send(&mut self, from: NodeIx, to: NodeIx, res: ResIx, body: Message) {
        let Some(there) = self.res(to, res).and_then(|resource| resource.connections.get(&from)) else { return };
        let epoch = there.epoch;
        let boot = self.nodes[to].boot;
        let mut when = self.now.after(self.draw(self.spec.times.message));
        let last = self.delivered.entry((from, to, res)).or_default();
        when = when.max(last.after(Duration::from_nanos(1)));
        *last = when;
        self.at(when, Event::Message { from, to, boot, res, epoch, body });
    }

    /// A message arrives, or waits for the network.
    pub(super) fn receive(&mut self, event: Event) {
        let Event::Message { from, to, res, epoch, ref body, .. } = event else { return };
        if !self.links[from][to] {
            self.held.push(event);
            return;
        }
        let Some(connection) = self.res(to, res).and_then(|resource| resource.connections.get(&from)) else { return };
        if connection.epoch != epoch || !connection.connected() {
            return;
        }
        match body.clone() {
            Message::Broken => self.lose(to, res, from, ConnectionState::NetworkFailure, false),
            Message::Closed { outdated } => self.lose(to, res, from, ConnectionState::TearDown, outdated),
            Message::Outdate => self.receive_outdate(to, res),
            Message::Role { role, disks } => self.receive_role(to, res, from, role, &disks),
            Message::Disk { volume, disk } => self.receive_disk(to, res, from, volume, disk),
            Message::Cleared { volume } => {
                if let Some(disk) = &mut self.nodes[to].disks[res][volume] {
                    disk.flag = super::node::Flag::Good;
                }
                if let Some(device) = self.res_mut(to, res).and_then(|resource| resource.devices.get_mut(volume))
                    && device.disk == DiskState::Inconsistent
                {
                    device.disk = DiskState::Consistent;
                }
                self.receive_settled(to, res, from, volume);
                self.unfence(to, res, from, false);
            }
            Message::Settled { volume } => self.receive_settled(to, res, from, volume),
            Message::SyncElsewhere { volume } => self.peer_device(to, res, from, volume, |device| {
                device.disk = DiskState::Inconsistent;
                device.rs_peer = true;
                if device.replication == ReplicationState::SyncSource {
                    device.replication = ReplicationState::PausedSyncS;
                }
            }),
            Message::AttachHangs { volume } => {
                let good = self.res(to, res).is_some_and(|r| r.devices[volume].disk == DiskState::UpToDate);
                self.peer_device(to, res, from, volume, |device| {
                    if good && device.disk == DiskState::Negotiating {
                        device.replication = ReplicationState::WFBitMapS;
                        device.disk = DiskState::Inconsistent;
                    }
                });
            }
            Message::SyncFree { volume } => self.peer_device(to, res, from, volume, |device| device.rs_peer = false),
            Message::SyncStarted { volume, paused } => self.receive_sync_started(to, res, from, volume, paused),
            Message::SyncEnded { volume, disk } => self.receive_sync_ended(to, res, from, volume, disk),
        }
    }

    /// Changes a peer device and prints what that changes.
    pub(super) fn peer_device(
        &mut self,
        node: NodeIx,
        res: ResIx,
        peer: NodeIx,
        volume: usize,
        change: impl FnOnce(&mut PeerDevice),
    ) {
        let device = self
            .res_mut(node, res)
            .and_then(|resource| resource.connections.get_mut(&peer))
            .and_then(|connection| connection.peer_devices.get_mut(volume));
        if let Some(device) = device {
            change(device);
        }
        self.changed(node, res);
    }

    fn receive_outdate(&mut self, node: NodeIx, res: ResIx) {
        let Some(resource) = self.res(node, res) else { return };
        let sees_primary = resource.primary() || resource.connected().any(|(_, c)| c.role == Role::Primary);
        if !sees_primary {
            self.outdate(node, res);
        }
    }

    fn receive_role(&mut self, node: NodeIx, res: ResIx, from: NodeIx, role: Role, disks: &[DiskState]) {
        if let Some(connection) = self.res_mut(node, res).and_then(|resource| resource.connections.get_mut(&from)) {
            connection.role = role;
            for (device, disk) in connection.peer_devices.iter_mut().zip(disks) {
                device.disk = disk.clone();
            }
        }
        self.changed(node, res);
        self.maybe_resync(node, res);
    }

    fn receive_disk(&mut self, node: NodeIx, res: ResIx, from: NodeIx, volume: usize, disk: DiskState) {
        let before = self.unfence_due(node, res, from);
        let mut orphan = false;
        let peer = self.res_mut(node, res).and_then(|resource| resource.connections.get_mut(&from));
        if let Some(device) = peer.and_then(|connection| connection.peer_devices.get_mut(volume)) {
            if matches!(disk, DiskState::Diskless | DiskState::Failed | DiskState::Detaching) {
                orphan = device.replication == ReplicationState::SyncTarget;
                device.replication = ReplicationState::Established;
            }
            device.disk = disk;
        }
        if orphan {
            self.next_source(node, res, volume);
        }
        self.changed(node, res);
        self.unfence(node, res, from, before);
        self.maybe_resync(node, res);
    }

    fn receive_settled(&mut self, node: NodeIx, res: ResIx, from: NodeIx, volume: usize) {
        let newest = self.newest_among(node, res, volume, &self.reach(node, res));
        let Some(resource) = self.res_mut(node, res) else { return };
        let sees_primary = !newest || resource.primary() || resource.connected().any(|(_, c)| c.role == Role::Primary);
        resource.unsettled = false;
        let device = &mut resource.devices[volume];
        let mut tell = None;
        if device.disk == DiskState::Consistent && !sees_primary {
            device.disk = DiskState::UpToDate;
            tell = Some(DiskState::UpToDate);
        }
        if let Some(connection) = resource.connections.get_mut(&from) {
            connection.peer_devices[volume].disk = DiskState::UpToDate;
        }
        self.changed(node, res);
        if let Some(disk) = tell {
            for peer in self.connected_peers(node, res) {
                self.send(node, peer, res, Message::Disk { volume, disk: disk.clone() });
            }
        }
        self.maybe_resync(node, res);
    }

    // ---- pings ----

    /// A ping had its time: is the other end there?
    pub(super) fn detect(&mut self, node: NodeIx, res: ResIx, peer: NodeIx, epoch: u64) {
        let Some(connection) = self.res(node, res).and_then(|resource| resource.connections.get(&peer)) else { return };
        if connection.epoch != epoch || !connection.connected() {
            return;
        }
        let mutual = self
            .res(peer, res)
            .and_then(|there| there.connections.get(&node))
            .is_some_and(super::node::Connection::connected);
        if !mutual || !self.reachable(node, peer) {
            self.lose(node, res, peer, ConnectionState::NetworkFailure, false);
        }
    }

    /// Somebody waits for an answer: the ping is sent now.
    pub(super) fn detect_soon(&mut self, node: NodeIx, res: ResIx, peer: NodeIx, epoch: u64) {
        let timeout = self.options(res).ping_timeout;
        let when = self.now.after(timeout).after(self.draw(self.spec.times.detect_jitter));
        let boot = self.nodes[node].boot;
        self.at(when, Event::Detect { node, boot, res, peer, epoch });
    }

    /// The way between two nodes does not work any more: each end finds out with its next ping.
    pub(super) fn broke(&mut self, a: NodeIx, b: NodeIx) {
        for (node, peer) in [(a, b), (b, a)] {
            for res in 0..self.spec.resources.len() {
                let Some(connection) = self.res(node, res).and_then(|resource| resource.connections.get(&peer)) else {
                    continue;
                };
                if !connection.connected() {
                    continue;
                }
                let epoch = connection.epoch;
                let options = self.options(res);
                let (interval, timeout) = (options.ping_int, options.ping_timeout);
                let interval = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX);
                let phase = self.draw(Range { least: 0, most: interval });
                let when = self.now.after(phase).after(timeout).after(self.draw(self.spec.times.detect_jitter));
                let boot = self.nodes[node].boot;
                self.at(when, Event::Detect { node, boot, res, peer, epoch });
            }
            self.hurry_writes(node);
        }
    }

    // ---- the end of a connection ----

    /// A connection ends on `node`: by itself (`NetworkFailure`) or because the peer said good-bye (`TearDown`).
    pub(super) fn lose(&mut self, node: NodeIx, res: ResIx, peer: NodeIx, state: ConnectionState, outdated: bool) {
        let failed = state == ConnectionState::NetworkFailure;
        let epoch = self.disconnected(node, res, peer, state, outdated, failed);
        if failed {
            self.send(node, peer, res, Message::Broken);
        }
        let mut steps = vec![
            Step::PathDown(peer),
            Step::Call(Some(peer), None, "disconnected"),
            Step::Response(Some(peer), None, "disconnected", 0),
            Step::Unconnected(peer, epoch),
            Step::Connecting(peer, epoch),
        ];
        steps.shrink_to_fit();
        self.start_job(node, res, None, steps);
        self.fence_after_loss(node, res, peer, failed);
    }

    /// The burst of the loss. Gives the connection's new epoch.
    pub(super) fn disconnected(
        &mut self,
        node: NodeIx,
        res: ResIx,
        peer: NodeIx,
        state: ConnectionState,
        outdated: bool,
        failed: bool,
    ) -> u64 {
        let Some(resource) = self.res_mut(node, res) else { return 0 };
        let Some(connection) = resource.connections.get_mut(&peer) else { return 0 };
        let was_primary = connection.role == Role::Primary;
        connection.state = state;
        connection.role = Role::Unknown;
        connection.epoch += 1;
        let epoch = connection.epoch;
        let mut orphans = Vec::new();
        for (volume, device) in connection.peer_devices.iter_mut().enumerate() {
            if device.replication == ReplicationState::SyncTarget {
                orphans.push(volume);
            }
            device.replication = ReplicationState::Off;
            if outdated {
                device.disk = DiskState::Outdated;
            } else if !matches!(device.disk, DiskState::Inconsistent | DiskState::Outdated) {
                device.disk = DiskState::DUnknown;
            }
            device.rs_peer = false;
        }
        let mut consistent = false;
        if was_primary && failed && !resource.primary() {
            for device in &mut resource.devices {
                if device.disk == DiskState::UpToDate {
                    device.disk = DiskState::Consistent;
                    consistent = true;
                }
            }
            resource.unsettled = true;
        }
        for volume in orphans {
            self.next_source(node, res, volume);
        }
        self.changed(node, res);
        if was_primary && failed {
            let boot = self.nodes[node].boot;
            self.after(Range { least: 100, most: 120_000 }, Event::Unsettle { node, boot, res });
        }
        if consistent {
            self.tell_disks(node, res);
        }
        epoch
    }

    /// In fencing mode a Primary that loses a peer with a disk calls the handler.
    fn fence_after_loss(&mut self, node: NodeIx, res: ResIx, peer: NodeIx, failed: bool) {
        let (fencing, exit) = (self.options(res).fencing, self.options(res).fence_peer);
        let primary = self.res(node, res).is_some_and(super::node::Resource::primary);
        let diskful = self.spec.resources[res].placement[peer] == Placement::Diskful;
        let (true, true, true, Some(exit)) = (failed, primary, diskful && fencing != Fencing::DontCare, exit) else {
            return;
        };
        if fencing == Fencing::ResourceAndStonith {
            if let Some(resource) = self.res_mut(node, res) {
                resource.suspended_fencing = true;
            }
            self.changed(node, res);
        }
        let steps = fence_steps(peer, exit);
        self.start_job(node, res, None, steps);
    }

    /// Whether `unfence-peer` would be due for a connection: fencing mode, and both disks of every volume are good.
    pub(super) fn unfence_due(&self, node: NodeIx, res: ResIx, peer: NodeIx) -> bool {
        let Some(resource) = self.res(node, res) else { return false };
        let Some(connection) = resource.connections.get(&peer) else { return false };
        self.options(res).fencing != Fencing::DontCare
            && self.options(res).fence_peer.is_some()
            && connection.connected()
            && connection.peer_devices.iter().all(|device| device.disk == DiskState::UpToDate)
            && resource.devices.iter().all(|device| device.disk == DiskState::UpToDate)
    }

    pub(super) fn unfence(&mut self, node: NodeIx, res: ResIx, peer: NodeIx, before: bool) {
        if !before && self.unfence_due(node, res, peer) {
            let steps =
                vec![Step::Call(Some(peer), None, "unfence-peer"), Step::Response(Some(peer), None, "unfence-peer", 0)];
            self.start_job(node, res, None, steps);
        }
    }
}

/// What calls the fence-peer handler and waits for it.
pub(super) fn fence_steps(peer: NodeIx, exit: u8) -> Vec<Step> {
    vec![
        Step::Call(Some(peer), None, "fence-peer"),
        Step::Response(Some(peer), None, "fence-peer", i32::from(exit) << 8),
        Step::Fenced(peer, exit),
    ]
}
