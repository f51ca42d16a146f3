//! Plugins: state machines that see changes and answer with actions.
//!
//! All have the same shape, and [`Plugin`] is that shape. There is no loading of code: [`build`] lists them all.

pub mod debugger;
pub mod umh;

use crate::action::{Action, Deed, Done, HelperCall, Reason};
use crate::change::Change;
use crate::ids::{ActionId, InstanceId, Mono};
use crate::model::Node;
use crate::settings::{Detail, PluginKind, PluginSettings};

/// One running plugin. Every method is total: any call is legal at any time. No I/O, no clock, no randomness.
pub trait Plugin {
    /// Which plugin it is.
    fn kind(&self) -> PluginKind;

    /// Which changes it wants to hear of; `None` = none. May differ from call to call.
    fn wants(&self) -> Option<Detail>;

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

    /// Its counters, for the metrics: what, and how many since it started.
    fn counters(&self) -> Vec<Counter> {
        Vec::new()
    }
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
        PluginSettings::Promoter(_) | PluginSettings::Agentx(_) => Built::Missing,
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

/// What a plugin sees when it is called, and where its actions go.
pub struct Context<'a> {
    /// The time of this step.
    pub now: Mono,
    /// All that is known.
    pub node: &'a Node,
    /// The plugin that is called.
    pub plugin: InstanceId,
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
        Self { now, node, plugin, next_action, actions }
    }

    /// Asks for `deed`; the id is the one that comes back.
    pub fn act(&mut self, because: Vec<Reason>, deed: Deed) -> ActionId {
        let id = ActionId(*self.next_action);
        *self.next_action += 1;
        self.actions.push(Action { id, plugin: self.plugin, because, deed });
        id
    }
}
