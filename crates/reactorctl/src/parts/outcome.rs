//! What became of something that an operator asked for.

use std::io::Write;

use reactor_api::verbs::Outcome;

use crate::exit::{Exit, Failure};
use crate::style::{END, GOOD};

pub(crate) fn print(outcome: &Outcome, out: &mut dyn Write) -> Result<Exit, Failure> {
    let text = &outcome.text;
    if outcome.changed {
        writeln!(out, "{GOOD}done{END}: {text}")?;
    } else {
        writeln!(out, "nothing to do: {text}")?;
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_and_what_was_not_differ() {
        let shown = |changed, text: &str| {
            let mut out = Vec::new();
            assert_eq!(print(&Outcome { changed, text: text.to_owned() }, &mut out).unwrap(), Exit::Ok);
            anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
        };
        assert_eq!(shown(true, "r0 is held"), "done: r0 is held\n");
        assert_eq!(shown(false, "r0 is not held"), "nothing to do: r0 is not held\n");
    }
}
