//! systemd of one node, as far as the promoter's units need it: targets, the promotion, mounts and services, with the dependencies of the
//! generated files and of drbd-utils' templates; jobs with mode `replace`; failures; the freezer.
//!
//! ```text
//!  drbd-services@N.target  Requires/Wants/.. members, BindsTo + After drbd-promote@N.service, After members
//!  drbd@N.service          stands for drbd@N.target, too: ExecStart = adjust, ExecStopPost = down
//!  drbd-promote@N.service  Requires + After drbd@N.service; PartOf target; ExecCondition = primary, ExecStop = secondary, then by force
//!  member                  PartOf target; BindsTo + After drbd-promote@N.service; dependencies-as + After the member before it
//!                          what is optional or not monitored: Wants for the target, only After for the next; one `parallel` is one step
//!  storage-reactor-standby@N.target  Wants + After what runs on a Secondary, which is PartOf it; Conflicts + Before drbd-promote@N.service
//! ```
//!
//! It does nothing by itself: who owns it carries its [`Effect`]s out (timers, DRBD commands, opening and closing devices) and tells it how
//! they went. What differs from a real systemd: no start limits, no masks, one transaction at a time without cycles.

mod job;
mod load;
mod service;
mod unit;

use std::collections::BTreeSet;
use std::time::Duration;

use reactor_core::ids::UnitName;
use reactor_core::systemd::{FreezerState, UnitEnd, UnitNews, UnitState};

use crate::rng::Rng;
pub use unit::{Freezer, Health, Kind, Phase, Unit};
use unit::{Job, JobKind};

/// Index of a unit in a [`Systemd`].
pub type UnitIx = usize;

/// Who waits for a job or a call: the action of the daemon's life.
pub type Waiter = (u64, u64);

/// What the owner has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Call [`Systemd::timer`] after this time.
    After(Duration, UnitIx, u64),
    /// The start of `drbd@N.service`; then [`Systemd::configured`].
    Configure(UnitIx, u64),
    /// `drbdsetup primary`; then [`Systemd::promoted`].
    Primary(UnitIx, u64),
    /// `drbdsetup secondary`, by force or not; then [`Systemd::demoted`].
    Secondary(UnitIx, u64, bool),
    /// Open the devices; then [`Systemd::opened`].
    Open(UnitIx, u64),
    /// The process is about to end, or the file system to be unmounted: what it wrote has to get out. Then [`Systemd::flushed`].
    Flush(UnitIx, u64),
    /// Close the devices.
    Close(UnitIx),
    /// A call or a job that somebody waits for ended.
    Ended(Waiter, UnitEnd),
    /// A service failed by itself, and it was no answer to anything that was asked: the truth for failure counts.
    Failed(UnitIx),
    /// For the story.
    Tell(String),
}

/// systemd of one node.
#[derive(Clone, Debug)]
pub struct Systemd {
    units: Vec<Unit>,
    rng: Rng,
    jobs: u64,
    effects: Vec<Effect>,
    /// Units whose state may differ from what was told.
    dirty: BTreeSet<UnitIx>,
    /// Bound units that have to be stopped because what they are bound to is gone.
    unbound: BTreeSet<UnitIx>,
}

impl Systemd {
    /// One without units.
    pub fn new(seed: u64) -> Self {
        Self {
            units: Vec::new(),
            rng: Rng::new(seed ^ 0x5e57_e14d),
            jobs: 0,
            effects: Vec::new(),
            dirty: BTreeSet::new(),
            unbound: BTreeSet::new(),
        }
    }

    fn unit(&mut self, name: &str, kind: Kind, res: usize) -> UnitIx {
        if let Some(ix) = self.find(name) {
            return ix;
        }
        self.units.push(Unit::new(UnitName::new(name), kind, res));
        self.dirty.insert(self.units.len() - 1);
        self.units.len() - 1
    }

    /// The index of a unit. `drbd@N.target` is up when its service is.
    pub fn find(&self, name: &str) -> Option<UnitIx> {
        let configured = name.strip_prefix("drbd@").and_then(|name| name.strip_suffix(".target"));
        let is_it = |unit: &Unit| match configured {
            Some(resource) => {
                let unit = unit.name.as_str().strip_prefix("drbd@").and_then(|name| name.strip_suffix(".service"));
                unit == Some(resource)
            }
            None => unit.name.as_str() == name,
        };
        self.units.iter().position(is_it)
    }

    /// All units.
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// How a unit will behave from now on.
    pub fn health_mut(&mut self, unit: UnitIx) -> &mut Health {
        &mut self.units[unit].health
    }

    /// What has to be done.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Whether there is nothing to be done and nothing to be told.
    pub fn is_quiet(&self) -> bool {
        self.effects.is_empty() && self.dirty.is_empty()
    }

    /// News since the last call: units that look different from what was told.
    pub fn take_news(&mut self) -> Vec<UnitNews> {
        let mut news = Vec::new();
        for ix in std::mem::take(&mut self.dirty) {
            let state = self.units[ix].state();
            if self.units[ix].told.as_ref() != Some(&state) {
                self.units[ix].told = Some(state.clone());
                news.push(UnitNews { unit: self.units[ix].name.clone(), state });
            }
        }
        news
    }

    /// The state of any unit as a fresh question gives it.
    pub fn look(&self, name: &UnitName) -> UnitNews {
        let state = self.find(name.as_str()).map_or_else(UnitState::default, |ix| self.units[ix].state());
        UnitNews { unit: name.clone(), state }
    }

    /// The node lost its power: everything is as after a boot.
    pub fn crash(&mut self) {
        for unit in &mut self.units {
            *unit = Unit { health: unit.health, ..Unit::new(unit.name.clone(), unit.kind, unit.res) };
        }
        self.effects.clear();
        self.unbound.clear();
        self.dirty = (0..self.units.len()).collect();
    }

    // ---- calls ----

    /// `StartUnit`, mode `replace`.
    pub fn start(&mut self, unit: UnitIx, waiter: Option<Waiter>) {
        self.start_transaction(unit, waiter);
        self.run_jobs();
    }

    /// `StopUnit`, mode `replace`.
    pub fn stop(&mut self, unit: UnitIx, waiter: Option<Waiter>) {
        self.stop_transaction(unit, waiter, false);
        self.run_jobs();
    }

    /// `ResetFailedUnit`.
    pub fn reset_failed(&mut self, unit: UnitIx) {
        let unit_ref = &mut self.units[unit];
        unit_ref.result = "success";
        if unit_ref.phase == Phase::Failed {
            unit_ref.phase = Phase::Dead;
        }
        self.dirty.insert(unit);
    }

    /// `FreezeUnit`.
    pub fn freeze(&mut self, unit: UnitIx, waiter: Waiter) {
        let this = &mut self.units[unit];
        let refuses = this.health.freezer == Freezer::Refuses;
        if refuses || this.kind != Kind::Service || this.phase != Phase::Running || this.job.is_some() {
            let error = "org.freedesktop.systemd1.UnitInactive".to_owned();
            let message = format!("{} cannot be frozen now", this.name);
            return self.effects.push(Effect::Ended(waiter, UnitEnd::Refused { error, message }));
        }
        let slow = if this.health.freezer == Freezer::IsSlow { 4_000 } else { 0 };
        this.freezer = FreezerState::Freezing;
        this.freezing = Some(waiter);
        self.timer_in(unit, 2 + slow, 30 + 2 * slow);
        self.dirty.insert(unit);
    }

    /// `ThawUnit`.
    pub fn thaw(&mut self, unit: UnitIx, waiter: Waiter) {
        if self.units[unit].freezer == FreezerState::Freezing {
            let error = "org.freedesktop.systemd1.UnitBusy".to_owned();
            let message = "Previously requested freezer operation is still in progress".to_owned();
            return self.effects.push(Effect::Ended(waiter, UnitEnd::Refused { error, message }));
        }
        self.unfreeze(unit);
        self.effects.push(Effect::Ended(waiter, UnitEnd::Done));
    }

    /// systemd thaws what it stops.
    fn unfreeze(&mut self, unit: UnitIx) {
        let this = &mut self.units[unit];
        if this.freezer == FreezerState::Running {
            return;
        }
        this.freezer = FreezerState::Running;
        if let Some(waiter) = this.freezing.take() {
            self.effects.push(Effect::Ended(waiter, UnitEnd::Job("canceled".to_owned())));
        }
        self.dirty.insert(unit);
    }

    // ---- helpers ----

    fn timer_in(&mut self, unit: UnitIx, least_ms: u64, most_ms: u64) {
        let micros = least_ms * 1000 + self.rng.below((most_ms - least_ms) * 1000 + 1);
        let step = self.units[unit].next_step();
        self.effects.push(Effect::After(Duration::from_micros(micros), unit, step));
    }

    fn tell(&mut self, unit: UnitIx, what: &str) {
        let name = &self.units[unit].name;
        self.effects.push(Effect::Tell(format!("{name} {what}")));
    }

    fn enter(&mut self, unit: UnitIx, phase: Phase) {
        self.units[unit].phase = phase;
        self.units[unit].next_step();
        self.dirty.insert(unit);
    }

    fn install(&mut self, unit: UnitIx, kind: JobKind, waiter: Option<Waiter>) {
        self.jobs += 1;
        let id = self.jobs;
        self.dirty.insert(unit);
        let waiters = waiter.into_iter().collect();
        self.units[unit].job = Some(Job { id, kind, running: false, waiters });
    }
}

#[cfg(test)]
mod tests;
