//! `reactorctl reload`: waits until the new configuration runs, or says why it does not.

use std::io::Write;

use serde_json::{Value, json};

use crate::cli::Place;
use crate::daemon;
use crate::exit::{Exit, Failure, RELOAD_WITHIN};
use crate::style::{BAD, END, GOOD, WARN, make_harmless};

pub(crate) fn run(place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut answer = daemon::connect(place, RELOAD_WITHIN)?.call("Reload", &json!({}))?;
    make_harmless(&mut answer);
    print(&answer, out)
}

fn print(answer: &Value, out: &mut dyn Write) -> Result<Exit, Failure> {
    let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
    let findings = answer.get("findings").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let report = text("report").trim_end();
    if !report.is_empty() {
        writeln!(out, "{report}\n")?;
    } else {
        for finding in findings.iter().filter_map(Value::as_str) {
            writeln!(out, "{finding}")?;
        }
    }
    let taken = answer.get("ok").and_then(Value::as_bool).unwrap_or(false);
    match text("result") {
        _ if taken => writeln!(out, "{GOOD}reloaded{END}")?,
        "partly" => writeln!(out, "{WARN}partly reloaded: files with errors keep their last good version{END}")?,
        _ => writeln!(out, "{BAD}not reloaded: what ran before goes on{END}")?,
    }
    Ok(if taken { Exit::Ok } else { Exit::NotTaken })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn shown(answer: &Value) -> (String, Exit) {
        let mut out = Vec::new();
        let exit = print(answer, &mut out).unwrap();
        (anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string(), exit)
    }

    #[test]
    fn each_result_is_told_and_has_its_code() {
        let (text, exit) = shown(&json!({ "ok": true, "result": "ok", "findings": [], "report": "" }));
        assert_eq!((text.as_str(), exit), ("reloaded\n", Exit::Ok));
        let findings = ["a.toml:3:1: error: unknown key `strat`"];
        let (text, exit) = shown(&json!({ "ok": false, "result": "partly", "findings": findings, "report": "" }));
        assert_eq!(exit, Exit::NotTaken);
        expect![[r"
            a.toml:3:1: error: unknown key `strat`
            partly reloaded: files with errors keep their last good version
        "]]
        .assert_eq(&text);
        let (text, exit) =
            shown(&json!({ "ok": false, "result": "refused", "findings": findings, "report": "CARET\n" }));
        assert_eq!((text.as_str(), exit), ("CARET\n\nnot reloaded: what ran before goes on\n", Exit::NotTaken));
    }
}
