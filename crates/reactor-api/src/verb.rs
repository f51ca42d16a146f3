//! What a verb is: everything that the daemon, its clients and the documents have to know of one method, said once.

use std::fmt::Debug;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::parameter::Object;

/// One method of the control socket. The type itself is its parameters.
///
/// A verb is a file in `verbs/` and a line in its table. From there come the reading of a call, the check of who calls, the time limit,
/// the interface description, the typed call of the client and the table in docs/control.md. The smallest to copy is
/// [`Clear`](crate::verbs::Clear).
pub trait Verb: Object + Serialize + Debug + Send + 'static {
    /// Its name, as in `io.storagereactor.Control.NAME`.
    const NAME: &'static str;

    /// What it does, for the interface description and the documents: short lines.
    const ABOUT: &'static str;

    /// Who may call it.
    const CALLER: Caller;

    /// The flag with which only root may call it.
    const ROOT_WITH: Option<&'static str> = None;

    /// The answer; of a stream, each of its answers.
    type Reply: Object + Serialize + DeserializeOwned + Debug + Send + 'static;

    /// How the answer comes about: [`ByLoop`], [`FromSnapshot`] or [`AsStream`].
    type Answered;

    /// Who may make this very call.
    fn caller(&self) -> Caller {
        Self::CALLER
    }

    /// How long the daemon has for the answer; of a stream, for the first.
    fn limit(&self) -> Limit {
        Limit::Short
    }

    /// Whether who made this call, and what became of it, is written down. A call that is refused is, in any case.
    fn is_audited(&self) -> bool {
        self.caller() > Caller::Reader
    }

    /// Whether this call must be one with `more`, because its answers have no end.
    fn needs_more(&self) -> bool {
        false
    }
}

/// The loop makes the whole answer, at once or later.
#[derive(Debug)]
pub enum ByLoop {}

/// The loop hands out what it knows, as reference counts; the answer is made of it beside the loop, and read piece by piece.
#[derive(Debug)]
pub enum FromSnapshot {}

/// The loop hands out a stream: one answer after the other, until it ends or the client goes.
#[derive(Debug)]
pub enum AsStream {}

/// Who may call a verb. Whoever may more may also call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caller {
    /// Whoever may open the socket.
    Reader,
    /// Whoever steers services: members of the group that `operator-group` names, root, and the user that the daemon runs as.
    Operator,
    /// Root, and the user that the daemon runs as.
    Root,
}

/// How long an answer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The loop has it at hand.
    Short,
    /// Something is read, written or asked for it.
    Long,
    /// The caller says how long it waits; the loop has the short time more.
    Given(Duration),
}

impl Limit {
    /// How long the daemon takes at most for what it has at hand.
    pub const SHORT: Duration = Duration::from_secs(10);

    /// How long the daemon takes at most for everything else.
    pub const LONG: Duration = Duration::from_secs(120);

    /// How long a client waits: longer than the daemon takes, so that the daemon's own word arrives first.
    pub fn client(self) -> Duration {
        match self {
            Self::Short => Self::SHORT + Duration::from_secs(10),
            Self::Long => Self::LONG + Duration::from_secs(30),
            Self::Given(time) => time.saturating_add(Self::Short.client()),
        }
    }
}
