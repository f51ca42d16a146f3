//! What was asked of systemd for the target of a resource, and has not come to its end.
//!
//! ```text
//!  Idle ── a start is asked for ──▶ Starting ── its job is done ──▶ Settling ── the target is active, or is late ──▶ Idle
//!  Starting ── its job failed, or nobody knows ──▶ Idle
//!
//!  Idle ── a stop is asked for ──▶ Stopping ── its job is done ──▶ Stopped ── all is down, or something is late ──▶ Idle
//!  Starting ── a stop pre-empts it ──▶ Stopping
//!  Settling ── a stop ──▶ Stopping ── its job failed, or nobody knows ──▶ Idle
//!
//!  Stopped ── the daemon ends ──▶ Stopping ── the daemon ends ──▶ Stopping
//! ```
//!
//! Whether anything is started or stopped is decided from levels every time ([`plan`](super::plan::plan)); this only keeps the same thing from
//! being asked for twice, and says what systemd's news are to be believed meanwhile.

use crate::ids::{ActionId, Mono};

use super::course::{Course, Transitions};

/// See the module's head.
pub(super) type Work = Course<Phase>;

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing is under way.
    Idle,
    /// The job of a start has not ended.
    Starting(Start),
    /// It is done, and systemd's news of the target are on their way.
    Settling {
        start: Start,
        /// Without the news until then, the start counts as failed.
        until: Mono,
    },
    /// The job of a stop has not ended.
    Stopping(ActionId),
    /// It is done. Until then units that are active without a job are old news.
    Stopped { until: Mono },
}

impl Transitions for Phase {
    fn may_become(&self, next: &Self) -> bool {
        use Phase::{Idle, Settling, Starting, Stopped, Stopping};
        matches!(
            (self, next),
            (Idle, Starting(_) | Stopping(_))
                | (Starting(_), Settling { .. } | Idle | Stopping(_))
                | (Settling { .. }, Idle | Stopping(_))
                | (Stopping(_), Stopped { .. } | Idle | Stopping(_))
                | (Stopped { .. }, Idle | Stopping(_))
        )
    }
}

impl Work {
    /// The same for a machine that is built anew: what was never asked for is not under way.
    pub(super) fn after_a_panic(&self, is_sent: impl Fn(ActionId) -> bool) -> Self {
        match self.phase() {
            Phase::Starting(Start { id, .. }) | Phase::Stopping(id) if !is_sent(*id) => Self::begin(Phase::Idle),
            Phase::Idle | Phase::Starting(_) | Phase::Settling { .. } | Phase::Stopping(_) | Phase::Stopped { .. } => {
                self.clone()
            }
        }
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        *self.phase() == Phase::Idle
    }

    /// The start that is under way, its target's news included.
    pub(super) fn start(&self) -> Option<&Start> {
        match self.phase() {
            Phase::Starting(start) | Phase::Settling { start, .. } => Some(start),
            Phase::Idle | Phase::Stopping(_) | Phase::Stopped { .. } => None,
        }
    }

    /// Takes note of systemd's answer about a start that does not come to its promotion, if it is still that start which is under way.
    pub(super) fn start_waits_for(&mut self, asked: ActionId, unit: Option<String>) {
        self.update(|phase| match phase {
            Phase::Starting(start) | Phase::Settling { start, .. } if start.id == asked => {
                start.hang = StartHang::Asked(unit);
            }
            Phase::Idle | Phase::Starting(_) | Phase::Settling { .. } | Phase::Stopping(_) | Phase::Stopped { .. } => {}
        });
    }
}

/// A start that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) id: ActionId,
    /// DRBD said Primary already when it was asked for.
    was_primary: bool,
    hang: StartHang,
}

/// A start that does not come to its promotion: which unit it waits for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
enum StartHang {
    /// systemd has not been asked.
    #[default]
    NotAsked,
    /// It was asked; `None` = it has not answered yet, or names no unit.
    Asked(Option<String>),
}

impl Start {
    pub(super) fn new(id: ActionId, was_primary: bool) -> Self {
        Self { id, was_primary, hang: StartHang::NotAsked }
    }

    /// Whether it began on a node that was not Primary, by what was known: only then a Primary says that the promotion came through.
    pub(super) fn tells_by_role(&self) -> bool {
        !self.was_primary
    }

    /// Whether systemd was asked what it waits for.
    pub(super) fn is_asked_about(&self) -> bool {
        self.hang != StartHang::NotAsked
    }

    /// The unit that it waits for, if systemd has named one.
    pub(super) fn waited_for(&self) -> Option<&str> {
        match &self.hang {
            StartHang::NotAsked => None,
            StartHang::Asked(unit) => unit.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drawing_is_what_is_allowed() {
        let start = Start::new(ActionId(1), false);
        let settling = Phase::Settling { start: start.clone(), until: Mono(1) };
        let stopped = Phase::Stopped { until: Mono(1) };
        let all = [Phase::Idle, Phase::Starting(start), settling, Phase::Stopping(ActionId(2)), stopped];
        super::super::course::tests::check_drawing(include_str!("work.rs"), &all);
    }

    #[test]
    fn after_a_panic_what_was_asked_for_is_under_way_and_what_was_not_is_not() {
        let (sent, not_sent) = (ActionId(1), ActionId(2));
        let is_sent = |id: ActionId| id == sent;
        let starting = |id| Phase::Starting(Start::new(id, false));
        let settling = || Phase::Settling { start: Start::new(not_sent, false), until: Mono(1) };
        let table = [
            (starting(sent), true),
            (starting(not_sent), false),
            (Phase::Stopping(sent), true),
            (Phase::Stopping(not_sent), false),
            // What these wait for is systemd's news of units.
            (settling(), true),
            (Phase::Stopped { until: Mono(1) }, true),
            (Phase::Idle, true),
        ];
        for (phase, stays) in table {
            let anew = Work::begin(phase.clone()).after_a_panic(is_sent);
            assert_eq!(*anew.phase(), if stays { phase } else { Phase::Idle });
            assert_eq!(anew.is_idle(), *anew.phase() == Phase::Idle);
        }
    }

    #[test]
    fn what_a_start_waits_for_is_said_of_that_start() {
        let mut work = Work::begin(Phase::Starting(Start::new(ActionId(1), false)));
        let said = |work: &Work| {
            let start = work.start().expect("it is under way");
            (start.is_asked_about(), start.waited_for().map(str::to_owned))
        };
        assert_eq!(said(&work), (false, None));
        work.start_waits_for(ActionId(2), Some("b.service".to_owned()));
        assert_eq!(said(&work), (false, None), "it was about another one");
        work.start_waits_for(ActionId(1), None);
        assert_eq!(said(&work), (true, None));
        work.start_waits_for(ActionId(1), Some("a.service".to_owned()));
        assert_eq!(said(&work), (true, Some("a.service".to_owned())));
        for phase in [Phase::Idle, Phase::Stopping(ActionId(1)), Phase::Stopped { until: Mono(1) }] {
            assert!(Work::begin(phase).start().is_none());
        }
    }

    #[test]
    fn a_start_of_a_primary_is_not_told_by_its_role() {
        let told = [false, true].map(|was_primary| Start::new(ActionId(1), was_primary).tells_by_role());
        assert_eq!(told, [true, false]);
    }
}
