//! One node with a real core, and a test in the place of DRBD and systemd.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use reactor_core::action::{
    Action, ActionKind, AskTools, Call, ConnectionOptions, Done, DrbdAnswer, DrbdCall, DrbdOptions, Effect, Examine,
    FilesEnd, HandlerEnd, HandlerReport, LowerDevice, Outcome, UnitFinding, WriteFiles,
};
use reactor_core::core::Core;
use reactor_core::history::News;
use reactor_core::ids::{ActionId, Mono, ResourceName, UnitName};
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
use reactor_core::operator::{Memory, OperatorRequest, OperatorRequestId, OperatorVerb, WallClock};
use reactor_core::plugin::Host;
use reactor_core::plugin::promoter::report::{ResourceReport, StateWord};
use reactor_core::settings::promoter::{PromotedResource, StartEntry};
use reactor_core::settings::{Mode, PluginEntry, PluginSettings, PromoterSettings, Settings};
use reactor_core::subject::Subject;
use reactor_core::systemd::{ActiveState, BusEvent, BusState, FreezerState, UnitEnd, UnitNews, UnitState};

/// This node is n1 with node id 0; n2 has 1, n3 has 2.
pub(crate) struct World {
    pub(crate) core: Core,
    pub(crate) now: Mono,
    /// What was asked for and not yet looked at, as text.
    said: Vec<String>,
    pub(crate) actions: Vec<Action>,
    /// Calls to systemd whose outcome has not been given: what, id.
    open: Vec<(String, ActionId)>,
    units: BTreeMap<String, UnitState>,
    pub(crate) options: DrbdOptions,
    pub(crate) lower: Vec<LowerDevice>,
    /// Outcomes that the world gives by itself.
    pub(crate) answers: bool,
    /// Beginnings of what the world does not answer by itself even so, `adjust` for example.
    pub(crate) silent: Vec<&'static str>,
    /// What drbdadm says when it fails.
    pub(crate) tools_fail: Option<String>,
    pub(crate) remembered: BTreeMap<String, Memory>,
    /// What systemd and the journal say of units that are not up.
    pub(crate) findings: Vec<UnitFinding>,
    /// What was told for the history.
    pub(crate) news: Vec<News>,
}

/// Settings with one unit, `app.service`.
pub(crate) fn app() -> PromotedResource {
    units(&["app.service"])
}

pub(crate) fn units(start: &[&str]) -> PromotedResource {
    PromotedResource {
        start: start.iter().map(|unit| StartEntry::Unit((*unit).to_owned()).into()).collect(),
        head_start: false,
        ..PromotedResource::with_defaults(Mode::Native)
    }
}

pub(crate) fn compat() -> PromotedResource {
    PromotedResource {
        start: vec![StartEntry::Unit("app.service".to_owned()).into()],
        ..PromotedResource::with_defaults(Mode::DrbdReactor)
    }
}

/// A `[[promoter]]` table of this file.
pub(crate) fn table(file: &str, resources: &[(&str, PromotedResource)]) -> PluginEntry {
    let resources = resources.iter().map(|(name, settings)| (ResourceName::new(name), settings.clone())).collect();
    let settings = PluginSettings::Promoter(PromoterSettings { resources });
    PluginEntry { file: PathBuf::from(file), line: 1, settings }
}

pub(crate) fn settings(resources: &[(&str, PromotedResource)]) -> Settings {
    Settings::of_plugins(Mode::Native, vec![table("test.toml", resources)])
}

impl World {
    /// r0 with these settings; nothing is known of DRBD yet.
    pub(crate) fn new(r0: PromotedResource) -> Self {
        Self::with(&[("r0", r0)])
    }

    pub(crate) fn with(resources: &[(&str, PromotedResource)]) -> Self {
        Self::remembering(resources, Vec::new())
    }

    pub(crate) fn remembering(resources: &[(&str, PromotedResource)], memories: Vec<(ResourceName, Memory)>) -> Self {
        Self::built(Self::bare(), resources, memories)
    }

    /// The same in a world that was made different before anything is asked of it.
    pub(crate) fn where_(change: impl FnOnce(&mut Self), resources: &[(&str, PromotedResource)]) -> Self {
        let mut world = Self::bare();
        change(&mut world);
        Self::built(world, resources, Vec::new())
    }

    fn built(mut world: Self, resources: &[(&str, PromotedResource)], memories: Vec<(ResourceName, Memory)>) -> Self {
        world.step(&Input::Wall(WallClock { unix_ms: 1_800_000_000_000, utc_offset_s: 0 }));
        world.step(&Input::Remembered(memories));
        world.configure(&settings(resources));
        world.bus_up();
        world
    }

    /// The bus comes up, and systemd tells all units.
    pub(crate) fn bus_up(&mut self) {
        self.bus_up_but(&[]);
    }

    /// The bus comes up, and systemd tells all units but these.
    pub(crate) fn bus_up_but(&mut self, late: &[&str]) {
        self.step(&Input::Bus(BusEvent::Up));
        self.tell_units(late);
    }

    fn tell_units(&mut self, late: &[&str]) {
        let units = self.core.units().into_iter().filter(|unit| !late.contains(&unit.as_str()));
        let units: Vec<_> = units.filter(|unit| !self.core.node().units().is_told(unit.as_str())).collect();
        let state = |unit: &UnitName| self.units.get(unit.as_str()).cloned().unwrap_or_default();
        let news = units.into_iter().map(|unit| UnitNews { state: state(&unit), unit }).collect();
        self.step(&Input::Units(news));
    }

    /// Nothing but a core.
    pub(crate) fn bare() -> Self {
        let connection = || ConnectionOptions { fencing: Some("dont-care".to_owned()), ..ConnectionOptions::default() };
        let options = DrbdOptions {
            node_id: Some(0),
            quorum: Some("majority".to_owned()),
            connections: vec![connection(), connection()],
            ..DrbdOptions::default()
        };
        let mut world = Self {
            core: Core::new(),
            now: Mono(1_000_000_000),
            said: Vec::new(),
            actions: Vec::new(),
            open: Vec::new(),
            units: BTreeMap::new(),
            options,
            lower: vec![LowerDevice { path: Some("/dev/vg/r0".to_owned()), ready: true }],
            answers: true,
            silent: Vec::new(),
            tools_fail: None,
            remembered: BTreeMap::new(),
            findings: Vec::new(),
            news: Vec::new(),
        };
        world.core.set_host(Host { node: "n1".to_owned(), secrets: PathBuf::from("/run/secrets"), ..Host::default() });
        world
    }

    pub(crate) fn configure(&mut self, settings: &Settings) {
        let mut actions = Vec::new();
        self.core.configure(self.now, settings, &mut actions);
        self.news.extend_from_slice(self.core.news());
        let followed = self.core.units();
        self.core.forget_units(|unit| followed.contains(unit));
        self.take(actions);
        if *self.core.node().units().bus() == BusState::Up {
            self.tell_units(&[]);
        }
    }

    pub(crate) fn step(&mut self, input: &Input) {
        let mut actions = Vec::new();
        self.core.step(self.now, input, &mut actions);
        self.news.extend_from_slice(self.core.news());
        assert_eq!(self.core.counters().panics, 0, "{actions:?}");
        self.take(actions);
    }

    fn take(&mut self, actions: Vec<Action>) {
        for action in actions {
            assert!(!action.because.is_empty(), "every decision has a reason: {action:?}");
            let text = self.text(&action.kind);
            match &action.kind {
                ActionKind::Call(Call::Unit(_)) | ActionKind::Call(Call::Handler(_)) => {
                    self.open.push((text.clone(), action.id));
                }
                ActionKind::Effect(Effect::Remember { resource, memory }) => {
                    self.remembered.insert(resource.to_string(), memory.clone());
                }
                _ => {}
            }
            if let ActionKind::Call(Call::Unit(call)) = &action.kind {
                self.said.extend(call.reset.iter().map(|unit| format!("reset-failed {unit}")));
            }
            self.said.push(text);
            let answer = self.answer(&action);
            self.actions.push(action.clone());
            if let Some(outcome) = answer {
                self.step(&Input::Done(Done { id: action.id, outcome }));
            }
        }
    }

    /// What the world answers by itself: everything but starts, stops, freezes and thaws.
    fn answer(&mut self, action: &Action) -> Option<Outcome> {
        let text = self.text(&action.kind);
        if !self.answers {
            return None;
        }
        if self.silent.iter().any(|what| text.starts_with(what)) {
            if !matches!(action.kind, ActionKind::Call(Call::Unit(_)) | ActionKind::Call(Call::Handler(_))) {
                self.open.push((text, action.id));
            }
            return None;
        }
        Some(match &action.kind {
            ActionKind::Call(Call::Files(..)) => Outcome::Files(FilesEnd::Written),
            ActionKind::Call(Call::Drbd(AskTools { call: DrbdCall::Options, .. })) => {
                Outcome::Drbd(DrbdAnswer::Options(Box::new(self.options.clone())))
            }
            ActionKind::Call(Call::Drbd(..)) if self.tools_fail.is_some() => {
                Outcome::Drbd(DrbdAnswer::Failed { why: self.tools_fail.clone().unwrap_or_default() })
            }
            ActionKind::Call(Call::Drbd(AskTools { call: DrbdCall::LowerDevices, .. })) => {
                Outcome::Drbd(DrbdAnswer::LowerDevices(self.lower.clone()))
            }
            ActionKind::Call(Call::Drbd(..)) => Outcome::Drbd(DrbdAnswer::Done),
            ActionKind::Call(Call::Examine(..)) => Outcome::Examined(self.findings.clone()),
            ActionKind::Call(Call::Unit(call)) if call.unit.as_str().starts_with("drbd@") => {
                self.open.pop();
                Outcome::Unit(UnitEnd::Done)
            }
            _ => return None,
        })
    }

    fn text(&self, kind: &ActionKind) -> String {
        match kind {
            ActionKind::Call(Call::Unit(call)) => format!("{} {}", call.verb.as_str(), call.unit),
            ActionKind::Call(Call::Handler(run)) => format!("run {}", run.command),
            ActionKind::Call(Call::Files(WriteFiles { resource, .. })) => format!("files {resource}"),
            ActionKind::Effect(Effect::RetireFiles { resource }) => format!("retire {resource}"),
            ActionKind::Call(Call::Drbd(AskTools { resource, call: DrbdCall::Connect { peer } })) => {
                format!("connect {resource} to {peer}")
            }
            ActionKind::Call(Call::Drbd(AskTools { resource, call })) => format!("{} {resource}", call.as_str()),
            ActionKind::Call(Call::Examine(Examine { units, .. })) => {
                let units: Vec<&str> = units.iter().map(UnitName::as_str).collect();
                format!("examine {}", units.join(" "))
            }
            ActionKind::Effect(Effect::SyncJournal) => "sync-journal".to_owned(),
            ActionKind::Effect(Effect::Remember { resource, .. }) => format!("remember {resource}"),
            ActionKind::Effect(Effect::RememberDrain { drain }) => format!("remember drained {}", drain.is_some()),
            ActionKind::Effect(Effect::Note { level, text }) => format!("{level:?}: {text}"),
            ActionKind::Effect(Effect::AnswerOperator { answer, .. }) => format!("{answer:?}"),
            ActionKind::Effect(
                Effect::Print(_)
                | Effect::AnswerHelper { .. }
                | Effect::KeepIncidents(_)
                | Effect::Notify(_)
                | Effect::KeepStanding { .. },
            ) => {
                panic!("not a promoter's")
            }
        }
    }

    /// Everything that was asked for since the last look.
    pub(crate) fn all(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }

    /// What was asked of systemd, of a shell, and the stops, since the last look; not the preparation.
    pub(crate) fn said(&mut self) -> Vec<String> {
        let keep = |text: &String| {
            ["start ", "stop ", "freeze ", "thaw ", "run ", "adjust", "secondary"]
                .iter()
                .any(|word| text.starts_with(word) && !text.starts_with("start drbd@"))
        };
        self.all().into_iter().filter(keep).collect()
    }

    /// What was asked of DRBD's tools about connections since the last look.
    pub(crate) fn said_of_links(&mut self) -> Vec<String> {
        let keep = |text: &String| ["adjust", "connect"].iter().any(|word| text.starts_with(word));
        self.all().into_iter().filter(keep).collect()
    }

    /// The reasons of the last action that does `what`.
    pub(crate) fn why(&self, what: &str) -> String {
        let action = self.actions.iter().rev().find(|action| self.text(&action.kind).starts_with(what));
        let reasons = action.unwrap_or_else(|| panic!("nothing does {what}")).because.iter();
        reasons.map(|reason| reason.0.as_str()).collect::<Vec<_>>().join("; ")
    }

    /// Time passes; whatever is due on the way happens.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let until = self.now.after(duration);
        let mut at_once = 0;
        while let Some(at) = self.core.next_deadline().filter(|at| *at <= until) {
            at_once = if at > self.now { 0 } else { at_once + 1 };
            assert!(at_once < 100, "the core is woken again and again at {}", self.now);
            self.now = self.now.max(at);
            self.step(&Input::Tick);
        }
        self.now = until;
        self.step(&Input::Tick);
    }

    pub(crate) fn seconds(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    // DRBD

    pub(crate) fn source(&mut self, dialect: Dialect) {
        self.step(&Input::Source(
            SourceId::Drbd,
            SourceEvent::Started { command: "drbdsetup".to_owned(), dialect: Some(dialect) },
        ));
    }

    pub(crate) fn source_dies(&mut self) {
        self.step(&Input::Source(SourceId::Drbd, SourceEvent::Ended { why: "killed".to_owned() }));
    }

    /// Lines without an end of the burst.
    pub(crate) fn lines(&mut self, text: &str) {
        self.step(&Input::Lines(SourceId::Drbd, text.to_owned()));
    }

    /// One whole burst.
    pub(crate) fn burst(&mut self, text: &str) {
        self.lines(text);
        self.step(&Input::BurstEnd(SourceId::Drbd));
    }

    /// The first dump: r0 as Secondary, UpToDate, two connected Secondaries, `may_promote` as said.
    pub(crate) fn dump(&mut self, may: &str) {
        self.source(Dialect::Drbd9);
        self.burst(&format!("{}exists -\n", picture("exists", "r0", "Secondary", may)));
    }

    pub(crate) fn resource(&mut self, role: &str, may: &str) {
        self.burst(&resource("change", "r0", role, may));
    }

    // systemd

    pub(crate) fn unit(&mut self, unit: &str, change: impl FnOnce(&mut UnitState)) {
        let state = self.units.entry(unit.to_owned()).or_default();
        change(state);
        let news = UnitNews { unit: UnitName::new(unit), state: state.clone() };
        self.step(&Input::Units(vec![news]));
    }

    pub(crate) fn active(&mut self, unit: &str, active: ActiveState) {
        self.unit(unit, |state| {
            if active == ActiveState::Active {
                state.result = Some("success".to_owned());
            }
            state.active = active;
        });
    }

    pub(crate) fn frozen(&mut self, unit: &str, freezer: FreezerState) {
        self.unit(unit, |state| state.freezer = freezer);
    }

    /// The outcome of the last open call that does `what`.
    pub(crate) fn done(&mut self, what: &str, end: UnitEnd) {
        let at = self.open.iter().rposition(|(text, _)| text.starts_with(what));
        let (_, id) = self.open.remove(at.unwrap_or_else(|| panic!("nothing open does {what}: {:?}", self.open)));
        self.step(&Input::Done(Done { id, outcome: Outcome::Unit(end) }));
    }

    /// The last files that were asked for are there: an outcome that the world did not give by itself.
    pub(crate) fn files_written(&mut self) {
        let last = self.actions.iter().rev().find(|action| matches!(action.kind, ActionKind::Call(Call::Files(..))));
        let id = last.expect("files were asked for").id;
        self.step(&Input::Done(Done { id, outcome: Outcome::Files(FilesEnd::Written) }));
    }

    /// The outcome of an open call that is not one to systemd.
    pub(crate) fn ends(&mut self, what: &str, outcome: Outcome) {
        let at = self.open.iter().position(|(text, _)| text == what).unwrap_or_else(|| panic!("{what} is not open"));
        let (_, id) = self.open.remove(at);
        self.step(&Input::Done(Done { id, outcome }));
    }

    /// The end of the oldest open command.
    pub(crate) fn ran(&mut self, what: &str, code: i32) {
        let at = self.open.iter().position(|(text, _)| text == what).unwrap_or_else(|| panic!("{what} does not run"));
        let (_, id) = self.open.remove(at);
        let outcome = Outcome::Handler(HandlerReport {
            end: HandlerEnd::Exited(code),
            took: Duration::ZERO,
            stdout: String::new(),
            stderr: String::new(),
            output_cut_bytes: 0,
        });
        self.step(&Input::Done(Done { id, outcome }));
    }

    /// The start of r0 goes well: promoted, `app.service` and the target active.
    pub(crate) fn comes_up(&mut self) {
        self.comes_up_with(&["app.service"]);
    }

    pub(crate) fn comes_up_with(&mut self, members: &[&str]) {
        self.active("drbd-promote@r0.service", ActiveState::Active);
        self.resource("Primary", "no");
        for member in members {
            self.active(member, ActiveState::Active);
        }
        self.active("drbd-services@r0.target", ActiveState::Active);
        self.done("start drbd-services@r0.target", UnitEnd::Done);
        self.all();
    }

    /// A stop of r0 goes well, and leaves it promotable.
    pub(crate) fn goes_down(&mut self, may: &str) {
        self.active("drbd-services@r0.target", ActiveState::Inactive);
        self.active("app.service", ActiveState::Inactive);
        self.active("drbd-promote@r0.service", ActiveState::Inactive);
        self.resource("Secondary", may);
        self.done("stop drbd-services@r0.target", UnitEnd::Done);
    }

    /// Somebody stopped it, and it is promotable again.
    pub(crate) fn goes_down_by_itself(&mut self) {
        self.active("drbd-services@r0.target", ActiveState::Inactive);
        self.active("app.service", ActiveState::Inactive);
        self.active("drbd-promote@r0.service", ActiveState::Inactive);
        self.resource("Secondary", "yes");
    }

    /// The services of r0 end without anybody's asking for it.
    pub(crate) fn goes_away(&mut self, may: &str) {
        if self.units.get(TARGET).is_some_and(|unit| unit.active == ActiveState::Active) {
            self.active("app.service", ActiveState::Inactive);
            self.active(TARGET, ActiveState::Inactive);
            self.active("drbd-promote@r0.service", ActiveState::Inactive);
            self.resource("Secondary", may);
        }
    }

    /// A world whose r0 runs here.
    pub(crate) fn running(r0: PromotedResource) -> Self {
        let mut world = Self::new(r0);
        world.dump("yes");
        world.seconds(60);
        world.comes_up();
        world
    }

    // operators

    /// Something is asked of r0.
    pub(crate) fn operator(&mut self, verb: OperatorVerb) {
        self.asked(ResourceName::new("r0").into(), verb);
    }

    /// Something is asked of this node.
    pub(crate) fn node(&mut self, verb: OperatorVerb) {
        self.asked(Subject::Node, verb);
    }

    fn asked(&mut self, subject: Subject, verb: OperatorVerb) {
        let request = OperatorRequestId(1);
        self.step(&Input::Operator(OperatorRequest { request, subject, verb, who: "root".to_owned() }));
    }

    pub(crate) fn report(&self) -> ResourceReport {
        let first = self.core.promoted(self.now).remove(0).resource;
        let report = self.core.promoted_resource(self.now, &first).expect("it is promoted");
        // Whoever is told that it does not run here is told what to do about it.
        let keeps = matches!(report.state, StateWord::Preparing | StateWord::Standby) && !report.because.is_empty();
        assert!(!keeps || report.obstacle.is_some(), "{:?}: no kind for {:?}", report.state, report.because);
        report
    }

    /// What keeps r0 from being started here, and the unit that it is about.
    pub(crate) fn obstacle(&self) -> (&'static str, Option<String>) {
        let obstacle = self.report().obstacle.expect("something keeps it from being started");
        (obstacle.kind.as_str(), obstacle.unit.map(|unit| unit.to_string()))
    }

    /// State word and reasons of r0.
    pub(crate) fn state(&self) -> String {
        let report = self.report();
        let because: Vec<&str> = report.because.iter().map(|reason| reason.0.as_str()).collect();
        format!("{}: {}", report.state.as_str(), because.join("; "))
    }
}

pub(crate) const TARGET: &str = "drbd-services@r0.target";

/// One resource line.
pub(crate) fn resource(verb: &str, name: &str, role: &str, may: &str) -> String {
    format!(
        "{verb} resource name:{name} role:{role} suspended:no force-io-failures:no write-ordering:flush \
         may_promote:{may} promotion_score:10203\n"
    )
}

/// One device line.
pub(crate) fn device(name: &str, volume: u32, disk: &str, quorum: &str) -> String {
    device_as("change", name, volume, disk, quorum, "no")
}

pub(crate) fn device_as(verb: &str, name: &str, volume: u32, disk: &str, quorum: &str, client: &str) -> String {
    format!(
        "{verb} device name:{name} volume:{volume} minor:{} backing_dev:/dev/vg/{name} disk:{disk} client:{client} open:no \
         quorum:{quorum}\n",
        minor(name, volume)
    )
}

/// Minors are unique on a node: r0 has 0 and 1, r1 10 and 11, ...
fn minor(name: &str, volume: u32) -> u32 {
    name.trim_start_matches('r').parse::<u32>().unwrap_or(900) * 10 + volume
}

/// One connection line; n2 has node id 1, n3 has 2.
pub(crate) fn connection(name: &str, peer: u32, state: &str, role: &str) -> String {
    connection_as("change", name, peer, state, role)
}

fn connection_as(verb: &str, name: &str, peer: u32, state: &str, role: &str) -> String {
    format!(
        "{verb} connection name:{name} peer-node-id:{peer} conn-name:n{} connection:{state} role:{role} congested:no\n",
        peer + 1
    )
}

/// One peer device line.
pub(crate) fn peer_device(name: &str, peer: u32, volume: u32, replication: &str, disk: &str) -> String {
    peer_device_as("change", name, peer, volume, replication, disk)
}

fn peer_device_as(verb: &str, name: &str, peer: u32, volume: u32, replication: &str, disk: &str) -> String {
    format!(
        "{verb} peer-device name:{name} peer-node-id:{peer} conn-name:n{} volume:{volume} replication:{replication} \
         peer-disk:{disk} peer-client:no resync-suspended:no\n",
        peer + 1
    )
}

/// A resource with one volume and two peers, all well.
pub(crate) fn picture(verb: &str, name: &str, role: &str, may: &str) -> String {
    picture_of(verb, name, role, may, 1)
}

pub(crate) fn picture_of(verb: &str, name: &str, role: &str, may: &str, volumes: u32) -> String {
    let mut text = resource(verb, name, role, may);
    for peer in [1, 2] {
        text.push_str(&connection_as(verb, name, peer, "Connected", "Secondary"));
    }
    for volume in 0..volumes {
        text.push_str(&device_as(verb, name, volume, "UpToDate", "yes", "no"));
    }
    for peer in [1, 2] {
        for volume in 0..volumes {
            text.push_str(&peer_device_as(verb, name, peer, volume, "Established", "UpToDate"));
        }
    }
    text
}
