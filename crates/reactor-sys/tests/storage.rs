//! The collector of storage events against a fake journalctl, and where there is one against a real journal. What is in the kernel's ring each
//! test decides; it waits for what the collector says, never for time to pass.

#![expect(clippy::unwrap_used, reason = "a test that can not go on says where")]

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use reactor_storage::record::{Origin, Record};
use reactor_sys::drbd::restart::Backoff;
use reactor_sys::kernel_log;
use reactor_sys::storage::position::Saved;
use reactor_sys::storage::{Collector, Limits, Lost, Options, Piece, Stages, Taps, boot_id, saved};

/// No wait in these tests comes near it.
const LONG: Duration = Duration::from_secs(60);

const BOOT: &str = "1c42149f82cc4172b7a2c1fd0abc0a25";
const BEFORE: &str = "0000149f82cc4172b7a2c1fd0abc0a25";
const BETWEEN: &str = "1111149f82cc4172b7a2c1fd0abc0a25";

/// Answers of the kernel's messages from a file, and follows what the test writes into a FIFO.
const FAKE: &str = r#"echo "$*" >> "$dir/args"
case "$*" in
*--follow*) exec cat "$dir/fifo-$(grep -c -e --follow "$dir/args")" ;;
*_BOOT_ID=*) b=${*#*_BOOT_ID=}; exec cat "$dir/journal-${b%% *}" ;;
*) exec cat "$dir/journal-"* ;;
esac
"#;

/// A folder with a fake journalctl, and a state folder.
struct Fake {
    dir: PathBuf,
}

impl Fake {
    fn new(name: &str, body: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("reactor-collector-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(dir.join("state")).unwrap();
        let fifos = (1..9).map(|run| dir.join(format!("fifo-{run}")));
        assert!(Command::new("mkfifo").args(fifos).status().unwrap().success());
        let fake = Self { dir };
        fake.script(body);
        fake
    }

    /// Another process writes the file: a descriptor of ours that is open for writing could reach a child of another test, and then the script
    /// can't be executed.
    fn script(&self, body: &str) {
        let text = format!("#!/bin/sh\ndir='{}'\n{body}", self.dir.display());
        let mut sh = Command::new("/bin/sh")
            .args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "sh"])
            .arg(self.dir.join("journalctl"))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        sh.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(sh.wait().unwrap().success());
    }

    /// What the journal has of a boot.
    fn journal(&self, boot: &str, entries: &[Vec<u8>]) {
        std::fs::write(self.dir.join(format!("journal-{boot}")), entries.concat()).unwrap();
    }

    fn options(&self) -> Options {
        Options {
            state_dir: self.dir.join("state"),
            journal: true,
            journalctl: self.dir.join("journalctl"),
            boot: BOOT.to_owned(),
            programs: vec!["multipathd".to_owned(), "smartd".to_owned()],
            limits: Limits {
                answer: LONG,
                question: LONG,
                silence: LONG,
                backoff: Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(5) },
            },
        }
    }

    fn start(&self) -> Running {
        Running::start(self.options())
    }

    /// The other end of what this run of the follower prints; waits until it has begun.
    fn follower(&self, run: usize) -> File {
        let fifo = self.dir.join(format!("fifo-{run}"));
        let (tx, rx) = channel();
        std::thread::spawn(move || tx.send(File::options().write(true).open(fifo).unwrap()));
        rx.recv_timeout(LONG).expect("the journal is followed")
    }

    fn args(&self) -> Vec<String> {
        std::fs::read_to_string(self.dir.join("args")).unwrap().lines().map(str::to_owned).collect()
    }

    fn saved(&self) -> Saved {
        saved::load(&self.dir.join("state")).unwrap()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Says what it is told.
struct Tell(Sender<String>);

impl Stages for Tell {
    fn record(&mut self, record: &Record<'_>) {
        let who = match record.origin {
            Origin::Kernel => "kernel",
            Origin::Program(name) => name,
            Origin::Uevent => "uevent",
        };
        assert!(record.place.boot.is_some() && record.at.wall_us.is_some());
        let _ = self.0.send(format!("{who}: {}", record.text));
    }

    fn uevent(&mut self, datagram: &[u8]) {
        let _ = self.0.send(format!("uevent {} bytes", datagram.len()));
    }

    fn kernel_by_journal(&mut self, is_so: bool) {
        let _ = self.0.send(format!("the kernel by the journal: {is_so}"));
    }

    fn lost(&mut self, lost: Lost) {
        let _ = self.0.send(format!("lost {} of the kernel", lost.kernel));
    }

    fn settle(&mut self) -> bool {
        true
    }

    fn due(&self) -> Option<Instant> {
        None
    }
}

struct Running {
    collector: Collector,
    taps: Taps,
    said: Receiver<String>,
}

impl Running {
    fn start(options: Options) -> Self {
        let (tx, said) = channel();
        let (collector, taps) = Collector::spawn(options, move || Tell(tx)).unwrap();
        Self { collector, taps, said }
    }

    fn next(&self) -> String {
        self.said.recv_timeout(LONG).expect("something is said")
    }

    fn take(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.next()).collect()
    }

    /// Ends it, and gives what it said besides.
    fn finish(self) -> Vec<String> {
        self.collector.finish();
        self.said.try_iter().collect()
    }

    fn ring(&self, sequences: impl IntoIterator<Item = u64>) {
        let mut piece = Piece::default();
        for sequence in sequences {
            piece.push(format!("3,{sequence},{},-;{}\n", stamp(sequence), text(sequence)).as_bytes());
        }
        self.taps.kernel(piece);
    }
}

/// Four messages have one stamp, and every other text comes again.
fn stamp(sequence: u64) -> u64 {
    1_000_000 + sequence / 4 * 10_000
}

fn text(sequence: u64) -> String {
    format!("I/O error, dev sda, sector {}", sequence / 2)
}

fn entry(boot: &str, cursor: &str, who: &str, stamp: u64, text: &str) -> Vec<u8> {
    let transport = if who == "kernel" { "kernel" } else { "syslog" };
    format!(
        "__CURSOR={cursor}\n__REALTIME_TIMESTAMP=1795893073898105\n__MONOTONIC_TIMESTAMP={stamp}\n_BOOT_ID={boot}\n_TRANSPORT={transport}\n\
         SYSLOG_IDENTIFIER={who}\n_SOURCE_MONOTONIC_TIMESTAMP={stamp}\nMESSAGE={text}\n\n"
    )
    .into_bytes()
}

/// What the journal has of the kernel's messages.
fn kernels(boot: &str, sequences: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    sequences.map(|sequence| entry(boot, &format!("k{sequence}"), "kernel", stamp(sequence), &text(sequence))).collect()
}

fn said(sequences: std::ops::Range<u64>) -> Vec<String> {
    sequences.map(|sequence| format!("kernel: {}", text(sequence))).collect()
}

#[test]
fn a_stop_in_the_middle_of_a_failure_loses_nothing_and_nothing_comes_twice() {
    let fake = Fake::new("stopped", FAKE);
    fake.journal(BOOT, &kernels(BOOT, 0..40));
    let first = fake.start();
    first.ring(0..10);
    assert_eq!(first.take(10), said(0..10));
    assert_eq!(first.finish(), [""; 0]);
    assert_eq!(fake.saved().kernel.unwrap().sequence, 9);
    // Nothing was said meanwhile: the same ring says nothing new.
    let second = fake.start();
    second.ring(0..10);
    second.ring(10..13);
    assert_eq!(second.take(3), said(10..13));
    assert_eq!(second.finish(), [""; 0]);
    // The ring has lost what it had, and more: 13 to 20 are in the journal only.
    let third = fake.start();
    third.ring(21..24);
    assert_eq!(third.take(11), said(13..24));
    // And again while it runs.
    third.ring(31..33);
    assert_eq!(third.take(9), said(24..33));
    assert_eq!(third.finish(), [""; 0]);
    let asked = fake.args().into_iter().filter(|args| args.contains("_BOOT_ID=")).count();
    assert_eq!(asked, 2, "the journal is asked for gaps only: {:?}", fake.args());
}

#[test]
fn boots_that_were_missed_are_read_from_the_journal() {
    let fake = Fake::new("boots", FAKE);
    let mut old = fake.options();
    old.boot = BEFORE.to_owned();
    let first = Running::start(old);
    first.ring(0..6);
    assert_eq!(first.take(6), said(0..6));
    let mut follower = fake.follower(1);
    follower.write_all(&entry(BEFORE, "c1", "smartd", 5, "Device: /dev/sda")).unwrap();
    assert_eq!(first.next(), "smartd: Device: /dev/sda");
    assert_eq!(first.finish(), [""; 0]);
    drop(follower);
    // The machine went on for three messages, was up once without us, and is up again with a ring that has lost its first two.
    fake.journal(BEFORE, &kernels(BEFORE, 0..9));
    fake.journal(BETWEEN, &kernels(BETWEEN, 0..3));
    fake.journal(BOOT, &kernels(BOOT, 0..5));
    let second = fake.start();
    second.ring(2..5);
    assert_eq!(second.take(11), [said(6..9), said(0..3), said(0..5)].concat());
    drop(fake.follower(2));
    assert_eq!(second.finish(), [""; 0]);
    let args = fake.args();
    assert!(
        args.iter().any(|args| args.contains("--after-cursor=c1") && args.ends_with("_TRANSPORT=kernel")),
        "{args:?}"
    );
    assert!(args.iter().any(|args| args.contains("--after-cursor=c1") && args.contains("--follow")), "{args:?}");
}

#[test]
fn the_first_start_reads_this_boot_only() {
    let fake = Fake::new("first", FAKE);
    fake.journal(BEFORE, &kernels(BEFORE, 0..9));
    fake.journal(BOOT, &kernels(BOOT, 0..5));
    let running = fake.start();
    running.ring(3..5);
    assert_eq!(running.take(5), said(0..5));
    let follower = fake.follower(1);
    assert!(fake.args().iter().any(|args| {
        args.contains("--follow --no-tail --boot _UID=0 SYSLOG_IDENTIFIER=multipathd SYSLOG_IDENTIFIER=smartd")
    }));
    drop(follower);
    assert_eq!(running.finish(), [""; 0]);
}

/// A container: the log can't be read, later it can, and then not any more. Stopped and started in between.
#[test]
fn where_the_kernels_log_cannot_be_read_the_journal_has_it_and_nothing_comes_twice() {
    let fake = Fake::new("no-log", FAKE);
    fake.journal(BOOT, &kernels(BOOT, 0..6));
    let first = fake.start();
    let _programs = fake.follower(1);
    first.taps.no_kernel_log();
    assert_eq!(first.take(6), said(0..6));
    assert_eq!(first.next(), "the kernel by the journal: true");
    // It ended and is followed anew, each time with the kernel; what was read already comes again.
    let mut follower = fake.follower(2);
    let live = [&kernels(BOOT, 3..9)[..], &[entry(BOOT, "c1", "smartd", 5, "Device: /dev/sda")]].concat().concat();
    follower.write_all(&live).unwrap();
    assert_eq!(first.take(4), [said(6..9), vec!["smartd: Device: /dev/sda".to_owned()]].concat());
    let follow = fake.args().into_iter().rfind(|args| args.contains("--follow")).unwrap();
    assert!(follow.ends_with("SYSLOG_IDENTIFIER=smartd + _TRANSPORT=kernel"), "{follow}");
    assert_eq!(first.finish(), [""; 0]);
    drop(follower);
    let saved = fake.saved();
    assert!(saved.kernel.is_some_and(|kernel| kernel.by_journal.is_some()) && saved.cursor.as_deref() == Some("c1"));
    // The next daemon may read it. The ring has lost two that the journal has, and has others that were read.
    fake.journal(BOOT, &kernels(BOOT, 0..16));
    let second = fake.start();
    second.ring(7..12);
    assert_eq!(second.take(3), said(9..12));
    second.ring(12..14);
    assert_eq!(second.take(2), said(12..14));
    // The journal has two more than were read.
    second.taps.no_kernel_log();
    second.taps.no_kernel_log();
    assert_eq!(second.take(2), said(14..16));
    assert_eq!(second.next(), "the kernel by the journal: true");
    second.ring(12..20);
    assert_eq!(second.next(), "the kernel by the journal: false");
    assert_eq!(second.take(4), said(16..20));
    // What comes late enough cannot have been read: numbers are all that counts again.
    second.ring(20..28);
    assert_eq!(second.take(8), said(20..28));
    assert_eq!(second.finish(), [""; 0]);
    assert_eq!(fake.saved().kernel.map(|kernel| (kernel.sequence, kernel.by_journal)), Some((27, None)));
}

#[test]
fn without_a_journal_the_kernel_is_heard_and_what_is_lost_is_counted() {
    let fake = Fake::new("none", FAKE);
    for body in ["echo 'No journal files were found.' >&2; exit 1\n", "exec sleep 1000\n"] {
        fake.script(body);
        let mut options = fake.options();
        options.limits.answer = Duration::from_millis(20);
        options.state_dir = fake.dir.join("state");
        let _ = std::fs::remove_file(options.state_dir.join("storage.json"));
        let running = Running::start(options);
        running.ring(2..4);
        assert_eq!(running.next(), "lost 2 of the kernel");
        assert_eq!(running.take(2), said(2..4));
        running.ring(7..8);
        assert_eq!(running.next(), "lost 3 of the kernel");
        assert_eq!(running.take(1), said(7..8));
        assert_eq!(running.finish(), [""; 0]);
    }
    let mut options = fake.options();
    options.journalctl = fake.dir.join("nowhere");
    options.state_dir = fake.dir.join("no-state");
    let running = Running::start(options);
    running.ring(0..2);
    running.taps.uevent(b"change@/x\0");
    assert_eq!(running.take(3), [said(0..2), vec!["uevent 10 bytes".to_owned()]].concat());
    assert_eq!(running.finish(), [""; 0]);
}

#[test]
fn a_follower_that_ends_goes_on_behind_the_last_whole_entry() {
    let fake = Fake::new("follower", FAKE);
    let running = fake.start();
    let mut follower = fake.follower(1);
    let (one, two) = (entry(BOOT, "c1", "smartd", 1, "one"), entry(BOOT, "c2", "multipathd", 2, "two"));
    follower.write_all(&one).unwrap();
    follower.write_all(&two[..two.len() - 1]).unwrap();
    assert_eq!(running.next(), "smartd: one");
    drop(follower);
    let mut follower = fake.follower(2);
    follower.write_all(&two).unwrap();
    assert_eq!(running.next(), "multipathd: two");
    drop(follower);
    drop(fake.follower(3));
    assert_eq!(running.finish(), [""; 0]);
    let since = |cursor: &str| fake.args().iter().any(|args| args.contains(&format!("--after-cursor={cursor} ")));
    assert!(since("c1") && since("c2"), "{:?}", fake.args());
    assert_eq!(fake.saved().cursor.as_deref(), Some("c2"));
}

/// It is killed, and another takes its place.
/// The place stays: what was said is not said again, and nothing of the others is missed.
#[test]
fn other_programs_are_followed_from_the_place_that_was_reached() {
    let fake = Fake::new("programs", FAKE);
    let running = fake.start();
    let mut first = fake.follower(1);
    first.write_all(&entry(BOOT, "m1", "multipathd", 5, "sdb: path down")).unwrap();
    assert_eq!(running.next(), "multipathd: sdb: path down");
    running.collector.set_programs(vec!["multipathd".to_owned(), "shelfd".to_owned()]);
    let mut second = fake.follower(2);
    second.write_all(&entry(BOOT, "s1", "shelfd", 6, "disk sdq is hot")).unwrap();
    assert_eq!(running.next(), "shelfd: disk sdq is hot");
    let args = fake.args();
    let follows: Vec<&String> = args.iter().filter(|args| args.contains("--follow")).collect();
    assert!(follows[1].contains("--after-cursor=m1"), "{follows:?}");
    assert!(follows[1].ends_with("SYSLOG_IDENTIFIER=multipathd SYSLOG_IDENTIFIER=shelfd"), "{follows:?}");
    assert_eq!(running.finish(), [""; 0]);
    assert_eq!(fake.saved().cursor.as_deref(), Some("s1"));
}

#[test]
fn a_follower_that_says_nothing_for_long_is_started_anew() {
    let entry = "__CURSOR=c%s\\n__REALTIME_TIMESTAMP=1\\n_BOOT_ID=b\\nSYSLOG_IDENTIFIER=smartd\\nMESSAGE=run %s\\n\\n";
    let body = format!(
        "echo run >> \"$dir/args\"; n=$(grep -c . \"$dir/args\"); printf '{entry}' \"$n\" \"$n\"; exec sleep 1000\n"
    );
    let fake = Fake::new("silent", &body);
    let mut options = fake.options();
    options.limits.silence = Duration::from_millis(200);
    let running = Running::start(options);
    // On a busy machine one may be killed before it has said anything.
    let runs: Vec<u32> =
        running.take(3).iter().map(|said| said.strip_prefix("smartd: run ").unwrap().parse().unwrap()).collect();
    assert!(runs.is_sorted_by(|before, after| before < after), "{runs:?}");
    running.finish();
}

#[test]
fn a_flood_of_a_program_delays_no_message_of_the_kernel_and_loses_nothing() {
    const FLOOD: usize = 50_000;
    let fake = Fake::new("flood", FAKE);
    let running = fake.start();
    let mut follower = fake.follower(1);
    let flood = std::thread::spawn(move || {
        for n in 0..FLOOD {
            follower.write_all(&entry(BOOT, &format!("c{n}"), "smartd", 1, &format!("line {n}"))).unwrap();
        }
    });
    assert_eq!(running.next(), "smartd: line 0");
    running.ring(0..3);
    let mut lines = 1;
    let mut kernels = Vec::new();
    while lines < FLOOD || kernels.len() < 3 {
        let said = running.next();
        if said.starts_with("kernel") {
            kernels.push(said);
        } else {
            assert_eq!(said, format!("smartd: line {lines}"));
            lines += 1;
        }
    }
    assert_eq!(kernels, said(0..3));
    flood.join().unwrap();
    drop(fake.follower(2));
    assert_eq!(running.finish(), [""; 0]);
}

/// The real log, where this process may write to it: what is there comes once, also after a restart.
#[test]
fn what_is_in_the_real_log_comes_once() {
    let Ok(mut log) = File::options().write(true).open("/dev/kmsg") else { return };
    if File::open("/dev/kmsg").is_err() || !Path::new("/proc/sys/kernel/random/boot_id").exists() {
        return;
    }
    let fake = Fake::new("kmsg", FAKE);
    // One call is one message.
    let say = |log: &mut File, n: u32| {
        let message = format!("storage-test[{}]: line {n} \\ of \u{e4}\n", std::process::id());
        log.write_all(message.as_bytes())
    };
    let heard = |running: &Running, last: &str| {
        let all: Vec<String> = std::iter::repeat_with(|| running.next()).take_while(|said| said != last).collect();
        let ours = |said: &&String| said.starts_with("storage-test: line");
        all.iter().filter(ours).cloned().collect::<Vec<_>>()
    };
    let line = |n: u32| format!("storage-test: line {n} \\ of \u{e4}");
    let (one, three) = (line(1), line(3));
    if say(&mut log, 1).is_err() {
        return;
    }
    let options = || Options { boot: boot_id().unwrap(), ..fake.options() };
    fake.journal(&options().boot, &[]);
    let first = Running::start(options());
    let _source = kernel_log::spawn(Some(first.taps.clone()));
    heard(&first, &one);
    first.finish();
    say(&mut log, 2).unwrap();
    let second = Running::start(options());
    let _source = kernel_log::spawn(Some(second.taps.clone()));
    say(&mut log, 3).unwrap();
    assert_eq!(heard(&second, &three), [line(2)]);
    second.finish();
}

/// A real journalctl, and a journal that a real systemd-journal-remote has written.
#[test]
fn a_real_journal_gives_what_is_in_the_gap() {
    let Some(remote) = journal_remote() else { return };
    // The first argument asks for the system's own journal, which has another name.
    let fake = Fake::new(
        "real",
        "case \"$*\" in *--follow*) exec sleep 1000 ;; esac\nshift\nexec journalctl --directory=\"$dir/journal\" \"$@\"\n",
    );
    write_journal(remote, &fake.dir.join("journal"), &[kernels(BEFORE, 0..8), kernels(BOOT, 0..12)].concat());
    let mut old = fake.options();
    old.boot = BEFORE.to_owned();
    let first = Running::start(old);
    first.ring(0..5);
    assert_eq!(first.take(5), said(0..5));
    assert_eq!(first.finish(), [""; 0]);
    let second = fake.start();
    second.ring(9..12);
    assert_eq!(second.take(15), [said(5..8), said(0..12)].concat());
    assert_eq!(second.finish(), [""; 0]);
}

/// What makes a journal of a file: Debian's systemd-journal-remote, which `cargo xtask ci` fetches.
fn journal_remote() -> Option<Command> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools");
    let program = "lib/systemd/systemd-journal-remote";
    let root = [PathBuf::from("/"), tools].into_iter().find(|root| root.join(program).is_file())?;
    let libraries = std::fs::read_dir(root.join("usr/lib")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut command = Command::new(root.join(program));
    command.env("LD_LIBRARY_PATH", std::env::join_paths(libraries).unwrap());
    Command::new("journalctl").arg("--version").output().is_ok().then_some(command)
}

fn write_journal(mut remote: Command, dir: &Path, entries: &[Vec<u8>]) {
    std::fs::create_dir_all(dir).unwrap();
    let mut child = remote
        .arg("--output")
        .arg(dir.join("test.journal"))
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&entries.concat()).unwrap();
    assert!(child.wait().unwrap().success());
}
