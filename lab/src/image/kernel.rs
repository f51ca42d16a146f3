//! The kernel and its modules: Debian's package `user-mode-linux`, installed or fetched.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::ImageError;
use super::root::{log_of, said, step};
use super::store::Store;

const PACKAGE: &str = "user-mode-linux";
const PROGRAM: &str = "usr/bin/linux.uml";
const MODULES: &str = "usr/lib/uml/modules";

/// Fetches and unpacks here: "needs" or "", and the packages' names.
const FETCH: &str = include_str!("fetch.sh");

/// Where they are.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) program: PathBuf,
    pub(super) modules: PathBuf,
}

fn below(root: &Path) -> Option<Kernel> {
    let kernel = Kernel { program: root.join(PROGRAM), modules: root.join(MODULES) };
    (kernel.program.is_file() && kernel.modules.is_dir()).then_some(kernel)
}

/// Finds or fetches them.
pub(super) fn ensure(store: &Store, tell: &mut dyn FnMut(&str)) -> Result<Kernel, ImageError> {
    let here = || below(Path::new("/")).or_else(|| below(&store.path("kernel")));
    if let Some(kernel) = here() {
        return Ok(kernel);
    }
    let _locked = store.lock(tell)?;
    if let Some(kernel) = here() {
        return Ok(kernel);
    }
    tell("fetching the kernel (41 MB)");
    fetch(store, PACKAGE, "kernel", PROGRAM)?;
    below(&store.path("kernel")).ok_or(ImageError::Missing {
        program: "linux.uml",
        purpose: "run nodes",
        package: PACKAGE,
    })
}

/// Fetches a Debian package and unpacks it into a folder of the store, without installing it.
pub(super) fn fetch(store: &Store, package: &'static str, name: &str, program: &'static str) -> Result<(), ImageError> {
    fetch_all(store, &[package], false, name, program)
}

/// Fetches Debian packages and unpacks them into a folder of the store, without installing them; if wanted, with all
/// that they need and this machine has not got. A package that only stands for a kernel is replaced by the kernel's.
pub(super) fn fetch_all(
    store: &Store,
    packages: &[&'static str],
    with_needs: bool,
    name: &str,
    program: &'static str,
) -> Result<(), ImageError> {
    let package = packages.first().copied().unwrap_or_default();
    let missing = || ImageError::Missing { program, purpose: "run a lab", package };
    if super::root::program("apt-get").is_none() || super::root::program("dpkg-deb").is_none() {
        return Err(missing());
    }
    let draft = store.draft(name)?;
    let log = log_of(store, name);
    let mut script = Command::new("sh");
    script.arg("-euc").arg(FETCH).args(["sh", if with_needs { "needs" } else { "" }]).args(packages);
    script.current_dir(draft.path("")).env("LC_ALL", "C.UTF-8");
    let ended = step(&mut script, &log)?;
    if !ended.success() {
        let mirror = "the mirror of this machine's apt".to_owned();
        return Err(ImageError::Fetch { mirror, said: said(&log), log });
    }
    store.keep_as(&draft, name).map(drop)
}
