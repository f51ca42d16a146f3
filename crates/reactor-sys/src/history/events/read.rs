//! Reading storage events and incidents, a page at a time: the newest or the oldest first.
//!
//! ```text
//!   device? incident? type? severity? ─▶ the index that leaves least ─▶ places, merged in the order of time ─▶ rows, filtered by the rest
//! ```

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reactor_core::history::StorageEvent;
use reactor_storage::event::{Event, Severity, Subsystem};
use reactor_storage::incidents::Incident;
use rusqlite::types::Value;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row, Rows, params_from_iter};

use super::super::open::HistoryError;
use super::super::read::Reader;
use super::super::store::sql;
use super::put::WrittenEvent;
use super::{Body, Subject, keys};

/// Events in one page.
pub const PAGE: usize = 128;

/// Rows that are looked at for one page: a rare type is found over several.
const LOOKED_AT: usize = 50_000;

/// Incidents that became part of another one, and are asked for with it.
const MAX_PARTS: i64 = 256;

/// What is wanted: all of it has to hold, of several values of one kind any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// This and worse.
    pub severity: Option<Severity>,
    /// Types, in any case.
    pub types: Vec<String>,
    /// Parts of storage.
    pub subsystems: Vec<Subsystem>,
    /// Devices, by texts that [`keys`] gives of an event; `None` = all.
    pub devices: Option<Vec<String>>,
    /// From then on, Unix time in microseconds.
    pub since_us: Option<u64>,
    /// Until then, Unix time in microseconds.
    pub until_us: Option<u64>,
    /// Of this incident, and of those that became part of it.
    pub incident: Option<String>,
}

/// Which end comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest.
    #[default]
    NewestFirst,
    /// The oldest.
    OldestFirst,
}

/// Where a page ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPosition {
    at_us: i64,
    seq: i64,
}

/// One page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventPage {
    /// In the order that was asked for.
    pub events: Vec<WrittenEvent>,
    /// Where to go on; `None` = there is no more. A page may have none and yet not be the last.
    pub next: Option<EventPosition>,
}

impl EventQuery {
    /// Whether this event, which was just written, is wanted. `parts` = the ids of incidents that are wanted.
    pub fn takes(&self, told: &StorageEvent) -> bool {
        let StorageEvent { event, incident } = told;
        let at = event.at.wall_us.unwrap_or(0);
        self.has(event.severity, &event.kind, event.subsystem, incident.as_deref())
            && self.devices.as_ref().is_none_or(|wanted| {
                let keys = keys(event);
                wanted.iter().any(|key| keys.contains(key.as_str()))
            })
            && self.since_us.is_none_or(|since| at >= since)
            && self.until_us.is_none_or(|until| at <= until)
    }

    fn has(&self, severity: Severity, kind: &str, subsystem: Subsystem, incident: Option<&str>) -> bool {
        self.severity.is_none_or(|least| severity >= least)
            && (self.types.is_empty() || self.types.iter().any(|wanted| wanted.eq_ignore_ascii_case(kind)))
            && (self.subsystems.is_empty() || self.subsystems.contains(&subsystem))
            && self.incident.as_deref().is_none_or(|wanted| incident == Some(wanted))
    }
}

/// A stretch of an index: the column, and its value.
enum Stretch {
    Device(i64),
    Incident(String),
    Type(String),
    Severity(Severity),
    All,
}

impl Stretch {
    /// The question for its places from `?2`, `?3` on, and its first value.
    fn select(&self, order: Order) -> (String, Value) {
        let (table, seq, column, value) = match self {
            Self::Device(key) => ("event_device", "event", "key = ?1", Value::Integer(*key)),
            Self::Incident(id) => ("event", "seq", "incident = ?1", Value::Text(id.clone())),
            Self::Type(name) => ("event", "seq", "type = ?1", Value::Text(name.clone())),
            Self::Severity(severity) => ("event", "seq", "severity = ?1", Value::Text(severity.as_str().to_owned())),
            Self::All => ("event", "seq", "?1 IS NULL", Value::Null),
        };
        let (compare, direction) = match order {
            Order::NewestFirst => ("<", "DESC"),
            Order::OldestFirst => (">", "ASC"),
        };
        let bound = match order {
            Order::NewestFirst => "at_us >= ?4",
            Order::OldestFirst => "at_us <= ?4",
        };
        let select = format!(
            "SELECT at_us, {seq} FROM {table} WHERE {column} AND (at_us, {seq}) {compare} (?2, ?3) AND {bound}
             ORDER BY at_us {direction}, {seq} {direction}"
        );
        (select, value)
    }
}

impl Reader {
    /// At most [`PAGE`] events behind `from`, or from the end that comes first.
    ///
    /// # Errors
    ///
    /// See [`HistoryError`].
    pub fn events(
        &self,
        query: &EventQuery,
        order: Order,
        from: Option<EventPosition>,
    ) -> Result<EventPage, HistoryError> {
        self.events_of(|connection| page(connection, query, order, from))
    }

    /// At most [`PAGE`] events that were written or changed behind this number, in that order.
    ///
    /// # Errors
    ///
    /// See [`HistoryError`].
    pub fn events_behind(&self, number: u64) -> Result<Vec<WrittenEvent>, HistoryError> {
        self.events_of(|connection| {
            let select = format!("SELECT {COLUMNS} FROM event WHERE number > ?1 ORDER BY number LIMIT ?2");
            let mut statement = connection.prepare_cached(&select)?;
            let mut rows = statement.query([sql(number), sql(PAGE as u64)])?;
            let mut subjects = Subjects::default();
            let mut events = Vec::new();
            while let Some(row) = rows.next()? {
                events.push(event(connection, row, &mut subjects)?);
            }
            Ok(events)
        })
    }

    /// The number of the event that was written or changed last; 0 = there is none.
    ///
    /// # Errors
    ///
    /// See [`HistoryError`].
    pub fn last_event(&self) -> Result<u64, HistoryError> {
        self.events_of(|connection| {
            let last: Option<i64> = connection.query_row("SELECT max(number) FROM event", [], |row| row.get(0))?;
            Ok(unsigned(last.unwrap_or(0)))
        })
    }

    /// The incidents that had their last trouble since then (Unix time in microseconds), the newest of them at most so many; the oldest comes first.
    /// Without those that became part of others.
    ///
    /// # Errors
    ///
    /// See [`HistoryError`].
    pub fn incidents(&self, since_us: u64, last: u64) -> Result<Vec<Incident>, HistoryError> {
        self.events_of(|connection| {
            let select =
                "SELECT body FROM incident WHERE last_us >= ?1 AND part_of IS NULL ORDER BY last_us DESC LIMIT ?2";
            let mut statement = connection.prepare_cached(select)?;
            let bodies = statement.query_map([sql(since_us), sql(last)], |row| row.get::<_, String>(0))?;
            let mut incidents = Vec::new();
            for body in bodies {
                incidents.extend(serde_json::from_str::<Incident>(&body?));
            }
            incidents.sort_by(|a, b| (a.opened_us, &a.id).cmp(&(b.opened_us, &b.id)));
            Ok(incidents)
        })
    }

    /// The incidents whose id begins so, two at most: more than one is ambiguous.
    ///
    /// # Errors
    ///
    /// See [`HistoryError`].
    pub fn incidents_named(&self, beginning: &str) -> Result<Vec<Incident>, HistoryError> {
        self.events_of(|connection| {
            let select =
                "SELECT body FROM incident WHERE id >= ?1 AND substr(id, 1, length(?1)) = ?1 ORDER BY id LIMIT 2";
            let mut statement = connection.prepare_cached(select)?;
            let bodies = statement.query_map([beginning], |row| row.get::<_, String>(0))?;
            let mut incidents = Vec::new();
            for body in bodies {
                incidents.extend(serde_json::from_str::<Incident>(&body?));
            }
            Ok(incidents)
        })
    }
}

fn page(
    connection: &Connection,
    query: &EventQuery,
    order: Order,
    from: Option<EventPosition>,
) -> rusqlite::Result<EventPage> {
    let incidents = match &query.incident {
        Some(incident) => parts(connection, incident)?,
        None => BTreeSet::new(),
    };
    let stretches = stretches(connection, query, &incidents)?;
    let (since, until) = (sql(query.since_us.unwrap_or(0)), sql(query.until_us.unwrap_or(u64::MAX)));
    let (start, bound) = match order {
        Order::NewestFirst => (EventPosition { at_us: until, seq: i64::MAX }, since),
        Order::OldestFirst => (EventPosition { at_us: since, seq: i64::MIN }, until),
    };
    let EventPosition { at_us, seq } = from.unwrap_or(start);
    let mut statements: Vec<(CachedStatement<'_>, Value)> = Vec::new();
    for stretch in &stretches {
        let (select, value) = stretch.select(order);
        statements.push((connection.prepare_cached(&select)?, value));
    }
    let mut places = Vec::new();
    for (statement, value) in &mut statements {
        let values = [value.clone(), Value::Integer(at_us), Value::Integer(seq), Value::Integer(bound)];
        places.push(Places::new(statement.query(params_from_iter(values))?)?);
    }
    let row = format!("SELECT {COLUMNS} FROM event WHERE seq = ?1");
    let mut row = connection.prepare_cached(&row)?;
    let (mut events, mut subjects, mut looked_at) = (Vec::new(), Subjects::default(), 0);
    while let Some(place) = next(&mut places, order)? {
        looked_at += 1;
        let mut rows = row.query([place.1])?;
        if let Some(row) = rows.next()?
            && is_wanted(query, &incidents, row)?
        {
            events.push(event(connection, row, &mut subjects)?);
        }
        if events.len() >= PAGE || looked_at >= LOOKED_AT {
            return Ok(EventPage { events, next: Some(EventPosition { at_us: place.0, seq: place.1 }) });
        }
    }
    Ok(EventPage { events, next: None })
}

/// The stretches of the index that leaves least.
fn stretches(
    connection: &Connection,
    query: &EventQuery,
    incidents: &BTreeSet<String>,
) -> rusqlite::Result<Vec<Stretch>> {
    if query.incident.is_some() {
        return Ok(incidents.iter().cloned().map(Stretch::Incident).collect());
    }
    if let Some(devices) = &query.devices {
        let mut keys = BTreeSet::new();
        for text in devices {
            let key = "SELECT id FROM event_key WHERE text = ?1";
            keys.extend(connection.prepare_cached(key)?.query_row([text], |row| row.get::<_, i64>(0)).optional()?);
        }
        return Ok(keys.into_iter().map(Stretch::Device).collect());
    }
    if !query.types.is_empty() {
        // A rule of the user's may give another form.
        let forms = |name: &String| [name.clone(), name.to_ascii_uppercase()];
        let types: BTreeSet<String> = query.types.iter().flat_map(forms).collect();
        return Ok(types.into_iter().map(Stretch::Type).collect());
    }
    Ok(match query.severity {
        Some(least) if least > Severity::Info => {
            Severity::ALL.into_iter().filter(|severity| *severity >= least).map(Stretch::Severity).collect()
        }
        _ => vec![Stretch::All],
    })
}

/// An incident, and all that became part of it.
fn parts(connection: &Connection, incident: &str) -> rusqlite::Result<BTreeSet<String>> {
    let select = "WITH RECURSIVE part(id) AS (SELECT ?1 UNION SELECT incident.id FROM incident JOIN part ON incident.part_of = part.id)
                  SELECT id FROM part LIMIT ?2";
    let mut statement = connection.prepare_cached(select)?;
    let ids = statement.query_map(rusqlite::params![incident, MAX_PARTS], |row| row.get(0))?;
    ids.collect()
}

/// One stretch, read as far as it is needed.
struct Places<'s> {
    rows: Rows<'s>,
    next: Option<(i64, i64)>,
}

impl<'s> Places<'s> {
    fn new(rows: Rows<'s>) -> rusqlite::Result<Self> {
        let mut places = Self { rows, next: None };
        places.advance()?;
        Ok(places)
    }

    fn advance(&mut self) -> rusqlite::Result<()> {
        self.next = match self.rows.next()? {
            Some(row) => Some((row.get(0)?, row.get(1)?)),
            None => None,
        };
        Ok(())
    }
}

/// The next place of all of them. What is in several comes once.
fn next(places: &mut [Places<'_>], order: Order) -> rusqlite::Result<Option<(i64, i64)>> {
    let all = places.iter().filter_map(|places| places.next);
    let next = match order {
        Order::NewestFirst => all.max(),
        Order::OldestFirst => all.min(),
    };
    for places in places.iter_mut().filter(|places| places.next == next && next.is_some()) {
        places.advance()?;
    }
    Ok(next)
}

const COLUMNS: &str = "severity, type, subsystem, incident, number, id, count, subject, message, body, last_us";

fn is_wanted(query: &EventQuery, incidents: &BTreeSet<String>, row: &Row<'_>) -> rusqlite::Result<bool> {
    let words = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?);
    let incident = row.get_ref(3)?.as_str_or_null()?;
    // Which incident it is was looked at: it may be part of the one that was asked for.
    let incident = match (incident, &query.incident) {
        (Some(incident), Some(wanted)) if incidents.contains(incident) => Some(wanted.as_str()),
        (incident, _) => incident,
    };
    Ok(query.has(severity(words.0), words.1, subsystem(words.2), incident))
}

/// A word of a newer program may be as bad as anything.
fn severity(word: &str) -> Severity {
    Severity::ALL.into_iter().find(|severity| severity.as_str() == word).unwrap_or(Severity::Critical)
}

fn subsystem(word: &str) -> Subsystem {
    Subsystem::ALL.into_iter().find(|subsystem| subsystem.as_str() == word).unwrap_or(Subsystem::Other)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Devices that were read for this page.
#[derive(Default)]
struct Subjects(BTreeMap<i64, Subject<'static>>);

impl Subjects {
    /// What can't be understood is an event without devices: the rest of it is worth reading.
    fn read(&mut self, connection: &Connection, id: i64) -> rusqlite::Result<Subject<'static>> {
        if let Some(known) = self.0.get(&id) {
            return Ok(known.clone());
        }
        let select = "SELECT body FROM event_subject WHERE id = ?1";
        let body: Option<String> = connection.prepare_cached(select)?.query_row([id], |row| row.get(0)).optional()?;
        let none = || Subject { device: None, others: Cow::Owned(Vec::new()) };
        let subject = body.and_then(|body| serde_json::from_str(&body).ok()).unwrap_or_else(none);
        self.0.insert(id, subject.clone());
        Ok(subject)
    }
}

fn event(connection: &Connection, row: &Row<'_>, subjects: &mut Subjects) -> rusqlite::Result<WrittenEvent> {
    let subject = match row.get::<_, Option<i64>>(7)? {
        Some(id) => subjects.read(connection, id)?,
        None => Subject { device: None, others: Cow::Owned(Vec::new()) },
    };
    let message: String = row.get(8)?;
    let body: Option<Body<'static>> = serde_json::from_str(&row.get::<_, String>(9)?).ok();
    let Body { at, last, fields, lines, source, host } = body.unwrap_or(Body {
        at: Default::default(),
        last: Default::default(),
        fields: Cow::Owned(BTreeMap::new()),
        lines: Cow::Owned(Vec::new()),
        source: Cow::Borrowed(""),
        host: None,
    });
    let lines = if lines.is_empty() { vec![message.clone()] } else { lines.into_owned() };
    let event = Event {
        id: row.get(5)?,
        at,
        last,
        severity: severity(row.get_ref(0)?.as_str()?),
        kind: row.get(1)?,
        subsystem: subsystem(row.get_ref(2)?.as_str()?),
        device: subject.device.map(|device| Arc::new(device.into_owned())),
        others: subject.others.into_owned(),
        fields: fields.into_owned(),
        message,
        lines,
        count: unsigned(row.get(6)?),
        source: source.into_owned(),
        host: host.map(Cow::into_owned),
    };
    let number = unsigned(row.get(4)?);
    Ok(WrittenEvent { number, told: Arc::new(StorageEvent { event, incident: row.get(3)? }) })
}
