//! What was never heard: messages that were lost before they could be read, and those that the kernel has left out. A burst of it is one entry of the
//! history, when it is over: who looks for the events of a night sees that there were more, from when to when, and how many.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::action::Reason;
use crate::history::{Entry, Kind, News, Severity, Told};
use crate::ids::Mono;

/// A burst is over when nothing was missed for so long.
const QUIET: Duration = Duration::from_secs(10);
/// One that does not end is told of so often.
const LONGEST: Duration = Duration::from_secs(600);
/// Functions of the kernel that are named.
const MAX_FUNCTIONS: usize = 8;

/// The burst that goes on.
#[derive(Debug, Default)]
pub(super) struct Missed {
    burst: Option<Burst>,
}

#[derive(Debug)]
struct Burst {
    began: Mono,
    last: Mono,
    lost: u64,
    /// More was lost, and nobody knows how much.
    more: bool,
    left_out: u64,
    /// Of what was left out, so much of each function; the first few of them.
    functions: BTreeMap<String, u64>,
}

impl Missed {
    /// Something was lost; `None` = nobody knows how much.
    pub(super) fn lost(&mut self, now: Mono, count: Option<u64>) {
        let burst = self.now(now);
        burst.lost = burst.lost.saturating_add(count.unwrap_or_default());
        burst.more |= count.is_none();
    }

    /// A function of the kernel has left out so many messages.
    pub(super) fn left_out(&mut self, now: Mono, function: &str, count: u64) {
        let burst = self.now(now);
        burst.left_out = burst.left_out.saturating_add(count);
        if burst.functions.len() < MAX_FUNCTIONS || burst.functions.contains_key(function) {
            *burst.functions.entry(function.to_owned()).or_default() += count;
        }
    }

    /// When [`over`](Self::over) has something to say.
    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.burst.as_ref().map(|burst| burst.last.after(QUIET).min(burst.began.after(LONGEST)))
    }

    /// The burst as an entry, if it is over.
    pub(super) fn over(&mut self, now: Mono) -> Option<News> {
        if self.next_deadline()? > now { None } else { self.told() }
    }

    /// The burst as an entry, over or not: the daemon ends.
    pub(super) fn told(&mut self) -> Option<News> {
        let burst = self.burst.take()?;
        Some(News { at: burst.last, resource: None, what: Told::Entry(burst.entry()) })
    }

    fn now(&mut self, now: Mono) -> &mut Burst {
        let new = || Burst { began: now, last: now, lost: 0, more: false, left_out: 0, functions: BTreeMap::new() };
        let burst = self.burst.get_or_insert_with(new);
        burst.last = now;
        burst
    }
}

impl Burst {
    fn entry(self) -> Entry {
        let Self { began, last, lost, more, left_out, functions } = self;
        let lost = match (lost, more) {
            (0, false) => None,
            (0, true) => Some("some of the kernel's messages and uevents were lost, nobody knows how many".to_owned()),
            (lost, more) => {
                let least = if more { "at least " } else { "" };
                Some(format!("{least}{lost} of the kernel's messages and uevents were lost before they could be read"))
            }
        };
        let left_out = (left_out > 0)
            .then(|| format!("the kernel left out {left_out} of its messages, as it had printed the same too often"));
        let parts: Vec<String> = lost.into_iter().chain(left_out).collect();
        let what = format!("storage events may be missing: {}", parts.join("; "));
        let because =
            functions.iter().map(|(function, count)| Reason(format!("{function}: {count} callbacks suppressed")));
        let took = last.since(began);
        Entry {
            because: because.collect(),
            took: (!took.is_zero()).then_some(took),
            ..Entry::new(Kind::Gap, Severity::Warning, what)
        }
    }
}
