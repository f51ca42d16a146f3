//! The loop: the one owner of the core.
//!
//! ```text
//!  source ────── Lines, BurstEnd, Source ─┐
//!  handlers ─────────────────────── Done ─┤                              ┌─▶ handlers, helper answers, log (actions.rs)
//!  clients ── status, changes, helper ... ─┼─▶ select ─▶ core.step ─▶ ────┼─▶ change hub, recorder
//!  scrapes ───────────────────────────────┤             (one at a time)  └─▶ notes to the log
//!  signals, reloads that are read ────────┤
//!  deadlines, housekeeping ───────────────┘
//! ```
//!
//! Nothing here waits for the world: what takes time is a task that comes back through a channel. The systemd watchdog is fed
//! from here, after a step, so that it sees a loop that hangs.

mod actions;
mod health;
mod plugins;
mod recorder;
mod reload;
mod requests;
mod status;

pub(crate) use reload::{log_finding, render};

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};
use reactor_config::{FileState, LoadOptions, Loaded};
use reactor_core::action::{Action, HandlerRun, HelperAnswer, HelperRequestId};
use reactor_core::api::HandlerOutcome;
use reactor_core::core::Core;
use reactor_core::ids::ActionId;
use reactor_core::input::Input;
use reactor_core::metrics::Cache;
use reactor_core::metrics::health::HandlerHealth;
use reactor_core::model::SourceState;
use reactor_sys::control::{
    ChangeHub, ControlRequest, ControlServer, ControlSocket, Limits, REQUEST_QUEUE, SOCKET_GROUP, SOCKET_NAME,
    ServiceInfo,
};
use reactor_sys::drbd::child::{CHANNEL, ChildOptions, ChildSource};
use reactor_sys::drbd::restart::Backoff;
use reactor_sys::exec::Executor;
use reactor_sys::http::{ScrapeRequest, scrape_channel};
use reactor_sys::log::LogHandle;
use reactor_sys::notify::Notifier;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tracing::{debug, error, info, warn};

use crate::args::Args;
use crate::clock::Clock;
use plugins::Servers;
use recorder::Running;
use reload::Reloads;

/// How often the loop looks after itself when nothing happens: watchdog, drift, sums for the log.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// Ended handlers that `status` shows.
const HANDLERS_SHOWN: usize = 20;

/// How long the last lines may take to reach the log.
const FLUSH: Duration = Duration::from_secs(1);

/// How long the start of the plugins may take at most, for systemd (as drbd-reactor asks for).
const START: Duration = Duration::from_secs(60);

/// The daemon at work.
pub(crate) struct Daemon {
    core: Core,
    clock: Clock,
    options: LoadOptions,
    loaded: Arc<Loaded>,
    log: LogHandle,
    notify: Notifier,
    source: Source,
    executor: Executor,
    hub: ChangeHub,
    servers: Servers,
    /// The text of every resource, as of the last scrape.
    metrics: Cache,
    recorder: Option<Running>,
    reloads: Reloads,
    /// What runs, for the outcome's log line and the status.
    running: BTreeMap<ActionId, HandlerRun>,
    ended: VecDeque<HandlerOutcome>,
    /// Who waits for the answer to a helper call.
    waiting: BTreeMap<HelperRequestId, oneshot::Sender<HelperAnswer>>,
    next_request: u64,
    /// Control requests that wait, as of the last step.
    queued_requests: u64,
    /// What became of all handlers so far.
    handlers: HandlerHealth,
    /// Reused from step to step.
    actions: Vec<Action>,
    /// The last line of `systemctl status`.
    told: String,
    _control: ControlServer,
}

/// Where news of DRBD comes from.
enum Source {
    /// drbdsetup.
    Child(ChildSource),
    /// A recording.
    Player {
        /// What is played.
        files: Vec<PathBuf>,
        /// The task that plays.
        task: reactor_sys::drbd::playback::Player,
    },
}

/// What the loop listens to.
struct Inbox {
    source: mpsc::Receiver<Input>,
    requests: mpsc::Receiver<ControlRequest>,
    scrapes: mpsc::Receiver<ScrapeRequest>,
    hangup: Signal,
    dump: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Daemon {
    /// Runs until a signal says stop.
    ///
    /// # Errors
    ///
    /// What keeps it from starting at all: the control socket is taken or cannot be made, a recording cannot be read.
    pub(crate) async fn run(
        args: &Args,
        options: LoadOptions,
        loaded: Loaded,
        log: LogHandle,
        notify: Notifier,
    ) -> Result<()> {
        let (source_tx, source_rx) = mpsc::channel(CHANNEL);
        let (requests_tx, requests_rx) = mpsc::channel(REQUEST_QUEUE);
        let (scrapes, scrapes_rx) = scrape_channel();
        let settings = &loaded.settings;
        // Without it nothing can be remembered, but DRBD is followed all the same.
        if let Err(error) = make_folder(&settings.daemon.state_dir, 0o750) {
            warn!(%error, dir = %settings.daemon.state_dir.display(), "can't make the state folder");
        }
        let control = start_control(&settings.daemon.runtime_dir, requests_tx)?;
        let source = start_source(args, &loaded, source_tx)?;
        let mut daemon = Self {
            core: Core::new(),
            clock: Clock::start(),
            options,
            log,
            notify,
            source,
            executor: Executor::new(),
            hub: ChangeHub::default(),
            servers: Servers::new(scrapes),
            metrics: Cache::new(),
            recorder: None,
            reloads: Reloads::new(&loaded),
            running: BTreeMap::new(),
            ended: VecDeque::new(),
            waiting: BTreeMap::new(),
            next_request: 0,
            queued_requests: 0,
            handlers: HandlerHealth::default(),
            actions: Vec::new(),
            told: String::new(),
            _control: control,
            loaded: Arc::new(loaded),
        };
        let inbox = Inbox {
            source: source_rx,
            requests: requests_rx,
            scrapes: scrapes_rx,
            hangup: signal(SignalKind::hangup())?,
            dump: signal(SignalKind::user_defined1())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        };
        daemon.notify.status("Starting new plugins");
        daemon.notify.extend_timeout(START);
        daemon.apply_settings();
        daemon.notify.status("Plugins started");
        daemon.notify.ready();
        info!(version = env!("CARGO_PKG_VERSION"), pid = std::process::id(), "started");
        daemon.serve(inbox).await;
        daemon.stop().await;
        Ok(())
    }

    async fn serve(&mut self, mut inbox: Inbox) {
        let mut housekeeping =
            interval(self.notify.watchdog_interval().map_or(HOUSEKEEPING, |w| (w / 3).min(HOUSEKEEPING)));
        housekeeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let deadline = self.core.next_deadline().map(|at| self.clock.instant(at));
            tokio::select! {
                Some(input) = inbox.source.recv() => self.step(&input),
                done = self.executor.next() => self.handler_done(done),
                Some(request) = inbox.requests.recv() => self.request(request),
                Some(request) = inbox.scrapes.recv() => {
                    self.queued_requests = inbox.requests.len() as u64;
                    self.scrape(request);
                }
                result = self.reloads.next() => self.reloaded(result),
                () = sleep_until(deadline.unwrap_or_else(|| Instant::now().into())), if deadline.is_some() => self.step(&Input::Tick),
                _ = housekeeping.tick() => self.housekeeping(),
                Some(()) = inbox.hangup.recv() => {
                    info!("SIGHUP: reading the configuration");
                    self.start_reload(None);
                }
                Some(()) = inbox.dump.recv() => self.dump(),
                Some(()) = inbox.terminate.recv() => break info!("SIGTERM: stopping"),
                Some(()) = inbox.interrupt.recv() => break info!("SIGINT: stopping"),
            }
        }
    }

    /// One step of the core, and everything that follows from it.
    fn step(&mut self, input: &Input) {
        let now = self.clock.now();
        // A tick by which nothing is due is the loop looking after itself: no news.
        let is_news = *input != Input::Tick || self.core.next_deadline().is_some_and(|due| due <= now);
        if let Some(running) = self.recorder.as_mut().filter(|_| is_news) {
            let node = self.core.node();
            running.recorder.record(now, input, || node.to_events2());
        }
        let was = self.core.node().source();
        let mut actions = std::mem::take(&mut self.actions);
        self.core.step(now, input, &mut actions);
        self.hub.publish(SystemTime::now(), self.core.changes());
        for action in actions.drain(..) {
            self.carry_out(action);
        }
        self.actions = actions;
        self.log_notes();
        let is = self.core.node().source();
        if is != was {
            self.source_changed(is);
        }
    }

    fn source_changed(&mut self, is: SourceState) {
        let resources = self.core.node().resources().count();
        match is {
            SourceState::Live => info!(resources, "the picture of DRBD is complete"),
            SourceState::Down => warn!(resources, "no news of DRBD: what is known is stale"),
            SourceState::Dumping | SourceState::Unknown => debug!("waiting for the dump of the event source"),
        }
        self.tell_systemd();
    }

    /// The line that `systemctl status` shows.
    fn tell_systemd(&mut self) {
        let node = self.core.node();
        let bad = self.loaded.files.iter().filter(|file| file.state != FileState::Current).count();
        let mut line = format!("{} resources, event source {}", node.resources().count(), node.source().as_str());
        if bad > 0 {
            line.push_str(&format!(", {bad} configuration files with errors: see reactorctl status"));
        }
        if line != self.told {
            self.notify.status(&line);
            self.told = line;
        }
    }

    /// What the core noticed and a person should read.
    fn log_notes(&mut self) {
        use reactor_core::model::reports::NoteLevel;
        for note in self.core.node_mut().reports_mut().take_notes() {
            match note.level {
                NoteLevel::Error => error!("{}", note.text),
                NoteLevel::Warn => warn!("{}", note.text),
                NoteLevel::Info => info!("{}", note.text),
                NoteLevel::Debug => debug!("{}", note.text),
            }
        }
    }

    fn housekeeping(&mut self) {
        self.core.set_follow(Some(self.hub.wants()));
        self.waiting.retain(|_, reply| !reply.is_closed());
        self.look_for_drift();
        self.tell_systemd();
        // A step that changes nothing: if the core hangs in it, so does the watchdog.
        self.step(&Input::Tick);
        self.notify.watchdog();
    }

    /// SIGUSR1: what runs, to the log, with secrets masked.
    fn dump(&self) {
        for line in reactor_config::dump_toml(&self.loaded.settings).lines() {
            info!("{line}");
        }
    }

    async fn stop(mut self) {
        self.notify.stopping();
        for (_, reply) in std::mem::take(&mut self.waiting) {
            // Its caller may have gone; nothing depends on it.
            let _ = reply.send(HelperAnswer::Fallback { why: "the daemon stops".to_owned() });
        }
        if !self.running.is_empty() {
            info!(handlers = self.running.len(), "ending the handlers that still run");
        }
        // Their outcomes still go through the core: a helper that waits for one gets its answer.
        for done in self.executor.stop().await {
            self.handler_done(done);
        }
        self.stop_recorder();
        info!("stopped");
        self.log.flush(FLUSH);
    }
}

/// Makes a folder and what is above it, unless it is there.
fn make_folder(path: &std::path::Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(mode).create(path)
}

fn start_control(runtime_dir: &std::path::Path, requests: mpsc::Sender<ControlRequest>) -> Result<ControlServer> {
    make_folder(runtime_dir, 0o755)
        .with_context(|| format!("can't make the runtime folder {}", runtime_dir.display()))?;
    let path = runtime_dir.join(SOCKET_NAME);
    let socket = ControlSocket::bind(&path, SOCKET_GROUP)
        .with_context(|| format!("can't make the control socket {}", path.display()))?;
    for warning in &socket.warnings {
        warn!("{warning}");
    }
    let info = ServiceInfo { product: "reactord".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    ControlServer::start(socket, info, Limits::default(), requests)
        .with_context(|| format!("can't listen on the control socket {}", path.display()))
}

fn start_source(args: &Args, loaded: &Loaded, tx: mpsc::Sender<Input>) -> Result<Source> {
    use reactor_sys::drbd::playback::{Player, Recording};
    let settings = &loaded.settings;
    if args.play.is_empty() {
        let options = ChildOptions {
            drbdsetup: settings.daemon.drbdsetup.clone(),
            drbdadm: settings.daemon.drbdadm.clone(),
            poll_interval: settings.statistics_poll_interval,
            backoff: Backoff::default(),
        };
        return Ok(Source::Child(ChildSource::spawn(options, tx)));
    }
    let recording = Recording::open_all(&args.play).context("can't play")?;
    for note in recording.notes() {
        warn!("{note}");
    }
    Ok(Source::Player { files: args.play.clone(), task: Player::spawn(recording, args.speed, tx) })
}
