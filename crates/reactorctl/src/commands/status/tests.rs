//! The whole output of `status`.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use reactor_api::HandlerOutcome;
use reactor_api::status::{FileState, FileStatus, ReloadResult};
use serde_json::json;

use super::*;
use crate::testing::{BAD, GOOD, status_of};

fn check(status: &Status, args: &StatusArgs, expect: &Expect) {
    let mut out = Vec::new();
    print(serde_json::to_value(status).unwrap(), args, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    expect.assert_eq(&anstream::adapter::strip_str(&text).to_string());
}

fn only(resource: &str) -> StatusArgs {
    let which = Which { resources: vec![resource.to_owned()], ..Which::default() };
    StatusArgs { which, ..StatusArgs::default() }
}

fn plugin(kind: &str, line: u32, state: PluginState, why: Option<&str>) -> PluginStatus {
    let file = "/etc/storage-reactor.d/ha.toml".to_owned();
    let why = why.map(str::to_owned);
    PluginStatus { kind: kind.to_owned(), file, line, state, why, ..PluginStatus::default() }
}

fn file(name: &str, state: FileState, findings: &[&str]) -> FileStatus {
    let findings = findings.iter().map(|&finding| finding.to_owned()).collect();
    FileStatus { path: format!("/etc/{name}"), state, findings }
}

#[test]
fn a_quiet_night() {
    let mut status = status_of(GOOD);
    status.plugins.push(plugin("umh", 3, PluginState::Running, None));
    status.plugins[0].details = BTreeMap::from([("handlers running".to_owned(), "1".to_owned())]);
    status.configuration.files.push(file("storage-reactor.toml", FileState::Current, &[]));
    status.configuration.files.push(file("storage-reactor.d/ha.toml", FileState::Current, &[]));
    status.configuration.last_reload = Some("2026-11-21T02:40:00.000Z".to_owned());
    status.configuration.last_result = ReloadResult::Ok;
    check(
        &status,
        &StatusArgs::default(),
        &expect![[r#"
        n1: Storage Reactor 1.2.3 (pid 812), running for 3 h 12 min, 1 resource

          r0  Primary
          ├─ volume 0  /dev/drbd10  UpToDate  open
          ├─ n2  Connected  Secondary
          │  └─ volume 0  UpToDate  Established
          └─ n3  Connected  Secondary
             └─ volume 0  Diskless  Established  client

          source         up  drbdsetup events2 --full --poll, DRBD 9.3.3, drbd-utils 9.34.0  9 lines, 8 changes
          configuration  /etc/storage-reactor.toml and 1 snippet  read 2026-11-21T02:40:00.000Z
          umh            running  /etc/storage-reactor.d/ha.toml:3, handlers running 1
    "#]],
    );
}

#[test]
fn a_receiver_of_notifications_that_takes_none_is_a_problem() {
    let mut status = status_of("");
    let mut notify = plugin("notify", 7, PluginState::Running, None);
    let details = [
        ("receiver", "on-call (mail)"),
        ("waiting", "3"),
        ("trouble", "mail.example does not take the password, since 02:40"),
    ];
    notify.details = details.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    status.plugins = vec![notify];
    let told: Vec<String> = problems(&status).iter().map(|one| format!("{}: {}", one.place, one.what)).collect();
    let expected = "notify on-call (mail): nobody is told: mail.example does not take the password, since 02:40; 3 wait, and are tried again";
    assert_eq!(told, [expected]);
}

#[test]
fn the_end_of_the_daemon_and_what_other_sources_say() {
    let mut status = status_of("");
    status.stopping = true;
    let uevents = |state| OtherSourceStatus { name: "uevents".to_owned(), state, ..OtherSourceStatus::default() };
    let up = OtherSourceStatus { records: 4711, overruns: 2, not_understood: 1, ..uevents(SourceState::Up) };
    let down = OtherSourceStatus { last_error: Some("the socket was closed".to_owned()), ..uevents(SourceState::Down) };
    status.other_sources = vec![up, down];
    check(
        &status,
        &StatusArgs::default(),
        &expect![[r#"
        n1: Storage Reactor 1.2.3 (pid 812), running for 3 h 12 min, stopping: it waits for its services to stop, 0 resources
        * source uevents: down: it is tried again
              the socket was closed

          no resources

          source         up  drbdsetup events2 --full --poll, DRBD 9.3.3, drbd-utils 9.34.0  0 lines, 0 changes
          uevents        up  4711 records, 2 overruns, 1 not understood
          uevents        down  0 records
    "#]],
    );
    let quiet = serde_json::to_value(status_of("")).unwrap();
    assert!(quiet.get("stopping").is_none() && quiet.get("other-sources").is_none(), "{quiet}");
}

#[test]
fn a_bad_night() {
    let mut status = status_of(BAD);
    status.mode = "drbd-reactor".to_owned();
    status.source.state = SourceState::Down;
    status.source.since = Some("2026-11-21T05:50:00.000Z".to_owned());
    status.source.last_error = Some("drbdsetup ended with exit code 20".to_owned());
    status.source.restarts = 3;
    status.source.warnings = vec!["drbd-utils 9.22 does not say whether a device is open".to_owned()];
    status.plugins = vec![
        plugin("promoter", 1, PluginState::Unknown, None),
        plugin("debugger", 20, PluginState::Stopped, Some("it panicked: out of paper")),
    ];
    status.configuration.files = vec![
        file("drbd-reactor.toml", FileState::Current, &["3:1: warning: unknown key `statistic-poll-interval`"]),
        file("drbd-reactor.d/a.toml", FileState::LastGood, &["7:12: error: expected `,`"]),
        file("drbd-reactor.d/b.toml", FileState::Rejected, &["1:1: error: unknown table `promotor`"]),
    ];
    status.configuration.last_result = ReloadResult::Partly;
    status.configuration.drift = [("c.toml", "new"), ("d.toml", "deleted"), ("e.toml", "changed")]
        .map(|(path, how)| (format!("/etc/drbd-reactor.d/{path}"), how.to_owned()))
        .into();
    status.handlers = vec![
        HandlerOutcome {
            time: Some("2026-11-21T05:49:00.000Z".to_owned()),
            rule: "mail".to_owned(),
            resource: "a".to_owned(),
            end: "exited".to_owned(),
            exit_code: Some(75),
            stderr: "\u{1b}[31mno route to host\nmore".to_owned(),
            ..HandlerOutcome::default()
        },
        HandlerOutcome { end: "exited".to_owned(), exit_code: Some(0), ..HandlerOutcome::default() },
    ];
    status.counters.unparsed = 1;
    status.counters.last_unparsed = Some("gibberish".to_owned());
    status.counters.violations = 2;
    status.counters.unknown_words = BTreeMap::from([("device key moon".to_owned(), 3)]);
    check(
        &status,
        &StatusArgs::default(),
        &expect![[r#"
            n1: Storage Reactor 1.2.3 (pid 812, compatible to drbd-reactor), running for 3 h 12 min, 2 resources
            ! event source: down since 2026-11-21T05:50:00.000Z: what is shown is the state before that
                  drbdsetup ended with exit code 20
                  started again 3 times: drbdsetup events2 --full --poll
            ! /etc/drbd-reactor.d/b.toml: rejected: nothing of it runs
                  1:1: error: unknown table `promotor`
            ! plugin debugger (/etc/storage-reactor.d/ha.toml:20): stopped: it panicked: out of paper
                  reactorctl reload starts it again
            ! a: I/O is suspended: quorum
            ! a volume 0: no quorum
                  it comes back with the connections to the other nodes: drbdadm status a
            ! a connection to n3: StandAlone: nothing connects it again by itself
                  drbdadm adjust a    (after a split brain first decide whose data is thrown away)
            ! b: all I/O fails until the last opener has closed it: it was demoted by force
            ! b volume 1: disk is Diskless: the backing device is gone, and this node was not meant to be without
            * event source: drbd-utils 9.22 does not say whether a device is open
            * /etc/drbd-reactor.d/a.toml: has errors: its last good version runs
                  7:12: error: expected `,`
            * handler mail for a: ended with exit code 75 at 2026-11-21T05:49:00.000Z
                  �[31mno route to host
                  more
            * model: 2 broken invariants: a bug, please report it with the log
            * event source: 1 line could not be understood
                  the last one: gibberish
            * a connection to n2: Connecting
            * b volume 0: disk is Inconsistent
            * b connection to n2: path ipv4:10.78.0.1:7000 to ipv4:10.78.0.2:7000 is down; another one carries the traffic
            * b connection to n2 volume 0: SyncTarget 51.1% done, resync is paused: user,peer, 32000 KiB out of sync
            * b connection to n2 volume 1: 96 KiB out of sync
            - /etc/drbd-reactor.toml: has warnings
                  3:1: warning: unknown key `statistic-poll-interval`
            - /etc/drbd-reactor.d/c.toml: not read yet: it is new since the last reload
                  reactorctl reload
            - /etc/drbd-reactor.d/d.toml: gone from the disk, but still runs
                  reactorctl reload
            - /etc/drbd-reactor.d/e.toml: changed on the disk since the last reload
                  reactorctl reload
            - plugin promoter (/etc/storage-reactor.d/ha.toml:1): in a state that this reactorctl does not know
            - event source: this version does not know some of its words; they are kept as they come
                  device key moon

            ! a  Primary  I/O suspended: quorum
            ! ├─ volume 0  /dev/drbd10  UpToDate  no quorum  open
            * ├─ n2  Connecting  Unknown
              │  └─ volume 0  Outdated  Off
            ! └─ n3  StandAlone  Unknown
                 └─ volume 0  DUnknown  Off
            ! b  Secondary  I/O fails
            * ├─ volume 0  /dev/drbd20  Inconsistent
            ! ├─ volume 1  /dev/drbd21  Diskless
            * └─ n2  Connected  Primary  1 of 2 paths down
            *    ├─ volume 0  UpToDate  SyncTarget
                 │      ██████████░░░░░░░░░░ 51.1%  2.8 MiB/s, 11 s left, 31.2 MiB to go, paused: user,peer
            *    └─ volume 1  UpToDate  Established  96 KiB out of sync

              source         down  drbdsetup events2 --full --poll, DRBD 9.3.3, drbd-utils 9.34.0  16 lines, 15 changes
              configuration  /etc/drbd-reactor.toml and 2 snippets
              promoter       unknown  /etc/storage-reactor.d/ha.toml:1
              debugger       stopped  /etc/storage-reactor.d/ha.toml:20
        "#]],
    );
}

#[test]
fn one_resource_of_many() {
    let args = only("b");
    check(
        &status_of(BAD),
        &args,
        &expect![[r#"
            n1: Storage Reactor 1.2.3 (pid 812), running for 3 h 12 min, 1 resource
            ! b: all I/O fails until the last opener has closed it: it was demoted by force
            ! b volume 1: disk is Diskless: the backing device is gone, and this node was not meant to be without
            * b volume 0: disk is Inconsistent
            * b connection to n2: path ipv4:10.78.0.1:7000 to ipv4:10.78.0.2:7000 is down; another one carries the traffic
            * b connection to n2 volume 0: SyncTarget 51.1% done, resync is paused: user,peer, 32000 KiB out of sync
            * b connection to n2 volume 1: 96 KiB out of sync

            ! b  Secondary  I/O fails
            * ├─ volume 0  /dev/drbd20  Inconsistent
            ! ├─ volume 1  /dev/drbd21  Diskless
            * └─ n2  Connected  Primary  1 of 2 paths down
            *    ├─ volume 0  UpToDate  SyncTarget
                 │      ██████████░░░░░░░░░░ 51.1%  2.8 MiB/s, 11 s left, 31.2 MiB to go, paused: user,peer
            *    └─ volume 1  UpToDate  Established  96 KiB out of sync

              source         up  drbdsetup events2 --full --poll, DRBD 9.3.3, drbd-utils 9.34.0  16 lines, 15 changes
        "#]],
    );
}

#[test]
fn nothing_configured() {
    check(
        &status_of("exists -\n"),
        &StatusArgs::default(),
        &expect![[r#"
            n1: Storage Reactor 1.2.3 (pid 812), running for 3 h 12 min, 0 resources

              no resources

              source         up  drbdsetup events2 --full --poll, DRBD 9.3.3, drbd-utils 9.34.0  1 line, 0 changes
        "#]],
    );
}

#[test]
fn json_is_what_the_daemon_said() {
    let mut out = Vec::new();
    let args = StatusArgs { json: true, ..StatusArgs::default() };
    let said = json!({ "version": "9", "from-the-future": [1], "resources": [{ "name": "r0" }] });
    print(said.clone(), &args, &mut out).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), said);
}

/// What a promoter does is told where it runs, why, and what a person has to do.
#[test]
fn promoted_resources_are_a_tree_with_reasons() {
    use reactor_api::PromotedStatus;
    use reactor_api::promoted::{HoldStatus, UnitStatus};
    use reactor_api::status::SystemdStatus;
    let unit = |unit: &str, active: &str, freezer: &str, result: Option<&str>| UnitStatus {
        unit: unit.to_owned(),
        active: active.to_owned(),
        freezer: freezer.to_owned(),
        result: result.map(str::to_owned),
        ..UnitStatus::default()
    };
    let promoted = |resource: &str, state: &str, because: &str| PromotedStatus {
        resource: resource.to_owned(),
        target: format!("drbd-services@{resource}.target"),
        state: state.to_owned(),
        since: "2026-11-21T05:40:10.000Z".to_owned(),
        because: vec![because.to_owned()],
        policy: "quorum".to_owned(),
        max_failures: 3,
        ..PromotedStatus::default()
    };
    let mut status = status_of(GOOD);
    status.systemd = Some(SystemdStatus { up: true, why: None, units: 7 });
    status.promoted = vec![
        PromotedStatus {
            units: vec![
                unit("var-lib-db.mount", "active", "running", None),
                unit("postgresql.service", "failed", "running", Some("exit-code")),
            ],
            warnings: vec!["r0: on-no-quorum is suspend-io: services hang until quorum is back".to_owned()],
            failures: 1,
            last_failure: Some("postgresql.service failed: exit-code".to_owned()),
            ..promoted("r0", "running", "drbd-services@r0.target is active")
        },
        PromotedStatus {
            failures: 3,
            last_failure: Some("web.service failed: timeout".to_owned()),
            ..promoted("r1", "blocked", "3 failures within 10 min")
        },
        PromotedStatus {
            hold: Some(HoldStatus { who: "root".to_owned(), why: "new cables".to_owned(), ..HoldStatus::default() }),
            units: vec![unit("web.service", "active", "running", None)],
            ..promoted("r2", "held", "root holds it")
        },
        PromotedStatus {
            units: vec![unit("db.service", "active", "frozen", None)],
            ..promoted("r3", "frozen", "quorum is lost on volume 0")
        },
    ];
    check(
        &status,
        &StatusArgs::default(),
        &expect![[r#"
            n1: Storage Reactor 1.2.3 (pid 812), running for 3 h 12 min, 1 resource
            ! services of r1: blocked here: they failed too often
                  web.service failed: timeout
                  mend it, then: reactorctl clear r1
            ! services of r3: frozen
                  quorum is lost on volume 0
            * services of r0: unit postgresql.service has failed: exit-code
                  systemctl status postgresql.service
            * services of r0: r0: on-no-quorum is suspend-io: services hang until quorum is back
            - services of r2: held by root: new cables
                  reactorctl release r2

              r0  Primary
              ├─ volume 0  /dev/drbd10  UpToDate  open
              ├─ n2  Connected  Secondary
              │  └─ volume 0  UpToDate  Established
              └─ n3  Connected  Secondary
                 └─ volume 0  Diskless  Established  client

              services
            * r0  running for 12 min  1 of 3 failures
              │    because drbd-services@r0.target is active
              │    r0: on-no-quorum is suspend-io: services hang until quorum is back
              ├─ var-lib-db.mount  active
            * └─ postgresql.service  failed  exit-code
            ! r1  blocked for 12 min  3 of 3 failures
                   because 3 failures within 10 min
            - r2  held for 12 min
              │    because root holds it
              │    held by root: new cables
              └─ web.service  active
            ! r3  frozen for 12 min
              │    because quorum is lost on volume 0
            * └─ db.service  active  frozen

              source         up  drbdsetup events2 --full --poll, DRBD 9.3.3, drbd-utils 9.34.0  9 lines, 8 changes
              systemd        up  7 units
        "#]],
    );
    let only = only("r2");
    check(
        &status,
        &only,
        &expect![[r#"
            n1: Storage Reactor 1.2.3 (pid 812), running for 3 h 12 min, 0 resources
            - services of r2: held by root: new cables
                  reactorctl release r2

              no resources

              services
            - r2  held for 12 min
              │    because root holds it
              │    held by root: new cables
              └─ web.service  active

              source         up  drbdsetup events2 --full --poll, DRBD 9.3.3, drbd-utils 9.34.0  9 lines, 8 changes
              systemd        up  7 units
        "#]],
    );
}
