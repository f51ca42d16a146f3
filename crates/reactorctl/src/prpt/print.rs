//! Objects and events in the form that was asked for.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use reactor_storage::device::DeviceMap;
use reactor_storage::event::Event;
use serde::Serialize;
use serde_json::Value;

use super::document::Document;
use super::stored::Stored;
use super::words::SubSystem;
use crate::commands::block::table::clean;

/// How it is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// One JSON object a line
    #[value(name = "Json")]
    Json,
    /// JSON for people, with an empty line between objects
    #[value(name = "JsonPretty")]
    JsonPretty,
    /// Text
    #[default]
    #[value(name = "Basic")]
    Basic,
}

/// How to print.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct FormArgs {
    /// How to print
    #[arg(long, value_name = "FORM", ignore_case = true, value_enum, default_value_t)]
    pub(super) format: Form,

    /// The same as --format JsonPretty
    #[arg(short = 'J', conflicts_with = "format")]
    pub(super) pretty: bool,
}

impl FormArgs {
    pub(super) fn form(&self) -> Form {
        if self.pretty { Form::JsonPretty } else { self.format }
    }
}

/// Where it is printed, one after the other.
pub(super) struct Printer<'w> {
    form: Form,
    out: &'w mut dyn Write,
    is_first: bool,
}

impl<'w> Printer<'w> {
    pub(super) fn new(form: Form, out: &'w mut dyn Write) -> Self {
        Self { form, out, is_first: true }
    }

    /// An event of ours.
    pub(super) fn event(&mut self, event: &Event, map: &DeviceMap) -> io::Result<()> {
        let document = Document::of(event, map);
        let at = event.at.wall_us.and_then(|us| Timestamp::from_microsecond(i64::try_from(us).ok()?).ok());
        let line = || line(at.unwrap_or_default(), &document.hostname, SubSystem::of(event).text(), &document.msg);
        self.object(&document, |out| writeln!(out, "{}", line()))
    }

    /// An event of peripety's, as it was written.
    pub(super) fn stored(&mut self, stored: &Stored) -> io::Result<()> {
        let text = |key: &str| stored.json.get(key).and_then(Value::as_str).unwrap_or_default();
        let msg = if text("msg").is_empty() { text("raw_msg") } else { text("msg") };
        let line = || line(stored.at, text("hostname"), SubSystem::text_of_json(&stored.sub_system), msg);
        self.object(&stored.json, |out| writeln!(out, "{}", line()))
    }

    /// Anything, as JSON or as the text that `basic` prints.
    pub(super) fn object(
        &mut self,
        object: &impl Serialize,
        basic: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let is_first = std::mem::replace(&mut self.is_first, false);
        match self.form {
            Form::Json => writeln!(self.out, "{}", serde_json::to_string(object).map_err(io::Error::other)?),
            Form::JsonPretty => {
                if !is_first {
                    writeln!(self.out)?;
                }
                writeln!(self.out, "{}", serde_json::to_string_pretty(object).map_err(io::Error::other)?)
            }
            Form::Basic => basic(self.out),
        }
    }

    /// An empty line between what has several lines of text.
    pub(super) fn gap(&mut self) -> io::Result<()> {
        if self.form == Form::Basic && !self.is_first { writeln!(self.out) } else { Ok(()) }
    }

    /// Whoever reads has it at once.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Whether nothing was printed.
    pub(super) fn is_silent(&self) -> bool {
        self.is_first
    }
}

fn line(at: Timestamp, host: &str, sub_system: &str, msg: &str) -> String {
    let date = at.to_zoned(TimeZone::system()).strftime("%a, %d %b %Y %H:%M:%S %z").to_string();
    clean(&format!("{date} {host} {sub_system} {msg}"))
}
