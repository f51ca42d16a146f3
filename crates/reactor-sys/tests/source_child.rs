//! The drbdsetup source against a fake drbdsetup: a shell script that prints what the test writes into a FIFO. Each test decides
//! byte by byte what was printed when the program was killed, and waits for what the source says, never for time to pass.

#![expect(clippy::unwrap_used, reason = "a test that can not go on says where")]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reactor_core::change::{EventKind, Origin, What};
use reactor_core::core::Core;
use reactor_core::ids::Mono;
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
use reactor_sys::drbd::child::{CHANNEL, ChildOptions, ChildSource};
use reactor_sys::drbd::command::CommandError;
use reactor_sys::drbd::playback::Recording;
use reactor_sys::drbd::restart::Backoff;
use reactor_sys::drbd::version::{Module, Versions};
use tokio::sync::mpsc;

/// No wait in these tests comes near it.
const LONG: Duration = Duration::from_secs(60);

const DRBD9: &str = "DRBD_KERNEL_VERSION_CODE=0x090303\nDRBDADM_VERSION_CODE=0x092200\n";
const DRBD84: &str = "DRBD_KERNEL_VERSION_CODE=0x08040b\nDRBDADM_VERSION_CODE=0x091600\n";

/// A folder with a fake drbdsetup and a fake drbdadm.
struct Fake {
    dir: PathBuf,
}

impl Fake {
    fn new(name: &str, versions: &str, drbdsetup: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("reactor-child-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir(&dir).unwrap();
        let fake = Self { dir };
        run("mkfifo", &[&fake.fifo()]);
        fake.script("drbdadm", &format!("cat <<'END'\n{versions}END\n"));
        fake.script("drbdsetup", drbdsetup);
        fake
    }

    /// What a run prints is what the test writes; the arguments of each run are kept.
    fn following(name: &str) -> Self {
        Self::new(name, DRBD9, "echo \"$*\" >> \"$dir/args\"; exec cat \"$dir/fifo\"\n")
    }

    fn fifo(&self) -> PathBuf {
        self.dir.join("fifo")
    }

    /// Another process writes the file: a descriptor of ours that is open for writing could reach a child of another test, and
    /// then the script can't be executed.
    fn script(&self, name: &str, body: &str) {
        let path = self.dir.join(name);
        let text = format!("#!/bin/sh\ndir='{}'\n{body}", self.dir.display());
        let mut sh = std::process::Command::new("/bin/sh")
            .args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "sh"])
            .arg(&path)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        sh.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(sh.wait().unwrap().success());
    }

    fn options(&self, poll_interval: Option<Duration>) -> ChildOptions {
        ChildOptions {
            drbdsetup: self.dir.join("drbdsetup"),
            drbdadm: self.dir.join("drbdadm"),
            poll_interval,
            backoff: Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(5) },
            silence: LONG,
        }
    }

    fn start(&self, poll_interval: Option<Duration>) -> (ChildSource, Inputs) {
        let (tx, rx) = mpsc::channel(CHANNEL);
        (ChildSource::spawn(self.options(poll_interval), tx), Inputs { rx, core: Core::new(), seen: Vec::new() })
    }

    /// The other end of what the next run prints; waits until it has begun.
    async fn stdout(&self) -> File {
        let fifo = self.fifo();
        let open = tokio::task::spawn_blocking(move || File::options().write(true).open(fifo).unwrap());
        tokio::time::timeout(LONG, open).await.expect("the fake drbdsetup starts").unwrap()
    }

    fn args(&self) -> Vec<String> {
        std::fs::read_to_string(self.dir.join("args")).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn run(program: &str, args: &[&Path]) {
    assert!(std::process::Command::new(program).args(args).status().unwrap().success());
}

/// What the source said, fed to a real core.
struct Inputs {
    rx: mpsc::Receiver<Input>,
    core: Core,
    seen: Vec<Input>,
}

impl Inputs {
    async fn next(&mut self) -> Input {
        let input =
            tokio::time::timeout(LONG, self.rx.recv()).await.expect("an input comes").expect("the source lives");
        self.core.step(Mono::ZERO, &input, &mut Vec::new());
        self.seen.push(input.clone());
        input
    }

    /// Reads until `done` says so.
    async fn until(&mut self, done: impl Fn(&Input) -> bool) -> Input {
        loop {
            let input = self.next().await;
            if done(&input) {
                return input;
            }
        }
    }

    /// Reads until the lines so far contain `text`.
    async fn until_text(&mut self, text: &str) {
        self.until(|input| matches!(input, Input::Lines(SourceId::Drbd, lines) if lines.contains(text))).await;
    }

    async fn until_ended(&mut self) -> String {
        match self.until(|input| matches!(input, Input::Source(SourceId::Drbd, SourceEvent::Ended { .. }))).await {
            Input::Source(SourceId::Drbd, SourceEvent::Ended { why }) => why,
            other => unreachable!("{other:?}"),
        }
    }
}

fn recorded(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings/drbd9").join(path);
    std::fs::read_to_string(path).unwrap()
}

fn kill(source: &ChildSource) {
    let pid = source.status().pid.expect("it runs");
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Plays `text` up to `cut`, kills drbdsetup there, and lets the next run print the snapshot at the end of `text`.
async fn killed_at(name: &str, text: &str, cut: usize) {
    let mut whole = Core::new();
    for (at, input) in recording_of(name, text).steps() {
        whole.step(at, input, &mut Vec::new());
    }
    let truth = whole.node().to_events2();

    let fake = Fake::following(name);
    let (source, mut inputs) = fake.start(None);
    let mut stdout = fake.stdout().await;
    stdout.write_all(&text.as_bytes()[..cut]).unwrap();
    let last_whole = &text[..text[..cut].rfind('\n').map_or(0, |end| end + 1)];
    let mut read = String::new();
    while read != last_whole {
        if let Input::Lines(SourceId::Drbd, lines) = inputs.next().await {
            read.push_str(&lines);
        }
    }
    kill(&source);
    assert_eq!(inputs.until_ended().await, "drbdsetup was killed by signal 9");
    drop(stdout);
    let mut stdout = fake.stdout().await;
    stdout.write_all(truth.as_bytes()).unwrap();
    inputs.until_text("exists -\n").await;
    inputs.until(|input| *input == Input::BurstEnd(SourceId::Drbd)).await;
    assert_eq!(inputs.core.node().to_events2(), truth, "{name}, cut at {cut}");
    let restarted = inputs
        .seen
        .iter()
        .filter(|input| matches!(input, Input::Source(SourceId::Drbd, SourceEvent::Started { .. })))
        .count();
    assert_eq!(restarted, 2);
    assert_eq!(source.status().restarts, 1);
    assert!(source.status().running);
}

fn recording_of(name: &str, text: &str) -> Recording {
    let path = std::env::temp_dir().join(format!("reactor-child-{name}-{}.events2", std::process::id()));
    std::fs::write(&path, text).unwrap();
    let recording = Recording::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    recording
}

#[tokio::test]
async fn killed_in_the_middle_of_a_burst() {
    let text = recorded("r2-failover-node-killed/n3.events2");
    let burst = text.rfind("change resource").unwrap();
    let second_line = burst + text[burst..].find('\n').unwrap() + 30;
    killed_at("burst", &text, second_line).await;
}

#[tokio::test]
async fn killed_in_the_middle_of_the_dump() {
    let text = recorded("o-events2-restart/n1.seg3.events2");
    killed_at("dump", &text, text.find("exists -\n").unwrap() / 2).await;
}

#[tokio::test]
async fn killed_in_the_middle_of_a_rename() {
    let text = recorded("k1-down-up-rename-path/n1.events2");
    let rename = text.find("rename resource").unwrap();
    killed_at("rename-line", &text, rename + 25).await;
    let after = rename + text[rename..].find('\n').unwrap() + 1;
    killed_at("rename-after", &text, after).await;
}

#[tokio::test]
async fn after_a_restart_only_differences_are_news() {
    let fake = Fake::following("differences");
    let (source, mut inputs) = fake.start(None);
    let resource = "resource name:r1 role:Secondary suspended:no may_promote:yes promotion_score:10101";
    let device = |quorum: &str| format!("device name:r1 volume:0 minor:20 disk:UpToDate client:no quorum:{quorum}");
    let mut stdout = fake.stdout().await;
    write!(stdout, "exists {resource}\nexists {}\nexists -\n", device("yes")).unwrap();
    inputs.until(|input| *input == Input::BurstEnd(SourceId::Drbd)).await;
    kill(&source);
    inputs.until_ended().await;
    drop(stdout);
    let mut stdout = fake.stdout().await;
    write!(stdout, "exists {resource}\nexists {}\nexists -\n", device("no")).unwrap();
    let mut changes = Vec::new();
    while inputs.next().await != Input::BurstEnd(SourceId::Drbd) {
        changes.extend(inputs.core.changes().to_vec());
    }
    changes.extend(inputs.core.changes().to_vec());
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!((changes[0].kind, changes[0].origin), (EventKind::Change, Origin::CatchUp));
    assert!(
        matches!(&changes[0].what, What::Device { old, new, .. } if old.state.quorum == Some(true) && new.state.quorum == Some(false))
    );
}

#[tokio::test]
async fn a_missing_drbdsetup_is_said_and_tried_again() {
    let fake = Fake::following("missing");
    let mut options = fake.options(None);
    options.drbdsetup = fake.dir.join("nowhere");
    let (tx, rx) = mpsc::channel(CHANNEL);
    let source = ChildSource::spawn(options, tx);
    let mut inputs = Inputs { rx, core: Core::new(), seen: Vec::new() };
    for _ in 0..3 {
        let why = inputs.until_ended().await;
        assert!(why.starts_with("can't start") && why.contains("No such file"), "{why}");
    }
    let status = source.status();
    assert!(!status.running && status.since.is_some() && status.restarts >= 3);
    assert!(status.why.unwrap().contains("nowhere"));
    // As soon as it is there, it is used.
    std::os::unix::fs::symlink(fake.dir.join("drbdsetup"), fake.dir.join("nowhere")).unwrap();
    let mut stdout = fake.stdout().await;
    stdout.write_all(b"exists -\n").unwrap();
    inputs.until_text("exists -\n").await;
    assert!(source.status().running && source.status().why.is_none());
}

#[tokio::test]
async fn lines_with_unknown_words_are_handed_on_as_they_are() {
    let fake = Fake::following("unknown");
    let (_source, mut inputs) = fake.start(None);
    let text =
        "exists -\nchange device name:r1 volume:0 disk:NewState quorum:no new-key:\u{fc}\nfrobnicate all name:r1\n";
    fake.stdout().await.write_all(text.as_bytes()).unwrap();
    inputs.until_ended().await;
    let read: String = inputs
        .seen
        .iter()
        .filter_map(|input| if let Input::Lines(SourceId::Drbd, text) = input { Some(text.as_str()) } else { None })
        .collect();
    assert_eq!(read, text);
    assert_eq!(fake.args()[0], "events2 --timestamps --full --poll");
}

#[tokio::test]
async fn a_busy_loop_makes_drbdsetup_wait_and_loses_nothing() {
    let line = "change device name:r1 volume:0 minor:20 disk:UpToDate client:no quorum:yes size:131028 read:0";
    let fake = Fake::new("flood", DRBD9, &format!("echo 'exists -'; yes '{line}' | head -n 200000\n"));
    let (tx, mut rx) = mpsc::channel(2);
    let source = ChildSource::spawn(fake.options(None), tx);
    let mut lines = 0;
    let mut last_was_end = true;
    while let Some(input) = rx.recv().await {
        match input {
            Input::Lines(SourceId::Drbd, text) => {
                assert!(text.len() <= 256 * 1024);
                lines += text.lines().count();
                last_was_end = false;
            }
            Input::BurstEnd(SourceId::Drbd) => {
                assert!(!std::mem::replace(&mut last_was_end, true), "a burst ends twice");
            }
            Input::Source(SourceId::Drbd, SourceEvent::Ended { .. }) => break,
            _ => {}
        }
    }
    assert_eq!(lines, 200_001);
    assert_eq!(source.status().lines, 200_001);
}

#[tokio::test]
async fn no_polls_with_interval_0_and_polls_otherwise() {
    // Each line on standard input is answered by a line of events2; its end ends the program.
    let script = "echo 'exists -'; while read -r line; do echo \"change polled name:$line\"; done\n";
    let fake = Fake::new("polls", DRBD9, script);
    let (source, mut inputs) = fake.start(Some(Duration::ZERO));
    inputs.until_text("exists -").await;
    inputs.until(|input| *input == Input::BurstEnd(SourceId::Drbd)).await;
    assert_eq!(source.status().polls, 0);
    // A reload switches them on, without a restart; even the shortest interval does not spin.
    source.set_poll_interval(Some(Duration::from_nanos(1)));
    let start = std::time::Instant::now();
    inputs.until_text("change polled name:n\n").await;
    inputs.until_text("change polled name:n\n").await;
    let status = source.status();
    assert!(status.polls >= 2 && status.polls <= 1 + start.elapsed().as_secs(), "{}", status.polls);
    assert_eq!(status.restarts, 0);
}

#[tokio::test]
async fn without_timestamps_when_they_are_refused() {
    let script = "echo \"$*\" >> \"$dir/args\"\ncase \"$*\" in *--timestamps*) \
        echo \"events2: unrecognized option '--timestamps'\" >&2; echo 'USAGE: drbdsetup events2'; exit 20;; esac\n\
        exec cat \"$dir/fifo\"\n";
    let fake = Fake::new("refused", DRBD9, script);
    let (_source, mut inputs) = fake.start(None);
    for _ in 0..2 {
        let mut stdout = fake.stdout().await;
        stdout.write_all(b"exists -\n").unwrap();
        drop(stdout);
        inputs.until_ended().await;
    }
    let first: Vec<&Input> = inputs.seen.iter().take(2).collect();
    assert!(
        matches!(first[0], Input::Source(SourceId::Drbd, SourceEvent::Started { command, .. }) if command.ends_with("events2 --full --poll")),
        "the refusal itself is no news: {first:?}"
    );
    assert_eq!(
        fake.args()[..3],
        ["events2 --timestamps --full --poll", "events2 --full --poll", "events2 --full --poll"]
    );
}

#[tokio::test]
async fn usage_text_is_a_reason_and_not_an_event() {
    let fake = Fake::new("usage", DRBD9, "echo 'USAGE: drbdsetup events2'; echo 'no such module' >&2; exit 10\n");
    let (_source, mut inputs) = fake.start(None);
    assert_eq!(inputs.until_ended().await, "drbdsetup ended with exit code 10: USAGE: drbdsetup events2");
    assert_eq!(inputs.seen.len(), 1, "{:?}", inputs.seen);
}

#[tokio::test]
async fn drbd84_is_asked_with_what_it_knows() {
    let script = "echo \"$*\" >> \"$dir/args\"\ncase \"$*\" in *--now*) \
        printf 'exists resource name:r0 role:Primary\\nexists device name:r0 volume:0 minor:0 disk:UpToDate read:7\\nexists -\\n';; \
        *) exec cat \"$dir/fifo\";; esac\n";
    let fake = Fake::new("eight", DRBD84, script);
    let (source, mut inputs) = fake.start(Some(Duration::from_secs(1)));
    let mut stdout = fake.stdout().await;
    stdout
        .write_all(b"2026-11-21T02:34:58.364180+00:00 exists resource name:r0 role:Secondary suspended:no\n")
        .unwrap();
    stdout
        .write_all(b"2026-11-21T02:34:58.364180+00:00 exists device name:r0 volume:0 minor:0 disk:UpToDate read:1\n")
        .unwrap();
    stdout.write_all(b"2026-11-21T02:34:58.364180+00:00 exists -\n").unwrap();
    inputs.until_text("read:7").await;
    inputs.until(|input| *input == Input::BurstEnd(SourceId::Drbd)).await;
    assert!(matches!(
        &inputs.seen[0],
        Input::Source(SourceId::Drbd, SourceEvent::Started { dialect: Some(Dialect::Drbd84), .. })
    ));
    let resource = inputs.core.node().resource("r0").unwrap();
    assert_eq!(resource.state.role.as_str(), "Secondary", "a picture is no news of a state");
    assert_eq!(resource.devices.values().next().unwrap().stats.read_kib, Some(7));
    assert_eq!(fake.args()[..2], ["events2 --timestamps --statistics", "events2 --now --statistics"]);
    assert!(source.status().version_warnings.join(" ").contains("no quorum"));
}

/// In the kernel, or for a lock: it was waited for without end, and nothing was known of DRBD.
#[tokio::test]
async fn one_that_hangs_before_its_dump_ends_is_started_again_and_shown_as_hung() {
    let fake = Fake::following("silent");
    let options = ChildOptions { silence: Duration::from_millis(50), ..fake.options(None) };
    let (tx, rx) = mpsc::channel(CHANNEL);
    let mut inputs = Inputs { rx, core: Core::new(), seen: Vec::new() };
    let source = ChildSource::spawn(options, tx);
    for run in 1..=3 {
        let why = inputs.until_ended().await;
        assert_eq!(why, "drbdsetup printed nothing for 50 ms, and its picture was not complete: it was killed");
        assert!(source.status().hung >= run);
    }
    assert!(!source.status().running && source.status().why.is_some());
}

#[tokio::test]
async fn one_whose_dump_has_ended_may_be_silent_for_ever() {
    let fake = Fake::following("quiet");
    let (source, mut inputs) = fake.start(None);
    let mut stdout = fake.stdout().await;
    stdout.write_all(b"exists resource name:r0 role:Secondary suspended:no\nexists -\n").unwrap();
    inputs.until_text("exists -\n").await;
    tokio::time::pause();
    tokio::time::advance(100 * LONG).await;
    tokio::time::resume();
    stdout.write_all(b"change resource name:r0 role:Primary suspended:no\n").unwrap();
    inputs.until_text("role:Primary").await;
    assert_eq!(source.status().hung, 0);
}

#[tokio::test]
async fn a_drbdadm_that_hangs_is_killed() {
    let fake = Fake::following("hangs");
    fake.script("drbdadm", "exec cat \"$dir/fifo\"\n");
    let asked = Versions::ask_within(&fake.dir.join("drbdadm"), Duration::from_millis(50)).await;
    assert!(matches!(asked, Err(CommandError::Deadline { .. })), "{asked:?}");
    fake.script("drbdadm", "exec yes DRBD\n");
    let asked = Versions::ask(&fake.dir.join("drbdadm")).await;
    assert!(matches!(asked, Err(CommandError::TooMuch { .. })), "{asked:?}");
    fake.script("drbdadm", "echo DRBD_KERNEL_VERSION_CODE=0x000000; exit 1\n");
    assert_eq!(Versions::ask(&fake.dir.join("drbdadm")).await.unwrap().module, Module::NotLoaded);
}

#[tokio::test]
async fn without_drbdadm_it_is_taken_for_drbd_9() {
    let fake = Fake::following("no-drbdadm");
    let mut options = fake.options(None);
    options.drbdadm = fake.dir.join("nowhere");
    let (tx, rx) = mpsc::channel(CHANNEL);
    let source = ChildSource::spawn(options, tx);
    let mut inputs = Inputs { rx, core: Core::new(), seen: Vec::new() };
    fake.stdout().await.write_all(b"exists -\n").unwrap();
    inputs.until_text("exists -").await;
    assert!(matches!(
        &inputs.seen[0],
        Input::Source(SourceId::Drbd, SourceEvent::Started { dialect: Some(Dialect::Drbd9), .. })
    ));
    assert!(source.status().version_warnings[0].starts_with("can't ask which DRBD this is, assuming DRBD 9"));
}

#[tokio::test]
async fn drbdsetup_ends_with_the_source() {
    let fake = Fake::following("dropped");
    let (source, mut inputs) = fake.start(None);
    let mut stdout = fake.stdout().await;
    stdout.write_all(b"exists -\n").unwrap();
    inputs.until_text("exists -").await;
    drop(source);
    // Writing fails as soon as nobody reads the FIFO any more.
    let gone = async {
        while stdout.write_all(b"exists -\n").is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, gone).await.expect("drbdsetup was killed");
}
