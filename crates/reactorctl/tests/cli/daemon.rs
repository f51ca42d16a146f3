//! A daemon that has seen a recording; and the program that is tried.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::UNIX_EPOCH;

use assert_cmd::Command;
use expect_test::Expect;
use reactor_api::PromotedStatus;
use reactor_api::status::{ReloadResult, SourceState, Status};
use reactor_api::verbs::ReloadReply;
use reactor_core::api::status;
use reactor_core::core::Core;
use reactor_core::settings::Detail;
use reactor_sys::control::SOCKET_NAME;
use reactor_sys::drbd::playback::Recording;

use crate::planner::planner;
use crate::played::{Facts, Played, State, Step};

pub(crate) fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings/drbd9")
}

/// A daemon that has seen a recording to its end, or whatever a test lets it see. It answers until it is dropped.
pub(crate) struct Daemon {
    pub(crate) folder: PathBuf,
    played: Option<Played>,
}

/// What a reload comes to.
struct Reloads(ReloadReply);

impl Facts for Reloads {
    fn reload(&mut self) -> ReloadReply {
        self.0.clone()
    }
}

impl Daemon {
    pub(crate) fn start(recording: &str, reload: ReloadReply) -> Self {
        // Recordings are named after their nodes.
        let node = Path::new(recording).file_stem().unwrap().to_string_lossy().into_owned();
        let recording = Recording::open(&recordings().join(recording)).unwrap();
        Self::of(move || {
            let mut state = seen(&recording);
            state.planner = Some(planner(&recording, &node));
            (Reloads(reload), state)
        })
    }

    /// One that begins with this state.
    pub(crate) fn with(make: impl FnOnce(&mut State) + Send + 'static) -> Self {
        Self::of(move || {
            let mut state = State::default();
            make(&mut state);
            (Reloads(reloaded(ReloadResult::Ok, &[])), state)
        })
    }

    fn of(make: impl FnOnce() -> (Reloads, State) + Send + 'static) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("reactorctl-{}-{number}", std::process::id()));
        let played = Some(Played::start(&folder, make));
        Self { folder, played }
    }

    /// Something happens.
    pub(crate) fn change(&self, step: impl FnOnce(&mut State) + Send + 'static) {
        self.played.as_ref().unwrap().change(step);
    }

    /// It ends, and another one is started in its place.
    pub(crate) fn restart(&mut self, make: impl FnOnce(&mut State) + Send + 'static) {
        drop(self.played.take());
        self.played = Some(Played::start(&self.folder, move || {
            let mut state = State::default();
            make(&mut state);
            (Reloads(reloaded(ReloadResult::Ok, &[])), state)
        }));
    }

    /// It ends, and nobody answers in its place.
    pub(crate) fn end(&mut self) {
        drop(self.played.take());
    }

    /// Lets something happen, from wherever.
    pub(crate) fn teller(&self) -> impl Fn(Step) + Send + 'static {
        self.played.as_ref().unwrap().teller()
    }

    pub(crate) fn run(&self, args: &[&str]) -> Command {
        let mut command = reactorctl();
        command.arg("--socket").arg(self.folder.join(SOCKET_NAME)).args(args);
        command
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.played.take());
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What a daemon knows that has seen all of it.
fn seen(recording: &Recording) -> State {
    let mut state = State::default();
    state.core.set_follow(Some(Detail::State));
    for (now, input) in recording.steps() {
        state.core.step(now, input, &mut Vec::new());
        let wall = recording.wall(now).expect("the recording has times");
        let wall = UNIX_EPOCH + std::time::Duration::from_nanos(u64::try_from(wall.as_nanosecond()).unwrap());
        state.hub.publish(wall, state.core.changes());
    }
    state.status = status(&state.core);
    state.promoted = vec![promoted()];
    state
}

/// What a promoter says of `r1`.
pub(crate) fn promoted() -> PromotedStatus {
    PromotedStatus {
        resource: "r1".to_owned(),
        state: "standby".to_owned(),
        since: "2026-11-21T03:05:40.000Z".to_owned(),
        because: vec!["n3 is Primary".to_owned()],
        policy: "quorum".to_owned(),
        ..PromotedStatus::default()
    }
}

pub(crate) fn status(core: &Core) -> Status {
    let mut status = Status {
        version: "1.2.3".to_owned(),
        pid: 812,
        node: "n2".to_owned(),
        mode: "native".to_owned(),
        started: "2026-11-21T03:05:37.000Z".to_owned(),
        now: "2026-11-21T03:06:47.000Z".to_owned(),
        counters: status::counters(core),
        ..Status::default()
    };
    status.source.state = SourceState::Up;
    status.source.command = Some("drbdsetup events2 --full --poll".to_owned());
    status
}

pub(crate) fn reloaded(result: ReloadResult, findings: &[&str]) -> ReloadReply {
    let findings = findings.iter().map(|&finding| finding.to_owned()).collect();
    ReloadReply::new(result, findings, String::new())
}

/// Whoever runs the tests may have contexts, and their nodes are none of ours to ask, let alone to steer.
pub(crate) fn reactorctl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reactorctl"));
    command
        .env_remove("CLICOLOR_FORCE")
        .env_remove(reactorctl::completion::VARIABLE)
        .env("XDG_CONFIG_HOME", "/nowhere");
    command
}

/// The whole output and the exit code, the test's own paths redacted.
pub(crate) fn check(mut command: Command, redact: &Path, expect: &Expect) {
    let output = command.output().unwrap();
    let shown = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).expect("the output is UTF-8");
        text.replace(&*redact.to_string_lossy(), "DIR").replace(env!("CARGO_PKG_VERSION"), "VERSION")
    };
    let (out, err) = (timeless(&shown(&output.stdout)), timeless(&shown(&output.stderr)));
    let code = output.status.code().expect("it exits");
    let err = if err.is_empty() { String::new() } else { format!("--- stderr\n{err}") };
    expect.assert_eq(&format!("{out}{err}--- exit {code}\n"));
}

/// A command that runs, and what it says.
pub(crate) fn spawn(command: &Command) -> (Child, BufReader<ChildStdout>) {
    let mut running = std::process::Command::new(command.get_program());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => running.env(name, value),
            None => running.env_remove(name),
        };
    }
    let mut child = running.args(command.get_args()).stdout(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

/// Reads up to a line with this in it; gives all that was read.
pub(crate) fn until(out: &mut BufReader<ChildStdout>, wanted: &str) -> String {
    let (mut text, mut at) = (String::new(), 0);
    while !text[at..].contains(wanted) {
        at = text.len();
        assert_ne!(out.read_line(&mut text).unwrap(), 0, "{wanted:?} never came: {text}");
    }
    text
}

/// Times that it took are different each time: `12.3 s` is `# s`, and so many places shorter.
pub(crate) fn timeless(text: &str) -> String {
    let mut out = String::new();
    let (before, waited) = text.split_once("\"waited-ms\":").unwrap_or((text, ""));
    if !waited.is_empty() {
        let rest = waited.trim_start_matches(|c: char| c.is_ascii_digit());
        return format!("{before}\"waited-ms\":#{rest}");
    }
    for (at, part) in text.split(" s").enumerate() {
        if at > 0 {
            out.push_str(" s");
        }
        let kept = part.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        match part[kept.len()..].split_once('.') {
            // The last part has no unit behind it.
            Some((whole, tenth)) if !whole.is_empty() && tenth.len() == 1 => {
                out.push_str(kept.trim_end_matches(' '));
                out.push_str(" #");
            }
            _ => out.push_str(part),
        }
    }
    out
}

/// A node that was killed, and came back.
pub(crate) const KILLED: &str = "r2-failover-node-killed/n2.events2";
