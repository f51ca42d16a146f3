//! What operators say about where a resource runs, and what has to come of it.
//!
//! What was said is remembered here apart from the promoter's own books: across daemons, as far as the disk has it, and with what is not known
//! when it ends, because somebody has set the clock. A state file that was torn loses all of it: then everything is held, and nothing is stopped.

use std::time::Duration;

use reactor_core::ids::Mono;
use reactor_core::operator::{Hold, OperatorAnswer, OperatorVerb};
use reactor_core::plugin::promoter::report::{ResourceReport, StateWord};
use reactor_core::systemd::ActiveState;

use crate::drbd9::NodeIx;

use super::super::operators::Moved;
use super::super::plan::{NODES, promoted};
use super::super::run::World;
use super::Watch;
use super::oracle::View;

/// What is wrong if it is.
pub(super) const NOT_STARTED: &str = "an unwanted resource is not started";

/// Times are kept in whole seconds of another clock.
const ROUNDED: Duration = Duration::from_secs(2);
/// A hold that is over has gone after this time.
const GONE: Duration = Duration::from_secs(3);
/// Commands of the shell runner that stop something are run again within this time.
const AGAIN: Duration = Duration::from_secs(75);

/// What an operator said of a resource: it is not to run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Wish {
    /// Until it is released.
    Stopped,
    /// Until a peer is Primary, or its time is up.
    Left {
        /// Whichever if it is none.
        to: Option<String>,
        limit: Duration,
        /// What the clock was off by when it was said.
        clock: i64,
        /// Not before then, unless the peer is Primary.
        earliest: Mono,
        /// And then at the latest.
        latest: Mono,
        /// It ran here: if nobody takes it, it comes back here without a delay.
        ran_here: bool,
    },
}

impl Wish {
    /// Whether a reason of a stop is this one.
    pub(super) fn is_said_by(&self, reason: &str) -> bool {
        match self {
            Self::Stopped => reason.starts_with("stopped by "),
            Self::Left { to, .. } => {
                let whom = to.as_deref().unwrap_or("another node");
                reason.starts_with(&format!("left to {whom} by "))
            }
        }
    }
}

/// Whether a node is drained, for all that its daemon can know.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Drained {
    is: bool,
    /// The same before its disk did not answer.
    before_slow: Option<bool>,
    /// A person has said so since the daemon started.
    said: bool,
}

impl Drained {
    fn say(&mut self, is: bool) {
        (self.is, self.said) = (is, true);
    }

    /// A daemon starts.
    pub(in super::super) fn new_life(&mut self) {
        self.said = false;
    }

    /// What is in the file is read, if the disk is not slow. One that is torn says nothing.
    pub(in super::super) fn new_file(&mut self, slow: bool, torn: bool) {
        if slow {
            self.before_slow.get_or_insert(self.is);
            self.is = false;
        }
        self.is &= !torn || self.said;
    }

    /// The disk answers; `is_there` = the daemon is still the one that has waited for it.
    pub(in super::super) fn disk_answers(&mut self, is_there: bool) {
        if let Some(before) = self.before_slow.take() {
            self.said &= is_there;
            if !self.said {
                self.is = before;
            }
        }
    }
}

impl Watch {
    /// Whether a node is drained.
    pub(in super::super) fn is_drained(&self, node: NodeIx) -> bool {
        self.drains[node].is
    }
}

impl World {
    /// A node is about to be told that it is drained, or no longer.
    pub(in super::super) fn drain_is_said(&mut self, node: NodeIx, is: bool) {
        let was = self.watch.is_drained(node);
        self.watch.drains[node].say(is);
        let now = self.now;
        for level in self.watch.levels[node].iter_mut().filter(|_| was) {
            level.unwanted_until = now;
        }
        for level in self.watch.levels[node].iter_mut().filter(|_| !is) {
            level.nowhere_since = None;
        }
    }

    /// A daemon is about to be told what was kept: when what was said for a time only ends, its clock says.
    pub(in super::super) fn recall_wishes(&mut self, node: NodeIx) {
        let (now, off) = (self.now, self.machines[node].clock_off_ms);
        for level in &mut self.watch.levels[node] {
            if let Some(Wish::Left { limit, clock, earliest, latest, .. }) = &mut level.wish
                && *clock != off
            {
                (*earliest, *latest) = (now, now.after(*limit));
            }
        }
    }

    /// An operator was answered.
    pub(super) fn answered(&mut self, node: NodeIx, request: u64, answer: &OperatorAnswer) {
        let Some((res, verb)) = self.watch.requests.remove(&request) else { return };
        // By a daemon that does not have the resource (it is out of its configuration): then nothing is held.
        if *answer == OperatorAnswer::NoSuchResource {
            return;
        }
        let (now, clock) = (self.now, self.machines[node].clock_off_ms);
        let is_over = match &verb {
            OperatorVerb::Yield { to, .. } => self.is_settled(node) && self.is_taken_over(node, res, to.as_deref()),
            _ => false,
        };
        // Who is told so once more still had it before.
        let had_it = matches!(self.watch.levels[node][res].wish, Some(Wish::Left { ran_here: true, .. }));
        let ran_here = had_it || self.view(node, res).is_some_and(|view| view.is_any() || view.is_primary());
        let was_unwanted = self.watch.levels[node][res].held || self.is_unwanted(node, res).is_some();
        let is_cleared = verb == OperatorVerb::Clear && matches!(answer, OperatorAnswer::Done { .. });
        let level = &mut self.watch.levels[node][res];
        if was_unwanted || is_cleared {
            level.unwanted_until = now;
        }
        let is_refused =
            matches!(verb, OperatorVerb::Yield { .. }) && (level.held || level.wish == Some(Wish::Stopped));
        level.said |= verb != OperatorVerb::Clear && !is_refused;
        match verb {
            OperatorVerb::Hold { .. } => {
                (level.held, level.wish) = (true, None);
                level.leaves_since = None;
            }
            OperatorVerb::Stop { .. } => {
                (level.held, level.wish) = (false, Some(Wish::Stopped));
                level.leaves_since = None;
            }
            // Nothing is taken from whoever holds it or has stopped it.
            OperatorVerb::Yield { .. } if is_refused => {
                if matches!(answer, OperatorAnswer::Done { .. }) {
                    let what = format!("{}: it is left to another node: {answer:?}", NODES[node]);
                    self.violated("what a person holds is not taken from him", what);
                }
            }
            // That peer is Primary, and may just be on its way down.
            OperatorVerb::Yield { .. } if is_over => level.wish = None,
            OperatorVerb::Yield { to, limit, .. } => {
                let limit = Duration::from_secs(limit);
                let end = now.after(limit);
                level.wish = Some(Wish::Left { to, limit, clock, earliest: end, latest: end, ran_here });
                level.leaves_since = None;
            }
            OperatorVerb::Release => {
                (level.held, level.wish) = (false, None);
                level.nowhere_since = None;
            }
            OperatorVerb::Clear => {
                level.blocked = false;
                level.pauses_until = None;
                level.leaves_since = None;
            }
            // Of the node.
            OperatorVerb::Drain { .. } | OperatorVerb::Undrain | OperatorVerb::CloseIncident { .. } => {}
        }
    }

    /// The peer that it is left to is Primary, by what this node was told.
    fn is_taken_over(&self, node: NodeIx, res: usize, to: Option<&str>) -> bool {
        let Some(view) = self.view(node, res).filter(View::knows_whether_it_is_primary) else { return false };
        view.primary_peers().any(|peer| to.is_none_or(|to| to == peer))
    }

    /// Why it must not run here, if that is sure.
    pub(super) fn is_unwanted(&self, node: NodeIx, res: usize) -> Option<String> {
        if self.watch.is_drained(node) {
            return Some("this node is drained".to_owned());
        }
        match self.watch.levels[node][res].wish.as_ref()? {
            Wish::Stopped => Some("it was stopped".to_owned()),
            Wish::Left { to, earliest, .. } => {
                let is_sure = earliest.0 > self.now.after(ROUNDED).0 && !self.is_taken_over(node, res, to.as_deref());
                is_sure.then(|| format!("it is left to {} until {earliest}", to.as_deref().unwrap_or("another node")))
            }
        }
    }

    /// Until when it was not wanted here, for sure. Head starts of other nodes count from then.
    pub(super) fn unwanted_until(&self, node: NodeIx, res: usize) -> Mono {
        let level = &self.watch.levels[node][res];
        match &level.wish {
            Some(Wish::Left { to, earliest, ran_here: false, .. }) if !self.is_taken_over(node, res, to.as_deref()) => {
                let sure = u64::try_from(ROUNDED.as_nanos()).unwrap_or(u64::MAX);
                level.unwanted_until.max(Mono(earliest.0.saturating_sub(sure)))
            }
            _ => level.unwanted_until,
        }
    }

    /// It may be that it must not run here.
    pub(super) fn may_be_unwanted(&self, node: NodeIx, res: usize) -> bool {
        self.watch.is_drained(node) || self.watch.levels[node][res].wish.is_some()
    }

    /// Takes note of what is over, and of since when something runs that must not.
    pub(super) fn watch_wish(&mut self, node: NodeIx, res: usize) {
        if let Some(Wish::Left { to, .. }) = &self.watch.levels[node][res].wish
            && self.is_taken_over(node, res, to.as_deref())
        {
            self.wish_is_over(node, res);
        }
        let now = self.now;
        let is_sure = self.is_unwanted(node, res).is_some() && !self.watch.levels[node][res].held;
        let Some(view) = self.view(node, res).filter(|_| is_sure) else {
            self.watch.levels[node][res].unwanted_since = None;
            return;
        };
        let runs = if self.is_shell(res) {
            view.knows_whether_it_is_primary() && view.is_primary()
        } else {
            let ours = view.is_up() || view.promote().active == ActiveState::Active;
            view.knows_whether_it_runs() && view.resource.is_some() && ours && !view.goes_down()
        };
        let level = &mut self.watch.levels[node][res];
        level.unwanted_since = runs.then(|| level.unwanted_since.unwrap_or(now));
    }

    fn wish_is_over(&mut self, node: NodeIx, res: usize) {
        let level = &mut self.watch.levels[node][res];
        (level.wish, level.nowhere_since) = (None, None);
    }

    /// What its daemon says of a resource.
    fn report(&self, node: NodeIx, res: usize) -> Option<ResourceReport> {
        let daemon = self.machines[node].daemon.as_deref()?;
        let name = &self.plan.cluster.resources[res].name;
        let reports = daemon.core.promoted(Mono(self.now.0.saturating_sub(daemon.started.0)));
        reports.into_iter().find(|report| report.resource.as_str() == name)
    }

    /// Its daemon has heard the end of what DRBD said.
    fn is_settled(&self, node: NodeIx) -> bool {
        self.machines[node].daemon.as_deref().is_some_and(|daemon| !daemon.burst_open)
    }

    /// What was said holds, and what was said for a time only is over in time.
    pub(in super::super) fn check_wish(&mut self, node: NodeIx, res: usize) {
        let name = self.plan.cluster.resources[res].name.clone();
        let Some(report) = self.report(node, res) else {
            self.watch.levels[node][res].lingers_since = None;
            return;
        };
        let left = |hold: &Hold| hold.until.is_some();
        let (now, hold) = (self.now, report.hold.as_ref());
        match self.watch.levels[node][res].wish.clone() {
            Some(Wish::Stopped) => {
                if !hold.is_some_and(|hold| hold.stops && !left(hold)) {
                    let what = format!("{}: {name} was stopped, and its hold is {hold:?}", NODES[node]);
                    self.violated("what is stopped stays stopped", what);
                }
            }
            Some(Wish::Left { to, earliest, latest, .. }) => {
                let is_over = self.is_taken_over(node, res, to.as_deref());
                if !hold.is_some_and(left) {
                    if hold.is_some() {
                        let what =
                            format!("{}: {name} was left to another node, and its hold is {hold:?}", NODES[node]);
                        return self.violated("what is left to another node comes back", what);
                    }
                    if !is_over && earliest > now.after(ROUNDED) {
                        let what = format!("{}: {name} was to wait until {earliest}", NODES[node]);
                        return self.violated("what is left to a node waits for it", what);
                    }
                    self.wish_is_over(node, res);
                } else if !self.is_ending(node) {
                    self.lingers(node, res, is_over || latest.after(ROUNDED) < now);
                }
            }
            None => self.lingers(node, res, hold.is_some_and(left) && !self.is_ending(node)),
        }
    }

    /// A hold that is over has gone.
    fn lingers(&mut self, node: NodeIx, res: usize, does: bool) {
        let now = self.now;
        let settled = self.is_settled(node);
        let level = &mut self.watch.levels[node][res];
        level.lingers_since = does.then(|| level.lingers_since.unwrap_or(now));
        if let Some(since) = level.lingers_since.filter(|since| settled && now.since(*since) > GONE) {
            let name = &self.plan.cluster.resources[res].name;
            let what = format!("{}: {name} should be free again since {since}", NODES[node]);
            self.violated("what is left to another node comes back", what);
        }
    }

    /// Whether the node is drained is what was said, whatever has become of the daemon.
    pub(super) fn check_drain(&mut self, node: NodeIx) {
        let Some(daemon) = self.machines[node].daemon.as_deref() else { return };
        let (is, wanted) = (daemon.core.drained().is_some(), self.watch.is_drained(node));
        if is != wanted {
            let what = format!("{}: drained: {is}, it should be {wanted}", NODES[node]);
            self.violated("a drain outlives the daemon", what);
        }
    }

    /// What must not run here is stopped, and again if it could not be.
    pub(super) fn check_unwanted(&mut self, node: NodeIx, res: usize) {
        let level = &self.watch.levels[node][res];
        let Some(since) = level.unwanted_since else { return };
        let why = self.is_unwanted(node, res);
        let Some(why) = why.filter(|_| !level.held) else { return };
        let name = self.plan.cluster.resources[res].name.clone();
        let in_time = if self.is_shell(res) {
            let stopped = level.last[1].is_some_and(|asked| self.now.since(asked) < AGAIN);
            stopped || self.now.since(since) < Duration::from_secs(1) || self.runs_commands(node, &name)
        } else {
            self.is_stopped_in_time(node, res, since)
        };
        if !in_time {
            let what = format!("{}: {name} runs since {since}, though {why}; {}", NODES[node], self.says(node, &name));
            self.violated("an unwanted resource is stopped in time", what);
        }
    }

    /// A command of the shell runner has not ended.
    fn runs_commands(&self, node: NodeIx, name: &str) -> bool {
        let is_it = |call: &reactor_core::action::Call| matches!(call, reactor_core::action::Call::Handler(run) if run.resource.as_str() == name);
        self.machines[node]
            .daemon
            .as_deref()
            .is_some_and(|daemon| daemon.pending.values().any(|pending| is_it(&pending.call)))
    }

    /// What was moved runs where it was to go, or where it was, or, if two operators wanted different things, where one of them has it.
    pub(in super::super) fn check_moved(&mut self, moved: &Moved) {
        let Moved { res, from, to, also, began, faults } = moved;
        let disturbed = self.faults != *faults || self.flapped >= *began || self.peace.is_some();
        if disturbed || !self.is_calm(*res) {
            return;
        }
        let name = self.plan.cluster.resources[*res].name.clone();
        let is_up = |node: &NodeIx| {
            let report = self.report(*node, *res);
            let runs = report.is_some_and(|report| matches!(report.state, StateWord::Running | StateWord::Starting));
            runs || self.cluster.truth(*node, *res).primary
        };
        let up: Vec<NodeIx> = (0..NODES.len()).filter(is_up).collect();
        let prefers = promoted(&self.plan.settings, &name).is_some_and(|settings| !settings.preferred_nodes.is_empty());
        let asked = |node: &NodeIx| node == to || node == from || prefers || also.is_some();
        let where_ = up.iter().map(|node| NODES[*node]).collect::<Vec<_>>().join(", ");
        if up.len() != 1 || !up.iter().all(asked) {
            let also = also.as_deref().unwrap_or("nothing else");
            let said = |node: &NodeIx| {
                let report = self.report(*node, *res)?;
                let because: Vec<&str> = report.because.iter().map(|reason| reason.0.as_str()).collect();
                Some(format!("{}: {}: {}", NODES[*node], report.state.as_str(), because.join("; ")))
            };
            let said: Vec<String> = [*from, *to].iter().filter_map(said).collect();
            let what = format!(
                "{name} was moved from {} to {} at {began}, and {also}; it runs on {where_:?}; {}",
                NODES[*from],
                NODES[*to],
                said.join(", ")
            );
            let rule = if moved.also.is_some() {
                "two operators at once end in one of the two asked states"
            } else {
                "a move ends on the named node or where it was"
            };
            self.violated(rule, what);
        }
    }
}
