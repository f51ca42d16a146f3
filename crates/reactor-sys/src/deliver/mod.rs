//! Notifications on their way to people: what the core has decided to tell arrives, also after an outage of the receiver, of this daemon or of
//! this machine.
//!
//! ```text
//!  loop ─ send(message) ─▶ queue of the receiver ─▶ its thread (worker.rs) ─ an attempt ─▶ mail, chat, syslog, ... (receivers/)
//!                              │      ▲                  └─ failed: again after a pause that doubles
//!                              ▼      │
//!                        thread (keeper.rs) ─▶ one file for each message in the state folder (store.rs)
//! ```
//!
//! - The loop only puts a message into a queue. Each receiver has a thread of its own: one that is late or away costs only itself.
//! - A message is written to the disk while its first attempt is under way, and its file is removed when it has arrived. What a crash leaves there
//!   is sent by the next daemon, so it may arrive twice, with the same id, and never not at all. In order, one after the other.
//! - A disk that is full, broken or hangs is said once; messages are sent from memory meanwhile, which is bounded.
//! - Files, one for each message, and no database: a full disk still removes what has arrived, and a broken file costs one message.
//! - Nothing that goes wrong here becomes a notification: it is in the log, the metrics and the status, so that no failure feeds itself.

mod failure;
mod keeper;
mod parcel;
mod queue;
mod receivers;
mod roots;
mod secrets;
mod store;
mod worker;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use reactor_core::notice::Message;
use reactor_core::settings::notify::NotifySettings;
use tracing::{error, info, warn};

use crate::control::rfc3339;
use parcel::Parcel;
use queue::Queue;
pub use secrets::judge as judge_secret;

/// Receivers, each with a thread; what is configured beyond that is refused with a word.
pub const MAX_RECEIVERS: usize = 256;

/// How long things take here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The pause after the first attempt that failed; it doubles with each.
    pub first_pause: Duration,
    /// No pause is longer, but for a server that asks for more (`Retry-After`).
    pub longest_pause: Duration,
    /// A server that asks for a pause gets no longer one.
    pub longest_wish: Duration,
    /// A disk that refuses is tried again after this.
    pub disk_pause: Duration,
    /// So long the first attempt of a new receiver waits for what was left on the disk, which comes first.
    pub grace: Duration,
    /// After a few lines of IRC at once, one each so long: servers throw out who is faster.
    pub irc_line: Duration,
    /// So often a connection with IRC that has nothing to say is looked after: the server asks whether we live.
    pub irc_look: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(300),
            longest_wish: Duration::from_secs(3600),
            disk_pause: Duration::from_secs(5),
            grace: Duration::from_secs(10),
            irc_line: Duration::from_secs(2),
            irc_look: Duration::from_secs(10),
        }
    }
}

/// Whether the settings are all that was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Configured {
    /// They are: what waits for a receiver that is not among them is dropped.
    Whole,
    /// A file of the configuration could not be read: a receiver that is missing may come back, and what waits for it stays.
    Partly,
}

/// How one receiver is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiverStatus {
    /// `name` of its table.
    pub name: String,
    /// The key of its table that says how it is sent: `mail`, `irc`.
    pub kind: &'static str,
    /// Messages that wait.
    pub waiting: u64,
    /// Messages that arrived.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Messages that were given up: refused for good, too old, or too many.
    pub dropped: u64,
    /// Why the last attempt failed, and since when they do; `None` = it did not.
    pub trouble: Option<String>,
}

/// What all threads share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    pace: Pace,
}

#[derive(Debug, Default)]
struct State {
    slots: BTreeMap<String, Slot>,
    /// Receivers that have gone, and whose folders go.
    leaving: Vec<String>,
    /// Whether folders of receivers that nobody configured are to be looked for.
    look_for_strangers: bool,
    /// Why the disk takes nothing at this moment.
    disk: Option<String>,
    /// Something is being read, written or removed.
    keeping: bool,
    /// The daemon ends: what is not written is written at once, and no disk is waited for.
    ending: bool,
    /// Everything ends.
    over: bool,
}

/// One receiver.
#[derive(Debug)]
struct Slot {
    /// `None` = it was removed, and its thread has not seen that yet.
    settings: Option<Arc<NotifySettings>>,
    queue: Queue,
    /// When it was made: see [`Pace::grace`].
    since: Instant,
    delivered: u64,
    failed: u64,
    dropped: u64,
    trouble: Option<Trouble>,
    /// No attempt before.
    rest_until: Option<Instant>,
    /// Something was dropped because too much waited, and that was said.
    overflows: bool,
    /// So often the file that is to be read next was refused by the disk.
    unread: u32,
}

/// Attempts fail.
#[derive(Clone, Debug)]
struct Trouble {
    since: SystemTime,
    why: String,
    attempts: u32,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, within: Option<Duration>) -> MutexGuard<'a, State> {
        match within {
            Some(within) => self.changed.wait_timeout(state, within).unwrap_or_else(PoisonError::into_inner).0,
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        }
    }
}

impl Slot {
    fn new(settings: Arc<NotifySettings>) -> Self {
        Self {
            settings: Some(settings),
            queue: Queue::default(),
            since: Instant::now(),
            delivered: 0,
            failed: 0,
            dropped: 0,
            trouble: None,
            rest_until: None,
            overflows: false,
            unread: 0,
        }
    }

    /// Drops what is too much; says so the first time.
    fn bound(&mut self, name: &str) {
        let Some(settings) = &self.settings else { return };
        let gone = self.queue.bound(usize::try_from(settings.max_queued).unwrap_or(usize::MAX));
        self.dropped += gone;
        if gone > 0 && !std::mem::replace(&mut self.overflows, true) {
            let waiting = self.queue.len();
            warn!(receiver = name, waiting, "too many notifications wait: the oldest are dropped and counted");
        }
    }

    fn status(&self, name: &str) -> ReceiverStatus {
        let trouble = |trouble: &Trouble| format!("{}, since {}", trouble.why, rfc3339(trouble.since));
        ReceiverStatus {
            name: name.to_owned(),
            kind: self.settings.as_ref().map_or("", |settings| settings.receiver.as_str()),
            waiting: self.queue.len() as u64,
            delivered: self.delivered,
            failed: self.failed,
            dropped: self.dropped,
            trouble: self.trouble.as_ref().map(trouble),
        }
    }
}

/// The loop's end of it. Nothing here blocks.
#[derive(Debug)]
pub struct Deliveries {
    shared: Arc<Shared>,
    /// Why there is no thread for the disk.
    keeper: Option<String>,
}

/// What has to be on the disk after the messages waits for them with this.
#[derive(Clone, Debug)]
pub struct Written(Arc<Shared>);

impl Written {
    /// Waits until each message that was sent is on the disk, has arrived or was given up: no longer if the disk refuses, if everything ends, or than
    /// `within`.
    pub fn wait(&self, within: Duration) {
        let until = Instant::now() + within;
        let mut state = self.0.lock();
        while !state.over && state.disk.is_none() && state.slots.values().any(|slot| !slot.queue.is_kept()) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.0.wait(state, Some(left));
        }
    }
}

impl Deliveries {
    /// Starts the thread that keeps messages in the state folder `dir`. There are no receivers yet.
    pub fn start(dir: &Path) -> Self {
        Self::start_with(dir, Pace::default())
    }

    /// The same with another pace.
    pub fn start_with(dir: &Path, pace: Pace) -> Self {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), pace });
        let (work, dir) = (Arc::clone(&shared), dir.to_owned());
        let spawned =
            std::thread::Builder::new().name("notify-store".to_owned()).spawn(move || keeper::run(&dir, &work));
        let keeper = spawned.err().map(|error| {
            warn!(%error, "can't start the thread that keeps notifications: they are sent from memory only");
            format!("there is no thread for it: {error}")
        });
        shared.lock().disk.clone_from(&keeper);
        Self { shared, keeper }
    }

    /// These receivers, and no others. One that is there already goes on with what waits for it, whatever else of it has changed.
    pub fn apply(&self, receivers: &[NotifySettings], configured: Configured) {
        let mut state = self.shared.lock();
        let known = |name: &str| receivers.iter().any(|settings| settings.name == name);
        let gone: Vec<String> = state.slots.keys().filter(|name| !known(name)).cloned().collect();
        for name in gone {
            state.remove(&name, configured);
        }
        for settings in receivers {
            self.add(&mut state, settings);
        }
        state.look_for_strangers |= configured == Configured::Whole;
        self.shared.changed.notify_all();
    }

    fn add(&self, state: &mut State, settings: &NotifySettings) {
        let name = &settings.name;
        match state.slots.get_mut(name) {
            Some(slot) if slot.settings.as_deref() == Some(settings) => return,
            Some(slot) if slot.settings.is_some() => {
                slot.settings = Some(Arc::new(settings.clone()));
                slot.rest_until = None;
                return slot.bound(name);
            }
            // It was removed, and its thread has not seen that: it goes on with what is new.
            Some(slot) => return *slot = Slot::new(Arc::new(settings.clone())),
            None => {}
        }
        if state.slots.len() >= MAX_RECEIVERS {
            return error!(receiver = name, most = MAX_RECEIVERS, "too many [[notify]] tables: this one is not used");
        }
        let (shared, of) = (Arc::clone(&self.shared), name.clone());
        let spawned = std::thread::Builder::new().name("notify".to_owned()).spawn(move || worker::run(&shared, &of));
        match spawned {
            Ok(_) => drop(state.slots.insert(name.clone(), Slot::new(Arc::new(settings.clone())))),
            Err(error) => error!(receiver = name, %error, "can't start its thread: it is told nothing"),
        }
    }

    /// Takes a message. One for a receiver that is not there is dropped: a reload has removed it meanwhile.
    pub fn send(&self, message: Message) {
        let mut state = self.shared.lock();
        let name = message.receiver.clone();
        let Some(slot) = state.slots.get_mut(&name).filter(|slot| slot.settings.is_some()) else { return };
        match Parcel::new(message) {
            Ok(parcel) => {
                slot.queue.push(Arc::new(parcel));
                slot.bound(&name);
            }
            // A message always becomes JSON; and there are random numbers.
            Err(error) => {
                slot.dropped += 1;
                error!(receiver = name, %error, "a notification can't be sent");
            }
        }
        self.shared.changed.notify_all();
    }

    /// To wait for the disk.
    pub fn written(&self) -> Written {
        Written(Arc::clone(&self.shared))
    }

    /// How each receiver is doing, in the order of their names.
    pub fn status(&self) -> Vec<ReceiverStatus> {
        let state = self.shared.lock();
        let slots = state.slots.iter().filter(|(_, slot)| slot.settings.is_some());
        slots.map(|(name, slot)| slot.status(name)).collect()
    }

    /// Why nothing is written to the disk at this moment.
    pub fn disk_trouble(&self) -> Option<String> {
        self.shared.lock().disk.clone()
    }

    /// The daemon ends. Waits until everything has arrived, or is written and its receiver is away, but not longer than `within`. Whether nothing
    /// is lost by it.
    pub fn finish(self, within: Duration) -> bool {
        let until = Instant::now().checked_add(within);
        let mut state = self.shared.lock();
        state.ending = true;
        self.shared.changed.notify_all();
        loop {
            let is_kept = state.slots.values().all(|slot| slot.queue.is_kept());
            // A file that stays although its message has arrived would be sent again.
            let is_tidy = !state.keeping && state.slots.values().all(|slot| slot.queue.to_remove().is_none());
            let nothing_to_wait_for =
                is_tidy && is_kept && state.slots.values().all(|slot| slot.queue.is_empty() || slot.trouble.is_some());
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let gives_up = self.keeper.is_some() || state.disk.is_some();
            if nothing_to_wait_for || gives_up || left.is_some_and(|left| left.is_zero()) {
                if !is_kept {
                    warn!("notifications are lost: neither have they arrived nor does the disk take them");
                }
                return is_kept;
            }
            state = self.shared.wait(state, left);
        }
    }
}

impl Drop for Deliveries {
    /// Threads end when they look next. Who hangs is left behind.
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.shared.changed.notify_all();
    }
}

impl State {
    /// A receiver goes. Its thread sees that when it looks next.
    fn remove(&mut self, name: &str, configured: Configured) {
        let Some(slot) = self.slots.get_mut(name).filter(|slot| slot.settings.is_some()) else { return };
        let waiting = slot.queue.len();
        slot.settings = None;
        slot.queue = Queue::default();
        match configured {
            Configured::Whole if waiting > 0 => {
                warn!(receiver = name, waiting, "it is not configured any more: what waits for it is dropped");
            }
            Configured::Whole => info!(receiver = name, "it is told nothing any more"),
            Configured::Partly => {
                warn!(
                    receiver = name,
                    waiting,
                    "it is not configured, and a file could not be read: what is on the disk for it stays there"
                );
            }
        }
        if configured == Configured::Whole {
            self.leaving.push(name.to_owned());
        }
    }
}
