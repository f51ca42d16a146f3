//! Colours, and the text between them.
//!
//! `anstream` takes the colours out again where nobody would see them (no terminal, `NO_COLOR`). Colours come from here only:
//! names from the kernel and the output of handlers are data, and an escape sequence in them must not reach a terminal.

use std::borrow::Cow;

use anstyle::{AnsiColor, Style};
use serde_json::Value;

/// All is well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Degraded.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// A person must act.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Names.
pub(crate) const NAME: Style = Style::new().bold();
/// Less important.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Back to normal.
pub(crate) const END: anstyle::Reset = anstyle::Reset;

/// `1 file`, `2 files`.
pub(crate) fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// `text` without control characters; line ends and tabs stay.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(harmful) { text.replace(harmful, "\u{fffd}").into() } else { text.into() }
}

/// The same for every string in a JSON value.
pub(crate) fn make_harmless(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(clean) = harmless(text) {
                *text = clean;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(make_harmless),
        Value::Object(map) => map.values_mut().for_each(make_harmless),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_cannot_steer_a_terminal() {
        let mut value = json!({ "a": ["r\u{1b}[2J0", 1], "b": "line\n\tgood" });
        make_harmless(&mut value);
        assert_eq!(value, json!({ "a": ["r\u{fffd}[2J0", 1], "b": "line\n\tgood" }));
    }
}
