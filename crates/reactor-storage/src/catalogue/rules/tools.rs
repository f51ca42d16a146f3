//! mdadm's monitor, ZFS' event daemon, and udisks2: a few wordings each.

/// mdadm's monitor.
pub(in crate::catalogue) mod mdadm {
    use crate::catalogue::rule::rules;

    rules! {
        "mdadm-fail" => MD_DISK_FAILED, "mdadm.critical"; No; [] {
            "" "{event:Fail|FailSpare} event detected on md device {array!:path}{?, component device {disk:path}}" [
                "Fail event detected on md device /dev/md0, component device /dev/sdb1",
                "FailSpare event detected on md device /dev/md0, component device /dev/sdc1",
            ];
        }
        "mdadm-degraded" => MD_DEGRADED, "mdadm.critical"; No; [] {
            "" "{event:=DegradedArray} event detected on md device {array:path}" ["DegradedArray event detected on md device /dev/md0"];
        }
        "mdadm-disappeared" => MD_MISSING, "mdadm.critical"; No; [] {
            "" "{event:=DeviceDisappeared} event detected on md device {array:path}{?, component device {level:text}}" [
                "DeviceDisappeared event detected on md device /dev/md0",
                "DeviceDisappeared event detected on md device /dev/md0, component device  Wrong-Level",
            ];
        }
        "mdadm-rebuild" => MD_SYNC_START, "mdadm.warning"; No; [] {
            "" "{event:=RebuildStarted} event detected on md device {array:path}" ["RebuildStarted event detected on md device /dev/md0"];
            "" "Rebuild{percent:num} event detected on md device {array:path}" ["Rebuild20 event detected on md device /dev/md0"];
        }
        "mdadm-rebuilt" => MD_SYNC_END, "mdadm.warning"; No; [] {
            "" "{event:=RebuildFinished} event detected on md device {array:path}{?, component device  mismatches found: {mismatches:num}{:any}}{?: {text:text}}" [
                "RebuildFinished event detected on md device /dev/md0",
                "RebuildFinished event detected on md device /dev/md0, component device  mismatches found: 128 (on raid level 1)",
                "RebuildFinished event detected on md device /dev/md0: mismatches found: 128",
            ];
        }
        "mdadm-spares" => MD_SPARES, "mdadm.warning"; No; [] {
            "" "{event:MoveSpare|SparesMissing} event detected on md device {array:path}{?, component device {disk:path}}" [
                "SparesMissing event detected on md device /dev/md0",
                "MoveSpare event detected on md device /dev/md0, component device /dev/sdd1",
            ];
        }
        "mdadm-spare-active" => MD_RECOVERED, "mdadm.info"; No; [] {
            "" "{event:=SpareActive} event detected on md device {array:path}{?, component device {disk:path}}" [
                "SpareActive event detected on md device /dev/md0, component device /dev/sdc1",
            ];
        }
        "mdadm-monitor" => MD_MONITOR, "mdadm.info"; No; [] {
            "" "{event:NewArray|TestMessage} event detected on md device {array:path}" [
                "NewArray event detected on md device /dev/md0",
                "TestMessage event detected on md device /dev/md0",
            ];
        }
    }
}

/// ZFS' event daemon.
pub(in crate::catalogue) mod zed {
    use crate::catalogue::rule::{is, rules};

    rules! {
        "zed-event" => ZFS_EVENT, "zfs.zed"; No; [
            is("class", &["io_failure", "vdev.io_failure"]) => ZFS_POOL_SUSPENDED,
            is("class", &["data"]) => ZFS_DATA_LOST,
            is("class", &["checksum"]) => ZFS_CHECKSUM,
            is("class", &["io", "delay", "deadman", "probe_failure"]) => ZFS_IO_ERROR,
            is("class", &["vdev.open_failed", "vdev.corrupt_data", "vdev.no_replicas", "vdev.bad_guid_sum", "vdev.too_small", "vdev.bad_label", "vdev.bad_ashift", "vdev.unknown", "vdev_remove", "removed"]) => ZFS_VDEV_FAILED,
            is("state", &["FAULTED", "UNAVAIL", "REMOVED"]) => ZFS_VDEV_FAILED,
            is("state", &["DEGRADED"]) => ZFS_VDEV_FAILED,
            is("class", &["statechange", "vdev_online"]) => ZFS_VDEV_STATE,
            is("class", &["resilver_finish", "vdev_clear"]) => ZFS_POOL_RESUMED,
        ] {
            "" "eid={eid:num} class={class:word} pool={?'}{pool:remote}{?'} vdev={disk:word} vdev_state={state:word}{? {rest:text}}" [
                "eid=47 class=statechange pool='tank' vdev=sdb1 vdev_state=FAULTED",
                "eid=48 class=statechange pool='tank' vdev=sdb1 vdev_state=ONLINE",
            ];
            "" "eid={eid:num} class={class:word}{? pool={?'}{pool:remote}{?'}}{? {rest:text}}" [
                "eid=45 class=vdev.io_failure pool='tank'",
                "eid=46 class=checksum pool='tank' vdev=sdb1 algorithm=fletcher4 size=4096",
                "eid=9 class=history_event pool='tank'",
                "eid=10 class=data pool='tank' priority=0 err=52 flags=0x808881",
                "eid=11 class=io pool='tank' vdev=sdb1 size=4096 offset=1234 priority=4 err=5 flags=0x100000",
                "eid=3 class=statechange",
                "eid=12 class=resilver_finish pool='tank' resilver_type=healing",
            ];
        }
    }
}

/// udisks2.
pub(in crate::catalogue) mod udisks {
    use crate::catalogue::rule::rules;

    rules! {
        "udisks-mount" => FS_DESKTOP_MOUNT, "udisks"; No; [] {
            "" "Mounted {disk:path} at {mounted:path} on behalf of uid {uid:num}" ["Mounted /dev/sdb1 at /run/media/u/x on behalf of uid 1000"];
            "" "Unmounted {disk:path} on behalf of uid {uid:num}" ["Unmounted /dev/sdb1 on behalf of uid 1000"];
            "" "Cleaning up mount point {mounted:path} {why:text}" ["Cleaning up mount point /run/media/u/x (device 8:17 no longer exists)"];
        }
    }
}
