//! Worlds whose operators stop resources, leave them to other nodes, move them, and drain nodes: one after the other, and at the same time.

use std::sync::Arc;
use std::time::Duration;

use reactor_core::ids::Mono;
use reactor_core::input::Input;
use reactor_core::operator::{OperatorRequest, OperatorRequestId, OperatorVerb};
use reactor_core::subject::Subject;

use crate::drbd9::{Command, NodeIx};

use super::faults::Heal;
use super::hard::without;
use super::plan::NODES;
use super::run::{CommandOf, Tools, World};
use super::systemd::Health;

/// How many faults worlds have in which operators act.
pub(super) const FAULTS_OF_ACTS: usize = 28;

/// So long after its time is up what was moved has to run somewhere.
const SETTLES_S: u64 = 75;

/// Something was moved to another node.
#[derive(Clone, Debug)]
pub(super) struct Moved {
    pub(super) res: usize,
    pub(super) from: NodeIx,
    pub(super) to: NodeIx,
    /// What another operator wanted at the same time.
    pub(super) also: Option<String>,
    pub(super) began: Mono,
    /// How many faults there had been.
    pub(super) faults: u64,
}

fn why() -> String {
    "a person wants it".to_owned()
}

fn stop() -> OperatorVerb {
    OperatorVerb::Stop { why: why() }
}

fn leave_to(to: Option<NodeIx>, limit: u64) -> OperatorVerb {
    OperatorVerb::Yield { why: why(), to: to.map(|node| NODES[node].to_owned()), limit, restarts: false }
}

impl World {
    pub(super) fn operators_act(&mut self, node: NodeIx, res: usize) {
        let resource = self.plan.cluster.resources[res].name.clone();
        let name = NODES[node];
        let on = self.runs_on(res).unwrap_or(node);
        match self.pick(FAULTS_OF_ACTS) {
            0..=3 => {
                self.tell_fault(&format!("an operator stops {resource} on {name}"));
                self.ask(node, res, stop());
                self.heal_in(10, 150, Heal::Operator(node, res, OperatorVerb::Release));
            }
            4..=8 => {
                let limit = 5 + self.rng.below(56);
                self.tell_fault(&format!("an operator evicts {resource} from {} for {limit} s", NODES[on]));
                self.ask(on, res, leave_to(None, limit));
            }
            9..=12 => self.move_to_another(res, false),
            13..=16 => self.move_to_another(res, true),
            17..=19 => self.drain_for(node, 20, 250),
            20 | 21 => {
                self.drain_for(node, 40, 250);
                if self.pick(2) == 0 {
                    self.tell_fault(&format!("the daemon of {name} is killed"));
                    self.end_daemon(node);
                    self.heal_in(0, 20, Heal::Daemon(node));
                } else {
                    self.tell_fault(&format!("{name} loses its power"));
                    self.crash(node);
                    self.heal_in(5, 60, Heal::Boot(node));
                }
            }
            22 | 23 => self.state_while_unwanted(node, res),
            24 | 25 => {
                self.stops_fail(on);
                self.heal_in(20, 200, Heal::Stops(on));
                self.machines[on].commands_fail = true;
                self.heal_in(20, 200, Heal::Commands(on));
                self.tell_fault(&format!("an operator wants {resource} stopped on {}", NODES[on]));
                let verb = if self.pick(2) == 0 { stop() } else { leave_to(None, 60) };
                self.ask(on, res, verb);
                self.heal_in(100, 250, Heal::Operator(on, res, OperatorVerb::Release));
            }
            _ => self.take_out_while_left(on, res),
        }
    }

    /// Where it is Primary.
    pub(super) fn runs_on(&self, res: usize) -> Option<NodeIx> {
        (0..NODES.len()).find(|node| self.cluster.truth(*node, res).primary)
    }

    /// Something is asked of a node as a whole.
    pub(super) fn ask_node(&mut self, node: NodeIx, verb: OperatorVerb) {
        if self.machines[node].daemon.is_none() || !self.is_running(node) {
            return;
        }
        self.tell_fault(&format!("an operator says on {}: {verb}", NODES[node]));
        self.requests += 1;
        self.drain_is_said(node, matches!(verb, OperatorVerb::Drain { .. }));
        let (request, subject) = (OperatorRequestId(self.requests), Subject::Node);
        self.tell(node, &Input::Operator(OperatorRequest { request, subject, verb, who: "root".to_owned() }));
    }

    fn drain_for(&mut self, node: NodeIx, least_s: u64, most_s: u64) {
        self.ask_node(node, OperatorVerb::Drain { why: why() });
        self.heal_in(least_s, most_s, Heal::Undrain(node));
    }

    pub(super) fn undrain_at_last(&mut self, node: NodeIx) {
        if self.is_running(node) && self.machines[node].daemon.is_some() {
            self.ask_node(node, OperatorVerb::Undrain);
        } else {
            self.heal_in(1, 5, Heal::Undrain(node));
        }
    }

    /// An operator wants it elsewhere, or the node drained; then the daemon finds its state file other than it left it, and is told more before
    /// the disk answers.
    fn state_while_unwanted(&mut self, node: NodeIx, res: usize) {
        match self.pick(3) {
            0 => self.ask(node, res, stop()),
            1 => self.ask(node, res, leave_to(None, 60)),
            _ => self.drain_for(node, 100, 250),
        }
        self.state_fault(node);
        match self.pick(4) {
            0 => self.heal_in(20, 60, Heal::Undrain(node)),
            1 => self.heal_in(20, 60, Heal::Ask(node, res, stop())),
            2 => self.heal_in(20, 60, Heal::Ask(node, res, leave_to(None, 30))),
            _ => {}
        }
        self.heal_in(150, 250, Heal::Operator(node, res, OperatorVerb::Release));
    }

    /// A reload takes it out while it is left to another node, and another one puts it back, before its time is up or after.
    fn take_out_while_left(&mut self, node: NodeIx, res: usize) {
        if self.machines[node].daemon.is_none() || !self.is_running(node) || self.is_ending(node) {
            return;
        }
        let resource = self.plan.cluster.resources[res].name.clone();
        let settings = Arc::clone(&self.machines[node].settings);
        let Some(out) = without(&settings, &resource, None) else { return };
        self.tell_fault(&format!(
            "{resource} is left to others on {}, and taken out of its configuration",
            NODES[node]
        ));
        self.ask(node, res, leave_to(None, 20));
        self.machines[node].out = Some((Arc::new(out), false));
        let when = 15_000 + self.rng.below(10_000);
        self.heal_in_ms(when.saturating_sub(12_000), when, Heal::TakeOut(node));
        self.heal_in_ms(when + 1_000, when + 30_000, Heal::PutBack(node));
    }

    // ---- moves ----

    /// It runs and could run anywhere, and nothing is wrong with anything that has to do with it.
    pub(super) fn is_calm(&self, res: usize) -> bool {
        let links = (0..NODES.len()).all(|a| (0..NODES.len()).all(|b| a == b || self.cluster.link(a, b)));
        let node_is = |node: NodeIx| {
            let machine = &self.machines[node];
            let is_well = |unit: &super::systemd::Unit| {
                let Health { dies_of_errors, .. } = unit.health;
                unit.health == Health { dies_of_errors, ..Health::default() }
            };
            self.is_running(node)
                && machine.tools == Tools::Work
                && machine.stops_end.is_none()
                && !machine.commands_fail
                && !machine.disk.is_slow
                && machine.late.is_none()
                && machine.systemd.units().iter().all(is_well)
                && !self.is_ending(node)
                && machine.daemon.as_deref().is_some_and(|daemon| daemon.bus && daemon.is_live() && !daemon.lossy)
                && self.view(node, res).is_some_and(|view| view.resource.is_some())
        };
        links && (0..NODES.len()).all(node_is)
    }

    /// A node may take it over, and nobody has said that it may not.
    fn is_fit(&self, node: NodeIx, res: usize) -> bool {
        let level = &self.watch.levels[node][res];
        let name = &self.plan.cluster.resources[res].name;
        let failed = self.says_failures(node, name);
        !level.held && level.wish.is_none() && !level.blocked && !self.watch.is_drained(node) && !failed
    }

    fn says_failures(&self, node: NodeIx, name: &str) -> bool {
        let Some(daemon) = self.machines[node].daemon.as_deref() else { return true };
        let reports = daemon.core.promoted(Mono(self.now.0.saturating_sub(daemon.started.0)));
        reports.iter().any(|report| report.resource.as_str() == name && report.failures > 0)
    }

    /// As `reactorctl move` does it: all nodes but one are asked to leave it to that one, each at a slightly different time. `also` = another
    /// operator wants something else meanwhile.
    fn move_to_another(&mut self, res: usize, also: bool) {
        let Some(from) = self.runs_on(res) else { return };
        let to = (from + 1 + self.pick(NODES.len() - 1)) % NODES.len();
        let limit = 5 + self.rng.below(56);
        let resource = self.plan.cluster.resources[res].name.clone();
        let is_ready = self.view(from, res).is_some_and(|view| view.is_well() && view.is_ready(NODES[to]));
        let is_sure = is_ready && self.is_calm(res) && (0..NODES.len()).all(|node| self.is_fit(node, res));
        self.tell_fault(&format!(
            "an operator moves {resource} from {} to {} within {limit} s",
            NODES[from], NODES[to]
        ));
        for node in (0..NODES.len()).filter(|node| *node != to) {
            self.heal_in_ms(0, 700, Heal::Ask(node, res, leave_to(Some(to), limit)));
        }
        let mut second = None;
        if also {
            let other = self.pick(NODES.len());
            second = Some(match self.pick(3) {
                0 => {
                    self.heal_in_ms(0, 1_500, Heal::Ask(other, res, OperatorVerb::Hold { why: why() }));
                    self.heal_in(limit + 100, limit + 150, Heal::Operator(other, res, OperatorVerb::Release));
                    format!("it is held on {}", NODES[other])
                }
                1 => {
                    self.drain_for(other, limit + 100, limit + 150);
                    format!("{} is drained", NODES[other])
                }
                _ => {
                    for node in (0..NODES.len()).filter(|node| *node != other) {
                        self.heal_in_ms(0, 1_500, Heal::Ask(node, res, leave_to(Some(other), limit)));
                    }
                    format!("it is moved to {}", NODES[other])
                }
            });
            let also = second.as_deref().unwrap_or_default();
            self.tell_fault(&format!("at the same time: {also}"));
        }
        if is_sure {
            let (began, faults) = (self.now, self.faults);
            self.calm_until = self.now.after(Duration::from_secs(limit + SETTLES_S + 2));
            let moved = Moved { res, from, to, also: second, began, faults };
            self.heal_in(limit + SETTLES_S, limit + SETTLES_S + 1, Heal::Moved(Box::new(moved)));
        }
    }

    /// In peace a person reads the status, and does what it says about a Primary that runs nothing.
    pub(super) fn end_idle_primary(&mut self, node: NodeIx, res: usize) {
        let resource = self.plan.cluster.resources[res].name.clone();
        let way = format!("if nobody works on it, drbdadm secondary {resource}");
        let Some(daemon) = self.machines[node].daemon.as_deref().filter(|_| self.peace.is_some()) else { return };
        let reports = daemon.core.promoted(Mono(self.now.0.saturating_sub(daemon.started.0)));
        let mut reports = reports.into_iter().filter(|report| report.resource.as_str() == resource);
        if reports.any(|report| report.troubles.iter().any(|trouble| trouble.what.contains(&way))) {
            self.tell_fault(&format!("a person of {}: drbdadm secondary {resource}", NODES[node]));
            let ticket = self.cluster.submit(node, Command::Secondary { resource, force: false });
            self.tickets.insert(ticket, CommandOf::Nobody);
        }
    }
}
