//! Which generated files belong to which resource.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;

use reactor_core::action::FilePlace;
use reactor_core::ids::ResourceName;
use reactor_trust::Folder;
use serde::{Deserialize, Serialize};

use super::place::Place;
use crate::chain::chain;

/// Larger than this is not ours: a thousand resources have less than a megabyte.
const MAX_BYTES: u64 = 16 << 20;

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    version: u32,
    resources: BTreeMap<String, BTreeSet<FilePlace>>,
}

impl Manifest {
    /// Reads it from the runtime folder; one that is not there is empty. It only tells what to remove, and files that are wanted are found by
    /// their header: so one that others could have written, or that is not understood, is empty too, and a problem that is told.
    pub(super) fn read(run: &Folder, path: &Path) -> (Self, Option<String>) {
        let content = match run.read(name_of(path), MAX_BYTES) {
            Ok(Some(content)) => content.bytes,
            Ok(None) => return (Self::empty(), None),
            Err(error) => return (Self::empty(), Some(chain(&error).to_string())),
        };
        match serde_json::from_slice::<Self>(&content) {
            Ok(manifest) if manifest.version == VERSION => manifest.without_strange_places(path),
            Ok(_) | Err(_) => (Self::empty(), None),
        }
    }

    /// Takes out places where nothing is ever generated.
    fn without_strange_places(mut self, path: &Path) -> (Self, Option<String>) {
        let mut strange = 0;
        for files in self.resources.values_mut() {
            let before = files.len();
            files.retain(|file| Place::of(file).is_some());
            strange += before - files.len();
        }
        self.resources.retain(|_, files| !files.is_empty());
        let problem = (strange > 0).then(|| {
            format!(
                "{}: {strange} places where nothing is ever generated; they are left alone: who wrote them?",
                path.display()
            )
        });
        (self, problem)
    }

    pub(super) fn empty() -> Self {
        Self { version: VERSION, resources: BTreeMap::new() }
    }

    pub(super) fn write(&self, run: &Folder, path: &Path) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| format!("{}: {error}", path.display()))?;
        run.write(name_of(path), text.as_bytes(), 0o600, false).map_err(|error| chain(&error).to_string())
    }

    /// The files of a resource.
    pub(super) fn files(&self, resource: &ResourceName) -> BTreeSet<FilePlace> {
        self.resources.get(resource.as_str()).cloned().unwrap_or_default()
    }

    /// Takes other files for a resource; `true` = the manifest changed.
    pub(super) fn set(&mut self, resource: &ResourceName, files: BTreeSet<FilePlace>) -> bool {
        if self.files(resource) == files {
            return false;
        }
        if files.is_empty() {
            self.resources.remove(resource.as_str());
        } else {
            self.resources.insert(resource.as_str().to_owned(), files);
        }
        true
    }

    pub(super) fn has(&self, place: &FilePlace) -> bool {
        self.resources.values().any(|files| files.contains(place))
    }

    /// Whether a resource other than this one has the file.
    pub(super) fn has_another(&self, resource: &ResourceName, place: &FilePlace) -> bool {
        self.resources.iter().any(|(name, files)| name != resource.as_str() && files.contains(place))
    }

    pub(super) fn resources(&self) -> Vec<ResourceName> {
        self.resources.keys().map(|name| ResourceName::new(name)).collect()
    }
}

fn name_of(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}
