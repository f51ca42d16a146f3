//! A shell command: its outputs, its end, and its time.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::super::wire::{CHUNK, End, FromNode, RequestId, Stream};
use super::{Entry, Host, Order, lock, nonblocking, poll_within};

/// How long a killed process may take to be gone before it counts as stuck in the kernel.
const TO_DIE: Duration = Duration::from_secs(2);

/// As much as a pipe can be made to hold.
const PIPE: usize = 1 << 20;

/// What to run.
pub(super) struct Shell {
    pub(super) command: String,
    pub(super) timeout_ms: u64,
    pub(super) most: u64,
    pub(super) input: Option<Receiver<Order>>,
}

/// The command's process group, as long as it can be killed without hitting somebody else.
#[derive(Clone, Default)]
pub(super) struct Group(Arc<Mutex<State>>);

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    None,
    Running(Pid),
    Ended,
    Cancelled,
}

impl Group {
    /// Kills what there is, and what would be started later.
    pub(super) fn kill(&self) {
        let mut state = lock(&self.0);
        match *state {
            State::Running(pid) => {
                // Gone already is as good.
                let _gone = kill_process_group(pid, Signal::KILL);
            }
            State::None => *state = State::Cancelled,
            State::Ended | State::Cancelled => {}
        }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        matches!(*lock(&self.0), State::Cancelled)
    }

    /// Starts the command, unless it is cancelled already.
    fn start(&self, command: &mut Command) -> io::Result<Option<Child>> {
        let mut state = lock(&self.0);
        if matches!(*state, State::Cancelled) {
            return Ok(None);
        }
        let child = command.process_group(0).spawn()?;
        *state = State::Running(pid(&child));
        Ok(Some(child))
    }

    /// Collects a process that has ended. From then on its number may be another's.
    fn collect(&self, child: &mut Child) -> io::Result<ExitStatus> {
        let mut state = lock(&self.0);
        let status = child.wait()?;
        *state = State::Ended;
        Ok(status)
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Runs it and answers.
pub(super) fn run(entry: &Entry, shell: Shell, host: &Host) -> io::Result<()> {
    let started = Instant::now();
    let mut command = Command::new("/bin/bash");
    command.args(["-c", &shell.command]).current_dir("/").stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if shell.input.is_some() { Stdio::piped() } else { Stdio::null() });
    let Some(mut child) = entry.process.start(&mut command)? else { return Ok(()) };
    if let (Some(stdin), Some(orders)) = (child.stdin.take(), shell.input) {
        feed(entry.id, stdin, orders, host.clone())?;
    }
    let mut outputs = Outputs::of(&mut child, entry.id, shell.most)?;
    let ended = pidfd_open(pid(&child), PidfdFlags::empty())?;
    let until = started.checked_add(Duration::from_millis(shell.timeout_ms));
    let done = |end, outputs: &Outputs| {
        let [lost_stdout, lost_stderr] = [outputs.streams[0].lost, outputs.streams[1].lost];
        host.say(&FromNode::Done { id: entry.id, end, lost_stdout, lost_stderr });
    };
    if outputs.until_ended(&ended, until, host)? {
        let status = entry.process.collect(&mut child)?;
        outputs.drain(host)?;
        done(end(status), &outputs);
        return Ok(());
    }
    entry.process.kill();
    let stuck = !outputs.until_ended(&ended, Instant::now().checked_add(TO_DIE), host)?;
    outputs.drain(host)?;
    done(End::TimedOut { stuck }, &outputs);
    // Nobody waits for this thread; the process is collected whenever the kernel lets it go.
    drop(outputs);
    poll_within(&mut [PollFd::new(&ended, PollFlags::IN)], None)?;
    entry.process.collect(&mut child).map(drop)
}

fn end(status: ExitStatus) -> End {
    status.signal().map_or_else(|| End::Exit(status.code().unwrap_or(-1)), End::Signal)
}

/// Writes the command's input in a thread of its own: the command may take its time to read.
fn feed(id: RequestId, mut stdin: std::process::ChildStdin, orders: Receiver<Order>, host: Host) -> io::Result<()> {
    let feed = move || {
        let mut open = true;
        while let Ok(Order::Data(data)) = orders.recv() {
            // A command that does not read all of its input is no error, and the host may send the rest.
            open = open && stdin.write_all(&data).is_ok();
            host.say(&FromNode::Taken { id });
        }
    };
    std::thread::Builder::new().spawn(feed).map(drop)
}

/// Both outputs of a command, on their way to the host.
struct Outputs {
    id: RequestId,
    streams: [Output; 2],
}

struct Output {
    stream: Stream,
    /// Until its end.
    pipe: Option<std::fs::File>,
    /// Still wanted.
    left: u64,
    /// Past what was wanted.
    lost: u64,
}

impl Outputs {
    fn of(child: &mut Child, id: RequestId, most: u64) -> io::Result<Self> {
        let stdout = child.stdout.take().map(OwnedFd::from);
        let stderr = child.stderr.take().map(OwnedFd::from);
        for pipe in stdout.iter().chain(&stderr) {
            nonblocking(pipe)?;
        }
        let output = |stream, pipe: Option<OwnedFd>| Output { stream, pipe: pipe.map(Into::into), left: most, lost: 0 };
        Ok(Self { id, streams: [output(Stream::Stdout, stdout), output(Stream::Stderr, stderr)] })
    }

    /// Passes on what comes until the process has ended; false if the time is over before.
    fn until_ended(&mut self, ended: &OwnedFd, until: Option<Instant>, host: &Host) -> io::Result<bool> {
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let mut fds = vec![PollFd::new(ended, PollFlags::IN)];
            let pipes = self.streams.iter().filter_map(|output| output.pipe.as_ref());
            fds.extend(pipes.map(|pipe| PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)));
            poll_within(&mut fds, left)?;
            if !fds[0].revents().is_empty() {
                return Ok(true);
            }
            let idle = fds.iter().all(|fd| fd.revents().is_empty());
            if idle && left.is_some_and(|_| until.is_some_and(|until| until <= Instant::now())) {
                return Ok(false);
            }
            self.pass_on(host)?;
            // A command that never stops talking has to stop as well.
            if until.is_some_and(|until| until <= Instant::now()) {
                return Ok(false);
            }
        }
    }

    /// Passes on what the command itself has written. What a process that it left behind writes later is lost.
    fn drain(&mut self, host: &Host) -> io::Result<()> {
        // It fits into the pipe. Whoever writes on and on is another process.
        for _ in 0..PIPE.div_ceil(CHUNK) {
            if !self.pass_on(host)? {
                break;
            }
        }
        Ok(())
    }

    /// Passes on a piece of each output; false if there was nothing.
    fn pass_on(&mut self, host: &Host) -> io::Result<bool> {
        let mut some = false;
        for output in &mut self.streams {
            some |= output.pass_on(self.id, host)?;
        }
        Ok(some)
    }
}

impl Output {
    fn pass_on(&mut self, id: RequestId, host: &Host) -> io::Result<bool> {
        let Some(pipe) = &mut self.pipe else { return Ok(false) };
        let mut data = vec![0; CHUNK];
        let count = match pipe.read(&mut data) {
            Ok(count) => count,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        if count == 0 {
            self.pipe = None;
            return Ok(false);
        }
        let wanted = usize::try_from(self.left).unwrap_or(count).min(count);
        self.left -= wanted as u64;
        self.lost += (count - wanted) as u64;
        data.truncate(wanted);
        if !data.is_empty() {
            host.say(&FromNode::Output { id, stream: self.stream, data });
        }
        Ok(true)
    }
}
