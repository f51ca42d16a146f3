//! Lines, and those that go on with what the line before them says.

use memchr::memchr;

/// More bytes than this are no message: what is behind them is left out. Room for 8 KiB of text of which each byte is escaped, and for properties.
pub(super) const MAX_UNIT: usize = 64 * 1024;

/// A line and those that belong to it, without the last line's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) is_cut: bool,
}

/// Where in a log of lines we are.
#[derive(Debug)]
pub(super) struct Lines {
    /// Lines that begin with a blank belong to the one before them.
    joins: bool,
    /// The end of a line that was too long is still to come.
    skips: bool,
    /// So many bytes at the beginning of what is kept have been looked at: there are whole lines of one message, without its end.
    seen: usize,
}

impl Lines {
    pub(super) fn joined() -> Self {
        Self { joins: true, skips: false, seen: 0 }
    }

    pub(super) fn single() -> Self {
        Self { joins: false, skips: false, seen: 0 }
    }

    /// Gives the messages that are whole, and says how many bytes are done with.
    pub(super) fn scan(&mut self, bytes: &[u8], is_end: bool, mut each: impl FnMut(Unit<'_>)) -> usize {
        let mut start = 0;
        if self.skips {
            let Some(at) = memchr(b'\n', bytes) else { return bytes.len() };
            (self.skips, start) = (false, at + 1);
        }
        loop {
            let mut end = start + std::mem::take(&mut self.seen);
            // The lines of one message.
            let is_whole = loop {
                if end > start {
                    match bytes.get(end) {
                        None if self.joins => break false,
                        Some(b' ' | b'\t') if self.joins => {}
                        _ => break true,
                    }
                }
                match memchr(b'\n', &bytes[end..]) {
                    Some(at) => end += at + 1,
                    None => break false,
                }
            };
            let left = bytes.len() - start;
            if is_whole && end - start <= MAX_UNIT {
                give(&bytes[start..end], false, &mut each);
                start = end;
            } else if left > MAX_UNIT {
                give(&bytes[start..start + MAX_UNIT], true, &mut each);
                start += MAX_UNIT;
                match memchr(b'\n', &bytes[start..]) {
                    Some(at) => start += at + 1,
                    None => {
                        self.skips = true;
                        return bytes.len();
                    }
                }
            } else if is_end {
                give(&bytes[start..], false, &mut each);
                return bytes.len();
            } else {
                self.seen = end - start;
                return start;
            }
        }
    }
}

fn give(bytes: &[u8], is_cut: bool, each: &mut impl FnMut(Unit<'_>)) {
    let bytes = without_end(bytes);
    if !bytes.is_empty() {
        each(Unit { bytes, is_cut });
    }
}

/// Without a line's end, of files from elsewhere, too.
fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Each line of a piece by itself, without its end.
pub(super) fn of(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').map(without_end)
}
