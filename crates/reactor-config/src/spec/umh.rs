//! `[[umh]]` and its rules.

use reactor_core::drbd::types::{ConnectionState, DiskState, ReplicationState, ResyncSuspended, Role, Suspended};

use reactor_core::settings::umh::EventMoment;
use reactor_storage::event::{Severity, Subsystem};

use super::plugins::ID;
use super::{Default, KeySpec, Kind, TableSpec, Value};

pub(crate) static UMH: TableSpec = TableSpec {
    header: "[[umh]]",
    doc: "Runs handlers when a state change matches a rule.",
    keys: &[&[
        KeySpec::new("resource", Kind::Tables(&RESOURCE), Default::Means("none"), "Rules on resources."),
        KeySpec::new("device", Kind::Tables(&DEVICE), Default::Means("none"), "Rules on devices (volumes)."),
        KeySpec::new("peerdevice", Kind::Tables(&PEER_DEVICE), Default::Means("none"), "Rules on peer devices."),
        KeySpec::new("connection", Kind::Tables(&CONNECTION), Default::Means("none"), "Rules on connections."),
        KeySpec::new("path", Kind::Tables(&PATH), Default::Means("none"), "Rules on paths.").ours(),
        KeySpec::new("helper", Kind::Tables(&HELPER), Default::Means("none"), "Rules on DRBD's own helper calls.")
            .ours(),
        KeySpec::new(
            "event",
            Kind::Tables(&EVENT),
            Default::Means("none"),
            "Rules on storage events and incidents; these need an `[[events]]` table.",
        )
        .ours(),
        KeySpec::new(
            "max-parallel",
            Kind::Integer { min: 1, max: 4096 },
            Default::Value("64"),
            "How many handlers of this table run at the same time.",
        )
        .ours(),
        KeySpec::new(
            "max-queued",
            Kind::Integer { min: 0, max: 100_000 },
            Default::Value("1024"),
            "How many wait for a free place; what comes on top is dropped, logged and counted.",
        )
        .ours(),
        ID,
    ]],
};

/// The rule tables of [`UMH`] in the order in which rules are kept.
pub(crate) static RULES: [(&str, &TableSpec); 7] = [
    ("resource", &RESOURCE),
    ("device", &DEVICE),
    ("peerdevice", &PEER_DEVICE),
    ("connection", &CONNECTION),
    ("path", &PATH),
    ("helper", &HELPER),
    ("event", &EVENT),
];

pub(crate) const EVENT_WORDS: [&str; 5] = ["Exists", "Create", "Destroy", "Change", "Replay"];
pub(crate) const HELPER_MOMENTS: [&str; 3] = ["call", "response", "answer"];
pub(crate) const OPERATORS: [&str; 4] = ["Equals", "NotEquals", "Matches", "NotMatches"];

/// `{ value = ..., operator = ... }`.
pub(crate) static MATCHER: TableSpec = TableSpec {
    header: "a condition",
    doc: "A condition on one field, written as a table.",
    keys: &[&[
        KeySpec::new(
            "value",
            Kind::Any,
            Default::Required,
            "A value, or a list of values; with `Matches` a regular expression.",
        ),
        KeySpec::new(
            "operator",
            Kind::Word(|| OPERATORS.to_vec()),
            Default::Value("\"Equals\""),
            "`Equals`, `NotEquals`, `Matches`, `NotMatches`.",
        ),
    ]],
};

/// What the rule tables share, for the reference page.
pub(crate) static EVERY_RULE: TableSpec = TableSpec {
    header: "every rule",
    doc: "Keys that all rule tables have. `event-type` and `for` are not for `[[umh.helper]]` and `[[umh.event]]`: a call and an event are no state.",
    keys: &[COMMON, STATE_RULE],
};

const COMMON: &[KeySpec] = &[
    KeySpec::new("command", Kind::Text, Default::Required, "What to run, with `/bin/sh -c`."),
    KeySpec::new("name", Kind::Text, Default::Means("no name"), "Name of the rule in the log and the status."),
    KeySpec::new(
        "env",
        Kind::Map,
        Default::Means("nothing more"),
        "Environment variables for the command; they win over those that are set anyway.",
    ),
    KeySpec::new("resource-name", Kind::Condition(Value::Text), Default::Means("any"), "Name of the DRBD resource."),
    KeySpec::new(
        "rate-limit",
        Kind::Rate,
        Default::Means("no limit"),
        "At most so many starts in any such time; what comes on top is dropped and counted.",
    )
    .ours(),
    KeySpec::new(
        "serialize",
        Kind::Bool,
        Default::Value("false"),
        "Whether a handler of this rule waits until the one before it has ended.",
    )
    .ours(),
    KeySpec::new(
        "timeout",
        Kind::Duration { min_ms: 1, max_ms: 604_800_000, off: false },
        Default::Value("\"10min\""),
        "After this the handler and all its children are ended.",
    )
    .ours(),
    KeySpec::new(
        "max-output",
        Kind::Size { min: 0, max: 16 << 20 },
        Default::Value("\"16KiB\""),
        "How much of each of its outputs is kept.",
    )
    .ours(),
    KeySpec::new(
        "stdin",
        Kind::Word(|| vec!["null", "json"]),
        Default::Value("\"null\""),
        "`json`: the handler finds the change and the whole resource on its standard input.",
    )
    .ours(),
];

/// Keys of rules on state changes, which helper calls are not.
const STATE_RULE: &[KeySpec] = &[
    KeySpec::new(
        "event-type",
        Kind::WordList(|| EVENT_WORDS.to_vec()),
        Default::Means("`Change`; in compatibility mode all, replays included"),
        "Which events the rule looks at: one, a list, or a condition with an operator.",
    ),
    KeySpec::new(
        "for",
        Kind::Duration { min_ms: 1, max_ms: 2_592_000_000, off: false },
        Default::Means("at once"),
        "The new state must have held this long.",
    )
    .ours(),
];

const ANY_U32: Value = Value::Integer { min: 0, max: u32::MAX as i64 };

const VOLUME: KeySpec =
    KeySpec::new("volume", Kind::Condition(ANY_U32), Default::Means("any"), "Number of the volume.");
const PEER_NODE_ID: KeySpec =
    KeySpec::new("peer-node-id", Kind::Condition(ANY_U32), Default::Means("any"), "DRBD's node id of the peer.");

/// `old` and `new` of a rule table.
macro_rules! edge {
    ($spec:ident) => {
        &[
            KeySpec::new("old", Kind::Table(&$spec), Default::Means("any"), "Conditions on the state before."),
            KeySpec::new("new", Kind::Table(&$spec), Default::Means("any"), "Conditions on the state after."),
        ]
    };
}

const fn condition(name: &'static str, value: Value, doc: &'static str) -> KeySpec {
    KeySpec::new(name, Kind::Condition(value), Default::Means("any"), doc)
}

fn roles() -> Vec<&'static str> {
    Role::KNOWN.iter().map(Role::as_str).collect()
}

fn disk_states() -> Vec<&'static str> {
    DiskState::KNOWN.iter().map(DiskState::as_str).collect()
}

fn connection_states() -> Vec<&'static str> {
    ConnectionState::KNOWN.iter().map(ConnectionState::as_str).collect()
}

fn replication_states() -> Vec<&'static str> {
    ReplicationState::KNOWN.iter().map(ReplicationState::as_str).collect()
}

pub(crate) static RESOURCE: TableSpec = TableSpec {
    header: "[[umh.resource]]",
    doc: "A rule on changes of resources.",
    keys: &[COMMON, STATE_RULE, edge!(RESOURCE_STATE)],
};

static RESOURCE_STATE: TableSpec = TableSpec {
    header: "old and new of [[umh.resource]]",
    doc: "Conditions on a resource.",
    keys: &[&[
        condition("role", Value::Word(roles), "Role of this node."),
        condition("may-promote", Value::Bool, "Whether it could be promoted here."),
        condition(
            "promotion-score",
            Value::Integer { min: i32::MIN as i64, max: i32::MAX as i64 },
            "DRBD's promotion score.",
        ),
        condition(
            "suspended",
            Value::Set(|| Suspended::KNOWN.to_vec()),
            "Why I/O is suspended: `no`, or a comma list; the whole set is compared.",
        )
        .ours(),
        condition("force-io-failures", Value::Bool, "Whether all I/O is made to fail.").ours(),
    ]],
};

pub(crate) static DEVICE: TableSpec = TableSpec {
    header: "[[umh.device]]",
    doc: "A rule on changes of devices.",
    keys: &[COMMON, STATE_RULE, &[VOLUME], edge!(DEVICE_STATE)],
};

static DEVICE_STATE: TableSpec = TableSpec {
    header: "old and new of [[umh.device]]",
    doc: "Conditions on a device.",
    keys: &[&[
        condition("disk-state", Value::Word(disk_states), "State of the local disk."),
        condition("client", Value::Bool, "Whether it is diskless on purpose."),
        condition("quorum", Value::Bool, "Whether it has quorum."),
        condition("size", Value::Integer { min: 0, max: i64::MAX }, "Size in KiB."),
        condition("open", Value::Bool, "Whether somebody has it open."),
    ]],
};

pub(crate) static PEER_DEVICE: TableSpec = TableSpec {
    header: "[[umh.peerdevice]]",
    doc: "A rule on changes of peer devices.",
    keys: &[COMMON, STATE_RULE, &[VOLUME, PEER_NODE_ID], edge!(PEER_DEVICE_STATE)],
};

static PEER_DEVICE_STATE: TableSpec = TableSpec {
    header: "old and new of [[umh.peerdevice]]",
    doc: "Conditions on a peer device.",
    keys: &[&[
        condition("replication-state", Value::Word(replication_states), "Replication state."),
        condition("peer-disk-state", Value::Word(disk_states), "State of the peer's disk."),
        condition("peer-client", Value::Bool, "Whether the peer is diskless on purpose."),
        condition(
            "resync-suspended",
            Value::SetOrBool(|| ResyncSuspended::KNOWN.to_vec()),
            "Whether a resync is paused (a bool), or why (`no`, or a comma list; the whole set is compared).",
        ),
    ]],
};

pub(crate) static CONNECTION: TableSpec = TableSpec {
    header: "[[umh.connection]]",
    doc: "A rule on changes of connections.",
    keys: &[COMMON, STATE_RULE, &[PEER_NODE_ID], edge!(CONNECTION_STATE)],
};

static CONNECTION_STATE: TableSpec = TableSpec {
    header: "old and new of [[umh.connection]]",
    doc: "Conditions on a connection.",
    keys: &[&[
        condition("conn-name", Value::Text, "Name of the connection: the peer's host name."),
        condition("connection-state", Value::Word(connection_states), "State of the connection."),
        condition("peer-role", Value::Word(roles), "Role of the peer."),
        condition("congested", Value::Bool, "Whether it is congested."),
    ]],
};

pub(crate) static PATH: TableSpec = TableSpec {
    header: "[[umh.path]]",
    doc: "A rule on changes of paths.",
    keys: &[
        COMMON,
        STATE_RULE,
        &[
            PEER_NODE_ID,
            condition("local", Value::Text, "Our end, as events2 prints it: `ipv4:10.0.0.1:7000`.").ours(),
            condition("peer", Value::Text, "The peer's end, as events2 prints it.").ours(),
        ],
        edge!(PATH_STATE),
    ],
};

static PATH_STATE: TableSpec = TableSpec {
    header: "old and new of [[umh.path]]",
    doc: "Conditions on a path.",
    keys: &[&[condition("established", Value::Bool, "Whether it is established.").ours()]],
};

pub(crate) static HELPER: TableSpec = TableSpec {
    header: "[[umh.helper]]",
    doc: "A rule on DRBD's own helper calls.",
    keys: &[
        COMMON,
        &[
            condition("helper", Value::Text, "Name of the helper, for example `before-resync-target`.").ours(),
            PEER_NODE_ID,
            VOLUME,
            condition(
                "status",
                Value::Integer { min: 0, max: 255 },
                "Exit code of DRBD's helper; only with `on = \"response\"`.",
            )
            .ours(),
            KeySpec::new(
                "on",
                Kind::Word(|| HELPER_MOMENTS.to_vec()),
                Default::Value("\"call\""),
                "`call`: beside DRBD's helper; `response`: when it came back; `answer`: the handler is the helper, \
                 DRBD gets its exit code.",
            )
            .ours(),
        ],
    ],
};

pub(crate) static EVENT: TableSpec = TableSpec {
    header: "[[umh.event]]",
    doc: "A rule on storage events, or on incidents. `resource-name` is met by each DRBD resource that is built on the device.",
    keys: &[
        COMMON,
        &[
            KeySpec::new(
                "on",
                Kind::Word(|| EventMoment::WORDS.iter().map(|(word, _)| *word).collect()),
                Default::Value("\"event\""),
                "`event`: an event began; `opened`: an incident opened; `grew`: one reaches something more; `over`: one is over.",
            )
            .ours(),
            condition("type", Value::Text, "Type of the event, or of one of the incident's: `reactorctl events catalogue` lists them.").ours(),
            KeySpec::new(
                "severity",
                Kind::Word(|| Severity::ALL.map(Severity::as_str).to_vec()),
                Default::Value("\"info\""),
                "This and worse; of an incident that of its worst event.",
            )
            .ours(),
            KeySpec::new(
                "subsystem",
                Kind::WordList(|| Subsystem::ALL.map(Subsystem::as_str).to_vec()),
                Default::Means("any"),
                "Part of storage.",
            )
            .ours(),
            KeySpec::new(
                "device",
                Kind::TextOrList,
                Default::Means("any"),
                "Any name of a device: met by it, and by what is above or below it.",
            )
            .ours(),
        ],
    ],
};
