//! The open file: what is written, and what is deleted so that it stays within its bounds.

use std::collections::BTreeMap;

use reactor_core::action::Reason;
use reactor_core::history::{Before, Entry, Outcome, Row, Span, State};
use reactor_core::ids::ResourceName;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::events::put::{self, Memory};
use super::events::tidy;
use super::open::{HistoryError, PAGE, Place, pages};
use super::read;
use super::{Limits, Stored};

/// The most that is kept of one text.
const MAX_TEXT: usize = 4096;

/// Rows that are deleted in one go: a reader never waits for long.
const DELETE: i64 = 5000;

/// When the file is so full, the oldest go, in percent of its bound.
const FULL: u64 = 90;

/// The share of storage events in it, in percent: of these the oldest go before they take more.
const EVENTS: u64 = 50;

/// The least that the log of SQLite may grow to before somebody is at fault.
const WAL: u64 = 16 << 20;

/// Where resources ran when the runs before this one ended.
type Known = BTreeMap<ResourceName, Before>;

/// The open file.
pub(super) struct Store {
    connection: Connection,
    place: Place,
    limits: Limits,
    run: i64,
    memory: Memory,
}

impl Store {
    /// Opens the file of a run of the daemon that began at `started`; what the runs before it knew is the second.
    pub(super) fn open(place: Place, limits: Limits, node: &str, started: u64) -> Result<(Self, Known), HistoryError> {
        let (connection, run, before) = Self::begin(&place, limits, node, started)?;
        let memory = Memory::of(&connection, started)
            .map_err(|source| HistoryError::of("read the history", &place.path, source))?;
        Ok((Self { connection, place, limits, run, memory }, before))
    }

    fn begin(
        place: &Place,
        limits: Limits,
        node: &str,
        started: u64,
    ) -> Result<(Connection, i64, Known), HistoryError> {
        let mut connection = place.connect(limits.max_bytes)?;
        let failed = |what| move |source| HistoryError::of(what, &place.path, source);
        if is_unclean(&connection).map_err(failed("read the history"))? {
            // What a crash or a bad disk has done shows now, and not when somebody needs it.
            let said: String = connection
                .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
                .map_err(failed("check the history"))?;
            if said != "ok" {
                return Err(HistoryError::Broken { path: place.path.clone(), why: said });
            }
        }
        let before = known_before(&connection).map_err(failed("read the history"))?;
        let begin = |connection: &mut Connection| {
            let insert = "INSERT INTO run (started, seen, node, version) VALUES (?1, ?1, ?2, ?3)";
            connection.execute(insert, params![sql(started), node, env!("CARGO_PKG_VERSION")])?;
            Ok(connection.last_insert_rowid())
        };
        let run = begin(&mut connection).map_err(failed("write to the history"))?;
        Ok((connection, run, before))
    }

    /// Writes rows, all or none. Gives the entries as readers see them.
    pub(super) fn write(&mut self, rows: &[Row], now: u64) -> Result<Vec<Stored>, HistoryError> {
        let (run, path) = (self.run, &self.place.path);
        let bytes = self.place.wal_bytes();
        if bytes > WAL.max(self.limits.max_bytes / 4) && !self.empty_log() {
            return Err(HistoryError::Pinned { path: self.place.wal_path(), bytes });
        }
        let memory = &mut self.memory;
        let mut write = || {
            let transaction = self.connection.transaction()?;
            let mut stored = Vec::new();
            for row in rows {
                stored.extend(put(&transaction, memory, run, row)?);
            }
            transaction.prepare_cached("UPDATE run SET seen = ?1 WHERE id = ?2")?.execute(params![sql(now), run])?;
            transaction.commit()?;
            Ok(stored)
        };
        write().map_err(|source| {
            // What was remembered of it is not there.
            memory.forget();
            HistoryError::of("write to the history", path, source)
        })
    }

    /// Whether storage events take more than their share.
    pub(super) fn has_too_many_events(&self) -> Result<bool, HistoryError> {
        let bytes = tidy::bytes(&self.connection);
        let bytes = bytes.map_err(|source| HistoryError::of("read the history", &self.place.path, source))?;
        Ok(bytes > share(&self.limits))
    }

    /// Puts the log of SQLite into the file; `false` = somebody reads what was before.
    fn empty_log(&self) -> bool {
        let busy = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        busy.is_ok_and(|busy| busy == 0)
    }

    /// This run of the daemon is over.
    pub(super) fn end(self, now: u64) -> Result<(), HistoryError> {
        let end = || {
            let update = "UPDATE run SET seen = ?1, ended = ?1 WHERE id = ?2";
            self.connection.execute(update, params![sql(now), self.run])
        };
        end().map(drop).map_err(|source| HistoryError::of("write to the history", &self.place.path, source))
    }

    /// Gives the place back, to look at it anew.
    pub(super) fn close(self) -> Place {
        self.place
    }

    /// Takes other bounds.
    pub(super) fn set_limits(&mut self, limits: Limits) -> Result<(), HistoryError> {
        self.limits = limits;
        let pages = pages(limits.max_bytes);
        let set = self.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()));
        set.map_err(|source| HistoryError::of("set up the history", &self.place.path, source))
    }

    /// Deletes what is too old at `now` (`None` = nobody knows what is old), and the oldest if there is too much: a piece of it. `true` = there
    /// is more.
    pub(super) fn tidy(&mut self, now: Option<u64>) -> Result<bool, HistoryError> {
        let max_age = u64::try_from(self.limits.max_age.as_millis()).unwrap_or(u64::MAX);
        let mut tidy = || {
            let gone = match now {
                Some(now) => delete_before(&mut self.connection, sql(now.saturating_sub(max_age)))?,
                None => 0,
            };
            if gone > 0 {
                return Ok(true);
            }
            self.memory.forget();
            if let Some(now) = now
                && tidy::delete_before(&mut self.connection, sql(now.saturating_sub(max_age).saturating_mul(1000)))?
            {
                return Ok(true);
            }
            // A flood of events takes nothing of the rest.
            if tidy::bytes(&self.connection)? > share(&self.limits) {
                return tidy::delete_oldest(&mut self.connection);
            }
            let number = |what: &str| self.connection.query_row(what, [], |row| row.get::<_, i64>(0));
            let (all, free) = (number("PRAGMA page_count")?, number("PRAGMA freelist_count")?);
            let used = u64::try_from(all - free).unwrap_or(0) * PAGE;
            if used <= self.limits.max_bytes / 100 * FULL {
                let all = u64::try_from(all).unwrap_or(0) * PAGE;
                if all > self.limits.max_bytes {
                    // The bound is lower than it was.
                    self.connection.execute_batch("PRAGMA incremental_vacuum(1000)")?;
                }
                return Ok(false);
            }
            Ok(delete_oldest(&mut self.connection)? || tidy::delete_oldest(&mut self.connection)?)
        };
        tidy().map_err(|source| HistoryError::of("delete what is old from the history", &self.place.path, source))
    }
}

/// What storage events may take, in bytes.
fn share(limits: &Limits) -> u64 {
    limits.max_bytes / 100 * EVENTS
}

/// As SQLite has numbers.
pub(super) fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn is_unclean(connection: &Connection) -> rusqlite::Result<bool> {
    let last = "SELECT ended IS NULL FROM run ORDER BY id DESC LIMIT 1";
    Ok(connection.query_row(last, [], |row| row.get(0)).optional()?.unwrap_or(false))
}

/// What is open, and until when the run that wrote it watched.
fn known_before(connection: &Connection) -> rusqlite::Result<Known> {
    let open = "SELECT resource, state, is_primary, coalesce(run.ended, run.seen, since)
                FROM span LEFT JOIN run ON run.id = span.run WHERE until IS NULL";
    let mut statement = connection.prepare(open)?;
    let known = statement.query_map([], |row| {
        let (resource, state, primary, until): (String, String, Option<bool>, i64) = row.try_into()?;
        // A word of a newer program is none that we know.
        let state = State::of(&state).unwrap_or(State::Unwatched);
        let until = u64::try_from(until).unwrap_or(0);
        Ok((ResourceName::new(&resource), Before { state, primary, until }))
    })?;
    known.collect()
}

fn put(transaction: &Transaction<'_>, memory: &mut Memory, run: i64, row: &Row) -> rusqlite::Result<Option<Stored>> {
    match row {
        Row::Entry { time, resource, entry } => {
            let id = put_entry(transaction, run, *time, resource.as_ref(), entry)?;
            Ok(read::one(transaction, id)?.map(|entry| Stored::Entry { entry: Box::new(entry), is_new: true }))
        }
        Row::Outcome(outcome) => put_outcome(transaction, run, outcome),
        Row::Span { resource, span } => put_span(transaction, run, resource, span).map(|()| None),
        Row::Event { time, event } => Ok(put::event(transaction, memory, *time, event)?.map(Stored::Event)),
        Row::Incident(incident) => put::incident(transaction, incident).map(|()| None),
    }
}

fn put_entry(
    transaction: &Transaction<'_>,
    run: i64,
    time: u64,
    resource: Option<&ResourceName>,
    entry: &Entry,
) -> rusqlite::Result<i64> {
    let ms =
        |time: Option<std::time::Duration>| time.map(|time| sql(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)));
    let Entry { kind, severity, what, because, who, action, outcome, took, phases } = entry;
    let insert = "INSERT INTO entry (run, time, resource, kind, severity, what, because, who, action, outcome, took, detect, decide, promote, start)
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    transaction.prepare_cached(insert)?.execute(params![
        run,
        sql(time),
        resource.map(ResourceName::as_str),
        kind.as_str(),
        severity.as_str(),
        cut(what),
        lines(because),
        who.as_deref().map(cut),
        action.map(|action| sql(action.0)),
        outcome.as_deref().map(cut),
        ms(*took),
        ms(phases.detect),
        ms(phases.decide),
        ms(phases.promote),
        ms(phases.start),
    ])?;
    Ok(transaction.last_insert_rowid())
}

/// One line for each reason.
fn lines(because: &[Reason]) -> String {
    let reasons: Vec<String> = because.iter().map(|reason| reason.0.replace('\n', " ")).collect();
    cut(&reasons.join("\n")).to_owned()
}

fn put_outcome(transaction: &Transaction<'_>, run: i64, outcome: &Outcome) -> rusqlite::Result<Option<Stored>> {
    // The last one: numbers of actions begin anew with each run only.
    let update = "UPDATE entry SET outcome = substr(CASE WHEN outcome IS NULL THEN ?3 ELSE outcome || '; ' || ?3 END, 1, ?5), took = coalesce(?4, took)
                  WHERE id = (SELECT max(id) FROM entry WHERE run = ?1 AND action = ?2) RETURNING id";
    let took = outcome.took.map(|took| sql(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)));
    let max = i64::try_from(MAX_TEXT).unwrap_or(i64::MAX);
    let id: Option<i64> = transaction
        .prepare_cached(update)?
        .query_row(params![run, sql(outcome.action.0), cut(&outcome.how), took, max], |row| row.get(0))
        .optional()?;
    let Some(id) = id else { return Ok(None) };
    Ok(read::one(transaction, id)?.map(|entry| Stored::Entry { entry: Box::new(entry), is_new: false }))
}

fn put_span(transaction: &Transaction<'_>, run: i64, resource: &ResourceName, span: &Span) -> rusqlite::Result<()> {
    let since = sql(span.since);
    let close = "UPDATE span SET until = max(since, ?1) WHERE resource = ?2 AND until IS NULL";
    transaction.prepare_cached(close)?.execute(params![since, resource.as_str()])?;
    let insert =
        "INSERT INTO span (run, resource, state, is_primary, planned, why, since) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    transaction.prepare_cached(insert)?.execute(params![
        run,
        resource.as_str(),
        span.state.as_str(),
        span.primary,
        span.planned,
        cut(&span.why),
        since
    ])?;
    Ok(())
}

/// The beginning of a text, whole characters.
pub(super) fn cut(text: &str) -> &str {
    cut_to(text, MAX_TEXT)
}

/// The same of so many bytes at most.
pub(super) fn cut_to(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

/// Gives how many entries went, at most [`DELETE`].
fn delete_before(connection: &mut Connection, time: i64) -> rusqlite::Result<i64> {
    let old =
        "SELECT 1 FROM entry WHERE time < ?1 UNION ALL SELECT 1 FROM span WHERE since < ?1 AND until < ?1 LIMIT 1";
    if connection.prepare_cached(old)?.query_row([time], |_| Ok(())).optional()?.is_none() {
        return Ok(0);
    }
    let transaction = connection.transaction()?;
    let mut gone = 0;
    for delete in [
        "DELETE FROM entry WHERE id IN (SELECT id FROM entry WHERE time < ?1 ORDER BY time LIMIT ?2)",
        "DELETE FROM span WHERE id IN (SELECT id FROM span WHERE since < ?1 AND until < ?1 ORDER BY since LIMIT ?2)",
        "DELETE FROM run WHERE seen < ?1 AND id IN (SELECT id FROM run ORDER BY id LIMIT ?2)
         AND id NOT IN (SELECT run FROM span WHERE until IS NULL) AND id < (SELECT max(id) FROM run)",
    ] {
        let deleted = transaction.prepare_cached(delete)?.execute(params![time, DELETE])?;
        gone = gone.max(i64::try_from(deleted).unwrap_or(DELETE));
    }
    transaction.commit()?;
    Ok(gone)
}

/// The oldest twentieth, in pieces; `true` = there is more to delete.
fn delete_oldest(connection: &mut Connection) -> rusqlite::Result<bool> {
    let count: i64 =
        connection.query_row("SELECT count(*) FROM (SELECT 1 FROM entry LIMIT 100000)", [], |row| row.get(0))?;
    let many = (count / 20).clamp(1, DELETE);
    let bound = "SELECT time FROM entry ORDER BY time LIMIT 1 OFFSET ?1";
    let time: Option<i64> = connection.query_row(bound, [many], |row| row.get(0)).optional()?;
    // Spans alone fill it: the older half of them goes.
    let spans =
        "SELECT since FROM span WHERE until IS NOT NULL ORDER BY since LIMIT 1 OFFSET (SELECT count(*) / 2 FROM span)";
    let time = match time {
        Some(time) => Some(time),
        None => connection.query_row(spans, [], |row| row.get(0)).optional()?,
    };
    match time {
        Some(time) => Ok(delete_before(connection, time)? > 0),
        None => Ok(false),
    }
}
