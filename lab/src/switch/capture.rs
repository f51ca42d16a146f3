//! A capture file in the classic pcap format, with nanoseconds: what wireshark and tcpdump read.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
const LINKTYPE_ETHERNET: u32 = 1;
const LONGEST: u32 = 65_535;

/// An open capture file.
#[derive(Debug)]
pub(super) struct Capture<W: Write = BufWriter<File>>(W);

impl Capture {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Self::start(BufWriter::new(File::create(path)?))
    }
}

impl<W: Write> Capture<W> {
    fn start(mut to: W) -> io::Result<Self> {
        let version = (2_u32) | (4 << 16);
        for word in [MAGIC_NANOSECONDS, version, 0, 0, LONGEST, LINKTYPE_ETHERNET] {
            to.write_all(&word.to_le_bytes())?;
        }
        Ok(Self(to))
    }

    pub(super) fn frame(&mut self, at: SystemTime, frame: &[u8]) -> io::Result<()> {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        // 32 bits of seconds are the format's; they last until 2106.
        let seconds = u32::try_from(since.as_secs()).unwrap_or(u32::MAX);
        let length = u32::try_from(frame.len()).unwrap_or(LONGEST);
        for word in [seconds, since.subsec_nanos(), length.min(LONGEST), length] {
            self.0.write_all(&word.to_le_bytes())?;
        }
        self.0.write_all(&frame[..frame.len().min(LONGEST as usize)])
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_frame_has_its_time_and_both_lengths() {
        let mut capture = Capture::start(Vec::new()).unwrap();
        capture.frame(UNIX_EPOCH + Duration::new(5, 6), &[1, 2, 3]).unwrap();
        let words: Vec<u32> =
            capture.0[..40].chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
        assert_eq!(words, [MAGIC_NANOSECONDS, 0x0004_0002, 0, 0, 65_535, 1, 5, 6, 3, 3]);
        assert_eq!(capture.0[40..], [1, 2, 3]);
    }
}
