//! One promoted resource: what is known of it besides its present state, and how a decision becomes actions.
//!
//! What is decided follows from levels every time ([`plan`](super::plan::plan)); the state kept here is what has failed, what has to leave, and what is
//! under way (`work.rs` has the drawing of starts and stops).

mod asking;
mod observing;
mod preparing;
mod showing;
mod stack;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::action::{Effect, Reason};
use crate::ids::{ActionId, Mono, ResourceName, UnitName};
use crate::model::reports::NoteLevel;
use crate::model::{Node, SourceState};
use crate::operator::Memory;
use crate::plugin::Context;
use crate::settings::promoter::{Entry, PromotedResource, Runner};
use crate::systemd::{BusState, UnitVerb};

use super::delay::{self, Delay};
use super::examine::Examination;
use super::failback::Failback;
use super::failures::Failures;
use super::freezer::Freezer;
use super::hang::Hang;
use super::held::{Ended, Held};
use super::history::History;
use super::levels::Levels;
use super::links::Links;
use super::obstacle::ObstacleKind;
use super::options::Options;
use super::plan::{Decision, Situation, Verdict, is_free, plan};
use super::policy::Policy;
use super::prepare::Prepare;
use super::presence::Whereabouts;
use super::report::StateWord;
use super::restarts::{Allowed, Restarts};
use super::services::{Services, UnitSet};
use super::shell::Shell;
use super::standby::Standby;
use super::standing::Standing;
use super::start_list::StartList;
use super::stops::Stops;
use super::syncs::Syncs;
use super::timers::{Timer, TimerTable};
use super::tries::Tries;
use super::trouble::Troubles;
use super::unit_files::UnitFiles;
use super::units;
use super::untold::Untold;
use super::view;
use super::work::{Phase, Work};

/// What nobody has taken over in time comes back to where it ran within this time, before any other node starts it.
const COMES_BACK: Duration = Duration::from_millis(500);
/// How long to wait for the outcome of a start. systemd's own time limits end it before; this is for a systemd that does not answer.
const START_DEADLINE: Duration = Duration::from_secs(6 * 3600);
/// The same for a stop.
const STOP_DEADLINE: Duration = Duration::from_secs(1800);
/// The same for everything without a job.
const CALL_DEADLINE: Duration = Duration::from_secs(25);
/// The same for a freeze. A process that waits for its disk keeps systemd from answering; that it is being frozen is known at once.
const FREEZE_DEADLINE: Duration = Duration::from_secs(5);
/// Without a word of the source the unit files are written for DRBD 9 after this time: it may be `drbdadm adjust` that loads the module.
const SOURCE_PATIENCE: Duration = Duration::from_secs(2);

/// See the module's head.
#[derive(Clone)]
pub(super) struct Machine {
    pub(super) name: ResourceName,
    pub(super) settings: PromotedResource,
    pub(super) set: UnitSet,
    pub(super) files: UnitFiles,
    pub(super) prepare: Prepare,
    pub(super) options: Options,
    pub(super) tries: Tries,
    pub(super) failback: Failback,
    pub(super) links: Links,
    /// Questions about units on their way.
    pub(super) examinations: BTreeMap<ActionId, Examination>,
    pub(super) hang: Hang,
    pub(super) troubles: Troubles,
    pub(super) held: Held,
    pub(super) shell: Option<Shell>,
    pub(super) work: Work,
    pub(super) exit: Exit,
    /// Something of [`Memory`] changed since it was last kept.
    pub(super) memory_changed: bool,
    pub(super) failures: Failures,
    pub(super) restarts: Restarts,
    pub(super) standby: Standby,
    pub(super) syncs: Syncs,
    untold: Untold,
    pub(super) start_list: StartList,
    pub(super) standing: Standing,
    /// When to judge again without news, and what for.
    pub(super) timers: TimerTable,
    pub(super) history: History,
    /// It panicked: nothing is decided before then.
    pub(super) rest_until: Option<Mono>,
    made_at: Mono,
    pub(super) levels: Levels,
    pub(super) freezer: Freezer,
    pub(super) stops: Stops,
    pub(super) whereabouts: Whereabouts,
}

/// What is done when the daemon ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// It goes on.
    No,
    /// The files are being changed.
    Files(ActionId),
    /// Nothing is decided any more.
    Yes,
}

impl Machine {
    pub(super) fn new(name: ResourceName, settings: PromotedResource, now: Mono) -> Self {
        let shell = (settings.runner == Runner::Shell).then(Shell::default);
        let mut standby = Standby::default();
        standby.reconfigure(&settings, &name);
        Self {
            set: unit_set(&name, &settings),
            files: UnitFiles::default(),
            prepare: Prepare::new(&name, settings.adjust_resource_on_start),
            options: Options::default(),
            tries: Tries::default(),
            failback: Failback::default(),
            links: Links::default(),
            examinations: BTreeMap::new(),
            hang: Hang::default(),
            troubles: Troubles::default(),
            held: Held::default(),
            shell,
            work: Work::begin(Phase::Idle),
            exit: Exit::No,
            memory_changed: false,
            failures: Failures::default(),
            restarts: Restarts::default(),
            standby,
            syncs: Syncs::default(),
            untold: Untold::default(),
            start_list: StartList::default(),
            standing: Standing::new(now),
            timers: TimerTable::default(),
            history: History::default(),
            rest_until: None,
            made_at: now,
            levels: Levels::default(),
            freezer: Freezer::default(),
            stops: Stops::default(),
            whereabouts: Whereabouts::default(),
            name,
            settings,
        }
    }

    /// Takes other settings. What runs goes on; units that are new in the list are started if the others run. Gives those that we froze and that
    /// are in it no longer.
    pub(super) fn reconfigure(&mut self, cx: &mut Context<'_>, settings: PromotedResource) -> Vec<UnitName> {
        let set = unit_set(&self.name, &settings);
        let gone = self.let_go(cx.node, |unit| !set.members.contains(unit));
        self.start_list.changed(&self.set.members, &set.members);
        self.set = set;
        if self.settings.runner != settings.runner {
            self.shell = (settings.runner == Runner::Shell).then(Shell::default);
            if !self.work.is_idle() {
                self.work.enter(Phase::Idle);
            }
        }
        // Commands are run at the next start: what the old ones started is not known by name.
        if self.shell.is_none() && settings.start != self.settings.start {
            self.start_list.start_again();
        }
        self.standby.reconfigure(&settings, &self.name);
        self.syncs.reconfigure(self.settings.sync.as_ref(), settings.sync.as_ref());
        self.settings = settings;
        self.options.read_again(cx.now);
        self.files.again();
        gone
    }

    /// Takes over what is no level and must not be lost, of a machine that can't be trusted otherwise. `is_sent` = an action is under way; those
    /// of the call that panicked never are.
    pub(super) fn inherit(&mut self, old: &Self, is_sent: impl Fn(ActionId) -> bool) {
        self.held = old.held.clone();
        self.freezer = old.freezer.after_a_panic(&is_sent);
        self.exit = old.exit;
        self.levels = old.levels.clone();
        self.failures = old.failures.after_a_panic();
        self.restarts = old.restarts.after_a_panic();
        self.standby = old.standby.after_a_panic(&is_sent);
        self.syncs = old.syncs.after_a_panic(&is_sent);
        self.tries.inherit(&old.tries);
        self.failback = old.failback.clone();
        self.options = old.options.clone().after_a_panic(&is_sent);
        self.hang = old.hang.clone();
        self.troubles = old.troubles.clone();
        self.stops = old.stops.clone().after_a_panic(&is_sent);
        self.start_list = old.start_list.after_a_panic();
        self.standing = old.standing.after_a_panic();
        self.history = old.history.clone();
        self.whereabouts = old.whereabouts.clone();
        self.files = old.files.clone().after_a_panic(&is_sent);
        self.prepare = old.prepare.clone().after_a_panic(&is_sent);
        self.work = old.work.after_a_panic(&is_sent);
        self.links = old.links.after_a_panic(&is_sent);
        self.shell = old.shell.clone().map(|shell| shell.after_a_panic(is_sent));
        self.memory_changed = true;
    }

    /// Units to be told of; none with the shell runner.
    pub(super) fn followed(&self) -> impl Iterator<Item = &UnitName> {
        // Who adjusts nothing has nobody to wait for.
        let drbd_service = self.settings.adjust_resource_on_start.then(|| self.prepare.service_unit());
        self.set.all().chain(drbd_service).chain(self.standby.followed()).filter(|_| self.shell.is_none())
    }

    /// When to judge again at the latest.
    pub(super) fn due(&self) -> Option<Mono> {
        self.timers.next().map(|(at, _)| at)
    }

    /// Looks at everything, decides, and asks for what is to be done.
    pub(super) fn judge(&mut self, cx: &mut Context<'_>) {
        if self.exit != Exit::No {
            // Nothing is decided any more, but what an operator asks for now counts for the next start, and what stops is told.
            if cx.settled {
                self.look_where_it_runs(cx);
            }
            return self.keep_memory(cx);
        }
        self.timers.stop_all();
        if let Some(until) = self.rest_until.filter(|until| *until > cx.now) {
            self.timers.set(Timer::Rest, until);
            self.levels.waits_anew();
            return self.keep_memory(cx);
        }
        self.end_hold(cx);
        self.prepare_next(cx);
        if cx.settled {
            self.read_options(cx);
            let services = self.services(cx.node);
            self.observe(cx, services);
            // A start that failed or that succeeded shows in what is observed.
            let services = self.services(cx.node);
            let decision = self.decide(cx, services);
            self.carry_out(cx, decision.clone());
            self.care_for_standby(cx, &decision, services);
            self.bring_up_configuration(cx, services);
            self.care_for_links(cx);
            self.ask_why_it_hangs(cx);
            self.care_for_sync(cx, services);
            self.look_for_troubles(cx);
            self.look_where_it_runs(cx);
        }
        self.keep_memory(cx);
    }

    /// What an operator said for a time only may be over.
    fn end_hold(&mut self, cx: &mut Context<'_>) {
        let resource = cx.node.resource(self.name.as_str()).filter(|_| cx.settled && Self::is_live(cx.node));
        let names =
            |resource| view::primary_peers(resource).into_iter().map(|id| self.options.peers().of(resource, id));
        let primary: Vec<String> = resource.into_iter().flat_map(names).collect();
        if let Some((why, how)) = self.held.end(cx.now, &primary) {
            self.memory_changed = true;
            match how {
                Ended::TakenOver => {}
                Ended::InVain { ran_here: true } => {
                    self.levels.waits_no_more();
                    self.tries.comes_back();
                }
                Ended::InVain { ran_here: false } => self.levels.waits_from(cx.now.after(COMES_BACK)),
            }
            self.note(cx, NoteLevel::Info, format!("{}: {why}", self.name));
        }
        self.timers.set(Timer::HoldEnds, self.held.ends());
    }

    /// What holds of its services, with what is in flight.
    pub(super) fn services(&self, node: &Node) -> Services {
        if let Some(shell) = &self.shell {
            return shell.services(node.resource(self.name.as_str()).is_some_and(view::is_primary));
        }
        let told = self.set.services(node.units());
        match (self.work.phase(), told) {
            (Phase::Stopping(_), _) | (Phase::Stopped { .. }, Services::On | Services::Half | Services::Starting) => {
                Services::Stopping
            }
            // Active, and its job has not been told to be over: that of our start.
            (Phase::Starting(_) | Phase::Settling { .. }, Services::Stopping) if self.set.is_up(node.units()) => {
                Services::On
            }
            (Phase::Starting(_) | Phase::Settling { .. }, Services::Off | Services::Half) => Services::Starting,
            (Phase::Idle | Phase::Starting(_) | Phase::Settling { .. } | Phase::Stopped { .. }, told) => told,
        }
    }

    pub(super) fn is_live(node: &Node) -> bool {
        node.source() == SourceState::Live
    }

    /// Why what is known of units is not the present.
    pub(super) fn no_units(&self, node: &Node) -> Option<String> {
        if self.shell.is_some() {
            return None;
        }
        match node.units().bus() {
            BusState::Up => None,
            BusState::Unknown => Some("waits for systemd".to_owned()),
            BusState::Down { why, .. } => Some(format!("no connection to systemd: {why}")),
        }
    }

    /// What is not prepared yet.
    fn unprepared(&self, now: Mono, is_up: bool) -> Option<(ObstacleKind, String)> {
        let files = self.files.missing().map(|why| (ObstacleKind::UnitFiles, why));
        files.or_else(|| self.prepare.missing(now, is_up))
    }

    /// How split brain is avoided. That there is no peer is to be believed only if DRBD was told of all there are.
    pub(super) fn policy(&self, node: &Node) -> Policy {
        let peers = || node.resource(self.name.as_str()).is_some_and(|resource| !resource.connections.is_empty());
        match self.options.policy() {
            Policy::Alone if self.prepare.adjust_failed() || peers() => Policy::None,
            policy => policy,
        }
    }

    /// The first of its units that systemd has not told, though it can be spoken to.
    pub(super) fn untold(&self, node: &Node) -> Option<&UnitName> {
        let units = node.units();
        if *units.bus() != BusState::Up {
            return None;
        }
        self.set.all().find(|unit| self.shell.is_none() && !units.is_told(unit.as_str()))
    }

    fn decide(&mut self, cx: &Context<'_>, services: Services) -> Decision {
        self.tries.prune(cx.now, &self.settings);
        let resource = cx.node.resource(self.name.as_str());
        let policy = self.policy(cx.node);
        let delay = resource.map_or_else(Delay::default, |resource| {
            let diskless = self.prepare.has_diskless_lower();
            delay::delay(
                resource,
                &self.settings,
                policy,
                self.options.peers(),
                &cx.host.node,
                self.options.node_id(),
                diskless,
            )
        });
        // To whom it is given has to start it: without quorum and fencing nobody would.
        let is_managed = matches!(policy, Policy::Quorum | Policy::Fencing);
        let failback = resource.filter(|_| services == Services::On && is_managed).and_then(|resource| {
            self.failback.ready(cx.now, resource, &self.settings, self.options.peers(), &cx.host.node, cx.wall)
        });
        let since = self.levels.since();
        let mut situation = Situation {
            now: cx.now,
            settings: &self.settings,
            resource,
            stale: (!Self::is_live(cx.node)).then_some("no news of DRBD: what is known is old"),
            no_units: self.no_units(cx.node),
            untold: self.untold(cx.node),
            services,
            set: &self.set,
            units: cx.node.units(),
            policy,
            peers: self.options.peers(),
            unprepared: self.unprepared(cx.now, resource.is_some()),
            hold: self.held.hold(),
            drained: cx.drained,
            blocked: self.tries.blocked(&self.settings),
            free_since: None,
            not_before: self.tries.not_before(),
            refused: self.tries.refused(),
            unguarded_start: self.settings.unguarded_start && !self.start_list.had_its_start(),
            adopted: self.levels.adopted(),
            quorum_lost_since: since.quorum_lost,
            data_lost_since: since.data_lost,
            froze: self.freezer.froze(),
            maybe_frozen: self.freezer.maybe_frozen().cloned().collect(),
            not_primary_since: since.not_primary,
            was_primary: self.levels.was_primary(),
            leaving: self.failures.leaving(),
            more_units: self.start_list.has_changed(),
            newcomers: self.start_list.newcomers(),
            restart: self.start_list.restart(),
            failback,
            restarts: &self.restarts,
            delay,
        };
        situation.free_since = self.levels.free_since(cx.now, is_free(&situation));
        let (free_since, decision) = (situation.free_since, plan(&situation));
        self.levels.is_free_since(free_since);
        decision
    }

    fn carry_out(&mut self, cx: &mut Context<'_>, decision: Decision) {
        if let Some((at, timer)) = decision.again {
            self.timers.set(timer, at);
        }
        // What is due and waits for something else, for example for the start of another unit, is looked at with the news of that.
        self.timers.set(Timer::LocalRestart, self.restarts.next().filter(|at| *at > cx.now));
        self.standing.judged(cx.now, decision.state, &decision.because, decision.obstacle.clone());
        if self.shell.is_some() {
            return self.carry_out_by_shell(cx, decision);
        }
        if self.no_units(cx.node).is_none() {
            let freezes = decision.state == StateWord::Frozen && !matches!(decision.verdict, Verdict::Thaw(_));
            let (news, again) = self.freezer.observe(cx.now, cx.node.units(), freezes);
            self.timers.set(Timer::FreezerNews, again);
            for text in news {
                self.note(cx, NoteLevel::Warn, format!("{}: {text}", self.name));
            }
        }
        // Whatever came between, a restart is due until all units are up.
        if !self.set.is_incomplete(cx.node.units()) {
            self.start_list.forget_restart();
        }
        if matches!(decision.state, StateWord::Running | StateWord::Frozen)
            && !matches!(decision.verdict, Verdict::Stop(_))
        {
            // Nothing has to stop: the next time is the first one.
            self.stops.worked();
        }
        match decision.verdict {
            Verdict::Leave => {}
            Verdict::Start => self.start(cx, decision.because, false),
            Verdict::Restart(_) => self.start(cx, decision.because, true),
            Verdict::Stop(cause) => self.stop(cx, &cause, decision.because),
            Verdict::Freeze(units) => {
                if self.freezer.begins() {
                    self.memory_changed = true;
                    self.keep_memory(cx);
                }
                self.freeze_or_thaw(cx, UnitVerb::Freeze, units, decision.because);
            }
            Verdict::Thaw(units) => self.freeze_or_thaw(cx, UnitVerb::Thaw, units, decision.because),
        }
    }

    /// Keeps what has to outlive the daemon, if it changed.
    pub(super) fn keep_memory(&mut self, cx: &mut Context<'_>) {
        if !std::mem::take(&mut self.memory_changed) {
            return;
        }
        let mut memory = self.memory_without_failures();
        if memory.frozen {
            memory.frozen_units = self.set.can_be_frozen().cloned().collect();
        }
        self.tries.remember(cx.now, cx.wall, &mut memory);
        let because = vec![Reason("it has to outlive a restart of the daemon".to_owned())];
        cx.effect(because, Effect::Remember { resource: self.name.clone(), memory });
    }

    /// What outlives the resource's being configured.
    pub(super) fn memory_without_failures(&self) -> Memory {
        Memory { hold: self.held.hold().cloned(), frozen: self.freezer.froze(), ..Memory::default() }
    }

    /// What was kept by the daemon before this one.
    pub(super) fn recall(&mut self, cx: &Context<'_>, memory: &Memory) {
        self.held.recall(cx.now, cx.wall, memory.hold.as_ref());
        self.freezer.recall(memory.frozen);
        // By the clock as it is now: what is recalled again and again would begin anew each time.
        self.memory_changed |= self.tries.recall(cx.now, cx.wall, memory);
    }

    pub(super) fn note(&self, cx: &mut Context<'_>, level: NoteLevel, text: String) {
        cx.effect(vec![Reason(format!("{} is run by this promoter", self.name))], Effect::Note { level, text });
    }

    /// Whether an adjust brings it up just now: what its links and disks look like meanwhile says nothing.
    pub(super) fn is_adjusting(&self, now: Mono) -> bool {
        self.prepare.quiet_until().is_some_and(|until| until > now)
    }
}

impl Machine {
    /// What the entries say of restarts.
    pub(super) fn allowed(&self) -> Allowed {
        let entries = self.settings.start.iter().filter(|entry| entry.how.restart > 0);
        let units = entries
            .map(|entry| (units::unit_of(&self.name, &entry.what), (entry.how.restart, entry.how.restart_delay)));
        Allowed { units: units.collect(), window: self.settings.failure_window }
    }
}

fn unit_set(name: &ResourceName, settings: &PromotedResource) -> UnitSet {
    let entries = settings.start.iter().filter(|_| settings.runner == Runner::Systemd);
    let unit = |entry: &Entry| units::unit_of(name, &entry.what);
    let spare = entries.clone().filter(|entry| !entry.is_needed()).map(unit).collect();
    UnitSet { target: units::target(name), promote: units::promote(name), members: entries.map(unit).collect(), spare }
}
