//! The same thing again and again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::LazyLock;

use super::group::Made;
use super::{Phase, Told};
use crate::catalogue::types;
use crate::event::Event;

/// An event is over when it did not come again for so many microseconds.
const GAP_US: u64 = 10_000_000;
/// It is told at most so often that it grows.
const TELL_US: u64 = 5_000_000;
/// After so long a new one begins, also if it never stops.
const LONGEST_US: u64 = 600_000_000;
/// So many are counted at once.
const MAX_BURSTS: usize = 1024;

/// Functions of the kernel that say how many lines they did not print, and the types of events of those lines.
const SUPPRESSORS: [(&str, &str); 4] =
    [("blk_print_req_error", "BLK_"), ("print_req_error", "BLK_"), ("buffer_io_error", "BUF_"), ("EXT4-fs", "FS_")];

/// By type, the types of events that say that it is right again.
static CLEARED_BY: LazyLock<BTreeMap<&str, Vec<&str>>> = LazyLock::new(|| {
    let mut by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for event in types::all() {
        for cleared in event.clears {
            by.entry(cleared).or_default().push(&event.name);
        }
    }
    by
});

/// By type and device.
type Key = (String, String);

/// Events that may come again.
#[derive(Debug, Default)]
pub(super) struct Bursts {
    of: BTreeMap<Key, Burst>,
    /// By when they may be over, the earliest first; a burst that went on since has a later entry, too.
    due: VecDeque<(u64, Key)>,
}

#[derive(Debug)]
struct Burst {
    event: Event,
    since_us: u64,
    last_us: u64,
    told_us: u64,
}

impl Burst {
    fn told(&self, phase: Phase) -> Told {
        Told { phase, event: self.event.clone() }
    }
}

impl Bursts {
    pub(super) fn put(&mut self, made: Made, told: &mut Vec<Told>) {
        let Made { event, of, last_us } = made;
        // What comes after it was right again is not the same event, and what is right after it went wrong again is another one, too: who reads
        // events in the order in which they began is to see each change.
        self.end_of(of.clears, &event, told);
        self.end_of(CLEARED_BY.get(event.kind.as_str()).map_or(&[], Vec::as_slice), &event, told);
        let key = (event.kind.clone(), identity(&event));
        let goes_on = self.of.get_mut(&key).filter(|burst| {
            last_us.saturating_sub(burst.last_us) <= GAP_US && last_us.saturating_sub(burst.since_us) <= LONGEST_US
        });
        let Some(burst) = goes_on else {
            if let Some(over) = self.of.remove(&key) {
                told.push(over.told(Phase::Ended));
            }
            self.make_room(told);
            let burst = Burst { since_us: last_us, last_us, told_us: last_us, event };
            told.push(burst.told(Phase::Began));
            self.of.insert(key.clone(), burst);
            self.due.push_back((last_us + GAP_US, key));
            self.forget_what_has_gone();
            return;
        };
        burst.event.count += event.count;
        burst.event.last = event.last;
        burst.last_us = last_us;
        range(&mut burst.event, &event);
        let is_worse = event.severity > burst.event.severity;
        burst.event.severity = burst.event.severity.max(event.severity);
        if is_worse || last_us.saturating_sub(burst.told_us) >= TELL_US {
            burst.told_us = last_us;
            told.push(burst.told(Phase::Grew));
        }
    }

    /// Events of these types on the event's devices are over.
    fn end_of(&mut self, kinds: &[&str], event: &Event, told: &mut Vec<Told>) {
        for kind in kinds {
            for device in event.devices() {
                if let Some(over) = self.of.remove(&((*kind).to_owned(), device.key())) {
                    told.push(over.told(Phase::Ended));
                }
            }
        }
    }

    /// In a log in which time stands still, entries of bursts that are over would pile up.
    fn forget_what_has_gone(&mut self) {
        if self.due.len() > 4 * MAX_BURSTS {
            let mut due: Vec<_> = self.of.iter().map(|(key, burst)| (burst.last_us + GAP_US, key.clone())).collect();
            due.sort();
            self.due = due.into();
        }
    }

    /// Lines of this function were not printed: the event that they would have counted says so.
    pub(super) fn suppressed(&mut self, function: &str, count: u64) {
        let Some((_, kinds)) = SUPPRESSORS.iter().find(|(name, _)| function.starts_with(name)) else { return };
        let newest = self.of.values_mut().filter(|burst| burst.event.kind.starts_with(kinds));
        if let Some(burst) = newest.max_by_key(|burst| burst.last_us) {
            let known = burst.event.fields.get("suppressed").and_then(|known| known.parse().ok()).unwrap_or(0_u64);
            burst.event.fields.insert("suppressed".to_owned(), known.saturating_add(count).to_string());
        }
    }

    /// How many entries wait for their time.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.due.len()
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.due.front().map(|(at, _)| *at)
    }

    pub(super) fn expire(&mut self, now_us: u64, told: &mut Vec<Told>) {
        while self.due.front().is_some_and(|(at, _)| *at <= now_us) {
            let Some((_, key)) = self.due.pop_front() else { break };
            match self.of.get(&key).map(|burst| burst.last_us + GAP_US) {
                None => {}
                Some(at) if at > now_us => self.due.push_back((at, key)),
                Some(_) => told.extend(self.of.remove(&key).map(|over| over.told(Phase::Ended))),
            }
        }
    }

    pub(super) fn finish(&mut self, told: &mut Vec<Told>) {
        let mut over: Vec<Burst> = std::mem::take(&mut self.of).into_values().collect();
        over.sort_by_key(|burst| burst.since_us);
        told.extend(over.iter().map(|burst| burst.told(Phase::Ended)));
        self.due.clear();
    }

    fn make_room(&mut self, told: &mut Vec<Told>) {
        if self.of.len() < MAX_BURSTS {
            return;
        }
        let oldest = self.of.iter().min_by_key(|(_, burst)| burst.last_us).map(|(key, _)| key.clone());
        if let Some(over) = oldest.and_then(|key| self.of.remove(&key)) {
            told.push(over.told(Phase::Ended));
        }
    }
}

/// What an event is about; without a device, its text without the numbers in it.
fn identity(event: &Event) -> String {
    match &event.device {
        Some(device) => device.key(),
        None => event.message.chars().filter(|c| !c.is_ascii_digit()).take(128).collect(),
    }
}

/// Where on the device: from the lowest to the highest.
fn range(event: &mut Event, next: &Event) {
    for (field, last) in [("sector", "last-sector"), ("block", "last-block")] {
        let number = |event: &Event, field| event.fields.get(field).and_then(|text: &String| text.parse::<u64>().ok());
        let Some(at) = number(next, field) else { continue };
        let Some(first) = number(event, field) else { continue };
        let highest = number(event, last).unwrap_or(first).max(at);
        event.fields.insert(field.to_owned(), first.min(at).to_string());
        event.fields.insert(last.to_owned(), highest.to_string());
    }
}
