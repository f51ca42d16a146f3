//! The second source: recordings. They are read whole, then stepped through (`reactorctl replay`, tests) or played into the
//! channel of the loop at their own pace, faster, or at once.
//!
//! What can be played, recognised by what it is, not by its name:
//!
//! | recording | times | where a burst ends |
//! |---|---|---|
//! | our recorder's files, one or several or their folder | recorded | recorded |
//! | events2 text with `FILE.chunks` beside it | of each read | 1.5 ms without a read, as live |
//! | events2 text with `--timestamps` | the stamps | another stamp |
//! | plain events2 text | none: everything at time 0 | where the order of a burst begins anew, see [`text`] |
//!
//! Several text files are runs of one source, one after the other: between them the source ended and was started again.

pub mod text;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use reactor_core::ids::Mono;
use reactor_core::input::{Input, SourceEvent, SourceId};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::record::read::{ReadError, Reader};
use crate::record::ring::recordings_in;
use text::TextRecording;

/// Larger files are refused: they are read into memory.
const MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// Why a recording can't be played.
#[derive(Debug, Error)]
pub enum PlaybackError {
    /// A file can't be read.
    #[error("can't read the recording {}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is no regular file, or too large.
    #[error("{}: not a recording: {why}", file.display())]
    NotARecording {
        /// The file.
        file: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// The file with the times of the reads makes no sense.
    #[error("{}:{line}: {why}", file.display())]
    Chunks {
        /// The file.
        file: PathBuf,
        /// The line.
        line: usize,
        /// Why.
        why: String,
    },
    /// A file of our recorder makes no sense.
    #[error("can't use a file of the recorder")]
    Recorder {
        /// Why.
        #[source]
        source: ReadError,
    },
    /// Files of different kinds.
    #[error("{}: files of the recorder and events2 text can't be played together", file.display())]
    Mixed {
        /// The first file of another kind.
        file: PathBuf,
    },
    /// No file at all.
    #[error("no recording in {}", folder.display())]
    Empty {
        /// Where.
        folder: PathBuf,
    },
}

/// A recording, read whole.
#[derive(Debug, Default)]
pub struct Recording {
    steps: Vec<(Mono, Input)>,
    notes: Vec<String>,
    start: Option<(jiff::Timestamp, Mono)>,
    node: Option<String>,
}

impl Recording {
    /// One file, or a folder with the files of the recorder.
    pub fn open(path: &Path) -> Result<Self, PlaybackError> {
        Self::open_all(&[path.to_path_buf()])
    }

    /// Several files in this order. Folders stand for the recorder's files in them.
    pub fn open_all(paths: &[PathBuf]) -> Result<Self, PlaybackError> {
        let mut files = Vec::new();
        for path in paths {
            if path.is_dir() {
                let found = recordings_in(path).map_err(|source| PlaybackError::File { file: path.clone(), source })?;
                if found.is_empty() {
                    return Err(PlaybackError::Empty { folder: path.clone() });
                }
                files.extend(found);
            } else {
                files.push(path.clone());
            }
        }
        let mut recorder = Reader::default();
        let mut texts = TextRecording::default();
        let mut first_is_json = None;
        for file in &files {
            let bytes = read(file)?;
            let json = bytes.trim_ascii_start().starts_with(b"{");
            if *first_is_json.get_or_insert(json) != json {
                return Err(PlaybackError::Mixed { file: file.clone() });
            }
            if json {
                let text = String::from_utf8_lossy(&bytes);
                recorder.read(file, &text).map_err(|source| PlaybackError::Recorder { source })?;
            } else {
                texts.read(file, &bytes, chunks_beside(file)?)?;
            }
        }
        Ok(if first_is_json == Some(true) {
            let Reader { steps, notes, start, node, .. } = recorder;
            Self { steps, notes, start, node }
        } else {
            Self { steps: texts.steps, notes: texts.notes, start: texts.start, node: None }
        })
    }

    /// Every input with its time. The first one of a text recording is that the source has started.
    pub fn steps(&self) -> impl Iterator<Item = (Mono, &Input)> {
        self.steps.iter().map(|(at, input)| (*at, input))
    }

    /// Name of the node that was recorded; events2 does not tell it.
    pub fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }

    /// What a person should know: gaps, a cut end, reads that are missing.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The wall clock at a time of the recording, if it is known.
    pub fn wall(&self, at: Mono) -> Option<jiff::Timestamp> {
        let (wall, zero) = self.start?;
        let nanos = i128::from(at.0) - i128::from(zero.0);
        jiff::Timestamp::from_nanosecond(wall.as_nanosecond().checked_add(nanos)?).ok()
    }

    /// From the first input to the last.
    pub fn length(&self) -> Duration {
        match (self.steps.first(), self.steps.last()) {
            (Some((first, _)), Some((last, _))) => last.since(*first),
            _ => Duration::ZERO,
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, PlaybackError> {
    let failed = |source| PlaybackError::File { file: file.to_path_buf(), source };
    let no = |why| Err(PlaybackError::NotARecording { file: file.to_path_buf(), why });
    let meta = std::fs::metadata(file).map_err(failed)?;
    if !meta.is_file() {
        return no("not a regular file");
    }
    if meta.len() > MAX_BYTES {
        return no("larger than 1 GiB");
    }
    if file.extension().is_some_and(|extension| extension == "chunks") {
        return no("this file has the times of a recording; name the file beside it without .chunks");
    }
    std::fs::read(file).map_err(failed)
}

/// `FILE.chunks`, if it exists.
fn chunks_beside(file: &Path) -> Result<Option<(PathBuf, String)>, PlaybackError> {
    let mut name = file.as_os_str().to_owned();
    name.push(".chunks");
    let beside = PathBuf::from(name);
    match std::fs::read_to_string(&beside) {
        Ok(text) => Ok(Some((beside, text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PlaybackError::File { file: beside, source }),
    }
}

/// How fast a recording is played.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Speed {
    /// So many times as fast as it was.
    Times(f64),
    /// As fast as the loop takes it.
    Max,
}

/// `--speed` is neither a positive number nor `max`.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("speed {0:?} is neither a number above 0 nor \"max\"")]
pub struct SpeedError(String);

impl FromStr for Speed {
    type Err = SpeedError;

    fn from_str(text: &str) -> Result<Self, SpeedError> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let times = text.parse().ok().filter(|times: &f64| times.is_finite() && *times > 0.0);
        times.map(Self::Times).ok_or_else(|| SpeedError(text.to_owned()))
    }
}

/// A recording that is being played. Dropping it stops it.
#[derive(Debug)]
pub struct Player {
    task: JoinHandle<()>,
}

impl Player {
    /// Plays what the source said, in place of drbdsetup. Outcomes of actions and helper calls of the recording are left out:
    /// the daemon that watches has its own. At the end the source ends and does not come back.
    pub fn spawn(recording: Recording, speed: Speed, tx: mpsc::Sender<Input>) -> Self {
        Self { task: tokio::spawn(play(recording, speed, tx)) }
    }

    /// Whether the end was reached.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn play(recording: Recording, speed: Speed, tx: mpsc::Sender<Input>) {
    let start = Instant::now();
    let mut first = None;
    let mut running = false;
    for (at, input) in recording.steps {
        match &input {
            Input::Source(SourceId::Drbd, event) => running = matches!(event, SourceEvent::Started { .. }),
            // What the kernel's log says is about DRBD, too.
            Input::Lines(SourceId::Drbd, _)
            | Input::BurstEnd(SourceId::Drbd)
            | Input::Source(SourceId::KernelLog, _)
            | Input::Source(SourceId::Storage, _)
            | Input::Records(SourceId::KernelLog | SourceId::Storage, _) => {}
            // What else happened on the machine of the recording did not happen here.
            Input::Source(SourceId::Uevents, _)
            | Input::Lines(SourceId::Uevents | SourceId::KernelLog | SourceId::Storage, _)
            | Input::BurstEnd(SourceId::Uevents | SourceId::KernelLog | SourceId::Storage)
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
            | Input::Tick => continue,
        }
        if let Speed::Times(times) = speed {
            let played = at.since(*first.get_or_insert(at)).as_secs_f64() / times;
            // Times beyond what a clock can hold are never reached.
            if let Some(due) = Duration::try_from_secs_f64(played).ok().and_then(|played| start.checked_add(played)) {
                sleep_until(due).await;
            }
        }
        if tx.send(input).await.is_err() {
            return;
        }
    }
    if running {
        let why = "the recording is over".to_owned();
        let _ = tx.send(Input::Source(SourceId::Drbd, SourceEvent::Ended { why })).await;
    }
}

#[cfg(test)]
mod tests;
