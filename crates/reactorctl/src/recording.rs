//! Reads a recording of `drbdsetup events2` as the inputs of the core, each with its time.
//!
//! Three forms, told apart by what is there: text with a file `NAME.chunks` beside it (`UNIXTIME OFFSET LENGTH` of every read, a
//! burst is what was read together), text with `--timestamps`, and text alone, whose times nobody knows.

use std::fs;
use std::path::{Path, PathBuf};

use reactor_core::ids::Mono;
use reactor_core::input::{Dialect, Input, SourceEvent};

use crate::exit::Failure;

/// A recording, read.
#[derive(Debug)]
pub(crate) struct Recording {
    /// The inputs, in order.
    pub(crate) inputs: Vec<(Mono, Input)>,
    /// Time of the first one, in seconds of Unix time, if the recording tells.
    pub(crate) start: Option<f64>,
    /// Whether the times mean anything.
    pub(crate) is_timed: bool,
}

/// Reads `path`.
pub(crate) fn read(path: &Path) -> Result<Recording, Failure> {
    let bytes = read_file(path)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".chunks");
    let chunks = PathBuf::from(name);
    let dialect = dialect(&String::from_utf8_lossy(&bytes));
    let command = path.display().to_string();
    let mut recording = if chunks.exists() {
        let text = String::from_utf8_lossy(&read_file(&chunks)?).into_owned();
        by_chunks(&bytes, &text).map_err(|why| Failure::Recording { path: chunks, why })?
    } else {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let inputs = vec![(Mono::ZERO, Input::Lines(text)), (Mono::ZERO, Input::BurstEnd)];
        Recording { inputs, start: None, is_timed: false }
    };
    recording.inputs.insert(0, (Mono::ZERO, Input::Source(SourceEvent::Started { command, dialect })));
    Ok(recording)
}

fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|source| Failure::Read { path: path.to_owned(), source })
}

/// DRBD 8.4 has no `may_promote` in its resource lines.
fn dialect(text: &str) -> Dialect {
    let resource = text.lines().find(|line| line.contains("exists resource ") || line.contains("create resource "));
    match resource {
        Some(line) if !line.contains(" may_promote:") => Dialect::Drbd84,
        _ => Dialect::Drbd9,
    }
}

/// One read of the recorder after the other. A burst ends where the next read came 2 ms later or more.
fn by_chunks(bytes: &[u8], chunks: &str) -> Result<Recording, String> {
    /// Silence that ends a burst, in nanoseconds: what the daemon uses on a pipe.
    const SILENCE: u64 = 2_000_000;

    let mut inputs: Vec<(Mono, Input)> = Vec::new();
    let (mut start, mut pending, mut last) = (None, Vec::new(), Mono::ZERO);
    for (number, line) in chunks.lines().enumerate().filter(|(_, line)| !line.contains("POLL")) {
        let wrong = || format!("line {} is not UNIXTIME OFFSET LENGTH", number + 1);
        let mut fields = line.split_whitespace();
        let mut next = || fields.next().ok_or_else(wrong);
        let time: f64 = next()?.parse().map_err(|_| wrong())?;
        let offset: usize = next()?.parse().map_err(|_| wrong())?;
        let length: usize = next()?.parse().map_err(|_| wrong())?;
        let read = offset.checked_add(length).and_then(|end| bytes.get(offset..end));
        let read = read.ok_or_else(|| format!("line {} names bytes that the recording does not have", number + 1))?;
        let first = *start.get_or_insert(time);
        // Negative and not-a-number times become 0: the clock of the recorder was set back.
        let now = Mono(((time - first) * 1e9) as u64).max(last);
        if now.0 - last.0 >= SILENCE && !inputs.is_empty() {
            inputs.push((Mono(last.0 + SILENCE), Input::BurstEnd));
        }
        last = now;
        pending.extend_from_slice(read);
        // Whole lines only; the rest waits for the next read.
        let whole = pending.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        if whole > 0 {
            let rest = pending.split_off(whole);
            inputs.push((now, Input::Lines(String::from_utf8_lossy(&pending).into_owned())));
            pending = rest;
        }
    }
    inputs.push((Mono(last.0 + SILENCE), Input::BurstEnd));
    Ok(Recording { inputs, start, is_timed: true })
}
