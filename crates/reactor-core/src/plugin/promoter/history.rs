//! The last decisions of a resource, with how they ended; and what is to be told of them to whoever keeps more than the last ones.

use std::collections::VecDeque;

use crate::action::Reason;
use crate::history::{Entry, Kind, Outcome, Severity, Told};
use crate::ids::{ActionId, Mono, ResourceName};

use super::delay::seconds;
use super::report::PastDecision;

/// A line of the log without the name of the resource that it begins with.
pub(super) fn untitled<'a>(name: &ResourceName, text: &'a str) -> &'a str {
    text.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(text)
}

/// Decisions remembered.
const KEPT: usize = 32;

/// See the module's head.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// Oldest first, each with the action whose outcome is how it ended.
    decisions: VecDeque<(Option<ActionId>, PastDecision)>,
    /// Not told yet; taken at the end of each call of the machine.
    news: Vec<Told>,
}

impl History {
    /// Something was decided.
    pub(super) fn decided(&mut self, now: Mono, id: Option<ActionId>, what: String, because: Vec<Reason>) {
        if self.decisions.len() == KEPT {
            self.decisions.pop_front();
        }
        let entry = Entry::new(Kind::Decision, Severity::Info, what.clone()).because(because.clone());
        self.tell(Told::Entry(Entry { action: id, ..entry }));
        self.decisions.push_back((id, PastDecision { at: now, what, because, outcome: None }));
    }

    /// Whether it has the decision of this action.
    pub(super) fn has(&self, id: ActionId) -> bool {
        self.decisions.iter().any(|(action, _)| *action == Some(id))
    }

    /// How a decision ended.
    pub(super) fn ended(&mut self, now: Mono, id: ActionId, how: &str) {
        if let Some(decision) = self.find(id) {
            let took = now.since(decision.at);
            decision.outcome = Some(format!("{how} after {}", seconds(took)));
            self.tell(Told::Outcome(Outcome { action: id, how: how.to_owned(), took: Some(took) }));
        }
    }

    /// Adds to how a decision ended.
    pub(super) fn explain(&mut self, id: ActionId, text: &str) {
        if let Some(decision) = self.find(id) {
            let so_far = decision.outcome.take().unwrap_or_default();
            decision.outcome = Some(if so_far.is_empty() { text.to_owned() } else { format!("{so_far}; {text}") });
            self.tell(Told::Outcome(Outcome { action: id, how: text.to_owned(), took: None }));
        }
    }

    /// Something is to be told.
    pub(super) fn tell(&mut self, told: Told) {
        self.news.push(told);
    }

    /// What is to be told since the last time.
    pub(super) fn take_news(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.news)
    }

    /// All that is remembered, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &PastDecision> {
        self.decisions.iter().map(|(_, decision)| decision)
    }

    fn find(&mut self, id: ActionId) -> Option<&mut PastDecision> {
        self.decisions.iter_mut().rev().find(|(action, _)| *action == Some(id)).map(|(_, decision)| decision)
    }
}
