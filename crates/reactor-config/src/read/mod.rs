//! From the text of one file to settings.
//!
//! `serde`'s derive stops at the first error of a file, and a person who has to fix five things wants to hear of all five. So
//! a file is parsed into a table with spans ([`DeTable::parse_recoverable`] gives several syntax errors at once too), and that
//! table is walked by a small typed reader ([`walk`]) that collects findings and goes on.

mod address;
mod contradictions;
mod entry;
mod events;
mod main_file;
mod matcher;
mod notify;
mod order;
mod plugins;
mod promoter;
mod start;
mod umh;
mod walk;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reactor_core::ids::ResourceName;
use reactor_core::settings::{ListenAddress, Mode, PluginEntry};
use toml::de::DeTable;

pub(crate) use main_file::{MainSettings, default_main};
pub(crate) use notify::Notifier;

use crate::finding::{Code, Finding, Severity};
use crate::source::{Location, Source};
use walk::Reader;

/// Which file it is: a snippet may hold plugin tables only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FileRole {
    /// The file that the daemon is started with.
    Main,
    /// A file in the snippets folder.
    Snippet,
}

/// One file, read.
#[derive(Debug)]
pub(crate) struct ParsedFile {
    pub(crate) source: Arc<Source>,
    /// Of a main file.
    pub(crate) main: MainSettings,
    pub(crate) plugins: Vec<PluginEntry>,
    pub(crate) findings: Vec<Finding>,
    /// Which DRBD resource which of `plugins` promotes, and where that is written.
    pub(crate) claims: Vec<Claim>,
    /// On which address which of `plugins` listens, and where that is written.
    pub(crate) listeners: Vec<(ListenAddress, Location)>,
    /// Web configuration files of the metrics servers, and where they are named.
    pub(crate) webs: Vec<(PathBuf, Location)>,
    /// Files of peripety's, and where they are named.
    pub(crate) peripety: Vec<(PathBuf, Location)>,
    /// The `[[notify]]` tables among `plugins`.
    pub(crate) notifiers: Vec<Notifier>,
    /// Files that hold a secret, and where they are named.
    pub(crate) secret_files: Vec<(PathBuf, Location)>,
    /// The last table header: what a key at the top of the next file belongs to for drbd-reactor.
    pub(crate) last_header: Option<Location>,
    /// Indices of findings about keys that drbd-reactor would read as part of the file before.
    pub(crate) glued: Vec<usize>,
}

/// A DRBD resource in a promoter.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) resource: ResourceName,
    /// Index into [`ParsedFile::plugins`].
    pub(crate) plugin: usize,
    pub(crate) location: Location,
    /// Where each entry of its `start` is written.
    pub(crate) start: Vec<Location>,
}

impl ParsedFile {
    /// Whether all of the file can be used: warnings do not make it bad.
    pub(crate) fn is_good(&self) -> bool {
        !self.findings.iter().any(Finding::is_error)
    }

    /// Whether what is good of the file can be used without the rest, which is left out.
    pub(crate) fn is_usable(&self) -> bool {
        !self.findings.iter().any(|finding| finding.is_error() && !finding.costs_part)
    }
}

/// Most findings of one file that are kept: a file of another kind could give a million.
const MAX_FINDINGS: usize = 100;

/// Reads the text of one file. `base` is the folder that relative paths start from.
pub(crate) fn parse_file(source: &Arc<Source>, role: FileRole, mode: Mode, base: &Path) -> ParsedFile {
    let (document, errors) = DeTable::parse_recoverable(source.text());
    let mut reader = Reader::new(source, mode, base);
    let mut parsed = ParsedFile {
        source: source.clone(),
        main: default_main(),
        plugins: Vec::new(),
        findings: Vec::new(),
        claims: Vec::new(),
        listeners: Vec::new(),
        webs: Vec::new(),
        peripety: Vec::new(),
        notifiers: Vec::new(),
        secret_files: Vec::new(),
        last_header: None,
        glued: Vec::new(),
    };
    // What recovery makes of broken text may have keys that nobody wrote. Doubled keys are the exception: the text is sound.
    let sound = errors.iter().all(|error| error.message() == DUPLICATE);
    for error in without_echoes(source.text(), &errors) {
        reader.push(syntax_finding(source, error));
    }
    if sound {
        parsed.last_header = last_header(source, document.get_ref());
        main_file::read(&mut reader, document.get_ref(), role, &mut parsed);
    }
    parsed.findings = reader.into_findings();
    for finding in &mut parsed.findings {
        finding.message = finding.message.chars().take(400).collect();
    }
    limit(&mut parsed);
    parsed.glued =
        (0..parsed.findings.len()).filter(|&index| is_glued(&parsed.findings[index], document.get_ref())).collect();
    parsed
}

/// The parser's words for a key that is there twice.
const DUPLICATE: &str = "duplicate key";

/// Leaves out what only follows from a table that is there twice: all of its keys are there twice then.
fn without_echoes<'e>(text: &str, errors: &'e [toml::de::Error]) -> Vec<&'e toml::de::Error> {
    let place = |error: &toml::de::Error| error.span().map_or(text.len(), |span| span.start);
    let mut errors: Vec<&toml::de::Error> = errors.iter().collect();
    errors.sort_by_key(|error| place(error));
    let mut echo_until = 0;
    errors.retain(|error| {
        let at = place(error);
        let doubled = error.message() == DUPLICATE;
        let line = &text[text[..at.min(text.len())].rfind('\n').map_or(0, |feed| feed + 1)..];
        let is_header = line.trim_start().starts_with('[');
        let is_echo = doubled && !is_header && at < echo_until;
        if doubled && is_header {
            echo_until = text[at..].find("\n[").map_or(text.len(), |next| at + next);
        }
        !is_echo
    });
    errors
}

fn syntax_finding(source: &Arc<Source>, error: &toml::de::Error) -> Finding {
    let end = source.text().len();
    let mut span = error.span().unwrap_or(end..end);
    // At the end of the file there is nothing to point at; the last line is better than the empty one after it.
    if span.start >= end {
        let last = source.text().trim_end().len();
        span = last..last;
    }
    if error.message() == DUPLICATE {
        let name = walk::show(source.text().get(span.clone()).unwrap_or_default());
        return Finding::at(Severity::Error, Code::Duplicate, source, span, format!("the key {name} is already there"))
            .label("second time");
    }
    let finding = Finding::at(Severity::Error, Code::Syntax, source, span, error.message().to_owned());
    if error.message().starts_with("string values must be quoted") {
        return finding.hint("put the text in quotes: \"...\"");
    }
    finding
}

/// The last header of the file: the last table whose span is a header and not an inline table.
fn last_header(source: &Arc<Source>, document: &DeTable<'_>) -> Option<Location> {
    fn visit(text: &str, value: &toml::de::DeValue<'_>, span: Range<usize>, last: &mut Option<Range<usize>>) {
        match value {
            toml::de::DeValue::Table(table) => {
                let header = text.get(span.clone()).is_some_and(|text| text.starts_with('['));
                if header && last.as_ref().is_none_or(|last| last.start < span.start) {
                    *last = Some(span);
                }
                for (_, value) in table {
                    visit(text, value.get_ref(), value.span(), last);
                }
            }
            toml::de::DeValue::Array(array) => {
                for item in array {
                    visit(text, item.get_ref(), item.span(), last);
                }
            }
            _ => {}
        }
    }
    let mut last = None;
    for (_, value) in document {
        visit(source.text(), value.get_ref(), value.span(), &mut last);
    }
    last.map(|span| Location { source: source.clone(), span })
}

/// Whether a finding is about a key in front of the first header, which drbd-reactor attaches to the file before.
fn is_glued(finding: &Finding, document: &DeTable<'_>) -> bool {
    let Some(location) = &finding.location else { return false };
    match finding.code {
        Code::UnknownKey | Code::Misplaced => document.iter().any(|(key, value)| {
            let header = location.source.text().get(value.span()).is_some_and(|text| text.starts_with("[["));
            key.span() == location.span && !header && value.get_ref().as_table().is_none()
        }),
        _ => false,
    }
}

fn limit(parsed: &mut ParsedFile) {
    let more = parsed.findings.len().saturating_sub(MAX_FINDINGS);
    if more == 0 {
        return;
    }
    // Errors first: what makes the file bad must not be cut off.
    let mut index: Vec<usize> = (0..parsed.findings.len()).collect();
    index.sort_by_key(|&i| (std::cmp::Reverse(parsed.findings[i].severity), i));
    index.truncate(MAX_FINDINGS);
    index.sort_unstable();
    let mut kept: Vec<Finding> = index.into_iter().map(|i| parsed.findings[i].clone()).collect();
    let message = format!("and {more} more findings in this file");
    kept.push(Finding::about(Severity::Note, Code::Syntax, parsed.source.path(), message));
    parsed.findings = kept;
}

/// Reads one text as a snippet: the plugins that a daemon would take from it if it stood alone, and what is wrong with it.
pub fn parse_snippet(name: &Path, text: &str, mode: Mode) -> (Vec<PluginEntry>, Vec<Finding>) {
    let source = Source::new(name, text);
    let parsed = parse_file(&source, FileRole::Snippet, mode, name.parent().unwrap_or(Path::new("")));
    (parsed.plugins, parsed.findings)
}

/// Reads one text as a main file: for fuzzing and for tools. Never panics, whatever the text.
pub fn parse_text(name: &Path, text: &str, mode: Mode) -> (reactor_core::settings::Settings, Vec<Finding>) {
    let source = Source::new(name, text);
    let parsed = parse_file(&source, FileRole::Main, mode, name.parent().unwrap_or(Path::new("")));
    (parsed.main.with_plugins(mode, parsed.plugins), parsed.findings)
}
