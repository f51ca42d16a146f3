//! The root file system that all nodes share: built once, kept until something of it changes.
//!
//! Two layers, each in a folder of the cache whose name comes from its recipe:
//!
//! ```text
//!   root-KEY/root.tar    Debian 12 with what the tests need: mmdebstrap, a minute, changes with our list of packages
//!   image-KEY/base.img   that, our services, the agent and packages to be tested: seconds, changes with each of them
//!   kernel-ORIGIN/       linux.uml and its modules (see the module `kernel`, which decides what runs the image)
//!   qemu/ qemu-kernel/   for nodes run by QEMU: QEMU, unless it is installed, and Debian's kernel with its modules
//!   initrd-KEY/          and the initramfs that mounts the image
//! ```
//!
//! A layer is built under another name and renamed when it is complete, so what has its name is whole. Builders lock
//! each other out. Only building needs rights (root, or a user namespace).

mod assemble;
mod drbd9;
mod error;
pub(crate) mod fetch;
mod initrd;
mod modules;
mod qemu;
mod recipe;
pub(crate) mod root;
pub(crate) mod store;
mod tree;

use std::path::{Path, PathBuf};

pub use error::ImageError;
pub use qemu::{Bus, Emulator};
use recipe::Recipe;
use serde::{Deserialize, Serialize};
use store::Store;

/// What nodes run: a kernel and a root file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The kernel: Debian's linux.uml, or the image of one for QEMU.
    pub kernel: PathBuf,
    /// Its modules.
    pub modules: PathBuf,
    /// The image of the root file system. Nobody writes to it.
    pub base: PathBuf,
    /// How the kernel is run.
    pub runner: Runner,
}

impl Image {
    /// QEMU, if it runs the kernel.
    #[must_use]
    pub fn emulator(&self) -> Option<&Emulator> {
        match &self.runner {
            Runner::Qemu(emulator) => Some(emulator),
            Runner::Uml(_) => None,
        }
    }
}

/// How a kernel is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runner {
    /// It is a program of its own: User-Mode Linux.
    Uml(UmlStart),
    /// By QEMU.
    Qemu(Emulator),
}

/// What a User-Mode Linux program needs to start, besides what every node gives it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UmlStart {
    /// The C library that it needs, if this machine's is too old for it.
    pub library: Option<CLibrary>,
    /// Words for its command line.
    pub words: Vec<String>,
}

impl UmlStart {
    /// Whether the kernel runs its processes under ptrace.
    #[must_use]
    pub fn uses_ptrace(&self) -> bool {
        !self.words.iter().any(|word| word == "seccomp=on")
    }
}

/// A C library beside that of this machine, and its dynamic loader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CLibrary {
    /// The dynamic loader: ld-linux-x86-64.so.2.
    pub loader: PathBuf,
    /// The folder of the library.
    pub folder: PathBuf,
}

/// The variable that says what runs nodes.
pub(crate) const BACKEND_VARIABLE: &str = "LAB_BACKEND";

/// What runs nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// What runs best on this machine.
    Best,
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
            "" => Self::Best,
            "uml" => Self::Uml,
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
    /// From the environment: `LAB_BACKEND` (uml or qemu, or what runs best), `LAB_CACHE` (or target/lab), `LAB_AGENT` (or beside the running program), `LAB_DEB`
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

/// Makes sure that the root file system is there and as wanted; `tell` hears what takes long.
pub(crate) fn base(options: &Options, tell: &mut dyn FnMut(&str)) -> Result<PathBuf, ImageError> {
    base_in(&Store::open(&options.cache)?, options, tell)
}

/// The folder with the user's DRBD 9, if one is named.
pub(crate) fn drbd9_folder() -> Option<PathBuf> {
    std::env::var_os(drbd9::VARIABLE).filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// Makes sure that everything is there which QEMU needs: itself, a kernel for it, and the root file system.
pub(crate) fn for_qemu(options: &Options, tell: &mut dyn FnMut(&str)) -> Result<Image, ImageError> {
    let store = Store::open(&options.cache)?;
    let absolute = |folder| std::path::absolute(&folder).unwrap_or(folder);
    let drbd9 = drbd9_folder().map(absolute).map(|folder| drbd9::find(&folder)).transpose()?;
    let mut options = options.clone();
    if let Some(drbd9) = &drbd9 {
        options.packages.extend(drbd9.packages.iter().cloned());
        options.files.extend(drbd9.files());
    }
    let parts = qemu::ensure(&store, drbd9.as_ref(), tell)?;
    let base = base_in(&store, &options, tell)?;
    Ok(Image { kernel: parts.kernel, modules: parts.modules, base, runner: Runner::Qemu(parts.emulator) })
}

/// The image of the root file system, which is the same for every kernel.
fn base_in(store: &Store, options: &Options, tell: &mut dyn FnMut(&str)) -> Result<PathBuf, ImageError> {
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
