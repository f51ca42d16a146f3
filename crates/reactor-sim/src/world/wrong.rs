//! A promoter with a bug: the real one, and something between it and the core that filters what it wants, or adds to it.

use std::collections::BTreeMap;
use std::time::Duration;

use reactor_core::action::{Action, AskTools, Call, Deed, Done, DrbdCall, Outcome, Reason, UnitCall};
use reactor_core::ids::{ActionId, Mono, ResourceName, UnitName};
use reactor_core::model::SourceState;
use reactor_core::plugin::promoter::Promoter;
use reactor_core::plugin::promoter::report::{ResourceReport, StateWord, TroubleKind};
use reactor_core::plugin::{Context, Handled, Interest, Plugin, PluginInput, Report, Scope};
use reactor_core::settings::PluginKind;
use reactor_core::settings::promoter::PromoterSettings;
use reactor_core::systemd::{UnitEnd, UnitVerb};

use super::bugs::Bug;

/// What drbd-reactor waits between two starts, of whatever resource.
const LAST_START: Duration = Duration::from_secs(20);

/// How long one refused freeze delays what concerns all.
const ONE_WAIT: Duration = Duration::from_secs(40);

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
}

impl Wrong {
    pub(super) fn new(bug: Bug, settings: PromoterSettings, stumbles: bool) -> Self {
        Self {
            bug,
            inner: Promoter::new(settings),
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
        }
    }

    /// Calls the real promoter, and passes on what it wants, or not.
    fn call<R>(&mut self, cx: &mut Context<'_>, f: impl FnOnce(&mut Promoter, &mut Context<'_>) -> R) -> R {
        let mut wanted = Vec::new();
        let stumbles = self.who_stumbles(cx);
        let result = {
            let mut inner = Context::new(cx.now, cx.node, cx.plugin, &mut self.next, &mut wanted);
            inner.settled = cx.settled;
            inner.host = cx.host;
            inner.wall = cx.wall;
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
        if let (Bug::AdjustAttaches, Deed::Call(Call::Drbd(AskTools { call: call @ DrbdCall::AdjustLinks, .. }))) =
            (self.bug, &mut action.deed)
        {
            *call = DrbdCall::Adjust;
        }
        if let Deed::Call(Call::Unit(call)) = &mut action.deed {
            match (self.bug, call.verb) {
                (Bug::ForgottenThaw, UnitVerb::Thaw) => return,
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

    /// Whether nothing but its pause keeps a resource from being started, by what is known here.
    fn may_promote(&self, cx: &Context<'_>, name: &ResourceName) -> bool {
        let idle = |report: &ResourceReport| report.hold.is_none() && report.failures == 0;
        let free = |resource: &reactor_core::model::objects::Resource| {
            let primary = reactor_core::drbd::types::Role::Primary;
            resource.state.may_promote && resource.connections.values().all(|peer| peer.state.peer_role != primary)
        };
        cx.settled
            && cx.node.source() == SourceState::Live
            && *cx.node.units().bus() == reactor_core::systemd::BusState::Up
            && cx.node.resource(name.as_str()).is_some_and(free)
            && self.promoted(cx).iter().any(|report| report.resource == *name && idle(report))
    }

    fn act(&mut self, cx: &mut Context<'_>, inner: ActionId, action: Action) {
        let start = match &action.deed {
            Deed::Call(Call::Unit(call)) if call.verb == UnitVerb::Start => Some(call.resource.clone()),
            _ => None,
        };
        let call = match &action.deed {
            Deed::Call(Call::Unit(call)) => Some(call.clone()),
            _ => None,
        };
        let id = cx.act(action.because, action.deed);
        self.ids.insert(id, inner);
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
            Bug::OneWaitForAll => {
                let due: Vec<_> = self.later.extract_if(.., |(at, _, _)| *at <= cx.now).collect();
                for (_, inner, action) in due {
                    self.act(cx, inner, action);
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
            Bug::StopOnLostPeer => {
                for report in self.promoted(cx) {
                    let Some(resource) = cx.node.resource(report.resource.as_str()) else { continue };
                    let lost = resource.connections.values().any(|connection| {
                        connection.state.connection != reactor_core::drbd::types::ConnectionState::Connected
                    });
                    if lost && report.state == StateWord::Running && cx.settled {
                        Self::unit(cx, &report.resource, UnitVerb::Stop, "a peer is not connected");
                    }
                }
            }
            _ => {}
        }
    }

    fn own_deadline(&self) -> Option<Mono> {
        let later = self.later.iter().map(|(at, _, _)| *at);
        let due = self.due.values().copied();
        let retry = self.started.values().map(|at| at.after(LAST_START)).filter(|_| self.bug == Bug::RetryWithoutDelay);
        later.chain(due).chain(retry).min()
    }
}

impl Plugin for Wrong {
    fn kind(&self) -> PluginKind {
        PluginKind::Promoter
    }

    fn interest(&self) -> Interest {
        Interest { scope: Scope::Everything, ..self.inner.interest() }
    }

    fn on(&mut self, cx: &mut Context<'_>, input: PluginInput<'_>) -> Handled {
        if let PluginInput::Done(done) = input {
            return self.done(cx, done);
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
                    _ => return,
                };
                for report in &mut reports[before..] {
                    report.troubles.retain(|trouble| trouble.kind != hidden);
                }
            }
            Report::Status(_) => {}
            counters @ Report::Counters(_) => self.inner.report(counters),
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
        match (self.bug, &call, &done.outcome) {
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
                let done = Done { id, outcome: done.outcome.clone() };
                self.call(cx, |inner, cx| inner.on(cx, PluginInput::Done(&done)))
            }
            None => Handled::No,
        }
    }
}
