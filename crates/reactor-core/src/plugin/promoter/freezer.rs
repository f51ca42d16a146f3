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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systemd::UnitNews;

    const A: &str = "a.service";

    fn second(s: u64) -> Mono {
        Mono::ZERO.after(Duration::from_secs(s))
    }

    fn units(active: ActiveState, freezer: FreezerState) -> Units {
        let mut units = Units::default();
        units.apply(&UnitNews { unit: A.into(), state: UnitState { active, freezer, ..UnitState::default() } });
        units
    }

    fn running() -> Units {
        units(ActiveState::Active, FreezerState::Running)
    }

    fn frozen() -> Units {
        units(ActiveState::Active, FreezerState::Frozen)
    }

    fn refused() -> UnitEnd {
        UnitEnd::Refused { error: "org.freedesktop.systemd1.UnitBusy".to_owned(), message: "no".to_owned() }
    }

    /// One call for `a.service`, with id 1, which ended like that at 10 s.
    fn after(verb: UnitVerb, end: &UnitEnd, units: &Units) -> (Freezer, Option<String>) {
        let mut freezer = Freezer::default();
        freezer.asked(vec![(ActionId(1), A.into())], verb);
        assert_eq!(freezer.wait(second(1), &A.into(), verb, units), Wait::ForOutcome);
        let ended = freezer.ended(second(10), ActionId(1), end, units).expect("it was asked for");
        (freezer, ended.news)
    }

    fn wait(freezer: &Freezer, now: u64, verb: UnitVerb, units: &Units) -> Wait {
        freezer.wait(second(now), &A.into(), verb, units)
    }

    #[test]
    fn what_a_unit_has_to_be() {
        use ActiveState::{Active, Failed, Inactive};
        use FreezerState::{Freezing, Frozen, Running, Thawing};
        let table = [
            (Active, Running, false, true),
            (Active, Frozen, true, false),
            (Active, Freezing, true, false),
            (Active, Thawing, false, true),
            (Inactive, Running, true, true),
            (Failed, Running, true, true),
        ];
        for (active, freezer, as_frozen, as_thawed) in table {
            let state = UnitState { active, freezer, ..UnitState::default() };
            let is = [UnitVerb::Freeze, UnitVerb::Thaw].map(|verb| holds(verb, Some(&state)));
            assert_eq!(is, [as_frozen, as_thawed], "{state:?}");
        }
        assert!(!holds(UnitVerb::Freeze, None) && !holds(UnitVerb::Thaw, None), "nobody knows");
    }

    #[test]
    fn whether_we_froze_is_news_once() {
        let mut freezer = Freezer::default();
        assert_eq!((freezer.froze(), freezer.is_over()), (false, false));
        assert_eq!((freezer.begins(), freezer.begins(), freezer.froze()), (true, false, true));
        assert_eq!((freezer.is_over(), freezer.is_over(), freezer.froze()), (true, false, false));
        freezer.recall(true);
        assert!(freezer.froze() && freezer.after_a_panic(|_| true).froze());
        freezer.recall(false);
        assert!(!freezer.froze());
    }

    #[test]
    fn each_verb_of_each_unit_waits_for_its_own_outcome() {
        let mut freezer = Freezer::default();
        freezer.asked(vec![(ActionId(1), A.into())], UnitVerb::Freeze);
        assert_eq!(wait(&freezer, 1, UnitVerb::Freeze, &running()), Wait::ForOutcome);
        assert_eq!(wait(&freezer, 1, UnitVerb::Thaw, &running()), Wait::No);
        assert_eq!(freezer.wait(second(1), &"b.service".into(), UnitVerb::Freeze, &running()), Wait::No);
        assert!(freezer.ended(second(2), ActionId(2), &UnitEnd::Done, &running()).is_none(), "it is another's");
        let new = freezer.after_a_panic(|_| false);
        assert_eq!(wait(&new, 1, UnitVerb::Freeze, &running()), Wait::No, "it was never asked for");
        let sent = freezer.after_a_panic(|_| true);
        assert_eq!(wait(&sent, 1, UnitVerb::Freeze, &running()), Wait::ForOutcome);
    }

    /// The answer to the call is one thing, and how the unit is another.
    #[test]
    fn what_is_done_waits_for_the_news_of_it_and_then_counts_as_failed() {
        for end in [UnitEnd::Done, UnitEnd::TimedOut, UnitEnd::NoBus { why: "gone".to_owned() }] {
            let (mut freezer, news) = after(UnitVerb::Freeze, &end, &running());
            assert_eq!((news, freezer.problems().count()), (None, 0));
            assert_eq!(wait(&freezer, 14, UnitVerb::Freeze, &running()), Wait::Until(second(15)));
            assert_eq!(wait(&freezer, 15, UnitVerb::Freeze, &running()), Wait::No);
            assert_eq!(freezer.maybe_frozen().map(UnitName::as_str).collect::<Vec<_>>(), [A]);
            assert_eq!(freezer.observe(second(14), &running(), true), (Vec::new(), Some(second(15))));
            let odd = if end == UnitEnd::Done { ", systemd says that it is done, and not that it is so" } else { "" };
            let text = format!("a.service: freeze failed: {end}{odd}");
            assert_eq!(freezer.observe(second(15), &running(), true), (vec![text.clone()], None));
            assert_eq!(freezer.problems().collect::<Vec<_>>(), [text]);
            assert_eq!(freezer.maybe_frozen().count(), 0);
            assert_eq!(wait(&freezer, 19, UnitVerb::Freeze, &running()), Wait::Until(second(20)));
            // The news come after all.
            assert_eq!(freezer.observe(second(16), &frozen(), true), (Vec::new(), None));
            assert_eq!(freezer.problems().count(), 0);
        }
    }

    #[test]
    fn a_unit_that_is_frozen_is_whatever_became_of_the_call() {
        for end in [UnitEnd::Done, UnitEnd::TimedOut, refused()] {
            let (freezer, news) = after(UnitVerb::Freeze, &end, &frozen());
            assert_eq!((news, freezer.problems().count()), (None, 0));
            assert_eq!(wait(&freezer, 11, UnitVerb::Freeze, &frozen()), Wait::No);
        }
        // A thaw that is refused is not reached because the unit says that it runs: that may be old.
        let (freezer, news) = after(UnitVerb::Thaw, &refused(), &running());
        assert!(news.is_some() && freezer.problems().count() == 1);
    }

    #[test]
    fn what_is_refused_is_told_once_and_tried_again_with_pauses_or_when_the_unit_is_another() {
        let (mut freezer, news) = after(UnitVerb::Thaw, &refused(), &frozen());
        let text = "a.service: thaw failed: refused: no (org.freedesktop.systemd1.UnitBusy)";
        assert_eq!(news.as_deref(), Some(text));
        assert_eq!(wait(&freezer, 14, UnitVerb::Thaw, &frozen()), Wait::Until(second(15)));
        assert_eq!(wait(&freezer, 15, UnitVerb::Thaw, &frozen()), Wait::No);
        let freezing = units(ActiveState::Active, FreezerState::Freezing);
        assert_eq!(wait(&freezer, 11, UnitVerb::Thaw, &freezing), Wait::No, "it is another now");
        let deactivating = units(ActiveState::Deactivating, FreezerState::Frozen);
        assert_eq!(wait(&freezer, 11, UnitVerb::Thaw, &deactivating), Wait::No, "so it is");
        freezer.asked(vec![(ActionId(2), A.into())], UnitVerb::Thaw);
        let ended = freezer.ended(second(15), ActionId(2), &refused(), &frozen()).unwrap();
        assert_eq!(ended.news, None, "it is shown already");
        assert_eq!(wait(&freezer, 24, UnitVerb::Thaw, &frozen()), Wait::Until(second(25)), "longer each time");
        assert_eq!(freezer.observe(second(24), &frozen(), true), (Vec::new(), None));
        assert_eq!(freezer.problems().collect::<Vec<_>>(), [text]);
    }

    #[test]
    fn what_is_not_wanted_any_more_or_is_so_is_forgotten() {
        // The verb, how the unit is, whether it is to be frozen, whether the problem stays.
        let table = [
            (UnitVerb::Freeze, running(), true, true),
            (UnitVerb::Freeze, running(), false, false),
            (UnitVerb::Freeze, frozen(), true, false),
            (UnitVerb::Freeze, Units::default(), true, false),
            (UnitVerb::Thaw, frozen(), true, true),
            (UnitVerb::Thaw, frozen(), false, true),
            (UnitVerb::Thaw, running(), false, false),
        ];
        for (verb, seen, freezes, stays) in table {
            let before = if verb == UnitVerb::Freeze { running() } else { frozen() };
            let (mut freezer, _) = after(verb, &refused(), &before);
            freezer.observe(second(11), &seen, freezes);
            assert_eq!(freezer.problems().count(), usize::from(stays), "{verb:?} {seen:?} {freezes}");
        }
    }

    #[test]
    fn only_a_freeze_may_have_frozen() {
        let (thawed, _) = after(UnitVerb::Thaw, &UnitEnd::TimedOut, &frozen());
        assert_eq!(thawed.maybe_frozen().count(), 0);
        let mut freezer = Freezer::default();
        freezer.asked(vec![(ActionId(1), A.into())], UnitVerb::Freeze);
        freezer.asked(vec![(ActionId(2), "b.service".into())], UnitVerb::Thaw);
        assert_eq!(freezer.maybe_frozen().map(UnitName::as_str).collect::<Vec<_>>(), [A]);
    }

    #[test]
    fn the_last_of_those_that_were_asked_for_together_says_how_all_went() {
        let how = |ends: [UnitEnd; 3]| {
            let mut freezer = Freezer::default();
            let calls = (1..=3).map(|id| (ActionId(id), UnitName::new(&format!("{id}.service"))));
            freezer.asked(calls.collect(), UnitVerb::Freeze);
            let mut whole = None;
            for (id, end) in (1..).zip(&ends) {
                assert_eq!(whole, None, "not before the last");
                whole = freezer.ended(second(1), ActionId(id), end, &running()).unwrap().whole;
            }
            whole
        };
        let (done, late) = (UnitEnd::Done, UnitEnd::TimedOut);
        let of = |text: &str| Some((ActionId(3), text.to_owned()));
        assert_eq!(how([done.clone(), done.clone(), done.clone()]), of("done"));
        let one = "2 of 3 done; 2.service: no answer in time";
        assert_eq!(how([done.clone(), late.clone(), done.clone()]), of(one));
        let two = "1 of 3 done; 2.service: no answer in time, 3.service: no answer in time";
        assert_eq!(how([done, late.clone(), late.clone()]), of(two));
        let all = "1.service: no answer in time, 2.service: no answer in time, 3.service: no answer in time";
        assert_eq!(how([late.clone(), late.clone(), late]), of(all));
        // A unit that is frozen counts as done, whatever was answered.
        let mut freezer = Freezer::default();
        freezer.asked(vec![(ActionId(1), A.into())], UnitVerb::Freeze);
        let ended = freezer.ended(second(1), ActionId(1), &UnitEnd::TimedOut, &frozen()).unwrap();
        assert_eq!(ended.whole, Some((ActionId(1), "done".to_owned())));
    }

    #[test]
    fn after_a_panic_the_others_of_a_batch_are_waited_for() {
        let mut freezer = Freezer::default();
        freezer.asked(vec![(ActionId(1), A.into()), (ActionId(2), "b.service".into())], UnitVerb::Freeze);
        let mut new = freezer.after_a_panic(|id| id == ActionId(1));
        let ended = new.ended(second(1), ActionId(1), &UnitEnd::Done, &running()).unwrap();
        assert_eq!(ended.whole, Some((ActionId(2), "done".to_owned())));
        assert!(freezer.after_a_panic(|_| false).batches.is_empty());
    }
}
