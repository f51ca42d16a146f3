//! How what is asked for ends: well, and what DRBD and systemd say then.

use crate::action::{DrbdAnswer, DrbdCall, FilesEnd, HandlerEnd, HandlerReport, LowerDevice, Outcome};
use crate::drbd::types::{ConnectionState, Role};
use crate::ids::{PeerNodeId, UnitName};
use crate::systemd::{ActiveState, FreezerState, LoadState, UnitEnd, UnitNews, UnitState, UnitVerb};

use super::super::takeover;
use super::{Asked, WhatIf};

impl WhatIf {
    /// The outcome, with all that it changes; `None` = nobody knows it, and it does not come.
    pub(super) fn ends_well(&mut self, asked: &Asked) -> Option<Outcome> {
        Some(match asked {
            Asked::Unit(unit, verb) => {
                self.unit_ends(unit, *verb);
                Outcome::Unit(UnitEnd::Done)
            }
            Asked::Preempted => Outcome::Unit(UnitEnd::Job("canceled".to_owned())),
            Asked::Drbd(call) => Outcome::Drbd(self.tool_ends(*call)?),
            Asked::Files => Outcome::Files(FilesEnd::Unchanged),
            // It changes nothing here.
            Asked::Sync => return None,
            Asked::Examine => Outcome::Examined(Vec::new()),
            Asked::Command { starts } => {
                self.role(*starts);
                Outcome::Handler(HandlerReport::of(HandlerEnd::Exited(0)))
            }
        })
    }

    fn unit_ends(&mut self, unit: &UnitName, verb: UnitVerb) {
        let set = self.machine.set.clone();
        match verb {
            UnitVerb::Freeze => self.freezer_says(unit, FreezerState::Frozen),
            UnitVerb::Thaw => self.freezer_says(unit, FreezerState::Running),
            UnitVerb::Start | UnitVerb::Stop if self.machine.standby.target.as_ref() == Some(unit) => {
                let active = if verb == UnitVerb::Start { ActiveState::Active } else { ActiveState::Inactive };
                let all: Vec<UnitName> = self.machine.standby.followed().cloned().collect();
                for unit in &all {
                    self.unit_is(unit, active.clone());
                }
            }
            UnitVerb::Start | UnitVerb::Stop if *unit != set.target => {}
            UnitVerb::Start => {
                self.role(true);
                for unit in set.all() {
                    self.unit_is(unit, ActiveState::Active);
                }
            }
            UnitVerb::Stop => {
                for unit in set.all() {
                    self.unit_is(unit, ActiveState::Inactive);
                }
                self.role(false);
            }
        }
    }

    fn role(&mut self, primary: bool) {
        let drbd = self.drbd();
        self.node.alter(self.machine.name.as_str(), |resource| {
            if primary { drbd.promotes(resource) } else { drbd.demotes(resource) }
        });
    }

    fn unit_is(&mut self, unit: &UnitName, active: ActiveState) {
        let before = self.node.units().get(unit.as_str()).cloned().unwrap_or_default();
        let is_up = active == ActiveState::Active;
        // A service whose start has done all there was to do stays so: what it is like shows only while it is up.
        let sub = if is_up { if before.sub == "exited" { "exited" } else { "running" } } else { "dead" };
        let load = if is_up { LoadState::Loaded } else { before.load };
        let result = before.result.map(|_| "success".to_owned());
        let state = UnitState {
            load,
            active,
            sub: sub.to_owned(),
            freezer: FreezerState::Running,
            result,
            job: false,
            ..before
        };
        self.node.units_mut().apply(&UnitNews { unit: unit.clone(), state });
    }

    fn freezer_says(&mut self, unit: &UnitName, freezer: FreezerState) {
        let before = self.node.units().get(unit.as_str()).cloned().unwrap_or_default();
        let state = UnitState { freezer, ..before };
        self.node.units_mut().apply(&UnitNews { unit: unit.clone(), state });
    }

    fn tool_ends(&mut self, call: DrbdCall) -> Option<DrbdAnswer> {
        let name = self.machine.name.clone();
        let drbd = self.drbd();
        match call {
            DrbdCall::Options => {
                let Some(options) = drbd.options else {
                    self.does_not_know("DRBD's options have not been read yet: what follows depends on them");
                    return None;
                };
                return Some(DrbdAnswer::Options(Box::new(options)));
            }
            DrbdCall::LowerDevices => {
                let devices =
                    self.node.resource(name.as_str()).into_iter().flat_map(|resource| resource.devices.values());
                let lower =
                    |is_client: bool| LowerDevice { path: (!is_client).then(|| "its disk".to_owned()), ready: true };
                return Some(DrbdAnswer::LowerDevices(
                    devices.map(|device| lower(device.state.client == Some(true))).collect(),
                ));
            }
            DrbdCall::SecondaryForce => self.node.alter(name.as_str(), |resource| drbd.demotes_by_force(resource)),
            DrbdCall::Adjust | DrbdCall::AdjustLinks | DrbdCall::Connect { .. } => {
                if self.node.resource(name.as_str()).is_none() {
                    self.does_not_know("what DRBD says once it is brought up: roles, disks, quorum");
                }
                let is_meant = |peer: PeerNodeId| !matches!(call, DrbdCall::Connect { peer: one } if one != peer.0);
                self.node.alter(name.as_str(), |resource| {
                    let links = resource.connections.iter_mut().filter(|(peer, _)| is_meant(**peer));
                    for (_, connection) in links {
                        // Whether the peer answers only the peer knows.
                        if connection.state.connection == ConnectionState::StandAlone {
                            connection.state.connection = ConnectionState::Connecting;
                        }
                    }
                });
            }
        }
        Some(DrbdAnswer::Done)
    }

    fn does_not_know(&mut self, what: &str) {
        if !self.unknown.iter().any(|known| known == what) {
            self.unknown.push(what.to_owned());
        }
    }

    /// It was stopped here. Somebody who could take it over is assumed to do so: nobody stops anything to start it again himself.
    pub(super) fn another_takes_over(&mut self) {
        let name = self.machine.name.clone();
        let Some(resource) = self.node.resource(name.as_str()) else { return };
        let peers = self.machine.options.peers();
        let able = takeover::peers(resource, peers).into_iter().filter(|peer| peer.obstacles.is_empty());
        let able: Vec<String> = able.map(|peer| peer.node).collect();
        let given = self.machine.failback.given_at(self.now).map(str::to_owned);
        let (who, words) = match (given, able.as_slice()) {
            (Some(node), _) => (node.clone(), node),
            (None, []) => return,
            (None, [first, ..]) => (first.clone(), able.join(" or ")),
        };
        let id = resource.connections.keys().copied().find(|id| peers.of(resource, *id) == who);
        let drbd = self.drbd();
        self.assumed.push(format!("{words} takes it over after the stop here"));
        self.node.alter(name.as_str(), |resource| {
            if let Some(connection) = id.and_then(|id| resource.connections.get_mut(&id)) {
                connection.state.peer_role = Role::Primary;
            }
            drbd.recount(resource);
        });
    }
}
