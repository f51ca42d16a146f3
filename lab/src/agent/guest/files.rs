//! Files in and out, in pieces.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use super::super::wire::{CHUNK, End, FromNode, RequestId, Stream};
use super::{Entry, Host, Order};

/// Writes a file of the host's. It is on the disk, and complete, when it appears under its name.
pub(super) fn take(entry: &Entry, path: &str, mode: u32, orders: &Receiver<Order>, host: &Host) -> io::Result<()> {
    let id = entry.id;
    let path = Path::new(path);
    let part = part(path, id).map_err(|error| about(path, &error))?;
    let written = write(&part, path, mode, orders, || host.say(&FromNode::Taken { id }));
    if written.is_err() {
        // It may not even have been made.
        let _none = std::fs::remove_file(&part);
    }
    if written.map_err(|error| about(path, &error))? {
        host.say(&done(id));
    }
    Ok(())
}

/// Returns whether the file is complete; it is not if nobody waits for it any more.
fn write(part: &Path, path: &Path, mode: u32, orders: &Receiver<Order>, taken: impl Fn()) -> io::Result<bool> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(part)?;
    loop {
        match orders.recv() {
            Ok(Order::Data(data)) => {
                file.write_all(&data)?;
                taken();
            }
            Ok(Order::End) => break,
            Err(_) => {
                std::fs::remove_file(part)?;
                return Ok(false);
            }
        }
    }
    // The umask has no say here.
    file.set_permissions(Permissions::from_mode(mode & 0o7777))?;
    file.sync_all()?;
    std::fs::rename(part, path)?;
    if let Some(folder) = part.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(true)
}

/// The name under which a file is written until it is complete.
fn part(path: &Path, id: RequestId) -> io::Result<PathBuf> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".part{id}"));
    // A relative name has a parent too: the empty one, which cannot be opened.
    Ok(std::path::absolute(path)?.with_file_name(name))
}

/// Reads a file for the host.
pub(super) fn give(entry: &Entry, path: &str, host: &Host) -> io::Result<()> {
    let id = entry.id;
    let path = Path::new(path);
    let error = |error: io::Error| about(path, &error);
    let mut file = File::open(path).map_err(error)?;
    let mode = file.metadata().map_err(error)?.permissions().mode() & 0o7777;
    host.say(&FromNode::File { id, mode });
    while !entry.process.is_cancelled() {
        let mut data = Vec::with_capacity(CHUNK);
        Read::by_ref(&mut file).take(CHUNK as u64).read_to_end(&mut data).map_err(error)?;
        if data.is_empty() {
            host.say(&done(id));
            break;
        }
        host.say(&FromNode::Output { id, stream: Stream::Stdout, data });
    }
    Ok(())
}

fn done(id: RequestId) -> FromNode {
    FromNode::Done { id, end: End::Exit(0), lost_stdout: 0, lost_stderr: 0 }
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
