//! SAS adapters, iSCSI, Fibre Channel, SRP, and USB storage.

use crate::catalogue::rule::rules;

rules! {
    "sas-task-abort" => SAS_TASK_ABORT, "sas.task-abort"; No; [] {
        "" "{:sd|scsi|st|ses} {scsi:scsi}: attempting task abort!{? }scmd({?0x}{cmd:hex}){?, outstanding for {age:num} ms & timeout {timeout:num} ms}" [
            "sd 0:0:9:0: attempting task abort!scmd(0x00000000a1b2c3d4), outstanding for 30192 ms & timeout 30000 ms",
            "sd 0:0:9:0: attempting task abort! scmd(ffff88203c1a2b00)",
        ];
    }
    "sas-log-info" => SAS_HBA_LOG, "sas.log-info"; No; [] {
        "" "{adapter:word}: log_info(0x{code:hex}): originator({originator:word}), code(0x{reason:hex}), sub_code(0x{detail:hex})" [
            "mpt3sas_cm0: log_info(0x31110d00): originator(PL), code(0x11), sub_code(0x0d00)",
        ];
    }
    "sas-fault" => SAS_HBA_FAULT, "sas.fault"; No; [] {
        "" "{adapter:word}: fault_state(0x{code:hex})!" ["mpt3sas_cm0: fault_state(0x2665)!"];
    }
    "iscsi-connection-error" => ISCSI_CONN_ERROR, "iscsi.conn-error"; No; [] {
        "" "connection{session:session}:{connection:num}: detected conn error ({code:num})" [" connection1:0: detected conn error (1020)"];
    }
    "iscsi-ping-timeout" => ISCSI_PING_TIMEOUT, "iscsi.ping-timeout"; No; [] {
        "" "connection{session:session}:{connection:num}: ping timeout of {seconds:num} secs expired, recv timeout {recv_timeout:num}, {:any}" [
            " connection1:0: ping timeout of 5 secs expired, recv timeout 5, last rx 4300012345, last ping 4300013595, now 4300014848",
        ];
    }
    "iscsi-session-lost" => ISCSI_SESSION_LOST, "iscsi.session-lost"; No; [] {
        "" "session{session:session}: session recovery timed out after {seconds:num} secs" [" session1: session recovery timed out after 120 secs"];
    }
    "iscsi-pdu-rejected" => ISCSI_PDU_REJECTED, "iscsi.pdu-rejected"; No; [] {
        "" "connection{session:session}:{connection:num}: pdu (op 0x{op:hex} itt 0x{itt:hex}) rejected{?.} {reason:text}" [
            " connection1:0: pdu (op 0x1 itt 0x17) rejected. Reason code 0x9",
            " connection1:0: pdu (op 0x1 itt 0x17) rejected due to DataDigest error.",
        ];
    }
    "fc-rport-lost" => FC_RPORT_LOST, "fc.rport-lost"; No; [] {
        "" "rport-{rport:rport}: blocked FC remote port time out: {what:text}" [
            " rport-7:0-4: blocked FC remote port time out: removing rport",
            " rport-7:0-4: blocked FC remote port time out: removing target and saving binding",
            " rport-7:0-4: blocked FC remote port time out: leaving rport and starget alone",
        ];
        "" "rport-{rport:rport}: {what:removing rport and starget|no longer a FCP target, removing starget|leaving rport and starget alone}" [
            " rport-7:0-4: no longer a FCP target, removing starget",
        ];
    }
    "qla-link-up" => FC_LINK_UP, "fc.qla-link"; No; [] {
        "" "qla2xxx [{pci:pci}]-{id:hex}:{host:scsihost}: LOOP UP detected ({speed:text})." ["qla2xxx [0000:05:00.0]-500a:7: LOOP UP detected (8 Gbps)."];
    }
    "qla-link-down" => FC_LINK_DOWN, "fc.qla-link"; No; [] {
        "" "qla2xxx [{pci:pci}]-{id:hex}:{host:scsihost}: LOOP DOWN detected ({codes:text})." ["qla2xxx [0000:05:00.0]-500b:7: LOOP DOWN detected (2 7 0 0)."];
    }
    "qla-lip" => FC_LIP, "fc.qla-link"; No; [] {
        "" "qla2xxx [{pci:pci}]-{id:hex}:{host:scsihost}: LIP {what:occurred|reset occurred} ({codes:text})." ["qla2xxx [0000:05:00.0]-5009:7: LIP occurred (f7f7)."];
    }
    "lpfc-link-up" => FC_LINK_UP, "fc.lpfc-link"; No; [] {
        "" "lpfc {pci:pci}: {board:num}:{?({port:num}):}{id:num} Link Up Event x{event:hex} received{:any}" [
            "lpfc 0000:04:00.0: 0:1303 Link Up Event x1 received Data: x1 x0 x10 x0 x0 x0 0",
        ];
    }
    "lpfc-link-down" => FC_LINK_DOWN, "fc.lpfc-link"; No; [] {
        "" "lpfc {pci:pci}: {board:num}:{?({port:num}):}{id:num} Link Down Event x{event:hex} received{:any}" [
            "lpfc 0000:04:00.0: 0:1305 Link Down Event x2 received Data: x2 x20 x800110 x0 x0",
        ];
    }
    "srp-reconnect-failed" => SRP_RECONNECT_FAILED, "srp.reconnect"; No; [] {
        "" "host{host:scsihost}: reconnect attempt {attempt:num} failed ({errno:int})" [" host7: reconnect attempt 3 failed (-104)"];
    }
    "srp-reconnected" => SRP_RECONNECTED, "srp.reconnect"; No; [] {
        "" "host{host:scsihost}: reconnect succeeded" [" host7: reconnect succeeded"];
    }
    "srp-fast-io-fail" => SRP_FAST_IO_FAIL, "srp.timers"; No; [] {
        "" "fast_io_fail_tmo expired for SRP port-{port:word} / host{host!:scsihost}." ["fast_io_fail_tmo expired for SRP port-7:1 / host7."];
    }
    "srp-device-loss" => SRP_DEV_LOSS, "srp.timers"; No; [] {
        "" "dev_loss_tmo expired for SRP port-{port:word} / host{host!:scsihost}." ["dev_loss_tmo expired for SRP port-7:1 / host7."];
    }
    "uas-abort" => USB_STORAGE_ABORT, "driver.uas"; No; [] {
        "" "{:sd|scsi|sr} {scsi:scsi}:{? [{disk:kernel}]}{? tag#{tag:num}} uas_eh_abort_handler {code:num} uas-tag {uas_tag:num} inflight: {inflight:text}" [
            "sd 6:0:0:0: [sdb] tag#3 uas_eh_abort_handler 0 uas-tag 4 inflight: CMD IN ",
        ];
    }
}
