//! What DRBD and systemd say, before it is judged: since when it holds, what has failed, and whether what was asked for has come to its end.

use std::time::Duration;

use crate::ids::Mono;
use crate::model::objects::Resource;
use crate::model::reports::NoteLevel;
use crate::plugin::Context;
use crate::settings::promoter::OnQuorumLoss;

use super::super::hang::Hang;
use super::super::levels::Facts;
use super::super::services::Services;
use super::super::timers::Timer;
use super::super::view;
use super::super::work::Phase;
use super::Machine;

/// How long systemd's news of an active target may lag behind the end of its job.
const SETTLE: Duration = Duration::from_secs(5);

impl Machine {
    /// Takes note of since when the levels hold, and of failures.
    pub(super) fn observe(&mut self, cx: &mut Context<'_>, services: Services) {
        self.observe_untold(cx);
        if self.no_units(cx.node).is_none() && self.untold(cx.node).is_none() {
            self.observe_units(cx, services);
        }
        if !Self::is_live(cx.node) {
            return self.levels.news_are_old();
        }
        let Some(resource) = cx.node.resource(self.name.as_str()) else {
            self.levels.resource_is_gone();
            self.failures.resource_is_gone();
            self.hang = Hang::default();
            return;
        };
        self.observe_resource(cx, resource, services);
    }

    fn observe_resource(&mut self, cx: &mut Context<'_>, resource: &Resource, services: Services) {
        self.failback.observe(cx.now, resource);
        if view::is_primary(resource) || !view::primary_peers(resource).is_empty() {
            self.start_list.runs_somewhere();
        }
        self.links.observe(cx.now, resource);
        let frozen = self.freezer.froze() || self.settings.on_quorum_loss == OnQuorumLoss::Freeze;
        self.hang.observe(cx.now, resource, cx.node.blocking().contains(&self.name), frozen);
        let primary = view::is_primary(resource);
        let facts = Facts {
            now: cx.now,
            services,
            nowhere: self.runs_nowhere(cx, resource, services),
            left_behind: services == Services::Off && !self.left_behind(cx).is_empty(),
            holds_promotion: self.set.holds_promotion(cx.node.units()),
            promoted: self.set.promoted(cx.node.units()),
            ours_by_commands: self.shell.as_mut().is_some_and(|shell| shell.observe(primary)),
        };
        self.levels.observe(resource, &facts);
        if let Some(peer) = self.who_was_faster(cx)
            && let Some(decision) = self.tries.take_lost_start(cx.now)
        {
            self.lost_to(cx, decision, &peer);
        }
        // A node that is Primary says may_promote:no of itself, which is no news of others.
        if !resource.state.may_promote && !primary {
            self.tries.snapshot_changed(&self.settings);
        }
    }

    /// A Primary without its services keeps all others from running them.
    fn runs_nowhere(&self, cx: &Context<'_>, resource: &Resource, services: Services) -> bool {
        let here = if view::is_primary(resource) {
            !matches!(services, Services::Off | Services::Half)
                || !self.set.up_without_target(cx.node.units()).is_empty()
        } else {
            services == Services::On
        };
        !here && view::no_other_has_it(resource, self.policy(cx.node))
    }

    fn observe_units(&mut self, cx: &mut Context<'_>, services: Services) {
        self.settle(cx, services);
        self.has_stopped(cx);
        if services == Services::Off {
            self.stops.worked();
        }
        let has_quorum = self.levels.since().quorum_lost.is_none();
        let thawed = || services == Services::On && has_quorum && self.set.frozen(cx.node.units()).is_empty();
        if services == Services::Off || thawed() {
            self.memory_changed |= self.freezer.is_over();
        }
        self.count_failures(cx, services);
    }

    /// The job of a start is done: whether its target became active.
    fn settle(&mut self, cx: &mut Context<'_>, services: Services) {
        let Phase::Settling { start, until } = self.work.phase() else { return };
        let (start, until) = (start.clone(), *until);
        if services == Services::On {
            return self.work.enter(Phase::Idle);
        }
        if until > cx.now {
            return self.timers.set(Timer::Settling, until);
        }
        self.work.enter(Phase::Idle);
        if self.was_promoted(cx, &start) {
            self.start_failed(cx, None, "its target is not active after its start".to_owned());
        } else {
            self.lost_race(cx, None);
        }
    }

    /// The job of a stop is done: whether all went down.
    fn has_stopped(&mut self, cx: &Context<'_>) {
        let Phase::Stopped { until } = *self.work.phase() else { return };
        let told = self.set.services(cx.node.units());
        if matches!(told, Services::Off | Services::Stopping) {
            return self.work.enter(Phase::Idle);
        }
        if until > cx.now {
            return self.timers.set(Timer::Stopped, until);
        }
        // systemd says that the stop is done, and something runs all the same. The wait for that was the first pause.
        self.work.enter(Phase::Idle);
        self.stops.did_not_help(Mono(until.0.saturating_sub(u64::try_from(SETTLE.as_nanos()).unwrap_or(0))));
    }

    fn observe_untold(&mut self, cx: &mut Context<'_>) {
        let unit = self.untold(cx.node).cloned();
        let seen = self.untold.observe(cx.now, unit.as_ref());
        self.timers.set(Timer::UntoldUnit, seen.again);
        if let Some(news) = seen.news {
            let level = if unit.is_some() { NoteLevel::Warn } else { NoteLevel::Info };
            self.note(cx, level, format!("{}: {news}", self.name));
        }
    }

    /// The end of the wait for a job's news.
    pub(in super::super) fn settle_deadline(now: Mono) -> Mono {
        now.after(SETTLE)
    }
}
