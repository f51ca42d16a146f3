//! ext4, and its journal.

use crate::catalogue::rule::{has, is, rules};

rules! {
    of Ext4;
    "ext4-mounted" => FS_MOUNTED, "ext4.mounted-6.1", "ext4.mounted-6.12"; No; [is("access", &["ro"]) => FS_MOUNTED_READ_ONLY] {
        "6.3-" "EXT4-fs ({dev:kernel}): mounted filesystem {uuid:uuid} {access:r/w|ro} {data_mode:without journal|with journalled data mode|with ordered data mode|with writeback data mode}. Quota mode: {quota:word}.{:any}" [
            "EXT4-fs (sda1): mounted filesystem 0c7e0a4e-1f2d-4c3b-9a8e-7d6c5b4a3f21 r/w with ordered data mode. Quota mode: none.",
            "EXT4-fs (sda1): mounted filesystem 0c7e0a4e-1f2d-4c3b-9a8e-7d6c5b4a3f21 ro without journal. Quota mode: none.",
        ];
        "-6.2" "EXT4-fs ({dev:kernel}): mounted filesystem {data_mode:without journal|with journalled data mode|with ordered data mode|with writeback data mode}.{? Opts: {opts:text}.}{? Quota mode: {quota:word}.}{? Opts: {old_opts:text}}" [
            "EXT4-fs (sda1): mounted filesystem with ordered data mode. Quota mode: none.",
            "EXT4-fs (dm-1): mounted filesystem with ordered data mode. Opts: (null)",
            "EXT4-fs (dm-1): mounted filesystem with ordered data mode. Opts: (null). Quota mode: none.",
            "EXT4-fs (ubda): mounted filesystem without journal. Quota mode: none.",
        ];
    }
    "ext4-unmounted" => FS_UNMOUNTED, "ext4.unmounted"; No; [] {
        "" "EXT4-fs ({dev:kernel}): unmounting filesystem{? {uuid:uuid}}." [
            "EXT4-fs (sda1): unmounting filesystem.",
            "EXT4-fs (sda1): unmounting filesystem 0c7e0a4e-1f2d-4c3b-9a8e-7d6c5b4a3f21.",
        ];
    }
    "ext4-remounted" => FS_REMOUNTED, "ext4.remounted"; No; [is("access", &["r/w"]) => FS_REMOUNTED_RW] {
        "6.3-" "EXT4-fs ({dev:kernel}): re-mounted {uuid:uuid}{? {access:r/w|ro}}.{? Quota mode: {quota:word}.}" [
            "EXT4-fs (sda1): re-mounted 0c7e0a4e-1f2d-4c3b-9a8e-7d6c5b4a3f21 ro.",
            "EXT4-fs (sda1): re-mounted 0c7e0a4e-1f2d-4c3b-9a8e-7d6c5b4a3f21 r/w. Quota mode: none.",
            "EXT4-fs (ubda): re-mounted 000006af-2081-498f-ac67-2aa4d1ae829c.",
        ];
        "-6.2" "EXT4-fs ({dev:kernel}): re-mounted.{? Opts: {opts:text}.}{? Quota mode: {quota:word}.}{? Opts: {old_opts:text}}" [
            "EXT4-fs (sda1): re-mounted. Quota mode: none.",
            "EXT4-fs (sda1): re-mounted. Opts: errors=remount-ro",
        ];
    }
    "ext4-read-only" => FS_READ_ONLY, "ext4.read-only"; No; [] {
        "" "EXT4-fs ({dev:kernel}): Remounting filesystem read-only" ["EXT4-fs (sda1): Remounting filesystem read-only"];
    }
    "ext4-error" => FS_ERROR, "ext4.error", "ext4.error-in", "ext4.journal-aborted"; No; [
        has("detail", &["Detected aborted journal"]) => FS_JOURNAL_ABORTED,
        has("detail", &["Journal has aborted"]) => FS_JOURNAL_ABORTED,
    ] {
        "" "EXT4-fs error (device {dev:kernel}): {function:word}:{line:num}: {?inode #{inode:num}: }{?block {block:num}: }{?comm {comm:text}: }{detail:text}" [
            "EXT4-fs error (device sda1): ext4_find_entry:1658: inode #2: comm ls: reading directory lblock 0",
            "EXT4-fs error (device sda1): ext4_journal_check_start:84: comm kworker: Detected aborted journal",
            "EXT4-fs error (device sda1): ext4_lookup:1700: inode #2: block 5: comm ls: deleted inode referenced: 12",
            "EXT4-fs error (device sda1): ext4_map_blocks:600: inode #12: block 77: comm a b: lblock 0 mapped to illegal pblock 77 (length 1)",
            "EXT4-fs error (device dm-1): ext4_wait_block_bitmap:582: comm dd: Cannot read block bitmap - block_group = 0, block_bitmap = 259",
            "EXT4-fs error (device sda1): ext4_mb_generate_buddy:1100: group 3, block bitmap and bg descriptor inconsistent: 1 vs 2 free clusters",
            "EXT4-fs error (device loop0): trigger_test_error:130: comm bash: boo",
        ];
        "" "EXT4-fs error (device {dev:kernel}) in {function:word}:{line:num}: {detail:text}" [
            "EXT4-fs error (device sda1) in ext4_reserve_inode_write:5764: Journal has aborted",
            "EXT4-fs error (device sda1) in ext4_init_inode_table:1637: IO failure",
            "EXT4-fs error (device sda1) in ext4_setattr:5500: Readonly filesystem",
            "EXT4-fs error (device sda1) in ext4_setattr:5500: error 28",
        ];
        "-3.x" "EXT4-fs error (device {dev:kernel}): {function:word}: {detail:text}" ["EXT4-fs error (device sda1): ext4_lookup: deleted inode referenced: 12"];
    }
    "ext4-panic" => FS_PANIC, "ext4.panic"; No; [] {
        "" "{?Kernel panic - not syncing: }EXT4-fs (device {dev:kernel}): panic forced after error" [
            "Kernel panic - not syncing: EXT4-fs (device sda1): panic forced after error",
            "EXT4-fs (device sda1): panic forced after error",
        ];
    }
    "ext4-write-error" => FS_IO_ERROR, "ext4.end-bio"; No; [] {
        "" "EXT4-fs warning (device {dev:kernel}): ext4_end_bio:{line:num}: I/O error {errno:int} writing to inode {inode:num} {?(offset {offset:int} size {size:num} }starting block {block:num})" [
            "EXT4-fs warning (device dm-0): ext4_end_bio:343: I/O error 10 writing to inode 12 starting block 6432)",
            "EXT4-fs warning (device sdf): ext4_end_bio:323: I/O error 10 writing to inode 12 (offset 0 size 4096 starting block 6432)",
            "EXT4-fs warning (device sdf): ext4_end_bio:314: I/O error -5 writing to inode 12 (offset 0 size 4096 starting block 6432)",
        ];
        "" "EXT4-fs warning (device {dev:kernel}): ext4_end_bio:{line:num}: I/O error {errno:int} writing to inode {inode:num} (offset {rest:text})" [
            "EXT4-fs warning (device sdf): ext4_end_bio:323: I/O error 10 writing to inode 12 (offset ..)",
        ];
    }
    "ext4-data-lost" => FS_DATA_LOST, "ext4.data-lost-7.2"; No; [] {
        "" "EXT4-fs ({dev:kernel}): failed to convert unwritten extents to written extents -- potential data loss!  (inode {inode:num}, error {errno:int})" [
            "EXT4-fs (dm-1): failed to convert unwritten extents to written extents -- potential data loss!  (inode 13, error -5)",
        ];
        "" "EXT4-fs ({dev:kernel}): Delayed block allocation failed for inode {inode:num} at logical offset {offset:num} with max blocks {blocks:num} with error {errno:int}" [
            "EXT4-fs (dm-1): Delayed block allocation failed for inode 13 at logical offset 2048 with max blocks 64 with error 28",
        ];
        "" "EXT4-fs ({dev:kernel}): This should not happen!! Data will be lost" ["EXT4-fs (dm-1): This should not happen!! Data will be lost"];
    }
    "ext4-superblock" => FS_SB_WRITE_FAILED, "ext4.superblock"; No; [] {
        "" "EXT4-fs ({dev:kernel}): {what:I/O error while writing superblock|previous I/O error to superblock detected}" [
            "EXT4-fs (dm-0): I/O error while writing superblock",
            "EXT4-fs (dm-0): previous I/O error to superblock detected",
        ];
    }
    "ext4-has-errors" => FS_HAS_ERRORS, "ext4.has-errors"; No; [] {
        "" "EXT4-fs ({dev:kernel}): error count since last fsck: {count:num}" ["EXT4-fs (sda1): error count since last fsck: 5"];
        "" "EXT4-fs ({dev:kernel}): {which:initial|last} error at time {time:num}: {function:word}:{line:num}{?: inode {inode:num}}{?: block {block:num}}" [
            "EXT4-fs (sda1): initial error at time 1700000000: ext4_find_entry:1658",
            "EXT4-fs (sda1): last error at time 1700000000: ext4_find_entry:1658: inode 2: block 77",
        ];
    }
    "ext4-needs-check" => FS_NEEDS_FSCK, "ext4.needs-fsck"; No; [] {
        "" "EXT4-fs ({dev:kernel}): warning: {what:mounting fs with errors, running e2fsck is recommended|mounting unchecked fs, running e2fsck is recommended|maximal mount count reached, running e2fsck is recommended|checktime reached, running e2fsck is recommended}" [
            "EXT4-fs (sda1): warning: mounting fs with errors, running e2fsck is recommended",
            "EXT4-fs (sda1): warning: maximal mount count reached, running e2fsck is recommended",
        ];
    }
    "ext4-recovered" => FS_RECOVERED, "ext4.needs-fsck"; No; [] {
        "" "EXT4-fs ({dev:kernel}): {what:recovery complete|orphan cleanup on readonly fs}" [
            "EXT4-fs (sda1): recovery complete",
            "EXT4-fs (sda1): orphan cleanup on readonly fs",
        ];
    }
    "ext4-shutdown" => FS_SHUTDOWN, "ext4.shutdown"; No; [] {
        "" "EXT4-fs ({dev:kernel}): shut down requested ({how:num})" ["EXT4-fs (sda1): shut down requested (2)"];
    }
    "jbd2-data-error" => FS_IO_ERROR, "jbd2.data"; No; [] {
        "" "JBD2: Detected IO errors {?{errno:int} }while flushing file data on {dev:journal}" [
            "JBD2: Detected IO errors while flushing file data on dm-0-8",
            "JBD2: Detected IO errors while flushing file data on cciss!c0d0p1-8",
            "JBD2: Detected IO errors while flushing file data on sdb1",
        ];
    }
    "jbd2-superblock" => FS_JOURNAL_IO_ERROR, "jbd2.superblock"; No; [] {
        "5.14-" "JBD2: I/O error when updating journal superblock for {dev:journal}{?.}" ["JBD2: I/O error when updating journal superblock for sda1-8."];
        "4.x-5.13" "JBD2: Error {errno:int} detected when updating journal superblock for {dev:journal}{?.}" [
            "JBD2: Error -5 detected when updating journal superblock for sdk-8.",
        ];
        "" "JBD2: previous I/O error detected for journal superblock update for {dev:journal}{?.}" [
            "JBD2: previous I/O error detected for journal superblock update for sda1-8.",
        ];
    }
    "jbd2-aborting" => FS_JOURNAL_ABORTED, "jbd2.aborting"; No; [] {
        "" "Aborting journal on device {dev:journal}." [
            "Aborting journal on device sda1-8.",
            "Aborting journal on device cciss!c0d0p1-8.",
            "Aborting journal on device md0-8.",
            "Aborting journal on device sdb1.",
        ];
    }
    "jbd2-corrupt" => FS_JOURNAL_CORRUPT, "jbd2.corrupt"; No; [] {
        "" "JBD2: journal transaction {transaction:num} on {dev:journal} is corrupt." ["JBD2: journal transaction 12 on sda1-8 is corrupt."];
        "" "JBD2: IO error {errno:int} recovering block {block:num} in log" ["JBD2: IO error -5 recovering block 12 in log"];
        "" "JBD2: {:recovery|journal recovery} failed" [
            "JBD2: recovery failed",
            "JBD2: journal recovery failed",
        ];
    }
}
