//! What failed is started again after a pause that doubles with each failure, whether its resource runs or not.

use std::time::Duration;

use reactor_core::action::Action;
use reactor_core::ids::Mono;
use reactor_core::settings::promoter::Retry;

use crate::drbd9::NodeIx;

use super::super::plan::NODES;
use super::super::run::World;

/// The pause after the first failure.
const FIRST: Duration = Duration::from_secs(1);
/// The longest one.
const LONGEST: Duration = Duration::from_secs(300);

impl World {
    /// So many failures are counted now, and one of them happened just now.
    pub(super) fn note_pause(&mut self, node: NodeIx, res: usize, failures: u32) {
        let settings = self.view(node, res).map(|view| (view.settings.retry, view.settings.failure_window));
        let Some((Retry::BackOff, window)) = settings else { return };
        let doubled = FIRST.saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        // Failures that have expired delay nothing.
        let until = self.now.after(doubled.min(LONGEST).min(window));
        self.watch.levels[node][res].pauses_until = Some(until);
    }

    /// Something is started.
    pub(super) fn check_pause(&mut self, node: NodeIx, res: usize, action: &Action) {
        let is_early = |until: &Mono| self.now < *until;
        let Some(until) = self.watch.levels[node][res].pauses_until.filter(is_early) else { return };
        // What is new in the list has not failed, and what its entry lets be started again has not failed for good.
        let is_another =
            |text: &str| text.contains("the list of units to start has changed") || text.starts_with("restart = ");
        if action.because.iter().any(|reason| is_another(&reason.0)) {
            return;
        }
        let name = &self.plan.cluster.resources[res].name;
        let what = format!("{}: {name} has failed, and is started again not before {until}", NODES[node]);
        self.violated("what failed is started after a pause", what);
    }
}
