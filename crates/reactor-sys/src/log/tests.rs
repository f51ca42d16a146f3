//! What ends up in which file.

use std::path::PathBuf;

use tracing::{debug, error, info, warn};
use tracing_subscriber::layer::SubscriberExt;

use super::*;

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("reactor-log-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }

    fn logger(&self, name: &str, level: LogLevel) -> LogSettings {
        LogSettings { level, file: Some(self.0.join(name)) }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Lines without their time stamps, which must be there.
fn unstamped(text: &str) -> Vec<&str> {
    text.lines()
        .map(|line| {
            let (stamp, rest) = line.split_once(' ').unwrap();
            assert!(stamp.parse::<jiff::Timestamp>().is_ok(), "{line}");
            rest
        })
        .collect()
}

const LONG: Duration = Duration::from_secs(60);

/// What can't be opened of these.
fn opened(handle: &LogHandle, settings: &[LogSettings]) -> Vec<LogError> {
    handle.apply(settings).blocking_recv().unwrap()
}

#[test]
fn each_logger_has_its_level_and_its_file() {
    let scratch = Scratch::new("levels");
    let settings = [
        scratch.logger("all", LogLevel::Debug),
        scratch.logger("bad", LogLevel::Warn),
        scratch.logger("none", LogLevel::Off),
    ];
    let (layer, handle) = build(&settings, Fallback::Detect);
    assert!(opened(&handle, &settings).is_empty());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let name = "r1 \"x\"";
        error!(target: "t", resource = %name, exit = 3, "handler failed");
        warn!(target: "t", output = "a\nERROR [t] forged \u{1b}[31m", "odd");
        debug!(target: "t", empty = "", flag = true, "why");
        tracing::trace!(target: "t", "every line");
    });
    handle.flush(LONG);
    let all = scratch.read("all");
    assert_eq!(
        unstamped(&all),
        [
            "ERROR [t] handler failed resource=\"r1 \\\"x\\\"\" exit=3",
            "WARN [t] odd output=\"a\\nERROR [t] forged \\u{1b}[31m\"",
            "DEBUG [t] why empty=\"\" flag=true",
        ]
    );
    assert_eq!(unstamped(&scratch.read("bad")).len(), 2);
    assert_eq!(scratch.read("none"), "");
    assert_eq!(handle.lost(), 0);
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(scratch.0.join("all")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777 & !0o640, 0, "{mode:o}");
}

#[test]
fn a_reload_opens_files_anew_and_takes_new_levels() {
    let scratch = Scratch::new("rotate");
    let settings = [scratch.logger("log", LogLevel::Info)];
    let (layer, handle) = build(&settings, Fallback::Detect);
    assert!(opened(&handle, &settings).is_empty());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        info!(target: "t", "before");
        // What logrotate does; the old file is written on until the signal.
        handle.flush(LONG);
        std::fs::rename(scratch.0.join("log"), scratch.0.join("log.1")).unwrap();
        info!(target: "t", "between");
        debug!(target: "t", "not wanted");
        assert!(opened(&handle, &[scratch.logger("log", LogLevel::Debug)]).is_empty());
        info!(target: "t", "after");
        debug!(target: "t", "wanted");
    });
    handle.flush(LONG);
    assert_eq!(unstamped(&scratch.read("log.1")), ["INFO [t] before", "INFO [t] between"]);
    assert_eq!(unstamped(&scratch.read("log")), ["INFO [t] after", "DEBUG [t] wanted"]);
}

#[test]
fn a_file_that_can_not_be_used_is_reported_and_no_line_is_lost() {
    let scratch = Scratch::new("unusable");
    std::os::unix::fs::symlink("/etc/passwd", scratch.0.join("link")).unwrap();
    let fifo = scratch.0.join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let settings = [
        scratch.logger("good", LogLevel::Info),
        scratch.logger("link", LogLevel::Info),
        scratch.logger("no/such/folder", LogLevel::Info),
        scratch.logger("fifo", LogLevel::Info),
        LogSettings { level: LogLevel::Info, file: Some("/dev/null".into()) },
    ];
    // The lines of the loggers that have no file go to the default target: here the good file.
    let default = Sink::File(Arc::new(open(&scratch.0.join("good")).unwrap()));
    let (layer, handle) = build(&settings, Fallback::Sink(default));
    let problems: Vec<String> =
        opened(&handle, &settings).iter().map(|problem| crate::chain::chain(problem).to_string()).collect();
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert!(problems[0].contains("link (a symbolic link is not followed)"), "{problems:?}");
    assert!(problems[1].contains("No such file"), "{problems:?}");
    assert!(problems[3].contains("/dev/null is not a regular file"), "{problems:?}");
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || info!(target: "t", "kept"));
    handle.flush(LONG);
    assert_eq!(scratch.read("good").matches("INFO [t] kept").count(), 5);
}

#[test]
fn a_line_for_a_journal_that_reads_standard_error_has_its_priority() {
    struct Take(Mutex<Vec<String>>);
    impl<S: Subscriber> Layer<S> for &'static Take {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let text = Line::of(event).text(*event.metadata().level(), false, true);
            self.0.lock().unwrap().push(text);
        }
    }
    static TAKE: Take = Take(Mutex::new(Vec::new()));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(&TAKE), || {
        error!(target: "t", "one");
        info!(target: "t", "two");
    });
    assert_eq!(*TAKE.0.lock().unwrap(), ["<3>ERROR [t] one\n", "<6>INFO [t] two\n"]);
}

#[test]
fn the_journal_is_known_by_device_and_inode() {
    assert!(is_stream("9:12345", 9, 12345));
    for stream in ["9:1234", "8:12345", "", "9", "x:y"] {
        assert!(!is_stream(stream, 9, 12345), "{stream}");
    }
}

/// What a reader of `journalctl` sees, and what the journal can be asked for.
#[test]
fn a_line_in_the_journal_says_all_and_has_fields() {
    struct Take(Mutex<Vec<Vec<u8>>>);
    impl<S: Subscriber> Layer<S> for &'static Take {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let line = Line::of(event);
            self.0.lock().unwrap().push(journal::datagram(event.metadata(), "reactord", line.message(), line.fields()));
        }
    }
    static TAKE: Take = Take(Mutex::new(Vec::new()));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(&TAKE), || {
        info!(target: "t", resource = "r0", because = "DRBD says may_promote:yes", "decided");
    });
    let datagram = TAKE.0.lock().unwrap().remove(0);
    let has = |name: &str, value: &str| {
        let mut wanted = format!("{name}\n").into_bytes();
        wanted.extend((value.len() as u64).to_le_bytes());
        wanted.extend(value.as_bytes());
        wanted.push(b'\n');
        datagram.windows(wanted.len()).any(|part| part == wanted)
    };
    assert!(has("MESSAGE", "decided resource=r0 because=\"DRBD says may_promote:yes\""));
    assert!(has("PRIORITY", "6") && has("SYSLOG_IDENTIFIER", "reactord") && has("TARGET", "t"));
    assert!(has("RESOURCE", "r0") && has("BECAUSE", "DRBD says may_promote:yes"));
}

/// A pipe that nobody reads, in place of a disk that hangs: writing to it blocks. Dropping the reader ends that.
fn hanging() -> (std::io::PipeReader, Sink) {
    let (reader, writer) = std::io::pipe().unwrap();
    (reader, Sink::File(Arc::new(std::fs::File::from(std::os::fd::OwnedFd::from(writer)))))
}

/// One thread wrote everything: the disk of a log file that hung silenced the journal.
#[test]
fn a_log_file_that_hangs_costs_its_own_lines_and_they_are_counted() {
    let scratch = Scratch::new("hangs");
    let (reader, hangs) = hanging();
    let files = Writer::start("test-files");
    // More than the pipe and the queue hold together.
    let lines = QUEUE_AND_PIPE;
    for _ in 0..lines {
        files.write(hangs.clone(), vec![b'x'; 1024]);
    }
    assert!(files.lost() > 0, "nothing waited, and the rest is counted");
    let console = Writer::start("test-console");
    let good = Arc::new(open(&scratch.0.join("good")).unwrap());
    console.write(Sink::File(good), "told\n");
    console.flush(Instant::now() + LONG);
    assert_eq!(scratch.read("good"), "told\n");
    drop(reader);
}

/// In pieces of 1 KiB: what a pipe holds, and one more than the queue.
const QUEUE_AND_PIPE: usize = writer::QUEUE + 64 + 2;

/// A reload opened files on the loop.
#[test]
fn a_file_whose_disk_hangs_is_waited_for_by_nobody_and_the_newest_settings_count() {
    let scratch = Scratch::new("open");
    let (layer, handle) = build(&[scratch.logger("old", LogLevel::Info)], Fallback::Detect);
    assert!(opened(&handle, &[scratch.logger("old", LogLevel::Info)]).is_empty());
    let (go, waits) = std::sync::mpsc::channel::<()>();
    let (told, first) = oneshot::channel();
    let shared = Arc::clone(&handle.shared);
    let (began, begins) = std::sync::mpsc::channel();
    // The thread of `apply`, with a disk that hangs in place of the real one, which has just ended.
    while shared.opening.lock().unwrap().runs {
        std::thread::yield_now();
    }
    shared.opening.lock().unwrap().runs = true;
    let slow = scratch.logger("slow", LogLevel::Info);
    let thread = std::thread::spawn(move || {
        let hang = |path: &Path| {
            began.send(()).unwrap();
            waits.recv().unwrap();
            open(path)
        };
        let problems = shared.apply(&[slow], hang);
        told.send(problems.len()).unwrap();
        while let Some((settings, told)) = shared.next_to_open() {
            let _ = told.send(shared.apply(&settings, open));
        }
    });
    begins.recv_timeout(LONG).unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        info!(target: "t", "while it hangs");
        let second = handle.apply(&[scratch.logger("second", LogLevel::Info)]);
        let third = handle.apply(&[scratch.logger("third", LogLevel::Info)]);
        go.send(()).unwrap();
        assert_eq!(first.blocking_recv(), Ok(0));
        assert!(second.blocking_recv().is_err(), "newer ones came");
        assert!(third.blocking_recv().unwrap().is_empty());
        thread.join().unwrap();
        info!(target: "t", "at last");
    });
    handle.flush(LONG);
    assert_eq!(unstamped(&scratch.read("old")), ["INFO [t] while it hangs"]);
    assert_eq!(
        (unstamped(&scratch.read("third")), scratch.0.join("second").exists()),
        (vec!["INFO [t] at last"], false)
    );
}
