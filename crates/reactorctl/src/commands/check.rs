//! `reactorctl check`: the configuration as the daemon would read it, without a daemon.

use std::io::Write;

use crate::cli::{CheckArgs, Place};
use crate::commands::upstream;
use crate::config;
use crate::exit::{Exit, Failure};
use crate::style::{BAD, END, GOOD, WARN, count};

pub(crate) fn run(place: &Place, args: &CheckArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let checked = config::check(place, &args.files, !args.no_system);
    let report = checked.report.trim_end();
    if !report.is_empty() {
        writeln!(out, "{report}\n")?;
    }
    let files = count(checked.files, "file");
    if args.against_upstream {
        let (plugins, machine) = config::against_upstream(place, &args.files, !args.no_system);
        upstream::print(&plugins, &machine, out)?;
    }
    match (checked.errors, checked.warnings) {
        (0, 0) => writeln!(out, "{GOOD}{files} checked, nothing wrong{END}")?,
        (0, warnings) => writeln!(out, "{WARN}{files} checked, {}{END}", count(warnings, "warning"))?,
        (errors, 0) => writeln!(out, "{BAD}{files} checked, {}{END}", count(errors, "error"))?,
        (errors, warnings) => {
            writeln!(out, "{BAD}{files} checked, {}, {}{END}", count(errors, "error"), count(warnings, "warning"))?;
        }
    }
    Ok(if checked.errors == 0 { Exit::Ok } else { Exit::Findings })
}
