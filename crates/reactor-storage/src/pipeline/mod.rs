//! Lines become events: the lines of one failure one event, and the same failure again and again one event that is counted.
//!
//! ```text
//!   Finding ─▶ groups: the lines of one SCSI command, of one ATA failure ─ complete, or silent for 0.2 s ─▶ bursts: the same
//!                                                                                                             type on the same device
//!   told: Began at once ─ Grew, every 5 s at most ─ Ended, when nothing came for 10 s
//! ```
//!
//! Time is what the caller says, in microseconds; nothing here reads a clock.

mod burst;
mod group;
mod named;
mod paths;
mod said;
#[cfg(test)]
mod sources_tests;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::catalogue::{Finding, JoinKey, What};
use crate::device::DeviceMap;
use crate::event::{Event, Named};
use crate::record::{Origin, Record};
use burst::{Again, Bursts};
use group::{Group, Made};
use named::Names;
use paths::Paths;

/// How far the telling of an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It is new.
    Began,
    /// It is counted on.
    Grew,
    /// Nothing more of it comes: this is its last count. Told of every event.
    Ended,
}

/// An event, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Told {
    /// How far.
    pub phase: Phase,
    /// The event as it is now. Its id stays the same.
    pub event: Event,
}

/// A group of lines is complete when nothing of it came for so many microseconds.
const SILENCE_US: u64 = 200_000;
/// Groups that are open at once; the oldest is taken for complete when there are more.
const MAX_GROUPS: usize = 256;
/// Uevents that wait for what the log says of the same.
const MAX_HELD: usize = 1024;

/// Makes events of lines. One for each log.
#[derive(Debug, Default)]
pub struct Pipeline {
    groups: BTreeMap<JoinKey, Group>,
    /// The group that the last line of each source went to, for lines that go on from the one before.
    last: BTreeMap<String, JoinKey>,
    /// Events of uevents, each with when it has waited for long enough. The log says the same most often; who reads it again later finds it there,
    /// and a uevent nowhere: so the event is that of the log, if there is one.
    held: VecDeque<(u64, Made)>,
    paths: Paths,
    bursts: Bursts,
    names: Names,
    suppressed: BTreeMap<String, u64>,
    told: Vec<Told>,
    /// Takes no short way for what is said again.
    #[cfg(test)]
    takes_the_long_way: bool,
}

impl Pipeline {
    /// One that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A line that means something.
    pub fn take(&mut self, record: &Record<'_>, finding: &Finding<'_>, map: &DeviceMap, now_us: u64) {
        self.expire(map, now_us);
        self.names.learn(finding);
        if let What::Suppressed { count } = finding.what {
            self.suppress(finding.field("function").unwrap_or_default(), count);
            return;
        }
        let key = match finding.joined {
            // Whether it is the port's or the device's: its error handler has one thing in hand at a time.
            Some(JoinKey::Ata { port, .. }) => Some(JoinKey::Ata { port, device: None }),
            Some(JoinKey::Previous) => {
                self.last.get(group::source(record)).copied().filter(|key| self.groups.contains_key(key))
            }
            key => key,
        };
        match key {
            Some(key) => self.grouped(key, record, finding, now_us),
            None => self.alone(record, finding, map, now_us),
        }
    }

    /// What became of events since the last call, in order.
    pub fn told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    /// When [`expire`](Self::expire) has something to do next.
    pub fn next_deadline(&self) -> Option<u64> {
        let groups = self.groups.values().map(|group| group.last_us + SILENCE_US);
        let held = self.held.front().map(|(at, _)| *at);
        groups.chain(held).chain(self.bursts.next_deadline()).min()
    }

    /// Whether all that was taken was told: no lines wait for others, and nothing has grown since. Only then nothing is missing if it ends here.
    pub fn is_told(&self) -> bool {
        self.groups.is_empty() && self.held.is_empty() && self.told.is_empty() && self.bursts.is_told()
    }

    /// Takes for complete what has been silent for long enough.
    pub fn expire(&mut self, map: &DeviceMap, now_us: u64) {
        let silent: Vec<JoinKey> =
            self.groups.iter().filter(|(_, group)| group.last_us + SILENCE_US <= now_us).map(|(key, _)| *key).collect();
        for key in silent {
            self.complete(&key, map);
        }
        while self.held.front().is_some_and(|(at, _)| *at <= now_us) {
            self.release(map);
        }
        self.bursts.expire(now_us, &mut self.told);
    }

    /// The log is over: everything is complete.
    pub fn finish(&mut self, map: &DeviceMap) {
        for key in self.groups.keys().copied().collect::<Vec<_>>() {
            self.complete(&key, map);
        }
        while !self.held.is_empty() {
            self.release(map);
        }
        self.bursts.finish(&mut self.told);
    }

    /// A multipath map has another table, by the kernel's name of it: whether its paths fail has to be told anew.
    pub fn another_table(&mut self, map: &str) {
        self.paths.forget(map);
    }

    /// Lines that the kernel says it did not print, by the function that had too many: what is counted is a lower bound.
    pub fn suppressed(&self) -> &BTreeMap<String, u64> {
        &self.suppressed
    }

    fn suppress(&mut self, function: &str, count: u64) {
        const MAX_FUNCTIONS: usize = 64;
        if self.suppressed.len() < MAX_FUNCTIONS || self.suppressed.contains_key(function) {
            *self.suppressed.entry(function.to_owned()).or_default() += count;
        }
        self.bursts.suppressed(function, count);
    }

    /// An event by itself; or the block layer's word on a command whose lines are still open, which is the last of them.
    fn alone(&mut self, record: &Record<'_>, finding: &Finding<'_>, map: &DeviceMap, now_us: u64) {
        let disk = finding.devices.iter().find_map(|(_, named)| match named {
            Named::Kernel(name) if finding.event.name.starts_with("BLK_") => Some(name),
            _ => None,
        });
        let open = disk.and_then(|disk| {
            let newest = self.groups.iter().filter(|(_, group)| group.waits_for(disk));
            newest.max_by_key(|(_, group)| group.last_us).map(|(key, _)| *key)
        });
        match open {
            Some(key) => {
                self.grouped(key, record, finding, now_us);
                self.complete(&key, map);
            }
            None if self.is_again(record, finding, map, now_us) => {}
            None => {
                let group = Group::new(record, finding, now_us);
                if record.origin == Origin::Uevent {
                    self.hold(group, map);
                } else {
                    self.put(group, map);
                }
            }
        }
    }

    /// Whether this is what was said a moment ago, and now counted, of which nothing else follows.
    fn is_again(&mut self, record: &Record<'_>, finding: &Finding<'_>, map: &DeviceMap, now_us: u64) -> bool {
        #[cfg(test)]
        if self.takes_the_long_way {
            return false;
        }
        if finding.what != What::Event
            || record.origin == Origin::Uevent
            || !finding.event.clears.is_empty()
            || Paths::is_of_interest(&finding.event.name)
        {
            return false;
        }
        let mut devices = finding.devices.iter().flat_map(|(_, named)| self.names.summaries(named, map));
        let Some(device) = devices.next() else { return false };
        let again =
            Again::new(group::source(record), record.at, finding.severity, |name| finding.field(name).map(group::kept));
        self.bursts.again(&finding.event.name, &device, &again, now_us, &mut self.told)
    }

    fn grouped(&mut self, key: JoinKey, record: &Record<'_>, finding: &Finding<'_>, now_us: u64) {
        match self.groups.get_mut(&key) {
            Some(group) => group.add(record, finding, now_us),
            None => {
                self.groups.insert(key, Group::new(record, finding, now_us));
            }
        }
        self.last.insert(group::source(record).to_owned(), key);
    }

    fn complete(&mut self, key: &JoinKey, map: &DeviceMap) {
        if let Some(group) = self.groups.remove(key) {
            self.put(group, map);
        }
    }

    fn put(&mut self, group: Group, map: &DeviceMap) {
        // Lines that only say more about an event are none without it.
        let Some(made) = group.event(map, &self.names) else { return };
        self.tell(made, map);
        while self.groups.len() > MAX_GROUPS {
            let Some(oldest) = self.groups.iter().min_by_key(|(_, group)| group.last_us).map(|(key, _)| *key) else {
                break;
            };
            self.complete(&oldest, map);
        }
    }

    /// The devices are looked up now: they may go meanwhile.
    fn hold(&mut self, group: Group, map: &DeviceMap) {
        let Some(made) = group.event(map, &self.names) else { return };
        if self.held.len() >= MAX_HELD {
            self.release(map);
        }
        self.held.push_back((made.last_us + SILENCE_US, made));
    }

    /// The uevent that has waited for longest.
    fn release(&mut self, map: &DeviceMap) {
        if let Some((_, made)) = self.held.pop_front() {
            self.tell(made, map);
        }
    }

    fn tell(&mut self, made: Made, map: &DeviceMap) {
        let follows = self.paths.learn(&made, map);
        self.bursts.put(made, &mut self.told);
        if let Some(follows) = follows {
            self.bursts.put(follows, &mut self.told);
        }
    }
}
