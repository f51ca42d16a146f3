//! What a cluster cannot do, with the node and, where it helps, the end of its console.

use std::io;
use std::path::PathBuf;

use super::rundir::RunDirError;
use crate::agent::AgentError;
use crate::backend::BackendError;
use crate::keeper::MachineError;
use crate::switch::SwitchError;

/// What a cluster cannot do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// There is no run folder.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// The switch cannot do it.
    #[error(transparent)]
    Switch(#[from] SwitchError),
    /// The backend cannot do it.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// This host cannot run nodes.
    #[error("this host cannot run nodes: {what}")]
    Host {
        /// What is missing and what to do.
        what: String,
    },
    /// No node has this name.
    #[error("no node is called {name} (there are {known})")]
    UnknownNode {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The node is off.
    #[error("{node} is off (`lab boot {node}` starts it)")]
    Off {
        /// The node.
        node: String,
    },
    /// The machine does not start.
    #[error("{node} does not start")]
    Machine {
        /// The node.
        node: String,
        /// Why.
        #[source]
        source: MachineError,
    },
    /// A serial line cannot be made.
    #[error("cannot make a serial line for {node}")]
    Line {
        /// The node.
        node: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The node does not come up.
    #[error("{node} does not come up: {why}; its console ends with:\n{console}")]
    Boot {
        /// The node.
        node: String,
        /// What was seen.
        why: String,
        /// The console's last lines.
        console: String,
    },
    /// Somebody has cut the node's power meanwhile.
    #[error("{node} lost its power while it came up")]
    Killed {
        /// The node.
        node: String,
    },
    /// The node does not go down.
    #[error("waited {seconds} s for {node} {what}; its console ends with:\n{console}")]
    NotEnded {
        /// The node.
        node: String,
        /// What was waited for.
        what: &'static str,
        /// How long.
        seconds: u64,
        /// The console's last lines.
        console: String,
    },
    /// The agent did not do it.
    #[error("cannot run `{command}` on {node}")]
    Agent {
        /// The node.
        node: String,
        /// The command.
        command: String,
        /// Why.
        #[source]
        source: AgentError,
    },
    /// A command failed that had to succeed.
    #[error("`{command}` on {node} ended with exit code {code}: {output}")]
    Command {
        /// The node.
        node: String,
        /// The command.
        command: String,
        /// Its exit code.
        code: i32,
        /// All it printed.
        output: String,
    },
    /// The node has no such disk.
    #[error("{node} has no data disk {disk}, it has {disks}")]
    NoDisk {
        /// The node.
        node: String,
        /// The number.
        disk: u8,
        /// How many it has.
        disks: usize,
    },
    /// A file cannot be copied.
    #[error("cannot copy {path} for {node}")]
    Copy {
        /// The node.
        node: String,
        /// The file on the host.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Somebody has the node's shell.
    #[error("{node} has a shell open already")]
    ShellTaken {
        /// The node.
        node: String,
    },
}
