//! XFS.

use crate::catalogue::rule::{has, rules};

rules! {
    of Xfs;
    "xfs-mounting" => FS_MOUNTING, "xfs.mount"; No; [] {
        "" "XFS ({dev:kernel}): Mounting V{version:num} {:Filesystem|filesystem}{? {uuid:uuid}}{? in no-recovery mode.  Filesystem will be inconsistent.}" [
            "XFS (dm-0): Mounting V5 Filesystem",
            "XFS (dm-0): Mounting V5 Filesystem 0c7e0a4e-1f2d-4c3b-9a8e-7d6c5b4a3f21",
        ];
        "" "XFS ({dev:kernel}): Mounting Filesystem" ["XFS (sda1): Mounting Filesystem"];
    }
    "xfs-recovery" => FS_RECOVERY, "xfs.mount"; No; [] {
        "" "XFS ({dev:kernel}): Starting recovery (logdev: {log:word})" ["XFS (dm-0): Starting recovery (logdev: internal)"];
    }
    "xfs-mounted" => FS_MOUNTED, "xfs.mount"; No; [] {
        "" "XFS ({dev:kernel}): Ending clean mount" ["XFS (dm-0): Ending clean mount"];
        "" "XFS ({dev:kernel}): Ending recovery (logdev: {log:word})" ["XFS (dm-0): Ending recovery (logdev: internal)"];
    }
    "xfs-unmounted" => FS_UNMOUNTED, "xfs.unmount"; No; [] {
        "" "XFS ({dev:kernel}): Unmounting Filesystem{? {uuid:uuid}}" [
            "XFS (dm-0): Unmounting Filesystem",
            "XFS (dm-0): Unmounting Filesystem 0c7e0a4e-1f2d-4c3b-9a8e-7d6c5b4a3f21",
        ];
    }
    "xfs-metadata-error" => FS_IO_ERROR, "xfs.metadata-io"; No; [] {
        "4.17-" "XFS ({dev:kernel}): metadata I/O error in \"{function:text}\" at daddr 0x{daddr:hex} len {len:num} error {errno:num}" [
            "XFS (dm-0): metadata I/O error in \"xfs_imap_to_bp+0x50/0x70 [xfs]\" at daddr 0x1 len 32 error 5",
        ];
        "-4.16" "XFS ({dev:kernel}): metadata I/O error: block 0x{daddr:hex} (\"{function:text}\") error {errno:num} numblks {len:num}" [
            "XFS (sda1): metadata I/O error: block 0x3a0 (\"xlog_iodone\") error 5 numblks 64",
        ];
    }
    "xfs-writeback" => FS_IO_ERROR, "xfs.writeback-old"; No; [] {
        "-5.4" "XFS ({dev:kernel}): writeback error on sector {sector:num}" ["XFS (dm-0): writeback error on sector 6432"];
    }
    "xfs-page-discard" => FS_DATA_LOST, "xfs.page-discard"; No; [] {
        "" "XFS ({dev:kernel}): page discard on {:page|folio} {page:word}, inode 0x{inode:hex}, {:pos|offset} {pos:num}." [
            "XFS (dm-1): page discard on page 000000001c29a579, inode 0x84, pos 16384.",
            "XFS (dm-1): page discard on page ffffea0000b2c3c0, inode 0x84, offset 16384.",
        ];
    }
    "xfs-log-error" => FS_LOG_IO_ERROR, "xfs.log-io"; No; [] {
        "" "XFS ({dev:kernel}): log I/O error {errno:int}" ["XFS (dm-0): log I/O error -5"];
        "-5.3" "XFS ({dev:kernel}): xfs_log_force: error {errno:int} returned." ["XFS (dm-0): xfs_log_force: error -5 returned."];
    }
    "xfs-shutdown" => FS_SHUTDOWN, "xfs.shutdown"; No; [] {
        "5.15-" "XFS ({dev:kernel}): {why:Log I/O Error|Corruption of in-memory data|Corruption of on-disk metadata|Metadata I/O Error|Block device removal} (0x{flags:hex}) detected at {where:text} ({file:word}:{line:num}).  Shutting down filesystem." [
            "XFS (dm-0): Log I/O Error (0x2) detected at xlog_ioend_work+0x60/0x70 [xfs] (fs/xfs/xfs_log.c:1378).  Shutting down filesystem.",
            "XFS (dm-0): Corruption of in-memory data (0x8) detected at xfs_defer_finish_noroll+0x2b0/0x5d0 [xfs] (fs/xfs/libxfs/xfs_defer.c:573).  Shutting down filesystem.",
            "XFS (dm-0): Corruption of on-disk metadata (0x4) detected at xfs_buf_ioend+0x10/0x20 [xfs] (fs/xfs/xfs_buf.c:1300).  Shutting down filesystem.",
            "XFS (dm-0): Metadata I/O Error (0x1) detected at xfs_trans_read_buf_map+0x10/0x20 [xfs] (fs/xfs/xfs_trans_buf.c:296).  Shutting down filesystem.",
            "XFS (sda): Block device removal (0x20) detected at xfs_fs_shutdown+0x2b/0x2d (fs/xfs/xfs_super.c:1310).  Shutting down filesystem.",
        ];
        "-5.14" "XFS ({dev:kernel}): {why:Log I/O Error|I/O Error|Corruption of in-memory data} {:Detected|detected}.  Shutting down filesystem" [
            "XFS (dm-0): Log I/O Error Detected. Shutting down filesystem",
            "XFS (dm-0): Corruption of in-memory data detected.  Shutting down filesystem",
        ];
        "-5.14" "XFS ({dev:kernel}): xfs_do_force_shutdown(0x{flags:hex}) called from line {line:num} of file {file:word}.  Return address = {where:word}" [
            "XFS (dm-0): xfs_do_force_shutdown(0x2) called from line 1239 of file fs/xfs/xfs_log.c.  Return address = 0xffffffffa04e1a2b",
        ];
        "" "XFS ({dev:kernel}): {why:=User initiated shutdown received}.{:any}" ["XFS (dm-0): User initiated shutdown received."];
        "6.1-" "XFS ({dev:kernel}): Filesystem has been shut down due to {why:text} (0x{flags:hex})." [
            "XFS (dm-1): Filesystem has been shut down due to log error (0x2).",
        ];
    }
    "xfs-rectify" => FS_SHUTDOWN_NOTE, "xfs.shutdown"; No; [] {
        "" "XFS ({dev:kernel}): Please {:unmount|umount} the filesystem and rectify the problem(s){?.}" [
            "XFS (dm-0): Please unmount the filesystem and rectify the problem(s)",
            "XFS (dm-1): Please unmount the filesystem and rectify the problem(s).",
        ];
    }
    "xfs-corruption" => FS_CORRUPTION, "xfs.corruption"; No; [] {
        "" "XFS ({dev:kernel}): Metadata {what:CRC error|corruption} detected at {where:text}, {structure:text} block 0x{block:hex}{:any}" [
            "XFS (sda1): Metadata CRC error detected at xfs_agf_read_verify+0x8a/0x100 [xfs], xfs_agf block 0x1 ",
            "XFS (sda1): Metadata corruption detected at xfs_inode_buf_verify+0x70/0xf0 [xfs], xfs_inode block 0x40 xfs_inode_buf_verify",
        ];
        "" "XFS ({dev:kernel}): Internal error {what:text} at line {line:num} of file {file:word}.  Caller {caller:text}" [
            "XFS (sda1): Internal error XFS_WANT_CORRUPTED_GOTO at line 1635 of file fs/xfs/libxfs/xfs_alloc.c.  Caller xfs_free_extent+0xf0/0x140 [xfs]",
        ];
        "" "XFS ({dev:kernel}): {what:Corruption detected. Unmount and run xfs_repair|Unmount and run xfs_repair}" [
            "XFS (sda1): Unmount and run xfs_repair",
            "XFS (sda1): Corruption detected. Unmount and run xfs_repair",
        ];
    }
    "xfs-write-retry" => FS_WRITE_RETRY, "xfs.retry"; No; [] {
        "" "XFS ({dev:kernel}): Failing async write on buffer block 0x{block:hex}. Retrying async write." [
            "XFS (dm-0): Failing async write on buffer block 0x1234. Retrying async write.",
        ];
    }
    "xfs-removal" => FS_DEVICE_REMOVAL, "xfs.removal"; No; [] {
        "6.8-" "XFS ({dev:kernel}): Device is about to be removed!" ["XFS (pmem0): Device is about to be removed!"];
    }
    "xfs-mount-failed" => FS_ERROR, "xfs.mount-failed"; No; [has("what", &["log mount"]) => FS_JOURNAL_CORRUPT] {
        "" "XFS ({dev:kernel}): {what:log mount/recovery failed|log mount failed|SB validate failed|SB read failed}{?: error {errno:int}}{? with error {old_errno:int}.}" [
            "XFS (sda1): log mount/recovery failed: error -117",
            "XFS (sda1): SB validate failed with error -117.",
        ];
    }
}
