//! Sequences of states out of events2 text, and how two of them differ.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::scenarios::Scenario;
use crate::transients;

/// The state keys of a kind of object; everything else is statistics.
fn state_keys(kind: &str) -> &'static [&'static str] {
    match kind {
        "resource" => &["role", "suspended", "force-io-failures", "may_promote", "promotion_score"],
        "connection" => &["connection", "role"],
        "device" => &["disk", "client", "open", "quorum"],
        "peer-device" => &["replication", "peer-disk", "peer-client", "resync-suspended"],
        "path" => &["established"],
        _ => &[],
    }
}

/// An object: resource, kind, connection, volume.
pub(crate) type Object = (String, String, String, String);

/// States in the order they came, without repetitions.
pub(crate) type Sequences = BTreeMap<Object, Vec<String>>;

/// Reads text of `--timestamps`; keys that an older drbd-utils does not print are left out for `without`.
pub(crate) fn sequences(text: &str, only: &[&str], without: &[&str]) -> Sequences {
    let mut all = Sequences::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if words.len() < 4 {
            continue;
        }
        let (verb, kind) = (words[1], words[2]);
        let pairs: BTreeMap<&str, &str> = words[3..].iter().filter_map(|word| word.split_once(':')).collect();
        let get = |key: &str| pairs.get(key).copied().unwrap_or_default().to_owned();
        if !only.contains(&pairs.get("name").copied().unwrap_or_default()) {
            continue;
        }
        let mut object = (get("name"), kind.to_owned(), get("conn-name"), get("volume"));
        let state = match verb {
            "destroy" => "gone".to_owned(),
            "rename" => "renamed".to_owned(),
            "call" | "response" => {
                object.3 = get("helper");
                format!("{verb} {} {}", get("volume"), get("status"))
            }
            _ => {
                let states: Vec<&str> = state_keys(kind)
                    .iter()
                    .filter(|key| !without.contains(key))
                    .map(|key| pairs.get(key).copied().unwrap_or("-"))
                    .collect();
                states.join(" ")
            }
        };
        let sequence = all.entry(object).or_default();
        if sequence.last() != Some(&state) {
            sequence.push(state);
        }
    }
    all
}

/// The order between objects, as more sequences: what a connection, its path and the helper for its end said one after the
/// other, and which objects changed together with a connection.
///
/// Only what is the cause of the next or is changed with it by the same step of the kernel has an order that has to be the
/// same; the end of a sync and the news of a third node come as the network lets them.
pub(crate) fn order(text: &str, only: &[&str]) -> Sequences {
    let mut all = Sequences::new();
    let mut before: BTreeMap<Object, String> = BTreeMap::new();
    let mut burst: (&str, Vec<(Object, String)>) = ("", Vec::new());
    for line in text.lines().chain(["end"]) {
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] != burst.0 {
            together(&std::mem::take(&mut burst.1), &mut all);
            burst.0 = words[0];
        }
        if words.len() < 4 || words[1] == "rename" {
            continue;
        }
        let (verb, kind) = (words[1], words[2]);
        let pairs: BTreeMap<&str, &str> = words[3..].iter().filter_map(|word| word.split_once(':')).collect();
        let get = |key: &str| pairs.get(key).copied().unwrap_or_default().to_owned();
        if !only.contains(&pairs.get("name").copied().unwrap_or_default()) {
            continue;
        }
        let object = (get("name"), kind.to_owned(), get("conn-name"), get("volume"));
        let state = match (verb, kind) {
            ("destroy", _) => "gone".to_owned(),
            (_, "helper") => format!("{verb} {}", get("helper")),
            (_, "connection") => get("connection"),
            (_, "path") => format!("established:{}", get("established")),
            (_, "peer-device") => get("replication"),
            (_, "device") => get("quorum"),
            _ => get("role"),
        };
        let known = before.insert(object.clone(), state.clone());
        if verb == "exists" || (kind != "helper" && known.as_ref() == Some(&state)) {
            continue;
        }
        let of_connection = kind == "connection" || kind == "path" || state.ends_with(" disconnected");
        if of_connection {
            let sequence = (object.0.clone(), "order".to_owned(), object.2.clone(), String::new());
            all.entry(sequence).or_default().push(format!("{kind} {state}"));
        }
        burst.1.push((object, state));
    }
    all
}

/// What changed in one burst with the state of a connection: its peer devices' replication, this node's role and quorum.
fn together(burst: &[(Object, String)], all: &mut Sequences) {
    for (object, state) in burst.iter().filter(|(object, _)| object.1 == "connection") {
        let with: Vec<String> = burst
            .iter()
            .filter(|(other, _)| other.1 != "connection" && (other.2.is_empty() || other.2 == object.2))
            .map(|(other, state)| format!("{} {} {state}", other.1, other.3))
            .collect();
        let sequence = (object.0.clone(), "together".to_owned(), object.2.clone(), String::new());
        let mut with = with;
        with.sort();
        all.entry(sequence).or_default().push(format!("{state} with [{}]", with.join(", ")));
    }
}

/// Recordings, from the repository.
fn recordings() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings/drbd9")
}

/// All recorded scenarios.
pub(crate) fn folders() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(recordings())
        .expect("the recordings of DRBD 9")
        .filter_map(|entry| {
            let entry = entry.expect("a folder");
            entry.path().is_dir().then(|| entry.file_name().to_string_lossy().into_owned())
        })
        .collect();
    names.sort();
    names
}

/// What the nodes of a scenario printed.
pub(crate) fn recorded(scenario: &Scenario) -> Vec<String> {
    scenario
        .files
        .iter()
        .map(|file| {
            let path = recordings().join(scenario.name).join(file);
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        })
        .collect()
}

/// An object whose states differ.
pub(crate) struct Difference {
    node: usize,
    object: Object,
    recorded: Vec<String>,
    played: Vec<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (resource, kind, connection, volume) = &self.object;
        writeln!(f, "n{} {resource} {kind} {connection} {volume}", self.node + 1)?;
        writeln!(f, "   recorded: {}", self.recorded.join(" > "))?;
        write!(f, "   played:   {}", self.played.join(" > "))
    }
}

/// One line of the table.
pub(crate) struct Row {
    node: usize,
    compared: usize,
    equal: usize,
    transient: usize,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "n{}: {:3} objects compared, {:3} equal, {:2} transient states absent",
            self.node + 1,
            self.compared,
            self.equal,
            self.transient
        )
    }
}

/// Takes away what is remembered at the beginning of disks that are not seen.
fn forget(sequences: &mut Sequences) {
    for (object, states) in sequences {
        if let Some(first) = states.first_mut().filter(|first| object.1 == "peer-device" && first.starts_with("Off ")) {
            *first = "Off".to_owned();
        }
    }
}

/// Compares all objects of a resource on all nodes.
pub(crate) fn compare(
    scenario: &Scenario,
    resource: &str,
    recorded: &[String],
    played: &[String],
) -> (Vec<Row>, Vec<Difference>) {
    let mut rows = Vec::new();
    let mut differences = Vec::new();
    for (number, text) in recorded.iter().enumerate() {
        let node = scenario.nodes[number];
        let real = sequences(text, &[resource], scenario.without);
        let model = sequences(&played[number], &[resource], scenario.without);
        let (mut real, mut model) = (real, model);
        if scenario.from_the_middle {
            forget(&mut real);
            forget(&mut model);
        }
        let real = real.into_iter().chain(order(text, &[resource])).collect::<Sequences>();
        let model = model.into_iter().chain(order(&played[number], &[resource])).collect::<Sequences>();
        let mut row = Row { node, compared: 0, equal: 0, transient: 0 };
        let objects: std::collections::BTreeSet<&Object> = real.keys().chain(model.keys()).collect();
        for object in objects {
            let none = Vec::new();
            let (left, right) = (real.get(object).unwrap_or(&none), model.get(object).unwrap_or(&none));
            row.compared += 1;
            match transients::equal(scenario.name, node, object, left, right) {
                Some(absent) => {
                    row.equal += 1;
                    row.transient += absent;
                }
                None => differences.push(Difference {
                    node,
                    object: object.clone(),
                    recorded: left.clone(),
                    played: right.clone(),
                }),
            }
        }
        rows.push(row);
    }
    (rows, differences)
}

/// Panics unless the lines of each stamp are in DRBD's order.
pub(crate) fn assert_order(name: &str, text: &str) {
    let rank = |kind: &str| ["resource", "connection", "device", "peer-device"].iter().position(|k| *k == kind);
    let mut last: (&str, usize) = ("", 0);
    for line in text.lines().filter(|line| !line.contains(" exists ")) {
        let mut words = line.split(' ');
        let (stamp, verb, kind) = (words.next().unwrap_or(""), words.next(), words.next().unwrap_or(""));
        let same = last.0 == stamp;
        match rank(kind).filter(|_| matches!(verb, Some("change" | "create"))) {
            Some(rank) => {
                assert!(!same || rank >= last.1, "{name}: out of order: {line}");
                last = (stamp, rank);
            }
            None => {
                assert!(!same, "{name}: a burst of its own is expected: {line}");
                last = (stamp, usize::MAX);
            }
        }
    }
}
