//! Commands, their answers, and what a service sees of a device.

use reactor_core::ids::Mono;

use super::spec::NodeIx;

/// A command that was given; its [`Reply`] carries the same ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What `drbdadm` and `drbdsetup` can be asked. `resource` is the name now, also after a rename.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `drbdsetup primary RES [--force]`
    Primary {
        /// Resource.
        resource: String,
        /// `--force`
        force: bool,
    },
    /// `drbdsetup secondary RES [--force]`
    Secondary {
        /// Resource.
        resource: String,
        /// `--force`
        force: bool,
    },
    /// `drbdadm adjust RES`
    Adjust {
        /// Resource.
        resource: String,
    },
    /// `drbdadm adjust --skip-disk RES`
    AdjustLinks {
        /// Resource.
        resource: String,
    },
    /// `drbdadm up RES`
    Up {
        /// Resource.
        resource: String,
    },
    /// `drbdadm down RES`
    Down {
        /// Resource.
        resource: String,
    },
    /// `drbdadm connect RES[:PEER] [--discard-my-data]`
    Connect {
        /// Resource.
        resource: String,
        /// Only this peer.
        peer: Option<NodeIx>,
        /// `--discard-my-data`
        discard_my_data: bool,
    },
    /// `drbdadm disconnect RES[:PEER]`
    Disconnect {
        /// Resource.
        resource: String,
        /// Only this peer.
        peer: Option<NodeIx>,
    },
    /// `drbdadm attach RES/VOL`
    Attach {
        /// Resource.
        resource: String,
        /// Volume number.
        volume: u32,
    },
    /// `drbdadm detach RES/VOL`
    Detach {
        /// Resource.
        resource: String,
        /// Volume number.
        volume: u32,
    },
    /// `drbdadm new-current-uuid --clear-bitmap RES/VOL`
    NewCurrentUuid {
        /// Resource.
        resource: String,
        /// Volume number.
        volume: u32,
    },
    /// `drbdadm invalidate RES/VOL`
    Invalidate {
        /// Resource.
        resource: String,
        /// Volume number.
        volume: u32,
    },
    /// `drbdadm suspend-io RES`
    SuspendIo {
        /// Resource.
        resource: String,
    },
    /// `drbdadm resume-io RES`
    ResumeIo {
        /// Resource.
        resource: String,
    },
    /// `drbdsetup rename-resource RES NEW`
    Rename {
        /// Resource.
        resource: String,
        /// Its new name.
        new_name: String,
    },
    /// `drbdsetup show --show-defaults --json RES`
    Show {
        /// Resource; all without one.
        resource: Option<String>,
    },
    /// `drbdsetup status --json [RES]`
    Status {
        /// Resource; all without one.
        resource: Option<String>,
    },
    /// `drbdadm sh-ll-dev RES`
    ShLlDev {
        /// Resource.
        resource: String,
    },
}

/// The end of a command, as its process ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Which command.
    pub ticket: Ticket,
    /// Where it ran.
    pub node: NodeIx,
    /// When it ended.
    pub at: Mono,
    /// Exit code: 0, 10, 11, 20.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A device held open by a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenId(pub u64);

/// A write in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WriteId(pub u64);

/// Why a device refuses; the names of `errno`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errno {
    /// EIO: Input/output error.
    Io,
    /// ENODATA: No data available.
    NoData,
    /// EROFS: Read-only file system (the node is Secondary).
    ReadOnly,
    /// ENOTRECOVERABLE: State not recoverable (forced I/O failures).
    NotRecoverable,
    /// ENODEV: No such device (not configured).
    NoDevice,
}

impl Errno {
    /// Its number on Linux.
    pub fn number(self) -> i32 {
        match self {
            Self::Io => 5,
            Self::NoDevice => 19,
            Self::ReadOnly => 30,
            Self::NoData => 61,
            Self::NotRecoverable => 131,
        }
    }
}

/// The end of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteEnd {
    /// Which write.
    pub write: WriteId,
    /// When.
    pub at: Mono,
    /// Acknowledged: on stable storage of all connected up-to-date disks; or refused.
    pub result: Result<(), Errno>,
}
