//! DRBD 9 and 8.4.
//!
//! `drbdsetup events2` is the structured source of states; lines of the log are for history, and for the causes. A line can have several
//! changes: the worst of them, which is the first that its cases name, says what it is.

use crate::catalogue::rule::{change, is, rules};

/// Ends of a connection that nobody asked for.
const BROKEN: &[&str] = &["NetworkFailure", "Timeout", "BrokenPipe", "ProtocolError"];

/// Reasons of DRBD 9 for changes that somebody asked for.
const ASKED_FOR: &[&str] = &["down", "detach", "disconnect", "del-minor", "del-peer", "del-resource"];

rules! {
    "drbd-state" => DRBD_STATE_CHANGE, "drbd.state", "drbd.disk-failed", "drbd.quorum-lost", "drbd.connection-lost"; No; [
        is("reason", ASKED_FOR) => DRBD_STATE_CHANGE,
        change("disk", &[], &["Failed"]) => DRBD_DISK_FAILED,
        change("quorum", &[], &["no"]) => DRBD_QUORUM_LOST,
        change("conn", &[], BROKEN) => DRBD_CONN_LOST,
        change("susp-io", &["no"], &[]) => DRBD_SUSPENDED,
        change("pdsk", &[], &["Failed"]) => DRBD_PEER_DISK_FAILED,
        change("disk", &["UpToDate"], &["Outdated"]) => DRBD_DISK_OUTDATED,
        change("disk", &["UpToDate", "Outdated", "Consistent"], &["Inconsistent"]) => DRBD_DISK_INCONSISTENT,
        change("conn", &[], &["StandAlone"]) => DRBD_STANDALONE,
        change("conn", &["Connected"], &["TearDown", "Disconnecting"]) => DRBD_DISCONNECTED,
        change("conn", &[], &["Connected"]) => DRBD_CONNECTED,
        change("quorum", &[], &["yes"]) => DRBD_QUORUM_REGAINED,
        change("susp-io", &[], &["no"]) => DRBD_RESUMED,
        change("disk", &[], &["UpToDate"]) => DRBD_DISK_UPTODATE,
        change("pdsk", &[], &["UpToDate"]) => DRBD_PEER_DISK_UPTODATE at Info,
        change("role", &[], &[]) => DRBD_ROLE_CHANGE,
        change("peer", &[], &[]) => DRBD_ROLE_CHANGE,
    ] {
        "9: of a volume" "drbd {resource:volume} {dev!:kernel}: {changes:changes} ){? [{reason:word}]}" [
            "drbd r0/0 drbd1000: disk( UpToDate -> Failed ) quorum( yes -> no )",
            "drbd r0/0 drbd1000: disk( UpToDate -> Failed )",
            "drbd r1/0 drbd20: quorum( yes -> no )",
            "drbd r0/0 drbd10: quorum( no -> yes ) [connected]",
            "drbd r0/0 drbd10: disk( UpToDate -> Outdated ) [far-away]",
            "drbd r0/0 drbd10: disk( Inconsistent -> UpToDate ) [primary]",
            "drbd r0/0 drbd10: disk( Diskless -> Attaching ) [attach]",
            "drbd r0/0 drbd10: disk( Outdated -> Inconsistent ) [receive-bitmap]",
            "drbd r0/0 drbd10: disk( UpToDate -> Detaching ) [down]",
        ];
        "9: of a peer's volume" "drbd {resource:volume} {dev!:kernel} {peer:word}: {changes:changes} ){? [{reason:word}]}" [
            "drbd r0/0 drbd1000 peer1: pdsk( UpToDate -> DUnknown ) repl( Established -> Off ) resync-susp( no -> peer )",
            "drbd r0/0 drbd1000 peer1: pdsk( UpToDate -> Failed )",
            "drbd r0/0 drbd1000 peer1: pdsk( Inconsistent -> UpToDate ) repl( SyncSource -> Established ) [resync-finished]",
        ];
        "9: of a connection" "drbd {resource:drbd} {peer:word}: {changes:changes} ){? [{reason:word}]}" [
            "drbd r0 peer1: conn( Connected -> NetworkFailure ) peer( Primary -> Unknown )",
            "drbd r0 peer1: conn( Connecting -> Connected ) peer( Unknown -> Secondary ) [connected]",
            "drbd r0 peer1: conn( Disconnecting -> StandAlone ) [disconnected]",
            "drbd r0 peer1: conn( Connected -> TearDown ) peer( Secondary -> Unknown ) [remote]",
        ];
        "9: of a resource; 8.4: of a connection" "drbd {resource:drbd}: {changes:changes} ){? [{reason:word}]}" [
            "drbd r0: role( Secondary -> Primary ) [primary]",
            "drbd r0: susp-io( no -> fencing )",
            "drbd r0: susp-io( fencing -> no )",
            "drbd r0: force-io-failures( no -> yes )",
            "drbd r0: peer( Secondary -> Unknown ) conn( Connected -> NetworkFailure ) pdsk( UpToDate -> DUnknown ) ",
        ];
    }
    "drbd84-state" => DRBD_STATE_CHANGE, "drbd.state"; No; [
        change("conn", &[], BROKEN) => DRBD_CONN_LOST,
        change("susp", &["0"], &["1"]) => DRBD_SUSPENDED,
        // Said at an orderly shutdown, too: not by itself a failure.
        change("disk", &[], &["Failed"]) => DRBD_DISK_DOWN,
        change("disk", &["UpToDate"], &["Outdated"]) => DRBD_DISK_OUTDATED,
        change("conn", &["WFReportParams"], &["Connected", "WFBitMapS", "WFBitMapT"]) => DRBD_CONNECTED,
        change("susp", &[], &["0"]) => DRBD_RESUMED,
        change("disk", &[], &["UpToDate"]) => DRBD_DISK_UPTODATE,
        change("pdsk", &[], &["UpToDate"]) => DRBD_PEER_DISK_UPTODATE at Info,
        change("role", &[], &[]) => DRBD_ROLE_CHANGE,
        change("peer", &[], &[]) => DRBD_ROLE_CHANGE,
    ] {
        "8.4" "block {dev:kernel}: {changes:changes} )" [
            "block drbd0: disk( UpToDate -> Failed ) ",
            "block drbd0: peer( Unknown -> Secondary ) conn( WFReportParams -> Connected ) pdsk( DUnknown -> Inconsistent ) ",
            "block drbd0: role( Secondary -> Primary ) disk( Inconsistent -> UpToDate ) ",
            "block drbd0: susp( 0 -> 1 ) ",
            "block drbd0: susp( 1 -> 0 ) ",
            "block drbd0: conn( Connected -> NetworkFailure ) ",
            "block drbd0: peer( Unknown -> Primary ) conn( WFConnection -> WFReportParams ) disk( UpToDate -> Outdated ) pdsk( DUnknown -> UpToDate ) ",
            "block drbd0: conn( SyncSource -> Connected ) pdsk( Inconsistent -> UpToDate ) ",
            "block drbd0: role( Primary -> Secondary ) ",
            "block drbd0: peer( Primary -> Secondary ) ",
        ];
    }
    "drbd-local-error" => DRBD_LOCAL_IO_ERROR, "drbd.local-error"; No; [] {
        "9" "drbd {resource:volume} {dev!:kernel}: local {operation:WRITE|READ|DISCARD} IO error sector {sector:num}+{sectors:num} on {disk:kernel}" [
            "drbd r0/0 drbd1000: local WRITE IO error sector 1234+8 on sdb1",
        ];
        "8.4" "block {dev:kernel}: local {operation:WRITE|READ|DISCARD} IO error sector {sector:num}+{sectors:num} on {disk:kernel}" [
            "block drbd0: local READ IO error sector 1234+8 on sdb1",
        ];
    }
    "drbd-detached" => DRBD_DETACHED, "drbd.detached"; No; [] {
        "9" "drbd {resource:volume} {dev!:kernel}: Local IO failed in {function:word} Detaching..." ["drbd r0/0 drbd1000: Local IO failed in drbd_endio_write_sec_final. Detaching..."];
        "8.4" "block {dev:kernel}: Local IO failed in {function:word} Detaching..." ["block drbd0: Local IO failed in __req_mod. Detaching..."];
    }
    "drbd-request-lost" => DRBD_IO_LOST, "drbd.io-lost"; No; [] {
        "9" "drbd {resource:volume} {dev!:kernel}: IO ERROR: neither local nor remote data, sector {sector:num}+{sectors:num}" [
            "drbd r0/0 drbd1000: IO ERROR: neither local nor remote data, sector 1234+8",
        ];
        "8.4" "block {dev:kernel}: IO ERROR: neither local nor remote data, sector {sector:num}+{sectors:num}" [
            "block drbd0: IO ERROR: neither local nor remote data, sector 1234+8",
        ];
    }
    "drbd-split-brain" => DRBD_SPLIT_BRAIN, "drbd.split-brain"; No; [] {
        "9" "drbd {resource:volume} {dev!:kernel} {peer:word}: Split-Brain detected but unresolved, dropping connection!" [
            "drbd r0/0 drbd1000 peer1: Split-Brain detected but unresolved, dropping connection!",
        ];
        "8.4" "block {dev:kernel}: Split-Brain detected but unresolved, dropping connection!" [
            "block drbd0: Split-Brain detected but unresolved, dropping connection!",
        ];
    }
    "drbd-split-brain-solved" => DRBD_SPLIT_BRAIN_SOLVED, "drbd.split-brain-solved"; No; [] {
        "9" "drbd {resource:volume} {dev!:kernel} {peer:word}: Split-Brain detected, {how:text} solved. Sync from {source:this|peer} node" [
            "drbd r0/0 drbd1000 peer1: Split-Brain detected, 1 primaries, automatically solved. Sync from peer node",
            "drbd r0/0 drbd1000 peer1: Split-Brain detected, manually solved. Sync from this node",
        ];
        "8.4" "block {dev:kernel}: Split-Brain detected, {how:text} solved. Sync from {source:this|peer} node" [
            "block drbd0: Split-Brain detected, manually solved. Sync from this node",
        ];
    }
    "drbd-unrelated" => DRBD_UNRELATED, "drbd.unrelated"; No; [] {
        "9" "drbd {resource:volume} {dev!:kernel} {peer:word}: Unrelated data, aborting!" ["drbd r0/0 drbd1000 peer1: Unrelated data, aborting!"];
        "8.4" "block {dev:kernel}: Unrelated data, aborting!" ["block drbd0: Unrelated data, aborting!"];
    }
    "drbd-refused" => DRBD_CONNECT_REFUSED, "drbd.refused"; No; [] {
        "9" "drbd {resource:volume} {dev!:kernel} {peer:word}: I shall become {role:=SyncTarget}, but I am primary!" [
            "drbd r1/0 drbd20 n2: I shall become SyncTarget, but I am primary!",
        ];
        "8.4" "block {dev:kernel}: I shall become {role:=SyncTarget}, but I am primary!" ["block drbd0: I shall become SyncTarget, but I am primary!"];
    }
    "drbd-peer-timeout" => DRBD_PEER_TIMEOUT, "drbd.peer-timeout"; No; [] {
        "" "drbd {resource:drbd}{? {peer:word}}: {what:PingAck did not arrive in time.|peer failed to send PingAck in time}" [
            "drbd r0 peer1: PingAck did not arrive in time.",
            "drbd r0: PingAck did not arrive in time.",
            "drbd r1 n2: peer failed to send PingAck in time",
        ];
        "9" "drbd {resource:drbd}{? {dev!:kernel}} {peer:word}: Remote failed to finish a request within {waited:num}ms > ko-count ({count:num}) * timeout ({timeout:num} * 0.1s)" [
            "drbd r0 peer1: Remote failed to finish a request within 6000ms > ko-count (7) * timeout (60 * 0.1s)",
        ];
        "8.4" "{?block {dev:kernel}: }{?drbd {resource:drbd}: }Remote failed to finish a request within {?ko-count * timeout}{?{waited:num}ms > ko-count ({count:num}) * timeout ({timeout:num} * 0.1s)}" [
            "block drbd0: Remote failed to finish a request within ko-count * timeout",
            "drbd r0: Remote failed to finish a request within 6000ms > ko-count (7) * timeout (60 * 0.1s)",
        ];
    }
    "drbd-peer-closed" => DRBD_PEER_CLOSED, "drbd.peer-closed"; No; [] {
        "" "drbd {resource:drbd}{? {peer:word}}: {what:sock was shut down by peer|meta connection shut down by peer.}" [
            "drbd r0 peer1: sock was shut down by peer",
            "drbd r0: meta connection shut down by peer.",
        ];
    }
    "drbd-resync-start" => DRBD_RESYNC_START, "drbd.resync"; No; [] {
        "9" "drbd {resource:volume} {dev!:kernel} {peer:word}: Began resync as {role:word} (will sync {kib:num} {:KB|KiB} [{bits:num} bits set])." [
            "drbd r0/0 drbd1000 peer1: Began resync as SyncTarget (will sync 1024 KB [256 bits set]).",
        ];
        "8.4" "block {dev:kernel}: Began resync as {role:word} (will sync {kib:num} {:KB|KiB} [{bits:num} bits set])." [
            "block drbd0: Began resync as SyncSource (will sync 524236 KB [131059 bits set]).",
        ];
    }
    "drbd-resync-end" => DRBD_RESYNC_END, "drbd.resync"; No; [
        is("what", &["Resync aborted", "partial resync aborted"]) => DRBD_RESYNC_ABORTED,
        is("what", &["Online verify done", "Online verify aborted"]) => DRBD_VERIFY_DONE,
    ] {
        "9" "drbd {resource:volume} {dev!:kernel} {peer:word}: {?{kind:partial|reconciliation|paused} }{what:Resync done|Resync aborted|resync done|resync aborted|Online verify done|Online verify aborted} (total {seconds:num} sec; paused {paused:num} sec; {rate:num} K/sec){:any}" [
            "drbd r0/0 drbd1000 peer1: Resync done (total 3 sec; paused 0 sec; 341 K/sec)",
            "drbd r0/0 drbd1000 peer1: Resync aborted (total 3 sec; paused 0 sec; 341 K/sec)",
            "drbd r0/0 drbd1000 peer1: Online verify done (total 3 sec; paused 0 sec; 341 K/sec)",
        ];
        "8.4" "block {dev:kernel}: {what:Resync done|Resync aborted|Online verify done|Online verify aborted} (total {seconds:num} sec; paused {paused:num} sec; {rate:num} K/sec)" [
            "block drbd0: Resync done (total 14 sec; paused 0 sec; 37444 K/sec)",
            "block drbd0: Online verify done (total 14 sec; paused 0 sec; 37444 K/sec)",
        ];
    }
    "drbd-verify-differs" => DRBD_OOS, "drbd.verify"; No; [] {
        "9" "drbd {resource:volume} {dev!:kernel} {peer:word}: Online verify found {blocks:num} {:4k|4K} block{?s} out of sync!" [
            "drbd r0/0 drbd1000 peer1: Online verify found 3 4k blocks out of sync!",
        ];
        "8.4" "block {dev:kernel}: Online verify found {blocks:num} {:4k|4K} block{?s} out of sync!" ["block drbd0: Online verify found 1 4k block out of sync!"];
    }
    "drbd-digest" => DRBD_DIGEST, "drbd.digest"; No; [] {
        "9" "drbd {resource:volume} {dev!:kernel} {peer:word}: Digest integrity check FAILED{?. Broken NICs?}{?: {detail:text}}" [
            "drbd r0/0 drbd1000 peer1: Digest integrity check FAILED. Broken NICs?",
        ];
        "8.4" "block {dev:kernel}: Digest integrity check FAILED{?. Broken NICs?}{?: {detail:text}}" [
            "block drbd0: Digest integrity check FAILED: 1234s +4096",
        ];
    }
    "drbd-digest-modified" => DRBD_DIGEST_MODIFIED, "drbd.digest-modified"; No; [] {
        "9" "drbd {resource:volume} {dev!:kernel} {peer:word}: Digest mismatch, buffer modified by upper layers during write: {detail:text}" [
            "drbd r0/0 drbd1000 peer1: Digest mismatch, buffer modified by upper layers during write: 1234s +4096",
        ];
        "8.4" "block {dev:kernel}: Digest mismatch, buffer modified by upper layers during write: {detail:text}" [
            "block drbd0: Digest mismatch, buffer modified by upper layers during write: 1234s +4096",
        ];
    }
}
