//! `evict` and `move`: daemons that do what ours do, step by step.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use expect_test::expect;
use reactor_api::PromotedStatus;
use reactor_api::promoted::{HoldStatus, PeerStatus, UnitStatus};
use reactor_api::status::SourceState;
use reactor_sys::control::SOCKET_NAME;

use crate::cluster::{cluster, cluster_as};
use crate::daemon::{Daemon, check, reactorctl, status};
use crate::played::{State, Step};

const N3: &str = "\
exists resource name:r1 role:Secondary suspended:no force-io-failures:no may_promote:no promotion_score:10102
exists connection name:r1 peer-node-id:1 conn-name:n2 connection:Connected role:Primary congested:no
exists device name:r1 volume:0 minor:10 backing_dev:/dev/vg/r1 disk:UpToDate client:no open:no quorum:yes size:65496
exists peer-device name:r1 peer-node-id:1 conn-name:n2 volume:0 replication:Established peer-disk:UpToDate peer-client:no resync-suspended:no out-of-sync:0
exists -
";

fn peer(node: &str, obstacle: Option<&str>) -> PeerStatus {
    let connected = obstacle.is_none_or(|obstacle| !obstacle.starts_with("not connected"));
    let obstacles = obstacle.map(str::to_owned).into_iter().collect();
    PeerStatus { node: node.to_owned(), primary: false, connected, obstacles }
}

/// r1 as its promoter tells of it.
pub(crate) fn r1(state: &str, because: &str) -> PromotedStatus {
    PromotedStatus {
        resource: "r1".to_owned(),
        state: state.to_owned(),
        because: vec![because.to_owned()],
        policy: "quorum".to_owned(),
        units: vec![UnitStatus {
            unit: "app.service".to_owned(),
            active: "active".to_owned(),
            ..UnitStatus::default()
        }],
        peers: vec![peer("n3", None), peer("n4", Some("not connected: Connecting"))],
        ..PromotedStatus::default()
    }
}

pub(crate) fn begin(state: &mut State, node: &str, report: PromotedStatus) {
    state.set_drbd(N3);
    state.status = status(&state.core);
    state.status.node = node.to_owned();
    state.status.source.state = SourceState::Up;
    state.promoted = vec![report];
}

/// Where it runs.
pub(crate) fn n2(steps: impl FnOnce() -> Vec<Step> + Send + 'static) -> Daemon {
    Daemon::with(move |state| {
        begin(state, "n2", r1("running", "its services run here"));
        state.on_yield = steps().into();
    })
}

/// Where it could run.
pub(crate) fn n3(change: impl FnOnce(&mut PromotedStatus) + Send + 'static) -> Daemon {
    Daemon::with(move |state| {
        let mut report = r1("standby", "n2 is Primary");
        change(&mut report);
        begin(state, "n3", report);
    })
}

pub(crate) fn step(change: impl FnOnce(&mut State) + Send + 'static) -> Step {
    Box::new(change)
}

/// What its promoter says changes.
pub(crate) fn to(state: &'static str, because: &'static str) -> Step {
    step(move |it| it.promoted[0] = r1(state, because))
}

pub(crate) fn stops() -> Vec<Step> {
    vec![to("stopping", "its services are on their way down"), to("held", "left to another node by root")]
}

/// n3 is Primary, and it is left to nobody any more.
pub(crate) fn is_taken() -> Step {
    step(|state| {
        state.holds.clear();
        let peers = vec![PeerStatus { primary: true, ..peer("n3", None) }];
        state.promoted[0] = PromotedStatus { peers, ..r1("standby", "n3 is Primary") };
    })
}

fn is_given_up() -> Step {
    step(|state| {
        state.holds.clear();
        state.promoted[0] = r1("starting", "its services are on their way up");
    })
}

#[test]
fn an_eviction_looks_at_the_other_nodes_and_says_how_it_goes() {
    let near = n2(|| stops().into_iter().chain([is_taken()]).collect());
    let far = n3(|_| {});
    check(
        cluster(&near, &far, "")(&["--node", "n2", "evict", "r1"]),
        &near.folder,
        &expect![[r#"
            n4: not reached: ssh: connect to host 192.0.2.4 port 22: No route to host
            r1 is evicted from this node; it may come back in 20 s
             # s  stopping: its services are on their way down
             # s  stopped here
             # s  standby: n3 is Primary
            done: r1 is Primary on n3 after # s
            --- exit 0
        "#]],
    );
}

#[test]
fn an_eviction_without_a_context_says_what_it_could_not_look_at() {
    let near = n2(|| stops().into_iter().chain([is_given_up()]).collect());
    check(
        near.run(&["--context", "none", "evict", "r1"]),
        &near.folder,
        &expect![[r#"
            no context: nobody was asked whether it is held, blocked or drained elsewhere
            r1 is evicted from this node; it may come back in 20 s
             # s  stopping: its services are on their way down
             # s  stopped here
             # s  starting: its services are on their way up
            --- stderr
            reactorctl: no other node has taken r1 over within 20 s: it may run here again
              reactorctl why on the other nodes says what kept them from it
            --- exit 11
        "#]],
    );
}

#[test]
fn nothing_is_stopped_if_no_other_node_could_take_it_over() {
    let near = n2(Vec::new);
    let far = n3(|report| *report = r1("blocked", "3 failures within 1 h"));
    let run = cluster(&near, &far, "");
    check(
        run(&["--node", "n2", "evict", "r1"]),
        &near.folder,
        &expect![[r#"
            --- stderr
            reactorctl: n2: no other node could take r1 over
              n3: it is blocked there: its services failed too often: 3 failures within 1 h
              n4: not connected: Connecting; not reached: ssh: connect to host 192.0.2.4 port 22: No route to host
            --- exit 10
        "#]],
    );
    check(
        run(&["move", "r1", "--to", "n3"]),
        &near.folder,
        &expect![[r#"
        --- stderr
        reactorctl: r1 can't be moved to n3, nothing was done: n3: it is blocked there: its services failed too often: 3 failures within 1 h
        --- exit 10
    "#]],
    );
    check(
        run(&["move", "r1", "--to", "n4"]),
        &near.folder,
        &expect![[r#"
            --- stderr
            reactorctl: r1 can't be moved to n4, nothing was done:
              n4: not connected: Connecting
              n4: not reached: ssh: connect to host 192.0.2.4 port 22: No route to host
            --- exit 10
        "#]],
    );
    assert!(
        String::from_utf8(run(&["--node", "n2", "why", "r1"]).output().unwrap().stdout).unwrap().contains("runs here")
    );
}

#[test]
fn a_person_who_stops_it_meanwhile_ends_an_eviction() {
    let hold = |state: &mut State| {
        let hold = state.holds.get_mut("r1").unwrap();
        (hold.who, hold.until_primary) = ("uid 1000".to_owned(), None);
    };
    let near = n2(move || stops().into_iter().chain([step(hold)]).collect());
    check(
        near.run(&["--context", "none", "evict", "r1", "--to", "n3"]),
        &near.folder,
        &expect![[r#"
            no context: nobody was asked whether it is held, blocked or drained elsewhere
            r1 is evicted from this node; it may come back in 20 s
             # s  stopping: its services are on their way down
             # s  stopped here
            --- stderr
            reactorctl: r1 has not gone to another node: it was stopped by uid 1000 meanwhile
            --- exit 11
        "#]],
    );
}

#[test]
fn an_eviction_to_a_node_ends_as_soon_as_another_one_was_faster() {
    // The hold for n3 would stay until its time is up.
    let is_taken_by_n4 = step(|state| {
        let peers = vec![peer("n3", None), PeerStatus { primary: true, ..peer("n4", None) }];
        state.promoted[0] = PromotedStatus { peers, ..r1("held", "left to n3 by root") };
    });
    let near = n2(move || stops().into_iter().chain([is_taken_by_n4]).collect());
    check(
        near.run(&["--context", "none", "evict", "r1", "--to", "n3"]),
        &near.folder,
        &expect![[r#"
            no context: nobody was asked whether it is held, blocked or drained elsewhere
            r1 is evicted from this node; it may come back in 20 s
             # s  stopping: its services are on their way down
             # s  stopped here
            --- stderr
            reactorctl: r1 is Primary on n4 now, and not on n3: n4 was not told, and was faster
              reactorctl move r1 --to n3 moves it there
            --- exit 11
        "#]],
    );
}

#[test]
fn who_stops_or_drains_is_warned_if_no_other_node_can_take_over_and_it_is_done() {
    let near = n2(Vec::new);
    let far = n3(|report| *report = r1("blocked", "3 failures within 1 h"));
    let run = cluster(&near, &far, "");
    check(
        run(&["--node", "n2", "stop", "r1"]),
        &near.folder,
        &expect![[r#"
            r1            info   r1 is stopped here, and not started until it is released
            app.service   info   stop app.service
            app.service   info   stopped
            r1            done   down on n2 after # s
            r1            info   reactorctl start r1 lets it run here again
            --- stderr
            reactorctl: no other node could take r1 over
              n3: it is blocked there: its services failed too often: 3 failures within 1 h
              n4: not connected: Connecting; not reached: ssh: connect to host 192.0.2.4 port 22: No route to host
            --- exit 0
        "#]],
    );
    check(
        run(&["--node", "n2", "drain"]),
        &near.folder,
        &expect![[r#"
        done: this node is drained: what promoters run here is stopped, and nothing is started
          reactorctl status shows what is still on its way down; reactorctl undrain ends it
        --- stderr
        reactorctl: no other node could take r1 over
          n3: it is blocked there: its services failed too often: 3 failures within 1 h
          n4: not connected: Connecting; not reached: ssh: connect to host 192.0.2.4 port 22: No route to host
        --- exit 0
    "#]],
    );
    far.change(|state| state.promoted[0] = r1("standby", "n2 is Primary"));
    for args in [["--node", "n2", "stop", "r1"].as_slice(), &["--node", "n2", "drain"]] {
        let output = run(args).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output:?}");
    }
}

/// What `why` says of the other nodes.
fn other_nodes(command: &mut assert_cmd::Command) -> String {
    let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let begin = text.find("Other nodes").unwrap_or_else(|| panic!("{text}"));
    text[begin..].split("\n\n").next().unwrap_or_default().trim_end().to_owned()
}

#[test]
fn what_runs_on_a_node_that_is_silent_is_not_moved_and_its_peers_say_where_it_is() {
    let (mut near, far) = (n2(Vec::new), n3(|_| {}));
    let run = cluster(&near, &far, "");
    near.end();
    check(
        run(&["move", "r1", "--to", "n3"]),
        &near.folder,
        &expect![[r#"
            --- stderr
            reactorctl: r1 can't be moved to n3, nothing was done:
              n2: not reached: no daemon serves DIR/control.sock; it is Primary there, says n3
              it can be moved when the daemon of n2 answers (there: systemctl status storage-reactor); if all of n2 hangs, switch it off: another node takes over
            --- exit 10
        "#]],
    );
}

/// What a person has said of it: stopped it, left it alone, or left it to another node.
fn held(hold: HoldStatus, because: &str) -> Daemon {
    let hold = HoldStatus { who: "root".to_owned(), why: "new cables".to_owned(), ..hold };
    let report = PromotedStatus { hold: Some(hold), ..r1("held", because) };
    Daemon::with(|state| begin(state, "n2", report))
}

#[test]
fn a_stop_a_hold_and_a_move_have_their_own_words_everywhere() {
    let stopped = held(HoldStatus { stops: true, ..HoldStatus::default() }, "stopped by root: new cables");
    let far = n3(|report| {
        let (until_primary, ends) = (Some("n2".to_owned()), Some("2026-11-21T03:02:00.000Z".to_owned()));
        let who = "alice".to_owned();
        report.hold = Some(HoldStatus { who, stops: true, until_primary, ends, ..HoldStatus::default() });
        report.state = "held".to_owned();
        report.because = vec!["left to n2 by alice until it is Primary there".to_owned()];
    });
    let run = cluster(&stopped, &far, "");
    for args in [["status", "--all"].as_slice(), &["mon"], &["--node", "n3", "status"]] {
        let expect = match args {
            ["status", ..] => expect![[r#"
                r1  unknown  Primary on n2, say n2, n3
                    n2: stopped by root: new cables
                    n3: left to n2 by alice until it is Primary there
                  n2  stopped     Secondary  UpToDate
                  n3  left to n2  Secondary  UpToDate

                  n2: Storage Reactor 1.2.3, running for 1 min, 1 resource
                  n3: Storage Reactor 1.2.3, running for 1 min, 1 resource
                ! n4: not reached: ssh: connect to host 192.0.2.4 port 22: No route to host
                --- exit 12
            "#]],
            ["mon"] => expect![[r#"
                      n2         n3            n4
                r1  - stopped  - left to n2    ?

                ! r1 Primary on n2, say n2, n3: n2: stopped by root: new cables, n3: left to
                    n2 by alice until it is Primary there
                ? n4: not reached: ssh: connect to host 192.0.2.4 port 22: No route to host;
                    nothing is known of it
                --- exit 12
            "#]],
            _ => expect![[r#"
                n3: Storage Reactor 1.2.3 (pid 812), running for 1 min, 1 resource
                - services of r1: left to n2 by alice until it is Primary there
                      reactorctl release r1

                  r1  Secondary
                  ├─ volume 0  /dev/drbd10  UpToDate
                  └─ n2  Connected  Primary
                     └─ volume 0  UpToDate  Established

                  services
                - r1  left to n2
                  │    because left to n2 by alice until it is Primary there
                  │    or until 2026-11-21T03:02:00.000Z
                  └─ app.service  active

                  source         up  drbdsetup events2 --full --poll  5 lines, 4 changes
                --- exit 0
            "#]],
        };
        check(run(args), &stopped.folder, &expect);
    }
    let why = |daemon: &Daemon| {
        let text = String::from_utf8(daemon.run(&["why", "r1"]).output().unwrap().stdout).unwrap();
        let about = |line: &&str| ["is ", " by ", "release", "start "].iter().any(|word| line.contains(word));
        text.lines()
            .take_while(|line| !line.contains("policy"))
            .filter(about)
            // How long ago that is depends on the day, and the day is told if it is not today.
            .map(|line| format!("{}\n", line.split_once(" UTC (").map_or(line, |(time, _)| time)))
            .map(|line| line.replace("2026-11-21 ", ""))
            .collect::<String>()
    };
    expect![[r#"
        r1 is stopped, since .
          because stopped by root: new cables
          stopped by root: new cables
          next: nothing by itself, because stopped by root: new cables
          reactorctl start r1
    "#]]
    .assert_eq(&why(&stopped));
    expect![[r#"
        r1 is left to n2, since .
          because left to n2 by alice until it is Primary there
          left to n2 by alice until it is Primary there, or until 03:02:00
          next: nothing by itself, because left to n2 by alice until it is Primary there
          reactorctl release r1
    "#]]
    .assert_eq(&why(&far));
    expect![[r#"
        r1 is held, since .
          because held by root: new cables
          held by root: new cables
          next: nothing by itself, because held by root: new cables
          reactorctl release r1
    "#]]
    .assert_eq(&why(&held(HoldStatus::default(), "held by root: new cables")));
}

#[test]
fn why_asks_the_other_daemons_also_when_it_runs_nowhere() {
    let near = Daemon::with(|state| begin(state, "n2", r1("held", "held by root")));
    let far = n3(|report| *report = r1("held", "held by admin"));
    let run = cluster(&near, &far, "");
    expect![[r#"
        Other nodes:
          n3: it is held by admin
          n4: not connected: Connecting; not reached: ssh: connect to host 192.0.2.4 port 22: No route to host"#]]
    .assert_eq(&other_nodes(&mut run(&["--node", "n2", "why", "r1", "--all"])));
    expect![[r#"
        Other nodes, for all that DRBD says here:
          n3 could take it over
          n4 could not take it over: not connected: Connecting
          whether it is held, blocked or drained there: reactorctl why r1 --all asks the other nodes"#]]
    .assert_eq(&other_nodes(&mut run(&["--node", "n2", "why", "r1"])));
    let json = run(&["--node", "n2", "why", "r1", "--all", "--json"]).output().unwrap().stdout;
    assert_eq!(crate::schemas::check("why", &json), 1);
    let why: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let others = &why["others"];
    assert_eq!(
        (&others["n3"]["report"]["state"], &others["n3"]["drained"]),
        (&"held".into(), &serde_json::Value::Null)
    );
    assert_eq!(others["n3"]["obstacles"], serde_json::json!(["it is held by admin"]));
    assert!(others["n4"]["error"].as_str().is_some_and(|why| why.starts_with("not reached")), "{others:#}");
    let mut alone = near.run(&["why", "r1"]);
    alone.args(["--context", "none"]);
    expect![[r#"
        Other nodes, for all that DRBD says here:
          n3 could take it over
          n4 could not take it over: not connected: Connecting"#]]
    .assert_eq(&other_nodes(&mut alone));
}

#[test]
fn why_says_what_keeps_a_standby_from_taking_over_when_nobody_is_primary() {
    let near = Daemon::with(|state| begin(state, "n2", r1("held", "held by root")));
    let far = n3(|report| *report = r1("standby", "app.service is masked"));
    far.change(|state| state.set_drbd(&N3.replace("role:Primary", "role:Secondary")));
    let text = other_nodes(&mut cluster(&near, &far, "")(&["--node", "n2", "why", "r1", "--all"]));
    assert!(text.contains("\n  n3: app.service is masked\n"), "{text}");
    far.change(|state| begin(state, "n3", r1("standby", "n2 is Primary")));
    let near = n2(Vec::new);
    let text = other_nodes(&mut cluster(&near, &far, "")(&["--node", "n2", "why", "r1", "--all"]));
    assert!(text.contains("\n  n3 could take it over\n"), "{text}");
}

#[test]
fn a_status_of_a_resource_that_nobody_has_is_a_failure() {
    let near = n2(Vec::new);
    let code = |args: &[&str]| near.run(args).output().unwrap().status.code();
    assert_eq!(code(&["status", "-r", "r1"]), Some(0));
    assert_eq!(code(&["status", "--json", "-r", "r9"]), Some(8));
    let output = near.run(&["status", "-r", "r1", "r9"]).output().unwrap();
    assert_eq!(output.status.code(), Some(8));
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(out.contains("r1"), "what is there is shown: {out}");
    assert!(err.contains("neither DRBD nor a promoter has a resource r9"), "{err}");
    // Without news of DRBD nobody knows.
    near.change(|state| state.status.source.state = SourceState::Down);
    assert_eq!(code(&["status", "-r", "r9"]), Some(0));
}

/// Where it runs, and where it starts once it has stopped there.
fn pair() -> (Daemon, Daemon) {
    let far = n3(|_| {});
    let tell = far.teller();
    let starts = step(move |_| {
        tell(step(|state| {
            state.promoted[0] = r1("starting", "its services are on their way up");
            state.steps.push_back(to("running", "its services run here"));
        }));
    });
    (n2(move || stops().into_iter().chain([starts]).collect()), far)
}

/// And DRBD by their short ones.
#[test]
fn a_context_may_call_nodes_by_their_long_names() {
    let long = |near: &Daemon, far: &Daemon| {
        cluster_as(near, far, "", |text| {
            text.lines()
                .map(|line| match line.strip_prefix("[nodes.").and_then(|rest| rest.strip_suffix(']')) {
                    Some(node) => format!("[nodes.\"{node}.example.com\"]\n"),
                    None => format!("{line}\n"),
                })
                .collect()
        })
    };
    let (near, far) = pair();
    let run = long(&near, &far);
    check(
        run(&["move", "r1", "--to", "n3"]),
        &near.folder,
        &expect![[r#"
        r1 is on its way to n3; after 60 s it may run anywhere again
         # s  n3: standby: n2 is Primary
         # s  n2.example.com: stopping: its services are on their way down
         # s  n2.example.com: stopped here
         # s  n3: starting: its services are on their way up
         # s  n3: running: its services run here
        done: r1 runs on n3 after # s
        --- exit 0
    "#]],
    );
    // It was left to that node as DRBD calls it.
    let held = far.run(&["status", "--json"]).output().unwrap();
    let held: serde_json::Value = serde_json::from_slice(&held.stdout).unwrap();
    assert_eq!(held["promoted"][0]["hold"], serde_json::Value::Null, "the target is told nothing: {held:#}");
    let held = near.run(&["status", "--json"]).output().unwrap();
    let held: serde_json::Value = serde_json::from_slice(&held.stdout).unwrap();
    assert_eq!(held["promoted"][0]["hold"]["until-primary"], "n3", "{held:#}");
    let near = n2(|| stops().into_iter().chain([is_taken()]).collect());
    let far = n3(|report| *report = r1("blocked", "3 failures within 1 h"));
    let run = long(&near, &far);
    check(
        run(&["--node", "n2.example.com", "evict", "r1", "--to", "n3.example.com"]),
        &near.folder,
        &expect![[r#"
        --- stderr
        reactorctl: n2.example.com: no other node could take r1 over
          n3: it is blocked there: its services failed too often: 3 failures within 1 h
        --- exit 10
    "#]],
    );
    far.change(|state| state.promoted[0] = r1("standby", "n2 is Primary"));
    check(
        run(&["--node", "n2.example.com", "evict", "r1", "--to", "n3.example.com"]),
        &near.folder,
        &expect![[r#"
        n4: n4.example.com: not reached: ssh: connect to host 192.0.2.4 port 22: No route to host
        r1 is evicted from this node; it may come back in 20 s
         # s  stopping: its services are on their way down
         # s  stopped here
         # s  standby: n3 is Primary
        done: r1 is Primary on n3 after # s
        --- exit 0
    "#]],
    );
}

#[test]
fn a_move_ends_when_it_runs_on_the_named_node() {
    let (near, far) = pair();
    check(
        cluster(&near, &far, "")(&["move", "r1", "--to", "n3"]),
        &near.folder,
        &expect![[r#"
            r1 is on its way to n3; after 60 s it may run anywhere again
             # s  n3: standby: n2 is Primary
             # s  n2: stopping: its services are on their way down
             # s  n2: stopped here
             # s  n3: starting: its services are on their way up
             # s  n3: running: its services run here
            done: r1 runs on n3 after # s
            --- exit 0
        "#]],
    );
}

#[test]
fn a_move_that_fails_is_taken_back() {
    let far = n3(|_| {});
    let near = n2(|| stops().into_iter().chain([is_given_up()]).collect());
    let run = cluster(&near, &far, "");
    check(
        run(&["move", "r1", "--to", "n3"]),
        &near.folder,
        &expect![[r#"
            r1 is on its way to n3; after 60 s it may run anywhere again
             # s  n3: standby: n2 is Primary
             # s  n2: stopping: its services are on their way down
             # s  n2: stopped here
             # s  n2: starting: its services are on their way up
            now: r1 starting on n2
              n4: not reached: ssh: connect to host 192.0.2.4 port 22: No route to host
            --- stderr
            reactorctl: r1 has not gone to another node: on n3 it is standby: n2 is Primary
            --- exit 11
        "#]],
    );
}

/// What an older program answers, whatever it is asked.
fn old_daemon(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let listener = UnixListener::bind(folder.join(SOCKET_NAME)).unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            std::thread::spawn(move || refuse(&connection.unwrap()));
        }
    });
}

fn refuse(mut connection: &UnixStream) {
    for call in BufReader::new(connection).split(0) {
        let call: serde_json::Value = serde_json::from_slice(&call.unwrap()).unwrap();
        let (error, method) = ("org.varlink.service.MethodNotFound", &call["method"]);
        let reply = serde_json::json!({ "error": error, "parameters": { "method": method } });
        write!(connection, "{reply}\0").unwrap();
    }
}

#[test]
fn a_daemon_without_the_stream_is_said_to_be_too_old() {
    let folder = std::env::temp_dir().join(format!("reactorctl-old-{}", std::process::id()));
    old_daemon(&folder);
    let mut command = reactorctl();
    command.arg("--socket").arg(folder.join(SOCKET_NAME)).args(["evict", "r1"]);
    check(
        command,
        &folder,
        &expect![[r#"
            --- stderr
            reactorctl: the daemon is of an older version, which has no Watch: it has to be updated for this
            --- exit 1
        "#]],
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Whoever empties a node before a reboot would think that nothing is left.
#[test]
fn what_is_held_where_it_is_primary_is_said_by_evict_and_drain() {
    let near = held(HoldStatus::default(), "held by root: new cables");
    near.change(|state| state.set_drbd(&N3.replace("role:Secondary", "role:Primary")));
    check(
        near.run(&["--context", "none", "evict"]),
        &near.folder,
        &expect![[r#"
            --- stderr
            reactorctl: r1 can't be evicted: it is held by root: new cables
            --- exit 10
        "#]],
    );
    check(
        near.run(&["--context", "none", "drain"]),
        &near.folder,
        &expect![[r#"
        done: this node is drained: what promoters run here is stopped, and nothing is started
          reactorctl status shows what is still on its way down; reactorctl undrain ends it
        --- stderr
        reactorctl: r1 stays Primary here, because it is held by root: new cables
          reactorctl release r1 lets it go
        --- exit 0
    "#]],
    );
}
