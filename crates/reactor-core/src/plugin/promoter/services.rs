//! What holds of a resource's services, as systemd tells it. With the shell runner it is what we did ourselves.

use std::collections::BTreeSet;

use crate::ids::UnitName;
use crate::settings::promoter::Dependency;
use crate::systemd::{ActiveState, FreezerState, LoadState, UnitState, Units};

use super::obstacle::{Obstacle, ObstacleKind};

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
    /// Members that may be down while the others run: optional ones, and those that are not monitored.
    pub(super) spare: BTreeSet<UnitName>,
}

fn is_up(unit: &UnitState) -> bool {
    matches!(unit.active, ActiveState::Active | ActiveState::Reloading | ActiveState::Refreshing)
}

fn is_moving(unit: &UnitState) -> bool {
    matches!(unit.active, ActiveState::Activating | ActiveState::Deactivating)
}

/// Units that systemd cannot start, each with why.
fn not_startable<'a>(which: impl Iterator<Item = &'a UnitName>, units: &Units) -> Vec<(Obstacle, String)> {
    let look = |unit: &UnitName| {
        let (kind, why) = match units.get(unit.as_str())?.load {
            LoadState::Masked => (ObstacleKind::UnitMasked, format!("{unit} is masked")),
            LoadState::NotFound => (ObstacleKind::UnitBroken, format!("{unit} does not exist")),
            LoadState::BadSetting => {
                (ObstacleKind::UnitBroken, format!("{unit} has a bad setting: see systemctl status {unit}"))
            }
            LoadState::Error => (ObstacleKind::UnitBroken, format!("systemd could not load {unit}")),
            LoadState::Stub | LoadState::Loaded | LoadState::Merged | LoadState::Other(_) => return None,
        };
        Some((Obstacle::of(kind, unit), why))
    };
    which.filter_map(look).collect()
}

/// Units that have failed, each with why.
fn failed<'a>(which: impl Iterator<Item = &'a UnitName>, units: &Units) -> Vec<(UnitName, String)> {
    let failed = |unit: &&UnitName| units.get(unit.as_str()).is_some_and(|unit| unit.active == ActiveState::Failed);
    let why = |unit: &UnitName| {
        let result = units.get(unit.as_str()).and_then(|state| state.result.as_deref()).unwrap_or("failed");
        (unit.clone(), result.to_owned())
    };
    which.filter(failed).map(why).collect()
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
        // While the target waits for its members, one that has just come up has its job for a moment longer. If systemd takes all of them down and
        // up again by itself, the promotion has a job, too.
        let comes_up = |unit: &UnitState| is_up(unit) && unit.job && target.job && !get(&self.promote).job;
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
        if others().any(|unit| goes_down(unit) && !comes_up(unit)) {
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

    /// Members that the resource needs.
    fn needed(&self) -> impl Iterator<Item = &UnitName> {
        self.members.iter().filter(|unit| !self.spare.contains(*unit))
    }

    /// Members that the resource needs and that have failed, each with why.
    pub(super) fn failed(&self, units: &Units) -> Vec<(UnitName, String)> {
        failed(self.needed(), units)
    }

    /// The same of those that it does not need.
    pub(super) fn spare_failed(&self, units: &Units) -> Vec<(UnitName, String)> {
        failed(self.members.iter().filter(|unit| self.spare.contains(*unit)), units)
    }

    /// Members that it needs and that are not up, in order.
    pub(super) fn not_up(&self, units: &Units) -> Vec<UnitName> {
        let down = |unit: &&UnitName| units.get(unit.as_str()).is_none_or(|unit| !is_up(unit));
        self.needed().filter(down).cloned().collect()
    }

    /// Whether a member that it needs is down.
    pub(super) fn is_incomplete(&self, units: &Units) -> bool {
        let down = |state: &ActiveState| matches!(state, ActiveState::Inactive | ActiveState::Failed);
        self.needed().any(|unit| units.get(unit.as_str()).is_none_or(|unit| down(&unit.active)))
    }

    /// Members that it needs and that did not end well last time, though they may be on their way up again.
    pub(super) fn ended_badly(&self, units: &Units) -> Vec<(UnitName, String)> {
        let bad = |unit: &UnitName| {
            let state = units.get(unit.as_str())?;
            let result = state.result.as_deref()?;
            (!matches!(result, "" | "success" | "exec-condition")).then(|| (unit.clone(), result.to_owned()))
        };
        self.needed().filter_map(bad).collect()
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

    /// What keeps systemd from starting it: units that are masked or not there. What the target only wants it starts without.
    pub(super) fn obstacles(&self, units: &Units, target_as: Dependency) -> Vec<(Obstacle, String)> {
        let members = self.needed().filter(|_| target_as != Dependency::Wants);
        not_startable([&self.target, &self.promote].into_iter().chain(members), units)
    }

    /// Members that the target starts without.
    pub(super) fn left_out(&self, units: &Units, target_as: Dependency) -> Vec<String> {
        let spare = |unit: &&UnitName| target_as == Dependency::Wants || self.spare.contains(*unit);
        let left_out = not_startable(self.members.iter().filter(spare), units);
        left_out.into_iter().map(|(_, why)| why).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systemd::UnitNews;

    const A: &str = "a.service";
    const B: &str = "b.mount";
    const PROMOTE: &str = "drbd-promote@r0.service";
    const TARGET: &str = "drbd-services@r0.target";

    /// Units as systemd tells them.
    type Told<'a> = &'a [(&'static str, UnitState)];
    /// Names of units.
    type Names = &'static [&'static str];

    fn set() -> UnitSet {
        UnitSet {
            target: TARGET.into(),
            promote: PROMOTE.into(),
            members: vec![A.into(), B.into()],
            spare: BTreeSet::new(),
        }
    }

    fn units(all: impl IntoIterator<Item = (&'static str, UnitState)>) -> Units {
        let mut units = Units::default();
        for (unit, state) in all {
            units.apply(&UnitNews { unit: unit.into(), state });
        }
        units
    }

    fn is(active: ActiveState) -> UnitState {
        UnitState { active, ..UnitState::default() }
    }

    fn with_job(active: ActiveState) -> UnitState {
        UnitState { job: true, ..is(active) }
    }

    fn ended(active: ActiveState, result: &str) -> UnitState {
        UnitState { result: Some(result.to_owned()), ..is(active) }
    }

    fn names(units: &[UnitName]) -> Vec<&str> {
        units.iter().map(UnitName::as_str).collect()
    }

    #[test]
    fn what_holds_follows_from_the_target_then_from_what_is_on_its_way() {
        use ActiveState::{Activating, Active, Deactivating, Failed, Inactive, Reloading};
        let table: [(Told<'_>, Services); 26] = [
            (&[], Services::Off),
            (&[(TARGET, is(Inactive)), (PROMOTE, is(Inactive)), (A, is(Inactive))], Services::Off),
            (&[(TARGET, is(Failed)), (PROMOTE, is(Failed)), (A, is(Failed))], Services::Off),
            (&[(TARGET, is(Active))], Services::On),
            (&[(TARGET, is(Active)), (A, is(Failed)), (PROMOTE, is(Inactive))], Services::On),
            (&[(TARGET, with_job(Active))], Services::Stopping),
            (&[(TARGET, is(Deactivating))], Services::Stopping),
            (&[(TARGET, is(Activating)), (A, is(Deactivating))], Services::Starting),
            (&[(A, is(Deactivating))], Services::Stopping),
            (&[(PROMOTE, is(Deactivating)), (A, is(Inactive))], Services::Stopping),
            (&[(PROMOTE, with_job(Active))], Services::Stopping),
            (&[(A, with_job(Reloading)), (TARGET, is(Inactive))], Services::Stopping),
            (&[(TARGET, with_job(Inactive))], Services::Starting),
            (&[(TARGET, with_job(Inactive)), (PROMOTE, is(Active))], Services::Starting),
            // It has just come up, and its job is told to be over a moment later.
            (&[(TARGET, with_job(Inactive)), (PROMOTE, is(Active)), (A, with_job(Active))], Services::Starting),
            (&[(TARGET, with_job(Inactive)), (PROMOTE, is(Active)), (A, is(Deactivating))], Services::Stopping),
            (&[(TARGET, with_job(Inactive)), (PROMOTE, with_job(Active)), (A, with_job(Active))], Services::Stopping),
            (&[(A, with_job(Activating))], Services::Starting),
            (&[(PROMOTE, with_job(Activating))], Services::Starting),
            (&[(A, with_job(Inactive)), (B, with_job(Failed))], Services::Off),
            (&[(PROMOTE, is(Active))], Services::Half),
            (&[(PROMOTE, is(Active)), (A, is(Active)), (B, is(Failed))], Services::Half),
            (&[(A, is(Activating))], Services::Half),
            (&[(PROMOTE, is(Activating)), (A, is(Inactive))], Services::Half),
            (&[(A, is(Active)), (B, is(Active))], Services::Off),
            (&[(TARGET, is(Inactive)), (A, is(Active))], Services::Off),
        ];
        for (told, holds) in table {
            assert_eq!(set().services(&units(told.iter().cloned())), holds, "{told:?}");
        }
        let any =
            [Services::Off, Services::Half, Services::Starting, Services::On, Services::Stopping].map(Services::is_any);
        assert_eq!(any, [false, true, true, true, true]);
    }

    #[test]
    fn what_is_up_without_its_target_is_told_when_nothing_is_on_its_way() {
        use ActiveState::{Activating, Active, Deactivating, Inactive};
        let down = || (TARGET, is(Inactive));
        let table: [(Told<'_>, Names); 9] = [
            (&[down(), (A, is(Active))], &[A]),
            (&[down(), (A, is(Active)), (B, is(Active)), (PROMOTE, is(Active))], &[A, B]),
            (&[down(), (A, is(Inactive)), (PROMOTE, is(Active))], &[]),
            (&[(A, is(Active))], &[]),
            (&[(TARGET, is(Active)), (A, is(Active))], &[]),
            (&[(TARGET, with_job(Inactive)), (A, is(Active))], &[]),
            (&[down(), (A, is(Active)), (B, with_job(Inactive))], &[]),
            (&[down(), (A, is(Active)), (B, is(Activating))], &[]),
            (&[down(), (A, is(Active)), (PROMOTE, is(Deactivating))], &[]),
        ];
        for (told, up) in table {
            let (set, units) = (set(), units(told.iter().cloned()));
            let said: Vec<&str> = set.up_without_target(&units).into_iter().map(UnitName::as_str).collect();
            assert_eq!(said, up, "{told:?}");
        }
    }

    #[test]
    fn a_promotion_that_could_not_be_ended_is_ours_and_not_held() {
        let told = |active| units([(PROMOTE, is(active)), (A, is(ActiveState::Active))]);
        let table = [
            (ActiveState::Active, true, true),
            (ActiveState::Failed, true, false),
            (ActiveState::Inactive, false, false),
            (ActiveState::Activating, false, false),
        ];
        for (active, promoted, holds) in table {
            let units = told(active.clone());
            assert_eq!((set().promoted(&units), set().holds_promotion(&units)), (promoted, holds), "{active}");
            assert!(!set().is_up(&units));
        }
        assert!(!set().promoted(&Units::default()) && !set().holds_promotion(&Units::default()));
        assert!(set().is_up(&units([(TARGET, is(ActiveState::Refreshing))])));
    }

    #[test]
    fn how_members_ended() {
        use ActiveState::{Activating, Active, Deactivating, Failed, Inactive};
        let bad = |unit: &str, why: &str| vec![(UnitName::new(unit), why.to_owned())];
        let of = |state: UnitState| units([(A, state), (PROMOTE, ended(Failed, "exit-code"))]);
        // How it is; what of it has failed, ended badly, ended badly and is down.
        let table = [
            (is(Failed), Some("failed"), None, None),
            (ended(Failed, "signal"), Some("signal"), Some("signal"), Some("signal")),
            (ended(Inactive, "signal"), None, Some("signal"), Some("signal")),
            (ended(Activating, "signal"), None, Some("signal"), Some("signal")),
            (ended(Active, "signal"), None, Some("signal"), None),
            (ended(Deactivating, "signal"), None, Some("signal"), None),
            (ended(Inactive, "success"), None, None, None),
            (ended(Inactive, "exec-condition"), None, None, None),
            (ended(Inactive, ""), None, None, None),
            (is(Inactive), None, None, None),
        ];
        for (state, failed, badly, down) in table {
            let units = of(state.clone());
            let wanted = |why: Option<&str>| why.map(|why| bad(A, why)).unwrap_or_default();
            assert_eq!(set().failed(&units), wanted(failed), "{state:?}");
            assert_eq!(set().ended_badly(&units), wanted(badly), "{state:?}");
            assert_eq!(set().ended_badly_and_down(&units), wanted(down), "{state:?}");
        }
    }

    #[test]
    fn what_is_down_and_what_has_to_be_reset() {
        use ActiveState::{Activating, Active, Failed, Inactive};
        let both = |a, b| units([(A, is(a)), (B, is(b))]);
        let table: [(Units, Names, bool); 5] = [
            (Units::default(), &[A, B], true),
            (both(Active, Active), &[], false),
            (both(Active, Inactive), &[B], true),
            (both(Failed, Active), &[A], true),
            (both(Activating, Active), &[A], false),
        ];
        for (units, down, incomplete) in table {
            assert_eq!(names(&set().not_up(&units)), down);
            assert_eq!(set().is_incomplete(&units), incomplete, "{units:?}");
        }
        let failed = units([(TARGET, is(Failed)), (PROMOTE, is(Failed)), (A, is(Inactive)), (B, is(Failed))]);
        assert_eq!(names(&set().to_reset(&failed)), [TARGET, PROMOTE, B]);
        assert_eq!(names(&set().to_reset(&both(Inactive, Active))), [""; 0]);
        assert_eq!(set().all().map(UnitName::as_str).collect::<Vec<_>>(), [TARGET, PROMOTE, A, B]);
    }

    #[test]
    fn what_cannot_be_started_is_said_with_why() {
        let load = |load| UnitState { load, ..UnitState::default() };
        let told = units([
            (TARGET, load(LoadState::BadSetting)),
            (PROMOTE, load(LoadState::Loaded)),
            (A, load(LoadState::NotFound)),
            (B, load(LoadState::Masked)),
        ]);
        let target = "drbd-services@r0.target has a bad setting: see systemctl status drbd-services@r0.target";
        let members = ["a.service does not exist", "b.mount is masked"];
        let all = |units: &Units, target_as| set().obstacles(units, target_as);
        let obstacles =
            |units: &Units, target_as| all(units, target_as).into_iter().map(|(_, why)| why).collect::<Vec<_>>();
        let kinds: Vec<Obstacle> = all(&told, Dependency::Requires).into_iter().map(|(obstacle, _)| obstacle).collect();
        let of = |kind, unit: &str| Obstacle { kind, unit: Some(unit.into()) };
        let (broken, masked) = (ObstacleKind::UnitBroken, ObstacleKind::UnitMasked);
        assert_eq!(kinds, [of(broken, TARGET), of(broken, A), of(masked, B)]);
        for needed in [Dependency::Requires, Dependency::BindsTo] {
            assert_eq!(obstacles(&told, needed), [target, members[0], members[1]]);
            assert_eq!(set().left_out(&told, needed), [""; 0]);
        }
        assert_eq!(obstacles(&told, Dependency::Wants), [target]);
        assert_eq!(set().left_out(&told, Dependency::Wants), members);
        let broken = units([(PROMOTE, load(LoadState::Error)), (A, load(LoadState::Stub))]);
        assert_eq!(obstacles(&broken, Dependency::Requires), ["systemd could not load drbd-promote@r0.service"]);
    }

    #[test]
    fn what_has_processes_and_runs_is_frozen() {
        let freezer = |freezer| UnitState { freezer, ..is(ActiveState::Active) };
        let exited = UnitState { sub: "exited".to_owned(), ..is(ActiveState::Active) };
        let table: [(UnitState, Names, Names, Names); 7] = [
            // How it is; what is to be frozen, what is frozen, what cannot be.
            (freezer(FreezerState::Running), &[A], &[], &[]),
            (freezer(FreezerState::Frozen), &[], &[A], &[]),
            (freezer(FreezerState::Freezing), &[], &[A], &[]),
            (freezer(FreezerState::Thawing), &[], &[], &[]),
            (exited, &[], &[], &[A]),
            (is(ActiveState::Inactive), &[], &[], &[]),
            (is(ActiveState::Activating), &[], &[], &[]),
        ];
        for (state, to_freeze, frozen, cannot) in table {
            let units = units([(A, state.clone()), (B, freezer(FreezerState::Running))]);
            assert_eq!(names(&set().to_freeze(&units)), to_freeze, "{state:?}");
            assert_eq!(names(&set().frozen(&units)), frozen, "{state:?}");
            assert_eq!(set().not_freezable(&units), cannot, "{state:?}");
        }
        assert_eq!(set().can_be_frozen().map(UnitName::as_str).collect::<Vec<_>>(), [A]);
        let more = UnitSet { members: ["x.scope", "y.slice", "z.timer"].map(UnitName::new).to_vec(), ..set() };
        let running = units(["x.scope", "y.slice", "z.timer"].map(|unit| (unit, freezer(FreezerState::Running))));
        assert_eq!(names(&more.to_freeze(&running)), ["x.scope", "y.slice"]);
        assert_eq!(more.not_freezable(&running), ["z.timer"]);
    }
}
