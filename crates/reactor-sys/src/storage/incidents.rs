//! `incidents.json` in the state folder: the storage incidents that are open, so that the next daemon goes on with them.
//!
//! A thread of its own reads it once and then writes the newest state only: a disk that hangs delays nothing. Nothing is written before what is there
//! was read and the loop has taken it. What can't be read is reported and left behind under another name.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reactor_core::input::{Boot, Input};
use reactor_storage::incidents::Incident;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tracing::warn;

use crate::document::Document;
use crate::newest::{Newest, Pauses, Slot, Writer};

/// A thousand incidents of 64 troubles with all their devices are smaller.
const DOCUMENT: Document =
    Document { name: "incidents.json", format: "storage-reactor-incidents", version: 1, max_bytes: 512 * 1024 * 1024 };
/// What is open is written at once; a disk that refuses is tried again after a while.
const PAUSES: Pauses = Pauses { written: Duration::ZERO, refused: Duration::from_secs(5) };

#[derive(Serialize, Deserialize)]
struct Content {
    /// The boot that they were open in.
    boot: String,
    incidents: Vec<Arc<Incident>>,
}

/// Keeps what is open.
#[derive(Debug)]
pub struct Keeper {
    writer: Writer<Kept>,
    kept: Arc<AtomicU64>,
}

/// What is to be kept.
#[derive(Debug, Default)]
struct Kept {
    /// Other incidents than before are open.
    open: Option<Vec<Arc<Incident>>>,
    /// What came of so many inputs is in this, or was there before.
    reached: Option<u64>,
}

impl Newest for Kept {
    fn over(self, older: Self) -> Self {
        Self { open: self.open.or(older.open), reached: self.reached.or(older.reached) }
    }
}

impl Keeper {
    /// Starts the thread. What was open comes out of the channel, once, when the disk has answered.
    ///
    /// # Errors
    ///
    /// There is no thread.
    pub fn spawn(dir: PathBuf, boot: String) -> io::Result<(Self, mpsc::Receiver<Input>)> {
        let (tx, rx) = mpsc::channel(1);
        let (from, of) = (dir.clone(), boot.clone());
        let begin = move |slot: &Slot<_>| begin(&from, &of, &tx, slot);
        let kept = Arc::new(AtomicU64::new(0));
        let says = Arc::clone(&kept);
        let write = move |newest: &Kept| {
            if let Some(open) = &newest.open {
                DOCUMENT.save(&dir, &Content { boot: boot.clone(), incidents: open.clone() })?;
            }
            if let Some(reached) = newest.reached {
                says.store(reached, Ordering::Release);
            }
            Ok(())
        };
        let refused = |error: &io::Error| {
            warn!(%error, retry_s = PAUSES.refused.as_secs(), "can't keep the storage incidents that are open");
        };
        let writer = Writer::spawn("incidents", PAUSES, begin, write, refused)?;
        Ok((Self { writer, kept }, rx))
    }

    /// These are open now.
    pub fn keep(&self, open: Vec<Arc<Incident>>) {
        self.writer.put(Kept { open: Some(open), reached: None });
    }

    /// What came of the first so many inputs of the source is in what was kept last.
    pub fn reached(&self, inputs: u64) {
        self.writer.put(Kept { open: None, reached: Some(inputs) });
    }

    /// What came of so many inputs is on the disk.
    pub fn kept(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.kept)
    }

    /// Waits so long at most until the newest state is written. Whether it is.
    pub fn finish(self, within: Duration) -> bool {
        self.writer.finish_within(within)
    }
}

/// Tells what is there, also if that is nothing. Nothing is written if the loop has gone: then what is there stays.
fn begin(dir: &Path, boot: &str, tx: &mpsc::Sender<Input>, slot: &Slot<Kept>) -> bool {
    let mut before = Content { boot: boot.to_owned(), incidents: Vec::new() };
    match DOCUMENT.load(dir) {
        Ok(None) => {}
        Ok(Some(open)) => before = open,
        Err(error) => {
            let (file, aside) = (dir.join(DOCUMENT.name), DOCUMENT.aside());
            warn!(%error, file = %file.display(), kept_as = aside, "storage incidents of before are not known");
            // What a newer program wrote is not thrown away.
            if let Err(error) = DOCUMENT.put_aside(dir) {
                warn!(%error, "it can't be kept aside");
            }
        }
    }
    let of = if before.boot == boot { Boot::This } else { Boot::Another };
    // What was open before the loop knew of these is not all. It says anew what is as soon as it does.
    slot.forget();
    tx.blocking_send(Input::Incidents(before.incidents, of)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use reactor_storage::event::{Event, Severity, Subsystem};
    use reactor_storage::incidents::{Incidents, Settings};
    use reactor_storage::record::Stamp;

    use super::*;

    struct TestFolder(PathBuf);

    impl TestFolder {
        fn new(name: &str) -> Self {
            let path = crate::testing::open_to_all().join(format!("reactor-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).expect("a folder");
            Self(path)
        }

        fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for TestFolder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    fn open() -> Vec<Arc<Incident>> {
        let event = Event {
            id: "aa".to_owned(),
            at: Stamp::default(),
            last: Stamp::default(),
            severity: Severity::Critical,
            kind: "SCSI_MEDIUM_ERROR".to_owned(),
            subsystem: Subsystem::Scsi,
            device: None,
            others: Vec::new(),
            fields: Default::default(),
            message: "a line".to_owned(),
            lines: Vec::new(),
            count: 1,
            source: "kernel".to_owned(),
            host: None,
        };
        let mut incidents = Incidents::new(Settings::default());
        incidents.take(&event, 7);
        incidents.open().cloned().collect()
    }

    fn told(rx: &mut mpsc::Receiver<Input>) -> Option<(Vec<Arc<Incident>>, Boot)> {
        match rx.blocking_recv() {
            Some(Input::Incidents(incidents, boot)) => Some((incidents, boot)),
            None => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_open_is_there_after_a_restart_and_after_a_boot() {
        let folder = TestFolder::new("incidents");
        let spawn = |boot: &str| Keeper::spawn(folder.path().to_owned(), boot.to_owned()).expect("a thread");
        let (keeper, mut rx) = spawn("b1");
        assert_eq!(told(&mut rx), Some((Vec::new(), Boot::This)), "it is known that there is nothing");
        keeper.keep(open());
        assert!(keeper.finish(LONG));
        let (keeper, mut rx) = spawn("b1");
        assert_eq!(told(&mut rx), Some((open(), Boot::This)));
        assert!(keeper.finish(LONG), "nothing is written, and nothing is lost");
        let (keeper, mut rx) = spawn("b2");
        assert_eq!(told(&mut rx), Some((open(), Boot::Another)));
        keeper.keep(Vec::new());
        assert!(keeper.finish(LONG));
        let (keeper, mut rx) = spawn("b2");
        assert_eq!(told(&mut rx), Some((Vec::new(), Boot::This)));
        assert!(keeper.finish(LONG));
    }

    /// How far the logs were read is saved only when what came of it outlives the daemon.
    #[test]
    fn what_came_of_inputs_is_kept_when_it_is_on_the_disk() {
        let folder = TestFolder::new("incidents-kept");
        let (keeper, mut rx) = Keeper::spawn(folder.path().to_owned(), "b".to_owned()).expect("a thread");
        let kept = keeper.kept();
        keeper.keep(open());
        keeper.reached(3);
        assert_eq!(told(&mut rx), Some((Vec::new(), Boot::This)));
        keeper.keep(open());
        keeper.reached(4);
        assert!(keeper.finish(LONG));
        assert_eq!(kept.load(Ordering::Acquire), 4);
        // A disk that refuses.
        let (keeper, mut rx) = Keeper::spawn("/nonexistent/folder".into(), "b".to_owned()).expect("a thread");
        let kept = keeper.kept();
        assert_eq!(told(&mut rx), Some((Vec::new(), Boot::This)));
        keeper.keep(open());
        keeper.reached(1);
        assert!(keeper.finish(LONG));
        assert_eq!(kept.load(Ordering::Acquire), 0);
    }

    /// A newer program may have written it: it is not thrown away, and what comes from now on is kept.
    #[test]
    fn what_is_not_understood_is_put_aside() {
        let folder = TestFolder::new("incidents-bad");
        fs::write(folder.path().join(DOCUMENT.name), "{\"format\":\"storage-reactor-incidents\",\"version\":9}")
            .expect("written");
        let (keeper, mut rx) = Keeper::spawn(folder.path().to_owned(), "b".to_owned()).expect("a thread");
        assert_eq!(told(&mut rx), Some((Vec::new(), Boot::This)));
        keeper.keep(open());
        assert!(keeper.finish(LONG));
        assert!(folder.path().join(DOCUMENT.aside()).exists());
        let kept = DOCUMENT.load::<Content>(folder.path()).expect("it is good");
        assert_eq!(kept.map(|open| open.incidents.len()), Some(1));
    }

    /// A disk that refuses is no reason to wait at the end.
    #[test]
    fn a_folder_that_is_not_there_ends_without_it() {
        let (keeper, mut rx) = Keeper::spawn("/nonexistent/folder".into(), "b".to_owned()).expect("a thread");
        assert_eq!(told(&mut rx), Some((Vec::new(), Boot::This)));
        keeper.keep(open());
        assert!(keeper.finish(LONG));
    }
}
