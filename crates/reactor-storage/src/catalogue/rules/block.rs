//! The block layer, buffers, and the VFS.

use crate::catalogue::rule::{at_least, is, rules};

rules! {
    "block-error" => BLK_IO_ERROR, "block.io-error", "block.status-classes", "block.operations", "driver.loop"; No; [
        is("class", &["critical medium"]) => BLK_MEDIUM_ERROR,
        is("class", &["protection"]) => BLK_PROTECTION_ERROR,
        is("class", &["critical space allocation"]) => BLK_NOSPC,
        is("class", &["critical target"]) => BLK_TARGET_ERROR,
        is("class", &["critical nexus", "reservation conflict"]) => BLK_RESERVATION_CONFLICT,
        is("class", &["recoverable transport"]) => BLK_TRANSPORT_ERROR,
        is("class", &["timeout", "duration limit exceeded"]) => BLK_TIMEOUT,
        is("class", &["device offline"]) => BLK_DEVICE_OFFLINE,
        is("class", &["operation not supported"]) => BLK_NOT_SUPPORTED,
        is("class", &["kernel resource", "device resource", "nonblocking retry", "dm internal retry", "open zones exceeded", "active zones exceeded", "zone resource"]) => BLK_RESOURCE,
    ] {
        "5.17-" "{class:I/O|critical medium|critical target|critical nexus|reservation conflict|critical space allocation|recoverable transport|timeout|protection|device offline|operation not supported|kernel resource|device resource|nonblocking retry|dm internal retry|open zones exceeded|active zones exceeded|zone resource|duration limit exceeded|invalid} error, dev {dev:kernel}, sector {sector:num} op 0x{op:hex}:({op_name:word}) flags 0x{flags:hex}{? phys_seg {segments:num}}{? prio class {prio:num}}" [
            "I/O error, dev sda, sector 2048 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2",
            "critical medium error, dev sdb, sector 8738600 op 0x0:(READ) flags 0x84700 phys_seg 128 prio class 2",
            "critical target error, dev sda, sector 64 op 0x3:(DISCARD) flags 0x800 phys_seg 1 prio class 2",
            "critical nexus error, dev sdb, sector 0 op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 2",
            "reservation conflict error, dev sdb, sector 0 op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 2",
            "critical space allocation error, dev loop1, sector 8192 op 0x1:(WRITE) flags 0xc800 phys_seg 128 prio class 2",
            "recoverable transport error, dev sdc, sector 128 op 0x0:(READ) flags 0x4000 phys_seg 1 prio class 2",
            "timeout error, dev sdb, sector 1234 op 0x1:(WRITE) flags 0x0 phys_seg 2 prio class 0",
            "protection error, dev nvme0n1, sector 4096 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
            "device offline error, dev sdb, sector 2056 op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 2",
            "operation not supported error, dev loop0, sector 0 op 0x9:(WRITE_ZEROES) flags 0x800 phys_seg 0 prio class 2",
            "kernel resource error, dev vda, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
            "device resource error, dev sda, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
            "nonblocking retry error, dev sda, sector 8 op 0x0:(READ) flags 0x200000 phys_seg 1 prio class 2",
            "dm internal retry error, dev dm-0, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
            "open zones exceeded error, dev sdd, sector 524288 op 0x1:(WRITE) flags 0x0 phys_seg 1 prio class 2",
            "active zones exceeded error, dev nvme1n1, sector 524288 op 0xd:(ZONE_APPEND) flags 0x0 phys_seg 1 prio class 2",
            "duration limit exceeded error, dev sda, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
            "invalid error, dev sda, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
            "I/O error, dev ?, sector 0 op 0x2:(FLUSH) flags 0x800 phys_seg 0 prio class 0",
            "I/O error, dev loop0, sector 2048 op 0x0:(READ) flags 0x800 phys_seg 1 prio class 2",
            "I/O error, dev sda, sector 0 op 0x1:(WRITE) flags 0x800800 phys_seg 0 prio class 2 ",
            "I/O error, dev sdd, sector 0 op 0xf:(ZONE_RESET) flags 0x800 phys_seg 0 prio class 2",
            "I/O error, dev sdd, sector 0 op 0x22:(DRV_IN) flags 0x0 phys_seg 1 prio class 2",
        ];
        "3.19-5.16" "{:blk_update_request|print_req_error}: {class:I/O|critical medium|critical target|critical nexus|critical space allocation|recoverable transport|timeout|protection|operation not supported|kernel resource|device resource|nonblocking retry|dm internal retry} error, dev {dev:kernel}, sector {sector:num}{? op 0x{op:hex}:({op_name:word})}{? flags {flags:word}}{? phys_seg {segments:num}}{? prio class {prio:num}}" [
            "blk_update_request: I/O error, dev sda, sector 2048",
            "blk_update_request: critical medium error, dev sdb, sector 8738600 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 0",
            "print_req_error: I/O error, dev sdc, sector 2056",
            "print_req_error: critical target error, dev sda, sector 64 flags 0",
            "print_req_error: I/O error, dev fd0, sector 0 flags 80700",
        ];
        "-3.18" "end_request: {class:I/O|critical medium|critical target|critical nexus|critical space allocation|recoverable transport|timeout} error, dev {dev:kernel}, sector {sector:num}" [
            "end_request: I/O error, dev cciss!c0d0, sector 1234",
            "end_request: critical medium error, dev sdf, sector 39680",
        ];
    }
    "buffer-error" => BUF_IO_ERROR, "buffer.dev", "buffer.device"; No; [
        is("what", &["lost async page write", "lost sync page write"]) => BUF_WRITE_LOST,
    ] {
        "4.3-" "Buffer I/O error on dev {dev:kernel}, logical block {block:num}, {what:text}" [
            "Buffer I/O error on dev dm-0, logical block 1234, async page read",
            "Buffer I/O error on dev dm-0, logical block 1, lost async page write",
            "Buffer I/O error on dev md0, logical block 16385, lost sync page write",
        ];
        "-4.2, and ext4 in all" "Buffer I/O error on device {dev:kernel}, logical block {block:num}" [
            "Buffer I/O error on device sdf, logical block 4960",
            "Buffer I/O error on device dm-0, logical block 1234",
        ];
    }
    "buffer-write-lost" => BUF_WRITE_LOST, "buffer.lost-old"; No; [] {
        "-4.2" "lost page write due to I/O error on {dev:kernel}" ["lost page write due to I/O error on sdf"];
    }
    "beyond-end" => BLK_BEYOND_END, "block.beyond-end"; No; [] {
        "4.3-" "{task:text}: attempt to access beyond end of device  {dev:kernel}: rw={rw:num}, {?want={want:num}, }{?sector={sector:num}, nr_sectors = {sectors:num} }limit={limit:num}" [
            "mount: attempt to access beyond end of device\nsda1: rw=0, sector=208, nr_sectors = 8 limit=200",
            "kworker/u8:2: attempt to access beyond end of device\ndm-3: rw=2049, want=2104, limit=2048",
        ];
        "as two messages, or the first line of a file" "{?{task:text}: }attempt to access beyond end of device" [
            "attempt to access beyond end of device",
            "mount: attempt to access beyond end of device",
        ];
    }
    "beyond-end-rest" => BLK_BEYOND_END, "block.beyond-end"; ContinuesPart; [] {
        "as two messages, or the second line of a file" "{dev:kernel}: rw={rw:num}, {?want={want:num}, }{?sector={sector:num}, nr_sectors = {sectors:num} }limit={limit:num}" [
            "sda1: rw=0, sector=208, nr_sectors = 8 limit=200",
            "sdb: rw=0, want=2104, limit=2048",
        ];
    }
    "write-to-read-only" => BLK_WRITE_TO_RO, "block.write-to-ro"; No; [] {
        "" "Trying to write to read-only block-device {dev:kernel}{? (partno {part:num})}" [
            "Trying to write to read-only block-device sda1",
            "Trying to write to read-only block-device sda (partno 1)",
        ];
    }
    "capacity-changed" => BLK_CAPACITY_CHANGED, "block.capacity"; No; [
        is("from", &["0"]) => BLK_DEVICE_SIZED,
        is("to", &["0"]) => BLK_DEVICE_SIZED,
    ] {
        "" "{dev:kernel}: detected capacity change from {from:num} to {to:num}" [
            "sdb: detected capacity change from 2097152 to 4194304",
            "loop0: detected capacity change from 0 to 131072",
            "md0: detected capacity change from 129024 to 0",
        ];
    }
    "inode-writeback-failed" => BLK_WRITEBACK_FAILED, "block.writeback"; No; [] {
        "" "VFS: Dirty inode writeback failed for block device {dev:kernel} (err={errno:int})." [
            "VFS: Dirty inode writeback failed for block device sda1 (err=-5).",
        ];
    }
    "protection-information" => BLK_PI_ERROR, "block.t10-pi"; No; [] {
        "" "{dev:kernel}: {tag:guard|ref|app} tag error at {:sector|location} {sector:num} (rcvd {received:hex}{?, want {wanted:hex}})" [
            "sda: guard tag error at sector 1234 (rcvd 1a2b, want 3c4d)",
            "sda: ref tag error at location 12 (rcvd 0)",
        ];
    }
    "iomap-writeback" => FS_WRITEBACK_ERROR, "iomap.writeback"; No; [] {
        "5.5-" "{dev:kernel}: writeback error on inode {inode:num}, offset {offset:num}, sector {sector:num}" [
            "dm-0: writeback error on inode 131, offset 0, sector 6432",
        ];
    }
    "lost-error-report" => FS_REPORT_LOST, "block.lost-report-7.2"; No; [] {
        "7.0-" "{dev:kernel}: lost filesystem error report for type {type:num} error {errno:int}" [
            "md0: lost filesystem error report for type 5 error -5",
        ];
    }
    "loop-write" => LOOP_WRITE_ERROR, "driver.loop-write"; No; [] {
        "" "loop: {what:Write|Read|Transfer} error at byte offset {offset:num}, length {length:num}." [
            "loop: Write error at byte offset 4194304, length 4096.",
        ];
    }
    "hung-task" => TASK_HUNG, "task.hung"; No; [
        // From ten minutes on, whatever it waits for is not slow but stuck.
        at_least("seconds", 600) => TASK_HUNG at Error,
    ] {
        "" "INFO: task {task:text}:{pid:num} {:blocked|blocked in I/O wait} for more than {seconds:num} seconds." [
            "INFO: task jbd2/sda1-8:345 blocked for more than 120 seconds.",
            "INFO: task kworker/u4:2:81 blocked in I/O wait for more than 614 seconds.",
        ];
    }
    "pci-aer" => PCI_AER, "pci.aer"; No; [
        // What the hardware put right by itself.
        is("kind", &["Corrected", "Correctable", "Multiple Corrected", "Multiple Correctable"]) => PCI_AER at Notice,
    ] {
        "" "{:pcieport|nvme|mpt3sas|megaraid_sas|ahci|lpfc|qla2xxx} {pci:pci}: AER: {kind:Multiple Corrected|Multiple Correctable|Multiple Uncorrected (Non-Fatal)|Multiple Uncorrectable (Non-Fatal)|Multiple Uncorrected (Fatal)|Multiple Uncorrectable (Fatal)|Corrected|Correctable|Uncorrected (Non-Fatal)|Uncorrectable (Non-Fatal)|Uncorrected (Fatal)|Uncorrectable (Fatal)} error {?message }received: {from!:pci}" [
            "pcieport 0000:00:1c.0: AER: Corrected error received: 0000:00:1c.0",
            "pcieport 0000:00:1c.0: AER: Uncorrected (Fatal) error received: 0000:01:00.0",
            "pcieport 0000:00:1c.0: AER: Multiple Correctable error message received: 0000:01:00.0",
        ];
        "" "{:pcieport|nvme} {pci:pci}: PCIe Bus Error: severity={kind:Corrected|Correctable|Uncorrected (Non-Fatal)|Uncorrectable (Non-Fatal)|Uncorrected (Fatal)|Uncorrectable (Fatal)}, type={type:text}, {:any}" [
            "nvme 0000:01:00.0: PCIe Bus Error: severity=Corrected, type=Physical Layer, (Receiver ID)",
        ];
    }
    "callbacks-suppressed" => LOG_SUPPRESSED, "log.suppressed"; No; [] {
        "" "{function:text}: {count:num} callbacks suppressed" [
            "blk_print_req_error: 12 callbacks suppressed",
            "buffer_io_error: 506 callbacks suppressed",
            "EXT4-fs warning: 3 callbacks suppressed",
        ];
        "" "{function:text}: {count:num} output lines suppressed due to ratelimiting" [
            "EXT4-fs warning: 3 output lines suppressed due to ratelimiting",
        ];
    }
}
