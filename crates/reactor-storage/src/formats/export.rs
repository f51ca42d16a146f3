//! The journal's export format (systemd's JOURNAL_EXPORT_FORMATS).
//!
//! ```text
//!   __CURSOR=s=...            a field of text: NAME=value and a line end
//!   MESSAGE                   any other: the name, a line end,
//!   <8 bytes><data>           the length with the least byte first, the data, a line end
//!                             an empty line ends the entry
//! ```
//!
//! A field can have hundreds of megabytes (a core dump). Of those that are wanted the beginning is kept, of the others nothing.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use super::reader::Counts;
use super::{Each, number, program_of, text_of};
use crate::record::{MAX_TEXT, Origin, Place, Record, Stamp};

/// journald takes no larger field (`DATA_SIZE_MAX`): a length above it is none.
const MAX_FIELD: u64 = 768 * 1024 * 1024;

/// An entry with more than this is read in pieces, and only what is wanted of it is kept.
const MAX_ENTRY: usize = 64 * 1024;

/// What is kept of one wanted field: somewhat more than of a text, which is cut where no character is.
const KEPT: usize = MAX_TEXT + 8;

/// Fields of an entry, in the order of their ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Cursor,
    Realtime,
    Monotonic,
    Boot,
    Message,
    Priority,
    Identifier,
    Facility,
    Transport,
    Comm,
    Host,
    Subsystem,
    Device,
    SourceMonotonic,
    SourceBoottime,
}

/// How many there are.
pub(super) const WANTED: usize = Field::SourceBoottime as usize + 1;

impl Field {
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"__CURSOR" => Self::Cursor,
            b"__REALTIME_TIMESTAMP" => Self::Realtime,
            b"__MONOTONIC_TIMESTAMP" => Self::Monotonic,
            b"_BOOT_ID" => Self::Boot,
            b"MESSAGE" => Self::Message,
            b"PRIORITY" => Self::Priority,
            b"SYSLOG_IDENTIFIER" => Self::Identifier,
            b"SYSLOG_FACILITY" => Self::Facility,
            b"_TRANSPORT" => Self::Transport,
            b"_COMM" => Self::Comm,
            b"_HOSTNAME" => Self::Host,
            b"_KERNEL_SUBSYSTEM" => Self::Subsystem,
            b"_KERNEL_DEVICE" => Self::Device,
            b"_SOURCE_MONOTONIC_TIMESTAMP" => Self::SourceMonotonic,
            b"_SOURCE_BOOTTIME_TIMESTAMP" => Self::SourceBoottime,
            _ => return None,
        })
    }
}

/// Makes a record of the fields of an entry. `None` = it has no message.
pub(super) fn record_of<'a>(field: impl Fn(Field) -> Option<&'a [u8]>, message: Cow<'a, str>) -> Record<'a> {
    let text = |which| field(which).map(text_of);
    let micros = |which| field(which).and_then(number::<u64>);
    let name = field(Field::Identifier).or_else(|| field(Field::Comm)).map(program_of);
    // journald itself says what came from the kernel; what others wrote to /dev/kmsg has their name. Entries that were cut to a few fields may not
    // say it.
    let is_kernel = match (field(Field::Transport), name) {
        (Some(b"kernel"), Some("kernel") | None) => field(Field::Facility).is_none_or(|facility| facility == b"0"),
        (None, Some("kernel")) => true,
        _ => false,
    };
    let origin = if is_kernel { Origin::Kernel } else { Origin::Program(name.unwrap_or_default()) };
    // Of what was in /dev/kmsg the stamp that it had there, of the rest when journald got it.
    let is_kmsg = is_kernel || field(Field::Transport) == Some(b"kernel");
    let source = || micros(Field::SourceMonotonic).or_else(|| micros(Field::SourceBoottime));
    let source = if is_kmsg { source() } else { None };
    let mut record = Record::new(origin, message);
    record.at = Stamp { wall_us: micros(Field::Realtime), boot_us: source.or_else(|| micros(Field::Monotonic)) };
    record.level = field(Field::Priority).and_then(number).filter(|level| *level <= 7);
    record.host = text(Field::Host);
    record.subsystem = text(Field::Subsystem);
    record.device = text(Field::Device);
    record.place = Place { boot: text(Field::Boot), sequence: None, cursor: text(Field::Cursor) };
    record
}

/// Whether a line is the first of an entry.
pub(super) fn begins(line: &[u8]) -> bool {
    line.starts_with(b"__CURSOR=")
}

/// Where in an entry we are.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// So many bytes of the entry have been looked at.
    seen: usize,
    /// Where the fields are that are wanted: in the bytes of the entry, or in `kept`.
    fields: [Range<u32>; WANTED],
    /// Of an entry that is too long to be kept as a whole.
    kept: Option<Vec<u8>>,
    skip: Skip,
    /// A wanted field was cut, or the entry can't be read.
    is_cut: bool,
    is_bad: bool,
}

/// What is left out before the next field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Skip {
    #[default]
    Nothing,
    Bytes(u64),
    Line,
}

/// What the next bytes of an entry are.
enum Step {
    /// A field of so many bytes in all, of which those of the value are in this range.
    Field(Option<Field>, Range<usize>, usize),
    /// The same, and behind the value something is left out.
    Long(Option<Field>, Range<usize>, Skip),
    End,
    /// A length that can't be one.
    Bad(usize),
    /// More bytes are needed.
    More,
}

impl Scan {
    pub(super) fn scan(&mut self, bytes: &[u8], is_end: bool, counts: &mut Counts, each: &mut impl Each) -> usize {
        let mut start = 0;
        loop {
            let entry = &bytes[start..];
            if self.skip != Skip::Nothing && !self.skipped(entry) {
                break;
            }
            match step(&entry[self.seen..]) {
                Step::Field(field, value, length) => {
                    self.keep(field, value, entry);
                    self.seen += length;
                }
                Step::Long(field, value, skip) => {
                    let end = value.end;
                    self.keep(field, value, entry);
                    self.seen += end;
                    self.skip = skip;
                    self.is_cut |= field.is_some();
                }
                Step::End => {
                    self.seen += 1;
                    let used = self.seen;
                    self.give(entry, counts, each);
                    start += used;
                    continue;
                }
                Step::Bad(length) => {
                    self.seen += length;
                    self.is_bad = true;
                }
                Step::More => break,
            }
            start += self.make_room(entry);
        }
        if is_end {
            // The last entry of a file that was cut has no end; what is there of it may be enough.
            let is_torn = self.seen == 0 && self.kept.is_none() && start < bytes.len();
            counts.not_understood += u64::from(is_torn);
            self.give(&bytes[start..], counts, each);
            return bytes.len();
        }
        if self.skip != Skip::Nothing || self.kept.is_some() {
            self.keep_apart(&bytes[start..]);
            start += std::mem::take(&mut self.seen);
        }
        start
    }

    /// Leaves out what is to be left out, as far as it is there. Whether all of it was.
    fn skipped(&mut self, entry: &[u8]) -> bool {
        // What is left out has to go, and with it what is before it.
        self.keep_apart(entry);
        let there = &entry[self.seen..];
        let (length, skip) = match self.skip {
            Skip::Nothing => (0, Skip::Nothing),
            Skip::Bytes(left) => match usize::try_from(left).ok().filter(|left| *left <= there.len()) {
                Some(left) => (left, Skip::Nothing),
                None => (there.len(), Skip::Bytes(left - there.len() as u64)),
            },
            Skip::Line => match memchr(b'\n', there) {
                Some(at) => (at + 1, Skip::Nothing),
                None => (there.len(), Skip::Line),
            },
        };
        self.seen += length;
        self.skip = skip;
        skip == Skip::Nothing
    }

    /// Takes the value of a field that is wanted. A field that comes twice counts once.
    fn keep(&mut self, field: Option<Field>, value: Range<usize>, entry: &[u8]) {
        let Some(field) = field else { return };
        let slot = &mut self.fields[field as usize];
        if slot.end != 0 {
            return;
        }
        let range = self.seen + value.start..self.seen + value.end.min(value.start + KEPT);
        self.is_cut |= value.len() > MAX_TEXT;
        *slot = match &mut self.kept {
            Some(kept) => append(kept, &entry[range]),
            None => narrow(range),
        };
    }

    /// An entry that has become too long is not kept as a whole any more: gives how many of its bytes are done with.
    fn make_room(&mut self, entry: &[u8]) -> usize {
        if self.seen <= MAX_ENTRY && self.kept.is_none() {
            return 0;
        }
        self.keep_apart(entry);
        std::mem::take(&mut self.seen)
    }

    /// Copies what is wanted, so that the entry's bytes can go.
    fn keep_apart(&mut self, entry: &[u8]) {
        if self.kept.is_some() {
            return;
        }
        let mut kept = Vec::new();
        for slot in self.fields.iter_mut().filter(|slot| slot.end != 0) {
            *slot = append(&mut kept, &entry[wide(slot)]);
        }
        self.kept = Some(kept);
    }

    fn give(&mut self, entry: &[u8], counts: &mut Counts, each: &mut impl Each) {
        let Self { fields, kept, is_cut, is_bad, seen, .. } = std::mem::take(self);
        let bytes = kept.as_deref().unwrap_or(entry);
        let field = |field: Field| {
            let slot = &fields[field as usize];
            (slot.end != 0).then(|| &bytes[wide(slot)])
        };
        match field(Field::Message) {
            Some(message) => {
                let record = record_of(field, text_of(message));
                counts.records += 1;
                counts.cut += u64::from(is_cut);
                each(record);
            }
            None if is_bad => counts.not_understood += 1,
            // Empty lines between entries are none.
            None if seen > 1 || kept.is_some() => counts.without_text += 1,
            None => {}
        }
    }
}

/// An end of 0 says that there is none: values are never at the beginning of an entry. In what is kept apart the first byte is nothing's.
fn append(kept: &mut Vec<u8>, value: &[u8]) -> Range<u32> {
    if kept.is_empty() {
        kept.push(0);
    }
    let start = kept.len();
    kept.extend_from_slice(value);
    narrow(start..kept.len())
}

/// Entries that are kept as a whole, and what is kept of others, are far smaller than 4 GiB.
fn narrow(range: Range<usize>) -> Range<u32> {
    let narrow = |at| u32::try_from(at).unwrap_or(u32::MAX);
    narrow(range.start)..narrow(range.end)
}

fn wide(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

/// Looks at the next field.
fn step(bytes: &[u8]) -> Step {
    let Some(end) = memchr(b'\n', &bytes[..bytes.len().min(MAX_ENTRY)]) else {
        if bytes.len() < MAX_ENTRY {
            return Step::More;
        }
        // A text that is too long: its end is looked for later.
        return match memchr(b'=', &bytes[..KEPT]) {
            Some(name) => Step::Long(Field::named(&bytes[..name]), name + 1..name + 1 + KEPT, Skip::Line),
            None => Step::Long(None, 0..KEPT, Skip::Line),
        };
    };
    if end == 0 {
        return Step::End;
    }
    let line = &bytes[..end];
    if let Some(name) = memchr(b'=', line) {
        return Step::Field(Field::named(&line[..name]), name + 1..end, end + 1);
    }
    let Some(length) = bytes.get(end + 1..end + 9).and_then(|length| <[u8; 8]>::try_from(length).ok()) else {
        return Step::More;
    };
    let length = u64::from_le_bytes(length);
    if length > MAX_FIELD {
        return Step::Bad(end + 1);
    }
    let (field, start) = (Field::named(line), end + 9);
    let kept = start + usize::try_from(length).map_or(KEPT, |length| length.min(KEPT));
    if length > KEPT as u64 {
        // Of what is not wanted nothing is waited for.
        let kept = if field.is_some() { kept } else { start };
        if bytes.len() < kept {
            return Step::More;
        }
        return Step::Long(field, start..kept, Skip::Bytes(length + 1 - (kept - start) as u64));
    }
    // And the line end behind it.
    if bytes.len() <= kept { Step::More } else { Step::Field(field, start..kept, kept + 1) }
}
