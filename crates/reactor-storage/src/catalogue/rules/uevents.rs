//! Uevents, as the lines that [`crate::uevent`] makes of them.

use crate::catalogue::rule::{is, rules};

rules! {
    "uevent-path-failed" => MPATH_PATH_FAILED, "uevent.mpath"; No; [] {
        "" "block change {map:kernel}: DM_ACTION=PATH_FAILED DM_PATH={path!:number} DM_NR_VALID_PATHS={paths:num}{? DM_NAME={name:word}}{? DM_UUID={uuid:word}}" [
            "block change dm-3: DM_ACTION=PATH_FAILED DM_PATH=8:48 DM_NR_VALID_PATHS=1 DM_NAME=mpatha DM_UUID=mpath-36001405aabb",
            "block change dm-3: DM_ACTION=PATH_FAILED DM_PATH=8:48 DM_NR_VALID_PATHS=0",
        ];
    }
    "uevent-path-reinstated" => MPATH_PATH_REINSTATED, "uevent.mpath"; No; [] {
        "" "block change {map:kernel}: DM_ACTION=PATH_REINSTATED DM_PATH={path!:number} DM_NR_VALID_PATHS={paths:num}{? DM_NAME={name:word}}{? DM_UUID={uuid:word}}" [
            "block change dm-3: DM_ACTION=PATH_REINSTATED DM_PATH=8:48 DM_NR_VALID_PATHS=2 DM_NAME=mpatha DM_UUID=mpath-36001405aabb",
        ];
    }
    "uevent-paths-left" => MPATH_PATHS_LEFT, "uevent.mpath"; No; [is("paths", &["0"]) => MPATH_ALL_PATHS_DOWN] {
        "" "block change {map:kernel}: DM_NR_VALID_PATHS={paths:num} DM_ACTION=PATH_FAILED DM_PATH={path:number}{? DM_NAME={name:word}}{? DM_UUID={uuid:word}}" [
            "block change dm-3: DM_NR_VALID_PATHS=1 DM_ACTION=PATH_FAILED DM_PATH=8:48 DM_NAME=mpatha DM_UUID=mpath-36001405aabb",
            "block change dm-3: DM_NR_VALID_PATHS=0 DM_ACTION=PATH_FAILED DM_PATH=8:64 DM_NAME=mpatha DM_UUID=mpath-36001405aabb",
        ];
    }
    "uevent-paths-back" => MPATH_PATHS_LEFT, "uevent.mpath"; No; [is("paths", &["1"]) => MPATH_RECOVERED] {
        "" "block change {map:kernel}: DM_NR_VALID_PATHS={paths:num} DM_ACTION=PATH_REINSTATED DM_PATH={path:number}{? DM_NAME={name:word}}{? DM_UUID={uuid:word}}" [
            "block change dm-3: DM_NR_VALID_PATHS=1 DM_ACTION=PATH_REINSTATED DM_PATH=8:64 DM_NAME=mpatha DM_UUID=mpath-36001405aabb",
            "block change dm-3: DM_NR_VALID_PATHS=2 DM_ACTION=PATH_REINSTATED DM_PATH=8:48 DM_NAME=mpatha DM_UUID=mpath-36001405aabb",
        ];
    }
    "uevent-scsi-attention" => SCSI_UA_PARAMETERS_CHANGED, "uevent.scsi"; No; [
        is("what", &["INQUIRY_DATA_HAS_CHANGED"]) => SCSI_UA_INQUIRY_CHANGED,
        is("what", &["CAPACITY_DATA_HAS_CHANGED"]) => SCSI_UA_CAPACITY_CHANGED,
        is("what", &["THIN_PROVISIONING_SOFT_THRESHOLD_REACHED"]) => SCSI_THIN_SOFT_THRESHOLD,
        is("what", &["REPORTED_LUNS_DATA_HAS_CHANGED"]) => SCSI_UA_LUNS_CHANGED,
        is("what", &["ASYMMETRIC_ACCESS_STATE_CHANGED"]) => SCSI_UA_ALUA_CHANGED,
        is("what", &["POWER_ON_RESET_OCCURRED"]) => SCSI_DEVICE_RESET,
    ] {
        "" "scsi change {dev:scsi}: SDEV_UA={what:word}" [
            "scsi change 6:0:0:0: SDEV_UA=INQUIRY_DATA_HAS_CHANGED",
            "scsi change 6:0:0:0: SDEV_UA=CAPACITY_DATA_HAS_CHANGED",
            "scsi change 6:0:0:0: SDEV_UA=THIN_PROVISIONING_SOFT_THRESHOLD_REACHED",
            "scsi change 6:0:0:0: SDEV_UA=MODE_PARAMETERS_CHANGED",
            "scsi change 6:0:0:0: SDEV_UA=REPORTED_LUNS_DATA_HAS_CHANGED",
            "scsi change 6:0:0:0: SDEV_UA=ASYMMETRIC_ACCESS_STATE_CHANGED",
            "scsi change 6:0:0:0: SDEV_UA=POWER_ON_RESET_OCCURRED",
        ];
    }
    "uevent-scsi-state" => SCSI_DEVICE_OFFLINE, "uevent.scsi"; No; [is("state", &["running"]) => SCSI_DEVICE_RUNNING] {
        "" "block change {dev:kernel}: device/state={state:running|offline|transport-offline}" [
            "block change sda: device/state=offline",
            "block change sda: device/state=transport-offline",
            "block change sda: device/state=running",
        ];
    }
    "uevent-nvme-ready" => NVME_CTRL_READY, "uevent.nvme"; No; [is("what", &["rediscover"]) => NVMEOF_REDISCOVER] {
        "" "nvme change {ctrl:nvme}: NVME_EVENT={what:connected|rediscover}{? NVME_TRTYPE={transport:word}}{? NVME_TRADDR={address:word}}{? NVME_TRSVCID={port:word}}" [
            "nvme change nvme0: NVME_EVENT=connected",
            "nvme change nvme1: NVME_EVENT=connected NVME_TRTYPE=tcp NVME_TRADDR=10.0.0.1 NVME_TRSVCID=4420",
            "nvme change nvme1: NVME_EVENT=rediscover NVME_TRTYPE=tcp NVME_TRADDR=10.0.0.1 NVME_TRSVCID=8009",
        ];
    }
    "uevent-nvme-event" => NVME_CTRL_EVENT, "uevent.nvme"; No; [
        is("what", &["temperature"]) => NVME_CRITICAL_WARNING at Warning,
        is("kind", &["health"]) => NVME_CRITICAL_WARNING,
        is("kind", &["error"]) => NVME_CTRL_ERROR,
    ] {
        "" "nvme change {ctrl:nvme}: NVME_AEN={number:word} kind={kind:word} what={what:word}" [
            "nvme change nvme0: NVME_AEN=0x020101 kind=health what=temperature",
            "nvme change nvme0: NVME_AEN=0x020001 kind=health what=reliability",
            "nvme change nvme0: NVME_AEN=0x010300 kind=error what=persistent-internal-error",
            "nvme change nvme0: NVME_AEN=0xc00007 kind=vendor what=other",
        ];
    }
    "uevent-md-degraded" => MD_DEGRADED, "uevent.md"; No; [is("missing", &["0"]) => MD_RECOVERED] {
        "" "block change {array:kernel}: md/degraded={missing:num} md/raid_disks={disks:num}" [
            "block change md0: md/degraded=1 md/raid_disks=2",
            "block change md0: md/degraded=0 md/raid_disks=2",
        ];
    }
    "uevent-md-failed" => MD_ARRAY_FAILED, "uevent.md"; No; [] {
        "" "block change {array:kernel}: md/array_state={state:=broken}" ["block change md0: md/array_state=broken"];
    }
    "uevent-md-sync" => MD_SYNC_START, "uevent.md"; No; [] {
        "" "block change {array:kernel}: md/sync_action={action:resync|recover|check|repair|reshape}" [
            "block change md0: md/sync_action=recover",
            "block change md0: md/sync_action=check",
        ];
    }
    "uevent-resize" => BLK_CAPACITY_CHANGED, "uevent.block"; No; [] {
        "" "block change {dev:kernel}: RESIZE={:num}" ["block change sdb: RESIZE=1"];
    }
    "uevent-read-only" => BLK_READ_ONLY, "uevent.block"; No; [is("read_only", &["0"]) => BLK_WRITABLE] {
        "" "block change {dev:kernel}: DISK_RO={read_only:num}" ["block change sdb: DISK_RO=1", "block change sdb: DISK_RO=0"];
    }
    "uevent-media" => BLK_MEDIA_CHANGED, "uevent.block"; No; [] {
        "" "block change {dev:kernel}: {what:DISK_MEDIA_CHANGE|DISK_EJECT_REQUEST}={:num}" [
            "block change sr0: DISK_MEDIA_CHANGE=1",
            "block change sr0: DISK_EJECT_REQUEST=1",
        ];
        "" "scsi change {dev:scsi}: {what:=SDEV_MEDIA_CHANGE}={:num}" ["scsi change 1:0:0:0: SDEV_MEDIA_CHANGE=1"];
    }
}
