//! A Debian package of what `make install` installs: no more than that, so that the two cannot differ.
//!
//! It is made by dpkg-deb alone. The same sources make the same bytes, so whoever caches by content has nothing to do.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

const NAME: &str = "storage-reactor";
/// What dpkg runs, beside the package's description.
const SCRIPTS: [(&str, &str); 3] = [
    ("postinst", include_str!("deb/postinst")),
    ("prerm", include_str!("deb/prerm")),
    ("postrm", include_str!("deb/postrm")),
];
/// Programs, and a library, that the lowest version of the C library is taken from.
const PROGRAMS: [&str; 6] = [
    "usr/sbin/reactord",
    "usr/sbin/reactorctl",
    "usr/bin/prpt",
    "usr/libexec/storage-reactor/reactor-helper",
    "usr/libexec/storage-reactor/ocf-rs-wrapper",
    "usr/lib/libreactor_storage_c.so.0",
];
/// dpkg has the linker look again at what libraries there are.
const TRIGGERS: &str = "activate-noawait ldconfig\n";

/// Builds the package from programs of this profile of cargo's, and returns its file.
pub(crate) fn build(root: &Path, profile: &str) -> Result<PathBuf> {
    let folder = root.join("target/deb");
    let tree = folder.join("root");
    // What an earlier version installed has no place in it.
    if tree.exists() {
        fs::remove_dir_all(&tree).with_context(|| format!("removing {}", tree.display()))?;
    }
    fs::create_dir_all(&tree).with_context(|| format!("making {}", tree.display()))?;
    let make = ["install", &format!("DESTDIR={}", tree.display()), &format!("PROFILE={profile}")];
    run(Command::new("make").args(make).current_dir(root))?;
    let installed = list(&tree)?;
    let architecture = run(Command::new("dpkg").arg("--print-architecture"))?;
    describe(&tree, architecture.trim(), &installed)?;

    let version = env!("CARGO_PKG_VERSION");
    let package = folder.join(format!("{NAME}_{version}_{}.deb", architecture.trim()));
    let draft = folder.join("new.deb.part");
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.args(["--root-owner-group", "-Zgzip", "-z1", "--build"]).args([&tree, &draft]);
    if let Some(time) = time_of_sources(root) {
        dpkg.env("SOURCE_DATE_EPOCH", time);
    }
    run(&mut dpkg)?;
    compare(&draft, &folder.join("check"), &installed)?;
    // Packages of earlier versions would be taken for this one.
    for old in fs::read_dir(&folder)?.flatten().map(|entry| entry.path()) {
        if old.extension().is_some_and(|ending| ending == "deb") && old != package {
            fs::remove_file(&old).with_context(|| format!("removing {}", old.display()))?;
        }
    }
    fs::rename(&draft, &package).with_context(|| format!("renaming to {}", package.display()))?;
    Ok(package)
}

/// When the sources were committed. Without git nothing is lost but equal bytes.
fn time_of_sources(root: &Path) -> Option<String> {
    let time = run(Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(root)).ok()?;
    let time = time.trim().to_owned();
    (!time.is_empty()).then_some(time)
}

/// Runs a program that has to succeed, and returns what it printed.
fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("running {name}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !output.status.success() {
        bail!("{name} failed\n{}{}", text(&output.stdout), text(&output.stderr));
    }
    Ok(text(&output.stdout))
}

/// One entry of a tree: mode, name, and where a link leads. No owners, no times, no content.
type Entry = (String, String, String);

/// All of a tree.
fn list(tree: &Path) -> Result<BTreeSet<Entry>> {
    let mut found = BTreeSet::new();
    let mut folders = vec![tree.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            let path = entry?.path();
            let name = path.strip_prefix(tree)?.to_string_lossy().into_owned();
            let metadata = path.symlink_metadata()?;
            let target =
                if metadata.is_symlink() { fs::read_link(&path)?.display().to_string() } else { String::new() };
            if metadata.is_dir() {
                folders.push(path);
            }
            found.insert((name, format!("{:o}", metadata.mode()), target));
        }
    }
    Ok(found)
}

/// Writes the package's description and dpkg's scripts.
fn describe(tree: &Path, architecture: &str, installed: &BTreeSet<Entry>) -> Result<()> {
    let folder = tree.join("DEBIAN");
    fs::create_dir(&folder)?;
    let mut libc = (0, 0);
    for program in PROGRAMS {
        let bytes = fs::read(tree.join(program)).with_context(|| format!("reading {program}"))?;
        ensure!(!has_debug_information(&bytes), "{program} has debug information: `make install` has to strip it");
        libc = libc.max(newest_glibc(&bytes));
    }
    let sizes = installed.iter().map(|(name, ..)| tree.join(name).symlink_metadata().map_or(0, |data| data.len()));
    let control = control(architecture, libc, sizes.sum::<u64>().div_ceil(1024));
    fs::write(folder.join("control"), control)?;
    fs::write(folder.join("conffiles"), conffiles(installed))?;
    fs::write(folder.join("triggers"), TRIGGERS)?;
    for (name, text) in SCRIPTS {
        fs::write(folder.join(name), text)?;
        fs::set_permissions(folder.join(name), Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn control(architecture: &str, libc: (u32, u32), kilobytes: u64) -> String {
    let (version, (major, minor)) = (env!("CARGO_PKG_VERSION"), libc);
    format!(
        "Package: {NAME}\n\
         Version: {version}\n\
         Architecture: {architecture}\n\
         Maintainer: The maintainers of Storage Reactor <root@localhost>\n\
         Installed-Size: {kilobytes}\n\
         Section: admin\n\
         Priority: optional\n\
         Depends: libc6 (>= {major}.{minor}), libgcc-s1, systemd, dbus\n\
         Recommends: drbd-utils\n\
         Suggests: resource-agents, snmpd, python3\n\
         Conflicts: drbd-reactor\n\
         Replaces: drbd-reactor\n\
         Description: keeps services on DRBD running, runs handlers, serves metrics\n \
         A daemon that follows DRBD and the kernel's storage messages, starts services\n \
         where the data is, and tells administrators and monitoring what happens.\n"
    )
}

/// Files that an administrator changes: dpkg asks before it replaces them.
fn conffiles(installed: &BTreeSet<Entry>) -> String {
    let mut text = String::new();
    for (name, mode, _) in installed {
        // 100...: a file.
        if name.starts_with("etc/") && mode.starts_with("100") {
            let _written = writeln!(text, "/{name}");
        }
    }
    text
}

/// Whether a program has a section of debug information: its name stands in the program.
fn has_debug_information(program: &[u8]) -> bool {
    const NAME: &[u8] = b"\0.debug_info\0";
    program.windows(NAME.len()).any(|window| window == NAME)
}

/// The newest version of the GNU C library whose symbols a program names.
fn newest_glibc(program: &[u8]) -> (u32, u32) {
    const MARK: &[u8] = b"GLIBC_";
    let after = program.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
    let versions = after.filter_map(|(at, _)| {
        let text = &program[at + MARK.len()..];
        let end = text.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
        let mut numbers = std::str::from_utf8(&text[..end]).ok()?.split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    versions.max().unwrap_or_default()
}

/// Unpacks the package and sees that it has what `make install` has installed, and nothing else.
fn compare(package: &Path, folder: &Path, installed: &BTreeSet<Entry>) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    run(Command::new("dpkg-deb").arg("--extract").args([package, folder]))?;
    let packed = list(folder)?;
    fs::remove_dir_all(folder)?;
    let differences: Vec<&Entry> = packed.symmetric_difference(installed).collect();
    ensure!(differences.is_empty(), "the package differs from `make install` in {differences:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, mode: &str) -> Entry {
        (name.to_owned(), mode.to_owned(), String::new())
    }

    #[test]
    fn the_newest_symbol_decides_which_c_library_is_needed() {
        let program = b"\0GLIBC_2.9\0GLIBC_2.34\0GLIBC_2.2.5\0GLIBC_PRIVATE\0xGLIBC_";
        assert_eq!(newest_glibc(program), (2, 34));
        assert_eq!(newest_glibc(b"static"), (0, 0));
    }

    #[test]
    fn debug_information_is_seen() {
        assert!(has_debug_information(b"ELF\0.text\0.debug_info\0.debug_line\0"));
        assert!(!has_debug_information(b"ELF\0.text\0 no .debug_info here"));
    }

    #[test]
    fn only_files_below_etc_are_configuration() {
        let installed = BTreeSet::from([
            entry("etc", "40755"),
            entry("etc/storage-reactor.d", "40750"),
            entry("etc/storage-reactor.toml", "100640"),
            entry("usr/sbin/reactord", "100750"),
        ]);
        assert_eq!(conffiles(&installed), "/etc/storage-reactor.toml\n");
    }

    #[test]
    fn the_description_is_one_that_dpkg_reads() {
        let text = control("amd64", (2, 34), 12);
        assert!(text.ends_with('\n'));
        for line in text.lines() {
            let continued = line.starts_with(' ');
            assert!(continued || line.split_once(": ").is_some_and(|(_, value)| !value.is_empty()), "{line:?}");
        }
        assert!(text.contains("\nDepends: libc6 (>= 2.34), "));
    }

    #[test]
    fn dpkgs_scripts_are_good_shell() {
        for (name, text) in SCRIPTS {
            let done = Command::new("sh").args(["-n", "-c", text]).status().unwrap();
            assert!(done.success() && text.starts_with("#!/bin/sh\nset -e\n"), "{name}");
        }
    }
}
