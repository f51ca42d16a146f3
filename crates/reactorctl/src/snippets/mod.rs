//! The files of the snippets folder: found, read, switched on and off, edited.
//!
//! ```text
//! NAME, PATH ─▶ find ─▶ Pair (NAME.toml, NAME.toml.disabled) ─▶ Snippet ─▶ content ─▶ list, status
//!                                                                   └────▶ folder (rename, write, remove) ─▶ reload
//! ```
//!
//! A file `NAME.toml` is enabled, `NAME.toml.disabled` is not. The daemon reads the enabled ones only. What is asked, printed and answered
//! is up to the commands; here is what they share, whether they are called as `drbd-reactorctl CMD` or as `reactorctl config CMD`.

pub(crate) mod apply;
pub(crate) mod content;
pub(crate) mod draft;
mod find;
pub(crate) mod folder;
pub(crate) mod list;
pub(crate) mod templates;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use reactor_core::settings::{DaemonSettings, Mode};
use reactor_trust::FolderError;

pub(crate) use find::{DISABLED, ENABLED};

use crate::cli::Place;
use crate::config;
use crate::exit::{Exit, Failure};
use crate::io::Io;

/// Why something could not be done with a snippet.
#[derive(Debug, thiserror::Error)]
pub enum SnippetError {
    #[error("{} names no folder of snippets: add `snippets = \"{}\"`", main.display(), default.display())]
    NoFolder { main: PathBuf, default: PathBuf },
    #[error("can't read the snippets folder {}", folder.display())]
    Folder {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Name(#[from] find::NotASnippet),
    #[error("there is no {what}snippet {name} in {}", folder.display())]
    Missing { what: &'static str, name: String, folder: PathBuf },
    #[error("{} is there already: {}", path.display(), remedy)]
    Exists { path: PathBuf, remedy: &'static str },
    #[error("can't read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not UTF-8 text", path.display())]
    NotText { path: PathBuf },
    #[error("{} has errors\n{report}", path.display())]
    Findings { path: PathBuf, report: String },
    #[error("nothing was changed")]
    Change(#[source] FolderError),
}

impl SnippetError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::NoFolder { .. } | Self::Findings { .. } | Self::NotText { .. } => Exit::Findings,
            Self::Name(_) => Exit::Usage,
            Self::Missing { .. } => Exit::NoSuchSnippet,
            Self::Exists { .. } => Exit::Refused,
            Self::Folder { source, .. } | Self::Read { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Exit::PermissionDenied
            }
            Self::Change(FolderError::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
                Exit::PermissionDenied
            }
            Self::Folder { .. } | Self::Read { .. } | Self::Change(_) => Exit::Unexpected,
        }
    }
}

/// The snippets folder of a daemon.
#[derive(Clone, Debug)]
pub(crate) struct Snippets {
    pub(crate) folder: PathBuf,
    pub(crate) mode: Mode,
    pub(crate) daemon: DaemonSettings,
}

/// One snippet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Snippet {
    pub(crate) name: String,
    pub(crate) is_enabled: bool,
    pub(crate) path: PathBuf,
}

/// The files of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Pair {
    pub(crate) enabled: bool,
    pub(crate) disabled: bool,
}

/// Which of the two files of a name a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Enabled,
    Disabled,
    /// The enabled one, else the disabled one.
    Either,
}

impl Wanted {
    fn words(self) -> &'static str {
        match self {
            Self::Enabled => "enabled ",
            Self::Disabled => "disabled ",
            Self::Either => "",
        }
    }
}

/// The snippets that a command is about, and what is wrong with those that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    pub(crate) snippets: Vec<Snippet>,
    pub(crate) errors: Vec<SnippetError>,
    pub(crate) warnings: Vec<String>,
}

impl Snippets {
    /// The folder that the main file of `place` names.
    pub(crate) fn of(place: &Place) -> Result<Self, Failure> {
        let (settings, _) = config::settings(place)?;
        let Some(folder) = settings.snippets else {
            let default = reactor_config::default_snippets_path(place.mode).to_owned();
            return Err(SnippetError::NoFolder { main: place.config.clone(), default }.into());
        };
        Ok(Self { folder, mode: place.mode, daemon: settings.daemon })
    }

    /// All names in the folder.
    pub(crate) fn pairs(&self) -> Result<BTreeMap<String, Pair>, SnippetError> {
        let failed = |source| SnippetError::Folder { folder: self.folder.clone(), source };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(failed)? {
            // A name that is no text can't be named on a command line either.
            names.extend(entry.map_err(failed)?.file_name().into_string());
        }
        Ok(pairs(&names))
    }

    /// Those that `arguments` name, or all that fit if there are none.
    pub(crate) fn select(&self, arguments: &[PathBuf], wanted: Wanted) -> Result<Selection, SnippetError> {
        Ok(select(&self.folder, &self.pairs()?, arguments, wanted))
    }

    /// The same, for a command that goes on with what is good: errors and warnings are printed. The exit code is that of the first error.
    pub(crate) fn select_and_tell(
        &self,
        arguments: &[PathBuf],
        wanted: Wanted,
        io: &mut Io<'_>,
    ) -> Result<(Vec<Snippet>, Exit), Failure> {
        let selection = self.select(arguments, wanted)?;
        for warning in &selection.warnings {
            io.warn(warning)?;
        }
        let mut exit = Exit::Ok;
        for error in selection.errors {
            exit = exit.or(error.exit());
            io.fail(&error.into())?;
        }
        Ok((selection.snippets, exit))
    }

    /// The snippet that `argument` names in one of its two states, whether it is there or not, and what is there.
    pub(crate) fn named(&self, argument: &Path, is_enabled: bool) -> Result<(Snippet, Pair), SnippetError> {
        let name = find::name_of(argument, &self.folder)?;
        let pair = self.pairs()?.get(&name).copied().unwrap_or_default();
        Ok((self.snippet(&name, is_enabled), pair))
    }

    /// The snippet of a name in one of its two states.
    pub(crate) fn snippet(&self, name: &str, is_enabled: bool) -> Snippet {
        let path = self.folder.join(format!("{name}{}", if is_enabled { ENABLED } else { DISABLED }));
        Snippet { name: name.to_owned(), is_enabled, path }
    }
}

impl Snippet {
    /// Its file's name.
    pub(crate) fn file(&self) -> String {
        format!("{}{}", self.name, if self.is_enabled { ENABLED } else { DISABLED })
    }

    /// The folder that it is in.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }
}

/// Whether two paths name the same file, there or not. The daemon may have been started in another folder, or by another way to the same one.
pub(crate) fn is_same_file(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    one == other || real(one).is_some_and(|one| real(other).is_some_and(|other| one == other))
}

/// The names of snippets among the names of files.
fn pairs(files: &[String]) -> BTreeMap<String, Pair> {
    let mut pairs: BTreeMap<String, Pair> = BTreeMap::new();
    for file in files {
        if let Some(name) = file.strip_suffix(ENABLED).filter(|name| !name.is_empty()) {
            pairs.entry(name.to_owned()).or_default().enabled = true;
        } else if let Some(name) = file.strip_suffix(DISABLED).filter(|name| !name.is_empty()) {
            pairs.entry(name.to_owned()).or_default().disabled = true;
        }
    }
    pairs
}

fn select(folder: &Path, pairs: &BTreeMap<String, Pair>, arguments: &[PathBuf], wanted: Wanted) -> Selection {
    let mut selection = Selection::default();
    let names: Vec<String> = if arguments.is_empty() {
        pairs.keys().cloned().collect()
    } else {
        let mut names = Vec::new();
        for argument in arguments {
            match find::name_of(argument, folder) {
                Ok(name) if names.contains(&name) => {}
                Ok(name) => names.push(name),
                Err(error) => selection.errors.push(error.into()),
            }
        }
        names
    };
    for name in names {
        let pair = pairs.get(&name).copied().unwrap_or_default();
        if pair.enabled && pair.disabled {
            selection.warnings.push(format!("both {name}{ENABLED} and {name}{DISABLED} exist in {}", folder.display()));
        }
        let is_enabled = match wanted {
            Wanted::Enabled if pair.enabled => true,
            Wanted::Disabled if pair.disabled => false,
            Wanted::Either if pair.enabled || pair.disabled => pair.enabled,
            _ => {
                if !arguments.is_empty() {
                    let what = wanted.words();
                    selection.errors.push(SnippetError::Missing { what, name, folder: folder.to_owned() });
                }
                continue;
            }
        };
        let path = folder.join(format!("{name}{}", if is_enabled { ENABLED } else { DISABLED }));
        selection.snippets.push(Snippet { name, is_enabled, path });
    }
    selection
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_same_by_another_way() {
        let folder = std::env::temp_dir().canonicalize().unwrap();
        let (plain, by_the_way) =
            (folder.join("x.toml"), folder.join("./../").join(folder.file_name().unwrap()).join("x.toml"));
        assert!(is_same_file(&plain, &by_the_way));
        assert!(!is_same_file(&plain, &folder.join("y.toml")));
        assert!(is_same_file(Path::new("/nowhere/x"), Path::new("/nowhere/x")));
    }

    fn chosen(arguments: &[&str], wanted: Wanted) -> (Vec<String>, Vec<String>) {
        let files = ["a.toml", "b.toml.disabled", "c.toml", "c.toml.disabled", ".toml", "README", "d.toml.tmp"];
        let pairs = pairs(&files.map(str::to_owned));
        let arguments: Vec<PathBuf> = arguments.iter().map(PathBuf::from).collect();
        let selection = select(Path::new("/s"), &pairs, &arguments, wanted);
        let said = selection.errors.iter().map(ToString::to_string).chain(selection.warnings).collect();
        (selection.snippets.iter().map(Snippet::file).collect(), said)
    }

    #[test]
    fn without_names_all_that_fit_are_meant() {
        let both = "both c.toml and c.toml.disabled exist in /s".to_owned();
        assert_eq!(chosen(&[], Wanted::Enabled), (vec!["a.toml".into(), "c.toml".into()], vec![both.clone()]));
        let disabled = vec!["b.toml.disabled".into(), "c.toml.disabled".into()];
        assert_eq!(chosen(&[], Wanted::Disabled), (disabled, vec![both.clone()]));
        let either = vec!["a.toml".into(), "b.toml.disabled".into(), "c.toml".into()];
        assert_eq!(chosen(&[], Wanted::Either), (either, vec![both]));
    }

    #[test]
    fn what_is_not_there_is_said_and_the_rest_goes_on() {
        let (files, said) = chosen(&["b", "nope", "/s/a.toml", "a", "../x"], Wanted::Enabled);
        assert_eq!(files, ["a.toml"]);
        assert_eq!(
            said,
            [
                "../x is no name of a snippet: it must lie in /s",
                "there is no enabled snippet b in /s",
                "there is no enabled snippet nope in /s"
            ]
        );
    }
}
