//! The sources beside DRBD's: each by itself, so that one that is down or loud changes nothing that another one said.

use std::collections::BTreeMap;

use crate::input::{Fact, Record, SourceEvent, SourceId};
use crate::uevent::Uevent;

use super::SourceState;

/// The sources beside DRBD's that were ever heard of.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    of: BTreeMap<SourceId, Source>,
    uevents: UeventCounts,
}

/// So many pairs of subsystem and action are counted apart.
const MAX_PAIRS: usize = 200;

/// What the rest is counted as.
const OTHER: &str = "other";

/// Uevents by subsystem and action. What comes on top of [`MAX_PAIRS`] is counted together as `other`.
#[derive(Clone, Debug, Default)]
struct UeventCounts(BTreeMap<(String, String), u64>);

impl UeventCounts {
    fn count(&mut self, uevent: &Uevent) {
        let pair = (uevent.subsystem.clone(), uevent.action.clone());
        let known = self.0.contains_key(&pair) || self.0.len() < MAX_PAIRS;
        let pair = if known { pair } else { (OTHER.to_owned(), OTHER.to_owned()) };
        *self.0.entry(pair).or_default() += 1;
    }
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Whether it is up. It has no dump: it is live as soon as it begins.
    pub state: SourceState,
    /// What is read, as it said when it began last.
    pub command: Option<String>,
    /// Why it ended, if it is down.
    pub why: Option<String>,
    /// How many records it told.
    pub records: u64,
    /// How often something was lost because it could not keep up.
    pub overruns: u64,
    /// How much was lost, as far as somebody knows.
    pub lost: u64,
    /// How many records were not understood.
    pub not_understood: u64,
    /// Why, the last time.
    pub last_not_understood: Option<String>,
}

impl Sources {
    /// One source; nothing before its first word.
    pub fn get(&self, source: SourceId) -> Option<&Source> {
        self.of.get(&source)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (SourceId, &Source)> {
        self.of.iter().map(|(id, source)| (*id, source))
    }

    /// How many uevents there were, by subsystem and action.
    pub fn uevents(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.uevents.0.iter().map(|((subsystem, action), count)| (subsystem.as_str(), action.as_str(), *count))
    }

    /// A source began or ended.
    pub fn event(&mut self, source: SourceId, event: &SourceEvent) {
        let source = self.of.entry(source).or_default();
        if let SourceEvent::Started { command, .. } = event {
            source.command = Some(command.clone());
        }
        (source.state, source.why) = match event {
            SourceEvent::Started { .. } => (SourceState::Live, None),
            SourceEvent::Ended { why } => (SourceState::Down, Some(why.clone())),
        };
    }

    /// What it says.
    pub fn records(&mut self, source: SourceId, records: &[Record]) {
        let source = self.of.entry(source).or_default();
        for record in records {
            match &record.fact {
                Fact::Lost { count } => {
                    source.overruns += 1;
                    source.lost = source.lost.saturating_add(count.unwrap_or(0));
                }
                Fact::NotUnderstood { why } => {
                    source.not_understood += 1;
                    source.last_not_understood = Some(why.clone());
                }
                Fact::Uevent(uevent) => self.uevents.count(uevent),
                Fact::Suppressed { .. } | Fact::SplitBrain(_) | Fact::Storage(_) | Fact::Booted => {}
            }
        }
        source.records += records.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Subject;

    #[test]
    fn uevents_are_counted_by_subsystem_and_action_and_never_have_more_than_so_many_labels() {
        let mut sources = Sources::default();
        let record = |subsystem: String| {
            let uevent = Uevent { action: "add".to_owned(), subsystem, devpath: "/devices/x".to_owned() };
            Record { subject: Subject::Node, fact: Fact::Uevent(uevent) }
        };
        for number in 0..1000 {
            sources.records(SourceId::Uevents, &[record("block".to_owned()), record(format!("made-up-{number}"))]);
        }
        let counts: Vec<_> = sources.uevents().collect();
        assert_eq!(counts.len(), MAX_PAIRS + 1);
        assert!(counts.contains(&("block", "add", 1000)) && counts.contains(&("other", "other", 801)));
        assert_eq!(sources.get(SourceId::Uevents).map(|source| source.records), Some(2000));
    }

    #[test]
    fn what_is_not_understood_is_counted_apart() {
        let mut sources = Sources::default();
        for why in ["it has no SUBSYSTEM", "it does not begin with ACTION@DEVPATH"] {
            let record = Record { subject: Subject::Node, fact: Fact::NotUnderstood { why: why.to_owned() } };
            sources.records(SourceId::Uevents, &[record]);
        }
        let source = sources.get(SourceId::Uevents).unwrap();
        assert_eq!((source.records, source.overruns, source.not_understood), (2, 0, 2));
        assert_eq!(source.last_not_understood.as_deref(), Some("it does not begin with ACTION@DEVPATH"));
        assert_eq!(sources.uevents().count(), 0);
    }
}
