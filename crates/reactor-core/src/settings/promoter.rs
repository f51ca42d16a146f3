//! `[[promoter]]`: read and checked from the first day; the plugin itself comes with its own step.

use std::collections::BTreeMap;

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
    pub start: Vec<StartEntry>,
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
}

impl Default for PromotedResource {
    fn default() -> Self {
        Self {
            start: Vec::new(),
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
        }
    }
}

/// One entry of `start`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartEntry {
    /// A systemd unit; with the shell runner, a shell command.
    Unit(String),
    /// `ocf:VENDOR:AGENT INSTANCE key=value ...`
    Ocf {
        /// For example `heartbeat`.
        vendor: String,
        /// For example `IPaddr2`.
        agent: String,
        /// The name that the entry gives this instance.
        instance: String,
        /// Parameters in order; a word without `=` has an empty value.
        parameters: Vec<(String, String)>,
    },
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
