//! The history: a SQLite file in the state folder, of what was decided and why, who asked for it, and where each promoted resource ran.
//!
//! ```text
//!  loop ─ write(news) ─▶ bounded queue ─▶ thread: Ledger ─▶ rows ─▶ one transaction for all that waits ─▶ history.db
//!                                                                          └─▶ those who follow
//!  storage events of the loop ─▶ backlog, apart from the queue: a flood of them loses none of the rest
//!  clients ─▶ Reader (a connection of its own, a page at a time) ◀─────────────────────────────────────────┘
//! ```
//!
//! Nothing of the daemon waits for it. What does not fit the queue is dropped, counted and said, and so is what can't be written for longer than
//! there is room; the file then says from when to when something is missing. A disk that is full is tried again after a pause. A file that is broken
//! is set aside and a new one begun. One of a newer version is left alone.

mod backlog;
pub mod events;
mod open;
pub mod read;
mod schema;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use backlog::Backlog;
use events::put::WrittenEvent;
use reactor_api::history::HistoryEntry;
use reactor_core::history::{News, Presence, Told};
use reactor_core::ids::ResourceName;
use tokio::sync::broadcast;
use tracing::warn;

pub use events::put::WrittenEvent as StoredEvent;
pub use open::{FILE_NAME, HistoryError};
use writer::{Message, Writer};

/// News that may wait for the disk. More is dropped.
const QUEUE: usize = 8192;

/// Entries that a follower may be behind.
const BROADCAST: usize = 1024;

/// So often the file says that somebody watches. Each time is a write to the disk.
const ALIVE: Duration = Duration::from_secs(60);

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What is older goes.
    pub max_age: Duration,
    /// The file gets no larger; the oldest goes before.
    pub max_bytes: u64,
}

/// How the history is doing, for the metrics and for clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryStatus {
    /// Entries written.
    pub written: u64,
    /// News that are lost.
    pub lost: u64,
    /// Why nothing can be written at this moment.
    pub failing: Option<String>,
}

/// What was written.
#[derive(Clone, Debug)]
enum Stored {
    /// An entry, or its outcome.
    Entry { entry: Box<HistoryEntry>, is_new: bool },
    /// A storage event, or its count.
    Event(WrittenEvent),
}

#[derive(Debug)]
struct Shared {
    written: AtomicU64,
    lost: AtomicU64,
    failing: Mutex<Option<String>>,
    followers: broadcast::Sender<Arc<HistoryEntry>>,
    of_events: broadcast::Sender<Arc<WrittenEvent>>,
}

impl Shared {
    fn failing(&self) -> Option<String> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_failing(&self, why: Option<String>) {
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }
}

/// What clients are answered with: the folder, and what comes.
#[derive(Clone, Debug)]
pub struct Ledgers {
    /// The state folder.
    pub dir: PathBuf,
    shared: Arc<Shared>,
}

impl Ledgers {
    /// Each entry that is written from now on.
    pub fn follow(&self) -> broadcast::Receiver<Arc<HistoryEntry>> {
        self.shared.followers.subscribe()
    }

    /// Each storage event that is written, or gets another count, from now on.
    pub fn follow_events(&self) -> broadcast::Receiver<Arc<WrittenEvent>> {
        self.shared.of_events.subscribe()
    }

    /// Why nothing is written at this moment.
    pub fn failing(&self) -> Option<String> {
        self.shared.failing()
    }
}

/// The loop's end of it. Nothing here blocks.
pub struct History {
    to_writer: Option<SyncSender<Message>>,
    ended: Receiver<()>,
    ledgers: Ledgers,
    limits: Limits,
    backlog: Backlog,
    /// Where resources run by now: told again after a loss.
    present: BTreeMap<ResourceName, Presence>,
    /// When the file was told last that the loop lives.
    alive: Option<Instant>,
    /// Since when news are dropped, and how many.
    dropped: Option<(u64, u64)>,
}

impl History {
    /// Starts the thread that writes to the state folder `dir`. The file is opened there.
    pub fn start(dir: &Path, node: String, limits: Limits) -> Self {
        Self::start_with(dir, node, limits, QUEUE, Duration::from_secs(10))
    }

    fn start_with(dir: &Path, node: String, limits: Limits, queue: usize, pause: Duration) -> Self {
        let (to_writer, messages) = sync_channel(queue);
        let (end, ended) = channel();
        let shared = Arc::new(Shared {
            written: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            failing: Mutex::new(None),
            followers: broadcast::Sender::new(BROADCAST),
            of_events: broadcast::Sender::new(BROADCAST),
        });
        let backlog = Backlog::default();
        let writer = Writer::new(dir.to_owned(), node, limits, Arc::clone(&shared), backlog.clone(), pause);
        let spawned = std::thread::Builder::new().name("history".to_owned()).spawn(move || {
            writer.run(&messages);
            // Nobody waits for it if the daemon has gone.
            let _ = end.send(());
        });
        let to_writer = match spawned {
            Ok(_) => Some(to_writer),
            Err(error) => {
                warn!(%error, "can't start the history's thread: nothing is written down");
                shared.set_failing(Some(format!("can't start its thread: {error}")));
                None
            }
        };
        let ledgers = Ledgers { dir: dir.to_owned(), shared };
        Self { to_writer, ended, ledgers, limits, backlog, present: BTreeMap::new(), alive: None, dropped: None }
    }

    /// Writes news of the loop, which were told at `time`.
    pub fn write(&mut self, time: SystemTime, news: &News) {
        let ms = unix_ms(time);
        match &news.what {
            Told::Event(event) => return self.write_storage(self.backlog.event(ms, event)),
            Told::Incident(_, incident) => return self.write_storage(self.backlog.incident(ms, incident)),
            _ => {}
        }
        match (&news.what, &news.resource) {
            (Told::Presence(presence), Some(resource)) => {
                self.present.insert(resource.clone(), (**presence).clone());
            }
            (Told::Forgotten, Some(resource)) => {
                self.present.remove(resource);
            }
            _ => {}
        }
        let time = ms;
        if let Some((since, count)) = self.dropped {
            let present = self.present.iter().map(|(name, presence)| (name.clone(), presence.clone())).collect();
            if !self.send(Message::Dropped { since, count, present }) {
                return self.drop_one(time);
            }
            self.dropped = None;
        }
        if !self.send(Message::News(time, Box::new(news.clone()))) {
            self.drop_one(time);
        }
    }

    /// Of storage events: whether there was room for it.
    fn write_storage(&self, has_room: bool) {
        if !has_room {
            self.ledgers.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
        // If there is no room for the message, the thread has enough to do, and looks after it.
        if self.backlog.has_to_be_told() && !self.send(Message::Storage) {
            self.backlog.was_not_told();
        }
    }

    fn send(&self, message: Message) -> bool {
        match &self.to_writer {
            Some(writer) => {
                !matches!(writer.try_send(message), Err(TrySendError::Full(_) | TrySendError::Disconnected(_)))
            }
            None => false,
        }
    }

    fn drop_one(&mut self, time: u64) {
        self.ledgers.shared.lost.fetch_add(1, Ordering::Relaxed);
        if self.to_writer.is_some() && self.dropped.is_none() {
            warn!("the disk is too slow for the history: entries are lost");
        }
        self.dropped.get_or_insert((time, 0)).1 += 1;
    }

    /// The loop lives. The file says so once a minute at most: after a crash it is known until then that somebody watched.
    pub fn alive(&mut self, now: Instant) {
        if self.alive.is_none_or(|last| now.saturating_duration_since(last) >= ALIVE) && self.send(Message::Alive) {
            self.alive = Some(now);
        }
    }

    /// Takes other bounds.
    pub fn set_limits(&mut self, limits: Limits) {
        if self.limits != limits && self.send(Message::Limits(limits)) {
            self.limits = limits;
        }
    }

    /// How it is doing.
    pub fn status(&self) -> HistoryStatus {
        let shared = &self.ledgers.shared;
        HistoryStatus {
            written: shared.written.load(Ordering::Relaxed),
            lost: shared.lost.load(Ordering::Relaxed),
            failing: shared.failing(),
        }
    }

    /// For those who read.
    pub fn ledgers(&self) -> Ledgers {
        self.ledgers.clone()
    }

    /// The daemon ends. Waits until everything is written, but not longer than `deadline`; `false` = it was not. A disk that hangs does not keep the
    /// daemon from ending: the thread that waits for it is left behind.
    pub fn finish(mut self, deadline: Duration) -> bool {
        let Some(writer) = self.to_writer.take() else { return false };
        // If there is no room for it, the end of the queue says it too.
        let _ = writer.try_send(Message::End(unix_ms(SystemTime::now())));
        drop(writer);
        self.ended.recv_timeout(deadline).is_ok()
    }
}

fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
