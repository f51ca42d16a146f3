//! What is going to happen: events by time, and jobs, which are steps of one thing that a kernel or a command does.

use std::collections::VecDeque;

use reactor_core::drbd::types::{DiskState, Role};

use super::command::{Command, Ticket, WriteId};
use super::spec::{NodeIx, ResIx};

/// Something that happens later.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A command is looked at, for the n-th time.
    Command { node: NodeIx, boot: u64, ticket: Ticket, command: Command, tries: u32 },
    /// A command ends with a refusal.
    Refuse { node: NodeIx, boot: u64, ticket: Ticket, text: String },
    /// The next step of a job.
    Job(Job),
    /// A ping of `node` to `peer` had its time to be answered.
    Detect { node: NodeIx, boot: u64, res: ResIx, peer: NodeIx, epoch: u64 },
    /// Two ends that want to connect may find each other.
    TryConnect { res: ResIx, a: NodeIx, b: NodeIx },
    /// The path is there; the ends compare what they have.
    Handshake { res: ResIx, a: NodeIx, b: NodeIx, epochs: (u64, u64), tries: u32 },
    /// A message from a peer.
    Message { from: NodeIx, to: NodeIx, boot: u64, res: ResIx, epoch: u64, body: Message },
    /// The coordinator of a two-phase commit has all answers.
    Commit { node: NodeIx, boot: u64, res: ResIx, members: Vec<(NodeIx, u64)>, what: Agreed, ticket: Option<Ticket> },
    /// Survivors look whether their data is good without the lost peer.
    Settle { node: NodeIx, boot: u64, res: ResIx, tries: u32 },
    /// `may_promote` may be said again.
    Unsettle { node: NodeIx, boot: u64, res: ResIx },
    /// Who is Primary somewhere in the cluster has changed.
    LookAgain { node: NodeIx, boot: u64, res: ResIx, forced: bool },
    /// Two nodes have exchanged the bitmaps of all volumes that need a sync.
    BitmapDone { node: NodeIx, boot: u64, res: ResIx, peer: NodeIx, epoch: u64 },
    /// A target has everything.
    SyncDone { node: NodeIx, boot: u64, res: ResIx, volume: usize, source: NodeIx, epoch: u64 },
    /// A write has had its time.
    Write { id: WriteId },
    /// The rejoin trap snaps: the connection dies on `node`.
    Trap { node: NodeIx, boot: u64, res: ResIx, peer: NodeIx, epoch: u64 },
}

impl Event {
    /// The node whose CPU it needs, and its power cycle; `None` for what concerns several.
    pub(super) fn owner(&self) -> Option<(NodeIx, u64)> {
        match self {
            Self::Command { node, boot, .. }
            | Self::Refuse { node, boot, .. }
            | Self::Detect { node, boot, .. }
            | Self::Commit { node, boot, .. }
            | Self::Settle { node, boot, .. }
            | Self::Unsettle { node, boot, .. }
            | Self::LookAgain { node, boot, .. }
            | Self::BitmapDone { node, boot, .. }
            | Self::SyncDone { node, boot, .. }
            | Self::Trap { node, boot, .. } => Some((*node, *boot)),
            Self::Message { to, boot, .. } => Some((*to, *boot)),
            Self::Job(job) => Some((job.node, job.boot)),
            Self::TryConnect { .. } | Self::Handshake { .. } | Self::Write { .. } => None,
        }
    }
}

/// What the members of a two-phase commit agree on.
#[derive(Clone, Debug)]
pub(super) enum Agreed {
    Promote {
        force: bool,
    },
    Demote {
        force: bool,
    },
    /// Consistent disks are UpToDate.
    Settle,
}

/// A message between two kernels over an established connection.
#[derive(Clone, Debug)]
pub(super) enum Message {
    /// Role and disks of the sender, after a promotion or demotion.
    Role {
        role: Role,
        disks: Vec<DiskState>,
    },
    Disk {
        volume: usize,
        disk: DiskState,
    },
    /// The sender is target of somebody else: a sync with the receiver would have to wait.
    SyncElsewhere {
        volume: usize,
    },
    /// It need not wait any more.
    SyncFree {
        volume: usize,
    },
    /// The sender is target and has started.
    SyncStarted {
        volume: usize,
        paused: bool,
    },
    /// The sender was target and has everything it could get; its disk now.
    SyncEnded {
        volume: usize,
        disk: DiskState,
    },
    /// The sender has settled: its disk and the receiver's are UpToDate.
    Settled {
        volume: usize,
    },
    /// The sender attaches a disk that is behind, and goes no further: the receiver waits for its bitmap.
    AttachHangs {
        volume: usize,
    },
    /// The initial sync is skipped: the disks of both are good.
    Cleared {
        volume: usize,
    },
    /// A Primary is in the cluster that the receiver is not connected to.
    Outdate,
    /// The sender ends the connection; what it said of its disks last.
    Closed {
        outdated: bool,
    },
    /// The sender's end broke.
    Broken,
}

/// Steps of one thing, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) node: NodeIx,
    pub(super) boot: u64,
    pub(super) res: ResIx,
    pub(super) ticket: Option<Ticket>,
    pub(super) steps: VecDeque<Step>,
}

/// A step of a job.
#[derive(Clone, Debug)]
pub(super) enum Step {
    CreateResource,
    CreateDevice(usize),
    CreateConnection(NodeIx),
    CreatePath(NodeIx),
    Attaching(usize),
    Attached(usize),
    /// A disk that was attached while connected has asked its peers.
    Negotiated(usize),
    Connect(NodeIx),
    Connecting(NodeIx, u64),
    /// Ends a connection because the peers do not fit together.
    BreakOff(NodeIx),
    /// Ends a connection on request.
    Disconnect(NodeIx),
    PathDown(NodeIx),
    Call(Option<NodeIx>, Option<usize>, &'static str),
    Response(Option<NodeIx>, Option<usize>, &'static str, i32),
    Unconnected(NodeIx, u64),
    StandAlone(NodeIx),
    DestroyConnection(NodeIx),
    Detaching(usize),
    Detached(usize),
    DestroyDevice(usize),
    DestroyResource,
    /// The fence-peer handler has ended, with this code.
    Fenced(NodeIx, u8),
    /// Runs a command again from its start.
    Again(Command),
    /// A disk has failed, or is gone after that.
    Failed(usize),
    Gone(usize),
    /// The rest is only done if the connection is still the same.
    Guard(NodeIx, u64),
    /// A source goes on with a sync after its helper.
    SourceStart(usize, NodeIx),
    /// A target goes on with a sync after its helper.
    SyncStart(usize, NodeIx, u64),
    /// The command that runs the job ends well.
    Done,
}
