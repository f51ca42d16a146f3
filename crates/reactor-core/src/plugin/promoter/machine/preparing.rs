//! What has to be there before a start: generated files, an adjusted resource, drbd-utils' units, DRBD's options.

use crate::action::{AskTools, Call, DrbdCall, Reason, WriteFiles};
use crate::model::SourceState;
use crate::model::reports::NoteLevel;
use crate::plugin::Context;
use crate::systemd::UnitVerb;

use super::super::drbd_service::Busy;
use super::super::prepare::Step;
use super::super::services::Services;
use super::super::timers::Timer;
use super::super::units;
use super::super::units::Exiting;
use super::super::view;
use super::{Machine, SOURCE_PATIENCE, START_DEADLINE};

impl Machine {
    pub(super) fn prepare_next(&mut self, cx: &mut Context<'_>) {
        self.prepare_files(cx);
        self.prepare_drbd(cx);
    }

    pub(super) fn prepare_files(&mut self, cx: &mut Context<'_>) {
        let (source, dialect) = (cx.node.source(), cx.node.dialect());
        if source == SourceState::Unknown && cx.now.since(self.made_at) < SOURCE_PATIENCE {
            return self.timers.set(Timer::FilesUnasked, self.made_at.after(SOURCE_PATIENCE));
        }
        if source != SourceState::Unknown {
            self.files.are_for(dialect);
        }
        if self.held.is_hands_off() {
            return;
        }
        match self.files.due() {
            Some(at) if at <= cx.now => {
                let resource = self.name.clone();
                let files = units::generate(&self.name, &self.settings, self.files.dialect(), cx.host, Exiting::No);
                let id = cx.call(self.is_configured(), Call::Files(WriteFiles { resource, files }));
                self.files.asked(id);
            }
            due => self.timers.set(Timer::Files, due),
        }
    }

    pub(super) fn prepare_drbd(&mut self, cx: &mut Context<'_>) {
        if self.held.is_hands_off() {
            return;
        }
        if self.waits_for_the_service(cx) {
            return;
        }
        self.timers.set(Timer::AdjustLate, self.prepare.quiet_until().filter(|at| *at > cx.now));
        let Some((at, step)) = self.prepare.due() else { return };
        if at > cx.now {
            return self.timers.set(self.prepare.timer(), at);
        }
        let call = match step {
            Step::LowerDevices => DrbdCall::LowerDevices,
            // One at a time.
            Step::Adjust if self.links.is_adjusting() => return,
            // It has been adjusted once: now it waits for what becomes of that connection, which comes with news of DRBD.
            Step::Adjust if self.prepare.tried().is_some() && self.would_connect(cx) => return,
            // Whether a writer is at work here is known in a moment, unless DRBD is not even loaded.
            Step::Adjust if self.awaits_snapshot(cx) => {
                return self.timers.set(Timer::AdjustUnasked, self.made_at.after(SOURCE_PATIENCE));
            }
            Step::Adjust if self.would_attach_under_a_writer(cx) => DrbdCall::AdjustLinks,
            Step::Adjust => DrbdCall::Adjust,
        };
        let because = match self.prepare.said().pop() {
            Some(said) => vec![Reason(said)],
            None => self.is_configured(),
        };
        let id = cx.call(because.clone(), Call::Drbd(AskTools { resource: self.name.clone(), call }));
        self.prepare.asked(cx.now, step, id);
        if step == Step::LowerDevices {
            return;
        }
        // What is tried again and again would push everything else out of what is remembered.
        if self.prepare.tried().is_none() {
            self.history.decided(cx.now, Some(id), format!("drbdadm {} {}", call.as_str(), self.name), because);
        }
        self.timers.set(Timer::AdjustLate, self.prepare.quiet_until());
    }

    /// drbd-utils' own service adjusts it just now, or systemd has not said yet whether it does; and it is an adjust that is due.
    fn waits_for_the_service(&mut self, cx: &mut Context<'_>) -> bool {
        let mut busy = Busy::No;
        if self.shell.is_none() && self.settings.adjust_resource_on_start {
            busy = self.prepare.observe_service(cx.now, self.made_at, cx.node.units());
            self.adjust_what_was_taken_down(cx);
        }
        let Some(until) = self.prepare.waits_for_the_service(cx.now, busy) else { return false };
        for late in [self.prepare.quiet_until(), self.prepare.usual_end()] {
            self.timers.set(Timer::AdjustLate, late.filter(|at| *at > cx.now));
        }
        self.timers.set(Timer::DrbdService, until);
        true
    }

    /// The service has failed, and its `ExecStopPost=` has taken down what we had brought up.
    fn adjust_what_was_taken_down(&mut self, cx: &mut Context<'_>) {
        let is_gone = cx.settled && Self::is_live(cx.node) && cx.node.resource(self.name.as_str()).is_none();
        if is_gone && self.prepare.was_taken_down(cx.now) {
            let (unit, name) = (self.prepare.service_unit(), &self.name);
            let text =
                format!("{name}: {unit} of drbd-utils has failed and taken {name} down: it is adjusted once more");
            self.note(cx, NoteLevel::Warn, text);
        }
    }

    fn awaits_snapshot(&self, cx: &Context<'_>) -> bool {
        matches!(cx.node.source(), SourceState::Unknown | SourceState::Dumping)
            && cx.now.since(self.made_at) < SOURCE_PATIENCE
    }

    /// Primary here without a disk of its own: an attach would deadlock with what writes (DRBD 9.3.3), and nobody could end either.
    fn would_attach_under_a_writer(&self, cx: &Context<'_>) -> bool {
        let resource = cx.node.resource(self.name.as_str());
        resource.is_some_and(|resource| view::is_primary(resource) && !view::detached(resource).is_empty())
    }

    /// An adjust would make a connection anew that is to stay as it is.
    fn would_connect(&self, cx: &Context<'_>) -> bool {
        let resource = cx.node.resource(self.name.as_str());
        resource.is_some_and(|resource| self.links.must_stay(resource).is_some())
    }

    /// Why anything is prepared at all.
    pub(super) fn is_configured(&self) -> Vec<Reason> {
        vec![Reason(format!("{} is to be run by this promoter", self.name))]
    }

    /// `drbd@NAME.target` up, once: the first start would do it, and it would take the time of a take-over. Nobody waits for it.
    pub(super) fn bring_up_configuration(&mut self, cx: &mut Context<'_>, services: Services) {
        let is_wanted = self.settings.adjust_resource_on_start && self.shell.is_none() && !self.held.is_hands_off();
        let is_up = cx.node.resource(self.name.as_str()).is_some();
        if !self.prepare.is_target_due() || !is_wanted || !is_up || self.no_units(cx.node).is_some() {
            return;
        }
        if services != Services::Off || !self.work.is_idle() {
            // Whatever runs here has brought it up, or is about to.
            self.prepare.target_asked(None);
        } else if self.files.are_written() && self.prepare.is_idle() {
            let call = self.call(units::configuration(&self.name), UnitVerb::Start, START_DEADLINE);
            let because = vec![Reason(format!("the first start of {} should not have to wait for it", self.name))];
            let id = cx.call(because, Call::Unit(call));
            self.prepare.target_asked(Some(id));
        }
    }

    pub(super) fn read_options(&mut self, cx: &mut Context<'_>) {
        if !Self::is_live(cx.node) || cx.node.resource(self.name.as_str()).is_none() {
            return;
        }
        // An adjust may change all of them: what is read before would have to be read again.
        if self.prepare.awaits_adjust(cx.now) {
            return self.timers.set(self.options.timer(), self.prepare.usual_end());
        }
        if self.options.is_due(cx.now) {
            let because = vec![Reason(format!("the options of {} decide how it may be run", self.name))];
            let read = AskTools { resource: self.name.clone(), call: DrbdCall::Options };
            let id = cx.call(because, Call::Drbd(read));
            self.options.asked(cx.now, id);
        }
        self.timers.set(self.options.timer(), self.options.due());
    }
}
