//! A resource as one service: DRBD below, its entries on top, and whether it is up.

use crate::ids::{Mono, UnitName};
use crate::plugin::ViewContext;
use crate::settings::promoter::{Entry, Runner};
use crate::systemd::{ActiveState, Units};

use super::super::availability::Availability;
use super::super::health::{self, DrbdHealth};
use super::super::report::UnitReport;
use super::super::restarts::Allowed;
use super::super::{units, view};
use super::Machine;

/// See the module's head.
pub(in super::super) struct Stack {
    pub(in super::super) availability: Availability,
    pub(in super::super) optional: Availability,
    pub(in super::super) drbd: DrbdHealth,
    pub(in super::super) degraded: Vec<String>,
    pub(in super::super) units: Vec<UnitReport>,
    pub(in super::super) standby: Vec<UnitReport>,
    pub(in super::super) left_out: Vec<UnitReport>,
}

/// What a unit's state is worth here.
#[derive(Clone, Copy)]
enum Place {
    /// Of `start`.
    Service,
    /// Of `standby`, on a node where that runs.
    Standby,
    /// Nothing: it is left out, or `standby` where the services run.
    Nowhere,
}

fn availability(active: Option<&ActiveState>, place: Place) -> Availability {
    let is_up = match active {
        _ if matches!(place, Place::Nowhere) => return Availability::NotApplicable,
        None | Some(ActiveState::Other(_)) => return Availability::Undef,
        Some(ActiveState::Active | ActiveState::Reloading | ActiveState::Refreshing) => true,
        Some(_) => false,
    };
    match (place, is_up) {
        (Place::Service, true) => Availability::Up,
        (Place::Service, false) => Availability::Down,
        (Place::Standby, true) => Availability::StandbyUp,
        (Place::Standby, false) => Availability::StandbyDown,
        (Place::Nowhere, _) => Availability::NotApplicable,
    }
}

impl Machine {
    /// See the module's head.
    pub(in super::super) fn stack(&self, cx: &ViewContext<'_>) -> Stack {
        let resource = cx.node.resource(self.name.as_str());
        let is_always_on = self.settings.always_on.includes(&cx.host.node);
        let mut drbd = health::drbd(resource, self.options.peers(), is_always_on);
        if !Self::is_live(cx.node) {
            drbd.availability = Availability::Undef;
        }
        let is_primary = resource.is_some_and(view::is_primary);
        let of_standby = if is_primary { Place::Nowhere } else { Place::Standby };
        let allowed = self.allowed();
        let list = |entries: &[Entry], place: Place| -> Vec<UnitReport> {
            let entries = entries.iter().filter(|_| self.settings.runner == Runner::Systemd);
            entries.map(|entry| self.unit_report(entry, place, cx.node.units(), &allowed, cx.now)).collect()
        };
        let units = list(&self.settings.start, Place::Service);
        let standby = list(&self.settings.standby, of_standby);
        let left_out = list(&self.settings.left_out, Place::Nowhere);
        let worth = |optional: bool| {
            let all = units.iter().chain(&standby).filter(move |unit| unit.optional == optional);
            all.map(|unit| unit.availability)
        };
        let mut degraded = std::mem::take(&mut drbd.degraded);
        let spare = self.set.spare_failed(cx.node.units());
        degraded.extend(spare.iter().map(|(unit, result)| format!("{unit} has failed: {result}")));
        degraded.extend(self.standby.warnings(cx.node.units()));
        degraded.extend(self.syncs.degraded(cx.now, self.settings.sync.as_ref()));
        Stack {
            availability: Availability::of_all(worth(false).chain([drbd.availability])),
            optional: Availability::of_all(worth(true)),
            drbd,
            degraded,
            units,
            standby,
            left_out,
        }
    }

    fn unit_report(&self, entry: &Entry, place: Place, units: &Units, allowed: &Allowed, now: Mono) -> UnitReport {
        let unit: UnitName = units::unit_of(&self.name, &entry.what);
        let state = units.get(unit.as_str());
        UnitReport {
            entry: entry.name().to_owned(),
            availability: availability(state.map(|state| &state.active), place),
            optional: entry.how.optional,
            monitored: entry.how.monitor,
            group: entry.group,
            restarts_left: self.restarts.left(now, &unit, allowed),
            active: state.map_or_else(|| "unknown".to_owned(), |state| state.active.to_string()),
            freezer: state.map_or_else(|| "unknown".to_owned(), |state| state.freezer.to_string()),
            result: state.and_then(|state| state.result.clone()).filter(|result| result != "success"),
            unit,
        }
    }
}
