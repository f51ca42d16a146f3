//! Plugins: state machines that see changes and answer with actions.
//!
//! All have the same shape, and [`Plugin`] is that shape. There is no loading of code: [`build`] lists them all.

mod began;
pub mod debugger;
pub mod events;
mod limits;
pub mod no_primary;
pub mod notify;
pub mod promoter;
pub mod umh;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use reactor_storage::incidents::Incident;

use crate::action::{Action, ActionKind, Call, Done, Effect, HelperCall, Reason};
use crate::change::Change;
use crate::history::News;
use crate::ids::{ActionId, InstanceId, Mono, ResourceName, UnitName};
use crate::input::{Boot, Record, SourceId};
use crate::model::Node;
use crate::operator::{Hold, Memory, OperatorRequest, WallClock};
use crate::settings::{Detail, Mode, PluginKind, PluginSettings};

/// One running plugin. Every method is total: any call is legal at any time. No I/O, no clock, no randomness.
pub trait Plugin {
    /// Which plugin it is.
    fn kind(&self) -> PluginKind;

    /// What it wants to hear. Asked when it starts and when it has taken new settings.
    fn interest(&self) -> Interest;

    /// Something happened. See [`PluginInput`] for what an answer means; what a plugin does not know is [`Handled::No`].
    fn on(&mut self, cx: &mut Context<'_>, input: PluginInput<'_>) -> Handled;

    /// When [`PluginInput::Deadline`] must come at the latest.
    fn next_deadline(&self) -> Option<Mono> {
        None
    }

    /// Somebody wants to know something. What it has nothing to say about stays as it is.
    fn report(&self, report: Report<'_>) {
        let _ = report;
    }
}

/// What a plugin is told.
#[derive(Clone, Copy, Debug)]
pub enum PluginInput<'a> {
    /// A change, as soon as its line was read; `cx.node` has it already. The burst it belongs to may go on.
    Change(&'a Change),
    /// The burst is over: all lines of one kernel state change are applied. Decisions from levels are made here.
    BurstEnd,
    /// A deadline of [`Plugin::next_deadline`] may have come; spurious calls are harmless.
    Deadline,
    /// A call of this plugin came back.
    Done(&'a Done),
    /// DRBD asks for a helper. [`Handled::Yes`] = this plugin will answer it with [`Effect::AnswerHelper`].
    HelperCall(&'a HelperCall),
    /// A source began or ended; `cx.node.source()` and `cx.node.sources()` have it already.
    Source(SourceId),
    /// What a source says that is not DRBD's.
    Records(SourceId, &'a [Record]),
    /// Units changed; `cx.node.units()` has it already.
    Units(&'a [UnitName]),
    /// The bus of systemd went up or down.
    Bus,
    /// What plugins have told in this step for the history, and what the daemon says of itself; for those with [`Interest::news`]. What they tell
    /// because of it is told to nobody but the history.
    News(&'a [News]),
    /// What was remembered from before a restart.
    Remembered(&'a [(ResourceName, Memory)]),
    /// This node is drained, or no longer: `cx.drained` has it already.
    Drained,
    /// Storage incidents that were open before, and whether they are of this boot.
    Incidents(&'a [Arc<Incident>], Boot),
    /// What receivers of notices were told before a restart and what stood then, by the name of the receiver.
    Standing(&'a [(String, Vec<String>)]),
    /// An operator asks for something. [`Handled::Yes`] = this plugin has what it is about and has answered.
    Operator(&'a OperatorRequest),
    /// New settings of the same kind, in place of the old ones. What did not change goes on unnoticed. [`Handled::No`] = this plugin can't: it is
    /// replaced by a new one.
    Settings(&'a PluginSettings),
    /// The daemon is about to end. What is asked for here is still carried out.
    Exit,
    /// It is no longer configured: the last call. What waits for it gets its answer now; what it started goes on.
    Stop,
}

/// Whether an input was for the plugin that was told it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Handled {
    /// It was.
    Yes,
    /// It was not: whoever has to have an answer asks the next one.
    No,
}

/// What somebody wants to know of a plugin, and where the plugin writes it: only what is asked for is made.
pub enum Report<'a> {
    /// What `reactorctl status` shows of it, as name and value.
    Status(&'a mut Vec<(&'static str, String)>),
    /// Its counters, for the metrics.
    Counters(&'a mut Vec<Counter>),
    /// What it says of each promoted resource.
    Promoted(&'a ViewContext<'a>, &'a mut Vec<promoter::report::ResourceReport>),
    /// The storage incidents that it has open.
    Incidents(&'a mut Vec<Arc<Incident>>),
    /// Whether these have changed since they were last to be kept across restarts; then it says `true`.
    Unkept(&'a mut bool),
    /// All that it would decide of a promoted resource by, to be gone on with in thought.
    Likeness(&'a ResourceName, &'a mut Option<promoter::forecast::Likeness>),
}

/// What a plugin wants to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interest {
    /// Which changes; `None` = none.
    pub changes: Option<Detail>,
    /// Whose news.
    pub scope: Scope,
    /// The units that it follows.
    pub units: Vec<UnitName>,
    /// Whether it hears what is told for the history.
    pub news: bool,
}

impl Interest {
    /// These changes of everything, and no units.
    pub fn in_changes(detail: Option<Detail>) -> Self {
        Self { changes: detail, scope: Scope::Everything, units: Vec::new(), news: false }
    }

    /// The same, and what is told for the history.
    #[must_use]
    pub fn and_news(self) -> Self {
        Self { news: true, ..self }
    }
}

impl Default for Interest {
    fn default() -> Self {
        Self::in_changes(None)
    }
}

/// Whose news a plugin is called for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    Everything,
    /// These resources: their changes (and the end of the bursts that they came in), their devices' becoming blocked, what operators ask of them;
    /// the units of [`Interest::units`]; and what concerns all: DRBD's source, the bus, what was remembered, the end. No helper calls, and nothing of
    /// other sources.
    Resources(Vec<ResourceName>),
}

/// What [`build`] made of settings.
pub enum Built {
    /// A plugin for the core to run.
    Plugin(Box<dyn Plugin>),
    /// The daemon runs it: it has no decisions to make.
    Outside,
}

/// Makes the plugin that settings ask for. This is the list of all plugins.
pub fn build(settings: &PluginSettings) -> Built {
    match settings {
        PluginSettings::Debugger(settings) => Built::Plugin(Box::new(debugger::Debugger::new(settings.clone()))),
        PluginSettings::Prometheus(_) | PluginSettings::Agentx(_) => Built::Outside,
        PluginSettings::Umh(settings) => Built::Plugin(Box::new(umh::Umh::new(settings))),
        PluginSettings::Promoter(settings) => Built::Plugin(Box::new(promoter::Promoter::new(settings.clone()))),
        PluginSettings::Events(settings) => Built::Plugin(Box::new(events::Events::new(settings))),
        PluginSettings::Notify(settings) => Built::Plugin(Box::new(notify::Notify::new(settings))),
        PluginSettings::NoPrimary(settings) => Built::Plugin(Box::new(no_primary::NoPrimary::new(settings.clone()))),
    }
}

/// One counter of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// What is counted, for example `handlers_started`; a metric name follows from it.
    pub name: &'static str,
    /// One sentence for the metric's HELP.
    pub help: &'static str,
    /// Labels and their values, if there is one sample per something.
    pub labels: Vec<(&'static str, String)>,
    /// How many since the plugin started.
    pub value: u64,
}

/// Facts about this machine that no event tells. Set once, before the first configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Host {
    /// Name of this node, as `uname -n` prints it or `[daemon] node-name` says.
    pub node: String,
    /// Path of drbd-utils' `drbd-service-shim.sh` as the installed `drbd-promote@.service` names it; empty = the usual one.
    pub shim: String,
    /// drbdsetup, as generated units call it; empty = the one that systemd finds.
    pub drbdsetup: String,
    /// Folder of files that only root may read.
    pub secrets: PathBuf,
    /// Configuration file of this daemon, for the programs of ours that it runs; empty = the usual one.
    pub config: String,
    /// Whose defaults that file has, for the same programs.
    pub mode: Mode,
}

/// What is known when nobody has said anything.
static NONE: BTreeSet<ResourceName> = BTreeSet::new();
static UNKNOWN_HOST: LazyLock<Host> = LazyLock::new(Host::default);

/// What a plugin may look at when it only tells.
#[derive(Clone, Copy)]
pub struct ViewContext<'a> {
    /// The time.
    pub now: Mono,
    /// All that is known.
    pub node: &'a Node,
    /// This machine.
    pub host: &'a Host,
    /// The wall clock at [`now`](Self::now), if it was told.
    pub wall: Option<WallClock>,
    /// Only this resource is asked about, and then its history is told, too.
    pub about: Option<&'a ResourceName>,
}

/// What a plugin sees when it is called, and where its actions go.
pub struct Context<'a> {
    /// The time of this step.
    pub now: Mono,
    /// All that is known.
    pub node: &'a Node,
    /// The plugin that is called.
    pub plugin: InstanceId,
    /// Whether the last burst is over: what stands in `node` is a state that DRBD was in. Decisions from levels wait for it.
    pub settled: bool,
    /// This machine.
    pub host: &'a Host,
    /// The wall clock at [`now`](Self::now), if it was told.
    pub wall: Option<WallClock>,
    /// What promoters keep across restarts, as of the last step; by name.
    pub remembered: &'a [(ResourceName, Memory)],
    /// An operator has drained this node: no promoter runs anything here.
    pub drained: Option<&'a Hold>,
    /// What all promoters run; while a reload is taken, what they run after it.
    pub promoted: &'a BTreeSet<ResourceName>,
    /// For the promoter that looks after what no promoter runs any more: what all of them run.
    pub orphans: Option<&'a BTreeSet<ResourceName>>,
    /// Of several plugins that hear the same and come to the same, only one tells of it: whether this is that one.
    pub speaks: bool,
    /// Panics of a part of the plugin in this call, which it has mended itself.
    pub panics: u64,
    /// What is told for the history in this call.
    pub news: Vec<News>,
    pub(crate) next_action: &'a mut u64,
    pub(crate) actions: &'a mut Vec<Action>,
}

impl<'a> Context<'a> {
    /// For the core, and for tests of one plugin alone.
    pub fn new(
        now: Mono,
        node: &'a Node,
        plugin: InstanceId,
        next_action: &'a mut u64,
        actions: &'a mut Vec<Action>,
    ) -> Self {
        Self {
            now,
            node,
            plugin,
            settled: true,
            host: &UNKNOWN_HOST,
            wall: None,
            remembered: &[],
            drained: None,
            promoted: &NONE,
            orphans: None,
            speaks: true,
            panics: 0,
            news: Vec::new(),
            next_action,
            actions,
        }
    }

    /// The same without the means to act.
    pub fn view(&self) -> ViewContext<'a> {
        ViewContext { now: self.now, node: self.node, host: self.host, wall: self.wall, about: None }
    }

    /// What is remembered of a resource.
    pub fn memory(&self, resource: &ResourceName) -> Option<&'a Memory> {
        let at = self.remembered.binary_search_by(|(name, _)| name.cmp(resource)).ok()?;
        self.remembered.get(at).map(|(_, memory)| memory)
    }

    /// Whether no promoter runs it any more, and this one has to look after what is left of it.
    pub fn is_orphan(&self, resource: &ResourceName) -> bool {
        self.orphans.is_some_and(|promoted| !promoted.contains(resource))
    }

    /// Asks for something that has an outcome; the id is the one that comes back.
    pub fn call(&mut self, because: Vec<Reason>, call: Call) -> ActionId {
        self.act(because, ActionKind::Call(call))
    }

    /// Asks for something of which nothing comes back.
    pub fn effect(&mut self, because: Vec<Reason>, effect: Effect) {
        self.act(because, ActionKind::Effect(effect));
    }

    /// Asks for `kind`.
    pub fn act(&mut self, because: Vec<Reason>, kind: ActionKind) -> ActionId {
        *self.next_action += 1;
        let id = ActionId(*self.next_action);
        self.actions.push(Action { id, plugin: self.plugin, because, kind });
        id
    }
}
