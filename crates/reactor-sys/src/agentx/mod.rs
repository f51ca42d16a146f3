//! SNMP: a subagent of the host's master agent (snmpd), by AgentX (RFC 2741).
//!
//! ```text
//!  managers ── SNMP ──▶ snmpd ── AgentX ──▶ thread "agentx": session ─▶ Book (Tree) ── ScrapeRequest ──▶ loop
//!           ◀─ traps ──       ◀─ Notify ──                  notices ◀─ Incidents ◀─ Scrape ────────────── loop
//! ```
//!
//! Each `[[agentx]]` table has a thread and a runtime of its own, outside of the loop: a master agent that is late, silent or asks without end
//! costs its own session and nothing else. The loop hands out reference counts, as it does for `/metrics`, and no more often than `cache-max` says.
//!
//! A session that can't be had is tried again after a pause, for ever; start, reload and exit never wait for one. Each instance is ended by a
//! signal of its own.

mod answers;
mod connect;
mod notices;
pub mod pdu;
mod session;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use reactor_core::settings::AgentxSettings;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::chain::chain;
use crate::http::ScrapeHandle;
use answers::Book;
use notices::Notices;
use session::Session;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Pauses between attempts: the first, and the longest. A session that lasts for less than the longest is one more attempt.
    pub pause: (Duration, Duration),
    /// How long one address may take to be connected to, and a name to be looked up.
    pub connect: Duration,
    /// How long the master agent may take to answer, to send the rest of a message, and to take what we send.
    pub answer: Duration,
    /// How long the loop has for its part.
    pub daemon: Duration,
    /// How long the master agent may say nothing before it is asked whether it is there.
    pub silence: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pause: (Duration::from_secs(2), Duration::from_secs(30)),
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(10),
            daemon: Duration::from_secs(5),
            silence: Duration::from_secs(120),
        }
    }
}

/// How a subagent is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubagentState {
    /// Its session; `None` = it has none.
    pub session: Option<Connected>,
    /// Why it has none, or lost the last one.
    pub problem: Option<String>,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// The address of the master agent.
    pub to: String,
    /// Since when.
    pub since: SystemTime,
}

/// What a subagent counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubagentCounts {
    /// Sessions that were opened.
    pub sessions: u64,
    /// Requests answered.
    pub requests: u64,
    /// Requests that were answered by an error.
    pub refused: u64,
    /// Notifications that the master agent took.
    pub notified: u64,
    /// Notifications that nobody could be told, or that the master agent did not take.
    pub dropped: u64,
}

#[derive(Debug, Default)]
struct Counters {
    sessions: AtomicU64,
    requests: AtomicU64,
    refused: AtomicU64,
    notified: AtomicU64,
    dropped: AtomicU64,
}

/// The system has no thread or no runtime for it.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the SNMP subagent")]
pub struct StartError {
    #[source]
    source: io::Error,
}

/// What a session works with.
#[derive(Debug)]
struct Shared {
    settings: AgentxSettings,
    limits: Limits,
    daemon: ScrapeHandle,
    counters: Counters,
    notices: Notices,
    state: watch::Sender<SubagentState>,
}

/// A running subagent. Dropping it closes its session before it returns.
#[derive(Debug)]
pub struct Subagent {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Subagent {
    /// Serves what `settings` ask for. Pictures of the daemon come by `daemon`; `news` says when there is a new one. A master agent that can't
    /// be reached is no error: it is tried again.
    ///
    /// # Errors
    ///
    /// There is no thread or no runtime.
    pub fn start(
        settings: &AgentxSettings,
        limits: Limits,
        daemon: ScrapeHandle,
        news: watch::Receiver<u64>,
    ) -> Result<Self, StartError> {
        let failed = |source| StartError { source };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // It looks up names. One that hangs may do so for ever, and the next attempt takes no thread more.
            .max_blocking_threads(1)
            .build()
            .map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let notices = {
            let _clock = runtime.enter();
            Notices::default()
        };
        let shared = Arc::new(Shared {
            settings: settings.clone(),
            limits,
            daemon,
            counters: Counters::default(),
            notices,
            state: watch::Sender::new(SubagentState::default()),
        });
        let serving = Arc::clone(&shared);
        let run = move || {
            runtime.block_on(serving.run(news, stopped));
            // A name may still be looked up, by a thread that nobody can end.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("agentx".to_owned()).spawn(run).map_err(failed)?;
        Ok(Self { shared, stop: Some(stop), thread: Some(thread) })
    }

    /// How it is, now and later.
    pub fn state(&self) -> watch::Receiver<SubagentState> {
        self.shared.state.subscribe()
    }

    /// Whether it runs. If not, it ended by a bug of its own.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// What it counted.
    pub fn counts(&self) -> SubagentCounts {
        let counters = &self.shared.counters;
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SubagentCounts {
            sessions: of(&counters.sessions),
            requests: of(&counters.requests),
            refused: of(&counters.refused),
            notified: of(&counters.notified),
            dropped: of(&counters.dropped) + self.shared.notices.dropped(),
        }
    }
}

impl Drop for Subagent {
    fn drop(&mut self) {
        drop(self.stop.take());
        // So that whoever comes next can register. The thread waits for nothing once it is told, so this takes microseconds.
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the SNMP subagent ended by a panic");
        }
    }
}

impl Shared {
    async fn run(&self, news: watch::Receiver<u64>, mut stopped: oneshot::Receiver<()>) {
        let peers = self.settings.peer_states.into();
        let mut book = Book::new(self.daemon.clone(), peers, self.settings.cache_max, self.limits.daemon);
        let mut session = None;
        let ended = async {
            tokio::select! {
                () = self.notices.look(&self.daemon, news, self.limits.daemon) => {}
                () = self.hold_sessions(&mut book, &mut session) => {}
            }
        };
        tokio::select! {
            biased;
            // An error means that the owner is gone: the same thing.
            _ = &mut stopped => {}
            () = ended => {}
        }
        if let Some(session) = &mut session {
            session.say_goodbye();
        }
    }

    /// One session after the other, for ever.
    async fn hold_sessions(&self, book: &mut Book, place: &mut Option<Session>) {
        let (first, longest) = self.limits.pause;
        let mut pause = first;
        let mut told: Option<String> = None;
        loop {
            let why = match self.open().await {
                Ok(session) => {
                    let session = place.insert(session);
                    let since = Instant::now();
                    told = None;
                    self.connected(session.to());
                    let why = session.serve(self, book).await;
                    *place = None;
                    // One that does not last is an attempt like any other: a master agent that is started again and again fills no log.
                    if since.elapsed() >= longest {
                        pause = first;
                    }
                    why
                }
                Err(why) => why,
            };
            if told.as_ref() != Some(&why) {
                tracing::warn!(address = self.settings.address, error = why, "no SNMP: trying again");
                told = Some(why.clone());
            }
            self.state.send_modify(|state| (state.session, state.problem) = (None, Some(why)));
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// A session that is open and registered, or why there is none.
    async fn open(&self) -> Result<Session, String> {
        let connection = connect::connect(&self.settings.address, self.limits.connect)
            .await
            .map_err(|error| chain(&error).to_string())?;
        let mut session = Session::new(connection);
        let opened = timeout(self.limits.answer, session.open(self.settings.agent_timeout)).await;
        match opened {
            Ok(Ok(())) => Ok(session),
            Ok(Err(why)) => Err(why),
            Err(_) => Err(format!("{} takes connections, but does not answer", session.to())),
        }
    }

    fn connected(&self, to: &str) {
        self.counters.sessions.fetch_add(1, Ordering::Relaxed);
        tracing::info!(address = to, "SNMP is served by this master agent");
        let session = Connected { to: to.to_owned(), since: SystemTime::now() };
        self.state.send_modify(|state| (state.session, state.problem) = (Some(session), None));
    }
}

/// The end of a time, if there is one.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
