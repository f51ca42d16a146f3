//! `drbd@NAME.service` of drbd-utils, which does what our preparation does: `drbdadm adjust`. Where it is enabled, systemd runs it at the boot, when
//! we do, too. Two adjusts at the same time get in each other's way: the second one finds its address in use and fails. And if that is the one
//! of the service, its `ExecStopPost=` takes the resource down. (Our drop-in keeps it from that, but it is in /run, and so is not there yet.)
//!
//! So the service is waited for. If it has taken the resource down all the same, nobody wanted that: it is adjusted once more.

use std::time::Duration;

use crate::ids::{Mono, UnitName};
use crate::systemd::{ActiveState, BusState, UnitState, Units};

/// How long systemd's first word of it is waited for. At a boot systemd may be busy for longer, and DRBD's tools need no systemd.
const FIRST_WORD: Duration = Duration::from_secs(3);
/// How long its end is waited for: as long as an adjust of ours may take.
const LONGEST: Duration = Duration::from_secs(120);
/// A resource that is gone within this time of its failure was taken down by it.
const JUST: Duration = Duration::from_secs(10);

/// See the module's head.
#[derive(Clone, Debug)]
pub(super) struct DrbdService {
    pub(super) unit: UnitName,
    /// Since when it is waited for.
    busy_since: Option<Mono>,
    has_failed: bool,
    failed_at: Option<Mono>,
}

/// Whether an adjust of ours has to wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Busy {
    /// It does nothing.
    No,
    /// Nobody knows, and it is waited until then for a word of systemd.
    Unknown(Mono),
    /// It adjusts, since then, and its end is waited for until then.
    Adjusting(Mono, Mono),
}

impl DrbdService {
    pub(super) fn new(unit: UnitName) -> Self {
        Self { unit, busy_since: None, has_failed: false, failed_at: None }
    }

    fn told<'a>(&self, units: &'a Units) -> Option<&'a UnitState> {
        let is_told = *units.bus() == BusState::Up && units.is_told(self.unit.as_str());
        units.get(self.unit.as_str()).filter(|_| is_told)
    }

    /// Looks at what systemd tells of it. `made_at` = since when anybody could know.
    pub(super) fn observe(&mut self, now: Mono, made_at: Mono, units: &Units) -> Busy {
        let Some(state) = self.told(units) else {
            let until = made_at.after(FIRST_WORD);
            return if until > now { Busy::Unknown(until) } else { Busy::No };
        };
        let has_failed = state.active == ActiveState::Failed;
        if has_failed && !std::mem::replace(&mut self.has_failed, has_failed) {
            self.failed_at = Some(now);
        }
        self.has_failed = has_failed;
        if !state.job && !matches!(state.active, ActiveState::Activating | ActiveState::Deactivating) {
            self.busy_since = None;
            return Busy::No;
        }
        let since = *self.busy_since.get_or_insert(now);
        let until = since.after(LONGEST);
        if until > now { Busy::Adjusting(since, until) } else { Busy::No }
    }

    /// The resource is gone. `true`, once, if it is this service that took it down.
    pub(super) fn took_it_down(&mut self, now: Mono) -> bool {
        self.failed_at.take().is_some_and(|at| now.since(at) < JUST)
    }
}
