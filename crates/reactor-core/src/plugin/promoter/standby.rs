//! `standby`: what runs on a node that is Secondary, beside the services of the Primary.
//!
//! It never keeps a resource waiting longer than its own stop takes: systemd stops it before it promotes, by the units' `Conflicts=`. What fails
//! of it is shown and tried again, and no failure of the resource.

use std::time::Duration;

use crate::action::{Call, Reason};
use crate::ids::{ActionId, Mono, UnitName};
use crate::model::reports::NoteLevel;
use crate::plugin::Context;
use crate::settings::promoter::{PromotedResource, Runner};
use crate::systemd::{ActiveState, UnitEnd, UnitVerb, Units};

use super::machine::Machine;
use super::plan::{Decision, Verdict};
use super::repeat::back_off;
use super::report::StateWord;
use super::services::Services;
use super::timers::Timer;
use super::units;
use super::view;

/// First pause after something of it failed; doubles.
const BASE: Duration = Duration::from_secs(2);
/// The longest pause.
const MAX: Duration = Duration::from_secs(300);
/// Has it run for so long, the next failure is the first.
const RAN: Duration = Duration::from_secs(60);
/// How long to wait for the outcome of a start or a stop.
const DEADLINE: Duration = Duration::from_secs(1800);

/// See the module's head.
#[derive(Clone, Debug, Default)]
pub(super) struct Standby {
    /// `storage-reactor-standby@NAME.target`; empty if there is nothing to run.
    pub(super) target: Option<UnitName>,
    /// What `standby` lists, in order.
    pub(super) members: Vec<UnitName>,
    /// What was taken out of the list and may still run: without its place there nothing would stop it before a promotion.
    gone: Vec<UnitName>,
    /// What was asked of systemd.
    asked: Option<(ActionId, UnitVerb)>,
    failures: u32,
    /// Stops that were asked for since it last had to run.
    stops: u32,
    /// Since when all of it runs.
    runs_since: Option<Mono>,
    not_before: Option<Mono>,
}

/// What is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Up(&'static str),
    Down(&'static str),
    /// As it is.
    Leave,
}

/// Where the resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// An operator wants hands off it, or what is known is not the present.
    pub(super) is_left_alone: bool,
    /// An operator wants nothing of it to run here.
    pub(super) is_stopped: bool,
    /// DRBD has it.
    pub(super) is_known: bool,
    pub(super) is_primary: bool,
    pub(super) services: Services,
    pub(super) state: StateWord,
    pub(super) starts: bool,
}

/// What is to hold. A function of levels.
pub(super) fn wanted(at: Position) -> Wanted {
    if at.is_left_alone {
        return Wanted::Leave;
    }
    if at.is_primary || at.starts || at.services != Services::Off {
        return Wanted::Down("its services run here, or are about to");
    }
    if at.is_stopped {
        return Wanted::Down("an operator wants nothing of it to run here");
    }
    if !at.is_known {
        return Wanted::Down("DRBD does not have it here");
    }
    match at.state {
        // It may be promoted any moment: what is started now would only make that take longer.
        StateWord::Preparing | StateWord::Waiting | StateWord::Starting | StateWord::Running | StateWord::Stopping => {
            Wanted::Leave
        }
        StateWord::Standby
        | StateWord::Frozen
        | StateWord::Blocked
        | StateWord::Held
        | StateWord::Drained
        | StateWord::Unmanaged => Wanted::Up("Secondary here"),
    }
}

impl Standby {
    pub(super) fn reconfigure(&mut self, settings: &PromotedResource, resource: &crate::ids::ResourceName) {
        let entries = settings.standby.iter().filter(|_| settings.runner == Runner::Systemd);
        let before = std::mem::take(&mut self.members);
        self.members = entries.map(|entry| units::unit_of(resource, &entry.what)).collect();
        let kept: Vec<UnitName> = settings.start.iter().map(|entry| units::unit_of(resource, &entry.what)).collect();
        self.gone.extend(before);
        self.gone.retain(|unit| !self.members.contains(unit) && !kept.contains(unit));
        let had = self.target.is_some();
        // What a list that is empty now has started is stopped once more: its target is followed until then.
        self.target = (had || !self.members.is_empty()).then(|| units::standby(resource));
        (self.failures, self.stops, self.not_before) = (0, 0, None);
    }

    /// Units to be told of.
    pub(super) fn followed(&self) -> impl Iterator<Item = &UnitName> {
        self.target.iter().chain(&self.members)
    }

    /// Whether this is the outcome of what it asked for. Gives what a person should know.
    pub(super) fn ended(&mut self, id: ActionId, end: &UnitEnd) -> Option<Option<String>> {
        let (_, verb) = self.asked.take_if(|(asked, _)| *asked == id)?;
        let failed = !matches!(end, UnitEnd::Done);
        Some(failed.then(|| format!("its standby services: {} ended with {end}", verb.as_str())))
    }

    /// Members that have failed, or that are down though they should run.
    fn down<'a>(&'a self, units: &'a Units) -> impl Iterator<Item = &'a UnitName> {
        let is_down = |unit: &&UnitName| {
            units
                .get(unit.as_str())
                .is_none_or(|unit| matches!(unit.active, ActiveState::Inactive | ActiveState::Failed))
        };
        self.members.iter().filter(is_down)
    }

    fn is_target_up(&self, units: &Units) -> bool {
        let up = |target: &UnitName| {
            units.get(target.as_str()).is_some_and(|unit| {
                matches!(unit.active, ActiveState::Active | ActiveState::Activating | ActiveState::Reloading)
            })
        };
        self.target.as_ref().is_some_and(up)
    }

    fn is_told(&self, units: &Units) -> bool {
        self.followed().all(|unit| units.is_told(unit.as_str()))
    }

    /// What is to be asked of systemd.
    fn next(&mut self, now: Mono, units: &Units, wanted: Wanted) -> Option<(UnitVerb, &'static str)> {
        if self.asked.is_some() || !self.is_told(units) {
            return None;
        }
        match wanted {
            Wanted::Leave => None,
            Wanted::Down(why) => self.stop(now, units, why),
            Wanted::Up(_) if self.members.is_empty() => self.stop(now, units, "`standby` is empty"),
            Wanted::Up(why) => {
                if std::mem::take(&mut self.stops) > 0 {
                    self.not_before = None;
                }
                let complete = self.is_target_up(units) && self.down(units).next().is_none();
                if complete {
                    let since = *self.runs_since.get_or_insert(now);
                    if since.after(RAN) <= now {
                        self.failures = 0;
                    }
                    self.not_before = None;
                    return None;
                }
                let ran = self.runs_since.take().map(|since| now.since(since));
                if ran.is_some_and(|ran| ran >= RAN) {
                    self.failures = 0;
                }
                if ran.is_some() || (self.failures > 0 && self.not_before.is_none()) {
                    self.not_before = Some(now.after(back_off(BASE, self.failures.max(1), MAX)));
                }
                if self.not_before.is_some_and(|at| at > now) {
                    return None;
                }
                Some((UnitVerb::Start, why))
            }
        }
    }

    /// A stop, if something is up. The news of one may come after its outcome, and one that fails is asked for again: both after a pause.
    fn stop(&mut self, now: Mono, units: &Units, why: &'static str) -> Option<(UnitVerb, &'static str)> {
        (self.runs_since, self.failures) = (None, 0);
        if !self.is_target_up(units) {
            (self.stops, self.not_before) = (0, None);
            return None;
        }
        self.not_before = match self.stops {
            0 => None,
            stops => self.not_before.or(Some(now.after(back_off(BASE, stops, MAX)))),
        };
        self.not_before.is_none_or(|at| at <= now).then_some((UnitVerb::Stop, why))
    }

    fn asked(&mut self, id: ActionId, verb: UnitVerb) {
        self.asked = Some((id, verb));
        self.not_before = None;
        let count = if verb == UnitVerb::Start { &mut self.failures } else { &mut self.stops };
        *count = count.saturating_add(1);
    }

    /// For a machine that is built anew.
    pub(super) fn after_a_panic(&self, is_sent: impl Fn(ActionId) -> bool) -> Self {
        Self { asked: self.asked.filter(|(id, _)| is_sent(*id)), ..self.clone() }
    }

    /// What a person should look at.
    pub(super) fn warnings(&self, units: &Units) -> Vec<String> {
        let failed = |unit: &UnitName| {
            let state = units.get(unit.as_str()).filter(|state| state.active == ActiveState::Failed)?;
            Some(format!("standby: {unit} has failed: {}", state.result.as_deref().unwrap_or("failed")))
        };
        self.members.iter().filter_map(failed).collect()
    }
}

impl Machine {
    /// Brings what runs on a Secondary up or down.
    pub(super) fn care_for_standby(&mut self, cx: &mut Context<'_>, decision: &Decision, services: Services) {
        if self.standby.target.is_none() || self.shell.is_some() || !self.files.are_written() {
            return;
        }
        let resource = cx.node.resource(self.name.as_str());
        let hold = self.held.hold();
        let position = Position {
            is_left_alone: self.held.is_hands_off()
                || !Self::is_live(cx.node)
                || self.no_units(cx.node).is_some()
                || self.untold(cx.node).is_some(),
            is_stopped: hold.is_some_and(|hold| hold.until.is_none()) || cx.drained.is_some(),
            is_known: resource.is_some(),
            is_primary: resource.is_some_and(view::is_primary),
            services,
            state: decision.state,
            starts: !self.work.is_idle() || matches!(decision.verdict, Verdict::Start | Verdict::Restart(_)),
        };
        if !position.is_left_alone {
            for unit in std::mem::take(&mut self.standby.gone) {
                let because = vec![Reason(format!("{unit} is no longer in `standby`"))];
                let call = self.call(unit.clone(), UnitVerb::Stop, DEADLINE);
                let id = cx.call(because.clone(), Call::Unit(call));
                self.history.decided(cx.now, Some(id), format!("stop {unit}"), because);
            }
        }
        let next = self.standby.next(cx.now, cx.node.units(), wanted(position));
        self.timers.set(Timer::Standby, self.standby.not_before.filter(|at| *at > cx.now));
        let (Some((verb, why)), Some(target)) = (next, self.standby.target.clone()) else { return };
        let mut call = self.call(target.clone(), verb, DEADLINE);
        if verb == UnitVerb::Start {
            let units = cx.node.units();
            let failed =
                |unit: &&UnitName| units.get(unit.as_str()).is_some_and(|unit| unit.active == ActiveState::Failed);
            call.reset = self.standby.followed().filter(failed).cloned().collect();
        }
        let because = vec![Reason(why.to_owned())];
        let id = cx.call(because.clone(), Call::Unit(call));
        self.standby.asked(id, verb);
        self.history.decided(cx.now, Some(id), format!("{} {target}", verb.as_str()), because);
    }

    /// The outcome of what the standby services were asked for.
    pub(super) fn standby_ended(&mut self, cx: &mut Context<'_>, id: ActionId, end: &UnitEnd) -> bool {
        let Some(news) = self.standby.ended(id, end) else { return false };
        self.history.ended(cx.now, id, &end.to_string());
        if let Some(text) = news {
            self.note(cx, NoteLevel::Warn, format!("{}: {text}", self.name));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systemd::{UnitNews, UnitState};

    fn at(s: u64) -> Mono {
        Mono::ZERO.after(Duration::from_secs(s))
    }

    const QUIET: Position = Position {
        is_left_alone: false,
        is_stopped: false,
        is_known: true,
        is_primary: false,
        services: Services::Off,
        state: StateWord::Standby,
        starts: false,
    };

    #[test]
    fn it_runs_where_the_node_is_secondary_and_nothing_is_about_to_start() {
        let up = |position| matches!(wanted(position), Wanted::Up(_));
        let down = |position| matches!(wanted(position), Wanted::Down(_));
        assert!(up(QUIET));
        assert!(up(Position { state: StateWord::Blocked, ..QUIET }));
        assert!(down(Position { is_primary: true, ..QUIET }));
        assert!(down(Position { starts: true, ..QUIET }));
        assert!(down(Position { is_known: false, ..QUIET }));
        assert!(down(Position { is_stopped: true, ..QUIET }));
        for services in [Services::On, Services::Half, Services::Starting, Services::Stopping] {
            assert!(down(Position { services, ..QUIET }), "{services:?}");
        }
        for state in [StateWord::Waiting, StateWord::Preparing] {
            assert_eq!(wanted(Position { state, ..QUIET }), Wanted::Leave, "{state:?}");
        }
        assert_eq!(wanted(Position { is_left_alone: true, is_primary: true, ..QUIET }), Wanted::Leave);
    }

    fn standby() -> Standby {
        Standby { target: Some("t.target".into()), members: vec!["a.service".into()], ..Standby::default() }
    }

    fn units(target: ActiveState, member: ActiveState) -> Units {
        let mut units = Units::default();
        for (unit, active) in [("t.target", target), ("a.service", member)] {
            units.apply(&UnitNews { unit: unit.into(), state: UnitState { active, ..UnitState::default() } });
        }
        units
    }

    #[test]
    fn what_fails_of_it_is_tried_again_with_pauses_that_grow() {
        use ActiveState::{Active, Failed, Inactive};
        let (mut standby, up) = (standby(), Wanted::Up("Secondary here"));
        assert_eq!(standby.next(at(0), &Units::default(), up), None, "systemd has not said how it is");
        assert_eq!(standby.next(at(0), &units(Inactive, Inactive), up).map(|(verb, _)| verb), Some(UnitVerb::Start));
        standby.asked(ActionId(1), UnitVerb::Start);
        assert_eq!(standby.next(at(0), &units(Inactive, Inactive), up), None, "it is on its way");
        assert_eq!(standby.ended(ActionId(2), &UnitEnd::Done), None);
        assert_eq!(standby.ended(ActionId(1), &UnitEnd::Done), Some(None));
        for (now, pause) in [(10, 2), (20, 4), (30, 8)] {
            assert_eq!(standby.next(at(now), &units(Active, Failed), up), None);
            assert_eq!(standby.not_before, Some(at(now + pause)));
            let again = standby.next(at(now + pause), &units(Active, Failed), up);
            assert_eq!(again.map(|(verb, _)| verb), Some(UnitVerb::Start));
            standby.asked(ActionId(now), UnitVerb::Start);
            standby.ended(ActionId(now), &UnitEnd::Done);
        }
        assert_eq!(standby.next(at(50), &units(Active, Active), up), None);
        assert_eq!(standby.next(at(120), &units(Active, Active), up), None);
        assert_eq!(standby.failures, 0, "it has run long enough");
    }

    #[test]
    fn it_is_stopped_with_its_target() {
        use ActiveState::{Active, Inactive};
        let mut standby = standby();
        let down = Wanted::Down("its services run here, or are about to");
        assert_eq!(standby.next(at(0), &units(Active, Inactive), down).map(|(verb, _)| verb), Some(UnitVerb::Stop));
        assert_eq!(standby.next(at(0), &units(Inactive, Active), down), None, "somebody else started that");
        assert_eq!(standby.next(at(0), &units(Active, Active), Wanted::Leave), None);
    }
}
