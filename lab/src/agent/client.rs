//! The host's end of the line.

use std::collections::HashMap;
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::error::AgentError;
use super::wire::{self, CHUNK, Decoder, End, FromNode, RequestId, Stream, ToNode, UNREAD, VERSION, WINDOW};

/// So much of each output is kept if nothing else is said.
pub const DEFAULT_MOST: u64 = 8 << 20;

/// Something to run.
#[derive(Debug, Clone)]
pub struct Command<'a> {
    /// For bash.
    pub command: &'a str,
    /// Its standard input; /dev/null if there is none.
    pub input: Option<&'a [u8]>,
    /// So many bytes of each output are kept, the first ones.
    pub most: u64,
}

impl<'a> From<&'a str> for Command<'a> {
    fn from(command: &'a str) -> Self {
        Self { command, input: None, most: DEFAULT_MOST }
    }
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The exit code; 128 + N after signal N, as shells have it.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// So many bytes of standard output are not in `stdout`: it was too much.
    pub lost_stdout: u64,
    /// The same of standard error.
    pub lost_stderr: u64,
}

impl Output {
    /// For an error's text: the end of what was printed.
    pub(super) fn said(&self) -> String {
        const LAST: usize = 500;
        let all = [self.stdout.as_slice(), self.stderr.as_slice()].concat();
        let text = String::from_utf8_lossy(&all[all.len().saturating_sub(LAST)..]).trim().to_owned();
        if text.is_empty() { ", nothing printed".to_owned() } else { format!(", printed until then: {text}") }
    }

    fn take(&mut self, stream: Stream, data: &[u8]) {
        match stream {
            Stream::Stdout => self.stdout.extend_from_slice(data),
            Stream::Stderr => self.stderr.extend_from_slice(data),
        }
    }
}

/// What is known of the agent.
#[derive(Debug, Clone, Default)]
struct Seen {
    boots: u64,
    boot_id: String,
    version: u32,
    gone: bool,
    flow: Flow,
}

/// How far the agent has come with what was sent to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Flow {
    /// How often an agent has started: it knows nothing of what was sent to the one before.
    start: u64,
    /// So many bytes it has read.
    read: u64,
}

/// Something to be sent to the agent that has started for the Nth time, and to no other.
#[derive(Debug)]
struct Line {
    start: u64,
    bytes: Vec<u8>,
}

/// Who waits for which answer.
type Calls = Arc<Mutex<HashMap<RequestId, mpsc::UnboundedSender<FromNode>>>>;

/// Asks the agent. All calls can be made at the same time, and a call that is dropped is cancelled in the node.
#[derive(Debug)]
pub struct AgentClient {
    lines: mpsc::UnboundedSender<Line>,
    calls: Calls,
    seen: watch::Receiver<Seen>,
    next: AtomicU64,
    /// Reader and writer end with us.
    _tasks: JoinSet<()>,
}

impl AgentClient {
    /// Serves the host's end of the line. Needs a tokio runtime around it.
    #[must_use]
    pub fn new<S: AsyncRead + AsyncWrite + Send + 'static>(line: S) -> Self {
        let (reader, writer) = tokio::io::split(line);
        let (lines, to_write) = mpsc::unbounded_channel();
        let (seen_by, seen) = watch::channel(Seen::default());
        let calls = Calls::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(read(reader, Arc::clone(&calls), seen_by));
        tasks.spawn(write(writer, to_write, seen.clone()));
        Self { lines, calls, seen, next: AtomicU64::new(1), _tasks: tasks }
    }

    /// How many boots of the node were seen.
    #[must_use]
    pub fn boots(&self) -> u64 {
        self.seen.borrow().boots
    }

    /// The kernel's id of the node's boot; empty before the first.
    #[must_use]
    pub fn boot_id(&self) -> String {
        self.seen.borrow().boot_id.clone()
    }

    /// Waits for a boot after the first `after` ones.
    pub async fn ready(&self, after: u64, within: Duration) -> Result<(), AgentError> {
        let mut seen = self.seen.clone();
        let ready = seen.wait_for(|seen| seen.boots > after || seen.gone);
        let ready = match tokio::time::timeout(within, ready).await {
            Ok(Ok(seen)) => seen.clone(),
            Ok(Err(_)) => return Err(AgentError::Gone),
            Err(_) => return Err(AgentError::Timeout { within, so_far: Box::default() }),
        };
        match ready {
            Seen { boots, version, .. } if boots > after && version == VERSION => Ok(()),
            Seen { boots, version, .. } if boots > after => Err(AgentError::Version { found: version }),
            Seen { .. } => Err(AgentError::Gone),
        }
    }

    /// How long the agent takes to answer.
    pub async fn ping(&self, within: Duration) -> Result<Duration, AgentError> {
        let started = Instant::now();
        let mut call = self.call(within, |id| ToNode::Ping { id })?;
        match call.next(&Output::default()).await? {
            FromNode::Pong { .. } => Ok(started.elapsed()),
            other => Err(surprised(&other)),
        }
    }

    /// Runs a shell command. Its own failure is in the output, not an error.
    pub async fn exec(&self, command: &str, within: Duration) -> Result<Output, AgentError> {
        self.run(&command.into(), within, |_, _| ()).await
    }

    /// Runs a shell command with input, and shows its output while it comes.
    pub async fn run(
        &self,
        command: &Command<'_>,
        within: Duration,
        mut show: impl FnMut(Stream, &[u8]),
    ) -> Result<Output, AgentError> {
        let mut call = self.call(within, |id| ToNode::Exec {
            id,
            command: command.command.to_owned(),
            timeout_ms: u64::try_from(within.as_millis()).unwrap_or(u64::MAX),
            most: command.most,
            input: command.input.is_some(),
        })?;
        let mut input = Sending::new(command.input);
        let mut output = Output::default();
        loop {
            input.send(&call)?;
            match call.next(&output).await? {
                FromNode::Taken { .. } => input.taken(),
                FromNode::Output { stream, data, .. } => {
                    show(stream, &data);
                    output.take(stream, &data);
                }
                FromNode::Done { end, lost_stdout, lost_stderr, .. } => {
                    (output.lost_stdout, output.lost_stderr) = (lost_stdout, lost_stderr);
                    match end {
                        End::Exit(code) => output.code = code,
                        End::Signal(signal) => (output.code, output.signal) = (128 + signal, Some(signal)),
                        End::TimedOut { .. } => {
                            return Err(AgentError::Timeout { within, so_far: Box::new(output) });
                        }
                    }
                    return Ok(output);
                }
                other => return Err(surprised(&other)),
            }
        }
    }

    /// Copies a file into the node, with its permissions. It is on the node's disk when this returns.
    pub async fn push(&self, from: &Path, to: &str, within: Duration) -> Result<(), AgentError> {
        let file = |source| AgentError::File { path: from.to_owned(), source };
        let (mut source, mode) = open_file(from).map_err(file)?;
        let mut call = self.call(within, |id| ToNode::Push { id, path: to.to_owned(), mode })?;
        let (mut room, mut ended) = (WINDOW, false);
        loop {
            while room > 0 && !ended {
                let mut data = Vec::new();
                Read::by_ref(&mut source).take(CHUNK as u64).read_to_end(&mut data).map_err(file)?;
                ended = data.is_empty();
                room -= 1;
                let id = call.id;
                call.send(&if ended { ToNode::InputEnd { id } } else { ToNode::Input { id, data } })?;
            }
            match call.next(&Output::default()).await? {
                FromNode::Taken { .. } => room += 1,
                FromNode::Done { end: End::Exit(0), .. } => return Ok(()),
                other => return Err(surprised(&other)),
            }
        }
    }

    /// Copies a file out of the node, with its permissions. A file that is incomplete does not appear under the name.
    pub async fn pull(&self, from: &str, to: &Path, within: Duration) -> Result<(), AgentError> {
        let file = |source| AgentError::File { path: to.to_owned(), source };
        let mut call = self.call(within, |id| ToNode::Pull { id, path: from.to_owned() })?;
        let FromNode::File { mode, .. } = call.next(&Output::default()).await? else {
            return Err(AgentError::Refused { why: "no file came".to_owned() });
        };
        let part = Part::create(to, mode).map_err(file)?;
        loop {
            match call.next(&Output::default()).await? {
                FromNode::Output { data, .. } => part.write(&data).map_err(file)?,
                FromNode::Done { end: End::Exit(0), .. } => return part.keep(to).map_err(file),
                other => return Err(surprised(&other)),
            }
        }
    }

    fn call(&self, within: Duration, request: impl FnOnce(RequestId) -> ToNode) -> Result<Call<'_>, AgentError> {
        let seen = self.seen.borrow().clone();
        match &seen {
            Seen { gone: true, .. } => return Err(AgentError::Gone),
            Seen { boots: 0, .. } => return Err(AgentError::NotReady),
            Seen { version, .. } if *version != VERSION => return Err(AgentError::Version { found: *version }),
            Seen { .. } => {}
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answers_to, answers) = mpsc::unbounded_channel();
        lock(&self.calls).insert(id, answers_to);
        let call = Call {
            client: self,
            id,
            start: seen.flow.start,
            answers,
            within,
            until: tokio::time::Instant::now() + within,
            ended: false,
        };
        call.send(&request(id))?;
        Ok(call)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn surprised(answer: &FromNode) -> AgentError {
    AgentError::Refused { why: format!("it answered with {answer:?}") }
}

fn open_file(path: &Path) -> std::io::Result<(std::fs::File, u32)> {
    let file = std::fs::File::open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    Ok((file, mode))
}

/// Input on its way to a command.
struct Sending<'a> {
    left: Option<&'a [u8]>,
    room: u32,
}

impl<'a> Sending<'a> {
    fn new(input: Option<&'a [u8]>) -> Self {
        Self { left: input, room: WINDOW }
    }

    fn taken(&mut self) {
        self.room += 1;
    }

    /// Sends as much as there is room for, and the end after the last byte.
    fn send(&mut self, call: &Call<'_>) -> Result<(), AgentError> {
        let id = call.id;
        while let Some(left) = self.left
            && self.room > 0
        {
            self.room -= 1;
            let (now, later) = left.split_at(left.len().min(CHUNK));
            if now.is_empty() {
                self.left = None;
                call.send(&ToNode::InputEnd { id })?;
            } else {
                self.left = Some(later);
                call.send(&ToNode::Input { id, data: now.to_owned() })?;
            }
        }
        Ok(())
    }
}

/// One request that waits for its answers.
struct Call<'a> {
    client: &'a AgentClient,
    id: RequestId,
    start: u64,
    answers: mpsc::UnboundedReceiver<FromNode>,
    within: Duration,
    until: tokio::time::Instant,
    ended: bool,
}

impl Call<'_> {
    fn send(&self, message: &ToNode) -> Result<(), AgentError> {
        let line = Line { start: self.start, bytes: wire::encode(message) };
        self.client.lines.send(line).map_err(|_| AgentError::Gone)
    }

    /// The next answer, until the call's time is over.
    async fn next(&mut self, so_far: &Output) -> Result<FromNode, AgentError> {
        match tokio::time::timeout_at(self.until, self.answers.recv()).await {
            Ok(Some(FromNode::Failed { why, .. })) => {
                self.ended = true;
                Err(AgentError::Refused { why })
            }
            Ok(Some(answer)) => {
                self.ended = matches!(answer, FromNode::Done { .. } | FromNode::Pong { .. });
                Ok(answer)
            }
            Ok(None) => {
                self.ended = true;
                Err(if self.client.seen.borrow().gone { AgentError::Gone } else { AgentError::Restarted })
            }
            Err(_) => Err(AgentError::Timeout { within: self.within, so_far: Box::new(so_far.clone()) }),
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        lock(&self.client.calls).remove(&self.id);
        if !self.ended {
            // The line may be closed: then there is nobody to tell.
            let _closed = self.send(&ToNode::Cancel { id: self.id });
        }
    }
}

/// A file that comes into being beside its name.
struct Part {
    path: std::path::PathBuf,
    file: std::fs::File,
}

impl Part {
    fn create(of: &Path, mode: u32) -> std::io::Result<Self> {
        let mut name = of.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let path = of.with_file_name(name);
        let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.set_permissions(std::fs::Permissions::from_mode(mode & 0o7777))?;
        Ok(Self { path, file })
    }

    fn write(&self, data: &[u8]) -> std::io::Result<()> {
        std::io::Write::write_all(&mut &self.file, data)
    }

    fn keep(self, under: &Path) -> std::io::Result<()> {
        std::fs::rename(&self.path, under)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After `keep` there is none.
        let _kept = std::fs::remove_file(&self.path);
    }
}

/// Sends lines, never more than the agent's terminal holds.
async fn write(
    mut line: impl AsyncWrite + Unpin,
    mut lines: mpsc::UnboundedReceiver<Line>,
    mut seen: watch::Receiver<Seen>,
) {
    let (mut start, mut sent) = (0, 0);
    while let Some(Line { start: wanted, bytes }) = lines.recv().await {
        let current = seen.borrow().flow.start;
        if current != wanted {
            // Who asked has been told already.
            continue;
        }
        if start != current {
            (start, sent) = (current, 0);
        }
        // A line that the agent before has not got whole ends here.
        let bytes = if sent == 0 { [b"\n", bytes.as_slice()].concat() } else { bytes };
        for piece in bytes.chunks((UNREAD / 2) as usize) {
            let next = sent + piece.len() as u64;
            let room = |seen: &Seen| seen.flow.start != start || next.saturating_sub(seen.flow.read) <= UNREAD;
            let Ok(current) = seen.wait_for(room).await.map(|seen| seen.flow.start) else { return };
            if current != start {
                break;
            }
            if line.write_all(piece).await.is_err() {
                return;
            }
            sent = next;
        }
    }
}

/// Hands every answer to who waits for it, until the line closes.
async fn read(mut line: impl AsyncRead + Unpin, calls: Calls, seen: watch::Sender<Seen>) {
    let mut decoder = Decoder::<FromNode>::default();
    let mut bytes = vec![0; 64 << 10];
    loop {
        match line.read(&mut bytes).await {
            Ok(0) | Err(_) => break,
            Ok(count) => decoder.feed(&bytes[..count]),
        }
        while let Some(message) = decoder.next_message() {
            match message {
                FromNode::Ready { version, boot_id } => {
                    // Nobody answers what was asked before.
                    lock(&calls).clear();
                    seen.send_modify(|seen| {
                        if seen.boot_id != boot_id {
                            seen.boots += 1;
                        }
                        (seen.boot_id, seen.version) = (boot_id, version);
                        seen.flow = Flow { start: seen.flow.start + 1, read: 0 };
                    });
                }
                FromNode::Read { total } => seen.send_modify(|seen| seen.flow.read = total),
                answer => {
                    let waiting = answer.id().and_then(|id| lock(&calls).get(&id).cloned());
                    if let Some(waiting) = waiting {
                        // Who waited may just have gone.
                        let _gone = waiting.send(answer);
                    }
                }
            }
        }
    }
    seen.send_modify(|seen| seen.gone = true);
    lock(&calls).clear();
}
