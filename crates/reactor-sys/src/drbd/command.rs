//! Runs a short program of drbd-utils to its end: with a deadline, a bound on its output, and nothing of ours inherited.
//!
//! No program that we wait for can hang us. A program in uninterruptible sleep can't be killed; then it is left behind.
//!
//! Of a program that changes something all output is read, however much it is: if its pipe were closed it would die of `SIGPIPE` wherever
//! it is, `drbdadm adjust` halfway through its changes. What is kept of it is bounded. One that only answers is killed if it says too much.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout, timeout_at};

use crate::thread;

/// Variables that belong to this daemon alone: what it starts must not speak to systemd in its name.
const OURS_ALONE: [&str; 8] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
    "FDSTORE",
];

/// How much is kept of the beginning of standard error, and as much of its end.
const KEPT: usize = 4096;

/// How long a program may take to die.
const DEATH: Duration = Duration::from_secs(2);

/// How long pipes may stay open after a program has ended: what it left in the background may hold them for ever.
const LINGER: Duration = Duration::from_secs(1);

/// What a program printed, and how it ended.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error: all of it, or its beginning and its end.
    pub stderr: String,
}

/// Why a program could not be run to its end.
#[derive(Debug, Error)]
pub enum CommandError {
    /// It must not be run.
    #[error(transparent)]
    Untrusted(#[from] super::program::Untrusted),
    /// The kernel has not read it in time.
    #[error("{} has not started within {} s: its disk does not answer", program.display(), limit.as_secs())]
    Late {
        /// The program.
        program: PathBuf,
        /// What starting it may take.
        limit: Duration,
    },
    /// It did not start.
    #[error("can't start {}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Its output could not be read.
    #[error("can't read the output of {}", program.display())]
    Read {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It took longer than it may.
    #[error("{} did not end within {} s and was killed", program.display(), deadline.as_secs())]
    Deadline {
        /// The program.
        program: PathBuf,
        /// What it may take.
        deadline: Duration,
    },
    /// The same, and it is still there: a program that waits in the kernel cannot be killed.
    #[error("{} did not end within {} s and cannot be killed: process {pid} hangs in the kernel", program.display(), deadline.as_secs())]
    Hangs {
        /// The program.
        program: PathBuf,
        /// What it may take.
        deadline: Duration,
        /// Its process.
        pid: u32,
        /// The same, for whoever waits for its end.
        child: Box<Child>,
    },
    /// It printed more than it may.
    #[error("{} printed more than {max} bytes and was killed", program.display())]
    TooMuch {
        /// The program.
        program: PathBuf,
        /// What it may print.
        max: usize,
    },
}

/// A command for a program of drbd-utils: no standard input, no variables that belong to us alone, killed when dropped.
pub(crate) fn command<A: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in OURS_ALONE {
        command.env_remove(name);
    }
    // In a group of its own, so that a Ctrl-C for the daemon is the daemon's to handle.
    command.process_group(0).kill_on_drop(true);
    command
}

/// Runs a program that only answers. More than `max_output` bytes on standard output is an error.
pub async fn run(program: &Path, args: &[&str], deadline: Duration, max_output: usize) -> Result<Output, CommandError> {
    run_command(command(program, args), program, deadline, max_output).await
}

/// The same for a command that was made by [`command()`] and given more; `program` is for messages.
pub(crate) async fn run_command(
    command: Command,
    program: &Path,
    deadline: Duration,
    max_output: usize,
) -> Result<Output, CommandError> {
    to_its_end(command, program, deadline, Kept::up_to(max_output)).await
}

/// Runs a program that changes something: however much it prints, it comes to its end.
pub(crate) async fn change(program: &Path, args: &[&str], deadline: Duration) -> Result<Output, CommandError> {
    to_its_end(command(program, args), program, deadline, Kept::both_ends()).await
}

async fn to_its_end(
    command: Command,
    program: &Path,
    deadline: Duration,
    mut said: Kept,
) -> Result<Output, CommandError> {
    let until = Instant::now() + deadline;
    let owned = || program.to_path_buf();
    let mut child = start(command, program, deadline.max(thread::START)).await?;
    let mut stdout = child.stdout.take().expect("standard output is a pipe");
    let mut stderr = child.stderr.take().expect("standard error is a pipe");
    let mut complained = Kept::both_ends();
    let work = async {
        let mut read = pin!(async { tokio::try_join!(said.read(&mut stdout), complained.read(&mut stderr)) });
        tokio::select! {
            status = child.wait() => {
                timeout(LINGER, &mut read).await.unwrap_or(Ok(((), ())))?;
                Ok(Some(status?))
            }
            end = &mut read => match end {
                Ok(_) => child.wait().await.map(Some),
                Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => Ok(None),
                Err(error) => Err(error),
            }
        }
    };
    let error = match timeout_at(until, work).await {
        Ok(Ok(Some(status))) => return Ok(Output { status, stdout: said.text(), stderr: complained.text() }),
        Ok(Ok(None)) => CommandError::TooMuch { program: owned(), max: said.max_beginning },
        Ok(Err(source)) => CommandError::Read { program: owned(), source },
        Err(_) => CommandError::Deadline { program: owned(), deadline },
    };
    end_group(&child);
    if let (CommandError::Deadline { .. }, Some(pid)) = (&error, child.id())
        && timeout(DEATH, child.wait()).await.is_err()
    {
        return Err(CommandError::Hangs { program: owned(), deadline, pid, child: Box::new(child) });
    }
    Err(error)
}

/// Starts a program that may be run, within `limit`.
async fn start(command: Command, program: &Path, limit: Duration) -> Result<Child, CommandError> {
    let owned = program.to_path_buf();
    let started = thread::run(program, thread::STARTS, limit, move || spawn(command, owned)).await;
    started.unwrap_or_else(|| Err(CommandError::Late { program: program.to_path_buf(), limit }))
}

/// Starts a program that may be run. Blocks until the kernel has read it.
pub(crate) fn spawn(mut command: Command, program: PathBuf) -> Result<Child, CommandError> {
    super::program::check(&program)?;
    command.spawn().map_err(|source| CommandError::Start { program, source })
}

/// Kills a program with all that it started: drbdadm leaves its work to drbdsetup.
fn end_group(child: &Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(group) = pid {
        // Nobody left is what we want.
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
}

/// What is kept of an output: its beginning, its end, and how much was in between.
#[derive(Debug)]
struct Kept {
    beginning: Vec<u8>,
    end: VecDeque<u8>,
    max_beginning: usize,
    max_end: usize,
    total: u64,
}

impl Kept {
    /// The beginning; more than that is an error.
    fn up_to(max: usize) -> Self {
        Self { beginning: Vec::new(), end: VecDeque::new(), max_beginning: max, max_end: 0, total: 0 }
    }

    /// A part of both ends, whatever is between.
    fn both_ends() -> Self {
        Self { max_end: KEPT, ..Self::up_to(KEPT) }
    }

    /// Reads to the end.
    async fn read(&mut self, from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<()> {
        let mut buffer = vec![0; 8192];
        loop {
            match from.read(&mut buffer).await? {
                0 => return Ok(()),
                count => self.take(&buffer[..count]),
            }
            if self.max_end == 0 && self.cut() > 0 {
                return Err(std::io::ErrorKind::FileTooLarge.into());
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = self.max_beginning - self.beginning.len();
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.beginning.extend_from_slice(first);
        self.end.extend(&rest[rest.len().saturating_sub(self.max_end)..]);
        let too_much = self.end.len().saturating_sub(self.max_end);
        self.end.drain(..too_much);
    }

    /// How many bytes are lost.
    fn cut(&self) -> u64 {
        self.total - (self.beginning.len() + self.end.len()) as u64
    }

    fn text(self) -> String {
        let cut = self.cut();
        let end: Vec<u8> = self.end.into();
        if cut == 0 {
            return lossy(&[self.beginning, end].concat());
        }
        format!("{}\n[{cut} bytes are left out]\n{}", lossy(&self.beginning), lossy(&end))
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_start_can_not_speak_to_systemd_in_our_name() {
        let command = command(Path::new("drbdsetup"), ["events2"]);
        let removed: Vec<_> =
            command.as_std().get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] {
            assert!(removed.contains(&OsStr::new(name)), "{name} is inherited");
        }
    }

    async fn shell(script: &str) -> Result<Output, CommandError> {
        change(Path::new("/bin/sh"), &["-c", script], Duration::from_secs(300)).await
    }

    #[tokio::test]
    async fn a_program_that_says_much_comes_to_its_end() {
        let script = "echo first >&2; head -c 300000 /dev/zero | tr '\\0' a >&2 || exit 9; echo; echo last >&2; exit 3";
        let output = shell(script).await.expect("it ran");
        assert_eq!(output.status.code(), Some(3));
        assert!(output.stderr.starts_with("first\naaa") && output.stderr.ends_with("aaalast\n"), "{}", output.stderr);
        assert!(output.stderr.contains(" bytes are left out]") && output.stderr.len() < 2 * KEPT + 100);
    }

    #[tokio::test]
    async fn one_that_only_answers_may_complain_much_and_not_answer_much() {
        let ask = |script| {
            run_command(
                command(Path::new("/bin/sh"), ["-c", script]),
                Path::new("/bin/sh"),
                Duration::from_secs(300),
                100,
            )
        };
        let output = ask("head -c 300000 /dev/zero >&2 || exit 9; echo yes").await.expect("it ran");
        assert_eq!((output.stdout.as_str(), output.status.code()), ("yes\n", Some(0)));
        assert!(matches!(ask("yes").await, Err(CommandError::TooMuch { max: 100, .. })));
    }

    #[tokio::test]
    async fn what_a_program_leaves_in_the_background_is_not_waited_for() {
        let output = shell("sleep 600 & echo $!").await.expect("it ran");
        let left = output.stdout.trim().parse().ok().and_then(Pid::from_raw).expect("a process");
        rustix::process::kill_process(left, Signal::KILL).expect("it runs");
        assert!(output.status.success());
    }

    #[tokio::test]
    async fn one_that_takes_too_long_ends_with_all_that_it_started() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let mut hangs = command(Path::new("/bin/sh"), ["-c", "sleep 600 & sleep 600"]);
        hangs.stdin(writer);
        let end = run_command(hangs, Path::new("/bin/sh"), Duration::from_millis(50), 100).await;
        assert!(matches!(end, Err(CommandError::Deadline { .. })), "{end:?}");
        // Its end comes when nobody holds the other side any more.
        let rest = tokio::task::spawn_blocking(move || std::io::Read::read(&mut reader, &mut [0])).await;
        assert_eq!(rest.expect("it ran").expect("read"), 0);
    }
}
