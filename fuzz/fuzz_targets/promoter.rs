//! A promoter on one node: what DRBD says, units, outcomes, requests of people, reloads and time, in any order. Each byte chooses what happens
//! next. Besides the core's own invariants, which this build checks after each step, the ones of [`Ground::check`] hold.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use reactor_core::action::{Action, AskTools, Call, ConnectionOptions, ActionKind, Done, DrbdAnswer, DrbdCall, DrbdOptions, Effect, FilesEnd, HandlerEnd, HandlerReport, LowerDevice, Outcome};
use reactor_core::core::Core;
use reactor_core::ids::{ActionId, Mono, ResourceName};
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
use reactor_core::operator::{OperatorAnswer, OperatorRequest, OperatorRequestId, OperatorVerb, WallClock};
use reactor_core::plugin::Host;
use reactor_core::settings::promoter::{
    Entry, OnDiskDetach, OnQuorumLoss, OnServiceFailure, PromotedResource, RepairLinks, Runner, StartEntry, SyncSettings,
};
use reactor_core::settings::{Mode, PluginEntry, PluginSettings, PromoterSettings, Settings};
use reactor_core::subject::Subject;
use reactor_core::systemd::{ActiveState, BusEvent, FreezerState, LoadState, UnitEnd, UnitNews, UnitState, UnitVerb};

const RESOURCE: &str = "r0";
const TARGET: &str = "drbd-services@r0.target";
const ROLES: [&str; 3] = ["Secondary", "Primary", "Unknown"];
const DISKS: [&str; 7] = ["UpToDate", "Outdated", "Inconsistent", "Diskless", "Consistent", "Attaching", "Negotiating"];
const LINKS: [&str; 5] = ["Connected", "StandAlone", "Connecting", "Unconnected", "BrokenPipe"];
const SUSPENDED: [&str; 5] = ["no", "user", "no-data", "quorum", "fencing"];
const YES: [&str; 2] = ["yes", "no"];
const ACTIVE: [ActiveState; 5] = [
    ActiveState::Active,
    ActiveState::Inactive,
    ActiveState::Failed,
    ActiveState::Activating,
    ActiveState::Deactivating,
];
const FREEZER: [FreezerState; 3] = [FreezerState::Running, FreezerState::Frozen, FreezerState::Freezing];
const LOAD: [LoadState; 3] = [LoadState::Loaded, LoadState::Masked, LoadState::NotFound];
const SECONDS: [u64; 8] = [0, 1, 2, 5, 10, 30, 90, 700];

/// What is still to be chosen; zeros when there is nothing left.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[usize::from(self.byte()) % of.len()].clone()
    }

    fn yes(&mut self) -> bool {
        self.byte() & 1 == 1
    }
}

/// DRBD as this node has it: one volume, two peers.
#[derive(Clone)]
struct Drbd {
    exists: bool,
    role: &'static str,
    may_promote: &'static str,
    suspended: &'static str,
    disk: &'static str,
    quorum: &'static str,
    blocked: &'static str,
    peers: [Peer; 2],
}

#[derive(Clone)]
struct Peer {
    link: &'static str,
    role: &'static str,
    disk: &'static str,
}

impl Drbd {
    fn new() -> Self {
        let peer = Peer { link: "Connected", role: "Secondary", disk: "UpToDate" };
        Self {
            exists: true,
            role: "Secondary",
            may_promote: "yes",
            suspended: "no",
            disk: "UpToDate",
            quorum: "yes",
            blocked: "no",
            peers: [peer.clone(), peer],
        }
    }

    /// Every object, as lines of events2.
    fn lines(&self, event: &str) -> String {
        let mut text = String::new();
        if !self.exists {
            return text;
        }
        let Self { role, may_promote, suspended, disk, quorum, blocked, .. } = self;
        let _ = writeln!(
            text,
            "{event} resource name:{RESOURCE} role:{role} suspended:{suspended} force-io-failures:no may_promote:{may_promote} promotion_score:10101"
        );
        let _ = writeln!(
            text,
            "{event} device name:{RESOURCE} volume:0 minor:1 backing_dev:/dev/vg/r0 disk:{disk} client:no quorum:{quorum} blocked:{blocked}"
        );
        for (id, Peer { link, role, disk }) in (1..).zip(&self.peers) {
            let of = format!("name:{RESOURCE} peer-node-id:{id} conn-name:n{}", id + 1);
            let _ = writeln!(text, "{event} connection {of} connection:{link} role:{role} congested:no");
            let _ = writeln!(
                text,
                "{event} peer-device {of} volume:0 replication:Established peer-disk:{disk} peer-client:no resync-suspended:no"
            );
        }
        text
    }

    fn change(&mut self, choices: &mut Choices<'_>) {
        match choices.byte() % 10 {
            0 => self.role = choices.one(&ROLES[..2]),
            1 => self.may_promote = choices.one(&YES),
            2 => self.suspended = choices.one(&SUSPENDED),
            3 => self.disk = choices.one(&DISKS),
            4 => self.quorum = choices.one(&YES),
            5 => self.blocked = choices.one(&["no", "upper", "lower"]),
            field => {
                let peer = &mut self.peers[usize::from(field & 1)];
                match choices.byte() % 3 {
                    0 => peer.link = choices.one(&LINKS),
                    1 => peer.role = choices.one(&ROLES),
                    _ => peer.disk = choices.one(&["UpToDate", "Outdated", "Inconsistent", "DUnknown", "Diskless"]),
                }
            }
        }
    }
}

/// The node.
struct Ground {
    core: Core,
    now: Mono,
    drbd: Drbd,
    /// What DRBD is heard of, and systemd.
    source: bool,
    bus: bool,
    /// In force, as the operator was answered.
    /// Hands off, as an operator said.
    held: bool,
    /// An operator has stopped it.
    stopped: bool,
    /// An operator has drained this node.
    drained: bool,
    /// Asked for, and without an outcome yet.
    open: BTreeMap<ActionId, ActionKind>,
    /// Who runs it; none = it is not configured.
    runner: Option<Runner>,
    /// Cancelled by a stop, or asked for before a reload that took it out or gave it another runner: it may be asked for again.
    before: BTreeSet<ActionId>,
    requests: BTreeMap<OperatorRequestId, OperatorVerb>,
    next_request: u64,
    options: DrbdOptions,
    /// With `FUZZ_TELL` set all that happens is printed.
    tells: bool,
}

fn settings(choices: &mut Choices<'_>) -> Settings {
    let mode = choices.one(&[Mode::Native, Mode::DrbdReactor]);
    let unit = |name: &str| Entry::from(StartEntry::Unit(name.to_owned()));
    let mut resource = PromotedResource {
        start: vec![unit("srv.mount"), unit("app.service")],
        ..PromotedResource::with_defaults(mode)
    };
    let bits = choices.byte();
    let is = |bit: u8| bits & (1 << bit) != 0;
    if is(0) {
        resource.start.pop();
    }
    if is(1) {
        resource.on_quorum_loss = OnQuorumLoss::Freeze;
        resource.freeze_timeout = is(2).then_some(Duration::from_secs(30));
    }
    if is(3) {
        resource.runner = Runner::Shell;
        resource.start = vec![unit("true")];
    }
    if is(4) {
        resource.on_service_failure = OnServiceFailure::Move;
    }
    if is(5) {
        resource.on_disk_detach = OnDiskDetach::FailOver;
    }
    if is(6) {
        resource.preferred_nodes = vec!["n2".to_owned(), "n1".to_owned()];
    }
    if is(7) {
        resource.stop_services_on_exit = true;
        resource.repair_links = RepairLinks::Off;
    }
    let mut resources = BTreeMap::new();
    let more = choices.byte();
    if more & 8 != 0 {
        let every = Some(Duration::from_secs(60));
        resource.sync = Some(SyncSettings { nodes: vec!["n2".to_owned()], every, ..SyncSettings::default() });
    }
    if more % 8 != 7 {
        resources.insert(ResourceName::new(RESOURCE), resource);
    }
    Settings::of_plugins(
        mode,
        vec![PluginEntry {
            file: PathBuf::from("fuzz.toml"),
            line: 1,
            settings: PluginSettings::Promoter(PromoterSettings { resources }),
        }],
    )
}

impl Ground {
    fn new(choices: &mut Choices<'_>) -> Self {
        let connection = || ConnectionOptions { fencing: Some("dont-care".to_owned()), ..ConnectionOptions::default() };
        let mut ground = Self {
            core: Core::new(),
            now: Mono(1_000_000_000),
            drbd: Drbd::new(),
            source: false,
            bus: false,
            held: false,
            stopped: false,
            drained: false,
            open: BTreeMap::new(),
            runner: None,
            before: BTreeSet::new(),
            requests: BTreeMap::new(),
            next_request: 0,
            options: DrbdOptions {
                node_id: Some(0),
                quorum: Some("majority".to_owned()),
                connections: vec![connection(), connection()],
                ..DrbdOptions::default()
            },
            tells: false,
        };
        ground.tells = std::env::var_os("FUZZ_TELL").is_some();
        ground.core.set_host(Host { node: "n1".to_owned(), ..Host::default() });
        ground.step(&Input::Wall(WallClock { unix_ms: 1_800_000_000_000, utc_offset_s: 0 }));
        ground.step(&Input::Remembered(Vec::new()));
        ground.configure(choices);
        ground.toggle_source();
        ground.toggle_bus();
        ground
    }

    fn step(&mut self, input: &Input) {
        if self.tells {
            eprintln!("{:>12.3} {input:?}", self.now.0 as f64 / 1e9);
        }
        let mut actions = Vec::new();
        self.core.step(self.now, input, &mut actions);
        self.take(actions);
    }

    fn configure(&mut self, choices: &mut Choices<'_>) {
        let mut actions = Vec::new();
        let settings = settings(choices);
        let PluginSettings::Promoter(promoter) = &settings.plugins[0].settings else { unreachable!("it is one") };
        let runner = promoter.resources.get(RESOURCE).map(|resource| resource.runner);
        if runner != std::mem::replace(&mut self.runner, runner) {
            self.before.extend(self.open.keys());
        }
        self.core.configure(self.now, &settings, &mut actions);
        let followed = self.core.units();
        self.core.forget_units(|unit| followed.contains(unit));
        self.take(actions);
        self.tell_units(false);
    }

    fn toggle_source(&mut self) {
        self.source = !self.source;
        if !self.source {
            return self.step(&Input::Source(SourceId::Drbd, SourceEvent::Ended { why: "fuzz".to_owned() }));
        }
        self.step(&Input::Source(SourceId::Drbd, SourceEvent::Started { command: "fuzz".to_owned(), dialect: Some(Dialect::Drbd9) }));
        self.step(&Input::Lines(SourceId::Drbd, format!("{}exists -\n", self.drbd.lines("exists"))));
        self.step(&Input::BurstEnd(SourceId::Drbd));
    }

    fn toggle_bus(&mut self) {
        self.bus = !self.bus;
        if !self.bus {
            return self.step(&Input::Bus(BusEvent::Down { why: "fuzz".to_owned() }));
        }
        self.step(&Input::Bus(BusEvent::Up));
        self.tell_units(true);
    }

    /// The units that were not told yet, or all, as they are.
    fn tell_units(&mut self, all: bool) {
        if !self.bus {
            return;
        }
        let units = self.core.units();
        let news = units.into_iter().filter(|unit| all || !self.core.node().units().is_told(unit.as_str()));
        let state = |unit: &str| self.core.node().units().get(unit).cloned().unwrap_or_default();
        let news: Vec<_> = news.map(|unit| UnitNews { state: state(unit.as_str()), unit }).collect();
        self.step(&Input::Units(news));
    }

    fn change_unit(&mut self, choices: &mut Choices<'_>) {
        let units = self.core.units();
        if !self.bus || units.is_empty() {
            return;
        }
        let unit = choices.one(&units);
        let bits = choices.byte();
        let state = UnitState {
            load: if bits & 1 == 0 { LoadState::Loaded } else { choices.one(&LOAD) },
            active: choices.one(&ACTIVE),
            freezer: if bits & 2 == 0 { FreezerState::Running } else { choices.one(&FREEZER) },
            result: Some(if bits & 4 == 0 { "success" } else { "exit-code" }.to_owned()),
            job: bits & 8 != 0,
            ..UnitState::default()
        };
        self.step(&Input::Units(vec![UnitNews { unit, state }]));
    }

    fn give_outcome(&mut self, choices: &mut Choices<'_>) {
        let ids: Vec<ActionId> = self.open.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let id = choices.one(&ids);
        let Some(kind) = self.open.remove(&id) else { return };
        let good = choices.yes();
        let failed = || DrbdAnswer::Failed { why: "fuzz".to_owned() };
        let outcome = match kind {
            ActionKind::Call(Call::Unit(call)) => {
                if good && self.bus {
                    self.follow(&call.unit.as_str().to_owned(), call.verb);
                }
                Outcome::Unit(match (good, choices.byte() % 3) {
                    (true, _) => UnitEnd::Done,
                    (false, 0) => UnitEnd::Job("failed".to_owned()),
                    (false, 1) => UnitEnd::TimedOut,
                    (false, _) => UnitEnd::Refused { error: "fuzz.Error".to_owned(), message: "fuzz".to_owned() },
                })
            }
            ActionKind::Call(Call::Handler(_)) => Outcome::Handler(HandlerReport {
                end: HandlerEnd::Exited(i32::from(!good)),
                took: Duration::ZERO,
                // Of files that were sent to another node; nobody reads it of other commands.
                stdout: format!(r#"{{"nodes":[{{"node":"n2","state":"{}"}}]}}"#, if good { "sent" } else { "differs" }),
                stderr: String::new(),
                output_cut_bytes: 0,
            }),
            ActionKind::Call(Call::Files(..)) if good => Outcome::Files(FilesEnd::Written),
            ActionKind::Call(Call::Files(..)) => Outcome::Files(FilesEnd::Failed { why: "fuzz".to_owned() }),
            ActionKind::Call(Call::Drbd(..)) if !good => Outcome::Drbd(failed()),
            ActionKind::Call(Call::Drbd(AskTools { call: DrbdCall::Options, .. })) => {
                Outcome::Drbd(DrbdAnswer::Options(Box::new(self.options.clone())))
            }
            ActionKind::Call(Call::Drbd(AskTools { call: DrbdCall::LowerDevices, .. })) => {
                Outcome::Drbd(DrbdAnswer::LowerDevices(vec![LowerDevice {
                    path: Some("/dev/vg/r0".to_owned()),
                    ready: choices.yes(),
                }]))
            }
            ActionKind::Call(Call::Drbd(..)) => Outcome::Drbd(DrbdAnswer::Done),
            ActionKind::Call(Call::Examine(..)) => Outcome::Examined(Vec::new()),
            _ => unreachable!("it has an outcome"),
        };
        self.step(&Input::Done(Done { id, outcome }));
    }

    /// systemd does what it was asked to.
    fn follow(&mut self, unit: &str, verb: UnitVerb) {
        let mut state = self.core.node().units().get(unit).cloned().unwrap_or_default();
        match verb {
            UnitVerb::Start => (state.active, state.load) = (ActiveState::Active, LoadState::Loaded),
            UnitVerb::Stop => state.active = ActiveState::Inactive,
            UnitVerb::Freeze => state.freezer = FreezerState::Frozen,
            UnitVerb::Thaw => state.freezer = FreezerState::Running,
        }
        let Some(unit) = self.core.units().into_iter().find(|one| one.as_str() == unit) else { return };
        self.step(&Input::Units(vec![UnitNews { unit, state }]));
    }

    fn ask(&mut self, choices: &mut Choices<'_>) {
        let why = "fuzz".to_owned();
        let verb = match choices.byte() % 8 {
            0 => OperatorVerb::Hold { why },
            1 => OperatorVerb::Stop { why },
            2 => OperatorVerb::Yield { why, to: None, limit: 1 + u64::from(choices.byte() % 60), restarts: false },
            3 => {
                let byte = choices.byte();
                let (to, limit) = (Some("n2".to_owned()), 1 + u64::from(byte % 60));
                OperatorVerb::Yield { why, to, limit, restarts: byte > 127 }
            }
            4 => OperatorVerb::Clear,
            5 => OperatorVerb::Drain { why },
            6 => OperatorVerb::Undrain,
            _ => OperatorVerb::Release,
        };
        let is_of_node = matches!(verb, OperatorVerb::Drain { .. } | OperatorVerb::Undrain);
        let drains = matches!(verb, OperatorVerb::Drain { .. });
        // What follows of it is asked for before it is answered.
        self.drained &= !is_of_node;
        let request = OperatorRequestId(self.next_request);
        self.next_request += 1;
        self.requests.insert(request, verb.clone());
        let subject = if is_of_node { Subject::Node } else { ResourceName::new(RESOURCE).into() };
        self.step(&Input::Operator(OperatorRequest { request, subject, verb, who: "fuzz".to_owned() }));
        self.drained |= drains;
    }

    fn take(&mut self, actions: Vec<Action>) {
        assert!(actions.len() < 200, "a step asks for {} things", actions.len());
        for action in actions {
            if self.tells {
                eprintln!("             -> {:?} because {:?}", action.kind, action.because);
            }
            assert!(!action.because.is_empty(), "no reason: {action:?}");
            self.check(&action.kind);
            if let ActionKind::Effect(Effect::AnswerOperator { request, answer }) = &action.kind {
                let verb = self.requests.remove(request).expect("nobody asked");
                match (verb, answer) {
                    (_, OperatorAnswer::NoSuchResource) => {}
                    (OperatorVerb::Hold { .. }, _) => (self.held, self.stopped) = (true, false),
                    (OperatorVerb::Stop { .. }, _) => (self.held, self.stopped) = (false, true),
                    (OperatorVerb::Release, _) => (self.held, self.stopped) = (false, false),
                    (OperatorVerb::Yield { .. }, OperatorAnswer::Refused { .. }) => assert!(self.held, "refused"),
                    (
                        OperatorVerb::Yield { .. }
                        | OperatorVerb::Clear
                        | OperatorVerb::Drain { .. }
                        | OperatorVerb::Undrain
                        | OperatorVerb::CloseIncident { .. },
                        _,
                    ) => {}
                }
            }
            if let ActionKind::Call(Call::Unit(stop)) = &action.kind
                && stop.verb == UnitVerb::Stop
            {
                // systemd cancels a start when a stop comes.
                let starts =
                    |kind: &ActionKind| matches!(kind, ActionKind::Call(Call::Unit(it)) if it.unit == stop.unit && it.verb == UnitVerb::Start);
                self.before.extend(self.open.iter().filter(|(_, kind)| starts(kind)).map(|(id, _)| *id));
            }
            if matches!(action.kind, ActionKind::Call(_)) {
                self.open.insert(action.id, action.kind);
            }
        }
    }

    fn is_open(&self, same: impl Fn(&ActionKind) -> bool) -> bool {
        self.open.iter().any(|(id, open)| same(open) && !self.before.contains(id))
    }

    fn check(&self, kind: &ActionKind) {
        match kind {
            ActionKind::Call(Call::Unit(call)) => {
                let same =
                    |open: &ActionKind| matches!(open, ActionKind::Call(Call::Unit(it)) if (&it.unit, it.verb) == (&call.unit, call.verb));
                // A thaw goes along with each stop, for systemds that do not thaw what they stop.
                assert!(call.verb == UnitVerb::Thaw || !self.is_open(same), "asked for twice: {call:?}");
                assert!(!self.held || call.unit.as_str() != TARGET, "held, and {call:?}");
                // A reload takes a unit out that we froze: there is no later time at which to thaw it.
                assert!(self.bus || call.verb == UnitVerb::Thaw, "systemd is not there: {call:?}");
                if call.verb == UnitVerb::Start && call.unit.as_str() == TARGET {
                    assert!(!self.stopped && !self.drained, "an operator does not want it here: {call:?}");
                    assert!(self.source && self.drbd.exists, "nobody knows what DRBD says: {call:?}");
                    let may = self.drbd.may_promote == "yes" || self.drbd.role == "Primary";
                    assert!(may, "DRBD does not allow it: {call:?}");
                    assert!(self.drbd.quorum == "yes", "without quorum: {call:?}");
                }
            }
            ActionKind::Call(Call::Drbd(AskTools { resource, call })) => {
                let same = |open: &ActionKind| matches!(open, ActionKind::Call(Call::Drbd(AskTools { resource: other, call: it })) if other == resource && it == call);
                assert!(!self.is_open(same), "asked for twice: {kind:?}");
            }
            _ => {}
        }
    }

    /// Time passes, also past deadlines: all of them are met in their order, and none comes again at once.
    fn wait(&mut self, seconds: u64) {
        let end = Mono(self.now.0 + seconds * 1_000_000_000);
        let mut ticks = 0;
        while let Some(next) = self.core.next_deadline().filter(|next| *next <= end) {
            self.now = next.max(self.now);
            self.step(&Input::Tick);
            ticks += 1;
            assert!(ticks < 1000, "a loop without a pause");
        }
        self.now = end;
        self.step(&Input::Tick);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices(bytes);
    let mut ground = Ground::new(&mut choices);
    while !choices.0.is_empty() {
        match choices.byte() % 16 {
            0..4 => {
                ground.drbd.change(&mut choices);
                if ground.source {
                    let lines = ground.drbd.lines("change");
                    ground.step(&Input::Lines(SourceId::Drbd, lines));
                    ground.step(&Input::BurstEnd(SourceId::Drbd));
                }
            }
            4..7 => ground.change_unit(&mut choices),
            7..11 => ground.give_outcome(&mut choices),
            11 => {
                let seconds = choices.one(&SECONDS);
                ground.wait(seconds);
            }
            12 => ground.ask(&mut choices),
            13 => ground.configure(&mut choices),
            14 if choices.yes() => ground.toggle_source(),
            14 => ground.toggle_bus(),
            _ => ground.tell_units(false),
        }
    }
    ground.step(&Input::Exit);
});
