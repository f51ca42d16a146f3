//! Asks the daemon: one request, one reply, and one deadline over all of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use serde_json::{Value, json};

use crate::options::Options;

/// The method of the daemon's control socket.
const METHOD: &str = "io.storagereactor.Control.Helper";

/// Longest reply that is read.
const MAX_REPLY_BYTES: usize = 64 * 1024;

/// Between two attempts to connect.
const RETRY: Duration = Duration::from_millis(50);

/// DRBD's only variable without its prefix: which nodes have good data, for `fence-peer`.
const UP_TO_DATE_NODES: &str = "UP_TO_DATE_NODES";

/// A call of the kernel.
#[derive(Debug, PartialEq)]
pub(crate) struct Call {
    /// Name of the helper, for example `before-resync-target`.
    pub(crate) helper: String,
    /// The resource, or `minor-N` with DRBD 8.4.
    pub(crate) object: String,
    env: BTreeMap<String, String>,
}

/// What the daemon says.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// A handler ran: exit with its code.
    Exit(u8),
    /// drbdadm is to answer.
    Fallback(String),
}

/// Why the daemon gave no answer.
#[derive(Debug)]
pub(crate) enum AskError {
    Connect(PathBuf, io::Error),
    Talk(io::Error),
    Timeout(Duration),
    Reply(String),
}

impl std::fmt::Display for AskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connect(socket, error) => write!(f, "the daemon is not at {}: {error}", socket.display()),
            Self::Talk(error) => write!(f, "the connection to the daemon broke: {error}"),
            Self::Timeout(limit) => write!(f, "the daemon did not answer within {} s", limit.as_secs()),
            Self::Reply(why) => write!(f, "the daemon's reply makes no sense: {why}"),
        }
    }
}

impl Call {
    /// The call that these arguments are; `None` if they are no call of DRBD.
    pub(crate) fn new(arguments: &[OsString], env: impl Iterator<Item = (OsString, OsString)>) -> Option<Self> {
        let [helper, object] = arguments else { return None };
        let env = env
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .filter(|(name, _)| name.starts_with("DRBD_") || name == UP_TO_DATE_NODES);
        Some(Self { helper: helper.to_str()?.to_owned(), object: object.to_str()?.to_owned(), env: env.collect() })
    }

    /// The request, which gives the daemon a little less time than we have: its own answer tells more than our timeout.
    fn request(&self, time: Duration) -> Vec<u8> {
        let time = time - (time / 10).min(Duration::from_secs(1));
        let parameters = json!({
            "helper": self.helper,
            "object": self.object,
            "env": self.env,
            "timeout_ms": u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        });
        let mut request = json!({ "method": METHOD, "parameters": parameters }).to_string().into_bytes();
        request.push(0);
        request
    }
}

/// Asks, and waits for the answer until the timeout.
pub(crate) fn daemon(options: &Options, call: &Call) -> Result<Answer, AskError> {
    let deadline = Deadline { at: Instant::now() + options.timeout, limit: options.timeout };
    let mut stream = connect_in_time(options, &deadline)?;
    send(&mut stream, &call.request(deadline.left()?), &deadline)?;
    let reply = receive(&mut stream, &deadline)?;
    understand(&reply).map_err(AskError::Reply)
}

/// The moment at which we give up.
struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    /// What is left; never zero, which would mean "for ever" to a socket.
    fn left(&self) -> Result<Duration, AskError> {
        match self.at.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(AskError::Timeout(self.limit)),
        }
    }

    /// What an error of the socket is to us.
    fn error(&self, error: io::Error) -> AskError {
        match is_timeout(&error) {
            true => AskError::Timeout(self.limit),
            false => AskError::Talk(error),
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Connects. While the daemon is being restarted, the folder of its socket stays: then it is worth a little patience, because
/// drbdadm does not know the rules. Without the folder there is no daemon to wait for.
fn connect_in_time(options: &Options, deadline: &Deadline) -> Result<UnixStream, AskError> {
    let patience = Instant::now() + options.wait;
    loop {
        let error = match connect(options, deadline) {
            Ok(stream) => return Ok(stream),
            Err(error) if is_timeout(&error) => return Err(AskError::Timeout(options.timeout)),
            Err(error) => error,
        };
        let away = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused);
        let restarting = away && options.socket.parent().is_some_and(Path::exists);
        if !restarting || Instant::now() + RETRY > patience.min(deadline.at) {
            return Err(AskError::Connect(options.socket.clone(), error));
        }
        thread::sleep(RETRY);
    }
}

/// Connects. The standard library's own `connect` would wait for ever if the daemon hangs and its backlog is full.
fn connect(options: &Options, deadline: &Deadline) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(&options.socket)?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Send, Some(deadline.limit))?;
    rustix::net::connect(&socket, &address)?;
    Ok(UnixStream::from(socket))
}

fn send(stream: &mut UnixStream, mut rest: &[u8], deadline: &Deadline) -> Result<(), AskError> {
    while !rest.is_empty() {
        stream.set_write_timeout(Some(deadline.left()?)).map_err(AskError::Talk)?;
        match stream.write(rest) {
            Ok(0) => return Err(AskError::Talk(io::ErrorKind::WriteZero.into())),
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(deadline.error(error)),
        }
    }
    Ok(())
}

/// One message, without the NUL byte at its end.
fn receive(stream: &mut UnixStream, deadline: &Deadline) -> Result<Vec<u8>, AskError> {
    let mut reply = Vec::new();
    let mut buffer = [0; 4096];
    while reply.len() <= MAX_REPLY_BYTES {
        stream.set_read_timeout(Some(deadline.left()?)).map_err(AskError::Talk)?;
        let read = match stream.read(&mut buffer) {
            Ok(0) => return Err(AskError::Talk(io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => &buffer[..read],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(deadline.error(error)),
        };
        if let Some(end) = read.iter().position(|byte| *byte == 0) {
            reply.extend_from_slice(&read[..end]);
            return Ok(reply);
        }
        reply.extend_from_slice(read);
    }
    Err(AskError::Reply(format!("it is longer than {MAX_REPLY_BYTES} bytes")))
}

fn understand(reply: &[u8]) -> Result<Answer, String> {
    let reply: Value = serde_json::from_slice(reply).map_err(|error| error.to_string())?;
    if let Some(error) = reply.get("error") {
        return Err(format!("error {error} {}", reply.get("parameters").unwrap_or(&Value::Null)));
    }
    let parameters = reply.get("parameters").ok_or("it has no parameters")?;
    match (parameters.get("exit"), parameters.get("fallback")) {
        (Some(Value::Number(code)), _) => {
            let code = code.as_u64().and_then(|code| u8::try_from(code).ok());
            code.map(Answer::Exit).ok_or_else(|| "its exit code is none".to_owned())
        }
        (_, Some(Value::String(why))) => Ok(Answer::Fallback(why.clone())),
        _ => Err("it has neither exit nor fallback".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn only_drbds_own_variables_are_passed_on() {
        let env =
            [("DRBD_PEER_NODE_ID", "1"), ("UP_TO_DATE_NODES", "0x00000003"), ("PATH", "/bin"), ("LD_PRELOAD", "x")];
        let env = env.into_iter().map(|(name, value)| (name.into(), value.into()));
        let call = Call::new(&os(&["fence-peer", "r0"]), env).unwrap();
        assert_eq!(call.env.keys().collect::<Vec<_>>(), ["DRBD_PEER_NODE_ID", "UP_TO_DATE_NODES"]);
        let request = call.request(Duration::from_secs(60));
        assert_eq!(
            std::str::from_utf8(&request).unwrap(),
            "{\"method\":\"io.storagereactor.Control.Helper\",\"parameters\":{\"env\":{\"DRBD_PEER_NODE_ID\":\"1\",\
             \"UP_TO_DATE_NODES\":\"0x00000003\"},\"helper\":\"fence-peer\",\"object\":\"r0\",\"timeout_ms\":59000}}\0"
        );
    }

    #[test]
    fn other_arguments_are_no_call() {
        for words in [&["adjust"][..], &["adjust", "r0", "x"], &[]] {
            assert_eq!(Call::new(&os(words), std::iter::empty()), None);
        }
    }

    #[test]
    fn every_reply_is_understood_or_refused() {
        let understood = |text: &str| understand(text.as_bytes());
        assert_eq!(understood(r#"{"parameters":{"exit":4,"rule":"x"}}"#), Ok(Answer::Exit(4)));
        assert_eq!(
            understood(r#"{"parameters":{"exit":null,"fallback":"no rule"}}"#),
            Ok(Answer::Fallback("no rule".to_owned()))
        );
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"parameters":{}}"#,
            r#"{"parameters":{"exit":256}}"#,
            r#"{"parameters":{"exit":-1}}"#,
            r#"{"parameters":{"exit":1.5}}"#,
            r#"{"error":"org.varlink.service.PermissionDenied","parameters":{}}"#,
        ] {
            assert!(understood(wrong).is_err(), "{wrong}");
        }
    }
}
