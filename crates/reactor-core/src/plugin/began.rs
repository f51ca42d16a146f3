//! Which storage events began in this step: they are told with how far they are, and again with what is made of them.

use std::collections::BTreeSet;

use reactor_storage::pipeline::Phase;

use crate::input::{Fact, Record};

/// See the module's head. At most those of one input.
#[derive(Debug, Default)]
pub(super) struct Began(BTreeSet<String>);

impl Began {
    /// What the source says.
    pub(super) fn records(&mut self, records: &[Record]) {
        self.0.clear();
        for record in records {
            if let Fact::Storage(told) = &record.fact
                && told.phase == Phase::Began
            {
                self.0.insert(told.event.id.clone());
            }
        }
    }

    /// Whether the event of this id began; that is so once.
    pub(super) fn take(&mut self, id: &str) -> bool {
        self.0.remove(id)
    }
}
