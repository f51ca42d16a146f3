//! Freezing and thawing units: what was asked for, and systemd's news of it, which may come after the answer to the call.
//!
//! Each unit and each of both verbs is for itself: one unit that can't be frozen delays neither the others nor the thaw of any. What is not
//! wanted any more, or holds by now, is forgotten, a failure included.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::{ActionId, Mono, UnitName};
use crate::systemd::{ActiveState, FreezerState, UnitEnd, UnitState, UnitVerb, Units};

use super::repeat::Repeat;

/// How long the news may take after the answer.
const SETTLE: Duration = Duration::from_secs(5);

/// See the module's head.
#[derive(Clone, Debug, Default)]
pub(super) struct Freezer {
    /// We froze its services and have not thawed them.
    froze: bool,
    in_flight: BTreeMap<ActionId, (UnitName, UnitVerb)>,
    tried: BTreeMap<(UnitName, UnitVerb), Tried>,
    /// What was asked for together, by its last call, and how it went so far.
    batches: BTreeMap<ActionId, Batch>,
}

/// What became of one verb for one unit.
#[derive(Clone, Debug, Default)]
struct Tried {
    repeat: Repeat,
    /// The call has ended; until then systemd's news of it are waited for. The text is what to say if they do not come.
    settling: Option<(Mono, String)>,
    /// How the unit was when the call failed: if that changes, it is asked again at once.
    failed_as: Option<(ActiveState, FreezerState)>,
    problem: Option<String>,
}

#[derive(Clone, Debug, Default)]
struct Batch {
    open: BTreeSet<ActionId>,
    all: usize,
    bad: Vec<String>,
}

/// How a call ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// What a person should know.
    pub(super) news: Option<String>,
    /// The last call of those that were asked for together, if this was the last to end, and how they went.
    pub(super) whole: Option<(ActionId, String)>,
}

/// Whether a unit may be asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wait {
    No,
    ForOutcome,
    Until(Mono),
}

/// Whether the unit is as `verb` wants it. One that is still on its way to be frozen is all that can be had as long as a process of it waits for
/// its disk.
fn holds(verb: UnitVerb, state: Option<&UnitState>) -> bool {
    let Some(state) = state else { return false };
    let frozen = matches!(state.freezer, FreezerState::Frozen | FreezerState::Freezing);
    let down = matches!(state.active, ActiveState::Inactive | ActiveState::Failed);
    if verb == UnitVerb::Freeze { frozen || down } else { !frozen }
}

impl Freezer {
    /// Whether we froze its services and have not thawed them.
    pub(super) fn froze(&self) -> bool {
        self.froze
    }

    /// Its services are about to be frozen. `true` = that was not so before.
    pub(super) fn begins(&mut self) -> bool {
        !std::mem::replace(&mut self.froze, true)
    }

    /// Its services are not frozen, or do not run. `true` = that was not so before.
    pub(super) fn is_over(&mut self) -> bool {
        std::mem::take(&mut self.froze)
    }

    /// Whether the daemon before this one froze its services and did not thaw them.
    pub(super) fn recall(&mut self, froze: bool) {
        self.froze = froze;
    }

    /// For a machine that is built anew: calls that are under way are waited for.
    pub(super) fn after_a_panic(&self, is_sent: impl Fn(ActionId) -> bool) -> Self {
        let mut new = self.clone();
        new.in_flight.retain(|id, _| is_sent(*id));
        for batch in new.batches.values_mut() {
            batch.open.retain(|id| is_sent(*id));
        }
        new.batches.retain(|_, batch| !batch.open.is_empty());
        new
    }

    /// Calls were asked for together.
    pub(super) fn asked(&mut self, calls: Vec<(ActionId, UnitName)>, verb: UnitVerb) {
        let Some(last) = calls.last().map(|(id, _)| *id) else { return };
        let open = calls.iter().map(|(id, _)| *id).collect();
        self.batches.insert(last, Batch { open, all: calls.len(), bad: Vec::new() });
        for (id, unit) in calls {
            self.in_flight.insert(id, (unit, verb));
        }
    }

    /// A call is done or failed; `None` if it was not one of ours.
    pub(super) fn ended(&mut self, now: Mono, id: ActionId, end: &UnitEnd, units: &Units) -> Option<Ended> {
        let (unit, verb) = self.in_flight.remove(&id)?;
        let state = units.get(unit.as_str());
        let text = format!("{unit}: {} failed: {end}", verb.as_str());
        let mut ended = Ended::default();
        let reached = holds(verb, state) && verb == UnitVerb::Freeze;
        if *end != UnitEnd::Done && !reached {
            self.note_in_batch(id, &unit, end);
        }
        let tried = self.tried.entry((unit, verb)).or_default();
        match end {
            _ if reached => {}
            UnitEnd::Done => {
                let odd = "systemd says that it is done, and not that it is so";
                tried.settling = Some((now.after(SETTLE), format!("{text}, {odd}")));
            }
            // It may be on its way all the same: systemd's word on the unit tells.
            UnitEnd::TimedOut | UnitEnd::NoBus { .. } => tried.settling = Some((now.after(SETTLE), text)),
            UnitEnd::Job(_) | UnitEnd::Refused { .. } => ended.news = tried.failed(now, state, text),
        }
        ended.whole = self.end_in_batch(id);
        Some(ended)
    }

    fn note_in_batch(&mut self, id: ActionId, unit: &UnitName, end: &UnitEnd) {
        if let Some(batch) = self.batches.values_mut().find(|batch| batch.open.contains(&id)) {
            batch.bad.push(format!("{unit}: {end}"));
        }
    }

    fn end_in_batch(&mut self, id: ActionId) -> Option<(ActionId, String)> {
        let (last, batch) = self.batches.iter_mut().find(|(_, batch)| batch.open.contains(&id))?;
        batch.open.remove(&id);
        if !batch.open.is_empty() {
            return None;
        }
        let last = *last;
        let batch = self.batches.remove(&last)?;
        let text = match (batch.bad.is_empty(), batch.all - batch.bad.len()) {
            (true, _) => "done".to_owned(),
            (false, 0) => batch.bad.join(", "),
            (false, good) => format!("{good} of {} done; {}", batch.all, batch.bad.join(", ")),
        };
        Some((last, text))
    }

    /// Looks at what systemd told. `freezes` = what can be frozen is to be. Gives what a person should know, and when to look again.
    pub(super) fn observe(&mut self, now: Mono, units: &Units, freezes: bool) -> (Vec<String>, Option<Mono>) {
        let (mut news, mut again) = (Vec::new(), None::<Mono>);
        self.tried.retain(|(unit, verb), _| {
            let (wanted, state) = (*verb != UnitVerb::Freeze || freezes, units.get(unit.as_str()));
            wanted && state.is_some() && !holds(*verb, state)
        });
        for ((unit, _), tried) in &mut self.tried {
            match tried.settling.take_if(|(until, _)| *until <= now) {
                Some((_, text)) => news.extend(tried.failed(now, units.get(unit.as_str()), text)),
                None => {
                    let until = tried.settling.as_ref().map(|(until, _)| *until);
                    again = again.into_iter().chain(until).min();
                }
            }
        }
        (news, again)
    }

    /// Whether this unit may be asked for this now.
    pub(super) fn wait(&self, now: Mono, unit: &UnitName, verb: UnitVerb, units: &Units) -> Wait {
        if self.in_flight.values().any(|(busy, asked)| busy == unit && *asked == verb) {
            return Wait::ForOutcome;
        }
        let Some(tried) = self.tried.get(&(unit.clone(), verb)) else { return Wait::No };
        if let Some((until, _)) = &tried.settling {
            return if *until > now { Wait::Until(*until) } else { Wait::No };
        }
        match tried.repeat.until(now) {
            Some(until) if tried.failed_as == Some(look(units.get(unit.as_str()))) => Wait::Until(until),
            _ => Wait::No,
        }
    }

    /// Units that may be frozen by now although systemd has not said so: a call is under way, or its news are.
    pub(super) fn maybe_frozen(&self) -> impl Iterator<Item = &UnitName> {
        let calls = self.in_flight.values().filter(|(_, verb)| *verb == UnitVerb::Freeze).map(|(unit, _)| unit);
        let settling = |(_, tried): &(_, &Tried)| tried.settling.is_some();
        let freezes = self.tried.iter().filter(|((_, verb), _)| *verb == UnitVerb::Freeze);
        calls.chain(freezes.filter(settling).map(|((unit, _), _)| unit))
    }

    /// What did not go well and is still wanted.
    pub(super) fn problems(&self) -> impl Iterator<Item = &str> {
        self.tried.values().filter_map(|tried| tried.problem.as_deref())
    }
}

impl Tried {
    /// It did not work. Gives what is new to a person.
    fn failed(&mut self, now: Mono, state: Option<&UnitState>, text: String) -> Option<String> {
        self.repeat.tried(now);
        self.settling = None;
        self.failed_as = Some(look(state));
        let news = self.problem.is_none().then(|| text.clone());
        self.problem = Some(text);
        news
    }
}

fn look(state: Option<&UnitState>) -> (ActiveState, FreezerState) {
    state.map(|state| (state.active.clone(), state.freezer.clone())).unwrap_or_default()
}
