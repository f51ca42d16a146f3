//! What the promoter says of a resource: the status, `reactorctl why` and the simulation read this same value.

use crate::action::Reason;
use crate::ids::{Mono, ResourceName, UnitName};
use crate::operator::Hold;

use super::availability::Availability;
use super::health::DrbdHealth;
use super::obstacle::Obstacle;

/// One promoted resource as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceReport {
    /// Its name.
    pub resource: ResourceName,
    /// `drbd-services@NAME.target`; with the shell runner too, though there it does not exist.
    pub target: UnitName,
    /// What holds.
    pub state: StateWord,
    /// Since when.
    pub since: Mono,
    /// Why it is so, in the order in which it was reasoned.
    pub because: Vec<Reason>,
    /// What keeps it from being started here, if that is why it is so.
    pub obstacle: Option<Obstacle>,
    /// When it is judged again at the latest without any news, for example when a delay ends.
    pub next: Option<Mono>,
    /// What is due then; empty if nothing is.
    pub next_for: &'static str,
    /// `quorum`, `fencing`, `alone`, `none`, or `unknown` while DRBD's options have not been read.
    pub policy: &'static str,
    /// The operator's hold.
    pub hold: Option<Hold>,
    /// Failures of its services here within the failure window.
    pub failures: u32,
    /// `max-failures`; 0 = never blocked.
    pub max_failures: u32,
    /// What failed last.
    pub last_failure: Option<String>,
    /// Whether it is up here, of all that it needs.
    pub availability: Availability,
    /// The same of what is optional; `undef` if nothing is.
    pub optional: Availability,
    /// DRBD's part of that.
    pub drbd: DrbdHealth,
    /// What is not as it should be although it may be up: DRBD's, and that of optional entries. Empty = it is well.
    pub degraded: Vec<String>,
    /// Its units in order, each with how it is.
    pub units: Vec<UnitReport>,
    /// What runs where this node is Secondary, in order.
    pub standby: Vec<UnitReport>,
    /// Entries that this node leaves out.
    pub left_out: Vec<UnitReport>,
    /// What a person should look at: option warnings, StandAlone links, failed units, bad preferred nodes.
    pub warnings: Vec<String>,
    /// What is wrong although the state does not say so: a person must act.
    pub troubles: Vec<Trouble>,
    /// An adjust brings it up just now: what its links and disks look like meanwhile says nothing.
    pub is_adjusting: bool,
    /// The other nodes; empty unless this resource alone is asked about.
    pub peers: Vec<PeerReport>,
    /// The last decisions, oldest first; empty unless this resource alone is asked about.
    pub history: Vec<PastDecision>,
}

/// Another node of a resource, for all that DRBD says here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerReport {
    /// Its name, as DRBD has it.
    pub node: String,
    /// Whether it is Primary.
    pub primary: bool,
    /// Whether DRBD is connected with it.
    pub connected: bool,
    /// Why it could not take the resource over; empty = it could.
    pub obstacles: Vec<String>,
}

/// Something that is wrong although the state of the resource does not say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What kind of.
    pub kind: TroubleKind,
    /// What, in one sentence.
    pub what: String,
    /// Since when.
    pub since: Mono,
}

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TroubleKind {
    /// Primary here, but I/O does not get on.
    IoHangs,
    /// Something else than the promoter started a unit of the resource.
    OutsideTarget,
    /// Nobody is Primary, and this side could be; or this node is Primary, and its services do not run.
    RunsNowhere,
    /// Something of it is still up although its target is down and this node is Secondary.
    LeftBehind,
}

impl TroubleKind {
    /// As status, metrics and JSON spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IoHangs => "io-hangs",
            Self::OutsideTarget => "outside-target",
            Self::RunsNowhere => "runs-nowhere",
            Self::LeftBehind => "left-behind",
        }
    }
}

/// One unit of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitReport {
    /// Its name.
    pub unit: UnitName,
    /// What its entry is called.
    pub entry: String,
    /// Whether it is up, as far as this entry goes.
    pub availability: Availability,
    /// `optional`.
    pub optional: bool,
    /// `monitor`.
    pub monitored: bool,
    /// Entries with the same number start side by side.
    pub group: Option<u32>,
    /// How often it is still started again before its failure is one of the resource; `None` without `restart`.
    pub restarts_left: Option<u32>,
    /// `ActiveState`; `unknown` if systemd has not told.
    pub active: String,
    /// `FreezerState`.
    pub freezer: String,
    /// `Result`, if it is not `success`.
    pub result: Option<String>,
}

/// One decision of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastDecision {
    /// When.
    pub at: Mono,
    /// What was decided, as a short sentence, for example `start drbd-services@r0.target`.
    pub what: String,
    /// Why.
    pub because: Vec<Reason>,
    /// How it ended; `None` while it has not.
    pub outcome: Option<String>,
}

/// What holds, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateWord {
    /// Not looked at yet, or being prepared: files, lower devices, adjust, options.
    Preparing,
    /// Nothing to do here: it runs elsewhere, or cannot run.
    Standby,
    /// It, or what failed of it, could start here, and a delay runs.
    Waiting,
    /// Its services are being started, also by systemd's `Restart=`.
    Starting,
    /// Its services run here.
    Running,
    /// Its services are being stopped.
    Stopping,
    /// Its services are frozen.
    Frozen,
    /// It could run, but failed too often here.
    Blocked,
    /// An operator holds it.
    Held,
    /// An operator has drained this node: nothing is started here.
    Drained,
    /// It cannot be managed: neither quorum nor fencing.
    Unmanaged,
}

impl StateWord {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Preparing,
        Self::Standby,
        Self::Waiting,
        Self::Starting,
        Self::Running,
        Self::Stopping,
        Self::Frozen,
        Self::Blocked,
        Self::Held,
        Self::Drained,
        Self::Unmanaged,
    ];

    /// As status, metrics and JSON spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Standby => "standby",
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Frozen => "frozen",
            Self::Blocked => "blocked",
            Self::Held => "held",
            Self::Drained => "drained",
            Self::Unmanaged => "unmanaged",
        }
    }
}
