//! The tables of `docs/configuration-reference.md`.

use std::fmt::Write as _;

use super::{Default, ENTRY_IN_PARALLEL, EVERY_RULE, KeySpec, Kind, MAIN, MATCHER, RULES, TableSpec, UMH, Value};
use crate::units;

/// Every table with its keys, as Markdown.
pub fn reference_markdown() -> String {
    let mut page = String::new();
    let mut tables = Vec::new();
    collect(&MAIN, &mut tables);
    tables.push(&MATCHER);
    if let Some(umh) = tables.iter().position(|table| std::ptr::eq(*table, &UMH)) {
        tables.insert(umh + 1, &EVERY_RULE);
    }
    for table in tables {
        write_table(&mut page, table);
    }
    page
}

/// All tables below `table`, each once, in the order in which they are mentioned.
pub(super) fn collect(table: &'static TableSpec, tables: &mut Vec<&'static TableSpec>) {
    if tables.iter().any(|known| std::ptr::eq(*known, table)) {
        return;
    }
    tables.push(table);
    for key in table.keys() {
        if let Some(inner) = inner_table(key) {
            collect(inner, tables);
        }
    }
}

/// The table that a key holds.
fn inner_table(key: &KeySpec) -> Option<&'static TableSpec> {
    match key.kind {
        // That of `ENTRY` but for one key.
        Kind::Entries(table) if std::ptr::eq(table, &ENTRY_IN_PARALLEL) => None,
        Kind::Table(table) | Kind::Tables(table) | Kind::Named(table) | Kind::Entries(table) => Some(table),
        _ => None,
    }
}

fn write_table(page: &mut String, table: &TableSpec) {
    let title = match table.header {
        header if header.starts_with('[') => format!("`{header}`"),
        header => header.trim_matches(['(', ')']).replace("[[", "`[[").replace("]]", "]]`"),
    };
    let mut title = title;
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let is_rule = RULES.iter().any(|(_, rule)| std::ptr::eq(*rule, table));
    let also = if is_rule { " It has the keys of every rule too." } else { "" };
    let _ = writeln!(
        page,
        "### {title}\n\n{}{also}\n\n| key | value | default | what it does |\n| --- | --- | --- | --- |",
        table.doc
    );
    for key in table.keys().filter(|key| !is_rule || EVERY_RULE.key(key.name).is_none()) {
        let star = if key.new { " \\*" } else { "" };
        let _ = writeln!(
            page,
            "| `{}`{star} | {} | {} | {} |",
            key.name,
            escape(&describe(key)),
            escape(&default(key)),
            escape(key.doc)
        );
    }
    page.push('\n');
}

fn escape(text: &str) -> String {
    text.replace('|', "\\|")
}

fn default(key: &KeySpec) -> String {
    match key.default {
        Default::Required => "must be there".to_owned(),
        Default::Value(value) => format!("`{value}`"),
        Default::Means(text) => text.to_owned(),
    }
}

/// What a value looks like, in words.
fn describe(key: &KeySpec) -> String {
    match key.kind {
        Kind::Bool => "bool".to_owned(),
        Kind::Integer { min, max } => format!("integer, {min} to {max}"),
        Kind::Duration { min_ms, max_ms, off } => {
            let off = if off && min_ms > 0 { "0, or " } else { "" };
            format!("duration, {off}{} to {}", units::show_ms(min_ms), units::show_ms(max_ms))
        }
        Kind::DurationOr { word, min_ms, max_ms } => {
            format!("`{word}`, or duration, {} to {}", units::show_ms(min_ms), units::show_ms(max_ms))
        }
        Kind::Size { min, max } => format!("size, {} to {}", units::show_size(min), units::show_size(max)),
        Kind::Text => "text".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Word(words) => list(&words()),
        Kind::WordList(words) => format!("one or a list of {}", list(&words())),
        Kind::TextList => "list of texts".to_owned(),
        Kind::TextOrList => "text, or a list of texts".to_owned(),
        Kind::DayWindows => "`\"HH:MM-HH:MM\"`, or a list of them".to_owned(),
        Kind::Map => "table of texts".to_owned(),
        Kind::Rate => "`\"COUNT/DURATION\"`".to_owned(),
        Kind::Condition(value) => format!("condition: {}", condition(value)),
        Kind::Any => "value or list".to_owned(),
        Kind::Table(_) | Kind::Foreign => "table".to_owned(),
        Kind::Tables(_) => "tables".to_owned(),
        Kind::Named(_) => "tables by name".to_owned(),
        Kind::Entries(_) => "list of texts and tables".to_owned(),
        Kind::Ignored => "anything".to_owned(),
    }
}

fn condition(value: Value) -> String {
    match value {
        Value::Bool => "bool".to_owned(),
        Value::Integer { .. } => "integer".to_owned(),
        Value::Text => "text".to_owned(),
        Value::Word(words) => list(&words()),
        Value::Set(words) => format!("`no`, or some of {}", list(&words())),
        Value::SetOrBool(words) => format!("bool, `no`, or some of {}", list(&words())),
    }
}

fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
