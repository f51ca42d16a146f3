//! `history` and `log`: over a daemon, over several, and without one.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use expect_test::{Expect, expect};
use reactor_api::status::ReloadResult;
use reactor_core::action::Reason;
use reactor_core::history::{Entry, Kind, News, Outcome, Phases, Presence, Serving, Severity, Told};
use reactor_core::ids::{ActionId, Mono};
use reactor_sys::control::SOCKET_NAME;
use reactor_sys::history::{History, Limits};

use crate::cluster::cluster;
use crate::daemon::{Daemon, KILLED, check, reactorctl, reloaded};
use crate::schemas;

/// 2024-11-21 03:00 UTC, and so many seconds: in the past, whenever this is built.
fn at(s: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_732_158_000 + s)
}

fn start(dir: &Path, node: &str) -> History {
    // Whatever the clock of this machine says, nothing is too old.
    let limits = Limits { max_age: Duration::from_secs(1 << 40), max_bytes: 16 << 20 };
    History::start(dir, node.to_owned(), limits)
}

fn about(resource: &str, what: Told) -> News {
    News { at: Mono::ZERO, resource: Some(resource.into()), what }
}

fn stands(serving: Serving, primary: bool, phases: Phases) -> News {
    let because = vec![Reason("so DRBD says".to_owned())];
    about("r0", Told::Presence(Box::new(Presence { serving, primary: Some(primary), planned: false, because, phases })))
}

/// A resource that a peer had runs here, a person holds it, and it fails.
fn write_takeover(dir: &Path, node: &str) {
    let mut history = start(dir, node);
    let ms = |ms| Some(Duration::from_millis(ms));
    history.write(at(0), &stands(Serving::Elsewhere, false, Phases::default()));
    history.write(at(60), &stands(Serving::Nowhere, false, Phases::default()));
    let decided = Entry::new(Kind::Decision, Severity::Info, "start drbd-services@r0.target".to_owned());
    let because = vec![Reason("may_promote:yes".to_owned()), Reason("no delay".to_owned())];
    let decided = Entry { action: Some(ActionId(7)), ..decided.because(because) };
    history.write(at(61), &about("r0", Told::Entry(decided)));
    let mut phases = Phases { detect: ms(400), decide: ms(600), promote: ms(50), start: None };
    history.write(at(61), &stands(Serving::Nowhere, true, phases));
    let done = Outcome { action: ActionId(7), how: "done".to_owned(), took: ms(850) };
    history.write(at(62), &about("r0", Told::Outcome(done)));
    phases.start = ms(800);
    history.write(at(62), &stands(Serving::Here, true, phases));
    let asked =
        Entry::new(Kind::Asked, Severity::Info, "hold".to_owned()).because(vec![Reason("new cables".to_owned())]);
    let (who, outcome) = (Some("alice (uid 1000)".to_owned()), Some("done: r0 is held".to_owned()));
    history.write(at(100), &about("r0", Told::Entry(Entry { who, outcome, ..asked })));
    let failed = Entry::new(Kind::Failure, Severity::Warning, "app.service has failed: exit-code".to_owned());
    history.write(at(200), &about("r1", Told::Entry(failed)));
    history.write(at(3660), &stands(Serving::Here, false, Phases::default()));
    assert!(history.finish(Duration::from_secs(300)));
}

/// A configuration whose daemon does not run.
fn config(folder: &Path) -> String {
    let file = folder.join("dead.toml");
    let text = format!("[daemon]\nstate-dir = \"{0}/state\"\nruntime-dir = \"{0}/no-run\"\n", folder.display());
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

#[test]
fn what_has_happened_is_one_line_each_with_when_what_why_who_and_how_long() {
    let daemon = Daemon::with(|_| {});
    let state = daemon.folder.join("state");
    write_takeover(&state, "n2");
    let dir = state.clone();
    daemon.change(move |played| played.history = Some(start(&dir, "n2")));
    check(
        daemon.run(&["history"]),
        &daemon.folder,
        &expect![[r#"
        2024-11-21T03:00:00.000Z r0 away: another node is Primary (found so); because so DRBD says
        2024-11-21T03:01:00.000Z r0 down (warning): its services do not run; because so DRBD says
        2024-11-21T03:01:01.000Z r0 decision: start drbd-services@r0.target; because may_promote:yes; no delay -> done after 850 ms
        2024-11-21T03:01:01.000Z r0 promoted: this node is Primary [detect 400 ms, decide 600 ms, promote 50 ms]
        2024-11-21T03:01:02.000Z r0 running: its services run here [detect 400 ms, decide 600 ms, promote 50 ms, start 800 ms]; because so DRBD says
        2024-11-21T03:01:40.000Z r0 asked: hold; by alice (uid 1000); because new cables -> done: r0 is held
        2024-11-21T03:03:20.000Z r1 failure (warning): app.service has failed: exit-code
        2024-11-21T04:01:00.000Z r0 demoted: this node is Secondary
        --- exit 0
    "#]],
    );
    check(
        daemon.run(&["history", "r1"]),
        &daemon.folder,
        &expect![[r#"
        2024-11-21T03:03:20.000Z r1 failure (warning): app.service has failed: exit-code
        --- exit 0
    "#]],
    );
    check(
        daemon.run(&["history", "--since", "2024-11-21T03:01:30Z", "--until", "2024-11-21T03:02Z", "--json"]),
        &daemon.folder,
        &expect![[r#"
            {"id":6,"time":"2024-11-21T03:01:40.000Z","node":"n2","resource":"r0","kind":"asked","severity":"info","what":"hold","because":["new cables"],"who":"alice (uid 1000)","outcome":"done: r0 is held"}
            --- exit 0
        "#]],
    );
    check(
        daemon.run(&["log", "-n", "1"]),
        &daemon.folder,
        &expect![[r#"
        2024-11-21T04:01:00.000Z r0 demoted: this node is Secondary
        --- exit 0
    "#]],
    );
    check(
        daemon.run(&["history", "--downtime", "--until", "2024-11-21T04:01:02Z"]),
        &daemon.folder,
        &expect![[r#"
        RESOURCE  MONTH           UP          DOWN       PLANNED  OUTAGES     NOT KNOWN
        r0        2024-11   99.945 % # s          0 ms        1          0 ms
        --- exit 0
    "#]],
    );
    let json = |args: &[&str]| daemon.run(args).output().unwrap().stdout;
    assert_eq!(schemas::check("history", &json(&["history", "--json"])), 8);
    let downtime = json(&["history", "--downtime", "--until", "2024-11-21T05:00Z", "--json"]);
    assert_eq!(schemas::check("downtime", &downtime), 1);
    check(
        daemon.run(&["history", "--since", "yesterday"]),
        &daemon.folder,
        &expect![[r#"
        --- stderr
        error: invalid value 'yesterday' for '--since <WHEN>': neither a time ago (2h, 3d) nor a time in UTC (11:30 for today, 2026-11-29, 2026-11-29T10:00)

        For more information, try '--help'.
        --- exit 2
    "#]],
    );
}

#[test]
fn without_a_daemon_its_file_is_read_and_that_is_said() {
    let daemon = Daemon::with(|_| {});
    let config = config(&daemon.folder);
    let dead = |args: &[&str]| {
        let mut command = reactorctl();
        command.arg("-c").arg(&config).args(args);
        command
    };
    check(
        dead(&["history"]),
        &daemon.folder,
        &expect![[r#"
        --- stderr
        reactorctl: no daemon answers, and what it has written can't be read: there is no history in DIR/state: the daemon has not run with this state folder yet
        --- exit 3
    "#]],
    );
    write_takeover(&daemon.folder.join("state"), "n2");
    check(
        dead(&["history", "-n", "2"]),
        &daemon.folder,
        &expect![[r#"
        2024-11-21T03:03:20.000Z r1 failure (warning): app.service has failed: exit-code
        2024-11-21T04:01:00.000Z r0 demoted: this node is Secondary
        --- stderr
        reactorctl: no daemon serves DIR/no-run/control.sock; this is read from DIR/state/history.db, up to where the daemon has written it
        --- exit 0
    "#]],
    );
    check(
        dead(&["history", "--downtime", "--until", "2024-11-21T05:00Z"]),
        &daemon.folder,
        &expect![[r#"
        RESOURCE  MONTH           UP          DOWN       PLANNED  OUTAGES     NOT KNOWN
        r0        2024-11   99.972 % # s          0 ms        1          0 ms
        --- stderr
        reactorctl: no daemon serves DIR/no-run/control.sock; this is read from DIR/state/history.db, up to where the daemon has written it
        --- exit 0
    "#]],
    );
    let out = dead(&["log", "-f"]).output().unwrap();
    assert_eq!(out.status.code(), Some(3), "there is nobody to follow");
}

#[test]
fn entries_are_followed_as_they_are_written() {
    let daemon = Daemon::with(|_| {});
    let state = daemon.folder.join("state");
    write_takeover(&state, "n2");
    let dir = state.clone();
    daemon.change(move |played| played.history = Some(start(&dir, "n2")));
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_reactorctl"))
        .arg("--socket")
        .arg(daemon.folder.join(SOCKET_NAME))
        .args(["log", "-f", "-n", "1", "r0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut line = || lines.next().map(Result::unwrap).unwrap_or_default();
    assert_eq!(line(), "2024-11-21T04:01:00.000Z r0 demoted: this node is Secondary");
    daemon.change(|played| {
        let history = played.history.as_mut().unwrap();
        let decided = Entry::new(Kind::Decision, Severity::Info, "stop drbd-services@r0.target".to_owned());
        let decided = decided.because(vec![Reason("held by alice".to_owned())]);
        let other = Entry::new(Kind::Note, Severity::Info, "of another".to_owned());
        history.write(at(5000), &about("r1", Told::Entry(other)));
        history.write(at(5000), &about("r0", Told::Entry(Entry { action: Some(ActionId(3)), ..decided })));
    });
    assert_eq!(line(), "2024-11-21T04:23:20.000Z r0 decision: stop drbd-services@r0.target; because held by alice");
    daemon.change(|played| {
        let took = Some(Duration::from_millis(2500));
        let done = Outcome { action: ActionId(3), how: "done".to_owned(), took };
        played.history.as_mut().unwrap().write(at(5003), &about("r0", Told::Outcome(done)));
    });
    assert_eq!(line(), "2024-11-21T04:23:20.000Z r0 decision: stop drbd-services@r0.target -> done after 2.5 s");
    daemon.change(|played| played.history = None);
    assert_eq!(line(), "");
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn all_nodes_are_put_together_by_time_and_a_dead_one_costs_only_itself() {
    let (near, far) = (Daemon::with(|_| {}), Daemon::with(|_| {}));
    for (daemon, node) in [(&near, "n2"), (&far, "n3")] {
        let dir = daemon.folder.join("state");
        if node == "n2" {
            write_takeover(&dir, node);
        } else {
            let mut history = start(&dir, node);
            history.write(at(0), &stands(Serving::Here, true, Phases::default()));
            let note = Entry::new(Kind::Quorum, Severity::Warning, "no quorum: volume 0".to_owned());
            history.write(at(59), &about("r0", Told::Entry(note)));
            history.write(at(60), &stands(Serving::Unknown, false, Phases::default()));
            assert!(history.finish(Duration::from_secs(300)));
        }
        daemon.change(move |played| played.history = Some(start(&dir, node)));
    }
    let run = cluster(&near, &far, "--read-only");
    check(
        run(&["history", "--all", "r0", "-n", "5"]),
        &near.folder,
        &expect![[r#"
        2024-11-21T03:01:01.000Z n2 r0 decision: start drbd-services@r0.target; because may_promote:yes; no delay -> done after 850 ms
        2024-11-21T03:01:01.000Z n2 r0 promoted: this node is Primary [detect 400 ms, decide 600 ms, promote 50 ms]
        2024-11-21T03:01:02.000Z n2 r0 running: its services run here [detect 400 ms, decide 600 ms, promote 50 ms, start 800 ms]; because so DRBD says
        2024-11-21T03:01:40.000Z n2 r0 asked: hold; by alice (uid 1000); because new cables -> done: r0 is held
        2024-11-21T04:01:00.000Z n2 r0 demoted: this node is Secondary
        --- stderr
        reactorctl: n4: not reached: ssh: connect to host 192.0.2.4 port 22: No route to host
        --- exit 12
    "#]],
    );
    check(
        run(&["history", "--all", "--downtime", "--until", "2024-11-21T04:01:00Z"]),
        &near.folder,
        &expect![[r#"
        RESOURCE  MONTH           UP          DOWN       PLANNED  OUTAGES     NOT KNOWN
        r0        2024-11   99.945 % # s          0 ms        1          0 ms
        --- stderr
        reactorctl: n4: not reached: ssh: connect to host 192.0.2.4 port 22: No route to host
        --- exit 12
    "#]],
    );
    check(
        run(&["--node", "n3", "history", "-n", "1"]),
        &near.folder,
        &expect![[r#"
        2024-11-21T03:01:00.000Z r0 away (warning): where it runs is not known here; because so DRBD says
        --- exit 0
    "#]],
    );
}

/// The kernel lets everybody connect to a daemon that is stopped or hangs, and nobody ever reads what they say.
#[test]
fn a_daemon_that_hangs_costs_three_seconds_and_not_the_answers_of_others() {
    let near = Daemon::start(KILLED, reloaded(ReloadResult::Ok, &[]));
    let state = near.folder.join("state");
    write_takeover(&state, "n2");
    near.change(move |played| played.history = Some(start(&state, "n2")));
    let home = near.folder.join("home");
    std::fs::create_dir_all(home.join("reactorctl")).unwrap();
    let hangs = home.join("hangs.sock");
    let _hangs = UnixListener::bind(&hangs).unwrap();
    let text = format!(
        "[nodes.n1]\nsocket = \"{}\"\n[nodes.n2]\nsocket = \"{}\"\n",
        hangs.display(),
        near.folder.join(SOCKET_NAME).display()
    );
    std::fs::write(home.join("reactorctl/default.toml"), text).unwrap();
    let run = |args: &[&str], expect: &Expect| {
        let mut command = reactorctl();
        command.env("XDG_CONFIG_HOME", &home).args(args);
        check(command, &near.folder, expect);
    };
    let of_all = expect![[r#"
        2024-11-21T03:03:20.000Z n2 r1 failure (warning): app.service has failed: exit-code
        2024-11-21T04:01:00.000Z n2 r0 demoted: this node is Secondary
        --- stderr
        reactorctl: n1: not reached: no answer within 3 s
        --- exit 12
    "#]];
    let of_one = expect![[r#"
        --- stderr
        reactorctl: n1: not reached: no answer within 3 s
        --- exit 12
    "#]];
    let status = expect![[r#"
        r1  unknown  Primary on n3, says n2
            n2: standby: n3 is Primary
            connection to n1 volume 0: peer disk is Inconsistent, 1848 KiB out of sync
            (on n2)
          n2  standby    Secondary  UpToDate

        ! n1: not reached: no answer within 3 s
          n2: Storage Reactor 1.2.3, running for 1 min, 1 resource
        --- exit 12
    "#]];
    let mon = expect![[r#"
              n1    n2
        r1    ?   * standby

        ! r1 Primary on n3, says n2: n2: standby: n3 is Primary
        * r1 connection to n1 volume 0: peer disk is Inconsistent, 1848 KiB out of
            sync (on n2)
        ? n1: not reached: no answer within 3 s; nothing is known of it
        --- exit 12
    "#]];
    let from_file = expect![[r#"
        2024-11-21T04:01:00.000Z r0 demoted: this node is Secondary
        --- stderr
        reactorctl: no answer from the daemon within 3 s; this is read from DIR/state/history.db, up to where the daemon has written it
        --- exit 0
    "#]];
    let nobody = expect![[r#"
        --- stderr
        reactorctl: no answer from the daemon within 3 s
          the daemon may still do what was asked
        --- exit 7
    "#]];
    // The daemon of this node, which could be asked for much longer.
    let here = |args: &[&str], expect: &Expect| {
        let mut command = reactorctl();
        command.arg("-c").arg(config(&near.folder)).arg("--socket").arg(&hangs).args(args);
        check(command, &near.folder, expect);
    };
    // Each of them waits for the same daemon: at the same time.
    std::thread::scope(|scope| {
        scope.spawn(|| run(&["history", "-a", "-n", "2"], &of_all));
        scope.spawn(|| run(&["--node", "n1", "history", "-n", "2"], &of_one));
        scope.spawn(|| run(&["status", "--all"], &status));
        scope.spawn(|| run(&["mon"], &mon));
        scope.spawn(|| here(&["history", "-n", "1"], &from_file));
        scope.spawn(|| here(&["log", "-f"], &nobody));
    });
}

/// Killed: nothing more is said, and the connection is gone.
#[test]
fn a_daemon_that_is_killed_while_it_is_followed_has_stopped() {
    let folder = std::env::temp_dir().join(format!("reactorctl-killed-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let socket = folder.join(SOCKET_NAME);
    let listener = UnixListener::bind(&socket).unwrap();
    let ping = r#"{"parameters":{"version":"1.2.3","pid":812,"running-ms":7}}"#;
    let entries = r#"{"parameters":{"entries":[{"time":"2024-11-21T03:00:00.000Z","kind":"note","what":"so it is"}]},"continues":true}"#;
    let changes = r#"{"parameters":{"changes":[]},"continues":true}"#;
    // The answers on each connection; "" = none.
    let connections = [vec![ping, entries], vec![changes], vec![ping, ""], vec![""]];
    let killed = std::thread::spawn(move || {
        for answers in connections {
            let (mut connection, _) = listener.accept().unwrap();
            for answer in answers {
                let mut byte = [1];
                while byte != [0] {
                    connection.read_exact(&mut byte).unwrap();
                }
                if !answer.is_empty() {
                    connection.write_all(format!("{answer}\0").as_bytes()).unwrap();
                }
            }
        }
    });
    let run = |args: &[&str], expect: Expect| {
        let mut command = reactorctl();
        command.arg("--socket").arg(&socket).args(args);
        check(command, &folder, &expect);
    };
    run(
        &["log", "-f"],
        expect![[r#"
        2024-11-21T03:00:00.000Z - note: so it is
        --- stderr
        reactorctl: the daemon has stopped
        --- exit 3
    "#]],
    );
    run(
        &["changes", "--follow"],
        expect![[r#"
        --- stderr
        reactorctl: the daemon has stopped
        --- exit 3
    "#]],
    );
    for _ in 0..2 {
        run(
            &["log", "-f"],
            expect![[r#"
        --- stderr
        reactorctl: daemon does not speak our protocol: it closed the connection
        --- exit 1
    "#]],
        );
    }
    killed.join().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}
