//! What a new snippet begins with.

use clap::ValueEnum;
use reactor_core::settings::PluginKind;

/// The types of snippets that there are templates for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Type {
    /// High availability
    Promoter,
    /// Metrics
    Prometheus,
    /// SNMP
    Agentx,
    /// Commands that are run when DRBD changes
    Umh,
    /// Changes in the log
    Debugger,
}

impl Type {
    /// The plugin.
    pub(crate) fn kind(self) -> PluginKind {
        match self {
            Self::Promoter => PluginKind::Promoter,
            Self::Prometheus => PluginKind::Prometheus,
            Self::Agentx => PluginKind::Agentx,
            Self::Umh => PluginKind::Umh,
            Self::Debugger => PluginKind::Debugger,
        }
    }

    /// The text that the editor shows for a new file.
    pub(crate) fn template(self, name: &str) -> String {
        match self {
            Self::Promoter => promoter(name),
            Self::Prometheus => "[[prometheus]]\naddress = \":9942\"\n# enums = true\n".to_owned(),
            Self::Agentx => "[[agentx]]\naddress = \"localhost:705\"\n".to_owned(),
            Self::Umh => UMH.to_owned(),
            Self::Debugger => "[[debugger]]\n".to_owned(),
        }
    }
}

/// The DRBD resource has the file's name, which is what most people do.
fn promoter(name: &str) -> String {
    let key = format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let key = if plain { name } else { &key };
    format!(
        "[[promoter]]\n\n[promoter.resources.{key}]\n# Units and OCF agents in the order in which they start.\nstart = []\n\
         # on-drbd-demote-failure = \"reboot-immediate\"\n# preferred-nodes = []\n"
    )
}

const UMH: &str = "\
[[umh]]

[[umh.resource]]
# resource-name = \"r0\"
command = \"logger -t umh \\\"$DRBD_RES_NAME is $DRBD_NEW_ROLE\\\"\"
event-type = \"Change\"
new.role = \"Primary\"
";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use reactor_core::settings::Mode;

    use super::*;

    #[test]
    fn each_template_is_a_snippet_of_its_type_without_errors() {
        for &kind in Type::value_variants() {
            for (name, mode) in [("r0", Mode::Native), ("web.data", Mode::DrbdReactor)] {
                let text = kind.template(name);
                let (plugins, findings) = reactor_config::parse_snippet(Path::new("/s/x.toml"), &text, mode);
                assert!(!findings.iter().any(reactor_config::Finding::is_error), "{text}\n{findings:?}");
                assert_eq!(plugins.iter().map(|entry| entry.settings.kind()).collect::<Vec<_>>(), [kind.kind()]);
            }
        }
    }
}
