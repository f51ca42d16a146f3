//! The `[[notify]]` tables of all files together: each has a name of its own, and words that nobody knows are told.

use std::collections::BTreeSet;

use reactor_core::notice::words;
use reactor_core::settings::{PluginEntry, PluginSettings};
use reactor_storage::catalogue::type_notes;

use crate::finding::{Code, Finding, Severity};
use crate::read::{Notifier, ParsedFile};
use crate::source::Location;
use crate::suggest::nearest;

/// Tables whose name is taken already, by number of the file and of the plugin in it: they are left out.
pub(crate) fn doubled(files: &[&ParsedFile], findings: &mut Vec<Finding>) -> BTreeSet<(usize, usize)> {
    let mut taken: Vec<(&str, &Location)> = Vec::new();
    let mut dropped = BTreeSet::new();
    for (file, notifier, name) in all(files).filter(|(_, notifier, _)| notifier.is_named) {
        let Some((_, first)) = taken.iter().find(|(known, _)| *known == name) else {
            taken.push((name, &notifier.at));
            continue;
        };
        let message = format!("another `[[notify]]` table has the name `{name}` already; this one is ignored");
        findings.push(
            Finding::at(Severity::Error, Code::Duplicate, &notifier.at.source, notifier.at.span.clone(), message)
                .label("ignored")
                .hint("what waits to be delivered is kept by name: write another one")
                .related((*first).clone(), "it is here"),
        );
        dropped.insert((file, notifier.plugin));
    }
    dropped
}

/// All tables with the number of their file and their name.
fn all<'f>(files: &'f [&'f ParsedFile]) -> impl Iterator<Item = (usize, &'f Notifier, &'f str)> {
    files.iter().enumerate().flat_map(|(number, file)| {
        file.notifiers.iter().filter_map(move |notifier| match &file.plugins.get(notifier.plugin)?.settings {
            PluginSettings::Notify(notify) => Some((number, notifier, notify.name.as_str())),
            _ => None,
        })
    })
}

/// Gives those a name that have none: what says how they tell, and a number where that is taken. `is_named` is asked for each of them in order.
pub(crate) fn name(plugins: &mut [PluginEntry], is_named: &[bool]) {
    let mut tables: Vec<_> = plugins
        .iter_mut()
        .filter_map(|entry| match &mut entry.settings {
            PluginSettings::Notify(notify) => Some(notify),
            _ => None,
        })
        .zip(is_named)
        .collect();
    let mut taken: BTreeSet<String> =
        tables.iter().filter(|(_, is_named)| **is_named).map(|(notify, _)| notify.name.clone()).collect();
    for (notify, _) in tables.iter_mut().filter(|(_, is_named)| !**is_named) {
        let plain = notify.receiver.as_str();
        let numbered = (2u64..).map(|number| format!("{plain}-{number}"));
        let free = std::iter::once(plain.to_owned()).chain(numbered).find(|name| !taken.contains(name));
        notify.name = free.unwrap_or_default();
        taken.insert(notify.name.clone());
    }
}

/// Which files are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Among {
    /// All.
    AllFiles,
    /// Some: a rule of another file may have a type that nobody knows here.
    SomeFiles,
}

/// Words that are neither ours nor a type of a storage event, built in or of the user's rules.
pub(crate) fn unknown_words(files: &[&ParsedFile], plugins: &[PluginEntry], among: Among) -> Vec<Finding> {
    let places: Vec<&(String, Location)> =
        files.iter().flat_map(|file| &file.notifiers).flat_map(|notifier| &notifier.what).collect();
    if places.is_empty() {
        return Vec::new();
    }
    let notes = type_notes();
    let mut known: BTreeSet<&str> = words::WORDS.iter().map(|word| word.name).collect();
    known.extend(notes.iter().map(|note| note.name));
    for entry in plugins {
        if let PluginSettings::Events(events) = &entry.settings {
            known.extend(events.user_rules().map(|rule| rule.event_type.as_deref().unwrap_or("USER_EVENT")));
        }
    }
    let is_unknown = |(word, _): &&&(String, Location)| !known.iter().any(|known| words::matches(word, known));
    places.iter().filter(is_unknown).filter_map(|(word, at)| unknown(word, at, &known, among)).collect()
}

fn unknown(word: &str, at: &Location, known: &BTreeSet<&str>, among: Among) -> Option<Finding> {
    let message = format!("nothing that can happen is called `{word}`");
    let hint = match nearest(word, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if among == Among::SomeFiles => return None,
        None => {
            "docs/notify.md lists the words, and `reactorctl events catalogue` the types of storage events".to_owned()
        }
    };
    Some(Finding::at(Severity::Warning, Code::UnknownWord, &at.source, at.span.clone(), message).hint(hint))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use reactor_core::settings::NotifySettings;
    use reactor_core::settings::notify::Receiver;

    use super::*;

    fn table(name: &str) -> PluginEntry {
        let settings = NotifySettings { name: name.to_owned(), ..NotifySettings::new(Receiver::Journal) };
        PluginEntry { file: PathBuf::new(), line: 1, settings: PluginSettings::Notify(Box::new(settings)) }
    }

    #[test]
    fn a_table_without_a_name_never_takes_that_of_another() {
        let mut plugins: Vec<PluginEntry> = ["", "journal", "", "journal-2"].into_iter().map(table).collect();
        name(&mut plugins, &[false, true, false, true]);
        let names: Vec<&str> = plugins
            .iter()
            .map(|entry| match &entry.settings {
                PluginSettings::Notify(notify) => notify.name.as_str(),
                _ => "",
            })
            .collect();
        assert_eq!(names, ["journal-3", "journal", "journal-4", "journal-2"]);
    }
}
