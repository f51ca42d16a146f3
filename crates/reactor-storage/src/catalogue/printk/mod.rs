//! Whether a running kernel words its messages as the catalogue knows them: by its printk index, which lists the formats of everything that it
//! prints (`/sys/kernel/debug/printk/index/*`, 5.15 and later, with `CONFIG_PRINTK_INDEX`).
//!
//! ```text
//!   <level[,c]> file:line function "format"      the format with \n, \" and \\ for what they mean
//! ```
//!
//! A rule can be judged if the kernel has the source file that prints its lines, and prints them in one piece. It is found if one of its samples is
//! what a format makes. Lines that a function of the kernel's puts together (`sd 0:0:0:0: ...`, `EXT4-fs (sda1): %pV`) are in no index as they
//! appear in the log: of these nothing can be said.

mod files;
mod format;

use std::collections::BTreeMap;

use super::Source;
use super::rule::Rule;
use crate::event::Severity;
use files::files_of;
use format::Format;

/// What is known of one rule.
#[derive(Debug)]
struct Judged {
    rule: &'static Rule,
    files: &'static [&'static str],
    samples: Vec<String>,
    /// The kernel has one of the files.
    is_there: bool,
    /// A format makes one of its lines, or may.
    is_found: bool,
}

/// Holds the rules of the kernel's log against its index.
#[derive(Debug)]
pub struct Check {
    rules: Vec<Judged>,
    formats: usize,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Formats of the kernel's that were looked at: those of storage.
    pub formats: usize,
    /// Rules that could be judged.
    pub judged: usize,
    /// Those of them whose lines this kernel does not print.
    pub reworded: Vec<Reworded>,
}

/// A type of event that this kernel words otherwise: it is missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reworded {
    /// The type.
    pub event: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The rules that find nothing.
    pub rules: Vec<&'static str>,
    /// The source files that print it.
    pub files: Vec<&'static str>,
}

impl Default for Check {
    fn default() -> Self {
        let of_kernel = super::rules_of(Source::Kernel);
        let rules = of_kernel.filter_map(|rule| {
            let files = files_of(rule.name)?;
            let samples = rule.wordings.iter().flat_map(|wording| wording.samples);
            // A device without a driver has no name before its own: the line begins with a blank, which samples don't all have.
            let samples = samples.map(|sample| format!(" {}", sample.trim())).collect();
            Some(Judged { rule, files, samples, is_there: false, is_found: false })
        });
        Self { rules: rules.collect(), formats: 0 }
    }
}

impl Check {
    /// Takes one file of the index, the kernel's own or a module's. Lines that are none are left out.
    pub fn take(&mut self, index: &str) {
        for (file, format) in index.lines().filter_map(entry) {
            if !files::is_storage(file) {
                continue;
            }
            self.formats += 1;
            for judged in &mut self.rules {
                judged.is_there |= judged.files.iter().any(|known| files::is_file(file, known));
            }
            let Some(format) = Format::new(&format) else { continue };
            for judged in self.rules.iter_mut().filter(|judged| !judged.is_found) {
                judged.is_found = judged.samples.iter().any(|sample| format.makes(sample));
            }
        }
    }

    /// What was found.
    pub fn report(&self) -> Report {
        let judged = || self.rules.iter().filter(|judged| judged.is_there || judged.is_found);
        let mut reworded: BTreeMap<&'static str, Reworded> = BTreeMap::new();
        for Judged { rule, files, .. } in judged().filter(|judged| !judged.is_found) {
            let (event, severity): (&'static str, _) = (&rule.event.name, rule.event.severity);
            let new = || Reworded { event, severity, rules: Vec::new(), files: Vec::new() };
            let one = reworded.entry(event).or_insert_with(new);
            one.rules.push(rule.name);
            let more = files.iter().filter(|file| !one.files.contains(file)).copied().collect::<Vec<_>>();
            one.files.extend(more);
        }
        let mut reworded: Vec<_> = reworded.into_values().collect();
        reworded.sort_by_key(|one| (std::cmp::Reverse(one.severity), one.event));
        Report { formats: self.formats, judged: judged().count(), reworded }
    }
}

/// The file and the format of a line of the index.
fn entry(line: &str) -> Option<(&str, String)> {
    let rest = line.strip_prefix('<')?;
    let (_, rest) = rest.split_once("> ")?;
    let (place, quoted) = rest.split_once(" \"")?;
    let (file, _) = place.split_once(':')?;
    Some((file, unescaped(quoted.trim_end().strip_suffix('"')?)))
}

/// `string_escape_mem` of the kernel: `\n`, `\"`, `\\`, `\033`.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let octal = escape.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        let (c, length) = match (escape.chars().next(), octal) {
            (_, Some(byte)) => (char::from(byte), 3),
            (Some('n'), _) => ('\n', 1),
            (Some('t'), _) => ('\t', 1),
            (Some('r'), _) => ('\r', 1),
            (Some('a'), _) => ('\x07', 1),
            (Some('e'), _) => ('\x1b', 1),
            (Some('f'), _) => ('\x0c', 1),
            (Some('v'), _) => ('\x0b', 1),
            (Some(c), _) => (c, c.len_utf8()),
            (None, _) => ('\\', 0),
        };
        out.push(c);
        rest = &escape[length..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
