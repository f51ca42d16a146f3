//! Carries out what the core asked for.

use reactor_api::WireChange;
use reactor_core::action::{Action, ActionKind, AskTools, Call, Done, Effect, Examine, HandlerRun, Reason, WriteFiles};
use reactor_core::core::Instance;
use reactor_core::ids::{ActionId, InstanceId, ResourceName};
use reactor_core::input::Input;
use reactor_core::model::reports::NoteLevel;
use reactor_core::settings::PluginKind;
use reactor_core::systemd::BusEvent;
use reactor_sys::drbd::tools::Tools;
use tracing::{debug, error, info, warn};

use super::Daemon;
use super::handlers::AskedBy;
use super::requests;
use super::status::node_name;
use super::work::{Followed, Work};

impl Daemon {
    /// Everything that one step asked for. Files are written together, so that systemd reads its units once.
    pub(super) fn carry_out_all(&mut self, actions: &mut Vec<Action>) {
        for action in actions.drain(..) {
            self.work.asked(action.id);
            self.carry_out(action);
        }
        self.work.begin_files();
    }

    fn carry_out(&mut self, action: Action) {
        log_decision(&action);
        let Action { id, plugin, because, kind } = action;
        match kind {
            ActionKind::Call(call) => self.begin(id, plugin, &because, call),
            ActionKind::Effect(effect) => self.effect(&because, effect),
        }
    }

    /// Each of these has its outcome later, through [`calls_done`](Self::calls_done) or [`handler_done`](Self::handler_done).
    fn begin(&mut self, id: ActionId, plugin: InstanceId, because: &[Reason], call: Call) {
        match call {
            Call::Handler(run) => self.run_handler(id, plugin, *run, because),
            Call::Unit(call) => self.work.call_unit(id, call),
            Call::Files(WriteFiles { resource, files }) => self.work.write_files(id, resource, files),
            Call::Drbd(AskTools { resource, call }) => self.work.call_drbd(id, resource, call, self.tools()),
            Call::Examine(Examine { resource, units }) => {
                let bus = self.configuration.settings().daemon.bus.clone();
                self.work.examine(id, &resource, units, bus);
            }
        }
    }

    /// Nothing comes back for these.
    fn effect(&mut self, because: &[Reason], effect: Effect) {
        match effect {
            Effect::Print(change) => debug!(plugin = "debugger", seq = change.seq.0, "{}", WireChange::from(&*change)),
            Effect::Note { level, text } => match level {
                NoteLevel::Error => error!("{text}"),
                NoteLevel::Warn => warn!("{text}"),
                NoteLevel::Info => info!("{text}"),
                NoteLevel::Debug => debug!("{text}"),
            },
            Effect::AnswerHelper { request, answer } => {
                info!(request = request.0, because = %joined(because), ?answer, "answering a helper of DRBD");
                self.clients.answer_helper(request, requests::helper_reply(answer));
            }
            Effect::RetireFiles { resource } => self.retire_files(resource),
            Effect::SyncJournal => self.work.sync_journal(),
            Effect::Remember { resource, memory } => self.memories.remember(resource, memory),
            Effect::RememberDrain { drain } => self.memories.remember_drain(drain),
            Effect::KeepIncidents(open) => self.storage.keep(open),
            Effect::Notify(message) => self.notify.tell(*message),
            Effect::KeepStanding { receiver, standing } => self.told.keep(receiver, standing),
            Effect::AnswerOperator { request, answer } => self.answer_operator(request, answer),
        }
    }

    /// Outcomes of calls.
    pub(super) fn calls_done(&mut self, done: Vec<Done>) {
        // What systemd told before it answered is known before the answer is judged.
        while let Some(news) = self.work.try_systemd() {
            self.systemd_news(&news);
        }
        for done in done {
            self.action_done(done);
        }
    }

    pub(super) fn action_done(&mut self, done: Done) {
        self.work.end(&done);
        self.step(&Input::Done(done));
    }

    /// The disk and systemd are done with a job of files.
    pub(super) fn files_ended(&mut self) {
        self.work.begin_files();
        self.follow_units();
        self.look_for_leftovers();
    }

    /// News of systemd.
    pub(super) fn systemd_news(&mut self, input: &Input) {
        self.work.note_systemd(input, self.core.node().units().bus());
        self.step(input);
        // News of systemd come often, and to look at all units costs time.
        if self.work.retire_what_has_stopped(self.core.node().units()) {
            self.follow_units();
        }
    }

    /// Connects to systemd or disconnects as the settings ask for, and follows what must be followed.
    pub(super) fn follow_units(&mut self) {
        match self.work.follow(self.core.units(), self.configuration.settings()) {
            Followed::Same => {}
            // What nobody tells any more is not known any more, also when it is followed again.
            Followed::Others => self.core.forget_units(|unit| self.work.is_followed(unit)),
            Followed::Closed { why } => {
                info!("{why}: the connection is closed");
                // What was told is not the present any more.
                self.step(&Input::Bus(BusEvent::Down { why: why.to_owned() }));
            }
        }
    }

    /// The resource is no longer configured: its files go when its target has stopped.
    fn retire_files(&mut self, resource: ResourceName) {
        if self.work.retire_files(resource, self.configuration.settings()) {
            self.follow_units();
        }
    }

    /// Resources whose files are there, from before the daemon was started, too.
    pub(super) fn unit_files_found(&mut self, found: Vec<ResourceName>) {
        // At the end they stay: the next start finds them, too.
        if !self.is_ending() {
            for resource in Work::unconfigured(found, self.configuration.settings()) {
                self.retire_files(resource);
            }
        }
    }

    /// For a task that calls DRBD's tools.
    fn tools(&self) -> Tools {
        self.work.tools(&self.configuration.settings().daemon, self.core.node().dialect())
    }

    fn run_handler(&mut self, action: ActionId, plugin: InstanceId, run: HandlerRun, because: &[Reason]) {
        info!(
            action = action.0, rule = %run.rule, resource = %run.resource, because = %joined(because), "running a handler"
        );
        let is_promoter = |instance: &Instance| instance.kind() == PluginKind::Promoter;
        let by = if self.core.instance(plugin).is_some_and(is_promoter) { AskedBy::Promoter } else { AskedBy::Rule };
        match run.ask.clone() {
            None => self.handlers.run(action, run, by),
            Some(ask) => {
                let (tools, node) = (self.tools(), node_name(&self.configuration.settings().daemon));
                let more = async move { tools.for_handler(&ask, &node).await };
                self.handlers.run_with(action, run, by, more);
            }
        }
    }

    /// A handler ended.
    pub(super) fn handler_done(&mut self, done: Done) {
        self.handlers.end(&done);
        self.step(&Input::Done(done));
    }
}

/// A decision in the log, once, with its reasons: resource, what, because.
fn log_decision(action: &Action) {
    let because = || joined(&action.because);
    let id = action.id.0;
    match &action.kind {
        ActionKind::Call(Call::Unit(call)) => {
            let what = call.verb.as_str();
            info!(action = id, resource = %call.resource, unit = %call.unit, what, because = because(), "decided");
        }
        ActionKind::Call(Call::Files(WriteFiles { resource, files })) => {
            info!(action = id, %resource, what = "write unit files", files = files.len(), because = because(), "decided");
        }
        ActionKind::Effect(Effect::RetireFiles { resource }) => {
            info!(action = id, %resource, what = "retire unit files", because = because(), "decided");
        }
        ActionKind::Call(Call::Drbd(AskTools { resource, call })) => {
            info!(action = id, %resource, what = call.as_str(), because = because(), "decided");
        }
        ActionKind::Call(Call::Examine(Examine { resource, .. })) => {
            debug!(action = id, %resource, what = "ask why units are not up", because = because(), "decided");
        }
        ActionKind::Effect(Effect::SyncJournal) => {
            info!(action = id, what = "sync the journal", because = because(), "decided");
        }
        ActionKind::Effect(Effect::Remember { resource, memory }) => {
            debug!(action = id, %resource, ?memory, because = because(), "remembered");
        }
        ActionKind::Effect(Effect::RememberDrain { drain }) => {
            debug!(action = id, ?drain, because = because(), "remembered");
        }
        ActionKind::Effect(Effect::KeepIncidents(open)) => {
            debug!(action = id, incidents = open.len(), because = because(), "remembered");
        }
        ActionKind::Effect(Effect::KeepStanding { receiver, standing }) => {
            debug!(action = id, receiver, standing = standing.len(), because = because(), "remembered");
        }
        ActionKind::Effect(Effect::Notify(message)) => {
            debug!(action = id, receiver = message.receiver, what = "tell people", because = because(), "decided");
        }
        // These say it themselves.
        ActionKind::Call(Call::Handler(_))
        | ActionKind::Effect(
            Effect::Print(_) | Effect::Note { .. } | Effect::AnswerHelper { .. } | Effect::AnswerOperator { .. },
        ) => {}
    }
}

fn joined(because: &[Reason]) -> String {
    because.iter().map(|reason| reason.0.as_str()).collect::<Vec<_>>().join("; ")
}
