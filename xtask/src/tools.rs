//! Real counterparts that tests use, fetched where that can be done without changing the system.
//!
//! promtool and the OCF agents come from Debian's packages `prometheus` and `resource-agents`, which are unpacked into `target/tools` and not
//! installed: installing would start a server.

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
const TOOLS: [Tool; 2] = [
    Tool { name: "promtool", package: "prometheus", file: "usr/bin/promtool" },
    Tool { name: "OCF agents", package: "resource-agents", file: "usr/lib/ocf/resource.d/heartbeat/Dummy" },
];

/// A program and the Debian package that has it.
const TOOLS: [(&str, &str); 2] = [("promtool", "prometheus"), ("dbus-daemon", "dbus-daemon")];

/// Fetches what is missing. Tests skip by name what is still missing then.
pub(crate) fn fetch(root: &Path) -> Result<Outcome> {
    let missing: Vec<_> = TOOLS.into_iter().filter(|(tool, _)| !program(root, tool)).collect();
    if missing.is_empty() {
        return Ok(Outcome::Passed);
    }
    let names: Vec<&str> = missing.iter().map(|(tool, _)| *tool).collect();
    if !program(root, "apt-get") || !program(root, "dpkg") {
        let why = format!("{}: not installed, and there is no apt-get to fetch it with", names.join(", "));
        return Ok(Outcome::Skipped(why));
    }
    let folder = root.join("target/tools");
    fs::create_dir_all(&folder).context("creating target/tools")?;
    let mut skipped = Vec::new();
    let mut updated = false;
    for (tool, package) in missing {
        let mut fetched = quiet(&folder, "apt-get", &["download", package])?;
        if !fetched && !updated {
            // The lists may be missing or old, and only root may fetch them.
            updated = true;
            fetched = quiet(&folder, "apt-get", &["update"])? && quiet(&folder, "apt-get", &["download", package])?;
        }
        if !fetched {
            skipped.push(format!("{tool}: apt-get cannot fetch the package {package}"));
        }
    }
    if let Some(failure) = unpack(&folder)? {
        return Ok(Outcome::Failed(failure));
    }
    Ok(if skipped.is_empty() { Outcome::Passed } else { Outcome::Skipped(skipped.join("; ")) })
}

/// Unpacks all packages in the folder; says what went wrong.
fn unpack(folder: &Path) -> Result<Option<String>> {
    for entry in fs::read_dir(folder)?.flatten() {
        let package = entry.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            let package_name = package.to_string_lossy();
            if !quiet(folder, "dpkg", &["-x", &package_name, "."])? {
                return Ok(Some(format!("dpkg cannot unpack {package_name}")));
            }
            fs::remove_file(&package)?;
        }
    }
    Ok(None)
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
