//! Limits in time: how often a rule may fire or a receiver is told, and how often the log may hear of what was dropped.

use std::collections::VecDeque;
use std::time::Duration;

use crate::ids::Mono;
use crate::settings::umh::RateLimit;

/// Entries that are kept exactly. Above, firings within 1/64 of the span are kept as one, which may only make it stricter.
const EXACT: usize = 128;

/// A sliding window: at most so many firings in any such span.
#[derive(Debug, Default)]
pub(super) struct Window {
    fired: VecDeque<Fired>,
    total: u32,
}

/// Some firings, close together.
#[derive(Debug)]
struct Fired {
    first: Mono,
    last: Mono,
    count: u32,
}

impl Window {
    /// Whether one more may fire now; if so, it counts.
    pub(super) fn admit(&mut self, limit: RateLimit, now: Mono) -> bool {
        while let Some(oldest) = self.fired.front().filter(|oldest| now.since(oldest.last) >= limit.per) {
            self.total -= oldest.count;
            self.fired.pop_front();
        }
        if self.total >= limit.count {
            return false;
        }
        self.total += 1;
        let span = if self.fired.len() < EXACT { Duration::ZERO } else { limit.per / 64 };
        match self.fired.back_mut() {
            Some(newest) if now.since(newest.first) <= span => {
                newest.last = now;
                newest.count += 1;
            }
            _ => self.fired.push_back(Fired { first: now, last: now, count: 1 }),
        }
        true
    }

    /// When one more will be admitted, if nothing more fires; a time in the past = now.
    pub(super) fn opens_at(&self, limit: RateLimit) -> Option<Mono> {
        if self.total < limit.count {
            return Some(Mono::ZERO);
        }
        self.fired.front().map(|oldest| oldest.last.after(limit.per))
    }
}

/// Says the first thing at once, and then how many more, at most once in [`Throttle::QUIET`].
#[derive(Debug, Default)]
pub(super) struct Throttle {
    quiet_until: Option<Mono>,
    unsaid: u64,
}

impl Throttle {
    /// Between two messages.
    pub(super) const QUIET: Duration = Duration::from_secs(10);

    /// Something happened: how many to speak of now, this one included.
    #[must_use]
    pub(super) fn hit(&mut self, now: Mono) -> Option<u64> {
        self.unsaid += 1;
        self.due(now)
    }

    /// How many to speak of now, if it is time.
    #[must_use]
    pub(super) fn due(&mut self, now: Mono) -> Option<u64> {
        if self.quiet_until.is_some_and(|until| now < until) {
            return None;
        }
        if self.unsaid == 0 {
            self.quiet_until = None;
            return None;
        }
        self.quiet_until = Some(now.after(Self::QUIET));
        Some(std::mem::take(&mut self.unsaid))
    }

    /// When there will be something to say.
    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.quiet_until.filter(|_| self.unsaid > 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_window_slides() {
        let limit = RateLimit { count: 2, per: Duration::from_secs(10) };
        let mut window = Window::default();
        let admitted: Vec<bool> =
            [0, 1, 2, 9, 10, 11, 12, 20].into_iter().map(|second| window.admit(limit, Mono(second * SECOND))).collect();
        assert_eq!(admitted, [true, true, false, false, true, true, false, true]);
    }

    #[test]
    fn a_limit_of_none_admits_none() {
        let limit = RateLimit { count: 0, per: Duration::from_secs(10) };
        assert!(!Window::default().admit(limit, Mono::ZERO));
    }

    #[test]
    fn the_log_hears_the_first_at_once_and_then_sums() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle.hit(Mono(0)), Some(1));
        assert_eq!(throttle.hit(Mono(SECOND)), None);
        assert_eq!(throttle.hit(Mono(2 * SECOND)), None);
        assert_eq!(throttle.next_deadline(), Some(Mono(10 * SECOND)));
        assert_eq!(throttle.due(Mono(10 * SECOND)), Some(2));
        assert_eq!(throttle.next_deadline(), None);
        assert_eq!(throttle.due(Mono(20 * SECOND)), None);
        assert_eq!(throttle.hit(Mono(21 * SECOND)), Some(1));
    }

    proptest! {
        /// Never more than allowed in any span, and the memory stays small.
        #[test]
        fn a_window_keeps_its_promise(
            count in 1u32..400,
            steps in prop::collection::vec(0u64..SECOND, 1..2000),
        ) {
            let limit = RateLimit { count, per: Duration::from_secs(10) };
            let mut window = Window::default();
            let mut now = 0;
            let mut admitted: VecDeque<u64> = VecDeque::new();
            for step in steps {
                now += step;
                if window.admit(limit, Mono(now)) {
                    admitted.push_back(now);
                }
                while admitted.front().is_some_and(|at| now - at >= 10 * SECOND) {
                    admitted.pop_front();
                }
                prop_assert!(admitted.len() <= count as usize);
                prop_assert!(window.fired.len() <= EXACT + 66);
            }
        }
    }
}
