//! Jobs: what a kernel and the commands do step by step - up, down, attach, detach, connect, disconnect.

use reactor_core::drbd::types::{ConnectionState, DiskState, ReplicationState};

use super::Cluster;
use super::data::Relation;
use super::node::{Connection, Flag, Resource};
use super::queue::{Event, Job, Message, Step};
use super::spec::{NodeIx, Placement, Range, ResIx};

const TINY: Range = Range { least: 100, most: 900 };

impl Cluster {
    /// Runs the next step of a job and plans the one after it.
    pub(super) fn run_job(&mut self, mut job: Job) {
        let Some(step) = job.steps.pop_front() else { return };
        let creates = matches!(step, Step::CreateResource | Step::Done | Step::Again(_));
        if !creates && !self.nodes[job.node].resources.contains_key(&job.res) {
            // The resource is gone; a command that was about it ends.
            return self.end_command(job.node, job.ticket, 0, "");
        }
        self.run_step(&mut job, step);
        if let Some(next) = job.steps.front() {
            let delay = self.pause_before(next);
            self.after(delay, Event::Job(job));
        }
    }

    fn pause_before(&self, step: &Step) -> Range {
        let times = &self.spec.times;
        match step {
            Step::Response(..) => times.helper,
            Step::Attached(_) => Range::ms(5, 15),
            Step::Negotiated(_) => Range::ms(20, 80),
            Step::Gone(_) => Range::ms(10, 30),
            Step::Call(Some(_), Some(_), _)
            | Step::Connecting(..)
            | Step::Detached(_)
            | Step::SyncStart(..)
            | Step::SourceStart(..)
            | Step::Done => TINY,
            Step::Again(_) | Step::Fenced(..) => Range::ms(1, 5),
            _ => times.step,
        }
    }

    fn run_step(&mut self, job: &mut Job, step: Step) {
        let (node, res) = (job.node, job.res);
        match step {
            Step::CreateResource => self.create_resource(node, res),
            Step::CreateDevice(volume) => self.alter(node, res, |r| r.devices[volume].created = true),
            Step::CreateConnection(peer) => self.alter(node, res, |r| {
                let volumes = r.devices.len();
                r.connections.entry(peer).or_insert_with(|| Connection::new(volumes));
            }),
            Step::CreatePath(peer) => self.on_connection(node, res, peer, |c| c.path = Some(false)),
            Step::Attaching(volume) => self.alter(node, res, |r| r.devices[volume].disk = DiskState::Attaching),
            Step::Attached(volume) => self.attached(job, volume),
            Step::Negotiated(volume) => self.negotiated(node, res, volume),
            Step::Connect(peer) => self.begin_connect(job, peer),
            Step::Connecting(peer, epoch) => self.connecting(node, res, peer, epoch),
            Step::Disconnect(peer) => self.disconnect_now(node, res, peer),
            Step::BreakOff(peer) => {
                self.disconnected(node, res, peer, ConnectionState::Disconnecting, false, false);
            }
            Step::PathDown(peer) => self.on_connection(node, res, peer, |c| c.path = c.path.map(|_| false)),
            Step::Call(peer, volume, helper) => self.emit_helper(node, res, peer, volume, helper, None),
            Step::Response(peer, volume, helper, status) => {
                self.emit_helper(node, res, peer, volume, helper, Some(status));
            }
            Step::Unconnected(peer, epoch) => self.unconnected(node, res, peer, epoch),
            Step::StandAlone(peer) => self.on_connection(node, res, peer, |c| {
                if c.state == ConnectionState::Disconnecting {
                    c.state = ConnectionState::StandAlone;
                }
            }),
            Step::DestroyConnection(peer) => self.destroy_connection(node, res, peer),
            Step::Detaching(volume) => {
                self.left_behind(node, res, volume);
                self.alter(node, res, |r| r.devices[volume].disk = DiskState::Detaching);
                self.tell_disks(node, res);
            }
            Step::Failed(volume) => {
                self.left_behind(node, res, volume);
                self.alter(node, res, |r| r.devices[volume].disk = DiskState::Failed);
                self.tell_disks(node, res);
            }
            Step::Detached(volume) | Step::Gone(volume) => self.detached(node, res, volume),
            Step::DestroyDevice(volume) => self.destroy_device(node, res, volume),
            Step::DestroyResource => {
                self.emit_destroy(node, res, "resource", "");
                self.nodes[node].resources.remove(&res);
                self.nodes[node].order.retain(|ix| *ix != res);
                self.drop_opens(node, res);
            }
            Step::Fenced(peer, exit) => self.fenced(node, res, peer, exit),
            Step::Guard(peer, epoch) => {
                if self.epoch(node, res, peer) != Some(epoch) {
                    job.steps.clear();
                }
            }
            Step::SourceStart(volume, target) => self.source_start(node, res, volume, target),
            Step::SyncStart(volume, source, epoch) => self.sync_start(node, res, volume, source, epoch),
            Step::Again(command) => {
                if let Some(ticket) = job.ticket {
                    self.run_command(node, ticket, command, 1);
                }
            }
            Step::Done => self.end_command(node, job.ticket, 0, ""),
        }
    }

    /// Changes a resource and prints what that changes.
    pub(super) fn alter(&mut self, node: NodeIx, res: ResIx, change: impl FnOnce(&mut Resource)) {
        if let Some(resource) = self.res_mut(node, res) {
            change(resource);
        }
        self.changed(node, res);
    }

    fn on_connection(&mut self, node: NodeIx, res: ResIx, peer: NodeIx, change: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.res_mut(node, res).and_then(|resource| resource.connections.get_mut(&peer)) {
            change(connection);
        }
        self.changed(node, res);
    }

    fn create_resource(&mut self, node: NodeIx, res: ResIx) {
        if self.nodes[node].resources.contains_key(&res) {
            return;
        }
        let spec = &self.spec.resources[res];
        let resource = Resource::new(&spec.name, spec.volumes.len());
        self.nodes[node].resources.insert(res, resource);
        self.nodes[node].order.push(res);
        self.changed(node, res);
    }

    // ---- what up and adjust do ----

    /// Peers that the configuration names for a node.
    pub(super) fn configured_peers(&self, node: NodeIx, res: ResIx) -> Vec<NodeIx> {
        let placement = &self.spec.resources[res].placement;
        (0..placement.len()).filter(|peer| *peer != node && placement[*peer] != Placement::Absent).collect()
    }

    /// What is missing of a resource on a node, in `drbdadm`'s order.
    pub(super) fn steps_to_configuration(&self, node: NodeIx, res: ResIx) -> Vec<Step> {
        let volumes = self.spec.resources[res].volumes.len();
        let peers = self.configured_peers(node, res);
        let there = self.res(node, res);
        let mut steps = Vec::new();
        if there.is_none() {
            steps.push(Step::CreateResource);
        }
        let device = |volume: usize| there.is_some_and(|r| r.devices[volume].created);
        steps.extend((0..volumes).filter(|volume| !device(*volume)).map(Step::CreateDevice));
        let missing = |peer: &&NodeIx| !there.is_some_and(|r| r.connections.contains_key(*peer));
        steps.extend(peers.iter().filter(missing).map(|peer| Step::CreateConnection(*peer)));
        steps.extend(peers.iter().filter(missing).map(|peer| Step::CreatePath(*peer)));
        for volume in 0..volumes {
            let idle = there.is_none_or(|r| r.devices[volume].disk == DiskState::Diskless);
            let usable = self.nodes[node].disks[res][volume].is_some_and(|disk| !disk.failing);
            if idle && usable {
                steps.extend([Step::Attaching(volume), Step::Attached(volume)]);
            }
        }
        for peer in &peers {
            let alone = there
                .and_then(|r| r.connections.get(peer))
                .is_none_or(|c| matches!(c.state, ConnectionState::StandAlone | ConnectionState::Disconnecting));
            if alone {
                steps.push(Step::Connect(*peer));
            }
        }
        steps
    }

    fn attached(&mut self, job: &mut Job, volume: usize) {
        let (node, res) = (job.node, job.res);
        let disk = self.nodes[node].disks[res][volume];
        let asks = !self.connected_peers(node, res).is_empty();
        let good_elsewhere = self
            .res(node, res)
            .is_some_and(|r| r.connected().any(|(_, c)| c.peer_devices[volume].disk == DiskState::UpToDate));
        let too_old = !good_elsewhere
            && self.res(node, res).is_some_and(Resource::primary)
            && !self.holds_exposed(node, node, res, volume);
        let state = match disk {
            // "Can only attach to data with current UUID"
            Some(_) if too_old => DiskState::Diskless,
            Some(disk) if disk.failing => DiskState::Diskless,
            None => DiskState::Diskless,
            Some(_) if asks => DiskState::Negotiating,
            Some(disk) => match disk.flag {
                Flag::Inconsistent => DiskState::Inconsistent,
                Flag::Outdated => DiskState::Outdated,
                Flag::Good => DiskState::UpToDate,
            },
        };
        let hangs = state == DiskState::Negotiating && disk.is_some_and(|disk| disk.attach_hangs);
        if state == DiskState::Negotiating && !hangs {
            job.steps.push_front(Step::Negotiated(volume));
        }
        self.alter(node, res, |r| r.devices[volume].disk = state);
        if asks {
            self.tell_disks(node, res);
        }
        if hangs {
            self.attach_hangs(job, volume);
        }
    }

    /// The attach does not come out of its handshake, nor does the command that asked for it. Peers with better data have begun a sync.
    fn attach_hangs(&mut self, job: &mut Job, volume: usize) {
        let (node, res) = (job.node, job.res);
        let Some(own) = self.nodes[node].disks[res][volume] else { return };
        for peer in self.connected_peers(node, res) {
            let theirs = self.nodes[peer].disks[res][volume];
            let good = self
                .res(node, res)
                .and_then(|r| r.connections.get(&peer))
                .is_some_and(|connection| connection.peer_devices[volume].disk == DiskState::UpToDate);
            let behind = theirs.is_some_and(|theirs| {
                own.flag == Flag::Inconsistent || self.lineage.relation(own.data, theirs.data) != Relation::Equal
            });
            if good && behind {
                self.send(node, peer, res, Message::AttachHangs { volume });
            }
        }
        let steps = std::mem::take(&mut job.steps);
        self.hung.push((volume, Job { steps, ..job.clone() }));
    }

    /// A hung attach gets on, and so does the command.
    pub(super) fn attach_gets_on(&mut self, node: NodeIx, res: ResIx, volume: usize) {
        let mut left = Vec::new();
        for (of, mut job) in std::mem::take(&mut self.hung) {
            if (job.node, job.res, of) == (node, res, volume) {
                job.steps.push_front(Step::Negotiated(volume));
                let at = self.now;
                self.at(at, Event::Job(job));
            } else {
                left.push((of, job));
            }
        }
        self.hung = left;
    }

    /// The peers have said what they have: the disk is good, or it is synced from those that are.
    fn negotiated(&mut self, node: NodeIx, res: ResIx, volume: usize) {
        let Some(own) = self.nodes[node].disks[res][volume] else { return };
        let Some(resource) = self.res(node, res) else { return };
        if resource.devices[volume].disk != DiskState::Negotiating {
            return;
        }
        let mut good = Vec::new();
        let mut behind = own.flag == Flag::Inconsistent;
        for (peer, connection) in resource.connected() {
            let Some(theirs) = self.nodes[peer].disks[res][volume] else { continue };
            if connection.peer_devices[volume].disk == DiskState::UpToDate {
                good.push(peer);
                behind |= self.lineage.relation(own.data, theirs.data) != Relation::Equal;
            }
        }
        let state = if behind && good.is_empty() {
            if own.flag == Flag::Inconsistent { DiskState::Inconsistent } else { DiskState::Outdated }
        } else if behind {
            DiskState::Inconsistent
        } else if good.is_empty() && own.flag == Flag::Outdated {
            DiskState::Outdated
        } else {
            DiskState::UpToDate
        };
        if let Some(disk) = &mut self.nodes[node].disks[res][volume] {
            disk.flag = match state {
                DiskState::UpToDate => Flag::Good,
                DiskState::Outdated => Flag::Outdated,
                _ => Flag::Inconsistent,
            };
        }
        if let Some(resource) = self.res_mut(node, res) {
            resource.devices[volume].disk = state.clone();
        }
        for peer in self.connected_peers(node, res) {
            // It had begun a sync while the attach hung, and is no source any more.
            if !good.contains(&peer) || state != DiskState::Inconsistent {
                self.peer_device(peer, res, node, volume, |device| {
                    if device.replication == ReplicationState::WFBitMapS {
                        device.replication = ReplicationState::Established;
                    }
                });
            }
        }
        if state == DiskState::Inconsistent && !good.is_empty() {
            for source in good {
                self.start_sync(node, source, res, &[volume], Some(&DiskState::Inconsistent));
            }
        }
        self.changed(node, res);
        self.tell_disks(node, res);
    }

    fn begin_connect(&mut self, job: &mut Job, peer: NodeIx) {
        let (node, res) = (job.node, job.res);
        let Some(connection) = self.res(node, res).and_then(|resource| resource.connections.get(&peer)) else { return };
        if connection.state != ConnectionState::StandAlone {
            return;
        }
        let epoch = connection.epoch;
        self.on_connection(node, res, peer, |c| c.state = ConnectionState::Unconnected);
        job.steps.push_front(Step::Connecting(peer, epoch));
    }

    fn unconnected(&mut self, node: NodeIx, res: ResIx, peer: NodeIx, epoch: u64) {
        self.on_connection(node, res, peer, |c| {
            if c.epoch == epoch && matches!(c.state, ConnectionState::NetworkFailure | ConnectionState::TearDown) {
                c.state = ConnectionState::Unconnected;
            }
        });
    }

    /// From now on the node looks for its peer; survivors of a lost primary look at their data.
    fn connecting(&mut self, node: NodeIx, res: ResIx, peer: NodeIx, epoch: u64) {
        self.on_connection(node, res, peer, |c| {
            if c.epoch == epoch && c.state == ConnectionState::Unconnected {
                c.state = ConnectionState::Connecting;
            }
        });
        let (a, b) = (node.min(peer), node.max(peer));
        self.after(self.spec.times.connect, Event::TryConnect { res, a, b });
        let consistent = self
            .res(node, res)
            .is_some_and(|resource| resource.devices.iter().any(|device| device.disk == DiskState::Consistent));
        if consistent {
            let boot = self.nodes[node].boot;
            self.after(self.spec.times.settle, Event::Settle { node, boot, res, tries: 0 });
        }
    }

    // ---- what down and disconnect do ----

    pub(super) fn steps_to_disconnect(&self, node: NodeIx, res: ResIx, peer: NodeIx) -> Vec<Step> {
        let Some(connection) = self.res(node, res).and_then(|resource| resource.connections.get(&peer)) else {
            return Vec::new();
        };
        if connection.state == ConnectionState::StandAlone {
            return Vec::new();
        }
        vec![
            Step::Disconnect(peer),
            Step::PathDown(peer),
            Step::Call(Some(peer), None, "disconnected"),
            Step::Response(Some(peer), None, "disconnected", 0),
            Step::StandAlone(peer),
        ]
    }

    pub(super) fn steps_to_down(&self, node: NodeIx, res: ResIx) -> Vec<Step> {
        let Some(resource) = self.res(node, res) else { return Vec::new() };
        let mut steps = Vec::new();
        for peer in resource.connections.keys() {
            steps.extend(self.steps_to_disconnect(node, res, *peer));
            steps.push(Step::DestroyConnection(*peer));
        }
        for (volume, device) in resource.devices.iter().enumerate() {
            if device.disk != DiskState::Diskless {
                steps.extend([Step::Detaching(volume), Step::Detached(volume)]);
            }
            steps.push(Step::DestroyDevice(volume));
        }
        steps.push(Step::DestroyResource);
        steps
    }

    /// Says good-bye to a peer. Who leaves a cluster with a Primary is out of date from then on, and everybody knows.
    fn disconnect_now(&mut self, node: NodeIx, res: ResIx, peer: NodeIx) {
        let members = self.reach(node, res);
        let leaves_primary = self.primaries(&members, res).iter().any(|primary| *primary != node);
        let this = &mut self.nodes[node];
        let Some(resource) = this.resources.get_mut(&res) else { return };
        let connected = resource.connections.get(&peer).is_some_and(Connection::connected);
        let mut outdated = false;
        for (volume, device) in resource.devices.iter_mut().enumerate() {
            if leaves_primary && connected && device.disk == DiskState::UpToDate {
                device.disk = DiskState::Outdated;
                if let Some(disk) = &mut this.disks[res][volume] {
                    disk.flag = Flag::Outdated;
                }
            }
            outdated |= device.disk == DiskState::Outdated;
        }
        if connected {
            self.send(node, peer, res, Message::Closed { outdated });
        }
        self.disconnected(node, res, peer, ConnectionState::Disconnecting, false, false);
        if outdated {
            self.tell_disks(node, res);
        }
    }

    fn destroy_connection(&mut self, node: NodeIx, res: ResIx, peer: NodeIx) {
        let Some(resource) = self.res(node, res) else { return };
        let Some(connection) = resource.connections.get(&peer) else { return };
        let key = format!("peer-node-id:{peer} conn-name:{}", self.spec.nodes[peer]);
        if connection.path.is_some() {
            let path = self.path_key(node, res, peer);
            self.emit_destroy(node, res, "path", &path);
        }
        self.emit_destroy(node, res, "connection", &key);
        if let Some(resource) = self.res_mut(node, res) {
            resource.connections.remove(&peer);
        }
        self.changed(node, res);
    }

    /// A disk is given up while others have good data: what it holds falls behind from now on.
    fn left_behind(&mut self, node: NodeIx, res: ResIx, volume: usize) {
        let elsewhere = self
            .res(node, res)
            .is_some_and(|r| r.connected().any(|(_, c)| c.peer_devices[volume].disk == DiskState::UpToDate));
        if let Some(disk) = &mut self.nodes[node].disks[res][volume]
            && elsewhere
            && disk.flag == Flag::Good
        {
            disk.flag = Flag::Outdated;
        }
    }

    fn detached(&mut self, node: NodeIx, res: ResIx, volume: usize) {
        self.alter(node, res, |r| {
            r.devices[volume].disk = DiskState::Diskless;
            for connection in r.connections.values_mut() {
                let device = &mut connection.peer_devices[volume];
                if connection.state == ConnectionState::Connected {
                    device.replication = ReplicationState::Established;
                }
                device.rs_dependency = false;
            }
        });
        self.tell_disks(node, res);
    }

    fn destroy_device(&mut self, node: NodeIx, res: ResIx, volume: usize) {
        let number = self.spec.resources[res].volumes[volume].number;
        self.emit_destroy(node, res, "device", &format!("volume:{number}"));
        if let Some(resource) = self.res_mut(node, res) {
            resource.devices[volume].created = false;
            resource.devices[volume].shown = None;
            for connection in resource.connections.values_mut() {
                connection.peer_devices[volume].shown = None;
            }
        }
    }

    /// The fence-peer handler is done. 4, 5, 6, 7 mean that the peer is out of date, or dead.
    fn fenced(&mut self, node: NodeIx, res: ResIx, peer: NodeIx, exit: u8) {
        self.alter(node, res, |r| {
            if !matches!(exit, 4..=7) {
                return;
            }
            r.suspended_fencing = false;
            if let Some(connection) = r.connections.get_mut(&peer)
                && !connection.connected()
            {
                for device in &mut connection.peer_devices {
                    device.disk = DiskState::Outdated;
                }
            }
        });
    }
}
