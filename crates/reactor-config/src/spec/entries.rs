//! The tables in `start` and `standby` of a promoted resource, and its `sync`.

use reactor_core::settings::promoter::Engine;

use super::{Default, KeySpec, Kind, TableSpec};

const DAY_MS: u64 = 86_400_000;

/// An entry that is more than a text.
pub(crate) static ENTRY: TableSpec = TableSpec {
    header: "an entry of `start` or `standby`",
    doc: "An entry that says more than what is run. It has one of the keys `unit`, `vg`, `fs`, `ip`, `container`, `app` and `parallel`.",
    keys: &[FORMS, PARALLEL, DETAILS, HOW],
};

/// The same within `parallel`.
pub(crate) static ENTRY_IN_PARALLEL: TableSpec = TableSpec {
    header: "an entry of `parallel`",
    doc: "An entry beside others. It has one of the keys `unit`, `vg`, `fs`, `ip`, `container` and `app`.",
    keys: &[FORMS, DETAILS, HOW],
};

/// The keys that say what is run, each with the keys that go with it.
pub(crate) const FORM_KEYS: &[(&str, &[&str])] = &[
    ("unit", &[]),
    ("vg", &[]),
    ("fs", &["device", "type", "check", "options"]),
    ("ip", &["dev"]),
    ("container", &["engine", "image", "config"]),
    ("app", &["in", "engine"]),
    ("parallel", &[]),
];

const FORMS: &[KeySpec] = &[
    KeySpec::new("unit", Kind::Text, Default::Means("one of these keys"), "A systemd unit, or an OCF agent as in a text.").ours(),
    KeySpec::new(
        "vg",
        Kind::Text,
        Default::Means("one of these keys"),
        "A volume group that is activated on one node at a time: `ocf:heartbeat:LVM-activate` with `vg_access_mode=system_id`.",
    )
    .ours(),
    KeySpec::new("fs", Kind::Path, Default::Means("one of these keys"), "A mount point: `ocf:heartbeat:Filesystem`.").ours(),
    KeySpec::new(
        "ip",
        Kind::Text,
        Default::Means("one of these keys"),
        "An address with its prefix length, for example `\"192.0.2.10/24\"`: `ocf:heartbeat:IPaddr2`.",
    )
    .ours(),
    KeySpec::new(
        "container",
        Kind::Text,
        Default::Means("one of these keys"),
        "A container by its name; `engine` says whose.",
    )
    .ours(),
    KeySpec::new(
        "app",
        Kind::Path,
        Default::Means("one of these keys"),
        "A script that is run with `start`, and with `stop`. That of a container has its path there.",
    )
    .ours(),
];

const PARALLEL: &[KeySpec] = &[KeySpec::new(
    "parallel",
    Kind::Entries(&ENTRY_IN_PARALLEL),
    Default::Means("one of these keys"),
    "Entries that are started side by side: the next entry waits for all of them.",
)
.ours()];

const DETAILS: &[KeySpec] = &[
    KeySpec::new("device", Kind::Path, Default::Means("with `fs` it must be there"), "With `fs`: the device that is mounted.").ours(),
    KeySpec::new("type", Kind::Text, Default::Means("with `fs` it must be there"), "With `fs`: the type of the file system.").ours(),
    KeySpec::new(
        "check",
        Kind::Bool,
        Default::Means("the agent decides: file systems without a journal are checked"),
        "With `fs`: whether the file system is checked before it is mounted.",
    )
    .ours(),
    KeySpec::new("options", Kind::Text, Default::Means("none"), "With `fs`: mount options, for example `\"noatime\"`.").ours(),
    KeySpec::new(
        "dev",
        Kind::Text,
        Default::Means("the interface that has the network"),
        "With `ip`: the network interface.",
    )
    .ours(),
    KeySpec::new(
        "engine",
        Kind::Word(|| Engine::WORDS.iter().map(|(word, _)| *word).collect()),
        Default::Means("with `container` it must be there; with `in` it is that of the container's entry"),
        "With `container` and `in`: who runs it. `nspawn` is the unit `systemd-nspawn@NAME.service`; `lxc` and `openvz` are agents.",
    )
    .ours(),
    KeySpec::new(
        "image",
        Kind::Text,
        Default::Means("the container exists"),
        "With `container` and podman or docker: the image of which it is made, by the agent of that name.",
    )
    .ours(),
    KeySpec::new(
        "config",
        Kind::Path,
        Default::Means("`/var/lib/lxc/NAME/config`"),
        "With `container` and lxc: its configuration file.",
    )
    .ours(),
    KeySpec::new(
        "in",
        Kind::Text,
        Default::Means("on the node itself"),
        "With `app`: the container in which the script runs: that of an earlier entry, or one of `engine`.",
    )
    .ours(),
];

const HOW: &[KeySpec] = &[
    KeySpec::new(
        "optional",
        Kind::Bool,
        Default::Value("false"),
        "Whether the others go on without it: whether it fails at a start or later, it is shown, and that is all.",
    )
    .ours(),
    KeySpec::new(
        "monitor",
        Kind::Bool,
        Default::Value("true"),
        "Whether its failure is one of the resource. With `false` it may also be stopped by hand.",
    )
    .ours(),
    KeySpec::new(
        "restart",
        Kind::Integer { min: 0, max: 100 },
        Default::Value("0"),
        "So often within `failure-window` it is started again, where it is, before its failure is one of the resource.",
    )
    .ours(),
    KeySpec::new(
        "restart-delay",
        Kind::Duration { min_ms: 0, max_ms: DAY_MS, off: false },
        Default::Value("1"),
        "How long it stays down before that.",
    )
    .ours(),
    KeySpec::new(
        "timeout-start",
        Kind::Duration { min_ms: 1000, max_ms: DAY_MS, off: false },
        Default::Means("that of the unit or of the agent; 90 s for `app`"),
        "How long its start may take. A mount has one limit for both: the longer one.",
    )
    .ours(),
    KeySpec::new(
        "timeout-stop",
        Kind::Duration { min_ms: 1000, max_ms: DAY_MS, off: false },
        Default::Means("that of the unit or of the agent; 20 s in `standby`"),
        "How long its stop may take.",
    )
    .ours(),
    KeySpec::new(
        "monitor-interval",
        Kind::Duration { min_ms: 5000, max_ms: DAY_MS, off: false },
        Default::Means("30 s"),
        "How often an OCF agent is asked whether its service runs.",
    )
    .ours(),
    KeySpec::new("disabled-on", Kind::TextList, Default::Value("[]"), "Nodes that leave this entry out.").ours(),
];

/// `sync`.
pub(crate) static SYNC: TableSpec = TableSpec {
    header: "`sync` of a resource",
    doc: "Which files go from the node that runs the services to the other nodes: the .res file, the file of this promoter, and those that are named here.",
    keys: &[&[
        KeySpec::new(
            "nodes",
            Kind::TextList,
            Default::Value("[]"),
            "Nodes that may run the services, by the names in `contexts`.",
        )
        .ours(),
        KeySpec::new(
            "drpnodes",
            Kind::TextList,
            Default::Value("[]"),
            "Nodes of disaster recovery, which get the files and never run the services by themselves.",
        )
        .ours(),
        KeySpec::new("files", Kind::TextList, Default::Value("[]"), "More files, by absolute paths.").ours(),
        KeySpec::new(
            "every",
            Kind::Duration { min_ms: 60_000, max_ms: 30 * DAY_MS, off: false },
            Default::Means("never: `reactorctl sync RESOURCE` does it"),
            "How often the node that runs the services sends them.",
        )
        .ours(),
    ]],
};
