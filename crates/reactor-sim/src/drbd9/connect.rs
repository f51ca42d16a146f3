//! Two nodes find each other: the path, the comparison of their data, and what comes of it.

use std::collections::BTreeSet;

use reactor_core::drbd::types::{ConnectionState, DiskState, ReplicationState, Role};

use super::Cluster;
use super::data::Relation;
use super::node::Flag;
use super::queue::{Event, Message, Step};
use super::spec::{NodeIx, Placement, Range, ResIx};
use super::sync::is_target;

/// What two nodes decide about a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// Nothing to sync.
    Nothing,
    /// This node gets what it lacks from the other.
    Target(NodeIx),
    /// The other is a Primary without good data of its own, and this node has less than that has shown to its services.
    Old(NodeIx),
    /// Both were written independently.
    SplitBrain,
}

/// Why two nodes do not connect.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refusal {
    TwoPrimaries,
    PrimaryAsTarget,
    SplitBrain(usize),
}

impl Cluster {
    /// If both ends are Connecting and can reach each other, the path is established.
    pub(super) fn try_connect(&mut self, res: ResIx, a: NodeIx, b: NodeIx) {
        let ready = |node: NodeIx, peer: NodeIx| {
            self.res(node, res)
                .and_then(|resource| resource.connections.get(&peer))
                .is_some_and(|c| c.state == ConnectionState::Connecting && c.path == Some(false))
        };
        if !ready(a, b) || !ready(b, a) || !self.reachable(a, b) {
            return;
        }
        for (node, peer) in [(a, b), (b, a)] {
            self.set_path(node, res, peer, true);
        }
        let epochs = (self.epoch(a, res, b).unwrap_or(0), self.epoch(b, res, a).unwrap_or(0));
        self.after(self.spec.times.handshake, Event::Handshake { res, a, b, epochs, tries: 0 });
    }

    pub(super) fn set_path(&mut self, node: NodeIx, res: ResIx, peer: NodeIx, established: bool) {
        if let Some(connection) = self.res_mut(node, res).and_then(|resource| resource.connections.get_mut(&peer)) {
            connection.path = connection.path.map(|_| established);
        }
        self.changed(node, res);
    }

    /// A handshake that came to nothing: both go on looking for each other.
    fn give_up(&mut self, res: ResIx, a: NodeIx, b: NodeIx) {
        for (node, peer) in [(a, b), (b, a)] {
            let waits = self
                .res(node, res)
                .and_then(|resource| resource.connections.get(&peer))
                .is_some_and(|c| c.state == ConnectionState::Connecting && c.path == Some(true));
            if waits && self.nodes[node].alive {
                self.set_path(node, res, peer, false);
            }
        }
        self.after(self.spec.times.connect, Event::TryConnect { res, a, b });
    }

    /// The ends compare what they have, and connect or refuse each other.
    pub(super) fn handshake(&mut self, res: ResIx, a: NodeIx, b: NodeIx, epochs: (u64, u64), tries: u32) {
        let ready = |node: NodeIx, peer: NodeIx, epoch: u64| {
            self.res(node, res)
                .and_then(|resource| resource.connections.get(&peer))
                .is_some_and(|c| c.state == ConnectionState::Connecting && c.path == Some(true) && c.epoch == epoch)
        };
        if !ready(a, b, epochs.0) || !ready(b, a, epochs.1) || !self.reachable(a, b) || tries > 200 {
            return self.give_up(res, a, b);
        }
        let members: BTreeSet<NodeIx> = self.reach(a, res).union(&self.reach(b, res)).copied().collect();
        let busy = |node: NodeIx| {
            self.res(node, res).is_some_and(|resource| {
                resource.devices.iter().any(|d| matches!(d.disk, DiskState::Attaching | DiskState::Negotiating))
            })
        };
        let catching_up = self.catches_up(a, b, res) || self.catches_up(b, a, res);
        if busy(a) || busy(b) || catching_up || self.probe(&members, res) || self.locked_by(&members, res).is_some() {
            let again = Event::Handshake { res, a, b, epochs, tries: tries + 1 };
            return self.after(Range::ms(30, 90), again);
        }
        let plans = self.plans(res, a, b);
        match self.why_not(res, a, b, &members, &plans) {
            Some(refusal) => self.refuse_peer(res, a, b, &refusal),
            None => self.connected(res, a, b, &plans),
        }
    }

    /// Whether `node` is being synced to something that `peer` lacks: who of them has the better data shows when that is done.
    fn catches_up(&self, node: NodeIx, peer: NodeIx, res: ResIx) -> bool {
        let Some(resource) = self.res(node, res) else { return false };
        let data = |holder: NodeIx, volume: usize| self.nodes[holder].disks[res][volume].map(|disk| disk.data);
        resource.connected().any(|(source, connection)| {
            connection.peer_devices.iter().enumerate().any(|(volume, device)| {
                let (Some(new), Some(there)) = (data(source, volume), data(peer, volume)) else { return false };
                is_target(&device.replication) && !self.lineage.contains(there, new)
            })
        })
    }

    fn plans(&self, res: ResIx, a: NodeIx, b: NodeIx) -> Vec<Plan> {
        (0..self.spec.resources[res].volumes.len()).map(|volume| self.plan(res, a, b, volume)).collect()
    }

    fn plan(&self, res: ResIx, a: NodeIx, b: NodeIx, volume: usize) -> Plan {
        for (primary, peer) in [(a, b), (b, a)] {
            if self.too_old(primary, peer, res, volume) {
                return Plan::Old(peer);
            }
        }
        let side = |node: NodeIx| {
            let disk = &self.res(node, res)?.devices[volume].disk;
            let attached = *disk >= DiskState::Inconsistent && *disk != DiskState::DUnknown;
            if attached { self.nodes[node].disks[res][volume] } else { None }
        };
        let (Some(one), Some(other)) = (side(a), side(b)) else { return Plan::Nothing };
        match (one.flag == Flag::Inconsistent, other.flag == Flag::Inconsistent) {
            (true, true) => return Plan::Nothing,
            (true, false) => return Plan::Target(a),
            (false, true) => return Plan::Target(b),
            (false, false) => {}
        }
        let discards = |node: NodeIx, peer: NodeIx| {
            self.res(node, res).and_then(|resource| resource.connections.get(&peer)).is_some_and(|c| c.discard)
        };
        let successor = || {
            let members = self.reach(a, res).union(&self.reach(b, res)).copied().collect();
            !self.primaries(&members, res).is_empty()
        };
        match self.lineage.relation(one.data, other.data) {
            // What a crashed primary wrote last may be on its disk only: it is synced back, or, if nobody has taken over,
            // the others get it.
            Relation::Equal if one.crashed_primary != other.crashed_primary => {
                Plan::Target(if one.crashed_primary == successor() { a } else { b })
            }
            Relation::Equal => Plan::Nothing,
            Relation::Earlier => Plan::Target(a),
            Relation::Later => Plan::Target(b),
            Relation::Diverged if discards(a, b) => Plan::Target(a),
            Relation::Diverged if discards(b, a) => Plan::Target(b),
            Relation::Diverged => Plan::SplitBrain,
        }
    }

    fn why_not(&self, res: ResIx, a: NodeIx, b: NodeIx, members: &BTreeSet<NodeIx>, plans: &[Plan]) -> Option<Refusal> {
        if let Some(volume) = plans.iter().position(|plan| *plan == Plan::SplitBrain) {
            return Some(Refusal::SplitBrain(volume));
        }
        if self.primaries(members, res).len() > 1 {
            return Some(Refusal::TwoPrimaries);
        }
        for node in [a, b] {
            let Some(resource) = self.res(node, res) else { continue };
            let target = plans.iter().enumerate().any(|(volume, plan)| {
                *plan == Plan::Target(node) && resource.devices[volume].disk != DiskState::Inconsistent
            });
            if resource.primary() && target {
                return Some(Refusal::PrimaryAsTarget);
            }
        }
        None
    }

    /// Whether `peer` has less than the Primary `primary` has shown to its services, and that has no good data itself.
    fn too_old(&self, primary: NodeIx, peer: NodeIx, res: ResIx, volume: usize) -> bool {
        let (Some(resource), Some(there)) = (self.res(primary, res), self.res(peer, res)) else { return false };
        let usable =
            matches!(there.devices[volume].disk, DiskState::UpToDate | DiskState::Consistent | DiskState::Outdated);
        resource.primary()
            && resource.devices[volume].disk != DiskState::UpToDate
            && usable
            && !self.holds_exposed(primary, peer, res, volume)
    }

    /// Whether the disk of `holder` has all that `primary` has shown to its services.
    pub(super) fn holds_exposed(&self, primary: NodeIx, holder: NodeIx, res: ResIx, volume: usize) -> bool {
        let Some(exposed) = self.res(primary, res).and_then(|resource| resource.exposed[volume]) else { return true };
        self.nodes[holder].disks[res][volume].is_some_and(|disk| self.lineage.contains(disk.data, exposed))
    }

    /// They refuse each other: StandAlone on both, or another try with `rr-conflict retry-connect`.
    fn refuse_peer(&mut self, res: ResIx, a: NodeIx, b: NodeIx, refusal: &Refusal) {
        for (node, peer) in [(a, b), (b, a)] {
            let mut helpers = Vec::new();
            if let Refusal::SplitBrain(volume) = refusal {
                for helper in ["initial-split-brain", "split-brain"] {
                    helpers.push(Step::Call(Some(peer), Some(*volume), helper));
                    helpers.push(Step::Response(Some(peer), Some(*volume), helper, 0));
                }
            } else {
                self.force_secondary(node, res);
            }
            let retries = self.options(res).retry_connect && !matches!(refusal, Refusal::SplitBrain(_));
            if retries {
                self.lose(node, res, peer, ConnectionState::TearDown, false);
                continue;
            }
            self.break_off(node, res, peer, helpers);
        }
    }

    /// `on-suspended-primary-outdated force-secondary`: a Primary that is suspended without quorum meets a successor.
    fn force_secondary(&mut self, node: NodeIx, res: ResIx) {
        let wanted = self.options(res).force_secondary;
        let this = &mut self.nodes[node];
        let Some(resource) = this.resources.get_mut(&res) else { return };
        if !wanted || !resource.primary() || !resource.suspended_quorum {
            return;
        }
        resource.role = Role::Secondary;
        resource.forced = resource.opens() > 0;
        for (volume, device) in resource.devices.iter_mut().enumerate() {
            if device.disk == DiskState::UpToDate {
                device.disk = DiskState::Outdated;
                if let Some(disk) = &mut this.disks[res][volume] {
                    disk.flag = Flag::Outdated;
                }
            }
        }
        self.fail_writes(node, res);
        self.tell_role(node, res);
    }

    /// Ends a connection for good: helpers are asked, then Disconnecting, then StandAlone.
    pub(super) fn break_off(&mut self, node: NodeIx, res: ResIx, peer: NodeIx, helpers: Vec<Step>) {
        self.send(node, peer, res, Message::Broken);
        let mut steps = helpers;
        steps.extend([
            Step::BreakOff(peer),
            Step::PathDown(peer),
            Step::Call(Some(peer), None, "disconnected"),
            Step::Response(Some(peer), None, "disconnected", 0),
            Step::StandAlone(peer),
        ]);
        self.start_job(node, res, None, steps);
    }

    /// Both ends are Connected, each in one burst.
    fn connected(&mut self, res: ResIx, a: NodeIx, b: NodeIx, plans: &[Plan]) {
        let disks = |node: NodeIx| -> Vec<DiskState> {
            self.res(node, res)
                .map(|resource| resource.devices.iter().map(|device| device.disk.clone()).collect())
                .unwrap_or_default()
        };
        let (disks_a, disks_b) = (disks(a), disks(b));
        let roles = [self.role(a, res), self.role(b, res)];
        for (node, peer, theirs, role) in [(a, b, &disks_b, &roles[1]), (b, a, &disks_a, &roles[0])] {
            let client = self.spec.resources[res].placement[peer] == Placement::Diskless;
            let busy: Vec<bool> = (0..plans.len()).map(|volume| self.syncs(peer, res, volume)).collect();
            let Some(connection) = self.res_mut(node, res).and_then(|r| r.connections.get_mut(&peer)) else { return };
            connection.state = ConnectionState::Connected;
            connection.role = role.clone();
            connection.discard = false;
            for (volume, device) in connection.peer_devices.iter_mut().enumerate() {
                device.client = client;
                // Who is being synced says so: another source has to wait.
                device.rs_peer = busy[volume] && plans[volume] == Plan::Target(peer);
                (device.replication, device.disk) = match plans[volume] {
                    Plan::Target(target) if target == peer => {
                        let good = theirs[volume] == DiskState::UpToDate;
                        let seen = if good { DiskState::Consistent } else { theirs[volume].clone() };
                        (ReplicationState::WFBitMapS, seen)
                    }
                    Plan::Old(old) if old == peer => (ReplicationState::Established, DiskState::Outdated),
                    Plan::Target(_) => (ReplicationState::WFBitMapT, theirs[volume].clone()),
                    _ => (ReplicationState::Established, theirs[volume].clone()),
                };
            }
        }
        let hidden = [self.hidden_primary(a, res), self.hidden_primary(b, res)];
        let told = [
            self.adopt_disks(a, res, &disks_b, plans, hidden[0]),
            self.adopt_disks(b, res, &disks_a, plans, hidden[1]),
        ];
        for node in [a, b] {
            self.changed(node, res);
        }
        for (node, told) in [(a, told[0]), (b, told[1])] {
            if told {
                self.tell_disks(node, res);
            }
        }
        self.after_connect(res, a, b, plans);
    }

    /// Whether a volume is being synced to `node`.
    fn syncs(&self, node: NodeIx, res: ResIx, volume: usize) -> bool {
        self.res(node, res).is_some_and(|resource| {
            resource.connections.values().any(|c| c.peer_devices[volume].replication == ReplicationState::SyncTarget)
        })
    }

    fn role(&self, node: NodeIx, res: ResIx) -> Role {
        self.res(node, res).map_or(Role::Unknown, |resource| resource.role.clone())
    }

    /// What the new connection says about the own disks. Gives whether something changed.
    fn adopt_disks(&mut self, node: NodeIx, res: ResIx, theirs: &[DiskState], plans: &[Plan], hidden: bool) -> bool {
        let this = &mut self.nodes[node];
        let Some(resource) = this.resources.get_mut(&res) else { return false };
        let mut changed = false;
        for (volume, device) in resource.devices.iter_mut().enumerate() {
            let peer_good = theirs[volume] == DiskState::UpToDate;
            let good = matches!(device.disk, DiskState::UpToDate | DiskState::Consistent);
            let new = match plans[volume] {
                Plan::Target(target) if target == node && good => DiskState::Outdated,
                Plan::Old(old) if old == node && good => DiskState::Outdated,
                // A Primary that it does not see itself goes on writing: what it has may be old, also as the source of a sync.
                _ if hidden && good && !resource.role.eq(&Role::Primary) => DiskState::Outdated,
                Plan::Nothing if peer_good && !hidden => match device.disk {
                    DiskState::Outdated | DiskState::Consistent => DiskState::UpToDate,
                    _ => continue,
                },
                _ => continue,
            };
            if let Some(disk) = &mut this.disks[res][volume] {
                disk.flag = if new == DiskState::Outdated { Flag::Outdated } else { Flag::Good };
            }
            device.disk = new;
            changed = true;
        }
        changed
    }

    /// What follows a connection: others may be out of date, syncs begin, handlers are called.
    fn after_connect(&mut self, res: ResIx, a: NodeIx, b: NodeIx, plans: &[Plan]) {
        let members = self.reach(a, res);
        if !self.primaries(&members, res).is_empty() {
            for (node, other) in [(a, b), (b, a)] {
                for peer in self.connected_peers(node, res) {
                    if peer != other {
                        self.send(node, peer, res, Message::Outdate);
                    }
                }
            }
        }
        if plans.iter().any(|plan| matches!(plan, Plan::Target(_))) {
            self.resolved_split_brain(res, a, b, plans);
            self.exchange_bitmaps(a, b, res);
            self.set_trap(res, a, b, plans);
        }
        for (node, peer) in [(a, b), (b, a)] {
            self.unfence(node, res, peer, false);
            self.maybe_resync(node, res);
        }
    }

    /// Diverged data of which one side is given up: the handler for the beginning is called all the same.
    fn resolved_split_brain(&mut self, res: ResIx, a: NodeIx, b: NodeIx, plans: &[Plan]) {
        let diverged = |volume: usize| {
            let data = |node: NodeIx| self.nodes[node].disks[res][volume].map(|disk| disk.data);
            let (Some(one), Some(other)) = (data(a), data(b)) else { return false };
            plans[volume] != Plan::Nothing && self.lineage.relation(one, other) == Relation::Diverged
        };
        let Some(volume) = (0..plans.len()).find(|volume| diverged(*volume)) else { return };
        for (node, peer) in [(a, b), (b, a)] {
            let helper = "initial-split-brain";
            let steps =
                vec![Step::Call(Some(peer), Some(volume), helper), Step::Response(Some(peer), Some(volume), helper, 0)];
            self.start_job(node, res, None, steps);
        }
    }

    /// A crashed primary rejoins: with the given chance, the connection will die in the middle of it.
    fn set_trap(&mut self, res: ResIx, a: NodeIx, b: NodeIx, plans: &[Plan]) {
        for (node, peer) in [(a, b), (b, a)] {
            let crashed = (0..plans.len()).any(|volume| {
                plans[volume] == Plan::Target(node)
                    && self.nodes[node].disks[res][volume].is_some_and(|disk| disk.crashed_primary)
            });
            let trapped = self.res(node, res).is_some_and(|resource| resource.trapped);
            let first = self.connected_peers(node, res).len() < 2;
            let chance = u64::from(self.spec.standalone_trap_percent) / if first { 2 } else { 1 };
            if crashed && !trapped && self.rng.below(100) < chance {
                if let Some(resource) = self.res_mut(node, res) {
                    resource.trapped = true;
                }
                let epoch = self.epoch(peer, res, node).unwrap_or(0);
                let boot = self.nodes[peer].boot;
                self.after(Range::ms(150, 450), Event::Trap { node: peer, boot, res, peer: node, epoch });
            }
        }
    }
}
