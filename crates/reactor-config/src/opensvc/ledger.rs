//! What became of each key: one word and one reason for each, and none is forgotten.

use super::ini::{Document, KeyId, SectionId};

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It means here what it meant there.
    Taken,
    /// It is in the configuration, and means something else, or stands elsewhere.
    Changed,
    /// It is not in the configuration.
    Dropped,
}

impl Fate {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Changed => "changed",
            Self::Dropped => "dropped",
        }
    }
}

/// A key of the service file, and what became of it. Values are left out: they may be secret, and the line says where they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReport {
    /// Line of the file, counted from 1.
    pub line: usize,
    /// As it is written.
    pub section: String,
    /// As it is written, with its scope.
    pub key: String,
    /// What became of it.
    pub fate: Fate,
    /// Why.
    pub reason: String,
}

/// The fates so far.
#[derive(Debug)]
pub(super) struct Ledger(Vec<Option<(Fate, String)>>);

impl Ledger {
    pub(super) fn new(document: &Document) -> Self {
        Self(vec![None; document.keys.len()])
    }

    /// Says what became of a key. Who says it last has looked at it closest.
    pub(super) fn set(&mut self, key: KeyId, fate: Fate, reason: impl Into<String>) {
        self.0[key.0] = Some((fate, reason.into()));
    }

    pub(super) fn is_open(&self, key: KeyId) -> bool {
        self.0[key.0].is_none()
    }

    /// Nothing of a section is taken: its entry could not be made.
    pub(super) fn undo(&mut self, document: &Document, section: SectionId, why: &str) {
        for key in &document.section(section).keys {
            let fate = &mut self.0[key.0];
            if !matches!(fate, Some((Fate::Dropped, _))) {
                *fate = Some((Fate::Dropped, why.to_owned()));
            }
        }
    }

    /// The report, in the order of the file; `rest` says why a key that nobody looked at is dropped.
    pub(super) fn close(self, document: &Document, rest: impl Fn(KeyId) -> String) -> Vec<KeyReport> {
        let fates = self.0.into_iter().enumerate();
        let all = fates.map(|(at, fate)| {
            let (fate, reason) = fate.unwrap_or_else(|| (Fate::Dropped, rest(KeyId(at))));
            let key = document.key_of(KeyId(at));
            let section = document.section(key.section).name.clone();
            KeyReport { line: key.line, section, key: key.written.clone(), fate, reason }
        });
        all.collect()
    }
}
