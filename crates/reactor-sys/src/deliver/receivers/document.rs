//! A message as JSON and as lines of text: the same for all receivers that tell it so.

use std::time::{Duration, UNIX_EPOCH};

use reactor_core::notice::{Message, Notice, Topic};
use reactor_storage::catalogue::EventType;
use serde_json::{Value, json};

use super::super::parcel::{Parcel, line};
use crate::control::rfc3339;

/// Longest line of text.
const MAX_LINE: usize = 4096;

/// Reasons and devices that text names.
const MAX_NAMED: usize = 16;

/// When a notice happened: RFC 3339 with milliseconds, UTC.
pub(super) fn time(notice: &Notice) -> String {
    UNIX_EPOCH.checked_add(Duration::from_millis(notice.unix_ms)).map(rfc3339).unwrap_or_default()
}

/// The whole message.
pub(super) fn message(parcel: &Parcel) -> Value {
    let message = &parcel.message;
    let notices: Vec<Value> = (0..message.notices.len()).map(|index| notice(parcel, index)).collect();
    json!({
        "id": parcel.id,
        "receiver": message.receiver,
        "node": message.node,
        "severity": message.severity(),
        "title": title(message),
        "left-out": message.left_out,
        "notices": notices,
    })
}

/// One of its notices: as it is, with an id, the node and the time as text.
pub(super) fn notice(parcel: &Parcel, index: usize) -> Value {
    let Some(notice) = parcel.message.notices.get(index) else { return Value::Null };
    // A notice always becomes JSON, and an object.
    let mut value = serde_json::to_value(notice).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        fields.insert("id".to_owned(), parcel.notice_id(index).into());
        fields.insert("node".to_owned(), parcel.message.node.clone().into());
        fields.insert("time".to_owned(), time(notice).into());
    }
    value
}

/// The title, as one line.
pub(super) fn title(message: &Message) -> String {
    line(&message.title(), 512)
}

/// A notice in one line, without time and node.
pub(super) fn short(notice: &Notice) -> String {
    line(&format!("{}: {}", notice.severity, notice.text), MAX_LINE)
}

/// What was left out, as a sentence; `None` = nothing.
pub(super) fn left_out(message: &Message) -> Option<String> {
    match message.left_out {
        0 => None,
        1 => Some("1 more was left out, see the log of the node".to_owned()),
        more => Some(format!("{more} more were left out, see the log of the node")),
    }
}

/// The word for what a notice is: the type of a storage event, where there is one.
pub(super) fn kind(notice: &Notice) -> String {
    format!("{}/{}", notice.topic.as_str(), line(&notice.what, 128))
}

/// Everything about a notice that a person wants to read: what, when, why, on which device, what it hits, what to do. One line each.
pub(super) fn long(notice: &Notice) -> Vec<String> {
    let mut lines = vec![short(notice), format!("  when: {}", time(notice))];
    let mut put = |name: &str, text: &str| lines.push(line_of(name, text));
    put("what", &kind(notice));
    for why in notice.because.iter().take(MAX_NAMED) {
        put("because", why);
    }
    let resources = some_of(notice.resources.iter().map(String::as_str));
    if !resources.is_empty() {
        put("resources", &resources);
    }
    if let Some(incident) = &notice.incident {
        put("incident", &format!("{incident} (reactorctl incident show {incident})"));
    }
    if let Some(event) = &notice.event {
        put("device", &event.subject_with_id());
        if let Some(device) = &event.device {
            put("path", &device.path);
            let above = some_of(device.above.iter().map(|above| above.name.as_str()));
            let carries = &device.carries;
            let hit = some_of(carries.mounts.iter().chain(&carries.units).map(String::as_str));
            [("below", above), ("used by", hit)]
                .iter()
                .filter(|(_, text)| !text.is_empty())
                .for_each(|(n, t)| put(n, t));
        }
        if event.count > 1 {
            put("times", &event.count.to_string());
        }
        put("said by", &event.source);
        put("message", &event.message);
        if let Some(known) = EventType::built_in(&event.kind) {
            put("meaning", &known.meaning);
            put("advice", &known.advice);
        }
    }
    if notice.topic == Topic::Promoter || !notice.resources.is_empty() {
        let name = notice.resources.first().map_or("RESOURCE", String::as_str);
        put("more", &format!("reactorctl why {name}"));
    }
    lines
}

fn line_of(name: &str, text: &str) -> String {
    line(&format!("{name}: {text}"), MAX_LINE).replacen("", "  ", 1)
}

/// The first of these, joined by commas.
fn some_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let shown = names.iter().take(MAX_NAMED).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MAX_NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
