//! The metrics server: `/metrics`, `/healthz` and a page that says what this is.
//!
//! ```text
//!  clients ── HTTP/1.1 ──▶ thread "metrics" ── ScrapeRequest (bounded) ──▶ loop
//!          ◀─ pieces ─────  Sheet ─▶ Body   ◀─ Scrape: resources, Health ─ loop
//! ```
//!
//! Each `[[prometheus]]` table has a server with a thread and a runtime of its own: writing megabytes and copying them into
//! sockets takes no time from the loop, and a busy loop does not slow a transfer that has begun. The loop hands out
//! reference counts and is never waited for by anything but a scrape, which has a deadline. All who ask at the same moment
//! send the same text.
//!
//! Clients cannot do harm by being slow, silent or many: the limits are in [`Limits`], and who gives way in `guests`. A server that cannot listen tries again
//! until it can, and says so in its [`ServerState`].

mod answer;
mod guests;
mod gzip;
mod listen;
mod peek;
mod scrape;
mod serve;
mod texts;
mod watch;
pub mod web;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use reactor_core::metrics::health::HttpHealth;
use reactor_core::settings::PrometheusSettings;
use tokio::sync::{oneshot, watch as watch_channel};

pub use scrape::{Resources, SCRAPE_QUEUE, Scrape, ScrapeHandle, ScrapeRequest, Wanted, scrape_channel};

/// What clients may use up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time. One that comes on top takes the place of one that does nothing; if all are being served, it is
    /// told 503 and closed.
    pub connections: usize,
    /// The same for each address.
    pub per_address: usize,
    /// Bytes that texts of older moments may have together, for those who still read them; the oldest go first.
    pub old_texts: usize,
    /// How long a request may take to arrive, a new connection to begin one, and a TLS handshake to be done.
    pub header: Duration,
    /// How long a connection may say nothing after an answer.
    pub idle: Duration,
    /// How long an answer may take to be read.
    pub write: Duration,
    /// How long 64 KiB of it may take.
    pub slow: Duration,
    /// How long the loop has for its part.
    pub answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            per_address: 16,
            old_texts: 16 * 1024 * 1024,
            header: Duration::from_secs(5),
            idle: Duration::from_secs(120),
            write: Duration::from_secs(30),
            slow: Duration::from_secs(5),
            answer: Duration::from_secs(5),
        }
    }
}

/// How a server is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerState {
    /// Each address that it listens on or should.
    pub listeners: Vec<ListenerState>,
    /// Why it does not listen at all: its web configuration file is not usable.
    pub web_problem: Option<String>,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A port.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerState {
    /// What was asked for.
    pub wanted: Endpoint,
    /// Where it listens; the port is the real one if 0 was asked for.
    pub bound: Option<Endpoint>,
    /// Why it does not listen or cannot accept; it tries again.
    pub problem: Option<String>,
    /// Whether it does not listen because this machine does not have this address family, and nobody asked for it by name.
    pub absent: bool,
}

impl ServerState {
    /// Where it listens.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.listeners.iter().filter_map(|listener| listener.bound.as_ref())
    }

    /// The ports that it listens on.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.endpoints().filter_map(|endpoint| match endpoint {
            Endpoint::Tcp(address) => Some(*address),
            Endpoint::Unix(_) => None,
        })
    }

    /// What is wrong, if anything is.
    pub fn problem(&self) -> Option<String> {
        let of_listeners = self.listeners.iter().filter_map(|listener| listener.problem.as_deref());
        let problems: Vec<&str> = self.web_problem.as_deref().into_iter().chain(of_listeners).collect();
        (!problems.is_empty()).then(|| problems.join("; "))
    }

    /// Whether it has tried all its addresses, with success or without.
    pub fn is_settled(&self) -> bool {
        self.web_problem.is_some()
            || !self.listeners.is_empty()
                && self.listeners.iter().all(|l| l.bound.is_some() || l.problem.is_some() || l.absent)
    }
}

/// The server could not be started at all: the system has no thread or no runtime for it.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the metrics server")]
pub struct StartError {
    #[source]
    source: io::Error,
}

/// A running server. Dropping it ends its connections and frees its port before it returns.
#[derive(Debug)]
pub struct MetricsServer {
    state: watch_channel::Receiver<ServerState>,
    server: Arc<serve::Server>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl MetricsServer {
    /// Serves what `settings` ask for. Requests for the state of the daemon go through `scrapes`. An address that cannot be
    /// had is no error: it is tried again.
    pub fn start(settings: &PrometheusSettings, limits: Limits, scrapes: ScrapeHandle) -> Result<Self, StartError> {
        let failed = |source| StartError { source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (to_state, state) = watch_channel::channel(ServerState::default());
        let (stop, stopped) = oneshot::channel();
        let server = Arc::new(serve::Server::new(settings.into(), limits, scrapes));
        let (wanted, serving) = (listen::wanted(settings), Arc::clone(&server));
        let web = settings.web_config_file.clone();
        let run = move || {
            runtime.block_on(async {
                let serve = async {
                    // Not a word in the clear, and no port, before it is known how.
                    if let Some(path) = web {
                        let tell = |why: &str| to_state.send_modify(|state| state.web_problem = Some(why.to_owned()));
                        serving.keep(web::Keeper::first(path, tell).await);
                        to_state.send_modify(|state| state.web_problem = None);
                    }
                    listen::listen(wanted, to_state, serving).await;
                };
                tokio::select! {
                    () = serve => {}
                    // An error means that the owner is gone: the same thing.
                    _ = stopped => {}
                }
            });
            // Ends all connections, and waits for nothing that blocks: a folder may hang.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("metrics".to_owned()).spawn(run).map_err(failed)?;
        Ok(Self { state, server, stop: Some(stop), thread: Some(thread) })
    }

    /// How it is, now and later.
    pub fn state(&self) -> watch_channel::Receiver<ServerState> {
        self.state.clone()
    }

    /// What a person should look at: what its listeners say, and its web configuration.
    pub fn problems(&self) -> Vec<String> {
        let of_web = self.server.kept().map(|keeper| keeper.problems()).unwrap_or_default();
        self.state.borrow().problem().into_iter().chain(of_web).collect()
    }

    /// When the certificate ends that it shows; `None` = it has none.
    pub fn certificate_ends(&self) -> Option<SystemTime> {
        self.server.kept()?.not_after()
    }

    /// What it counted.
    pub fn health(&self) -> HttpHealth {
        self.server.counted()
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        // So that whoever comes next can have the port. The thread never blocks, so this takes microseconds.
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the metrics server ended by a panic");
        }
    }
}
