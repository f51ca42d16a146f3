//! The program itself, against a daemon that the test plays: the real server, the real core, a recording for the events.

#![expect(clippy::unwrap_used, reason = "helpers of a test are a test")]

mod cluster;
mod completion;
mod daemon;
mod events;
mod history;
mod importing;
mod moving;
mod planner;
#[path = "../played/mod.rs"]
mod played;
mod prpt;
mod replaying;
mod restarting;
mod schemas;
mod secrets;
mod showing;
mod stepping;
mod stored_events;
mod syncing;
mod volume_groups;
mod waiting;
mod watching;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use expect_test::expect;
use reactor_api::status::{ReloadResult, Status};
use reactor_sys::control::SOCKET_NAME;

use daemon::{Daemon, KILLED, check, reactorctl, reloaded};

/// What Nagios runs: the whole line, and its own exit codes.
#[test]
fn check_plugin_speaks_to_nagios() {
    let mut daemon = Daemon::start(KILLED, reloaded(ReloadResult::Ok, &[]));
    check(
        daemon.run(&["check-plugin"]),
        &daemon.folder,
        &expect![[r#"
            DRBD WARNING - r1 connection to n1 volume 0: peer disk is Inconsistent, 1848 KiB out of sync; r1 connection to n1 volume 1: peer disk is Inconsistent | resources=1;;;0 primary=0;;;0 bad=0;;;0 degraded=2;;;0 notes=0;;;0 out_of_sync=1848KB;;;0
            --- exit 1
        "#]],
    );
    daemon.end();
    check(
        daemon.run(&["check-plugin"]),
        &daemon.folder,
        &expect![[r#"
            DRBD CRITICAL - no daemon serves DIR/control.sock
            --- exit 2
        "#]],
    );
    // Nobody was asked anything: that is no news of a cluster. Monitors take 2 for critical.
    for (args, says) in [
        (&["check-plugin", "--warning", "all"][..], "invalid value 'all' for '--warning <PROBLEM>'"),
        (&["check-plugin", "--bogus"], "unexpected argument '--bogus' found"),
        (&["--compat", "x", "check-plugin"], "invalid value 'x' for '--compat <PROGRAM>'"),
        (&["--node", "n9", "check-plugin"], "no context says which nodes there are"),
    ] {
        let output = reactorctl().args(args).output().unwrap();
        let line = String::from_utf8_lossy(&output.stdout);
        assert!(line.starts_with(&format!("DRBD UNKNOWN - {says}")), "{args:?}: {output:?}");
        assert_eq!((line.lines().count(), output.status.code()), (1, Some(3)), "{args:?}: {output:?}");
    }
}

#[test]
fn status_is_what_no_command_shows() {
    let daemon = Daemon::start(KILLED, reloaded(ReloadResult::Ok, &[]));
    check(
        daemon.run(&[]),
        &daemon.folder,
        &expect![[r#"
            n2: Storage Reactor 1.2.3 (pid 812), running for 1 min, 1 resource
            * r1 connection to n1 volume 0: peer disk is Inconsistent, 1848 KiB out of sync
            * r1 connection to n1 volume 1: peer disk is Inconsistent

              r1  Secondary
              ├─ volume 0  /dev/drbd20  UpToDate
              ├─ volume 1  /dev/drbd21  UpToDate
              ├─ n1  Connected  Secondary
            * │  ├─ volume 0  Inconsistent  Established  1848 KiB out of sync
            * │  └─ volume 1  Inconsistent  Established
              └─ n3  Connected  Primary
                 ├─ volume 0  UpToDate  Established
                 └─ volume 1  UpToDate  Established

              services
              r1  standby for 1 min
                   because n3 is Primary

              source         up  drbdsetup events2 --full --poll  135 lines, 47 changes
            --- exit 0
        "#]],
    );
    let plain = daemon.run(&["status"]).output().unwrap();
    assert_eq!(plain.stdout, daemon.run(&[]).output().unwrap().stdout);
    let json = daemon.run(&["status", "--json"]).output().unwrap();
    let status: Status = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((status.node.as_str(), status.resources.len()), ("n2", 1));
    // A resource is named as with every other command, or as drbd-reactorctl has it.
    let one = |args: &[&str]| daemon.run(args).output().unwrap();
    assert_eq!(one(&["status", "r1"]).stdout, one(&["status", "-r", "r1"]).stdout);
    assert_eq!(one(&["status", "r1", "-r", "r7"]).status.code(), Some(8));
    let none: Status = serde_json::from_slice(&one(&["status", "--json", "r7"]).stdout).unwrap();
    assert!(none.resources.is_empty(), "{none:?}");
}

#[test]
fn changes_are_shown_with_their_time() {
    let daemon = Daemon::start(KILLED, reloaded(ReloadResult::Ok, &[]));
    check(
        daemon.run(&["changes", "--last", "6"]),
        &daemon.folder,
        &expect![[r#"
        2026-11-21T03:06:19.547Z Change r1 helper before-resync-source: response, peer n1, volume 1, exit code 0
        2026-11-21T03:06:19.556Z Change r1 peer-device 0/1: replication-state WFBitMapS -> SyncSource, peer-disk-state Outdated -> Inconsistent
        2026-11-21T03:06:19.942Z Change r1 peer-device 0/1: replication-state SyncSource -> Established
        2026-11-21T03:06:22.247Z Change r1 connection n1: congested no -> yes
        2026-11-21T03:06:27.254Z Change r1 connection n1: congested yes -> no
        2026-11-21T03:06:29.060Z Change r1 peer-device 0/0: replication-state SyncSource -> Established
        --- exit 0
    "#]],
    );
    check(
        daemon.run(&["changes", "--last", "1", "--json"]),
        &daemon.folder,
        &expect![[r#"
        {"event":"Change","is-state":true,"new":{"out-of-sync":8,"peer-client":false,"peer-disk-state":"Inconsistent","pending":0,"received":0,"replication-state":"Established","resync-suspended":"no","sent":127184,"unacked":0},"object":"peer-device","old":{"out-of-sync":8,"peer-client":false,"peer-disk-state":"Inconsistent","pending":0,"received":0,"replication-state":"SyncSource","resync-suspended":"no","sent":127184,"unacked":0},"origin":"live","peer-node-id":0,"resource":"r1","seq":47,"time":"2026-11-21T03:06:29.060Z","volume":0}
        --- exit 0
    "#]],
    );
    check(
        daemon.run(&["changes", "--follow", "--last", "1"]),
        &daemon.folder,
        &expect![[r#"
            2026-11-21T03:06:29.060Z Change r1 peer-device 0/0: replication-state SyncSource -> Established
            --- stderr
            reactorctl: the daemon has stopped
            --- exit 3
        "#]],
    );
}

#[test]
fn reload_tells_what_was_taken() {
    let daemon = Daemon::start(KILLED, reloaded(ReloadResult::Ok, &[]));
    check(
        daemon.run(&["reload"]),
        &daemon.folder,
        &expect![[r#"
        reloaded
        --- exit 0
    "#]],
    );
    let daemon = Daemon::start(KILLED, reloaded(ReloadResult::Partly, &["a.toml:3:1: error: unknown key `strat`"]));
    check(
        daemon.run(&["reload"]),
        &daemon.folder,
        &expect![[r#"
        a.toml:3:1: error: unknown key `strat`
        partly reloaded: files with errors keep their last good version
        --- exit 6
    "#]],
    );
}

/// Whether the daemon runs is the first thing that is told.
#[test]
fn operators_verbs_reach_the_daemon_and_an_unknown_resource_has_its_code() {
    let daemon = Daemon::start(KILLED, reloaded(ReloadResult::Ok, &[]));
    check(
        daemon.run(&["hold", "r1", "--why", "new cables"]),
        &daemon.folder,
        &expect![[r#"
            done: hold of r1 (Hold { why: "new cables" })
            --- exit 0
        "#]],
    );
    check(
        daemon.run(&["stop", "r1"]),
        &daemon.folder,
        &expect![[r#"
            r1            info   r1 is stopped here, and not started until it is released
            r1            done   down on n2 after # s
            r1            info   reactorctl start r1 lets it run here again
            --- exit 0
        "#]],
    );
    check(
        daemon.run(&["start", "r1"]),
        &daemon.folder,
        &expect![[r#"
            r1            info   start requested on n2
            r1            info   release of r1 (Release)
            r1            error  it does not run here: n3 is Primary
            r1            info   reactorctl why r1 says what would change that
            --- exit 10
        "#]],
    );
    check(
        daemon.run(&["drain"]),
        &daemon.folder,
        &expect![[r#"
        done: this node is drained: what promoters run here is stopped, and nothing is started
          reactorctl status shows what is still on its way down; reactorctl undrain ends it
        --- exit 0
    "#]],
    );
    check(
        daemon.run(&["undrain"]),
        &daemon.folder,
        &expect![[r#"
        nothing to do: this node was not drained
        --- exit 0
    "#]],
    );
    check(
        daemon.run(&["evict", "r1"]),
        &daemon.folder,
        &expect![[r#"
            --- stderr
            reactorctl: r1 can't be evicted: it does not run here: n3 is Primary
            --- exit 10
        "#]],
    );
    check(
        daemon.run(&["release", "r1"]),
        &daemon.folder,
        &expect![[r#"
        done: release of r1 (Release)
        --- exit 0
    "#]],
    );
    check(
        daemon.run(&["clear", "r9"]),
        &daemon.folder,
        &expect![[r#"
        --- stderr
        reactorctl: no promoter has the resource r9
          reactorctl status shows those that are promoted
        --- exit 8
    "#]],
    );
    check(
        daemon.run(&["why", "r9"]),
        &daemon.folder,
        &expect![[r#"
        --- stderr
        reactorctl: no promoter has the resource r9
          reactorctl status shows those that are promoted
        --- exit 8
    "#]],
    );
    check(
        daemon.run(&["why", "--json", "r1"]),
        &daemon.folder,
        &expect![[r#"
            {
              "because": [
                "n3 is Primary"
              ],
              "failures": 0,
              "max-failures": 0,
              "plan": {
                "does": "nothing",
                "ends": "settled",
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
                  }
                ],
                "unknown": [
                  "what n1 and n3 would do: settings, holds and failures there"
                ]
              },
              "policy": "quorum",
              "resource": "r1",
              "since": "2026-11-21T03:05:40.000Z",
              "state": "standby",
              "target": "",
              "units": []
            }
            --- exit 0
        "#]],
    );
    check(
        daemon.run(&["leftovers"]),
        &daemon.folder,
        &expect![[r#"
        an earlier drbd-reactor left nothing
        --- exit 0
    "#]],
    );
    // Times of the explanation are told against now: only its beginning is the same every time.
    let why = daemon.run(&["why", "r1"]).output().unwrap();
    let text = String::from_utf8(why.stdout).unwrap();
    assert!(text.starts_with("r1 does not run here, since ") && text.contains("03:05:40 UTC"), "{text}");
    assert!(text.contains("  because n3 is Primary\n"), "{text}");
}

#[test]
fn no_daemon_is_said_and_has_its_code() {
    let folder = std::env::temp_dir().join(format!("reactorctl-none-{}", std::process::id()));
    let mut command = reactorctl();
    command.arg("--socket").arg(folder.join(SOCKET_NAME));
    check(
        command,
        &folder,
        &expect![[r#"
        --- stderr
        reactorctl: no daemon serves DIR/control.sock
          systemctl status storage-reactor says why; -c FILE or --socket PATH if it is not where it usually is
        --- exit 3
    "#]],
    );
}

/// A daemon that hangs is another case than none.
#[test]
fn ping_tells_a_daemon_that_hangs_from_none() {
    let folder = std::env::temp_dir().join(format!("reactorctl-ping-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let ping = || {
        let mut command = reactorctl();
        command.arg("--socket").arg(folder.join(SOCKET_NAME)).args(["ping", "--within", "1"]);
        command
    };
    check(
        ping(),
        &folder,
        &expect![[r#"
        --- stderr
        reactorctl: no daemon serves DIR/control.sock
          systemctl status storage-reactor says why; -c FILE or --socket PATH if it is not where it usually is
        --- exit 3
    "#]],
    );
    // It listens, and never accepts.
    let _listener = std::os::unix::net::UnixListener::bind(folder.join(SOCKET_NAME)).unwrap();
    check(
        ping(),
        &folder,
        &expect![[r#"
        --- stderr
        reactorctl: no answer from the daemon within 1 s
          the daemon may still do what was asked
        --- exit 7
    "#]],
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn wrong_arguments_are_explained() {
    let mut command = reactorctl();
    command.arg("statsu");
    check(
        command,
        Path::new("/nowhere"),
        &expect![[r#"
            --- stderr
            error: unrecognized subcommand 'statsu'

              tip: some similar subcommands exist: 'start-until', 'start', 'status'

            Usage: reactorctl [OPTIONS] [COMMAND]

            For more information, try '--help'.
            --- exit 2
        "#]],
    );
}

#[test]
fn the_version_is_told() {
    let mut command = reactorctl();
    command.arg("-V");
    check(
        command,
        Path::new("/nowhere"),
        &expect![[r#"
        reactorctl VERSION
        --- exit 0
    "#]],
    );
}

/// All keys in a JSON value.
fn keys(value: &serde_json::Value, found: &mut std::collections::BTreeSet<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                found.insert(key.clone());
                keys(value, found);
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn every_key_is_in_the_documentation() {
    let page = include_str!("../../../../docs/reactorctl.md");
    let daemon = Daemon::start(KILLED, reloaded(ReloadResult::Ok, &[]));
    let mut found = std::collections::BTreeSet::new();
    let status = daemon.run(&["status", "--json"]).output().unwrap();
    keys(&serde_json::from_slice(&status.stdout).unwrap(), &mut found);
    let changes = daemon.run(&["changes", "--json", "--last", "1000"]).output().unwrap();
    for line in String::from_utf8(changes.stdout).unwrap().lines() {
        keys(&serde_json::from_str(line).unwrap(), &mut found);
    }
    assert!(found.len() > 60, "{found:?}");
    let missing: Vec<_> = found.iter().filter(|key| !page.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "not in docs/reactorctl.md: {missing:?}");
}

/// A folder of its own for the files of one test.
struct Files(PathBuf);

impl Files {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("reactorctl-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("main.d")).unwrap();
        for folder in [folder.clone(), folder.join("main.d")] {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
            // Whatever the umask: a file that others can write is refused.
            std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o644)).unwrap();
        }
        Self(folder)
    }

    fn run(&self, args: &[&str]) -> Command {
        let mut command = reactorctl();
        command.current_dir(&self.0).arg("-c").arg(self.0.join("main.toml")).args(args);
        command
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const RULE: &str =
    "[[umh]]\n[[umh.resource]]\nname = \"tell\"\ncommand = \"logger promotable\"\nnew.may-promote = true\n";

/// Without a good one no metrics are served: that has to be known before.
#[test]
fn check_reads_the_web_configuration_file_of_metrics() {
    let files = Files::new(
        "check-web",
        &[
            ("main.toml", "[[prometheus]]\nweb-config-file = \"web.yml\"\n"),
            ("web.yml", "tls_server_config: {cert_file: node.crt}\nbasic_auth_users: {alice: hunter2}\n"),
        ],
    );
    check(
        files.run(&["check"]),
        &files.0,
        &expect![[r#"
        error: no metrics server can start with this: DIR/web.yml: tls_server_config has no private key
         --> DIR/main.toml:2:19
          |
        2 | web-config-file = "web.yml"
          |                   ^^^^^^^^^
          |
          = help: write key_file or key

        1 file checked, 1 error
        --- exit 4
    "#]],
    );
    std::fs::write(files.0.join("web.yml"), "basic_auth_users: {alice: hunter2}\n").unwrap();
    check(
        files.run(&["check"]),
        &files.0,
        &expect![[r#"
        error: no metrics server can start with this: DIR/web.yml: what the user `alice` has in basic_auth_users is not a hash of bcrypt
         --> DIR/main.toml:2:19
          |
        2 | web-config-file = "web.yml"
          |                   ^^^^^^^^^
          |
          = help: make one with: htpasswd -nBC 10 USER

        1 file checked, 1 error
        --- exit 4
    "#]],
    );
    std::fs::remove_file(files.0.join("web.yml")).unwrap();
    check(
        files.run(&["check"]),
        &files.0,
        &expect![[r#"
        error: no metrics server can start with this: can't read DIR/web.yml: No such file or directory (os error 2)
         --> DIR/main.toml:2:19
          |
        2 | web-config-file = "web.yml"
          |                   ^^^^^^^^^
          |
          = help: write the file, or correct its path; relative paths begin at the folder of the web configuration file

        1 file checked, 1 error
        --- exit 4
    "#]],
    );
}

#[test]
fn check_shows_where_the_mistakes_are() {
    let files = Files::new(
        "check",
        &[
            ("main.toml", "snippets = \"main.d\"\nstatistics-poll-interval = 30\n"),
            ("main.d/a.toml", RULE),
            ("main.d/b.toml", "[[umh]]\n[[umh.resource]]\nname = \"x\"\ncomand = \"true\"\n"),
        ],
    );
    check(
        files.run(&["check"]),
        &files.0,
        &expect![[r#"
        error: `command` is missing
         --> DIR/main.d/b.toml:2:1
          |
        2 | [[umh.resource]]
          | ^^^^^^^^^^^^^^^^ in this table
          |
          = help: `command`: What to run, with `/bin/sh -c`.

        error: unknown key `comand` in `[[umh.resource]]`
         --> DIR/main.d/b.toml:4:1
          |
        4 | comand = "true"
          | ^^^^^^
          |
          = help: did you mean `command`?

        3 files checked, 2 errors
        --- exit 4
    "#]],
    );
    check(
        files.run(&["check", "main.d/a.toml"]),
        &files.0,
        &expect![[r#"
        1 file checked, nothing wrong
        --- exit 0
    "#]],
    );
    check(
        files.run(&["check", "main.d/none.toml"]),
        &files.0,
        &expect![[r#"
        error: cannot read the file: no such file or directory
        --> main.d/none.toml

        1 file checked, 1 error
        --- exit 4
    "#]],
    );
}

/// What the files need of the machine: a program in the place of drbdadm, and a bus on which nobody is.
#[test]
fn check_asks_the_system() {
    let promoter = "[[promoter]]\n[promoter.resources.r0]\nstart = [\"web.service\", \"ocf:no-vendor:None ip\"]\n";
    let main = |drbdadm: &str| {
        format!("snippets = \"main.d\"\n[daemon]\nbus = \"unix:path=/nowhere\"\ndrbdadm = \"{drbdadm}\"\n")
    };
    let files = Files::new(
        "system",
        &[("main.toml", &main("./drbdadm")), ("main.d/a.toml", promoter), ("drbdadm", "#!/bin/sh\necho r1 r2\n")],
    );
    std::fs::set_permissions(files.0.join("drbdadm"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = files.run(&["check"]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("warning: DRBD has no resource `r0` on this node"), "{told}");
    assert!(told.contains("there is no OCF agent /usr/lib/ocf/resource.d/no-vendor/None"), "{told}");
    assert!(told.contains("note: not checked against the system: units ("), "{told}");
    let only_files = |args: &[&str]| {
        check(
            files.run(args),
            &files.0,
            &expect![[r#"
            2 files checked, nothing wrong
            --- exit 0
        "#]],
        );
    };
    only_files(&["check", "--no-system"]);
    // A machine with neither systemd nor DRBD makes no good file bad.
    std::fs::write(files.0.join("main.toml"), main("/nowhere/drbdadm")).unwrap();
    let promoter = "[[promoter]]\n[promoter.resources.r0]\nstart = [\"web.service\"]\n";
    std::fs::write(files.0.join("main.d/a.toml"), promoter).unwrap();
    let output = files.run(&["check"]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("DRBD resources (can't start /nowhere/drbdadm"), "{told}");
    assert_eq!(told.matches("note:").count(), 1, "{told}");
}

#[test]
fn the_socket_is_found_by_the_configuration() {
    let files = Files::new("socket", &[("main.toml", "[daemon]\nruntime-dir = \"/nowhere/run\"\n")]);
    check(
        files.run(&["status"]),
        &files.0,
        &expect![[r#"
        --- stderr
        reactorctl: no daemon serves /nowhere/run/control.sock
          systemctl status storage-reactor says why; -c FILE or --socket PATH if it is not where it usually is
        --- exit 3
    "#]],
    );
}

#[test]
fn the_version_is_a_line_with_the_name_that_was_called() {
    let folder = std::env::temp_dir().join(format!("reactorctl-version-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for (name, says) in [("drbd-reactorctl", "drbd-reactorctl"), ("reactorctl", "reactorctl")] {
        let program = folder.join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_reactorctl"), &program).unwrap();
        let output = std::process::Command::new(&program).arg("--version").output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{says} {}\n", env!("CARGO_PKG_VERSION")));
    }
    std::fs::remove_dir_all(folder).unwrap();
}
