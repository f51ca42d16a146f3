//! Who has said what already: the kernel's log, its uevents and a daemon tell of one failure, each in its own time.
//!
//! ```text
//!   what happened to sdd:   failed    works    failed        (three runs, in the order in which they were first told)
//!   kernel                    ×─────────×────────×
//!   uevents                         ×─────────×────────×     each in the kernel's order, later: nothing of it is news
//!   multipathd                                     × ?       the first, or the last? It has said nothing that tells: the first
//! ```
//!
//! Each source tells of things in their order. So what it says is the first of what was told that it has not said yet, behind what it said last of
//! this and of its opposite; if there is no such thing, it is news.

use std::collections::{BTreeMap, VecDeque};

/// Types on devices of which this is known at once.
const MAX_KEYS: usize = 2048;

/// Sources of one of them that are told apart; there are fewer.
const MAX_SOURCES: usize = 16;

/// Runs of one of them that are remembered.
const MAX_RUNS: usize = 32;

/// What became of something that was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// So often it is news; 0: others have told it.
    pub(super) news: u64,
    /// Whether it is about what was told last, and not about what was before its opposite.
    pub(super) is_current: bool,
    /// Where it stands among all that was told.
    pub(super) at: u64,
}

/// The same thing so many times, without its opposite in between.
#[derive(Debug)]
struct Run {
    at: u64,
    count: u64,
    is_over: bool,
}

/// How far a source is: it has said so many of the run that stands there, and all before it.
#[derive(Clone, Copy, Debug, Default)]
struct Reached {
    at: u64,
    said: u64,
}

#[derive(Debug, Default)]
struct Told {
    runs: VecDeque<Run>,
    by: BTreeMap<String, Reached>,
    last_us: u64,
}

/// What was said, by `Key` of what it is.
#[derive(Debug)]
pub(super) struct Said<Key> {
    of: BTreeMap<Key, Told>,
    /// Runs until now.
    runs: u64,
    /// What nobody has said for so many microseconds is forgotten.
    silence_us: u64,
}

impl<Key: Ord + Clone> Said<Key> {
    pub(super) fn new(silence_us: u64) -> Self {
        Self { of: BTreeMap::new(), runs: 0, silence_us }
    }

    /// A source says it so many times.
    pub(super) fn hear(&mut self, key: &Key, source: &str, count: u64, now_us: u64) -> Heard {
        let (next, silence_us) = (self.runs + 1, self.silence_us);
        let heard = match self.of.get_mut(key) {
            Some(told) => told.hear_at(source, count, next, silence_us, now_us),
            None => {
                self.make_room(now_us);
                self.of.entry(key.clone()).or_default().hear_at(source, count, next, silence_us, now_us)
            }
        };
        self.runs = self.runs.max(heard.at);
        heard
    }

    /// Whether something was told of it a moment ago, is not over, and this source has not said it yet.
    pub(super) fn is_behind(&self, key: &Key, source: &str, now_us: u64) -> bool {
        let Some(told) = self.of.get(key) else { return false };
        let newest = told.runs.back().filter(|run| !run.is_over);
        newest.is_some_and(|run| told.by.get(source).is_none_or(|reached| reached.at < run.at))
            && now_us.saturating_sub(told.last_us) <= self.silence_us
    }

    /// What is said of the opposite of `key`, by this source, stands there: of `key` it has said all that was before.
    pub(super) fn passes(&mut self, key: &Key, source: &str, at: u64) {
        if let Some(told) = self.of.get_mut(key) {
            told.reach(source, Reached { at, said: u64::MAX });
        }
    }

    /// The opposite of `key` has happened.
    pub(super) fn ends(&mut self, key: &Key) {
        if let Some(run) = self.of.get_mut(key).and_then(|told| told.runs.back_mut()) {
            run.is_over = true;
        }
    }

    fn make_room(&mut self, now_us: u64) {
        if self.of.len() < MAX_KEYS {
            return;
        }
        let silence_us = self.silence_us;
        self.of.retain(|_, told| now_us.saturating_sub(told.last_us) <= silence_us);
        if self.of.len() >= MAX_KEYS
            && let Some(oldest) = self.of.iter().min_by_key(|(_, told)| told.last_us).map(|(key, _)| key.clone())
        {
            self.of.remove(&oldest);
        }
    }
}

impl Told {
    fn hear_at(&mut self, source: &str, count: u64, next: u64, silence_us: u64, now_us: u64) -> Heard {
        if now_us.saturating_sub(self.last_us) > silence_us {
            self.runs.clear();
        }
        self.last_us = self.last_us.max(now_us);
        self.hear(source, count, next)
    }

    fn hear(&mut self, source: &str, count: u64, next: u64) -> Heard {
        let reached = self.by.get(source).copied().unwrap_or_default();
        let left = |run: &Run| match run.at {
            at if at < reached.at => 0,
            at if at == reached.at => run.count.saturating_sub(reached.said),
            _ => run.count,
        };
        let newest = self.runs.back().map(|run| run.at);
        if let Some(run) = self.runs.iter_mut().find(|run| left(run) > 0) {
            let is_current = Some(run.at) == newest && !run.is_over;
            let said = run.count - left(run) + count;
            let news = if is_current { said.saturating_sub(run.count) } else { 0 };
            run.count += news;
            let at = run.at;
            self.reach(source, Reached { at, said });
            return Heard { news, is_current, at };
        }
        let at = match self.runs.back_mut().filter(|run| !run.is_over) {
            Some(run) => {
                run.count += count;
                self.reach_all(source);
                self.runs.back().map_or(next, |run| run.at)
            }
            None => {
                if self.runs.len() >= MAX_RUNS {
                    self.runs.pop_front();
                }
                self.runs.push_back(Run { at: next, count, is_over: false });
                self.reach_all(source);
                next
            }
        };
        Heard { news: count, is_current: true, at }
    }

    fn reach_all(&mut self, source: &str) {
        if let Some((at, said)) = self.runs.back().map(|run| (run.at, run.count)) {
            self.reach(source, Reached { at, said });
        }
    }

    fn reach(&mut self, source: &str, to: Reached) {
        if let Some(reached) = self.by.get_mut(source) {
            if (to.at, to.said) > (reached.at, reached.said) {
                *reached = to;
            }
        } else if self.by.len() < MAX_SOURCES {
            self.by.insert(source.to_owned(), to);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SOURCES: [&str; 3] = ["kernel", "uevent", "multipathd"];

    proptest! {
        /// Whoever is first: in the end it happened as often as the one says that counted most.
        #[test]
        fn the_order_of_sources_does_not_matter(order in proptest::collection::vec(0_usize..3, 1..40)) {
            let mut said = Said::new(10);
            let news: u64 = order.iter().map(|source| said.hear(&"key", SOURCES[*source], 1, 5).news).sum();
            let highest = (0..3).map(|source| order.iter().filter(|one| **one == source).count() as u64).max();
            prop_assert_eq!(Some(news), highest);
        }

        /// A path fails and works by turns. Whatever the second source has of it, and however late: it is no news.
        #[test]
        fn what_a_slower_source_says_in_order_is_no_news(
            turns in proptest::collection::vec(any::<bool>(), 1..30), heard in proptest::collection::vec(any::<bool>(), 30),
        ) {
            let mut said = Said::new(10);
            let mut say = |fails: bool, source: &str| {
                let (key, opposite) = if fails { ("failed", "works") } else { ("works", "failed") };
                let heard = said.hear(&key, source, 1, 5);
                said.passes(&opposite, source, heard.at);
                if heard.news > 0 {
                    said.ends(&opposite);
                }
                heard.news
            };
            for fails in &turns {
                prop_assert_eq!(say(*fails, "kernel"), 1);
            }
            for (fails, _) in turns.iter().zip(heard).filter(|(_, heard)| *heard) {
                prop_assert_eq!(say(*fails, "uevent"), 0);
            }
        }

        #[test]
        fn what_is_kept_is_bounded(keys in proptest::collection::vec((0_u32..100_000, 0_u64..30), 1..3000)) {
            let mut said = Said::new(10);
            for (key, at) in keys {
                said.hear(&key, &format!("source {key}"), 1, at);
                said.hear(&0, &format!("source {key}"), 1, at);
                said.ends(&0);
                prop_assert!(said.of.len() <= MAX_KEYS);
            }
            let one = said.of.get(&0);
            prop_assert!(one.is_none_or(|told| told.runs.len() <= MAX_RUNS && told.by.len() <= MAX_SOURCES));
        }
    }

    #[test]
    fn after_a_silence_it_is_news() {
        let mut said = Said::new(10);
        assert_eq!(said.hear(&"key", "kernel", 1, 5).news, 1);
        assert_eq!(said.hear(&"key", "uevent", 1, 15).news, 0);
        assert_eq!(said.hear(&"key", "uevent", 1, 26).news, 1);
    }

    /// It has said the opposite since: so it does not mean what was before that.
    #[test]
    fn what_a_source_says_after_the_opposite_is_not_about_what_was_before_it() {
        let mut said = Said::new(10);
        let works = said.hear(&"works", "uevent", 1, 1);
        let fails = said.hear(&"failed", "kernel", 1, 2);
        said.ends(&"works");
        assert!(works.at < fails.at);
        let again = said.hear(&"failed", "multipathd", 1, 2);
        assert_eq!((again.news, again.at), (0, fails.at));
        said.passes(&"works", "multipathd", again.at);
        assert_eq!(said.hear(&"works", "multipathd", 1, 5).news, 1);
    }
}
