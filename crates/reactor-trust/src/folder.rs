//! A folder of ours, held open: everything in it is named relative to its descriptor, by a plain name, and never through a link.
//!
//! As long as the folder is what it was judged to be, nobody else can put anything into it; and each file is judged again when it is read,
//! because it may have been there before.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use thiserror::Error;

use crate::{Distrust, judge_for_us};

/// Why a folder, or what is in it, can't be used.
#[derive(Debug, Error)]
pub enum FolderError {
    /// The system refused.
    #[error("can't {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Somebody else could have changed it.
    #[error("{} {distrust}: {}", path.display(), distrust.hint(path))]
    Distrusted {
        /// What.
        path: PathBuf,
        /// Who.
        distrust: Distrust,
    },
    /// It is a link, a FIFO or another thing that is not what it should be.
    #[error("{} is not a {wanted}: nothing is read or written through it", path.display())]
    Irregular {
        /// What.
        path: PathBuf,
        /// `folder` or `regular file`.
        wanted: &'static str,
    },
    /// It is larger than it can be.
    #[error("{} is larger than {max} bytes", path.display())]
    TooLarge {
        /// What.
        path: PathBuf,
        /// How large it may be.
        max: u64,
    },
    /// Not a plain name: empty, `.`, `..`, or with a `/`.
    #[error("{} is not a plain name of a file below {}", name.display(), path.display())]
    BadName {
        /// The folder.
        path: PathBuf,
        /// The name.
        name: PathBuf,
    },
}

impl FolderError {
    /// As an error of the system, for those who know no other.
    pub fn into_io(self) -> io::Error {
        match self {
            Self::Io { source, what, path } => {
                io::Error::new(source.kind(), format!("can't {what} {}: {source}", path.display()))
            }
            other => io::Error::other(other),
        }
    }
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Its permissions.
    pub mode: u32,
    /// Who owns it.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// A folder that nobody else can change.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens a folder; `None` if there is none. The path may lead through links, its last part may not be one.
    ///
    /// # Errors
    ///
    /// See [`FolderError`].
    pub fn open(path: &Path) -> Result<Option<Self>, FolderError> {
        Self::open_at(rustix::fs::CWD, path, path)
    }

    /// The same, and makes it and what is above it with `mode` if it is missing.
    ///
    /// # Errors
    ///
    /// See [`FolderError`].
    pub fn make(path: &Path, mode: u32) -> Result<Self, FolderError> {
        if let Some(folder) = Self::open(path)? {
            return Ok(folder);
        }
        let failed = |source| FolderError::Io { what: "make the folder", path: path.to_owned(), source };
        std::fs::DirBuilder::new().recursive(true).mode(mode).create(path).map_err(failed)?;
        Self::open(path)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
    }

    fn open_at(at: BorrowedFd<'_>, name: &Path, path: &Path) -> Result<Option<Self>, FolderError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(at, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return Err(FolderError::Irregular { path: path.to_owned(), wanted: "folder" });
            }
            Err(error) => return Err(failed("open", path, error)),
        };
        trust(fd.as_fd(), path)?;
        Ok(Some(Self { fd, path: path.to_owned() }))
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names in it, sorted.
    ///
    /// # Errors
    ///
    /// See [`FolderError`].
    pub fn names(&self) -> Result<Vec<OsString>, FolderError> {
        let failed = |error| failed("read", &self.path, error);
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// A folder in it; `None` if there is none.
    ///
    /// # Errors
    ///
    /// See [`FolderError`].
    pub fn folder(&self, name: &OsStr) -> Result<Option<Self>, FolderError> {
        let path = self.path_of(name)?;
        Self::open_at(self.fd.as_fd(), Path::new(name), &path)
    }

    /// The same, and makes it with `mode` if it is missing.
    ///
    /// # Errors
    ///
    /// See [`FolderError`].
    pub fn make_folder(&self, name: &OsStr, mode: u32) -> Result<Self, FolderError> {
        let path = self.path_of(name)?;
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(mode)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed("make the folder", &path, error)),
        }
        self.folder(name)?.ok_or_else(|| failed("open", &path, Errno::NOENT))
    }

    /// Reads a file of at most `max` bytes; `None` if there is none.
    ///
    /// # Errors
    ///
    /// See [`FolderError`].
    pub fn read(&self, name: &OsStr, max: u64) -> Result<Option<Content>, FolderError> {
        let path = self.path_of(name)?;
        let irregular = || FolderError::Irregular { path: path.clone(), wanted: "regular file" };
        // A FIFO would hold us up for ever.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NXIO) => return Err(irregular()),
            Err(error) => return Err(failed("open", &path, error)),
        };
        let read = |source| FolderError::Io { what: "read", path: path.clone(), source };
        let meta = file.metadata().map_err(read)?;
        if !meta.is_file() {
            return Err(irregular());
        }
        trust(file.as_fd(), &path)?;
        let mut bytes = Vec::new();
        file.take(max + 1).read_to_end(&mut bytes).map_err(read)?;
        if bytes.len() as u64 > max {
            return Err(FolderError::TooLarge { path, max });
        }
        Ok(Some(Content { bytes, mode: meta.mode() & 0o7777, uid: meta.uid(), gid: meta.gid() }))
    }

    /// Replaces a file as a whole: after a crash there is the old one or the new one. `synced` = it is on the disk when this returns.
    ///
    /// # Errors
    ///
    /// See [`FolderError`]; then the old file is still there.
    pub fn write(&self, name: &OsStr, bytes: &[u8], mode: u32, synced: bool) -> Result<(), FolderError> {
        self.write_as(name, bytes, mode, None, synced)
    }

    /// The same, synced, and with the owner, the group and the permissions that the file had when `like` was read.
    ///
    /// # Errors
    ///
    /// See [`FolderError`]; then the old file is still there.
    pub fn write_like(&self, name: &OsStr, bytes: &[u8], like: &Content) -> Result<(), FolderError> {
        self.write_as(name, bytes, like.mode, Some((like.uid, like.gid)), true)
    }

    fn write_as(
        &self,
        name: &OsStr,
        bytes: &[u8],
        mode: u32,
        owner: Option<(u32, u32)>,
        synced: bool,
    ) -> Result<(), FolderError> {
        let path = self.path_of(name)?;
        let mut new = name.to_owned();
        new.push(".tmp");
        // What a crash left; nobody else writes here.
        self.remove(&new)?;
        let result = self.write_new(&new, bytes, mode, owner, synced).and_then(|()| {
            rustix::fs::renameat(&self.fd, &new, &self.fd, name)?;
            if synced {
                rustix::fs::fsync(&self.fd)?;
            }
            Ok(())
        });
        result.map_err(|source| {
            // It is only in the way.
            let _ = self.remove(&new);
            FolderError::Io { what: "write", path, source }
        })
    }

    fn write_new(
        &self,
        name: &OsStr,
        bytes: &[u8],
        mode: u32,
        owner: Option<(u32, u32)>,
        synced: bool,
    ) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // Nobody reads it before it has its owner.
        let first = if owner.is_some() { 0o600 } else { mode };
        let mut file = File::from(rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(first))?);
        if let Some((uid, gid)) = owner {
            std::os::unix::fs::fchown(&file, Some(uid), Some(gid))?;
        }
        // The mask of the process does not count.
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
        file.write_all(bytes)?;
        if synced { file.sync_all() } else { Ok(()) }
    }

    /// Gives a file another name in the same folder, in place of what has it.
    ///
    /// # Errors
    ///
    /// See [`FolderError`].
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> Result<(), FolderError> {
        let path = self.path_of(from)?;
        self.path_of(to)?;
        rustix::fs::renameat(&self.fd, from, &self.fd, to).map_err(|error| failed("rename", &path, error))
    }

    /// Gives a file another name in the same folder that nobody has yet; it is on the disk when this returns. `false` if somebody has it:
    /// then nothing was changed.
    ///
    /// # Errors
    ///
    /// See [`FolderError`].
    pub fn rename_to_new(&self, from: &OsStr, to: &OsStr) -> Result<bool, FolderError> {
        let path = self.path_of(from)?;
        self.path_of(to)?;
        let renamed = match rustix::fs::renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE) {
            // Some file systems do not know that: a second name, which is refused if it is there, and then the first one goes.
            Err(Errno::INVAL | Errno::NOSYS) => rustix::fs::linkat(&self.fd, from, &self.fd, to, AtFlags::empty())
                .and_then(|()| rustix::fs::unlinkat(&self.fd, from, AtFlags::empty())),
            other => other,
        };
        match renamed.and_then(|()| rustix::fs::fsync(&self.fd)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(failed("rename", &path, error)),
        }
    }

    /// Removes a file, or the link that has its name; `false` if there is none.
    ///
    /// # Errors
    ///
    /// See [`FolderError`].
    pub fn remove(&self, name: &OsStr) -> Result<bool, FolderError> {
        let path = self.path_of(name)?;
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(failed("remove", &path, error)),
        }
    }

    /// Removes a folder that is empty; any other stays.
    pub fn remove_empty_folder(&self, name: &OsStr) {
        if self.path_of(name).is_ok() {
            let _ = rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR);
        }
    }

    /// The path of a plain name in it.
    fn path_of(&self, name: &OsStr) -> Result<PathBuf, FolderError> {
        let bad =
            name.is_empty() || name == "." || name == ".." || name.as_bytes().iter().any(|&b| b == b'/' || b == 0);
        if bad {
            return Err(FolderError::BadName { path: self.path.clone(), name: PathBuf::from(name) });
        }
        Ok(self.path.join(name))
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn failed(what: &'static str, path: &Path, error: Errno) -> FolderError {
    FolderError::Io { what, path: path.to_owned(), source: error.into() }
}

fn trust(fd: BorrowedFd<'_>, path: &Path) -> Result<(), FolderError> {
    match judge_for_us(fd) {
        Ok(None) => Ok(()),
        Ok(Some(distrust)) => Err(FolderError::Distrusted { path: path.to_owned(), distrust }),
        Err(source) => Err(FolderError::Io { what: "look at", path: path.to_owned(), source }),
    }
}
