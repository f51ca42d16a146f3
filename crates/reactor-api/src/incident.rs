//! Storage incidents on the wire.

use serde::{Deserialize, Serialize};

/// Storage events of one cause.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct WireIncident {
    /// What it is called by: 16 hexadecimal digits.
    pub id: String,
    /// The worst of its events: `warning`, `error`, `critical`.
    pub severity: String,
    /// Its cause as far as can be told, and on which device.
    pub title: String,
    /// When it began, RFC 3339.
    pub opened: String,
    /// When the last event came, RFC 3339.
    pub last: String,
    /// Whether something of it still stands wrong.
    pub lasts: bool,
    /// When it was over, RFC 3339; absent = it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// How it ended, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// The incident that it turned out to be a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_of: Option<String>,
    /// DRBD resources that are built on the devices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Mount points that are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<String>,
    /// What happened, in order: one for each type of event and device.
    pub events: Vec<WireTrouble>,
    /// More types and devices than are kept.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: u64,
    /// What the type of the cause means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub means: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub todo: Option<String>,
}

/// One type of event on one device.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct WireTrouble {
    /// The type: `SCSI_MEDIUM_ERROR`.
    #[serde(rename = "type")]
    pub kind: String,
    /// How bad it is.
    pub severity: String,
    /// The device, as people call it.
    pub device: String,
    /// Its stable id, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// What was logged.
    pub message: String,
    /// How often.
    pub count: u64,
    /// When it was first so, RFC 3339.
    pub first: String,
    /// When it was last so, RFC 3339.
    pub last: String,
    /// Whether it is the cause of the others, as far as can be told.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_cause: bool,
    /// `passed`, `lasts`, `cleared`.
    pub state: String,
    /// The type of the event that cleared it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleared_by: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
