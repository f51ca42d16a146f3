//! NVMe, and NVMe over fabrics.

use crate::catalogue::rule::{is, rules};

rules! {
    "nvme-io-error" => NVME_IO_ERROR, "nvme.io-error"; No; [
        is("sct", &["2"]) => NVME_MEDIUM_ERROR,
        is("sct", &["3"]) => NVME_PATH_ERROR,
    ] {
        "5.17-" "{namespace:kernel}: {command:text}(0x{opcode:hex}) @ LBA {lba:num}, {blocks:num} blocks, {status:text} (sct 0x{sct:hex} / sc 0x{sc:hex}){? {flags:text}}" [
            "nvme0n1: I/O Cmd(0x2) @ LBA 1234, 8 blocks, I/O Error (sct 0x2 / sc 0x81) MORE DNR ",
            "nvme0n1: Read(0x2) @ LBA 1234, 8 blocks, Unrecovered Read Error (sct 0x2 / sc 0x81) DNR ",
            "nvme0c1n1: Write(0x1) @ LBA 1234, 8 blocks, Internal Path Error (sct 0x3 / sc 0x0) ",
            "nvme0n1: Write(0x1) @ LBA 99, 1 blocks, Namespace Not Ready (sct 0x0 / sc 0x82) ",
        ];
    }
    "nvme-admin-error" => NVME_ADMIN_ERROR, "nvme.admin-error"; No; [] {
        "5.17-" "{controller:nvme}: {command:text}(0x{opcode:hex}), {status:text} (sct 0x{sct:hex} / sc 0x{sc:hex}){? {flags:text}}" [
            "nvme0: Admin Cmd(0x6), I/O Error (sct 0x0 / sc 0x2) DNR ",
            "nvme0: Identify(0x6), Invalid Field in Command (sct 0x0 / sc 0x2) DNR cdw10=0x6 cdw11=0x0 cdw12=0x0 cdw13=0x0 cdw14=0x0 cdw15=0x0",
        ];
    }
    "nvme-timeout" => NVME_TIMEOUT, "nvme.timeout-6.1", "nvme.timeout-6.12", "nvme.timeout-tcp"; No; [
        is("action", &["completion polled"]) => NVME_TIMEOUT at Warning,
    ] {
        "6.8-" "nvme {controller:nvme}: I/O tag {tag:num} ({cid:hex}){? opcode 0x{opcode:hex} ({command:text})} QID {queue:num} timeout, {action:aborting req_op|aborting|reset controller|disable controller|completion polled}{:any}" [
            "nvme nvme0: I/O tag 778 (430a) opcode 0x2 (I/O Cmd) QID 8 timeout, aborting req_op:READ(0) size:4096",
            "nvme nvme0: I/O tag 778 (430a) opcode 0x2 (I/O Cmd) QID 8 timeout, reset controller",
            "nvme nvme0: I/O tag 778 (430a) QID 8 timeout, completion polled",
            "nvme nvme0: I/O tag 778 (430a) QID 8 timeout, disable controller",
        ];
        "-6.7" "nvme {controller:nvme}: I/O {tag:num}{? ({command:text})} QID {queue:num} timeout, {action:aborting|reset controller|disable controller|completion polled}" [
            "nvme nvme0: I/O 778 (I/O Cmd) QID 8 timeout, aborting",
            "nvme nvme0: I/O 778 QID 8 timeout, reset controller",
            "nvme nvme0: I/O 12 QID 0 timeout, disable controller",
            "nvme nvme0: I/O 778 QID 8 timeout, completion polled",
        ];
        "tcp, 6.8-" "nvme {controller:nvme}: I/O tag {tag:num} ({cid:hex}) type {type:num} opcode 0x{opcode:hex} ({command:text}) QID {queue:num} timeout" [
            "nvme nvme1: I/O tag 3 (1003) type 4 opcode 0x2 (I/O Cmd) QID 2 timeout",
        ];
        "tcp, -6.7" "nvme {controller:nvme}: queue {queue:num}: timeout request 0x{tag:hex} type {type:num}" [
            "nvme nvme1: queue 2: timeout request 0x3 type 4",
        ];
        "fc" "nvme {controller:nvme}: NVME-FC{{{id:num}}}: io timeout: opcode {opcode:num} fctype {type:num} ({command:text}) w10/11: {:any}" [
            "nvme nvme1: NVME-FC{0}: io timeout: opcode 1 fctype 0 (Write) w10/11: x0/x0",
        ];
    }
    "nvme-abort" => NVME_ABORT, "nvme.abort"; No; [] {
        "" "nvme {controller:nvme}: Abort status: 0x{status:hex}" ["nvme nvme0: Abort status: 0x0"];
    }
    "nvme-down" => NVME_CTRL_DOWN, "nvme.down"; No; [] {
        "" "nvme {controller:nvme}: controller is down; will reset: CSTS=0x{csts:hex}, {?PCI_STATUS=0x{pci_status:hex}}{?PCI_STATUS read failed ({errno:num})}" [
            "nvme nvme0: controller is down; will reset: CSTS=0xffffffff, PCI_STATUS=0x10",
            "nvme nvme0: controller is down; will reset: CSTS=0xffffffff, PCI_STATUS read failed (134)",
        ];
    }
    "nvme-not-ready" => NVME_CTRL_NOT_READY, "nvme.not-ready"; No; [] {
        "" "nvme {controller:nvme}: Device not ready; aborting {what:initialisation|reset|shutdown}{?, CSTS=0x{csts:hex}}" [
            "nvme nvme0: Device not ready; aborting initialisation, CSTS=0x0",
            "nvme nvme0: Device not ready; aborting reset, CSTS=0x1",
            "nvme nvme0: Device not ready; aborting shutdown, CSTS=0x5",
        ];
    }
    "nvme-dead" => NVME_CTRL_DEAD, "nvme.dead"; No; [] {
        "6.2-" "nvme {controller:nvme}: Disabling device after reset failure: {errno:int}" ["nvme nvme0: Disabling device after reset failure: -19"];
        "-6.1" "nvme {controller:nvme}: Removing after probe failure status: {errno:int}" ["nvme nvme0: Removing after probe failure status: -19"];
        "" "nvme {controller:nvme}: IO queues lost" ["nvme nvme0: IO queues lost"];
    }
    "nvme-reset" => NVME_CTRL_RESET, "nvme.reset"; No; [] {
        "" "nvme {controller:nvme}: resetting controller due to {why:persistent internal error|AER}" [
            "nvme nvme0: resetting controller due to persistent internal error",
            "nvme nvme0: resetting controller due to AER",
        ];
        "" "nvme {controller:nvme}: {why:=Fw activation timeout}, reset controller" ["nvme nvme0: Fw activation timeout, reset controller"];
    }
    "nvme-keep-alive" => NVME_KEEPALIVE_FAILED, "nvme.keep-alive"; No; [] {
        "" "nvme {controller:nvme}: failed nvme_keep_alive_end_io error={status:int}" ["nvme nvme0: failed nvme_keep_alive_end_io error=10"];
    }
    "nvme-failfast" => NVME_FAILFAST, "nvme.failfast"; No; [] {
        "" "nvme {controller:nvme}: failfast expired" ["nvme nvme0: failfast expired"];
    }
    "nvme-removed" => NVME_CTRL_REMOVED, "nvme.removed"; No; [] {
        "" "nvme {controller:nvme}: Removing ctrl: NQN \"{nqn:text}\"" ["nvme nvme0: Removing ctrl: NQN \"nqn.2026-01.org.example:a\""];
    }
    "nvme-rescan" => NVME_RESCAN, "nvme.rescan"; No; [] {
        "" "nvme {controller:nvme}: rescanning namespaces." ["nvme nvme0: rescanning namespaces."];
    }
    "nvme-ids" => NVME_ID_CHANGED, "nvme.ids"; No; [] {
        "" "nvme {controller:nvme}: {?globally }{what:identifiers changed for|duplicate IDs in subsystem for|duplicate IDs for} nsid {nsid:num}" [
            "nvme nvme0: identifiers changed for nsid 1",
            "nvme nvme0: duplicate IDs in subsystem for nsid 1",
            "nvme nvme0: globally duplicate IDs for nsid 1",
        ];
        "6.4-" "nvme {controller:nvme}: {what:=use of /dev/disk/by-id/ may cause data corruption}" ["nvme nvme0: use of /dev/disk/by-id/ may cause data corruption"];
    }
    "nvme-no-path" => NVME_NO_PATH, "nvme.no-path"; No; [] {
        "" "block {namespace:kernel}: no {:usable|available} path - {what:requeuing|failing} I/O" [
            "block nvme0n1: no usable path - requeuing I/O",
            "block nvme0n1: no available path - failing I/O",
        ];
    }
    "nvme-ana-timeout" => NVME_ANA_TIMEOUT, "nvme.ana-timeout"; No; [] {
        "" "nvme {controller:nvme}: ANATT timeout, resetting controller." ["nvme nvme0: ANATT timeout, resetting controller."];
    }
    "nvmeof-recovery" => NVMEOF_RECOVERY, "nvmeof.recovery"; No; [] {
        "" "nvme {controller:nvme}: starting error recovery" ["nvme nvme1: starting error recovery"];
        "fc" "nvme {controller:nvme}: NVME-FC{{{id:num}}}: controller connectivity lost. Awaiting Reconnect" [
            "nvme nvme1: NVME-FC{0}: controller connectivity lost. Awaiting Reconnect",
        ];
    }
    "nvmeof-reconnecting" => NVMEOF_RECONNECTING, "nvmeof.reconnecting"; No; [] {
        "" "nvme {controller:nvme}: Reconnecting in {seconds:num} seconds..." ["nvme nvme1: Reconnecting in 10 seconds..."];
        "" "nvme {controller:nvme}: Failed reconnect attempt {attempt:num}{?/{of:int}}" [
            "nvme nvme1: Failed reconnect attempt 3",
            "nvme nvme1: Failed reconnect attempt 3/60",
        ];
        "fc" "nvme {controller:nvme}: NVME-FC{{{id:num}}}: connectivity re-established. Attempting reconnect" [
            "nvme nvme1: NVME-FC{0}: connectivity re-established. Attempting reconnect",
        ];
    }
    "nvmeof-reconnected" => NVMEOF_RECONNECTED, "nvmeof.reconnected"; No; [] {
        "" "nvme {controller:nvme}: Successfully reconnected ({?attempt }{attempt:num}{?/{of:int}}{? attempt})" [
            "nvme nvme1: Successfully reconnected (1 attempt)",
            "nvme nvme1: Successfully reconnected (attempt 1/60)",
        ];
        "fc" "nvme {controller:nvme}: NVME-FC{{{id:num}}}: controller connect complete" ["nvme nvme1: NVME-FC{0}: controller connect complete"];
    }
    "nvmeof-lost" => NVMEOF_CTRL_LOST, "nvmeof.lost"; No; [] {
        "" "nvme {controller:nvme}: Removing controller{? ({status:num})}..." [
            "nvme nvme1: Removing controller (16770)...",
            "nvme nvme1: Removing controller...",
        ];
        "fc" "nvme {controller:nvme}: NVME-FC{{{id:num}}}: Max reconnect attempts ({attempts:num}) reached.{:any}" [
            "nvme nvme1: NVME-FC{0}: Max reconnect attempts (60) reached.",
        ];
        "fc" "nvme {controller:nvme}: NVME-FC{{{id:num}}}: dev_loss_tmo ({seconds:num}) expired while waiting for remoteport connectivity.{:any}" [
            "nvme nvme1: NVME-FC{0}: dev_loss_tmo (60) expired while waiting for remoteport connectivity.",
        ];
    }
    "nvmeof-digest" => NVMEOF_DIGEST, "nvmeof.digest"; No; [] {
        "" "nvme {controller:nvme}: {what:data|header} digest error: recv {?0x}{received:hex} expected {?0x}{expected:hex}" [
            "nvme nvme1: data digest error: recv 0x1b2c3d4e expected 0xa1b2c3d4",
        ];
    }
}
