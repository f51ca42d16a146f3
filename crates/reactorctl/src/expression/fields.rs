//! The table of fields. A new one is a line in it: its name, what it has one value of, what it can be, how it is found, and what it says.

use std::fmt::Write as _;

use reactor_api::PromotedStatus;
use reactor_api::objects::{WireConnection, WireDevice, WirePeerDevice, WireResource, WireSplitBrain};
use reactor_core::drbd::types::{ConnectionState, DiskState, ReplicationState, Role};
use reactor_core::plugin::promoter::report::StateWord;

use super::Value;
use super::judge::Known;
use crate::text::listed;

/// A field that a condition can be about.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its name in `status --json`, where that is another one.
    pub other_name: Option<&'static str>,
    /// What there is one value of.
    pub of: Of,
    /// What it can be.
    pub kind: Kind,
    /// What it says.
    pub about: &'static str,
    /// Its values, each with what it is of.
    pub(super) values: fn(&Known<'_>, &mut Values),
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// What a field has one value of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The resource.
    Resource,
    /// Each volume of this node.
    Volume,
    /// Each connection.
    Peer,
    /// Each volume of each peer.
    PeerVolume,
    /// What the promoter says.
    Promoter,
}

impl Of {
    fn as_str(self) -> &'static str {
        match self {
            Self::Resource => "the resource",
            Self::Volume => "each volume here",
            Self::Peer => "each connection",
            Self::PeerVolume => "each volume of each peer",
            Self::Promoter => "the promoter",
        }
    }
}

/// What a field can be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `yes` or `no`.
    Flag,
    /// A number.
    Number,
    /// One of these words, or in quotes another one, of a newer DRBD.
    Words(fn() -> Vec<&'static str>),
    /// Any text.
    Text,
}

impl Field {
    /// The field of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        FIELDS.iter().find(|field| field.name == name || field.other_name == Some(name))
    }

    /// All names.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        FIELDS.iter().flat_map(|field| std::iter::once(field.name).chain(field.other_name))
    }

    /// The words that it can be, if there is a list of them.
    pub(super) fn words(&self) -> Vec<&'static str> {
        match self.kind {
            Kind::Words(words) => words(),
            Kind::Flag | Kind::Number | Kind::Text => Vec::new(),
        }
    }

    /// Whether this word may stand without quotes.
    pub(super) fn has_word(&self, word: &str) -> bool {
        self.words().contains(&word)
    }
}

fn roles() -> Vec<&'static str> {
    Role::KNOWN.iter().map(Role::as_str).collect()
}

fn disks() -> Vec<&'static str> {
    DiskState::KNOWN.iter().map(DiskState::as_str).collect()
}

fn connections() -> Vec<&'static str> {
    ConnectionState::KNOWN.iter().map(ConnectionState::as_str).collect()
}

fn replications() -> Vec<&'static str> {
    ReplicationState::KNOWN.iter().map(ReplicationState::as_str).collect()
}

fn states() -> Vec<&'static str> {
    StateWord::ALL.into_iter().map(StateWord::as_str).collect()
}

fn policies() -> Vec<&'static str> {
    vec!["quorum", "fencing", "alone", "none", "unknown"]
}

/// The values of a field, each with what it is of; `None` = DRBD does not say it.
pub(super) type Values = Vec<(String, Option<Value>)>;

fn word(word: &str) -> Option<Value> {
    (!word.is_empty()).then(|| Value::Word(word.to_owned()))
}

#[expect(clippy::cast_precision_loss, reason = "KiB and counts: nobody waits for the last of 2^53")]
fn number(number: u64) -> Option<Value> {
    Some(Value::Number(number as f64))
}

fn of_resource(known: &Known<'_>, values: &mut Values, value: fn(&WireResource) -> Option<Value>) {
    values.extend(known.drbd.map(|drbd| (String::new(), value(drbd))));
}

fn of_volumes(known: &Known<'_>, values: &mut Values, value: fn(&WireDevice) -> Option<Value>) {
    let devices = known.drbd.iter().flat_map(|drbd| &drbd.devices);
    values.extend(devices.map(|device| (format!("volume {}", device.volume), value(device))));
}

fn of_peers(known: &Known<'_>, values: &mut Values, value: fn(&WireConnection) -> Option<Value>) {
    values.extend(known.connections().map(|connection| (connection.display_name(), value(connection))));
}

fn of_peer_volumes(known: &Known<'_>, values: &mut Values, value: fn(&WirePeerDevice) -> Option<Value>) {
    for connection in known.connections() {
        let name = connection.display_name();
        let devices = connection.peer_devices.iter();
        values.extend(devices.map(|device| (format!("{name} volume {}", device.volume), value(device))));
    }
}

fn of_promoter(known: &Known<'_>, values: &mut Values, value: fn(&PromotedStatus) -> Option<Value>) {
    values.extend(known.promoted.map(|promoted| (String::new(), value(promoted))));
}

fn is(flag: bool) -> Option<Value> {
    Some(Value::Flag(flag))
}

fn done(device: &WirePeerDevice) -> Option<Value> {
    device.fields.done_percent.filter(|done| done.is_finite()).map(Value::Number)
}

fn out_of_sync(device: &WirePeerDevice) -> Option<Value> {
    device.fields.out_of_sync_kib.and_then(number)
}

/// Nodes that are Primary, this one or peers.
fn primaries(known: &Known<'_>, values: &mut Values) {
    if known.drbd.is_some_and(|drbd| drbd.fields.role == "Primary") {
        values.push((String::new(), word(known.node)));
    }
    let primary = known.connections().filter(|connection| connection.fields.peer_role == "Primary");
    values.extend(primary.map(|connection| (String::new(), word(&connection.display_name()))));
}

fn connected(known: &Known<'_>) -> u64 {
    let connected = known.connections().filter(|connection| connection.fields.connection_state == "Connected");
    connected.count() as u64
}

macro_rules! other {
    () => {
        None
    };
    ($other:literal) => {
        Some($other)
    };
}

macro_rules! fields {
    ($($name:literal $(or $other:literal)?, $of:ident, $kind:expr, $values:expr, $about:literal;)+) => {
        static FIELDS: &[Field] = &[$(
            Field {
                name: $name,
                other_name: other!($($other)?),
                of: Of::$of,
                kind: $kind,
                about: $about,
                values: $values,
            },
        )+];
    };
}

fields! {
    "role", Resource, Kind::Words(roles), |k, v| of_resource(k, v, |r| word(&r.fields.role)), "role of this node";
    "primary", Resource, Kind::Text, primaries, "the node that is Primary, this one or a peer; without a value if none is";
    "may-promote", Resource, Kind::Flag, |k, v| of_resource(k, v, |r| is(r.fields.may_promote)), "this node could become Primary now";
    "promotion-score", Resource, Kind::Number,
        |k, v| of_resource(k, v, |r| r.fields.promotion_score.map(|score| Value::Number(score.into()))),
        "how good a Primary this node would be";
    "suspended", Resource, Kind::Text, |k, v| of_resource(k, v, |r| word(&r.fields.suspended)),
        "why I/O is suspended: `no`, or a comma list";
    "volumes", Resource, Kind::Number, |k, v| of_resource(k, v, |r| number(r.devices.len() as u64)), "how many volumes it has here";
    "peers", Resource, Kind::Number, |k, v| v.extend(k.drbd.map(|_| (String::new(), number(connected(k))))),
        "how many peers are connected";
    "split-brain", Resource, Kind::Flag, |k, v| of_resource(k, v, |r| is(r.split_brains.iter().any(WireSplitBrain::is_sure))),
        "DRBD has found a split brain with a peer, and it is not over";
    "disk" or "disk-state", Volume, Kind::Words(disks), |k, v| of_volumes(k, v, |d| word(&d.fields.disk_state)), "state of the disk";
    "quorum", Volume, Kind::Flag, |k, v| of_volumes(k, v, |d| d.fields.quorum.and_then(is)), "it has quorum";
    "open", Volume, Kind::Flag, |k, v| of_volumes(k, v, |d| d.fields.open.and_then(is)), "somebody has it open";
    "size", Volume, Kind::Number, |k, v| of_volumes(k, v, |d| d.fields.size_kib.and_then(number)), "its size in KiB";
    "connection" or "connection-state", Peer, Kind::Words(connections),
        |k, v| of_peers(k, v, |c| word(&c.fields.connection_state)), "state of the connection";
    "peer-role", Peer, Kind::Words(roles), |k, v| of_peers(k, v, |c| word(&c.fields.peer_role)), "role of the peer";
    "peer-disk" or "peer-disk-state", PeerVolume, Kind::Words(disks),
        |k, v| of_peer_volumes(k, v, |d| word(&d.fields.peer_disk_state)), "state of the peer's disk, `DUnknown` while it is not connected";
    "replication" or "replication-state", PeerVolume, Kind::Words(replications),
        |k, v| of_peer_volumes(k, v, |d| word(&d.fields.replication_state)), "what is replicated: `Established`, `SyncSource`, ...";
    "out-of-sync", PeerVolume, Kind::Number, |k, v| of_peer_volumes(k, v, out_of_sync), "KiB that differ";
    "done" or "percent-resync-done", PeerVolume, Kind::Number, |k, v| of_peer_volumes(k, v, done),
        "percent of a resync or verify that are done; without a value while none runs";
    "promoted", Promoter, Kind::Flag, |k, v| v.push((String::new(), is(k.promoted.is_some()))), "a promoter here has the resource";
    "state", Promoter, Kind::Words(states), |k, v| of_promoter(k, v, |p| word(&p.state)), "what holds, in one word";
    "running", Promoter, Kind::Flag, |k, v| of_promoter(k, v, |p| is(p.state == "running")), "its services run here";
    "blocked", Promoter, Kind::Flag, |k, v| of_promoter(k, v, |p| is(p.state == "blocked")), "its services failed too often here";
    "frozen", Promoter, Kind::Flag, |k, v| of_promoter(k, v, |p| is(p.state == "frozen")), "its services are frozen";
    "held", Promoter, Kind::Flag, |k, v| of_promoter(k, v, |p| is(p.hold.is_some())), "somebody holds it, has stopped it, or has left it to another node";
    "drained", Promoter, Kind::Flag, |k, v| v.push((String::new(), is(k.is_drained))), "somebody has drained this node";
    "failures", Promoter, Kind::Number, |k, v| of_promoter(k, v, |p| number(p.failures.into())), "failures of its services that count";
    "policy", Promoter, Kind::Words(policies), |k, v| of_promoter(k, v, |p| word(&p.policy)), "what keeps two sides from writing";
}

impl Field {
    /// What it says, and what it can be.
    fn meaning(&self) -> String {
        let values = match self.kind {
            Kind::Flag => "`yes` or `no`".to_owned(),
            Kind::Number => "a number".to_owned(),
            Kind::Text => "a text".to_owned(),
            // Most know DRBD's; ours are named.
            Kind::Words(_) if self.of == Of::Promoter => format!("`{}`", self.words().join("`, `")),
            Kind::Words(_) => "a word of DRBD's".to_owned(),
        };
        format!("{}; {values}", self.about)
    }
}

/// The table, for the documents.
pub fn markdown() -> String {
    let mut text = String::from("| field | of | it is |\n| --- | --- | --- |\n");
    for field in FIELDS {
        let other = field.other_name.map(|name| format!(" (`{name}`)")).unwrap_or_default();
        // A text takes everything.
        let _ = writeln!(text, "| `{}`{other} | {} | {} |", field.name, field.of.as_str(), field.meaning());
    }
    text
}

/// The same for `--help`, which is in the manual page, too.
pub(crate) fn help() -> String {
    let row = |field: &Field| {
        let other = field.other_name.map(|name| format!("; also {name}")).unwrap_or_default();
        (field.name.to_owned(), format!("{}{other}", field.meaning()))
    };
    let of_one = |fields: &[Field]| {
        let rows: Vec<_> = fields.iter().map(row).collect();
        format!("Fields of {}:\n{}", fields[0].of.as_str(), listed(&rows))
    };
    FIELDS.chunk_by(|a, b| a.of == b.of).map(of_one).collect::<Vec<_>>().join("\n")
}
