//! What on disk differs from what runs: by content, not by date, so a failed reload hides nothing.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::files::{self, Folder};
use crate::load::{FileState, Loaded};
use crate::read::FileRole;

/// One file that differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Drift {
    /// The file.
    pub path: PathBuf,
    /// How it differs.
    pub kind: DriftKind,
    /// When it was last written, if it is there: whoever edits it now is better left alone for a while.
    pub modified: Option<SystemTime>,
}

/// How a file differs from what runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DriftKind {
    /// Its content is another one.
    Changed,
    /// Its content is another one, and the last load refused it.
    Rejected,
    /// It did not exist at the last load.
    New,
    /// It is gone, and what it said still runs.
    Deleted,
    /// It can't be read any more.
    Unreadable,
}

impl DriftKind {
    /// The word as the status prints it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Rejected => "rejected",
            Self::New => "new",
            Self::Deleted => "deleted",
            Self::Unreadable => "unreadable",
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            DriftKind::Changed => "changed since it was loaded",
            DriftKind::Rejected => "was refused by the last load; an older version runs, or none",
            DriftKind::New => "new since the last load",
            DriftKind::Deleted => "deleted since it was loaded; what it said still runs",
            DriftKind::Unreadable => "can't be read any more",
        };
        write!(f, "{}: {what}", self.path.display())
    }
}

/// Compares the files on disk with what runs, in the order of the files; new ones last.
pub fn drift(loaded: &Loaded) -> Vec<Drift> {
    let mut drifts = Vec::new();
    for file in &loaded.files {
        // Trust does not matter here: nothing is used, only compared.
        let (kind, modified) = match files::read_file(&file.path, 0) {
            Ok(content) if Some(content.hash) == file.running => continue,
            Ok(content) => {
                let refused = file.state != FileState::Current && Some(content.hash) == file.found;
                (if refused { DriftKind::Rejected } else { DriftKind::Changed }, content.modified)
            }
            Err(error) if error.is_not_found() => match file.found.or(file.running) {
                Some(_) => (DriftKind::Deleted, None),
                None => continue,
            },
            Err(_) => (DriftKind::Unreadable, None),
        };
        drifts.push(Drift { path: file.path.clone(), kind, modified });
    }
    drifts.extend(new_snippets(loaded));
    drifts
}

fn new_snippets(loaded: &Loaded) -> Vec<Drift> {
    let Some(folder) = loaded.settings.snippets.as_ref().and_then(|path| Folder::open(path, 0).ok()) else {
        return Vec::new();
    };
    let known: BTreeSet<&PathBuf> =
        loaded.files.iter().filter(|file| file.role == FileRole::Snippet).map(|file| &file.path).collect();
    let mut drifts = Vec::new();
    for name in folder.names().map(|names| names.enabled).unwrap_or_default() {
        let path = folder.path_of(&name);
        if known.contains(&path) {
            continue;
        }
        // Names behind which there is no file are no snippets.
        if let Ok(content) = folder.read(&name, 0) {
            drifts.push(Drift { path, kind: DriftKind::New, modified: content.modified });
        }
    }
    drifts
}
