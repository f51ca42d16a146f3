//! Transactions and jobs: which units a request pulls in, in which order they go, and how the end of one ends others.

use reactor_core::systemd::UnitEnd;

use super::unit::{Job, JobKind};
use super::{Effect, Phase, Systemd, UnitIx, Waiter};

impl Systemd {
    pub(super) fn start_transaction(&mut self, anchor: UnitIx, waiter: Option<Waiter>) {
        let mut wanted = vec![anchor];
        let mut next = 0;
        while next < wanted.len() {
            let unit = &self.units[wanted[next]];
            let pulls = unit.requires.iter().chain(&unit.binds).chain(&unit.wants);
            let new: Vec<UnitIx> = pulls.filter(|ix| !wanted.contains(ix)).copied().collect();
            wanted.extend(new);
            next += 1;
        }
        for unit in self.in_conflict_with(&wanted) {
            self.stop_transaction(unit, None, false);
        }
        for unit in wanted {
            let waiter = waiter.filter(|_| unit == anchor);
            if self.units[unit].has_start() || self.units[unit].has_restart() {
                if let Some(job) = &mut self.units[unit].job {
                    job.waiters.extend(waiter);
                }
            } else if self.units[unit].is_active() && !self.units[unit].has_job() {
                self.effects.extend(waiter.map(|waiter| Effect::Ended(waiter, UnitEnd::Done)));
            } else {
                self.cancel(unit);
                self.install(unit, JobKind::Start, waiter);
            }
        }
    }

    /// Units that have to stop before these start: `Conflicts=`, whichever of the two says so.
    fn in_conflict_with(&self, starting: &[UnitIx]) -> Vec<UnitIx> {
        let own = starting.iter().flat_map(|ix| self.units[*ix].conflicts.iter().copied());
        let says = |other: &UnitIx| self.units[*other].conflicts.iter().any(|ix| starting.contains(ix));
        own.chain((0..self.units.len()).filter(says)).collect()
    }

    /// Units that go down with `unit`: those that need it, and those that are part of it.
    fn needed_by(&self, unit: UnitIx) -> Vec<UnitIx> {
        let needs = |other: &super::Unit| {
            other.part_of == Some(unit)
                || other.requires.contains(&unit)
                || other.requisite.contains(&unit)
                || other.binds.contains(&unit)
        };
        (0..self.units.len()).filter(|ix| needs(&self.units[*ix])).collect()
    }

    pub(super) fn stop_transaction(&mut self, anchor: UnitIx, waiter: Option<Waiter>, restart: bool) {
        let mut wanted = vec![anchor];
        let mut next = 0;
        while next < wanted.len() {
            let new: Vec<UnitIx> = self.needed_by(wanted[next]).into_iter().filter(|ix| !wanted.contains(ix)).collect();
            wanted.extend(new);
            next += 1;
        }
        for unit in wanted {
            let mut waiter = waiter.filter(|_| unit == anchor);
            // All that runs and goes down with it is started again.
            let kind = if restart && !self.units[unit].is_down() { JobKind::Restart } else { JobKind::Stop };
            if self.units[unit].has_stop() {
                if let Some(job) = &mut self.units[unit].job {
                    job.waiters.extend(waiter.take());
                    if kind == JobKind::Stop {
                        job.kind = JobKind::Stop;
                    }
                }
                continue;
            }
            let idle = self.units[unit].is_down() && !self.units[unit].has_job();
            if idle && !restart {
                self.effects.extend(waiter.map(|waiter| Effect::Ended(waiter, UnitEnd::Done)));
                continue;
            }
            if idle {
                continue;
            }
            self.cancel(unit);
            self.install(unit, kind, waiter);
        }
    }

    /// The job of a unit is replaced by another.
    fn cancel(&mut self, unit: UnitIx) {
        if let Some(job) = self.units[unit].job.take() {
            self.answer(&job, "canceled");
            self.dirty.insert(unit);
        }
    }

    fn answer(&mut self, job: &Job, result: &str) {
        let end = if result == "done" { UnitEnd::Done } else { UnitEnd::Job(result.to_owned()) };
        self.effects.extend(job.waiters.iter().map(|waiter| Effect::Ended(*waiter, end.clone())));
    }

    /// The job of a unit has ended.
    pub(super) fn finish(&mut self, unit: UnitIx, result: &str) {
        let Some(job) = self.units[unit].job.take() else { return };
        self.dirty.insert(unit);
        if job.kind == JobKind::Restart && result == "done" {
            self.install(unit, JobKind::Start, None);
            if let Some(start) = &mut self.units[unit].job {
                start.waiters = job.waiters;
            }
            return;
        }
        self.answer(&job, result);
        if job.kind == JobKind::Start && result != "done" {
            let needs = |other: &super::Unit| {
                other.requires.contains(&unit) || other.requisite.contains(&unit) || other.binds.contains(&unit)
            };
            let failed: Vec<UnitIx> =
                (0..self.units.len()).filter(|ix| self.units[*ix].has_start() && needs(&self.units[*ix])).collect();
            for unit in failed {
                self.finish(unit, "dependency");
            }
        }
    }

    /// Runs every job that may run now.
    pub(super) fn run_jobs(&mut self) {
        loop {
            self.stop_unbound();
            let ready = (0..self.units.len()).find(|ix| self.may_run(*ix));
            let Some(unit) = ready else { return };
            let kind = {
                let Some(job) = &mut self.units[unit].job else { return };
                job.running = true;
                job.kind
            };
            match kind {
                JobKind::Start => self.run_start(unit),
                JobKind::Stop | JobKind::Restart => self.run_stop(unit),
            }
        }
    }

    fn may_run(&self, ix: UnitIx) -> bool {
        let unit = &self.units[ix];
        let Some(job) = unit.job.as_ref().filter(|job| !job.running) else { return false };
        let stops = |other: &super::Unit| other.has_stop();
        let later = |other: &&super::Unit| other.after.contains(&ix);
        if self.units.iter().filter(later).any(stops) {
            return false;
        }
        match job.kind {
            JobKind::Start => {
                !unit.after.iter().any(|before| self.units[*before].has_job())
                    && !matches!(unit.phase, Phase::Stopping { .. } | Phase::Flushing { .. } | Phase::Demoting { .. })
            }
            JobKind::Stop | JobKind::Restart => true,
        }
    }

    fn run_start(&mut self, unit: UnitIx) {
        let this = &self.units[unit];
        let missing = this.requisite.iter().chain(&this.binds).any(|ix| !self.units[*ix].is_active());
        if this.is_active() {
            return self.finish(unit, "done");
        }
        if missing {
            return self.finish(unit, "dependency");
        }
        if matches!(this.phase, Phase::Dead | Phase::Failed | Phase::AutoRestart) {
            self.begin(unit);
        }
    }

    /// What is bound to a unit that is gone goes too.
    fn stop_unbound(&mut self) {
        for unit in std::mem::take(&mut self.unbound) {
            let this = &self.units[unit];
            let lost = this.binds.iter().any(|ix| self.units[*ix].is_down() && !self.units[*ix].has_job());
            if lost && !this.is_down() && !this.has_stop() {
                self.stop_transaction(unit, None, false);
            }
        }
    }

    /// A unit is down: what is bound to it is looked at.
    pub(super) fn look_at_bound(&mut self, unit: UnitIx) {
        let bound = (0..self.units.len()).filter(|ix| self.units[*ix].binds.contains(&unit));
        self.unbound.extend(bound.collect::<Vec<_>>());
    }
}
