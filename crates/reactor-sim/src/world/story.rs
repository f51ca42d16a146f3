//! What happened in a world, in order, for people: faults, DRBD's bursts, decisions with their reasons, systemd's doings.

use std::fmt::Write;

use reactor_core::action::{Action, ActionKind, AskTools, Call, Effect, Examine, WriteFiles};
use reactor_core::ids::Mono;

use crate::drbd9::NodeIx;

use super::plan::NODES;
use super::run::World;

/// The story, if it is wanted.
#[derive(Debug)]
pub(super) struct Story {
    on: bool,
    text: String,
}

impl Story {
    pub(super) fn new(on: bool) -> Self {
        Self { on, text: String::new() }
    }

    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn line(&mut self, at: Mono, who: &str, what: &str) {
        if self.on {
            let _ = writeln!(self.text, "{:>12}  {who:<5} {what}", at.to_string());
        }
    }
}

/// Keys of events2 that say nothing to a reader of a story.
const NOISE: [&str; 26] = [
    "minor:",
    "written:",
    "read:",
    "al-writes:",
    "bm-writes:",
    "upper-pending:",
    "lower-pending:",
    "size:",
    "rs-",
    "ov-",
    "backing_dev:",
    "congested:",
    "ap-in-flight:",
    "received:",
    "sent:",
    "out-of-sync:",
    "pending:",
    "unacked:",
    "client:",
    "peer-client:",
    "dbdt",
    "eta:",
    "want:",
    "al-suspended:",
    "blocked:",
    "tls:",
];

impl World {
    /// The story so far.
    pub fn story(&self) -> &str {
        self.story.text()
    }

    pub(super) fn tell_story(&mut self, node: NodeIx, what: &str) {
        if self.story.on {
            self.story.line(self.now, NODES[node], what);
        }
    }

    pub(super) fn tell_fault(&mut self, what: &str) {
        self.story.line(self.now, "FAULT", what);
    }

    pub(super) fn tell_burst(&mut self, node: NodeIx, text: &str) {
        if !self.story.on {
            return;
        }
        for line in text.lines().filter(|line| !line.contains(" path ")) {
            let words = line.split(' ').skip(1).filter(|word| !NOISE.iter().any(|noise| word.starts_with(noise)));
            let words: Vec<&str> = words.collect();
            self.story.line(self.now, NODES[node], &format!("  drbd: {}", words.join(" ")));
        }
    }

    pub(super) fn tell_decision(&mut self, node: NodeIx, action: &Action) {
        if !self.story.on {
            return;
        }
        let what = match &action.kind {
            ActionKind::Call(Call::Unit(call)) if call.reset.is_empty() => {
                format!("{} {}", call.verb.as_str(), call.unit)
            }
            ActionKind::Call(Call::Unit(call)) => {
                format!("{} {} (reset: {:?})", call.verb.as_str(), call.unit, call.reset)
            }
            ActionKind::Call(Call::Drbd(AskTools { resource, call })) => format!("{} {resource}", call.as_str()),
            ActionKind::Call(Call::Files(WriteFiles { resource, .. })) => format!("write files of {resource}"),
            ActionKind::Effect(Effect::RetireFiles { resource }) => format!("retire files of {resource}"),
            ActionKind::Effect(Effect::Note { text, .. }) => format!("note: {text}"),
            ActionKind::Effect(Effect::Remember { resource, memory }) => format!("remember {resource}: {memory:?}"),
            ActionKind::Effect(Effect::RememberDrain { drain }) => format!("remember drain: {drain:?}"),
            ActionKind::Effect(Effect::KeepIncidents(open)) => format!("keep {} incidents", open.len()),
            ActionKind::Effect(Effect::KeepStanding { receiver, standing }) => {
                format!("keep what {receiver} was told: {}", standing.len())
            }
            ActionKind::Effect(Effect::Notify(message)) => format!("tell {}: {}", message.receiver, message.title()),
            ActionKind::Effect(Effect::AnswerOperator { answer, .. }) => format!("answer: {answer:?}"),
            ActionKind::Call(Call::Handler(run)) => format!("run {}", run.command),
            ActionKind::Call(Call::Examine(Examine { units, .. })) => {
                format!("ask why {} is not up", units.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
            }
            ActionKind::Effect(Effect::Print(_))
            | ActionKind::Effect(Effect::AnswerHelper { .. })
            | ActionKind::Effect(Effect::SyncJournal) => return,
        };
        self.story.line(self.now, NODES[node], &format!("=> {what}"));
        if matches!(action.kind, ActionKind::Call(Call::Unit(_) | Call::Drbd(_))) {
            for reason in &action.because {
                self.story.line(self.now, NODES[node], &format!("   because {reason}"));
            }
        }
    }
}
