//! What waits for the thread that owns the stages.
//!
//! | from | bound | when it is full |
//! | --- | --- | --- |
//! | /dev/kmsg | 64 pieces of at most 256 KiB | dropped and counted: the reader must not wait, it has other lines to look for. Their numbers are missing then, and the journal has them |
//! | the journal | 8 pieces of 64 KiB | its reader waits, and so does the child behind the pipe: nothing is lost |
//! | uevents | 4,096 | dropped and counted |
//!
//! The kernel's messages are taken first: a program that logs without pause delays no failure of a disk.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const MAX_KERNEL: usize = 64;
const MAX_JOURNAL: usize = 8;
const MAX_UEVENTS: usize = 4096;

/// The pieces of the kernel's log have about this many bytes at most.
pub(crate) const PIECE_BYTES: usize = 256 * 1024;

/// Messages as /dev/kmsg gave them, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Piece {
    /// Adds what one read gave.
    pub fn push(&mut self, message: &[u8]) {
        self.bytes.extend_from_slice(message);
        self.ends.push(self.bytes.len());
    }

    /// Each message.
    pub fn messages(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }

    /// Nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// It has as much as a piece should have.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= PIECE_BYTES
    }
}

/// What comes in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Messages of the kernel.
    Kernel(Piece),
    /// /dev/kmsg can't be read, or not any more.
    NoKernelLog,
    /// The follower of the journal was started anew: what follows begins with an entry.
    JournalBegins,
    /// What it printed.
    Journal(Vec<u8>),
    /// One datagram.
    Uevent(Vec<u8>),
    /// So many things did not fit, or were lost on the way.
    Lost(Lost),
}

/// What was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Messages of the kernel that nobody has: neither its ring nor the journal.
    pub kernel: u64,
    /// Uevents.
    pub uevents: u64,
}

#[derive(Debug, Default)]
struct Waiting {
    kernel: VecDeque<Piece>,
    no_kernel_log: bool,
    journal: VecDeque<News>,
    uevents: VecDeque<Vec<u8>>,
    lost: Lost,
    is_closed: bool,
}

/// Shared by the readers and the thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inbox {
    shared: Arc<(Mutex<Waiting>, Condvar)>,
}

/// The thread has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed;

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn kernel(&self, piece: Piece) {
        let mut waiting = self.lock();
        if waiting.kernel.len() < MAX_KERNEL {
            waiting.kernel.push_back(piece);
        }
        drop(waiting);
        self.shared.1.notify_all();
    }

    pub(crate) fn no_kernel_log(&self) {
        self.lock().no_kernel_log = true;
        self.shared.1.notify_all();
    }

    pub(crate) fn uevent(&self, datagram: Vec<u8>) {
        let mut waiting = self.lock();
        if waiting.uevents.len() < MAX_UEVENTS {
            waiting.uevents.push_back(datagram);
        } else {
            waiting.lost.uevents += 1;
        }
        drop(waiting);
        self.shared.1.notify_all();
    }

    pub(crate) fn lost_uevents(&self) {
        self.lock().lost.uevents += 1;
        self.shared.1.notify_all();
    }

    /// Waits for room.
    pub(crate) fn journal(&self, news: News) -> Result<(), Closed> {
        let mut waiting = self.lock();
        while waiting.journal.len() >= MAX_JOURNAL && !waiting.is_closed {
            waiting = self.shared.1.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        if waiting.is_closed {
            return Err(Closed);
        }
        waiting.journal.push_back(news);
        drop(waiting);
        self.shared.1.notify_all();
        Ok(())
    }

    /// The next; `Ok(None)` = nothing came until then.
    pub(crate) fn next(&self, until: Option<Instant>) -> Result<Option<News>, Closed> {
        let mut waiting = self.lock();
        loop {
            if let Some(news) = waiting.take() {
                drop(waiting);
                self.shared.1.notify_all();
                return Ok(Some(news));
            }
            if waiting.is_closed {
                return Err(Closed);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
            let condvar = &self.shared.1;
            waiting = condvar
                .wait_timeout(waiting, left.unwrap_or(Duration::from_secs(3600)))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits; whether it was closed meanwhile.
    pub(crate) fn is_closed_within(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut waiting = self.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if waiting.is_closed || left.is_zero() {
                return waiting.is_closed;
            }
            waiting = self.shared.1.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What came until now is still handled; who waits for room is let go.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.shared.1.notify_all();
    }
}

impl Waiting {
    fn take(&mut self) -> Option<News> {
        if let Some(piece) = self.kernel.pop_front() {
            return Some(News::Kernel(piece));
        }
        if std::mem::take(&mut self.no_kernel_log) {
            return Some(News::NoKernelLog);
        }
        if let Some(datagram) = self.uevents.pop_front() {
            return Some(News::Uevent(datagram));
        }
        if self.lost != Lost::default() {
            return Some(News::Lost(std::mem::take(&mut self.lost)));
        }
        self.journal.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_comes_first_and_what_does_not_fit_is_counted() {
        let inbox = Inbox::default();
        let now = Some(Instant::now());
        for _ in 0..MAX_JOURNAL {
            inbox.journal(News::Journal(b"x".to_vec())).unwrap();
        }
        for _ in 0..MAX_UEVENTS + 3 {
            inbox.uevent(b"change@/x\0".to_vec());
        }
        let mut piece = Piece::default();
        piece.push(b"6,1,2,-;a\n");
        piece.push(b"6,2,3,-;b\n");
        assert_eq!(piece.messages().collect::<Vec<_>>(), [b"6,1,2,-;a\n", b"6,2,3,-;b\n"]);
        for _ in 0..MAX_KERNEL + 5 {
            inbox.kernel(piece.clone());
        }
        for _ in 0..MAX_KERNEL {
            assert!(matches!(inbox.next(now), Ok(Some(News::Kernel(_)))));
        }
        for _ in 0..MAX_UEVENTS {
            assert!(matches!(inbox.next(now), Ok(Some(News::Uevent(_)))));
        }
        assert_eq!(inbox.next(now), Ok(Some(News::Lost(Lost { kernel: 0, uevents: 3 }))));
        inbox.close();
        assert!(matches!(inbox.next(None), Ok(Some(News::Journal(_)))), "what came is still handled");
        assert_eq!(inbox.journal(News::JournalBegins), Err(Closed));
    }

    #[test]
    fn a_journal_that_floods_waits_for_room() {
        let inbox = Inbox::default();
        let flood = inbox.clone();
        let thread = std::thread::spawn(move || (0..1000).try_for_each(|_| flood.journal(News::JournalBegins)));
        for _ in 0..1000 {
            assert_eq!(inbox.next(None), Ok(Some(News::JournalBegins)));
            assert!(inbox.lock().journal.len() <= MAX_JOURNAL);
        }
        assert_eq!(thread.join().unwrap(), Ok(()));
    }
}
