//! What a promoted resource would do, on the wire.

use serde::{Deserialize, Serialize};

/// What one node would do with a promoted resource, as things are or after an event.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct PlanStatus {
    /// The resource.
    pub resource: String,
    /// The node that says so.
    pub node: String,
    /// What happens first, in thought: `node-down=n2`; absent = nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// When it was asked, RFC 3339 in UTC. All times below count from then, and with an event from the moment when DRBD on this node says so.
    pub now: String,
    /// Within which time DRBD notices the event, by `ping-int` and `ping-timeout` of the connection, in milliseconds; absent where it does not depend on
    /// them, or they are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noticed_within_ms: Option<u64>,
    /// What comes of it, in one word: `starts`, `stops`, `freezes`, `runs`, `frozen`, `nothing`, `down` (the node itself is what goes down).
    pub does: String,
    /// When it does that, in milliseconds; absent where nothing changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_ms: Option<u64>,
    /// What happens, in order. The first is how it is at the beginning.
    pub steps: Vec<PlanStep>,
    /// `settled`: nothing more happens by itself; `bound`: it would go on, and was followed no further.
    pub ends: String,
    /// Other nodes that are Primary in the end, for all that this node's DRBD knows then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub primary: Vec<String>,
    /// What was assumed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assumed: Vec<String>,
    /// What this node cannot know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct PlanStep {
    /// When, in milliseconds.
    pub in_ms: u64,
    /// How the resource stands here then: the words of `status --json`.
    pub state: String,
    /// What is asked for; absent where it only stands differently from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Why.
    pub because: Vec<String>,
    /// When it is judged again without any news, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_in_ms: Option<u64>,
    /// What is due then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_for: Option<String>,
}
