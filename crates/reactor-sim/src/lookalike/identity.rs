//! Which simulator a look-alike belongs to, and which node it is on.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The file in a node's folder.
pub const FILE: &str = "sim-drbd.json";

/// Where the simulator listens, and the own node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Path of a Unix socket, or `tcp:HOST:PORT`.
    pub socket: String,
    /// The node's name; `sim-ctl` needs none.
    #[serde(default)]
    pub node: String,
}

impl Identity {
    /// From the environment (`SIM_DRBD`, `SIM_NODE`), which wins, and from [`FILE`] in the folder that the program was called in.
    pub fn find() -> Result<Self> {
        let folder = own_folder();
        let file = folder.join(FILE);
        let mut identity = match std::fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text).with_context(|| format!("reading {}", file.display()))?,
            Err(_) => Self { socket: String::new(), node: String::new() },
        };
        if let Ok(socket) = std::env::var("SIM_DRBD") {
            identity.socket = socket;
        }
        if let Ok(node) = std::env::var("SIM_NODE") {
            identity.node = node;
        }
        if identity.socket.is_empty() {
            anyhow::bail!(
                "this look-alike belongs to no simulator: set SIM_DRBD and SIM_NODE, or write {}",
                file.display()
            );
        }
        Ok(identity)
    }
}

/// The folder that the program was called in. A symbolic link is not followed: the folder of the link is the node's.
fn own_folder() -> PathBuf {
    let name = std::env::args_os().next().unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    folder_of(Path::new(&name), &path)
}

fn folder_of(name: &Path, search: &OsStr) -> PathBuf {
    if name.as_os_str().as_bytes().contains(&b'/') {
        return name.parent().unwrap_or(Path::new(".")).to_owned();
    }
    std::env::split_paths(search).find(|folder| folder.join(name).exists()).unwrap_or_else(|| PathBuf::from("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_that_of_the_call() {
        assert_eq!(folder_of(Path::new("/tmp/n1/drbdsetup"), OsStr::new("/bin")), Path::new("/tmp/n1"));
        assert_eq!(folder_of(Path::new("sh"), OsStr::new("/nowhere:/bin")), Path::new("/bin"));
        assert_eq!(folder_of(Path::new("no-such-program"), OsStr::new("/nowhere")), Path::new("."));
    }
}
