//! `start`, `stop` and `restart`, step by step: what is done to which entry, each step a line as it happens.
//!
//! ```text
//!  all of a resource: the daemon does it ─▶ pictures of it (whole.rs) ─▶ what changed in them (follow.rs) ─▶ lines
//!  a part of it:      it is held ─▶ systemctl, entry by entry (by_hand.rs), back again if one fails ─▶ lines
//! ```

pub(crate) mod args;
mod by_hand;
pub(crate) mod follow;
pub(crate) mod part;
pub(crate) mod range;
pub(crate) mod whole;

use std::io::{self, Write};
use std::time::Instant;

use serde_json::json;

use crate::style::{BAD, DIM, END, GOOD, NAME, WARN};

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// A step, or what it came to.
    Info,
    /// What is not as it should be, and stops nothing.
    Warn,
    /// What ends the action.
    Error,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The resource, `drbd:RESOURCE`, or an entry.
    pub(crate) about: String,
    pub(crate) level: Level,
    pub(crate) text: String,
}

impl Line {
    pub(crate) fn info(about: &str, text: impl Into<String>) -> Self {
        Self { about: about.to_owned(), level: Level::Info, text: text.into() }
    }

    pub(crate) fn warn(about: &str, text: impl Into<String>) -> Self {
        Self { level: Level::Warn, ..Self::info(about, text) }
    }

    pub(crate) fn error(about: &str, text: impl Into<String>) -> Self {
        Self { level: Level::Error, ..Self::info(about, text) }
    }
}

/// Where the lines go.
pub(crate) struct Printer<'o> {
    pub(crate) out: &'o mut dyn Write,
    /// One JSON object for each line.
    pub(crate) is_json: bool,
    /// When the action began.
    pub(crate) begin: Instant,
    /// What the names need.
    width: usize,
}

impl<'o> Printer<'o> {
    /// `names`: what lines will be about.
    pub(crate) fn new<'n>(out: &'o mut dyn Write, is_json: bool, names: impl Iterator<Item = &'n str>) -> Self {
        let width = names.map(|name| name.chars().count()).max().unwrap_or(0).clamp(12, 40);
        Self { out, is_json, begin: Instant::now(), width }
    }

    /// Prints a line at once: whoever waits sees it.
    pub(crate) fn say(&mut self, line: &Line) -> io::Result<()> {
        let Line { about, level, text } = line;
        if self.is_json {
            let after = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
            let value = json!({ "after-ms": after, "about": about, "level": level.word(), "text": text });
            writeln!(self.out, "{value}")?;
        } else {
            let style = match level {
                Level::Info => DIM,
                Level::Warn => WARN,
                Level::Error => BAD,
            };
            let pad = " ".repeat(self.width.saturating_sub(about.chars().count()));
            writeln!(self.out, "{NAME}{about}{END}{pad}  {style}{:<5}{END}  {text}", level.word())?;
        }
        self.out.flush()
    }

    /// The last line: what it has come to.
    pub(crate) fn done(&mut self, resource: &str, text: &str) -> io::Result<()> {
        let took = self.begin.elapsed().as_secs_f64();
        let text = format!("{text} after {took:.1} s");
        if self.is_json {
            return self.say(&Line::info(resource, text));
        }
        let pad = " ".repeat(self.width.saturating_sub(resource.chars().count()));
        writeln!(self.out, "{NAME}{resource}{END}{pad}  {GOOD}done {END}  {text}")?;
        self.out.flush()
    }
}
