//! The tables of the plugins, umh aside.

use reactor_core::settings::promoter::{
    Dependency, FailureAction, OnDiskDetach, OnQuorumLoss, OnServiceFailure, PreferredNodesPolicy, RepairLinks, Runner,
};
use reactor_storage::event::Severity;

use super::{Default, ENTRY, KeySpec, Kind, SYNC, TableSpec, Value};

/// `id`, which drbd-reactor's tables have for no purpose.
pub(super) const ID: KeySpec =
    KeySpec::new("id", Kind::Ignored, Default::Means("nothing"), "Accepted with a warning; has no effect.");

/// What other programs, which generate promoters, remember in them.
const METADATA: KeySpec = KeySpec::new(
    "metadata",
    Kind::Foreign,
    Default::Means("none"),
    "A table of another program, for example of linstor-gateway; not looked at. So is every table with a name that ends in `-metadata`.",
);

/// The words of a choice of the core.
fn words<T>(choices: &'static [(&'static str, T)]) -> Vec<&'static str> {
    choices.iter().map(|(word, _)| *word).collect()
}

pub(crate) static PROMOTER: TableSpec = TableSpec {
    header: "[[promoter]]",
    doc: "Runs services where a DRBD resource can be promoted.",
    keys: &[&[
        KeySpec::new(
            "resources",
            Kind::Named(&PROMOTER_RESOURCE),
            Default::Means("none, which is a warning"),
            "The DRBD resources and what to run on top of them.",
        ),
        ID,
        METADATA,
    ]],
};

pub(crate) static PROMOTER_RESOURCE: TableSpec = TableSpec {
    header: "[promoter.resources.NAME]",
    doc: "One DRBD resource and its services. A resource may be in one promoter only, over all files.",
    keys: &[PROMOTER_SERVICES, PROMOTER_DECISIONS, PROMOTER_OURS],
};

const PROMOTER_SERVICES: &[KeySpec] = &[
    KeySpec::new(
        "start",
        Kind::Entries(&ENTRY),
        Default::Value("[]"),
        "What to start, in order: systemd units, `ocf:VENDOR:AGENT INSTANCE key=value ...` with the quotes of a shell, or tables, which \
         drbd-reactor does not know. With the shell runner: commands. An empty list is a warning.",
    ),
    KeySpec::new(
        "stop",
        Kind::TextList,
        Default::Value("[]"),
        "With the shell runner: commands that stop the services; empty = `start` in reverse order.",
    ),
    KeySpec::new(
        "on-stop-failure",
        Kind::Ignored,
        Default::Means("nothing"),
        "Accepted with a warning; has no effect.",
    ),
    KeySpec::new(
        "stop-services-on-exit",
        Kind::Bool,
        Default::Value("false"),
        "Whether the services are stopped when the daemon ends.",
    ),
    KeySpec::new(
        "runner",
        Kind::Word(|| words(Runner::WORDS)),
        Default::Value("\"systemd\""),
        "Who runs the services: systemd, or a shell where there is no systemd.",
    ),
    KeySpec::new(
        "dependencies-as",
        Kind::Word(|| words(Dependency::WORDS)),
        Default::Value("\"Requires\""),
        "How each unit depends on the one before it.",
    ),
    KeySpec::new(
        "target-as",
        Kind::Word(|| words(Dependency::WORDS)),
        Default::Value("\"Requires\""),
        "How the target of the resource depends on its units.",
    ),
    KeySpec::new(
        "on-drbd-demote-failure",
        Kind::Word(|| words(FailureAction::WORDS)),
        Default::Value("\"none\""),
        "systemd's `FailureAction=` when the resource can't be demoted.",
    ),
    METADATA,
];

const PROMOTER_DECISIONS: &[KeySpec] = &[
    KeySpec::new(
        "sleep-before-promote-factor",
        Kind::Integer { min: 0, max: 1000 },
        Default::Value("1"),
        "All delays before a promotion are multiplied by this.",
    ),
    KeySpec::new(
        "preferred-nodes",
        Kind::TextList,
        Default::Value("[]"),
        "Names of nodes as `uname -n` prints them, best first.",
    ),
    KeySpec::new(
        "preferred-nodes-policy",
        Kind::Word(|| words(PreferredNodesPolicy::WORDS)),
        Default::Value("\"always\""),
        "`always`: a better node takes over when it is ready; `start-only`: the order counts only when services start.",
    ),
    KeySpec::new(
        "secondary-force",
        Kind::Bool,
        Default::Value("true"),
        "Whether `secondary --force` is used to demote.",
    ),
    KeySpec::new(
        "on-quorum-loss",
        Kind::Word(|| words(OnQuorumLoss::WORDS)),
        Default::Value("\"shutdown\""),
        "What to do with the services when quorum is lost.",
    ),
    KeySpec::new(
        "on-disk-detach",
        Kind::Word(|| words(OnDiskDetach::WORDS)),
        Default::Value("\"ignore\""),
        "What to do when the disk below the active resource is detached.",
    ),
    KeySpec::new(
        "fencing-promote-delay",
        Kind::Duration { min_ms: 0, max_ms: 86_400_000, off: false },
        Default::Value("5"),
        "How much longer a node without all its peers waits before it promotes, in fencing mode. Whole seconds.",
    ),
    KeySpec::new(
        "adjust-resource-on-start",
        Kind::Bool,
        Default::Value("true"),
        "Whether `drbdadm adjust` is run when the daemon starts.",
    ),
];

const DAY_MS: u64 = 86_400_000;

/// What drbd-reactor does not have. Where the two modes differ, the default is ours and the doc line says what the other one is.
const PROMOTER_OURS: &[KeySpec] = &[
    KeySpec::new(
        "standby",
        Kind::Entries(&ENTRY),
        Default::Value("[]"),
        "What runs where this node is Secondary, in order; it is stopped before a promotion.",
    )
    .ours(),
    KeySpec::new(
        "always-on",
        Kind::TextList,
        Default::Means("every node"),
        "Nodes on which DRBD is brought up whoever runs the services. On the others it is brought up by a person's start only.",
    )
    .ours(),
    KeySpec::new(
        "sync",
        Kind::Table(&SYNC),
        Default::Means("nothing is sent"),
        "Files that the node with the services sends to the other nodes.",
    )
    .ours(),
    KeySpec::new(
        "freeze-timeout",
        Kind::Duration { min_ms: 1000, max_ms: 7 * DAY_MS, off: false },
        Default::Means("none: frozen until quorum is back"),
        "Services that have been frozen for longer than this are stopped.",
    )
    .ours(),
    KeySpec::new(
        "failback-window",
        Kind::DayWindows,
        Default::Value("[]"),
        "Local times of day in which a preferred node may take back, for example `\"02:00-04:00\"`; empty = at any time. \
         `\"22:00-04:00\"` goes past midnight.",
    )
    .ours(),
    KeySpec::new(
        "on-service-failure",
        Kind::Word(|| words(OnServiceFailure::WORDS)),
        Default::Value("\"restart\""),
        "What to do when a unit of `start` has failed while the resource is active here. In compatibility mode the default is `ignore`.",
    )
    .ours(),
    KeySpec::new(
        "max-failures",
        Kind::Integer { min: 0, max: 100 },
        Default::Value("3"),
        "So many failures within `failure-window`, and nothing is started on this node until `reactorctl clear`; 0 = never. \
         In compatibility mode the default is 0.",
    )
    .ours(),
    KeySpec::new(
        "failure-window",
        Kind::Duration { min_ms: 1000, max_ms: 30 * DAY_MS, off: false },
        Default::Value("600"),
        "How long a failure counts.",
    )
    .ours(),
    KeySpec::new(
        "retry-interval",
        Kind::DurationOr { word: "back-off", min_ms: 1000, max_ms: DAY_MS },
        Default::Value("\"back-off\""),
        "How long to wait after a start that did not succeed: longer each time, or always the same, counted from its beginning. \
         In compatibility mode the default is 20 s.",
    )
    .ours(),
    KeySpec::new(
        "repair-links",
        Kind::Word(|| words(RepairLinks::WORDS)),
        Default::Value("\"adjust\""),
        "What to do about a connection that stays StandAlone although the data did not diverge. In compatibility mode the default is \
         `report`.",
    )
    .ours(),
    KeySpec::new(
        "head-start",
        Kind::Bool,
        Default::Value("true"),
        "Whether nodes with worse data let the better ones go first, by at most 200 ms a rank. In compatibility mode the default is false.",
    )
    .ours(),
];

pub(crate) static PROMETHEUS: TableSpec = TableSpec {
    header: "[[prometheus]]",
    doc: "Serves metrics for Prometheus.",
    keys: &[&[
        KeySpec::new(
            "address",
            Kind::Text,
            Default::Value("\":9942\""),
            "Where to listen: `IP:PORT`, `[IPv6]:PORT`, `:PORT` for all addresses, or `unix:/PATH` for a unix socket, which drbd-reactor \
             does not know.",
        ),
        KeySpec::new(
            "socket-group",
            Kind::Text,
            Default::Means("root only"),
            "The group that may read a unix socket, for example that of a web server in front of it.",
        )
        .ours(),
        KeySpec::new(
            "web-config-file",
            Kind::Path,
            Default::Means("none: no TLS and no password"),
            "A web configuration file in the form of Prometheus and its exporters, which asks for TLS, certificates of clients or passwords.",
        )
        .ours(),
        KeySpec::new(
            "enums",
            Kind::Bool,
            Default::Value("false"),
            "One sample for every possible state, not only for the present one. Much more data.",
        ),
        KeySpec::new(
            "all-families",
            Kind::Bool,
            Default::Value("false"),
            "Also the metrics that drbd-reactor does not have and few need; docs/metrics.md marks them. About a third more data, with \
             `enums` three times as much.",
        )
        .ours(),
        ID,
    ]],
};

pub(crate) static AGENTX: TableSpec = TableSpec {
    header: "[[agentx]]",
    doc: "Serves SNMP through the main agent of the host.",
    keys: &[&[
        KeySpec::new(
            "address",
            Kind::Text,
            Default::Value("\"localhost:705\""),
            "The main agent: `HOST:PORT`, or `unix:/PATH` for a unix socket; `unix:/var/agentx/master` is that of net-snmp.",
        ),
        KeySpec::new(
            "cache-max",
            Kind::Duration { min_ms: 0, max_ms: 86_400_000, off: false },
            Default::Value("60"),
            "How old answers may be. A walk that has begun is shown one picture to its end.",
        ),
        KeySpec::new(
            "agent-timeout",
            Kind::Duration { min_ms: 1000, max_ms: 3_600_000, off: false },
            Default::Value("60"),
            "How long the main agent waits for an answer of ours; more than 255 s can't be told to it.",
        ),
        KeySpec::new(
            "peer-states",
            Kind::Bool,
            Default::Value("true"),
            "Whether the states of peers are served too: columns 24 to 49, and the tables of connections and peers.",
        ),
    ]],
};

pub(crate) static NO_PRIMARY: TableSpec = TableSpec {
    header: "[[no-primary]]",
    doc: "Says which resources this node could promote but which are Primary nowhere, whoever has to promote them.",
    keys: &[&[
        KeySpec::new(
            "resource-name",
            Kind::Condition(Value::Text),
            Default::Means("any"),
            "Which resources, as in umh.",
        ),
        KeySpec::new(
            "after",
            Kind::Duration { min_ms: 1000, max_ms: 30 * DAY_MS, off: false },
            Default::Value("60"),
            "How long it has to be so.",
        ),
        ID,
    ]],
};

pub(crate) static EVENTS: TableSpec = TableSpec {
    header: "[[events]]",
    doc: "Storage events: what the kernel and the storage tools log about disks, and what it means.",
    keys: &[&[
        KeySpec::new(
            "journal",
            Kind::Bool,
            Default::Value("true"),
            "Whether the journal is read, too: the logs of storage tools, and what the kernel logged while the daemon did not run.",
        ),
        KeySpec::new(
            "together",
            Kind::Duration { min_ms: 1000, max_ms: DAY_MS, off: false },
            Default::Value("120"),
            "An event of the same disks so soon after the last one belongs to the same incident.",
        ),
        KeySpec::new(
            "quiet-after",
            Kind::Duration { min_ms: 10_000, max_ms: 30 * DAY_MS, off: false },
            Default::Value("3600"),
            "An incident of which nothing lasts is over when nothing has happened for so long.",
        ),
        KeySpec::new("rule", Kind::Tables(&EVENT_RULE), Default::Means("none"), "Your own rules."),
        KeySpec::new(
            "peripety-conf",
            Kind::Path,
            Default::Means("none"),
            "A file of peripety's, for example `/etc/peripetyd.conf`, whose rules count, too, after yours. It is read when this file is read.",
        ),
        ID,
    ]],
};

pub(crate) static EVENT_RULE: TableSpec = TableSpec {
    header: "[[events.rule]]",
    doc: "A rule of your own: which messages are a storage event, and what they mean. At most 256 in one table.",
    keys: &[&[
        KeySpec::new(
            "regex",
            Kind::Text,
            Default::Required,
            "A regular expression; a group `(?P<kdev>...)` is the device: `sdb`, `8:16`, `2:0:0:1` or a path. Other named groups become fields.",
        ),
        KeySpec::new(
            "name",
            Kind::Text,
            Default::Means("the type of its events"),
            "Name of the rule in events, at most 64 bytes.",
        ),
        KeySpec::new(
            "program",
            Kind::Text,
            Default::Means("the kernel"),
            "Whose messages: a syslog identifier, for example `multipathd`. The program has to run as root.",
        ),
        KeySpec::new(
            "starts-with",
            Kind::Text,
            Default::Means("anything"),
            "What a message has to start with; looked at before `regex`, which makes a rule cheap.",
        ),
        KeySpec::new(
            "event-type",
            Kind::Text,
            Default::Means("`USER_EVENT`"),
            "Type of the event: one of `reactorctl events catalogue`, or a new one of letters, digits, `_`, `-` and `.`.",
        ),
        KeySpec::new(
            "severity",
            Kind::Word(|| Severity::ALL.map(Severity::as_str).to_vec()),
            Default::Means("that of a known type; of a new one as the level of the message says"),
            "How bad it is.",
        ),
        KeySpec::new(
            "sub-system",
            Kind::Text,
            Default::Means("that of a known type; of a new one `other`"),
            "Part of storage: `scsi`, `multipath`, `lvm`, `xfs` and so on. A group `(?P<sub_system>...)` of the expression goes before it.",
        ),
        KeySpec::new(
            "without-device",
            Kind::Bool,
            Default::Value("false"),
            "Whether the messages may name no device: `regex` needs no group `kdev` then.",
        ),
        KeySpec::new(
            "first",
            Kind::Bool,
            Default::Value("false"),
            "Whether the rule is tried before the built-in ones, and not after them.",
        ),
    ]],
};

pub(crate) static DEBUGGER: TableSpec = TableSpec {
    header: "[[debugger]]",
    doc: "Logs every change at level `debug`.",
    keys: &[&[
        KeySpec::new(
            "detail",
            Kind::Word(|| vec!["state", "all"]),
            Default::Value("\"state\""),
            "`state`: changes of state; `all`: statistics too.",
        )
        .ours(),
        ID,
    ]],
};
