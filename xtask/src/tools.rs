//! Real counterparts that tests use, fetched where that can be done without changing the system.
//!
//! promtool, the OCF agents, dbus-daemon and DRBD's own handlers come from Debian's packages `prometheus`, `resource-agents`, `dbus-daemon` and
//! `drbd-utils`, which are unpacked into `target/tools` and not installed: installing would start a server.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::gate::Outcome;
use crate::stages::program;

/// `PATH` with the fetched tools at its end.
pub(crate) fn path(root: &Path) -> OsString {
    let here = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&here).chain([root.join("target/tools/usr/bin")]);
    // A folder with a colon in its name cannot be in PATH; then the tools are just not found.
    std::env::join_paths(folders).unwrap_or(here)
}

/// A package, and what tests use of it: a program, or a file below the root.
struct Tool {
    name: &'static str,
    package: &'static str,
    file: &'static str,
}

/// All of them. The OCF agents find their shell library by `OCF_ROOT`, so they work where they are unpacked.
const TOOLS: [Tool; 4] = [
    Tool { name: "promtool", package: "prometheus", file: "usr/bin/promtool" },
    Tool { name: "OCF agents", package: "resource-agents", file: "usr/lib/ocf/resource.d/heartbeat/Dummy" },
    Tool { name: "dbus-daemon", package: "dbus-daemon", file: "usr/bin/dbus-daemon" },
    Tool { name: "DRBD's handlers", package: "drbd-utils", file: "usr/lib/drbd/notify.sh" },
];

/// Fetches what is missing. Tests skip by name what is still missing then.
pub(crate) fn fetch(root: &Path) -> Result<Outcome> {
    let folder = root.join("target/tools");
    let mut missing = Vec::new();
    for tool in &TOOLS {
        if program(root, tool.name) || Path::new("/").join(tool.file).is_file() || folder.join(tool.file).is_file() {
            continue;
        }
        match fetch_one(root, &folder, tool)? {
            Outcome::Passed => {}
            Outcome::Skipped(why) => missing.push(why),
            failed @ (Outcome::Failed(_) | Outcome::Told(_) | Outcome::NotRun(_)) => return Ok(failed),
        }
    }
    Ok(if missing.is_empty() { Outcome::Passed } else { Outcome::Skipped(missing.join("; ")) })
}

fn fetch_one(root: &Path, folder: &Path, tool: &Tool) -> Result<Outcome> {
    let Tool { name, package, .. } = tool;
    if !program(root, "apt-get") || !program(root, "dpkg") {
        return Ok(Outcome::Skipped(format!("{name}: not installed, and there is no apt-get to fetch it with")));
    }
    fs::create_dir_all(folder).context("creating target/tools")?;
    let download = || quiet(folder, "apt-get", &["download", package]);
    // The lists may be missing or old, and only root may fetch them.
    let fetched = download()? || (quiet(folder, "apt-get", &["update"])? && download()?);
    if !fetched {
        return Ok(Outcome::Skipped(format!("{name}: apt-get cannot fetch the package {package}")));
    }
    for entry in fs::read_dir(folder)?.flatten() {
        let package = entry.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            let package_name = package.to_string_lossy();
            if !quiet(folder, "dpkg", &["-x", &package_name, "."])? {
                return Ok(Outcome::Failed(format!("dpkg cannot unpack {package_name}")));
            }
            fs::remove_file(&package)?;
        }
    }
    Ok(Outcome::Passed)
}

fn quiet(folder: &Path, program: &str, args: &[&str]) -> Result<bool> {
    let status = Command::new(program)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("running {program}"))?;
    Ok(status.success())
}
