//! `[[umh]]` and its rules.

use std::time::Duration;

use reactor_core::drbd::types::{ConnectionState, DiskState, ReplicationState, ResyncSuspended, Role, Suspended};
use reactor_core::settings::umh::{
    Condition, ConnectionConditions, DeviceConditions, Edge, EventConditions, EventMoment, EventSet, HandlerStdin,
    HelperConditions, HelperMoment, Matcher, PathConditions, PeerDeviceConditions, RateLimit, ResourceConditions, Rule,
    When,
};
use reactor_core::settings::{Mode, UmhSettings};
use reactor_storage::event::{Severity, Subsystem};
use toml::de::DeValue;

use super::matcher::{
    Convert, a_bool, a_set, a_text, a_u32, a_u64, a_word, an_exit_code, an_i32, condition, is_bool, matcher,
};
use super::notify;
use super::walk::{Item, Reader, Table, show};
use crate::finding::Code;
use crate::spec::{self, Kind, TableSpec};

pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> UmhSettings {
    let mut rules = Vec::new();
    for (key, spec) in spec::RULES {
        for rule in reader.sub_tables(table, key, spec) {
            let mark = reader.mark();
            let read = read_rule(reader, &rule, key);
            if !reader.is_lost_since(mark) {
                rules.push(read);
            }
        }
    }
    if rules.is_empty() && spec::RULES.iter().all(|(key, _)| table.item(key).is_none()) {
        let finding = reader.warn(Code::Suspicious, table.span.clone(), "this umh has no rules");
        finding.hint = Some("add a table such as [[umh.resource]]".to_owned());
    }
    let count = |number: Option<i64>, default: usize| number.and_then(|n| usize::try_from(n).ok()).unwrap_or(default);
    UmhSettings {
        rules,
        max_parallel: count(reader.integer(table, "max-parallel"), 64),
        max_queued: count(reader.integer(table, "max-queued"), 1024),
    }
}

/// Which resources a table is about.
pub(super) fn resource_name(reader: &mut Reader<'_>, table: &Table<'_>) -> Condition<String> {
    condition(reader, table, "resource-name", a_text)
}

fn read_rule(reader: &mut Reader<'_>, table: &Table<'_>, kind: &str) -> Rule {
    let when = read_when(reader, table, kind);
    let is_helper = matches!(when, When::Helper(_) | When::Event(_));
    if table.item("command").is_none() {
        reader.missing(table, "command");
    }
    let stdin = [("null", HandlerStdin::Null), ("json", HandlerStdin::Json)];
    Rule {
        name: read_name(reader, table),
        command: reader.text(table, "command").unwrap_or_default().to_owned(),
        env: read_env(reader, table),
        events: if is_helper { default_events(reader.mode()) } else { read_events(reader, table) },
        resource: resource_name(reader, table),
        when,
        hold: if is_helper { None } else { reader.duration(table, "for") },
        rate_limit: reader.rate(table, "rate-limit").map(|(count, per)| RateLimit { count, per }),
        serialize: reader.bool(table, "serialize").unwrap_or(false),
        timeout: reader.duration(table, "timeout").unwrap_or(Duration::from_secs(600)),
        max_output_bytes: reader.size(table, "max-output").and_then(|n| usize::try_from(n).ok()).unwrap_or(16 << 10),
        stdin: reader.word(table, "stdin", &stdin).unwrap_or_default(),
    }
}

/// `name = ""` is what drbd-reactor has for a rule without a name.
fn read_name(reader: &mut Reader<'_>, table: &Table<'_>) -> String {
    match table.item("name").map(|item| item.value) {
        Some(DeValue::String(name)) if name.is_empty() => String::new(),
        _ => reader.text(table, "name").unwrap_or_default().to_owned(),
    }
}

/// What a rule without `event-type` looks at.
fn default_events(mode: Mode) -> EventSet {
    match mode {
        Mode::Native => EventSet::CHANGE,
        Mode::DrbdReactor => EventSet::ALL,
    }
}

fn read_events(reader: &mut Reader<'_>, table: &Table<'_>) -> EventSet {
    let Some(item) = table.item("event-type") else { return default_events(reader.mode()) };
    let an_event: Convert<String> = |reader, key, item| {
        let choices: Vec<(&str, &str)> = spec::EVENT_WORDS.into_iter().map(|word| (word, word)).collect();
        reader.word_item(key, item, &choices).map(str::to_owned)
    };
    let Some(wanted) = matcher(reader, "event-type", item, an_event) else { return EventSet::NONE };
    let has = |word: &str| match &wanted {
        Matcher::In(words) => words.iter().any(|one| one == word),
        Matcher::NotIn(words) => !words.iter().any(|one| one == word),
        Matcher::Matches(pattern) => pattern.0.is_match(word),
        Matcher::NotMatches(pattern) => !pattern.0.is_match(word),
    };
    let mut events = EventSet {
        exists: has("Exists"),
        create: has("Create"),
        change: has("Change"),
        destroy: has("Destroy"),
        replay: has("Replay"),
        implied: has("Destroy") && reader.mode() == Mode::Native,
    };
    match (reader.mode(), &wanted) {
        // drbd-reactor has no other word for what a reload tells.
        (Mode::DrbdReactor, Matcher::In(_) | Matcher::Matches(_)) => events.replay |= events.exists,
        (Mode::DrbdReactor, Matcher::NotIn(_) | Matcher::NotMatches(_)) => events.replay = events.exists,
        // Who says only what is not wanted does not mean replays.
        (Mode::Native, Matcher::NotIn(_) | Matcher::NotMatches(_)) => events.replay = false,
        (Mode::Native, Matcher::In(_) | Matcher::Matches(_)) => {}
    }
    if events == EventSet::NONE {
        reader.strict(Code::BadValue, item.span.clone(), "`event-type`: there is no event that it matches");
    }
    events
}

/// Variables of a handler, in the order of the file. Values are never put into a message.
fn read_env(reader: &mut Reader<'_>, table: &Table<'_>) -> Vec<(String, String)> {
    let Some(item) = table.item("env") else { return Vec::new() };
    let DeValue::Table(variables) = item.value else {
        reader.wrong_type("env", item, "a table").hint = Some("write env = { NAME = \"value\" }".to_owned());
        return Vec::new();
    };
    let mut env = Vec::new();
    for entry in reader.entries(variables, false) {
        if entry.key.is_empty() || entry.key.contains(|c: char| c == '=' || c.is_control()) {
            let message = format!("{} can't be the name of a variable", show(entry.key));
            reader.error(Code::BadValue, entry.key_span.clone(), message);
        }
        match entry.item.value {
            DeValue::String(value) if value.contains('\0') => {
                let message = format!("{}: a variable can't hold a NUL character", show(entry.key));
                reader.error(Code::BadValue, entry.item.span, message);
            }
            DeValue::String(value) => env.push((entry.key.to_owned(), value.clone().into_owned())),
            _ => {
                let finding = reader.wrong_type(entry.key, &entry.item, "a string");
                finding.hint = Some("variables are text: put the value in quotes".to_owned());
            }
        }
    }
    env
}

/// The table that `old` and `new` of a rule hold.
fn state_spec(rule: &str) -> Option<&'static TableSpec> {
    let (_, rule) = spec::RULES.iter().find(|(key, _)| *key == rule)?;
    match rule.key("new")?.kind {
        Kind::Table(state) => Some(state),
        _ => None,
    }
}

fn read_edge<C: Default>(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    kind: &str,
    read: fn(&mut Reader<'_>, &Table<'_>) -> C,
) -> Edge<C> {
    let Some(spec) = state_spec(kind) else { return Edge::default() };
    let mut side = |key| reader.sub_table(table, key, spec).map(|state| read(reader, &state)).unwrap_or_default();
    Edge { old: side("old"), new: side("new") }
}

fn read_when(reader: &mut Reader<'_>, table: &Table<'_>, kind: &str) -> When {
    match kind {
        "resource" => When::Resource(read_edge(reader, table, kind, read_resource)),
        "device" => When::Device {
            volume: condition(reader, table, "volume", a_u32),
            edge: read_edge(reader, table, kind, read_device),
        },
        "peerdevice" => When::PeerDevice {
            volume: condition(reader, table, "volume", a_u32),
            peer_node_id: condition(reader, table, "peer-node-id", a_u32),
            edge: read_edge(reader, table, kind, read_peer_device),
        },
        "connection" => When::Connection {
            peer_node_id: condition(reader, table, "peer-node-id", a_u32),
            edge: read_edge(reader, table, kind, read_connection),
        },
        "path" => When::Path {
            peer_node_id: condition(reader, table, "peer-node-id", a_u32),
            local: condition(reader, table, "local", a_text),
            peer: condition(reader, table, "peer", a_text),
            edge: read_edge(reader, table, kind, |reader, state| PathConditions {
                established: condition(reader, state, "established", a_bool),
            }),
        },
        "event" => When::Event(read_event(reader, table)),
        _ => When::Helper(read_helper(reader, table)),
    }
}

fn read_resource(reader: &mut Reader<'_>, state: &Table<'_>) -> ResourceConditions {
    ResourceConditions {
        role: condition(reader, state, "role", a_role),
        may_promote: condition(reader, state, "may-promote", a_bool),
        promotion_score: condition(reader, state, "promotion-score", an_i32),
        suspended: condition(reader, state, "suspended", |reader, key, item| {
            a_set(reader, key, item, Suspended::KNOWN, Suspended::from_word)
        }),
        force_io_failures: condition(reader, state, "force-io-failures", a_bool),
    }
}

fn read_device(reader: &mut Reader<'_>, state: &Table<'_>) -> DeviceConditions {
    DeviceConditions {
        disk_state: condition(reader, state, "disk-state", a_disk_state),
        client: condition(reader, state, "client", a_bool),
        quorum: condition(reader, state, "quorum", a_bool),
        size: condition(reader, state, "size", a_u64),
        open: condition(reader, state, "open", a_bool),
    }
}

fn read_peer_device(reader: &mut Reader<'_>, state: &Table<'_>) -> PeerDeviceConditions {
    let mut conditions = PeerDeviceConditions {
        replication_state: condition(reader, state, "replication-state", |reader, key, item| {
            let words: Vec<&str> = ReplicationState::KNOWN.iter().map(ReplicationState::as_str).collect();
            a_word(reader, key, item, &words, ReplicationState::from_word)
        }),
        peer_disk_state: condition(reader, state, "peer-disk-state", a_disk_state),
        peer_client: condition(reader, state, "peer-client", a_bool),
        resync_suspended: None,
        resync_suspended_at_all: None,
    };
    if is_bool(state, "resync-suspended") {
        conditions.resync_suspended_at_all = condition(reader, state, "resync-suspended", a_bool);
    } else {
        conditions.resync_suspended = condition(reader, state, "resync-suspended", |reader, key, item| {
            a_set(reader, key, item, ResyncSuspended::KNOWN, ResyncSuspended::from_word)
        });
    }
    conditions
}

fn read_connection(reader: &mut Reader<'_>, state: &Table<'_>) -> ConnectionConditions {
    ConnectionConditions {
        conn_name: condition(reader, state, "conn-name", a_text),
        connection_state: condition(reader, state, "connection-state", |reader, key, item| {
            let words: Vec<&str> = ConnectionState::KNOWN.iter().map(ConnectionState::as_str).collect();
            a_word(reader, key, item, &words, ConnectionState::from_word)
        }),
        peer_role: condition(reader, state, "peer-role", a_role),
        congested: condition(reader, state, "congested", a_bool),
    }
}

fn read_event(reader: &mut Reader<'_>, table: &Table<'_>) -> EventConditions {
    let default = EventConditions::default();
    EventConditions {
        on: reader.word(table, "on", EventMoment::WORDS).unwrap_or_default(),
        kind: condition(reader, table, "type", a_text),
        severity: reader
            .word(table, "severity", &Severity::ALL.map(|severity| (severity.as_str(), severity)))
            .unwrap_or(default.severity),
        subsystems: notify::read_words(reader, table, "subsystem", &Subsystem::ALL.map(|part| (part.as_str(), part))),
        devices: notify::read_devices(reader, table),
    }
}

fn read_helper(reader: &mut Reader<'_>, table: &Table<'_>) -> HelperConditions {
    use HelperMoment::{Answer, Call, Response};
    let moments: Vec<(&str, HelperMoment)> = spec::HELPER_MOMENTS.into_iter().zip([Call, Response, Answer]).collect();
    let on = reader.word(table, "on", &moments).unwrap_or_default();
    if on != Response
        && let Some(item) = table.item("status")
    {
        let message = "`status` is known only when the helper has come back";
        reader.error(Code::BadValue, item.span.clone(), message).hint = Some("add on = \"response\"".to_owned());
    }
    HelperConditions {
        helper: condition(reader, table, "helper", a_text),
        peer_node_id: condition(reader, table, "peer-node-id", a_u32),
        volume: condition(reader, table, "volume", a_u32),
        status: condition(reader, table, "status", an_exit_code),
        on,
    }
}

fn a_role(reader: &mut Reader<'_>, key: &str, item: &Item<'_>) -> Option<Role> {
    let words: Vec<&str> = Role::KNOWN.iter().map(Role::as_str).collect();
    a_word(reader, key, item, &words, Role::from_word)
}

fn a_disk_state(reader: &mut Reader<'_>, key: &str, item: &Item<'_>) -> Option<DiskState> {
    let words: Vec<&str> = DiskState::KNOWN.iter().map(DiskState::as_str).collect();
    a_word(reader, key, item, &words, DiskState::from_word)
}
