//! The rules of systemd that the mock follows: units, their relations, jobs, the states of a service. No process, no clock, no bus.
//!
//! It is told what happened (a call, the end of a process, a timer) and says what to do ([`Effect`]), in order.

mod jobs;
mod service;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use thiserror::Error;

use super::file::{Command, Relation, Service};
use super::load::{Load, Loaded, Loader};
use super::name::{self, SYSTEMD};

/// `ActiveState`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "systemd's words")]
pub enum Active {
    Inactive,
    Activating,
    Active,
    Deactivating,
    Failed,
}

impl Active {
    /// systemd's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Activating => "activating",
            Self::Active => "active",
            Self::Deactivating => "deactivating",
            Self::Failed => "failed",
        }
    }

    fn is_down(self) -> bool {
        matches!(self, Self::Inactive | Self::Failed)
    }

    fn is_up(self) -> bool {
        matches!(self, Self::Active | Self::Activating)
    }
}

/// What a unit does, more exactly than [`Active`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "systemd's words")]
pub enum Phase {
    Dead,
    Failed,
    Condition,
    StartPre,
    Start,
    Running,
    Exited,
    Stop,
    StopSigterm,
    StopSigkill,
    StopPost,
    AutoRestart,
    /// A target or a mount that is active.
    Up,
}

impl Phase {
    fn active(self) -> Active {
        match self {
            Self::Dead => Active::Inactive,
            Self::Failed => Active::Failed,
            Self::Condition | Self::StartPre | Self::Start | Self::AutoRestart => Active::Activating,
            Self::Running | Self::Exited | Self::Up => Active::Active,
            Self::Stop | Self::StopSigterm | Self::StopSigkill | Self::StopPost => Active::Deactivating,
        }
    }

    fn sub(self, kind: &str) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Failed => "failed",
            Self::Condition => "condition",
            Self::StartPre => "start-pre",
            Self::Start => "start",
            Self::Running => "running",
            Self::Exited => "exited",
            Self::Stop => "stop",
            Self::StopSigterm => "stop-sigterm",
            Self::StopSigkill => "stop-sigkill",
            Self::StopPost => "stop-post",
            Self::AutoRestart => "auto-restart",
            Self::Up if kind == "mount" => "mounted",
            Self::Up => "active",
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// What a job does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "systemd's words")]
pub enum JobKind {
    Start,
    Stop,
    Restart,
}

/// A job that is queued or runs.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its unit.
    pub unit: String,
    /// What it does.
    pub kind: JobKind,
    running: bool,
    irreversible: bool,
}

/// A process of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Process {
    token: u64,
    pid: u32,
}

/// A unit that was loaded.
#[derive(Debug)]
struct Unit {
    loaded: Loaded,
    phase: Phase,
    job: Option<u32>,
    frozen: bool,
    result: &'static str,
    main: Option<Process>,
    control: Option<Process>,
    main_exit: Option<Exit>,
    /// Which command of the phase runs.
    index: usize,
    /// A start was asked for by a user or a job; a stop by one forbids the restart.
    stop_wanted: bool,
    timer: Option<u64>,
    restarts: u32,
}

impl Unit {
    fn active(&self) -> Active {
        self.phase.active()
    }

    fn service(&self) -> &Service {
        &self.loaded.settings.service
    }
}

/// A unit as the bus shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "systemd's names of properties")]
pub struct Snapshot {
    pub id: String,
    pub description: String,
    pub load_state: &'static str,
    pub active_state: &'static str,
    pub sub_state: &'static str,
    pub freezer_state: &'static str,
    pub unit_file_state: String,
    pub job: u32,
    pub fragment_path: String,
    pub drop_in_paths: Vec<String>,
    pub can_freeze: bool,
    pub load_error: Option<String>,
    pub result: &'static str,
    pub main_pid: u32,
    pub restarts: u32,
}

/// What is to be done, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the fields are named")]
pub enum Effect {
    /// Start a process; its start or its end is told with the token.
    Spawn {
        unit: String,
        token: u64,
        command: Command,
        environment: Vec<(String, String)>,
        main: bool,
    },
    /// Signal every process of the unit.
    Kill {
        unit: String,
        signal: Signal,
    },
    /// Tell [`Engine::timer`] after this time.
    Timer {
        unit: String,
        serial: u64,
        after: Duration,
    },
    /// Tell [`Engine::job_timer`] after this time.
    JobTimer {
        job: u32,
        after: Duration,
    },
    /// Properties changed.
    Changed(Box<Snapshot>),
    JobNew {
        job: u32,
        unit: String,
    },
    JobRemoved {
        job: u32,
        unit: String,
        result: &'static str,
    },
    UnitNew(String),
    UnitRemoved(String),
    /// For the log of the mock.
    Log(String),
}

/// A signal to the processes of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the words of signal(7)")]
pub enum Signal {
    Term,
    Kill,
    Stop,
    Cont,
}

/// A call that is refused.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{message}")]
pub struct Refusal {
    /// D-Bus name of the error.
    pub name: String,
    /// What systemd would say.
    pub message: String,
}

impl Refusal {
    pub(crate) fn new(name: &str, message: impl Into<String>) -> Self {
        Self { name: format!("{SYSTEMD}.{name}"), message: message.into() }
    }
}

/// The mock's idea of systemd.
pub struct Engine {
    loader: Box<dyn Loader>,
    units: BTreeMap<String, Unit>,
    /// Who names a unit: (relation, who), by the named unit.
    reverse: BTreeMap<String, Vec<(Relation, String)>>,
    jobs: BTreeMap<u32, Job>,
    next_job: u32,
    next_serial: u64,
    dirty: BTreeSet<String>,
    effects: Vec<Effect>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("units", &self.units).field("jobs", &self.jobs).finish_non_exhaustive()
    }
}

impl Engine {
    /// Without any unit.
    pub fn new(loader: Box<dyn Loader>) -> Self {
        Self {
            loader,
            units: BTreeMap::new(),
            reverse: BTreeMap::new(),
            jobs: BTreeMap::new(),
            next_job: 1,
            next_serial: 1,
            dirty: BTreeSet::new(),
            effects: Vec::new(),
        }
    }

    /// What is to be done since the last call.
    pub fn effects(&mut self) -> Vec<Effect> {
        for unit in std::mem::take(&mut self.dirty) {
            self.tell(&unit);
        }
        std::mem::take(&mut self.effects)
    }

    /// Loads a unit and all units that it names.
    pub fn load(&mut self, unit: &str) -> Result<(), Refusal> {
        if !name::is_valid(unit) {
            let message = format!("Unit name {unit} is not valid.");
            return Err(Refusal { name: "org.freedesktop.DBus.Error.InvalidArgs".to_owned(), message });
        }
        let mut open = vec![unit.to_owned()];
        while let Some(unit) = open.pop() {
            if self.units.contains_key(&unit) || !name::is_valid(&unit) {
                continue;
            }
            let loaded = self.loader.load(&unit);
            open.extend(loaded.settings.relations.iter().map(|(_, other)| other.clone()));
            self.link(&unit, &loaded);
            self.units.insert(
                unit.clone(),
                Unit {
                    loaded,
                    phase: Phase::Dead,
                    job: None,
                    frozen: false,
                    result: "success",
                    main: None,
                    control: None,
                    main_exit: None,
                    index: 0,
                    stop_wanted: false,
                    timer: None,
                    restarts: 0,
                },
            );
            self.effects.push(Effect::UnitNew(unit));
        }
        Ok(())
    }

    /// Reads all files anew; states stay.
    pub fn reload(&mut self) {
        self.reverse.clear();
        let names: Vec<String> = self.units.keys().cloned().collect();
        let mut named = Vec::new();
        for unit in names {
            let loaded = self.loader.load(&unit);
            named.extend(loaded.settings.relations.iter().map(|(_, other)| other.clone()));
            self.link(&unit, &loaded);
            if let Some(known) = self.units.get_mut(&unit).filter(|known| known.loaded != loaded) {
                known.loaded = loaded;
                self.dirty.insert(unit);
            }
        }
        for unit in named {
            // A name that is not valid is ignored, as when it was read first.
            let _ = self.load(&unit);
        }
        let gone =
            |unit: &Unit| unit.loaded.load == Load::NotFound && unit.job.is_none() && unit.active() == Active::Inactive;
        let gone: Vec<String> =
            self.units.iter().filter(|(_, unit)| gone(unit)).map(|(name, _)| name.clone()).collect();
        for unit in gone {
            self.units.remove(&unit);
            self.dirty.remove(&unit);
            self.effects.push(Effect::UnitRemoved(unit));
        }
    }

    fn link(&mut self, unit: &str, loaded: &Loaded) {
        for (relation, other) in &loaded.settings.relations {
            self.reverse.entry(other.clone()).or_default().push((*relation, unit.to_owned()));
        }
    }

    /// Names of all loaded units.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.units.keys().map(String::as_str)
    }

    /// All jobs.
    pub fn jobs(&self) -> impl Iterator<Item = (u32, &Job)> {
        self.jobs.iter().map(|(id, job)| (*id, job))
    }

    /// `[Service]` of a unit.
    pub fn service(&self, unit: &str) -> Option<&Service> {
        self.units.get(unit).map(Unit::service)
    }

    /// `UnitFileState` of a unit that need not be loaded.
    pub fn file_state(&self, unit: &str) -> Option<String> {
        Some(self.loader.load(unit).file_state).filter(|state| !state.is_empty())
    }

    /// A unit as the bus shows it.
    pub fn snapshot(&self, unit: &str) -> Option<Snapshot> {
        let known = self.units.get(unit)?;
        let load_error = match known.loaded.load {
            Load::NotFound => Some(format!("Unit {unit} not found.")),
            Load::Masked => Some(format!("Unit {unit} is masked.")),
            Load::BadSetting => known.loaded.fault.map(|fault| format!("{unit}: {fault}")),
            Load::Loaded => None,
        };
        let description = &known.loaded.settings.description;
        Some(Snapshot {
            id: unit.to_owned(),
            description: if description.is_empty() { unit.to_owned() } else { description.clone() },
            load_state: known.loaded.load.as_str(),
            active_state: known.active().as_str(),
            sub_state: known.phase.sub(name::kind(unit)),
            freezer_state: if known.frozen { "frozen" } else { "running" },
            unit_file_state: known.loaded.file_state.clone(),
            job: known.job.unwrap_or(0),
            fragment_path: known.loaded.fragment.clone(),
            drop_in_paths: known.loaded.drop_ins.clone(),
            can_freeze: name::kind(unit) == "service",
            load_error,
            result: known.result,
            main_pid: known.main.map_or(0, |process| process.pid),
            restarts: known.restarts,
        })
    }

    /// `ResetFailedUnit`.
    pub fn reset_failed(&mut self, unit: &str) -> Result<(), Refusal> {
        // systemd loads it: a unit that does not exist is refused.
        let known = self.units.get_mut(unit).filter(|known| known.loaded.load != Load::NotFound);
        let Some(known) = known else {
            return Err(Refusal::new("NoSuchUnit", format!("Unit {unit} not loaded.")));
        };
        known.restarts = 0;
        if known.phase == Phase::Failed {
            known.result = "success";
            self.set_phase(unit, Phase::Dead);
            self.run();
        }
        Ok(())
    }

    /// `FreezeUnit`, `ThawUnit`.
    pub fn freeze(&mut self, unit: &str, freeze: bool) -> Result<(), Refusal> {
        let Some(known) = self.units.get_mut(unit).filter(|known| known.loaded.load != Load::NotFound) else {
            return Err(Refusal::new("NoSuchUnit", format!("Unit {unit} not loaded.")));
        };
        if name::kind(unit) != "service" {
            return Err(Refusal {
                name: "org.freedesktop.DBus.Error.NotSupported".to_owned(),
                message: format!("Unit '{unit}' does not support freezing"),
            });
        }
        if known.job.is_some() {
            return Err(Refusal::new("UnitBusy", format!("Unit '{unit}' has a pending job.")));
        }
        if known.active() != Active::Active {
            return Err(Refusal::new("UnitInactive", format!("Unit '{unit}' is not active.")));
        }
        if known.frozen != freeze {
            known.frozen = freeze;
            let signal = if freeze { Signal::Stop } else { Signal::Cont };
            self.effects.push(Effect::Kill { unit: unit.to_owned(), signal });
            // As systemd 252: nobody is told.
        }
        Ok(())
    }

    /// Says what a unit is now.
    fn tell(&mut self, unit: &str) {
        self.dirty.remove(unit);
        if let Some(snapshot) = self.snapshot(unit) {
            self.effects.push(Effect::Changed(Box::new(snapshot)));
        }
    }

    fn serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial
    }

    /// The units that `unit` names by one of `relations`.
    fn named(&self, unit: &str, relations: &[Relation]) -> Vec<String> {
        let Some(known) = self.units.get(unit) else { return Vec::new() };
        let relation = known.loaded.settings.relations.iter();
        relation.filter(|(relation, _)| relations.contains(relation)).map(|(_, other)| other.clone()).collect()
    }

    /// The units that name `unit` by one of `relations`.
    fn naming(&self, unit: &str, relations: &[Relation]) -> Vec<String> {
        let relation = self.reverse.get(unit).into_iter().flatten();
        relation.filter(|(relation, _)| relations.contains(relation)).map(|(_, other)| other.clone()).collect()
    }

    /// Whether `later` comes after `earlier` when both start.
    fn is_after(&self, later: &str, earlier: &str) -> bool {
        let says = |unit: &str, relations: &[Relation], other: &str| {
            self.units.get(unit).is_some_and(|known| {
                known
                    .loaded
                    .settings
                    .relations
                    .iter()
                    .any(|(relation, name)| relations.contains(relation) && name == other)
            })
        };
        if says(later, &[Relation::After], earlier) || says(earlier, &[Relation::Before], later) {
            return true;
        }
        // Targets come after what they pull in, unless a file says otherwise.
        let pulls = [Relation::Requires, Relation::Requisite, Relation::Wants, Relation::BindsTo];
        let by_default =
            |unit: &str| self.units.get(unit).is_some_and(|known| known.loaded.settings.default_dependencies);
        name::kind(later) == "target"
            && says(later, &pulls, earlier)
            && by_default(later)
            && by_default(earlier)
            && !says(later, &[Relation::Before], earlier)
            && !says(earlier, &[Relation::After], later)
    }
}
