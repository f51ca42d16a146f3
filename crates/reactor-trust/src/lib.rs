//! Who could change a file or a folder: judged on what was opened, never on its path again, so nobody can swap it in between.
//!
//! The daemon runs as root. What it reads (configuration, what it remembers) and what it runs must not be what somebody else could have
//! written. The question is always the same: **who could change it?** Root and the daemon's own user may; nobody else.
//!
//! ```text
//!  owner ── neither root nor we ───────────────────────────────────▶ not trusted
//!    │
//!  others, another group than root's, or an ACL may write?  no ────▶ trusted
//!    │ yes
//!  mounted read-only, or below a folder that only root may enter ──▶ trusted: nobody gets as far as writing
//!    └─ otherwise ─────────────────────────────────────────────────▶ not trusted
//! ```
//!
//! - Root's group is as good as root: only root is in it, unless an administrator put somebody there.
//! - A container has its configuration from a read-only mount (a ConfigMap is a folder with mode 0777), and nobody in it can change that.
//! - In a user namespace the files of the host's root belong to the user that stands for all who have no number there. On a read-only
//!   mount they are trusted, because nobody in the namespace can be that user.
//! - The folder that only root may enter counts only for a file with one name: it could have another one elsewhere.

mod acl;
mod folder;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, StatVfsMountFlags};

pub use folder::{Content, Folder, FolderError};

/// Why something must not be trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Distrust {
    /// It belongs to somebody else.
    Owner(u32),
    /// Others can write it: its mode.
    Writable(u32),
    /// Its mode looks well, but an access control list lets others write it.
    Acl,
}

impl Distrust {
    /// What would mend it.
    pub fn hint(self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Owner(_) => format!("chown root {path}"),
            Self::Writable(_) => format!("chmod go-w {path}"),
            Self::Acl => format!("setfacl -b {path}"),
        }
    }
}

/// What is wrong, as the end of a sentence about it.
impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(uid) => {
                write!(f, "belongs to user {uid}, neither to root nor to the user that the daemon runs as")
            }
            Self::Writable(mode) => write!(f, "can be written by others than its owner (mode {mode:04o})"),
            Self::Acl => f.write_str("can be written by others than its owner (by its access control list)"),
        }
    }
}

/// Judges what was opened; `uid` is who may own it besides root. `None` = nobody else could change it.
///
/// # Errors
///
/// If the system does not say what was opened.
pub fn judge(fd: impl AsFd, uid: u32) -> io::Result<Option<Distrust>> {
    let fd = fd.as_fd();
    let stat = rustix::fs::fstat(fd)?;
    let owner = stat.st_uid;
    if owner != 0 && owner != uid && !(is_read_only(fd) && is_nobody_here(owner)) {
        return Ok(Some(Distrust::Owner(owner)));
    }
    let Some(distrust) = written_by_others(fd, &stat, uid) else { return Ok(None) };
    let out_of_reach = is_read_only(fd) || is_below_a_closed_folder(fd, &stat, uid);
    Ok((!out_of_reach).then_some(distrust))
}

/// The same for the present user.
///
/// # Errors
///
/// As [`judge`].
pub fn judge_for_us(fd: impl AsFd) -> io::Result<Option<Distrust>> {
    judge(fd, rustix::process::geteuid().as_raw())
}

/// Whether mode or ACL let somebody else write.
fn written_by_others(fd: BorrowedFd<'_>, stat: &Stat, uid: u32) -> Option<Distrust> {
    let writable = Distrust::Writable(stat.st_mode & 0o7777);
    if stat.st_mode & 0o002 != 0 {
        return Some(writable);
    }
    // With an ACL the bits of the group are its mask: without write there nobody of the list has it.
    if stat.st_mode & 0o020 == 0 {
        return None;
    }
    match acl::read(fd) {
        Ok(None) => (stat.st_gid != 0).then_some(writable),
        Ok(Some(acl)) if acl.group_writes() && stat.st_gid != 0 => Some(writable),
        Ok(Some(acl)) => acl.others_write(uid).then_some(Distrust::Acl),
        Err(_) => Some(writable),
    }
}

/// Whether nothing can be written through the mount by which it was opened.
fn is_read_only(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fstatvfs(fd).is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Whether `owner` is the number that stands for users who have none in our user namespace.
fn is_nobody_here(owner: u32) -> bool {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    owner == read("/proc/sys/kernel/overflowuid").trim().parse().unwrap_or(65534)
        && !has_all_users(&read("/proc/self/uid_map"))
}

/// Whether a map of users is the one of the first namespace, where everybody has a number. One that can't be read counts as that.
fn has_all_users(map: &str) -> bool {
    map.trim().is_empty() || map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Deepest path that is followed upwards.
const MAX_DEPTH: usize = 128;

/// Whether a folder above lets nobody in but root and us. The way up is that of the descriptors, not of a path.
fn is_below_a_closed_folder(fd: BorrowedFd<'_>, stat: &Stat, uid: u32) -> bool {
    let Some(mut folder) = parent(fd, stat) else { return false };
    for _ in 0..MAX_DEPTH {
        let Ok(stat) = rustix::fs::fstat(&folder) else { return false };
        if is_closed(folder.as_fd(), &stat, uid) {
            return true;
        }
        let Ok(above) = open_folder(folder.as_fd(), Path::new("..")) else { return false };
        let same = rustix::fs::fstat(&above).map(|above| (above.st_dev, above.st_ino) == (stat.st_dev, stat.st_ino));
        if same.unwrap_or(true) {
            return false;
        }
        folder = above;
    }
    false
}

/// Whether nobody but root and we may enter a folder.
fn is_closed(fd: BorrowedFd<'_>, stat: &Stat, uid: u32) -> bool {
    let owner = stat.st_uid == 0 || stat.st_uid == uid;
    // The bits of the group are the mask of an ACL, as above.
    let group = stat.st_mode & 0o010 == 0 || (stat.st_gid == 0 && matches!(acl::read(fd), Ok(None)));
    owner && group && stat.st_mode & 0o001 == 0
}

/// The folder that holds it.
fn parent(fd: BorrowedFd<'_>, stat: &Stat) -> Option<OwnedFd> {
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return open_folder(fd, Path::new("..")).ok();
    }
    if stat.st_nlink != 1 {
        return None;
    }
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let path: PathBuf = std::fs::read_link(link).ok()?;
    let folder = open_folder(rustix::fs::CWD, path.parent()?).ok()?;
    // The path is only a hint: what counts is that this folder has this file.
    let found = rustix::fs::statat(&folder, path.file_name()?, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    ((found.st_dev, found.st_ino) == (stat.st_dev, stat.st_ino)).then_some(folder)
}

fn open_folder(at: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(at, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests;
