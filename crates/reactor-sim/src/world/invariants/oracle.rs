//! What a node should know and do, computed from what it was told, apart from the promoter's own code.

use std::time::Duration;

use reactor_core::core::Core;
use reactor_core::drbd::types::{ConnectionState, DiskState, ReplicationState, Role, Suspended};
use reactor_core::ids::ConnName;
use reactor_core::model::SourceState;
use reactor_core::model::objects::Resource;
use reactor_core::settings::promoter::{Entry, OnQuorumLoss, PromotedResource};
use reactor_core::systemd::{ActiveState, BusState, FreezerState, UnitState};

use crate::drbd9::NodeIx;

use super::super::guard::Guard;
use super::super::plan::{NODES, promoted};
use super::super::run::World;

/// One resource as a node was told of it.
pub(in super::super) struct View<'a> {
    pub(super) node: NodeIx,
    pub(super) settings: &'a PromotedResource,
    pub(super) shadow: &'a Core,
    pub(super) name: &'a str,
    /// `None` if DRBD has no such resource here.
    pub(in super::super) resource: Option<&'a Resource>,
    pub(super) has_quorum_policy: bool,
    pub(super) guard: Guard,
}

impl World {
    /// What a node was told of a resource; `None` without a daemon.
    pub(in super::super) fn view(&self, node: NodeIx, res: usize) -> Option<View<'_>> {
        let daemon = self.machines[node].daemon.as_deref()?;
        let spec = &self.plan.cluster.resources[res];
        Some(View {
            node,
            settings: promoted(&daemon.settings, &spec.name)?,
            shadow: &daemon.shadow,
            name: &spec.name,
            resource: daemon.shadow.node().resource(&spec.name),
            has_quorum_policy: spec.options.quorum,
            guard: self.guard(res),
        })
    }
}

impl View<'_> {
    /// News of DRBD and of systemd are the present, all units of it included.
    pub(super) fn is_live(&self) -> bool {
        let units = self.shadow.node().units();
        self.knows_whether_it_runs() && self.member_names().all(|unit| units.is_told(unit))
    }

    /// The same of DRBD, the target and the promotion: enough to stop what may not run.
    pub(super) fn knows_whether_it_runs(&self) -> bool {
        let units = self.shadow.node().units();
        let own = [format!("drbd-services@{}.target", self.name), format!("drbd-promote@{}.service", self.name)];
        self.shadow.node().source() == SourceState::Live
            && *units.bus() == BusState::Up
            && own.iter().all(|unit| units.is_told(unit))
    }

    /// News of DRBD are the present.
    pub(super) fn knows_whether_it_is_primary(&self) -> bool {
        self.shadow.node().source() == SourceState::Live
    }

    /// Primary, and what it writes waits for quorum.
    pub(super) fn is_suspended(&self) -> bool {
        let waits = |resource: &Resource| resource.state.suspended.contains(&Suspended::QUORUM);
        self.is_primary() && self.resource.is_some_and(waits)
    }

    /// The peers whose connections are StandAlone.
    pub(super) fn standalone(&self) -> impl Iterator<Item = &str> {
        let connections = self.resource.into_iter().flat_map(|resource| resource.connections.values());
        let lost = connections.filter(|peer| peer.state.connection == ConnectionState::StandAlone);
        lost.filter_map(|peer| peer.state.conn_name.as_ref()).map(ConnName::as_str)
    }

    /// A volume has no disk here, though it should have one.
    pub(super) fn is_diskless(&self) -> bool {
        let lost = |resource: &Resource| {
            let mut devices = resource.devices.values();
            devices.any(|device| device.state.disk == DiskState::Diskless && device.state.client != Some(true))
        };
        self.resource.is_some_and(lost)
    }

    /// `drbd@N.service` is on its way up or down.
    pub(super) fn service_is_busy(&self) -> bool {
        let service = self.unit(&format!("drbd@{}.service", self.name));
        service.job || matches!(service.active, ActiveState::Activating | ActiveState::Deactivating)
    }

    /// `FreezerState` of a unit, as it was told.
    pub(super) fn freezer(&self, unit: &str) -> FreezerState {
        self.unit(unit).freezer
    }

    /// A connected peer has good data on disks of its own, of all volumes.
    pub(super) fn has_heir(&self) -> bool {
        let Some(resource) = self.resource else { return false };
        resource.connections.values().any(|peer| {
            peer.state.connection == ConnectionState::Connected
                && resource.devices.keys().all(|volume| {
                    peer.peer_devices.get(volume).is_some_and(|device| {
                        device.state.peer_disk == DiskState::UpToDate && device.state.peer_client != Some(true)
                    })
                })
        })
    }

    /// As it was told; what was told before the bus was lost says nothing.
    pub(super) fn unit(&self, name: &str) -> UnitState {
        let units = self.shadow.node().units();
        units.get(name).filter(|_| units.is_told(name)).cloned().unwrap_or_default()
    }

    pub(super) fn target(&self) -> UnitState {
        self.unit(&format!("drbd-services@{}.target", self.name))
    }

    pub(super) fn promote(&self) -> UnitState {
        self.unit(&format!("drbd-promote@{}.service", self.name))
    }

    /// Entries of `start` that this node does not leave out.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.settings.start.iter().filter(|entry| !entry.is_disabled_on(NODES[self.node]))
    }

    /// Their names.
    pub(super) fn member_names(&self) -> impl Iterator<Item = &str> {
        self.entries().map(Entry::name)
    }

    /// The units of those that the others cannot run without.
    pub(super) fn needed(&self) -> impl Iterator<Item = UnitState> {
        self.entries().filter(|entry| entry.is_needed()).map(|entry| self.unit(entry.name()))
    }

    pub(super) fn members(&self) -> impl Iterator<Item = UnitState> {
        self.member_names().map(|name| self.unit(name))
    }

    /// All its units as they were told.
    pub(super) fn units(&self) -> Vec<UnitState> {
        [self.target(), self.promote()].into_iter().chain(self.members()).collect()
    }

    /// Whether anything of it runs or is on its way. What somebody else has queued without the target is nothing yet.
    pub(super) fn is_any(&self) -> bool {
        let runs = |unit: &UnitState| !matches!(unit.active, ActiveState::Inactive | ActiveState::Failed);
        self.target().job || [self.target(), self.promote()].into_iter().chain(self.members()).any(|unit| runs(&unit))
    }

    /// The target is down, and something of it is on its way down.
    pub(super) fn goes_down(&self) -> bool {
        !self.is_up()
            && self.members().chain([self.promote()]).any(|unit| {
                unit.active == ActiveState::Deactivating || (unit.active == ActiveState::Active && unit.job)
            })
    }

    pub(super) fn is_up(&self) -> bool {
        self.target().active == ActiveState::Active
    }

    pub(super) fn failed(&self) -> bool {
        self.needed().any(|unit| unit.active == ActiveState::Failed)
    }

    /// A unit of `start` is down that is needed, or is to be started again: maybe because what had failed was reset.
    pub(super) fn is_incomplete(&self) -> bool {
        let counts = |entry: &&Entry| entry.is_needed() || entry.how.restart > 0;
        let down = |unit: UnitState| matches!(unit.active, ActiveState::Failed | ActiveState::Inactive);
        self.entries().filter(counts).any(|entry| down(self.unit(entry.name())))
    }

    pub(super) fn is_primary(&self) -> bool {
        self.resource.is_some_and(|resource| resource.state.role == Role::Primary)
    }

    /// Primary, with a disk that is on its way from one state to another.
    pub(super) fn hangs(&self) -> bool {
        let between = |disk: &DiskState| matches!(disk, DiskState::Attaching | DiskState::Negotiating);
        self.is_primary()
            && self.resource.is_some_and(|resource| resource.devices.values().any(|device| between(&device.state.disk)))
    }

    /// Primary, with units that run although the target does not, and nothing is on its way.
    pub(super) fn runs_outside(&self) -> bool {
        let quiet =
            |unit: &UnitState| !unit.job && !matches!(unit.active, ActiveState::Activating | ActiveState::Deactivating);
        self.is_primary()
            && !self.is_up()
            && self.units().iter().all(quiet)
            && self.members().any(|unit| unit.active == ActiveState::Active)
    }

    /// With quorum, and nobody is Primary: no other side can have one.
    pub(super) fn runs_nowhere(&self) -> bool {
        self.has_quorum_policy
            && !self.is_up()
            && !self.is_primary()
            && !self.peer_is_primary()
            && self.resource.is_some_and(|resource| !resource.devices.is_empty())
            && !self.lost_any_quorum()
    }

    /// With quorum, Primary, and nothing of it runs or is on its way: no other node can start it.
    pub(super) fn is_idle_primary(&self) -> bool {
        let down = |unit: &UnitState| !unit.job && matches!(unit.active, ActiveState::Inactive | ActiveState::Failed);
        self.has_quorum_policy
            && self.is_primary()
            && !self.peer_is_primary()
            && self.units().iter().all(down)
            && !self.lost_any_quorum()
    }

    pub(super) fn lost_quorum(&self) -> bool {
        self.has_quorum_policy
            && self
                .resource
                .is_some_and(|resource| resource.devices.values().any(|device| device.state.quorum == Some(false)))
    }

    /// On some volume neither this disk nor one of a connected peer is UpToDate, and a peer out of sight may have one that is.
    pub(super) fn lost_data(&self) -> bool {
        let Some(resource) = self.resource else { return false };
        resource.devices.iter().any(|(volume, device)| {
            // Who has no disk on purpose has no data, wherever it is.
            let peers = resource.connections.values().filter_map(|peer| {
                let connected = peer.state.connection == ConnectionState::Connected;
                let device = peer.peer_devices.get(volume).filter(|device| device.state.peer_client != Some(true));
                device.map(|device| (connected, &device.state.peer_disk))
            });
            let peers: Vec<_> = peers.collect();
            device.state.disk != DiskState::UpToDate
                && !peers.contains(&(true, &DiskState::UpToDate))
                && peers.contains(&(false, &DiskState::DUnknown))
        })
    }

    /// Names of peers that are Primary.
    pub(super) fn primary_peers(&self) -> impl Iterator<Item = &str> {
        let peers = self.resource.into_iter().flat_map(|resource| resource.connections.values());
        let primary = peers.filter(|peer| peer.state.peer_role == Role::Primary);
        primary.filter_map(|peer| peer.state.conn_name.as_ref().map(ConnName::as_str))
    }

    /// It runs here, with all its disks, and no peer is out of sight.
    pub(in super::super) fn is_well(&self) -> bool {
        let all_here = |resource: &Resource| {
            let peers = || resource.connections.values();
            !self.is_diskless()
                && peers().all(|peer| peer.state.connection == ConnectionState::Connected)
                && peers().flat_map(|peer| peer.peer_devices.values()).all(|device| {
                    device.state.replication == ReplicationState::Established
                        && (device.state.peer_disk == DiskState::UpToDate || device.state.peer_client == Some(true))
                })
        };
        self.is_primary() && self.resource.is_some_and(all_here)
    }

    pub(super) fn peer_is_primary(&self) -> bool {
        self.resource
            .is_some_and(|resource| resource.connections.values().any(|peer| peer.state.peer_role == Role::Primary))
    }

    /// It may be promoted here, by what was told.
    pub(super) fn is_eligible(&self) -> bool {
        self.resource.is_some_and(|resource| resource.state.may_promote)
            && !self.peer_is_primary()
            && !self.lost_any_quorum()
    }

    fn lost_any_quorum(&self) -> bool {
        self.resource.is_some_and(|resource| resource.devices.values().any(|device| device.state.quorum == Some(false)))
    }

    /// Services that can be frozen and run.
    pub(super) fn unfrozen(&self) -> usize {
        let names = self.member_names().filter(|name| !name.ends_with(".mount"));
        names
            .map(|name| self.unit(name))
            .filter(|unit| unit.active == ActiveState::Active && unit.freezer == FreezerState::Running)
            .count()
    }

    pub(super) fn frozen(&self) -> usize {
        self.members().filter(|unit| unit.freezer != FreezerState::Running).count()
    }

    /// A peer with good data on all volumes, with which nothing is synced.
    pub(in super::super) fn is_ready(&self, peer: &str) -> bool {
        let Some(resource) = self.resource else { return false };
        let found = resource
            .connections
            .values()
            .find(|connection| connection.state.conn_name.as_ref().is_some_and(|name| name.as_str() == peer));
        found.is_some_and(|connection| {
            connection.state.connection == ConnectionState::Connected
                && resource.devices.keys().all(|volume| {
                    connection.peer_devices.get(volume).is_some_and(|device| {
                        device.state.peer_disk == DiskState::UpToDate
                            && device.state.replication == ReplicationState::Established
                    })
                })
        })
    }

    /// How long a promotion has to wait here, by drop-in section 5 and the head start.
    pub(super) fn delay(&self) -> Duration {
        let Some(resource) = self.resource else { return Duration::ZERO };
        let disk = |disk: &DiskState| match disk {
            DiskState::UpToDate => 0,
            DiskState::Consistent => 1,
            DiskState::Outdated => 2,
            DiskState::Inconsistent => 3,
            _ => 6,
        };
        let mut seconds = resource.devices.values().map(|device| disk(&device.state.disk)).max().unwrap_or(0);
        let preferred = &self.settings.preferred_nodes;
        let index = preferred.iter().position(|name| name == NODES[self.node]).unwrap_or(preferred.len());
        seconds += index as u64;
        if !self.has_quorum_policy && self.guard == Guard::Drbd {
            let away = resource.connections.values().any(|peer| peer.state.connection != ConnectionState::Connected);
            if away {
                seconds += self.settings.fencing_promote_delay_s;
            }
        } else if self.has_quorum_policy && self.settings.on_quorum_loss == OnQuorumLoss::Freeze {
            seconds += 2;
        }
        let rank = if self.settings.head_start { self.rank(resource) } else { 0 };
        Duration::from_secs(seconds * u64::from(self.settings.sleep_before_promote_factor))
            + Duration::from_millis(200) * rank
    }

    fn rank(&self, resource: &Resource) -> u32 {
        let own = resource.devices.values().filter(|device| device.state.disk == DiskState::UpToDate).count();
        let mut rank = 0;
        for (id, peer) in &resource.connections {
            let good = |disk: &DiskState| matches!(disk, DiskState::UpToDate | DiskState::Consistent);
            let theirs = peer.peer_devices.values().filter(|device| good(&device.state.peer_disk)).count();
            let first = theirs > own || (theirs == own && (id.0 as usize) < self.node);
            if peer.state.connection == ConnectionState::Connected && first {
                rank += 1;
            }
        }
        rank
    }
}
