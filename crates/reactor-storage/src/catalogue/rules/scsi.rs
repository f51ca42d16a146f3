//! SCSI: commands that fail, sense data, devices that come and go.
//!
//! Lines of one command have H:C:T:L and tag in common. Kernels up to 3.x printed them in several pieces without a tag, and kernels without
//! `CONFIG_SCSI_CONSTANTS` print numbers.

use crate::catalogue::rule::{has, is, rules};

rules! {
    "scsi-failed" => SCSI_CMD_FAILED, "scsi.failed"; Scsi; [
        // A transport that is being changed over: multipath and retries deal with it.
        has("hostbyte", &["DID_TRANSPORT_DISRUPTED", "DID_IMM_RETRY", "DID_REQUEUE", "0x0e", "0x0c", "0x0d"]) => SCSI_CMD_FAILED at Warning,
    ] {
        "4.0-" "{:sd|scsi|sr|st|ses|ch} {scsi:scsi}:{? [{disk:kernel}]}{? tag#{tag:num}} {outcome:word} Result: hostbyte={hostbyte:word} driverbyte={driverbyte:word}{? cmd_age={age:num}s}" [
            "sd 0:0:0:0: [sda] tag#7 FAILED Result: hostbyte=DID_OK driverbyte=DRIVER_OK cmd_age=13s",
            "sd 0:0:0:0: [sda] tag#7 FAILED Result: hostbyte=DID_OK driverbyte=DRIVER_SENSE",
            "sd 0:0:0:0: [sda] tag#69 UNKNOWN(0x2003) Result: hostbyte=0x00 driverbyte=DRIVER_OK cmd_age=0s",
            "sd 2:0:0:0: [sda] tag#48 UNKNOWN(0x2003) Result: hostbyte=0x03 driverbyte=DRIVER_OK cmd_age=15s",
            "sd 6:0:0:1: [sdc] tag#11 TIMEOUT_ERROR Result: hostbyte=DID_TIME_OUT driverbyte=DRIVER_OK cmd_age=30s",
            "sd 7:0:0:0: [sdd] tag#3 FAILED Result: hostbyte=DID_NO_CONNECT driverbyte=DRIVER_OK cmd_age=0s",
            "sd 7:0:0:0: [sdd] tag#3 FAILED Result: hostbyte=DID_TRANSPORT_DISRUPTED driverbyte=DRIVER_OK cmd_age=0s",
        ];
        "-3.19" "{:sd|scsi|sr|st|ses|ch} {scsi:scsi}:{? [{disk:kernel}]}  Result: hostbyte={hostbyte:word} driverbyte={driverbyte:word}" [
            "sd 0:0:0:0: [sda] Result: hostbyte=DID_OK driverbyte=DRIVER_SENSE",
            "sd 0:0:0:0: [sda]  \nResult: hostbyte=DID_ERROR driverbyte=DRIVER_OK",
        ];
    }
    "scsi-failed-piece" => SCSI_CMD_FAILED, "scsi.pieces"; Continues; [] {
        "3.x, in pieces" "Result: hostbyte={hostbyte:word} driverbyte={driverbyte:word}" ["Result: hostbyte=DID_OK driverbyte=DRIVER_SENSE"];
    }
    "scsi-sense" => SCSI_SENSE, "scsi.sense"; Scsi; [
        is("key", &["Medium Error", "0x3"]) => SCSI_MEDIUM_ERROR,
        is("key", &["Hardware Error", "0x4"]) => SCSI_HARDWARE_ERROR,
        is("key", &["Data Protect", "0x7"]) => SCSI_DATA_PROTECT,
        is("key", &["Aborted Command", "0xb"]) => SCSI_ABORTED_COMMAND at Warning,
        is("key", &["Not Ready", "0x2"]) => SCSI_NOT_READY,
        is("key", &["Illegal Request", "0x5"]) => SCSI_ILLEGAL_REQUEST,
        is("key", &["Unit Attention", "0x6"]) => SCSI_UNIT_ATTENTION at Info,
        is("key", &["Recovered Error", "0x1"]) => SCSI_RECOVERED_ERROR,
        is("key", &["Copy Aborted", "0xa"]) => SCSI_COPY_ABORTED,
        is("key", &["No Sense", "0x0", "Completed", "0xf"]) => SCSI_SENSE at Info,
        is("key", &["Blank Check", "0x8", "Volume Overflow", "0xd", "Miscompare", "0xe"]) => SCSI_SENSE at Error,
    ] {
        "" "{:sd|scsi|sr|st|ses|ch} {scsi:scsi}:{? [{disk:kernel}]}{? tag#{tag:num}}  Sense Key : {key:text} [{form:current|deferred}]{?  [descriptor]}" [
            "sd 0:0:0:0: [sda] tag#7 Sense Key : Medium Error [current] ",
            "sd 6:0:0:0: [sdf] tag#2 Sense Key : Hardware Error [deferred] [descriptor] ",
            "sd 0:0:0:0: [sda] tag#69 Sense Key : 0x3 [current] ",
            "sd 0:0:0:0: [sda] tag#101 Sense Key : 0xb [current] ",
            "sd 0:0:0:0: [sda] Sense Key : Not Ready [current] ",
            "sd 0:0:0:0: [sda]  \nSense Key : Medium Error [current] ",
            "sd 0:0:0:0: [sda] tag#1 Sense Key : Aborted Command [current] ",
            "sd 0:0:0:0: [sda] tag#1 Sense Key : Data Protect [current] ",
            "sd 0:0:0:0: [sda] tag#1 Sense Key : Illegal Request [current] ",
            "sd 0:0:0:0: [sda] tag#1 Sense Key : Unit Attention [current] ",
            "sd 0:0:0:0: [sda] tag#1 Sense Key : Recovered Error [current] ",
            "sd 0:0:0:0: [sda] tag#1 Sense Key : No Sense [current] ",
            "sd 0:0:0:0: [sda] tag#1 Sense Key : Copy Aborted [current] ",
            "sd 0:0:0:0: [sda] tag#1 Sense Key : Miscompare [current] ",
            "sd 0:0:0:0: [sda] tag#1 Sense Key : Vendor Specific(9) [current] ",
            "scsi 0:0:0:0: tag#0 Sense Key : Not Ready [current] ",
        ];
    }
    "scsi-sense-piece" => SCSI_SENSE, "scsi.pieces"; Continues; [
        is("key", &["Medium Error", "0x3"]) => SCSI_MEDIUM_ERROR,
        is("key", &["Hardware Error", "0x4"]) => SCSI_HARDWARE_ERROR,
        is("key", &["Data Protect", "0x7"]) => SCSI_DATA_PROTECT,
        is("key", &["Aborted Command", "0xb"]) => SCSI_ABORTED_COMMAND at Warning,
        is("key", &["Not Ready", "0x2"]) => SCSI_NOT_READY,
        is("key", &["Illegal Request", "0x5"]) => SCSI_ILLEGAL_REQUEST,
        is("key", &["Unit Attention", "0x6"]) => SCSI_UNIT_ATTENTION at Info,
        is("key", &["Recovered Error", "0x1"]) => SCSI_RECOVERED_ERROR,
    ] {
        "3.x, in pieces" "Sense Key : {key:text} [{form:current|deferred}]{?  [descriptor]}" [
            "Sense Key : Medium Error [current] ",
            "Sense Key : Hardware Error [current] [descriptor]",
            "Sense Key : Data Protect [current] ",
            "Sense Key : Aborted Command [current] ",
            "Sense Key : Not Ready [current] ",
            "Sense Key : Illegal Request [current] ",
            "Sense Key : Unit Attention [current] ",
            "Sense Key : Recovered Error [deferred] ",
        ];
    }
    "scsi-additional-sense" => SCSI_SENSE, "scsi.additional"; ScsiPart; [
        has("asc", &["Space allocation failed write protect"]) => SCSI_DATA_PROTECT,
    ] {
        "" "{:sd|scsi|sr|st|ses|ch} {scsi:scsi}:{? [{disk:kernel}]}{? tag#{tag:num}}  Add. Sense: {asc:text}" [
            "sd 0:0:0:0: [sda] tag#7 Add. Sense: Unrecovered read error - auto reallocate failed",
            "sd 6:0:0:0: [sdf] Add. Sense: Logical unit not ready, initializing command required",
            "sd 6:0:0:0: [sdf] tag#4 Add. Sense: Space allocation failed write protect",
        ];
        "without names, and for codes without one" "{:sd|scsi|sr|st|ses|ch} {scsi:scsi}:{? [{disk:kernel}]}{? tag#{tag:num}}  {?<<vendor>>}ASC={asc:word} ASCQ={ascq:word}{?<<vendor>>}" [
            "sd 0:0:0:0: [sda] tag#69 ASC=0x11 ASCQ=0x0 ",
            "sd 0:0:0:0: [sda] tag#7 <<vendor>>ASC=0x80 ASCQ=0x1 ",
        ];
    }
    "scsi-additional-sense-piece" => SCSI_SENSE, "scsi.pieces"; ContinuesPart; [] {
        "3.x, in pieces" "Add. Sense: {asc:text}" ["Add. Sense: Unrecovered read error"];
    }
    "scsi-cdb" => SCSI_CMD_FAILED, "scsi.cdb"; ScsiPart; [] {
        "" "{:sd|scsi|sr|st|ses|ch} {scsi:scsi}:{? [{disk:kernel}]}{? tag#{tag:num}}  CDB: {cdb:text}" [
            "sd 0:0:0:0: [sda] tag#7 CDB: Read(10) 28 00 00 85 4f 28 00 00 08 00",
            "sd 0:0:0:0: [sda] tag#69 CDB: opcode=0x28 28 00 00 00 12 30 00 00 08 00",
            "sd 0:0:0:0: [sda] CDB: \nRead(10): 28 00 00 85 4f 28 00 00 08 00",
        ];
    }
    "scsi-cdb-piece" => SCSI_CMD_FAILED, "scsi.pieces"; ContinuesPart; [] {
        "3.x, in pieces" "CDB:{?  {cdb:text}}" ["CDB:", "CDB: Read(10): 28 00 00 85 4f 28 00 00 08 00"];
        "3.x, in pieces" "{:Read|Write}({:6|10|12|16|32}): {cdb:text}" ["Read(10): 28 00 00 85 4f 28 00 00 08 00"];
    }
    "scsi-unhandled" => SCSI_CMD_FAILED, "scsi.pieces"; ScsiPart; [] {
        "3.x" "{:sd|scsi|sr} {scsi:scsi}:{? [{disk:kernel}]}  Unhandled {:sense|error} code" ["sd 0:0:0:0: [sda] Unhandled sense code"];
        "3.x: the begin of a line that goes on" "{:sd|scsi|sr} {scsi:scsi}: [{disk:kernel}]" ["sd 0:0:0:0: [sda]  "];
    }
    "scsi-rejecting" => SCSI_DEVICE_OFFLINE, "scsi.rejecting"; No; [] {
        "" "{:sd|scsi|sr|st|ses|ch} {scsi:scsi}:{? [{disk:kernel}]} rejecting I/O to {state:offline|dead} device" [
            "sd 0:0:0:0: rejecting I/O to offline device",
            "sd 0:0:0:0: rejecting I/O to dead device",
            "sd 3:0:0:0: [sda] rejecting I/O to offline device",
        ];
    }
    "scsi-offlined" => SCSI_DEVICE_OFFLINED, "scsi.offlined"; No; [] {
        "" "{:sd|scsi|sr|st|ses|ch} {scsi:scsi}:{? [{disk:kernel}]} Device offlined - {why:text}" [
            "sd 0:0:0:0: Device offlined - not ready after error recovery",
        ];
    }
    "scsi-medium-access-timeout" => SCSI_DEVICE_OFFLINED, "scsi.medium-access-timeout"; Scsi; [] {
        "" "sd {scsi:scsi}:{? [{disk:kernel}]}{? tag#{tag:num}} Medium access timeout failure. Offlining disk!" [
            "sd 0:0:0:0: [sda] tag#5 Medium access timeout failure. Offlining disk!",
            "sd 0:0:0:0: [sda] Medium access timeout failure. Offlining disk!",
        ];
    }
    "scsi-offline-or-changed" => SCSI_DEVICE_OFFLINE, "scsi.offline-or-changed"; Scsi; [] {
        "" "sd {scsi:scsi}:{? [{disk:kernel}]}{? tag#{tag:num}} device offline or changed" [
            "sd 0:0:0:0: [sda] tag#3 device offline or changed",
        ];
    }
    "scsi-timing-out" => SCSI_CMD_TIMEOUT, "scsi.timing-out"; Scsi; [] {
        "" "{:sd|scsi|sr|st|ses|ch} {scsi:scsi}:{? [{disk:kernel}]}{? tag#{tag:num}} timing out command, waited {seconds:num}s" [
            "sd 0:0:0:0: [sda] tag#1 timing out command, waited 180s",
            "sd 0:0:0:0: timing out command, waited 180s",
        ];
    }
    "scsi-reservation-conflict" => SCSI_RESERVATION_CONFLICT, "scsi.reservation-conflict"; No; [] {
        "" "{:sd|scsi|sr|st|ses|ch} {scsi:scsi}:{? [{disk:kernel}]}{? tag#{tag:num}} reservation conflict" ["sd 0:0:0:0: reservation conflict"];
    }
    "scsi-reset" => SCSI_DEVICE_RESET, "scsi.reset"; No; [
        // No driver has taken it yet: it says so whenever a device is found.
        is("driver", &["scsi"]) => SCSI_DEVICE_RESET at Info,
    ] {
        "" "{driver:sd|scsi|sr|st|ses|ch} {scsi:scsi}:{? [{disk:kernel}]} Power-on or device reset occurred" [
            "sd 0:0:0:0: Power-on or device reset occurred",
            "scsi 0:0:0:0: Power-on or device reset occurred",
        ];
    }
    "scsi-thin-threshold" => SCSI_THIN_SOFT_THRESHOLD, "scsi.thin-threshold"; No; [] {
        "" "{:sd|scsi} {scsi:scsi}:{? [{disk:kernel}]} Warning! Received an indication that the LUN reached a thin provisioning soft threshold." [
            "sd 0:0:0:0: Warning! Received an indication that the LUN reached a thin provisioning soft threshold.",
        ];
    }
    "scsi-inquiry-changed" => SCSI_UA_INQUIRY_CHANGED, "scsi.unit-attention"; No; [] {
        "" "{:sd|scsi|sr|st|ses|ch} {scsi:scsi}:{? [{disk:kernel}]} Inquiry data has changed" ["sd 0:0:0:0: Inquiry data has changed"];
    }
    "scsi-luns-changed" => SCSI_UA_LUNS_CHANGED, "scsi.unit-attention"; No; [] {
        "" "{:sd|scsi|sr|st|ses|ch} {scsi:scsi}:{? [{disk:kernel}]} {?Warning! Received an indication that the }LUN assignments on this target have changed.{:any}" [
            "sd 0:0:0:0: LUN assignments on this target have changed. The Linux SCSI layer does not automatically remap LUN assignments.",
            "sd 2:0:0:1: Warning! Received an indication that the LUN assignments on this target have changed. The Linux SCSI layer does not automatically",
        ];
    }
    "scsi-capacity-changed" => SCSI_UA_CAPACITY_CHANGED, "scsi.unit-attention"; No; [] {
        "" "{:sd|scsi|sr|st|ses|ch} {scsi:scsi}:{? [{disk:kernel}]} Capacity data has changed" ["sd 0:0:0:0: Capacity data has changed"];
    }
    "scsi-access-state-changed" => SCSI_UA_ALUA_CHANGED, "scsi.unit-attention"; No; [] {
        "" "{:sd|scsi|sr|st|ses|ch} {scsi:scsi}:{? [{disk:kernel}]} Asymmetric access state changed" ["sd 0:0:0:0: Asymmetric access state changed"];
    }
    "scsi-parameters-changed" => SCSI_UA_PARAMETERS_CHANGED, "scsi.unit-attention"; No; [] {
        "" "{:sd|scsi|sr|st|ses|ch} {scsi:scsi}:{? [{disk:kernel}]} {what:Mode parameters|Parameters} changed" [
            "sd 0:0:0:0: Mode parameters changed",
            "sd 0:0:0:0: Parameters changed",
        ];
        "" "{:sd|scsi|sr|st|ses|ch} {scsi:scsi}:{? [{disk:kernel}]} {?Warning! Received an indication that the }{what:Operating parameters|operating parameters} on this target have changed.{:any}" [
            "sd 0:0:0:0: Warning! Received an indication that the operating parameters on this target have changed. The Linux SCSI layer does not automatically",
            "sd 0:0:0:0: Operating parameters on this target have changed. The Linux SCSI layer does not automatically adjust these parameters.",
        ];
    }
    "scsi-attached" => SCSI_DISK_ATTACHED, "scsi.attached"; No; [] {
        "" "{:sd|sr} {scsi:scsi}: [{disk:kernel}] Attached SCSI {kind:disk|removable disk|CD-ROM}" [
            "sd 0:0:0:0: [sda] Attached SCSI disk",
            "sd 6:0:0:0: [sdb] Attached SCSI removable disk",
        ];
    }
    "scsi-detaching" => SCSI_DISK_DETACHING, "scsi.detaching"; No; [] {
        "" "sd {scsi:scsi}: [{disk:kernel}] {what:Synchronizing SCSI cache|Stopping disk|Starting disk}" [
            "sd 0:0:0:0: [sda] Synchronizing SCSI cache",
            "sd 0:0:0:0: [sda] Stopping disk",
        ];
    }
    "scsi-write-protect" => SCSI_WRITE_PROTECTED, "scsi.write-protect"; No; [is("protected", &["off"]) => SCSI_DISK_STATE] {
        "" "sd {scsi:scsi}: [{disk:kernel}] Write Protect is {protected:on|off}" [
            "sd 0:0:0:0: [sda] Write Protect is on",
            "sd 0:0:0:0: [sda] Write Protect is off",
        ];
    }
    "scsi-size" => SCSI_DISK_STATE, "scsi.size"; No; [] {
        "" "sd {scsi:scsi}: [{disk:kernel}] {blocks:num} {block_size:num}-byte logical blocks: ({size:text})" [
            "sd 0:0:0:0: [sda] 1953525168 512-byte logical blocks: (1.00 TB/932 GiB)",
        ];
    }
    "scsi-flush-failed" => SCSI_FLUSH_FAILED, "scsi.flush-failed"; No; [
        // The disk is gone already: what can still be said is said by what lost it.
        is("hostbyte", &["DID_BAD_TARGET", "DID_NO_CONNECT", "0x01", "0x04"]) => SCSI_FLUSH_FAILED at Warning,
    ] {
        "" "sd {scsi:scsi}: [{disk:kernel}] Synchronize Cache({:10|16}) failed: Result: hostbyte={hostbyte:word} driverbyte={driverbyte:word}" [
            "sd 0:0:0:0: [sda] Synchronize Cache(10) failed: Result: hostbyte=DID_BAD_TARGET driverbyte=DRIVER_OK",
            "sd 0:0:0:0: [sda] Synchronize Cache(10) failed: Result: hostbyte=DID_ERROR driverbyte=DRIVER_OK",
        ];
    }
    "scsi-spinning-up" => SCSI_SPINUP, "scsi.spinup"; No; [has("how", &["not responding"]) => SCSI_SPINUP_FAILED] {
        "" "sd {scsi:scsi}: [{disk:kernel}] Spinning up disk{how:any}" [
            "sd 0:0:0:0: [sda] Spinning up disk...",
            "sd 0:0:0:0: [sda] Spinning up disk.....ready",
            "sd 0:0:0:0: [sda] Spinning up disk....not responding...",
        ];
    }
    "scsi-unit-not-ready" => SCSI_NOT_READY, "scsi.unit-not-ready"; Scsi; [] {
        "" "sd {scsi:scsi}: [{disk:kernel}]{? tag#{tag:num}} Unit Not Ready" ["sd 0:0:0:0: [sda] Unit Not Ready"];
    }
    "scsi-unaligned" => SCSI_UNALIGNED_COMPLETION, "scsi.unaligned"; No; [] {
        "" "sd {scsi:scsi}: [{disk:kernel}]{? tag#{tag:num}} Unaligned partial completion (resid={resid:num}, sector_sz={sector_size:num})" [
            "sd 0:0:0:0: [sda] Unaligned partial completion (resid=13312, sector_sz=4096)",
        ];
    }
    "scsi-found" => SCSI_DEVICE_FOUND, "scsi.found"; No; [] {
        "" "scsi {scsi:scsi}: {kind:Direct-Access|Sequential-Access|CD-ROM|Optical Device|Medium Changer|Enclosure|RAID|Direct-Access-ZBC|Processor|Unknown}  {model:text} PQ: {pq:num} ANSI: {ansi:num}{:any}" [
            "scsi 2:0:0:0: Direct-Access     ATA      Model            0001 PQ: 0 ANSI: 5",
        ];
    }
    "scsi-alua-state" => SCSI_ALUA_STATE, "scsi.alua"; No; [
        is("state", &["U", "O"]) => SCSI_ALUA_STATE at Warning,
    ] {
        "" "{:sd|scsi} {scsi:scsi}: alua: port group {group:hex} state {state:A|N|S|U|L|O|T|V|X} {preferred:preferred|non-preferred} supports {supports:word}" [
            "sd 0:0:0:0: alua: port group 01 state A preferred supports tolusna",
            "sd 0:0:0:0: alua: port group 02 state U non-preferred supports tolusna",
        ];
    }
}
