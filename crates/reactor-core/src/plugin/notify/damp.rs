//! What comes and goes again and again is told a few times, and then only when it stays as it is.
//!
//! ```text
//!            a few times in ten minutes                       once more
//!   told ──────────────────────────────▶ told, and remembered ──────────▶ held: only the newest is kept
//!                                                                          │
//!                                                   a minute without news ─┴─▶ that one is told
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::Mono;
use crate::notice::Notice;

/// Changes of one thing that are told within [`WINDOW`]: three times gone and back.
const FREE: usize = 6;
/// Changes further apart than this have nothing to do with one another.
const WINDOW: Duration = Duration::from_secs(600);
/// What is held is told when it has been so for this long.
const CALM: Duration = Duration::from_secs(60);
/// Things that are remembered; beyond that the one that has been quiet for longest is told and forgotten.
const MAX_THINGS: usize = 1024;

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Damper(BTreeMap<String, Thing>);

#[derive(Debug)]
struct Thing {
    /// When it changed, the oldest first; at most [`FREE`].
    told: Vec<Mono>,
    last: Mono,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    newest: Notice,
    /// Those before it that are not told.
    count: u64,
    since: Mono,
}

/// What becomes of a notice.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// It is told.
    Tell(Notice),
    /// It is held, in place of so many others, which are not told.
    Hold {
        /// How many.
        dropped: u64,
    },
}

impl Damper {
    /// Something of this name is otherwise than before. Whether that is told. [`make_room`](Self::make_room) must follow.
    pub(super) fn take(&mut self, now: Mono, name: &str, notice: Notice) -> Verdict {
        let thing = self.0.entry(name.to_owned()).or_insert_with(|| Thing { told: Vec::new(), last: now, held: None });
        thing.last = now;
        if let Some(held) = &mut thing.held {
            held.newest = notice;
            held.count += 1;
            return Verdict::Hold { dropped: 1 };
        }
        thing.told.retain(|at| now.since(*at) < WINDOW);
        if thing.told.len() < FREE {
            thing.told.push(now);
            return Verdict::Tell(notice);
        }
        thing.held = Some(Held { newest: notice, count: 0, since: now });
        Verdict::Hold { dropped: 0 }
    }

    /// What is told because it is calm by now.
    pub(super) fn calm(&mut self, now: Mono) -> Vec<(String, Notice)> {
        let mut told = Vec::new();
        for (name, thing) in &mut self.0 {
            if thing.last.after(CALM) <= now
                && let Some(held) = thing.held.take()
            {
                // It may go on in a minute: the next change is held again, until it has been quiet for long.
                told.push((name.clone(), held.tell(now)));
            }
        }
        self.0.retain(|_, thing| thing.held.is_some() || now.since(thing.last) < WINDOW);
        told
    }

    /// What is told because too many things are remembered.
    pub(super) fn make_room(&mut self, now: Mono) -> Option<(String, Notice)> {
        if self.0.len() <= MAX_THINGS {
            return None;
        }
        let quiet = self.0.iter().min_by_key(|(name, thing)| (thing.last, *name)).map(|(name, _)| name.clone())?;
        let held = self.0.remove(&quiet)?.held?;
        Some((quiet, held.tell(now)))
    }

    /// All that is held: nothing more will come.
    pub(super) fn take_all(&mut self, now: Mono) -> Vec<Notice> {
        let held = std::mem::take(&mut self.0).into_values().filter_map(|thing| thing.held);
        held.map(|held| held.tell(now)).collect()
    }

    /// Whether something of this name is held.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|thing| thing.held.is_some())
    }

    /// How many notices are held.
    pub(super) fn len(&self) -> usize {
        self.0.values().filter(|thing| thing.held.is_some()).count()
    }

    /// When [`calm`](Self::calm) has something to tell.
    pub(super) fn due(&self) -> Option<Mono> {
        self.0.values().filter(|thing| thing.held.is_some()).map(|thing| thing.last.after(CALM)).min()
    }
}

impl Held {
    fn tell(self, now: Mono) -> Notice {
        let Self { mut newest, count, since } = self;
        if count > 0 {
            let within = now.since(since).as_secs();
            newest.because.push(format!("it comes and goes: {count} more changes within {within} s are not told"));
        }
        newest
    }
}

#[cfg(test)]
mod tests {
    use reactor_storage::event::Severity;

    use super::super::testing::notice;
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::ZERO.after(Duration::from_secs(seconds))
    }

    #[test]
    fn what_comes_and_goes_is_told_three_times_and_then_when_it_stays() {
        let mut damper = Damper::default();
        let mut told = Vec::new();
        let mut dropped = 0;
        for second in 0..60 {
            let text = if second % 2 == 0 { format!("lost {second}") } else { format!("back {second}") };
            match damper.take(at(second), "r0 n2", notice(&text, Severity::Error)) {
                Verdict::Tell(notice) => told.push(notice.text),
                Verdict::Hold { dropped: more } => dropped += more,
            }
            assert!(damper.calm(at(second)).is_empty());
        }
        assert_eq!(told, ["lost 0", "back 1", "lost 2", "back 3", "lost 4", "back 5"]);
        assert_eq!((dropped, damper.len(), damper.due()), (53, 1, Some(at(59 + 60))));
        let calm = damper.calm(at(119));
        assert_eq!(calm[0].1.text, "back 59");
        assert_eq!(calm[0].1.because, ["it comes and goes: 53 more changes within 113 s are not told"]);
        assert_eq!((calm.len(), damper.due()), (1, None));
    }

    #[test]
    fn what_happens_now_and_then_is_told_each_time() {
        let mut damper = Damper::default();
        for hour in 0..100 {
            let verdict = damper.take(at(hour * 300), "r0 n2", notice("lost", Severity::Error));
            assert!(matches!(verdict, Verdict::Tell(_)));
        }
    }

    #[test]
    fn things_are_forgotten_when_they_are_quiet_or_too_many_and_what_is_held_is_told_then() {
        let mut damper = Damper::default();
        for _ in 0..8 {
            let _ = damper.take(at(1), "first", notice("held", Severity::Error));
        }
        let mut told = Vec::new();
        for number in 0..2 * MAX_THINGS {
            let _ = damper.take(at(2), &number.to_string(), notice("x", Severity::Error));
            told.extend(damper.make_room(at(2)));
            assert!(damper.0.len() <= MAX_THINGS);
        }
        assert_eq!(told.iter().map(|(_, notice)| notice.text.as_str()).collect::<Vec<_>>(), ["held"]);
        assert!(damper.calm(at(2 + 600)).is_empty());
        assert!(damper.0.is_empty());
    }
}
