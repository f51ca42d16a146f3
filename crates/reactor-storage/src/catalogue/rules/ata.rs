//! ATA. One failure is five to eight lines of one port, which end with `EH complete`.

use crate::catalogue::rule::{has, is, rules};

rules! {
    "ata-exception" => ATA_EXCEPTION, "ata.exception"; Ata; [] {
        "" "{port:ata}: {?limiting }exception Emask 0x{emask:hex} SAct 0x{sact:hex} SErr 0x{serr:hex} action 0x{action:hex}{? {flags:text}}" [
            "ata1.00: exception Emask 0x0 SAct 0x40 SErr 0x0 action 0x0",
            "ata1.00: exception Emask 0x10 SAct 0x0 SErr 0x400100 action 0x6 frozen",
            "ata1: exception Emask 0x10 SAct 0x0 SErr 0x4050000 action 0xe frozen t4",
        ];
    }
    "ata-failed-command" => ATA_EXCEPTION, "ata.failed-command"; AtaPart; [] {
        "" "{port:ata}: failed command: {command:text}" ["ata1.00: failed command: READ FPDMA QUEUED"];
    }
    "ata-taskfile" => ATA_EXCEPTION, "ata.taskfile"; AtaPart; [
        is("reason", &["media error"]) => ATA_UNC,
        is("reason", &["ATA bus error"]) => ATA_ICRC,
    ] {
        "" "{port:ata}: cmd {cmd:word} {cmd_rest:text}  res {res:word} Emask 0x{emask:hex} ({reason:text}){? <F>}" [
            "ata1.00: cmd 60/08:30:28:4f:85/00:00:00:00:00/40 tag 6 ncq dma 4096 in\n         res 41/40:08:28:4f:85/00:00:00:00:00/40 Emask 0x409 (media error) <F>",
            "ata2.00: cmd 35/00:08:80:08:10/00:00:00:00:00/e0 tag 5 dma 4096 out\n         res 51/84:00:80:08:10/00:00:00:00:00/e0 Emask 0x30 (host bus error)",
            "ata2.00: cmd c8/00:08:80:08:10/00:00:00:00:00/e0 tag 5 dma 4096 in\n         res 40/00:00:00:4f:c2/00:00:00:00:00/00 Emask 0x4 (timeout)",
            "ata2.00: cmd 35/00:08:80:08:10/00:00:00:00:00/e0 tag 5 dma 4096 out\n         res 51/84:00:80:08:10/00:00:00:00:00/e0 Emask 0x10 (ATA bus error)",
        ];
        "where a message is one line" "{port:ata}: cmd {cmd:word} {cmd_rest:text}" [
            "ata1.00: cmd 60/08:30:28:4f:85/00:00:00:00:00/40 tag 6 ncq dma 4096 in",
        ];
    }
    "ata-result" => ATA_EXCEPTION, "ata.taskfile"; ContinuesPart; [
        is("reason", &["media error"]) => ATA_UNC,
        is("reason", &["ATA bus error"]) => ATA_ICRC,
    ] {
        "where a message is one line" "res {res:word} Emask 0x{emask:hex} ({reason:text}){? <F>}" [
            "         res 41/40:08:28:4f:85/00:00:00:00:00/40 Emask 0x409 (media error) <F>",
            "         res 51/84:00:80:08:10/00:00:00:00:00/e0 Emask 0x10 (ATA bus error)",
        ];
    }
    "ata-status" => ATA_EXCEPTION, "ata.status"; AtaPart; [] {
        "" "{port:ata}: status: {{ {status:text} }}" ["ata1.00: status: { DRDY ERR }"];
    }
    "ata-error" => ATA_EXCEPTION, "ata.error"; AtaPart; [
        has("error", &["UNC"]) => ATA_UNC,
        has("error", &["ICRC"]) => ATA_ICRC,
    ] {
        "" "{port:ata}: error: {{ {error:text} }}" [
            "ata1.00: error: { UNC }",
            "ata1.00: error: { ICRC ABRT }",
            "ata1.00: error: { ABRT }",
        ];
    }
    "ata-serror" => ATA_EXCEPTION, "ata.serror"; AtaPart; [has("serror", &["BadCRC", "10B8B", "Dispar"]) => ATA_ICRC] {
        "" "{port:ata}: SError: {{ {serror:text} }}" [
            "ata1: SError: { PHYRdyChg CommWake }",
            "ata1: SError: { UnrecovData BadCRC }",
        ];
    }
    "ata-link-reset" => ATA_LINK_RESET, "ata.reset"; Ata; [] {
        "" "{port:ata}: {how:hard|soft} resetting {:link|port}" [
            "ata1: hard resetting link",
            "ata2: soft resetting link",
        ];
        "" "{port:ata}: {what:softreset failed|COMRESET failed|hardreset failed|SRST failed|reset failed} ({why:text}){:any}" [
            "ata1: softreset failed (device not ready)",
            "ata1: COMRESET failed (errno=-16)",
            "ata1: reset failed (errno=-32), retrying in 10 secs",
        ];
    }
    "ata-reset-failed" => ATA_RESET_FAILED, "ata.reset-failed"; Ata; [] {
        "" "{port:ata}: reset failed, giving up" ["ata1: reset failed, giving up"];
    }
    "ata-recovered" => ATA_RECOVERED, "ata.complete"; Ata; [] {
        "" "{port:ata}: EH complete" ["ata1: EH complete"];
    }
    "ata-slow" => ATA_LINK_SLOW, "ata.slow"; Ata; [] {
        "" "{port:ata}: {what:link|port|device} is slow to respond, please be patient{? (ready={ready:int})}{? (Status 0x{status:hex})}" [
            "ata1: link is slow to respond, please be patient (ready=0)",
            "ata1: port is slow to respond, please be patient (Status 0x80)",
        ];
    }
    "ata-disabled" => ATA_DEVICE_DISABLED, "ata.disabled"; Ata; [] {
        "" "{port:ata}: {:disable device|disabled}" ["ata1.00: disable device", "ata1.00: disabled"];
    }
    "ata-ncq-off" => ATA_NCQ_OFF, "ata.ncq"; Ata; [] {
        "" "{port:ata}: NCQ disabled due to excessive errors" ["ata1.00: NCQ disabled due to excessive errors"];
    }
    "ata-flush-failed" => ATA_FLUSH_FAILED, "ata.flush"; Ata; [] {
        "" "{port:ata}: FLUSH failed Emask 0x{emask:hex}" ["ata1.00: FLUSH failed Emask 0x4"];
    }
    "ata-link-down" => ATA_LINK_DOWN, "ata.link"; Ata; [
        // Nothing was there: an empty port says so at every boot.
        is("status", &["0"]) => ATA_LINK_DOWN at Info,
    ] {
        "" "{port:ata}: SATA link down (SStatus {status:hex} SControl {control:hex})" [
            "ata1: SATA link down (SStatus 0 SControl 300)",
            "ata1: SATA link down (SStatus 1 SControl 310)",
        ];
    }
    "ata-link-up" => ATA_LINK_UP, "ata.link"; Ata; [] {
        "" "{port:ata}: SATA link up {speed:text} (SStatus {status:hex} SControl {control:hex})" [
            "ata1: SATA link up 6.0 Gbps (SStatus 133 SControl 300)",
        ];
    }
    "ata-command-timeout" => ATA_QC_TIMEOUT, "ata.qc-timeout"; Ata; [] {
        "" "{port:ata}: qc timeout{? after {timeout:num} {:msecs|mseconds}} (cmd 0x{command:hex})" [
            "ata1.00: qc timeout after 5000 msecs (cmd 0xec)",
            "ata1.00: qc timeout (cmd 0xec)",
        ];
    }
    "ata-speed-limited" => ATA_SPEED_LIMITED, "ata.speed"; Ata; [] {
        "" "{port:ata}: limiting {:SATA link speed|speed} to {speed:text}" [
            "ata1: limiting SATA link speed to 3.0 Gbps",
            "ata1.00: limiting speed to UDMA/33:PIO4",
        ];
    }
    "ata-identify-failed" => ATA_IDENTIFY_FAILED, "ata.identify"; Ata; [] {
        "" "{port:ata}: revalidation failed (errno={errno:int})" ["ata1.00: revalidation failed (errno=-5)"];
        "" "{port:ata}: failed to IDENTIFY ({why:text}, err_mask=0x{mask:hex})" ["ata1.00: failed to IDENTIFY (I/O error, err_mask=0x4)"];
    }
    "ata-changed" => ATA_DEVICE_CHANGED, "ata.changed"; Ata; [] {
        "" "{port:ata}: {what:serial number|model number|class} mismatch '{old:text}' != '{new:text}'" [
            "ata1.00: serial number mismatch 'A' != 'B'",
            "ata1.00: model number mismatch 'Disk A' != 'Disk B'",
        ];
    }
}
