//! Where a command prints, and how it asks.
//!
//! What a command found goes to `out`, and nothing else does: `--json` stays JSON. What it says beside that goes to `err`. Both are writers,
//! so that the output of one node of many can be kept until its turn comes.

use std::io::{self, BufRead as _, Write};

use crate::exit::Failure;
use crate::style::{BAD, END, WARN, harmless};

/// Both outputs of a command.
pub(crate) struct Io<'w> {
    /// What was asked for.
    pub(crate) out: &'w mut dyn Write,
    /// What is said beside it.
    pub(crate) err: &'w mut dyn Write,
    /// Whether `out` is the terminal of a person.
    pub(crate) is_terminal: bool,
}

impl Io<'_> {
    /// Says what is being done.
    pub(crate) fn say(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.err, "{}", harmless(text))
    }

    /// Says what a person should look at.
    pub(crate) fn warn(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.err, "{WARN}warning:{END} {}", harmless(text))
    }

    /// Says what went wrong, where the command goes on with the rest.
    pub(crate) fn fail(&mut self, failure: &Failure) -> io::Result<()> {
        writeln!(self.err, "{BAD}error:{END} {}", harmless(&failure.chain()))?;
        match failure.hint() {
            Some(hint) => writeln!(self.err, "  {hint}"),
            None => Ok(()),
        }
    }

    /// Asks a question that is answered with yes or no. `None` if there is nobody to answer.
    pub(crate) fn ask(&mut self, question: &str, default: bool) -> io::Result<Option<bool>> {
        let choices = if default { "[Y/n]" } else { "[N/y]" };
        // What was found so far belongs above the question.
        self.out.flush()?;
        let mut lines = io::stdin().lock().lines();
        loop {
            write!(self.err, "{} {choices} ", harmless(question))?;
            self.err.flush()?;
            let Some(line) = lines.next().transpose()? else {
                writeln!(self.err)?;
                return Ok(None);
            };
            if let Some(answer) = understand(&line, default) {
                return Ok(Some(answer));
            }
        }
    }
}

/// What a line answers; `None` if that is not clear.
fn understand(line: &str, default: bool) -> Option<bool> {
    match line.trim().to_lowercase().as_str() {
        "" => Some(default),
        "y" | "yes" => Some(true),
        "n" | "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_line_is_the_default_and_anything_else_is_asked_again() {
        assert_eq!([understand("", true), understand(" \n", false)], [Some(true), Some(false)]);
        assert_eq!([understand("Yes", false), understand("n", true)], [Some(true), Some(false)]);
        assert_eq!(understand("perhaps", true), None);
    }
}
