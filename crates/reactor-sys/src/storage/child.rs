//! `journalctl` as a child: what it prints, in pieces, until it ends, hangs, or nobody wants to know any more.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group};

use super::follower::Whom;
use super::inbox::Closed;
use super::position::Since;

/// What is read at once.
const PIECE: usize = 64 * 1024;

/// So long more is waited for before a piece is handed on.
const GATHER: Duration = Duration::from_millis(1);

/// What may be in the pipe meanwhile, if the system allows it.
const PIPE: usize = 1024 * 1024;

/// Of what it says on standard error so much is kept.
const MAX_ERROR: usize = 512;

/// What to ask the journal for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask<'a> {
    /// The kernel's messages of one boot.
    KernelOf(&'a str),
    /// The kernel's messages since then, of any boot.
    KernelSince(&'a Since),
    /// What these say since then and for ever.
    Follow(&'a Since, &'a Whom),
}

impl Ask<'_> {
    /// The arguments of `journalctl`.
    pub(crate) fn args(&self) -> Vec<String> {
        // All fields: to leave some out (`--output-fields`) takes journalctl twice as long.
        let mut args: Vec<String> = ["--system", "--quiet", "--no-pager", "--output=export"].map(str::to_owned).into();
        let since = |since: &Since| match since {
            Since::Cursor(cursor) => format!("--after-cursor={cursor}"),
            Since::Wall(wall_us) => format!("--since=@{}.{:06}", wall_us / 1_000_000, wall_us % 1_000_000),
            Since::ThisBoot => "--boot".to_owned(),
        };
        match self {
            Self::KernelOf(boot) => args.extend([format!("_BOOT_ID={boot}"), "_TRANSPORT=kernel".to_owned()]),
            Self::KernelSince(from) => args.extend([since(from), "_TRANSPORT=kernel".to_owned()]),
            Self::Follow(from, Whom { programs, kernel }) => {
                args.extend(["--follow".to_owned(), "--no-tail".to_owned(), since(from)]);
                if !programs.is_empty() {
                    // Anybody may call himself as he likes; the tools of storage run as root.
                    args.push("_UID=0".to_owned());
                    args.extend(programs.iter().map(|program| format!("SYSLOG_IDENTIFIER={program}")));
                }
                if *kernel {
                    args.extend((!programs.is_empty()).then(|| "+".to_owned()));
                    args.push("_TRANSPORT=kernel".to_owned());
                }
            }
        }
        args
    }
}

/// Ends the child from elsewhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    state: Arc<Mutex<Stopping>>,
}

#[derive(Debug, Default)]
struct Stopping {
    is_asked: bool,
    child: Option<Pid>,
}

impl Stop {
    /// Kills the child, and every later one.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_asked = true;
        if let Some(child) = state.child {
            let _ = kill_process_group(child, Signal::KILL);
        }
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_asked
    }

    fn set(&self, child: Option<Pid>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.child = child;
        if let (true, Some(child)) = (state.is_asked, child) {
            let _ = kill_process_group(child, Signal::KILL);
        }
    }
}

/// Why a child has no more to say.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("can't start {}", program.display())]
    Start { program: PathBuf, source: io::Error },
    #[error("can't read what {} prints", program.display())]
    Read { program: PathBuf, source: io::Error },
    #[error("{} ended: {status}{}{said}", program.display(), if said.is_empty() { "" } else { ": " })]
    Exit { program: PathBuf, status: ExitStatus, said: String },
    #[error("{} said nothing for {} s", program.display(), limit.as_secs())]
    Silent { program: PathBuf, limit: Duration },
    #[error("nobody wants to know any more")]
    Unwanted,
}

/// Runs it and gives each piece; at the latest after `silence` without one it is killed. `Ok` = it has said all and ended well.
pub(crate) fn run(
    program: &Path,
    args: &[String],
    silence: Duration,
    stop: &Stop,
    mut each: impl FnMut(Vec<u8>) -> Result<(), Closed>,
) -> Result<(), Ended> {
    let name = || program.to_path_buf();
    let mut command = Command::new(program);
    command.args(args).env("LC_ALL", "C").env("SYSTEMD_COLORS", "0").env_remove("SYSTEMD_LESS").process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|source| Ended::Start { program: name(), source })?;
    if let Some(stdout) = &child.stdout {
        let _ = rustix::pipe::fcntl_setpipe_size(stdout, PIPE);
    }
    let mut guard = Guard { child, stop };
    guard.stop.set(Pid::from_child(&guard.child).into());
    let mut said = Vec::new();
    loop {
        match next(&mut guard.child, silence, &mut said).map_err(|source| Ended::Read { program: name(), source })? {
            Next::Piece(piece) => each(piece).map_err(|Closed| Ended::Unwanted)?,
            Next::Nothing => return Err(Ended::Silent { program: name(), limit: silence }),
            Next::End => break,
        }
    }
    // It may have closed its output and live on.
    let pid = rustix::process::pidfd_open(Pid::from_child(&guard.child), PidfdFlags::empty());
    if let (Ok(pid), Ok(limit)) = (pid, Timespec::try_from(silence))
        && poll(&mut [PollFd::new(&pid, PollFlags::IN)], Some(&limit)) == Ok(0)
    {
        return Err(Ended::Silent { program: name(), limit: silence });
    }
    let status = guard.wait().map_err(|source| Ended::Read { program: name(), source })?;
    if stop.is_asked() {
        return Err(Ended::Unwanted);
    }
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said).trim().replace(char::is_control, " ");
    Err(Ended::Exit { program: name(), status, said })
}

/// Whatever happens, the child does not outlive us.
struct Guard<'a> {
    child: Child,
    stop: &'a Stop,
}

impl Guard<'_> {
    /// Its number is free for others once it was waited for.
    fn wait(&mut self) -> io::Result<ExitStatus> {
        self.stop.set(None);
        self.child.wait()
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        }
        let _ = self.wait();
    }
}

enum Next {
    Piece(Vec<u8>),
    Nothing,
    End,
}

fn next(child: &mut Child, silence: Duration, said: &mut Vec<u8>) -> io::Result<Next> {
    let limit = Timespec::try_from(silence).map_err(io::Error::other)?;
    loop {
        let Some(stdout) = &mut child.stdout else { return Ok(Next::End) };
        let mut fds = vec![PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::IN)];
        if let Some(stderr) = &child.stderr {
            fds.push(PollFd::from_borrowed_fd(stderr.as_fd(), PollFlags::IN));
        }
        match poll(&mut fds, Some(&limit)) {
            Ok(0) => return Ok(Next::Nothing),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        if ready.get(1) == Some(&true) {
            let mut text = [0; MAX_ERROR];
            let length = child.stderr.as_mut().map_or(Ok(0), |stderr| stderr.read(&mut text))?;
            if length == 0 {
                child.stderr = None;
            }
            said.extend_from_slice(&text[..length.min(MAX_ERROR - said.len())]);
        }
        if ready[0] {
            let mut piece = vec![0; PIECE];
            let mut length = stdout.read(&mut piece)?;
            if length == 0 {
                child.stdout = None;
                return Ok(Next::End);
            }
            if length < PIECE {
                // It writes 4 KiB at once, and to be woken for each costs more than to read them.
                std::thread::sleep(GATHER);
                while length < PIECE && is_ready(stdout)? {
                    match stdout.read(&mut piece[length..])? {
                        0 => break,
                        more => length += more,
                    }
                }
            }
            piece.truncate(length);
            return Ok(Next::Piece(piece));
        }
    }
}

/// Whether something can be read at once.
fn is_ready(pipe: &impl AsFd) -> io::Result<bool> {
    match poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&Timespec::default())) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
