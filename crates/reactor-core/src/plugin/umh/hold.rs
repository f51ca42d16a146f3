//! `for = "30s"`: what waits until a state has held long enough.
//!
//! ```text
//!            edge matches                deadline, and the present state still matches
//!   (none) ───────────────▶ waiting ──────────────────────────────────────────────────▶ fires
//!                              │
//!                              └── a change that leaves the state, or the object is gone ──▶ cancelled
//! ```
//!
//! A further edge into the same state changes nothing: it has held since the first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::change::Change;
use crate::ids::{Mono, ResourceName};

use super::RuleId;
use super::present::ObjectKey;

/// Everything that waits.
#[derive(Debug, Default)]
pub(super) struct Holds {
    waiting: BTreeMap<(RuleId, ObjectKey), Hold>,
    due: BTreeSet<(Mono, RuleId, ObjectKey)>,
}

/// One rule waiting on one object.
#[derive(Debug)]
pub(super) struct Hold {
    deadline: Mono,
    /// When the state began.
    pub(super) since: Mono,
    /// The edge.
    pub(super) change: Change,
}

impl Holds {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Starts to wait, unless it waits already.
    pub(super) fn begin(&mut self, rule: RuleId, key: ObjectKey, now: Mono, time: Duration, change: &Change) {
        let deadline = now.after(time);
        self.waiting.entry((rule, key.clone())).or_insert_with(|| {
            self.due.insert((deadline, rule, key));
            Hold { deadline, since: now, change: change.clone() }
        });
    }

    /// Whether `rule` waits on the object.
    pub(super) fn contains(&self, rule: RuleId, key: &ObjectKey) -> bool {
        // A tuple of references is no `Borrow` of the key, and a clone costs two reference counts.
        !self.waiting.is_empty() && self.waiting.contains_key(&(rule, key.clone()))
    }

    /// Ends the wait.
    pub(super) fn cancel(&mut self, rule: RuleId, key: ObjectKey) {
        if let Some(hold) = self.waiting.remove(&(rule, key.clone())) {
            self.due.remove(&(hold.deadline, rule, key));
        }
    }

    /// Ends every wait of rules that are gone.
    pub(super) fn retain_rules(&mut self, mut keep: impl FnMut(RuleId) -> bool) {
        self.waiting.retain(|(rule, _), _| keep(*rule));
        self.due.retain(|(_, rule, _)| keep(*rule));
    }

    /// A resource got another name: what waits on its objects goes on.
    pub(super) fn rename(&mut self, from: &ResourceName, to: &ResourceName) {
        let moved: Vec<_> = self.waiting.keys().filter(|(_, key)| key.is_of(from)).cloned().collect();
        for (rule, key) in moved {
            let Some(mut hold) = self.waiting.remove(&(rule, key.clone())) else { continue };
            self.due.remove(&(hold.deadline, rule, key.clone()));
            let key = key.renamed(to);
            hold.change.resource = to.clone();
            self.due.insert((hold.deadline, rule, key.clone()));
            self.waiting.insert((rule, key), hold);
        }
    }

    /// The next one whose time has come.
    pub(super) fn pop_due(&mut self, now: Mono) -> Option<(RuleId, Hold)> {
        let (deadline, _, _) = self.due.first()?;
        if *deadline > now {
            return None;
        }
        let (_, rule, key) = self.due.pop_first()?;
        let hold = self.waiting.remove(&(rule, key))?;
        Some((rule, hold))
    }

    /// When the next one is due.
    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.due.first().map(|(deadline, _, _)| *deadline)
    }
}
