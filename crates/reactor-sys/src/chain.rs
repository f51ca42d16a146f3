//! One line for an error and everything that caused it, for the log and for "why" texts.

use std::error::Error;
use std::fmt;

/// The error, then each source, joined by `: `.
pub fn chain(error: &dyn Error) -> impl fmt::Display {
    Chain(error)
}

struct Chain<'a>(&'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
