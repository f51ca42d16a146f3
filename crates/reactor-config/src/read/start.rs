//! `start` of a promoted resource: units, OCF agents, or commands.

use std::collections::BTreeMap;
use std::ops::Range;

use reactor_core::settings::promoter::{Entry, Runner, StartEntry};

use super::walk::{Item, Reader, Table, show};
use super::{entry, order};
use crate::finding::{Code, Related};
use crate::shell_words;

/// What systemd calls units.
const SUFFIXES: [&str; 11] = [
    ".service",
    ".mount",
    ".target",
    ".socket",
    ".path",
    ".timer",
    ".device",
    ".swap",
    ".automount",
    ".slice",
    ".scope",
];

const OCF_FORM: &str = "write \"ocf:VENDOR:AGENT INSTANCE key=value ...\"";

/// The entries of `start`, each with its place.
pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>, runner: Runner) -> Vec<(Entry, Range<usize>)> {
    let is_empty = table.item("start").is_none_or(|item| item.value.as_array().is_some_and(|list| list.is_empty()));
    if is_empty {
        let span = table.item("start").map_or(&table.span, |item| &item.span).clone();
        let finding =
            reader.warn(Code::Suspicious, span, "`start` is empty: the resource is promoted and nothing is started");
        finding.label = Some("nothing to start".to_owned());
    }
    if runner == Runner::Shell {
        let texts = reader.text_list(table, "start");
        return texts.into_iter().map(|(text, item)| (StartEntry::Unit(text.to_owned()).into(), item.span)).collect();
    }
    let mut seen = Seen::default();
    let entries = read_list(reader, table, "start", &mut seen);
    if let Some((entry, span)) = entries.last()
        && matches!(&entry.what, StartEntry::Unit(unit) if unit.ends_with(".mount"))
    {
        let message = "the last unit to start is a mount";
        let finding = reader.warn(Code::Suspicious, span.clone(), message);
        finding.hint =
            Some("whoever uses the file system should be in the list too, or it can't be unmounted".to_owned());
    }
    order::report(reader, &entries);
    entries
}

/// The entries of `standby`, each with its place. None of them may be one of `start`.
pub(super) fn read_standby(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    start: &[(Entry, Range<usize>)],
) -> Vec<(Entry, Range<usize>)> {
    let mut seen = Seen::default();
    for (entry, span) in start {
        seen.0.insert(unit_of(&entry.what), span.clone());
    }
    read_list(reader, table, "standby", &mut seen)
}

/// Units, each with the place where it stands first.
#[derive(Default)]
struct Seen(BTreeMap<String, Range<usize>>);

fn read_list(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    key: &'static str,
    seen: &mut Seen,
) -> Vec<(Entry, Range<usize>)> {
    let mut entries = Vec::new();
    let (mut groups, mut containers) = (0, entry::Containers::default());
    for (what, item) in reader.text_or_table_list(table, key) {
        let read = match what {
            // Blanks and line ends around an entry come from how the file is laid out.
            Ok(text) => {
                read_text(reader, text.trim(), &item).map(|what| (what.into(), item.span.clone())).into_iter().collect()
            }
            Err(inner) => entry::read(reader, inner, &item, &mut groups, &mut containers),
        };
        for (entry, span) in read {
            report_twice(reader, seen, &entry.what, &span);
            entries.push((entry, span));
        }
    }
    entries
}

/// An entry that is only a text: a unit, or an OCF agent.
pub(super) fn read_text(reader: &mut Reader<'_>, text: &str, item: &Item<'_>) -> Option<StartEntry> {
    match text.strip_prefix("ocf:") {
        Some(rest) => read_ocf(reader, rest, item),
        None => read_unit(reader, text, item),
    }
}

/// The unit that an entry stands for, whatever the resource is.
fn unit_of(what: &StartEntry) -> String {
    match what {
        StartEntry::Unit(unit) => unit.clone(),
        StartEntry::Ocf { instance, .. } => format!("ocf.rs@{instance}"),
        StartEntry::Command { instance, .. } => format!("command@{instance}"),
    }
}

/// The same unit twice would wait for itself.
fn report_twice(reader: &mut Reader<'_>, seen: &mut Seen, entry: &StartEntry, span: &Range<usize>) {
    let (what, shown) = match entry {
        StartEntry::Unit(unit) => ("unit", unit),
        StartEntry::Ocf { instance, .. } => ("OCF instance", instance),
        StartEntry::Command { instance, .. } => ("entry", instance),
    };
    let unit = unit_of(entry);
    if let Some(first) = seen.0.get(&unit) {
        let first = reader.location(first.clone());
        let message = format!("the {what} {} is in the list twice", show(shown));
        let finding = reader.error(Code::Duplicate, span.clone(), message);
        finding.label = Some("second time".to_owned());
        finding.related.push(Related { location: first, label: "first time".to_owned() });
    } else {
        seen.0.insert(unit, span.clone());
    }
}

fn read_unit(reader: &mut Reader<'_>, unit: &str, item: &Item<'_>) -> Option<StartEntry> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    if unit.contains('/') {
        let finding = reader.error(
            Code::BadValue,
            item.span.clone(),
            format!("{} is not the name of a unit: it has a `/`", show(unit)),
        );
        finding.hint = Some(if unit.starts_with('/') {
            "`systemd-escape --path --suffix=mount /the/mount/point` prints the name of a mount unit".to_owned()
        } else {
            "`systemd-escape` prints names in which a `/` is escaped".to_owned()
        });
        return None;
    }
    if let Some(bad) = unit.chars().find(|c| !allowed(*c)) {
        let message =
            format!("{} is not the name of a unit: systemd does not allow {}", show(unit), show(&bad.to_string()));
        let finding = reader.error(Code::BadValue, item.span.clone(), message);
        if bad.is_whitespace() {
            finding.hint = Some("one unit in each string; commands need runner = \"shell\"".to_owned());
        }
        return None;
    }
    if unit.contains("@.") {
        let message = format!("{} is a template, and only an instance of it can be started", show(unit));
        let finding = reader.error(Code::BadValue, item.span.clone(), message);
        finding.hint = Some(format!("for example `{}`", unit.replacen("@.", "@NAME.", 1)));
        return None;
    }
    report_ours(reader, unit, item);
    if unit.len() > 255 {
        reader.error(Code::BadValue, item.span.clone(), "a unit name has 255 characters at most");
        return None;
    }
    if !SUFFIXES.iter().any(|suffix| unit.ends_with(suffix)) {
        let message = format!("{} has no suffix that systemd knows", show(unit));
        reader.warn(Code::Suspicious, item.span.clone(), message).hint =
            Some(format!("did you mean `{unit}.service`?"));
    }
    Some(StartEntry::Unit(unit.to_owned()))
}

/// Units that would wait for themselves. drbd-reactor takes them, so compatibility mode does too.
fn report_ours(reader: &mut Reader<'_>, unit: &str, item: &Item<'_>) {
    let ours = ["drbd-services@", "drbd-promote@", "drbd-demote-or-escalate@"];
    let (why, hint) = if ours.iter().any(|prefix| unit.starts_with(prefix)) {
        ("belongs to the promoter itself", "remove it: every promoted resource has it")
    } else if matches!(unit, "storage-reactor.service" | "drbd-reactor.service") {
        ("is the daemon itself", "remove it: the daemon runs on every node")
    } else {
        return;
    };
    let finding = reader.strict(Code::Misplaced, item.span.clone(), format!("the unit {} {why}", show(unit)));
    finding.hint = Some(hint.to_owned());
}

/// `rest` is what follows `ocf:`. Values of parameters are never put into a message.
fn read_ocf(reader: &mut Reader<'_>, rest: &str, item: &Item<'_>) -> Option<StartEntry> {
    let bad = |reader: &mut Reader<'_>, message: String| {
        reader.error(Code::BadValue, item.span.clone(), message).hint = Some(OCF_FORM.to_owned());
        None
    };
    let (name, words) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    let Some((vendor, agent)) = name.split_once(':').filter(|(vendor, agent)| part(vendor) && part(agent)) else {
        return bad(reader, format!("{} does not name an OCF agent", show(&format!("ocf:{name}"))));
    };
    let words = match shell_words::split(words) {
        Ok(words) => words,
        Err(error) => return bad(reader, format!("this OCF entry can't be split into words: {error}")),
    };
    let mut words = words.into_iter();
    let Some(instance) = words.next().filter(|word| !word.is_empty()) else {
        return bad(reader, format!("the OCF agent `{vendor}:{agent}` has no instance"));
    };
    if instance.contains('=') {
        return bad(reader, format!("the OCF agent `{vendor}:{agent}` has a parameter where its instance should be"));
    }
    let mut parameters = Vec::new();
    for word in words {
        let Some((key, value)) = word.split_once('=') else {
            let message = "a word without `=` in this OCF entry becomes a parameter with an empty value";
            reader.warn(Code::Suspicious, item.span.clone(), message).hint =
                Some("a value with blanks must be in quotes: key='a b'".to_owned());
            parameters.push((word, String::new()));
            continue;
        };
        if key.is_empty() || key.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return bad(reader, "a parameter of this OCF entry has no proper name".to_owned());
        }
        parameters.push((key.to_owned(), value.to_owned()));
    }
    Some(StartEntry::Ocf { vendor: vendor.to_owned(), agent: agent.to_owned(), instance, parameters })
}
