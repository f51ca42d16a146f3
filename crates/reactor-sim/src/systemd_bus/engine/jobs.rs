//! Jobs: which a call leads to, in which order they run, how they end, what follows from it.

use super::{Active, Effect, Engine, Job, JobKind, Load, Phase, Refusal, Relation, name};

/// The jobs that a call leads to.
type Transaction = Vec<(String, JobKind)>;

/// Those that go down with the unit that they name.
const STOP_WITH: [Relation; 4] = [Relation::Requires, Relation::Requisite, Relation::BindsTo, Relation::PartOf];
/// Those that cannot start without the unit that they name.
const NEEDS: [Relation; 3] = [Relation::Requires, Relation::Requisite, Relation::BindsTo];

impl Engine {
    /// `StartUnit`, `StopUnit`, `RestartUnit` in mode `replace`. The job runs with the next [`Engine::run`].
    pub fn queue(&mut self, unit: &str, kind: JobKind) -> Result<u32, Refusal> {
        self.load(unit)?;
        let known = &self.units[unit];
        let settings = &known.loaded.settings;
        let manual = match kind {
            JobKind::Start => !settings.refuse_manual_start,
            JobKind::Stop => !settings.refuse_manual_stop,
            JobKind::Restart => !settings.refuse_manual_start && !settings.refuse_manual_stop,
        };
        if !manual {
            let message = format!(
                "Operation refused, unit {unit} may be requested by dependency only (it is configured to refuse manual start/stop)."
            );
            return Err(Refusal::new("OnlyByDependency", message));
        }
        let absent = matches!(known.loaded.load, Load::NotFound | Load::BadSetting);
        if kind == JobKind::Stop && absent && known.active() == Active::Inactive {
            return Err(Refusal::new("NoSuchUnit", format!("Unit {unit} not loaded.")));
        }
        self.transaction(unit, kind, false)
    }

    pub(super) fn transaction(&mut self, unit: &str, kind: JobKind, irreversible: bool) -> Result<u32, Refusal> {
        let mut jobs = Transaction::new();
        self.collect(&mut jobs, unit, kind)?;
        // What changes nothing is left out, except the anchor, and except it ends a job that does the opposite.
        let needed = |engine: &Self, (name, kind): &(String, JobKind)| {
            if name == unit {
                return true;
            }
            let known = &engine.units[name];
            let redundant = match kind {
                JobKind::Start => known.active() == Active::Active,
                JobKind::Stop => known.active().is_down(),
                JobKind::Restart => false,
            };
            !redundant || known.job.is_some_and(|job| engine.jobs[&job].kind != *kind)
        };
        jobs.retain(|job| needed(self, job));
        for (name, kind) in &jobs {
            let existing = self.units[name].job.map(|job| &self.jobs[&job]);
            if existing.is_some_and(|job| job.irreversible && job.kind != *kind) {
                let message = format!("Transaction for {unit} is destructive ({name} has an irreversible job queued).");
                return Err(Refusal::new("TransactionIsDestructive", message));
            }
        }
        let mut anchor = 0;
        for (name, kind) in jobs {
            let id = self.install(&name, kind, irreversible);
            if name == unit {
                anchor = id;
            }
        }
        Ok(anchor)
    }

    fn collect(&mut self, jobs: &mut Transaction, unit: &str, kind: JobKind) -> Result<(), Refusal> {
        if jobs.iter().any(|(name, _)| name == unit) {
            return Ok(());
        }
        self.load(unit)?;
        if kind != JobKind::Stop {
            self.may_start(unit)?;
        }
        jobs.push((unit.to_owned(), kind));
        if kind != JobKind::Stop {
            for other in self.named(unit, &[Relation::Requires, Relation::BindsTo]) {
                self.collect(jobs, &other, JobKind::Start)?;
            }
            for other in self.named(unit, &[Relation::Wants]) {
                let before = jobs.len();
                // What is only wanted may be missing.
                if self.collect(jobs, &other, JobKind::Start).is_err() {
                    jobs.truncate(before);
                }
            }
            let mut against = self.named(unit, &[Relation::Conflicts]);
            against.extend(self.naming(unit, &[Relation::Conflicts]));
            for other in against {
                self.collect(jobs, &other, JobKind::Stop)?;
            }
        }
        if kind != JobKind::Start {
            for other in self.naming(unit, &STOP_WITH) {
                let active = self.units.get(&other).is_some_and(|known| known.active().is_up());
                if kind == JobKind::Stop {
                    self.collect(jobs, &other, JobKind::Stop)?;
                } else if active {
                    self.collect(jobs, &other, JobKind::Restart)?;
                }
            }
        }
        Ok(())
    }

    fn may_start(&self, unit: &str) -> Result<(), Refusal> {
        let loaded = &self.units[unit].loaded;
        match loaded.load {
            Load::Loaded => Ok(()),
            Load::NotFound => Err(Refusal::new("NoSuchUnit", format!("Unit {unit} not found."))),
            Load::Masked => Err(Refusal::new("UnitMasked", format!("Unit {unit} is masked."))),
            Load::BadSetting => {
                let fault = loaded.fault.unwrap_or_default();
                let message = format!("Unit {unit} has a bad unit file setting: {fault}");
                Err(Refusal::new("BadUnitSetting", message))
            }
        }
    }

    fn install(&mut self, unit: &str, kind: JobKind, irreversible: bool) -> u32 {
        if let Some(id) = self.units[unit].job {
            let job = self.jobs.get_mut(&id).expect("a unit's job exists");
            if job.kind == kind {
                job.irreversible |= irreversible;
                return id;
            }
            // A restart that has done its stop is a start, and a start more changes nothing.
            if job.kind == JobKind::Restart && kind == JobKind::Start {
                return id;
            }
            self.finish(id, "canceled");
        }
        let id = self.next_job;
        self.next_job += 1;
        self.jobs.insert(id, Job { unit: unit.to_owned(), kind, running: false, irreversible });
        let known = self.units.get_mut(unit).expect("a transaction has loaded units");
        known.job = Some(id);
        let timeout = known.loaded.settings.job_timeout;
        self.dirty.insert(unit.to_owned());
        self.effects.push(Effect::JobNew { job: id, unit: unit.to_owned() });
        self.effects.extend(timeout.map(|after| Effect::JobTimer { job: id, after }));
        id
    }

    /// The time of a job is up.
    pub fn job_timer(&mut self, job: u32) {
        if self.jobs.contains_key(&job) {
            self.finish(job, "timeout");
            self.run();
        }
    }

    /// Runs every job that need not wait.
    pub fn run(&mut self) {
        loop {
            let ready = |id: &u32| self.jobs.get(id).is_some_and(|job| !job.running) && self.is_runnable(*id);
            let ids: Vec<u32> = self.jobs.keys().copied().filter(ready).collect();
            let mut progress = false;
            for id in ids {
                // One before it in the list may have changed everything.
                if self.jobs.get(&id).is_some_and(|job| !job.running) && self.is_runnable(id) {
                    progress |= self.run_job(id);
                }
            }
            if !progress {
                return;
            }
        }
    }

    /// Whether no other job comes first.
    fn is_runnable(&self, id: u32) -> bool {
        let job = &self.jobs[&id];
        let goes_down = |kind: JobKind| kind != JobKind::Start;
        // Only units with a job can be in the way, and those are few.
        self.jobs.iter().filter(|(other, _)| **other != id).all(|(_, other)| {
            let later = self.is_after(&job.unit, &other.unit);
            let earlier = self.is_after(&other.unit, &job.unit);
            // Of two, the later one goes down first; when it only comes up, the earlier one comes first, whatever it does.
            let waits = (later && !goes_down(job.kind)) || (earlier && goes_down(other.kind));
            !waits
        })
    }

    /// `false` = it has to wait.
    fn run_job(&mut self, id: u32) -> bool {
        let (unit, kind) = (self.jobs[&id].unit.clone(), self.jobs[&id].kind);
        let active = self.units[&unit].active();
        match (kind, active) {
            (JobKind::Stop, Active::Inactive | Active::Failed) | (JobKind::Start, Active::Active) => {
                self.finish(id, "done");
            }
            (JobKind::Restart, Active::Inactive | Active::Failed) => {
                self.jobs.get_mut(&id).expect("it runs now").kind = JobKind::Start;
            }
            (JobKind::Stop | JobKind::Restart, _) => {
                self.jobs.get_mut(&id).expect("it runs now").running = true;
                self.unit_stop(&unit);
            }
            (JobKind::Start, Active::Deactivating) => return false,
            (JobKind::Start, Active::Inactive | Active::Failed) if !self.needs_are_met(&unit) => {
                self.finish(id, "dependency");
            }
            (JobKind::Start, _) => {
                self.jobs.get_mut(&id).expect("it runs now").running = true;
                self.unit_start(&unit);
            }
        }
        true
    }

    /// What a unit is bound to and comes after, and what it requires without starting it, must be active.
    fn needs_are_met(&self, unit: &str) -> bool {
        let is_active = |other: &String| self.units.get(other).is_some_and(|known| known.active() == Active::Active);
        self.named(unit, &[Relation::BindsTo]).iter().all(|other| !self.is_after(unit, other) || is_active(other))
            && self.named(unit, &[Relation::Requisite]).iter().all(is_active)
    }

    fn finish(&mut self, id: u32, result: &'static str) {
        let Some(job) = self.jobs.remove(&id) else { return };
        if let Some(known) = self.units.get_mut(&job.unit) {
            known.job = None;
        }
        self.tell(&job.unit);
        self.effects.push(Effect::JobRemoved { job: id, unit: job.unit.clone(), result });
        let failed = !matches!(result, "done" | "canceled" | "skipped");
        if job.kind == JobKind::Start && failed {
            for other in self.naming(&job.unit, &NEEDS) {
                let waiting = self.units.get(&other).and_then(|known| known.job);
                if let Some(waiting) = waiting.filter(|id| self.jobs[id].kind == JobKind::Start) {
                    self.finish(waiting, "dependency");
                }
            }
            if result != "failed" {
                // A unit that failed has told its own story.
                self.on_failure(&job.unit);
            }
        }
    }

    fn on_failure(&mut self, unit: &str) {
        let irreversible = self.units[unit].loaded.settings.on_failure_mode == "replace-irreversibly";
        if let Some(action) = &self.units[unit].loaded.settings.failure_action {
            self.effects.push(Effect::Log(format!("{unit}: FailureAction={action} would be taken now")));
        }
        for other in self.named(unit, &[Relation::OnFailure]) {
            self.effects.push(Effect::Log(format!("{unit}: triggers OnFailure={other}")));
            if let Err(refusal) = self.transaction(&other, JobKind::Start, irreversible) {
                self.effects.push(Effect::Log(format!("{unit}: OnFailure={other}: {refusal}")));
            }
        }
    }

    /// Takes a unit to another phase, and does what follows from it.
    pub(super) fn set_phase(&mut self, unit: &str, phase: Phase) {
        let known = self.units.get_mut(unit).expect("only loaded units have phases");
        let (before, old) = (known.active(), known.phase);
        known.phase = phase;
        let after = phase.active();
        self.dirty.insert(unit.to_owned());
        if old == phase {
            return;
        }
        // Each step is told, as it is with systemd unless two fall into one turn of its loop.
        self.tell(unit);
        let unexpected = self.judge_job(unit, after);
        if unexpected && before.is_up() && !after.is_up() {
            for other in self.naming(unit, &[Relation::BindsTo]) {
                self.stop_too(&other);
            }
        }
        if after == Active::Failed && before != Active::Failed && !self.will_restart(unit) {
            self.on_failure(unit);
        }
    }

    /// What the new state means for the unit's job; `true` = no job wanted this.
    fn judge_job(&mut self, unit: &str, now: Active) -> bool {
        let Some(id) = self.units[unit].job else { return true };
        let job = self.jobs.get_mut(&id).expect("a unit's job exists");
        match (job.kind, now) {
            (JobKind::Start, Active::Active) | (JobKind::Stop, Active::Inactive | Active::Failed) => {
                self.finish(id, "done");
            }
            (JobKind::Start, Active::Activating) => {}
            (JobKind::Start, _) if !job.running => return true,
            (JobKind::Start, Active::Failed) => {
                self.finish(id, "failed");
                return true;
            }
            (JobKind::Start, Active::Inactive) => {
                self.finish(id, "done");
                return true;
            }
            (JobKind::Start, Active::Deactivating) => return true,
            (JobKind::Restart, Active::Inactive | Active::Failed) if job.running => {
                job.running = false;
                job.kind = JobKind::Start;
            }
            (JobKind::Stop | JobKind::Restart, _) => return !job.running,
        }
        false
    }

    fn stop_too(&mut self, unit: &str) {
        let idle = self.units.get(unit).is_none_or(|known| known.active().is_down() && known.job.is_none());
        // A unit that starts waits for its own order and will see that its need is not met.
        let starting = self.units.get(unit).and_then(|known| known.job).is_some_and(|job| !self.jobs[&job].running);
        if idle || (starting && self.units[unit].active().is_down()) {
            return;
        }
        if let Err(refusal) = self.transaction(unit, JobKind::Stop, false) {
            self.effects.push(Effect::Log(format!("{unit}: cannot be stopped: {refusal}")));
        }
    }

    fn unit_start(&mut self, unit: &str) {
        if name::kind(unit) == "service" {
            self.service_start(unit);
        } else {
            self.set_phase(unit, Phase::Up);
        }
    }

    fn unit_stop(&mut self, unit: &str) {
        if name::kind(unit) == "service" {
            self.service_stop(unit);
        } else {
            self.set_phase(unit, Phase::Dead);
        }
    }
}

impl JobKind {
    /// systemd's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }
}
