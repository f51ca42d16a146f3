//! A model of a DRBD 9 cluster on virtual time: no threads, no I/O, no clock, the same for the same seed.
//!
//! One owner holds a [`Cluster`], asks it when something happens next ([`Cluster::next_at`]), lets the time pass
//! ([`Cluster::advance`]) and takes what came of it: events2 text ([`Cluster::take_output`]), answers to commands
//! ([`Cluster::take_replies`]) and ends of writes ([`Cluster::take_writes`]).

mod command;
mod commands;
mod config;
mod connect;
mod data;
mod fault;
mod io;
mod json;
mod lost;
mod node;
mod queue;
mod quorum;
mod spec;
mod sync;
mod text;
mod truth;
mod twopc;

use std::collections::{BTreeMap, VecDeque};

use reactor_core::ids::Mono;

use crate::rng::Rng;
use data::Lineage;
use node::{Disk, Flag, Node, Resource};
use queue::{Event, Job, Step};

pub use command::{Command, Errno, OpenId, Reply, Ticket, WriteEnd, WriteId};
pub use spec::{
    ClusterSpec, Fencing, NodeIx, OnLoss, Options, Placement, Range, ResIx, ResourceSpec, Times, VolumeSpec,
};
pub use truth::DataMarks;

/// events2 lines of one kernel state change: they carry one stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Burst {
    /// When it happened.
    pub at: Mono,
    /// Whole lines with stamps, each with its end of line.
    pub text: String,
}

/// The truth about one resource on one node, for invariants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResTruth {
    /// The node runs (not crashed; a frozen node counts as running).
    pub alive: bool,
    /// Role is Primary.
    pub primary: bool,
    /// A write handed in now could be acknowledged, if no connection breaks: Primary, quorum, I/O not suspended, no forced
    /// failures, and every connection that is up is really up.
    pub can_write: bool,
    /// Promotion would be accepted now, if nobody else promotes.
    pub could_promote: bool,
    /// The node has, or is connected to a node with, the newest acknowledged data of every volume.
    pub has_newest_data: bool,
    /// Number of acknowledged writes that the data this node would serve contains, per volume.
    pub writes: Vec<u64>,
}

/// The simulated cluster.
#[derive(Debug)]
pub struct Cluster {
    spec: ClusterSpec,
    /// Seconds since 1970 at virtual time zero.
    wall_epoch: u64,
    now: Mono,
    rng: Rng,
    counter: u64,
    queue: BTreeMap<(Mono, u64), Event>,
    nodes: Vec<Node>,
    /// `links[from][to]`
    links: Vec<Vec<bool>>,
    /// Jobs that wait for an attach that hangs: the volume.
    hung: Vec<(usize, Job)>,
    /// Messages that wait for the network or for a frozen receiver, in order.
    held: Vec<Event>,
    /// The last delivery per receiver, so that messages do not overtake each other.
    delivered: BTreeMap<(NodeIx, NodeIx, ResIx), Mono>,
    lineage: Lineage,
    replies: Vec<Reply>,
    opens: BTreeMap<OpenId, io::Open>,
    writes: BTreeMap<WriteId, io::Write>,
    ended: Vec<WriteEnd>,
    acknowledged: truth::Ledger,
}

impl Cluster {
    /// A cluster whose nodes run and whose resources are not up, with blank (never synced) metadata.
    pub fn new(spec: ClusterSpec, seed: u64) -> Self {
        let nodes = spec.nodes.len();
        let disks = |node: NodeIx| -> Vec<Vec<Option<Disk>>> {
            let blank = Disk {
                failing: false,
                flag: Flag::Inconsistent,
                data: Lineage::FIRST,
                blank: true,
                crashed_primary: false,
                attach_hangs: false,
            };
            spec.resources
                .iter()
                .map(|resource| {
                    let diskful = resource.placement[node] == Placement::Diskful;
                    resource.volumes.iter().map(|_| diskful.then_some(blank)).collect()
                })
                .collect()
        };
        let new_node = |node| Node {
            alive: true,
            frozen: false,
            boot: 0,
            resources: BTreeMap::new(),
            order: Vec::new(),
            disks: disks(node),
            output: Vec::new(),
            stamp: 0,
            deferred: Vec::new(),
        };
        Self {
            wall_epoch: text::EPOCH,
            now: Mono::ZERO,
            rng: Rng::new(seed ^ 0x6472_6264),
            counter: 0,
            queue: BTreeMap::new(),
            nodes: (0..nodes).map(new_node).collect(),
            links: vec![vec![true; nodes]; nodes],
            hung: Vec::new(),
            held: Vec::new(),
            delivered: BTreeMap::new(),
            lineage: Lineage::new(),
            replies: Vec::new(),
            opens: BTreeMap::new(),
            writes: BTreeMap::new(),
            ended: Vec::new(),
            acknowledged: truth::Ledger::new(&spec),
            spec,
        }
    }

    /// A cluster whose resources are up, connected and UpToDate everywhere. It begins at time zero, with nothing printed.
    pub fn settled(spec: ClusterSpec, seed: u64) -> Self {
        let mut cluster = Self::new(spec, seed);
        cluster.settle_at_once();
        cluster
    }

    /// Sets the time of day at virtual time zero, in seconds since 1970.
    pub fn set_wall_epoch(&mut self, seconds: u64) {
        self.wall_epoch = seconds;
    }

    /// What it was made from.
    pub fn spec(&self) -> &ClusterSpec {
        &self.spec
    }

    /// The time it has reached.
    pub fn now(&self) -> Mono {
        self.now
    }

    /// When something happens next by itself; `None` if nothing will.
    pub fn next_at(&self) -> Option<Mono> {
        self.queue.keys().next().map(|(at, _)| *at)
    }

    /// Lets the time pass until `now`; everything due until then happens.
    pub fn advance(&mut self, now: Mono) {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ((at, _), event) = entry.remove_entry();
            self.now = self.now.max(at);
            self.handle(event);
        }
        self.now = self.now.max(now);
    }

    /// Takes what events2 on `node` printed since the last call. A node prints also while nobody listens.
    pub fn take_output(&mut self, node: NodeIx) -> Vec<Burst> {
        std::mem::take(&mut self.nodes[node].output)
    }

    /// What a fresh `drbdsetup events2 --timestamps --full` prints first: `exists` lines and `exists -`.
    pub fn dump(&self, node: NodeIx) -> String {
        self.dump_text(node)
    }

    /// Commands that ended since the last call.
    pub fn take_replies(&mut self) -> Vec<Reply> {
        std::mem::take(&mut self.replies)
    }

    /// Writes that ended since the last call.
    pub fn take_writes(&mut self) -> Vec<WriteEnd> {
        std::mem::take(&mut self.ended)
    }

    // ---- the queue ----

    fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn draw(&mut self, range: Range) -> std::time::Duration {
        let span = range.most.saturating_sub(range.least) + 1;
        std::time::Duration::from_micros(range.least + self.rng.below(span))
    }

    fn at(&mut self, when: Mono, event: Event) {
        let number = self.number();
        self.queue.insert((when.max(self.now), number), event);
    }

    fn after(&mut self, range: Range, event: Event) {
        let when = self.now.after(self.draw(range));
        self.at(when, event);
    }

    fn handle(&mut self, event: Event) {
        if let Some((node, boot)) = event.owner() {
            let this = &mut self.nodes[node];
            if !this.alive || this.boot != boot {
                return;
            }
            if this.frozen {
                this.deferred.push(event);
                return;
            }
        }
        match event {
            Event::Command { node, ticket, command, tries, .. } => self.run_command(node, ticket, command, tries),
            Event::Refuse { node, ticket, text, .. } => self.end_command(node, Some(ticket), 11, &text),
            Event::Job(job) => self.run_job(job),
            Event::Detect { node, res, peer, epoch, .. } => self.detect(node, res, peer, epoch),
            Event::TryConnect { res, a, b } => self.try_connect(res, a, b),
            Event::Handshake { res, a, b, epochs, tries } => self.handshake(res, a, b, epochs, tries),
            Event::Message { .. } => self.receive(event),
            Event::Commit { node, res, members, what, ticket, .. } => self.commit(node, res, &members, what, ticket),
            Event::Settle { node, res, tries, .. } => self.settle(node, res, tries),
            Event::Unsettle { node, res, .. } => {
                if let Some(resource) = self.nodes[node].resources.get_mut(&res) {
                    resource.unsettled = false;
                }
                self.changed(node, res);
            }
            Event::LookAgain { node, res, forced, .. } => {
                if forced {
                    self.changed(node, res);
                }
                self.maybe_resync(node, res);
            }
            Event::BitmapDone { node, res, peer, epoch, .. } => self.bitmap_done(node, res, peer, epoch),
            Event::SyncDone { node, res, volume, source, epoch, .. } => {
                self.sync_done(node, res, volume, source, epoch);
            }
            Event::Write { id } => self.try_write(id),
            Event::Trap { node, res, peer, epoch, .. } => self.trap(node, res, peer, epoch),
        }
    }

    fn start_job(&mut self, node: NodeIx, res: ResIx, ticket: Option<Ticket>, steps: Vec<Step>) {
        let job = Job { node, boot: self.nodes[node].boot, res, ticket, steps: VecDeque::from(steps) };
        let at = self.now;
        self.at(at, Event::Job(job));
    }

    // ---- short cuts ----

    fn res(&self, node: NodeIx, res: ResIx) -> Option<&Resource> {
        self.nodes[node].resources.get(&res)
    }

    fn res_mut(&mut self, node: NodeIx, res: ResIx) -> Option<&mut Resource> {
        self.nodes[node].resources.get_mut(&res)
    }

    fn options(&self, res: ResIx) -> &Options {
        &self.spec.resources[res].options
    }

    /// Both directions work and both ends run.
    fn reachable(&self, a: NodeIx, b: NodeIx) -> bool {
        let runs = |node: NodeIx| self.nodes[node].alive && !self.nodes[node].frozen;
        self.links[a][b] && self.links[b][a] && runs(a) && runs(b)
    }
}

/// What went wrong with the data of a resource, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Two disks hold data of which neither is an earlier state of the other.
    pub diverged: bool,
    /// And both have writes of their own that a majority had.
    pub torn: bool,
    /// Acknowledged writes that a majority of the disks had, and the data of no disk contains any more.
    pub lost_writes: u64,
}
