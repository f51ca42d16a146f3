//! What a unit does while it starts, runs and ends.

use super::unit::JobKind;
use super::{Effect, Freezer, Kind, Phase, Systemd, UnitIx};
use reactor_core::systemd::{FreezerState, UnitEnd};

/// `TimeoutStopSec=` of every service here, in milliseconds.
const TIMEOUT_STOP_MS: u64 = 20_000;
/// `RestartSec=`.
const RESTART_MS: u64 = 100;

impl Systemd {
    /// Begins a start.
    pub(super) fn begin(&mut self, unit: UnitIx) {
        let health = self.units[unit].health;
        self.units[unit].result = "success";
        self.units[unit].freezer = FreezerState::Running;
        match self.units[unit].kind {
            Kind::Target | Kind::StandbyTarget => self.is_up(unit),
            Kind::Configured => {
                self.enter(unit, Phase::Starting);
                let step = self.units[unit].step;
                self.effects.push(Effect::Configure(unit, step));
            }
            Kind::Promote => {
                self.enter(unit, Phase::Promoting);
                let step = self.units[unit].step;
                self.effects.push(Effect::Primary(unit, step));
            }
            Kind::Mount | Kind::Service | Kind::Standby => {
                self.enter(unit, Phase::Starting);
                self.timer_in(unit, 30 + health.slow_ms, 300 + health.slow_ms);
            }
        }
    }

    fn is_up(&mut self, unit: UnitIx) {
        self.enter(unit, Phase::Running);
        self.finish(unit, "done");
    }

    /// It is down now, well or badly. `asked` = by its job.
    fn is_gone(&mut self, unit: UnitIx, bad: Option<&'static str>) {
        self.unfreeze(unit);
        let was_opener = self.units[unit].opener;
        self.units[unit].result = bad.unwrap_or("success");
        let is_service = self.units[unit].kind != Kind::Configured;
        if bad.is_some() && is_service && self.units[unit].phase != Phase::AutoRestart {
            self.effects.push(Effect::Failed(unit));
        }
        self.enter(unit, if bad.is_some() { Phase::Failed } else { Phase::Dead });
        if was_opener && !self.units[unit].leftover {
            self.effects.push(Effect::Close(unit));
        }
        self.look_at_bound(unit);
    }

    /// Runs the stop job of a unit.
    pub(super) fn run_stop(&mut self, unit: UnitIx) {
        self.unfreeze(unit);
        match self.units[unit].phase {
            Phase::Dead | Phase::Failed => self.finish(unit, "done"),
            Phase::AutoRestart => {
                self.is_gone(unit, Some("exit-code"));
                self.finish(unit, "done");
            }
            // The process of ExecCondition is killed; what the kernel has done, it has done.
            Phase::Promoting => {
                self.is_gone(unit, None);
                self.finish(unit, "done");
            }
            Phase::Starting | Phase::Opening => self.end(unit),
            Phase::Running => match self.units[unit].kind {
                Kind::Target | Kind::StandbyTarget | Kind::Configured => {
                    self.is_gone(unit, None);
                    self.finish(unit, "done");
                }
                Kind::Promote => self.demote(unit, false),
                Kind::Mount | Kind::Service | Kind::Standby => self.end(unit),
            },
            Phase::Stopping { .. } | Phase::Flushing { .. } | Phase::Demoting { .. } => {}
        }
    }

    fn demote(&mut self, unit: UnitIx, force: bool) {
        self.enter(unit, Phase::Demoting { force });
        let step = self.units[unit].step;
        self.effects.push(Effect::Secondary(unit, step, force));
        self.timer_in(unit, 4 * TIMEOUT_STOP_MS, 4 * TIMEOUT_STOP_MS);
        // The timer must carry the step of the command, which the next line restores.
        self.units[unit].step = step;
        if let Some(Effect::After(_, _, timer)) = self.effects.last_mut() {
            *timer = step;
        }
    }

    /// SIGTERM, or umount.
    fn end(&mut self, unit: UnitIx) {
        self.enter(unit, Phase::Stopping { tries: 0 });
        let health = self.units[unit].health;
        if health.hangs && self.units[unit].kind.is_service() {
            self.timer_in(unit, TIMEOUT_STOP_MS, TIMEOUT_STOP_MS);
        } else {
            self.timer_in(unit, 20 + health.slow_stop_ms, 250 + health.slow_stop_ms);
        }
    }

    /// A timer of [`Effect::After`] has come.
    pub fn timer(&mut self, unit: UnitIx, step: u64) {
        if self.units[unit].step != step {
            return;
        }
        match self.units[unit].phase {
            Phase::Starting => {
                if self.units[unit].health.start_fails {
                    self.start_ends_badly(unit);
                } else if self.units[unit].opener {
                    self.enter(unit, Phase::Opening);
                    let step = self.units[unit].step;
                    self.effects.push(Effect::Open(unit, step));
                } else {
                    self.is_up(unit);
                }
            }
            Phase::Running if self.units[unit].freezer == FreezerState::Freezing => {
                if self.units[unit].health.freezer == Freezer::Sticks {
                    return self.timer_in(unit, 500, 500);
                }
                self.units[unit].freezer = FreezerState::Frozen;
                self.dirty.insert(unit);
                if let Some(waiter) = self.units[unit].freezing.take() {
                    self.effects.push(Effect::Ended(waiter, UnitEnd::Done));
                }
            }
            Phase::Stopping { tries } => {
                // The process has ended, or was killed: its writes end first.
                let hung = self.units[unit].health.hangs && tries == 0 && self.units[unit].kind.is_service();
                let tries = tries + u8::from(hung);
                self.enter(unit, Phase::Flushing { tries });
                let step = self.units[unit].step;
                self.effects.push(Effect::Flush(unit, step));
                self.timer_in(unit, TIMEOUT_STOP_MS, TIMEOUT_STOP_MS);
                self.units[unit].step = step;
                if let Some(Effect::After(_, _, timer)) = self.effects.last_mut() {
                    *timer = step;
                }
            }
            Phase::Flushing { .. } => self.stop_times_out(unit),
            Phase::Demoting { .. } => {
                self.tell(unit, "cannot be stopped: its time is over");
                self.is_gone(unit, Some("timeout"));
                self.finish(unit, "done");
            }
            Phase::AutoRestart => self.stop_transaction(unit, None, true),
            Phase::Dead | Phase::Failed | Phase::Opening | Phase::Promoting | Phase::Running => {}
        }
        self.run_jobs();
    }

    /// It waits for a disk and cannot even be killed.
    fn stop_times_out(&mut self, unit: UnitIx) {
        self.tell(unit, "cannot be stopped: it waits for I/O");
        if self.units[unit].kind == Kind::Mount {
            self.enter(unit, Phase::Running);
            return self.finish(unit, "failed");
        }
        self.units[unit].leftover = true;
        self.is_gone(unit, Some("timeout"));
        self.finish(unit, "done");
    }

    /// What a unit wrote is out, or lost: [`Effect::Flush`] is done.
    pub fn flushed(&mut self, unit: UnitIx, step: u64) {
        let this = &self.units[unit];
        if this.leftover && this.step != step {
            return;
        }
        let Phase::Flushing { tries } = this.phase else { return };
        if this.step != step {
            return;
        }
        let busy = this.kind == Kind::Mount && self.units.iter().any(|other| other.res == this.res && other.leftover);
        if busy {
            self.tell(unit, "cannot be unmounted: a process uses it");
            self.enter(unit, Phase::Running);
            self.finish(unit, "failed");
        } else {
            self.is_gone(unit, (tries > 0).then_some("timeout"));
            self.finish(unit, "done");
        }
        self.run_jobs();
    }

    /// The process that could not be killed has ended after all.
    pub fn leftover_ended(&mut self, unit: UnitIx) {
        if std::mem::take(&mut self.units[unit].leftover) {
            self.tell(unit, "has ended after all");
            if self.units[unit].opener && self.units[unit].is_down() {
                self.effects.push(Effect::Close(unit));
            }
            // What could not be stopped because of it and is not wanted any more.
            let res = self.units[unit].res;
            let mounts = (0..self.units.len()).filter(|ix| self.units[*ix].res == res);
            self.unbound.extend(mounts.collect::<Vec<_>>());
            self.run_jobs();
        }
    }

    /// [`Effect::Configure`] is done.
    pub fn configured(&mut self, unit: UnitIx, step: u64, good: bool) {
        if self.units[unit].step != step || self.units[unit].phase != Phase::Starting {
            return;
        }
        if good {
            self.is_up(unit);
        } else {
            self.start_ends_badly(unit);
        }
        self.run_jobs();
    }

    /// [`Effect::Primary`] is done.
    pub fn promoted(&mut self, unit: UnitIx, step: u64, good: bool) {
        if self.units[unit].step != step || self.units[unit].phase != Phase::Promoting {
            return;
        }
        if good {
            self.is_up(unit);
        } else {
            self.tell(unit, "could not promote");
            self.is_gone(unit, None);
            self.units[unit].result = "exec-condition";
            self.finish(unit, "skipped");
        }
        self.run_jobs();
    }

    /// [`Effect::Secondary`] is done.
    pub fn demoted(&mut self, unit: UnitIx, step: u64, good: bool) {
        let Phase::Demoting { force } = self.units[unit].phase else { return };
        if self.units[unit].step != step {
            return;
        }
        if !good && !force && self.units[unit].force {
            self.demote(unit, true);
            return;
        }
        self.is_gone(unit, (!good).then_some("exit-code"));
        self.finish(unit, "done");
        self.run_jobs();
    }

    /// [`Effect::Open`] is done.
    pub fn opened(&mut self, unit: UnitIx, step: u64, good: bool) {
        if self.units[unit].step != step || self.units[unit].phase != Phase::Opening {
            return;
        }
        if good {
            self.is_up(unit);
        } else {
            self.tell(unit, "cannot open its device");
            self.start_ends_badly(unit);
        }
        self.run_jobs();
    }

    fn start_ends_badly(&mut self, unit: UnitIx) {
        self.tell(unit, "fails to start");
        self.is_gone(unit, Some("exit-code"));
        self.finish(unit, "failed");
    }

    /// A service that runs ends by itself.
    pub fn fail(&mut self, unit: UnitIx) {
        if self.units[unit].phase != Phase::Running || !self.units[unit].kind.is_service() {
            return;
        }
        self.tell(unit, "fails");
        self.is_gone(unit, Some("exit-code"));
        let restarts = self.units[unit].health.restarts && !self.units[unit].restarted_by_us;
        if restarts && !self.units[unit].has_stop() {
            self.enter(unit, Phase::AutoRestart);
            self.timer_in(unit, RESTART_MS, RESTART_MS + 50);
        }
        if self.units[unit].job.as_ref().is_some_and(|job| job.kind != JobKind::Start) {
            self.finish(unit, "done");
        }
        self.run_jobs();
    }
}
