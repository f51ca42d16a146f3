//! Runs the users' handlers: `/bin/sh -c COMMAND` in a process group of its own, with exactly the environment that it is given.
//!
//! ```text
//!  run ─▶ spawn ─┬─ error ─────────────────────────────────────────────────────────▶ NotStarted
//!                └▶ running ─┬─ the shell exits ─▶ 1 s for its pipes to close ──────▶ Exited, Signalled
//!                            ├─ timeout ─┐
//!                            └─ stop ────┴▶ TERM to the group ─▶ 5 s ─▶ KILL ───────▶ TimedOut, Aborted
//! ```
//!
//! - Exactly one [`Done`] comes back for each handler, whatever happens, also when the shell hangs in the kernel and can't die.
//! - The standard library starts the shell with `posix_spawn`, which shares our memory until `exec`: what it costs does not grow
//!   with our size. So there must be no `pre_exec`, no `uid` and no `gid` here, and the shell is named by its path.
//! - The shell is not reaped before the last signal to its group was sent, so its number cannot belong to somebody else by then.
//! - What the shell left in the background on purpose lives on; what it still prints is read and thrown away, because it would
//!   be ended by `SIGPIPE` otherwise.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use reactor_core::action::{Done, HandlerEnd, HandlerReport, HandlerRun, Outcome};
use reactor_core::ids::ActionId;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::net::unix::pipe;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info, warn};

use crate::thread;

/// The shell that runs commands.
const SHELL: &str = "/bin/sh";

/// How long pipes may stay open after the shell exited.
const LINGER: Duration = Duration::from_secs(1);

/// Between `TERM` and `KILL`, unless somebody wants another.
const GRACE: Duration = Duration::from_secs(5);

/// How long a shell may take to die from `KILL` before we go on without it.
const DEATH: Duration = Duration::from_secs(1);

/// How many ended handlers may have left somebody behind whose output is still thrown away.
const MAX_DRAINS: usize = 256;

/// Bytes of an output that the log shows.
const LOGGED_BYTES: usize = 512;

/// Runs handlers. Needs a tokio runtime with I/O and time.
#[derive(Debug)]
pub struct Executor {
    tasks: JoinSet<Done>,
    /// The action of each task, for the case that one panics.
    actions: HashMap<tokio::task::Id, ActionId>,
    shared: Arc<Shared>,
}

/// What all handlers share.
#[derive(Debug)]
struct Shared {
    stopping: watch::Sender<bool>,
    /// Between `TERM` and `KILL`.
    grace: Duration,
    drains: Arc<Semaphore>,
}

impl Default for Executor {
    fn default() -> Self {
        Self::new()
    }
}

impl Executor {
    /// One that runs nothing yet.
    pub fn new() -> Self {
        Self::with_grace(GRACE)
    }

    /// One that gives handlers another time between `TERM` and `KILL`.
    pub fn with_grace(grace: Duration) -> Self {
        let shared =
            Shared { stopping: watch::Sender::new(false), grace, drains: Arc::new(Semaphore::new(MAX_DRAINS)) };
        Self { tasks: JoinSet::new(), actions: HashMap::new(), shared: Arc::new(shared) }
    }

    /// Starts a handler as soon as the runtime gets to it. How many run at once is for the core to decide.
    pub fn run(&mut self, id: ActionId, run: HandlerRun) {
        let handle = self.tasks.spawn(handle(id, run, Arc::clone(&self.shared)));
        self.actions.insert(handle.id(), id);
    }

    /// The same for a handler that is to get the variables of `more`, too, unless it has them. That time counts as its own.
    pub fn run_with(
        &mut self,
        id: ActionId,
        mut run: HandlerRun,
        more: impl Future<Output = Vec<(String, String)>> + Send + 'static,
    ) {
        let shared = Arc::clone(&self.shared);
        let handle = self.tasks.spawn(async move {
            let begin = Instant::now();
            for (name, value) in more.await {
                if !run.env.iter().any(|(known, _)| *known == name) {
                    run.env.push((name, value));
                }
            }
            run.timeout = run.timeout.saturating_sub(begin.elapsed());
            handle(id, run, shared).await
        });
        self.actions.insert(handle.id(), id);
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.tasks.len()
    }

    /// The next outcome; waits for ever while nothing runs. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Done {
        loop {
            match self.next_if_any().await {
                Some(done) => return done,
                None => pending::<()>().await,
            }
        }
    }

    /// Ends all that run, and gives their outcomes. Takes at most the grace between `TERM` and `KILL` and a little more. What is
    /// asked for later comes back as aborted.
    pub async fn stop(&mut self) -> Vec<Done> {
        self.shared.stopping.send_replace(true);
        let mut all = Vec::new();
        while let Some(done) = self.next_if_any().await {
            all.push(done);
        }
        all
    }

    async fn next_if_any(&mut self) -> Option<Done> {
        match self.tasks.join_next_with_id().await? {
            Ok((task, done)) => {
                self.actions.remove(&task);
                Some(done)
            }
            Err(error) => {
                let id = self.actions.remove(&error.id())?;
                warn!(action = id.0, %error, "the supervision of a handler failed");
                let end = HandlerEnd::NotStarted { error: "internal error".to_owned() };
                Some(Done { id, outcome: outcome(end, Duration::ZERO, &Capture::default(), &Capture::default()) })
            }
        }
    }
}

/// One handler from start to end.
async fn handle(id: ActionId, run: HandlerRun, shared: Arc<Shared>) -> Done {
    let begin = Instant::now();
    if *shared.stopping.borrow() {
        let none = Capture::default();
        return Done { id, outcome: outcome(HandlerEnd::Aborted, Duration::ZERO, &none, &none) };
    }
    let (end, stdout, stderr) = match start(&Program::of(&run), run.timeout, shared.stopping.subscribe()).await {
        Ok(handler) => {
            debug!(action = id.0, rule = run.rule, resource = %run.resource, pid = handler.pid(), "handler started");
            handler.supervise(begin, run.timeout, &shared).await
        }
        Err(end) => (end, Capture::default(), Capture::default()),
    };
    let took = begin.elapsed();
    log(id, &run, &end, took, &stdout, &stderr);
    Done { id, outcome: outcome(end, took, &stdout, &stderr) }
}

/// Starts a program in a thread: the kernel may have to read it from a disk that hangs.
async fn start(program: &Program, limit: Duration, mut stopping: watch::Receiver<bool>) -> Result<Handler, HandlerEnd> {
    let not_started = |error: String| HandlerEnd::NotStarted { error };
    let (of_program, limit) = (program.clone(), limit.max(thread::START));
    let spawn = move || Handler::spawn(&of_program);
    tokio::select! {
        started = thread::run(Path::new(&program.path), thread::STARTS, limit, spawn) => match started {
            Some(started) => started.map_err(|error| not_started(error.to_string())),
            None => Err(not_started(format!("{} has not started in time: its disk does not answer", program.path))),
        },
        _ = stopping.wait_for(|stop| *stop) => Err(HandlerEnd::Aborted),
    }
}

/// What is started, and what it is given.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Which.
    pub(crate) path: String,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// All of its environment.
    pub(crate) env: Vec<(String, String)>,
    /// Its standard input; `None` = there is none.
    pub(crate) document: Option<String>,
    /// So much of each of its outputs is kept.
    pub(crate) max_output_bytes: usize,
}

impl Program {
    /// A handler's command, for the shell.
    fn of(run: &HandlerRun) -> Self {
        Self {
            path: SHELL.to_owned(),
            arguments: vec!["-c".to_owned(), run.command.clone()],
            env: run.env.clone(),
            document: run.document.clone(),
            max_output_bytes: run.max_output_bytes,
        }
    }

    /// Runs it to its end in this thread, with its group ended after `limit`: how it ended, and what it has printed. For threads that have no
    /// runtime.
    ///
    /// # Errors
    ///
    /// The system has no runtime to give.
    pub(crate) fn run_to_end(&self, limit: Duration) -> io::Result<(HandlerEnd, String, String)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Shared { stopping: watch::Sender::new(false), grace: GRACE, drains: Arc::new(Semaphore::new(0)) };
        let (end, stdout, stderr) = runtime.block_on(async {
            let begin = Instant::now();
            match start(self, limit, shared.stopping.subscribe()).await {
                Ok(handler) => handler.supervise(begin, limit, &shared).await,
                Err(end) => (end, Capture::default(), Capture::default()),
            }
        });
        // Who hangs in the kernel is not waited for.
        runtime.shutdown_background();
        Ok((end, stdout.text(), stderr.text()))
    }
}

fn outcome(end: HandlerEnd, took: Duration, stdout: &Capture, stderr: &Capture) -> Outcome {
    Outcome::Handler(HandlerReport {
        end,
        took,
        stdout: stdout.text(),
        stderr: stderr.text(),
        output_cut_bytes: stdout.cut_bytes + stderr.cut_bytes,
    })
}

fn log(id: ActionId, run: &HandlerRun, end: &HandlerEnd, took: Duration, stdout: &Capture, stderr: &Capture) {
    let (action, rule, resource) = (id.0, run.rule.as_str(), &run.resource);
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let said = stderr.beginning();
    match end {
        HandlerEnd::Exited(0) => info!(action, rule, %resource, exit = 0, took_ms, "handler ended"),
        HandlerEnd::Exited(exit) => warn!(action, rule, %resource, exit, took_ms, stderr = said, "handler failed"),
        HandlerEnd::Signalled(signal) => {
            warn!(action, rule, %resource, signal, took_ms, stderr = said, "handler was ended by a signal");
        }
        HandlerEnd::TimedOut => warn!(action, rule, %resource, took_ms, stderr = said, "handler took too long"),
        HandlerEnd::Aborted => info!(action, rule, %resource, took_ms, "handler ended, because the daemon stops"),
        HandlerEnd::NotStarted { error } => warn!(action, rule, %resource, error, "handler could not be started"),
    }
    debug!(action, rule, %resource, stdout = stdout.beginning(), stderr = said, "output of the handler");
}

/// A shell that runs.
struct Handler {
    child: Child,
    /// Leader of the group; `None` once it is reaped and the number means nothing.
    group: Option<Pid>,
    children: SignalStream,
    stdin: Feed,
    stdout: Capture,
    stderr: Capture,
}

/// Why a handler is waited for no longer.
enum Stop {
    Exited,
    TimedOut,
    Aborted,
}

impl Handler {
    fn spawn(program: &Program) -> io::Result<Self> {
        // Listen first: the shell may be gone before we look.
        let children = signal(SignalKind::child())?;
        let mut command = Command::new(&program.path);
        command
            .args(&program.arguments)
            .env_clear()
            .envs(program.env.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .process_group(0)
            .stdin(if program.document.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let stdin = child.stdin.take().map(OwnedFd::from);
        let stdout = child.stdout.take().map(OwnedFd::from);
        let stderr = child.stderr.take().map(OwnedFd::from);
        // From here on, dropping the handler ends the group.
        let mut handler = Self {
            child,
            group,
            children,
            stdin: Feed::default(),
            stdout: Capture::new(program.max_output_bytes),
            stderr: Capture::new(program.max_output_bytes),
        };
        handler.stdin.pipe = stdin.map(pipe::Sender::from_owned_fd).transpose()?;
        handler.stdin.document = program.document.clone().unwrap_or_default().into_bytes();
        handler.stdout.pipe = stdout.map(pipe::Receiver::from_owned_fd).transpose()?;
        handler.stderr.pipe = stderr.map(pipe::Receiver::from_owned_fd).transpose()?;
        Ok(handler)
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    async fn supervise(mut self, begin: Instant, limit: Duration, shared: &Shared) -> (HandlerEnd, Capture, Capture) {
        let end = match self.run_until(begin, limit, shared.stopping.subscribe()).await {
            Stop::Exited => {
                let _ = timeout(LINGER, self.pipes()).await;
                self.reap().map_or_else(
                    |error| HandlerEnd::NotStarted { error: format!("its exit status is lost: {error}") },
                    ended,
                )
            }
            Stop::TimedOut => {
                self.end_group(shared.grace).await;
                HandlerEnd::TimedOut
            }
            Stop::Aborted => {
                self.end_group(shared.grace).await;
                HandlerEnd::Aborted
            }
        };
        let (mut stdout, mut stderr) = (std::mem::take(&mut self.stdout), std::mem::take(&mut self.stderr));
        drain(stdout.pipe.take(), stderr.pipe.take(), Arc::clone(&shared.drains));
        if self.group.is_some() {
            tokio::spawn(self.outlive());
        }
        (end, stdout, stderr)
    }

    /// Serves the pipes until the shell exits, its time is up, or the daemon stops.
    async fn run_until(&mut self, begin: Instant, limit: Duration, mut stopping: watch::Receiver<bool>) -> Stop {
        // A limit beyond the end of time is none.
        let deadline = begin.checked_add(limit);
        let Self { child, children, stdin, stdout, stderr, .. } = self;
        let serve = async {
            tokio::join!(stdin.feed(), stdout.fill(), stderr.fill());
            pending::<Infallible>().await
        };
        tokio::select! {
            biased;
            () = exited(child, children) => Stop::Exited,
            () = at(deadline) => Stop::TimedOut,
            _ = stopping.wait_for(|stop| *stop) => Stop::Aborted,
            never = serve => match never {},
        }
    }

    /// Until both outputs are closed.
    async fn pipes(&mut self) {
        tokio::join!(self.stdin.feed(), self.stdout.fill(), self.stderr.fill());
    }

    /// Ends the group: asks first, then kills whoever is left. Reaps the shell if it can die.
    async fn end_group(&mut self, grace: Duration) {
        self.kill(Signal::TERM);
        // What is stopped does not see TERM before it goes on.
        self.kill(Signal::CONT);
        let Self { child, children, stdin, stdout, stderr, .. } = self;
        // Open pipes mean that somebody of the group still works on its end.
        let all = async { tokio::join!(exited(child, children), stdin.feed(), stdout.fill(), stderr.fill()) };
        let _ = timeout(grace, all).await;
        self.kill(Signal::KILL);
        if timeout(DEATH, exited(&self.child, &mut self.children)).await.is_err() {
            warn!(pid = self.pid(), "a handler does not die: it hangs in the kernel; going on without it");
            return;
        }
        let _ = timeout(DEATH, self.pipes()).await;
        if let Err(error) = self.reap() {
            debug!(pid = self.pid(), %error, "the exit status of a handler is lost");
        }
    }

    fn kill(&self, signal: Signal) {
        if let Some(group) = self.group {
            // The only error is that nobody is left.
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }

    /// Takes the status of a shell that exited. Its number means nothing afterwards.
    fn reap(&mut self) -> io::Result<ExitStatus> {
        self.group = None;
        self.child.wait()
    }

    /// A shell that hangs in the kernel becomes ours to reap when it wakes up.
    async fn outlive(mut self) {
        exited(&self.child, &mut self.children).await;
        let _ = self.reap();
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.kill(Signal::KILL);
    }
}

/// Until the shell has exited; it is not reaped.
async fn exited(child: &Child, children: &mut SignalStream) {
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    loop {
        match rustix::process::waitid(WaitId::Pid(pid), options) {
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            // An error says that there is no such child: nothing to wait for.
            Ok(Some(_)) | Err(_) => return,
        }
        if children.recv().await.is_none() {
            // The runtime shuts down.
            return pending().await;
        }
    }
}

/// Until `deadline`, for ever if there is none.
async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

fn ended(status: ExitStatus) -> HandlerEnd {
    match (status.code(), status.signal()) {
        (Some(code), _) => HandlerEnd::Exited(code),
        (None, Some(signal)) => HandlerEnd::Signalled(signal),
        (None, None) => HandlerEnd::NotStarted { error: format!("unexpected exit status {status:?}") },
    }
}

/// Reads on what background children of an ended handler still print. Where too many do, their pipes are closed.
fn drain(stdout: Option<pipe::Receiver>, stderr: Option<pipe::Receiver>, drains: Arc<Semaphore>) {
    if stdout.is_none() && stderr.is_none() {
        return;
    }
    let Ok(permit) = drains.try_acquire_owned() else { return };
    tokio::spawn(async move {
        let (mut stdout, mut stderr) = (Capture::of(stdout), Capture::of(stderr));
        tokio::join!(stdout.fill(), stderr.fill());
        drop(permit);
    });
}

/// The document on its way to standard input.
#[derive(Default)]
struct Feed {
    pipe: Option<pipe::Sender>,
    document: Vec<u8>,
    written: usize,
}

impl Feed {
    /// Writes the document and closes the pipe. A handler that does not read it is nobody's fault. Can be dropped and called
    /// again.
    async fn feed(&mut self) {
        let Some(pipe) = &self.pipe else { return };
        while self.written < self.document.len() {
            if pipe.writable().await.is_err() {
                break;
            }
            match pipe.try_write(&self.document[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
        self.pipe = None;
        self.document = Vec::new();
    }
}

/// The beginning of an output.
#[derive(Debug, Default)]
struct Capture {
    pipe: Option<pipe::Receiver>,
    kept: Vec<u8>,
    max_bytes: usize,
    cut_bytes: u64,
}

impl Capture {
    fn new(max_bytes: usize) -> Self {
        Self { max_bytes, ..Self::default() }
    }

    /// One that keeps nothing.
    fn of(pipe: Option<pipe::Receiver>) -> Self {
        Self { pipe, ..Self::default() }
    }

    /// Reads until the other end is closed; keeps what it may and counts the rest. Can be dropped and called again.
    async fn fill(&mut self) {
        while let Some(pipe) = &self.pipe {
            if pipe.readable().await.is_err() {
                break;
            }
            let mut buffer = [0; 8192];
            match pipe.try_read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    let keep = read.min(self.max_bytes - self.kept.len());
                    self.kept.extend_from_slice(&buffer[..keep]);
                    self.cut_bytes += (read - keep) as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
        self.pipe = None;
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.kept).into_owned()
    }

    /// What the log shows of it.
    fn beginning(&self) -> String {
        let end = self.kept.len().min(LOGGED_BYTES);
        String::from_utf8_lossy(&self.kept[..end]).trim_end().escape_debug().to_string()
    }
}
