//! Carries out what the cores ask for, on the models; and brings back what comes of it.

use std::time::Duration;

use reactor_core::action::{
    self, Action, ActionKind, AskTools, Call, ConnectionOptions, Done, DrbdAnswer, DrbdCall, DrbdOptions, Examine,
    FilePlace, FilesEnd, GeneratedFile, LowerDevice, Outcome, UnitCall, WriteFiles,
};
use reactor_core::ids::ActionId;
use reactor_core::input::Input;
use reactor_core::systemd::{FreezerState, UnitEnd, UnitVerb};

use crate::drbd9::{Command, NodeIx, OnLoss, Placement, Reply, Ticket};

use super::bugs::Bug;
use super::daemon::{Lane, Pending};
use super::events::{Event, ForDaemon, ForMachine};
use super::plan::{NODES, promoted};
use super::run::{CommandOf, Show, Tools, World};
use super::shell;
use super::state::Froze;
use super::systemd::{Effect, UnitIx};

/// What the second one of two adjusts says that bring a resource up at the same time.
const IN_USE: &str = "r0: Failure: (102) Local address(port) already in use. (exit code 10)";

/// When a drbdadm that hangs is killed.
const HANGS: Duration = Duration::from_secs(120);

impl World {
    /// An action leaves the core.
    pub(super) fn send(&mut self, node: NodeIx, action: Action) {
        let id = action.id;
        let call = match action.kind {
            ActionKind::Call(call) => call,
            ActionKind::Effect(effect) => return self.no_outcome(node, &effect),
        };
        let since = self.now;
        if let Some(daemon) = self.machines[node].daemon.as_deref_mut() {
            daemon.pending.insert(id, Pending { since, call: call.clone() });
        }
        let at = match &call {
            Call::Unit(call) => {
                if call.deadline < Duration::from_secs(3600) {
                    self.daemon_after(node, call.deadline, ForDaemon::Deadline(id));
                }
                let after = self.us(50, 1_500);
                self.on_lane(node, Lane::Calls, after)
            }
            Call::Files(_) | Call::Drbd(_) | Call::Examine(_) | Call::Handler(_) => {
                let after = self.ms(1, 40);
                self.now.after(after)
            }
        };
        self.daemon_at(node, at, ForDaemon::Call(id, Box::new(call)));
    }

    /// Nothing comes back for these; the invariants have seen them.
    fn no_outcome(&mut self, node: NodeIx, effect: &action::Effect) {
        match effect {
            action::Effect::Remember { resource, memory } => self.remember(node, resource, memory),
            action::Effect::RememberDrain { drain } => self.remember_drain(node, drain.as_ref()),
            action::Effect::KeepIncidents(open) => self.keep_incidents(node, open),
            action::Effect::KeepStanding { receiver, standing } => self.keep_standing(node, receiver, standing),
            action::Effect::Notify(message) => self.send_message(node, message),
            _ => {}
        }
    }

    /// A call reaches whom it is for.
    pub(super) fn carry_out(&mut self, node: NodeIx, id: ActionId, call: Call) {
        match call {
            Call::Unit(call) => self.call_systemd(node, id, &call),
            Call::Files(WriteFiles { resource, files }) => {
                self.note_drop_in(node, resource.as_str(), &files);
                let end = match (self.res(resource.as_str()), self.machines[node].daemon.as_deref()) {
                    (Some(res), Some(daemon)) => {
                        let settings = promoted(&daemon.settings, resource.as_str()).cloned();
                        if let Some(settings) = settings {
                            self.machines[node].systemd.load(res, resource.as_str(), &settings, NODES[node]);
                            self.pump(node);
                        }
                        FilesEnd::Written
                    }
                    _ => FilesEnd::Failed { why: "no such resource".to_owned() },
                };
                self.answer(node, id, Outcome::Files(end));
            }
            Call::Drbd(AskTools { resource, call }) => self.call_drbd(node, id, resource.as_str(), call),
            Call::Examine(Examine { units, .. }) => {
                let findings = units.iter().map(|unit| self.finding(node, unit)).collect();
                self.answer(node, id, Outcome::Examined(findings));
            }
            Call::Handler(run) => self.run_command(node, id, &run),
        }
    }

    fn call_systemd(&mut self, node: NodeIx, id: ActionId, call: &UnitCall) {
        let Some(daemon) = self.machines[node].daemon.as_deref_mut() else { return };
        if !daemon.bus {
            let why = "the bus is gone".to_owned();
            return self.answer(node, id, Outcome::Unit(UnitEnd::NoBus { why }));
        }
        let waiter = (daemon.life, id.0);
        daemon.with_systemd.insert(id);
        if let Some(end) = self.machines[node].stops_end.clone().filter(|_| call.verb == UnitVerb::Stop) {
            return self.answer(node, id, Outcome::Unit(end));
        }
        let systemd = &mut self.machines[node].systemd;
        let Some(unit) = systemd.find(call.unit.as_str()) else {
            let error = "org.freedesktop.systemd1.NoSuchUnit".to_owned();
            let message = format!("Unit {} not found.", call.unit);
            return self.answer(node, id, Outcome::Unit(UnitEnd::Refused { error, message }));
        };
        for failed in &call.reset {
            if let Some(failed) = systemd.find(failed.as_str()) {
                systemd.reset_failed(failed);
            }
        }
        match call.verb {
            UnitVerb::Start => systemd.start(unit, Some(waiter)),
            UnitVerb::Stop => systemd.stop(unit, Some(waiter)),
            UnitVerb::Freeze => {
                systemd.freeze(unit, waiter);
                let found = &systemd.units()[unit];
                if found.freezer != FreezerState::Running {
                    let (name, res) = (found.name.clone(), found.res);
                    self.machines[node].froze.insert(name, Froze { res, is_known: true });
                }
            }
            UnitVerb::Thaw => systemd.thaw(unit, waiter),
        }
        self.pump(node);
    }

    fn call_drbd(&mut self, node: NodeIx, id: ActionId, resource: &str, call: DrbdCall) {
        let Some(life) = self.machines[node].daemon.as_deref().map(|daemon| daemon.life) else { return };
        let answer = match (call, self.machines[node].tools) {
            (DrbdCall::Adjust | DrbdCall::AdjustLinks | DrbdCall::LowerDevices, Tools::Fail) => {
                DrbdAnswer::Failed { why: "other.res:12: Parse error (exit code 10)".to_owned() }
            }
            (DrbdCall::Adjust | DrbdCall::AdjustLinks, Tools::Hang) => {
                let outcome = Outcome::Drbd(DrbdAnswer::Failed { why: "did not end within 120 s".to_owned() });
                return self.daemon_after(node, HANGS, ForDaemon::Reply(id, outcome));
            }
            (DrbdCall::Adjust | DrbdCall::AdjustLinks | DrbdCall::Connect { .. } | DrbdCall::SecondaryForce, _) => {
                let resource = resource.to_owned();
                let command = match call {
                    DrbdCall::SecondaryForce => Command::Secondary { resource: resource.clone(), force: true },
                    DrbdCall::Connect { peer } => {
                        let peer = usize::try_from(peer).ok();
                        Command::Connect { resource: resource.clone(), peer, discard_my_data: false }
                    }
                    DrbdCall::AdjustLinks => Command::AdjustLinks { resource: resource.clone() },
                    _ => Command::Adjust { resource: resource.clone() },
                };
                let adjusts = matches!(command, Command::Adjust { .. });
                if adjusts && self.collides(node, &resource) {
                    let outcome = Outcome::Drbd(DrbdAnswer::Failed { why: IN_USE.to_owned() });
                    let after = self.ms(100, 400);
                    return self.daemon_after(node, after, ForDaemon::Reply(id, outcome));
                }
                let ticket = self.cluster.submit(node, command);
                if adjusts {
                    self.brings_up(node, &resource, ticket);
                }
                self.tickets.insert(ticket, CommandOf::Action { node, life, id });
                return;
            }
            (DrbdCall::LowerDevices, _) => DrbdAnswer::LowerDevices(self.lower_devices(node, resource)),
            (DrbdCall::Options, _) if self.machines[node].show == Show::Fails => {
                DrbdAnswer::Failed { why: "drbdsetup show: timed out (exit code 20)".to_owned() }
            }
            (DrbdCall::Options, _) => DrbdAnswer::Options(Box::new(self.options(node, resource))),
        };
        if call == DrbdCall::Options && self.machines[node].show == Show::IsSlow {
            let after = self.ms(2_000, 4_000);
            return self.daemon_after(node, after, ForDaemon::Reply(id, Outcome::Drbd(answer)));
        }
        self.answer(node, id, Outcome::Drbd(answer));
    }

    /// Whether `drbd@N.service` is as drbd-utils has it, or has a drop-in of ours.
    fn note_drop_in(&mut self, node: NodeIx, resource: &str, files: &[GeneratedFile]) {
        let ours = |file: &GeneratedFile| {
            matches!(&file.place, FilePlace::Unit(path) if path.starts_with(format!("drbd@{resource}.service.d")))
                && file.content.contains("events2 --now")
        };
        let Some(res) = self.res(resource) else { return };
        if files.iter().any(ours) && self.bug != Some(Bug::TakesDown) {
            self.machines[node].keeps.insert(res);
        } else {
            self.machines[node].keeps.remove(&res);
        }
    }

    /// The start of `drbd@N.service`.
    fn configure_by_unit(&mut self, node: NodeIx, unit: usize, step: u64) {
        let res = self.machines[node].systemd.units()[unit].res;
        let (boot, resource) = (self.machines[node].boot, self.resource_of(node, unit));
        if self.machines[node].keeps.contains(&res) && self.cluster.has(node, res) {
            return self.configured_by_unit(node, unit, step, true);
        }
        match self.machines[node].tools {
            Tools::Work => {
                if self.collides(node, &resource) {
                    let after = self.ms(100, 400);
                    return self.machine_after(node, after, ForMachine::Collide(unit, step));
                }
                let ticket = self.cluster.submit(node, Command::Adjust { resource: resource.clone() });
                self.brings_up(node, &resource, ticket);
                self.tickets.insert(ticket, CommandOf::Configure { node, boot, unit, step });
            }
            Tools::Fail => self.configured_by_unit(node, unit, step, false),
            // systemd does not end it: `TimeoutStartSec=` of a oneshot is infinity. A person does at last.
            Tools::Hang => {
                let after = self.ms(150_000, 400_000);
                self.machine_after(node, after, ForMachine::Collide(unit, step));
            }
        }
    }

    /// Its adjust has ended; if it failed, `ExecStopPost=` follows.
    pub(super) fn configured_by_unit(&mut self, node: NodeIx, unit: usize, step: u64, good: bool) {
        let res = self.machines[node].systemd.units()[unit].res;
        let is_there = self.cluster.has(node, res);
        let good = good || (is_there && self.machines[node].keeps.contains(&res));
        if !good && is_there {
            let resource = self.resource_of(node, unit);
            self.tell_story(node, &format!("drbd@{resource}.service takes it down: drbdsetup down {resource}"));
            if !self.machines[node].enabled.contains(&unit) {
                self.violated("a start takes no resource down", format!("{}: drbdsetup down {resource}", NODES[node]));
            }
            let ticket = self.cluster.submit(node, Command::Down { resource });
            self.tickets.insert(ticket, CommandOf::Nobody);
        }
        self.machines[node].enabled.remove(&unit);
        self.machines[node].systemd.configured(unit, step, good);
    }

    /// At a boot systemd starts what is enabled.
    pub(super) fn start_enabled_units(&mut self, node: NodeIx) {
        for resource in self.resource_names() {
            let Some(unit) = self.machines[node].systemd.find(&format!("drbd@{resource}.target")) else { continue };
            self.tell_story(node, &format!("systemd starts drbd@{resource}.target, which is enabled"));
            self.machines[node].enabled.insert(unit);
            self.machines[node].systemd.start(unit, None);
        }
        self.pump(node);
    }

    /// Another adjust brings the resource up just now: a second one finds its address in use.
    fn collides(&self, node: NodeIx, resource: &str) -> bool {
        self.res(resource).is_some_and(|res| self.machines[node].bringing_up.contains_key(&res))
    }

    fn brings_up(&mut self, node: NodeIx, resource: &str, ticket: Ticket) {
        if let Some(res) = self.res(resource).filter(|res| !self.cluster.has(node, *res)) {
            self.machines[node].bringing_up.insert(res, ticket);
        }
    }

    fn lower_devices(&self, node: NodeIx, resource: &str) -> Vec<LowerDevice> {
        let Some(spec) = self.plan.cluster.resources.iter().find(|spec| spec.name == resource) else {
            return Vec::new();
        };
        let diskful = spec.placement[node] == Placement::Diskful;
        let path = |backing: &String| diskful.then(|| backing.clone());
        spec.volumes.iter().map(|volume| LowerDevice { path: path(&volume.backing), ready: true }).collect()
    }

    fn options(&self, node: NodeIx, resource: &str) -> DrbdOptions {
        let Some(spec) = self.plan.cluster.resources.iter().find(|spec| spec.name == resource) else {
            return DrbdOptions::default();
        };
        let word = |what: OnLoss| if what == OnLoss::IoError { "io-error" } else { "suspend-io" };
        let some = |word: &str| Some(word.to_owned());
        let peers = (0..NODES.len()).filter(|peer| *peer != node && spec.placement[*peer] != Placement::Absent);
        let connections = peers.map(|peer| ConnectionOptions {
            peer_node_id: u32::try_from(peer).ok(),
            name: some(NODES[peer]),
            fencing: some(spec.options.fencing.as_str()),
            rr_conflict: some(if spec.options.retry_connect { "retry-connect" } else { "disconnect" }),
            protocol: some("C"),
            ping_int: u32::try_from(spec.options.ping_int.as_secs()).ok(),
            ping_timeout: u32::try_from(spec.options.ping_timeout.as_millis() / 100).ok(),
        });
        DrbdOptions {
            node_id: u32::try_from(node).ok(),
            auto_promote: Some(spec.options.auto_promote),
            quorum: some(if spec.options.quorum { "majority" } else { "off" }),
            on_no_quorum: some(word(spec.options.on_no_quorum)),
            on_no_data_accessible: some(word(spec.options.on_no_data)),
            on_suspended_primary_outdated: some(if spec.options.force_secondary {
                "force-secondary"
            } else {
                "disconnect"
            }),
            fence_peer: None,
            connections: connections.collect(),
        }
    }

    /// An outcome is on its way to the core.
    pub(super) fn answer(&mut self, node: NodeIx, id: ActionId, outcome: Outcome) {
        let after = self.us(100, 15_000);
        let at = match outcome {
            Outcome::Unit(_) => self.on_lane(node, Lane::Replies, after),
            Outcome::Files(_) | Outcome::Drbd(_) | Outcome::Examined(_) | Outcome::Handler(..) => self.now.after(after),
        };
        self.daemon_at(node, at, ForDaemon::Reply(id, outcome));
    }

    /// An outcome reaches the core, if it is the first one.
    pub(super) fn reply(&mut self, node: NodeIx, id: ActionId, outcome: &Outcome) {
        let Some(daemon) = self.machines[node].daemon.as_deref_mut() else { return };
        daemon.with_systemd.remove(&id);
        let Some(asked) = daemon.pending.get(&id).cloned() else { return };
        if !daemon.lies.loses_done(&id, outcome) {
            self.watch_done(node, id, outcome);
            self.tell(node, &Input::Done(Done { id, outcome: outcome.clone() }));
            self.check_judged(node, &asked, outcome);
        }
    }

    /// The time of an action is over.
    pub(super) fn too_late(&mut self, node: NodeIx, id: ActionId) {
        let pending = self.machines[node].daemon.as_deref().is_some_and(|daemon| daemon.pending.contains_key(&id));
        if pending {
            self.reply(node, id, &Outcome::Unit(UnitEnd::TimedOut));
        }
    }

    /// Does what systemd wants done, and tells the daemon what changed.
    pub(super) fn pump(&mut self, node: NodeIx) {
        while !self.machines[node].systemd.is_quiet() {
            for effect in self.machines[node].systemd.take_effects() {
                self.effect(node, effect);
            }
            let news = self.machines[node].systemd.take_news();
            let machine = &mut self.machines[node];
            let frozen = |unit: &UnitIx| machine.systemd.units()[*unit].freezer != FreezerState::Running;
            machine.froze.retain(|unit, _| machine.systemd.find(unit.as_str()).is_some_and(|unit| frozen(&unit)));
            let Some(daemon) = self.machines[node].daemon.as_deref().filter(|daemon| daemon.bus) else { continue };
            let news: Vec<_> = news
                .into_iter()
                .filter(|news| daemon.followed.contains(&news.unit) && !daemon.untold.contains(&news.unit))
                .collect();
            if !news.is_empty() {
                self.deliver(node, Lane::News, Input::Units(news));
            }
        }
        self.check_apart(node);
    }

    fn effect(&mut self, node: NodeIx, effect: Effect) {
        let boot = self.machines[node].boot;
        match effect {
            Effect::After(after, unit, step) => self.machine_after(node, after, ForMachine::UnitTimer(unit, step)),
            Effect::Configure(unit, step) => self.configure_by_unit(node, unit, step),
            Effect::Primary(unit, step) if self.refuses(node, unit) => {
                let after = self.ms(50, 400);
                self.machine_after(node, after, ForMachine::Refuse(unit, step));
            }
            Effect::Primary(unit, step) => {
                let resource = self.resource_of(node, unit);
                let ticket = self.cluster.submit(node, Command::Primary { resource, force: false });
                self.tickets.insert(ticket, CommandOf::Promote { node, boot, unit, step });
            }
            Effect::Secondary(unit, step, force) => {
                let resource = self.resource_of(node, unit);
                let ticket = self.cluster.submit(node, Command::Secondary { resource, force });
                self.tickets.insert(ticket, CommandOf::Demote { node, boot, unit, step });
            }
            Effect::Open(unit, step) => {
                let good = self.app_opens(node, unit);
                self.machines[node].systemd.opened(unit, step, good);
            }
            Effect::Flush(unit, step) => self.app_flushes(node, unit, step),
            Effect::Close(unit) => self.app_closes(node, unit),
            Effect::Ended((life, id), end) => {
                let id = ActionId(id);
                let waits = self.machines[node]
                    .daemon
                    .as_deref_mut()
                    .is_some_and(|daemon| daemon.life == life && daemon.with_systemd.remove(&id));
                if waits {
                    self.answer(node, id, Outcome::Unit(end));
                }
            }
            Effect::Failed(unit) => {
                let unit = &self.machines[node].systemd.units()[unit];
                let (res, is_spare, is_standby) = (unit.res, unit.spare, unit.kind.is_standby());
                if is_standby {
                    self.watch.standby_failed(node, res, self.now);
                } else if !is_spare {
                    self.watch.service_failed(node, res, self.now);
                }
            }
            Effect::Tell(text) => self.tell_story(node, &text),
        }
    }

    pub(super) fn resource_of(&self, node: NodeIx, unit: usize) -> String {
        let res = self.machines[node].systemd.units()[unit].res;
        self.plan.cluster.resources[res].name.clone()
    }

    /// Takes what came of the cluster.
    pub(super) fn drain(&mut self) {
        loop {
            let mut quiet = true;
            for node in 0..self.machines.len() {
                for burst in self.cluster.take_output(node) {
                    quiet = false;
                    self.tell_burst(node, &burst.text);
                    self.stonith(node, &burst.text);
                    let text = self.kernel_log(node, burst.text);
                    if !text.is_empty() {
                        self.print(node, text);
                    }
                }
            }
            for reply in self.cluster.take_replies() {
                quiet = false;
                self.command_ended(&reply);
            }
            for end in self.cluster.take_writes() {
                quiet = false;
                self.write_ended(end.write, end.result.is_ok());
            }
            if quiet {
                return;
            }
            self.check_writers();
        }
    }

    fn command_ended(&mut self, reply: &Reply) {
        let good = reply.code == 0;
        self.machines[reply.node].bringing_up.retain(|_, ticket| *ticket != reply.ticket);
        match self.tickets.remove(&reply.ticket) {
            Some(CommandOf::Promote { node, boot, unit, step }) if self.machines[node].boot == boot => {
                if !good {
                    let res = self.machines[node].systemd.units()[unit].res;
                    self.machines[node].refusals.insert(res, (self.now, reply.stderr.clone()));
                }
                self.machines[node].systemd.promoted(unit, step, good);
                self.pump(node);
            }
            Some(CommandOf::Configure { node, boot, unit, step }) if self.machines[node].boot == boot => {
                self.configured_by_unit(node, unit, step, good);
                self.pump(node);
            }
            Some(CommandOf::Demote { node, boot, unit, step }) if self.machines[node].boot == boot => {
                self.machines[node].systemd.demoted(unit, step, good);
                self.pump(node);
            }
            Some(CommandOf::Action { node, life, id }) => {
                let alive = self.machines[node].daemon.as_deref().is_some_and(|daemon| daemon.life == life);
                if alive {
                    let why = reply.stderr.lines().collect::<Vec<_>>().join("; ");
                    let answer = if good { DrbdAnswer::Done } else { DrbdAnswer::Failed { why } };
                    self.answer(node, id, Outcome::Drbd(answer));
                }
            }
            Some(CommandOf::Shell { node, life, id })
                if self.machines[node].daemon.as_deref().is_some_and(|daemon| daemon.life == life) =>
            {
                self.answer(node, id, shell::ended(reply.code));
            }
            _ => {}
        }
    }

    /// A fence-peer handler that switches the peer off before it says so.
    fn stonith(&mut self, node: NodeIx, text: &str) {
        for line in text.lines().filter(|line| line.contains("call helper") && line.contains("helper:fence-peer")) {
            let id = line.split(' ').find_map(|word| word.strip_prefix("peer-node-id:"));
            if let Some(peer) = id.and_then(|id| id.parse::<usize>().ok()).filter(|peer| *peer < NODES.len()) {
                self.tell_story(node, &format!("fences {}", NODES[peer]));
                self.crash(peer);
                let after = self.ms(20_000, 60_000);
                self.queue.push(self.now.after(after), Event::Heal(super::faults::Heal::Boot(peer)));
            }
        }
    }
}
