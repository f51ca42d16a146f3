//! Where generated files may be: `UNIT.d/NAME.conf` below the folder of units, and `NAME` below that of secrets. Nothing else.

use std::ffi::OsStr;
use std::path::{Component, Path};

use reactor_core::action::FilePlace;

/// A place, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'p> {
    /// The folder of drop-ins.
    pub(super) folder: Option<&'p OsStr>,
    /// The file.
    pub(super) name: &'p OsStr,
}

impl<'p> Place<'p> {
    /// Takes a place apart; `None` if nothing is ever generated there.
    pub(super) fn of(file: &'p FilePlace) -> Option<Self> {
        let ends = |part: &OsStr, end: &str| part.as_encoded_bytes().ends_with(end.as_bytes());
        match file {
            FilePlace::Unit(path) => {
                let [folder, name] = plain(path)?;
                (ends(folder, ".d") && ends(name, ".conf")).then_some(Self { folder: Some(folder), name })
            }
            FilePlace::Secret(path) => {
                let [name] = plain(path)?;
                Some(Self { folder: None, name })
            }
        }
    }
}

/// The parts of a path, if it has just so many and all of them are names.
fn plain<const PARTS: usize>(path: &Path) -> Option<[&OsStr; PARTS]> {
    let parts: Option<Vec<&OsStr>> = path
        .components()
        .map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect();
    // `a/./b` and `a//b` have the same parts as `a/b`, and lead to the same file.
    parts?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_is_generated() {
        let unit = |path: &str| Place::of(&FilePlace::Unit(PathBuf::from(path))).is_some();
        assert!(unit("drbd-promote@a\\x2db.service.d/reactor.conf"));
        for path in [
            "",
            ".",
            "..",
            "a",
            "a.service.d",
            "../x.d/reactor.conf",
            "a.d/../reactor.conf",
            "/a.d/reactor.conf",
            "a.d/b/reactor.conf",
            "../../x",
            "a.service/reactor.conf",
            "a.service.d/passwd",
        ] {
            assert!(!unit(path), "{path}");
        }
        let secret = |path: &str| Place::of(&FilePlace::Secret(PathBuf::from(path))).is_some();
        assert!(secret("ocf.rs@fs_r0.service.env"));
        for path in ["", "..", "../x", "/etc/shadow", "a/b"] {
            assert!(!secret(path), "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_place_is_below_its_folder(path in "[a./]{0,12}(\\.d/[a./]{0,4}\\.conf)?") {
            for file in [FilePlace::Unit(PathBuf::from(&path)), FilePlace::Secret(PathBuf::from(&path))] {
                if let Some(place) = Place::of(&file) {
                    for part in place.folder.into_iter().chain([place.name]) {
                        prop_assert!(part != ".." && part != "." && !part.to_string_lossy().contains('/'), "{path}");
                    }
                }
            }
        }
    }
}
