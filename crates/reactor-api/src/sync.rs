//! What `reactorctl sync --json` prints.

use serde::{Deserialize, Serialize};

/// What was found and done on each node.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct SyncReport {
    /// The resource.
    pub resource: String,
    /// The node that the files come from.
    pub node: String,
    /// Nothing was sent: it was only looked.
    pub dry_run: bool,
    /// The files that go, in order.
    pub files: Vec<String>,
    /// What kept a file from going to any node, one sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// The other nodes.
    pub nodes: Vec<SyncNode>,
}

/// One node that the files go to.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct SyncNode {
    /// The node, as `sync` names it.
    pub node: String,
    /// It is one of `drpnodes`.
    pub is_drp: bool,
    /// How it is.
    pub state: SyncState,
    /// Why, if that is not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The files that differed, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<SyncFile>,
    /// Seconds since all files were last known to be there; absent = never, as far as is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_good_s: Option<u64>,
}

/// How a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SyncState {
    /// It has all files as they are here.
    Same,
    /// Files differed, and have been sent.
    Sent,
    /// Files differ there still.
    Differs,
    /// It is not known what it has.
    #[default]
    #[serde(other)]
    Unknown,
}

impl SyncState {
    /// Whether all files are there now.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Same | Self::Sent)
    }
}

/// A file that differed.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct SyncFile {
    /// Its path.
    pub path: String,
    /// What it was like there: `differs`, `missing`, `refused`; `sent`, if it is as it is here by now, and `failed`, if it could not be written.
    pub state: String,
    /// Why it was not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Where the other node keeps what was there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
}
