//! The list `start` of a resource: what of it is still to be started although the target is active, because the list has changed or because
//! units that had failed were reset.

use std::collections::BTreeSet;

use crate::action::Reason;
use crate::ids::UnitName;

/// See the module's head.
#[derive(Clone, Debug, Default)]
pub(super) struct StartList {
    /// It changed, and the target has not been started since.
    has_changed: bool,
    /// Units that are new in it and have not been started since: how they ended before is not our business.
    newcomers: BTreeSet<UnitName>,
    /// Why units that had failed were started again, as long as nobody knows whether that came through: with the start they were reset, and
    /// nothing else would tell then that something is to be started.
    restart: Vec<Reason>,
    /// It was started, or ran somewhere, since we came.
    had_its_start: bool,
}

impl StartList {
    /// For a machine that is built anew. Whether the start without quorum was asked for before the panic or in it nobody knows.
    pub(super) fn after_a_panic(&self) -> Self {
        Self { had_its_start: false, ..self.clone() }
    }

    /// Its units are `after` now, and were `before`.
    pub(super) fn changed(&mut self, before: &[UnitName], after: &[UnitName]) {
        let is_new = |unit: &&UnitName| !before.contains(unit) || self.newcomers.contains(*unit);
        self.newcomers = after.iter().filter(is_new).cloned().collect();
    }

    /// The target has to be started once more, for what is new in it.
    pub(super) fn start_again(&mut self) {
        self.has_changed = true;
    }

    /// A start was asked for. `restarts` = of units that have failed among others that run.
    pub(super) fn asked(&mut self, because: &[Reason], restarts: bool) {
        self.had_its_start = true;
        self.has_changed = false;
        self.newcomers.clear();
        self.restart = if restarts { because.to_vec() } else { Vec::new() };
    }

    /// It runs here or elsewhere.
    pub(super) fn runs_somewhere(&mut self) {
        self.had_its_start = true;
    }

    /// A restart came through, or nobody wants it any more.
    pub(super) fn forget_restart(&mut self) {
        self.restart.clear();
    }

    /// Why units are to be started again; empty if they are not.
    pub(super) fn restart(&self) -> &[Reason] {
        &self.restart
    }

    /// Whether it has changed, and the target has not been started since.
    pub(super) fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// Units whose earlier failures are not our business.
    pub(super) fn newcomers(&self) -> &BTreeSet<UnitName> {
        &self.newcomers
    }

    /// Whether it was started, or ran somewhere, since we came.
    pub(super) fn had_its_start(&self) -> bool {
        self.had_its_start
    }
}
