//! `promoter.json` in the state folder: what the promoter remembers of each resource across restarts (holds, failures, freezes).
//!
//! It is replaced as a whole: a new file beside it, written through to the disk, then renamed. So after a crash there is the old
//! one or the new one. What cannot be read is moved aside, reported, and never keeps the daemon from running; entries that are
//! good survive the bad ones beside them.
//!
//! Everything here blocks: call it where that harms nobody.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use reactor_core::ids::ResourceName;
use reactor_core::operator::Memory;
use reactor_trust::{Folder, FolderError};
use rustix::fs::{AtFlags, Mode, OFlags};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Its name in the state folder.
pub const FILE_NAME: &str = "promoter.json";

/// Where a file goes that cannot be read. One is kept: the last.
pub const BROKEN_NAME: &str = "promoter.json.broken";

const NEW_NAME: &str = "promoter.json.new";

const FORMAT: &str = "storage-reactor-promoter";

const VERSION: u64 = 1;

/// More than this is not ours. A thousand resources with everything that can be remembered have less than a megabyte.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// What was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Of each resource.
    pub memories: BTreeMap<ResourceName, Memory>,
    /// What could not be read, and what became of it: one line each.
    pub problems: Vec<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    format: &'static str,
    version: u64,
    resources: &'a BTreeMap<ResourceName, Memory>,
}

#[derive(Deserialize)]
struct RawDocument {
    format: String,
    version: u64,
    resources: Map<String, Value>,
}

/// Reads the file of the state folder `dir`. No file is nothing remembered.
pub fn load(dir: &Path) -> Remembered {
    let mut remembered = Remembered::default();
    let path = dir.join(FILE_NAME);
    let text = match open_folder(dir).and_then(|folder| folder.map_or(Ok(None), |folder| read(&folder))) {
        Ok(Some(text)) => text,
        Ok(None) => return remembered,
        Err(error) => {
            remembered.problems.push(format!("can't read {}: {error}", path.display()));
            // Kept in place as it is: what cannot be read may be there again later, for example a disk with an error.
            return remembered;
        }
    };
    let problems = match understand(&text) {
        Ok((memories, problems)) => {
            remembered.memories = memories;
            problems
        }
        Err(why) => vec![why],
    };
    if problems.is_empty() {
        return remembered;
    }
    remembered.problems.extend(problems.into_iter().map(|why| format!("{}: {why}", path.display())));
    let aside = dir.join(BROKEN_NAME);
    remembered.problems.push(match std::fs::rename(&path, &aside) {
        Ok(()) => format!("the file is kept as {}; holds in it that were lost must be set again", aside.display()),
        Err(error) => format!("can't move it to {}: {error}", aside.display()),
    });
    remembered
}

/// Replaces the file of the state folder `dir`.
///
/// # Errors
///
/// What the system says; then the old file is still there.
pub fn save(dir: &Path, memories: &BTreeMap<ResourceName, Memory>) -> io::Result<()> {
    let document = Document { format: FORMAT, version: VERSION, resources: memories };
    let mut text = serde_json::to_vec_pretty(&document)?;
    text.push(b'\n');
    let folder = open_folder(dir)?.ok_or(io::ErrorKind::NotFound)?;
    // What a crash left; nobody else writes here.
    match rustix::fs::unlinkat(&folder, NEW_NAME, AtFlags::empty()) {
        Err(error) if error != rustix::io::Errno::NOENT => return Err(error.into()),
        _ => {}
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(&folder, NEW_NAME, flags, Mode::from_raw_mode(0o600))?);
    file.write_all(&text)?;
    file.sync_all()?;
    rustix::fs::renameat(&folder, NEW_NAME, &folder, FILE_NAME)?;
    rustix::fs::fsync(&folder)?;
    Ok(())
}

/// The state folder, if there is one. What is remembered decides what runs, so nobody else may be able to write it.
fn open_folder(dir: &Path) -> io::Result<Option<Folder>> {
    Folder::open(dir).map_err(FolderError::into_io)
}

/// Not through a link, and nothing but a file that is ours: a FIFO would hold us up for ever.
fn read(folder: &Folder) -> io::Result<Option<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(folder, FILE_NAME, flags, Mode::empty()) {
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
    if meta.len() > MAX_BYTES {
        return Err(io::Error::other(format!("larger than {MAX_BYTES} bytes")));
    }
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text)?;
    Ok(Some(text))
}

type Understood = (BTreeMap<ResourceName, Memory>, Vec<String>);

fn understand(text: &[u8]) -> Result<Understood, String> {
    let document: RawDocument = serde_json::from_slice(text).map_err(|error| format!("not understood: {error}"))?;
    if document.format != FORMAT {
        return Err(format!("not a file of this program: format is not {FORMAT}"));
    }
    if document.version > VERSION {
        return Err(format!("version {} was written by a newer program; this one reads {VERSION}", document.version));
    }
    let (mut memories, mut problems) = (BTreeMap::new(), Vec::new());
    for (name, value) in document.resources {
        match serde_json::from_value(value) {
            Ok(memory) => {
                memories.insert(ResourceName::new(&name), memory);
            }
            Err(error) => problems.push(format!("resource {}: not understood: {error}", name.escape_debug())),
        }
    }
    Ok((memories, problems))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use proptest::prelude::*;
    use reactor_core::operator::Hold;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = crate::testing::open_to_all().join(format!("reactor-memory-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, text: &str) {
            std::fs::write(self.0.join(FILE_NAME), text).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn held() -> BTreeMap<ResourceName, Memory> {
        let hold = Hold { who: "root".to_owned(), why: "new cables".to_owned(), since: 1_800_000_000 };
        let memory = Memory { hold: Some(hold), failures: vec![7, 8], frozen: true, ..Memory::default() };
        BTreeMap::from([("r0".into(), memory)])
    }

    #[test]
    fn what_is_saved_is_remembered_and_for_root_only() {
        let folder = Folder::new("saved");
        assert_eq!(load(&folder.0), Remembered::default());
        save(&folder.0, &held()).unwrap();
        // What a crash left does not matter.
        std::fs::write(folder.0.join(NEW_NAME), "half").unwrap();
        save(&folder.0, &held()).unwrap();
        assert_eq!(load(&folder.0), Remembered { memories: held(), problems: Vec::new() });
        let mode = std::fs::metadata(folder.0.join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!folder.0.join(NEW_NAME).exists());
    }

    #[test]
    fn a_broken_file_is_reported_and_moved_aside() {
        let folder = Folder::new("broken");
        for (text, says) in [
            ("", "not understood"),
            ("{\"format\":\"else\",\"version\":1,\"resources\":{}}", "not a file of this program"),
            ("{\"format\":\"storage-reactor-promoter\",\"version\":2,\"resources\":{}}", "newer program"),
        ] {
            folder.write(text);
            let remembered = load(&folder.0);
            assert!(remembered.memories.is_empty());
            assert!(remembered.problems[0].contains(says), "{remembered:?}");
            assert_eq!(std::fs::read_to_string(folder.0.join(BROKEN_NAME)).unwrap(), text);
            assert_eq!(load(&folder.0), Remembered::default());
        }
    }

    #[test]
    fn good_entries_survive_bad_ones() {
        let folder = Folder::new("partly");
        save(&folder.0, &held()).unwrap();
        let text = std::fs::read_to_string(folder.0.join(FILE_NAME)).unwrap();
        folder.write(&text.replace("\"r0\"", "\"bad\": {\"failures\": \"many\"}, \"r0\""));
        let remembered = load(&folder.0);
        assert_eq!(remembered.memories, held());
        assert!(remembered.problems[0].contains("resource bad"), "{remembered:?}");
    }

    #[test]
    fn what_others_could_have_written_is_not_believed_and_not_touched() {
        let folder = Folder::new("distrusted");
        save(&folder.0, &held()).unwrap();
        let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        let file = folder.0.join(FILE_NAME);
        mode(&file, 0o602);
        let remembered = load(&folder.0);
        assert!(remembered.memories.is_empty() && remembered.problems[0].contains("can be written by others"));
        assert!(file.exists(), "it stays for whoever has to look");
        mode(&file, 0o600);
        mode(&folder.0, 0o757);
        assert!(load(&folder.0).problems[0].contains("can be written by others"));
        assert!(save(&folder.0, &held()).is_err());
        mode(&folder.0, 0o755);
        assert_eq!(load(&folder.0).memories, held());
        // Not through a link either.
        let link = folder.0.join("link");
        std::os::unix::fs::symlink(&folder.0, &link).unwrap();
        assert!(load(&link).problems[0].contains("is not a folder"));
    }

    #[test]
    fn a_link_or_a_fifo_is_not_read_and_costs_nothing() {
        let folder = Folder::new("link");
        std::os::unix::fs::symlink("/etc/passwd", folder.0.join(FILE_NAME)).unwrap();
        assert_eq!(load(&folder.0).problems.len(), 1);
        std::fs::remove_file(folder.0.join(FILE_NAME)).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            folder.0.join(FILE_NAME),
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert!(load(&folder.0).problems[0].contains("not a regular file"));
        // Saving puts a file in its place.
        save(&folder.0, &held()).unwrap();
        assert_eq!(load(&folder.0).memories, held());
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = understand(&bytes);
        }
    }
}
