//! Failures that were provoked on a real kernel (7.2): each is the incident that a person would write down.

#![expect(clippy::disallowed_methods, reason = "recordings are files; the crate itself does no I/O")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use expect_test::expect_file;
use reactor_storage::catalogue::Catalogue;
use reactor_storage::device::DeviceMap;
use reactor_storage::event::{Event, Severity};
use reactor_storage::formats::{Format, Reader};
use reactor_storage::incidents::{Incidents, Settings};
use reactor_storage::pipeline::{Phase, Pipeline, Told};

/// What becomes of a log by the time that it ends, and an hour after it.
struct Told72 {
    events: Vec<Event>,
    text: String,
}

fn read(path: &Path) -> Told72 {
    let bytes = fs::read(path).expect("it is there");
    let (catalogue, map) = (Catalogue::built_in(), DeviceMap::default());
    let (mut pipeline, mut incidents) = (Pipeline::new(), Incidents::new(Settings::default()));
    let (mut events, mut over, mut now) = (Vec::new(), Vec::new(), 0);
    let mut take = |told: Vec<Told>, incidents: &mut Incidents, now: u64| {
        for Told { phase, event } in told {
            over.extend(incidents.take(&event, now).into_iter().filter(|news| news.incident.end.is_some()));
            if phase == Phase::Ended {
                events.push(event);
            }
        }
    };
    let mut reader = Reader::new(Format::Json);
    let mut each = |record: reactor_storage::record::Record<'_>| {
        now = now.max(record.at.boot_us.unwrap_or_default());
        if let Some(finding) = catalogue.classify(&record) {
            pipeline.take(&record, &finding, &map, now);
        }
        pipeline.expire(&map, now);
        take(pipeline.told(), &mut incidents, now);
    };
    reader.push(&bytes, &mut each);
    reader.end(&mut each);
    pipeline.finish(&map);
    take(pipeline.told(), &mut incidents, now);
    let when = |event: &Event| format!("{:>10.3}", Duration(event.at.boot_us.unwrap_or_default()).seconds());
    let mut text = String::new();
    events.sort_by_key(|event| event.at);
    text.push_str("events\n");
    for event in events.iter().filter(|event| event.severity > Severity::Info) {
        let times = if event.count > 1 { format!(" x{}", event.count) } else { String::new() };
        let _ = writeln!(text, "{} {:<8} {} on {}{times}", when(event), event.severity, event.kind, event.subject());
    }
    over.extend(incidents.expire(now + 3_600_000_000));
    let mut all: Vec<_> = over.into_iter().map(|news| news.incident).chain(incidents.open().cloned()).collect();
    all.sort_by_key(|incident| incident.opened_us);
    for incident in all {
        text.push('\n');
        text.push_str(&incident.story(when));
    }
    Told72 { events, text }
}

struct Duration(u64);

impl Duration {
    fn seconds(&self) -> f64 {
        std::time::Duration::from_micros(self.0).as_secs_f64()
    }
}

#[test]
fn each_failure_is_the_incident_that_a_person_would_write_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings/kernel72");
    let mut names: Vec<_> = fs::read_dir(&folder)
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

/// Whoever reads the same log again gets the same events, with the same ids, and no two have one id.
#[test]
fn the_same_log_gives_the_same_events() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings/kernel72/multipath.json");
    let (first, second) = (read(&path).events, read(&path).events);
    assert_eq!(first, second);
    let mut ids: Vec<_> = first.iter().map(|event| &event.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), first.len());
}
