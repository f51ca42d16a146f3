//! Words for times, and text in lines that are not too wide.

use std::time::Duration;

/// How many columns there are.
pub(crate) const WIDTH: usize = 80;

/// `text` in lines of at most so many characters, between words as far as that is possible.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The margin of a manual page, where the help stands, too.
const MARGIN: usize = 8;

/// A table of two columns for the help: names, and what there is to say of each. Marks of the documents are left out.
pub(crate) fn listed(rows: &[(String, String)]) -> String {
    let names = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, what) in rows {
        let what = what.replace('`', "");
        for (at, line) in wrapped(&what, (WIDTH - MARGIN).saturating_sub(names + 4)).iter().enumerate() {
            let name = if at == 0 { name.as_str() } else { "" };
            text.push_str(&format!("  {name:names$}  {line}\n"));
        }
    }
    text
}

/// Time between two RFC 3339 times.
pub(crate) fn between(from: &str, to: &str) -> Option<Duration> {
    let (from, to): (jiff::Timestamp, jiff::Timestamp) = (from.parse().ok()?, to.parse().ok()?);
    u64::try_from(to.as_second() - from.as_second()).ok().map(Duration::from_secs)
}

/// The two largest units: enough to know.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_the_help_has_room_for_a_margin() {
        let row = |name: &str, what: &str| (name.to_owned(), what.to_owned());
        let long = "word ".repeat(30);
        let text = listed(&[row("a", "`status` says it"), row("long-name", &long)]);
        assert!(text.starts_with("  a          status says it\n  long-name  word "), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH - MARGIN), "{text}");
        assert!(text.lines().skip(2).all(|line| line.starts_with("             word")), "{text}");
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("a-word-that-is-longer x", 8), ["a-word-that-is-longer", "x"]);
        assert!(wrapped("", 8).is_empty());
    }

    #[test]
    fn times_are_told_in_two_units() {
        let text = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!([text(5), text(125), text(7325), text(200_000)], ["5 s", "2 min", "2 h 2 min", "2 d 7 h"]);
    }
}
