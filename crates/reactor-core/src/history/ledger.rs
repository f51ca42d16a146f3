//! From news to rows: what a daemon writes down, given what the one before it has written.
//!
//! Where a resource runs is kept as spans that follow one another without a hole. While no daemon watches, or what it says can't be written,
//! nobody knows: such a time is a span of its own ([`State::Unwatched`]), neither up nor down. So a restart of the daemon is no downtime, and a
//! service that is found running is no promotion.

use std::collections::BTreeMap;
use std::sync::Arc;

use reactor_storage::incidents::Incident;

use crate::action::Reason;
use crate::ids::ResourceName;

use super::{Entry, Kind, News, Outcome, Phases, Presence, Serving, Severity, StorageEvent, Told};

/// One row, or one change of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A new entry.
    Entry {
        /// When, Unix time in milliseconds.
        time: u64,
        /// The resource; `None` = this node.
        resource: Option<ResourceName>,
        /// What.
        entry: Entry,
    },
    /// The entry of this action, of this run of the daemon, ended so.
    Outcome(Outcome),
    /// From `since` on a resource is in another state: its open span ends there, and this one begins.
    Span {
        /// The resource.
        resource: ResourceName,
        /// The state that begins.
        span: Span,
    },
    /// A storage event. If one of this id is there, it has this count from now on, and is no other.
    Event {
        /// When it was told, Unix time in milliseconds: its log may not say when it was.
        time: u64,
        /// The event.
        event: Arc<StorageEvent>,
    },
    /// A storage incident, in place of what was said of it before.
    Incident(Arc<Incident>),
}

/// A time for which a resource is in one state; it ends where the next one begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// When it begins, Unix time in milliseconds.
    pub since: u64,
    /// What holds.
    pub state: State,
    /// Whether this node is Primary; `None` = not known.
    pub primary: Option<bool>,
    /// A person wanted it so.
    pub planned: bool,
    /// Why, in one line.
    pub why: String,
}

/// What holds of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// What was seen.
    Seen(Serving),
    /// Nobody looked, or it could not be written.
    Unwatched,
}

impl State {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seen(serving) => serving.as_str(),
            Self::Unwatched => "unwatched",
        }
    }

    /// What `word` means.
    pub fn of(word: &str) -> Option<Self> {
        if word == "unwatched" { Some(Self::Unwatched) } else { Serving::of(word).map(Self::Seen) }
    }
}

/// What the daemon before this one has written of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    /// The last state that is known.
    pub state: State,
    /// Whether this node was Primary.
    pub primary: Option<bool>,
    /// Until when that daemon watched, Unix time in milliseconds.
    pub until: u64,
}

/// See the module's head.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    before: BTreeMap<ResourceName, Before>,
    /// What was told last.
    now: BTreeMap<ResourceName, Presence>,
}

impl Ledger {
    /// One that goes on from `before`.
    pub fn new(before: BTreeMap<ResourceName, Before>) -> Self {
        Self { before, now: BTreeMap::new() }
    }

    /// What is to be written because of `news`, which were told at `time` (Unix time in milliseconds).
    pub fn take(&mut self, time: u64, news: News, rows: &mut Vec<Row>) {
        match (news.what, news.resource) {
            (Told::Entry(entry), resource) => rows.push(Row::Entry { time, resource, entry }),
            (Told::Outcome(outcome), _) => rows.push(Row::Outcome(outcome)),
            (Told::Presence(presence), Some(resource)) => self.stands(time, &resource, *presence, rows),
            (Told::Forgotten, Some(resource)) => {
                if let Some(told) = self.now.remove(&resource) {
                    let primary = told.primary;
                    let span = unwatched(time, primary, "it is no longer configured");
                    rows.push(Row::Span { resource: resource.clone(), span });
                    // It may come back.
                    self.before.insert(resource, Before { state: State::Unwatched, primary, until: time });
                }
            }
            (Told::Event(event), _) => rows.push(Row::Event { time, event }),
            (Told::Incident(_, incident), _) => rows.push(Row::Incident(incident)),
            (Told::SplitBrain(parted), resource) => {
                rows.push(Row::Entry { time, resource, entry: super::split_brain(&parted) });
            }
            // A node has no presence.
            (Told::Presence(_) | Told::Forgotten, None) => {}
        }
    }

    /// Between `from` and `until` news were lost: what was in between is not known.
    pub fn lost(&mut self, from: u64, until: u64, count: u64, why: &str, rows: &mut Vec<Row>) {
        let what = format!("{count} entries are missing: {why}");
        let missing = Entry { took: Some(millis(until.saturating_sub(from))), ..gap(what) };
        rows.push(Row::Entry { time: until, resource: None, entry: missing });
        for (resource, presence) in &self.now {
            let resource = resource.clone();
            rows.push(Row::Span { resource: resource.clone(), span: unwatched(from, presence.primary, why) });
            rows.push(Row::Span { resource, span: span(until, presence) });
        }
    }

    /// What was told of each resource last.
    pub fn present(&self) -> impl DoubleEndedIterator<Item = (&ResourceName, &Presence)> {
        self.now.iter()
    }

    /// A resource is told of for the first time, or stands otherwise than before.
    fn stands(&mut self, time: u64, resource: &ResourceName, presence: Presence, rows: &mut Vec<Row>) {
        let entry = |entry| Row::Entry { time, resource: Some(resource.clone()), entry };
        let (was_primary, was) = match (self.now.get(resource), self.before.remove(resource)) {
            (Some(told), _) => {
                if told.serving == presence.serving
                    && told.primary == presence.primary
                    && told.planned == presence.planned
                {
                    return;
                }
                (told.primary, Some(told.serving))
            }
            (None, Some(before)) => {
                let until = before.until.min(time);
                let was = match before.state {
                    State::Seen(serving) => Some(serving),
                    State::Unwatched => None,
                };
                if was.is_some() {
                    let span = unwatched(until, before.primary, "no daemon watched");
                    rows.push(Row::Span { resource: resource.clone(), span });
                }
                rows.extend(unseen(&before, &presence, time).map(entry));
                (before.primary, was)
            }
            (None, None) => (None, None),
        };
        let is_first = !self.now.contains_key(resource);
        // What DRBD says no word of is as it was for all that is known.
        let primary = presence.primary.or(was_primary);
        if !is_first {
            rows.extend(role(was_primary, primary, &presence).map(entry));
        }
        if was != Some(presence.serving) {
            rows.push(entry(serves(&presence, is_first)));
        }
        rows.push(Row::Span { resource: resource.clone(), span: Span { primary, ..span(time, &presence) } });
        self.now.insert(resource.clone(), Presence { primary, ..presence });
    }
}

fn millis(ms: u64) -> std::time::Duration {
    std::time::Duration::from_millis(ms)
}

fn gap(what: String) -> Entry {
    Entry::new(Kind::Gap, Severity::Warning, what)
}

fn span(since: u64, presence: &Presence) -> Span {
    Span {
        since,
        state: State::Seen(presence.serving),
        primary: presence.primary,
        planned: presence.planned,
        why: joined(&presence.because),
    }
}

/// `primary` = what was known last, for whoever looks next.
fn unwatched(since: u64, primary: Option<bool>, why: &str) -> Span {
    Span { since, state: State::Unwatched, primary, planned: false, why: why.to_owned() }
}

fn joined(because: &[Reason]) -> String {
    because.iter().map(|reason| reason.0.as_str()).collect::<Vec<_>>().join("; ")
}

/// A role that changed while nobody looked: when, is known only so far.
fn unseen(before: &Before, presence: &Presence, now: u64) -> Option<Entry> {
    let since = millis(now.saturating_sub(before.until));
    let entry = |kind, what: &str| Entry {
        took: Some(since),
        because: vec![Reason("nobody watched, for this long at most".to_owned())],
        ..Entry::new(kind, Severity::Info, what.to_owned())
    };
    match (before.primary, presence.primary) {
        (Some(false), Some(true)) => Some(entry(Kind::Promoted, "this node became Primary while nobody watched")),
        (Some(true), Some(false)) => Some(entry(Kind::Demoted, "this node became Secondary while nobody watched")),
        _ => None,
    }
}

fn role(was: Option<bool>, is: Option<bool>, presence: &Presence) -> Option<Entry> {
    match (was, is) {
        (Some(false), Some(true)) => Some(Entry {
            phases: Phases { start: None, ..presence.phases },
            ..Entry::new(Kind::Promoted, Severity::Info, "this node is Primary".to_owned())
        }),
        (Some(true), Some(false)) => {
            Some(Entry::new(Kind::Demoted, Severity::Info, "this node is Secondary".to_owned()))
        }
        _ => None,
    }
}

/// Where the services run from now on.
fn serves(presence: &Presence, is_first: bool) -> Entry {
    let found = if is_first { " (found so)" } else { "" };
    let (kind, severity, what) = match presence.serving {
        Serving::Here => (Kind::Running, Severity::Info, "its services run here"),
        Serving::Nowhere if presence.planned => {
            (Kind::Down, Severity::Info, "its services do not run, as was asked for")
        }
        Serving::Nowhere => (Kind::Down, Severity::Warning, "its services do not run"),
        Serving::Elsewhere => (Kind::Away, Severity::Info, "another node is Primary"),
        Serving::Unknown => (Kind::Away, Severity::Warning, "where it runs is not known here"),
    };
    let phases = if presence.serving == Serving::Here { presence.phases } else { Phases::default() };
    Entry { phases, ..Entry::new(kind, severity, format!("{what}{found}")).because(presence.because.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Mono;

    fn presence(serving: Serving, primary: Option<bool>) -> Told {
        let because = vec![Reason("so it is".to_owned())];
        Told::Presence(Box::new(Presence { serving, primary, planned: false, because, phases: Phases::default() }))
    }

    /// Takes one thing about r0, and says what is written of it: kinds of entries, and spans with when they begin.
    fn take(ledger: &mut Ledger, time: u64, what: Told) -> Vec<String> {
        let mut rows = Vec::new();
        ledger.take(time, News { at: Mono(0), resource: Some("r0".into()), what }, &mut rows);
        words(&rows)
    }

    fn words(rows: &[Row]) -> Vec<String> {
        let word = |row: &Row| match row {
            Row::Entry { entry, .. } => entry.kind.as_str().to_owned(),
            Row::Outcome(outcome) => outcome.how.clone(),
            Row::Span { span, .. } => format!("{}@{}", span.state.as_str(), span.since),
            Row::Event { event, .. } => event.event.id.clone(),
            Row::Incident(incident) => incident.id.clone(),
        };
        rows.iter().map(word).collect()
    }

    fn after(state: Serving, primary: bool) -> Ledger {
        let before = Before { state: State::Seen(state), primary: Some(primary), until: 50 };
        Ledger::new(BTreeMap::from([("r0".into(), before)]))
    }

    /// The state of a resource and what is done about it often have the same reason.
    #[test]
    fn a_reason_is_written_once() {
        let reasons = |texts: &[&str]| texts.iter().map(|text| Reason((*text).to_owned())).collect::<Vec<_>>();
        let entry = Entry::new(Kind::Away, Severity::Info, "another node is Primary".to_owned());
        let told = ["n2 is Primary", "held by root", "n2 is Primary"];
        assert_eq!(entry.because(reasons(&told)).because, reasons(&told[..2]));
    }

    #[test]
    fn a_promotion_is_written_once_and_so_is_its_end() {
        let mut ledger = Ledger::default();
        assert_eq!(take(&mut ledger, 1, presence(Serving::Nowhere, Some(false))), ["down", "nowhere@1"]);
        assert_eq!(take(&mut ledger, 2, presence(Serving::Nowhere, Some(true))), ["promoted", "nowhere@2"]);
        assert_eq!(take(&mut ledger, 3, presence(Serving::Here, Some(true))), ["running", "here@3"]);
        assert!(take(&mut ledger, 4, presence(Serving::Here, Some(true))).is_empty(), "it is known");
        // A source that dies and comes back: nobody was promoted.
        assert_eq!(take(&mut ledger, 5, presence(Serving::Unknown, None)), ["away", "unknown@5"]);
        assert_eq!(take(&mut ledger, 6, presence(Serving::Here, Some(true))), ["running", "here@6"]);
        assert_eq!(take(&mut ledger, 7, presence(Serving::Elsewhere, Some(false))), ["demoted", "away", "elsewhere@7"]);
    }

    #[test]
    fn a_restart_of_the_daemon_is_neither_downtime_nor_a_promotion() {
        let mut ledger = after(Serving::Here, true);
        assert_eq!(take(&mut ledger, 90, presence(Serving::Here, Some(true))), ["unwatched@50", "here@90"]);
    }

    #[test]
    fn what_changed_while_nobody_watched_is_written_as_that() {
        let mut ledger = after(Serving::Elsewhere, false);
        let rows = take(&mut ledger, 90, presence(Serving::Here, Some(true)));
        assert_eq!(rows, ["unwatched@50", "promoted", "running", "here@90"]);
        let mut ledger = after(Serving::Here, true);
        let rows = take(&mut ledger, 90, presence(Serving::Elsewhere, Some(false)));
        assert_eq!(rows, ["unwatched@50", "demoted", "away", "elsewhere@90"]);
        // A clock that was set back does not make a span that ends before it begins.
        let mut ledger = after(Serving::Here, true);
        assert_eq!(take(&mut ledger, 40, presence(Serving::Here, Some(true))), ["unwatched@40", "here@40"]);
    }

    #[test]
    fn what_was_lost_is_a_hole_and_what_holds_goes_on_after_it() {
        let mut ledger = Ledger::default();
        take(&mut ledger, 1, presence(Serving::Here, Some(true)));
        let mut rows = Vec::new();
        ledger.lost(5, 9, 3, "the disk is full", &mut rows);
        assert_eq!(words(&rows), ["gap", "unwatched@5", "here@9"]);
        // Levels that are told again after it say what came in between.
        assert_eq!(take(&mut ledger, 9, presence(Serving::Nowhere, Some(false))), ["demoted", "down", "nowhere@9"]);
    }

    #[test]
    fn what_is_no_longer_configured_is_not_watched() {
        let mut ledger = Ledger::default();
        take(&mut ledger, 1, presence(Serving::Here, Some(true)));
        assert_eq!(take(&mut ledger, 2, Told::Forgotten), ["unwatched@2"]);
        assert!(take(&mut ledger, 3, Told::Forgotten).is_empty());
        // It comes back, and is Secondary by then.
        let rows = take(&mut ledger, 9, presence(Serving::Nowhere, Some(false)));
        assert_eq!(rows, ["demoted", "down", "nowhere@9"]);
    }
}
