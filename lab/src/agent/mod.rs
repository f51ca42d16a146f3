//! Runs commands in a node and carries files, over the serial line.
//!
//! The line is the one way into a node that does not depend on the network under test. In the node the program
//! `lab-agent` ([`guest`]) serves it, on the host an [`AgentClient`] asks. Both speak [`wire`].
//!
//! ```text
//!   host                               node
//!     |        (whatever the kernel says)|
//!     |<------------------- Ready -------|  the agent starts: after every boot
//!     |-- Exec 1 ----------------------->|
//!     |-- Exec 2 ----------------------->|  several at once
//!     |<--------------- Output 2 --------|
//!     |<----------------- Done 2 --------|
//!     |-- Cancel 1 --------------------->|  the host has waited long enough
//! ```

mod client;
mod error;
pub mod guest;
pub mod wire;

pub use client::{AgentClient, Command, DEFAULT_MOST, Output};
pub use error::AgentError;

#[cfg(test)]
mod tests;
