//! What promoters remember across restarts, on its way to the state folder.
//!
//! The newest state is written, not every state: while one is written, what changes meanwhile is written together afterwards. Who promises
//! something to an operator waits until the disk has it ([`Memories::saved`]): a hold that was confirmed must outlive a power cut.
//!
//! While the disk does not answer, and where a file was not understood, every resource is held that nobody has said anything about
//! ([`Known`]). A person sees that in `status` and `why`, and releases it.

use std::future::pending;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reactor_core::ids::ResourceName;
use reactor_core::operator::{Hold, Memory};
use reactor_sys::memory::{self, Doubt, FILE_NAME, Known, Remembered};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tracing::{error, info, warn};

/// A disk that refuses is tried again after this.
const RETRY: Duration = Duration::from_secs(5);

/// How long a disk may take at the start before we go on, with everything held.
const LOAD: Duration = Duration::from_secs(5);

/// How long it may take at the end.
const FINISH: Duration = Duration::from_secs(2);

/// What became of the file.
pub(super) enum MemoryNews {
    /// It was written, or not.
    Written(io::Result<Option<String>>),
    /// The disk did not answer at the start, and has now: these were held until then.
    Late(Vec<ResourceName>),
}

/// What is remembered, and whether the disk has it.
#[derive(Debug)]
pub(super) struct Memories {
    dir: PathBuf,
    known: Known,
    /// Differs from what is on the disk or on its way there.
    changed: bool,
    /// Counts what was remembered; what is being written, and what is on the disk, has all up to here.
    newest: u64,
    being_written: u64,
    on_disk: u64,
    /// Who waits until the disk has all up to there.
    waiting: Vec<(u64, oneshot::Sender<Result<(), String>>)>,
    writing: Option<JoinHandle<io::Result<Option<String>>>>,
    /// The disk has not answered yet.
    loading: Option<JoinHandle<Remembered>>,
    retry_at: Option<Instant>,
    failing: bool,
}

impl Memories {
    /// Reads what is there. What is broken is reported and costs nothing else.
    pub(super) async fn load(dir: PathBuf) -> Self {
        let folder = dir.clone();
        let mut loading = spawn_blocking(move || {
            // Without it nothing can be remembered, but DRBD is followed all the same.
            if let Err(error) = make_folder(&folder) {
                warn!(%error, dir = %folder.display(), "can't make the state folder");
            }
            memory::load(&folder)
        });
        let mut memories = Self {
            dir,
            known: Known::default(),
            changed: false,
            newest: 0,
            being_written: 0,
            on_disk: 0,
            waiting: Vec::new(),
            writing: None,
            loading: None,
            retry_at: None,
            failing: false,
        };
        match timeout(LOAD, &mut loading).await {
            Ok(result) => memories.read(result.unwrap_or_else(|error| unread(&error.to_string()))),
            Err(_) => {
                let why = format!("the disk of {} has not answered yet", memories.dir.display());
                error!("{why}: what was held is not known, and everything is held until it is");
                memories.known = Known::unread(why);
                memories.loading = Some(loading);
            }
        }
        memories
    }

    /// The disk has answered.
    fn read(&mut self, remembered: Remembered) {
        for problem in &remembered.problems {
            error!("{problem}");
        }
        if let Some(doubt) = &remembered.doubt {
            error!(
                "what was held is not known for sure ({}): resources are held until somebody releases them, see reactorctl status",
                doubt.why
            );
        }
        self.changed |= self.known.read(remembered);
    }

    /// Waits for the disk. Cancel safe.
    pub(super) async fn news(&mut self) -> MemoryNews {
        // Nothing is written before all is read.
        match self.loading {
            Some(_) => MemoryNews::Late(self.late().await),
            None => MemoryNews::Written(self.next().await),
        }
    }

    /// Waits for a disk that did not answer at the start; for ever if it did. Gives what was held until then. Cancel safe.
    async fn late(&mut self) -> Vec<ResourceName> {
        match &mut self.loading {
            Some(loading) => {
                let remembered = loading.await.unwrap_or_else(|error| unread(&error.to_string()));
                self.loading = None;
                info!("the disk has answered: what was remembered is known");
                let held: Vec<ResourceName> = self.known.memories.keys().cloned().collect();
                self.read(remembered);
                held
            }
            None => pending().await,
        }
    }

    /// Whether something is to be told again when resources are configured: those that nobody has said anything about are held.
    pub(super) fn doubts(&mut self, configured: impl Iterator<Item = ResourceName>) -> bool {
        let new = self.known.doubts(configured);
        self.changed |= new > 0;
        self.newest += new;
        new > 0
    }

    /// For the core.
    pub(super) fn told(&self) -> Vec<(ResourceName, Memory)> {
        self.known.told()
    }

    /// For the core, when the disk has answered late: see [`Known::told_late`].
    pub(super) fn told_late(
        &mut self,
        held: Vec<ResourceName>,
        configured: impl Iterator<Item = ResourceName>,
    ) -> Vec<(ResourceName, Memory)> {
        let (told, new) = self.known.told_late(held, configured);
        self.changed |= new > 0;
        self.newest += new;
        told
    }

    /// Keeps `memory` in place of what was kept before.
    pub(super) fn remember(&mut self, resource: ResourceName, memory: Memory) {
        let is_new = self.known.remember(resource, memory);
        self.changed |= is_new;
        self.newest += u64::from(is_new);
        self.write();
    }

    /// Keeps whether this node is drained.
    pub(super) fn remember_drain(&mut self, drain: Option<Hold>) {
        // What is said before all was read is not on the disk, whatever it will turn out to have.
        let is_new = self.known.remember_drain(drain) || self.loading.is_some();
        self.changed |= is_new;
        self.newest += u64::from(is_new);
        self.write();
    }

    /// Whether this node is drained, for the core.
    pub(super) fn drain(&self) -> Option<Hold> {
        self.known.drain.clone()
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
        // What has not been read is not replaced.
        if !self.changed || self.writing.is_some() || self.loading.is_some() || waits {
            return;
        }
        self.changed = false;
        self.being_written = self.newest;
        let (dir, known) = (self.dir.clone(), self.known.clone());
        self.writing = Some(spawn_blocking(move || memory::save(&dir, &known)));
    }

    /// When [`write`](Self::write) has something to do that it has put off.
    pub(super) fn retry_due(&self) -> Option<Instant> {
        let waits = self.changed && self.writing.is_none() && self.loading.is_none();
        self.retry_at.filter(|_| waits)
    }

    /// Waits for what is being written; for ever if nothing is. Cancel safe.
    async fn next(&mut self) -> io::Result<Option<String>> {
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
    pub(super) fn written(&mut self, result: io::Result<Option<String>>) {
        match result {
            Ok(kept_as) => {
                if let Some(name) = kept_as {
                    let file = self.dir.join(&name);
                    warn!(file = %file.display(), "the state file that was not understood is kept; remove it when nothing in it matters");
                    self.known.was_kept(name);
                }
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
            while self.writing.is_some() || (self.changed && !self.failing && self.loading.is_none()) {
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

/// Makes the state folder and what is above it, unless it is there.
fn make_folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o750).create(path)
}

/// The reading itself went wrong.
fn unread(error: &str) -> Remembered {
    let doubt = Doubt { why: format!("can't read what was remembered: {error}"), ..Doubt::default() };
    Remembered { problems: vec![doubt.why.clone()], doubt: Some(doubt), ..Remembered::default() }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Folder;
    use super::*;

    fn held() -> Memory {
        Memory { frozen: true, ..Memory::default() }
    }

    #[tokio::test]
    async fn what_is_promised_is_on_the_disk_first() {
        let folder = Folder::new("memories");
        let dir = folder.path().to_owned();
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
    }

    #[tokio::test]
    async fn a_disk_that_refuses_is_said_at_once() {
        let folder = Folder::new("no-folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("it is ours");
        let mut memories = Memories::load(file.join("state")).await;
        memories.remember(ResourceName::new("r0"), held());
        let mut saved = memories.saved().expect("it is being written");
        let result = memories.next().await;
        memories.written(result);
        assert!(matches!(saved.try_recv(), Ok(Err(why)) if !why.is_empty()));
    }

    async fn settle(memories: &mut Memories) {
        memories.write();
        while memories.writing.is_some() {
            let result = memories.next().await;
            memories.written(result);
        }
    }

    fn names(names: &[&str]) -> impl Iterator<Item = ResourceName> {
        names.iter().map(|name| ResourceName::new(name)).collect::<Vec<_>>().into_iter()
    }

    fn hold_of(memories: &Memories, name: &str) -> Option<Hold> {
        memories.told().into_iter().find(|(told, _)| told.as_str() == name).and_then(|(_, memory)| memory.hold)
    }

    #[tokio::test]
    async fn what_may_have_been_held_is_held_until_it_is_released_across_restarts() {
        let folder = Folder::new("doubt-torn");
        let dir = folder.path().to_owned();
        std::fs::write(dir.join(FILE_NAME), "{\"format\": \"stor").expect("it is ours");
        let mut memories = Memories::load(dir.clone()).await;
        assert!(memories.doubts(names(&["r0", "r1"])));
        assert!(!memories.doubts(names(&["r0", "r1"])), "once");
        assert!(hold_of(&memories, "r0").is_some_and(|hold| hold.why.contains("not understood")));
        // Somebody releases one of them.
        memories.remember(ResourceName::new("r0"), Memory::default());
        settle(&mut memories).await;
        let mut again = Memories::load(dir.clone()).await;
        assert!(again.doubts(names(&["r0", "r1", "r2"])), "r2 is configured only now");
        assert_eq!(hold_of(&again, "r0"), None);
        assert!(hold_of(&again, "r1").is_some() && hold_of(&again, "r2").is_some());
        let kept = dir.join(format!("{}1", memory::KEPT_NAME));
        assert_eq!(std::fs::read_to_string(kept).expect("it is kept"), "{\"format\": \"stor");
    }

    #[tokio::test]
    async fn a_disk_that_answers_late_is_believed_and_what_was_said_meanwhile_counts() {
        let folder = Folder::new("doubt-late");
        let dir = folder.path().to_owned();
        let hold = |since| Hold { who: "root".to_owned(), since, ..Hold::default() };
        let of_r3 = Memory { hold: Some(hold(6)), ..Memory::default() };
        let theirs = [(ResourceName::new("r1"), held()), (ResourceName::new("r3"), of_r3)].into();
        memory::save(&dir, &Known { memories: theirs, ..Known::default() }).expect("it is ours");
        // As if the disk had not answered in time.
        let mut memories = Memories::load(dir.clone()).await;
        let (answer, answers) = std::sync::mpsc::channel();
        memories.known = Known::unread("the disk has not answered yet".to_owned());
        let answered = dir.clone();
        memories.loading = Some(spawn_blocking(move || {
            answers.recv().expect("it answers at last");
            memory::load(&answered)
        }));
        assert!(memories.doubts(names(&["r0", "r1", "r2", "r3"])));
        assert!(hold_of(&memories, "r0").is_some());
        let hold = hold(7);
        memories.remember(ResourceName::new("r2"), Memory { hold: Some(hold.clone()), ..Memory::default() });
        memories.remember(ResourceName::new("r3"), Memory::default());
        assert!(memories.writing.is_none(), "nothing is written over what was not read");
        answer.send(()).expect("it waits");
        memories.late().await;
        assert_eq!((hold_of(&memories, "r0"), hold_of(&memories, "r2")), (None, Some(hold)));
        assert_eq!(memories.told().len(), 2, "r1 as it was, r2 as was said, r3 released: {:?}", memories.told());
        settle(&mut memories).await;
        assert_eq!(memory::load(&dir).memories, memories.known.memories);
    }

    /// Released and held again at once would be enough for a decision in between.
    #[tokio::test]
    async fn what_a_late_disk_leaves_in_doubt_is_never_told_as_free() {
        let folder = Folder::new("doubt-late-torn");
        std::fs::write(folder.path().join(FILE_NAME), "{\"format\": \"stor").expect("it can be written");
        let mut memories = Memories::load(folder.path().to_owned()).await;
        memories.known = Known::unread("the disk has not answered yet".to_owned());
        assert!(memories.doubts(names(&["r0", "r1"])));
        let answered = folder.path().to_owned();
        memories.loading = Some(spawn_blocking(move || memory::load(&answered)));
        let held = memories.late().await;
        // r1 is configured no more.
        let told = memories.told_late(held, names(&["r0"]));
        let told: Vec<_> = told.iter().map(|(name, memory)| (name.as_str(), memory.hold.is_some())).collect();
        assert_eq!(told, [("r0", true), ("r1", false)]);
        assert!(memories.saved().is_some(), "that is not on the disk yet");
    }

    #[tokio::test]
    async fn a_drain_that_is_known_late_is_told_unless_somebody_has_said_otherwise_which_is_on_the_disk_first() {
        let drain = Hold { who: "root".to_owned(), stops: true, ..Hold::default() };
        for (said, then) in [(false, Some(drain.clone())), (true, None)] {
            let folder = Folder::new(if said { "drain-said" } else { "drain-late" });
            let dir = folder.path().to_owned();
            memory::save(&dir, &Known { drain: Some(drain.clone()), ..Known::default() }).expect("it is ours");
            let mut memories = Memories::load(dir.clone()).await;
            assert_eq!(memories.drain().as_ref(), Some(&drain));
            // As if the disk had not answered in time.
            memories.known = Known::unread("the disk has not answered yet".to_owned());
            let answered = dir.clone();
            let (answer, answers) = std::sync::mpsc::channel();
            memories.loading = Some(spawn_blocking(move || {
                answers.recv().expect("it answers at last");
                memory::load(&answered)
            }));
            assert_eq!(memories.drain(), None);
            if said {
                // Nobody knew that it was drained, so nothing has changed, and yet it is a word that has to be kept.
                memories.remember_drain(None);
                assert!(memories.saved().is_some(), "it is not on the disk");
            }
            answer.send(()).expect("it waits");
            memories.late().await;
            assert_eq!(memories.drain(), then);
            settle(&mut memories).await;
            assert_eq!(memory::load(&dir).drain, then);
            assert!(memories.saved().is_none());
        }
    }
}
