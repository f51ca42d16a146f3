//! The run folder of a cluster: private, locked by the process that owns it, and gone afterwards.
//!
//! ```text
//! /tmp/lab-UID/            0700, ours
//!   .lock                  held while run folders are made and cleaned
//!   NAME/lock              held as long as the cluster lives
//!   NAME/kept              this one is to stay: a test has failed
//!   NAME/n1/ n2/ ... umid/ what the nodes need
//! ```
//!
//! A folder whose lock is free belongs to a process that has died: what it left is killed and removed on the next start.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};

use crate::keeper::MARK;

/// The variable that names another place for run folders.
pub const RUN_VARIABLE: &str = "LAB_RUN_DIR";
const KEPT: &str = "kept";
const BASE_LOCK: &str = ".lock";

/// What a run folder cannot be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunDirError {
    /// A cluster of this name runs.
    #[error("a cluster with the run folder {path} is running (`lab down` ends it)")]
    Busy {
        /// Its folder.
        path: PathBuf,
    },
    /// Somebody else could write to the folder.
    #[error("{path} is not a private folder of this user: remove it, or set {RUN_VARIABLE} to another place")]
    Foreign {
        /// Which folder.
        path: PathBuf,
    },
    /// The file system says no.
    #[error("cannot use {path} as a run folder")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> RunDirError {
    move |source| RunDirError::Io { path: path.into(), source }
}

/// A run folder that is ours until it is dropped.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    _lock: File,
    keep: bool,
}

impl RunDir {
    /// The folder of all run folders of this user.
    #[must_use]
    pub fn base() -> PathBuf {
        match std::env::var_os(RUN_VARIABLE) {
            Some(place) if !place.is_empty() => place.into(),
            // Short: the path of a Unix socket has 108 bytes at most.
            _ => format!("/tmp/lab-{}", rustix::process::getuid().as_raw()).into(),
        }
    }

    /// Makes the run folder of this name, and cleans what dead owners have left.
    pub fn create(base: &Path, name: &str) -> Result<Self, RunDirError> {
        let _base_lock = lock_base(base)?;
        let path = base.join(name);
        clean_all(base)?;
        if try_lock(&path).is_none() && path.exists() {
            return Err(RunDirError::Busy { path });
        }
        // A kept one of the same name is replaced.
        remove(&path)?;
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(failed(&path))?;
        let lock = OpenOptions::new().create(true).append(true).open(path.join("lock")).map_err(failed(&path))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|errno| failed(&path)(errno.into()))?;
        Ok(Self { path, _lock: lock, keep: false })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// It stays when it is dropped, for somebody to look at.
    pub fn keep(&mut self) -> io::Result<()> {
        fs::write(self.path.join(KEPT), b"")?;
        self.keep = true;
        Ok(())
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        if let Err(error) = remove(&self.path) {
            tracing::warn!(error = &error as &dyn std::error::Error, "the run folder stays");
        }
        if let Some(base) = self.path.parent() {
            remove_base(base);
        }
    }
}

/// Removes the kept folders and those of dead owners; returns them.
pub fn clean(base: &Path) -> Result<Vec<PathBuf>, RunDirError> {
    if !base.exists() {
        return Ok(Vec::new());
    }
    let base_lock = lock_base(base)?;
    let mut removed = clean_all(base)?;
    for path in folders(base)? {
        if try_lock(&path).is_some() {
            remove(&path)?;
            removed.push(path);
        }
    }
    drop(base_lock);
    remove_base(base);
    Ok(removed)
}

/// Makes and checks the folder of run folders, and locks it. Who waited may find it removed, and makes it again.
fn lock_base(base: &Path) -> Result<File, RunDirError> {
    loop {
        match fs::DirBuilder::new().mode(0o700).create(base) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(base)(error)),
        }
        let metadata = fs::symlink_metadata(base).map_err(failed(base))?;
        let ours = metadata.uid() == rustix::process::geteuid().as_raw();
        if !metadata.is_dir() || !ours || metadata.mode() & 0o022 != 0 {
            return Err(RunDirError::Foreign { path: base.into() });
        }
        let path = base.join(BASE_LOCK);
        let lock = match OpenOptions::new().create(true).append(true).open(&path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(&path)(error)),
        };
        flock(&lock, FlockOperation::LockExclusive).map_err(|errno| failed(&path)(errno.into()))?;
        let held = lock.metadata().map_err(failed(&path))?.ino();
        if fs::metadata(&path).is_ok_and(|there| there.ino() == held) {
            return Ok(lock);
        }
    }
}

/// Removes the folder of run folders if nothing is in it.
fn remove_base(base: &Path) {
    let Ok(_lock) = lock_base(base) else { return };
    let others =
        fs::read_dir(base).map(|entries| entries.flatten().filter(|entry| entry.file_name() != BASE_LOCK).count());
    if matches!(others, Ok(0)) {
        let _somebody_elses = fs::remove_file(base.join(BASE_LOCK)).and_then(|()| fs::remove_dir(base));
    }
}

fn folders(base: &Path) -> Result<Vec<PathBuf>, RunDirError> {
    let entries = fs::read_dir(base).map_err(failed(base))?;
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    Ok(folders)
}

/// The lock of a folder without an owner.
fn try_lock(path: &Path) -> Option<File> {
    let file = OpenOptions::new().create(true).append(true).open(path.join("lock")).ok()?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(file)
}

/// Removes what dead owners have left: processes first, they hold files.
fn clean_all(base: &Path) -> Result<Vec<PathBuf>, RunDirError> {
    let mut removed = Vec::new();
    for path in folders(base)? {
        let Some(_lock) = try_lock(&path) else { continue };
        kill_marked(&path);
        if !path.join(KEPT).exists() {
            remove(&path)?;
            removed.push(path);
        }
    }
    Ok(removed)
}

fn remove(path: &Path) -> Result<(), RunDirError> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(path)(error)),
    }
}

/// Kills every process that carries the mark of this run folder; returns how many.
pub fn kill_marked(run: &Path) -> usize {
    let marked = marked(run);
    for pid in &marked {
        let _gone = kill_process(*pid, Signal::KILL);
    }
    marked.len()
}

/// Every process that carries the mark of this run folder in its environment.
#[must_use]
pub fn marked(run: &Path) -> Vec<Pid> {
    let mark = format!("{MARK}={}", run.display());
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let carries_mark = |pid: &Pid| {
        let environ = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .filter(carries_mark)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    fn base(name: &str) -> PathBuf {
        let base = std::env::temp_dir().join(format!("lab-rundir-{name}-{}", std::process::id()));
        let _none = fs::remove_dir_all(&base);
        base
    }

    #[test]
    fn a_folder_is_private_has_one_owner_and_goes_with_it() {
        let base = base("owner");
        let run = RunDir::create(&base, "one").unwrap();
        assert_eq!(fs::metadata(&base).unwrap().mode() & 0o777, 0o700);
        assert!(matches!(RunDir::create(&base, "one"), Err(RunDirError::Busy { .. })));
        let other = RunDir::create(&base, "two").unwrap();
        assert!(run.path().exists(), "another cluster's start leaves a living one alone");
        let path = run.path().to_owned();
        drop((run, other));
        assert!(!path.exists());
        assert!(!base.exists(), "the last one takes the folder with it");
    }

    #[test]
    fn what_a_dead_owner_left_is_killed_and_removed_what_was_kept_stays() {
        let base = base("dead");
        fs::create_dir_all(base.join("dead/n1")).unwrap();
        fs::set_permissions(&base, fs::Permissions::from_mode(0o700)).unwrap();
        let mut left = Command::new("sleep").arg("1000").env(MARK, base.join("dead")).spawn().unwrap();
        // A process that has just started has no environment yet.
        while marked(&base.join("dead")).is_empty() {
            std::thread::yield_now();
        }
        let mut kept = RunDir::create(&base, "kept").unwrap();
        kept.keep().unwrap();
        drop(kept);
        let run = RunDir::create(&base, "new").unwrap();
        assert!(!left.wait().unwrap().success());
        assert!(!base.join("dead").exists());
        assert!(base.join("kept").exists());
        assert_eq!(clean(&base).unwrap(), [base.join("kept")], "cleaning takes kept ones, not living ones");
        drop(run);
        assert!(!base.exists());
    }

    #[test]
    fn a_folder_others_can_write_to_is_refused() {
        let base = base("foreign");
        fs::create_dir_all(&base).unwrap();
        fs::set_permissions(&base, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(RunDir::create(&base, "one"), Err(RunDirError::Foreign { .. })));
        fs::remove_dir_all(base).unwrap();
    }
}
