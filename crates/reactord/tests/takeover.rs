//! Real daemons that promote: on a simulated DRBD cluster, each with a systemd of its own (a mock on a bus of its own) that runs real processes.
//!
//! The look-alikes of `drbdsetup` and `drbdadm` are this program too, under their names. Needs `dbus-daemon`; where it is missing the tests
//! say `SKIPPED` and why.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test, though with a main of its own; what is skipped is said aloud"
)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use libtest_mimic::{Arguments, Trial};
use reactor_api::verbs::{Spans, Watch};
use reactor_sim::lookalike::{identity, units};
use reactor_sim::systemd_bus::Harness;
use reactor_sim::systemd_bus::harness::dbus_daemon;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::drbd::{self, Drbd};
use support::{Daemon, Folder, LIMIT};

fn main() -> ExitCode {
    if let Some(ended) = drbd::called_as_a_command() {
        return ended;
    }
    let test = |name: &str, body: fn()| {
        Trial::test(name, move || {
            if dbus_daemon().is_some() {
                body();
            } else {
                assert!(std::env::var_os("CI").is_none(), "dbus-daemon is not installed");
                println!("SKIPPED: dbus-daemon is not installed");
            }
            Ok(())
        })
    };
    let tests = vec![
        test("another_node_takes_over_and_says_why", another_node_takes_over_and_says_why),
        test("a_hold_keeps_a_node_from_taking_over_even_if_its_daemon_is_killed", a_hold_keeps_a_node_from_taking_over),
        test("an_evict_is_a_hold_a_stop_and_a_release", an_evict_is_a_hold_a_stop_and_a_release),
        test(
            "an_eviction_gives_it_to_the_other_node_also_if_the_daemon_is_killed",
            an_eviction_gives_it_to_the_other_node,
        ),
        test("what_nobody_takes_over_comes_back", what_nobody_takes_over_comes_back),
        test("who_watches_is_told_what_comes_of_each_request_and_the_end", who_watches_is_told_what_comes_of_it),
        test("a_drained_node_runs_nothing_also_after_a_restart", a_drained_node_runs_nothing),
        test("a_service_that_keeps_failing_is_given_up_until_it_is_cleared", a_service_that_keeps_failing_is_given_up),
        test("a_daemon_that_is_killed_finds_its_services_running", a_daemon_that_is_killed_finds_its_services_running),
        test("a_promotion_is_in_the_history_once_also_if_the_daemon_is_killed", a_promotion_is_in_the_history_once),
        test("a_resource_that_is_taken_out_runs_on_without_us", a_resource_that_is_taken_out_runs_on_without_us),
        test(
            "the_end_of_the_daemon_stops_services_only_if_asked_for",
            the_end_of_the_daemon_stops_services_only_if_asked,
        ),
        test("a_killed_drbdsetup_stops_nothing", a_killed_drbdsetup_stops_nothing),
        test("a_failing_drbdadm_takes_no_resource_down_and_keeps_nobody_from_taking_over", a_failing_drbdadm),
    ];
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

/// A node: its daemon, its systemd.
struct Node {
    daemon: Option<Daemon>,
    systemd: Harness,
    folder: Folder,
}

impl Node {
    /// Its daemon promotes `r1` (with `settings`) and `r2`, which has no services that matter.
    fn start(drbd: &Drbd, name: &str, settings: &str) -> Self {
        let mut node = Self::prepare(drbd, name);
        node.promote(&format!("[promoter.resources.r1]\nstart = [\"app.service\"]\n{settings}\n"));
        node.start_daemon();
        node
    }

    fn prepare(drbd: &Drbd, name: &str) -> Self {
        let folder = drbd.node(name);
        let dir = folder.path();
        let (lib, generated) = (dir.join("lib"), dir.join("units"));
        fs::create_dir(&lib).unwrap();
        fs::create_dir(&generated).unwrap();
        // There the daemon looks for the path of the script.
        units::write(dir, &generated).unwrap();
        let dir = dir.display();
        folder.program(
            "app",
            &format!(
                "#!/bin/sh\necho start >> {dir}/account\nif [ -e {dir}/broken ]; then exit 1; fi\nexec sleep 100000\n"
            ),
        );
        let app = format!("[Service]\nExecStart={dir}/app\nExecStop=/bin/sh -c \"echo stop >> {dir}/account\"\n");
        folder.write("lib/app.service", &app);
        folder.write("lib/other.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n");
        let systemd = Harness::start(&folder.path().join("systemd"), &[generated, lib]).unwrap();
        let main = fs::read_to_string(folder.main_file("")).unwrap();
        let main = main.replace("node-name = \"n3\"", &format!("node-name = \"{name}\""));
        folder.write("main.toml", &format!("{main}bus = \"{}\"\n", systemd.address()));
        Self { daemon: None, systemd, folder }
    }

    fn promote(&self, resource: &str) {
        let r2 = "[promoter.resources.r2]\nstart = [\"other.service\"]\n";
        self.folder.write("snippets/ha.toml", &format!("[[promoter]]\n{resource}{r2}"));
    }

    fn start_daemon(&mut self) {
        self.daemon = Some(Daemon::start(&self.folder, &[]));
    }

    /// As the kernel would for lack of memory.
    fn kill_daemon(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        daemon.signal(Signal::KILL);
        daemon.wait();
    }

    /// Everything of it is gone at once.
    fn power_off(mut self, drbd: &Drbd, name: &str) {
        drbd.control(&["kill", name]);
        self.kill_daemon();
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    fn until(&self, state: &str) -> Value {
        self.daemon().status_until(&format!("r1 is {state}"), |status| {
            r1(status)["state"] == state && (state != "standby" || r1(status)["policy"] == "quorum")
        })
    }

    fn why(&self) -> Value {
        self.daemon().call("Why", &json!({ "resource": "r1" }))["report"].take()
    }

    /// What the service noted: a line for each start and each stop.
    fn account(&self) -> String {
        fs::read_to_string(self.folder.path().join("account")).unwrap_or_default()
    }

    fn account_until(&self, wanted: &str) {
        self.wait(wanted, || self.account() == wanted);
    }

    /// For what goes on without its daemon.
    fn wait(&self, what: &str, done: impl Fn() -> bool) {
        let began = Instant::now();
        while !done() {
            let log = self.systemd.log();
            assert!(began.elapsed() < LIMIT, "never came: {what:?}; noted: {:?}; systemd:\n{log}", self.account());
            std::thread::yield_now();
        }
    }

    /// What was asked of its systemd so far.
    fn asked(&self) -> Vec<String> {
        let log = self.systemd.log();
        log.lines().filter(|line| line.contains("Unit ")).map(str::to_owned).collect()
    }

    /// As `systemctl stop` would.
    fn stop_target(&self) {
        let address = format!("--bus={}", self.systemd.address());
        let manager = ["/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager.StopUnit"];
        let output = std::process::Command::new("dbus-send")
            .args([address.as_str(), "--print-reply", "--dest=org.freedesktop.systemd1"])
            .args(manager)
            .args(["string:drbd-services@r1.target", "string:replace"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn is_primary(&self) -> bool {
        let output =
            std::process::Command::new(self.folder.path().join("drbdsetup")).args(["events2", "--now", "r1"]).output();
        String::from_utf8(output.unwrap().stdout).unwrap().contains("resource name:r1 role:Primary")
    }
}

fn r1(status: &Value) -> &Value {
    status["promoted"].as_array().and_then(|all| all.iter().find(|one| one["resource"] == "r1")).unwrap_or(&Value::Null)
}

fn another_node_takes_over_and_says_why() {
    let drbd = Drbd::start("takeover-over", &["r1", "r2"]);
    let one = Node::start(&drbd, "n1", "");
    one.until("running");
    one.account_until("start\n");
    let two = Node::start(&drbd, "n2", "");
    let status = two.until("standby");
    assert_eq!(r1(&status)["policy"], "quorum", "{status:#}");
    assert_eq!(two.account(), "");
    one.power_off(&drbd, "n1");
    two.until("running");
    two.account_until("start\n");
    assert!(two.is_primary());
    let report = two.why();
    let decided = report["history"].as_array().unwrap();
    let start = decided.iter().find(|past| past["what"].as_str().unwrap().contains("drbd-services@r1.target"));
    let because = start.unwrap_or_else(|| panic!("{report:#}"))["because"].to_string();
    assert!(because.contains("may_promote:yes"), "{report:#}");
}

/// drbdadm fails for a mistake in the file of another resource; `drbd@r1.service` of drbd-utils would take down what the other nodes need.
fn a_failing_drbdadm() {
    let drbd = Drbd::start("takeover-tools", &["r1", "r2"]);
    let one = Node::start(&drbd, "n1", "");
    one.until("running");
    let mut two = Node::prepare(&drbd, "n2");
    let dir = two.folder.path().to_owned();
    fs::create_dir(dir.join("sim")).unwrap();
    fs::rename(dir.join("drbdadm"), dir.join("sim/drbdadm")).unwrap();
    fs::copy(dir.join(identity::FILE), dir.join("sim").join(identity::FILE)).unwrap();
    let said = "drbd.d/other.res:12: Parse error: expected disk but got dsk";
    two.folder.program(
        "drbdadm",
        &format!(
            "#!/bin/sh\ncase $1 in adjust|sh-ll-dev|sh-resources) echo '{said}' >&2; exit 10 ;; esac\n\
             exec {}/sim/drbdadm \"$@\"\n",
            dir.display()
        ),
    );
    two.promote("[promoter.resources.r1]\nstart = [\"app.service\"]\n");
    two.start_daemon();
    two.until("standby");
    one.power_off(&drbd, "n1");
    two.until("running");
    two.account_until("start\n");
    assert!(two.is_primary());
    let report = two.why();
    assert!(report["warnings"].to_string().contains(said), "{report:#}");
    assert!(report["history"].to_string().contains(said), "{report:#}");
}

fn a_hold_keeps_a_node_from_taking_over() {
    let drbd = Drbd::start("takeover-hold", &["r1", "r2"]);
    let one = Node::start(&drbd, "n1", "");
    one.until("running");
    let mut two = Node::start(&drbd, "n2", "");
    two.until("standby");
    two.daemon().call("Hold", &json!({ "resource": "r1", "why": "new cables" }));
    two.kill_daemon();
    two.start_daemon();
    two.until("held");
    one.power_off(&drbd, "n1");
    two.daemon().status_until("r2 is taken over", |status| {
        let all = status["promoted"].as_array().into_iter().flatten();
        all.into_iter().any(|one| one["resource"] == "r2" && one["state"] == "running")
    });
    assert_eq!(r1(&two.daemon().status())["hold"]["why"], "new cables");
    assert_eq!(two.account(), "");
    two.daemon().call("Release", &json!({ "resource": "r1" }));
    two.until("running");
    two.account_until("start\n");
}

/// What `drbd-reactorctl evict` does with the daemon and systemd, step by step.
fn an_evict_is_a_hold_a_stop_and_a_release() {
    let drbd = Drbd::start("takeover-evict", &["r1", "r2"]);
    let one = Node::start(&drbd, "n1", "");
    one.until("running");
    let two = Node::start(&drbd, "n2", "");
    two.until("standby");
    one.daemon().call("Hold", &json!({ "resource": "r1", "why": "evict: another node takes it over" }));
    one.stop_target();
    two.until("running");
    two.account_until("start\n");
    one.daemon().call("Release", &json!({ "resource": "r1" }));
    let status = one.until("standby");
    assert_eq!(one.account(), "start\nstop\n", "it has not come back");
    assert_eq!(r1(&status)["failures"], 0, "{status:#}");
    // Nobody takes it over: after the release it is where it was.
    one.daemon().call("Hold", &json!({ "resource": "r1" }));
    two.daemon().call("Hold", &json!({ "resource": "r1", "why": "evict: another node takes it over" }));
    two.stop_target();
    two.wait("it is demoted", || !two.is_primary());
    two.daemon().call("Release", &json!({ "resource": "r1" }));
    two.until("running");
    two.account_until("start\nstop\nstart\n");
    assert_eq!(one.account(), "start\nstop\n");
}

fn an_eviction_gives_it_to_the_other_node() {
    let drbd = Drbd::start("takeover-yield", &["r1", "r2"]);
    let mut one = Node::start(&drbd, "n1", "");
    one.until("running");
    let two = Node::start(&drbd, "n2", "");
    two.until("standby");
    let peers = one.why()["peers"].take();
    assert_eq!(peers[0], json!({ "node": "n2", "primary": false, "connected": true }), "n2 could take it over");
    let yielded = one.daemon().call("Yield", &json!({ "resource": "r1", "to": "n2", "limit": 600 }));
    assert_eq!(yielded["changed"], true, "{yielded:#}");
    // It is in the state folder: whoever comes next goes on with it.
    one.kill_daemon();
    one.start_daemon();
    two.until("running");
    two.account_until("start\n");
    assert!(two.is_primary());
    one.daemon()
        .status_until("n1 is done with it", |status| r1(status)["state"] == "standby" && r1(status)["hold"].is_null());
    assert_eq!(one.why()["because"], json!(["n2 is Primary"]));
}

fn who_watches_is_told_what_comes_of_it() {
    let drbd = Drbd::start("takeover-watch", &["r1", "r2"]);
    let mut one = Node::start(&drbd, "n1", "");
    one.until("running");
    let two = Node::start(&drbd, "n2", "");
    two.until("standby");
    let mut watcher = one.daemon().client();
    let only = Some(std::collections::BTreeSet::from(["r1".to_owned()]));
    watcher.ask_for_more(&Watch { resources: only }).unwrap();
    let mut until = |what: &str, is_so: &dyn Fn(&Value) -> bool| loop {
        let mut reply = watcher.next_reply().unwrap_or_else(|error| panic!("{what} never came: {error}"));
        assert!(reply.continues);
        let status = reply.parameters["status"].take();
        assert_eq!(status["resources"].as_array().map(Vec::len), Some(1), "{status:#}");
        if is_so(&status) {
            return status;
        }
    };
    let status = until("it runs, and n2 could take it over", &|status| {
        r1(status)["state"] == "running"
            && r1(status)["peers"][0] == json!({ "node": "n2", "primary": false, "connected": true })
    });
    assert_eq!(status["promoted"].as_array().map(Vec::len), Some(1), "{status:#}");
    one.daemon().call("Yield", &json!({ "resource": "r1", "limit": 600 }));
    until("n2 has it", &|status| r1(status)["peers"][0]["primary"] == true && r1(status)["hold"].is_null());
    one.daemon().call("Hold", &json!({ "resource": "r1", "why": "new cables" }));
    until("it is held", &|status| r1(status)["hold"]["why"] == "new cables");
    // A reload is news, and no end.
    one.promote("");
    one.daemon().call("Reload", &json!({}));
    until("nobody promotes it any more", &|status| status["promoted"].is_null());
    one.kill_daemon();
    while let Ok(reply) = watcher.next_reply() {
        assert!(reply.continues, "the end of a daemon is no picture");
    }
}

fn what_nobody_takes_over_comes_back() {
    let drbd = Drbd::start("takeover-yield-none", &["r1", "r2"]);
    let one = Node::start(&drbd, "n1", "");
    one.until("running");
    one.account_until("start\n");
    one.daemon().call("Yield", &json!({ "resource": "r1", "limit": 1 }));
    one.account_until("start\nstop\nstart\n");
    one.daemon().status_until("it runs again", all_run);
    // A person's hold is not taken away.
    one.daemon().call("Hold", &json!({ "resource": "r1" }));
    let refused = one.daemon().client().call("Yield", &json!({ "resource": "r1", "limit": 1 })).unwrap_err();
    assert!(refused.to_string().contains("Refused"), "{refused}");
    assert!(one.is_primary());
}

fn a_drained_node_runs_nothing() {
    let drbd = Drbd::start("takeover-drain", &["r1", "r2"]);
    let mut one = Node::start(&drbd, "n1", "");
    one.daemon().status_until("both run", all_run);
    let two = Node::start(&drbd, "n2", "");
    two.until("standby");
    one.daemon().call("Drain", &json!({ "why": "a new kernel" }));
    two.daemon().status_until("n2 has taken both over", all_run);
    one.kill_daemon();
    one.start_daemon();
    let status = one.until("drained");
    assert_eq!(status["drained"]["why"], "a new kernel", "{status:#}");
    two.power_off(&drbd, "n2");
    one.wait("n2 is gone", || one.why()["peers"][0]["obstacles"].is_array());
    assert_eq!(one.why()["state"], "drained");
    assert!(!one.is_primary());
    one.daemon().call("Undrain", &json!({}));
    one.daemon().status_until("both run here", all_run);
}

fn a_service_that_keeps_failing_is_given_up() {
    let drbd = Drbd::start("takeover-fail", &["r1", "r2"]);
    let mut one = Node::prepare(&drbd, "n1");
    one.folder.write("broken", "");
    one.promote("[promoter.resources.r1]\nstart = [\"app.service\"]\nmax-failures = 2\n");
    one.start_daemon();
    let status = one.until("blocked");
    assert_eq!(r1(&status)["failures"], 2, "{status:#}");
    one.wait("it is demoted", || !one.is_primary());
    // A restart forgets nothing.
    one.kill_daemon();
    one.start_daemon();
    one.until("blocked");
    fs::remove_file(one.folder.path().join("broken")).unwrap();
    let starts = one.account().matches("start").count();
    assert_eq!(one.daemon().call("Clear", &json!({ "resource": "r1" }))["changed"], true);
    one.until("running");
    // Active is what has been started; the first thing that it does is a moment later.
    one.wait("it has started once more", || one.account().matches("start").count() == starts + 1);
}

fn a_daemon_that_is_killed_finds_its_services_running() {
    let drbd = Drbd::start("takeover-kill", &["r1", "r2"]);
    let mut one = Node::start(&drbd, "n1", "stop-services-on-exit = true");
    one.until("running");
    one.account_until("start\n");
    one.daemon().status_until("r2 runs, too", all_run);
    let before = one.asked();
    one.kill_daemon();
    one.start_daemon();
    one.daemon().status_until("both run", all_run);
    assert_eq!(one.account(), "start\n");
    assert_eq!(one.asked(), before, "nothing was asked for again");
}

fn a_promotion_is_in_the_history_once() {
    let drbd = Drbd::start("takeover-history", &["r1", "r2"]);
    let mut one = Node::start(&drbd, "n1", "");
    one.until("running");
    let of = |node: &Node, kind: &str| -> Vec<Value> {
        let entries = node.daemon().call("History", &json!({ "resource": "r1", "last": 200 }))["entries"].take();
        entries.as_array().unwrap().iter().filter(|entry| entry["kind"] == kind).cloned().collect()
    };
    one.wait("it is written that it runs", || of(&one, "running").len() == 1);
    let promoted = of(&one, "promoted");
    let [promoted] = promoted.as_slice() else { panic!("{promoted:#?}") };
    assert!(promoted["phases"]["promote-ms"].is_u64() && promoted["phases"]["decide-ms"].is_u64(), "{promoted:#}");
    assert!(of(&one, "running")[0]["phases"]["start-ms"].is_u64());
    let starts = || of(&one, "decision").into_iter().filter(|entry| entry["what"] == "start drbd-services@r1.target");
    one.wait("it is written how the start ended", || starts().any(|entry| entry["outcome"] == "done"));
    assert!(starts().all(|entry| entry["because"].to_string().contains("may_promote:yes")));
    one.daemon().call("Hold", &json!({ "resource": "r1", "why": "new cables" }));
    one.wait("it is written who asked", || {
        let who = |entry: &Value| entry["who"].as_str().is_some_and(|who| who.starts_with("root (uid 0, pid "));
        of(&one, "asked")
            .iter()
            .any(|entry| entry["what"] == "hold" && entry["because"][0] == "new cables" && who(entry))
    });
    one.kill_daemon();
    one.start_daemon();
    let states = || {
        let mut client = one.daemon().client();
        client.ask_for_more(&Spans { resource: Some("r1".to_owned()), ..Spans::default() }).unwrap();
        let spans = client.next_reply().unwrap().parameters["spans"].take();
        spans.as_array().unwrap().iter().map(|span| span["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    one.wait("it is written that it still runs", || states().ends_with(&["unwatched".to_owned(), "here".to_owned()]));
    assert_eq!(states().iter().filter(|state| *state == "unwatched").count(), 1);
    assert_eq!((of(&one, "promoted").len(), of(&one, "demoted").len(), of(&one, "running").len()), (1, 0, 1));
}

fn all_run(status: &Value) -> bool {
    status["promoted"].as_array().is_some_and(|all| all.len() == 2 && all.iter().all(|one| one["state"] == "running"))
}

fn a_resource_that_is_taken_out_runs_on_without_us() {
    let drbd = Drbd::start("takeover-out", &["r1", "r2"]);
    let one = Node::start(&drbd, "n1", "");
    one.until("running");
    one.account_until("start\n");
    one.daemon().status_until("r2 runs, too", all_run);
    assert!(!generated(one.folder.path()).is_empty());
    let before = one.asked();
    one.promote("");
    assert_eq!(one.daemon().call("Reload", &json!({}))["result"], "ok");
    one.daemon().log_until("go when its target has stopped");
    one.daemon().status_until("r2 only", |status| status["promoted"].as_array().is_some_and(|all| all.len() == 1));
    assert_eq!((one.account().as_str(), one.asked()), ("start\n", before));
    assert!(!generated(one.folder.path()).is_empty(), "they go when its services have stopped");
    assert!(one.is_primary());
}

/// Generated files for r1.
fn generated(dir: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(dir.join("units")).unwrap().map(|entry| entry.unwrap().path());
    folders.filter(|path| path.display().to_string().contains("@r1.")).collect()
}

fn the_end_of_the_daemon_stops_services_only_if_asked() {
    let drbd = Drbd::start("takeover-exit", &["r1", "r2"]);
    let mut one = Node::start(&drbd, "n1", "stop-services-on-exit = false");
    one.until("running");
    one.account_until("start\n");
    assert!(one.daemon.take().unwrap().stop().success());
    assert!(one.is_primary());
    assert_eq!(one.account(), "start\n");
    one.promote("[promoter.resources.r1]\nstart = [\"app.service\"]\nstop-services-on-exit = true\n");
    one.start_daemon();
    one.until("running");
    assert!(one.daemon.take().unwrap().stop().success());
    one.wait("it is demoted", || !one.is_primary());
    assert_eq!(one.account(), "start\nstop\n");
}

fn a_killed_drbdsetup_stops_nothing() {
    let drbd = Drbd::start("takeover-child", &["r1", "r2"]);
    let one = Node::start(&drbd, "n1", "");
    one.until("running");
    one.account_until("start\n");
    one.daemon().status_until("r2 runs, too", all_run);
    let before = one.asked();
    kill_process(events2(one.daemon().pid()).unwrap(), Signal::KILL).unwrap();
    // While nobody listens, a peer goes.
    drbd.control(&["kill", "n3"]);
    one.daemon().status_until("the daemon has caught up", |status| {
        status["source"]["state"] != "down" && !r1(status).is_null() && lost_n3(status)
    });
    one.daemon().status_until("both run", all_run);
    assert_eq!((one.account().as_str(), one.asked()), ("start\n", before));
}

/// Whether a connection of r1 is not Connected.
fn lost_n3(status: &Value) -> bool {
    let text = status["resources"].to_string();
    ["\"Connecting\"", "\"NetworkFailure\"", "\"Timeout\"", "\"Unconnected\"", "\"BrokenPipe\""]
        .iter()
        .any(|state| text.contains(state))
}

/// The child of a process that follows DRBD.
fn events2(parent: u32) -> Option<Pid> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).unwrap();
    let children = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    let all =
        children.flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()).collect::<Vec<_>>());
    let follows = |pid: &i32| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains("events2"))
    };
    all.into_iter().find(follows).and_then(Pid::from_raw)
}
