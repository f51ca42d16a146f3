//! What runs on a Secondary, and entries that say how they are looked after.

use std::collections::BTreeMap;
use std::time::Duration;

use reactor_core::action::{Action, Call, UnitCall};
use reactor_core::ids::Mono;
use reactor_core::plugin::promoter::report::StateWord;
use reactor_core::settings::promoter::Entry;
use reactor_core::systemd::{ActiveState, UnitState, UnitVerb};

use crate::drbd9::NodeIx;

use super::super::plan::NODES;
use super::super::run::World;
use super::super::systemd::Kind;
use super::oracle::View;

const APART: &str = "what runs on a Secondary does not run beside the promotion";
const ASKED: &str = "nothing of a Secondary is started where the services run";
const RUNS: &str = "what runs on a Secondary runs there";
const DELAYS: &str = "what runs on a Secondary delays a promotion by its stop at most";
const TIMES: &str = "an entry is started again so often and no more";

/// The stop of what runs on a Secondary takes no longer, the time to look included.
const STOP: Duration = Duration::from_millis(21_500);
/// It was asked for and runs after this time, if nothing fails.
const SETTLED: Duration = Duration::from_secs(10);
/// Has it run for so long, its next failure is the first.
const RAN: Duration = Duration::from_secs(62);
/// The first pause, doubled each time, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));

/// What is remembered of a resource's standby services on a node.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Standby {
    /// Since when they have to run.
    due_since: Option<Mono>,
    /// Since when they do.
    up_since: Option<Mono>,
    /// Starts that were asked for since they have run long enough.
    starts: u32,
    /// When one failed last, or its start has.
    failed: Option<Mono>,
    /// Since when a promotion waits for their stop.
    in_the_way_since: Option<Mono>,
}

/// By unit: when an entry was started again.
pub(in super::super) type StartedAgain = BTreeMap<String, Vec<Mono>>;

/// It is the target of the services, which is what nearly all rules of starts and stops are about.
pub(in super::super) fn is_services(call: &UnitCall) -> bool {
    !is_standby(call) && !call.unit.as_str().starts_with("drbd@")
}

/// It is the target of what runs on a Secondary.
pub(super) fn is_standby(call: &UnitCall) -> bool {
    call.unit.as_str().starts_with("storage-reactor-standby@")
}

fn is_down(unit: &UnitState) -> bool {
    matches!(unit.active, ActiveState::Inactive | ActiveState::Failed)
}

impl super::Watch {
    /// What runs on a Secondary has failed, in truth.
    pub(in super::super) fn standby_failed(&mut self, node: NodeIx, res: usize, now: Mono) {
        self.levels[node][res].standby.failed = Some(now);
    }
}

impl View<'_> {
    /// Entries of `standby` that this node does not leave out.
    pub(super) fn standby(&self) -> impl Iterator<Item = &Entry> {
        self.settings.standby.iter().filter(|entry| !entry.is_disabled_on(NODES[self.node]))
    }

    fn standby_target(&self) -> String {
        format!("storage-reactor-standby@{}.target", self.name)
    }

    /// systemd has answered about all of them.
    fn is_standby_told(&self) -> bool {
        let (units, target) = (self.shadow.node().units(), self.standby_target());
        units.is_told(&target) && self.standby().all(|entry| units.is_told(entry.name()))
    }

    /// The target runs, and all of them do or are on their way.
    fn is_standby_up(&self) -> bool {
        !is_down(&self.unit(&self.standby_target())) && self.standby().all(|entry| !is_down(&self.unit(entry.name())))
    }

    /// The services run here, or are on their way up or down, or DRBD says Primary.
    fn is_in_use(&self) -> bool {
        self.is_primary() || self.is_up() || self.is_any()
    }
}

impl World {
    /// Something is asked about what runs on a Secondary.
    pub(super) fn check_standby_call(&mut self, node: NodeIx, res: usize, call: &UnitCall, what: &str) {
        let Some(view) = self.view(node, res) else { return };
        let is_old = !(view.knows_whether_it_runs() && view.is_standby_told());
        let is_start = call.verb == UnitVerb::Start;
        let wrong = if is_old {
            Some(("decided from the present", "what is known is old".to_owned()))
        } else if is_start && view.is_in_use() {
            Some((ASKED, "it is Primary, or its services are not down".to_owned()))
        } else if is_start && self.starts_services(node, view.name) {
            Some((ASKED, "its services are being started".to_owned()))
        } else if is_start && self.watch.is_drained(node) {
            Some((ASKED, "this node is drained".to_owned()))
        } else {
            None
        };
        if let Some((rule, why)) = wrong {
            self.violated(rule, format!("{what}: {why}"));
        }
        if is_start {
            let standby = &mut self.watch.levels[node][res].standby;
            standby.starts = standby.starts.saturating_add(1);
        }
    }

    /// A start of the services has not come back.
    fn starts_services(&self, node: NodeIx, name: &str) -> bool {
        let starts =
            |call: &UnitCall| call.verb == UnitVerb::Start && call.resource.as_str() == name && is_services(call);
        self.machines[node].daemon.as_deref().is_some_and(|daemon| {
            daemon.pending.values().any(|pending| matches!(&pending.call, Call::Unit(call) if starts(call)))
        })
    }

    /// systemd has changed something: what runs on a Secondary and the promotion are never up at once.
    pub(in super::super) fn check_apart(&mut self, node: NodeIx) {
        if !self.plan.stacks {
            return;
        }
        let units = self.machines[node].systemd.units();
        let up = |kind: Kind| units.iter().filter(move |unit| unit.kind == kind && !unit.is_down());
        let both = up(Kind::Standby).find(|standby| {
            // The promotion waits in its queue until the other has stopped.
            up(Kind::Promote).any(|promote| promote.res == standby.res)
        });
        if let Some(unit) = both {
            let what = format!("{}: {} runs, and drbd-promote@ is not down", NODES[node], unit.name);
            self.violated(APART, what);
        }
    }

    /// Looked at again and again, whether a daemon runs or not.
    pub(super) fn check_standby_stops(&mut self, node: NodeIx) {
        for res in (0..self.plan.cluster.resources.len()).filter(|_| self.plan.stacks).collect::<Vec<_>>() {
            let units = self.machines[node].systemd.units();
            let mut ours = units.iter().filter(|unit| unit.res == res);
            let waits = ours.clone().any(|unit| unit.kind == Kind::Promote && unit.has_start());
            let stops = ours.any(|unit| unit.kind == Kind::Standby && unit.has_stop());
            let is_it = waits && stops && self.is_running(node) && self.watch.patience[node] <= self.now;
            let now = self.now;
            let since = &mut self.watch.levels[node][res].standby.in_the_way_since;
            *since = is_it.then(|| since.unwrap_or(now));
            if let Some(since) = since.filter(|since| now.since(*since) > STOP) {
                let name = &self.plan.cluster.resources[res].name;
                let what = format!("{}: the promotion of {name} waits for standby services since {since}", NODES[node]);
                self.violated(DELAYS, what);
            }
        }
    }

    /// On a Secondary that stays one, what is for it runs: unless it fails, and then it is tried again in time.
    pub(super) fn check_standby_runs(&mut self, node: NodeIx, res: usize) {
        let (now, up) = (self.now, self.is_standby_up(node, res));
        // What a daemon says of itself takes long to put together.
        let due = !up && self.is_standby_due(node, res);
        let standby = &mut self.watch.levels[node][res].standby;
        standby.up_since = up.then(|| standby.up_since.unwrap_or(now));
        if standby.up_since.is_some_and(|since| now.since(since) > RAN) {
            standby.starts = 0;
        }
        standby.due_since = due.then(|| standby.due_since.unwrap_or(now));
        let Some(since) = standby.due_since else { return };
        let pause = match standby.starts.checked_sub(1) {
            None => Duration::ZERO,
            Some(before) => PAUSES.0.saturating_mul(1u32.checked_shl(before).unwrap_or(u32::MAX)).min(PAUSES.1),
        };
        let since = since.max(standby.failed.unwrap_or(since));
        if now.since(since) > pause + SETTLED {
            let name = self.plan.cluster.resources[res].name.clone();
            let says = self.says(node, &name);
            let what = format!("{}: that of {name} does not run since {since}; it says: {says}", NODES[node]);
            self.violated(RUNS, what);
        }
    }

    /// Nothing keeps it from running, and its start is not under way.
    fn is_standby_due(&self, node: NodeIx, res: usize) -> bool {
        let level = &self.watch.levels[node][res];
        let (Some(view), Some(daemon)) = (self.view(node, res), self.machines[node].daemon.as_deref()) else {
            return false;
        };
        let is_asked = || {
            daemon.pending.values().any(|pending| match &pending.call {
                Call::Unit(call) => is_standby(call) && call.resource.as_str() == view.name,
                _ => false,
            })
        };
        let is_it = view.standby().next().is_some()
            && view.is_live()
            && view.is_standby_told()
            && view.resource.is_some()
            && !view.is_in_use()
            // What is built anew after a panic rests.
            && !self.plan.stumbles
            && !daemon.burst_open
            && !level.held
            && level.wish.is_none()
            && !self.watch.is_drained(node)
            && !is_asked();
        if !is_it {
            return false;
        }
        let reports = daemon.core.promoted(Mono(self.now.0.saturating_sub(daemon.started.0)));
        reports.iter().any(|report| {
            report.resource.as_str() == view.name && report.state == StateWord::Standby && report.hold.is_none()
        })
    }

    fn is_standby_up(&self, node: NodeIx, res: usize) -> bool {
        self.view(node, res).is_some_and(|view| view.is_standby_told() && view.is_standby_up())
    }

    /// What is started among others that run: an entry with `restart` so often within `failure-window` and no more, before its failure counts.
    pub(super) fn check_started_again(&mut self, node: NodeIx, res: usize, action: &Action) {
        let Some(view) = self.view(node, res).filter(View::is_up) else { return };
        let (now, window) = (self.now, view.settings.failure_window);
        let mut again = Vec::new();
        for pair in action.because.windows(2) {
            let [what, why] = pair else { continue };
            let unit = what.0.split_once(" has failed: ").map(|(unit, _)| unit);
            let Some(unit) = unit.filter(|_| why.0.starts_with("restart = ")) else { continue };
            let times = view.entries().find(|entry| entry.name() == unit).map_or(0, |entry| entry.how.restart);
            again.push((unit.to_owned(), usize::try_from(times).unwrap_or(usize::MAX)));
        }
        for (unit, times) in again {
            let before = self.watch.levels[node][res].started_again.entry(unit.clone()).or_default();
            before.retain(|at| now.since(*at) < window);
            before.push(now);
            if before.len() > times {
                let what = format!("{}: {unit}: {} times, and restart = {times}", NODES[node], before.len());
                self.violated(TIMES, what);
            }
        }
    }
}
