//! The root file system that all nodes share: built once, kept until something of it changes.
//!
//! Two layers, each in a folder of the cache whose name comes from its recipe:
//!
//! ```text
//!   root-KEY/root.tar    Debian 12 with what the tests need: mmdebstrap, a minute, changes with our list of packages
//!   image-KEY/base.img   that, our services, the agent and packages to be tested: seconds, changes with each of them
//!   kernel/              linux.uml and its modules, only if Debian's package is not installed
//!   qemu/ qemu-kernel/   for nodes run by QEMU: QEMU, unless it is installed, and Debian's kernel with its modules
//!   initrd-KEY/          and the initramfs that mounts the image
//! ```
//!
//! A layer is built under another name and renamed when it is complete, so what has its name is whole. Builders lock
//! each other out. Only building needs rights (root, or a user namespace).

mod assemble;
mod drbd9;
mod error;
mod initrd;
mod kernel;
mod modules;
mod qemu;
mod recipe;
mod root;
mod store;
mod tree;

use std::path::{Path, PathBuf};

pub use error::ImageError;
pub use qemu::{Bus, Emulator};
use recipe::Recipe;
use store::Store;

/// What nodes run: a kernel and a root file system.
#[derive(Debug, Clone)]
pub struct Image {
    /// The kernel: Debian's linux.uml, or the image of one for QEMU.
    pub kernel: PathBuf,
    /// Its modules.
    pub modules: PathBuf,
    /// The image of the root file system. Nobody writes to it.
    pub base: PathBuf,
    /// What runs the kernel, if it is not a program itself.
    pub qemu: Option<Emulator>,
}

/// The variable that says what runs nodes.
const BACKEND_VARIABLE: &str = "LAB_BACKEND";

/// What runs nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// User-Mode Linux.
    Uml,
    /// QEMU.
    Qemu,
    /// The variable has named something else.
    Other(String),
}

impl Kind {
    /// By its name: uml, qemu.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "" | "uml" => Self::Uml,
            "qemu" => Self::Qemu,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// What the image is made of.
#[derive(Debug, Clone)]
pub struct Options {
    /// What runs it.
    pub backend: Kind,
    /// Where images are kept.
    pub cache: PathBuf,
    /// The program `lab-agent`.
    pub agent: PathBuf,
    /// Debian packages to install: what is to be tested.
    pub packages: Vec<PathBuf>,
    /// More packages of Debian.
    pub extra: Vec<String>,
    /// More files: on this machine, and in the node (without a slash in front).
    pub files: Vec<(PathBuf, PathBuf)>,
    /// Size of the root file system. The file is sparse.
    pub size_mib: u64,
}

impl Options {
    /// From the environment: `LAB_BACKEND` (uml or qemu), `LAB_CACHE` (or target/lab), `LAB_AGENT` (or beside the running program), `LAB_DEB`
    /// (a list like PATH's, or what `make deb` has made, or nothing).
    #[must_use]
    pub fn from_env() -> Self {
        let target = target();
        let cache = std::env::var_os("LAB_CACHE").map_or_else(|| target.join("lab"), PathBuf::from);
        let agent = std::env::var_os("LAB_AGENT").map_or_else(|| beside_us("lab-agent"), PathBuf::from);
        let packages = match std::env::var_os("LAB_DEB") {
            Some(list) => std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect(),
            None => made_packages(&target.join("deb")),
        };
        let cache = std::path::absolute(&cache).unwrap_or(cache);
        let backend = Kind::named(&std::env::var(BACKEND_VARIABLE).unwrap_or_default());
        Self { backend, cache, agent, packages, extra: Vec::new(), files: Vec::new(), size_mib: 2048 }
    }
}

/// The folder of cargo's results: that of the running program, or of the working directory.
fn target() -> PathBuf {
    let current = std::env::current_exe().unwrap_or_default();
    // cargo notes something about the compiler there, and marks the folder if it has made it.
    let marks = [".rustc_info.json", "CACHEDIR.TAG"];
    let marked = current.ancestors().find(|folder| marks.iter().any(|mark| folder.join(mark).is_file()));
    marked.map_or_else(|| PathBuf::from("target"), Path::to_owned)
}

/// A program of our build: a test program is in target/PROFILE/deps, the others in target/PROFILE.
fn beside_us(name: &str) -> PathBuf {
    let current = std::env::current_exe().unwrap_or_default();
    let near: Vec<PathBuf> = current.ancestors().skip(1).take(2).map(|folder| folder.join(name)).collect();
    near.iter().find(|path| path.is_file()).or(near.first()).cloned().unwrap_or_else(|| PathBuf::from(name))
}

/// What `make deb` has left.
fn made_packages(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut packages: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "deb")).collect();
    packages.sort();
    packages
}

/// Makes sure that the image is there and as wanted; `tell` hears what takes long.
pub fn ensure(options: &Options, tell: &mut dyn FnMut(&str)) -> Result<Image, ImageError> {
    let store = Store::open(&options.cache)?;
    let drbd9 = std::env::var_os(drbd9::VARIABLE).filter(|folder| !folder.is_empty());
    match &options.backend {
        Kind::Uml if drbd9.is_some() => Err(ImageError::Drbd9NeedsQemu),
        Kind::Uml => {
            let kernel = kernel::ensure(&store, tell)?;
            let base = base(&store, options, tell)?;
            Ok(Image { kernel: kernel.program, modules: kernel.modules, base, qemu: None })
        }
        Kind::Qemu => {
            let absolute = |folder| std::path::absolute(&folder).unwrap_or_else(|_| PathBuf::from(folder));
            let drbd9 = drbd9.map(absolute).map(|folder| drbd9::find(&folder)).transpose()?;
            let mut options = options.clone();
            if let Some(drbd9) = &drbd9 {
                options.packages.extend(drbd9.packages.iter().cloned());
                options.files.extend(drbd9.files());
            }
            let parts = qemu::ensure(&store, drbd9.as_ref(), tell)?;
            let base = base(&store, &options, tell)?;
            Ok(Image { kernel: parts.kernel, modules: parts.modules, base, qemu: Some(parts.emulator) })
        }
        Kind::Other(value) => {
            Err(ImageError::Value { variable: BACKEND_VARIABLE, value: value.clone(), known: "uml, qemu" })
        }
    }
}

/// The image of the root file system, which is the same for every kernel.
fn base(store: &Store, options: &Options, tell: &mut dyn FnMut(&str)) -> Result<PathBuf, ImageError> {
    let system = Recipe::of_system(&options.extra);
    let image = Recipe::of_image(&system, options)?;
    let folder = match store.find(&image) {
        Some(folder) => folder,
        None => {
            let _locked = store.lock(tell)?;
            // Somebody else may have built it while we waited.
            match store.find(&image) {
                Some(folder) => folder,
                None => {
                    let root = root::ensure(store, &system, tell)?;
                    let folder = assemble::build(store, &image, &root, options, tell)?;
                    store.prune(&[&system, &image]);
                    folder
                }
            }
        }
    };
    Ok(folder.join(assemble::IMAGE))
}
