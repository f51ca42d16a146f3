//! The lower layer: Debian with our list of packages, as a tar file.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::error::ImageError;
use super::fetch;
use super::recipe::{Recipe, SUITE};
use super::store::Store;

/// The layer's file.
const TAR: &str = "root.tar";
const MMDEBSTRAP: &str = "usr/bin/mmdebstrap";
/// Where apt has its sources.
const SOURCES: &str = "/etc/apt/sources.list";
const MORE_SOURCES: &str = "/etc/apt/sources.list.d";
/// What building takes: the tar file, and the unpacked system with the packages it comes from.
const TAR_MIB: u64 = 400;
const SYSTEM_MIB: u64 = 800;

/// Makes sure that the layer is there.
pub(super) fn ensure(store: &Store, recipe: &Recipe, tell: &mut dyn FnMut(&str)) -> Result<PathBuf, ImageError> {
    if let Some(folder) = store.find(recipe) {
        return Ok(folder.join(TAR));
    }
    store.room(TAR_MIB)?;
    let mmdebstrap = mmdebstrap(store)?;
    let rights = Rights::find(&mmdebstrap)?;
    tell("building the nodes' system from Debian's packages (a minute)");
    let draft = store.draft(&recipe.folder())?;
    let log = log_of(store, "mmdebstrap");
    let mirror = mirror()?;
    let names: Vec<&str> = recipe.packages().collect();
    let mut command = Command::new(&mmdebstrap);
    command.args([
        "--variant=minbase",
        &format!("--mode={}", rights.mode()),
        "--aptopt=APT::Install-Recommends \"false\"",
    ]);
    for proxy in proxy() {
        command.arg(format!("--aptopt={proxy}"));
    }
    command.arg("--dpkgopt=force-unsafe-io");
    // mmdebstrap leaves files out by a program in Python. Without it the system is a third larger, which is all.
    if program("python3").is_some() {
        for unread in ["doc", "man", "locale", "info"] {
            command.arg(format!("--dpkgopt=path-exclude=/usr/share/{unread}/*"));
        }
    }
    command.arg(format!("--include={}", names.join(",")));
    command.arg(SUITE).arg(draft.path(TAR)).arg(&mirror);
    let scratch = store.scratch(SYSTEM_MIB)?;
    command.env("TMPDIR", scratch.path("")).env("LC_ALL", "C.UTF-8");
    let ended = step(&mut command, &log)?;
    if !ended.success() {
        return Err(why(&said(&log), &log, mirror));
    }
    store.keep(&draft, recipe).map(|folder| folder.join(TAR))
}

/// mmdebstrap's own errors, as far as something can be done about them.
fn why(said: &str, log: &Path, mirror: String) -> ImageError {
    let all = fs::read_to_string(log).unwrap_or_default();
    let (said, log) = (said.to_owned(), log.to_owned());
    let network =
        ["Temporary failure", "Could not resolve", "Could not connect", "Failed to fetch", "Unable to locate"];
    if network.iter().any(|sign| all.contains(sign)) || all.contains("apt-get update failed") {
        let first =
            all.lines().find(|line| line.starts_with("E: ") || line.starts_with("Err:") || line.starts_with("W: "));
        return ImageError::Fetch { mirror, said: first.unwrap_or(&said).to_owned(), log };
    }
    ImageError::Step { step: "build the nodes' system", said, log }
}

/// The program, installed or fetched.
fn mmdebstrap(store: &Store) -> Result<PathBuf, ImageError> {
    if let Some(program) = program("mmdebstrap") {
        return Ok(program);
    }
    let fetched = store.path("mmdebstrap").join(MMDEBSTRAP);
    if !fetched.is_file() {
        fetch::fetch(store, "mmdebstrap", "mmdebstrap", "mmdebstrap")?;
    }
    Ok(fetched)
}

/// With what rights the file system is built: its files belong to root and others.
#[derive(Debug, Clone)]
pub(super) enum Rights {
    Root,
    /// mmdebstrap runs a program in a user namespace in which we are root.
    Namespace {
        mmdebstrap: PathBuf,
    },
}

impl Rights {
    /// What we have.
    pub(super) fn find(mmdebstrap: &Path) -> Result<Self, ImageError> {
        if rustix::process::geteuid().is_root() {
            return Ok(Self::Root);
        }
        let rights = Self::Namespace { mmdebstrap: mmdebstrap.to_owned() };
        let tried = rights.command("true").stdin(Stdio::null()).output();
        match tried {
            Ok(tried) if tried.status.success() => Ok(rights),
            Ok(tried) => {
                let said = String::from_utf8_lossy(&tried.stderr).trim().replace('\n', "; ");
                Err(ImageError::Rights { why: said })
            }
            Err(error) => Err(ImageError::Rights { why: format!("{}: {error}", mmdebstrap.display()) }),
        }
    }

    /// The same for whoever has no mmdebstrap at hand yet.
    pub(super) fn here(store: &Store) -> Result<Self, ImageError> {
        if rustix::process::geteuid().is_root() { Ok(Self::Root) } else { Self::find(&mmdebstrap(store)?) }
    }

    /// Lets the namespace's root, who is another user outside of it, write into a folder.
    pub(super) fn open(&self, folder: &Path) -> Result<(), ImageError> {
        self.set_mode(folder, 0o1777)
    }

    /// And no more.
    pub(super) fn close(&self, folder: &Path) -> Result<(), ImageError> {
        self.set_mode(folder, 0o755)
    }

    fn set_mode(&self, folder: &Path, mode: u32) -> Result<(), ImageError> {
        match self {
            Self::Root => Ok(()),
            Self::Namespace { .. } => fs::set_permissions(folder, fs::Permissions::from_mode(mode)).map_err(|source| {
                ImageError::File { what: "change the permissions of", path: folder.to_owned(), source }
            }),
        }
    }

    fn mode(&self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Namespace { .. } => "unshare",
        }
    }

    /// A program as root.
    pub(super) fn command(&self, program: &str) -> Command {
        match self {
            Self::Root => Command::new(program),
            Self::Namespace { mmdebstrap } => {
                let mut command = Command::new(mmdebstrap);
                command.arg("--unshare-helper").arg(program);
                command
            }
        }
    }
}

/// Where packages come from: `LAB_MIRROR`, or the sources of this machine if they are of the right release.
fn mirror() -> Result<String, ImageError> {
    if let Ok(mirror) = std::env::var("LAB_MIRROR") {
        return Ok(mirror);
    }
    let more = fs::read_dir(MORE_SOURCES).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut sources: Vec<PathBuf> = more.collect();
    sources.sort();
    sources.push(SOURCES.into());
    sources
        .into_iter()
        .find(|path| fs::read_to_string(path).is_ok_and(|text| names_the_suite(&text)))
        .and_then(|path| path.to_str().map(str::to_owned))
        .ok_or(ImageError::NoMirror { suite: SUITE })
}

/// Whether a file of apt's sources has Debian's main archive of our release: other vendors' files name the release as well.
fn names_the_suite(sources: &str) -> bool {
    sources.lines().map(str::trim).filter(|line| !line.starts_with('#')).any(|line| {
        let one_line = line.starts_with("deb ") && line.split_whitespace().any(|word| word == "main");
        (one_line || line.starts_with("Suites:")) && line.split_whitespace().any(|word| word == SUITE)
    }) && sources.contains("debian")
}

/// The proxy that this machine's apt uses; mmdebstrap starts from an empty configuration.
fn proxy() -> Vec<String> {
    let output = Command::new("apt-config").args(["dump", "Acquire::http::Proxy"]).stdin(Stdio::null()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines()
        .filter(|line| line.starts_with("Acquire::http::Proxy \"") && !line.contains("\"\""))
        .map(str::to_owned)
        .collect()
}

/// Where a program is. System programs are not in everybody's PATH.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = path();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// PATH with the folders of system programs.
pub(super) fn path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    path.push(":/usr/sbin:/sbin");
    path
}

/// Where a step's output goes.
pub(crate) fn log_of(store: &Store, step: &str) -> PathBuf {
    store.path(&format!("{step}.log"))
}

/// Runs a step; all it says goes into its log.
pub(crate) fn step(command: &mut Command, log: &Path) -> Result<ExitStatus, ImageError> {
    let file = |source| ImageError::File { what: "write", path: log.to_owned(), source };
    let output = File::create(log).map_err(file)?;
    let errors = output.try_clone().map_err(file)?;
    let program = PathBuf::from(command.get_program());
    let mut path = path();
    // A program that is not installed finds its helpers beside it.
    if let Some(folder) = program.parent().filter(|folder| folder.is_absolute()) {
        path.push(":");
        path.push(folder);
    }
    command.stdin(Stdio::null()).stdout(output).stderr(errors).env("PATH", path);
    command.status().map_err(|source| ImageError::File { what: "run", path: program, source })
}

/// The last words of a log.
pub(crate) fn said(log: &Path) -> String {
    const LAST: u64 = 4 << 10;
    let tail = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(LAST)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = tail().unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(3)..];
    if last.is_empty() { "it said nothing".to_owned() } else { last.join(" / ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_that_cannot_be_reached_is_told_from_other_troubles() {
        let folder = crate::image::store::test_folder("why");
        let log = folder.join("log");
        fs::write(&log, "I: running apt-get update...\nErr:1 http://x bookworm InRelease\n  Could not resolve 'x'\nE: apt-get update failed\n").unwrap();
        let error = why(&said(&log), &log, "http://x".to_owned()).to_string();
        assert!(
            error.contains("Err:1 http://x") && error.contains("LAB_MIRROR") && error.contains("http://x reachable"),
            "{error}"
        );
        fs::write(&log, "dpkg: error: disk is on fire\n").unwrap();
        let error = why(&said(&log), &log, "http://x".to_owned()).to_string();
        assert!(
            error.starts_with("cannot build the nodes' system: dpkg: error: disk is on fire (the whole story"),
            "{error}"
        );
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn sources_of_the_right_release_are_told_from_others() {
        let deb822 = "Types: deb\nURIs: http://x/debian\nSuites: bookworm bookworm-updates\nComponents: main\n";
        assert!(names_the_suite(deb822));
        assert!(names_the_suite("deb [arch=amd64] http://x/debian bookworm main contrib\n"));
        assert!(!names_the_suite(&deb822.replace("bookworm", "trixie")));
        assert!(!names_the_suite("# deb http://x/debian bookworm main\n"));
        assert!(!names_the_suite("deb http://x/ubuntu noble main\n"));
        assert!(!names_the_suite("deb http://x/debian bookworm pgdg\n"), "a vendor's");
    }

    #[test]
    fn last_words_are_the_last_ones() {
        let folder = crate::image::store::test_folder("said");
        let log = folder.join("log");
        assert_eq!(said(&log), "it said nothing");
        let long: String = (0..2000).map(|number| format!("line {number}\n\n")).collect();
        fs::write(&log, long).unwrap();
        assert_eq!(said(&log), "line 1997 / line 1998 / line 1999");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn system_programs_are_found_without_a_path_to_them() {
        assert!(program("sh").is_some());
        assert!(program("no-such-program").is_none());
        assert!(path().to_string_lossy().ends_with(":/usr/sbin:/sbin"));
    }
}
