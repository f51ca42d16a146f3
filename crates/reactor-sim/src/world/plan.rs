//! What a seed makes: the cluster, the settings, and how much of everything goes wrong.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reactor_core::ids::ResourceName;
use reactor_core::settings::promoter::{
    Dependency, OnDiskDetach, OnQuorumLoss, OnServiceFailure, PreferredNodesPolicy, PromotedResource, StartEntry,
};
use reactor_core::settings::{
    EventsSettings, Mode, NoPrimarySettings, PluginEntry, PluginSettings, PromoterSettings, Settings,
};

use crate::drbd9::{ClusterSpec, Fencing, OnLoss, Options};
use crate::rng::Rng;

use super::guard::Guard;

/// Nodes of a world.
pub const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// What a seed makes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// DRBD.
    pub cluster: ClusterSpec,
    /// The configuration, the same on all nodes.
    pub settings: Arc<Settings>,
    /// What is shown of it.
    pub summary: Vec<String>,
    /// How long faults go on.
    pub hour: Duration,
    /// One fault in this time, on average.
    pub every: Duration,
    /// How long peace may take to come to rest.
    pub bound: Duration,
    /// Also what goes wrong in a program or a disk more than in a cluster: see `FAULTS_OF_HARD` in `faults.rs`. One seed in four; the others
    /// are the worlds that they were before there were these faults.
    pub hard: bool,
    /// One of the promoter's machines panics now and then.
    pub stumbles: bool,
    /// The `drbd@` targets are enabled: at a boot systemd adjusts, and the daemon does, too.
    pub enables: bool,
    /// What keeps two nodes from writing r1 at once.
    pub guard: Guard,
    /// Daemons are asked to end, and some resources have `stop-services-on-exit`. One seed in four.
    pub exits: bool,
    /// Operators stop resources, leave them to other nodes, and drain nodes. One seed in eight; half of them have daemons that are
    /// asked to end, too.
    pub acts: bool,
    /// `[[no-primary]]` and the kernel's uevents stand beside the promoter. One seed in four.
    pub others: bool,
    /// The kernel logs trouble with disks, and `[[events]]` makes incidents of it. One seed in eight, of those with others beside the promoter.
    pub storage: bool,
    /// Entries say how they are looked after, and Secondaries run services. Three seeds in 13.
    pub stacks: bool,
    /// People are told, by two `[[notify]]` tables. One seed in 16, of those with storage events.
    pub notify: bool,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x0077_6f72_6c64);
        let acts = matches!(seed % 16, 4 | 10);
        let (hard, exits, others) = (seed % 4 == 1, seed % 4 == 2, seed % 4 == 3);
        let mode = if rng.below(3) == 0 { Mode::DrbdReactor } else { Mode::Native };
        let stacks = super::stacks::has_stacks(seed);
        let (guard, mode) = (Guard::of(seed), Guard::mode(seed, mode));
        let mut cluster = ClusterSpec::new(&NODES);
        // It is the rule: 10 of 10 rejoins of resources with two volumes, 7 of 8 with one (80 gives 88 of 100).
        cluster.standalone_trap_percent = [0, 80, 80, 100][below(&mut rng, 4)];
        let ping = Duration::from_secs([1, 2, 10][below(&mut rng, 3)]);
        let mut resources = BTreeMap::new();
        let mut summary = vec![format!(
            "seed {seed}: {} defaults, ping-int {} s, StandAlone trap {} %",
            if mode == Mode::Native { "our" } else { "drbd-reactor's" },
            ping.as_secs(),
            cluster.standalone_trap_percent
        )];
        for name in ["r0", "r1"] {
            let volumes = 1 + u32::from(rng.below(3) == 0);
            let diskless: &[usize] = if rng.below(4) == 0 { &[2] } else { &[] };
            let (mut settings, mut options, words) = resource(&mut rng, name, mode, ping);
            let guard = if name == "r1" { guard } else { Guard::Drbd };
            guard.change(&mut options);
            // Without quorum a tie-breaker makes no sense.
            let diskless = if options.quorum { diskless } else { &[] };
            cluster = cluster.with_resource(name, volumes, diskless, options);
            let disks = if diskless.is_empty() { "three disks" } else { "n3 diskless" };
            summary.push(format!("{name}: {volumes} volume(s), {disks}, {words}"));
            summary.extend(guard.place(&mut cluster));
            if (hard || acts) && name == "r1" && seed % 3 == 1 {
                super::shell::with_shell(name, &mut settings);
                summary.push("r1: runner shell".to_owned());
            }
            if stacks {
                summary.extend(super::stacks::add(seed, name, &mut settings));
            }
            let place = u32::from(name == "r1");
            if exits && (seed / 4) >> place & 1 == 1 {
                settings.stop_services_on_exit = true;
                summary.push(format!("{name}: stop-services-on-exit"));
            }
            resources.insert(ResourceName::new(name), settings);
        }
        let mut settings = settings(mode, resources);
        if others {
            summary.push("no-primary, uevents".to_owned());
            let watched = NoPrimarySettings { resource: None, after: super::others::AFTER };
            let file = PathBuf::from("no-primary.toml");
            settings.plugins.push(PluginEntry { file, line: 1, settings: PluginSettings::NoPrimary(watched) });
        }
        let storage = seed % 8 == 7;
        if storage {
            summary.push("storage events".to_owned());
            let events = EventsSettings { quiet_after: Duration::from_secs(300), ..EventsSettings::default() };
            let file = PathBuf::from("events.toml");
            settings.plugins.push(PluginEntry { file, line: 1, settings: PluginSettings::Events(events) });
        }
        let notify = seed % 16 == 15;
        if notify {
            summary.push("people are told".to_owned());
            settings.plugins.extend(super::people::tables());
        }
        Self {
            seed,
            cluster,
            settings: Arc::new(settings),
            summary,
            hour: Duration::from_secs(3600),
            every: Duration::from_secs(60),
            bound: Duration::from_secs(900),
            hard,
            stumbles: seed % 8 == 1 || seed % 64 == 4,
            enables: seed % 8 == 5,
            guard,
            exits,
            acts,
            others,
            stacks,
            storage,
            notify,
        }
    }

    /// The settings of a resource.
    pub fn resource(&self, name: &str) -> Option<&PromotedResource> {
        promoted(&self.settings, name)
    }
}

/// The settings of a resource.
pub fn promoted<'a>(settings: &'a Settings, name: &str) -> Option<&'a PromotedResource> {
    settings.plugins.iter().find_map(|entry| match &entry.settings {
        PluginSettings::Promoter(promoter) => promoter.resources.get(name),
        _ => None,
    })
}

/// A resource's part: the promoter's settings, DRBD's options, and both in words.
fn resource(rng: &mut Rng, name: &str, mode: Mode, ping_int: Duration) -> (PromotedResource, Options, String) {
    let fencing = rng.below(8) == 0;
    let freeze = !fencing && rng.below(3) == 0;
    let mut options = Options { ping_int, ..Options::default() };
    let mut settings = PromotedResource::with_defaults(mode);
    let mut words = Vec::new();
    if fencing {
        options.quorum = false;
        options.fencing = Fencing::ResourceAndStonith;
        options.fence_peer = Some(7);
        words.push("fencing".to_owned());
    } else {
        words.push(format!("quorum {}", if freeze { "freeze" } else { "shutdown" }));
    }
    if freeze {
        settings.on_quorum_loss = OnQuorumLoss::Freeze;
        options.on_no_quorum = OnLoss::SuspendIo;
        options.on_no_data = OnLoss::SuspendIo;
        options.retry_connect = true;
        if rng.below(2) == 0 {
            settings.freeze_timeout = Some(Duration::from_secs(20 + rng.below(40)));
            words.push("freeze-timeout".to_owned());
        }
    }
    if rng.below(2) == 0 {
        let order = below(rng, 3);
        settings.preferred_nodes = (0..1 + below(rng, 3)).map(|n| format!("n{}", (order + n) % 3 + 1)).collect();
        words.push(format!("preferred-nodes {}", settings.preferred_nodes.join(" ")));
        if rng.below(3) == 0 {
            settings.preferred_nodes_policy = PreferredNodesPolicy::StartOnly;
            words.push("start-only".to_owned());
        }
    }
    if rng.below(3) == 0 {
        settings.on_disk_detach = OnDiskDetach::FailOver;
        words.push("on-disk-detach fail-over".to_owned());
    }
    settings.on_service_failure =
        [OnServiceFailure::Ignore, OnServiceFailure::Restart, OnServiceFailure::Move][below(rng, 3)];
    words.push(format!("on-service-failure {:?}", settings.on_service_failure).to_lowercase());
    if rng.below(6) == 0 {
        settings.target_as = Dependency::BindsTo;
        settings.dependencies_as = Dependency::BindsTo;
        words.push("BindsTo".to_owned());
    }
    settings.adjust_resource_on_start = rng.below(5) > 0;
    let units = match rng.below(3) {
        0 => vec![format!("app-{name}.service")],
        1 => vec![format!("mnt-{name}.mount"), format!("app-{name}.service")],
        _ => vec![format!("mnt-{name}.mount"), format!("app-{name}.service"), format!("ip-{name}.service")],
    };
    words.push(format!("start {}", units.join(" ")));
    settings.start = units.into_iter().map(|unit| StartEntry::Unit(unit).into()).collect();
    (settings, options, words.join(", "))
}

fn below(rng: &mut Rng, limit: u64) -> usize {
    usize::try_from(rng.below(limit)).unwrap_or(0)
}

/// All settings of a daemon with one promoter.
pub fn settings(mode: Mode, resources: BTreeMap<ResourceName, PromotedResource>) -> Settings {
    Settings::of_plugins(
        mode,
        vec![PluginEntry {
            file: PathBuf::from("promoter.toml"),
            line: 1,
            settings: PluginSettings::Promoter(PromoterSettings { resources }),
        }],
    )
}
