//! One life of a daemon: the core, what it was told and what it asked for, and how it is told things.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use reactor_core::action::{Action, ActionKind, Call, Effect};
use reactor_core::core::{Core, Instance};
use reactor_core::history::Ledger;
use reactor_core::ids::{ActionId, Mono, UnitName};
use reactor_core::input::{Input, SourceEvent, SourceId};
use reactor_core::model::SourceState;
use reactor_core::model::reports::NoteLevel;
use reactor_core::operator::WallClock;
use reactor_core::plugin::Host;
use reactor_core::settings::Settings;
use reactor_core::systemd::BusEvent;
use reactor_sys::memory::Known;

use crate::drbd9::NodeIx;

use super::bugs::Lies;
use super::events::{Event, ForDaemon};
use super::exit::Ending;
use super::people::Telling;
use super::plan::NODES;
use super::run::World;
use super::storage::Collecting;
use super::wrong::STUMBLED;

/// Silence that ends a burst.
const SILENCE: Duration = Duration::from_micros(1500);
/// What the wall clock shows at the beginning of a world, in milliseconds.
pub(super) const EPOCH_MS: u64 = 1_795_230_000_000;

/// One thing that the core was given.
#[derive(Clone, Debug)]
pub(super) enum Tape {
    Configure(Arc<Settings>),
    Step(Input),
}

/// An action that has not come back.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) since: Mono,
    pub(super) call: Call,
}

/// Ways on which things stay in order.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lane {
    Lines,
    Calls,
    News,
    Replies,
}

pub(super) struct Daemon {
    pub(super) life: u64,
    pub(super) started: Mono,
    pub(super) core: Core,
    /// The same facts without a plugin: what a daemon without a bug would know.
    pub(super) shadow: Core,
    pub(super) lies: Lies,
    pub(super) settings: Arc<Settings>,
    /// What it remembers.
    pub(super) known: Known,
    pub(super) tape: Vec<(Mono, Tape)>,
    pub(super) asked: Vec<Action>,
    pub(super) pending: BTreeMap<ActionId, Pending>,
    /// When the same thing was asked for lately.
    pub(super) paces: BTreeMap<String, Vec<Mono>>,
    /// How often a machine of its promoter panicked because the world had it do so.
    stumbles: u64,
    /// When the first of several commands that follow one another was run last.
    pub(super) runs: BTreeMap<String, Mono>,
    /// Calls to systemd that wait for its answer.
    pub(super) with_systemd: BTreeSet<ActionId>,
    pub(super) bus: bool,
    /// The number of the events2 child; `None` = none runs.
    pub(super) source: Option<u64>,
    pub(super) sources: u64,
    /// It loses what is printed until then.
    pub(super) lossy: bool,
    pub(super) followed: BTreeSet<UnitName>,
    /// Units that systemd has not answered about since the bus is there.
    pub(super) untold: BTreeSet<UnitName>,
    pub(super) last_lines: String,
    stamp: String,
    pub(super) burst_open: bool,
    reads: u64,
    lanes: [Mono; 4],
    tick_at: Option<Mono>,
    /// When it was woken last, and how often at that moment.
    pub(super) woken: (Mono, u32),
    pub(super) reloads: u64,
    /// When it was told last what is remembered.
    pub(super) recalled: Mono,
    /// Since when each resource is in its configuration, or may come into it.
    pub(super) began: Vec<Mono>,
    /// What of the core's news is written down.
    pub(super) ledger: Ledger,
    /// It was asked to end.
    pub(super) ending: Option<Ending>,
    /// What reads of the disks, in worlds where the kernel logs of them.
    pub(super) storage: Option<Box<Collecting>>,
    /// What tells people, in worlds where they are told.
    pub(super) telling: Option<Box<Telling>>,
}

impl Daemon {
    pub(super) fn is_live(&self) -> bool {
        self.shadow.node().source() == SourceState::Live
    }
}

fn host(node: NodeIx) -> Host {
    Host { node: NODES[node].to_owned(), ..Host::default() }
}

/// A core that is about to be configured.
pub(super) fn new_core(node: NodeIx) -> Core {
    let mut core = Core::new();
    core.set_host(host(node));
    core
}

impl World {
    /// The daemon is started: what it remembers, its configuration, then the bus and events2.
    pub(super) fn start_daemon(&mut self, node: NodeIx) {
        if self.machines[node].daemon.is_some() {
            return;
        }
        self.tell_story(node, "the daemon starts");
        let known = self.open_state(node);
        let (told, drain) = (known.told(), known.drain.clone());
        let machine = &mut self.machines[node];
        // It has all its time from now on.
        machine.left_frozen.clear();
        machine.lives += 1;
        let settings = Arc::clone(&machine.settings);
        machine.daemon = Some(Box::new(Daemon {
            life: machine.lives,
            started: self.now,
            core: new_core(node),
            shadow: new_core(node),
            lies: Lies::new(self.bug, Arc::clone(&self.plan.settings), self.plan.stumbles, NODES[node]),
            settings: Arc::clone(&settings),
            known,
            tape: Vec::new(),
            asked: Vec::new(),
            pending: BTreeMap::new(),
            paces: BTreeMap::new(),
            stumbles: 0,
            runs: BTreeMap::new(),
            with_systemd: BTreeSet::new(),
            bus: false,
            source: None,
            sources: 0,
            lossy: false,
            followed: BTreeSet::new(),
            untold: BTreeSet::new(),
            last_lines: String::new(),
            stamp: String::new(),
            burst_open: false,
            reads: 0,
            lanes: [self.now; 4],
            tick_at: None,
            woken: (self.now, 0),
            reloads: 0,
            recalled: self.now,
            began: vec![self.now; self.plan.cluster.resources.len()],
            ledger: machine.history.ledger(self.bug),
            ending: None,
            storage: None,
            telling: None,
        }));
        self.watch.new_life(node);
        let wall = self.wall(node);
        self.tell(node, &Input::Wall(wall));
        self.recall_wishes(node);
        self.tell(node, &Input::Drained(drain));
        self.tell(node, &Input::Remembered(told));
        self.configure(node, settings);
        self.check_holds(node);
        let (bus, source) = (self.ms(1, 60), self.ms(5, 120));
        self.daemon_after(node, bus, ForDaemon::Bus);
        self.daemon_after(node, source, ForDaemon::Source);
        self.read_kernel_log(node);
        if self.plan.others {
            let first = self.ms(1, 500);
            self.daemon_after(node, first, ForDaemon::Uevents);
        }
        self.start_storage(node);
        self.start_people(node);
    }

    /// What the wall clock of a node shows.
    pub(super) fn wall(&self, node: NodeIx) -> WallClock {
        let ms = i64::try_from(EPOCH_MS + self.now.0 / 1_000_000).unwrap_or(0) + self.machines[node].clock_off_ms;
        WallClock { unix_ms: u64::try_from(ms).unwrap_or(0), utc_offset_s: 0 }
    }

    /// A daemon is killed, or its node is.
    pub(super) fn end_daemon(&mut self, node: NodeIx) {
        for res in 0..self.plan.cluster.resources.len() {
            // What is over is over for the next one, too.
            self.check_wish(node, res);
        }
        self.end_people(node);
        if let Some(daemon) = self.machines[node].daemon.take() {
            self.machines[node].history.ended(self.now);
            self.check_replay(node, &daemon);
            self.lives.push((node, daemon));
            // The tape is all that may be needed of it, and only if the seed is told.
            if !self.story.is_on() {
                self.lives.clear();
            }
        }
    }

    /// Gives settings to the core.
    pub(super) fn configure(&mut self, node: NodeIx, settings: Arc<Settings>) {
        if self.is_ending(node) {
            // A reload is refused then.
            return;
        }
        self.hold_what_may_be_held(node, &settings);
        self.watch_settings(node, &settings);
        let now = self.now;
        let Some(daemon) = self.machines[node].daemon.as_deref_mut() else { return };
        let mono = Mono(now.0 - daemon.started.0);
        let mut actions = Vec::new();
        daemon.lies.configure(&mut daemon.core, mono, &settings, &mut actions);
        daemon.settings = Arc::clone(&settings);
        daemon.reloads += 1;
        daemon.tape.push((mono, Tape::Configure(settings)));
        let news = daemon.core.news().to_vec();
        self.write_history(node, news);
        self.follow_units(node);
        let within = self.machines[node].daemon.as_deref().is_some_and(|daemon| daemon.burst_open);
        if !within {
            // What is new in the settings counts from now on.
            self.watch_levels(node);
        }
        self.take_actions(node, &actions, within);
        self.plan_tick(node);
    }

    /// Follows what the core wants to hear of.
    fn follow_units(&mut self, node: NodeIx) {
        let Some(daemon) = self.machines[node].daemon.as_deref_mut() else { return };
        let followed = daemon.core.units();
        let new: Vec<UnitName> = followed.iter().filter(|unit| !daemon.followed.contains(*unit)).cloned().collect();
        daemon.followed = followed.into_iter().collect();
        daemon.shadow.forget_units(|unit| daemon.followed.contains(unit));
        if daemon.bus {
            self.read_units(node, new);
        }
    }

    /// Gives an input to the core, checks what it asks for, and sends it on its way.
    pub(super) fn tell(&mut self, node: NodeIx, input: &Input) {
        let now = self.now;
        let about_drbd = self.about_drbd(node, input);
        let Some(daemon) = self.machines[node].daemon.as_deref_mut() else { return };
        let mono = Mono(now.0 - daemon.started.0);
        if matches!(input, Input::Remembered(_)) {
            daemon.recalled = now;
        }
        let live = daemon.is_live();
        let (shadow, allowed) = daemon.prepare_shadow(mono, input);
        if let Input::Done(done) = input {
            daemon.pending.remove(&done.id);
        }
        let mut actions = Vec::new();
        let told = daemon.lies.tell(input);
        let mut news = Vec::new();
        for input in told {
            daemon.core.step(mono, &input, &mut actions);
            news.extend_from_slice(daemon.core.news());
            daemon.tape.push((mono, Tape::Step(input)));
        }
        self.write_history(node, news);
        if matches!(input, Input::Remembered(_)) {
            self.follow_units(node);
        }
        self.check_about_drbd(node, input, about_drbd.as_ref());
        if allowed {
            self.watch_levels(node);
        }
        if allowed || !live {
            self.watch_no_primary(node);
            self.watch_people(node);
        }
        if let Input::Lines(_, text) = input
            && live
        {
            self.watch_lines(node, text);
        }
        self.take_actions(node, &actions, !allowed);
        if let Some(daemon) = self.machines[node].daemon.as_deref_mut().filter(|_| shadow == Shadow::Later) {
            let mut none = Vec::new();
            daemon.shadow.step(mono, input, &mut none);
        }
        self.plan_tick(node);
    }

    /// What panics is built anew, and so hides what is wrong: here nothing may panic but what the world has stumble.
    fn check_panics(&mut self, node: NodeIx, actions: &[Action]) {
        let Some(daemon) = self.machines[node].daemon.as_deref_mut() else { return };
        let errors = actions.iter().filter_map(|action| match &action.kind {
            ActionKind::Effect(Effect::Note { level: NoteLevel::Error, text }) => Some(text.as_str()),
            _ => None,
        });
        let (stumbles, errors): (Vec<&str>, Vec<&str>) = errors.partition(|text| text.ends_with(STUMBLED));
        daemon.stumbles += u64::try_from(stumbles.len()).unwrap_or(u64::MAX);
        if daemon.core.counters().panics > daemon.stumbles {
            let panicked = daemon.core.instances().iter().flat_map(Instance::status);
            let panicked = panicked.filter(|(what, _)| *what == "last panic").map(|(_, message)| message);
            let said: Vec<String> = errors.into_iter().map(str::to_owned).chain(panicked).collect();
            self.violated("nothing panics", format!("{}: {}", NODES[node], said.join("; ")));
        }
    }

    fn take_actions(&mut self, node: NodeIx, actions: &[Action], within: bool) {
        self.check_panics(node, actions);
        if let Some(daemon) = self.machines[node].daemon.as_deref_mut() {
            daemon.asked.extend(actions.iter().cloned());
        }
        for action in actions {
            self.check_action(node, action, within);
            self.check_storage_action(node, action);
            self.tell_decision(node, action);
            self.send(node, action.clone());
        }
        self.check_thawed_with_stop(node, actions);
        self.check_io_fails_with_stop(node, actions);
    }

    pub(super) fn plan_tick(&mut self, node: NodeIx) {
        let Some(daemon) = self.machines[node].daemon.as_deref_mut() else { return };
        let Some(next) = daemon.core.next_deadline() else { return };
        let at = Mono(next.0 + daemon.started.0).max(self.now);
        if daemon.tick_at.is_none_or(|planned| planned > at || planned <= self.now) {
            daemon.tick_at = Some(at);
            let life = daemon.life;
            self.queue.push(at, Event::Daemon { node, life, what: ForDaemon::Tick });
        }
    }

    // ---- ways to it ----

    pub(super) fn daemon_at(&mut self, node: NodeIx, at: Mono, what: ForDaemon) {
        if let Some(daemon) = self.machines[node].daemon.as_deref() {
            self.queue.push(at, Event::Daemon { node, life: daemon.life, what });
        }
    }

    pub(super) fn daemon_after(&mut self, node: NodeIx, after: Duration, what: ForDaemon) {
        let at = self.now.after(after);
        self.daemon_at(node, at, what);
    }

    /// When something that takes `after` arrives on a way on which things stay in order.
    pub(super) fn on_lane(&mut self, node: NodeIx, lane: Lane, after: Duration) -> Mono {
        let at = self.now.after(after);
        let Some(daemon) = self.machines[node].daemon.as_deref_mut() else { return at };
        let last = &mut daemon.lanes[lane as usize];
        *last = at.max(*last);
        *last
    }

    /// An input that takes its time.
    pub(super) fn deliver(&mut self, node: NodeIx, lane: Lane, input: Input) {
        let after = self.us(100, 15_000);
        let at = self.on_lane(node, lane, after);
        self.daemon_at(node, at, ForDaemon::Input(Box::new(input)));
    }

    /// What events2 printed: whole, or in two reads.
    pub(super) fn print(&mut self, node: NodeIx, text: String) {
        let Some(daemon) = self.machines[node].daemon.as_deref_mut() else { return };
        let (Some(source), false) = (daemon.source, daemon.lossy) else { return };
        daemon.last_lines.clone_from(&text);
        let after = self.us(50, 3_000);
        let at = self.on_lane(node, Lane::Lines, after);
        let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        if ends.len() > 1 && self.rng.below(4) == 0 {
            let cut = ends[usize::try_from(self.rng.below(ends.len() as u64 - 1)).unwrap_or(0)];
            let (first, rest) = text.split_at(cut);
            self.daemon_at(node, at, ForDaemon::Lines(source, first.to_owned()));
            let pause = self.us(100, 1_500);
            let at = self.on_lane(node, Lane::Lines, pause);
            let at = at.after(pause);
            if let Some(daemon) = self.machines[node].daemon.as_deref_mut() {
                daemon.lanes[Lane::Lines as usize] = at;
            }
            self.daemon_at(node, at, ForDaemon::Lines(source, rest.to_owned()));
        } else {
            self.daemon_at(node, at, ForDaemon::Lines(source, text));
        }
    }

    /// Lines arrive.
    pub(super) fn lines(&mut self, node: NodeIx, source: u64, text: String) {
        let Some(daemon) = self.machines[node].daemon.as_deref_mut() else { return };
        if daemon.source != Some(source) {
            return;
        }
        daemon.reads += 1;
        let reads = daemon.reads;
        self.tell(node, &Input::Lines(SourceId::Drbd, text));
        self.daemon_after(node, SILENCE, ForDaemon::Silence(reads));
    }

    /// It was silent long enough.
    pub(super) fn silence(&mut self, node: NodeIx, reads: u64) {
        if self.machines[node].daemon.as_deref().is_some_and(|daemon| daemon.reads == reads && daemon.burst_open) {
            self.tell(node, &Input::BurstEnd(SourceId::Drbd));
        }
    }

    pub(super) fn start_source(&mut self, node: NodeIx) {
        let dump = self.cluster.dump(node);
        let Some(daemon) = self.machines[node].daemon.as_deref_mut() else { return };
        if daemon.source.is_some() {
            return;
        }
        daemon.sources += 1;
        daemon.source = Some(daemon.sources);
        daemon.lossy = false;
        let started = SourceEvent::Started {
            command: "drbdsetup events2 --timestamps --full".to_owned(),
            dialect: Some(reactor_core::input::Dialect::Drbd9),
        };
        self.tell(node, &Input::Source(SourceId::Drbd, started));
        self.print(node, dump);
    }

    pub(super) fn end_source(&mut self, node: NodeIx, why: &str) {
        let Some(daemon) = self.machines[node].daemon.as_deref_mut() else { return };
        if daemon.source.take().is_some() {
            daemon.burst_open = false;
            self.tell(node, &Input::Source(SourceId::Drbd, SourceEvent::Ended { why: why.to_owned() }));
            let pause = self.ms(50, 1_000);
            self.daemon_after(node, pause, ForDaemon::Source);
        }
    }

    pub(super) fn start_bus(&mut self, node: NodeIx) {
        let machine = &mut self.machines[node];
        let Some(daemon) = machine.daemon.as_deref_mut().filter(|daemon| !daemon.bus) else { return };
        daemon.bus = true;
        daemon.untold.clear();
        machine.systemd.take_news();
        let units = daemon.core.units();
        self.tell(node, &Input::Bus(BusEvent::Up));
        self.read_units(node, units);
    }

    /// Each unit is told when it has been read; the late one is not.
    fn read_units(&mut self, node: NodeIx, units: Vec<UnitName>) {
        let machine = &mut self.machines[node];
        let Some(daemon) = machine.daemon.as_deref_mut() else { return };
        let late = |unit: &UnitName| machine.late.as_ref() == Some(unit);
        let (late, told): (Vec<_>, Vec<_>) = units.into_iter().partition(late);
        daemon.untold.extend(late);
        let news: Vec<_> = told.iter().map(|unit| machine.systemd.look(unit)).collect();
        for some in news.chunks(3) {
            self.deliver(node, Lane::News, Input::Units(some.to_vec()));
        }
    }

    /// systemd answers about what was late.
    pub(super) fn tell_late(&mut self, node: NodeIx) {
        let machine = &mut self.machines[node];
        machine.late = None;
        let Some(daemon) = machine.daemon.as_deref_mut() else { return };
        let units: Vec<UnitName> = std::mem::take(&mut daemon.untold).into_iter().collect();
        if daemon.bus {
            self.read_units(node, units);
        }
    }
}

impl Daemon {
    /// Tells the shadow first where the core decides by what the input says. The second: whether a decision may be made in this step,
    /// because the last burst is over, or is ended by this very input.
    fn prepare_shadow(&mut self, now: Mono, input: &Input) -> (Shadow, bool) {
        let mut none = Vec::new();
        let Input::Lines(SourceId::Drbd, text) = input else {
            if matches!(input, Input::BurstEnd(SourceId::Drbd) | Input::Source(SourceId::Drbd, _)) {
                self.burst_open = false;
            }
            self.shadow.step(now, input, &mut none);
            return (Shadow::Told, !self.burst_open);
        };
        if text.contains("exists -") {
            self.burst_open = false;
            self.shadow.step(now, input, &mut none);
            return (Shadow::Told, true);
        }
        let stamp = text.split(' ').next().unwrap_or_default();
        let ended = self.burst_open && stamp != self.stamp;
        if ended {
            self.shadow.step(now, &Input::BurstEnd(SourceId::Drbd), &mut none);
        }
        self.stamp.clear();
        self.stamp.push_str(stamp);
        self.burst_open = self.is_live();
        (Shadow::Later, ended)
    }
}

/// When the shadow hears of an input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shadow {
    Told,
    Later,
}
