//! `restart` of an entry: what has failed is started again here, so often, before its failure is one of the resource.
//!
//! systemd's own `Restart=` can't do that: with it all goes down that needs the unit, the promotion included, and another node may be faster.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::action::Reason;
use crate::ids::{Mono, UnitName};

/// After a start is done, news of its units may be so late. What is failed still has failed again.
const SETTLE: Duration = Duration::from_secs(5);

/// What the entries allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Allowed {
    /// Units with `restart`: how often within `window`, and how long they stay down before.
    pub(super) units: BTreeMap<UnitName, (u32, Duration)>,
    /// `failure-window`.
    pub(super) window: Duration,
}

/// See the module's head.
#[derive(Clone, Debug, Default)]
pub(super) struct Restarts {
    /// When units were started again.
    given: BTreeMap<UnitName, Vec<Mono>>,
    /// Units that have failed, and are to be started again.
    open: BTreeMap<UnitName, Open>,
    /// Units that have failed once too often.
    spent: BTreeSet<UnitName>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Open {
    /// When it is started; `None` = its start has been asked for.
    at: Option<Mono>,
    /// When its start was done, with the time for news.
    judged: Option<Mono>,
    because: Vec<Reason>,
}

/// What is new.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Units that are to be started again, each with a sentence.
    pub(super) again: Vec<(UnitName, String)>,
    /// Units that have failed too often for that, each with systemd's result.
    pub(super) spent: Vec<(UnitName, String)>,
}

impl Restarts {
    /// Looks at the units that have failed, each with systemd's result.
    pub(super) fn observe(&mut self, now: Mono, failed: &[(UnitName, String)], allowed: &Allowed) -> News {
        let is_failed = |unit: &UnitName| failed.iter().any(|(failed, _)| failed == unit);
        // By another configuration it may be a failure like any other.
        self.open.retain(|unit, _| is_failed(unit) && allowed.units.contains_key(unit));
        self.spent.retain(|unit| is_failed(unit));
        let mut news = News::default();
        for (unit, result) in failed {
            let Some((times, delay)) = allowed.units.get(unit).copied() else { continue };
            let is_over = |open: &Open| open.judged.is_some_and(|at| at <= now);
            let is_known = self.open.get(unit).is_some_and(|open| !is_over(open)) || self.spent.contains(unit);
            if is_known {
                continue;
            }
            let given = self.given.entry(unit.clone()).or_default();
            given.retain(|at| at.after(allowed.window) > now);
            if given.len() >= times as usize {
                self.open.remove(unit);
                self.spent.insert(unit.clone());
                news.spent.push((unit.clone(), result.clone()));
                continue;
            }
            given.push(now);
            let which = format!("restart = {times}: this is number {}", given.len());
            let what = format!("{unit} has failed: {result}");
            news.again
                .push((unit.clone(), format!("{what}; it is started again in {} s ({which})", delay.as_secs_f32())));
            let because = [what, which].map(Reason).to_vec();
            self.open.insert(unit.clone(), Open { at: Some(now.after(delay)), judged: None, because });
        }
        news
    }

    /// The services do not run, or nobody wants them to: nothing is to be started again. What was not started yet has not been used.
    pub(super) fn rest(&mut self) {
        for (unit, _) in self.open.iter().filter(|(_, open)| open.at.is_some()) {
            if let Some(given) = self.given.get_mut(unit) {
                given.pop();
            }
        }
        self.open.clear();
        self.spent.clear();
    }

    /// A start of all that is down was asked for.
    pub(super) fn asked(&mut self) {
        for open in self.open.values_mut() {
            (open.at, open.judged) = (None, None);
        }
    }

    /// It is done, well or not.
    pub(super) fn ended(&mut self, now: Mono) {
        for open in self.open.values_mut().filter(|open| open.at.is_none()) {
            open.judged = Some(now.after(SETTLE));
        }
    }

    /// Whether this unit is to be started again, or is being started.
    pub(super) fn covers(&self, unit: &UnitName) -> bool {
        self.open.contains_key(unit)
    }

    /// The units that are due, and why.
    pub(super) fn due(&self, now: Mono) -> (Vec<UnitName>, Vec<Reason>) {
        let due = self.open.iter().filter(|(_, open)| open.at.is_some_and(|at| at <= now));
        let (mut units, mut because) = (Vec::new(), Vec::new());
        for (unit, open) in due {
            units.push(unit.clone());
            because.extend(open.because.iter().cloned());
        }
        (units, because)
    }

    /// Why a unit is to be started again.
    pub(super) fn because(&self, unit: &UnitName) -> &[Reason] {
        self.open.get(unit).map_or(&[], |open| &open.because)
    }

    /// When to look again.
    pub(super) fn next(&self) -> Option<Mono> {
        self.open.values().filter_map(|open| open.at.or(open.judged)).min()
    }

    /// How often a unit may still be started again.
    pub(super) fn left(&self, now: Mono, unit: &UnitName, allowed: &Allowed) -> Option<u32> {
        let (times, _) = allowed.units.get(unit)?;
        let given =
            self.given.get(unit).map_or(0, |given| given.iter().filter(|at| at.after(allowed.window) > now).count());
        Some(times.saturating_sub(u32::try_from(given).unwrap_or(u32::MAX)))
    }

    /// For a machine that is built anew: nobody knows whether the start was asked for.
    pub(super) fn after_a_panic(&self) -> Self {
        Self { given: self.given.clone(), spent: self.spent.clone(), open: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: &str = "foo.service";

    fn at(s: u64) -> Mono {
        Mono::ZERO.after(Duration::from_secs(s))
    }

    fn allowed() -> Allowed {
        let units = BTreeMap::from([(UNIT.into(), (2, Duration::from_secs(5)))]);
        Allowed { units, window: Duration::from_secs(600) }
    }

    fn failed() -> Vec<(UnitName, String)> {
        vec![(UNIT.into(), "exit-code".to_owned())]
    }

    #[test]
    fn it_is_started_so_often_and_then_it_is_a_failure_once() {
        let mut restarts = Restarts::default();
        for (round, number) in [(0, "number 1"), (100, "number 2")] {
            let news = restarts.observe(at(round), &failed(), &allowed());
            assert!(news.again[0].1.contains(number) && news.spent.is_empty(), "{news:?}");
            assert_eq!(restarts.observe(at(round + 1), &failed(), &allowed()), News::default(), "it is known");
            assert_eq!((restarts.due(at(round + 4)).0, restarts.next()), (vec![], Some(at(round + 5))));
            assert_eq!(restarts.due(at(round + 5)).0, [UnitName::new(UNIT)]);
            restarts.asked();
            assert_eq!((restarts.due(at(round + 6)).0, restarts.next()), (vec![], None));
            restarts.ended(at(round + 6));
            assert!(restarts.covers(&UNIT.into()));
            restarts.observe(at(round + 7), &[], &allowed());
            assert!(!restarts.covers(&UNIT.into()));
        }
        assert_eq!(restarts.left(at(200), &UNIT.into(), &allowed()), Some(0));
        assert_eq!(restarts.observe(at(200), &failed(), &allowed()).spent, failed());
        assert_eq!(restarts.observe(at(201), &failed(), &allowed()), News::default());
        assert_eq!(restarts.left(at(650), &UNIT.into(), &allowed()), Some(1), "the first one is out of the window");
    }

    #[test]
    fn what_is_failed_still_after_its_start_has_failed_again_also_if_nobody_saw_it_come_up() {
        let mut restarts = Restarts::default();
        restarts.observe(at(0), &failed(), &allowed());
        restarts.asked();
        restarts.ended(at(6));
        assert_eq!(restarts.next(), Some(at(11)), "news may be late");
        assert_eq!(restarts.observe(at(10), &failed(), &allowed()), News::default());
        assert_eq!(restarts.observe(at(11), &failed(), &allowed()).again.len(), 1);
        restarts.asked();
        restarts.ended(at(20));
        assert_eq!(restarts.observe(at(25), &failed(), &allowed()).spent, failed());
        assert!(!restarts.covers(&UNIT.into()));
    }

    #[test]
    fn what_a_new_configuration_does_not_start_again_is_a_failure() {
        let mut restarts = Restarts::default();
        restarts.observe(at(0), &failed(), &allowed());
        assert!(restarts.covers(&UNIT.into()));
        let none = Allowed { units: BTreeMap::new(), ..allowed() };
        assert_eq!(restarts.observe(at(1), &failed(), &none), News::default());
        assert_eq!((restarts.covers(&UNIT.into()), restarts.next()), (false, None));
    }

    #[test]
    fn nothing_is_started_that_nobody_wants_and_what_was_counted_stays() {
        let mut restarts = Restarts::default();
        restarts.observe(at(0), &failed(), &allowed());
        restarts.rest();
        assert_eq!((restarts.due(at(9)).0, restarts.next()), (vec![], None));
        assert_eq!(restarts.left(at(9), &UNIT.into(), &allowed()), Some(2), "it was not started");
        restarts.observe(at(9), &failed(), &allowed());
        restarts.asked();
        restarts.rest();
        assert_eq!(restarts.after_a_panic().left(at(9), &UNIT.into(), &allowed()), Some(1));
        assert_eq!(
            restarts.observe(at(9), &[("other.service".into(), "signal".to_owned())], &allowed()),
            News::default()
        );
        assert_eq!(restarts.left(at(9), &"other.service".into(), &allowed()), None);
    }
}
