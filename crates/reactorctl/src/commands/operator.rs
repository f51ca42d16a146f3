//! `reactorctl hold`, `release`, `clear`, `leftovers`.

use std::io::Write;

use serde_json::{Value, json};

use crate::cli::{LeftoversArgs, Place};
use crate::daemon;
use crate::exit::{ANSWER_WITHIN, Exit, Failure, RELOAD_WITHIN};
use crate::style::{BAD, END, GOOD, WARN, count, make_harmless};

/// Hold, release or clear: `verb` of the control interface with its parameters.
pub(crate) fn run(place: &Place, verb: &str, parameters: &Value, out: &mut dyn Write) -> Result<Exit, Failure> {
    let answer = daemon::connect(place, ANSWER_WITHIN)?.call(verb, parameters);
    let mut answer = answer.map_err(Failure::about_resource)?;
    make_harmless(&mut answer);
    print(&answer, out)
}

fn print(answer: &Value, out: &mut dyn Write) -> Result<Exit, Failure> {
    let text = answer.get("text").and_then(Value::as_str).unwrap_or_default();
    if answer.get("changed").and_then(Value::as_bool).unwrap_or(false) {
        writeln!(out, "{GOOD}done{END}: {text}")?;
    } else {
        writeln!(out, "nothing to do: {text}")?;
    }
    Ok(Exit::Ok)
}

/// What an earlier drbd-reactor left.
pub(crate) fn leftovers(place: &Place, args: &LeftoversArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut parameters = json!({ "remove": args.remove });
    // An older daemon does not know it.
    if !args.even.is_empty() {
        parameters["even"] = json!(args.even);
    }
    let mut answer = daemon::connect(place, RELOAD_WITHIN)?.call("Leftovers", &parameters)?;
    make_harmless(&mut answer);
    print_leftovers(&answer, out)
}

fn print_leftovers(answer: &Value, out: &mut dyn Write) -> Result<Exit, Failure> {
    let list = |key: &str| answer.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let removed = answer.get("removed").and_then(Value::as_bool).unwrap_or(false);
    let files = list("files");
    for file in files.iter().filter_map(Value::as_str) {
        writeln!(out, "{file}")?;
    }
    let number = count(files.len() as u64, "file");
    let kept = list("kept");
    match (files.is_empty(), removed) {
        (true, _) if !kept.is_empty() => writeln!(out, "nothing was removed")?,
        (true, _) => writeln!(out, "an earlier drbd-reactor left nothing")?,
        (false, true) => writeln!(out, "{GOOD}{number} removed{END}")?,
        (false, false) => writeln!(
            out,
            "{WARN}{number} of an earlier drbd-reactor{END}; look at them, then: reactorctl leftovers --remove"
        )?,
    }
    for line in kept.iter().filter_map(Value::as_str) {
        writeln!(out, "{WARN}kept{END} {line}")?;
    }
    if !kept.is_empty() {
        writeln!(
            out,
            "stop these services first, or name what is to go all the same: reactorctl leftovers --remove NAME"
        )?;
    }
    let errors = list("errors");
    for error in errors.iter().filter_map(Value::as_str) {
        writeln!(out, "{BAD}{error}{END}")?;
    }
    Ok(match (errors.is_empty(), kept.is_empty()) {
        (false, _) => Exit::Unexpected,
        (true, false) => Exit::NotTaken,
        (true, true) => Exit::Ok,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(out: Vec<u8>) -> String {
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    #[test]
    fn what_was_done_and_what_was_not_differ() {
        let shown = |answer: &Value| {
            let mut out = Vec::new();
            assert_eq!(print(answer, &mut out).unwrap(), Exit::Ok);
            plain(out)
        };
        assert_eq!(shown(&json!({ "changed": true, "text": "r0 is held" })), "done: r0 is held\n");
        assert_eq!(shown(&json!({ "changed": false, "text": "r0 is not held" })), "nothing to do: r0 is not held\n");
    }

    #[test]
    fn leftovers_are_listed_and_errors_have_their_code() {
        let shown = |answer: &Value| {
            let mut out = Vec::new();
            let exit = print_leftovers(answer, &mut out).unwrap();
            (plain(out), exit)
        };
        let files = ["/run/systemd/system/a.service.d/reactor.conf"];
        let (text, exit) = shown(&json!({ "files": files, "removed": false, "errors": [] }));
        assert!(text.starts_with(files[0]) && text.contains("leftovers --remove"), "{text}");
        assert_eq!(exit, Exit::Ok);
        let (text, exit) = shown(&json!({ "files": files, "removed": true, "errors": ["b: permission denied"] }));
        assert!(text.contains("1 file removed") && text.ends_with("b: permission denied\n"), "{text}");
        assert_eq!(exit, Exit::Unexpected);
        let kept = ["/a.d/reactor.conf: a.service runs"];
        let (text, exit) = shown(&json!({ "files": [], "removed": true, "kept": kept, "errors": [] }));
        assert!(text.starts_with("nothing was removed\nkept /a.d/reactor.conf: a.service runs\n"), "{text}");
        assert_eq!(exit, Exit::NotTaken);
    }
}
