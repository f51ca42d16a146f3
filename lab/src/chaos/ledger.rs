//! What the writer leaves: lines in the file on DRBD, and acknowledgements outside of it. Both are text, one line each.
//!
//! ```text
//! count:  NUMBER NODE RUN                   after the fsync of such a line ...
//! acks:   acked NUMBER RUN BEGUN DONE       ... the number is acknowledged
//!         begun LAST RUN AT                 a writer has started, and found this number last
//! ```
//!
//! A run is one start of the writer; its name is the time of its start. Times are microseconds since 1970 by the node's
//! clock, which is that of the host, some seconds late at worst.

use std::fmt;
use std::str::FromStr;

/// Microseconds since 1970.
pub type Micros = u64;

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Counted from 1.
    pub number: u64,
    /// Who wrote it.
    pub node: String,
    /// In which run.
    pub run: Micros,
}

/// A line of a node's acknowledgements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A writer has started.
    Begun {
        /// The last number in the file then; 0 if there was none.
        last: u64,
        /// Its run.
        run: Micros,
        /// When.
        at: Micros,
    },
    /// A number is on stable storage, for ever.
    Acked {
        /// Which.
        number: u64,
        /// By which run.
        run: Micros,
        /// When the writer began to write it.
        begun: Micros,
        /// When its fsync had ended.
        done: Micros,
    },
}

/// A line that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line:?} is no line of a writer")]
pub struct NoLine {
    line: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.number, self.node, self.run)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Begun { last, run, at } => write!(f, "begun {last} {run} {at}"),
            Event::Acked { number, run, begun, done } => write!(f, "acked {number} {run} {begun} {done}"),
        }
    }
}

impl FromStr for Line {
    type Err = NoLine;

    fn from_str(line: &str) -> Result<Self, NoLine> {
        let no_line = || NoLine { line: line.to_owned() };
        let [number, node, run] = words(line).ok_or_else(no_line)?;
        Ok(Self {
            number: number.parse().map_err(|_| no_line())?,
            node: node.to_owned(),
            run: run.parse().map_err(|_| no_line())?,
        })
    }
}

impl FromStr for Event {
    type Err = NoLine;

    fn from_str(line: &str) -> Result<Self, NoLine> {
        let no_line = || NoLine { line: line.to_owned() };
        let number = |word: &str| word.parse::<u64>().map_err(|_| no_line());
        if let Some(["begun", last, run, at]) = words(line) {
            return Ok(Event::Begun { last: number(last)?, run: number(run)?, at: number(at)? });
        }
        let Some(["acked", which, run, begun, done]) = words(line) else { return Err(no_line()) };
        Ok(Event::Acked { number: number(which)?, run: number(run)?, begun: number(begun)?, done: number(done)? })
    }
}

/// The words of a line, if it has so many.
fn words<const N: usize>(line: &str) -> Option<[&str; N]> {
    let mut words = line.split(' ');
    let mut found = [""; N];
    for place in &mut found {
        *place = words.next().filter(|word| !word.is_empty())?;
    }
    words.next().is_none().then_some(found)
}

/// A node's acknowledgements. Its last line may be torn: that one was not given.
pub fn events(text: &str) -> Result<Vec<Event>, NoLine> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(str::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_written() {
        let line = Line { number: 7, node: "n1".to_owned(), run: 12 };
        assert_eq!(line.to_string().parse(), Ok(line));
        for event in [Event::Begun { last: 0, run: 5, at: 6 }, Event::Acked { number: 1, run: 5, begun: 7, done: 8 }] {
            assert_eq!(event.to_string().parse(), Ok(event));
        }
        for wrong in ["", "7 n1", "7 n1 12 13", "x n1 12", "7  12"] {
            assert!(wrong.parse::<Line>().is_err(), "{wrong}");
        }
        for wrong in ["", "acked 1 5 7", "begun 1 5 6 7", "other 1 2 3", "acked 1 5 7 x"] {
            assert!(wrong.parse::<Event>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_torn_acknowledgement_was_not_given() {
        let whole = Event::Begun { last: 0, run: 5, at: 6 };
        assert_eq!(events("begun 0 5 6\nacked 1 5 7"), Ok(vec![whole]));
        assert_eq!(events("begun 0"), Ok(vec![]));
        assert!(events("begun 0\n").is_err());
    }
}
