//! What unit tests of several modules need.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A place for folders where everybody may enter: below one that only its owner may, others can't change a file whatever its mode is.
pub(crate) fn open_to_all() -> PathBuf {
    let enter = |folder: &Path| fs::metadata(folder).is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0);
    let places = [std::env::temp_dir(), PathBuf::from("/var/tmp"), PathBuf::from("/dev/shm")];
    places.into_iter().find(|place| place.ancestors().all(enter)).expect("a folder for everybody")
}
