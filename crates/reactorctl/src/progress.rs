//! How far something is that takes a while: a line that is rewritten on a terminal, a line for each step elsewhere.

use std::io::{self, IsTerminal as _, Write};
use std::time::{Duration, Instant};

use crate::style::harmless;

/// How often a line on a terminal is looked at: its time gets on, whatever else does.
const SECOND: Duration = Duration::from_secs(1);

/// Narrowest that a terminal is taken to be, and how wide it is if it does not say.
const NARROW: usize = 20;
const USUAL: usize = 80;

/// How far something is.
#[derive(Debug)]
pub(crate) struct Progress {
    is_terminal: bool,
    begin: Instant,
    last: String,
    is_shown: bool,
}

impl Progress {
    /// Begins now, on standard output.
    pub(crate) fn begin() -> Self {
        Self::on(io::stdout().is_terminal())
    }

    fn on(is_terminal: bool) -> Self {
        Self { is_terminal, begin: Instant::now(), last: String::new(), is_shown: false }
    }

    /// Since it began.
    pub(crate) fn took(&self) -> Duration {
        self.begin.elapsed()
    }

    /// When there is something to show at the latest, if nothing else happens until `end`.
    pub(crate) fn next(&self, end: Option<Instant>) -> Option<Instant> {
        if !self.is_terminal {
            return end;
        }
        let next = Instant::now() + SECOND;
        Some(end.map_or(next, |end| end.min(next)))
    }

    /// Says where it is now.
    pub(crate) fn step(&mut self, text: &str, out: &mut dyn Write) -> io::Result<()> {
        let text = harmless(text);
        if self.is_terminal {
            let line = format!("{:>5} s  {text}", self.took().as_secs());
            write!(out, "\r\u{1b}[K{}", cut(&line, width().saturating_sub(1)))?;
            self.is_shown = true;
            return out.flush();
        }
        if *text != self.last {
            writeln!(out, "{:>7.1} s  {text}", self.took().as_secs_f64())?;
            self.last = text.into_owned();
            out.flush()?;
        }
        Ok(())
    }

    /// Nothing more of it is to be seen.
    pub(crate) fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if std::mem::take(&mut self.is_shown) {
            write!(out, "\r\u{1b}[K")?;
        }
        Ok(())
    }
}

/// How many columns the terminal has.
pub(crate) fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout()).map(|size| usize::from(size.ws_col));
    size.ok().filter(|columns| *columns >= NARROW).unwrap_or(USUAL)
}

/// At most so many characters; what is missing is `…`.
pub(crate) fn cut(line: &str, columns: usize) -> String {
    if line.chars().count() <= columns {
        return line.to_owned();
    }
    line.chars().take(columns.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(is_terminal: bool, steps: &[&str]) -> String {
        let (mut progress, mut out) = (Progress::on(is_terminal), Vec::new());
        for step in steps {
            progress.step(step, &mut out).unwrap();
        }
        progress.end(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn elsewhere_each_step_is_a_line() {
        let text = shown(false, &["a", "a", "b\u{1b}[2J"]);
        let lines: Vec<&str> = text.lines().map(|line| line.split_once(" s  ").unwrap().1).collect();
        assert_eq!(lines, ["a", "b\u{fffd}[2J"]);
    }

    #[test]
    fn a_terminal_has_one_line_which_goes_at_the_end() {
        let text = shown(true, &["a", "b"]);
        assert!(!text.contains('\n') && text.ends_with("\r\u{1b}[K"), "{text:?}");
        assert_eq!(text.matches("\r\u{1b}[K").count(), 3);
        assert_eq!([cut("abcdef", 6), cut("abcdef", 5), cut("äöü", 2)], ["abcdef", "abcd…", "ä…"]);
    }
}
