//! `reactorctl reload`: waits until the new configuration runs, or says why it does not.

use std::io::Write;

use clap::Args;
use reactor_api::status::ReloadResult;
use reactor_api::verbs::{Reload, ReloadReply};

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::style::{BAD, END, GOOD, WARN};

/// Make the daemon read its configuration again, and wait until it has
#[derive(Clone, Debug, Args)]
pub struct ReloadArgs {}

impl Run for ReloadArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        print(&daemon::ask(place, &Reload {})?, out)
    }
}

fn print(answer: &ReloadReply, out: &mut dyn Write) -> Result<Exit, Failure> {
    let report = answer.report.trim_end();
    if !report.is_empty() {
        writeln!(out, "{report}\n")?;
    } else {
        for finding in &answer.findings {
            writeln!(out, "{finding}")?;
        }
    }
    match answer.result {
        _ if answer.ok => writeln!(out, "{GOOD}reloaded{END}")?,
        ReloadResult::Partly => {
            writeln!(out, "{WARN}partly reloaded: files with errors keep their last good version{END}")?;
        }
        _ => writeln!(out, "{BAD}not reloaded: what ran before goes on{END}")?,
    }
    Ok(if answer.ok { Exit::Ok } else { Exit::NotTaken })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn shown(result: ReloadResult, findings: &[&str], report: &str) -> (String, Exit) {
        let mut out = Vec::new();
        let findings = findings.iter().map(|&finding| finding.to_owned()).collect();
        let exit = print(&ReloadReply::new(result, findings, report.to_owned()), &mut out).unwrap();
        (anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string(), exit)
    }

    #[test]
    fn each_result_is_told_and_has_its_code() {
        let (text, exit) = shown(ReloadResult::Ok, &[], "");
        assert_eq!((text.as_str(), exit), ("reloaded\n", Exit::Ok));
        let findings = ["a.toml:3:1: error: unknown key `strat`"];
        let (text, exit) = shown(ReloadResult::Partly, &findings, "");
        assert_eq!(exit, Exit::NotTaken);
        expect![[r"
            a.toml:3:1: error: unknown key `strat`
            partly reloaded: files with errors keep their last good version
        "]]
        .assert_eq(&text);
        let (text, exit) = shown(ReloadResult::Refused, &findings, "CARET\n");
        assert_eq!((text.as_str(), exit), ("CARET\n\nnot reloaded: what ran before goes on\n", Exit::NotTaken));
    }
}
