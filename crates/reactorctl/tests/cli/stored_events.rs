//! `events query`, `events follow` and past incidents: over a daemon, over its restart, and without one.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use expect_test::expect;
use reactor_core::history::{News, StorageEvent, Told};
use reactor_core::ids::Mono;
use reactor_storage::device::{Carries, Kind, Related, Summary};
use reactor_storage::event::{Event, Severity, Subsystem};
use reactor_storage::incidents::{Incident, Incidents, Settings};
use reactor_storage::record::Stamp;
use reactor_sys::control::SOCKET_NAME;
use reactor_sys::history::{History, Limits};
use serde_json::Value;

use crate::daemon::{Daemon, check, reactorctl};
use crate::schemas;

/// 2024-11-21 03:00 UTC, and so many seconds, in microseconds.
fn at_us(s: u64) -> u64 {
    (1_732_158_000 + s) * 1_000_000
}

pub(crate) fn start(dir: &Path) -> History {
    // Whatever the clock of this machine says, nothing is too old.
    let limits = Limits { max_age: Duration::from_secs(1 << 40), max_bytes: 16 << 20 };
    History::start(dir, "n2".to_owned(), limits)
}

/// A path of a disk that a logical volume and a resource of DRBD are built on.
fn disk(name: &str) -> Summary {
    let related = |id: &str, name: &str, kind| Related { id: id.to_owned(), name: name.to_owned(), kind };
    Summary {
        id: format!("naa.5000{name}"),
        kind: Kind::Scsi,
        number: None,
        name: name.to_owned(),
        names: Vec::new(),
        path: format!("/dev/disk/by-id/wwn-0x5000{name}"),
        size: Some(1 << 30),
        transport: None,
        file_system: None,
        mounts: Vec::new(),
        above: vec![related("LVM-abc", "vg-web", Kind::Lvm), related(&format!("drbd:r{name}/0"), "drbd7", Kind::Drbd)],
        below: Vec::new(),
        carries: Carries { drbd: [format!("r{name}/0")].into(), ..Carries::default() },
        gone_us: None,
        called: Vec::new(),
    }
}

pub(crate) fn event(second: u64, id: &str, kind: &str, severity: Severity, device: &str) -> Event {
    let at = Stamp { wall_us: Some(at_us(second)), boot_us: None };
    Event {
        id: id.to_owned(),
        at,
        last: at,
        severity,
        kind: kind.to_owned(),
        subsystem: Subsystem::Scsi,
        device: Some(disk(device).into()),
        others: Vec::new(),
        fields: [("sector".to_owned(), "2048".to_owned())].into(),
        message: format!("what is said of {device}"),
        lines: vec![format!("what is said of {device}")],
        count: 1,
        source: "kernel".to_owned(),
        host: None,
    }
}

pub(crate) fn news(event: Event, incident: Option<&str>) -> News {
    let told = StorageEvent { event, incident: incident.map(str::to_owned) };
    News { at: Mono::ZERO, resource: None, what: Told::Event(Arc::new(told)) }
}

/// A disk that fails, and a path that fails and comes back.
fn events() -> [News; 3] {
    [
        news(event(1, "aa11", "SCSI_MEDIUM_ERROR", Severity::Critical, "sdy"), Some("aa11")),
        news(event(2, "bb22", "MPATH_PATH_FAILED", Severity::Error, "sdz"), Some("bb22")),
        news(event(3, "cc33", "MPATH_PATH_REINSTATED", Severity::Notice, "sdz"), Some("bb22")),
    ]
}

/// The incidents that come of it: what is told of them, and the one that is open.
fn incidents() -> (Vec<News>, Vec<Arc<Incident>>) {
    let mut incidents = Incidents::new(Settings::default());
    let mut told = Vec::new();
    for news in events() {
        let Told::Event(event) = news.what else { continue };
        told.extend(incidents.take(&event.event, event.event.at.wall_us.unwrap()));
    }
    told.extend(incidents.expire(at_us(20)));
    let news = told.into_iter().map(|news| News {
        at: Mono::ZERO,
        resource: None,
        what: Told::Incident(news.change, news.incident),
    });
    (news.collect(), incidents.open().cloned().collect())
}

fn write(dir: &Path) {
    let mut history = start(dir);
    events().iter().chain(&incidents().0).for_each(|news| history.write(SystemTime::now(), news));
    assert!(history.finish(Duration::from_secs(300)));
}

fn daemon() -> Daemon {
    let daemon = Daemon::with(|_| {});
    let dir = daemon.folder.join("state");
    write(&dir);
    daemon.change(move |played| {
        played.history = Some(start(&dir));
        played.incidents = incidents().1;
    });
    daemon
}

#[test]
fn stored_events_are_a_line_each_and_found_by_what_is_asked_for() {
    let daemon = daemon();
    check(
        daemon.run(&["events", "query"]),
        &daemon.folder,
        &expect![[r#"
            2024-11-21T03:00:01.000000Z critical SCSI_MEDIUM_ERROR sdy (below vg-web, drbd7): what is said of sdy
            2024-11-21T03:00:02.000000Z error    MPATH_PATH_FAILED sdz (below vg-web, drbd7): what is said of sdz
            2024-11-21T03:00:03.000000Z notice   MPATH_PATH_REINSTATED sdz (below vg-web, drbd7): what is said of sdz
            --- exit 0
        "#]],
    );
    let ids = |args: &[&str]| -> Vec<String> {
        let args: Vec<&str> = ["events", "query", "--json"].iter().chain(args).copied().collect();
        let output = daemon.run(&args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let lines = String::from_utf8(output.stdout).unwrap();
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|event| event["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&["--severity", "error"]), ["aa11", "bb22"]);
    assert_eq!(ids(&["--severity", "error", "-n", "1"]), ["bb22"]);
    assert_eq!(ids(&["--reverse", "-n", "2"]), ["cc33", "bb22"]);
    assert_eq!(ids(&["--type", "mpath_path_failed", "--type", "SCSI_MEDIUM_ERROR"]), ["aa11", "bb22"]);
    assert_eq!(ids(&["--subsystem", "nvme"]), [""; 0]);
    assert_eq!(ids(&["--incident", "bb"]), ["bb22", "cc33"]);
    assert_eq!(ids(&["--since", "2024-11-21T03:00:02Z", "--until", "2024-11-21T03:00:02Z"]), ["bb22"]);
    // By the path, by the volume above it, by the resource of DRBD on it.
    for device in ["/dev/sdz", "naa.5000sdz", "rsdz", "rsdz/0", "drbd:rsdz/0"] {
        assert_eq!(ids(&["--device", device]), ["bb22", "cc33"], "{device}");
    }
    assert_eq!(ids(&["--device", "vg-web"]), ["aa11", "bb22", "cc33"]);
    let output = daemon.run(&["events", "query", "--json", "-n", "1"]).output().unwrap().stdout;
    let text = String::from_utf8(output).unwrap();
    // Numbers go on from the time at which the file began.
    let number = serde_json::from_str::<Value>(&text).unwrap()["number"].to_string();
    expect![[r#"
        {"time":"2024-11-21T03:00:03.000000Z","severity":"notice","type":"MPATH_PATH_REINSTATED","device":{"id":"naa.5000sdz","kind":"scsi","name":"sdz","names":[],"path":"/dev/disk/by-id/wwn-0x5000sdz","size":1073741824,"above":[{"id":"LVM-abc","name":"vg-web","kind":"lvm"},{"id":"drbd:rsdz/0","name":"drbd7","kind":"drbd"}],"carries":{"drbd":["rsdz/0"]}},"message":"what is said of sdz","id":"cc33","incident":"bb22","number":1,"count":1,"subsystem":"scsi","source":"kernel","fields":{"sector":"2048"},"lines":["what is said of sdz"],"at":{"wall-us":1732158003000000},"last":{"wall-us":1732158003000000}}
    "#]]
    .assert_eq(&text.replace(&format!("\"number\":{number}"), "\"number\":1"));
    for args in [&["events", "query", "--json"][..], &["events", "query", "--json", "--device", "vg-web"]] {
        let output = daemon.run(args).output().unwrap().stdout;
        assert!(schemas::check("events", &output) > 0);
    }
    let pretty = daemon.run(&["events", "query", "--json-pretty", "-n", "1"]).output().unwrap().stdout;
    let pretty = String::from_utf8(pretty).unwrap();
    assert!(pretty.lines().count() > 20, "{pretty}");
    assert_eq!(serde_json::from_str::<Value>(&pretty).unwrap()["id"], "cc33");
}

#[test]
fn without_a_daemon_the_file_says_the_same() {
    let folder = Daemon::with(|_| {});
    write(&folder.folder.join("state"));
    let config = folder.folder.join("dead.toml");
    let text = format!("[daemon]\nstate-dir = \"{0}/state\"\nruntime-dir = \"{0}/no-run\"\n", folder.folder.display());
    std::fs::write(&config, text).unwrap();
    let run = |args: &[&str]| {
        let mut command = reactorctl();
        command.arg("-c").arg(&config).args(args);
        command
    };
    check(
        run(&["events", "query", "--device", "sdz", "--severity", "error"]),
        &folder.folder,
        &expect![[r#"
        2024-11-21T03:00:02.000000Z error    MPATH_PATH_FAILED sdz (below vg-web, drbd7): what is said of sdz
        --- stderr
        reactorctl: no daemon serves DIR/no-run/control.sock; this is read from DIR/state/history.db, up to where the daemon has written it
        --- exit 0
    "#]],
    );
    let said = |args: &[&str]| {
        let output = run(args).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stderr).contains("as it was when the daemon wrote it"), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let all = said(&["incidents", "--all"]);
    let [open, over] = all.lines().collect::<Vec<_>>()[..] else { panic!("{all}") };
    assert!(open.starts_with("aa11  critical") && open.ends_with("; lasts; touches DRBD rsdy"), "{all}");
    assert!(over.ends_with("; over: all that was wrong has been put right; touches DRBD rsdz"), "{all}");
    // How long ago it was is in the first line.
    let story = said(&["incident", "show", "bb"]);
    let rest: String = story.lines().skip(1).map(|line| format!("{}\n", line.trim_start())).collect();
    expect![[r#"
        2024-11-21T03:00:02.000Z  error     MPATH_PATH_FAILED on sdz (naa.5000sdz), over: MPATH_PATH_REINSTATED
        what is said of sdz
        means: A path of a multipath map failed; requests go on over the others.
        to do: Check the way to the storage: cable, port, switch, controller.
        It was over at 2024-11-21T03:00:20.000Z: all that was wrong has been put right
    "#]]
    .assert_eq(&rest);
    check(
        run(&["incident", "show", "dd"]),
        &folder.folder,
        &expect![[r#"
        --- stderr
        reactorctl: no daemon serves DIR/no-run/control.sock; this is read from DIR/state/history.db, as it was when the daemon wrote it
        reactorctl: no storage incident has the id dd: reactorctl incidents --all lists them
        --- exit 18
    "#]],
    );
}

#[test]
fn incidents_that_are_over_are_listed_on_request() {
    let daemon = daemon();
    let ids = |args: &[&str]| -> Vec<String> {
        let output = daemon.run(args).output().unwrap().stdout;
        let lines = String::from_utf8(output).unwrap();
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|incident| incident["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&["incidents", "--json"]), ["aa11"]);
    assert_eq!(ids(&["incidents", "--json", "--all"]), ["aa11", "bb22"]);
    assert_eq!(ids(&["incident", "show", "bb", "--json"]), ["bb22"]);
    assert_eq!(ids(&["incident", "show", "aa", "--json"]), ["aa11"]);
    let all = schemas::check("incidents", &daemon.run(&["incidents", "--json", "--all"]).output().unwrap().stdout);
    assert_eq!(all, 2);
}

/// What is stored while nobody serves is told afterwards, and nothing twice.
#[test]
fn who_follows_goes_on_when_the_daemon_comes_back() {
    let mut daemon = daemon();
    let mut child = Command::new(env!("CARGO_BIN_EXE_reactorctl"))
        .arg("--socket")
        .arg(daemon.folder.join(SOCKET_NAME))
        .args(["events", "follow", "-n", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut line = || lines.next().unwrap().unwrap();
    assert!(line().contains("MPATH_PATH_REINSTATED sdz"), "the last of the past");
    let say = |id: &'static str, count: u64| {
        let first = event(30, id, "SCSI_MEDIUM_ERROR", Severity::Critical, "sdx");
        news(Event { count, ..first }, None)
    };
    let (one, again) = (say("dd44", 1), say("dd44", 7));
    daemon.change(move |played| played.history.as_mut().unwrap().write(SystemTime::now(), &one));
    assert_eq!(
        line(),
        "2024-11-21T03:00:30.000000Z critical SCSI_MEDIUM_ERROR sdx (below vg-web, drbd7): what is said of sdx"
    );
    daemon.change(move |played| played.history.as_mut().unwrap().write(SystemTime::now(), &again));
    assert!(line().ends_with("(7 times)"));
    let dir = daemon.folder.join("state");
    daemon.restart(move |played| {
        let mut history = start(&dir);
        history.write(SystemTime::now(), &say("ee55", 1));
        assert!(history.finish(Duration::from_secs(300)));
        played.history = Some(start(&dir));
    });
    assert!(line().ends_with("what is said of sdx"), "it is told once");
    let last = news(event(40, "ff66", "FS_READ_ONLY", Severity::Critical, "sdw"), None);
    daemon.change(move |played| played.history.as_mut().unwrap().write(SystemTime::now(), &last));
    assert!(line().contains("FS_READ_ONLY sdw"));
    child.kill().unwrap();
    let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("this goes on when it is back"), "{said}");
    child.wait().unwrap();
}
