//! The status of a daemon: everything that `reactorctl status --json` prints. docs/reactorctl.md describes each field.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::objects::WireResource;
use super::outcome::HandlerOutcome;
use super::promoted::{HoldStatus, PromotedStatus};

/// The whole status.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct Status {
    /// Version of the daemon.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Name of this node.
    pub node: String,
    /// `native` or `drbd-reactor`: whose defaults apply.
    pub mode: String,
    /// When it started, RFC 3339 in UTC.
    pub started: String,
    /// When this status was made, RFC 3339 in UTC.
    pub now: String,
    /// It was asked to end, and waits until services have stopped.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stopping: bool,
    /// Where the events come from.
    pub source: SourceStatus,
    /// The other sources that were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_sources: Vec<OtherSourceStatus>,
    /// The configuration that runs.
    pub configuration: ConfigurationStatus,
    /// Every plugin of the configuration.
    pub plugins: Vec<PluginStatus>,
    /// Every resource. Always there on the wire: the daemon writes this list apart, one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<WireResource>,
    /// Every promoted resource, without its history.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub promoted: Vec<PromotedStatus>,
    /// Who has drained this node; absent if nobody has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drained: Option<HoldStatus>,
    /// The connection to systemd; absent if nothing needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub systemd: Option<SystemdStatus>,
    /// How the last handlers went, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub handlers: Vec<HandlerOutcome>,
    /// What was counted since the daemon started.
    pub counters: Counters,
}

/// Where the events come from.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct SourceStatus {
    /// Whether it runs.
    pub state: SourceState,
    /// Since when it is in this state, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The command, or the recording that is played.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// `drbd9` or `drbd84`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialect: Option<String>,
    /// Version of the DRBD kernel module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_version: Option<String>,
    /// Version of drbd-utils.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utils_version: Option<String>,
    /// What these versions cannot do that we would use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// How often it was started again.
    pub restarts: u64,
    /// Why it ended the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// A source that is not DRBD's.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct OtherSourceStatus {
    /// Its name: `uevents`.
    pub name: String,
    /// Whether it runs.
    pub state: SourceState,
    /// What is read: a file, or in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Why it is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// How many records it told.
    pub records: u64,
    /// How often something was lost because it could not keep up.
    pub overruns: u64,
    /// How much was lost, as far as that is known.
    pub lost: u64,
    /// How many of its records were not understood.
    pub not_understood: u64,
    /// Why, the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_not_understood: Option<String>,
}

/// Whether the source of events runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SourceState {
    /// Not started yet, or its first snapshot is not complete.
    Starting,
    /// Events come in.
    Up,
    /// It ended; what is shown is the last that was known.
    Down,
    /// A recording was played to its end.
    Ended,
    /// A word of a newer daemon.
    #[default]
    #[serde(other)]
    Unknown,
}

/// The connection to systemd.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct SystemdStatus {
    /// Whether what is known of units is the present.
    pub up: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How many units are followed.
    pub units: u64,
}

/// The configuration that runs.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct ConfigurationStatus {
    /// Every file, the main file first.
    pub files: Vec<FileStatus>,
    /// When it was read the last time, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reload: Option<String>,
    /// How that went.
    pub last_result: ReloadResult,
    /// Files that differ from what runs: path and in which way (`changed`, `new`, `deleted`, `rejected`,
    /// `unreadable`).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub drift: BTreeMap<String, String>,
    /// Unit files of an earlier drbd-reactor that are still in force: their paths, with the `FailureAction=` that they have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leftovers: Vec<String>,
}

/// One configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct FileStatus {
    /// Its path.
    pub path: String,
    /// Whether what it says is what runs.
    pub state: FileState,
    /// What is wrong with it, each as one line `LINE:COLUMN: severity: message`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
}

/// Whether what a file says is what runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FileState {
    /// It is.
    Current,
    /// It has errors; its last good version runs.
    LastGood,
    /// It has errors; what has none of it runs.
    Partly,
    /// It has errors, and there is no good version of it: nothing of it runs.
    Rejected,
    /// A word of a newer daemon.
    #[default]
    #[serde(other)]
    Unknown,
}

/// How the last reload went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ReloadResult {
    /// Everything was taken.
    Ok,
    /// Good files were taken, others keep their last good version.
    Partly,
    /// Nothing was taken; what ran before goes on.
    Refused,
    /// A word of a newer daemon.
    #[default]
    #[serde(other)]
    Unknown,
}

/// One plugin.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct PluginStatus {
    /// Number of the running instance; absent if none runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// `promoter`, `umh`, `prometheus`, `agentx` or `debugger`.
    pub kind: String,
    /// The file that configures it.
    pub file: String,
    /// The line of its table.
    pub line: u32,
    /// Whether it runs.
    pub state: PluginState,
    /// Why it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What it says of itself.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
    /// What it counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<WireCounter>,
}

/// Whether a plugin runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PluginState {
    /// It does.
    Running,
    /// It was stopped by an error of its own.
    Stopped,
    /// A word of a newer daemon.
    #[default]
    #[serde(other)]
    Unknown,
}

/// One counter of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct WireCounter {
    /// What is counted.
    pub name: String,
    /// Of what, if there is one counter per something: label and value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How many.
    pub value: u64,
}

/// What was counted since the daemon started.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct Counters {
    /// Lines of events2.
    pub lines: u64,
    /// Bursts: kernel state changes.
    pub bursts: u64,
    /// Changes of objects.
    pub changes: u64,
    /// Actions that plugins asked for.
    pub actions: u64,
    /// Plugins that panicked.
    pub panics: u64,
    /// Lines that could not be read.
    pub unparsed: u64,
    /// The last of them, cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_unparsed: Option<String>,
    /// Lines about an object whose parent is not known.
    pub orphans: u64,
    /// Words and keys that this version does not know, and how often they came.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unknown_words: BTreeMap<String, u64>,
    /// Broken invariants of the model. Anything but 0 is a bug.
    pub violations: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_daemon_is_understood() {
        let status: Status = serde_json::from_str(
            r#"{"version":"9.9","moon":1,"source":{"state":"levitating"},
                "plugins":[{"kind":"web","state":"dreaming"}],"configuration":{"last-result":"mostly"}}"#,
        )
        .unwrap();
        assert_eq!(status.version, "9.9");
        assert_eq!(status.source.state, SourceState::Unknown);
        assert_eq!(status.plugins[0].state, PluginState::Unknown);
        assert_eq!(status.configuration.last_result, ReloadResult::Unknown);
    }

    #[test]
    fn a_status_reads_back_as_itself() {
        let status = Status {
            version: "1".to_owned(),
            resources: vec![WireResource { name: "r0".to_owned(), ..WireResource::default() }],
            plugins: vec![PluginStatus { state: PluginState::Stopped, ..PluginStatus::default() }],
            ..Status::default()
        };
        let json = serde_json::to_string(&status).unwrap();
        assert!(json.contains(r#""state":"stopped""#), "{json}");
        assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
    }
}
