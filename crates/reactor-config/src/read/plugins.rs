//! The plugin tables.

use std::time::Duration;

use reactor_core::settings::{
    AgentxSettings, DebuggerSettings, Detail, ListenAddress, NoPrimarySettings, PluginEntry, PluginKind,
    PluginSettings, PrometheusSettings,
};
use toml::de::DeValue;

use super::walk::{Item, Reader, Table};
use super::{ParsedFile, address, events, notify, promoter, umh};
use crate::finding::Code;
use crate::spec;

/// Every plugin that a file may have.
pub(super) const KINDS: [PluginKind; 8] = [
    PluginKind::Promoter,
    PluginKind::Umh,
    PluginKind::Prometheus,
    PluginKind::Agentx,
    PluginKind::Debugger,
    PluginKind::NoPrimary,
    PluginKind::Events,
    PluginKind::Notify,
];

/// Reads one table and adds it to the plugins of the file.
pub(super) fn read(reader: &mut Reader<'_>, kind: PluginKind, item: &Item<'_>, parsed: &mut ParsedFile) {
    let DeValue::Table(table) = item.value else {
        reader.wrong_type(kind.as_str(), item, "an array of tables");
        return;
    };
    let spec = match kind {
        PluginKind::Promoter => &spec::PROMOTER,
        PluginKind::Umh => &spec::UMH,
        PluginKind::Prometheus => &spec::PROMETHEUS,
        PluginKind::Agentx => &spec::AGENTX,
        PluginKind::Debugger => &spec::DEBUGGER,
        PluginKind::NoPrimary => &spec::NO_PRIMARY,
        PluginKind::Events => &spec::EVENTS,
        PluginKind::Notify => &spec::NOTIFY,
    };
    let mark = reader.mark();
    let table = reader.table(table, item.span.clone(), spec);
    let (claims, listeners, webs) = (parsed.claims.len(), parsed.listeners.len(), parsed.webs.len());
    let (peripety, notifiers, secrets) = (parsed.peripety.len(), parsed.notifiers.len(), parsed.secret_files.len());
    let settings = match kind {
        PluginKind::Promoter => PluginSettings::Promoter(promoter::read(reader, &table, parsed)),
        PluginKind::Umh => PluginSettings::Umh(umh::read(reader, &table)),
        PluginKind::Prometheus => PluginSettings::Prometheus(read_prometheus(reader, &table, parsed)),
        PluginKind::Agentx => PluginSettings::Agentx(read_agentx(reader, &table)),
        PluginKind::Debugger => PluginSettings::Debugger(read_debugger(reader, &table)),
        PluginKind::NoPrimary => PluginSettings::NoPrimary(read_no_primary(reader, &table)),
        PluginKind::Events => PluginSettings::Events(events::read(reader, &table, parsed)),
        PluginKind::Notify => PluginSettings::Notify(Box::new(notify::read(reader, &table, parsed))),
    };
    if reader.is_lost_since(mark) {
        parsed.claims.truncate(claims);
        parsed.listeners.truncate(listeners);
        parsed.webs.truncate(webs);
        parsed.peripety.truncate(peripety);
        parsed.notifiers.truncate(notifiers);
        parsed.secret_files.truncate(secrets);
        return;
    }
    let file = parsed.source.path().to_path_buf();
    parsed.plugins.push(PluginEntry { file, line: reader.line(&item.span), settings });
}

fn read_prometheus(reader: &mut Reader<'_>, table: &Table<'_>, parsed: &mut ParsedFile) -> PrometheusSettings {
    let mut address = ListenAddress::default();
    let mut span = table.span.clone();
    if let Some(text) = reader.text(table, "address")
        && let Some(item) = table.item("address")
    {
        span = item.span.clone();
        match address::listen(text) {
            Ok(given) => address = given,
            Err(bad) => {
                let finding = reader.error(Code::BadValue, span.clone(), format!("`address`: {}", bad.why));
                finding.hint = Some(bad.hint.to_owned());
            }
        }
    }
    parsed.listeners.push((address.clone(), reader.location(span)));
    let socket_group = reader.text(table, "socket-group").map(str::to_owned);
    if let (Some(item), ListenAddress::Tcp { .. }) = (table.item("socket-group"), &address) {
        let why = "`socket-group` has no effect: `address` is not a unix socket";
        reader.warn(Code::Ignored, item.span.clone(), why).hint =
            Some("remove the line, or write address = \"unix:/PATH\"".to_owned());
    }
    let enums = reader.bool(table, "enums").unwrap_or(false);
    let all_families = reader.bool(table, "all-families").unwrap_or(false);
    let web_config_file = reader.path(table, "web-config-file");
    if let (Some(path), Some(item)) = (&web_config_file, table.item("web-config-file")) {
        parsed.webs.push((path.clone(), reader.location(item.span.clone())));
    }
    PrometheusSettings { address, socket_group, web_config_file, enums, all_families }
}

fn read_agentx(reader: &mut Reader<'_>, table: &Table<'_>) -> AgentxSettings {
    let address = reader.text(table, "address");
    if let Some(text) = address
        && let Some(item) = table.item("address")
        && let Err(bad) = address::remote(text)
    {
        let finding = reader.error(Code::BadValue, item.span.clone(), format!("`address`: {}", bad.why));
        finding.hint = Some(bad.hint.to_owned());
    }
    let minute = Duration::from_secs(60);
    AgentxSettings {
        address: address.unwrap_or("localhost:705").to_owned(),
        cache_max: reader.duration(table, "cache-max").unwrap_or(minute),
        agent_timeout: reader.duration(table, "agent-timeout").unwrap_or(minute),
        peer_states: reader.bool(table, "peer-states").unwrap_or(true),
    }
}

fn read_debugger(reader: &mut Reader<'_>, table: &Table<'_>) -> DebuggerSettings {
    let choices = [("state", Detail::State), ("all", Detail::All)];
    DebuggerSettings { detail: reader.word(table, "detail", &choices).unwrap_or_default() }
}

fn read_no_primary(reader: &mut Reader<'_>, table: &Table<'_>) -> NoPrimarySettings {
    NoPrimarySettings {
        resource: umh::resource_name(reader, table),
        after: reader.duration(table, "after").unwrap_or(Duration::from_secs(60)),
    }
}
