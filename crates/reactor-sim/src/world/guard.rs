//! What keeps two nodes from writing r1 at once: in most worlds DRBD's quorum or fencing; in some it is on one node alone, and in some it has
//! peers and nothing keeps them from it. Such a resource is not managed, and with drbd-reactor's defaults started once by each daemon.

use reactor_core::settings::Mode;

use crate::drbd9::{ClusterSpec, Fencing, NodeIx, Options, Placement, ResIx};

use super::faults::Heal;
use super::plan::NODES;
use super::run::World;
use super::systemd::Kind;

/// What keeps two nodes from writing a resource at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guard {
    /// Quorum or fencing.
    #[default]
    Drbd,
    /// Only this node has it.
    Alone(NodeIx),
    /// Nothing does, and it has peers.
    Nothing,
}

impl Guard {
    /// That of r1 in the world of a seed. None of these worlds has hard faults or daemons that end.
    pub(super) fn of(seed: u64) -> Self {
        match seed % 16 {
            3 => Self::Alone(usize::try_from(seed / 16 % 3).unwrap_or(0)),
            7 | 12 => Self::Nothing,
            _ => Self::Drbd,
        }
    }

    /// The mode of such a world, where a seed has not drawn it.
    pub(super) fn mode(seed: u64, drawn: Mode) -> Mode {
        match seed % 16 {
            7 => Mode::Native,
            12 => Mode::DrbdReactor,
            _ => drawn,
        }
    }

    /// Changes the options accordingly.
    pub(super) fn change(self, options: &mut Options) {
        if self != Self::Drbd {
            *options = Options { quorum: false, fencing: Fencing::DontCare, fence_peer: None, ..options.clone() };
        }
    }

    /// The last resource is where it has to be.
    pub(super) fn place(self, cluster: &mut ClusterSpec) -> Option<String> {
        let resource = cluster.resources.last_mut()?;
        match self {
            Self::Drbd => None,
            Self::Nothing => Some(format!("{}: quorum off, no fencing", resource.name)),
            Self::Alone(node) => {
                for (_, place) in resource.placement.iter_mut().enumerate().filter(|(other, _)| *other != node) {
                    *place = Placement::Absent;
                }
                Some(format!("{}: quorum off, on {} alone", resource.name, NODES[node]))
            }
        }
    }
}

impl World {
    /// What keeps two nodes from writing it at once.
    pub(super) fn guard(&self, res: ResIx) -> Guard {
        if self.plan.cluster.resources[res].name == "r1" { self.plan.guard } else { Guard::Drbd }
    }

    /// Nobody else starts what nothing guards: a person does, where it runs nowhere, and looks again from time to time.
    pub(super) fn start_by_hand(&mut self, res: ResIx) {
        if self.peace.is_some() {
            return;
        }
        self.heal_in(60, 180, Heal::ByHand(res));
        let node = self.pick(NODES.len());
        let node = (0..NODES.len()).find(|node| self.cluster.truth(*node, res).primary).unwrap_or(node);
        let truth = self.cluster.truth(node, res);
        let is_busy = (0..NODES.len()).any(|node| {
            let units =
                self.machines[node].systemd.units().iter().filter(|unit| unit.res == res && !unit.kind.is_standby());
            units.into_iter().any(|unit| unit.has_job() || (unit.kind == Kind::Target && unit.is_active()))
        });
        if is_busy || !self.is_running(node) || !(truth.could_promote || truth.primary) {
            return;
        }
        let name = format!("drbd-services@{}.target", self.plan.cluster.resources[res].name);
        let Some(target) = self.machines[node].systemd.find(&name) else { return };
        self.tell_fault(&format!("somebody starts {name} of {}", NODES[node]));
        self.machines[node].systemd.start(target, None);
        self.pump(node);
    }
}
