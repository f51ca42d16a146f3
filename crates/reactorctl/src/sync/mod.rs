//! Files from the node that runs a resource to the others: what goes, the way, and the side that takes it.
//!
//! ```text
//!  collect (.res file, snippet, listed files) ─▶ send, to all nodes at once ─ ssh, stream ─▶ receive ─▶ names, groups, trust ─▶ files
//!                                                     └─▶ store: who had all files when             └─▶ store: what was there before
//! ```

pub(crate) mod collect;
mod groups;
pub(crate) mod names;
pub(crate) mod receive;
pub(crate) mod send;
pub(crate) mod store;
pub(crate) mod stream;
mod ways;

/// The folder in which `drbdadm` looks for .res files.
pub(crate) const RES_FOLDER: &str = "/etc/drbd.d";

/// An error and its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    reactor_sys::chain::chain(error).to_string()
}
