//! What promoters remember across restarts, on its way to the state folder.
//!
//! The newest state is written, not every state: while one is written, what changes meanwhile is written together afterwards. Who promises
//! something to an operator waits until the disk has it ([`Memories::saved`]): a hold that was confirmed must outlive a power cut.

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use reactor_core::ids::ResourceName;
use reactor_core::operator::Memory;
use reactor_sys::memory::{self, FILE_NAME};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tracing::{error, info, warn};

/// A disk that refuses is tried again after this.
const RETRY: Duration = Duration::from_secs(5);

/// How long a disk may take at the start before we go on without what was remembered.
const LOAD: Duration = Duration::from_secs(30);

/// How long it may take at the end.
const FINISH: Duration = Duration::from_secs(2);

/// What is remembered, and whether the disk has it.
#[derive(Debug)]
pub(super) struct Memories {
    dir: PathBuf,
    all: BTreeMap<ResourceName, Memory>,
    /// Differs from what is on the disk or on its way there.
    changed: bool,
    /// Counts what was remembered; what is being written, and what is on the disk, has all up to here.
    newest: u64,
    being_written: u64,
    on_disk: u64,
    /// Who waits until the disk has all up to there.
    waiting: Vec<(u64, oneshot::Sender<Result<(), String>>)>,
    writing: Option<JoinHandle<io::Result<()>>>,
    retry_at: Option<Instant>,
    failing: bool,
}

impl Memories {
    /// Reads what is there. What is broken is reported and costs nothing else.
    pub(super) async fn load(dir: PathBuf) -> Self {
        let folder = dir.clone();
        let read = timeout(LOAD, spawn_blocking(move || memory::load(&folder))).await;
        let remembered = match read {
            Ok(Ok(remembered)) => remembered,
            Ok(Err(error)) => {
                error!(%error, "can't read what was remembered");
                memory::Remembered::default()
            }
            Err(_) => {
                error!(dir = %dir.display(), "the disk does not answer: what was remembered is not known, holds included");
                memory::Remembered::default()
            }
        };
        for problem in &remembered.problems {
            error!("{problem}");
        }
        // What survived of a broken file is not on the disk any more.
        let changed = !remembered.problems.is_empty() && !remembered.memories.is_empty();
        Self {
            dir,
            all: remembered.memories,
            changed,
            newest: 0,
            being_written: 0,
            on_disk: 0,
            waiting: Vec::new(),
            writing: None,
            retry_at: None,
            failing: false,
        }
    }

    /// For the core, once, at the start.
    pub(super) fn told(&self) -> Vec<(ResourceName, Memory)> {
        self.all.iter().map(|(name, memory)| (name.clone(), memory.clone())).collect()
    }

    /// Keeps `memory` in place of what was kept before.
    pub(super) fn remember(&mut self, resource: ResourceName, memory: Memory) {
        let kept = if memory == Memory::default() {
            self.all.remove(&resource).is_some()
        } else {
            self.all.insert(resource, memory.clone()) != Some(memory)
        };
        self.changed |= kept;
        self.newest += u64::from(kept);
        self.write();
    }

    /// Hears when everything so far is on the disk, or why it could not be written. `None` = it is there already.
    pub(super) fn saved(&mut self) -> Option<oneshot::Receiver<Result<(), String>>> {
        if self.on_disk >= self.newest {
            return None;
        }
        let (told, hears) = oneshot::channel();
        self.waiting.push((self.newest, told));
        Some(hears)
    }

    fn tell_waiting(&mut self, up_to: u64, result: &Result<(), String>) {
        for (wanted, told) in std::mem::take(&mut self.waiting) {
            if wanted <= up_to {
                // Who does not wait any longer has said so to the operator.
                let _ = told.send(result.clone());
            } else {
                self.waiting.push((wanted, told));
            }
        }
    }

    /// Begins to write if there is something to write and nothing is being written.
    pub(super) fn write(&mut self) {
        let waits = self.retry_at.is_some_and(|at| at > Instant::now());
        if !self.changed || self.writing.is_some() || waits {
            return;
        }
        self.changed = false;
        self.being_written = self.newest;
        let (dir, all) = (self.dir.clone(), self.all.clone());
        self.writing = Some(spawn_blocking(move || memory::save(&dir, &all)));
    }

    /// Waits for what is being written; for ever if nothing is. Cancel safe.
    pub(super) async fn next(&mut self) -> io::Result<()> {
        match &mut self.writing {
            Some(writing) => {
                let result = writing.await;
                self.writing = None;
                result.unwrap_or_else(|error| Err(io::Error::other(error)))
            }
            None => pending().await,
        }
    }

    /// Something was written, or not.
    pub(super) fn written(&mut self, result: io::Result<()>) {
        match result {
            Ok(()) => {
                self.on_disk = self.being_written;
                self.tell_waiting(self.on_disk, &Ok(()));
                self.retry_at = None;
                if std::mem::take(&mut self.failing) {
                    info!("what the promoter remembers is on the disk again");
                }
            }
            Err(error) => {
                self.tell_waiting(self.being_written, &Err(error.to_string()));
                self.changed = true;
                self.retry_at = Some(Instant::now() + RETRY);
                if !std::mem::replace(&mut self.failing, true) {
                    let file = self.dir.join(FILE_NAME);
                    warn!(%error, file = %file.display(), "can't write what the promoter remembers; tried again");
                }
            }
        }
        self.write();
    }

    /// The last word before the daemon ends.
    pub(super) async fn finish(&mut self) {
        let finish = async {
            while self.writing.is_some() || (self.changed && !self.failing) {
                self.write();
                let result = self.next().await;
                self.written(result);
            }
        };
        let in_time = timeout(FINISH, finish).await.is_ok();
        if !in_time || self.changed {
            warn!(dir = %self.dir.display(), "the last that the promoter remembers is not on the disk");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> Memory {
        Memory { frozen: true, ..Memory::default() }
    }

    #[tokio::test]
    async fn what_is_promised_is_on_the_disk_first() {
        let dir = std::env::temp_dir().join(format!("reactord-memories-{}", std::process::id()));
        std::fs::create_dir(&dir).expect("the temporary folder can be written");
        let mut memories = Memories::load(dir.clone()).await;
        assert!(memories.saved().is_none(), "nothing is to be written");
        memories.remember(ResourceName::new("r0"), held());
        let mut first = memories.saved().expect("it is being written");
        // Comes while the first is being written: not a part of it.
        memories.remember(ResourceName::new("r1"), held());
        let mut second = memories.saved().expect("it is yet to be written");
        let result = memories.next().await;
        memories.written(result);
        assert_eq!((first.try_recv(), second.try_recv().is_err()), (Ok(Ok(())), true));
        let result = memories.next().await;
        memories.written(result);
        assert_eq!(second.try_recv(), Ok(Ok(())));
        assert_eq!(memory::load(&dir).memories.len(), 2);
        memories.remember(ResourceName::new("r1"), held());
        assert!(memories.saved().is_none(), "nothing is new");
        std::fs::remove_dir_all(dir).expect("it is ours");
    }

    #[tokio::test]
    async fn a_disk_that_refuses_is_said_at_once() {
        let file = std::env::temp_dir().join(format!("reactord-no-folder-{}", std::process::id()));
        std::fs::write(&file, "").expect("the temporary folder can be written");
        let mut memories = Memories::load(file.join("state")).await;
        memories.remember(ResourceName::new("r0"), held());
        let mut saved = memories.saved().expect("it is being written");
        let result = memories.next().await;
        memories.written(result);
        assert!(matches!(saved.try_recv(), Ok(Err(why)) if !why.is_empty()));
        std::fs::remove_file(file).expect("it is ours");
    }
}
