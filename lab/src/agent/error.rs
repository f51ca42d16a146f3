//! Why the agent did not do it.

use std::io;
use std::time::Duration;

use super::client::Output;

/// Why the agent did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// No agent has said that it is there.
    #[error("the node's agent has not started yet")]
    NotReady,
    /// No answer in time. The command is killed in the node, if it can be.
    #[error("no answer within {} s{}", .within.as_secs_f32(), .so_far.said())]
    Timeout {
        /// The time there was.
        within: Duration,
        /// What the command had printed by then.
        so_far: Box<Output>,
    },
    /// The node or its agent has started anew in the middle of it.
    #[error("the node's agent started anew before it had answered")]
    Restarted,
    /// The line is closed: the node is off.
    #[error("the line to the node's agent is closed")]
    Gone,
    /// The agent is not of our making.
    #[error(
        "the agent in the image speaks version {found}, this program version {}: build the image anew",
        super::wire::VERSION
    )]
    Version {
        /// Its version.
        found: u32,
    },
    /// The agent cannot do it.
    #[error("the agent cannot do it: {why}")]
    Refused {
        /// Its words.
        why: String,
    },
    /// A file of the host cannot be used.
    #[error("cannot use {}", .path.display())]
    File {
        /// Which one.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}
