//! The initramfs of a QEMU node: busybox, the drivers that the root file system needs, and a script of ours.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::ImageError;
use super::recipe::Recipe;
use super::root::{log_of, said, step};
use super::store::{Draft, Store};
use super::tree::Tree;

/// The initramfs' file in its layer.
const INITRD: &str = "initrd";
const INIT: &str = include_str!("initrd/init");
/// The driver's set, its name, and whether a kernel without it will do.
const DRIVERS: &[(&str, &str, bool)] = &[
    // Before ext4, which asks for it in a way that depmod does not see.
    ("base", "crc32c_generic", false),
    ("base", "virtio_pci", true),
    ("base", "virtio_blk", true),
    ("base", "ext4", true),
    ("base", "virtio_net", true),
    ("base", "9pnet_virtio", true),
    ("base", "9p", true),
    // systemd asks for it before it has the other modules.
    ("base", "autofs4", false),
    // A panic that QEMU is told of; the power button.
    ("base", "pvpanic-mmio", true),
    ("base", "button", true),
    ("base", "evdev", false),
    ("nvme", "nvme", false),
    ("scsi", "virtio_scsi", false),
    ("scsi", "sd_mod", false),
];

/// Makes sure that the initramfs of this kernel is there.
pub(super) fn ensure(
    store: &Store,
    tree: &Tree,
    busybox: &Path,
    tell: &mut dyn FnMut(&str),
) -> Result<PathBuf, ImageError> {
    let recipe = Recipe::of_initrd(&tree.kernel, &tree.folder().join("modules.dep"), INIT, &format!("{DRIVERS:?}"))?;
    if let Some(folder) = store.find(&recipe) {
        return Ok(folder.join(INITRD));
    }
    let _locked = store.lock(tell)?;
    let draft = store.draft(&recipe.folder())?;
    lay_out(&draft, tree, busybox)?;
    let log = log_of(store, INITRD);
    let mut command = Command::new(busybox);
    let pack = "cd \"$1/tree\" && \"$2\" find . | \"$2\" cpio -o -H newc >\"$1/initrd\" && rm -r \"$1/tree\"";
    command.args(["sh", "-euc", pack, "sh"]).arg(draft.path("")).arg(busybox);
    if !step(&mut command, &log)?.success() {
        return Err(ImageError::Step { step: "pack the initramfs", said: said(&log), log });
    }
    let folder = store.keep(&draft, &recipe)?;
    store.prune(&[&recipe]);
    Ok(folder.join(INITRD))
}

fn file_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ImageError {
    let path = path.to_owned();
    move |source| ImageError::File { what, path, source }
}

fn lay_out(draft: &Draft, tree: &Tree, busybox: &Path) -> Result<(), ImageError> {
    let root = draft.path("tree");
    for folder in ["bin", "modules", "proc", "sys", "dev", "root"] {
        let folder = root.join(folder);
        fs::create_dir_all(&folder).map_err(file_error("make", &folder))?;
    }
    fs::copy(busybox, root.join("bin/busybox")).map_err(file_error("read", busybox))?;
    let init = root.join("init");
    let written = fs::write(&init, INIT).and_then(|()| fs::set_permissions(&init, Permissions::from_mode(0o755)));
    written.map_err(file_error("write", &init))?;
    let mut order = String::new();
    for (set, file) in wanted(tree)? {
        let name = place(&tree.folder().join(file), &root.join("modules"))?;
        order += &format!("{set} {name}\n");
    }
    let list = root.join("modules/order");
    fs::write(&list, order).map_err(file_error("write", &list))
}

/// The files in order, each with its set.
fn wanted(tree: &Tree) -> Result<Vec<(&'static str, PathBuf)>, ImageError> {
    let unusable = |missing: String| ImageError::Kernel { folder: tree.folder(), missing };
    let modules = tree.list().ok_or_else(|| unusable("modules.dep (depmod makes it)".to_owned()))?;
    let (mut order, mut sets, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for (set, name, needed) in DRIVERS {
        if !modules.order(name, &mut order) && *needed {
            missing.push(format!("the driver {name}"));
        }
        sets.resize(order.len(), *set);
    }
    if missing.is_empty() { Ok(sets.into_iter().zip(order).collect()) } else { Err(unusable(missing.join(", "))) }
}

/// Puts a module there, uncompressed; returns its name.
fn place(from: &Path, folder: &Path) -> Result<String, ImageError> {
    let name = from.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let packers = [(".xz", "xz", "xz-utils"), (".zst", "zstd", "zstd"), (".gz", "gzip", "gzip")];
    let Some((end, program, package)) = packers.into_iter().find(|(end, ..)| name.ends_with(end)) else {
        fs::copy(from, folder.join(&name)).map_err(file_error("read", from))?;
        return Ok(name);
    };
    let missing = ImageError::Missing { program, purpose: "unpack the kernel's modules", package };
    let program = super::root::program(program).ok_or(missing)?;
    let unpacked = Command::new(program).arg("-dc").arg(from).stdin(Stdio::null()).output();
    let unpacked = unpacked.map_err(file_error("unpack", from))?;
    if !unpacked.status.success() {
        return Err(file_error("unpack", from)(io::ErrorKind::InvalidData.into()));
    }
    let name = name.trim_end_matches(end).to_owned();
    let to = folder.join(&name);
    fs::write(&to, unpacked.stdout).map_err(file_error("write", &to))?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_the_drivers_is_named_with_all_that_it_lacks() {
        let folder = crate::image::store::test_folder("initrd");
        let tree = Tree { version: "1".into(), kernel: folder.join("vmlinuz-1"), modules: folder.clone() };
        fs::create_dir_all(tree.folder()).unwrap();
        let error = wanted(&tree).unwrap_err().to_string();
        assert!(error.contains("depmod"), "{error}");
        fs::write(tree.folder().join("modules.dep"), "a/ext4.ko: a/jbd2.ko\na/jbd2.ko:\n").unwrap();
        fs::write(tree.folder().join("modules.builtin"), "a/virtio_pci.ko\na/button.ko\n").unwrap();
        let error = wanted(&tree).unwrap_err().to_string();
        assert!(error.contains("virtio_blk") && error.contains("9p") && !error.contains("virtio_pci"), "{error}");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_set_that_a_kernel_has_not_got_is_no_error() {
        let folder = crate::image::store::test_folder("initrd-sets");
        let tree = Tree { version: "1".into(), kernel: folder.join("vmlinuz-1"), modules: folder.clone() };
        fs::create_dir_all(tree.folder()).unwrap();
        let builtin: String = DRIVERS.iter().map(|(_, name, _)| format!("a/{name}.ko\n")).collect();
        fs::write(tree.folder().join("modules.builtin"), builtin.replace("a/nvme.ko\n", "")).unwrap();
        fs::write(tree.folder().join("modules.dep"), "a/sd_mod.ko:\n").unwrap();
        assert_eq!(wanted(&tree).unwrap(), [("scsi", PathBuf::from("a/sd_mod.ko"))]);
        fs::remove_dir_all(folder).unwrap();
    }
}
