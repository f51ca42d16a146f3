//! The built-in rules: one file for each area. The order is that of this list, and within a file that of the file.

mod ata;
mod block;
mod btrfs;
mod dm;
mod drbd;
mod drivers;
mod ext4;
mod file_systems;
mod iscsid;
mod lvm;
mod md;
mod multipathd;
mod nvme;
mod scsi;
mod smartd;
mod tools;
mod transport;
mod uevents;
mod xfs;

use crate::catalogue::rule::{Rule, Source};

/// All rules, and whose messages they are about.
pub(super) static ALL: [(Source, &[Rule]); 21] = [
    (Source::Kernel, block::RULES),
    (Source::Kernel, scsi::RULES),
    (Source::Kernel, transport::RULES),
    (Source::Kernel, ata::RULES),
    (Source::Kernel, nvme::RULES),
    (Source::Kernel, dm::RULES),
    (Source::Kernel, md::RULES),
    (Source::Kernel, ext4::RULES),
    (Source::Kernel, xfs::RULES),
    (Source::Kernel, btrfs::RULES),
    (Source::Kernel, file_systems::RULES),
    (Source::Kernel, drivers::RULES),
    (Source::Kernel, drbd::RULES),
    (Source::Multipathd, multipathd::RULES),
    (Source::Iscsid, iscsid::RULES),
    (Source::Smartd, smartd::RULES),
    (Source::Lvm, lvm::RULES),
    (Source::Mdadm, tools::mdadm::RULES),
    (Source::Zed, tools::zed::RULES),
    (Source::Udisks, tools::udisks::RULES),
    (Source::Uevent, uevents::RULES),
];
