//! The promoter in a real daemon, as far as neither systemd nor DRBD is needed: what operators ask, what outlives a restart, what
//! is told to systemd's start-up.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use std::fs;

use reactor_api::client::ClientError;
use reactor_core::action::{Action, ActionKind, AskTools, Call};
use serde_json::{Value, json};
use support::{Daemon, Folder};

/// Prints a dump of one Secondary resource that could be promoted, then lives until its standard input is closed.
const QUIET: &str = "
case \"$*\" in events2*) ;; *) echo \"no $*\" >&2; exit 20 ;; esac
echo '2026-11-21T03:06:17.369716+00:00 exists resource name:r1 role:Secondary suspended:no may_promote:no promotion_score:10101'
echo '2026-11-21T03:06:17.369716+00:00 exists device name:r1 volume:0 minor:1 backing_dev:/dev/x disk:UpToDate client:no open:no quorum:yes size:1'
echo '2026-11-21T03:06:17.369716+00:00 exists -'
exec cat
";

const PROMOTER: &str = "[[promoter]]\n[promoter.resources.r1]\nstart = [\"reactord-test.service\"]\n";

fn folder(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.drbd(QUIET);
    // A bus that nobody serves: no test may reach the systemd of this machine.
    let bus = folder.path().join("no-bus").display().to_string();
    let main = folder.main_file("");
    let text = fs::read_to_string(&main).unwrap();
    folder.write("main.toml", &format!("{text}bus = \"unix:path={bus}\"\n"));
    folder.write("snippets/ha.toml", PROMOTER);
    folder
}

fn promoted(status: &Value) -> &Value {
    &status["promoted"][0]
}

fn remembered(folder: &Folder) -> Value {
    let text = fs::read_to_string(folder.path().join("state/promoter.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Whoever reads the log the day after finds who asked for what.
#[test]
fn who_asked_for_a_change_and_what_became_of_it_is_in_the_log() {
    let folder = folder("audit");
    let daemon = Daemon::start(&folder, &[]);
    daemon.call("Hold", &json!({ "resource": "r1", "why": "new cables" }));
    let refused = daemon.client().call("Clear", &json!({ "resource": "nope" }));
    assert!(refused.is_err(), "{refused:?}");
    let pid = std::process::id();
    daemon.log_until(&format!("user=root uid=0 pid={pid} call=Hold resource=r1"));
    daemon.log_until(r#"parameters="{\"resource\":\"r1\",\"why\":\"new cables\"}" outcome=done text="r1 is held"#);
    daemon.log_until("call=Clear resource=nope");
    daemon.log_until("outcome=refused text=\"no promoter has the resource nope");
}

#[test]
fn a_hold_outlives_a_restart_and_a_release_ends_it() {
    let folder = folder("hold");
    let daemon = Daemon::start(&folder, &[]);
    let answer = daemon.call("Hold", &json!({ "resource": "r1", "why": "new cables" }));
    assert_eq!(answer["changed"], true, "{answer:#}");
    let status = daemon.status();
    assert_eq!(promoted(&status)["hold"]["why"], "new cables", "{status:#}");
    assert!(daemon.stop().success());
    let kept = remembered(&folder);
    assert_eq!(kept["resources"]["r1"]["hold"]["who"], "root", "{kept:#}");

    let daemon = Daemon::start(&folder, &[]);
    let report = daemon.call("Why", &json!({ "resource": "r1" }))["report"].take();
    assert_eq!((&report["state"], &report["hold"]["why"]), (&json!("held"), &json!("new cables")), "{report:#}");
    let plan = daemon.call("Plan", &json!({ "resource": "r1", "event": "daemon-restart" }))["plan"].take();
    assert_eq!((&plan["does"], &plan["ends"]), (&json!("nothing"), &json!("settled")), "{plan:#}");
    assert_eq!(plan["steps"][0]["because"], json!(["held by root: new cables"]), "{plan:#}");
    assert_eq!(daemon.call("Release", &json!({ "resource": "r1" }))["changed"], true);
    assert_eq!(daemon.call("Release", &json!({ "resource": "r1" }))["changed"], false);
    assert!(promoted(&daemon.status())["hold"].is_null());
    assert!(daemon.stop().success());
    let kept = remembered(&folder);
    assert_eq!(kept["resources"], json!({}), "{kept:#}");
}

#[test]
fn a_resource_that_nobody_promotes_is_said_to_be_unknown() {
    let folder = folder("unknown");
    let daemon = Daemon::start(&folder, &[]);
    for verb in ["Why", "Plan", "Hold", "Release", "Clear"] {
        let refused = daemon.client().call(verb, &json!({ "resource": "r9" })).unwrap_err();
        assert!(
            matches!(&refused, ClientError::Refused { name, parameters }
                if name == "io.storagereactor.Control.NoSuchResource" && parameters["resource"] == "r9"),
            "{verb}: {refused}"
        );
    }
    let no_event = daemon.client().call("Plan", &json!({ "resource": "r1", "event": "rain" })).unwrap_err();
    assert!(
        matches!(&no_event, ClientError::Refused { name, .. } if name == "org.varlink.service.InvalidParameter"),
        "{no_event}"
    );
    let cleared = daemon.call("Clear", &json!({ "resource": "r1" }));
    assert_eq!(cleared["changed"], false, "{cleared:#}");
}

#[test]
fn what_may_have_been_held_is_held_until_it_is_released_and_the_file_is_kept() {
    let folder = folder("broken");
    fs::create_dir(folder.path().join("state")).unwrap();
    let torn = "{\"format\":\"storage-reactor-promoter\"";
    folder.write("state/promoter.json", torn);
    let daemon = Daemon::start(&folder, &[]);
    let status = daemon.status_until("r1 is held", |status| status["promoted"][0]["state"] == "held");
    let hold = &status["promoted"][0]["hold"];
    assert!(hold["why"].as_str().is_some_and(|why| why.contains("not understood")), "{status:#}");
    daemon.log_until("promoter.json.kept-1");
    assert!(daemon.stop().success());
    assert_eq!(fs::read_to_string(folder.path().join("state/promoter.json.kept-1")).unwrap(), torn);
    // Until somebody says otherwise.
    let daemon = Daemon::start(&folder, &[]);
    daemon.status_until("r1 is held still", |status| status["promoted"][0]["state"] == "held");
    assert_eq!(daemon.call("Release", &json!({ "resource": "r1" }))["changed"], true);
    assert!(daemon.stop().success());
    let daemon = Daemon::start(&folder, &[]);
    daemon.status_until("r1 is not held", |status| status["promoted"][0]["state"].is_string());
    assert_eq!(daemon.call("Release", &json!({ "resource": "r1" }))["changed"], false);
    assert!(daemon.stop().success());
}

#[test]
fn without_a_bus_promoters_wait_and_everybody_is_told() {
    let folder = folder("nobus");
    let daemon = Daemon::start(&folder, &[]);
    let status = daemon.status_until("why there is no systemd", |status| status["systemd"]["why"].is_string());
    assert_eq!(status["systemd"]["up"], false, "{status:#}");
    daemon.log_until("no connection to systemd");
    // The rest of the daemon does not care.
    daemon.status_until("the dump is read", |status| status["resources"][0]["name"] == "r1");
    assert!(daemon.stop().success());
}

#[test]
fn a_promoter_gets_ten_minutes_to_start_and_others_one() {
    let folder = folder("extend");
    let daemon = Daemon::spawn(&folder, &[]);
    daemon.wait_notify("EXTEND_TIMEOUT_USEC=600000000");
    daemon.wait_notify("READY=1");
    drop(daemon);
    fs::remove_file(folder.path().join("snippets/ha.toml")).unwrap();
    let daemon = Daemon::spawn(&folder, &[]);
    daemon.wait_notify("EXTEND_TIMEOUT_USEC=60000000");
    daemon.wait_notify("READY=1");
    // And nothing of systemd is needed.
    assert!(daemon.status()["systemd"].is_null());
}

#[test]
fn a_reload_that_takes_the_promoter_away_closes_the_connection() {
    let folder = folder("reload");
    let daemon = Daemon::start(&folder, &[]);
    assert!(daemon.status()["systemd"].is_object());
    fs::remove_file(folder.path().join("snippets/ha.toml")).unwrap();
    assert_eq!(daemon.call("Reload", &json!({}))["result"], "ok");
    let status = daemon.status_until("no promoter", |status| status["promoted"].is_null());
    assert_eq!(status["plugins"], json!([]), "{status:#}");
}

#[test]
fn a_resource_that_moves_to_another_file_keeps_its_unit_files() {
    let folder = folder("moves");
    folder.write("snippets/aa.toml", &PROMOTER.replace("r1", "r2").replace("reactord-test", "reactord-test-2"));
    let daemon = Daemon::start(&folder, &[]);
    // The file that gets it is looked at before the one that had it; that one goes on with another resource.
    let both = PROMOTER.replace("r1", "r2").replace("reactord-test", "reactord-test-2")
        + PROMOTER.trim_start_matches("[[promoter]]\n");
    folder.write("snippets/aa.toml", &both);
    folder.write("snippets/ha.toml", &PROMOTER.replace("r1", "r3").replace("reactord-test", "reactord-test-3"));
    assert_eq!(daemon.call("Reload", &json!({}))["result"], "ok");
    daemon.status_until("three resources", |status| status["promoted"].as_array().is_some_and(|all| all.len() == 3));
    // A resource that is really gone comes after it in the log.
    fs::remove_file(folder.path().join("snippets/ha.toml")).unwrap();
    assert_eq!(daemon.call("Reload", &json!({}))["result"], "ok");
    daemon.log_until("go when its target has stopped");
    let log = daemon.log();
    let retired = |resource: &str| {
        log.lines()
            .any(|line| line.contains("go when its target has stopped") && line.contains(&format!("@{resource}.")))
    };
    assert!(retired("r3") && !retired("r1"), "{log}");
}

/// What the recorder wrote replays to the very same decisions: every action with its number, its kind and its reasons.
#[test]
fn a_recording_of_the_daemon_replays_to_the_same_actions() {
    let folder = folder("recorded");
    let text = fs::read_to_string(folder.path().join("main.toml")).unwrap();
    folder.write("main.toml", &text.replace("[daemon]", "[recorder]\n[daemon]"));
    let daemon = Daemon::start(&folder, &[]);
    daemon.status_until("the dump is read", |status| status["resources"][0]["name"] == "r1");
    daemon.call("Hold", &json!({ "resource": "r1", "why": "a test" }));
    daemon.call("Release", &json!({ "resource": "r1" }));
    let asked = daemon.status()["counters"]["actions"].as_u64().unwrap();
    assert!(asked > 2);
    let log = folder.path().join("stderr.log");
    assert!(daemon.stop().success());
    let log = fs::read_to_string(log).unwrap();

    let recording = reactor_sys::drbd::playback::Recording::open(&folder.path().join("state/recordings")).unwrap();
    assert_eq!(recording.node(), Some("n3"));
    let options =
        reactor_config::LoadOptions::new(folder.path().join("main.toml"), reactor_core::settings::Mode::Native);
    let loaded = reactor_config::load(&options, None);
    let mut core = reactor_core::core::Core::new();
    core.set_host(reactor_core::plugin::Host { node: "n3".to_owned(), ..Default::default() });
    let mut actions = Vec::new();
    core.configure(reactor_core::ids::Mono::ZERO, &loaded.settings, &mut actions);
    for (at, input) in recording.steps() {
        core.step(at, input, &mut actions);
    }
    assert!(core.counters().actions >= asked, "{} of {asked}: {actions:#?}", core.counters().actions);
    let mut decided: Vec<(u64, String, String)> = actions.iter().filter_map(as_logged).collect();
    decided.sort();
    let mut logged: Vec<_> = log.lines().filter_map(from_log).collect();
    logged.sort();
    assert!(logged.len() >= 2, "{log}");
    assert_eq!(logged, decided);
}

/// Number, what, and why of a decision, as the log has it.
fn as_logged(action: &Action) -> Option<(u64, String, String)> {
    let what = match &action.kind {
        ActionKind::Call(Call::Unit(call)) => call.verb.as_str(),
        ActionKind::Call(Call::Files(..)) => "write unit files",
        ActionKind::Call(Call::Drbd(AskTools { call, .. })) => call.as_str(),
        _ => return None,
    };
    let because: Vec<_> = action.because.iter().map(|reason| reason.0.as_str()).collect();
    Some((action.id.0, what.to_owned(), because.join("; ")))
}

fn from_log(line: &str) -> Option<(u64, String, String)> {
    let rest = line.split_once("] decided action=")?.1;
    let value = |key: &str| {
        let text = rest.split_once(&format!(" {key}="))?.1;
        let quoted = text.strip_prefix('"').and_then(|text| text.split_once('"'));
        Some(quoted.map_or_else(|| text.split(' ').next().unwrap_or_default(), |(text, _)| text).to_owned())
    };
    Some((rest.split(' ').next()?.parse().ok()?, value("what")?, value("because")?))
}

/// Look-alikes that know one resource with quorum; what is written into `events` is what DRBD says.
fn with_tools(folder: &Folder) {
    let dir = folder.path().display();
    let fifo = folder.path().join("events");
    let status = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(status.success());
    folder.program(
        "drbdsetup",
        &format!(
            "#!/bin/sh
case \"$*\" in
show*) echo '[{{\"resource\":\"r1\",\"options\":{{\"auto-promote\":false,\"quorum\":\"majority\",\"on-no-quorum\":\"io-error\",\
             \"on-no-data-accessible\":\"io-error\"}},\"_this_host\":{{\"node-id\":0}},\"connections\":[]}}]' ;;
events2*)
    echo '2026-11-21T03:06:17.369716+00:00 exists resource name:r1 role:Secondary suspended:no may_promote:no promotion_score:10101'
    echo '2026-11-21T03:06:17.369716+00:00 exists device name:r1 volume:0 minor:1 backing_dev:/dev/x disk:UpToDate client:no open:no quorum:yes size:1'
    echo '2026-11-21T03:06:17.369716+00:00 exists -'
    exec cat <>'{dir}/events' ;;
esac
"
        ),
    );
    folder.program(
        "drbdadm",
        &format!(
            "#!/bin/sh
echo \"$*\" >> '{dir}/drbdadm.calls'
case $1 in
--version) echo DRBD_KERNEL_VERSION_CODE=0x090303; echo DRBDADM_VERSION_CODE=0x092200 ;;
sh-ll-dev) echo none ;;
esac
"
        ),
    );
}

fn say(folder: &Folder, stamp: &str, line: &str) {
    fs::write(folder.path().join("events"), format!("2026-11-21T03:06:{stamp}+00:00 {line}\n")).unwrap();
}

/// A promoter that runs commands: they make DRBD say what it would say.
fn shell_promoter(folder: &Folder, more: &str) {
    let dir = folder.path().display();
    let change = "change resource name:r1 suspended:no promotion_score:10101 may_promote:";
    folder.write(
        "snippets/ha.toml",
        &format!(
            "[[promoter]]\n[promoter.resources.r1]\nrunner = \"shell\"\n{more}\n\
             start = [\"echo 2026-11-21T03:06:30.0+00:00 {change}no role:Primary > {dir}/events\", \"touch {dir}/app-started\"]\n\
             stop = [\"touch {dir}/app-stopped\", \"touch {dir}/demoted\"]\n"
        ),
    );
}

fn state(status: &Value) -> &str {
    promoted(status)["state"].as_str().unwrap_or_default()
}

#[test]
fn services_start_when_drbd_says_so_and_stop_at_exit_if_that_is_wanted() {
    let folder = folder("shell");
    with_tools(&folder);
    shell_promoter(&folder, "stop-services-on-exit = true");
    let mut daemon = Daemon::start(&folder, &[]);
    daemon
        .status_until("it is prepared", |status| state(status) == "standby" && promoted(status)["policy"] == "quorum");
    let calls = fs::read_to_string(folder.path().join("drbdadm.calls")).unwrap();
    assert!(calls.contains("adjust r1"), "{calls}");
    // Without the systemd runner nothing of systemd is needed.
    assert!(daemon.status()["systemd"].is_null());
    say(&folder, "20.5", "change resource name:r1 role:Secondary suspended:no may_promote:yes promotion_score:10101");
    daemon.status_until("it runs", |status| state(status) == "running");
    assert!(folder.path().join("app-started").exists());
    daemon.log_until("because=\"DRBD says may_promote:yes");
    daemon.signal(rustix::process::Signal::TERM);
    daemon.wait_notify("STOPPING=1");
    daemon.wait_notify("EXTEND_TIMEOUT_USEC=30000000");
    assert!(daemon.wait().success());
    assert!(folder.path().join("app-stopped").exists(), "the first stop command has run");
    assert!(folder.path().join("demoted").exists(), "and the one behind it: {}", daemon.log());
}

/// The end had a loop of its own: no metrics for up to ten minutes, reloads and operators were not answered.
#[test]
fn while_its_exit_waits_for_a_slow_service_the_daemon_answers_everybody() {
    let folder = folder("slow-exit");
    with_tools(&folder);
    shell_promoter(&folder, "stop-services-on-exit = true");
    let slow = folder.path().join("slow");
    rustix::fs::mknodat(rustix::fs::CWD, &slow, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let text = fs::read_to_string(folder.path().join("snippets/ha.toml")).unwrap();
    let stop = format!("touch {}/app-stopped", folder.path().display());
    folder.write("snippets/ha.toml", &text.replace(&stop, &format!("cat {}", slow.display())));
    let port = reactor_sim::daemon::free_port().unwrap();
    folder.write("snippets/metrics.toml", &format!("[[prometheus]]\naddress = \"127.0.0.1:{port}\"\n"));
    let mut daemon = Daemon::start(&folder, &[]);
    daemon.log_until("serving metrics");
    daemon.status_until("it is prepared", |status| promoted(status)["policy"] == "quorum");
    say(&folder, "20.5", "change resource name:r1 role:Secondary suspended:no may_promote:yes promotion_score:10101");
    daemon.status_until("it runs", |status| state(status) == "running");
    daemon.signal(rustix::process::Signal::TERM);
    daemon.wait_notify("STOPPING=1");
    daemon.wait_notify("STATUS=1 resources, event source live, stopping");
    daemon.wait_notify("EXTEND_TIMEOUT_USEC=30000000");

    let metrics = support::scrape(port);
    for line in ["drbdreactor_up 1", "storage_reactor_loop_events_total{event=\"signal\"} 1"] {
        assert!(metrics.lines().any(|is| is == line), "no {line} in {metrics}");
    }
    let status = daemon.status();
    assert_eq!(state(&status), "stopping", "{status:#}");
    let reload = daemon.call("Reload", &json!({}));
    assert_eq!((&reload["ok"], &reload["result"]), (&json!(false), &json!("refused")));
    assert!(reload["report"].as_str().unwrap().contains("the daemon is stopping"), "{reload:#}");
    // What an operator says now is for the next start.
    assert_eq!(daemon.call("Hold", &json!({ "resource": "r1", "why": "new cables" }))["changed"], true);
    assert_eq!(daemon.call("Clear", &json!({ "resource": "r1" }))["changed"], false);
    assert_eq!(promoted(&daemon.status())["hold"]["why"], "new cables");

    fs::write(&slow, "").unwrap();
    assert!(daemon.wait().success());
    assert!(folder.path().join("demoted").exists(), "the stop command behind the slow one has run: {}", daemon.log());
    assert_eq!(remembered(&folder)["resources"]["r1"]["hold"]["why"], "new cables");
}

#[test]
fn services_go_on_when_the_daemon_ends_and_nothing_else_was_asked_for() {
    let folder = folder("goeson");
    with_tools(&folder);
    shell_promoter(&folder, "");
    let daemon = Daemon::start(&folder, &[]);
    daemon.status_until("it is prepared", |status| promoted(status)["policy"] == "quorum");
    say(&folder, "20.5", "change resource name:r1 role:Secondary suspended:no may_promote:yes promotion_score:10101");
    daemon.status_until("it runs", |status| state(status) == "running");
    assert!(daemon.stop().success());
    assert!(!folder.path().join("app-stopped").exists());
}
