//! The device mapper's targets, and bcache.

use crate::catalogue::rule::{is, rules};

rules! {
    "mpath-failing" => MPATH_PATH_FAILED, "mpath.failing"; No; [] {
        "5.4-" "{:module}device-mapper: multipath: {map:number}: Failing path {path!:number}." [
            "device-mapper: multipath: 253:3: Failing path 8:48.",
            "dm_multipath: device-mapper: multipath: 253:3: Failing path 8:48.",
        ];
        "-5.3" "{:module}device-mapper: multipath: Failing path {path:number}." ["device-mapper: multipath: Failing path 8:48."];
    }
    "mpath-reinstating" => MPATH_PATH_REINSTATED, "mpath.reinstating"; No; [] {
        "5.4-" "{:module}device-mapper: multipath: {map:number}: Reinstating path {path!:number}." [
            "device-mapper: multipath: 253:3: Reinstating path 8:48.",
        ];
        "-5.3" "{:module}device-mapper: multipath: Reinstating path {path:number}." ["device-mapper: multipath: Reinstating path 8:48."];
    }
    "mpath-queue-timeout" => MPATH_QUEUE_TIMEOUT, "mpath.queue-timeout"; No; [] {
        "" "{:module}device-mapper: multipath: queue_if_no_path timeout on {map:number}, failing queued IO" [
            "device-mapper: multipath: queue_if_no_path timeout on 253:3, failing queued IO",
        ];
    }
    "mpath-failover-failed" => MPATH_FAILOVER_FAILED, "mpath.failover"; No; [] {
        "" "{:module}device-mapper: multipath: Could not failover {:the device|device}{?: Handler {handler:word}}{?.} Error {errno:num}." [
            "device-mapper: multipath: Could not failover the device: Handler scsi_dh_alua Error 15.",
            "device-mapper: multipath: Could not failover device. Error 5.",
        ];
    }
    "thin-low-water" => THIN_LOW_WATER_DATA, "thin.low-water"; No; [is("which", &["metadata"]) => THIN_LOW_WATER_META] {
        "" "{:module}device-mapper: thin: {pool:number}: reached low water mark for {which:data|metadata} device: sending event." [
            "device-mapper: thin: 253:4: reached low water mark for data device: sending event.",
            "device-mapper: thin: 253:4: reached low water mark for metadata device: sending event.",
            "dm_thin_pool: device-mapper: thin: 253:4: reached low water mark for data device: sending event.",
        ];
    }
    "thin-mode" => THIN_OUT_OF_SPACE, "thin.mode"; No; [
        is("mode", &["read-only"]) => THIN_READ_ONLY,
        is("mode", &["fail"]) => THIN_FAIL,
        is("mode", &["write"]) => THIN_WRITE_OK,
    ] {
        "" "{:module}device-mapper: thin: {pool:number}: switching pool to {mode:out-of-data-space|out-of-metadata-space|read-only|fail|write}{? ({queue:queue IO|error IO})} mode" [
            "device-mapper: thin: 253:4: switching pool to out-of-data-space (queue IO) mode",
            "device-mapper: thin: 253:4: switching pool to out-of-data-space (error IO) mode",
            "device-mapper: thin: 253:4: switching pool to read-only mode",
            "device-mapper: thin: 253:4: switching pool to fail mode",
            "device-mapper: thin: 253:4: switching pool to write mode",
        ];
    }
    "thin-metadata-full" => THIN_META_FULL, "thin.meta-full"; No; [] {
        "" "{:module}device-mapper: thin: {?{pool:number}: }No free metadata blocks" ["device-mapper: thin: No free metadata blocks"];
        "" "{:module}device-mapper: space map metadata: unable to allocate new metadata block" [
            "device-mapper: space map metadata: unable to allocate new metadata block",
        ];
    }
    "thin-metadata-error" => THIN_META_ERROR, "thin.meta-error"; No; [] {
        "" "{:module}device-mapper: thin: {pool:number}: metadata operation '{operation:word}' failed: error = {errno:int}" [
            "device-mapper: thin: 253:4: metadata operation 'dm_pool_alloc_data_block' failed: error = -28",
        ];
        "" "{:module}device-mapper: thin: {pool:number}: {what:failed to set 'needs_check' flag in metadata|unable to switch pool to write mode until repaired.|aborting current metadata transaction|failed to abort metadata transaction}" [
            "device-mapper: thin: 253:4: failed to set 'needs_check' flag in metadata",
            "device-mapper: thin: 253:4: unable to switch pool to write mode until repaired.",
            "device-mapper: thin: 253:4: aborting current metadata transaction",
            "device-mapper: thin: 253:4: failed to abort metadata transaction",
        ];
    }
    "thin-grown" => THIN_GROWN, "thin.grown"; No; [] {
        "" "{:module}device-mapper: thin: {pool:number}: growing the {which:data|metadata} device from {from:num} to {to:num} blocks" [
            "device-mapper: thin: 253:4: growing the data device from 3200 to 6400 blocks",
        ];
    }
    "persistent-data" => DM_META_CORRUPT, "dm.persistent-data"; No; [] {
        "" "{:module}device-mapper: btree spine: node_check failed: {why:text}" [
            "device-mapper: btree spine: node_check failed: csum 1 != wanted 2",
        ];
        "" "{:module}device-mapper: block manager: {validator:word} validator check failed for block {block:num}" [
            "device-mapper: block manager: btree_node validator check failed for block 12",
        ];
    }
    "cache-mode" => CACHE_MODE, "dm.cache"; No; [
        is("mode", &["write"]) => CACHE_WRITE_OK,
        is("mode", &["fail"]) => CACHE_MODE at Critical,
    ] {
        "" "{:module}device-mapper: cache: {cache:number}: switching cache to {mode:read-only|fail|write} mode" [
            "device-mapper: cache: 253:5: switching cache to read-only mode",
            "device-mapper: cache: 253:5: switching cache to fail mode",
            "device-mapper: cache: 253:5: switching cache to write mode",
        ];
    }
    "dm-raid-superblock" => DMRAID_SUPERBLOCK_FAILED, "dm.raid"; No; [] {
        "" "{:module}device-mapper: raid: Failed to read superblock of device at position {position:num}" [
            "device-mapper: raid: Failed to read superblock of device at position 1",
        ];
    }
    "dm-raid-revived" => DMRAID_REVIVED, "dm.raid"; No; [] {
        "" "{:module}device-mapper: raid: Faulty {level:word} device #{position:num} has readable super block.{:any}" [
            "device-mapper: raid: Faulty raid1 device #1 has readable super block.  Attempting to revive it.",
        ];
    }
    "mirror-side-failed" => MIRROR_SIDE_FAILED, "dm.mirror"; No; [] {
        "" "{:module}device-mapper: raid1: {which:Primary|Secondary} mirror ({side:number}) failed while out-of-sync: Reads may fail." [
            "device-mapper: raid1: Primary mirror (8:16) failed while out-of-sync: Reads may fail.",
        ];
    }
    "mirror-failed" => MIRROR_FAILED, "dm.mirror"; No; [] {
        "" "{:module}device-mapper: raid1: All sides of mirror have failed." ["device-mapper: raid1: All sides of mirror have failed."];
    }
    "mirror-read-retry" => MIRROR_READ_RETRY, "dm.mirror"; No; [] {
        "" "{:module}device-mapper: raid1: {?A }{:Read|read} failure on mirror device {side:number}.  {?Trying alternative device.}{?Failing I/O.}" [
            "device-mapper: raid1: Read failure on mirror device 8:16. Trying alternative device.",
            "device-mapper: raid1: Read failure on mirror device 8:16.  Failing I/O.",
        ];
    }
    "mirror-log" => MIRROR_LOG_FAILED, "dm.dirty-log"; No; [] {
        "" "{:module}device-mapper: dirty region log: {mirror:number}: Failed to {what:read|write} header on dirty region log device" [
            "device-mapper: dirty region log: 253:2: Failed to read header on dirty region log device",
            "device-mapper: dirty region log: 253:2: Failed to write header on dirty region log device",
        ];
    }
    "integrity-checksum" => INTEGRITY_CHECKSUM, "dm.integrity"; No; [] {
        "" "{:module}device-mapper: integrity: {?{dev:kernel}: }Checksum failed {where:at sector|when reading from journal, at sector} 0x{sector:hex}" [
            "device-mapper: integrity: dm-3: Checksum failed at sector 0x1a2b",
            "device-mapper: integrity: dm-3: Checksum failed when reading from journal, at sector 0x10",
            "device-mapper: integrity: Checksum failed when reading from journal, at sector 0x10",
        ];
    }
    "integrity-error" => INTEGRITY_ERROR, "dm.integrity"; No; [] {
        "" "{:module}device-mapper: integrity: {?{dev:kernel}: }Error on {what:text}: {errno:int}" ["device-mapper: integrity: Error on writing journal: -5"];
    }
    "crypt-integrity" => CRYPT_INTEGRITY, "dm.crypt"; No; [] {
        "" "{:module}device-mapper: crypt: {dev:kernel}: INTEGRITY AEAD ERROR, sector {sector:num}" [
            "device-mapper: crypt: dm-2: INTEGRITY AEAD ERROR, sector 1234",
        ];
    }
    "verity" => VERITY_CORRUPT, "dm.verity"; No; [] {
        "" "{:module}device-mapper: verity: {dev:number}: {what:data|metadata} block {block:num} is corrupted" [
            "device-mapper: verity: 8:3: data block 123 is corrupted",
            "device-mapper: verity: 8:3: metadata block 7 is corrupted",
        ];
        "" "{:module}device-mapper: verity: {dev:number}: reached maximum errors" ["device-mapper: verity: 8:3: reached maximum errors"];
    }
    "snapshot-invalid" => SNAPSHOT_INVALID, "dm.snapshot"; No; [] {
        "" "{:module}device-mapper: snapshots: Invalidating snapshot: {why:text}" [
            "device-mapper: snapshots: Invalidating snapshot: Unable to allocate exception.",
            "device-mapper: snapshots: Invalidating snapshot: Error reading/writing.",
        ];
        "" "{:module}device-mapper: snapshots: Snapshot overflowed: {why:text}" [
            "device-mapper: snapshots: Snapshot overflowed: Unable to allocate exception.",
        ];
        "" "{:module}device-mapper: snapshots: Snapshot is marked {why:=invalid}." ["device-mapper: snapshots: Snapshot is marked invalid."];
    }
    "bcache-error" => BCACHE_IO_ERROR, "driver.bcache"; No; [] {
        "" "bcache: {function:word} {?error on }{dev:kernel}: {what:IO error on backing device, unrecoverable|IO error on writing btree.|IO error on reading from cache|Read-ahead I/O failed on backing device, ignore}{:any}" [
            "bcache: bch_count_backing_io_errors() sdk: IO error on backing device, unrecoverable",
            "bcache: bch_count_backing_io_errors() sdk: Read-ahead I/O failed on backing device, ignore",
        ];
    }
    "bcache-cache-disabled" => BCACHE_CACHE_DISABLED, "driver.bcache"; No; [] {
        "" "bcache: {?{function:word} }error on {set:id}: {why:text}, disabling caching" [
            "bcache: bch_cache_set_error() error on 1a2b3c4d-0000-4000-8000-000000000001: too many IO errors, disabling caching",
            "bcache: error on 1a2b3c4d-0000-4000-8000-000000000001: corrupted btree at bucket 7, disabling caching",
        ];
    }
    "bcache-stopped" => BCACHE_STOPPED, "driver.bcache"; No; [] {
        "" "bcache: {?{function:word} }stop {bcache:kernel}: too many IO errors on backing device {backing:kernel}" [
            "bcache: bch_cached_dev_error() stop bcache0: too many IO errors on backing device sdb",
        ];
    }
}
