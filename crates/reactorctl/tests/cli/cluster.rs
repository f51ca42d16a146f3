//! Other nodes: contexts, `--node`, `status --all`, and what a key may be told.

use std::os::unix::fs::PermissionsExt;

use assert_cmd::Command;
use expect_test::expect;
use reactor_api::status::ReloadResult;
use reactor_sys::control::SOCKET_NAME;

use crate::daemon::{Daemon, KILLED, check, reactorctl, reloaded};

/// A context of three nodes: a socket on this machine, a node by ssh (a program that does what ssh and the shell over there would do), and one that
/// nobody answers for. `bridge` = with what the key of the second may call the bridge.
pub(crate) fn cluster(near: &Daemon, far: &Daemon, bridge: &str) -> impl Fn(&[&str]) -> Command {
    let dir = near.folder.join("home");
    std::fs::create_dir_all(dir.join("reactorctl")).unwrap();
    let text = format!(
        "[nodes.n2]\nsocket = \"{}\"\n[nodes.n3]\nhostname = \"192.0.2.3\"\n[nodes.n4]\nhostname = \"192.0.2.4\"\n",
        near.folder.join(SOCKET_NAME).display()
    );
    std::fs::write(dir.join("reactorctl/default.toml"), text).unwrap();
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
                connection to n1: StandAlone: nothing connects it again by itself (on n3)
              n2  standby    Secondary  UpToDate
              n3  standby    Primary    UpToDate

              n2: Storage Reactor 1.2.3, running for 1 min, 1 resource
              n3: Storage Reactor 1.2.3, running for 1 min, 1 resource
            ! n4: not reached: ssh: connect to host 192.0.2.4 port 22: No route to host
            --- exit 12
        "#]],
    );
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
            reactorctl: permission denied: this way only some calls are let through (reactorctl bridge), and Hold is none of them
              root may do everything, members of the group storage-reactor may read, and those of [daemon] operator-group may steer services
            --- exit 5
        "#]],
    );
    assert!(run(&["--node", "n3", "ping"]).output().unwrap().status.success());
}

/// From a machine that is no node itself: what the daemons say is judged, a dead one is a finding and keeps nobody from being looked at.
#[test]
fn a_doctor_looks_at_all_nodes_of_a_context() {
    let near = Daemon::start(KILLED, reloaded(ReloadResult::Ok, &[]));
    let far = Daemon::start("r2-failover-node-killed/n3.events2", reloaded(ReloadResult::Ok, &[]));
    let run = cluster(&near, &far, "--read-only");
    let output = run(&["doctor", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(21), "{output:?}");
    let diagnosis: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(diagnosis["nodes"], serde_json::json!(["n2", "n3"]));
    let line = |finding: &serde_json::Value| {
        let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        // The recorded clock is as far behind as the recording is old.
        let what = text("what").split(" clock is ").next().unwrap_or_default().to_owned();
        format!("{} {} {}: {what}\n", text("severity"), text("check"), text("where"))
    };
    let lines: String = diagnosis["findings"].as_array().unwrap().iter().map(line).collect();
    expect![[r#"
        error daemon n4: no answer: not reached: ssh: connect to host 192.0.2.4 port 22: No route to host
        warning split-brain n3 connection to n1: StandAlone: n3: Primary, StandAlone, 8.0 MiB written since they parted, volume 0 UpToDate, volume 1 UpToDate
        warning clocks n2: its
        warning clocks n3: its
        warning state n2: r1 connection to n1 volume 0: peer disk is Inconsistent, 1848 KiB out of sync
        warning state n2: r1 connection to n1 volume 1: peer disk is Inconsistent
        note daemon n2: its daemon (1.2.3) does not tell its files and options: they are not looked at
        note daemon n3: its daemon (1.2.3) does not tell its files and options: they are not looked at
    "#]].assert_eq(&lines);
    let nightly = String::from_utf8(run(&["doctor", "--nightly", "r7"]).output().unwrap().stdout).unwrap();
    assert!(nightly.contains("! n4: no answer: not reached: ssh: connect to host 192.0.2.4 port 22"), "{nightly}");
    assert!(!nightly.contains("r1"), "another resource was asked about: {nightly}");
}
