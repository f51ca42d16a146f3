//! What a question about stored storage events costs, with millions of them in the file.
//!
//! Ten thousand are written by the history itself; the file then gets copies of these, later each time, with SQL: the rows are the same that it
//! would write, and it takes minutes in place of hours.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};
use reactor_core::history::{News, StorageEvent, Told};
use reactor_core::ids::Mono;
use reactor_storage::device::{Carries, Kind, Related, Summary};
use reactor_storage::event::{Event, Severity, Subsystem};
use reactor_storage::record::Stamp;
use reactor_sys::history::events::read::{EventQuery, Order};
use reactor_sys::history::read::Reader;
use reactor_sys::history::{FILE_NAME, History, Limits};
use rusqlite::Connection;

use crate::report::{quantile, sorted, verdict};
use crate::setup::Setup;

/// The first hundred of one device, whatever else is in the file.
const TARGET_MS: f64 = 20.0;
/// Disks that fail; each is below a volume of LVM, and ten of these below a resource of DRBD.
const DISKS: u64 = 2000;
/// Events of each that the history writes.
const EACH: u64 = 5;
/// How often these are copied: ten million are in the file then, some GB in the folder for temporary files, which are gone afterwards.
const COPIES: u64 = 1000;
/// What is asked for.
const ROWS: usize = 100;

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn measure(setup: &Setup) -> Result<String> {
    let folder = Folder(std::env::temp_dir().join(format!("reactor-bench-stored-{}", std::process::id())));
    let limits = Limits { max_age: Duration::from_secs(1 << 40), max_bytes: 64 << 30 };
    for round in 0..EACH {
        let mut history = History::start(&folder.0, "n1".to_owned(), limits);
        for disk in 0..DISKS {
            history.write(SystemTime::now(), &news(round, disk));
        }
        ensure!(history.finish(Duration::from_secs(60)), "the events were not written");
    }
    let (began, copies) = (Instant::now(), setup.choose(COPIES, 20));
    copy(&folder.0, copies)?;
    let took = began.elapsed();
    let count = DISKS * EACH * copies;
    let mut text = format!(
        "\nStored storage events: the first {ROWS} of {count} in the file (filled within {} s)\n\n{:<44}{:>12}{:>12}{:>16}\n",
        took.as_secs(),
        "",
        "median",
        "longest",
        "target"
    );
    let of_device = |device: &str| EventQuery { devices: Some(vec![device.to_owned()]), ..EventQuery::default() };
    for (what, query, is_target) in [
        ("of a disk, by its id", of_device("naa.5000000000000777"), true),
        ("of what is above it: a resource of DRBD", of_device("r77"), true),
        ("of what all of them carry", of_device("storage.target"), true),
        ("of a disk, critical ones (one in 5)", critical(of_device("naa.5000000000000777")), true),
        ("the newest of all", EventQuery::default(), false),
        ("critical ones of all", critical(EventQuery::default()), false),
        ("of a type", EventQuery { types: vec!["BLK_IO_ERROR".to_owned()], ..EventQuery::default() }, false),
    ] {
        let mut times = Vec::new();
        for _ in 0..20 {
            let at = Instant::now();
            let reader = Reader::open(&folder.0)?;
            let page = reader.events(&query, Order::NewestFirst, None)?;
            ensure!(page.events.len() >= ROWS, "{what}: {} events", page.events.len());
            times.push(at.elapsed().as_secs_f64() * 1e3);
        }
        let times = sorted(times);
        let (median, longest) = (quantile(&times, 0.5), quantile(&times, 1.0));
        let target = if is_target { format!("<{TARGET_MS}{}", verdict(longest, TARGET_MS)) } else { String::new() };
        writeln!(text, "{what:<44}{median:>9.2} ms{longest:>9.2} ms{target:>16}")?;
    }
    Ok(text)
}

fn critical(query: EventQuery) -> EventQuery {
    EventQuery { severity: Some(Severity::Critical), ..query }
}

/// Copies what is there so often, each time later.
fn copy(dir: &Path, copies: u64) -> Result<()> {
    let connection = Connection::open(dir.join(FILE_NAME))?;
    connection.execute_batch(
        "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; PRAGMA max_page_count = 4294967294; PRAGMA cache_size = -1000000;",
    )?;
    let number = |select: &str| connection.query_row(select, [], |row| row.get::<_, i64>(0));
    let (rows, last) = (number("SELECT max(seq) FROM event")?, number("SELECT max(number) FROM event")?);
    let newest = number("SELECT max(at_us) FROM event")?;
    let span = number("SELECT max(at_us) - min(at_us) + 1000000 FROM event")?;
    connection.execute_batch("BEGIN")?;
    let events = "INSERT INTO event
        SELECT seq + ?1, printf('%016x', seq + ?1), ?2 + seq, at_us + ?3, last_us + ?3, severity, type, subsystem, incident, count, subject, message, bytes, body
        FROM event WHERE seq <= ?4 ORDER BY seq";
    let devices =
        "INSERT INTO event_device SELECT key, at_us + ?1, event + ?2 FROM event_device WHERE key = ?3 AND at_us <= ?4";
    let keys: Vec<i64> = {
        let mut statement = connection.prepare("SELECT id FROM event_key ORDER BY id")?;
        statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?
    };
    for copy in 1..i64::try_from(copies)? {
        let (shift, later) = (copy * rows, copy * span);
        connection.prepare_cached(events)?.execute([shift, last + shift, later, rows])?;
    }
    // Key by key, as the table is sorted: a place of it is written once.
    for key in keys {
        for copy in 1..i64::try_from(copies)? {
            connection.prepare_cached(devices)?.execute([copy * span, copy * rows, key, newest])?;
        }
    }
    connection.execute_batch("COMMIT")?;
    Ok(())
}

fn news(round: u64, disk: u64) -> News {
    let types = ["SCSI_MEDIUM_ERROR", "BLK_IO_ERROR", "MPATH_PATH_FAILED", "MPATH_PATH_REINSTATED", "SCSI_RESET"];
    let severities = [Severity::Critical, Severity::Error, Severity::Error, Severity::Notice, Severity::Warning];
    let index = usize::try_from((round + disk) % EACH).unwrap_or(0);
    let wall_us = Some(1_700_000_000_000_000 + (round * DISKS + disk) * 1_000_000);
    let at = Stamp { wall_us, boot_us: Some(round * DISKS + disk) };
    let message =
        format!("critical medium error, dev sd{disk}, sector {} op 0x0:(READ) flags 0x0 phys_seg 1", disk * 8);
    let event = Event {
        id: format!("{:016x}", round * DISKS + disk + 1),
        at,
        last: at,
        severity: severities[index],
        kind: types[index].to_owned(),
        subsystem: Subsystem::Scsi,
        device: Some(device(disk).into()),
        others: Vec::new(),
        fields: [("sector".to_owned(), (disk * 8).to_string())].into(),
        lines: vec![message.clone()],
        message,
        count: 1,
        source: "kernel".to_owned(),
        host: None,
    };
    let what = Told::Event(Arc::new(StorageEvent { event, incident: None }));
    News { at: Mono::ZERO, resource: None, what }
}

/// A disk, with what is built on it.
fn device(disk: u64) -> Summary {
    let related = |id: String, name: String, kind| Related { id, name, kind };
    let resource = disk / 10;
    Summary {
        id: format!("naa.{:016}", 5_000_000_000_000_000 + disk),
        kind: Kind::Scsi,
        number: None,
        name: format!("sd{disk}"),
        names: vec![format!("6:0:0:{disk}")],
        path: format!("/dev/disk/by-id/wwn-{disk}"),
        size: Some(1 << 40),
        transport: None,
        file_system: None,
        mounts: Vec::new(),
        above: vec![
            related(format!("LVM-{disk}"), format!("vg-lv{disk}"), Kind::Lvm),
            related(format!("drbd:r{resource}/0"), format!("drbd{resource}"), Kind::Drbd),
        ],
        below: Vec::new(),
        carries: Carries {
            drbd: [format!("r{resource}/0")].into(),
            mounts: [format!("/srv/r{resource}")].into(),
            units: ["storage.target".to_owned()].into(),
        },
        gone_us: None,
        called: Vec::new(),
    }
}
