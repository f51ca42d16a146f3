//! The client: blocking, for `reactorctl`, `reactor-helper` and other small programs.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use serde::Serialize;
use serde_json::{Value, json};

use crate::framing::{Frames, MAX_REPLY_BYTES, message};
use crate::verb::Verb;
use crate::{INTERFACE, SERVICE_INTERFACE};

/// Why a call has no good answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody serves the socket.
    #[error("no daemon serves {}", path.display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
    },
    /// We may not connect, or not do this.
    #[error("permission denied: {reason}")]
    PermissionDenied {
        /// Why.
        reason: String,
    },
    /// No answer in time.
    #[error("no answer from the daemon within {} s", within.as_secs())]
    TimedOut {
        /// How long we waited.
        within: Duration,
    },
    /// The daemon answered with an error.
    #[error("daemon answers {name}{}", show_parameters(parameters))]
    Refused {
        /// Name of the error, with its interface.
        name: String,
        /// Its parameters.
        parameters: Value,
    },
    /// The daemon closed the connection in place of an answer.
    #[error("daemon does not speak our protocol: it closed the connection")]
    Closed,
    /// The daemon answered what is no reply.
    #[error("daemon does not speak our protocol: {why}")]
    Protocol {
        /// What is wrong.
        why: String,
    },
    /// The connection broke.
    #[error("connection to the daemon broke")]
    Broken {
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn show_parameters(parameters: &Value) -> String {
    match parameters {
        Value::Object(map) if map.is_empty() => String::new(),
        Value::Null => String::new(),
        other => format!(" {other}"),
    }
}

/// One reply.
#[derive(Debug)]
pub struct Reply {
    /// Its parameters.
    pub parameters: Value,
    /// Another one follows.
    pub continues: bool,
}

/// An error that the daemon answered.
#[derive(Debug)]
pub struct Refusal {
    /// Its name, with its interface.
    pub name: String,
    /// Its parameters.
    pub parameters: Value,
}

impl From<Refusal> for ClientError {
    fn from(Refusal { name, parameters }: Refusal) -> Self {
        if name == format!("{INTERFACE}.PermissionDenied") || name == format!("{SERVICE_INTERFACE}.PermissionDenied") {
            let reason = parameters.get("reason").and_then(Value::as_str).unwrap_or("the daemon says so").to_owned();
            return Self::PermissionDenied { reason };
        }
        Self::Refused { name, parameters }
    }
}

/// Connects to the socket `path`. The standard library's own `connect` would wait for ever if the daemon hangs and its backlog is full.
pub fn connect(path: &Path, within: Duration) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(path)?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Send, Some(at_least(within)))?;
    rustix::net::connect(&socket, &address)?;
    Ok(UnixStream::from(socket))
}

/// A zero timeout is refused by the socket; one millisecond is as good.
fn at_least(within: Duration) -> Duration {
    within.max(Duration::from_millis(1))
}

/// Whether a call to the system ended for want of time.
pub fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// A connection to the daemon.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    frames: Frames,
    /// How long each piece of an answer may take; `None` = for ever.
    within: Option<Duration>,
    /// When all of it must be over.
    end: Option<Instant>,
}

impl Client {
    /// Connects to the socket `path`. Each answer may take `within`.
    pub fn connect(path: &Path, within: Duration) -> Result<Self, ClientError> {
        let stream = connect(path, within).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NotRunning { path: path.to_owned() }
            }
            io::ErrorKind::PermissionDenied => {
                ClientError::PermissionDenied { reason: format!("{} is for root and its group", path.display()) }
            }
            _ if is_timeout(&source) => ClientError::TimedOut { within },
            _ => ClientError::Broken { source },
        })?;
        let mut client = Self::over(stream, MAX_REPLY_BYTES);
        client.set_deadline(Some(within))?;
        Ok(client)
    }

    /// A connection that is made already, with answers of at most `limit` bytes. It may also be one end of a pair of sockets whose other end
    /// is the standard input and output of a program that passes the protocol on.
    pub fn over(stream: UnixStream, limit: usize) -> Self {
        Self { stream, frames: Frames::new(limit), within: None, end: None }
    }

    /// The connection itself, without a deadline.
    pub fn into_stream(mut self) -> Result<UnixStream, ClientError> {
        self.end = None;
        self.set_deadline(None)?;
        Ok(self.stream)
    }

    /// The connection once more, so that another thread can end it.
    pub fn connection(&self) -> io::Result<UnixStream> {
        self.stream.try_clone()
    }

    /// How long each answer may take from now on; `None` = for ever, for streams.
    pub fn set_deadline(&mut self, within: Option<Duration>) -> Result<(), ClientError> {
        self.within = within;
        self.set_timeouts()
    }

    /// The same, also where all of it had to be over by [a time](Self::set_end) until now.
    pub fn set_within(&mut self, within: Duration) -> Result<(), ClientError> {
        self.end = None;
        self.set_deadline(Some(within))
    }

    /// When everything must be over, whatever comes meanwhile. `within` from now.
    pub fn set_end(&mut self, end: Instant) {
        self.within = Some(end.saturating_duration_since(Instant::now()));
        self.end = Some(end);
    }

    /// What is left of the time, for the socket.
    fn set_timeouts(&self) -> Result<(), ClientError> {
        let within = match self.end {
            None => self.within,
            Some(end) => match end.checked_duration_since(Instant::now()) {
                Some(left) if !left.is_zero() => Some(left),
                _ => return Err(self.late()),
            },
        };
        let within = within.map(at_least);
        let set = self.stream.set_read_timeout(within).and_then(|()| self.stream.set_write_timeout(within));
        set.map_err(|source| ClientError::Broken { source })
    }

    /// Calls a verb and waits for its one answer.
    pub fn ask<V: Verb>(&mut self, verb: &V) -> Result<V::Reply, ClientError> {
        let answer = self.ask_as_it_comes(verb)?;
        serde_json::from_value(answer).map_err(|error| ClientError::Protocol { why: error.to_string() })
    }

    /// The same; the answer as it comes, also what a newer daemon says and we do not know.
    pub fn ask_as_it_comes<V: Verb>(&mut self, verb: &V) -> Result<Value, ClientError> {
        self.send_verb(verb)?;
        Ok(self.next_reply()?.parameters)
    }

    /// Calls a verb; take the answer with [`next_answer`](Self::next_answer).
    pub fn send_verb<V: Verb>(&mut self, verb: &V) -> Result<(), ClientError> {
        self.send(&json!({ "method": format!("{INTERFACE}.{}", V::NAME), "parameters": verb }))
    }

    /// Calls a verb for a stream of answers; take them with [`next_reply`](Self::next_reply).
    pub fn ask_for_more<V: Verb>(&mut self, verb: &V) -> Result<(), ClientError> {
        let method = format!("{INTERFACE}.{}", V::NAME);
        self.send(&json!({ "method": method, "parameters": verb, "more": true }))
    }

    /// Calls the method `name` of our interface, whether we know it or not, and waits for its one answer.
    pub fn call(&mut self, name: &str, parameters: &impl Serialize) -> Result<Value, ClientError> {
        self.send(&json!({ "method": format!("{INTERFACE}.{name}"), "parameters": parameters }))?;
        Ok(self.next_reply()?.parameters)
    }

    /// Sends a whole call object.
    pub fn send(&mut self, call: &Value) -> Result<(), ClientError> {
        let bytes = message(call);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            if self.end.is_some() {
                self.set_timeouts()?;
            }
            match self.stream.write(rest) {
                Ok(0) => return Err(ClientError::Broken { source: io::ErrorKind::WriteZero.into() }),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The daemon may have said why it hangs up before we wrote: read that first.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                Err(source) => return Err(self.broken(source)),
            }
        }
        Ok(())
    }

    /// Waits for the next answer.
    pub fn next_reply(&mut self) -> Result<Reply, ClientError> {
        Ok(self.next_answer()??)
    }

    /// Waits for the next answer; an error that the daemon answers is one of them.
    pub fn next_answer(&mut self) -> Result<Result<Reply, Refusal>, ClientError> {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            match self.frames.next_message() {
                Ok(Some(message)) => return understand(message),
                Ok(None) => {}
                Err(error) => return Err(ClientError::Protocol { why: error.to_string() }),
            }
            if self.end.is_some() {
                self.set_timeouts()?;
            }
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(ClientError::Closed),
                Ok(count) => self.frames.push(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.broken(source)),
            }
        }
    }

    fn broken(&self, source: io::Error) -> ClientError {
        if is_timeout(&source) { self.late() } else { ClientError::Broken { source } }
    }

    fn late(&self) -> ClientError {
        ClientError::TimedOut { within: self.within.unwrap_or(Duration::MAX) }
    }
}

fn understand(message: &[u8]) -> Result<Result<Reply, Refusal>, ClientError> {
    let protocol = |why: &str| ClientError::Protocol { why: why.to_owned() };
    let mut reply: Value = serde_json::from_slice(message).map_err(|error| protocol(&error.to_string()))?;
    let map = reply.as_object_mut().ok_or_else(|| protocol("its answer is no object"))?;
    let parameters = map.remove("parameters").unwrap_or_else(|| json!({}));
    let Some(name) = map.get("error") else {
        let continues = map.get("continues").and_then(Value::as_bool).unwrap_or(false);
        return Ok(Ok(Reply { parameters, continues }));
    };
    let name = name.as_str().ok_or_else(|| protocol("its error has no name"))?.to_owned();
    Ok(Err(Refusal { name, parameters }))
}
