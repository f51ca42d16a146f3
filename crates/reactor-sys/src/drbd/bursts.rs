//! Where one kernel state change ends. Does no I/O and reads no clock.
//!
//! DRBD prints a state change as a burst of lines, resource line first; who acts on the first line alone acts on stale devices.
//! A burst is over when the pipe has been empty for [`SILENCE`]. So that a busy node cannot put off decisions for ever, a burst
//! also ends [`LONGEST`] after its first line, or after [`MOST_LINES`].

use std::time::Duration;

use tokio::time::Instant;

/// An empty pipe for so long means that the burst is over.
pub(crate) const SILENCE: Duration = Duration::from_micros(1500);

/// A burst ends so long after its first line even if more is coming.
pub(crate) const LONGEST: Duration = Duration::from_millis(10);

/// A burst ends after so many lines even if more is coming.
pub(crate) const MOST_LINES: usize = 4096;

/// The burst being read, if any.
#[derive(Debug, Default)]
pub(crate) struct Bursts {
    open: Option<Burst>,
}

#[derive(Debug)]
struct Burst {
    since: Instant,
    last: Instant,
    lines: usize,
}

impl Bursts {
    /// Lines were read.
    pub(crate) fn lines(&mut self, now: Instant, count: usize) {
        let burst = self.open.get_or_insert(Burst { since: now, last: now, lines: 0 });
        burst.last = now;
        burst.lines += count;
    }

    /// How many more lines the present burst can take.
    pub(crate) fn room(&self) -> usize {
        MOST_LINES - self.open.as_ref().map_or(0, |burst| burst.lines.min(MOST_LINES))
    }

    /// When the present burst ends if nothing more comes.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.open.as_ref().map(|burst| (burst.last + SILENCE).min(burst.since + LONGEST))
    }

    /// Whether the present burst has reached its bound, whatever may still come.
    pub(crate) fn is_full(&self, now: Instant) -> bool {
        self.open.as_ref().is_some_and(|burst| burst.lines >= MOST_LINES || now >= burst.since + LONGEST)
    }

    /// The burst is over. Never true twice without lines between.
    pub(crate) fn end(&mut self) -> bool {
        self.open.take().is_some()
    }
}
