//! Messages on the disk: `notify/RECEIVER/NUMBER.json` in the state folder, for root only.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use reactor_trust::{Folder, FolderError};
use ring::digest;

use super::parcel::MAX_FILE_BYTES;

/// The folder of all queues.
const FOLDER: &str = "notify";

/// The end of the name of a message.
const ENDING: &str = ".json";

/// A name that becomes longer is a checksum.
const MAX_NAME: usize = 128;

/// Where the queues are.
#[derive(Debug)]
pub(super) struct Store {
    dir: PathBuf,
}

impl Store {
    /// Those in the state folder `dir`.
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The messages of a receiver, in their order.
    pub(super) fn list(&self, receiver: &str) -> io::Result<Vec<u64>> {
        let Some(folder) = self.find(receiver)? else { return Ok(Vec::new()) };
        let names = folder.names().map_err(FolderError::into_io)?;
        let mut files: Vec<u64> = names.iter().filter_map(|name| number_of(name)).collect();
        files.sort_unstable();
        Ok(files)
    }

    /// Writes a message, through to the disk.
    pub(super) fn write(&self, receiver: &str, file: u64, text: &[u8]) -> io::Result<()> {
        let write = || {
            let folder = Folder::make(&self.dir, 0o700)?.make_folder(FOLDER.as_ref(), 0o700)?;
            let folder = folder.make_folder(&folder_of(receiver), 0o700)?;
            folder.write(&name_of(file), text, 0o600, true)
        };
        write().map_err(FolderError::into_io)
    }

    /// Reads a message; `None` = it is not there.
    pub(super) fn read(&self, receiver: &str, file: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(folder) = self.find(receiver)? else { return Ok(None) };
        let content = folder.read(&name_of(file), MAX_FILE_BYTES).map_err(FolderError::into_io)?;
        Ok(content.map(|content| content.bytes))
    }

    /// Removes a message.
    pub(super) fn remove(&self, receiver: &str, file: u64) -> io::Result<()> {
        let Some(folder) = self.find(receiver)? else { return Ok(()) };
        folder.remove(&name_of(file)).map(drop).map_err(FolderError::into_io)
    }

    /// Removes a receiver with all that waits for it. How many messages that were.
    pub(super) fn forget(&self, receiver: &str) -> io::Result<usize> {
        self.forget_folder(&folder_of(receiver))
    }

    /// Removes what belongs to none of these receivers: the names of folders, and how many messages were in each.
    pub(super) fn forget_all_but(&self, receivers: &[String]) -> io::Result<Vec<(String, usize)>> {
        let Some(folder) = self.all()? else { return Ok(Vec::new()) };
        let known: Vec<OsString> = receivers.iter().map(|receiver| folder_of(receiver)).collect();
        let mut gone = Vec::new();
        for name in folder.names().map_err(FolderError::into_io)? {
            if !known.contains(&name) {
                gone.push((name.to_string_lossy().into_owned(), self.forget_folder(&name)?));
            }
        }
        Ok(gone)
    }

    fn forget_folder(&self, name: &OsStr) -> io::Result<usize> {
        let forget = || {
            let Some(all) = self.all()? else { return Ok(0) };
            let Some(folder) = all.folder(name).map_err(FolderError::into_io)? else { return Ok(0) };
            let mut count = 0;
            for file in folder.names().map_err(FolderError::into_io)? {
                folder.remove(&file).map_err(FolderError::into_io)?;
                count += usize::from(number_of(&file).is_some());
            }
            all.remove_empty_folder(name);
            Ok(count)
        };
        forget()
    }

    fn all(&self) -> io::Result<Option<Folder>> {
        match Folder::open(&self.dir).map_err(FolderError::into_io)? {
            Some(dir) => dir.folder(FOLDER.as_ref()).map_err(FolderError::into_io),
            None => Ok(None),
        }
    }

    fn find(&self, receiver: &str) -> io::Result<Option<Folder>> {
        match self.all()? {
            Some(all) => all.folder(&folder_of(receiver)).map_err(FolderError::into_io),
            None => Ok(None),
        }
    }
}

/// The file of a message. Twenty digits, so that a person sees them in their order, too.
fn name_of(file: u64) -> OsString {
    format!("{file:020}{ENDING}").into()
}

fn number_of(name: &OsStr) -> Option<u64> {
    let digits = name.to_str()?.strip_suffix(ENDING)?;
    let is_ours = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_ours)
}

/// The folder of a receiver: its name, with `%` and two digits for what is no letter, digit, `-` or `_`. A long one is a checksum.
fn folder_of(receiver: &str) -> OsString {
    let mut name = String::new();
    for byte in receiver.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            _ => {
                let _written = write!(name, "%{byte:02x}");
            }
        }
    }
    if name.is_empty() || name.len() > MAX_NAME {
        name = "%".to_owned();
        for byte in digest::digest(&digest::SHA256, receiver.as_bytes()).as_ref() {
            let _written = write!(name, "{byte:02x}");
        }
    }
    name.into()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::testing::open_to_all;

    #[test]
    fn no_name_leaves_the_folder_and_no_two_share_one() {
        let names =
            ["mail", "Mail", "a/b", "..", ".", "", "a b", "a%20b", "\u{e4}", &"x".repeat(500), &"y".repeat(500)];
        let folders: std::collections::BTreeSet<OsString> = names.iter().map(|name| folder_of(name)).collect();
        assert_eq!(folders.len(), names.len());
        for folder in &folders {
            let text = folder.to_str().unwrap();
            assert!(!text.contains('/') && !text.starts_with('.') && text.len() <= MAX_NAME, "{text}");
        }
        assert_eq!(folder_of("on-call_1"), "on-call_1");
    }

    #[test]
    fn messages_are_for_root_only_and_come_in_their_order() {
        let dir = open_to_all().join(format!("reactor-notify-store-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        let store = Store::new(&dir);
        assert_eq!(store.list("mail").unwrap(), [0; 0]);
        for file in [2, 10, 1] {
            store.write("mail", file, format!("{file}").as_bytes()).unwrap();
        }
        store.write("chat", 7, b"x").unwrap();
        let folder = dir.join("notify/mail");
        fs::write(folder.join("00000000000000000003.json.tmp"), "half").unwrap();
        fs::write(folder.join("9.json"), "of somebody").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!([mode(&folder), mode(&folder.join("00000000000000000010.json"))], [0o700, 0o600]);
        assert_eq!(store.list("mail").unwrap(), [1, 2, 10]);
        assert_eq!(store.read("mail", 10).unwrap().as_deref(), Some(&b"10"[..]));
        assert_eq!(store.read("mail", 11).unwrap(), None);
        store.remove("mail", 1).unwrap();
        store.remove("mail", 1).unwrap();
        assert_eq!(store.list("mail").unwrap(), [2, 10]);
        assert_eq!(store.forget_all_but(&["chat".to_owned()]).unwrap(), [("mail".to_owned(), 2)]);
        assert!(!folder.exists());
        assert_eq!(store.forget("chat").unwrap(), 1);
        assert_eq!(store.list("chat").unwrap(), [0; 0]);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_somebody_else_could_have_written_is_not_read() {
        let dir = open_to_all().join(format!("reactor-notify-trust-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        let store = Store::new(&dir);
        store.write("mail", 1, b"x").unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        for folder in ["notify", "notify/mail"] {
            fs::set_permissions(dir.join(folder), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let file = dir.join("notify/mail/00000000000000000001.json");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        let error = store.read("mail", 1).unwrap_err().to_string();
        assert!(error.contains("can be written by others"), "{error}");
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &file).unwrap();
        assert!(store.read("mail", 1).is_err());
        fs::remove_dir_all(dir).unwrap();
    }
}
