//! A kernel as a package or `make install` lays it out: `boot/vmlinuz-VERSION` and `lib/modules/VERSION`.

use std::fs;
use std::path::{Path, PathBuf};

use super::modules::Modules;

/// A kernel and its modules.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) version: String,
    pub(super) kernel: PathBuf,
    /// lib/modules.
    pub(super) modules: PathBuf,
}

impl Tree {
    /// The kernel in a folder; the error is a list of what is missing, each with its place.
    pub(super) fn find(folder: &Path) -> Result<Self, Vec<String>> {
        let (boot, modules) = (folder.join("boot"), folder.join("lib/modules"));
        let kernels: Vec<String> = names(&boot).into_iter().filter(|name| name.starts_with("vmlinuz-")).collect();
        let [kernel] = &kernels[..] else {
            let kernels = if kernels.is_empty() { "none".to_owned() } else { kernels.join(", ") };
            return Err(vec![format!("one kernel boot/vmlinuz-VERSION in {} (there is {kernels})", folder.display())]);
        };
        let version = kernel.trim_start_matches("vmlinuz-").to_owned();
        if !modules.join(&version).is_dir() {
            let there = names(&modules).join(", ");
            let there = if there.is_empty() { "nothing".to_owned() } else { there };
            return Err(vec![format!(
                "the modules of {kernel} in {} (there is {there})",
                modules.join(&version).display()
            )]);
        }
        Ok(Self { kernel: boot.join(kernel), version, modules })
    }

    /// The folder of this version's modules.
    pub(super) fn folder(&self) -> PathBuf {
        self.modules.join(&self.version)
    }

    pub(super) fn list(&self) -> Option<Modules> {
        Modules::read(&self.folder())
    }
}

/// What is in a folder, sorted.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
