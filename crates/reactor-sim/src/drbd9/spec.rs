//! What a simulated cluster is made of: nodes, resources, options and how long things take.

use std::time::Duration;

/// Index of a node in [`ClusterSpec::nodes`]; it is DRBD's node id too.
pub type NodeIx = usize;

/// Index of a resource in [`ClusterSpec::resources`].
pub type ResIx = usize;

/// A cluster to simulate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSpec {
    /// Host names; the index is the DRBD node id of every resource.
    pub nodes: Vec<String>,
    /// Resources, in the order of the configuration.
    pub resources: Vec<ResourceSpec>,
    /// How long things take.
    pub times: Times,
    /// How often the rejoin of a crashed Primary leaves a connection StandAlone, in percent: the chance for the second of its connections, and half
    /// of it for the first. On real clusters it was 10 of 10 rejoins, and 7 of 8 of resources with one volume.
    pub standalone_trap_percent: u32,
}

/// A resource of the configuration (`/etc/drbd.d/NAME.res`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceSpec {
    /// Its name.
    pub name: String,
    /// Its volumes, by number.
    pub volumes: Vec<VolumeSpec>,
    /// What it is on each node: as many as there are nodes.
    pub placement: Vec<Placement>,
    /// TCP port of its connections.
    pub port: u16,
    /// Options.
    pub options: Options,
}

/// A volume of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeSpec {
    /// Its number.
    pub number: u32,
    /// Its minor number, the same on all nodes.
    pub minor: u32,
    /// Its size in KiB.
    pub size_kib: u64,
    /// The device below it on a diskful node.
    pub backing: String,
}

/// What a resource is on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// It has a disk there.
    Diskful,
    /// It is there without a disk: a client, and a tie-breaker for quorum.
    Diskless,
    /// It is not configured there.
    Absent,
}

/// Options of a resource that the model knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `quorum`: majority (`true`) or off.
    pub quorum: bool,
    /// `on-no-quorum`.
    pub on_no_quorum: OnLoss,
    /// `on-no-data-accessible`.
    pub on_no_data: OnLoss,
    /// `on-suspended-primary-outdated force-secondary` (else `disconnect`).
    pub force_secondary: bool,
    /// `auto-promote`.
    pub auto_promote: bool,
    /// `fencing`.
    pub fencing: Fencing,
    /// What the `fence-peer` handler exits with; `None` = no handler is configured.
    pub fence_peer: Option<u8>,
    /// `rr-conflict retry-connect` (else `disconnect`).
    pub retry_connect: bool,
    /// `ping-int`.
    pub ping_int: Duration,
    /// `ping-timeout`.
    pub ping_timeout: Duration,
}

impl Default for Options {
    /// What the recordings of DRBD 9 were made with.
    fn default() -> Self {
        Self {
            quorum: true,
            on_no_quorum: OnLoss::IoError,
            on_no_data: OnLoss::IoError,
            force_secondary: true,
            auto_promote: false,
            fencing: Fencing::DontCare,
            fence_peer: None,
            retry_connect: false,
            ping_int: Duration::from_secs(10),
            ping_timeout: Duration::from_millis(500),
        }
    }
}

/// What happens to I/O when quorum or data are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLoss {
    /// It fails.
    IoError,
    /// It waits.
    SuspendIo,
}

/// The `fencing` option of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fencing {
    /// `dont-care`
    DontCare,
    /// `resource-only`
    ResourceOnly,
    /// `resource-and-stonith`
    ResourceAndStonith,
}

impl Fencing {
    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DontCare => "dont-care",
            Self::ResourceOnly => "resource-only",
            Self::ResourceAndStonith => "resource-and-stonith",
        }
    }
}

/// A time between two bounds, drawn by the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The shortest, in microseconds.
    pub least: u64,
    /// The longest, in microseconds.
    pub most: u64,
}

impl Range {
    /// Between `least` and `most` milliseconds.
    pub const fn ms(least: u64, most: u64) -> Self {
        Self { least: least * 1000, most: most * 1000 }
    }
}

/// How long things take. The defaults are of the order that the recordings show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// A message from one node to another, including the kernel's work for it.
    pub message: Range,
    /// From a command's start to what the kernel does for it.
    pub command: Range,
    /// Between two steps of `up`, `down` and `adjust`.
    pub step: Range,
    /// A lost peer found by a ping that nobody answers: what comes on top of `ping-timeout`.
    pub detect_jitter: Range,
    /// From two ends that can reach each other to an established path.
    pub connect: Range,
    /// From an established path to `Connected`.
    pub handshake: Range,
    /// From a lost connection back to `Connecting`.
    pub reconnect_wait: Range,
    /// Survivors of a lost primary: from `Consistent` to `UpToDate`.
    pub settle: Range,
    /// How long a two-phase commit holds the cluster.
    pub twopc: Range,
    /// How long a loser of a promotion race waits before it is refused.
    pub race_lost: Range,
    /// Exchange of bitmaps.
    pub bitmap: Range,
    /// A resync of the whole volume.
    pub full_sync: Range,
    /// A resync of what changed.
    pub partial_sync: Range,
    /// A helper program.
    pub helper: Range,
    /// A write without trouble.
    pub write: Range,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            message: Range::ms(2, 40),
            command: Range::ms(20, 70),
            step: Range::ms(10, 60),
            detect_jitter: Range::ms(10, 120),
            connect: Range::ms(300, 2_800),
            handshake: Range::ms(40, 200),
            reconnect_wait: Range::ms(60, 200),
            settle: Range::ms(80, 700),
            twopc: Range::ms(20, 60),
            race_lost: Range::ms(400, 900),
            bitmap: Range::ms(50, 200),
            full_sync: Range::ms(3_000, 4_500),
            partial_sync: Range::ms(150, 900),
            helper: Range::ms(20, 120),
            write: Range { least: 400, most: 4_000 },
        }
    }
}

impl ClusterSpec {
    /// A cluster of nodes with these names, without resources.
    pub fn new(nodes: &[&str]) -> Self {
        Self {
            nodes: nodes.iter().map(|name| (*name).to_owned()).collect(),
            resources: Vec::new(),
            times: Times::default(),
            standalone_trap_percent: 0,
        }
    }

    /// Adds a resource with `volumes` volumes, and a disk on every node but those in `diskless`.
    #[must_use]
    pub fn with_resource(mut self, name: &str, volumes: u32, diskless: &[NodeIx], options: Options) -> Self {
        let first = 10 * (u32::try_from(self.resources.len()).unwrap_or(0) + 1);
        let volumes = (0..volumes)
            .map(|number| VolumeSpec {
                number,
                minor: first + number,
                size_kib: 65_496,
                backing: format!("/dev/mapper/{name}-{number}"),
            })
            .collect();
        let placement = (0..self.nodes.len())
            .map(|node| if diskless.contains(&node) { Placement::Diskless } else { Placement::Diskful })
            .collect();
        let port = 7000 + u16::try_from(self.resources.len()).unwrap_or(0);
        self.resources.push(ResourceSpec { name: name.to_owned(), volumes, placement, port, options });
        self
    }
}
