//! A pause between two tries of the same thing, longer each time, until it worked.
//!
//! Whatever the promoter asks for again because the world did not follow goes through one of these: a decision from levels comes back with
//! every event, and without a pause it would be carried out as fast as the world says no.

use std::collections::VecDeque;
use std::time::Duration;

use crate::ids::Mono;

/// First pause; doubles.
const BASE: Duration = Duration::from_secs(5);
/// The pause if there is another reason.
const SOON: Duration = Duration::from_millis(500);
/// The longest pause.
const MAX: Duration = Duration::from_secs(60);

/// Doubles `base` for each time after the first.
pub(super) fn back_off(base: Duration, times: u32, max: Duration) -> Duration {
    base.saturating_mul(1u32.checked_shl(times.saturating_sub(1)).unwrap_or(u32::MAX)).min(max)
}

/// See the module's head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Repeat {
    times: u32,
    tried: Option<Mono>,
    not_before: Option<Mono>,
}

impl Repeat {
    /// It was tried, and it did not help or may not have.
    pub(super) fn tried(&mut self, now: Mono) {
        self.times = self.times.saturating_add(1);
        self.tried = Some(now);
        self.not_before = Some(now.after(back_off(BASE, self.times, MAX)));
    }

    /// What was wanted holds: the next time is the first one.
    pub(super) fn worked(&mut self) {
        *self = Self::default();
    }

    /// Until when it must not be tried again; `None` = it may be tried.
    pub(super) fn until(&self, now: Mono) -> Option<Mono> {
        self.not_before.filter(|at| *at > now)
    }

    /// The same for another reason, which has not waited yet: only what was asked for last has to have had its time.
    pub(super) fn until_for_another_reason(&self, now: Mono) -> Option<Mono> {
        self.tried.map(|at| at.after(SOON)).filter(|at| *at > now)
    }

    /// How often in a row it was tried.
    pub(super) fn times(&self) -> u32 {
        self.times
    }
}

/// At most so many times within a while, whatever the cause: what works each time and is undone by somebody else each time.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    limit: usize,
    window: Duration,
    recent: VecDeque<Mono>,
}

impl Pace {
    pub(super) fn new(limit: usize, window: Duration) -> Self {
        Self { limit, window, recent: VecDeque::new() }
    }

    /// It is done once more.
    pub(super) fn done(&mut self, now: Mono) {
        if self.recent.len() >= self.limit {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
    }

    /// Whether the last time still counts.
    pub(super) fn is_recent(&self, now: Mono) -> bool {
        self.recent.back().is_some_and(|last| last.after(self.window) > now)
    }

    /// When it may be done again; a time that has passed if at once.
    pub(super) fn next(&self) -> Mono {
        let full = self.recent.front().filter(|_| self.recent.len() >= self.limit);
        full.map_or(Mono::ZERO, |first| first.after(self.window))
    }

    /// Until when it must wait; `None` = it may be done.
    pub(super) fn until(&self, now: Mono) -> Option<Mono> {
        Some(self.next()).filter(|at| *at > now)
    }
}

/// Starts and stops of one resource, each.
pub(super) fn starts_and_stops() -> Pace {
    Pace::new(10, Duration::from_secs(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_times_in_a_while_and_then_one_for_each_that_is_over() {
        let second = |s| Mono::ZERO.after(Duration::from_secs(s));
        let mut pace = Pace::new(2, Duration::from_secs(60));
        assert_eq!(pace.until(second(1)), None);
        pace.done(second(1));
        assert_eq!(pace.until(second(3)), None);
        pace.done(second(3));
        assert_eq!(pace.until(second(3)), Some(second(61)));
        pace.done(second(61));
        assert_eq!(pace.until(second(61)), Some(second(63)));
        assert_eq!(pace.until(second(63)), None);
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_anew_when_it_worked() {
        let mut repeat = Repeat::default();
        let mut now = Mono::ZERO;
        let mut pauses = Vec::new();
        for _ in 0..6 {
            repeat.tried(now);
            let until = repeat.until(now).unwrap();
            pauses.push(until.since(now).as_secs());
            now = until;
            assert_eq!(repeat.until(now), None);
        }
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
        repeat.worked();
        repeat.tried(now);
        assert_eq!(repeat.until(now), Some(now.after(BASE)));
        assert_eq!(back_off(BASE, u32::MAX, MAX), MAX);
    }
}
