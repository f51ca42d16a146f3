//! The top of a file: what only the main file has, and the plugin tables of every file.

use std::path::PathBuf;
use std::time::Duration;

use reactor_core::settings::{
    Bus, DaemonSettings, HistorySettings, LogLevel, LogSettings, Mode, PluginEntry, PluginKind, RecorderSettings,
    Settings,
};
use toml::de::{DeTable, DeValue};

use super::walk::{Item, Reader, Table};
use super::{FileRole, ParsedFile, plugins};
use crate::finding::Code;
use crate::source::Location;
use crate::spec;

/// What the main file says besides plugins.
#[derive(Clone, Debug)]
pub(crate) struct MainSettings {
    pub(crate) daemon: DaemonSettings,
    pub(crate) snippets: Option<PathBuf>,
    /// Where `snippets` is written.
    pub(crate) snippets_at: Option<Location>,
    /// Where `operator-group` of `[daemon]` is written.
    pub(crate) operator_group_at: Option<Location>,
    pub(crate) snippets_monitoring_interval: Option<Duration>,
    pub(crate) statistics_poll_interval: Option<Duration>,
    pub(crate) log: Vec<LogSettings>,
    pub(crate) recorder: Option<RecorderSettings>,
    pub(crate) history: HistorySettings,
}

impl MainSettings {
    pub(crate) fn with_plugins(&self, mode: Mode, plugins: Vec<PluginEntry>) -> Settings {
        let main = self.clone();
        Settings {
            mode,
            daemon: main.daemon,
            snippets: main.snippets,
            snippets_monitoring_interval: main.snippets_monitoring_interval,
            statistics_poll_interval: main.statistics_poll_interval,
            log: main.log,
            recorder: main.recorder,
            history: main.history,
            plugins,
        }
    }
}

/// What an empty main file says.
pub(crate) fn default_main() -> MainSettings {
    MainSettings {
        daemon: DaemonSettings::default(),
        snippets: None,
        snippets_at: None,
        operator_group_at: None,
        snippets_monitoring_interval: Some(Duration::from_secs(120)),
        statistics_poll_interval: Some(Duration::from_secs(60)),
        log: vec![LogSettings { level: LogLevel::Info, file: None }],
        recorder: None,
        history: HistorySettings::default(),
    }
}

/// Reads the whole file.
pub(super) fn read<'a>(reader: &mut Reader<'_>, document: &'a DeTable<'a>, role: FileRole, parsed: &mut ParsedFile) {
    let spec = match role {
        FileRole::Main => &spec::MAIN,
        FileRole::Snippet => &spec::SNIPPET,
    };
    let top = reader.table(document, 0..0, spec);
    if role == FileRole::Main {
        read_main(reader, &top, &mut parsed.main);
    }
    let mut tables = Vec::new();
    for kind in plugins::KINDS {
        tables.extend(plugin_tables(reader, &top, kind).into_iter().map(|item| (kind, item)));
    }
    tables.sort_by_key(|(_, item)| item.span.start);
    for (kind, item) in tables {
        plugins::read(reader, kind, &item, parsed);
    }
}

fn read_main(reader: &mut Reader<'_>, top: &Table<'_>, main: &mut MainSettings) {
    main.snippets = reader.path(top, "snippets");
    main.snippets_at = top.item("snippets").map(|item| reader.location(item.span.clone()));
    // Zero is off, and off is `None`.
    let on = |interval: Duration| (!interval.is_zero()).then_some(interval);
    if let Some(interval) = reader.duration(top, "snippets-monitoring-interval") {
        main.snippets_monitoring_interval = on(interval);
    }
    if let Some(interval) = reader.duration(top, "statistics-poll-interval") {
        main.statistics_poll_interval = on(interval);
    }
    let loggers = reader.sub_tables(top, "log", &spec::LOG);
    if !loggers.is_empty() {
        main.log = loggers.iter().map(|table| read_log(reader, table)).collect();
    }
    if let Some(table) = reader.sub_table(top, "daemon", &spec::DAEMON) {
        read_daemon(reader, &table, &mut main.daemon);
        main.operator_group_at = table.item("operator-group").map(|item| reader.location(item.span.clone()));
    }
    main.recorder = reader.sub_table(top, "recorder", &spec::RECORDER).map(|table| RecorderSettings {
        dir: reader.path(&table, "dir"),
        max_file_bytes: reader.size(&table, "max-file-size").unwrap_or(16 << 20),
        max_files: reader.integer(&table, "max-files").and_then(|n| u32::try_from(n).ok()).unwrap_or(8),
    });
    if let Some(table) = reader.sub_table(top, "history", &spec::HISTORY) {
        let default = HistorySettings::default();
        main.history = HistorySettings {
            max_age: reader.duration(&table, "max-age").unwrap_or(default.max_age),
            max_bytes: reader.size(&table, "max-size").unwrap_or(default.max_bytes),
        };
    }
}

fn read_log(reader: &mut Reader<'_>, table: &Table<'_>) -> LogSettings {
    use LogLevel::{Debug, Error, Info, Off, Trace, Warn};
    let choices: Vec<(&str, LogLevel)> =
        spec::LOG_LEVELS.into_iter().zip([Off, Error, Warn, Info, Debug, Trace]).collect();
    // drbd-reactor takes `INFO` as well.
    let any_case = table
        .item("level")
        .and_then(|item| item.value.as_str())
        .and_then(|text| choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, level)| *level));
    let level = any_case.or_else(|| reader.word(table, "level", &choices)).unwrap_or_default();
    LogSettings { level, file: reader.path(table, "file") }
}

fn read_daemon(reader: &mut Reader<'_>, table: &Table<'_>, daemon: &mut DaemonSettings) {
    if let Some(name) = reader.text(table, "node-name") {
        daemon.node_name = Some(name.to_owned());
        if let Some(item) =
            table.item("node-name").filter(|_| name.contains(|c: char| c.is_whitespace() || c.is_control()))
        {
            let message = "`node-name` must be one word without blanks";
            reader.error(Code::BadValue, item.span.clone(), message);
        }
    }
    for (key, path) in [
        ("runtime-dir", &mut daemon.runtime_dir),
        ("state-dir", &mut daemon.state_dir),
        ("unit-dir", &mut daemon.unit_dir),
    ] {
        if let Some(given) = reader.path(table, key) {
            *path = given;
        }
    }
    for (key, program) in [("drbdsetup", &mut daemon.drbdsetup), ("drbdadm", &mut daemon.drbdadm)] {
        if let Some(given) = reader.program(table, key) {
            *program = given;
        }
    }
    if let Some(text) = reader.text(table, "bus")
        && let Some(item) = table.item("bus")
    {
        daemon.bus = read_bus(reader, item, text);
    }
    daemon.uevents = reader.bool(table, "uevents").unwrap_or(false);
    daemon.kernel_log = reader.bool(table, "kernel-log").unwrap_or(true);
    if let Some(name) = reader.text(table, "operator-group") {
        daemon.operator_group = Some(name.to_owned());
        if let Some(item) = table.item("operator-group").filter(|_| !is_group_name(name)) {
            reader.error(Code::BadValue, item.span.clone(), "`operator-group` must be the name of a group");
        }
    }
}

/// Whether a group can have this name. A number would be taken for a gid by some programs and for a name by others.
fn is_group_name(name: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ':' | ',' | '/');
    !name.starts_with('-')
        && !name.contains(odd)
        && !name.bytes().all(|byte| byte.is_ascii_digit())
        && name.len() <= 256
}

fn read_bus(reader: &mut Reader<'_>, item: &Item<'_>, text: &str) -> Bus {
    match text {
        "system" => Bus::System,
        "session" => Bus::Session,
        address if address.split_once(':').is_some_and(|(_, options)| options.contains('=')) => {
            Bus::Address(address.to_owned())
        }
        word => {
            reader.unknown_word(
                "bus",
                item,
                word,
                &["system", "session", "a D-Bus address such as unix:path=/run/test/bus"],
            );
            Bus::System
        }
    }
}

/// The tables of one plugin.
fn plugin_tables<'a>(reader: &mut Reader<'_>, top: &Table<'a>, kind: PluginKind) -> Vec<Item<'a>> {
    let name = kind.as_str();
    let Some(item) = top.item(name) else { return Vec::new() };
    let has_header = reader.text_at(&item.span).starts_with('[');
    match item.value {
        DeValue::Array(array) => {
            array.iter().map(|element| Item { value: element.get_ref(), span: element.span(), secret: false }).collect()
        }
        DeValue::Table(_) if reader.mode() == Mode::DrbdReactor => {
            let message = format!("there is no `[[{name}]]` above this table in this file");
            let finding = reader.warn(Code::OldReading, item.span.clone(), message);
            finding.label = Some(format!("read as a `{name}` of its own"));
            finding.hint = Some(format!(
                "drbd-reactor joins the files as text and adds it to the last `[[{name}]]` before it; write `[[{name}]]` above it"
            ));
            vec![item.clone()]
        }
        DeValue::Table(_) => {
            let message = format!("`{name}` is an array of tables, but this is a single table");
            let finding = reader.error(Code::WrongType, item.span.clone(), message);
            finding.hint = Some(match has_header {
                true => format!("write `[[{name}]]`, with two brackets on each side"),
                false => format!("write `[[{name}]]` above it"),
            });
            Vec::new()
        }
        _ => {
            reader.wrong_type(name, item, "an array of tables").hint = Some(format!("write `[[{name}]]`"));
            Vec::new()
        }
    }
}
