//! What holds of a resource's services, as systemd tells it. With the shell runner it is what we did ourselves.

use crate::ids::UnitName;
use crate::settings::promoter::Dependency;
use crate::systemd::{ActiveState, FreezerState, LoadState, UnitState, Units};

/// What holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Services {
    /// Nothing runs.
    Off,
    /// The target does not run, but some of what belongs to it does: what a start that failed leaves behind.
    Half,
    /// On the way up.
    Starting,
    /// The target is active.
    On,
    /// On the way down.
    Stopping,
}

impl Services {
    /// Whether anything of it may be using the device.
    pub(super) fn is_any(self) -> bool {
        self != Self::Off
    }

    /// In one word.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Off => "down",
            Self::Half => "partly up",
            Self::Starting => "starting",
            Self::On => "up",
            Self::Stopping => "stopping",
        }
    }
}

/// The units of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnitSet {
    /// `drbd-services@NAME.target`.
    pub(super) target: UnitName,
    /// `drbd-promote@NAME.service`.
    pub(super) promote: UnitName,
    /// What `start` lists, in order.
    pub(super) members: Vec<UnitName>,
}

fn is_up(unit: &UnitState) -> bool {
    matches!(unit.active, ActiveState::Active | ActiveState::Reloading | ActiveState::Refreshing)
}

fn is_moving(unit: &UnitState) -> bool {
    matches!(unit.active, ActiveState::Activating | ActiveState::Deactivating)
}

/// Units that systemd cannot start, each with why.
fn not_startable<'a>(which: impl Iterator<Item = &'a UnitName>, units: &Units) -> Vec<String> {
    let look = |unit: &UnitName| match units.get(unit.as_str())?.load {
        LoadState::Masked => Some(format!("{unit} is masked")),
        LoadState::NotFound => Some(format!("{unit} does not exist")),
        LoadState::BadSetting => Some(format!("{unit} has a bad setting: see systemctl status {unit}")),
        LoadState::Error => Some(format!("systemd could not load {unit}")),
        LoadState::Stub | LoadState::Loaded | LoadState::Merged | LoadState::Other(_) => None,
    };
    which.filter_map(look).collect()
}

/// systemd freezes processes: timers, sockets, mounts, ... have none, and neither has a service whose start has done all there was to do.
fn can_freeze(unit: &UnitName, state: &UnitState) -> bool {
    has_processes(unit) && state.sub != "exited"
}

fn has_processes(unit: &UnitName) -> bool {
    let kind = unit.as_str().rsplit('.').next().unwrap_or_default();
    matches!(kind, "service" | "scope" | "slice")
}

impl UnitSet {
    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &UnitName> {
        [&self.target, &self.promote].into_iter().chain(&self.members)
    }

    /// What holds by the states of the units alone.
    pub(super) fn services(&self, units: &Units) -> Services {
        let default = UnitState::default();
        let get = |unit: &UnitName| units.get(unit.as_str()).unwrap_or(&default);
        let target = get(&self.target);
        let others = || self.members.iter().chain([&self.promote]).map(get);
        let goes_down = |unit: &UnitState| unit.active == ActiveState::Deactivating || (is_up(unit) && unit.job);
        if is_up(target) {
            return if target.job { Services::Stopping } else { Services::On };
        }
        if target.active == ActiveState::Deactivating {
            return Services::Stopping;
        }
        if target.active == ActiveState::Activating {
            return Services::Starting;
        }
        // The target is down. It goes down before its members do, and comes up after them.
        if others().any(goes_down) {
            return Services::Stopping;
        }
        if target.job || others().any(|unit| unit.active == ActiveState::Activating && unit.job) {
            return Services::Starting;
        }
        let promoted = is_up(get(&self.promote));
        if promoted || others().any(|unit| unit.active == ActiveState::Activating) {
            return Services::Half;
        }
        Services::Off
    }

    /// Members that are up although the target is not, and nothing is on its way.
    pub(super) fn up_without_target(&self, units: &Units) -> Vec<&UnitName> {
        let quiet = |unit: &UnitName| units.get(unit.as_str()).is_none_or(|state| !state.job && !is_moving(state));
        let target_is_down =
            units.get(self.target.as_str()).is_some_and(|target| !is_up(target)) && self.all().all(quiet);
        let up = |unit: &&UnitName| units.get(unit.as_str()).is_some_and(is_up);
        if target_is_down { self.members.iter().filter(up).collect() } else { Vec::new() }
    }

    /// Whether the target is active.
    pub(super) fn is_up(&self, units: &Units) -> bool {
        units.get(self.target.as_str()).is_some_and(is_up)
    }

    /// Whether the promotion was ours: its unit is active, or could not be stopped.
    pub(super) fn promoted(&self, units: &Units) -> bool {
        self.holds_promotion(units)
            || units.get(self.promote.as_str()).is_some_and(|unit| unit.active == ActiveState::Failed)
    }

    /// Whether the promotion's unit is active: it tells itself when that ends.
    pub(super) fn holds_promotion(&self, units: &Units) -> bool {
        units.get(self.promote.as_str()).is_some_and(is_up)
    }

    /// Members that have failed, each with why.
    pub(super) fn failed(&self, units: &Units) -> Vec<(UnitName, String)> {
        let failed = |unit: &&UnitName| units.get(unit.as_str()).is_some_and(|unit| unit.active == ActiveState::Failed);
        let why = |unit: &UnitName| {
            let result = units.get(unit.as_str()).and_then(|state| state.result.as_deref()).unwrap_or("failed");
            (unit.clone(), result.to_owned())
        };
        self.members.iter().filter(failed).map(why).collect()
    }

    /// Members that are not up, in order.
    pub(super) fn not_up(&self, units: &Units) -> Vec<UnitName> {
        let down = |unit: &&UnitName| units.get(unit.as_str()).is_none_or(|unit| !is_up(unit));
        self.members.iter().filter(down).cloned().collect()
    }

    /// Whether a member is down.
    pub(super) fn is_incomplete(&self, units: &Units) -> bool {
        let down = |state: &ActiveState| matches!(state, ActiveState::Inactive | ActiveState::Failed);
        self.members.iter().any(|unit| units.get(unit.as_str()).is_none_or(|unit| down(&unit.active)))
    }

    /// Members that did not end well last time, though they may be on their way up again.
    pub(super) fn ended_badly(&self, units: &Units) -> Vec<(UnitName, String)> {
        let bad = |unit: &UnitName| {
            let state = units.get(unit.as_str())?;
            let result = state.result.as_deref()?;
            (!matches!(result, "" | "success" | "exec-condition")).then(|| (unit.clone(), result.to_owned()))
        };
        self.members.iter().filter_map(bad).collect()
    }

    /// Those of them that are down, or that systemd restarts itself. Before that a unit's `Result` may be news earlier than its state.
    pub(super) fn ended_badly_and_down(&self, units: &Units) -> Vec<(UnitName, String)> {
        let is_down = |unit: &UnitName| {
            let state = units.get(unit.as_str()).map(|state| &state.active);
            matches!(state, Some(ActiveState::Activating | ActiveState::Inactive | ActiveState::Failed))
        };
        self.ended_badly(units).into_iter().filter(|(unit, _)| is_down(unit)).collect()
    }

    /// Units in the state `failed`, the target and the promotion included: systemd may refuse to start them before a reset.
    pub(super) fn to_reset(&self, units: &Units) -> Vec<UnitName> {
        let failed = |unit: &&UnitName| units.get(unit.as_str()).is_some_and(|unit| unit.active == ActiveState::Failed);
        self.all().filter(failed).cloned().collect()
    }

    /// What keeps systemd from starting it: units that are masked or not there. A target that only wants its members starts without them.
    pub(super) fn obstacles(&self, units: &Units, target_as: Dependency) -> Vec<String> {
        let members = self.members.iter().filter(|_| target_as != Dependency::Wants);
        not_startable([&self.target, &self.promote].into_iter().chain(members), units)
    }

    /// Members that the target starts without.
    pub(super) fn left_out(&self, units: &Units, target_as: Dependency) -> Vec<String> {
        not_startable(self.members.iter().filter(|_| target_as == Dependency::Wants), units)
    }
    /// Members that run and can be frozen (by name, never by position in a list).
    pub(super) fn to_freeze(&self, units: &Units) -> Vec<UnitName> {
        let freezes = |unit: &UnitName, state: &UnitState| {
            can_freeze(unit, state) && is_up(state) && state.freezer == FreezerState::Running
        };
        let members = self.members.iter();
        members.filter(|unit| units.get(unit.as_str()).is_some_and(|state| freezes(unit, state))).cloned().collect()
    }

    /// Members that systemd could freeze, whatever they do now.
    pub(super) fn can_be_frozen(&self) -> impl Iterator<Item = &UnitName> {
        self.members.iter().filter(|unit| has_processes(unit))
    }

    /// Members that are frozen or about to be.
    pub(super) fn frozen(&self, units: &Units) -> Vec<UnitName> {
        let frozen = |state: &UnitState| matches!(state.freezer, FreezerState::Frozen | FreezerState::Freezing);
        self.members.iter().filter(|unit| units.get(unit.as_str()).is_some_and(frozen)).cloned().collect()
    }

    /// Members that run without any process that could be frozen. Mounts are not worth a word: nobody expects it of them.
    pub(super) fn not_freezable(&self, units: &Units) -> Vec<String> {
        let others = self.members.iter().filter(|unit| !unit.as_str().ends_with(".mount"));
        let runs =
            others.filter_map(|unit| units.get(unit.as_str()).filter(|state| is_up(state)).map(|state| (unit, state)));
        runs.filter(|(unit, state)| !can_freeze(unit, state)).map(|(unit, _)| unit.to_string()).collect()
    }
}
