//! The generated unit files on disk: written, removed, and remembered in a manifest, so that what is no longer wanted goes (D39).
//!
//! The manifest lies in the runtime folder, which is as volatile as `/run/systemd/system`. A file is ours if the manifest says so or
//! if it begins with the header of generated files; any other file is the administrator's, and is an error, never overwritten.
//! One file that fails does not keep the others from being written (D38).

mod manifest;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use reactor_core::action::{FilePlace, GeneratedFile};
use reactor_core::ids::ResourceName;
use reactor_core::plugin::promoter::units::HEADER;

use manifest::Manifest;

/// Drop-ins that drbd-reactor generates.
const NAMES: [&str; 4] = ["reactor.conf", "reactor-50-before.conf", "reactor-50-mount.conf", "reactor-84.conf"];

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

/// What was found, and what could not be done.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Leftovers {
    /// Generated files that nobody wants.
    pub files: Vec<PathBuf>,
    /// One line each.
    pub errors: Vec<String>,
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
        let mut manifest = Manifest::read(&self.manifest)?;
        let before = manifest.files(resource);
        let (mut errors, mut changed) = (Vec::new(), false);
        // What is not ours must never get into the manifest: next time it would be taken for ours, and overwritten or removed.
        let (files, refused) = self.split(files, &before);
        errors.extend(refused);
        let wanted: BTreeSet<FilePlace> = files.iter().map(|file| file.place.clone()).collect();
        // What is written is in the manifest first: a crash in between leaves nothing that nobody knows.
        if manifest.set(resource, before.union(&wanted).cloned().collect()) {
            manifest.write(&self.manifest)?;
        }
        for file in files {
            match self.put(file) {
                Ok(wrote) => changed |= wrote,
                Err(error) => errors.push(self.problem(&file.place, &error)),
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
                    errors.push(self.problem(place, &error));
                    kept.insert(place.clone());
                }
            }
        }
        if manifest.set(resource, kept) {
            manifest.write(&self.manifest)?;
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
        Manifest::read(&self.manifest).map(|manifest| manifest.resources()).unwrap_or_default()
    }

    /// Generated files that are not in the manifest: what an earlier drbd-reactor left.
    pub fn leftovers(&self) -> Leftovers {
        let mut out = Leftovers::default();
        let manifest = match Manifest::read(&self.manifest) {
            Ok(manifest) => manifest,
            Err(error) => {
                out.errors.push(error);
                return out;
            }
        };
        let entries = match fs::read_dir(&self.unit_dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return out,
            Err(error) => {
                out.errors.push(format!("{}: {error}", self.unit_dir.display()));
                return out;
            }
        };
        for folder in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().ends_with(".d")) {
            for name in NAMES {
                let place = FilePlace::Unit(Path::new(&folder.file_name()).join(name));
                let path = self.path(&place);
                if !manifest.has(&place) && matches!(look(&path), Ok(Found::Generated(_))) {
                    out.files.push(path);
                }
            }
        }
        out.files.sort();
        out
    }

    /// Removes [`leftovers`](Self::leftovers). systemd has to read its units again afterwards.
    pub fn remove_leftovers(&self) -> Leftovers {
        let _one = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.leftovers();
        let mut out = Leftovers { files: Vec::new(), errors: found.errors };
        for path in found.files {
            match fs::remove_file(&path) {
                Ok(()) => {
                    remove_empty_parent(&path);
                    out.files.push(path);
                }
                Err(error) => out.errors.push(format!("{}: {error}", path.display())),
            }
        }
        out
    }

    fn path(&self, place: &FilePlace) -> PathBuf {
        match place {
            FilePlace::Unit(path) => self.unit_dir.join(path),
            FilePlace::Secret(path) => self.secrets.join(path),
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
            match look(&self.path(&file.place)) {
                _ if before.contains(&file.place) => free.push(file),
                Ok(Found::Nothing | Found::Generated(_)) => free.push(file),
                Ok(Found::Foreign) => {
                    let error = io::Error::other("there is a file that was not generated: move it to another name");
                    refused.push(self.problem(&file.place, &error));
                }
                Err(error) => refused.push(self.problem(&file.place, &error)),
            }
        }
        (free, refused)
    }

    fn problem(&self, place: &FilePlace, error: &io::Error) -> String {
        format!("{}: {error}", self.path(place).display())
    }

    /// Writes one file, which is ours, unless it is as wanted.
    fn put(&self, file: &GeneratedFile) -> io::Result<bool> {
        let path = self.path(&file.place);
        let (file_mode, folder_mode) = match file.place {
            FilePlace::Unit(_) => (0o644, 0o755),
            FilePlace::Secret(_) => (0o600, 0o700),
        };
        match look(&path)? {
            Found::Generated(found) if found.content == file.content && found.mode == file_mode => return Ok(false),
            Found::Nothing | Found::Generated(_) | Found::Foreign => {}
        }
        let folder = path.parent().ok_or_else(|| io::Error::other("it has no folder"))?;
        make_folder(folder, folder_mode)?;
        write_atomically(&path, file.content.as_bytes(), file_mode)?;
        Ok(true)
    }

    /// Removes one file of the manifest, and its folder when that is empty then.
    fn delete(&self, place: &FilePlace) -> io::Result<bool> {
        let path = self.path(place);
        match fs::remove_file(&path) {
            Ok(()) => {
                remove_empty_parent(&path);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// What stands in the place of a generated file.
enum Found {
    Nothing,
    Generated(Content),
    /// Not a file, or one without the header.
    Foreign,
}

struct Content {
    content: String,
    mode: u32,
}

/// Looks without following a symbolic link.
fn look(path: &Path) -> io::Result<Found> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    if !meta.is_file() {
        return Ok(Found::Foreign);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    let content = String::from_utf8_lossy(&bytes).into_owned();
    if content.lines().next() != Some(HEADER) {
        return Ok(Found::Foreign);
    }
    Ok(Found::Generated(Content { content, mode: meta.permissions().mode() & 0o7777 }))
}

/// Makes a folder; one that is there must be a folder and no link to one.
fn make_folder(folder: &Path, mode: u32) -> io::Result<()> {
    match fs::symlink_metadata(folder) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(io::Error::other(format!("{} is not a folder", folder.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::DirBuilder::new().recursive(true).mode(mode).create(folder)
        }
        Err(error) => Err(error),
    }
}

/// Writes `NAME.tmp` and renames it. A `NAME.tmp` that is there is replaced, never followed.
fn write_atomically(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    match fs::remove_file(&temporary) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let result = (|| {
        let mut file = File::options().write(true).create_new(true).mode(mode).open(&temporary)?;
        // The mask of the process does not count.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(content)?;
        fs::rename(&temporary, path)
    })();
    if result.is_err() {
        // It is only in the way.
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// A folder of drop-ins without drop-ins is of no use; one that is not empty stays.
fn remove_empty_parent(path: &Path) {
    if let Some(folder) = path.parent().filter(|folder| folder.extension().is_some_and(|extension| extension == "d")) {
        let _ = fs::remove_dir(folder);
    }
}

#[cfg(test)]
mod tests;
