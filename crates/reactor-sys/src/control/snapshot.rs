//! The status as text, piece by piece, and who may still read an old one.
//!
//! The loop hands out reference counts; the text is made beside it, in pieces, so that neither ten thousand resources nor sixty
//! readers take the loop's time or the memory of a whole answer. Readers who ask within a moment get the same snapshot. A snapshot
//! that is still being read keeps what has changed since, so that those who read slowly have to end when too many are kept.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use reactor_api::objects::WireResource;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::request::Snapshot;

/// Size of a piece, about.
const PIECE: usize = 64 * 1024;

/// Snapshots that are kept for those who read slowly.
const OLD_SNAPSHOTS: usize = 4;

/// How long a snapshot may be read in any case.
const READING_TIME: Duration = Duration::from_secs(2);

/// A snapshot that is being read.
#[derive(Debug)]
pub(super) struct Lent {
    snapshot: Snapshot,
    since: Instant,
    is_withdrawn: AtomicBool,
    withdrawn: Notify,
}

impl Deref for Lent {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl Lent {
    /// Waits until it has been read for long enough.
    pub(super) async fn withdrawn(&self) {
        let notified = self.withdrawn.notified();
        if !self.is_withdrawn.load(Ordering::Relaxed) {
            notified.await;
        }
    }
}

/// All snapshots that are being read.
#[derive(Debug)]
pub(super) struct Lending {
    lent: Mutex<VecDeque<Weak<Lent>>>,
    reading_time: Duration,
}

impl Default for Lending {
    fn default() -> Self {
        Self { lent: Mutex::default(), reading_time: READING_TIME }
    }
}

impl Lending {
    /// Lends a snapshot, and withdraws old ones if there are too many.
    pub(super) fn lend(&self, snapshot: Snapshot) -> Arc<Lent> {
        let now = Instant::now();
        let new =
            Arc::new(Lent { snapshot, since: now, is_withdrawn: AtomicBool::new(false), withdrawn: Notify::new() });
        let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        lent.retain(|old| old.strong_count() > 0);
        while lent.len() >= OLD_SNAPSHOTS
            && let Some(oldest) = lent.front().and_then(Weak::upgrade)
            && now >= oldest.since + self.reading_time
        {
            oldest.is_withdrawn.store(true, Ordering::Relaxed);
            oldest.withdrawn.notify_waiters();
            lent.pop_front();
        }
        lent.push_back(Arc::downgrade(&new));
        new
    }
}

/// Writes the reply to `Status`, or one of those to `Watch`.
pub(super) struct Writer {
    snapshot: Arc<Lent>,
    /// The resources that were asked for; `None` = all.
    only: Option<BTreeSet<String>>,
    /// Another reply follows.
    continues: bool,
    next: Next,
    /// Whether the list that is being written has an element.
    begun: bool,
}

#[derive(Clone, Copy)]
enum Next {
    Head,
    Promoted(usize),
    Resources(usize),
    Nothing,
}

impl Writer {
    pub(super) fn new(snapshot: Arc<Lent>, only: Option<BTreeSet<String>>, continues: bool) -> Self {
        Self { snapshot, only, continues, next: Next::Head, begun: false }
    }

    /// The next piece; empty = that was all.
    pub(super) fn piece(&mut self) -> Vec<u8> {
        let mut out = Vec::with_capacity(PIECE + PIECE / 8);
        while out.len() < PIECE {
            self.next = match self.next {
                Next::Head => self.head(&mut out),
                Next::Promoted(at) => match self.snapshot.promoted.get(at) {
                    Some(promoted) => {
                        if self.wants(&promoted.resource) {
                            // The key is there only if the list is not empty, as ever.
                            let before: &[u8] = if self.begun { b"," } else { b",\"promoted\":[" };
                            out.extend_from_slice(before);
                            self.begun = true;
                            json(&mut out, promoted);
                        }
                        Next::Promoted(at + 1)
                    }
                    None => {
                        let end: &[u8] = if self.begun { b"],\"resources\":[" } else { b",\"resources\":[" };
                        out.extend_from_slice(end);
                        self.begun = false;
                        Next::Resources(0)
                    }
                },
                Next::Resources(at) => match self.snapshot.resources.get(at) {
                    Some(resource) => {
                        if self.wants(resource.name.as_str()) {
                            if std::mem::replace(&mut self.begun, true) {
                                out.push(b',');
                            }
                            json(&mut out, &WireResource::from(&**resource));
                        }
                        Next::Resources(at + 1)
                    }
                    None => {
                        // The list, the status, the parameters, the reply.
                        let end: &[u8] = if self.continues { b"]}},\"continues\":true}\0" } else { b"]}}}\0" };
                        out.extend_from_slice(end);
                        Next::Nothing
                    }
                },
                Next::Nothing => break,
            };
        }
        out
    }

    /// Everything but the lists, and no brace at its end.
    fn head(&self, out: &mut Vec<u8>) -> Next {
        out.extend_from_slice(b"{\"parameters\":{\"status\":");
        json(out, &*self.snapshot.status);
        out.pop();
        Next::Promoted(0)
    }

    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(name))
    }
}

/// # Panics
/// Never for our own types: they have only string keys and no values that fail to serialise.
fn json(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("wire types have string keys and finite numbers");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_snapshot_is_withdrawn_when_too_many_are_being_read() {
        let mut lending = Lending::default();
        let mut lent: Vec<_> = (0..OLD_SNAPSHOTS).map(|_| lending.lend(Snapshot::default())).collect();
        // All of them are young: nobody was slow yet.
        lent.push(lending.lend(Snapshot::default()));
        assert!(lent.iter().all(|one| !one.is_withdrawn.load(Ordering::Relaxed)));
        lending.reading_time = Duration::ZERO;
        lent.push(lending.lend(Snapshot::default()));
        let withdrawn: Vec<bool> = lent.iter().map(|one| one.is_withdrawn.load(Ordering::Relaxed)).collect();
        assert_eq!(withdrawn, [true, true, false, false, false, false]);
        lent[0].withdrawn().await;
        // What nobody reads any more does not count.
        lent.truncate(3);
        lending.reading_time = Duration::ZERO;
        lent.push(lending.lend(Snapshot::default()));
        assert!(!lent[2].is_withdrawn.load(Ordering::Relaxed));
    }
}
