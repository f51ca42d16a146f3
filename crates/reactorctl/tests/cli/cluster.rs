//! Other nodes: contexts, `--node`, `status --all`, and what a key may be told.

use std::os::unix::fs::PermissionsExt;

use assert_cmd::Command;
use expect_test::expect;
use reactor_api::status::{ReloadResult, SourceState};
use reactor_sys::control::SOCKET_NAME;

use crate::daemon::{Daemon, KILLED, check, reactorctl, reloaded};

/// A context of three nodes: a socket on this machine, a node by ssh (a program that does what ssh and the shell over there would do), and one that
/// nobody answers for. `bridge` = with what the key of the second may call the bridge.
pub(crate) fn cluster(near: &Daemon, far: &Daemon, bridge: &str) -> impl Fn(&[&str]) -> Command + use<> {
    cluster_as(near, far, bridge, str::to_owned)
}

/// The same with another text of the context.
pub(crate) fn cluster_as(
    near: &Daemon,
    far: &Daemon,
    bridge: &str,
    edited: fn(&str) -> String,
) -> impl Fn(&[&str]) -> Command + use<> {
    let dir = near.folder.join("home");
    std::fs::create_dir_all(dir.join("reactorctl")).unwrap();
    let text = format!(
        "[nodes.n2]\nsocket = \"{}\"\n[nodes.n3]\nhostname = \"192.0.2.3\"\n[nodes.n4]\nhostname = \"192.0.2.4\"\n",
        near.folder.join(SOCKET_NAME).display()
    );
    std::fs::write(dir.join("reactorctl/default.toml"), edited(&text)).unwrap();
    let program = format!(
        "#!/bin/sh\nfor last; do :; done\ncase \"$*\" in\n\
         *BatchMode=yes*root@192.0.2.3*) [ \"$last\" = 'reactorctl bridge' ] && exec {} --socket {} bridge {bridge} ;;\n\
         esac\necho 'ssh: connect to host 192.0.2.4 port 22: No route to host' >&2\nexit 255\n",
        env!("CARGO_BIN_EXE_reactorctl"),
        far.folder.join(SOCKET_NAME).display()
    );
    std::fs::write(dir.join("ssh"), program).unwrap();
    std::fs::set_permissions(dir.join("ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", dir.display(), std::env::var("PATH").unwrap_or_default());
    move |args: &[&str]| {
        let mut command = reactorctl();
        command.env("XDG_CONFIG_HOME", &dir).env("PATH", &path).args(args);
        command
    }
}

/// Whoever has a context, and no daemon on the machine in front, learns how to ask the nodes. Nobody has the resource: that is no failure of a node.
#[test]
fn without_a_daemon_here_the_nodes_are_named_and_what_nobody_has_is_an_error_of_its_own() {
    let near = Daemon::start(KILLED, reloaded(ReloadResult::Ok, &[]));
    let far = Daemon::start("r2-failover-node-killed/n3.events2", reloaded(ReloadResult::Ok, &[]));
    let run = cluster_as(&near, &far, "", |text| text.split("[nodes.n4]").next().unwrap_or_default().to_owned());
    check(
        run(&["--socket", "/nowhere/control.sock", "why", "r1", "--all"]),
        &near.folder,
        &expect![[r#"
        --- stderr
        reactorctl: no daemon serves /nowhere/control.sock
          the context has n2, n3: --node NODE asks the daemon of one of them, status --all and mon ask all
          systemctl status storage-reactor says why; -c FILE or --socket PATH if it is not where it usually is
        --- exit 3
    "#]],
    );
    for asked in [["plan", "--all", "r7"].as_slice(), &["plan", "--all", "--json", "r7"], &["move", "r7", "--to", "n2"]]
    {
        assert_eq!(run(asked).output().unwrap().status.code(), Some(8), "{asked:?}");
    }
    check(
        run(&["plan", "--all", "r7"]),
        &near.folder,
        &expect![[r#"
        --- stderr
        reactorctl: no promoter has the resource r7
          reactorctl status shows those that are promoted
        --- exit 8
    "#]],
    );
    check(
        run(&["plan", "--all", "r1", "--event", "node-down=n9"]),
        &near.folder,
        &expect![[r#"
            --- stderr
            reactorctl: DRBD on n2 knows no node n9 for r1; it knows: n1, n3
              DRBD on n3 knows no node n9 for r1; it knows: n1, n2
            --- exit 10
        "#]],
    );
}

#[test]
fn all_nodes_of_a_context_are_shown_and_a_dead_one_costs_only_itself() {
    let near = Daemon::start(KILLED, reloaded(ReloadResult::Ok, &[]));
    let far = Daemon::start("r2-failover-node-killed/n3.events2", reloaded(ReloadResult::Ok, &[]));
    let run = cluster(&near, &far, "");
    check(
        run(&["status", "--all"]),
        &near.folder,
        &expect![[r#"
            r1  bad  Primary on n3
                connection to n1: StandAlone, and this node has written since: if the other
                one has, too, it is a split brain (on n3)
              n2  standby    Secondary  UpToDate
              n3  standby    Primary    UpToDate

              n2: Storage Reactor 1.2.3, running for 1 min, 1 resource
              n3: Storage Reactor 1.2.3, running for 1 min, 1 resource
            ! n4: not reached: ssh: connect to host 192.0.2.4 port 22: No route to host
            --- exit 12
        "#]],
    );
    check(
        run(&["mon"]),
        &near.folder,
        &expect![[r#"
                  n2         n3                  n4
            r1  * standby  ! standby, Primary    ?

            ! r1 connection to n1: StandAlone, and this node has written since: if the
                other one has, too, it is a split brain (on n3)
            * r1 connection to n1 volume 0: peer disk is Inconsistent, 1848 KiB out of
                sync (on n2)
            ? n4: not reached: ssh: connect to host 192.0.2.4 port 22: No route to host;
                nothing is known of it
            --- exit 12
        "#]],
    );
    let json = run(&["mon", "--json"]).output().unwrap();
    let all: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(all["nodes"]["n4"]["answers"], false);
    assert_eq!(all["resources"]["r1"]["n3"]["role"], "Primary");
    assert_eq!(all["resources"]["r1"]["n3"]["severity"], "bad");
    let json = run(&["status", "--all", "--json"]).output().unwrap();
    let all: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(all["n3"]["status"]["resources"][0]["role"], "Primary");
    assert_eq!(all["n4"]["error"], "not reached: ssh: connect to host 192.0.2.4 port 22: No route to host");
    check(
        run(&["status", "--all", "-r", "r7"]),
        &near.folder,
        &expect![[r#"
        no resources

          n2: Storage Reactor 1.2.3, running for 1 min, 0 resources
          n3: Storage Reactor 1.2.3, running for 1 min, 0 resources
        ! n4: not reached: ssh: connect to host 192.0.2.4 port 22: No route to host
        --- exit 12
    "#]],
    );
    check(
        run(&["--context", "none", "status", "--all"]),
        &near.folder,
        &expect![[r#"
            --- stderr
            reactorctl: no context says which nodes there are: ~/.config/reactorctl/default.toml would, with a table [nodes.NAME] for each
            --- exit 2
        "#]],
    );
}

#[test]
fn one_node_is_looked_at_alone_also_by_what_looks_at_all() {
    let near = Daemon::start(KILLED, reloaded(ReloadResult::Ok, &[]));
    let far = Daemon::start("r2-failover-node-killed/n3.events2", reloaded(ReloadResult::Ok, &[]));
    let run = cluster(&near, &far, "");
    check(
        run(&["--node", "n3", "mon"]),
        &near.folder,
        &expect![[r#"
                  n3
            r1  ! standby, Primary

            ! r1 connection to n1: StandAlone, and this node has written since: if the
                other one has, too, it is a split brain (on n3)
            --- exit 0
        "#]],
    );
    let output = run(&["--node", "n3", "doctor", "--json"]).output().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["nodes"], serde_json::json!(["n3"]), "{said:#}");
    check(
        run(&["--node", "n3", "status", "--all"]),
        &near.folder,
        &expect![[r#"
        --- stderr
        reactorctl: --node is for commands that ask the daemon of one node. This one asks all nodes of the context, or works on files and services of the machine that it runs on: leave --node out, or run it there
        --- exit 2
    "#]],
    );
}

#[test]
fn a_resource_that_no_node_has_is_an_error_if_all_nodes_answer() {
    let near = Daemon::start(KILLED, reloaded(ReloadResult::Ok, &[]));
    let far = Daemon::start("r2-failover-node-killed/n3.events2", reloaded(ReloadResult::Ok, &[]));
    // The node that nobody answers for might have it: without that one it is known.
    let of_two =
        |far: &Daemon| cluster_as(&near, far, "", |text| far_away(text.split("[nodes.n4]").next().unwrap_or_default()));
    let run = of_two(&far);
    check(
        run(&["status", "--all", "r1", "r7"]),
        &near.folder,
        &expect![[r#"
            r1  bad  Primary on far-3
                connection to n1: StandAlone, and this node has written since: if the other
                one has, too, it is a split brain (on far-3)
              far-2  standby    Secondary  UpToDate
              far-3  standby    Primary    UpToDate

              far-2: Storage Reactor 1.2.3, running for 1 min, 1 resource
              far-3: Storage Reactor 1.2.3, running for 1 min, 1 resource
            --- stderr
            reactorctl: neither DRBD nor a promoter has a resource r7
            --- exit 8
        "#]],
    );
    check(
        run(&["mon", "r1", "r7"]),
        &near.folder,
        &expect![[r#"
                  far-2      far-3
            r1  * standby  ! standby, Primary

            ! r1 connection to n1: StandAlone, and this node has written since: if the
                other one has, too, it is a split brain (on far-3)
            * r1 connection to n1 volume 0: peer disk is Inconsistent, 1848 KiB out of
                sync (on far-2)
            --- stderr
            reactorctl: neither DRBD nor a promoter has a resource r7
            --- exit 8
        "#]],
    );
    for asked in [["status", "--all", "--json", "-r", "r7"].as_slice(), &["mon", "--json", "r7"]] {
        let output = run(asked).output().unwrap();
        assert_eq!(output.status.code(), Some(8), "{asked:?}");
        assert!(serde_json::from_slice::<serde_json::Value>(&output.stdout).is_ok(), "{output:?}");
    }
    for all in [["status", "--all", "-r", "r1"].as_slice(), &["mon", "-r", "r1"], &["mon"]] {
        assert_eq!(run(all).output().unwrap().status.code(), Some(0), "{all:?}");
    }
    // That nothing is wrong with it would be no news.
    check(
        run(&["doctor", "r7"]),
        &near.folder,
        &expect![[r#"
            --- stderr
            reactorctl: neither DRBD nor a promoter has a resource r7
            --- exit 8
        "#]],
    );
    assert_eq!(run(&["doctor", "r1", "--json"]).output().unwrap().status.code(), Some(21));
    // Who knows nothing of DRBD does not know that nobody has it.
    let blind = Daemon::with(|state| state.status.source.state = SourceState::Down);
    let run = of_two(&blind);
    for asked in [["status", "--all", "-r", "r7"].as_slice(), &["mon", "-r", "r7"]] {
        assert_eq!(run(asked).output().unwrap().status.code(), Some(0), "{asked:?}");
    }
    assert_eq!(run(&["doctor", "r7"]).output().unwrap().status.code(), Some(21), "its source is down");
}

#[test]
fn another_node_is_asked_as_this_one_is_and_its_key_says_what_it_may_be_told() {
    let near = Daemon::start(KILLED, reloaded(ReloadResult::Ok, &[]));
    let far = Daemon::start("r2-failover-node-killed/n3.events2", reloaded(ReloadResult::Ok, &[]));
    let run = cluster(&near, &far, "");
    let there = run(&["--node", "n3", "status"]).output().unwrap();
    assert_eq!(there.stdout, far.run(&["status"]).output().unwrap().stdout);
    check(
        run(&["--node", "n3", "hold", "r1", "--why", "it's; $(touch x) \"new\""]),
        &near.folder,
        &expect![[r#"
        done: hold of r1 (Hold { why: "it's; $(touch x) \"new\"" })
        --- exit 0
    "#]],
    );
    check(
        run(&["--node", "n4", "status"]),
        &near.folder,
        &expect![[r#"
            --- stderr
            reactorctl: n4: not reached: ssh: connect to host 192.0.2.4 port 22: No route to host
            --- exit 12
        "#]],
    );
    check(
        run(&["--node", "n9", "status"]),
        &near.folder,
        &expect![[r#"
        --- stderr
        reactorctl: there is no node n9 in the context; it has n2, n3, n4
        --- exit 2
    "#]],
    );
    // What is not asked of a daemon would be about this node.
    for local in [["--node", "n3", "check"].as_slice(), &["--node", "n3", "status", "--all"]] {
        assert_eq!(run(local).output().unwrap().status.code(), Some(2), "{local:?}");
    }
    let run = cluster(&near, &far, "--read-only");
    check(
        run(&["--node", "n3", "hold", "r1"]),
        &near.folder,
        &expect![[r#"
            --- stderr
            reactorctl: n3: permission denied: this way only some calls are let through (reactorctl bridge), and Hold is none of them
              what a key may ask stands beside it there, in authorized_keys (reactorctl bridge --allow COMMAND,...); what a user may, the groups there say
            --- exit 5
        "#]],
    );
    assert!(run(&["--node", "n3", "ping"]).output().unwrap().status.success());
}

/// The nodes have names that no machine has: the tests must not run on one of them.
fn far_away(text: &str) -> String {
    text.replace("nodes.n", "nodes.far-")
}

/// From a machine that is no node itself: what the daemons say is judged, a dead one is a finding and keeps nobody from being looked at.
#[test]
fn a_doctor_looks_at_all_nodes_of_a_context() {
    let near = Daemon::start(KILLED, reloaded(ReloadResult::Ok, &[]));
    let far = Daemon::start("r2-failover-node-killed/n3.events2", reloaded(ReloadResult::Ok, &[]));
    let run = cluster_as(&near, &far, "--read-only", far_away);
    let output = run(&["doctor", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(21), "{output:?}");
    let diagnosis: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(diagnosis["nodes"], serde_json::json!(["far-2", "far-3"]));
    let line = |finding: &serde_json::Value| {
        let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        // The recorded clock is as far behind as the recording is old.
        let what = text("what").split(" clock is ").next().unwrap_or_default().to_owned();
        format!("{} {} {}: {what}\n", text("severity"), text("check"), text("where"))
    };
    let lines: String = diagnosis["findings"].as_array().unwrap().iter().map(line).collect();
    expect![[r#"
        error split-brain far-3 connection to n1: StandAlone
        error daemon far-4: no answer: not reached: ssh: connect to host 192.0.2.4 port 22: No route to host
        warning clocks far-2: its
        warning clocks far-3: its
        warning state far-2: r1 connection to n1 volume 0: peer disk is Inconsistent, 1848 KiB out of sync
        warning state far-2: r1 connection to n1 volume 1: peer disk is Inconsistent
        note daemon far-2, far-3: its daemon (1.2.3) does not tell its files and options: they are not looked at
    "#]]
    .assert_eq(&lines);
    let nightly = String::from_utf8(run(&["doctor", "--nightly", "r7"]).output().unwrap().stdout).unwrap();
    assert!(nightly.contains("! far-4: no answer: not reached: ssh: connect to host 192.0.2.4 port 22"), "{nightly}");
    assert!(!nightly.contains("r1"), "another resource was asked about: {nightly}");
}

/// The context calls it n2, as DRBD does.
#[test]
fn a_doctor_knows_its_own_node_by_its_long_name() {
    let near = Daemon::start(KILLED, reloaded(ReloadResult::Ok, &[]));
    let far = Daemon::start("r2-failover-node-killed/n3.events2", reloaded(ReloadResult::Ok, &[]));
    let (main, socket) = (near.folder.join("main.toml"), near.folder.join(SOCKET_NAME));
    std::fs::write(&main, "[daemon]\nnode-name = \"n2.example.com\"\nbus = \"unix:path=/nowhere\"\n").unwrap();
    let mut command = cluster(&near, &far, "")(&["doctor", "--json"]);
    let output = command.arg("-c").arg(main).arg("--socket").arg(socket).output().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["nodes"], serde_json::json!(["n2.example.com", "n3"]), "{said:#}");
}

#[test]
fn a_plan_says_what_would_be_done_and_over_a_context_who_would_do_it() {
    let near = Daemon::start(KILLED, reloaded(ReloadResult::Ok, &[]));
    let far = Daemon::start("r2-failover-node-killed/n3.events2", reloaded(ReloadResult::Ok, &[]));
    let run = cluster(&near, &far, "--read-only");
    check(
        near.run(&["plan", "r1"]),
        &near.folder,
        &expect![[r#"
        r1 on n2, as things are: nothing is started here
          now        does not run here
                       because n3 is Primary

          not known here: what n1 and n3 would do: settings, holds and failures there
          reactorctl plan r1 --all asks all nodes of the context
        --- exit 0
    "#]],
    );
    check(
        near.run(&["plan", "r1", "--event", "node-down=n3"]),
        &near.folder,
        &expect![[r#"
            r1 on n2, if n3 goes down: it starts here, after 1 s
              now        does not run here
                           because n3 is Primary
              at once    waits to start here
                           because DRBD says may_promote:yes
                           because number 2 of preferred-nodes: 1 s
                           because starts in 1 s
                           after 1 s: the delay ends, and it starts here
              after 1 s  start drbd-services@r1.target
                           because DRBD says may_promote:yes
                           because number 2 of preferred-nodes: 1 s
              after 1 s  runs here
                           because its services run here

              Times count from when DRBD notices, within # s if ping-int has its default, which is assumed.
              assumed: no other node is faster
              not known here: what n1 and n3 would do: settings, holds and failures there
              reactorctl plan r1 --event node-down=n3 --all asks all nodes of the context
            --- exit 0
        "#]],
    );
    check(
        near.run(&["plan", "r1", "--event", "node-down=n9"]),
        &near.folder,
        &expect![[r#"
        --- stderr
        reactorctl: DRBD on n2 knows no node n9 for r1; it knows: n1, n3
        --- exit 10
    "#]],
    );
    check(
        near.run(&["plan", "r1", "--event", "node-dead"]),
        &near.folder,
        &expect![[r#"
        --- stderr
        error: invalid value 'node-dead' for '--event <EVENT>': there is no event node-dead; there are: node-down=NODE, quorum-lost, disk-failed, peer-lost=NODE, daemon-restart

        For more information, try '--help'.
        --- exit 2
    "#]],
    );
    check(
        near.run(&["plan", "r9"]),
        &near.folder,
        &expect![[r#"
        --- stderr
        reactorctl: no promoter has the resource r9
          reactorctl status shows those that are promoted
        --- exit 8
    "#]],
    );
    check(
        near.run(&["plan", "r1", "--event", "daemon-restart", "--json"]),
        &near.folder,
        &expect![[r#"
            {
              "assumed": [
                "the daemon comes back at once, finds all as it was, and DRBD's options are the same"
              ],
              "does": "nothing",
              "ends": "settled",
              "event": "daemon-restart",
              "node": "n2",
              "now": "2026-11-21T03:06:47.000Z",
              "primary": [
                "n3"
              ],
              "resource": "r1",
              "steps": [
                {
                  "because": [
                    "n3 is Primary"
                  ],
                  "in-ms": 0,
                  "state": "standby"
                },
                {
                  "action": "drbdadm adjust r1",
                  "because": [
                    "r1 is to be run by this promoter"
                  ],
                  "in-ms": 0,
                  "state": "standby"
                }
              ],
              "unknown": [
                "what n1 and n3 would do: settings, holds and failures there"
              ]
            }
            --- exit 0
        "#]],
    );
    check(
        run(&["plan", "r1", "--all", "--event", "node-down=n1"]),
        &near.folder,
        &expect![[r#"
            r1, if n1 goes down: r1 runs on n3, and goes on
              n2         nothing is started here
                           because n3 is Primary
              n3         it runs here, and goes on
                           because its services run here
            ! n4         not reached: ssh: connect to host 192.0.2.4 port 22: No route to host

              Times count from when DRBD notices, within # s if ping-int has its default, which is assumed.
            --- exit 12
        "#]],
    );
    check(
        run(&["plan", "r1", "--all", "--event", "node-down=n3"]),
        &near.folder,
        &expect![[r#"
            r1, if n3 goes down: n2 starts r1, after 1 s, as far as the nodes have answered
              n2         it starts here, after 1 s
                           because DRBD says may_promote:yes
                           because number 2 of preferred-nodes: 1 s
                           assumed: no other node is faster
            ! n4         not reached: ssh: connect to host 192.0.2.4 port 22: No route to host

              Times count from when DRBD notices, within # s if ping-int has its default, which is assumed.
            --- exit 12
        "#]],
    );
    check(
        run(&["plan", "r1", "--all", "--event", "quorum-lost"]),
        &near.folder,
        &expect![[r#"
            r1, if n3 loses quorum: n3 stops it, and n2 starts r1, after 1 s, as far as the nodes have answered
              n2         it starts here, after 1 s
                           because DRBD says may_promote:yes
                           because number 2 of preferred-nodes: 1 s
                           assumed: no other node is faster
              n3         it is stopped, at once
                           because quorum lost on volumes 0, 1
                           assumed: n2 takes it over if it keeps quorum
            ! n4         not reached: ssh: connect to host 192.0.2.4 port 22: No route to host

              Times count from when DRBD notices, within # s if ping-int has its default, which is assumed.
            --- exit 12
        "#]],
    );
    // What a restart adjusts is no reason for what is not started.
    check(
        run(&["plan", "r1", "--all", "--event", "daemon-restart"]),
        &near.folder,
        &expect![[r#"
        r1, if the daemon of a node is restarted: r1 runs on n3, and goes on
          n2         nothing is started here
                       because n3 is Primary
                       assumed: the daemon comes back at once, finds all as it was, and DRBD's options are the same
          n3         it runs here, and goes on
                       because its services run here
                       assumed: the daemon comes back at once, finds all as it was, and DRBD's options are the same
        ! n4         not reached: ssh: connect to host 192.0.2.4 port 22: No route to host
        --- exit 12
    "#]],
    );
    let json = run(&["plan", "r1", "--all", "--json", "--event", "node-down=n3"]).output().unwrap();
    let all: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(all["nodes"]["n2"]["plan"]["event"], "node-down=n3");
    assert_eq!(all["nodes"]["n4"]["error"], "not reached: ssh: connect to host 192.0.2.4 port 22: No route to host");
    assert!(all["nodes"].get("n3").is_none() && all["starts"].is_array(), "{all}");
}
