//! Time limits of docs/promoter.md: what has to be done or forgotten in time.

use std::time::Duration;

use reactor_core::action::{AskTools, Call, DrbdCall};
use reactor_core::ids::Mono;
use reactor_core::settings::promoter::{OnDiskDetach, OnQuorumLoss};
use reactor_core::systemd::{BusState, UnitVerb};

use crate::drbd9::{NodeIx, Placement};

use super::super::guard::Guard;
use super::super::plan::NODES;
use super::super::run::{Tools, World};
use super::super::state::Froze;
use super::oracle::View;
use super::overdue::is_overdue;

/// systemd and DRBD may disagree about a promotion for so long, unless this node was seen as Primary.
const DISAGREE: Duration = Duration::from_secs(2);
/// DRBD's options are read so often without any cause, the time to do so included.
const OPTIONS: Duration = Duration::from_secs(345);
/// And so long after connections or devices came or went.
const OPTIONS_CHANGED: Duration = Duration::from_secs(30);
/// A failure is counted in whole seconds of two clocks: it may be shown for so long after its window.
const EXPIRED: Duration = Duration::from_secs(3);
/// What we froze and nobody lists any more is thawed within this time.
const UNDONE: Duration = Duration::from_secs(45);

/// With DRBD's tools at work, what DRBD does not have is there after this time.
const BROUGHT_UP: Duration = Duration::from_secs(75);

impl World {
    /// Takes note of since when the levels of the time limits hold.
    pub(super) fn watch_limits(&mut self, node: NodeIx, res: usize) {
        let Some(view) = self.view(node, res) else { return };
        let now = self.now;
        let known = view.knows_whether_it_runs();
        let primary = view.is_primary();
        let odd = known && view.is_up() && !view.target().job && view.resource.is_some() && !primary;
        // It begins anew with the resource: who takes it down under its services forces nobody to be Secondary.
        let any = view.is_any() && view.resource.is_some();
        let detached = view.guard != Guard::Nothing
            && view.is_live()
            && !view.lost_quorum()
            && view.is_up()
            && primary
            && view.settings.on_disk_detach == OnDiskDetach::FailOver
            && view.is_diskless()
            && view.has_heir();
        let units = view.shadow.node().units();
        let is_told = *units.bus() == BusState::Up && units.is_told(&format!("drbd@{}.service", view.name));
        let busy = view.service_is_busy();
        let level = &mut self.watch.levels[node][res];
        if is_told {
            level.service_busy_since = busy.then(|| level.service_busy_since.unwrap_or(now));
        }
        level.was_primary = known && any && (level.was_primary || primary);
        level.odd_since = odd.then(|| level.odd_since.unwrap_or(now));
        level.detached_since = detached.then(|| level.detached_since.unwrap_or(now));
    }

    /// Lines of events2 have been told to a live snapshot.
    pub(in super::super) fn watch_lines(&mut self, node: NodeIx, text: &str) {
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [_, verb, kind, rest @ ..] = &words[..] else { continue };
            let get = |key: &str| rest.iter().find_map(|word| word.strip_prefix(key));
            let Some(res) = get("name:").and_then(|name| self.res(name)) else { continue };
            let level = &mut self.watch.levels[node][res];
            match (*verb, *kind) {
                ("create" | "destroy", "connection" | "device") => level.options_changed = Some(self.now),
                // DRBD calls `initial-split-brain` for those that it resolves itself, too.
                ("call", "helper") if get("helper:") == Some("split-brain") => {
                    level.diverged.extend(get("conn-name:").map(str::to_owned));
                }
                _ => {}
            }
            // After the handler it goes down, and is StandAlone at last. Who has it connect again begins with Unconnected.
            if let (true, Some(peer), Some("Unconnected" | "Connecting" | "Connected")) =
                (*kind == "connection", get("conn-name:"), get("connection:"))
            {
                level.diverged.remove(peer);
            }
        }
    }

    pub(super) fn check_limits(&mut self, node: NodeIx, res: usize) {
        self.check_freeze_timeout(node, res);
        self.check_forced_secondary(node, res);
        self.check_detach(node, res);
        self.check_expired(node, res);
    }

    /// Whether a stop is under way, or was asked for since then; with another try after its pause.
    pub(super) fn is_stopped_in_time(&self, node: NodeIx, res: usize, since: Mono) -> bool {
        let level = &self.watch.levels[node][res];
        // Who could not be stopped a moment ago is tried again after a pause, for whatever reason.
        let tried = |asked: Mono| level.stop_failed && self.now.since(asked) < Duration::from_secs(75);
        since > self.now
            || level.last[1].is_some_and(tried)
            || self.is_pending(node, res, UnitVerb::Stop)
            || !is_overdue(self.now, since, level.last[1])
    }

    /// Without quorum for longer than `freeze-timeout`: stopped.
    fn check_freeze_timeout(&mut self, node: NodeIx, res: usize) {
        let level = &self.watch.levels[node][res];
        let (Some(since), false) = (level.quorum_lost_since, level.held) else { return };
        let Some(view) = self.view(node, res).filter(View::knows_whether_it_runs) else { return };
        let freezes = view.settings.on_quorum_loss == OnQuorumLoss::Freeze;
        let Some(timeout) = view.settings.freeze_timeout.filter(|_| freezes) else { return };
        if !view.is_up() || view.goes_down() || self.is_stopped_in_time(node, res, since.after(timeout)) {
            return;
        }
        let what = format!("{}: {} has been without quorum since {since}", NODES[node], view.name);
        self.violated("freeze-timeout ends the wait", what);
    }

    /// DRBD made this node Secondary while services run: stopped.
    fn check_forced_secondary(&mut self, node: NodeIx, res: usize) {
        let level = &self.watch.levels[node][res];
        let (Some(since), false) = (level.odd_since, level.held) else { return };
        let due = if level.was_primary { since } else { since.after(DISAGREE) };
        let Some(view) = self.view(node, res).filter(View::knows_whether_it_runs) else { return };
        if !view.is_up() || view.goes_down() || self.is_stopped_in_time(node, res, due) {
            return;
        }
        let says = self.says(node, view.name);
        let what = format!("{}: {} has run here since {since}, Secondary; it says: {says}", NODES[node], view.name);
        self.violated("a forced Secondary is acted upon", what);
    }

    /// A disk was lost, and a peer has good data of all volumes: `on-disk-detach = "fail-over"`.
    fn check_detach(&mut self, node: NodeIx, res: usize) {
        let level = &self.watch.levels[node][res];
        let (Some(since), false) = (level.detached_since, level.held) else { return };
        let Some(view) = self.view(node, res).filter(View::is_live) else { return };
        if !view.is_up() || view.goes_down() || self.is_stopped_in_time(node, res, since) {
            return;
        }
        let what = format!("{}: {} has run here without a disk since {since}", NODES[node], view.name);
        self.violated("a lost disk is acted upon", what);
    }

    /// Failures are forgotten when their window is over, those that a daemon before this one has kept included: also of what nobody
    /// looks at, because DRBD does not have it or nothing happens to it.
    fn check_expired(&mut self, node: NodeIx, res: usize) {
        let Some(daemon) = self.machines[node].daemon.as_deref() else { return };
        let Some(view) = self.view(node, res) else { return };
        if self.plan.stumbles {
            // What is built anew has its failures from what is remembered, by the clock of then.
            return;
        }
        let window = view.settings.failure_window + EXPIRED;
        let (now, recalled) = (self.now, daemon.recalled);
        // What was told with a clock that went back counts from then.
        let lasts = |at: &Mono| (*at).max(recalled).after(window) > now;
        let all = &self.watch.levels[node][res].counted_at;
        let still = all.iter().filter(|at| lasts(at)).count();
        if still == all.len() {
            return;
        }
        let reports = daemon.core.promoted(Mono(now.0.saturating_sub(daemon.started.0)));
        let shown =
            reports.iter().find(|report| report.resource.as_str() == view.name).map_or(0, |report| report.failures);
        if usize::try_from(shown).unwrap_or(usize::MAX) > still {
            let what = format!("{}: {} shows {shown} failures, and {still} are not over", NODES[node], view.name);
            return self.violated("failures expire", what);
        }
        self.watch.levels[node][res].counted_at.retain(|at| lasts(at));
    }

    /// DRBD's options are read anew from time to time, and when what they are about came or went.
    pub(super) fn check_options(&mut self, node: NodeIx, res: usize) {
        let Some(view) = self.view(node, res) else { return };
        // Who holds it has it prepared by nobody, and that comes first.
        let held = self.watch.levels[node][res].held;
        let live = view.knows_whether_it_is_primary() && view.resource.is_some() && !held;
        let (now, name) = (self.now, view.name.to_owned());
        let level = &mut self.watch.levels[node][res];
        level.readable_since = live.then(|| level.readable_since.unwrap_or(now));
        let Some(readable) = level.readable_since else { return };
        let read = level.options_read.unwrap_or(readable).max(readable);
        let changed = level.options_changed.filter(|changed| level.options_read.is_none_or(|read| read < *changed));
        let why = match changed.map(|changed| changed.max(readable)) {
            Some(changed) if now.since(changed) > OPTIONS_CHANGED => format!("changed at {changed}"),
            _ if now.since(read) > OPTIONS => format!("read last at {read}"),
            _ => return,
        };
        if self.says_held(node, &name) {
            return;
        }
        self.violated("DRBD's options are read in time", format!("{}: those of {name} were {why}", NODES[node]));
    }

    /// What DRBD does not have is brought up, also if it was there before and something that is no person took it down.
    pub(super) fn check_brought_up(&mut self, node: NodeIx, res: usize) {
        let Some(view) = self.view(node, res) else { return };
        let machine = &self.machines[node];
        let name = view.name;
        let adjusts = |daemon: &super::super::daemon::Daemon| {
            daemon.pending.values().any(|pending| {
                matches!(&pending.call, Call::Drbd(AskTools { resource, call: DrbdCall::Adjust }) if resource.as_str() == name)
            })
        };
        let quiet = view.knows_whether_it_is_primary()
            && machine.tools == Tools::Work
            && !machine.taken_down.contains(&res)
            && !view.service_is_busy()
            && !machine.daemon.as_deref().is_some_and(adjusts)
            && self.peace.is_none();
        let is_due = quiet
            && self.plan.cluster.resources[res].placement[node] != Placement::Absent
            && view.resource.is_none()
            && view.settings.adjust_resource_on_start
            && !self.is_shell(res)
            && !self.watch.levels[node][res].held;
        let (now, what) = (self.now, format!("{}: DRBD has no {name}", NODES[node]));
        let gone = &mut self.machines[node].gone_since;
        if !is_due {
            gone.remove(&res);
            return;
        }
        let since = *gone.entry(res).or_insert(now);
        let name = self.plan.cluster.resources[res].name.clone();
        if now.since(since) > BROUGHT_UP && !self.says_held(node, &name) {
            self.violated("what was taken down is brought up again", format!("{what} since {since}"));
        }
    }

    /// What its daemon says of a resource.
    pub(super) fn says(&self, node: NodeIx, name: &str) -> String {
        let Some(daemon) = self.machines[node].daemon.as_deref() else { return String::new() };
        let reports = daemon.core.promoted(Mono(self.now.0.saturating_sub(daemon.started.0)));
        let report = reports.into_iter().find(|report| report.resource.as_str() == name);
        report.map_or(String::new(), |report| format!("{} because {:?}", report.state.as_str(), report.because))
    }

    /// Its daemon holds it. A hold also outlives that somebody releases what is not configured just then.
    fn says_held(&self, node: NodeIx, name: &str) -> bool {
        let Some(daemon) = self.machines[node].daemon.as_deref() else { return false };
        let reports = daemon.core.promoted(Mono(self.now.0.saturating_sub(daemon.started.0)));
        reports
            .iter()
            .any(|report| report.resource.as_str() == name && report.hold.as_ref().is_some_and(|hold| !hold.stops))
    }

    /// What we froze is thawed, whatever the configuration has become: unless the state file was torn since then, and nothing but the configuration
    /// said that it could be ours.
    pub(super) fn check_undone(&mut self, node: NodeIx) {
        let machine = &self.machines[node];
        if !machine.daemon.as_deref().is_some_and(|daemon| daemon.bus) {
            return;
        }
        let (mut left, mut forgotten) = (Vec::new(), Vec::new());
        for (unit, Froze { res, is_known }) in &machine.froze {
            let is_frozen = machine.systemd.find(unit.as_str()).is_some_and(|ix| {
                let unit = &machine.systemd.units()[ix];
                unit.freezer != reactor_core::systemd::FreezerState::Running
            });
            let view = self.view(node, *res);
            let is_listed = view.is_some_and(|view| view.member_names().any(|name| name == unit.as_str()));
            if !is_listed && !is_known {
                forgotten.push(unit.clone());
            } else if is_frozen && !is_listed && !self.watch.levels[node][*res].held {
                left.push(unit.clone());
            }
        }
        let now = self.now;
        let machine = &mut self.machines[node];
        machine.froze.retain(|unit, _| !forgotten.contains(unit));
        machine.left_frozen.retain(|unit, _| left.contains(unit));
        for unit in left {
            let since = *machine.left_frozen.entry(unit.clone()).or_insert(now);
            if now.since(since) > UNDONE {
                let what = format!("{}: {unit} is frozen, and no longer configured since {since}", NODES[node]);
                return self.violated("what we froze is undone", what);
            }
        }
    }
}
