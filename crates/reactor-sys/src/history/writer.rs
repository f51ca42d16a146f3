//! The thread that writes.
//!
//! ```text
//!  closed ── it opens ──▶ open ── it is broken: set aside ──▶ closed, and opened at once
//!    ▲  └── can't: a pause      └── can't write: a pause, what waits is kept as long as there is room
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant, SystemTime};

use reactor_core::history::{Entry, Kind, Ledger, News, Presence, Row, Severity, Told};
use reactor_core::ids::{Mono, ResourceName};
use tracing::{info, warn};

use super::backlog::{Backlog, Missing};
use super::open::{HistoryError, Place};
use super::store::Store;
use super::{Limits, Shared, Stored, unix_ms};
use crate::chain::chain;

/// So much is kept while nothing can be written.
const WAITING: usize = 8192;

/// Rows of one transaction: a reader of the file waits for no more.
const ROWS: usize = 1024;

/// The same of storage events: what else happens waits for no more of them.
const STORAGE_ROWS: usize = 256;

/// So often the last rows are tried, if what is old has made room meanwhile.
const LAST_TRIES: usize = 64;

/// So often what is old is looked for.
const TIDY: Duration = Duration::from_secs(3600);

/// So many rows may make it necessary to look earlier.
const TIDY_ROWS: usize = 20_000;

/// For so long a clock must have been believable before anything is deleted for its age. At a start it may be years ahead until it is set.
const SURE: Duration = Duration::from_secs(3600);

/// A clock that is set ahead by more than this is not believed at once.
const AHEAD: Duration = Duration::from_secs(3600);

/// Whether the clock may say what is old.
struct Clock {
    /// When it was looked at last, and what it said.
    last: (Instant, u64),
    /// From when on it is believed.
    sure: Instant,
}

impl Clock {
    fn new(now: Instant, unix_ms: u64) -> Self {
        Self { last: (now, unix_ms), sure: now + SURE }
    }

    /// It says this now.
    fn is_sure(&mut self, now: Instant, unix_ms: u64) -> bool {
        let (then, said) = self.last;
        let most = now.saturating_duration_since(then) + AHEAD;
        if unix_ms > said.saturating_add(u64::try_from(most.as_millis()).unwrap_or(u64::MAX)) {
            self.sure = now + SURE;
        }
        self.last = (now, unix_ms);
        now >= self.sure
    }
}

/// For the thread.
pub(super) enum Message {
    /// Something happened at this time.
    News(u64, Box<News>),
    /// The queue was full; where resources run now.
    Dropped { since: u64, count: u64, present: Vec<(ResourceName, Presence)> },
    /// Other bounds.
    Limits(Limits),
    /// The loop lives: somebody watches.
    Alive,
    /// There are storage events.
    Storage,
    /// The daemon ends.
    End(u64),
}

/// What waits for the file, in order.
enum Waits {
    /// Something happened at this time.
    News(u64, Box<News>),
    /// Here something is missing.
    Lost(Box<Lost>),
}

/// News that had no room.
#[derive(Default)]
struct Lost {
    since: u64,
    count: u64,
    /// What they said of where resources run: only the last word counts.
    levels: BTreeMap<ResourceName, Told>,
}

impl Lost {
    /// What waits had no room either.
    fn swallow(&mut self, waits: Waits) -> u64 {
        let count = match waits {
            Waits::News(time, news) => {
                let News { resource, what, .. } = *news;
                self.since = if self.count == 0 { time } else { self.since };
                if let (Some(resource), Told::Presence(_) | Told::Forgotten) = (resource, &what) {
                    self.levels.insert(resource, what);
                }
                1
            }
            Waits::Lost(other) => {
                self.since = if self.count == 0 { other.since } else { self.since };
                self.levels.extend(other.levels);
                // They were counted when they were lost.
                self.count += other.count;
                return 0;
            }
        };
        self.count += count;
        count
    }
}

/// What is open.
struct Open {
    store: Store,
    ledger: Ledger,
    /// Rows that could not be written yet.
    rows: Vec<Row>,
    /// When the oldest of them was told.
    since: u64,
}

pub(super) struct Writer {
    dir: PathBuf,
    node: String,
    limits: Limits,
    shared: Arc<Shared>,
    /// When the daemon began to watch.
    started: u64,
    open: Option<Open>,
    /// What waits for the file.
    waiting: VecDeque<Waits>,
    backlog: Backlog,
    /// Rows of the backlog that could not be written yet.
    storage: Vec<Row>,
    retry: Option<Instant>,
    pause: Duration,
    /// That somebody watches is to be written, also if nothing else is.
    alive: bool,
    /// Nothing more comes.
    is_ending: bool,
    tidy: Instant,
    rows_since_tidy: usize,
    clock: Clock,
}

impl Writer {
    pub(super) fn new(
        dir: PathBuf,
        node: String,
        limits: Limits,
        shared: Arc<Shared>,
        backlog: Backlog,
        pause: Duration,
    ) -> Self {
        let (now, started) = (Instant::now(), unix_ms(SystemTime::now()));
        Self {
            dir,
            node,
            limits,
            shared,
            started,
            open: None,
            waiting: VecDeque::new(),
            backlog,
            storage: Vec::new(),
            retry: None,
            pause,
            alive: false,
            is_ending: false,
            tidy: now,
            rows_since_tidy: 0,
            clock: Clock::new(now, started),
        }
    }

    /// Until the daemon ends.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        let mut end = None;
        while end.is_none() {
            self.work();
            end = match messages.recv_timeout(self.due().saturating_duration_since(Instant::now())) {
                Ok(message) => self.take(message).or_else(|| self.take_more(messages)),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(unix_ms(SystemTime::now())),
            };
        }
        // The last time, whatever the pause.
        self.retry = None;
        self.is_ending = true;
        for _ in 0..LAST_TRIES {
            self.work();
            // Where there was no room, there is some now.
            let is_worth_it = self.retry.is_some_and(|at| at <= Instant::now()) && self.shared.failing().is_none();
            if !is_worth_it {
                break;
            }
        }
        if !self.waiting.is_empty() || !self.storage.is_empty() {
            warn!(entries = self.waiting.len(), "the last entries of the history are not written");
        }
        let Some(open) = self.open.take() else { return };
        let written = open.rows.is_empty();
        if let Err(error) = open.store.end(end.unwrap_or_default()) {
            warn!(error = %chain(&error), "the history does not say that the daemon has ended");
        } else if !written {
            warn!("the last entries of the history are not written");
        }
    }

    /// When there is something to do without news.
    fn due(&self) -> Instant {
        let storage = self.backlog.due(Instant::now());
        self.retry.unwrap_or_else(|| storage.map_or(self.tidy, |due| due.min(self.tidy)))
    }

    /// What has come meanwhile, so that it is written at once.
    fn take_more(&mut self, messages: &Receiver<Message>) -> Option<u64> {
        for _ in 0..ROWS {
            match messages.try_recv() {
                Ok(message) => {
                    let end = self.take(message);
                    if end.is_some() {
                        return end;
                    }
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        None
    }

    /// `Some` = the daemon ends, at this time.
    fn take(&mut self, message: Message) -> Option<u64> {
        match message {
            Message::News(time, news) => self.wait(Waits::News(time, news)),
            Message::Dropped { since, count, present } => {
                let levels = present.into_iter().map(|(name, presence)| (name, Told::Presence(Box::new(presence))));
                self.wait(Waits::Lost(Box::new(Lost { since, count, levels: levels.collect() })));
            }
            Message::Limits(limits) => {
                self.limits = limits;
                self.tidy = Instant::now();
                if let Some(open) = &mut self.open
                    && let Err(error) = open.store.set_limits(limits)
                {
                    self.failed(&error);
                }
            }
            Message::Alive => self.alive = true,
            // It is looked after in any case.
            Message::Storage => {}
            Message::End(time) => return Some(time),
        }
        None
    }

    /// Keeps it until it is written. If there is no room, the oldest go, but for what they said of where resources run.
    fn wait(&mut self, waits: Waits) {
        self.waiting.push_back(waits);
        if self.waiting.len() <= WAITING {
            return;
        }
        let mut lost = Lost::default();
        let rows = self.open.as_mut().map(|open| (open.since, std::mem::take(&mut open.rows).len() as u64));
        if let Some((since, count)) = rows.filter(|(_, count)| *count > 0) {
            (lost.since, lost.count) = (since, count);
            self.shared.lost.fetch_add(count, Ordering::Relaxed);
        }
        // By one, and one for the place of what says so.
        while self.waiting.len() >= WAITING
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.shared.lost.fetch_add(lost.swallow(oldest), Ordering::Relaxed);
        }
        self.waiting.push_front(Waits::Lost(Box::new(lost)));
    }

    /// Opens, writes and tidies up, as far as it can be done now.
    fn work(&mut self) {
        let now = Instant::now();
        if self.retry.is_some_and(|at| at > now) {
            return;
        }
        self.retry = None;
        if let Err(error) = self.try_work(now) {
            self.failed(&error);
        }
    }

    fn try_work(&mut self, now: Instant) -> Result<(), HistoryError> {
        if self.open.is_none() {
            self.open()?;
        }
        loop {
            self.make_rows();
            let Some(open) = &mut self.open else { return Ok(()) };
            if open.rows.is_empty() && !self.alive {
                break;
            }
            let count = open.rows.len();
            let stored = open.store.write(&open.rows, unix_ms(SystemTime::now()))?;
            open.rows.clear();
            self.alive = false;
            self.rows_since_tidy += count;
            self.were_written(stored);
            if self.waiting.is_empty() {
                break;
            }
        }
        self.write_storage()?;
        self.tidy_up(now)
    }

    /// Writes a piece of the backlog; at the end of the daemon all of it. What else has come meanwhile goes first again.
    fn write_storage(&mut self) -> Result<(), HistoryError> {
        loop {
            if self.storage.is_empty() {
                let (rows, missing) = self.backlog.take(STORAGE_ROWS, Instant::now(), self.is_ending);
                self.storage = rows;
                if let Some(missing) = missing {
                    let time = unix_ms(SystemTime::now());
                    self.storage.insert(0, Row::Entry { time, resource: None, entry: gap(missing, time) });
                }
            }
            let Some(open) = &mut self.open else { return Ok(()) };
            if self.storage.is_empty() {
                return Ok(());
            }
            let stored = open.store.write(&self.storage, unix_ms(SystemTime::now()))?;
            self.rows_since_tidy += self.storage.len();
            self.storage.clear();
            if open.store.has_too_many_events()? {
                self.tidy = Instant::now();
            }
            self.were_written(stored);
            if !self.is_ending {
                return Ok(());
            }
            self.tidy_up(Instant::now())?;
        }
    }

    /// Tells those who follow.
    fn were_written(&mut self, stored: Vec<Stored>) {
        for stored in stored {
            // An error means that nobody follows.
            match stored {
                Stored::Entry { mut entry, is_new } => {
                    self.shared.written.fetch_add(u64::from(is_new), Ordering::Relaxed);
                    entry.is_outcome = !is_new;
                    let _ = self.shared.followers.send(Arc::new(*entry));
                }
                Stored::Event(event) => {
                    let _ = self.shared.of_events.send(Arc::new(event));
                }
            }
        }
        if self.shared.failing().is_some() {
            self.shared.set_failing(None);
            info!("the history is written again");
        }
    }

    fn tidy_up(&mut self, now: Instant) -> Result<(), HistoryError> {
        if self.tidy > now && self.rows_since_tidy < TIDY_ROWS {
            return Ok(());
        }
        let old = self.old();
        let Some(open) = &mut self.open else { return Ok(()) };
        // A piece at a time: news that come meanwhile are written in between.
        let more = open.store.tidy(old)?;
        self.rows_since_tidy = 0;
        self.tidy = if more { now } else { now + TIDY };
        Ok(())
    }

    /// The time by which it is told what is too old; `None` = the clock may be wrong.
    fn old(&mut self) -> Option<u64> {
        let unix_ms = unix_ms(SystemTime::now());
        self.clock.is_sure(Instant::now(), unix_ms).then_some(unix_ms)
    }

    /// Makes rows of what waits: as many as are written in one go.
    fn make_rows(&mut self) {
        let Some(open) = &mut self.open else { return };
        if !open.rows.is_empty() {
            return;
        }
        while open.rows.len() < ROWS {
            match self.waiting.pop_front() {
                None => break,
                Some(Waits::News(time, news)) => {
                    if open.rows.is_empty() {
                        open.since = time;
                    }
                    open.ledger.take(time, *news, &mut open.rows);
                }
                Some(Waits::Lost(lost)) => {
                    let Lost { since, count, levels } = *lost;
                    let until = match self.waiting.front() {
                        Some(Waits::News(time, _)) => *time,
                        _ => unix_ms(SystemTime::now()),
                    };
                    let until = until.max(since);
                    if open.rows.is_empty() {
                        open.since = since;
                    }
                    open.ledger.lost(since, until, count, "they could not be written", &mut open.rows);
                    for (resource, what) in levels {
                        let news = News { at: Mono::ZERO, resource: Some(resource), what };
                        open.ledger.take(until, news, &mut open.rows);
                    }
                }
            }
        }
    }

    fn open(&mut self) -> Result<(), HistoryError> {
        let place = Place::look(&self.dir, true)?;
        let (store, before) = match Store::open(place, self.limits, &self.node, self.started) {
            Err(error) if error.is_broken() => {
                self.set_aside(&Place::look(&self.dir, true)?, &error)?;
                Store::open(Place::look(&self.dir, true)?, self.limits, &self.node, self.started)?
            }
            opened => opened?,
        };
        let ledger = Ledger::new(before);
        self.open = Some(Open { store, ledger, rows: Vec::new(), since: 0 });
        // It is written to at once, so that whoever asks knows that it can be.
        self.alive = true;
        Ok(())
    }

    /// A new file is begun.
    fn set_aside(&mut self, place: &Place, error: &HistoryError) -> Result<(), HistoryError> {
        let now = unix_ms(SystemTime::now());
        let name = place.set_aside(now)?;
        let what = format!("the history before this was broken and is kept as {name}: {}", chain(error));
        warn!("{what}");
        let entry = Entry::new(Kind::Gap, Severity::Error, what);
        let news = News { at: Mono::ZERO, resource: None, what: Told::Entry(entry) };
        self.waiting.push_front(Waits::News(now, Box::new(news)));
        Ok(())
    }

    /// Something could not be done: said once, and tried again after a pause.
    fn failed(&mut self, error: &HistoryError) {
        if error.is_broken()
            && let Some(open) = self.open.take()
        {
            let Open { store, ledger, rows, since } = open;
            let count = rows.len() as u64;
            self.shared.lost.fetch_add(count, Ordering::Relaxed);
            // What holds has to be told to the next file, too.
            let level = |(name, presence): (&ResourceName, &Presence)| {
                (name.clone(), Told::Presence(Box::new(presence.clone())))
            };
            let levels = ledger.present().map(level).collect();
            let now = unix_ms(SystemTime::now());
            let since = if count > 0 { since } else { now };
            self.waiting.push_front(Waits::Lost(Box::new(Lost { since, count, levels })));
            let place = store.close();
            match self.set_aside(&place, error) {
                // At once.
                Ok(()) => self.retry = Some(Instant::now()),
                Err(error) => self.pause_for(&error),
            }
            return;
        }
        let old = self.old();
        if error.is_full()
            && let Some(open) = &mut self.open
            && open.store.tidy(old).is_ok_and(|more| more)
        {
            // There was more than the bound allows.
            self.retry = Some(Instant::now());
            return;
        }
        self.pause_for(error);
    }

    fn pause_for(&mut self, error: &HistoryError) {
        let why = chain(error).to_string();
        if self.shared.failing().is_none() {
            warn!("{why}: nothing is written to the history; tried again every {} s", self.pause.as_secs());
        }
        self.shared.set_failing(Some(why));
        self.retry = Some(Instant::now() + self.pause);
    }
}

/// Where storage events are missing.
fn gap(missing: Missing, until: u64) -> Entry {
    let Missing { since, count } = missing;
    let what = format!("{count} storage events are missing: there were more than could be written");
    let took = Some(Duration::from_millis(until.saturating_sub(since)));
    Entry { took, ..Entry::new(Kind::Gap, Severity::Warning, what) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_ahead_makes_nothing_old_at_once() {
        let (start, year) = (Instant::now(), 365 * 86_400_000);
        let mut clock = Clock::new(start, 0);
        assert!(!clock.is_sure(start, 0), "it may be wrong since the machine was started");
        assert!(clock.is_sure(start + SURE, 3_600_000));
        // Ahead by years, and set right before the next look.
        assert!(!clock.is_sure(start + SURE * 2, 3 * year));
        assert!(!clock.is_sure(start + SURE * 2, 3 * year), "looked at once more");
        assert!(clock.is_sure(start + SURE * 3, 3 * 3_600_000));
        // If it stays so, it is believed.
        assert!(!clock.is_sure(start + SURE * 4, year));
        assert!(clock.is_sure(start + SURE * 5, year + 3_600_000));
    }
}
