//! Text in lines that are not too wide.

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
}
