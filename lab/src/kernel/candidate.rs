//! Kernels that may run here: where they come from, and in which ways each can run its processes.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{elf, suite};
use crate::image::fetch::fetch;
use crate::image::root::program;
use crate::image::store::Store;
use crate::image::{CLibrary, Image, Runner, UmlStart};
use crate::keeper::LOADER_FD;

const PACKAGE: &str = "user-mode-linux";
const PROGRAM: &str = "usr/bin/linux.uml";
const MODULES: &str = "usr/lib/uml/modules";
/// The copy that takes its dynamic loader from the keeper.
const WITH_LOADER: &str = "linux.uml";
/// Says in a folder of the store which version of the package it is.
const VERSION: &str = "version";
/// Where a C library is in its package, and its loader's name.
const LIBRARIES: [&str; 2] = ["libc/usr/lib/x86_64-linux-gnu", "libc/lib/x86_64-linux-gnu"];
const LOADER: &str = "ld-linux-x86-64.so.2";
/// How a kernel runs its processes: quickest first.
pub(super) const WAYS: [&str; 2] = ["seccomp", "ptrace"];

/// Where a kernel comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Unstable,
    Testing,
    Stable,
    /// This machine's own release: installed, or fetched by its apt.
    Own,
}

impl Origin {
    /// The newest first.
    pub(super) const ALL: [Self; 4] = [Self::Unstable, Self::Testing, Self::Stable, Self::Own];

    /// Its name, for Debian's suites also theirs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unstable => "unstable",
            Self::Testing => "testing",
            Self::Stable => "stable",
            Self::Own => "own",
        }
    }

    /// Whose it is, in a sentence.
    fn of(self) -> String {
        match self {
            Self::Own => "of this machine's release".to_owned(),
            Self::Unstable | Self::Testing | Self::Stable => format!("of Debian {}", self.name()),
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|origin| origin.name() == name)
    }

    fn folder(self) -> String {
        format!("kernel-{}", self.name())
    }

    /// Its kernel, as far as it is on the disk.
    pub(super) fn here(self, store: &Store) -> Option<Kernel> {
        let fetched = store.path(&self.folder());
        match self {
            Self::Own => Kernel::below(self, Path::new("/")).or_else(|| Kernel::below(self, &fetched)),
            Self::Unstable | Self::Testing | Self::Stable => Kernel::below(self, &fetched),
        }
    }

    /// Its kernel, fetched if need be; none if its version is among those that are known; else why there is none. The store is locked.
    pub(super) fn kernel(
        self,
        store: &Store,
        known: &[String],
        tell: &mut dyn FnMut(&str),
    ) -> Result<Option<Kernel>, String> {
        let not_known = |kernel: Kernel| Some(kernel).filter(|kernel| !known.contains(&kernel.version));
        if let Some(kernel) = self.here(store) {
            return Ok(not_known(kernel));
        }
        if std::env::consts::ARCH != "x86_64" {
            return Err(format!("Debian has no User-Mode Linux for {}", std::env::consts::ARCH));
        }
        tell(&format!("fetching the kernel {} (40 MB)", self.of()));
        let fetched = match self {
            Self::Own => {
                fetch(store, PACKAGE, &self.folder(), PROGRAM).map(|()| true).map_err(|error| suite::chain(&error))
            }
            Self::Unstable | Self::Testing | Self::Stable => suite::fetch(store, self.name(), &self.folder(), known),
        }?;
        if !fetched {
            return Ok(None);
        }
        let kernel = self.here(store).ok_or_else(|| format!("its package has no {PROGRAM} that can be started"))?;
        Ok(not_known(kernel))
    }
}

/// Removes what was fetched. The store is locked.
pub(super) fn forget(store: &Store) {
    for origin in Origin::ALL {
        // What is not there need not go; what cannot go is used again.
        let _none = fs::remove_dir_all(store.path(&origin.folder()));
    }
}

/// A kernel on the disk.
#[derive(Debug, Clone)]
pub(super) struct Kernel {
    origin: Origin,
    version: String,
    program: PathBuf,
    modules: PathBuf,
    library: Option<CLibrary>,
    seccomp: bool,
}

impl Kernel {
    /// That of an unpacked or installed package.
    fn below(origin: Origin, root: &Path) -> Option<Self> {
        let (program, modules) = (root.join(PROGRAM), root.join(MODULES));
        if !program.is_file() || !modules.is_dir() {
            return None;
        }
        let version = fs::read_to_string(root.join(VERSION)).ok().map(|text| text.trim().to_owned());
        let version = version.or_else(installed_version).unwrap_or_else(|| newest_modules(&modules));
        let seccomp = says(&program, "seccomp=");
        if starts(&program) {
            return Some(Self { origin, version, program, modules, library: None, seccomp });
        }
        // It was linked with a newer C library than this machine's: it gets the one that came with it.
        let folder = LIBRARIES.iter().map(|folder| root.join(folder)).find(|folder| folder.join(LOADER).exists())?;
        let copy = root.join(WITH_LOADER);
        if !copy.is_file() {
            let draft = root.join(format!("{WITH_LOADER}.new"));
            elf::with_loader(&program, &draft, &format!("/proc/self/fd/{LOADER_FD}")).ok()?;
            fs::rename(&draft, &copy).ok()?;
        }
        let library = Some(CLibrary { loader: folder.join(LOADER), folder });
        Some(Self { origin, version, program: copy, modules, library, seccomp })
    }

    /// All ways to run it, the quickest first.
    pub(super) fn ways(self) -> Vec<Candidate> {
        let way = |way: &'static str, words: &[&str]| Candidate {
            origin: self.origin.name().to_owned(),
            of: self.origin.of(),
            way: way.to_owned(),
            version: self.version.clone(),
            program: self.program.clone(),
            modules: self.modules.clone(),
            start: UmlStart {
                library: self.library.clone(),
                words: words.iter().map(|word| (*word).to_owned()).collect(),
            },
        };
        let [seccomp, ptrace] = WAYS;
        // `seccomp=on` is for user space that is trusted, says the kernel: that of a lab is.
        if self.seccomp {
            vec![way(seccomp, &["seccomp=on"]), way(ptrace, &["seccomp=off"])]
        } else {
            vec![way(ptrace, &[])]
        }
    }
}

/// A kernel, and one way to run it.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Where it comes from: unstable, testing, stable, own.
    pub origin: String,
    /// The same in a sentence: "of Debian stable".
    pub of: String,
    /// How it runs its processes: seccomp, ptrace.
    pub way: String,
    /// The version of its package.
    pub version: String,
    /// The program.
    pub program: PathBuf,
    /// Its modules.
    pub modules: PathBuf,
    /// What it needs to start.
    pub start: UmlStart,
}

impl Candidate {
    /// `ORIGIN-WAY`, as `LAB_KERNEL` takes it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}", self.origin, self.way)
    }

    /// That of this name, as far as it is on the disk.
    pub(super) fn named(store: &Store, name: &str) -> Option<Self> {
        let origin = Origin::named(name.split('-').next()?)?;
        origin.here(store)?.ways().into_iter().find(|way| way.name() == name)
    }

    /// What nodes run with it.
    #[must_use]
    pub fn image(&self, base: &Path) -> Image {
        Image {
            kernel: self.program.clone(),
            modules: self.modules.clone(),
            base: base.to_owned(),
            runner: Runner::Uml(self.start.clone()),
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let linux = newest_modules(&self.modules);
        write!(f, "Linux {linux} ({PACKAGE} {} {}, {})", self.version, self.of, self.way)
    }
}

/// Whether it starts with the C library of this machine.
fn starts(program: &Path) -> bool {
    let mut ask = Command::new(program);
    ask.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    ask.status().is_ok_and(|status| status.success())
}

/// Whether a word is in the program's text: the kernel's own help is there.
fn says(path: &Path, word: &str) -> bool {
    let mut grep = Command::new(program("grep").unwrap_or_else(|| PathBuf::from("grep")));
    grep.args(["--quiet", "--text", "--fixed-strings", word]).arg(path).stdin(Stdio::null());
    grep.status().is_ok_and(|status| status.success())
}

fn installed_version() -> Option<String> {
    let mut query = Command::new(program("dpkg-query")?);
    query.args(["--show", "--showformat=${Version}", PACKAGE]).stdin(Stdio::null()).stderr(Stdio::null());
    let output = query.output().ok().filter(|output| output.status.success())?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Some(version).filter(|version| !version.is_empty())
}

/// The kernel's own version: its folder of modules is called so.
fn newest_modules(modules: &Path) -> String {
    let entries = fs::read_dir(modules).into_iter().flatten().flatten();
    let newest = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).max();
    newest.unwrap_or_else(|| "of an unknown version".to_owned())
}
