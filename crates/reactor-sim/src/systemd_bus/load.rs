//! Finds the files of a unit: the unit file, the drop-ins, the links that enable or mask it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::file::Settings;
use super::name;

/// `LoadState`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "systemd's words")]
pub enum Load {
    Loaded,
    NotFound,
    Masked,
    BadSetting,
}

impl Load {
    /// systemd's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::NotFound => "not-found",
            Self::Masked => "masked",
            Self::BadSetting => "bad-setting",
        }
    }
}

/// A unit as its files say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loaded {
    /// `LoadState`.
    pub load: Load,
    /// What is wrong with it.
    pub fault: Option<&'static str>,
    /// `FragmentPath`; empty = none.
    pub fragment: String,
    /// `DropInPaths`.
    pub drop_ins: Vec<String>,
    /// `UnitFileState`.
    pub file_state: String,
    /// What the files say.
    pub settings: Settings,
}

/// Where units come from. The engine knows only this.
pub trait Loader {
    /// Reads a unit; one that does not exist is [`Load::NotFound`].
    fn load(&self, unit: &str) -> Loaded;
}

/// Folders of unit files: the first that has a file wins.
#[derive(Clone, Debug)]
pub struct Folders(pub Vec<PathBuf>);

impl Loader for Folders {
    fn load(&self, unit: &str) -> Loaded {
        let fragment = self.fragment(unit);
        let masked = fragment.as_deref().is_some_and(is_masked);
        let drop_ins = if masked { Vec::new() } else { self.drop_ins(unit) };
        let mut texts = Vec::new();
        for path in fragment.iter().filter(|_| !masked).chain(&drop_ins) {
            // A file that vanished or that we may not read says nothing.
            texts.push(fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default());
        }
        let settings = Settings::read(unit, texts.iter().map(String::as_str));
        let fault = settings.fault(unit);
        let load = match (&fragment, fault) {
            (None, _) => Load::NotFound,
            _ if masked => Load::Masked,
            (_, Some(_)) => Load::BadSetting,
            _ => Load::Loaded,
        };
        Loaded {
            load,
            fault: fault.filter(|_| load == Load::BadSetting),
            file_state: self.file_state(unit, fragment.as_deref(), masked, &settings),
            fragment: fragment.map(|path| path.display().to_string()).unwrap_or_default(),
            drop_ins: drop_ins.iter().map(|path| path.display().to_string()).collect(),
            settings,
        }
    }
}

fn is_masked(path: &Path) -> bool {
    fs::canonicalize(path).is_ok_and(|path| path == Path::new("/dev/null"))
        || fs::metadata(path).is_ok_and(|meta| meta.len() == 0)
}

impl Folders {
    fn fragment(&self, unit: &str) -> Option<PathBuf> {
        let names = [Some(unit.to_owned()), name::template(unit)];
        names.iter().flatten().find_map(|name| self.0.iter().map(|dir| dir.join(name)).find(|path| path.exists()))
    }

    /// By file name; of two with the same name that of the instance, then that of the first folder counts.
    fn drop_ins(&self, unit: &str) -> Vec<PathBuf> {
        let mut found = BTreeMap::new();
        for name in [Some(unit.to_owned()), name::template(unit)].iter().flatten() {
            for dir in &self.0 {
                for entry in fs::read_dir(dir.join(format!("{name}.d"))).into_iter().flatten().flatten() {
                    if entry.path().extension().is_some_and(|extension| extension == "conf") {
                        found.entry(entry.file_name()).or_insert_with(|| entry.path());
                    }
                }
            }
        }
        found.into_values().collect()
    }

    fn file_state(&self, unit: &str, fragment: Option<&Path>, masked: bool, settings: &Settings) -> String {
        let word = match fragment {
            None => "",
            Some(path) if masked && self.0.first().is_some_and(|dir| path.starts_with(dir)) => "masked-runtime",
            Some(_) if masked => "masked",
            Some(_) if self.is_enabled(unit) => "enabled",
            Some(_) if settings.install => "disabled",
            Some(_) => "static",
        };
        word.to_owned()
    }

    fn is_enabled(&self, unit: &str) -> bool {
        let folders = ["multi-user.target.wants", "default.target.wants", "graphical.target.wants"];
        self.0.iter().any(|dir| folders.iter().any(|folder| dir.join(folder).join(unit).symlink_metadata().is_ok()))
    }
}
