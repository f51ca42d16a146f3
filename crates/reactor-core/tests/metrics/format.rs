//! A strict reader of the text format, written from its description, for tests.

use std::collections::BTreeSet;

/// One sample.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
}

/// Reads the whole text; panics with the line that is wrong.
pub(crate) fn read(text: &str) -> Vec<(Series, f64)> {
    let mut samples = Vec::new();
    let mut seen = BTreeSet::new();
    let mut families = BTreeSet::new();
    let mut family: Option<(String, String)> = None;
    let mut lines = text.lines().peekable();
    assert!(text.ends_with('\n'), "the last line has no end");
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect(line);
            assert!(["gauge", "counter", "summary"].contains(&kind), "{line}");
            assert!(families.insert(name.to_owned()), "family twice: {line}");
            let help = lines.next().unwrap_or_default();
            assert!(help.strip_prefix("# HELP ").is_some_and(|h| h.starts_with(&format!("{name} "))), "{line}: {help}");
            let sample = lines.peek().is_some_and(|next| !next.starts_with('#'));
            assert!(sample, "family without samples: {line}");
            family = Some((name.to_owned(), kind.to_owned()));
            continue;
        }
        let (series, value) = sample(line);
        let (family, kind) = family.as_ref().expect("a sample before the first TYPE");
        let suffixes: &[&str] = if kind == "summary" { &["_sum", "_count"] } else { &[""] };
        assert!(suffixes.iter().any(|suffix| series.name == format!("{family}{suffix}")), "not of {family}: {line}");
        assert!(seen.insert(series.clone()), "twice: {line}");
        samples.push((series, value));
    }
    samples
}

fn sample(line: &str) -> (Series, f64) {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no value: {line}"));
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "name: {line}");
    let mut labels: Vec<(String, String)> = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("label: {line}"));
            assert!(is_name(label) && !label.contains(':'), "label {label}: {line}");
            assert!(labels.iter().all(|(other, _)| other != label), "label twice: {line}");
            let (value, after) = quoted(after).unwrap_or_else(|| panic!("label value: {line}"));
            labels.push((label.to_owned(), value));
            match after.strip_prefix(',') {
                Some(more) => rest = more,
                None => {
                    rest = after.strip_prefix('}').unwrap_or_else(|| panic!("no closing brace: {line}"));
                    break;
                }
            }
        }
    }
    let value = rest.strip_prefix(' ').and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("value: {line}"));
    (Series { name: name.to_owned(), labels }, value)
}

/// The value up to its closing quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                c @ ('\\' | '"') => value.push(c),
                _ => return None,
            },
            c => value.push(c),
        }
    }
    None
}

fn is_name(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    name.chars().next().is_some_and(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}
