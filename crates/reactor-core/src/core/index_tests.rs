//! A core that calls those whom its input concerns decides what a core decides that calls all.

use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;

use super::tests::promoter_of_r0;
use super::*;
use crate::action::{ActionKind, AskTools, Call, DrbdAnswer, DrbdCall, DrbdOptions, FilesEnd, Outcome};
use crate::input::{Dialect, SourceEvent, SourceId};
use crate::operator::{OperatorRequest, OperatorRequestId, OperatorVerb};
use crate::settings::promoter::{PromotedResource, StartEntry};
use crate::settings::{DebuggerSettings, PluginSettings, PromoterSettings};
use crate::systemd::{ActiveState, BusEvent, LoadState, UnitEnd, UnitNews, UnitState};

/// Resources of DRBD; the last two have no promoter.
const RESOURCES: usize = 7;
const PROMOTED: usize = 5;

/// One core that calls whom it must, and one that calls all.
struct Both {
    few: Core,
    all: Core,
    now: Mono,
    in_flight: Vec<Action>,
    stamp: usize,
}

fn name(number: usize) -> ResourceName {
    ResourceName::new(&format!("r{}", number % RESOURCES))
}

/// The resources shared out to tables, each of a file of its own; sometimes one is in two, and a debugger stands between them.
fn settings(how: usize) -> Settings {
    let tables = how % 4 + 1;
    let mut plugins = Vec::new();
    for table in 0..tables {
        let mine =
            |number: &usize| (number * (how / 4 % 3 + 1) + how / 12) % tables == table || (how / 7 % 5 == *number);
        let resource = |number: usize| {
            let unit = StartEntry::Unit(if how.is_multiple_of(3) {
                "shared.service".to_owned()
            } else {
                format!("u{number}.service")
            });
            let settings = PromotedResource {
                start: vec![unit.into()],
                head_start: how.is_multiple_of(2),
                ..PromotedResource::default()
            };
            (name(number), settings)
        };
        let resources = (0..PROMOTED).filter(mine).filter(|number| how % 11 != *number).map(resource).collect();
        plugins.push(PluginSettings::Promoter(PromoterSettings { resources }));
        if how / 4 % 2 == table {
            let detail = if how.is_multiple_of(2) { Detail::State } else { Detail::All };
            plugins.push(PluginSettings::Debugger(DebuggerSettings { detail }));
        }
    }
    let entry = |(number, settings)| PluginEntry { file: PathBuf::from(format!("{number}.toml")), line: 1, settings };
    Settings { plugins: plugins.into_iter().enumerate().map(entry).collect(), ..promoter_of_r0() }
}

/// A burst, or a part of it, about one resource.
fn lines(verb: &str, number: usize, how: usize) -> String {
    let name = name(number);
    let either = |bit: usize, a: &'static str, b: &'static str| if how >> bit & 1 == 0 { a } else { b };
    let mut text = format!("{verb} resource name:{name} role:{} suspended:no", either(0, "Secondary", "Primary"));
    if !how.is_multiple_of(7) {
        text += &format!(" may_promote:{}", either(1, "yes", "no"));
    }
    text.push('\n');
    if how & 4 == 0 {
        text += &format!(
            "{verb} device name:{name} volume:0 minor:{number} disk:{} quorum:{} read:{how} blocked:{}\n",
            either(3, "UpToDate", "Inconsistent"),
            either(4, "yes", "no"),
            either(5, "no", "upper")
        );
    }
    if how & 64 == 0 {
        let (connection, role) = (either(7, "Connected", "StandAlone"), either(8, "Secondary", "Primary"));
        text +=
            &format!("{verb} connection name:{name} peer-node-id:1 conn-name:b connection:{connection} role:{role}\n");
    }
    text
}

impl Both {
    fn new() -> Self {
        let all = Core { walk: true, ..Core::default() };
        Self { few: Core::new(), all, now: Mono(1), in_flight: Vec::new(), stamp: 0 }
    }

    fn agree(&mut self, actions: [Vec<Action>; 2]) {
        let [few, all] = actions;
        assert_eq!(few, all);
        let asked = self.few.instances.iter().filter_map(Instance::due).min();
        assert_eq!(self.few.next_deadline(), asked, "no deadline is lost, and none is kept that is over");
        assert_eq!(self.few.promoted(self.now), self.all.promoted(self.now));
        assert_eq!(self.few.counters(), self.all.counters());
        self.in_flight.extend(few.into_iter().filter(|action| matches!(action.kind, ActionKind::Call(_))));
    }

    fn step(&mut self, input: &Input) {
        let mut actions = [Vec::new(), Vec::new()];
        self.few.step(self.now, input, &mut actions[0]);
        self.all.step(self.now, input, &mut actions[1]);
        self.agree(actions);
    }

    fn configure(&mut self, how: usize) {
        let settings = settings(how);
        let mut actions = [Vec::new(), Vec::new()];
        self.few.configure(self.now, &settings, &mut actions[0]);
        self.all.configure(self.now, &settings, &mut actions[1]);
        self.agree(actions);
    }

    /// All of a plugin panics.
    fn panic(&mut self, which: usize) {
        for core in [&mut self.few, &mut self.all] {
            let mut instances = std::mem::take(&mut core.instances);
            let at = which % instances.len().max(1);
            if let Some(instance) = instances.get_mut(at) {
                core.panicked(instance, self.now, "out of paper".to_owned());
            }
            core.instances = instances;
        }
        self.agree([Vec::new(), Vec::new()]);
    }

    fn done(&mut self, which: usize, how: usize) {
        if self.in_flight.is_empty() {
            return;
        }
        let action = self.in_flight.remove(which % self.in_flight.len());
        let outcome = match &action.kind {
            ActionKind::Call(Call::Unit(_)) => Outcome::Unit(match how % 4 {
                0 => UnitEnd::TimedOut,
                1 => UnitEnd::Job("failed".to_owned()),
                _ => UnitEnd::Done,
            }),
            ActionKind::Call(Call::Files(..)) => Outcome::Files(FilesEnd::Written),
            ActionKind::Call(Call::Drbd(AskTools { call: DrbdCall::Options, .. })) => {
                Outcome::Drbd(DrbdAnswer::Options(Box::new(DrbdOptions {
                    node_id: Some(0),
                    quorum: Some("majority".to_owned()),
                    on_no_quorum: Some("io-error".to_owned()),
                    ..DrbdOptions::default()
                })))
            }
            ActionKind::Call(Call::Drbd(AskTools { call: DrbdCall::LowerDevices, .. })) => {
                Outcome::Drbd(DrbdAnswer::LowerDevices(Vec::new()))
            }
            ActionKind::Call(Call::Drbd(..)) if how.is_multiple_of(4) => {
                Outcome::Drbd(DrbdAnswer::Failed { why: "no".to_owned() })
            }
            ActionKind::Call(Call::Drbd(..)) => Outcome::Drbd(DrbdAnswer::Done),
            _ => Outcome::Examined(Vec::new()),
        };
        self.step(&Input::Done(Done { id: action.id, outcome }));
    }

    fn units(&mut self, which: usize, how: usize) {
        let units = self.few.units();
        assert_eq!(units, self.all.units());
        let active = ["inactive", "activating", "active", "failed"][how % 4];
        let state = UnitState {
            load: LoadState::Loaded,
            active: ActiveState::from(active),
            job: how & 4 != 0,
            ..UnitState::default()
        };
        // Some that stand together, all, or one that nobody follows.
        let count = if how & 8 == 0 { 1 + how % 3 } else { usize::MAX };
        let skip = which % (units.len() + 1);
        let stranger = [UnitName::new("stranger.service")];
        let told = units.iter().skip(skip).chain(&stranger).take(count);
        let news = told.map(|unit| UnitNews { unit: unit.clone(), state: state.clone() });
        self.step(&Input::Units(news.collect()));
    }

    fn happen(&mut self, what: u8, which: usize, how: usize) {
        match what {
            0..=5 => {
                // Bursts with stamps of their own, and those that go on.
                self.stamp += how % 2;
                let text = lines("change", which, how);
                let text: String = text
                    .lines()
                    .map(|line| format!("2026-11-28T10:00:{:02}.000000+00:00 {line}\n", self.stamp % 60))
                    .collect();
                self.step(&Input::Lines(
                    SourceId::Drbd,
                    if how.is_multiple_of(5) { lines("change", which, how) } else { text },
                ));
            }
            6..=8 => self.step(&Input::BurstEnd(SourceId::Drbd)),
            9..=14 => self.done(which, how),
            15..=18 => self.units(which, how),
            19..=21 => {
                let due = self.few.next_deadline().unwrap_or(self.now);
                self.now = Mono(self.now.0.max(due.0));
                self.step(&Input::Tick);
            }
            22 => {
                self.now = Mono(self.now.0 + how as u64 * 10_000_000);
                self.step(&Input::Tick);
            }
            23 => {
                let verb = match how % 3 {
                    0 => OperatorVerb::Hold { why: "cables".to_owned() },
                    1 => OperatorVerb::Release,
                    _ => OperatorVerb::Clear,
                };
                let (request, subject) = (OperatorRequestId(how as u64), name(which).into());
                self.step(&Input::Operator(OperatorRequest { request, subject, verb, who: "root".to_owned() }));
            }
            24 => self.step(&Input::Bus(if how.is_multiple_of(2) {
                BusEvent::Up
            } else {
                BusEvent::Down { why: "test".to_owned() }
            })),
            25 => self.step(&Input::Source(SourceId::Drbd, SourceEvent::Ended { why: "test".to_owned() })),
            26 => self.dump(how),
            27 => {
                let text = match how % 3 {
                    0 => format!("rename resource name:{} new_name:{}\n", name(which), name(how)),
                    _ => format!("destroy resource name:{}\n", name(which)),
                };
                self.step(&Input::Lines(SourceId::Drbd, text));
            }
            28 | 29 => self.configure(how),
            30 => self.panic(which),
            // I/O that becomes blocked, or is so no longer: no change, and a burst all the same.
            31 | 32 => {
                let (name, blocked) = (name(which), if how.is_multiple_of(2) { "upper" } else { "no" });
                let device =
                    format!("change device name:{name} volume:0 minor:{} blocked:{blocked}\n", which % RESOURCES);
                self.step(&Input::Lines(SourceId::Drbd, device));
                self.step(&Input::BurstEnd(SourceId::Drbd));
            }
            _ => {
                self.step(&Input::Remembered(vec![(
                    name(which),
                    Memory { frozen: how.is_multiple_of(2), ..Memory::default() },
                )]));
            }
        }
    }

    fn dump(&mut self, how: usize) {
        // DRBD 8.4 does not say who may promote: that is computed at the end of a burst, and told then.
        let dialect = if how % 3 == 2 { Dialect::Drbd84 } else { Dialect::Drbd9 };
        self.step(&Input::Source(
            SourceId::Drbd,
            SourceEvent::Started { command: "test".to_owned(), dialect: Some(dialect) },
        ));
        let text: String =
            (0..RESOURCES).map(|number| lines("exists", number, how.rotate_left(number as u32))).collect();
        self.step(&Input::Lines(SourceId::Drbd, text));
        if !how.is_multiple_of(5) {
            self.step(&Input::Lines(SourceId::Drbd, "exists -\n".to_owned()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_step_that_calls_whom_it_must_decides_what_a_walk_over_all_decides(
        first in 0..1000usize,
        story in vec((0..34u8, 0..64usize, 0..512usize), 1..80),
    ) {
        let mut both = Both::new();
        both.configure(first);
        both.step(&Input::Bus(BusEvent::Up));
        both.dump(1);
        both.units(0, 8);
        for (what, which, how) in story {
            both.happen(what, which, how);
        }
    }
}
