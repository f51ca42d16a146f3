//! The tables of the history, and how a file of an older version becomes one of this version. docs/history.md describes them for people.

use rusqlite::Connection;

/// "SRhi": a file of another program is never taken for one of ours.
pub(super) const APPLICATION_ID: i32 = 0x5352_6869;

/// What each version adds to the one before. A version is never changed once it is out: another one is appended.
const STEPS: &[&str] = &[
    // 1: entries, where resources ran, and runs of the daemon.
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
     CREATE TABLE run (
         id INTEGER PRIMARY KEY AUTOINCREMENT,
         started INTEGER NOT NULL,
         seen INTEGER NOT NULL,
         ended INTEGER,
         node TEXT NOT NULL,
         version TEXT NOT NULL
     ) STRICT;
     CREATE TABLE entry (
         id INTEGER PRIMARY KEY AUTOINCREMENT,
         run INTEGER NOT NULL,
         time INTEGER NOT NULL,
         resource TEXT,
         kind TEXT NOT NULL,
         severity TEXT NOT NULL,
         what TEXT NOT NULL,
         because TEXT NOT NULL DEFAULT '',
         who TEXT,
         action INTEGER,
         outcome TEXT,
         took INTEGER,
         detect INTEGER,
         decide INTEGER,
         promote INTEGER,
         start INTEGER
     ) STRICT;
     CREATE INDEX entry_time ON entry (time);
     CREATE INDEX entry_resource ON entry (resource, time);
     CREATE INDEX entry_action ON entry (run, action) WHERE action IS NOT NULL;
     CREATE TABLE span (
         id INTEGER PRIMARY KEY AUTOINCREMENT,
         run INTEGER NOT NULL,
         resource TEXT NOT NULL,
         state TEXT NOT NULL,
         is_primary INTEGER,
         planned INTEGER NOT NULL DEFAULT 0,
         why TEXT NOT NULL DEFAULT '',
         since INTEGER NOT NULL,
         until INTEGER
     ) STRICT;
     CREATE INDEX span_resource ON span (resource, since);
     CREATE INDEX span_since ON span (since);
     CREATE UNIQUE INDEX span_open ON span (resource) WHERE until IS NULL;
     CREATE VIEW readable AS
         SELECT id, strftime('%Y-%m-%d %H:%M:%f', time / 1000.0, 'unixepoch') AS utc, resource, kind, severity, what,
                replace(because, char(10), '; ') AS because, who, outcome, took
         FROM entry ORDER BY time, id;
     INSERT INTO meta VALUES ('writable-by', '1');",
    // 2: room for events of storage devices: which device an entry is about, and the incident that several entries belong to.
    "ALTER TABLE entry ADD COLUMN device TEXT;
     ALTER TABLE entry ADD COLUMN incident INTEGER;
     CREATE INDEX entry_incident ON entry (incident) WHERE incident IS NOT NULL;
     CREATE TABLE incident (
         id INTEGER PRIMARY KEY AUTOINCREMENT,
         opened INTEGER NOT NULL,
         cleared INTEGER,
         severity TEXT NOT NULL,
         cause TEXT NOT NULL,
         device TEXT,
         resource TEXT
     ) STRICT;
     CREATE INDEX incident_opened ON incident (opened);",
    // 3: storage events and what is made of them. Nobody has written to the table of incidents that version 2 had. Times are microseconds.
    "DROP TABLE incident;
     CREATE TABLE incident (
         id TEXT PRIMARY KEY NOT NULL,
         opened_us INTEGER NOT NULL,
         last_us INTEGER NOT NULL,
         ended_us INTEGER,
         how TEXT,
         part_of TEXT,
         severity TEXT NOT NULL,
         what TEXT NOT NULL,
         bytes INTEGER NOT NULL,
         body TEXT NOT NULL
     ) STRICT;
     CREATE INDEX incident_opened ON incident (opened_us);
     CREATE INDEX incident_last ON incident (last_us);
     CREATE INDEX incident_part ON incident (part_of) WHERE part_of IS NOT NULL;
     CREATE TABLE event (
         seq INTEGER PRIMARY KEY AUTOINCREMENT,
         id TEXT NOT NULL UNIQUE,
         number INTEGER NOT NULL,
         at_us INTEGER NOT NULL,
         last_us INTEGER NOT NULL,
         severity TEXT NOT NULL,
         type TEXT NOT NULL,
         subsystem TEXT NOT NULL,
         incident TEXT,
         count INTEGER NOT NULL,
         subject INTEGER,
         message TEXT NOT NULL,
         bytes INTEGER NOT NULL,
         body TEXT NOT NULL
     ) STRICT;
     CREATE UNIQUE INDEX event_number ON event (number);
     CREATE INDEX event_at ON event (at_us);
     CREATE INDEX event_severity ON event (severity, at_us);
     CREATE INDEX event_type ON event (type, at_us);
     CREATE INDEX event_incident ON event (incident, at_us) WHERE incident IS NOT NULL;
     CREATE TABLE event_subject (
         id INTEGER PRIMARY KEY,
         hash INTEGER NOT NULL,
         used_us INTEGER NOT NULL,
         label TEXT NOT NULL,
         body TEXT NOT NULL
     ) STRICT;
     CREATE INDEX event_subject_hash ON event_subject (hash);
     CREATE INDEX event_subject_used ON event_subject (used_us);
     CREATE TABLE event_key (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
     CREATE TABLE event_device (
         key INTEGER NOT NULL,
         at_us INTEGER NOT NULL,
         event INTEGER NOT NULL,
         PRIMARY KEY (key, at_us, event)
     ) STRICT, WITHOUT ROWID;
     CREATE VIEW readable_event AS
         SELECT event.id, strftime('%Y-%m-%d %H:%M:%f', at_us / 1000000.0, 'unixepoch') AS utc, severity, type, label AS device,
                replace(message, char(10), ' ') AS message, count, incident
         FROM event LEFT JOIN event_subject ON event_subject.id = event.subject ORDER BY at_us, seq;
     INSERT INTO meta VALUES ('event-bytes', '0');",
];

/// The version from which on there are storage events in it.
pub(super) const EVENTS_SINCE: i32 = 3;

/// The version that this program writes.
pub(super) fn version() -> i32 {
    i32::try_from(STEPS.len()).unwrap_or(i32::MAX)
}

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing has been written to it.
    Empty,
    /// A file of ours, which can be written.
    Ours,
    /// Of a newer program, which does not want this one to write to it.
    Newer {
        /// Its version.
        version: i32,
    },
    /// Of another program.
    Foreign,
}

/// Looks at what is there.
pub(super) fn look(connection: &Connection) -> rusqlite::Result<Found> {
    let number = |what: &str| connection.query_row(what, [], |row| row.get::<_, i32>(0));
    let (id, found) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    let objects: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if objects == 0 && found == 0 && (id == 0 || id == APPLICATION_ID) {
        return Ok(Found::Empty);
    }
    if id != APPLICATION_ID || found < 1 {
        return Ok(Found::Foreign);
    }
    if found > version() {
        let by = "SELECT value FROM meta WHERE key = 'writable-by'";
        let writable: Option<i32> =
            connection.query_row(by, [], |row| row.get::<_, String>(0)).ok().and_then(|text| text.parse().ok());
        if writable.is_none_or(|by| by > version()) {
            return Ok(Found::Newer { version: found });
        }
    }
    Ok(Found::Ours)
}

/// Brings it to this version, each step as a whole. One of a newer version that may be written stays as it is.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    migrate_to(connection, STEPS.len())
}

pub(super) fn migrate_to(connection: &mut Connection, steps: usize) -> rusqlite::Result<()> {
    let found: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let done = usize::try_from(found).unwrap_or(0);
    for (number, step) in STEPS.iter().enumerate().take(steps).skip(done) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", i32::try_from(number + 1).unwrap_or(i32::MAX))?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_each_older_version_becomes_one_of_this_one_with_all_that_is_in_it() {
        for old in 1..=STEPS.len() {
            let mut file = Connection::open_in_memory().unwrap();
            migrate_to(&mut file, old).unwrap();
            let insert =
                "INSERT INTO entry (run, time, kind, severity, what) VALUES (1, 5, 'note', 'info', 'it was here')";
            file.execute(insert, []).unwrap();
            assert_eq!(look(&file).unwrap(), Found::Ours);
            migrate(&mut file).unwrap();
            let read = "SELECT what, user_version FROM entry, pragma_user_version";
            let row = file.query_row(read, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i32>(1)?)));
            assert_eq!(row.unwrap(), ("it was here".to_owned(), version()));
            let room = "INSERT INTO incident (id, opened_us, last_us, severity, what, bytes, body) VALUES ('aa', 1, 1, 'error', 'disk', 1, '{}')";
            file.execute(room, []).unwrap();
        }
    }

    #[test]
    fn whose_file_it_is_is_told_by_what_is_written_in_it() {
        let mut file = Connection::open_in_memory().unwrap();
        assert_eq!(look(&file).unwrap(), Found::Empty);
        file.execute_batch("CREATE TABLE theirs (a)").unwrap();
        assert_eq!(look(&file).unwrap(), Found::Foreign);
        file = Connection::open_in_memory().unwrap();
        migrate(&mut file).unwrap();
        file.pragma_update(None, "user_version", version() + 1).unwrap();
        assert_eq!(look(&file).unwrap(), Found::Ours, "the newer one says that version 1 may write");
        file.execute("UPDATE meta SET value = '99' WHERE key = 'writable-by'", []).unwrap();
        assert_eq!(look(&file).unwrap(), Found::Newer { version: version() + 1 });
    }
}
