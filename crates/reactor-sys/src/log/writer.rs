//! The thread that writes log lines to standard error and to files.
//!
//! Its queue is bounded. A line that does not fit is dropped and counted; the next line that does fit is preceded by one that
//! says how many are missing.

use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use super::journal;

/// Lines that may wait.
pub(super) const QUEUE: usize = 8192;

/// One of the targets that get lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sink {
    Stderr,
    /// By its place in the last [`Writer::set_files`].
    File(usize),
    /// systemd's journal; the line is a datagram of its native protocol.
    Journal,
}

enum Message {
    Line(Sink, Vec<u8>),
    Files(Vec<File>),
    Flush(SyncSender<()>),
}

pub(super) struct Writer {
    queue: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

impl Writer {
    pub(super) fn start() -> Self {
        let (queue, messages) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&lost);
        // Without a thread (out of memory) every line counts as lost.
        let _ = std::thread::Builder::new().name("log".to_owned()).spawn(move || run(&messages, &counter));
        Self { queue, lost }
    }

    /// Never blocks.
    pub(super) fn write(&self, sink: Sink, line: impl Into<Vec<u8>>) {
        if self.queue.try_send(Message::Line(sink, line.into())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// New files, for the lines that come after.
    pub(super) fn set_files(&self, files: Vec<File>) {
        // A reload may wait a little, but not for a target that hangs: then the lines go where they went, and the next reload
        // tries again.
        let mut message = Message::Files(files);
        for _ in 0..100 {
            match self.queue.try_send(message) {
                Err(TrySendError::Full(back)) => message = back,
                Ok(()) | Err(TrySendError::Disconnected(_)) => return,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn flush(&self, deadline: Duration) {
        let (done, flushed) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            let _ = flushed.recv_timeout(deadline);
        }
    }
}

fn run(messages: &Receiver<Message>, lost: &AtomicU64) {
    let mut files: Vec<File> = Vec::new();
    let mut told = 0;
    for message in messages {
        match message {
            Message::Line(sink, line) => {
                let missing = lost.load(Ordering::Relaxed);
                if missing > told {
                    let note = format!("{} lines are missing here: too slow", missing - told);
                    told = missing;
                    let note = match sink {
                        Sink::Journal => format!("MESSAGE={note}\nPRIORITY=4\nSYSLOG_IDENTIFIER={}\n", program()),
                        Sink::Stderr | Sink::File(_) => format!("WARN [reactor_sys::log] {note}\n"),
                    };
                    put(sink, &files, note.as_bytes());
                }
                if !put(sink, &files, &line) {
                    lost.fetch_add(1, Ordering::Relaxed);
                    // Not announced in the same target over and over: it does not take lines.
                    told += 1;
                }
            }
            Message::Files(new) => files = new,
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
fn put(sink: Sink, files: &[File], line: &[u8]) -> bool {
    match sink {
        Sink::Stderr => std::io::stderr().write_all(line).is_ok(),
        Sink::File(index) => files.get(index).is_some_and(|mut file| file.write_all(line).is_ok()),
        // A new socket each time: the journal may have been restarted, and lines are few.
        Sink::Journal => UnixDatagram::unbound().is_ok_and(|socket| socket.send_to(line, journal::SOCKET).is_ok()),
    }
}
