//! `reactorctl doctor`: what is wrong with this node and its cluster, or will be when it is needed, and what mends it. Nothing is changed.
//!
//! The facts come from this machine (also without a daemon) and from the daemons of the nodes of the context; what they mean is judged by
//! [`reactor_core::doctor`]. What `check` and `status` find is in it, too.

mod ask;
mod since;

use std::fmt::Display;
use std::io::{self, Write};

use clap::Args;
use reactor_api::doctor::{Diagnosis, Finding, Severity};

use crate::cli::Place;
use crate::commands::Run;
use crate::exit::{Exit, Failure};
use crate::style::{BAD, DIM, END, GOOD, NAME, WARN, count, harmless};
use crate::text::{WIDTH, wrapped};

/// Look for what is wrong, or will be at the next fail-over, and say what mends it
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// Only what is about this resource, and what is about no single one
    pub resource: Option<String>,

    /// For a timer: print nothing if all is well, and one line for each error and warning otherwise
    #[arg(long)]
    pub nightly: bool,

    /// Print JSON
    #[arg(long, conflicts_with = "nightly")]
    pub json: bool,

    /// Look at this node only, even if there is a context
    #[arg(long)]
    pub local: bool,
}

impl Run for DoctorArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let mut looked = ask::look(place, self.local)?;
        if let Some(wanted) = &self.resource {
            looked.must_know(wanted)?;
            let is_of_another =
                |finding: &Finding| finding.resource.as_ref().is_some_and(|resource| resource != wanted);
            looked.diagnosis.findings.retain(|finding| !is_of_another(finding));
        }
        let diagnosis = looked.diagnosis;
        match (self.json, self.nightly) {
            (true, _) => {
                let text = serde_json::to_string(&diagnosis).map_err(io::Error::from)?;
                writeln!(out, "{text}")?;
            }
            (false, true) => nightly(&diagnosis, out)?,
            (false, false) => render(&diagnosis, out)?,
        }
        Ok(exit(&diagnosis))
    }

    fn asks_one_daemon(&self) -> bool {
        !self.local
    }
}

fn exit(diagnosis: &Diagnosis) -> Exit {
    match diagnosis.findings.iter().map(|finding| finding.severity).min() {
        Some(Severity::Error) => Exit::Errors,
        Some(Severity::Warning) => Exit::Warnings,
        Some(Severity::Note) | None => Exit::Ok,
    }
}

/// `2 errors, 1 warning`.
fn summary(diagnosis: &Diagnosis) -> String {
    let number = |severity| diagnosis.findings.iter().filter(|finding| finding.severity == severity).count() as u64;
    let words = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    let counts = words.into_iter().map(|(severity, word)| (number(severity), word)).filter(|(number, _)| *number > 0);
    let counts: Vec<String> = counts.map(|(number, word)| count(number, word)).collect();
    if counts.is_empty() { "nothing is wrong".to_owned() } else { counts.join(", ") }
}

fn mark(severity: Severity) -> String {
    match severity {
        Severity::Error => format!("{BAD}!{END}"),
        Severity::Warning => format!("{WARN}*{END}"),
        Severity::Note => "-".to_owned(),
    }
}

fn render(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    for Finding { severity, resource, place, what, why, facts, mend, .. } in &diagnosis.findings {
        let about = match resource {
            Some(resource) if !place.contains(resource.as_str()) => format!("{} ", harmless(resource)),
            Some(_) | None => String::new(),
        };
        writeln!(out, "{} {NAME}{about}{}{END}: {}", mark(*severity), harmless(place), harmless(what))?;
        for fact in facts {
            below(fact, "", out)?;
        }
        below(why, DIM, out)?;
        for line in mend {
            writeln!(out, "      > {}", harmless(line))?;
        }
    }
    if !diagnosis.findings.is_empty() {
        writeln!(out)?;
    }
    let style = match exit(diagnosis) {
        Exit::Ok => GOOD,
        Exit::Warnings => WARN,
        _ => BAD,
    };
    writeln!(out, "{style}{}{END}", last(diagnosis))
}

/// Below a finding. Commands are not broken, so that they can be copied.
fn below(text: &str, style: impl Display, out: &mut dyn Write) -> io::Result<()> {
    for line in wrapped(&harmless(text), WIDTH - 6) {
        writeln!(out, "      {style}{line}{END}")?;
    }
    Ok(())
}

/// Who was looked at, who was not, and what came of it.
fn last(diagnosis: &Diagnosis) -> String {
    let all = match &diagnosis.nodes[..] {
        [] => "no node".to_owned(),
        nodes => nodes.join(", "),
    };
    let others = match &diagnosis.not_asked[..] {
        [] => String::new(),
        others => format!("; not asked: {}", others.join(", ")),
    };
    harmless(&format!("{all}: {}{others}", summary(diagnosis))).into_owned()
}

/// What a mail of the night should have: nothing, or what a person has to look at.
fn nightly(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    let bad: Vec<&Finding> = diagnosis.findings.iter().filter(|finding| finding.severity != Severity::Note).collect();
    if bad.is_empty() {
        return Ok(());
    }
    for finding in bad {
        writeln!(out, "{} {}: {}", mark(finding.severity), harmless(&finding.place), harmless(&finding.what))?;
    }
    writeln!(out, "{}; reactorctl doctor says what mends it", last(diagnosis))
}

#[cfg(test)]
mod tests;
