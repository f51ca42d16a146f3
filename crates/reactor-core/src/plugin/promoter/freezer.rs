//! Freezing and thawing units: what was asked for, and systemd's news of it, which may come after the answer to the call.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{ActionId, Mono, UnitName};
use crate::systemd::{FreezerState, UnitVerb, Units};

use super::tries::back_off;

/// How long the news may take after the answer.
const SETTLE: Duration = Duration::from_secs(5);
/// First wait after a call that failed; doubles.
const REPEAT_BASE: Duration = Duration::from_secs(5);
/// The same at most.
const REPEAT_MAX: Duration = Duration::from_secs(60);

/// See the module's head.
#[derive(Clone, Debug, Default)]
pub(super) struct Freezer {
    in_flight: BTreeMap<ActionId, (UnitName, UnitVerb)>,
    /// Units whose call is done: the state that is expected, and until when.
    settling: BTreeMap<UnitName, (FreezerState, Mono)>,
    failed: u32,
    not_before: Mono,
    problem: Option<String>,
}

impl Freezer {
    /// A call was asked for.
    pub(super) fn asked(&mut self, id: ActionId, unit: UnitName, verb: UnitVerb) {
        self.settling.remove(&unit);
        self.in_flight.insert(id, (unit, verb));
    }

    /// A call is done or failed; `None` if it was not one of ours.
    pub(super) fn ended(&mut self, now: Mono, id: ActionId, why_not: Option<String>) -> Option<Ended> {
        let (unit, verb) = self.in_flight.remove(&id)?;
        let Some(why) = why_not else {
            self.failed = 0;
            self.problem = None;
            let expected = if verb == UnitVerb::Freeze { FreezerState::Frozen } else { FreezerState::Running };
            self.settling.insert(unit, (expected, now.after(SETTLE)));
            return Some(Ended { news: None });
        };
        let text = format!("{unit}: {} failed: {why}", verb.as_str());
        let news = self.problem.is_none().then(|| text.clone());
        self.failed += 1;
        self.not_before = now.after(back_off(REPEAT_BASE, self.failed, REPEAT_MAX));
        self.problem = Some(text);
        Some(Ended { news })
    }

    /// Looks at what systemd told.
    pub(super) fn observe(&mut self, units: &Units) {
        self.settling
            .retain(|unit, (expected, _)| units.get(unit.as_str()).is_none_or(|state| state.freezer != *expected));
    }

    /// Until when this unit must not be asked again; a time that has passed if it may be.
    pub(super) fn wait(&self, now: Mono, unit: &UnitName) -> Wait {
        if self.in_flight.values().any(|(busy, _)| busy == unit) {
            return Wait::ForOutcome;
        }
        let settling = self.settling.get(unit).map(|(_, until)| *until);
        match settling.max((self.not_before > now).then_some(self.not_before)).filter(|until| *until > now) {
            Some(until) => Wait::Until(until),
            None => Wait::No,
        }
    }

    /// What went wrong last and has not gone well since.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}

/// How a call ended.
pub(super) struct Ended {
    /// What a person should know.
    pub(super) news: Option<String>,
}

/// Whether a unit may be asked.
pub(super) enum Wait {
    No,
    ForOutcome,
    Until(Mono),
}
