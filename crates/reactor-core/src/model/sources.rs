//! The sources beside DRBD's: each by itself, so that one that is down or loud changes nothing that another one said.

use std::collections::BTreeMap;

use crate::input::{Fact, Record, SourceEvent, SourceId};

use super::SourceState;

/// The sources beside DRBD's that were ever heard of.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    of: BTreeMap<SourceId, Source>,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Whether it is up. It has no dump: it is live as soon as it begins.
    pub state: SourceState,
    /// Why it ended, if it is down.
    pub why: Option<String>,
    /// How many records it told.
    pub records: u64,
    /// How often something was lost because it could not keep up.
    pub overruns: u64,
    /// How much was lost, as far as somebody knows.
    pub lost: u64,
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

    /// A source began or ended.
    pub fn event(&mut self, source: SourceId, event: &SourceEvent) {
        let source = self.of.entry(source).or_default();
        (source.state, source.why) = match event {
            SourceEvent::Started { .. } => (SourceState::Live, None),
            SourceEvent::Ended { why } => (SourceState::Down, Some(why.clone())),
        };
    }

    /// What it says.
    pub fn records(&mut self, source: SourceId, records: &[Record]) {
        let source = self.of.entry(source).or_default();
        for record in records {
            match record.fact {
                Fact::Lost { count } => {
                    source.overruns += 1;
                    source.lost = source.lost.saturating_add(count.unwrap_or(0));
                }
            }
        }
        source.records += records.len() as u64;
    }
}
