//! Lines for the journal: standard error, with the level in front as systemd reads it (`<4>`, sd-daemon(3)).
//!
//! A person at a terminal gets the words alone.

use std::io::{self, IsTerminal, Write};

use crate::instance::one_line;

/// How important a line is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Level {
    /// A person must act.
    Error,
    /// Not as it should be, but handled.
    Warning,
    /// Something has changed.
    Info,
}

/// Writes one line. Who reads them may be gone: then nothing is said.
pub(crate) fn line(level: Level, text: &str) {
    let mut stderr = io::stderr().lock();
    let number = match level {
        Level::Error => 3,
        Level::Warning => 4,
        Level::Info => 6,
    };
    let text = one_line(text);
    let line = if stderr.is_terminal() { format!("{text}\n") } else { format!("<{number}>{text}\n") };
    let _ = stderr.write_all(line.as_bytes());
}
