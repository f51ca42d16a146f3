//! `[[events]]` and the rules of the user's.

use reactor_core::settings::EventsSettings;
use reactor_storage::catalogue::{BadUserRule, MAX_USER_RULES, RawUserRule};
use reactor_storage::event::{Severity, Subsystem};

use super::ParsedFile;
use super::matcher::bad_regex;
use super::walk::{Reader, Table};
use crate::finding::Code;
use crate::{spec, suggest};

pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>, parsed: &mut ParsedFile) -> EventsSettings {
    let default = EventsSettings::default();
    let peripety_conf = reader.path(table, "peripety-conf");
    if let (Some(path), Some(item)) = (&peripety_conf, table.item("peripety-conf")) {
        parsed.peripety.push((path.clone(), reader.location(item.span.clone())));
    }
    let journal = reader.bool(table, "journal").unwrap_or(default.journal);
    EventsSettings {
        journal,
        together: reader.duration(table, "together").unwrap_or(default.together),
        quiet_after: reader.duration(table, "quiet-after").unwrap_or(default.quiet_after),
        rules: read_rules(reader, table, journal),
        peripety_conf,
        // That file is read when all files are.
        peripety_rules: Vec::new(),
    }
}

fn read_rules(reader: &mut Reader<'_>, table: &Table<'_>, journal: bool) -> Vec<RawUserRule> {
    let mut rules = Vec::new();
    for table in reader.sub_tables(table, "rule", &spec::EVENT_RULE) {
        let mark = reader.mark();
        if rules.len() == MAX_USER_RULES {
            let message = format!("more than {MAX_USER_RULES} rules: each is tried on every message");
            reader.error(Code::OutOfRange, table.span.clone(), message).hint =
                Some("join rules of one type with `|`".to_owned());
            reader.is_lost_since(mark);
            break;
        }
        let rule = read_rule(reader, &table);
        if let (Some(item), false) = (table.item("program"), journal) {
            let why = "this rule never finds anything: what programs say is in the journal, and `journal` is false";
            reader.warn(Code::Suspicious, item.span.clone(), why);
        }
        if !reader.is_lost_since(mark) && !reader.has_errors_since(mark) {
            rules.push(rule);
        }
    }
    rules
}

fn read_rule(reader: &mut Reader<'_>, table: &Table<'_>) -> RawUserRule {
    let mark = reader.mark();
    if table.item("regex").is_none() {
        reader.missing(table, "regex");
    }
    let mut text = |key| reader.text(table, key).map(str::to_owned);
    let rule = RawUserRule {
        name: text("name"),
        // The journal's word for the kernel.
        identifier: text("program").filter(|program| program != "kernel"),
        starts_with: text("starts-with"),
        regex: text("regex").unwrap_or_default(),
        event_type: text("event-type"),
        sub_system: text("sub-system"),
        severity: reader.word(table, "severity", &Severity::ALL.map(|severity| (severity.as_str(), severity))),
        without_device: reader.bool(table, "without-device").unwrap_or(false),
        first: reader.bool(table, "first").unwrap_or(false),
    };
    if !reader.has_errors_since(mark)
        && let Err(error) = rule.clone().compile()
    {
        tell(reader, table, &error);
    }
    rule
}

/// Says what is wrong with a rule, where it is written.
fn tell(reader: &mut Reader<'_>, table: &Table<'_>, bad: &BadUserRule) {
    let (key, hint) = match bad {
        BadUserRule::Regex(_) => ("regex", None),
        BadUserRule::NoDevice => {
            let hint = "name the part that is the device, for example `(?P<kdev>\\w+)`; or write without-device = true";
            ("regex", Some(hint.to_owned()))
        }
        BadUserRule::NoSuchSubsystem(word) => {
            let words = Subsystem::ALL.map(Subsystem::as_str);
            let meant = suggest::nearest(&word.to_ascii_lowercase(), words);
            ("sub-system", Some(meant.map_or_else(|| words.join(", "), |meant| format!("did you mean `{meant}`?"))))
        }
        BadUserRule::BadType(_) => ("event-type", Some("for example MY_PATH_FAILED".to_owned())),
        BadUserRule::BadName(_) => ("name", None),
        BadUserRule::BadIdentifier(_) => {
            let hint = "it is what a line of the log has before the colon: `journalctl -o verbose` shows it as SYSLOG_IDENTIFIER";
            ("program", Some(hint.to_owned()))
        }
    };
    let message = match bad {
        BadUserRule::Regex(error) => bad_regex(key, error),
        other => format!("`{key}`: {other}"),
    };
    let span = table.item(key).map_or_else(|| table.span.clone(), |item| item.span.clone());
    reader.error(Code::BadValue, span, message).hint = hint;
}
