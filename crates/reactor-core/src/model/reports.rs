//! What was odd in the input: counted always, told once, and bounded.

use std::collections::BTreeMap;

/// How many different oddities are remembered; what comes on top is only counted.
const MAX_REMEMBERED: usize = 256;

/// How many notes wait for the loop at most.
const MAX_NOTES: usize = 64;

/// Counters and notes about odd input.
#[derive(Clone, Debug, Default)]
pub struct Reports {
    /// Lines that could not be understood at all.
    pub unparsed: u64,
    /// Events of an object whose parent is not known (DRBD 8.4 speaks of some that are gone).
    pub orphans: u64,
    /// Words, keys, verbs and objects that we do not know, each time they came.
    pub unknown_total: u64,
    /// Broken invariants of the model.
    pub violations: u64,
    /// The unknown words themselves: what, and how often.
    unknown: BTreeMap<String, u64>,
    /// The last lines that could not be understood.
    last_unparsed: Option<String>,
    notes: Vec<Note>,
}

/// Something that the log should say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How bad it is.
    pub level: NoteLevel,
    /// What.
    pub text: String,
}

/// How bad a [`Note`] is; the words are those of the log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum NoteLevel {
    /// Why not.
    Debug,
    /// State changed.
    Info,
    /// Degraded, but handled.
    Warn,
    /// A person must act.
    Error,
}

impl Reports {
    /// The unknown words with how often they came.
    pub fn unknown(&self) -> impl Iterator<Item = (&str, u64)> {
        self.unknown.iter().map(|(what, count)| (what.as_str(), *count))
    }

    /// The last line that could not be understood, cut.
    pub fn last_unparsed(&self) -> Option<&str> {
        self.last_unparsed.as_deref()
    }

    /// What the log should say now.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    pub(crate) fn note(&mut self, level: NoteLevel, text: String) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(Note { level, text });
        }
    }

    pub(crate) fn unknown_key(&mut self, object: &str, key: &str, value: &str) {
        let what = format!("{object} key {}", cut(key));
        self.unknown_thing(what, || format!(", value {}", cut(value)));
    }

    pub(crate) fn unknown_word(&mut self, key: &str, word: &str) {
        self.unknown_thing(format!("{key} {}", cut(word)), String::new);
    }

    pub(crate) fn unknown_event(&mut self, verb: &str, object: &str) {
        self.unknown_thing(format!("event {} {}", cut(verb), cut(object)), String::new);
    }

    fn unknown_thing(&mut self, what: String, more: impl FnOnce() -> String) {
        self.unknown_total += 1;
        if let Some(count) = self.unknown.get_mut(&what) {
            *count += 1;
            return;
        }
        if self.unknown.len() >= MAX_REMEMBERED {
            return;
        }
        let text = format!("DRBD says something this version does not know, kept as it is: {what}{}", more());
        self.note(NoteLevel::Warn, text);
        self.unknown.insert(what, 1);
    }

    pub(crate) fn orphan(&mut self, resource: &str) {
        self.orphans += 1;
        if self.orphans == 1 {
            let text = format!("DRBD spoke of a part of {} that is not there (any more); ignored", cut(resource));
            self.note(NoteLevel::Debug, text);
        }
    }

    pub(crate) fn unparsed(&mut self, line: &str, why: impl std::fmt::Display) {
        self.unparsed += 1;
        // The first ones tell what is wrong; a source gone mad must not fill the log.
        if self.unparsed <= 8 || self.unparsed.is_power_of_two() {
            let text = format!("line {} of its kind not understood ({why}): {}", self.unparsed, cut(line));
            self.note(NoteLevel::Warn, text);
        }
        self.last_unparsed = Some(cut(line).into_owned());
    }

    pub(crate) fn violation(&mut self, text: impl std::fmt::Display) {
        self.violations += 1;
        if self.violations <= 8 || self.violations.is_power_of_two() {
            self.note(NoteLevel::Error, format!("the picture of DRBD contradicts itself: {text}"));
        }
    }
}

/// At most 200 characters of untrusted text, without control characters.
fn cut(text: &str) -> std::borrow::Cow<'_, str> {
    if text.len() <= 200 && !text.chars().any(char::is_control) {
        return text.into();
    }
    text.chars().take(200).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect::<String>().into()
}
