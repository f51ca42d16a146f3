//! A thread that writes log lines: one for the journal and standard error, one for files, so that a disk that hangs does not silence the
//! journal.
//!
//! Its queue is bounded. A line that does not fit is dropped and counted; the next line that does fit is preceded by one that
//! says how many are missing.

use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use super::journal;

/// Lines that may wait.
pub(super) const QUEUE: usize = 8192;

/// One of the targets that get lines.
#[derive(Clone, Debug)]
pub(super) enum Sink {
    Stderr,
    /// An open file. It is closed when the last line for it is written.
    File(Arc<File>),
    /// systemd's journal; the line is a datagram of its native protocol.
    Journal,
}

enum Message {
    Line(Sink, Vec<u8>),
    Flush(SyncSender<()>),
}

pub(super) struct Writer {
    queue: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

impl Writer {
    /// `name` is that of its thread.
    pub(super) fn start(name: &str) -> Self {
        let (queue, messages) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&lost);
        // Without a thread (out of memory) every line counts as lost.
        let _ = std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&messages, &counter));
        Self { queue, lost }
    }

    /// Never blocks.
    pub(super) fn write(&self, sink: Sink, line: impl Into<Vec<u8>>) {
        if self.queue.try_send(Message::Line(sink, line.into())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until everything so far is written, until `deadline` at the latest.
    pub(super) fn flush(&self, deadline: Instant) {
        let (done, flushed) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            let _ = flushed.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        }
    }
}

fn run(messages: &Receiver<Message>, lost: &AtomicU64) {
    let mut told = 0;
    for message in messages {
        match message {
            Message::Line(sink, line) => {
                let missing = lost.load(Ordering::Relaxed);
                if missing > told {
                    let note = format!("{} lines are missing here: too slow", missing - told);
                    told = missing;
                    let note = match sink {
                        Sink::Journal => journal::warning(&program(), &note),
                        Sink::Stderr | Sink::File(_) => format!("WARN [reactor_sys::log] {note}\n"),
                    };
                    put(&sink, note.as_bytes());
                }
                if !put(&sink, &line) {
                    lost.fetch_add(1, Ordering::Relaxed);
                    // Not announced in the same target over and over: it does not take lines.
                    told += 1;
                }
            }
            Message::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

/// The name under which lines are in the journal: that of the program.
pub(super) fn program() -> String {
    let path = std::env::args_os().next().unwrap_or_default();
    Path::new(&path).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// One line with one write, so that lines of several writers do not mix.
fn put(sink: &Sink, line: &[u8]) -> bool {
    match sink {
        Sink::Stderr => std::io::stderr().write_all(line).is_ok(),
        Sink::File(file) => (&**file).write_all(line).is_ok(),
        // A new socket each time: the journal may have been restarted, and lines are few.
        Sink::Journal => UnixDatagram::unbound().is_ok_and(|socket| socket.send_to(line, journal::SOCKET).is_ok()),
    }
}
