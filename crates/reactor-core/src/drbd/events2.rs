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

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line<'a> {
    /// What `--timestamps` printed before it. Equal stamps = one kernel state change.
    pub stamp: Option<&'a str>,
    /// What it says.
    pub event: Event<'a>,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// `exists -`: the dump is complete.
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
    // Nothing but line ends and spaces: any other white space belongs to a value.
    let mut rest = line.trim_end_matches(['\n', '\r', ' ']);
    if rest.is_empty() {
        return Err(Unparsed::Empty);
    }
    let mut stamp = None;
    if rest.as_bytes()[0].is_ascii_digit() {
        let (first, tail) = split_word(rest);
        stamp = Some(first);
        rest = tail;
    }
    let (verb, tail) = split_word(rest);
    let (object, fields) = split_word(tail);
    if object.is_empty() {
        return Err(Unparsed::Form);
    }
    let event = match verb {
        "change" => object_event(Verb::Change, verb, object, fields)?,
        "exists" if object == "-" => Event::DumpEnd,
        "exists" => object_event(Verb::Exists, verb, object, fields)?,
        "create" => object_event(Verb::Create, verb, object, fields)?,
        "destroy" => object_event(Verb::Destroy, verb, object, fields)?,
        "rename" if object == "resource" => rename(fields)?,
        "call" | "response" if object == "helper" => Event::Helper(helper(verb == "response", fields)?),
        _ => Event::Unknown { verb, object },
    };
    Ok(Line { stamp, event })
}

fn object_event<'a>(verb: Verb, word: &'a str, object: &'a str, fields: &'a str) -> Result<Event<'a>, Unparsed> {
    Ok(match object {
        "peer-device" => Event::PeerDevice(verb, peer_device(fields)?),
        "device" => Event::Device(verb, device(fields)?),
        "connection" => Event::Connection(verb, connection(fields)?),
        "resource" => Event::Resource(verb, resource(fields)?),
        "path" => Event::Path(verb, path(fields)?),
        _ => Event::Unknown { verb: word, object },
    })
}

/// The first word and what follows the space after it.
fn split_word(text: &str) -> (&str, &str) {
    match text.as_bytes().iter().position(|b| *b == b' ') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    }
}

/// The `key:value` words of a line; a word without a colon has an empty value.
struct Fields<'a> {
    text: &'a str,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, &'a str);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        // The hot loop of the parser: one pass over the key, one over the value, with nothing else in either.
        let text = self.text.trim_start_matches(' ');
        let bytes = text.as_bytes();
        if bytes.is_empty() {
            return None;
        }
        let key_end = bytes.iter().position(|b| *b == b':' || *b == b' ').unwrap_or(bytes.len());
        let (key, rest) = text.split_at(key_end);
        let Some(rest) = rest.strip_prefix(':') else {
            self.text = rest;
            return Some((key, ""));
        };
        let value_end = rest.as_bytes().iter().position(|b| *b == b' ').unwrap_or(rest.len());
        let (value, rest) = rest.split_at(value_end);
        self.text = rest;
        Some((key, value))
    }
}

/// events2's bool: anything but `no` and `false` is true.
fn bool(value: &str) -> Option<bool> {
    Some(!matches!(value, "no" | "false"))
}

/// A decimal number; `None` if it is anything else.
#[inline]
fn number(value: &str) -> Option<u64> {
    let bytes = value.as_bytes();
    // 19 digits always fit; longer ones go the slow way, which knows where the limit is.
    if bytes.is_empty() || bytes.len() > 19 {
        return value.parse().ok();
    }
    let mut sum = 0u64;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        sum = sum * 10 + u64::from(digit);
    }
    Some(sum)
}

fn small(value: &str) -> Option<u32> {
    number(value).and_then(|n| u32::try_from(n).ok())
}

fn float(value: &str) -> Option<f64> {
    value.parse().ok().filter(|f: &f64| f.is_finite())
}

/// Stores a parsed value, or keeps the raw text where it is not what the key promises.
macro_rules! set {
    ($fields:ident.$($field:ident).+, $parsed:expr, $key:ident, $value:ident) => {
        match $parsed {
            Some(parsed) => $fields.$($field).+ = Some(parsed),
            None => $fields.unknown.push(($key, $value)),
        }
    };
}

fn resource(text: &str) -> Result<ResourceFields<'_>, Unparsed> {
    let mut f = ResourceFields::default();
    for (key, value) in (Fields { text }) {
        match key {
            "name" => f.name = value,
            "role" => f.role = Some(value),
            "suspended" => f.suspended = Some(value),
            "force-io-failures" => f.force_io_failures = bool(value),
            "write-ordering" => f.write_ordering = Some(value),
            "may_promote" => f.may_promote = bool(value),
            "promotion_score" => set!(f.promotion_score, value.parse().ok(), key, value),
            _ => f.unknown.push((key, value)),
        }
    }
    if f.name.is_empty() { Err(Unparsed::NoIdentity("name")) } else { Ok(f) }
}

fn device(text: &str) -> Result<DeviceFields<'_>, Unparsed> {
    let mut f = DeviceFields::default();
    let mut volume = None;
    for (key, value) in (Fields { text }) {
        match key {
            "name" => f.name = value,
            "volume" => volume = small(value),
            "minor" => set!(f.minor, small(value), key, value),
            "backing_dev" => f.backing_dev = Some(value),
            "disk" => f.disk = Some(value),
            "client" => f.client = bool(value),
            "open" => f.open = bool(value),
            "quorum" => f.quorum = bool(value),
            "size" => set!(f.size_kib, number(value), key, value),
            "read" => set!(f.stats.read_kib, number(value), key, value),
            "written" => set!(f.stats.written_kib, number(value), key, value),
            "al-writes" => set!(f.stats.al_writes, number(value), key, value),
            "bm-writes" => set!(f.stats.bm_writes, number(value), key, value),
            "upper-pending" => set!(f.stats.upper_pending, number(value), key, value),
            "lower-pending" => set!(f.stats.lower_pending, number(value), key, value),
            "al-suspended" => f.stats.al_suspended = bool(value),
            "blocked" => f.blocked = Some(value),
            _ => f.unknown.push((key, value)),
        }
    }
    if f.name.is_empty() {
        return Err(Unparsed::NoIdentity("name"));
    }
    f.volume = volume.ok_or(Unparsed::NoIdentity("volume"))?;
    Ok(f)
}

fn connection(text: &str) -> Result<ConnectionFields<'_>, Unparsed> {
    let mut f = ConnectionFields::default();
    let mut peer = None;
    for (key, value) in (Fields { text }) {
        match key {
            "name" => f.name = value,
            "peer-node-id" => peer = small(value),
            "conn-name" => f.conn_name = Some(value),
            "connection" => f.connection = Some(value),
            "role" => f.role = Some(value),
            "congested" => f.congested = bool(value),
            "ap-in-flight" => set!(f.stats.ap_in_flight_sectors, number(value), key, value),
            "rs-in-flight" => set!(f.stats.rs_in_flight_sectors, number(value), key, value),
            _ => f.unknown.push((key, value)),
        }
    }
    if f.name.is_empty() {
        return Err(Unparsed::NoIdentity("name"));
    }
    f.peer = peer.ok_or(Unparsed::NoIdentity("peer-node-id"))?;
    Ok(f)
}

fn peer_device(text: &str) -> Result<PeerDeviceFields<'_>, Unparsed> {
    let mut f = PeerDeviceFields::default();
    let (mut peer, mut volume) = (None, None);
    for (key, value) in (Fields { text }) {
        match key {
            "name" => f.name = value,
            "peer-node-id" => peer = small(value),
            "conn-name" => f.conn_name = Some(value),
            "volume" => volume = small(value),
            "replication" => f.replication = Some(value),
            "peer-disk" => f.peer_disk = Some(value),
            "peer-client" => f.peer_client = bool(value),
            "resync-suspended" => f.resync_suspended = Some(value),
            "received" => set!(f.stats.received_kib, number(value), key, value),
            "sent" => set!(f.stats.sent_kib, number(value), key, value),
            "out-of-sync" => set!(f.stats.out_of_sync_kib, number(value), key, value),
            "pending" => set!(f.stats.pending, number(value), key, value),
            "unacked" => set!(f.stats.unacked, number(value), key, value),
            "done" => set!(f.done_percent, float(value), key, value),
            // DRBD prints `nan` at the start of a resync: no estimate yet.
            "eta" if value == "nan" => f.progress.push((key, value)),
            "eta" => set!(f.eta_s, number(value), key, value),
            "dbdt1" => set!(f.speed_mib_s, float(value), key, value),
            "want" | "dbdt" | "dbdt0" => f.progress.push((key, value)),
            _ if key.starts_with("rs-") || key.starts_with("ov-") => f.progress.push((key, value)),
            _ => f.unknown.push((key, value)),
        }
    }
    if f.name.is_empty() {
        return Err(Unparsed::NoIdentity("name"));
    }
    f.peer = peer.ok_or(Unparsed::NoIdentity("peer-node-id"))?;
    f.volume = volume.ok_or(Unparsed::NoIdentity("volume"))?;
    Ok(f)
}

fn path(text: &str) -> Result<PathFields<'_>, Unparsed> {
    let mut f = PathFields::default();
    let mut peer = None;
    for (key, value) in (Fields { text }) {
        match key {
            "name" => f.name = value,
            "peer-node-id" => peer = small(value),
            "conn-name" => f.conn_name = Some(value),
            "local" => f.local = value,
            "peer" => f.remote = value,
            "established" => f.established = bool(value),
            _ => f.unknown.push((key, value)),
        }
    }
    match (f.name, f.local, f.remote) {
        ("", _, _) => return Err(Unparsed::NoIdentity("name")),
        (_, "", _) => return Err(Unparsed::NoIdentity("local")),
        (_, _, "") => return Err(Unparsed::NoIdentity("peer")),
        _ => {}
    }
    f.peer = peer.ok_or(Unparsed::NoIdentity("peer-node-id"))?;
    Ok(f)
}

fn rename(text: &str) -> Result<Event<'_>, Unparsed> {
    let (mut from, mut to) = ("", "");
    for (key, value) in (Fields { text }) {
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
    for (key, value) in (Fields { text }) {
        match key {
            "name" => f.name = value,
            "helper" => f.helper = value,
            "peer-node-id" => set!(f.peer, small(value), key, value),
            "conn-name" => f.conn_name = Some(value),
            "volume" => set!(f.volume, small(value), key, value),
            "minor" => set!(f.minor, small(value), key, value),
            "status" => set!(f.status, value.parse().ok(), key, value),
            _ => f.unknown.push((key, value)),
        }
    }
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
    fn d6_an_unknown_key_or_value_costs_nothing_else() {
        let Event::Device(_, f) =
            event("change device name:r1 volume:0 minor:x disk:Glowing quorum:no size:many halo:blue loner")
        else {
            panic!("not a device")
        };
        assert_eq!((f.disk, f.quorum, f.size_kib, f.minor), (Some("Glowing"), Some(false), None, None));
        assert_eq!(f.unknown, [("minor", "x"), ("size", "many"), ("halo", "blue"), ("loner", "")]);
    }

    #[test]
    fn d6_unknown_verbs_and_objects_are_kept() {
        assert_eq!(event("melt device name:r1 volume:0"), Event::Unknown { verb: "melt", object: "device" });
        assert_eq!(event("change quark name:r1"), Event::Unknown { verb: "change", object: "quark" });
    }

    #[test]
    fn d6_rename_and_helpers_are_events() {
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
