//! The text of one scrape, in pieces, so that nobody ever copies all of it.

use std::sync::Arc;

use super::health::Health;
use super::sheet::Piece;
use super::{Snapshot, daemon};

/// The text of one scrape.
#[derive(Debug)]
pub struct Body {
    head: Piece,
    snapshot: Snapshot,
    tail: Piece,
}

impl Body {
    /// Puts the text of the resources between the parts of the daemon.
    pub fn new(snapshot: Snapshot, health: &Health) -> Self {
        let (head, tail) = (daemon::head(health, snapshot.resources()), daemon::tail(health, snapshot.resources()));
        Self { head: Arc::new(head), snapshot, tail: Arc::new(tail) }
    }

    /// How many pieces there are.
    pub fn pieces(&self) -> usize {
        self.snapshot.pieces.len() + 2
    }

    /// Piece number `number`, from 0 on.
    pub fn piece(&self, number: usize) -> Option<&Piece> {
        match number.checked_sub(1) {
            None => Some(&self.head),
            Some(at) if at == self.snapshot.pieces.len() => Some(&self.tail),
            Some(at) => self.snapshot.pieces.get(at),
        }
    }

    /// The stamp of piece number `number` (see [`Snapshot::stamps`]); `None` = it is of this body alone.
    pub fn stamp(&self, number: usize) -> Option<u64> {
        self.snapshot.stamps.get(number.checked_sub(1)?).copied()
    }

    /// Bytes of the whole text.
    pub fn len(&self) -> u64 {
        (self.head.len() + self.snapshot.bytes() + self.tail.len()) as u64
    }

    /// Whether there is no text. There always is some.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole text at once.
    pub fn to_text(&self) -> Vec<u8> {
        let pieces: Vec<&[u8]> =
            (0..self.pieces()).filter_map(|number| self.piece(number)).map(|p| p.as_slice()).collect();
        pieces.concat()
    }
}
