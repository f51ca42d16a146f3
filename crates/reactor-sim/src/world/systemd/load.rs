//! The generated files: which units a resource has, and what each needs, waits for and gets along with.

use reactor_core::settings::promoter::{Dependency, Entry, PromotedResource, StartEntry};

use super::{Kind, Systemd, UnitIx};

/// What stands before an entry, step by step: one entry, or those of one `parallel`.
#[derive(Default)]
struct Before {
    needed: Vec<UnitIx>,
    awaited: Vec<UnitIx>,
    step: Vec<(UnitIx, bool)>,
    group: Option<u32>,
}

impl Before {
    fn come_to(&mut self, group: Option<u32>) {
        if group.is_none() || group != self.group {
            let step = std::mem::take(&mut self.step);
            let needed: Vec<UnitIx> = step.iter().filter(|(_, needed)| *needed).map(|(unit, _)| *unit).collect();
            if !needed.is_empty() {
                // Whoever waits for them waits for what they have waited for.
                self.needed = needed;
                self.awaited.clear();
            }
            self.awaited.extend(step.iter().map(|(unit, _)| *unit));
        }
        self.group = group;
    }
}

fn name_of(entry: &Entry) -> Option<&str> {
    match &entry.what {
        StartEntry::Unit(name) => Some(name),
        StartEntry::Ocf { .. } | StartEntry::Command { .. } => None,
    }
}

impl Systemd {
    /// The generated files of a resource were written, on the node of this name: makes its units, or gives them new dependencies. Nothing that runs
    /// changes.
    pub fn load(&mut self, res: usize, name: &str, settings: &PromotedResource, node: &str) {
        let target = self.unit(&format!("drbd-services@{name}.target"), Kind::Target, res);
        let promote = self.unit(&format!("drbd-promote@{name}.service"), Kind::Promote, res);
        for unit in &mut self.units {
            if unit.res == res {
                unit.forget_dependencies();
            }
        }
        let configured = self.unit(&format!("drbd@{name}.service"), Kind::Configured, res);
        self.units[promote].requires.push(configured);
        self.units[promote].after.push(configured);
        self.units[promote].part_of = Some(target);
        self.units[promote].force = settings.secondary_force;
        self.units[target].binds.push(promote);
        self.units[target].after.push(promote);
        let mut before = Before::default();
        let here = |entry: &&Entry| !entry.is_disabled_on(node);
        for (place, entry) in settings.start.iter().filter(here).enumerate() {
            let Some(unit_name) = name_of(entry) else { continue };
            let kind = if unit_name.ends_with(".mount") { Kind::Mount } else { Kind::Service };
            let member = self.member(unit_name, kind, res, entry, settings.dependencies_as, &mut before);
            self.units[member].opener = place == 0;
            self.units[member].spare = !entry.is_needed();
            self.units[member].part_of = Some(target);
            self.units[member].binds.push(promote);
            self.units[member].after.push(promote);
            let how = if entry.is_needed() { settings.target_as } else { Dependency::Wants };
            self.depend(target, member, how);
            self.units[target].after.push(member);
        }
        if !settings.standby.is_empty() {
            self.load_standby(res, name, settings, node, promote);
        }
    }

    /// What runs on a Secondary: it conflicts with the promotion, and is ordered before it, so that it has stopped before that begins.
    fn load_standby(&mut self, res: usize, name: &str, settings: &PromotedResource, node: &str, promote: UnitIx) {
        let target = self.unit(&format!("storage-reactor-standby@{name}.target"), Kind::StandbyTarget, res);
        let mut before = Before::default();
        for entry in settings.standby.iter().filter(|entry| !entry.is_disabled_on(node)) {
            let Some(unit_name) = name_of(entry) else { continue };
            let member = self.member(unit_name, Kind::Standby, res, entry, settings.dependencies_as, &mut before);
            self.units[member].part_of = Some(target);
            self.units[member].conflicts.push(promote);
            self.units[promote].after.push(member);
            self.depend(target, member, Dependency::Wants);
            self.units[target].after.push(member);
        }
    }

    /// A unit with what its entry says, and what stands before it.
    fn member(
        &mut self,
        name: &str,
        kind: Kind,
        res: usize,
        entry: &Entry,
        how: Dependency,
        before: &mut Before,
    ) -> UnitIx {
        let member = self.unit(name, kind, res);
        self.units[member].restarted_by_us = entry.how.restart > 0;
        before.come_to(entry.group);
        for needed in before.needed.clone() {
            self.depend(member, needed, how);
        }
        self.units[member].after.extend(&before.awaited);
        before.step.push((member, entry.is_needed()));
        member
    }

    fn depend(&mut self, unit: UnitIx, on: UnitIx, how: Dependency) {
        let unit = &mut self.units[unit];
        match how {
            Dependency::Wants => unit.wants.push(on),
            Dependency::Requires => unit.requires.push(on),
            Dependency::Requisite => unit.requisite.push(on),
            Dependency::BindsTo => unit.binds.push(on),
        }
    }
}
