//! md.

use crate::catalogue::rule::{is, less, rules};

rules! {
    "md-disk-failed" => MD_DISK_FAILED, "md.disk-failed", "md.raid5-failed"; No; [] {
        "raid1, raid10" "md/{level:raid1|raid10|multipath}:{array:kernel}: Disk failure on {disk:kernel}, disabling device.  md/{:raid1|raid10|multipath}:{:kernel}: Operation continuing on {left:num} devices." [
            "md/raid1:md0: Disk failure on sdb1, disabling device.\nmd/raid1:md0: Operation continuing on 1 devices.",
            "md/raid10:md127: Disk failure on nvme0n1p2, disabling device.\nmd/raid10:md127: Operation continuing on 3 devices.",
        ];
        "raid4, raid5, raid6; where a message is one line" "md/{level:raid1|raid10|raid|multipath}:{array:kernel}: Disk failure on {disk:kernel}, disabling device." [
            "md/raid:md0: Disk failure on sdb1, disabling device.",
            "md/raid1:md0: Disk failure on sdb1, disabling device.",
        ];
        "" "md/raid:{array:kernel}: Too many read errors, failing device {disk:kernel}." ["md/raid:md0: Too many read errors, failing device sdb1."];
        "raid1, raid10" "md/{level:raid1|raid10}:{array:kernel}: {disk:kernel}: Raid device exceeded read_error threshold {:any}" [
            "md/raid1:md0: sdb1: Raid device exceeded read_error threshold [cur 21:max 20]",
        ];
    }
    "md-disks-left" => MD_DISKS_LEFT, "md.raid5-failed"; No; [] {
        "" "md/{level:raid1|raid10|raid|multipath}:{array:kernel}: Operation continuing on {left:num} devices." [
            "md/raid:md0: Operation continuing on 2 devices.",
        ];
    }
    "md-array-failed" => MD_ARRAY_FAILED, "md.raid5-failed", "md.raid0-failed"; No; [] {
        "" "md/raid:{array:kernel}: Cannot continue operation ({failed:num}/{of:num} failed)." ["md/raid:md0: Cannot continue operation (2/4 failed)."];
        "raid0; the source has no colon" "md/raid0{?:}{array:kernel}: Disk failure on {disk:kernel} detected, failing array." [
            "md/raid0md0: Disk failure on sda detected, failing array.",
            "md/raid0:md0: Disk failure on sda detected, failing array.",
        ];
    }
    "md-unrecoverable" => MD_UNRECOVERABLE, "md.unrecoverable"; No; [] {
        "" "md/{level:raid1|raid10}:{array:kernel}: {disk:kernel}: {?unrecoverable }{?Unrecoverable }I/O read error for block {block:num}" [
            "md/raid1:md0: sdb1: unrecoverable I/O read error for block 1234",
        ];
    }
    "md-retry" => MD_READ_RETRY, "md.retry"; No; [] {
        "" "md/{level:raid1|raid10}:{array:kernel}: {disk:kernel}: rescheduling sector {sector:num}" ["md/raid1:md0: sdb1: rescheduling sector 1234"];
        "" "md/{level:raid1|raid10}:{array:kernel}: {disk:kernel}: redirecting sector {sector:num} to another mirror" [
            "md/raid10:md0: sdb1: redirecting sector 1234 to another mirror",
        ];
        "" "md/{level:raid1|raid10}:{array:kernel}: redirecting sector {sector:num} to other mirror: {to:kernel}" [
            "md/raid1:md0: redirecting sector 1234 to other mirror: sdc1",
        ];
    }
    "md-corrected" => MD_READ_CORRECTED, "md.corrected"; No; [] {
        "" "md/{level:raid1|raid10|raid}:{array:kernel}: {?{:kernel}: }read error corrected ({sectors:num} sectors at {sector:num} on {disk:kernel})" [
            "md/raid1:md0: read error corrected (8 sectors at 1234 on sdb1)",
            "md/raid:md0: read error corrected (8 sectors at 1234 on sdb1)",
            "md/raid10:md0: sdc1: read error corrected (8 sectors at 1234 on sdc1)",
        ];
    }
    "md-not-corrected" => MD_READ_NOT_CORRECTED, "md.not-corrected"; No; [] {
        "" "md/{level:raid1|raid10|raid}:{array:kernel}: read error {:not correctable|NOT corrected!!} (sector {sector:num} on {disk:kernel}){?.}" [
            "md/raid:md0: read error not correctable (sector 1234 on sdb1).",
            "md/raid:md0: read error NOT corrected!! (sector 1234 on sdb1).",
        ];
    }
    "md-mismatch" => MD_MISMATCH, "md.mismatch"; No; [] {
        "" "{array:kernel}: mismatch sector in range {from:num}-{to:num}" ["md0: mismatch sector in range 1024-1032"];
    }
    "md-start-failed" => MD_START_FAILED, "md.start-failed"; No; [] {
        "" "md/raid:{array:kernel}: not enough operational devices ({failed:num}/{of:num} failed)" ["md/raid:md0: not enough operational devices (2/3 failed)"];
        "" "md/raid{:1|10}:{array:kernel}: not enough operational mirrors." ["md/raid10:md0: not enough operational mirrors."];
        "" "md/raid:{array:kernel}: {what:=cannot start dirty degraded array}." ["md/raid:md0: cannot start dirty degraded array."];
        "" "md/raid:{array:kernel}: {what:=failed to run raid set}." ["md/raid:md0: failed to run raid set."];
    }
    "md-sync-start" => MD_SYNC_START, "md.sync-start", "md.sync-7.2"; No; [] {
        "" "md: {what:recovery|recover|resync|data-check|check|requested-resync|repair|reshape} of RAID array {array:kernel}" [
            "md: recovery of RAID array md0",
            "md: resync of RAID array md0",
            "md: data-check of RAID array md0",
            "md: requested-resync of RAID array md0",
            "md: reshape of RAID array md0",
            "md: recover of RAID array md0",
            "md: check of RAID array md0",
        ];
    }
    "md-sync-end" => MD_SYNC_END, "md.sync-end", "md.sync-7.2"; No; [
        is("end", &["interrupted"]) => MD_SYNC_INTERRUPTED,
        is("what", &["recovery", "recover"]) => MD_RECOVERED,
        is("what", &["data-check", "check"]) => MD_CHECK_END,
    ] {
        "" "md: {array:kernel}: {what:recovery|recover|resync|data-check|check|requested-resync|repair|reshape} {end:done|interrupted}." [
            "md: md0: recovery done.",
            "md: md0: resync done.",
            "md: md0: resync interrupted.",
            "md: md0: data-check done.",
            "md: md0: recover done.",
            "md: md0: check done.",
        ];
    }
    "md-started" => MD_STARTED, "md.started"; No; [less("active", "of") => MD_DEGRADED at Warning] {
        "raid1, raid10" "md/{level:raid1|raid10}:{array:kernel}: active with {active:num} out of {of:num} {:mirrors|devices}" [
            "md/raid1:md0: active with 1 out of 2 mirrors",
            "md/raid1:md0: active with 2 out of 2 mirrors",
            "md/raid10:md0: active with 4 out of 4 devices",
        ];
        "raid4, raid5, raid6" "md/raid:{array:kernel}: raid level {level:num} active with {active:num} out of {of:num} devices, algorithm {algorithm:num}" [
            "md/raid:md0: raid level 5 active with 2 out of 3 devices, algorithm 2",
        ];
    }
    "md-not-clean" => MD_NOT_CLEAN, "md.started"; No; [] {
        "" "md/{level:raid1|raid10|raid}:{array:kernel}: not clean -- starting background reconstruction" [
            "md/raid1:md0: not clean -- starting background reconstruction",
        ];
    }
    "md-superblock" => MD_SB_WRITE_FAILED, "md.superblock"; No; [] {
        "" "md: super_written gets error={errno:int}{?, uptodate={uptodate:num}}" [
            "md: super_written gets error=-5",
            "md: super_written gets error=-5, uptodate=0",
        ];
        "6.6-" "md: {disk:kernel} flush io error {errno:int}" ["md: sdb1 flush io error -5"];
        "" "md: disabled device {disk:kernel}, could not read superblock." ["md: disabled device sdb1, could not read superblock."];
    }
    "md-non-fresh" => MD_NON_FRESH, "md.non-fresh"; No; [] {
        "" "md: kicking non-fresh {disk:kernel} from array!" ["md: kicking non-fresh sdb1 from array!"];
    }
    "md-bitmap" => MD_BITMAP, "md.bitmap"; No; [] {
        "" "{array:kernel}: {what:=disabling internal bitmap due to errors}" ["md0: disabling internal bitmap due to errors"];
        "" "{array:kernel}: bitmap file is out of date ({had:num} < {wanted:num}) -- {what:=forcing full recovery}" [
            "md0: bitmap file is out of date (1 < 2) -- forcing full recovery",
        ];
    }
    "md-stopped" => MD_STOPPED, "md.stopped"; No; [] {
        "" "md: {array:kernel} stopped." ["md: md0 stopped."];
    }
}
