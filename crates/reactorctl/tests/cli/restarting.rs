//! `restart` and `start-until`.

use std::os::unix::fs::PermissionsExt as _;

use assert_cmd::Command;
use expect_test::expect;

use crate::cluster::cluster;
use crate::daemon::{Daemon, check};
use crate::moving::{begin, is_taken, n2, n3, r1, step, stops, to};
use crate::played::Step;

/// Where r1 runs, and what comes of its release.
fn running(after: impl FnOnce() -> Vec<Step> + Send + 'static) -> Daemon {
    let daemon = n2(stops);
    daemon.change(|state| state.on_release = after().into());
    daemon
}

fn starts() -> Vec<Step> {
    vec![to("starting", "its services are on their way up"), to("running", "its services run here")]
}

#[test]
fn services_stop_and_start_again_and_no_other_node_is_faster() {
    let (near, far) = (running(starts), n3(|_| {}));
    let run = cluster(&near, &far, "--allow restart");
    check(
        run(&["--node", "n2", "restart", "r1"]),
        &near.folder,
        &expect![[r#"
            r1            info   restart: its services stop, and start again
            r1            info   stopping: its services are on their way down
            r1            info   stopped here
            r1            info   starting: its services are on their way up
            drbd:r1       info   run: drbdsetup primary r1
            r1            info   running: its services run here
            r1            done   runs on n2 again after # s
            --- exit 0
        "#]],
    );
    // The other node was told to leave it, and is no longer.
    let why = far.run(&["why", "r1", "--json"]).output().unwrap();
    let why: serde_json::Value = serde_json::from_slice(&why.stdout).unwrap();
    assert_eq!(why["hold"], serde_json::Value::Null, "{why:#}");
}

#[test]
fn the_other_nodes_leave_it_to_this_one_meanwhile() {
    let far = n3(|_| {});
    let tell = far.teller();
    let (sender, seen) = std::sync::mpsc::channel();
    let look = step(move |_| tell(step(move |state| drop(sender.send(state.holds.get("r1").cloned())))));
    let near = running(|| vec![look, to("running", "its services run here")]);
    let run = cluster(&near, &far, "");
    assert!(run(&["--node", "n2", "restart", "r1"]).output().unwrap().status.success());
    let hold = seen.recv().unwrap().unwrap();
    assert_eq!((hold.until_primary.as_deref(), hold.restarts), (Some("n2"), true));
}

#[test]
fn without_a_context_another_node_may_be_faster_and_that_is_said() {
    let near = running(|| vec![is_taken()]);
    check(
        near.run(&["--context", "none", "restart", "r1"]),
        &near.folder,
        &expect![[r#"
            r1            warn   not told to leave it to this node: n3; another node may be faster
            r1            info   restart: its services stop, and start again
            r1            info   stopping: its services are on their way down
            r1            info   stopped here
            r1            info   standby: n3 is Primary
            --- stderr
            reactorctl: r1 does not run here again: n3 was faster, and is Primary
              reactorctl why says what keeps it from running here
            --- exit 16
        "#]],
    );
    // Now it does not run there.
    check(
        near.run(&["--context", "none", "restart", "r1"]),
        &near.folder,
        &expect![[r#"
        --- stderr
        reactorctl: r1 can't be restarted: it does not run here: n3 is Primary
        --- exit 10
    "#]],
    );
}

#[test]
fn a_restart_that_fails_says_why() {
    let near = running(|| vec![to("blocked", "3 failures within 1 h")]);
    check(
        near.run(&["--context", "none", "restart", "r1"]),
        &near.folder,
        &expect![[r#"
            r1            warn   not told to leave it to this node: n3; another node may be faster
            r1            info   restart: its services stop, and start again
            r1            info   stopping: its services are on their way down
            r1            info   stopped here
            r1            info   blocked: 3 failures within 1 h
            --- stderr
            reactorctl: r1 does not run here again: 3 failures within 1 h
              reactorctl why says what keeps it from running here
            --- exit 16
        "#]],
    );
}

/// A command on a node whose systemctl notes what it is told, and fails for what is named `bad`.
fn by_hand(daemon: &Daemon, args: &[&str]) -> Command {
    let bin = daemon.folder.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let program = "#!/bin/sh\ncase \"$*\" in *bad*) echo 'Job failed.' >&2; exit 1 ;; esac\n";
    std::fs::write(bin.join("systemctl"), program).unwrap();
    std::fs::set_permissions(bin.join("systemctl"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = daemon.run(args);
    command.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default()));
    command.arg("-c").arg(daemon.folder.join("none.toml"));
    command
}

#[test]
fn the_first_services_are_started_by_hand_while_the_promoter_keeps_its_hands_off() {
    let daemon = Daemon::with(|state| {
        let mut report = r1("standby", "it may start here");
        for unit in ["db.service", "bad.service"] {
            let unit = reactor_api::promoted::UnitStatus { unit: unit.to_owned(), ..Default::default() };
            report.units.push(unit);
        }
        begin(state, "n3", report);
        // Nobody is Primary.
        state.core = reactor_core::core::Core::new();
    });
    check(
        by_hand(&daemon, &["start-until", "r1", "db"]),
        &daemon.folder,
        &expect![[r#"
        done: hold of r1 (Hold { why: "start-until db" })
        starting drbd-promote@r1.service
        starting app.service
        starting db.service
        done: what was asked for runs here, and r1 is held
          to start the rest, and let the promoter go on:
            systemctl start drbd-services@r1.target && reactorctl release r1
          to stop what was started, and let the promoter go on:
            systemctl stop drbd-promote@r1.service && reactorctl release r1
        --- exit 0
    "#]],
    );
    check(
        by_hand(&daemon, &["start-until", "r1", "3"]),
        &daemon.folder,
        &expect![[r#"
        nothing to do: hold of r1 (Hold { why: "start-until 3" })
        starting drbd-promote@r1.service
        starting app.service
        starting db.service
        starting bad.service
          to start the rest, and let the promoter go on:
            systemctl start drbd-services@r1.target && reactorctl release r1
          to stop what was started, and let the promoter go on:
            systemctl stop drbd-promote@r1.service && reactorctl release r1
        --- stderr
        reactorctl: systemctl start bad.service: Job failed.
        --- exit 1
    "#]],
    );
    check(
        by_hand(&daemon, &["start-until", "r1", "web"]),
        &daemon.folder,
        &expect![[r#"
        --- stderr
        reactorctl: r1 can't be started by hand, nothing was done: it has no unit web, but app.service, db.service, bad.service
        --- exit 10
    "#]],
    );
    check(
        by_hand(&daemon, &["start-until", "r9", "1"]),
        &daemon.folder,
        &expect![[r#"
        --- stderr
        reactorctl: no promoter has the resource r9
          reactorctl status shows those that are promoted
        --- exit 8
    "#]],
    );
}

#[test]
fn nothing_is_started_by_hand_beside_a_node_that_is_primary() {
    let daemon = n3(|_| {});
    check(
        by_hand(&daemon, &["start-until", "r1", "1"]),
        &daemon.folder,
        &expect![[r#"
        --- stderr
        reactorctl: r1 can't be started by hand, nothing was done: n2 is Primary: evict it there first
        --- exit 10
    "#]],
    );
}
