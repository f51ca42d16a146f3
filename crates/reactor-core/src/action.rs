//! What the core asks for, and how the outcome comes back.
//!
//! Every action has an id. Those that are a [`Call`] have a deadline, and exactly one [`Done`] comes back for each, also on a timeout and at exit.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reactor_storage::incidents::Incident;
use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::ids::{ActionId, InstanceId, Mono, ResourceName, UnitName, Volume};
use crate::model::reports::NoteLevel;
use crate::notice::Message;
use crate::operator::{Hold, Memory, OperatorAnswer, OperatorRequestId};
use crate::settings::umh::HandlerStdin;
use crate::systemd::{ActiveState, UnitEnd, UnitVerb};

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
    pub kind: ActionKind,
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
pub enum ActionKind {
    /// Something that has an outcome: exactly one [`Done`] comes back for it.
    Call(Call),
    /// Something of which nothing comes back.
    Effect(Effect),
}

/// What has an outcome. Each names its own by [`Answered`].
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// Run a user's handler.
    Handler(Box<HandlerRun>),
    /// Ask systemd for something.
    Unit(UnitCall),
    /// Write generated files.
    Files(WriteFiles),
    /// Ask DRBD's tools for something.
    Drbd(AskTools),
    /// Ask why units are not up.
    Examine(Examine),
}

/// What has no outcome.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Print a change (debugger).
    Print(Box<Change>),
    /// Say something in the log that is no decision, for example what was dropped.
    Note {
        /// How loud.
        level: NoteLevel,
        /// A short sentence without a full stop.
        text: String,
    },
    /// Answer a `reactor-helper` that waits.
    AnswerHelper {
        /// Its request.
        request: HelperRequestId,
        /// What to tell DRBD.
        answer: HelperAnswer,
    },
    /// The resource is no longer configured: remove its generated files as soon as its target has stopped.
    RetireFiles {
        /// The resource in the manifest.
        resource: ResourceName,
    },
    /// Let the journal reach the disk, because this node may go down hard soon. One second at most, in the background.
    SyncJournal,
    /// Keep this across restarts, in place of what was kept before.
    Remember {
        /// The resource.
        resource: ResourceName,
        /// What to keep; the default means nothing.
        memory: Memory,
    },
    /// Keep across restarts whether this node is drained.
    RememberDrain {
        /// By whom and why; `None` = it is not.
        drain: Option<Hold>,
    },
    /// Keep these across restarts: all storage incidents that are open.
    KeepIncidents(Vec<Arc<Incident>>),
    /// Tell people. That it arrives, also after an outage of the receiver, is the work of whoever carries this out.
    Notify(Box<Message>),
    /// Keep across restarts what a receiver of people's notices was told and what still stands, in place of what was kept of it before.
    KeepStanding {
        /// Its name.
        receiver: String,
        /// What, in words that only the plugin reads.
        standing: Vec<String>,
    },
    /// Answer an operator.
    AnswerOperator {
        /// The request.
        request: OperatorRequestId,
        /// The answer.
        answer: OperatorAnswer,
    },
}

/// What a [`Call`] asks for, and the type of what comes back for it.
pub trait Answered {
    /// What comes back.
    type Outcome: Into<Outcome>;

    /// What comes back for one that nobody will carry out to its end.
    fn given_up(why: &str) -> Self::Outcome;
}

impl Answered for HandlerRun {
    type Outcome = HandlerReport;

    fn given_up(_: &str) -> HandlerReport {
        HandlerReport::of(HandlerEnd::Aborted)
    }
}

impl Answered for UnitCall {
    type Outcome = UnitEnd;

    fn given_up(why: &str) -> UnitEnd {
        UnitEnd::NoBus { why: why.to_owned() }
    }
}

impl Answered for WriteFiles {
    type Outcome = FilesEnd;

    fn given_up(why: &str) -> FilesEnd {
        FilesEnd::Failed { why: why.to_owned() }
    }
}

impl Answered for AskTools {
    type Outcome = DrbdAnswer;

    fn given_up(why: &str) -> DrbdAnswer {
        DrbdAnswer::Failed { why: why.to_owned() }
    }
}

impl Answered for Examine {
    type Outcome = Vec<UnitFinding>;

    fn given_up(_: &str) -> Vec<UnitFinding> {
        Vec::new()
    }
}

/// These generated files, and no others, should be there for the resource; systemd re-reads its units if any differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteFiles {
    /// The resource that they belong to in the manifest.
    pub resource: ResourceName,
    /// All of them.
    pub files: Vec<GeneratedFile>,
}

/// A question or an order to DRBD's tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskTools {
    /// The resource.
    pub resource: ResourceName,
    /// What.
    pub call: DrbdCall,
}

/// A question to systemd and the journal about units that are not up, and about what they need that is not up either. Reads only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examine {
    /// For the log.
    pub resource: ResourceName,
    /// The units.
    pub units: Vec<UnitName>,
}

/// A call to systemd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitCall {
    /// The unit.
    pub unit: UnitName,
    /// What.
    pub verb: UnitVerb,
    /// Units whose failure is reset before a start, in the same go: systemd carries calls out in order.
    pub reset: Vec<UnitName>,
    /// How long to wait for the outcome, the job's included.
    pub deadline: Duration,
    /// For the log.
    pub resource: ResourceName,
}

/// A generated file.
#[derive(Clone, PartialEq, Eq)]
pub struct GeneratedFile {
    /// Where.
    pub place: FilePlace,
    /// The whole content.
    pub content: String,
}

impl std::fmt::Debug for GeneratedFile {
    /// The content of a secret file is not shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let content = match &self.place {
            FilePlace::Unit(_) => self.content.as_str(),
            FilePlace::Secret(_) => "(secret)",
        };
        f.debug_struct("GeneratedFile").field("place", &self.place).field("content", &content).finish()
    }
}

/// Where a generated file goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FilePlace {
    /// Below the unit folder (`/run/systemd/system`), mode 0644, for example `r0.service.d/reactor.conf`.
    Unit(PathBuf),
    /// Below the folder of secrets ([`Host::secrets`](crate::plugin::Host)), mode 0600.
    Secret(PathBuf),
}

/// What can be asked of DRBD's tools. Each has a deadline in the executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrbdCall {
    /// `drbdadm adjust RES`.
    Adjust,
    /// `drbdadm adjust --skip-disk RES`: connections only. With DRBD 8.4, whose drbdadm does not know that, all of it.
    AdjustLinks,
    /// `drbdsetup connect RES ID`: this connection only.
    Connect {
        /// Node id of the peer.
        peer: u32,
    },
    /// `drbdadm sh-ll-dev RES`, and for each path whether it is a block device.
    LowerDevices,
    /// `drbdsetup show --show-defaults --json RES`; with DRBD 8.4 `drbdsetup show RES`.
    Options,
    /// `drbdsetup secondary --force RES`: all I/O fails from now on.
    SecondaryForce,
}

impl DrbdCall {
    /// For logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Adjust => "adjust",
            Self::AdjustLinks => "adjust --skip-disk",
            Self::Connect { .. } => "connect",
            Self::LowerDevices => "sh-ll-dev",
            Self::Options => "show",
            Self::SecondaryForce => "secondary --force",
        }
    }
}

/// What DRBD's tools said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrbdAnswer {
    /// It worked.
    Done,
    /// The lower devices, by volume in the tool's order.
    LowerDevices(Vec<LowerDevice>),
    /// The options.
    Options(Box<DrbdOptions>),
    /// It failed.
    Failed {
        /// What was said, or why it could not be asked, in one line.
        why: String,
    },
}

/// One lower device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LowerDevice {
    /// Its path; `None` = diskless on purpose (`none`).
    pub path: Option<String>,
    /// Whether it is there; true for one that is diskless.
    pub ready: bool,
}

/// Options of a resource that decide how it is run, in DRBD's words. `None` = not printed.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct DrbdOptions {
    /// Our own node id.
    pub node_id: Option<u32>,
    /// `auto-promote`.
    pub auto_promote: Option<bool>,
    /// `quorum`: `off`, `majority`, `all`, or a number.
    pub quorum: Option<String>,
    /// `on-no-quorum`: `io-error` or `suspend-io`.
    pub on_no_quorum: Option<String>,
    /// `on-no-data-accessible`: `io-error` or `suspend-io`.
    pub on_no_data_accessible: Option<String>,
    /// `on-suspended-primary-outdated`: `disconnect` or `force-secondary`.
    pub on_suspended_primary_outdated: Option<String>,
    /// The `fence-peer` handler; `None` = there is none. Read with DRBD 8.4 only, which has nothing but fencing.
    pub fence_peer: Option<String>,
    /// Of each connection; empty when there are none.
    pub connections: Vec<ConnectionOptions>,
}

/// Options of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ConnectionOptions {
    /// The peer's node id; `None` with DRBD 8.4.
    pub peer_node_id: Option<u32>,
    /// The peer's name, if it is known.
    pub name: Option<String>,
    /// `fencing`: `dont-care`, `resource-only`, `resource-and-stonith`.
    pub fencing: Option<String>,
    /// `rr-conflict`.
    pub rr_conflict: Option<String>,
    /// `protocol`: `A`, `B`, `C`.
    pub protocol: Option<String>,
    /// `ping-int`, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping_int: Option<u32>,
    /// `ping-timeout`, in tenths of a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping_timeout: Option<u32>,
}

/// One handler to be run: `/bin/sh -c COMMAND` in a process group of its own, with exactly this environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerRun {
    /// Name of the rule, or what stands for it (`umh.device #2`).
    pub rule: String,
    /// The resource, for the log; the device of a storage event that touches none.
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
    /// What DRBD's tools are asked for before it starts, to be added to its environment.
    pub ask: Option<AskDrbd>,
}

/// What drbdadm tells a handler and no event does: this node's id and name in a resource; with DRBD 8.4 the peer's name and the disks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskDrbd {
    /// The resource.
    pub resource: ResourceName,
    /// The volume, if the call is about one.
    pub volume: Option<Volume>,
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
    Handler(HandlerReport),
    /// A call to systemd ended.
    Unit(UnitEnd),
    /// Generated files were written, or not.
    Files(FilesEnd),
    /// DRBD's tools answered.
    Drbd(DrbdAnswer),
    /// What systemd and the journal say of units; empty if they could not be asked.
    Examined(Vec<UnitFinding>),
}

/// How a handler ended, and what it printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerReport {
    /// How.
    pub end: HandlerEnd,
    /// How long it ran.
    pub took: Duration,
    /// The beginning of its standard output.
    pub stdout: String,
    /// The beginning of its standard error.
    pub stderr: String,
    /// Bytes of both outputs that were not kept.
    pub output_cut_bytes: u64,
}

impl HandlerReport {
    /// One that ended so, at once and without a word.
    pub fn of(end: HandlerEnd) -> Self {
        Self { end, took: Duration::ZERO, stdout: String::new(), stderr: String::new(), output_cut_bytes: 0 }
    }
}

impl From<HandlerReport> for Outcome {
    fn from(report: HandlerReport) -> Self {
        Self::Handler(report)
    }
}

impl From<UnitEnd> for Outcome {
    fn from(end: UnitEnd) -> Self {
        Self::Unit(end)
    }
}

impl From<FilesEnd> for Outcome {
    fn from(end: FilesEnd) -> Self {
        Self::Files(end)
    }
}

impl From<DrbdAnswer> for Outcome {
    fn from(answer: DrbdAnswer) -> Self {
        Self::Drbd(answer)
    }
}

impl From<Vec<UnitFinding>> for Outcome {
    fn from(findings: Vec<UnitFinding>) -> Self {
        Self::Examined(findings)
    }
}

/// What systemd and the journal say of a unit that is not up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct UnitFinding {
    /// Which.
    pub unit: UnitName,
    /// `ActiveState`.
    #[serde(default)]
    pub active: ActiveState,
    /// `Result`, for units that have one.
    #[serde(default)]
    pub result: Option<String>,
    /// Exit code of its main process.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// `Requires`, `Requisite` and `BindsTo`, in the order of their names.
    #[serde(default)]
    pub needs: Vec<UnitName>,
    /// The last lines that it printed itself, oldest first.
    #[serde(default)]
    pub said: Vec<String>,
}

impl UnitFinding {
    /// A unit of which only the name is known.
    pub fn new(unit: UnitName) -> Self {
        let active = ActiveState::default();
        Self { unit, active, result: None, exit_code: None, needs: Vec::new(), said: Vec::new() }
    }
}

/// How the writing of generated files ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FilesEnd {
    /// They were all as wanted.
    Unchanged,
    /// Some were written or removed, and systemd has re-read its units.
    Written,
    /// Something failed; what could be done was done.
    Failed {
        /// What, in one line.
        why: String,
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
