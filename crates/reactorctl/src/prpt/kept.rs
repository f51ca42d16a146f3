//! Events that a daemon has stored: the journal may be shorter than that.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;

use jiff::Timestamp;
use reactor_storage::event::Event;
use reactor_sys::history::StoredEvent;
use reactor_sys::history::events::read::{EventPosition, EventQuery, Order};
use reactor_sys::history::read::Reader;

/// So many events of the journal are known to have been told; of a longer one some may be told once more.
const MAX_TOLD: usize = 1_000_000;

/// The stored events, the oldest first, between those of the journal. Without a store that this user may read there are none.
pub(super) struct Kept {
    reader: Option<Reader>,
    query: EventQuery,
    from: Option<EventPosition>,
    page: VecDeque<StoredEvent>,
    told: BTreeSet<String>,
}

impl Kept {
    /// Of this state folder.
    pub(super) fn open(dir: Option<&Path>, since: Option<Timestamp>) -> Self {
        let since_us = since.map(|since| u64::try_from(since.as_microsecond()).unwrap_or(0));
        Self {
            reader: dir.and_then(|dir| Reader::open(dir).ok()),
            query: EventQuery { since_us, ..EventQuery::default() },
            from: None,
            page: VecDeque::new(),
            told: BTreeSet::new(),
        }
    }

    /// The journal has it: the same line has the same id.
    pub(super) fn was_told(&mut self, event: &Event) {
        let is_asked = self.reader.is_some() || !self.page.is_empty();
        if is_asked && self.told.len() < MAX_TOLD {
            self.told.insert(event.id.clone());
        }
    }

    /// The next one that is older than this and that was not told. `None` = as old as you like.
    pub(super) fn next_before(&mut self, wall_us: Option<u64>) -> Option<StoredEvent> {
        loop {
            self.fill();
            let at = self.page.front()?.told.event.at.wall_us.unwrap_or(0);
            if wall_us.is_some_and(|before| at >= before) {
                return None;
            }
            let event = self.page.pop_front()?;
            if !self.told.contains(&event.told.event.id) {
                return Some(event);
            }
        }
    }

    fn fill(&mut self) {
        while self.page.is_empty()
            && let Some(reader) = &self.reader
        {
            // What can't be read is as if it were not there: the journal is told all the same.
            let page = reader.events(&self.query, Order::OldestFirst, self.from).unwrap_or_default();
            self.page.extend(page.events);
            self.from = page.next;
            if page.next.is_none() {
                self.reader = None;
            }
        }
    }
}
