//! What runs a node: the description of a machine, and the trait behind which User-Mode Linux and QEMU are ways to run it.

use std::fmt;
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::keeper::Launch;
use crate::switch::{Net, Port};

/// The name of the agent's line among the descriptors of [`Launch`].
pub const AGENT: &str = "agent";
/// The name of the line for a person's shell.
pub const SHELL: &str = "shell";
/// The name of the line to the power switches.
pub const POWER: &str = "power";

/// The name of an interface's socket among the descriptors of [`Launch`].
#[must_use]
pub fn net_fd(net: Net) -> String {
    format!("net{}", net.0)
}

/// A node's machine: everything that is fixed before its first boot.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    /// The host name: n1, n2, ...
    pub name: String,
    /// Its plug in every network.
    pub port: Port,
    /// The networks it has an interface in.
    pub nets: Vec<Net>,
    /// The node's folder: its disks, its console and what the backend needs. Nobody else's.
    pub dir: PathBuf,
    /// Shared with the node: files in and out.
    pub share: PathBuf,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// The files of the data disks, in order. They are made when missing.
    pub disks: Vec<PathBuf>,
    /// What systemd shall take as the machine's id: 32 hexadecimal digits.
    pub machine_id: String,
    /// More words for the kernel's command line.
    pub words: Vec<String>,
}

impl NodeSpec {
    /// The node's address in a network; every network is a /24.
    #[must_use]
    pub fn address(&self, net: Net) -> Ipv4Addr {
        address(net, self.port)
    }

    /// The console's file.
    #[must_use]
    pub fn console(&self) -> PathBuf {
        self.dir.join("console.log")
    }
}

/// The address of the node with this plug: 10.77.0.N in the data network, 10.78.0.N in the management network.
#[must_use]
pub fn address(net: Net, port: Port) -> Ipv4Addr {
    Ipv4Addr::new(10, 77 + net.0, 0, port.0 + 1)
}

/// What can be asked of the machine itself, past everything that runs in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// The power button is pressed: a clean shutdown.
    PowerButton,
    /// The kernel panics.
    Crash,
    /// A data disk, counted from 1, is pulled. A disk in use can be refused.
    RemoveDisk(u8),
    /// The data disk is plugged in again.
    AddDisk(u8),
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::PowerButton => f.write_str("press the power button"),
            Request::Crash => f.write_str("crash the kernel"),
            Request::RemoveDisk(disk) => write!(f, "remove disk {disk}"),
            Request::AddDisk(disk) => write!(f, "add disk {disk}"),
        }
    }
}

/// A way to run nodes.
pub trait Backend: fmt::Debug + Send + Sync {
    /// Makes what the first boot needs; what is there stays.
    fn prepare(&self, node: &NodeSpec) -> Result<(), BackendError>;

    /// How to start the machine.
    fn launch(&self, node: &NodeSpec) -> Launch;

    /// Asks the machine; blocks until it has answered, a few seconds at most.
    fn ask(&self, node: &NodeSpec, request: &Request) -> Result<(), BackendError>;

    /// The name of a data disk, counted from 1, in the node.
    fn disk_device(&self, disk: u8) -> String;

    /// Is a disk pulled that something in the node has open? Else that is refused.
    fn pulls_disks_in_use(&self) -> bool {
        false
    }
}

/// Makes the files of a node's data disks, sparse; what is there stays.
pub(crate) fn make_disks(node: &NodeSpec, mib: u64) -> Result<(), BackendError> {
    for path in &node.disks {
        let made = match File::options().write(true).create_new(true).open(path) {
            Ok(file) => file.set_len(mib << 20),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        };
        made.map_err(|source| BackendError::Prepare { path: path.clone(), source })?;
    }
    Ok(())
}

/// What a backend cannot do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// A file of the node cannot be made.
    #[error("cannot make {}", .path.display())]
    Prepare {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program that makes a file of the node has failed.
    #[error("cannot make {}: {said}", .path.display())]
    Tool {
        /// The file.
        path: PathBuf,
        /// The program's last words.
        said: String,
    },
    /// The machine does not answer.
    #[error("cannot {request} on {node}: its monitor does not answer")]
    Silent {
        /// The node.
        node: String,
        /// What it was asked.
        request: Request,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The machine says no.
    #[error("cannot {request} on {node}: {answer}")]
    Refused {
        /// The node.
        node: String,
        /// What it was asked.
        request: Request,
        /// Its words.
        answer: String,
    },
}

#[cfg(test)]
impl NodeSpec {
    /// n2 with two networks and two disks, for the tests of backends.
    pub(crate) fn second(run: &std::path::Path, word: &str) -> Self {
        let dir = run.join("n2");
        Self {
            name: "n2".into(),
            port: Port(1),
            nets: vec![Net::DATA, Net::MGMT],
            share: dir.join("share"),
            disks: vec![dir.join("disk1"), dir.join("disk2")],
            dir,
            memory_mib: 384,
            machine_id: "00000000000000000000000000000002".into(),
            words: vec![word.into()],
        }
    }
}
