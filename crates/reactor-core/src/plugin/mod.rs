//! Plugins: state machines that see changes and answer with actions.
//!
//! All have the same shape, and [`Plugin`] is that shape. There is no loading of code: [`build`] lists them all.

pub mod debugger;
pub mod promoter;
pub mod umh;

use std::path::PathBuf;
use std::sync::LazyLock;

use crate::action::{Action, Deed, Done, HelperCall, Reason};
use crate::change::Change;
use crate::ids::{ActionId, InstanceId, Mono, ResourceName, UnitName};
use crate::model::Node;
use crate::operator::{Memory, OperatorRequest, WallClock};
use crate::settings::{Detail, PluginKind, PluginSettings};

/// One running plugin. Every method is total: any call is legal at any time. No I/O, no clock, no randomness.
pub trait Plugin {
    /// Which plugin it is.
    fn kind(&self) -> PluginKind;

    /// Which changes it wants to hear of; `None` = none. May differ from call to call.
    fn wants(&self) -> Option<Detail>;

    /// Whose news it is called for. Asked when it starts and when it has taken new settings.
    fn scope(&self) -> Scope {
        Scope::Everything
    }

    /// A change, as soon as its line was read; `cx.node` has it already. The burst it belongs to may go on.
    fn on_change(&mut self, cx: &mut Context<'_>, change: &Change);

    /// The burst is over: all lines of one kernel state change are applied. Decisions from levels are made here.
    fn on_burst_end(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// A deadline of [`next_deadline`](Self::next_deadline) may have come; spurious calls are harmless.
    fn on_deadline(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// An action of this plugin came back.
    fn on_done(&mut self, cx: &mut Context<'_>, done: &Done) {
        let _ = (cx, done);
    }

    /// DRBD asks for a helper. `true` = this plugin will answer it with [`Deed::AnswerHelper`].
    fn on_helper_call(&mut self, cx: &mut Context<'_>, call: &HelperCall) -> bool {
        let _ = (cx, call);
        false
    }

    /// The source of events2 began or ended; `cx.node.source()` has it already.
    fn on_source(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// Units changed, or the bus went up or down (then `units` is empty); `cx.node.units()` has it already.
    fn on_units(&mut self, cx: &mut Context<'_>, units: &[UnitName]) {
        let _ = (cx, units);
    }

    /// What was remembered from before a restart.
    fn on_remembered(&mut self, cx: &mut Context<'_>, memories: &[(ResourceName, Memory)]) {
        let _ = (cx, memories);
    }

    /// An operator asks for something. `true` = this plugin has the resource and has answered.
    fn on_operator(&mut self, cx: &mut Context<'_>, request: &OperatorRequest) -> bool {
        let _ = (cx, request);
        false
    }

    /// The daemon is about to end. What is asked for here is still carried out.
    fn on_exit(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// The units that it follows.
    fn units(&self) -> Vec<UnitName> {
        Vec::new()
    }

    /// What it says of each promoted resource; nothing for other plugins.
    fn promoted(&self, cx: &ViewContext<'_>) -> Vec<promoter::report::ResourceReport> {
        let _ = cx;
        Vec::new()
    }

    /// New settings of the same kind, in place of the old ones. What did not change goes on unnoticed. `false` = this plugin
    /// can't: it is replaced by a new one.
    fn reconfigure(&mut self, cx: &mut Context<'_>, settings: &PluginSettings) -> bool {
        let _ = (cx, settings);
        false
    }

    /// It is no longer configured: the last call. What waits for it gets its answer now; what it started goes on.
    fn on_stop(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// When [`on_deadline`](Self::on_deadline) must be called at the latest.
    fn next_deadline(&self) -> Option<Mono> {
        None
    }

    /// What `reactorctl status` shows of it, as name and value.
    fn status(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Panics of a part of it since the last call, which it has mended itself.
    fn take_panics(&mut self) -> u64 {
        0
    }

    /// Its counters, for the metrics: what, and how many since it started.
    fn counters(&self) -> Vec<Counter> {
        Vec::new()
    }
}

/// Whose news a plugin is called for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    Everything,
    /// These resources: their changes (and the end of the bursts that they came in), their devices' becoming blocked, what operators ask of them;
    /// the units of [`Plugin::units`]; and what concerns all: the source, the bus, what was remembered, the end. No helper calls.
    Resources(Vec<ResourceName>),
}

/// What [`build`] made of settings.
pub enum Built {
    /// A plugin for the core to run.
    Plugin(Box<dyn Plugin>),
    /// The daemon runs it: it has no decisions to make.
    Outside,
    /// This version has no such plugin yet.
    Missing,
}

/// Makes the plugin that settings ask for. This is the list of all plugins.
pub fn build(settings: &PluginSettings) -> Built {
    match settings {
        PluginSettings::Debugger(settings) => Built::Plugin(Box::new(debugger::Debugger::new(settings.clone()))),
        PluginSettings::Prometheus(_) => Built::Outside,
        PluginSettings::Umh(settings) => Built::Plugin(Box::new(umh::Umh::new(settings))),
        PluginSettings::Promoter(settings) => Built::Plugin(Box::new(promoter::Promoter::new(settings.clone()))),
        PluginSettings::Agentx(_) => Built::Missing,
    }
}

/// One counter of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// What is counted, for example `handlers_started`; a metric name follows from it.
    pub name: &'static str,
    /// One sentence for the metric's HELP.
    pub help: &'static str,
    /// Label and its value, if there is one sample per something.
    pub label: Option<(&'static str, String)>,
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
}

/// What is known when nobody has said anything.
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

    /// Asks for `deed`; the id is the one that comes back.
    pub fn act(&mut self, because: Vec<Reason>, deed: Deed) -> ActionId {
        *self.next_action += 1;
        let id = ActionId(*self.next_action);
        self.actions.push(Action { id, plugin: self.plugin, because, deed });
        id
    }
}
