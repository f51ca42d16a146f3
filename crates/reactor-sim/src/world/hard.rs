//! Faults of hard worlds: programs, disks and people that do what a cluster does not expect.

use std::sync::Arc;

use reactor_core::action::UnitFinding;
use reactor_core::ids::UnitName;
use reactor_core::operator::OperatorVerb;
use reactor_core::settings::promoter::StartEntry;
use reactor_core::settings::{PluginSettings, Settings};

use crate::drbd9::NodeIx;

use super::events::Event;
use super::faults::Heal;
use super::plan::{NODES, promoted};
use super::run::World;
use super::systemd::{Freezer, Kind, Phase, UnitIx};

/// How many there are.
pub(super) const FAULTS_OF_HARD: usize = 16;

/// What DRBD says to whoever wants to promote, where it refuses.
const REFUSAL: &str = "State change failed: (-2) Need access to UpToDate data";

impl World {
    pub(super) fn hard_fault(&mut self, node: NodeIx) {
        let name = NODES[node];
        match self.pick(FAULTS_OF_HARD) {
            0 | 1 => {
                let Some((node, unit)) = self.service() else { return };
                let (freezer, how) = if self.pick(2) == 0 {
                    (Freezer::Refuses, "refuses to be frozen")
                } else {
                    (Freezer::Sticks, "is frozen only when its writes are done")
                };
                let unit_name = self.machines[node].systemd.units()[unit].name.clone();
                self.tell_fault(&format!("{unit_name} of {} {how}", NODES[node]));
                self.machines[node].systemd.health_mut(unit).freezer = freezer;
                // What it is for: a cut while it is so.
                let links = (0..NODES.len()).filter(|peer| *peer != node).flat_map(|peer| [(node, peer), (peer, node)]);
                self.cut(links.collect(), 2, 90);
                self.heal_in(20, 200, Heal::Health(node, unit));
            }
            2 | 3 => {
                self.tell_fault(&format!("systemd of {name} cannot stop any target"));
                self.machines[node].stops_fail = true;
                self.heal_in(20, 200, Heal::Stops(node));
            }
            6 | 7 => self.state_fault(node),
            8 | 9 => self.socket_fault(node),
            10 | 11 => self.refusal_fault(),
            12 => self.stranger_fault(),
            13..=15 => self.put_back_fault(),
            _ => {
                self.tell_fault(&format!("shell commands of {name} fail"));
                self.machines[node].commands_fail = true;
                let links = (0..NODES.len()).filter(|peer| *peer != node).flat_map(|peer| [(node, peer), (peer, node)]);
                self.cut(links.collect(), 30, 90);
                self.heal_in(60, 300, Heal::Commands(node));
            }
        }
    }

    fn heal_in_ms(&mut self, least: u64, most: u64, heal: Heal) {
        let after = self.ms(least, most);
        self.queue.push(self.now.after(after), Event::Heal(heal));
    }

    // ---- who starts a unit outside of its target ----

    /// Somebody holds a resource, and a client connects to the socket of its service.
    fn socket_fault(&mut self, node: NodeIx) {
        let res = self.pick(self.plan.cluster.resources.len());
        if self.is_shell(res) {
            return;
        }
        self.tell_fault(&format!("an operator holds {} everywhere", self.plan.cluster.resources[res].name));
        for other in 0..NODES.len() {
            self.ask(other, res, OperatorVerb::Hold { why: "maintenance".to_owned() });
            self.heal_in(110, 140, Heal::Operator(other, res, OperatorVerb::Release));
        }
        // Whatever runs is stopped by hand, so that the client finds nothing.
        for other in 0..NODES.len() {
            self.stop_by_hand(other, res);
        }
        self.heal_in(30, 50, Heal::Socket(node, res));
        self.heal_in(75, 105, Heal::SocketEnds(node, res));
    }

    fn stop_by_hand(&mut self, node: NodeIx, res: usize) {
        let held = self.watch.levels[node][res].held;
        let name = format!("drbd-services@{}.target", self.plan.cluster.resources[res].name);
        if let Some(target) = self.machines[node].systemd.find(&name).filter(|_| held && self.is_running(node)) {
            self.machines[node].systemd.stop(target, None);
            self.pump(node);
        }
    }

    pub(super) fn socket_starts(&mut self, node: NodeIx, res: usize) {
        if self.peace.is_some() || !self.is_running(node) || !self.watch.levels[node][res].held {
            return;
        }
        let units = self.machines[node].systemd.units();
        let member = (0..units.len()).rev().find(|ix| units[*ix].res == res && units[*ix].kind == Kind::Service);
        // Since a boot its generated files may not be there yet: then it is a unit like any other.
        let bound = units.iter().any(|unit| unit.res == res && unit.opener);
        let Some(member) = member.filter(|ix| bound && units[*ix].is_down()) else { return };
        let name = units[member].name.clone();
        self.tell_fault(&format!("a client connects to the socket of {name} of {}", NODES[node]));
        self.machines[node].systemd.start(member, None);
        self.pump(node);
    }

    /// The promotion that came with it is stopped by hand, and all that needs it.
    pub(super) fn socket_ends(&mut self, node: NodeIx, res: usize) {
        let held = self.watch.levels[node][res].held;
        let name = format!("drbd-promote@{}.service", self.plan.cluster.resources[res].name);
        if let Some(promote) = self.machines[node].systemd.find(&name).filter(|_| held && self.is_running(node)) {
            self.machines[node].systemd.stop(promote, None);
            self.pump(node);
        }
    }

    // ---- promotions that DRBD refuses ----

    /// DRBD lets nobody promote, and says may_promote:yes all the same; the Primary loses its power.
    fn refusal_fault(&mut self) {
        let res = self.pick(self.plan.cluster.resources.len());
        self.tell_fault(&format!("DRBD refuses each promotion of {}", self.plan.cluster.resources[res].name));
        for machine in &mut self.machines {
            machine.refuses.insert(res);
        }
        self.heal_in(100, 300, Heal::Refusals);
        if let Some(primary) = (0..NODES.len()).find(|node| self.cluster.truth(*node, res).primary) {
            self.tell_fault(&format!("{} loses its power", NODES[primary]));
            self.crash(primary);
            self.heal_in(5, 20, Heal::Boot(primary));
        }
    }

    pub(super) fn refusals_end(&mut self) {
        for machine in &mut self.machines {
            machine.refuses.clear();
        }
    }

    pub(super) fn refuses(&self, node: NodeIx, unit: UnitIx) -> bool {
        let machine = &self.machines[node];
        let res = machine.systemd.units()[unit].res;
        machine.refuses.contains(&res) && !self.cluster.truth(node, res).primary
    }

    pub(super) fn refuse_promotion(&mut self, node: NodeIx, unit: UnitIx, step: u64) {
        let res = self.machines[node].systemd.units()[unit].res;
        let said = format!("{}: {REFUSAL}\n", self.resource_of(node, unit));
        self.machines[node].refusals.insert(res, (self.now, said));
        self.machines[node].systemd.promoted(unit, step, false);
        self.pump(node);
    }

    /// What systemd and the journal say of a unit.
    pub(super) fn finding(&self, node: NodeIx, name: &UnitName) -> UnitFinding {
        let machine = &self.machines[node];
        let state = machine.systemd.look(name).state;
        let unit = machine.systemd.find(name.as_str()).map(|ix| &machine.systemd.units()[ix]);
        let refusal = unit.filter(|unit| unit.kind == Kind::Promote).and_then(|unit| machine.refusals.get(&unit.res));
        let said = refusal.map_or(Vec::new(), |(_, said)| said.lines().map(str::to_owned).collect());
        UnitFinding { active: state.active, result: state.result, said, ..UnitFinding::new(name.clone()) }
    }

    /// Something has the device of a Primary open that is no service, and keeps it open.
    fn stranger_fault(&mut self) {
        let res = self.pick(self.plan.cluster.resources.len());
        let name = self.plan.cluster.resources[res].name.clone();
        let Some(node) = (0..NODES.len()).find(|node| self.cluster.truth(*node, res).primary) else { return };
        if let Ok(open) = self.cluster.open(node, &name, 0) {
            self.tell_fault(&format!("something has opened the device of {name} on {}", NODES[node]));
            self.machines[node].strangers.push(open);
            self.cut(
                (0..NODES.len()).filter(|peer| *peer != node).flat_map(|peer| [(node, peer), (peer, node)]).collect(),
                10,
                90,
            );
            self.heal_in(60, 300, Heal::Strangers(node));
        }
    }

    pub(super) fn strangers_close(&mut self, node: NodeIx) {
        for open in std::mem::take(&mut self.machines[node].strangers) {
            self.cluster.close(open);
        }
    }

    // ---- reloads that take something out and put it back ----

    /// A service fails, a reload takes it or its resource out, a person mends it, and another reload puts it back: within a second.
    fn put_back_fault(&mut self) {
        let Some((node, unit)) = self.service() else { return };
        let units = self.machines[node].systemd.units();
        let (res, unit_name) = (units[unit].res, units[unit].name.clone());
        let name = self.plan.cluster.resources[res].name.clone();
        let whole = self.pick(3) == 0;
        let settings = Arc::clone(&self.machines[node].settings);
        let Some(out) = without(&settings, &name, (!whole).then_some(unit_name.as_str())) else { return };
        if self.machines[node].daemon.is_none() || !self.is_running(node) || self.is_shell(res) {
            return;
        }
        let fails = self.pick(4) > 0;
        let told = self.ms(30, 300);
        if fails {
            self.tell_fault(&format!("{unit_name} of {} fails", NODES[node]));
            self.machines[node].systemd.fail(unit);
            self.pump(node);
        }
        let what = if whole { &name } else { unit_name.as_str() };
        self.tell_fault(&format!("{what} goes out of the configuration of {}", NODES[node]));
        let after = u64::try_from(told.as_millis()).unwrap_or(300);
        self.machines[node].out = Some(Arc::new(out));
        self.heal_in_ms(after, after, Heal::TakeOut(node));
        self.heal_in_ms(after + 50, after + 300, Heal::Mend(node, unit));
        self.heal_in_ms(after + 400, after + 900, Heal::PutBack(node));
    }

    /// A reload without what is to go.
    pub(super) fn take_out(&mut self, node: NodeIx) {
        let Some(out) = self.machines[node].out.take() else { return };
        if self.machines[node].daemon.is_some() && self.is_running(node) && self.peace.is_none() {
            self.configure(node, out);
        }
    }

    /// A reload with the configuration of the node.
    pub(super) fn put_back(&mut self, node: NodeIx) {
        let settings = Arc::clone(&self.machines[node].settings);
        let current = self.machines[node].daemon.as_deref().map(|daemon| Arc::clone(&daemon.settings));
        match current {
            Some(current) if self.is_running(node) && current != settings => {
                self.tell_fault(&format!("it comes back into the configuration of {}", NODES[node]));
                for (res, name) in self.resource_names().iter().enumerate() {
                    if promoted(&current, name) != promoted(&settings, name) {
                        self.watch.levels[node][res].came_back = Some(self.now);
                    }
                }
                self.configure(node, settings);
            }
            // It stands still: when it goes on.
            Some(current) if current != settings => self.heal_in_ms(500, 900, Heal::PutBack(node)),
            _ => {}
        }
    }

    /// A person resets what has failed and starts it again, if its resource is here.
    pub(super) fn mend(&mut self, node: NodeIx, unit: UnitIx) {
        let units = self.machines[node].systemd.units();
        let (res, is_failed) = (units[unit].res, units[unit].phase == Phase::Failed && !units[unit].has_job());
        let name = &self.plan.cluster.resources[res].name;
        let configured = self.machines[node].daemon.as_deref().and_then(|daemon| promoted(&daemon.settings, name));
        let is_out = configured.is_none_or(|settings| !lists(settings, units[unit].name.as_str()));
        let quiet = |unit: &super::systemd::Unit| unit.is_active() && !unit.has_job();
        let here = [format!("drbd-services@{name}.target"), format!("drbd-promote@{name}.service")];
        let here = here.iter().all(|name| self.machines[node].systemd.find(name).is_some_and(|ix| quiet(&units[ix])));
        if !is_failed || !is_out || !here || !self.is_running(node) || units[unit].health.start_fails {
            return;
        }
        self.tell_fault(&format!("somebody mends {} of {}", units[unit].name, NODES[node]));
        self.machines[node].systemd.reset_failed(unit);
        self.machines[node].systemd.start(unit, None);
        self.pump(node);
        // It has been dealt with, and is over.
        let level = &mut self.watch.levels[node][res];
        level.failures.clear();
        level.came_back = Some(self.now);
    }
}

fn lists(settings: &reactor_core::settings::promoter::PromotedResource, unit: &str) -> bool {
    settings.start.iter().any(|entry| matches!(entry, StartEntry::Unit(name) if name == unit))
}

/// The settings without a unit of a resource, or without the resource. `None` = the unit cannot go: others begin with it.
fn without(settings: &Settings, resource: &str, unit: Option<&str>) -> Option<Settings> {
    let mut settings = settings.clone();
    for entry in &mut settings.plugins {
        let PluginSettings::Promoter(promoter) = &mut entry.settings else { continue };
        match unit {
            None => promoter.resources.retain(|name, _| name.as_str() != resource),
            Some(unit) => {
                let found = promoter.resources.iter_mut().find(|(name, _)| name.as_str() == resource);
                let (_, promoted) = found.filter(|(_, promoted)| promoted.start.len() > 1)?;
                let last = promoted.start.pop()?;
                if !matches!(&last, StartEntry::Unit(name) if name == unit) {
                    return None;
                }
            }
        }
    }
    Some(settings)
}
