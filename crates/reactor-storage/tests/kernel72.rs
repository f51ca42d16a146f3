//! Failures that were provoked on a real kernel (7.2): each is the incident that a person would write down.

#![expect(clippy::disallowed_methods, reason = "recordings are files; the crate itself does no I/O")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use expect_test::expect_file;
use reactor_storage::catalogue::Catalogue;
use reactor_storage::device::DeviceMap;
use reactor_storage::event::{Event, Severity};
use reactor_storage::formats::{Format, Reader};
use reactor_storage::incidents::{Incident, Incidents, Settings};
use reactor_storage::pipeline::{Phase, Pipeline, Told};
use reactor_storage::record::{Origin, Record};
use reactor_storage::uevent::Uevent;

/// What becomes of a log by the time that it ends, and an hour after it.
struct Told72 {
    events: Vec<Event>,
    text: String,
}

/// One who listens.
struct Listener {
    catalogue: Catalogue,
    map: DeviceMap,
    pipeline: Pipeline,
    incidents: Incidents,
    events: Vec<Event>,
    over: Vec<Arc<Incident>>,
    now: u64,
}

impl Listener {
    fn new() -> Self {
        let (catalogue, map) = (Catalogue::built_in(), DeviceMap::default());
        let (pipeline, incidents) = (Pipeline::new(), Incidents::new(Settings::default()));
        Self { catalogue, map, pipeline, incidents, events: Vec::new(), over: Vec::new(), now: 0 }
    }

    fn hear(&mut self, record: &Record<'_>) {
        self.now = self.now.max(record.at.boot_us.unwrap_or_default());
        if let Some(finding) = self.catalogue.classify(record) {
            self.pipeline.take(record, &finding, &self.map, self.now);
        }
        self.pipeline.expire(&self.map, self.now);
        self.take();
    }

    fn take(&mut self) {
        for Told { phase, event } in self.pipeline.told() {
            let news = self.incidents.take(&event, self.now).into_iter().map(|news| news.incident);
            self.over.extend(news.filter(|incident| incident.end.is_some()));
            // Of one moment, the one that began first is the first.
            match self.events.iter_mut().find(|known| known.id == event.id) {
                Some(known) if phase != Phase::Began => *known = event,
                _ => self.events.push(event),
            }
        }
    }

    fn end(mut self) -> Told72 {
        self.pipeline.finish(&self.map);
        self.take();
        let Self { mut events, mut over, mut incidents, now, .. } = self;
        let when = |event: &Event| format!("{:>10.3}", Duration(event.at.boot_us.unwrap_or_default()).seconds());
        let mut text = String::new();
        events.sort_by_key(|event| event.at);
        text.push_str("events\n");
        for event in events.iter().filter(|event| event.severity > Severity::Info) {
            let times = if event.count > 1 { format!(" x{}", event.count) } else { String::new() };
            let _ =
                writeln!(text, "{} {:<8} {} on {}{times}", when(event), event.severity, event.kind, event.subject());
        }
        over.extend(incidents.expire(now + 3_600_000_000).into_iter().map(|news| news.incident));
        over.extend(incidents.open().cloned());
        over.sort_by_key(|incident| incident.opened_us);
        for incident in over {
            text.push('\n');
            text.push_str(&incident.story(when));
        }
        Told72 { events, text }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings/kernel72")
}

fn read(path: &Path) -> Told72 {
    let bytes = fs::read(path).expect("it is there");
    let mut listener = Listener::new();
    let mut reader = Reader::new(Format::Json);
    reader.push(&bytes, |record| listener.hear(&record));
    reader.end(|record| listener.hear(&record));
    listener.end()
}

/// Each uevent that `udevadm monitor --kernel --property` printed, as its datagram, with when it came.
fn uevents(text: &str) -> Vec<(u64, Vec<u8>)> {
    let of_kernel = text.split("\n\n").filter_map(|block| block.split_once("KERNEL["));
    let each = of_kernel.filter_map(|(_, block)| {
        let (seconds, rest) = block.split_once(']')?;
        let (whole, part) = seconds.split_once('.')?;
        let at = whole.parse::<u64>().ok()? * 1_000_000 + part.parse::<u64>().ok()?;
        let properties: Vec<&str> = rest.lines().skip(1).collect();
        let value = |key: &str| properties.iter().find_map(|property| property.strip_prefix(key));
        let head = format!("{}@{}", value("ACTION=")?, value("DEVPATH=")?);
        let parts: Vec<&str> = [head.as_str()].into_iter().chain(properties.iter().copied()).collect();
        Some((at, parts.join("\0").into_bytes()))
    });
    each.collect()
}

/// The log and the uevents of one story, in the order in which they came.
fn read_with_uevents(name: &str) -> Told72 {
    let log = fs::read(folder().join(name).with_extension("json")).expect("it is there");
    let text = fs::read_to_string(folder().join(name).with_extension("uevents")).expect("it is there");
    let mut all: Vec<(u64, Origin<'static>, String)> = Vec::new();
    let mut reader = Reader::new(Format::Json);
    let mut each = |record: Record<'_>| {
        if record.origin == Origin::Kernel {
            all.push((record.at.boot_us.unwrap_or_default(), Origin::Kernel, record.text.into_owned()));
        }
    };
    reader.push(&log, &mut each);
    reader.end(&mut each);
    let datagrams = uevents(&text);
    assert!(datagrams.len() > 40, "{}", datagrams.len());
    for (at, datagram) in &datagrams {
        let lines = Uevent::parse(datagram).expect("it is one").lines();
        all.extend(lines.into_iter().map(|line| (*at, Origin::Uevent, line)));
    }
    all.sort_by_key(|(at, ..)| *at);
    let mut listener = Listener::new();
    for (at, origin, text) in all {
        let mut record = Record::new(origin, text);
        record.at.boot_us = Some(at);
        listener.hear(&record);
    }
    listener.end()
}

struct Duration(u64);

impl Duration {
    fn seconds(&self) -> f64 {
        std::time::Duration::from_micros(self.0).as_secs_f64()
    }
}

#[test]
fn each_failure_is_the_incident_that_a_person_would_write_down() {
    let mut names: Vec<_> = fs::read_dir(folder())
        .expect("it is there")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    names.sort();
    assert!(names.len() >= 12, "{names:?}");
    for path in names {
        let told = read(&path);
        expect_file![path.with_extension("incidents.txt")].assert_eq(&told.text);
        assert!(told.events.iter().all(|event| event.count > 0 && !event.lines.is_empty()));
    }
}

/// multipathd was not there: that no path was left is known by the uevents. Nothing that the log says comes twice because of them.
#[test]
fn uevents_add_how_many_paths_are_left_and_double_nothing() {
    let told = read_with_uevents("multipath");
    expect_file![folder().join("multipath-uevents.incidents.txt")].assert_eq(&told.text);
}

/// Whoever reads the same log again gets the same events, with the same ids, and no two have one id.
#[test]
fn the_same_log_gives_the_same_events() {
    let path = folder().join("multipath.json");
    let (first, second) = (read(&path).events, read(&path).events);
    assert_eq!(first, second);
    let mut ids: Vec<_> = first.iter().map(|event| &event.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), first.len());
}
