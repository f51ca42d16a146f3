//! The real SQLite, on real files.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reactor_core::history::{Entry, Kind, News, Severity as HistorySeverity, StorageEvent, Told};
use reactor_core::ids::Mono;
use reactor_storage::device::{Carries, Kind as DeviceKind, Related, Summary};
use reactor_storage::event::{Event, Other, Severity, Subsystem};
use reactor_storage::incidents::{Incident, Incidents, Settings};
use reactor_storage::record::Stamp;
use rusqlite::Connection;

use super::read::{EventQuery, Order, PAGE};
use crate::history::backlog::Backlog;
use crate::history::read::{Query, Reader};
use crate::history::{FILE_NAME, History, Limits};

const LONG: Duration = Duration::from_secs(300);
const LIMITS: Limits = Limits { max_age: Duration::from_secs(400 * 86_400), max_bytes: 64 << 20 };
const SECOND: u64 = 1_000_000;

struct State(PathBuf);

impl State {
    fn new(name: &str) -> Self {
        let path = crate::testing::open_to_all().join(format!("reactor-events-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// One run of the daemon, in which this is told.
    fn run(&self, limits: Limits, news: impl IntoIterator<Item = Told>) {
        let mut history = History::start(&self.0, "n1".to_owned(), limits);
        news.into_iter().for_each(|what| history.write(SystemTime::now(), &of(what)));
        assert!(history.finish(LONG));
    }

    /// All that a question finds, the newest first, as `id x count`.
    fn find(&self, query: &EventQuery) -> Vec<String> {
        self.find_in(query, Order::NewestFirst)
    }

    fn find_in(&self, query: &EventQuery, order: Order) -> Vec<String> {
        let reader = Reader::open(&self.0).unwrap();
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let page = reader.events(query, order, from).unwrap();
            found.extend(page.events.iter().map(|event| {
                let event = &event.told.event;
                format!("{} x {}", event.id, event.count)
            }));
            match page.next {
                Some(next) => from = Some(next),
                None => return found,
            }
        }
    }

    fn device(&self, key: &str) -> Vec<String> {
        self.find(&EventQuery { devices: Some(vec![key.to_owned()]), ..EventQuery::default() })
    }

    fn entries(&self) -> Vec<String> {
        let reader = Reader::open(&self.0).unwrap();
        let query = Query { last: 1000, ..Query::default() };
        let Some(first) = reader.begin(&query).unwrap() else { return Vec::new() };
        reader.page(&query, first, false).unwrap().0.into_iter().map(|entry| entry.what).collect()
    }

    fn sql(&self, select: &str) -> i64 {
        let connection = Connection::open(self.0.join(FILE_NAME)).unwrap();
        connection.query_row(select, [], |row| row.get(0)).unwrap()
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn of(what: Told) -> News {
    News { at: Mono::ZERO, resource: None, what }
}

fn told(event: Event, incident: Option<&str>) -> Told {
    Told::Event(Arc::new(StorageEvent { event, incident: incident.map(str::to_owned) }))
}

/// Younger than what is too old; the same for all of a test.
fn now_us() -> u64 {
    static SECONDS: LazyLock<u64> = LazyLock::new(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs());
    (*SECONDS - 100_000) * SECOND
}

/// What happened at this second.
fn event(second: u64, id: &str, device: Option<Summary>) -> Event {
    let wall_us = Some(now_us() + second * SECOND);
    let at = Stamp { wall_us, boot_us: Some(second) };
    Event {
        id: id.to_owned(),
        at,
        last: at,
        severity: Severity::Error,
        kind: "SCSI_MEDIUM_ERROR".to_owned(),
        subsystem: Subsystem::Scsi,
        device: device.map(Into::into),
        others: Vec::new(),
        fields: [("sector".to_owned(), "2048".to_owned())].into(),
        message: format!("what is said of {id}"),
        lines: vec![format!("what is said of {id}")],
        count: 1,
        source: "kernel".to_owned(),
        host: None,
    }
}

fn related(id: &str, name: &str, kind: DeviceKind) -> Related {
    Related { id: id.to_owned(), name: name.to_owned(), kind }
}

/// A path below a map, a volume of LVM and one of DRBD.
fn path(name: &str) -> Summary {
    Summary {
        id: format!("naa.5000{name}"),
        kind: DeviceKind::Scsi,
        number: None,
        name: name.to_owned(),
        names: vec!["6:0:0:1".to_owned()],
        path: format!("/dev/disk/by-id/wwn-{name}"),
        size: Some(1 << 30),
        transport: None,
        file_system: None,
        mounts: Vec::new(),
        above: vec![
            related("mpath-3600", "mpatha", DeviceKind::Multipath),
            related("LVM-abc", "vg-web", DeviceKind::Lvm),
            related("drbd:web/0", "drbd7", DeviceKind::Drbd),
        ],
        below: Vec::new(),
        carries: Carries {
            drbd: ["web/0".to_owned()].into(),
            mounts: ["/srv/web".to_owned()].into(),
            units: ["drbd-services@web.target".to_owned()].into(),
        },
        gone_us: None,
        called: Vec::new(),
    }
}

/// The volume of LVM above it.
fn volume() -> Summary {
    Summary {
        id: "LVM-abc".to_owned(),
        kind: DeviceKind::Lvm,
        name: "dm-1".to_owned(),
        names: vec!["vg-web".to_owned(), "vg/web".to_owned()],
        path: "/dev/mapper/vg-web".to_owned(),
        above: vec![related("drbd:web/0", "drbd7", DeviceKind::Drbd)],
        below: vec![
            related("mpath-3600", "mpatha", DeviceKind::Multipath),
            related("naa.5000sdb", "sdb", DeviceKind::Scsi),
        ],
        ..path("sdb")
    }
}

/// The thread looks while it is being told: of what comes then it is told again, or it would be stored an hour later.
#[test]
fn a_thread_that_looks_while_it_is_told_is_told_of_the_next() {
    let backlog = Backlog::default();
    let put = |id: &str| {
        let event = Arc::new(StorageEvent { event: event(0, id, None), incident: None });
        assert!(backlog.event(1, &event));
        backlog.has_to_be_told()
    };
    assert!(put("aa"));
    // The message has been sent, and who sent it goes on only now.
    assert_eq!(backlog.take(10, Instant::now(), false).0.len(), 1);
    assert!(put("bb"));
    assert!(!put("cc"), "it has not looked yet");
    backlog.was_not_told();
    assert!(put("dd"), "there was no room for the message");
}

#[test]
fn an_event_is_there_once_with_its_last_count_also_after_a_restart() {
    let state = State::new("once");
    let grown = |count: u64, seconds: u64| {
        let first = event(0, "aa", Some(path("sdb")));
        let last = Stamp { wall_us: Some(now_us() + seconds * SECOND), boot_us: None };
        Event { count, last, ..first }
    };
    state.run(LIMITS, [told(grown(1, 0), Some("aa")), told(grown(500, 5), None), told(grown(900, 9), Some("aa"))]);
    assert_eq!(state.find(&EventQuery::default()), ["aa x 900"]);
    // The log is read once more, and goes on.
    state.run(LIMITS, [told(grown(1, 0), None), told(grown(900, 9), None)]);
    assert_eq!(state.find(&EventQuery::default()), ["aa x 900"]);
    state.run(LIMITS, [told(grown(901, 10), None)]);
    assert_eq!(state.find(&EventQuery::default()), ["aa x 901"]);
    let reader = Reader::open(&state.0).unwrap();
    let page = reader.events(&EventQuery::default(), Order::NewestFirst, None).unwrap();
    let read = &page.events[0].told;
    assert_eq!(
        **read,
        StorageEvent { event: grown(901, 10), incident: Some("aa".to_owned()) },
        "nothing of it is lost"
    );
}

#[test]
fn an_event_is_found_by_its_device_and_by_all_that_is_above_and_below_it() {
    let state = State::new("device");
    let of_map = Event {
        others: vec![Other { role: "path".to_owned(), device: path("sdb").into() }],
        ..event(3, "cc", Some(Summary { id: "mpath-3600".to_owned(), kind: DeviceKind::Multipath, ..volume() }))
    };
    state.run(
        LIMITS,
        [
            told(event(1, "aa", Some(path("sdb"))), None),
            told(event(2, "bb", Some(volume())), None),
            told(of_map, None),
            told(event(4, "dd", None), None),
        ],
    );
    for key in ["naa.5000sdb", "sdb", "LVM-abc", "vg-web", "web", "web/0", "/srv/web", "drbd-services@web.target"] {
        assert_eq!(state.device(key), ["cc x 1", "bb x 1", "aa x 1"], "{key}");
    }
    assert_eq!(state.device("vg/web"), ["cc x 1", "bb x 1"]);
    assert_eq!(state.device("sdz"), [""; 0]);
    // Two names of one disk find each event once.
    let both = Some(vec!["sdb".to_owned(), "naa.5000sdb".to_owned(), "nothing".to_owned()]);
    let query = EventQuery { devices: both, ..EventQuery::default() };
    assert_eq!(state.find_in(&query, Order::OldestFirst), ["aa x 1", "bb x 1", "cc x 1"]);
    assert_eq!(state.sql("SELECT count(*) FROM event_subject"), 3, "the devices of an event are kept beside it");
}

#[test]
fn all_that_is_asked_for_has_to_hold() {
    let state = State::new("filter");
    let thin = |second: u64, id: &str, severity: Severity| Event {
        kind: "THIN_USAGE".to_owned(),
        subsystem: Subsystem::Thin,
        severity,
        ..event(second, id, None)
    };
    state.run(
        LIMITS,
        [
            told(event(1, "aa", Some(path("sdb"))), Some("aa")),
            told(thin(2, "bb", Severity::Warning), None),
            told(thin(3, "cc", Severity::Critical), Some("aa")),
            told(event(4, "dd", Some(path("sdc"))), None),
        ],
    );
    let all = EventQuery::default;
    let second = |second: u64| Some(now_us() + second * SECOND);
    for (query, found) in [
        (EventQuery { severity: Some(Severity::Error), ..all() }, vec!["dd", "cc", "aa"]),
        (EventQuery { severity: Some(Severity::Info), ..all() }, vec!["dd", "cc", "bb", "aa"]),
        (EventQuery { types: vec!["thin_usage".to_owned()], ..all() }, vec!["cc", "bb"]),
        (EventQuery { subsystems: vec![Subsystem::Scsi], ..all() }, vec!["dd", "aa"]),
        (EventQuery { incident: Some("aa".to_owned()), ..all() }, vec!["cc", "aa"]),
        (EventQuery { since_us: second(2), until_us: second(3), ..all() }, vec!["cc", "bb"]),
        (EventQuery { devices: Some(vec!["sdb".to_owned()]), since_us: second(2), ..all() }, vec![]),
        (
            EventQuery {
                types: vec!["THIN_USAGE".to_owned()],
                severity: Some(Severity::Critical),
                since_us: second(1),
                ..all()
            },
            vec!["cc"],
        ),
    ] {
        let ids = |found: Vec<String>| -> Vec<String> {
            found.iter().map(|found| found.trim_end_matches(" x 1").to_owned()).collect()
        };
        assert_eq!(ids(state.find(&query)), found, "{query:?}");
        let mut backwards = ids(state.find_in(&query, Order::OldestFirst));
        backwards.reverse();
        assert_eq!(backwards, found, "{query:?}");
    }
}

#[test]
fn pages_follow_one_another_without_a_hole() {
    let state = State::new("pages");
    let count = 3 * PAGE + 5;
    // Several of one time, and not in its order.
    let events = (0..count).map(|number| event((number as u64 * 7919 % 100) / 3, &format!("{number:04}"), None));
    state.run(LIMITS, events.map(|event| told(event, None)));
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let mut found = state.find_in(&EventQuery::default(), order);
        assert_eq!(found.len(), count);
        found.sort();
        found.dedup();
        assert_eq!(found.len(), count);
    }
    // Those who follow go on behind a number, in the order in which events came.
    let reader = Reader::open(&state.0).unwrap();
    let first = reader.events_behind(0).unwrap();
    assert_eq!(first.len(), PAGE);
    assert_eq!(first[0].told.event.id, "0000");
    let last = reader.last_event().unwrap();
    assert_eq!(reader.events_behind(last).unwrap(), []);
    assert_eq!(reader.events_behind(last - 1).unwrap()[0].told.event.id, format!("{:04}", count - 1));
}

fn incidents(events: &[Event]) -> (Vec<Told>, Vec<Incident>) {
    let mut incidents = Incidents::new(Settings::default());
    let mut news = Vec::new();
    for event in events {
        news.extend(
            incidents
                .take(event, event.at.wall_us.unwrap())
                .into_iter()
                .map(|news| Told::Incident(news.change, news.incident)),
        );
    }
    (news, incidents.open().map(|incident| (**incident).clone()).collect())
}

#[test]
fn incidents_are_kept_as_they_were_last_and_what_became_part_of_one_is_found_with_it() {
    let state = State::new("incidents");
    let stand_alone = |name: &str| Summary { above: Vec::new(), carries: Carries::default(), ..path(name) };
    let both = Summary {
        below: vec![related("naa.5000sdb", "sdb", DeviceKind::Scsi), related("naa.5000sdc", "sdc", DeviceKind::Scsi)],
        ..volume()
    };
    let events = [
        event(1, "aa", Some(stand_alone("sdb"))),
        event(2, "bb", Some(stand_alone("sdc"))),
        event(3, "cc", Some(both)),
    ];
    let (mut news, open) = incidents(&events);
    assert_eq!(open.len(), 1, "the third connects them");
    for (event, incident) in events.iter().zip(["aa", "bb", "aa"]) {
        news.push(told(event.clone(), Some(incident)));
    }
    state.run(LIMITS, news);
    let reader = Reader::open(&state.0).unwrap();
    assert_eq!(reader.incidents(0, 10).unwrap(), open);
    assert_eq!(reader.incidents_named("a").unwrap(), open);
    assert!(reader.incidents_named("b").unwrap()[0].is_part());
    assert_eq!(reader.incidents_named("").unwrap().len(), 2, "it is ambiguous");
    let query = EventQuery { incident: Some("aa".to_owned()), ..EventQuery::default() };
    assert_eq!(state.find(&query), ["cc x 1", "bb x 1", "aa x 1"]);
}

#[test]
fn a_flood_of_events_costs_nothing_of_the_rest_and_what_is_lost_is_said() {
    let state = State::new("flood");
    state.run(LIMITS, []);
    // Nothing can be written for a while.
    let lock = Connection::open(state.0.join(FILE_NAME)).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut history = History::start_with(&state.0, "n1".to_owned(), LIMITS, 64, Duration::from_millis(1));
    for number in 0..10_000 {
        history.write(SystemTime::now(), &of(told(event(1, &format!("{number:05}"), None), None)));
    }
    let note = Entry::new(Kind::Note, HistorySeverity::Info, "what else happened".to_owned());
    history.write(SystemTime::now(), &of(Told::Entry(note)));
    let lost = history.status().lost;
    assert!((5000..=6000).contains(&lost), "{lost}");
    lock.execute_batch("ROLLBACK").unwrap();
    assert!(history.finish(LONG));
    let gap = format!("{lost} storage events are missing: there were more than could be written");
    assert_eq!(state.entries(), ["what else happened".to_owned(), gap]);
    assert_eq!(state.find(&EventQuery::default()).len() as u64, 10_000 - lost);
}

#[test]
fn events_take_no_more_than_their_share_and_all_that_belongs_to_old_ones_goes_with_them() {
    let state = State::new("share");
    let limits = Limits { max_bytes: 4 << 20, ..LIMITS };
    let note = |text: &str| Told::Entry(Entry::new(Kind::Note, HistorySeverity::Info, text.to_owned()));
    let events = |from: u64, many: u64| {
        (from..from + many)
            .map(|number| told(event(number, &format!("{number:08}"), Some(path(&format!("sd{number}")))), None))
    };
    state.run(limits, std::iter::once(note("the first of all")).chain(events(0, 3000)));
    // It is looked at when the daemon starts.
    state.run(limits, events(3000, 3000));
    state.run(limits, []);
    let left = state.find(&EventQuery::default());
    assert!(left.len() < 4000 && left[0] == "00005999 x 1", "{} are left", left.len());
    assert_eq!(state.entries(), ["the first of all"]);
    assert!(state.sql("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'event-bytes'") <= 2 << 20);
    let sum = state.sql("SELECT sum(bytes) FROM event");
    assert_eq!(state.sql("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'event-bytes'"), sum);
    assert_eq!(state.sql("SELECT count(*) FROM event_subject"), left.len() as i64);
    assert_eq!(state.sql("SELECT count(DISTINCT event) FROM event_device"), left.len() as i64);
    assert_eq!(state.device("sd0"), [""; 0]);
    assert_eq!(state.sql("SELECT count(*) FROM event_key WHERE text = 'sd0'"), 0);
    // All but the last of one time.
    assert_eq!(state.device("sd5999"), ["00005999 x 1"]);
}

#[test]
fn a_file_of_a_version_without_events_is_read_as_one_that_has_none() {
    let state = State::new("older");
    let mut older = Connection::open(state.0.join(FILE_NAME)).unwrap();
    crate::history::schema::migrate_to(&mut older, 2).unwrap();
    drop(older);
    assert_eq!(state.find(&EventQuery::default()), [""; 0]);
    let reader = Reader::open(&state.0).unwrap();
    assert_eq!((reader.last_event().unwrap(), reader.incidents(0, 9).unwrap()), (0, Vec::new()));
    state.run(LIMITS, [told(event(1, "aa", None), None)]);
    assert_eq!(state.find(&EventQuery::default()), ["aa x 1"]);
}
