//! Faults: power, CPUs, the network, disks.

use super::Cluster;
use super::data::Lineage;
use super::node::Flag;
use super::queue::Event;
use super::spec::{NodeIx, ResIx};

impl Cluster {
    /// Cuts the power of a node.
    pub fn crash(&mut self, node: NodeIx) {
        let this = &mut self.nodes[node];
        if !this.alive {
            return;
        }
        for (res, resource) in &this.resources {
            for disk in this.disks[*res].iter_mut().flatten() {
                disk.crashed_primary |= resource.primary();
            }
        }
        this.alive = false;
        this.frozen = false;
        this.boot += 1;
        this.resources.clear();
        this.order.clear();
        this.deferred.clear();
        this.output.clear();
        self.opens.retain(|_, open| open.node != node);
        self.writes.retain(|_, write| write.open.node != node);
        self.hung.retain(|(_, job)| job.node != node);
        self.held.retain(|event| !matches!(event, Event::Message { to, .. } if *to == node));
        self.isolated(node);
    }

    /// Powers a crashed node on; its resources are down until an `up` or `adjust`.
    pub fn boot(&mut self, node: NodeIx) {
        self.nodes[node].alive = true;
    }

    /// Stops a node's virtual CPU.
    pub fn freeze(&mut self, node: NodeIx) {
        if self.nodes[node].alive && !self.nodes[node].frozen {
            self.nodes[node].frozen = true;
            self.isolated(node);
        }
    }

    /// Lets it run on.
    pub fn thaw(&mut self, node: NodeIx) {
        if !std::mem::take(&mut self.nodes[node].frozen) {
            return;
        }
        for event in std::mem::take(&mut self.nodes[node].deferred) {
            let now = self.now;
            self.at(now, event);
        }
        self.found_again(node);
    }

    /// Whether a node has power, and whether its CPU runs.
    pub fn running(&self, node: NodeIx) -> bool {
        self.nodes[node].alive && !self.nodes[node].frozen
    }

    /// Whether a node has power; a frozen one has.
    pub fn alive(&self, node: NodeIx) -> bool {
        self.nodes[node].alive
    }

    /// Sets one direction of the network between two nodes.
    pub fn set_link(&mut self, from: NodeIx, to: NodeIx, up: bool) {
        if std::mem::replace(&mut self.links[from][to], up) == up {
            return;
        }
        if !up {
            return self.broke(from, to);
        }
        let held = std::mem::take(&mut self.held);
        for event in held {
            let free = matches!(&event, Event::Message { from: f, to: t, .. } if *f == from && *t == to);
            if free {
                let now = self.now;
                self.at(now, event);
            } else {
                self.held.push(event);
            }
        }
        self.look_for_each_other(from, to);
    }

    /// Whether a direction of the network works.
    pub fn link(&self, from: NodeIx, to: NodeIx) -> bool {
        self.links[from][to]
    }

    /// From now on every access to the disk of a volume fails.
    pub fn fail_disk(&mut self, node: NodeIx, resource: ResIx, volume: u32) {
        self.on_disk(node, resource, volume, |disk| disk.failing = true);
    }

    /// The disk works again, with the data it had; or, `blank`, it is a new one.
    pub fn repair_disk(&mut self, node: NodeIx, resource: ResIx, volume: u32, blank: bool) {
        self.on_disk(node, resource, volume, |disk| {
            disk.failing = false;
            if blank {
                disk.flag = Flag::Inconsistent;
                disk.data = Lineage::FIRST;
                disk.blank = true;
            }
        });
    }

    /// The next attach of the disk does not get beyond Negotiating, as it happens with DRBD 9.3.3 under a writer: what is written on this
    /// node from then on waits, and so does the command.
    pub fn hang_attach(&mut self, node: NodeIx, resource: ResIx, volume: u32) {
        self.on_disk(node, resource, volume, |disk| disk.attach_hangs = true);
    }

    /// It does, now.
    pub fn release_attach(&mut self, node: NodeIx, res: ResIx, number: u32) {
        self.on_disk(node, res, number, |disk| disk.attach_hangs = false);
        let Some(volume) = self.volume(res, number) else { return };
        self.attach_gets_on(node, res, volume);
    }

    fn on_disk(&mut self, node: NodeIx, res: ResIx, number: u32, change: impl FnOnce(&mut super::node::Disk)) {
        let Some(volume) = self.volume(res, number) else { return };
        if let Some(disk) = &mut self.nodes[node].disks[res][volume] {
            change(disk);
        }
    }

    fn isolated(&mut self, node: NodeIx) {
        for peer in 0..self.nodes.len() {
            if peer != node {
                self.broke(node, peer);
            }
        }
    }

    fn found_again(&mut self, node: NodeIx) {
        for peer in 0..self.nodes.len() {
            if peer != node {
                self.look_for_each_other(node, peer);
            }
        }
    }

    /// The way between two nodes may work again.
    fn look_for_each_other(&mut self, one: NodeIx, other: NodeIx) {
        let (a, b) = (one.min(other), one.max(other));
        for res in 0..self.spec.resources.len() {
            self.after(self.spec.times.connect, Event::TryConnect { res, a, b });
            self.retry_writes(res);
        }
    }
}
