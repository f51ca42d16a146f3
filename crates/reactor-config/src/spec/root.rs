//! The top of the files, and the tables that only the main file has.

use super::notify::NOTIFY;
use super::plugins::{AGENTX, DEBUGGER, EVENTS, NO_PRIMARY, PROMETHEUS, PROMOTER};
use super::umh::UMH;
use super::{Default, KeySpec, Kind, TableSpec};

/// The main file.
pub(crate) static MAIN: TableSpec = TableSpec {
    header: "(top of the main file)",
    doc: "Keys before the first table header of the main file.",
    keys: &[TOP_KEYS, MAIN_TABLES, PLUGIN_TABLES],
};

/// A snippet: plugins only.
pub(crate) static SNIPPET: TableSpec =
    TableSpec { header: "(top of a snippet)", doc: "A snippet holds plugin tables only.", keys: &[PLUGIN_TABLES] };

const TOP_KEYS: &[KeySpec] = &[
    KeySpec::new(
        "snippets",
        Kind::Path,
        Default::Means("no snippets"),
        "Folder with more configuration files: every regular file in it whose name ends in `.toml`, sorted by path. \
         A folder that does not exist is a warning.",
    ),
    KeySpec::new(
        "snippets-monitoring-interval",
        Kind::Duration { min_ms: 30_000, max_ms: 604_800_000, off: true },
        Default::Value("120"),
        "How often to look whether files on disk differ from what runs; 0 = never. It tells, and reloads only what an active `storage-reactor-reload.path` or `drbd-reactor-reload.path` has missed (with a promoter).",
    ),
    KeySpec::new(
        "statistics-poll-interval",
        Kind::Duration { min_ms: 1000, max_ms: 86_400_000, off: true },
        Default::Value("60"),
        "How often DRBD is asked for statistics; 0 = never. State changes arrive at once, whatever this says.",
    ),
];

const MAIN_TABLES: &[KeySpec] = &[
    KeySpec::new("log", Kind::Tables(&LOG), Default::Means("one logger at `info`"), "Loggers."),
    KeySpec::new("daemon", Kind::Table(&DAEMON), Default::Means("all defaults"), "Where this daemon lives.").ours(),
    KeySpec::new("recorder", Kind::Table(&RECORDER), Default::Means("off"), "Records every input for a replay.").ours(),
    KeySpec::new("history", Kind::Table(&HISTORY), Default::Means("all defaults"), "How much history is kept.").ours(),
];

const PLUGIN_TABLES: &[KeySpec] = &[
    KeySpec::new("promoter", Kind::Tables(&PROMOTER), Default::Means("none"), "High availability."),
    KeySpec::new("umh", Kind::Tables(&UMH), Default::Means("none"), "Handlers that run when a state change matches."),
    KeySpec::new("prometheus", Kind::Tables(&PROMETHEUS), Default::Means("none"), "Metrics over HTTP."),
    KeySpec::new("agentx", Kind::Tables(&AGENTX), Default::Means("none"), "SNMP, as a subagent."),
    KeySpec::new("debugger", Kind::Tables(&DEBUGGER), Default::Means("none"), "Logs every change."),
    KeySpec::new("no-primary", Kind::Tables(&NO_PRIMARY), Default::Means("none"), "Says what is Primary nowhere.")
        .ours(),
    KeySpec::new("events", Kind::Tables(&EVENTS), Default::Means("none"), "Storage events and incidents.").ours(),
    KeySpec::new(
        "notify",
        Kind::Tables(&NOTIFY),
        Default::Means("none"),
        "Who is told of what, by mail, chat and the like.",
    )
    .ours(),
];

/// Words of `level`.
pub(crate) const LOG_LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

pub(crate) static LOG: TableSpec = TableSpec {
    header: "[[log]]",
    doc: "One logger. Several are allowed.",
    keys: &[&[
        KeySpec::new(
            "level",
            Kind::Word(|| LOG_LEVELS.to_vec()),
            Default::Value("\"info\""),
            "The least that is written.",
        ),
        KeySpec::new(
            "file",
            Kind::Path,
            Default::Means("the journal if standard error is connected to it, else standard error"),
            "File to append to.",
        ),
    ]],
};

pub(crate) static DAEMON: TableSpec = TableSpec {
    header: "[daemon]",
    doc: "Where this daemon lives, so that several can run on one machine, also as an ordinary user. Read at start only.",
    keys: &[&[
        KeySpec::new(
            "node-name",
            Kind::Text,
            Default::Means("`uname -n`"),
            "Name of this node, as `preferred-nodes` and the status spell it.",
        )
        .ours(),
        KeySpec::new(
            "runtime-dir",
            Kind::Path,
            Default::Value("\"/run/storage-reactor\""),
            "The control socket and what does not outlive a boot.",
        )
        .ours(),
        KeySpec::new("state-dir", Kind::Path, Default::Value("\"/var/lib/storage-reactor\""), "What outlives a boot.")
            .ours(),
        KeySpec::new(
            "unit-dir",
            Kind::Path,
            Default::Value("\"/run/systemd/system\""),
            "Where unit files are generated.",
        )
        .ours(),
        KeySpec::new(
            "drbdsetup",
            Kind::Path,
            Default::Value("\"drbdsetup\""),
            "The program. A name without `/` is looked up in the daemon's `PATH`.",
        )
        .ours(),
        KeySpec::new(
            "drbdadm",
            Kind::Path,
            Default::Value("\"drbdadm\""),
            "The program. A name without `/` is looked up in the daemon's `PATH`.",
        )
        .ours(),
        KeySpec::new(
            "bus",
            Kind::Text,
            Default::Value("\"system\""),
            "Where systemd is spoken to: `system`, `session`, or a D-Bus address such as `unix:path=/run/test/bus`.",
        )
        .ours(),
        KeySpec::new(
            "uevents",
            Kind::Bool,
            Default::Value("false"),
            "Whether the kernel's uevents are counted, as the metric `storage_reactor_uevents_total`.",
        )
        .ours(),
        KeySpec::new(
            "kernel-log",
            Kind::Bool,
            Default::Value("true"),
            "Whether the kernel's log is read, for what DRBD says there of a split brain. Where DRBD may call no handlers (LINSTOR), nothing else says so.",
        )
        .ours(),
        KeySpec::new(
            "operator-group",
            Kind::Text,
            Default::Means("nobody but root"),
            "Group whose members may steer services over the control socket: `hold`, `stop`, `evict`, `drain` and so on. Read at each reload, too.",
        )
        .ours(),
    ]],
};

pub(crate) static RECORDER: TableSpec = TableSpec {
    header: "[recorder]",
    doc: "Records every input of the daemon into a ring of files, for `reactorctl replay`. The table itself switches it on.",
    keys: &[&[
        KeySpec::new(
            "dir",
            Kind::Path,
            Default::Means("`recordings` in the state folder"),
            "Folder of the recordings.",
        )
        .ours(),
        KeySpec::new(
            "max-file-size",
            Kind::Size { min: 64 << 10, max: 16 << 30 },
            Default::Value("\"16MiB\""),
            "A new file is begun when one has reached this size.",
        )
        .ours(),
        KeySpec::new(
            "max-files",
            Kind::Integer { min: 1, max: 10_000 },
            Default::Value("8"),
            "How many files are kept, the one being written included.",
        )
        .ours(),
    ]],
};

pub(crate) static HISTORY: TableSpec = TableSpec {
    header: "[history]",
    doc: "How much is kept of what was decided, `history.db` in the state folder. It is always written.",
    keys: &[&[
        KeySpec::new(
            "max-age",
            Kind::Duration { min_ms: 86_400_000, max_ms: 10 * 366 * 86_400_000, off: false },
            Default::Value("\"400d\""),
            "What is older is deleted.",
        )
        .ours(),
        KeySpec::new(
            "max-size",
            Kind::Size { min: 1 << 20, max: 64 << 30 },
            Default::Value("\"256MiB\""),
            "The oldest entries are deleted before the file gets larger. What SQLite keeps beside it (`history.db-wal`) is not counted: a few MiB.",
        )
        .ours(),
    ]],
};
