//! The upper layer: our services, the agent and packages to be tested, as an image.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Options;
use super::error::ImageError;
use super::recipe::Recipe;
use super::root::{Rights, log_of, program, said, step};
use super::store::{Draft, Store};

/// The layer's file.
pub(super) const IMAGE: &str = "base.img";
/// Makes the image of the lower layer and what is beside it.
pub(super) const ASSEMBLE: &str = include_str!("assemble.sh");
/// Runs in the new root.
pub(super) const CUSTOMISE: &str = include_str!("node/customise.sh");
/// What building takes: the image, and the unpacked system with what goes into it.
const IMAGE_MIB: u64 = 450;
const SYSTEM_MIB: u64 = 500;
/// How the scripts say what went wrong.
const AGENT_DOES_NOT_RUN: i32 = 71;
const PACKAGE_DOES_NOT_INSTALL: i32 = 72;

/// A file of the nodes.
pub(super) struct NodeFile {
    pub(super) path: &'static str,
    mode: u32,
    pub(super) text: &'static str,
}

macro_rules! unit {
    ($name:literal) => {
        NodeFile {
            path: concat!("etc/systemd/system/", $name),
            mode: 0o644,
            text: include_str!(concat!("node/", $name)),
        }
    };
}

/// What is ours in a node, besides the agent.
pub(super) const FILES: &[NodeFile] = &[
    unit!("lab-modules.service"),
    unit!("lab-setup.service"),
    unit!("lab-disks.service"),
    unit!("lab-journal.service"),
    unit!("lab-agent.service"),
    NodeFile { path: "usr/local/sbin/lab-setup", mode: 0o755, text: include_str!("node/lab-setup") },
    NodeFile { path: "usr/local/sbin/lab-power", mode: 0o755, text: include_str!("node/lab-power") },
    NodeFile { path: "usr/local/sbin/lab-fence-peer", mode: 0o755, text: include_str!("node/lab-fence-peer") },
    NodeFile {
        path: "etc/systemd/system/systemd-udev-trigger.service.d/lab.conf",
        mode: 0o644,
        text: include_str!("node/udev-trigger.conf"),
    },
    NodeFile { path: "etc/systemd/journald.conf.d/lab.conf", mode: 0o644, text: include_str!("node/journald.conf") },
    NodeFile { path: "etc/fstab", mode: 0o644, text: include_str!("node/fstab") },
    NodeFile { path: "etc/drbd.d/global_common.conf", mode: 0o644, text: include_str!("node/drbd-global.conf") },
];

/// Builds the layer; the lock is held.
pub(super) fn build(
    store: &Store,
    recipe: &Recipe,
    root: &Path,
    options: &Options,
    tell: &mut dyn FnMut(&str),
) -> Result<PathBuf, ImageError> {
    store.room(IMAGE_MIB)?;
    if program("mke2fs").is_none() {
        return Err(ImageError::Missing { program: "mke2fs", purpose: "make the image", package: "e2fsprogs" });
    }
    let rights = Rights::here(store)?;
    tell("putting the image together");
    let draft = store.draft(&recipe.folder())?;
    let scratch = store.scratch(SYSTEM_MIB)?;
    lay_out(&scratch, options)?;
    rights.open(&scratch.path(""))?;
    rights.open(&draft.path(""))?;
    let log = log_of(store, "assemble");
    let mut command = rights.command("sh");
    command.arg(scratch.path("assemble.sh")).arg(scratch.path("")).arg(root).arg(draft.path(IMAGE));
    command.arg(format!("{}M", options.size_mib));
    let ended = step(&mut command, &log)?;
    if !ended.success() {
        return Err(why(ended.code(), &log, options));
    }
    rights.close(&draft.path(""))?;
    store.keep(&draft, recipe)
}

/// What a script's exit code means.
fn why(code: Option<i32>, log: &Path, options: &Options) -> ImageError {
    let (said, log) = (said(log), log.to_owned());
    match code {
        Some(AGENT_DOES_NOT_RUN) => ImageError::Agent { agent: options.agent.clone(), said },
        Some(PACKAGE_DOES_NOT_INSTALL) => ImageError::Step { step: "install our packages in the image", said, log },
        _ => ImageError::Step { step: "put the image together", said, log },
    }
}

/// Writes down all that goes into the image.
fn lay_out(scratch: &Draft, options: &Options) -> Result<(), ImageError> {
    let overlay = scratch.path("overlay");
    let put = |to: PathBuf, mode: u32, write: &dyn Fn(&Path) -> io::Result<()>| {
        let done = || -> io::Result<()> {
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
            write(&to)?;
            fs::set_permissions(&to, Permissions::from_mode(mode))
        };
        done().map_err(|source| ImageError::File { what: "write", path: to.clone(), source })
    };
    for file in FILES {
        put(overlay.join(file.path), file.mode, &|to| fs::write(to, file.text))?;
    }
    let copy = |from: &Path, to: PathBuf, mode: u32| put(to, mode, &|to| fs::copy(from, to).map(drop));
    copy(&options.agent, overlay.join("usr/local/sbin/lab-agent"), 0o755)?;
    for package in &options.packages {
        copy(package, overlay.join("packages").join(package.file_name().unwrap_or_default()), 0o644)?;
    }
    for (from, to) in &options.files {
        let mode = fs::metadata(from).map_or(0o644, |data| data.permissions().mode() & 0o7777);
        copy(from, overlay.join(to), mode)?;
    }
    put(scratch.path("assemble.sh"), 0o644, &|to| fs::write(to, ASSEMBLE))?;
    put(scratch.path("customise.sh"), 0o644, &|to| fs::write(to, CUSTOMISE))
}
