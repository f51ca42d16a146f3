//! dmeventd, and LVM's commands.

use crate::catalogue::rule::{at_least, rules};

rules! {
    "lvm-usage" => THIN_USAGE, "lvm.usage"; No; [
        at_least("percent", 95) => THIN_USAGE at Critical,
    ] {
        "" "WARNING: {kind:Thin pool|VDO pool|Snapshot} {volume:dm} {?{which:data|metadata} }is now {percent:decimal}% full." [
            "WARNING: Thin pool vg-pool data is now 85.23% full.",
            "WARNING: Thin pool vg-pool metadata is now 80.00% full.",
            "WARNING: VDO pool vg-x is now 90.00% full.",
            "WARNING: Snapshot vg-snap is now 95.00% full.",
            "WARNING: Thin pool vg-pool-tpool data is now 100.00% full.",
        ];
    }
    "lvm-snapshot-invalid" => SNAPSHOT_INVALID, "lvm.snapshot"; No; [] {
        "" "WARNING: Snapshot {volume:dm} changed state to: {state:text} and should be removed." [
            "WARNING: Snapshot vg-s changed state to: Invalid and should be removed.",
        ];
        "" "Failed to extend snapshot {volume:dm}." ["Failed to extend snapshot vg-s."];
        "" "Unmounting invalid snapshot {volume:dm}{? from {mounted:text}}{?.}" ["Unmounting invalid snapshot vg-s from /mnt/s."];
    }
    "lvm-raid-failed" => LVMRAID_DEVICE_FAILED, "lvm.raid-failed"; No; [] {
        "" "WARNING: Device #{position:num} of {level:word} array, {volume:dm}, has failed." ["WARNING: Device #1 of raid1 array, vg-lv, has failed."];
    }
    "lvm-raid-in-sync" => LVMRAID_IN_SYNC, "lvm.raid-sync"; No; [] {
        "" "{level:word} array, {volume:dm}, is now in-sync." ["raid1 array, vg-lv, is now in-sync."];
    }
    "lvm-raid-not-in-sync" => LVMRAID_NOT_IN_SYNC, "lvm.raid-sync"; No; [] {
        "" "{level:word} array, {volume:dm}, is not in-sync." ["raid1 array, vg-lv, is not in-sync."];
    }
    "lvm-raid-repair-failed" => LVMRAID_REPAIR_FAILED, "lvm.raid-repair"; No; [] {
        "" "Repair of RAID device {volume:dm} failed." ["Repair of RAID device vg-lv failed."];
    }
    "lvm-mapping-lost" => LVM_MAPPING_LOST, "lvm.mapping-lost"; No; [] {
        "" "{volume:dm} mapping lost." ["vg-lv mapping lost."];
    }
    "lvm-mirror-failed" => LVM_MIRROR_FAILED, "lvm.mirror"; No; [] {
        "" "Device failure in {volume:dm}." ["Device failure in vg-lv."];
        "" "{which:Primary mirror|Secondary mirror|Mirror log|Log} device {device:number} {?has failed ({state:word}).}{?{what:flush|sync|read} failed ({state:word}).}" [
            "Primary mirror device 253:2 has failed (D).",
            "Secondary mirror device 253:3 read failed (R).",
            "Mirror log device 253:4 flush failed (F).",
        ];
    }
    "lvm-mirror-in-sync" => LVM_MIRROR_IN_SYNC, "lvm.mirror"; No; [] {
        "" "{volume:dm} is now in-sync." ["vg-lv is now in-sync."];
        "" "Repair of mirrored device {volume:dm} finished successfully." ["Repair of mirrored device vg-lv finished successfully."];
    }
    "lvm-monitoring" => LVM_MONITORING, "lvm.monitoring"; No; [] {
        "" "Monitoring {kind:thin pool|VDO pool|snapshot|mirror device|RAID device|raid device} {volume:dm}." [
            "Monitoring thin pool vg-pool.",
            "Monitoring thin pool vg-pool-tpool.",
        ];
        "" "No longer monitoring {kind:thin pool|VDO pool|snapshot|mirror device|RAID device|raid device} {volume:dm}." [
            "No longer monitoring thin pool vg-pool-tpool.",
        ];
    }
    "lvm-policy-failed" => LVM_POLICY_FAILED, "lvm.policy"; No; [] {
        "" "Failed command for {volume:dm}." ["Failed command for vg-pool."];
        "" "Postponing frequently failing policy ({failed:num} <= {limit:num})." ["Postponing frequently failing policy (1 <= 5)."];
    }
    "lvm-volume-missing" => LVM_PV_MISSING, "lvm.missing"; No; [] {
        "" "{?WARNING: }Couldn't find device with uuid {uuid:id}{?.}" [
            "Couldn't find device with uuid 0aBcDe-1111-2222-3333-4444-5555-FfGgHh.",
            "  WARNING: Couldn't find device with uuid 0aBcDe-1111-2222-3333-4444-5555-FfGgHh.",
        ];
        "" "WARNING: VG {group:word} is missing PV {uuid:id}{? (last written to {was:text})}{?.}" [
            "WARNING: VG vg is missing PV 0aBcDe-1111-2222-3333-4444-5555-FfGgHh (last written to /dev/sdb).",
        ];
        "" "{?WARNING: }PV {disk:path} {?in VG {group:word} }{?is }used by {:a|another} VG but its metadata is missing{?.}" [
            "WARNING: PV /dev/sdb is used by a VG but its metadata is missing.",
            "PV /dev/sdb used by a VG but its metadata is missing",
        ];
    }
}
