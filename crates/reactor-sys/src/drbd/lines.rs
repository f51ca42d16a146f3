//! Cuts a stream of bytes into pieces of whole lines. Does no I/O: bytes go in, `String`s come out.
//!
//! A partial last line waits for its end. When more than [`MAX_LINE`] bytes have come without a line end, that is no line of
//! events2: a short line that no parser takes for an event stands for it, and the rest of it is skipped without being kept.

/// How many bytes may wait for their line end. The longest line in recordings of real clusters has some 400 bytes.
pub(crate) const MAX_LINE: usize = 64 * 1024;

/// How many bytes of an overlong line are kept, so that a person sees what it was.
const KEPT_OF_OVERLONG: usize = 120;

/// First word of the line that stands for an overlong one: not a verb of events2.
pub(crate) const OVERLONG: &str = "overlong-line";

/// Whole lines in one string.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lines {
    /// Each with its line end.
    pub(crate) text: String,
    /// How many.
    pub(crate) count: usize,
}

/// Bytes that were read and not yet handed out.
#[derive(Debug, Default)]
pub(crate) struct LineBuffer {
    bytes: Vec<u8>,
    /// Everything before was handed out.
    start: usize,
    /// End of the last whole line.
    complete: usize,
    /// Everything before was searched for line ends.
    searched: usize,
    /// Inside an overlong line of which the beginning was handed out.
    skipping: bool,
    /// Overlong lines so far.
    pub(crate) overlong: u64,
}

impl LineBuffer {
    /// Where the next bytes go: append to it.
    pub(crate) fn space(&mut self) -> &mut Vec<u8> {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.complete -= self.start.min(self.complete);
            self.searched -= self.start;
            self.start = 0;
        }
        &mut self.bytes
    }

    /// Up to `max_lines` whole lines, if there is one.
    pub(crate) fn take(&mut self, max_lines: usize) -> Option<Lines> {
        if self.skipping && !self.skip() {
            return None;
        }
        if let Some(last) = self.bytes[self.searched..].iter().rposition(|byte| *byte == b'\n') {
            self.complete = self.searched + last + 1;
        }
        self.searched = self.bytes.len();
        if self.complete > self.start {
            let (end, count) = self.up_to(max_lines);
            return Some(Lines { text: self.hand_out(end), count });
        }
        (self.partial() > MAX_LINE).then(|| self.cut())
    }

    /// Bytes of a line whose end has not come.
    pub(crate) fn partial(&self) -> usize {
        self.bytes.len() - self.start.max(self.complete)
    }

    /// Where the last of at most `max_lines` whole lines ends, and how many they are.
    fn up_to(&self, max_lines: usize) -> (usize, usize) {
        let whole = &self.bytes[self.start..self.complete];
        let count = line_ends(whole);
        if count <= max_lines {
            return (self.complete, count);
        }
        let mut ends = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let (at, _) = ends.nth(max_lines.max(1) - 1).expect("there are more lines than that");
        (self.start + at + 1, max_lines.max(1))
    }

    /// The text up to `end`. When that is most of the buffer, it is the buffer itself, and what is left goes into a new one: a busy
    /// source fills it each time, and a line is then never copied. Little text is copied, so that it does not hold much memory.
    fn hand_out(&mut self, end: usize) -> String {
        if self.start > 0 || end < self.bytes.capacity() / 2 {
            let text = text_of(self.bytes[self.start..end].to_vec());
            self.start = end;
            return text;
        }
        let left = self.bytes.split_off(end);
        self.complete -= end;
        self.searched -= end;
        text_of(std::mem::replace(&mut self.bytes, left))
    }

    /// A short line in place of the one that does not end.
    fn cut(&mut self) -> Lines {
        let kept = text_of(self.bytes[self.start..self.start + KEPT_OF_OVERLONG].to_vec());
        self.skipping = true;
        self.overlong += 1;
        self.forget();
        Lines { text: format!("{OVERLONG} {kept}\n"), count: 1 }
    }

    /// Drops bytes up to the end of the overlong line; `false` = that has not come yet.
    fn skip(&mut self) -> bool {
        match self.bytes[self.start..].iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                self.start += end + 1;
                self.complete = self.start;
                self.searched = self.start;
                self.skipping = false;
                true
            }
            None => {
                self.forget();
                false
            }
        }
    }

    fn forget(&mut self) {
        self.bytes.clear();
        self.start = 0;
        self.complete = 0;
        self.searched = 0;
    }
}

/// How many line ends there are. Counting in bytes lets the compiler use whole vectors; a piece can't overflow one.
fn line_ends(bytes: &[u8]) -> usize {
    let in_piece = |piece: &[u8]| piece.iter().fold(0u8, |count, byte| count + u8::from(*byte == b'\n'));
    bytes.chunks(usize::from(u8::MAX)).map(|piece| usize::from(in_piece(piece))).sum()
}

/// Bytes that are no text cost only themselves.
fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn feed(buffer: &mut LineBuffer, bytes: &[u8]) -> Vec<String> {
        buffer.space().extend_from_slice(bytes);
        std::iter::from_fn(|| buffer.take(usize::MAX)).map(|lines| lines.text).collect()
    }

    #[test]
    fn a_partial_line_waits_for_its_end() {
        let mut buffer = LineBuffer::default();
        assert_eq!(feed(&mut buffer, b"exists -\nchange res"), ["exists -\n"]);
        assert_eq!(buffer.partial(), 10);
        assert!(feed(&mut buffer, b"ource name:r0").is_empty());
        assert_eq!(feed(&mut buffer, b"\n"), ["change resource name:r0\n"]);
    }

    #[test]
    fn line_ends_are_counted_exactly() {
        for len in [0, 1, 254, 255, 256, 1000] {
            assert_eq!(line_ends(&vec![b'\n'; len]), len);
            assert_eq!(line_ends(&vec![b'x'; len]), 0);
        }
    }

    #[test]
    fn pieces_respect_the_limit() {
        let mut buffer = LineBuffer::default();
        buffer.space().extend_from_slice(b"a\nb\nc\nd");
        assert_eq!(buffer.take(2), Some(Lines { text: "a\nb\n".into(), count: 2 }));
        assert_eq!(buffer.take(2), Some(Lines { text: "c\n".into(), count: 1 }));
        assert_eq!(buffer.take(2), None);
        assert_eq!(buffer.partial(), 1);
    }

    #[test]
    fn an_overlong_line_is_cut_and_the_next_one_is_whole() {
        let mut buffer = LineBuffer::default();
        let mut seen = Vec::new();
        for _ in 0..100 {
            seen.extend(feed(&mut buffer, &[b'x'; 8192]));
            assert!(buffer.bytes.capacity() <= 4 * MAX_LINE, "memory is bounded");
        }
        seen.extend(feed(&mut buffer, b"xx\nexists -\n"));
        assert_eq!(seen.len(), 2);
        assert!(seen[0].starts_with("overlong-line xxx") && seen[0].len() < 200, "{}", seen[0]);
        assert_eq!(seen[1], "exists -\n");
        assert_eq!(buffer.overlong, 1);
    }

    #[test]
    fn a_full_buffer_is_handed_on_as_it_is_and_little_text_holds_little_memory() {
        let mut buffer = LineBuffer::default();
        let space = buffer.space();
        space.reserve(4096);
        space.extend_from_slice("change a\n".repeat(400).as_bytes());
        space.extend_from_slice(b"chan");
        let place = space.as_ptr();
        let lines = buffer.take(usize::MAX).expect("there are lines");
        assert_eq!((lines.text.as_ptr(), lines.count), (place, 400));
        let space = buffer.space();
        space.reserve(4096);
        space.extend_from_slice(b"ge b\n");
        let lines = buffer.take(usize::MAX).expect("there is a line");
        assert_eq!((lines.text.as_str(), lines.text.capacity()), ("change b\n", 9));
    }

    #[test]
    fn bytes_that_are_not_text_cost_only_themselves() {
        let mut buffer = LineBuffer::default();
        assert_eq!(feed(&mut buffer, b"change \xff x\nexists -\n"), ["change \u{fffd} x\nexists -\n"]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_torn(text in "([a-z ]{0,12}\n){0,20}", cuts in prop::collection::vec(1usize..9, 1..40), max in 1usize..5) {
            let mut buffer = LineBuffer::default();
            let mut out = String::new();
            let mut rest = text.as_bytes();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                buffer.space().extend_from_slice(now);
                rest = later;
                while let Some(lines) = buffer.take(max) {
                    prop_assert!(lines.count <= max && lines.text.ends_with('\n'));
                    prop_assert_eq!(lines.text.matches('\n').count(), lines.count);
                    out.push_str(&lines.text);
                }
            }
            prop_assert_eq!(out, text);
        }
    }
}
