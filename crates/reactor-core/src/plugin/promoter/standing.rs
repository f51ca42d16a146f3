//! How a resource stands: one word for it, since when, and why, as the last judgement found it.

use crate::action::Reason;
use crate::ids::Mono;

use super::report::StateWord;

/// See the module's head.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    state: StateWord,
    since: Mono,
    because: Vec<Reason>,
}

impl Standing {
    pub(super) fn new(now: Mono) -> Self {
        Self { state: StateWord::Preparing, since: now, because: Vec::new() }
    }

    /// So it was judged.
    pub(super) fn judged(&mut self, now: Mono, state: StateWord, because: &[Reason]) {
        if self.state != state {
            self.state = state;
            self.since = now;
        }
        self.because.clear();
        self.because.extend_from_slice(because);
    }

    /// One more reason.
    pub(super) fn also_because(&mut self, reason: Reason) {
        self.because.push(reason);
    }

    /// For a machine that is built anew: the reasons come with its first judgement.
    pub(super) fn after_a_panic(&self) -> Self {
        Self { because: Vec::new(), ..*self }
    }

    /// The word.
    pub(super) fn state(&self) -> StateWord {
        self.state
    }

    /// Since when.
    pub(super) fn since(&self) -> Mono {
        self.since
    }

    /// Why.
    pub(super) fn because(&self) -> &[Reason] {
        &self.because
    }
}
