//! Deleting storage events, the oldest first, a piece at a time.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::put::add_bytes;

/// Events that are deleted in one go: a reader never waits for long.
const DELETE: i64 = 5000;

/// The least of them: more than are written between two looks, so that it comes to an end.
const LEAST: i64 = 512;

/// Incidents that are.
const DELETE_INCIDENTS: i64 = 500;

/// What storage events take of the file, roughly, in bytes.
pub(in super::super) fn bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let read = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'event-bytes'";
    let bytes: Option<i64> = connection.query_row(read, [], |row| row.get(0)).optional()?;
    Ok(bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0))
}

/// Deletes a piece of what is older than `before_us`. Whether anything was.
pub(in super::super) fn delete_before(connection: &mut Connection, before_us: i64) -> rusqlite::Result<bool> {
    // All of one time go together, so that the index goes with them.
    let end = "SELECT at_us FROM event WHERE at_us < ?1 ORDER BY at_us LIMIT 1 OFFSET ?2";
    let first: Option<i64> = connection.query_row(end, [before_us, 0], |row| row.get(0)).optional()?;
    let end: Option<i64> = connection.query_row(end, [before_us, DELETE], |row| row.get(0)).optional()?;
    let old = "SELECT 1 FROM incident WHERE last_us < ?1 LIMIT 1";
    let has_incidents = connection.query_row(old, [before_us], |_| Ok(())).optional()?.is_some();
    if first.is_none() && !has_incidents {
        return Ok(false);
    }
    let transaction = connection.transaction()?;
    if let Some(first) = first {
        delete_events(&transaction, end.unwrap_or(before_us).max(first.saturating_add(1)))?;
    }
    if has_incidents {
        delete_incidents(&transaction, before_us)?;
    }
    transaction.commit()?;
    Ok(true)
}

/// Deletes the oldest twentieth, a piece at most. Whether there was anything.
pub(in super::super) fn delete_oldest(connection: &mut Connection) -> rusqlite::Result<bool> {
    let count = "SELECT count(*) FROM (SELECT 1 FROM event LIMIT 100000)";
    let count: i64 = connection.query_row(count, [], |row| row.get(0))?;
    let end = "SELECT at_us FROM event ORDER BY at_us LIMIT 1 OFFSET ?1";
    let offset = (count / 20).clamp(LEAST, DELETE);
    let end: Option<i64> = connection.query_row(end, [offset], |row| row.get(0)).optional()?;
    match end {
        Some(end) => delete_before(connection, end.saturating_add(1)),
        // The last one, or incidents alone.
        None => delete_before(connection, i64::MAX),
    }
}

fn delete_events(transaction: &Transaction<'_>, before_us: i64) -> rusqlite::Result<()> {
    let bytes = "SELECT coalesce(sum(bytes), 0) FROM event WHERE at_us < ?1";
    let bytes: i64 = transaction.query_row(bytes, [before_us], |row| row.get(0))?;
    add_bytes(transaction, -bytes)?;
    transaction.execute("DELETE FROM event WHERE at_us < ?1", [before_us])?;
    let mut keys = transaction.prepare("SELECT id FROM event_key")?;
    let mut keys = keys.query([])?;
    while let Some(row) = keys.next()? {
        let key: i64 = row.get(0)?;
        let delete = "DELETE FROM event_device WHERE key = ?1 AND at_us < ?2";
        transaction.prepare_cached(delete)?.execute([key, before_us])?;
    }
    drop(keys);
    let unused = "DELETE FROM event_key WHERE NOT EXISTS (SELECT 1 FROM event_device WHERE key = event_key.id)";
    transaction.execute(unused, [])?;
    // It is used by no event that is younger than that.
    transaction.execute("DELETE FROM event_subject WHERE used_us < ?1", [before_us])?;
    Ok(())
}

fn delete_incidents(transaction: &Transaction<'_>, before_us: i64) -> rusqlite::Result<()> {
    let some = "SELECT id FROM incident WHERE last_us < ?1 ORDER BY last_us LIMIT ?2";
    let bytes = format!("SELECT coalesce(sum(bytes), 0) FROM incident WHERE id IN ({some})");
    let bytes: i64 = transaction.query_row(&bytes, params![before_us, DELETE_INCIDENTS], |row| row.get(0))?;
    add_bytes(transaction, -bytes)?;
    let delete = format!("DELETE FROM incident WHERE id IN ({some})");
    transaction.execute(&delete, params![before_us, DELETE_INCIDENTS]).map(drop)
}
