//! The real SQLite, on real files.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::LazyLock;

use reactor_api::history::HistorySpan;
use reactor_core::action::Reason;
use reactor_core::history::{Entry, Kind, Outcome, Phases, Row, Serving, Severity};
use reactor_core::ids::{ActionId, Mono};
use rusqlite::Connection;

use super::read::{Query, Reader};
use super::*;

const LONG: Duration = Duration::from_secs(300);
const LIMITS: Limits = Limits { max_age: Duration::from_secs(400 * 86_400), max_bytes: 64 << 20 };

struct State(PathBuf);

impl State {
    fn new(name: &str) -> Self {
        let path = crate::testing::open_to_all().join(format!("reactor-history-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn start(&self) -> History {
        History::start(&self.0, "n1".to_owned(), LIMITS)
    }

    fn file(&self) -> PathBuf {
        self.0.join(FILE_NAME)
    }

    fn read(&self) -> Vec<HistoryEntry> {
        read(&Reader::open(&self.0).unwrap(), &Query { last: 100_000, ..Query::default() })
    }

    fn spans(&self) -> Vec<String> {
        let reader = Reader::open(&self.0).unwrap();
        let mut spans: Vec<HistorySpan> = Vec::new();
        loop {
            let page = reader.spans(&Query::default(), spans.last().map_or(0, |span| span.id)).unwrap();
            let is_last = page.len() < read::PAGE;
            spans.extend(page);
            if is_last {
                break;
            }
        }
        let word = |span: HistorySpan| {
            let open = if span.until.is_some() { "" } else { ", open" };
            format!("{} {}{open}", span.resource, span.state)
        };
        spans.into_iter().map(word).collect()
    }

    fn set_aside(&self) -> Vec<String> {
        let names = std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.contains("broken") && !name.contains("db-")).collect();
        names.retain(|name| !name.ends_with("-wal") && !name.ends_with("-shm"));
        names.sort();
        names
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn read(reader: &Reader, query: &Query) -> Vec<HistoryEntry> {
    let mut all = Vec::new();
    let Some(mut from) = reader.begin(query).unwrap() else { return all };
    let mut after = false;
    loop {
        let (page, end) = reader.page(query, from, after).unwrap();
        let is_last = page.len() < read::PAGE;
        all.extend(page);
        match end {
            Some(end) if !is_last => (from, after) = (end, true),
            _ => return all,
        }
    }
}

/// The present, more or less.
static NOW: LazyLock<SystemTime> = LazyLock::new(|| {
    UNIX_EPOCH + Duration::from_secs(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() - 100_000)
});

fn at(s: u64) -> SystemTime {
    *NOW + Duration::from_secs(s)
}

fn about(resource: &str, what: Told) -> News {
    News { at: Mono::ZERO, resource: Some(resource.into()), what }
}

fn note(text: &str) -> News {
    about("r0", Told::Entry(Entry::new(Kind::Note, Severity::Info, text.to_owned())))
}

fn stands(serving: Serving, primary: bool) -> News {
    let presence =
        Presence { serving, primary: Some(primary), planned: false, because: Vec::new(), phases: Phases::default() };
    about("r0", Told::Presence(Box::new(presence)))
}

fn texts(entries: &[HistoryEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.what.as_str()).collect()
}

#[test]
fn what_is_written_is_read_with_its_outcome_and_by_its_owner_and_group_only() {
    let state = State::new("written");
    let mut history = state.start();
    let entry = Entry {
        action: Some(ActionId(7)),
        because: vec![Reason("may_promote:yes".to_owned()), Reason("waited for 2 s".to_owned())],
        who: Some("root".to_owned()),
        ..Entry::new(Kind::Decision, Severity::Info, "start r0".to_owned())
    };
    history.write(at(1), &about("r0", Told::Entry(entry)));
    let took = Some(Duration::from_millis(1500));
    history.write(at(3), &about("r0", Told::Outcome(Outcome { action: ActionId(7), how: "failed".to_owned(), took })));
    let more = Outcome { action: ActionId(7), how: "a.service has failed".to_owned(), took: None };
    history.write(at(3), &about("r0", Told::Outcome(more)));
    assert!(history.finish(LONG));
    let entries = state.read();
    assert_eq!(texts(&entries), ["start r0"]);
    let entry = &entries[0];
    assert_eq!((entry.node.as_str(), entry.who.as_deref()), ("n1", Some("root")));
    assert_eq!(entry.because, ["may_promote:yes", "waited for 2 s"]);
    assert_eq!((entry.outcome.as_deref(), entry.took_ms), (Some("failed; a.service has failed"), Some(1500)));
    let mode = std::fs::metadata(state.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    // The next run goes on, and its actions are others.
    let mut history = state.start();
    let late = Outcome { action: ActionId(7), how: "another".to_owned(), took: None };
    history.write(at(9), &about("r0", Told::Outcome(late)));
    history.write(at(9), &note("more"));
    assert!(history.finish(LONG));
    let entries = state.read();
    assert_eq!(texts(&entries), ["start r0", "more"]);
    assert_eq!(entries[0].outcome.as_deref(), Some("failed; a.service has failed"));
}

#[test]
fn pages_and_bounds_give_each_entry_once_in_the_order_of_time() {
    let state = State::new("pages");
    let mut history = state.start();
    let count = 3 * read::PAGE + 7;
    for number in 0..count {
        let news = if number % 2 == 0 {
            note(&number.to_string())
        } else {
            News { resource: Some("r1".into()), ..note("other") }
        };
        history.write(at(number as u64), &news);
    }
    assert!(history.finish(LONG));
    assert_eq!(state.read().len(), count);
    let reader = Reader::open(&state.0).unwrap();
    let of_r0 = Query { resource: Some("r0".to_owned()), last: 100_000, ..Query::default() };
    assert_eq!(read(&reader, &of_r0).len(), count.div_ceil(2));
    let last = read(&reader, &Query { last: 2, ..of_r0.clone() });
    assert_eq!(texts(&last), [(count - 3).to_string(), (count - 1).to_string()]);
    let (since, until) = (Some(unix_ms(at(10))), Some(unix_ms(at(14))));
    assert_eq!(texts(&read(&reader, &Query { since, until, ..of_r0 })), ["10", "12", "14"]);
}

#[test]
fn a_restart_is_no_downtime_and_a_crash_is_known_as_far_as_it_can_be() {
    let state = State::new("restart");
    let mut history = state.start();
    history.write(at(1), &stands(Serving::Nowhere, false));
    history.write(at(2), &stands(Serving::Here, true));
    assert!(history.finish(LONG));
    // One that is killed: nobody says that it ends.
    let place = open::Place::look(&state.0, true).unwrap();
    let (mut store, before) = store::Store::open(place, LIMITS, "n1", unix_ms(at(50))).unwrap();
    assert_eq!(before.len(), 1);
    let mut rows = Vec::new();
    let mut ledger = reactor_core::history::Ledger::new(before);
    ledger.take(unix_ms(at(60)), stands(Serving::Here, true), &mut rows);
    store.write(&rows, unix_ms(at(70))).unwrap();
    drop(store);
    let mut history = state.start();
    history.write(at(100), &stands(Serving::Here, true));
    assert!(history.finish(LONG));
    assert_eq!(
        state.spans(),
        ["r0 nowhere", "r0 here", "r0 unwatched", "r0 here", "r0 unwatched", "r0 here"],
        "the daemon has ended: until then it ran here"
    );
    let file = Connection::open(state.file()).unwrap();
    let gap = "SELECT since FROM span WHERE state = 'unwatched' ORDER BY id DESC LIMIT 1";
    let since: i64 = file.query_row(gap, [], |row| row.get(0)).unwrap();
    assert_eq!(u64::try_from(since).unwrap(), unix_ms(at(70)), "until then it is known");
    let promoted = state.read().iter().filter(|entry| entry.kind == "promoted").count();
    assert_eq!(promoted, 1);
}

#[test]
fn a_broken_file_is_set_aside_and_a_new_one_begun_and_few_of_them_are_kept() {
    let state = State::new("broken");
    for round in 0..open::KEPT + 2 {
        let mut history = state.start();
        history.write(at(1), &note(&format!("round {round}")));
        assert!(history.finish(LONG));
        let entries = state.read();
        let texts = texts(&entries);
        assert_eq!(texts.len(), if round == 0 { 1 } else { 2 }, "{texts:?}");
        assert!(round == 0 || texts.iter().any(|text| text.contains("is kept as history.db.broken-")), "{texts:?}");
        assert_eq!(state.set_aside().len(), round.min(open::KEPT));
        match round % 2 {
            0 => std::fs::write(
                state.file(),
                "this was never a database, and is longer than its header should be, by far, so that it is read\n"
                    .repeat(9),
            )
            .unwrap(),
            // Another program's.
            _ => {
                std::fs::remove_file(state.file()).unwrap();
                Connection::open(state.file()).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
                std::fs::set_permissions(state.file(), PermissionsExt::from_mode(0o640)).unwrap();
            }
        }
    }
}

/// Pages in the middle that do not hold what they should: found at the start after a crash, before anybody needs them.
#[test]
fn a_page_that_rotted_is_found_when_the_daemon_before_has_crashed() {
    let state = State::new("rotten");
    let mut history = state.start();
    for number in 0..2000 {
        history.write(
            at(number),
            &note("an entry that takes some room in the file, so that there are many pages of them"),
        );
    }
    assert!(history.finish(LONG));
    Connection::open(state.file())
        .unwrap()
        .execute_batch("UPDATE run SET ended = NULL; PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let mut bytes = std::fs::read(state.file()).unwrap();
    let length = bytes.len();
    assert!(length > 40 * 4096);
    bytes[length / 2 / 4096 * 4096..][..4096].fill(0xa5);
    std::fs::write(state.file(), &bytes).unwrap();
    let mut history = state.start();
    history.write(at(3000), &note("afterwards"));
    assert!(history.finish(LONG));
    assert_eq!(state.set_aside().len(), 1);
    assert_eq!(texts(&state.read())[0], "afterwards");
}

/// What a power cut leaves: the log beside the file ends in the middle of a transaction.
#[test]
fn a_torn_log_loses_no_more_than_what_was_torn() {
    let state = State::new("torn");
    let mut history = state.start();
    for number in 0..50 {
        history.write(at(number), &note(&number.to_string()));
    }
    assert!(history.finish(LONG));
    // As after a crash: the last process did not put its log into the file.
    let file = Connection::open(state.file()).unwrap();
    file.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    let insert = "INSERT INTO entry (run, time, kind, severity, what) VALUES (1, ?1, 'note', 'info', ?2)";
    for text in ["whole", "torn"] {
        file.execute(insert, (i64::try_from(unix_ms(at(90))).unwrap(), text)).unwrap();
    }
    let (db, wal) = (std::fs::read(state.file()).unwrap(), std::fs::read(state.0.join("history.db-wal")).unwrap());
    drop(file);
    let _ = std::fs::remove_file(state.0.join("history.db-shm"));
    std::fs::write(state.file(), db).unwrap();
    std::fs::write(state.0.join("history.db-wal"), &wal[..wal.len() - 100]).unwrap();
    let mut history = state.start();
    history.write(at(95), &note("afterwards"));
    assert!(history.finish(LONG));
    let entries = state.read();
    assert_eq!(entries.len(), 52, "{:?}", texts(&entries[48..]));
    assert_eq!(texts(&entries[49..]), ["49", "whole", "afterwards"]);
    assert!(state.set_aside().is_empty());
}

#[test]
fn a_file_of_a_newer_version_is_left_as_it_is() {
    let state = State::new("newer");
    assert!(state.start().finish(LONG));
    let newer = "UPDATE meta SET value = '99' WHERE key = 'writable-by'; PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)";
    Connection::open(state.file()).unwrap().execute_batch(newer).unwrap();
    let before = std::fs::read(state.file()).unwrap();
    let mut history = state.start();
    history.write(at(1), &note("no"));
    let ledgers = history.ledgers();
    history.finish(LONG);
    assert!(ledgers.failing().is_some_and(|why| why.contains("newer version (99")), "{:?}", ledgers.failing());
    assert_eq!(std::fs::read(state.file()).unwrap(), before);
    assert!(state.set_aside().is_empty());
}

#[test]
fn nothing_is_written_through_a_link_or_into_what_others_could_have_made() {
    let state = State::new("links");
    let victim = state.0.join("victim");
    std::fs::write(&victim, "precious").unwrap();
    let refused = |says: &str| {
        let history = state.start();
        let ledgers = history.ledgers();
        history.finish(LONG);
        let why = ledgers.failing().unwrap_or_default();
        assert!(why.contains(says), "{why}");
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    };
    for name in ["history.db", "history.db-wal", "history.db-shm"] {
        symlink(&victim, state.0.join(name)).unwrap();
        refused("it is a link");
        std::fs::remove_file(state.0.join(name)).unwrap();
        let _ = std::fs::remove_file(state.file());
    }
    rustix::fs::mknodat(rustix::fs::CWD, state.file(), rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    refused("not a regular file");
    std::fs::remove_file(state.file()).unwrap();
    std::fs::write(state.file(), "").unwrap();
    std::fs::set_permissions(state.file(), PermissionsExt::from_mode(0o666)).unwrap();
    refused("others can write it");
    std::fs::remove_file(state.file()).unwrap();
    std::fs::set_permissions(&state.0, PermissionsExt::from_mode(0o777)).unwrap();
    refused("can be written by others");
    assert!(!state.file().exists());
    // The folder itself as a link.
    std::fs::set_permissions(&state.0, PermissionsExt::from_mode(0o755)).unwrap();
    let link = state.0.join("link");
    symlink(&state.0, &link).unwrap();
    let history = History::start(&link, "n1".to_owned(), LIMITS);
    let ledgers = history.ledgers();
    history.finish(LONG);
    assert!(ledgers.failing().is_some_and(|why| why.contains("is not a folder")));
}

/// No place for one more page stands for a disk without room: SQLite has the same word for both.
#[test]
fn a_full_disk_is_said_and_what_waits_is_written_when_there_is_room_again() {
    let state = State::new("full");
    assert!(state.start().finish(LONG));
    let place = open::Place::look(&state.0, true).unwrap();
    let mut store = store::Store::open(place, LIMITS, "n1", 1).unwrap().0;
    store.set_limits(Limits { max_bytes: 1, ..LIMITS }).unwrap();
    let row = |text: &str| Row::Entry {
        time: unix_ms(at(1)),
        resource: None,
        entry: Entry::new(Kind::Note, Severity::Info, text.repeat(200)),
    };
    let rows: Vec<Row> = (0..200).map(|_| row("no room ")).collect();
    let error = store.write(&rows, 1).err();
    assert!(error.as_ref().is_some_and(HistoryError::is_full), "{error:?}");
    assert!(state.read().is_empty(), "all or nothing");
    store.set_limits(LIMITS).unwrap();
    assert_eq!(store.write(&rows, 1).unwrap().len(), 200);
}

/// The whole way, with a file that can't be opened for a while: news wait, the oldest go, and the file says what is missing.
#[test]
fn what_waits_for_longer_than_there_is_room_is_counted_and_the_file_says_from_when_to_when() {
    let state = State::new("waits");
    // A folder where the file should be: it can't be opened, whoever tries.
    std::fs::create_dir(state.file()).unwrap();
    let pause = Duration::from_millis(1);
    let mut history = History::start_with(&state.0, "n1".to_owned(), LIMITS, 100_000, pause);
    history.write(at(1), &stands(Serving::Here, true));
    for number in 0..10_000 {
        history.write(at(2 + number), &note(&number.to_string()));
    }
    let ledgers = history.ledgers();
    std::fs::remove_dir(state.file()).unwrap();
    assert!(history.finish(LONG));
    let lost = ledgers.shared.lost.load(Ordering::Relaxed);
    let entries = state.read();
    let notes = entries.iter().filter(|entry| entry.kind == "note").count() as u64;
    // How much of it was lost depends on when there was room; that nothing is lost unsaid does not.
    let gaps: Vec<&HistoryEntry> = entries.iter().filter(|entry| entry.kind == "gap").collect();
    assert_eq!(gaps.is_empty(), lost == 0);
    let levels = u64::from(lost > 0);
    assert_eq!(notes + lost, 10_000 + levels, "{gaps:?}");
    assert!(gaps.iter().all(|gap| gap.what.starts_with(&format!("{lost} entries are missing"))), "{gaps:?}");
    assert!(state.spans().last().is_some_and(|span| span == "r0 here"), "{:?}", state.spans());
}

#[test]
fn a_queue_that_is_full_loses_entries_and_never_where_a_resource_runs() {
    let state = State::new("queue");
    std::fs::create_dir(state.file()).unwrap();
    let (queue, pause) = (4, Duration::from_millis(1));
    let mut history = History::start_with(&state.0, "n1".to_owned(), LIMITS, queue, pause);
    for number in 0..5000 {
        history.write(at(number), &note("noise"));
        history.write(at(number), &stands(if number % 2 == 0 { Serving::Here } else { Serving::Nowhere }, true));
    }
    std::fs::remove_dir(state.file()).unwrap();
    // The last word comes through as soon as there is room.
    let ledgers = history.ledgers();
    history.write(at(6000), &stands(Serving::Here, true));
    while history.dropped.is_some() {
        std::thread::yield_now();
        history.write(at(6001), &note("is there room?"));
    }
    assert!(history.finish(LONG));
    assert_eq!(ledgers.failing(), None);
    assert_eq!(state.spans().last().map(String::as_str), Some("r0 here"));
}

#[test]
fn what_is_too_old_or_too_much_goes_and_the_newest_stays() {
    let state = State::new("bounds");
    assert!(state.start().finish(LONG));
    let place = open::Place::look(&state.0, true).unwrap();
    let limits = Limits { max_bytes: 2 << 20, ..LIMITS };
    let mut store = store::Store::open(place, limits, "n1", 1).unwrap().0;
    let now = unix_ms(at(0));
    let row = |time, text: &str| Row::Entry {
        time,
        resource: Some("r0".into()),
        entry: Entry::new(Kind::Note, Severity::Info, text.to_owned()),
    };
    let old = now - 401 * 86_400_000;
    store.write(&[row(old, "too old"), row(now, "young enough")], now).unwrap();
    while store.tidy(Some(now)).unwrap() {}
    assert_eq!(texts(&state.read()), ["young enough"]);
    let text = "x".repeat(1000);
    for number in 0..100 {
        let rows: Vec<Row> = (0..50).map(|_| row(now + number, &text)).collect();
        store.write(&rows, now).unwrap();
        while store.tidy(Some(now)).unwrap() {}
    }
    store.write(&[row(now + 1000, "the newest")], now).unwrap();
    let size = std::fs::metadata(state.file()).unwrap().len();
    assert!(size <= limits.max_bytes, "{size}");
    let entries = state.read();
    assert!(entries.len() > 500, "{}", entries.len());
    assert_eq!(entries.last().map(|entry| entry.what.as_str()), Some("the newest"));
}

/// A clock that was years ahead when the machine started deleted all that was ever written.
#[test]
fn a_start_deletes_nothing_for_its_age() {
    let state = State::new("young");
    for text in ["first", "second"] {
        let mut history = state.start();
        history.write(UNIX_EPOCH + Duration::from_secs(1), &note(text));
        assert!(history.finish(LONG));
    }
    assert_eq!(texts(&state.read()), ["first", "second"]);
}

#[test]
fn another_process_may_read_and_write_beside_it() {
    let state = State::new("beside");
    let mut history = state.start();
    let mut follower = history.ledgers().follow();
    history.write(at(1), &note("first"));
    let told = |follower: &mut broadcast::Receiver<Arc<HistoryEntry>>| follower.blocking_recv().unwrap().what.clone();
    assert_eq!(told(&mut follower), "first");
    let file = Connection::open(state.file()).unwrap();
    // In the middle of reading: the writer goes on.
    let mut statement = file.prepare("SELECT what FROM readable").unwrap();
    let mut rows = statement.query([]).unwrap();
    assert_eq!(rows.next().unwrap().unwrap().get::<_, String>(0).unwrap(), "first");
    history.write(at(2), &note("second"));
    assert_eq!(told(&mut follower), "second");
    drop(rows);
    drop(statement);
    // Our own readers do not take its locks away: whoever writes has it for himself.
    assert_eq!(texts(&state.read()), ["first", "second"]);
    file.execute_batch("BEGIN IMMEDIATE; UPDATE run SET node = 'n2'; COMMIT").unwrap();
    history.write(at(3), &note("third"));
    assert!(history.finish(LONG));
    assert_eq!(texts(&state.read()), ["first", "second", "third"]);
}

#[test]
fn a_loop_that_lives_is_written_down_once_a_minute() {
    let state = State::new("alive");
    let mut history = state.start();
    let now = Instant::now();
    history.alive(now);
    let first = history.alive;
    history.alive(now + ALIVE - Duration::from_secs(1));
    assert_eq!((first, history.alive), (Some(now), Some(now)));
    history.alive(now + ALIVE);
    assert_eq!(history.alive, Some(now + ALIVE));
    let began = unix_ms(SystemTime::now());
    assert!(history.finish(LONG));
    let file = Connection::open(state.file()).unwrap();
    let seen: i64 = file.query_row("SELECT seen FROM run", [], |row| row.get(0)).unwrap();
    assert!(u64::try_from(seen).unwrap() >= began);
}
