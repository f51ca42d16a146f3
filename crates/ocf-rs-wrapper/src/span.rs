//! Lengths of time as agents and admins write them: `20`, `20s`, `500ms`, `2min`.

use std::time::Duration;

/// Longest span that is taken.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Reads a span; a bare number is seconds. `None` = not one, or longer than [`LONGEST`].
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit.trim_start().to_ascii_lowercase().as_str() {
        "ms" | "msec" => 1,
        "" | "s" | "sec" | "secs" | "second" | "seconds" => 1000,
        "m" | "min" | "minute" | "minutes" => 60_000,
        "h" | "hr" | "hour" | "hours" => 3_600_000,
        _ => return None,
    };
    let span = Duration::from_millis(number.checked_mul(milliseconds)?);
    (span <= LONGEST).then_some(span)
}

/// In words: `20 s`, `1500 ms`.
pub(crate) fn words(span: Duration) -> String {
    match span.subsec_millis() {
        0 => format!("{} s", span.as_secs()),
        _ => format!("{} ms", span.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_as_agents_write_them() {
        for (text, expected) in [
            ("20", Some(20_000)),
            ("20s", Some(20_000)),
            (" 20 s ", Some(20_000)),
            ("500ms", Some(500)),
            ("2min", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("0", Some(0)),
            ("", None),
            ("s", None),
            ("-1", None),
            ("1.5", None),
            ("20 parsecs", None),
            ("25h", None),
            ("99999999999999999999", None),
            ("18446744073709551615h", None),
        ] {
            assert_eq!(parse(text), expected.map(Duration::from_millis), "{text:?}");
        }
    }
}
