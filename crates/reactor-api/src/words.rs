//! Values of parameters that are more than a string or a number. What they may be is checked where they are read; a client makes
//! them of whatever its user typed, and the daemon says what is wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::parameter::{Parameter, plain};

/// Longest name of a resource that is asked for. DRBD's own limit is 127.
const MAX_NAME_BYTES: usize = 255;

/// Longest name of a device: a path can have as many.
const MAX_DEVICE_BYTES: usize = 4096;

/// Longest type of a storage event, and longest id.
const MAX_WORD_BYTES: usize = 128;

/// Longest line in an operator's words.
const MAX_LINE_BYTES: usize = 500;

/// Most changes of the past that can be asked for. The daemon remembers fewer.
const MAX_LAST: u64 = 1_000_000;

/// Longest that an operator can ask for something to last, in seconds.
const MAX_LIMIT_S: u64 = 3600;

/// Longest that a helper may wait.
const MAX_HELPER_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// A string that means something, as the wire has it.
macro_rules! text {
    ($(#[$about:meta])* $name:ident, |$text:ident| $read:expr) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub String);

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl Parameter for $name {
            fn type_name() -> String {
                String::type_name()
            }

            fn read(value: Value) -> Option<Self> {
                let Value::String($text) = value else { return None };
                $read.map(Self)
            }
        }
    };
}

text! {
    /// Name of a DRBD resource.
    Resource, |name| {
        let wrong = name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(char::is_control);
        (!wrong).then_some(name)
    }
}

text! {
    /// Name of a node, as DRBD has it.
    Node, |name| {
        let wrong = name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(char::is_control);
        (!wrong).then_some(name)
    }
}

text! {
    /// An operator's words: kept for months and shown in many places, so they are one line and not long.
    Line, |text| {
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        (line.len() <= MAX_LINE_BYTES).then(|| line.trim().to_owned())
    }
}

text! {
    /// Name of one of DRBD's helpers.
    HelperName, |name| (!name.is_empty() && is_env(&name)).then_some(name)
}

text! {
    /// What DRBD calls a helper for: a resource, or `minor-N`.
    HelperObject, |object| is_env(&object).then_some(object)
}

/// How bad storage events are, the mildest first.
pub const SEVERITIES: [&str; 5] = ["info", "notice", "warning", "error", "critical"];

/// The parts of storage.
pub const SUBSYSTEMS: [&str; 24] = [
    "block",
    "scsi",
    "iscsi",
    "fc",
    "sas",
    "ata",
    "nvme",
    "multipath",
    "thin",
    "dm",
    "lvm",
    "md",
    "ext4",
    "xfs",
    "btrfs",
    "fs",
    "nfs",
    "network",
    "bcache",
    "driver",
    "zfs",
    "drbd",
    "smart",
    "other",
];

text! {
    /// How bad a storage event is: one of [`SEVERITIES`].
    StorageSeverity, |word| SEVERITIES.contains(&word.as_str()).then_some(word)
}

text! {
    /// A part of storage: one of [`SUBSYSTEMS`].
    StorageSubsystem, |word| SUBSYSTEMS.contains(&word.as_str()).then_some(word)
}

text! {
    /// A type of storage event.
    EventType, |name| is_word(&name).then_some(name)
}

text! {
    /// A block device, by whatever someone calls it.
    DeviceName, |name| {
        let wrong = name.trim().is_empty() || name.len() > MAX_DEVICE_BYTES || name.contains(char::is_control);
        (!wrong).then_some(name)
    }
}

text! {
    /// The id of a storage incident, or the beginning of it.
    IncidentId, |id| is_word(&id).then_some(id)
}

/// Letters, digits and a few signs, not many of them.
fn is_word(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !text.is_empty() && text.len() <= MAX_WORD_BYTES && text.chars().all(is_plain)
}

/// DRBD's environment for a helper. DRBD's own names only: the caller's PATH or LD_PRELOAD is none of a handler's business.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelperEnv(pub BTreeMap<String, String>);

impl Parameter for HelperEnv {
    fn type_name() -> String {
        BTreeMap::<String, String>::type_name()
    }

    fn read(value: Value) -> Option<Self> {
        let env = BTreeMap::<String, String>::read(value)?;
        env.iter().all(|(name, value)| is_drbd_name(name) && is_env(value)).then_some(Self(env))
    }
}

/// DRBD's names: all begin with `DRBD_`, but for what `fence-peer` is told of the nodes with good data.
fn is_drbd_name(name: &str) -> bool {
    (name.starts_with("DRBD_") || name == "UP_TO_DATE_NODES") && is_env(name) && !name.contains('=')
}

/// Whether it can stand in an environment or an argument list.
fn is_env(text: &str) -> bool {
    !text.contains('\0')
}

/// How long a helper may take, in milliseconds; none = no time at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelperTimeout(pub u64);

impl HelperTimeout {
    /// As a duration: a day at most.
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0).min(MAX_HELPER_TIMEOUT)
    }
}

impl From<Duration> for HelperTimeout {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Parameter for HelperTimeout {
    fn type_name() -> String {
        u64::type_name()
    }

    fn read(value: Value) -> Option<Self> {
        value.as_u64().map(Self)
    }

    fn missing() -> Option<Self> {
        Some(Self(0))
    }
}

/// How many changes of the past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last(pub u64);

impl Parameter for Last {
    fn type_name() -> String {
        u64::type_name()
    }

    fn read(value: Value) -> Option<Self> {
        value.as_u64().filter(|&last| last <= MAX_LAST).map(Self)
    }
}

/// How long something may last that an operator asks for, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit(pub u64);

impl Parameter for Limit {
    fn type_name() -> String {
        u64::type_name()
    }

    fn read(value: Value) -> Option<Self> {
        value.as_u64().filter(|limit| (1..=MAX_LIMIT_S).contains(limit)).map(Self)
    }
}

/// Which changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Detail {
    /// State changes only.
    #[default]
    State,
    /// Statistics too.
    All,
}

impl Parameter for Detail {
    fn type_name() -> String {
        "Detail".to_owned()
    }

    fn read(value: Value) -> Option<Self> {
        match value.as_str()? {
            "state" => Some(Self::State),
            "all" => Some(Self::All),
            _ => None,
        }
    }
}

/// Something that could happen, seen from one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A node loses its power.
    NodeDown(String),
    /// This node loses quorum: it reaches no other node any more.
    QuorumLost,
    /// All disks of the resource on this node fail.
    DiskFailed,
    /// This node and another one, which goes on, do not reach each other any more.
    PeerLost(String),
    /// The daemon on this node is restarted.
    DaemonRestart,
}

impl Event {
    /// How events are written.
    pub const WORDS: &str = "node-down=NODE, quorum-lost, disk-failed, peer-lost=NODE, daemon-restart";
}

/// A text that is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no event {text}; there are: {}", Event::WORDS)]
pub struct NoSuchEvent {
    /// As it was given.
    pub text: String,
}

impl std::str::FromStr for Event {
    type Err = NoSuchEvent;

    fn from_str(text: &str) -> Result<Self, NoSuchEvent> {
        let no = || NoSuchEvent { text: text.to_owned() };
        let node = |name: &str| Node::read(Value::String(name.to_owned())).map(|node| node.0).ok_or_else(no);
        match text.split_once('=') {
            Some(("node-down", name)) => node(name).map(Self::NodeDown),
            Some(("peer-lost", name)) => node(name).map(Self::PeerLost),
            None if text == "quorum-lost" => Ok(Self::QuorumLost),
            None if text == "disk-failed" => Ok(Self::DiskFailed),
            None if text == "daemon-restart" => Ok(Self::DaemonRestart),
            _ => Err(no()),
        }
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NodeDown(node) => write!(f, "node-down={node}"),
            Self::QuorumLost => f.write_str("quorum-lost"),
            Self::DiskFailed => f.write_str("disk-failed"),
            Self::PeerLost(node) => write!(f, "peer-lost={node}"),
            Self::DaemonRestart => f.write_str("daemon-restart"),
        }
    }
}

impl Serialize for Event {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Parameter for Event {
    fn type_name() -> String {
        String::type_name()
    }

    fn read(value: Value) -> Option<Self> {
        value.as_str()?.parse().ok()
    }
}

plain! {
    crate::status::ReloadResult: "ReloadResult",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_as_they_are_written_and_all_are_named() {
        for text in ["node-down=n2", "peer-lost=n3.example.com", "quorum-lost", "disk-failed", "daemon-restart"] {
            let event: Event = text.parse().unwrap();
            assert_eq!(event.to_string(), text);
            assert_eq!(Event::read(serde_json::json!(event)), Some(event));
            assert!(Event::WORDS.contains(text.split('=').next().unwrap()), "{text}");
        }
        for wrong in ["", "node-down", "node-down=", "node-down=a\nb", "quorum-lost=n2", "Quorum-lost", "x=y"] {
            assert!(wrong.parse::<Event>().is_err(), "{wrong:?}");
        }
    }
}
