//! `promoter.json` in the state folder: what the promoter remembers of each resource across restarts (holds, failures, freezes), and
//! whether this node is drained.
//!
//! It is replaced as a whole: a new file beside it, written through to the disk, then renamed. So after a crash there is the old
//! one or the new one. What cannot be read or understood is reported, and keeps the daemon from nothing but from taking it for nothing: it leaves
//! a [`Doubt`], and the file is kept under another name before it is replaced. Entries that are good survive the bad ones beside them, and
//! what a newer program wrote stays in the file.
//!
//! Everything here blocks: call it where that harms nobody.

mod document;
mod known;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use reactor_core::ids::ResourceName;
use reactor_core::operator::{Hold, Memory};
use reactor_trust::{Folder, FolderError};

use crate::state_file;

pub use document::{Doubt, Kept};
use document::{Understood, understand};
pub use known::Known;

/// Its name in the state folder.
pub const FILE_NAME: &str = "promoter.json";

/// A file that was not understood is kept as this and a number.
pub const KEPT_NAME: &str = "promoter.json.kept-";

/// So many of them at most; none of them is ever replaced.
const KEPT: u32 = 100;

const NEW_NAME: &str = "promoter.json.new";

/// More than this is not ours. A thousand resources with everything that can be remembered have less than a megabyte.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// What was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Of each resource.
    pub memories: BTreeMap<ResourceName, Memory>,
    /// This node is drained.
    pub drain: Option<Hold>,
    /// What could not be read: one line each.
    pub problems: Vec<String>,
    /// Nobody knows what was held besides.
    pub doubt: Option<Doubt>,
    /// For [`save`].
    pub kept: Kept,
}

/// Reads the file of the state folder `dir`. No file is nothing remembered.
pub fn load(dir: &Path) -> Remembered {
    let path = dir.join(FILE_NAME);
    let text = match open_folder(dir)
        .and_then(|folder| folder.map_or(Ok(None), |folder| state_file::read(&folder, FILE_NAME, MAX_BYTES)))
    {
        Ok(Some(text)) => text,
        Ok(None) => return Remembered::default(),
        Err(error) => {
            let why = format!("can't read {}: {error}", path.display());
            let doubt = Some(Doubt { why: why.clone(), ..Doubt::default() });
            return Remembered { problems: vec![why], doubt, kept: Kept::aside(), ..Remembered::default() };
        }
    };
    let mut remembered = from_text(&text, |name| !dir.join(name).try_exists().unwrap_or(true));
    for problem in &mut remembered.problems {
        *problem = format!("{}: {problem}", path.display());
    }
    remembered
}

/// The same for the text of a file; `is_gone` tells whether a file of this name, which was kept, has been removed.
pub fn from_text(text: &[u8], is_gone: impl Fn(&str) -> bool) -> Remembered {
    let Understood { memories, drain, problems, mut doubt, kept } = understand(text);
    // Who removes the file that was not understood says that nothing in it matters.
    doubt.take_if(|doubt| doubt.kept_as.as_deref().is_some_and(is_gone));
    Remembered { memories, drain, problems, doubt, kept }
}

/// Replaces the file of the state folder `dir`. Gives the name under which the old one is kept, if it was not understood.
///
/// # Errors
///
/// What the system says; then the old file is still there.
pub fn save(dir: &Path, known: &Known) -> io::Result<Option<String>> {
    let folder = open_folder(dir)?.ok_or(io::ErrorKind::NotFound)?;
    let aside = if known.keeps_old() { free_name(dir)? } else { None };
    let text = known.text(aside.as_deref())?;
    state_file::write(&folder, NEW_NAME, &text)?;
    if let Some(name) = &aside {
        rustix::fs::renameat(&folder, FILE_NAME, &folder, name.as_str())?;
    }
    state_file::put(&folder, NEW_NAME, FILE_NAME)?;
    Ok(aside)
}

/// A name for the file that was not understood; `None` if there is no such file any more.
fn free_name(dir: &Path) -> io::Result<Option<String>> {
    if dir.join(FILE_NAME).symlink_metadata().is_err() {
        return Ok(None);
    }
    let mut names = (1..=KEPT).map(Known::kept_name);
    match names.find(|name| dir.join(name).symlink_metadata().is_err()) {
        Some(name) => Ok(Some(name)),
        None => {
            Err(io::Error::other(format!("{KEPT} files {KEPT_NAME}* are kept already: look at them and remove some")))
        }
    }
}

/// The state folder, if there is one. What is remembered decides what runs, so nobody else may be able to write it.
fn open_folder(dir: &Path) -> io::Result<Option<Folder>> {
    Folder::open(dir).map_err(FolderError::into_io)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use proptest::prelude::*;
    use reactor_core::operator::Hold;
    use rustix::fs::Mode;

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
        let hold =
            Hold { who: "root".to_owned(), why: "new cables".to_owned(), since: 1_800_000_000, ..Hold::default() };
        let memory = Memory { hold: Some(hold), failures: vec![7, 8], frozen: true, ..Memory::default() };
        BTreeMap::from([("r0".into(), memory)])
    }

    fn put(folder: &Folder, memories: &BTreeMap<ResourceName, Memory>, after: &Remembered) -> Option<String> {
        let (memories, doubt, kept) = (memories.clone(), after.doubt.clone(), after.kept.clone());
        save(&folder.0, &Known { memories, doubt, kept, ..Known::default() }).unwrap()
    }

    #[test]
    fn what_is_saved_is_remembered_and_for_root_only() {
        let folder = Folder::new("saved");
        assert_eq!(load(&folder.0), Remembered::default());
        put(&folder, &held(), &Remembered::default());
        // What a crash left does not matter.
        std::fs::write(folder.0.join(NEW_NAME), "half").unwrap();
        assert_eq!(put(&folder, &held(), &load(&folder.0)), None);
        let remembered = load(&folder.0);
        assert_eq!((remembered.memories, remembered.problems, remembered.doubt), (held(), Vec::new(), None));
        let mode = std::fs::metadata(folder.0.join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!folder.0.join(NEW_NAME).exists());
    }

    #[test]
    fn what_is_not_understood_is_a_doubt_and_is_kept() {
        let folder = Folder::new("broken");
        let torn =
            "{\"format\":\"storage-reactor-promoter\",\"version\":1,\"resources\":{\"r0\":{\"hold\":{\"who\":\"ro";
        for (text, says) in [
            ("", "not understood"),
            (torn, "not understood"),
            ("{\"format\":\"else\",\"version\":1,\"resources\":{}}", "not a file of this program"),
            ("{\"format\":\"storage-reactor-promoter\",\"version\":1}", "no table of resources"),
        ] {
            folder.write(text);
            let remembered = load(&folder.0);
            assert!(remembered.memories.is_empty());
            assert!(remembered.problems[0].contains(says), "{remembered:?}");
            assert!(remembered.doubt.is_some());
            assert_eq!(std::fs::read_to_string(folder.0.join(FILE_NAME)).unwrap(), text, "looking changes nothing");
            let name = put(&folder, &held(), &remembered).expect("the old file is kept");
            assert_eq!(std::fs::read_to_string(folder.0.join(&name)).unwrap(), text);
            // The doubt outlives a restart, until somebody says that the old file does not matter.
            let again = load(&folder.0);
            assert_eq!(again.memories, held());
            assert_eq!(again.doubt.as_ref().and_then(|doubt| doubt.kept_as.clone()), Some(name.clone()));
            assert_eq!(put(&folder, &held(), &again), None);
            assert!(load(&folder.0).doubt.is_some());
            std::fs::remove_file(folder.0.join(&name)).unwrap();
            assert_eq!(load(&folder.0).doubt, None);
        }
    }

    #[test]
    fn what_a_newer_program_wrote_stays_and_is_a_doubt_unless_it_says_that_we_may_read_it() {
        let folder = Folder::new("newer");
        let newer = |readable: &str| {
            format!(
                "{{\"format\":\"storage-reactor-promoter\",\"version\":2,{readable}\"colours\":[1],\"resources\":{{\
                 \"r0\":{{\"hold\":{{\"who\":\"root\",\"why\":\"new cables\",\"since\":1800000000,\"reviewed\":5}},\"mood\":\"good\"}},\
                 \"r1\":{{\"mood\":\"bad\",\"frozen\":true}}}}}}"
            )
        };
        for (readable, doubts) in [("", true), ("\"readable-by\":1,", false)] {
            folder.write(&newer(readable));
            let remembered = load(&folder.0);
            assert_eq!(remembered.doubt.is_some(), doubts, "{remembered:?}");
            assert!(remembered.memories["r0"].hold.is_some());
            // r1 is thawed, r0 is as it was.
            let mut memories = remembered.memories.clone();
            memories.remove("r1");
            assert_eq!(put(&folder, &memories, &remembered), None);
            let text = std::fs::read_to_string(folder.0.join(FILE_NAME)).unwrap();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!((&value["version"], &value["colours"][0]), (&2.into(), &1.into()));
            let (r0, r1) = (&value["resources"]["r0"], &value["resources"]["r1"]);
            assert_eq!((&r0["hold"]["reviewed"], &r0["mood"], &r1["mood"]), (&5.into(), &"good".into(), &"bad".into()));
            assert!(r1.get("frozen").is_none());
        }
    }

    /// An older program leaves the units alone, because it does not know them; a file of it has none.
    #[test]
    fn frozen_units_go_from_one_version_to_the_next() {
        let folder = Folder::new("frozen");
        folder
            .write("{\"format\":\"storage-reactor-promoter\",\"version\":1,\"resources\":{\"r0\":{\"frozen\":true}}}");
        let remembered = load(&folder.0);
        let mut memory = remembered.memories["r0"].clone();
        assert_eq!((memory.frozen, memory.frozen_units.len(), &remembered.doubt), (true, 0, &None));
        memory.frozen_units.insert("app.service".into());
        put(&folder, &BTreeMap::from([("r0".into(), memory.clone())]), &remembered);
        let text = std::fs::read_to_string(folder.0.join(FILE_NAME)).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["version"], 1, "who reads the version before can read this");
        assert_eq!(value["resources"]["r0"]["frozen-units"], serde_json::json!(["app.service"]));
        assert_eq!(load(&folder.0).memories["r0"], memory);
    }

    #[test]
    fn what_others_could_have_written_is_not_believed_and_not_touched() {
        let folder = Folder::new("distrusted");
        put(&folder, &held(), &Remembered::default());
        let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        let file = folder.0.join(FILE_NAME);
        mode(&file, 0o602);
        let remembered = load(&folder.0);
        assert!(remembered.memories.is_empty() && remembered.doubt.is_some());
        assert!(remembered.problems[0].contains("can be written by others"));
        assert!(file.exists(), "it stays for whoever has to look");
        mode(&file, 0o600);
        mode(&folder.0, 0o757);
        assert!(load(&folder.0).problems[0].contains("can be written by others"));
        assert!(save(&folder.0, &Known { memories: held(), ..Known::default() }).is_err());
        mode(&folder.0, 0o755);
        assert_eq!(load(&folder.0).memories, held());
        // Not through a link either.
        let link = folder.0.join("link");
        std::os::unix::fs::symlink(&folder.0, &link).unwrap();
        assert!(load(&link).problems[0].contains("is not a folder"));
    }

    #[test]
    fn good_entries_survive_bad_ones_and_a_bad_one_is_held() {
        let folder = Folder::new("partly");
        put(&folder, &held(), &Remembered::default());
        let text = std::fs::read_to_string(folder.0.join(FILE_NAME)).unwrap();
        let bad = text.replace("\"r0\"", "\"bad\": {\"failures\": \"many\"}, \"r0\"");
        folder.write(&bad);
        let remembered = load(&folder.0);
        assert_eq!(remembered.memories["r0"], held()["r0"]);
        let hold = remembered.memories["bad"].hold.clone().expect("it may have been held");
        assert!(Doubt::is_behind(&hold) && hold.why.contains("many"), "{hold:?}");
        assert!(remembered.problems[0].contains("resource bad"), "{remembered:?}");
        let name = put(&folder, &remembered.memories, &remembered).unwrap();
        assert_eq!(std::fs::read_to_string(folder.0.join(name)).unwrap(), bad);
        assert_eq!(load(&folder.0).memories, remembered.memories);
    }

    #[test]
    fn a_link_or_a_fifo_is_not_read_and_is_a_doubt() {
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
        let remembered = load(&folder.0);
        assert!(remembered.problems[0].contains("not a regular file"));
        assert!(remembered.doubt.is_some());
        // Saving puts a file in its place, and keeps it.
        let name = put(&folder, &held(), &remembered).unwrap();
        assert!(folder.0.join(name).symlink_metadata().is_ok());
        assert_eq!(load(&folder.0).memories, held());
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = understand(&bytes);
        }
    }
}
