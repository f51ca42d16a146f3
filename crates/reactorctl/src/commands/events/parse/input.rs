//! Where logs are: a file, the standard input, a sosreport.
//!
//! ```text
//!   file ─▶ gzip, xz? unpacked ─▶ tar? each log in it ─▶ which form? ─▶ messages
//!   folder ─▶ each log in it
//! ```
//!
//! Nothing is written anywhere: an archive is read as a stream. What comes out of it is bounded.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::read::MultiGzDecoder;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lzma_rust2::XzReader;
use reactor_storage::formats::{Clock, DETECT_BYTES, Format, Reader, detect};

use super::story::Story;
use crate::exit::{Failure, LogError};

/// What comes out of one file at most; of an archive all of it counts.
const MAX_UNPACKED: u64 = 64 << 30;

/// Files of a folder or an archive that are logs.
const MAX_LOGS: usize = 4096;

/// Files that are looked at to find them.
const MAX_FILES: usize = 1_000_000;

/// Compressed files within archives within compressed files, but no further.
const MAX_DEPTH: u8 = 3;

/// What is read at once.
const PIECE: usize = 64 * 1024;

/// One argument.
pub(super) struct Input<'a> {
    pub(super) file: &'a Path,
    pub(super) format: Option<Format>,
}

impl Input<'_> {
    /// Tells all that it says.
    pub(super) fn read(&self, story: &mut Story<'_>) -> Result<(), Failure> {
        let failed = |source| LogError::Read { file: self.file.to_owned(), source };
        if self.file == Path::new("-") {
            return self.stream(Box::new(io::stdin().lock()), now(), story);
        }
        if std::fs::metadata(self.file).map_err(failed)?.is_dir() {
            return self.folder(story);
        }
        let file = File::open(self.file).map_err(failed)?;
        let changed = file.metadata().and_then(|meta| meta.modified()).map_or_else(|_| now(), since_1970);
        self.stream(Box::new(file), changed, story)
    }

    fn stream(&self, stream: Box<dyn Read + '_>, latest_us: u64, story: &mut Story<'_>) -> Result<(), Failure> {
        let mut all = Logs { file: self.file, format: self.format, story, found: 0, kernel: 0, left: MAX_UNPACKED };
        match all.unpack(stream, latest_us, 0)? {
            Found::Log => Ok(()),
            Found::Archive if all.found > 0 => Ok(()),
            Found::Archive => Err(LogError::NoLogs { file: self.file.to_owned() }.into()),
            Found::Nothing => Err(LogError::NoLog { file: self.file.to_owned() }.into()),
        }
    }

    /// A sosreport that was unpacked.
    fn folder(&self, story: &mut Story<'_>) -> Result<(), Failure> {
        let mut logs = Vec::new();
        let mut folders = vec![self.file.to_owned()];
        let mut seen = 0;
        while let Some(folder) = folders.pop() {
            let failed = |source| LogError::Read { file: folder.clone(), source };
            for entry in std::fs::read_dir(&folder).map_err(failed)?.flatten() {
                seen += 1;
                let path = entry.path();
                // Links lead out of it.
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() && seen < MAX_FILES => folders.push(path),
                    Ok(kind) if kind.is_file() => {
                        logs.extend(Kind::of(path.strip_prefix(self.file).unwrap_or(&path)).map(|kind| (kind, path)));
                    }
                    _ => {}
                }
            }
        }
        logs.sort();
        let mut all = Logs { file: self.file, format: self.format, story, found: 0, kernel: 0, left: MAX_UNPACKED };
        for (kind, path) in logs.iter().take(MAX_LOGS) {
            // What dmesg printed is in the others, and has no time of the wall.
            if *kind == Kind::Dmesg && all.kernel > 0 {
                break;
            }
            let failed = |source| LogError::Read { file: path.clone(), source };
            let file = File::open(path).map_err(failed)?;
            let changed = file.metadata().and_then(|meta| meta.modified()).map_or_else(|_| now(), since_1970);
            all.unpack(Box::new(file), changed, 1)?;
        }
        if all.found > 0 { Ok(()) } else { Err(LogError::NoLogs { file: self.file.to_owned() }.into()) }
    }
}

/// Logs of a sosreport, those that say most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Journal,
    Syslog,
    Dmesg,
}

impl Kind {
    /// Of a file of a report, by its path in it; the report can be a folder of it.
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let parent = path.parent()?;
        let starts = |names: &[&str]| names.iter().any(|start| name.starts_with(start));
        if parent.ends_with("sos_commands/logs")
            && starts(&["journalctl"])
            && !name.contains("list-boots")
            && !name.contains("disk-usage")
        {
            Some(Self::Journal)
        } else if parent.ends_with("var/log") && starts(&["messages", "syslog", "kern"]) {
            Some(Self::Syslog)
        } else if parent.ends_with("sos_commands/kernel") && starts(&["dmesg"]) {
            Some(Self::Dmesg)
        } else {
            None
        }
    }
}

/// What a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Log,
    Archive,
    Nothing,
}

/// All logs of one argument.
struct Logs<'a, 's> {
    file: &'a Path,
    format: Option<Format>,
    story: &'a mut Story<'s>,
    found: usize,
    /// Messages that were read.
    kernel: u64,
    left: u64,
}

impl Logs<'_, '_> {
    fn failed(&self, source: io::Error) -> Failure {
        LogError::Read { file: self.file.to_owned(), source }.into()
    }

    /// What it is, whatever it is packed in.
    fn unpack(&mut self, stream: Box<dyn Read + '_>, latest_us: u64, depth: u8) -> Result<Found, Failure> {
        let mut stream = Peeked::new(stream);
        let first = stream.first().map_err(|error| self.failed(error))?;
        if depth < MAX_DEPTH && first.starts_with(&[0x1f, 0x8b]) {
            return self.unpack(Box::new(MultiGzDecoder::new(stream)), latest_us, depth + 1);
        }
        if depth < MAX_DEPTH && first.starts_with(b"\xfd7zXZ\0") {
            return self.unpack(Box::new(XzReader::new(BufReader::new(stream), true)), latest_us, depth + 1);
        }
        if depth < MAX_DEPTH && first.get(257..262) == Some(b"ustar") {
            return self.archive(stream, depth + 1).map(|()| Found::Archive);
        }
        let Some(format) = self.format.or_else(|| detect(first)) else {
            // In a log that is empty nothing was said.
            return Ok(if first.is_empty() { Found::Log } else { Found::Nothing });
        };
        self.log(format, stream, latest_us)?;
        Ok(Found::Log)
    }

    /// A report: what dmesg printed is kept for the case that there is nothing better, which may come behind it.
    fn archive(&mut self, stream: impl Read, depth: u8) -> Result<(), Failure> {
        const MAX_KEPT: u64 = 16 << 20;
        let mut kept = Vec::new();
        let mut archive = tar::Archive::new(stream);
        let entries =
            archive.entries().map_err(|error| LogError::Read { file: self.file.to_owned(), source: error })?;
        for entry in entries.take(MAX_FILES) {
            let mut entry = entry.map_err(|error| self.failed(error))?;
            // Names are looked at, and nothing is made of them.
            let kind = entry.path().ok().and_then(|path| Kind::of(&path));
            let (Some(kind), true) = (kind, entry.header().entry_type().is_file()) else { continue };
            let latest_us = entry.header().mtime().map_or_else(|_| now(), |seconds| seconds.saturating_mul(1_000_000));
            if kind == Kind::Dmesg {
                let mut text = Vec::new();
                entry.by_ref().take(MAX_KEPT).read_to_end(&mut text).map_err(|error| self.failed(error))?;
                if kept.len() < 4 {
                    kept.push((text, latest_us));
                }
            } else if self.found < MAX_LOGS {
                self.unpack(Box::new(entry), latest_us, depth)?;
            }
        }
        for (text, latest_us) in kept.iter().filter(|_| self.kernel == 0).collect::<Vec<_>>() {
            self.unpack(Box::new(text.as_slice()), *latest_us, depth)?;
        }
        Ok(())
    }

    fn log(&mut self, format: Format, mut stream: impl Read, latest_us: u64) -> Result<(), Failure> {
        let mut reader = Reader::with_clock(format, Clock { latest_us: Some(latest_us), to_utc });
        let mut piece = vec![0; PIECE];
        self.found += 1;
        while self.story.is_heard() {
            let length = match stream.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    // What was read of a file that is torn off is told.
                    reader.end(|record| self.story.record(&record));
                    self.story.end()?;
                    return Err(self.failed(error));
                }
            };
            self.left = self.left.saturating_sub(length as u64);
            if self.left == 0 {
                return Err(
                    self.failed(io::Error::other(format!("more than {} GiB come out of it", MAX_UNPACKED >> 30)))
                );
            }
            reader.push(&piece[..length], |record| self.story.record(&record));
        }
        reader.end(|record| self.story.record(&record));
        self.kernel += reader.counts().records;
        Ok(self.story.end()?)
    }
}

/// A stream whose beginning was looked at.
struct Peeked<R> {
    first: Vec<u8>,
    at: usize,
    rest: R,
}

impl<R: Read> Peeked<R> {
    fn new(rest: R) -> Self {
        Self { first: Vec::new(), at: 0, rest }
    }

    /// So much of it as there is at once, if that is enough to see what it is: who follows a log does not wait for 64 KiB.
    fn first(&mut self) -> io::Result<&[u8]> {
        let mut piece = vec![0; DETECT_BYTES];
        while self.first.len() < DETECT_BYTES {
            match self.rest.read(&mut piece[..DETECT_BYTES - self.first.len()]) {
                Ok(0) => break,
                Ok(length) => self.first.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if detect(&self.first).is_some() {
                break;
            }
        }
        Ok(&self.first)
    }
}

impl<R: Read> Read for Peeked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = &self.first[self.at..];
        if left.is_empty() {
            return self.rest.read(buffer);
        }
        let length = left.len().min(buffer.len());
        buffer[..length].copy_from_slice(&left[..length]);
        self.at += length;
        Ok(length)
    }
}

fn now() -> u64 {
    since_1970(SystemTime::now())
}

fn since_1970(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).ok().and_then(|at| u64::try_from(at.as_micros()).ok()).unwrap_or(0)
}

/// Times without a zone are taken for those of this machine.
fn to_utc(local: i64) -> i64 {
    let civil = jiff::Timestamp::from_second(local).map(|at| TimeZone::UTC.to_datetime(at));
    let zoned = civil.and_then(|civil: DateTime| civil.to_zoned(TimeZone::system()));
    zoned.map_or(local, |zoned| zoned.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_of_a_report_are_found_by_their_names() {
        for (path, kind) in [
            ("sosreport-n1/sos_commands/logs/journalctl_--no-pager_--catalog_--boot", Some(Kind::Journal)),
            ("sosreport-n1/sos_commands/logs/journalctl_--list-boots", None),
            ("sos_commands/kernel/dmesg_-T", Some(Kind::Dmesg)),
            ("var/log/messages-20261101.gz", Some(Kind::Syslog)),
            ("var/log/kern.log.1", Some(Kind::Syslog)),
            ("etc/syslog.conf", None),
            ("var/log/anaconda/syslog", None),
        ] {
            assert_eq!(Kind::of(Path::new(path)), kind, "{path}");
        }
    }
}
