//! Promoted resources in the status: what holds, since when, why, and the units.

use std::io::{self, Write};

use anstyle::Style;
use reactor_api::PromotedStatus;
use reactor_api::promoted::{HoldStatus, UnitStatus};

use crate::problems::{Severity, mark, promoted_severity, unit_severity};
use crate::style::{BAD, DIM, END, GOOD, NAME, WARN, count, harmless};
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
    if !promoted.availability.is_empty() {
        let style = availability_style(&promoted.availability);
        write!(out, "  {style}{}{END}", promoted.availability)?;
    }
    if !promoted.degraded.is_empty() {
        write!(out, "  {WARN}degraded{END}")?;
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
    // What is said in both ways is said once.
    let degraded =
        promoted.degraded.iter().filter(|what| !promoted.warnings.iter().any(|warning| warning.contains(*what)));
    lines.extend(degraded.map(|what| format!("{WARN}degraded: {what}{END}")));
    lines.extend(promoted.warnings.iter().map(|warning| format!("{WARN}{warning}{END}")));
    let bar = if promoted.units.is_empty() && promoted.drbd.is_none() { ' ' } else { '│' };
    for line in lines {
        writeln!(out, "  {bar}    {line}")?;
    }
    units(promoted, out)
}

fn availability_style(availability: &str) -> Style {
    match availability {
        "up" | "stdby up" => GOOD,
        "warn" | "stdby down" => WARN,
        _ => DIM,
    }
}

/// DRBD and the entries on top of it, each with its sign.
fn branches(promoted: &PromotedStatus) -> Vec<(String, String)> {
    let mut out = Vec::new();
    if let Some(drbd) = &promoted.drbd {
        let style = availability_style(&drbd.availability);
        out.push(("  ".to_owned(), format!("DRBD  {style}{}{END}  {}", drbd.availability, harmless(&drbd.words))));
    }
    out.extend(promoted.units.iter().map(|unit| branch(unit, unit_severity(unit), &[])));
    out.extend(promoted.standby.iter().map(|unit| branch(unit, None, &["standby"])));
    out.extend(promoted.left_out.iter().map(|unit| branch(unit, None, &["n/a: disabled on this node"])));
    out
}

/// How a unit is, and what its entry says of it.
fn branch(unit: &UnitStatus, severity: Option<Severity>, more: &[&str]) -> (String, String) {
    let (sign, gutter) = mark(severity);
    let style = match unit.active.as_str() {
        "active" => GOOD,
        "failed" => BAD,
        "inactive" | "unknown" => DIM,
        _ => WARN,
    };
    let mut text = format!("{}  {style}{}{END}", unit.unit, unit.active);
    if let Some(result) = &unit.result {
        text.push_str(&format!("  {BAD}{result}{END}"));
    }
    if !matches!(unit.freezer.as_str(), "running" | "unknown" | "") {
        text.push_str(&format!("  {WARN}{}{END}", unit.freezer));
    }
    let mut flags: Vec<String> = more.iter().map(|flag| (*flag).to_owned()).collect();
    flags.extend(unit.optional.then(|| "optional".to_owned()));
    flags.extend(unit.unmonitored.then(|| "not monitored".to_owned()));
    flags.extend(unit.restarts_left.map(|left| format!("{} left", count(left.into(), "restart"))));
    if !flags.is_empty() {
        text.push_str(&format!("  {DIM}({}){END}", flags.join(", ")));
    }
    (format!("{gutter}{sign}{END}"), text)
}

/// DRBD, units and what else there is, as branches.
pub(crate) fn units(promoted: &PromotedStatus, out: &mut dyn Write) -> io::Result<()> {
    let branches = branches(promoted);
    for (index, (gutter, text)) in branches.iter().enumerate() {
        let branch = if index + 1 == branches.len() { "└─" } else { "├─" };
        writeln!(out, "{gutter} {branch} {text}")?;
    }
    Ok(())
}

/// `2 of 3 failures`: with the third it is blocked.
pub(crate) fn failures(promoted: &PromotedStatus) -> String {
    let (failures, max) = (promoted.failures, promoted.max_failures);
    match max {
        0 => count(failures.into(), "failure"),
        _ => format!("{failures} of {}", count(max.into(), "failure")),
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
