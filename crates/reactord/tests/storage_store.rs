//! Storage events that a real daemon stores, asked for over its socket: by our own client, and by another implementation of Varlink.
//!
//! The journal is a program that prints a file and what is added to it. Each restart of the daemon reads all of it once more.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on says where, and why")]

mod support;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use reactor_api::client::Client;
use reactor_api::verbs::{MonitorEvents, QueryEvents};
use reactor_api::words::Last;
use serde_json::{Value, json};
use support::{Daemon, Folder};

/// A daemon that hears of storage through the journal of this test, and the name of a map that nobody else talks of.
struct World {
    folder: Folder,
    map: String,
    path: String,
}

impl World {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        folder.drbd("echo 'exists -'\nread _\n");
        // Two tables: each event and each incident is there once all the same.
        folder.main_file("[[events]]\n[[events]]\nquiet-after = \"2h\"\n");
        folder.write("journal", "");
        let journal = folder.path().join("journal");
        folder.program(
            "journalctl",
            &format!("#!/bin/sh\ncase \"$*\" in *--follow*) exec tail -c +1 -f '{}' ;; esac\n", journal.display()),
        );
        let here = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{here}", folder.path().display());
        Self { folder, map: format!("mpathstore{}", std::process::id()), path }
    }

    /// One whose history is there: it is made beside the start.
    fn start(&self) -> Daemon {
        let daemon = Daemon::start_with(&self.folder, &[("PATH", &self.path)]);
        daemon.status_until("there is a history", |_| daemon.client().call("History", &json!({})).is_ok());
        daemon
    }

    /// multipathd says this, so many seconds after the boot.
    fn say(&self, second: u64, text: &str) {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim().replace('-', "");
        let wall = 1_790_000_000_u64 + second;
        let entry = format!(
            "__CURSOR=c{second}\n__REALTIME_TIMESTAMP={wall}000000\n__MONOTONIC_TIMESTAMP={second}000000\n_BOOT_ID={boot}\n\
             _TRANSPORT=syslog\nPRIORITY=4\n_UID=0\nSYSLOG_IDENTIFIER=multipathd\nMESSAGE={}: {text}\n\n",
            self.map
        );
        let mut file = fs::OpenOptions::new().append(true).open(self.folder.path().join("journal")).unwrap();
        file.write_all(entry.as_bytes()).unwrap();
    }

    fn socket(&self) -> String {
        self.folder.path().join("run/control.sock").display().to_string()
    }
}

/// What a stream has said of the map, until there are so many events.
fn heard(client: &mut Client, count: usize) -> (Vec<Value>, u64) {
    let mut events = Vec::new();
    loop {
        let reply = client.next_reply().unwrap();
        events.extend(reply.parameters["events"].as_array().cloned().unwrap());
        if events.len() >= count {
            return (events, reply.parameters["after"].as_u64().unwrap());
        }
    }
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

fn follow(daemon: &Daemon, world: &World, after: Option<u64>) -> Client {
    let mut client = daemon.client();
    let device = Some(world.map.as_str().into());
    client.ask_for_more(&MonitorEvents { device, after, ..MonitorEvents::default() }).unwrap();
    client
}

fn query(daemon: &Daemon, verb: &Value) -> Vec<Value> {
    daemon.call("QueryEvents", verb)["events"].as_array().cloned().unwrap()
}

#[test]
fn what_is_stored_is_told_once_over_restarts_and_found_by_what_it_is_about() {
    let world = World::new("store");
    let daemon = world.start();
    let mut client = follow(&daemon, &world, None);
    assert_eq!(client.next_reply().unwrap().parameters["events"], json!([]), "it is heard from now on");
    world.say(10, "remaining active paths: 0");
    let (events, after) = heard(&mut client, 1);
    assert_eq!(types(&events), ["MPATH_ALL_PATHS_DOWN"]);
    let incident = events[0]["incident"].as_str().unwrap().to_owned();
    assert_eq!(events[0]["id"], incident, "it opens one");
    assert!(daemon.stop().success());

    // Meanwhile something happens. The daemon reads all of the log once more.
    world.say(100, "queueing disabled");
    let daemon = world.start();
    let mut client = follow(&daemon, &world, Some(after));
    let (more, last) = heard(&mut client, 1);
    assert_eq!((types(&more), last > after), (vec!["MPATH_QUEUE_OFF"], true), "nothing twice: {more:#?}");
    world.say(200, "load table [0 20971520 multipath 2 0 1 1]");
    let (good, _) = heard(&mut client, 1);

    let all = query(&daemon, &json!({ "device": world.map }));
    let expected = [&good[0]["id"], &more[0]["id"], &events[0]["id"]];
    assert_eq!(all.iter().map(|event| &event["id"]).collect::<Vec<_>>(), expected, "the newest first");
    let of = |filter: Value| query(&daemon, &filter).iter().map(|event| event["id"].clone()).collect::<Vec<_>>();
    assert_eq!(of(json!({ "device": world.map, "last": 1, "oldest_first": true })), [events[0]["id"].clone()]);
    assert!(of(json!({ "incident": incident, "types": ["MPATH_ALL_PATHS_DOWN"] })).contains(&events[0]["id"]));
    assert!(!of(json!({ "incident": incident, "subsystems": ["nvme"] })).contains(&events[0]["id"]));
    let mut stream = daemon.client();
    let device = Some(world.map.as_str().into());
    stream.ask_for_more(&QueryEvents { device, last: Some(Last(1000)), ..QueryEvents::default() }).unwrap();
    let reply = stream.next_reply().unwrap();
    assert_eq!((reply.parameters["events"].as_array().unwrap().len(), reply.continues), (3, false));

    // Closed by a person, it is found by its id, and told in the history once.
    daemon.call("CloseIncident", &json!({ "incident": incident }));
    let found = daemon.call("Incidents", &json!({ "id": &incident[..8] }));
    let found = found["incidents"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{found:#?}");
    let entries = daemon.call("History", &json!({}))["entries"].as_array().cloned().unwrap();
    let opened = format!("storage incident {incident} (");
    let told = entries.iter().filter(|entry| entry["what"].as_str().unwrap().starts_with(&opened));
    assert_eq!(told.count(), 1, "two tables tell of it once");
    assert!(daemon.stop().success());
    let daemon = world.start();
    daemon.status_until("the incident is over in the store", |_| {
        let found = daemon.call("Incidents", &json!({ "id": incident }));
        found["incidents"][0]["ended"].is_string()
    });
}

/// The fetched module of Python, or one that the system has.
fn python(world: &World, program: &str) -> Option<String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = |args: &[&str]| {
        let modules = here.join("../../target/tools/python");
        Command::new("python3")
            .arg("-B")
            .args(args)
            .arg(world.socket())
            .arg(&world.map)
            .env("PYTHONPATH", modules)
            .output()
    };
    match run(&["-c", "import varlink"]) {
        Ok(output) if output.status.success() => {}
        _ => {
            println!("SKIPPED: the module varlink of Python is not there");
            return None;
        }
    }
    let output = run(&[&here.join("tests").join(program).display().to_string()]).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// It reads the description that the daemon hands out, and checks calls and answers with it.
#[test]
fn pythons_module_for_varlink_asks_for_events_incidents_and_devices() {
    let world = World::new("varlink");
    let daemon = world.start();
    let mut client = follow(&daemon, &world, None);
    client.next_reply().unwrap();
    world.say(10, "remaining active paths: 0");
    heard(&mut client, 1);
    let Some(said) = python(&world, "varlink_client.py") else { return };
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "query MPATH_ALL_PATHS_DOWN critical",
            "pages 1",
            "monitor MPATH_ALL_PATHS_DOWN",
            "incident open critical",
            "devices are a list",
            "no such device: Refused",
            "a wrong severity: InvalidParameter",
        ]
    );
}
