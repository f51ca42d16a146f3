//! `wait`: what is missing, and how it ends.

use std::io::Read as _;

use expect_test::expect;
use reactor_api::status::SourceState;
use reactor_core::core::Core;

use crate::cluster::cluster;
use crate::daemon::{Daemon, check, spawn, until};
use crate::moving::{begin, r1, to};
use crate::played::State;

/// r1 on n3, Secondary, with what its promoter says.
fn daemon(state: &'static str) -> Daemon {
    Daemon::with(move |it| begin(it, "n3", r1(state, "because it is")))
}

/// DRBD and the promoter have lost it.
fn gone(state: &mut State) {
    state.core = Core::new();
    state.promoted.clear();
}

#[test]
fn what_is_so_is_met_at_once() {
    let daemon = daemon("standby");
    check(
        daemon.run(&["wait", "r1", "role=secondary", "and", "disk=UpToDate", "and", "peers>=1"]),
        &daemon.folder,
        &expect![[r#"
            done: r1: role=Secondary and disk=UpToDate and peers>=1 after # s
            --- exit 0
        "#]],
    );
    check(
        daemon.run(&["wait", "r1", "state=standby and any peer-role=Primary", "--json", "--timeout", "10m"]),
        &daemon.folder,
        &expect![[r#"
            {"condition":"state=standby and any peer-role=Primary","nodes":{"n3":{"met":true,"missing":[]}},"resource":"r1","result":"met","waited-ms":#}
            --- exit 0
        "#]],
    );
}

#[test]
fn each_step_is_a_line_until_it_is_so() {
    let daemon = daemon("standby");
    daemon.change(|state| {
        let steps = [to("waiting", "a delay runs"), to("starting", "soon"), to("running", "it runs")];
        state.steps.extend(steps);
    });
    check(
        daemon.run(&["wait", "r1", "state=running and failures=0"]),
        &daemon.folder,
        &expect![[r#"
         # s  not yet: state=running (it is standby)
         # s  not yet: state=running (it is waiting)
         # s  not yet: state=running (it is starting)
        done: r1: state=running and failures=0 after # s
        --- exit 0
    "#]],
    );
}

#[test]
fn the_time_is_up_and_what_is_missing_is_said() {
    let daemon = daemon("standby");
    check(
        daemon.run(&["wait", "r1", "(running or role=Primary) and quorum", "--timeout", "0"]),
        &daemon.folder,
        &expect![[r#"
            --- stderr
            reactorctl: r1: the time is up after 0 s; not yet: running=yes (it is no); role=Primary (it is Secondary)
            --- exit 14
        "#]],
    );
    check(
        daemon.run(&["wait", "r1", "not disk=UpToDate", "--timeout", "0", "--json"]),
        &daemon.folder,
        &expect![[r#"
            {"condition":"not disk=UpToDate","nodes":{"n3":{"met":false,"missing":[{"is":["it is so"],"part":"not disk=UpToDate"}]}},"resource":"r1","result":"timed-out","waited-ms":#}
            --- exit 14
        "#]],
    );
}

#[test]
fn what_goes_away_meanwhile_is_gone_and_what_nobody_has_is_unknown() {
    let daemon = daemon("standby");
    daemon.change(|state| state.steps.push_back(Box::new(gone)));
    check(
        daemon.run(&["wait", "r1", "running"]),
        &daemon.folder,
        &expect![[r#"
         # s  not yet: running=yes (it is no)
        --- stderr
        reactorctl: r1 has gone: neither DRBD nor a promoter has it any more
        --- exit 15
    "#]],
    );
    check(
        daemon.run(&["wait", "r9", "running"]),
        &daemon.folder,
        &expect![[r#"
        --- stderr
        reactorctl: neither DRBD nor a promoter has a resource r9
        --- exit 8
    "#]],
    );
}

#[test]
fn a_mistake_is_shown_where_it_is() {
    let daemon = daemon("standby");
    check(
        daemon.run(&["wait", "r1", "role=Primary and dsk=UpToDate"]),
        &daemon.folder,
        &expect![[r#"
        --- stderr
        reactorctl: the condition is not understood: there is no field `dsk`
          role=Primary and dsk=UpToDate
                           ^^^
          did you mean `disk`?
        --- exit 2
    "#]],
    );
}

#[test]
fn one_node_or_all_of_them() {
    let (near, far) = (daemon("standby"), daemon("running"));
    near.change(|state| state.status.node = "n2".to_owned());
    let run = cluster(&near, &far, "--read-only");
    check(
        run(&["wait", "r1", "running", "--any"]),
        &near.folder,
        &expect![[r#"
            done: r1: running=yes on n3 after # s
            --- exit 0
        "#]],
    );
    check(
        run(&["wait", "r1", "running", "--all", "--timeout", "0"]),
        &near.folder,
        &expect![[r#"
        --- stderr
        reactorctl: r1: the time is up after 0 s; not yet: n2: running=yes (it is no); n4: not reached: ssh: connect to host 192.0.2.4 port 22: No route to host
        --- exit 14
    "#]],
    );
    check(
        run(&["--node", "n3", "wait", "r1", "running"]),
        &near.folder,
        &expect![[r#"
        done: r1: running=yes after # s
        --- exit 0
    "#]],
    );
    check(
        run(&["--node", "n4", "wait", "r1", "running"]),
        &near.folder,
        &expect![[r#"
        --- stderr
        reactorctl: n4: not reached: ssh: connect to host 192.0.2.4 port 22: No route to host
        --- exit 12
    "#]],
    );
    far.change(gone);
    check(
        run(&["wait", "r1", "running", "--any", "--timeout", "0", "--json"]),
        &near.folder,
        &expect![[r#"
            {"condition":"running=yes","nodes":{"n2":{"met":false,"missing":[{"is":["it is no"],"part":"running=yes"}]},"n3":{"absent":true,"met":false},"n4":{"error":"not reached: ssh: connect to host 192.0.2.4 port 22: No route to host","met":false}},"resource":"r1","result":"timed-out","waited-ms":#}
            --- exit 14
        "#]],
    );
}

#[test]
fn a_daemon_that_is_restarted_meanwhile_is_waited_for() {
    let mut daemon = daemon("standby");
    let (mut child, mut out) = spawn(&daemon.run(&["wait", "r1", "running", "--timeout", "10m"]));
    until(&mut out, "not yet: running=yes (it is no)");
    // The new one knows nothing of DRBD yet: that is no end.
    daemon.restart(|state| state.status.source.state = SourceState::Starting);
    until(&mut out, "it has just started");
    daemon.change(|state| begin(state, "n3", r1("running", "it runs")));
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("done: r1: running=yes after "), "{rest}");
    assert!(child.wait().unwrap().success());
}
