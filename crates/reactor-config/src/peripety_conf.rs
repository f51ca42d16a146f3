//! The files that `peripety-conf` names: read once per load, and never a reason for anything else not to run.
//!
//! `notify_stdout` and `save_to_journald` are `[[notify]]` tables that nobody has to write.
//!
//! They belong to another program, so what is wrong with them is a warning. One that can't be read, or is no TOML, keeps the rules that it had.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reactor_core::notice::Topic;
use reactor_core::settings::notify::{Filter, Receiver, StdoutFormat};
use reactor_core::settings::{NotifySettings, PluginEntry, PluginSettings};
use reactor_storage::catalogue::RawUserRule;
use reactor_storage::event::Severity as EventSeverity;

use crate::files::{self, Trust};
use crate::finding::{Code, Finding, Severity};
use crate::load::LoadOptions;
use crate::peripety::read_peripety;
use crate::source::{Location, Source};

/// Names of the tables that say what a file of peripety's asks for.
const STDOUT: &str = "peripety-stdout";
const JOURNAL: &str = "peripety-journal";

/// What each file says.
pub(crate) struct Rules(BTreeMap<PathBuf, Says>);

/// What one file says.
#[derive(Clone, Debug, Default)]
struct Says {
    rules: Vec<RawUserRule>,
    stdout: bool,
    journal: bool,
}

impl Rules {
    /// Reads each file once. `running` are the plugins that run; the path of each file is told before it is read.
    pub(crate) fn read<'f>(
        named: impl Iterator<Item = &'f (PathBuf, Location)>,
        options: &LoadOptions,
        running: &[PluginEntry],
        reads: &dyn Fn(&Path),
        findings: &mut Vec<Finding>,
    ) -> Self {
        let mut rules = BTreeMap::new();
        for (path, at) in named {
            if rules.contains_key(path) {
                continue;
            }
            reads(path);
            let mut told = Vec::new();
            let read = read_one(path, options, &mut told).unwrap_or_else(|| {
                let before = before(path, running);
                let message = match &before {
                    None => format!("no rules of {} are used", path.display()),
                    Some(_) => format!("the rules that {} had before go on", path.display()),
                };
                let finding = Finding::at(Severity::Warning, Code::File, &at.source, at.span.clone(), message);
                told.push(finding.hint("restore the file, or remove `peripety-conf`"));
                before.unwrap_or_default()
            });
            for mut finding in told {
                finding.severity = finding.severity.min(Severity::Warning);
                findings.push(finding);
            }
            rules.insert(path.clone(), read);
        }
        Self(rules)
    }

    /// Puts them where they are named, and adds who is told of each event.
    pub(crate) fn put(&self, plugins: &mut Vec<PluginEntry>) {
        let mut added: Vec<PluginEntry> = Vec::new();
        for entry in plugins.iter_mut() {
            let PluginSettings::Events(events) = &mut entry.settings else { continue };
            let Some(says) = events.peripety_conf.as_ref().and_then(|path| self.0.get(path)) else { continue };
            events.peripety_rules.clone_from(&says.rules);
            let tables = [
                (says.stdout, STDOUT, Receiver::Stdout(StdoutFormat::JsonPretty)),
                (says.journal, JOURNAL, Receiver::Journal),
            ];
            for (_, name, receiver) in tables.into_iter().filter(|(is_asked_for, ..)| *is_asked_for) {
                let settings = PluginSettings::Notify(Box::new(each_event(name, receiver)));
                added.push(PluginEntry { file: entry.file.clone(), line: entry.line, settings });
            }
        }
        for entry in added {
            // Two tables may name one file; and whoever writes a table of this name means that one.
            if !is_there(plugins, name_of(&entry)) {
                plugins.push(entry);
            }
        }
    }
}

/// A receiver that is told of each storage event as it comes.
fn each_event(name: &str, receiver: Receiver) -> NotifySettings {
    let filter = Filter { severity: EventSeverity::Info, topics: vec![Topic::Event], ..Filter::default() };
    NotifySettings { name: name.to_owned(), filter, together: Duration::ZERO, ..NotifySettings::new(receiver) }
}

fn name_of(entry: &PluginEntry) -> Option<&str> {
    match &entry.settings {
        PluginSettings::Notify(notify) => Some(&notify.name),
        _ => None,
    }
}

/// Whether a `[[notify]]` table has this name.
fn is_there(plugins: &[PluginEntry], name: Option<&str>) -> bool {
    name.is_some() && plugins.iter().any(|entry| name_of(entry) == name)
}

/// What one file says. `None`: it can't be used at all.
fn read_one(path: &Path, options: &LoadOptions, told: &mut Vec<Finding>) -> Option<Says> {
    let content = match files::read_file(path, options.uid) {
        Ok(content) => content,
        Err(error) => {
            told.push(error.finding(path));
            return None;
        }
    };
    if let Some(distrust) = content.distrust {
        told.push(files::distrusted(distrust, path, "file", options.trust));
        if options.trust == Trust::Enforce {
            return None;
        }
    }
    let Ok(text) = str::from_utf8(&content.bytes) else {
        told.push(Finding::about(Severity::Warning, Code::Syntax, path, "the file is not UTF-8".to_owned()));
        return None;
    };
    let (read, findings) = read_peripety(&Source::new(path, text));
    // What is made of broken text may be what nobody wrote.
    let is_broken = findings.iter().any(|finding| finding.code == Code::Syntax);
    told.extend(findings);
    let says = Says { rules: read.rules, stdout: read.notify_stdout, journal: read.save_to_journald };
    (!is_broken).then_some(says)
}

/// What runs of a file.
fn before(path: &Path, running: &[PluginEntry]) -> Option<Says> {
    let rules = running.iter().find_map(|entry| match &entry.settings {
        PluginSettings::Events(events) => {
            let is_it = events.peripety_conf.as_deref() == Some(path);
            is_it.then(|| events.peripety_rules.clone())
        }
        _ => None,
    })?;
    let is_told = |name| is_there(running, Some(name));
    Some(Says { rules, stdout: is_told(STDOUT), journal: is_told(JOURNAL) })
}
