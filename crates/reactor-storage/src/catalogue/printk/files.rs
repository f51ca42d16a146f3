//! Which source files of the kernel print the lines of which rules. A rule that is not listed can't be judged: its lines are put together by a
//! function (`sdev_printk`, `ql_log`), come from outside of the tree, or are of some versions only.

/// Rules, and the files that print their lines: where there are several, one of them is enough.
const FILES: &[(&[&str], &[&str])] = &[
    (&["block-error"], &["block/blk-mq.c", "block/blk-core.c"]),
    (&["buffer-error", "buffer-write-lost"], &["fs/buffer.c"]),
    (&["beyond-end", "write-to-read-only"], &["block/blk-core.c"]),
    (&["capacity-changed"], &["block/genhd.c"]),
    (&["inode-writeback-failed"], &["block/bdev.c"]),
    (&["protection-information"], &["block/t10-pi.c"]),
    (&["iomap-writeback"], &["fs/iomap/buffered-io.c", "fs/iomap/ioend.c"]),
    (&["loop-write"], &["drivers/block/loop.c"]),
    (&["hung-task"], &["kernel/hung_task.c"]),
    (&["pci-aer"], &["drivers/pci/pcie/aer.c"]),
    (&["callbacks-suppressed"], &["lib/ratelimit.c"]),
    (&["sas-log-info", "sas-fault"], &["drivers/scsi/mpt3sas/mpt3sas_base.c"]),
    (&["iscsi-connection-error", "iscsi-session-lost"], &["drivers/scsi/scsi_transport_iscsi.c"]),
    (&["iscsi-ping-timeout", "iscsi-pdu-rejected"], &["drivers/scsi/libiscsi.c"]),
    (&["fc-rport-lost"], &["drivers/scsi/scsi_transport_fc.c"]),
    (&["srp-reconnect-failed", "srp-fast-io-fail", "srp-device-loss"], &["drivers/scsi/scsi_transport_srp.c"]),
    (
        &[
            "ata-exception",
            "ata-failed-command",
            "ata-status",
            "ata-error",
            "ata-link-reset",
            "ata-reset-failed",
            "ata-recovered",
            "ata-slow",
            "ata-ncq-off",
        ],
        &["drivers/ata/libata-eh.c"],
    ),
    (&["ata-disabled", "ata-link-down", "ata-link-up", "ata-command-timeout"], &["drivers/ata/libata-core.c"]),
    (
        &["nvme-reset", "nvme-not-ready", "nvme-keep-alive", "nvme-failfast", "nvme-removed", "nvme-rescan"],
        &["drivers/nvme/host/core.c"],
    ),
    (&["nvme-io-error", "nvme-admin-error"], &["drivers/nvme/host/core.c"]),
    (&["nvme-timeout", "nvme-down", "nvme-dead", "nvme-abort"], &["drivers/nvme/host/pci.c"]),
    (&["nvme-no-path", "nvme-ana-timeout"], &["drivers/nvme/host/multipath.c"]),
    (&["nvmeof-recovery", "nvmeof-reconnecting", "nvmeof-reconnected", "nvmeof-lost"], &["drivers/nvme/host/tcp.c"]),
    (
        &["mpath-failing", "mpath-reinstating", "mpath-queue-timeout", "mpath-failover-failed"],
        &["drivers/md/dm-mpath.c"],
    ),
    (&["thin-low-water", "thin-mode", "thin-metadata-error", "thin-grown"], &["drivers/md/dm-thin.c"]),
    (&["thin-metadata-full"], &["drivers/md/persistent-data/dm-space-map-metadata.c"]),
    (&["persistent-data"], &["drivers/md/persistent-data/dm-block-manager.c"]),
    (&["cache-mode"], &["drivers/md/dm-cache-target.c"]),
    (&["dm-raid-superblock", "dm-raid-revived"], &["drivers/md/dm-raid.c"]),
    (&["mirror-failed", "mirror-read-retry"], &["drivers/md/dm-raid1.c"]),
    (&["mirror-log"], &["drivers/md/dm-log.c"]),
    (&["integrity-checksum", "integrity-error"], &["drivers/md/dm-integrity.c"]),
    (&["crypt-integrity"], &["drivers/md/dm-crypt.c"]),
    (&["verity"], &["drivers/md/dm-verity-target.c"]),
    (&["snapshot-invalid"], &["drivers/md/dm-snap.c"]),
    (&["bcache-error", "bcache-cache-disabled", "bcache-stopped"], &["drivers/md/bcache/super.c"]),
    (&["md-disk-failed"], &["drivers/md/raid1.c", "drivers/md/raid10.c", "drivers/md/raid5.c"]),
    (&["md-disks-left", "md-not-corrected", "md-start-failed"], &["drivers/md/raid5.c"]),
    (&["md-unrecoverable", "md-retry"], &["drivers/md/raid1.c"]),
    (&["md-corrected"], &["drivers/md/raid1.c", "drivers/md/raid5.c"]),
    (&["md-sync-start", "md-sync-end", "md-superblock", "md-non-fresh", "md-stopped"], &["drivers/md/md.c"]),
    (&["ext4-error"], &["fs/ext4/super.c"]),
    (&["jbd2-data-error"], &["fs/jbd2/commit.c"]),
    (&["jbd2-superblock", "jbd2-aborting"], &["fs/jbd2/journal.c"]),
    (&["jbd2-corrupt"], &["fs/jbd2/recovery.c"]),
    (&["xfs-mounted", "xfs-recovery"], &["fs/xfs/xfs_log.c", "fs/xfs/xfs_log_recover.c"]),
    (&["xfs-unmounted"], &["fs/xfs/xfs_super.c"]),
    (&["xfs-metadata-error", "xfs-write-retry"], &["fs/xfs/xfs_buf.c", "fs/xfs/xfs_buf_item.c"]),
    (&["xfs-shutdown", "xfs-rectify"], &["fs/xfs/xfs_fsops.c"]),
    (&["xfs-corruption"], &["fs/xfs/xfs_error.c"]),
    (&["btrfs-device-errors"], &["fs/btrfs/volumes.c"]),
    (&["btrfs-checksum"], &["fs/btrfs/inode.c", "fs/btrfs/btrfs_inode.h"]),
    (&["btrfs-read-only"], &["fs/btrfs/super.c", "fs/btrfs/messages.c"]),
    (&["fat-read-only"], &["fs/fat/misc.c"]),
    (&["nfs-not-responding", "nfs-ok"], &["net/sunrpc/clnt.c"]),
    (&["nfs-locks-lost", "nfs-state"], &["fs/nfs/nfs4state.c"]),
    (
        &["nbd-connection", "nbd-dead", "nbd-server-error", "nbd-disconnected", "nbd-reconnected", "nbd-stuck"],
        &["drivers/block/nbd.c"],
    ),
    (&["virtio-resized", "virtio-size"], &["drivers/block/virtio_blk.c"]),
    (&["xen-flush"], &["drivers/block/xen-blkfront.c"]),
    (&["drbd-split-brain", "drbd-unrelated", "drbd-peer-timeout"], &["drbd/drbd_receiver.c"]),
];

/// Folders of the kernel's source whose formats can be of a rule; of others none is looked at.
const FOLDERS: &[&str] = &[
    "block/",
    "fs/",
    "drivers/ata/",
    "drivers/block/",
    "drivers/infiniband/ulp/srp/",
    "drivers/md/",
    "drivers/mmc/",
    "drivers/nvme/",
    "drivers/pci/pcie/",
    "drivers/scsi/",
    "drivers/usb/storage/",
    "kernel/hung_task.c",
    "lib/ratelimit.c",
    "net/sunrpc/",
    "drbd/",
];

/// The files that print the lines of a rule; `None`: it can't be judged.
pub(super) fn files_of(rule: &str) -> Option<&'static [&'static str]> {
    FILES.iter().find(|(rules, _)| rules.contains(&rule)).map(|(_, files)| *files)
}

/// Whether the index means this file: modules from outside of the tree have the whole path, and kernels that were built elsewhere `../` before it.
pub(super) fn is_file(path: &str, file: &str) -> bool {
    path.strip_suffix(file).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// Whether it is a file of storage.
pub(super) fn is_storage(path: &str) -> bool {
    FOLDERS
        .iter()
        .any(|folder| path.find(folder).is_some_and(|at| at == 0 || path.as_bytes().get(at - 1) == Some(&b'/')))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::catalogue::Source;

    #[test]
    fn every_rule_that_is_listed_is_one_of_the_kernels_and_is_listed_once() {
        let names: BTreeSet<&str> = crate::catalogue::rules_of(Source::Kernel).map(|rule| rule.name).collect();
        let mut listed = BTreeSet::new();
        for rule in FILES.iter().flat_map(|(rules, _)| *rules) {
            assert!(names.contains(rule), "there is no rule {rule}");
            assert!(listed.insert(rule), "{rule} is there twice");
        }
        for file in FILES.iter().flat_map(|(_, files)| *files) {
            assert!(is_storage(file), "{file}");
        }
    }

    #[test]
    fn files_are_known_by_their_end() {
        assert!(is_file("drivers/md/md.c", "drivers/md/md.c") && is_file("../drivers/md/md.c", "drivers/md/md.c"));
        assert!(!is_file("drivers/cmd/md.c", "md/md.c") && !is_file("drivers/md/md.c", "d/md.c"));
        assert!(is_storage("/usr/src/drbd/drbd_main.c") && !is_storage("drivers/net/ethernet/x.c"));
        assert!(!is_storage("sound/soc/sofs/x.c"), "a part of a name is no folder");
    }
}
