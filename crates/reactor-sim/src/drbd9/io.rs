//! What services do with the devices: open, write, read, close.

use reactor_core::drbd::types::{DiskState, ReplicationState};

use super::Cluster;
use super::command::{Errno, OpenId, WriteEnd, WriteId};
use super::data::Version;
use super::queue::{Event, Step};
use super::spec::{NodeIx, OnLoss, Range, ResIx};

/// A device that somebody has open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) node: NodeIx,
    pub(super) boot: u64,
    pub(super) res: ResIx,
    pub(super) volume: usize,
}

/// A write that has not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Write {
    pub(super) open: Open,
    /// It had its time: it ends as soon as nothing holds it up.
    pub(super) due: bool,
}

impl Cluster {
    /// A service opens a device for writing.
    ///
    /// # Errors
    /// What `open(2)` would say.
    pub fn open(&mut self, node: NodeIx, resource: &str, volume: u32) -> Result<OpenId, Errno> {
        let res = self.named(node, resource).ok_or(Errno::NoDevice)?;
        let volume = self.volume(res, volume).ok_or(Errno::NoDevice)?;
        let boot = self.nodes[node].boot;
        if !self.nodes[node].alive {
            return Err(Errno::NoDevice);
        }
        let there = self.res_mut(node, res).ok_or(Errno::NoDevice)?;
        if !there.devices[volume].created {
            return Err(Errno::NoDevice);
        }
        if there.forced {
            return Err(Errno::NotRecoverable);
        }
        if !there.primary() {
            return Err(Errno::ReadOnly);
        }
        there.devices[volume].opens += 1;
        let id = OpenId(self.number());
        self.opens.insert(id, Open { node, boot, res, volume });
        self.changed(node, res);
        Ok(id)
    }

    /// Closes it; nothing happens if it is not open any more.
    pub fn close(&mut self, open: OpenId) {
        let Some(open) = self.opens.remove(&open) else { return };
        let Open { node, boot, res, volume } = open;
        if self.nodes[node].boot != boot {
            return;
        }
        let Some(resource) = self.res_mut(node, res) else { return };
        resource.devices[volume].opens = resource.devices[volume].opens.saturating_sub(1);
        let free = resource.opens() == 0;
        if resource.forced && free {
            // The resource line comes first, in a burst of its own.
            resource.devices[volume].opens += 1;
            resource.forced = false;
            self.changed(node, res);
            if let Some(resource) = self.res_mut(node, res) {
                resource.devices[volume].opens = 0;
            }
        }
        self.changed(node, res);
    }

    /// Hands in a write of one record. Its end comes by [`Cluster::take_writes`], maybe much later (suspended I/O), or
    /// never (the node dies).
    pub fn write(&mut self, open: OpenId) -> WriteId {
        let id = WriteId(self.number());
        match self.opens.get(&open) {
            Some(open) => {
                self.writes.insert(id, Write { open: *open, due: false });
                self.after(self.spec.times.write, Event::Write { id });
                self.hurry_writes(open_node(self, id));
            }
            None => self.ended.push(WriteEnd { write: id, at: self.now, result: Err(Errno::NoDevice) }),
        }
        id
    }

    /// Reads: the number of records on the device.
    ///
    /// # Errors
    /// What `read(2)` would say.
    pub fn read(&self, open: OpenId) -> Result<u64, Errno> {
        let open = self.opens.get(&open).ok_or(Errno::NoDevice)?;
        let resource = self.res(open.node, open.res).ok_or(Errno::NoDevice)?;
        if resource.forced || !resource.devices[open.volume].quorum {
            return Err(Errno::Io);
        }
        self.served(open.node, open.res, open.volume).map(|version| version.writes).ok_or(Errno::Io)
    }

    /// The data that a node would serve: its own if it is good, else a connected peer's.
    pub(super) fn served(&self, node: NodeIx, res: ResIx, volume: usize) -> Option<Version> {
        let resource = self.res(node, res)?;
        let data = |node: NodeIx| self.nodes[node].disks[res][volume].map(|disk| disk.data);
        if resource.devices[volume].disk == DiskState::UpToDate {
            return data(node);
        }
        let mut newest: Option<Version> = None;
        for (peer, connection) in resource.connected() {
            let theirs = data(peer).filter(|_| connection.peer_devices[volume].disk == DiskState::UpToDate);
            if let Some(theirs) = theirs
                && newest.is_none_or(|so_far| self.lineage.contains(theirs, so_far))
            {
                newest = Some(theirs);
            }
        }
        newest
    }

    /// A write had its time, or something changed: it ends if nothing holds it up.
    pub(super) fn try_write(&mut self, id: WriteId) {
        let Some(write) = self.writes.get_mut(&id) else { return };
        write.due = true;
        let Open { node, boot, res, volume } = write.open;
        let this = &self.nodes[node];
        if !this.alive || this.boot != boot {
            self.writes.remove(&id);
            return;
        }
        if this.frozen {
            return;
        }
        let Some(resource) = this.resources.get(&res) else { return self.end_write(id, Err(Errno::NoDevice)) };
        if resource.forced || !resource.primary() {
            return self.end_write(id, Err(Errno::Io));
        }
        if resource.suspended() {
            return;
        }
        if !resource.devices[volume].quorum {
            return self.end_write(id, Err(Errno::Io));
        }
        let attach_hangs = this.disks[res][volume].is_some_and(|disk| disk.attach_hangs);
        if attach_hangs && resource.devices[volume].disk == DiskState::Negotiating {
            return;
        }
        if self.served(node, res, volume).is_none() {
            if self.options(res).on_no_data == OnLoss::IoError {
                self.end_write(id, Err(Errno::Io));
            }
            return;
        }
        if resource.connected().all(|(peer, _)| self.answers(node, peer, res)) {
            self.acknowledge(id, node, res, volume);
        }
    }

    /// Whether a connected peer is really there: it would acknowledge.
    pub(super) fn answers(&self, node: NodeIx, peer: NodeIx, res: ResIx) -> bool {
        let mutual = self
            .res(peer, res)
            .and_then(|there| there.connections.get(&node))
            .is_some_and(super::node::Connection::connected);
        mutual && self.reachable(node, peer)
    }

    fn end_write(&mut self, id: WriteId, result: Result<(), Errno>) {
        self.writes.remove(&id);
        self.ended.push(WriteEnd { write: id, at: self.now, result });
    }

    /// The record is on all good disks.
    fn acknowledge(&mut self, id: WriteId, node: NodeIx, res: ResIx, volume: usize) {
        let Some(mut version) = self.served(node, res, volume) else { return };
        let begun = self.res(node, res).and_then(|resource| resource.writing[volume]);
        if begun != Some(version.generation) {
            version = self.lineage.branch(version);
        }
        version.writes += 1;
        let mut holders = Vec::new();
        if let Some(resource) = self.res_mut(node, res) {
            resource.writing[volume] = Some(version.generation);
            resource.exposed[volume] = Some(version);
            resource.devices[volume].written += 4;
            if resource.devices[volume].disk == DiskState::UpToDate {
                holders.push(node);
            }
            for (peer, connection) in resource.connected() {
                let there = &connection.peer_devices[volume];
                // What is being synced gets new writes too; whether its disk is good by now it knows better than we do.
                if there.replication != ReplicationState::Off {
                    holders.push(peer);
                }
            }
        }
        let mut kept = false;
        for holder in holders {
            let good =
                self.res(holder, res).is_some_and(|resource| resource.devices[volume].disk == DiskState::UpToDate);
            let Some(disk) = &mut self.nodes[holder].disks[res][volume] else { continue };
            if disk.failing && good {
                self.start_job(holder, res, None, vec![Step::Failed(volume), Step::Gone(volume)]);
            } else if good {
                disk.data = version;
                kept = true;
            }
        }
        if !kept {
            return;
        }
        self.note_acknowledged(res, volume, version);
        self.end_write(id, Ok(()));
    }

    /// Something changed for a resource: writes that waited for it may end.
    pub(super) fn retry_writes(&mut self, res: ResIx) {
        if self.writes.is_empty() {
            return;
        }
        let due: Vec<WriteId> =
            self.writes.iter().filter(|(_, write)| write.due && write.open.res == res).map(|(id, _)| *id).collect();
        for id in due {
            self.try_write(id);
        }
    }

    /// I/O goes on: what was held back is sent to the disks now.
    pub(super) fn resume_writes(&mut self, node: NodeIx, res: ResIx) {
        let mut held = Vec::new();
        for (id, write) in &mut self.writes {
            if write.open.node == node && write.open.res == res && write.due {
                write.due = false;
                held.push(*id);
            }
        }
        for id in held {
            self.after(Range::ms(20, 400), Event::Write { id });
        }
    }

    /// All writes of a node fail: it was demoted by force.
    pub(super) fn fail_writes(&mut self, node: NodeIx, res: ResIx) {
        let all: Vec<WriteId> = self
            .writes
            .iter()
            .filter(|(_, write)| write.open.node == node && write.open.res == res)
            .map(|(id, _)| *id)
            .collect();
        for id in all {
            self.end_write(id, Err(Errno::Io));
        }
    }

    /// A node that writes notices a dead peer at once: the ping after the write is not answered.
    pub(super) fn hurry_writes(&mut self, node: NodeIx) {
        let busy: std::collections::BTreeSet<ResIx> =
            self.writes.values().filter(|write| write.open.node == node).map(|write| write.open.res).collect();
        for res in busy {
            let Some(resource) = self.res(node, res) else { continue };
            let dead: Vec<(NodeIx, u64)> = resource
                .connected()
                .filter(|(peer, _)| !self.answers(node, *peer, res))
                .map(|(peer, c)| (peer, c.epoch))
                .collect();
            for (peer, epoch) in dead {
                self.detect_soon(node, res, peer, epoch);
            }
        }
    }

    /// The resource is gone from a node: so are its openers.
    pub(super) fn drop_opens(&mut self, node: NodeIx, res: ResIx) {
        self.opens.retain(|_, open| open.node != node || open.res != res);
    }
}

fn open_node(cluster: &Cluster, id: WriteId) -> NodeIx {
    cluster.writes.get(&id).map_or(0, |write| write.open.node)
}
