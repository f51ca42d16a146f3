//! Reads what the recorder wrote: the inputs with their times, across the files of a ring.
//!
//! A file that continues the one before adds its inputs; its snapshot is skipped. Where it does not (the first file, inputs
//! were lost, the daemon was restarted) the snapshot is played as a restart of the source, so that what is missing shows as a
//! difference.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reactor_core::ids::Mono;
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
use thiserror::Error;

use super::wire::{FORMAT, Header, JustVersion, Line, Snapshot, VERSION, of_resources, read_line};

/// Why a recording can't be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// A newer program wrote it.
    #[error("{}:{line}: this recording has version {found} of the format, and this program reads up to {VERSION}: use a newer reactorctl", file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// The line.
        line: usize,
        /// Its version.
        found: u32,
    },
    /// A line is no line of a recording.
    #[error("{}:{line}: not a line of a recording", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line.
        line: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// It begins with something else than the header.
    #[error("{}:1: not a recording of this program: the first line does not say \"format\":\"{FORMAT}\"", file.display())]
    Header {
        /// The file.
        file: PathBuf,
    },
}

/// What was read so far.
#[derive(Debug, Default)]
pub struct Reader {
    /// The inputs with their times.
    pub steps: Vec<(Mono, Input)>,
    /// What a person should know about the recording.
    pub notes: Vec<String>,
    /// Wall clock and time of the first line.
    pub start: Option<(jiff::Timestamp, Mono)>,
    /// Name of the node that was recorded first.
    pub node: Option<String>,
    run: Option<String>,
    next_seq: Option<u64>,
    /// Added to the times of the present run, so that time never goes back.
    shift: u64,
}

impl Reader {
    /// Reads one more file.
    pub fn read(&mut self, file: &Path, text: &str) -> Result<(), ReadError> {
        let mut first = true;
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let number = index + 1;
            if line.trim().is_empty() {
                continue;
            }
            let parsed = match read_line(line) {
                Ok(parsed) if parsed.v <= VERSION => parsed,
                Ok(parsed) => return Err(ReadError::Newer { file: file.to_path_buf(), line: number, found: parsed.v }),
                // The recorder was killed, or the disk was full, in the middle of a line: all before it counts.
                Err(_) if !line.ends_with('\n') && !first => {
                    self.notes.push(format!("{}:{number}: the last line is cut off", file.display()));
                    break;
                }
                Err(source) => return Err(broken_line(file, number, line, source)),
            };
            if std::mem::take(&mut first) {
                let header = parsed.header.as_ref().filter(|header| header.format == FORMAT);
                let header = header.ok_or_else(|| ReadError::Header { file: file.to_path_buf() })?;
                self.begin(file, header, &parsed);
            }
            self.line(file, parsed);
        }
        if first { Err(ReadError::Header { file: file.to_path_buf() }) } else { Ok(()) }
    }

    fn begin(&mut self, file: &Path, header: &Header, line: &Line) {
        if self.start.is_none() {
            self.start = line.wall.parse().ok().map(|wall| (wall, Mono(line.at)));
        }
        self.node.get_or_insert_with(|| header.node.clone());
        if self.run.as_ref().is_some_and(|run| *run != header.run) {
            self.notes.push(format!("{}: the daemon was started anew (version {})", file.display(), header.daemon));
            let last = self.last_time();
            self.shift =
                last.after(Duration::from_secs(1)).since(Mono(line.at)).as_nanos().try_into().unwrap_or(u64::MAX);
            self.next_seq = None;
            let mut ended = Vec::new();
            // The new run says itself which other sources it has.
            let heard =
                |source| self.steps.iter().any(|(_, input)| matches!(input, Input::Source(of, _) if *of == source));
            for source in SourceId::ALL.into_iter().filter(|source| *source == SourceId::Drbd || heard(*source)) {
                let why = "the daemon was started anew".to_owned();
                ended.push((last, Input::Source(source, SourceEvent::Ended { why })));
            }
            self.steps.append(&mut ended);
        }
        self.run = Some(header.run.clone());
    }

    fn line(&mut self, file: &Path, line: Line) {
        let at = Mono(line.at.saturating_add(self.shift)).max(self.last_time());
        if let Some(gap) = line.gap {
            self.notes.push(format!("{}: {} inputs are missing before {at}: {}", file.display(), gap.lost, gap.why));
            self.next_seq = None;
        }
        if let Some(snapshot) = line.snapshot
            && self.next_seq != Some(line.seq)
        {
            self.snapshot(at, snapshot);
        }
        if let Some(input) = line.input {
            self.steps.push((at, input.into()));
            self.next_seq = line.seq.checked_add(1);
        }
    }

    fn snapshot(&mut self, at: Mono, snapshot: Snapshot) {
        // What the daemon tells its core before the source begins, in the same order.
        self.steps.extend(snapshot.wall.map(|wall| (at, Input::Wall(wall))));
        self.steps.extend(snapshot.drained.map(|drain| (at, Input::Drained(Some(drain)))));
        if !snapshot.remembered.is_empty() {
            self.steps.push((at, Input::Remembered(of_resources(snapshot.remembered))));
        }
        if !snapshot.units.is_empty() {
            self.steps.push((at, Input::Units(snapshot.units)));
        }
        self.steps.extend(snapshot.bus.map(|bus| (at, Input::Bus(bus))));
        for (source, event) in snapshot.sources {
            if source == SourceId::Drbd {
                self.picture(at, event, snapshot.dialect, snapshot.events2.clone());
            } else {
                self.steps.push((at, Input::Source(source, event)));
            }
        }
    }

    /// What DRBD's source has said so far; before its first word there is no picture.
    fn picture(&mut self, at: Mono, last: SourceEvent, dialect: Dialect, events2: String) {
        let command = match &last {
            SourceEvent::Started { command, .. } => command.clone(),
            SourceEvent::Ended { .. } => "snapshot".to_owned(),
        };
        let started = SourceEvent::Started { command, dialect: Some(dialect) };
        self.steps.push((at, Input::Source(SourceId::Drbd, started)));
        self.steps.push((at, Input::Lines(SourceId::Drbd, events2)));
        self.steps.push((at, Input::BurstEnd(SourceId::Drbd)));
        if matches!(last, SourceEvent::Ended { .. }) {
            self.steps.push((at, Input::Source(SourceId::Drbd, last)));
        }
    }

    fn last_time(&self) -> Mono {
        self.steps.last().map_or(Mono::ZERO, |(at, _)| *at)
    }
}

fn broken_line(file: &Path, line: usize, text: &str, source: serde_json::Error) -> ReadError {
    let file = file.to_path_buf();
    match serde_json::from_str::<JustVersion>(text) {
        Ok(JustVersion { v }) if v > VERSION => ReadError::Newer { file, line, found: v },
        _ => ReadError::Line { file, line, source },
    }
}
