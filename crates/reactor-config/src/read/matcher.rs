//! Conditions on one field: a bare value, a list, or `{ value = ..., operator = ... }`.

use reactor_core::settings::umh::{Condition, Matcher, Pattern};
use regex::RegexBuilder;
use toml::de::DeValue;

use super::walk::{Item, Reader, Table, or_list};
use crate::finding::Code;
use crate::spec;

/// Largest compiled form of a regular expression: a rule must not cost more memory than all the rest.
const REGEX_SIZE_LIMIT: usize = 1 << 20;

#[derive(Clone, Copy)]
enum Operator {
    Equals,
    NotEquals,
    Matches,
    NotMatches,
}

/// Turns one value into the type of the field; reports what is wrong with it.
pub(super) type Convert<T> = fn(&mut Reader<'_>, &str, &Item<'_>) -> Option<T>;

/// The condition on `key`; `None` if there is none, or a bad one, which is reported.
pub(super) fn condition<T>(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    key: &'static str,
    convert: Convert<T>,
) -> Condition<T> {
    let item = table.item(key)?;
    matcher(reader, key, item, convert)
}

/// The condition that a value of `key` is.
pub(super) fn matcher<T>(
    reader: &mut Reader<'_>,
    key: &'static str,
    item: &Item<'_>,
    convert: Convert<T>,
) -> Condition<T> {
    let DeValue::Table(form) = item.value else { return values(reader, key, item, convert).map(Matcher::In) };
    let form = reader.table(form, item.span.clone(), &spec::MATCHER);
    use Operator::{Equals, Matches, NotEquals, NotMatches};
    let choices: Vec<(&str, Operator)> =
        spec::OPERATORS.into_iter().zip([Equals, NotEquals, Matches, NotMatches]).collect();
    let operator = match form.item("operator") {
        Some(_) => reader.word(&form, "operator", &choices)?,
        None => Equals,
    };
    let Some(value) = form.item("value") else {
        reader.missing(&form, "value");
        return None;
    };
    match operator {
        Equals => values(reader, key, value, convert).map(Matcher::In),
        NotEquals => values(reader, key, value, convert).map(Matcher::NotIn),
        Matches => pattern(reader, key, value).map(Matcher::Matches),
        NotMatches => pattern(reader, key, value).map(Matcher::NotMatches),
    }
}

/// Whether the condition on `key` is about a bool: its value, or the first one of its list.
pub(super) fn is_bool(table: &Table<'_>, key: &'static str) -> bool {
    fn first<'a>(value: &'a DeValue<'a>) -> Option<&'a DeValue<'a>> {
        match value {
            DeValue::Array(list) => list.iter().next().map(toml::Spanned::get_ref),
            DeValue::Table(form) => form.get("value").and_then(|value| first(value.get_ref())),
            value => Some(value),
        }
    }
    matches!(table.item(key).and_then(|item| first(item.value)), Some(DeValue::Boolean(_)))
}

/// The values. One that was reported and is no error is left out: what it asks for is never so.
fn values<T>(reader: &mut Reader<'_>, key: &str, item: &Item<'_>, convert: Convert<T>) -> Option<Vec<T>> {
    let mark = reader.mark();
    let converted: Vec<T> = match item.value {
        DeValue::Array(list) if list.is_empty() => {
            let message = format!("`{key}`: an empty list can't match anything");
            reader.strict(Code::BadValue, item.span.clone(), message);
            Vec::new()
        }
        DeValue::Array(list) => {
            let items = list.iter().map(|one| Item { value: one.get_ref(), span: one.span(), secret: item.secret });
            items.filter_map(|item| convert(reader, key, &item)).collect()
        }
        _ => convert(reader, key, item).into_iter().collect(),
    };
    (!reader.has_errors_since(mark)).then_some(converted)
}

fn pattern(reader: &mut Reader<'_>, key: &str, item: &Item<'_>) -> Option<Pattern> {
    if matches!(item.value, DeValue::Array(_)) {
        let message = format!("`{key}`: there can be only one regular expression");
        reader.error(Code::WrongType, item.span.clone(), message).hint = Some("join them with `|`: \"a|b\"".to_owned());
        return None;
    }
    let text = reader.text_item(key, item)?;
    let error = match RegexBuilder::new(text).size_limit(REGEX_SIZE_LIMIT).dfa_size_limit(REGEX_SIZE_LIMIT).build() {
        Ok(regex) => return Some(Pattern(regex)),
        Err(error) => error,
    };
    reader.error(Code::BadValue, item.span.clone(), bad_regex(key, &error));
    None
}

/// What is wrong with a regular expression.
pub(super) fn bad_regex(key: &str, error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => format!("`{key}`: this regular expression needs too much memory"),
        error => {
            // The parser draws a snapshot; its last line says what is wrong.
            let text = error.to_string();
            let why = text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned();
            format!("`{key}`: this is not a regular expression: {why}")
        }
    }
}

pub(super) fn a_bool(reader: &mut Reader<'_>, key: &str, item: &Item<'_>) -> Option<bool> {
    let DeValue::Boolean(value) = item.value else {
        let finding = reader.wrong_type(key, item, "true or false");
        if matches!(item.value, DeValue::String(_)) {
            finding.hint = Some("write true or false, without quotes".to_owned());
        }
        return None;
    };
    Some(*value)
}

pub(super) fn a_text(reader: &mut Reader<'_>, key: &str, item: &Item<'_>) -> Option<String> {
    reader.text_item(key, item).map(str::to_owned)
}

pub(super) fn a_u32(reader: &mut Reader<'_>, key: &str, item: &Item<'_>) -> Option<u32> {
    reader.condition_integer(key, item, 0, i64::from(u32::MAX)).and_then(|number| u32::try_from(number).ok())
}

pub(super) fn an_i32(reader: &mut Reader<'_>, key: &str, item: &Item<'_>) -> Option<i32> {
    let range = i64::from(i32::MIN)..=i64::from(i32::MAX);
    reader.condition_integer(key, item, *range.start(), *range.end()).and_then(|number| i32::try_from(number).ok())
}

pub(super) fn an_exit_code(reader: &mut Reader<'_>, key: &str, item: &Item<'_>) -> Option<i32> {
    reader.condition_integer(key, item, 0, 255).and_then(|number| i32::try_from(number).ok())
}

pub(super) fn a_u64(reader: &mut Reader<'_>, key: &str, item: &Item<'_>) -> Option<u64> {
    reader.condition_integer(key, item, 0, i64::MAX).and_then(|number| u64::try_from(number).ok())
}

/// A word of DRBD. An unknown one is an error: words of a newer DRBD can be matched by a regular expression.
pub(super) fn a_word<T>(
    reader: &mut Reader<'_>,
    key: &str,
    item: &Item<'_>,
    words: &[&str],
    from_word: fn(&str) -> T,
) -> Option<T> {
    let DeValue::String(text) = item.value else {
        reader.wrong_type(key, item, "a string").hint = Some(format!("one of {}", or_list(words)));
        return None;
    };
    if words.contains(&text.as_ref()) {
        return Some(from_word(text));
    }
    reader.unknown_word(key, item, text, words);
    None
}

/// A set of words of DRBD: `no`, or a comma list.
pub(super) fn a_set<T>(
    reader: &mut Reader<'_>,
    key: &str,
    item: &Item<'_>,
    words: &[&str],
    from_word: fn(&str) -> T,
) -> Option<T> {
    let text = reader.text_item(key, item)?;
    let Some(unknown) = text.split(',').find(|word| *word != "no" && !words.contains(word)) else {
        return Some(from_word(text));
    };
    let mut all = vec!["no"];
    all.extend(words);
    if all.contains(&unknown.trim()) {
        let message = format!("`{key}`: the list must be written as DRBD does, with commas and without blanks");
        reader.error(Code::BadValue, item.span.clone(), message);
    } else {
        reader.unknown_word(key, item, unknown, &all);
    }
    None
}
