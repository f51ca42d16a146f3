//! `[[promoter]]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::Mode;
pub use super::entry::{Command, Engine, Entry, How, StartEntry};
use crate::ids::ResourceName;

/// One `[[promoter]]` table.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PromoterSettings {
    /// `[promoter.resources.NAME]`.
    pub resources: BTreeMap<ResourceName, PromotedResource>,
}

/// `[promoter.resources.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromotedResource {
    /// `start`, in order.
    pub start: Vec<Entry>,
    /// `standby`, in order: what runs where this node is Secondary.
    pub standby: Vec<Entry>,
    /// Entries of both lists that this node leaves out.
    pub left_out: Vec<Entry>,
    /// `always-on`: where DRBD is brought up whoever runs the services. Default every node.
    pub always_on: AlwaysOn,
    /// `sync`: files that go to other nodes. Default none.
    pub sync: Option<SyncSettings>,
    /// `stop`, in order; empty = `start` reversed. Used by the shell runner only.
    pub stop: Vec<String>,
    /// `stop-services-on-exit`. Default false.
    pub stop_services_on_exit: bool,
    /// `runner`. Default systemd.
    pub runner: Runner,
    /// `dependencies-as`. Default `Requires`.
    pub dependencies_as: Dependency,
    /// `target-as`. Default `Requires`.
    pub target_as: Dependency,
    /// `on-drbd-demote-failure`. Default none.
    pub on_drbd_demote_failure: FailureAction,
    /// `sleep-before-promote-factor`. Default 1.
    pub sleep_before_promote_factor: u32,
    /// `preferred-nodes`, best first.
    pub preferred_nodes: Vec<String>,
    /// `preferred-nodes-policy`. Default always.
    pub preferred_nodes_policy: PreferredNodesPolicy,
    /// `secondary-force`. Default true.
    pub secondary_force: bool,
    /// `on-quorum-loss`. Default shutdown.
    pub on_quorum_loss: OnQuorumLoss,
    /// `on-disk-detach`. Default ignore.
    pub on_disk_detach: OnDiskDetach,
    /// `fencing-promote-delay`, seconds. Default 5.
    pub fencing_promote_delay_s: u64,
    /// `adjust-resource-on-start`. Default true.
    pub adjust_resource_on_start: bool,
    /// `freeze-timeout`: services that are frozen for longer than this are stopped. Default never.
    pub freeze_timeout: Option<Duration>,
    /// `failback-window`: local times of day in which a preferred node may take back. Default empty = always.
    pub failback_window: Vec<DayWindow>,
    /// `on-service-failure`. Default restart; `ignore` in the mode of drbd-reactor.
    pub on_service_failure: OnServiceFailure,
    /// `max-failures` within `failure-window`: then nothing is started here until an operator clears it. Default 3; 0 = never, which is
    /// the default in the mode of drbd-reactor.
    pub max_failures: u32,
    /// `failure-window`. Default 10 min.
    pub failure_window: Duration,
    /// `retry-interval`: how long to wait after a try that did not succeed. Default back-off; 20 s in the mode of drbd-reactor.
    pub retry: Retry,
    /// `repair-links`. Default adjust; `report` in the mode of drbd-reactor.
    pub repair_links: RepairLinks,
    /// `head-start`: nodes with worse data wait up to 200 ms a rank. Default true; false in the mode of drbd-reactor.
    pub head_start: bool,
    /// No key: in the mode of drbd-reactor a resource with neither quorum nor fencing is started once, when the daemon starts.
    pub unguarded_start: bool,
}

impl Default for PromotedResource {
    fn default() -> Self {
        Self::with_defaults(Mode::Native)
    }
}

impl PromotedResource {
    /// The defaults of a mode.
    pub fn with_defaults(mode: Mode) -> Self {
        let ours = mode == Mode::Native;
        Self {
            start: Vec::new(),
            standby: Vec::new(),
            left_out: Vec::new(),
            always_on: AlwaysOn::default(),
            sync: None,
            stop: Vec::new(),
            stop_services_on_exit: false,
            runner: Runner::Systemd,
            dependencies_as: Dependency::Requires,
            target_as: Dependency::Requires,
            on_drbd_demote_failure: FailureAction::None,
            sleep_before_promote_factor: 1,
            preferred_nodes: Vec::new(),
            preferred_nodes_policy: PreferredNodesPolicy::Always,
            secondary_force: true,
            on_quorum_loss: OnQuorumLoss::Shutdown,
            on_disk_detach: OnDiskDetach::Ignore,
            fencing_promote_delay_s: 5,
            adjust_resource_on_start: true,
            freeze_timeout: None,
            failback_window: Vec::new(),
            on_service_failure: if ours { OnServiceFailure::Restart } else { OnServiceFailure::Ignore },
            max_failures: if ours { 3 } else { 0 },
            failure_window: Duration::from_secs(600),
            retry: if ours { Retry::BackOff } else { Retry::Every(Duration::from_secs(20)) },
            repair_links: if ours { RepairLinks::Adjust } else { RepairLinks::Report },
            head_start: ours,
            unguarded_start: !ours,
        }
    }
}

impl PromoterSettings {
    /// As this node has it: entries that it leaves out are taken from the lists, and DRBD is brought up if it is always on here.
    pub fn on_node(&mut self, node: &str) {
        for resource in self.resources.values_mut() {
            let left_out = |entry: &Entry| entry.is_disabled_on(node);
            let lists = [&mut resource.start, &mut resource.standby];
            resource.left_out = lists
                .into_iter()
                .flat_map(|list| list.extract_if(.., |entry| left_out(entry)).collect::<Vec<_>>())
                .collect();
            // A person who starts it here brings DRBD up before.
            resource.adjust_resource_on_start &= resource.always_on.includes(node);
        }
    }

    /// Whether [`on_node`](Self::on_node) would change anything on some node.
    pub fn differs_by_node(&self) -> bool {
        let differs = |resource: &PromotedResource| {
            let mut entries = resource.start.iter().chain(&resource.standby);
            resource.always_on != AlwaysOn::Everywhere || entries.any(|entry| !entry.how.disabled_on.is_empty())
        };
        self.resources.values().any(differs)
    }
}

/// `sync`: what goes from the node that runs the services to others.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SyncSettings {
    /// `nodes`.
    pub nodes: Vec<String>,
    /// `drpnodes`.
    pub drpnodes: Vec<String>,
    /// `files`, absolute paths without `..`.
    pub files: Vec<PathBuf>,
    /// `every`; `None` = when a person asks for it.
    pub every: Option<Duration>,
}

/// On which nodes DRBD is brought up, whoever runs the services.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum AlwaysOn {
    /// On all that have the resource.
    #[default]
    Everywhere,
    /// On these.
    On(Vec<String>),
}

impl AlwaysOn {
    /// Whether this node is one of them.
    pub fn includes(&self, node: &str) -> bool {
        match self {
            Self::Everywhere => true,
            Self::On(nodes) => nodes.iter().any(|on| crate::names::same(on, node)),
        }
    }
}

/// A part of the day in local time; one that ends before it begins goes past midnight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DayWindow {
    /// Minutes since midnight, from here.
    pub from_min: u16,
    /// Minutes since midnight, up to but not including here; 1440 = midnight.
    pub to_min: u16,
}

impl DayWindow {
    /// Whether a minute of the day lies in it.
    pub fn contains(self, minute: u16) -> bool {
        if self.from_min <= self.to_min {
            (self.from_min..self.to_min).contains(&minute)
        } else {
            minute >= self.from_min || minute < self.to_min
        }
    }
}

impl std::fmt::Display for DayWindow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = |min: u16| format!("{:02}:{:02}", min / 60, min % 60);
        write!(f, "{}-{}", time(self.from_min), time(self.to_min))
    }
}

/// How long to wait after a try that did not succeed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// `"back-off"`: longer each time.
    BackOff,
    /// A duration: always the same, counted from the beginning of the try.
    Every(Duration),
}

macro_rules! choice {
    ($(#[$doc:meta])* $id:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $id {
            $($(#[$vdoc])* #[doc = concat!("`", $word, "`")] $variant,)+
        }

        impl $id {
            /// Every choice with its word in the configuration.
            pub const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),+];
        }
    };
}

choice! {
    /// Who runs the services.
    Runner { Systemd = "systemd", Shell = "shell" }
}

choice! {
    /// How one generated unit depends on another.
    Dependency { Wants = "Wants", Requires = "Requires", Requisite = "Requisite", BindsTo = "BindsTo" }
}

choice! {
    /// systemd's `FailureAction=` when a demotion fails.
    FailureAction {
        None = "none",
        Reboot = "reboot",
        RebootForce = "reboot-force",
        RebootImmediate = "reboot-immediate",
        Poweroff = "poweroff",
        PoweroffForce = "poweroff-force",
        PoweroffImmediate = "poweroff-immediate",
        Exit = "exit",
        ExitForce = "exit-force",
    }
}

choice! {
    /// When `preferred-nodes` counts.
    PreferredNodesPolicy { Always = "always", StartOnly = "start-only" }
}

choice! {
    /// What to do with the services of a resource that lost quorum.
    OnQuorumLoss { Shutdown = "shutdown", Freeze = "freeze" }
}

choice! {
    /// What to do when the disk of an active resource is detached.
    OnDiskDetach { Ignore = "ignore", FailOver = "fail-over" }
}

choice! {
    /// What to do when a unit of `start` fails while its resource is active here.
    OnServiceFailure { Ignore = "ignore", Restart = "restart", Move = "move" }
}

choice! {
    /// What to do about a connection that stays StandAlone although data did not diverge.
    RepairLinks { Off = "off", Report = "report", Adjust = "adjust" }
}
