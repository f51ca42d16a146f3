//! Events of one cause become one incident, which has a root, and ends when what stood wrong is right again.
//!
//! ```text
//!                 a device of it, or one above or below, has trouble already ──▶ joined
//!   event ────────┤
//!   error, or a   └─ none has ──▶ opened
//!   warning that                    │
//!   lasts                           │
//!                                   ├─ all that lasts is cleared, and it stays calm ─────▶ over: cleared
//!                                   ├─ nothing lasts, and nothing has happened for long ─▶ over: quiet
//!                                   └─ a person says so ─────────────────────────────────▶ over: closed
//! ```
//!
//! Time is what the caller says: microseconds, on one axis for all calls. Nothing here reads a clock.

mod incident;
mod related;
mod story;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use incident::{End, Incident, Standing, Trouble};

use crate::catalogue::EventType;
use crate::event::{Event, Severity};
use related::Index;

/// What is counted as one cause, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// An event of the same stack within this many microseconds after the last one is of the same cause, whatever it is.
    pub together_us: u64,
    /// What was cleared has to stay so for as long, before the incident is over.
    pub calm_us: u64,
    /// An incident in which nothing lasts is over when nothing has happened for so long.
    pub quiet_us: u64,
    /// So many can be open. When one more opens, the one that has been silent for longest is over.
    pub max_open: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { together_us: 120_000_000, calm_us: 10_000_000, quiet_us: 3_600_000_000, max_open: 1000 }
    }
}

/// What became of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Opened,
    /// It has one more trouble, or one of them again.
    Grew,
    /// Something of it was cleared.
    Eased,
    /// It is over; it is no longer among the open ones.
    Over,
}

/// News of one incident, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// What happened.
    pub change: Change,
    /// The incident.
    pub incident: Arc<Incident>,
}

/// The incidents that are open. Whoever asks for them shares them: only one that changes is copied.
#[derive(Clone, Debug, Default)]
pub struct Incidents {
    settings: Settings,
    open: BTreeMap<String, Arc<Incident>>,
    index: Index,
    /// When the first event came.
    first_us: Option<u64>,
}

/// There is no such incident open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no open incident has this id")]
pub struct NotOpen;

impl Incidents {
    /// None is open.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// From now on these.
    pub fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Goes on with these, which were open when another one ended. After another boot only those things still last which a boot does not put right:
    /// a path that failed then is used again, and if it still fails, the log of this boot says so.
    ///
    /// `since` are events that came before these were known, the oldest first: what they say to be right again is so. An incident that was told in
    /// the meantime, because nobody knew that it was there already, is part of the old one.
    pub fn restore(
        &mut self,
        incidents: impl IntoIterator<Item = Arc<Incident>>,
        another_boot: bool,
        since: &[Event],
        now_us: u64,
    ) -> Vec<News> {
        let mut news = Vec::new();
        for incident in incidents.into_iter().filter(|incident| incident.end.is_none()) {
            let mut incident = Arc::unwrap_or_clone(incident);
            // Somebody may have set the clock: what was before is before all that came since.
            incident.not_after(self.first_us.map_or(now_us, |first| first.saturating_sub(1)));
            if another_boot {
                incident.boot(now_us);
            }
            for event in since {
                let clears = EventType::built_in(&event.kind).map_or(&[][..], |of| of.clears);
                incident.clear(event, clears, now_us);
            }
            let same = |open: &&Arc<Incident>| open.id == incident.id || incident.lasts() && open.has_same(&incident);
            let same: Vec<String> = self.open.values().filter(same).map(|open| open.id.clone()).collect();
            for id in same {
                let Some(told) = self.open.remove(&id) else { continue };
                self.index.remove(&told);
                let over = incident.swallow(Arc::unwrap_or_clone(told), now_us);
                if over.id != incident.id {
                    news.push(News { change: Change::Over, incident: Arc::new(over) });
                }
            }
            self.put(Arc::new(incident));
        }
        news
    }

    /// The machine has booted since all that was told so far.
    pub fn booted(&mut self, now_us: u64) {
        for incident in self.open.values_mut() {
            Arc::make_mut(incident).boot(now_us);
        }
    }

    /// The open ones, by id.
    pub fn open(&self) -> impl Iterator<Item = &Arc<Incident>> {
        self.open.values()
    }

    /// An event began, or has grown: the same id with a larger count is the same event.
    pub fn take(&mut self, event: &Event, now_us: u64) -> Vec<News> {
        self.first_us.get_or_insert(now_us);
        let of = EventType::built_in(&event.kind);
        let mut news = self.expire(now_us);
        let clears = of.map_or(&[][..], |of| of.clears);
        if !clears.is_empty() {
            news.extend(self.clear(event, clears, now_us));
        }
        let lasts = of.is_some_and(|of| of.lasting);
        match event.severity {
            Severity::Critical | Severity::Error => news.extend(self.join(event, of, now_us)),
            Severity::Warning if lasts || !self.related(event, of, now_us).is_empty() => {
                news.extend(self.join(event, of, now_us));
            }
            // A warning that passes is none by itself.
            Severity::Warning | Severity::Notice | Severity::Info => {}
        }
        news
    }

    /// A person says that it is over.
    ///
    /// # Errors
    ///
    /// None of that id is open.
    pub fn close(&mut self, id: &str, who: &str, now_us: u64) -> Result<News, NotOpen> {
        self.end(id, End::Closed { who: who.to_owned() }, now_us).ok_or(NotOpen)
    }

    /// When [`expire`](Self::expire) has something to do next.
    pub fn next_deadline(&self) -> Option<u64> {
        self.open.values().filter_map(|incident| incident.due(&self.settings)).map(|(at, _)| at).min()
    }

    /// Ends what is over by now.
    pub fn expire(&mut self, now_us: u64) -> Vec<News> {
        let due = |incident: &Incident| incident.due(&self.settings).filter(|(at, _)| *at <= now_us);
        let over: Vec<_> =
            self.open.values().filter_map(|incident| Some((incident.id.clone(), due(incident)?.1))).collect();
        over.into_iter().filter_map(|(id, end)| self.end(&id, end, now_us)).collect()
    }

    fn put(&mut self, incident: Arc<Incident>) {
        self.index.add(&incident);
        self.open.insert(incident.id.clone(), incident);
    }

    fn end(&mut self, id: &str, end: End, now_us: u64) -> Option<News> {
        let mut incident = Arc::unwrap_or_clone(self.open.remove(id)?);
        self.index.remove(&incident);
        incident.end = Some(end);
        incident.ended_us = Some(now_us);
        Some(News { change: Change::Over, incident: Arc::new(incident) })
    }

    /// The event is trouble: of an incident that is there, or of a new one. An event that connects two of them makes them one.
    fn join(&mut self, event: &Event, of: Option<&EventType>, now_us: u64) -> Vec<News> {
        let mut news = Vec::new();
        let related = self.related(event, of, now_us).into_iter();
        let mut mine: Vec<Incident> =
            related.filter_map(|id| self.open.remove(&id)).map(Arc::unwrap_or_clone).collect();
        for incident in &mine {
            self.index.remove(incident);
        }
        // The oldest one is the one that people know.
        mine.sort_by(|a, b| (a.opened_us, &a.id).cmp(&(b.opened_us, &b.id)));
        let mut mine = mine.into_iter();
        let (change, mut incident) = match mine.next() {
            Some(incident) => (Change::Grew, incident),
            None => (Change::Opened, Incident::new(event, now_us)),
        };
        for other in mine {
            news.push(News { change: Change::Over, incident: Arc::new(incident.swallow(other, now_us)) });
        }
        incident.add(event, of, now_us);
        let incident = Arc::new(incident);
        news.push(News { change, incident: Arc::clone(&incident) });
        self.put(incident);
        news.extend(self.make_room(now_us));
        news
    }

    /// The ids of those that this event belongs to.
    fn related(&self, event: &Event, of: Option<&EventType>, now_us: u64) -> Vec<String> {
        let near = self.index.near(event);
        let belongs =
            |id: &String| self.open.get(id).is_some_and(|incident| incident.takes(event, of, &self.settings, now_us));
        near.into_iter().filter(belongs).collect()
    }

    fn clear(&mut self, event: &Event, clears: &[&str], now_us: u64) -> Vec<News> {
        let near = self.index.near(event);
        let mut news = Vec::new();
        for id in near {
            let Some(incident) = self.open.get_mut(&id) else { continue };
            if !incident.is_cleared_by(event, clears) {
                continue;
            }
            Arc::make_mut(incident).clear(event, clears, now_us);
            news.push(News { change: Change::Eased, incident: Arc::clone(incident) });
        }
        news
    }

    fn make_room(&mut self, now_us: u64) -> Option<News> {
        if self.open.len() <= self.settings.max_open {
            return None;
        }
        let silent = self.open.values().min_by_key(|incident| incident.last_us)?.id.clone();
        self.end(&silent, End::MakesRoom, now_us)
    }
}
