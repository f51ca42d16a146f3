//! Commands in a node over its first serial line, as a small shell script in the image serves them.
//!
//! `ID BASE64(command)` goes there, `<ID CODE BASE64(output)` comes back, `READY name` is said once per boot.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, WriteHalf};
use tokio::sync::{oneshot, watch};

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What came of a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// It took too long.
    #[error("no answer within {} s", within.as_secs())]
    Timeout {
        /// How long was waited.
        within: Duration,
    },
    /// The line is closed.
    #[error("the agent has gone")]
    Gone,
}

type Calls = Arc<Mutex<HashMap<u64, oneshot::Sender<Output>>>>;

/// The host's end of the line.
pub struct AgentClient {
    line: tokio::sync::Mutex<Box<dyn AsyncWrite + Unpin + Send>>,
    calls: Calls,
    next: AtomicU64,
    boots: watch::Receiver<u64>,
}

impl std::fmt::Debug for AgentClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentClient").field("boots", &*self.boots.borrow()).finish_non_exhaustive()
    }
}

impl AgentClient {
    /// Serves the line. Needs a tokio runtime around it.
    #[must_use]
    pub fn new<S: AsyncRead + AsyncWrite + Send + 'static>(line: S) -> Self {
        let (read, write): (_, WriteHalf<S>) = tokio::io::split(line);
        let calls = Calls::default();
        let (seen, boots) = watch::channel(0);
        let of_task = Arc::clone(&calls);
        tokio::spawn(async move {
            let mut lines = BufReader::new(read).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if line.trim_start().starts_with("READY") {
                    seen.send_modify(|boots| *boots += 1);
                } else if let Some((id, output)) = parse(&line) {
                    let call = of_task.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                    // Whoever asked may have given up.
                    let _given_up = call.map(|call| call.send(output));
                }
            }
            of_task.lock().unwrap_or_else(PoisonError::into_inner).clear();
        });
        Self { line: tokio::sync::Mutex::new(Box::new(write)), calls, next: AtomicU64::new(1), boots }
    }

    /// How many boots of the node were seen.
    #[must_use]
    pub fn boots(&self) -> u64 {
        *self.boots.borrow()
    }

    /// Waits for a boot after the first `after` ones.
    pub async fn ready(&self, after: u64, within: Duration) -> Result<(), AgentError> {
        let mut boots = self.boots.clone();
        match tokio::time::timeout(within, boots.wait_for(|boots| *boots > after)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(AgentError::Gone),
            Err(_) => Err(AgentError::Timeout { within }),
        }
    }

    /// Runs a shell command. Its own failure is in the output, not an error.
    pub async fn exec(&self, command: &str, within: Duration) -> Result<Output, AgentError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).insert(id, answer);
        let line = format!("{id} {}\n", encode(command.as_bytes()));
        self.line.lock().await.write_all(line.as_bytes()).await.map_err(|_: io::Error| AgentError::Gone)?;
        match tokio::time::timeout(within, answered).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(_)) => Err(AgentError::Gone),
            Err(_) => Err(AgentError::Timeout { within }),
        }
    }
}

fn parse(line: &str) -> Option<(u64, Output)> {
    let mut words = line.trim().strip_prefix('<')?.splitn(3, ' ');
    let (id, code) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((id, Output { code, stdout: decode(words.next().unwrap_or_default()), stderr: Vec::new() }))
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for digit in text.bytes().filter_map(|byte| DIGITS.iter().position(|digit| *digit == byte)) {
        bits = bits << 6 | u32::try_from(digit).unwrap_or(0);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap_or(0));
            bits &= (1 << count) - 1;
        }
    }
    bytes
}
