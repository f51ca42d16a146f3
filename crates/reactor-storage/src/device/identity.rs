//! The id of a device that stays, and the path to prefer for it. The rules are in [`super`].

use super::build::{Device, parent};
use super::facts::{Attribute, Facts};
use super::kind::{Kind, nvme_path};

/// The id of a device.
pub(super) fn stable_id(facts: &Facts, device: &Device) -> String {
    let dm = device.ids.dm_uuid.clone().or_else(|| device.dm.as_ref().map(|dm| format!("dm-name-{}", dm.name)));
    if let Some(id) = dm {
        return id;
    }
    match device.kind {
        Kind::Drbd => drbd_id(device),
        Kind::Partition => partition_id(facts, device),
        Kind::NvmePath => path_id(facts, device),
        kind => of_whole(kind, facts, device).unwrap_or_else(|| last_resort(device)),
    }
}

/// `drbd:RESOURCE/VOLUME`, or with the minor number.
pub(super) fn drbd_id(device: &Device) -> String {
    if let Some(volume) = device.drbd_volume() {
        return format!("drbd:{volume}");
    }
    let minor = device.drbd.as_ref().and_then(|drbd| drbd.minor);
    minor.map_or_else(|| last_resort(device), |minor| format!("drbd:{minor}"))
}

/// What the device says of itself, or what is known of it by its own kind.
fn of_whole(kind: Kind, facts: &Facts, device: &Device) -> Option<String> {
    let text = |attribute| facts.attribute(attribute);
    let ids = &device.ids;
    if let Some(wwid) = &ids.wwid {
        return Some(wwid.clone());
    }
    let own = match kind {
        Kind::Nvme => ids.nguid.as_ref().or(ids.eui.as_ref()).map(|id| format!("eui.{}", hex(id))),
        Kind::Md => ids.md_uuid.as_ref().map(|uuid| format!("md-uuid-{uuid}")),
        Kind::Mmc => text(Attribute::DeviceCid).map(|cid| format!("mmc-{cid}")),
        Kind::Bcache => text(Attribute::BcacheUuid).map(|uuid| format!("bcache-{uuid}")),
        Kind::Pmem => ids.uuid.as_ref().map(|uuid| format!("pmem-{uuid}")),
        Kind::Virtio => ids.serial.as_ref().map(|serial| format!("virtio-{serial}")),
        Kind::Loop => text(Attribute::LoopFile).map(|file| format!("loop:{file}")),
        Kind::Nbd => text(Attribute::NbdBackend).map(|backend| format!("nbd:{backend}")),
        Kind::Rbd => rbd(facts),
        // What is in memory is new after each boot, an id that is written there, too.
        Kind::Zram | Kind::Ram if device.kind == kind => Some(format!("name-{}", device.name)),
        _ => None,
    };
    own.or_else(|| {
        let serial = ids.udev_serial.as_ref().or(ids.serial.as_ref())?;
        Some(format!("{}-{}", facts.property("ID_BUS").unwrap_or(kind.as_str()), clean_wwid(serial)))
    })
}

/// `rbd:CLUSTER/POOL/NAMESPACE/IMAGE@SNAPSHOT`, of these what there is.
fn rbd(facts: &Facts) -> Option<String> {
    let text = |attribute| facts.attribute(attribute);
    let (pool, image) = (text(Attribute::RbdPool)?, text(Attribute::RbdImage)?);
    let mut parts = vec![pool];
    parts.extend(text(Attribute::RbdNamespace));
    parts.push(image);
    if let Some(cluster) = text(Attribute::RbdCluster) {
        parts.insert(0, cluster);
    }
    let snapshot = text(Attribute::RbdSnapshot).filter(|snapshot| *snapshot != "-");
    let snapshot = snapshot.map(|snapshot| format!("@{snapshot}")).unwrap_or_default();
    Some(format!("rbd:{}{snapshot}", parts.join("/")))
}

/// What nothing of the device itself says. Content can be copied, and cables be moved, but either lasts longer than a name.
fn last_resort(device: &Device) -> String {
    if let Some(uuid) = &device.ids.partition_table_uuid {
        return format!("ptuuid-{uuid}");
    }
    if let Some(uuid) = device.file_system.as_ref().and_then(|fs| fs.uuid.as_ref()) {
        return format!("fs-uuid-{uuid}");
    }
    match &device.ids.by_path {
        Some(path) => format!("path-{path}"),
        None => format!("name-{}", device.name),
    }
}

/// The id of the disk, `-part`, and the number. The facts of a partition have what its disk says of itself: udev's properties are those of both, and the
/// reader of sysfs looks at the disk, too.
fn partition_id(facts: &Facts, device: &Device) -> String {
    let number = device.partition.map_or_else(|| "?".to_owned(), |number| number.to_string());
    let disk = parent(facts).unwrap_or_else(|| device.name.clone());
    let kind = Kind::of_name(&disk);
    let id = of_whole(kind, facts, device).unwrap_or_else(|| match &device.ids.partition_table_uuid {
        Some(uuid) => format!("ptuuid-{uuid}"),
        None => device.ids.by_path.as_ref().map_or_else(|| format!("name-{disk}"), |path| format!("path-{path}")),
    });
    format!("{id}-part{number}")
}

fn path_id(facts: &Facts, device: &Device) -> String {
    let namespace = of_whole(Kind::Nvme, facts, device)
        .unwrap_or_else(|| format!("name-{}", nvme_path(&device.name).map_or(String::new(), |(name, _)| name)));
    let address = device.controllers.first().and_then(super::facts::Controller::short_address);
    let controller = || nvme_path(&device.name).map_or(String::new(), |(_, controller)| controller);
    format!("{namespace}-path-{}", address.unwrap_or_else(controller))
}

/// peripety's form of a WWID: no blanks around it, one `-` for those within it.
pub(super) fn clean_wwid(wwid: &str) -> String {
    let mut wwid = wwid.trim();
    // Some devices fill up with the two characters backslash and 0.
    while let Some(rest) = wwid.strip_suffix("\\0") {
        wwid = rest.trim_end();
    }
    wwid.split_whitespace().collect::<Vec<_>>().join("-")
}

/// mdadm's form, `a:b:c:d`, of what can be written as any UUID.
pub(super) fn md_uuid(uuid: &str) -> String {
    let digits = hex(uuid);
    match (digits.len(), digits.is_ascii()) {
        (32, true) => [&digits[..8], &digits[8..16], &digits[16..24], &digits[24..]].join(":"),
        _ => uuid.to_owned(),
    }
}

/// Hexadecimal digits alone, small.
pub(super) fn hex(text: &str) -> String {
    text.chars().filter(char::is_ascii_hexdigit).map(|c| c.to_ascii_lowercase()).collect()
}

/// An id of zeros is none.
pub(super) fn says_something(id: &str) -> bool {
    id.chars().any(|c| c.is_ascii_hexdigit() && c != '0')
}

/// The path to prefer: device mapper's name, DRBD's resource, an array's name; of others the link with the WWN, or the first below `by-id`; at last the
/// kernel's name.
pub(super) fn preferred_path(facts: &Facts) -> String {
    let name = facts.attribute(Attribute::DmName).or_else(|| facts.property("DM_NAME"));
    if let Some(name) = name {
        return format!("/dev/mapper/{name}");
    }
    // It is hidden: what can be used is the namespace.
    if let Some((namespace, _)) = nvme_path(&facts.name) {
        return format!("/dev/{namespace}");
    }
    let mut links: Vec<&str> = facts.links.iter().map(String::as_str).collect();
    links.sort_unstable();
    let first = |prefix: &str| links.iter().find(|link| link.starts_with(prefix));
    let best = [
        "drbd/by-res/",
        "md/",
        "rbd/",
        "disk/by-id/wwn-",
        "disk/by-id/nvme-eui.",
        "disk/by-id/nvme-uuid.",
        "disk/by-id/",
        "disk/by-path/",
    ];
    let best = best.into_iter().find_map(first);
    best.map_or_else(|| format!("/dev/{}", facts.name), |link| format!("/dev/{link}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str, attributes: &[(Attribute, &str)], udev: &str, devpath: &str) -> String {
        let mut facts = Facts::new(name);
        for (attribute, text) in attributes {
            facts.set(*attribute, text);
        }
        facts.read_udev(udev);
        facts.devpath = devpath.to_owned();
        Device::new(&facts).id
    }

    #[test]
    fn a_wwid_has_no_blanks_and_no_padding() {
        assert_eq!(clean_wwid(" t10.ATA     Model  X \\0\\0 "), "t10.ATA-Model-X");
        assert_eq!(clean_wwid("naa.6001405aabb"), "naa.6001405aabb");
        assert_eq!(md_uuid("3d2b1a00-0000-0000-0000-00000000ffff"), "3d2b1a00:00000000:00000000:0000ffff");
        assert_eq!(md_uuid("odd"), "odd");
    }

    #[test]
    fn the_first_thing_that_lasts_is_the_id() {
        let sda = "/devices/virtual/block/sda";
        let wwid = [(Attribute::DeviceWwid, "naa.600140")];
        assert_eq!(id("sda", &wwid, "E:ID_SERIAL=3600140\n", sda), "naa.600140");
        let part = [(Attribute::DeviceWwid, "naa.600140"), (Attribute::Partition, "2")];
        assert_eq!(id("sda2", &part, "", &format!("{sda}/sda2")), "naa.600140-part2");
        assert_eq!(id("sda", &[], "E:ID_BUS=usb\nE:ID_SERIAL=Maker_Stick_01\n", sda), "usb-Maker_Stick_01");
        assert_eq!(id("vda", &[], "E:ID_PART_TABLE_UUID=77aa\nE:ID_PATH=pci-0:4\n", ""), "ptuuid-77aa");
        assert_eq!(id("vda", &[], "E:ID_FS_TYPE=xfs\nE:ID_FS_UUID=0c7e\n", ""), "fs-uuid-0c7e");
        assert_eq!(id("vda", &[], "E:ID_PATH=pci-0:4\n", ""), "path-pci-0:4");
        assert_eq!(id("vda", &[], "", ""), "name-vda");
        assert_eq!(id("vda", &[(Attribute::Serial, "d1")], "", ""), "virtio-d1");
        let dm = [(Attribute::DmName, "mpatha"), (Attribute::DmUuid, "mpath-3600")];
        assert_eq!(id("dm-0", &dm, "", ""), "mpath-3600");
        assert_eq!(id("dm-0", &dm[..1], "", ""), "dm-name-mpatha");
        assert_eq!(id("loop3", &[(Attribute::LoopFile, "/img")], "", ""), "loop:/img");
        assert_eq!(id("drbd7", &[], "S:drbd/by-res/r0/1\n", ""), "drbd:r0/1");
        assert_eq!(id("drbd7", &[], "", ""), "drbd:7");
        let rbd = [(Attribute::RbdPool, "p"), (Attribute::RbdImage, "i"), (Attribute::RbdSnapshot, "-")];
        assert_eq!(id("rbd0", &rbd, "", ""), "rbd:p/i");
        assert_eq!(id("nvme0n1", &[(Attribute::Nguid, "0000-00")], "", ""), "name-nvme0n1");
        assert_eq!(id("nvme0n1", &[(Attribute::Eui, "00 25 38 ff")], "", ""), "eui.002538ff");
    }

    #[test]
    fn the_preferred_path_is_the_one_that_lasts() {
        let path = |udev: &str| {
            let mut facts = Facts::new("sda");
            facts.read_udev(udev);
            preferred_path(&facts)
        };
        assert_eq!(path("S:disk/by-path/p\nS:disk/by-id/ata-x\nS:disk/by-id/wwn-0x5\n"), "/dev/disk/by-id/wwn-0x5");
        assert_eq!(path("S:disk/by-path/p\nS:disk/by-id/ata-x\n"), "/dev/disk/by-id/ata-x");
        assert_eq!(path(""), "/dev/sda");
    }
}
