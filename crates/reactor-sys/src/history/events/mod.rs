//! Storage events in the history: each once, found by any device that it is about, and by what is above or below that.
//!
//! ```text
//!   event ── subject ─▶ event_subject: the devices as they were then, one row for many events
//!     │
//!     └── event_device: (key, time, event) for each id and name of these devices, of what is above and below, and of what they carry
//!                          └▶ event_key: the text
//! ```
//!
//! The devices are the largest part of an event, and the same disk fails again and again: so they are kept once. A question about a device reads one
//! stretch of `event_device`, which is in the order of time, whatever else is in the file.

pub(super) mod put;
pub mod read;
#[cfg(test)]
mod tests;
pub(super) mod tidy;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use reactor_storage::device::Summary;
use reactor_storage::event::{Event, Other};
use reactor_storage::record::Stamp;
use serde::{Deserialize, Serialize};

/// Keys of one event.
const MAX_KEYS: usize = 512;

/// The longest key.
const MAX_KEY: usize = 255;

/// Of an event what has no column of its own.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Body<'a> {
    at: Stamp,
    last: Stamp,
    #[serde(default, skip_serializing_if = "is_empty")]
    fields: Cow<'a, BTreeMap<String, String>>,
    /// None: the message is the only one.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    lines: Cow<'a, [String]>,
    source: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<Cow<'a, str>>,
}

fn is_empty(fields: &BTreeMap<String, String>) -> bool {
    fields.is_empty()
}

/// The devices that an event names.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Subject<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<Cow<'a, Summary>>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    others: Cow<'a, [Other]>,
}

/// The texts by which an event is found: ids and names of its devices, of what is above and below, and of what they carry.
pub fn keys(event: &Event) -> BTreeSet<&str> {
    let mut keys = BTreeSet::new();
    for device in event.devices() {
        keys.extend([device.id.as_str(), &device.name, &device.path]);
        keys.extend(device.names.iter().chain(&device.mounts).map(String::as_str));
        for related in device.above.iter().chain(&device.below) {
            keys.extend([related.id.as_str(), &related.name]);
        }
        let carries = &device.carries;
        keys.extend(carries.drbd.iter().filter_map(|volume| Some(volume.rsplit_once('/')?.0)));
        keys.extend(carries.drbd.iter().chain(&carries.mounts).chain(&carries.units).map(String::as_str));
    }
    keys.retain(|key| !key.is_empty() && key.len() <= MAX_KEY);
    while keys.len() > MAX_KEYS {
        keys.pop_last();
    }
    keys
}

/// What a device is looked for by that nobody here knows, so that its name can only be one of those days: as it was said, and without its folder.
pub fn literal_keys(name: &str) -> Vec<String> {
    let bare = name.strip_prefix("/dev/mapper/").or_else(|| name.strip_prefix("/dev/")).unwrap_or(name);
    let mut keys = vec![name.to_owned()];
    if bare != name {
        keys.push(bare.to_owned());
    }
    keys
}
