//! The way to one node.

use std::ffi::OsString;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::context::Node;

/// How long a node may take until ssh is connected.
const CONNECT: &str = "ConnectTimeout=3";
/// A node that dies while it works is noticed within three of these.
const ALIVE: &str = "ServerAliveInterval=3";
/// What ssh is told before the host: it never asks for anything.
pub(super) const OPTIONS: [&str; 7] = ["-o", "BatchMode=yes", "-o", CONNECT, "-o", ALIVE, "--"];
/// How long a command that only reads may take. One that changes something may have services to stop, and has as long as they take.
pub(super) const READ_LIMIT: Duration = Duration::from_secs(30);

/// What ssh ends with when it is its own failure.
const SSH_FAILED: i32 = 255;

/// Why a node has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreachable {
    #[error("can't run ssh: {why}")]
    NoSsh { why: String },
    #[error("not reached: {why}")]
    Refused { why: String },
    #[error("no answer within {} s", within.as_secs())]
    TimedOut { within: Duration },
}

/// Runs a command line on a node, and keeps all that it prints.
pub(super) async fn run(node: &Node, line: &OsString, limit: Option<Duration>) -> Result<Output, Unreachable> {
    let mut command = Command::new("ssh");
    command.args(OPTIONS);
    command.arg(format!("{}@{}", node.user, node.hostname)).arg(line);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output();
    let output = match limit {
        Some(within) => timeout(within, output).await.map_err(|_| Unreachable::TimedOut { within })?,
        None => output.await,
    };
    let output = output.map_err(|error| Unreachable::NoSsh { why: error.to_string() })?;
    if output.status.code() == Some(SSH_FAILED) {
        let why = last_line(&output.stderr).unwrap_or("ssh does not say why");
        return Err(Unreachable::Refused { why: why.to_owned() });
    }
    Ok(output)
}

/// The last line of what ssh has printed beside the output: why it ended.
pub(super) fn last_line(text: &[u8]) -> Option<&str> {
    let lines = text.rsplit(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty()).find_map(|line| std::str::from_utf8(line).ok())
}
