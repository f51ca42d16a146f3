//! What must hold in every world, whatever goes wrong. Each invariant is one function; the first that does not hold ends the seed.
//!
//! What a node may know is taken from its shadow: a core without plugins that is told the truth (see `daemon.rs`). So an
//! invariant says "by what this node was told", and the truth of the models only where a node cannot know it.

mod actions;
mod history;
mod limits;
mod once;
mod operators;
mod oracle;
mod overdue;
mod pauses;
mod people;
mod rest;
mod stacks;
mod storage;

use std::collections::BTreeSet;
use std::fmt;

use reactor_core::action::{AskTools, Call, DrbdAnswer, DrbdCall, Outcome, Reason};
use reactor_core::ids::{ActionId, Mono};
use reactor_core::operator::OperatorVerb;
use reactor_core::settings::{PluginEntry, PluginSettings, Settings};
use reactor_core::systemd::{UnitEnd, UnitState, UnitVerb};

use crate::drbd9::{DataMarks, NodeIx};

use super::faults::Requests;
use super::others::NoPrimaryLevel;
use super::plan::promoted;
use super::run::World;
pub(super) use history::Written;
pub(super) use operators::{Drained, Wish};
pub(super) use people::{Known, Seen};
pub(super) use stacks::is_services;
use stacks::{Standby, StartedAgain, is_standby};

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Mono,
    /// Which one, in a few words.
    pub rule: &'static str,
    /// What happened.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}: {}: {}", self.at, self.rule, self.what)
    }
}

/// What is remembered of a resource on a node.
#[derive(Clone, Debug, Default)]
pub(super) struct Level {
    /// Since when it could be promoted, by what the node was told.
    pub(super) eligible_since: Option<Mono>,
    /// Until then somebody did not want it started here, for sure.
    pub(super) unwanted_until: Mono,
    /// When something was last in the way of a start, as far as that can be seen.
    pub(super) unready_at: Mono,
    pub(super) quorum_lost_since: Option<Mono>,
    /// Since when it is Primary, runs, and has no good data in reach.
    pub(super) data_lost_since: Option<Mono>,
    /// Since when it is Primary with a disk that is between two states.
    pub(super) hang_since: Option<Mono>,
    /// Since when nobody is Primary, as far as this node can be sure of it.
    pub(super) nowhere_since: Option<Mono>,
    /// Since when a thaw is due.
    pub(super) frozen_since: Option<Mono>,
    /// The last Start, Stop, Freeze, Thaw that was asked for.
    pub(super) last: [Option<Mono>; 4],
    /// Whether an operator's hold was confirmed, or may have been for all that is known.
    pub(super) held: bool,
    /// The same, and whether it failed too often, before its disk did not answer.
    pub(super) before_slow: Option<(bool, bool, Option<Wish>)>,
    /// An operator does not want it to run here.
    pub(super) wish: Option<Wish>,
    /// Since when it runs here, by our promotion, although nobody wants that.
    pub(super) unwanted_since: Option<Mono>,
    /// Since when a hold that should be over is not.
    pub(super) lingers_since: Option<Mono>,
    /// An operator has held or released it since the daemon started.
    pub(super) said: bool,
    /// When it, or a unit of it, came back into the configuration, or was mended before that.
    pub(super) came_back: Option<Mono>,
    /// Since when units of it run though its target does not, and nothing is under way.
    pub(super) outside_since: Option<Mono>,
    /// Whether it failed too often, by the failures that were kept.
    pub(super) blocked: bool,
    /// Failures of its services that have not been counted.
    pub(super) failures: Vec<Mono>,
    /// Failures that this life of the daemon has counted.
    pub(super) counted: u64,
    /// How the last start ended.
    pub(super) start_end: Option<UnitEnd>,
    /// The units as they were told when the last stop was asked for.
    pub(super) units_at_stop: Vec<UnitState>,
    /// Why that was.
    pub(super) why_stopped: Option<Reason>,
    /// Since when it runs, and the history does not say so.
    pub(super) unwritten_since: Option<Mono>,
    /// Since when a start is due.
    pub(super) late_since: Option<Mono>,
    /// Since when its services have to leave this node, because one failed.
    pub(super) leaves_since: Option<Mono>,
    /// Since when `drbd@N.service` is on its way up or down, by what was told.
    pub(super) service_busy_since: Option<Mono>,
    /// Whether the last stop has failed.
    pub(super) stop_failed: bool,
    /// Whether this node was seen as Primary since its services run.
    pub(super) was_primary: bool,
    /// Since when its services run here although this node is Secondary.
    pub(super) odd_since: Option<Mono>,
    /// Since when it runs without a disk, and a peer has good data of all volumes.
    pub(super) detached_since: Option<Mono>,
    /// When failures were counted, by all lives of the daemon.
    pub(super) counted_at: Vec<Mono>,
    /// Since when DRBD has it, and its options can be read.
    pub(super) readable_since: Option<Mono>,
    /// When connections or devices came or went last.
    pub(super) options_changed: Option<Mono>,
    /// When its options were asked for last.
    pub(super) options_read: Option<Mono>,
    /// They were read once.
    pub(super) options_known: bool,
    /// The last adjust of this life of the daemon went well.
    pub(super) adjusted: bool,
    /// It was started, or ran somewhere, in this life of the daemon.
    pub(super) ran: bool,
    /// Peers with which a split brain was found, until the connection is made anew.
    pub(super) diverged: BTreeSet<String>,
    /// It was adjusted once, as it is at the start of the daemon.
    pub(super) was_adjusted: bool,
    /// A service failed so often and so lately that nothing is started before then.
    pub(super) pauses_until: Option<Mono>,
    /// What runs on a Secondary.
    pub(super) standby: Standby,
    /// Entries that were started again where they are.
    pub(super) started_again: StartedAgain,
}

/// What is remembered of all.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) levels: Vec<Vec<Level>>,
    /// Not before then is anything overdue on a node: it stood still.
    pub(super) patience: Vec<Mono>,
    pub(super) requests: Requests,
    /// The last thing that was started or stopped, but for what gives a resource to a preferred node.
    pub(super) last_action: Mono,
    /// When each resource was last given to a preferred node, and how often since there is peace.
    pub(super) given: Vec<(Mono, u32)>,
    /// The data of each resource when they were last looked at.
    pub(super) data: Vec<Option<DataMarks>>,
    /// Which nodes are drained.
    pub(super) drains: Vec<Drained>,
    /// By node and resource: what `[[no-primary]]` has to see.
    pub(super) no_primary: Vec<Vec<NoPrimaryLevel>>,
    /// All that was started, stopped, frozen and thawed: when, on which node, of which resource.
    pub(super) acts: Vec<(Mono, NodeIx, usize, UnitVerb)>,
    /// When a node lost its power.
    pub(super) downs: Vec<Mono>,
}

impl Level {
    /// Only what is remembered, and the truth.
    fn begin_anew(&mut self) {
        let failures = std::mem::take(&mut self.failures);
        let (before_slow, said, came_back) = (self.before_slow.take(), self.said, self.came_back);
        let wish = self.wish.take();
        let counted_at = std::mem::take(&mut self.counted_at);
        let (held, blocked) = (self.held, self.blocked);
        *self = Self { held, wish, before_slow, said, blocked, failures, came_back, counted_at, ..Self::default() };
    }
}

impl Watch {
    pub(super) fn new(nodes: usize, resources: usize) -> Self {
        Self {
            levels: vec![vec![Level::default(); resources]; nodes],
            patience: vec![Mono::ZERO; nodes],
            requests: Requests::new(),
            last_action: Mono::ZERO,
            given: vec![(Mono::ZERO, 0); resources],
            data: vec![None; resources],
            drains: vec![Drained::default(); nodes],
            no_primary: vec![vec![NoPrimaryLevel::default(); resources]; nodes],
            acts: Vec::new(),
            downs: Vec::new(),
        }
    }

    /// A daemon starts: it knows only what was remembered.
    pub(super) fn new_life(&mut self, node: NodeIx) {
        for level in &mut self.levels[node] {
            level.begin_anew();
        }
        self.no_primary[node].fill(NoPrimaryLevel::default());
    }

    /// A node lost its power.
    pub(super) fn crashed(&mut self, node: NodeIx) {
        self.new_life(node);
    }

    /// A node stood still until now.
    pub(super) fn thawed(&mut self, node: NodeIx, now: Mono) {
        self.patience[node] = now.after(std::time::Duration::from_secs(2));
        for level in &mut self.levels[node] {
            level.late_since = None;
        }
    }

    /// A service failed, in truth.
    pub(super) fn service_failed(&mut self, node: NodeIx, res: usize, now: Mono) {
        self.levels[node][res].failures.push(now);
    }

    /// An operator asked.
    pub(super) fn asked(&mut self, request: u64, res: usize, verb: OperatorVerb) {
        self.requests.insert(request, (res, verb));
    }
}

/// The place of a verb in [`Level::last`].
pub(super) fn slot(verb: UnitVerb) -> usize {
    match verb {
        UnitVerb::Start => 0,
        UnitVerb::Stop => 1,
        UnitVerb::Freeze => 2,
        UnitVerb::Thaw => 3,
    }
}

impl World {
    /// A node is about to take settings: what is not in them any more begins anew when it comes back, but for what is remembered.
    pub(super) fn watch_settings(&mut self, node: NodeIx, settings: &Settings) {
        for (res, name) in self.resource_names().iter().enumerate() {
            if promoted(settings, name).is_none() {
                self.watch.levels[node][res].begin_anew();
                // That it failed too often is over with the resource.
                self.watch.levels[node][res].blocked = false;
                self.watch.levels[node][res].counted_at.clear();
            } else if self.moves(node, settings, name) {
                self.watch.levels[node][res].begin_anew();
            } else {
                continue;
            }
            let now = self.now;
            {
                if let Some(daemon) = self.machines[node].daemon.as_deref_mut() {
                    daemon.began[res] = now;
                }
            }
        }
    }

    /// Another table has it from now on: its promoter knows only what is remembered.
    fn moves(&self, node: NodeIx, settings: &Settings, name: &str) -> bool {
        let table = |settings: &Settings| {
            let has = |entry: &&PluginEntry| match &entry.settings {
                PluginSettings::Promoter(promoter) => promoter.resources.contains_key(name),
                _ => false,
            };
            settings.plugins.iter().find(has).map(|entry| entry.file.clone())
        };
        let before = self.machines[node].daemon.as_deref().and_then(|daemon| table(&daemon.settings));
        before.is_some_and(|before| table(settings).is_some_and(|after| after != before))
    }

    pub(super) fn violated(&mut self, rule: &'static str, what: String) {
        if self.violation.is_none() {
            self.violation = Some(Violation { at: self.now, rule, what });
        }
    }

    /// An outcome is about to reach the core.
    pub(super) fn watch_done(&mut self, node: NodeIx, id: ActionId, outcome: &Outcome) {
        let Some(pending) = self.machines[node].daemon.as_deref().and_then(|daemon| daemon.pending.get(&id)) else {
            return;
        };
        if let (Call::Drbd(AskTools { resource, .. }), Outcome::Drbd(DrbdAnswer::Options(_))) = (&pending.call, outcome)
            && let Some(res) = self.res(resource.as_str())
        {
            self.watch.levels[node][res].options_known = true;
            return;
        }
        if let (
            Call::Drbd(AskTools { resource, call: DrbdCall::Adjust | DrbdCall::AdjustLinks }),
            Outcome::Drbd(answer),
        ) = (&pending.call, outcome)
            && let Some(res) = self.res(resource.as_str())
        {
            self.watch.levels[node][res].adjusted = !matches!(answer, DrbdAnswer::Failed { .. });
            return;
        }
        if let (Call::Unit(call), Outcome::Unit(end)) = (&pending.call, outcome)
            && !is_standby(call)
            && let Some(res) = self.res(call.resource.as_str())
        {
            let level = &mut self.watch.levels[node][res];
            match call.verb {
                UnitVerb::Start => level.start_end = Some(end.clone()),
                UnitVerb::Stop => level.stop_failed = *end != UnitEnd::Done,
                UnitVerb::Freeze | UnitVerb::Thaw => {}
            }
        }
    }
}
