//! Promoted resources in the status: what holds, since when, why, and the units.

use std::io::{self, Write};

use anstyle::Style;
use reactor_api::PromotedStatus;
use reactor_api::promoted::{HoldStatus, UnitStatus};

use crate::problems::{mark, promoted_severity, unit_severity};
use crate::style::{BAD, DIM, END, GOOD, NAME, WARN};
use crate::text::{between, duration};

/// Prints the tree of one resource. `now` is when the status was made.
pub(crate) fn tree(promoted: &PromotedStatus, now: &str, out: &mut dyn Write) -> io::Result<()> {
    let severity = promoted_severity(promoted);
    let (sign, style) = mark(severity);
    let good = if promoted.state == "running" { GOOD } else { Style::new() };
    let state_style = if severity.is_some() { style } else { good };
    let (name, state) = (&promoted.resource, state(promoted));
    write!(out, "{style}{sign}{END} {NAME}{name}{END}  {state_style}{state}{END}")?;
    if let Some(since) = between(&promoted.since, now) {
        write!(out, " for {}", duration(since))?;
    }
    if promoted.failures > 0 {
        write!(out, "  {WARN}{}{END}", failures(promoted))?;
    }
    writeln!(out)?;
    let mut lines: Vec<String> = Vec::new();
    if !promoted.because.is_empty() {
        lines.push(format!("{DIM}because {}{END}", promoted.because.join("; ")));
    }
    if let Some(hold) = &promoted.hold {
        let what = self::hold(hold);
        if !promoted.because.iter().any(|because| because.starts_with(&what)) {
            lines.push(format!("{what}{}", reason_of(&hold.why)));
        }
        if let Some(ends) = &hold.ends {
            lines.push(format!("or until {ends}"));
        }
    }
    lines.extend(promoted.warnings.iter().map(|warning| format!("{WARN}{warning}{END}")));
    let bar = if promoted.units.is_empty() { ' ' } else { '│' };
    for line in lines {
        writeln!(out, "  {bar}    {line}")?;
    }
    units(&promoted.units, out)
}

/// The units as branches.
pub(crate) fn units(units: &[UnitStatus], out: &mut dyn Write) -> io::Result<()> {
    for (index, unit) in units.iter().enumerate() {
        let (sign, gutter) = mark(unit_severity(unit));
        let branch = if index + 1 == units.len() { "└─" } else { "├─" };
        let style = match unit.active.as_str() {
            "active" => GOOD,
            "failed" => BAD,
            "inactive" | "unknown" => DIM,
            _ => WARN,
        };
        write!(out, "{gutter}{sign}{END} {branch} {}  {style}{}{END}", unit.unit, unit.active)?;
        if let Some(result) = &unit.result {
            write!(out, "  {BAD}{result}{END}")?;
        }
        if !matches!(unit.freezer.as_str(), "running" | "unknown" | "") {
            write!(out, "  {WARN}{}{END}", unit.freezer)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// `2 of 3 failures`: with the third it is blocked.
pub(crate) fn failures(promoted: &PromotedStatus) -> String {
    let (failures, max) = (promoted.failures, promoted.max_failures);
    match max {
        0 => crate::style::count(failures.into(), "failure"),
        _ => format!("{failures} of {}", crate::style::count(max.into(), "failure")),
    }
}

/// `: WHY`, if there is one.
pub(crate) fn reason_of(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

/// Whether its services run here, or are about to: then it can leave this node.
pub(crate) fn runs_here(promoted: &PromotedStatus) -> bool {
    matches!(promoted.state.as_str(), "running" | "starting" | "frozen")
}

/// What a person has said of it, and who: in the words of the promoter's own reason, without why.
pub(crate) fn hold(hold: &HoldStatus) -> String {
    let HoldStatus { who, stops, until_primary, restarts, .. } = hold;
    match until_primary.as_deref() {
        None if *stops => format!("stopped by {who}"),
        None => format!("held by {who}"),
        Some(peer) if *restarts => format!("{} by {who}, who restarts it there", left_to(peer)),
        Some(peer) => format!("{} by {who} until it is Primary there", left_to(peer)),
    }
}

/// The command that ends it.
pub(crate) fn ends_hold(hold: &HoldStatus) -> &'static str {
    if hold.stops && hold.until_primary.is_none() { "start" } else { "release" }
}

fn left_to(peer: &str) -> String {
    format!("left to {}", if peer.is_empty() { "another node" } else { peer })
}

/// Its state in a word or two, where the promoter has one word for all that a person can say.
pub(crate) fn state(promoted: &PromotedStatus) -> String {
    match &promoted.hold {
        Some(hold) if promoted.state == "held" => match &hold.until_primary {
            None if hold.stops => "stopped".to_owned(),
            None => "held".to_owned(),
            Some(peer) => left_to(peer),
        },
        _ => promoted.state.clone(),
    }
}

/// Its state and why: `standby: n1 is Primary`, `stopped by root`.
pub(crate) fn state_and_why(promoted: &PromotedStatus) -> String {
    let (state, because) = (state(promoted), promoted.because.join("; "));
    match because.as_str() {
        "" => state,
        because if because.starts_with(&state) => because.to_owned(),
        because => format!("{state}: {because}"),
    }
}

/// A step on its way from one node to another. That it is left to another node is why it stops; then it has.
pub(crate) fn step(promoted: &PromotedStatus) -> String {
    match &promoted.hold {
        Some(hold) if promoted.state == "held" && hold.until_primary.is_some() => "stopped here".to_owned(),
        _ => state_and_why(promoted),
    }
}

/// What its state means: the rest of a sentence.
pub(crate) fn sentence(promoted: &PromotedStatus) -> String {
    match promoted.state.as_str() {
        "held" => format!("is {}", state(promoted)),
        state => words(state).to_owned(),
    }
}

/// The same with why: `does not run here: n1 is Primary`, `is stopped by root`.
pub(crate) fn sentence_and_why(promoted: &PromotedStatus) -> String {
    match promoted.state.as_str() {
        "held" => format!("is {}", state_and_why(promoted)),
        state => format!("{}: {}", words(state), promoted.because.join("; ")),
    }
}

/// What a state word means.
pub(crate) fn words(state: &str) -> &str {
    match state {
        "preparing" => "is being prepared",
        "standby" | "drained" => "does not run here",
        "waiting" => "waits to start here",
        "starting" => "is starting here",
        "running" => "runs here",
        "stopping" => "is stopping here",
        "frozen" => "is frozen here",
        "blocked" => "is blocked here: its services failed too often",
        "held" => "is held",
        "unmanaged" => "is not managed",
        other => other,
    }
}
