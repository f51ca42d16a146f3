//! Lines that are wider than the terminal: broken between words, and set in, so that they can be read.
//!
//! Only on a terminal. Whoever reads a pipe or a file has one line for one thing, to search and to cut.

use std::io::{self, Write};

/// How far what goes on is set in further than its beginning.
const IN: usize = 4;
/// Narrower than this there is nothing to be gained.
const NARROW: usize = 40;

/// Breaks each line that is written to it.
#[derive(Debug)]
pub(crate) struct Folded<W> {
    inner: W,
    columns: usize,
    /// The line that is not ended yet.
    line: Vec<u8>,
}

impl<W: Write> Folded<W> {
    pub(crate) fn new(inner: W, columns: usize) -> Self {
        Self { inner, columns, line: Vec::new() }
    }
}

impl<W: Write> Write for Folded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.inner.write_all(fold(&String::from_utf8_lossy(&line), self.columns).as_bytes())?;
            }
        }
        Ok(bytes.len())
    }

    /// A line that is not ended is a question, or one that is drawn again and again: it goes out as it is.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.write_all(&std::mem::take(&mut self.line))?;
        self.inner.flush()
    }
}

/// `text`, whose lines are no wider than `columns` if they can be broken.
pub(crate) fn fold(text: &str, columns: usize) -> String {
    text.split_inclusive('\n').map(|line| fold_line(line, columns)).collect()
}

fn fold_line(line: &str, columns: usize) -> String {
    let plain = anstream::adapter::strip_str(line).to_string();
    let begin = plain.trim_start_matches([' ', '│']);
    let prefix: String = plain.chars().take(plain.chars().count() - begin.chars().count()).collect();
    // A command is copied whole; and what steers the cursor is no line.
    let stays = begin.starts_with("> ") || moves_cursor(line);
    if plain.trim_end().chars().count() <= columns || stays || columns < NARROW {
        return line.to_owned();
    }
    let next = format!("\n{prefix}{:IN$}", "");
    let (mut text, mut at) = (String::new(), 0);
    for (number, (word, width)) in words(line).into_iter().enumerate() {
        let is_first = number == 0;
        let gap = word.chars().take_while(|c| *c == ' ').count();
        if !is_first && at + width > columns && at > next.chars().count() - 1 {
            text.push_str(&next);
            text.push_str(&word[gap..]);
            at = next.chars().count() - 1 + width - gap;
        } else {
            text.push_str(&word);
            at += width;
        }
    }
    text
}

/// Words with the spaces and marks before them, and how wide they are. What is set in at the beginning belongs to the first one.
fn words(line: &str) -> Vec<(String, usize)> {
    let mut words = vec![(String::new(), 0)];
    let (mut in_escape, mut in_word, mut has_begun) = (false, false, false);
    for c in line.chars() {
        in_escape |= c == '\u{1b}';
        let is_gap = c == ' ' || (c == '│' && !has_begun);
        if is_gap && in_word && !in_escape {
            words.push((String::new(), 0));
        }
        let (word, width) = words.last_mut().expect("there is one");
        word.push(c);
        if in_escape {
            in_escape = !c.is_ascii_alphabetic();
            continue;
        }
        *width += usize::from(c != '\n');
        in_word = !is_gap;
        has_begun |= in_word;
    }
    words
}

/// Whether something is in it that is neither text nor a colour.
fn moves_cursor(line: &str) -> bool {
    let mut escapes = line.split('\u{1b}').skip(1);
    line.contains('\r') || escapes.any(|escape| escape.chars().find(char::is_ascii_alphabetic) != Some('m'))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::style::{DIM, END, NAME};

    #[test]
    fn long_lines_go_on_set_in_and_short_ones_stay() {
        let text = format!(
            "{DIM}2026-11-21T03:01:40.000Z{END} {NAME}r0{END} asked: move to n2, for 60 s at most; by alice (uid 1000, pid 812) -> done: r0 is left to n2\n\
             short   and spaced\n  │    because drbd-services@r0.target is active, and nothing else of it is anywhere near failed\n\
             \x20     > systemctl restart a-very-long-name-of-a-unit-that-does-not-fit-into-a-line-of-eighty.service\n"
        );
        let folded = fold(&text, 80);
        let plain = anstream::adapter::strip_str(&folded).to_string();
        expect![[r#"
            2026-11-21T03:01:40.000Z r0 asked: move to n2, for 60 s at most; by alice (uid
                1000, pid 812) -> done: r0 is left to n2
            short   and spaced
              │    because drbd-services@r0.target is active, and nothing else of it is
              │        anywhere near failed
                  > systemctl restart a-very-long-name-of-a-unit-that-does-not-fit-into-a-line-of-eighty.service
        "#]]
        .assert_eq(&plain);
        // Nothing is lost but the spaces where it was broken.
        let letters = |text: &str| text.replace([' ', '\n', '│'], "");
        assert_eq!(letters(&folded), letters(&text));
        assert_eq!(fold(&text, 200), text);
    }

    #[test]
    fn what_is_drawn_again_and_again_is_left_alone() {
        let drawn = format!("\r\u{1b}[K{}\n", "word ".repeat(40));
        assert_eq!(fold(&drawn, 80), drawn);
        let mut out = Folded::new(Vec::new(), 80);
        write!(out, "a question? ").unwrap();
        out.flush().unwrap();
        assert_eq!(out.inner, b"a question? ");
        writeln!(out, "{}", "word ".repeat(30).trim_end()).unwrap();
        assert_eq!(String::from_utf8_lossy(&out.inner).lines().map(str::len).max(), Some(91));
    }
}
