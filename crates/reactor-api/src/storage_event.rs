//! A storage event, as commands print it in JSON and as it goes over the wire. docs/storage-events.md says what events are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What happened to a device, once, however often it came again.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct WireEvent {
    /// When it was first so: RFC 3339 in UTC, or in seconds since the boot of that machine where the log says no more. null = the log does not say.
    pub time: Option<WireTime>,
    /// How bad it is: `info`, `notice`, `warning`, `error`, `critical`.
    pub severity: String,
    /// Its type: `SCSI_MEDIUM_ERROR`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The device that it is about; null = none is known.
    pub device: Option<WireDevice>,
    /// The line that says most.
    pub message: String,
    /// 16 hexadecimal digits, made of where its first line stands in its log: who reads the same log again gets the same id.
    pub id: String,
    /// The incident that it belongs to. Of events that a daemon has stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// Its place in the order in which a daemon has written events or counted them on: who follows goes on behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// How often it happened.
    pub count: u64,
    /// The part of storage: `scsi`, `nvme`, `multipath`, `md`, `ext4`, ...
    pub subsystem: String,
    /// `kernel`, or the program that said it.
    pub source: String,
    /// The host, where the log names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What else it names: the map of a path that failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<WireOther>,
    /// What the lines say beyond that: sector, sense key, command.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// The lines, the first 16 of them.
    pub lines: Vec<String>,
    /// When its first line was logged.
    pub at: WireStamp,
    /// When the last one was that is counted.
    pub last: WireStamp,
}

/// A time of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum WireTime {
    /// RFC 3339 in UTC.
    Wall(String),
    /// Seconds since the boot of that machine.
    Boot(f64),
}

impl std::fmt::Display for WireTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wall(time) => f.write_str(time),
            Self::Boot(seconds) => write!(f, "[{seconds:>12.6}]"),
        }
    }
}

/// When something was logged. A log has the one, or the other, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct WireStamp {
    /// Microseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_us: Option<u64>,
    /// Microseconds since the boot of that machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_us: Option<u64>,
}

/// Another device that an event names.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct WireOther {
    /// As what: `map`, `path`, `member`.
    pub role: String,
    /// Which.
    pub device: WireDevice,
}

/// A block device as it was then, in short.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct WireDevice {
    /// The stable id; `name:NAME` where no more is known than a name of the log.
    pub id: String,
    /// What kind of device: `scsi`, `nvme`, `multipath`, `lvm`, `drbd`, ...
    pub kind: String,
    /// The device number, `8:0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The kernel's name.
    pub name: String,
    /// Other names: device mapper's, `VG/LV`, DRBD's, the SCSI address.
    pub names: Vec<String>,
    /// The path to use for it; empty = it was never seen here.
    pub path: String,
    /// In bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// How it is reached, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// What is on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_system: Option<WireFileSystem>,
    /// Where it is mounted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<String>,
    /// All that is built on it, the nearest first.
    pub above: Vec<WireRelated>,
    /// All that it is built on, the nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub below: Vec<WireRelated>,
    /// What it carries.
    #[serde(skip_serializing_if = "WireCarries::is_empty")]
    pub carries: WireCarries,
    /// When it has gone, in microseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone_us: Option<u64>,
}

impl WireDevice {
    /// The name that people know it by: device mapper's or DRBD's, or the kernel's.
    pub fn label(&self) -> &str {
        let other = self.name.starts_with("dm-") || self.kind == "drbd";
        self.names.first().filter(|_| other).unwrap_or(&self.name)
    }
}

/// What is on a device.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct WireFileSystem {
    /// `xfs`, `LVM2_member`, `crypto_LUKS`, ...
    #[serde(rename = "type")]
    pub fs_type: String,
    /// Its UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Its label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// A device above or below.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct WireRelated {
    /// Its stable id.
    pub id: String,
    /// Device mapper's name, or the kernel's.
    pub name: String,
    /// What kind of device.
    pub kind: String,
}

/// What a device carries, itself or by what is built on it.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct WireCarries {
    /// Volumes of DRBD: `r0/0`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drbd: Vec<String>,
    /// Mount points.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<String>,
    /// Units of systemd.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<String>,
}

impl WireCarries {
    /// Whether it carries nothing that is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
