//! The settings that the core and the daemon run with: validated, defaults filled in. `reactor-config` makes them from files.
//!
//! Equality matters: on a reload a plugin whose settings are equal is kept and notices nothing.

pub mod entry;
pub mod notify;
pub mod promoter;
pub mod umh;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

pub use notify::NotifySettings;
pub use promoter::PromoterSettings;
use reactor_storage::catalogue::RawUserRule;
pub use umh::UmhSettings;

/// Whose defaults apply where drbd-reactor's and ours differ (the table is in `docs/compatibility.md`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// Our own defaults.
    #[default]
    Native,
    /// drbd-reactor's: called by its name, or with `--compat drbd-reactor`.
    DrbdReactor,
}

/// All settings of one daemon.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whose defaults they were filled with.
    pub mode: Mode,
    /// `[daemon]`.
    pub daemon: DaemonSettings,
    /// `snippets`: folder with more configuration files.
    pub snippets: Option<PathBuf>,
    /// `snippets-monitoring-interval`: how often to look for files newer than what runs; `None` = never.
    pub snippets_monitoring_interval: Option<Duration>,
    /// `statistics-poll-interval`; `None` = never.
    pub statistics_poll_interval: Option<Duration>,
    /// `[[log]]`; one logger at `info` to standard error or the journal when none is given.
    pub log: Vec<LogSettings>,
    /// `[recorder]`; `None` = off.
    pub recorder: Option<RecorderSettings>,
    /// `[history]`.
    pub history: HistorySettings,
    /// Every plugin table of every file, in the order of the files.
    pub plugins: Vec<PluginEntry>,
}

impl Settings {
    /// These plugins and nothing beside them, no poll, log file or recorder: for a program that embeds the core.
    pub fn of_plugins(mode: Mode, plugins: Vec<PluginEntry>) -> Self {
        Self {
            mode,
            daemon: DaemonSettings::default(),
            snippets: None,
            snippets_monitoring_interval: None,
            statistics_poll_interval: None,
            log: Vec::new(),
            recorder: None,
            history: HistorySettings::default(),
            plugins,
        }
    }

    /// The plugins as a node has them: an entry may be left out there, and DRBD not be always on.
    pub fn plugins_on(&self, node: &str) -> Cow<'_, [PluginEntry]> {
        let differs = |entry: &PluginEntry| matches!(&entry.settings, PluginSettings::Promoter(promoter) if promoter.differs_by_node());
        if !self.plugins.iter().any(differs) {
            return Cow::Borrowed(&self.plugins);
        }
        let mut plugins = self.plugins.clone();
        for entry in &mut plugins {
            if let PluginSettings::Promoter(promoter) = &mut entry.settings {
                promoter.on_node(node);
            }
        }
        Cow::Owned(plugins)
    }

    /// The names of devices that `[[notify]]` and `[[umh.event]]` wait for. An event has only some of the names of its devices: these have to be
    /// looked for by whoever knows all of them.
    pub fn device_names(&self) -> BTreeSet<String> {
        let of = |plugin: &PluginSettings| -> Vec<String> {
            match plugin {
                PluginSettings::Notify(notify) => notify.filter.devices.clone(),
                PluginSettings::Umh(umh) => {
                    let events = umh.rules.iter().filter_map(|rule| match &rule.when {
                        umh::When::Event(want) => Some(&want.devices),
                        _ => None,
                    });
                    events.flatten().cloned().collect()
                }
                _ => Vec::new(),
            }
        };
        self.plugins.iter().flat_map(|entry| of(&entry.settings)).collect()
    }
}

/// `[daemon]`: where this daemon lives, so that several can run on one machine, also as an ordinary user.
#[derive(Clone, Debug, PartialEq)]
pub struct DaemonSettings {
    /// Name of this node as `preferred-nodes` and the status print it; `None` = `uname -n`.
    pub node_name: Option<String>,
    /// Control socket and what does not outlive a boot. Default `/run/storage-reactor`.
    pub runtime_dir: PathBuf,
    /// What outlives a boot. Default `/var/lib/storage-reactor`.
    pub state_dir: PathBuf,
    /// Where unit files are generated. Default `/run/systemd/system`.
    pub unit_dir: PathBuf,
    /// The program. Default `drbdsetup`, looked up in the daemon's own `PATH`.
    pub drbdsetup: PathBuf,
    /// The program. Default `drbdadm`, looked up in the daemon's own `PATH`.
    pub drbdadm: PathBuf,
    /// The bus on which systemd is spoken to.
    pub bus: Bus,
    /// `uevents`: whether the kernel's uevents are counted. Default false.
    pub uevents: bool,
    /// `kernel-log`: whether the kernel's log is read for what DRBD says of a split brain. Default true.
    pub kernel_log: bool,
    /// `operator-group`: whose members may steer services over the control socket; `None` = nobody but root.
    pub operator_group: Option<String>,
}

impl Default for DaemonSettings {
    fn default() -> Self {
        Self {
            node_name: None,
            runtime_dir: PathBuf::from("/run/storage-reactor"),
            state_dir: PathBuf::from("/var/lib/storage-reactor"),
            unit_dir: PathBuf::from("/run/systemd/system"),
            drbdsetup: PathBuf::from("drbdsetup"),
            drbdadm: PathBuf::from("drbdadm"),
            bus: Bus::default(),
            uevents: false,
            kernel_log: true,
            operator_group: None,
        }
    }
}

/// `[daemon] bus`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Bus {
    /// `"system"`.
    #[default]
    System,
    /// `"session"`: the user's systemd.
    Session,
    /// Any other D-Bus address, for example `unix:path=/run/test/bus`.
    Address(String),
}

/// One `[[log]]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// What is written.
    pub level: LogLevel,
    /// Where to; `None` = the journal if standard error is connected to it, else standard error.
    pub file: Option<PathBuf>,
}

/// `level` of a logger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// A person must act.
    Error,
    /// Degraded, but handled.
    Warn,
    /// State changed.
    #[default]
    Info,
    /// Why not.
    Debug,
    /// Every line.
    Trace,
}

/// `[recorder]`: a ring of files that hold every input of the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecorderSettings {
    /// `dir`. Default: `recordings` in the state folder.
    pub dir: Option<PathBuf>,
    /// `max-file-size`, bytes. Default 16 MiB.
    pub max_file_bytes: u64,
    /// `max-files`: how many are kept, the one being written included. Default 8.
    pub max_files: u32,
}

/// `[history]`: what is written down of what was decided. Always on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistorySettings {
    /// `max-age`: what is older is deleted. Default 400 days.
    pub max_age: Duration,
    /// `max-size`, bytes: the oldest is deleted before the file gets larger. Default 256 MiB.
    pub max_bytes: u64,
}

impl Default for HistorySettings {
    fn default() -> Self {
        Self { max_age: Duration::from_secs(400 * 86_400), max_bytes: 256 << 20 }
    }
}

/// One plugin table and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginEntry {
    /// The file.
    pub file: PathBuf,
    /// Line of the table's header, from 1.
    pub line: u32,
    /// What it says.
    pub settings: PluginSettings,
}

/// Settings of one plugin.
#[derive(Clone, Debug, PartialEq)]
pub enum PluginSettings {
    /// `[[promoter]]`.
    Promoter(PromoterSettings),
    /// `[[umh]]`.
    Umh(UmhSettings),
    /// `[[prometheus]]`.
    Prometheus(PrometheusSettings),
    /// `[[agentx]]`.
    Agentx(AgentxSettings),
    /// `[[debugger]]`.
    Debugger(DebuggerSettings),
    /// `[[no-primary]]`.
    NoPrimary(NoPrimarySettings),
    /// `[[events]]`.
    Events(EventsSettings),
    /// `[[notify]]`.
    Notify(Box<NotifySettings>),
}

impl PluginSettings {
    /// Name of the plugin as the configuration spells it.
    pub fn kind(&self) -> PluginKind {
        match self {
            Self::Promoter(_) => PluginKind::Promoter,
            Self::Umh(_) => PluginKind::Umh,
            Self::Prometheus(_) => PluginKind::Prometheus,
            Self::Agentx(_) => PluginKind::Agentx,
            Self::Debugger(_) => PluginKind::Debugger,
            Self::NoPrimary(_) => PluginKind::NoPrimary,
            Self::Events(_) => PluginKind::Events,
            Self::Notify(_) => PluginKind::Notify,
        }
    }
}

/// The plugins that there are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PluginKind {
    /// High availability.
    Promoter,
    /// User-mode helpers.
    Umh,
    /// Metrics.
    Prometheus,
    /// SNMP.
    Agentx,
    /// Prints changes.
    Debugger,
    /// Says what is Primary nowhere.
    NoPrimary,
    /// Storage events and incidents.
    Events,
    /// Tells people.
    Notify,
}

impl PluginKind {
    /// Name as the configuration spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promoter => "promoter",
            Self::Umh => "umh",
            Self::Prometheus => "prometheus",
            Self::Agentx => "agentx",
            Self::Debugger => "debugger",
            Self::NoPrimary => "no-primary",
            Self::Events => "events",
            Self::Notify => "notify",
        }
    }
}

/// `[[prometheus]]`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PrometheusSettings {
    /// `address` as written; the addresses to listen on follow from it.
    pub address: ListenAddress,
    /// `socket-group`: the group that may read a unix socket, beside root.
    pub socket_group: Option<String>,
    /// `web-config-file`: TLS and passwords, in the form of Prometheus.
    pub web_config_file: Option<PathBuf>,
    /// `enums`: one sample per possible state for every state.
    pub enums: bool,
    /// `all-families`: also the metrics that drbd-reactor does not have and few need.
    pub all_families: bool,
}

/// Where metrics can be read. By default on port 9942 of all addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// `IP:PORT`, `[v6]:PORT`, or `:PORT` for all addresses of both families.
    Tcp {
        /// `None` = all addresses, `::` first, then `0.0.0.0`.
        ip: Option<std::net::IpAddr>,
        /// TCP port; 0 = a free one.
        port: u16,
    },
    /// `unix:/PATH` or `/PATH`: a unix socket.
    Unix(PathBuf),
}

impl Default for ListenAddress {
    fn default() -> Self {
        Self::Tcp { ip: None, port: 9942 }
    }
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { ip: Some(ip), port } => std::net::SocketAddr::new(*ip, *port).fmt(f),
            Self::Tcp { ip: None, port } => write!(f, ":{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `[[agentx]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentxSettings {
    /// `address` of the main agent: `HOST:PORT`, `unix:/PATH` or `/PATH`. Default `localhost:705`.
    pub address: String,
    /// `cache-max`. Default 60 s.
    pub cache_max: Duration,
    /// `agent-timeout`. Default 60 s.
    pub agent_timeout: Duration,
    /// `peer-states`. Default true.
    pub peer_states: bool,
}

/// `[[debugger]]`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DebuggerSettings {
    /// `detail`.
    pub detail: Detail,
}

/// `[[no-primary]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct NoPrimarySettings {
    /// `resource-name`: which resources; `None` = all.
    pub resource: umh::Condition<String>,
    /// `after`. Default one minute.
    pub after: Duration,
}

/// `[[events]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct EventsSettings {
    /// `journal`: whether the journal is read, too: the logs of storage tools, and what the kernel logged while nobody read. Default true.
    pub journal: bool,
    /// `together`: an event of the same stack so soon after the last one is of the same cause. Default two minutes.
    pub together: Duration,
    /// `quiet-after`: an incident in which nothing lasts is over when nothing has happened for so long. Default one hour.
    pub quiet_after: Duration,
    /// `[[events.rule]]`: rules of the user's, in their order. Each can be compiled.
    pub rules: Vec<RawUserRule>,
    /// `peripety-conf`: a file of peripety's whose rules count, too.
    pub peripety_conf: Option<PathBuf>,
    /// The rules of that file, as they were when the configuration was read. Each can be compiled.
    pub peripety_rules: Vec<RawUserRule>,
}

impl EventsSettings {
    /// All rules of the user's, in the order in which they are tried.
    pub fn user_rules(&self) -> impl Iterator<Item = &RawUserRule> {
        self.rules.iter().chain(&self.peripety_rules)
    }
}

impl Default for EventsSettings {
    fn default() -> Self {
        Self {
            journal: true,
            together: Duration::from_secs(120),
            quiet_after: Duration::from_secs(3600),
            rules: Vec::new(),
            peripety_conf: None,
            peripety_rules: Vec::new(),
        }
    }
}

/// Which changes a follower wants to hear of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Detail {
    /// State changes only.
    #[default]
    State,
    /// Statistics too.
    All,
}
