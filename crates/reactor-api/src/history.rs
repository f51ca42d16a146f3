//! The history on the wire: entries, and where resources ran. docs/history.md describes each field.

use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct HistoryEntry {
    /// Its number on this node.
    pub id: u64,
    /// When, RFC 3339 in UTC.
    pub time: String,
    /// The node that has written it.
    pub node: String,
    /// The resource; absent if it is about the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// `daemon`, `asked`, `decision`, `promoted`, `demoted`, `running`, `down`, `away`, `failure`, `quorum`, `split-brain`, `note`, `gap`.
    pub kind: String,
    /// `info`, `warning` or `error`.
    pub severity: String,
    /// What, as a short sentence.
    pub what: String,
    /// Why, in the order in which it was reasoned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
    /// Who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// How long it took, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// How long each part of a promotion took.
    #[serde(skip_serializing_if = "PhaseTimes::is_empty")]
    pub phases: PhaseTimes,
    /// It was told before, and its outcome is the news. Only of those who follow.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_outcome: bool,
}

/// How long each part of a promotion took, milliseconds; absent = it was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct PhaseTimes {
    /// From when nothing ran any more, as far as was known, to when DRBD let this node become Primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detect_ms: Option<u64>,
    /// From then to the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decide_ms: Option<u64>,
    /// From the start to Primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promote_ms: Option<u64>,
    /// From Primary to the services being up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<u64>,
}

impl PhaseTimes {
    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Name and milliseconds of each that is known, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = [
            ("detect", self.detect_ms),
            ("decide", self.decide_ms),
            ("promote", self.promote_ms),
            ("start", self.start_ms),
        ];
        all.into_iter().filter_map(|(name, ms)| Some((name, ms?)))
    }
}

/// A time for which a resource was in one state, as one node saw it.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct HistorySpan {
    /// Its number on this node.
    pub id: u64,
    /// The node that has written it.
    pub node: String,
    /// The resource.
    pub resource: String,
    /// `here`, `elsewhere`, `nowhere`, `unknown`, or `unwatched`: no daemon looked.
    pub state: String,
    /// Whether the node was Primary; absent if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<bool>,
    /// It ran nowhere because a person wanted that on this node.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub planned: bool,
    /// Why it was so, in one line.
    pub why: String,
    /// Since when, RFC 3339 in UTC.
    pub since: String,
    /// Until when, RFC 3339 in UTC; absent = it still is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// How a resource fared in a month, by the spans of its history.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, rename_all = "kebab-case")]
pub struct Downtime {
    /// The resource.
    pub resource: String,
    /// The month in UTC, for example `2026-11`.
    pub month: String,
    /// How long it ran, in milliseconds.
    pub up_ms: u64,
    /// How long it was down, also where that was planned.
    pub down_ms: u64,
    /// The part of that which a person wanted.
    pub planned_ms: u64,
    /// For how long nobody knows.
    pub unknown_ms: u64,
    /// How often it went down.
    pub outages: u64,
}
