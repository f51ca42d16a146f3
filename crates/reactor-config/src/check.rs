//! `reactorctl check`: the same findings as the daemon has, without a daemon.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use crate::files::{self, Trust};
use crate::finding::{Code, Finding, Severity};
use crate::load::{LoadOptions, base_of, load};
use crate::merge;
use crate::needs::Needs;
use crate::notifiers::{self, Among};
use crate::peripety_conf;
use crate::read::{FileRole, ParsedFile, parse_file};
use crate::source::Source;
use crate::spec;

/// What a check found.
#[derive(Debug)]
pub struct Checked {
    /// All findings.
    pub findings: Vec<Finding>,
    /// The files that were checked, snippets included.
    pub files: Vec<PathBuf>,
    /// What all of them together need of the system.
    pub needs: Needs,
}

impl Checked {
    /// Whether the daemon would take everything.
    pub fn is_clean(&self) -> bool {
        !self.findings.iter().any(Finding::is_error)
    }
}

/// Checks `paths`, or what the daemon would load if there are none.
///
/// A path may name a main file, which is checked with its snippets, or a snippet. A file is a snippet if it lies in the
/// snippets folder or in a folder `*.d`, or if it has none of the keys that belong in a main file. That somebody else could
/// write a file that is named here is a warning only: it may still be on its way to its place.
pub fn check(paths: &[PathBuf], options: &LoadOptions) -> Checked {
    let mut checked = Checked { findings: Vec::new(), files: Vec::new(), needs: Needs::default() };
    if paths.is_empty() {
        add_main(&mut checked, options);
        return checked;
    }
    let mut snippets: Vec<Arc<ParsedFile>> = Vec::new();
    for path in paths {
        if *path == options.main || is_main(path, options) {
            add_main(&mut checked, &LoadOptions { main: path.clone(), trust: Trust::Warn, ..options.clone() });
        } else {
            snippets.extend(add_snippet(&mut checked, path, options));
        }
    }
    let good: Vec<&ParsedFile> = snippets.iter().map(Arc::as_ref).filter(|file| file.is_usable()).collect();
    let merged = merge::merge(&good, None);
    checked.findings.extend(merged.findings);
    let options = LoadOptions { trust: Trust::Warn, ..options.clone() };
    let named = good.iter().flat_map(|file| &file.peripety);
    let mut plugins = merged.plugins;
    peripety_conf::Rules::read(named, &options, &[], &|_| {}, &mut checked.findings).put(&mut plugins);
    checked.findings.extend(notifiers::unknown_words(&good, &plugins, Among::SomeFiles));
    checked.needs.extend(merged.needs);
    checked
}

fn add_main(checked: &mut Checked, options: &LoadOptions) {
    let loaded = load(options, None);
    // What would run instead is not the question here.
    let about_running = |finding: &Finding| finding.severity == Severity::Note && finding.code == Code::File;
    checked.findings.extend(loaded.findings.into_iter().filter(|finding| !about_running(finding)));
    checked.needs.extend(loaded.needs);
    checked.files.extend(loaded.files.into_iter().map(|file| file.path));
}

fn add_snippet(checked: &mut Checked, path: &Path, options: &LoadOptions) -> Option<Arc<ParsedFile>> {
    checked.files.push(path.to_path_buf());
    let content = match files::read_file(path, options.uid) {
        Ok(content) => content,
        Err(error) => {
            checked.findings.push(error.finding(path));
            return None;
        }
    };
    if let Some(distrust) = content.distrust {
        checked.findings.push(files::distrusted(distrust, path, "file", Trust::Warn));
    }
    let Ok(text) = str::from_utf8(&content.bytes) else {
        let message = "the file is not UTF-8".to_owned();
        checked.findings.push(Finding::about(Severity::Error, Code::Syntax, path, message));
        return None;
    };
    let parsed = parse_file(&Source::new(path, text), FileRole::Snippet, options.mode, &base_of(path));
    checked.findings.extend(parsed.findings.iter().cloned());
    Some(Arc::new(parsed))
}

/// Whether a file is a main file, by its place and by its keys. One that can't be read is reported as a snippet.
fn is_main(path: &Path, options: &LoadOptions) -> bool {
    let folder = base_of(path);
    let in_snippets = folder.extension().is_some_and(|extension| extension == "d")
        || snippets_of(&options.main).is_some_and(|snippets| snippets == folder);
    !in_snippets && top_keys(path).is_some_and(|keys| keys.iter().any(|key| is_main_key(key)))
}

fn is_main_key(key: &str) -> bool {
    spec::MAIN.key(key).is_some() && spec::SNIPPET.key(key).is_none()
}

fn top_keys(path: &Path) -> Option<Vec<String>> {
    let content = files::read_file(path, 0).ok()?;
    let text = str::from_utf8(&content.bytes).ok()?;
    let (document, _) = DeTable::parse_recoverable(text);
    Some(document.get_ref().keys().map(|key| key.get_ref().to_string()).collect())
}

/// The snippets folder that a main file names.
fn snippets_of(main: &Path) -> Option<PathBuf> {
    let content = files::read_file(main, 0).ok()?;
    let text = str::from_utf8(&content.bytes).ok()?;
    let (document, _) = DeTable::parse_recoverable(text);
    let folder = document.get_ref().get("snippets")?.get_ref().as_str()?;
    Some(base_of(main).join(folder))
}
