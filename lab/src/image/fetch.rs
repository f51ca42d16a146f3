//! Debian packages, fetched by this machine's apt and not installed.

use std::process::Command;

use super::error::ImageError;
use super::root::{log_of, said, step};
use super::store::Store;

/// Fetches and unpacks here: "needs" or "", and the packages' names.
const FETCH: &str = include_str!("fetch.sh");

/// Fetches a Debian package and unpacks it into a folder of the store, without installing it.
pub(crate) fn fetch(store: &Store, package: &'static str, name: &str, program: &'static str) -> Result<(), ImageError> {
    fetch_all(store, &[package], false, name, program)
}

/// Fetches Debian packages and unpacks them into a folder of the store, without installing them; if wanted, with all
/// that they need and this machine has not got. A package that only stands for a kernel is replaced by the kernel's.
pub(crate) fn fetch_all(
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
