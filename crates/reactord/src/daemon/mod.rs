//! The loop: the one owner of the core.
//!
//! ```text
//!  source ────── Lines, BurstEnd, Source ─┐
//!  handlers ─────────────────────── Done ─┤                                       ┌─▶ handlers, helper answers, log (actions.rs)
//!  clients ── status, changes, helper ... ─┼─▶ Event ─▶ handle ─▶ core.step ─▶ ────┼─▶ change hub, recorder
//!  scrapes ───────────────────────────────┤            (one at a time, turn.rs)   └─▶ notes to the log
//!  signals, reloads that are read ────────┤
//!  deadlines ─────────────────────────────┘
//! ```
//!
//! Nothing here waits for the world: what takes time is a task that comes back as an [`Event`](event::Event), and what may block is a thread (the
//! table in ARCHITECTURE.md says what that is). Without a deadline the loop sleeps. The systemd watchdog is fed from here, after a step, so that
//! it sees a loop that hangs.

mod actions;
mod audit;
mod block;
mod clients;
mod configuration;
mod due;
mod event;
mod exit;
mod handlers;
mod health;
mod history;
mod inbox;
mod leftovers;
mod logs;
mod memory;
mod notify;
mod operator;
mod plugins;
mod ports;
mod promoters;
mod recorder;
mod reload;
mod requests;
mod service;
mod source;
mod status;
mod storage;
mod survey;
mod system;
#[cfg(test)]
mod testing;
mod told;
mod turn;
mod wall;
mod work;

pub(crate) use logs::log_problems;
pub(crate) use reload::{log_finding, render};

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use reactor_config::{FileState, LoadOptions, Loaded};
use reactor_core::action::Action;
use reactor_core::core::Core;
use reactor_core::history::Severity;
use reactor_core::ids::ResourceName;
use reactor_core::input::{Input, Said};
use reactor_core::model::SourceState;
use reactor_core::plugin::Host;
use reactor_sys::control::{AUDIT_QUEUE, REQUEST_QUEUE, ToLoop};
use reactor_sys::http::scrape_channel;
use reactor_sys::kernel_log;
use reactor_sys::log::{LogHandle, Opened};
use reactor_sys::notify::Notifier;
use reactor_sys::record::Present;
use reactor_sys::uevents;
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

use crate::args::Args;
use crate::clock::Clock;
use clients::Clients;
use configuration::{Configuration, finish};
use due::Due;
use exit::Phase;
use handlers::Handlers;
use history::Chronicle;
use inbox::Inbox;
use leftovers::Left;
use logs::Logs;
use memory::Memories;
use notify::Notify;
use plugins::Servers;
use recorder::Recording;
use service::Service;
use source::DrbdSource;
use status::node_name;
use storage::Storage;
use system::System;
use told::Told;
use wall::Wall;
use work::Work;

/// How long the start of the plugins may take at most, for systemd (as drbd-reactor asks for).
const START: Duration = Duration::from_secs(60);

/// The same if there is a promoter.
const START_PROMOTER: Duration = Duration::from_secs(600);

/// The daemon at work: the core, and owners of everything else. Each owner has private fields in a module of its own. What concerns one of
/// them is a method there; what concerns several (a reload, news of systemd, the exit) is a method of `Daemon`, which goes from one to the next.
pub(crate) struct Daemon {
    core: Core,
    clock: Clock,
    /// What comes from outside.
    inbox: Inbox,
    /// Whether it serves or ends.
    phase: Phase,
    /// What was read and runs.
    configuration: Configuration,
    /// How that fits this machine.
    system: System,
    /// Where news of DRBD come from.
    source: DrbdSource,
    /// Who collects storage events.
    storage: Storage,
    /// Who tells people.
    notify: Notify,
    /// What is followed is this machine, and no recording.
    follows_this_machine: bool,
    /// What is being done, handlers aside.
    work: Work,
    handlers: Handlers,
    /// Who is answered on the control socket.
    clients: Clients,
    /// Who is answered over HTTP.
    servers: Servers,
    /// What scrapes are told of promoted resources.
    promoted_health: health::PromotedSeen,
    /// What people were told and still stands.
    told: Told,
    /// What promoters remember.
    memories: Memories,
    wall: Wall,
    recording: Recording,
    /// What is written down for later.
    chronicle: Chronicle,
    logs: Logs,
    /// What systemd is told of us.
    service: Service,
    /// What an earlier drbd-reactor left.
    left: Left,
    /// The loop's own deadlines.
    due: Due,
    /// Reused from step to step.
    actions: Vec<Action>,
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
        log: (LogHandle, Option<Opened>),
        notify: Notifier,
    ) -> Result<()> {
        let (requests, asked) = mpsc::channel(REQUEST_QUEUE);
        let (audits, audited) = mpsc::channel(AUDIT_QUEUE);
        let (scrapes, scraped) = scrape_channel();
        let settings = &loaded.settings;
        let logs = Logs::new(log.0, log.1);
        let (memories, wall, control) = tokio::join!(
            Memories::load(settings.daemon.state_dir.clone()),
            Wall::start(),
            clients::bind_first(&settings.daemon.runtime_dir)
        );
        let mut inbox = Inbox::new(asked, audited, scraped)?;
        let (source, news) = DrbdSource::start(args, settings)?;
        inbox.add_source(news);
        // A recording tells of another time, or of another machine.
        let storage = if args.play.is_empty() { Storage::start(settings, &mut inbox) } else { Storage::none() };
        if settings.daemon.uevents {
            inbox.add_source(uevents::spawn(storage.taps()));
        } else if storage.is_running() {
            storage::only_tapped(uevents::spawn(storage.taps()));
        }
        if settings.daemon.kernel_log && args.play.is_empty() {
            inbox.add_source(kernel_log::spawn(storage.taps()));
        } else if storage.is_running() {
            storage::only_tapped(kernel_log::spawn(storage.taps()));
        }
        let has_promoter = promoters::has_promoter(settings);
        let (shim, secrets) = ports::host_files(&settings.daemon, has_promoter).await;
        let mut daemon = Self {
            core: Core::new(),
            clock: Clock::start(),
            inbox,
            phase: Phase::default(),
            logs,
            service: Service::new(notify),
            source,
            storage,
            notify: if args.play.is_empty() { Notify::Waits } else { Notify::Nobody },
            follows_this_machine: args.play.is_empty(),
            handlers: Handlers::new(),
            clients: Clients::new(ToLoop { requests, audits: Some(audits) }),
            servers: Servers::new(scrapes),
            recording: Recording::default(),
            chronicle: Chronicle::start(settings),
            due: Due::default(),
            work: Work::new(&settings.daemon),
            system: System::default(),
            left: Left::default(),
            memories,
            wall,
            promoted_health: health::PromotedSeen::default(),
            told: Told::none(),
            actions: Vec::new(),
            configuration: Configuration::new(options, loaded),
        };
        daemon.clients.begin(control, &daemon.configuration.settings().daemon)?;
        daemon.service.starting(if has_promoter { START_PROMOTER } else { START });
        daemon.set_host(shim, secrets);
        daemon.apply_settings();
        daemon.tell_start();
        daemon.service.started();
        info!(version = env!("CARGO_PKG_VERSION"), pid = std::process::id(), "started");
        if let Err(error) = daemon.turn().await {
            // systemd starts us again, and what runs goes on meanwhile: nothing is stopped that the settings want stopped at exit.
            daemon.memories.finish().await;
            daemon.chronicle.note_daemon(Severity::Error, format!("the daemon ends: {error}"));
            daemon.chronicle.finish();
            daemon.logs.flush();
            return Err(error);
        }
        daemon.finish().await;
        Ok(())
    }

    /// This machine, for the core.
    fn set_host(&mut self, shim: String, secrets: PathBuf) {
        let drbdsetup = self.configuration.settings().daemon.drbdsetup.display().to_string();
        let node = node_name(&self.configuration.settings().daemon);
        let config = self.configuration.main_file().display().to_string();
        let mode = self.configuration.settings().mode;
        let host = Host { node, shim, drbdsetup, secrets, config, mode };
        self.core.set_host(host);
    }

    /// Says something of this daemon, for the history and for people.
    fn say(&mut self, severity: Severity, what: String, because: Vec<String>) {
        self.step(&Input::Said(Said { severity, what, because }));
    }

    /// What the core is told once, before all news.
    fn tell_start(&mut self) {
        self.step(&Input::Wall(self.wall.told()));
        self.say(Severity::Info, format!("the daemon starts, version {}", env!("CARGO_PKG_VERSION")), Vec::new());
        let remembered = self.memories.told();
        if !remembered.is_empty() {
            info!(resources = remembered.len(), "remembered from before");
        }
        self.step(&Input::Drained(self.memories.drain()));
        self.step(&Input::Remembered(remembered));
        self.memories.write();
    }

    /// The disk has answered at last. What it leaves in doubt stays held, and is not free for a moment in which something is decided.
    fn late_memories(&mut self, held: Vec<ResourceName>) {
        let configured = self.configured();
        let told = self.memories.told_late(held, configured.into_iter());
        self.step(&Input::Drained(self.memories.drain()));
        self.step(&Input::Remembered(told));
        self.follow_units();
        self.memories.write();
    }

    /// Before resources are configured: those of which nobody knows whether they were held are.
    fn hold_what_may_be_held(&mut self) {
        let configured = self.configured();
        if self.memories.doubts(configured.into_iter()) {
            self.step(&Input::Remembered(self.memories.told()));
        }
    }

    fn configured(&self) -> Vec<ResourceName> {
        promoters::promoted(self.configuration.settings()).map(|(resource, _)| resource.clone()).collect()
    }

    fn look_at_clock(&mut self) {
        if let Some(wall) = self.wall.look() {
            info!(
                unix_ms = wall.unix_ms,
                utc_offset_s = wall.utc_offset_s,
                "the clock or its distance to UTC has changed"
            );
            self.step(&Input::Wall(wall));
        }
    }

    /// One step of the core, and everything that follows from it.
    fn step(&mut self, input: &Input) {
        let now = self.clock.now();
        if let Input::Standing(before) = input {
            self.told.recall(before);
        }
        // A tick by which nothing is due is the loop looking after itself: no news.
        let is_news = *input != Input::Tick || self.core.next_deadline().is_some_and(|due| due <= now);
        if is_news {
            let (core, wall, memories) = (&self.core, &self.wall, &self.memories);
            self.recording.record(now, input, || Present::of(core, Some(wall.now()), memories.told()));
        }
        let was = self.core.node().source();
        let mut actions = std::mem::take(&mut self.actions);
        let clients = &mut self.clients;
        self.core.step_in_pieces(now, input, &mut actions, &mut |changes| clients.publish(changes));
        self.chronicle.write(self.core.news());
        self.carry_out_all(&mut actions);
        self.storage.stepped(input, &self.core);
        self.actions = actions;
        self.log_notes();
        if is_news {
            self.clients.wake_watchers();
        }
        if matches!(input, Input::Lines(..)) {
            self.due.note_news();
        }
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
        let bad = self.configuration.loaded().files.iter().filter(|file| file.state != FileState::Current).count();
        let mut line = format!("{} resources, event source {}", node.resources().count(), node.source().as_str());
        if let Some((path, _)) = self.configuration.hangs() {
            line.push_str(&format!(", a reload hangs: {} does not answer", path.display()));
        }
        if self.is_ending() {
            line.push_str(", stopping");
        }
        if bad > 0 {
            line.push_str(&format!(", {bad} configuration files with errors: see reactorctl status"));
        }
        self.service.show(line);
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

    /// SIGUSR1: what runs, to the log, with secrets masked.
    fn dump(&self) {
        for line in reactor_config::dump_toml(self.configuration.settings()).lines() {
            info!("{line}");
        }
    }
}
