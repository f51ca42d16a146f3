//! The listing, and one device of it.

use std::io;
use std::path::{Path, PathBuf};

use reactor_storage::device::{Attribute, DeviceMap, Facts, Kind, Mount, PhysicalVolume, Place, Slave, parse_mounts};
use thiserror::Error;

use crate::disk;
use crate::file::{self, MAX_ATTRIBUTE, MAX_ENTRIES, MAX_MOUNTINFO, MAX_UDEV};
use crate::reach::Reach;

/// Remarks that are kept of one device.
const MAX_REMARKS: usize = 16;

/// Reads what a machine says of its block devices, below a root folder: `/`, or one that was kept.
#[derive(Clone, Debug)]
pub struct Reader {
    root: PathBuf,
}

/// All devices, as facts.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Of each device, in the order of their names.
    pub devices: Vec<Facts>,
    /// The mount table.
    pub mounts: Vec<Mount>,
    /// What was odd, and is not of one device.
    pub remarks: Vec<String>,
}

/// There is no listing at all.
#[derive(Debug, Error)]
#[error("can't list {}", path.display())]
pub struct ListingError {
    /// The folder of all block devices.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

impl Listing {
    /// The devices as a map.
    pub fn into_map(self) -> DeviceMap {
        DeviceMap::new(&self.devices, self.mounts)
    }
}

impl Reader {
    /// Reads below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// All devices. One that is odd is listed with a remark, and one that vanishes meanwhile is not.
    ///
    /// # Errors
    ///
    /// `/sys/class/block` is not there, or can't be listed.
    pub fn list(&self) -> Result<Listing, ListingError> {
        let folder = self.sys().join("class/block");
        let names = std::fs::metadata(&folder).and_then(|_| file::names(&folder));
        let names = names.map_err(|source| ListingError { path: folder, source })?;
        let mut listing = Listing::default();
        if names.len() >= MAX_ENTRIES {
            listing.remarks.push(format!("there are more than {MAX_ENTRIES} devices; the others are left out"));
        }
        let mut reach = Reach::new(&self.sys());
        listing.devices = names.iter().filter_map(|name| self.device(name, &mut reach)).collect();
        match self.mounts() {
            Ok(mounts) => listing.mounts = mounts,
            Err(error) => listing.remarks.push(format!("the mount table can't be read: {error}")),
        }
        Ok(listing)
    }

    /// One device, by the kernel's name; `None` if it is not there (any more).
    pub fn one(&self, name: &str) -> Option<Facts> {
        let entry = name.replace('/', "!");
        if matches!(entry.as_str(), "" | "." | "..") {
            return None;
        }
        self.device(&entry, &mut Reach::new(&self.sys()))
    }

    /// Takes one device as it is now into a map, or takes it out of it if it is not there (any more): what to do when a uevent says `add`, `change` or
    /// `remove`. The kernel's uevent comes before udev has written down what it found: after `add` and `change` do it once more a little later, or
    /// go by udev's own.
    pub fn update(&self, map: &mut DeviceMap, name: &str, at: u64) {
        match self.one(name) {
            Some(facts) => map.set(&facts, at),
            None => map.remove(name, at),
        }
    }

    /// The mount table.
    ///
    /// # Errors
    ///
    /// It is there, and can't be read.
    pub fn mounts(&self) -> io::Result<Vec<Mount>> {
        let text = file::text(&self.root.join("proc/self/mountinfo"), MAX_MOUNTINFO)?;
        Ok(parse_mounts(&text.unwrap_or_default()))
    }

    /// The physical volumes of LVM that came, with the volume group of each: what LVM's own rule of udev wrote down. Empty where LVM does not do that,
    /// and never more than was true when the device came.
    pub fn physical_volumes(&self) -> Vec<PhysicalVolume> {
        let folder = self.root.join("run/lvm/pvs_online");
        let names = file::names(&folder).unwrap_or_default();
        let read = |name: &String| PhysicalVolume::parse(&file::text(&folder.join(name), MAX_ATTRIBUTE).ok()??);
        names.iter().filter_map(read).collect()
    }

    fn sys(&self) -> PathBuf {
        self.root.join("sys")
    }

    fn device(&self, entry: &str, reach: &mut Reach) -> Option<Facts> {
        let link = self.sys().join("class/block").join(entry);
        let (devpath, folder) = match std::fs::read_link(&link) {
            Ok(target) => {
                let devpath = below_sys(&target)?;
                let folder = self.sys().join(devpath.trim_start_matches('/'));
                (devpath, folder)
            }
            // Kernels of old had folders there.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => (format!("/block/{entry}"), link),
            Err(_) => return None,
        };
        let mut device = OneDevice { facts: Facts::new(entry), folder };
        device.facts.devpath = devpath;
        device.read(reach, self);
        Some(device.facts)
    }
}

/// A device whose files are being read.
struct OneDevice {
    facts: Facts,
    folder: PathBuf,
}

impl OneDevice {
    fn read(&mut self, reach: &mut Reach, reader: &Reader) {
        let folder = self.folder.clone();
        for attribute in [Attribute::Size, Attribute::ReadOnly, Attribute::DiskSequence] {
            self.attribute(&folder, attribute);
        }
        if is_inside_its_disk(&self.facts.devpath) {
            self.attribute(&folder, Attribute::Partition);
        }
        let place = Place::parse(&self.facts.devpath);
        let is_partition = self.facts.attribute(Attribute::Partition).is_some();
        let disk_path = match self.facts.devpath.rsplit_once('/').filter(|_| is_partition) {
            Some((disk, _)) => disk.to_owned(),
            None => self.facts.devpath.clone(),
        };
        let disk_name = disk_path.rsplit('/').next().unwrap_or_default().to_owned();
        let (kind, is_scsi) = (Kind::of_name(&disk_name.replace('!', "/")), place.scsi.is_some());
        let kind = if kind == Kind::Nvme && is_nvme_path(&disk_name) { Kind::NvmePath } else { kind };
        // What a partition says of itself is little: its disk has the ids.
        let disk = if is_partition { folder.parent().map(Path::to_owned).unwrap_or_default() } else { folder.clone() };
        let has_other_transport = place.rport.is_some() || place.session.is_some() || place.ata.is_some();
        for attribute in disk::attributes(kind, is_scsi) {
            if *attribute != Attribute::DeviceSasAddress || !has_other_transport {
                self.attribute(&disk, *attribute);
            }
        }
        let facts = &mut self.facts;
        if is_scsi {
            reach.scsi(&place, |attribute, text| facts.set(attribute, text));
        }
        if let Some(number) = disk_name.strip_prefix("rbd") {
            reach.rbd(number, |attribute, text| facts.set(attribute, text));
        }
        if matches!(kind, Kind::Nvme | Kind::NvmePath)
            && let Some((around, _)) = disk_path.rsplit_once('/')
        {
            facts.controllers = reach.controllers(around);
        }
        if !is_partition && disk::has_slaves(kind) {
            self.slaves(reader);
        }
        self.number();
        self.udev(reader);
        if kind == Kind::Drbd && !self.facts.links.iter().any(|link| link.starts_with("drbd/by-res/")) {
            self.drbd(reader);
        }
        self.judge_texts();
    }

    fn attribute(&mut self, folder: &Path, attribute: Attribute) {
        match file::text(&folder.join(attribute.file()), MAX_ATTRIBUTE) {
            Ok(Some(text)) => self.facts.set(attribute, &text),
            Ok(None) => {}
            Err(error) => self.remark(format!("{}: {error}", attribute.file())),
        }
    }

    fn number(&mut self) {
        match file::text(&self.folder.join("dev"), MAX_ATTRIBUTE) {
            Ok(Some(text)) => match text.parse() {
                Ok(number) => self.facts.number = Some(number),
                Err(error) => {
                    self.remark(format!("dev: {:?}: {error}", short(&text)));
                }
            },
            // What is hidden has none.
            Ok(None) if self.facts.attribute(Attribute::Hidden) == Some("1") => {}
            Ok(None) => self.remark("dev: there is no such file".to_owned()),
            Err(error) => self.remark(format!("dev: {error}")),
        }
    }

    fn slaves(&mut self, reader: &Reader) {
        match file::names(&self.folder.join("slaves")) {
            Ok(names) => {
                let slaves = names.into_iter().map(|name| {
                    let dm_name = if name.starts_with("dm-") { reader.dm_name(&name) } else { None };
                    Slave { name: name.replace('!', "/"), dm_name }
                });
                self.facts.slaves = slaves.collect();
            }
            Err(error) => self.remark(format!("slaves: {error}")),
        }
    }

    fn udev(&mut self, reader: &Reader) {
        let Some(number) = self.facts.number else { return };
        match file::text(&reader.root.join(format!("run/udev/data/b{number}")), MAX_UDEV) {
            Ok(text) => self.facts.read_udev(&text.unwrap_or_default()),
            Err(error) => self.remark(format!("udev: {error}")),
        }
    }

    /// Without udev only debugfs says whose volume it is: only root sees it, and it may not be mounted.
    fn drbd(&mut self, reader: &Reader) {
        let Some(number) = self.facts.number else { return };
        let minors = reader.sys().join("kernel/debug").join(Attribute::DrbdVolume.file());
        let target = std::fs::read_link(minors.join(number.minor.to_string())).ok();
        if let Some((resource, volume)) = target.as_deref().and_then(Path::to_str).and_then(drbd_volume) {
            self.facts.set(Attribute::DrbdVolume, &format!("{resource}/{volume}"));
        }
    }

    fn judge_texts(&mut self) {
        let size = self.facts.attribute(Attribute::Size).unwrap_or_default();
        let odd =
            (!size.is_empty() && size.parse::<u64>().is_err()).then(|| format!("size: {:?} is no number", short(size)));
        odd.into_iter().for_each(|odd| self.remark(odd));
    }

    fn remark(&mut self, remark: String) {
        if self.facts.remarks.len() < MAX_REMARKS {
            self.facts.remarks.push(remark);
        }
    }
}

impl Reader {
    fn dm_name(&self, name: &str) -> Option<String> {
        let path = self.sys().join("class/block").join(name).join("dm/name");
        let text = file::text(&path, MAX_ATTRIBUTE).ok()??;
        Some(text.trim().to_owned())
    }
}

/// `.../sda/sda1`: only there can a partition be.
fn is_inside_its_disk(devpath: &str) -> bool {
    let mut parts = devpath.rsplit('/');
    let (own, around) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    !around.is_empty() && own.len() > around.len() && own.starts_with(around)
}

/// The target of a symlink `drbd/minors/MINOR` in debugfs, with DRBD 9 and with Linux' own 8.4: `../resources/r0/volumes/0`.
fn drbd_volume(target: &str) -> Option<(&str, u32)> {
    let (resource, volume) = target.strip_prefix("../resources/")?.split_once("/volumes/")?;
    let is_name = !resource.is_empty() && !resource.contains('/');
    is_name.then_some(resource).zip(volume.parse().ok())
}

/// So much of a text as a remark has of it.
fn short(text: &str) -> String {
    text.trim().chars().take(40).collect()
}

/// `nvme0c1n1`.
fn is_nvme_path(name: &str) -> bool {
    Kind::of(&Facts::new(name)) == Kind::NvmePath
}

/// `../../devices/virtual/block/dm-0` of a link in `/sys/class/block` is `/devices/virtual/block/dm-0`. Whatever leads elsewhere is none of ours.
fn below_sys(target: &Path) -> Option<String> {
    let target = target.to_str()?;
    let rest = target.trim_start_matches("../");
    let inside = !rest.is_empty() && !rest.starts_with('/') && rest.split('/').all(|part| part != "..");
    inside.then(|| format!("/{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_below_sys_or_nowhere() {
        let below = |link: &str| below_sys(Path::new(link));
        assert_eq!(below("../../devices/virtual/block/dm-0").as_deref(), Some("/devices/virtual/block/dm-0"));
        assert_eq!(below("/etc/passwd"), None);
        assert_eq!(below("../../a/../../etc"), None);
        assert_eq!(below("../.."), None);
    }

    #[test]
    fn debugfs_says_whose_volume_a_minor_is() {
        assert_eq!(drbd_volume("../resources/r0/volumes/12"), Some(("r0", 12)));
        for odd in
            ["", "../resources//volumes/0", "../resources/a/b/volumes/0", "../resources/r0/volumes/", "/r0/volumes/0"]
        {
            assert_eq!(drbd_volume(odd), None, "{odd}");
        }
    }

    #[test]
    fn this_machine_is_listed_without_a_failure() {
        let listing = Reader::new("/").list().unwrap();
        let count = listing.devices.len();
        let map = listing.into_map();
        assert_eq!(map.len(), count);
        for device in map.devices() {
            assert_eq!(map.find(&device.name).unwrap().device.name, device.name);
        }
    }
}
