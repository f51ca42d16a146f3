//! Whether a program may be run: root must not run what somebody else could have written.
//!
//! Checked is the file that would be run, before each time. The folders above it are the administrator's: root's `PATH` is trusted as a whole.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use reactor_trust::Distrust;
use rustix::fs::{Mode, OFlags};
use thiserror::Error;

/// Where a program is looked for without a `PATH`.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Somebody else could have written the program.
#[derive(Debug, Error)]
#[error("{} is not run: it {distrust}: {}", path.display(), distrust.hint(path))]
pub struct Untrusted {
    /// The program.
    pub path: PathBuf,
    /// Who.
    pub distrust: Distrust,
}

/// Checks a program that is about to be run as root. A name without `/` is looked up in `PATH`, as it is when it is run. What can't be found
/// or opened is said by whoever runs it. An ordinary user may run what he likes.
///
/// # Errors
///
/// If somebody else could have written it.
pub fn check(program: &Path) -> Result<(), Untrusted> {
    let uid = rustix::process::geteuid().as_raw();
    if uid != 0 { Ok(()) } else { check_for(program, uid, &std::env::var_os("PATH").unwrap_or_else(|| PATH.into())) }
}

fn check_for(program: &Path, uid: u32, search: &OsStr) -> Result<(), Untrusted> {
    let Some(path) = find(program, search) else { return Ok(()) };
    // Not waiting for the other end of a FIFO.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let Ok(fd) = rustix::fs::open(&path, flags, Mode::empty()) else { return Ok(()) };
    match reactor_trust::judge(File::from(fd), uid) {
        Ok(Some(distrust)) => Err(Untrusted { path, distrust }),
        Ok(None) | Err(_) => Ok(()),
    }
}

fn find(program: &Path, search: &OsStr) -> Option<PathBuf> {
    if program.components().count() > 1 || program.is_absolute() {
        return Some(program.to_path_buf());
    }
    let is_program =
        |path: &PathBuf| path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    std::env::split_paths(search).map(|folder| folder.join(program)).find(is_program)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    #[test]
    fn what_others_could_have_written_is_not_run() {
        let root = crate::testing::open_to_all().join(format!("reactor-program-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for folder in ["a", "b"] {
            fs::create_dir_all(root.join(folder)).expect("a folder");
            fs::set_permissions(root.join(folder), Permissions::from_mode(0o755)).expect("a mode");
        }
        let program = root.join("b/drbdsetup");
        fs::write(&program, "#!/bin/sh\n").expect("a program");
        let mode = |mode| fs::set_permissions(&program, Permissions::from_mode(mode)).expect("a mode");
        let search = std::env::join_paths([root.join("a"), root.join("b")]).expect("a path");
        let uid = rustix::process::geteuid().as_raw();
        for name in [program.as_path(), Path::new("drbdsetup")] {
            mode(0o755);
            assert!(check_for(name, uid, &search).is_ok());
            mode(0o757);
            let error = check_for(name, uid, &search).expect_err("refused").to_string();
            assert!(error.contains("b/drbdsetup is not run: it can be written by others"), "{error}");
        }
        // A link is as good as what it leads to.
        std::os::unix::fs::symlink(&program, root.join("a/drbdsetup")).expect("a link");
        assert!(check_for(Path::new("drbdsetup"), uid, &search).is_err());
        assert!(check_for(Path::new("no-such-program"), uid, &search).is_ok(), "said by who runs it");
        fs::remove_dir_all(root).expect("it is ours");
    }
}
