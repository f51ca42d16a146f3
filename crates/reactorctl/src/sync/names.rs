//! Which files may go from node to node.

use std::path::{Path, PathBuf};

/// Longest path as the name of a file, in bytes: a backup has a number, too.
const MAX_FLAT: usize = 240;

/// Whether a path says one file, and nothing but that: absolute, without `.`, `..`, doubled slashes and control characters.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn strict(path: &str) -> Result<(), String> {
    let Some(rest) = path.strip_prefix('/') else { return Err("it is not absolute".to_owned()) };
    if path.chars().any(char::is_control) {
        return Err("it has control characters".to_owned());
    }
    if flat(path).len() > MAX_FLAT {
        return Err("it is too long for the name of its backup".to_owned());
    }
    match rest.split('/').find(|part| matches!(*part, "" | "." | "..")) {
        Some("") => Err("it has an empty part".to_owned()),
        Some(part) => Err(format!("it has a part `{part}`")),
        None => Ok(()),
    }
}

/// Where this node takes files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    /// The folder of .res files.
    pub(crate) res: PathBuf,
    /// The folder of snippets, if the configuration names one.
    pub(crate) snippets: Option<PathBuf>,
    /// What `sync` of the resource lists here.
    pub(crate) listed: Vec<PathBuf>,
}

/// What a path is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Res,
    Snippet,
    Listed,
}

impl Places {
    /// What a path is here.
    ///
    /// # Errors
    ///
    /// Why it is not taken.
    pub(crate) fn kind(&self, path: &str) -> Result<Kind, String> {
        strict(path)?;
        let file = Path::new(path);
        let (folder, name) = (file.parent(), file.file_name().and_then(|name| name.to_str()).unwrap_or_default());
        let lies_in = |wanted: &Path| folder == Some(wanted);
        let is_plain = |ending: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "._-+@".contains(c);
            let stem = name.strip_suffix(ending);
            stem.is_some_and(|stem| !stem.is_empty() && !stem.starts_with('.') && stem.chars().all(allowed))
        };
        if lies_in(&self.res) && is_plain(".res") {
            return Ok(Kind::Res);
        }
        if self.snippets.as_deref().is_some_and(lies_in) && is_plain(".toml") {
            return Ok(Kind::Snippet);
        }
        if self.listed.iter().any(|listed| listed == file) {
            return Ok(Kind::Listed);
        }
        Err("it is neither a .res file, nor a snippet, nor does `sync` of this node list it".to_owned())
    }
}

/// A path as the name of a file: `/etc/a` is `etc%2Fa`.
pub(crate) fn flat(path: &str) -> String {
    path.trim_start_matches('/').replace('%', "%25").replace('/', "%2F")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_one_file() {
        for path in ["/a", "/etc/drbd.d/r0.res", "/srv/a b/ö"] {
            assert_eq!(strict(path), Ok(()), "{path}");
        }
        for (path, why) in [
            ("", "it is not absolute"),
            ("etc/a", "it is not absolute"),
            ("../a", "it is not absolute"),
            ("/", "it has an empty part"),
            ("/etc/", "it has an empty part"),
            ("/etc//a", "it has an empty part"),
            ("/etc/./a", "it has a part `.`"),
            ("/etc/..", "it has a part `..`"),
            ("/../a", "it has a part `..`"),
            ("/etc/\u{1b}a", "it has control characters"),
            ("/etc/a\0", "it has control characters"),
        ] {
            assert_eq!(strict(path), Err(why.to_owned()), "{path:?}");
        }
        assert_eq!(strict(&format!("/{}", "a".repeat(MAX_FLAT))), Ok(()));
        assert!(strict(&format!("/{}", "a".repeat(MAX_FLAT + 1))).is_err());
        assert!(strict(&"/a".repeat(MAX_FLAT / 3)).is_err());
    }

    #[test]
    fn only_what_this_node_knows_is_taken() {
        let places = Places {
            res: PathBuf::from("/etc/drbd.d"),
            snippets: Some(PathBuf::from("/etc/storage-reactor.d")),
            listed: vec![PathBuf::from("/etc/foo.conf"), PathBuf::from("/etc/drbd.d/odd name")],
        };
        for (path, kind) in [
            ("/etc/drbd.d/r0.res", Kind::Res),
            ("/etc/drbd.d/my-r0+x@2_a.b.res", Kind::Res),
            ("/etc/storage-reactor.d/r0.toml", Kind::Snippet),
            ("/etc/foo.conf", Kind::Listed),
            ("/etc/drbd.d/odd name", Kind::Listed),
        ] {
            assert_eq!(places.kind(path), Ok(kind), "{path}");
        }
        for path in [
            "/etc/passwd",
            "/etc/foo.conf.d/a",
            "/etc/drbd.d/global_common.conf",
            "/etc/drbd.d/.r0.res",
            "/etc/drbd.d/.res",
            "/etc/drbd.d/r 0.res",
            "/etc/drbd.d/r0.res/a.res",
            "/etc/drbd.d/sub/r0.res",
            "/etc/drbd.d/../drbd.d/r0.res",
            "/etc/storage-reactor.d/r0.toml.disabled",
            "/etc/storage-reactor.d/r0.res",
            "/etc/storage-reactor.toml",
            "/etc/drbd.d",
        ] {
            assert!(places.kind(path).is_err(), "{path}");
        }
        let none = Places { res: PathBuf::from("/etc/drbd.d"), ..Places::default() };
        assert_eq!(none.kind("/etc/drbd.d/r0.res"), Ok(Kind::Res));
        assert!(none.kind("/etc/storage-reactor.d/r0.toml").is_err() && none.kind("/etc/foo.conf").is_err());
    }

    #[test]
    fn two_paths_never_have_the_same_backup() {
        assert_eq!(flat("/etc/a%2Fb"), "etc%2Fa%252Fb");
        assert_ne!(flat("/etc/a/b"), flat("/etc/a%2Fb"));
    }
}
