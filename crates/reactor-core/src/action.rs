//! What the core asks for, and how the outcome comes back.
//!
//! Every action has an id and a deadline, and exactly one [`Done`] comes back for it, also on a timeout and at exit.

use std::time::Duration;

use crate::change::Change;
use crate::ids::{ActionId, InstanceId, Mono, ResourceName};
use crate::model::reports::NoteLevel;
use crate::settings::umh::HandlerStdin;

/// One thing to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Comes back in [`Done`].
    pub id: ActionId,
    /// The plugin that wants it.
    pub plugin: InstanceId,
    /// Why, in the order in which it was reasoned. Log, `replay`, history and tests read this same value.
    pub because: Vec<Reason>,
    /// What.
    pub deed: Deed,
}

/// Why something is done: a fact, as a short sentence without a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(pub String);

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// What can be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Run a user's handler. Comes back as [`Outcome::Handler`].
    RunHandler(Box<HandlerRun>),
    /// Print a change (debugger). Nothing comes back.
    Print(Box<Change>),
    /// Say something in the log that is no decision, for example what was dropped. Nothing comes back.
    Note {
        /// How loud.
        level: NoteLevel,
        /// A short sentence without a full stop.
        text: String,
    },
    /// Answer a `reactor-helper` that waits. Nothing comes back.
    AnswerHelper {
        /// Its request.
        request: HelperRequestId,
        /// What to tell DRBD.
        answer: HelperAnswer,
    },
}

/// One handler to be run: `/bin/sh -c COMMAND` in a process group of its own, with exactly this environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerRun {
    /// Name of the rule, or what stands for it (`umh.device #2`).
    pub rule: String,
    /// The resource, for the log.
    pub resource: ResourceName,
    /// For `sh -c`.
    pub command: String,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// What it gets on standard input.
    pub stdin: HandlerStdin,
    /// The document, if `stdin` asks for one.
    pub document: Option<String>,
    /// Its process group is ended after this.
    pub timeout: Duration,
    /// Bytes kept of each of its outputs.
    pub max_output_bytes: usize,
}

/// One waiting `reactor-helper`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct HelperRequestId(pub u64);

/// What a waiting `reactor-helper` is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelperAnswer {
    /// A rule's handler ran: exit with its exit code.
    Exit {
        /// The code.
        code: i32,
        /// The rule.
        rule: String,
    },
    /// No rule wants this call, or its handler could not answer: do what DRBD would have done without us.
    Fallback {
        /// Why.
        why: String,
    },
}

/// DRBD's kernel asks for a helper by way of `reactor-helper`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelperCall {
    /// The request to answer.
    pub request: HelperRequestId,
    /// Name of the helper: DRBD's first argument.
    pub helper: String,
    /// DRBD's second argument: the resource, or `minor-N`.
    pub object: String,
    /// DRBD's environment for it (`DRBD_RESOURCE`, `DRBD_PEER_NODE_ID`, ...), only names that begin with `DRBD_`, and `UP_TO_DATE_NODES`.
    pub env: Vec<(String, String)>,
    /// When the caller stops waiting.
    pub deadline: Mono,
}

/// The outcome of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Which action.
    pub id: ActionId,
    /// How it went.
    pub outcome: Outcome,
}

/// How an action went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A handler ended.
    Handler {
        /// How.
        end: HandlerEnd,
        /// How long it ran.
        took: Duration,
        /// The beginning of its standard output.
        stdout: String,
        /// The beginning of its standard error.
        stderr: String,
        /// Bytes of both outputs that were not kept.
        output_cut_bytes: u64,
    },
}

/// How a handler ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandlerEnd {
    /// By itself, with this exit code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// We ended it: it took longer than it may.
    TimedOut,
    /// We ended it: the daemon stops.
    Aborted,
    /// It could not be started.
    NotStarted {
        /// Why.
        error: String,
    },
}
