//! The newest state of something, written by a thread of its own: a disk that hangs delays nobody, and of states that follow each other faster than
//! they can be written only the last counts.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long to wait between two writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pauses {
    /// After one that went well.
    pub(crate) written: Duration,
    /// After one that did not: the same state, or a newer one, is tried again.
    pub(crate) refused: Duration,
}

/// A state that takes the place of an older one, which nobody has written.
pub(crate) trait Newest: Sized {
    /// The two as one.
    fn over(self, older: Self) -> Self {
        let _ = older;
        self
    }
}

/// Where the newest state is put.
#[derive(Debug)]
pub(crate) struct Slot<T> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    newest: Option<T>,
    is_last: bool,
    is_over: bool,
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T: Newest> Slot<T> {
    fn new() -> Self {
        let state = Mutex::new(State { newest: None, is_last: false, is_over: false });
        Self { shared: Arc::new(Shared { state, changed: Condvar::new() }) }
    }

    /// This is how it is now.
    fn put(&self, state: T) {
        let mut waiting = self.lock();
        waiting.newest = Some(match waiting.newest.take() {
            Some(older) => state.over(older),
            None => state,
        });
        drop(waiting);
        self.shared.changed.notify_all();
    }

    /// What was put until now is not to be written.
    pub(crate) fn forget(&self) {
        self.lock().newest = None;
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next state to write, not before that, unless it is the last; `None` = it is over.
    fn next(&self, not_before: Instant) -> Option<T> {
        let mut state = self.lock();
        loop {
            let left = not_before.saturating_duration_since(Instant::now());
            let changed = &self.shared.changed;
            if !state.is_last && !left.is_zero() {
                state = changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            match state.newest.take() {
                Some(newest) => return Some(newest),
                None if state.is_last => return None,
                None => state = changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// It could not be written: it is tried again if there is no newer one, unless it was the last.
    fn refused(&self, state: T) {
        let mut waiting = self.lock();
        if !waiting.is_last {
            waiting.newest = Some(match waiting.newest.take() {
                Some(newer) => newer.over(state),
                None => state,
            });
        }
    }
}

/// The thread that writes.
#[derive(Debug)]
pub(crate) struct Writer<T> {
    slot: Slot<T>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Newest + Send + 'static> Writer<T> {
    /// Starts it. First it does `begin`, and ends if that says so (`false`); `refused` hears of the first of failures in a row.
    ///
    /// # Errors
    ///
    /// There is no thread.
    pub(crate) fn spawn(
        name: &str,
        pauses: Pauses,
        begin: impl FnOnce(&Slot<T>) -> bool + Send + 'static,
        mut write: impl FnMut(&T) -> io::Result<()> + Send + 'static,
        refused: impl Fn(&io::Error) + Send + 'static,
    ) -> io::Result<Self> {
        let slot = Slot::new();
        let work = slot.clone();
        let run = move || {
            if begin(&work) {
                let (mut not_before, mut is_failing) = (Instant::now(), false);
                while let Some(newest) = work.next(not_before) {
                    let result = write(&newest);
                    let pause = if result.is_ok() { pauses.written } else { pauses.refused };
                    match result {
                        Ok(()) => is_failing = false,
                        Err(error) => {
                            if !std::mem::replace(&mut is_failing, true) {
                                refused(&error);
                            }
                            work.refused(newest);
                        }
                    }
                    not_before = Instant::now() + pause;
                }
            }
            work.lock().is_over = true;
            work.shared.changed.notify_all();
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self { slot, thread: Some(thread) })
    }

    /// This is how it is now.
    pub(crate) fn put(&self, state: T) {
        self.slot.put(state);
    }

    /// Waits until the newest state is written, or could not be.
    pub(crate) fn finish(mut self) {
        drop(self.last());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    /// The same, but so long at most. Whether the thread has ended.
    pub(crate) fn finish_within(mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut state = self.last();
        while !state.is_over {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let changed = &self.slot.shared.changed;
            state = changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        self.thread.take().is_none_or(|thread| thread.join().is_ok())
    }

    /// Nothing comes any more.
    fn last(&self) -> MutexGuard<'_, State<T>> {
        let mut state = self.slot.lock();
        state.is_last = true;
        self.slot.shared.changed.notify_all();
        state
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    impl Newest for u32 {}

    /// So long no test waits.
    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn a_pause_holds_up_nothing_at_the_end_and_only_the_last_is_written() {
        let (tx, rx) = channel();
        let pauses = Pauses { written: LONG, refused: LONG };
        let write = move |state: &u32| tx.send(*state).map_err(io::Error::other);
        let writer = Writer::spawn("test", pauses, |_| true, write, |_| {}).unwrap();
        writer.put(1);
        assert_eq!(rx.recv(), Ok(1));
        (2..100).for_each(|state| writer.put(state));
        assert!(writer.finish_within(LONG));
        assert_eq!(rx.iter().collect::<Vec<_>>(), [99]);
    }

    #[test]
    fn what_is_refused_is_tried_again_and_said_once() {
        let (tx, rx) = channel();
        let (said, heard) = channel();
        let pauses = Pauses { written: Duration::ZERO, refused: Duration::ZERO };
        let mut left = 3;
        let write = move |state: &u32| {
            left -= 1;
            if left > 0 { Err(io::ErrorKind::StorageFull.into()) } else { tx.send(*state).map_err(io::Error::other) }
        };
        let refused = move |error: &io::Error| _ = said.send(error.kind());
        let writer = Writer::spawn("test", pauses, |_| true, write, refused).unwrap();
        writer.put(7);
        assert_eq!(rx.recv(), Ok(7));
        writer.finish();
        assert_eq!(heard.iter().collect::<Vec<_>>(), [io::ErrorKind::StorageFull]);
    }

    #[test]
    fn who_does_not_begin_writes_nothing() {
        let pauses = Pauses { written: LONG, refused: LONG };
        let (tx, rx) = channel();
        let write = move |state: &u32| tx.send(*state).map_err(io::Error::other);
        let writer = Writer::spawn("test", pauses, |_| false, write, |_| {}).unwrap();
        writer.put(1);
        assert!(writer.finish_within(LONG));
        assert_eq!(rx.iter().count(), 0);
    }
}
