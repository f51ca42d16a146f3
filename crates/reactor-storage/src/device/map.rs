//! All devices, those that have gone among them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::build::{Device, FileSystem, namespace_above};
use super::facts::Facts;
use super::identity;
use super::index::{Index, Numeric, Serials, Sort, ata, fold};
use super::kind::Kind;
use super::mounts::{Mount, MountPoint};
use super::names::{Number, mount_unit};
use super::summary::Summaries;
use crate::event::Named;

/// Devices that have gone and are still known.
pub const MAX_GONE: usize = 1024;

/// Mount points that are kept of one device.
const MAX_MOUNTS_OF_ONE: usize = 256;

/// What someone knows of a volume of DRBD: the daemon, of `drbdsetup events2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrbdVolume {
    /// DRBD's minor number.
    pub minor: u32,
    /// The resource.
    pub resource: String,
    /// The volume of it.
    pub volume: u32,
    /// The backing device: a path below `/dev`, or a name of the kernel.
    pub backing: Option<String>,
}

/// All devices of a machine: those that are there, and so many of those that have gone.
///
/// Times are microseconds of whatever clock the caller has for log lines, too; 0 is before all of them.
#[derive(Clone, Debug, Default)]
pub struct DeviceMap {
    entries: BTreeMap<u32, Entry>,
    next: u32,
    pub(super) index: Index,
    /// By the name of the lower one: the upper one, and whose facts say so.
    up: BTreeMap<Box<str>, BTreeSet<(Box<str>, u32)>>,
    /// By the name of the upper one.
    down: BTreeMap<Box<str>, BTreeSet<(Box<str>, u32)>>,
    gone: VecDeque<u32>,
    mounts: BTreeMap<Number, Vec<MountPoint>>,
    /// Mounts of file systems that have no device number of a device.
    shared_mounts: Vec<Mount>,
    drbd: BTreeMap<u32, DrbdVolume>,
    users: BTreeMap<String, BTreeSet<String>>,
    /// DRBD and loop devices, of which not all that they are built on is known by its kernel's name.
    unlinked: BTreeSet<u32>,
    pub(super) summaries: Summaries,
}

#[derive(Clone, Debug)]
struct Entry {
    device: Device,
    /// From when on it is there.
    since: u64,
    left: Option<Left>,
}

/// What is known of one that has gone.
#[derive(Clone, Debug)]
struct Left {
    at: u64,
    above: Serials,
    below: Serials,
}

impl DeviceMap {
    /// A map of these devices, which have been there always.
    pub fn new<'f>(facts: impl IntoIterator<Item = &'f Facts>, mounts: Vec<Mount>) -> Self {
        let mut map = Self::default();
        map.set_mounts(mounts);
        for facts in facts {
            map.set(facts, 0);
        }
        map
    }

    /// The devices that are there, in the order of their names.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.index.words(Sort::Kernel).filter_map(|name| self.present(name))
    }

    /// How many are there.
    pub fn len(&self) -> usize {
        self.entries.len() - self.gone.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The device that has the name now.
    pub fn present(&self, name: &str) -> Option<&Device> {
        let serials = self.index.word(Sort::Kernel, name).iter();
        serials.rev().filter_map(|serial| self.entries.get(serial)).find(|e| e.left.is_none()).map(|e| &e.device)
    }

    /// When a device has gone; `None` while it is there.
    pub fn gone_at(&self, device: &Device) -> Option<u64> {
        self.entries.get(&device.serial)?.left.as_ref().map(|left| left.at)
    }

    /// Takes what is read of one device at `at`: a new one, or one that has changed. Nothing else is looked at again.
    pub fn set(&mut self, facts: &Facts, at: u64) {
        let mut device = Device::new(facts);
        self.complete(&mut device);
        let Some(old) = self.present(&device.name).map(|old| old.serial) else { return self.insert(device, at) };
        let Some(entry) = self.entries.get(&old) else { return };
        if is_another(&entry.device, &device) {
            self.leave(old, at);
            return self.insert(device, at);
        }
        device.serial = old;
        self.replace(device);
    }

    /// A device has gone at `at`. It is remembered.
    pub fn remove(&mut self, name: &str, at: u64) {
        if let Some(serial) = self.present(name).map(|device| device.serial) {
            self.leave(serial, at);
        }
    }

    /// Takes a new listing: those that are not in it have gone.
    pub fn set_all<'f>(&mut self, facts: impl IntoIterator<Item = &'f Facts>, at: u64) {
        let mut names = BTreeSet::new();
        for facts in facts {
            names.insert(facts.name.clone());
            self.set(facts, at);
        }
        let gone: Vec<String> =
            self.devices().filter(|device| !names.contains(&device.name)).map(|device| device.name.clone()).collect();
        for name in gone {
            self.remove(&name, at);
        }
    }

    /// Takes the mount table.
    pub fn set_mounts(&mut self, mounts: Vec<Mount>) {
        self.mounts.clear();
        self.shared_mounts.clear();
        for mount in mounts {
            if mount.number.major == 0 {
                self.shared_mounts.push(mount);
            } else {
                self.mounts.entry(mount.number).or_default().push(mount.point);
            }
        }
        self.complete_all(|_| true);
    }

    /// Takes what is known of DRBD's volumes.
    pub fn set_drbd(&mut self, volumes: impl IntoIterator<Item = DrbdVolume>) {
        self.drbd = volumes.into_iter().map(|volume| (volume.minor, volume)).collect();
        self.complete_all(|device| device.kind == Kind::Drbd);
    }

    /// Takes who uses devices: pairs of a device and a unit. The device is a path, a name, a mount point, or a resource of DRBD.
    pub fn set_users(&mut self, users: impl IntoIterator<Item = (String, String)>) {
        self.users.clear();
        for (device, unit) in users {
            self.users.entry(device).or_default().insert(unit);
        }
        self.complete_all(|_| true);
    }

    /// The devices that a message means, at once: those that are there, or else the last that have gone.
    pub fn resolve(&self, named: &Named<'_>) -> Vec<&Device> {
        self.resolved(named, None)
    }

    /// The devices that a message of `at` means: a name may have been another device's then.
    pub fn resolve_at(&self, named: &Named<'_>, at: u64) -> Vec<&Device> {
        self.resolved(named, Some(at))
    }

    fn resolved(&self, named: &Named<'_>, at: Option<u64>) -> Vec<&Device> {
        let index = &self.index;
        let word = |sort, word: &str| self.chosen(index.word(sort, word), at);
        let number = |number| self.chosen(index.number(number), at);
        match named {
            Named::Number(major, minor) => number(Numeric::Device(*major, *minor)),
            Named::Kernel(name) if name.contains('!') => word(Sort::Kernel, &name.replace('!', "/")),
            Named::Kernel(name) => word(Sort::Kernel, name),
            Named::Scsi(host, channel, target, lun) => number(Numeric::Scsi(*host, *channel, *target, *lun)),
            Named::ScsiHost(host) => number(Numeric::Host(*host)),
            Named::Ata(port, device) => on_port(number(Numeric::Ata(*port)), *device),
            Named::NvmeController(name) => paths_first(word(Sort::Controller, name)),
            Named::Pci(function) => word(Sort::Pci, function),
            Named::Dm(name) => word(Sort::Dm, name),
            Named::Path(path) => self.at_path(path, at),
            Named::IscsiSession(session) => number(Numeric::Session(*session)),
            Named::FcPort(port) => word(Sort::Rport, port),
            Named::Drbd(resource, None) => word(Sort::Drbd, resource),
            Named::Drbd(resource, Some(volume)) => word(Sort::Drbd, &format!("{resource}/{volume}")),
            Named::Id(id) => self.above_the_others(word(Sort::Id, &fold(id))),
            Named::Remote(_) => Vec::new(),
        }
    }

    /// A path below `/dev`, or a mount point.
    pub(super) fn at_path(&self, path: &str, at: Option<u64>) -> Vec<&Device> {
        let Some(name) = path.strip_prefix("/dev/") else {
            let point = if path.len() > 1 { path.trim_end_matches('/') } else { path };
            return self.chosen(self.index.word(Sort::Mount, point), at);
        };
        let dm = name.strip_prefix("mapper/").unwrap_or(name);
        let sorts = [(Sort::Kernel, name), (Sort::Link, name), (Sort::Dm, dm)];
        let found = sorts.into_iter().map(|(sort, word)| self.index.word(sort, word)).find(|found| !found.is_empty());
        self.chosen(found.unwrap_or(&[]), at)
    }

    /// Of those that have or had a name: the ones that are there now, or were there then. If none was, the ones nearest in time.
    pub(super) fn chosen(&self, serials: &[u32], at: Option<u64>) -> Vec<&Device> {
        let entries = || serials.iter().filter_map(|serial| self.entries.get(serial));
        let far = |entry: &Entry| match (at, &entry.left) {
            (None, None) => 0,
            (None, Some(left)) => u64::MAX - left.at,
            (Some(at), None) => entry.since.saturating_sub(at),
            (Some(at), Some(left)) => entry.since.saturating_sub(at).max(at.saturating_add(1).saturating_sub(left.at)),
        };
        let Some(nearest) = entries().map(far).min() else { return Vec::new() };
        entries().filter(|entry| far(entry) == nearest).map(|entry| &entry.device).collect()
    }

    /// Those first that have most of the others below them: of a multipath disk and its paths, the disk.
    pub(super) fn above_the_others<'m>(&'m self, mut devices: Vec<&'m Device>) -> Vec<&'m Device> {
        if devices.len() > 1 {
            let serials: BTreeSet<u32> = devices.iter().map(|device| device.serial).collect();
            let carried_by = |device: &Device| {
                let below = self.below(device);
                usize::MAX - below.iter().filter(|below| serials.contains(&below.serial)).count()
            };
            devices.sort_by_cached_key(|device| carried_by(device));
        }
        devices
    }

    /// All that is built on a device, the nearest first.
    pub fn above(&self, device: &Device) -> Vec<&Device> {
        self.walk(device, |map, from| map.next_above(from))
    }

    /// All that a device is built on, the nearest first.
    pub fn below(&self, device: &Device) -> Vec<&Device> {
        self.walk(device, |map, from| map.next_below(from))
    }

    /// What is built on a device directly.
    pub fn next_above(&self, device: &Device) -> Vec<&Device> {
        match self.entries.get(&device.serial).and_then(|entry| entry.left.as_ref()) {
            Some(left) => self.known(&left.above),
            None => self.linked(&self.up, &device.name),
        }
    }

    /// What a device is built on directly.
    pub fn next_below(&self, device: &Device) -> Vec<&Device> {
        match self.entries.get(&device.serial).and_then(|entry| entry.left.as_ref()) {
            Some(left) => self.known(&left.below),
            None => self.linked(&self.down, &device.name),
        }
    }

    fn known(&self, serials: &[u32]) -> Vec<&Device> {
        serials.iter().filter_map(|serial| self.entries.get(serial)).map(|entry| &entry.device).collect()
    }

    fn linked(&self, links: &BTreeMap<Box<str>, BTreeSet<(Box<str>, u32)>>, name: &str) -> Vec<&Device> {
        let Some(others) = links.get(name) else { return Vec::new() };
        let mut found: Vec<&Device> = others.iter().filter_map(|(other, _)| self.present(other)).collect();
        found.dedup_by_key(|device| device.serial);
        found
    }

    /// Each device once, however often it is come by: devices can be linked in a circle.
    fn walk<'m>(&'m self, from: &Device, next: impl Fn(&'m Self, &Device) -> Vec<&'m Device>) -> Vec<&'m Device> {
        let mut seen = BTreeSet::from([from.serial]);
        let mut found: Vec<&Device> = next(self, from).into_iter().filter(|other| seen.insert(other.serial)).collect();
        let mut at = 0;
        while let Some(device) = found.get(at) {
            let more = next(self, device);
            found.extend(more.into_iter().filter(|other| seen.insert(other.serial)));
            at += 1;
        }
        found
    }

    fn insert(&mut self, mut device: Device, since: u64) {
        self.summaries.forget();
        device.serial = self.next;
        self.next += 1;
        self.index.add(&device);
        self.link(&device);
        let (serial, shares) = (device.serial, is_shared(&device));
        self.entries.insert(serial, Entry { device, since, left: None });
        self.relink(serial);
        if shares {
            self.complete_all(is_shared);
        }
    }

    fn replace(&mut self, device: Device) {
        let serial = device.serial;
        let Some(old) = self.entries.get_mut(&serial).filter(|entry| entry.device != device) else { return };
        self.summaries.forget();
        let shares = is_shared(&device) && !is_shared(&old.device);
        let old = std::mem::replace(&mut old.device, device);
        self.index.remove(&old);
        self.unlink(&old);
        if let Some(device) = self.entries.get(&serial).map(|entry| entry.device.clone()) {
            self.index.add(&device);
            self.link(&device);
        }
        self.relink(serial);
        if shares {
            self.complete_all(is_shared);
        }
    }

    fn leave(&mut self, serial: u32, at: u64) {
        let Some(device) = self.entries.get(&serial).map(|entry| entry.device.clone()) else { return };
        self.summaries.forget();
        let serials = |devices: Vec<&Device>| devices.into_iter().map(|device| device.serial).collect();
        let (above, below) = (serials(self.next_above(&device)), serials(self.next_below(&device)));
        self.unlink(&device);
        self.unlinked.remove(&serial);
        if let Some(entry) = self.entries.get_mut(&serial) {
            entry.left = Some(Left { at, above, below });
        }
        self.gone.push_back(serial);
        while self.gone.len() > MAX_GONE {
            let forgotten = self.gone.pop_front().and_then(|serial| self.entries.remove(&serial));
            if let Some(entry) = forgotten {
                self.index.remove(&entry.device);
            }
        }
    }

    /// Pairs of the lower and the upper one that a device says of itself.
    fn link(&mut self, device: &Device) {
        for (lower, upper) in self.links_of(device) {
            let owner = device.serial;
            self.up.entry(lower.as_str().into()).or_default().insert((upper.as_str().into(), owner));
            self.down.entry(upper.into()).or_default().insert((lower.into(), owner));
        }
    }

    fn unlink(&mut self, device: &Device) {
        let is_owner = |(_, owner): &(Box<str>, u32)| *owner == device.serial;
        let mut ends: BTreeSet<Box<str>> = BTreeSet::from([device.name.as_str().into()]);
        for links in [&self.up, &self.down] {
            let own = links.get(device.name.as_str()).into_iter().flatten();
            ends.extend(own.filter(|link| is_owner(link)).map(|(other, _)| other.clone()));
        }
        for links in [&mut self.up, &mut self.down] {
            for end in &ends {
                if let Some(others) = links.get_mut(end) {
                    others.retain(|link| !is_owner(link));
                    if others.is_empty() {
                        links.remove(end);
                    }
                }
            }
        }
    }

    fn links_of(&self, device: &Device) -> Vec<(String, String)> {
        let mut links: Vec<(String, String)> = device
            .built_on()
            .iter()
            .map(|lower| (self.kernel_name(lower).unwrap_or(lower).to_owned(), device.name.clone()))
            .filter(|(lower, upper)| lower != upper)
            .collect();
        links.extend(namespace_above(device).map(|namespace| (device.name.clone(), namespace)));
        links
    }

    /// The kernel's name of what is there by a name or a link.
    fn kernel_name(&self, name: &str) -> Option<&str> {
        if self.present(name).is_some() {
            return None;
        }
        let found = self.chosen(self.index.word(Sort::Link, name), None);
        found.first().map(|device| device.name.as_str())
    }

    /// What DRBD is built on can be named by a link, of a device that comes later, and so can the disk below the file of a loop device.
    fn relink(&mut self, changed: u32) {
        let is_missing = |map: &Self, device: &Device| {
            let has_none = device.kind == Kind::Loop && device.file.is_some() && device.built_on().is_empty();
            has_none || device.kind == Kind::Drbd && device.built_on().iter().any(|lower| map.present(lower).is_none())
        };
        let number = self.entries.get(&changed).and_then(|entry| entry.device.number);
        let is_mounted = number.is_some_and(|number| self.mounts.contains_key(&number));
        let candidates: Vec<u32> = self.unlinked.iter().copied().chain([changed]).collect();
        for serial in candidates {
            let Some(device) = self.entries.get(&serial).map(|entry| &entry.device) else { continue };
            if device.kind == Kind::Loop && serial != changed && !is_mounted {
                continue;
            }
            if !is_missing(self, device) {
                self.unlinked.remove(&serial);
                continue;
            }
            let mut device = device.clone();
            self.unlinked.insert(serial);
            self.unlink(&device);
            self.take_file(&mut device);
            self.link(&device);
            if let Some(entry) = self.entries.get_mut(&serial) {
                entry.device = device;
            }
        }
    }

    /// Again what is known of devices from elsewhere.
    fn complete_all(&mut self, which: impl Fn(&Device) -> bool) {
        let present = self.entries.values().filter(|entry| entry.left.is_none() && which(&entry.device));
        let serials: Vec<u32> = present.map(|entry| entry.device.serial).collect();
        for serial in serials {
            let Some(mut device) = self.entries.get(&serial).map(|entry| entry.device.clone()) else { continue };
            self.complete(&mut device);
            self.replace(device);
        }
    }

    /// What is known of a device from elsewhere: mounts, DRBD's volumes, users.
    fn complete(&self, device: &mut Device) {
        self.take_mounts(device);
        self.take_drbd(device);
        self.take_file(device);
        self.take_units(device);
    }

    /// A loop device is built on the disk of the file system that its file is on.
    fn take_file(&self, device: &mut Device) {
        let Some(file) = &device.file else { return };
        let is_below = |point: &str| {
            let rest = file.strip_prefix(point.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let of_devices =
            self.mounts.iter().flat_map(|(number, points)| points.iter().map(move |point| (point, Some(*number))));
        // What is on such a file system is on no single device.
        let others = self.shared_mounts.iter().map(|mount| (&mount.point, None));
        let holds = of_devices.chain(others).filter(|(point, _)| is_below(&point.path));
        let number = holds.max_by_key(|(point, _)| point.path.len()).and_then(|(_, number)| number);
        let below =
            number.map(|number| self.chosen(self.index.number(Numeric::Device(number.major, number.minor)), None));
        let below = below.into_iter().flatten().find(|below| self.gone_at(below).is_none());
        device.built_on =
            below.map(|below| below.name.clone()).filter(|name| *name != device.name).into_iter().collect();
    }

    fn take_mounts(&self, device: &mut Device) {
        let own = device.number.and_then(|number| self.mounts.get(&number)).into_iter().flatten();
        let mut mounts: Vec<MountPoint> = own.cloned().collect();
        if is_shared(device) {
            let uuid = device.file_system.as_ref().and_then(|fs| fs.uuid.as_deref());
            let of_it = |mount: &&Mount| is_source(device, &mount.source) || self.is_of(&mount.source, uuid);
            mounts.extend(self.shared_mounts.iter().filter(of_it).map(|mount| mount.point.clone()));
        }
        mounts.sort_unstable();
        mounts.dedup_by(|a, b| a.path == b.path);
        mounts.truncate(MAX_MOUNTS_OF_ONE);
        // udev may not have looked yet, or not be there.
        if let Some(mount) = mounts.first().filter(|_| device.file_system.is_none()) {
            device.file_system = Some(FileSystem { fs_type: mount.fs_type.clone(), uuid: None, label: None });
        }
        device.mounts = mounts;
    }

    /// Whether a path is that of a device with this file system.
    fn is_of(&self, path: &str, uuid: Option<&str>) -> bool {
        let of = |device: &&Device| device.file_system.as_ref().and_then(|fs| fs.uuid.as_deref()) == uuid;
        uuid.is_some() && self.at_path(path, None).first().is_some_and(of)
    }

    fn take_drbd(&self, device: &mut Device) {
        let Some(drbd) = &mut device.drbd else { return };
        let Some(volume) = drbd.minor.and_then(|minor| self.drbd.get(&minor)) else { return };
        drbd.resource = Some(volume.resource.clone());
        drbd.volume = Some(volume.volume);
        if let Some(backing) = &volume.backing {
            let name = backing.strip_prefix("/dev/").unwrap_or(backing);
            if !device.built_on.iter().any(|known| known == name) {
                device.built_on.push(name.to_owned());
            }
        }
        device.id = identity::drbd_id(device);
    }

    fn take_units(&self, device: &mut Device) {
        device.units = device.mounts.iter().map(|mount| mount_unit(&mount.path)).collect();
        if self.users.is_empty() {
            return;
        }
        let mut names = vec![device.name.clone(), format!("/dev/{}", device.name), device.path.clone()];
        names.extend(device.links.iter().cloned());
        names.extend(device.mounts.iter().map(|mount| mount.path.clone()));
        names.extend(device.dm.iter().map(|dm| dm.name.clone()));
        names.extend(device.drbd.as_ref().and_then(|drbd| drbd.resource.clone()));
        names.extend(device.drbd_volume());
        for name in names {
            device.units.extend(self.users.get(&name).into_iter().flatten().cloned());
        }
    }
}

/// A file system whose mounts have a number of their own, and which can have several devices.
fn is_shared(device: &Device) -> bool {
    device.file_system.as_ref().is_some_and(|fs| matches!(fs.fs_type.as_str(), "btrfs" | "bcachefs"))
}

fn is_source(device: &Device, source: &str) -> bool {
    source.strip_prefix("/dev/") == Some(device.name.as_str())
        || device.path == source
        || device.links.iter().any(|link| link == source)
}

/// Whether the name has gone to another device. An id that is only a name, a path, or content says nothing of that.
fn is_another(old: &Device, new: &Device) -> bool {
    let weak = ["name-", "path-", "ptuuid-", "fs-uuid-", "drbd:"];
    let is_weak = |device: &Device| weak.iter().any(|prefix| device.id.starts_with(prefix));
    let other_sequence = old.sequence.zip(new.sequence).is_some_and(|(old, new)| old != new);
    other_sequence || (old.id != new.id && !is_weak(old) && !is_weak(new))
}

/// Of the disks on a port, the one that is meant: behind a port multiplier it has a channel of its own, else it is the first or the second.
fn on_port(disks: Vec<&Device>, device: Option<u32>) -> Vec<&Device> {
    let Some(wanted) = device else { return disks };
    let is_it = |disk: &&&Device| {
        disk.scsi_address.is_some_and(|at| match at.channel {
            0 => at.target == wanted,
            channel => channel == wanted,
        })
    };
    let meant: Vec<&Device> = disks.iter().filter(is_it).copied().collect();
    if meant.is_empty() { disks } else { meant }
}

/// What a controller fails of is its path, if that has a name.
pub(super) fn paths_first(mut devices: Vec<&Device>) -> Vec<&Device> {
    devices.sort_by_key(|device| device.kind != Kind::NvmePath);
    devices
}

/// `ata1` and `ata1.00` of a word that someone typed.
pub(super) fn ata_named(text: &str) -> Option<Named<'static>> {
    ata(text).map(|(port, device)| Named::Ata(port, device))
}
