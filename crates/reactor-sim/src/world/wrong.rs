//! A promoter with a bug: the real one, and something between it and the core that filters what it wants, or adds to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reactor_core::action::{Action, ActionKind, AskTools, Call, Done, DrbdAnswer, DrbdCall, Outcome, Reason, UnitCall};
use reactor_core::change::{Change, EventKind, What};
use reactor_core::drbd::types::{ConnectionState, DiskState, Role};
use reactor_core::ids::{ActionId, Mono, ResourceName, UnitName};
use reactor_core::model::SourceState;
use reactor_core::operator::Memory;
use reactor_core::plugin::promoter::Promoter;
use reactor_core::plugin::promoter::report::{ResourceReport, StateWord, TroubleKind};
use reactor_core::plugin::{Context, Handled, Interest, Plugin, PluginInput, Report, Scope};
use reactor_core::settings::promoter::{OnDiskDetach, OnQuorumLoss, PromoterSettings};
use reactor_core::settings::{PluginKind, PluginSettings};
use reactor_core::systemd::{ActiveState, FreezerState, UnitEnd, UnitVerb};

use super::bugs::Bug;
use super::exit::REASON;
use super::invariants::is_services;

/// What drbd-reactor waits between two starts, of whatever resource.
const LAST_START: Duration = Duration::from_secs(20);

/// How long one refused freeze delays what concerns all.
const ONE_WAIT: Duration = Duration::from_secs(40);

/// How late a late reaction is.
const LATE: Duration = Duration::from_secs(8);

/// Longer than any world.
const NEVER: Duration = Duration::from_secs(1_000_000);

/// At least so long between two panics: what panics more often is given pauses in which nothing is decided.
const STUMBLE: Duration = Duration::from_secs(660);

/// What a panic says that a world has for a fault, and not for a bug.
pub(super) const STUMBLED: &str = "it stumbled";

/// See the module's head.
pub(super) struct Wrong {
    bug: Bug,
    inner: Promoter,
    /// Numbers of the real promoter's own actions.
    next: u64,
    /// The real promoter's action behind one of ours.
    ids: BTreeMap<ActionId, ActionId>,
    last_start: Option<Mono>,
    /// Starts that are held back or due without another look: when, and what.
    later: Vec<(Mono, ActionId, Action)>,
    /// When a start of a resource is due.
    due: BTreeMap<ResourceName, Mono>,
    started: BTreeMap<ResourceName, Mono>,
    starting: BTreeMap<ResourceName, ActionId>,
    live: bool,
    first: bool,
    /// Calls under way: the unit's resource, and what.
    calls: BTreeMap<ActionId, UnitCall>,
    called: u64,
    stumbles: bool,
    stumbled: Option<Mono>,
    /// When a freeze was refused last.
    refused: Option<Mono>,
    settings: PromoterSettings,
    /// Calls of DRBD's tools under way.
    tools: BTreeMap<ActionId, (ResourceName, DrbdCall)>,
    /// DRBD's options as they were read last.
    options: BTreeMap<ResourceName, Outcome>,
    /// What of DRBD's options changed while they were read.
    changed: BTreeSet<ResourceName>,
    /// Resources that a reload changed.
    reloaded: BTreeSet<ResourceName>,
    reloading: bool,
    /// Resources that are to be stopped in this step.
    stopping: BTreeSet<ResourceName>,
    /// Resources whose remembered failures are from the future.
    future: BTreeSet<ResourceName>,
    /// What `drbdsetup show` said when it failed last.
    said: Option<String>,
    /// Resources that an operator wanted stopped, and that were, once.
    stopped_once: BTreeSet<ResourceName>,
    /// What was adjusted.
    adjusted: BTreeSet<ResourceName>,
    /// Links that were repaired, by what was said of them.
    repaired: BTreeSet<String>,
    /// Resources that an operator did not want here at the last look.
    unwanted: BTreeSet<ResourceName>,
}

impl Wrong {
    pub(super) fn new(bug: Bug, settings: PromoterSettings, stumbles: bool) -> Self {
        Self {
            bug,
            inner: Promoter::new(settings.clone()),
            settings,
            next: 1_000_000,
            ids: BTreeMap::new(),
            last_start: None,
            later: Vec::new(),
            due: BTreeMap::new(),
            started: BTreeMap::new(),
            starting: BTreeMap::new(),
            live: false,
            first: true,
            calls: BTreeMap::new(),
            called: 0,
            stumbles,
            stumbled: None,
            refused: None,
            tools: BTreeMap::new(),
            options: BTreeMap::new(),
            changed: BTreeSet::new(),
            reloaded: BTreeSet::new(),
            reloading: false,
            stopping: BTreeSet::new(),
            future: BTreeSet::new(),
            said: None,
            stopped_once: BTreeSet::new(),
            adjusted: BTreeSet::new(),
            repaired: BTreeSet::new(),
            unwanted: BTreeSet::new(),
        }
    }

    /// Calls the real promoter, and passes on what it wants, or not.
    fn call<R>(&mut self, cx: &mut Context<'_>, f: impl FnOnce(&mut Promoter, &mut Context<'_>) -> R) -> R {
        let mut wanted = Vec::new();
        let stumbles = self.who_stumbles(cx);
        let drained = cx.drained.filter(|_| self.bug != Bug::DrainStarts || self.runs_any(cx));
        let result = {
            let mut inner = Context::new(cx.now, cx.node, cx.plugin, &mut self.next, &mut wanted);
            inner.settled = cx.settled;
            inner.host = cx.host;
            inner.wall = cx.wall;
            inner.drained = drained;
            if self.bug != Bug::MoveThaws {
                inner.promoted = cx.promoted;
            }
            inner.orphans = cx.orphans;
            if self.bug != Bug::BuiltAnewEmpty {
                inner.remembered = cx.remembered;
            }
            if let Some(resource) = stumbles {
                let words = if self.bug == Bug::MachinePanics { "a mistake" } else { STUMBLED };
                self.inner.stumble(&mut inner, &resource, words);
            }
            let result = f(&mut self.inner, &mut inner);
            cx.panics += inner.panics;
            result
        };
        let stops = wanted.iter().filter_map(|action| match &action.kind {
            ActionKind::Call(Call::Unit(call)) if call.verb == UnitVerb::Stop && is_services(call) => {
                Some(call.resource.clone())
            }
            _ => None,
        });
        self.stopping = stops.collect();
        for action in wanted {
            self.pass(cx, action);
        }
        self.add(cx);
        result
    }

    /// A fault and no bug: one of the real promoter's machines panics now and then.
    fn who_stumbles(&mut self, cx: &Context<'_>) -> Option<ResourceName> {
        self.called += 1;
        let due = self.stumbled.is_none_or(|at| cx.now.since(at) > STUMBLE) && self.called.is_multiple_of(97);
        if !(self.stumbles || self.bug == Bug::MachinePanics) || !due {
            return None;
        }
        self.stumbled = Some(cx.now);
        let resources: Vec<_> = cx.node.resources().map(|resource| &resource.name).collect();
        let at = usize::try_from(self.called / 97).unwrap_or(0).checked_rem(resources.len())?;
        Some(resources[at].clone())
    }

    fn pass(&mut self, cx: &mut Context<'_>, mut action: Action) {
        let inner = action.id;
        if let (
            Bug::AdjustAttaches,
            ActionKind::Call(Call::Drbd(AskTools { call: call @ DrbdCall::AdjustLinks, .. })),
        ) = (self.bug, &mut action.kind)
        {
            *call = DrbdCall::Adjust;
        }
        if let (Bug::OptionsWhileRead, ActionKind::Call(Call::Drbd(AskTools { resource, call: DrbdCall::Options }))) =
            (self.bug, &action.kind)
            && self.changed.remove(resource)
            && let Some(outcome) = self.options.get(resource).cloned()
        {
            // As if what was read before the change was all there is.
            let done = Done { id: inner, outcome };
            self.call(cx, |inner, cx| inner.on(cx, PluginInput::Done(&done)));
            return;
        }
        if let ActionKind::Call(Call::Drbd(AskTools { resource, call })) = &action.kind
            && self.only_says_so(resource, *call, &action.because)
        {
            let done = Done { id: inner, outcome: Outcome::Drbd(DrbdAnswer::Done) };
            self.call(cx, |inner, cx| inner.on(cx, PluginInput::Done(&done)));
            return;
        }
        if let ActionKind::Call(Call::Unit(call)) = &mut action.kind {
            match (self.bug, call.verb) {
                (Bug::StandbyForgotten, UnitVerb::Start)
                    if call.unit.as_str().starts_with("storage-reactor-standby@") =>
                {
                    let done = Done { id: inner, outcome: Outcome::Unit(UnitEnd::Done) };
                    self.call(cx, |inner, cx| inner.on(cx, PluginInput::Done(&done)));
                    return;
                }
                (Bug::StandbyAwaited, UnitVerb::Start)
                    if is_services(call) && self.runs_standby(cx, &call.resource) =>
                {
                    return self.later.push((cx.now.after(NEVER), inner, action));
                }
                (Bug::ForgottenThaw, UnitVerb::Thaw) => return,
                (Bug::StopOnlyHolds, UnitVerb::Stop) if is_operators(&action.because) => return,
                (Bug::OperatorStopsOnce, UnitVerb::Stop)
                    if is_operators(&action.because) && !self.stopped_once.insert(call.resource.clone()) =>
                {
                    return;
                }
                (Bug::OperatorStopsOnce, UnitVerb::Start) => {
                    self.stopped_once.remove(&call.resource);
                }
                (Bug::FreezingNotThawed, UnitVerb::Thaw) if is_freezing(cx, &call.unit) => return,
                (Bug::NoThawBeforeStop, UnitVerb::Thaw) if self.stopping.contains(&call.resource) => return,
                (Bug::ReloadForgetsFrozen, UnitVerb::Thaw) if self.has_forgotten_frozen(&call.resource) => return,
                (Bug::ReloadForgetsLeaving, UnitVerb::Stop)
                    if self.has_forgotten_leaving(cx, &action.because, call) =>
                {
                    // As if nothing had to stop.
                    let done = Done { id: inner, outcome: Outcome::Unit(UnitEnd::Done) };
                    self.call(cx, |inner, cx| inner.on(cx, PluginInput::Done(&done)));
                    return;
                }
                (Bug::LateSecondary, UnitVerb::Stop)
                    if action.because.iter().any(|reason| reason.0.contains("here while its services run")) =>
                {
                    return self.later.push((cx.now.after(LATE), inner, action));
                }
                (Bug::OneWaitForAll, UnitVerb::Thaw) if self.refused.is_some_and(|at| cx.now.since(at) < ONE_WAIT) => {
                    let at = self.refused.unwrap_or(cx.now).after(ONE_WAIT);
                    return self.later.push((at, inner, action));
                }
                (Bug::FreezePromoteUnit, UnitVerb::Freeze) => {
                    call.unit = UnitName::new(&format!("drbd-promote@{}.service", call.resource));
                }
                (Bug::StartNotPreempted, UnitVerb::Stop) if self.starting.contains_key(&call.resource) => return,
                (Bug::LostDataIgnored, UnitVerb::Stop)
                    if action.because.iter().any(|reason| reason.0.starts_with("no good data of")) =>
                {
                    return;
                }
                (Bug::MendedStays, UnitVerb::Stop)
                    if action.because.first().is_some_and(|reason| reason.0.contains(" ended: ")) =>
                {
                    return;
                }
                (Bug::SharedLastStart, UnitVerb::Start) => {
                    let soon = self.last_start.is_some_and(|at| cx.now.since(at) < LAST_START);
                    if soon {
                        let at = self.last_start.unwrap_or(cx.now).after(LAST_START);
                        return self.later.push((at, inner, action));
                    }
                    self.last_start = Some(cx.now);
                }
                _ => {}
            }
        }
        self.act(cx, inner, action);
    }

    /// Something of `standby` is not down.
    fn runs_standby(&self, cx: &Context<'_>, name: &ResourceName) -> bool {
        let is_up = |unit: &str| {
            let state = cx.node.units().get(unit).map(|unit| &unit.active);
            !matches!(state, None | Some(ActiveState::Inactive | ActiveState::Failed))
        };
        let settings = self.settings.resources.get(name);
        settings.is_some_and(|settings| settings.standby.iter().any(|entry| is_up(entry.name())))
    }

    /// A target of this promoter is up.
    fn runs_any(&self, cx: &Context<'_>) -> bool {
        let is_up = |name: &ResourceName| {
            let target = cx.node.units().get(&format!("drbd-services@{name}.target"));
            target.is_some_and(|unit| unit.active != ActiveState::Inactive)
        };
        self.settings.resources.keys().any(is_up)
    }

    /// A call of DRBD's tools that the bug takes for done.
    fn only_says_so(&mut self, resource: &ResourceName, call: DrbdCall, because: &[Reason]) -> bool {
        match (self.bug, call) {
            (Bug::StopForcesNothing, DrbdCall::SecondaryForce) => true,
            (Bug::ExitForcesNothing, DrbdCall::SecondaryForce) => because.iter().any(|reason| reason.0 == REASON),
            (Bug::NotAdjustedAgain, DrbdCall::Adjust) => !self.adjusted.insert(resource.clone()),
            _ => false,
        }
    }

    /// A reload came since it was frozen, and what is thawed now is thawed by memory.
    fn has_forgotten_frozen(&self, resource: &ResourceName) -> bool {
        let freezes = self
            .settings
            .resources
            .get(resource)
            .is_some_and(|settings| settings.on_quorum_loss == OnQuorumLoss::Freeze);
        !self.stopping.contains(resource) && (self.reloading || (self.reloaded.contains(resource) && !freezes))
    }

    /// A reload came, and nothing but memory says that what runs has failed.
    fn has_forgotten_leaving(&self, cx: &Context<'_>, because: &[Reason], call: &UnitCall) -> bool {
        let Some(settings) = self.settings.resources.get(&call.resource) else { return false };
        let failed = |unit: &str| cx.node.units().get(unit).is_some_and(|unit| unit.active == ActiveState::Failed);
        let is_failure = because.first().is_some_and(|reason| {
            [" ended: ", "has failed:", "the start ended with", "is not active after its start"]
                .iter()
                .any(|words| reason.0.contains(words))
        });
        is_failure && self.reloaded.contains(&call.resource) && settings.start.iter().all(|entry| !failed(entry.name()))
    }

    /// `on-disk-detach` as a program that takes one volume for all of them.
    fn stop_for_one_volume(&self, cx: &mut Context<'_>) {
        for report in self.promoted(cx) {
            let Some(resource) = cx.node.resource(report.resource.as_str()) else { continue };
            let lost = |disk: &DiskState, client: Option<bool>| *disk == DiskState::Diskless && client != Some(true);
            let detached = resource.devices.values().any(|device| lost(&device.state.disk, device.state.client));
            let fails_over = self
                .settings
                .resources
                .get(&report.resource)
                .is_some_and(|settings| settings.on_disk_detach == OnDiskDetach::FailOver);
            let has_one = resource.connections.values().any(|peer| {
                let mut disks = peer.peer_devices.values().map(|device| &device.state.peer_disk);
                peer.state.connection == ConnectionState::Connected && disks.any(|disk| *disk == DiskState::UpToDate)
            });
            let known = cx.node.source() == SourceState::Live
                && *cx.node.units().bus() == reactor_core::systemd::BusState::Up
                && is_all_told(cx, &report);
            // What is not managed is not its business.
            let known = known && report.policy != "none";
            let runs = known && report.state == StateWord::Running && resource.state.role == Role::Primary;
            if runs && detached && fails_over && has_one && cx.settled {
                Self::unit(cx, &report.resource, UnitVerb::Stop, "volume 0 lost its disk here");
            }
        }
    }

    /// The settings as a program has them whose remembered failures never expire.
    fn with_lasting_failures(&self, settings: &PromoterSettings) -> PromoterSettings {
        let mut settings = settings.clone();
        for (name, resource) in &mut settings.resources {
            if self.future.contains(name) {
                resource.failure_window = NEVER;
            }
        }
        settings
    }

    /// Whether nothing but its pause keeps a resource from being started, by what is known here.
    fn may_promote(&self, cx: &Context<'_>, name: &ResourceName) -> bool {
        let idle = |report: &ResourceReport| report.hold.is_none() && report.failures == 0;
        let free = |resource: &reactor_core::model::objects::Resource| {
            let primary = Role::Primary;
            resource.state.may_promote && resource.connections.values().all(|peer| peer.state.peer_role != primary)
        };
        cx.settled
            && cx.node.source() == SourceState::Live
            && *cx.node.units().bus() == reactor_core::systemd::BusState::Up
            && cx.node.resource(name.as_str()).is_some_and(free)
            && self.promoted(cx).iter().any(|report| report.resource == *name && idle(report))
    }

    fn act(&mut self, cx: &mut Context<'_>, inner: ActionId, action: Action) {
        let start = match &action.kind {
            ActionKind::Call(Call::Unit(call)) if call.verb == UnitVerb::Start && is_services(call) => {
                Some(call.resource.clone())
            }
            _ => None,
        };
        let call = match &action.kind {
            ActionKind::Call(Call::Unit(call)) => Some(call.clone()),
            _ => None,
        };
        let tool = match &action.kind {
            ActionKind::Call(Call::Drbd(AskTools { resource, call })) => Some((resource.clone(), *call)),
            _ => None,
        };
        if self.bug == Bug::StartTwice && start.is_some() {
            cx.act(action.because.clone(), action.kind.clone());
        }
        let id = cx.act(action.because, action.kind);
        self.ids.insert(id, inner);
        self.tools.extend(tool.map(|tool| (id, tool)));
        self.calls.extend(call.map(|call| (id, call)));
        if let Some(resource) = start {
            self.started.insert(resource.clone(), cx.now);
            self.starting.insert(resource, id);
        }
    }

    fn unit(cx: &mut Context<'_>, resource: &ResourceName, verb: UnitVerb, why: &str) {
        let unit = UnitName::new(&format!("drbd-services@{resource}.target"));
        let deadline = Duration::from_secs(1800);
        let call = UnitCall { unit, verb, reset: Vec::new(), deadline, resource: resource.clone() };
        cx.call(vec![Reason(why.to_owned())], Call::Unit(call));
    }

    /// What the bug does on top of what the real promoter wants.
    fn add(&mut self, cx: &mut Context<'_>) {
        match self.bug {
            Bug::DetachOneVolume => self.stop_for_one_volume(cx),
            Bug::OneWaitForAll | Bug::LateSecondary => {
                let due: Vec<_> = self.later.extract_if(.., |(at, _, _)| *at <= cx.now).collect();
                for (_, inner, action) in due {
                    self.act(cx, inner, action);
                }
            }
            Bug::StandbyBesidePrimary => {
                for report in self.promoted(cx) {
                    let is_asked = self.calls.values().any(|call| call.resource == report.resource);
                    let down = report.standby.iter().any(|unit| unit.active == "inactive");
                    if report.state == StateWord::Running && cx.settled && down && !is_asked {
                        let unit = UnitName::new(&format!("storage-reactor-standby@{}.target", report.resource));
                        let because = vec![Reason("it is to run on each node".to_owned())];
                        let (verb, deadline) = (UnitVerb::Start, Duration::from_secs(1800));
                        let call = UnitCall { unit, verb, reset: Vec::new(), deadline, resource: report.resource };
                        self.calls.insert(cx.call(because, Call::Unit(call.clone())), call);
                    }
                }
            }
            Bug::StandbyAwaited => {
                let waiting = std::mem::take(&mut self.later);
                let resource = |action: &Action| match &action.kind {
                    ActionKind::Call(Call::Unit(call)) => Some(call.resource.clone()),
                    _ => None,
                };
                for (at, inner, action) in waiting {
                    if resource(&action).is_some_and(|name| self.runs_standby(cx, &name)) {
                        self.later.push((at, inner, action));
                    } else {
                        self.act(cx, inner, action);
                    }
                }
            }
            Bug::SharedLastStart => {
                let due: Vec<_> = self.later.extract_if(.., |(at, _, _)| *at <= cx.now).collect();
                for (_, inner, action) in due {
                    self.last_start = Some(cx.now);
                    self.act(cx, inner, action);
                }
            }
            Bug::StaleDelay => {
                for report in self.promoted(cx) {
                    if let (StateWord::Waiting, Some(at)) = (report.state, report.next) {
                        self.due.entry(report.resource).or_insert(at);
                    } else if report.state == StateWord::Starting || report.state == StateWord::Running {
                        self.due.remove(&report.resource);
                    }
                }
                let due: Vec<_> =
                    self.due.iter().filter(|(_, at)| **at <= cx.now).map(|(name, _)| name.clone()).collect();
                for name in due {
                    self.due.remove(&name);
                    Self::unit(cx, &name, UnitVerb::Start, "DRBD said may_promote:yes");
                }
            }
            Bug::RetryWithoutDelay => {
                for report in self.promoted(cx) {
                    let tried = self.started.get(&report.resource);
                    let due = tried.is_some_and(|at| cx.now.since(*at) >= LAST_START);
                    if due && report.state == StateWord::Waiting && cx.settled {
                        self.started.insert(report.resource.clone(), cx.now);
                        Self::unit(cx, &report.resource, UnitVerb::Start, "DRBD says may_promote:yes");
                    }
                }
            }
            Bug::CountsFromBefore => {
                for report in self.promoted(cx) {
                    if matches!(report.state, StateWord::Held | StateWord::Drained) {
                        self.unwanted.insert(report.resource);
                        continue;
                    }
                    let was = self.unwanted.remove(&report.resource);
                    let pauses = report.because.iter().any(|reason| reason.0.contains("back-off"));
                    let waits = was && report.state == StateWord::Waiting && !pauses && is_all_told(cx, &report);
                    if waits && self.may_promote(cx, &report.resource) {
                        Self::unit(cx, &report.resource, UnitVerb::Start, "DRBD says may_promote:yes");
                    }
                }
            }
            Bug::ActOnReplay => {
                let live = cx.node.source() == SourceState::Live;
                if live && !self.live && cx.settled {
                    for report in self.promoted(cx) {
                        let may = cx
                            .node
                            .resource(report.resource.as_str())
                            .is_some_and(|resource| resource.state.may_promote || report.state == StateWord::Running);
                        if may {
                            Self::unit(cx, &report.resource, UnitVerb::Start, "DRBD says may_promote:yes");
                        }
                    }
                }
                self.live = live;
            }
            Bug::StopOnRestart if cx.settled && cx.node.source() == SourceState::Live && self.first => {
                self.first = false;
                for report in self.promoted(cx) {
                    Self::unit(cx, &report.resource, UnitVerb::Stop, "the daemon has just started");
                }
            }
            Bug::StopOnSourceDeath => {
                let live = cx.node.source() == SourceState::Live;
                if self.live && !live {
                    for report in self.promoted(cx) {
                        Self::unit(cx, &report.resource, UnitVerb::Stop, "events2 has ended");
                    }
                }
                self.live = live;
            }
            Bug::RestartNoPause => {
                for report in self.promoted(cx) {
                    let says = |words: &str| report.because.iter().any(|reason| reason.0.contains(words));
                    let name = &report.resource;
                    let is_asked = self.calls.values().any(|call| call.resource == *name);
                    let pauses = report.state == StateWord::Waiting && says("has failed: ") && says("of back-off");
                    if pauses && cx.settled && !is_asked {
                        Self::unit(cx, name, UnitVerb::Start, "on-service-failure = \"restart\"");
                    }
                }
            }
            Bug::RepairDiverged => {
                for report in self.promoted(cx).into_iter().filter(|report| report.hold.is_none()) {
                    let mut said = report.warnings.into_iter().filter(|text| text.contains("StandAlone: split brain"));
                    let is_asked = self.tools.values().any(|(name, _)| *name == report.resource);
                    if let Some(text) = said.find(|text| !self.repaired.contains(text))
                        && cx.settled
                        && !is_asked
                    {
                        self.repaired.insert(text.clone());
                        let tool = (report.resource.clone(), DrbdCall::AdjustLinks);
                        let call = AskTools { resource: report.resource, call: DrbdCall::AdjustLinks };
                        self.tools.insert(cx.call(vec![Reason(text)], Call::Drbd(call)), tool);
                    }
                }
            }
            Bug::StopOnLostPeer => {
                for report in self.promoted(cx) {
                    let Some(resource) = cx.node.resource(report.resource.as_str()) else { continue };
                    let lost = resource
                        .connections
                        .values()
                        .any(|connection| connection.state.connection != ConnectionState::Connected);
                    if lost && report.state == StateWord::Running && cx.settled {
                        Self::unit(cx, &report.resource, UnitVerb::Stop, "a peer is not connected");
                    }
                }
            }
            _ => {}
        }
    }

    fn own_deadline(&self) -> Option<Mono> {
        if self.bug == Bug::DeadlineStays && !self.started.is_empty() {
            return Some(Mono::ZERO);
        }
        let later = self.later.iter().map(|(at, _, _)| *at);
        let due = self.due.values().copied();
        let retry = self.started.values().map(|at| at.after(LAST_START)).filter(|_| self.bug == Bug::RetryWithoutDelay);
        later.chain(due).chain(retry).min()
    }
}

/// An operator wants it stopped.
fn is_operators(because: &[Reason]) -> bool {
    let words = ["stopped by ", "left to ", "this node is drained by "];
    because.first().is_some_and(|reason| words.iter().any(|words| reason.0.starts_with(words)))
}

/// systemd has answered about all units of a resource.
fn is_all_told(cx: &Context<'_>, report: &ResourceReport) -> bool {
    let promote = format!("drbd-promote@{}.service", report.resource);
    let own = [report.target.as_str(), promote.as_str()];
    own.into_iter().chain(report.units.iter().map(|unit| unit.unit.as_str())).all(|unit| cx.node.units().is_told(unit))
}

/// systemd says that a unit is on its way to be frozen.
fn is_freezing(cx: &Context<'_>, unit: &UnitName) -> bool {
    cx.node.units().get(unit.as_str()).is_some_and(|state| state.freezer == FreezerState::Freezing)
}

impl Plugin for Wrong {
    fn kind(&self) -> PluginKind {
        PluginKind::Promoter
    }

    fn interest(&self) -> Interest {
        Interest { scope: Scope::Everything, ..self.inner.interest() }
    }

    fn on(&mut self, cx: &mut Context<'_>, input: PluginInput<'_>) -> Handled {
        match input {
            PluginInput::Done(done) => return self.done(cx, done),
            PluginInput::Settings(PluginSettings::Promoter(settings)) => return self.reload(cx, settings),
            PluginInput::Remembered(memories) => return self.remembered(cx, memories),
            PluginInput::Change(change) => self.note_change(change),
            _ => {}
        }
        let handled = self.call(cx, |inner, cx| inner.on(cx, input));
        if matches!(input, PluginInput::Deadline) && self.bug == Bug::RetryWithoutDelay {
            let now = cx.now;
            self.started.retain(|_, at| now.since(*at) < LAST_START);
        }
        handled
    }

    fn next_deadline(&self) -> Option<Mono> {
        [self.inner.next_deadline(), self.own_deadline()].into_iter().flatten().min()
    }

    fn report(&self, report: Report<'_>) {
        match report {
            Report::Promoted(cx, reports) => {
                let before = reports.len();
                self.inner.report(Report::Promoted(cx, reports));
                let hidden = match self.bug {
                    Bug::HangNotShown => TroubleKind::IoHangs,
                    Bug::NowhereNotShown => TroubleKind::RunsNowhere,
                    Bug::OutsideNotShown => TroubleKind::OutsideTarget,
                    Bug::ShowFailureForgets => {
                        // It is told all the same.
                        for report in &mut reports[before..] {
                            report.warnings.extend(self.said.iter().cloned());
                        }
                        return;
                    }
                    _ => return,
                };
                for report in &mut reports[before..] {
                    report.troubles.retain(|trouble| trouble.kind != hidden);
                }
            }
            Report::Status(_) => {}
            other @ (Report::Counters(_) | Report::Likeness(..) | Report::Incidents(_) | Report::Unkept(_)) => {
                self.inner.report(other);
            }
        }
    }
}

impl Wrong {
    /// What the real promoter says of its resources.
    fn promoted(&self, cx: &Context<'_>) -> Vec<ResourceReport> {
        let mut reports = Vec::new();
        self.inner.report(Report::Promoted(&cx.view(), &mut reports));
        reports
    }

    fn done(&mut self, cx: &mut Context<'_>, done: &Done) -> Handled {
        self.starting.retain(|_, id| *id != done.id);
        let call = self.calls.remove(&done.id);
        let tool = self.tools.remove(&done.id);
        let mut outcome = done.outcome.clone();
        match (self.bug, &tool, &done.outcome) {
            (Bug::ShowFailureForgets, Some((_, DrbdCall::Options)), Outcome::Drbd(DrbdAnswer::Failed { why })) => {
                self.said = Some(why.clone());
                outcome = Outcome::Drbd(DrbdAnswer::Options(Box::default()));
            }
            (Bug::OptionsWhileRead, Some((resource, DrbdCall::Options)), Outcome::Drbd(DrbdAnswer::Options(_))) => {
                self.options.insert(resource.clone(), outcome.clone());
            }
            (
                Bug::AdjustNoPause,
                Some((resource, call @ (DrbdCall::Adjust | DrbdCall::AdjustLinks))),
                Outcome::Drbd(DrbdAnswer::Failed { .. }),
            ) => {
                let because = vec![Reason("it failed, and is tried again".to_owned())];
                let again =
                    cx.act(because, ActionKind::Call(Call::Drbd(AskTools { resource: resource.clone(), call: *call })));
                self.tools.insert(again, (resource.clone(), *call));
            }
            _ => {}
        }
        match (self.bug, &call, &done.outcome) {
            (Bug::StopTimeoutIsDone, Some(call), Outcome::Unit(UnitEnd::TimedOut))
            | (Bug::StopFailureIsDone, Some(call), Outcome::Unit(UnitEnd::Job(_)))
                if call.verb == UnitVerb::Stop =>
            {
                outcome = Outcome::Unit(UnitEnd::Done);
            }
            (Bug::NoPause, Some(call), Outcome::Unit(UnitEnd::Job(_))) if call.verb == UnitVerb::Stop => {
                let why = format!("{} could not be stopped", call.unit);
                let again = cx.call(vec![Reason(why)], Call::Unit(call.clone()));
                self.calls.insert(again, call.clone());
            }
            (Bug::RefusedAtOnce, Some(call), Outcome::Unit(UnitEnd::Job(result)))
                if call.verb == UnitVerb::Start && result == "dependency" && self.may_promote(cx, &call.resource) =>
            {
                let again = cx.call(vec![Reason("DRBD says may_promote:yes".to_owned())], Call::Unit(call.clone()));
                self.calls.insert(again, call.clone());
            }
            (Bug::OneWaitForAll, Some(call), Outcome::Unit(UnitEnd::Refused { .. }))
                if call.verb == UnitVerb::Freeze =>
            {
                self.refused = Some(cx.now);
            }
            _ => {}
        }
        match self.ids.remove(&done.id) {
            Some(id) => {
                let done = Done { id, outcome };
                self.call(cx, |inner, cx| inner.on(cx, PluginInput::Done(&done)))
            }
            None => Handled::No,
        }
    }

    /// What may go with other options comes or goes while they are read.
    fn note_change(&mut self, change: &Change) {
        let may_go_with_options = matches!(change.what, What::Connection { .. } | What::Device { .. })
            && change.kind != EventKind::Change
            && self.tools.values().any(|tool| *tool == (change.resource.clone(), DrbdCall::Options));
        if may_go_with_options {
            self.changed.insert(change.resource.clone());
        }
    }

    fn remembered(&mut self, cx: &mut Context<'_>, memories: &[(ResourceName, Memory)]) -> Handled {
        let Some(wall) = cx.wall.filter(|_| self.bug == Bug::FutureFailures) else {
            return self.call(cx, |inner, cx| inner.on(cx, PluginInput::Remembered(memories)));
        };
        let is_future = |memory: &Memory| memory.failures.iter().any(|at| *at > wall.unix_ms / 1000 + 60);
        self.future.extend(memories.iter().filter(|(_, memory)| is_future(memory)).map(|(name, _)| name.clone()));
        let lasting = PluginSettings::Promoter(self.with_lasting_failures(&self.settings));
        self.call(cx, |inner, cx| {
            inner.on(cx, PluginInput::Remembered(memories));
            inner.on(cx, PluginInput::Settings(&lasting))
        })
    }

    fn reload(&mut self, cx: &mut Context<'_>, new: &PromoterSettings) -> Handled {
        let changed =
            new.resources.iter().filter(|(name, settings)| self.settings.resources.get(*name) != Some(settings));
        let changed: Vec<ResourceName> = changed.map(|(name, _)| name.clone()).collect();
        self.settings = new.clone();
        self.reloaded.extend(changed.iter().cloned());
        self.reloading = true;
        let lasting = PluginSettings::Promoter(self.with_lasting_failures(new));
        let handled = self.call(cx, |inner, cx| inner.on(cx, PluginInput::Settings(&lasting)));
        self.reloading = false;
        if self.bug == Bug::ReloadForgetsWork {
            let calls = self.calls.values().filter(|call| changed.contains(&call.resource)).cloned();
            for call in calls.collect::<Vec<_>>() {
                cx.act(vec![Reason("a reload".to_owned())], ActionKind::Call(Call::Unit(call)));
            }
        }
        handled
    }
}
