//! The kernel's log of one machine: a ring for the boot that is, and the journal, which has all of them.

use std::borrow::Cow;

use reactor_core::ids::Mono;
use reactor_storage::record::{Origin, Record};
use reactor_sys::storage::position::Line;

use super::axis;
use super::trouble::Wrong;

/// So many lines are in the ring. A flood is longer.
const RING: u64 = 128;

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Logged {
    boot: u64,
    pub(super) sequence: u64,
    at: Mono,
    boot_us: u64,
    text: String,
    /// What it says to stand wrong, or to be right again.
    pub(super) says: Option<(Wrong, bool)>,
}

impl Logged {
    pub(super) fn line(&self) -> Line {
        Line::new(self.boot_us, &self.text)
    }

    pub(super) fn wall_us(&self) -> u64 {
        axis(self.at)
    }

    pub(super) fn boot(&self) -> String {
        boot_name(self.boot)
    }

    pub(super) fn record(&self) -> Record<'static> {
        let mut record = Record::new(Origin::Kernel, Cow::Owned(self.text.clone()));
        record.at.boot_us = Some(self.boot_us);
        record.at.wall_us = Some(self.wall_us());
        record.place.boot = Some(Cow::Owned(self.boot()));
        record.place.sequence = Some(self.sequence);
        record
    }
}

/// As the journal spells it.
pub(super) fn boot_name(boot: u64) -> String {
    format!("{boot:032x}")
}

/// All lines of all boots.
#[derive(Debug, Default)]
pub(super) struct Log {
    lines: Vec<Logged>,
    boot: u64,
    booted: Mono,
    next: u64,
}

impl Log {
    /// The machine boots.
    pub(super) fn begin(&mut self, boot: u64, now: Mono) {
        (self.boot, self.booted, self.next) = (boot, now, 0);
    }

    pub(super) fn put(&mut self, now: Mono, text: String, says: Option<(Wrong, bool)>) {
        // A coarse clock: many lines have the same stamp.
        let boot_us = self.booted.0.abs_diff(now.0) / 10_000_000 * 10_000;
        self.lines.push(Logged { boot: self.boot, sequence: self.next, at: now, boot_us, text, says });
        self.next += 1;
    }

    /// The number of the first line that is still in the ring, and those from it on.
    pub(super) fn ring(&self) -> (u64, Vec<Logged>) {
        let first = self.next.saturating_sub(RING);
        let of_boot = self.lines.iter().rev().take_while(|line| line.boot == self.boot && line.sequence >= first);
        let mut ring: Vec<Logged> = of_boot.cloned().collect();
        ring.reverse();
        (first, ring)
    }

    /// All that the journal has.
    pub(super) fn journal(&self) -> &[Logged] {
        &self.lines
    }
}
