//! The files that `peripety-conf` names: read once per load, and never a reason for anything else not to run.
//!
//! They belong to another program, so what is wrong with them is a warning. One that can't be read, or is no TOML, keeps the rules that it had.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reactor_core::settings::{PluginEntry, PluginSettings};
use reactor_storage::catalogue::RawUserRule;

use crate::files::{self, Trust};
use crate::finding::{Code, Finding, Severity};
use crate::load::LoadOptions;
use crate::peripety::read_peripety;
use crate::source::{Location, Source};

/// The rules of each file.
pub(crate) struct Rules(BTreeMap<PathBuf, Vec<RawUserRule>>);

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
                let message = match before {
                    None => format!("no rules of {} are used", path.display()),
                    Some(_) => format!("the rules that {} had before go on", path.display()),
                };
                let finding = Finding::at(Severity::Warning, Code::File, &at.source, at.span.clone(), message);
                told.push(finding.hint("restore the file, or remove `peripety-conf`"));
                before.unwrap_or_default().to_vec()
            });
            for mut finding in told {
                finding.severity = finding.severity.min(Severity::Warning);
                findings.push(finding);
            }
            rules.insert(path.clone(), read);
        }
        Self(rules)
    }

    /// Puts them where they are named.
    pub(crate) fn put(&self, plugins: &mut [PluginEntry]) {
        for entry in plugins {
            if let PluginSettings::Events(events) = &mut entry.settings
                && let Some(rules) = events.peripety_conf.as_ref().and_then(|path| self.0.get(path))
            {
                events.peripety_rules.clone_from(rules);
            }
        }
    }
}

/// The rules of one file. `None`: it can't be used at all.
fn read_one(path: &Path, options: &LoadOptions, told: &mut Vec<Finding>) -> Option<Vec<RawUserRule>> {
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
    (!is_broken).then_some(read.rules)
}

/// The rules of a file that run.
fn before<'r>(path: &Path, running: &'r [PluginEntry]) -> Option<&'r [RawUserRule]> {
    running.iter().find_map(|entry| match &entry.settings {
        PluginSettings::Events(events) => {
            let is_it = events.peripety_conf.as_deref() == Some(path);
            is_it.then_some(events.peripety_rules.as_slice())
        }
        _ => None,
    })
}
