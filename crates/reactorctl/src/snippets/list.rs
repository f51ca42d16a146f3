//! One line for what a snippet configures.

use reactor_core::settings::promoter::{Entry, PromotedResource, StartEntry};
use reactor_core::settings::{PluginEntry, PluginSettings};
use serde_json::{Value, json};

/// Most entries of `start` that are shown.
const SHOWN: usize = 3;

/// The lines of `ls` for the plugins of a snippet.
pub(crate) fn lines(plugins: &[PluginEntry], is_enabled: bool) -> Vec<String> {
    let off = if is_enabled { "" } else { " (disabled)" };
    let mut lines = Vec::new();
    for entry in plugins {
        match &entry.settings {
            PluginSettings::Promoter(promoter) => {
                for (name, resource) in &promoter.resources {
                    lines.push(format!("- Promoter: {name}{off}; start = {}", start(resource)));
                }
            }
            PluginSettings::Prometheus(prometheus) => {
                lines.push(format!("- Prometheus{off}: {}", prometheus.address));
            }
            PluginSettings::Agentx(agentx) => lines.push(format!("- AgentX{off}: {}", agentx.address)),
            PluginSettings::Debugger(_) => lines.push(format!("- Debugger{off}")),
            PluginSettings::Umh(_) => lines.push(format!("- UMH{off}")),
            PluginSettings::NoPrimary(_) => lines.push(format!("- No-Primary{off}")),
            PluginSettings::Events(_) => lines.push(format!("- Events{off}")),
            PluginSettings::Notify(notify) => {
                lines.push(format!("- Notify{off}: {} ({})", notify.name, notify.receiver.as_str()));
            }
        }
    }
    lines
}

/// The same for programs: what kind each plugin is, as its table is called, and what it promotes.
pub(crate) fn values(plugins: &[PluginEntry]) -> Vec<Value> {
    let value = |entry: &PluginEntry| {
        let (kind, resources): (&str, Vec<String>) = match &entry.settings {
            PluginSettings::Promoter(promoter) => {
                ("promoter", promoter.resources.keys().map(ToString::to_string).collect())
            }
            PluginSettings::Prometheus(_) => ("prometheus", Vec::new()),
            PluginSettings::Agentx(_) => ("agentx", Vec::new()),
            PluginSettings::Debugger(_) => ("debugger", Vec::new()),
            PluginSettings::Umh(_) => ("umh", Vec::new()),
            PluginSettings::NoPrimary(_) => ("no-primary", Vec::new()),
            PluginSettings::Events(_) => ("events", Vec::new()),
            PluginSettings::Notify(_) => ("notify", Vec::new()),
        };
        json!({ "kind": kind, "resources": resources })
    };
    plugins.iter().map(value).collect()
}

/// The beginning of `start`, as it is written.
fn start(resource: &PromotedResource) -> String {
    let mut entries: Vec<String> =
        resource.start.iter().take(SHOWN).map(|entry| format!("\"{}\"", written(entry))).collect();
    if resource.start.len() > SHOWN {
        entries.push("\"...\"".to_owned());
    }
    format!("[{}]", entries.join(", "))
}

/// An entry without its parameters, which may hold secrets.
pub(crate) fn written(entry: &Entry) -> String {
    match &entry.what {
        StartEntry::Unit(unit) => unit.clone(),
        StartEntry::Ocf { vendor, agent, instance, parameters } => {
            let more = if parameters.is_empty() { "" } else { " ..." };
            format!("ocf:{vendor}:{agent} {instance}{more}")
        }
        StartEntry::Command { instance, .. } => instance.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use expect_test::expect;
    use reactor_core::settings::Mode;

    use super::*;

    #[test]
    fn each_plugin_has_a_line_and_a_promoter_one_for_each_resource() {
        let text = r#"
            [[promoter]]
            [promoter.resources.r0]
            start = ["a.mount", "ocf:heartbeat:IPaddr2 ip ip=10.0.0.1 token=x", "b.service", "c.service"]
            [promoter.resources.r1]
            start = []
            [[prometheus]]
            [[agentx]]
            [[debugger]]
            [[umh]]
            [[no-primary]]
            [[events]]
            [[notify]]
            name = "chat"
            webhook = { url = "https://chat.example/x" }
        "#;
        let (plugins, _) = reactor_config::parse_snippet(Path::new("/s/a.toml"), text, Mode::Native);
        expect![[r#"
            - Promoter: r0; start = ["a.mount", "ocf:heartbeat:IPaddr2 ip ...", "b.service", "..."]
            - Promoter: r1; start = []
            - Prometheus: :9942
            - AgentX: localhost:705
            - Debugger
            - UMH
            - No-Primary
            - Events
            - Notify: chat (webhook)"#]]
        .assert_eq(&lines(&plugins, true).join("\n"));
        assert_eq!(
            lines(&plugins, false)[0],
            r#"- Promoter: r0 (disabled); start = ["a.mount", "ocf:heartbeat:IPaddr2 ip ...", "b.service", "..."]"#
        );
    }
}
