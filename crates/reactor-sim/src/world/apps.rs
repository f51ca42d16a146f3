//! What the services do with the devices: the first unit of a list opens them, a service that runs writes a record now and then.

use std::collections::BTreeSet;

use crate::drbd9::{NodeIx, OpenId, WriteId};

use super::events::ForMachine;
use super::run::{World, WriteOf};
use super::systemd::{Kind, UnitIx};

/// The services of a resource on a node, as DRBD sees them.
#[derive(Clone, Debug, Default)]
pub(super) struct App {
    /// One per volume.
    opens: Vec<OpenId>,
    /// The writes that have not ended.
    writing: BTreeSet<WriteId>,
    /// What waits for all writes to end: the unit, its step, and the writes.
    flush: Vec<(UnitIx, u64, BTreeSet<WriteId>)>,
    ticks: bool,
}

impl World {
    pub(super) fn app_opens(&mut self, node: NodeIx, unit: UnitIx) -> bool {
        let res = self.machines[node].systemd.units()[unit].res;
        let spec = &self.plan.cluster.resources[res];
        let (name, volumes) = (spec.name.clone(), spec.volumes.len());
        self.app_closes(node, unit);
        for volume in 0..volumes {
            match self.cluster.open(node, &name, u32::try_from(volume).unwrap_or(0)) {
                Ok(open) => self.machines[node].apps[res].opens.push(open),
                Err(_) => {
                    self.app_closes(node, unit);
                    return false;
                }
            }
        }
        if !std::mem::replace(&mut self.machines[node].apps[res].ticks, true) {
            let after = self.ms(200, 1_500);
            self.machine_after(node, after, ForMachine::Write(res));
        }
        true
    }

    pub(super) fn app_closes(&mut self, node: NodeIx, unit: UnitIx) {
        let res = self.machines[node].systemd.units()[unit].res;
        for open in std::mem::take(&mut self.machines[node].apps[res].opens) {
            self.cluster.close(open);
        }
    }

    /// A service that works writes one record.
    pub(super) fn app_writes(&mut self, node: NodeIx, res: usize) {
        if self.machines[node].apps[res].opens.is_empty() {
            self.machines[node].apps[res].ticks = false;
            return;
        }
        let works = self.app_works(node, res);
        if works && self.machines[node].apps[res].writing.is_empty() {
            let volume = self.pick(self.machines[node].apps[res].opens.len());
            let write = self.cluster.write(self.machines[node].apps[res].opens[volume]);
            let boot = self.machines[node].boot;
            self.machines[node].apps[res].writing.insert(write);
            self.writes.insert(write, WriteOf::App { node, boot, res });
        }
        let after = self.ms(300, 3_000);
        self.machine_after(node, after, ForMachine::Write(res));
    }

    /// Whether a service of the resource could write: it runs and is not frozen.
    pub(super) fn app_works(&self, node: NodeIx, res: usize) -> bool {
        self.is_running(node)
            && !self.machines[node].apps[res].opens.is_empty()
            && self.machines[node]
                .systemd
                .units()
                .iter()
                .any(|unit| unit.res == res && unit.kind == Kind::Service && unit.works())
    }

    /// Before a process can end its writes must; before a file system can be unmounted all that is dirty must be written.
    pub(super) fn app_flushes(&mut self, node: NodeIx, unit: UnitIx, step: u64) {
        let this = &self.machines[node].systemd.units()[unit];
        let (res, kind) = (this.res, this.kind);
        if kind == Kind::Standby {
            // It has nothing to do with the devices.
            return self.machines[node].systemd.flushed(unit, step);
        }
        let boot = self.machines[node].boot;
        let mut waits = self.machines[node].apps[res].writing.clone();
        if kind == Kind::Mount {
            for open in self.machines[node].apps[res].opens.clone() {
                let write = self.cluster.write(open);
                self.writes.insert(write, WriteOf::Flush { node, boot, unit });
                waits.insert(write);
            }
        }
        if waits.is_empty() {
            self.machines[node].systemd.flushed(unit, step);
        } else {
            self.machines[node].apps[res].flush.push((unit, step, waits));
        }
    }

    pub(super) fn write_ended(&mut self, write: WriteId, good: bool) {
        let (node, boot, res) = match self.writes.remove(&write) {
            Some(WriteOf::App { node, boot, res }) => (node, boot, res),
            Some(WriteOf::Flush { node, boot, unit }) => (node, boot, self.machines[node].systemd.units()[unit].res),
            None => return,
        };
        if self.machines[node].boot != boot {
            return;
        }
        let app = &mut self.machines[node].apps[res];
        let was_app = app.writing.remove(&write);
        for (_, _, waits) in &mut app.flush {
            waits.remove(&write);
        }
        let (done, rest) = std::mem::take(&mut app.flush).into_iter().partition(|(_, _, waits)| waits.is_empty());
        app.flush = rest;
        let done: Vec<(UnitIx, u64, BTreeSet<WriteId>)> = done;
        for (unit, step, _) in done {
            if self.machines[node].systemd.units()[unit].leftover {
                self.machines[node].systemd.leftover_ended(unit);
            } else {
                self.machines[node].systemd.flushed(unit, step);
            }
        }
        if was_app && !good {
            self.tell_story(node, &format!("a write to {} failed", self.plan.cluster.resources[res].name));
            self.io_error(node, res);
        }
        self.pump(node);
    }

    /// A service that does not take an I/O error well ends.
    fn io_error(&mut self, node: NodeIx, res: usize) {
        let units = self.machines[node].systemd.units();
        let fragile = |unit: &super::systemd::Unit| {
            unit.res == res && unit.kind == Kind::Service && unit.works() && unit.health.dies_of_errors
        };
        if let Some(unit) = units.iter().position(fragile) {
            self.machines[node].systemd.fail(unit);
        }
    }

    /// The node lost its power.
    pub(super) fn apps_crash(&mut self, node: NodeIx) {
        for app in &mut self.machines[node].apps {
            *app = App::default();
        }
    }
}
