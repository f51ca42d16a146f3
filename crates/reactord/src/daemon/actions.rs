//! Carries out what the core asked for.

use reactor_core::action::{Action, Deed, Done, HandlerRun, Reason};
use reactor_core::api::{HandlerOutcome, WireChange};
use reactor_core::ids::ActionId;
use reactor_core::input::Input;
use reactor_core::model::reports::NoteLevel;
use reactor_sys::control::rfc3339;
use tracing::{debug, error, info, warn};

use super::{Daemon, HANDLERS_SHOWN};

impl Daemon {
    pub(super) fn carry_out(&mut self, action: Action) {
        match action.deed {
            Deed::RunHandler(run) => self.run_handler(action.id, *run, &action.because),
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
            Deed::Unit(_)
            | Deed::WriteFiles { .. }
            | Deed::RetireFiles { .. }
            | Deed::Drbd { .. }
            | Deed::SyncJournal
            | Deed::Remember { .. }
            | Deed::AnswerOperator { .. } => {}
        }
    }

    fn run_handler(&mut self, id: ActionId, run: HandlerRun, because: &[Reason]) {
        info!(
            action = id.0, rule = %run.rule, resource = %run.resource, because = %joined(because), "running a handler"
        );
        self.handlers.count_start();
        self.running.insert(id, run.clone());
        self.executor.run(id, run);
    }

    /// A handler ended.
    pub(super) fn handler_done(&mut self, done: Done) {
        self.handlers.count_end(&done.outcome);
        if let Some(run) = self.running.remove(&done.id) {
            if self.ended.len() == HANDLERS_SHOWN {
                self.ended.pop_front();
            }
            let time = Some(rfc3339(std::time::SystemTime::now()));
            self.ended
                .extend(HandlerOutcome::new(&run, &done.outcome).map(|outcome| HandlerOutcome { time, ..outcome }));
        }
        self.step(&Input::Done(done));
    }
}

fn joined(because: &[Reason]) -> String {
    because.iter().map(|reason| reason.0.as_str()).collect::<Vec<_>>().join("; ")
}
