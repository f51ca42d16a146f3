//! Loads the main file and its snippets, and keeps what ran before where a file is bad.
//!
//! ```text
//!              good ──▶ Current: this version runs
//! file on disk
//!              bad  ──▶ LastGood: the version of the last load goes on      (if there was one)
//!                   ├─▶ Partly: what is bad of it is left out               (at start, in compatibility mode)
//!                   └─▶ Rejected: nothing of this file runs                 (at start)
//! ```
//!
//! A bad main file at start is the only thing that leaves nothing to run: [`Loaded::usable`] is false then.
//!
//! What was removed by a person is gone; what is only away goes on. A reload can't see the difference by a look at the files alone, so
//! this is the rule, for what ran before:
//!
//! - The folder can't be opened or read, does not exist, or is another folder than before (a file system was unmounted, or mounted over it)
//!   without a configuration in it: it is away.
//! - A link leads nowhere, or there is no regular file where one was: that file is away.
//! - A file without any text, which is what a full disk leaves of it: its content is away. A comment is text.
//! - The folder is the same one, or another one with configurations in it, and a file is not in it: it was removed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reactor_core::settings::{Mode, Settings};

use crate::files::{self, Content, ContentHash, Folder, FolderId, ReadError, Trust};
use crate::finding::{Code, Finding, Severity};
use crate::merge;
use crate::needs::Needs;
use crate::notifiers::{self, Among};
use crate::peripety_conf;
use crate::read::{FileRole, ParsedFile, default_main, parse_file};
use crate::source::Source;

/// The main file that a daemon of this mode reads if nobody names one.
pub fn default_config_path(mode: Mode) -> &'static Path {
    Path::new(match mode {
        Mode::Native => "/etc/storage-reactor.toml",
        Mode::DrbdReactor => "/etc/drbd-reactor.toml",
    })
}

/// The snippets folder that the main file installed for this mode names. Without `snippets` there is none.
pub fn default_snippets_path(mode: Mode) -> &'static Path {
    Path::new(match mode {
        Mode::Native => "/etc/storage-reactor.d",
        Mode::DrbdReactor => "/etc/drbd-reactor.d",
    })
}

/// What to load, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoadOptions {
    /// The main file.
    pub main: PathBuf,
    /// Whose defaults apply.
    pub mode: Mode,
    /// Who may own the files besides root.
    pub uid: u32,
    /// What happens to files that others could have written.
    pub trust: Trust,
}

impl LoadOptions {
    /// For a daemon with this main file that runs as the present user.
    pub fn new(main: impl Into<PathBuf>, mode: Mode) -> Self {
        Self { main: main.into(), mode, uid: rustix::process::geteuid().as_raw(), trust: Trust::Enforce }
    }
}

/// What a load gave.
#[derive(Debug)]
pub struct Loaded {
    /// Whether there is a main file to run with, this one or its last good version.
    pub usable: bool,
    /// What runs from now on. Only defaults where [`Self::usable`] is false.
    pub settings: Settings,
    /// Findings of all files, main file first.
    pub findings: Vec<Finding>,
    /// The files, main file first, then snippets by path.
    pub files: Vec<LoadedFile>,
    /// What [`Self::settings`] need of the system.
    pub needs: Needs,
    /// The folder of the snippets that run.
    folder: Option<FolderUsed>,
}

/// A snippets folder that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
struct FolderUsed {
    path: PathBuf,
    id: FolderId,
}

impl Loaded {
    /// Whether every file was taken as it is on disk.
    pub fn is_clean(&self) -> bool {
        self.usable && !self.findings.iter().any(Finding::is_error)
    }
}

/// One file of a load.
#[derive(Clone, Debug)]
pub struct LoadedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Which part it plays.
    pub role: FileRole,
    /// Which version of it runs.
    pub state: FileState,
    /// Its text as it was found; `None` if it could not be read or must not be trusted.
    pub source: Option<Arc<Source>>,
    /// Fingerprint of what was found.
    pub found: Option<ContentHash>,
    /// Fingerprint of what runs.
    pub running: Option<ContentHash>,
    /// What runs.
    pub(crate) good: Option<Arc<ParsedFile>>,
}

/// Which version of a file runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FileState {
    /// The one on disk.
    Current,
    /// The one on disk is bad; the last good one goes on.
    LastGood,
    /// The one on disk has errors and there is no other; what has no errors of it runs. Only in compatibility mode.
    Partly,
    /// The one on disk is bad and there is no other: nothing of it runs.
    Rejected,
}

impl FileState {
    /// The word as the status prints it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::LastGood => "last good",
            Self::Partly => "partly",
            Self::Rejected => "rejected",
        }
    }
}

/// Loads everything. With `previous`, a bad file keeps the version that runs since then.
pub fn load(options: &LoadOptions, previous: Option<&Loaded>) -> Loaded {
    load_telling(options, previous, &|_| {})
}

/// The same; before each file and folder is read, its path is told: its disk may hang.
pub fn load_telling(options: &LoadOptions, previous: Option<&Loaded>, reads: &dyn Fn(&Path)) -> Loaded {
    let mut load =
        Load { options, previous, reads, findings: Vec::new(), files: Vec::new(), on_disk: Vec::new(), folder: None };
    reads(&options.main);
    let main = files::read_file(&options.main, options.uid);
    load.add(&options.main, FileRole::Main, main);
    let main = load.files[0].good.clone();
    if let Some(main) = &main {
        load.add_snippets(main);
    }
    load.finish(main.as_deref())
}

struct Load<'l> {
    options: &'l LoadOptions,
    previous: Option<&'l Loaded>,
    reads: &'l dyn Fn(&Path),
    findings: Vec<Finding>,
    files: Vec<LoadedFile>,
    /// What every file of `files` says on disk, good or bad.
    on_disk: Vec<Option<Arc<ParsedFile>>>,
    folder: Option<FolderUsed>,
}

impl<'l> Load<'l> {
    /// Takes one file, good or bad.
    fn add(&mut self, path: &Path, role: FileRole, content: Result<Content, ReadError>) {
        let mut file = LoadedFile {
            path: path.to_path_buf(),
            role,
            state: FileState::Current,
            source: None,
            found: None,
            running: None,
            good: None,
        };
        let parsed = match content {
            Ok(content) => {
                file.found = Some(content.hash);
                self.parse(path, role, &content)
            }
            Err(error) => {
                self.findings.push(error.finding(path));
                None
            }
        };
        file.source = parsed.as_ref().map(|parsed| parsed.source.clone());
        self.on_disk.push(parsed.clone());
        let emptied = parsed.as_ref().is_some_and(|parsed| self.is_emptied(parsed, role));
        if emptied {
            self.findings.push(emptied_finding(path, role));
        }
        match parsed.filter(|parsed| parsed.is_usable() && !emptied) {
            Some(parsed) if parsed.is_good() || !self.ran_whole(path, role) => {
                file.running = file.found;
                if !parsed.is_good() {
                    file.state = FileState::Partly;
                    let message = "what has errors is left out; the rest of this file runs".to_owned();
                    self.findings.push(Finding::about(Severity::Note, Code::File, path, message));
                }
                file.good = Some(parsed);
            }
            Some(_) | None => self.fall_back(&mut file),
        }
        self.files.push(file);
    }

    /// Whether a version of the file runs that has no errors.
    fn ran_whole(&self, path: &Path, role: FileRole) -> bool {
        self.before(path, role).is_some_and(|(good, _)| good.is_good())
    }

    fn parse(&mut self, path: &Path, role: FileRole, content: &Content) -> Option<Arc<ParsedFile>> {
        if let Some(distrust) = content.distrust {
            self.findings.push(files::distrusted(distrust, path, "file", self.options.trust));
            if self.options.trust == Trust::Enforce {
                return None;
            }
        }
        let text = match str::from_utf8(&content.bytes) {
            Ok(text) => text,
            Err(error) => {
                let at = error.valid_up_to();
                let source = Source::new(path, &String::from_utf8_lossy(&content.bytes));
                let message = "the file is not UTF-8".to_owned();
                self.findings.push(
                    Finding::at(Severity::Error, Code::Syntax, &source, at..at, message).label("this byte is not text"),
                );
                return None;
            }
        };
        let parsed = parse_file(&Source::new(path, text), role, self.options.mode, &base_of(path));
        self.findings.extend(parsed.findings.iter().cloned());
        Some(Arc::new(parsed))
    }

    /// What ran of a file before.
    fn before(&self, path: &Path, role: FileRole) -> Option<(&'l Arc<ParsedFile>, Option<ContentHash>)> {
        let known = self.previous?.files.iter().find(|known| known.role == role && known.path == path)?;
        known.good.as_ref().map(|good| (good, known.running))
    }

    /// Whether a file has no text at all that made something run before.
    fn is_emptied(&self, parsed: &ParsedFile, role: FileRole) -> bool {
        let runs = |good: &ParsedFile| !good.plugins.is_empty() || good.main.snippets.is_some();
        parsed.source.text().trim().is_empty()
            && self.before(parsed.source.path(), role).is_some_and(|(good, _)| runs(good))
    }

    /// The last good version of a bad file, if there is one.
    fn fall_back(&mut self, file: &mut LoadedFile) {
        let before = self.before(&file.path, file.role);
        let message = match before.map(|(good, running)| (good.clone(), running)) {
            Some((good, running)) => {
                file.state = FileState::LastGood;
                file.good = Some(good);
                file.running = running;
                "the last good version of this file goes on running"
            }
            None => {
                file.state = FileState::Rejected;
                match file.role {
                    FileRole::Main => "without a main file the daemon can't run",
                    FileRole::Snippet => "nothing of this file runs; the other files do",
                }
            }
        };
        self.findings.push(Finding::about(Severity::Note, Code::File, &file.path, message.to_owned()));
    }

    fn add_snippets(&mut self, main: &ParsedFile) {
        let Some(path) = &main.main.snippets else { return };
        let (trust, uid) = (self.options.trust, self.options.uid);
        (self.reads)(path);
        let folder = match Folder::open(path, uid) {
            Ok(folder) => folder,
            Err(error) => return self.no_folder(main, path, &error),
        };
        if let Some(distrust) = folder.distrust {
            self.findings.push(files::distrusted(distrust, path, "folder", trust));
            if trust == Trust::Enforce {
                return self.keep_snippets();
            }
        }
        let mut names = match folder.names() {
            Ok(names) => names,
            Err(error) => {
                self.findings.push(error.finding(path));
                return self.keep_snippets();
            }
        };
        if !names.any && self.is_another(path, folder.id) {
            let message =
                "this is another folder than the one that was read before, and there is no configuration in it";
            let finding = Finding::about(Severity::Error, Code::File, path, message.to_owned());
            self.findings.push(finding.hint(
                "mount or restore what was here; if it is meant to be empty, put a file with a comment into it, for example empty.toml",
            ));
            return self.keep_snippets();
        }
        self.folder = Some(FolderUsed { path: path.clone(), id: folder.id });
        if names.enabled.len() > files::MAX_SNIPPETS {
            let message = format!("more than {} snippets; only the first ones are read", files::MAX_SNIPPETS);
            self.findings.push(Finding::about(Severity::Error, Code::File, path, message));
            names.enabled.truncate(files::MAX_SNIPPETS);
        }
        for name in names.enabled {
            self.add_snippet(&folder, &name);
        }
    }

    fn add_snippet(&mut self, folder: &Folder, name: &Path) {
        let path = folder.path_of(name);
        (self.reads)(&path);
        let content = folder.read(name, self.options.uid);
        let irregular =
            matches!(&content, Err(error) if matches!(error, ReadError::NotRegular) || error.is_not_found());
        let is_away = || self.before(&path, FileRole::Snippet).is_some() && folder.has(name);
        // Folders, and the dangling links that some editors use as locks, are no configuration files; unless there was one.
        if irregular && !is_away() {
            let message = "ignored: there is no regular file".to_owned();
            self.findings.push(Finding::about(Severity::Warning, Code::File, &path, message));
        } else {
            self.add(&path, FileRole::Snippet, content);
        }
    }

    /// Whether snippets of this folder run that were read from another one of the same name.
    fn is_another(&self, path: &Path, id: FolderId) -> bool {
        let before = self.previous.and_then(|previous| previous.folder.as_ref());
        self.running_snippets().next().is_some() && before.is_some_and(|before| before.path == path && before.id != id)
    }

    /// There is no folder. At the start the sample configuration of drbd-reactor promises that this is ignored; while snippets
    /// run it is away.
    fn no_folder(&mut self, main: &ParsedFile, path: &Path, error: &ReadError) {
        if !error.is_not_found() {
            self.findings.push(error.finding(path));
            return self.keep_snippets();
        }
        if self.running_snippets().next().is_some() {
            let message = "the snippets folder does not exist, but what was read from it runs".to_owned();
            let hint = "mount or restore it; to stop everything that was in it, make an empty file empty.toml with a comment there, \
                        or remove `snippets` from the main file";
            self.findings.push(Finding::about(Severity::Error, Code::File, path, message).hint(hint));
            return self.keep_snippets();
        }
        let message = format!("the snippets folder {} does not exist", path.display());
        let finding = match &main.main.snippets_at {
            Some(at) => Finding::at(Severity::Warning, Code::File, &at.source, at.span.clone(), message),
            None => Finding::about(Severity::Warning, Code::File, path, message),
        };
        self.findings.push(finding.hint("create it, or remove `snippets`"));
    }

    /// The snippets that run, as of the load before.
    fn running_snippets(&self) -> impl Iterator<Item = &'l LoadedFile> + use<'l> {
        let files = self.previous.into_iter().flat_map(|previous| &previous.files);
        files.filter(|file| file.role == FileRole::Snippet && file.good.is_some())
    }

    /// The folder can't be used: what ran before goes on.
    fn keep_snippets(&mut self) {
        self.folder = self.previous.and_then(|previous| previous.folder.clone());
        for file in self.running_snippets() {
            self.files.push(LoadedFile { state: FileState::LastGood, ..file.clone() });
            self.on_disk.push(None);
        }
    }

    fn finish(mut self, main: Option<&ParsedFile>) -> Loaded {
        if self.options.mode == Mode::DrbdReactor {
            merge::explain_glue(&self.on_disk, &mut self.findings);
        }
        let good: Vec<&ParsedFile> = self.files.iter().filter_map(|file| file.good.as_deref()).collect();
        let merged = merge::merge(&good, self.previous);
        self.findings.extend(merged.findings);
        let mut plugins = merged.plugins;
        let named = good.iter().flat_map(|file| &file.peripety);
        let running = self.previous.map_or(&[][..], |previous| &previous.settings.plugins);
        peripety_conf::Rules::read(named, self.options, running, self.reads, &mut self.findings).put(&mut plugins);
        self.findings.extend(notifiers::unknown_words(&good, &plugins, Among::AllFiles));
        let settings = match main {
            Some(main) => main.main.with_plugins(self.options.mode, plugins),
            None => default_main().with_plugins(self.options.mode, Vec::new()),
        };
        let Self { findings, files, folder, .. } = self;
        let mut needs = merged.needs;
        if let Some(main) = main {
            needs.add_operators(&main.main);
        }
        Loaded { usable: main.is_some(), settings, findings, files, needs, folder }
    }
}

/// What is said of a file whose text is gone.
fn emptied_finding(path: &Path, role: FileRole) -> Finding {
    let hint = match role {
        FileRole::Main => "restore it; to stop everything, put a comment into it",
        FileRole::Snippet => "restore it; to stop what it said, remove it, or rename it to .toml.disabled",
    };
    Finding::about(Severity::Error, Code::File, path, "the file is empty, but what it said before runs".to_owned())
        .hint(hint)
}

/// The folder that relative paths of a file start from, as an absolute path: the daemon may change its own.
pub(crate) fn base_of(path: &Path) -> PathBuf {
    let absolute: io::Result<PathBuf> = std::path::absolute(path);
    absolute.ok().and_then(|path| path.parent().map(Path::to_path_buf)).unwrap_or_default()
}
