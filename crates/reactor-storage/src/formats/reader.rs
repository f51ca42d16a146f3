//! Pieces of bytes in, records out.

use super::lines::{Lines, MAX_UNIT, Unit};
use super::{Clock, Each, Format, export, json, kmsg, text};
use crate::record::Record;

/// What came out of the bytes so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages.
    pub records: u64,
    /// Entries without a text: a journal has some.
    pub without_text: u64,
    /// What is no message of this form.
    pub not_understood: u64,
    /// Messages of which a part is missing, because they were too long.
    pub cut: u64,
}

/// Reads a log of one form, in pieces of any size.
///
/// ```
/// use reactor_storage::formats::{Format, Reader};
///
/// let mut texts = Vec::new();
/// let mut reader = Reader::new(Format::Dmesg);
/// reader.push(b"[ 1.5] sd 0:0:0:0: [sda] Attached SC", |record| texts.push(record.text.into_owned()));
/// reader.push(b"SI disk\n", |record| texts.push(record.text.into_owned()));
/// reader.end(|record| texts.push(record.text.into_owned()));
/// assert_eq!(texts, ["sd 0:0:0:0: [sda] Attached SCSI disk"]);
/// ```
#[derive(Debug)]
pub struct Reader {
    scan: Scan,
    clock: Clock,
    /// What is not yet a whole message.
    rest: Vec<u8>,
    counts: Counts,
}

#[derive(Debug)]
enum Scan {
    Export(export::Scan),
    Json(json::Scan),
    Lines(Format, Lines),
}

impl Reader {
    /// At the beginning of a log. Stamps without a year have no wall time, and those without a zone are taken for UTC: see [`Reader::with_clock`].
    pub fn new(format: Format) -> Self {
        Self::with_clock(format, Clock::default())
    }

    /// The same, and `clock` says what stamps without a year or a zone mean.
    pub fn with_clock(format: Format, clock: Clock) -> Self {
        let scan = match format {
            Format::Export => Scan::Export(export::Scan::default()),
            Format::Json => Scan::Json(json::Scan::default()),
            Format::Plain => Scan::Lines(format, Lines::single()),
            Format::Kmsg | Format::Dmesg | Format::ShortMonotonic | Format::Syslog => {
                Scan::Lines(format, Lines::joined())
            }
        };
        Self { scan, clock, rest: Vec::new(), counts: Counts::default() }
    }

    /// Takes the next piece, and gives the messages that are whole now.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Record<'_>)) {
        // A piece of any size: what is kept of it is bounded only if it is looked at in parts.
        for part in bytes.chunks(MAX_UNIT) {
            if self.rest.is_empty() {
                // Mostly a piece ends within a message, and begins with one: only that end is copied.
                let used = self.scan(part, false, &mut each);
                self.rest.extend_from_slice(&part[used..]);
            } else {
                self.rest.extend_from_slice(part);
                self.scan_rest(false, &mut each);
            }
        }
    }

    /// Nothing follows: gives the message that was waiting for its end.
    pub fn end(&mut self, mut each: impl FnMut(Record<'_>)) {
        self.scan_rest(true, &mut each);
        self.rest.clear();
    }

    /// What came out of the bytes so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn scan_rest(&mut self, is_end: bool, each: &mut impl Each) {
        let mut rest = std::mem::take(&mut self.rest);
        let used = self.scan(&rest, is_end, each);
        rest.drain(..used);
        self.rest = rest;
    }

    /// Gives what is whole in `bytes`, and says how many of them are done with.
    fn scan(&mut self, bytes: &[u8], is_end: bool, each: &mut impl Each) -> usize {
        let Self { scan, clock, counts, .. } = self;
        match scan {
            Scan::Export(scan) => scan.scan(bytes, is_end, counts, each),
            Scan::Json(scan) => scan.scan(bytes, is_end, counts, each),
            Scan::Lines(format, lines) => lines.scan(bytes, is_end, |unit: Unit<'_>| {
                counts.cut += u64::from(unit.is_cut);
                let record = match format {
                    Format::Kmsg => kmsg::record(unit.bytes),
                    Format::Dmesg | Format::ShortMonotonic | Format::Syslog => text::record(*format, unit.bytes, clock),
                    Format::Plain | Format::Export | Format::Json => text::plain(unit.bytes),
                };
                match record {
                    Some(record) => {
                        counts.records += 1;
                        each(record);
                    }
                    None => counts.not_understood += u64::from(!text::is_remark(unit.bytes)),
                }
            }),
        }
    }
}
