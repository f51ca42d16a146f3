//! What host and agent say to each other, and its form on the line. No input or output here.
//!
//! A message is one line: a mark for its direction, base64 of a checksum and the message, a line end. So it survives
//! whatever else is on the line: a kernel's or a boot loader's text before it, an echo of our own words (its mark
//! is the other direction's), a line that was cut short by a reboot. What does not check is not a message.

use std::collections::VecDeque;
use std::marker::PhantomData;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Goes up with every change of the messages.
pub const VERSION: u32 = 1;
/// As much data as one message carries.
pub const CHUNK: usize = 16 << 10;
/// So many chunks are sent before the agent has taken the first of them.
pub const WINDOW: u32 = 8;
/// So many bytes are on the way to the agent before it has read the first of them. A terminal holds 4096, and the
/// driver of User-Mode Linux does not recover from a full one: nothing ever comes through again.
pub const UNREAD: u64 = 2048;
/// A longer line is no message of ours.
const LONGEST_LINE: usize = 256 << 10;
const CHECKSUM: usize = size_of::<u32>();

/// The number of a request; answers carry it.
pub type RequestId = u64;

/// From the host to the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToNode {
    /// Answer!
    Ping {
        /// The request.
        id: RequestId,
    },
    /// Run this in a shell.
    Exec {
        /// The request.
        id: RequestId,
        /// For bash.
        command: String,
        /// It is killed after so many milliseconds, in case the host has no time to say so.
        timeout_ms: u64,
        /// So many bytes of each of its outputs are wanted.
        most: u64,
        /// Input follows.
        input: bool,
    },
    /// Write a file; its content follows as input.
    Push {
        /// The request.
        id: RequestId,
        /// The file.
        path: String,
        /// Its permissions.
        mode: u32,
    },
    /// Read a file.
    Pull {
        /// The request.
        id: RequestId,
        /// The file.
        path: String,
    },
    /// Some input.
    Input {
        /// The request.
        id: RequestId,
        /// The bytes.
        data: Vec<u8>,
    },
    /// That was all input.
    InputEnd {
        /// The request.
        id: RequestId,
    },
    /// Nobody waits for it any more: kill it.
    Cancel {
        /// The request.
        id: RequestId,
    },
}

/// From the agent to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromNode {
    /// The agent has started. Whatever was asked before is not answered any more.
    Ready {
        /// [`VERSION`] of the agent. It stays the first field of the first message for ever.
        version: u32,
        /// The kernel's id of this boot.
        boot_id: String,
    },
    /// So many bytes of the host's were read since the agent has started.
    Read {
        /// All together.
        total: u64,
    },
    /// The answer to a ping.
    Pong {
        /// The request.
        id: RequestId,
    },
    /// One message of input was used: there is room for another one.
    Taken {
        /// The request.
        id: RequestId,
    },
    /// What comes in the outputs is the content of a file with these permissions.
    File {
        /// The request.
        id: RequestId,
        /// Permissions.
        mode: u32,
    },
    /// A piece of output or of a file.
    Output {
        /// The request.
        id: RequestId,
        /// Which one.
        stream: Stream,
        /// The bytes.
        data: Vec<u8>,
    },
    /// The command has ended, or the file is complete.
    Done {
        /// The request.
        id: RequestId,
        /// How.
        end: End,
        /// Bytes of standard output past the limit.
        lost_stdout: u64,
        /// Bytes of standard error past the limit.
        lost_stderr: u64,
    },
    /// It could not even be tried.
    Failed {
        /// The request.
        id: RequestId,
        /// Why.
        why: String,
    },
}

/// Where output comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// Standard output, or the file.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// By itself, with this code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// It took too long and was killed.
    TimedOut {
        /// It could not be killed: it is in the kernel and does not come back.
        stuck: bool,
    },
}

impl FromNode {
    /// The request it belongs to.
    #[must_use]
    pub fn id(&self) -> Option<RequestId> {
        match self {
            Self::Ready { .. } | Self::Read { .. } => None,
            Self::Pong { id }
            | Self::Taken { id }
            | Self::File { id, .. }
            | Self::Output { id, .. }
            | Self::Done { id, .. }
            | Self::Failed { id, .. } => Some(*id),
        }
    }
}

/// A message of one direction.
pub trait Message: Serialize + DeserializeOwned {
    /// The first byte of its line: none of base64's.
    const MARK: u8;
}

impl Message for ToNode {
    const MARK: u8 = b'>';
}

impl Message for FromNode {
    const MARK: u8 = b'<';
}

/// The message's line.
#[must_use]
pub fn encode<M: Message>(message: &M) -> Vec<u8> {
    let payload = postcard::to_allocvec(message).expect("messages have only types that can be written");
    let mut checked = crc32fast::hash(&payload).to_le_bytes().to_vec();
    checked.extend_from_slice(&payload);
    let mut line = vec![M::MARK];
    line.extend_from_slice(STANDARD.encode(&checked).as_bytes());
    line.push(b'\n');
    line
}

/// Finds the messages in what the line carries.
#[derive(Debug)]
pub struct Decoder<M> {
    line: Vec<u8>,
    /// The line is too long: it is left out to its end.
    skipping: bool,
    found: VecDeque<M>,
    garbage: u64,
    direction: PhantomData<M>,
}

impl<M> Default for Decoder<M> {
    fn default() -> Self {
        Self { line: Vec::new(), skipping: false, found: VecDeque::new(), garbage: 0, direction: PhantomData }
    }
}

impl<M: Message> Decoder<M> {
    /// Takes what came, in pieces of any size.
    pub fn feed(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            if self.line.len() + text.len() > LONGEST_LINE {
                self.skipping = true;
                self.line.clear();
            }
            if !self.skipping {
                self.line.extend_from_slice(text);
            }
            if ended {
                let line = std::mem::take(&mut self.line);
                if !std::mem::take(&mut self.skipping) {
                    match decode(&line) {
                        Some(message) => self.found.push_back(message),
                        None if line.is_empty() => {}
                        None => self.garbage += 1,
                    }
                } else {
                    self.garbage += 1;
                }
            }
        }
    }

    /// The next message.
    pub fn next_message(&mut self) -> Option<M> {
        self.found.pop_front()
    }

    /// How many lines were no messages.
    #[must_use]
    pub fn garbage(&self) -> u64 {
        self.garbage
    }
}

/// The message of a line, if it has one. What is before the last mark is somebody else's text without a line end.
fn decode<M: Message>(line: &[u8]) -> Option<M> {
    let start = line.iter().rposition(|byte| *byte == M::MARK)?;
    let text = &line[start + 1..];
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let checked = STANDARD.decode(text).ok()?;
    let (checksum, payload) = checked.split_at_checked(CHECKSUM)?;
    if checksum != crc32fast::hash(payload).to_le_bytes() {
        return None;
    }
    postcard::from_bytes(payload).ok()
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
