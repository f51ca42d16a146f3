//! `storage.json` in the state folder: how far the logs have been read.
//!
//! A thread of its own writes it, at most once in a second and the newest state only: a disk that hangs delays no message. What can't be read is
//! reported, and taken for nothing: then this boot is read from its beginning once more.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::warn;

use super::position::Saved;
use crate::document::Document;
use crate::newest::{Newest, Pauses, Writer};

/// It has 20 KiB at most.
const DOCUMENT: Document =
    Document { name: "storage.json", format: "storage-reactor-storage", version: 1, max_bytes: 256 * 1024 };

/// So often at most.
const PAUSES: Pauses = Pauses { written: Duration::from_secs(1), refused: Duration::from_secs(5) };

/// Reads the file of the state folder. No file is nothing saved.
///
/// # Errors
///
/// What the system says, and that it is no such file.
pub fn load(dir: &Path) -> io::Result<Saved> {
    Ok(DOCUMENT.load(dir)?.unwrap_or_default())
}

/// Replaces the file of the state folder.
///
/// # Errors
///
/// What the system says; then the old file is still there.
pub fn save(dir: &Path, saved: &Saved) -> io::Result<()> {
    DOCUMENT.save(dir, saved)
}

/// Its path in the state folder `dir`.
pub fn path(dir: &Path) -> PathBuf {
    dir.join(DOCUMENT.name)
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
        let text = std::fs::read_to_string(dir.0.join(DOCUMENT.name)).unwrap();
        assert!(!dir.0.join("storage.json.new").exists());
        let newer = text.replace("\"version\":1", "\"version\":2");
        for bad in ["", "{}", "[]", &text[..text.len() / 2], &newer] {
            std::fs::write(dir.0.join(DOCUMENT.name), bad).unwrap();
            assert!(load(&dir.0).is_err(), "{bad}");
        }
        std::fs::remove_file(dir.0.join(DOCUMENT.name)).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.0.join(DOCUMENT.name)).unwrap();
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
