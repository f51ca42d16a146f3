//! What goes wrong in a world, one fault after another, and how it heals.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reactor_core::ids::ResourceName;
use reactor_core::input::Input;
use reactor_core::operator::{OperatorRequest, OperatorRequestId, OperatorVerb};
use reactor_core::settings::PluginSettings;
use reactor_core::settings::Settings;
use reactor_core::settings::promoter::OnServiceFailure;
use reactor_core::systemd::BusEvent;

use crate::drbd9::{Command, NodeIx};

use super::events::{Event, ForMachine};
use super::exit::FAULTS_OF_EXITS;
use super::hard::FAULTS_OF_HARD;
use super::kernel_log::KernelLog;
use super::operators::{FAULTS_OF_ACTS, Moved};
use super::plan::NODES;
use super::run::{CommandOf, Show, Tools, World};
use super::stacks::FAULTS_OF_STACKS;
use super::systemd::{Health, Kind, UnitIx};

/// The end of a fault.
#[derive(Clone, Debug)]
pub(super) enum Heal {
    Boot(NodeIx),
    Thaw(NodeIx),
    Links(Vec<(NodeIx, NodeIx)>),
    /// Cut if whole, whole if cut; so many times more.
    Flap(NodeIx, NodeIx, u64),
    Disk(NodeIx, usize, u32, bool),
    Health(NodeIx, UnitIx),
    /// A unit fails once more, and so many times in all.
    FailsAgain(NodeIx, UnitIx, u32),
    Daemon(NodeIx),
    Bus(NodeIx),
    /// systemd answers about a unit that was late.
    Late(NodeIx),
    Source(NodeIx),
    Operator(NodeIx, usize, OperatorVerb),
    Tools(NodeIx),
    Attach(NodeIx),
    /// An attach that hung gets on.
    Attached(NodeIx, usize, u32),
    Stops(NodeIx),
    /// `drbdsetup show` works again.
    Show(NodeIx),
    /// Whoever is Primary loses its power.
    Loses(usize),
    /// A person takes a resource down and brings it up again; so many steps are left.
    DownUp(NodeIx, usize, u32),
    /// A reload of what [`Machine::settings`](super::run::Machine) are by now.
    Reload(NodeIx),
    /// The bus is lost.
    LoseBus(NodeIx),
    /// The clock goes back while no daemon runs.
    ClockBack(NodeIx),
    Commands(NodeIx),
    /// A disk with a state folder answers.
    State(NodeIx),
    /// A client connects to the socket of a service.
    Socket(NodeIx, usize),
    /// What it started is stopped.
    SocketEnds(NodeIx, usize),
    /// DRBD does not refuse promotions any more.
    Refusals,
    /// Devices are closed that something had open.
    Strangers(NodeIx),
    /// A person mends a service while it is not configured.
    Mend(NodeIx, UnitIx),
    /// Something is taken out of the configuration.
    TakeOut(NodeIx),
    /// It is put back.
    PutBack(NodeIx),
    /// A person starts what runs nowhere.
    ByHand(usize),
    /// An operator asks, if he finds the daemon.
    Ask(NodeIx, usize, OperatorVerb),
    /// The end of a drain, as soon as the daemon is there.
    Undrain(NodeIx),
    /// What was moved has to be somewhere.
    Moved(Box<Moved>),
}

/// Faults of every world.
const FAULTS: usize = 29;

impl World {
    pub(super) fn next_fault(&mut self) {
        if self.peace.is_some() {
            return;
        }
        if self.calm_until > self.now {
            return self.queue.push(self.calm_until, Event::Fault);
        }
        self.faults += 1;
        self.fault();
        let every = u64::try_from(self.plan.every.as_millis()).unwrap_or(60_000);
        let after = self.ms(every / 3, every * 5 / 3);
        self.queue.push(self.now.after(after), Event::Fault);
    }

    pub(super) fn heal_in(&mut self, least_s: u64, most_s: u64, heal: Heal) {
        let after = self.ms(least_s * 1000, most_s * 1000);
        self.queue.push(self.now.after(after), Event::Heal(heal));
    }

    /// A node: half of the time the one that is Primary.
    fn victim(&mut self) -> NodeIx {
        let any = self.pick(NODES.len());
        let res = self.pick(self.plan.cluster.resources.len());
        if self.pick(2) == 0 {
            return any;
        }
        (0..NODES.len()).find(|node| self.cluster.truth(*node, res).primary).unwrap_or(any)
    }

    /// A service: of a node on which it runs, if there is one.
    pub(super) fn service(&mut self) -> Option<(NodeIx, UnitIx)> {
        let mut node = self.victim();
        let find = |world: &Self, node: NodeIx, kinds: &[Kind]| -> Vec<UnitIx> {
            let units = world.machines[node].systemd.units();
            (0..units.len()).filter(|ix| kinds.contains(&units[*ix].kind)).collect()
        };
        let running = |world: &Self, node: NodeIx, unit: UnitIx| world.machines[node].systemd.units()[unit].is_active();
        let mut services = find(self, node, &[Kind::Service, Kind::Standby]);
        if self.pick(3) > 0 {
            let wanted = self.pick(services.len().max(1));
            for other in 0..NODES.len() {
                let list = find(self, other, &[Kind::Service, Kind::Standby]);
                if list.get(wanted).is_some_and(|unit| running(self, other, *unit)) {
                    (node, services) = (other, vec![list[wanted]]);
                    break;
                }
            }
        }
        if services.is_empty() {
            return None;
        }
        let at = self.pick(services.len());
        Some((node, services[at]))
    }

    fn fault(&mut self) {
        let node = self.victim();
        let name = NODES[node];
        let res = self.pick(self.plan.cluster.resources.len());
        let more = if self.plan.hard { FAULTS_OF_HARD } else { 0 } + if self.plan.exits { FAULTS_OF_EXITS } else { 0 };
        let acts = if self.plan.acts { FAULTS_OF_ACTS } else { 0 };
        let stacks = if self.plan.stacks { FAULTS_OF_STACKS } else { 0 };
        let what = self.pick(FAULTS + more + acts + stacks);
        match what {
            _ if what >= FAULTS + more + acts => self.stack_fault(),
            _ if what >= FAULTS + more => self.operators_act(node, res),
            0 | 1 => {
                self.tell_fault(&format!("{name} loses its power"));
                self.crash(node);
                self.heal_in(10, 120, Heal::Boot(node));
            }
            2 => {
                self.tell_fault(&format!("{name} stands still"));
                self.freeze(node);
                self.heal_in(2, 40, Heal::Thaw(node));
            }
            3..=5 => {
                self.tell_fault(&format!("{name} is cut off"));
                let peers = (0..NODES.len()).filter(|peer| *peer != node);
                let links = peers.flat_map(|peer| [(node, peer), (peer, node)]).collect();
                self.cut(links, 2, 90);
            }
            6 => {
                let peer = (node + 1 + self.pick(NODES.len() - 1)) % NODES.len();
                self.tell_fault(&format!("nothing from {name} reaches {}", NODES[peer]));
                self.cut(vec![(node, peer)], 2, 60);
            }
            7 => {
                let peer = (node + 1 + self.pick(NODES.len() - 1)) % NODES.len();
                self.tell_fault(&format!("{name} and {} do not reach each other", NODES[peer]));
                self.cut(vec![(node, peer), (peer, node)], 2, 90);
            }
            8 => {
                self.tell_fault("nobody reaches anybody");
                let all = (0..NODES.len()).flat_map(|a| (0..NODES.len()).map(move |b| (a, b)));
                self.cut(all.filter(|(a, b)| a != b).collect(), 2, 60);
            }
            9 => {
                let peer = (node + 1 + self.pick(NODES.len() - 1)) % NODES.len();
                let times = 3 + self.rng.below(8);
                self.tell_fault(&format!("the link of {name} and {} flaps {times} times", NODES[peer]));
                self.flap(node, peer, times);
            }
            10 => self.disk_fault(node, res),
            11..=16 => self.service_fault(),
            17 | 18 => {
                self.tell_fault(&format!("the daemon of {name} is killed"));
                self.end_daemon(node);
                self.heal_in(0, 20, Heal::Daemon(node));
            }
            19 => {
                self.tell_fault(&format!("events2 of {name} is killed"));
                self.end_source(node, "killed");
            }
            20 => {
                self.tell_fault(&format!("{name} loses the bus"));
                self.lose_bus(node);
                self.heal_in(0, 20, Heal::Bus(node));
            }
            21 => self.reload_fault(node),
            25 => self.late_unit(node),
            22 => {
                let hours = self.rng.below(48);
                self.tell_fault(&format!("the clock of {name} jumps by {hours} h - 24 h"));
                let hours = i64::try_from(hours).unwrap_or(0) - 24;
                self.machines[node].clock_off_ms += hours * 3_600_000;
                let wall = self.wall(node);
                if self.is_running(node) {
                    self.tell(node, &Input::Wall(wall));
                }
            }
            23 => {
                self.tell_fault(&format!("{name} loses what events2 prints"));
                if let Some(daemon) = self.machines[node].daemon.as_deref_mut() {
                    daemon.lossy = true;
                }
                self.heal_in(0, 5, Heal::Source(node));
            }
            24 => {
                self.tell_fault(&format!("{name} is told the last burst once more"));
                let last = self.machines[node].daemon.as_deref().map(|daemon| daemon.last_lines.clone());
                if let Some(text) = last.filter(|text| !text.contains("exists ") && !text.contains("destroy ")) {
                    self.print(node, text);
                }
            }
            26 | 27 => self.tools_fault(node),
            FAULTS.. if self.plan.exits => self.exit_fault(node),
            FAULTS.. => self.hard_fault(node),
            _ => {
                let resource = self.plan.cluster.resources[res].name.clone();
                self.tell_fault(&format!("an operator holds {resource} on {name}"));
                self.ask(node, res, OperatorVerb::Hold { why: "maintenance".to_owned() });
                self.heal_in(10, 100, Heal::Operator(node, res, OperatorVerb::Release));
            }
        }
    }

    /// drbdadm fails or hangs while a node boots, or while its daemon starts: that is when it is needed.
    fn tools_fault(&mut self, node: NodeIx) {
        let name = NODES[node];
        let (tools, what) = if self.pick(3) == 0 { (Tools::Hang, "hangs") } else { (Tools::Fail, "fails") };
        self.machines[node].tools = tools;
        self.heal_in(60, 400, Heal::Tools(node));
        if self.pick(2) == 0 {
            self.tell_fault(&format!("drbdadm of {name} {what}, and {name} loses its power"));
            self.crash(node);
            self.heal_in(5, 20, Heal::Boot(node));
        } else {
            self.tell_fault(&format!("drbdadm of {name} {what}, and its daemon is killed"));
            self.end_daemon(node);
            self.heal_in(0, 20, Heal::Daemon(node));
        }
    }

    fn service_fault(&mut self) {
        let Some((node, unit)) = self.service() else { return };
        let unit_name = self.machines[node].systemd.units()[unit].name.clone();
        let name = NODES[node];
        let slow = 4_000 + self.rng.below(40_000);
        let what = self.pick(7);
        let health = self.machines[node].systemd.health_mut(unit);
        let text = match what {
            0 => {
                health.slow_ms = slow;
                "is slow to start"
            }
            1 => {
                health.start_fails = true;
                "fails, and will not start again"
            }
            2 => {
                health.hangs = true;
                "does not end when it is told to"
            }
            3 => {
                health.restarts = true;
                "fails, Restart=always"
            }
            4 => {
                health.start_fails = true;
                "will not start again"
            }
            _ => "fails",
        };
        self.tell_fault(&format!("{unit_name} of {name} {text}"));
        if !matches!(what, 0 | 2 | 4) && self.is_running(node) {
            self.machines[node].systemd.fail(unit);
            self.pump(node);
        }
        self.heal_in(20, 200, Heal::Health(node, unit));
    }

    fn disk_fault(&mut self, node: NodeIx, res: usize) {
        let spec = &self.plan.cluster.resources[res];
        let at = self.rng.below(spec.volumes.len() as u64);
        let volume = spec.volumes[usize::try_from(at).unwrap_or(0)].number;
        let blank = self.rng.below(3) == 0;
        self.tell_fault(&format!("the disk of volume {volume} of {} on {} fails", spec.name, NODES[node]));
        self.cluster.fail_disk(node, res, volume);
        self.disks_lost[res] = true;
        self.heal_in(10, 120, Heal::Disk(node, res, volume, blank));
    }

    /// The connection to systemd is made anew, and one unit is not answered about.
    fn late_unit(&mut self, node: NodeIx) {
        let units = self.machines[node].systemd.units();
        let names: Vec<_> = units.iter().map(|unit| unit.name.clone()).collect();
        let unit = names[self.pick(names.len())].clone();
        self.tell_fault(&format!("{} loses the bus; then systemd does not answer about {unit}", NODES[node]));
        self.machines[node].late = Some(unit);
        self.lose_bus(node);
        self.heal_in(0, 5, Heal::Bus(node));
        self.heal_in(20, 200, Heal::Late(node));
    }

    fn reload_fault(&mut self, node: NodeIx) {
        if self.machines[node].daemon.is_none() || !self.is_running(node) {
            return;
        }
        let settings = if self.pick(2) == 0 {
            self.tell_fault(&format!("{} reloads the same configuration", NODES[node]));
            Arc::clone(&self.machines[node].settings)
        } else {
            self.tell_fault(&format!("{} reloads another configuration", NODES[node]));
            Arc::new(self.other_settings(node))
        };
        self.machines[node].settings = Arc::clone(&settings);
        self.configure(node, settings);
    }

    /// The settings with something changed.
    pub(super) fn other_settings(&mut self, node: NodeIx) -> Settings {
        let mut settings = (*self.machines[node].settings).clone();
        let (what, number) = (self.pick(3), self.rng.below(3));
        for entry in &mut settings.plugins {
            let PluginSettings::Promoter(promoter) = &mut entry.settings else { continue };
            for resource in promoter.resources.values_mut() {
                match what {
                    0 => resource.on_service_failure = OnServiceFailure::Restart,
                    1 => resource.max_failures = u32::try_from(2 + number).unwrap_or(2),
                    _ => resource.fencing_promote_delay_s = 4 + number,
                }
            }
        }
        settings
    }

    pub(super) fn crash(&mut self, node: NodeIx) {
        if !self.cluster.alive(node) {
            return;
        }
        self.end_daemon(node);
        self.watch.downs.push(self.now);
        self.cluster.crash(node);
        let machine = &mut self.machines[node];
        machine.boot += 1;
        machine.frozen = false;
        machine.kernel_log = KernelLog::default();
        machine.deferred.clear();
        machine.systemd.crash();
        machine.froze.clear();
        // Drop-ins are in /run.
        machine.keeps.clear();
        machine.bringing_up.clear();
        machine.enabled.clear();
        machine.gone_since.clear();
        machine.taken_down.clear();
        machine.left_frozen.clear();
        self.apps_crash(node);
        self.watch.crashed(node);
    }

    fn boot(&mut self, node: NodeIx) {
        if self.cluster.alive(node) {
            return;
        }
        self.tell_fault(&format!("{} boots", NODES[node]));
        self.cluster.boot(node);
        self.storage_boots(node);
        let (daemon, drbd) = (self.ms(500, 8_000), self.ms(500, 6_000));
        if self.plan.enables {
            // The daemon and the units come at about the same time: that is when they meet.
            let drbd = if self.pick(2) == 0 { daemon + self.ms(10, 700) } else { drbd };
            self.machine_after(node, drbd, ForMachine::EnabledUnits);
        } else {
            self.machine_after(node, drbd, ForMachine::BringUp);
        }
        self.machine_after(node, daemon, ForMachine::StartDaemon);
    }

    fn freeze(&mut self, node: NodeIx) {
        if self.cluster.alive(node) {
            self.cluster.freeze(node);
            self.machines[node].frozen = true;
        }
    }

    fn thaw(&mut self, node: NodeIx) {
        if std::mem::take(&mut self.machines[node].frozen) {
            self.tell_fault(&format!("{} goes on", NODES[node]));
            self.cluster.thaw(node);
            for event in std::mem::take(&mut self.machines[node].deferred) {
                self.queue.push(self.now, event);
            }
            self.watch.thawed(node, self.now);
        }
    }

    pub(super) fn cut(&mut self, links: Vec<(NodeIx, NodeIx)>, least_s: u64, most_s: u64) {
        for (from, to) in &links {
            self.cluster.set_link(*from, *to, false);
        }
        self.heal_in(least_s, most_s, Heal::Links(links));
    }

    fn flap(&mut self, a: NodeIx, b: NodeIx, times: u64) {
        self.flapped = self.now;
        let up = times == 0 || !self.cluster.link(a, b);
        self.cluster.set_link(a, b, up);
        self.cluster.set_link(b, a, up);
        if times > 0 {
            self.heal_in(0, 9, Heal::Flap(a, b, times - 1));
        }
    }

    fn lose_bus(&mut self, node: NodeIx) {
        let Some(daemon) = self.machines[node].daemon.as_deref_mut() else { return };
        if !std::mem::take(&mut daemon.bus) {
            return;
        }
        let why = "the connection was closed".to_owned();
        let waiting = std::mem::take(&mut daemon.with_systemd);
        self.tell(node, &Input::Bus(BusEvent::Down { why: why.clone() }));
        for id in waiting {
            let end = reactor_core::systemd::UnitEnd::NoBus { why: why.clone() };
            self.answer(node, id, reactor_core::action::Outcome::Unit(end));
        }
    }

    /// An operator asks.
    pub(super) fn ask(&mut self, node: NodeIx, res: usize, verb: OperatorVerb) {
        if self.machines[node].daemon.is_none() || !self.is_running(node) {
            return;
        }
        self.requests += 1;
        self.watch.asked(self.requests, res, verb.clone());
        let subject = ResourceName::new(&self.plan.cluster.resources[res].name).into();
        let request =
            OperatorRequest { request: OperatorRequestId(self.requests), subject, verb, who: "root".to_owned() };
        self.tell(node, &Input::Operator(request));
    }

    pub(super) fn heal(&mut self, heal: Heal) {
        match heal {
            Heal::State(node) => self.disk_answers(node),
            Heal::Ask(node, res, verb) => {
                if self.peace.is_none() {
                    self.ask(node, res, verb);
                }
            }
            Heal::Undrain(node) => self.undrain_at_last(node),
            Heal::Moved(moved) => self.check_moved(&moved),
            Heal::Socket(node, res) => self.socket_starts(node, res),
            Heal::SocketEnds(node, res) => self.socket_ends(node, res),
            Heal::Refusals => self.refusals_end(),
            Heal::Strangers(node) => self.strangers_close(node),
            Heal::Mend(node, unit) => self.mend(node, unit),
            Heal::TakeOut(node) => self.take_out(node),
            Heal::PutBack(node) => self.put_back(node),
            Heal::ByHand(res) => self.start_by_hand(res),
            Heal::Stops(node) => self.machines[node].stops_end = None,
            Heal::Show(node) => self.machines[node].show = Show::Works,
            Heal::Loses(res) => self.primary_loses_power(res),
            Heal::DownUp(node, res, step) => self.down_and_up(node, res, step),
            Heal::Reload(node) => self.reload_at_last(node),
            Heal::LoseBus(node) => {
                if self.peace.is_none() && self.is_running(node) {
                    self.tell_fault(&format!("{} loses the bus", NODES[node]));
                    self.lose_bus(node);
                }
            }
            Heal::ClockBack(node) => self.clock_goes_back(node),
            Heal::Commands(node) => self.machines[node].commands_fail = false,
            Heal::Boot(node) => self.boot(node),
            Heal::Thaw(node) => self.thaw(node),
            Heal::Links(links) => {
                self.tell_fault("links heal");
                for (from, to) in links {
                    self.cluster.set_link(from, to, true);
                }
            }
            Heal::Flap(a, b, times) => {
                let times = if self.peace.is_some() { 0 } else { times };
                self.flap(a, b, times);
            }
            Heal::FailsAgain(node, unit, times) => self.fails_again(node, unit, times),
            Heal::Disk(node, res, volume, blank) => {
                self.tell_fault(&format!("a disk of {} is replaced", NODES[node]));
                self.cluster.repair_disk(node, res, volume, blank);
                if self.pick(4) == 0 {
                    self.tell_fault(&format!("its attach hangs on {}", NODES[node]));
                    self.cluster.hang_attach(node, res, volume);
                    self.heal_in(20, 60, Heal::Attached(node, res, volume));
                }
                self.heal_in(1, 10, Heal::Attach(node));
            }
            Heal::Tools(node) => {
                self.tell_fault(&format!("drbdadm of {} works again", NODES[node]));
                self.machines[node].tools = Tools::Work;
            }
            Heal::Attach(node) => {
                if self.cluster.alive(node) {
                    self.for_all_resources(node);
                }
            }
            Heal::Attached(node, res, volume) => self.cluster.release_attach(node, res, volume),
            Heal::Health(node, unit) => {
                let dies_of_errors = self.machines[node].systemd.health_mut(unit).dies_of_errors;
                *self.machines[node].systemd.health_mut(unit) = Health { dies_of_errors, ..Health::default() };
            }
            Heal::Daemon(node) => {
                if self.cluster.alive(node) {
                    self.machine_after(node, Duration::ZERO, ForMachine::StartDaemon);
                }
            }
            Heal::Bus(node) => {
                if self.is_running(node) {
                    self.start_bus(node);
                } else if self.cluster.alive(node) {
                    self.heal_in(1, 2, Heal::Bus(node));
                }
            }
            Heal::Late(node) => {
                if self.is_running(node) {
                    self.tell_late(node);
                } else {
                    self.machines[node].late = None;
                }
            }
            Heal::Source(node) => {
                if self.is_running(node) {
                    self.end_source(node, "ran out of buffer space");
                } else if self.cluster.alive(node) {
                    self.heal_in(1, 2, Heal::Source(node));
                }
            }
            Heal::Operator(node, res, verb) => {
                if self.is_running(node) && self.machines[node].daemon.is_some() {
                    self.ask(node, res, verb);
                } else {
                    self.heal_in(1, 5, Heal::Operator(node, res, verb));
                }
            }
        }
    }

    fn for_all_resources(&mut self, node: NodeIx) {
        for resource in self.resource_names() {
            let ticket = self.cluster.submit(node, Command::Adjust { resource });
            self.tickets.insert(ticket, CommandOf::Nobody);
        }
    }

    /// No more faults: everything heals.
    pub(super) fn make_peace(&mut self) {
        self.peace = Some(self.now);
        self.tell_fault("peace: everything heals");
        self.heal(Heal::Refusals);
        for node in 0..NODES.len() {
            self.thaw(node);
            self.heal(Heal::Tools(node));
            self.boot(node);
            for peer in (0..NODES.len()).filter(|peer| *peer != node) {
                self.cluster.set_link(node, peer, true);
            }
            for (res, spec) in self.plan.cluster.resources.clone().iter().enumerate() {
                for volume in &spec.volumes {
                    self.cluster.repair_disk(node, res, volume.number, false);
                    self.cluster.release_attach(node, res, volume.number);
                }
            }
            for unit in 0..self.machines[node].systemd.units().len() {
                self.heal(Heal::Health(node, unit));
            }
            self.heal(Heal::Stops(node));
            self.heal(Heal::Show(node));
            self.heal(Heal::Commands(node));
            self.heal(Heal::Strangers(node));
            self.heal(Heal::State(node));
            self.heal(Heal::Daemon(node));
            self.storage_peace(node);
            self.heal(Heal::Late(node));
            self.start_bus(node);
            let settings = Arc::clone(&self.plan.settings);
            self.machines[node].settings = Arc::clone(&settings);
            self.machines[node].back = None;
            self.configure(node, settings);
            self.heal_in(12, 14, Heal::Attach(node));
            if self.plan.acts {
                self.heal_in(20, 25, Heal::Undrain(node));
            }
            for res in 0..self.plan.cluster.resources.len() {
                self.heal_in(20, 25, Heal::Operator(node, res, OperatorVerb::Release));
                self.heal_in(25, 30, Heal::Operator(node, res, OperatorVerb::Clear));
            }
        }
    }
}

/// Requests that operators have made, by number.
pub(super) type Requests = BTreeMap<u64, (usize, OperatorVerb)>;
