//! Failures: which of systemd's news is one, how often it counts, and that what failed leaves.

use std::collections::BTreeSet;

use crate::ids::{ActionId, Mono, UnitName};
use crate::model::Node;
use crate::model::reports::NoteLevel;
use crate::plugin::Context;
use crate::settings::promoter::OnServiceFailure;

use super::examine::Of;
use super::machine::Machine;
use super::policy::Policy;
use super::services::Services;
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
    pub(super) leaving: Option<Leaving>,
}

impl Failures {
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
pub(super) struct Leaving {
    /// What failed, and why that means that they go.
    pub(super) because: Vec<String>,
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
        let failed = self.set.failed(cx.node.units());
        let ours = |units: Vec<(UnitName, String)>| -> Vec<(UnitName, String)> {
            units.into_iter().filter(|(unit, _)| !self.newcomers.contains(unit)).collect()
        };
        let mut bad = ours(self.set.ended_badly(cx.node.units()));
        if self.failures.episode.is_some() {
            self.failures.bad_before.retain(|unit| bad.iter().any(|(bad, _)| bad == unit));
        } else {
            self.failures.bad_before = bad.iter().map(|(unit, _)| unit.clone()).collect();
        }
        bad.retain(|(unit, _)| !self.failures.bad_before.contains(unit));
        let down = self.set.ended_badly_and_down(cx.node.units());
        let (was_failed, was_down) = (&self.failures.failed, &self.failures.ended);
        let told = |units: &[(UnitName, String)], how: &str| -> Vec<String> {
            // Between two starts a unit fails once, in however many steps that is told.
            let is_new = |unit: &UnitName| !was_failed.contains(unit) && !was_down.contains(unit);
            let new = units.iter().filter(|(unit, _)| is_new(unit) && !self.newcomers.contains(unit));
            new.map(|(unit, result)| format!("{unit} {how}: {result}")).collect()
        };
        let was_well = was_failed.is_empty() && was_down.is_empty();
        let new = told(&failed, "has failed");
        let ended = told(&down, "ended");
        self.failures.failed = failed.into_iter().map(|(unit, _)| unit).collect();
        self.failures.ended = down.into_iter().map(|(unit, _)| unit).collect();
        let mut episode = self.failures.episode;
        if let Some(episode) = &mut episode {
            if was_well {
                self.tries.ran(cx.now.since(episode.since));
            } else {
                episode.since = cx.now;
            }
            let news = if new.is_empty() && !episode.counted { ended } else { new };
            if !news.is_empty() {
                // Who is being stopped, or cannot write any more, may well fail: that is no fault of the service.
                match (episode.stopped, self.took_data_away(cx.node)) {
                    (false, false) => self.service_failed(cx, news.join(", ")),
                    // But it would fail again at once.
                    (false, true) => self.tries.failed_without_data(cx.now),
                    (true, _) => {}
                }
                (episode.counted, episode.since) = (true, cx.now);
            }
        }
        match (services, &mut episode) {
            (Services::On, None) => {
                episode = Some(Episode { since: cx.now, counted: false, stopped: false });
                self.tries.succeeded();
                self.failback.came_back(cx.now);
            }
            // What had failed was started again: the next failure is another one.
            (Services::On, Some(episode)) if self.failures.failed.is_empty() && bad.is_empty() => {
                episode.counted = false;
            }
            (Services::Off | Services::Half, Some(Episode { since, counted, stopped })) => {
                if !*counted && !*stopped && !bad.is_empty() {
                    let list: Vec<String> =
                        bad.iter().map(|(unit, result)| format!("{unit} ended: {result}")).collect();
                    self.service_failed(cx, list.join(", "));
                } else if !*counted && !*stopped {
                    self.tries.ended_by_themselves(cx.now, cx.now.since(*since));
                }
                episode = None;
            }
            _ => {}
        }
        self.failures.episode = episode;
        self.failures.leaving.take_if(|leaving| leaving.is_over(cx.now, services));
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
        // Who holds it decides himself.
        if let Some(and) = and.filter(|_| self.hold.is_none()) {
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
        let count = self.tries.count();
        let text = if blocked {
            format!(
                "{}: {why}; {count} failures here, nothing is started any more until: reactorctl clear {}",
                self.name, self.name
            )
        } else {
            format!("{}: {why}; failures here: {count}", self.name)
        };
        self.note(cx, if blocked { NoteLevel::Error } else { NoteLevel::Warn }, text);
    }

    /// Whatever runs of it stops, until other nodes had their time.
    pub(super) fn leave(&mut self, now: Mono, because: Vec<String>) {
        self.failures.leaving = Some(Leaving { because, until: now.after(LET_OTHERS), was_off: false });
    }
}
