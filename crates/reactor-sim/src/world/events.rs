//! What can happen in a world, and the queue of it.

use std::collections::BTreeMap;

use reactor_core::action::{Call, Outcome};
use reactor_core::ids::{ActionId, Mono};
use reactor_core::input::Input;
use reactor_core::operator::OperatorVerb;

use crate::drbd9::NodeIx;

use super::exit::End;
use super::faults::Heal;
use super::people::ForPeople;
use super::storage::ForStorage;
use super::systemd::UnitIx;

/// One thing that will happen.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// The next fault.
    Fault,
    /// No more faults, and everything heals.
    Peace,
    /// A fault is over.
    Heal(Heal),
    /// A look at what is overdue.
    Look,
    /// Something for a machine; it waits while the machine is frozen, and is forgotten when it was switched off.
    Machine { node: NodeIx, boot: u64, what: ForMachine },
    /// Something for a daemon; forgotten when that daemon has ended.
    Daemon { node: NodeIx, life: u64, what: ForDaemon },
}

#[derive(Clone, Debug)]
pub(super) enum ForMachine {
    StartDaemon,
    /// The resources are brought up as at boot.
    BringUp,
    UnitTimer(UnitIx, u64),
    /// A service may write.
    Write(usize),
    /// systemd starts the `drbd@` targets that are enabled.
    EnabledUnits,
    /// The adjust of `drbd@N.service` fails: another one is at work.
    Collide(UnitIx, u64),
    /// DRBD refuses a promotion.
    Refuse(UnitIx, u64),
    /// Something happens with its disks.
    Storage,
}

#[derive(Clone, Debug)]
pub(super) enum ForDaemon {
    /// An input.
    Input(Box<Input>),
    /// Lines of the events2 child with this number.
    Lines(u64, String),
    /// Silence since the lines with this number.
    Silence(u64),
    /// A deadline of the core.
    Tick,
    /// events2 is started.
    Source,
    /// The bus is there.
    Bus,
    /// An action reaches whom it is for.
    Call(ActionId, Box<Call>),
    /// An outcome reaches the core.
    Reply(ActionId, Outcome),
    /// The time of an action is over.
    Deadline(ActionId),
    /// An operator asks while it ends.
    Asked(usize, OperatorVerb),
    /// The kernel's uevents.
    Uevents,
    /// Its collector of storage events.
    Storage(ForStorage),
    /// What it tells people.
    People(ForPeople),
    /// Its end is not waited for.
    End(End),
}

/// Events by time, and by their order at one time.
#[derive(Debug, Default)]
pub(super) struct Queue {
    events: BTreeMap<(Mono, u64), Event>,
    count: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: Mono, event: Event) {
        self.count += 1;
        self.events.insert((at, self.count), event);
    }

    pub(super) fn next_at(&self) -> Option<Mono> {
        self.events.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        self.events.pop_first().map(|(_, event)| event)
    }
}
