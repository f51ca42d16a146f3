//! `[[notify]]`: what is told, how often, and to whom.

mod receivers;
mod syntax;

use reactor_core::notice::Topic;
use reactor_core::settings::NotifySettings;
use reactor_core::settings::notify::{Filter, Receiver};
use reactor_core::settings::umh::RateLimit;
use reactor_storage::event::{Severity, Subsystem};
use toml::de::DeValue;

use super::ParsedFile;
use super::walk::{Item, Reader, Table, or_list};
use crate::finding::Code;
use crate::source::Location;
use crate::spec;

/// Entries of one list.
const MAX_LIST: usize = 256;

/// A table, where it is written, and whether it says its name itself.
#[derive(Clone, Debug)]
pub(crate) struct Notifier {
    /// Index into [`ParsedFile::plugins`].
    pub(crate) plugin: usize,
    /// Its name, or its header.
    pub(crate) at: Location,
    /// Its name is its own, and not made up.
    pub(crate) is_named: bool,
    /// The words of `what`, each with its place.
    pub(crate) what: Vec<(String, Location)>,
}

pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>, parsed: &mut ParsedFile) -> NotifySettings {
    let receiver = read_receiver(reader, table, parsed);
    let (name, at) = read_name(reader, table);
    let what = read_list(reader, table, "what", syntax::what);
    let notifier = Notifier {
        plugin: parsed.plugins.len(),
        at,
        is_named: name.is_some(),
        what: what.iter().map(|(word, at)| (word.clone(), at.clone())).collect(),
    };
    parsed.notifiers.push(notifier);
    let default = NotifySettings::new(receiver.unwrap_or(Receiver::Journal));
    // Who names what is to be told means it, however mild it is.
    let severity = if what.is_empty() { default.filter.severity } else { Severity::Info };
    let filter = Filter {
        severity: reader
            .word(table, "severity", &Severity::ALL.map(|severity| (severity.as_str(), severity)))
            .unwrap_or(severity),
        topics: read_words(reader, table, "topics", &Topic::ALL.map(|topic| (topic.as_str(), topic))),
        what: texts(what),
        subsystems: read_words(reader, table, "subsystem", &Subsystem::ALL.map(|part| (part.as_str(), part))),
        devices: read_devices(reader, table),
        resources: texts(read_list(reader, table, "resource", syntax::resource)),
    };
    never(reader, table, &filter);
    NotifySettings {
        name: name.unwrap_or_else(|| default.receiver.as_str().to_owned()),
        filter,
        together: reader.duration(table, "together").unwrap_or(default.together),
        rate_limit: reader.rate(table, "rate-limit").map(|(count, per)| RateLimit { count, per }),
        keep: reader.duration(table, "keep").unwrap_or(default.keep),
        max_queued: reader
            .integer(table, "max-queued")
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(default.max_queued),
        timeout: reader.duration(table, "timeout").unwrap_or(default.timeout),
        receiver: default.receiver,
    }
}

/// Exactly one key says how it is sent.
fn read_receiver(reader: &mut Reader<'_>, table: &Table<'_>, parsed: &mut ParsedFile) -> Option<Receiver> {
    let given: Vec<&str> = spec::RECEIVERS.into_iter().filter(|key| table.item(key).is_some()).collect();
    let one = "exactly one key of a `[[notify]]` table says how it is sent";
    match given[..] {
        [] => {
            let message = format!("this table tells nobody: {one}");
            reader.error(Code::MissingKey, table.span.clone(), message).hint =
                Some(format!("add {}", or_list(&spec::RECEIVERS)));
            None
        }
        [_] => receivers::read(reader, table, parsed),
        [_, second, ..] => {
            let span = table.item(second).map_or_else(|| table.span.clone(), |item| item.span.clone());
            let message = format!("both `{}` and `{second}`: {one}", given[0]);
            reader.error(Code::BadValue, span, message).hint = Some("write a table for each".to_owned());
            // What else is wrong with either is told, too.
            receivers::read(reader, table, parsed)
        }
    }
}

fn read_name(reader: &mut Reader<'_>, table: &Table<'_>) -> (Option<String>, Location) {
    let span = table.item("name").map_or_else(|| table.span.clone(), |item| item.span.clone());
    let at = reader.location(span);
    let name = checked(reader, table, "name", syntax::name);
    (name, at)
}

/// A text that passes a check.
fn checked(reader: &mut Reader<'_>, table: &Table<'_>, key: &'static str, check: syntax::Check) -> Option<String> {
    let item = table.item(key)?.clone();
    let text = reader.text(table, key)?;
    judge(reader, key, &item, check(text)).then(|| text.to_owned())
}

/// Reports what a check found. Whether the text is good.
fn judge(reader: &mut Reader<'_>, key: &str, item: &Item<'_>, verdict: Result<(), syntax::Bad>) -> bool {
    let Err(bad) = verdict else { return true };
    let finding = reader.error(Code::BadValue, item.span.clone(), format!("`{key}`: {}", bad.why));
    finding.hint = bad.hint.map(str::to_owned);
    false
}

/// The texts of a list that pass a check, each with its place.
fn read_list(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    key: &'static str,
    check: syntax::Check,
) -> Vec<(String, Location)> {
    let mut good = Vec::new();
    let texts = reader.text_or_list(table, key);
    empty_or_long(reader, table, key);
    for (text, item) in texts.into_iter().take(MAX_LIST) {
        if judge(reader, key, &item, check(text)) {
            good.push((text.to_owned(), reader.location(item.span)));
        }
    }
    good
}

fn texts(list: Vec<(String, Location)>) -> Vec<String> {
    list.into_iter().map(|(text, _)| text).collect()
}

/// An empty list would be read as "nothing" by one and as "all" by another.
fn empty_or_long(reader: &mut Reader<'_>, table: &Table<'_>, key: &'static str) {
    let Some(item) = table.item(key) else { return };
    let DeValue::Array(list) = item.value else { return };
    if list.is_empty() {
        let message = format!("`{key}`: an empty list can't match anything");
        reader.error(Code::BadValue, item.span.clone(), message).hint = Some("leave the key out for all".to_owned());
    } else if list.len() > MAX_LIST {
        reader.error(Code::OutOfRange, item.span.clone(), format!("`{key}`: more than {MAX_LIST} entries"));
    }
}

/// Names of devices.
pub(super) fn read_devices(reader: &mut Reader<'_>, table: &Table<'_>) -> Vec<String> {
    texts(read_list(reader, table, "device", syntax::device))
}

/// One of some words, or a list of them.
pub(super) fn read_words<T: Copy>(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    key: &'static str,
    choices: &[(&str, T)],
) -> Vec<T> {
    let Some(item) = table.item(key) else { return Vec::new() };
    empty_or_long(reader, table, key);
    let items: Vec<Item<'_>> = match item.value {
        DeValue::Array(list) => {
            list.iter().map(|one| Item { value: one.get_ref(), span: one.span(), secret: item.secret }).collect()
        }
        _ => vec![item.clone()],
    };
    items.iter().take(MAX_LIST).filter_map(|item| reader.word_item(key, item, choices)).collect()
}

/// Conditions of which no notice can meet all.
fn never(reader: &mut Reader<'_>, table: &Table<'_>, filter: &Filter) {
    let is_of_storage = |topic: &Topic| matches!(topic, Topic::Event | Topic::Incident);
    if filter.topics.is_empty() || filter.topics.iter().any(is_of_storage) {
        return;
    }
    for key in ["subsystem", "device"] {
        if let Some(item) = table.item(key) {
            let message = format!("this never tells anything: `{key}` is met by storage events and incidents only");
            reader.warn(Code::Suspicious, item.span.clone(), message).hint =
                Some("add `event` or `incident` to `topics`".to_owned());
        }
    }
}
