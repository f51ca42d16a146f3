//! Changes of the folder: each is one rename or one removal, on the disk when it returns, never through a link, and nobody's file is lost.

use std::ffi::OsStr;

use reactor_trust::Folder;

use super::{Snippet, SnippetError, Snippets};

/// Largest snippet that is replaced.
const MAX_BYTES: u64 = 4 << 20;
/// Who may read a new snippet: it may hold passwords.
const NEW_MODE: u32 = 0o640;

fn open(snippets: &Snippets) -> Result<Folder, SnippetError> {
    let missing = || SnippetError::Folder {
        folder: snippets.folder.clone(),
        source: std::io::Error::from(std::io::ErrorKind::NotFound),
    };
    Folder::open(&snippets.folder).map_err(SnippetError::Change)?.ok_or_else(missing)
}

/// Switches a snippet on or off. What it is then.
pub(crate) fn switch(snippets: &Snippets, snippet: &Snippet) -> Result<Snippet, SnippetError> {
    let other = snippets.snippet(&snippet.name, !snippet.is_enabled);
    let renamed = open(snippets)?.rename_to_new(OsStr::new(&snippet.file()), OsStr::new(&other.file()));
    match renamed.map_err(SnippetError::Change)? {
        true => Ok(other),
        false => Err(SnippetError::Exists { path: other.path, remedy: "one of the two has to go" }),
    }
}

/// Removes a snippet. `false` if it is gone already.
pub(crate) fn remove(snippets: &Snippets, snippet: &Snippet) -> Result<bool, SnippetError> {
    open(snippets)?.remove(OsStr::new(&snippet.file())).map_err(SnippetError::Change)
}

/// Gives a snippet this text: the one that is there keeps its owner and its permissions, a new one is root's.
pub(crate) fn write(snippets: &Snippets, snippet: &Snippet, text: &str) -> Result<(), SnippetError> {
    let folder = open(snippets)?;
    let file = snippet.file();
    let file = OsStr::new(&file);
    let written = folder.read(file, MAX_BYTES).and_then(|before| match before {
        Some(before) => folder.write_like(file, text.as_bytes(), &before),
        None => folder.write(file, text.as_bytes(), NEW_MODE, true),
    });
    written.map_err(SnippetError::Change)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::path::PathBuf;

    use reactor_core::settings::{DaemonSettings, Mode};

    use super::*;

    struct Place(Snippets);

    impl Place {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("reactorctl-folder-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
            Self(Snippets { folder, mode: Mode::Native, daemon: DaemonSettings::default() })
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.folder.join(name)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0.folder);
        }
    }

    #[test]
    fn a_switch_never_takes_the_place_of_another_file() {
        let place = Place::new("switch");
        fs::write(place.path("a.toml"), "1").unwrap();
        let off = switch(&place.0, &place.0.snippet("a", true)).unwrap();
        assert_eq!((off.path.as_path(), off.is_enabled), (place.path("a.toml.disabled").as_path(), false));
        fs::write(place.path("a.toml"), "2").unwrap();
        let error = switch(&place.0, &off).unwrap_err();
        assert!(matches!(error, SnippetError::Exists { .. }), "{error}");
        assert_eq!(fs::read_to_string(place.path("a.toml")).unwrap(), "2");
        assert_eq!(fs::read_to_string(place.path("a.toml.disabled")).unwrap(), "1");
    }

    #[test]
    fn a_file_keeps_its_permissions_and_nothing_is_written_through_a_link() {
        let place = Place::new("write");
        let snippet = place.0.snippet("a", true);
        fs::write(&snippet.path, "old").unwrap();
        fs::set_permissions(&snippet.path, fs::Permissions::from_mode(0o600)).unwrap();
        write(&place.0, &snippet, "new").unwrap();
        assert_eq!(fs::read_to_string(&snippet.path).unwrap(), "new");
        assert_eq!(fs::metadata(&snippet.path).unwrap().mode() & 0o777, 0o600);
        let fresh = place.0.snippet("b", false);
        write(&place.0, &fresh, "fresh").unwrap();
        assert_eq!(fs::metadata(&fresh.path).unwrap().mode() & 0o777, 0o640);

        let outside = place.path("outside");
        fs::write(&outside, "theirs").unwrap();
        let linked = place.0.snippet("c", true);
        symlink(&outside, &linked.path).unwrap();
        assert!(write(&place.0, &linked, "ours").is_err());
        assert_eq!(fs::read_to_string(&outside).unwrap(), "theirs");
        assert!(remove(&place.0, &linked).unwrap());
        assert!(outside.exists() && !linked.path.exists());
    }
}
