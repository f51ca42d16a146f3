//! Reading the history: by the daemon for its clients, and by reactorctl where no daemon answers. Each page is a question of its own, so that nobody
//! keeps the writer from tidying up.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use reactor_api::history::{HistoryEntry, HistorySpan, PhaseTimes};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::open::{HistoryError, Place};
use super::schema::EVENTS_SINCE;
use super::store::sql;
use crate::control::rfc3339;

/// Entries in one page.
pub const PAGE: usize = 256;

/// What is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Of this resource only.
    pub resource: Option<String>,
    /// From then on, Unix time in milliseconds.
    pub since: Option<u64>,
    /// Until then, Unix time in milliseconds.
    pub until: Option<u64>,
    /// The last so many at most.
    pub last: u64,
}

/// Where a page ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    time: i64,
    id: i64,
}

/// Reads one file.
pub struct Reader {
    connection: Connection,
    path: PathBuf,
    /// Whether there are tables of storage events: a daemon of an older version makes none.
    has_events: bool,
}

const COLUMNS: &str = "entry.id, entry.time, run.node, resource, kind, severity, what, because, who, outcome, took, detect, decide, promote, start";

impl Reader {
    /// Opens the file in the state folder `dir`.
    ///
    /// # Errors
    ///
    /// See [`HistoryError`].
    pub fn open(dir: &Path) -> Result<Self, HistoryError> {
        let place = Place::look(dir, false)?;
        let connection = place.connect_to_read()?;
        let version = connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i32>(0));
        let version = version.map_err(|source| HistoryError::of("read the history", &place.path, source))?;
        Ok(Self { connection, path: place.path, has_events: version >= EVENTS_SINCE })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the first of the wanted entries is.
    ///
    /// # Errors
    ///
    /// See [`HistoryError`].
    pub fn begin(&self, query: &Query) -> Result<Option<Position>, HistoryError> {
        let which = if query.resource.is_some() { "resource = ?1 AND" } else { "?1 IS NULL AND" };
        let first = format!(
            "SELECT time, id FROM (
                 SELECT time, id FROM entry WHERE {which} time >= ?2 AND time <= ?3 ORDER BY time DESC, id DESC LIMIT ?4
             ) ORDER BY time, id LIMIT 1"
        );
        let (since, until) = (sql(query.since.unwrap_or(0)), sql(query.until.unwrap_or(u64::MAX)));
        let position = |row: &Row<'_>| Ok(Position { time: row.get(0)?, id: row.get(1)? });
        let values = params![query.resource, since, until, sql(query.last)];
        self.connection.query_row(&first, values, position).optional().map_err(|source| self.failed(source))
    }

    /// At most [`PAGE`] entries from `from` on (without that one if `after`), and where they end.
    ///
    /// # Errors
    ///
    /// See [`HistoryError`].
    pub fn page(
        &self,
        query: &Query,
        from: Position,
        after: bool,
    ) -> Result<(Vec<HistoryEntry>, Option<Position>), HistoryError> {
        let compare = if after { ">" } else { ">=" };
        let which = if query.resource.is_some() { "resource = ?1 AND" } else { "?1 IS NULL AND" };
        let select = format!(
            "SELECT {COLUMNS} FROM entry LEFT JOIN run ON run.id = entry.run
             WHERE {which} (entry.time, entry.id) {compare} (?2, ?3) AND entry.time <= ?4 ORDER BY entry.time, entry.id LIMIT ?5"
        );
        let read = || {
            let mut statement = self.connection.prepare_cached(&select)?;
            let until = sql(query.until.unwrap_or(u64::MAX));
            let values = params![query.resource, from.time, from.id, until, sql(PAGE as u64)];
            let rows = statement
                .query_map(values, |row| Ok((Position { id: row.get(0)?, time: row.get(1)? }, entry(row)?)))?;
            rows.collect::<rusqlite::Result<Vec<(Position, HistoryEntry)>>>()
        };
        let rows = read().map_err(|source| self.failed(source))?;
        let end = rows.last().map(|(position, _)| *position);
        Ok((rows.into_iter().map(|(_, entry)| entry).collect(), end))
    }

    /// At most [`PAGE`] spans that end after `since` and begin before `until`, behind the span number `after`.
    ///
    /// # Errors
    ///
    /// See [`HistoryError`].
    pub fn spans(&self, query: &Query, after: u64) -> Result<Vec<HistorySpan>, HistoryError> {
        let select = "SELECT span.id, run.node, resource, state, is_primary, planned, why, since,
                             coalesce(until, CASE WHEN run.id < (SELECT max(id) FROM run) OR run.ended IS NOT NULL THEN run.seen END)
                      FROM span LEFT JOIN run ON run.id = span.run
                      WHERE span.id > ?1 AND (?2 IS NULL OR resource = ?2) AND since <= ?4 AND (until IS NULL OR until >= ?3)
                      ORDER BY span.id LIMIT ?5";
        let read = || {
            let mut statement = self.connection.prepare_cached(select)?;
            let (since, until) = (sql(query.since.unwrap_or(0)), sql(query.until.unwrap_or(u64::MAX)));
            let rows =
                statement.query_map(params![sql(after), query.resource, since, until, sql(PAGE as u64)], span)?;
            rows.collect::<rusqlite::Result<Vec<HistorySpan>>>()
        };
        read().map_err(|source| self.failed(source))
    }

    /// The newest time that is written down, Unix time in milliseconds: until then a daemon has watched.
    ///
    /// # Errors
    ///
    /// See [`HistoryError`].
    pub fn seen(&self) -> Result<Option<u64>, HistoryError> {
        let seen = "SELECT max(seen) FROM run";
        let seen: rusqlite::Result<Option<i64>> = self.connection.query_row(seen, [], |row| row.get(0));
        Ok(seen.map_err(|source| self.failed(source))?.and_then(|ms| u64::try_from(ms).ok()))
    }

    /// Reads of the tables of storage events; without them there is nothing.
    pub(super) fn events_of<T: Default>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, HistoryError> {
        if !self.has_events {
            return Ok(T::default());
        }
        read(&self.connection).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: rusqlite::Error) -> HistoryError {
        HistoryError::of("read the history", &self.path, source)
    }
}

/// The entry with this number.
pub(super) fn one(connection: &Connection, id: i64) -> rusqlite::Result<Option<HistoryEntry>> {
    let select = format!("SELECT {COLUMNS} FROM entry LEFT JOIN run ON run.id = entry.run WHERE entry.id = ?1");
    connection.prepare_cached(&select)?.query_row([id], entry).optional()
}

fn time(ms: i64) -> String {
    let ms = u64::try_from(ms).unwrap_or(0);
    UNIX_EPOCH.checked_add(Duration::from_millis(ms)).map(rfc3339).unwrap_or_default()
}

fn number(value: Option<i64>) -> Option<u64> {
    value.and_then(|value| u64::try_from(value).ok())
}

fn entry(row: &Row<'_>) -> rusqlite::Result<HistoryEntry> {
    let because: String = row.get(7)?;
    let ms = |column| Ok::<_, rusqlite::Error>(number(row.get(column)?));
    Ok(HistoryEntry {
        id: number(Some(row.get(0)?)).unwrap_or(0),
        time: time(row.get(1)?),
        node: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
        resource: row.get(3)?,
        kind: row.get(4)?,
        severity: row.get(5)?,
        what: row.get(6)?,
        because: because.lines().map(str::to_owned).collect(),
        who: row.get(8)?,
        outcome: row.get(9)?,
        took_ms: ms(10)?,
        phases: PhaseTimes { detect_ms: ms(11)?, decide_ms: ms(12)?, promote_ms: ms(13)?, start_ms: ms(14)? },
        is_outcome: false,
    })
}

fn span(row: &Row<'_>) -> rusqlite::Result<HistorySpan> {
    let until: Option<i64> = row.get(8)?;
    Ok(HistorySpan {
        id: number(Some(row.get(0)?)).unwrap_or(0),
        node: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
        resource: row.get(2)?,
        state: row.get(3)?,
        primary: row.get(4)?,
        planned: row.get(5)?,
        why: row.get(6)?,
        since: time(row.get(7)?),
        until: until.map(time),
    })
}
