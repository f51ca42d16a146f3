//! What the simulator and its clients say to each other: a JSON object a line, answered in order on each connection.

use serde::{Deserialize, Serialize};

/// What a client asks. Each is answered by one [`Reply`], but [`Request::Events`], which is answered by [`Reply::Text`] until
/// the client closes the connection or the node loses its power.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Request {
    /// A program runs on a node: [`Reply::Done`].
    Run {
        /// The node's name.
        node: String,
        /// `drbdsetup` or `drbdadm`.
        program: Program,
        /// Its arguments.
        args: Vec<String>,
    },
    /// `drbdsetup events2` on a node.
    Events {
        /// The node's name.
        node: String,
        /// Only this resource.
        resource: Option<String>,
        /// End after the dump.
        now: bool,
        /// With time stamps.
        timestamps: bool,
    },
    /// The statistics, on a connection of `Events`: prints what moved since they were printed last.
    Poll,
    /// Opens a device for writing: [`Reply::Value`] with the number that is on it. It is closed with the connection at the latest.
    Open {
        /// The node's name.
        node: String,
        /// Resource.
        resource: String,
        /// Volume number.
        volume: u32,
    },
    /// Writes the next number to the device that this connection has open, and waits for its acknowledgement: [`Reply::Value`].
    Write,
    /// Closes it.
    Close,
    /// A fault, or a question about the world: [`Reply::Done`].
    Control {
        /// As `sim-ctl` got them.
        args: Vec<String>,
    },
}

/// Which program a request stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    /// `drbdsetup`
    Drbdsetup,
    /// `drbdadm`
    Drbdadm,
}

/// What the simulator answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// A program ended.
    Done {
        /// Exit code.
        code: i32,
        /// Standard output.
        stdout: String,
        /// Standard error.
        stderr: String,
    },
    /// events2 prints.
    Text {
        /// Whole lines.
        text: String,
    },
    /// The device was opened, or the write was acknowledged.
    Value {
        /// The number on the device.
        value: u64,
    },
    /// The device refused; the number of `errno`.
    Errno {
        /// For example 5 for EIO.
        errno: i32,
    },
}

impl Reply {
    /// A program that succeeded.
    pub fn good(stdout: impl Into<String>) -> Self {
        Self::Done { code: 0, stdout: stdout.into(), stderr: String::new() }
    }

    /// A program that failed.
    pub fn bad(code: i32, stderr: impl Into<String>) -> Self {
        Self::Done { code, stdout: String::new(), stderr: stderr.into() }
    }
}
