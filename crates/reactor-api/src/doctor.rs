//! What `reactorctl doctor --json` prints.

use serde::{Deserialize, Serialize};

/// Everything that was found, the worst first.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct Diagnosis {
    /// The nodes that were looked at.
    pub nodes: Vec<String>,
    /// Nodes that DRBD knows, and that were not asked: no context names them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_asked: Vec<String>,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// One thing that is wrong, or worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The family of checks that it comes from: one word.
    pub check: String,
    /// The resource that it is about; absent if it is about no one resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Where: a node, a file with its line, a connection.
    #[serde(rename = "where")]
    pub place: String,
    /// What.
    pub what: String,
    /// Why it matters; may be empty where `what` says it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// What was seen, one line each; may be empty where `what` says it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<String>,
    /// What mends it: commands and lines of files, one each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mend: Vec<String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Something does not work, or will not when it is needed.
    Error,
    /// It works, and not as well as it should.
    Warning,
    /// Worth knowing.
    #[default]
    Note,
}
