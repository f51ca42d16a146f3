//! A core with one `[[umh]]` table, and short ways to write rules.

use std::path::PathBuf;
use std::time::Duration;

use reactor_core::action::{
    Action, ActionKind, Call, Done, HandlerEnd, HandlerReport, HandlerRun, HelperCall, HelperRequestId, Outcome,
};
use reactor_core::core::Core;
use reactor_core::drbd::types::{DiskState, Role};
use reactor_core::ids::{ActionId, Mono};
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
use reactor_core::settings::umh::{
    DeviceConditions, Edge, EventSet, HandlerStdin, HelperConditions, HelperMoment, Matcher, Pattern,
    ResourceConditions, Rule, When,
};
use reactor_core::settings::{Mode, PluginEntry, PluginSettings, Settings, UmhSettings};

/// One resource with one volume and one peer, all well.
pub(crate) const DUMP: &str = "\
exists resource name:r0 role:Secondary suspended:no force-io-failures:no may_promote:yes promotion_score:10101
exists connection name:r0 peer-node-id:1 conn-name:beta connection:Connected role:Secondary congested:no
exists device name:r0 volume:0 minor:1000 backing_dev:/dev/vg/r0 disk:UpToDate client:no quorum:yes size:1024 open:no
exists peer-device name:r0 peer-node-id:1 conn-name:beta volume:0 replication:Established peer-disk:UpToDate peer-client:no resync-suspended:no
exists path name:r0 peer-node-id:1 conn-name:beta local:ipv4:10.0.0.1:7000 peer:ipv4:10.0.0.2:7000 established:yes
exists -
";

pub(crate) struct World {
    pub(crate) core: Core,
    pub(crate) now: Mono,
    actions: Vec<Action>,
}

impl World {
    /// A daemon that was just started with these rules; its source has said nothing yet.
    pub(crate) fn new(rules: &[Rule]) -> Self {
        Self::with(&table(rules))
    }

    pub(crate) fn with(table: &UmhSettings) -> Self {
        let mut world = Self { core: Core::new(), now: Mono::ZERO, actions: Vec::new() };
        world.configure(table);
        let started = SourceEvent::Started { command: "test".to_owned(), dialect: Some(Dialect::Drbd9) };
        world.step(&Input::Source(SourceId::Drbd, started));
        world
    }

    /// The same after the first dump; what that started is forgotten.
    pub(crate) fn settled(rules: &[Rule]) -> Self {
        Self::settled_with(&table(rules))
    }

    pub(crate) fn settled_with(table: &UmhSettings) -> Self {
        let mut world = Self::with(table);
        world.lines(DUMP);
        world.actions.clear();
        world
    }

    /// A (re)load of the configuration.
    pub(crate) fn configure(&mut self, table: &UmhSettings) {
        self.core.configure(self.now, &settings(table), &mut self.actions);
    }

    /// A reload without any plugin.
    pub(crate) fn remove_table(&mut self) {
        let none = Settings { plugins: Vec::new(), ..settings(&table(&[])) };
        self.core.configure(self.now, &none, &mut self.actions);
    }

    pub(crate) fn step(&mut self, input: &Input) {
        self.core.step(self.now, input, &mut self.actions);
    }

    pub(crate) fn lines(&mut self, text: &str) {
        for line in text.lines() {
            self.step(&Input::Lines(SourceId::Drbd, format!("{}\n", line.trim())));
        }
        self.step(&Input::BurstEnd(SourceId::Drbd));
    }

    /// Time goes by.
    pub(crate) fn pass(&mut self, seconds: f64) {
        self.now = self.now.after(Duration::from_secs_f64(seconds));
        self.step(&Input::Tick);
    }

    /// What was asked for since the last call.
    pub(crate) fn actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// The handlers that were started since the last call; nothing else may have been asked for.
    pub(crate) fn runs(&mut self) -> Vec<(ActionId, HandlerRun)> {
        let run = |action: Action| match action.kind {
            ActionKind::Call(Call::Handler(run)) => (action.id, *run),
            kind => panic!("{kind:?}"),
        };
        self.actions().into_iter().map(run).collect()
    }

    /// The rules whose handlers were started since the last call.
    pub(crate) fn fired(&mut self) -> Vec<String> {
        self.runs().into_iter().map(|(_, run)| run.rule).collect()
    }

    pub(crate) fn done(&mut self, id: ActionId, end: HandlerEnd) {
        self.step(&Input::Done(done(id, end)));
    }

    /// A value of the plugin's status.
    pub(crate) fn status(&self, name: &str) -> u64 {
        let status = self.core.instances()[0].status();
        let found = status.iter().find(|(known, _)| *known == name);
        found.unwrap_or_else(|| panic!("{name} in {status:?}")).1.parse().unwrap()
    }

    /// A call of `reactor-helper` that waits for so many seconds.
    pub(crate) fn call(&mut self, request: u64, helper: &str, object: &str, env: &[(&str, &str)], seconds: u64) {
        let call = HelperCall {
            request: HelperRequestId(request),
            helper: helper.to_owned(),
            object: object.to_owned(),
            env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            deadline: self.now.after(Duration::from_secs(seconds)),
        };
        self.step(&Input::HelperCall(call));
    }
}

pub(crate) fn done(id: ActionId, end: HandlerEnd) -> Done {
    let (stdout, stderr) = (String::new(), String::new());
    Done {
        id,
        outcome: Outcome::Handler(HandlerReport { end, took: Duration::ZERO, stdout, stderr, output_cut_bytes: 0 }),
    }
}

pub(crate) fn table(rules: &[Rule]) -> UmhSettings {
    UmhSettings { rules: rules.to_vec(), max_parallel: 64, max_queued: 1024 }
}

fn settings(table: &UmhSettings) -> Settings {
    Settings::of_plugins(
        Mode::Native,
        vec![PluginEntry { file: PathBuf::from("umh.toml"), line: 1, settings: PluginSettings::Umh(table.clone()) }],
    )
}

/// A rule for real changes, as our own defaults have it.
pub(crate) fn rule(name: &str, when: When) -> Rule {
    Rule {
        name: name.to_owned(),
        command: format!("run {name}"),
        env: Vec::new(),
        events: EventSet::CHANGE,
        resource: None,
        when,
        hold: None,
        rate_limit: None,
        serialize: false,
        timeout: Duration::from_secs(600),
        max_output_bytes: 16 * 1024,
        stdin: HandlerStdin::Null,
    }
}

pub(crate) fn is<T>(value: T) -> Option<Matcher<T>> {
    Some(Matcher::In(vec![value]))
}

pub(crate) fn matches<T>(pattern: &str) -> Option<Matcher<T>> {
    Some(Matcher::Matches(Pattern(regex::Regex::new(pattern).unwrap())))
}

pub(crate) fn device(old: DeviceConditions, new: DeviceConditions) -> When {
    When::Device { volume: None, edge: Edge { old, new } }
}

pub(crate) fn disk(state: DiskState) -> DeviceConditions {
    DeviceConditions { disk_state: is(state), ..DeviceConditions::default() }
}

pub(crate) fn quorum(has: bool) -> DeviceConditions {
    DeviceConditions { quorum: is(has), ..DeviceConditions::default() }
}

/// Any change of a resource.
pub(crate) fn any_resource() -> When {
    When::Resource(Edge::default())
}

pub(crate) fn becomes(role: Role) -> When {
    let new = ResourceConditions { role: is(role), ..ResourceConditions::default() };
    When::Resource(Edge { new, ..Edge::default() })
}

pub(crate) fn helper(name: &str, on: HelperMoment) -> HelperConditions {
    HelperConditions { helper: is(name.to_owned()), peer_node_id: None, volume: None, status: None, on }
}
