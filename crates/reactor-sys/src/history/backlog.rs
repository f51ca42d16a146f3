//! Storage events that wait for the disk: apart from all other news, so that a flood of them costs none of these.
//!
//! An event that grows while it waits is still one, and so is an incident. Events come out as they came in; incidents once in a while as they are then,
//! for each change of one writes all of it anew.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reactor_core::history::{Row, StorageEvent};
use reactor_storage::incidents::Incident;

/// Events that may wait. More are lost.
const EVENTS: usize = 4096;

/// Incidents that may.
const INCIDENTS: usize = 4096;

/// So often incidents are written.
const PAUSE: Duration = Duration::from_secs(1);

/// What is lost, and since when, Unix time in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) since: u64,
    pub(super) count: u64,
}

/// Shared by the loop and the thread that writes.
#[derive(Clone, Debug, Default)]
pub(super) struct Backlog(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    order: VecDeque<String>,
    events: BTreeMap<String, (u64, Arc<StorageEvent>)>,
    incidents: BTreeMap<String, Arc<Incident>>,
    missing: Option<Missing>,
    /// When incidents were handed out last.
    handed_out: Option<Instant>,
    /// The thread was told that there is something, and has not looked yet.
    is_told: bool,
}

impl Backlog {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An event that was told at `time`. Gives whether there was room for it.
    pub(super) fn event(&self, time: u64, event: &Arc<StorageEvent>) -> bool {
        let mut waiting = self.lock();
        if let Some((_, known)) = waiting.events.get_mut(&event.event.id) {
            *known = newest(known, event);
            return true;
        }
        if waiting.events.len() >= EVENTS {
            waiting.lose(time);
            return false;
        }
        waiting.order.push_back(event.event.id.clone());
        waiting.events.insert(event.event.id.clone(), (time, Arc::clone(event)));
        true
    }

    /// An incident as it is at `time`. Gives whether there was room for it.
    pub(super) fn incident(&self, time: u64, incident: &Arc<Incident>) -> bool {
        let mut waiting = self.lock();
        if waiting.incidents.len() >= INCIDENTS && !waiting.incidents.contains_key(&incident.id) {
            waiting.lose(time);
            return false;
        }
        waiting.incidents.insert(incident.id.clone(), Arc::clone(incident));
        true
    }

    /// Whether the thread has to be told that there is something: from now on it counts as told. Not afterwards: a thread that is fast has looked by
    /// then, and nobody would tell it of the next.
    pub(super) fn has_to_be_told(&self) -> bool {
        !std::mem::replace(&mut self.lock().is_told, true)
    }

    /// It could not be told.
    pub(super) fn was_not_told(&self) {
        self.lock().is_told = false;
    }

    /// The next rows, so many at most, and what is missing before them. `at_once` = incidents, too, whenever that was done last.
    pub(super) fn take(&self, most: usize, now: Instant, at_once: bool) -> (Vec<Row>, Option<Missing>) {
        let mut waiting = self.lock();
        waiting.is_told = false;
        let mut rows = Vec::new();
        while rows.len() < most
            && let Some(id) = waiting.order.pop_front()
        {
            rows.extend(waiting.events.remove(&id).map(|(time, event)| Row::Event { time, event }));
        }
        if at_once || waiting.due(now).is_some_and(|due| due <= now) {
            while rows.len() < most
                && let Some((_, incident)) = waiting.incidents.pop_first()
            {
                rows.push(Row::Incident(incident));
            }
            if waiting.incidents.is_empty() {
                waiting.handed_out = Some(now);
            }
        }
        (rows, waiting.missing.take())
    }

    /// When there is something to take, if there is.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let waiting = self.lock();
        if waiting.order.is_empty() { waiting.due(now) } else { Some(now) }
    }
}

impl Waiting {
    fn due(&self, now: Instant) -> Option<Instant> {
        // The first ones of all at once.
        let due = self.handed_out.map_or(now, |at| at + PAUSE);
        (!self.incidents.is_empty()).then_some(due)
    }

    fn lose(&mut self, since: u64) {
        self.missing.get_or_insert(Missing { since, count: 0 }).count += 1;
    }
}

/// What is said last of an event; which incident it belongs to may have been said before.
fn newest(known: &Arc<StorageEvent>, event: &Arc<StorageEvent>) -> Arc<StorageEvent> {
    if event.incident.is_some() || known.incident.is_none() {
        return Arc::clone(event);
    }
    Arc::new(StorageEvent { event: event.event.clone(), incident: known.incident.clone() })
}
