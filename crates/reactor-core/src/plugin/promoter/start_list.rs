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

#[cfg(test)]
mod tests {
    use super::*;

    fn units(names: &[&str]) -> Vec<UnitName> {
        names.iter().map(|name| UnitName::new(name)).collect()
    }

    fn newcomers(list: &StartList) -> Vec<&str> {
        list.newcomers().iter().map(UnitName::as_str).collect()
    }

    #[test]
    fn what_is_new_is_so_until_it_is_started_or_leaves() {
        let mut list = StartList::default();
        list.changed(&units(&["a"]), &units(&["a", "b"]));
        assert_eq!(newcomers(&list), ["b"]);
        list.changed(&units(&["a", "b"]), &units(&["a", "b", "c"]));
        assert_eq!(newcomers(&list), ["b", "c"], "b was not started meanwhile");
        list.changed(&units(&["a", "b", "c"]), &units(&["a", "c"]));
        assert_eq!(newcomers(&list), ["c"]);
        assert!(!list.has_changed(), "that is not said by the list alone");
        list.start_again();
        assert!(list.has_changed());
        list.asked(&[], false);
        assert_eq!((newcomers(&list).len(), list.has_changed()), (0, false));
    }

    #[test]
    fn a_restart_is_due_until_it_came_through_and_a_start_ends_it() {
        let because = [Reason("a.service has failed".to_owned())];
        let mut list = StartList::default();
        list.asked(&because, true);
        assert_eq!(list.restart(), because);
        list.forget_restart();
        assert_eq!(list.restart(), []);
        list.asked(&because, true);
        list.asked(&because, false);
        assert_eq!(list.restart(), []);
    }

    #[test]
    fn it_had_its_start_when_it_was_asked_for_or_ran_anywhere() {
        let (mut asked, mut ran) = (StartList::default(), StartList::default());
        assert!(!asked.had_its_start());
        asked.asked(&[], false);
        ran.runs_somewhere();
        assert!(asked.had_its_start() && ran.had_its_start());
    }

    #[test]
    fn after_a_panic_all_is_known_but_whether_it_had_its_start() {
        let mut list = StartList::default();
        list.asked(&[Reason("a.service has failed".to_owned())], true);
        list.changed(&[], &units(&["b"]));
        list.start_again();
        let anew = list.after_a_panic();
        assert!(!anew.had_its_start() && anew.has_changed());
        assert_eq!((newcomers(&anew), anew.restart()), (newcomers(&list), list.restart()));
    }
}
