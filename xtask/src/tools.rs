//! Real counterparts that tests use, fetched where that can be done without changing the system.
//!
//! Prometheus and promtool, the OCF agents, dbus-daemon and DRBD's own handlers come from Debian's packages `prometheus`, `resource-agents`, `dbus-daemon` and
//! `drbd-utils`, net-snmp's programs and libsmi's checker from `snmpd`, `snmp`, `snmptrapd` and `smitools`, servers that are told from `rsyslog` and `ngircd`, and what makes a journal of a file from `systemd-journal-remote`, all of which are unpacked into `target/tools` and not installed: installing would start a server.
//! Python's module `varlink`, which Debian has no package of, comes from PyPI, by the pip that is there or the one of the package `python3-pip`.

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
const TOOLS: [Tool; 12] = [
    tool("prometheus", "prometheus", "usr/bin/prometheus"),
    tool("promtool", "prometheus", "usr/bin/promtool"),
    tool("OCF agents", "resource-agents", "usr/lib/ocf/resource.d/heartbeat/Dummy"),
    tool("dbus-daemon", "dbus-daemon", "usr/bin/dbus-daemon"),
    tool("DRBD's handlers", "drbd-utils", "usr/lib/drbd/notify.sh"),
    linked("snmpd", "snmpd", "usr/sbin/snmpd"),
    linked("snmpget", "snmp", "usr/bin/snmpget"),
    linked("snmptrapd", "snmptrapd", "usr/sbin/snmptrapd"),
    linked("smilint", "smitools", "usr/bin/smilint"),
    linked("rsyslogd", "rsyslog", "usr/sbin/rsyslogd"),
    linked("ngircd", "ngircd", "usr/sbin/ngircd"),
    linked("systemd-journal-remote", "systemd-journal-remote", "lib/systemd/systemd-journal-remote"),
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
    if let Outcome::Skipped(why) = fetch_module(root, &folder)? {
        missing.push(why);
    }
    Ok(if missing.is_empty() { Outcome::Passed } else { Outcome::Skipped(missing.join("; ")) })
}

fn fetch_one(root: &Path, folder: &Path, tool: &Tool) -> Result<Outcome> {
    let Tool { name, package, file, linked } = tool;
    if !program(root, "apt-get") || !program(root, "dpkg") {
        return Ok(Outcome::Skipped(format!("{name}: not installed, and there is no apt-get to fetch it with")));
    }
    fs::create_dir_all(folder).context("creating target/tools")?;
    let download = || {
        let mut packages = vec![(*package).to_owned()];
        if *linked {
            // Without its libraries it would be there from now on, and not run.
            match dependencies(folder, package)? {
                Ok(libraries) => packages.extend(libraries),
                Err(why) => return Ok(Err(why)),
            }
        }
        let arguments: Vec<&str> = std::iter::once("download").chain(packages.iter().map(String::as_str)).collect();
        run(folder, "apt-get", &arguments)
    };
    let mut fetched = download()?;
    // The lists may be missing or old, and only root may fetch them.
    if fetched.is_err() && run(folder, "apt-get", &["update"])?.is_ok() {
        fetched = download()?;
    }
    if let Err(why) = fetched {
        return Ok(Outcome::Skipped(format!("{name}: apt-get cannot fetch the package {package}: {why}")));
    }
    for entry in fs::read_dir(folder)?.flatten() {
        let package = entry.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            let package_name = package.to_string_lossy();
            let unpacked = run(folder, "dpkg", &["-x", &package_name, "."])?;
            // One that is broken shall not be in the way of the next attempt.
            fs::remove_file(&package)?;
            if let Err(why) = unpacked {
                return Ok(Outcome::Failed(format!("dpkg cannot unpack {package_name}: {why}")));
            }
        }
    }
    if !folder.join(file).is_file() {
        return Ok(Outcome::Failed(format!("{name}: the package {package} has no /{file}")));
    }
    Ok(Outcome::Passed)
}

/// Python's module for Varlink: that version, and these bytes.
const MODULE: &str = "varlink==31.0.0 --hash=sha256:0d0629e5ca7e629f79ed84dc5a4f29e04f3cc83b24641528e91a41fa158e58e9\n";

/// Fetches it into `target/tools/python`, if Python is there and does not have it.
fn fetch_module(root: &Path, folder: &Path) -> Result<Outcome> {
    let skipped = |why: &str| Ok(Outcome::Skipped(format!("Python's module varlink: {why}")));
    if !program(root, "python3") {
        return skipped("there is no python3");
    }
    fs::create_dir_all(folder).context("creating target/tools")?;
    if folder.join("python/varlink").is_dir() || run(folder, "python3", &["-c", "import varlink"])?.is_ok() {
        return Ok(Outcome::Passed);
    }
    fs::write(folder.join("python.txt"), MODULE).context("writing target/tools/python.txt")?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"];
    // Where there is no network but the packages of the distribution, nobody waits for long.
    let limits = ["--timeout", "10", "--retries", "1"];
    let what = ["--only-binary", ":all:", "--target", "python", "-r", "python.txt"];
    let arguments: Vec<&str> = pip.into_iter().chain(limits).chain(what).collect();
    if run(folder, "python3", &["-m", "pip", "--version"])?.is_ok() {
        return match run(folder, "python3", &arguments)? {
            Ok(_) => Ok(Outcome::Passed),
            Err(why) => skipped(&format!("pip cannot fetch it: {why}")),
        };
    }
    const PIP: &str = "usr/lib/python3/dist-packages";
    let fetched =
        fetch_one(root, folder, &tool("pip", "python3-pip", "usr/lib/python3/dist-packages/pip/__main__.py"))?;
    let Outcome::Passed = fetched else {
        return skipped("there is no pip, and its package cannot be fetched");
    };
    let path = format!("PYTHONPATH={}", folder.join(PIP).display());
    let arguments: Vec<&str> = [path.as_str(), "python3"].into_iter().chain(arguments).collect();
    match run(folder, "env", &arguments)? {
        Ok(_) => Ok(Outcome::Passed),
        Err(why) => skipped(&format!("pip cannot fetch it: {why}")),
    }
}

/// What would have to be installed with a package, or why apt-get does not know, for want of lists for example. Nothing is installed. Lines are
/// `Inst NAME [OLD VERSION] (VERSION ...)`.
fn dependencies(folder: &Path, package: &str) -> Result<Result<Vec<String>, String>> {
    let arguments = ["-qq", "--simulate", "--no-install-recommends", "install", package];
    Ok(run(folder, "apt-get", &arguments)?.map(|text| {
        let names = text.lines().filter_map(|line| line.strip_prefix("Inst ")?.split_whitespace().next());
        names.filter(|name| *name != package).map(str::to_owned).collect()
    }))
}

/// What a program prints, or what it complains of.
fn run(folder: &Path, program: &str, args: &[&str]) -> Result<Result<String, String>> {
    let output = Command::new(program)
        .args(args)
        .current_dir(folder)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("running {program}"))?;
    if output.status.success() {
        return Ok(Ok(String::from_utf8_lossy(&output.stdout).into_owned()));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    // Warnings come before the error, and advice behind it.
    let error = said.lines().find(|line| line.starts_with("E: ")).or_else(|| said.lines().last());
    Ok(Err(error.map_or_else(|| output.status.to_string(), |line| line.trim_start_matches("E: ").to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apt_get_complains_of_is_said() {
        let ran = |script: &str| run(Path::new("/"), "sh", &["-c", script]).expect("there is a shell");
        assert_eq!(ran("echo 'Inst libsnmp40 (5.9)'"), Ok("Inst libsnmp40 (5.9)\n".to_owned()));
        let lists = "echo 'W: old' >&2; echo 'E: Unable to locate package snmpd' >&2; echo 'N: advice' >&2; exit 100";
        assert_eq!(ran(lists), Err("Unable to locate package snmpd".to_owned()));
        assert_eq!(ran("echo 'no such option' >&2; exit 1"), Err("no such option".to_owned()));
        assert_eq!(ran("exit 7"), Err("exit status: 7".to_owned()));
    }
}
