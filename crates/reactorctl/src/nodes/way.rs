//! The control protocol of another node's daemon: its socket on this machine, or `ssh HOST reactorctl bridge`.
//!
//! What a node may be told is checked there: by what its key may do ([`bridge`](crate::commands)), and by the daemon, which asks the kernel who
//! it is.

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reactor_api::client::{Client, ClientError};
use reactor_api::framing::MAX_REPLY_BYTES;
use reactor_api::verbs::Ping;

use super::context::Node;
use super::ssh;
use crate::exit::Failure;

/// How long a node may take until its daemon has answered for the first time.
pub(crate) const LIMIT: Duration = Duration::from_secs(3);

/// As much of what ssh says is read, in bytes.
const MOST_WORDS: u64 = 64 * 1024;

/// Connects to the daemon of a node, which has answered then. Each further answer may take `within`.
pub(crate) fn connect(node: &Node, within: Duration) -> Result<Client, Failure> {
    let reached = match &node.socket {
        Some(socket) => by_socket(socket),
        None => by_ssh(node),
    };
    let reached = reached.and_then(|mut client| {
        client.set_within(within).map_err(|error| error.to_string())?;
        Ok(client)
    });
    reached.map_err(|why| Failure::NotReached { node: node.name.clone(), why })
}

fn by_socket(socket: &Path) -> Result<Client, String> {
    answering(socket).map_err(|error| words(&error))
}

/// Connects to the daemon of a socket on this machine, which has answered then: the kernel lets us connect to one that hangs.
pub(crate) fn answering(socket: &Path) -> Result<Client, ClientError> {
    let end = Instant::now() + LIMIT;
    let mut client = Client::connect(socket, LIMIT)?;
    client.set_end(end);
    is_there(&mut client).map_err(|error| match error {
        // Of which a part was over already when it was asked.
        ClientError::TimedOut { .. } => ClientError::TimedOut { within: LIMIT },
        error => error,
    })?;
    Ok(client)
}

/// Whether it answers at all.
fn is_there(client: &mut Client) -> Result<(), ClientError> {
    match client.ask(&Ping {}) {
        // It ends, or has too many connections, and hangs up: it would answer nothing more.
        Err(ClientError::Refused { name, parameters }) if name.ends_with(".Unavailable") => {
            Err(ClientError::Refused { name, parameters })
        }
        // Whatever else it answers, it is there: an older daemon may not know this call.
        Ok(_) | Err(ClientError::Refused { .. } | ClientError::PermissionDenied { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn words(error: &ClientError) -> String {
    match error {
        ClientError::TimedOut { .. } => format!("no answer within {} s", LIMIT.as_secs()),
        error => error.to_string(),
    }
}

fn by_ssh(node: &Node) -> Result<Client, String> {
    let (ours, theirs) = UnixStream::pair().map_err(|error| format!("can't make a pair of sockets: {error}"))?;
    let input = OwnedFd::from(theirs);
    let output = input.try_clone().map_err(|error| format!("can't copy a socket: {error}"))?;
    let mut command = Command::new("ssh");
    // Words of ours only: nothing here is from a user, so nothing has to be quoted for the shell over there.
    command.args(ssh::OPTIONS).arg(format!("{}@{}", node.user, node.hostname)).arg("reactorctl bridge");
    let child = command.stdin(input).stdout(output).stderr(Stdio::piped()).spawn();
    // Our copies of its ends are closed: what is left is its own, and ends with it.
    drop(command);
    let mut child = child.map_err(|error| format!("can't run ssh: {error}"))?;
    let mut client = Client::over(ours, MAX_REPLY_BYTES);
    client.set_end(Instant::now() + LIMIT);
    // ssh ends when its input does, which is when the connection is dropped.
    is_there(&mut client).map(|()| client).map_err(|error| why(&mut child, &error))
}

/// What ssh says, or what we saw of it.
fn why(child: &mut Child, error: &ClientError) -> String {
    if let ClientError::TimedOut { .. } | ClientError::Refused { .. } = error {
        end(child);
        return words(error);
    }
    // The connection has ended: what ssh has to say of that it has said before. What it started may hold its standard error for longer.
    end(child);
    last_words(child).unwrap_or_else(|| error.to_string())
}

/// The last line that a child, which has ended, has said on its standard error.
pub(super) fn last_words(child: &mut Child) -> Option<String> {
    let mut text = Vec::new();
    if let Some(stderr) = child.stderr.take()
        && rustix::io::ioctl_fionbio(&stderr, true).is_ok()
    {
        // What was read until there is no more, or an error, is kept.
        let _ = stderr.take(MOST_WORDS).read_to_end(&mut text);
    }
    ssh::last_line(&text).map(str::to_owned)
}

pub(super) fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
