//! Real counterparts that tests use, fetched where that can be done without changing the system.
//!
//! Prometheus and promtool, the OCF agents, dbus-daemon and DRBD's own handlers come from Debian's packages `prometheus`, `resource-agents`, `dbus-daemon` and
//! `drbd-utils`, net-snmp's programs and libsmi's checker from `snmpd`, `snmp`, `snmptrapd` and `smitools`, all of which are unpacked into `target/tools` and not installed: installing would start a server.

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
    /// Whether the packages that it depends on, and that are not installed, are fetched with it: it is linked with their libraries.
    linked: bool,
}

const fn tool(name: &'static str, package: &'static str, file: &'static str) -> Tool {
    Tool { name, package, file, linked: false }
}

/// The same with its libraries.
const fn linked(name: &'static str, package: &'static str, file: &'static str) -> Tool {
    Tool { linked: true, ..tool(name, package, file) }
}

/// All of them. The OCF agents find their shell library by `OCF_ROOT`, so they work where they are unpacked.
const TOOLS: [Tool; 9] = [
    tool("prometheus", "prometheus", "usr/bin/prometheus"),
    tool("promtool", "prometheus", "usr/bin/promtool"),
    tool("OCF agents", "resource-agents", "usr/lib/ocf/resource.d/heartbeat/Dummy"),
    tool("dbus-daemon", "dbus-daemon", "usr/bin/dbus-daemon"),
    tool("DRBD's handlers", "drbd-utils", "usr/lib/drbd/notify.sh"),
    linked("snmpd", "snmpd", "usr/sbin/snmpd"),
    linked("snmpget", "snmp", "usr/bin/snmpget"),
    linked("snmptrapd", "snmptrapd", "usr/sbin/snmptrapd"),
    linked("smilint", "smitools", "usr/bin/smilint"),
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
    let Tool { name, package, linked, .. } = tool;
    if !program(root, "apt-get") || !program(root, "dpkg") {
        return Ok(Outcome::Skipped(format!("{name}: not installed, and there is no apt-get to fetch it with")));
    }
    fs::create_dir_all(folder).context("creating target/tools")?;
    let download = || {
        let mut packages = vec![(*package).to_owned()];
        if *linked {
            packages.extend(dependencies(package)?);
        }
        let arguments: Vec<&str> = std::iter::once("download").chain(packages.iter().map(String::as_str)).collect();
        quiet(folder, "apt-get", &arguments)
    };
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

/// What would have to be installed with a package. Each line is `'ADDRESS' NAME_VERSION_ARCHITECTURE.deb SIZE SUM`.
fn dependencies(package: &str) -> Result<Vec<String>> {
    let output = Command::new("apt-get")
        .args(["-qq", "--print-uris", "--no-install-recommends", "-o", "Debug::NoLocking=1", "install", package])
        .stdin(Stdio::null())
        .output()
        .context("running apt-get")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let files = text.lines().filter_map(|line| line.split_whitespace().nth(1));
    let names = files.filter_map(|file| Some(file.split_once('_')?.0.to_owned()));
    Ok(names.filter(|name| name != package).collect())
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
