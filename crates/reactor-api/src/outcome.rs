//! How a handler went, on the wire.

use serde::{Deserialize, Serialize};

/// How one handler went.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct HandlerOutcome {
    /// When it ended, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The rule that it belongs to.
    pub rule: String,
    /// The resource.
    pub resource: String,
    /// `exited`, `signalled`, `timed-out`, `aborted` or `not-started`.
    pub end: String,
    /// Exit code, if it exited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal, if one ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Why it could not be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it ran, milliseconds.
    pub took_ms: u64,
    /// The beginning of its standard output.
    pub stdout: String,
    /// The beginning of its standard error.
    pub stderr: String,
    /// Bytes of both outputs that were not kept.
    pub output_cut_bytes: u64,
}

impl HandlerOutcome {
    /// Whether it did what it should: exit code 0.
    pub fn is_success(&self) -> bool {
        self.end == "exited" && self.exit_code == Some(0)
    }
}
