//! What a core may ask for, checked when it asks.

use std::time::Duration;

use reactor_core::action::{Action, ActionKind, AskTools, Call, DrbdCall, Effect, UnitCall};
use reactor_core::ids::Mono;
use reactor_core::settings::promoter::{OnDiskDetach, OnQuorumLoss, OnServiceFailure};
use reactor_core::systemd::{UnitEnd, UnitVerb};

use crate::drbd9::NodeIx;

use super::super::exit::{REASON, is_of_exit};
use super::super::guard::Guard;
use super::super::plan::{NODES, promoted};
use super::super::run::World;
use super::operators::NOT_STARTED;
use super::oracle::View;
use super::stacks::is_standby;
use super::{Level, slot};

/// Two stops within this time are one too many.
const TWICE: Duration = Duration::from_millis(100);
/// The same thing may be asked for [`TIMES`] times within this time.
const PACE: Duration = Duration::from_secs(60);
/// See [`PACE`].
const TIMES: usize = 10;
/// Failures of several units within this time may count once.
const TOGETHER: Duration = Duration::from_secs(10);
/// So long after a service came back into the configuration nothing is made of its old failure.
const CAME_BACK: Duration = Duration::from_secs(30);
/// What is wrong then.
const OLD_FAILURE: &str = "what came back is not judged by its old failure";
/// So long the adjust of `drbd@N.service` is waited for.
const SERVICE: Duration = Duration::from_secs(120);
/// How long it takes until a resource that was given away runs on the other node.
pub(super) const GIVING: Duration = Duration::from_secs(60);

impl World {
    /// Looks at one action. `within` = the burst is not over.
    pub(in super::super) fn check_action(&mut self, node: NodeIx, action: &Action, within: bool) {
        self.check_pace(node, action);
        self.check_at_exit(node, action);
        self.check_no_primary(node, action);
        if !is_of_exit(action) {
            // What is under way already is asked for once more: only what was asked for at exit is waited for.
            self.check_once(node, action);
        }
        match &action.kind {
            ActionKind::Call(Call::Unit(call)) => self.check_call(node, action, call, within),
            ActionKind::Call(Call::Handler(run)) if run.rule.ends_with("#1") => {
                if let Some(res) = self.res(run.resource.as_str()) {
                    self.check_held(node, res, action);
                    let is_stop = run.rule.starts_with("promoter stop");
                    let verb = if is_stop { UnitVerb::Stop } else { UnitVerb::Start };
                    self.watch.acts.push((self.now, node, res, verb));
                    if is_stop {
                        self.watch.levels[node][res].last[slot(UnitVerb::Stop)] = Some(self.now);
                    } else if let Some(why) = self.is_unwanted(node, res) {
                        self.violated(NOT_STARTED, format!("{}: {}: {why}", NODES[node], run.command));
                    }
                }
            }
            ActionKind::Call(Call::Drbd(AskTools {
                resource,
                call:
                    call @ (DrbdCall::Adjust | DrbdCall::AdjustLinks | DrbdCall::Connect { .. } | DrbdCall::SecondaryForce),
            })) => {
                if let Some(res) = self.res(resource.as_str()) {
                    self.check_held(node, res, action);
                    self.check_attach(node, res, *call);
                    self.check_repair(node, res, *call, action);
                    self.check_alone(node, res, *call);
                }
            }
            ActionKind::Call(Call::Drbd(AskTools { resource, call: DrbdCall::Options })) => {
                if let Some(res) = self.res(resource.as_str()) {
                    self.watch.levels[node][res].options_read = Some(self.now);
                }
            }
            ActionKind::Effect(Effect::Remember { resource, memory }) => {
                if let Some(res) = self.res(resource.as_str()) {
                    let failed = self.check_failures(node, res);
                    let max = self.max_failures(node, resource.as_str());
                    let kept = u32::try_from(memory.failures.len()).unwrap_or(u32::MAX);
                    let blocks = failed && max > 0 && kept >= max;
                    self.watch.levels[node][res].blocked |= blocks;
                    if failed {
                        self.note_failure(node, res, blocks);
                        self.note_pause(node, res, kept);
                    }
                }
            }
            ActionKind::Effect(Effect::AnswerOperator { request, answer }) => {
                self.answered(node, request.0, answer);
            }
            _ => {}
        }
    }

    /// Whatever is asked for again and again, it is asked for with pauses. Of several commands that follow one another only the first can
    /// wait: the others count from when that was run, however long the ones before them took.
    fn check_pace(&mut self, node: NodeIx, action: &Action) {
        let what = match &action.kind {
            ActionKind::Call(Call::Unit(call)) => format!("{} {}", call.verb.as_str(), call.unit),
            ActionKind::Call(Call::Drbd(AskTools { resource, call })) => format!("{} {resource}", call.as_str()),
            ActionKind::Call(Call::Handler(run)) => run.command.clone(),
            _ => return,
        };
        let now = self.now;
        let Some(daemon) = self.machines[node].daemon.as_deref_mut() else { return };
        let mut begun = now;
        if let ActionKind::Call(Call::Handler(run)) = &action.kind
            && let Some((list, number)) = run.rule.rsplit_once(" #")
        {
            let first = daemon.runs.entry(format!("{list} of {}", run.resource)).or_insert(now);
            if number == "1" {
                *first = now;
            }
            begun = *first;
        }
        let times = daemon.paces.entry(what.clone()).or_default();
        times.retain(|at| begun.since(*at) < PACE);
        times.push(begun);
        if times.len() > TIMES {
            self.violated(
                "every repeated action backs off",
                format!("{}: {what}: more than {TIMES} times within {} s", NODES[node], PACE.as_secs()),
            );
        }
    }

    /// Whether another node, or this one, would start what is stopped here. That a resource has no peers is believed only if DRBD was told of
    /// all there are.
    pub(super) fn is_managed(&self, node: NodeIx, res: usize) -> bool {
        let adjusts = self.view(node, res).is_some_and(|view| view.settings.adjust_resource_on_start);
        match self.guard(res) {
            Guard::Drbd => true,
            Guard::Alone(_) => !adjusts || self.watch.levels[node][res].adjusted,
            Guard::Nothing => false,
        }
    }

    /// A failure was counted: with some policies the services have to leave this node, whatever systemd does to mend them here.
    fn note_failure(&mut self, node: NodeIx, res: usize, blocks: bool) {
        let policy = self.view(node, res).map(|view| view.settings.on_service_failure);
        let is_managed = self.is_managed(node, res);
        let level = &mut self.watch.levels[node][res];
        let leaves = match policy {
            Some(OnServiceFailure::Move) => true,
            Some(OnServiceFailure::Restart) => blocks,
            Some(OnServiceFailure::Ignore) | None => false,
        };
        if leaves && !level.held && is_managed {
            level.leaves_since = Some(self.now);
        }
    }

    /// `max-failures` as the daemon was configured.
    fn max_failures(&self, node: NodeIx, resource: &str) -> u32 {
        let daemon = self.machines[node].daemon.as_deref();
        let settings = daemon.and_then(|daemon| promoted(&daemon.settings, resource));
        settings.map_or(0, |settings| settings.max_failures)
    }

    fn check_call(&mut self, node: NodeIx, action: &Action, call: &UnitCall, within: bool) {
        let Some(res) = self.res(call.resource.as_str()) else { return };
        let what = format!("{}: {} {}", NODES[node], call.verb.as_str(), call.unit);
        if action.because.is_empty() {
            self.violated("every action has a reason", what.clone());
        }
        // What is no longer in the list is thawed whatever DRBD says.
        let is_listed = |view: View<'_>| view.member_names().any(|name| name == call.unit.as_str());
        let is_left_over = call.verb == UnitVerb::Thaw && !self.view(node, res).is_some_and(is_listed);
        if within && !is_of_exit(action) && !is_left_over {
            self.violated("nothing is decided within a burst", what.clone());
        }
        self.check_held(node, res, action);
        if call.unit.as_str().starts_with("drbd@") {
            // No service runs by it, and nothing is promoted.
            if call.verb != UnitVerb::Start {
                self.violated("a start takes no resource down", what);
            }
            return;
        }
        if is_standby(call) {
            return self.check_standby_call(node, res, call, &what);
        }
        if let Some(view) = self.view(node, res) {
            let wrong = match call.verb {
                UnitVerb::Start => self.wrong_start(&view, res),
                UnitVerb::Stop => self.wrong_stop(&view, res, action),
                UnitVerb::Freeze => wrong_freeze(&view, call),
                UnitVerb::Thaw => self.wrong_thaw(&view, res, action, call),
            };
            let live = if call.verb == UnitVerb::Start { view.is_live() } else { view.knows_whether_it_runs() };
            let stale = (!live && !is_left_over && !is_of_exit(action))
                .then_some(("decided from the present", "what is known is old".to_owned()));
            if let Some((rule, why)) = stale.or(wrong) {
                self.violated(rule, format!("{what}: {why}"));
            }
        }
        if call.verb == UnitVerb::Stop {
            let units = self.view(node, res).map(|view| view.units()).unwrap_or_default();
            self.watch.levels[node][res].units_at_stop = units;
            self.watch.levels[node][res].why_stopped = action.because.first().cloned();
        }
        if call.verb == UnitVerb::Start {
            self.check_pause(node, res, action);
            self.check_started_again(node, res, action);
            self.watch.levels[node][res].leaves_since = None;
            self.watch.levels[node][res].ran = true;
        }
        self.watch.levels[node][res].last[slot(call.verb)] = Some(self.now);
        self.watch.acts.push((self.now, node, res, call.verb));
        self.note_action(node, res, action);
    }

    /// Takes note of a change, for what must hold in peace.
    fn note_action(&mut self, node: NodeIx, res: usize, action: &Action) {
        let truth = self.cluster.truth(node, res);
        if self.peace.is_some() && truth.primary && !truth.can_write {
            // No disk has good data, which only people can change. Without max-failures its services are tried for ever.
            return;
        }
        let given = &mut self.watch.given[res];
        if action.because.iter().any(|reason| reason.0.contains("of preferred-nodes") && !reason.0.contains(" s")) {
            *given = (self.now, given.1 + u32::from(self.peace.is_some()));
        }
        if self.now.since(given.0) > GIVING || given.0 == Mono::ZERO {
            self.watch.last_action = self.now;
        }
    }

    /// Who attaches a disk under the writer of a Primary stops both: DRBD 9.3.3 deadlocks.
    fn check_attach(&mut self, node: NodeIx, res: usize, call: DrbdCall) {
        let diskless = |view: View<'_>| view.knows_whether_it_is_primary() && view.is_primary() && view.is_diskless();
        if call == DrbdCall::Adjust && self.view(node, res).is_some_and(diskless) {
            let name = &self.plan.cluster.resources[res].name;
            let what = format!("{}: drbdadm adjust {name}: Primary without a disk", NODES[node]);
            self.violated("no disk is attached under a writer", what);
        }
    }

    /// Two adjusts at a time get in each other's way: that of `drbd@N.service` is waited for.
    fn check_alone(&mut self, node: NodeIx, res: usize, call: DrbdCall) {
        let level = &self.watch.levels[node][res];
        let Some(since) = level.service_busy_since.filter(|_| call == DrbdCall::Adjust) else { return };
        let is_busy = self.view(node, res).is_some_and(|view| view.service_is_busy());
        if is_busy && !self.is_shell(res) && self.now.since(since) < SERVICE {
            let name = &self.plan.cluster.resources[res].name;
            let what = format!(
                "{}: adjust {name}: drbd@{name}.service adjusts since {since}; {}",
                NODES[node],
                self.says(node, name)
            );
            self.violated("no adjust beside another", what);
        }
    }

    /// Whose data have diverged is for a person to say: no link is connected after a split brain, whatever for. Only the adjust at the start of the
    /// daemon does, as drbd-reactor's.
    fn check_repair(&mut self, node: NodeIx, res: usize, call: DrbdCall, action: &Action) {
        let of_start = !action.because.iter().any(|reason| reason.0.contains("is StandAlone"));
        let level = &mut self.watch.levels[node][res];
        if call == DrbdCall::SecondaryForce || (of_start && !std::mem::replace(&mut level.was_adjusted, true)) {
            return;
        }
        let (level, view) = (&self.watch.levels[node][res], self.view(node, res));
        let connects = |peer: &&str| match call {
            DrbdCall::Connect { peer: id } => usize::try_from(id).is_ok_and(|id| NODES[id] == *peer),
            _ => true,
        };
        let is_diverged = |peer: &&str| level.diverged.contains(*peer);
        let diverged = |view: View<'_>| view.standalone().filter(connects).find(is_diverged).map(str::to_owned);
        if let Some(peer) = view.and_then(diverged) {
            let name = &self.plan.cluster.resources[res].name;
            let what = format!("{}: {} {name}: its data and those of {peer} have diverged", NODES[node], call.as_str());
            self.violated("no link is connected after a split brain", what);
        }
    }

    /// A held resource is left alone.
    fn check_held(&mut self, node: NodeIx, res: usize, action: &Action) {
        if self.watch.levels[node][res].held {
            self.violated("a held resource is left alone", format!("{}: {:?}", NODES[node], action.kind));
        }
    }

    /// No start without quorum, without may_promote, before its delay is over, next to a Primary peer, when blocked, or of what runs.
    fn wrong_start(&self, view: &View<'_>, res: usize) -> Option<(&'static str, String)> {
        let level = &self.watch.levels[view.node][res];
        if let Some(why) = self.is_unwanted(view.node, res) {
            return Some((NOT_STARTED, why));
        }
        if view.lost_quorum() {
            return Some(("no start without quorum", "quorum is lost".to_owned()));
        }
        if view.is_up() {
            let reloaded = self.machines[view.node].daemon.as_deref().is_some_and(|daemon| daemon.reloads > 1);
            let needed = view.is_incomplete() || reloaded;
            return (!needed).then(|| ("what runs is not started", "the target is active".to_owned()));
        }
        // A limit that a reload has lifted blocks nothing.
        if level.blocked && view.settings.max_failures > 0 {
            return Some(("blocked until cleared", "it failed too often".to_owned()));
        }
        if let Some(wrong) = unguarded_start(view, level) {
            return Some(wrong);
        }
        if view.peer_is_primary() {
            return Some(("no start next to a Primary", "a peer is Primary".to_owned()));
        }
        if view.is_primary() {
            return None;
        }
        if !view.is_eligible() {
            return Some(("no start without may_promote", "DRBD does not say may_promote:yes".to_owned()));
        }
        let since = level.eligible_since.map(|since| since.max(self.unwanted_until(view.node, res)));
        let due = since.map(|since| since.after(view.delay()));
        if due.is_none_or(|due| due.0 > self.now.0 + 1_000_000) {
            let due = due.map_or("never".to_owned(), |due: Mono| due.to_string());
            return Some(("every start has its delay", format!("due {due}, delay {:?}", view.delay())));
        }
        None
    }

    /// Nothing is stopped without a reason that names a fact, and the fact is true by what this node was told.
    fn wrong_stop(&self, view: &View<'_>, res: usize, action: &Action) -> Option<(&'static str, String)> {
        let level = &self.watch.levels[view.node][res];
        if is_of_exit(action) {
            let truth = view.settings.stop_services_on_exit && self.is_ending(view.node);
            return (!truth).then(|| ("nothing is stopped without a true reason", format!("because {REASON:?}")));
        }
        // A graver reason need not wait for what became of the stop before.
        let is_same =
            |_: &Mono| level.units_at_stop == view.units() && level.why_stopped == action.because.first().cloned();
        let again = level.last[1].filter(|last| self.now.since(*last) < TWICE).filter(is_same);
        if let Some(last) = again {
            return Some((
                "nothing is asked for twice",
                format!("it was stopped at {last}, and nothing was told since"),
            ));
        }
        let said = action.because.first().map(|reason| reason.0.as_str()).unwrap_or_default();
        let has = |word: &str| said.contains(word);
        let is_ours = has("here while its services run") || has("the start ended with") || has("is not active after");
        if view.guard == Guard::Nothing && view.is_up() && level.options_known && !is_ours {
            return Some(("what nobody would start again is not stopped", format!("because {said:?}")));
        }
        let truth = if has("this node is drained by ") {
            self.watch.is_drained(view.node)
        } else if said.starts_with("stopped by ") || said.starts_with("left to ") {
            level.wish.as_ref().is_some_and(|wish| wish.is_said_by(said))
        } else if has("quorum lost on") {
            view.lost_quorum()
        } else if has("no good data of") {
            view.is_primary() && view.lost_data()
        } else if has("here while its services run") {
            !view.is_primary()
        } else if has("lost its disk here") || has("lost their disk") {
            view.settings.on_disk_detach == OnDiskDetach::FailOver && view.is_diskless() && view.has_heir()
        } else if has("has failed:")
            && self.came_back(view.node, res)
            && level.leaves_since.is_none()
            && level.failures.is_empty()
            && !view.failed()
        {
            return Some((OLD_FAILURE, format!("because {said:?}")));
        } else if has("has failed:") || has("ended:") {
            // It may have been reset meanwhile; then it failed before.
            view.failed() || level.counted > 0 || !level.failures.is_empty()
        } else if has("the start ended with") {
            level.start_end.as_ref().is_some_and(|end| *end != UnitEnd::Done)
        } else if has("is not active after its start") {
            level.start_end.is_some()
        } else if has("blocked after") {
            level.blocked || self.counts_too_many(view)
        } else if has("of preferred-nodes") {
            let peer = said.split(' ').next().unwrap_or_default();
            let place = |name: &str| view.settings.preferred_nodes.iter().position(|node| node == name);
            let own = place(NODES[view.node]).unwrap_or(usize::MAX);
            view.is_ready(peer) && place(peer).is_some_and(|place| place < own)
        } else {
            false
        };
        (!truth).then(|| ("nothing is stopped without a true reason", format!("because {said:?}")))
    }

    /// What is frozen without quorum stays so until quorum is back, or it is stopped.
    fn wrong_thaw(
        &self,
        view: &View<'_>,
        res: usize,
        action: &Action,
        call: &UnitCall,
    ) -> Option<(&'static str, String)> {
        let level = &self.watch.levels[view.node][res];
        let is_listed = view.member_names().any(|name| name == call.unit.as_str());
        let stays = view.lost_quorum() && view.is_up() && view.settings.on_quorum_loss == OnQuorumLoss::Freeze;
        let is_stopped = is_of_exit(action) || level.last[slot(UnitVerb::Stop)] == Some(self.now);
        let is_wrong = is_listed && stays && !is_stopped && view.is_live();
        is_wrong.then(|| ("what is frozen stays so without quorum", format!("because {:?}", action.because)))
    }

    fn came_back(&self, node: NodeIx, res: usize) -> bool {
        self.watch.levels[node][res].came_back.is_some_and(|at| self.now.since(at) < CAME_BACK)
    }

    /// Whether the promoter has counted as many failures as there may be, and is about to keep that.
    fn counts_too_many(&self, view: &View<'_>) -> bool {
        let Some(daemon) = self.machines[view.node].daemon.as_deref() else { return false };
        let reports = daemon.core.promoted(Mono(self.now.0 - daemon.started.0));
        let report = reports.iter().find(|report| report.resource.as_str() == view.name);
        report.is_some_and(|report| report.max_failures > 0 && report.failures >= report.max_failures)
    }

    /// Failures are counted only when services failed: a lost race never counts.
    /// Gives whether there is a new one.
    fn check_failures(&mut self, node: NodeIx, res: usize) -> bool {
        let name = self.plan.cluster.resources[res].name.clone();
        let Some(daemon) = self.machines[node].daemon.as_deref() else { return false };
        let counters = daemon.core.instances().iter().flat_map(reactor_core::core::Instance::counters);
        let ours = |counter: &reactor_core::plugin::Counter| {
            counter.name == "service_failures" && counter.labels.iter().any(|(_, label)| *label == name)
        };
        let counted: u64 = counters.filter(ours).map(|counter| counter.value).sum();
        let rule = if self.came_back(node, res) { OLD_FAILURE } else { "only failures count" };
        let level = &mut self.watch.levels[node][res];
        let new = usize::try_from(counted.saturating_sub(level.counted)).unwrap_or(0);
        level.counted = counted;
        if new > level.failures.len() {
            self.violated(rule, format!("{}: {name}: a failure was counted, none happened", NODES[node]));
        } else if new > 0 {
            level.failures.drain(..new);
            level.counted_at.extend(std::iter::repeat_n(self.now, new));
            // Units that failed together count once.
            let now = self.now;
            level.failures.retain(|at| now.since(*at) < TOGETHER);
        }
        new > 0
    }
}

/// With peers, and without quorum and fencing, nothing is started; with drbd-reactor's defaults once, if it runs nowhere as far as is known.
fn unguarded_start(view: &View<'_>, level: &Level) -> Option<(&'static str, String)> {
    if view.guard != Guard::Nothing || (view.settings.unguarded_start && !level.ran) {
        return None;
    }
    let why = if level.ran { "it was started before, or ran" } else { "neither quorum nor fencing" };
    Some(("what nothing guards is started once at most", why.to_owned()))
}

/// Only services are frozen, and only without quorum.
fn wrong_freeze(view: &View<'_>, call: &UnitCall) -> Option<(&'static str, String)> {
    let member = view.member_names().any(|name| name == call.unit.as_str() && !name.ends_with(".mount"));
    if !member {
        return Some(("only services are frozen", format!("{} is none", call.unit)));
    }
    let may = view.lost_quorum() && view.settings.on_quorum_loss == OnQuorumLoss::Freeze;
    (!may).then(|| ("frozen only without quorum", "quorum is not lost".to_owned()))
}
