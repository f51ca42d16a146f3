//! The stand-in for systemd and for DRBD's tools in a replay of DRBD's events alone.
//!
//! A recording of `drbdsetup events2` says what DRBD did, not what systemd did. So that people see what a promoter would have
//! decided, a small made-up world answers its calls, by these rules (docs/reactorctl.md has them too):
//!
//! - files are written, lower devices are there, `adjust` and the forced demotion succeed, all at once;
//! - DRBD's options are those of `FILE.show.json` beside the recording (what `drbdsetup show --show-defaults --json` printed), else
//!   `quorum majority` and `on-no-quorum io-error`, `auto-promote no`;
//! - all units exist and are inactive at the beginning;
//! - a start ends as the recording says: when this node is Primary, all units are active; when a peer is, the promotion was lost;
//!   when neither comes within 30 s, it was lost too;
//! - a stop is done at once; when the recording demotes this node, the units are inactive as well;
//! - what is frozen or thawed is so at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reactor_core::action::{
    ActionKind, AskTools, Call, Done, DrbdAnswer, DrbdCall, DrbdOptions, FilesEnd, LowerDevice, Outcome, UnitCall,
};
use reactor_core::core::Core;
use reactor_core::drbd::types::Role;
use reactor_core::ids::{ActionId, Mono, ResourceName, UnitName};
use reactor_core::input::Input;
use reactor_core::plugin::promoter::units;
use reactor_core::systemd::{ActiveState, BusEvent, FreezerState, LoadState, UnitEnd, UnitNews, UnitState, UnitVerb};
use reactor_sys::drbd::options::from_json;

/// How long a start waits for the recording to say how it went.
const PATIENCE: Duration = Duration::from_secs(30);

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct World {
    units: BTreeMap<UnitName, UnitState>,
    /// The units of each resource: target, promotion, what `start` lists.
    of: BTreeMap<ResourceName, Vec<UnitName>>,
    /// Starts that wait for the recording.
    starting: BTreeMap<ResourceName, (ActionId, Mono)>,
    was_primary: BTreeSet<ResourceName>,
    /// What `drbdsetup show` printed, if that is known.
    shown: Vec<String>,
    told: bool,
}

/// How a start ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Promoted,
    Lost,
}

impl World {
    /// What is told before the recording begins. `shown` is what `drbdsetup show` printed there, if that is known.
    pub(super) fn begin(&mut self, core: &Core, shown: Vec<String>) -> Vec<Input> {
        self.shown = shown;
        for report in core.promoted(Mono::ZERO) {
            let members = report.units.into_iter().map(|unit| unit.unit);
            let own = [report.target, units::promote(&report.resource)];
            self.of.insert(report.resource, own.into_iter().chain(members).collect());
        }
        for unit in core.units() {
            let state = UnitState {
                load: LoadState::Loaded,
                sub: "dead".to_owned(),
                unit_file: "static".to_owned(),
                ..UnitState::default()
            };
            self.units.insert(unit, state);
        }
        self.told = true;
        let all = self.units.keys().cloned().collect::<Vec<_>>();
        vec![self.news(all), Input::Bus(BusEvent::Up)]
    }

    /// Whether it plays.
    pub(super) fn is_playing(&self) -> bool {
        self.told
    }

    /// Carries out a kind: what follows at once.
    pub(super) fn carry_out(&mut self, now: Mono, id: ActionId, kind: &ActionKind) -> Vec<Input> {
        let done = |outcome| Input::Done(Done { id, outcome });
        match kind {
            ActionKind::Call(Call::Files(..)) => vec![done(Outcome::Files(FilesEnd::Written))],
            ActionKind::Call(Call::Drbd(AskTools { resource, call })) => {
                vec![done(Outcome::Drbd(self.answer(resource, *call)))]
            }
            ActionKind::Call(Call::Unit(call)) => self.unit(now, id, call),
            // A recording does not say what units printed.
            ActionKind::Call(Call::Examine(..)) => vec![done(Outcome::Examined(Vec::new()))],
            _ => Vec::new(),
        }
    }

    fn unit(&mut self, now: Mono, id: ActionId, call: &UnitCall) -> Vec<Input> {
        let done = |end| Input::Done(Done { id, outcome: Outcome::Unit(end) });
        let mut inputs = Vec::new();
        match call.verb {
            UnitVerb::Start => {
                for unit in &call.reset {
                    inputs.push(self.set_one(unit, |state| {
                        if state.active == ActiveState::Failed {
                            inactive(state);
                        }
                    }));
                }
                self.starting.insert(call.resource.clone(), (id, now.after(PATIENCE)));
                inputs.push(self.set(&call.resource, |position, state| {
                    state.job = position == 0;
                }));
                return inputs;
            }
            UnitVerb::Stop => {
                if let Some((start, _)) = self.starting.remove(&call.resource) {
                    let outcome = Outcome::Unit(UnitEnd::Job("canceled".to_owned()));
                    inputs.push(Input::Done(Done { id: start, outcome }));
                }
                inputs.push(self.set(&call.resource, |_, state| inactive(state)));
            }
            UnitVerb::Freeze => inputs.push(self.set_one(&call.unit, |state| state.freezer = FreezerState::Frozen)),
            UnitVerb::Thaw => inputs.push(self.set_one(&call.unit, |state| state.freezer = FreezerState::Running)),
        }
        inputs.push(done(UnitEnd::Done));
        inputs
    }

    /// What follows from what the recording says now.
    pub(super) fn look(&mut self, now: Mono, core: &Core) -> Vec<Input> {
        let mut inputs = Vec::new();
        let names: Vec<ResourceName> = self.of.keys().cloned().collect();
        for name in names {
            let Some(resource) = core.node().resource(name.as_str()) else { continue };
            let primary = resource.state.role == Role::Primary;
            let peer_is_primary =
                resource.connections.values().any(|connection| connection.state.peer_role == Role::Primary);
            let demoted = !primary && self.was_primary.remove(&name);
            if primary {
                self.was_primary.insert(name.clone());
            }
            let until = self.starting.get(&name).map(|(_, until)| *until);
            let ending = match until {
                Some(_) if primary => Some(Ending::Promoted),
                Some(until) if peer_is_primary || until <= now => Some(Ending::Lost),
                _ => None,
            };
            if let Some(ending) = ending {
                inputs.extend(self.end_start(&name, ending));
            } else if demoted && until.is_none() {
                inputs.push(self.set(&name, |_, state| inactive(state)));
            }
        }
        inputs
    }

    /// When [`look`](Self::look) has something to say at the latest.
    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.starting.values().map(|(_, until)| *until).min()
    }

    fn end_start(&mut self, name: &ResourceName, ending: Ending) -> Vec<Input> {
        let Some((id, _)) = self.starting.remove(name) else { return Vec::new() };
        let (units, end) = match ending {
            Ending::Promoted => (
                self.set(name, |_, state| {
                    state.active = ActiveState::Active;
                    state.sub = "active".to_owned();
                    state.result = None;
                    state.job = false;
                }),
                UnitEnd::Done,
            ),
            Ending::Lost => (self.set(name, |_, state| inactive(state)), UnitEnd::Job("dependency".to_owned())),
        };
        vec![units, Input::Done(Done { id, outcome: Outcome::Unit(end) })]
    }

    /// Changes every unit of a resource; `change` gets its position: 0 = the target.
    fn set(&mut self, name: &ResourceName, change: impl Fn(usize, &mut UnitState)) -> Input {
        let units = self.of.get(name).cloned().unwrap_or_default();
        for (position, unit) in units.iter().enumerate() {
            if let Some(state) = self.units.get_mut(unit) {
                change(position, state);
            }
        }
        self.news(units)
    }

    fn set_one(&mut self, unit: &UnitName, change: impl Fn(&mut UnitState)) -> Input {
        if let Some(state) = self.units.get_mut(unit) {
            change(state);
        }
        self.news(vec![unit.clone()])
    }

    fn answer(&self, resource: &ResourceName, call: DrbdCall) -> DrbdAnswer {
        match call {
            DrbdCall::Adjust | DrbdCall::AdjustLinks | DrbdCall::Connect { .. } | DrbdCall::SecondaryForce => {
                DrbdAnswer::Done
            }
            DrbdCall::LowerDevices => {
                DrbdAnswer::LowerDevices(vec![LowerDevice { path: Some("/dev/stand-in".to_owned()), ready: true }])
            }
            DrbdCall::Options => {
                let shown = self.shown.iter().find_map(|text| from_json(text, resource.as_str()));
                DrbdAnswer::Options(Box::new(shown.unwrap_or_else(usual_options)))
            }
        }
    }

    fn news(&self, units: Vec<UnitName>) -> Input {
        let told = |unit: UnitName| Some(UnitNews { state: self.units.get(&unit)?.clone(), unit });
        Input::Units(units.into_iter().filter_map(told).collect())
    }
}

fn inactive(state: &mut UnitState) {
    state.active = ActiveState::Inactive;
    state.sub = "dead".to_owned();
    state.freezer = FreezerState::Running;
    state.result = None;
    state.job = false;
}

fn usual_options() -> DrbdOptions {
    DrbdOptions {
        auto_promote: Some(false),
        quorum: Some("majority".to_owned()),
        on_no_quorum: Some("io-error".to_owned()),
        on_no_data_accessible: Some("io-error".to_owned()),
        ..DrbdOptions::default()
    }
}
