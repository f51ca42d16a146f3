//! What waits for one receiver: pure, without disk or clock.
//!
//! ```text
//!  push ─▶ in memory ─ to_write, written ─▶ in memory and on the disk ─ (others wait before it) ─▶ on the disk only
//!             │                                   │                                                    │ to_read, was_read
//!             └───────────── begin, end ──────────┴── (its file goes: to_remove, removed) ◀────────────┘
//! ```
//!
//! Files have numbers in the order of the messages. A message that has arrived before it was written is never written.

use std::collections::VecDeque;
use std::sync::Arc;

use super::parcel::Parcel;

/// What may wait in memory, in bytes, because the disk does not take it. Beyond that the oldest are dropped.
const MAX_IN_MEMORY: usize = 8 * 1024 * 1024;

/// So many at the front stay in memory when they are on the disk, so that they need not be read again.
const WINDOW: usize = 16;

/// What waits, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: VecDeque<Entry>,
    /// The number of the last file that was written or found.
    last: u64,
    /// What was found on the disk is in it.
    is_loaded: bool,
    /// The first is being sent.
    is_sending: bool,
    /// Files of messages that have arrived or were dropped.
    gone: VecDeque<u64>,
    /// What entries that are only in memory weigh.
    in_memory: usize,
}

/// One message: in memory, on the disk, or both.
#[derive(Debug)]
struct Entry {
    parcel: Option<Arc<Parcel>>,
    file: Option<u64>,
}

impl Entry {
    fn is_only_in_memory(&self) -> bool {
        self.file.is_none()
    }

    fn weight(&self) -> usize {
        self.parcel.as_ref().map_or(0, |parcel| parcel.weight())
    }
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What was there before is known.
    pub(super) fn is_loaded(&self) -> bool {
        self.is_loaded
    }

    /// All that waits is on the disk.
    pub(super) fn is_kept(&self) -> bool {
        self.first_in_memory().is_none()
    }

    /// The oldest that is only in memory. What is on the disk comes before all others, but for a first one that was being sent when that was found.
    fn first_in_memory(&self) -> Option<usize> {
        if self.entries.front()?.is_only_in_memory() {
            return Some(0);
        }
        let at = self.entries.partition_point(|entry| !entry.is_only_in_memory());
        (at < self.entries.len()).then_some(at)
    }

    /// These files were found, in this order. They come before what was told meanwhile.
    pub(super) fn load(&mut self, files: &[u64]) {
        self.is_loaded = true;
        self.last = files.last().copied().unwrap_or(0).max(self.last);
        let at = usize::from(self.is_sending);
        for file in files.iter().rev() {
            self.entries.insert(at, Entry { parcel: None, file: Some(*file) });
        }
    }

    /// A new one.
    pub(super) fn push(&mut self, parcel: Arc<Parcel>) {
        self.in_memory += parcel.weight();
        self.entries.push_back(Entry { parcel: Some(parcel), file: None });
    }

    /// Drops the oldest until no more than `most` wait, and what is only in memory is no more than it may be. How many were dropped. The one that is
    /// being sent is not.
    pub(super) fn bound(&mut self, most: usize) -> u64 {
        let mut dropped = 0;
        let first = usize::from(self.is_sending);
        while self.entries.len() > most.max(1) && self.entries.len() > first {
            self.forget(first);
            dropped += 1;
        }
        while self.in_memory > MAX_IN_MEMORY {
            let oldest = (first..self.entries.len()).find(|at| self.entries[*at].is_only_in_memory());
            // The newest stays: a single one may be larger than that, and has its own bound.
            let Some(at) = oldest.filter(|at| at + 1 < self.entries.len()) else { break };
            self.forget(at);
            dropped += 1;
        }
        dropped
    }

    fn forget(&mut self, at: usize) {
        let Some(entry) = self.entries.remove(at) else { return };
        match entry.file {
            Some(file) => self.gone.push_back(file),
            None => self.in_memory -= entry.weight(),
        }
    }

    /// The first one, to be sent; `None` = nothing waits, or it has to be read first.
    pub(super) fn begin(&mut self) -> Option<Arc<Parcel>> {
        let parcel = self.entries.front()?.parcel.clone()?;
        self.is_sending = true;
        Some(parcel)
    }

    /// It is not being sent any longer, and stays.
    pub(super) fn rest(&mut self) {
        self.is_sending = false;
    }

    /// It has arrived, or is given up.
    pub(super) fn end(&mut self, parcel: &Arc<Parcel>) {
        // Another queue may be in the place of the one that it was taken from.
        let is_it = |entry: &Entry| entry.parcel.as_ref().is_some_and(|first| Arc::ptr_eq(first, parcel));
        if self.entries.front().is_some_and(is_it) {
            self.is_sending = false;
            self.forget(0);
        }
    }

    /// The oldest that is not on the disk, and the number of its file.
    pub(super) fn to_write(&self) -> Option<(Arc<Parcel>, u64)> {
        let at = self.first_in_memory().filter(|_| self.is_loaded)?;
        Some((self.entries[at].parcel.clone()?, self.last + 1))
    }

    /// That file is there.
    pub(super) fn written(&mut self, parcel: &Arc<Parcel>, file: u64) {
        self.last = self.last.max(file);
        let is_it = |entry: &Entry| entry.parcel.as_ref().is_some_and(|other| Arc::ptr_eq(other, parcel));
        // The oldest that is not on the disk is the one that was written, unless it has gone: then the next is another one.
        match self.first_in_memory().filter(|at| is_it(&self.entries[*at])) {
            Some(at) => {
                let entry = &mut self.entries[at];
                entry.file = Some(file);
                self.in_memory -= parcel.weight();
                if at >= WINDOW {
                    entry.parcel = None;
                }
            }
            // It has arrived meanwhile.
            None => self.gone.push_back(file),
        }
    }

    /// The first file of the front that has to be read.
    pub(super) fn to_read(&self) -> Option<u64> {
        self.entries.iter().take(WINDOW).find(|entry| entry.parcel.is_none())?.file
    }

    /// What is in that file.
    pub(super) fn was_read(&mut self, file: u64, parcel: Arc<Parcel>) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.file == Some(file)) {
            entry.parcel = Some(parcel);
        }
    }

    /// That file can't be read, or is not there any more. Whether a message is lost by that.
    pub(super) fn was_lost(&mut self, file: u64) -> bool {
        let at = self.entries.iter().position(|entry| entry.file == Some(file) && entry.parcel.is_none());
        at.is_some_and(|at| {
            self.forget(at);
            true
        })
    }

    /// A file that has to go.
    pub(super) fn to_remove(&self) -> Option<u64> {
        self.gone.front().copied()
    }

    /// It has gone.
    pub(super) fn removed(&mut self, file: u64) {
        if self.gone.front() == Some(&file) {
            self.gone.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
