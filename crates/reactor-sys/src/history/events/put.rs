//! Writing storage events and incidents.

use std::borrow::Cow;
use std::collections::BTreeMap;

use reactor_core::history::StorageEvent;
use reactor_storage::device::Summary;
use reactor_storage::event::Event;
use reactor_storage::incidents::{End, Incident};
use rusqlite::{OptionalExtension as _, Transaction, params};
use std::sync::Arc;

use super::super::store::{cut, cut_to, sql};
use super::{Body, Subject, keys};

/// Keys whose numbers are remembered.
const MAX_REMEMBERED: usize = 8192;

/// The most that is kept of a line or a field.
const MAX_LINE: usize = 1024;

/// Devices with longer descriptions are kept without the most of what is above and below them.
const MAX_SUBJECT: usize = 32 * 1024;

/// What is kept of each list then.
const MAX_RELATED: usize = 16;

/// What an event costs beside its texts, roughly: its row and its places in the indexes.
const ROW_BYTES: usize = 300;

/// The same for each key.
const KEY_BYTES: usize = 28;

/// An event that was written, or has another count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenEvent {
    /// Its place in the order in which events were written or changed.
    pub number: u64,
    /// The event, with the count that it has in the file.
    pub told: Arc<StorageEvent>,
}

/// What the writer remembers of the file.
#[derive(Debug, Default)]
pub(in super::super) struct Memory {
    /// The last number that was given.
    number: u64,
    keys: BTreeMap<String, i64>,
}

impl Memory {
    /// Goes on behind what is in the file. In one without events numbers begin with the time, Unix time in milliseconds: if it is there in place of
    /// another one, they are larger than all that were before.
    pub(in super::super) fn of(connection: &rusqlite::Connection, now: u64) -> rusqlite::Result<Self> {
        let last: Option<i64> = connection.query_row("SELECT max(number) FROM event", [], |row| row.get(0))?;
        let number = last.map_or(now, |last| u64::try_from(last).unwrap_or(0));
        Ok(Self { number, keys: BTreeMap::new() })
    }

    /// Keys may have gone, or what was written was taken back.
    pub(in super::super) fn forget(&mut self) {
        self.keys.clear();
    }
}

/// What is in the file of an event.
struct Known {
    seq: i64,
    count: u64,
    severity: String,
    incident: Option<String>,
}

/// Writes it, told at `time` (Unix time in milliseconds). `None` = all of it is there already.
pub(in super::super) fn event(
    transaction: &Transaction<'_>,
    memory: &mut Memory,
    time: u64,
    told: &Arc<StorageEvent>,
) -> rusqlite::Result<Option<WrittenEvent>> {
    let StorageEvent { event, incident } = &**told;
    let known = "SELECT seq, count, severity, incident FROM event WHERE id = ?1";
    let known = transaction.prepare_cached(known)?.query_row([&event.id], |row| {
        let count: i64 = row.get(1)?;
        let count = u64::try_from(count).unwrap_or(0);
        Ok(Known { seq: row.get(0)?, count, severity: row.get(2)?, incident: row.get(3)? })
    });
    match known.optional()? {
        None => insert(transaction, memory, time, told).map(Some),
        // A log that is read once more says no more than before.
        Some(known)
            if known.count >= event.count
                && known.severity == event.severity.as_str()
                && (incident.is_none() || *incident == known.incident) =>
        {
            Ok(None)
        }
        Some(known) => grow(transaction, memory, &known, told).map(Some),
    }
}

fn insert(
    transaction: &Transaction<'_>,
    memory: &mut Memory,
    time: u64,
    told: &Arc<StorageEvent>,
) -> rusqlite::Result<WrittenEvent> {
    let StorageEvent { event, incident } = &**told;
    let at = sql(event.at.wall_us.unwrap_or(time.saturating_mul(1000)));
    let last = sql(event.last.wall_us.unwrap_or(0)).max(at);
    let (subject, new_bytes) = subject(transaction, event, at)?;
    let body = body(event);
    let (message, keys) = (cut(&event.message), keys(event));
    let bytes = ROW_BYTES + KEY_BYTES * keys.len() + new_bytes + message.len() + body.len();
    let bytes = sql(bytes as u64);
    memory.number += 1;
    let insert = "INSERT INTO event (id, number, at_us, last_us, severity, type, subsystem, incident, count, subject, message, bytes, body)
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    transaction.prepare_cached(insert)?.execute(params![
        event.id,
        sql(memory.number),
        at,
        last,
        event.severity.as_str(),
        event.kind,
        event.subsystem.as_str(),
        incident,
        sql(event.count),
        subject,
        message,
        bytes,
        body,
    ])?;
    let seq = transaction.last_insert_rowid();
    for key in keys {
        let key = key_id(transaction, memory, key)?;
        let place = "INSERT OR IGNORE INTO event_device (key, at_us, event) VALUES (?1, ?2, ?3)";
        transaction.prepare_cached(place)?.execute([key, at, seq])?;
    }
    add_bytes(transaction, bytes)?;
    Ok(WrittenEvent { number: memory.number, told: Arc::clone(told) })
}

/// More of the same; its time and its devices are those of its beginning.
fn grow(
    transaction: &Transaction<'_>,
    memory: &mut Memory,
    known: &Known,
    told: &Arc<StorageEvent>,
) -> rusqlite::Result<WrittenEvent> {
    let StorageEvent { event, incident } = &**told;
    memory.number += 1;
    let count = event.count.max(known.count);
    let incident = incident.as_ref().or(known.incident.as_ref());
    let update = "UPDATE event SET number = ?2, last_us = max(last_us, ?3), severity = ?4, incident = ?5, count = ?6, body = ?7 WHERE seq = ?1";
    transaction.prepare_cached(update)?.execute(params![
        known.seq,
        sql(memory.number),
        sql(event.last.wall_us.unwrap_or(0)),
        event.severity.as_str(),
        incident,
        sql(count),
        body(event),
    ])?;
    let told = StorageEvent { event: Event { count, ..event.clone() }, incident: incident.cloned() };
    Ok(WrittenEvent { number: memory.number, told: Arc::new(told) })
}

/// Writes an incident as it is now.
pub(in super::super) fn incident(transaction: &Transaction<'_>, incident: &Incident) -> rusqlite::Result<()> {
    let (how, part_of) = match &incident.end {
        None => (None, None),
        Some(End::Cleared) => (Some("cleared"), None),
        Some(End::Quiet) => (Some("quiet"), None),
        Some(End::Closed { .. }) => (Some("closed"), None),
        Some(End::PartOf { incident }) => (Some("part-of"), Some(incident)),
        Some(End::MakesRoom) => (Some("makes-room"), None),
    };
    let body = serde_json::to_string(&small(incident)).unwrap_or_default();
    let bytes = sql((ROW_BYTES + body.len()) as u64);
    let before = "SELECT bytes FROM incident WHERE id = ?1";
    let before: Option<i64> =
        transaction.prepare_cached(before)?.query_row([&incident.id], |row| row.get(0)).optional()?;
    let put = "INSERT INTO incident (id, opened_us, last_us, ended_us, how, part_of, severity, what, bytes, body)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
               ON CONFLICT (id) DO UPDATE SET last_us = ?3, ended_us = ?4, how = ?5, part_of = ?6, severity = ?7, what = ?8, bytes = ?9, body = ?10";
    transaction.prepare_cached(put)?.execute(params![
        incident.id,
        sql(incident.opened_us),
        sql(incident.last_us),
        incident.ended_us.map(sql),
        how,
        part_of,
        incident.severity.as_str(),
        cut(&incident.title()),
        bytes,
        body,
    ])?;
    add_bytes(transaction, bytes - before.unwrap_or(0))
}

/// What storage events take of the file, roughly.
pub(super) fn add_bytes(transaction: &Transaction<'_>, bytes: i64) -> rusqlite::Result<()> {
    let add = "UPDATE meta SET value = CAST(max(0, CAST(value AS INTEGER) + ?1) AS TEXT) WHERE key = 'event-bytes'";
    transaction.prepare_cached(add)?.execute([bytes]).map(drop)
}

fn key_id(transaction: &Transaction<'_>, memory: &mut Memory, key: &str) -> rusqlite::Result<i64> {
    if let Some(id) = memory.keys.get(key) {
        return Ok(*id);
    }
    let known = transaction.prepare_cached("SELECT id FROM event_key WHERE text = ?1")?;
    let id = match { known }.query_row([key], |row| row.get(0)).optional()? {
        Some(id) => id,
        None => {
            transaction.prepare_cached("INSERT INTO event_key (text) VALUES (?1)")?.execute([key])?;
            transaction.last_insert_rowid()
        }
    };
    if memory.keys.len() >= MAX_REMEMBERED {
        memory.keys.clear();
    }
    memory.keys.insert(key.to_owned(), id);
    Ok(id)
}

/// The number of the devices of an event, and how many bytes were written for them.
fn subject(transaction: &Transaction<'_>, event: &Event, at: i64) -> rusqlite::Result<(Option<i64>, usize)> {
    if event.devices().next().is_none() {
        return Ok((None, 0));
    }
    let mut subject =
        Subject { device: event.device.as_deref().map(Cow::Borrowed), others: Cow::Borrowed(event.others.as_slice()) };
    let mut text = serde_json::to_string(&subject).unwrap_or_default();
    if text.len() > MAX_SUBJECT {
        subject.device.iter_mut().for_each(|device| shorten(device.to_mut()));
        subject.others.to_mut().iter_mut().for_each(|other| shorten(Arc::make_mut(&mut other.device)));
        text = serde_json::to_string(&subject).unwrap_or_default();
    }
    let hash = hash(&text);
    let known = "UPDATE event_subject SET used_us = max(used_us, ?3) WHERE hash = ?1 AND body = ?2 RETURNING id";
    let known = transaction.prepare_cached(known)?.query_row(params![hash, text, at], |row| row.get(0)).optional()?;
    if known.is_some() {
        return Ok((known, 0));
    }
    let insert = "INSERT INTO event_subject (hash, used_us, label, body) VALUES (?1, ?2, ?3, ?4)";
    transaction.prepare_cached(insert)?.execute(params![hash, at, cut(event.subject()), text])?;
    Ok((Some(transaction.last_insert_rowid()), text.len()))
}

fn shorten(device: &mut Summary) {
    device.names.truncate(MAX_RELATED);
    device.mounts.truncate(MAX_RELATED);
    device.above.truncate(MAX_RELATED);
    device.below.truncate(MAX_RELATED);
    for words in [&mut device.carries.drbd, &mut device.carries.mounts, &mut device.carries.units] {
        *words = std::mem::take(words).into_iter().take(MAX_RELATED).collect();
    }
}

/// An incident whose devices have endless lists is kept without the most of these.
fn small(incident: &Incident) -> Cow<'_, Incident> {
    let is_large = |device: &Summary| {
        let carries = &device.carries;
        device.above.len() + device.below.len() + carries.drbd.len() + carries.mounts.len() + carries.units.len()
            > 8 * MAX_RELATED
    };
    if !incident.troubles.iter().any(|trouble| trouble.event.devices().any(is_large)) {
        return Cow::Borrowed(incident);
    }
    let mut incident = incident.clone();
    for trouble in &mut incident.troubles {
        trouble.event.device.iter_mut().for_each(|device| shorten(Arc::make_mut(device)));
        trouble.event.others.iter_mut().for_each(|other| shorten(Arc::make_mut(&mut other.device)));
    }
    Cow::Owned(incident)
}

fn body(event: &Event) -> String {
    let is_long = |text: &String| text.len() > MAX_LINE;
    let fields = if event.fields.values().any(is_long) {
        let short = event.fields.iter().map(|(name, value)| (name.clone(), beginning(value).to_owned()));
        Cow::Owned(short.collect())
    } else {
        Cow::Borrowed(&event.fields)
    };
    let lines = match event.lines.as_slice() {
        [only] if *only == event.message => Cow::Borrowed(&[][..]),
        lines if lines.iter().any(is_long) => Cow::Owned(lines.iter().map(|line| beginning(line).to_owned()).collect()),
        lines => Cow::Borrowed(lines),
    };
    let body = Body {
        at: event.at,
        last: event.last,
        fields,
        lines,
        source: Cow::Borrowed(&event.source),
        host: event.host.as_deref().map(Cow::Borrowed),
    };
    serde_json::to_string(&body).unwrap_or_default()
}

fn beginning(text: &str) -> &str {
    cut_to(text, MAX_LINE)
}

/// FNV-1a: it has to be the same in every version of this program, and nobody gains by a collision, for texts are compared, too.
fn hash(text: &str) -> i64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    i64::from_ne_bytes(hash.to_ne_bytes())
}
