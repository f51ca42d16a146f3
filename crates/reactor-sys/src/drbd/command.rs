//! Runs a short program of drbd-utils to its end: with a deadline, a bound on its output, and nothing of ours inherited.
//!
//! D12: no program that we wait for can hang us. A program in uninterruptible sleep can't be killed; then it is left behind.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// Variables that belong to this daemon alone: what it starts must not speak to systemd in its name.
const OURS_ALONE: [&str; 5] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"];

/// What a program printed, and how it ended.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// The beginning of its standard error.
    pub stderr: String,
}

/// Why a program could not be run to its end.
#[derive(Debug, Error)]
pub enum CommandError {
    /// It must not be run.
    #[error(transparent)]
    Untrusted(#[from] super::program::Untrusted),
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

/// Runs `program` to its end. More than `max_output` bytes on standard output is an error.
pub async fn run(program: &Path, args: &[&str], deadline: Duration, max_output: usize) -> Result<Output, CommandError> {
    run_command(command(program, args), program, deadline, max_output).await
}

/// The same for a command that was made by [`command()`] and given more; `program` is for messages.
pub(crate) async fn run_command(
    mut command: Command,
    program: &Path,
    deadline: Duration,
    max_output: usize,
) -> Result<Output, CommandError> {
    super::program::check(program)?;
    let owned = || program.to_path_buf();
    let mut child = command.spawn().map_err(|source| CommandError::Start { program: owned(), source })?;
    let stdout = child.stdout.take().expect("standard output is a pipe");
    let stderr = child.stderr.take().expect("standard error is a pipe");
    let work = async {
        let (stdout, stderr) = tokio::join!(read_up_to(stdout, max_output), read_up_to(stderr, 4096));
        let read = |source| CommandError::Read { program: owned(), source };
        let (stdout, stderr) = (stdout.map_err(read)?, stderr.map_err(read)?);
        if stdout.len() > max_output {
            return Err(CommandError::TooMuch { program: owned(), max: max_output });
        }
        let status = child.wait().await.map_err(read)?;
        Ok(Output { status, stdout: lossy(&stdout), stderr: lossy(&stderr) })
    };
    // Dropping `child` kills the program.
    tokio::time::timeout(deadline, work)
        .await
        .unwrap_or_else(|_| Err(CommandError::Deadline { program: owned(), deadline }))
}

/// Reads to the end, or one byte more than `max`.
async fn read_up_to(mut from: impl AsyncRead + Unpin, max: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    (&mut from).take(max as u64 + 1).read_to_end(&mut bytes).await?;
    Ok(bytes)
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
        for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
            assert!(removed.contains(&OsStr::new(name)), "{name} is inherited");
        }
    }
}
