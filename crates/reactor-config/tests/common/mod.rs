//! A folder of its own for each test, with the modes that a configuration must have.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use reactor_config::{Finding, LoadOptions, Loaded, Severity, Style, load};
use reactor_core::settings::{Mode, PluginKind};

/// A folder below cargo's own, empty at the start of the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("config").join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        let folder = Self(path);
        folder.mode("", 0o755);
        folder
    }

    /// The same where everybody may enter: below a folder that only its owner may, others can't change a file whatever its mode is.
    pub(crate) fn open_to_all(name: &str) -> Self {
        let is_open = |base: &Path| {
            let enter = |folder: &Path| fs::metadata(folder).is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0);
            base.is_dir() && base.ancestors().all(enter)
        };
        let places = [std::env::temp_dir(), PathBuf::from("/var/tmp"), PathBuf::from("/dev/shm")];
        let base = places.into_iter().find(|place| is_open(place)).expect("a folder for everybody");
        let path = base.join(format!("reactor-config-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("d")).unwrap();
        let folder = Self(path);
        folder.mode("", 0o755);
        folder.mode("d", 0o755);
        folder.write("main.toml", "snippets = \"d\"\n");
        folder
    }

    /// A main file that names the folder `d`, and that folder.
    pub(crate) fn with_snippets(name: &str) -> Self {
        let folder = Self::new(name);
        folder.write("main.toml", "snippets = \"d\"\n");
        folder.dir("d");
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.0.clone() } else { self.0.join(name) }
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
        self.mode(name, 0o644);
    }

    pub(crate) fn dir(&self, name: &str) {
        fs::create_dir_all(self.path(name)).unwrap();
        self.mode(name, 0o755);
    }

    pub(crate) fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    pub(crate) fn options(&self, mode: Mode) -> LoadOptions {
        LoadOptions::new(self.path("main.toml"), mode)
    }

    pub(crate) fn load(&self, previous: Option<&Loaded>) -> Loaded {
        load(&self.options(Mode::Native), previous)
    }

    pub(crate) fn load_compat(&self, previous: Option<&Loaded>) -> Loaded {
        load(&self.options(Mode::DrbdReactor), previous)
    }

    /// The findings as they are printed, with short paths.
    pub(crate) fn told(&self, findings: &[Finding]) -> String {
        let rendered: Vec<String> = findings.iter().map(|finding| finding.render(Style::Plain)).collect();
        self.short(&(rendered.join("\n\n") + "\n"))
    }

    /// The findings in one line each, with short paths.
    pub(crate) fn lines(&self, findings: &[Finding]) -> String {
        self.short(&findings.iter().map(|finding| finding.one_line() + "\n").collect::<String>())
    }

    fn short(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.display()), "").replace(&self.0.display().to_string(), ".")
    }
}

/// The plugins that run, by kind.
pub(crate) fn kinds(loaded: &Loaded) -> Vec<PluginKind> {
    loaded.settings.plugins.iter().map(|entry| entry.settings.kind()).collect()
}

/// The errors among the findings.
pub(crate) fn errors(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|finding| finding.severity == Severity::Error).collect()
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.0.starts_with(env!("CARGO_TARGET_TMPDIR")) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
