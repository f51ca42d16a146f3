//! `status --watch`: a block for each picture, until the daemon ends.

use std::io::Read as _;

use expect_test::expect;
use reactor_core::ids::Mono;
use reactor_core::input::{Input, SourceId};

use crate::cluster::cluster;
use crate::daemon::{Daemon, spawn, until};
use crate::moving::{begin, r1, step, to};
use crate::played::Step;

/// DRBD says so.
fn drbd(lines: &'static str) -> Step {
    step(move |state| {
        for input in [Input::Lines(SourceId::Drbd, lines.to_owned()), Input::BurstEnd(SourceId::Drbd)] {
            state.core.step(Mono::ZERO, &input, &mut Vec::new());
        }
    })
}

fn resync() -> Vec<Step> {
    vec![
        drbd(
            "change peer-device name:r1 peer-node-id:1 conn-name:n2 volume:0 replication:SyncTarget peer-disk:UpToDate out-of-sync:65496 done:12.50 eta:40\n",
        ),
        drbd(
            "change peer-device name:r1 peer-node-id:1 conn-name:n2 volume:0 replication:SyncTarget peer-disk:UpToDate out-of-sync:6549 done:90.00 eta:2\n",
        ),
        drbd(
            "change peer-device name:r1 peer-node-id:1 conn-name:n2 volume:0 replication:Established peer-disk:UpToDate out-of-sync:0\n",
        ),
        to("waiting", "a delay runs"),
    ]
}

#[test]
fn each_picture_is_a_block_and_a_resync_has_a_bar() {
    let daemon = Daemon::with(|state| {
        begin(state, "n3", r1("standby", "n2 is Primary"));
        state.steps.extend(resync());
    });
    let (mut child, mut out) = spawn(&daemon.run(&["status", "--watch", "-r", "r1"]));
    let mut text = until(&mut out, "a delay runs");
    drop(daemon);
    out.read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    expect![[r#"
        n3: Storage Reactor 1.2.3 (pid 812), running for 1 min, 1 resource

          r1  Secondary
          ├─ volume 0  /dev/drbd10  UpToDate
          └─ n2  Connected  Primary
             └─ volume 0  UpToDate  Established

          services
          r1  standby
          │    because n2 is Primary
          └─ app.service  active

          source         up  drbdsetup events2 --full --poll  5 lines, 4 changes

        n3: Storage Reactor 1.2.3 (pid 812), running for 1 min, 1 resource
        - r1 connection to n2 volume 0: SyncTarget 12.5% done, 65496 KiB out of sync

          r1  Secondary
          ├─ volume 0  /dev/drbd10  UpToDate
          └─ n2  Connected  Primary
        -    └─ volume 0  UpToDate  SyncTarget
                    ██░░░░░░░░░░░░░░░░░░ 12.5%  1.6 MiB/s, 40 s left, 64.0 MiB to go

          services
          r1  standby
          │    because n2 is Primary
          └─ app.service  active

          source         up  drbdsetup events2 --full --poll  5 lines, 4 changes

        n3: Storage Reactor 1.2.3 (pid 812), running for 1 min, 1 resource
        - r1 connection to n2 volume 0: SyncTarget 90.0% done, 6549 KiB out of sync

          r1  Secondary
          ├─ volume 0  /dev/drbd10  UpToDate
          └─ n2  Connected  Primary
        -    └─ volume 0  UpToDate  SyncTarget
                    ██████████████████░░ 90.0%  3.2 MiB/s, 2 s left, 6.4 MiB to go

          services
          r1  standby
          │    because n2 is Primary
          └─ app.service  active

          source         up  drbdsetup events2 --full --poll  5 lines, 4 changes

        n3: Storage Reactor 1.2.3 (pid 812), running for 1 min, 1 resource

          r1  Secondary
          ├─ volume 0  /dev/drbd10  UpToDate
          └─ n2  Connected  Primary
             └─ volume 0  UpToDate  Established

          services
          r1  standby
          │    because n2 is Primary
          └─ app.service  active

          source         up  drbdsetup events2 --full --poll  5 lines, 4 changes

        n3: Storage Reactor 1.2.3 (pid 812), running for 1 min, 1 resource

          r1  Secondary
          ├─ volume 0  /dev/drbd10  UpToDate
          └─ n2  Connected  Primary
             └─ volume 0  UpToDate  Established

          services
          r1  waiting
          │    because a delay runs
          └─ app.service  active

          source         up  drbdsetup events2 --full --poll  5 lines, 4 changes
    "#]]
    .assert_eq(&text);
}

#[test]
fn with_json_each_picture_is_a_line() {
    let daemon = Daemon::with(|state| {
        begin(state, "n3", r1("standby", "n2 is Primary"));
        state.steps.push_back(to("waiting", "a delay runs"));
    });
    let (mut child, mut out) = spawn(&daemon.run(&["status", "--watch", "--json"]));
    let text = until(&mut out, "a delay runs");
    drop(daemon);
    child.wait().unwrap();
    let states = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let states: Vec<String> = states.map(|it| it["promoted"][0]["state"].as_str().unwrap().to_owned()).collect();
    assert_eq!(states, ["standby", "waiting"]);
}

#[test]
fn all_nodes_are_watched_and_one_may_come_and_go() {
    let near = Daemon::with(|state| begin(state, "n2", r1("running", "its services run here")));
    let mut far = Daemon::with(|state| {
        begin(state, "a-node-with-a-long-name", r1("standby", "n2 is Primary"));
    });
    let (mut child, mut out) = spawn(&cluster(&near, &far, "")(&["status", "--all", "--watch"]));
    until(&mut out, "n3  standby");
    until(&mut out, "n4: not reached");
    far.restart(|state| begin(state, "n3", r1("blocked", "3 failures")));
    until(&mut out, "n3: the daemon has stopped");
    until(&mut out, "n3  blocked");
    child.kill().unwrap();
    child.wait().unwrap();
}
