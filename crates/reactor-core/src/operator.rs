//! What an operator can ask of a running daemon that changes what it does, and what it keeps across restarts because of it.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::UnitName;
use crate::subject::Subject;

/// One waiting client.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct OperatorRequestId(pub u64);

/// A request about one promoted resource, or about this node as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct OperatorRequest {
    /// The request to answer.
    pub request: OperatorRequestId,
    /// What it is about.
    pub subject: Subject,
    /// What.
    pub verb: OperatorVerb,
    /// Who asks, for the log and the status: a user name or `uid N`.
    pub who: String,
}

/// What can be asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperatorVerb {
    /// Leave the resource alone until it is released: nothing is started, stopped, frozen, thawed or repaired.
    Hold {
        /// Why, in the operator's words.
        why: String,
    },
    /// Stop it here, and start it here no more until it is released.
    Stop {
        /// Why, in the operator's words.
        why: String,
    },
    /// Leave it to another node: what runs here is stopped, and nothing is started here, until a peer is Primary or the time is up.
    Yield {
        /// Why, in the operator's words.
        why: String,
        /// The peer that shall become Primary, as DRBD names it; `None` = whichever.
        to: Option<String>,
        /// It ends then at the latest, whoever is Primary; in seconds.
        limit: u64,
        /// `to` has it now and restarts it there: it is left to it also while it is Primary, until it is released or the time is up.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        restarts: bool,
    },
    /// End a hold.
    Release,
    /// Forget failures; what was blocked may run again.
    Clear,
    /// Of the node: stop whatever promoters run here, and start nothing until [`Undrain`](Self::Undrain).
    Drain {
        /// Why, in the operator's words.
        why: String,
    },
    /// Of the node: end a drain.
    Undrain,
    /// Of the node: a person has seen to a storage incident.
    CloseIncident {
        /// Its id.
        incident: String,
    },
}

/// The answer to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OperatorAnswer {
    /// Carried out.
    Done {
        /// What it means, as a short sentence.
        text: String,
    },
    /// Nothing to do.
    Unchanged {
        /// Why.
        text: String,
    },
    /// It can't be done as things are.
    Refused {
        /// Why, and what to do.
        text: String,
    },
    /// No promoter has this resource; nor is any plugin asked about anything else today.
    NoSuchResource,
}

/// What a promoter remembers of a resource across restarts. Kept in the state folder.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Memory {
    /// The operator's hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// When services failed here, Unix time in seconds, oldest first; only those within the failure window.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<u64>,
    /// Too many failures: since when nothing is started here, Unix time in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_since: Option<u64>,
    /// What failed last, as a short sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
    /// We froze its services and have not thawed them: whoever starts next has to.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub frozen: bool,
    /// Units that we froze, and have not thawed for all we know. A daemon that starts with another configuration has to thaw also those that are
    /// not in it any more.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub frozen_units: BTreeSet<UnitName>,
}

/// An operator's hold on a resource, or, as a drain, on the whole node.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Hold {
    /// Who asked for it.
    pub who: String,
    /// Why.
    pub why: String,
    /// Since when, Unix time in seconds; 0 = the clock was not known.
    pub since: u64,
    /// What runs is stopped; otherwise it is left alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stops: bool,
    /// It ends by itself. A program that does not know this holds for longer, which is the safe side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
}

/// When a hold ends by itself: when a peer is Primary, or when its time is up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Until {
    /// The peer, as DRBD names it; `None` = whichever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The time is up then, Unix time in seconds; 0 = the clock was not known.
    pub end: u64,
    /// And in so many seconds at the latest, whatever the clock says.
    #[serde(default)]
    pub limit: u64,
    /// The peer restarts it: that it is Primary ends nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restarts: bool,
    /// It ran here when that was said: if nobody takes it over in time, it comes back here before any other node starts it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ran_here: bool,
}

/// The wall clock, told to the core when it starts, when it jumps, and when its distance to UTC changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct WallClock {
    /// Unix time in milliseconds at the moment of this input.
    pub unix_ms: u64,
    /// Local time minus UTC in seconds.
    pub utc_offset_s: i32,
}

impl WallClock {
    /// What it shows after so long, if nobody sets it.
    #[must_use]
    pub fn after(self, passed: Duration) -> Self {
        let passed = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        Self { unix_ms: self.unix_ms.saturating_add(passed), ..self }
    }
}

impl fmt::Display for OperatorVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hold { .. } => f.write_str("hold"),
            Self::Stop { .. } => f.write_str("stop"),
            Self::Yield { to: None, .. } => f.write_str("leave it to another node"),
            Self::Yield { to: Some(to), restarts: true, .. } => write!(f, "leave it to {to}, which restarts it"),
            Self::Yield { to: Some(to), .. } => write!(f, "leave it to {to}"),
            Self::Drain { .. } => f.write_str("drain"),
            Self::Undrain => f.write_str("undrain"),
            Self::CloseIncident { incident } => write!(f, "close storage incident {incident}"),
            Self::Release => f.write_str("release"),
            Self::Clear => f.write_str("clear"),
        }
    }
}
