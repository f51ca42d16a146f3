//! What sync keeps in the state folder: what was there before a file came, and when which node had all files.
//!
//! ```text
//!  /var/lib/storage-reactor/sync/lock              held while anything below or a received file is written
//!  /var/lib/storage-reactor/sync/backup/FILE.N     the last few versions of a file that was replaced, oldest first
//!  /var/lib/storage-reactor/sync/RESOURCE.json     when each node had all files
//! ```

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};

use reactor_trust::{Content, Folder, FolderError};
use rustix::fs::{FlockOperation, Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::names::flat;

/// Versions of a file that are kept.
const BACKUPS: usize = 5;
/// Nodes that are remembered.
const MAX_NODES: usize = 256;
/// Longest memory of a resource, in bytes.
const MAX_BYTES: u64 = 256 << 10;
/// What the memory says of itself.
const FORMAT: &str = "storage-reactor-sync";
const VERSION: u32 = 1;

/// The folder, and the right to write in it; nobody else has it meanwhile.
#[derive(Debug)]
pub(crate) struct Store {
    folder: Folder,
    /// Closed with us, and free then.
    _lock: File,
}

/// When each node had all files, in Unix seconds.
pub(crate) type Good = BTreeMap<String, u64>;

#[derive(Deserialize, Serialize)]
struct Memory {
    format: String,
    version: u32,
    good: Good,
}

/// The folder of sync in a state folder.
fn folder_in(state: &Path) -> PathBuf {
    state.join("sync")
}

impl Store {
    /// Opens it, and waits for whoever writes there. That takes no longer than a few files take to be written.
    ///
    /// # Errors
    ///
    /// What the system says, and that somebody else could have written there.
    pub(crate) fn open(state: &Path) -> Result<Self, FolderError> {
        let path = folder_in(state);
        let folder = Folder::make(&path, 0o700)?;
        let failed =
            |error: rustix::io::Errno| FolderError::Io { what: "lock", path: path.clone(), source: error.into() };
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = rustix::fs::openat(&folder, "lock", flags, Mode::from_raw_mode(0o600)).map_err(failed)?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&lock, FlockOperation::LockExclusive)).map_err(failed)?;
        Ok(Self { folder, _lock: File::from(lock) })
    }

    /// Keeps what is in a file before it is replaced. Gives where.
    ///
    /// # Errors
    ///
    /// See [`Store::open`].
    pub(crate) fn back_up(&self, path: &str, content: &Content) -> Result<PathBuf, FolderError> {
        let folder = self.folder.make_folder(OsStr::new("backup"), 0o700)?;
        let flat = flat(path);
        let number = |name: &OsStr| name.to_str()?.strip_prefix(&flat)?.strip_prefix('.')?.parse::<u64>().ok();
        let mut kept: Vec<u64> = folder.names()?.iter().filter_map(|name| number(name)).collect();
        kept.sort_unstable();
        let next = kept.last().map_or(1, |last| last.saturating_add(1));
        let name = format!("{flat}.{next}");
        // A file that others may not read is not shown to them here, nor is it theirs.
        folder.write(OsStr::new(&name), &content.bytes, 0o600, true)?;
        for old in kept.iter().rev().skip(BACKUPS - 1) {
            folder.remove(OsStr::new(&format!("{flat}.{old}")))?;
        }
        Ok(folder.path().join(name))
    }

    /// Notes which nodes have all files now, and forgets nodes that are no longer among `all`. Gives what is known then.
    ///
    /// # Errors
    ///
    /// See [`Store::open`].
    pub(crate) fn note(&self, resource: &str, good: &Good, all: &[String]) -> Result<Good, FolderError> {
        let mut known = read(&self.folder, resource)?;
        known.extend(good.iter().map(|(node, at)| (node.clone(), *at)));
        known.retain(|node, _| all.contains(node));
        while known.len() > MAX_NODES {
            known.pop_last();
        }
        let memory = Memory { format: FORMAT.to_owned(), version: VERSION, good: known };
        let text = serde_json::to_vec(&memory).map_err(|error| FolderError::Io {
            what: "write",
            path: self.folder.path().to_owned(),
            source: error.into(),
        })?;
        self.folder.write(OsStr::new(&name_of(resource)), &text, 0o600, true)?;
        Ok(memory.good)
    }
}

/// What is known of a resource. What is not ours, or can't be read, says nothing.
pub(crate) fn recall(state: &Path, resource: &str) -> Good {
    let folder = Folder::open(&folder_in(state)).ok().flatten();
    folder.and_then(|folder| read(&folder, resource).ok()).unwrap_or_default()
}

/// Names of resources are plain; what is odd in one is no path all the same.
fn name_of(resource: &str) -> String {
    format!("{}.json", flat(&format!("/{resource}")))
}

fn read(folder: &Folder, resource: &str) -> Result<Good, FolderError> {
    let Some(content) = folder.read(OsStr::new(&name_of(resource)), MAX_BYTES)? else { return Ok(Good::new()) };
    let memory = serde_json::from_slice::<Memory>(&content.bytes).ok();
    Ok(memory.filter(|memory| memory.format == FORMAT && memory.version == VERSION).map(|m| m.good).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn the_last_few_versions_are_kept_each_in_a_file_of_its_own() {
        let scratch = Scratch::new("sync-backup");
        let store = Store::open(&scratch.0).unwrap();
        let content = |text: &str| Content { bytes: text.as_bytes().to_vec(), mode: 0o644, uid: 0, gid: 0 };
        for number in 1..=9 {
            let path = store.back_up("/etc/a", &content(&number.to_string())).unwrap();
            assert_eq!(path, scratch.0.join(format!("sync/backup/etc%2Fa.{number}")));
            assert_eq!(std::fs::read_to_string(path).unwrap(), number.to_string());
        }
        store.back_up("/etc/a.7", &content("other")).unwrap();
        let mut names: Vec<_> = std::fs::read_dir(scratch.0.join("sync/backup"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let kept = ["etc%2Fa.5", "etc%2Fa.6", "etc%2Fa.7", "etc%2Fa.7.1", "etc%2Fa.8", "etc%2Fa.9"];
        assert_eq!(names, kept);
    }

    #[test]
    fn when_a_node_had_all_files_outlives_us_and_a_broken_memory_is_none() {
        let scratch = Scratch::new("sync-memory");
        let all = ["n2".to_owned(), "n3".to_owned()];
        assert!(recall(&scratch.0, "r0").is_empty());
        let note = |good: &[(&str, u64)], all: &[String]| {
            let good = good.iter().map(|(node, at)| ((*node).to_owned(), *at)).collect();
            Store::open(&scratch.0).unwrap().note("r0", &good, all).unwrap()
        };
        note(&[("n2", 10), ("n3", 10)], &all);
        note(&[("n2", 20)], &all);
        assert_eq!(recall(&scratch.0, "r0"), Good::from([("n2".to_owned(), 20), ("n3".to_owned(), 10)]));
        assert!(recall(&scratch.0, "r1").is_empty());
        assert_eq!(note(&[], &all[..1]).len(), 1);
        for text in ["", "{", r#"{"format":"storage-reactor-sync","version":2,"good":{"n2":1}}"#] {
            std::fs::write(scratch.0.join("sync/r0.json"), text).unwrap();
            assert!(recall(&scratch.0, "r0").is_empty(), "{text}");
        }
        assert_eq!(note(&[("n2", 30)], &all)["n2"], 30);
    }
}
