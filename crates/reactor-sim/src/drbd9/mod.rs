//! A model of a DRBD 9 cluster on virtual time: no threads, no I/O, no clock, the same for the same seed.
//!
//! One owner holds a [`Cluster`], asks it when something happens next ([`Cluster::next_at`]), lets the time pass
//! ([`Cluster::advance`]) and takes what came of it: events2 text ([`Cluster::take_output`]), answers to commands
//! ([`Cluster::take_replies`]) and ends of writes ([`Cluster::take_writes`]).

mod command;
mod spec;

use reactor_core::ids::Mono;

pub use command::{Command, Errno, OpenId, Reply, Ticket, WriteEnd, WriteId};
pub use spec::{
    ClusterSpec, Fencing, NodeIx, OnLoss, Options, Placement, Range, ResIx, ResourceSpec, Times, VolumeSpec,
};

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
pub struct Cluster {
    spec: ClusterSpec,
    now: Mono,
}

impl Cluster {
    /// A cluster whose nodes run and whose resources are not up, with blank (never synced) metadata.
    pub fn new(spec: ClusterSpec, seed: u64) -> Self {
        let _ = seed;
        Self { spec, now: Mono::ZERO }
    }

    /// A cluster whose resources are up, connected and UpToDate everywhere.
    pub fn settled(spec: ClusterSpec, seed: u64) -> Self {
        Self::new(spec, seed)
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
        None
    }

    /// Lets the time pass until `now`; everything due until then happens.
    pub fn advance(&mut self, now: Mono) {
        self.now = now;
    }

    /// Takes what events2 on `node` printed since the last call. A node prints also while nobody listens.
    pub fn take_output(&mut self, node: NodeIx) -> Vec<Burst> {
        let _ = node;
        Vec::new()
    }

    /// What a fresh `drbdsetup events2 --timestamps --full` prints first: `exists` lines and `exists -`.
    pub fn dump(&self, node: NodeIx) -> String {
        let _ = node;
        String::new()
    }

    /// Gives a command on a node. A node that is down or frozen answers when it can, or never.
    pub fn submit(&mut self, node: NodeIx, command: Command) -> Ticket {
        let _ = (node, command);
        Ticket(0)
    }

    /// Commands that ended since the last call.
    pub fn take_replies(&mut self) -> Vec<Reply> {
        Vec::new()
    }

    /// A service opens a device for writing.
    ///
    /// # Errors
    /// What `open(2)` would say.
    pub fn open(&mut self, node: NodeIx, resource: &str, volume: u32) -> Result<OpenId, Errno> {
        let _ = (node, resource, volume);
        Err(Errno::NoDevice)
    }

    /// Closes it; nothing happens if it is not open any more.
    pub fn close(&mut self, open: OpenId) {
        let _ = open;
    }

    /// Hands in a write of one record. Its end comes by [`Cluster::take_writes`], maybe much later (suspended I/O), or
    /// never (the node dies).
    pub fn write(&mut self, open: OpenId) -> WriteId {
        let _ = open;
        WriteId(0)
    }

    /// Writes that ended since the last call.
    pub fn take_writes(&mut self) -> Vec<WriteEnd> {
        Vec::new()
    }

    /// Reads: the number of records on the device.
    ///
    /// # Errors
    /// What `read(2)` would say.
    pub fn read(&self, open: OpenId) -> Result<u64, Errno> {
        let _ = open;
        Err(Errno::NoDevice)
    }

    /// Cuts the power of a node.
    pub fn crash(&mut self, node: NodeIx) {
        let _ = node;
    }

    /// Powers a crashed node on; its resources are down until an `up` or `adjust`.
    pub fn boot(&mut self, node: NodeIx) {
        let _ = node;
    }

    /// Stops a node's virtual CPU.
    pub fn freeze(&mut self, node: NodeIx) {
        let _ = node;
    }

    /// Lets it run on.
    pub fn thaw(&mut self, node: NodeIx) {
        let _ = node;
    }

    /// Sets one direction of the network between two nodes.
    pub fn set_link(&mut self, from: NodeIx, to: NodeIx, up: bool) {
        let _ = (from, to, up);
    }

    /// From now on every access to the disk of a volume fails.
    pub fn fail_disk(&mut self, node: NodeIx, resource: ResIx, volume: u32) {
        let _ = (node, resource, volume);
    }

    /// The disk works again, with the data it had; or, `blank`, it is a new one.
    pub fn repair_disk(&mut self, node: NodeIx, resource: ResIx, volume: u32, blank: bool) {
        let _ = (node, resource, volume, blank);
    }

    /// The truth about a resource on a node.
    pub fn truth(&self, node: NodeIx, resource: ResIx) -> ResTruth {
        let _ = (node, resource);
        ResTruth {
            alive: true,
            primary: false,
            can_write: false,
            could_promote: false,
            has_newest_data: false,
            writes: Vec::new(),
        }
    }

    /// Acknowledged writes that no disk of the cluster has any more on the line of data that would win; and whether two
    /// lines of data exist that both hold acknowledged writes (split brain).
    pub fn damage(&self, resource: ResIx) -> Damage {
        let _ = resource;
        Damage { diverged: false, lost_writes: 0 }
    }
}

/// What went wrong with the data of a resource, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Two disks hold data of which neither is an earlier state of the other.
    pub diverged: bool,
    /// Acknowledged writes that the data of no disk contains.
    pub lost_writes: u64,
}
