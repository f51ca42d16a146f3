//! smartd. Names of devices are paths, with a number for disks behind an adapter and the way they are talked to in brackets.

use crate::catalogue::rule::rules;

rules! {
    "smart-failed" => SMART_FAILED, "smartd.failed"; No; [] {
        "" "Device: {dev:path}{? [{behind:text}]}, FAILED SMART self-check. BACK UP DATA NOW!" [
            "Device: /dev/sda [SAT], FAILED SMART self-check. BACK UP DATA NOW!",
            "Device: /dev/bus/0 [megaraid_disk_01] [SAT], FAILED SMART self-check. BACK UP DATA NOW!",
            "Device: /dev/nvme0, FAILED SMART self-check. BACK UP DATA NOW!",
        ];
        "SCSI" "Device: {dev:path}{? [{behind:text}]}, SMART Failure: {what:text}" ["Device: /dev/sdb, SMART Failure: HARDWARE IMPENDING FAILURE"];
    }
    "smart-pending" => SMART_PENDING, "smartd.pending"; No; [] {
        "" "Device: {dev:path}{? [{behind:text}]}, {sectors:num} {:Currently|Total} unreadable (pending) sectors{? (changed {change:word})}" [
            "Device: /dev/sda [SAT], 8 Currently unreadable (pending) sectors",
            "Device: /dev/sda [SAT], 8 Total unreadable (pending) sectors (changed +2)",
        ];
    }
    "smart-uncorrectable" => SMART_UNCORRECTABLE, "smartd.uncorrectable"; No; [] {
        "" "Device: {dev:path}{? [{behind:text}]}, {sectors:num} {:Offline|Total offline} uncorrectable sectors{? (changed {change:word})}" [
            "Device: /dev/sda [SAT], 3 Offline uncorrectable sectors",
        ];
    }
    "smart-attribute-failed" => SMART_ATTR_FAILED, "smartd.attribute-failed"; No; [] {
        "" "Device: {dev:path}{? [{behind:text}]}, Failed SMART usage Attribute: {attribute:num} {name:text}." [
            "Device: /dev/sda [SAT], Failed SMART usage Attribute: 190 Airflow_Temperature_Cel.",
        ];
    }
    "smart-attribute-changed" => SMART_ATTR_CHANGED, "smartd.attribute-changed"; No; [] {
        "" "Device: {dev:path}{? [{behind:text}]}, SMART {:Prefailure|Usage} Attribute: {attribute:num} {name:word} changed from {from:text} to {to:text}" [
            "Device: /dev/sda [SAT], SMART Prefailure Attribute: 1 Raw_Read_Error_Rate changed from 100 to 99",
            "Device: /dev/sda [SAT], SMART Usage Attribute: 194 Temperature_Celsius changed from 64 to 63",
        ];
    }
    "smart-errors-increased" => SMART_ERRORS_INCREASED, "smartd.errors"; No; [] {
        "" "Device: {dev:path}{? [{behind:text}]}, ATA error count increased from {from:num} to {to:num}" [
            "Device: /dev/sda [SAT], ATA error count increased from 0 to 3",
        ];
        "NVMe" "Device: {dev:path}{? [{behind:text}]}, number of Error Log entries increased from {from:num} to {to:num}" [
            "Device: /dev/nvme0, number of Error Log entries increased from 1 to 2",
        ];
    }
    "smart-self-test-failed" => SMART_SELFTEST_FAILED, "smartd.errors"; No; [] {
        "" "Device: {dev:path}{? [{behind:text}]}, Self-Test Log error count increased from {from:num} to {to:num}" [
            "Device: /dev/sda [SAT], Self-Test Log error count increased from 0 to 1",
        ];
        "" "Device: {dev:path}{? [{behind:text}]}, new Self-Test Log error at hour timestamp {hour:num}" [
            "Device: /dev/sda [SAT], new Self-Test Log error at hour timestamp 1234",
        ];
    }
    "smart-nvme-warning" => NVME_CRITICAL_WARNING, "smartd.nvme"; No; [] {
        "" "Device: {dev:path}{? [{behind:text}]}, Critical Warning (0x{bits:hex}): {what:text}" [
            "Device: /dev/nvme0, Critical Warning (0x04): Reliability",
        ];
    }
    "smart-temperature-critical" => SMART_TEMP_CRITICAL, "smartd.temperature"; No; [] {
        "" "Device: {dev:path}{? [{behind:text}]}, Temperature {celsius:num} Celsius reached critical limit of {limit:num} Celsius{:any}" [
            "Device: /dev/sda [SAT], Temperature 56 Celsius reached critical limit of 55 Celsius (Min/Max 20/56!)",
        ];
    }
    "smart-temperature-high" => SMART_TEMP_HIGH, "smartd.temperature"; No; [] {
        "" "Device: {dev:path}{? [{behind:text}]}, Temperature {celsius:num} Celsius reached limit of {limit:num} Celsius{:any}" [
            "Device: /dev/sda [SAT], Temperature 46 Celsius reached limit of 45 Celsius (Min/Max 20/46)",
        ];
    }
    "smart-temperature" => SMART_TEMP, "smartd.temperature"; No; [] {
        "" "Device: {dev:path}{? [{behind:text}]}, Temperature changed {change:word} Celsius to {celsius:num} Celsius{:any}" [
            "Device: /dev/sda [SAT], Temperature changed +3 Celsius to 40 Celsius (Min/Max 20/40)",
        ];
    }
    "smart-unreadable" => SMART_UNREADABLE, "smartd.unreadable"; No; [] {
        "" "Device: {dev:path}{? [{behind:text}]}, {what:failed to read SMART Attribute Data|failed to read NVMe SMART/Health Information|unable to open ATA device|unable to open SCSI device|unable to open NVMe device|failed to read SMART values|No such device or address, open() failed}{:any}" [
            "Device: /dev/sda [SAT], failed to read SMART Attribute Data",
            "Device: /dev/sda [SAT], unable to open ATA device",
            "Device: /dev/nvme0, failed to read NVMe SMART/Health Information",
        ];
    }
    "smart-self-test-passed" => SMART_SELFTEST_PASSED, "smartd.unreadable"; No; [] {
        "" "Device: {dev:path}{? [{behind:text}]}, previous self-test completed without error" [
            "Device: /dev/sda [SAT], previous self-test completed without error",
        ];
    }
    "smart-device" => SMART_DEVICE, "smartd.unreadable"; No; [] {
        "" "Device: {dev:path}{? [{behind:text}]}, {what:is SMART capable. Adding to \"monitor\" list.|opened|state read from|state written to|starting scheduled Short Self-Test.|starting scheduled Long Self-Test.}{:any}" [
            "Device: /dev/sda [SAT], is SMART capable. Adding to \"monitor\" list.",
            "Device: /dev/sda [SAT], opened",
        ];
        "" "{?Device: {dev:path}{? [{behind:text}]}, }removed {kind:text} device: {what:text}" ["removed ATA device: /dev/sdb"];
    }
}
