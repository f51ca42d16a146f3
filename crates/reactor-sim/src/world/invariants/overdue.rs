//! What must happen in time, and what must never be: looked at again and again.

use std::time::Duration;

use reactor_core::ids::Mono;
use reactor_core::plugin::promoter::report::{ResourceReport, StateWord, TroubleKind};
use reactor_core::settings::promoter::OnQuorumLoss;
use reactor_core::systemd::{ActiveState, FreezerState, UnitVerb};

use crate::drbd9::NodeIx;

use super::super::guard::Guard;
use super::super::plan::NODES;
use super::super::run::World;
use super::stacks::{is_services, is_standby};

/// What is due at once must have been asked for after this time, calls before it included.
const AT_ONCE: Duration = Duration::from_secs(1);
/// What is due and could not be done is tried again within this time.
const AGAIN: Duration = Duration::from_secs(75);
/// A Primary may be without good data for so long.
const WITHOUT_DATA: Duration = Duration::from_secs(1);
/// So long may I/O hang on a Primary before it is shown.
const HANGS: Duration = Duration::from_secs(12);
/// So long may a resource run nowhere before it is shown.
const NOWHERE: Duration = Duration::from_secs(65);
/// So long may something run outside of its target before it is shown.
const OUTSIDE: Duration = Duration::from_secs(8);
/// DRBD's words about a promotion that it refused are known after this time.
const WORDS: Duration = Duration::from_secs(3);
/// Whoever starts services that have failed so long ago, and have gone, may.
const LEFT_ALONE: Duration = Duration::from_secs(10);
/// What DRBD has is prepared within this time.
const PREPARED: Duration = Duration::from_secs(25);
/// Every action ends within this time; jobs of services that hang and of nodes that stand still included.
const ENDS: Duration = Duration::from_secs(600);

impl World {
    /// Takes note of since when levels hold, by what a node was told at the end of a burst.
    pub(in super::super) fn watch_levels(&mut self, node: NodeIx) {
        for res in 0..self.plan.cluster.resources.len() {
            let Some(view) = self.view(node, res) else { continue };
            let now = self.now;
            let live = view.shadow.node().source() == reactor_core::model::SourceState::Live;
            let eligible = live && view.is_eligible();
            let lost = view.knows_whether_it_runs() && view.lost_quorum() && view.is_any();
            let seen = live && (view.is_primary() || view.peer_is_primary());
            let no_data = view.guard != Guard::Nothing
                && view.knows_whether_it_runs()
                && view.is_any()
                && view.is_primary()
                && !view.lost_quorum()
                && view.lost_data();
            let thaw = view.is_live()
                && !view.lost_quorum()
                && view.is_primary()
                && view.is_up()
                && view.members().any(|unit| unit.freezer != FreezerState::Running)
                && !view.target().job;
            let level = &self.watch.levels[node][res];
            // Whether a peer out of sight may be Primary, DRBD's options say.
            let held = level.held || level.wish.is_some() || self.watch.is_drained(node) || !level.options_known;
            let idle = || view.is_idle_primary() && !self.is_asked_for(node, res);
            let nowhere = view.is_live() && (view.runs_nowhere() || idle()) && !held;
            let hangs = live && view.hangs();
            let outside = view.is_live() && view.runs_outside();
            let level = &mut self.watch.levels[node][res];
            level.ran |= seen;
            level.hang_since = hangs.then(|| level.hang_since.unwrap_or(now));
            level.outside_since = outside.then(|| level.outside_since.unwrap_or(now));
            level.nowhere_since = nowhere.then(|| level.nowhere_since.unwrap_or(now));
            level.eligible_since = eligible.then(|| level.eligible_since.unwrap_or(now));
            level.quorum_lost_since = lost.then(|| level.quorum_lost_since.unwrap_or(now));
            level.data_lost_since = no_data.then(|| level.data_lost_since.unwrap_or(now));
            level.frozen_since = thaw.then(|| level.frozen_since.unwrap_or(now));
            self.watch_limits(node, res);
            self.watch_history(node, res);
            self.watch_wish(node, res);
        }
    }

    /// Everything that is looked at from time to time.
    pub(in super::super) fn look(&mut self) {
        for node in 0..NODES.len() {
            self.check_standby_stops(node);
            if !self.is_running(node) || self.machines[node].daemon.is_none() || self.watch.patience[node] > self.now {
                continue;
            }
            self.check_actions_end(node);
            self.check_holds(node);
            self.check_drain(node);
            for res in 0..self.plan.cluster.resources.len() {
                self.check_wish(node, res);
            }
            self.check_no_primary_in_time(node);
            self.check_split_brains(node);
            self.check_incidents(node);
            self.check_people(node);
            if self.is_ending(node) {
                // Nothing is decided any more.
                continue;
            }
            self.check_undone(node);
            for res in 0..self.plan.cluster.resources.len() {
                self.check_options(node, res);
                self.check_unwanted(node, res);
                self.check_brought_up(node, res);
            }
            for res in (0..self.plan.cluster.resources.len()).filter(|res| !self.is_shell(*res)).collect::<Vec<_>>() {
                self.check_quorum_loss(node, res);
                self.check_data_loss(node, res);
                self.check_leaving(node, res);
                self.check_thaw(node, res);
                self.check_start_in_time(node, res);
                self.check_is_shown(node, res);
                self.end_idle_primary(node, res);
                self.check_limits(node, res);
                self.check_standby_runs(node, res);
            }
        }
        self.check_writers();
        for res in 0..self.plan.cluster.resources.len() {
            self.check_data(res);
        }
    }

    /// Never two nodes whose service can write the same data.
    pub(in super::super) fn check_writers(&mut self) {
        for res in 0..self.plan.cluster.resources.len() {
            // What nothing guards each daemon starts once with drbd-reactor's defaults, whatever the others do.
            if self.guard(res) == Guard::Nothing && self.plan.resource("r1").is_some_and(|r1| r1.unguarded_start) {
                continue;
            }
            if self.split_brain && !self.plan.cluster.resources[res].options.quorum {
                continue;
            }
            let works: Vec<NodeIx> = (0..NODES.len()).filter(|node| self.app_works(*node, res)).collect();
            if works.len() < 2 {
                continue;
            }
            let can_write = |node: &&NodeIx| self.cluster.truth(**node, res).can_write;
            let writers: Vec<&str> = works.iter().filter(can_write).map(|node| NODES[*node]).collect();
            if writers.len() > 1 {
                let name = self.plan.cluster.resources[res].name.clone();
                self.violated("one writer", format!("{name} can be written on {}", writers.join(" and ")));
            }
        }
    }

    /// Every action ends.
    fn check_actions_end(&mut self, node: NodeIx) {
        let Some(daemon) = self.machines[node].daemon.as_deref() else { return };
        let over = daemon.pending.iter().find(|(_, pending)| self.now.since(pending.since) > ENDS);
        if let Some((id, pending)) = over {
            let what = format!("{}: action {id} of {} has not ended: {:?}", NODES[node], pending.since, pending.call);
            self.violated("every action ends", what);
        }
    }

    /// Quorum is lost: the services are stopped or frozen at once.
    fn check_quorum_loss(&mut self, node: NodeIx, res: usize) {
        let level = &self.watch.levels[node][res];
        let (Some(since), false) = (level.quorum_lost_since, level.held) else { return };
        let Some(view) = self.view(node, res) else { return };
        // What somebody has started by hand beside the target and the promotion is shown, and left alone.
        let is_idle = |unit: &reactor_core::systemd::UnitState| {
            !unit.job && matches!(unit.active, ActiveState::Inactive | ActiveState::Failed)
        };
        if is_idle(&view.target()) && is_idle(&view.promote()) && !view.is_primary() {
            return;
        }
        let freeze = view.settings.on_quorum_loss == OnQuorumLoss::Freeze;
        if freeze && view.is_up() && view.unfrozen() == 0 {
            return;
        }
        if !view.is_any() || !view.knows_whether_it_runs() || view.goes_down() {
            return;
        }
        let asked = level.last[1].max(level.last[2].filter(|_| freeze));
        // A stop that has failed is asked for again after its pause, whatever happens meanwhile.
        let pauses = level.stop_failed && level.last[1].is_some_and(|asked| self.now.since(asked) < AGAIN);
        let stops = pauses || self.is_pending(node, res, UnitVerb::Stop);
        if !stops && is_overdue(self.now, since, asked) {
            let (name, units) = (view.name.to_owned(), view.units());
            let units: Vec<_> = units.iter().map(|unit| format!("{} {}", unit.active, unit.sub)).collect();
            let units = units.join(", ");
            let what = format!("{}: {name} has been without quorum since {since}; its units: {units}", NODES[node]);
            self.violated("a lost quorum is acted upon", what);
        }
    }

    /// A Primary has lost all good data from its sight: its services are stopped soon.
    fn check_data_loss(&mut self, node: NodeIx, res: usize) {
        let level = &self.watch.levels[node][res];
        let (Some(since), false) = (level.data_lost_since, level.held) else { return };
        let Some(view) = self.view(node, res) else { return };
        let ours = view.is_up() || view.promote().active == ActiveState::Active;
        if !ours || !view.knows_whether_it_runs() || view.goes_down() {
            return;
        }
        let stops = self.is_pending(node, res, UnitVerb::Stop);
        if !stops && is_overdue(self.now, since.after(WITHOUT_DATA), level.last[1]) {
            let name = view.name.to_owned();
            let what = format!("{}: {name} has been Primary without good data since {since}", NODES[node]);
            self.violated("lost data is acted upon", what);
        }
    }

    /// What a person has to know is in the status: I/O that hangs on a Primary, and what runs nowhere.
    fn check_is_shown(&mut self, node: NodeIx, res: usize) {
        let level = &self.watch.levels[node][res];
        let late = |since: Option<Mono>, after: Duration| since.is_some_and(|since| since.after(after) <= self.now);
        let mut wanted = Vec::new();
        if late(level.hang_since, HANGS) {
            wanted.push((TroubleKind::IoHangs, "a Primary whose I/O hangs is shown"));
        }
        if late(level.nowhere_since, NOWHERE) && !level.held && !self.may_be_unwanted(node, res) {
            wanted.push((TroubleKind::RunsNowhere, "what runs nowhere is shown"));
        }
        // Who holds it has asked for nothing that would be under way.
        if late(level.outside_since, OUTSIDE) && level.held && !self.is_asked_for(node, res) {
            wanted.push((TroubleKind::OutsideTarget, "what was started outside of its target is shown"));
        }
        let Some(daemon) = self.machines[node].daemon.as_deref().filter(|_| !wanted.is_empty()) else { return };
        let name = &self.plan.cluster.resources[res].name;
        let reports = daemon.core.promoted(Mono(self.now.0.saturating_sub(daemon.started.0)));
        let Some(report) = reports.into_iter().find(|report| report.resource.as_str() == name) else { return };
        let missing = wanted.into_iter().find(|(kind, _)| !report.troubles.iter().any(|trouble| trouble.kind == *kind));
        if let Some((kind, rule)) = missing {
            let what = format!("{}: {} of {name} is not in its status", NODES[node], kind.as_str());
            return self.violated(rule, what);
        }
        let nowhere = report.troubles.iter().find(|trouble| trouble.kind == TroubleKind::RunsNowhere);
        if let Some(trouble) = nowhere.filter(|trouble| !trouble.what.contains("DRBD refused the promotion"))
            && self.was_refused(node, res)
            // Who has failed too often tells that: it does not even try.
            && !level.blocked
        {
            let what = format!("{}: {name}: {}", NODES[node], trouble.what);
            self.violated("a refusal is told from a lost race", what);
        }
    }

    /// The last that came of a start is that DRBD refused it, though it has said may_promote:yes all the time and still does.
    fn was_refused(&self, node: NodeIx, res: usize) -> bool {
        let level = &self.watch.levels[node][res];
        let Some((at, _)) = self.machines[node].refusals.get(&res) else { return false };
        let since = level.eligible_since.is_some_and(|since| since <= *at);
        since && at.after(WORDS) <= self.now && level.last[0].is_some_and(|start| start <= *at)
    }

    /// What was held, or may have been for all that its daemon knows, is held.
    pub(in super::super) fn check_holds(&mut self, node: NodeIx) {
        let Some(daemon) = self.machines[node].daemon.as_deref() else { return };
        if self.watch.levels[node].iter().all(|level| !level.held) {
            return;
        }
        let free = |report: &ResourceReport| {
            report.hold.as_ref().is_none_or(|hold| hold.stops)
                && self.res(report.resource.as_str()).is_some_and(|res| self.watch.levels[node][res].held)
        };
        let reports = daemon.core.promoted(Mono(self.now.0.saturating_sub(daemon.started.0)));
        if let Some(report) = reports.into_iter().find(free) {
            self.violated("what may be held is held", format!("{}: {} is not held", NODES[node], report.resource));
        }
    }

    /// Whether a call about it has not come back.
    fn is_asked_for(&self, node: NodeIx, res: usize) -> bool {
        [UnitVerb::Start, UnitVerb::Stop, UnitVerb::Freeze, UnitVerb::Thaw]
            .into_iter()
            .any(|verb| self.is_pending(node, res, verb))
    }

    /// A service failed and has to leave: it does, also if systemd has it up again before any other node could take over.
    fn check_leaving(&mut self, node: NodeIx, res: usize) {
        let level = &self.watch.levels[node][res];
        let (Some(since), false) = (level.leaves_since, level.held) else { return };
        let Some(view) = self.view(node, res) else { return };
        if !view.is_any() && since.after(LEFT_ALONE) <= self.now {
            self.watch.levels[node][res].leaves_since = None;
            return;
        }
        if !view.is_up() || !view.is_live() || view.goes_down() {
            return;
        }
        // A stop that went wrong a moment before, for whatever reason, has its pause.
        let pauses = level.last[1].is_some_and(|asked| self.now.since(asked) <= AGAIN);
        let stops = pauses || self.is_pending(node, res, UnitVerb::Stop);
        if !stops && is_overdue(self.now, since, level.last[1]) {
            let name = view.name.to_owned();
            let said = self.says(node, &name);
            let what = format!("{}: {name} has failed at {since}, and runs here; {said}", NODES[node]);
            self.violated("what failed and has to leave leaves", what);
        }
    }

    /// Quorum is back: what was frozen is thawed.
    fn check_thaw(&mut self, node: NodeIx, res: usize) {
        let level = &self.watch.levels[node][res];
        let (Some(since), false) = (level.frozen_since, level.held) else { return };
        let Some(view) = self.view(node, res) else { return };
        let froze = |unit: &str| self.machines[node].froze.keys().any(|froze| froze.as_str() == unit);
        // What we froze is thawed whatever the configuration has become.
        let ours = (view.settings.on_quorum_loss == OnQuorumLoss::Freeze && view.has_quorum_policy)
            || view.member_names().any(froze);
        // News of a freeze that is just over may still be on their way, if nothing was asked for.
        let asked = level.last[3].max(level.last[1]);
        let due = if asked.is_some_and(|asked| asked >= since) { since } else { since.after(Duration::from_secs(6)) };
        if ours && view.frozen() > 0 && is_overdue(self.now, due, asked) {
            let name = view.name.to_owned();
            self.violated("what was frozen is thawed", format!("{}: {name} has had quorum since {since}", NODES[node]));
        }
    }

    /// Whether a call of this kind has not come back.
    pub(super) fn is_pending(&self, node: NodeIx, res: usize, verb: UnitVerb) -> bool {
        let name = &self.plan.cluster.resources[res].name;
        self.machines[node].daemon.as_deref().is_some_and(|daemon| {
            daemon.pending.values().any(|pending| match &pending.call {
                reactor_core::action::Call::Unit(call) => {
                    call.verb == verb && call.resource.as_str() == name && !is_standby(call)
                }
                _ => false,
            })
        })
    }

    /// What may start and has no reason to wait is started at once; what waits says why.
    fn check_start_in_time(&mut self, node: NodeIx, res: usize) {
        let late = self.is_start_late(node, res);
        let now = self.now;
        let level = &mut self.watch.levels[node][res];
        if late.is_none() {
            level.unready_at = now;
        }
        let late = late == Some(true);
        level.late_since = late.then(|| level.late_since.unwrap_or(now));
        if let Some(since) = level.late_since.filter(|since| now.since(*since) > AT_ONCE) {
            let name = &self.plan.cluster.resources[res].name;
            let what = format!("{}: {name} could have been started since {since}", NODES[node]);
            self.violated("a start is not late", what);
        }
    }

    /// `None` = something is in the way: delays count from when that is over.
    fn is_start_late(&self, node: NodeIx, res: usize) -> Option<bool> {
        let level = &self.watch.levels[node][res];
        let free = !level.held && !level.blocked && !self.may_be_unwanted(node, res);
        let since = level.eligible_since.filter(|_| free)?.max(level.unready_at).max(level.unwanted_until);
        let view = self.view(node, res)?;
        let daemon = self.machines[node].daemon.as_deref()?;
        if !view.is_live() || view.is_any() || view.is_primary() {
            return None;
        }
        let starts_once = || view.guard == Guard::Nothing && view.settings.unguarded_start && !level.ran;
        if !self.is_managed(node, res) && !starts_once() {
            return None;
        }
        let busy = daemon.pending.values().any(|pending| match &pending.call {
            reactor_core::action::Call::Unit(call) => call.resource.as_str() == view.name && is_services(call),
            _ => false,
        });
        if busy {
            return None;
        }
        let mono = Mono(self.now.0 - daemon.started.0);
        let reports = daemon.core.promoted(mono);
        let Some(report) = reports.iter().find(|report| report.resource.as_str() == view.name) else {
            return Some(true);
        };
        let late = match report.state {
            // Options that cannot be read now were read before, unless this is the first time.
            StateWord::Preparing if report.because.iter().any(|reason| reason.0.contains("have not been read yet")) => {
                level.options_known.then_some(true)
            }
            // However badly DRBD's tools are doing.
            StateWord::Preparing => {
                // An adjust is waited for, also one that was begun only after that of `drbd@N.service` had hung.
                let adjusts = daemon.pending.values().any(|pending| {
                    matches!(&pending.call, reactor_core::action::Call::Drbd(ask)
                        if ask.resource.as_str() == view.name && self.now.since(pending.since) < PREPARED)
                });
                (mono.since(report.since) > PREPARED && !adjusts).then_some(true)
            }
            StateWord::Blocked | StateWord::Held => None,
            // A wait has an end, and a reason that is not one of the delays, which are over.
            StateWord::Waiting => Some(!report.because.iter().any(|reason| {
                ["back-off", "tried less than", "DRBD refused"].iter().any(|word| reason.0.contains(word))
            })),
            _ => Some(true),
        };
        late.map(|late| late && since.after(view.delay()) <= self.now)
    }
}

/// Due since then, and nothing was asked for since; or it was, and that is long ago.
pub(super) fn is_overdue(now: Mono, since: Mono, asked: Option<Mono>) -> bool {
    match asked.filter(|asked| asked.after(Duration::from_millis(100)) >= since) {
        None => now.since(since) > AT_ONCE,
        Some(asked) => now.since(asked.max(since)) > AGAIN,
    }
}
