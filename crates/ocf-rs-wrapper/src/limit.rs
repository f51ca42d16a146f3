//! How an action that takes too long is ended: `TERM`, then `KILL`, then we go on without it.
//!
//! ```text
//!  Running ──(deadline, or nobody wants it any more)──▶ Terminated ──(grace)──▶ Killed ──(it does not even die)──▶ GivenUp
//! ```

use std::time::Duration;

/// Time since the wrapper started.
pub(crate) type Mono = Duration;

/// Between `TERM` and `KILL`.
pub(crate) const GRACE: Duration = Duration::from_secs(3);

/// How long a process may take to die from `KILL`; one that hangs in the kernel does not.
const DEATH: Duration = Duration::from_secs(2);

/// How much longer than its timeout an action may last in the worst case.
pub(crate) const AFTERMATH: Duration = GRACE.saturating_add(DEATH);

/// The limit of one action.
#[derive(Debug)]
pub(crate) struct Limit {
    step: Step,
    timed_out: bool,
}

#[derive(Debug)]
enum Step {
    /// It may run until then.
    Running { until: Mono },
    /// It got `TERM`.
    Terminated { until: Mono },
    /// It got `KILL`.
    Killed { until: Mono },
    /// It cannot be ended.
    GivenUp,
}

/// What to do now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Push {
    /// Send `TERM` to the process group.
    Terminate,
    /// Send `KILL` to the process group.
    Kill,
    /// Go on as if it had ended.
    GiveUp,
}

impl Limit {
    /// For an action that starts now.
    pub(crate) fn new(now: Mono, timeout: Duration) -> Self {
        Self { step: Step::Running { until: now.saturating_add(timeout) }, timed_out: false }
    }

    /// What is due. Ask until it says `None`.
    pub(crate) fn push(&mut self, now: Mono) -> Option<Push> {
        if now < self.deadline()? {
            return None;
        }
        let (step, push) = match self.step {
            Step::Running { .. } => {
                self.timed_out = true;
                (Step::Terminated { until: now.saturating_add(GRACE) }, Push::Terminate)
            }
            Step::Terminated { .. } => (Step::Killed { until: now.saturating_add(DEATH) }, Push::Kill),
            Step::Killed { .. } | Step::GivenUp => (Step::GivenUp, Push::GiveUp),
        };
        self.step = step;
        Some(push)
    }

    /// Nobody wants it any more: `TERM`, if it did not get that yet.
    pub(crate) fn interrupt(&mut self, now: Mono) -> Option<Push> {
        match self.step {
            Step::Running { .. } => {
                self.step = Step::Terminated { until: now.saturating_add(GRACE) };
                Some(Push::Terminate)
            }
            Step::Terminated { .. } | Step::Killed { .. } | Step::GivenUp => None,
        }
    }

    /// When to ask again.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        match self.step {
            Step::Running { until } | Step::Terminated { until } | Step::Killed { until } => Some(until),
            Step::GivenUp => None,
        }
    }

    /// Whether it was too slow.
    pub(crate) fn timed_out(&self) -> bool {
        self.timed_out
    }

    /// Whether we began to end it.
    pub(crate) fn was_pushed(&self) -> bool {
        !matches!(self.step, Step::Running { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn term_then_kill_then_without_it() {
        let mut limit = Limit::new(S, 20 * S);
        assert_eq!((limit.push(20 * S), limit.was_pushed()), (None, false));
        assert_eq!(limit.push(21 * S), Some(Push::Terminate));
        assert_eq!(limit.push(21 * S), None);
        assert!(limit.timed_out() && limit.was_pushed());
        assert_eq!(limit.push(21 * S + GRACE), Some(Push::Kill));
        assert_eq!(limit.push(21 * S + GRACE), None);
        assert_eq!(limit.push(21 * S + AFTERMATH), Some(Push::GiveUp));
        assert_eq!((limit.push(1000 * S), limit.deadline()), (None, None));
    }

    #[test]
    fn an_interrupted_action_was_not_too_slow() {
        let mut limit = Limit::new(S, 20 * S);
        assert_eq!(limit.interrupt(2 * S), Some(Push::Terminate));
        assert_eq!(limit.interrupt(2 * S), None);
        assert_eq!(limit.push(2 * S + GRACE), Some(Push::Kill));
        assert!(!limit.timed_out());
    }
}
