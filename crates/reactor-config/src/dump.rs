//! The running settings as TOML, for SIGUSR1. Secrets are masked; without secrets it reads back as the same settings.

mod entry;
mod notify;

pub use entry::entry_toml;

use std::fmt::{Display, Write as _};
use std::path::Path;

use reactor_core::settings::promoter::{PromotedResource, SyncSettings};
use reactor_core::settings::umh::{
    Condition, Edge, EventConditions, HandlerStdin, HelperConditions, HelperMoment, Matcher, Pattern, RateLimit, Rule,
    When,
};
use reactor_core::settings::{
    Bus, Detail, HistorySettings, LogLevel, PluginEntry, PluginSettings, PromoterSettings, Settings, UmhSettings,
};
use reactor_storage::catalogue::RawUserRule;

use crate::secret::{MASK, is_secret, mask_text};
use crate::units;

/// All of `settings` as TOML.
pub fn dump_toml(settings: &Settings) -> String {
    let mut out = Out(String::new());
    if let Some(snippets) = &settings.snippets {
        out.path("snippets", snippets);
    }
    let interval = |interval: Option<_>| interval.map_or_else(|| "0".to_owned(), units::format_duration);
    out.raw("snippets-monitoring-interval", interval(settings.snippets_monitoring_interval));
    out.raw("statistics-poll-interval", interval(settings.statistics_poll_interval));
    dump_daemon(&mut out, settings);
    for logger in &settings.log {
        out.header("[[log]]");
        out.text("level", level(logger.level));
        if let Some(file) = &logger.file {
            out.path("file", file);
        }
    }
    if let Some(recorder) = &settings.recorder {
        out.header("[recorder]");
        if let Some(dir) = &recorder.dir {
            out.path("dir", dir);
        }
        out.raw("max-file-size", recorder.max_file_bytes);
        out.raw("max-files", recorder.max_files);
    }
    if settings.history != HistorySettings::default() {
        out.header("[history]");
        out.raw("max-age", units::format_duration(settings.history.max_age));
        out.raw("max-size", settings.history.max_bytes);
    }
    for entry in &settings.plugins {
        dump_plugin(&mut out, entry);
    }
    out.0
}

/// The text that grows.
struct Out(String);

impl Out {
    fn header(&mut self, header: &str) {
        let _ = writeln!(self.0, "\n{header}");
    }

    fn raw(&mut self, key: &str, value: impl Display) {
        let _ = writeln!(self.0, "{key} = {value}");
    }

    fn text(&mut self, key: &str, value: &str) {
        self.raw(key, quoted(value));
    }

    fn path(&mut self, key: &str, value: &Path) {
        self.text(key, &value.to_string_lossy());
    }

    fn rate(&mut self, key: &str, limit: RateLimit) {
        let per = units::format_duration(limit.per);
        self.text(key, &format!("{}/{}", limit.count, per.trim_matches('"')));
    }

    fn texts(&mut self, key: &str, values: impl IntoIterator<Item = impl AsRef<str>>) {
        let values: Vec<String> = values.into_iter().map(|value| quoted(value.as_ref())).collect();
        self.raw(key, format_args!("[{}]", values.join(", ")));
    }

    fn condition<T>(&mut self, key: &str, condition: &Condition<T>, show: impl Fn(&T) -> String) {
        let list = |values: &[T]| match values {
            [value] => show(value),
            values => format!("[{}]", values.iter().map(&show).collect::<Vec<_>>().join(", ")),
        };
        let table = |value: String, operator: &str| format!("{{ value = {value}, operator = \"{operator}\" }}");
        let pattern = |pattern: &Pattern| quoted(pattern.0.as_str());
        match condition {
            None => {}
            Some(Matcher::In(values)) => self.raw(key, list(values)),
            Some(Matcher::NotIn(values)) => self.raw(key, table(list(values), "NotEquals")),
            Some(Matcher::Matches(regex)) => self.raw(key, table(pattern(regex), "Matches")),
            Some(Matcher::NotMatches(regex)) => self.raw(key, table(pattern(regex), "NotMatches")),
        }
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A key of the user: bare if it can be.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quoted(name) }
}

fn word_of<T: Copy + PartialEq>(choices: &[(&'static str, T)], choice: T) -> &'static str {
    choices.iter().find(|(_, known)| *known == choice).map_or("", |(word, _)| word)
}

fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Off => "off",
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

fn dump_daemon(out: &mut Out, settings: &Settings) {
    let daemon = &settings.daemon;
    out.header("[daemon]");
    if let Some(name) = &daemon.node_name {
        out.text("node-name", name);
    }
    out.path("runtime-dir", &daemon.runtime_dir);
    out.path("state-dir", &daemon.state_dir);
    out.path("unit-dir", &daemon.unit_dir);
    out.path("drbdsetup", &daemon.drbdsetup);
    out.path("drbdadm", &daemon.drbdadm);
    out.text(
        "bus",
        match &daemon.bus {
            Bus::System => "system",
            Bus::Session => "session",
            Bus::Address(address) => address,
        },
    );
    out.raw("uevents", daemon.uevents);
    out.raw("kernel-log", daemon.kernel_log);
    if let Some(group) = &daemon.operator_group {
        out.text("operator-group", group);
    }
}

fn dump_plugin(out: &mut Out, entry: &PluginEntry) {
    let file: String = entry.file.to_string_lossy().chars().filter(|c| !c.is_control()).collect();
    let _ = write!(out.0, "\n# {file}:{}", entry.line);
    out.header(&format!("[[{}]]", entry.settings.kind().as_str()));
    match &entry.settings {
        PluginSettings::Promoter(promoter) => dump_promoter(out, promoter),
        PluginSettings::Umh(umh) => dump_umh(out, umh),
        PluginSettings::Prometheus(prometheus) => {
            out.text("address", &prometheus.address.to_string());
            if let Some(group) = &prometheus.socket_group {
                out.text("socket-group", group);
            }
            if let Some(path) = &prometheus.web_config_file {
                out.path("web-config-file", path);
            }
            out.raw("enums", prometheus.enums);
            out.raw("all-families", prometheus.all_families);
        }
        PluginSettings::Agentx(agentx) => {
            out.text("address", &agentx.address);
            out.raw("cache-max", units::format_duration(agentx.cache_max));
            out.raw("agent-timeout", units::format_duration(agentx.agent_timeout));
            out.raw("peer-states", agentx.peer_states);
        }
        PluginSettings::NoPrimary(no_primary) => {
            out.condition("resource-name", &no_primary.resource, |name| quoted(name));
            out.raw("after", units::format_duration(no_primary.after));
        }
        PluginSettings::Events(events) => {
            out.raw("journal", events.journal);
            out.raw("together", units::format_duration(events.together));
            out.raw("quiet-after", units::format_duration(events.quiet_after));
            if let Some(path) = &events.peripety_conf {
                out.path("peripety-conf", path);
            }
            for rule in &events.rules {
                dump_event_rule(out, rule);
            }
        }
        PluginSettings::Notify(notify) => notify::dump(out, notify),
        PluginSettings::Debugger(debugger) => out.text(
            "detail",
            match debugger.detail {
                Detail::State => "state",
                Detail::All => "all",
            },
        ),
    }
}

fn dump_event_rule(out: &mut Out, rule: &RawUserRule) {
    out.header("[[events.rule]]");
    out.text("regex", &rule.regex);
    let texts = [
        ("name", &rule.name),
        ("program", &rule.identifier),
        ("starts-with", &rule.starts_with),
        ("event-type", &rule.event_type),
        ("sub-system", &rule.sub_system),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            out.text(key, text);
        }
    }
    if let Some(severity) = rule.severity {
        out.text("severity", severity.as_str());
    }
    out.raw("without-device", rule.without_device);
    out.raw("first", rule.first);
}

fn dump_promoter(out: &mut Out, promoter: &PromoterSettings) {
    use reactor_core::settings::promoter as words;
    for (name, resource) in &promoter.resources {
        out.header(&format!("[promoter.resources.{}]", key(name.as_str())));
        match resource.runner {
            words::Runner::Systemd => out.raw("start", entry::list(&resource.start)),
            words::Runner::Shell => out.texts("start", resource.start.iter().map(|entry| mask_text(entry.name()))),
        }
        if !resource.standby.is_empty() {
            out.raw("standby", entry::list(&resource.standby));
        }
        if let words::AlwaysOn::On(nodes) = &resource.always_on {
            out.texts("always-on", nodes);
        }
        if let Some(sync) = &resource.sync {
            out.raw("sync", self::sync(sync));
        }
        out.texts("stop", resource.stop.iter().map(|command| mask_text(command)));
        out.raw("stop-services-on-exit", resource.stop_services_on_exit);
        out.text("runner", word_of(words::Runner::WORDS, resource.runner));
        out.text("dependencies-as", word_of(words::Dependency::WORDS, resource.dependencies_as));
        out.text("target-as", word_of(words::Dependency::WORDS, resource.target_as));
        out.text("on-drbd-demote-failure", word_of(words::FailureAction::WORDS, resource.on_drbd_demote_failure));
        dump_decisions(out, resource);
    }
}

fn dump_decisions(out: &mut Out, resource: &PromotedResource) {
    use reactor_core::settings::promoter as words;
    out.raw("sleep-before-promote-factor", resource.sleep_before_promote_factor);
    out.texts("preferred-nodes", &resource.preferred_nodes);
    let policy = word_of(words::PreferredNodesPolicy::WORDS, resource.preferred_nodes_policy);
    out.text("preferred-nodes-policy", policy);
    out.raw("secondary-force", resource.secondary_force);
    out.text("on-quorum-loss", word_of(words::OnQuorumLoss::WORDS, resource.on_quorum_loss));
    out.text("on-disk-detach", word_of(words::OnDiskDetach::WORDS, resource.on_disk_detach));
    out.raw("fencing-promote-delay", resource.fencing_promote_delay_s);
    out.raw("adjust-resource-on-start", resource.adjust_resource_on_start);
    if let Some(timeout) = resource.freeze_timeout {
        out.raw("freeze-timeout", units::format_duration(timeout));
    }
    out.texts("failback-window", resource.failback_window.iter().map(ToString::to_string));
    out.text("on-service-failure", word_of(words::OnServiceFailure::WORDS, resource.on_service_failure));
    out.raw("max-failures", resource.max_failures);
    out.raw("failure-window", units::format_duration(resource.failure_window));
    match resource.retry {
        words::Retry::BackOff => out.text("retry-interval", "back-off"),
        words::Retry::Every(interval) => out.raw("retry-interval", units::format_duration(interval)),
    }
    out.text("repair-links", word_of(words::RepairLinks::WORDS, resource.repair_links));
    out.raw("head-start", resource.head_start);
}

fn sync(sync: &SyncSettings) -> String {
    let list = |values: &mut dyn Iterator<Item = String>| format!("[{}]", values.collect::<Vec<_>>().join(", "));
    let mut out = vec![format!("nodes = {}", list(&mut sync.nodes.iter().map(|node| quoted(node))))];
    out.push(format!("drpnodes = {}", list(&mut sync.drpnodes.iter().map(|node| quoted(node)))));
    out.push(format!("files = {}", list(&mut sync.files.iter().map(|file| quoted(&file.to_string_lossy())))));
    out.extend(sync.every.map(|every| format!("every = {}", units::format_duration(every))));
    format!("{{ {} }}", out.join(", "))
}

fn dump_umh(out: &mut Out, umh: &UmhSettings) {
    out.raw("max-parallel", umh.max_parallel);
    out.raw("max-queued", umh.max_queued);
    for rule in &umh.rules {
        dump_rule(out, rule);
    }
}

fn dump_rule(out: &mut Out, rule: &Rule) {
    let kind = match &rule.when {
        When::Resource(_) => "resource",
        When::Device { .. } => "device",
        When::PeerDevice { .. } => "peerdevice",
        When::Connection { .. } => "connection",
        When::Path { .. } => "path",
        When::Helper(_) => "helper",
        When::Event(_) => "event",
    };
    out.header(&format!("[[umh.{kind}]]"));
    if !rule.name.is_empty() {
        out.text("name", &rule.name);
    }
    out.text("command", &mask_text(&rule.command));
    for (name, value) in &rule.env {
        let value = if is_secret(name) { MASK.to_owned() } else { mask_text(value) };
        out.text(&format!("env.{}", key(name)), &value);
    }
    if !matches!(rule.when, When::Helper(_) | When::Event(_)) {
        let events = rule.events;
        let set = [events.exists, events.create, events.destroy, events.change, events.replay];
        let words = crate::spec::EVENT_WORDS.iter().zip(set).filter(|(_, set)| *set).map(|(word, _)| word);
        out.texts("event-type", words);
    }
    out.condition("resource-name", &rule.resource, |name| quoted(name));
    if let Some(hold) = rule.hold {
        out.raw("for", units::format_duration(hold));
    }
    if let Some(limit) = rule.rate_limit {
        out.rate("rate-limit", limit);
    }
    out.raw("serialize", rule.serialize);
    out.raw("timeout", units::format_duration(rule.timeout));
    out.raw("max-output", rule.max_output_bytes);
    out.text(
        "stdin",
        match rule.stdin {
            HandlerStdin::Null => "null",
            HandlerStdin::Json => "json",
        },
    );
    dump_when(out, &rule.when);
}

fn dump_when(out: &mut Out, when: &When) {
    let number = |number: &u32| number.to_string();
    match when {
        When::Resource(edge) => sides(out, edge, |out, side, state| {
            out.condition(&format!("{side}.role"), &state.role, |role| quoted(role.as_str()));
            out.condition(&format!("{side}.may-promote"), &state.may_promote, bool::to_string);
            out.condition(&format!("{side}.promotion-score"), &state.promotion_score, i32::to_string);
            out.condition(&format!("{side}.suspended"), &state.suspended, |set| quoted(&set.to_string()));
            out.condition(&format!("{side}.force-io-failures"), &state.force_io_failures, bool::to_string);
        }),
        When::Device { volume, edge } => {
            out.condition("volume", volume, number);
            sides(out, edge, |out, side, state| {
                out.condition(&format!("{side}.disk-state"), &state.disk_state, |disk| quoted(disk.as_str()));
                out.condition(&format!("{side}.client"), &state.client, bool::to_string);
                out.condition(&format!("{side}.quorum"), &state.quorum, bool::to_string);
                out.condition(&format!("{side}.size"), &state.size, u64::to_string);
                out.condition(&format!("{side}.open"), &state.open, bool::to_string);
            });
        }
        When::PeerDevice { volume, peer_node_id, edge } => {
            out.condition("volume", volume, number);
            out.condition("peer-node-id", peer_node_id, number);
            sides(out, edge, |out, side, state| {
                let key = format!("{side}.replication-state");
                out.condition(&key, &state.replication_state, |word| quoted(word.as_str()));
                out.condition(&format!("{side}.peer-disk-state"), &state.peer_disk_state, |disk| quoted(disk.as_str()));
                out.condition(&format!("{side}.peer-client"), &state.peer_client, bool::to_string);
                let key = format!("{side}.resync-suspended");
                out.condition(&key, &state.resync_suspended, |set| quoted(&set.to_string()));
                out.condition(&key, &state.resync_suspended_at_all, bool::to_string);
            });
        }
        When::Connection { peer_node_id, edge } => {
            out.condition("peer-node-id", peer_node_id, number);
            sides(out, edge, |out, side, state| {
                out.condition(&format!("{side}.conn-name"), &state.conn_name, |name| quoted(name));
                let key = format!("{side}.connection-state");
                out.condition(&key, &state.connection_state, |word| quoted(word.as_str()));
                out.condition(&format!("{side}.peer-role"), &state.peer_role, |role| quoted(role.as_str()));
                out.condition(&format!("{side}.congested"), &state.congested, bool::to_string);
            });
        }
        When::Path { peer_node_id, local, peer, edge } => {
            out.condition("peer-node-id", peer_node_id, number);
            out.condition("local", local, |address| quoted(address));
            out.condition("peer", peer, |address| quoted(address));
            sides(out, edge, |out, side, state| {
                out.condition(&format!("{side}.established"), &state.established, bool::to_string);
            });
        }
        When::Helper(helper) => dump_helper(out, helper),
        When::Event(event) => dump_event(out, event),
    }
}

fn sides<C>(out: &mut Out, edge: &Edge<C>, dump: fn(&mut Out, &str, &C)) {
    dump(out, "old", &edge.old);
    dump(out, "new", &edge.new);
}

fn dump_event(out: &mut Out, event: &EventConditions) {
    out.text("on", event.on.as_str());
    out.condition("type", &event.kind, |kind| quoted(kind));
    out.text("severity", event.severity.as_str());
    if !event.subsystems.is_empty() {
        out.texts("subsystem", event.subsystems.iter().map(|part| part.as_str()));
    }
    if !event.devices.is_empty() {
        out.texts("device", &event.devices);
    }
}

fn dump_helper(out: &mut Out, helper: &HelperConditions) {
    out.condition("helper", &helper.helper, |name| quoted(name));
    out.condition("peer-node-id", &helper.peer_node_id, u32::to_string);
    out.condition("volume", &helper.volume, u32::to_string);
    out.condition("status", &helper.status, i32::to_string);
    out.text(
        "on",
        match helper.on {
            HelperMoment::Call => "call",
            HelperMoment::Response => "response",
            HelperMoment::Answer => "answer",
        },
    );
}
