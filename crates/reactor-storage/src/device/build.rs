//! A device, as it follows from its facts.

use std::collections::BTreeSet;

use serde::Serialize;

use super::facts::{Attribute, Controller, Facts};
use super::identity;
use super::kind::{Kind, nvme_path};
use super::mounts::MountPoint;
use super::names::{Number, ScsiAddress, vg_and_lv};
use super::place::Place;
use super::transport::Transport;

/// A block device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Device {
    /// The stable id: how it is made is said in [`super`].
    pub id: String,
    /// What kind of device.
    pub kind: Kind,
    /// The device number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<Number>,
    /// The kernel's name.
    pub name: String,
    /// The path to use for it, which stays the same if any does.
    pub path: String,
    /// All links that udev has made, with `/dev/` before them.
    pub links: Vec<String>,
    /// All ids that are known.
    pub ids: Ids,
    /// Of a partition, its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
    /// How it is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// Where a SCSI device is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scsi_address: Option<ScsiAddress>,
    /// What the device says of itself: `running`, `offline`, `live`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The controllers by which a namespace of NVMe is reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub controllers: Vec<Controller>,
    /// In bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Whether it can't be written.
    pub read_only: bool,
    /// What is on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_system: Option<FileSystem>,
    /// Where it is mounted.
    pub mounts: Vec<MountPoint>,
    /// Device mapper's part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dm: Option<Dm>,
    /// md's part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub md: Option<Md>,
    /// DRBD's part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drbd: Option<DrbdName>,
    /// The file behind a loop device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Units that use it: those of its mount points, and what else is known.
    pub units: BTreeSet<String>,
    /// What was odd.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// The kernel's names of what it is built on.
    #[serde(skip)]
    pub(super) built_on: Vec<String>,
    /// Where it is plugged in.
    #[serde(skip)]
    pub place: Place,
    /// Counts what comes and goes by this name.
    #[serde(skip)]
    pub(super) sequence: Option<u64>,
    /// Its number in the map.
    #[serde(skip)]
    pub(super) serial: u32,
}

/// All ids that are known of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ids {
    /// The kernel's WWID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wwid: Option<String>,
    /// The serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// udev's serial number, which has the maker and the model in it, or is a WWID as multipathd spells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub udev_serial: Option<String>,
    /// udev's World Wide Name: `0x5000...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wwn: Option<String>,
    /// Of NVMe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nguid: Option<String>,
    /// Of NVMe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eui: Option<String>,
    /// Of the device: NVMe, persistent memory, bcache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Device mapper's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dm_uuid: Option<String>,
    /// md's, in mdadm's form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub md_uuid: Option<String>,
    /// Of the partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_uuid: Option<String>,
    /// Of the partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_label: Option<String>,
    /// Of the partition table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_table_uuid: Option<String>,
    /// udev's name of where it is plugged in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_path: Option<String>,
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// What it is sold as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// What is on a device, by what udev found at its beginning: a file system, or a part of LVM, md, multipath, DRBD.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FileSystem {
    /// `xfs`, `LVM2_member`, `crypto_LUKS`, ...
    #[serde(rename = "type")]
    pub fs_type: String,
    /// Its UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Its label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// A device of device mapper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Dm {
    /// Its name: `mpatha`, `vg-lv`.
    pub name: String,
    /// Of a logical volume, the volume group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vg: Option<String>,
    /// Of a logical volume, its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lv: Option<String>,
    /// Whether all I/O to it waits.
    pub suspended: bool,
}

/// An array of md.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Md {
    /// `raid1`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// `clean`, `active`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// `idle`, `resync`, `recover`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// How many members there should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disks: Option<u32>,
    /// How many of them are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degraded: Option<u32>,
}

/// Which volume of DRBD it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DrbdName {
    /// The resource, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The volume, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<u32>,
    /// DRBD's minor number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minor: Option<u32>,
}

impl Device {
    /// What follows from the facts.
    pub fn new(facts: &Facts) -> Self {
        let (kind, place) = (Kind::of(facts), Place::parse(&facts.devpath));
        let small = |attribute| facts.attribute(attribute).and_then(|text| text.parse::<u32>().ok());
        let is_one = |attribute| facts.attribute(attribute) == Some("1");
        let partition = small(Attribute::Partition)
            .or_else(|| facts.property("ID_PART_ENTRY_NUMBER")?.parse().ok())
            .filter(|_| kind == Kind::Partition);
        let size = facts.attribute(Attribute::Size).and_then(|text| text.parse::<u64>().ok());
        let mut device = Self {
            id: String::new(),
            kind,
            number: facts.number,
            name: facts.name.clone(),
            path: identity::preferred_path(facts),
            links: facts.links.iter().map(|link| format!("/dev/{link}")).collect(),
            ids: ids(facts),
            partition,
            transport: Transport::of(kind, facts, &place),
            scsi_address: place.scsi,
            state: facts.attribute(Attribute::DeviceState).map(str::to_owned),
            controllers: facts.controllers.clone(),
            // Sectors of sysfs have 512 bytes.
            size: size.and_then(|sectors| sectors.checked_mul(512)),
            read_only: is_one(Attribute::ReadOnly),
            file_system: file_system(facts),
            mounts: Vec::new(),
            dm: dm(facts),
            md: (kind == Kind::Md).then(|| Md {
                level: text(facts, Attribute::MdLevel, "MD_LEVEL"),
                state: text(facts, Attribute::MdState, ""),
                action: text(facts, Attribute::MdAction, ""),
                disks: small(Attribute::MdDisks),
                degraded: small(Attribute::MdDegraded),
            }),
            drbd: (kind == Kind::Drbd).then(|| drbd(facts)),
            file: facts.attribute(Attribute::LoopFile).filter(|_| kind == Kind::Loop).map(str::to_owned),
            units: BTreeSet::new(),
            remarks: facts.remarks.clone(),
            built_on: built_on(kind, facts),
            place,
            sequence: facts.attribute(Attribute::DiskSequence).and_then(|text| text.parse().ok()),
            serial: 0,
        };
        device.id = identity::stable_id(facts, &device);
        if kind == Kind::Partition {
            device.ids.keep_those_of_a_partition();
        }
        device
    }

    /// The kernel's names of what it is directly built on: of a partition its disk, of others `slaves/`.
    pub fn built_on(&self) -> &[String] {
        &self.built_on
    }

    /// The controllers of NVMe by which it is reached.
    pub fn controller_names(&self) -> impl Iterator<Item = &str> {
        self.controllers.iter().map(|controller| controller.name.as_str())
    }

    /// The resource of DRBD, and its volume: `r0/0`.
    pub fn drbd_volume(&self) -> Option<String> {
        let drbd = self.drbd.as_ref()?;
        Some(format!("{}/{}", drbd.resource.as_deref()?, drbd.volume?))
    }
}

impl Ids {
    /// The others are its disk's, which they are to lead to.
    fn keep_those_of_a_partition(&mut self) {
        let (uuid, label) = (self.partition_uuid.take(), self.partition_label.take());
        let (table, dm_uuid) = (self.partition_table_uuid.take(), self.dm_uuid.take());
        *self = Self {
            partition_uuid: uuid,
            partition_label: label,
            partition_table_uuid: table,
            dm_uuid,
            ..Self::default()
        };
    }
}

/// Of the kernel, or of udev.
fn text(facts: &Facts, attribute: Attribute, property: &str) -> Option<String> {
    facts.attribute(attribute).or_else(|| facts.property(property)).map(str::to_owned)
}

fn ids(facts: &Facts) -> Ids {
    let property = |name: &str| facts.property(name).map(str::to_owned);
    let attribute = |attribute| facts.attribute(attribute).map(str::to_owned);
    let wwid = facts.attribute(Attribute::DeviceWwid).or(facts.attribute(Attribute::Wwid)).map(identity::clean_wwid);
    let uuid = [Attribute::Uuid, Attribute::DeviceUuid, Attribute::BcacheUuid].into_iter().find_map(attribute);
    Ids {
        wwid: wwid.filter(|wwid| !wwid.is_empty()),
        serial: attribute(Attribute::Serial)
            .or_else(|| attribute(Attribute::DeviceSerial))
            .or_else(|| property("ID_SERIAL_SHORT"))
            .or_else(|| property("ID_SCSI_SERIAL")),
        udev_serial: property("ID_SERIAL").or_else(|| property("DM_SERIAL")),
        wwn: property("ID_WWN_WITH_EXTENSION").or_else(|| property("ID_WWN")).or_else(|| property("DM_WWN")),
        nguid: attribute(Attribute::Nguid).filter(|id| identity::says_something(id)),
        eui: attribute(Attribute::Eui).filter(|id| identity::says_something(id)),
        uuid: uuid.filter(|id| identity::says_something(id)),
        dm_uuid: text(facts, Attribute::DmUuid, "DM_UUID"),
        md_uuid: text(facts, Attribute::MdUuid, "MD_UUID").map(|uuid| identity::md_uuid(&uuid)),
        partition_uuid: property("ID_PART_ENTRY_UUID"),
        partition_label: property("ID_PART_ENTRY_NAME"),
        partition_table_uuid: property("ID_PART_TABLE_UUID"),
        by_path: property("ID_PATH"),
        vendor: text(facts, Attribute::DeviceVendor, "ID_VENDOR"),
        model: text(facts, Attribute::DeviceModel, "ID_MODEL"),
    }
}

fn file_system(facts: &Facts) -> Option<FileSystem> {
    let property = |name: &str| facts.property(name).map(str::to_owned);
    let label = facts.property("ID_FS_LABEL_ENC").map(super::facts::unescape).or_else(|| property("ID_FS_LABEL"));
    Some(FileSystem { fs_type: property("ID_FS_TYPE")?, uuid: property("ID_FS_UUID"), label })
}

fn dm(facts: &Facts) -> Option<Dm> {
    let name = text(facts, Attribute::DmName, "DM_NAME")?;
    let is_lv = text(facts, Attribute::DmUuid, "DM_UUID").is_some_and(|uuid| uuid.starts_with("LVM-"));
    let (vg, lv) = vg_and_lv(&name).filter(|_| is_lv).unzip();
    Some(Dm { name, vg, lv, suspended: facts.attribute(Attribute::DmSuspended) == Some("1") })
}

/// udev of DRBD makes `drbd/by-res/RESOURCE/VOLUME`; a resource of one volume had no volume there in former times. The kernel itself says it in
/// debugfs.
fn drbd(facts: &Facts) -> DrbdName {
    let by_link = facts.links.iter().find_map(|link| link.strip_prefix("drbd/by-res/"));
    let by_resource = by_link.or_else(|| facts.attribute(Attribute::DrbdVolume));
    let (resource, volume) = match by_resource.map(|link| link.rsplit_once('/').unwrap_or((link, "0"))) {
        Some((resource, volume)) => (Some(resource.to_owned()), volume.parse().ok()),
        None => (None, None),
    };
    let of_name = || facts.name.strip_prefix("drbd")?.parse().ok();
    DrbdName { resource, volume, minor: facts.number.map(|number| number.minor).or_else(of_name) }
}

/// A partition is on its disk, the folder around its own. A namespace with native multipath is on its paths, which say so themselves.
fn built_on(kind: Kind, facts: &Facts) -> Vec<String> {
    let mut below: Vec<String> = facts.slaves.iter().map(|slave| slave.name.clone()).collect();
    let is_plain_partition = kind == Kind::Partition && !facts.name.starts_with("dm-");
    if let Some(disk) = parent(facts).filter(|_| is_plain_partition) {
        below.push(disk);
    }
    if kind == Kind::Drbd {
        let disks = facts.links.iter().filter_map(|link| link.strip_prefix("drbd/by-disk/"));
        below.extend(disks.map(str::to_owned));
    }
    below
}

/// The disk of a partition: the folder around its own.
pub(super) fn parent(facts: &Facts) -> Option<String> {
    let mut parts = facts.devpath.rsplit('/');
    let (own, disk) = (parts.next()?, parts.next()?);
    let is_inside = !disk.is_empty() && own.starts_with(disk) && own.len() > disk.len();
    is_inside.then(|| disk.replace('!', "/"))
}

/// The namespace that a hidden path of NVMe is a path of.
pub(super) fn namespace_above(device: &Device) -> Option<String> {
    nvme_path(&device.name).map(|(namespace, _)| namespace).filter(|_| device.kind == Kind::NvmePath)
}
