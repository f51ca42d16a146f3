//! Storage events in a real daemon, from the kernel's log to the incidents that it tells.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use support::{Daemon, Folder};

/// DRBD says nothing.
const QUIET: &str = "echo 'exists -'\nread _\n";

/// Says something in the kernel's log, as a program may; without a line end it would wait for the next message. `false` = this machine does not let us.
fn say(text: &str) -> bool {
    let log = fs::OpenOptions::new().write(true).open("/dev/kmsg");
    log.is_ok_and(|mut log| log.write_all(text.as_bytes()).is_ok()) && fs::File::open("/dev/kmsg").is_ok()
}

/// The incidents that are open about the map of this test.
fn open(daemon: &Daemon, map: &str) -> Vec<Value> {
    let reply = daemon.call("Incidents", &json!({}));
    let all = reply["incidents"].as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|incident| incident["title"].as_str().is_some_and(|title| title.contains(map))).collect()
}

fn open_until(daemon: &Daemon, map: &str, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    daemon.status_until("the incidents are as expected", |_| {
        found = open(daemon, map);
        found.len() == count
    });
    found
}

/// Rules come with a reload, and go with one; what they are about is heard without a restart.
#[test]
fn other_rules_count_from_the_reload_on() {
    let disk = format!("shelf{}", std::process::id());
    let folder = Folder::new("storage-rules");
    folder.drbd(QUIET);
    folder.main_file("");
    fs::create_dir_all(folder.path().join("snippets")).unwrap();
    let rule = |event: &str| {
        format!(
            "[[events]]\njournal = false\n[[events.rule]]\nprogram = \"shelfd\"\nevent-type = \"{event}\"\nseverity = \"error\"\n\
             regex = 'disk (?P<kdev>{disk}\\w*) is hot'\n"
        )
    };
    folder.write("snippets/events.toml", &rule("SHELF_FIRST"));
    let daemon = Daemon::start(&folder, &[]);
    if !say(&format!("<3>shelfd[77]: disk {disk}a is hot\n")) {
        return;
    }
    let types = |incidents: &[Value]| {
        let mut types: Vec<_> =
            incidents.iter().map(|incident| incident["events"][0]["type"].as_str().unwrap().to_owned()).collect();
        types.sort();
        types
    };
    assert_eq!(types(&open_until(&daemon, &disk, 1)), ["SHELF_FIRST"]);
    folder.write("snippets/events.toml", &rule("SHELF_SECOND"));
    assert_eq!(daemon.call("Reload", &json!({}))["result"], "ok");
    assert!(say(&format!("<3>shelfd[77]: disk {disk}b is hot\n")));
    assert_eq!(types(&open_until(&daemon, &disk, 2)), ["SHELF_FIRST", "SHELF_SECOND"]);
    // Without rules it is nothing: what is said after it is an incident, and it is not.
    folder.write("snippets/events.toml", "[[events]]\njournal = false\n");
    assert_eq!(daemon.call("Reload", &json!({}))["result"], "ok");
    assert!(say(&format!("<3>shelfd[77]: disk {disk}c is hot\n")));
    assert!(say(&format!("<3>multipathd[77]: {disk}m: remaining active paths: 0\n")));
    let all = open_until(&daemon, &disk, 3);
    assert_eq!(types(&all), ["MPATH_ALL_PATHS_DOWN", "SHELF_FIRST", "SHELF_SECOND"]);
    for incident in all {
        daemon.call("CloseIncident", &json!({ "incident": incident["id"] }));
    }
    assert!(daemon.stop().success());
}

/// It is collected from a reload on, kept over a restart, and closed by a person.
#[test]
fn what_the_log_says_is_an_incident_that_outlives_the_daemon_until_somebody_closes_it() {
    let map = format!("mpathtest{}", std::process::id());
    let folder = Folder::new("storage");
    folder.drbd(QUIET);
    folder.main_file("");
    fs::create_dir_all(folder.path().join("snippets")).unwrap();
    let daemon = Daemon::start(&folder, &[]);
    assert_eq!(open(&daemon, &map), Vec::<Value>::new());
    folder.write("snippets/events.toml", "[[events]]\njournal = false\n");
    assert_eq!(daemon.call("Reload", &json!({}))["result"], "ok");
    if !say(&format!("<3>multipathd[77]: {map}: remaining active paths: 0\n")) {
        return;
    }
    let incident = open_until(&daemon, &map, 1).remove(0);
    assert_eq!((&incident["severity"], &incident["lasts"]), (&json!("critical"), &json!(true)), "{incident:#}");
    assert_eq!(incident["events"][0]["type"], "MPATH_ALL_PATHS_DOWN");
    assert!(daemon.stop().success());
    assert!(Path::new(&folder.path().join("state/incidents.json")).exists());

    let daemon = Daemon::start(&folder, &[]);
    let again = open_until(&daemon, &map, 1).remove(0);
    assert_eq!((&again["id"], &again["events"][0]["count"]), (&incident["id"], &json!(1)), "nothing twice: {again:#}");
    let closed = daemon.call("CloseIncident", &json!({ "incident": incident["id"] }));
    assert_eq!(closed["changed"], true, "{closed:#}");
    open_until(&daemon, &map, 0);
    assert!(daemon.stop().success());

    let daemon = Daemon::start(&folder, &[]);
    daemon.log_until("started");
    open_until(&daemon, &map, 0);
}
