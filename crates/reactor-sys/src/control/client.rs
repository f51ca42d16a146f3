//! The client side: blocking, for `reactorctl` and other small programs.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::framing::{Frames, MAX_REPLY_BYTES, message};
use super::{INTERFACE, SERVICE_INTERFACE};

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
    /// The daemon closed the connection, or answered what is no reply.
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

/// A connection to the daemon.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    frames: Frames,
    within: Duration,
}

impl Client {
    /// Connects to the socket `path`. Each answer may take `within`.
    pub fn connect(path: &Path, within: Duration) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NotRunning { path: path.to_owned() }
            }
            io::ErrorKind::PermissionDenied => {
                ClientError::PermissionDenied { reason: format!("{} is for root and its group", path.display()) }
            }
            _ => ClientError::Broken { source },
        })?;
        let mut client = Self { stream, frames: Frames::new(MAX_REPLY_BYTES), within };
        client.set_deadline(Some(within))?;
        Ok(client)
    }

    /// How long each answer may take from now on; `None` = for ever, for streams.
    pub fn set_deadline(&mut self, within: Option<Duration>) -> Result<(), ClientError> {
        self.within = within.unwrap_or(Duration::MAX);
        // A zero timeout is refused by the socket; one millisecond is as good.
        let within = within.map(|within| within.max(Duration::from_millis(1)));
        let set = self.stream.set_read_timeout(within).and_then(|()| self.stream.set_write_timeout(within));
        set.map_err(|source| ClientError::Broken { source })
    }

    /// Calls `verb` of our interface and waits for its one answer.
    pub fn call(&mut self, verb: &str, parameters: &Value) -> Result<Value, ClientError> {
        self.send(&json!({ "method": format!("{INTERFACE}.{verb}"), "parameters": parameters }))?;
        Ok(self.next_reply()?.parameters)
    }

    /// Calls `verb` of our interface for a stream of answers; take them with [`next_reply`](Self::next_reply).
    pub fn call_more(&mut self, verb: &str, parameters: &Value) -> Result<(), ClientError> {
        self.send(&json!({ "method": format!("{INTERFACE}.{verb}"), "parameters": parameters, "more": true }))
    }

    /// Sends a whole call object.
    pub fn send(&mut self, call: &Value) -> Result<(), ClientError> {
        match self.stream.write_all(&message(call)) {
            // The daemon may have said why it hangs up before we wrote: read that first.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(source) => Err(self.broken(source)),
            Ok(()) => Ok(()),
        }
    }

    /// Waits for the next answer.
    pub fn next_reply(&mut self) -> Result<Reply, ClientError> {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            match self.frames.next_message() {
                Ok(Some(message)) => return understand(message),
                Ok(None) => {}
                Err(error) => return Err(ClientError::Protocol { why: error.to_string() }),
            }
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(ClientError::Protocol { why: "it closed the connection".to_owned() }),
                Ok(count) => self.frames.push(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.broken(source)),
            }
        }
    }

    fn broken(&self, source: io::Error) -> ClientError {
        match source.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ClientError::TimedOut { within: self.within },
            _ => ClientError::Broken { source },
        }
    }
}

fn understand(message: &[u8]) -> Result<Reply, ClientError> {
    let protocol = |why: &str| ClientError::Protocol { why: why.to_owned() };
    let mut reply: Value = serde_json::from_slice(message).map_err(|error| protocol(&error.to_string()))?;
    let map = reply.as_object_mut().ok_or_else(|| protocol("its answer is no object"))?;
    let parameters = map.remove("parameters").unwrap_or_else(|| json!({}));
    let Some(name) = map.get("error") else {
        return Ok(Reply { parameters, continues: map.get("continues").and_then(Value::as_bool).unwrap_or(false) });
    };
    let name = name.as_str().ok_or_else(|| protocol("its error has no name"))?.to_owned();
    if name == format!("{INTERFACE}.PermissionDenied") || name == format!("{SERVICE_INTERFACE}.PermissionDenied") {
        let reason = parameters.get("reason").and_then(Value::as_str).unwrap_or("the daemon says so").to_owned();
        return Err(ClientError::PermissionDenied { reason });
    }
    Err(ClientError::Refused { name, parameters })
}
