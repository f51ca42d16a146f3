//! What came together is one message, and no more messages than the limit allows.
//!
//! ```text
//!   add ─▶ waiting ─ `together` after the first, and the limit allows it ─▶ one message
//!             │
//!             └─ no room: the newest of the mildest goes, and is counted in the message
//! ```
//!
//! Every notice is in exactly one message, or counted in one.

use std::time::Duration;

use crate::ids::Mono;
use crate::notice::Notice;
use crate::plugin::limits::Window;
use crate::settings::umh::RateLimit;

/// Notices of one message.
pub(super) const MAX_NOTICES: usize = 50;

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// In the order in which they came.
    waiting: Vec<Notice>,
    /// When the first of them came.
    since: Option<Mono>,
    left_out: u64,
    window: Window,
}

/// What is told at once.
#[derive(Debug, PartialEq)]
pub(super) struct Taken {
    /// Never empty.
    pub(super) notices: Vec<Notice>,
    pub(super) left_out: u64,
}

impl Batch {
    /// One more.
    pub(super) fn add(&mut self, now: Mono, notice: Notice) {
        self.since.get_or_insert(now);
        self.waiting.push(notice);
        if self.waiting.len() > MAX_NOTICES {
            let mildest = self.waiting.iter().map(|notice| notice.severity).min();
            let newest = self.waiting.iter().rposition(|notice| Some(notice.severity) == mildest);
            self.waiting.remove(newest.unwrap_or(MAX_NOTICES));
            self.left_out += 1;
        }
    }

    /// So many were not told: the next message says so. Whoever says this adds something later.
    pub(super) fn leave_out(&mut self, count: u64) {
        self.left_out += count;
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// When there will be a message.
    pub(super) fn due(&self, together: Duration, limit: Option<RateLimit>) -> Option<Mono> {
        let due = self.since?.after(together);
        let allowed = limit.and_then(|limit| self.window.opens_at(limit));
        Some(allowed.map_or(due, |allowed| due.max(allowed)))
    }

    /// The message that is due.
    pub(super) fn take_due(&mut self, now: Mono, together: Duration, limit: Option<RateLimit>) -> Option<Taken> {
        if self.since?.after(together) > now || limit.is_some_and(|limit| !self.window.admit(limit, now)) {
            return None;
        }
        self.take()
    }

    /// All that waits, whatever the limits are.
    pub(super) fn take(&mut self) -> Option<Taken> {
        self.since = None;
        if self.waiting.is_empty() {
            return None;
        }
        let notices = std::mem::take(&mut self.waiting);
        Some(Taken { notices, left_out: std::mem::take(&mut self.left_out) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reactor_storage::event::Severity;

    use super::super::testing::notice;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Mono {
        Mono::ZERO.after(SECOND * u32::try_from(seconds).unwrap())
    }

    fn texts(taken: &Taken) -> Vec<&str> {
        taken.notices.iter().map(|notice| notice.text.as_str()).collect()
    }

    #[test]
    fn what_comes_soon_after_the_first_is_one_message() {
        let mut batch = Batch::default();
        batch.add(at(1), notice("a", Severity::Error));
        batch.add(at(5), notice("b", Severity::Info));
        assert_eq!(batch.due(SECOND * 10, None), Some(at(11)));
        assert_eq!(batch.take_due(at(10), SECOND * 10, None), None);
        let taken = batch.take_due(at(11), SECOND * 10, None).unwrap();
        assert_eq!((texts(&taken), taken.left_out), (vec!["a", "b"], 0));
        assert_eq!((batch.due(SECOND * 10, None), batch.take()), (None, None));
    }

    #[test]
    fn what_is_beyond_the_limit_is_one_message_when_the_limit_allows_it_also_if_nothing_else_comes() {
        let limit = Some(RateLimit { count: 2, per: SECOND * 60 });
        let mut batch = Batch::default();
        let mut told = Vec::new();
        for second in 0..10 {
            batch.add(at(second), notice(&second.to_string(), Severity::Error));
            told.extend(
                batch.take_due(at(second), Duration::ZERO, limit).map(|taken| (second, texts(&taken).join(""))),
            );
        }
        assert_eq!(told, [(0, "0".to_owned()), (1, "1".to_owned())]);
        assert_eq!(batch.due(Duration::ZERO, limit), Some(at(60)), "when the first of the two is a minute old");
        let taken = batch.take_due(at(60), Duration::ZERO, limit).unwrap();
        assert_eq!((texts(&taken).join("").as_str(), taken.left_out), ("23456789", 0));
    }

    #[test]
    fn of_too_many_the_worst_are_told_and_the_rest_is_counted() {
        let mut batch = Batch::default();
        for number in 0..200 {
            let severity = if number == 150 { Severity::Critical } else { Severity::Warning };
            batch.add(at(0), notice(&number.to_string(), severity));
        }
        let taken = batch.take().unwrap();
        assert_eq!((taken.notices.len(), taken.left_out), (MAX_NOTICES, 150));
        assert_eq!((taken.notices[0].text.as_str(), taken.notices[48].text.as_str()), ("0", "48"), "the first ones");
        assert_eq!(taken.notices[49].text, "150");
    }

    proptest! {
        /// Whatever comes when: each notice is in one message or counted in one, in order, and there are no more messages than the limit allows.
        #[test]
        fn nothing_is_lost(
            steps in prop::collection::vec((0u64..20, 0usize..5), 1..300),
            together in 0u32..15,
            count in 1u32..4,
            limited: bool,
        ) {
            let limit = limited.then_some(RateLimit { count, per: SECOND * 30 });
            let together = SECOND * together;
            let (mut batch, mut now, mut added) = (Batch::default(), 0, 0u64);
            let mut told: Vec<(u64, Taken)> = Vec::new();
            for (wait, severity) in steps {
                now += wait;
                batch.add(at(now), notice(&added.to_string(), Severity::ALL[severity]));
                added += 1;
                prop_assert!(batch.len() <= MAX_NOTICES);
                while let Some(due) = batch.due(together, limit).filter(|due| *due <= at(now)) {
                    let taken = batch.take_due(at(now), together, limit);
                    prop_assert!(taken.is_some(), "due at {due:?}, and nothing to tell");
                    told.extend(taken.map(|taken| (now, taken)));
                }
            }
            told.extend(batch.take().map(|taken| (now + 1000, taken)));
            let mut seen = Vec::new();
            for (_, taken) in &told {
                prop_assert!(!taken.notices.is_empty());
                seen.extend(taken.notices.iter().map(|notice| notice.text.parse::<u64>().unwrap()));
            }
            prop_assert!(seen.is_sorted_by(|a, b| a < b));
            let left_out: u64 = told.iter().map(|(_, taken)| taken.left_out).sum();
            prop_assert_eq!(seen.len() as u64 + left_out, added);
            if let Some(limit) = limit {
                for window in told.windows(limit.count as usize + 1) {
                    prop_assert!(window[limit.count as usize].0 - window[0].0 >= 30);
                }
            }
        }
    }
}
