//! What a rule counts.

use crate::action::HandlerEnd;

/// Counters of one rule, or of several together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) started: u64,
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) timed_out: u64,
    pub(super) not_started: u64,
    pub(super) aborted: u64,
    pub(super) dropped: u64,
    pub(super) rate_limited: u64,
    pub(super) cancelled: u64,
}

impl Counts {
    /// A handler ended.
    pub(super) fn ended(&mut self, end: &HandlerEnd) {
        let counter = match end {
            HandlerEnd::Exited(0) => &mut self.succeeded,
            HandlerEnd::Exited(_) | HandlerEnd::Signalled(_) => &mut self.failed,
            HandlerEnd::TimedOut => &mut self.timed_out,
            HandlerEnd::Aborted => &mut self.aborted,
            HandlerEnd::NotStarted { .. } => &mut self.not_started,
        };
        *counter += 1;
    }

    /// Adds those of another rule.
    pub(super) fn add(&mut self, other: &Self) {
        self.started += other.started;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.timed_out += other.timed_out;
        self.not_started += other.not_started;
        self.aborted += other.aborted;
        self.dropped += other.dropped;
        self.rate_limited += other.rate_limited;
        self.cancelled += other.cancelled;
    }

    /// Each with its name and what it means.
    pub(super) fn named(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + use<> {
        [
            ("handlers_started", "Handlers that were asked for and given a place.", self.started),
            ("handlers_succeeded", "Handlers that ended with exit code 0.", self.succeeded),
            ("handlers_failed", "Handlers that ended with another exit code or by a signal.", self.failed),
            ("handlers_timed_out", "Handlers that were ended because they took longer than they may.", self.timed_out),
            ("handlers_not_started", "Handlers that the system could not start.", self.not_started),
            ("handlers_aborted", "Handlers that were ended because the daemon stopped.", self.aborted),
            ("handlers_dropped", "Handlers that were not run because too many waited already.", self.dropped),
            ("handlers_rate_limited", "Handlers that were not run because of a rate-limit.", self.rate_limited),
            ("holds_cancelled", "States that did not last as long as the rule's for.", self.cancelled),
        ]
        .into_iter()
    }
}
