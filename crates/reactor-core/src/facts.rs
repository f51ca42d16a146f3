//! What a configuration takes for granted about the system, and what the system says to it: plain data, no questions asked here.
//!
//! ```text
//! configuration ─▶ Questions ─▶ whoever may do I/O ─▶ SystemFacts ─▶ the check of the configuration ─▶ findings
//! ```
//!
//! What could not be found out is [`Fact::Unknown`] with the reason, never a guess: on a machine without systemd or DRBD a good file
//! stays good.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use reactor_storage::device::Stacking;

use crate::ids::{ResourceName, UnitName};
use crate::plugin::promoter::policy::Policy;
use crate::systemd::LoadState;

/// Where OCF agents are: `VENDOR/AGENT` below it.
pub const OCF_AGENTS: &str = "/usr/lib/ocf/resource.d";

/// There if the machine has cgroup v2, which freezing needs.
pub const CGROUP_2: &str = "/sys/fs/cgroup/cgroup.controllers";

/// What must be asked of the system.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Questions {
    /// Units of systemd; empty = systemd need not be asked.
    pub units: BTreeSet<UnitName>,
    /// OCF agents.
    pub agents: BTreeSet<Agent>,
    /// Whether the DRBD resources that `drbdadm` knows are of interest.
    pub resources: bool,
    /// Whether it matters which DRBD this is.
    pub drbd: bool,
    /// Whether it matters that units can be frozen.
    pub freezer: bool,
    /// Volume groups of LVM that resources activate.
    pub volume_groups: BTreeSet<(ResourceName, String)>,
    /// A group of users that has to exist.
    pub group: Option<String>,
    /// Web configuration files of metrics servers.
    pub web: BTreeSet<PathBuf>,
    /// Files whose first line is a secret that receivers of notifications need.
    pub secrets: BTreeSet<PathBuf>,
}

impl Questions {
    /// Whether there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
            && self.agents.is_empty()
            && !(self.resources || self.drbd || self.freezer)
            && self.volume_groups.is_empty()
            && self.group.is_none()
            && self.web.is_empty()
            && self.secrets.is_empty()
    }
}

/// An OCF agent.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Agent {
    /// For example `heartbeat`.
    pub vendor: String,
    /// For example `IPaddr2`.
    pub agent: String,
}

impl fmt::Display for Agent {
    /// Its path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{OCF_AGENTS}/{}/{}", self.vendor, self.agent)
    }
}

/// What the system says. [`Default`] = nothing was asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SystemFacts {
    /// What this node is called; empty = not asked.
    pub node: String,
    /// The units that systemd was asked about, and those that start them. One that is not in the map was not asked about.
    pub units: Fact<BTreeMap<UnitName, UnitFacts>>,
    /// The DRBD resources that drbdadm finds in its configuration for this node.
    pub resources: Fact<BTreeSet<ResourceName>>,
    /// What keeps two nodes from writing at once, of the resources that DRBD has now.
    pub policies: Fact<BTreeMap<ResourceName, Policy>>,
    /// The agents that were looked for.
    pub agents: BTreeMap<Agent, AgentFile>,
    /// What the installed DRBD lacks for a promoter.
    pub drbd: Fact<Vec<DrbdLack>>,
    /// Whether [`CGROUP_2`] is there.
    pub cgroup_2: Fact<bool>,
    /// Where each volume group is, seen from the resource that activates it.
    pub volume_groups: BTreeMap<(ResourceName, String), Fact<Stacking>>,
    /// The number of the group that was asked for; `None` = there is no such group.
    pub group: Fact<Option<u32>>,
    /// What is wrong with each web configuration file and with what it names.
    pub web: BTreeMap<PathBuf, Fact<Vec<WebFault>>>,
    /// Why each file with a secret can't be used; `None` = it can.
    pub secrets: BTreeMap<PathBuf, Fact<Option<SecretFault>>>,
}

/// Why no secret is taken from a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SecretFault {
    /// What is wrong with it, as a sentence with its path.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

/// Something that is wrong with a web configuration file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebFault {
    /// What, as a sentence.
    pub what: String,
    /// What to do about it.
    pub hint: String,
    /// Whether the file can't be used.
    pub unusable: bool,
}

/// Something that a promoter wants and the installed DRBD does not have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DrbdLack {
    /// What, as a sentence.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

/// Something that may be unknown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Fact<T> {
    /// Nobody asked.
    #[default]
    NotAsked,
    /// It could not be found out.
    Unknown {
        /// Why not.
        why: String,
    },
    /// It is so.
    Known(T),
}

/// What systemd says about a unit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UnitFacts {
    /// `LoadState`.
    pub load: LoadState,
    /// `UnitFileState`: `enabled`, `disabled`, `static`, `generated`, ...; empty where there is none.
    pub unit_file: String,
    /// `WantedBy`, `RequiredBy` (which has those with `RequiresMountsFor=`, too), `UpheldBy`, `BoundBy`: the units that start it along with
    /// themselves.
    pub pulled_in_by: Vec<String>,
    /// `TriggeredBy`: sockets, timers, paths and automounts that start it when something happens.
    pub triggered_by: Vec<String>,
    /// `ActiveState`: it runs, or is about to.
    pub active: bool,
}

/// What there is in the place of an OCF agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AgentFile {
    /// A program.
    Executable,
    /// A file that nobody may execute, or no regular file.
    NotExecutable,
    /// Nothing.
    Missing,
    /// It could not be found out.
    Unknown {
        /// Why not.
        why: String,
    },
}
