//! Splits the text of an OCF start entry into words, with the quotes of a POSIX shell and without any of its expansions.

/// Why a text can't be split.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum SplitError {
    /// `'...`
    #[error("a single quote is not closed")]
    SingleQuote,
    /// `"...`
    #[error("a double quote is not closed")]
    DoubleQuote,
    /// `...\`
    #[error("a backslash at the end has nothing to escape")]
    Backslash,
}

/// The words of `text`. A `#` at the start of a word begins a comment, as in a shell.
pub(crate) fn split(text: &str) -> Result<Vec<String>, SplitError> {
    let mut words = Vec::new();
    // `None` between words: `''` is a word, nothing is not.
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '#' if word.is_none() => {
                // Up to the end of the line.
                let _ = chars.by_ref().find(|&c| c == '\n');
            }
            '\'' => single_quoted(&mut chars, word.get_or_insert_default())?,
            '"' => double_quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => match chars.next() {
                Some('\n') => {}
                Some(escaped) => word.get_or_insert_default().push(escaped),
                None => return Err(SplitError::Backslash),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn single_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), SplitError> {
    loop {
        match chars.next() {
            Some('\'') => return Ok(()),
            Some(c) => word.push(c),
            None => return Err(SplitError::SingleQuote),
        }
    }
}

fn double_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), SplitError> {
    loop {
        match chars.next() {
            Some('"') => return Ok(()),
            Some('\\') => match chars.next() {
                Some('\n') => {}
                // Before any other character the backslash stands for itself.
                Some(c @ ('$' | '`' | '"' | '\\')) => word.push(c),
                Some(c) => word.extend(['\\', c]),
                None => return Err(SplitError::DoubleQuote),
            },
            Some(c) => word.push(c),
            None => return Err(SplitError::DoubleQuote),
        }
    }
}

/// `word` in quotes, if it needs them, so that [`split`] gives it back.
pub(crate) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+/:=@%,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_as_a_shell_does() {
        for (text, words) in [
            ("", &[][..]),
            ("  a\tb\nc ", &["a", "b", "c"]),
            ("a='b c' d", &["a=b c", "d"]),
            (r#"a="b \"c\" \d $" e"#, &["a=b \"c\" \\d $", "e"]),
            (r"a\ b '' c\'d", &["a b", "", "c'd"]),
            ("a b#c #d e\nf", &["a", "b#c", "f"]),
            ("a\\\nb", &["ab"]),
        ] {
            assert_eq!(
                split(text).as_deref(),
                Ok(words.iter().map(|&w| w.to_owned()).collect::<Vec<_>>().as_slice()),
                "{text}"
            );
        }
        assert_eq!(split("'a"), Err(SplitError::SingleQuote));
        assert_eq!(split("\"a"), Err(SplitError::DoubleQuote));
        assert_eq!(split("\"a\\"), Err(SplitError::DoubleQuote));
        assert_eq!(split("a\\"), Err(SplitError::Backslash));
    }

    #[test]
    fn quoted_words_come_back() {
        for word in ["", "a", "a b", "it's", "#", "a\nb", "\\", "\"", "ä"] {
            assert_eq!(split(&quote(word)), Ok(vec![word.to_owned()]), "{word}");
        }
    }
}
