//! What came back of an action, and what follows for its resource.

use crate::action::{Call, Done, DrbdAnswer, Effect, HandlerReport, Outcome, Reason, WriteFiles};
use crate::drbd::types::Role;
use crate::ids::{ActionId, Mono};
use crate::model::reports::NoteLevel;
use crate::plugin::Context;
use crate::systemd::{ActiveState, UnitEnd, UnitVerb};

use super::examine::Of;
use super::links::Repair;
use super::machine::{Exit, Machine};
use super::prepare::{News, Step};
use super::report::StateWord;
use super::units::{self, Exiting};
use super::view;
use super::work::{Phase, Start};

impl Machine {
    /// Takes an outcome in. What follows is decided by the next judgement.
    pub(super) fn done(&mut self, cx: &mut Context<'_>, done: &Done) {
        match &done.outcome {
            Outcome::Unit(end) => self.unit_done(cx, done.id, end),
            Outcome::Files(end) => {
                if self.files.is_asked(done.id) {
                    let news = self.files.wrote(cx.now, end);
                    self.warn(cx, news);
                } else if self.exit == Exit::Files(done.id) {
                    self.stop_for_exit(cx);
                }
            }
            Outcome::Drbd(answer) => self.drbd_done(cx, done.id, answer),
            Outcome::Examined(findings) => self.examined(cx, done.id, findings),
            Outcome::Handler(report) if self.sync_ended(cx, done.id, report) => {}
            Outcome::Handler(HandlerReport { end, .. }) => {
                if self.shell.as_ref().is_some_and(|shell| shell.is_running(done.id)) {
                    self.shell_done(cx, end);
                }
            }
        }
    }

    fn warn(&self, cx: &mut Context<'_>, news: impl IntoIterator<Item = String>) {
        for text in news {
            self.note(cx, NoteLevel::Warn, format!("{}: {text}", self.name));
        }
    }

    fn drbd_done(&mut self, cx: &mut Context<'_>, id: ActionId, answer: &DrbdAnswer) {
        self.stops.tool_ended(id);
        if self.options.is_asked(id) {
            let news = self.options.answered(cx.now, answer, &self.name, &self.settings, cx.node.dialect());
            for text in news {
                self.note(cx, NoteLevel::Warn, text);
            }
        } else if let Some(step) = self.prepare.is_asked(id) {
            match step {
                Step::LowerDevices => {
                    let news = self.prepare.looked(cx.now, answer, self.is_up(cx));
                    self.tell(cx, news);
                }
                Step::Adjust => self.adjusted(cx, id, answer),
            }
        } else if let Some(repair) = self.links.ended(id) {
            self.links_repaired(cx, id, repair, answer);
        } else if let DrbdAnswer::Failed { why } = answer {
            self.warn(cx, [why.clone()]);
        }
    }

    /// An adjust ended: that of the preparation, or the link keeper's. What it said is in the last decisions, once for each thing said.
    fn adjusted(&mut self, cx: &mut Context<'_>, id: ActionId, answer: &DrbdAnswer) {
        let how = match answer {
            DrbdAnswer::Failed { why } => format!("failed: {why}"),
            DrbdAnswer::Done | DrbdAnswer::LowerDevices(_) | DrbdAnswer::Options(_) => "done".to_owned(),
        };
        let news = self.prepare.adjusted(cx.now, answer, self.is_up(cx));
        if news.is_some() && !self.history.has(id) {
            let because = vec![Reason("it failed before, and is tried again until it works".to_owned())];
            self.history.decided(cx.now, Some(id), format!("drbdadm adjust {}", self.name), because);
        }
        self.history.ended(cx.now, id, &how);
        self.options.read_again(cx.now);
        self.tell(cx, news);
    }

    /// The link keeper's ended: that it worked says nothing of the disks.
    fn links_repaired(&mut self, cx: &mut Context<'_>, id: ActionId, repair: Repair, answer: &DrbdAnswer) {
        match (answer, repair) {
            (DrbdAnswer::Failed { .. }, Repair::All) => return self.adjusted(cx, id, answer),
            // It is tried again after its pause, for as long as the link is StandAlone.
            (DrbdAnswer::Failed { why }, Repair::One(_)) => {
                self.history.ended(cx.now, id, &format!("failed: {why}"));
                return self.warn(cx, [format!("drbdsetup connect failed: {why}")]);
            }
            (DrbdAnswer::Done | DrbdAnswer::LowerDevices(_) | DrbdAnswer::Options(_), _) => {}
        }
        self.history.ended(cx.now, id, "done");
        self.options.read_again(cx.now);
    }

    /// Whether DRBD has it.
    fn is_up(&self, cx: &Context<'_>) -> bool {
        cx.node.resource(self.name.as_str()).is_some()
    }

    fn tell(&self, cx: &mut Context<'_>, news: Option<News>) {
        if let Some(News { text, bad }) = news {
            let level = if bad { NoteLevel::Warn } else { NoteLevel::Info };
            self.note(cx, level, format!("{}: {text}", self.name));
        }
    }

    fn unit_done(&mut self, cx: &mut Context<'_>, id: ActionId, end: &UnitEnd) {
        if self.prepare.target_ended(id) || self.standby_ended(cx, id, end) {
            return;
        }
        if let Some(ended) = self.freezer.ended(cx.now, id, end, cx.node.units()) {
            if let Some((last, how)) = ended.whole {
                self.history.ended(cx.now, last, &how);
            }
            self.warn(cx, ended.news);
            return;
        }
        self.history.ended(cx.now, id, &self.how_it_ended(cx, id, end));
        match self.work.phase() {
            Phase::Starting(start) if start.id == id => {
                let start = start.clone();
                self.started(cx, &start, end);
            }
            Phase::Stopping(stop) if *stop == id => self.stopped(cx, id, end),
            // A start that was pre-empted by a stop.
            Phase::Idle | Phase::Starting(_) | Phase::Settling { .. } | Phase::Stopping(_) | Phase::Stopped { .. } => {}
        }
    }

    /// systemd's word for it, or what that means: a start that does not get past the promotion fails for want of what it depends on, and that is none.
    fn how_it_ended(&self, cx: &Context<'_>, id: ActionId, end: &UnitEnd) -> String {
        match (self.work.phase(), end) {
            (Phase::Starting(start), UnitEnd::Job(result))
                if start.id == id
                    && result != "canceled"
                    && !self.failures.is_in_episode()
                    && !self.was_promoted(cx, start) =>
            {
                if self.who_was_faster(cx).is_some() {
                    "not promoted".to_owned()
                } else {
                    format!("not promoted ({end})")
                }
            }
            _ => end.to_string(),
        }
    }

    /// The job of a stop ended.
    fn stopped(&mut self, cx: &mut Context<'_>, id: ActionId, end: &UnitEnd) {
        if *end == UnitEnd::Done {
            // The target is the first to go down: the others follow, and the news may come after the end of its job.
            return self.work.enter(Phase::Stopped { until: Self::settle_deadline(cx.now) });
        }
        self.work.enter(Phase::Idle);
        if !self.stops.have_failed() {
            self.warn(cx, [format!("its services could not be stopped: {end}")]);
        }
        let bad = self.set.ended_badly(cx.node.units()).into_iter().map(|(unit, _)| unit).collect();
        self.examine(cx, Of::Stop, Some(id), bad);
        self.stops.did_not_help(cx.now);
    }

    /// The job of a start ended.
    fn started(&mut self, cx: &mut Context<'_>, start: &Start, end: &UnitEnd) {
        self.restarts.ended(cx.now);
        self.work.enter(match end {
            UnitEnd::Done => Phase::Settling { start: start.clone(), until: Self::settle_deadline(cx.now) },
            UnitEnd::TimedOut | UnitEnd::NoBus { .. } | UnitEnd::Job(_) | UnitEnd::Refused { .. } => Phase::Idle,
        });
        let unclear = match end {
            UnitEnd::TimedOut | UnitEnd::NoBus { .. } => true,
            UnitEnd::Job(result) => result == "canceled",
            UnitEnd::Done | UnitEnd::Refused { .. } => false,
        };
        if unclear && start.tells_by_role() {
            // Who stops it ends the program that promotes, and not what the kernel does.
            self.levels.start_is_preempted(cx.now);
        }
        if !unclear {
            if *end == UnitEnd::Done && !self.start_list.restart().is_empty() {
                self.tries.restarted(cx.now);
            }
            self.start_list.forget_restart();
        }
        match end {
            UnitEnd::Done => {}
            // Somebody stopped it meanwhile, or nobody knows: the states of the units will tell.
            _ if unclear => self.tries.unclear(cx.now),
            UnitEnd::TimedOut | UnitEnd::NoBus { .. } => {}
            // A unit that failed again among others that run: its state tells. Not always, if it was told as failed before.
            UnitEnd::Job(_) if self.failures.is_in_episode() => self.tries.unclear(cx.now),
            UnitEnd::Job(result) if self.was_promoted(cx, start) => {
                let failed = self.set.failed(cx.node.units());
                let list: Vec<String> =
                    failed.iter().map(|(unit, result)| format!("{unit} has failed: {result}")).collect();
                let why = if list.is_empty() { format!("the start ended with: {result}") } else { list.join(", ") };
                self.start_failed(cx, Some(start.id), why);
            }
            UnitEnd::Job(_) => self.lost_race(cx, Some(start.id)),
            UnitEnd::Refused { .. } => {
                self.tries.lost_race(cx.now, &self.settings);
                let text = format!("{}: systemd did not start its target: {end}", self.name);
                self.note(cx, NoteLevel::Info, text);
            }
        }
    }

    /// DRBD did not let this node become Primary: nothing of ours ran, and nothing has failed.
    pub(super) fn lost_race(&mut self, cx: &mut Context<'_>, decision: Option<ActionId>) {
        self.tries.lost_race(cx.now, &self.settings);
        if let Some(peer) = self.who_was_faster(cx) {
            return self.lost_to(cx, decision, &peer);
        }
        let text = format!("{}: DRBD did not let this node become Primary", self.name);
        self.note(cx, NoteLevel::Info, text);
        self.tries.waits_for_winner(cx.now, decision);
        // Whether somebody was faster, or DRBD refuses whoever asks, its own words tell.
        self.examine(cx, Of::Refusal(self.tries.counts.lost_races), decision, vec![self.set.promote.clone()]);
    }

    /// A peer that is Primary.
    pub(super) fn who_was_faster(&self, cx: &Context<'_>) -> Option<String> {
        let resource = cx.node.resource(self.name.as_str())?;
        let peer = view::primary_peers(resource).first().copied()?;
        Some(self.options.peers().of(resource, peer))
    }

    /// That is how it should be.
    pub(super) fn lost_to(&mut self, cx: &mut Context<'_>, decision: Option<ActionId>, peer: &str) {
        let text = format!("{peer} was faster");
        self.explain(decision, &text);
        self.note(cx, NoteLevel::Info, format!("{}: {text}", self.name));
    }

    /// Whether the start got as far as the promotion: only then its end says something about the services. A node that was Primary before, by what it
    /// had heard, tells nothing by still being it.
    pub(super) fn was_promoted(&self, cx: &Context<'_>, start: &Start) -> bool {
        let primary = cx.node.resource(self.name.as_str()).is_some_and(|resource| resource.state.role == Role::Primary);
        let unit = cx.node.units().get(self.set.promote.as_str());
        (primary && start.tells_by_role())
            || unit.is_some_and(|unit| matches!(unit.active, ActiveState::Active | ActiveState::Deactivating))
    }

    /// The daemon is about to end.
    pub(super) fn exit(&mut self, cx: &mut Context<'_>) {
        if self.exit != Exit::No {
            return;
        }
        self.exit = Exit::Yes;
        if !self.settings.stop_services_on_exit || self.held.is_hands_off() {
            return;
        }
        if self.shell.is_some() {
            if self.services(cx.node).is_any() {
                self.shown_as_stopping(cx.now);
                self.stop_by_shell(cx, vec![exit_reason()]);
            }
            return;
        }
        // systemd would stop the target only after us: that order has to go first. Whether that worked or not, the stop follows.
        let files = units::generate(&self.name, &self.settings, cx.node.dialect(), cx.host, Exiting::Yes);
        let call = Call::Files(WriteFiles { resource: self.name.clone(), files });
        self.exit = Exit::Files(cx.call(vec![exit_reason()], call));
    }

    fn stop_for_exit(&mut self, cx: &mut Context<'_>) {
        self.exit = Exit::Yes;
        // An operator may have held it since the end began.
        if self.held.is_hands_off() || !self.services(cx.node).is_any() {
            return;
        }
        self.shown_as_stopping(cx.now);
        cx.effect(vec![exit_reason()], Effect::SyncJournal);
        if cx.node.resource(self.name.as_str()).is_some_and(view::is_suspended) {
            self.let_io_fail(cx, &[exit_reason()]);
        }
        let call = self.call(self.set.target.clone(), UnitVerb::Stop, Self::exit_deadline());
        let id = cx.call(vec![exit_reason()], Call::Unit(call));
        self.work.enter(Phase::Stopping(id));
        self.tries.counts.stops += 1;
        // A frozen process cannot end, whoever stops it.
        let frozen = self.to_thaw(cx.node);
        self.thaw_with(cx, frozen, &[exit_reason()]);
        self.history.decided(cx.now, Some(id), format!("stop {}", self.set.target), vec![exit_reason()]);
    }

    /// Nothing is decided any more, and who looks at a daemon that ends wants to know.
    fn shown_as_stopping(&mut self, now: Mono) {
        self.standing.judged(now, StateWord::Stopping, &[exit_reason()], None);
    }

    /// How long the end of the daemon waits for a stop.
    fn exit_deadline() -> std::time::Duration {
        std::time::Duration::from_secs(600)
    }
}

fn exit_reason() -> Reason {
    Reason("the daemon ends, and stop-services-on-exit = true".to_owned())
}
