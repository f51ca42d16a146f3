//! What is asked for once, whatever it is; and that what comes of it is judged.

use reactor_core::action::{Action, ActionKind, AskTools, Call, DrbdAnswer, DrbdCall, Outcome};
use reactor_core::ids::{Mono, ResourceName};
use reactor_core::plugin::promoter::report::ResourceReport;
use reactor_core::systemd::{FreezerState, UnitEnd, UnitVerb};

use crate::drbd9::NodeIx;

use super::super::daemon::{Daemon, Pending};
use super::super::plan::NODES;
use super::super::run::World;
use super::is_services;

/// So many resources and purposes may be due at the same moment.
const WOKEN: u32 = 50;

impl World {
    /// A core is woken because something is due. What stays due without an end would keep a processor busy, and time stands still here.
    pub(in super::super) fn check_is_woken(&mut self, node: NodeIx) {
        let now = self.now;
        let Some(daemon) = self.machines[node].daemon.as_deref_mut() else { return };
        let (last, before) = daemon.woken;
        daemon.woken = (now, if last == now { before + 1 } else { 1 });
        if daemon.woken.1 > WOKEN {
            let what = format!("{}: {} times at the same moment", NODES[node], daemon.woken.1);
            self.violated("nobody is woken again and again for nothing", what);
        }
    }

    /// What was asked for and has not come back is not asked for again.
    pub(super) fn check_once(&mut self, node: NodeIx, action: &Action) {
        let Some(daemon) = self.machines[node].daemon.as_deref() else { return };
        let ActionKind::Call(wanted) = &action.kind else { return };
        let is_old = |name: &str, since: Mono| self.res(name).is_some_and(|res| daemon.began[res] > since);
        let is_same = |pending: &&Pending| match (&pending.call, wanted) {
            (Call::Unit(before), Call::Unit(call)) => before.unit == call.unit && before.verb == call.verb,
            // A question about units belongs to the decision that it is about, and changes nothing. A reload asks for files again, maybe for the
            // same ones; the jobs follow one another, and the last one counts.
            (_, Call::Examine(_) | Call::Files(_)) => false,
            // Who was taken out of the configuration meanwhile begins anew, whatever hangs of before.
            (Call::Drbd(ask), _) if is_old(ask.resource.as_str(), pending.since) => false,
            (before, wanted) => before == wanted,
        };
        if let Some(before) = daemon.pending.values().find(is_same) {
            let what = format!("{}: {:?}: it was asked for at {}", NODES[node], action.kind, before.since);
            self.violated("nothing is asked for twice", what);
        }
    }

    /// A frozen process cannot end: who stops it thaws it, too.
    pub(in super::super) fn check_thawed_with_stop(&mut self, node: NodeIx, actions: &[Action]) {
        for action in actions {
            let ActionKind::Call(Call::Unit(call)) = &action.kind else { continue };
            let stops = call.verb == UnitVerb::Stop && is_services(call);
            let Some(res) = self.res(call.resource.as_str()).filter(|_| stops) else { continue };
            let Some(daemon) = self.machines[node].daemon.as_deref() else { return };
            let Some(view) = self.view(node, res).filter(super::oracle::View::knows_whether_it_runs) else { continue };
            let thaws = |unit: &str| {
                let is_thaw = |pending: &Pending| match &pending.call {
                    Call::Unit(call) => call.verb == UnitVerb::Thaw && call.unit.as_str() == unit,
                    _ => false,
                };
                daemon.pending.values().any(is_thaw)
            };
            let is_frozen = |unit: &&str| view.freezer(unit) != FreezerState::Running;
            let left = view.member_names().filter(is_frozen).find(|unit| !thaws(unit)).map(str::to_owned);
            if let Some(unit) = left {
                let what = format!("{}: {unit} is frozen, and its target is stopped", NODES[node]);
                self.violated("what is frozen is thawed with its stop", what);
            }
        }
    }

    /// What waits for suspended I/O cannot end: who stops it lets that fail first, if the settings allow it.
    pub(in super::super) fn check_io_fails_with_stop(&mut self, node: NodeIx, actions: &[Action]) {
        for action in actions {
            let ActionKind::Call(Call::Unit(call)) = &action.kind else { continue };
            let stops = call.verb == UnitVerb::Stop && is_services(call);
            let Some(res) = self.res(call.resource.as_str()).filter(|_| stops) else { continue };
            let Some(daemon) = self.machines[node].daemon.as_deref() else { return };
            let Some(view) = self.view(node, res).filter(super::oracle::View::knows_whether_it_runs) else { continue };
            let forces = |pending: &Pending| match &pending.call {
                Call::Drbd(AskTools { resource, call: DrbdCall::SecondaryForce }) => resource.as_str() == view.name,
                _ => false,
            };
            if view.is_suspended() && view.settings.secondary_force && !daemon.pending.values().any(forces) {
                let what = format!("{}: {} is stopped while its I/O is suspended", NODES[node], view.name);
                self.violated("suspended I/O fails before a stop", what);
            }
        }
    }

    /// What came back was looked at: a start or a stop has its outcome among the last decisions, and what a tool said is shown until it works.
    pub(in super::super) fn check_judged(&mut self, node: NodeIx, asked: &Pending, outcome: &Outcome) {
        let (name, what) = match (&asked.call, outcome) {
            (Call::Unit(call), Outcome::Unit(end)) if matches!(call.verb, UnitVerb::Start | UnitVerb::Stop) => {
                (call.resource.clone(), Wanted::Decision(format!("{} {}", call.verb.as_str(), call.unit), end))
            }
            (
                Call::Drbd(AskTools {
                    resource,
                    call: DrbdCall::Adjust | DrbdCall::AdjustLinks | DrbdCall::LowerDevices | DrbdCall::Options,
                }),
                Outcome::Drbd(DrbdAnswer::Failed { why }),
            ) => (resource.clone(), Wanted::Warning(why)),
            _ => return,
        };
        let Some(res) = self.res(name.as_str()) else { return };
        let Some(daemon) = self.machines[node].daemon.as_deref() else { return };
        // Whoever was taken out of the configuration meanwhile has nobody who waits.
        if daemon.began[res] > asked.since {
            return;
        }
        let Some(report) = report_of(daemon, self.now, &name) else { return };
        let since = Mono(asked.since.0.saturating_sub(daemon.started.0));
        let is_judged = match &what {
            Wanted::Decision(decision, end) => {
                let mut ours = report.history.iter().filter(|past| past.at == since && past.what == *decision);
                // A start that did not get past the promotion says so, and who was faster if that is known.
                let is_lost = |outcome: &str| {
                    let starts = decision.starts_with("start ") && matches!(end, UnitEnd::Job(_));
                    let faster = outcome.contains("; ") && outcome.contains(" was faster");
                    starts
                        && (outcome.starts_with("not promoted (")
                            || outcome.starts_with("not promoted after") && faster)
                };
                let is_told = |outcome: &String| outcome.starts_with(&end.to_string()) || is_lost(outcome);
                ours.all(|past| past.outcome.as_ref().is_some_and(is_told))
            }
            Wanted::Warning(why) => report.warnings.iter().any(|warning| warning.contains(*why)),
        };
        if !is_judged {
            let what = format!("{}: {:?} ended with {outcome:?}, and nothing shows it", NODES[node], asked.call);
            self.violated("every outcome is judged", what);
        }
    }
}

/// Where an outcome has to be found.
enum Wanted<'a> {
    Decision(String, &'a UnitEnd),
    Warning(&'a str),
}

/// What a promoter says of one resource, its last decisions included.
fn report_of(daemon: &Daemon, now: Mono, name: &ResourceName) -> Option<ResourceReport> {
    let mono = Mono(now.0.saturating_sub(daemon.started.0));
    daemon.core.promoted_resource(mono, name)
}
