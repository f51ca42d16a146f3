//! Two-phase commits: promotion, demotion, and survivors that agree that their data is good.

use std::collections::BTreeSet;

use reactor_core::drbd::types::{DiskState, Role};

use super::Cluster;
use super::command::Ticket;
use super::node::Lock;
use super::queue::{Agreed, Event, Message};
use super::spec::{NodeIx, Range, ResIx};

/// Why a state change is refused, with DRBD's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    TwoPrimaries,
    NoUpToDateDisk,
    DeclinedBy(NodeIx),
    HeldOpen,
    NoQuorum,
}

impl Cluster {
    /// All nodes that a two-phase commit of `node` reaches, itself included.
    pub(super) fn reach(&self, node: NodeIx, res: ResIx) -> BTreeSet<NodeIx> {
        let mut reached = BTreeSet::from([node]);
        let mut todo = vec![node];
        while let Some(at) = todo.pop() {
            let Some(resource) = self.res(at, res) else { continue };
            for (peer, _) in resource.connected() {
                let mutual = self
                    .res(peer, res)
                    .and_then(|there| there.connections.get(&at))
                    .is_some_and(super::node::Connection::connected);
                if mutual && reached.insert(peer) {
                    todo.push(peer);
                }
            }
        }
        reached
    }

    /// Whether some connection that the commit needs is dead and nobody has noticed yet. If so, it is noticed soon: the
    /// request is not answered, and neither is the ping after it.
    pub(super) fn probe(&mut self, members: &BTreeSet<NodeIx>, res: ResIx) -> bool {
        let mut dead = Vec::new();
        for member in members {
            let Some(resource) = self.res(*member, res) else { continue };
            for (peer, connection) in resource.connected() {
                if !self.reachable(*member, peer) || !self.nodes[peer].resources.contains_key(&res) {
                    dead.push((*member, peer, connection.epoch));
                }
            }
        }
        for (member, peer, epoch) in &dead {
            self.detect_soon(*member, res, *peer, *epoch);
        }
        !dead.is_empty()
    }

    /// The nodes in `members` that are Primary, or that a member is connected to as Primary.
    pub(super) fn primaries(&self, members: &BTreeSet<NodeIx>, res: ResIx) -> BTreeSet<NodeIx> {
        let mut found = BTreeSet::new();
        for member in members {
            let Some(resource) = self.res(*member, res) else { continue };
            if resource.primary() {
                found.insert(*member);
            }
            found.extend(resource.connected().filter(|(_, c)| c.role == Role::Primary).map(|(peer, _)| peer));
        }
        found
    }

    /// Why `node` may not be promoted now, if anything stands against it.
    pub(super) fn promotion_refused(&self, node: NodeIx, res: ResIx, force: bool) -> Option<Refused> {
        let Some(resource) = self.res(node, res) else { return Some(Refused::NoUpToDateDisk) };
        if resource.forced {
            return Some(Refused::HeldOpen);
        }
        let members = self.reach(node, res);
        if self.primaries(&members, res).iter().any(|primary| *primary != node) {
            return Some(Refused::TwoPrimaries);
        }
        if force {
            let local = resource.devices.iter().any(|device| device.disk > DiskState::Negotiating);
            let peer =
                resource.connected().any(|(_, c)| c.peer_devices.iter().any(|p| p.disk > DiskState::Negotiating));
            return (!local && !peer).then_some(Refused::NoUpToDateDisk);
        }
        if resource.devices.iter().any(|device| !device.quorum) {
            return Some(Refused::NoQuorum);
        }
        let good = |volume: usize| {
            resource.devices[volume].disk == DiskState::UpToDate
                || resource.connected().any(|(_, c)| c.peer_devices[volume].disk == DiskState::UpToDate)
        };
        (!(0..resource.devices.len()).all(good)).then_some(Refused::NoUpToDateDisk)
    }

    /// Who holds a lock on a member, if anybody.
    pub(super) fn locked_by(&self, members: &BTreeSet<NodeIx>, res: ResIx) -> Option<Lock> {
        members.iter().find_map(|member| self.res(*member, res)?.locked.filter(|lock| lock.until > self.now))
    }

    /// Takes the locks and lets the answers come in.
    pub(super) fn prepare(&mut self, node: NodeIx, res: ResIx, what: Agreed, ticket: Option<Ticket>) {
        let members = self.reach(node, res);
        let promotes = matches!(what, Agreed::Promote { .. });
        let when = self.now.after(self.draw(self.spec.times.twopc));
        let until = when.after(std::time::Duration::from_micros(self.spec.times.message.most));
        for member in &members {
            if let Some(resource) = self.res_mut(*member, res) {
                resource.locked = Some(Lock { until, owner: node, promotes });
            }
        }
        let members = members.iter().map(|member| (*member, self.nodes[*member].boot)).collect();
        let boot = self.nodes[node].boot;
        self.at(when, Event::Commit { node, boot, res, members, what, ticket });
    }

    /// Everybody agreed; unless the cluster has changed meanwhile, it happens.
    pub(super) fn commit(
        &mut self,
        node: NodeIx,
        res: ResIx,
        members: &[(NodeIx, u64)],
        what: Agreed,
        ticket: Option<Ticket>,
    ) {
        let now: BTreeSet<NodeIx> = self.reach(node, res);
        let then: BTreeSet<NodeIx> = members.iter().map(|(member, _)| *member).collect();
        let same = now == then && members.iter().all(|(member, boot)| self.nodes[*member].boot == *boot);
        if !same || self.probe(&then, res) {
            return self.again(node, res, what, ticket);
        }
        match what {
            Agreed::Promote { force } => self.commit_promote(node, res, force, ticket),
            Agreed::Demote { force } => self.commit_demote(node, res, force, ticket),
            Agreed::Settle => self.commit_settle(node, res),
        }
    }

    fn again(&mut self, node: NodeIx, res: ResIx, what: Agreed, ticket: Option<Ticket>) {
        let boot = self.nodes[node].boot;
        match (what, ticket) {
            (Agreed::Settle, _) => {
                self.after(Range::ms(50, 150), Event::Settle { node, boot, res, tries: 1 });
            }
            (Agreed::Promote { force }, Some(ticket)) => self.retry_role(node, res, ticket, true, force),
            (Agreed::Demote { force }, Some(ticket)) => self.retry_role(node, res, ticket, false, force),
            _ => {}
        }
    }

    fn commit_promote(&mut self, node: NodeIx, res: ResIx, force: bool, ticket: Option<Ticket>) {
        if let Some(refused) = self.promotion_refused(node, res, force) {
            return self.refuse(node, res, ticket, refused);
        }
        if let Some(resource) = self.res_mut(node, res) {
            resource.role = Role::Primary;
            resource.unsettled = false;
            resource.writing.iter_mut().for_each(|generation| *generation = None);
        }
        for disk in self.nodes[node].disks[res].iter_mut().flatten() {
            disk.crashed_primary = false;
        }
        for volume in 0..self.spec.resources[res].volumes.len() {
            let served = self.served(node, res, volume);
            if let Some(resource) = self.res_mut(node, res) {
                resource.exposed[volume] = served;
            }
        }
        if force {
            self.make_good(node, res);
        }
        self.changed(node, res);
        self.tell_role(node, res);
        self.outdate_others(node, res);
        self.outdate_older(node, res);
        self.look_again(node, res);
        self.end_command(node, ticket, 0, "");
    }

    /// `--force`: what is on the local disks is the truth from now on.
    fn make_good(&mut self, node: NodeIx, res: ResIx) {
        let this = &mut self.nodes[node];
        let Some(resource) = this.resources.get_mut(&res) else { return };
        for (volume, device) in resource.devices.iter_mut().enumerate() {
            if matches!(device.disk, DiskState::Inconsistent | DiskState::Outdated | DiskState::Consistent) {
                device.disk = DiskState::UpToDate;
                if let Some(disk) = &mut this.disks[res][volume] {
                    disk.flag = super::node::Flag::Good;
                }
            }
        }
    }

    fn commit_demote(&mut self, node: NodeIx, res: ResIx, force: bool, ticket: Option<Ticket>) {
        let Some(resource) = self.res_mut(node, res) else { return self.end_command(node, ticket, 10, "") };
        let open = resource.opens() > 0;
        if open && !force {
            return self.refuse(node, res, ticket, Refused::HeldOpen);
        }
        resource.role = Role::Secondary;
        resource.suspended_quorum = false;
        if open {
            resource.forced = true;
        }
        let diskless = resource.devices.iter().any(|device| device.disk == DiskState::Diskless);
        if diskless {
            // Seen on each demotion of a node without a disk.
            resource.unsettled = true;
            let boot = self.nodes[node].boot;
            self.after(Range::ms(2, 20), Event::Unsettle { node, boot, res });
        }
        self.changed(node, res);
        self.tell_role(node, res);
        self.fail_writes(node, res);
        self.end_command(node, ticket, 0, "");
        self.look_again(node, res);
        self.maybe_resync(node, res);
    }

    /// Who is Primary has changed: all that the commit reached hear of it.
    fn look_again(&mut self, node: NodeIx, res: ResIx) {
        for member in self.reach(node, res) {
            if member != node {
                let boot = self.nodes[member].boot;
                self.after(self.spec.times.message, Event::LookAgain { node: member, boot, res, forced: true });
            }
        }
    }

    /// A Primary has come: who has data, and cannot see it, is out of date from now on.
    pub(super) fn outdate_others(&mut self, node: NodeIx, res: ResIx) {
        let members = self.reach(node, res);
        let direct: BTreeSet<NodeIx> = self
            .res(node, res)
            .map(|resource| resource.connected().map(|(peer, _)| peer).collect())
            .unwrap_or_default();
        for member in members {
            if member != node && !direct.contains(&member) {
                self.outdate(member, res);
            }
        }
    }

    /// Peers that are connected and have less than what the new Primary serves are out of date.
    fn outdate_older(&mut self, node: NodeIx, res: ResIx) {
        for peer in self.connected_peers(node, res) {
            let older = (0..self.spec.resources[res].volumes.len()).any(|volume| {
                self.nodes[peer].disks[res][volume].is_some() && !self.holds_exposed(node, peer, res, volume)
            });
            if older {
                self.outdate(peer, res);
            }
        }
    }

    /// Whether no other member that believes itself good has more than this node. A Primary that lost one peer goes on
    /// writing with the other; the first may hear of its loss only when the Primary is dead.
    pub(super) fn newest_among(&self, node: NodeIx, res: ResIx, volume: usize, members: &BTreeSet<NodeIx>) -> bool {
        let Some(own) = self.nodes[node].disks[res][volume] else { return true };
        members.iter().all(|member| {
            let good = self.res(*member, res).is_some_and(|resource| {
                matches!(resource.devices[volume].disk, DiskState::UpToDate | DiskState::Consistent)
            });
            match self.nodes[*member].disks[res][volume] {
                Some(theirs) if good => self.lineage.contains(own.data, theirs.data),
                _ => true,
            }
        })
    }

    /// Sets the good disks of a node to Outdated and tells its peers.
    pub(super) fn outdate(&mut self, node: NodeIx, res: ResIx) {
        let this = &mut self.nodes[node];
        let Some(resource) = this.resources.get_mut(&res) else { return };
        let mut any = false;
        for (volume, device) in resource.devices.iter_mut().enumerate() {
            if matches!(device.disk, DiskState::UpToDate | DiskState::Consistent) {
                device.disk = DiskState::Outdated;
                any = true;
                if let Some(disk) = &mut this.disks[res][volume] {
                    disk.flag = super::node::Flag::Outdated;
                }
            }
        }
        if any {
            self.changed(node, res);
            self.tell_disks(node, res);
        }
    }

    pub(super) fn tell_role(&mut self, node: NodeIx, res: ResIx) {
        let Some(resource) = self.res(node, res) else { return };
        let role = resource.role.clone();
        let disks: Vec<DiskState> = resource.devices.iter().map(|device| device.disk.clone()).collect();
        for peer in self.connected_peers(node, res) {
            self.send(node, peer, res, Message::Role { role: role.clone(), disks: disks.clone() });
        }
    }

    pub(super) fn tell_disks(&mut self, node: NodeIx, res: ResIx) {
        let Some(resource) = self.res(node, res) else { return };
        let disks: Vec<DiskState> = resource.devices.iter().map(|device| device.disk.clone()).collect();
        for peer in self.connected_peers(node, res) {
            for (volume, disk) in disks.iter().enumerate() {
                self.send(node, peer, res, Message::Disk { volume, disk: disk.clone() });
            }
        }
    }

    pub(super) fn connected_peers(&self, node: NodeIx, res: ResIx) -> Vec<NodeIx> {
        self.res(node, res).map(|resource| resource.connected().map(|(peer, _)| peer).collect()).unwrap_or_default()
    }

    /// Survivors of a lost Primary: is their data good without it?
    pub(super) fn settle(&mut self, node: NodeIx, res: ResIx, tries: u32) {
        let consistent = |resource: &super::node::Resource| {
            resource.devices.iter().any(|device| device.disk == DiskState::Consistent)
        };
        if !self.res(node, res).is_some_and(consistent) {
            return;
        }
        let boot = self.nodes[node].boot;
        let members = self.reach(node, res);
        if self.probe(&members, res) || self.locked_by(&members, res).is_some() {
            if tries < 200 {
                self.after(Range::ms(50, 150), Event::Settle { node, boot, res, tries: tries + 1 });
            }
            return;
        }
        if self.primaries(&members, res).iter().any(|primary| *primary != node) {
            // It lives, and others see it: what is here falls behind.
            return self.outdate(node, res);
        }
        self.prepare(node, res, Agreed::Settle, None);
    }

    fn commit_settle(&mut self, node: NodeIx, res: ResIx) {
        let members = self.reach(node, res);
        if self.primaries(&members, res).iter().any(|primary| *primary != node) {
            return self.outdate(node, res);
        }
        let newest: Vec<bool> = (0..self.spec.resources[res].volumes.len())
            .map(|volume| self.newest_among(node, res, volume, &members))
            .collect();
        let this = &mut self.nodes[node];
        let Some(resource) = this.resources.get_mut(&res) else { return };
        resource.unsettled = false;
        for (volume, device) in resource.devices.iter_mut().enumerate() {
            if device.disk != DiskState::Consistent {
                continue;
            }
            device.disk = if newest[volume] { DiskState::UpToDate } else { DiskState::Outdated };
            if let (false, Some(disk)) = (newest[volume], &mut this.disks[res][volume]) {
                disk.flag = super::node::Flag::Outdated;
            }
        }
        let disks: Vec<DiskState> = resource.devices.iter().map(|device| device.disk.clone()).collect();
        self.changed(node, res);
        for peer in self.connected_peers(node, res) {
            for (volume, disk) in disks.iter().enumerate() {
                let good = *disk == DiskState::UpToDate;
                let body =
                    if good { Message::Settled { volume } } else { Message::Disk { volume, disk: disk.clone() } };
                self.send(node, peer, res, body);
            }
        }
    }
}
