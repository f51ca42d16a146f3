//! What the `lab` commands and the cluster's process say to each other: one JSON line there, some back.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The control socket in the run folder.
pub(crate) const SOCKET: &str = "ctl";

/// What a command wants.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Request {
    Status,
    Exec { node: String, command: String, within: Duration },
    Power { nodes: Vec<String>, order: PowerOrder },
    Fault { from: String, to: Option<String>, one_way: bool, fault: Fault },
    HealAll,
    Disk { node: String, disk: u8, order: DiskOrder },
    Push { node: String, from: PathBuf, to: String },
    Pull { node: String, from: String, to: PathBuf },
    Capture { file: Option<PathBuf> },
    Shell { node: String, terminal: Terminal },
    Down { force: bool },
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PowerOrder {
    Boot,
    Off,
    Kill,
    Hang,
    Resume,
    Crash,
    Reboot,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DiskOrder {
    /// Every access fails, also when the disk is in use
    Fail,
    /// The disk works again, with what it had
    Repair,
    /// The disk is pulled; refused while it is in use
    Remove,
    /// The disk is plugged in again
    Add,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    Cut,
    Heal,
    Delay { delay: Duration, jitter: Duration },
    Loss { parts_per_million: u32 },
    Flap { down: Duration, up: Duration },
}

/// The person's terminal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Terminal {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
    pub(crate) name: String,
}

/// What comes back. The last line is `Done`, `Failed`, `Ended` or `Stream`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reply {
    /// A line for the person.
    Said {
        text: String,
    },
    Done,
    Failed {
        why: String,
    },
    /// Something a command in a node has printed.
    Printed {
        error: bool,
        bytes: Vec<u8>,
    },
    /// It has ended.
    Ended {
        code: i32,
    },
    /// From here on the socket carries the terminal's bytes.
    Stream,
}
