//! What SNMP managers can ask, as a tree of object identifiers.
//!
//! ```text
//!   the loop:         Node::snapshot, Health        a reference count for each resource
//!   agentx thread:         └▶ Tree::refresh ─▶ Tree::get, Tree::next ─▶ answers
//!                          └▶ Incidents::compare ─▶ notifications
//! ```
//!
//! The first part has the identifiers, types, units and values of drbd-reactor's agent. What it does not have is in columns from 1001 on and in
//! tables of its own below 1000, so that nobody who reads the first part sees a difference. What DRBD does not say has no instance.
//!
//! Each agent keeps a tree of its own, which writes the rows of the resources that changed since the last refresh; a question is a search in
//! sorted maps. The columns are written once, in `columns`: the rows and the MIB file come from there.

mod columns;
pub mod incidents;
pub mod mib;
mod oid;
mod table;
mod tree;
mod value;

pub use incidents::{Incident, IncidentKind, Incidents};
pub use oid::Oid;
pub use tree::{Facts, Found, Tree};
pub use value::Value;

/// LINBIT's number below `enterprises`: all that we serve is below it, and it is what an agent registers.
pub const BASE: &[u32] = &[1, 3, 6, 1, 4, 1, 23302];

/// Whether the states of peers are served (`peer-states` of `[[agentx]]`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum PeerStates {
    /// No: columns 24 to 49 and the tables of connections and peers are left out.
    Hidden,
    /// Yes.
    #[default]
    Shown,
}

impl From<bool> for PeerStates {
    /// The value of the setting.
    fn from(shown: bool) -> Self {
        if shown { Self::Shown } else { Self::Hidden }
    }
}
