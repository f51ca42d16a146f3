//! The catalogue: which messages are about storage, and what they mean.
//!
//! ```text
//!   Record ─▶ origin: kernel, or a tool by its identifier   (anything else is none of ours, whatever it says)
//!          ─▶ what can it begin with, and a few signs: can it be any at all?   (most messages end here)
//!          ─▶ one pass over the needles of that origin's wordings: which can it be?
//!          ─▶ their templates, in the order of the rules: which is it?
//!          ─▶ cases on its fields: type and severity ─▶ Finding
//! ```
//!
//! Rules, types ([`types`]) and the rows of the reference that have to be covered are tables.

mod document;
mod finding;
pub mod printk;
mod rows;
mod rule;
mod rules;
mod template;
pub mod types;
mod user;

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Anchored, Input, MatchKind, StartKind};

pub use crate::catalogue::document::{CaseNote, RuleNote, TypeNote, WordingNote, markdown, notes, type_notes};
pub use crate::catalogue::finding::{Finding, JoinKey, What};
pub use crate::catalogue::rule::{Change, Source, changes};
use crate::catalogue::rule::{Rule, Wording};
pub use crate::catalogue::template::{BadTemplate, Template};
use crate::catalogue::template::{MAX_FIELDS, Slots, is_blank};
pub use crate::catalogue::types::{EventType, Layer};
pub use crate::catalogue::user::{BadUserRule, MAX_USER_RULES, RawUserRule, UserRule};
use crate::record::{MAX_TEXT, Origin, Record};

/// Wordings that one source can have.
const MAX_WORDINGS: usize = 1024;

/// All rules, ready to be used. It takes some milliseconds to make one: make it once.
#[derive(Debug)]
pub struct Catalogue {
    /// By [`Source`].
    sources: Vec<Prepared>,
    /// Rules of the user's that come before the built-in ones.
    before: Vec<UserRule>,
    /// Rules of the user's that come after them.
    after: Vec<UserRule>,
}

impl Catalogue {
    /// The built-in rules.
    pub fn built_in() -> Self {
        let sources = Source::ALL.into_iter().map(Prepared::new).collect();
        Self { sources, before: Vec::new(), after: Vec::new() }
    }

    /// The same with rules of the user's, in their order.
    #[must_use]
    pub fn with_rules(mut self, rules: impl IntoIterator<Item = UserRule>) -> Self {
        self.set_rules(rules);
        self
    }

    /// From now on it has these rules of the user's, in their order, and no others.
    pub fn set_rules(&mut self, rules: impl IntoIterator<Item = UserRule>) {
        (self.before, self.after) = rules.into_iter().partition(UserRule::is_first);
    }

    /// What a message means. `None`: it is not about storage, as far as we know.
    pub fn classify<'a>(&'a self, record: &'a Record<'_>) -> Option<Finding<'a>> {
        let text = trimmed(&record.text);
        let of_user = |rules: &'a [UserRule]| rules.iter().find_map(|rule| rule.classify(record, text));
        of_user(&self.before).or_else(|| self.built_in_finding(record.origin, text)).or_else(|| of_user(&self.after))
    }

    fn built_in_finding<'a>(&'a self, origin: Origin<'_>, text: &'a str) -> Option<Finding<'a>> {
        self.sources.get(Source::of(origin)? as usize)?.classify(text)
    }

    /// The wordings of the built-in rules that `text` matches, as the names of their rules, in their order. The first one counts; a test asks
    /// for all of them.
    pub fn matching(&self, origin: Origin<'_>, text: &str) -> Vec<&'static str> {
        let Some(prepared) = Source::of(origin).and_then(|source| self.sources.get(source as usize)) else {
            return Vec::new();
        };
        let text = trimmed(text);
        let mut names: Vec<_> = prepared
            .ready
            .iter()
            .filter(|ready| ready.template.matches(text).is_some())
            .map(|ready| ready.rule.name)
            .collect();
        names.dedup();
        names
    }
}

/// Without blanks and line ends at either end, and not longer than is looked at.
fn trimmed(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let bytes = &text.as_bytes()[..end];
    let start = bytes.iter().position(|byte| !is_blank(*byte)).unwrap_or(end);
    let end = bytes.iter().rposition(|byte| !is_blank(*byte)).map_or(start, |last| last + 1);
    // Blanks are ASCII: there is a character's border at both places.
    text.get(start..end).unwrap_or_default()
}

/// The rules of one source.
#[derive(Debug)]
struct Prepared {
    ready: Vec<Ready>,
    /// What most wordings begin with.
    heads: Option<AhoCorasick>,
    /// Signs of the others: so few that they are looked for many bytes at a time.
    others: Option<AhoCorasick>,
    /// The needles of all wordings in one automaton.
    needles: Option<AhoCorasick>,
    /// For each needle, which wordings have it.
    owners: Vec<Vec<usize>>,
}

/// A wording that is ready to be used.
#[derive(Debug)]
struct Ready {
    rule: &'static Rule,
    template: Template,
}

impl Prepared {
    fn new(source: Source) -> Self {
        // A bad template is left out here; a test sees that there is none.
        let template = |wording: &Wording| Template::new(wording.template).ok();
        let ready: Vec<Ready> = rules_of(source)
            .flat_map(|rule| rule.wordings.iter().filter_map(move |wording| Some((rule, template(wording)?))))
            .map(|(rule, template)| Ready { rule, template })
            .take(MAX_WORDINGS)
            .collect();
        let (mut heads, mut others) = (Vec::new(), Vec::new());
        for ready in &ready {
            match ready.template.heads() {
                Some(mut of_this) => heads.append(&mut of_this),
                None => others.append(&mut ready.template.signs()),
            }
        }
        for pieces in [&mut heads, &mut others] {
            pieces.sort();
            pieces.dedup();
        }
        let mut needles: Vec<String> = Vec::new();
        let mut owners: Vec<Vec<usize>> = Vec::new();
        for (index, ready) in ready.iter().enumerate() {
            for needle in ready.template.needles() {
                match needles.iter().position(|known| *known == needle) {
                    Some(known) => owners[known].push(index),
                    None => {
                        needles.push(needle);
                        owners.push(vec![index]);
                    }
                }
            }
        }
        let needles =
            AhoCorasick::builder().match_kind(MatchKind::Standard).kind(Some(AhoCorasickKind::DFA)).build(needles).ok();
        let heads = AhoCorasick::builder().start_kind(StartKind::Anchored).build(heads).ok();
        // With this kind of match it uses vectors for few needles.
        let others = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(others).ok();
        Self { ready, heads, others, needles, owners }
    }

    fn classify<'a>(&'a self, text: &'a str) -> Option<Finding<'a>> {
        self.candidates(text)?.find_map(|index| self.ready.get(index)?.finding(text))
    }

    /// Whether it can be any at all. Most messages cannot, and this costs a fraction of looking for all needles.
    fn can_be_one(&self, text: &str) -> bool {
        let begins = |heads: &AhoCorasick| heads.is_match(Input::new(text).anchored(Anchored::Yes));
        self.heads.as_ref().is_some_and(begins) || self.others.as_ref().is_some_and(|others| others.is_match(text))
    }

    /// Which wordings it can be, in their order.
    fn candidates(&self, text: &str) -> Option<Candidates> {
        if !self.can_be_one(text) {
            return None;
        }
        let mut found = self.needles.as_ref()?.find_overlapping_iter(text).peekable();
        // Most messages have none of the needles.
        found.peek()?;
        let mut candidates = Candidates([0; MAX_WORDINGS / 64]);
        for needle in found {
            for wording in &self.owners[needle.pattern().as_usize()] {
                candidates.0[wording / 64] |= 1 << (wording % 64);
            }
        }
        Some(candidates)
    }
}

/// A set of wordings; as an iterator it gives and forgets the first of them.
struct Candidates([u64; MAX_WORDINGS / 64]);

impl Iterator for Candidates {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let (at, word) = self.0.iter_mut().enumerate().find(|(_, word)| **word != 0)?;
        let bit = word.trailing_zeros() as usize;
        *word &= *word - 1;
        Some(at * 64 + bit)
    }
}

impl Ready {
    fn finding<'a>(&'a self, text: &'a str) -> Option<Finding<'a>> {
        let slots = self.template.matches(text)?;
        let value = |index: usize| value(&slots, index, text);
        let named = self.template.fields().iter().enumerate();
        let named = named.filter_map(|(index, field)| Some((field, value(index)?)));
        let field = |name: &str| named.clone().find(|(field, _)| field.name == name).map(|(_, value)| value);
        let rule = self.rule;
        let case = rule.cases.iter().find(|case| case.when.holds(field));
        let event = case.map_or(rule.event, |case| case.event);
        let severity = case.and_then(|case| case.severity).unwrap_or(event.severity);
        let mut devices = Vec::new();
        for (field, value) in named.clone() {
            let Some(device) = finding::device(field, value) else { continue };
            devices.insert(if field.subject { 0 } else { devices.len() }, (field.name, device));
        }
        let count = || field("count").and_then(|count| count.parse().ok());
        let what = match event.is("LOG_SUPPRESSED").then(count).flatten() {
            Some(count) => What::Suppressed { count },
            None if rule.join.is_part() => What::Part,
            None => What::Event,
        };
        Some(Finding {
            rule: rule.name,
            event,
            severity,
            subsystem: rule.subsystem.unwrap_or(event.subsystem),
            what,
            joined: JoinKey::of(rule.join, &devices, field("tag")),
            devices,
            fields: named.map(|(field, value)| (field.name, Cow::Borrowed(value))).collect(),
        })
    }
}

fn value<'a>(slots: &Slots, index: usize, text: &'a str) -> Option<&'a str> {
    debug_assert!(index < MAX_FIELDS);
    let (start, end) = (*slots.get(index)?)?;
    text.get(usize::from(start)..usize::from(end))
}

/// The rules of one source, in their order.
fn rules_of(source: Source) -> impl Iterator<Item = &'static Rule> {
    rules::ALL.iter().filter(move |(of, _)| *of == source).flat_map(|(_, rules)| rules.iter())
}

/// All built-in rules, and whose messages they are about.
fn all_rules() -> impl Iterator<Item = (Source, &'static Rule)> {
    rules::ALL.iter().flat_map(|(source, rules)| rules.iter().map(move |rule| (*source, rule)))
}

#[cfg(test)]
mod tests;
