//! An event in one line for people, or as JSON.

use std::io::{self, Write};

use reactor_api::WireEvent;
use reactor_core::api;
use reactor_storage::event::Event;

use crate::style::{BAD, DIM, END, NAME, WARN, harmless};

/// Devices that are named in a line for people.
const MAX_ABOVE: usize = 8;

/// How events are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A line for people.
    Text,
    /// One JSON object a line.
    Json,
    /// JSON over several lines.
    Pretty,
}

/// When it was, for people.
pub(super) fn time(event: &Event) -> String {
    api::event::event(event).time.map_or_else(|| "-".to_owned(), |time| time.to_string())
}

/// Prints it.
pub(super) fn print(event: &WireEvent, form: Form, out: &mut dyn Write) -> io::Result<()> {
    match form {
        Form::Text => text(event, out),
        Form::Json => writeln!(out, "{}", serde_json::to_string(event).map_err(io::Error::other)?),
        Form::Pretty => writeln!(out, "{}", serde_json::to_string_pretty(event).map_err(io::Error::other)?),
    }
}

fn text(event: &WireEvent, out: &mut dyn Write) -> io::Result<()> {
    let time = event.time.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    let style = match event.severity.as_str() {
        "info" | "notice" => DIM,
        "warning" => WARN,
        _ => BAD,
    };
    let subject = event.device.as_ref().map_or("this node", |device| device.label());
    write!(
        out,
        "{} {style}{:<8}{END} {} {NAME}{}{END}",
        harmless(&time),
        harmless(&event.severity),
        harmless(&event.kind),
        harmless(subject)
    )?;
    let above: Vec<&str> =
        event.device.iter().flat_map(|device| &device.above).map(|above| above.name.as_str()).collect();
    if !above.is_empty() {
        let more = if above.len() > MAX_ABOVE { ", ..." } else { "" };
        write!(out, " (below {}{more})", harmless(&above[..above.len().min(MAX_ABOVE)].join(", ")))?;
    }
    let message = harmless(&event.message).replace(['\n', '\t'], " ");
    write!(out, ": {message}")?;
    if event.count > 1 {
        write!(out, " ({} times)", event.count)?;
    }
    writeln!(out)
}
