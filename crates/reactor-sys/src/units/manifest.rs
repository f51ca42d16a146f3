//! Which generated files belong to which resource.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use reactor_core::action::FilePlace;
use reactor_core::ids::ResourceName;
use serde::{Deserialize, Serialize};

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    version: u32,
    resources: BTreeMap<String, BTreeSet<FilePlace>>,
}

impl Manifest {
    /// Reads it; one that is not there is empty.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::empty()),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        match serde_json::from_str::<Self>(&text) {
            Ok(manifest) if manifest.version == VERSION => Ok(manifest),
            // It only tells what to remove: files that are wanted are found by their header.
            Ok(_) | Err(_) => Ok(Self::empty()),
        }
    }

    fn empty() -> Self {
        Self { version: VERSION, resources: BTreeMap::new() }
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| format!("{}: {error}", path.display()))?;
        super::write_atomically(path, text.as_bytes(), 0o600).map_err(|error| format!("{}: {error}", path.display()))
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
