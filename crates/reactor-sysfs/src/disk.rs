//! Which files are read of which kind of device.

use reactor_storage::device::{Attribute, Kind};

/// The files of a device, or of the disk that it is a partition of, below its folder.
pub(crate) fn attributes(kind: Kind, is_scsi: bool) -> &'static [Attribute] {
    match kind {
        _ if is_scsi => &[
            Attribute::DeviceWwid,
            Attribute::DeviceVendor,
            Attribute::DeviceModel,
            Attribute::DeviceState,
            Attribute::DeviceSasAddress,
        ],
        Kind::Nvme | Kind::NvmePath => &[
            Attribute::Wwid,
            Attribute::Nguid,
            Attribute::Eui,
            Attribute::Uuid,
            Attribute::Hidden,
            Attribute::DeviceSerial,
            Attribute::DeviceModel,
            Attribute::DeviceState,
        ],
        Kind::Virtio => &[Attribute::Serial],
        Kind::Mmc => &[Attribute::DeviceCid],
        Kind::Pmem => &[Attribute::DeviceUuid],
        Kind::Dm => &[Attribute::DmName, Attribute::DmUuid, Attribute::DmSuspended],
        Kind::Md => &[
            Attribute::MdLevel,
            Attribute::MdState,
            Attribute::MdDegraded,
            Attribute::MdAction,
            Attribute::MdDisks,
            Attribute::MdUuid,
        ],
        Kind::Loop => &[Attribute::LoopFile, Attribute::LoopOffset],
        Kind::Nbd => &[Attribute::NbdBackend],
        Kind::Bcache => &[Attribute::BcacheUuid, Attribute::BcacheState],
        Kind::Zram => &[Attribute::ZramAlgorithm],
        _ => &[],
    }
}

/// Whether it can be built on others by `slaves/`: disks of hardware never are.
pub(crate) fn has_slaves(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::Scsi
            | Kind::Optical
            | Kind::Nvme
            | Kind::NvmePath
            | Kind::Virtio
            | Kind::Xen
            | Kind::Mmc
            | Kind::Pmem
            | Kind::Ram
            | Kind::Ubd
            | Kind::Floppy
            | Kind::Loop
            | Kind::Nbd
            | Kind::Rbd
            | Kind::Zram
    )
}
