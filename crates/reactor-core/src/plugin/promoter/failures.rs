//! Failures: which of systemd's news is one, how often it counts, and that what failed leaves.

use std::collections::BTreeSet;

use crate::history::{Entry, Kind, Told};
use crate::ids::{ActionId, Mono, UnitName};
use crate::model::Node;
use crate::model::reports::NoteLevel;
use crate::plugin::Context;
use crate::settings::promoter::OnServiceFailure;
use crate::systemd::Units;

use super::examine::Of;
use super::history::untitled;
use super::machine::Machine;
use super::policy::Policy;
use super::services::{Services, UnitSet};
use super::tries::LET_OTHERS;
use super::view;

/// What was seen of failures.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures {
    /// Members that were failed at the last look.
    failed: BTreeSet<UnitName>,
    /// Members that had not ended well and were down, failed or not.
    ended: BTreeSet<UnitName>,
    /// The services run, or have run until just now.
    episode: Option<Episode>,
    /// Members that had ended badly before that began, and have not been well since: when it ends, they are not why.
    bad_before: BTreeSet<UnitName>,
    /// What failed has to go, also if systemd starts it again.
    leaving: Option<Leaving>,
}

/// One look at the units.
struct Seen {
    /// None had failed at the look before.
    was_well: bool,
    /// Members that have failed since, each with a sentence.
    failed: Vec<(UnitName, String)>,
    /// Members that have not ended well since and are down, failed or not.
    ended: Vec<(UnitName, String)>,
    /// Members that have not ended well since the services run, with how.
    bad: Vec<(UnitName, String)>,
}

impl Failures {
    /// Looks at the units. How `newcomers` ended is not our business.
    fn look(&mut self, set: &UnitSet, units: &Units, newcomers: &BTreeSet<UnitName>) -> Seen {
        let mut bad = set.ended_badly(units);
        bad.retain(|(unit, _)| !newcomers.contains(unit));
        if self.episode.is_some() {
            self.bad_before.retain(|unit| bad.iter().any(|(bad, _)| bad == unit));
        } else {
            self.bad_before = bad.iter().map(|(unit, _)| unit.clone()).collect();
        }
        bad.retain(|(unit, _)| !self.bad_before.contains(unit));
        let (failed, down) = (set.failed(units), set.ended_badly_and_down(units));
        // Between two starts a unit fails once, in however many steps that is told.
        let is_new =
            |unit: &UnitName| !self.failed.contains(unit) && !self.ended.contains(unit) && !newcomers.contains(unit);
        let news = |units: &[(UnitName, String)], how: &str| -> Vec<(UnitName, String)> {
            let new = units.iter().filter(|(unit, _)| is_new(unit));
            new.map(|(unit, result)| (unit.clone(), format!("{unit} {how}: {result}"))).collect()
        };
        let was_well = self.failed.is_empty() && self.ended.is_empty();
        let seen = Seen { was_well, failed: news(&failed, "has failed"), ended: news(&down, "ended"), bad };
        self.failed = failed.into_iter().map(|(unit, _)| unit).collect();
        self.ended = down.into_iter().map(|(unit, _)| unit).collect();
        seen
    }

    /// All that had failed is well again: the next failure counts once more.
    fn another_counts(&mut self, seen: &Seen) {
        if let Some(episode) = self.episode.as_mut().filter(|_| self.failed.is_empty() && seen.bad.is_empty()) {
            episode.counted = false;
        }
    }

    /// What failed and why it has to go; `None` = nothing has to.
    pub(super) fn leaving(&self) -> Option<&[String]> {
        self.leaving.as_ref().map(|leaving| leaving.because.as_slice())
    }

    /// Nothing has to go any more.
    pub(super) fn forget_leaving(&mut self) {
        self.leaving = None;
    }

    fn end_leaving(&mut self, now: Mono, services: Services) {
        self.leaving.take_if(|leaving| leaving.is_over(now, services));
    }

    /// For a machine that is built anew.
    pub(super) fn after_a_panic(&self) -> Self {
        Self { leaving: self.leaving.clone(), ..Self::default() }
    }

    /// We ask for the end of the services: what fails on the way down is no failure.
    pub(super) fn we_stop(&mut self) {
        if let Some(episode) = &mut self.episode {
            episode.stopped = true;
        }
    }

    /// DRBD does not know the resource any more.
    pub(super) fn resource_is_gone(&mut self) {
        self.episode = None;
    }

    /// Whether the services run, or did until just now.
    pub(super) fn is_in_episode(&self) -> bool {
        self.episode.is_some()
    }
}

/// From the target's being active to its end.
#[derive(Clone, Copy, Debug)]
struct Episode {
    /// Since when nothing has failed.
    since: Mono,
    /// A failure in it was counted.
    counted: bool,
    /// We asked for its end.
    stopped: bool,
}

/// Services that are to go because they failed.
#[derive(Clone, Debug)]
struct Leaving {
    /// What failed, and why that means that they go.
    because: Vec<String>,
    /// Until then they are stopped again, whoever has started them.
    until: Mono,
    /// They have been down.
    was_off: bool,
}

impl Leaving {
    /// Whether they have gone, and whoever starts them now may.
    fn is_over(&mut self, now: Mono, services: Services) -> bool {
        self.was_off |= services == Services::Off;
        self.was_off && self.until <= now
    }
}

impl Machine {
    /// A unit that fails while the services run counts once; so does a target that goes down because of one, and a unit that systemd
    /// restarts itself, of which the state `failed` is not always seen. A start that fails from nothing is counted when its job ends.
    /// Also ends a leaving that is over.
    pub(super) fn count_failures(&mut self, cx: &mut Context<'_>, services: Services) {
        let mut seen = self.failures.look(&self.set, cx.node.units(), self.start_list.newcomers());
        self.start_again(cx, services, &mut seen);
        self.count_in_episode(cx, &seen);
        self.follow_episode(cx, services, &seen);
        self.failures.end_leaving(cx.now, services);
    }

    /// What its entry lets be started again is no failure of the resource; what has failed too often for that is one.
    fn start_again(&mut self, cx: &mut Context<'_>, services: Services, seen: &mut Seen) {
        let is_stopped = self.failures.episode.is_none_or(|episode| episode.stopped);
        let is_wanted = services == Services::On && !is_stopped && self.held.hold().is_none() && cx.drained.is_none();
        if !is_wanted || self.took_data_away(cx.node) {
            return self.restarts.rest();
        }
        let units = cx.node.units();
        let failed: Vec<_> = self.set.failed(units).into_iter().chain(self.set.spare_failed(units)).collect();
        let news = self.restarts.observe(cx.now, &failed, &self.allowed());
        for (_, text) in &news.again {
            self.note(cx, NoteLevel::Warn, format!("{}: {text}", self.name));
        }
        seen.failed.retain(|(unit, _)| !self.restarts.covers(unit));
        seen.ended.retain(|(unit, _)| !self.restarts.covers(unit));
        for (unit, result) in news.spent {
            let is_told = seen.failed.iter().any(|(told, _)| *told == unit);
            if !is_told && !self.set.spare.contains(&unit) {
                seen.failed.push((unit.clone(), format!("{unit} has failed: {result}")));
            }
        }
    }

    /// What has failed while the services run.
    fn count_in_episode(&mut self, cx: &mut Context<'_>, seen: &Seen) {
        let Some(episode) = &mut self.failures.episode else { return };
        if seen.was_well {
            self.tries.ran(cx.now.since(episode.since));
        } else {
            episode.since = cx.now;
        }
        let news = if seen.failed.is_empty() && !episode.counted { &seen.ended } else { &seen.failed };
        if news.is_empty() {
            return;
        }
        (episode.counted, episode.since) = (true, cx.now);
        let is_stopped = episode.stopped;
        // Who is being stopped, or cannot write any more, may well fail: that is no fault of the service.
        match (is_stopped, self.took_data_away(cx.node)) {
            (false, false) => {
                let why: Vec<&str> = news.iter().map(|(_, why)| why.as_str()).collect();
                self.service_failed(cx, why.join(", "));
            }
            // But it would fail again at once.
            (false, true) => self.tries.failed_without_data(cx.now),
            (true, _) => {}
        }
    }

    /// An episode begins, goes on, or ends.
    fn follow_episode(&mut self, cx: &mut Context<'_>, services: Services, seen: &Seen) {
        match (services, self.failures.episode) {
            (Services::On, None) => {
                self.failures.episode = Some(Episode { since: cx.now, counted: false, stopped: false });
                self.tries.succeeded();
                self.failback.came_back(cx.now);
            }
            // What had failed was started again: the next failure is another one.
            (Services::On, Some(_)) => self.failures.another_counts(seen),
            (Services::Off | Services::Half, Some(Episode { since, counted, stopped })) => {
                self.failures.episode = None;
                if counted || stopped {
                    return;
                }
                if seen.bad.is_empty() {
                    return self.tries.ended_by_themselves(cx.now, cx.now.since(since));
                }
                let list: Vec<String> = seen.bad.iter().map(|(unit, how)| format!("{unit} ended: {how}")).collect();
                self.service_failed(cx, list.join(", "));
            }
            (Services::Off | Services::Half, None) | (Services::Starting | Services::Stopping, _) => {}
        }
    }

    /// Whether DRBD lets nobody write here any more.
    fn took_data_away(&self, node: &Node) -> bool {
        let Some(resource) = node.resource(self.name.as_str()) else { return true };
        !view::without_data(resource).is_empty()
            || (self.options.policy() != Policy::Fencing && !view::without_quorum(resource).is_empty())
    }

    /// Services failed where they ran: what follows is the policy's. systemd may have started them again before we could say anything
    /// (`Restart=`), here and as quickly as no other node: who has to leave has to leave all the same.
    fn service_failed(&mut self, cx: &mut Context<'_>, why: String) {
        let policy = self.settings.on_service_failure;
        self.count(cx, &why, policy == OnServiceFailure::Move);
        let bad = self.set.ended_badly(cx.node.units()).into_iter().map(|(unit, _)| unit).collect();
        self.examine(cx, Of::Failure(self.tries.counts.failures), None, bad);
        let and = match policy {
            OnServiceFailure::Move => Some("on-service-failure = \"move\"".to_owned()),
            OnServiceFailure::Restart => self.tries.blocked(&self.settings),
            OnServiceFailure::Ignore => None,
        };
        // Who holds it decides; and without quorum and fencing no other node would start it.
        let leaves = self.held.hold().is_none() && self.policy(cx.node) != Policy::None;
        if let Some(and) = and.filter(|_| leaves) {
            self.leave(cx.now, vec![why, and]);
        }
    }

    /// A start became Primary, and then failed: what it left behind has to go, so that another node can try.
    pub(super) fn start_failed(&mut self, cx: &mut Context<'_>, decision: Option<ActionId>, why: String) {
        self.count(cx, &why, true);
        let missing = self.set.not_up(cx.node.units());
        self.examine(cx, Of::Failure(self.tries.counts.failures), decision, missing);
        self.leave(cx.now, vec![why]);
    }

    /// Counted, and remembered. `moves` gives other nodes time.
    fn count(&mut self, cx: &mut Context<'_>, why: &str, moves: bool) {
        let blocked = self.tries.failed(cx.now, &self.settings, why, moves);
        self.memory_changed = true;
        let count = self.tries.count(cx.now, &self.settings);
        let text = if blocked {
            format!(
                "{}: {why}; {count} failures here, nothing is started any more until: reactorctl clear {}",
                self.name, self.name
            )
        } else {
            format!("{}: {why}; failures here: {count}", self.name)
        };
        let level = if blocked { NoteLevel::Error } else { NoteLevel::Warn };
        self.history.tell(Told::Entry(Entry::new(Kind::Failure, level.into(), untitled(&self.name, &text).to_owned())));
        self.note(cx, level, text);
    }

    /// Whatever runs of it stops, until other nodes had their time.
    pub(super) fn leave(&mut self, now: Mono, because: Vec<String>) {
        self.failures.leaving = Some(Leaving { because, until: now.after(LET_OTHERS), was_off: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_does_not_make_stay_what_has_to_go() {
        let leaving = Leaving { because: vec!["it failed".to_owned()], until: Mono(9), was_off: false };
        let failures = Failures { leaving: Some(leaving), ..Failures::default() };
        assert_eq!(failures.after_a_panic().leaving(), Some(["it failed".to_owned()].as_slice()));
    }
}
