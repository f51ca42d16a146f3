//! One entry of `start` or `standby`: what is run, and how it is looked after.

use std::time::Duration;

use crate::names;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is run.
    pub what: StartEntry,
    /// How it is looked after.
    pub how: How,
    /// Entries with the same number stand side by side in one `parallel`: neither waits for the other.
    pub group: Option<u32>,
}

impl From<StartEntry> for Entry {
    fn from(what: StartEntry) -> Self {
        Self { what, how: How::default(), group: None }
    }
}

impl Entry {
    /// What people call it: the instance of an agent or of a command, or the unit.
    pub fn name(&self) -> &str {
        match &self.what {
            StartEntry::Unit(unit) => unit,
            StartEntry::Ocf { instance, .. } | StartEntry::Command { instance, .. } => instance,
        }
    }

    /// Whether the resource needs it: what is optional, or not monitored, may be down while the others run.
    pub fn is_needed(&self) -> bool {
        !self.how.optional && self.how.monitor
    }

    /// The volume group of LVM that it activates, if it is about one: `LVM-activate`, as `{ vg = ... }` has it, or the older agent `LVM`.
    pub fn volume_group(&self) -> Option<&str> {
        let StartEntry::Ocf { vendor, agent, parameters, .. } = &self.what else { return None };
        let wanted = match (vendor.as_str(), agent.as_str()) {
            ("heartbeat", "LVM-activate") => "vgname",
            ("heartbeat", "LVM") => "volgrpname",
            _ => return None,
        };
        let (_, group) = parameters.iter().find(|(name, _)| name == wanted)?;
        Some(group.as_str()).filter(|group| !group.is_empty())
    }

    /// Whether this node leaves it out.
    pub fn is_disabled_on(&self, node: &str) -> bool {
        self.how.disabled_on.iter().any(|disabled| names::same(disabled, node))
    }
}

/// What an entry says besides what is run. The default is that of an entry that is only a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct How {
    /// `optional`: it counts neither for a start nor for a failure. Default false.
    pub optional: bool,
    /// `monitor`: whether its failure is one of the resource. Default true.
    pub monitor: bool,
    /// `restart`: so often within `failure-window` it is started again before that counts as a failure of the resource. Default 0.
    pub restart: u32,
    /// `restart-delay`: how long it stays down before that. Default 1 s.
    pub restart_delay: Duration,
    /// `timeout-start`. Default that of the unit, or of the agent.
    pub timeout_start: Option<Duration>,
    /// `timeout-stop`. Default that of the unit, or of the agent.
    pub timeout_stop: Option<Duration>,
    /// `monitor-interval` of an OCF agent. Default 30 s.
    pub monitor_interval: Option<Duration>,
    /// `disabled-on`: nodes that leave it out.
    pub disabled_on: Vec<String>,
}

impl Default for How {
    fn default() -> Self {
        Self {
            optional: false,
            monitor: true,
            restart: 0,
            restart_delay: Duration::from_secs(1),
            timeout_start: None,
            timeout_stop: None,
            monitor_interval: None,
            disabled_on: Vec::new(),
        }
    }
}

/// What an entry runs.
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
    /// Commands, for which the promoter writes a unit.
    Command {
        /// The name of this instance.
        instance: String,
        /// Which.
        command: Command,
    },
}

/// What a unit of ours runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A container that exists.
    Container {
        /// Its name.
        name: String,
        /// Who runs it: podman or docker; the others have units and agents.
        engine: Engine,
    },
    /// A script that is called with `start` and `stop`.
    App {
        /// Its path.
        script: String,
        /// The container in which it runs, and who runs that; `None` = on this node.
        within: Option<(String, Engine)>,
    },
}

/// Who runs a container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// `podman`
    Podman,
    /// `docker`
    Docker,
    /// `lxc`
    Lxc,
    /// `nspawn`: systemd-nspawn.
    Nspawn,
    /// `openvz`
    Openvz,
}

impl Engine {
    /// Every choice with its word in the configuration.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("podman", Self::Podman),
        ("docker", Self::Docker),
        ("lxc", Self::Lxc),
        ("nspawn", Self::Nspawn),
        ("openvz", Self::Openvz),
    ];

    /// The beginning of a command that runs another one within a container, waits for it, and has its exit code.
    pub fn exec(self, container: &str) -> Vec<String> {
        let words: &[&str] = match self {
            Self::Podman => &["podman", "exec", container],
            Self::Docker => &["docker", "exec", container],
            Self::Lxc => &["lxc-attach", "--name", container, "--"],
            // `machinectl shell` does not hand on the exit code.
            Self::Nspawn => {
                return ["systemd-run", "--quiet", "--wait", "--pipe", "--collect"]
                    .map(str::to_owned)
                    .into_iter()
                    .chain([format!("--machine={container}"), "--".to_owned()])
                    .collect();
            }
            // `exec` hands on no exit code, `exec2` does.
            Self::Openvz => &["vzctl", "--quiet", "exec2", container],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }
}
