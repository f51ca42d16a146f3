//! One promoted resource: what is known of it besides its present state, and how a decision becomes actions.
//!
//! What is decided follows from levels every time ([`plan`](super::plan::plan)); the state kept here is what has failed, what has to leave, and what is
//! under way (`work.rs` has the drawing of starts and stops).

mod asking;
mod preparing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::action::{Deed, DrbdCall, Reason};
use crate::ids::{ActionId, Mono, ResourceName, UnitName};
use crate::model::objects::Resource;
use crate::model::reports::NoteLevel;
use crate::model::{Node, SourceState};
use crate::operator::{Hold, Memory};
use crate::plugin::Context;
use crate::settings::promoter::{OnQuorumLoss, PromotedResource, RepairLinks, Runner};
use crate::systemd::{ActiveState, BusState, UnitVerb};

use super::delay::{self, Delay};
use super::examine::{Examination, Of};
use super::failback::Failback;
use super::failures::Failures;
use super::freezer::Freezer;
use super::hang::Hang;
use super::links::Links;
use super::options::Options;
use super::plan::{Decision, Situation, StopCause, Verdict, plan};
use super::policy::Policy;
use super::prepare::Prepare;
use super::repeat::{self, Pace, Repeat};
use super::report::{PastDecision, StateWord, Trouble};
use super::services::{Services, UnitSet};
use super::shell::Shell;
use super::timers::{Timer, TimerTable};
use super::tries::Tries;
use super::unit_files::UnitFiles;
use super::units;
use super::untold::Untold;
use super::work::{Phase, Start, Work};
use super::{names, view};

/// How long to wait for the outcome of a start. systemd's own time limits end it before; this is for a systemd that does not answer.
const START_DEADLINE: Duration = Duration::from_secs(6 * 3600);
/// The same for a stop.
const STOP_DEADLINE: Duration = Duration::from_secs(1800);
/// The same for everything without a job.
const CALL_DEADLINE: Duration = Duration::from_secs(25);
/// How long systemd's news of an active target may lag behind the end of its job.
const SETTLE: Duration = Duration::from_secs(5);
/// The same for a freeze. A process that waits for its disk keeps systemd from answering; that it is being frozen is known at once.
const FREEZE_DEADLINE: Duration = Duration::from_secs(5);
/// Without a word of the source the unit files are written for DRBD 9 after this time: it may be `drbdadm adjust` that loads the module.
const SOURCE_PATIENCE: Duration = Duration::from_secs(2);
/// How long a start may take to the promotion before people are told.
const START_HANGS: Duration = Duration::from_secs(10);
/// How long after a start was pre-empted its promotion may still come through.
const PREEMPTED: Duration = Duration::from_secs(60);
/// Decisions remembered.
const HISTORY: usize = 32;

/// See the module's head.
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
    /// What is wrong here without any decision that would say so.
    pub(super) troubles: Vec<Trouble>,
    /// Since when units run although their target does not.
    pub(super) outside_since: Option<Mono>,
    pub(super) hold: Option<Hold>,
    pub(super) shell: Option<Shell>,
    pub(super) work: Work,
    pub(super) exit: Exit,
    /// We froze its services and have not thawed them.
    pub(super) froze: bool,
    /// Something of [`Memory`] changed since it was last kept.
    pub(super) memory_changed: bool,
    pub(super) failures: Failures,
    untold: Untold,
    /// The list of units changed, and the target has not been started since.
    more_units: bool,
    /// Units that are new in the list and have not been started since: how they ended before is not our business.
    pub(super) newcomers: BTreeSet<UnitName>,
    /// It was started, or ran somewhere, since we came.
    had_its_start: bool,
    /// Why units that had failed were started again, as long as nobody knows whether that came through: with the start they were reset, and
    /// nothing else would tell then that something is to be started.
    pub(super) restart: Vec<Reason>,
    /// The state of what was told: one word, since when, why.
    pub(super) state: StateWord,
    pub(super) since: Mono,
    pub(super) because: Vec<Reason>,
    /// When to judge again without news, and what for.
    pub(super) timers: TimerTable,
    pub(super) history: VecDeque<(Option<ActionId>, PastDecision)>,
    /// It panicked: nothing is decided before then.
    pub(super) rest_until: Option<Mono>,
    born: Mono,
    pub(super) levels: Levels,
    pub(super) freezer: Freezer,
    /// Stops after which something still ran.
    pub(super) stops: Repeat,
    pub(super) stop_pace: Pace,
    /// Why it was stopped last.
    stopped_for: Option<StopCause>,
    pub(super) link_adjust: Option<ActionId>,
    /// `drbdsetup secondary --force` that has not ended: with I/O that hangs it may take its time, and a second one would wait beside it.
    pub(super) forcing: Option<ActionId>,
    pub(super) configuration: Configuration,
    /// When a stop pre-empted a start of ours: its promotion may come through all the same.
    preempted: Option<Mono>,
}

/// Since when levels hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Levels {
    eligible_since: Option<Mono>,
    /// Whether that was as Primary.
    eligible_as_primary: bool,
    quorum_lost_since: Option<Mono>,
    data_lost_since: Option<Mono>,
    not_primary_since: Option<Mono>,
    was_primary: bool,
    /// Since when nobody is Primary.
    pub(super) nowhere_since: Option<Mono>,
    /// Since when something of it is up although its target is down and this node is Secondary.
    pub(super) left_since: Option<Mono>,
    judged: bool,
    adopted: bool,
}

/// `drbd@NAME.target`, which every start needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Configuration {
    /// It is to be brought up before the first start.
    Due,
    /// It was asked for; by what, if it was not a start.
    Asked(Option<ActionId>),
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
            troubles: Vec::new(),
            outside_since: None,
            hold: None,
            shell,
            work: Work::begin(Phase::Idle),
            exit: Exit::No,
            froze: false,
            memory_changed: false,
            failures: Failures::default(),
            untold: Untold::default(),
            more_units: false,
            newcomers: BTreeSet::new(),
            had_its_start: false,
            restart: Vec::new(),
            state: StateWord::Preparing,
            since: now,
            because: Vec::new(),
            timers: TimerTable::default(),
            history: VecDeque::new(),
            rest_until: None,
            born: now,
            levels: Levels::default(),
            freezer: Freezer::default(),
            stops: Repeat::default(),
            stop_pace: repeat::starts_and_stops(),
            stopped_for: None,
            link_adjust: None,
            forcing: None,
            configuration: Configuration::Due,
            preempted: None,
            name,
            settings,
        }
    }

    /// Takes other settings. What runs goes on; units that are new in the list are started if the others run.
    pub(super) fn reconfigure(&mut self, cx: &mut Context<'_>, settings: PromotedResource) {
        let set = unit_set(&self.name, &settings);
        self.let_go(cx, |unit| !set.members.contains(unit));
        let is_new = |unit: &&UnitName| !self.set.members.contains(unit) || self.newcomers.contains(*unit);
        self.newcomers = set.members.iter().filter(is_new).cloned().collect();
        self.set = set;
        if self.settings.runner != settings.runner {
            self.shell = (settings.runner == Runner::Shell).then(Shell::default);
            if !self.work.is_idle() {
                self.work.enter(Phase::Idle);
            }
        }
        // Commands are run at the next start: what the old ones started is not known by name.
        self.more_units |= self.shell.is_none() && settings.start != self.settings.start;
        self.settings = settings;
        self.options.read_again(cx.now);
        self.files.again();
    }

    /// Takes over what is no level and must not be lost, of a machine that can't be trusted otherwise. `is_sent` = an action is under way; those
    /// of the call that panicked never are.
    pub(super) fn inherit(&mut self, old: &Self, is_sent: impl Fn(ActionId) -> bool) {
        self.hold.clone_from(&old.hold);
        self.froze = old.froze;
        self.exit = old.exit;
        self.levels = old.levels.clone();
        self.failures.leaving.clone_from(&old.failures.leaving);
        self.tries.inherit(&old.tries);
        self.failback = old.failback.clone();
        self.options = old.options.clone().after_a_panic();
        self.hang = old.hang.clone();
        self.troubles.clone_from(&old.troubles);
        self.stops = old.stops;
        self.stopped_for.clone_from(&old.stopped_for);
        self.stop_pace.clone_from(&old.stop_pace);
        (self.more_units, self.preempted) = (old.more_units, old.preempted);
        self.newcomers.clone_from(&old.newcomers);
        self.outside_since = old.outside_since;
        (self.state, self.since) = (old.state, old.since);
        self.history.clone_from(&old.history);
        self.files = old.files.clone().after_a_panic(&is_sent);
        self.prepare = old.prepare.clone().after_a_panic(&is_sent);
        if old.configuration != Configuration::Due {
            self.configuration = Configuration::Asked(None);
        }
        self.work = old.work.after_a_panic(&is_sent);
        self.link_adjust = old.link_adjust.filter(|id| is_sent(*id));
        self.forcing = old.forcing.filter(|id| is_sent(*id));
        self.shell = old.shell.clone().map(|shell| shell.after_a_panic(is_sent));
        self.memory_changed = true;
    }

    /// Units to be told of; none with the shell runner.
    pub(super) fn followed(&self) -> impl Iterator<Item = &UnitName> {
        // Who adjusts nothing has nobody to wait for.
        let drbd_service = self.settings.adjust_resource_on_start.then(|| self.prepare.service_unit());
        self.set.all().chain(drbd_service).filter(|_| self.shell.is_none())
    }

    /// When to judge again at the latest.
    pub(super) fn due(&self) -> Option<Mono> {
        self.timers.next().map(|(at, _)| at)
    }

    /// Looks at everything, decides, and asks for what is to be done.
    pub(super) fn judge(&mut self, cx: &mut Context<'_>) {
        if self.exit != Exit::No {
            // Nothing is decided any more, but what an operator asks for now counts for the next start.
            return self.keep_memory(cx);
        }
        self.timers.stop_all();
        if let Some(until) = self.rest_until.filter(|until| *until > cx.now) {
            self.timers.set(Timer::Rest, until);
            return self.keep_memory(cx);
        }
        self.prepare_next(cx);
        if cx.settled {
            self.read_options(cx);
            let services = self.services(cx.node);
            self.observe(cx, services);
            // A start that failed or that succeeded shows in what is observed.
            let services = self.services(cx.node);
            let decision = self.decide(cx, services);
            self.carry_out(cx, decision);
            self.bring_up_configuration(cx, services);
            self.care_for_links(cx);
            self.ask_why_it_hangs(cx);
            self.look_for_troubles(cx);
        }
        self.keep_memory(cx);
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

    /// Takes note of since when the levels hold, and of failures.
    fn observe(&mut self, cx: &mut Context<'_>, services: Services) {
        let now = cx.now;
        self.observe_untold(cx);
        if self.no_units(cx.node).is_none() && self.untold(cx.node).is_none() {
            self.observe_units(cx, services);
        }
        if !Self::is_live(cx.node) {
            // Nothing is eligible by an old picture: a delay begins anew.
            self.levels.eligible_since = None;
            return;
        }
        let Some(resource) = cx.node.resource(self.name.as_str()) else {
            self.levels = Levels { judged: self.levels.judged, ..Levels::default() };
            self.failures.resource_is_gone();
            self.hang = Hang::default();
            return;
        };
        self.failback.observe(now, resource);
        self.had_its_start |= primary_somewhere(resource);
        self.links.observe(now, resource);
        let frozen = self.froze || self.settings.on_quorum_loss == OnQuorumLoss::Freeze;
        self.hang.observe(now, resource, cx.node.blocking().contains(&self.name), frozen);
        let primary = view::is_primary(resource);
        let nowhere = view::runs_nowhere(resource, self.policy(cx.node)) && services != Services::On;
        let left = services == Services::Off && !self.left_behind(cx).is_empty();
        let levels = &mut self.levels;
        levels.nowhere_since = nowhere.then(|| levels.nowhere_since.unwrap_or(now));
        levels.left_since = left.then(|| levels.left_since.unwrap_or(now));
        if !std::mem::replace(&mut levels.judged, true) {
            levels.adopted = primary && services == Services::Off;
        }
        levels.adopted &= primary && !self.set.holds_promotion(cx.node.units());
        // systemd kills the promotion that a stop pre-empts, but the kernel may have heard it already: it was ours.
        levels.adopted |= primary && self.preempted.is_some_and(|at| now.since(at) < PREEMPTED);
        if let Some(shell) = &mut self.shell {
            levels.adopted |= shell.observe(primary);
        }
        // A node that is Primary says may_promote:no of itself, which is no news of others.
        if !resource.state.may_promote && !primary {
            self.tries.picture_changed(&self.settings);
        }
        let may = resource.state.may_promote || (primary && (levels.adopted || self.set.promoted(cx.node.units())));
        // A Primary waits from the moment when its services do not run any more.
        let may = may && (!primary || matches!(services, Services::Off | Services::Half));
        let eligible = may && view::primary_peers(resource).is_empty() && view::without_quorum(resource).is_empty();
        // Being Primary and being free to become it are two things: a node that has just let go waits like any other.
        if std::mem::replace(&mut levels.eligible_as_primary, primary) != primary {
            levels.eligible_since = None;
        }
        levels.eligible_since = eligible.then(|| levels.eligible_since.unwrap_or(now));
        let lost = !view::without_quorum(resource).is_empty();
        levels.quorum_lost_since = lost.then(|| levels.quorum_lost_since.unwrap_or(now));
        let lost = primary && !view::without_data(resource).is_empty();
        levels.data_lost_since = lost.then(|| levels.data_lost_since.unwrap_or(now));
        let odd = services.is_any() && !primary;
        levels.not_primary_since = odd.then(|| levels.not_primary_since.unwrap_or(now));
        levels.was_primary = services.is_any() && (levels.was_primary || primary);
    }

    fn observe_units(&mut self, cx: &mut Context<'_>, services: Services) {
        self.settle(cx, services);
        self.has_stopped(cx);
        if services == Services::Off {
            self.stops.worked();
            if std::mem::take(&mut self.froze) {
                self.memory_changed = true;
            }
        }
        if self.froze && services == Services::On && self.levels.quorum_lost_since.is_none() {
            self.froze = !self.set.frozen(cx.node.units()).is_empty();
            self.memory_changed |= !self.froze;
        }
        self.count_failures(cx, services);
    }

    /// The job of a start is done: whether its target became active.
    fn settle(&mut self, cx: &mut Context<'_>, services: Services) {
        let Phase::Settling { start, until } = self.work.phase() else { return };
        let (start, until) = (start.clone(), *until);
        if services == Services::On {
            return self.work.enter(Phase::Idle);
        }
        if until > cx.now {
            return self.timers.set(Timer::Settling, until);
        }
        self.work.enter(Phase::Idle);
        if self.was_promoted(cx, &start) {
            self.start_failed(cx, None, "its target is not active after its start".to_owned());
        } else {
            self.lost_race(cx, None);
        }
    }

    /// The job of a stop is done: whether all went down.
    fn has_stopped(&mut self, cx: &Context<'_>) {
        let Phase::Stopped { until } = *self.work.phase() else { return };
        let told = self.set.services(cx.node.units());
        if matches!(told, Services::Off | Services::Stopping) {
            return self.work.enter(Phase::Idle);
        }
        if until > cx.now {
            return self.timers.set(Timer::Stopped, until);
        }
        // systemd says that the stop is done, and something runs all the same. The wait for that was the first pause.
        self.work.enter(Phase::Idle);
        self.stops.tried(Mono(until.0.saturating_sub(u64::try_from(SETTLE.as_nanos()).unwrap_or(0))));
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

    /// How split brain is avoided. That there is no peer is to be believed only if DRBD was told of all there are.
    pub(super) fn policy(&self, node: &Node) -> Policy {
        let peers = || node.resource(self.name.as_str()).is_some_and(|resource| !resource.connections.is_empty());
        match self.options.policy() {
            Policy::Alone if self.prepare.adjust_failed() || peers() => Policy::None,
            policy => policy,
        }
    }

    /// The first of its units that systemd has not told, though it can be spoken to.
    fn untold(&self, node: &Node) -> Option<&UnitName> {
        let units = node.units();
        if *units.bus() != BusState::Up {
            return None;
        }
        self.set.all().find(|unit| self.shell.is_none() && !units.is_told(unit.as_str()))
    }

    fn observe_untold(&mut self, cx: &mut Context<'_>) {
        let unit = self.untold(cx.node).cloned();
        let seen = self.untold.observe(cx.now, unit.as_ref());
        self.timers.set(Timer::UntoldUnit, seen.again);
        if let Some(news) = seen.news {
            let level = if unit.is_some() { NoteLevel::Warn } else { NoteLevel::Info };
            self.note(cx, level, format!("{}: {news}", self.name));
        }
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
        let failback = resource.filter(|_| services == Services::On).and_then(|resource| {
            self.failback.ready(cx.now, resource, &self.settings, self.options.peers(), &cx.host.node, cx.wall)
        });
        plan(&Situation {
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
            unprepared: self.files.missing().or_else(|| self.prepare.missing(cx.now, resource.is_some())),
            hold: self.hold.as_ref(),
            blocked: self.tries.blocked(&self.settings),
            eligible_since: self.levels.eligible_since,
            not_before: self.tries.not_before(),
            refused: self.tries.refused(),
            unguarded_start: self.settings.unguarded_start && !self.had_its_start,
            adopted: self.levels.adopted,
            quorum_lost_since: self.levels.quorum_lost_since,
            data_lost_since: self.levels.data_lost_since,
            froze: self.froze,
            maybe_frozen: self.freezer.maybe_frozen().cloned().collect(),
            not_primary_since: self.levels.not_primary_since,
            was_primary: self.levels.was_primary,
            leaving: self.failures.leaving.as_ref().map(|leaving| leaving.because.as_slice()),
            more_units: self.more_units,
            newcomers: &self.newcomers,
            restart: &self.restart,
            failback,
            delay,
        })
    }

    fn carry_out(&mut self, cx: &mut Context<'_>, decision: Decision) {
        if let Some((at, timer)) = decision.again {
            self.timers.set(timer, at);
        }
        if self.state != decision.state {
            self.state = decision.state;
            self.since = cx.now;
        }
        self.because.clone_from(&decision.because);
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
            self.restart.clear();
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
                if !std::mem::replace(&mut self.froze, true) {
                    self.memory_changed = true;
                    self.keep_memory(cx);
                }
                self.freeze_or_thaw(cx, UnitVerb::Freeze, units, decision.because);
            }
            Verdict::Thaw(units) => self.freeze_or_thaw(cx, UnitVerb::Thaw, units, decision.because),
        }
    }

    /// The end of the wait for a job's news.
    pub(super) fn settle_deadline(now: Mono) -> Mono {
        now.after(SETTLE)
    }

    fn care_for_links(&mut self, cx: &mut Context<'_>) {
        let live = Self::is_live(cx.node);
        let resource: Option<&Resource> = cx.node.resource(self.name.as_str()).filter(|_| live);
        let Some(resource) = resource else { return };
        if self.settings.repair_links == RepairLinks::Off || self.hold.is_some() {
            return;
        }
        let free = self.link_adjust.is_none() && self.files.are_written() && self.prepare.is_idle();
        let repair = self.settings.repair_links == RepairLinks::Adjust && free;
        if let Some(at) = self.prepare.quiet_until().filter(|at| *at > cx.now) {
            return self.timers.set(Timer::AdjustLate, at);
        }
        let care = self.links.care(cx.now, resource, self.options.peers(), repair, self.prepare.tried());
        for news in care.news {
            self.note(cx, NoteLevel::Warn, news);
        }
        self.timers.set(Timer::Link, care.again);
        if let Some(facts) = care.adjust {
            self.links.repaired(cx.now);
            self.tries.counts.repairs += 1;
            let because: Vec<Reason> = facts.into_iter().map(Reason).collect();
            // Never a disk: who attaches one under the writer of a diskless Primary stops it for good (DRBD 9.3.3), and this node may be one by then.
            let call = DrbdCall::AdjustLinks;
            let id = cx.act(because.clone(), Deed::Drbd { resource: self.name.clone(), call });
            self.link_adjust = Some(id);
            self.decided(cx.now, Some(id), format!("drbdadm {} {}", call.as_str(), self.name), because);
        }
    }

    /// Keeps what has to outlive the daemon, if it changed.
    pub(super) fn keep_memory(&mut self, cx: &mut Context<'_>) {
        if !std::mem::take(&mut self.memory_changed) {
            return;
        }
        let mut memory = Memory { hold: self.hold.clone(), frozen: self.froze, ..Memory::default() };
        self.tries.remember(cx.now, cx.wall, &mut memory);
        let because = vec![Reason("it has to outlive a restart of the daemon".to_owned())];
        cx.act(because, Deed::Remember { resource: self.name.clone(), memory });
    }

    /// What outlives the resource's being configured.
    pub(super) fn memory_without_failures(&self) -> Memory {
        Memory { hold: self.hold.clone(), frozen: self.froze, ..Memory::default() }
    }

    /// What was kept by the daemon before this one.
    pub(super) fn recall(&mut self, cx: &Context<'_>, memory: &Memory) {
        self.hold.clone_from(&memory.hold);
        self.froze = memory.frozen;
        self.tries.recall(cx.now, cx.wall, memory);
    }

    pub(super) fn decided(&mut self, now: Mono, id: Option<ActionId>, what: String, because: Vec<Reason>) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back((id, PastDecision { at: now, what, because, outcome: None }));
    }

    pub(super) fn note(&self, cx: &mut Context<'_>, level: NoteLevel, text: String) {
        cx.act(vec![Reason(format!("{} is run by this promoter", self.name))], Deed::Note { level, text });
    }

    /// Whether an adjust brings it up just now: what its links and disks look like meanwhile says nothing.
    pub(super) fn is_adjusting(&self, now: Mono) -> bool {
        self.prepare.quiet_until().is_some_and(|until| until > now)
    }

    /// Whether a start has not come to the promotion.
    fn is_before_promotion(&self, node: &Node) -> bool {
        let is_primary = node.resource(self.name.as_str()).is_some_and(view::is_primary);
        let starts = self.shell.is_none() && self.state == StateWord::Starting;
        starts && !is_primary && !self.set.holds_promotion(node.units())
    }

    /// A start takes long: systemd is asked, once for each, which unit it is.
    fn ask_why_it_hangs(&mut self, cx: &mut Context<'_>) {
        let start = match self.work.phase() {
            Phase::Starting(start) if !start.is_asked_about() && self.is_before_promotion(cx.node) => start.id,
            _ => return,
        };
        let due = self.since.after(START_HANGS);
        if due > cx.now {
            return self.timers.set(Timer::StartHangs, due);
        }
        self.work.start_waits_for(start, None);
        let target = units::configuration(&self.name);
        let service = UnitName::new(&target.as_str().replace(".target", ".service"));
        self.examine(cx, Of::Hang(start), None, vec![self.set.promote.clone(), target, service]);
    }

    /// A start that has not come to the promotion, and what it waits for: the units before that do nothing that takes long.
    fn start_that_hangs(&self, now: Mono, node: &Node) -> Option<String> {
        if !self.is_before_promotion(node) || now.since(self.since) <= START_HANGS {
            return None;
        }
        let promote = &self.set.promote;
        let what = if let Some(unit) = self.work.start().and_then(Start::waited_for) {
            format!("{promote} waits for {unit}")
        } else if node.units().get(promote.as_str()).is_some_and(|unit| unit.active == ActiveState::Activating) {
            format!("{promote}: drbdsetup primary does not end")
        } else {
            let target = units::configuration(&self.name);
            let service = target.as_str().replace(".target", ".service");
            format!("{promote} waits for {target}, and that for {service}; systemctl list-jobs shows what runs")
        };
        Some(format!("its start has hung for more than {} s: {what}", START_HANGS.as_secs()))
    }

    /// What a person should look at.
    pub(super) fn warnings(&self, now: Mono, node: &Node, own_name: &str) -> Vec<String> {
        let mut out = self.options.warnings().to_vec();
        out.extend(self.prepare.warnings(now));
        out.extend(self.start_that_hangs(now, node));
        out.extend(units::warnings(&self.name, &self.settings, self.files.dialect()));
        if let Some(resource) = node.resource(self.name.as_str()) {
            out.extend(self.links.warnings(resource, self.options.peers()));
            let peers = self.options.peers();
            let known: Vec<String> = resource.connections.keys().map(|peer| peers.of(resource, *peer)).collect();
            let known: BTreeSet<&str> = known.iter().map(String::as_str).chain([own_name]).collect();
            for stranger in names::strangers(&self.settings.preferred_nodes, &known) {
                out.push(format!("preferred-nodes: DRBD knows no node {stranger} of {}", self.name));
            }
        }
        let left_out = self.set.left_out(node.units(), self.settings.target_as).into_iter();
        out.extend(left_out.map(|what| format!("{what}: with target-as = \"Wants\" the others start without it")));
        let failed = self.set.failed(node.units()).into_iter();
        out.extend(failed.map(|(unit, result)| format!("{unit} has failed: {result}")));
        out.extend(self.freezer.problems().map(str::to_owned));
        out.extend(self.shell.iter().filter_map(Shell::problem).map(str::to_owned));
        out.extend(self.untold.warning());
        out
    }
}

fn primary_somewhere(resource: &Resource) -> bool {
    view::is_primary(resource) || !view::primary_peers(resource).is_empty()
}

fn unit_set(name: &ResourceName, settings: &PromotedResource) -> UnitSet {
    let members = match settings.runner {
        Runner::Systemd => settings.start.iter().map(|entry| units::unit_of(name, entry)).collect(),
        Runner::Shell => Vec::new(),
    };
    UnitSet { target: units::target(name), promote: units::promote(name), members }
}
