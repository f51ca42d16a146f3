//! The recorder and its reader together: a round trip, the ring, and disks that refuse.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use reactor_core::action::{Done, HandlerEnd, HandlerReport, HelperCall, HelperRequestId, Outcome};
use reactor_core::core::Core;
use reactor_core::ids::ActionId;
use reactor_core::input::{Fact, Record};
use reactor_core::subject::Subject;
use reactor_core::uevent::Uevent;

use super::ring::{Folder, Later};
use super::*;
use crate::drbd::playback::Recording;

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("reactor-record-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn options(max_file_bytes: u64, max_files: u32) -> RecorderOptions {
    RecorderOptions { max_file_bytes, max_files, node_name: "n1".into(), daemon_version: "0.1.0".into() }
}

const LONG: Duration = Duration::from_secs(60);

fn started() -> Input {
    Input::Source(
        SourceId::Drbd,
        SourceEvent::Started { command: "drbdsetup events2".into(), dialect: Some(Dialect::Drbd9) },
    )
}

fn lines(text: &str) -> Input {
    Input::Lines(SourceId::Drbd, text.to_owned())
}

fn steps(recording: &Recording) -> Vec<(Mono, Input)> {
    recording.steps().map(|(at, input)| (at, input.clone())).collect()
}

fn any_end() -> impl Strategy<Value = HandlerEnd> {
    prop_oneof![
        any::<i32>().prop_map(HandlerEnd::Exited),
        any::<i32>().prop_map(HandlerEnd::Signalled),
        Just(HandlerEnd::TimedOut),
        Just(HandlerEnd::Aborted),
        any::<String>().prop_map(|error| HandlerEnd::NotStarted { error }),
    ]
}

fn any_input() -> impl Strategy<Value = Input> {
    let dialect = prop_oneof![Just(Dialect::Drbd9), Just(Dialect::Drbd84)];
    let handler = (any_end(), any::<u64>(), any::<String>(), any::<String>(), any::<u64>());
    let env = proptest::collection::vec((any::<String>(), any::<String>()), 0..3);
    prop_oneof![
        (any::<String>(), dialect).prop_map(|(command, dialect)| Input::Source(
            SourceId::Drbd,
            SourceEvent::Started { command, dialect: Some(dialect) }
        )),
        any::<String>().prop_map(|why| Input::Source(SourceId::Drbd, SourceEvent::Ended { why })),
        any::<String>().prop_map(|text| Input::Lines(SourceId::Drbd, text)),
        Just(Input::BurstEnd(SourceId::Drbd)),
        Just(Input::Tick),
        (any::<u64>(), handler).prop_map(|(id, (end, took, stdout, stderr, output_cut_bytes))| {
            let took = Duration::from_nanos(took);
            let outcome = Outcome::Handler(HandlerReport { end, took, stdout, stderr, output_cut_bytes });
            Input::Done(Done { id: ActionId(id), outcome })
        }),
        any::<Option<u64>>().prop_map(|count| {
            Input::Records(SourceId::Uevents, vec![Record { subject: Subject::Node, fact: Fact::Lost { count } }])
        }),
        (any::<u64>(), any::<String>(), any::<String>(), env, any::<u64>()).prop_map(
            |(id, helper, object, env, deadline)| {
                let request = HelperRequestId(id);
                Input::HelperCall(HelperCall { request, helper, object, env, deadline: Mono(deadline) })
            }
        ),
    ]
}

/// Pieces from which lines of a recording are made, whole and broken.
const PIECES: &[&str] = &[
    r#"{"v":1,"seq":18446744073709551615,"at":18446744073709551615,"wall":"2026-11-21T03:06:14Z","#,
    r#"{"v":1,"seq":0,"at":0,"wall":"","#,
    r#"{"v":2,"seq":1,"at":1,"wall":"","#,
    r#"{"v":3,"#,
    r#""header":{"format":"storage-reactor-recording","daemon":"","node":"","run":"a"}"#,
    r#""header":{"format":"storage-reactor-recording","daemon":"","node":"","run":"b"}"#,
    r#""gap":{"lost":1,"why":""}"#,
    r#""snapshot":{"source":{"state":"ended","why":""},"dialect":"drbd9","events2":""}"#,
    r#""snapshot":{"sources":[["drbd",{"state":"ended","why":""}]],"dialect":"drbd9","events2":""}"#,
    r#""input":"tick""#,
    ",",
    "}",
    "\n",
    "\u{fc}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_reader_panic(pieces in proptest::collection::vec((proptest::sample::select(PIECES), "[ -~]{0,2}", 0..20u8), 0..40)) {
        let mut whole = String::new();
        for (piece, noise, choice) in &pieces {
            whole.push_str(piece);
            if *choice == 0 {
                whole.push_str(noise);
            }
        }
        let mut reader = read::Reader::default();
        let _ = reader.read(std::path::Path::new("x"), &whole);
        let _ = reader.read(std::path::Path::new("x"), &whole);
        prop_assert!(reader.steps.is_sorted_by_key(|(at, _)| *at));
    }

    #[test]
    fn any_lines_in_any_order_are_read_or_refused(picks in proptest::collection::vec((0..3usize, 4..10usize), 0..20)) {
        let mut whole = String::new();
        for (start, part) in &picks {
            whole.push_str(&format!("{}{}}}\n", PIECES[*start], PIECES[*part]));
        }
        let mut reader = read::Reader::default();
        let _ = reader.read(std::path::Path::new("x"), &whole);
        prop_assert!(reader.steps.is_sorted_by_key(|(at, _)| *at));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_recorded_replays_equal(inputs in proptest::collection::vec((any_input(), 0u64..1_000_000_000), 1..30), max in 1u64..4000) {
        let scratch = Scratch::new("round-trip");
        let mut recorder = Recorder::start(options(max, 1000), Box::new(Folder::open(&scratch.0).unwrap()));
        let mut at = 0;
        let mut expected = Vec::new();
        for (input, pause) in inputs {
            at += pause;
            recorder.record(Mono(at), &input, || "exists -\n".to_owned());
            expected.push((Mono(at), input));
        }
        prop_assert!(recorder.finish(LONG));
        let recording = Recording::open(&scratch.0).unwrap();
        prop_assert_eq!(steps(&recording), expected);
        prop_assert!(recording.notes().is_empty(), "{:?}", recording.notes());
    }
}

#[test]
fn the_oldest_files_go_and_each_file_replays_by_itself() {
    let scratch = Scratch::new("ring");
    let mut recorder = Recorder::start(options(2000, 3), Box::new(Folder::open(&scratch.0).unwrap()));
    std::fs::write(scratch.0.join("recording-notes.jsonl"), "not ours").unwrap();
    let mut core = Core::new();
    let mut actions = Vec::new();
    let mut step = |recorder: &mut Recorder, at: u64, input: &Input| {
        recorder.record(Mono(at), input, || core.node().to_events2());
        core.step(Mono(at), input, &mut actions);
    };
    step(&mut recorder, 0, &started());
    step(
        &mut recorder,
        1,
        &lines("exists resource name:r1 role:Secondary suspended:no may_promote:no promotion_score:0\nexists -\n"),
    );
    step(&mut recorder, 2, &Input::BurstEnd(SourceId::Drbd));
    for round in 0..100 {
        step(&mut recorder, 10 + round, &lines(&format!("change resource name:r1 promotion_score:{round}\n")));
        step(&mut recorder, 10 + round, &Input::BurstEnd(SourceId::Drbd));
    }
    assert!(recorder.finish(LONG));
    let mut names: Vec<String> =
        std::fs::read_dir(&scratch.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names.len(), 4, "{names:?}");
    assert_eq!(names.pop().as_deref(), Some("recording-notes.jsonl"), "what is not ours stays");
    assert!(names[0].as_str() > "recording-00000005.jsonl", "{names:?}");
    for (index, name) in names.iter().enumerate() {
        let path = scratch.0.join(name);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut again = Core::new();
        for (at, input) in Recording::open(&path).unwrap().steps() {
            again.step(at, input, &mut actions);
        }
        let resource = again.node().resource("r1").expect("it is in the snapshot");
        if index == 2 {
            assert_eq!(resource.state.promotion_score, Some(99));
        }
    }
    assert_eq!(std::fs::metadata(&scratch.0).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn folders_that_others_can_write_to_are_refused() {
    let scratch = Scratch::new("unsafe");
    std::fs::create_dir(&scratch.0).unwrap();
    std::fs::set_permissions(&scratch.0, std::fs::Permissions::from_mode(0o777)).unwrap();
    let error = Folder::open(&scratch.0).unwrap_err().to_string();
    assert!(error.contains("mode 0777") && error.contains("by others than its owner"), "{error}");
    let link = scratch.0.join("link");
    std::os::unix::fs::symlink("/tmp", &link).unwrap();
    assert!(Folder::open(&link).unwrap_err().to_string().contains("symbolic link"));
}

/// What is in each file.
type Files = Arc<Mutex<Vec<Vec<u8>>>>;

/// The loop opened it, and whoever made it later had to reload.
#[test]
fn a_folder_is_opened_by_the_thread_and_one_that_comes_later_is_used() {
    let scratch = Scratch::new("later");
    let folder = scratch.0.join("recordings");
    let mut recorder = Recorder::start(options(1 << 20, 4), Box::new(Later::new(&folder)));
    recorder.record(Mono::ZERO, &started(), String::new);
    let began = std::time::Instant::now();
    while recorder.status().failing.is_none() {
        assert!(began.elapsed() < LONG, "it is said");
        std::thread::yield_now();
    }
    assert!(recorder.status().failing.is_some_and(|why| why.contains("recordings") && why.contains("No such file")));
    std::fs::create_dir(&scratch.0).unwrap();
    // The first finds that the last was lost, the next one is after the pause.
    recorder.record(Mono::ZERO, &Input::Tick, String::new);
    recorder.record(Mono::ZERO.after(RETRY), &Input::Tick, String::new);
    assert!(recorder.finish(LONG));
    let text = std::fs::read_to_string(folder.join("recording-00000001.jsonl")).unwrap();
    assert!(text.contains("gap"), "{text}");
}

/// A disk that does what the test says: files are kept in memory, or are `/dev/full`.
struct TestDisk {
    full: Arc<AtomicBool>,
    files: Files,
    /// Told of each attempt to begin a file or to append, with its outcome.
    tell: Sender<bool>,
}

struct TestFile {
    full: Arc<AtomicBool>,
    files: Files,
    index: usize,
    tell: Sender<bool>,
}

/// What a real full device answers.
fn no_space(full: &AtomicBool) -> io::Result<()> {
    if full.load(Ordering::SeqCst) {
        std::fs::OpenOptions::new().write(true).open("/dev/full")?.write_all(b"x")
    } else {
        Ok(())
    }
}

impl Ring for TestDisk {
    fn begin(&mut self, head: &[u8]) -> io::Result<Box<dyn Write + Send>> {
        let space = no_space(&self.full);
        if space.is_err() {
            let _ = self.tell.send(false);
        }
        space?;
        let mut files = self.files.lock().unwrap();
        files.push(head.to_vec());
        let index = files.len() - 1;
        let _ = self.tell.send(true);
        Ok(Box::new(TestFile {
            full: Arc::clone(&self.full),
            files: Arc::clone(&self.files),
            index,
            tell: self.tell.clone(),
        }))
    }

    fn keep(&mut self, _files: u32) -> io::Result<()> {
        Ok(())
    }
}

impl Write for TestFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let space = no_space(&self.full);
        // Half of it still fitted, as on a real disk.
        let fits = if space.is_ok() { bytes.len() } else { bytes.len() / 2 };
        self.files.lock().unwrap()[self.index].extend_from_slice(&bytes[..fits]);
        let _ = self.tell.send(space.is_ok());
        space.map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn test_disk() -> (TestDisk, Arc<AtomicBool>, Files, Receiver<bool>) {
    let (tell, told) = channel();
    let full = Arc::new(AtomicBool::new(false));
    let files = Arc::new(Mutex::new(Vec::new()));
    (TestDisk { full: Arc::clone(&full), files: Arc::clone(&files), tell }, full, files, told)
}

#[test]
fn a_full_disk_costs_only_the_recording() {
    let (disk, full, files, told) = test_disk();
    let mut recorder = Recorder::start(options(1 << 20, 4), Box::new(disk));
    let second = |n: u64| Mono(n * 1_000_000_000);
    let snapshot = || "exists resource name:r1 role:Primary\nexists -\n".to_owned();
    recorder.record(second(0), &started(), snapshot);
    assert!(told.recv_timeout(LONG).unwrap());
    recorder.record(second(1), &lines("exists -\n"), snapshot);
    assert!(told.recv_timeout(LONG).unwrap());
    full.store(true, Ordering::SeqCst);
    recorder.record(second(2), &Input::BurstEnd(SourceId::Drbd), snapshot);
    assert!(!told.recv_timeout(LONG).unwrap());
    // The writer says so after its write has failed.
    while !recorder.shared.broken.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
    // Within a second of the failure nothing is even tried; then a file is, in vain.
    recorder.record(second(3), &lines("change a\n"), || -> String { unreachable!("no file is begun yet") });
    recorder.record(second(5), &lines("change b\n"), snapshot);
    assert!(!told.recv_timeout(LONG).unwrap());
    while !recorder.shared.broken.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
    assert!(recorder.status().failing.unwrap().contains("No space left"));
    full.store(false, Ordering::SeqCst);
    recorder.record(second(6), &lines("change c\n"), snapshot);
    recorder.record(second(9), &lines("change d\n"), snapshot);
    assert!(told.recv_timeout(LONG).unwrap());
    recorder.record(second(10), &Input::BurstEnd(SourceId::Drbd), snapshot);
    assert!(told.recv_timeout(LONG).unwrap());
    while recorder.status().written < 4 {
        std::thread::yield_now();
    }
    assert_eq!(recorder.status(), RecorderStatus { written: 4, lost: 4, failing: None });
    assert!(recorder.finish(LONG));

    let scratch = Scratch::new("full");
    std::fs::create_dir(&scratch.0).unwrap();
    for (index, bytes) in files.lock().unwrap().iter().enumerate() {
        std::fs::write(scratch.0.join(format!("recording-{index:08}.jsonl")), bytes).unwrap();
    }
    let recording = Recording::open(&scratch.0).unwrap();
    let shown: Vec<String> =
        recording.steps().map(|(at, input)| format!("{} {input:?}", at.0 / 1_000_000_000)).collect();
    assert_eq!(shown.len(), 2 + 3 + 2, "{shown:#?}");
    assert!(
        shown[3].contains("9 Lines(Drbd, \"exists resource name:r1"),
        "the hole is followed by the picture: {shown:#?}"
    );
    assert!(shown[6].contains("10 BurstEnd"));
    let notes = recording.notes().join("\n");
    assert!(notes.contains("4 inputs are missing before 9.000s: No space left"), "{notes}");
    assert!(notes.contains("the last line is cut off"), "{notes}");
}

/// A disk that hangs until the test lets it go.
struct Hanging(Receiver<()>);

impl Ring for Hanging {
    fn begin(&mut self, _head: &[u8]) -> io::Result<Box<dyn Write + Send>> {
        let _ = self.0.recv();
        Ok(Box::new(io::sink()))
    }

    fn keep(&mut self, _files: u32) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_disk_that_hangs_holds_up_nobody_and_memory_is_bounded() {
    let (let_go, hangs) = channel();
    let mut recorder = Recorder::start(options(u64::MAX, 4), Box::new(Hanging(hangs)));
    let line = lines(&"change resource name:r1 role:Primary\n".repeat(2000));
    for at in 0..1000 {
        recorder.record(Mono(at), &line, || "exists -\n".to_owned());
        let queued = recorder.shared.queued_bytes.load(Ordering::Relaxed);
        assert!(queued < MAX_QUEUED_BYTES + 200_000, "{queued} bytes are queued");
    }
    assert!(recorder.status().lost > 500);
    assert!(recorder.status().failing.unwrap().contains("too slow"));
    // The daemon ends all the same.
    assert!(!recorder.finish(Duration::from_millis(1)));
    drop(let_go);
}

#[test]
fn a_second_run_of_the_daemon_follows_the_first() {
    let scratch = Scratch::new("runs");
    for run in 0..2 {
        let mut recorder = Recorder::start(options(1 << 20, 4), Box::new(Folder::open(&scratch.0).unwrap()));
        recorder.run = format!("run {run}");
        recorder.record(Mono(5), &started(), || "exists -\n".to_owned());
        recorder.record(Mono(6), &lines("exists -\n"), || "exists -\n".to_owned());
        assert!(recorder.finish(LONG));
    }
    let recording = Recording::open(&scratch.0).unwrap();
    let steps = steps(&recording);
    assert_eq!(steps.len(), 5);
    assert!(
        matches!(&steps[2].1, Input::Source(SourceId::Drbd, SourceEvent::Ended { why }) if why.contains("started anew"))
    );
    assert!(steps[3].0 > steps[2].0, "time goes on");
    assert_eq!(recording.notes().len(), 1);
}

/// These lines are what `docs/recordings.md` promises for version 2: when this test must change, the version must too.
#[test]
fn version_2_is_written_as_documented() {
    let written = |input: Input| serde_json::to_string(&WireInput::from(&input)).unwrap();
    let outcome = |end| {
        Outcome::Handler(HandlerReport {
            end,
            took: Duration::from_micros(1500),
            stdout: "a".into(),
            stderr: String::new(),
            output_cut_bytes: 0,
        })
    };
    let done = |end| Input::Done(Done { id: ActionId(7), outcome: outcome(end) });
    let handler = |end: &str| {
        let rest = r#""took-ns":1500000,"stdout":"a","stderr":"","output-cut-bytes":0"#;
        format!(r#"{{"done":{{"id":7,"outcome":{{"handler":{{"end":{end},{rest}}}}}}}}}"#)
    };
    assert_eq!(
        written(started()),
        r#"{"source":["drbd",{"state":"started","command":"drbdsetup events2","dialect":"drbd9"}]}"#
    );
    assert_eq!(written(lines("exists -\n")), r#"{"lines":["drbd","exists -\n"]}"#);
    assert_eq!(written(Input::BurstEnd(SourceId::Drbd)), r#"{"burst-end":"drbd"}"#);
    let uevent = Uevent { action: "add".into(), subsystem: "block".into(), devpath: "/devices/x".into() };
    let added = Record { subject: Subject::Device("sda".into()), fact: Fact::Uevent(uevent) };
    let added_written =
        r#"{"subject":{"device":"sda"},"fact":{"uevent":{"action":"add","subsystem":"block","devpath":"/devices/x"}}}"#;
    assert_eq!(
        written(Input::Records(SourceId::Uevents, vec![added])),
        format!(r#"{{"records":["uevents",[{added_written}]]}}"#)
    );
    let lost = Record { subject: Subject::Node, fact: Fact::Lost { count: None } };
    assert_eq!(
        written(Input::Records(SourceId::Uevents, vec![lost])),
        r#"{"records":["uevents",[{"subject":"node","fact":{"lost":{"count":null}}}]]}"#
    );
    assert_eq!(written(Input::Tick), r#""tick""#);
    assert_eq!(written(done(HandlerEnd::Exited(0))), handler(r#"{"exited":0}"#));
    assert_eq!(written(done(HandlerEnd::Signalled(9))), handler(r#"{"signalled":9}"#));
    assert_eq!(written(done(HandlerEnd::TimedOut)), handler(r#""timed-out""#));
    assert_eq!(written(done(HandlerEnd::Aborted)), handler(r#""aborted""#));
    assert_eq!(written(done(HandlerEnd::NotStarted { error: "why".into() })), handler(r#"{"not-started":"why"}"#));
    let call = HelperCall {
        request: HelperRequestId(1),
        helper: "before-resync-target".into(),
        object: "r1".into(),
        env: vec![("DRBD_VOLUME".into(), "0".into())],
        deadline: Mono(9),
    };
    let call_written =
        r#"{"request":1,"helper":"before-resync-target","object":"r1","env":[["DRBD_VOLUME","0"]],"deadline":9}"#;
    assert_eq!(written(Input::HelperCall(call)), format!(r#"{{"helper-call":{call_written}}}"#));
}

/// What reads version 1 is told what was told, with the words of today.
#[test]
fn each_version_of_the_format_is_read() {
    let read = |name: &str| {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings/recorder").join(name);
        let mut reader = read::Reader::default();
        reader.read(&file, &std::fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(reader.notes, Vec::<String>::new());
        reader.steps
    };
    let first = read("version-1.jsonl");
    assert_eq!(first, read("version-2.jsonl"));
    let all: Vec<String> =
        first.iter().map(|(_, input)| serde_json::to_string(&WireInput::from(input)).unwrap()).collect();
    // What the core was told before the file began, then each input of the file.
    let snapshot = ["{\"wall", "{\"remembered", "{\"units", "{\"bus", "{\"source", "{\"lines", "{\"burst-end"];
    assert!(all.iter().zip(snapshot).all(|(input, begins)| input.starts_with(begins)), "{all:#?}");
    let newest = include_str!("../../../../tests/recordings/recorder/version-2.jsonl");
    let inputs: Vec<&str> = newest
        .lines()
        .filter_map(|line| line.split_once("\"input\":"))
        .map(|(_, rest)| &rest[..rest.len() - 1])
        .collect();
    assert_eq!(all[snapshot.len()..], inputs, "what is written now is what the newest file has");
}

/// Keys that a later program adds are no reason to refuse a file, and a file of a newer version is refused by its number.
#[test]
fn what_a_newer_program_wrote_is_read_or_named() {
    let mut reader = read::Reader::default();
    let text = concat!(
        r#"{"v":1,"seq":3,"at":5,"wall":"2026-11-21T03:06:14.401631Z","header":{"format":"storage-reactor-recording","daemon":"0.1.0","node":"n1","run":"x","new-key":1}}"#,
        "\n",
        r#"{"v":1,"seq":3,"at":5,"wall":"2026-11-21T03:06:14.401631Z","snapshot":{"source":{"state":"ended","why":"killed"},"dialect":"drbd84","events2":"exists -\n"}}"#,
        "\n",
        r#"{"v":1,"seq":3,"at":6,"wall":"2026-11-21T03:06:14.401632Z","input":"burst-end","another":{"key":[]}}"#,
        "\n",
    );
    reader.read(std::path::Path::new("x"), text).unwrap();
    let shown: Vec<String> = reader.steps.iter().map(|(at, input)| format!("{} {input:?}", at.0)).collect();
    assert_eq!(
        shown,
        [
            "5 Source(Drbd, Started { command: \"snapshot\", dialect: Some(Drbd84) })",
            "5 Lines(Drbd, \"exists -\\n\")",
            "5 BurstEnd(Drbd)",
            "5 Source(Drbd, Ended { why: \"killed\" })",
            "6 BurstEnd(Drbd)",
        ]
    );
    let newer = text.replace("\"v\":1", "\"v\":3");
    let error = read::Reader::default().read(std::path::Path::new("x"), &newer).unwrap_err();
    assert!(error.to_string().contains("version 3 of the format, and this program reads up to 2"), "{error}");
}

/// A file that begins in the middle of a run tells all that the core knew then, and in the order of a start.
#[test]
fn a_file_replays_by_itself_units_and_memory_included() {
    use reactor_core::operator::Hold;
    use reactor_core::systemd::{ActiveState, UnitState};
    let scratch = Scratch::new("present");
    let mut core = Core::new();
    let wall = WallClock { unix_ms: 1_800_000_000_000, utc_offset_s: 3600 };
    let state = UnitState { active: ActiveState::Active, sub: "running".to_owned(), ..UnitState::default() };
    let units = vec![UnitNews { unit: "drbd-services@r0.target".into(), state }];
    let hold = Hold { who: "root".to_owned(), why: "cables".to_owned(), since: 1, ..Hold::default() };
    let remembered = vec![("r0".into(), Memory { hold: Some(hold), ..Memory::default() })];
    let before = [
        Input::Units(units.clone()),
        Input::Bus(BusEvent::Up),
        started(),
        lines("exists resource name:r0 role:Secondary suspended:no may_promote:no promotion_score:1\nexists -\n"),
        Input::BurstEnd(SourceId::Drbd),
    ];
    for input in &before {
        core.step(Mono(1), input, &mut Vec::new());
    }
    let mut recorder = Recorder::start(options(1 << 20, 10), Box::new(Folder::open(&scratch.0).unwrap()));
    // As if the recorder were switched on only now.
    let started = SourceEvent::Started { command: "drbdsetup events2".into(), dialect: Some(Dialect::Drbd9) };
    recorder.sources.insert(SourceId::Drbd, started);
    recorder.record(Mono(5), &Input::Tick, || Present::of(&core, Some(wall), remembered.clone()));
    assert!(recorder.finish(LONG));
    let recording = Recording::open(&scratch.0).unwrap();
    assert_eq!(recording.node(), Some("n1"));
    let mut again = Core::new();
    let told: Vec<Input> = recording.steps().map(|(_, input)| input.clone()).collect();
    for input in &told {
        again.step(Mono(5), input, &mut Vec::new());
    }
    assert_eq!(
        told[..4],
        [Input::Wall(wall), Input::Remembered(remembered), Input::Units(units), Input::Bus(BusEvent::Up),]
    );
    assert_eq!(again.node().to_events2(), core.node().to_events2());
    assert_eq!(again.node().units().iter().collect::<Vec<_>>(), core.node().units().iter().collect::<Vec<_>>());
}
