//! The simulated DRBD of the demo: its process, and what each node sees of it.

use std::path::Path;

use anyhow::{Result, bail};

/// Starts it for the cluster in `dir`; it lives until [`stop`].
pub(crate) fn start(_dir: &Path) -> Result<()> {
    bail!("not yet")
}

/// Puts drbdsetup, drbdadm and the shim of a node into `bin`, and drbd-utils' unit files into `lib`.
pub(crate) fn tools(_dir: &Path, _node: &str, _bin: &Path, _lib: &Path) -> Result<()> {
    Ok(())
}

/// What programs of a node have in their environment.
pub(crate) fn environment(dir: &Path, node: &str) -> Vec<(&'static str, String)> {
    vec![("DRBD_SIM", dir.join("drbd.sock").display().to_string()), ("DRBD_SIM_NODE", node.to_owned())]
}

/// Does something to it: `crash NODE`, `boot NODE`, `cut NODE`, `heal`.
pub(crate) fn control(_dir: &Path, _words: &[&str]) -> Result<()> {
    Ok(())
}

/// Ends it.
pub(crate) fn stop(_dir: &Path) -> Result<()> {
    Ok(())
}
