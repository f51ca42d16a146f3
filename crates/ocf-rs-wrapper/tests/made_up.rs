//! The wrapper with an agent of the test's own: one that hangs, lies, limps, leaves children behind, or is not there.

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use rustix::process::{Signal, kill_process};
use support::{Folder, Wrapper, pid, wait_for_end};

/// Runs as long as there is the file `up`.
const MONITOR: &str = "[ -e $here/up ] || exit 7";
const START: &str = "echo > $here/up";
const STOP: &str = "rm -f $here/up";

/// Notes its process and its child's in a pipe that a test reads, and hangs whatever `TERM` says.
const HANG: &str =
    "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > $here/child; read never < $here/never' & echo $$ > $here/at; wait";

fn hanging(name: &str, start: &str, monitor: &str, stop: &str) -> Folder {
    let folder = Folder::new(name);
    folder.agent(start, monitor, stop);
    for pipe in ["at", "child", "never"] {
        folder.fifo(pipe);
    }
    folder
}

fn start(folder: &Folder, variables: &[(&str, &str)]) -> Wrapper {
    Wrapper::start(folder, &folder.0.join("vendor/made-up"), &[], variables)
}

fn log_has(wrapper: &Wrapper, part: &str) -> bool {
    wrapper.log.iter().any(|line| line.contains(part))
}

/// A number of 32 bits ends at 71 minutes.
#[test]
fn a_start_that_may_take_a_day_says_so_to_systemd() {
    let folder = Folder::new("day");
    folder.agent(START, MONITOR, STOP);
    let mut wrapper = start(&folder, &[("OCF_RESKEY_start_timeout", "24h"), ("OCF_RESKEY_stop_timeout", "2h")]);
    wrapper.told("EXTEND_TIMEOUT_USEC=86405000000");
    wrapper.told("READY=1");
    wrapper.term();
    wrapper.told("EXTEND_TIMEOUT_USEC=7205000000");
    assert_eq!(wrapper.end(), 0);
}

#[test]
fn start_watch_stop() {
    let folder = Folder::new("plain");
    folder.agent(&format!("echo hello; {START}; env > $here/env"), MONITOR, STOP);
    let mut wrapper = start(&folder, &[("LISTEN_FDS", "0")]);
    assert!(wrapper.told("STATUS=starting").contains("30 s"));
    assert_eq!(wrapper.told("EXTEND_TIMEOUT_USEC="), "EXTEND_TIMEOUT_USEC=35000000");
    assert_eq!(wrapper.told("STATUS=running"), "STATUS=running, checked every 5 s");
    wrapper.told("READY=1");
    // One round of the loop.
    wrapper.told("STATUS=running");
    wrapper.term();
    wrapper.told("STOPPING=1");
    assert_eq!(wrapper.end(), 0);
    assert!(wrapper.log.contains(&"<6>hello".to_owned()), "{:?}", wrapper.log);
    assert_eq!(folder.read("calls"), "meta-data\nmonitor\nstart\nmonitor\nmonitor\nstop\n");
    let env = folder.read("env");
    assert!(
        env.contains("OCF_RESOURCE_INSTANCE=in-st_r0\n") && env.contains("OCF_RESOURCE_PROVIDER=vendor\n"),
        "{env}"
    );
    assert!(!env.contains("NOTIFY_SOCKET") && !env.contains("LISTEN_FDS"), "{env}");
}

#[test]
fn what_runs_already_is_not_started() {
    let folder = Folder::new("runs");
    folder.agent(START, MONITOR, STOP);
    folder.write("up", "");
    let mut wrapper = start(&folder, &[]);
    wrapper.told("READY=1");
    wrapper.term();
    assert_eq!(wrapper.end(), 0);
    assert_eq!(folder.read("calls"), "meta-data\nmonitor\nstop\n");
}

#[test]
fn what_failed_is_stopped_first() {
    let folder = Folder::new("failed");
    folder.agent(START, "[ -e $here/broken ] && exit 1; [ -e $here/up ] || exit 7", "rm -f $here/up $here/broken");
    folder.write("broken", "");
    let mut wrapper = start(&folder, &[]);
    wrapper.told("READY=1");
    assert_eq!(folder.read("calls"), "meta-data\nmonitor\nstop\nstart\nmonitor\n");
}

#[test]
fn a_start_that_hangs_ends_with_all_it_started() {
    let folder = hanging("hang-start", HANG, MONITOR, STOP);
    let mut wrapper = start(&folder, &[("OCF_RESKEY_start_timeout", "1")]);
    let agent = pid(&folder.heard("at"));
    let child = pid(&folder.heard("child"));
    assert_eq!(wrapper.end(), 1);
    wait_for_end(agent);
    wait_for_end(child);
    assert!(log_has(&wrapper, "<3>start failed: no answer within 1 s"), "{:?}", wrapper.log);
}

#[test]
fn a_monitor_that_hangs_is_a_failure() {
    let folder = hanging("hang-monitor", START, &format!("{MONITOR}; [ -e $here/bad ] || exit 0; {HANG}"), STOP);
    let mut wrapper = start(&folder, &[("monitor_timeout", "1")]);
    wrapper.told("READY=1");
    folder.write("bad", "");
    let child = pid(&folder.heard("child"));
    wait_for_end(child);
    assert_eq!(wrapper.end(), 1);
    assert!(log_has(&wrapper, "<3>monitor failed: no answer within 1 s"), "{:?}", wrapper.log);
}

#[test]
fn a_stop_that_hangs_is_a_failure() {
    let folder = hanging("hang-stop", START, MONITOR, HANG);
    let variables = [("OCF_RESKEY_stop_timeout", "1s")];
    let mut wrapper = start(&folder, &variables);
    wrapper.told("READY=1");
    wrapper.term();
    wait_for_end(pid(&folder.heard("child")));
    assert_eq!(wrapper.end(), 1);
    let mut wrapper = Wrapper::run("stop", &folder, &folder.0.join("vendor/made-up"), &[], &variables);
    wait_for_end(pid(&folder.heard("child")));
    assert_eq!(wrapper.end(), 1);
    assert!(log_has(&wrapper, "<3>stop failed: no answer within 1 s"), "{:?}", wrapper.log);
}

#[test]
fn systemds_term_reaches_the_monitor_too() {
    let monitor = format!("{MONITOR}; [ -e $here/slow ] || exit 0; echo $$ > $here/at; read never < $here/never");
    let folder = hanging("term", START, &monitor, STOP);
    let mut wrapper = start(&folder, &[]);
    wrapper.told("READY=1");
    folder.write("slow", "");
    let monitor = pid(&folder.heard("at"));
    // The worst order: the child has died of it before we are told.
    kill_process(monitor, Signal::TERM).unwrap();
    wrapper.term();
    assert_eq!(wrapper.end(), 0);
    assert!(folder.read("calls").ends_with("monitor\nstop\n"));
    assert!(!log_has(&wrapper, "<3>"), "{:?}", wrapper.log);
}

#[test]
fn asked_to_end_while_starting() {
    let folder = hanging("early", "echo $$ > $here/at; read never < $here/never", MONITOR, STOP);
    let mut wrapper = start(&folder, &[]);
    let agent = pid(&folder.heard("at"));
    wrapper.term();
    assert_eq!(wrapper.end(), 0);
    wait_for_end(agent);
    assert_eq!(folder.read("calls"), "meta-data\nmonitor\nstart\nstop\n");
}

#[test]
fn an_agent_that_lies_is_never_ready() {
    let folder = Folder::new("lies");
    folder.agent("exit 0", "echo 'ocf-exit-reason:nothing there' >&2; exit 7", STOP);
    let mut wrapper = start(&folder, &[]);
    assert_eq!(wrapper.end(), 7);
    let expected = "<3>monitor failed: exit code 7 (not running): nothing there";
    assert!(log_has(&wrapper, expected), "{:?}", wrapper.log);
}

#[test]
fn degraded_is_a_warning_and_flapping_is_forgiven() {
    let folder = Folder::new("limps");
    folder.agent(START, "[ -e $here/up ] || exit 7; . $here/how", STOP);
    folder.write("how", "exit 0");
    let mut wrapper = start(&folder, &[("OCF_RESKEY_monitor_failures", "2")]);
    wrapper.told("READY=1");
    folder.write("how", "echo 'ocf-exit-reason:half of it' >&2; exit 190");
    wrapper.told("STATUS=degraded: exit code 190 (running degraded): half of it");
    wrapper.logged("<4>it is degraded");
    folder.write("how", "echo bad luck; exit 1");
    wrapper.told("STATUS=monitor failed, 1 of 2 in a row");
    folder.write("how", "exit 0");
    wrapper.told("STATUS=running");
    folder.write("how", "exit 9");
    assert_eq!(wrapper.end(), 9);
    assert!(log_has(&wrapper, "bad luck"), "{:?}", wrapper.log);
}

#[test]
fn a_service_that_the_agent_leaves_behind_can_go_on_to_write() {
    let folder = Folder::new("forks");
    let service = "while read line; do echo \"$line\"; done < $here/input";
    let start_it = format!("sh -c '{service}; echo $? > $here/over' & echo $! > $here/pid; {START}");
    folder.agent(&start_it, MONITOR, &format!("kill $(cat $here/pid); {STOP}"));
    folder.fifo("input");
    let mut wrapper = start(&folder, &[]);
    wrapper.told("READY=1");
    let mut input = fs::OpenOptions::new().write(true).open(folder.0.join("input")).unwrap();
    for line in ["one", "two"] {
        writeln!(input, "{line}").unwrap();
        assert_eq!(wrapper.logged(line), format!("<6>{line}"));
    }
    let service = pid(&folder.read("pid"));
    wrapper.term();
    assert_eq!(wrapper.end(), 0);
    wait_for_end(service);
    assert!(!folder.0.join("over").exists());
}

#[test]
fn secrets_stay_out_of_the_log() {
    let folder = Folder::new("secrets");
    folder.agent("echo \"login with $OCF_RESKEY_password\"; exit 1", MONITOR, STOP);
    folder.write("meta-data", r#"<parameter name="password"/><parameter name="here"/><action name="start"/>"#);
    let mut wrapper = start(&folder, &[("OCF_RESKEY_password", "s3cret")]);
    assert_eq!(wrapper.end(), 1);
    assert!(log_has(&wrapper, "login with ***") && !log_has(&wrapper, "s3cret"), "{:?}", wrapper.log);
}

#[test]
fn stop_after_a_failure_but_not_after_a_good_end() {
    let folder = Folder::new("post");
    let agent = folder.agent(START, MONITOR, STOP);
    for (code, status, calls) in [
        ("exited", "0", ""),
        ("exited", "7", "meta-data\nstop\n"),
        ("killed", "TERM", "meta-data\nstop\n"),
        ("", "", "meta-data\nstop\n"),
    ] {
        folder.write("calls", "");
        let variables = [("EXIT_CODE", code), ("EXIT_STATUS", status)];
        assert_eq!(Wrapper::run("stop", &folder, &agent, &[], &variables).end(), 0);
        assert_eq!(folder.read("calls"), calls, "{code} {status}");
    }
    folder.write("stop", "exit 4");
    assert_eq!(Wrapper::run("stop", &folder, &agent, &[], &[]).end(), 4);
}

#[test]
fn without_usable_meta_data_the_defaults_apply() {
    let folder = Folder::new("no-meta-data");
    folder.agent(START, MONITOR, STOP);
    folder.write("meta-data", "usage: made-up start|stop");
    let mut wrapper = start(&folder, &[("stop_timeout", "8"), ("monitor_timeout", "never")]);
    wrapper.told("READY=1");
    wrapper.logged("monitor_timeout=\"never\" is ignored");
    let said = wrapper.logged("meta-data: there is no <action> in it");
    assert!(said.starts_with("<4>") && said.contains("start 60 s, monitor 20 s, stop 8 s"), "{said}");
}

#[test]
fn bad_input_says_what_where_and_what_to_do() {
    let folder = Folder::new("bad");
    let agent = folder.agent(START, MONITOR, STOP);
    let run = |agent: &Path, expected: i32, part: &str| {
        for command in ["start-and-monitor", "stop"] {
            let mut wrapper = Wrapper::run(command, &folder, agent, &[], &[]);
            assert_eq!(wrapper.end(), expected, "{:?}", wrapper.log);
            assert!(log_has(&wrapper, part), "{:?}", wrapper.log);
        }
    };
    run(&folder.0.join("vendor/Missing"), 5, "there is no such file; install the package");
    run(&folder.0.join("vendor"), 5, "no regular file");
    run(Path::new(""), 6, "AGENT is not set");
    run(Path::new("vendor/made-up"), 6, "absolute path");
    let mode = |mode| fs::set_permissions(&agent, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    mode(0o777);
    run(&agent, 4, "others than the owner may write");
    mode(0o644);
    run(&agent, 5, "not executable");
    // No interpreter is named, and it is no program.
    mode(0o755);
    fs::write(&agent, "exit 0\n").unwrap();
    let mut wrapper = Wrapper::start(&folder, &agent, &[], &[]);
    assert_eq!(wrapper.end(), 5);
    assert!(log_has(&wrapper, "its first line must name its interpreter"), "{:?}", wrapper.log);
    let output = Command::new(env!("CARGO_BIN_EXE_ocf-rs-wrapper")).arg("start").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("usage: "));
}
