//! systemd over D-Bus: which units are followed and how they are, and calls with their outcome.
//!
//! ```text
//!                    ┌──────────────── session (one connection) ───────────────┐
//!  follow(set) ────▶ │ Subscribe, read all units ─▶ Input::Units, then Bus(Up) │ ─▶ next()
//!                    │ PropertiesChanged ─▶ Input::Units                       │
//!                    │ JobRemoved ─▶ jobs ─┐       connection lost ─▶ Bus(Down), back-off, again
//!                    └─────────────────────┼───────────────────────────────────┘
//!  Handle::call ─▶ StartUnit ─▶ job path ──┴▶ its result ─▶ UnitEnd
//! ```
//!
//! - After a reconnect, and after systemd has read its units again, everything is read anew: a level, never a replay of signals.
//! - Every call has a deadline and exactly one end, also when the connection goes.
//! - Replies and signals are put in their order on the wire by their position, so that an old reply never undoes a newer signal.
//! - After a freeze or a thaw the unit is read again: systemd says that it tells `FreezerState`, and some versions do not.
//! - Units that nobody uses come and go in systemd's memory. They are not loaded again when they go: that would go on for ever.

mod call;
mod jobs;
mod session;
pub mod shim;
mod state;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reactor_core::action::UnitCall;
use reactor_core::ids::UnitName;
use reactor_core::input::Input;
use reactor_core::settings::Bus;
use reactor_core::systemd::{UnitEnd, UnitVerb};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use zbus::Connection;

use jobs::Jobs;

/// systemd's name on the bus.
const SYSTEMD: &str = "org.freedesktop.systemd1";
/// Its manager object.
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
/// The interface of that.
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// Pieces of news that wait for the loop at most. While it is busy systemd's signals wait in the connection.
const NEWS: usize = 64;

/// A method call without a job that takes longer than this is given up.
const CALL: Duration = Duration::from_secs(25);

/// What calls need of a connection that works.
#[derive(Clone)]
struct Live {
    connection: Connection,
    jobs: Arc<Jobs>,
    /// Units to be read again: not every change of state is told by a signal.
    doubtful: mpsc::UnboundedSender<UnitName>,
}

/// The connection to systemd, kept up by a task of its own. Dropping it ends the task.
#[derive(Debug)]
pub struct Link {
    news: mpsc::Receiver<Input>,
    followed: watch::Sender<BTreeSet<UnitName>>,
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
    pub fn connect(bus: &Bus, followed: BTreeSet<UnitName>) -> Self {
        let (news_tx, news) = mpsc::channel(NEWS);
        let (followed, followed_rx) = watch::channel(followed);
        let (live_tx, live) = watch::channel(None);
        let task = tokio::spawn(session::keep_up(bus.clone(), followed_rx, live_tx, news_tx));
        Self { news, followed, live, task }
    }

    /// Follows exactly these units from now on. New ones are told as soon as they are read.
    pub fn follow(&mut self, followed: BTreeSet<UnitName>) {
        self.followed.send_replace(followed);
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
        let reload = live.connection.call_method(Some(SYSTEMD), MANAGER_PATH, Some(MANAGER), "Reload", &());
        match tokio::time::timeout(deadline, reload).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", deadline.as_secs())),
        }
    }

    /// Whether systemd says that a unit is active; `None` if it says nothing.
    pub async fn is_active(&self, unit: &str) -> Option<bool> {
        let live = self.live.borrow().clone()?;
        match call::property(&live, unit, "ActiveState").await {
            Ok(state) => Some(state == "active"),
            Err(UnitEnd::Refused { .. }) => Some(false),
            Err(_) => None,
        }
    }
}
