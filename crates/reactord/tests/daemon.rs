//! The daemon as a process: start, follow, reload, stop. Each test has a daemon and a folder of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use reactor_api::verbs::Ping;
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use support::{Daemon, Folder, recording};

/// Prints a dump of one Secondary resource, then lives until its standard input is closed.
const QUIET: &str = "
echo $$ > \"$0.pid\"
case \"$*\" in *--timestamps*--full*--poll*) ;; *) echo \"unexpected: $*\" >&2; exit 20 ;; esac
echo '2026-11-21T03:06:17.369716+00:00 exists resource name:r1 role:Secondary suspended:no may_promote:yes promotion_score:10101'
echo '2026-11-21T03:06:17.369716+00:00 exists device name:r1 volume:0 minor:1 backing_dev:/dev/x disk:UpToDate client:no open:no quorum:yes size:1'
echo '2026-11-21T03:06:17.369716+00:00 exists -'
exec cat
";

fn role(status: &Value, resource: &str) -> Option<String> {
    let resources = status["resources"].as_array()?;
    Some(resources.iter().find(|r| r["name"] == resource)?["role"].as_str()?.to_owned())
}

fn umh(rules: &str) -> String {
    format!("[[umh]]\n{rules}")
}

#[test]
fn a_recording_is_followed_and_a_handler_runs() {
    let folder = Folder::new("recording");
    let out = folder.path().join("handler.out");
    folder.main_file("");
    folder.write(
        "snippets/a.toml",
        &umh(&format!(
            "[[umh.resource]]\nname = \"became primary\"\nnew.role = \"Primary\"\n\
             command = 'echo \"$DRBD_RES_NAME $DRBD_OLD_ROLE $DRBD_NEW_ROLE\" >> {}'\n",
            out.display()
        )),
    );
    let file = recording("drbd9/r2-failover-node-killed/n3.events2");
    let daemon = Daemon::start(&folder, &["--play", &file.display().to_string(), "--speed", "max"]);
    daemon.follow_until(|change| change["new"]["role"] == "Primary" && change["event"] == "Change");
    let status = daemon.status_until("the handler ended", |s| !s["handlers"].as_array().is_none_or(Vec::is_empty));
    assert_eq!(status["handlers"][0]["rule"], "became primary");
    assert_eq!(fs::read_to_string(&out).unwrap(), "r1 Secondary Primary\n");
    daemon.wait_notify("STATUS=1 resources, event source down");
    assert!(daemon.stop().success());
}

#[test]
fn a_killed_events2_is_started_again_and_tells_nothing() {
    let folder = Folder::new("killed");
    let out = folder.path().join("fired");
    folder.drbd(QUIET);
    folder.main_file("");
    folder.write(
        "snippets/a.toml",
        &umh(&format!(
            "[[umh.device]]\ncommand = 'touch {0}'\n[[umh.resource]]\ncommand = 'touch {0}'\n",
            out.display()
        )),
    );
    let daemon = Daemon::start(&folder, &[]);
    daemon.status_until("the dump is read", |status| role(status, "r1").is_some());
    let pid = fs::read_to_string(folder.path().join("drbdsetup.pid")).unwrap();
    let drbdsetup = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(drbdsetup, Signal::KILL).unwrap();
    let status = daemon.status_until("it runs again", |status| {
        status["source"]["restarts"].as_u64() >= Some(1) && status["source"]["state"] == "up"
    });
    assert_eq!(role(&status, "r1").as_deref(), Some("Secondary"));
    assert_eq!(status["counters"]["actions"], 0, "{status:#}");
    assert!(!out.exists());
}

#[test]
fn no_drbdsetup_is_said_in_the_log_and_the_status() {
    let folder = Folder::new("nodrbd");
    folder.main_file("");
    let daemon = Daemon::start(&folder, &[]);
    let status = daemon.status_until("why", |status| status["source"]["last-error"].is_string());
    assert!(status["source"]["last-error"].as_str().unwrap().contains("drbdsetup"), "{status:#}");
    daemon.log_until("drbdsetup");
}

#[test]
fn ping_is_answered_with_who_it_is() {
    let folder = Folder::new("ping");
    folder.drbd(QUIET);
    folder.main_file("");
    let daemon = Daemon::start(&folder, &[]);
    let status = daemon.status();
    let before = daemon.client().ask(&Ping {}).unwrap();
    let after = daemon.client().ask(&Ping {}).unwrap();
    assert_eq!((json!(after.pid), json!(after.version)), (status["pid"].clone(), status["version"].clone()));
    assert!(before.running_ms <= after.running_ms, "{before:?} {after:?}");
}

#[test]
fn a_bad_snippet_costs_nothing_but_itself_and_who_asked_is_told() {
    let folder = Folder::new("reload");
    folder.drbd(QUIET);
    folder.main_file("");
    folder.write("snippets/a.toml", "[[debugger]]\n");
    folder.write("snippets/b.toml", "[[debugger]]\n");
    let daemon = Daemon::start(&folder, &[]);
    daemon.status_until("the dump is told", |status| status["counters"]["bursts"] == 1);
    let before = daemon.status()["plugins"].clone();
    assert_eq!(before.as_array().map(Vec::len), Some(2));

    // Two identical plugins, then one file that cannot be read: nothing stops.
    folder.write("snippets/a.toml", "[[debugger]]\ndetial = \"all\"\n");
    let answer = daemon.call("Reload", &json!({}));
    assert_eq!(answer["result"], "refused", "{answer:#}");
    let report = answer["report"].as_str().unwrap();
    assert!(report.contains("detial") && report.contains("detail") && report.contains("a.toml"), "{report}");
    let status = daemon.status();
    assert_eq!(status["plugins"], before);
    assert_eq!(status["configuration"]["files"][1]["state"], "last-good", "{status:#}");

    // Mended: that plugin takes its new settings, the other one notices nothing.
    folder.write("snippets/a.toml", "[[debugger]]\ndetail = \"all\"\n");
    assert_eq!(daemon.call("Reload", &json!({}))["result"], "ok");
    assert_eq!(daemon.status()["plugins"][1], before[1]);

    // All gone.
    fs::remove_file(folder.path().join("snippets/a.toml")).unwrap();
    fs::remove_file(folder.path().join("snippets/b.toml")).unwrap();
    assert_eq!(daemon.call("Reload", &json!({}))["result"], "ok");
    assert_eq!(daemon.status()["plugins"], json!([]));
    assert!(daemon.stop().success());
}

/// A reload while the folder of the snippets is not mounted stopped all plugins, and was called a success.
#[test]
fn a_reload_while_the_snippets_are_away_keeps_what_runs_and_says_so() {
    let folder = Folder::new("away");
    let snippets = folder.path().join("snippets");
    folder.drbd(QUIET);
    folder.main_file("");
    folder.write("snippets/a.toml", "[[debugger]]\n");
    let daemon = Daemon::start(&folder, &[]);
    let runs = |status: &Value| status["plugins"].as_array().is_some_and(|all| all.len() == 1);
    fs::rename(&snippets, folder.path().join("elsewhere")).unwrap();
    for unmounted in [false, true] {
        if unmounted {
            fs::create_dir(&snippets).unwrap();
        }
        let reload = daemon.call("Reload", &json!({}));
        assert_eq!((&reload["ok"], &reload["result"]), (&json!(false), &json!("refused")));
        assert!(reload["findings"][0].as_str().unwrap().starts_with(&*snippets.to_string_lossy()), "{reload:#}");
        let status = daemon.status();
        assert!(runs(&status), "{status:#}");
        let files = status["configuration"]["files"].as_array().unwrap();
        assert!(files.iter().any(|file| file["path"] == *snippets.to_string_lossy() && file["state"] == "last-good"));
    }
    fs::remove_dir(&snippets).unwrap();
    fs::rename(folder.path().join("elsewhere"), &snippets).unwrap();
    assert_eq!(daemon.call("Reload", &json!({}))["ok"], true);
    assert!(runs(&daemon.status()));
}

/// What hangs for ever (there it was a missing backing device) delays neither events, nor a reload, nor the stop.
#[test]
fn a_handler_that_hangs_delays_nobody() {
    let folder = Folder::new("hangs");
    folder.drbd(&QUIET.replace("exec cat", "cat \"$0.fifo\"; exec cat"));
    let fifo = folder.path().join("drbdsetup.fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    folder.main_file("");
    let out = folder.path().join("second");
    folder.write(
        "snippets/a.toml",
        &umh(&format!(
            "[[umh.resource]]\nname = \"hangs\"\ncommand = 'kill -STOP $$'\nnew.role = \"Primary\"\n\
             [[umh.resource]]\nname = \"second\"\ncommand = 'touch {}'\nold.role = \"Primary\"\n",
            out.display()
        )),
    );
    let daemon = Daemon::start(&folder, &[]);
    let line = |role: &str| format!("change resource name:r1 role:{role} suspended:no may_promote:no\n");
    fs::write(&fifo, line("Primary") + &line("Secondary")).unwrap();
    let status = daemon.status_until("the second handler ended", |s| {
        s["handlers"].as_array().is_some_and(|all| all.iter().any(|one| one["rule"] == "second"))
    });
    assert!(out.exists());
    assert!(status["handlers"].as_array().unwrap().iter().all(|one| one["rule"] != "hangs"), "{status:#}");
    assert_eq!(daemon.call("Reload", &json!({}))["result"], "ok");
    assert!(daemon.stop().success());
}

/// Who asked for the reload heard that all is well, and the setting did nothing.
#[test]
fn who_reloads_is_told_what_needs_a_restart() {
    let folder = Folder::new("needs-restart");
    folder.drbd(QUIET);
    let main = fs::read_to_string(folder.main_file("")).unwrap();
    let daemon = Daemon::start(&folder, &[]);
    folder.write("main.toml", &main.replace("kernel-log = false", "kernel-log = true"));
    for _ in 0..2 {
        let reload = daemon.call("Reload", &json!({}));
        assert_eq!(reload["ok"], true, "{reload:#}");
        for said in [&reload["findings"][0], &reload["report"]] {
            assert!(said.as_str().is_some_and(|said| said.contains("[daemon] kernel-log: ")), "{reload:#}");
        }
    }
    assert_eq!(daemon.status()["other-sources"], Value::Null, "it is not read yet");
    folder.write("main.toml", &main);
    assert_eq!(daemon.call("Reload", &json!({}))["findings"], json!([]));
}

#[test]
fn a_reload_does_not_fire_became_primary() {
    let folder = Folder::new("replay");
    let out = folder.path().join("fired");
    folder.drbd(&QUIET.replace("role:Secondary", "role:Primary"));
    folder.main_file("");
    let daemon = Daemon::start(&folder, &[]);
    daemon.status_until("the dump is read", |status| role(status, "r1").is_some());
    let rule = format!("[[umh.resource]]\nnew.role = \"Primary\"\ncommand = 'touch {}'\n", out.display());
    folder.write("snippets/a.toml", &umh(&rule));
    assert_eq!(daemon.call("Reload", &json!({}))["result"], "ok");
    assert_eq!(daemon.status()["counters"]["actions"], 0);

    // Who asks for the present gets it, once.
    folder.write("snippets/a.toml", &umh(&format!("{rule}event-type = [\"Exists\", \"Replay\"]\n")));
    assert_eq!(daemon.call("Reload", &json!({}))["result"], "ok");
    assert_eq!(daemon.call("Reload", &json!({}))["result"], "ok");
    assert_eq!(daemon.status()["counters"]["actions"], 1);
    daemon.status_until("the handler ended", |s| !s["handlers"].as_array().is_none_or(Vec::is_empty));
    assert!(out.exists());
}

#[test]
fn a_storm_of_reloads_is_survived_and_everybody_is_answered() {
    let folder = Folder::new("storm");
    let file = recording("drbd9/a-up-fullsync/n1.events2");
    folder.main_file("");
    folder.write("snippets/a.toml", "[[debugger]]\n");
    let daemon = Daemon::start(&folder, &["--play", &file.display().to_string(), "--speed", "20"]);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..16).map(|_| scope.spawn(|| daemon.call("Reload", &json!({})))).collect();
        for _ in 0..50 {
            daemon.signal(Signal::HUP);
        }
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| answer["result"] == "ok"), "{answers:#?}");
    assert_eq!(daemon.status()["plugins"][0]["id"], 1);
    assert!(daemon.stop().success());
}

#[test]
fn a_bad_main_file_at_start_is_explained() {
    let folder = Folder::new("badmain");
    folder.main_file("statistic-poll-interval = 5\nsnippets-monitoring-interval = \"soon\"");
    let mut daemon = Daemon::spawn(&folder, &[]);
    assert_eq!(daemon.wait().code(), Some(1));
    let log = daemon.log();
    assert!(log.contains("statistics-poll-interval") && log.contains("main.toml") && log.contains('^'), "{log}");
    assert!(log.contains("snippets-monitoring-interval"), "{log}");
}

#[test]
fn files_that_others_can_write_are_refused() {
    let folder = Folder::new("mode");
    let main = folder.main_file("");
    fs::set_permissions(&main, fs::Permissions::from_mode(0o666)).unwrap();
    let mut daemon = Daemon::spawn(&folder, &[]);
    assert_eq!(daemon.wait().code(), Some(1));
    assert!(daemon.log().contains("main.toml"), "{}", daemon.log());
}

/// As Kubernetes has it: the snippets are links in a folder with mode 0777, and there is no place to write.
#[test]
fn in_a_read_only_container_metrics_and_handlers_run() {
    let folder = Folder::new("container");
    let dir = folder.path().display();
    folder.drbd(QUIET);
    folder.write("no-folder", "");
    let main = format!(
        "snippets = \"{dir}/snippets\"\nstatistics-poll-interval = 0\n[daemon]\nruntime-dir = \"{dir}/no-folder/run\"\nstate-dir = \"{dir}/no-folder/state\"\n\
         unit-dir = \"{dir}/no-folder/units\"\ndrbdsetup = \"{dir}/drbdsetup\"\ndrbdadm = \"{dir}/drbdadm\"\n"
    );
    folder.write("main.toml", &main);
    fs::create_dir(folder.path().join("snippets/..2026_11_28")).unwrap();
    let out = folder.path().join("handler.out");
    let rules = format!(
        "[[prometheus]]\naddress = \"127.0.0.1:0\"\n[[umh]]\n[[umh.resource]]\nevent-type = \"Exists\"\ncommand = 'echo ran > {}.new; mv {0}.new {0}'\n",
        out.display()
    );
    folder.write("snippets/..2026_11_28/a.toml", &rules.replace("{0}", &out.display().to_string()));
    std::os::unix::fs::symlink("..2026_11_28", folder.path().join("snippets/..data")).unwrap();
    std::os::unix::fs::symlink("..data/a.toml", folder.path().join("snippets/a.toml")).unwrap();
    for open in ["snippets", "snippets/..2026_11_28"] {
        fs::set_permissions(folder.path().join(open), fs::Permissions::from_mode(0o777)).unwrap();
    }
    // In place of the read-only mount: nobody else gets as far as these folders.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let daemon = Daemon::start(&folder, &[]);
    daemon.log_until("no control socket");
    daemon.log_until("the picture of DRBD is complete");
    let started = std::time::Instant::now();
    while !out.exists() {
        assert!(started.elapsed() < support::LIMIT, "{}", daemon.log());
        std::thread::yield_now();
    }
    // The address is in the log: there is nobody to ask.
    daemon.log_until("serving metrics");
    let log = daemon.log();
    let address = log.lines().find(|line| line.contains("serving metrics")).unwrap();
    let port = address.rsplit("127.0.0.1:").next().unwrap();
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    let answer = support::scrape(port.parse().unwrap());
    assert!(answer.contains("drbd_resource_maypromote{name=\"r1\"} 1"), "{answer}");
    assert!(answer.contains("\nstorage_reactor_control_up 0\n"), "{answer}");
    assert_eq!(log.matches("no control socket").count(), 1);
    // A second one would not be noticed, but one that can be made is taken from there on: by a reload.
    folder.write("main.toml", &main.replace("no-folder/run", "run"));
    daemon.signal(Signal::HUP);
    daemon.log_until("the configuration was read and runs");
    daemon.status_until("it answers", |status| role(status, "r1").is_some());
    assert!(daemon.stop().success());
}

/// Nobody heard of them, and they went from under services that ran.
#[test]
fn what_an_earlier_drbd_reactor_left_is_shown_and_goes_when_its_services_rest_or_it_is_named() {
    let folder = Folder::new("left");
    folder.drbd(QUIET);
    // A bus where nobody is: whether the services run is not known.
    let main = folder.main_file("");
    let text =
        fs::read_to_string(&main).unwrap() + &format!("bus = \"unix:path={}/no-bus\"\n", folder.path().display());
    folder.write("main.toml", &text);
    let unit = folder.path().join("units/drbd-demote-or-escalate@old.service.d");
    fs::create_dir_all(&unit).unwrap();
    folder.write(
        "units/drbd-demote-or-escalate@old.service.d/reactor.conf",
        "# Auto-generated by drbd-reactor, DO NOT EDIT\n[Unit]\nFailureAction=reboot-immediate\n",
    );
    // What a configured resource takes over is none of them: without systemd it is not written yet.
    folder.write("snippets/a.toml", "[[promoter]]\n[promoter.resources.new]\nstart = [\"app.service\"]\n");
    fs::create_dir_all(folder.path().join("units/drbd-promote@new.service.d")).unwrap();
    folder.write(
        "units/drbd-promote@new.service.d/reactor.conf",
        "# Auto-generated by drbd-reactor, DO NOT EDIT\n[Service]\n",
    );
    let port = reactor_sim::daemon::free_port().unwrap();
    folder.write("snippets/b.toml", &format!("[[prometheus]]\naddress = \"127.0.0.1:{port}\"\n"));
    let daemon = Daemon::start(&folder, &[]);
    let left = |status: &Value| status["configuration"]["leftovers"][0].as_str().unwrap_or_default().to_owned();
    let status = daemon.status_until("it is shown", |status| !left(status).is_empty());
    assert!(left(&status).ends_with("reactor.conf (FailureAction=reboot-immediate)"), "{status:#}");
    assert_eq!(status["configuration"]["leftovers"].as_array().unwrap().len(), 1, "{status:#}");
    daemon.status_until("metrics are served", |_| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let metrics = support::scrape(port);
    for line in ["storage_reactor_leftovers 1", "storage_reactor_control_up 1"] {
        assert!(metrics.lines().any(|is| is == line), "no {line} in {metrics}");
    }
    let answer = daemon.call("Leftovers", &json!({ "remove": true }));
    let kept = answer["kept"].as_array().unwrap();
    assert!(
        answer["files"] == json!([]) && kept.iter().any(|line| line.as_str().unwrap().contains("@old")),
        "{answer:#}"
    );
    assert!(unit.exists());
    let answer = daemon.call("Leftovers", &json!({ "remove": true, "even": ["old"] }));
    assert_eq!(answer["files"].as_array().unwrap().len(), 1, "{answer:#}");
    assert!(!unit.exists());
    daemon.status_until("it is gone", |status| left(status).is_empty());
}

#[test]
fn it_does_not_start_in_a_terminal_by_itself() {
    let folder = Folder::new("tty");
    folder.main_file("");
    let controller = rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY).unwrap();
    rustix::pty::grantpt(&controller).unwrap();
    rustix::pty::unlockpt(&controller).unwrap();
    let name = rustix::pty::ptsname(&controller, Vec::new()).unwrap();
    let terminal = fs::OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_reactord"))
        .arg("--config")
        .arg(folder.path().join("main.toml"))
        .stdin(terminal)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--allow-tty"));
}

#[test]
fn systemd_hears_of_start_reload_and_stop_and_the_watchdog_is_fed() {
    let folder = Folder::new("notify");
    folder.drbd(QUIET);
    folder.main_file("");
    let daemon = Daemon::start_with_watchdog(&folder);
    daemon.wait_notify("WATCHDOG=1");
    daemon.signal(Signal::HUP);
    let reloading = daemon.wait_notify("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    daemon.wait_notify("READY=1");
    daemon.signal(Signal::TERM);
    daemon.wait_notify("STOPPING=1");
}

/// For how long the loop sleeps at this moment, unless something wakes it: the kernel shows what it asked for.
fn sleeps_ms(daemon: &Daemon) -> Option<u64> {
    // The number of the call, then its arguments: descriptor, events, how many, milliseconds.
    let call = fs::read_to_string(format!("/proc/{}/syscall", daemon.pid())).ok()?;
    let timeout = call.split_whitespace().nth(4)?.strip_prefix("0x")?;
    u64::from_str_radix(timeout, 16).ok()
}

/// There were two wake-ups a second for a tick.
#[test]
fn an_idle_daemon_sleeps_until_there_is_something_to_do() {
    let folder = Folder::new("idle");
    folder.drbd(QUIET);
    folder.main_file("snippets-monitoring-interval = 0\n[recorder]\n[[log]]\n");
    folder.write("snippets/a.toml", "[[prometheus]]\naddress = \"127.0.0.1:0\"\n[[debugger]]\n[[umh]]\n");
    let daemon = Daemon::start(&folder, &[]);
    daemon.status_until("the dump is read", |status| role(status, "r1").is_some());
    let began = std::time::Instant::now();
    // What is left is the look at the time zone, once an hour.
    while sleeps_ms(&daemon).is_none_or(|ms| ms < 1_800_000) {
        assert!(began.elapsed() < support::LIMIT, "it sleeps for {:?} ms", sleeps_ms(&daemon));
        std::thread::yield_now();
    }
}

#[test]
fn the_dump_masks_secrets() {
    let folder = Folder::new("dump");
    folder.drbd(QUIET);
    folder.main_file("");
    folder.write(
        "snippets/a.toml",
        &umh("[[umh.resource]]\nname = \"mailer\"\ncommand = \"true\"\nenv = { SMTP_PASSWORD = \"swordfish\", USER = \"bob\" }\n"),
    );
    let daemon = Daemon::start(&folder, &[]);
    daemon.signal(Signal::USR1);
    daemon.log_until("mailer");
    daemon.log_until("bob");
    daemon.log_until("stdin");
    assert!(!daemon.log().contains("swordfish"), "{}", daemon.log());
}

#[test]
fn what_was_recorded_replays() {
    let folder = Folder::new("record");
    let file = recording("drbd9/r2-failover-node-killed/n3.events2");
    folder.main_file("[recorder]\n");
    let daemon = Daemon::start(&folder, &["--play", &file.display().to_string(), "--speed", "max"]);
    daemon.wait_notify("STATUS=1 resources, event source down");
    let first = daemon.status();
    assert!(daemon.stop().success());

    let again = Folder::new("record2");
    again.main_file("");
    let recorded = folder.path().join("state/recordings");
    let daemon = Daemon::start(&again, &["--play", &recorded.display().to_string(), "--speed", "max"]);
    daemon.wait_notify("STATUS=1 resources, event source down");
    let second = daemon.status();
    assert_eq!(first["resources"], second["resources"]);
    assert_eq!(first["counters"]["lines"], second["counters"]["lines"]);
}

/// Scripts compare what `--version` prints: one line, the name that was called and a number.
#[test]
fn the_version_is_a_line_with_the_name_that_was_called() {
    let folder = Folder::new("version");
    for (name, says) in [("drbd-reactor", "drbd-reactor"), ("reactord", "reactord"), ("other", "reactord")] {
        let program = folder.path().join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_reactord"), &program).unwrap();
        for option in ["-V", "--version"] {
            let output = std::process::Command::new(&program).arg(option).output().unwrap();
            let expected = format!("{says} {}\n", env!("CARGO_PKG_VERSION"));
            assert_eq!((String::from_utf8(output.stdout).unwrap(), output.status.code()), (expected, Some(0)));
        }
    }
}
