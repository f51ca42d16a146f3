//! Recordings that are played: what changed, what the end is, and what would have been done.

use std::path::Path;

use expect_test::expect;
use reactor_core::api::drbdsetup_status::{self, Resource};

use crate::daemon::{check, reactorctl, recordings};
use crate::{Files, RULE};

#[test]
fn replay_without_configuration_shows_the_changes() {
    let mut command = reactorctl();
    command.arg("replay").arg(recordings().join("l-fencing-resource-only/n1.events2-ts"));
    check(
        command,
        &recordings(),
        &expect![[r#"
           +1.533s  Create f0 resource: role Secondary, may-promote no, promotion-score 0, suspended no, force-io-failures no, write-ordering none
           +1.558s  Create f0 device 0: minor 30, disk-state Diskless, client no, quorum yes, size 0, open no
           +1.590s  Create f0 connection n2: name n2, connection-state StandAlone, peer-role Unknown, congested no
           +1.590s  Create f0 peer-device 1/0: replication-state Off, peer-disk-state DUnknown, peer-client no, resync-suspended no
           +1.632s  Create f0 path ipv4:10.77.0.1:7002 ipv4:10.77.0.2:7002: established no
           +1.798s  Change f0 device 0: disk-state Diskless -> Attaching
           +1.811s  Change f0 device 0: disk-state Attaching -> Inconsistent, backing-device - -> /dev/mapper/e2, size 0 -> 32728
           +1.872s  Change f0 connection n2: connection-state StandAlone -> Unconnected
           +1.879s  Change f0 connection n2: connection-state Unconnected -> Connecting
           +2.818s  Change f0 path ipv4:10.77.0.1:7002 ipv4:10.77.0.2:7002: established no -> yes
           +2.875s  Change f0 connection n2: connection-state Connecting -> Connected, peer-role Unknown -> Secondary
           +2.875s  Change f0 peer-device 1/0: replication-state Off -> Established, peer-disk-state DUnknown -> Inconsistent
           +4.396s  Change f0 resource: may-promote no -> yes, promotion-score 0 -> 10102
           +4.396s  Change f0 device 0: disk-state Inconsistent -> UpToDate
           +4.396s  Change f0 peer-device 1/0: peer-disk-state Inconsistent -> UpToDate
           +4.412s  Change f0 helper unfence-peer: call, peer n2
           +4.494s  Change f0 helper unfence-peer: response, peer n2, exit code 0
           +4.930s  Change f0 resource: role Secondary -> Primary, may-promote yes -> no, write-ordering none -> flush
           +5.136s  Change f0 device 0: open no -> yes
           +6.306s  Change f0 resource: promotion-score 10102 -> 10101
           +6.306s  Change f0 connection n2: connection-state Connected -> NetworkFailure, peer-role Secondary -> Unknown
           +6.306s  Change f0 peer-device 1/0: replication-state Established -> Off, peer-disk-state UpToDate -> DUnknown
           +6.315s  Change f0 path ipv4:10.77.0.1:7002 ipv4:10.77.0.2:7002: established yes -> no
           +6.334s  Change f0 helper disconnected: call, peer n2
           +6.336s  Change f0 helper fence-peer: call, peer n2
           +6.367s  Change f0 helper disconnected: response, peer n2, exit code 0
           +6.369s  Change f0 connection n2: connection-state NetworkFailure -> Unconnected
           +6.384s  Change f0 connection n2: connection-state Unconnected -> Connecting
           +7.452s  Change f0 helper fence-peer: response, peer n2, exit code 4
           +7.454s  Change f0 peer-device 1/0: peer-disk-state DUnknown -> Outdated
          +28.608s  Change f0 path ipv4:10.77.0.1:7002 ipv4:10.77.0.2:7002: established no -> yes
          +28.639s  Change f0 connection n2: connection-state Connecting -> Connected, peer-role Unknown -> Secondary
          +28.639s  Change f0 peer-device 1/0: replication-state Off -> WFBitMapS, peer-disk-state Outdated -> Consistent
          +28.647s  Change f0 peer-device 1/0: peer-disk-state Consistent -> Outdated
          +28.650s  Change f0 helper before-resync-source: call, peer n2, volume 0
          +28.686s  Change f0 helper before-resync-source: response, peer n2, volume 0, exit code 0
          +28.690s  Change f0 peer-device 1/0: replication-state WFBitMapS -> SyncSource, peer-disk-state Outdated -> Inconsistent
          +28.831s  Change f0 resource: promotion-score 10101 -> 10102
          +28.831s  Change f0 peer-device 1/0: replication-state SyncSource -> Established, peer-disk-state Inconsistent -> UpToDate
          +28.835s  Change f0 helper unfence-peer: call, peer n2
          +28.916s  Change f0 helper unfence-peer: response, peer n2, exit code 0
          +29.663s  Change f0 resource: promotion-score 10102 -> 10101
          +29.663s  Change f0 connection n2: connection-state Connected -> TearDown, peer-role Secondary -> Unknown
          +29.663s  Change f0 peer-device 1/0: replication-state Established -> Off, peer-disk-state UpToDate -> Outdated
          +29.679s  Change f0 path ipv4:10.77.0.1:7002 ipv4:10.77.0.2:7002: established yes -> no
          +29.685s  Change f0 helper disconnected: call, peer n2
          +29.705s  Change f0 helper disconnected: response, peer n2, exit code 0
          +29.710s  Change f0 connection n2: connection-state TearDown -> Unconnected
          +29.710s  Change f0 connection n2: connection-state Unconnected -> Connecting
          +32.800s  Change f0 path ipv4:10.77.0.1:7002 ipv4:10.77.0.2:7002: established no -> yes
          +32.824s  Change f0 connection n2: connection-state Connecting -> Connected, peer-role Unknown -> Secondary
          +32.824s  Change f0 peer-device 1/0: replication-state Off -> Established
          +32.836s  Change f0 resource: promotion-score 10101 -> 10102
          +32.836s  Change f0 peer-device 1/0: peer-disk-state Outdated -> UpToDate
          +32.836s  Change f0 helper unfence-peer: call, peer n2
          +32.921s  Change f0 helper unfence-peer: response, peer n2, exit code 0
          +33.216s  Change f0 device 0: open yes -> no
          +33.479s  Change f0 resource: role Primary -> Secondary, may-promote no -> yes
          +44.226s  Change f0 resource: promotion-score 10102 -> 10101
          +44.226s  Change f0 connection n2: connection-state Connected -> NetworkFailure, peer-role Secondary -> Unknown
          +44.226s  Change f0 peer-device 1/0: replication-state Established -> Off, peer-disk-state UpToDate -> DUnknown
          +44.243s  Change f0 path ipv4:10.77.0.1:7002 ipv4:10.77.0.2:7002: established yes -> no
          +44.247s  Change f0 helper disconnected: call, peer n2
          +44.266s  Change f0 helper disconnected: response, peer n2, exit code 0
          +44.270s  Change f0 connection n2: connection-state NetworkFailure -> Unconnected
          +44.271s  Change f0 connection n2: connection-state Unconnected -> Connecting
          +47.807s  Change f0 path ipv4:10.77.0.1:7002 ipv4:10.77.0.2:7002: established no -> yes
          +47.832s  Change f0 resource: may-promote yes -> no, promotion-score 10101 -> 1
          +47.832s  Change f0 connection n2: connection-state Connecting -> Connected, peer-role Unknown -> Primary
          +47.832s  Change f0 device 0: disk-state UpToDate -> Outdated
          +47.832s  Change f0 peer-device 1/0: replication-state Off -> WFBitMapT, peer-disk-state DUnknown -> UpToDate
          +47.840s  Change f0 helper before-resync-target: call, peer n2, volume 0
          +47.860s  Change f0 helper before-resync-target: response, peer n2, volume 0, exit code 0
          +47.861s  Change f0 resource: promotion-score 1 -> 10001
          +47.861s  Change f0 device 0: disk-state Outdated -> Inconsistent
          +47.861s  Change f0 peer-device 1/0: replication-state WFBitMapT -> SyncTarget
          +48.083s  Change f0 resource: promotion-score 10001 -> 10102
          +48.083s  Change f0 device 0: disk-state Inconsistent -> UpToDate
          +48.083s  Change f0 peer-device 1/0: replication-state SyncTarget -> Established
          +48.087s  Change f0 helper after-resync-target: call, peer n2, volume 0
          +48.114s  Change f0 helper after-resync-target: response, peer n2, volume 0, exit code 0
          +48.818s  Change f0 resource: may-promote no -> yes
          +48.818s  Change f0 connection n2: peer-role Primary -> Secondary
        93 lines, 71 bursts, 83 changes, 0 decisions, beginning at 2026-11-21T02:57:39.779Z
        --- exit 0
    "#]],
    );
    let mut command = reactorctl();
    command.arg("replay").arg(recordings().join("no-such-file"));
    check(
        command,
        &recordings(),
        &expect![[r#"
        --- stderr
        reactorctl: can't read the recording DIR/no-such-file: No such file or directory (os error 2)
        --- exit 1
    "#]],
    );
}

/// As the issue asks: equal in all states, for every DRBD 9 recording that comes with a status file.
#[test]
fn replay_final_is_what_drbdsetup_printed() {
    let mut compared = 0;
    for folder in std::fs::read_dir(recordings()).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).into_iter().flatten() {
            let file = file.unwrap().path();
            let Some(stem) = file.to_string_lossy().strip_suffix(".status.json").map(str::to_owned) else { continue };
            // Some recordings have time stamps, and then nothing else.
            let kinds = ["events2", "events2-ts"].map(|kind| format!("{stem}.{kind}"));
            let recording = kinds.iter().find(|path| Path::new(path).exists()).unwrap_or(&kinds[0]);
            let output = reactorctl().args(["replay", "--final", recording]).output().unwrap();
            assert!(output.status.success(), "{stem}");
            let ours: Vec<Resource> = serde_json::from_slice(&output.stdout).unwrap();
            let theirs: Vec<Resource> = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            assert_eq!(drbdsetup_status::compare(&ours, &theirs), [""; 0], "{stem}");
            compared += 1;
        }
    }
    assert!(compared >= 60, "only {compared} status files");
}

/// It looked like a recording in which nothing happens.
#[test]
fn replay_of_what_is_no_recording_fails_and_says_how_to_make_one() {
    let files = Files::new("no-recording", &[("notes.txt", "yesterday the storage\nwas slow\n"), ("empty.txt", "")]);
    for name in ["notes.txt", "empty.txt"] {
        let output = reactorctl().arg("replay").arg(files.0.join(name)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && output.stdout.is_empty(), "{name}: {said}");
        assert!(said.contains(&format!("{name} is no recording")) && said.contains("drbdsetup events2"), "{said}");
    }
}

#[test]
fn replay_says_what_would_have_been_done_and_why() {
    let main = "snippets = \"main.d\"\n";
    let files = Files::new("replay", &[("main.toml", main), ("main.d/a.toml", RULE)]);
    let mut command = files.run(&["replay"]);
    command.arg(recordings().join("r2-failover-node-killed/n3.events2"));
    check(
        command,
        &files.0,
        &expect![[r#"
          +11.988s  run handler tell for r1: logger promotable
                    because r1: Change (live, seq 28), may_promote false -> true, promotion_score 0 -> 10202
                    because rule tell matches
        132 lines, 51 bursts, 48 changes, 1 decision, beginning at 2026-11-21T03:05:38.010Z
        --- exit 0
    "#]],
    );
}
