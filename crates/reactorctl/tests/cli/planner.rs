//! A core that has a promoter and has seen a recording: what a daemon makes its plans of.

use reactor_core::action::{
    Action, ActionKind, AskTools, Call, Done, DrbdAnswer, DrbdCall, DrbdOptions, FilesEnd, Outcome,
};
use reactor_core::core::Core;
use reactor_core::ids::{Mono, ResourceName};
use reactor_core::input::Input;
use reactor_core::plugin::Host;
use reactor_core::settings::promoter::{PromotedResource, StartEntry};
use reactor_core::settings::{Mode, PluginEntry, PluginSettings, PromoterSettings, Settings};
use reactor_core::systemd::{BusEvent, UnitNews, UnitState};
use reactor_sys::drbd::playback::Recording;

/// A core that promotes r1, and has seen `recording` to its end; and when that was.
pub(crate) fn planner(recording: &Recording, node: &str) -> (Core, Mono) {
    let mut core = Core::new();
    core.set_host(Host { node: node.to_owned(), ..Host::default() });
    let r1 = PromotedResource {
        start: vec![StartEntry::Unit("web.service".to_owned()).into()],
        preferred_nodes: vec!["n3".to_owned(), "n2".to_owned()],
        ..PromotedResource::with_defaults(Mode::Native)
    };
    let settings = PluginSettings::Promoter(PromoterSettings { resources: [(ResourceName::new("r1"), r1)].into() });
    let entry = PluginEntry { file: "r1.toml".into(), line: 1, settings };
    let mut asked = Vec::new();
    core.configure(Mono::ZERO, &Settings::of_plugins(Mode::Native, vec![entry]), &mut asked);
    let units = core.units().into_iter().map(|unit| UnitNews { unit, state: UnitState::default() }).collect();
    let beginning = [Input::Remembered(Vec::new()), Input::Bus(BusEvent::Up), Input::Units(units)];
    let mut last = Mono::ZERO;
    let steps = beginning.iter().map(|input| (Mono::ZERO, input)).chain(recording.steps());
    for (now, input) in steps {
        last = now;
        core.step(now, input, &mut asked);
        answer(&mut core, now, &mut asked);
    }
    (core, last)
}

/// What is asked for works; starts and stops are not waited for.
fn answer(core: &mut Core, now: Mono, asked: &mut Vec<Action>) {
    while let Some(action) = asked.pop() {
        let outcome = match &action.kind {
            ActionKind::Call(Call::Files(_)) => Outcome::Files(FilesEnd::Written),
            ActionKind::Call(Call::Drbd(AskTools { call: DrbdCall::LowerDevices, .. })) => {
                Outcome::Drbd(DrbdAnswer::LowerDevices(Vec::new()))
            }
            ActionKind::Call(Call::Drbd(AskTools { call: DrbdCall::Options, .. })) => {
                let majority = Some("majority".to_owned());
                Outcome::Drbd(DrbdAnswer::Options(Box::new(DrbdOptions { quorum: majority, ..DrbdOptions::default() })))
            }
            ActionKind::Call(Call::Drbd(_)) => Outcome::Drbd(DrbdAnswer::Done),
            _ => continue,
        };
        core.step(now, &Input::Done(Done { id: action.id, outcome }), asked);
    }
}
