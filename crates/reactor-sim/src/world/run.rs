//! The world itself: machines, the cluster, the queue, and the loop that takes what happens next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use reactor_core::ids::{ActionId, Mono, UnitName};
use reactor_core::input::Input;
use reactor_core::settings::Settings;
use reactor_core::systemd::UnitEnd;

use crate::drbd9::{Cluster, Command, NodeIx, OpenId, Ticket, WriteId};
use crate::rng::Rng;

use super::apps::App;
use super::bugs::Bug;
use super::daemon::Daemon;
use super::events::{Event, ForDaemon, ForMachine, Queue};
use super::faults::Heal;
use super::guard::Guard;
use super::invariants::{Violation, Watch, Written};
use super::kernel_log::KernelLog;
use super::people::People;
use super::plan::{NODES, Plan, promoted};
use super::state::{Froze, StateDisk};
use super::storage::StorageDisk;
use super::story::Story;
use super::systemd::{Systemd, UnitIx};

/// How often to look for what is overdue.
const LOOK: Duration = Duration::from_millis(500);

/// One node.
pub(super) struct Machine {
    pub(super) systemd: Systemd,
    /// A unit that systemd does not answer about.
    pub(super) late: Option<UnitName>,
    pub(super) daemon: Option<Box<Daemon>>,
    pub(super) lives: u64,
    pub(super) boot: u64,
    pub(super) frozen: bool,
    pub(super) kernel_log: KernelLog,
    pub(super) storage: StorageDisk,
    /// What waits for people, and what they know.
    pub(super) people: People,
    /// How drbdadm is doing.
    pub(super) tools: Tools,
    /// Resources whose `drbd@N.service` keeps what DRBD has, by a generated drop-in.
    pub(super) keeps: BTreeSet<usize>,
    /// By resource: the adjust that brings it up just now.
    pub(super) bringing_up: BTreeMap<usize, Ticket>,
    /// Units that systemd has started by itself, at the boot.
    pub(super) enabled: BTreeSet<UnitIx>,
    /// Since when a resource that has to be there is not, and nothing is under way.
    pub(super) gone_since: BTreeMap<usize, Mono>,
    /// Resources that a person has taken down.
    pub(super) taken_down: BTreeSet<usize>,
    /// What waits for it to run on.
    pub(super) deferred: Vec<Event>,
    /// What outlives its daemons.
    pub(super) disk: StateDisk,
    pub(super) settings: Arc<Settings>,
    pub(super) clock_off_ms: i64,
    /// Stops of its targets end like that.
    pub(super) stops_end: Option<UnitEnd>,
    /// How `drbdsetup show` is doing.
    pub(super) show: Show,
    /// Units that its daemons have frozen and that have not been thawed.
    pub(super) froze: BTreeMap<UnitName, Froze>,
    /// Since when some of them are in no configuration any more.
    pub(super) left_frozen: BTreeMap<UnitName, Mono>,
    /// Commands of the shell runner fail, all but the promotion.
    pub(super) commands_fail: bool,
    /// By resource: DRBD refuses whoever wants to promote it.
    pub(super) refuses: BTreeSet<usize>,
    /// By resource: when DRBD refused a promotion last, and what it said.
    pub(super) refusals: BTreeMap<usize, (Mono, String)>,
    /// Settings that a reload is about to bring, or a restart of the daemon.
    pub(super) out: Option<(Arc<Settings>, bool)>,
    /// What the configuration was before that restart.
    pub(super) back: Option<Arc<Settings>>,
    /// Devices that something has open which is no service.
    pub(super) strangers: Vec<OpenId>,
    /// By resource.
    pub(super) apps: Vec<App>,
    /// What its daemons write into the history.
    pub(super) history: Written,
}

/// How drbdadm of a node is doing. It reads all files at each call, so a mistake in one is a failure for all resources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tools {
    #[default]
    Work,
    /// Each call fails.
    Fail,
    /// `drbdadm adjust` hangs.
    Hang,
}

/// How `drbdsetup show` of a node is doing. It asks the kernel, and reads no files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Show {
    #[default]
    Works,
    Fails,
    IsSlow,
}

/// Whom the answer of a DRBD command is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum CommandOf {
    Promote { node: NodeIx, boot: u64, unit: UnitIx, step: u64 },
    Demote { node: NodeIx, boot: u64, unit: UnitIx, step: u64 },
    Configure { node: NodeIx, boot: u64, unit: UnitIx, step: u64 },
    Action { node: NodeIx, life: u64, id: ActionId },
    Shell { node: NodeIx, life: u64, id: ActionId },
    Nobody,
}

/// Whom the end of a write is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum WriteOf {
    App { node: NodeIx, boot: u64, res: usize },
    Flush { node: NodeIx, boot: u64, unit: UnitIx },
}

/// A cluster of daemons on virtual time.
pub struct World {
    pub(super) plan: Plan,
    pub(super) bug: Option<Bug>,
    pub(super) now: Mono,
    pub(super) rng: Rng,
    pub(super) queue: Queue,
    pub(super) cluster: Cluster,
    pub(super) machines: Vec<Machine>,
    pub(super) tickets: BTreeMap<Ticket, CommandOf>,
    pub(super) writes: BTreeMap<WriteId, WriteOf>,
    pub(super) story: Story,
    pub(super) watch: Watch,
    pub(super) violation: Option<Violation>,
    /// Since when there are no faults.
    pub(super) peace: Option<Mono>,
    pub(super) faults: u64,
    pub(super) requests: u64,
    /// No fault before then: something is looked at that has to work without any.
    pub(super) calm_until: Mono,
    /// When a link has flapped last.
    pub(super) flapped: Mono,
    /// By resource: a disk failed, or data that no majority had has diverged. Nobody can say any more which writes have to be kept.
    pub(super) disks_lost: Vec<bool>,
    /// Data of a resource without quorum has diverged.
    pub(super) split_brain: bool,
    /// Lives that have ended, kept for the story.
    pub(super) lives: Vec<(NodeIx, Box<Daemon>)>,
}

impl World {
    /// The world of a plan. With `tell` it keeps its story.
    pub fn new(plan: Plan, bug: Option<Bug>, tell: bool) -> Self {
        let seed = plan.seed;
        let resources = plan.cluster.resources.len();
        let machine = |node: u64| Machine {
            systemd: Systemd::new(seed.wrapping_mul(3).wrapping_add(node)),
            late: None,
            daemon: None,
            lives: 0,
            boot: 0,
            frozen: false,
            kernel_log: KernelLog::default(),
            storage: StorageDisk::new(seed.wrapping_mul(5).wrapping_add(node) ^ 0x7374_6f72),
            people: People::new(seed.wrapping_mul(7).wrapping_add(node) ^ 0x7065_6f70),
            tools: Tools::default(),
            keeps: BTreeSet::new(),
            bringing_up: BTreeMap::new(),
            enabled: BTreeSet::new(),
            gone_since: BTreeMap::new(),
            taken_down: BTreeSet::new(),
            deferred: Vec::new(),
            disk: StateDisk::default(),
            settings: Arc::clone(&plan.settings),
            clock_off_ms: 0,
            stops_end: None,
            show: Show::default(),
            froze: BTreeMap::new(),
            left_frozen: BTreeMap::new(),
            commands_fail: false,
            refuses: BTreeSet::new(),
            refusals: BTreeMap::new(),
            out: None,
            back: None,
            strangers: Vec::new(),
            apps: (0..resources).map(|_| App::default()).collect(),
            history: Written::default(),
        };
        let mut world = Self {
            cluster: Cluster::settled(plan.cluster.clone(), seed),
            machines: (0..NODES.len() as u64).map(machine).collect(),
            bug,
            now: Mono::ZERO,
            rng: Rng::new(seed ^ 0x72_756e),
            queue: Queue::default(),
            tickets: BTreeMap::new(),
            writes: BTreeMap::new(),
            story: Story::new(tell),
            watch: Watch::new(NODES.len(), resources),
            violation: None,
            peace: None,
            faults: 0,
            requests: 0,
            calm_until: Mono::ZERO,
            flapped: Mono::ZERO,
            disks_lost: vec![false; resources],
            split_brain: false,
            lives: Vec::new(),
            plan,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for (node, node_name) in NODES.iter().enumerate() {
            for (res, name) in self.resource_names().into_iter().enumerate() {
                let settings = promoted(&self.plan.settings, &name).cloned().unwrap_or_default();
                self.machines[node].systemd.load(res, &name, &settings, node_name);
                for unit in 0..self.machines[node].systemd.units().len() {
                    let dies = self.plan.seed.wrapping_add(res as u64).is_multiple_of(2);
                    self.machines[node].systemd.health_mut(unit).dies_of_errors = dies;
                }
            }
            let after = self.ms(0, 3_000);
            self.machine_after(node, after, ForMachine::StartDaemon);
            self.storage_boots(node);
        }
        for res in 0..self.plan.cluster.resources.len() {
            if self.guard(res) == Guard::Nothing {
                self.queue.push(self.now.after(self.plan.every), Event::Heal(Heal::ByHand(res)));
            }
        }
        let first = self.plan.every / 2;
        self.queue.push(self.now.after(first), Event::Fault);
        self.queue.push(self.now.after(self.plan.hour), Event::Peace);
        self.queue.push(self.now.after(LOOK), Event::Look);
    }

    /// The names of the resources.
    pub(super) fn resource_names(&self) -> Vec<String> {
        self.plan.cluster.resources.iter().map(|resource| resource.name.clone()).collect()
    }

    /// The number of a resource.
    pub(super) fn res(&self, name: &str) -> Option<usize> {
        self.plan.cluster.resources.iter().position(|resource| resource.name == name)
    }

    /// Lets the hour and the peace after it pass. The first invariant that does not hold, if any.
    pub fn run(&mut self) -> Option<Violation> {
        let end = Mono::ZERO.after(self.plan.hour + self.plan.bound);
        self.run_until(end);
        if self.violation.is_none() {
            self.now = end;
            self.check_rest();
        }
        for node in 0..self.machines.len() {
            if self.violation.is_none() {
                self.end_daemon(node);
            }
        }
        self.violation.clone()
    }

    /// Lets the time pass until then, or until an invariant does not hold.
    pub(super) fn run_until(&mut self, end: Mono) {
        while self.violation.is_none() {
            let at = match (self.queue.next_at(), self.cluster.next_at()) {
                (Some(a), Some(b)) => a.min(b),
                (Some(a), None) | (None, Some(a)) => a,
                (None, None) => break,
            };
            if at > end {
                break;
            }
            self.now = at.max(self.now);
            self.cluster.advance(self.now);
            self.drain();
            while self.queue.next_at().is_some_and(|next| next <= self.now) && self.violation.is_none() {
                if let Some(event) = self.queue.pop() {
                    self.handle(event);
                    self.drain();
                }
            }
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Fault => self.next_fault(),
            Event::Peace => self.make_peace(),
            Event::Heal(heal) => self.heal(heal),
            Event::Look => {
                self.look();
                self.queue.push(self.now.after(LOOK), Event::Look);
            }
            Event::Machine { node, boot, what } => {
                let machine = &mut self.machines[node];
                if machine.boot != boot {
                    return;
                }
                if machine.frozen {
                    return machine.deferred.push(Event::Machine { node, boot, what });
                }
                self.for_machine(node, &what);
            }
            Event::Daemon { node, life, what } => {
                let machine = &mut self.machines[node];
                if machine.daemon.as_deref().is_none_or(|daemon| daemon.life != life) {
                    return;
                }
                if machine.frozen {
                    return machine.deferred.push(Event::Daemon { node, life, what });
                }
                self.for_daemon(node, what);
            }
        }
    }

    fn for_machine(&mut self, node: NodeIx, what: &ForMachine) {
        match what {
            ForMachine::StartDaemon => self.start_daemon(node),
            ForMachine::BringUp => {
                for resource in self.resource_names() {
                    let ticket = self.cluster.submit(node, Command::Adjust { resource });
                    self.tickets.insert(ticket, CommandOf::Nobody);
                }
            }
            ForMachine::UnitTimer(unit, step) => {
                self.machines[node].systemd.timer(*unit, *step);
                self.pump(node);
            }
            ForMachine::Write(res) => self.app_writes(node, *res),
            ForMachine::EnabledUnits => self.start_enabled_units(node),
            ForMachine::Collide(unit, step) => {
                self.configured_by_unit(node, *unit, *step, false);
                self.pump(node);
            }
            ForMachine::Refuse(unit, step) => self.refuse_promotion(node, *unit, *step),
            ForMachine::Storage => self.storage(node),
        }
    }

    fn for_daemon(&mut self, node: NodeIx, what: ForDaemon) {
        match what {
            ForDaemon::Input(input) => {
                let stale = matches!(*input, Input::Units(_))
                    && self.machines[node].daemon.as_deref().is_none_or(|daemon| !daemon.bus);
                if !stale {
                    self.tell(node, &input);
                }
            }
            ForDaemon::Lines(source, text) => self.lines(node, source, text),
            ForDaemon::Silence(reads) => self.silence(node, reads),
            ForDaemon::Tick => {
                let due = self.machines[node].daemon.as_deref().is_some_and(|daemon| {
                    daemon.core.next_deadline().is_some_and(|next| next.0 + daemon.started.0 <= self.now.0)
                });
                if due {
                    self.check_is_woken(node);
                    self.tell(node, &Input::Tick);
                } else {
                    self.plan_tick(node);
                }
            }
            ForDaemon::Source => self.start_source(node),
            ForDaemon::Bus => self.start_bus(node),
            ForDaemon::Call(id, call) => self.carry_out(node, id, *call),
            ForDaemon::Reply(id, outcome) => self.reply(node, id, &outcome),
            ForDaemon::Deadline(id) => self.too_late(node, id),
            ForDaemon::Asked(res, verb) => self.asked_at_exit(node, res, verb),
            ForDaemon::Uevents => self.uevents(node),
            ForDaemon::Storage(what) => self.for_storage(node, what),
            ForDaemon::People(what) => self.for_people(node, what),
            ForDaemon::End(how) => self.end_exit(node, how),
        }
        self.look_at_exit(node);
    }

    pub(super) fn machine_after(&mut self, node: NodeIx, after: Duration, what: ForMachine) {
        let boot = self.machines[node].boot;
        self.queue.push(self.now.after(after), Event::Machine { node, boot, what });
    }

    /// A time between two bounds in milliseconds.
    pub(super) fn ms(&mut self, least: u64, most: u64) -> Duration {
        self.us(least * 1000, most * 1000)
    }

    /// A time between two bounds in microseconds.
    pub(super) fn us(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_micros(least + self.rng.below(most - least + 1))
    }

    /// One of so many.
    pub(super) fn pick(&mut self, count: usize) -> usize {
        usize::try_from(self.rng.below(count as u64)).unwrap_or(0)
    }

    /// The machine runs: it has power and is not frozen.
    pub(super) fn is_running(&self, node: NodeIx) -> bool {
        self.cluster.alive(node) && !self.machines[node].frozen
    }
}
