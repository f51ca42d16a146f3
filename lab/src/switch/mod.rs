//! The Ethernet switch between the nodes of a lab cluster: sockets instead of cables, and every cable can be broken.
//!
//! ```text
//! node n1 ── socketpair ──┐                         ┌── socketpair ── node n2
//!                         ├── epoll thread, Fabric ──┤
//! node n3 ── socketpair ──┘   (who gets it, when)   └── capture file
//! ```
//!
//! [`Fabric`] decides, on given instants and without I/O, who gets a frame and when. [`Switch`] is the thread around it.
//! A network has one [`Link`] for each ordered pair of nodes, so a cut in one direction is as simple as one in both.
//! Frames are carried whole; nothing above Ethernet is looked at. The management network takes no faults, ever.

mod capture;
mod fabric;
mod io;
mod link;

pub use fabric::{Counters, Fabric, Target};
pub use io::Switch;
pub use link::{Flap, Link, LinkState, PartsPerMillion};

use std::fmt;
use std::io as std_io;
use std::path::PathBuf;

/// One of the networks of a cluster. Every node has an interface in each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Net(pub u8);

impl Net {
    /// Carries DRBD and the cluster's addresses; faults happen here.
    pub const DATA: Net = Net(0);
    /// Always works: what is used to observe a cluster, and the simulator's way.
    pub const MGMT: Net = Net(1);

    /// May links of this network be cut, delayed, made lossy?
    #[must_use]
    pub fn takes_faults(self) -> bool {
        self != Net::MGMT
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Net::DATA => f.write_str("data network"),
            Net::MGMT => f.write_str("management network"),
            Net(other) => write!(f, "network {other}"),
        }
    }
}

/// A plug of the switch: the node with this number (from 0) has one in every network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub u8);

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {}", self.0)
    }
}

/// The hardware address of a node's interface, locally administered.
#[must_use]
pub fn mac(net: Net, port: Port) -> String {
    format!("02:00:00:00:{:02x}:{:02x}", net.0, port.0 + 1)
}

/// What the switch cannot do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SwitchError {
    /// The management network stays whole.
    #[error("the {net} takes no faults: tests rely on it to see what happens")]
    Protected {
        /// Which one.
        net: Net,
    },
    /// A node has no link to itself.
    #[error("{port} has no link to itself")]
    SamePort {
        /// Which one.
        port: Port,
    },
    /// A socket, the epoll set or the thread could not be made.
    #[error("cannot set up the switch: {what}")]
    SetUp {
        /// The call that failed.
        what: &'static str,
        /// Why.
        #[source]
        source: std_io::Error,
    },
    /// The capture file cannot be written.
    #[error("cannot capture to {path}")]
    Capture {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std_io::Error,
    },
}
