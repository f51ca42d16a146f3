//! Devices that a log names and no map knows: the log itself says a little about them.
//!
//! `sd 6:0:0:0: [sda] ...` says which address sda has, `253:3: Failing path 8:48` what a map is built on, and `sda1` is a part of sda. That is
//! all that there is when the log is another machine's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalogue::Finding;
use crate::device::{DeviceMap, Kind, Related, Summary};
use crate::event::Named;

/// Names that are remembered of each sort.
const MAX_NAMES: usize = 4096;
/// What is named above a device.
const MAX_ABOVE: usize = 64;

/// Host, channel, target, LUN.
type Address = (u32, u32, u32, u64);

/// What the log has said about names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The disk at an address.
    scsi: BTreeMap<Address, String>,
    /// The address of a disk.
    addresses: BTreeMap<String, Address>,
    /// What is built on a device, by name.
    above: BTreeMap<String, BTreeSet<String>>,
}

impl Names {
    pub(super) fn learn(&mut self, finding: &Finding<'_>) {
        let (mut address, mut disk, mut map, mut path) = (None, None, None, None);
        for (role, named) in &finding.devices {
            match (*role, named) {
                (_, &Named::Scsi(host, channel, target, lun)) => address = Some((host, channel, target, lun)),
                ("disk", Named::Kernel(name)) => disk = Some(name),
                ("map", named) => map = self.name(named),
                ("path", named) => path = self.name(named),
                _ => {}
            }
        }
        if let (Some(address), Some(disk)) = (address, disk)
            && (self.scsi.len() < MAX_NAMES || self.scsi.contains_key(&address))
            && self.scsi.get(&address).is_none_or(|known| known != disk)
        {
            self.scsi.insert(address, disk.to_string());
            self.addresses.insert(disk.to_string(), address);
        }
        if let (Some(map), Some(path)) = (map, path)
            && (self.above.len() < MAX_NAMES || self.above.contains_key(&path))
        {
            let above = self.above.entry(path).or_default();
            if above.len() < MAX_ABOVE {
                above.insert(map);
            }
        }
    }

    /// The devices that are meant, in short: those of the map, or else what the name itself says.
    pub(super) fn summaries(&self, named: &Named<'_>, map: &DeviceMap) -> Vec<Arc<Summary>> {
        let known = map.resolve(named);
        if !known.is_empty() {
            return known.into_iter().map(|device| map.summary(device)).collect();
        }
        self.name(named).map(|name| Arc::new(self.made_up(&name))).into_iter().collect()
    }

    /// What people would call it.
    fn name(&self, named: &Named<'_>) -> Option<String> {
        Some(match named {
            Named::Number(major, minor) => by_number(*major, *minor),
            Named::Kernel(name) if name == "?" => return None,
            Named::Kernel(name) => name.replace('!', "/"),
            Named::Scsi(host, channel, target, lun) => {
                let address = (*host, *channel, *target, *lun);
                self.scsi.get(&address).cloned().unwrap_or_else(|| format!("{host}:{channel}:{target}:{lun}"))
            }
            Named::ScsiHost(host) => format!("host{host}"),
            Named::Ata(port, _) => format!("ata{port}"),
            Named::IscsiSession(session) => format!("session{session}"),
            Named::FcPort(port) => format!("rport-{port}"),
            Named::Drbd(resource, None) => resource.to_string(),
            Named::Drbd(resource, Some(volume)) => format!("{resource}/{volume}"),
            Named::Path(path) => path.strip_prefix("/dev/").unwrap_or(path).to_owned(),
            Named::NvmeController(name)
            | Named::Pci(name)
            | Named::Dm(name)
            | Named::Id(name)
            | Named::Remote(name) => name.to_string(),
        })
    }

    fn made_up(&self, name: &str) -> Summary {
        let related = |name: &str| Related { id: self.id(name), name: name.to_owned(), kind: Kind::of_name(name) };
        let above = self.above.get(name).into_iter().flatten().map(|above| related(above)).collect();
        let whole = whole_disk(name);
        let below = whole.into_iter().chain(self.paths(name)).map(related).collect();
        Summary {
            id: self.id(name),
            kind: if whole.is_some() { Kind::Partition } else { Kind::of_name(name) },
            number: None,
            name: name.to_owned(),
            names: Vec::new(),
            path: String::new(),
            size: None,
            transport: None,
            file_system: None,
            mounts: Vec::new(),
            above,
            below,
            carries: Default::default(),
            gone_us: None,
            called: Vec::new(),
        }
    }

    /// It is only a name: after the next boot it may be another device's. The address tells disks apart that had one name after each other.
    fn id(&self, name: &str) -> String {
        let disk = whole_disk(name).unwrap_or(name);
        match self.addresses.get(disk) {
            Some((host, channel, target, lun)) => format!("name:{name}@{host}:{channel}:{target}:{lun}"),
            None => format!("name:{name}"),
        }
    }

    fn paths(&self, map: &str) -> impl Iterator<Item = &str> {
        let map = map.to_owned();
        self.above.iter().filter(move |(_, above)| above.contains(&map)).map(|(path, _)| path.as_str())
    }
}

/// The kernel's name of a number, for disks of SCSI, whose numbers are fixed, and for the device mapper's, whose major is one of those that the
/// kernel gives out from 254 down.
fn by_number(major: u32, minor: u32) -> String {
    let bank = match major {
        8 => Some(0),
        65..=71 => Some(major - 64),
        128..=135 => Some(major - 120),
        _ => None,
    };
    match bank {
        Some(bank) => {
            let (disk, part) = (bank * 16 + minor / 16, minor % 16);
            let name = disk_name(disk);
            if part == 0 { name } else { format!("{name}{part}") }
        }
        None if (240..=254).contains(&major) => format!("dm-{minor}"),
        None if major == 9 => format!("md{minor}"),
        None if major == 7 => format!("loop{minor}"),
        None if major == 147 => format!("drbd{minor}"),
        None => format!("{major}:{minor}"),
    }
}

/// `sda`, ..., `sdz`, `sdaa`, ...
fn disk_name(index: u32) -> String {
    let mut letters = Vec::new();
    let mut left = index + 1;
    while left > 0 {
        left -= 1;
        letters.push(char::from(b'a' + u8::try_from(left % 26).unwrap_or_default()));
        left /= 26;
    }
    letters.push('d');
    letters.push('s');
    letters.iter().rev().collect()
}

/// The disk that a partition's name begins with: `sda1`, `nvme0n1p2`, `mmcblk0p1`.
fn whole_disk(name: &str) -> Option<&str> {
    let disk = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if disk.len() == name.len() || disk.is_empty() {
        return None;
    }
    let lettered = ["sd", "vd", "xvd", "hd"].iter().any(|prefix| {
        disk.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase()))
    });
    if lettered {
        return Some(disk);
    }
    let numbered = ["nvme", "mmcblk", "md", "nbd", "loop"].iter().any(|prefix| name.starts_with(prefix));
    disk.strip_suffix('p').filter(|disk| numbered && disk.ends_with(|c: char| c.is_ascii_digit()))
}
