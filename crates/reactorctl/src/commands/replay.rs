//! `reactorctl replay`: the real core on a recording. Nothing is run.
//!
//! How an action ended comes from the recording, if it is one of our recorder that has the outcome of this very action. Any other
//! handler is taken to succeed at once; for systemd and DRBD's tools there is a stand-in, see [`world`].

use std::collections::{BTreeSet, VecDeque};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use reactor_api::WireChange;
use reactor_core::action::{
    Action, ActionKind, AskTools, Call, Done, Effect, Examine, HandlerEnd, HandlerReport, HelperAnswer, Outcome,
    WriteFiles,
};
use reactor_core::api::drbdsetup_status;
use reactor_core::change::Change;
use reactor_core::core::Core;
use reactor_core::drbd::events2::{self, Event};
use reactor_core::ids::{ActionId, Mono};
use reactor_core::input::{Input, SourceId};
use reactor_core::notice::Message;
use reactor_core::operator::WallClock;
use reactor_core::plugin::Host;
use reactor_core::settings::{Detail, Settings};
use reactor_sys::drbd::playback::Recording;

use crate::cli::Place;
use crate::commands::Run;
use crate::config;
use crate::exit::{Exit, Failure};
use crate::style::{BAD, DIM, END, count, harmless};

mod world;

use world::World;

/// Deadlines that are followed in a row before time goes on by itself: a plugin that never gets further must not hang us.
const MAX_TICKS: usize = 100_000;

/// Larger files are not what `drbdsetup show` printed.
const MAX_SHOWN: u64 = 16 << 20;

/// Show what the daemon would have done with a recording
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// Output of `drbdsetup events2` (a file NAME.chunks beside it gives the times), or files of the recorder or their folder;
    /// several are played one after the other, as if events2 had been started again between them
    #[arg(value_name = "RECORDING", required = true)]
    pub recordings: Vec<PathBuf>,

    /// Print the state at the end in the form of `drbdsetup status --json --verbose --statistics`, and nothing else
    #[arg(long = "final")]
    pub final_state: bool,

    /// Print state changes too, between the decisions; without --config they are all there is
    #[arg(long)]
    pub changes: bool,
}

impl Run for ReplayArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let recording = Recording::open_all(&self.recordings)?;
        if !is_recording(&recording) {
            return Err(Failure::NoRecording { file: self.recordings.first().cloned().unwrap_or_default() });
        }
        let mut replay = Replay::new(&recording, self, out);
        if place.config_given && !self.final_state {
            let (settings, report) = config::settings(place)?;
            if !report.is_empty() {
                writeln!(replay.out, "{report}\n")?;
            }
            replay.begin(&settings)?;
        }
        replay.play()?;
        Ok(Exit::Ok)
    }

    fn asks_one_daemon(&self) -> bool {
        false
    }
}

/// Whether there is anything in it that a recording has: an event, or an input of our recorder.
fn is_recording(recording: &Recording) -> bool {
    let is_event =
        |line: &str| matches!(events2::parse(line), Ok(line) if !matches!(line.event, Event::Unknown { .. }));
    let says = |input: &Input| match input {
        Input::Lines(SourceId::Drbd, text) => text.lines().any(is_event),
        Input::BurstEnd(_) | Input::Source(..) | Input::Tick => false,
        _ => true,
    };
    recording.node().is_some() || recording.steps().any(|(_, input)| says(input))
}

struct Replay<'a> {
    core: Core,
    recording: &'a Recording,
    /// Print changes.
    changes: bool,
    /// Print nothing but the state at the end.
    final_state: bool,
    decisions: u64,
    /// Actions whose outcome the recording has.
    recorded: BTreeSet<ActionId>,
    /// Plays what the recording does not have.
    world: World,
    /// What `drbdsetup show` printed, if somebody kept it beside the recording.
    shown: Vec<String>,
    out: &'a mut dyn Write,
}

impl<'a> Replay<'a> {
    fn new(recording: &'a Recording, args: &ReplayArgs, out: &'a mut dyn Write) -> Self {
        let mut core = Core::new();
        core.set_follow(Some(Detail::State));
        let outcomes = recording.steps().filter_map(|(_, input)| match input {
            Input::Done(done) => Some(done.id),
            _ => None,
        });
        let recorded = outcomes.collect();
        let shown = args.recordings.iter().filter_map(|file| shown_beside(file)).collect();
        Self {
            core,
            recording,
            changes: args.changes,
            final_state: args.final_state,
            decisions: 0,
            recorded,
            world: World::default(),
            shown,
            out,
        }
    }

    /// Everything before the first input: the configuration, and what only a recording of ours tells.
    fn begin(&mut self, settings: &Settings) -> Result<(), Failure> {
        let start = self.recording.steps().next().map_or(Mono::ZERO, |(at, _)| at);
        let node = self.recording.node().map(str::to_owned).or_else(|| settings.daemon.node_name.clone());
        self.core.set_host(Host { node: node.unwrap_or_default(), ..Host::default() });
        let mut actions = Vec::new();
        self.core.configure(start, settings, &mut actions);
        let has = |wanted: fn(&Input) -> bool| self.recording.steps().any(|(_, input)| wanted(input));
        let mut first = Vec::new();
        if !has(|input| matches!(input, Input::Wall(_)))
            && let Some(wall) = self.recording.wall(start)
        {
            let unix_ms = u64::try_from(wall.as_millisecond()).unwrap_or_default();
            first.push(Input::Wall(WallClock { unix_ms, utc_offset_s: 0 }));
        }
        if !has(|input| matches!(input, Input::Bus(_))) && !self.core.promoted(start).is_empty() {
            first.extend(self.world.begin(&self.core, std::mem::take(&mut self.shown)));
        }
        self.decisions(start, actions)?;
        first.iter().try_for_each(|input| self.step(start, input))
    }

    fn play(mut self) -> Result<(), Failure> {
        for (now, input) in self.recording.steps() {
            self.deadlines_until(now)?;
            self.step(now, input)?;
            self.look(now)?;
        }
        self.end()
    }

    /// The stand-in sees what the recording says.
    fn look(&mut self, now: Mono) -> Result<(), Failure> {
        for input in self.world.look(now, &self.core) {
            if let Input::Done(Done { outcome: Outcome::Unit(end), .. }) = &input {
                let time = self.time(now);
                writeln!(self.out, "{DIM}{time}  stand-in: the start ended: {end}{END}")?;
            }
            self.step(now, &input)?;
        }
        Ok(())
    }

    fn step(&mut self, now: Mono, input: &Input) -> Result<(), Failure> {
        let mut actions = Vec::new();
        self.core.step(now, input, &mut actions);
        if self.final_state {
            return Ok(());
        }
        if self.changes || self.core.instances().is_empty() {
            let changes: Vec<Change> = self.core.changes().iter().filter(|change| change.is_state()).cloned().collect();
            for change in &changes {
                let time = self.time(now);
                writeln!(self.out, "{DIM}{time}{END}  {}", harmless(&WireChange::from(change).to_string()))?;
            }
        }
        self.decisions(now, actions)
    }

    /// Lets time pass until `now`: everything that is due before is decided when it is due.
    fn deadlines_until(&mut self, now: Mono) -> Result<(), Failure> {
        for _ in 0..MAX_TICKS {
            let deadlines = [self.core.next_deadline(), self.world.next_deadline()];
            match deadlines.into_iter().flatten().min() {
                Some(deadline) if deadline < now => {
                    self.step(deadline, &Input::Tick)?;
                    self.look(deadline)?;
                }
                _ => break,
            }
        }
        Ok(())
    }

    fn decisions(&mut self, now: Mono, actions: Vec<Action>) -> Result<(), Failure> {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            self.print(now, &action)?;
            if self.recorded.contains(&action.id) {
                continue;
            }
            let follows = match &action.kind {
                ActionKind::Call(Call::Handler(_)) => vec![Input::Done(Done { id: action.id, outcome: success() })],
                kind if self.world.is_playing() => self.world.carry_out(now, action.id, kind),
                _ => Vec::new(),
            };
            for input in follows {
                let mut next = Vec::new();
                self.core.step(now, &input, &mut next);
                actions.extend(next);
            }
        }
        Ok(())
    }

    fn print(&mut self, now: Mono, action: &Action) -> Result<(), Failure> {
        // Said by the notices that it follows from.
        if matches!(action.kind, ActionKind::Effect(Effect::KeepStanding { .. })) {
            return Ok(());
        }
        let time = self.time(now);
        let kind = match &action.kind {
            ActionKind::Call(Call::Handler(run)) => {
                let text = format!("{} for {}: {}", run.rule, run.resource, first_line(&run.command));
                format!("run handler {}", harmless(&text))
            }
            ActionKind::Effect(Effect::Print(change)) => {
                format!("print {}", harmless(&WireChange::from(&**change).to_string()))
            }
            ActionKind::Effect(Effect::Note { text, .. }) => format!("note: {}", harmless(text)),
            ActionKind::Effect(Effect::AnswerHelper { answer: HelperAnswer::Exit { code, rule }, .. }) => {
                format!("answer DRBD's helper with exit code {code} (rule {rule})")
            }
            ActionKind::Effect(Effect::AnswerHelper { answer: HelperAnswer::Fallback { why }, .. }) => {
                format!("let drbdadm answer DRBD's helper: {why}")
            }
            ActionKind::Call(Call::Unit(call)) => format!("{} {}", call.verb.as_str(), harmless(call.unit.as_str())),
            ActionKind::Call(Call::Files(WriteFiles { resource, files })) => {
                format!("write {} unit files of {}", files.len(), harmless(resource.as_str()))
            }
            ActionKind::Effect(Effect::RetireFiles { resource }) => {
                format!("remove the unit files of {}", harmless(resource.as_str()))
            }
            ActionKind::Call(Call::Drbd(AskTools { resource, call })) => {
                format!("ask DRBD: {} {}", call.as_str(), harmless(resource.as_str()))
            }
            ActionKind::Call(Call::Examine(Examine { units, .. })) => {
                let units: Vec<&str> = units.iter().map(reactor_core::ids::UnitName::as_str).collect();
                format!("ask systemd why {} is not up", harmless(&units.join(", ")))
            }
            ActionKind::Effect(Effect::SyncJournal) => "let the journal reach the disk".to_owned(),
            ActionKind::Effect(Effect::Remember { resource, .. }) => {
                format!("remember the state of {}", harmless(resource.as_str()))
            }
            ActionKind::Effect(Effect::RememberDrain { drain }) => match drain {
                Some(_) => "remember that this node is drained".to_owned(),
                None => "remember that this node is no longer drained".to_owned(),
            },
            ActionKind::Effect(Effect::KeepIncidents(open)) => {
                format!("remember {} open storage incidents", open.len())
            }
            ActionKind::Effect(Effect::KeepStanding { receiver, standing }) => {
                format!("remember that {} was told of {} things that stand", harmless(receiver), standing.len())
            }
            ActionKind::Effect(Effect::Notify(message)) => {
                format!("tell {}: {}", harmless(&message.receiver), harmless(&message.title()))
            }
            ActionKind::Effect(Effect::AnswerOperator { .. }) => "answer an operator".to_owned(),
        };
        writeln!(self.out, "{DIM}{time}{END}  {kind}")?;
        if matches!(action.kind, ActionKind::Effect(Effect::Print(_)) | ActionKind::Effect(Effect::Note { .. })) {
            return Ok(());
        }
        self.decisions += 1;
        if let ActionKind::Effect(Effect::Notify(message)) = &action.kind {
            return self.notices(message, time.len());
        }
        for reason in &action.because {
            writeln!(self.out, "{:>width$}  because {}", "", harmless(&reason.0), width = time.len())?;
        }
        Ok(())
    }

    /// What a message tells.
    fn notices(&mut self, message: &Message, width: usize) -> Result<(), Failure> {
        for notice in &message.notices {
            let (severity, what) = (notice.severity, harmless(&notice.what));
            writeln!(self.out, "{:>width$}  - {severity} {what}: {}", "", harmless(&notice.text))?;
            for reason in &notice.because {
                writeln!(self.out, "{:>width$}    because {}", "", harmless(reason))?;
            }
        }
        if message.left_out > 0 {
            writeln!(self.out, "{:>width$}  - and {} more that are left out", "", message.left_out)?;
        }
        Ok(())
    }

    /// Since the beginning; a recording without times has only zeros.
    fn time(&self, now: Mono) -> String {
        format!("{:>10}", format!("+{now}"))
    }

    fn end(mut self) -> Result<(), Failure> {
        let node = self.core.node();
        if self.final_state {
            let resources = drbdsetup_status::of_node(node);
            let text = serde_json::to_string_pretty(&resources).map_err(|source| Failure::Answer { source })?;
            writeln!(self.out, "{text}")?;
            return Ok(());
        }
        for note in self.core.node_mut().reports_mut().take_notes() {
            writeln!(self.out, "{BAD}{:?}{END}: {}", note.level, harmless(&note.text))?;
        }
        if self.world.is_playing() {
            writeln!(self.out, "note: systemd and DRBD's tools are not in the recording; a stand-in played them")?;
        }
        let counters = self.core.counters();
        for note in self.recording.notes() {
            writeln!(self.out, "note: {}", harmless(note))?;
        }
        let start = self.recording.steps().next().and_then(|(first, _)| self.recording.wall(first));
        let start = start.map(|start| format!(", beginning at {start:.3}")).unwrap_or_default();
        writeln!(
            self.out,
            "{}, {}, {}, {}{start}",
            count(counters.lines, "line"),
            count(counters.bursts, "burst"),
            count(counters.changes, "change"),
            count(self.decisions, "decision"),
        )?;
        if let Some(deadline) = self.core.next_deadline() {
            let last = self.recording.steps().last().map_or(Mono::ZERO, |(time, _)| time);
            let after = deadline.since(last).as_secs_f64();
            writeln!(self.out, "the recording ends {after:.1} s before the next decision is due")?;
        }
        Ok(())
    }
}

/// A handler that did what it should, at once.
fn success() -> Outcome {
    Outcome::Handler(HandlerReport {
        end: HandlerEnd::Exited(0),
        took: Duration::ZERO,
        stdout: String::new(),
        stderr: String::new(),
        output_cut_bytes: 0,
    })
}

/// `FILE.show.json`, if it is there.
fn shown_beside(file: &Path) -> Option<String> {
    let mut name = file.as_os_str().to_owned();
    name.push(".show.json");
    let beside = PathBuf::from(name);
    // Nothing that has no end.
    std::fs::metadata(&beside).ok().filter(|meta| meta.is_file() && meta.len() < MAX_SHOWN)?;
    std::fs::read_to_string(beside).ok()
}

fn first_line(command: &str) -> &str {
    command.trim().lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
