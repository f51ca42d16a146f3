//! Opening the file, and setting a broken one aside.
//!
//! SQLite opens by path. So the folder is judged by its descriptor first, as all that is in it that SQLite would touch; the path is the one that
//! the kernel has for that descriptor, and SQLite is told to follow no link. Nobody but root, or the daemon's own user, can change either in between.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reactor_trust::{Folder, FolderError};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::schema::{self, Found};

/// Its name in the state folder.
pub const FILE_NAME: &str = "history.db";

/// A file that can't be read is kept under this name, with the time.
const ASIDE: &str = "history.db.broken-";

/// So many of them at most: the oldest goes.
pub(super) const KEPT: usize = 3;

/// What SQLite has beside the file.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// How long to wait for another process that holds the file.
const BUSY: Duration = Duration::from_secs(2);

/// Why the history can't be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The state folder, or the file, is not what it should be.
    #[error("can't open the history")]
    Folder(#[source] FolderError),
    /// The same of a file.
    #[error("can't open {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// There is none.
    #[error("there is no history in {}: the daemon has not run with this state folder yet", dir.display())]
    None {
        /// The state folder.
        dir: PathBuf,
    },
    /// A newer program has written it.
    #[error(
        "{} is of a newer version ({version}; this program writes {}), and is left as it is: nothing is written down until the newer program runs \
         again, or the file is moved away", path.display(), schema::version()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: i32,
    },
    /// It can't be read, or another program has written it.
    #[error("{} is broken: {why}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// How it shows.
        why: String,
    },
    /// SQLite says so.
    #[error("can't {what}")]
    Sqlite {
        /// What was tried.
        what: &'static str,
        /// What it says.
        #[source]
        source: rusqlite::Error,
    },
    /// Another process keeps what was written from being put into the file.
    #[error(
        "{} has grown to {bytes} bytes: another process reads the history and does not end; end it (fuser -v FILE)", path.display()
    )]
    Pinned {
        /// The log of SQLite.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
}

impl HistoryError {
    /// Of a call to SQLite: whether it shows that the file is broken.
    pub(super) fn of(what: &'static str, path: &Path, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Broken { path: path.to_owned(), why: source.to_string() }
            }
            _ => Self::Sqlite { what, source },
        }
    }

    /// Whether the file has to be set aside.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken { .. })
    }

    /// Whether there is no room: on the disk, or in the bounds of the file.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Sqlite { source, .. } if source.sqlite_error_code() == Some(ErrorCode::DiskFull))
    }
}

/// The state folder, and the real path of the file in it.
pub(super) struct Place {
    folder: Folder,
    pub(super) path: PathBuf,
}

impl Place {
    /// Looks at what is there; `make` = make what is missing.
    pub(super) fn look(dir: &Path, make: bool) -> Result<Self, HistoryError> {
        let folder = if make {
            Folder::make(dir, 0o750).map_err(HistoryError::Folder)?
        } else {
            let none = || HistoryError::None { dir: dir.to_owned() };
            Folder::open(dir).map_err(HistoryError::Folder)?.ok_or_else(none)?
        };
        let real = rustix::fs::readlink(format!("/proc/self/fd/{}", fd(&folder).as_raw_fd()), Vec::new());
        let real = match real {
            Ok(real) => PathBuf::from(OsStr::from_bytes(real.as_bytes())),
            // Without /proc.
            Err(_) => dir.canonicalize().map_err(|source| HistoryError::File { path: dir.to_owned(), source })?,
        };
        let place = Self { folder, path: real.join(FILE_NAME) };
        for suffix in SUFFIXES {
            let there = place.judge(suffix)?;
            if suffix.is_empty() && !there {
                if !make {
                    return Err(HistoryError::None { dir: dir.to_owned() });
                }
                place.create()?;
            }
        }
        Ok(place)
    }

    fn name(suffix: &str) -> String {
        format!("{FILE_NAME}{suffix}")
    }

    fn failed(&self, suffix: &str, source: io::Error) -> HistoryError {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        HistoryError::File { path: path.into(), source }
    }

    /// Whether it is there. Nothing but a file of ours is used: neither a link nor what others can write. It is not opened for that: a process
    /// that closes a file loses the locks that SQLite has on it in this same process.
    fn judge(&self, suffix: &str) -> Result<bool, HistoryError> {
        let stat = match rustix::fs::statat(fd(&self.folder), Self::name(suffix), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(false),
            Err(error) => return Err(self.failed(suffix, error.into())),
        };
        let ours = stat.st_uid == 0 || stat.st_uid == rustix::process::geteuid().as_raw();
        let distrust = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile if !ours => "it belongs to another user",
            FileType::RegularFile if stat.st_mode & 0o022 != 0 => "others can write it",
            FileType::RegularFile => return Ok(true),
            FileType::Symlink => "it is a link: nothing is read or written through it",
            _ => "it is not a regular file",
        };
        Err(self.failed(suffix, io::Error::other(distrust)))
    }

    /// What SQLite has beside it gets the same permissions.
    fn create(&self) -> Result<(), HistoryError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(fd(&self.folder), FILE_NAME, flags, Mode::from_raw_mode(0o640));
        made.map(drop).map_err(|error| self.failed("", error.into()))
    }

    /// Keeps a broken file under another name. Gives that name.
    pub(super) fn set_aside(&self, now: u64) -> Result<String, HistoryError> {
        let stamp = i64::try_from(now).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let stamp = stamp.map_or_else(|| now.to_string(), |time| time.strftime("%Y%m%dT%H%M%SZ").to_string());
        let names = self.folder.names().map_err(HistoryError::Folder)?;
        let taken = |name: &str| names.iter().any(|known| known == OsStr::new(name));
        let name = std::iter::once(format!("{ASIDE}{stamp}"))
            .chain((2..).map(|number| format!("{ASIDE}{stamp}.{number}")))
            .find(|name| !taken(name))
            .unwrap_or_default();
        for suffix in SUFFIXES {
            let moved =
                rustix::fs::renameat(fd(&self.folder), Self::name(suffix), fd(&self.folder), format!("{name}{suffix}"));
            match moved {
                Ok(()) => {}
                Err(Errno::NOENT) if !suffix.is_empty() => {}
                Err(error) => return Err(self.failed(suffix, error.into())),
            }
        }
        self.forget_old(&name)?;
        Ok(name)
    }

    /// All but the newest that were set aside go.
    fn forget_old(&self, newest: &str) -> Result<(), HistoryError> {
        let names = self.folder.names().map_err(HistoryError::Folder)?;
        let names = names.iter().filter_map(|name| name.to_str()).filter(|name| name.starts_with(ASIDE));
        let (beside, mut files): (Vec<&str>, Vec<&str>) =
            names.partition(|name| SUFFIXES[1..].iter().any(|suffix| name.ends_with(suffix)));
        // The newest is the newest whatever the clock says.
        files.retain(|name| *name != newest);
        files.sort_unstable();
        let gone = files.len().saturating_sub(KEPT - 1);
        for name in &files[..gone] {
            for file in std::iter::once(name).chain(beside.iter().filter(|file| file.starts_with(name))) {
                let removed = rustix::fs::unlinkat(fd(&self.folder), *file, AtFlags::empty());
                removed.map_err(|error| self.failed("", error.into()))?;
            }
        }
        Ok(())
    }

    /// To write.
    pub(super) fn connect(&self, max_bytes: u64) -> Result<Connection, HistoryError> {
        let failed = |what| move |source| HistoryError::of(what, &self.path, source);
        let mut connection = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let found = schema::look(&connection).map_err(failed("read the history"))?;
        match found {
            Found::Empty | Found::Ours => {}
            Found::Newer { version } => return Err(HistoryError::Newer { path: self.path.clone(), version }),
            Found::Foreign => {
                let why = "another program has written it".to_owned();
                return Err(HistoryError::Broken { path: self.path.clone(), why });
            }
        }
        let pages = pages(max_bytes);
        let set = || {
            // Before the first table, else never.
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            // What happened last is what people want to know after a power cut.
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "journal_size_limit", 4 << 20)?;
            connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
        };
        set().map_err(failed("set up the history"))?;
        schema::migrate(&mut connection).map_err(failed("make the tables of the history"))?;
        Ok(connection)
    }

    /// To read only.
    pub(super) fn connect_to_read(&self) -> Result<Connection, HistoryError> {
        let failed = |what| move |source| HistoryError::of(what, &self.path, source);
        let connection = self.open(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        match schema::look(&connection).map_err(failed("read the history"))? {
            // What is newer has all that we know, and more.
            Found::Ours | Found::Newer { .. } => Ok(connection),
            Found::Empty | Found::Foreign => {
                let why = "there are no tables of ours in it".to_owned();
                Err(HistoryError::Broken { path: self.path.clone(), why })
            }
        }
    }

    fn open(&self, how: OpenFlags) -> Result<Connection, HistoryError> {
        let flags = how | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let open = || {
            let connection = Connection::open_with_flags(&self.path, flags)?;
            connection.busy_timeout(BUSY)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
            connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
            connection.pragma_update(None, "temp_store", "MEMORY")?;
            connection.pragma_update(None, "cell_size_check", true)?;
            // In KiB: what is written is mostly at the end.
            connection.pragma_update(None, "cache_size", -512)?;
            Ok(connection)
        };
        open().map_err(|source| HistoryError::of("open the history", &self.path, source))
    }

    /// How large the log beside it is.
    pub(super) fn wal_bytes(&self) -> u64 {
        let stat = rustix::fs::statat(fd(&self.folder), Self::name("-wal"), AtFlags::SYMLINK_NOFOLLOW);
        stat.ok().and_then(|stat| u64::try_from(stat.st_size).ok()).unwrap_or(0)
    }

    pub(super) fn wal_path(&self) -> PathBuf {
        self.path.with_file_name(Self::name("-wal"))
    }
}

/// SQLite's usual size of a page.
pub(super) const PAGE: u64 = 4096;

/// The tables alone need some.
const MIN_PAGES: i64 = 64;

/// The bound of the file in pages.
pub(super) fn pages(max_bytes: u64) -> i64 {
    i64::try_from(max_bytes / PAGE).unwrap_or(i64::MAX).max(MIN_PAGES)
}

fn fd(folder: &Folder) -> std::os::fd::BorrowedFd<'_> {
    std::os::fd::AsFd::as_fd(folder)
}
