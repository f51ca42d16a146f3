//! What is asked of systemd: starts, stops, freezing and thawing.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::action::{AskTools, Call, DrbdCall, Effect, Reason, UnitCall};
use crate::ids::UnitName;
use crate::input::Dialect;
use crate::model::Node;
use crate::plugin::Context;
use crate::systemd::UnitVerb;

use super::super::freezer::Wait;
use super::super::plan::StopCause;
use super::super::timers::Timer;
use super::super::view;
use super::super::work::{Phase, Start};
use super::{CALL_DEADLINE, FREEZE_DEADLINE, Machine, START_DEADLINE, STOP_DEADLINE};

impl Machine {
    pub(super) fn start(&mut self, cx: &mut Context<'_>, because: Vec<Reason>, restarts: bool) {
        if !self.work.is_idle() {
            return;
        }
        let since = self.levels.since();
        self.whereabouts.start_is_asked(cx.now, since.eligible, since.free);
        self.levels.start_is_asked(self.set.promoted(cx.node.units()));
        let mut call = self.call(self.set.target.clone(), UnitVerb::Start, START_DEADLINE);
        call.reset = self.set.to_reset(cx.node.units());
        let id = cx.call(because.clone(), Call::Unit(call));
        let was_primary = cx.node.resource(self.name.as_str()).is_some_and(view::is_primary);
        self.work.enter(Phase::Starting(Start::new(id, was_primary)));
        self.failures.forget_leaving();
        self.start_list.asked(&because, restarts);
        self.restarts.asked();
        self.tries.started(cx.now, &self.settings);
        self.history.decided(cx.now, Some(id), format!("start {}", self.set.target), because);
    }

    pub(super) fn stop(&mut self, cx: &mut Context<'_>, cause: &StopCause, because: Vec<Reason>) {
        if matches!(self.work.phase(), Phase::Stopping(_)) {
            return;
        }
        if let Some(until) = self.stops.wait(cx.now, cause) {
            return self.timers.set(Timer::StopBackOff, until);
        }
        cx.effect(because.clone(), Effect::SyncJournal);
        if *cause == StopCause::Suspended {
            self.let_io_fail(cx, &because);
        }
        let call = self.call(self.set.target.clone(), UnitVerb::Stop, STOP_DEADLINE);
        let id = cx.call(because.clone(), Call::Unit(call));
        if matches!(self.work.phase(), Phase::Starting(_)) {
            self.levels.start_is_preempted(cx.now);
        }
        self.work.enter(Phase::Stopping(id));
        self.start_list.forget_restart();
        self.tries.counts.stops += 1;
        self.stops.asked(cx.now, cause);
        self.failures.we_stop();
        if let StopCause::Failback(node) = cause {
            self.failback.gave(cx.now, node);
        }
        // A frozen process cannot end. systemd thaws what it stops; older ones may not.
        let frozen = self.to_thaw(cx.node);
        self.thaw_with(cx, frozen, &because);
        self.history.decided(cx.now, Some(id), format!("stop {}", self.set.target), because);
    }

    /// Suspended I/O would keep file systems from being unmounted: what waits for it gets errors from now on.
    pub(in super::super) fn let_io_fail(&mut self, cx: &mut Context<'_>, because: &[Reason]) {
        let may = self.settings.secondary_force && self.files.dialect() == Dialect::Drbd9;
        if may && !self.stops.is_forcing() {
            let force = AskTools { resource: self.name.clone(), call: DrbdCall::SecondaryForce };
            self.stops.forces(cx.call(because.to_vec(), Call::Drbd(force)));
        }
    }

    pub(super) fn freeze_or_thaw(
        &mut self,
        cx: &mut Context<'_>,
        verb: UnitVerb,
        units: Vec<UnitName>,
        because: Vec<Reason>,
    ) {
        let mut asked = Vec::new();
        for unit in units {
            match self.freezer.wait(cx.now, &unit, verb, cx.node.units()) {
                Wait::No => {}
                Wait::ForOutcome => continue,
                Wait::Until(at) => {
                    self.timers.set(Timer::FreezerBackOff, at);
                    continue;
                }
            }
            let deadline = if verb == UnitVerb::Freeze { FREEZE_DEADLINE } else { CALL_DEADLINE };
            let call = self.call(unit.clone(), verb, deadline);
            asked.push((cx.call(because.clone(), Call::Unit(call)), unit));
        }
        let Some((last, _)) = asked.last() else { return };
        if verb == UnitVerb::Freeze {
            self.tries.counts.freezes += 1;
        }
        let list: Vec<&str> = asked.iter().map(|(_, unit)| unit.as_str()).collect();
        self.history.decided(cx.now, Some(*last), format!("{} {}", verb.as_str(), list.join(", ")), because);
        self.freezer.asked(asked, verb);
    }

    /// Members that are frozen, or may be by now although systemd has not said so.
    pub(in super::super) fn to_thaw(&self, node: &Node) -> Vec<UnitName> {
        let mut units: BTreeSet<UnitName> = self.set.frozen(node.units()).into_iter().collect();
        units.extend(self.freezer.maybe_frozen().cloned());
        units.into_iter().collect()
    }

    pub(in super::super) fn thaw_with(&self, cx: &mut Context<'_>, units: Vec<UnitName>, because: &[Reason]) {
        for unit in units {
            let call = self.call(unit, UnitVerb::Thaw, CALL_DEADLINE);
            cx.call(because.to_vec(), Call::Unit(call));
        }
    }

    /// Some units are not ours any longer. What we froze of them, and nobody else would thaw.
    pub(in super::super) fn let_go(&self, node: &Node, goes: impl Fn(&UnitName) -> bool) -> Vec<UnitName> {
        if !self.freezer.froze() {
            return Vec::new();
        }
        // How a unit is that systemd has not answered about, nobody knows.
        let untold = self.set.members.iter().filter(|unit| !node.units().is_told(unit.as_str()));
        let all: BTreeSet<UnitName> = self.to_thaw(node).into_iter().chain(untold.cloned()).collect();
        all.into_iter().filter(goes).collect()
    }

    pub(in super::super) fn call(&self, unit: UnitName, verb: UnitVerb, deadline: Duration) -> UnitCall {
        UnitCall { unit, verb, reset: Vec::new(), deadline, resource: self.name.clone() }
    }
}
