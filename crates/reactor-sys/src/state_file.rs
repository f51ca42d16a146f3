//! Files in the state folder: read only if nobody else could have written them, and replaced as a whole.

use std::fs::File;
use std::io::{self, Read, Write};

use reactor_trust::Folder;
use rustix::fs::{AtFlags, Mode, OFlags};

/// Not through a link, and nothing but a file that is ours: a FIFO would hold us up for ever. `None` = there is no such file.
///
/// # Errors
///
/// What the system says, and that it is larger than `max_bytes`.
pub(crate) fn read(folder: &Folder, name: &str, max_bytes: u64) -> io::Result<Option<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    if let Some(distrust) = reactor_trust::judge_for_us(&file)? {
        return Err(io::Error::other(format!("it {distrust}")));
    }
    if meta.len() > max_bytes {
        return Err(io::Error::other(format!("larger than {max_bytes} bytes")));
    }
    let mut text = Vec::new();
    file.take(max_bytes).read_to_end(&mut text)?;
    Ok(Some(text))
}

/// Writes a new file, through to the disk. One of that name is what a crash left; nobody else writes there.
///
/// # Errors
///
/// What the system says.
pub(crate) fn write(folder: &Folder, name: &str, text: &[u8]) -> io::Result<()> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Err(error) if error != rustix::io::Errno::NOENT => return Err(error.into()),
        _ => {}
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o600))?);
    file.write_all(text)?;
    file.sync_all()
}

/// Puts a file that was written in the place of another, so that after a crash there is the old one or the new one.
///
/// # Errors
///
/// What the system says.
pub(crate) fn put(folder: &Folder, new: &str, name: &str) -> io::Result<()> {
    rustix::fs::renameat(folder, new, folder, name)?;
    Ok(rustix::fs::fsync(folder)?)
}
