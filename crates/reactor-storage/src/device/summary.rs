//! A device in short, as events carry it; and at length, as `reactorctl block --json` prints it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::build::{Device, FileSystem};
use super::kind::Kind;
use super::map::DeviceMap;
use super::names::Number;

/// Devices above or below that are named.
const MAX_RELATED: usize = 256;

/// Devices that are kept in short; those that fail at one time are fewer.
const MAX_SUMMARIES: usize = 1024;

/// A device in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// The stable id.
    pub id: String,
    /// What kind of device.
    pub kind: Kind,
    /// The device number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Number>,
    /// The kernel's name.
    pub name: String,
    /// Other names: device mapper's, `VG/LV`, DRBD's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The path to use for it.
    pub path: String,
    /// In bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// How it is reached, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// What is on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_system: Option<FileSystem>,
    /// Where it is mounted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<String>,
    /// All that is built on it, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub above: Vec<Related>,
    /// All that it is built on, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub below: Vec<Related>,
    /// What it carries.
    #[serde(default, skip_serializing_if = "Carries::is_empty")]
    pub carries: Carries,
    /// When it has gone, in microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_us: Option<u64>,
    /// Of the names that somebody waits for, those that mean it, or what is above or below it ([`Called`](super::Called)).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub called: Vec<String>,
}

impl Summary {
    /// Whether it is the same device of the kernel: paths to one LUN have one id, and a name each.
    pub fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && (self.kind != Kind::Scsi || self.name == other.name)
    }

    /// What tells it apart from all others: see [`is_same`](Self::is_same).
    pub fn key(&self) -> String {
        if self.kind == Kind::Scsi { [&self.id, " ", &self.name].concat() } else { self.id.clone() }
    }

    /// The name that people know it by: device mapper's or DRBD's, or the kernel's.
    pub fn label(&self) -> &str {
        let other = self.name.starts_with("dm-") || self.kind == Kind::Drbd;
        self.names.first().filter(|_| other).unwrap_or(&self.name)
    }
}

/// Another device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Related {
    /// Its stable id.
    pub id: String,
    /// Device mapper's name, or the kernel's.
    pub name: String,
    /// What kind of device.
    pub kind: Kind,
}

/// What a device carries, itself or by what is built on it: what is hit if it fails.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Carries {
    /// Volumes of DRBD: `r0/0`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub drbd: BTreeSet<String>,
    /// Mount points.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub mounts: BTreeSet<String>,
    /// Units of systemd.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub units: BTreeSet<String>,
}

impl Carries {
    fn is_empty(&self) -> bool {
        self.drbd.is_empty() && self.mounts.is_empty() && self.units.is_empty()
    }

    fn take(&mut self, device: &Device) {
        self.drbd.extend(device.drbd_volume());
        self.mounts.extend(device.mounts.iter().map(|mount| mount.path.clone()));
        self.units.extend(device.units.iter().cloned());
    }
}

/// All that is known of a device.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report<'m> {
    /// The device.
    #[serde(flatten)]
    pub device: &'m Device,
    /// All that is built on it, the nearest first.
    #[serde(serialize_with = "in_short")]
    pub above: Vec<&'m Device>,
    /// All that it is built on, the nearest first.
    #[serde(serialize_with = "in_short")]
    pub below: Vec<&'m Device>,
    /// What it carries.
    pub carries: Carries,
    /// When it has gone, in microseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone_us: Option<u64>,
}

/// As [`Related`] has them, without a copy.
fn in_short<S: serde::Serializer>(devices: &[&Device], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Short<'d> {
        id: &'d str,
        name: &'d str,
        kind: Kind,
    }
    serializer.collect_seq(devices.iter().map(|device| Short {
        id: &device.id,
        name: device.short_name(),
        kind: device.kind,
    }))
}

impl From<&Device> for Related {
    fn from(device: &Device) -> Self {
        Self { id: device.id.clone(), name: device.short_name().to_owned(), kind: device.kind }
    }
}

impl Device {
    /// The name that people know it by: device mapper's, or the kernel's.
    pub fn short_name(&self) -> &str {
        self.dm.as_ref().map_or(&self.name, |dm| &dm.name)
    }
}

/// Devices in short that were asked for, by serial number.
#[derive(Debug, Default)]
pub(super) struct Summaries(Mutex<BTreeMap<u32, Arc<Summary>>>);

impl Summaries {
    fn get(&self, serial: u32, make: impl FnOnce() -> Summary) -> Arc<Summary> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= MAX_SUMMARIES && !made.contains_key(&serial) {
            made.clear();
        }
        Arc::clone(made.entry(serial).or_insert_with(|| Arc::new(make())))
    }

    /// Something of some device has changed, and may be in what others say of it.
    pub(super) fn forget(&mut self) {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A copy goes its own way.
impl Clone for Summaries {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl DeviceMap {
    /// A device in short. It is made once, and again when anything has changed: a disk that fails is asked for with each of its lines.
    pub fn summary(&self, device: &Device) -> Arc<Summary> {
        self.summaries.get(device.serial, || self.shorten(device))
    }

    fn shorten(&self, device: &Device) -> Summary {
        let Report { above, below, carries, gone_us, .. } = self.report(device);
        let related = |devices: Vec<&Device>| devices.into_iter().map(Related::from).collect();
        let (above, below) = (related(above), related(below));
        let mut names: Vec<String> = device.dm.iter().map(|dm| dm.name.clone()).collect();
        names.extend(device.dm.iter().filter_map(|dm| Some(format!("{}/{}", dm.vg.as_ref()?, dm.lv.as_ref()?))));
        names.extend(device.drbd_volume());
        names.extend(device.scsi_address.filter(|_| device.kind != Kind::Partition).map(|at| at.to_string()));
        Summary {
            id: device.id.clone(),
            kind: device.kind,
            number: device.number,
            name: device.name.clone(),
            names,
            path: device.path.clone(),
            size: device.size,
            transport: device.transport.as_ref().map(ToString::to_string),
            file_system: device.file_system.clone(),
            mounts: device.mounts.iter().map(|mount| mount.path.clone()).collect(),
            above,
            below,
            carries,
            gone_us,
            called: Vec::new(),
        }
    }

    /// All that is known of a device.
    pub fn report<'m>(&'m self, device: &'m Device) -> Report<'m> {
        let mut carries = Carries::default();
        carries.take(device);
        let mut above = self.above(device);
        above.iter().for_each(|device| carries.take(device));
        above.truncate(MAX_RELATED);
        let mut below = self.below(device);
        below.truncate(MAX_RELATED);
        Report { device, above, below, carries, gone_us: self.gone_at(device) }
    }
}
