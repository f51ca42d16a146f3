//! Worlds whose lists say more than what is run: entries that are optional, not monitored, started again where they are, side by side or left out on a
//! node; and services of a Secondary. With the faults that are about them.

use std::time::Duration;

use reactor_core::settings::promoter::{Dependency, Entry, How, PromotedResource, Runner, StartEntry};

use crate::drbd9::NodeIx;
use crate::rng::Rng;

use super::faults::Heal;
use super::plan::NODES;
use super::run::World;
use super::systemd::{Kind, UnitIx};

/// How many faults such worlds have.
pub(super) const FAULTS_OF_STACKS: usize = 6;

/// Whether the world of a seed is one. Three seeds in 13: worlds of every other kind are among them, and no seed that is kept for what it once showed.
pub(super) fn has_stacks(seed: u64) -> bool {
    matches!(seed % 13, 1 | 3 | 9)
}

/// What a seed adds to a resource; from numbers of its own, so that everything else is as it was. Gives it in words.
pub(super) fn add(seed: u64, name: &str, settings: &mut PromotedResource) -> Vec<String> {
    if settings.runner == Runner::Shell {
        return Vec::new();
    }
    let mut rng = Rng::new(seed ^ 0x0073_7461_636b ^ u64::from(name == "r1"));
    let mut chance = |one_in: u64| rng.below(one_in) == 0;
    if chance(2) {
        let sides = ["side", "twin"].map(|side| unit(&format!("{side}-{name}.service")));
        settings.start.extend(sides.map(|side| Entry { group: Some(1), ..side }));
        if let Some(last) = settings.start.last_mut() {
            last.how.optional = chance(2);
        }
    }
    // With BindsTo the target goes down with each unit that fails: there is nothing to be started again beside the others.
    let keeps = settings.target_as != Dependency::BindsTo;
    if chance(2)
        && keeps
        && let Some(entry) = settings.start.iter_mut().rev().find(|entry| entry.is_needed())
        && entry.name().ends_with(".service")
    {
        entry.how.restart = if chance(2) { 1 } else { 3 };
        entry.how.restart_delay = Duration::from_millis(if chance(2) { 500 } else { 4_000 });
    }
    if chance(2) {
        let mut extra = unit(&format!("extra-{name}.service"));
        if chance(2) {
            extra.how.optional = true;
        } else {
            extra.how.monitor = false;
        }
        if keeps && chance(3) {
            extra.how.restart = 2;
        }
        extra.how.disabled_on = left_out(&mut chance, 3);
        settings.start.push(extra);
    }
    if chance(3) || settings.start.iter().all(|entry| entry.how == How::default()) || chance(2) {
        let mut reader = unit(&format!("reader-{name}.service"));
        reader.how.disabled_on = left_out(&mut chance, 6);
        settings.standby.push(reader);
    }
    settings.start.iter().chain(&settings.standby).filter_map(|entry| words(name, settings, entry)).collect()
}

fn unit(name: &str) -> Entry {
    StartEntry::Unit(name.to_owned()).into()
}

/// A node that leaves an entry out, in one case of so many.
fn left_out(chance: &mut impl FnMut(u64) -> bool, one_in: u64) -> Vec<String> {
    if !chance(one_in) {
        return Vec::new();
    }
    let node = if chance(2) { 0 } else { 1 + usize::from(chance(2)) };
    vec![NODES[node].to_owned()]
}

/// What of an entry is not the default.
fn words(resource: &str, settings: &PromotedResource, entry: &Entry) -> Option<String> {
    let How { optional, monitor, restart, restart_delay, disabled_on, .. } = &entry.how;
    let mut words = Vec::new();
    if settings.standby.contains(entry) {
        words.push("standby".to_owned());
    }
    if entry.group.is_some() {
        words.push("parallel".to_owned());
    }
    if *optional {
        words.push("optional".to_owned());
    }
    if !*monitor {
        words.push("not monitored".to_owned());
    }
    if *restart > 0 {
        words.push(format!("restart {restart} after {} s", restart_delay.as_secs_f32()));
    }
    words.extend(disabled_on.iter().map(|node| format!("not on {node}")));
    (!words.is_empty()).then(|| format!("{resource}: {} {}", entry.name(), words.join(", ")))
}

impl World {
    /// What goes wrong with entries of these kinds.
    pub(super) fn stack_fault(&mut self) {
        let what = self.pick(FAULTS_OF_STACKS);
        match what {
            0..=2 => self.standby_in_the_way(what),
            3 => self.standby_does_not_start(),
            4 => self.fails_often(|world, node, unit| world.machines[node].systemd.units()[unit].spare),
            _ => self.fails_often(|world, node, unit| world.machines[node].systemd.units()[unit].restarted_by_us),
        }
    }

    /// Units that run somewhere and are of a kind.
    fn running(&self, is_it: impl Fn(&Self, NodeIx, UnitIx) -> bool) -> Vec<(NodeIx, UnitIx)> {
        let units = |node: NodeIx| (0..self.machines[node].systemd.units().len()).map(move |unit| (node, unit));
        let all = (0..NODES.len()).filter(|node| self.is_running(*node)).flat_map(units);
        all.filter(|(node, unit)| self.machines[*node].systemd.units()[*unit].is_active() && is_it(self, *node, *unit))
            .collect()
    }

    fn standby_units(&self) -> Vec<(NodeIx, UnitIx)> {
        self.running(|world, node, unit| world.machines[node].systemd.units()[unit].kind == Kind::Standby)
    }

    /// What runs on Secondaries is slow to stop, or does not, and one of them has to take over.
    fn standby_in_the_way(&mut self, how: usize) {
        let all = self.standby_units();
        if all.is_empty() {
            return;
        }
        let (node, unit) = all[self.pick(all.len())];
        let res = self.machines[node].systemd.units()[unit].res;
        let name = self.machines[node].systemd.units()[unit].name.clone();
        let slow = 1_000 + self.rng.below(18_000);
        self.tell_fault(&format!("{name} {} everywhere", if how == 0 { "is slow to stop" } else { "does not stop" }));
        for (node, unit) in all {
            if self.machines[node].systemd.units()[unit].res == res {
                let health = self.machines[node].systemd.health_mut(unit);
                if how == 0 {
                    health.slow_stop_ms = slow;
                } else {
                    health.hangs = true;
                }
                self.heal_in(60, 200, Heal::Health(node, unit));
            }
        }
        self.heal_in(0, 3, Heal::Loses(res));
    }

    /// What runs on a Secondary fails, and does not start again for a while.
    fn standby_does_not_start(&mut self) {
        let all = self.standby_units();
        if all.is_empty() {
            return;
        }
        let (node, unit) = all[self.pick(all.len())];
        let name = self.machines[node].systemd.units()[unit].name.clone();
        self.tell_fault(&format!("{name} of {} fails, and will not start again", NODES[node]));
        self.machines[node].systemd.health_mut(unit).start_fails = true;
        self.machines[node].systemd.fail(unit);
        self.pump(node);
        self.heal_in(5, 200, Heal::Health(node, unit));
    }

    /// A unit of a kind fails again and again.
    fn fails_often(&mut self, is_it: impl Fn(&Self, NodeIx, UnitIx) -> bool) {
        let all = self.running(is_it);
        if all.is_empty() {
            return;
        }
        let (node, unit) = all[self.pick(all.len())];
        let times = 1 + u32::try_from(self.pick(6)).unwrap_or(0);
        let name = self.machines[node].systemd.units()[unit].name.clone();
        self.tell_fault(&format!("{name} of {} fails {times} times", NODES[node]));
        self.fails_again(node, unit, times);
    }

    /// A unit fails, and so many times in all whenever it has come up again.
    pub(super) fn fails_again(&mut self, node: NodeIx, unit: UnitIx, times: u32) {
        if self.peace.is_some() {
            return;
        }
        if self.is_running(node) {
            self.machines[node].systemd.fail(unit);
            self.pump(node);
        }
        if times > 1 {
            self.heal_in_ms(200, 9_000, Heal::FailsAgain(node, unit, times - 1));
        }
    }
}
