//! `start` and `stop`, step by step, and parts of a resource.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use assert_cmd::Command;
use expect_test::expect;
use reactor_api::PromotedStatus;
use reactor_api::promoted::{DrbdStatus, HoldStatus, ObstacleStatus, UnitStatus};

use crate::daemon::{Daemon, check};
use crate::moving::{begin, r1, step};
use crate::played::{State, Step};

/// A command on a node whose systemctl knows what it has started, and fails for what is named `bad`.
fn by_hand(daemon: &Daemon, args: &[&str]) -> Command {
    let bin = daemon.folder.join("bin");
    fs::create_dir_all(bin.join("active")).unwrap();
    let program = r#"#!/bin/sh
        cd "$(dirname "$0")/active"
        verb=$1; shift
        for unit; do
            case $verb-$unit in
                *--*) ;;
                *bad*) echo 'Job failed.' >&2; exit 1 ;;
                start-*) touch "$unit" ;;
                stop-*) rm -f "$unit" ;;
                is-active-*) [ -e "$unit" ] || exit 3 ;;
            esac
        done
    "#;
    fs::write(bin.join("systemctl"), program).unwrap();
    fs::set_permissions(bin.join("systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = daemon.run(args);
    command.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default()));
    command.arg("-c").arg(daemon.folder.join("none.toml"));
    command
}

/// DRBD has r1 Primary here.
const DRBD: &str = "\
exists resource name:r1 role:Primary suspended:no force-io-failures:no may_promote:no promotion_score:10103
exists device name:r1 volume:0 minor:10 backing_dev:/dev/vg/r1 disk:UpToDate client:no open:yes quorum:yes size:65496
exists -
";

/// All of r1 runs here.
fn runs(state: &mut State) {
    begin(state, "n2", report("running", "its services run here", PRIMARY, ["active"; 3]));
    state.core = reactor_core::core::Core::new();
    state.set_drbd(DRBD);
}

const SECONDARY: &str = "Secondary UpToDate; n3: UpToDate";
const PRIMARY: &str = "Primary UpToDate; n3: UpToDate";

/// r1 with a file system, an optional reporter, and a service.
fn report(state: &str, because: &str, drbd: &str, units: [&str; 3]) -> PromotedStatus {
    let names = ["fs-srv", "report.service", "app.service"];
    let unit = |(name, active): (&str, &str)| UnitStatus {
        unit: if name == "fs-srv" { "ocf.rs@fs_r1.service".to_owned() } else { name.to_owned() },
        entry: name.to_owned(),
        active: active.to_owned(),
        optional: name == "report.service",
        result: (active == "failed").then(|| "exit-code".to_owned()),
        ..UnitStatus::default()
    };
    let availability = if drbd.starts_with("Primary") { "up" } else { "stdby up" };
    PromotedStatus {
        units: names.into_iter().zip(units).map(unit).collect(),
        drbd: Some(DrbdStatus { availability: availability.to_owned(), words: drbd.to_owned() }),
        peers: Vec::new(),
        ..r1(state, because)
    }
}

fn becomes(state: &'static str, drbd: &'static str, units: [&'static str; 3]) -> Step {
    step(move |it| it.promoted[0] = report(state, "so it is", drbd, units))
}

fn stopped(state: &mut State) {
    let hold = HoldStatus { who: "root".to_owned(), stops: true, ..HoldStatus::default() };
    begin(state, "n2", report("held", "stopped by root", SECONDARY, ["inactive"; 3]));
    state.core = reactor_core::core::Core::new();
    state.holds.insert("r1".to_owned(), hold);
}

#[test]
fn a_start_says_each_step_and_ends_when_all_that_is_needed_runs() {
    let daemon = Daemon::with(|state| {
        stopped(state);
        state.on_release = [
            becomes("starting", SECONDARY, ["inactive"; 3]),
            becomes("starting", PRIMARY, ["activating", "inactive", "inactive"]),
            becomes("starting", PRIMARY, ["active", "failed", "inactive"]),
            becomes("running", PRIMARY, ["active", "failed", "active"]),
        ]
        .into();
    });
    check(
        daemon.run(&["start", "r1", "--timeout", "20"]),
        &daemon.folder,
        &expect![[r#"
            r1              info   start requested on n2
            drbd:r1         info   Secondary UpToDate; n3: UpToDate
            r1              info   release of r1 (Release)
            drbd:r1         info   run: drbdsetup primary r1
            drbd:r1         info   Primary UpToDate; n3: UpToDate
            fs-srv          info   start ocf.rs@fs_r1.service
            fs-srv          info   active after # s
            report.service  warn   failed: exit-code
            app.service     info   start app.service
            app.service     info   active
            r1              done   up on n2 after # s
            --- exit 0
        "#]],
    );
    check(
        daemon.run(&["start", "r1", "--timeout", "20"]),
        &daemon.folder,
        &expect![[r#"
            r1              info   start requested on n2
            drbd:r1         info   already Primary UpToDate; n3: UpToDate
            fs-srv          info   already active
            app.service     info   already active
            r1              info   release of r1 (Release)
            r1              done   up on n2 after # s
            --- exit 0
        "#]],
    );
}

/// Right after a reload systemd may not have told all units yet: that is waited for, and no reason to give up.
#[test]
fn what_passes_by_itself_is_waited_for() {
    let daemon = Daemon::with(|state| {
        stopped(state);
        let is_late = step(|it| {
            let report = report("standby", "systemd has not said yet how app.service is", SECONDARY, ["inactive"; 3]);
            let obstacle = Some(ObstacleStatus { kind: "unit-not-told".to_owned(), unit: None });
            it.promoted[0] = PromotedStatus { obstacle, ..report };
        });
        state.on_release = [is_late, becomes("running", PRIMARY, ["active"; 3])].into();
    });
    let output = daemon.run(&["start", "r1", "--timeout", "20"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("up on n2 after"), "{text}");
}

#[test]
fn a_failed_step_ends_it_and_what_went_down_again_is_said() {
    let daemon = Daemon::with(|state| {
        stopped(state);
        let fails = step(|it| {
            let report = report("stopping", "it failed", PRIMARY, ["active", "inactive", "failed"]);
            let last_failure = Some("app.service has failed: exit-code".to_owned());
            it.promoted[0] = PromotedStatus { failures: 1, last_failure, ..report };
        });
        let is_back = step(|it| {
            let report = report("waiting", "10 s of back-off", SECONDARY, ["inactive", "inactive", "failed"]);
            it.promoted[0] = PromotedStatus { failures: 1, ..report };
        });
        state.on_release = [becomes("starting", PRIMARY, ["active", "inactive", "activating"]), fails, is_back].into();
    });
    check(
        daemon.run(&["start", "r1", "--timeout", "20"]),
        &daemon.folder,
        &expect![[r#"
            r1              info   start requested on n2
            drbd:r1         info   Secondary UpToDate; n3: UpToDate
            r1              info   release of r1 (Release)
            drbd:r1         info   Primary UpToDate; n3: UpToDate
            fs-srv          info   start ocf.rs@fs_r1.service
            fs-srv          info   active
            app.service     info   start app.service
            app.service     error  failed after # s: exit-code
            r1              info   waiting: 10 s of back-off
            drbd:r1         info   Secondary UpToDate; n3: UpToDate
            fs-srv          info   stop ocf.rs@fs_r1.service
            fs-srv          info   stopped
            r1              error  the start failed: app.service has failed: exit-code; rolled back: fs-srv
            r1              info   it waits to start here: 10 s of back-off
            --- exit 19
        "#]],
    );
}

#[test]
fn the_lines_are_there_for_programs_too() {
    let daemon = Daemon::with(|state| {
        begin(state, "n2", report("running", "its services run here", PRIMARY, ["active"; 3]));
    });
    let output = daemon.run(&["start", "r1", "--json", "--timeout", "20"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["about"] == "app.service" && line["text"] == "already active"), "{text}");
    assert!(lines.iter().all(|line| line["after-ms"].is_u64() && line["level"].is_string()), "{text}");
    assert!(output.status.success());
}

#[test]
fn a_stop_says_each_step_and_that_drbd_stays_connected() {
    let daemon = Daemon::with(|state| {
        begin(state, "n2", report("running", "its services run here", PRIMARY, ["active"; 3]));
        state.on_stop = [
            becomes("stopping", PRIMARY, ["active", "inactive", "deactivating"]),
            becomes("stopping", PRIMARY, ["deactivating", "inactive", "inactive"]),
            becomes("held", SECONDARY, ["inactive"; 3]),
        ]
        .into();
    });
    check(
        daemon.run(&["stop", "r1", "--why", "cables", "--timeout", "20"]),
        &daemon.folder,
        &expect![[r#"
            r1              info   r1 is stopped here, and not started until it is released
            report.service  info   stop report.service
            report.service  info   stopped
            app.service     info   stop app.service
            fs-srv          info   stop ocf.rs@fs_r1.service
            app.service     info   stopped after # s
            drbd:r1         info   Secondary UpToDate; n3: UpToDate
            fs-srv          info   stopped after # s
            r1              done   down on n2, DRBD is Secondary UpToDate; n3: UpToDate, after # s
            r1              info   reactorctl start r1 lets it run here again
            --- exit 0
        "#]],
    );
}

#[test]
fn what_would_be_done_is_said_and_nothing_is_done() {
    let daemon = Daemon::with(stopped);
    check(
        daemon.run(&["start", "r1", "--dry-run"]),
        &daemon.folder,
        &expect![[r#"
        r1              info   would end: stopped by root
        drbd:r1         info   would start drbd-promote@r1.service
        fs-srv          info   would start ocf.rs@fs_r1.service
        report.service  info   would start report.service
        app.service     info   would start app.service
        --- exit 0
    "#]],
    );
    check(
        daemon.run(&["stop", "r1", "--dry-run"]),
        &daemon.folder,
        &expect![[r#"
        app.service     info   already down
        report.service  info   already down
        fs-srv          info   already down
        drbd:r1         info   already down
        --- exit 0
    "#]],
    );
    check(
        daemon.run(&["restart", "r1", "--dry-run"]),
        &daemon.folder,
        &expect![[r#"
        app.service     info   already down
        report.service  info   already down
        fs-srv          info   already down
        drbd:r1         info   already down
        drbd:r1         info   would start drbd-promote@r1.service
        fs-srv          info   would start ocf.rs@fs_r1.service
        report.service  info   would start report.service
        app.service     info   would start app.service
        --- exit 0
    "#]],
    );
}

#[test]
fn a_part_is_started_by_hand_and_stays_held() {
    let daemon = Daemon::with(stopped);
    check(
        by_hand(&daemon, &["start", "r1", "--upto", "fs-srv"]),
        &daemon.folder,
        &expect![[r#"
            r1              info   hold of r1 (Hold { why: "a part of it is run by hand: start --upto fs-srv" })
            drbd:r1         info   start drbd-promote@r1.service
            drbd:r1         info   active after # s
            fs-srv          info   start ocf.rs@fs_r1.service
            fs-srv          info   active after # s
            r1              info   it stays held: reactorctl start r1 starts the rest and lets the promoter go on, reactorctl stop r1 stops what runs
            r1              done   what was asked for is done after # s
            --- exit 0
        "#]],
    );
    check(
        by_hand(&daemon, &["start", "r1", "--from", "app.service"]),
        &daemon.folder,
        &expect![[r#"
        --- stderr
        reactorctl: a part of r1 can't be started by hand, nothing was done: drbd, fs-srv are not up, and app.service needs them
        --- exit 10
    "#]],
    );
    check(
        by_hand(&daemon, &["start", "r1", "--upto", "web"]),
        &daemon.folder,
        &expect![[r#"
        --- stderr
        reactorctl: a part of r1 can't be started by hand, nothing was done: it has no entry web, but drbd, fs-srv, report.service, app.service
        --- exit 10
    "#]],
    );
    let mut remote = daemon.run(&["start", "r9", "--upto", "web"]);
    assert_eq!(remote.output().unwrap().status.code(), Some(8));
}

#[test]
fn a_part_that_fails_is_rolled_back_and_it_is_stopped_as_before() {
    let daemon = Daemon::with(|state| {
        stopped(state);
        state.promoted[0].units[2].unit = "bad.service".to_owned();
        state.promoted[0].units[2].entry = "bad.service".to_owned();
    });
    check(
        by_hand(&daemon, &["start", "r1", "--upto", "3"]),
        &daemon.folder,
        &expect![[r#"
            r1              info   hold of r1 (Hold { why: "a part of it is run by hand: start --upto 3" })
            drbd:r1         info   start drbd-promote@r1.service
            drbd:r1         info   active after # s
            fs-srv          info   start ocf.rs@fs_r1.service
            fs-srv          info   active after # s
            report.service  info   start report.service
            report.service  info   active after # s
            bad.service     info   start bad.service
            bad.service     error  start failed: systemctl start -- bad.service: Job failed.
            report.service  info   rolled back: stop report.service
            fs-srv          info   rolled back: stop ocf.rs@fs_r1.service
            drbd:r1         info   rolled back: stop drbd-promote@r1.service
            r1              info   r1 is stopped here, and not started until it is released
            --- stderr
            reactorctl: r1: bad.service failed
            --- exit 19
        "#]],
    );
}

#[test]
fn a_part_is_stopped_and_restarted_in_the_other_order() {
    let daemon = Daemon::with(runs);
    // systemd has it as the daemon tells it.
    assert!(by_hand(&daemon, &["ping"]).output().unwrap().status.success());
    for unit in ["drbd-promote@r1.service", "ocf.rs@fs_r1.service", "report.service", "app.service"] {
        fs::write(daemon.folder.join("bin/active").join(unit), "").unwrap();
    }
    check(
        by_hand(&daemon, &["restart", "r1", "--from", "report.service"]),
        &daemon.folder,
        &expect![[r#"
            r1              info   hold of r1 (Hold { why: "a part of it is run by hand: restart --from report.service" })
            app.service     info   stop app.service
            app.service     info   stopped after # s
            report.service  info   stop report.service
            report.service  info   stopped after # s
            report.service  info   start report.service
            report.service  info   active after # s
            app.service     info   start app.service
            app.service     info   active after # s
            r1              info   release of r1 (Release)
            r1              done   all of it runs here after # s
            --- exit 0
        "#]],
    );
    check(
        by_hand(&daemon, &["stop", "r1", "--upto", "fs-srv"]),
        &daemon.folder,
        &expect![[r#"
            r1              info   hold of r1 (Hold { why: "a part of it is run by hand: stop --upto fs-srv" })
            app.service     info   stop app.service
            app.service     info   stopped after # s
            report.service  info   stop report.service
            report.service  info   stopped after # s
            fs-srv          info   stop ocf.rs@fs_r1.service
            fs-srv          info   stopped after # s
            r1              info   it stays held: reactorctl start r1 starts the rest and lets the promoter go on, reactorctl stop r1 stops what runs
            r1              done   what was asked for is done after # s
            --- exit 0
        "#]],
    );
}
