//! What we know of systemd's units, in systemd's words.
//!
//! The table holds the units that a plugin follows, as systemd last told them. While the bus is down nothing here is the present:
//! decisions that need it wait, and everything is read anew when the bus is back. Each unit is the present again as soon as it is
//! told: one that systemd does not answer about keeps nobody else waiting.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{Mono, UnitName};

macro_rules! words {
    ($(#[$doc:meta])* $id:ident = $default:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $id {
            $(#[doc = concat!("`", $word, "`")] $variant,)+
            /// A word of a newer systemd, as it came.
            Other(Arc<str>),
        }

        impl $id {
            /// The word as systemd spells it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl Default for $id {
            fn default() -> Self {
                Self::$default
            }
        }

        impl From<&str> for $id {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    _ => Self::Other(Arc::from(word)),
                }
            }
        }

        impl From<String> for $id {
            fn from(word: String) -> Self {
                Self::from(word.as_str())
            }
        }

        impl From<$id> for String {
            fn from(word: $id) -> Self {
                word.as_str().to_owned()
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// `LoadState` of a unit.
    LoadState = Stub {
        Stub = "stub", Loaded = "loaded", NotFound = "not-found", BadSetting = "bad-setting", Error = "error",
        Merged = "merged", Masked = "masked",
    }
}

words! {
    /// `ActiveState` of a unit.
    ActiveState = Inactive {
        Active = "active", Reloading = "reloading", Inactive = "inactive", Failed = "failed", Activating = "activating",
        Deactivating = "deactivating", Maintenance = "maintenance", Refreshing = "refreshing",
    }
}

words! {
    /// `FreezerState` of a unit; a unit that cannot be frozen runs.
    FreezerState = Running {
        Running = "running", Freezing = "freezing", Frozen = "frozen", Thawing = "thawing",
    }
}

/// A unit as systemd describes it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct UnitState {
    /// `LoadState`.
    pub load: LoadState,
    /// `ActiveState`.
    pub active: ActiveState,
    /// `SubState`: a word of the unit's type, for example `running`, `exited`, `dead`, `auto-restart`.
    pub sub: String,
    /// `FreezerState`.
    pub freezer: FreezerState,
    /// `Result` of a service, a mount, ...: why it last ended; `None` for units without one (targets).
    pub result: Option<String>,
    /// `UnitFileState`: `enabled`, `disabled`, `static`, `masked-runtime`, ...; empty where there is none.
    pub unit_file: String,
    /// Whether systemd has a job queued or running for it (`Job`).
    pub job: bool,
}

/// systemd's news of one unit. The same state told again is no news.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UnitNews {
    /// Which.
    pub unit: UnitName,
    /// As it is now.
    pub state: UnitState,
}

/// News of the bus on which systemd is spoken to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum BusEvent {
    /// Connected. Each followed unit is the present from the moment when it is told, before this or after it.
    Up,
    /// The connection is lost or never came; what is known of units is stale.
    Down {
        /// Why.
        why: String,
    },
}

/// What we can say of the bus.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum BusState {
    /// Never heard of it.
    #[default]
    Unknown,
    /// What was told of a unit since the bus was last down is the present ([`Units::is_told`]).
    Up,
    /// Stale since then.
    Down {
        /// When.
        since: Mono,
        /// Why.
        why: String,
    },
}

/// The followed units.
#[derive(Clone, Debug, Default)]
pub struct Units {
    bus: BusState,
    units: BTreeMap<UnitName, Known>,
}

#[derive(Clone, Debug)]
struct Known {
    state: UnitState,
    /// It was told since the bus was last down.
    told: bool,
}

impl Units {
    /// What we can say of the bus.
    pub fn bus(&self) -> &BusState {
        &self.bus
    }

    /// A unit as systemd last told it; `None` = never heard of it.
    pub fn get(&self, unit: &str) -> Option<&UnitState> {
        self.units.get(unit).map(|known| &known.state)
    }

    /// Whether a unit was told since the bus was last down: only then its state is the present.
    pub fn is_told(&self, unit: &str) -> bool {
        self.units.get(unit).is_some_and(|known| known.told)
    }

    /// All units that were told, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&UnitName, &UnitState)> {
        self.units.iter().map(|(unit, known)| (unit, &known.state))
    }

    /// Takes news in; `true` = something changed.
    pub fn apply(&mut self, news: &UnitNews) -> bool {
        if self.units.get(&news.unit).is_some_and(|known| known.told && known.state == news.state) {
            return false;
        }
        self.units.insert(news.unit.clone(), Known { state: news.state.clone(), told: true });
        true
    }

    /// Takes news of the bus in.
    pub fn bus_event(&mut self, now: Mono, event: &BusEvent) {
        if matches!(event, BusEvent::Down { .. }) {
            self.units.values_mut().for_each(|known| known.told = false);
        }
        match (event, &self.bus) {
            (BusEvent::Up, _) => self.bus = BusState::Up,
            // The first "down" says when it began.
            (BusEvent::Down { .. }, BusState::Down { .. }) => {}
            (BusEvent::Down { why }, _) => self.bus = BusState::Down { since: now, why: why.clone() },
        }
    }

    /// What is known of these units, and of the bus.
    pub fn only<'a>(&self, units: impl Iterator<Item = &'a UnitName>) -> Self {
        let known = units.filter_map(|unit| Some((unit.clone(), self.units.get(unit)?.clone())));
        Self { bus: self.bus.clone(), units: known.collect() }
    }

    /// Forgets units that nobody follows any more: nobody tells how they are.
    pub fn retain(&mut self, followed: impl Fn(&UnitName) -> bool) {
        self.units.retain(|unit, _| followed(unit));
    }
}

/// What can be asked of systemd for one unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitVerb {
    /// `StartUnit`, mode `replace`; done when its job is.
    Start,
    /// `StopUnit`, mode `replace`; done when its job is.
    Stop,
    /// `FreezeUnit`; done when it is frozen.
    Freeze,
    /// `ThawUnit`; done when it is thawed.
    Thaw,
}

impl UnitVerb {
    /// For logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Freeze => "freeze",
            Self::Thaw => "thaw",
        }
    }
}

/// How a call to systemd ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitEnd {
    /// The job is done, or a call without a job was carried out.
    Done,
    /// The job ended otherwise: `failed`, `dependency`, `canceled`, `timeout`, `skipped`, ... in systemd's word.
    Job(String),
    /// systemd refused the call.
    Refused {
        /// D-Bus name of the error, for example `org.freedesktop.systemd1.UnitMasked`.
        error: String,
        /// What it said.
        message: String,
    },
    /// No answer within the deadline of the action. The job may still run.
    TimedOut,
    /// The bus was down, or went down before the outcome was known. The job may still run.
    NoBus {
        /// Why.
        why: String,
    },
}

impl fmt::Display for UnitEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Job(result) => write!(f, "job {result}"),
            Self::Refused { error, message } => write!(f, "refused: {message} ({error})"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::NoBus { why } => write!(f, "no connection to systemd: {why}"),
        }
    }
}
