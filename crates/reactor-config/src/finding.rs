//! What is wrong with a configuration, where, and what to do about it.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::source::{Location, Source};

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Good to know.
    Note,
    /// The file is used, but probably does not do what its author wants.
    Warning,
    /// The file (or, where the message says so, a part of it) is not used; with [`Code::System`]: what it says can't work here.
    Error,
}

impl Severity {
    /// The word as it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What kind of finding it is: stable words for programs; people read the message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Code {
    /// The file can't be read, or must not be trusted.
    File,
    /// Not TOML.
    Syntax,
    /// A key that nobody knows.
    UnknownKey,
    /// A key or table that belongs somewhere else.
    Misplaced,
    /// A string where a number should be, and the like.
    WrongType,
    /// A word that is none of the choices.
    UnknownWord,
    /// A number, duration or size beyond its limits.
    OutOfRange,
    /// Any other value that can't be used.
    BadValue,
    /// A key that must be there is not.
    MissingKey,
    /// The same thing twice.
    Duplicate,
    /// A key that is accepted and has no effect.
    Ignored,
    /// Allowed, but rarely meant.
    Suspicious,
    /// drbd-reactor, which joins its files as text, reads this differently.
    OldReading,
    /// The system lacks what the configuration needs, or could not be asked. The file is used all the same.
    System,
}

impl Code {
    /// The word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Syntax => "syntax",
            Self::UnknownKey => "unknown-key",
            Self::Misplaced => "misplaced",
            Self::WrongType => "wrong-type",
            Self::UnknownWord => "unknown-word",
            Self::OutOfRange => "out-of-range",
            Self::BadValue => "bad-value",
            Self::MissingKey => "missing-key",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::Suspicious => "suspicious",
            Self::OldReading => "old-reading",
            Self::System => "system",
        }
    }
}

/// One finding. Its texts never hold the value of a secret-like key.
#[derive(Clone, Debug)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What kind it is.
    pub code: Code,
    /// The file or folder it is about.
    pub file: Arc<Path>,
    /// Where in the file; `None` if it is about the file as a whole.
    pub location: Option<Location>,
    /// What is wrong.
    pub message: String,
    /// A few words beside the caret.
    pub label: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Other places that matter.
    pub related: Vec<Related>,
    /// An error that costs only a part of its file, which is left out: a resource, a rule, a plugin.
    pub(crate) costs_part: bool,
}

/// Another place that matters to a finding.
#[derive(Clone, Debug)]
pub struct Related {
    /// Where.
    pub location: Location,
    /// What is there.
    pub label: String,
}

impl Finding {
    /// A finding about a place in a file.
    pub(crate) fn at(
        severity: Severity,
        code: Code,
        source: &Arc<Source>,
        span: Range<usize>,
        message: String,
    ) -> Self {
        Self {
            severity,
            code,
            file: source.path().clone(),
            location: Some(Location { source: source.clone(), span }),
            message,
            label: None,
            hint: None,
            related: Vec::new(),
            costs_part: false,
        }
    }

    /// A finding about a file or folder as a whole.
    pub(crate) fn about(severity: Severity, code: Code, file: &Path, message: String) -> Self {
        Self {
            severity,
            code,
            file: Arc::from(file),
            location: None,
            message,
            label: None,
            hint: None,
            related: Vec::new(),
            costs_part: false,
        }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn related(mut self, location: Location, label: impl Into<String>) -> Self {
        self.related.push(Related { location, label: label.into() });
        self
    }

    /// Whether it keeps something from being used.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Line from 1; 0 if it is about the file as a whole.
    pub fn line(&self) -> u32 {
        self.location.as_ref().map_or(0, Location::line)
    }

    /// Column from 1, in characters; 0 if it is about the file as a whole.
    pub fn column(&self) -> u32 {
        self.location.as_ref().map_or(0, Location::column)
    }
}
