//! An event in one line: for people, or as JSON.

use std::fmt;
use std::io::{self, Write};

use reactor_storage::event::{Event, Severity};
use reactor_storage::formats::rfc3339;
use serde::Serialize;
use serde::ser::Error as _;
use serde_json::{Map, Value};

use crate::style::{BAD, DIM, END, NAME, WARN, harmless};

/// Devices that are named in a line for people.
const MAX_ABOVE: usize = 8;

/// An event with what everybody looks for first.
#[derive(Serialize)]
struct Line {
    time: Time,
    severity: Severity,
    r#type: Value,
    device: Value,
    message: Value,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Line {
    fn of(event: &Event) -> serde_json::Result<Self> {
        let Value::Object(mut rest) = serde_json::to_value(event)? else {
            return Err(serde_json::Error::custom("no object"));
        };
        let mut take = |name| rest.remove(name).unwrap_or_default();
        let (kind, mut device, message) = (take("type"), take("device"), take("message"));
        take("severity");
        // Nobody should have to ask whether they are there.
        if let Value::Object(device) = &mut device {
            for list in ["names", "above"] {
                device.entry(list).or_insert_with(|| Value::Array(Vec::new()));
            }
        }
        Ok(Self { time: Time::of(event), severity: event.severity, r#type: kind, device, message, rest })
    }
}

/// RFC 3339, or seconds since that machine's boot; `null` = the log does not say.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Time {
    Wall(String),
    Boot(f64),
    None,
}

impl Time {
    pub(super) fn of(event: &Event) -> Self {
        match (event.at.wall_us, event.at.boot_us) {
            (Some(wall_us), _) => Self::Wall(rfc3339(wall_us)),
            // Exact for 285 years.
            (None, Some(boot_us)) => Self::Boot(boot_us as f64 / 1e6),
            (None, None) => Self::None,
        }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wall(time) => f.write_str(time),
            Self::Boot(seconds) => write!(f, "[{seconds:>12.6}]"),
            Self::None => f.write_str("-"),
        }
    }
}

/// Prints it.
pub(super) fn print(event: &Event, json: bool, out: &mut dyn Write) -> io::Result<()> {
    if json {
        let line = Line::of(event).and_then(|line| serde_json::to_string(&line)).map_err(io::Error::other)?;
        return writeln!(out, "{line}");
    }
    let time = Time::of(event);
    let style = match event.severity {
        Severity::Info | Severity::Notice => DIM,
        Severity::Warning => WARN,
        Severity::Error | Severity::Critical => BAD,
    };
    write!(out, "{time} {style}{:<8}{END} {} {NAME}{}{END}", event.severity, event.kind, harmless(event.subject()))?;
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
