//! What a resource would do next, as things are or after an event: worked out on a copy, by the same code that decides in earnest.
//!
//! ```text
//!  Core::what_if ─▶ WhatIf: a copy of one machine and of its levels
//!                     │
//!                     ▼   the event changes the levels (drbd.rs)
//!                   Machine::judge ─▶ actions ─▶ each ends well (good.rs), and changes the levels ─┐
//!                     ▲                                                                            │
//!                     └── the next deadline, on virtual time ◀─────────────────────────────────────┘
//!                     │
//!                     ▼   nothing is under way, and only routine is waited for
//!                   Forecast: what it does, when, and why
//! ```
//!
//! Nothing here decides: a forecast is as right as the levels that it assumes. That DRBD and the services do what is assumed is compared with
//! the simulated cluster (`reactor-sim`, `world/foresight.rs`). Copying is cheap, and the rest is done beside the loop.

mod drbd;
mod good;
mod steps;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use reactor_api::words::Event;

use crate::action::{Action, ActionKind, Call, Done, DrbdCall, DrbdOptions, Outcome, Reason};
use crate::ids::{ActionId, InstanceId, Mono, PeerNodeId, ResourceName, UnitName};
use crate::isolation::catch;
use crate::model::Node;
use crate::model::objects::Resource;
use crate::names;
use crate::operator::{Hold, Memory, WallClock};
use crate::plugin::{Context, Host, ViewContext};
use crate::systemd::UnitVerb;

use super::machine::Machine;
use super::policy::Policy;
use super::report::StateWord;
use super::syncs;
use super::takeover;
use super::timers::Timer;
use super::view;
use drbd::Drbd;
pub use steps::{Did, Does, Ends, Forecast, Step};

/// So many judgements and outcomes at most.
const TURNS: usize = 5_000;

/// It is followed for so long at most.
const HORIZON: Duration = Duration::from_secs(7 * 24 * 3600);

/// DRBD's default of `ping-timeout`, in tenths of a second.
const PING_TIMEOUT_DS: u32 = 5;

/// All that a promoter decides of a resource by: its machine, and what is under way.
pub struct Likeness {
    machine: Box<Machine>,
    asked: Vec<(ActionId, Asked)>,
}

impl Likeness {
    pub(super) fn of(machine: &Machine, owners: &BTreeMap<ActionId, (ResourceName, Asked)>) -> Self {
        let ours = owners.iter().filter(|(_, (owner, _))| *owner == machine.name);
        let asked = ours.map(|(id, (_, asked))| (*id, asked.clone())).collect();
        Self { machine: Box::new(machine.clone()), asked }
    }
}

/// What was asked for, as far as its outcome depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Unit(UnitName, UnitVerb),
    Drbd(DrbdCall),
    Files,
    Examine,
    /// A command of the shell runner.
    Command {
        starts: bool,
    },
    /// Files for other nodes.
    Sync,
    /// A start that a stop has pre-empted.
    Preempted,
}

impl Asked {
    pub(super) fn of(call: &Call) -> Self {
        match call {
            Call::Unit(call) => Self::Unit(call.unit.clone(), call.verb),
            Call::Drbd(ask) => Self::Drbd(ask.call),
            Call::Files(_) => Self::Files,
            Call::Examine(_) => Self::Examine,
            Call::Handler(run) if run.rule == syncs::RULE => Self::Sync,
            Call::Handler(run) => Self::Command { starts: run.rule.starts_with("promoter start") },
        }
    }
}

/// Why nothing can be said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForecastError {
    /// The event is about a node that DRBD does not know.
    #[error("DRBD on {own} knows no node {node} for {resource}; it knows: {known}")]
    NoSuchNode {
        /// This node.
        own: String,
        /// The one that was named.
        node: String,
        /// The resource.
        resource: ResourceName,
        /// Those that there are.
        known: String,
    },
    /// The event is about DRBD, and DRBD does not have it.
    #[error(
        "DRBD on {own} has no resource {resource}, so nothing of the kind can happen to it; without --event the plan says what is done about that"
    )]
    NoResource {
        /// This node.
        own: String,
        /// The resource.
        resource: ResourceName,
    },
    /// A node cannot lose itself.
    #[error("{node} is this node: peer-lost wants another one")]
    OwnNode {
        /// This node.
        node: String,
    },
    /// A mistake in this program.
    #[error("internal error, please report it: {message}")]
    Internal {
        /// What it said.
        message: String,
    },
}

/// A copy of a resource, its levels and its promoter's state for it, to be gone on with in thought.
pub struct WhatIf {
    machine: Box<Machine>,
    node: Node,
    host: Host,
    /// The wall clock, and when it showed that.
    wall: Option<(Mono, WallClock)>,
    drained: Option<Hold>,
    now: Mono,
    began: Mono,
    next_action: u64,
    pending: VecDeque<(ActionId, Asked)>,
    /// DRBD's options as they were read last, and what they mean.
    options: Option<DrbdOptions>,
    policy: Policy,
    /// A node that is not seen from here is Primary, and DRBD knows.
    hidden_primary: bool,
    steps: Vec<Step>,
    assumed: Vec<String>,
    unknown: Vec<String>,
}

impl std::fmt::Debug for WhatIf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WhatIf").field("resource", &self.machine.name).finish_non_exhaustive()
    }
}

impl WhatIf {
    /// As things are.
    pub(crate) fn new(likeness: Likeness, view: &ViewContext<'_>, drained: Option<&Hold>) -> Self {
        let Likeness { machine, asked } = likeness;
        let node = view.node.only(machine.name.as_str(), machine.followed());
        Self {
            node,
            host: view.host.clone(),
            wall: view.wall.map(|wall| (view.now, wall)),
            drained: drained.cloned(),
            now: view.now,
            began: view.now,
            // Numbers of its own: those that are under way keep theirs.
            next_action: u64::MAX / 2,
            pending: asked.into(),
            options: machine.options.read().cloned(),
            policy: machine.policy(view.node),
            hidden_primary: false,
            steps: Vec::new(),
            assumed: Vec::new(),
            unknown: Vec::new(),
            machine,
        }
    }

    /// The same if nobody held it, and this node were not drained.
    #[must_use]
    pub fn released(mut self) -> Self {
        self.machine.held.release();
        self.drained = None;
        self
    }

    /// What comes of it.
    ///
    /// # Errors
    ///
    /// If the event cannot happen to this resource here.
    pub fn forecast(mut self, event: Option<&Event>) -> Result<Forecast, ForecastError> {
        match catch(|| self.work_out(event)) {
            Ok(result) => result,
            Err(message) => Err(ForecastError::Internal { message }),
        }
    }

    fn work_out(&mut self, event: Option<&Event>) -> Result<Forecast, ForecastError> {
        self.judge();
        self.note_beginning();
        let own = &self.host.node;
        if let Some(Event::NodeDown(node)) = event
            && names::same(node, own)
        {
            self.assumed
                .push(format!("{own} goes down with all that runs on it: only other nodes can tell what follows"));
            return Ok(self.told(event, Ends::Settled, Does::Down));
        }
        match event {
            None => {}
            Some(Event::DaemonRestart) => self.restart(),
            Some(event) => self.happens(event)?,
        }
        self.judge();
        let ends = self.go_on();
        self.note_end();
        let does = Does::of(&self.steps[1..], self.machine.standing.state());
        Ok(self.told(event, ends, does))
    }

    /// Each node knows its own settings, holds and failures only.
    fn note_peers(&mut self) {
        let Some(resource) = self.node.resource(self.machine.name.as_str()) else { return };
        let peers = self.machine.options.peers();
        let ids = resource.connections.keys().copied();
        let names: Vec<String> = ids.map(|id| peers.of(resource, id)).collect();
        if !names.is_empty() {
            self.unknown.push(format!("what {} would do: settings, holds and failures there", names.join(" and ")));
        }
    }

    fn told(&mut self, event: Option<&Event>, ends: Ends, does: Does) -> Forecast {
        self.note_peers();
        let resource = self.node.resource(self.machine.name.as_str());
        let peers =
            resource.map(|resource| takeover::peers(resource, self.machine.options.peers())).unwrap_or_default();
        Forecast {
            primary: peers.into_iter().filter(|peer| peer.primary).map(|peer| peer.node).collect(),
            resource: self.machine.name.clone(),
            node: self.host.node.clone(),
            event: event.cloned(),
            noticed_within: event.and_then(|event| self.noticed_within(event)),
            does,
            steps: std::mem::take(&mut self.steps),
            ends,
            assumed: std::mem::take(&mut self.assumed),
            unknown: std::mem::take(&mut self.unknown),
        }
    }

    /// A peer that says nothing is asked after `ping-int`, and has `ping-timeout` to answer.
    fn noticed_within(&self, event: &Event) -> Option<Duration> {
        let resource = self.node.resource(self.machine.name.as_str())?;
        let is_meant = |peer: &PeerNodeId| match event {
            Event::NodeDown(node) | Event::PeerLost(node) => {
                names::same(&self.machine.options.peers().of(resource, *peer), node)
            }
            Event::QuorumLost => true,
            Event::DiskFailed | Event::DaemonRestart => false,
        };
        let options = self.options.as_ref()?;
        let times = resource.connections.keys().filter(|peer| is_meant(peer)).map(|peer| {
            let mut links = options.connections.iter();
            let link = links.find(|link| link.peer_node_id.is_none_or(|id| id == peer.0))?;
            let timeout = link.ping_timeout.unwrap_or(PING_TIMEOUT_DS);
            Some(Duration::from_secs(link.ping_int?.into()) + Duration::from_millis(100) * timeout)
        });
        times.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// DRBD's levels become what they are after the event.
    fn happens(&mut self, event: &Event) -> Result<(), ForecastError> {
        let (own, name) = (self.host.node.clone(), self.machine.name.clone());
        let Some(resource) = self.node.resource(name.as_str()) else {
            return Err(ForecastError::NoResource { own, resource: name });
        };
        let peers = self.machine.options.peers();
        let named = |node: &str| {
            let mut ids = resource.connections.keys().copied();
            ids.find(|id| names::same(&peers.of(resource, *id), node)).ok_or_else(|| ForecastError::NoSuchNode {
                own: own.clone(),
                node: node.to_owned(),
                resource: name.clone(),
                known: resource.connections.keys().map(|id| peers.of(resource, *id)).collect::<Vec<_>>().join(", "),
            })
        };
        let lost = match event {
            Event::NodeDown(node) => Some((named(node)?, true)),
            Event::PeerLost(node) if names::same(node, &own) => return Err(ForecastError::OwnNode { node: own }),
            Event::PeerLost(node) => Some((named(node)?, false)),
            Event::QuorumLost | Event::DiskFailed | Event::DaemonRestart => None,
        };
        // They go on, and may see each other, and with that have quorum.
        let go_on = |peer: &str| match event {
            Event::QuorumLost => true,
            Event::PeerLost(node) => names::same(peer, node),
            Event::NodeDown(_) | Event::DiskFailed | Event::DaemonRestart => false,
        };
        let runs_here = view::is_primary(resource) && self.policy == Policy::Quorum;
        let able = takeover::peers(resource, peers).into_iter().filter(|peer| runs_here && peer.obstacles.is_empty());
        let heirs: Vec<String> = able.map(|peer| peer.node).filter(|peer| go_on(peer)).collect();
        let drbd = self.drbd();
        let mut hidden = self.hidden_primary;
        self.node.alter(name.as_str(), |resource| match (event, lost) {
            (_, Some((peer, is_dead))) => hidden = drbd.loses(resource, &[peer], is_dead),
            (Event::QuorumLost, _) => {
                // No node is reached any more, which is how it is lost.
                let all: Vec<_> = resource.connections.keys().copied().collect();
                hidden = drbd.loses(resource, &all, true);
                drbd.has_no_quorum(resource);
            }
            (Event::DiskFailed, _) => drbd.loses_disks(resource),
            (Event::NodeDown(_) | Event::PeerLost(_) | Event::DaemonRestart, _) => {}
        });
        self.hidden_primary = hidden;
        let has_lost = self.node.resource(name.as_str()).is_some_and(|one| !view::without_quorum(one).is_empty());
        if has_lost && !heirs.is_empty() {
            self.assumed.push(format!("{} takes it over if it keeps quorum", heirs.join(" or ")));
        }
        self.note_lost_data();
        if self.policy == Policy::Fencing && matches!(event, Event::PeerLost(_) | Event::QuorumLost) {
            self.assumed.push(format!("no other node fences {}", self.host.node));
        }
        if *event == Event::QuorumLost && self.policy != Policy::Quorum {
            self.assumed.push(format!("{name} has no quorum to lose: this node reaches no other one"));
        }
        Ok(())
    }

    /// What writes gets errors: whether services live with that, only they know.
    fn note_lost_data(&mut self) {
        let Some(resource) = self.node.resource(self.machine.name.as_str()) else { return };
        let lost = view::without_data(resource);
        if view::is_primary(resource) && !lost.is_empty() && !view::is_suspended(resource) {
            self.assumed.push(format!("its services live with I/O errors on {}", view::volumes(&lost)));
        }
    }

    fn drbd(&self) -> Drbd {
        Drbd { options: self.options.clone(), policy: self.policy, hidden_primary: self.hidden_primary }
    }

    /// The daemon ends and starts again. What it asks for at its end is waited for.
    fn restart(&mut self) {
        self.call(Machine::exit);
        while let Some((id, asked)) = self.pending.pop_front() {
            self.end(id, &asked);
        }
        let (settings, name) = (self.machine.settings.clone(), self.machine.name.clone());
        let mut memory = Memory::default();
        self.call(|machine, cx| {
            memory = machine.memory_without_failures();
            machine.tries.remember(cx.now, cx.wall, &mut memory);
        });
        *self.machine = Machine::new(name, settings, self.now);
        self.call(|machine, cx| machine.recall(cx, &memory));
        self.assumed
            .push("the daemon comes back at once, finds all as it was, and DRBD's options are the same".to_owned());
    }

    fn judge(&mut self) {
        self.call(Machine::judge);
    }

    /// Calls the machine, and takes note of what it asks for and of how the resource stands then.
    fn call<R>(&mut self, f: impl FnOnce(&mut Machine, &mut Context<'_>) -> R) -> R {
        let mut actions = Vec::new();
        let wall = self.wall.map(|(then, wall)| wall.after(self.now.since(then)));
        let mut cx = Context {
            host: &self.host,
            wall,
            drained: self.drained.as_ref(),
            ..Context::new(self.now, &self.node, InstanceId(0), &mut self.next_action, &mut actions)
        };
        let result = f(&mut self.machine, &mut cx);
        self.asked_for(&actions);
        result
    }

    fn asked_for(&mut self, actions: &[Action]) {
        for Action { id, kind, because, .. } in actions {
            let ActionKind::Call(call) = kind else { continue };
            let asked = Asked::of(call);
            if asked == Asked::Unit(self.machine.set.target.clone(), UnitVerb::Stop) {
                let start = Asked::Unit(self.machine.set.target.clone(), UnitVerb::Start);
                for (_, before) in self.pending.iter_mut().filter(|(_, before)| *before == start) {
                    *before = Asked::Preempted;
                }
            }
            self.note_action(&asked, call, because);
            self.note_race(&asked);
            self.pending.push_back((*id, asked));
        }
        self.note_state();
    }

    /// Lets everything end and every deadline come, until nothing more happens by itself.
    fn go_on(&mut self) -> Ends {
        for _ in 0..TURNS {
            if let Some((id, asked)) = self.pending.pop_front() {
                self.end(id, &asked);
                self.judge();
                continue;
            }
            if self.machine.timers.iter().all(|(_, timer)| is_routine(timer)) {
                return Ends::Settled;
            }
            let Some((at, _)) = self.machine.timers.next() else { return Ends::Settled };
            self.now = self.now.max(at);
            if self.now.since(self.began) > HORIZON {
                return Ends::Bound;
            }
            self.judge();
        }
        Ends::Bound
    }

    fn end(&mut self, id: ActionId, asked: &Asked) {
        let Some(outcome) = self.ends_well(asked) else { return };
        self.takes_outcome(id, outcome);
        if *asked == Asked::Unit(self.machine.set.target.clone(), UnitVerb::Stop) {
            self.another_takes_over();
        }
    }

    fn takes_outcome(&mut self, id: ActionId, outcome: Outcome) {
        let done = Done { id, outcome };
        self.call(|machine, cx| machine.done(cx, &done));
    }

    fn note_beginning(&mut self) {
        let standing = &self.machine.standing;
        let next = self.next();
        let (state, because) = (standing.state(), standing.because().to_vec());
        self.steps.insert(0, Step { after: Duration::ZERO, state, action: None, because, next });
    }

    fn note_action(&mut self, asked: &Asked, call: &Call, because: &[Reason]) {
        let Some((did, what)) = Did::of(asked, call, &self.machine) else { return };
        let (after, state) = (self.now.since(self.began), self.machine.standing.state());
        // Several units are frozen by several calls.
        if let Some(Step { action: Some((before, text)), after: at, .. }) = self.steps.last_mut()
            && *at == after
            && *before == did
            && matches!(did, Did::Freeze | Did::Thaw)
            && let Asked::Unit(unit, _) = asked
        {
            text.push_str(&format!(", {unit}"));
            return;
        }
        self.steps.push(Step { after, state, action: Some((did, what)), because: because.to_vec(), next: None });
    }

    /// Whoever starts here takes it that nobody else has done so before.
    fn note_race(&mut self, asked: &Asked) {
        let is_start = *asked == Asked::Unit(self.machine.set.target.clone(), UnitVerb::Start)
            || *asked == (Asked::Command { starts: true });
        let resource = self.node.resource(self.machine.name.as_str());
        let races = |resource: &Resource| !view::is_primary(resource) && view::has_connected_peer(resource);
        if is_start && resource.is_some_and(races) {
            let text = "no other node is faster".to_owned();
            if !self.assumed.contains(&text) {
                self.assumed.push(text);
            }
        }
    }

    /// It may stand differently now, or for other reasons.
    fn note_state(&mut self) {
        let standing = &self.machine.standing;
        let (state, because) = (standing.state(), standing.because().to_vec());
        let next = self.next();
        let is_beginning = self.steps.len() < 2;
        let Some(last) = self.steps.last_mut() else { return };
        if last.state == state || because.is_empty() {
            // The words of the last judgement of a moment count.
            if last.action.is_none() && last.after == self.now.since(self.began) && !is_beginning {
                (last.because, last.next) = (because, next);
            }
            return;
        }
        let after = self.now.since(self.began);
        self.steps.push(Step { after, state, action: None, because, next });
    }

    /// Why it stands as it does in the end, if that is not said yet.
    fn note_end(&mut self) {
        let standing = &self.machine.standing;
        let (state, because) = (standing.state(), standing.because().to_vec());
        let said = self.steps.iter().rev().find(|step| step.action.is_none());
        if said.is_none_or(|step| step.state != state || step.because != because) {
            let (after, next) = (self.now.since(self.began), self.next());
            self.steps.push(Step { after, state, action: None, because, next });
        }
    }

    /// What is waited for, but for routine.
    fn next(&self) -> Option<(Duration, &'static str)> {
        let worth = self.machine.timers.iter().filter(|(at, timer)| !is_routine(*timer) && *at > self.now);
        worth.min().map(|(at, timer)| (at.since(self.began), timer.purpose()))
    }
}

/// Nothing is decided by it.
fn is_routine(timer: Timer) -> bool {
    matches!(
        timer,
        Timer::Options | Timer::Nowhere | Timer::OutsideTarget | Timer::LeftBehind | Timer::IoHangs | Timer::Sync
    )
}

impl StateWord {
    /// Whether services of it are up, or on their way.
    pub(super) fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Starting | Self::Frozen)
    }
}
