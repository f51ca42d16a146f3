//! What we froze of units that are no longer ours: a reload took them, or their resource, out of the configuration. Nobody else would thaw them,
//! so they are followed until they run, also while there is no connection to systemd.
//!
//! They are kept on the disk: the next daemon goes on with it. The end of the last promoter forgets them until there is one again: they are asked for
//! once before that. What a person holds waits until it is released.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::action::{Call, Reason, UnitCall};
use crate::ids::{ActionId, Mono, ResourceName, UnitName};
use crate::plugin::Context;
use crate::systemd::{ActiveState, BusState, FreezerState, UnitEnd, UnitState, UnitVerb};

use super::repeat::Repeat;

/// How long a thaw may take.
const DEADLINE: Duration = Duration::from_secs(25);

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Thaws {
    units: BTreeMap<UnitName, Thaw>,
    /// Resources of which the disk knows something else.
    changed: BTreeSet<ResourceName>,
    next: Option<Mono>,
}

#[derive(Debug)]
struct Thaw {
    resource: ResourceName,
    asked: Option<ActionId>,
    /// A call has ended; what systemd says of the unit since then counts.
    ended: bool,
    repeat: Repeat,
}

impl Thaws {
    /// These are no longer in the list of their resource.
    pub(super) fn add(&mut self, resource: &ResourceName, units: &[UnitName]) {
        if !units.is_empty() {
            self.changed.insert(resource.clone());
        }
        self.recall(resource, units.iter());
    }

    /// The same for what is known from the disk.
    pub(super) fn recall<'a>(&mut self, resource: &ResourceName, units: impl Iterator<Item = &'a UnitName>) {
        for unit in units {
            let thaw = Thaw { resource: resource.clone(), asked: None, ended: false, repeat: Repeat::default() };
            self.units.entry(unit.clone()).or_insert(thaw);
        }
    }

    /// The units of a resource.
    pub(super) fn of(&self, resource: &ResourceName) -> impl Iterator<Item = &UnitName> {
        self.units.iter().filter(|(_, thaw)| thaw.resource == *resource).map(|(unit, _)| unit)
    }

    /// Resources of which units have come or gone since this was asked.
    pub(super) fn take_changed(&mut self) -> BTreeSet<ResourceName> {
        std::mem::take(&mut self.changed)
    }

    /// These are in a list again, and looked after there. `true` = one of them may still be frozen.
    pub(super) fn take<'a>(&mut self, units: impl Iterator<Item = &'a UnitName>) -> bool {
        let taken: Vec<Thaw> = units.filter_map(|unit| self.units.remove(unit)).collect();
        let is_any = !taken.is_empty();
        self.changed.extend(taken.into_iter().map(|thaw| thaw.resource));
        is_any
    }

    /// Another promoter has this resource: by what is remembered of it, it knows what is frozen.
    pub(super) fn leave(&mut self, resource: &ResourceName) {
        self.units.retain(|_, thaw| thaw.resource != *resource);
    }

    /// The units, to be told of them.
    pub(super) fn followed(&self) -> impl Iterator<Item = &UnitName> {
        self.units.keys()
    }

    /// When to look again at the latest.
    pub(super) fn next(&self) -> Option<Mono> {
        self.next
    }

    /// A call ended. `false` = it was none of these.
    pub(super) fn ended(&mut self, now: Mono, id: ActionId, end: &UnitEnd) -> bool {
        let Some(thaw) = self.units.values_mut().find(|thaw| thaw.asked == Some(id)) else { return false };
        (thaw.asked, thaw.ended) = (None, !matches!(end, UnitEnd::NoBus { .. }));
        thaw.repeat.tried(now);
        true
    }

    /// Asks for what is due, and forgets what runs.
    pub(super) fn judge(&mut self, cx: &mut Context<'_>, is_held: impl Fn(&ResourceName) -> bool) {
        self.next = None;
        let units = cx.node.units();
        if *units.bus() != BusState::Up {
            return;
        }
        let is_over = |state: &UnitState, ended: bool| {
            let is_frozen = matches!(state.freezer, FreezerState::Frozen | FreezerState::Freezing);
            let is_down = matches!(state.active, ActiveState::Inactive | ActiveState::Failed);
            !is_frozen && (ended || is_down)
        };
        let told = |unit: &UnitName| units.get(unit.as_str()).filter(|_| units.is_told(unit.as_str()));
        self.units.retain(|unit, thaw| {
            let stays = thaw.asked.is_some() || !told(unit).is_some_and(|state| is_over(state, thaw.ended));
            if !stays {
                self.changed.insert(thaw.resource.clone());
            }
            stays
        });
        for (unit, thaw) in &mut self.units {
            if thaw.asked.is_some() || is_held(&thaw.resource) {
                continue;
            }
            if let Some(until) = thaw.repeat.until(cx.now) {
                self.next = self.next.into_iter().chain([until]).min();
                continue;
            }
            let call = UnitCall {
                unit: unit.clone(),
                verb: UnitVerb::Thaw,
                reset: Vec::new(),
                deadline: DEADLINE,
                resource: thaw.resource.clone(),
            };
            let because = Reason("we froze it, and it is no longer one of our units".to_owned());
            thaw.asked = Some(cx.call(vec![because], Call::Unit(call)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{Action, ActionKind};
    use crate::ids::InstanceId;
    use crate::input::{Input, SourceId};
    use crate::systemd::{BusEvent, UnitNews};

    const A: &str = "a.service";

    fn second(s: u64) -> Mono {
        Mono::ZERO.after(Duration::from_secs(s))
    }

    fn name() -> ResourceName {
        ResourceName::new("r0")
    }

    /// A node that systemd has told this about `a.service`.
    fn node(told: Option<(ActiveState, FreezerState)>) -> crate::model::Node {
        let mut core = crate::core::Core::new();
        let mut step = |input: &Input| core.step(second(0), input, &mut Vec::new());
        step(&Input::Bus(BusEvent::Up));
        if let Some((active, freezer)) = told {
            let state = UnitState { active, freezer, ..UnitState::default() };
            step(&Input::Units(vec![UnitNews { unit: A.into(), state }]));
        }
        step(&Input::BurstEnd(SourceId::Drbd));
        core.node().clone()
    }

    /// One judgement; gives what was asked for.
    fn judge(thaws: &mut Thaws, now: Mono, node: &crate::model::Node, held: bool) -> Vec<ActionId> {
        let (mut next, mut actions): (u64, Vec<Action>) = (now.0, Vec::new());
        let mut cx = Context::new(now, node, InstanceId(1), &mut next, &mut actions);
        thaws.judge(&mut cx, |_| held);
        let thaw = |action: &Action| match &action.kind {
            ActionKind::Call(Call::Unit(call)) => call.verb == UnitVerb::Thaw && call.unit.as_str() == A,
            _ => false,
        };
        assert!(actions.iter().all(thaw), "{actions:?}");
        actions.iter().map(|action| action.id).collect()
    }

    fn one() -> Thaws {
        let mut thaws = Thaws::default();
        thaws.add(&name(), &[A.into()]);
        thaws
    }

    #[test]
    fn a_unit_is_asked_for_until_it_runs() {
        use ActiveState::{Active, Failed, Inactive};
        use FreezerState::{Freezing, Frozen, Running};
        // As systemd tells it; whether it is over before we have asked, and after the end of a call.
        let table = [
            (None, false, false),
            (Some((Active, Frozen)), false, false),
            (Some((Active, Freezing)), false, false),
            (Some((Inactive, Frozen)), false, false),
            // Its news may be older than the freeze.
            (Some((Active, Running)), false, true),
            (Some((Inactive, Running)), true, true),
            (Some((Failed, Running)), true, true),
        ];
        for (told, over, over_after_a_call) in table {
            let node = node(told.clone());
            let mut thaws = one();
            let asked = judge(&mut thaws, second(1), &node, false);
            assert_eq!((asked.len(), thaws.followed().count()), if over { (0, 0) } else { (1, 1) }, "{told:?}");
            let Some(id) = asked.first() else { continue };
            assert!(judge(&mut thaws, second(2), &node, false).is_empty(), "it is asked for once");
            assert!(!thaws.ended(second(3), ActionId(0), &UnitEnd::Done), "that is another's");
            assert!(thaws.ended(second(3), *id, &UnitEnd::Done));
            assert!(judge(&mut thaws, second(4), &node, false).is_empty());
            assert_eq!(thaws.followed().count(), usize::from(!over_after_a_call), "{told:?}");
            assert_eq!(thaws.next(), (!over_after_a_call).then_some(second(8)), "{told:?}");
            assert_eq!(judge(&mut thaws, second(8), &node, false).len(), usize::from(!over_after_a_call));
        }
    }

    /// Without a connection nobody knows whether it was thawed.
    #[test]
    fn a_call_that_never_got_there_is_none() {
        let node = node(Some((ActiveState::Active, FreezerState::Running)));
        let mut thaws = one();
        let asked = judge(&mut thaws, second(1), &node, false);
        assert!(thaws.ended(second(2), asked[0], &UnitEnd::NoBus { why: "gone".to_owned() }));
        judge(&mut thaws, second(3), &node, false);
        assert_eq!(thaws.followed().count(), 1);
    }

    #[test]
    fn what_is_held_and_what_nobody_can_be_asked_about_waits() {
        let mut thaws = one();
        assert!(judge(&mut thaws, second(1), &node(None), true).is_empty());
        assert!(judge(&mut thaws, second(1), &crate::model::Node::default(), false).is_empty());
        assert_eq!(judge(&mut thaws, second(1), &node(None), false).len(), 1);
    }

    #[test]
    fn what_is_in_a_list_again_is_looked_after_there_and_that_is_to_be_kept() {
        let mut thaws = one();
        thaws.add(&name(), &[]);
        assert_eq!(thaws.take_changed(), BTreeSet::from([name()]));
        assert_eq!(thaws.of(&name()).count(), 1);
        assert_eq!(thaws.of(&ResourceName::new("r1")).count(), 0);
        assert!(!thaws.take([&"b.service".into()].into_iter()), "that is none of them");
        assert!(thaws.take_changed().is_empty());
        assert!(thaws.take([&A.into()].into_iter()), "it may be frozen");
        assert_eq!((thaws.take_changed(), thaws.followed().count()), (BTreeSet::from([name()]), 0));
        // What is known from the disk is no change of it.
        thaws.recall(&name(), [&A.into()].into_iter());
        assert!(thaws.take_changed().is_empty() && thaws.followed().count() == 1);
    }
}
