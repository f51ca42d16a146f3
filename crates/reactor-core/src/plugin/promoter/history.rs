//! The last decisions of a resource, with how they ended.

use std::collections::VecDeque;

use crate::action::Reason;
use crate::ids::{ActionId, Mono};

use super::delay::seconds;
use super::report::PastDecision;

/// Decisions remembered.
const KEPT: usize = 32;

/// See the module's head.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// Oldest first, each with the action whose outcome is how it ended.
    decisions: VecDeque<(Option<ActionId>, PastDecision)>,
}

impl History {
    /// Something was decided.
    pub(super) fn decided(&mut self, now: Mono, id: Option<ActionId>, what: String, because: Vec<Reason>) {
        if self.decisions.len() == KEPT {
            self.decisions.pop_front();
        }
        self.decisions.push_back((id, PastDecision { at: now, what, because, outcome: None }));
    }

    /// Whether it has the decision of this action.
    pub(super) fn has(&self, id: ActionId) -> bool {
        self.decisions.iter().any(|(action, _)| *action == Some(id))
    }

    /// How a decision ended.
    pub(super) fn ended(&mut self, now: Mono, id: ActionId, how: &str) {
        if let Some(decision) = self.find(id) {
            decision.outcome = Some(format!("{how} after {}", seconds(now.since(decision.at))));
        }
    }

    /// Adds to how a decision ended.
    pub(super) fn explain(&mut self, id: ActionId, text: &str) {
        if let Some(decision) = self.find(id) {
            let so_far = decision.outcome.take().unwrap_or_default();
            decision.outcome = Some(if so_far.is_empty() { text.to_owned() } else { format!("{so_far}; {text}") });
        }
    }

    /// All that is remembered, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &PastDecision> {
        self.decisions.iter().map(|(_, decision)| decision)
    }

    fn find(&mut self, id: ActionId) -> Option<&mut PastDecision> {
        self.decisions.iter_mut().rev().find(|(action, _)| *action == Some(id)).map(|(_, decision)| decision)
    }
}
