//! Which unit is read next: few at once, in the order in which they are needed, and a late one keeps no other waiting.
//!
//! ```text
//!  want ─▶ due ─▶ running (few) ─▶ answered
//!           ▲        │ too old
//!           └─ late ◀┘ back-off; an answer that comes after all is taken
//!  later ─▶ running, one at a time, when nothing else is due
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use reactor_core::ids::UnitName;

use super::pulse::{Asked, Pulse};

/// Units that are read at once. systemd answers one after the other, and a start has to wait behind what it was asked before.
const READS: usize = 4;
/// A unit that has not been answered about in this time, while others were, is late.
const LATE: Duration = Duration::from_secs(10);
/// First wait before a late unit is asked about again; doubles.
const AGAIN: Duration = Duration::from_secs(2);
/// The same at most.
const AGAIN_MAX: Duration = Duration::from_secs(60);
/// Questions about one unit that are open at most.
const OPEN: u32 = 3;

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Reads {
    due: VecDeque<UnitName>,
    later: BTreeSet<UnitName>,
    running: BTreeMap<u64, Running>,
    late: BTreeMap<UnitName, Late>,
    /// Questions about each unit that are not answered, those of late ones included.
    open: BTreeMap<UnitName, u32>,
    /// To be read once more after the reading that runs.
    again: BTreeSet<UnitName>,
    /// What is read without haste waits until then.
    pause: Option<Instant>,
    count: u64,
}

#[derive(Debug)]
struct Running {
    unit: UnitName,
    at: Instant,
    asked: Asked,
    without_haste: bool,
}

#[derive(Debug, Default)]
struct Late {
    times: u32,
    again: Option<Instant>,
}

impl Reads {
    /// The unit is to be read, after those that were wanted before.
    pub(super) fn want(&mut self, unit: &UnitName) {
        if self.running.values().any(|running| running.unit == *unit) {
            self.again.insert(unit.clone());
        } else if !self.due.contains(unit) {
            self.later.remove(unit);
            self.due.push_back(unit.clone());
        }
    }

    /// The unit is to be looked at again when there is nothing else to do.
    pub(super) fn look_later(&mut self, unit: &UnitName) {
        if !self.due.contains(unit) {
            self.later.insert(unit.clone());
        }
    }

    /// Forgets units that are not followed any more.
    pub(super) fn retain(&mut self, followed: impl Fn(&UnitName) -> bool) {
        self.due.retain(&followed);
        self.later.retain(&followed);
        self.late.retain(|unit, _| followed(unit));
        self.again.retain(&followed);
    }

    /// The next unit to be read now, and the number of the reading.
    pub(super) fn next(&mut self, now: Instant, pulse: &Pulse) -> Option<(u64, UnitName)> {
        if self.running.len() >= READS {
            return None;
        }
        let (unit, without_haste) = self.pop(now)?;
        self.count += 1;
        *self.open.entry(unit.clone()).or_default() += 1;
        let running = Running { unit: unit.clone(), at: now, asked: pulse.ask(now), without_haste };
        self.running.insert(self.count, running);
        Some((self.count, unit))
    }

    fn pop(&mut self, now: Instant) -> Option<(UnitName, bool)> {
        while let Some(unit) = self.due.pop_front() {
            // Nothing new is asked about a unit while as many questions are open as may be: one of them may still be answered.
            if self.open.get(&unit).is_none_or(|open| *open < OPEN) {
                return Some((unit, false));
            }
        }
        if !self.running.is_empty() || self.pause.is_some_and(|until| until > now) {
            return None;
        }
        self.later.pop_first().map(|unit| (unit, true))
    }

    /// A reading ended, well or not.
    pub(super) fn ended(&mut self, now: Instant, number: u64, unit: &UnitName, well: bool) {
        if let Some(open) = self.open.get_mut(unit) {
            *open -= 1;
            if *open == 0 {
                self.open.remove(unit);
            }
        }
        let running = self.running.remove(&number);
        if let Some(running) = running.as_ref().filter(|running| running.without_haste) {
            // At most half of systemd's time.
            self.pause = Some(now + now.saturating_duration_since(running.at));
        }
        if well {
            self.late.remove(unit);
        } else if running.is_some() {
            self.is_late(now, unit.clone());
        }
        if self.again.remove(unit) {
            self.want(unit);
        }
    }

    fn is_late(&mut self, now: Instant, unit: UnitName) {
        let late = self.late.entry(unit).or_default();
        let wait = AGAIN.saturating_mul(1u32.checked_shl(late.times).unwrap_or(u32::MAX)).min(AGAIN_MAX);
        late.times += 1;
        late.again = Some(now + wait);
    }

    /// What became late meanwhile makes room; what was late long enough is due again. Gives what has become late.
    pub(super) fn look(&mut self, now: Instant, pulse: &Pulse) -> Vec<UnitName> {
        let old = |running: &Running| pulse.end(now, running.asked, LATE) <= now;
        let numbers: Vec<u64> =
            self.running.iter().filter(|(_, running)| old(running)).map(|(number, _)| *number).collect();
        let mut new = Vec::new();
        for number in numbers {
            let Some(running) = self.running.remove(&number) else { continue };
            self.again.remove(&running.unit);
            self.is_late(now, running.unit.clone());
            new.push(running.unit);
        }
        let mut again = Vec::new();
        for (unit, late) in &mut self.late {
            if late.again.take_if(|at| *at <= now).is_some() {
                again.push(unit.clone());
            }
        }
        for unit in again {
            if self.open.get(&unit).is_some_and(|open| *open >= OPEN) {
                self.is_late(now, unit);
            } else {
                self.want(&unit);
            }
        }
        new
    }

    /// Since when something is asked.
    pub(super) fn busy_since(&self) -> Option<Instant> {
        self.running.values().map(|running| running.at).min()
    }

    /// When to [`look`](Self::look), or to ask for the [`next`](Self::next) one, at the latest.
    pub(super) fn deadline(&self, now: Instant, pulse: &Pulse) -> Option<Instant> {
        let ends = self.running.values().map(|running| pulse.end(now, running.asked, LATE));
        let late = self.late.values().filter_map(|late| late.again);
        let idle = self.running.is_empty() && !self.later.is_empty();
        ends.chain(late).chain(self.pause.filter(|until| idle && *until > now)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str) -> UnitName {
        UnitName::new(name)
    }

    fn names(reads: &mut Reads, now: Instant, pulse: &Pulse) -> Vec<(u64, String)> {
        std::iter::from_fn(|| reads.next(now, pulse)).map(|(number, unit)| (number, unit.to_string())).collect()
    }

    #[test]
    fn a_late_unit_makes_room_and_is_asked_about_again_with_back_off() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (mut reads, pulse) = (Reads::default(), Pulse::new(start));
        for name in ["z", "a", "b", "c", "d"] {
            reads.want(&unit(name));
        }
        let first = names(&mut reads, start, &pulse);
        assert_eq!(first.iter().map(|(_, unit)| unit.as_str()).collect::<Vec<_>>(), ["z", "a", "b", "c"], "as asked");
        for (number, name) in &first[1..] {
            reads.ended(at(1), *number, &unit(name), true);
        }
        let second = names(&mut reads, at(1), &pulse);
        reads.ended(at(2), second[0].0, &unit("d"), true);
        assert_eq!(reads.look(at(9), &pulse), []);
        assert_eq!(reads.look(at(10), &pulse), [unit("z")]);
        assert_eq!(reads.busy_since(), None, "nobody waits for it");
        // Asked again after 2 s, 4 s; then three questions are open, and no more are put.
        let mut asked = Vec::new();
        for second in 10..600 {
            reads.look(at(second), &pulse);
            asked.extend(names(&mut reads, at(second), &pulse).into_iter().map(|_| second));
        }
        assert_eq!(asked, [12, 26]);
        // An answer to the first of them is an answer.
        reads.ended(at(600), first[0].0, &unit("z"), true);
        assert!(reads.late.is_empty());
    }

    #[test]
    fn what_need_not_be_read_at_once_waits_for_the_rest_and_leaves_systemd_half_of_its_time() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (mut reads, pulse) = (Reads::default(), Pulse::new(start));
        reads.look_later(&unit("x"));
        reads.look_later(&unit("y"));
        reads.want(&unit("a"));
        assert_eq!(names(&mut reads, start, &pulse), [(1, "a".to_owned())]);
        reads.ended(at(1), 1, &unit("a"), true);
        assert_eq!(names(&mut reads, at(1), &pulse), [(2, "x".to_owned())], "one at a time");
        reads.ended(at(3), 2, &unit("x"), true);
        assert_eq!(names(&mut reads, at(4), &pulse), []);
        assert_eq!(reads.deadline(at(4), &pulse), Some(at(5)));
        assert_eq!(names(&mut reads, at(5), &pulse), [(3, "y".to_owned())]);
        // Wanted while it is read: the answer may be from before.
        reads.want(&unit("y"));
        reads.ended(at(6), 3, &unit("y"), true);
        assert_eq!(names(&mut reads, at(6), &pulse), [(4, "y".to_owned())]);
    }
}
