//! Time for each decision of the promoter, with a thousand promoted resources. The core alone, in this process: what is measured is one
//! step, from the lines of a burst to the actions that follow.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reactor_api::words::Event;
use reactor_core::action::{
    Action, ActionKind, AskTools, Call, Done, DrbdAnswer, DrbdCall, DrbdOptions, FilesEnd, LowerDevice, Outcome,
};
use reactor_core::core::Core;
use reactor_core::ids::{Mono, ResourceName, UnitName};
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
use reactor_core::plugin::promoter::forecast::Does;
use reactor_core::settings::promoter::{PromotedResource, PromoterSettings, StartEntry};
use reactor_core::settings::{Mode, PluginEntry, PluginSettings, Settings};
use reactor_core::systemd::{BusEvent, LoadState, UnitEnd, UnitNews, UnitState, UnitVerb};

use crate::report::{quantile, sorted, verdict};
use crate::setup::Setup;

const RESOURCES: usize = 1000;

/// So many for the plan of one of them: what it costs must not depend on the others.
const MANY: usize = 10_000;

/// Below this for one decision, microseconds.
const TARGET_US: f64 = 10.0;

/// The same for the copy of which a plan is made.
const TARGET_COPY_US: f64 = 50.0;

pub(crate) fn measure(setup: &Setup) -> Result<String> {
    let rounds = setup.choose(20, 3);
    let mut text = format!(
        "\nTime for each decision of the promoter, {RESOURCES} resources; {} each\n\n{:<52}{:>12}{:>12}{:>14}\n",
        rounds * RESOURCES as u64,
        "one burst, all steps until its start is asked for",
        "median us",
        "99 % us",
        "target"
    );
    let (mut idle, mut start, mut ten) = (Vec::new(), Vec::new(), Vec::new());
    let (mut copied, mut planned) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let mut bench = Bench::new(RESOURCES)?;
        idle.extend((0..RESOURCES).map(|index| bench.burst(&[index], false).0));
        bench.plans(&mut copied, &mut planned)?;
        for first in (0..RESOURCES - 10).step_by(10) {
            let (us, starts) = bench.burst(&[first], true);
            ensure!(starts == 1, "{starts} starts instead of one");
            start.push(us);
        }
        let all: Vec<usize> = (RESOURCES - 10..RESOURCES).collect();
        let (us, starts) = bench.burst(&all, true);
        ensure!(starts == 10, "{starts} starts instead of ten");
        ten.push(us);
    }
    let (mut copied_of_many, mut planned_of_many) = (Vec::new(), Vec::new());
    Bench::new(setup.choose(MANY, RESOURCES))?.plans(&mut copied_of_many, &mut planned_of_many)?;
    for (name, values, target) in [
        ("a resource that may not start: nothing to do", idle, Some(TARGET_US)),
        ("a resource that may start: reset, start", start, Some(TARGET_US)),
        ("ten at once: until the last start", ten, None),
        ("the plan of one resource: its copy, on the loop", copied, Some(TARGET_COPY_US)),
        ("the plan itself (its Primary dies), beside the loop", planned, None),
        ("the copy of one of 10000 resources, on the loop", copied_of_many, Some(TARGET_COPY_US)),
        ("the plan of one of 10000, beside the loop", planned_of_many, None),
    ] {
        let values = sorted(values);
        let median = quantile(&values, 0.5);
        let target = target.map_or(String::new(), |target| format!("<{target}{}", verdict(median, target)));
        text += &format!("{name:<52}{median:>12.2}{:>12.2}{target:>14}\n", quantile(&values, 0.99));
    }
    Ok(text)
}

struct Bench {
    core: Core,
    now: Mono,
    units: BTreeMap<UnitName, UnitState>,
}

impl Bench {
    /// All resources are prepared, Secondary, and cannot be promoted.
    fn new(resources: usize) -> Result<Self> {
        let mut bench = Self { core: Core::new(), now: Mono(1_000_000_000), units: BTreeMap::new() };
        let mut actions = Vec::new();
        bench.core.configure(bench.now, &settings(resources), &mut actions);
        for unit in bench.core.units() {
            bench.units.insert(unit, UnitState { load: LoadState::Loaded, ..UnitState::default() });
        }
        let news = bench.units.iter().map(|(unit, state)| UnitNews { unit: unit.clone(), state: state.clone() });
        let units = Input::Units(news.collect());
        let dump: String = (0..resources).map(|index| lines("exists", index, false)).collect();
        let source = SourceEvent::Started { command: "bench".to_owned(), dialect: Some(Dialect::Drbd9) };
        bench.answer(actions);
        for input in [
            units,
            Input::Bus(BusEvent::Up),
            Input::Source(SourceId::Drbd, source),
            Input::Lines(SourceId::Drbd, dump + "exists -\n"),
            Input::BurstEnd(SourceId::Drbd),
        ] {
            bench.step(&input);
        }
        let ready = bench.core.promoted(bench.now).iter().filter(|report| report.policy == "quorum").count();
        ensure!(ready == resources, "only {ready} resources are ready");
        Ok(bench)
    }

    /// One burst about some resources. Gives microseconds until nothing follows any more, and how many starts were asked for.
    fn burst(&mut self, indices: &[usize], may_promote: bool) -> (f64, usize) {
        self.now = self.now.after(Duration::from_millis(20));
        let text: String = indices.iter().map(|index| lines("change", *index, may_promote)).collect();
        let inputs = [Input::Lines(SourceId::Drbd, text), Input::BurstEnd(SourceId::Drbd)];
        let begin = Instant::now();
        let starts = inputs.iter().map(|input| self.step(input)).sum();
        (begin.elapsed().as_secs_f64() * 1e6, starts)
    }

    /// What the plan of each resource costs.
    fn plans(&self, copied: &mut Vec<f64>, planned: &mut Vec<f64>) -> Result<()> {
        for index in 0..self.core.promoted(self.now).len() {
            let (copy, plan) = self.plan(index)?;
            copied.push(copy);
            planned.push(plan);
        }
        Ok(())
    }

    /// What the plan of one resource costs, in microseconds: the copy, and what follows from it.
    fn plan(&self, index: usize) -> Result<(f64, f64)> {
        let name = ResourceName::new(&name(index));
        let event = Event::NodeDown("n1".to_owned());
        let begin = Instant::now();
        let what_if = self.core.what_if(self.now, &name).context("it is promoted")?;
        let copied = begin.elapsed();
        let does = what_if.forecast(Some(&event))?.does;
        ensure!(matches!(does, Does::Starts(_)), "{does:?} instead of a start");
        let all = begin.elapsed();
        Ok((copied.as_secs_f64() * 1e6, (all - copied).as_secs_f64() * 1e6))
    }

    fn step(&mut self, input: &Input) -> usize {
        let mut actions = Vec::new();
        self.core.step(self.now, input, &mut actions);
        self.answer(actions)
    }

    /// Answers everything but starts, which go on for ever; gives how many of these there were.
    fn answer(&mut self, mut actions: Vec<Action>) -> usize {
        let mut starts = 0;
        while let Some(action) = actions.pop() {
            let outcome = match action.kind {
                ActionKind::Call(Call::Unit(call)) if call.verb == UnitVerb::Start => {
                    starts += 1;
                    continue;
                }
                ActionKind::Call(Call::Unit(_)) => Outcome::Unit(UnitEnd::Done),
                ActionKind::Call(Call::Files(..)) => Outcome::Files(FilesEnd::Written),
                ActionKind::Call(Call::Drbd(AskTools { call, .. })) => Outcome::Drbd(answer(call)),
                ActionKind::Call(Call::Examine(..)) => Outcome::Examined(Vec::new()),
                _ => continue,
            };
            self.core.step(self.now, &Input::Done(Done { id: action.id, outcome }), &mut actions);
        }
        starts
    }
}

fn name(index: usize) -> String {
    format!("res-{index:04}")
}

/// A resource of three nodes, one volume.
fn lines(event: &str, index: usize, may_promote: bool) -> String {
    let name = name(index);
    let may = if may_promote { "yes" } else { "no" };
    let role = if may_promote { "Secondary" } else { "Primary" };
    let mut text = format!(
        "{event} resource name:{name} role:Secondary suspended:no force-io-failures:no may_promote:{may} promotion_score:10203\n"
    );
    for peer in 1..3 {
        let role = if peer == 1 { role } else { "Secondary" };
        text += &format!(
            "{event} connection name:{name} peer-node-id:{peer} conn-name:n{peer} connection:Connected role:{role}\n"
        );
    }
    text += &format!(
        "{event} device name:{name} volume:0 minor:{index} backing_dev:/dev/x disk:UpToDate client:no quorum:yes\n"
    );
    for peer in 1..3 {
        text += &format!(
            "{event} peer-device name:{name} peer-node-id:{peer} conn-name:n{peer} volume:0 replication:Established peer-disk:UpToDate peer-client:no resync-suspended:no\n"
        );
    }
    text
}

fn answer(call: DrbdCall) -> DrbdAnswer {
    match call {
        DrbdCall::Adjust | DrbdCall::AdjustLinks | DrbdCall::Connect { .. } | DrbdCall::SecondaryForce => {
            DrbdAnswer::Done
        }
        DrbdCall::LowerDevices => {
            DrbdAnswer::LowerDevices(vec![LowerDevice { path: Some("/dev/x".to_owned()), ready: true }])
        }
        DrbdCall::Options => DrbdAnswer::Options(Box::new(DrbdOptions {
            node_id: Some(0),
            auto_promote: Some(false),
            quorum: Some("majority".to_owned()),
            on_no_quorum: Some("io-error".to_owned()),
            ..DrbdOptions::default()
        })),
    }
}

fn settings(resources: usize) -> Settings {
    let resource = |index| {
        let start = vec![
            StartEntry::Unit(format!("{}.mount", name(index))).into(),
            StartEntry::Unit(format!("{}.service", name(index))).into(),
        ];
        (ResourceName::new(&name(index)), PromotedResource { start, head_start: false, ..PromotedResource::default() })
    };
    let promoter = PromoterSettings { resources: (0..resources).map(resource).collect() };
    Settings::of_plugins(
        Mode::Native,
        vec![PluginEntry { file: "bench.toml".into(), line: 1, settings: PluginSettings::Promoter(promoter) }],
    )
}
