//! Faults of hard worlds: programs, disks and people that do what a cluster does not expect.

use std::path::PathBuf;
use std::sync::Arc;

use reactor_core::action::UnitFinding;
use reactor_core::ids::UnitName;
use reactor_core::operator::OperatorVerb;
use reactor_core::settings::promoter::{OnQuorumLoss, PromoterSettings, StartEntry};
use reactor_core::settings::{PluginEntry, PluginSettings, Settings};
use reactor_core::systemd::UnitEnd;

use crate::drbd9::{Command, NodeIx};

use super::events::Event;
use super::faults::Heal;
use super::plan::{NODES, promoted};
use super::run::{CommandOf, Show, World};
use super::systemd::{Freezer, Kind, Phase, UnitIx};

/// How many there are.
pub(super) const FAULTS_OF_HARD: usize = 28;

/// What DRBD says to whoever wants to promote, where it refuses.
const REFUSAL: &str = "State change failed: (-2) Need access to UpToDate data";

impl World {
    pub(super) fn hard_fault(&mut self, node: NodeIx) {
        let name = NODES[node];
        match self.pick(FAULTS_OF_HARD) {
            0 | 1 => {
                let Some((node, unit)) = self.service() else { return };
                let (freezer, how) = match self.pick(3) {
                    0 => (Freezer::Refuses, "refuses to be frozen"),
                    1 => (Freezer::Sticks, "is frozen only when its writes are done"),
                    _ => (Freezer::IsSlow, "is slow to be frozen"),
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
                self.stops_fail(node);
                self.heal_in(20, 200, Heal::Stops(node));
            }
            6 | 7 => self.state_fault(node),
            8 | 9 => self.socket_fault(node),
            10 | 11 => self.refusal_fault(),
            12 => self.stranger_fault(),
            13..=15 => self.put_back_fault(),
            16 | 17 => self.show_fault(),
            18 | 19 => self.changing_options_fault(node),
            20 | 21 => self.reload_after_failure_fault(),
            22 | 23 => self.reload_while_frozen_fault(),
            24 | 25 => self.clock_fault(),
            26 | 27 => self.disks_fault(),
            _ => {
                self.tell_fault(&format!("shell commands of {name} fail"));
                self.machines[node].commands_fail = true;
                let links = (0..NODES.len()).filter(|peer| *peer != node).flat_map(|peer| [(node, peer), (peer, node)]);
                self.cut(links.collect(), 30, 90);
                self.heal_in(60, 300, Heal::Commands(node));
            }
        }
    }

    pub(super) fn heal_in_ms(&mut self, least: u64, most: u64, heal: Heal) {
        let after = self.ms(least, most);
        self.queue.push(self.now.after(after), Event::Heal(heal));
    }

    /// A Primary loses the disk of its first volume, and all others lose that of their second: nobody has all data on disks of its own.
    fn disks_fault(&mut self) {
        let resources = &self.plan.cluster.resources;
        let has_two = |res: &usize| resources[*res].volumes.len() > 1;
        let found: Vec<usize> = (0..resources.len()).filter(has_two).collect();
        if found.is_empty() {
            return;
        }
        let res = found[self.pick(found.len())];
        let Some(primary) = (0..NODES.len()).find(|node| self.cluster.truth(*node, res).primary) else { return };
        let name = self.plan.cluster.resources[res].name.clone();
        self.tell_fault(&format!(
            "{} loses the disk of volume 0 of {name}, all others that of volume 1",
            NODES[primary]
        ));
        self.disks_lost[res] = true;
        for node in 0..NODES.len() {
            let volume = u32::from(node != primary);
            self.cluster.fail_disk(node, res, volume);
            self.heal_in(20, 120, Heal::Disk(node, res, volume, false));
        }
    }

    pub(super) fn stops_fail(&mut self, node: NodeIx) {
        let (end, how) = if self.pick(2) == 0 {
            (UnitEnd::Job("failed".to_owned()), "cannot stop any target")
        } else {
            (UnitEnd::TimedOut, "does not answer whether a target has stopped, and stops none")
        };
        self.tell_fault(&format!("systemd of {} {how}", NODES[node]));
        self.machines[node].stops_end = Some(end);
    }

    // ---- what DRBD's options are ----

    /// `drbdsetup show` fails everywhere, long enough to be asked; then the Primary loses its power.
    fn show_fault(&mut self) {
        let res = self.pick(self.plan.cluster.resources.len());
        self.tell_fault("drbdsetup show fails everywhere");
        for node in 0..NODES.len() {
            self.machines[node].show = Show::Fails;
            self.heal_in(400, 500, Heal::Show(node));
        }
        self.heal_in(320, 350, Heal::Loses(res));
    }

    pub(super) fn primary_loses_power(&mut self, res: usize) {
        let primary = (0..NODES.len()).find(|node| self.cluster.truth(*node, res).primary);
        if let Some(primary) = primary.filter(|_| self.peace.is_none()) {
            self.tell_fault(&format!("{} loses its power", NODES[primary]));
            self.crash(primary);
            self.heal_in(5, 20, Heal::Boot(primary));
        }
    }

    /// `drbdsetup show` is slow, and a person takes a resource down and up while it runs: what it says may be old.
    fn changing_options_fault(&mut self, node: NodeIx) {
        let name = NODES[node];
        self.tell_fault(&format!("drbdsetup show of {name} is slow"));
        self.machines[node].show = Show::IsSlow;
        self.heal_in(40, 60, Heal::Show(node));
        let res = self.pick(self.plan.cluster.resources.len());
        for (step, after) in [0, 1_200, 2_800, 4_000].into_iter().enumerate() {
            let step = u32::try_from(step).unwrap_or(0);
            self.heal_in_ms(after, after + 100, Heal::DownUp(node, res, step));
        }
    }

    pub(super) fn down_and_up(&mut self, node: NodeIx, res: usize, step: u32) {
        let resource = self.plan.cluster.resources[res].name.clone();
        let goes_down = step.is_multiple_of(2);
        let units = self.machines[node].systemd.units();
        let uses = |unit: &super::systemd::Unit| {
            unit.res == res
                && unit.kind != Kind::Configured
                && !unit.kind.is_standby()
                && (!unit.is_down() || unit.has_job())
        };
        let is_used = self.cluster.truth(node, res).primary || units.iter().any(uses);
        if !self.is_running(node) || (goes_down && (is_used || self.peace.is_some())) {
            return;
        }
        if !goes_down && self.machines[node].taken_down.contains(&res) && self.cluster.has(node, res) {
            // It is not down yet.
            return self.heal_in_ms(500, 600, Heal::DownUp(node, res, step));
        }
        let what = if goes_down { "down" } else { "up" };
        self.tell_fault(&format!("somebody takes {resource} of {} {what}", NODES[node]));
        let command = if goes_down { Command::Down { resource } } else { Command::Adjust { resource } };
        if goes_down {
            self.machines[node].taken_down.insert(res);
        } else {
            self.machines[node].taken_down.remove(&res);
        }
        let ticket = self.cluster.submit(node, command);
        self.tickets.insert(ticket, CommandOf::Nobody);
    }

    // ---- reloads at a bad time ----

    /// A service fails that systemd starts again, and a reload comes within a second; the stop that follows may fail, too.
    fn reload_after_failure_fault(&mut self) {
        let Some((node, unit)) = self.service() else { return };
        if self.machines[node].daemon.is_none() || !self.is_running(node) {
            return;
        }
        let unit_name = self.machines[node].systemd.units()[unit].name.clone();
        self.tell_fault(&format!("{unit_name} of {} fails, Restart=always", NODES[node]));
        self.machines[node].systemd.health_mut(unit).restarts = true;
        self.heal_in(30, 90, Heal::Health(node, unit));
        if self.pick(3) > 0 {
            self.stops_fail(node);
            self.heal_in(3, 20, Heal::Stops(node));
        }
        self.machines[node].systemd.fail(unit);
        self.pump(node);
        let settings = Arc::new(self.other_settings(node));
        self.machines[node].settings = settings;
        self.heal_in_ms(20, 1_000, Heal::Reload(node));
    }

    pub(super) fn reload_at_last(&mut self, node: NodeIx) {
        if self.machines[node].daemon.is_some() && self.is_running(node) && self.peace.is_none() {
            self.tell_fault(&format!("{} reloads another configuration", NODES[node]));
            let settings = Arc::clone(&self.machines[node].settings);
            self.configure(node, settings);
        }
    }

    /// A Primary that freezes loses quorum, and while its services are frozen a reload says something else about them; the bus may be gone then.
    fn reload_while_frozen_fault(&mut self) {
        let freezes = |world: &Self, res: usize| {
            let name = &world.plan.cluster.resources[res].name;
            world.plan.resource(name).is_some_and(|settings| settings.on_quorum_loss == OnQuorumLoss::Freeze)
        };
        let all: Vec<usize> = (0..self.plan.cluster.resources.len()).filter(|res| freezes(self, *res)).collect();
        let primary = |world: &Self, res: usize| (0..NODES.len()).find(|node| world.cluster.truth(*node, res).primary);
        let found: Vec<_> = all.iter().filter_map(|res| Some((primary(self, *res)?, *res))).collect();
        if found.is_empty() {
            return;
        }
        let (node, res) = found[self.pick(found.len())];
        let name = self.plan.cluster.resources[res].name.clone();
        let settings = Arc::clone(&self.machines[node].settings);
        let Some(current) = promoted(&settings, &name) else { return };
        self.tell_fault(&format!("{} is cut off, and a reload comes while {name} is frozen", NODES[node]));
        let links = (0..NODES.len()).filter(|peer| *peer != node).flat_map(|peer| [(node, peer), (peer, node)]);
        // Found out after ping-int and ping-timeout.
        let found_out = self.plan.cluster.resources[res].options.ping_int.as_secs() + 2;
        self.cut(links.collect(), found_out + 6, found_out + 16);
        let when = self.ms((found_out + 1) * 1_000, (found_out + 14) * 1_000);
        let when = u64::try_from(when.as_millis()).unwrap_or(1_000);
        if self.pick(3) == 0 {
            for member in 0..self.machines[node].systemd.units().len() {
                if self.machines[node].systemd.units()[member].res == res {
                    self.machines[node].systemd.health_mut(member).freezer = Freezer::IsSlow;
                    self.heal_in(40, 60, Heal::Health(node, member));
                }
            }
        }
        let last = current.start.last().and_then(|entry| match &entry.what {
            StartEntry::Unit(unit) => Some(unit.clone()),
            StartEntry::Ocf { .. } | StartEntry::Command { .. } => None,
        });
        let how = self.pick(4);
        let moves = how == 2;
        let out = match how {
            0 => None,
            1 => without(&settings, &name, None),
            2 => Some(moved(&settings, &name)),
            _ => last.and_then(|last| without(&settings, &name, Some(&last))),
        };
        if self.pick(2) == 0 {
            self.heal_in_ms(when.saturating_sub(300), when, Heal::LoseBus(node));
            self.heal_in_ms(when + 500, when + 20_000, Heal::Bus(node));
        }
        if let Some(out) = out {
            // A daemon that starts finds the table as if it had never been in another one.
            let restarts = self.pick(2) == 0 && !moves;
            self.machines[node].out = Some((Arc::new(out), restarts));
            self.heal_in_ms(when, when, Heal::TakeOut(node));
            return self.heal_in_ms(when + 60_000, when + 90_000, Heal::PutBack(node));
        }
        let mut settings = (*settings).clone();
        for entry in &mut settings.plugins {
            let PluginSettings::Promoter(promoter) = &mut entry.settings else { continue };
            for (_, resource) in promoter.resources.iter_mut().filter(|(resource, _)| resource.as_str() == name) {
                resource.on_quorum_loss = OnQuorumLoss::Shutdown;
                resource.freeze_timeout = None;
            }
        }
        self.machines[node].settings = Arc::new(settings);
        self.heal_in_ms(when, when, Heal::Reload(node));
    }

    // ---- clocks ----

    /// A service fails; then the daemon is killed, and its clock goes back before it starts again.
    fn clock_fault(&mut self) {
        let Some((node, unit)) = self.service() else { return };
        if self.machines[node].daemon.is_none() || !self.is_running(node) {
            return;
        }
        let unit_name = self.machines[node].systemd.units()[unit].name.clone();
        let name = NODES[node];
        self.tell_fault(&format!("{unit_name} of {name} fails"));
        self.machines[node].systemd.fail(unit);
        self.pump(node);
        self.heal_in_ms(1_000, 3_000, Heal::ClockBack(node));
    }

    pub(super) fn clock_goes_back(&mut self, node: NodeIx) {
        if self.peace.is_some() || self.machines[node].daemon.is_none() {
            return;
        }
        let hours = 3 + i64::try_from(self.rng.below(24)).unwrap_or(0);
        self.tell_fault(&format!("the daemon of {} is killed, and the clock goes back by {hours} h", NODES[node]));
        self.end_daemon(node);
        self.machines[node].clock_off_ms -= hours * 3_600_000;
        self.heal_in(0, 5, Heal::Daemon(node));
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
        self.machines[node].out = Some((Arc::new(out), false));
        self.heal_in_ms(after, after, Heal::TakeOut(node));
        self.heal_in_ms(after + 50, after + 300, Heal::Mend(node, unit));
        self.heal_in_ms(after + 400, after + 900, Heal::PutBack(node));
    }

    /// A reload without what is to go.
    pub(super) fn take_out(&mut self, node: NodeIx) {
        let Some((out, restarts)) = self.machines[node].out.take() else { return };
        if self.machines[node].daemon.is_none() || !self.is_running(node) || self.peace.is_some() {
            return;
        }
        if !restarts {
            return self.configure(node, out);
        }
        self.tell_fault(&format!("the daemon of {} is killed, and started with another configuration", NODES[node]));
        self.machines[node].back = Some(std::mem::replace(&mut self.machines[node].settings, out));
        self.end_daemon(node);
        self.heal_in_ms(10, 3_000, Heal::Daemon(node));
    }

    /// A reload with the configuration of the node.
    pub(super) fn put_back(&mut self, node: NodeIx) {
        if let Some(back) = self.machines[node].back.take() {
            self.machines[node].settings = back;
        }
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
                self.recall_wishes(node);
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

pub(super) fn lists(settings: &reactor_core::settings::promoter::PromotedResource, unit: &str) -> bool {
    settings.start.iter().any(|entry| matches!(&entry.what, StartEntry::Unit(name) if name == unit))
}

/// The settings with a resource in a table of its own, in another file.
fn moved(settings: &Settings, resource: &str) -> Settings {
    let mut settings = settings.clone();
    let mut moved = PromoterSettings::default();
    for entry in &mut settings.plugins {
        let PluginSettings::Promoter(promoter) = &mut entry.settings else { continue };
        let all = std::mem::take(&mut promoter.resources).into_iter();
        let (goes, stays): (Vec<_>, Vec<_>) = all.partition(|(name, _)| name.as_str() == resource);
        moved.resources.extend(goes);
        promoter.resources.extend(stays);
    }
    let moved = PluginSettings::Promoter(moved);
    settings.plugins.push(PluginEntry { file: PathBuf::from("moved.toml"), line: 1, settings: moved });
    settings
}

/// The settings without a unit of a resource, or without the resource. `None` = the unit cannot go: others begin with it.
pub(super) fn without(settings: &Settings, resource: &str, unit: Option<&str>) -> Option<Settings> {
    let mut settings = settings.clone();
    for entry in &mut settings.plugins {
        let PluginSettings::Promoter(promoter) = &mut entry.settings else { continue };
        match unit {
            None => promoter.resources.retain(|name, _| name.as_str() != resource),
            Some(unit) => {
                let found = promoter.resources.iter_mut().find(|(name, _)| name.as_str() == resource);
                let (_, promoted) = found.filter(|(_, promoted)| promoted.start.len() > 1)?;
                let last = promoted.start.pop()?;
                if !matches!(&last.what, StartEntry::Unit(name) if name == unit) {
                    return None;
                }
            }
        }
    }
    Some(settings)
}
