//! The files of the recorder: `recording-NNNNNNNN.jsonl` in one folder, the oldest deleted.
//!
//! The folder is held open, and every file is named relative to it, so that nobody can put another folder in its place. Files
//! that are not ours by name are never touched.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use reactor_trust::Distrust;
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use thiserror::Error;
use tracing::info;

use crate::chain::chain;

/// Where recordings go. A trait, so that tests can have a disk that is full.
pub trait Ring: Send {
    /// Begins the next file with `head`. If that can't be written whole, there is no such file afterwards.
    fn begin(&mut self, head: &[u8]) -> io::Result<Box<dyn Write + Send>>;

    /// Deletes all but the newest `files`.
    fn keep(&mut self, files: u32) -> io::Result<()>;
}

/// Why the folder can't be used.
#[derive(Debug, Error)]
pub enum FolderError {
    /// It can't be made.
    #[error("can't make the folder for recordings {}", path.display())]
    Create {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It can't be opened.
    #[error("can't open the folder for recordings {} (a symbolic link is not followed)", path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others could put files into it.
    #[error("the folder for recordings {} {distrust}", path.display())]
    Unsafe {
        /// The folder.
        path: PathBuf,
        /// Who could.
        distrust: Distrust,
    },
}

/// A folder that is opened, and made if it is missing, when the first file is begun: by the thread that writes, because its disk may hang.
/// One that can't be used is tried again with each file.
#[derive(Debug)]
pub struct Later {
    path: PathBuf,
    folder: Option<Folder>,
}

impl Later {
    /// The folder at `path`.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), folder: None }
    }

    fn folder(&mut self) -> io::Result<&mut Folder> {
        match &mut self.folder {
            Some(folder) => Ok(folder),
            none => {
                let folder = Folder::open(&self.path).map_err(|error| io::Error::other(chain(&error).to_string()))?;
                info!(dir = %self.path.display(), "recording");
                Ok(none.insert(folder))
            }
        }
    }
}

impl Ring for Later {
    fn begin(&mut self, head: &[u8]) -> io::Result<Box<dyn Write + Send>> {
        self.folder()?.begin(head)
    }

    fn keep(&mut self, files: u32) -> io::Result<()> {
        self.folder()?.keep(files)
    }
}

/// A real folder.
#[derive(Debug)]
pub struct Folder {
    dir: OwnedFd,
}

impl Folder {
    /// Makes the folder if it is missing (0700), and opens it.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let owned = || path.to_path_buf();
        match std::fs::DirBuilder::new().mode(0o700).create(path) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(FolderError::Create { path: owned(), source });
            }
            _ => {}
        }
        let open = |source: rustix::io::Errno| FolderError::Open { path: owned(), source: source.into() };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = rustix::fs::open(path, flags, Mode::empty()).map_err(open)?;
        let judged = reactor_trust::judge_for_us(&dir);
        if let Some(distrust) = judged.map_err(|source| FolderError::Open { path: owned(), source })? {
            return Err(FolderError::Unsafe { path: owned(), distrust });
        }
        Ok(Self { dir })
    }

    /// The numbers of its recordings, oldest first.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers: Vec<u64> =
            Dir::read_from(&self.dir)?.filter_map(|entry| number_of(entry.ok()?.file_name().to_str().ok()?)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}

impl Ring for Folder {
    fn begin(&mut self, head: &[u8]) -> io::Result<Box<dyn Write + Send>> {
        let name = name_of(self.numbers()?.last().map_or(1, |last| last.saturating_add(1)));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&self.dir, &name, flags, Mode::from_raw_mode(0o600))?);
        if let Err(error) = file.write_all(head) {
            let _ = rustix::fs::unlinkat(&self.dir, &name, AtFlags::empty());
            return Err(error);
        }
        Ok(Box::new(file))
    }

    fn keep(&mut self, files: u32) -> io::Result<()> {
        let numbers = self.numbers()?;
        let too_many = numbers.len().saturating_sub(files.max(1) as usize);
        for number in &numbers[..too_many] {
            rustix::fs::unlinkat(&self.dir, name_of(*number), AtFlags::empty())?;
        }
        Ok(())
    }
}

/// Paths of the recordings in a folder, oldest first.
pub(crate) fn recordings_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        if let Some(number) = name.to_str().and_then(number_of) {
            found.push((number, folder.join(name)));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn name_of(number: u64) -> String {
    format!("recording-{number:08}.jsonl")
}

fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_prefix("recording-")?.strip_suffix(".jsonl")?.parse().ok()?;
    (name_of(number) == name).then_some(number)
}
