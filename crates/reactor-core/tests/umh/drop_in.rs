//! What a rule in compatibility mode sees, compared line by line with what drbd-reactor makes of the same recording.
//!
//! [`Feed`] is its reading of events2, as small as it can be: a line replaces the whole object, what the line does not say has its
//! default, and what differs is told with the word of the line. It knows nothing of bursts, dumps or parts that go with their whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reactor_core::settings::UmhSettings;
use reactor_core::settings::umh::{Edge, EventSet, Rule, When};

use crate::world::{DUMP, World, rule, table};

/// The variables of one handler, by name.
type Env = BTreeMap<String, String>;

/// A kind of object: its word in events2, and of each field the key, the default, and the end of its variables.
struct Kind {
    word: &'static str,
    fields: &'static [(&'static str, &'static str, Option<&'static str>)],
}

const KINDS: [Kind; 4] = [
    Kind {
        word: "resource",
        fields: &[
            ("role", "Unknown", Some("ROLE")),
            ("may_promote", "no", Some("MAY_PROMOTE")),
            ("promotion_score", "0", None),
        ],
    },
    Kind {
        word: "device",
        fields: &[
            ("disk", "DUnknown", Some("DISK_STATE")),
            ("client", "no", Some("CLIENT")),
            ("quorum", "no", Some("QUORUM")),
            ("size", "0", None),
            ("open", "no", None),
        ],
    },
    Kind {
        word: "connection",
        fields: &[
            ("conn-name", "", Some("CONN_NAME")),
            ("connection", "StandAlone", Some("CONN_STATE")),
            ("role", "Unknown", Some("PEER_ROLE")),
            ("congested", "no", None),
        ],
    },
    Kind {
        word: "peer-device",
        fields: &[
            ("replication", "Off", Some("PEER_REPLICATION_STATE")),
            ("peer-disk", "DUnknown", Some("PEER_DISK_STATE")),
            ("peer-client", "no", Some("PEER_CLIENT")),
            ("resync-suspended", "no", Some("PEER_RESYNC_SUSPENDED")),
        ],
    },
];

/// All that drbd-reactor remembers.
#[derive(Default)]
struct Feed {
    /// By kind, resource, peer and volume: the fields in the order of [`KINDS`].
    objects: BTreeMap<[String; 4], Vec<String>>,
    /// Minor and backing device, by resource and volume.
    disks: BTreeMap<[String; 2], [String; 2]>,
}

impl Feed {
    /// What it tells after one line.
    fn line(&mut self, line: &str) -> Option<Env> {
        let mut words = line.split_whitespace();
        let (verb, object) = (words.next()?, words.next()?);
        let said: BTreeMap<&str, &str> = words.filter_map(|word| word.split_once(':')).collect();
        if verb == "rename" {
            self.rename(said["name"], said["new_name"]);
        }
        let event = match verb {
            "exists" => "Exists",
            "create" => "Create",
            "change" => "Change",
            "destroy" => "Destroy",
            _ => return None,
        };
        let kind = KINDS.iter().find(|kind| kind.word == object)?;
        let get = |key: &str| said.get(key).copied().unwrap_or_default().to_owned();
        let (resource, peer, volume) = (get("name"), get("peer-node-id"), get("volume"));
        // A flag is set by anything but `no`.
        let value = |(key, default, _): &(&str, &str, Option<&str>)| match (*default, said.get(key)) {
            (default, None) => default.to_owned(),
            ("no", Some(word)) => if *word == "no" { "no" } else { "yes" }.to_owned(),
            (_, Some(word)) => (*word).to_owned(),
        };
        let new: Vec<String> = kind.fields.iter().map(value).collect();
        let key = [object, &resource, &peer, &volume].map(str::to_owned);
        let known = self.objects.get(&key).cloned();
        if object == "device" {
            self.disks.insert([resource.clone(), volume.clone()], [get("minor"), get("backing_dev")]);
        }
        if event == "Destroy" {
            self.destroy(&key);
        } else {
            self.objects.insert(key, new.clone());
        }
        if (event == "Destroy" && known.is_none()) || (event != "Destroy" && known.as_ref() == Some(&new)) {
            return None;
        }
        let old = known.unwrap_or_else(|| kind.fields.iter().map(|field| field.1.to_owned()).collect());
        Some(self.env(event, kind, &[resource, peer, volume], &old, &new))
    }

    fn destroy(&mut self, gone: &[String; 4]) {
        let [kind, resource, peer, volume] = gone;
        self.objects.remove(gone);
        match kind.as_str() {
            // The parts of a connection live in it; those of a volume do not live in its device.
            "connection" => self.objects.retain(|key, _| key[1] != *resource || key[2] != *peer),
            "device" => drop(self.disks.remove(&[resource.clone(), volume.clone()])),
            "resource" => self.objects.retain(|key, _| key[1] != *resource),
            _ => {}
        }
    }

    /// Here alone it is better than drbd-reactor, which does not know the line and takes what follows for a new resource.
    fn rename(&mut self, from: &str, to: &str) {
        for (mut key, value) in std::mem::take(&mut self.objects) {
            if key[1] == from {
                to.clone_into(&mut key[1]);
            }
            self.objects.insert(key, value);
        }
        for (mut key, value) in std::mem::take(&mut self.disks) {
            if key[0] == from {
                to.clone_into(&mut key[0]);
            }
            self.disks.insert(key, value);
        }
    }

    fn env(&self, event: &str, kind: &Kind, id: &[String; 3], old: &[String], new: &[String]) -> Env {
        let [resource, peer, volume] = id;
        let mut env = Env::new();
        let mut set = |name: String, value: &str| drop(env.insert(name, value.to_owned()));
        set("DRBD_EVENT_TYPE".to_owned(), event);
        set("DRBD_EVENT_OBJECT".to_owned(), kind.word);
        set("DRBD_RES_NAME".to_owned(), resource);
        if !peer.is_empty() {
            set("DRBD_PEER_NODE_ID".to_owned(), peer);
        }
        if kind.word == "device" {
            set("DRBD_VOLUME".to_owned(), volume);
        }
        if kind.word == "connection" {
            set("DRBD_CSTATE".to_owned(), &new[1]);
        }
        if let Some([minor, backing]) = self.disks.get(&[resource.clone(), volume.clone()]) {
            for (name, value) in [("DRBD_MINOR", minor), ("DRBD_BACKING_DEV", backing)] {
                set(name.to_owned(), value);
                set(format!("{name}_{volume}"), value);
            }
        }
        for ((_, default, name), (old, new)) in kind.fields.iter().zip(old.iter().zip(new)) {
            let Some(name) = name else { continue };
            let shown = |value: &String| match *default {
                "no" => (value == "yes").to_string(),
                _ => value.clone(),
            };
            set(format!("DRBD_OLD_{name}"), &shown(old));
            set(format!("DRBD_NEW_{name}"), &shown(new));
        }
        env
    }
}

/// Every kind of object, without any condition, as a file in compatibility mode without `event-type` gives it.
fn rules() -> Vec<Rule> {
    let (volume, peer_node_id) = (None, None);
    [
        When::Resource(Edge::default()),
        When::Device { volume: volume.clone(), edge: Edge::default() },
        When::Connection { peer_node_id: peer_node_id.clone(), edge: Edge::default() },
        When::PeerDevice { volume, peer_node_id, edge: Edge::default() },
    ]
    .into_iter()
    .map(|when| Rule { events: EventSet::ALL, ..rule("any", when) })
    .collect()
}

/// What ours started, reduced to the variables that drbd-reactor has, and the two that say what happened.
fn started(world: &mut World) -> Vec<Env> {
    let theirs: Vec<&str> = KINDS.iter().flat_map(|kind| kind.fields).filter_map(|field| field.2).collect();
    let known = |env: &Env, name: &str| match name {
        "DRBD_EVENT_TYPE" | "DRBD_EVENT_OBJECT" | "DRBD_RES_NAME" | "DRBD_PEER_NODE_ID" | "DRBD_CSTATE" => true,
        "DRBD_VOLUME" => env["DRBD_EVENT_OBJECT"] == "device",
        _ => {
            let end = name.strip_prefix("DRBD_OLD_").or_else(|| name.strip_prefix("DRBD_NEW_"));
            name.starts_with("DRBD_MINOR")
                || name.starts_with("DRBD_BACKING_DEV")
                || end.is_some_and(|end| theirs.contains(&end))
        }
    };
    let runs = world.runs().into_iter().map(|(_, run)| run.env.into_iter().collect::<Env>());
    runs.map(|mut env| {
        let all = env.clone();
        env.retain(|name, _| known(&all, name));
        env
    })
    .collect()
}

fn world() -> World {
    World::with(&UmhSettings { max_parallel: 1_000_000, ..table(&rules()) })
}

/// What both tell of a recording: at its dump, in no particular order, and after it.
fn both(text: &str) -> [(Vec<Env>, Vec<Env>); 2] {
    let end = text.find("exists -\n").map_or(0, |at| at + "exists -\n".len());
    let mut feed = Feed::default();
    let mut theirs = [&text[..end], &text[end..]].map(|part| part.lines().filter_map(|l| feed.line(l)).collect());
    let mut world = world();
    let mut ours = [&text[..end], &text[end..]].map(|part| {
        world.lines(part);
        started(&mut world)
    });
    for one in [&mut theirs, &mut ours] {
        one[0].sort();
    }
    [ours, theirs].map(|[dump, live]| (dump, live))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings/drbd9")
}

/// What drbd-reactor reads: `--full --poll`, without time stamps.
fn recordings() -> Vec<PathBuf> {
    let inside = |folder: &Path| {
        let mut all: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        all.sort();
        all
    };
    let files = inside(&folder()).into_iter().flat_map(|scene| inside(&scene));
    files.filter(|path| path.extension().is_some_and(|extension| extension == "events2")).collect()
}

#[test]
fn every_recording_fires_what_it_fires_in_drbd_reactor() {
    let recordings = recordings();
    assert!(recordings.len() > 60, "{}", recordings.len());
    for path in recordings {
        let [ours, theirs] = both(&std::fs::read_to_string(&path).unwrap());
        assert_eq!(ours.0, theirs.0, "{}: the dump", path.display());
        for (number, (ours, theirs)) in ours.1.iter().zip(&theirs.1).enumerate() {
            assert_eq!(ours, theirs, "{}: event {number} after the dump", path.display());
        }
        assert_eq!(ours.1.len(), theirs.1.len(), "{}", path.display());
    }
}

/// How often each event of each kind fired.
fn counts(events: &[Env]) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for env in events {
        *counts.entry(format!("{} {}", env["DRBD_EVENT_OBJECT"], env["DRBD_EVENT_TYPE"])).or_default() += 1;
    }
    counts.into_iter().map(|(what, count)| format!("{what}: {count}")).collect()
}

#[test]
fn a_resource_that_is_taken_down_and_up_again_in_numbers() {
    let path = folder().join("o-events2-restart/n2.events2");
    let [(dump, live), _] = both(&std::fs::read_to_string(path).unwrap());
    assert_eq!(
        counts(&dump),
        ["connection Exists: 2", "device Exists: 2", "peer-device Exists: 4", "resource Exists: 1"]
    );
    let down_and_up = [
        "connection Change: 18",
        "connection Create: 2",
        "connection Destroy: 2",
        "device Change: 14",
        "device Create: 2",
        "device Destroy: 2",
        "peer-device Change: 12",
        "peer-device Create: 4",
        "resource Change: 10",
        "resource Create: 1",
        "resource Destroy: 1",
    ];
    assert_eq!(counts(&live), down_and_up, "DRBD has no line for the end of a peer device, so nobody hears of it");
}

#[test]
fn a_connection_keeps_its_name_to_the_end() {
    let mut world = world();
    world.lines(DUMP);
    started(&mut world);
    world.lines("destroy connection name:r0 peer-node-id:1 conn-name:beta");
    let all = started(&mut world);
    assert_eq!(counts(&all), ["connection Destroy: 1"]);
    assert_eq!((all[0]["DRBD_OLD_CONN_NAME"].as_str(), all[0]["DRBD_NEW_CONN_NAME"].as_str()), ("beta", "beta"));
    assert_eq!(all[0]["DRBD_NEW_CONN_STATE"], "StandAlone");
}

#[test]
fn what_goes_with_its_whole_is_told_to_those_who_ask_outside_of_compatibility_mode() {
    let events = EventSet { destroy: true, implied: true, ..EventSet::NONE };
    let rules: Vec<Rule> = rules().into_iter().map(|rule| Rule { events, ..rule }).collect();
    let mut world = World::settled(&rules);
    world.lines("destroy connection name:r0 peer-node-id:1 conn-name:beta");
    assert_eq!(counts(&started(&mut world)), ["connection Destroy: 1", "peer-device Destroy: 1"]);
}

#[test]
fn a_reload_tells_a_new_rule_what_is_and_not_what_is_gone() {
    let mut world = World::settled(&[]);
    world.lines("destroy connection name:r0 peer-node-id:1 conn-name:beta");
    world.configure(&UmhSettings { max_parallel: 1_000_000, ..table(&rules()) });
    assert_eq!(counts(&started(&mut world)), ["device Exists: 1", "resource Exists: 1"]);
    world.configure(&UmhSettings { max_parallel: 1_000_000, ..table(&rules()) });
    assert_eq!(started(&mut world).len(), 0, "once told is told");
}
