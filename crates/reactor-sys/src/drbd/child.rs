//! `drbdsetup events2` as a child process: started, read, polled for statistics, and started again when it ends.
//!
//! ```text
//!            ┌────────── refused `--timestamps`: again without ──────────┐
//!            ▼                                                           │
//!   ask drbdadm which DRBD ──▶ start ──▶ Started ──▶ lines, burst ends ──┴─▶ end ──▶ Ended ──▶ wait (1 s to 30 s) ──┐
//!            ▲                                                                                                      │
//!            └──────────────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A drbdsetup that prints nothing for a while before its first dump has ended hangs: it is killed and started again. One that can't be killed is
//! left behind; when three are, the next is started only when one of them has gone.
//!
//! A restart is nothing but news of the source: the new dump tells the core what happened meanwhile. Each end is logged,
//! and its reason stays in the status. `Started` is sent when the first line of events2 has come, so a program that only
//! prints its usage has never "started".
//!
//! drbdsetup ends with us however we end: it is killed when this task is dropped, and if the whole daemon is killed, it finds
//! both ends of its pipes gone: standard output has no reader, and standard input, which `--poll` reads, is at its end.

use std::path::PathBuf;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::command::{self, CommandError};
use super::pipe::Pipe;
use super::restart::Backoff;
use super::statistics84;
use super::stream::{Item, Stream};
use super::version::Versions;
use crate::chain::chain;

/// Inputs that may wait for the loop. When it is full the pipe is not read, and drbdsetup waits: nothing is dropped.
pub const CHANNEL: usize = 16;

/// The pipe from drbdsetup, if the kernel allows it: some 5,000 lines.
const PIPE_BYTES: usize = 1024 * 1024;

/// How long an ended stream may take to become an ended process.
const EXIT_DEADLINE: Duration = Duration::from_secs(5);

/// How many drbdsetups that hang in the kernel may be left behind: the next would hang there, too.
const MAX_LEFT: usize = 3;

/// How much of what drbdsetup says on standard error is kept and logged per run.
const MAX_COMPLAINTS: usize = 4096;

/// Polls are never more frequent than this, whatever is configured.
const SHORTEST_POLL: Duration = Duration::from_secs(1);

/// What to run.
#[derive(Clone, Debug)]
pub struct ChildOptions {
    /// The program.
    pub drbdsetup: PathBuf,
    /// The program that knows the versions; asked before each start.
    pub drbdadm: PathBuf,
    /// How often to ask for statistics; `None` or zero = never.
    pub poll_interval: Option<Duration>,
    /// How long to wait between runs.
    pub backoff: Backoff,
    /// How long it may print nothing before its first dump has ended.
    pub silence: Duration,
}

impl ChildOptions {
    /// Long enough for a kernel that is busy with something else; nothing is known of DRBD until then.
    pub const SILENCE: Duration = Duration::from_secs(30);
}

/// How the source is doing, for status and metrics.
#[derive(Clone, Debug, Default)]
pub struct SourceStatus {
    /// Whether it prints events at this moment.
    pub running: bool,
    /// Since when it is running or not.
    pub since: Option<SystemTime>,
    /// Why it is not running.
    pub why: Option<String>,
    /// The command of the present or last run.
    pub command: String,
    /// Process id of the present run.
    pub pid: Option<u32>,
    /// Runs that ended.
    pub restarts: u64,
    /// Runs that were ended because they hung before their first dump was complete.
    pub hung: u64,
    /// Lines read.
    pub lines: u64,
    /// Bytes of these lines.
    pub bytes: u64,
    /// Lines that were too long to be lines of events2.
    pub overlong_lines: u64,
    /// Statistics polls sent.
    pub polls: u64,
    /// Which DRBD this is; `None` = drbdadm could not be asked.
    pub versions: Option<Versions>,
    /// What a person should know about these versions.
    pub version_warnings: Vec<String>,
}

/// The running source. Dropping it ends drbdsetup.
#[derive(Debug)]
pub struct ChildSource {
    task: JoinHandle<()>,
    status: Arc<Mutex<SourceStatus>>,
    poll_interval: watch::Sender<Option<Duration>>,
}

impl ChildSource {
    /// Starts the source. It sends to `tx` until it is dropped or `tx` has no receiver any more. Use [`CHANNEL`] as capacity.
    pub fn spawn(options: ChildOptions, tx: mpsc::Sender<Input>) -> Self {
        let status = Arc::new(Mutex::new(SourceStatus::default()));
        let (poll_interval, poll) = watch::channel(sane_poll(options.poll_interval));
        let status_too = Arc::clone(&status);
        let supervisor =
            Supervisor { options, tx, status: status_too, poll, refuses_timestamps: false, left: Vec::new() };
        Self { task: tokio::spawn(supervisor.run()), status, poll_interval }
    }

    /// A reload: `None` or zero = never.
    pub fn set_poll_interval(&self, interval: Option<Duration>) {
        let interval = sane_poll(interval);
        self.poll_interval.send_if_modified(|old| std::mem::replace(old, interval) != interval);
    }

    /// How it is doing.
    pub fn status(&self) -> SourceStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ChildSource {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn sane_poll(interval: Option<Duration>) -> Option<Duration> {
    interval.filter(|interval| !interval.is_zero()).map(|interval| interval.max(SHORTEST_POLL))
}

/// The loop has gone: nobody wants to know any more.
struct Closed;

/// How one run went.
struct Run {
    why: String,
    /// Lines of events2 came.
    started: bool,
    /// The first dump was read to its end.
    dumped: bool,
    /// It looks as if an option was not understood.
    refused: bool,
}

struct Supervisor {
    options: ChildOptions,
    tx: mpsc::Sender<Input>,
    status: Arc<Mutex<SourceStatus>>,
    poll: watch::Receiver<Option<Duration>>,
    refuses_timestamps: bool,
    /// Those that did not die when they were killed.
    left: Vec<Child>,
}

/// Why a stream was read no further.
enum Broken {
    Read(std::io::Error),
    /// Nothing came for this time, and the first dump is not complete.
    Silent(Duration),
}

impl Supervisor {
    async fn run(mut self) {
        let mut dialect = self.ask_versions().await;
        let mut failures = 0;
        while let Ok(run) = self.start(dialect).await {
            let wait = self.options.backoff.after(if run.dumped { 0 } else { failures });
            failures = if run.dumped { 0 } else { failures + 1 };
            warn!(error = %run.why, retry_ms = wait.as_millis(), "the event source ended");
            if self.send(Input::Source(SourceId::Drbd, SourceEvent::Ended { why: run.why })).await.is_err() {
                return;
            }
            // DRBD may have been loaded or replaced meanwhile; asking takes none of the time of a normal restart.
            ((), dialect) = tokio::join!(sleep(wait), self.ask_versions());
        }
    }

    /// Which DRBD this is; logs what is new about it.
    async fn ask_versions(&self) -> Dialect {
        let (versions, warnings) = match Versions::ask(&self.options.drbdadm).await {
            Ok(versions) => (Some(versions), versions.warnings()),
            Err(error) => (None, vec![format!("can't ask which DRBD this is, assuming DRBD 9: {}", chain(&error))]),
        };
        let (new_versions, new_warnings) = self.with_status(|status| {
            let new = (status.versions != versions, status.version_warnings != warnings);
            status.versions = versions;
            status.version_warnings.clone_from(&warnings);
            new
        });
        if let Some(versions) = versions.filter(|_| new_versions) {
            info!(%versions, "found DRBD");
        }
        for warning in warnings.iter().filter(|_| new_warnings) {
            warn!("{warning}");
        }
        versions.map(|versions| versions.dialect()).unwrap_or_default()
    }

    /// One run, or two if the first one refuses `--timestamps`.
    async fn start(&mut self, dialect: Dialect) -> Result<Run, Closed> {
        let run = self.run_once(dialect, !self.refuses_timestamps).await?;
        if run.started || !run.refused || self.refuses_timestamps {
            return Ok(run);
        }
        debug!(error = %run.why, "drbdsetup may not know --timestamps here: trying without");
        let second = self.run_once(dialect, false).await?;
        self.refuses_timestamps = second.started;
        Ok(second)
    }

    async fn run_once(&mut self, dialect: Dialect, timestamps: bool) -> Result<Run, Closed> {
        self.left.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        if self.left.len() >= MAX_LEFT {
            let why =
                format!("{} runs of drbdsetup hang in the kernel: waiting for one of them to end", self.left.len());
            self.with_status(|status| status.why = Some(why.clone()));
            return Ok(Run { why, started: false, dumped: false, refused: false });
        }
        let args = arguments(dialect, timestamps);
        let shown = format!("{} {}", self.options.drbdsetup.display(), args.join(" "));
        let mut command = command::command(&self.options.drbdsetup, &args);
        if dialect == Dialect::Drbd9 {
            command.stdin(Stdio::piped());
        }
        let mut child = match self.spawn(command).await {
            Ok(child) => child,
            Err(error) => {
                let why = chain(&error).to_string();
                self.with_status(|status| status.not_running(&why));
                return Ok(Run { why, started: false, dumped: false, refused: false });
            }
        };
        self.with_status(|status| {
            status.command.clone_from(&shown);
            status.pid = child.id();
        });
        let complaints = Complaints::listen(child.stderr.take().expect("standard error is a pipe"));
        let mut following = Following { command: shown, dialect, held: Held::default(), started: false, dumped: false };
        let broken = self.follow(&mut child, &mut following).await?;
        if matches!(broken, Some(Broken::Silent(_))) {
            self.with_status(|status| status.hung += 1);
            let _ = child.start_kill();
        }
        let status = reap(&mut child).await;
        let complaint = following.held.text() + &complaints.collect().await;
        let refused = status.is_some_and(|status| !status.success()) && looks_refused(status, &complaint);
        let why = why_ended(status, broken.as_ref(), &complaint);
        self.with_status(|status| status.not_running(&why));
        if status.is_none() {
            self.left.push(child);
        }
        Ok(Run { why, started: following.started, dumped: following.dumped, refused })
    }

    /// Starts drbdsetup in a thread: on a disk that hangs the kernel does not read it. Then it is waited for, because the next one would
    /// hang, too, and that is said.
    async fn spawn(&self, command: Command) -> Result<Child, CommandError> {
        let program = self.options.drbdsetup.clone();
        let mut thread = spawn_blocking(move || command::spawn(command, program));
        let in_time = match timeout(self.options.silence, &mut thread).await {
            Ok(started) => started,
            Err(_) => {
                let (program, limit) = (self.options.drbdsetup.clone(), self.options.silence);
                let late = CommandError::Late { program, limit }.to_string();
                warn!("{late}: nothing is known of DRBD until it does");
                self.with_status(|status| {
                    status.why = Some(late);
                    status.hung += 1;
                });
                thread.await
            }
        };
        in_time.unwrap_or_else(|error| {
            let program = self.options.drbdsetup.clone();
            Err(CommandError::Start { program, source: std::io::Error::other(error) })
        })
    }

    /// Reads to the end of the stream. `Some` = reading failed.
    async fn follow(&mut self, child: &mut Child, run: &mut Following) -> Result<Option<Broken>, Closed> {
        let stdout = child.stdout.take().expect("standard output is a pipe");
        // Without the privilege for it the pipe stays as it is.
        let _ = rustix::pipe::fcntl_setpipe_size(&stdout, PIPE_BYTES);
        let mut stdin = child.stdin.take();
        let pipe = match stdout.into_owned_fd().and_then(Pipe::new) {
            Ok(pipe) => pipe,
            Err(error) => return Ok(Some(Broken::Read(error))),
        };
        let mut stream = Stream::new(pipe);
        let mut asking = None;
        let mut poll_at = self.next_poll();
        let mut poll_timer = pin!(sleep_until(poll_at.unwrap_or_else(Instant::now)));
        let silence = self.options.silence;
        // Only until the dump has ended: a timer that is left would wake us for nothing.
        let mut silent = Some(Box::pin(sleep(silence)));
        loop {
            let overlong = stream.overlong();
            tokio::select! {
                biased;
                changed = self.poll.changed() => {
                    changed.map_err(|_| Closed)?;
                    poll_at = self.next_poll();
                    poll_timer.as_mut().reset(poll_at.unwrap_or_else(Instant::now));
                }
                () = &mut poll_timer, if poll_at.is_some() => {
                    poll_at = self.next_poll();
                    poll_timer.as_mut().reset(poll_at.unwrap_or_else(Instant::now));
                    // Within the dump there is nothing to poll yet.
                    if !run.dumped {
                        continue;
                    }
                    self.with_status(|status| status.polls += 1);
                    match run.dialect {
                        Dialect::Drbd9 => ask_for_statistics(stdin.as_mut()).await,
                        Dialect::Drbd84 if asking.is_none() => {
                            let drbdsetup = self.options.drbdsetup.clone();
                            asking = Some(Box::pin(async move { statistics84::ask(&drbdsetup).await }));
                        }
                        Dialect::Drbd84 => debug!("the statistics poll before this one has not ended"),
                    }
                }
                statistics = async { asking.as_mut().expect("checked by the condition").await }, if asking.is_some() => {
                    asking = None;
                    match statistics {
                        Ok((text, count)) if count > 0 => {
                            stream.note_foreign_lines(count);
                            self.send(Input::Lines(SourceId::Drbd, text)).await?;
                        }
                        Ok(_) => {}
                        Err(error) => warn!(error = %chain(&error), "a statistics poll failed"),
                    }
                }
                item = stream.next() => match item {
                    Item::Lines(text, count) => {
                        self.lines(run, text, count).await?;
                        match &mut silent {
                            Some(timer) if !run.dumped => timer.as_mut().reset(Instant::now() + silence),
                            over => *over = None,
                        }
                        if stream.overlong() > overlong {
                            self.with_status(|status| status.overlong_lines += 1);
                            warn!("drbdsetup printed a line that is too long to be one of events2");
                        }
                    }
                    Item::BurstEnd if run.started => self.send(Input::BurstEnd(SourceId::Drbd)).await?,
                    Item::BurstEnd => {}
                    Item::End(end) => {
                        if stream.partial() > 0 {
                            debug!(bytes = stream.partial(), "drbdsetup ended within a line, which is dropped");
                        }
                        return Ok(end.err().map(Broken::Read));
                    }
                },
                () = async { silent.as_mut().expect("checked by the condition").await }, if silent.is_some() => return Ok(Some(Broken::Silent(silence))),
            }
        }
    }

    /// Hands lines on; the first line of events2 is what makes the run a started one.
    async fn lines(&self, run: &mut Following, mut text: String, mut count: usize) -> Result<(), Closed> {
        if !run.started {
            match run.held.take(text, count) {
                None => return Ok(()),
                Some(all) => (text, count) = all,
            }
            run.started = true;
            self.with_status(SourceStatus::now_running);
            info!(command = %run.command, "the event source has started");
            let started = SourceEvent::Started { command: run.command.clone(), dialect: Some(run.dialect) };
            self.send(Input::Source(SourceId::Drbd, started)).await?;
        }
        run.dumped = run.dumped || text.contains("exists -\n");
        self.with_status(|status| {
            status.lines += count as u64;
            status.bytes += text.len() as u64;
        });
        self.send(Input::Lines(SourceId::Drbd, text)).await
    }

    async fn send(&self, input: Input) -> Result<(), Closed> {
        self.tx.send(input).await.map_err(|_| Closed)
    }

    fn next_poll(&mut self) -> Option<Instant> {
        self.poll.borrow_and_update().map(|interval| Instant::now() + interval)
    }

    fn with_status<T>(&self, with: impl FnOnce(&mut SourceStatus) -> T) -> T {
        with(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SourceStatus {
    fn now_running(&mut self) {
        self.running = true;
        self.since = Some(SystemTime::now());
        self.why = None;
    }

    fn not_running(&mut self, why: &str) {
        if self.running || self.since.is_none() {
            self.since = Some(SystemTime::now());
        }
        self.running = false;
        self.restarts += 1;
        self.pid = None;
        self.why = Some(why.to_owned());
    }
}

/// One run while it is read.
struct Following {
    command: String,
    dialect: Dialect,
    held: Held,
    started: bool,
    dumped: bool,
}

/// What was printed before the first line of events2: usually nothing; the usage of a program that was called wrongly.
#[derive(Default)]
struct Held {
    text: String,
    count: usize,
}

impl Held {
    /// `None` while no line of events2 has come; then everything so far.
    fn take(&mut self, text: String, count: usize) -> Option<(String, usize)> {
        let begun = text.lines().any(is_event);
        if begun && self.text.is_empty() {
            return Some((text, count));
        }
        if begun || self.text.len() < MAX_COMPLAINTS {
            self.text.push_str(&text);
            self.count += count;
        }
        begun.then(|| (std::mem::take(&mut self.text), std::mem::take(&mut self.count)))
    }

    fn text(&mut self) -> String {
        std::mem::take(&mut self.text)
    }
}

/// Whether a line begins like one of events2, with or without a time stamp.
fn is_event(line: &str) -> bool {
    const VERBS: [&str; 7] = ["exists", "create", "change", "destroy", "rename", "call", "response"];
    let mut words = line.split(' ');
    let first = words.next().unwrap_or_default();
    let verb = if first.starts_with(|c: char| c.is_ascii_digit()) { words.next().unwrap_or_default() } else { first };
    VERBS.contains(&verb)
}

/// Arguments of the long-running drbdsetup.
fn arguments(dialect: Dialect, timestamps: bool) -> Vec<&'static str> {
    let mut args = vec!["events2"];
    if timestamps {
        args.push("--timestamps");
    }
    match dialect {
        Dialect::Drbd9 => args.extend(["--full", "--poll"]),
        Dialect::Drbd84 => args.push("--statistics"),
    }
    args
}

/// A poll of DRBD 9. If drbdsetup does not read, it has polls enough already.
async fn ask_for_statistics(stdin: Option<&mut ChildStdin>) {
    if let Some(stdin) = stdin {
        match timeout(Duration::ZERO, stdin.write_all(b"n\n")).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "can't ask drbdsetup for statistics"),
            Err(_) => debug!("drbdsetup does not read its standard input"),
        }
    }
}

/// The exit status; `None` if the process does not go even when killed.
async fn reap(child: &mut Child) -> Option<ExitStatus> {
    if let Ok(status) = timeout(EXIT_DEADLINE, child.wait()).await {
        return status.ok();
    }
    let _ = child.start_kill();
    timeout(EXIT_DEADLINE, child.wait()).await.ok()?.ok()
}

/// drbdsetup ends with 20 when it does not understand its options, but also when there is no DRBD at all; trying once more
/// without an option harms nobody.
fn looks_refused(status: Option<ExitStatus>, complaint: &str) -> bool {
    status.and_then(|status| status.code()) == Some(20)
        || ["unrecognized option", "invalid option", "unknown option", "USAGE"]
            .iter()
            .any(|text| complaint.contains(text))
}

/// Why a run ended, in one line.
fn why_ended(status: Option<ExitStatus>, broken: Option<&Broken>, complaint: &str) -> String {
    use std::os::unix::process::ExitStatusExt;
    if let Some(Broken::Silent(silence)) = broken {
        let end = if status.is_some() { "it was killed" } else { "it can't be killed, because it hangs in the kernel" };
        let time = if silence.subsec_millis() == 0 {
            format!("{} s", silence.as_secs())
        } else {
            format!("{} ms", silence.as_millis())
        };
        return format!("drbdsetup printed nothing for {time}, and its picture was not complete: {end}");
    }
    let mut why = match status {
        Some(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("drbdsetup ended with exit code {code}"),
            (None, Some(signal)) => format!("drbdsetup was killed by signal {signal}"),
            (None, None) => "drbdsetup ended".to_owned(),
        },
        None => "drbdsetup closed its output and does not end".to_owned(),
    };
    if let Some(Broken::Read(error)) = broken {
        why.push_str(&format!("; its output can't be read: {error}"));
    }
    if let Some(line) = complaint.lines().map(str::trim).find(|line| !line.is_empty()) {
        why.push_str(": ");
        why.extend(line.chars().take(200));
    }
    why
}

/// What drbdsetup says on standard error: logged as it comes, the beginning kept.
struct Complaints {
    task: JoinHandle<()>,
    kept: Arc<Mutex<String>>,
}

impl Complaints {
    fn listen(stderr: ChildStderr) -> Self {
        let kept = Arc::new(Mutex::new(String::new()));
        let keep = Arc::clone(&kept);
        let task = tokio::spawn(async move {
            let mut lines = BufReader::new(stderr.take(MAX_COMPLAINTS as u64));
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).await.is_ok_and(|count| count > 0) {
                let text = String::from_utf8_lossy(&line);
                warn!(line = %text.trim_end(), "drbdsetup says");
                keep.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
                line.clear();
            }
            // Read on, so that it never waits for us, but keep nothing.
            let mut rest = lines.into_inner().into_inner();
            let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
        });
        Self { task, kept }
    }

    /// What was said; waits a little for what is on its way.
    async fn collect(mut self) -> String {
        let _ = timeout(Duration::from_secs(1), &mut self.task).await;
        std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Complaints {
    fn drop(&mut self) {
        self.task.abort();
    }
}
