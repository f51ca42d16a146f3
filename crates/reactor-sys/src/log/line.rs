//! One event as a line of text: `LEVEL [target] message key=value`.
//!
//! Values come from the kernel and from users' handlers. A line end or an escape sequence in one must not forge a line or reach
//! a terminal: control characters are written as `\n`, `\u{1b}`.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// An event, formatted but for what differs between targets.
pub(super) struct Line {
    /// ` [target] message key=value` and a line end.
    rest: String,
    /// Where the message begins in it.
    message: usize,
    stamp: Option<String>,
    /// The fields as they were given.
    fields: Vec<(&'static str, String)>,
}

impl Line {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let mut fields = Fields { message: String::new(), others: String::new(), raw: Vec::new() };
        event.record(&mut fields);
        let head = format!(" [{}] ", event.metadata().target());
        let message = head.len();
        Self { rest: format!("{head}{}{}\n", fields.message, fields.others), message, stamp: None, fields: fields.raw }
    }

    /// `message key=value`.
    pub(super) fn message(&self) -> &str {
        self.rest[self.message..].trim_end_matches('\n')
    }

    pub(super) fn fields(&self) -> &[(&'static str, String)] {
        &self.fields
    }

    /// The line for one target.
    pub(super) fn text(&mut self, level: Level, stamp: bool, priority: bool) -> String {
        let mut text = String::with_capacity(self.rest.len() + 40);
        if priority {
            let _ = write!(text, "<{}>", syslog_priority(level));
        }
        if stamp {
            text.push_str(self.stamp.get_or_insert_with(|| format!("{:.6}", crate::wall::now())));
            text.push(' ');
        }
        text.push_str(level.as_str());
        text.push_str(&self.rest);
        text
    }
}

fn syslog_priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

struct Fields {
    message: String,
    others: String,
    raw: Vec<(&'static str, String)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if field.name() == "message" {
            let _ = write!(Clean(&mut self.message), "{value}");
            return;
        }
        let raw = value.to_string();
        let mut text = String::new();
        let _ = Clean(&mut text).write_str(&raw);
        self.raw.push((field.name(), raw));
        let quoted = text.is_empty() || text.contains([' ', '=', '"']);
        let _ = if quoted {
            write!(self.others, " {}=\"{}\"", field.name(), text.replace('"', "\\\""))
        } else {
            write!(self.others, " {}={text}", field.name())
        };
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }
}

/// Writes control characters so that they can be seen.
struct Clean<'a>(&'a mut String);

impl Write for Clean<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            if char.is_control() && char != '\t' {
                self.0.extend(char.escape_default());
            } else {
                self.0.push(char);
            }
        }
        Ok(())
    }
}
