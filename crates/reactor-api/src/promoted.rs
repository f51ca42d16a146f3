//! What the promoter says of a resource, on the wire.

use serde::{Deserialize, Serialize};

/// One promoted resource.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct PromotedStatus {
    /// The resource.
    pub resource: String,
    /// Its target: `drbd-services@NAME.target`.
    pub target: String,
    /// What holds, in one word: `preparing`, `standby`, `waiting`, `starting`, `running`, `stopping`, `frozen`, `blocked`, `held`,
    /// `drained`, `unmanaged`.
    pub state: String,
    /// Since when, RFC 3339 in UTC.
    pub since: String,
    /// Why it is so, in the order in which it was reasoned.
    pub because: Vec<String>,
    /// What keeps it from being started here, if that is why it is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<ObstacleStatus>,
    /// When it is judged again at the latest without any news, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What is due then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_for: Option<String>,
    /// `quorum`, `fencing`, `alone`, `none`, or `unknown` while DRBD's options have not been read.
    pub policy: String,
    /// The operator's hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldStatus>,
    /// Failures of its services here within the failure window.
    pub failures: u32,
    /// `max-failures`; 0 = never blocked.
    pub max_failures: u32,
    /// What failed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
    /// Whether it is up here, of DRBD and all that it needs: `up`, `down`, `warn` (its parts contradict each other), `stdby up` and `stdby down`
    /// (what belongs to a node that does not run it), `n/a`, `undef`. A peer that is missing is no part of it: see `degraded`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub availability: String,
    /// The same of what is optional; absent if nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optional: Option<String>,
    /// DRBD's part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drbd: Option<DrbdStatus>,
    /// What is not as it should be although it may be up. Absent = it is well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub degraded: Vec<String>,
    /// Its units in order.
    pub units: Vec<UnitStatus>,
    /// What runs where this node is Secondary, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub standby: Vec<UnitStatus>,
    /// Entries that this node leaves out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<UnitStatus>,
    /// What a person should look at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What is wrong although the state does not say so: a person must act.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<TroubleStatus>,
    /// An adjust brings it up just now: what its links and disks look like meanwhile says nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_adjusting: bool,
    /// The other nodes. In the answer to `Why`, and in those to `Watch` if resources are named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<PeerStatus>,
    /// The last decisions, oldest first. In the answer to `Why` only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<DecisionStatus>,
}

/// What keeps a resource from being started here; the first one, if there are several.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct ObstacleStatus {
    /// Which kind: `no-news`, `no-systemd`, `unit-not-told`, `unit-files`, `lower-devices`, `drbdadm-failed`, `adjusting`, `options-not-read`,
    /// `no-resource`, `peer-primary`, `not-ours`, `no-data`, `forced-secondary`, `no-quorum`, `disk`, `may-not-promote`, `unit-masked`, `unit-broken`.
    pub kind: String,
    /// The unit that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// Another node of a resource, for all that DRBD says here.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct PeerStatus {
    /// Its name, as DRBD has it.
    pub node: String,
    /// Whether it is Primary.
    pub primary: bool,
    /// Whether DRBD is connected with it.
    pub connected: bool,
    /// Why it could not take the resource over; empty = it could, for all that DRBD says here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub obstacles: Vec<String>,
}

/// An operator's hold.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct HoldStatus {
    /// Who asked for it.
    pub who: String,
    /// Why, in the operator's words.
    pub why: String,
    /// Since when, RFC 3339 in UTC; absent if the clock was not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// What runs is stopped; otherwise it is left alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stops: bool,
    /// It ends by itself when a peer is Primary: this one, or whichever if it is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_primary: Option<String>,
    /// That peer restarts it: that it is Primary does not end it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub restarts: bool,
    /// When it ends by itself at the latest, RFC 3339 in UTC; absent if it does not, or if the clock was not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<String>,
}

/// DRBD's part of a promoted resource.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct DrbdStatus {
    /// `up` = Primary, `stdby up` = Secondary, `stdby down` = Secondary without its disk, or not configured here, `down`, `undef`.
    pub availability: String,
    /// Role and disk here, then each peer, for people.
    pub words: String,
}

/// One unit of a promoted resource.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct UnitStatus {
    /// Its name.
    pub unit: String,
    /// What its entry is called: the instance of an agent or of a command, or the unit.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub entry: String,
    /// Whether it is up, as far as this entry goes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub availability: String,
    /// `optional`: it may be down while the others run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// `monitor = false`: the same, but it counts in the availability.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unmonitored: bool,
    /// Entries with the same number start side by side (`parallel`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
    /// How often it is still started again before its failure is one of the resource; absent without `restart`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarts_left: Option<u32>,
    /// systemd's `ActiveState`; `unknown` if systemd has not told.
    pub active: String,
    /// systemd's `FreezerState`.
    pub freezer: String,
    /// systemd's `Result`, if it is not `success`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

/// Something that is wrong although the state does not say so.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct TroubleStatus {
    /// Which kind: `io-hangs`, `runs-nowhere`, `outside-target`, `left-behind`.
    pub kind: String,
    /// What, in one sentence.
    pub what: String,
    /// Since when, RFC 3339 in UTC.
    pub since: String,
}

/// One decision of the past.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct DecisionStatus {
    /// When, RFC 3339 in UTC.
    pub time: String,
    /// What was decided.
    pub what: String,
    /// Why.
    pub because: Vec<String>,
    /// How it ended; absent while it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}
