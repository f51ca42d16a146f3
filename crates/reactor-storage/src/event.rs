//! What a message means: its type, how bad it is, which device it names, and its fields.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::device::Summary;
use crate::record::Stamp;

/// How bad something is: our own judgement of the type, not the level that the message was printed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// How things go when nothing is wrong.
    Info,
    /// Worth knowing: something is well again, or has changed.
    Notice,
    /// Something may go wrong, or went wrong and was put right.
    Warning,
    /// Something failed; what is built on it may still work.
    Error,
    /// Data or service is lost, or will be.
    Critical,
}

impl Severity {
    /// All of them, the mildest first.
    pub const ALL: [Self; 5] = [Self::Info, Self::Notice, Self::Warning, Self::Error, Self::Critical];

    /// The word as configuration, output and metrics spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }

    /// syslog's level.
    pub fn syslog_level(self) -> u8 {
        match self {
            Self::Info => 6,
            Self::Notice => 5,
            Self::Warning => 4,
            Self::Error => 3,
            Self::Critical => 2,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which part of storage something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subsystem {
    /// The block layer, buffers.
    Block,
    /// SCSI and its transports.
    Scsi,
    /// iSCSI.
    Iscsi,
    /// Fibre Channel, SRP.
    Fc,
    /// SAS host adapters.
    Sas,
    /// ATA.
    Ata,
    /// NVMe, and NVMe over Fabrics.
    Nvme,
    /// Device mapper's multipath, and multipathd.
    Multipath,
    /// Device mapper: thin pools.
    Thin,
    /// Device mapper: what has no word of its own.
    Dm,
    /// LVM's RAID, mirrors, snapshots, and its commands.
    Lvm,
    /// md, mdadm.
    Md,
    /// ext4 and jbd2.
    Ext4,
    /// XFS.
    Xfs,
    /// Btrfs.
    Btrfs,
    /// Another file system.
    Fs,
    /// NFS.
    Nfs,
    /// Network block devices: nbd, rbd.
    Network,
    /// bcache.
    Bcache,
    /// virtio, Xen, mmc, USB: other drivers of block devices.
    Driver,
    /// ZFS.
    Zfs,
    /// DRBD.
    Drbd,
    /// What disks say of themselves: smartd.
    Smart,
    /// What is none of these: hung tasks.
    Other,
}

impl Subsystem {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::Block,
        Self::Scsi,
        Self::Iscsi,
        Self::Fc,
        Self::Sas,
        Self::Ata,
        Self::Nvme,
        Self::Multipath,
        Self::Thin,
        Self::Dm,
        Self::Lvm,
        Self::Md,
        Self::Ext4,
        Self::Xfs,
        Self::Btrfs,
        Self::Fs,
        Self::Nfs,
        Self::Network,
        Self::Bcache,
        Self::Driver,
        Self::Zfs,
        Self::Drbd,
        Self::Smart,
        Self::Other,
    ];

    /// The word as configuration, output and metrics spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Scsi => "scsi",
            Self::Iscsi => "iscsi",
            Self::Fc => "fc",
            Self::Sas => "sas",
            Self::Ata => "ata",
            Self::Nvme => "nvme",
            Self::Multipath => "multipath",
            Self::Thin => "thin",
            Self::Dm => "dm",
            Self::Lvm => "lvm",
            Self::Md => "md",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Fs => "fs",
            Self::Nfs => "nfs",
            Self::Network => "network",
            Self::Bcache => "bcache",
            Self::Driver => "driver",
            Self::Zfs => "zfs",
            Self::Drbd => "drbd",
            Self::Smart => "smart",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Subsystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A device as a message names it. It is text of the log: data, never a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by", content = "name")]
pub enum Named<'a> {
    /// `8:48`.
    Number(u32, u32),
    /// The kernel's name: `sda1`, `dm-0`, `nvme0n1`, `md0`, `drbd1000`. `!` in it is `/`.
    Kernel(Cow<'a, str>),
    /// `6:0:0:0`: host, channel, target, LUN.
    Scsi(u32, u32, u32, u64),
    /// A SCSI host: every disk behind it.
    ScsiHost(u32),
    /// `ata1`, and the device on it of `ata1.00`.
    Ata(u32, Option<u32>),
    /// `nvme0`: a controller.
    NvmeController(Cow<'a, str>),
    /// `0000:05:00.0`: an adapter.
    Pci(Cow<'a, str>),
    /// Device mapper's name: `mpatha`, `vg-pool`.
    Dm(Cow<'a, str>),
    /// A path: `/dev/sda`, `/dev/md0`, a mount point.
    Path(Cow<'a, str>),
    /// iSCSI's `connection1:0` and `session1`: the session's number.
    IscsiSession(u32),
    /// `rport-7:0-4`, without its first word.
    FcPort(Cow<'a, str>),
    /// A DRBD resource, and of it one volume.
    Drbd(Cow<'a, str>, Option<u32>),
    /// A UUID or another id: of an LVM physical volume, of a file system, a WWID.
    Id(Cow<'a, str>),
    /// Something that is no device here: a server of NFS, a ZFS pool, an iSCSI portal.
    Remote(Cow<'a, str>),
}

/// One event: what the lines of one failure mean, and on which device. The same failure again and again is one event that is counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Event {
    /// 16 hexadecimal digits, made of where its first line stands in its log: who reads the same log again gets the same id.
    pub id: String,
    /// When its first line was logged.
    pub at: Stamp,
    /// When the last one was that is counted here.
    pub last: Stamp,
    /// How bad it is.
    pub severity: Severity,
    /// Its type: `SCSI_MEDIUM_ERROR`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The part of storage.
    pub subsystem: Subsystem,
    /// The device that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Arc<Summary>>,
    /// What else it names, and as what: the map of a path that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Other>,
    /// What the lines say beyond that: sector, sense key, command.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// The line that says most.
    pub message: String,
    /// The lines, the first [`MAX_LINES`] of them.
    pub lines: Vec<String>,
    /// How often it happened.
    pub count: u64,
    /// `kernel`, or the program that said it.
    pub source: String,
    /// The host, where the log names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// Lines of an event that are kept.
pub const MAX_LINES: usize = 16;

/// Another device that an event names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Other {
    /// As what: `map`, `path`, `member`.
    pub role: String,
    /// Which.
    pub device: Arc<Summary>,
}

impl Event {
    /// The devices that it names, the one that it is about first.
    pub fn devices(&self) -> impl Iterator<Item = &Summary> {
        self.device.iter().chain(self.others.iter().map(|other| &other.device)).map(Arc::as_ref)
    }

    /// What it is about, in a word or two: `sda`, `mpatha`.
    pub fn subject(&self) -> &str {
        self.device.as_ref().map_or("this node", |device| device.label())
    }

    /// The same, with the id by which the device is known wherever it is called otherwise.
    pub fn subject_with_id(&self) -> String {
        match &self.device {
            None => self.subject().to_owned(),
            Some(device) if device.id == device.name || device.id.starts_with("name:") => device.label().to_owned(),
            Some(device) => format!("{} ({})", device.label(), device.id),
        }
    }
}

impl Named<'_> {
    /// The same, with text of its own.
    pub fn to_owned(&self) -> Named<'static> {
        let own = |text: &Cow<'_, str>| Cow::Owned(text.to_string());
        match self {
            Self::Number(major, minor) => Named::Number(*major, *minor),
            Self::Kernel(name) => Named::Kernel(own(name)),
            Self::Scsi(host, channel, target, lun) => Named::Scsi(*host, *channel, *target, *lun),
            Self::ScsiHost(host) => Named::ScsiHost(*host),
            Self::Ata(port, device) => Named::Ata(*port, *device),
            Self::NvmeController(name) => Named::NvmeController(own(name)),
            Self::Pci(name) => Named::Pci(own(name)),
            Self::Dm(name) => Named::Dm(own(name)),
            Self::Path(path) => Named::Path(own(path)),
            Self::IscsiSession(session) => Named::IscsiSession(*session),
            Self::FcPort(port) => Named::FcPort(own(port)),
            Self::Drbd(resource, volume) => Named::Drbd(own(resource), *volume),
            Self::Id(id) => Named::Id(own(id)),
            Self::Remote(name) => Named::Remote(own(name)),
        }
    }
}
