//! What kind of device it is.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::facts::{Attribute, Facts};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)+) => {
        /// The kind of a block device. One that we do not know is [`Kind::Other`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Kind {
            $($(#[$doc])* $name,)+
            /// None of these.
            #[serde(other)]
            Other,
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+ Self::Other];

            /// The word that output and filters have for it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                    Self::Other => "other",
                }
            }
        }
    };
}

kinds! {
    /// A disk of SCSI, SATA, SAS, FC, iSCSI or USB.
    Scsi = "scsi",
    /// A CD or DVD drive.
    Optical = "optical",
    /// A namespace of NVMe.
    Nvme = "nvme",
    /// One path of a namespace with native NVMe multipath.
    NvmePath = "nvme-path",
    /// virtio_blk.
    Virtio = "virtio",
    /// Xen's.
    Xen = "xen",
    /// A card: MMC, SD.
    Mmc = "mmc",
    /// Persistent memory.
    Pmem = "pmem",
    /// A RAM disk.
    Ram = "ram",
    /// A disk of User-Mode Linux.
    Ubd = "ubd",
    /// A floppy disk.
    Floppy = "floppy",
    /// A partition of any of the others.
    Partition = "partition",
    /// An array of md.
    Md = "md",
    /// Device mapper: a multipath map.
    Multipath = "multipath",
    /// Device mapper: a logical volume, or a part of one, that is none of the next.
    Lvm = "lvm",
    /// Device mapper: a thin volume of LVM.
    LvmThin = "lvm-thin",
    /// Device mapper: a thin pool of LVM.
    LvmThinPool = "lvm-thin-pool",
    /// Device mapper: LVM's RAID, or a mirror.
    LvmRaid = "lvm-raid",
    /// Device mapper: a snapshot of LVM.
    LvmSnapshot = "lvm-snapshot",
    /// Device mapper: a logical volume that has snapshots.
    LvmOrigin = "lvm-origin",
    /// Device mapper: a logical volume with a cache.
    LvmCache = "lvm-cache",
    /// Device mapper: LVM's VDO.
    LvmVdo = "lvm-vdo",
    /// Device mapper: encrypted.
    Crypt = "crypt",
    /// Device mapper: with checksums.
    Integrity = "integrity",
    /// Device mapper: verified.
    Verity = "verity",
    /// Device mapper: another.
    Dm = "dm",
    /// A file as a device.
    Loop = "loop",
    /// A network block device.
    Nbd = "nbd",
    /// An image of Ceph.
    Rbd = "rbd",
    /// bcache.
    Bcache = "bcache",
    /// Compressed memory.
    Zram = "zram",
    /// DRBD.
    Drbd = "drbd",
    /// A volume of ZFS.
    Zvol = "zvol",
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The kernel's names of kinds: what stands before the number or the letters.
const PREFIXES: [(&str, Kind); 20] = [
    ("dm-", Kind::Dm),
    ("nvme", Kind::Nvme),
    ("mmcblk", Kind::Mmc),
    ("bcache", Kind::Bcache),
    ("drbd", Kind::Drbd),
    ("loop", Kind::Loop),
    ("pmem", Kind::Pmem),
    ("zram", Kind::Zram),
    ("ubd", Kind::Ubd),
    ("nbd", Kind::Nbd),
    ("rbd", Kind::Rbd),
    ("ram", Kind::Ram),
    ("xvd", Kind::Xen),
    ("sr", Kind::Optical),
    ("sd", Kind::Scsi),
    ("vd", Kind::Virtio),
    ("md", Kind::Md),
    ("fd", Kind::Floppy),
    ("zd", Kind::Zvol),
    ("scd", Kind::Optical),
];

impl Kind {
    /// Judges.
    pub fn of(facts: &Facts) -> Self {
        let is_partition = facts.attribute(Attribute::Partition).is_some()
            || facts.property("DEVTYPE") == Some("partition")
            || facts.property("DM_UUID").or(facts.attribute(Attribute::DmUuid)).is_some_and(is_dm_partition);
        if is_partition { Self::Partition } else { Self::whole(facts) }
    }

    /// The kind by the kernel's name alone, of a device that is no partition.
    pub fn of_name(name: &str) -> Self {
        let known = |prefix: &str| name.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty());
        let found = PREFIXES.iter().find(|(prefix, _)| known(prefix));
        found.map_or(Self::Other, |(_, kind)| *kind)
    }

    fn whole(facts: &Facts) -> Self {
        match Self::of_name(&facts.name) {
            Self::Dm => device_mapper(facts),
            // nvme0c1n1: the path of controller 1 to namespace 1 of subsystem 0.
            Self::Nvme if nvme_path(&facts.name).is_some() => Self::NvmePath,
            kind => kind,
        }
    }

    /// peripety's word for it.
    pub fn peripety(self) -> &'static str {
        match self {
            Self::Scsi => "Scsi",
            Self::Partition => "Partition",
            Self::Multipath => "DmMultipath",
            Self::Crypt | Self::Integrity | Self::Verity | Self::Dm => "Dm",
            Self::Lvm
            | Self::LvmThin
            | Self::LvmThinPool
            | Self::LvmRaid
            | Self::LvmSnapshot
            | Self::LvmOrigin
            | Self::LvmCache
            | Self::LvmVdo => "DmLvm",
            Self::Optical
            | Self::Nvme
            | Self::NvmePath
            | Self::Virtio
            | Self::Xen
            | Self::Mmc
            | Self::Pmem
            | Self::Ram
            | Self::Ubd
            | Self::Floppy
            | Self::Md
            | Self::Loop
            | Self::Nbd
            | Self::Rbd
            | Self::Bcache
            | Self::Zram
            | Self::Drbd
            | Self::Zvol
            | Self::Other => "Other",
        }
    }
}

/// The namespace's name and the controller's of the hidden name of a path: `nvme0c1n1` is `nvme0n1` by `nvme1`.
pub(super) fn nvme_path(name: &str) -> Option<(String, String)> {
    let rest = name.strip_prefix("nvme")?;
    let (subsystem, rest) = rest.split_once('c')?;
    let (controller, namespace) = rest.split_once('n')?;
    let all_digits = [subsystem, controller, namespace].iter().all(|part| super::names::digits(part).is_some());
    all_digits.then(|| (format!("nvme{subsystem}n{namespace}"), format!("nvme{controller}")))
}

/// kpartx' uuids: `part1-mpath-3600...`.
fn is_dm_partition(uuid: &str) -> bool {
    uuid.strip_prefix("part")
        .and_then(|rest| rest.split_once('-'))
        .is_some_and(|(number, _)| super::names::digits(number).is_some())
}

/// Which target a dm device has is not in sysfs. Its uuid says who made it, and the names of what it is built on say the rest.
fn device_mapper(facts: &Facts) -> Kind {
    let uuid = facts.attribute(Attribute::DmUuid).or(facts.property("DM_UUID")).unwrap_or_default();
    let begins = |prefix: &str| uuid.starts_with(prefix);
    if begins("mpath-") {
        Kind::Multipath
    } else if begins("LVM-") {
        logical_volume(facts, uuid)
    } else if begins("CRYPT-VERITY-") {
        Kind::Verity
    } else if begins("CRYPT-INTEGRITY-") {
        Kind::Integrity
    } else if begins("CRYPT-") {
        Kind::Crypt
    } else {
        Kind::Dm
    }
}

fn logical_volume(facts: &Facts, uuid: &str) -> Kind {
    let below =
        |part: &str| facts.slaves.iter().filter_map(|slave| slave.dm_name.as_deref()).any(|name| name.contains(part));
    let ends = |end: &str| uuid.ends_with(end);
    // `-pool` is the layer over the pool that nothing but LVM uses.
    if ends("-tpool") || ends("-pool") && below("-tpool") {
        Kind::LvmThinPool
    } else if ends("-vpool") {
        Kind::LvmVdo
    } else if ends("-real") || ends("-cow") {
        Kind::Lvm
    } else if below("-tpool") {
        Kind::LvmThin
    } else if below("-vpool") {
        Kind::LvmVdo
    } else if below("_rimage_") || below("_mimage_") {
        Kind::LvmRaid
    } else if below("-cow") {
        Kind::LvmSnapshot
    } else if below("-real") {
        Kind::LvmOrigin
    } else if below("_corig") || below("_wcorig") {
        Kind::LvmCache
    } else {
        Kind::Lvm
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Slave;
    use super::*;

    #[test]
    fn the_word_is_the_one_of_json() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!(serde_json::from_str::<Kind>("\"of-next-year\"").unwrap(), Kind::Other);
    }

    #[test]
    fn kernel_names_say_the_kind() {
        for (name, kind) in [
            ("sda", Kind::Scsi),
            ("sr0", Kind::Optical),
            ("nvme0n1", Kind::Nvme),
            ("nvme0c1n1", Kind::NvmePath),
            ("vda", Kind::Virtio),
            ("xvda", Kind::Xen),
            ("md127", Kind::Md),
            ("ubda", Kind::Ubd),
            ("zd16", Kind::Zvol),
            ("dm-0", Kind::Dm),
            ("sd", Kind::Other),
            ("unheard0", Kind::Other),
            ("", Kind::Other),
        ] {
            assert_eq!(Kind::of(&Facts::new(name)), kind, "{name}");
        }
        assert_eq!(nvme_path("nvme0c1n2"), Some(("nvme0n2".to_owned(), "nvme1".to_owned())));
        assert_eq!(nvme_path("nvme0c1n"), None);
    }

    #[test]
    fn device_mappers_uuids_and_what_is_below_say_the_target() {
        let kind = |uuid: &str, below: &[&str]| {
            let mut facts = Facts::new("dm-7");
            facts.set(Attribute::DmUuid, uuid);
            let slave = |name: &&str| Slave { name: "dm-1".to_owned(), dm_name: Some((*name).to_owned()) };
            facts.slaves = below.iter().map(slave).collect();
            Kind::of(&facts)
        };
        assert_eq!(kind("mpath-36001405", &[]), Kind::Multipath);
        assert_eq!(kind("part1-mpath-36001405", &["mpatha"]), Kind::Partition);
        assert_eq!(kind("partial-thing", &[]), Kind::Dm);
        assert_eq!(kind("LVM-aaaabbbb", &[]), Kind::Lvm);
        assert_eq!(kind("LVM-aaaabbbb-tpool", &["vg-pool_tdata", "vg-pool_tmeta"]), Kind::LvmThinPool);
        assert_eq!(kind("LVM-aaaabbbb-pool", &["vg-pool-tpool"]), Kind::LvmThinPool);
        assert_eq!(kind("LVM-aaaabbbb", &["vg-pool-tpool"]), Kind::LvmThin);
        assert_eq!(kind("LVM-aaaabbbb", &["vg-lv_rmeta_0", "vg-lv_rimage_0"]), Kind::LvmRaid);
        assert_eq!(kind("LVM-aaaabbbb", &["vg-lv-real", "vg-snap-cow"]), Kind::LvmSnapshot);
        assert_eq!(kind("LVM-aaaabbbb", &["vg-lv-real"]), Kind::LvmOrigin);
        assert_eq!(kind("CRYPT-LUKS2-0123-root", &[]), Kind::Crypt);
        assert_eq!(kind("CRYPT-VERITY-0123-usr", &[]), Kind::Verity);
        assert_eq!(kind("", &[]), Kind::Dm);
    }
}
