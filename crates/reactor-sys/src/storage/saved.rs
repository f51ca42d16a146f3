//! `storage.json` in the state folder: how far the logs have been read.
//!
//! A thread of its own writes it, at most once in a second and the newest state only: a disk that hangs delays no message. What can't be read is
//! reported, and taken for nothing: then this boot is read from its beginning once more.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reactor_trust::{Folder, FolderError};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::newest::{Newest, Pauses, Writer};
use super::position::Saved;
use crate::state_file;

/// Its name in the state folder.
pub const FILE_NAME: &str = "storage.json";

const NEW_NAME: &str = "storage.json.new";
const FORMAT: &str = "storage-reactor-storage";
const VERSION: u32 = 1;

/// It has 20 KiB at most.
const MAX_BYTES: u64 = 256 * 1024;

/// So often at most.
const PAUSES: Pauses = Pauses { written: Duration::from_secs(1), refused: Duration::from_secs(5) };

#[derive(Serialize, Deserialize)]
struct Document {
    format: String,
    version: u32,
    #[serde(flatten)]
    saved: Saved,
}

/// Reads the file of the state folder. No file is nothing saved.
///
/// # Errors
///
/// What the system says, and that it is no such file.
pub fn load(dir: &Path) -> io::Result<Saved> {
    let text = match Folder::open(dir).map_err(FolderError::into_io)? {
        Some(folder) => state_file::read(&folder, FILE_NAME, MAX_BYTES)?,
        None => None,
    };
    let Some(text) = text else { return Ok(Saved::default()) };
    let document: Document = serde_json::from_slice(&text).map_err(io::Error::other)?;
    // A later version may mean something else by the same words.
    if document.format != FORMAT || document.version != VERSION {
        let found = format!("{} version {}", document.format, document.version);
        return Err(io::Error::other(format!("it is of another form: {found}")));
    }
    Ok(document.saved)
}

/// Replaces the file of the state folder.
///
/// # Errors
///
/// What the system says; then the old file is still there.
pub fn save(dir: &Path, saved: &Saved) -> io::Result<()> {
    let folder = Folder::open(dir).map_err(FolderError::into_io)?.ok_or(io::ErrorKind::NotFound)?;
    let document = Document { format: FORMAT.to_owned(), version: VERSION, saved: saved.clone() };
    let mut text = serde_json::to_vec(&document).map_err(io::Error::other)?;
    text.push(b'\n');
    state_file::write(&folder, NEW_NAME, &text)?;
    state_file::put(&folder, NEW_NAME, FILE_NAME)
}

/// Writes what it is given, in its own time.
#[derive(Debug)]
pub(crate) struct Saver(Option<Writer<Saved>>);

impl Newest for Saved {}

impl Saver {
    pub(crate) fn spawn(dir: PathBuf) -> Self {
        let folder = dir.clone();
        let refused = move |error: &io::Error| {
            warn!(%error, folder = %folder.display(), "can't save how far the logs were read: after a restart some come again");
        };
        let writer = Writer::spawn("storage-save", PAUSES, |_| true, move |newest| save(&dir, newest), refused);
        let writer = writer
            .inspect_err(|error| warn!(%error, "can't start the thread that saves how far the logs were read"))
            .ok();
        Self(writer)
    }

    /// This is how it is now.
    pub(crate) fn save(&self, saved: Saved) {
        if let Some(writer) = &self.0 {
            writer.put(saved);
        }
    }

    /// Waits until the last state is written.
    pub(crate) fn finish(self) {
        if let Some(writer) = self.0 {
            writer.finish();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::position::{Kernel, Line};
    use super::*;

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let path = crate::testing::open_to_all().join(format!("reactor-storage-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn saved(sequence: u64) -> Saved {
        let kernel = Kernel { sequence, recent: vec![Line::new(7, "text ")], ..Kernel::of("b") };
        Saved { kernel: Some(kernel), cursor: Some("s=1;i=2".to_owned()), done: vec!["b0".to_owned()], wall_us: 9 }
    }

    #[test]
    fn what_is_saved_is_read_back_and_what_is_no_such_file_is_an_error() {
        let dir = Dir::new("saved");
        assert_eq!(load(&dir.0).unwrap(), Saved::default());
        save(&dir.0, &saved(3)).unwrap();
        save(&dir.0, &saved(4)).unwrap();
        assert_eq!(load(&dir.0).unwrap(), saved(4));
        let text = std::fs::read_to_string(dir.0.join(FILE_NAME)).unwrap();
        assert!(!dir.0.join(NEW_NAME).exists());
        let newer = text.replace("\"version\":1", "\"version\":2");
        for bad in ["", "{}", "[]", &text[..text.len() / 2], &newer] {
            std::fs::write(dir.0.join(FILE_NAME), bad).unwrap();
            assert!(load(&dir.0).is_err(), "{bad}");
        }
        std::fs::remove_file(dir.0.join(FILE_NAME)).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.0.join(FILE_NAME)).unwrap();
        assert!(load(&dir.0).is_err());
    }

    #[test]
    fn the_last_state_is_written_before_the_end() {
        let dir = Dir::new("saver");
        let saver = Saver::spawn(dir.0.clone());
        for sequence in 0..1000 {
            saver.save(saved(sequence));
        }
        saver.finish();
        assert_eq!(load(&dir.0).unwrap(), saved(999));
        // Nowhere to write it to: it says so, and ends.
        let saver = Saver::spawn(dir.0.join("none"));
        saver.save(saved(1));
        saver.finish();
    }
}
