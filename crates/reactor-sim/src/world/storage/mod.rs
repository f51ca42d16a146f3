//! Storage events, in some of the worlds with other sources: what the kernel logs of disks and of what is built on them, and a daemon that reads it.
//!
//! ```text
//!  trouble ─▶ log: the ring of this boot, and the journal of all ─▶ collect: positions, catalogue, pipeline ─▶ Core ─ KeepIncidents ─▶ the file
//!                                                                        └─ what was lost, late, or comes twice: `invariants/storage.rs`
//! ```
//!
//! Positions, catalogue, devices and pipeline are the real ones; only their threads and files are not. All numbers come from a generator of their own,
//! so that nothing else in a world depends on what is logged.

mod collect;
mod log;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reactor_core::ids::Mono;
use reactor_core::input::Input;
use reactor_storage::incidents::Incident;
use reactor_sys::storage::position::Saved;

use crate::rng::Rng;

pub(super) use collect::Collecting;
use log::Log;
use trouble::{Stands, Wrong};

/// Microseconds since 1970 when a world begins.
const EPOCH_US: u64 = super::daemon::EPOCH_MS * 1000;

/// What a machine has that outlives its daemons.
#[derive(Debug)]
pub(super) struct StorageDisk {
    pub(super) rng: Rng,
    log: Log,
    /// What stands wrong, by all that is in the log.
    pub(super) wrong: BTreeMap<Wrong, Stands>,
    /// What was open when it was kept last, and in which boot.
    pub(super) file: Option<(u64, Vec<Arc<Incident>>)>,
    /// How far the log was read.
    position: Saved,
    /// Nobody can read the journal.
    journal_fails: bool,
    /// Ids of incidents that the daemon has written to the disk.
    written: BTreeSet<String>,
    /// The same, of which also the log was read, for all that is saved.
    pub(super) known: BTreeSet<String>,
    /// Ids of those that a person closed: what was on its way to the disk then still has them.
    closed: BTreeSet<String>,
}

impl StorageDisk {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            log: Log::default(),
            wrong: BTreeMap::new(),
            file: None,
            position: Saved::default(),
            journal_fails: false,
            written: BTreeSet::new(),
            known: BTreeSet::new(),
            closed: BTreeSet::new(),
        }
    }

    /// An incident of this id may be told again.
    pub(super) fn forget(&mut self, id: &str) {
        self.written.remove(id);
        self.known.remove(id);
        self.closed.insert(id.to_owned());
    }

    /// It was.
    pub(super) fn opens(&mut self, id: &str) {
        self.closed.remove(id);
    }

    /// One of so many.
    fn pick(&mut self, count: u64) -> u64 {
        self.rng.below(count)
    }
}

/// What is due of a daemon's collector.
#[derive(Clone, Debug)]
pub(super) enum ForStorage {
    /// It begins to read.
    Begin,
    /// Something new is in the log.
    Read,
    /// It looks whether all was taken.
    Settle,
    /// The loop takes what it was sent.
    Take(Box<Input>),
    /// The disk has answered: what was open before.
    Open,
    /// What is open is on the disk.
    Write,
}

/// That time on the axis of all events.
pub(super) fn axis(at: Mono) -> u64 {
    EPOCH_US + at.0 / 1000
}
