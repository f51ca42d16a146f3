//! One unit: what it is, what it depends on, how it is.

use reactor_core::ids::UnitName;
use reactor_core::systemd::{ActiveState, FreezerState, LoadState, UnitState};

use super::{UnitIx, Waiter};

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `drbd-services@N.target`.
    Target,
    /// `drbd-promote@N.service`.
    Promote,
    /// `drbd@N.service`, and the target of that name: `drbdadm adjust`, and `drbdsetup down` if that fails.
    Configured,
    /// A mount of the device.
    Mount,
    /// Anything else that `start` lists.
    Service,
    /// `storage-reactor-standby@N.target`.
    StandbyTarget,
    /// What `standby` lists: a service that does not touch the devices.
    Standby,
}

impl Kind {
    /// It has processes.
    pub(super) fn is_service(self) -> bool {
        matches!(self, Self::Service | Self::Standby)
    }

    /// It belongs to a Secondary.
    pub fn is_standby(self) -> bool {
        matches!(self, Self::StandbyTarget | Self::Standby)
    }
}

/// How a service behaves: what the faults of a seed change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Its start takes this much longer, in milliseconds.
    pub slow_ms: u64,
    /// Its stop takes this much longer, in milliseconds; less than `TimeoutStopSec=`.
    pub slow_stop_ms: u64,
    /// Its start fails.
    pub start_fails: bool,
    /// It does not end when it is told to: systemd kills it after `TimeoutStopSec=`.
    pub hangs: bool,
    /// It ends by itself when a write fails.
    pub dies_of_errors: bool,
    /// `Restart=always`.
    pub restarts: bool,
    /// How it takes `FreezeUnit`.
    pub freezer: Freezer,
}

/// How a unit takes `FreezeUnit`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Freezer {
    /// It is frozen soon.
    #[default]
    Works,
    /// systemd refuses.
    Refuses,
    /// A process of it waits for its disk: it stays `freezing`, and the call does not return.
    Sticks,
    /// It takes longer than anybody waits for it.
    IsSlow,
}

/// Where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It does not run.
    Dead,
    /// It does not run, and its end was bad.
    Failed,
    /// It starts.
    Starting,
    /// It waits for its devices to be opened.
    Opening,
    /// ExecCondition: `drbdsetup primary` runs.
    Promoting,
    /// It runs.
    Running,
    /// It was told to end; so many times more it gets a harder signal.
    Stopping {
        /// Signals so far.
        tries: u8,
    },
    /// It waits for what it wrote to get out.
    Flushing {
        /// Signals so far.
        tries: u8,
    },
    /// ExecStop: `drbdsetup secondary` runs.
    Demoting {
        /// By force.
        force: bool,
    },
    /// It failed, and `Restart=` starts it again.
    AutoRestart,
}

/// What a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobKind {
    Start,
    Stop,
    /// A stop after which it is started again.
    Restart,
}

/// A job of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) kind: JobKind,
    pub(super) running: bool,
    pub(super) waiters: Vec<Waiter>,
}

/// A unit.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Its name.
    pub name: UnitName,
    /// What it is.
    pub kind: Kind,
    /// The resource that it belongs to.
    pub res: usize,
    /// Where it is.
    pub phase: Phase,
    /// `Result`.
    pub result: &'static str,
    /// `FreezerState`.
    pub freezer: FreezerState,
    /// How it behaves.
    pub health: Health,
    /// It opens the devices: the first of its list.
    pub opener: bool,
    /// A process of it could not be killed, and is still there.
    pub leftover: bool,
    /// The others may run without it: `optional`, or not monitored.
    pub spare: bool,
    /// The drop-in has `Restart=no`: the promoter starts it again.
    pub restarted_by_us: bool,
    pub(super) job: Option<Job>,
    pub(super) freezing: Option<Waiter>,
    pub(super) force: bool,
    pub(super) step: u64,
    pub(super) told: Option<UnitState>,
    pub(super) requires: Vec<UnitIx>,
    pub(super) requisite: Vec<UnitIx>,
    pub(super) wants: Vec<UnitIx>,
    pub(super) binds: Vec<UnitIx>,
    pub(super) after: Vec<UnitIx>,
    pub(super) part_of: Option<UnitIx>,
    pub(super) conflicts: Vec<UnitIx>,
}

impl Unit {
    pub(super) fn new(name: UnitName, kind: Kind, res: usize) -> Self {
        Self {
            name,
            kind,
            res,
            phase: Phase::Dead,
            result: "success",
            freezer: FreezerState::Running,
            health: Health::default(),
            opener: false,
            leftover: false,
            spare: false,
            restarted_by_us: false,
            job: None,
            freezing: None,
            force: true,
            step: 0,
            told: None,
            requires: Vec::new(),
            requisite: Vec::new(),
            wants: Vec::new(),
            binds: Vec::new(),
            after: Vec::new(),
            part_of: None,
            conflicts: Vec::new(),
        }
    }

    pub(super) fn forget_dependencies(&mut self) {
        self.requires.clear();
        self.requisite.clear();
        self.wants.clear();
        self.binds.clear();
        self.after.clear();
        self.part_of = None;
        self.conflicts.clear();
        self.opener = false;
        self.spare = false;
        self.restarted_by_us = false;
    }

    pub(super) fn next_step(&mut self) -> u64 {
        self.step += 1;
        self.step
    }

    /// It runs, or is about to end.
    pub fn is_active(&self) -> bool {
        self.phase == Phase::Running
    }

    /// It does not run at all.
    pub fn is_down(&self) -> bool {
        matches!(self.phase, Phase::Dead | Phase::Failed)
    }

    /// Whether a job is queued or runs.
    pub fn has_job(&self) -> bool {
        self.job.is_some()
    }

    /// Whether a stop is queued or runs.
    pub fn has_stop(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.kind != JobKind::Start)
    }

    /// Whether a start is queued or runs.
    pub fn has_start(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.kind == JobKind::Start)
    }

    /// Whether a stop is queued or runs after which it is started again.
    pub(super) fn has_restart(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.kind == JobKind::Restart)
    }

    /// Whether its process does what it is for: it runs and is not frozen.
    pub fn works(&self) -> bool {
        self.phase == Phase::Running && matches!(self.freezer, FreezerState::Running)
    }

    /// As D-Bus shows it.
    pub(super) fn state(&self) -> UnitState {
        let (active, sub) = match self.phase {
            Phase::Dead => (ActiveState::Inactive, "dead"),
            Phase::Failed => (ActiveState::Failed, "failed"),
            Phase::Starting | Phase::Opening => (ActiveState::Activating, "start"),
            Phase::Promoting => (ActiveState::Activating, "condition"),
            Phase::Running => match self.kind {
                Kind::Target | Kind::StandbyTarget | Kind::Configured => (ActiveState::Active, "active"),
                Kind::Promote => (ActiveState::Active, "exited"),
                Kind::Mount => (ActiveState::Active, "mounted"),
                Kind::Service | Kind::Standby => (ActiveState::Active, "running"),
            },
            Phase::Stopping { .. } | Phase::Flushing { .. } => (ActiveState::Deactivating, "stop-sigterm"),
            Phase::Demoting { .. } => (ActiveState::Deactivating, "stop"),
            Phase::AutoRestart => (ActiveState::Activating, "auto-restart"),
        };
        UnitState {
            load: LoadState::Loaded,
            active,
            sub: sub.to_owned(),
            freezer: self.freezer.clone(),
            result: (!matches!(self.kind, Kind::Target | Kind::StandbyTarget)).then(|| self.result.to_owned()),
            unit_file: "static".to_owned(),
            job: self.job.is_some(),
        }
    }
}
