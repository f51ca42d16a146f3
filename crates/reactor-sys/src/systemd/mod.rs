//! systemd over D-Bus: which units are followed and how they are, and calls with their outcome.
//!
//! ```text
//!                    ┌──────────────── session (one connection) ───────────────┐
//!  follow(list) ───▶ │ Subscribe ─▶ Bus(Up), each unit read ─▶ Input::Units    │ ─▶ next()
//!                    │ PropertiesChanged ─▶ Input::Units                       │
//!                    │ JobRemoved ─▶ jobs ─┐       connection lost ─▶ Bus(Down), back-off, again
//!                    └─────────────────────┼───────────────────────────────────┘
//!  Handle::call ─▶ StartUnit ─▶ job path ──┴▶ its result ─▶ UnitEnd
//! ```
//!
//! - After a reconnect everything is read anew: a level, never a replay of signals. After systemd has read its units again, what it has in
//!   its memory is compared in one call, and only what differs is read.
//! - A unit that is not answered about is asked about again, and keeps nobody else waiting. The connection is given up only when nothing at
//!   all is answered: see `pulse.rs` and `reads.rs`.
//! - Every call has a deadline and exactly one end, also when the connection goes.
//! - Replies and signals are put in their order on the wire by their position, so that an old reply never undoes a newer signal.
//! - After a freeze or a thaw the unit is read again: systemd says that it tells `FreezerState`, and some versions do not.
//! - Units that nobody uses come and go in systemd's memory. They are not loaded again when they go: that would go on for ever.

mod call;
mod jobs;
mod pulse;
mod reads;
mod session;
pub mod shim;
mod state;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reactor_core::action::UnitCall;
use reactor_core::ids::UnitName;
use reactor_core::input::Input;
use reactor_core::settings::Bus;
use reactor_core::systemd::{UnitEnd, UnitVerb};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use zbus::Connection;

use jobs::Jobs;
use pulse::{Asked, Pulse};

/// systemd's name on the bus.
const SYSTEMD: &str = "org.freedesktop.systemd1";
/// Its manager object.
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
/// The interface of that.
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// Pieces of news that wait for the loop at most. While it is busy systemd's signals wait in the connection.
const NEWS: usize = 64;

/// A method call that is not answered in this time, while others are, is given up.
const CALL: Duration = Duration::from_secs(25);

/// The units to be followed in the order in which they are needed, each with a number: one that was left out and came back has another one.
type Wanted = Vec<(UnitName, u64)>;

/// What calls need of a connection that works.
#[derive(Clone)]
struct Live {
    connection: Connection,
    jobs: Arc<Jobs>,
    calls: Arc<Calls>,
    /// Units to be read again: not every change of state is told by a signal.
    doubtful: mpsc::UnboundedSender<UnitName>,
}

/// The connection to systemd, kept up by a task of its own. Dropping it ends the task.
#[derive(Debug)]
pub struct Link {
    news: mpsc::Receiver<Input>,
    followed: watch::Sender<Wanted>,
    /// How many units were followed so far.
    count: u64,
    live: watch::Receiver<Option<Live>>,
    task: JoinHandle<()>,
}

/// For tasks that call systemd. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    live: watch::Receiver<Option<Live>>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

impl Link {
    /// Begins to connect, and follows these units. Needs a tokio runtime.
    pub fn connect(bus: &Bus, followed: Vec<UnitName>) -> Self {
        let (news_tx, news) = mpsc::channel(NEWS);
        let (followed_tx, followed_rx) = watch::channel(Wanted::new());
        let (live_tx, live) = watch::channel(None);
        let task = tokio::spawn(session::keep_up(bus.clone(), followed_rx, live_tx, news_tx));
        let mut link = Self { news, followed: followed_tx, count: 0, live, task };
        link.follow(followed);
        link
    }

    /// Follows exactly these units from now on; they are read in this order. New ones are told as soon as they are read.
    pub fn follow(&mut self, followed: Vec<UnitName>) {
        let known: BTreeMap<UnitName, u64> = self.followed.borrow().iter().cloned().collect();
        let mut number = |unit: &UnitName| {
            self.count += 1;
            known.get(unit).copied().unwrap_or(self.count)
        };
        let wanted =
            followed.into_iter().map(|unit| (number(&unit), unit)).map(|(number, unit)| (unit, number)).collect();
        self.followed.send_replace(wanted);
    }

    /// For tasks that call systemd.
    pub fn handle(&self) -> Handle {
        Handle { live: self.live.clone() }
    }

    /// The next news: [`Input::Units`] or [`Input::Bus`]. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Input {
        match self.news.recv().await {
            Some(input) => input,
            // The task never ends while we are here, but if it panicked there is no more news.
            None => std::future::pending().await,
        }
    }

    /// The next news, if there is any by now.
    pub fn try_next(&mut self) -> Option<Input> {
        self.news.try_recv().ok()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Handle {
    /// Carries out a call, to its end or its deadline.
    pub async fn call(&self, call: UnitCall) -> UnitEnd {
        let Some(live) = self.live.borrow().clone() else {
            return UnitEnd::NoBus { why: "not connected".to_owned() };
        };
        let end = call::carry_out(&live, self.live.clone(), &call).await;
        if matches!(call.verb, UnitVerb::Freeze | UnitVerb::Thaw) {
            // systemd 252 has `FreezerState` among the properties whose changes it tells, and does not tell them.
            let _connection_has_gone = live.doubtful.send(call.unit);
        }
        end
    }

    /// Has systemd read its units again (`systemctl daemon-reload`).
    ///
    /// # Errors
    ///
    /// Why it did not, in one line.
    pub async fn reload(&self, deadline: Duration) -> Result<(), String> {
        let Some(live) = self.live.borrow().clone() else { return Err("not connected to systemd".to_owned()) };
        let _calls = live.calls.begin();
        let reload = live.connection.call_method(Some(SYSTEMD), MANAGER_PATH, Some(MANAGER), "Reload", &());
        let reload = call::unless_gone(&live, self.live.clone(), reload);
        match tokio::time::timeout(deadline, reload).await {
            Ok(Some(Ok(_))) => Ok(()),
            Ok(Some(Err(error))) => Err(error.to_string()),
            Ok(None) => Err("the connection to systemd was lost".to_owned()),
            Err(_) => Err(format!("no answer within {} s", deadline.as_secs())),
        }
    }

    /// Whether systemd says that a unit is active; `None` if it says nothing.
    pub async fn is_active(&self, unit: &str) -> Option<bool> {
        let live = self.live.borrow().clone()?;
        let property = call::property(&live, unit, "ActiveState");
        match call::unless_gone(&live, self.live.clone(), property).await? {
            Ok(state) => Some(state == "active"),
            Err(UnitEnd::Refused { .. }) => Some(false),
            Err(_) => None,
        }
    }
}

/// Calls that wait for systemd's answer, and whether it answers.
#[derive(Debug)]
struct Calls {
    inner: Mutex<Inner>,
    begun: Notify,
}

#[derive(Debug)]
struct Inner {
    pulse: Pulse,
    /// When each call that waits was made.
    waiting: BTreeMap<u64, Instant>,
    count: u64,
}

/// A call that waits; it does so until this is dropped.
struct Waiting<'a> {
    calls: &'a Calls,
    number: u64,
    asked: Asked,
}

impl Calls {
    fn new() -> Self {
        let inner = Inner { pulse: Pulse::new(Instant::now()), waiting: BTreeMap::new(), count: 0 };
        Self { inner: Mutex::new(inner), begun: Notify::new() }
    }

    fn with<R>(&self, f: impl FnOnce(&mut Inner) -> R) -> R {
        f(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn pulse(&self) -> Pulse {
        self.with(|inner| inner.pulse)
    }

    fn heard(&self, now: Instant) {
        self.with(|inner| inner.pulse.heard(now));
    }

    fn probed(&self, now: Instant) {
        self.with(|inner| inner.pulse.probed(now));
    }

    /// Since when a call waits. Asked at each message, and there may be hundreds of calls: they are in the order in which they began.
    fn busy_since(&self) -> Option<Instant> {
        self.with(|inner| inner.waiting.first_key_value().map(|(_, since)| *since))
    }

    /// Until a call begins.
    async fn begins(&self) {
        self.begun.notified().await;
    }

    fn begin(&self) -> Waiting<'_> {
        let now = Instant::now();
        let (number, asked) = self.with(|inner| {
            inner.count += 1;
            inner.waiting.insert(inner.count, now);
            (inner.count, inner.pulse.ask(now))
        });
        self.begun.notify_one();
        Waiting { calls: self, number, asked }
    }

    /// Waits until this call is older than `limit`, silence not counted.
    async fn late(&self, asked: Asked, limit: Duration) {
        loop {
            let now = Instant::now();
            let end = self.pulse().end(now, asked, limit);
            if end <= now {
                return;
            }
            tokio::time::sleep_until(end.into()).await;
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.calls.with(|inner| inner.waiting.remove(&self.number));
    }
}
