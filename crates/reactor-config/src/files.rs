//! Opens and reads configuration files.
//!
//! The daemon runs as root and runs what these files say, so it takes nothing that somebody else could have written:
//! [`reactor_trust`] judges each file and the snippets folder.
//!
//! What is judged is what was opened, never the path again: nobody can swap the file in between. Snippets are opened relative to the descriptor of their folder for the same reason. A symlink is followed, because
//! configuration management likes them: in a folder that only root can write, only root can have put it there, and its target
//! has to pass the same check. Opening with `O_NONBLOCK` means that a FIFO with a name like a configuration can't stop us.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use reactor_trust::Distrust;
use rustix::fs::{AtFlags, Dir, Mode, OFlags};

use crate::finding::{Code, Finding, Severity};

/// Largest configuration file.
pub(crate) const MAX_FILE: u64 = 1 << 20;

/// Most files that are taken from a snippets folder.
pub(crate) const MAX_SNIPPETS: usize = 4096;

/// What happens to a file that somebody else could have written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Trust {
    /// It is not used: the daemon.
    #[default]
    Enforce,
    /// It is used, with a warning: checking a file that is still in a working folder.
    Warn,
}

/// Fingerprint of the content of a file (FNV-1a, 64 bits): tells versions apart, proves nothing. The standard library's hasher promises no
/// result from one version of Rust to the next, and a crate is more than these three lines.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ContentHash(u64);

impl ContentHash {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(
            bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            }),
        )
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Why a file can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// Opening, looking at or reading it failed.
    #[error("cannot read the {what}: {}", describe(source))]
    Io {
        /// File or folder.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A folder, a device, a FIFO, a socket.
    #[error("not a regular file")]
    NotRegular,
    /// Larger than [`MAX_FILE`].
    #[error("the file is larger than 1 MiB")]
    TooLarge,
}

/// What the system said, without the number behind it.
fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// One file, read.
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    pub(crate) hash: ContentHash,
    pub(crate) distrust: Option<Distrust>,
    pub(crate) modified: Option<SystemTime>,
}

/// Reads the file at `path`; `uid` is who may own it besides root.
pub(crate) fn read_file(path: &Path, uid: u32) -> Result<Content, ReadError> {
    read_at(rustix::fs::CWD, path, uid)
}

fn read_at(folder: impl AsFd, path: &Path, uid: u32) -> Result<Content, ReadError> {
    let failed = |source: io::Error| ReadError::Io { what: "file", source };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = rustix::fs::openat(folder, path, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
    let file = File::from(fd);
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(ReadError::NotRegular);
    }
    let distrust = reactor_trust::judge(&file, uid).map_err(failed)?;
    let mut bytes = Vec::new();
    // One more than allowed: the size above may be old by now.
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(ReadError::TooLarge);
    }
    Ok(Content { hash: ContentHash::of(&bytes), bytes, distrust, modified: metadata.modified().ok() })
}

/// Which folder it is, whatever its name: device and inode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FolderId(u64, u64);

/// An open snippets folder.
pub(crate) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
    pub(crate) id: FolderId,
    pub(crate) distrust: Option<Distrust>,
}

impl Folder {
    /// Opens the folder; `uid` is who may own it besides root.
    pub(crate) fn open(path: &Path, uid: u32) -> Result<Self, ReadError> {
        let failed = |error: rustix::io::Errno| ReadError::Io { what: "folder", source: error.into() };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECTORY;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
        let stat = rustix::fs::fstat(&fd).map_err(failed)?;
        let judged = reactor_trust::judge(&fd, uid);
        let distrust = judged.map_err(|source| ReadError::Io { what: "folder", source })?;
        Ok(Self { fd, path: path.to_path_buf(), id: FolderId(stat.st_dev, stat.st_ino), distrust })
    }

    /// What is in it: what the entries are is seen when they are opened.
    pub(crate) fn names(&self) -> Result<Names, ReadError> {
        let failed = |error: rustix::io::Errno| ReadError::Io { what: "folder", source: error.into() };
        let mut names = Names { enabled: Vec::new(), any: false };
        for entry in Dir::read_from(&self.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if name.ends_with(b".toml") {
                names.enabled.push(PathBuf::from(OsStr::from_bytes(name)));
            }
            names.any |= name.ends_with(b".toml") || name.ends_with(b".toml.disabled");
        }
        names.enabled.sort();
        Ok(names)
    }

    /// Whether there is an entry of this name, also if it is a link that leads nowhere.
    pub(crate) fn has(&self, name: &Path) -> bool {
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Reads one file of the folder.
    pub(crate) fn read(&self, name: &Path, uid: u32) -> Result<Content, ReadError> {
        read_at(&self.fd, name, uid)
    }

    /// Path of a file of the folder.
    pub(crate) fn path_of(&self, name: &Path) -> PathBuf {
        self.path.join(name)
    }
}

/// The entries of a snippets folder that matter.
pub(crate) struct Names {
    /// Those that end in `.toml`, sorted.
    pub(crate) enabled: Vec<PathBuf>,
    /// Whether there is a configuration at all, one that is disabled included.
    pub(crate) any: bool,
}

/// The finding about what must not be trusted; an error where trust is enforced.
pub(crate) fn distrusted(distrust: Distrust, path: &Path, what: &str, trust: Trust) -> Finding {
    let severity = match trust {
        Trust::Enforce => Severity::Error,
        Trust::Warn => Severity::Warning,
    };
    Finding::about(severity, Code::File, path, format!("the {what} {distrust}")).hint(distrust.hint(path))
}

impl ReadError {
    /// The finding, always an error.
    pub(crate) fn finding(&self, path: &Path) -> Finding {
        let finding = Finding::about(Severity::Error, Code::File, path, self.to_string());
        match self {
            Self::TooLarge => finding.hint("is it a configuration file at all?"),
            Self::Io { .. } | Self::NotRegular => finding,
        }
    }

    /// Whether there is nothing at that path.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(ContentHash::of(b"").to_string(), "cbf29ce484222325");
        assert_eq!(ContentHash::of(b"a").to_string(), "af63dc4c8601ec8c");
    }
}
