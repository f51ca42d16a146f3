//! Worlds whose daemons are asked to end: with and without `stop-services-on-exit`, and with people, a second signal or a kill in between.
//!
//! ```text
//!  SIGTERM ─▶ Input::Exit ─▶ it goes on until what was asked for at exit has its outcome ─▶ everything else is given up ─▶ it is over
//!                              └─ a second signal, or ten minutes ─────────────────────────┘        and started again ◀───┘
//!                              └─ killed: nothing is given up, it is over ──────────────────────────────────────────▶ the same
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use reactor_core::action::{Action, ActionKind, Call, Done, DrbdAnswer, FilesEnd, HandlerEnd, HandlerReport, Outcome};
use reactor_core::ids::ActionId;
use reactor_core::input::Input;
use reactor_core::operator::OperatorVerb;
use reactor_core::systemd::{UnitEnd, UnitVerb};

use crate::drbd9::NodeIx;

use super::events::ForDaemon;
use super::faults::Heal;
use super::plan::{NODES, promoted};
use super::run::World;

/// How many faults worlds have in which daemons are asked to end.
pub(super) const FAULTS_OF_EXITS: usize = 8;

/// So long services are waited for.
const SERVICES: Duration = Duration::from_secs(600);

/// Outcomes make the core ask for more; after so many rounds nobody listens any more.
const ROUNDS: usize = 16;

/// What the promoter says of a stop at exit.
pub(super) const REASON: &str = "the daemon ends, and stop-services-on-exit = true";

/// A daemon that was asked to end.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    /// What was asked for after this is waited for.
    last: ActionId,
    /// Resources that may be stopped: so their settings say, and nobody held them when the end began.
    may_stop: BTreeSet<usize>,
    /// Resources that have to be down at the end: the same, and nobody has held them since, and systemd was there and did what it was told.
    must_stop: BTreeSet<usize>,
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// What was asked for at exit has its outcome.
    Done,
    /// A second signal, or it took too long: nothing is waited for.
    Impatient,
    /// It is killed.
    Killed,
}

impl World {
    /// Somebody restarts the daemon, and may be in a hurry, or think of something.
    pub(super) fn exit_fault(&mut self, node: NodeIx) {
        if self.machines[node].daemon.is_none() || !self.is_running(node) || self.is_ending(node) {
            return;
        }
        let res = self.pick(self.plan.cluster.resources.len());
        let resource = self.plan.cluster.resources[res].name.clone();
        let what = self.pick(FAULTS_OF_EXITS);
        let hold = OperatorVerb::Hold { why: "the daemon ends".to_owned() };
        let soon = self.ms(0, 3_000);
        if what == 0 {
            self.tell_fault(&format!("an operator holds {resource} on {}", NODES[node]));
            self.ask(node, res, hold.clone());
        }
        self.tell_fault(&format!("the daemon of {} is asked to end", NODES[node]));
        self.begin_exit(node);
        match what {
            0 => self.daemon_after(node, soon, ForDaemon::Asked(res, OperatorVerb::Release)),
            1 | 2 => {
                self.daemon_after(node, soon, ForDaemon::Asked(res, hold));
                self.heal_in(60, 200, Heal::Operator(node, res, OperatorVerb::Release));
            }
            3 => self.daemon_after(node, soon, ForDaemon::End(End::Impatient)),
            4 => self.daemon_after(node, soon, ForDaemon::End(End::Killed)),
            _ => {}
        }
    }

    /// Whether its daemon has been asked to end.
    pub(super) fn is_ending(&self, node: NodeIx) -> bool {
        self.machines[node].daemon.as_deref().is_some_and(|daemon| daemon.ending.is_some())
    }

    pub(super) fn begin_exit(&mut self, node: NodeIx) {
        let resources = 0..self.plan.cluster.resources.len();
        let Some(daemon) = self.machines[node].daemon.as_deref() else { return };
        let stops = |res: &usize| {
            let settings = promoted(&daemon.settings, &self.plan.cluster.resources[*res].name);
            settings.is_some_and(|settings| settings.stop_services_on_exit) && !self.watch.levels[node][*res].held
        };
        let may_stop: BTreeSet<usize> = resources.filter(stops).collect();
        let last = daemon.asked.last().map_or(ActionId(0), |action| action.id);
        let ending = Ending { last, must_stop: may_stop.clone(), may_stop };
        if let Some(daemon) = self.machines[node].daemon.as_deref_mut() {
            daemon.ending = Some(ending);
        }
        self.tell(node, &Input::Exit);
        self.daemon_after(node, SERVICES, ForDaemon::End(End::Impatient));
        self.look_at_exit(node);
    }

    /// An operator asks while it ends, and is answered as always.
    pub(super) fn asked_at_exit(&mut self, node: NodeIx, res: usize, verb: OperatorVerb) {
        let name = &self.plan.cluster.resources[res].name;
        self.tell_fault(&format!("an operator says on {}, which ends: {verb:?} {name}", NODES[node]));
        let holds = matches!(verb, OperatorVerb::Hold { .. });
        if let Some(ending) = self.machines[node].daemon.as_deref_mut().and_then(|daemon| daemon.ending.as_mut())
            && holds
        {
            ending.must_stop.remove(&res);
        }
        self.ask(node, res, verb);
    }

    /// After each step: whether the end is over.
    pub(super) fn look_at_exit(&mut self, node: NodeIx) {
        let does_stop = self.machines[node].stops_end.is_none();
        let Some(daemon) = self.machines[node].daemon.as_deref_mut() else { return };
        let is_sure = daemon.bus && daemon.untold.is_empty() && does_stop;
        let Some(ending) = daemon.ending.as_mut() else { return };
        if !is_sure {
            ending.must_stop.clear();
        }
        let last = ending.last;
        if daemon.pending.range(ActionId(last.0 + 1)..).next().is_none() {
            self.end_exit(node, End::Done);
        }
    }

    /// It is over, and started again.
    pub(super) fn end_exit(&mut self, node: NodeIx, how: End) {
        let Some(ending) = self.machines[node].daemon.as_deref().and_then(|daemon| daemon.ending.clone()) else {
            return;
        };
        if how == End::Done {
            self.check_stopped_at_exit(node, &ending);
        }
        if how != End::Killed {
            self.abandon(node);
            self.finish_storage(node);
        }
        self.tell_fault(&format!("the daemon of {} has ended: {how:?}", NODES[node]));
        self.end_daemon(node);
        self.heal_in(0, 20, Heal::Daemon(node));
    }

    /// An outcome for all that is under way. What the core asks for because of one has its outcome, too, and is not carried out.
    fn abandon(&mut self, node: NodeIx) {
        for _ in 0..ROUNDS {
            let Some(daemon) = self.machines[node].daemon.as_deref() else { return };
            let pending: Vec<_> = daemon.pending.iter().map(|(id, pending)| (*id, given_up(&pending.call))).collect();
            if pending.is_empty() {
                return;
            }
            for (id, outcome) in pending {
                self.watch_done(node, id, &outcome);
                self.tell(node, &Input::Done(Done { id, outcome }));
            }
        }
    }

    /// What has to be stopped at exit does not run when the daemon has ended.
    fn check_stopped_at_exit(&mut self, node: NodeIx, ending: &Ending) {
        for res in ending.must_stop.iter().copied() {
            let runs = if self.is_shell(res) {
                None
            } else {
                let units = self.machines[node].systemd.units().iter();
                let runs = |unit: &&super::systemd::Unit| {
                    let is_own = unit.kind != super::systemd::Kind::Configured && !unit.kind.is_standby();
                    unit.res == res && is_own && unit.is_active() && !unit.has_stop()
                };
                units.filter(runs).map(|unit| unit.name.to_string()).next()
            };
            if let Some(unit) = runs {
                let what = format!("{}: {unit} runs, and stop-services-on-exit = true", NODES[node]);
                self.violated("nothing runs on that was to be stopped at exit", what);
            }
        }
    }

    /// Once a daemon has been asked to end, it begins nothing, and stops only what it has to.
    pub(super) fn check_at_exit(&mut self, node: NodeIx, action: &Action) {
        let Some(ending) = self.machines[node].daemon.as_deref().and_then(|daemon| daemon.ending.as_ref()) else {
            return;
        };
        let (resource, may) = match &action.kind {
            ActionKind::Call(Call::Unit(call)) => {
                let may = |res| {
                    call.verb == UnitVerb::Thaw || (call.verb == UnitVerb::Stop && ending.may_stop.contains(&res))
                };
                (&call.resource, self.res(call.resource.as_str()).is_some_and(may))
            }
            ActionKind::Call(Call::Handler(run)) if run.rule.ends_with("#1") => {
                let may = |res| run.rule.starts_with("promoter stop") && ending.may_stop.contains(&res);
                (&run.resource, self.res(run.resource.as_str()).is_some_and(may))
            }
            _ => return,
        };
        if !may {
            let what = format!("{}: {resource}: {:?}", NODES[node], action.kind);
            self.violated("the end stops only what it has to", what);
        }
    }
}

/// Whether an action is the stop of the end.
pub(super) fn is_of_exit(action: &Action) -> bool {
    action.because.iter().any(|reason| reason.0 == REASON)
}

/// What a call is answered with that nobody waits for any longer.
fn given_up(call: &Call) -> Outcome {
    let why = "the daemon stops".to_owned();
    match call {
        Call::Unit(_) => Outcome::Unit(UnitEnd::NoBus { why }),
        Call::Files(_) => Outcome::Files(FilesEnd::Failed { why }),
        Call::Drbd(_) => Outcome::Drbd(DrbdAnswer::Failed { why }),
        Call::Examine(_) => Outcome::Examined(Vec::new()),
        Call::Handler(_) => Outcome::Handler(HandlerReport::of(HandlerEnd::Aborted)),
    }
}
