//! What the cores say would happen, beside what then happens: at a quiet moment each node is asked for its plan for an event, the event comes, and
//! nothing else does.
//!
//! ```text
//!  faults for some minutes ─▶ peace ─▶ quiet; sometimes an operator holds or drains something ─▶ Core::what_if of each node
//!                                                                                                     │
//!       differences ◀── who started, stopped, froze, and when ◀── two minutes ◀── the event ◀─────────┘
//! ```
//!
//! What a plan counts from is the moment when DRBD on that node notices, which with a dead peer is up to a ping later. What follows once another node
//! is Primary is another event, and compared no further.

use std::fmt;
use std::time::Duration;

use reactor_api::words::Event as Hypothesis;
use reactor_core::ids::{Mono, ResourceName};
use reactor_core::operator::OperatorVerb;
use reactor_core::plugin::promoter::forecast::{Does, Forecast};
use reactor_core::systemd::UnitVerb;

use crate::drbd9::{NodeIx, Placement};
use crate::rng::Rng;

use super::events::ForMachine;
use super::plan::{NODES, Plan};
use super::run::World;

/// How long after the peace it is quiet.
const QUIET: Duration = Duration::from_secs(420);
/// Nothing was done for so long.
const STILL: Duration = Duration::from_secs(20);
/// The quiet moment is waited for so long.
const PATIENCE: Duration = Duration::from_secs(200);
/// How long what happens is looked at.
const LOOKED: Duration = Duration::from_secs(120);
/// What DRBD takes at most to settle once it has noticed, with the news of it, and what systemd's and the tools' answers take.
const SLACK: Duration = Duration::from_secs(6);
/// A disk that fails is noticed with the next write to it.
const DISK: Duration = Duration::from_secs(20);

/// A mistake that is planted into the plans, to see that the comparison notices it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mistake {
    /// Quorum is not lost in them.
    IgnoresQuorum,
    /// Holds and drains do not count in them.
    IgnoresHold,
    /// Nodes that go down are still there.
    IgnoresEvent,
    /// Delays are not waited for.
    IgnoresDelay,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::IgnoresQuorum, Self::IgnoresHold, Self::IgnoresEvent, Self::IgnoresDelay];
}

/// A plan that did not come true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The seed.
    pub seed: u64,
    /// When the event came.
    pub at: Mono,
    /// What the plan said and what happened.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: at {}: {}", self.seed, self.at, self.what)
    }
}

/// What came of the comparison in one seed.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// The plans by what they say, to see that all kinds are met.
    pub said: Vec<&'static str>,
    /// Those that did not come true.
    pub differences: Vec<Difference>,
    /// The event and the plans, for people.
    pub story: String,
}

/// What happens.
#[derive(Clone, Copy, Debug)]
enum Happens {
    NodeDown(NodeIx),
    QuorumLost(NodeIx),
    DiskFailed(NodeIx, usize),
    PeerLost(NodeIx, NodeIx),
    DaemonRestart(NodeIx),
}

/// A plan of one node.
struct Said {
    node: NodeIx,
    res: usize,
    forecast: Forecast,
    /// DRBD there notices within this time.
    notices: Duration,
}

/// One seed. `tell` = with its whole story.
pub fn compare(seed: u64, mistake: Option<Mistake>, tell: bool) -> Compared {
    let mut rng = Rng::new(seed ^ 0x666f_7265);
    let mut plan = Plan::of(seed);
    plan.hour = Duration::from_secs(60 + rng.below(8) * 60);
    let quiet = Mono::ZERO.after(plan.hour + QUIET);
    let mut world = World::new(plan, None, tell);
    world.run_until(quiet);
    world.now = quiet.max(world.now);
    let happens = world.draw(&mut rng);
    world.operator_before(&mut rng, happens);
    let is_quiet = world.waits_for_quiet();
    if let Some(violation) = &world.violation {
        // That is for the other tests.
        return Compared { story: violation.to_string(), ..Compared::default() };
    }
    if !is_quiet {
        return Compared { story: "it never became quiet".to_owned(), ..Compared::default() };
    }
    let said = world.ask_all(happens, mistake);
    let at = world.now;
    let mut story = format!("{at}: {happens:?}\n");
    for Said { node, res, forecast, .. } in &said {
        story.push_str(&format!("{} r{res}: {forecast:#?}\n", NODES[*node]));
    }
    world.happens(happens);
    // From here on it is no peace that has to be kept.
    world.peace = None;
    world.run_until(at.after(LOOKED));
    story.push_str(world.story());
    let mut compared = Compared { story, ..Compared::default() };
    for one in &said {
        compared.said.push(one.forecast.does.as_str());
        if let Err(what) = world.holds_true(at, one, &said) {
            let name = NODES[one.node];
            let what = format!("{happens:?}: {name} said of r{}: {:?}; {what}", one.res, one.forecast.does);
            compared.differences.push(Difference { seed, at, what });
        }
    }
    compared
}

impl World {
    /// Lets time pass until nothing was done for a while and nothing will be by itself. `false` = that moment did not come.
    fn waits_for_quiet(&mut self) -> bool {
        let end = self.now.after(PATIENCE);
        while self.now < end && self.violation.is_none() {
            let next = self.now.after(Duration::from_secs(7));
            self.run_until(next);
            self.now = next.max(self.now);
            let last = self.watch.acts.last().map_or(Mono::ZERO, |(at, ..)| *at);
            if self.now.since(last) > STILL && self.stays_as_it_is() {
                return true;
            }
        }
        false
    }

    /// By what each core says, nothing happens by itself for longer than anybody looks.
    fn stays_as_it_is(&self) -> bool {
        let does = |node: NodeIx, name: &str| {
            let daemon = self.machines[node].daemon.as_deref()?;
            let what_if = daemon.core.what_if(Mono(self.now.0 - daemon.started.0), &ResourceName::new(name))?;
            what_if.forecast(None).ok().map(|forecast| forecast.does)
        };
        let stays = |does: Does| does.after().is_none_or(|after| after > LOOKED + SLACK);
        let names = self.resource_names();
        // A node that is down boots at some time.
        let is_there = |node: NodeIx| self.machines[node].daemon.is_some() && !self.is_ending(node);
        (0..NODES.len()).all(is_there)
            && (0..NODES.len()).all(|node| names.iter().all(|name| does(node, name).is_none_or(stays)))
    }

    fn draw(&self, rng: &mut Rng) -> Happens {
        let mut pick = |count: usize| usize::try_from(rng.below(count as u64)).unwrap_or(0);
        let res = pick(self.plan.cluster.resources.len());
        let any = pick(NODES.len());
        // Most of what is worth asking about concerns the Primary.
        let node = if pick(3) > 0 { self.runs_on(res).unwrap_or(any) } else { any };
        let other = (node + 1 + pick(NODES.len() - 1)) % NODES.len();
        match pick(7) {
            0 | 1 => Happens::NodeDown(node),
            2 | 3 => Happens::QuorumLost(node),
            4 => Happens::DiskFailed(node, res),
            5 => Happens::PeerLost(node, other),
            _ => Happens::DaemonRestart(node),
        }
    }

    /// In some seeds an operator has said something a moment before.
    fn operator_before(&mut self, rng: &mut Rng, happens: Happens) {
        let mut pick = |count: usize| usize::try_from(rng.below(count as u64)).unwrap_or(0);
        let (what, res) = (pick(6), pick(self.plan.cluster.resources.len()));
        let here = match happens {
            Happens::NodeDown(node) => (node + 1 + pick(NODES.len() - 1)) % NODES.len(),
            Happens::QuorumLost(node)
            | Happens::DiskFailed(node, _)
            | Happens::PeerLost(node, _)
            | Happens::DaemonRestart(node) => node,
        };
        match what {
            0 => self.ask(here, res, OperatorVerb::Hold { why: "a test".to_owned() }),
            1 => self.ask(here, res, OperatorVerb::Stop { why: "a test".to_owned() }),
            2 => self.ask_node(here, OperatorVerb::Drain { why: "a test".to_owned() }),
            _ => {}
        }
    }

    fn hypotheses(&self, happens: Happens) -> Vec<(NodeIx, Hypothesis, Duration)> {
        let down = |node: NodeIx| Hypothesis::NodeDown(NODES[node].to_owned());
        let peer = |node: NodeIx| Hypothesis::PeerLost(NODES[node].to_owned());
        let others = |node: NodeIx| (0..NODES.len()).filter(move |other| *other != node);
        let options = &self.plan.cluster.resources[0].options;
        let ping = options.ping_int + options.ping_timeout;
        match happens {
            Happens::NodeDown(node) => others(node).map(|other| (other, down(node), ping)).collect(),
            Happens::QuorumLost(node) => {
                let cut = [(node, Hypothesis::QuorumLost, ping)];
                cut.into_iter().chain(others(node).map(|other| (other, down(node), ping))).collect()
            }
            Happens::DiskFailed(node, _) => vec![(node, Hypothesis::DiskFailed, DISK)],
            Happens::PeerLost(a, b) => vec![(a, peer(b), ping), (b, peer(a), ping)],
            Happens::DaemonRestart(node) => vec![(node, Hypothesis::DaemonRestart, Duration::from_secs(2))],
        }
    }

    /// What each node says that it would do.
    fn ask_all(&self, happens: Happens, mistake: Option<Mistake>) -> Vec<Said> {
        let mut said = Vec::new();
        for (node, hypothesis, notices) in self.hypotheses(happens) {
            let Some(daemon) = self.machines[node].daemon.as_deref() else { continue };
            let mono = Mono(self.now.0 - daemon.started.0);
            for (res, name) in self.resource_names().iter().enumerate() {
                if matches!(happens, Happens::DiskFailed(_, failed) if failed != res) {
                    continue;
                }
                let Some(mut what_if) = daemon.core.what_if(mono, &ResourceName::new(name)) else { continue };
                let mut event = Some(&hypothesis);
                match mistake {
                    Some(Mistake::IgnoresHold) => what_if = what_if.released(),
                    Some(Mistake::IgnoresQuorum) if hypothesis == Hypothesis::QuorumLost => event = None,
                    Some(Mistake::IgnoresEvent) if matches!(hypothesis, Hypothesis::NodeDown(_)) => event = None,
                    _ => {}
                }
                // Of what is on one node alone no other one has a word to say.
                let Ok(mut forecast) = what_if.forecast(event) else { continue };
                if let (Some(Mistake::IgnoresDelay), Does::Starts(after)) = (mistake, &mut forecast.does) {
                    *after = Duration::ZERO;
                }
                said.push(Said { node, res, forecast, notices });
            }
        }
        said
    }

    fn happens(&mut self, happens: Happens) {
        self.tell_fault(&format!("as was asked about: {happens:?}"));
        let cut = |world: &mut Self, a: NodeIx, b: NodeIx| {
            world.cluster.set_link(a, b, false);
            world.cluster.set_link(b, a, false);
        };
        match happens {
            Happens::NodeDown(node) => self.crash(node),
            Happens::QuorumLost(node) => {
                for other in (0..NODES.len()).filter(|other| *other != node) {
                    cut(self, node, other);
                }
            }
            Happens::PeerLost(a, b) => cut(self, a, b),
            Happens::DiskFailed(node, res) => {
                let spec = self.plan.cluster.resources[res].clone();
                self.disks_lost[res] = true;
                if spec.placement[node] == Placement::Diskful {
                    for volume in spec.volumes {
                        self.cluster.fail_disk(node, res, volume.number);
                    }
                }
            }
            Happens::DaemonRestart(node) => {
                if self.plan.exits {
                    self.begin_exit(node);
                } else {
                    self.end_daemon(node);
                    self.machine_after(node, Duration::from_millis(100), ForMachine::StartDaemon);
                }
            }
        }
    }

    /// When a node has first done this to a resource since then.
    fn first(&self, since: Mono, node: NodeIx, res: usize, verbs: &[UnitVerb]) -> Option<(Mono, UnitVerb)> {
        let acts = self.watch.acts.iter().filter(|(at, actor, of, _)| *at >= since && *actor == node && *of == res);
        acts.filter(|(.., verb)| verbs.contains(verb)).map(|(at, _, _, verb)| (*at, *verb)).next()
    }

    /// Whether a plan came true, as far as it can be compared.
    fn holds_true(&self, since: Mono, said: &Said, all: &[Said]) -> Result<(), String> {
        const CHANGES: [UnitVerb; 3] = [UnitVerb::Start, UnitVerb::Stop, UnitVerb::Freeze];
        let Said { node, res, forecast, notices } = said;
        let did = self.first(since, *node, *res, &CHANGES);
        // What another one's start changes is another story.
        let elsewhere = (0..NODES.len()).filter(|other| other != node);
        let elsewhere = elsewhere.filter_map(|other| self.first(since, other, *res, &[UnitVerb::Start])).min();
        // Who reaches nobody does not see it either.
        let elsewhere = elsewhere.filter(|_| forecast.event != Some(Hypothesis::QuorumLost));
        // A node that was fenced is one that goes down, which is another event.
        let fenced = self.watch.downs.iter().copied().find(|at| *at > since);
        let until = [elsewhere.map(|(at, _)| at), fenced].into_iter().flatten().min();
        let did = did.filter(|(at, _)| until.is_none_or(|until| *at <= until));
        let (verb, after) = match forecast.does {
            Does::Starts(after) => (UnitVerb::Start, after),
            Does::Stops(after) => (UnitVerb::Stop, after),
            Does::Freezes(after) => (UnitVerb::Freeze, after),
            Does::Runs | Does::Frozen | Does::Nothing | Does::Down => {
                return match did {
                    // That services live with what they get is assumed, and said.
                    Some((_, UnitVerb::Stop)) if forecast.assumed.iter().any(|text| text.contains("I/O errors")) => {
                        Ok(())
                    }
                    Some((at, verb)) => Err(format!("it did {} at {at}", verb.as_str())),
                    None => Ok(()),
                };
            }
        };
        let latest = since.after(*notices + after + SLACK);
        match did {
            Some((at, real)) if real != verb => Err(format!("it did {} at {at}", real.as_str())),
            Some((at, _)) if at < since.after(after) => Err(format!("it did so already at {at}")),
            Some((at, _)) if at > latest => Err(format!("it did so only at {at}")),
            Some(_) => Ok(()),
            None if fenced.is_some_and(|fenced| fenced <= latest) => Ok(()),
            // Its services ended before it could stop them, with the first write that failed, and systemd made it Secondary.
            None if verb == UnitVerb::Stop && !self.cluster.truth(*node, *res).primary => Ok(()),
            // Later than anybody looks.
            None if latest > since.after(LOOKED) => Ok(()),
            None => match elsewhere {
                // It was slower than another one that said so, too.
                Some((at, _)) if verb == UnitVerb::Start => {
                    if at > latest {
                        return Err(format!("another node started it at {at}, and it should have been faster"));
                    }
                    let starts = |other: &Said| other.res == *res && matches!(other.forecast.does, Does::Starts(_));
                    let others = all.iter().filter(|other| other.node != *node);
                    if others.clone().next().is_some() && !others.clone().any(starts) {
                        return Err("another node started it that had not said so".to_owned());
                    }
                    Ok(())
                }
                _ => Err("nothing of the kind happened".to_owned()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The gate compares hundreds of seeds, built for speed.
    #[test]
    fn plans_come_true() {
        let all: Vec<Compared> = (0..8).map(|seed| compare(seed, None, false)).collect();
        let differences: Vec<String> = all.iter().flat_map(|one| &one.differences).map(ToString::to_string).collect();
        assert!(differences.is_empty(), "{differences:#?}");
        // A seed that never becomes quiet says nothing.
        let quiet = all.iter().filter(|one| !one.said.is_empty()).count();
        assert!(quiet >= 4, "plans were made in {quiet} of {} seeds", all.len());
    }
}
