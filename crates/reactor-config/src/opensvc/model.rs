//! A service in our words.

use std::collections::BTreeMap;
use std::time::Duration;

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) name: String,
    /// As seen from this node.
    pub(super) node: String,
    /// The DRBD resource.
    pub(super) resource: String,
    pub(super) start: Vec<Step>,
    /// What runs where the resource is Secondary.
    pub(super) standby: Vec<Step>,
    pub(super) preferred_nodes: Vec<String>,
    /// Where DRBD is up; `None` is everywhere.
    pub(super) always_on: Option<Vec<String>>,
    pub(super) sync: Option<Sync>,
    /// A word of `on-service-failure`.
    pub(super) on_service_failure: Option<&'static str>,
    /// Whether the steps of a group may start at the same time, by class and name of the subset.
    pub(super) parallel: BTreeMap<(Order, String), bool>,
}

/// Files that are copied to other nodes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Sync {
    pub(super) nodes: Vec<String>,
    pub(super) drpnodes: Vec<String>,
    pub(super) files: Vec<String>,
    pub(super) every: Option<Duration>,
}

/// When a step has its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    Disk,
    Fs,
    Container,
    App,
    /// Last here, first in OpenSVC.
    Ip,
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// OpenSVC's name of it, such as `fs#1`.
    pub(super) rid: String,
    pub(super) order: Order,
    /// A group of its class.
    pub(super) subset: Option<String>,
    /// The launcher's number in 1.x; otherwise 0.
    pub(super) sequence: u32,
    pub(super) entry: Entry,
    pub(super) attributes: Attributes,
    /// Nodes on which it runs also while the service runs elsewhere.
    pub(super) standby_on: Vec<String>,
    /// Why it stands in the list as a comment only.
    pub(super) off: Option<String>,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Vg {
        vg: String,
    },
    Fs {
        directory: String,
        device: String,
        kind: String,
        options: Option<String>,
        check: bool,
    },
    Ip {
        address: String,
        dev: Option<String>,
    },
    Container {
        name: String,
        engine: &'static str,
        image: Option<String>,
        config: Option<String>,
    },
    App {
        script: String,
        within: Option<Within>,
    },
    /// A unit that is written beside the configuration.
    Unit {
        name: String,
        text: String,
    },
    /// An OCF agent, as one text.
    Ocf {
        agent: &'static str,
        instance: String,
        parameters: Vec<(&'static str, String)>,
    },
    /// What it would be, as far as it is known; it stands in a comment.
    Hint(String),
}

/// Parameters of the agents of podman and docker, as the short form has them.
pub(super) fn made_of(image: &str, name: String) -> Vec<(&'static str, String)> {
    vec![("name", name), ("image", image.to_owned()), ("reuse", "true".to_owned())]
}

/// The container of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Within {
    pub(super) container: String,
    /// If no short form before says whose it is.
    pub(super) engine: Option<&'static str>,
}

/// What entries have beside that.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Attributes {
    pub(super) optional: bool,
    /// `monitor = false`.
    pub(super) is_not_watched: bool,
    pub(super) restart: Option<u32>,
    pub(super) restart_delay: Option<Duration>,
    pub(super) timeout_start: Option<Duration>,
    pub(super) timeout_stop: Option<Duration>,
    pub(super) disabled_on: Vec<String>,
}

impl Entry {
    /// What units and `--upto` call it. Entries of one resource must differ by it.
    pub(super) fn name(&self) -> Option<String> {
        let dashed = |text: &str| {
            let text = text.trim_matches('/');
            text.chars()
                .map(|c| match c {
                    '/' => '_',
                    c if c.is_ascii_alphanumeric() || "._".contains(c) => c,
                    _ => '-',
                })
                .collect::<String>()
        };
        match self {
            Self::Vg { vg } => Some(format!("vg_{}", dashed(vg))),
            Self::Fs { directory, .. } => Some(format!("fs_{}", dashed(directory))),
            Self::Ip { address, .. } => Some(format!("ip_{}", dashed(address.split('/').next().unwrap_or_default()))),
            Self::Container { name, .. } => Some(format!("ct_{}", dashed(name))),
            Self::App { script, .. } => Some(format!("app_{}", dashed(script.rsplit('/').next().unwrap_or_default()))),
            Self::Unit { name, .. } => Some(name.clone()),
            Self::Ocf { instance, .. } => Some(instance.clone()),
            Self::Hint(_) => None,
        }
    }

    /// The same as a unit of its own, for `standby`: an entry is in one of the two lists only. `None` if there is no such unit.
    pub(super) fn twin(&self) -> Option<Self> {
        let instance = || self.name().map(|name| format!("{name}_standby"));
        match self {
            Self::Container { name, engine, image, config } => {
                let name = name.clone();
                let (agent, parameters) = match (*engine, image) {
                    ("podman", Some(image)) => ("ocf:heartbeat:podman", made_of(image, name)),
                    ("docker", Some(image)) => ("ocf:heartbeat:docker", made_of(image, name)),
                    ("lxc", _) => {
                        let config = config.clone().unwrap_or_else(|| format!("/var/lib/lxc/{name}/config"));
                        ("ocf:heartbeat:lxc", vec![("container", name), ("config", config)])
                    }
                    ("openvz", _) => ("ocf:heartbeat:ManageVE", vec![("veid", name)]),
                    _ => return None,
                };
                Some(Self::Ocf { agent, instance: instance()?, parameters })
            }
            Self::Unit { name, text } => Some(Self::Unit {
                name: format!("{}-standby.service", name.trim_end_matches(".service")),
                text: text.clone(),
            }),
            Self::Ocf { agent, parameters, .. } => {
                Some(Self::Ocf { agent, instance: instance()?, parameters: parameters.clone() })
            }
            Self::Vg { .. } | Self::Fs { .. } | Self::Ip { .. } | Self::App { .. } | Self::Hint(_) => None,
        }
    }

    /// Where it is mounted.
    pub(super) fn directory(&self) -> Option<&str> {
        match self {
            Self::Fs { directory, .. } => Some(directory),
            Self::Ocf { parameters, .. } => {
                parameters.iter().find(|(name, _)| *name == "directory").map(|(_, value)| value.as_str())
            }
            Self::Vg { .. }
            | Self::Ip { .. }
            | Self::Container { .. }
            | Self::App { .. }
            | Self::Unit { .. }
            | Self::Hint(_) => None,
        }
    }
}
