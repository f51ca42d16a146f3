//! What the configuration takes for granted about the system: units, OCF agents, DRBD resources, each with its place in the files.
//!
//! Reading files says nothing about the machine. [`Needs::questions`] says what to ask it; whoever may do I/O finds out
//! ([`reactor_core::facts`]), and [`Needs::check`] turns the answers into findings. Nothing here waits for anything, so the daemon can
//! ask in a task of its own and its loop goes on.

use reactor_core::facts::{Questions, SystemFacts};

use crate::finding::Finding;

/// What the running settings need of the system. Cheap to clone, and independent of [`crate::Loaded`].
#[derive(Clone, Debug, Default)]
pub struct Needs {}

impl Needs {
    /// What must be asked of the system.
    pub fn questions(&self) -> Questions {
        Questions::default()
    }

    /// What is wrong, given what the system says. At most one finding says what could not be checked.
    pub fn check(&self, _facts: &SystemFacts) -> Vec<Finding> {
        Vec::new()
    }
}
