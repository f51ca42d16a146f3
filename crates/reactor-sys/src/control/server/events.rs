//! Answers about storage: events that are stored and that come, incidents, block devices. They are made on threads of their own, page by page.

use std::sync::Arc;

use reactor_api::WireEvent;
use reactor_api::call::{CallError, reply};
use reactor_api::parameter::Described;
use reactor_api::verb::Verb as _;
use reactor_api::verbs::{BlockInfo, Incidents, IncidentsReply, MonitorEvents, QueryEvents};
use reactor_api::words::{DeviceName, EventType, IncidentId, StorageSeverity, StorageSubsystem};
use reactor_core::api;
use reactor_storage::device::{Device, Report};
use reactor_storage::event::{Severity, Subsystem};
use reactor_storage::incidents::Incident;
use serde::Serialize;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use super::super::request::{KnownIncidents, StorageEvents};
use super::streams::Unread;
use super::{Connection, Fault};
use crate::chain::chain;
use crate::history::events::literal_keys;
use crate::history::events::read::{EventPage, EventPosition, EventQuery, Order};
use crate::history::read::Reader;
use crate::history::{HistoryError, StoredEvent};
use crate::storage::blocks::Blocks;

/// Ids by which one name is looked for.
const MAX_IDS: usize = 64;

/// So many pages without anything wanted are looked at before the client hears that there is none yet: it gives up after a time.
const EMPTY_PAGES: usize = 16;

/// What the filters of both verbs have in common.
struct Wanted<'c> {
    severity: Option<&'c StorageSeverity>,
    types: Option<&'c Vec<EventType>>,
    subsystems: Option<&'c Vec<StorageSubsystem>>,
    device: Option<&'c DeviceName>,
    incident: Option<&'c IncidentId>,
}

#[derive(Serialize)]
struct Page {
    events: Vec<WireEvent>,
}

#[derive(Serialize)]
struct News<'e> {
    events: &'e [WireEvent],
    after: u64,
}

impl Connection {
    /// Storage events of the past.
    pub(super) async fn query_events(&mut self, call: &QueryEvents, known: StorageEvents) -> Result<(), Fault> {
        let wanted = Wanted {
            severity: call.severity.as_ref(),
            types: call.types.as_ref(),
            subsystems: call.subsystems.as_ref(),
            device: call.device.as_ref(),
            incident: call.incident.as_ref(),
        };
        let query = EventQuery {
            since_us: call.since_ms.map(|ms| ms.saturating_mul(1000)),
            until_us: call.until_ms.map(|ms| ms.saturating_mul(1000).saturating_add(999)),
            ..self.event_query(&wanted, &known).await?
        };
        let order = if call.oldest_first.unwrap_or(false) { Order::OldestFirst } else { Order::NewestFirst };
        let (mut from, mut left) = (None, usize::try_from(call.last()).unwrap_or(usize::MAX));
        let mut found = Vec::new();
        loop {
            let (asked, at) = (query.clone(), from);
            let EventPage { mut events, next } =
                self.read_events(&known, move |reader| page(reader, &asked, order, at)).await?;
            events.truncate(left);
            left -= events.len();
            found.append(&mut events);
            let next = next.filter(|_| left > 0);
            let continues = next.is_some();
            // Without `more` there is one reply, and it has all.
            if !found.is_empty() && call.needs_more() || !continues {
                let events = std::mem::take(&mut found);
                let text = self.beside_the_loop(move || reply(&Page { events: wire(&events) }, continues)).await?;
                self.write(&text).await?;
            }
            match next {
                Some(_) => from = next,
                None => return Ok(()),
            }
        }
    }

    /// Storage events as they are stored.
    pub(super) async fn monitor_events(&mut self, call: &MonitorEvents, known: StorageEvents) -> Result<(), Fault> {
        let wanted = Wanted {
            severity: call.severity.as_ref(),
            types: call.types.as_ref(),
            subsystems: call.subsystems.as_ref(),
            device: call.device.as_ref(),
            incident: call.incident.as_ref(),
        };
        let query = self.event_query(&wanted, &known).await?;
        // Before the past is read: nothing is missed in between, and what comes twice is left out.
        let mut live = known.ledgers.follow_events();
        let last = self.read_events(&known, Reader::last_event).await?;
        // A number that is not reached yet is of another file, which began anew: all of this one is news.
        let mut after = match call.after {
            Some(after) if after <= last => after,
            Some(_) => 0,
            None => last,
        };
        self.say_news(&query, &[], after).await?;
        loop {
            let at = after;
            let events = self.read_events(&known, move |reader| reader.events_behind(at)).await?;
            let Some(newest) = events.last().map(|event| event.number) else { break };
            after = newest;
            let events: Vec<Arc<StoredEvent>> = events.into_iter().map(Arc::new).collect();
            self.say_news(&query, &events, after).await?;
        }
        // With the loop's own end of it the stream is over.
        drop(known);
        let mut unread = Unread::default();
        loop {
            let Some(next) = self.unless_gone(&mut unread, live.recv()).await? else { return Ok(()) };
            match next {
                Ok(event) if event.number > after => {
                    after = event.number;
                    self.say_news(&query, &[event], after).await?;
                }
                Ok(_) => {}
                Err(RecvError::Closed) => {
                    let end = reply(&News { events: &[], after }, false);
                    return Ok(self.write(&end).await?);
                }
                Err(RecvError::Lagged(missed)) => return Err(Fault::Call(CallError::Lagged { missed })),
            }
        }
    }

    async fn say_news(&mut self, query: &EventQuery, events: &[Arc<StoredEvent>], after: u64) -> Result<(), Fault> {
        let wanted = events.iter().filter(|event| query.takes(&event.told));
        let wanted: Vec<Arc<StoredEvent>> = wanted.cloned().collect();
        if wanted.is_empty() && !events.is_empty() {
            return Ok(());
        }
        let text = self.beside_the_loop(move || {
            let events: Vec<WireEvent> =
                wanted.iter().map(|event| api::event::stored(&event.told, event.number)).collect();
            reply(&News { events: &events, after }, true)
        });
        let text = text.await?;
        Ok(self.write(&text).await?)
    }

    /// Storage incidents.
    pub(super) async fn incidents(&self, call: &Incidents, known: KnownIncidents) -> Result<Vec<u8>, Fault> {
        let KnownIncidents { mut open, ledgers } = known;
        let mut past = Vec::new();
        if let Some(id) = &call.id {
            open.retain(|incident| incident.id.starts_with(&id.0));
            let id = id.0.clone();
            past = self.read_history(&ledgers?, move |reader| reader.incidents_named(&id)).await?;
        } else if let Some(last) = call.past {
            past = self.read_history(&ledgers?, move |reader| reader.incidents(0, last.0)).await?;
        }
        let text = self.beside_the_loop(move || {
            let is_open = |id: &str| open.iter().any(|incident| incident.id == id);
            past.retain(|incident| !is_open(&incident.id));
            let mut all: Vec<&Incident> = open.iter().map(|incident| &**incident).chain(&past).collect();
            all.sort_by(|a, b| (a.opened_us, &a.id).cmp(&(b.opened_us, &b.id)));
            let incidents = all.into_iter().map(|incident| Described::of(&api::incident::incident(incident))).collect();
            reply(&json!(IncidentsReply { incidents }), false)
        });
        Ok(text.await?)
    }

    /// Block devices.
    pub(super) async fn block_info(&self, call: &BlockInfo, blocks: Blocks) -> Result<Vec<u8>, Fault> {
        let name = call.device.as_ref().map(|device| device.0.clone());
        let text = self.beside_the_loop(move || -> Result<Vec<u8>, CallError> {
            let asked = blocks.ask(|map, remarks| {
                let devices: Vec<&Device> = match &name {
                    None => map.in_order(),
                    Some(name) => {
                        let found = map.find(name).map_err(|error| CallError::Refused { why: error.to_string() })?;
                        std::iter::once(found.device).chain(found.also).collect()
                    }
                };
                #[derive(Serialize)]
                struct Answer<'m> {
                    devices: Vec<Report<'m>>,
                    remarks: &'m [String],
                }
                let devices = devices.into_iter().map(|device| map.report(device)).collect();
                Ok(reply(&Answer { devices, remarks }, false))
            });
            asked.map_err(|error| CallError::Refused { why: chain(&error).to_string() })?
        });
        Ok(text.await??)
    }

    /// What is asked for. A device is looked for by its ids, so that it is found by whatever it was called then; one that nobody has here by its name.
    async fn event_query(&self, wanted: &Wanted<'_>, known: &StorageEvents) -> Result<EventQuery, Fault> {
        let severity = wanted.severity.and_then(|word| of_word(&Severity::ALL, Severity::as_str, &word.0));
        let subsystems = wanted.subsystems.into_iter().flatten();
        let subsystems = subsystems.filter_map(|word| of_word(&Subsystem::ALL, Subsystem::as_str, &word.0)).collect();
        let devices = match wanted.device {
            None => None,
            Some(DeviceName(name)) => {
                let (blocks, name) = (known.blocks.clone(), name.clone());
                Some(self.beside_the_loop(move || ids(&blocks, &name)).await?)
            }
        };
        let incident = match wanted.incident {
            None => None,
            Some(IncidentId(id)) => {
                let asked = id.clone();
                let named = self.read_events(known, move |reader| reader.incidents_named(&asked)).await?;
                match named.as_slice() {
                    [only] => Some(only.id.clone()),
                    [] => Some(id.clone()),
                    _ => {
                        let why = format!("more than one incident has an id that begins with {id}");
                        return Err(Fault::Call(CallError::Refused { why }));
                    }
                }
            }
        };
        let types = wanted.types.into_iter().flatten().map(|name| name.0.clone()).collect();
        Ok(EventQuery { severity, types, subsystems, devices, incident, ..EventQuery::default() })
    }

    async fn read_events<T: Send + 'static>(
        &self,
        known: &StorageEvents,
        read: impl FnOnce(&Reader) -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<T, Fault> {
        self.read_history(&known.ledgers, read).await
    }
}

/// A page with something in it, if that is not too far away.
fn page(
    reader: &Reader,
    query: &EventQuery,
    order: Order,
    mut from: Option<EventPosition>,
) -> Result<EventPage, HistoryError> {
    let mut page = EventPage::default();
    for _ in 0..EMPTY_PAGES {
        page = reader.events(query, order, from)?;
        if !page.events.is_empty() || page.next.is_none() {
            break;
        }
        from = page.next;
    }
    Ok(page)
}

fn wire(events: &[StoredEvent]) -> Vec<WireEvent> {
    events.iter().map(|event| api::event::stored(&event.told, event.number)).collect()
}

fn of_word<T: Copy, const N: usize>(all: &[T; N], as_str: impl Fn(T) -> &'static str, word: &str) -> Option<T> {
    all.iter().copied().find(|one| as_str(*one) == word)
}

/// The ids of the devices that are called so.
fn ids(blocks: &Blocks, name: &str) -> Vec<String> {
    let found = blocks.ask(|map, _| {
        let found = map.find(name).ok()?;
        let devices = std::iter::once(found.device).chain(found.also).take(MAX_IDS);
        Some(devices.map(|device| device.id.clone()).collect::<Vec<_>>())
    });
    found.ok().flatten().unwrap_or_else(|| literal_keys(name))
}
