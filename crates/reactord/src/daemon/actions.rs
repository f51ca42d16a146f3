//! Carries out what the core asked for.

use reactor_api::WireChange;
use reactor_core::action::{Action, Deed, Done, HandlerRun, Reason};
use reactor_core::core::Instance;
use reactor_core::ids::{ActionId, InstanceId};
use reactor_core::input::Input;
use reactor_core::model::reports::NoteLevel;
use reactor_core::settings::PluginKind;
use tracing::{debug, error, info, warn};

use super::Daemon;
use super::handlers::AskedBy;
use super::status::node_name;

impl Daemon {
    /// Everything that one step asked for. Files are written together, so that systemd reads its units once.
    pub(super) fn carry_out_all(&mut self, actions: &mut Vec<Action>) {
        for action in actions.drain(..) {
            self.last_action = self.last_action.max(action.id);
            self.carry_out(action);
        }
        self.begin_files();
    }

    fn carry_out(&mut self, action: Action) {
        log_decision(&action);
        match action.deed {
            Deed::RunHandler(run) => self.run_handler(action.id, action.plugin, *run, &action.because),
            Deed::Print(change) => debug!(plugin = "debugger", seq = change.seq.0, "{}", WireChange::from(&*change)),
            Deed::Note { level, text } => match level {
                NoteLevel::Error => error!("{text}"),
                NoteLevel::Warn => warn!("{text}"),
                NoteLevel::Info => info!("{text}"),
                NoteLevel::Debug => debug!("{text}"),
            },
            Deed::AnswerHelper { request, answer } => {
                info!(request = request.0, because = %joined(&action.because), ?answer, "answering a helper of DRBD");
                if let Some(reply) = self.waiting.remove(&request) {
                    // The caller may have given up; DRBD has its answer then.
                    let _ = reply.send(answer);
                }
            }
            Deed::Unit(call) => self.call_unit(action.id, call),
            Deed::WriteFiles { resource, files } => self.write_files(action.id, resource, files),
            Deed::RetireFiles { resource } => self.retire_files(resource),
            Deed::Drbd { resource, call } => self.call_drbd(action.id, resource, call),
            Deed::Examine { resource, units } => self.examine(action.id, &resource, units),
            Deed::SyncJournal => self.journal.ask(),
            Deed::Remember { resource, memory } => self.memories.remember(resource, memory),
            Deed::AnswerOperator { request, answer } => self.answer_operator(request, answer),
        }
    }

    /// Outcomes of deeds.
    pub(super) fn deeds_done(&mut self, done: Vec<Done>) {
        // What systemd told before it answered is known before the answer is judged.
        while let Some(news) = self.systemd.try_next() {
            self.systemd_news(&news);
        }
        for done in done {
            self.deed_done(done);
        }
    }

    pub(super) fn deed_done(&mut self, done: Done) {
        self.deeds.end(&done);
        self.step(&Input::Done(done));
    }

    /// The disk and systemd are done with a job of files.
    pub(super) fn files_ended(&mut self) {
        self.begin_files();
        self.follow_units();
        self.look_for_leftovers();
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
                let (tools, node) = (self.tools(), node_name(&self.loaded.settings.daemon));
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
    match &action.deed {
        Deed::Unit(call) => {
            let what = call.verb.as_str();
            info!(action = id, resource = %call.resource, unit = %call.unit, what, because = because(), "decided");
        }
        Deed::WriteFiles { resource, files } => {
            info!(action = id, %resource, what = "write unit files", files = files.len(), because = because(), "decided");
        }
        Deed::RetireFiles { resource } => {
            info!(action = id, %resource, what = "retire unit files", because = because(), "decided");
        }
        Deed::Drbd { resource, call } => {
            info!(action = id, %resource, what = call.as_str(), because = because(), "decided");
        }
        Deed::Examine { resource, .. } => {
            debug!(action = id, %resource, what = "ask why units are not up", because = because(), "decided");
        }
        Deed::SyncJournal => info!(action = id, what = "sync the journal", because = because(), "decided"),
        Deed::Remember { resource, memory } => {
            debug!(action = id, %resource, ?memory, because = because(), "remembered");
        }
        // These say it themselves.
        Deed::RunHandler(_)
        | Deed::Print(_)
        | Deed::Note { .. }
        | Deed::AnswerHelper { .. }
        | Deed::AnswerOperator { .. } => {}
    }
}

fn joined(because: &[Reason]) -> String {
    because.iter().map(|reason| reason.0.as_str()).collect::<Vec<_>>().join("; ")
}
