//! The typed reader: takes values out of a spanned table and collects what is wrong with them.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reactor_core::settings::Mode;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::finding::{Code, Finding, Severity};
use crate::source::{Location, Source};
use crate::spec::{self, KeySpec, Kind, TableSpec};
use crate::{secret, suggest, units};

/// Reads one file.
pub(super) struct Reader<'s> {
    source: &'s Arc<Source>,
    mode: Mode,
    base: &'s Path,
    findings: Vec<Finding>,
}

/// One table that is being read. Its unknown keys are already reported.
pub(super) struct Table<'a> {
    entries: Vec<Entry<'a>>,
    /// Its header, or all of an inline table.
    pub(super) span: Range<usize>,
    spec: &'static TableSpec,
}

/// One key with its value.
#[derive(Clone)]
pub(super) struct Entry<'a> {
    pub(super) key: &'a str,
    pub(super) key_span: Range<usize>,
    pub(super) item: Item<'a>,
}

/// One value and where it is.
#[derive(Clone)]
pub(super) struct Item<'a> {
    pub(super) value: &'a DeValue<'a>,
    pub(super) span: Range<usize>,
    /// Its value must not be printed.
    pub(super) secret: bool,
}

/// A value of a user in a message: in backticks, on one line, not too long.
pub(super) fn show(text: &str) -> String {
    let text = &secret::mask_text(text);
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        shown.push_str("...");
    }
    // What escape_debug does to quotes helps nobody here.
    format!("`{}`", shown.replace("\\'", "'").replace("\\\"", "\""))
}

/// `a`, `b` or `c`.
pub(super) fn or_list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => format!("`{word}`"),
        [words @ .., last] => format!("`{}` or `{last}`", words.join("`, `")),
    }
}

/// The type of a value with its article.
fn a_type(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a bool",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The number, or the nearest one within the limits.
fn integer_nearest(value: &DeInteger<'_>, min: i64, max: i64) -> Result<i64, i64> {
    let text = value.as_str();
    match i64::from_str_radix(text, value.radix()) {
        Ok(number) if number < min => Err(min),
        Ok(number) if number > max => Err(max),
        Ok(number) => Ok(number),
        Err(_) => Err(if text.starts_with('-') { min } else { max }),
    }
}

impl<'a> Table<'a> {
    /// The value of `key`, which must be a key of its spec.
    pub(super) fn item(&self, key: &str) -> Option<&Item<'a>> {
        debug_assert!(self.spec.key(key).is_some(), "{key} is not described in {}", self.spec.header);
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.item)
    }

    /// All keys with their values, also those that no spec has.
    pub(super) fn given(&self) -> impl Iterator<Item = (&str, &Item<'a>)> {
        self.entries.iter().map(|entry| (entry.key, &entry.item))
    }

    fn kind(&self, key: &str) -> Kind {
        self.spec.key(key).map_or(Kind::Ignored, |key| key.kind)
    }
}

impl<'s> Reader<'s> {
    pub(super) fn new(source: &'s Arc<Source>, mode: Mode, base: &'s Path) -> Self {
        Self { source, mode, base, findings: Vec::new() }
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) fn location(&self, span: Range<usize>) -> Location {
        Location { source: self.source.clone(), span }
    }

    /// The text of the file at a place.
    pub(super) fn text_at(&self, span: &Range<usize>) -> &'s str {
        self.source.text().get(span.clone()).unwrap_or_default()
    }

    /// Line of a table's header, from 1.
    pub(super) fn line(&self, span: &Range<usize>) -> u32 {
        self.source.line_column(span.start).0
    }

    /// All findings, in the order of the file.
    pub(super) fn into_findings(mut self) -> Vec<Finding> {
        self.findings.sort_by_key(|finding| finding.location.as_ref().map(|location| location.span.start));
        self.findings
    }

    pub(super) fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Adds an error; the caller adds label and hint.
    pub(super) fn error(&mut self, code: Code, span: Range<usize>, message: impl Into<String>) -> &mut Finding {
        self.add(Severity::Error, code, span, message)
    }

    /// Adds a warning; the caller adds label and hint.
    pub(super) fn warn(&mut self, code: Code, span: Range<usize>, message: impl Into<String>) -> &mut Finding {
        self.add(Severity::Warning, code, span, message)
    }

    /// An error of ours, a warning in compatibility mode.
    pub(super) fn strict(&mut self, code: Code, span: Range<usize>, message: impl Into<String>) -> &mut Finding {
        let severity = match self.mode {
            Mode::Native => Severity::Error,
            Mode::DrbdReactor => Severity::Warning,
        };
        self.add(severity, code, span, message)
    }

    /// Where the findings are by now, for [`Self::is_lost_since`].
    pub(super) fn mark(&self) -> usize {
        self.findings.len()
    }

    /// Whether a part of the file has to be left out for errors that were found in it since `mark`. Only in compatibility mode, where one
    /// bad value must not cost all of a file; otherwise its errors make the whole file bad.
    pub(super) fn is_lost_since(&mut self, mark: usize) -> bool {
        if self.mode == Mode::Native {
            return false;
        }
        let mut lost = false;
        let errors = self.findings[mark..].iter_mut().filter(|finding| finding.is_error() && !finding.costs_part);
        for finding in errors {
            finding.costs_part = true;
            lost = true;
        }
        lost
    }

    /// Whether there are errors since `mark`.
    pub(super) fn has_errors_since(&self, mark: usize) -> bool {
        self.findings[mark..].iter().any(Finding::is_error)
    }

    fn add(&mut self, severity: Severity, code: Code, span: Range<usize>, message: impl Into<String>) -> &mut Finding {
        self.findings.push(Finding::at(severity, code, self.source, span, message.into()));
        self.findings.last_mut().expect("just pushed")
    }

    /// The entries of a table in the order of the file.
    pub(super) fn entries<'a>(&self, table: &'a DeTable<'a>, secret: bool) -> Vec<Entry<'a>> {
        let mut entries: Vec<Entry<'a>> = table
            .iter()
            .map(|(key, value)| Entry {
                key: key.get_ref(),
                key_span: key.span(),
                item: Item {
                    value: value.get_ref(),
                    span: value.span(),
                    secret: secret || secret::is_secret(key.get_ref()),
                },
            })
            .collect();
        entries.sort_by_key(|entry| entry.key_span.start);
        entries
    }

    /// Opens a table: unknown and ignored keys are reported here.
    pub(super) fn table<'a>(
        &mut self,
        table: &'a DeTable<'a>,
        span: Range<usize>,
        spec: &'static TableSpec,
    ) -> Table<'a> {
        let entries = self.entries(table, false);
        for entry in &entries {
            match spec.key(entry.key) {
                None if spec::is_foreign(spec, entry.key, entry.item.value) => {}
                None => self.unknown_key(entry, spec),
                Some(KeySpec { kind: Kind::Ignored, .. }) => {
                    let message = format!("`{}` has no effect", entry.key);
                    self.warn(Code::Ignored, entry.key_span.clone(), message).hint = Some("remove it".to_owned());
                }
                Some(_) => {}
            }
        }
        Table { entries, span, spec }
    }

    fn unknown_key(&mut self, entry: &Entry<'_>, spec: &'static TableSpec) {
        if std::ptr::eq(spec, &spec::SNIPPET) && spec::MAIN.key(entry.key).is_some() {
            let message = format!("`{}` has no effect in a snippet, which may hold plugin tables only", entry.key);
            self.strict(Code::Misplaced, entry.key_span.clone(), message).hint =
                Some("move it to the main file".to_owned());
            return;
        }
        let place = match spec.header.strip_prefix('(') {
            Some(place) => format!("at the {}", place.trim_end_matches(')')),
            None if spec.header.starts_with('[') => format!("in `{}`", spec.header),
            None => format!("in {}", spec.header),
        };
        let message = format!("unknown key {} {place}", show(entry.key));
        let hint = match suggest::nearest(entry.key, spec.keys().map(|key| key.name)) {
            Some(name) => Some(format!("did you mean `{name}`?")),
            None => spec::tables_with(entry.key)
                .first()
                .map(|table| format!("`{}` is a key of `{}`", entry.key, table.header)),
        };
        let finding = self.strict(Code::UnknownKey, entry.key_span.clone(), message);
        finding.hint = hint;
    }

    /// Reports that a value has the wrong type.
    pub(super) fn wrong_type(&mut self, key: &str, item: &Item<'_>, expected: &str) -> &mut Finding {
        let found = a_type(item.value);
        let finding =
            self.error(Code::WrongType, item.span.clone(), format!("`{key}` must be {expected}, but this is {found}"));
        finding.label = Some(format!("expected {expected}"));
        finding
    }

    /// Reports a word that is none of `words`.
    pub(super) fn unknown_word(&mut self, key: &str, item: &Item<'_>, word: &str, words: &[&str]) {
        let shown = if item.secret { "this word".to_owned() } else { show(word) };
        let meant = suggest::nearest(word, words.iter().copied());
        let finding = self.error(
            Code::UnknownWord,
            item.span.clone(),
            format!("{shown} is not a word for `{key}`: it must be {}", or_list(words)),
        );
        finding.hint = meant.map(|meant| format!("did you mean `{meant}`?"));
    }

    fn bad_text(&mut self, key: &str, item: &Item<'_>, why: &str, hint: &str) {
        let why = if item.secret { "it can't be read" } else { why };
        let finding = self.error(Code::BadValue, item.span.clone(), format!("`{key}`: {why}"));
        if !hint.is_empty() {
            finding.hint = Some(hint.to_owned());
        }
    }

    /// Reports a number beyond its limits. In compatibility mode the nearest one that is allowed is used, because drbd-reactor takes it;
    /// `shown` is how that one is written.
    fn out_of_range<T>(&mut self, key: &str, item: &Item<'_>, range: &str, nearest: T, shown: &str) -> Option<T> {
        let finding = self.strict(Code::OutOfRange, item.span.clone(), format!("`{key}` must be {range}"));
        if finding.is_error() {
            finding.label = Some("out of range".to_owned());
            return None;
        }
        finding.message.push_str(&format!("; taken as {shown}"));
        Some(nearest)
    }

    /// Reports that a key is missing.
    pub(super) fn missing(&mut self, table: &Table<'_>, key: &str) {
        let finding = self.error(Code::MissingKey, table.span.clone(), format!("`{key}` is missing"));
        finding.label = Some("in this table".to_owned());
        finding.hint = table.spec.key(key).map(|key| format!("`{}`: {}", key.name, key.doc));
    }

    pub(super) fn bool(&mut self, table: &Table<'_>, key: &'static str) -> Option<bool> {
        let item = table.item(key)?;
        match item.value {
            DeValue::Boolean(value) => Some(*value),
            DeValue::String(text) => {
                let hint = matches!(text.as_ref(), "true" | "false" | "yes" | "no" | "on" | "off");
                let finding = self.wrong_type(key, item, "true or false");
                finding.hint = hint.then(|| "write true or false, without quotes".to_owned());
                None
            }
            _ => {
                self.wrong_type(key, item, "true or false");
                None
            }
        }
    }

    pub(super) fn integer(&mut self, table: &Table<'_>, key: &'static str) -> Option<i64> {
        let Kind::Integer { min, max } = table.kind(key) else { return None };
        self.integer_item(key, table.item(key)?, min, max)
    }

    pub(super) fn integer_item(&mut self, key: &str, item: &Item<'_>, min: i64, max: i64) -> Option<i64> {
        let DeValue::Integer(number) = item.value else {
            let hint = matches!(item.value, DeValue::String(text) if text.parse::<i64>().is_ok());
            let finding = self.wrong_type(key, item, "an integer");
            finding.hint = hint.then(|| "write the number without quotes".to_owned());
            return None;
        };
        match integer_nearest(number, min, max) {
            Ok(number) => Some(number),
            Err(nearest) => {
                self.out_of_range(key, item, &format!("between {min} and {max}"), nearest, &nearest.to_string())
            }
        }
    }

    /// The integer of a condition. One that is out of range matches nothing: drbd-reactor takes it, so compatibility mode does too.
    pub(super) fn condition_integer(&mut self, key: &str, item: &Item<'_>, min: i64, max: i64) -> Option<i64> {
        match (item.value, self.mode) {
            (DeValue::Integer(number), Mode::DrbdReactor) if integer_nearest(number, min, max).is_err() => {
                let message = format!("`{key}` is never such a number: it is between {min} and {max}");
                self.warn(Code::OutOfRange, item.span.clone(), message);
                None
            }
            _ => self.integer_item(key, item, min, max),
        }
    }

    /// The duration; `None` also where it is missing or bad. Zero is returned as such where it switches something off.
    pub(super) fn duration(&mut self, table: &Table<'_>, key: &'static str) -> Option<Duration> {
        let Kind::Duration { min_ms, max_ms, off } = table.kind(key) else { return None };
        self.duration_item(key, table.item(key)?, min_ms, max_ms, off)
    }

    /// The duration, or `Some(None)` for the word that may stand in its place.
    pub(super) fn duration_or_word(&mut self, table: &Table<'_>, key: &'static str) -> Option<Option<Duration>> {
        let Kind::DurationOr { word, min_ms, max_ms } = table.kind(key) else { return None };
        let item = table.item(key)?;
        match item.value {
            DeValue::String(text) if text == word => Some(None),
            DeValue::String(text) if !text.trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                let message = format!("{} is neither a duration nor `{word}`", show(text));
                let finding = self.error(Code::UnknownWord, item.span.clone(), message);
                finding.hint = Some(match suggest::nearest(text, [word]) {
                    Some(word) => format!("did you mean `{word}`?"),
                    None => format!("write \"{word}\", or {}", units::DURATION_UNITS),
                });
                None
            }
            _ => self.duration_item(key, item, min_ms, max_ms, false).map(Some),
        }
    }

    fn duration_item(
        &mut self,
        key: &'static str,
        item: &Item<'_>,
        min_ms: u64,
        max_ms: u64,
        off: bool,
    ) -> Option<Duration> {
        let text = match item.value {
            DeValue::String(text) => text.as_ref(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => {
                self.wrong_type(key, item, "a duration").hint = Some(format!("write {}", units::DURATION_UNITS));
                return None;
            }
        };
        let range = |off: bool| {
            let zero = if off { "0 (off) or " } else { "" };
            format!("{zero}between {} and {}", units::show_ms(min_ms), units::show_ms(max_ms))
        };
        let duration = match units::parse_duration(text) {
            Ok(duration) => duration,
            Err(_) if text.starts_with('-') => {
                let shown = units::show_ms(min_ms);
                return self.out_of_range(key, item, &range(off), Duration::from_millis(min_ms), &shown);
            }
            Err(why) => {
                self.bad_text(key, item, &why, &format!("write {}", units::DURATION_UNITS));
                return None;
            }
        };
        let fits = Duration::from_millis(min_ms) <= duration && duration <= Duration::from_millis(max_ms);
        if fits || (off && duration.is_zero()) {
            return Some(duration);
        }
        let nearest = if duration < Duration::from_millis(min_ms) { min_ms } else { max_ms };
        self.out_of_range(key, item, &range(off), Duration::from_millis(nearest), &units::show_ms(nearest))
    }

    pub(super) fn size(&mut self, table: &Table<'_>, key: &'static str) -> Option<u64> {
        let Kind::Size { min, max } = table.kind(key) else { return None };
        let item = table.item(key)?;
        let hint = "write a number of bytes, or text like \"64KiB\" or \"16MiB\"";
        let size = match item.value {
            DeValue::Integer(number) if number.as_str().starts_with('-') => 0,
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).unwrap_or(u64::MAX),
            DeValue::String(text) => match units::parse_size(text) {
                Ok(size) => size,
                Err(why) => {
                    self.bad_text(key, item, &why, hint);
                    return None;
                }
            },
            _ => {
                self.wrong_type(key, item, "a size").hint = Some(hint.to_owned());
                return None;
            }
        };
        if (min..=max).contains(&size) {
            return Some(size);
        }
        let range = format!("between {} and {}", units::show_size(min), units::show_size(max));
        let nearest = size.clamp(min, max);
        self.out_of_range(key, item, &range, nearest, &units::show_size(nearest))
    }

    pub(super) fn rate(&mut self, table: &Table<'_>, key: &'static str) -> Option<(u32, Duration)> {
        let item = table.item(key)?;
        let hint = "write COUNT/DURATION, for example \"5/1min\"";
        let DeValue::String(text) = item.value else {
            self.wrong_type(key, item, "a string").hint = Some(hint.to_owned());
            return None;
        };
        match units::parse_rate(text) {
            Ok((count, per)) if count > 0 && !per.is_zero() => Some((count, per)),
            Ok(_) => {
                self.bad_text(key, item, "neither the count nor the duration may be 0", hint);
                None
            }
            Err(why) => {
                self.bad_text(key, item, &why, hint);
                None
            }
        }
    }

    /// A text that is not empty and that the system can take.
    pub(super) fn text<'a>(&mut self, table: &Table<'a>, key: &'static str) -> Option<&'a str> {
        self.text_item(key, table.item(key)?)
    }

    pub(super) fn text_item<'a>(&mut self, key: &str, item: &Item<'a>) -> Option<&'a str> {
        let DeValue::String(text) = item.value else {
            let scalar = !matches!(item.value, DeValue::Array(_) | DeValue::Table(_));
            self.wrong_type(key, item, "a string").hint = scalar.then(|| "put the text in quotes: \"...\"".to_owned());
            return None;
        };
        if text.trim().is_empty() {
            self.strict(Code::BadValue, item.span.clone(), format!("`{key}`: it must not be empty"));
            return None;
        }
        if text.contains('\0') {
            self.bad_text(key, item, "it must not hold a NUL character", "");
            return None;
        }
        Some(text)
    }

    /// A path; a relative one starts at the folder of the file.
    pub(super) fn path(&mut self, table: &Table<'_>, key: &'static str) -> Option<PathBuf> {
        self.text(table, key).map(|text| self.base.join(text))
    }

    /// A program: a name is looked up in `PATH`, anything with a `/` is a path.
    pub(super) fn program(&mut self, table: &Table<'_>, key: &'static str) -> Option<PathBuf> {
        self.text(table, key).map(|text| self.program_of(text))
    }

    /// The same of a text that was read already.
    pub(super) fn program_of(&self, text: &str) -> PathBuf {
        if text.contains('/') { self.base.join(text) } else { PathBuf::from(text) }
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&mut self, table: &Table<'_>, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let item = table.item(key)?;
        self.word_item(key, item, choices)
    }

    pub(super) fn word_item<T: Copy>(&mut self, key: &str, item: &Item<'_>, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let DeValue::String(text) = item.value else {
            self.wrong_type(key, item, "a string").hint = Some(format!("one of {}", or_list(&words)));
            return None;
        };
        let found = choices.iter().find(|(word, _)| word == text).map(|(_, choice)| *choice);
        if found.is_none() {
            self.unknown_word(key, item, text, &words);
        }
        found
    }

    /// The texts of a list, or the one that stands there without a list, each with its place.
    pub(super) fn text_or_list<'a>(&mut self, table: &Table<'a>, key: &'static str) -> Vec<(&'a str, Item<'a>)> {
        match table.item(key) {
            Some(item) if item.value.is_str() => {
                let item = item.clone();
                self.text_item(key, &item).map(|text| (text, item)).into_iter().collect()
            }
            _ => self.text_list(table, key),
        }
    }

    /// The texts of a list, each with its place.
    pub(super) fn text_list<'a>(&mut self, table: &Table<'a>, key: &'static str) -> Vec<(&'a str, Item<'a>)> {
        let Some(item) = table.item(key) else { return Vec::new() };
        let DeValue::Array(array) = item.value else {
            self.wrong_type(key, item, "a list of strings").hint = Some(format!("write {key} = [\"...\", \"...\"]"));
            return Vec::new();
        };
        let mut texts = Vec::new();
        for element in array {
            let element = Item { value: element.get_ref(), span: element.span(), secret: item.secret };
            if !element.value.is_str() {
                let found = a_type(element.value);
                let message = format!("`{key}` must be a list of strings, but this entry is {found}");
                self.error(Code::WrongType, element.span, message).label = Some("expected a string".to_owned());
            } else if let Some(text) = self.text_item(key, &element) {
                texts.push((text, element));
            }
        }
        texts
    }

    /// The texts and tables of a list, each with its place.
    pub(super) fn text_or_table_list<'a>(
        &mut self,
        table: &Table<'a>,
        key: &'static str,
    ) -> Vec<(Result<&'a str, &'a DeTable<'a>>, Item<'a>)> {
        let Some(item) = table.item(key) else { return Vec::new() };
        let DeValue::Array(array) = item.value else {
            self.wrong_type(key, item, "a list of strings").hint = Some(format!("write {key} = [\"...\", \"...\"]"));
            return Vec::new();
        };
        let mut out = Vec::new();
        for element in array {
            let element = Item { value: element.get_ref(), span: element.span(), secret: item.secret };
            match element.value {
                DeValue::Table(inner) => out.push((Err(inner), element)),
                DeValue::String(_) => {
                    let text = self.text_item(key, &element);
                    out.extend(text.map(|text| (Ok(text), element)));
                }
                other => {
                    let message =
                        format!("`{key}` must be a list of strings and tables, but this entry is {}", a_type(other));
                    self.error(Code::WrongType, element.span, message).label =
                        Some("expected a string or a table".to_owned());
                }
            }
        }
        out
    }

    /// The table that `key` holds.
    pub(super) fn sub_table<'a>(
        &mut self,
        table: &Table<'a>,
        key: &'static str,
        spec: &'static TableSpec,
    ) -> Option<Table<'a>> {
        let item = table.item(key)?;
        let DeValue::Table(inner) = item.value else {
            let is_array = matches!(item.value, DeValue::Array(_)) && spec.header.starts_with('[');
            let finding = self.wrong_type(key, item, "a table");
            finding.hint = is_array.then(|| format!("write {}, there is only one", spec.header));
            return None;
        };
        Some(self.table(inner, item.span.clone(), spec))
    }

    /// The tables of an array of tables.
    pub(super) fn sub_tables<'a>(
        &mut self,
        table: &Table<'a>,
        key: &'static str,
        spec: &'static TableSpec,
    ) -> Vec<Table<'a>> {
        let Some(item) = table.item(key) else { return Vec::new() };
        let header = spec.header.trim_matches(['[', ']']);
        let array = match item.value {
            DeValue::Array(array) => array,
            DeValue::Table(_) => {
                let finding = self.error(
                    Code::WrongType,
                    item.span.clone(),
                    format!("`{header}` is an array of tables, but this is a single table"),
                );
                finding.hint = Some(format!("write [[{header}]], with two brackets on each side"));
                return Vec::new();
            }
            _ => {
                self.wrong_type(key, item, "an array of tables").hint = Some(format!("write [[{header}]]"));
                return Vec::new();
            }
        };
        let mut tables = Vec::new();
        for element in array {
            match element.get_ref() {
                DeValue::Table(inner) => tables.push(self.table(inner, element.span(), spec)),
                value => {
                    let element = Item { value, span: element.span(), secret: item.secret };
                    self.wrong_type(key, &element, "an array of tables");
                }
            }
        }
        tables
    }
}
