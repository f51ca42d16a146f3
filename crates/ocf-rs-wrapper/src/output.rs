//! What the agent prints.
//!
//! An agent may leave a service behind that goes on to write where the agent wrote. A pipe that is closed after the agent's end would kill
//! that service by `SIGPIPE`, and one that nobody reads would make it hang. So the pipes live as long as the wrapper, one for `start` and
//! `stop` and one for monitors, and are always read. What comes from the first goes to the journal line by line; of monitors, which
//! may say the same every time, the last lines are kept until somebody wants to see them.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Stdio;

use rustix::fs::OFlags;
use rustix::pipe::PipeFlags;

use crate::log::{self, Level};
use crate::secrets::Secrets;

/// Longest line; what is beyond is cut.
const LINE_BYTES: usize = 1024;

/// How many lines of monitors are kept.
const KEPT_LINES: usize = 40;

/// How many bytes of meta-data are read.
const ANSWER_BYTES: usize = 1024 * 1024;

/// How much is read at once.
const CHUNK_BYTES: usize = 4096;

/// What a line begins with that says why the agent failed (ocf-shellfuncs).
const REASON: &str = "ocf-exit-reason:";

/// What happens to what is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Use {
    /// Log each line.
    Log,
    /// Keep the last lines.
    Keep,
    /// Collect all of it.
    Answer,
}

/// One pipe.
#[derive(Debug)]
pub(crate) struct Stream {
    reader: File,
    writer: OwnedFd,
    used: Use,
    partial: Vec<u8>,
    lines: VecDeque<String>,
    reason: Option<String>,
}

impl Stream {
    /// A new pipe. Its reading end does not block.
    pub(crate) fn new(used: Use) -> io::Result<Self> {
        let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        // Only our end: the agent must not see writes that are refused.
        rustix::fs::fcntl_setfl(&reader, OFlags::NONBLOCK)?;
        let (partial, lines) = (Vec::new(), VecDeque::new());
        Ok(Self { reader: reader.into(), writer, used, partial, lines, reason: None })
    }

    /// An end for the agent to write to.
    pub(crate) fn writer(&self) -> io::Result<Stdio> {
        Ok(self.writer.try_clone()?.into())
    }

    /// For poll.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    /// An action begins: what was said before is not about it.
    pub(crate) fn begin(&mut self) {
        self.lines.clear();
        self.reason = None;
        if self.used == Use::Answer {
            self.partial.clear();
        }
    }

    /// Reads what there is, but not for ever: a service may write faster than we read.
    pub(crate) fn read(&mut self, secrets: &Secrets) {
        let mut chunk = [0; CHUNK_BYTES];
        for _ in 0..64 {
            // "Would block" is the usual end; an error on a pipe of our own cannot be helped.
            match self.reader.read(&mut chunk) {
                Ok(count) if count > 0 => self.take(&chunk[..count], secrets),
                Ok(_) | Err(_) => return,
            }
        }
    }

    fn take(&mut self, bytes: &[u8], secrets: &Secrets) {
        if self.used == Use::Answer {
            let room = ANSWER_BYTES.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
            return;
        }
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            let room = LINE_BYTES.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                self.end_line(secrets);
            }
        }
    }

    /// The action has ended: a last line needs no line end.
    pub(crate) fn end(&mut self, secrets: &Secrets) {
        if self.used != Use::Answer && !self.partial.is_empty() {
            self.end_line(secrets);
        }
    }

    fn end_line(&mut self, secrets: &Secrets) {
        let text = secrets.hide(&String::from_utf8_lossy(&self.partial));
        self.partial.clear();
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        if let Some(reason) = text.strip_prefix(REASON) {
            self.reason = Some(reason.trim().to_owned());
        }
        match self.used {
            Use::Log => log::line(level(text), text),
            Use::Keep => {
                if self.lines.len() == KEPT_LINES {
                    self.lines.pop_front();
                }
                self.lines.push_back(text.to_owned());
            }
            Use::Answer => {}
        }
    }

    /// What was kept.
    pub(crate) fn show(&mut self) {
        for text in self.lines.drain(..) {
            log::line(level(&text), &text);
        }
    }

    /// Why the agent failed, as it says itself.
    pub(crate) fn reason(&mut self) -> Option<String> {
        self.reason.take()
    }

    /// What was collected.
    pub(crate) fn answer(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.partial)).into_owned()
    }
}

/// The agent's own words for it, as `ocf_log` writes them.
fn level(text: &str) -> Level {
    if text.contains("ERROR:") || text.contains("CRIT:") {
        Level::Error
    } else if text.contains("WARNING:") {
        Level::Warning
    } else {
        Level::Info
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(chunks: &[&str]) -> Stream {
        let mut stream = Stream::new(Use::Keep).unwrap();
        stream.begin();
        let secrets = Secrets::new([("OCF_RESKEY_password".to_owned(), "s3cret".to_owned())].into_iter());
        for chunk in chunks {
            rustix::io::write(&stream.writer, chunk.as_bytes()).unwrap();
            stream.read(&secrets);
        }
        stream.end(&secrets);
        stream
    }

    #[test]
    fn lines_come_whole_and_without_secrets() {
        let mut stream = kept(&["one\ntw", "o s3c", "ret\n\n  \nocf-exit-reason: no s3cret\nlast"]);
        assert_eq!(stream.lines, ["one", "two ***", "ocf-exit-reason: no ***", "last"]);
        assert_eq!(stream.reason().as_deref(), Some("no ***"));
    }

    #[test]
    fn much_output_is_bounded() {
        let long = "x".repeat(3 * LINE_BYTES) + "\n";
        let mut stream = kept(&[&long]);
        assert_eq!(stream.lines[0].len(), LINE_BYTES);
        stream.begin();
        for number in 0..1000 {
            stream.take(format!("{number}\n").as_bytes(), &Secrets::default());
        }
        assert_eq!((stream.lines.len(), stream.lines.back().map(String::as_str)), (KEPT_LINES, Some("999")));
    }
}
