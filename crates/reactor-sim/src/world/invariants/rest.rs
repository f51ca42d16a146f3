//! What must hold when everything is over: a world in peace is at rest, its data is whole, and a tape gives the same actions again.

use std::time::Duration;

use reactor_core::settings::promoter::OnServiceFailure;

use crate::drbd9::NodeIx;

use super::super::daemon::{Daemon, Tape, new_core};
use super::super::guard::Guard;
use super::super::plan::{NODES, promoted};
use super::super::run::World;
use super::super::systemd::Kind;
use super::actions::GIVING;

/// At rest: nothing was started or stopped for this long.
const REST: Duration = Duration::from_secs(120);
/// So often a resource may be given to a preferred node in peace.
const GIVEN: u32 = 4;

impl World {
    /// A world left in peace has come to rest, with its services running if any node may run them.
    pub(in super::super) fn check_rest(&mut self) {
        if self.split_brain {
            // Without quorum data may diverge. That is for people to repair; until then the nodes may go on fencing each other.
            return;
        }
        if self.now.since(self.watch.last_action) < REST {
            let what = format!("something was started or stopped at {}", self.watch.last_action);
            return self.violated("peace brings rest", what);
        }
        for res in 0..self.plan.cluster.resources.len() {
            let times = self.watch.given[res].1;
            if times > GIVEN {
                let name = &self.plan.cluster.resources[res].name;
                return self
                    .violated("peace brings rest", format!("{name} was given to a preferred node {times} times"));
            }
            // Who is in the right of a split brain is for people to say; and what was given away a moment ago is on its way.
            // Nobody starts what nothing guards.
            let runs = self.guard(res) != Guard::Nothing;
            if runs && !self.cluster.damage(res).diverged && self.now.since(self.watch.given[res].0) > GIVING {
                self.check_service_runs(res);
            }
        }
        for node in 0..NODES.len() {
            self.check_nothing_pending(node);
            self.check_people_know(node);
        }
    }

    /// In peace the service runs on one node, if any node may run it.
    fn check_service_runs(&mut self, res: usize) {
        let name = self.plan.cluster.resources[res].name.clone();
        let up: Vec<NodeIx> = (0..NODES.len()).filter(|node| self.is_up(*node, res)).collect();
        match up[..] {
            [node] => {
                let frozen = self.machines[node].systemd.units().iter().any(|unit| {
                    unit.res == res && unit.is_active() && unit.freezer != reactor_core::systemd::FreezerState::Running
                });
                if frozen {
                    self.violated("in peace the service runs", format!("{name} is frozen on {}", NODES[node]));
                } else if !self.cluster.truth(node, res).primary {
                    self.violated("in peace the service runs", format!("{name} runs on {}, Secondary", NODES[node]));
                } else if let Some(unit) = self.left_down(node, res) {
                    self.violated("in peace the service runs", format!("{unit} does not run on {}", NODES[node]));
                }
            }
            [] => {
                let can: Vec<&str> = (0..NODES.len())
                    .filter(|node| {
                        let truth = self.cluster.truth(*node, res);
                        truth.could_promote || truth.primary
                    })
                    .map(|node| NODES[node])
                    .collect();
                if !can.is_empty() {
                    let what = format!("{name} runs nowhere, and could on {}", can.join(", "));
                    self.violated("in peace the service runs", what);
                }
            }
            _ => self.violated("in peace the service runs", format!("{name} runs on {} nodes", up.len())),
        }
    }

    /// A unit of `start` that is down though its target is up, and though failures are not to be ignored.
    fn left_down(&self, node: NodeIx, res: usize) -> Option<&str> {
        let daemon = self.machines[node].daemon.as_deref().filter(|_| !self.is_shell(res))?;
        let settings = promoted(&daemon.settings, &self.plan.cluster.resources[res].name)?;
        if settings.on_service_failure == OnServiceFailure::Ignore || !self.cluster.truth(node, res).can_write {
            return None;
        }
        let units = self.machines[node].systemd.units().iter();
        let down = units.filter(|unit| unit.res == res && !unit.spare && !unit.is_active());
        down.filter(|unit| matches!(unit.kind, Kind::Service | Kind::Mount)).map(|unit| unit.name.as_str()).next()
    }

    fn is_up(&self, node: NodeIx, res: usize) -> bool {
        if self.is_shell(res) {
            return self.cluster.truth(node, res).primary;
        }
        self.machines[node]
            .systemd
            .units()
            .iter()
            .any(|unit| unit.res == res && unit.kind == Kind::Target && unit.is_active())
    }

    /// With quorum no acknowledged write that a majority of the disks had gets lost, unless a disk failed.
    pub(super) fn check_data(&mut self, res: usize) {
        // Most of the time nothing has changed since the last look.
        let marks = self.cluster.data_marks(res);
        if self.watch.data[res].as_ref() == Some(&marks) {
            return;
        }
        self.watch.data[res] = Some(marks);
        let damage = self.cluster.damage(res);
        let spec = &self.plan.cluster.resources[res];
        if self.guard(res) == Guard::Nothing {
            // Its data may diverge, and nobody goes on because of it.
        } else if !spec.options.quorum {
            self.split_brain |= damage.diverged;
        } else if !self.disks_lost[res] {
            let held = || (0..NODES.len()).map(|node| self.cluster.truth(node, res).writes).collect::<Vec<_>>();
            if damage.torn {
                let what = format!(
                    "both sides of a split brain of {} were acknowledged by majorities: {:?}",
                    spec.name,
                    held()
                );
                self.violated("acknowledged writes are kept", what);
            } else if damage.diverged {
                // What one Primary wrote while its only peer was being synced was lost with it, and came back. People have to choose now,
                // and DRBD may overwrite either side when the nodes meet.
                self.disks_lost[res] = true;
            } else if damage.lost_writes > 0 {
                let lost = damage.lost_writes;
                let what = format!("{lost} acknowledged writes of {} are on no disk any more: {:?}", spec.name, held());
                self.violated("acknowledged writes are kept", what);
            }
        }
    }

    /// In peace nothing waits for an outcome.
    fn check_nothing_pending(&mut self, node: NodeIx) {
        let Some(daemon) = self.machines[node].daemon.as_deref() else { return };
        let waiting = daemon.pending.values().find(|pending| self.now.since(pending.since) > REST);
        if let Some(pending) = waiting {
            let what = format!("{}: {:?} has not ended", NODES[node], pending.call);
            self.violated("every action ends", what);
        }
    }

    /// What a daemon was told gives the same actions in a fresh core.
    pub(in super::super) fn check_replay(&mut self, node: NodeIx, daemon: &Daemon) {
        let mut core = new_core(node);
        let mut lies = daemon.lies.again();
        let mut actions = Vec::with_capacity(daemon.asked.len());
        for (at, tape) in &daemon.tape {
            match tape {
                Tape::Configure(settings) => lies.configure(&mut core, *at, settings, &mut actions),
                Tape::Step(input) => core.step(*at, input, &mut actions),
            }
        }
        if actions != daemon.asked {
            let at = actions.iter().zip(&daemon.asked).take_while(|(a, b)| a == b).count();
            let what = format!(
                "{}: action {at} of {}: asked {:?}, again {:?}",
                NODES[node],
                daemon.asked.len(),
                daemon.asked.get(at),
                actions.get(at)
            );
            self.violated("a replay gives the same actions", what);
        }
    }
}
