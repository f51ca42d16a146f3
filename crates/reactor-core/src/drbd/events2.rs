//! One line of `drbdsetup events2` as a typed event.
//!
//! ```text
//! [STAMP] VERB OBJECT key:value key:value ...        2026-11-21T03:06:17.36+00:00 change resource name:r1 role:Primary
//! [STAMP] exists -                                   the end of a dump
//! ```
//!
//! Both dialects, DRBD 9 and DRBD 8.4, have this form. Parsing borrows from the line and allocates nothing, unless the line has
//! a key that we do not know. It never panics and never drops a line for one odd part of it: what is not understood is kept in
//! `unknown`, and the rest of the line counts.

use crate::model::objects::{ConnectionStats, DeviceStats, PeerDeviceStats};

use super::words::{Words, number, split_word};

/// One line.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Line<'a> {
    /// What `--timestamps` printed before it. Equal stamps = one kernel state change.
    pub stamp: Option<&'a str>,
    /// What it says.
    pub event: Event<'a>,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Event<'a> {
    /// `exists -`: the dump is complete.
    #[default]
    DumpEnd,
    /// `VERB resource`
    Resource(Verb, ResourceFields<'a>),
    /// `VERB device`
    Device(Verb, DeviceFields<'a>),
    /// `VERB connection`
    Connection(Verb, ConnectionFields<'a>),
    /// `VERB peer-device`
    PeerDevice(Verb, PeerDeviceFields<'a>),
    /// `VERB path`
    Path(Verb, PathFields<'a>),
    /// `rename resource name:OLD new_name:NEW`
    Rename {
        /// The name until now.
        from: &'a str,
        /// The name from now on.
        to: &'a str,
    },
    /// `call helper` and `response helper`
    Helper(HelperFields<'a>),
    /// A verb or an object that we do not know.
    Unknown {
        /// The first word.
        verb: &'a str,
        /// The second word.
        object: &'a str,
    },
}

/// What happened to an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// Part of a dump.
    Exists,
    /// It appeared.
    Create,
    /// It changed.
    Change,
    /// It went away.
    Destroy,
}

/// Keys with raw values that we do not know, or whose value is not what the key promises.
pub type Unknown<'a> = Vec<(&'a str, &'a str)>;

/// Fields of a resource line. A field that the line does not have is `None`.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ResourceFields<'a> {
    /// `name`
    pub name: &'a str,
    /// `role`
    pub role: Option<&'a str>,
    /// `suspended`
    pub suspended: Option<&'a str>,
    /// `write-ordering`
    pub write_ordering: Option<&'a str>,
    /// `force-io-failures`
    pub force_io_failures: Option<bool>,
    /// `may_promote`
    pub may_promote: Option<bool>,
    /// `promotion_score`
    pub promotion_score: Option<i32>,
    /// The rest.
    pub unknown: Unknown<'a>,
}

/// Fields of a device line.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DeviceFields<'a> {
    /// `name` of the resource
    pub name: &'a str,
    /// `volume`
    pub volume: u32,
    /// `minor`
    pub minor: Option<u32>,
    /// `backing_dev`
    pub backing_dev: Option<&'a str>,
    /// `disk`
    pub disk: Option<&'a str>,
    /// `client`
    pub client: Option<bool>,
    /// `open`
    pub open: Option<bool>,
    /// `quorum`
    pub quorum: Option<bool>,
    /// `size`, KiB
    pub size_kib: Option<u64>,
    /// Statistics but `blocked`; `None` = not in this line.
    pub stats: DeviceStats,
    /// `blocked`
    pub blocked: Option<&'a str>,
    /// The rest.
    pub unknown: Unknown<'a>,
}

/// Fields of a connection line.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ConnectionFields<'a> {
    /// `name` of the resource
    pub name: &'a str,
    /// `peer-node-id`
    pub peer: u32,
    /// `conn-name`
    pub conn_name: Option<&'a str>,
    /// `connection`
    pub connection: Option<&'a str>,
    /// `role` of the peer
    pub role: Option<&'a str>,
    /// `congested`
    pub congested: Option<bool>,
    /// Statistics; `None` = not in this line.
    pub stats: ConnectionStats,
    /// The rest.
    pub unknown: Unknown<'a>,
}

/// Fields of a peer device line.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct PeerDeviceFields<'a> {
    /// `name` of the resource
    pub name: &'a str,
    /// `peer-node-id`
    pub peer: u32,
    /// `volume`
    pub volume: u32,
    /// `conn-name`
    pub conn_name: Option<&'a str>,
    /// `replication`
    pub replication: Option<&'a str>,
    /// `peer-disk`
    pub peer_disk: Option<&'a str>,
    /// `peer-client`
    pub peer_client: Option<bool>,
    /// `resync-suspended`
    pub resync_suspended: Option<&'a str>,
    /// Statistics; `None` = not in this line.
    pub stats: PeerDeviceStats,
    /// `done`, percent
    pub done_percent: Option<f64>,
    /// `eta`, seconds; DRBD prints `nan` while it does not know
    pub eta_s: Option<u64>,
    /// `dbdt1`, MiB/s
    pub speed_mib_s: Option<f64>,
    /// The other keys of a running resync or verify, raw: `rs-*`, `ov-*`, `dbdt`, `dbdt0`, `want`.
    pub progress: Unknown<'a>,
    /// The rest.
    pub unknown: Unknown<'a>,
}

/// Fields of a path line.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct PathFields<'a> {
    /// `name` of the resource
    pub name: &'a str,
    /// `peer-node-id`
    pub peer: u32,
    /// `conn-name`
    pub conn_name: Option<&'a str>,
    /// `local`
    pub local: &'a str,
    /// `peer`
    pub remote: &'a str,
    /// `established`
    pub established: Option<bool>,
    /// The rest.
    pub unknown: Unknown<'a>,
}

/// Fields of a helper line.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct HelperFields<'a> {
    /// Whether this is the `response`.
    pub response: bool,
    /// `name` of the resource
    pub name: &'a str,
    /// `helper`
    pub helper: &'a str,
    /// `peer-node-id`
    pub peer: Option<u32>,
    /// `conn-name`
    pub conn_name: Option<&'a str>,
    /// `volume`
    pub volume: Option<u32>,
    /// `minor`
    pub minor: Option<u32>,
    /// `status`: the raw wait status
    pub status: Option<i32>,
    /// The rest.
    pub unknown: Unknown<'a>,
}

/// Why a line could not be understood at all. It is data: counted and shown, and nothing else suffers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unparsed {
    /// Nothing but white space.
    #[error("empty line")]
    Empty,
    /// Not even two words.
    #[error("not of the form VERB OBJECT key:value ...")]
    Form,
    /// The object cannot be identified.
    #[error("no `{0}:`, so the object cannot be identified")]
    NoIdentity(&'static str),
}

/// Parses one line, with or without its line end.
///
/// # Errors
///
/// Only if the line has no verb and object, or does not say which object it is about.
pub fn parse(line: &str) -> Result<Line<'_>, Unparsed> {
    let mut parsed = Line::default();
    parse_into(line, &mut parsed)?;
    Ok(parsed)
}

/// The same into a place that is used again and again: an event is large, and to move it about would cost as much as to read it.
///
/// # Errors
///
/// As [`parse`]. Then what is in `parsed` means nothing.
pub fn parse_into<'a>(line: &'a str, parsed: &mut Line<'a>) -> Result<(), Unparsed> {
    // Nothing but line ends and spaces: any other white space belongs to a value.
    let end = line.as_bytes().iter().rposition(|byte| !matches!(byte, b'\n' | b'\r' | b' ')).ok_or(Unparsed::Empty)?;
    let mut rest = &line[..=end];
    parsed.stamp = None;
    if rest.as_bytes()[0].is_ascii_digit() {
        let (first, tail) = split_word(rest);
        parsed.stamp = Some(first);
        rest = tail;
    }
    let (verb, tail) = split_word(rest);
    let (object, fields) = split_word(tail);
    if object.is_empty() {
        return Err(Unparsed::Form);
    }
    let event = &mut parsed.event;
    match verb {
        "change" => return object_event(event, Verb::Change, (verb, object), fields),
        "exists" if object == "-" => *event = Event::DumpEnd,
        "exists" => return object_event(event, Verb::Exists, (verb, object), fields),
        "create" => return object_event(event, Verb::Create, (verb, object), fields),
        "destroy" => return object_event(event, Verb::Destroy, (verb, object), fields),
        "rename" if object == "resource" => *event = rename(fields)?,
        "call" | "response" if object == "helper" => *event = Event::Helper(helper(verb == "response", fields)?),
        _ => *event = Event::Unknown { verb, object },
    }
    Ok(())
}

fn object_event<'a>(
    event: &mut Event<'a>,
    verb: Verb,
    words: (&'a str, &'a str),
    text: &'a str,
) -> Result<(), Unparsed> {
    // Each is made where it is wanted and filled there.
    match words.1 {
        "peer-device" => *event = Event::PeerDevice(verb, PeerDeviceFields::default()),
        "device" => *event = Event::Device(verb, DeviceFields::default()),
        "connection" => *event = Event::Connection(verb, ConnectionFields::default()),
        "resource" => *event = Event::Resource(verb, ResourceFields::default()),
        "path" => *event = Event::Path(verb, PathFields::default()),
        _ => *event = Event::Unknown { verb: words.0, object: words.1 },
    }
    match event {
        Event::PeerDevice(_, f) => peer_device(f, text),
        Event::Device(_, f) => device(f, text),
        Event::Connection(_, f) => connection(f, text),
        Event::Resource(_, f) => resource(f, text),
        Event::Path(_, f) => path(f, text),
        _ => Ok(()),
    }
}

/// events2's bool: anything but `no` and `false` is true.
fn bool(value: &str) -> Option<bool> {
    Some(!matches!(value, "no" | "false"))
}

fn small(value: &str) -> Option<u32> {
    number(value).and_then(|n| u32::try_from(n).ok())
}

fn float(value: &str) -> Option<f64> {
    value.parse().ok().filter(|f: &f64| f.is_finite())
}

/// Stores a parsed value, or keeps the raw text where it is not what the key promises.
macro_rules! set {
    ($place:expr, $unknown:expr, $parsed:expr, $key:expr, $value:expr) => {
        match $parsed {
            Some(parsed) => $place = Some(parsed),
            None => $unknown.push(($key, $value)),
        }
    };
}

/// Stores a value whose key is known, as the kind of the key says.
macro_rules! store {
    (text $place:expr, $unknown:expr, $key:expr, $value:expr) => {
        $place = $value
    };
    (word $place:expr, $unknown:expr, $key:expr, $value:expr) => {
        $place = Some($value)
    };
    (yes $place:expr, $unknown:expr, $key:expr, $value:expr) => {
        $place = bool($value)
    };
    (id $place:expr, $unknown:expr, $key:expr, $value:expr) => {
        $place = small($value)
    };
    (small $place:expr, $unknown:expr, $key:expr, $value:expr) => {
        set!($place, $unknown, small($value), $key, $value)
    };
    (signed $place:expr, $unknown:expr, $key:expr, $value:expr) => {
        set!($place, $unknown, $value.parse().ok(), $key, $value)
    };
    (float $place:expr, $unknown:expr, $key:expr, $value:expr) => {
        set!($place, $unknown, float($value), $key, $value)
    };
    (number $place:expr, $unknown:expr, $key:expr, $value:expr) => {
        set!($place, $unknown, number($value), $key, $value)
    };
}

/// The same for a value that comes next in `$words`.
macro_rules! take {
    (number $place:expr, $unknown:expr, $key:expr, $words:ident) => {
        match $words.number() {
            Ok(number) => $place = Some(number),
            Err(value) => $unknown.push(($key, value)),
        }
    };
    ($kind:ident $place:expr, $unknown:expr, $key:expr, $words:ident) => {{
        let value = $words.value();
        store!($kind $place, $unknown, $key, value);
    }};
}

/// Takes the words of a line apart. The keys are given in DRBD's order: as long as the line keeps to it, each is there where it is
/// looked for. From the first word on that is elsewhere, or unknown, keys are searched for.
macro_rules! fields {
    ($text:ident, $unknown:expr, { $($key:literal: $kind:ident $place:expr),+ $(,)? }) => {
        fields!($text, $unknown, { $($key: $kind $place),+ }, |key, value| _ => $unknown.push((key, value)))
    };
    ($text:ident, $unknown:expr, { $($key:literal: $kind:ident $place:expr),+ $(,)? }, |$k:ident, $v:ident| $($more:tt)+) => {
        let mut words = Words::new($text);
        $(
            if words.step(concat!($key, ":")) {
                take!($kind $place, $unknown, $key, words);
            }
        )+
        for ($k, $v) in words {
            match $k {
                $($key => store!($kind $place, $unknown, $k, $v),)+
                $($more)+
            }
        }
    };
}

fn resource<'a>(f: &mut ResourceFields<'a>, text: &'a str) -> Result<(), Unparsed> {
    fields!(text, f.unknown, {
        "name": text f.name,
        "role": word f.role,
        "suspended": word f.suspended,
        "force-io-failures": yes f.force_io_failures,
        "write-ordering": word f.write_ordering,
        "may_promote": yes f.may_promote,
        "promotion_score": signed f.promotion_score,
    });
    if f.name.is_empty() { Err(Unparsed::NoIdentity("name")) } else { Ok(()) }
}

fn device<'a>(f: &mut DeviceFields<'a>, text: &'a str) -> Result<(), Unparsed> {
    let mut volume = None;
    fields!(text, f.unknown, {
        "name": text f.name,
        "volume": id volume,
        "minor": small f.minor,
        "backing_dev": word f.backing_dev,
        "disk": word f.disk,
        "client": yes f.client,
        "open": yes f.open,
        "quorum": yes f.quorum,
        "size": number f.size_kib,
        "read": number f.stats.read_kib,
        "written": number f.stats.written_kib,
        "al-writes": number f.stats.al_writes,
        "bm-writes": number f.stats.bm_writes,
        "upper-pending": number f.stats.upper_pending,
        "lower-pending": number f.stats.lower_pending,
        "al-suspended": yes f.stats.al_suspended,
        "blocked": word f.blocked,
    });
    if f.name.is_empty() {
        return Err(Unparsed::NoIdentity("name"));
    }
    f.volume = volume.ok_or(Unparsed::NoIdentity("volume"))?;
    Ok(())
}

fn connection<'a>(f: &mut ConnectionFields<'a>, text: &'a str) -> Result<(), Unparsed> {
    let mut peer = None;
    fields!(text, f.unknown, {
        "name": text f.name,
        "peer-node-id": id peer,
        "conn-name": word f.conn_name,
        "connection": word f.connection,
        "role": word f.role,
        "congested": yes f.congested,
        "ap-in-flight": number f.stats.ap_in_flight_sectors,
        "rs-in-flight": number f.stats.rs_in_flight_sectors,
    });
    if f.name.is_empty() {
        return Err(Unparsed::NoIdentity("name"));
    }
    f.peer = peer.ok_or(Unparsed::NoIdentity("peer-node-id"))?;
    Ok(())
}

fn peer_device<'a>(f: &mut PeerDeviceFields<'a>, text: &'a str) -> Result<(), Unparsed> {
    let (mut peer, mut volume) = (None, None);
    fields!(text, f.unknown, {
        "name": text f.name,
        "peer-node-id": id peer,
        "conn-name": word f.conn_name,
        "volume": id volume,
        "replication": word f.replication,
        "peer-disk": word f.peer_disk,
        "peer-client": yes f.peer_client,
        "resync-suspended": word f.resync_suspended,
        "done": float f.done_percent,
        "received": number f.stats.received_kib,
        "sent": number f.stats.sent_kib,
        "out-of-sync": number f.stats.out_of_sync_kib,
        "pending": number f.stats.pending,
        "unacked": number f.stats.unacked,
        "dbdt1": float f.speed_mib_s,
    }, |key, value|
        // DRBD prints `nan` at the start of a resync: no estimate yet.
        "eta" if value == "nan" => f.progress.push((key, value)),
        "eta" => set!(f.eta_s, f.unknown, number(value), key, value),
        "want" | "dbdt" | "dbdt0" => f.progress.push((key, value)),
        _ if key.starts_with("rs-") || key.starts_with("ov-") => f.progress.push((key, value)),
        _ => f.unknown.push((key, value)),
    );
    if f.name.is_empty() {
        return Err(Unparsed::NoIdentity("name"));
    }
    f.peer = peer.ok_or(Unparsed::NoIdentity("peer-node-id"))?;
    f.volume = volume.ok_or(Unparsed::NoIdentity("volume"))?;
    Ok(())
}

fn path<'a>(f: &mut PathFields<'a>, text: &'a str) -> Result<(), Unparsed> {
    let mut peer = None;
    fields!(text, f.unknown, {
        "name": text f.name,
        "peer-node-id": id peer,
        "conn-name": word f.conn_name,
        "local": text f.local,
        "peer": text f.remote,
        "established": yes f.established,
    });
    match (f.name, f.local, f.remote) {
        ("", _, _) => return Err(Unparsed::NoIdentity("name")),
        (_, "", _) => return Err(Unparsed::NoIdentity("local")),
        (_, _, "") => return Err(Unparsed::NoIdentity("peer")),
        _ => {}
    }
    f.peer = peer.ok_or(Unparsed::NoIdentity("peer-node-id"))?;
    Ok(())
}

fn rename(text: &str) -> Result<Event<'_>, Unparsed> {
    let (mut from, mut to) = ("", "");
    for (key, value) in Words::new(text) {
        match key {
            "name" => from = value,
            "new_name" => to = value,
            _ => {}
        }
    }
    match (from, to) {
        ("", _) => Err(Unparsed::NoIdentity("name")),
        (_, "") => Err(Unparsed::NoIdentity("new_name")),
        _ => Ok(Event::Rename { from, to }),
    }
}

fn helper(response: bool, text: &str) -> Result<HelperFields<'_>, Unparsed> {
    let mut f = HelperFields { response, ..HelperFields::default() };
    fields!(text, f.unknown, {
        "name": text f.name,
        "helper": text f.helper,
        "peer-node-id": small f.peer,
        "conn-name": word f.conn_name,
        "volume": small f.volume,
        "minor": small f.minor,
        "status": signed f.status,
    });
    match (f.name, f.helper) {
        ("", _) => Err(Unparsed::NoIdentity("name")),
        (_, "") => Err(Unparsed::NoIdentity("helper")),
        _ => Ok(f),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(line: &str) -> Event<'_> {
        parse(line).expect("the line is good").event
    }

    #[test]
    fn a_full_device_line() {
        let line = "2026-11-21T03:06:17.369716+00:00 change device name:r1 volume:0 minor:20 backing_dev:/dev/mapper/d1 \
                    disk:UpToDate client:no open:yes quorum:yes size:131028 read:1 written:2 al-writes:3 bm-writes:4 \
                    upper-pending:5 lower-pending:6 al-suspended:no blocked:upper\n";
        let parsed = parse(line).unwrap();
        assert_eq!(parsed.stamp, Some("2026-11-21T03:06:17.369716+00:00"));
        let Event::Device(Verb::Change, f) = parsed.event else { panic!("not a device: {parsed:?}") };
        assert_eq!((f.name, f.volume, f.minor, f.disk), ("r1", 0, Some(20), Some("UpToDate")));
        assert_eq!((f.client, f.open, f.quorum, f.size_kib), (Some(false), Some(true), Some(true), Some(131_028)));
        assert_eq!((f.stats.read_kib, f.stats.lower_pending, f.blocked), (Some(1), Some(6), Some("upper")));
        assert!(f.unknown.is_empty());
    }

    #[test]
    fn an_unknown_key_or_value_costs_nothing_else() {
        let Event::Device(_, f) =
            event("change device name:r1 volume:0 minor:x disk:Glowing quorum:no size:many halo:blue loner")
        else {
            panic!("not a device")
        };
        assert_eq!((f.disk, f.quorum, f.size_kib, f.minor), (Some("Glowing"), Some(false), None, None));
        assert_eq!(f.unknown, [("minor", "x"), ("size", "many"), ("halo", "blue"), ("loner", "")]);
    }

    #[test]
    fn unknown_verbs_and_objects_are_kept() {
        assert_eq!(event("melt device name:r1 volume:0"), Event::Unknown { verb: "melt", object: "device" });
        assert_eq!(event("change quark name:r1"), Event::Unknown { verb: "change", object: "quark" });
    }

    #[test]
    fn rename_and_helpers_are_events() {
        assert_eq!(event("rename resource name:r1 new_name:r9"), Event::Rename { from: "r1", to: "r9" });
        let Event::Helper(f) =
            event("response helper name:r0 peer-node-id:1 conn-name:n2 helper:fence-peer status:1024")
        else {
            panic!("not a helper")
        };
        assert!(f.response);
        assert_eq!((f.helper, f.peer, f.status), ("fence-peer", Some(1), Some(1024)));
    }

    #[test]
    fn a_path_value_keeps_its_colons() {
        let Event::Path(_, f) = event(
            "create path name:r1 peer-node-id:1 conn-name:n2 local:ipv4:10.77.0.1:7001 peer:ipv4:10.77.0.2:7001 established:no",
        ) else {
            panic!("not a path")
        };
        assert_eq!((f.local, f.remote, f.established), ("ipv4:10.77.0.1:7001", "ipv4:10.77.0.2:7001", Some(false)));
    }

    #[test]
    fn the_order_of_the_words_does_not_matter() {
        let words = [
            "name:r1",
            "volume:0",
            "minor:20",
            "disk:UpToDate",
            "client:no",
            "quorum:yes",
            "size:131028",
            "halo:blue",
            "read:1",
            "written:12345678",
            "al-writes:3",
            "bm-writes:x",
            "al-suspended:no",
            "blocked:upper",
        ];
        let in_order = format!("change device {}", words.join(" "));
        let Event::Device(_, expected) = event(&in_order) else { panic!("not a device") };
        assert_eq!((expected.size_kib, expected.stats.written_kib), (Some(131_028), Some(12_345_678)));
        for first in 1..words.len() {
            let (end, begin) = words.split_at(first);
            for gap in [" ", "  "] {
                let line = format!("change device{gap}{}", [begin, end].concat().join(gap));
                let Event::Device(_, mut f) = event(&line) else { panic!("not a device: {line}") };
                f.unknown.sort_by_key(|(key, _)| std::cmp::Reverse(*key));
                assert_eq!(f, expected, "{line}");
            }
        }
    }

    #[test]
    fn the_last_word_of_a_key_counts() {
        let Event::Device(_, f) = event("change device name:r1 volume:0 size:1 name:r2 volume:7 size:2") else {
            panic!("not a device")
        };
        assert_eq!((f.name, f.volume, f.size_kib), ("r2", 7, Some(2)));
    }

    #[test]
    fn what_cannot_be_identified_says_why() {
        for (line, why) in [
            ("", Unparsed::Empty),
            ("  \n", Unparsed::Empty),
            ("change", Unparsed::Form),
            ("change device volume:0", Unparsed::NoIdentity("name")),
            ("change device name:r1", Unparsed::NoIdentity("volume")),
            ("change connection name:r1 peer-node-id:-1", Unparsed::NoIdentity("peer-node-id")),
            ("create path name:r1 peer-node-id:1 local:a", Unparsed::NoIdentity("peer")),
            ("rename resource name:r1", Unparsed::NoIdentity("new_name")),
        ] {
            assert_eq!(parse(line).unwrap_err(), why, "{line}");
        }
    }

    #[test]
    fn progress_of_a_resync() {
        let Event::PeerDevice(_, f) = event(
            "change peer-device name:r peer-node-id:2 conn-name:n3 volume:0 replication:SyncTarget done:82.80 eta:nan rs-total:7 dbdt1:29.43",
        ) else {
            panic!("not a peer device")
        };
        assert_eq!((f.done_percent, f.eta_s, f.speed_mib_s), (Some(82.8), None, Some(29.43)));
        assert_eq!(f.progress, [("eta", "nan"), ("rs-total", "7")]);
    }
}
