//! Reading of small files, within bounds.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Bytes that are read of a file of sysfs: it never has more.
pub(crate) const MAX_ATTRIBUTE: u64 = 4096;
/// Bytes that are read of udev's file of a device.
pub(crate) const MAX_UDEV: u64 = 256 << 10;
/// Bytes that are read of the mount table.
pub(crate) const MAX_MOUNTINFO: u64 = 16 << 20;
/// Entries of a folder that are looked at.
pub(crate) const MAX_ENTRIES: usize = 100_000;

/// The beginning of a file as text, with U+FFFD for what is no UTF-8; `None` if there is no such file, or it can't say anything now.
///
/// # Errors
///
/// It is there, and can't be read.
pub(crate) fn text(path: &Path, most: u64) -> io::Result<Option<String>> {
    let read = File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    match read {
        Ok(bytes) => Ok(Some(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })),
        Err(error) if has_nothing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Names in a folder, sorted; those that are no UTF-8 are left out, which no name of the kernel is. None if there is no such folder.
///
/// # Errors
///
/// It is there, and can't be read.
pub(crate) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if has_nothing(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let names = entries.take(MAX_ENTRIES).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    Ok(names)
}

/// What the kernel says of what is not there, has just gone, or has nothing to say: a connection of iSCSI that is down, a device without a state.
fn has_nothing(error: &io::Error) -> bool {
    const ENXIO: i32 = 6;
    const ENODEV: i32 = 19;
    const EINVAL: i32 = 22;
    const ENODATA: i32 = 61;
    const EOPNOTSUPP: i32 = 95;
    const ENOTCONN: i32 = 107;
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
        || error
            .raw_os_error()
            .is_some_and(|code| matches!(code, ENXIO | ENODEV | EINVAL | ENODATA | EOPNOTSUPP | ENOTCONN))
}
