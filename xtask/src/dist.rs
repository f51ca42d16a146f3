//! Whether systemd understands what we install.
//!
//! `systemd-analyze verify` wants every program and unit that is named to exist; on a machine that builds they do not, so just these complaints
//! are left out.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::gate::Outcome;
use crate::stages::program;
use crate::tools;

/// Complaints about the machine and not about our files.
const OF_THE_MACHINE: &[&str] = &[
    "is not executable",
    "Failed to add dependency on",
    "not found",
    "SELinux",
    "Failed to open /dev",
    "/lib/systemd/system/",
];

/// Checks the units, and the shell scripts among the examples and of the tests.
pub(crate) fn check(root: &Path) -> Result<Outcome> {
    let mut found = Vec::new();
    for (folder, shell) in [("example", "sh"), ("tests", "bash")] {
        for script in files(&root.join(folder), "sh")? {
            found.extend(run(root, shell, &["-n", &script])?);
        }
    }
    if program(root, "shellcheck") {
        found.extend(shellcheck(root)?);
    }
    if !program(root, "systemd-analyze") {
        return Ok(Outcome::Skipped("systemd-analyze is not installed".to_owned()));
    }
    for folder in ["dist", "example"] {
        for ending in ["service", "path", "target", "timer"] {
            for unit in files(&root.join(folder), ending)? {
                if let Some(complaint) = run(root, "systemd-analyze", &["verify", "--man=no", &unit])? {
                    found.push(complaint);
                }
            }
        }
    }
    found.extend(with_drop_in(root)?);
    if found.is_empty() { Ok(Outcome::Passed) } else { Ok(Outcome::Failed(found.join("\n"))) }
}

/// The daemon's unit with the drop-in and the names of `make install COMPAT=1`: both of them have to be good.
fn with_drop_in(root: &Path) -> Result<Option<String>> {
    let folder = root.join("target/dist-check");
    // What an earlier version left there may be a link where a file belongs.
    let _ = fs::remove_dir_all(&folder);
    let drop_ins = folder.join("storage-reactor.service.d");
    fs::create_dir_all(&drop_ins).with_context(|| format!("making {}", drop_ins.display()))?;
    for (from, to) in [
        ("dist/storage-reactor.service", "drbd-reactor.service"),
        ("dist/storage-reactor-services.target", "storage-reactor-services.target"),
        ("dist/drbd-reactor.conf", "storage-reactor.service.d/drbd-reactor.conf"),
    ] {
        fs::copy(root.join(from), folder.join(to)).with_context(|| format!("copying {from}"))?;
    }
    let link = folder.join("storage-reactor.service");
    if !link.is_symlink() {
        symlink("drbd-reactor.service", &link).with_context(|| format!("making {}", link.display()))?;
    }
    run(root, "systemd-analyze", &["verify", "--man=no", &link.to_string_lossy()])
}

/// What shellcheck finds in the scripts of the tests, which share some files.
fn shellcheck(root: &Path) -> Result<Option<String>> {
    let scripts = files(&root.join("tests"), "sh")?;
    let args = ["--external-sources", "--source-path=SCRIPTDIR"].into_iter().chain(scripts.iter().map(String::as_str));
    let output = Command::new("shellcheck").args(args).current_dir(root).env("PATH", tools::path(root)).output();
    let output = output.context("running shellcheck")?;
    Ok((!output.status.success()).then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// What a program complains about.
fn run(root: &Path, program: &str, args: &[&str]) -> Result<Option<String>> {
    let output = Command::new(program).args(args).current_dir(root).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("running {program}"))?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> =
        complaints.lines().filter(|line| !OF_THE_MACHINE.iter().any(|of| line.contains(of))).collect();
    Ok((!ours.is_empty()).then(|| ours.join("\n")))
}

/// The files of a folder that end like this, in order.
pub(crate) fn files(folder: &Path, ending: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path.to_string_lossy().into_owned());
        }
    }
    found.sort();
    Ok(found)
}
