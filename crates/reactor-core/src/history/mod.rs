//! What is worth reading about later: what was decided and why, how it ended, and where each promoted resource ran.
//!
//! ```text
//!  machines of the promoter ─ News ─▶ Core::news ─▶ loop ─ bounded queue ─▶ thread: Ledger ─ Row ─▶ the file (reactor-sys)
//! ```
//!
//! News are told beside the actions, and nothing depends on them: a daemon that keeps no history decides the same. [`Ledger`] turns them into rows;
//! it is pure, so that simulations and tests see the rows that a daemon would write.

mod ledger;

pub use ledger::{Before, Ledger, Row, Span, State};

use std::sync::Arc;
use std::time::Duration;

use reactor_storage::event::Event;
use reactor_storage::incidents::{Change, Incident};
use serde::{Deserialize, Serialize};

use crate::action::Reason;
use crate::ids::{ActionId, Mono, ResourceName};
use crate::model::reports::NoteLevel;
use crate::model::split_brain::Parted;

/// Something for the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// When, by the clock of the daemon.
    pub at: Mono,
    /// The resource that it is about; `None` = this node.
    pub resource: Option<ResourceName>,
    /// What.
    pub what: Told,
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Something happened, or was decided.
    Entry(Entry),
    /// How a decision ended, or one more word on it.
    Outcome(Outcome),
    /// Where the resource runs by now, if that is not what was told last.
    Presence(Box<Presence>),
    /// It is no longer configured: nobody looks at where it runs.
    Forgotten,
    /// A storage event began, or its count is another: the same id is the same event.
    Event(Arc<StorageEvent>),
    /// What became of a storage incident, and the incident as it is now.
    Incident(Change, Arc<Incident>),
    /// DRBD has found a split brain, or one is over, whoever runs the resource.
    SplitBrain(Box<Parted>),
}

/// A storage event, with what is made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageEvent {
    /// The event as it is now.
    pub event: Event,
    /// The incident that it belongs to.
    pub incident: Option<String>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What kind of.
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// What, as a short sentence without a full stop.
    pub what: String,
    /// Why, in the order in which it was reasoned.
    pub because: Vec<Reason>,
    /// Who asked for it, if a person did.
    pub who: Option<String>,
    /// The action whose outcome is how it ended.
    pub action: Option<ActionId>,
    /// How it ended, if that is known already.
    pub outcome: Option<String>,
    /// How long it took, if that is known already.
    pub took: Option<Duration>,
    /// How long each part of a promotion took.
    pub phases: Phases,
}

impl Entry {
    /// One that says this and no more.
    pub fn new(kind: Kind, severity: Severity, what: String) -> Self {
        Self {
            kind,
            severity,
            what,
            because: Vec::new(),
            who: None,
            action: None,
            outcome: None,
            took: None,
            phases: Phases::default(),
        }
    }

    /// The same, for these reasons, each once: that a peer is Primary is why it is away, and why nothing is started.
    #[must_use]
    pub fn because(self, because: Vec<Reason>) -> Self {
        let mut once: Vec<Reason> = Vec::new();
        for reason in because {
            if !once.contains(&reason) {
                once.push(reason);
            }
        }
        Self { because: once, ..self }
    }
}

/// How a decision ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Which: the action that it asked for.
    pub action: ActionId,
    /// How.
    pub how: String,
    /// After how long; `None` = it is one more word on how it ended.
    pub took: Option<Duration>,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$about])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word in the file and on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// What `word` means.
            pub fn of(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }
    };
}

words! {
    /// What kind of thing an entry is.
    Kind {
        /// The daemon started, ended, or took another configuration.
        Daemon "daemon",
        /// A person asked for something that changes what is done.
        Asked "asked",
        /// The promoter decided to do something.
        Decision "decision",
        /// This node became Primary.
        Promoted "promoted",
        /// This node is Primary no longer.
        Demoted "demoted",
        /// The services run here from now on.
        Running "running",
        /// They run here no longer, or run nowhere.
        Down "down",
        /// They run on another node, or where is not known.
        Away "away",
        /// Services failed here.
        Failure "failure",
        /// Quorum was lost, or is there again.
        Quorum "quorum",
        /// DRBD found a split brain.
        SplitBrain "split-brain",
        /// Storage has trouble, or has it no longer.
        Incident "incident",
        /// Something else that the log says, too.
        Note "note",
        /// Something is missing here: nobody watched, or it could not be written.
        Gap "gap",
    }
}

words! {
    /// How bad something is.
    Severity {
        /// Worth knowing.
        Info "info",
        /// Degraded, and handled.
        Warning "warning",
        /// A person must act.
        Error "error",
    }
}

impl From<NoteLevel> for Severity {
    fn from(level: NoteLevel) -> Self {
        match level {
            NoteLevel::Error => Self::Error,
            NoteLevel::Warn => Self::Warning,
            NoteLevel::Info | NoteLevel::Debug => Self::Info,
        }
    }
}

words! {
    /// Where the services of a resource run, for all that this node knows.
    Serving {
        /// Here: this node is Primary, and they are up and not frozen.
        Here "here",
        /// On a peer: it is Primary.
        Elsewhere "elsewhere",
        /// Nowhere.
        Nowhere "nowhere",
        /// This node can't know.
        Unknown "unknown",
    }
}

/// How a resource stands. It is a level: whoever missed those before knows all by the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Where its services run.
    pub serving: Serving,
    /// Whether this node is Primary; `None` = no news of DRBD.
    pub primary: Option<bool>,
    /// It runs nowhere because a person wants that here: held, stopped, left to another node, or drained.
    pub planned: bool,
    /// Why it is so.
    pub because: Vec<Reason>,
    /// How long each part took that has come to its end with this.
    pub phases: Phases,
}

/// How long each part of a promotion took; `None` = it was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Phases {
    /// From when nothing ran any more, as far as was known here, to when DRBD let this node become Primary. How long DRBD took to notice that a
    /// peer is dead comes before that, and nobody can measure it here.
    pub detect: Option<Duration>,
    /// From when nothing else kept it from being started here, a hold for example, to the start: delays, and whatever else had to be waited for.
    pub decide: Option<Duration>,
    /// From the start to Primary.
    pub promote: Option<Duration>,
    /// From Primary to the services being up.
    pub start: Option<Duration>,
}

impl Phases {
    /// Name and value of each that is known, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        let all = [("detect", self.detect), ("decide", self.decide), ("promote", self.promote), ("start", self.start)];
        all.into_iter().filter_map(|(name, time)| Some((name, time?)))
    }
}

/// A split brain was found, or one is over, as an entry.
fn split_brain(parted: &Parted) -> Entry {
    let peer = &parted.peer;
    let (severity, what) = match (parted.evidence, parted.is_old) {
        (None, _) => (Severity::Info, format!("the split brain with {peer} is over: the two are connected")),
        (Some(_), true) => {
            (Severity::Error, format!("split brain with {peer}, from before the daemon began: the data differ"))
        }
        (Some(_), false) => (
            Severity::Error,
            format!("split brain with {peer}: the data differ, and DRBD does not connect until a person decides"),
        ),
    };
    Entry::new(Kind::SplitBrain, severity, what)
}
