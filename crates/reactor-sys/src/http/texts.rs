//! The text that all who ask at the same moment send, and what older texts may keep of memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use reactor_core::metrics::{Choice, Sheet, Snapshot};

use super::gzip::Press;
use super::scrape::Resources;

/// The texts of one server.
#[derive(Debug)]
pub(super) struct Texts {
    inner: Mutex<Inner>,
    /// Bytes that texts which are not the newest may have together; the last of them may always stay.
    old_bytes: usize,
    /// The newest one, compressed, as far as anybody has asked for it: less than a tenth of the text.
    press: Arc<Press>,
}

#[derive(Debug)]
struct Inner {
    sheet: Sheet,
    /// The moment that the sheet shows.
    generation: Option<u64>,
    number: Arc<u64>,
    /// Older ones that somebody may still read: number and size, the oldest first.
    old: VecDeque<(Weak<u64>, u64, usize)>,
}

/// A text to send.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) snapshot: Snapshot,
    /// Its number; kept for as long as the text is being sent.
    pub(super) number: Arc<u64>,
    /// Texts that are too much: those who still read them have had their time.
    pub(super) given_up: Vec<u64>,
}

impl Texts {
    pub(super) fn new(choice: Choice, old_bytes: usize) -> Self {
        let sheet = Sheet::new(choice);
        let inner = Inner { sheet, generation: None, number: Arc::new(0), old: VecDeque::new() };
        Self { inner: Mutex::new(inner), old_bytes, press: Arc::default() }
    }

    /// The moment that there is a text of.
    pub(super) fn generation(&self) -> Option<u64> {
        self.inner().generation
    }

    /// The newest text, with what the loop says in it. `None` = nothing has changed.
    pub(super) fn take(&self, resources: Option<Resources>) -> Text {
        let mut inner = self.inner();
        let mut given_up = Vec::new();
        // Answers of the loop may come to their scrapes in another order.
        if let Some(news) = resources
            && inner.generation.is_none_or(|have| have < news.generation)
        {
            let size = inner.sheet.snapshot().bytes();
            let (was, number) = (Arc::downgrade(&inner.number), *inner.number);
            inner.old.push_back((was, number, size));
            inner.number = Arc::new(number + 1);
            inner.old.retain(|(text, ..)| text.strong_count() > 0);
            while inner.old.len() > 1 && inner.old.iter().map(|(.., size)| size).sum::<usize>() > self.old_bytes {
                given_up.extend(inner.old.pop_front().map(|(_, number, _)| number));
            }
            let snapshot = inner.sheet.refresh(&news.list);
            self.press.renew(snapshot.stamps().iter().copied());
            inner.generation = Some(news.generation);
        }
        Text { snapshot: inner.sheet.snapshot(), number: Arc::clone(&inner.number), given_up }
    }

    /// What compresses the pieces of a text.
    pub(super) fn press(&self, text: &Text) -> Arc<Press> {
        self.press.begin(text.snapshot.stamps().iter().copied());
        Arc::clone(&self.press)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
