//! Findings as text: with the lines of the file and a caret for people, or in one line for logs.
//!
//! The excerpts come from [`Source::masked`], so no value of a secret-like key is ever printed.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::finding::{Finding, Severity};
use crate::source::{Location, Source};

/// How findings are rendered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Style {
    /// Text only.
    #[default]
    Plain,
    /// With ANSI colours, for a terminal.
    Coloured,
}

/// Longest line of a file that is shown; a longer one is only named.
const MAX_LINE: usize = 2000;

impl Finding {
    /// `FILE:LINE:COLUMN: error: message (hint)`, in one line whatever the message holds.
    pub fn one_line(&self) -> String {
        let mut line = match &self.location {
            Some(location) => location.to_string(),
            None => self.file.display().to_string(),
        };
        let _ = write!(line, ": {}: {}", self.severity.as_str(), self.message);
        if let Some(hint) = &self.hint {
            let _ = write!(line, " ({hint})");
        }
        for related in &self.related {
            let _ = write!(line, "; {}: {}", related.location, related.label);
        }
        line.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
    }

    /// With file, line, column, the line itself and a caret; several lines, the last one without line feed.
    pub fn render(&self, style: Style) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let mut group = Group::with_title(level.primary_title(self.message.as_str()));
        match &self.location {
            Some(location) => group = with_excerpts(group, self, location),
            None => group = group.element(Origin::path(self.file.display().to_string())),
        }
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        let renderer = match style {
            Style::Plain => Renderer::plain(),
            Style::Coloured => Renderer::styled(),
        };
        renderer.render(&[group])
    }
}

/// Adds the lines of the finding's own place and of those related to it. Places of one file go into one excerpt if they
/// are near each other.
fn with_excerpts<'a>(mut group: Group<'a>, finding: &'a Finding, location: &'a Location) -> Group<'a> {
    let mut own = Excerpt::new(location, AnnotationKind::Primary, finding.label.as_deref());
    let mut others: Vec<Excerpt<'_>> = Vec::new();
    for related in &finding.related {
        let excerpt = Excerpt::new(&related.location, AnnotationKind::Context, Some(&related.label));
        if !own.absorb(&excerpt) {
            others.push(excerpt);
        }
    }
    group = own.add_to(group);
    for other in others {
        group = other.add_to(group);
    }
    group
}

/// Lines of one file and the marks on them.
struct Excerpt<'a> {
    source: &'a Source,
    lines: Range<u32>,
    marks: Vec<(Range<usize>, AnnotationKind, Option<&'a str>)>,
}

impl<'a> Excerpt<'a> {
    /// Lines that are cut out at most, so that a finding costs the same in a small file and in a large one.
    const MAX_LINES: u32 = 2000;

    fn new(location: &'a Location, kind: AnnotationKind, label: Option<&'a str>) -> Self {
        let line = location.line();
        Self { source: &location.source, lines: line..line + 1, marks: vec![(first_line_of(location), kind, label)] }
    }

    /// Takes over the marks of `other` if it shows the same file, not too far away.
    fn absorb(&mut self, other: &Excerpt<'a>) -> bool {
        let lines = self.lines.start.min(other.lines.start)..self.lines.end.max(other.lines.end);
        if !std::ptr::eq(self.source, other.source) || lines.end - lines.start > Self::MAX_LINES {
            return false;
        }
        self.lines = lines;
        self.marks.extend(other.marks.iter().cloned());
        true
    }

    fn add_to(self, group: Group<'a>) -> Group<'a> {
        let start = self.source.line_range(self.lines.start).start;
        let end = self.source.line_range(self.lines.end - 1).end;
        let path = self.source.path().display().to_string();
        if self.lines.clone().any(|line| self.source.line_range(line).len() > MAX_LINE) {
            let (line, column) = self.source.line_column(self.marks[0].0.start);
            return group.element(Origin::path(path).line(line as usize).char_column(column as usize));
        }
        let mut snippet =
            Snippet::source(&self.source.masked()[start..end]).path(path).line_start(self.lines.start as usize);
        for (span, kind, label) in self.marks {
            snippet = snippet.annotation(kind.span(span.start - start..span.end - start).label(label));
        }
        group.element(snippet)
    }
}

/// The part of the place that is in its first line: a caret under a whole table helps nobody.
fn first_line_of(location: &Location) -> Range<usize> {
    let source = &location.source;
    let start = source.floor(location.span.start);
    let line = source.line_range(location.line());
    let end = source.floor(location.span.end).clamp(start, line.end.max(start));
    start..end
}
