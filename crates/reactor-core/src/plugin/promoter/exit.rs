//! The end of the daemon, with `stop-services-on-exit`: the last thing that is asked for.
//!
//! ```text
//!  No ── the daemon ends ──▶ Ends ── unit files that let the services stop before us ──▶ Files ── written, or not ──▶ Ends
//! ```

use std::time::Duration;

use crate::action::{Call, Effect, Reason, WriteFiles};
use crate::ids::{ActionId, Mono};
use crate::plugin::Context;
use crate::systemd::UnitVerb;

use super::course::{Course, Transitions};
use super::machine::Machine;
use super::report::StateWord;
use super::units::{self, Exiting};
use super::work::Phase;

/// How long the end of the daemon waits for a stop.
const STOP_DEADLINE: Duration = Duration::from_secs(600);

/// See the module's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// The daemon goes on.
    No,
    /// Nothing is judged any more.
    Ends,
    /// Neither, and a stop follows when the unit files are written.
    Files(ActionId),
}

impl Transitions for Exit {
    fn may_become(&self, next: &Self) -> bool {
        matches!((self, next), (Self::No, Self::Ends) | (Self::Ends, Self::Files(_)) | (Self::Files(_), Self::Ends))
    }
}

impl Default for Course<Exit> {
    fn default() -> Self {
        Self::begin(Exit::No)
    }
}

impl Machine {
    /// The daemon is about to end.
    pub(super) fn exit(&mut self, cx: &mut Context<'_>) {
        if *self.exit.phase() != Exit::No {
            return;
        }
        self.exit.enter(Exit::Ends);
        if !self.settings.stop_services_on_exit || self.hold.is_some() {
            return;
        }
        if self.shell.is_some() {
            if self.services(cx.node).is_any() {
                self.shown_as_stopping(cx.now);
                self.stop_by_shell(cx, vec![exit_reason()]);
            }
            return;
        }
        // systemd would stop the target only after us: that order has to go first. Whether that worked or not, the stop follows: files that could not
        // be changed must not keep services running.
        let files = units::generate(&self.name, &self.settings, cx.node.dialect(), cx.host, Exiting::Yes);
        let call = Call::Files(WriteFiles { resource: self.name.clone(), files });
        let id = cx.call(vec![exit_reason()], call);
        self.exit.enter(Exit::Files(id));
    }

    /// The unit files were changed, or could not be.
    pub(super) fn stop_for_exit(&mut self, cx: &mut Context<'_>) {
        self.exit.enter(Exit::Ends);
        // An operator may have held it since the end began.
        if self.hold.is_some() || !self.services(cx.node).is_any() {
            return;
        }
        self.shown_as_stopping(cx.now);
        cx.effect(vec![exit_reason()], Effect::SyncJournal);
        let call = self.call(self.set.target.clone(), UnitVerb::Stop, STOP_DEADLINE);
        let id = cx.call(vec![exit_reason()], Call::Unit(call));
        self.work.enter(Phase::Stopping(id));
        self.tries.stopped();
        self.history.decided(cx.now, Some(id), format!("stop {}", self.set.target), vec![exit_reason()]);
    }

    /// Nothing is judged any more while the daemon ends, but status should show that the services are being stopped.
    fn shown_as_stopping(&mut self, now: Mono) {
        self.standing.judged(now, StateWord::Stopping, &[exit_reason()]);
    }
}

fn exit_reason() -> Reason {
    Reason("the daemon ends, and stop-services-on-exit = true".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drawing_is_what_is_allowed() {
        let all = [Exit::No, Exit::Ends, Exit::Files(ActionId(1))];
        super::super::course::tests::check_drawing(include_str!("exit.rs"), &all);
    }
}
