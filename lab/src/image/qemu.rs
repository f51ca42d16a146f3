//! QEMU and a kernel for it: installed, given, or fetched and not installed.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::drbd9::Drbd9;
use super::error::ImageError;
use super::fetch::fetch_all;
use super::initrd;
use super::root::{log_of, program, said, step};
use super::store::Store;
use super::tree::Tree;

/// How many processors a node has.
const CPUS_VARIABLE: &str = "LAB_CPUS";
const BUS_VARIABLE: &str = "LAB_DISKS";
/// Several wait for each other on a machine that has no processor for each of them.
const CPUS: u8 = 1;
const MOST_CPUS: u8 = 16;

const PROGRAM: &str = "qemu-system-x86_64";
const IMG: &str = "qemu-img";
const PACKAGE: &str = "qemu-system-x86";
const IMG_PACKAGE: &str = "qemu-utils";
/// The folders of the store.
const QEMU: &str = "qemu";
const KERNEL: &str = "qemu-kernel";
const BUSYBOX: &str = "busybox";
/// Where Debian's programs look for libraries, and QEMU for its firmware.
const LIBRARIES: &[&str] = &["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
const FIRMWARE: &[&str] = &["usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu"];

/// What the data disks are to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bus {
    /// virtio-blk: /dev/vdb and so on.
    Virtio,
    /// NVMe: /dev/nvme0n1 and so on.
    Nvme,
    /// SCSI: /dev/sda and so on.
    Scsi,
}

impl fmt::Display for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Bus::Virtio => "virtio",
            Bus::Nvme => "nvme",
            Bus::Scsi => "scsi",
        })
    }
}

/// QEMU's programs, and what its machines have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emulator {
    /// qemu-system-x86_64.
    pub program: PathBuf,
    /// qemu-img.
    pub img: PathBuf,
    /// The folder in which they were unpacked, if they are not installed.
    pub root: Option<PathBuf>,
    /// The initramfs.
    pub initrd: PathBuf,
    /// Processors of a node.
    pub cpus: u8,
    /// What the data disks are.
    pub bus: Bus,
}

impl Emulator {
    /// The environment in which programs that are not installed find their libraries.
    #[must_use]
    pub fn libraries(&self) -> Option<(String, String)> {
        let root = self.root.as_ref()?;
        let folders: Vec<String> = LIBRARIES.iter().map(|folder| root.join(folder).display().to_string()).collect();
        Some(("LD_LIBRARY_PATH".to_owned(), folders.join(":")))
    }

    /// The folders of the firmware, if it is not installed.
    #[must_use]
    pub fn firmware(&self) -> Vec<PathBuf> {
        self.root.iter().flat_map(|root| FIRMWARE.iter().map(|folder| root.join(folder))).collect()
    }
}

/// What the variables say of a machine.
fn machine(cpus: Option<&str>, bus: Option<&str>) -> Result<(u8, Bus), ImageError> {
    let value = |variable, value: &str, known| ImageError::Value { variable, value: value.to_owned(), known };
    let cpus = match cpus.filter(|text| !text.is_empty()) {
        None => CPUS,
        Some(text) => text
            .parse()
            .ok()
            .filter(|cpus| (1..=MOST_CPUS).contains(cpus))
            .ok_or_else(|| value(CPUS_VARIABLE, text, "1 to 16"))?,
    };
    let bus = match bus {
        None | Some("" | "virtio") => Bus::Virtio,
        Some("nvme") => Bus::Nvme,
        Some("scsi") => Bus::Scsi,
        Some(other) => return Err(value(BUS_VARIABLE, other, "virtio, nvme, scsi")),
    };
    Ok((cpus, bus))
}

/// A kernel with its modules, and how to run it.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) kernel: PathBuf,
    pub(super) modules: PathBuf,
    pub(super) emulator: Emulator,
}

/// Finds or fetches everything.
pub(super) fn ensure(store: &Store, drbd9: Option<&Drbd9>, tell: &mut dyn FnMut(&str)) -> Result<Parts, ImageError> {
    if std::env::consts::ARCH != "x86_64" {
        return Err(ImageError::Architecture { architecture: std::env::consts::ARCH });
    }
    let text = |name| std::env::var(name).ok();
    let (cpus, bus) = machine(text(CPUS_VARIABLE).as_deref(), text(BUS_VARIABLE).as_deref())?;
    let (program, img, root) = programs(store, tell)?;
    let busybox = busybox(store, tell)?;
    let fetched;
    let tree = match drbd9 {
        Some(drbd9) => &drbd9.tree,
        None => {
            fetched = kernel(store, tell)?;
            &fetched
        }
    };
    let initrd = initrd::ensure(store, tree, &busybox, tell)?;
    let emulator = Emulator { program, img, root, initrd, cpus, bus };
    Ok(Parts { kernel: tree.kernel.clone(), modules: tree.modules.clone(), emulator })
}

type Programs = (PathBuf, PathBuf, Option<PathBuf>);

fn programs(store: &Store, tell: &mut dyn FnMut(&str)) -> Result<Programs, ImageError> {
    let img = program(IMG);
    if let (Some(emulator), Some(img)) = (program(PROGRAM), &img) {
        return Ok((emulator, img.clone(), None));
    }
    let root = store.path(QEMU);
    let fetched = || {
        let emulator = root.join("usr/bin").join(PROGRAM);
        let img = img.clone().or_else(|| Some(root.join("usr/bin").join(IMG)).filter(|path| path.is_file()))?;
        emulator.is_file().then(|| (emulator, img, Some(root.clone())))
    };
    if let Some(programs) = fetched() {
        return Ok(programs);
    }
    let _locked = store.lock(tell)?;
    if fetched().is_none() {
        tell("fetching QEMU (30 MB)");
        // Of what is installed nothing is fetched, whatever release it is of.
        let packages = [PACKAGE, IMG_PACKAGE];
        fetch_all(store, &packages[..if img.is_some() { 1 } else { 2 }], true, QEMU, PROGRAM)?;
    }
    fetched().ok_or(ImageError::Missing { program: PROGRAM, purpose: "run nodes", package: PACKAGE })
}

/// A busybox that needs no library.
fn busybox(store: &Store, tell: &mut dyn FnMut(&str)) -> Result<PathBuf, ImageError> {
    let path = store.path(BUSYBOX).join("bin/busybox");
    if !path.is_file() {
        let _locked = store.lock(tell)?;
        if !path.is_file() {
            fetch_all(store, &["busybox-static"], false, BUSYBOX, "busybox")?;
        }
    }
    Ok(path)
}

/// Debian's kernel, of the release that this machine's apt has.
fn kernel(store: &Store, tell: &mut dyn FnMut(&str)) -> Result<Tree, ImageError> {
    let folder = store.path(KERNEL);
    let complete = |tree: &Tree| tree.folder().join("modules.dep.bin").is_file();
    if let Some(tree) = Tree::find(&folder).ok().filter(complete) {
        return Ok(tree);
    }
    let _locked = store.lock(tell)?;
    if let Some(tree) = Tree::find(&folder).ok().filter(complete) {
        return Ok(tree);
    }
    tell("fetching Debian's kernel (70 MB)");
    fetch_all(store, &["linux-image-amd64"], false, KERNEL, "vmlinuz")?;
    let unusable = |missing: Vec<String>| ImageError::Kernel { folder: folder.clone(), missing: missing.join(", ") };
    let tree = Tree::find(&folder).map_err(unusable)?;
    let purpose = "list the kernel's modules";
    let depmod = program("depmod").ok_or(ImageError::Missing { program: "depmod", purpose, package: "kmod" })?;
    let log = log_of(store, "depmod");
    let mut command = Command::new(depmod);
    command.arg("--basedir").arg(&folder).arg(&tree.version);
    if !step(&mut command, &log)?.success() {
        return Err(ImageError::Step { step: purpose, said: said(&log), log });
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_of_a_machine_are_checked() {
        assert_eq!(machine(None, None).unwrap(), (1, Bus::Virtio));
        assert_eq!(machine(Some("4"), Some("nvme")).unwrap(), (4, Bus::Nvme));
        for (cpus, bus) in [(Some("0"), None), (Some("many"), None), (None, Some("floppy"))] {
            let error = machine(cpus, bus).unwrap_err().to_string();
            assert!(error.contains("LAB_CPUS") || error.contains("LAB_DISKS"), "{error}");
        }
    }

    #[test]
    fn a_bus_is_called_what_the_variable_says() {
        for bus in [Bus::Virtio, Bus::Nvme, Bus::Scsi] {
            assert_eq!(machine(None, Some(&bus.to_string())).unwrap().1, bus);
        }
    }
}
