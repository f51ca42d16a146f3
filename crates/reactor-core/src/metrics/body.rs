//! The text of one scrape, made piece by piece, so that nobody ever holds all of it.

use super::families::{FAMILIES, HEADERS};
use super::health::Health;
use super::{Snapshot, daemon, text};

/// The text of one scrape.
#[derive(Debug)]
pub struct Body {
    head: Vec<u8>,
    snapshot: Snapshot,
    tail: Vec<u8>,
    /// The header of each family, empty for one without samples.
    headers: Vec<Vec<u8>>,
    len: u64,
    next: Next,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Next {
    Head,
    /// The samples of this family, from this text on.
    Family(usize, usize),
    Tail,
    Nothing,
}

impl Body {
    /// Puts the text of the resources between the parts of the daemon.
    pub fn new(snapshot: Snapshot, health: &Health) -> Self {
        let mut headers = Vec::with_capacity(FAMILIES);
        for (number, (name, kind, help)) in HEADERS.into_iter().enumerate() {
            let mut header = Vec::new();
            if snapshot.texts.iter().any(|text| !text.family(number).is_empty()) {
                text::header(&mut header, name, kind, help);
            }
            headers.push(header);
        }
        let (head, tail) = (daemon::head(health, snapshot.resources()), daemon::tail(health, snapshot.resources()));
        let len = head.len()
            + tail.len()
            + headers.iter().map(Vec::len).sum::<usize>()
            + snapshot.texts.iter().map(|text| text.all().len()).sum::<usize>();
        Self { head, snapshot, tail, headers, len: len as u64, next: Next::Head }
    }

    /// Bytes of the whole text.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no text. There always is some.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends the next piece, of about `size` bytes (a family of neighbours is never cut). Nothing appended = that was all.
    pub fn next_piece(&mut self, size: usize, out: &mut Vec<u8>) {
        let full = out.len().saturating_add(size);
        loop {
            match self.next {
                Next::Head => {
                    out.append(&mut self.head);
                    self.next = Next::Family(0, 0);
                }
                Next::Family(family, _) if family == FAMILIES => self.next = Next::Tail,
                Next::Family(family, from) => {
                    if from == 0 {
                        out.extend_from_slice(&self.headers[family]);
                    }
                    self.next = self.samples(family, from, full, out);
                }
                Next::Tail => {
                    out.append(&mut self.tail);
                    self.next = Next::Nothing;
                }
                Next::Nothing => return,
            }
            if out.len() >= full {
                return;
            }
        }
    }

    /// The samples of a family until it ends or `out` is full.
    fn samples(&self, family: usize, from: usize, full: usize, out: &mut Vec<u8>) -> Next {
        if self.headers[family].is_empty() {
            return Next::Family(family + 1, 0);
        }
        for (number, text) in self.snapshot.texts.iter().enumerate().skip(from) {
            out.extend_from_slice(text.family(family));
            if out.len() >= full {
                // Never text 0, before which the header stands.
                return Next::Family(family, number + 1);
            }
        }
        Next::Family(family + 1, 0)
    }

    /// The whole text at once.
    pub fn into_text(mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.next_piece(usize::MAX, &mut out);
        out
    }
}
