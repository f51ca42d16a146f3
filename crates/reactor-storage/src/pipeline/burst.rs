//! The same thing again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::LazyLock;

use super::group::Made;
use super::said::{Heard, Said};
use super::{Phase, Told};
use crate::catalogue::types;
use crate::device::Summary;
use crate::event::{Event, MAX_LINES, Severity};
use crate::record::Stamp;

/// An event is over when it did not come again for so many microseconds.
const GAP_US: u64 = 10_000_000;
/// It is told at most so often that it grows.
const TELL_US: u64 = 5_000_000;
/// After so long a new one begins, also if it never stops.
const LONGEST_US: u64 = 600_000_000;
/// The field of an event that says who else has told it.
const ALSO_FROM: &str = "also-from";
/// The field that says what is so now, and not where it began.
const PATHS: &str = "paths";
/// It is so or it is not: whoever says it once more, in other words or to remind, has not seen it happen again.
const STATE: &str = "MPATH_ALL_PATHS_DOWN";
/// A number of paths that are left, which is said when it sinks, too: from who has not yet counted down to none it is late.
const COUNT: &str = "MPATH_PATHS_LEFT";
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
#[derive(Debug)]
pub(super) struct Bursts {
    of: BTreeMap<Key, Burst>,
    /// How often each source has said it, also of what is over.
    said: Said<Key>,
    /// When to look at which, the earliest first: it may be over, or what it has grown by has not been told.
    due: BTreeSet<(u64, Key)>,
}

#[derive(Debug)]
struct Burst {
    event: Event,
    since_us: u64,
    last_us: u64,
    told_us: u64,
    /// It has grown since it was told.
    is_untold: bool,
}

impl Default for Bursts {
    fn default() -> Self {
        Self { of: BTreeMap::new(), said: Said::new(GAP_US), due: BTreeSet::new() }
    }
}

impl Burst {
    /// When to look at it next, if nothing comes.
    fn due(&self) -> u64 {
        let over = self.last_us + GAP_US;
        if self.is_untold { over.min(self.told_us + TELL_US) } else { over }
    }

    fn told(&self, phase: Phase) -> Told {
        Told { phase, event: self.event.clone() }
    }

    /// Once more, or by another source.
    fn add(&mut self, event: &Event, heard: Heard) {
        self.add_same(&Again::of(event), heard);
        let known = &mut self.event;
        if event.source != known.source {
            for (field, value) in &event.fields {
                known.fields.entry(field.clone()).or_insert_with(|| value.clone());
            }
            also_from(known, event);
        }
    }

    /// What counts if the one who began says the same again.
    fn add_same(&mut self, again: &Again<'_>, heard: Heard) {
        self.event.count += heard.news;
        self.event.last = self.event.last.max(again.last);
        range(&mut self.event, again);
    }

    fn goes_on(&self, last_us: u64) -> bool {
        last_us.saturating_sub(self.last_us) <= GAP_US && last_us.saturating_sub(self.since_us) <= LONGEST_US
    }

    /// It has grown: says so if it is worse now, or has said nothing for long; or else when to look at it.
    fn grown(&mut self, severity: Severity, last_us: u64, told: &mut Vec<Told>) -> Option<u64> {
        self.last_us = self.last_us.max(last_us);
        let is_worse = severity > self.event.severity;
        self.event.severity = self.event.severity.max(severity);
        if is_worse || last_us.saturating_sub(self.told_us) >= TELL_US {
            (self.told_us, self.is_untold) = (last_us, false);
            told.push(self.told(Phase::Grew));
            return None;
        }
        (!std::mem::replace(&mut self.is_untold, true)).then_some(self.told_us + TELL_US)
    }
}

/// As much of an event as counts when it comes again.
#[derive(Debug)]
pub(super) struct Again<'a> {
    pub(super) source: &'a str,
    pub(super) last: Stamp,
    pub(super) severity: Severity,
    sector: Option<u64>,
    block: Option<u64>,
    paths: Option<&'a str>,
}

impl<'a> Again<'a> {
    pub(super) fn new(
        source: &'a str,
        last: Stamp,
        severity: Severity,
        field: impl Fn(&str) -> Option<&'a str>,
    ) -> Self {
        let number = |name| field(name)?.parse().ok();
        Self { source, last, severity, sector: number("sector"), block: number("block"), paths: field(PATHS) }
    }

    fn of(event: &'a Event) -> Self {
        Self::new(&event.source, event.last, event.severity, |name| event.fields.get(name).map(String::as_str))
    }
}

impl Bursts {
    pub(super) fn put(&mut self, made: Made, told: &mut Vec<Told>) {
        let Made { event, of, last_us } = made;
        let key = (event.kind.clone(), identity(&event));
        let mut heard = self.said.hear(&key, &event.source, event.count, last_us);
        let is_known = event.kind == STATE && heard.is_current && self.of.contains_key(&key);
        heard.news = if is_known { 0 } else { heard.news };
        if event.kind == COUNT && self.is_late(&event, last_us) {
            return;
        }
        // What comes after it was right again is not the same event, and what is right after it went wrong again is another one, too: who reads
        // events in the order in which they began is to see each change.
        self.end_of(of.clears, &event, heard, told);
        self.end_of(CLEARED_BY.get(event.kind.as_str()).map_or(&[], Vec::as_slice), &event, heard, told);
        if heard.news == 0 && !(heard.is_current && self.of.contains_key(&key)) {
            // Another source has told it, and that it is over.
            return;
        }
        let Some(burst) = self.of.get_mut(&key).filter(|burst| burst.goes_on(last_us)) else {
            if let Some(over) = self.of.remove(&key) {
                told.push(over.told(Phase::Ended));
            }
            self.make_room(told);
            let burst = Burst { since_us: last_us, last_us, told_us: last_us, is_untold: false, event };
            told.push(burst.told(Phase::Began));
            self.of.insert(key.clone(), burst);
            self.due.insert((last_us + GAP_US, key));
            self.forget_what_has_gone();
            return;
        };
        burst.add(&event, heard);
        if let Some(due) = burst.grown(event.severity, last_us, told) {
            self.due.insert((due, key));
        }
    }

    /// The one who began a burst says the same again: no more than that is looked at, for in a flood of errors nearly all lines do. `false` = nothing
    /// was taken: it is not the same, or more has to be looked at, because there is something that says that it is right again.
    pub(super) fn again(
        &mut self,
        kind: &str,
        device: &Summary,
        again: &Again<'_>,
        last_us: u64,
        told: &mut Vec<Told>,
    ) -> bool {
        if kind == STATE || kind == COUNT || CLEARED_BY.contains_key(kind) {
            return false;
        }
        let key = (kind.to_owned(), device.key());
        let same = |burst: &&mut Burst| burst.event.source == again.source && burst.goes_on(last_us);
        let Some(burst) = self.of.get_mut(&key).filter(same) else { return false };
        let heard = self.said.hear(&key, again.source, 1, last_us);
        burst.add_same(again, heard);
        if let Some(due) = burst.grown(again.severity, last_us, told) {
            self.due.insert((due, key));
        }
        true
    }

    /// Whether others have told a moment ago that no path is left, and this source will say so, too.
    fn is_late(&self, count: &Event, now_us: u64) -> bool {
        let mut devices = count.devices();
        devices.any(|device| self.said.is_behind(&(STATE.to_owned(), device.key()), &count.source, now_us))
    }

    /// Events of these types on the event's devices are over, unless it is no news.
    fn end_of(&mut self, kinds: &[&str], event: &Event, heard: Heard, told: &mut Vec<Told>) {
        for kind in kinds {
            for device in event.devices() {
                let key = ((*kind).to_owned(), device.key());
                self.said.passes(&key, &event.source, heard.at);
                if heard.news == 0 {
                    continue;
                }
                self.said.ends(&key);
                if let Some(over) = self.of.remove(&key) {
                    told.push(over.told(Phase::Ended));
                }
            }
        }
    }

    /// In a log in which time stands still, entries of bursts that are over would pile up.
    fn forget_what_has_gone(&mut self) {
        if self.due.len() > 4 * MAX_BURSTS {
            self.due = self.of.iter().map(|(key, burst)| (burst.due(), key.clone())).collect();
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

    /// Nothing has grown since it was told.
    pub(super) fn is_told(&self) -> bool {
        self.of.values().all(|burst| !burst.is_untold)
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(super) fn expire(&mut self, now_us: u64, told: &mut Vec<Told>) {
        while self.due.first().is_some_and(|(at, _)| *at <= now_us) {
            let Some((_, key)) = self.due.pop_first() else { break };
            let Some(burst) = self.of.get_mut(&key) else { continue };
            if burst.last_us + GAP_US <= now_us {
                told.extend(self.of.remove(&key).map(|over| over.told(Phase::Ended)));
                continue;
            }
            if burst.is_untold && burst.told_us + TELL_US <= now_us {
                (burst.told_us, burst.is_untold) = (now_us, false);
                told.push(burst.told(Phase::Grew));
            }
            self.due.insert((burst.due(), key));
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

/// Who else says it, and in which words, the first time.
fn also_from(event: &mut Event, next: &Event) {
    let others = event.fields.entry(ALSO_FROM.to_owned()).or_default();
    if others.split(", ").any(|known| known == next.source) {
        return;
    }
    if !others.is_empty() {
        others.push_str(", ");
    }
    others.push_str(&next.source);
    let free = MAX_LINES.saturating_sub(event.lines.len());
    event.lines.extend(next.lines.iter().take(free).cloned());
}

/// Where on the device: from the lowest to the highest.
fn range(event: &mut Event, next: &Again<'_>) {
    if let Some(now) = next.paths {
        event.fields.insert(PATHS.to_owned(), now.to_owned());
    }
    for (field, last, at) in [("sector", "last-sector", next.sector), ("block", "last-block", next.block)] {
        let number = |event: &Event, field| event.fields.get(field).and_then(|text: &String| text.parse::<u64>().ok());
        let Some(at) = at else { continue };
        let Some(first) = number(event, field) else { continue };
        let known = number(event, last);
        // A flood of errors has most often the same place again, or the next one.
        if at < first {
            event.fields.insert(field.to_owned(), at.to_string());
        }
        let highest = known.unwrap_or(first).max(at);
        match event.fields.get_mut(last) {
            Some(_) if known == Some(highest) => {}
            Some(text) => {
                text.clear();
                let _ = write!(text, "{highest}");
            }
            None => _ = event.fields.insert(last.to_owned(), highest.to_string()),
        }
    }
}
