//! Which of a kernel's modules an initramfs needs, in the order in which they are loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of one kernel.
#[derive(Debug, Default)]
pub(super) struct Modules {
    /// By name, the file's path below the folder.
    files: BTreeMap<String, String>,
    /// By the file's path, the files that are needed first, as depmod lists them: the last one is loaded first.
    needs: BTreeMap<String, Vec<String>>,
    builtin: BTreeSet<String>,
}

/// A module's name: the file's, without its end; `-` and `_` are the same.
fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

impl Modules {
    /// Of a folder such as /lib/modules/6.1.0; None if depmod has not been there.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        let list = fs::read_to_string(folder.join("modules.dep")).ok()?;
        let builtin = fs::read_to_string(folder.join("modules.builtin")).unwrap_or_default();
        Some(Self::parse(&list, &builtin))
    }

    fn parse(list: &str, builtin: &str) -> Self {
        let mut modules = Self { builtin: builtin.lines().map(name_of).collect(), ..Self::default() };
        for (path, needs) in list.lines().filter_map(|line| line.split_once(':')) {
            modules.files.insert(name_of(path), path.to_owned());
            modules.needs.insert(path.to_owned(), needs.split_whitespace().map(str::to_owned).collect());
        }
        modules
    }

    /// The file of a module that is not built in.
    pub(super) fn file(&self, name: &str) -> Option<&str> {
        self.files.get(&name.replace('-', "_")).map(String::as_str)
    }

    /// Appends what a module needs, and the module. False if the kernel has not got it.
    pub(super) fn order(&self, name: &str, order: &mut Vec<PathBuf>) -> bool {
        let Some(path) = self.file(name) else { return self.builtin.contains(&name.replace('-', "_")) };
        let needs = self.needs.get(path).into_iter().flatten().rev().map(String::as_str);
        for file in needs.chain([path]) {
            if !order.iter().any(|other| other == Path::new(file)) {
                order.push(file.into());
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko kernel/fs/mbcache.ko kernel/fs/jbd2/jbd2.ko\n\
        kernel/fs/jbd2/jbd2.ko:\nkernel/fs/mbcache.ko:\nkernel/lib/crc16.ko:\n\
        updates/drbd-x.ko.xz: kernel/lib/crc16.ko\n";

    #[test]
    fn what_is_needed_comes_first_and_once() {
        let modules = Modules::parse(LIST, "kernel/drivers/virtio/virtio_pci.ko\n");
        let mut order = Vec::new();
        for (name, there) in [("ext4", true), ("virtio-pci", true), ("drbd_x", true), ("nvme", false)] {
            assert_eq!(modules.order(name, &mut order), there, "{name}");
        }
        let names: Vec<String> = order.iter().map(|path| name_of(&path.to_string_lossy())).collect();
        assert_eq!(names, ["jbd2", "mbcache", "crc16", "ext4", "drbd_x"]);
    }
}
