//! Recordings that are events2 text.
//!
//! Plain text has no times. Where its bursts ended is then a guess from DRBD's order within a burst (resource, connections,
//! devices, peer devices; paths and helper calls by themselves): a new burst begins with another resource, with an object that
//! comes earlier in this order than the one before, and with every path, helper, rename line. The first dump is one burst.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reactor_core::ids::Mono;
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};

use super::PlaybackError;
use crate::drbd::bursts::{LONGEST, MOST_LINES, SILENCE};
use crate::drbd::lines::LineBuffer;

/// Between two runs of a source of which the times are not known.
const UNKNOWN_PAUSE: Duration = Duration::from_secs(1);

const NANOS: u64 = 1_000_000_000;

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct TextRecording {
    pub(super) steps: Vec<(Mono, Input)>,
    pub(super) notes: Vec<String>,
    pub(super) start: Option<(jiff::Timestamp, Mono)>,
    /// Lines of the burst that is open, with the times of its first and last line.
    burst: Option<(Mono, Mono, usize)>,
}

impl TextRecording {
    /// Reads one more run of the source.
    pub(super) fn read(
        &mut self,
        file: &Path,
        bytes: &[u8],
        chunks: Option<(PathBuf, String)>,
    ) -> Result<(), PlaybackError> {
        let dialect = dialect_of(bytes);
        let restart = !self.steps.is_empty();
        if let Some((beside, text)) = chunks {
            let reads = Reads::parse(&beside, &text, bytes.len())?;
            let zero = self.zero(reads.first);
            self.started(file, zero, dialect, restart);
            self.play_reads(file, bytes, &reads, zero);
            return Ok(());
        }
        let text = String::from_utf8_lossy(bytes);
        let lines: Vec<&str> = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).collect();
        if !text.is_empty() && !text.ends_with('\n') {
            self.notes.push(format!("{}:{}: the last line is cut off", file.display(), lines.len() + 1));
        }
        let first_stamp = lines.first().and_then(|line| stamp_of(line));
        let zero = self.zero(first_stamp);
        self.started(file, zero, dialect, restart);
        match first_stamp {
            Some(first) => self.play_stamped(&lines, zero, first),
            None => self.play_plain(&lines, zero),
        }
        Ok(())
    }

    /// The time of the recording at which a run begins whose first wall clock time is `first`.
    fn zero(&mut self, first: Option<u64>) -> Mono {
        let last = self.steps.last().map_or(Mono::ZERO, |(at, _)| *at);
        let wall = first.and_then(|nanos| jiff::Timestamp::from_nanosecond(i128::from(nanos)).ok());
        if self.steps.is_empty() {
            self.start = wall.map(|wall| (wall, Mono::ZERO));
            return last;
        }
        let known = wall.zip(self.start).and_then(|(wall, (start, _))| {
            u64::try_from(wall.as_nanosecond() - start.as_nanosecond()).ok().map(Mono).filter(|at| *at >= last)
        });
        known.unwrap_or_else(|| last.after(UNKNOWN_PAUSE))
    }

    fn started(&mut self, file: &Path, at: Mono, dialect: Dialect, restart: bool) {
        if restart {
            self.end_burst(None);
            let last = self.steps.last().map_or(Mono::ZERO, |(at, _)| *at);
            let why = "this run of the recording is over".to_owned();
            self.steps.push((last, Input::Source(SourceId::Drbd, SourceEvent::Ended { why })));
        }
        let command = format!("recording {}", file.display());
        self.steps.push((at, Input::Source(SourceId::Drbd, SourceEvent::Started { command, dialect: Some(dialect) })));
    }

    fn play_reads(&mut self, file: &Path, bytes: &[u8], reads: &Reads, zero: Mono) {
        let mut buffer = LineBuffer::default();
        let first = reads.first.unwrap_or_default();
        let mut end = 0;
        let mut at = zero;
        for read in &reads.reads {
            at = zero.after(Duration::from_nanos(read.at.saturating_sub(first))).max(at);
            self.feed(&mut buffer, at, &bytes[end..read.end]);
            end = read.end;
        }
        if end < bytes.len() {
            let missing = bytes.len() - end;
            self.notes.push(format!("{}: the times of the last {missing} bytes are missing", file.display()));
            self.feed(&mut buffer, at, &bytes[end..]);
        }
        if buffer.partial() > 0 {
            self.notes.push(format!("{}: the last line is cut off", file.display()));
        }
        self.end_burst(None);
    }

    fn feed(&mut self, buffer: &mut LineBuffer, at: Mono, bytes: &[u8]) {
        if let Some((since, last, _)) = self.burst
            && at >= last.after(SILENCE).min(since.after(LONGEST))
        {
            self.end_burst(Some(at));
        }
        buffer.space().extend_from_slice(bytes);
        while let Some(lines) = buffer.take(MOST_LINES) {
            self.lines(at, lines.text, lines.count);
            if self.burst.is_some_and(|(_, _, count)| count >= MOST_LINES) {
                self.end_burst(Some(at));
            }
        }
    }

    fn play_stamped(&mut self, lines: &[&str], zero: Mono, first: u64) {
        let mut at = zero;
        let mut stamp = first;
        let mut in_dump = true;
        let mut piece = String::new();
        let mut count = 0;
        for line in lines {
            // A line without a stamp belongs to the one before; a clock that was set back costs no time.
            let new = stamp_of(line).unwrap_or(stamp);
            if new != stamp && count > 0 {
                self.lines(at, std::mem::take(&mut piece), count);
                count = 0;
                let next = at.after(Duration::from_nanos(new.saturating_sub(stamp)));
                if !in_dump {
                    self.end_burst(Some(next));
                }
                at = next;
                stamp = new;
            }
            piece.push_str(line);
            count += 1;
            in_dump = in_dump && !line.ends_with("exists -\n");
        }
        if count > 0 {
            self.lines(at, piece, count);
        }
        self.end_burst(None);
    }

    fn play_plain(&mut self, lines: &[&str], at: Mono) {
        let mut in_dump = true;
        let mut before = (3, "");
        let mut piece = String::new();
        let mut count = 0;
        for line in lines {
            let place = place_of(line);
            if !in_dump && count > 0 && (place.0 < before.0 || place.1 != before.1 || place.0 == ALONE) {
                self.lines(at, std::mem::take(&mut piece), count);
                self.end_burst(Some(at));
                count = 0;
            }
            before = place;
            piece.push_str(line);
            count += 1;
            in_dump = in_dump && *line != "exists -\n";
        }
        if count > 0 {
            self.lines(at, piece, count);
            self.end_burst(Some(at));
        }
    }

    fn lines(&mut self, at: Mono, text: String, count: usize) {
        let burst = self.burst.get_or_insert((at, at, 0));
        burst.1 = at;
        burst.2 += count;
        self.steps.push((at, Input::Lines(SourceId::Drbd, text)));
    }

    /// Ends the open burst when it would have ended live: after the silence, but not after the next line.
    fn end_burst(&mut self, next: Option<Mono>) {
        if let Some((since, last, _)) = self.burst.take() {
            let silent = last.after(SILENCE).min(since.after(LONGEST)).max(last);
            self.steps.push((next.map_or(silent, |next| silent.min(next)), Input::BurstEnd(SourceId::Drbd)));
        }
    }
}

/// Place in DRBD's order for what is always a burst of its own.
const ALONE: u8 = 9;

/// Where a line stands within its burst, and the resource it is about.
fn place_of(line: &str) -> (u8, &str) {
    let mut words = line.trim_end().split(' ');
    let place = match (words.next(), words.next()) {
        (Some("rename" | "call" | "response"), _) | (_, Some("path" | "helper")) => ALONE,
        (_, Some("resource")) => 0,
        (_, Some("connection")) => 1,
        (_, Some("device")) => 2,
        _ => 3,
    };
    (place, words.find_map(|word| word.strip_prefix("name:")).unwrap_or_default())
}

/// 8.4 says nothing of promotion in its resource lines.
fn dialect_of(bytes: &[u8]) -> Dialect {
    let resource = bytes
        .split(|byte| *byte == b'\n')
        .find(|line| contains(line, b"exists resource ") || contains(line, b"create resource "));
    match resource {
        Some(line) if !contains(line, b" may_promote:") => Dialect::Drbd84,
        _ => Dialect::Drbd9,
    }
}

fn contains(line: &[u8], what: &[u8]) -> bool {
    line.windows(what.len()).any(|window| window == what)
}

/// Nanoseconds since 1970 from the stamp that a line begins with.
fn stamp_of(line: &str) -> Option<u64> {
    let (stamp, _) = line.split_once(' ')?;
    if !stamp.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    stamp.parse::<jiff::Timestamp>().ok()?.as_nanosecond().try_into().ok()
}

/// The reads of a recorded pipe.
#[derive(Debug, PartialEq, Eq)]
struct Reads {
    /// Wall clock of the first line of the file, in nanoseconds.
    first: Option<u64>,
    reads: Vec<Read>,
}

#[derive(Debug, PartialEq, Eq)]
struct Read {
    /// Wall clock in nanoseconds.
    at: u64,
    /// Where in the text it ended.
    end: usize,
}

impl Reads {
    /// `TIME OFFSET LENGTH` per read, and marks (`TIME POLL`, `TIME EOF ...`).
    fn parse(file: &Path, text: &str, bytes: usize) -> Result<Self, PlaybackError> {
        let mut parsed = Self { first: None, reads: Vec::new() };
        let mut end = 0;
        for (index, line) in text.lines().enumerate() {
            let fail = |why: String| PlaybackError::Chunks { file: file.to_path_buf(), line: index + 1, why };
            let mut words = line.split_ascii_whitespace();
            let Some(time) = words.next() else { continue };
            let at = unix_nanos(time).ok_or_else(|| fail(format!("{time:?} is no time in seconds since 1970")))?;
            parsed.first.get_or_insert(at);
            let (offset, length) = match (words.next(), words.next()) {
                (Some("POLL" | "EOF"), _) => continue,
                (Some(offset), Some(length)) => (offset, length),
                _ => return Err(fail("expected \"TIME OFFSET LENGTH\", \"TIME POLL\", or \"TIME EOF\"".to_owned())),
            };
            let number =
                |word: &str| word.parse::<usize>().map_err(|_| fail(format!("{word:?} is no number of bytes")));
            let (offset, length) = (number(offset)?, number(length)?);
            if offset != end {
                return Err(fail(format!("this read begins at byte {offset}, but the one before ended at {end}")));
            }
            end = end.saturating_add(length);
            if end > bytes {
                return Err(fail(format!("this read ends at byte {end}, but the recording has only {bytes}")));
            }
            parsed.reads.push(Read { at, end });
        }
        Ok(parsed)
    }
}

/// Nanoseconds from `SECONDS.FRACTION`, exactly.
fn unix_nanos(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos = fraction.parse::<u64>().ok()? * 10u64.pow(9 - u32::try_from(fraction.len()).ok()?);
    seconds.parse::<u64>().ok()?.checked_mul(NANOS)?.checked_add(nanos)
}
