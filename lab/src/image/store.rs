//! The cache on the disk: folders that are complete when they have their name, and a lock for builders.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};

use super::error::ImageError;
use super::recipe::Recipe;

/// Says in a layer's folder what it is made of.
const RECIPE: &str = "recipe";
/// Of each kind, so many are kept: clusters that run have an older image open, and branches take turns.
const KEPT: usize = 4;

/// The cache.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
}

/// Nobody else builds as long as this lives.
#[derive(Debug)]
pub(crate) struct Locked {
    _file: File,
}

/// A folder in work. What is not kept goes.
#[derive(Debug)]
pub(crate) struct Draft {
    folder: PathBuf,
}

impl Store {
    pub(crate) fn open(folder: &Path) -> Result<Self, ImageError> {
        let made = fs::create_dir_all(folder);
        made.map_err(|source| ImageError::File { what: "make the cache", path: folder.to_owned(), source })?;
        Ok(Self { folder: folder.to_owned() })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The layer's folder, if it is there.
    pub(super) fn find(&self, recipe: &Recipe) -> Option<PathBuf> {
        let folder = self.path(&recipe.folder());
        let known = fs::read_to_string(folder.join(RECIPE)).ok()?;
        if known != recipe.text {
            return None;
        }
        // It was used now. A cache of somebody else's cannot be told that, which is no harm.
        let _not_ours = File::open(folder.join(RECIPE)).and_then(|file| file.set_modified(SystemTime::now()));
        Some(folder)
    }

    /// Waits until nobody else builds.
    pub(crate) fn lock(&self, tell: &mut dyn FnMut(&str)) -> Result<Locked, ImageError> {
        let path = self.path("lock");
        let error = |source: io::Error| ImageError::File { what: "lock", path: path.clone(), source };
        let file = File::options().write(true).create(true).truncate(false).open(&path).map_err(error)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            tell("somebody else builds the image, waiting");
            flock(&file, FlockOperation::LockExclusive).map_err(|errno| error(errno.into()))?;
        }
        Ok(Locked { _file: file })
    }

    /// Is there room for so much?
    pub(super) fn room(&self, needed_mib: u64) -> Result<(), ImageError> {
        let Ok(stat) = rustix::fs::statvfs(&self.folder) else { return Ok(()) };
        let free_mib = stat.f_bavail.saturating_mul(stat.f_frsize) >> 20;
        if free_mib < needed_mib {
            return Err(ImageError::Full { path: self.folder.clone(), free_mib, needed_mib });
        }
        Ok(())
    }

    /// A folder for a whole system that is thrown away afterwards: in memory if there is room, that is ten times faster.
    pub(super) fn scratch(&self, needed_mib: u64) -> Result<Draft, ImageError> {
        let name = format!("lab-build-{:08x}", crc32fast::hash(self.folder.as_os_str().as_encoded_bytes()));
        let memory = Path::new("/dev/shm");
        let usable = rustix::fs::statvfs(memory).is_ok_and(|stat| {
            let free_mib = stat.f_bavail.saturating_mul(stat.f_frsize) >> 20;
            // Twice, because nodes live there too; and programs of the system are run.
            free_mib >= 2 * needed_mib && !stat.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC)
        });
        if usable && let Ok(scratch) = Draft::create(memory.join(&name)) {
            return Ok(scratch);
        }
        self.room(needed_mib)?;
        Draft::create(self.path(&name))
    }

    /// A folder for a layer to be. The lock is held, so what an interrupted builder has left can go.
    pub(crate) fn draft(&self, name: &str) -> Result<Draft, ImageError> {
        Draft::create(self.path(&format!("{name}.new")))
    }

    /// Gives a complete layer its name.
    pub(super) fn keep(&self, draft: &Draft, recipe: &Recipe) -> Result<PathBuf, ImageError> {
        let written = fs::write(draft.path(RECIPE), &recipe.text);
        written.map_err(|source| ImageError::File { what: "write", path: draft.path(RECIPE), source })?;
        self.keep_as(draft, &recipe.folder())
    }

    /// Gives a complete folder a name; what has it goes.
    pub(crate) fn keep_as(&self, draft: &Draft, name: &str) -> Result<PathBuf, ImageError> {
        let folder = self.path(name);
        let _none = fs::remove_dir_all(&folder);
        let kept = fs::rename(&draft.folder, &folder);
        kept.map_err(|source| ImageError::File { what: "rename to", path: folder.clone(), source })?;
        Ok(folder)
    }

    /// Removes layers that were not used for the longest time.
    pub(super) fn prune(&self, in_use: &[&Recipe]) {
        let keep: Vec<String> = in_use.iter().map(|recipe| recipe.folder()).collect();
        for kind in ["root", "image", "initrd"] {
            let mut layers: Vec<(SystemTime, PathBuf)> = fs::read_dir(&self.folder)
                .into_iter()
                .flatten()
                .flatten()
                .filter(|entry| {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    name.starts_with(&format!("{kind}-")) && !keep.contains(&name)
                })
                .filter_map(|entry| {
                    let used = fs::metadata(entry.path().join(RECIPE)).and_then(|data| data.modified()).ok()?;
                    Some((used, entry.path()))
                })
                .collect();
            layers.sort();
            let too_many = layers.len().saturating_sub(KEPT - 1);
            for (_, folder) in layers.into_iter().take(too_many) {
                // The next builder tries again.
                let _stays = fs::remove_dir_all(folder);
            }
        }
    }
}

impl Draft {
    fn create(folder: PathBuf) -> Result<Self, ImageError> {
        let _none = fs::remove_dir_all(&folder);
        let made = fs::create_dir(&folder);
        made.map_err(|source| ImageError::File { what: "make", path: folder.clone(), source })?;
        Ok(Self { folder })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // When it was kept it has another name.
        let _kept = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
pub(crate) fn test_folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("lab-image-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    fn recipe(text: &str) -> Recipe {
        Recipe { kind: "image", text: text.to_owned() }
    }

    #[test]
    fn a_layer_is_found_when_it_is_complete_and_only_for_its_recipe() {
        let folder = test_folder("store");
        let store = Store::open(&folder).unwrap();
        let draft = store.draft(&recipe("a").folder()).unwrap();
        fs::write(draft.path("x"), "content").unwrap();
        assert!(store.find(&recipe("a")).is_none());
        let kept = store.keep(&draft, &recipe("a")).unwrap();
        drop(draft);
        assert_eq!(store.find(&recipe("a")).unwrap(), kept);
        assert_eq!(fs::read_to_string(kept.join("x")).unwrap(), "content");
        assert!(store.find(&recipe("b")).is_none());
        fs::write(kept.join(RECIPE), "another one with the same checksum").unwrap();
        assert!(store.find(&recipe("a")).is_none());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_an_interrupted_builder_left_is_no_layer_and_goes() {
        let folder = test_folder("interrupted");
        let store = Store::open(&folder).unwrap();
        let left = store.path(&format!("{}.new", recipe("a").folder()));
        fs::create_dir(&left).unwrap();
        fs::write(left.join("half"), "").unwrap();
        let draft = store.draft(&recipe("a").folder()).unwrap();
        assert!(!draft.path("half").exists());
        drop(draft);
        assert!(!left.exists());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_second_builder_waits_for_the_first() {
        let folder = test_folder("lock");
        let store = Store::open(&folder).unwrap();
        let locked = store.lock(&mut |_| ()).unwrap();
        let (said_to, said) = mpsc::channel();
        let second = std::thread::spawn({
            let folder = folder.clone();
            move || {
                let told = said_to.clone();
                let _locked = Store::open(&folder).unwrap().lock(&mut |text| told.send(text.to_owned()).unwrap());
                said_to.send("has it".to_owned()).unwrap();
            }
        });
        let next = || said.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(next(), "somebody else builds the image, waiting");
        assert!(said.try_recv().is_err());
        drop(locked);
        assert_eq!(next(), "has it");
        second.join().unwrap();
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn old_layers_go_and_those_in_use_stay() {
        let folder = test_folder("prune");
        let store = Store::open(&folder).unwrap();
        let recipes: Vec<Recipe> = (0..8).map(|number| recipe(&number.to_string())).collect();
        for (age, recipe) in recipes.iter().rev().enumerate() {
            let kept = store.keep(&store.draft(&recipe.folder()).unwrap(), recipe).unwrap();
            let used = SystemTime::now() - Duration::from_secs(1000 * (age as u64 + 1));
            File::open(kept.join(RECIPE)).unwrap().set_modified(used).unwrap();
        }
        // The oldest of all.
        store.prune(&[&recipes[0]]);
        let left: Vec<&str> =
            recipes.iter().filter(|recipe| store.find(recipe).is_some()).map(|recipe| &*recipe.text).collect();
        assert_eq!(left, ["0", "5", "6", "7"]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn too_little_room_is_said_with_numbers() {
        let store = Store::open(&std::env::temp_dir()).unwrap();
        store.room(0).unwrap();
        let error = store.room(u64::MAX >> 20).unwrap_err().to_string();
        assert!(error.contains("LAB_CACHE"), "{error}");
    }
}
