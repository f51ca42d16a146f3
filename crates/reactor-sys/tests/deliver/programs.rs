//! Programs of Debian's packages, as they are installed, or where `cargo xtask ci` has unpacked them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/usr")
}

/// `None` = it is not there.
pub(crate) fn program(name: &str) -> Option<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/bin".into()]);
    let mut all = folders.chain([tools().join("sbin"), tools().join("bin")]);
    let found = all.find_map(|folder| Some(folder.join(name)).filter(|path| path.is_file()))?;
    let mut command = Command::new(&found);
    if let (Ok(tools), Ok(found)) = (tools().canonicalize(), found.canonicalize())
        && found.starts_with(&tools)
    {
        // Without its libraries it would not even start.
        let libraries = fs::read_dir(tools.join("lib")).into_iter().flatten().flatten().map(|entry| entry.path());
        command.env("LD_LIBRARY_PATH", std::env::join_paths(libraries.chain([tools.join("lib")])).unwrap());
    }
    command.stdin(Stdio::null());
    Some(command)
}

/// The folder of a library of these programs: `rsyslog`.
pub(crate) fn library(name: &str) -> Option<PathBuf> {
    let roots = [PathBuf::from("/usr/lib"), tools().join("lib")];
    let machines = roots.iter().flat_map(|root| fs::read_dir(root).into_iter().flatten().flatten());
    machines.map(|machine| machine.path().join(name)).find(|path| path.is_dir())
}

/// A program that ends with its owner.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
