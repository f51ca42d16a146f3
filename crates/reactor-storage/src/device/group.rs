//! Where a volume group of LVM is, seen from a resource of DRBD: on its devices, below them, or neither.
//!
//! ```text
//!   vg/lv ── on ──▶ drbd0        Above: active where the resource is Primary, so it is activated after the promotion
//!   drbd0 ── on ──▶ vg/lv        Below: active before DRBD is up, on every node
//!   vg/lv ── on ──▶ sdb ◀── on ── drbd0    Past: LVM has gone by DRBD, to the disk below it
//! ```
//!
//! Volumes that are not active are not in sysfs. What is known then is what DRBD's configuration names as its disk, and what LVM wrote down
//! when it saw a physical volume. A device is never asked.

use std::collections::BTreeSet;
use std::fmt;

use super::build::Device;
use super::kind::Kind;
use super::map::DeviceMap;
use super::names::{Number, vg_and_lv};

/// What LVM wrote down of a physical volume when it came: a file in `/run/lvm/pvs_online`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhysicalVolume {
    /// Of the device that it was found on.
    pub number: Number,
    /// Whose it is.
    pub group: String,
}

impl PhysicalVolume {
    /// Reads such a file: `MAJOR:MINOR`, then `vg:NAME`, `dev:PATH` and what later versions may add, a line each. One that does not say the
    /// volume group is of no use here.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let number = lines.next()?.trim().parse().ok()?;
        let group = lines.find_map(|line| line.strip_prefix("vg:")).map(str::trim).filter(|group| !group.is_empty())?;
        Some(Self { number, group: group.to_owned() })
    }
}

/// A volume of DRBD as its configuration has it, whether it is up or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredVolume {
    /// The resource.
    pub resource: String,
    /// DRBD's minor number.
    pub minor: u32,
    /// The path of the disk; `None` = it has none here.
    pub disk: Option<String>,
}

/// Where a volume group is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stacking {
    /// On DRBD's device.
    Above {
        /// That device: `drbd0`.
        device: String,
        /// How that is known.
        because: Because,
        /// What else it is on, which is none of the resource.
        beside: BTreeSet<String>,
    },
    /// DRBD's disk is a volume of it.
    Below {
        /// That disk: `vg/lv`, or its path.
        disk: String,
        /// How that is known.
        because: Because,
    },
    /// LVM uses the disk below DRBD as its physical volume, and not DRBD's device.
    Past {
        /// That disk.
        disk: String,
    },
    /// Neither.
    Elsewhere {
        /// What it is on.
        on: BTreeSet<String>,
    },
    /// Nobody can say as long as none of its volumes is active here.
    Unknown {
        /// What is known of DRBD's device.
        device: DrbdDevice,
    },
}

/// How it is known where a volume group is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// This volume of it is active: `vg/lv`.
    Active(String),
    /// LVM wrote it down when the physical volume came.
    Noted,
    /// DRBD's configuration names the disk.
    Configured,
}

/// What is known of DRBD's device, if nothing is known of the volume group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrbdDevice {
    /// The resource is not up here.
    Absent,
    /// It holds a physical volume of LVM, of whatever group.
    Holds(String),
    /// It holds something else: a file system, for example.
    HoldsOther(String, String),
    /// What is on it is not known: on a Secondary nobody can look.
    Silent(String),
}

impl fmt::Display for Stacking {
    /// As the rest of a sentence: "the volume group `vg` ...".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Above { device, because, beside } => {
                match because {
                    Because::Active(volume) => write!(f, "is on DRBD ({volume} is built on {device})")?,
                    Because::Noted | Because::Configured => {
                        write!(f, "is on DRBD (LVM knows {device} as its physical volume)")?;
                    }
                }
                if beside.is_empty() { Ok(()) } else { write!(f, ", and also on {}", list(beside)) }
            }
            Self::Below { disk, because } => match because {
                Because::Active(device) => write!(f, "is below DRBD ({device} is built on its {disk})"),
                Because::Noted | Because::Configured => {
                    write!(f, "is below DRBD (DRBD's configuration has {disk} as its disk)")
                }
            },
            Self::Past { disk } => write!(f, "is used on {disk}, the disk below DRBD, and not on DRBD's device"),
            Self::Elsewhere { on } if on.is_empty() => f.write_str("is neither on DRBD nor below it"),
            Self::Elsewhere { on } => write!(f, "is neither on DRBD nor below it, but on {}", list(on)),
            Self::Unknown { device } => {
                f.write_str("is not active here, so it is not known whether it is on DRBD or below it: ")?;
                match device {
                    DrbdDevice::Absent => f.write_str("the resource has no device here"),
                    DrbdDevice::Holds(device) => {
                        write!(f, "{device} holds a physical volume of LVM, of which group is not said")
                    }
                    DrbdDevice::HoldsOther(device, what) => write!(f, "{device} holds {what}"),
                    DrbdDevice::Silent(device) => {
                        write!(f, "what is on {device} is not known, as on each node where it is Secondary")
                    }
                }
            }
        }
    }
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// All that is known of who is built on whom.
#[derive(Clone, Copy, Debug)]
pub struct Stacks<'a> {
    /// The devices.
    pub map: &'a DeviceMap,
    /// DRBD's configuration, of all resources that are asked for.
    pub volumes: &'a [ConfiguredVolume],
    /// What LVM wrote down.
    pub noted: &'a [PhysicalVolume],
}

impl<'a> Stacks<'a> {
    /// Where the volume group is, seen from the resource. The finding that matters most comes first: a group that is below DRBD is not to be stopped,
    /// whatever else is true of it.
    pub fn stacking(&self, resource: &str, group: &str) -> Stacking {
        let devices = self.devices_of(resource);
        let disks = self.disks_of(resource, &devices);
        let volumes: Vec<&Device> = self
            .map
            .devices()
            .filter(|device| device.dm.as_ref().and_then(|dm| dm.vg.as_deref()) == Some(group))
            .collect();
        if let Some(below) = self.below(resource, group, &devices, &disks) {
            return below;
        }
        let is_ours = |device: &Device| devices.iter().any(|ours| ours.name == device.name);
        let is_disk = |device: &Device| disks.iter().any(|disk| disk.name == device.name);
        // Each of what the group is on, and the volume that says so.
        let noted = self.noted.iter().filter(|noted| noted.group == group);
        let noted = noted.filter_map(|noted| self.map.devices().find(|device| device.number == Some(noted.number)));
        let used = volumes
            .iter()
            .flat_map(|volume| self.physical(volume, group).into_iter().map(move |on| (on, Some(*volume))));
        let used: Vec<(&Device, Option<&Device>)> = used.chain(noted.map(|device| (device, None))).collect();
        if let Some((device, volume)) = used.iter().find(|(device, _)| is_ours(device)) {
            let because = volume.and_then(lv_name).map_or(Because::Noted, Because::Active);
            let beside =
                used.iter().filter(|(other, _)| !is_ours(other) && !is_disk(other)).map(|(other, _)| known_as(other));
            return Stacking::Above { device: device.name.clone(), because, beside: beside.collect() };
        }
        if let Some((disk, _)) = used.iter().find(|(device, _)| is_disk(device)) {
            return Stacking::Past { disk: known_as(disk) };
        }
        if !volumes.is_empty() || !used.is_empty() {
            return Stacking::Elsewhere { on: used.iter().map(|(device, _)| known_as(device)).collect() };
        }
        Stacking::Unknown { device: devices.first().map_or(DrbdDevice::Absent, |device| content(device)) }
    }

    /// DRBD's devices of the resource that are there. Where udev says nothing of it, DRBD's configuration has the minor number.
    fn devices_of(&self, resource: &str) -> Vec<&'a Device> {
        let minors: BTreeSet<u32> = self.of(resource).map(|volume| volume.minor).collect();
        let is_of = |device: &&Device| {
            device.drbd.as_ref().is_some_and(|drbd| match &drbd.resource {
                Some(of) => of == resource,
                None => drbd.minor.is_some_and(|minor| minors.contains(&minor)),
            })
        };
        self.map.devices().filter(|device| device.kind == Kind::Drbd).filter(is_of).collect()
    }

    /// The disks right below them: as they are, or as DRBD's configuration names them.
    fn disks_of(&self, resource: &str, devices: &[&Device]) -> Vec<&'a Device> {
        let attached = devices.iter().flat_map(|device| self.map.next_below(device));
        let named = self.configured(resource).flat_map(|path| self.map.at_path(path, None));
        let mut disks: Vec<&Device> = attached.chain(named).collect();
        disks.sort_by(|a, b| a.name.cmp(&b.name));
        disks.dedup_by(|a, b| a.name == b.name);
        disks
    }

    fn of(&self, resource: &str) -> impl Iterator<Item = &'a ConfiguredVolume> {
        self.volumes.iter().filter(move |volume| volume.resource == resource)
    }

    /// The disks as DRBD's configuration names them.
    fn configured(&self, resource: &str) -> impl Iterator<Item = &'a str> {
        self.of(resource).filter_map(|volume| volume.disk.as_deref())
    }

    fn below(&self, resource: &str, group: &str, devices: &[&Device], disks: &[&Device]) -> Option<Stacking> {
        let is_of_group = |device: &Device| device.dm.as_ref().and_then(|dm| dm.vg.as_deref()) == Some(group);
        for device in devices {
            if let Some(volume) = self.map.below(device).into_iter().find(|lower| is_of_group(lower)) {
                let disk = lv_name(volume).unwrap_or_else(|| volume.name.clone());
                return Some(Stacking::Below { disk, because: Because::Active(device.name.clone()) });
            }
        }
        let is_named = |path: &&str| group_of_path(path).as_deref() == Some(group);
        let named = self.configured(resource).find(is_named).map(str::to_owned);
        // A path that is none of LVM's own, for example below /dev/disk/by-id.
        let resolved = || {
            let is_on = |disk: &&&Device| is_of_group(disk) || self.map.below(disk).into_iter().any(is_of_group);
            disks.iter().find(is_on).map(|disk| known_as(disk))
        };
        named.or_else(resolved).map(|disk| Stacking::Below { disk, because: Because::Configured })
    }

    /// What an active volume of a group is on, below whatever LVM has put between.
    fn physical(&self, volume: &'a Device, group: &str) -> Vec<&'a Device> {
        let is_inner = |device: &&Device| device.dm.as_ref().and_then(|dm| dm.vg.as_deref()) == Some(group);
        let inner = self.map.below(volume).into_iter().filter(is_inner);
        let layers: Vec<&Device> = std::iter::once(volume).chain(inner).collect();
        layers.into_iter().flat_map(|layer| self.map.next_below(layer)).filter(|device| !is_inner(device)).collect()
    }
}

/// `vg/lv` of a volume.
fn lv_name(device: &Device) -> Option<String> {
    let dm = device.dm.as_ref()?;
    Some(format!("{}/{}", dm.vg.as_deref()?, dm.lv.as_deref()?))
}

/// What people call a device: a volume by its group, others by the kernel's name.
fn known_as(device: &Device) -> String {
    lv_name(device).or_else(|| device.dm.as_ref().map(|dm| dm.name.clone())).unwrap_or_else(|| device.name.clone())
}

/// The volume group that a path names by itself: `/dev/VG/LV` or `/dev/mapper/VG-LV`, whether it is there or not.
fn group_of_path(path: &str) -> Option<String> {
    let name = path.strip_prefix("/dev/")?;
    if let Some(dm) = name.strip_prefix("mapper/") {
        return vg_and_lv(dm).map(|(group, _)| group);
    }
    let (group, volume) = name.split_once('/')?;
    // udev's own folders have more below them than names of volumes, or are none that LVM takes for a group.
    (!volume.is_empty() && !volume.contains('/')).then(|| group.to_owned())
}

fn content(device: &Device) -> DrbdDevice {
    match device.file_system.as_ref().map(|found| found.fs_type.as_str()) {
        Some("LVM2_member") => DrbdDevice::Holds(device.name.clone()),
        Some(other) => DrbdDevice::HoldsOther(device.name.clone(), other.to_owned()),
        None => DrbdDevice::Silent(device.name.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Attribute, Facts, Slave};
    use super::*;

    fn disk(name: &str, number: &str) -> Facts {
        Facts { number: number.parse().ok(), ..Facts::new(name) }
    }

    fn on(mut facts: Facts, below: &[&str]) -> Facts {
        facts.slaves = below.iter().map(|name| Slave { name: (*name).to_owned(), dm_name: None }).collect();
        facts
    }

    fn lv(minor: u32, name: &str, below: &[&str]) -> Facts {
        let mut facts = on(disk(&format!("dm-{minor}"), &format!("253:{minor}")), below);
        facts.set(Attribute::DmName, name);
        facts.set(Attribute::DmUuid, &format!("LVM-{minor}"));
        facts.links = vec![name.replacen('-', "/", 1)];
        facts
    }

    /// `drbd0` of `data`, and what udev found on it.
    fn drbd(below: &[&str], holds: Option<&str>) -> Facts {
        let mut facts = on(disk("drbd0", "147:0"), below);
        facts.links = vec!["drbd/by-res/data/0".to_owned()];
        facts.properties.extend(holds.map(|holds| ("ID_FS_TYPE", holds.to_owned())));
        facts
    }

    fn volume(resource: &str, minor: u32, disk: &str) -> ConfiguredVolume {
        ConfiguredVolume { resource: resource.to_owned(), minor, disk: Some(disk.to_owned()) }
    }

    fn ask(facts: &[Facts], volumes: &[ConfiguredVolume], noted: &[PhysicalVolume]) -> String {
        let map = DeviceMap::new(facts, Vec::new());
        Stacks { map: &map, volumes, noted }.stacking("data", "vg_data").to_string()
    }

    fn noted(number: &str, group: &str) -> PhysicalVolume {
        PhysicalVolume { number: number.parse().unwrap(), group: group.to_owned() }
    }

    #[test]
    fn an_active_group_on_drbd_is_above_it() {
        let stack = [disk("sdb", "8:16"), drbd(&["sdb"], Some("LVM2_member")), lv(0, "vg_data-lv", &["drbd0"])];
        assert_eq!(ask(&stack, &[], &[]), "is on DRBD (vg_data/lv is built on drbd0)");
        // A thin volume has layers of LVM's own between.
        let thin = [
            disk("sdb", "8:16"),
            drbd(&["sdb"], None),
            lv(0, "vg_data-pool_tdata", &["drbd0"]),
            lv(1, "vg_data-pool-tpool", &["dm-0"]),
            lv(2, "vg_data-thin", &["dm-1"]),
        ];
        assert!(ask(&thin, &[], &[]).starts_with("is on DRBD"));
        // Without udev's rules of DRBD, its configuration says which device it is.
        let nameless = [on(disk("drbd7", "147:7"), &[]), lv(0, "vg_data-lv", &["drbd7"])];
        assert_eq!(ask(&nameless, &[volume("data", 7, "/dev/sdb")], &[]), "is on DRBD (vg_data/lv is built on drbd7)");
        assert!(ask(&nameless, &[volume("other", 7, "/dev/sdb")], &[]).starts_with("is neither"));
    }

    #[test]
    fn a_group_that_is_also_on_a_disk_of_this_node_says_so() {
        let stack =
            [disk("sdb", "8:16"), disk("sdc", "8:32"), drbd(&["sdb"], None), lv(0, "vg_data-lv", &["drbd0", "sdc"])];
        assert_eq!(ask(&stack, &[], &[]), "is on DRBD (vg_data/lv is built on drbd0), and also on sdc");
    }

    #[test]
    fn a_group_whose_volume_is_the_disk_of_drbd_is_below_it() {
        let stack = [disk("sdb", "8:16"), lv(0, "vg_data-r0", &["sdb"]), drbd(&["dm-0"], Some("ext4"))];
        assert_eq!(ask(&stack, &[], &[]), "is below DRBD (drbd0 is built on its vg_data/r0)");
        // Something may lie between: encryption, for example.
        let mut crypt = on(disk("dm-5", "253:5"), &["dm-0"]);
        crypt.set(Attribute::DmName, "secret");
        crypt.set(Attribute::DmUuid, "CRYPT-LUKS2-1-secret");
        let stack = [disk("sdb", "8:16"), lv(0, "vg_data-r0", &["sdb"]), crypt, drbd(&["dm-5"], None)];
        assert_eq!(ask(&stack, &[], &[]), "is below DRBD (drbd0 is built on its vg_data/r0)");
    }

    #[test]
    fn an_inactive_group_below_drbd_is_known_by_the_name_of_the_disk() {
        for path in ["/dev/vg_data/r0", "/dev/mapper/vg_data-r0"] {
            let volumes = [volume("other", 1, "/dev/sdz"), volume("data", 0, path)];
            let said = format!("is below DRBD (DRBD's configuration has {path} as its disk)");
            assert_eq!(ask(&[disk("sdb", "8:16")], &volumes, &[]), said);
        }
        // By a link that says nothing itself, as long as the volume is active.
        let mut active = lv(0, "vg_data-r0", &["sdb"]);
        active.links.push("disk/by-id/dm-name-x".to_owned());
        let volumes = [volume("data", 0, "/dev/disk/by-id/dm-name-x")];
        let said = "is below DRBD (DRBD's configuration has vg_data/r0 as its disk)";
        assert_eq!(ask(&[disk("sdb", "8:16"), active], &volumes, &[]), said);
        // The disk of another resource says nothing of this one.
        let volumes = [volume("other", 1, "/dev/vg_data/r0")];
        assert!(ask(&[disk("sdb", "8:16")], &volumes, &[]).starts_with("is not active here"));
    }

    #[test]
    fn a_group_with_hyphens_is_told_from_others() {
        let names = [
            ("/dev/mapper/vg--data-r0", Some("vg-data")),
            ("/dev/vg-data/r0", Some("vg-data")),
            ("/dev/sdb", None),
            ("/dev/disk/by-id/x", None),
            ("vg_data/r0", None),
            ("/dev/mapper/mpatha", None),
        ];
        for (path, group) in names {
            assert_eq!(group_of_path(path).as_deref(), group, "{path}");
        }
    }

    #[test]
    fn lvm_that_has_gone_by_drbd_is_found_out() {
        // DRBD is down, and LVM has taken the disk.
        let stack = [disk("sdb", "8:16"), lv(0, "vg_data-lv", &["sdb"])];
        let volumes = [volume("data", 0, "/dev/sdb")];
        let past = "is used on sdb, the disk below DRBD, and not on DRBD's device";
        assert_eq!(ask(&stack, &volumes, &[]), past);
        // DRBD is up, and LVM has seen only its disk.
        let stack = [disk("sdb", "8:16"), drbd(&["sdb"], None)];
        assert_eq!(ask(&stack, &volumes, &[noted("8:16", "vg_data")]), past);
    }

    #[test]
    fn what_lvm_wrote_down_says_where_an_inactive_group_is() {
        let stack = [disk("sdb", "8:16"), disk("sdc", "8:32"), drbd(&["sdb"], Some("LVM2_member"))];
        let on_drbd = "is on DRBD (LVM knows drbd0 as its physical volume)";
        assert_eq!(ask(&stack, &[], &[noted("147:0", "vg_data"), noted("8:32", "vg_other")]), on_drbd);
        assert_eq!(ask(&stack, &[], &[noted("8:32", "vg_data")]), "is neither on DRBD nor below it, but on sdc");
        // A device that is not there any more says nothing.
        assert!(ask(&stack, &[], &[noted("8:99", "vg_data")]).starts_with("is not active here"));
    }

    #[test]
    fn a_group_that_has_nothing_to_do_with_drbd_is_elsewhere() {
        let stack = [disk("sdb", "8:16"), disk("sdc", "8:32"), drbd(&["sdb"], None), lv(0, "vg_data-lv", &["sdc"])];
        assert_eq!(ask(&stack, &[], &[]), "is neither on DRBD nor below it, but on sdc");
    }

    #[test]
    fn of_an_inactive_group_it_is_said_what_is_not_known() {
        let unknown = "is not active here, so it is not known whether it is on DRBD or below it: ";
        let rows = [
            (vec![disk("sdb", "8:16")], "the resource has no device here"),
            (
                vec![drbd(&["sdb"], Some("LVM2_member"))],
                "drbd0 holds a physical volume of LVM, of which group is not said",
            ),
            (vec![drbd(&["sdb"], Some("ext4"))], "drbd0 holds ext4"),
            (vec![drbd(&["sdb"], None)], "what is on drbd0 is not known, as on each node where it is Secondary"),
        ];
        for (facts, rest) in rows {
            assert_eq!(ask(&facts, &[], &[]), format!("{unknown}{rest}"));
        }
    }

    #[test]
    fn files_of_lvm_are_read_line_by_line() {
        let all = "147:0\nvg:vg_data\ndev:/dev/drbd0\n";
        assert_eq!(PhysicalVolume::parse(all), Some(noted("147:0", "vg_data")));
        assert_eq!(PhysicalVolume::parse("147:0\nnew:x\nvg:vg_data"), Some(noted("147:0", "vg_data")));
        for useless in ["", "147:0\n", "147:0\nvg:\n", "vg:vg_data\n", "x:y\nvg:vg_data\n"] {
            assert_eq!(PhysicalVolume::parse(useless), None, "{useless:?}");
        }
    }
}
