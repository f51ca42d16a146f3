//! Output that is shown again and again: drawn over what was there on a terminal, a block after the other elsewhere.

use std::io::{self, IsTerminal as _, Write};

use crate::fold::fold;
use crate::progress::{cut, width};

/// Where pictures are drawn.
#[derive(Debug)]
pub(crate) struct Live {
    is_terminal: bool,
    is_first: bool,
}

impl Live {
    /// On standard output.
    pub(crate) fn begin() -> Self {
        Self { is_terminal: io::stdout().is_terminal(), is_first: true }
    }

    /// Draws the next picture.
    pub(crate) fn draw(&mut self, picture: &str, out: &mut dyn Write) -> io::Result<()> {
        if self.is_terminal {
            let (picture, columns) = (fold(picture, width()), width());
            out.write_all(screen(&picture, columns, height(), self.is_first).as_bytes())?;
        } else {
            // So that one can be told from the next.
            let before = if self.is_first { "" } else { "\n" };
            write!(out, "{before}{picture}")?;
        }
        self.is_first = false;
        out.flush()
    }
}

/// How many lines the terminal has, if it says so.
fn height() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).map(|size| usize::from(size.ws_row));
    size.ok().filter(|rows| *rows > 1)
}

/// A picture for a terminal: from its top, each line to its end, and nothing below. Without a flicker, and never longer than the screen.
fn screen(picture: &str, columns: usize, rows: Option<usize>, is_first: bool) -> String {
    let lines: Vec<&str> = picture.lines().collect();
    let room = rows.map_or(lines.len(), |rows| rows - 1);
    let mut text = String::from(if is_first { "\u{1b}[H\u{1b}[2J" } else { "\u{1b}[H" });
    for (at, line) in lines.iter().take(room).enumerate() {
        let hidden = lines.len().saturating_sub(room);
        let is_last = at + 1 == room && hidden > 0;
        let line = if is_last { format!("… and {} more lines", hidden + 1) } else { shortened(line, columns) };
        text.push_str(&line);
        text.push_str("\u{1b}[K\n");
    }
    text.push_str("\u{1b}[J");
    text
}

/// The line, if it fits; else what fits of it, without its colours: they would be cut in two.
fn shortened(line: &str, columns: usize) -> String {
    let plain = anstream::adapter::strip_str(line).to_string();
    if plain.chars().count() <= columns { line.to_owned() } else { cut(&plain, columns) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_never_leaves_the_screen() {
        assert_eq!(screen("a\nb\n", 80, Some(25), true), "\u{1b}[H\u{1b}[2Ja\u{1b}[K\nb\u{1b}[K\n\u{1b}[J");
        let text = screen("1\n2\n3\n4\n5\n", 80, Some(4), false);
        assert_eq!(text, "\u{1b}[H1\u{1b}[K\n2\u{1b}[K\n… and 3 more lines\u{1b}[K\n\u{1b}[J");
        let red = "\u{1b}[31mabcdef\u{1b}[0m";
        assert_eq!([shortened(red, 6), shortened(red, 4)], [red, "abc…"]);
    }

    #[test]
    fn elsewhere_a_block_follows_the_other() {
        let (mut live, mut out) = (Live { is_terminal: false, is_first: true }, Vec::new());
        for picture in ["a\n", "b\n"] {
            live.draw(picture, &mut out).unwrap();
        }
        assert_eq!(out, b"a\n\nb\n");
    }
}
