//! The generated unit files on disk: written, removed, and remembered in a manifest, so that what is no longer wanted goes.
//!
//! The manifest lies in the runtime folder, which is as volatile as `/run/systemd/system`. A file is ours if the manifest says so or
//! if it begins with the header of generated files; any other file is the administrator's, and is an error, never overwritten.
//! One file that fails does not keep the others from being written.
//!
//! All of it is done by descriptors of folders that nobody else can change ([`reactor_trust::Folder`]), and a place in the manifest is
//! taken only if it is one that we generate: whoever could write a manifest must not be able to make us remove or write anything else.

mod leftovers;
mod manifest;
mod place;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use reactor_core::action::{FilePlace, GeneratedFile};
use reactor_core::ids::ResourceName;
use reactor_core::plugin::promoter::units::HEADER;
use reactor_trust::{Folder, FolderError};

use crate::chain::chain;

pub use leftovers::{Leftover, Leftovers};
use manifest::Manifest;
use place::Place;

/// Largest file that is compared; a generated one is much smaller.
const MAX_BYTES: u64 = 1 << 20;

/// The owner of the generated files. Clones share it.
#[derive(Clone, Debug)]
pub struct UnitFiles {
    unit_dir: PathBuf,
    secrets: PathBuf,
    manifest: PathBuf,
    /// One at a time: the manifest is read, changed and written.
    lock: Arc<Mutex<()>>,
}

impl UnitFiles {
    /// For unit files below `unit_dir`, secret files below `secrets`, with the manifest in the file `manifest`.
    pub fn new(unit_dir: &Path, secrets: &Path, manifest: &Path) -> Self {
        Self {
            unit_dir: unit_dir.to_owned(),
            secrets: secrets.to_owned(),
            manifest: manifest.to_owned(),
            lock: Arc::default(),
        }
    }

    /// Makes `files` the generated files of a resource: writes those that differ, removes those of before. `true` = something changed.
    ///
    /// # Errors
    ///
    /// What could not be done, in one line; the rest was done.
    pub fn write(&self, resource: &ResourceName, files: &[GeneratedFile]) -> Result<bool, String> {
        let _one = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let run = self.run().map_err(|error| chain(&error).to_string())?;
        let (mut manifest, problem) = Manifest::read(&run, &self.manifest);
        let before = manifest.files(resource);
        let (mut errors, mut changed) = (Vec::from_iter(problem), false);
        // What is not ours must never get into the manifest: next time it would be taken for ours, and overwritten or removed.
        let (files, refused) = self.split(files, &before);
        errors.extend(refused);
        let wanted: BTreeSet<FilePlace> = files.iter().map(|file| file.place.clone()).collect();
        // What is written is in the manifest first: a crash in between leaves nothing that nobody knows.
        if manifest.set(resource, before.union(&wanted).cloned().collect()) {
            manifest.write(&run, &self.manifest)?;
        }
        for file in files {
            match self.put(file) {
                Ok(wrote) => changed |= wrote,
                Err(error) => errors.push(chain(&error).to_string()),
            }
        }
        let mut kept = wanted.clone();
        for place in before.difference(&wanted) {
            // A unit that has moved to another resource: the file is what that one wrote.
            if manifest.has_another(resource, place) {
                continue;
            }
            match self.delete(place) {
                Ok(removed) => changed |= removed,
                Err(error) => {
                    errors.push(chain(&error).to_string());
                    kept.insert(place.clone());
                }
            }
        }
        if manifest.set(resource, kept) {
            manifest.write(&run, &self.manifest)?;
        }
        if errors.is_empty() { Ok(changed) } else { Err(errors.join("; ")) }
    }

    /// Removes all generated files of a resource. `true` = something changed.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn remove(&self, resource: &ResourceName) -> Result<bool, String> {
        self.write(resource, &[])
    }

    /// Resources that have generated files; none if the manifest cannot be read.
    pub fn resources(&self) -> Vec<ResourceName> {
        self.run().map(|run| Manifest::read(&run, &self.manifest).0.resources()).unwrap_or_default()
    }

    /// The runtime folder, which has the manifest.
    fn run(&self) -> Result<Folder, FolderError> {
        Folder::make(self.manifest.parent().unwrap_or(Path::new(".")), 0o755)
    }

    /// The folder below which the file of a place is.
    fn base(&self, place: &FilePlace) -> &Path {
        match place {
            FilePlace::Unit(_) => &self.unit_dir,
            FilePlace::Secret(_) => &self.secrets,
        }
    }

    /// The folder that has the file of a place; `None` if there is none.
    fn folder_of(&self, file: &FilePlace, place: &Place<'_>) -> Result<Option<Folder>, FolderError> {
        match (Folder::open(self.base(file))?, place.folder) {
            (Some(base), Some(folder)) => base.folder(folder),
            (base, None) => Ok(base),
            (None, _) => Ok(None),
        }
    }

    /// The files that may be written, and why the others may not. Files that were ours `before` stay ours.
    fn split<'a>(
        &self,
        files: &'a [GeneratedFile],
        before: &BTreeSet<FilePlace>,
    ) -> (Vec<&'a GeneratedFile>, Vec<String>) {
        let (mut free, mut refused) = (Vec::new(), Vec::new());
        for file in files {
            match self.look(&file.place) {
                Ok(Found::Nothing | Found::Generated { .. }) => free.push(file),
                Ok(Found::Foreign) if before.contains(&file.place) => free.push(file),
                Ok(Found::Foreign) => {
                    let path = self.path_of(&file.place);
                    let why = "there is a file that was not generated: move it to another name";
                    refused.push(format!("{}: {why}", path.display()));
                }
                Err(error) => refused.push(chain(&error).to_string()),
            }
        }
        (free, refused)
    }

    fn path_of(&self, place: &FilePlace) -> PathBuf {
        match place {
            FilePlace::Unit(path) | FilePlace::Secret(path) => self.base(place).join(path),
        }
    }

    /// What stands in the place of a generated file. Looks without following a symbolic link.
    fn look(&self, file: &FilePlace) -> Result<Found, FolderError> {
        let place = self.place(file)?;
        let Some(folder) = self.folder_of(file, &place)? else { return Ok(Found::Nothing) };
        match folder.read(place.name, MAX_BYTES) {
            Ok(None) => Ok(Found::Nothing),
            Ok(Some(content)) if content.bytes.split(|&b| b == b'\n').next() == Some(HEADER.as_bytes()) => {
                Ok(Found::Generated { content: content.bytes, mode: content.mode })
            }
            // What others could have written is not what we generated, whatever it says.
            Ok(Some(_))
            | Err(FolderError::Irregular { .. } | FolderError::Distrusted { .. } | FolderError::TooLarge { .. }) => {
                Ok(Found::Foreign)
            }
            Err(error) => Err(error),
        }
    }

    fn place<'p>(&self, file: &'p FilePlace) -> Result<Place<'p>, FolderError> {
        let (FilePlace::Unit(name) | FilePlace::Secret(name)) = file;
        let bad = || FolderError::BadName { path: self.base(file).to_owned(), name: name.clone() };
        Place::of(file).ok_or_else(bad)
    }

    /// Writes one file, which is ours, unless it is as wanted.
    fn put(&self, file: &GeneratedFile) -> Result<bool, FolderError> {
        let (file_mode, folder_mode) = match file.place {
            FilePlace::Unit(_) => (0o644, 0o755),
            FilePlace::Secret(_) => (0o600, 0o700),
        };
        match self.look(&file.place)? {
            Found::Generated { content, mode } if content == file.content.as_bytes() && mode == file_mode => {
                return Ok(false);
            }
            Found::Nothing | Found::Generated { .. } | Found::Foreign => {}
        }
        let place = self.place(&file.place)?;
        let base = Folder::make(self.base(&file.place), folder_mode)?;
        let folder = match place.folder {
            Some(folder) => base.make_folder(folder, folder_mode)?,
            None => base,
        };
        folder.write(place.name, file.content.as_bytes(), file_mode, false)?;
        Ok(true)
    }

    /// Removes one file of the manifest, and its folder when that is empty then.
    fn delete(&self, file: &FilePlace) -> Result<bool, FolderError> {
        let place = self.place(file)?;
        let Some(folder) = self.folder_of(file, &place)? else { return Ok(false) };
        let removed = folder.remove(place.name)?;
        if let Some(name) = place.folder.filter(|_| removed)
            && let Some(base) = Folder::open(self.base(file))?
        {
            // A folder of drop-ins without drop-ins is of no use; one that is not empty stays.
            base.remove_empty_folder(name);
        }
        Ok(removed)
    }
}

/// What stands in the place of a generated file.
enum Found {
    Nothing,
    Generated {
        content: Vec<u8>,
        mode: u32,
    },
    /// Not a file, one without the header, or one that others could have written.
    Foreign,
}

#[cfg(test)]
mod tests;
