//! How a recording is written: one JSON object per line. The types here are the format; the core's own types may change freely.
//!
//! `docs/recordings.md` describes the format and its rules of compatibility. Within a version fields are only added, and a reader
//! ignores those that it does not know; anything else needs a new [`VERSION`].

use std::sync::Arc;
use std::time::Duration;

use reactor_core::action::{
    Done, DrbdAnswer, FilesEnd, HandlerEnd, HandlerReport, HelperCall, HelperRequestId, Outcome, UnitFinding,
};
use reactor_core::ids::{ActionId, Mono, ResourceName};
use reactor_core::input::{Boot, Dialect, Input, Record, Said, SourceEvent, SourceId};
use reactor_core::operator::{Hold, Memory, OperatorRequest, WallClock};
use reactor_core::subject::Subject;
use reactor_core::systemd::{BusEvent, UnitEnd, UnitNews};
use reactor_storage::incidents::Incident;
use serde::{Deserialize, Serialize};

use super::{Present, v1};

/// The version that this program writes, and the newest that it reads.
pub const VERSION: u32 = 2;

/// What the header of every file says.
pub const FORMAT: &str = "storage-reactor-recording";

/// One line; the types are those of its version ([`read_line`] gives the present ones). Exactly one of the last four is there.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line<S = Snapshot, I = WireInput> {
    /// Version of the format.
    pub(crate) v: u32,
    /// Number of this input, or of the next one.
    pub(crate) seq: u64,
    /// Nanoseconds since the daemon started.
    pub(crate) at: u64,
    /// Wall clock, RFC 3339.
    pub(crate) wall: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) header: Option<Header>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) gap: Option<Gap>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) snapshot: Option<S>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) input: Option<I>,
}

/// Reads a line of any version up to ours; of a newer one what can be read.
pub(crate) fn read_line(text: &str) -> serde_json::Result<Line> {
    match serde_json::from_str::<JustVersion>(text)?.v {
        0 | 1 => {
            let Line { v, seq, at, wall, header, gap, snapshot, input } =
                serde_json::from_str::<Line<v1::Snapshot, v1::WireInput>>(text)?;
            let (snapshot, input) = (snapshot.map(Into::into), input.map(Into::into));
            Ok(Line { v, seq, at, wall, header, gap, snapshot, input })
        }
        _ => serde_json::from_str(text),
    }
}

/// Only the version: read first from a line that can't be read.
#[derive(Deserialize)]
pub(crate) struct JustVersion {
    pub(crate) v: u32,
}

/// First line of every file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) format: String,
    /// Version of the daemon.
    pub(crate) daemon: String,
    /// Name of the node.
    pub(crate) node: String,
    /// When this run of the recorder began; files with the same one belong together.
    pub(crate) run: String,
}

/// Inputs are missing here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Gap {
    /// How many.
    pub(crate) lost: u64,
    /// Why.
    pub(crate) why: String,
}

/// The snapshot before the next input, so that the file can be replayed by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// What each source last said; nothing before its first word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) sources: Vec<(SourceId, SourceEvent)>,
    /// What the lines of DRBD's source can say.
    pub(crate) dialect: Dialect,
    /// The snapshot as lines of events2; ends with `exists -`.
    pub(crate) events2: String,
    /// The followed units.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) units: Vec<UnitNews>,
    /// What the bus last said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bus: Option<BusEvent>,
    /// The wall clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) wall: Option<WallClock>,
    /// What would be remembered across a restart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) remembered: Vec<(Subject, Memory)>,
    /// An operator has drained this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) drained: Option<Hold>,
}

impl Snapshot {
    pub(crate) fn new(sources: Vec<(SourceId, SourceEvent)>, dialect: Dialect, present: Present) -> Self {
        let Present { events2, units, bus, wall, remembered, drained } = present;
        Self { sources, dialect, events2, units, bus, wall, remembered: with_subjects(remembered), drained }
    }
}

/// Today only DRBD resources are remembered.
pub(crate) fn with_subjects(memories: Vec<(ResourceName, Memory)>) -> Vec<(Subject, Memory)> {
    memories.into_iter().map(|(name, memory)| (Subject::Resource(name), memory)).collect()
}

/// The other way round. What is remembered of anything else is for a newer program.
pub(crate) fn of_resources(memories: Vec<(Subject, Memory)>) -> Vec<(ResourceName, Memory)> {
    memories.into_iter().filter_map(|(subject, memory)| Some((subject.resource()?.clone(), memory))).collect()
}

/// An [`Input`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WireInput {
    Source(SourceId, SourceEvent),
    Lines(SourceId, String),
    BurstEnd(SourceId),
    Records(SourceId, Vec<Record>),
    Done(WireDone),
    HelperCall(WireHelperCall),
    Units(Vec<UnitNews>),
    Bus(BusEvent),
    Wall(WallClock),
    Remembered(Vec<(Subject, Memory)>),
    Drained(Option<Hold>),
    Incidents(Vec<Arc<Incident>>, Boot),
    Standing(Vec<(String, Vec<String>)>),
    Said(Said),
    Operator(OperatorRequest),
    Exit,
    Tick,
}

/// A [`Done`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct WireDone {
    id: u64,
    outcome: WireOutcome,
}

/// An [`Outcome`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WireOutcome {
    #[serde(rename_all = "kebab-case")]
    Handler {
        end: WireEnd,
        took_ns: u64,
        stdout: String,
        stderr: String,
        output_cut_bytes: u64,
    },
    Unit(UnitEnd),
    Files(FilesEnd),
    Drbd(DrbdAnswer),
    Examined(Vec<UnitFinding>),
}

/// A [`HandlerEnd`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WireEnd {
    Exited(i32),
    Signalled(i32),
    TimedOut,
    Aborted,
    NotStarted(String),
}

/// A [`HelperCall`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct WireHelperCall {
    request: u64,
    helper: String,
    object: String,
    env: Vec<(String, String)>,
    deadline: u64,
}

impl From<&Input> for WireInput {
    fn from(input: &Input) -> Self {
        match input {
            Input::Source(source, event) => Self::Source(*source, event.clone()),
            Input::Lines(source, text) => Self::Lines(*source, text.clone()),
            Input::BurstEnd(source) => Self::BurstEnd(*source),
            Input::Records(source, records) => Self::Records(*source, records.clone()),
            Input::Done(done) => Self::Done(done.into()),
            Input::HelperCall(call) => Self::HelperCall(call.into()),
            Input::Units(news) => Self::Units(news.clone()),
            Input::Bus(event) => Self::Bus(event.clone()),
            Input::Wall(wall) => Self::Wall(*wall),
            Input::Remembered(memories) => Self::Remembered(with_subjects(memories.clone())),
            Input::Drained(drain) => Self::Drained(drain.clone()),
            Input::Incidents(open, boot) => Self::Incidents(open.clone(), *boot),
            Input::Standing(standing) => Self::Standing(standing.clone()),
            Input::Said(said) => Self::Said(said.clone()),
            Input::Operator(request) => Self::Operator(request.clone()),
            Input::Exit => Self::Exit,
            Input::Tick => Self::Tick,
        }
    }
}

impl From<WireInput> for Input {
    fn from(input: WireInput) -> Self {
        match input {
            WireInput::Source(source, event) => Self::Source(source, event),
            WireInput::Lines(source, text) => Self::Lines(source, text),
            WireInput::BurstEnd(source) => Self::BurstEnd(source),
            WireInput::Records(source, records) => Self::Records(source, records),
            WireInput::Done(done) => Self::Done(done.into()),
            WireInput::HelperCall(call) => Self::HelperCall(call.into()),
            WireInput::Units(news) => Self::Units(news),
            WireInput::Bus(event) => Self::Bus(event),
            WireInput::Wall(wall) => Self::Wall(wall),
            WireInput::Remembered(memories) => Self::Remembered(of_resources(memories)),
            WireInput::Drained(drain) => Self::Drained(drain),
            WireInput::Incidents(open, boot) => Self::Incidents(open, boot),
            WireInput::Standing(standing) => Self::Standing(standing),
            WireInput::Said(said) => Self::Said(said),
            WireInput::Operator(request) => Self::Operator(request),
            WireInput::Exit => Self::Exit,
            WireInput::Tick => Self::Tick,
        }
    }
}

impl From<&Done> for WireDone {
    fn from(done: &Done) -> Self {
        let outcome = match &done.outcome {
            Outcome::Handler(HandlerReport { end, took, stdout, stderr, output_cut_bytes }) => WireOutcome::Handler {
                end: end.into(),
                took_ns: u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
                stdout: stdout.clone(),
                stderr: stderr.clone(),
                output_cut_bytes: *output_cut_bytes,
            },
            Outcome::Unit(end) => WireOutcome::Unit(end.clone()),
            Outcome::Files(end) => WireOutcome::Files(end.clone()),
            Outcome::Drbd(answer) => WireOutcome::Drbd(answer.clone()),
            Outcome::Examined(findings) => WireOutcome::Examined(findings.clone()),
        };
        Self { id: done.id.0, outcome }
    }
}

impl From<WireDone> for Done {
    fn from(done: WireDone) -> Self {
        let outcome = match done.outcome {
            WireOutcome::Handler { end, took_ns, stdout, stderr, output_cut_bytes } => {
                Outcome::Handler(HandlerReport {
                    end: end.into(),
                    took: Duration::from_nanos(took_ns),
                    stdout,
                    stderr,
                    output_cut_bytes,
                })
            }
            WireOutcome::Unit(end) => Outcome::Unit(end),
            WireOutcome::Files(end) => Outcome::Files(end),
            WireOutcome::Drbd(answer) => Outcome::Drbd(answer),
            WireOutcome::Examined(findings) => Outcome::Examined(findings),
        };
        Self { id: ActionId(done.id), outcome }
    }
}

impl From<&HandlerEnd> for WireEnd {
    fn from(end: &HandlerEnd) -> Self {
        match end {
            HandlerEnd::Exited(code) => Self::Exited(*code),
            HandlerEnd::Signalled(signal) => Self::Signalled(*signal),
            HandlerEnd::TimedOut => Self::TimedOut,
            HandlerEnd::Aborted => Self::Aborted,
            HandlerEnd::NotStarted { error } => Self::NotStarted(error.clone()),
        }
    }
}

impl From<WireEnd> for HandlerEnd {
    fn from(end: WireEnd) -> Self {
        match end {
            WireEnd::Exited(code) => Self::Exited(code),
            WireEnd::Signalled(signal) => Self::Signalled(signal),
            WireEnd::TimedOut => Self::TimedOut,
            WireEnd::Aborted => Self::Aborted,
            WireEnd::NotStarted(error) => Self::NotStarted { error },
        }
    }
}

impl From<&HelperCall> for WireHelperCall {
    fn from(call: &HelperCall) -> Self {
        Self {
            request: call.request.0,
            helper: call.helper.clone(),
            object: call.object.clone(),
            env: call.env.clone(),
            deadline: call.deadline.0,
        }
    }
}

impl From<WireHelperCall> for HelperCall {
    fn from(call: WireHelperCall) -> Self {
        Self {
            request: HelperRequestId(call.request),
            helper: call.helper,
            object: call.object,
            env: call.env,
            deadline: Mono(call.deadline),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_were_told_and_what_the_daemon_says_are_recorded_as_they_are() {
        let standing = vec![("chat".to_owned(), vec!["connection-lost r0 peer 1".to_owned()])];
        let said = Said {
            severity: reactor_core::history::Severity::Error,
            what: "the configuration has errors".to_owned(),
            because: vec!["a.toml:1:1: error".to_owned()],
        };
        for input in [Input::Standing(standing), Input::Said(said)] {
            let text = serde_json::to_string(&WireInput::from(&input)).expect("JSON");
            let again: WireInput = serde_json::from_str(&text).expect("the same");
            assert_eq!(Input::from(again), input, "{text}");
        }
    }
}
