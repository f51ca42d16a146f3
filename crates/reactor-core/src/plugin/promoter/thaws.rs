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
