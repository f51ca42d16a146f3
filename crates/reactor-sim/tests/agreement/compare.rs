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

/// Compares all objects of all nodes.
pub(crate) fn compare(scenario: &Scenario, recorded: &[String], played: &[String]) -> (Vec<Row>, Vec<Difference>) {
    let mut rows = Vec::new();
    let mut differences = Vec::new();
    for (number, text) in recorded.iter().enumerate() {
        let node = scenario.nodes[number];
        let real = sequences(text, scenario.resources, scenario.without);
        let model = sequences(&played[number], scenario.resources, scenario.without);
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
