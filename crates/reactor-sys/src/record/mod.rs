//! The recorder: writes every input of the core to a ring of files, so that an outage can be replayed and made a test.
//!
//! ```text
//!  loop ─ record(now, input) ─▶ bounded queue ─▶ own thread ─▶ recording-00000017.jsonl   (the ring: the oldest go)
//! ```
//!
//! Recording never holds up the loop. When the queue is full or the disk refuses, inputs are dropped and counted, that is logged
//! once, and nothing else suffers. After a loss a new file is begun: a line that says how many inputs are missing, then the
//! present snapshot. So every file replays by itself, and no replay continues over a hole.
//!
//! Recordings hold host names, addresses, and what handlers print: folder 0700, files 0600.

pub mod read;
pub mod ring;
mod v1;
pub mod wire;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use reactor_core::core::Core;
use reactor_core::ids::{Mono, ResourceName, UnitName};
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
use reactor_core::operator::{Hold, Memory, WallClock};
use reactor_core::systemd::{BusEvent, BusState, UnitNews, UnitState};
use tracing::{info, warn};

use ring::Ring;
use wire::{FORMAT, Gap, Header, Line, Snapshot, VERSION, WireInput};

/// Bytes that may wait for the disk. More is dropped.
const MAX_QUEUED_BYTES: usize = 16 * 1024 * 1024;

/// After a loss a new file is tried this often.
const RETRY: Duration = Duration::from_secs(1);

/// What to record.
#[derive(Clone, Debug)]
pub struct RecorderOptions {
    /// A new file is begun when one has this many bytes beyond its snapshot.
    pub max_file_bytes: u64,
    /// How many files are kept, the one being written included.
    pub max_files: u32,
    /// Name of this node, for the header.
    pub node_name: String,
    /// Version of the daemon, for the header.
    pub daemon_version: String,
}

/// The present, so that a file replays by itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Present {
    /// DRBD as lines of events2, ending with `exists -`.
    pub events2: String,
    /// The followed units.
    pub units: Vec<UnitNews>,
    /// What the bus last said; `None` before its first word.
    pub bus: Option<BusEvent>,
    /// The wall clock now.
    pub wall: Option<WallClock>,
    /// What would be remembered across a restart.
    pub remembered: Vec<(ResourceName, Memory)>,
    /// An operator has drained this node.
    pub drained: Option<Hold>,
}

impl From<String> for Present {
    /// DRBD alone.
    fn from(events2: String) -> Self {
        Self { events2, ..Self::default() }
    }
}

impl Present {
    /// What `core` knows, at a moment when the wall clock shows `wall`.
    pub fn of(core: &Core, wall: Option<WallClock>, remembered: Vec<(ResourceName, Memory)>) -> Self {
        let units = core.node().units();
        // Told in a recording, a unit counts as the present: one that is late must not.
        let present =
            |(unit, _): &(&UnitName, &UnitState)| *units.bus() != BusState::Up || units.is_told(unit.as_str());
        Self {
            events2: core.node().to_events2(),
            units: units
                .iter()
                .filter(present)
                .map(|(unit, state)| UnitNews { unit: unit.clone(), state: state.clone() })
                .collect(),
            bus: match units.bus() {
                BusState::Unknown => None,
                BusState::Up => Some(BusEvent::Up),
                BusState::Down { why, .. } => Some(BusEvent::Down { why: why.clone() }),
            },
            wall,
            remembered,
            drained: core.drained().cloned(),
        }
    }
}

/// How the recorder is doing, for status and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecorderStatus {
    /// Inputs written.
    pub written: u64,
    /// Inputs that were dropped.
    pub lost: u64,
    /// Why nothing can be written at this moment.
    pub failing: Option<String>,
}

/// The recorder. The loop owns it and calls [`record`](Self::record) before each step.
pub struct Recorder {
    options: RecorderOptions,
    run: String,
    to_writer: Option<Sender<Message>>,
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
    seq: u64,
    /// Bytes of the present file; `None` = a new file is needed.
    file_bytes: Option<u64>,
    /// At how many bytes the present file is full.
    full_at: u64,
    /// Not before this a new file is tried after a loss.
    retry_at: Mono,
    /// What each source last said.
    sources: BTreeMap<SourceId, SourceEvent>,
    dialect: Dialect,
    /// Within the first dump of DRBD's source, or within one of its bursts: no place to begin a file.
    in_dump: bool,
    in_burst: bool,
}

#[derive(Default)]
struct Shared {
    queued_bytes: AtomicUsize,
    written: AtomicU64,
    lost: AtomicU64,
    /// The writer has dropped something: it waits for a new file.
    broken: AtomicBool,
    failing: Mutex<Option<String>>,
}

/// For the writer. Both are whole lines.
enum Message {
    /// Begin a new file with `head`; then `gap` if inputs are missing, then the rest.
    File { head: String, first_seq: u64, stamp: Stamp, rest: String },
    /// One more input.
    Append(String),
}

#[derive(Clone)]
struct Stamp {
    at: u64,
    wall: String,
}

impl Recorder {
    /// Starts the thread that writes to `ring`. No file is made before the first input.
    pub fn start(options: RecorderOptions, ring: Box<dyn Ring>) -> Self {
        let shared = Arc::new(Shared::default());
        let (to_writer, messages) = channel();
        let writer = Writer {
            ring,
            file: None,
            next_seq: None,
            why: None,
            shared: Arc::clone(&shared),
            max_files: options.max_files,
        };
        let spawned = std::thread::Builder::new().name("recorder".to_owned()).spawn(move || writer.run(&messages));
        let (to_writer, writer) = match spawned {
            Ok(thread) => (Some(to_writer), Some(thread)),
            Err(error) => {
                warn!(%error, "can't start the recorder: nothing is recorded");
                *shared.failing.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
                (None, None)
            }
        };
        Self {
            options,
            run: format!("{}-{}", wall_now(), std::process::id()),
            to_writer,
            shared,
            writer,
            seq: 0,
            file_bytes: None,
            full_at: 0,
            retry_at: Mono::ZERO,
            sources: BTreeMap::new(),
            dialect: Dialect::default(),
            in_dump: false,
            in_burst: false,
        }
    }

    /// Records one input. Call it before the step, so that `present` is the state that the input meets; it is called only when a
    /// file begins. Never blocks.
    pub fn record<P: Into<Present>>(&mut self, now: Mono, input: &Input, present: impl FnOnce() -> P) {
        let seq = self.seq;
        self.seq += 1;
        if self.shared.broken.load(Ordering::Acquire) {
            if self.file_bytes.take().is_some() {
                self.retry_at = now.after(RETRY);
            }
        } else if self.file_bytes.is_some_and(|bytes| self.is_full(bytes)) {
            self.file_bytes = None;
        }
        let sent = self.send(now, seq, input, || present().into());
        if !sent {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
        self.follow(input);
    }

    /// How it is doing.
    pub fn status(&self) -> RecorderStatus {
        RecorderStatus {
            written: self.shared.written.load(Ordering::Relaxed),
            lost: self.shared.lost.load(Ordering::Relaxed),
            failing: self.shared.failing.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Leaves the rest of its work to its thread: everything is written, and nobody waits for it.
    pub fn leave(self) {
        drop(self);
    }

    /// Waits until everything is written, but not longer than `deadline`; `false` = it was not.
    pub fn finish(mut self, deadline: Duration) -> bool {
        self.to_writer = None;
        let Some(writer) = self.writer.take() else { return false };
        // A disk that hangs must not keep the daemon from ending: the thread that waits for it is left behind.
        let (done, ended) = channel();
        let waiter = std::thread::Builder::new().name("recorder-end".to_owned()).spawn(move || {
            let _ = writer.join();
            let _ = done.send(());
        });
        waiter.is_ok() && ended.recv_timeout(deadline).is_ok()
    }

    fn is_full(&self, bytes: u64) -> bool {
        // Not within a dump or a burst, unless that goes on for ever.
        bytes >= self.full_at && (!(self.in_dump || self.in_burst) || bytes >= self.full_at.saturating_mul(4))
    }

    fn send(&mut self, now: Mono, seq: u64, input: &Input, present: impl FnOnce() -> Present) -> bool {
        if self.file_bytes.is_none() && now < self.retry_at {
            return false;
        }
        let queued = self.shared.queued_bytes.load(Ordering::Relaxed);
        if queued >= MAX_QUEUED_BYTES {
            self.drop_from_here(now);
            return false;
        }
        let stamp = Stamp { at: now.0, wall: wall_now() };
        let line = json(&stamp, seq, Part::Input(input.into()));
        let message = if let Some(bytes) = &mut self.file_bytes {
            *bytes += line.len() as u64;
            Message::Append(line)
        } else {
            let head = json(&stamp, seq, Part::Header(self.header()));
            let sources = self.sources.iter().map(|(source, event)| (*source, event.clone())).collect();
            let snapshot = Snapshot::new(sources, self.dialect, present());
            let mut rest = json(&stamp, seq, Part::Snapshot(snapshot));
            self.full_at = self.options.max_file_bytes.saturating_add(rest.len() as u64);
            rest.push_str(&line);
            self.file_bytes = Some(rest.len() as u64);
            // From here on the writer is the one to say that it failed.
            self.shared.broken.store(false, Ordering::Release);
            Message::File { head, first_seq: seq, stamp, rest }
        };
        self.shared.queued_bytes.fetch_add(message.len(), Ordering::Relaxed);
        let sent = self.to_writer.as_ref().is_some_and(|writer| writer.send(message).is_ok());
        if !sent {
            self.drop_from_here(now);
        }
        sent
    }

    /// The file ends here; the next one is tried later.
    fn drop_from_here(&mut self, now: Mono) {
        if self.file_bytes.take().is_some() {
            warn!("the disk is too slow for the recorder: inputs are not recorded");
            *self.shared.failing.lock().unwrap_or_else(PoisonError::into_inner) =
                Some("the disk is too slow".to_owned());
        }
        self.retry_at = now.after(RETRY);
    }

    fn header(&self) -> Header {
        Header {
            format: FORMAT.to_owned(),
            daemon: self.options.daemon_version.clone(),
            node: self.options.node_name.clone(),
            run: self.run.clone(),
        }
    }

    /// Remembers what a snapshot needs beside the snapshot.
    fn follow(&mut self, input: &Input) {
        match input {
            Input::Source(source, event) => {
                if *source == SourceId::Drbd {
                    self.in_dump = matches!(event, SourceEvent::Started { .. });
                    self.in_burst = false;
                }
                if let SourceEvent::Started { dialect: Some(dialect), .. } = event {
                    self.dialect = *dialect;
                }
                self.sources.insert(*source, event.clone());
            }
            Input::Lines(SourceId::Drbd, text) => {
                self.in_dump = self.in_dump && !text.contains("exists -\n");
                self.in_burst = true;
            }
            Input::BurstEnd(SourceId::Drbd) => self.in_burst = false,
            Input::Lines(..)
            | Input::BurstEnd(_)
            | Input::Records(..)
            | Input::Done(_)
            | Input::HelperCall(_)
            | Input::Units(_)
            | Input::Bus(_)
            | Input::Wall(_)
            | Input::Remembered(_)
            | Input::Drained(_)
            | Input::Incidents(..)
            | Input::Standing(_)
            | Input::Said(_)
            | Input::Operator(_)
            | Input::Exit
            | Input::Tick => {}
        }
    }
}

impl Message {
    fn len(&self) -> usize {
        match self {
            Self::File { head, rest, .. } => head.len() + rest.len(),
            Self::Append(line) => line.len(),
        }
    }
}

enum Part {
    Header(Header),
    Gap(Gap),
    Snapshot(Snapshot),
    Input(WireInput),
}

fn json(stamp: &Stamp, seq: u64, part: Part) -> String {
    let mut line = Line {
        v: VERSION,
        seq,
        at: stamp.at,
        wall: stamp.wall.clone(),
        header: None,
        gap: None,
        snapshot: None,
        input: None,
    };
    match part {
        Part::Header(header) => line.header = Some(header),
        Part::Gap(gap) => line.gap = Some(gap),
        Part::Snapshot(snapshot) => line.snapshot = Some(snapshot),
        Part::Input(input) => line.input = Some(input),
    }
    let mut text = serde_json::to_string(&line).expect("these types have no maps with other keys than text");
    text.push('\n');
    text
}

fn wall_now() -> String {
    format!("{:.6}", crate::wall::now())
}

/// The thread that writes. It alone touches the disk.
struct Writer {
    ring: Box<dyn Ring>,
    file: Option<Box<dyn std::io::Write + Send>>,
    /// Number of the input that would follow without a gap.
    next_seq: Option<u64>,
    /// Why the last file came to its end too early.
    why: Option<String>,
    shared: Arc<Shared>,
    max_files: u32,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        for message in messages {
            let bytes = message.len();
            let written = match message {
                Message::File { head, first_seq, stamp, rest } => self.begin(&head, first_seq, &stamp, &rest),
                Message::Append(line) => self.append(&line),
            };
            self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            if written {
                self.next_seq = self.next_seq.map(|seq| seq + 1);
                self.shared.written.fetch_add(1, Ordering::Relaxed);
            } else {
                self.shared.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Begins a file. A file without its first snapshot is useless: it is taken away, and no older one is given up for it.
    fn begin(&mut self, head: &str, first_seq: u64, stamp: &Stamp, rest: &str) -> bool {
        self.file = None;
        let mut text = head.to_owned();
        if let Some(expected) = self.next_seq.filter(|expected| *expected != first_seq) {
            let why = self.why.take().unwrap_or_else(|| "the disk is too slow".to_owned());
            let gap = Gap { lost: first_seq.saturating_sub(expected), why };
            text.push_str(&json(stamp, first_seq, Part::Gap(gap)));
        }
        text.push_str(rest);
        match self.ring.begin(text.as_bytes()) {
            Ok(file) => self.file = Some(file),
            Err(error) => {
                self.failed(&error);
                return false;
            }
        }
        self.next_seq = Some(first_seq);
        self.why = None;
        if self.shared.failing.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            info!("the recorder works again");
        }
        if let Err(error) = self.ring.keep(self.max_files) {
            warn!(%error, "can't delete old recordings");
        }
        true
    }

    fn append(&mut self, line: &str) -> bool {
        let Some(file) = &mut self.file else { return false };
        let Err(error) = file.write_all(line.as_bytes()) else { return true };
        self.file = None;
        self.failed(&error);
        false
    }

    fn failed(&mut self, error: &std::io::Error) {
        // The first snapshot of all can't be missed by a later one.
        self.next_seq.get_or_insert(0);
        self.why = Some(error.to_string());
        let mut failing = self.shared.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if failing.replace(error.to_string()).is_none() {
            warn!(%error, "can't write the recording: inputs are not recorded");
        }
        self.shared.broken.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
