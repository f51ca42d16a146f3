//! What a layer is made of, as text: if two recipes are equal, so are the layers.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::ImageError;
use super::{Options, assemble};

/// The release of Debian in the nodes.
pub(super) const SUITE: &str = "bookworm";
/// Goes up when something changes that the recipe does not show.
const BUILDER: u32 = 1;

/// What the tests need in a node.
pub(super) const PACKAGES: &[&str] = &[
    // A system that boots, with cgroups, a journal and a bus.
    "systemd",
    "systemd-sysv",
    "dbus",
    "udev",
    "kmod",
    "util-linux",
    "procps",
    "psmisc",
    // Storage.
    "drbd-utils",
    "lvm2",
    "dmsetup",
    "multipath-tools",
    "mdadm",
    "e2fsprogs",
    "xfsprogs",
    "thin-provisioning-tools",
    "sg3-utils",
    // Network.
    "iproute2",
    "iputils-ping",
    "iputils-arping",
    "socat",
    "curl",
    // The way from one node to another.
    "openssh-server",
    "openssh-client",
    // What is asked and started.
    "resource-agents",
    // Containers.
    "lxc",
    "snmpd",
    "snmp",
    // For the tests themselves.
    "jq",
    "python3-minimal",
    "less",
];

/// A layer's recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recipe {
    pub(super) kind: &'static str,
    pub(super) text: String,
}

impl Recipe {
    /// Debian with our list of packages.
    pub(super) fn of_system(extra: &[String]) -> Self {
        let mut text = format!("builder {BUILDER}\nsuite {SUITE}\narchitecture {}\n", std::env::consts::ARCH);
        let mut names: Vec<&str> = PACKAGES.iter().copied().chain(extra.iter().map(String::as_str)).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            text += &format!("package {name}\n");
        }
        Self { kind: "root", text }
    }

    /// A system with our services, the agent and packages to be tested.
    pub(super) fn of_image(system: &Self, options: &Options) -> Result<Self, ImageError> {
        let mut text = system.text.clone();
        let mut line = |what: &str, name: &str, content: Content| {
            let Content { size, checksum } = content;
            // A String takes everything.
            let _written = writeln!(text, "{what} {name} {size} {checksum:08x}");
        };
        line("script", "assemble", Content::of(assemble::ASSEMBLE.as_bytes()));
        line("script", "customise", Content::of(assemble::CUSTOMISE.as_bytes()));
        for file in assemble::FILES {
            line("file", file.path, Content::of(file.text.as_bytes()));
        }
        line("agent", "lab-agent", content_of(&options.agent)?);
        for package in &options.packages {
            let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
            line("install", &name, content_of(package)?);
        }
        for (from, to) in &options.files {
            line("put", &to.display().to_string(), content_of(from)?);
        }
        let _written = writeln!(text, "size {} MiB", options.size_mib);
        Ok(Self { kind: "image", text })
    }

    /// An initramfs: the kernel, the list of its modules, our script, and which drivers it has.
    pub(super) fn of_initrd(kernel: &Path, modules: &Path, init: &str, drivers: &str) -> Result<Self, ImageError> {
        let mut text = format!("builder {BUILDER}\ninitrd\n");
        let mut line = |what: &str, name: &Path, content: Content| {
            let Content { size, checksum } = content;
            let _written = writeln!(text, "{what} {} {size} {checksum:08x}", name.display());
        };
        for path in [kernel, modules] {
            line("file", path, content_of(path)?);
        }
        line("script", Path::new("init"), Content::of(init.as_bytes()));
        line("list", Path::new("drivers"), Content::of(drivers.as_bytes()));
        Ok(Self { kind: "initrd", text })
    }

    /// The names of Debian's packages.
    pub(super) fn packages(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter_map(|line| line.strip_prefix("package "))
    }

    /// The layer's folder. Two recipes may share it by chance; the one that is in there says whose it is.
    pub(super) fn folder(&self) -> String {
        format!("{}-{:08x}", self.kind, crc32fast::hash(self.text.as_bytes()))
    }
}

/// By what a file's change is noticed.
struct Content {
    size: u64,
    checksum: u32,
}

impl Content {
    fn of(bytes: &[u8]) -> Self {
        Self { size: bytes.len() as u64, checksum: crc32fast::hash(bytes) }
    }
}

fn content_of(path: &Path) -> Result<Content, ImageError> {
    let read = || -> io::Result<Content> {
        let mut file = File::open(path)?;
        let (mut hasher, mut size, mut piece) = (crc32fast::Hasher::new(), 0, vec![0; 256 << 10]);
        loop {
            let count = file.read(&mut piece)?;
            if count == 0 {
                return Ok(Content { size, checksum: hasher.finalize() });
            }
            hasher.update(&piece[..count]);
            size += count as u64;
        }
    };
    read().map_err(|source| ImageError::File { what: "read", path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Kind;
    use std::path::PathBuf;

    fn options(folder: &Path) -> Options {
        let agent = folder.join("agent");
        std::fs::write(&agent, "agent").unwrap();
        Options {
            backend: Kind::Uml,
            cache: PathBuf::new(),
            agent,
            packages: vec![],
            extra: vec![],
            files: vec![],
            size_mib: 64,
        }
    }

    #[test]
    fn everything_that_goes_in_changes_the_recipe() {
        let folder = crate::image::store::test_folder("recipe");
        let mut options = options(&folder);
        let system = Recipe::of_system(&[]);
        let first = Recipe::of_image(&system, &options).unwrap();
        assert_eq!(Recipe::of_image(&system, &options).unwrap(), first);
        std::fs::write(&options.agent, "other").unwrap();
        let other_agent = Recipe::of_image(&system, &options).unwrap();
        options.packages.push(options.agent.clone());
        let with_package = Recipe::of_image(&system, &options).unwrap();
        options.files.push((options.agent.clone(), "usr/sbin/tool".into()));
        let with_file = Recipe::of_image(&system, &options).unwrap();
        let other_system = Recipe::of_image(&Recipe::of_system(&["vim".to_owned()]), &options).unwrap();
        let folders = [&first, &other_agent, &with_package, &with_file, &other_system].map(Recipe::folder);
        for (index, name) in folders.iter().enumerate() {
            assert!(!folders[..index].contains(name), "{folders:?}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_package_is_asked_for_once_in_a_fixed_order() {
        let system = Recipe::of_system(&["zsh".to_owned(), "jq".to_owned(), "acl".to_owned()]);
        let names: Vec<&str> = system.packages().collect();
        assert!(names.is_sorted());
        assert_eq!(names.iter().filter(|name| **name == "jq").count(), 1);
        assert_eq!(names.len(), PACKAGES.len() + 2);
    }

    #[test]
    fn an_agent_that_is_not_there_is_named() {
        let folder = crate::image::store::test_folder("missing");
        let mut options = options(&folder);
        options.agent = "/no/such/agent".into();
        let error = Recipe::of_image(&Recipe::of_system(&[]), &options).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /no/such/agent");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
