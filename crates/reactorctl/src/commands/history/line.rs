//! One entry as one line.

use std::collections::BTreeSet;
use std::io::Write;

use reactor_api::history::HistoryEntry;

use crate::exit::Failure;
use crate::style::{BAD, DIM, END, NAME, WARN};

/// Prints it. `node` = which node has written it is told.
pub(crate) fn print(entry: &HistoryEntry, node: bool, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string(entry).map_err(|source| Failure::Answer { source })?;
        writeln!(out, "{text}")?;
        return Ok(());
    }
    let style = match entry.severity.as_str() {
        "error" => Some(BAD),
        "warning" => Some(WARN),
        _ => None,
    };
    let (on, off) = style.map_or_else(Default::default, |style| (style.to_string(), END.to_string()));
    write!(out, "{DIM}{}{END} ", entry.time)?;
    if node {
        write!(out, "{} ", entry.node)?;
    }
    let about = entry.resource.as_deref().unwrap_or("-");
    writeln!(out, "{NAME}{about}{END} {on}{}{off}: {}", kind(entry), words(entry))?;
    Ok(())
}

/// The kind, and in words what its colour says.
fn kind(entry: &HistoryEntry) -> String {
    match entry.severity.as_str() {
        "info" | "" => entry.kind.clone(),
        severity => format!("{} ({severity})", entry.kind),
    }
}

/// A call in the words of whoever has typed the command that it is a part of: `move: yield limit=60 to="n2"` is `move to n2, for 60 s at most`.
fn asked(what: &str) -> Option<String> {
    let (command, call) = what.split_once(": ").map_or((None, what), |(command, call)| (Some(command), call));
    match (command, call) {
        (Some("start"), "release") => return Some("start".to_owned()),
        // It takes back what it has told this node.
        (Some(command), "release") => return Some(format!("release, at the end of {command}")),
        _ => {}
    }
    let parameters = call.strip_prefix("yield limit=")?;
    let (limit, to) = parameters.split_once(" to=").map_or((parameters, None), |(limit, to)| (limit, Some(to)));
    let (limit, restarts) = limit.strip_suffix(" restarts=true").map_or((limit, false), |limit| (limit, true));
    // What is not understood is of a newer daemon, or it was cut.
    let to: Option<String> = to.map(serde_json::from_str).transpose().ok()?;
    let limit = limit.parse::<u64>().ok()?;
    let what = match (command, to) {
        (None, None) => "leave it to another node".to_owned(),
        (None, Some(to)) => format!("leave it to {to}"),
        (Some(command), Some(to)) if restarts => format!("{command} on {to}: leave it to that node"),
        (Some(command), Some(to)) => format!("{command} to {to}"),
        (Some(command), None) => command.to_owned(),
    };
    Some(format!("{what}, for {limit} s at most"))
}

fn words(entry: &HistoryEntry) -> String {
    let asked = if entry.kind == "asked" { asked(&entry.what) } else { None };
    let mut text = asked.unwrap_or_else(|| entry.what.clone());
    let phases: Vec<String> = entry.phases.iter().map(|(name, ms)| format!("{name} {}", millis(ms))).collect();
    if !phases.is_empty() {
        text.push_str(&format!(" [{}]", phases.join(", ")));
    }
    if let Some(who) = &entry.who {
        text.push_str(&format!("; by {who}"));
    }
    if !entry.because.is_empty() && !entry.is_outcome {
        // Several rules may come to the same reason.
        let mut said = BTreeSet::new();
        let because: Vec<&str> =
            entry.because.iter().map(String::as_str).filter(|reason| said.insert(*reason)).collect();
        text.push_str(&format!("; because {}", because.join("; ")));
    }
    if let Some(outcome) = &entry.outcome {
        text.push_str(&format!(" -> {outcome}"));
    }
    if let Some(ms) = entry.took_ms {
        text.push_str(&format!(" after {}", millis(ms)));
    }
    // An entry is one line, whatever is in it.
    text.replace('\n', " ")
}

/// `350 ms`, `2.5 s`, `3 min 10 s`.
pub(super) fn millis(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{}.{} s", ms / 1000, ms / 100 % 10),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms / 1000 % 60),
        3_600_000..86_400_000 => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
        _ => format!("{} d {} h", ms / 86_400_000, ms / 3_600_000 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_is_said_in_the_words_of_commands() {
        let said = |kind: &str, what: &str| {
            let (kind, what) = (kind.to_owned(), what.to_owned());
            words(&HistoryEntry { kind, what, ..HistoryEntry::default() })
        };
        for (what, words) in [
            ("yield limit=60 to=\"n2\"", "leave it to n2, for 60 s at most"),
            ("move: yield limit=60 to=\"n2\"", "move to n2, for 60 s at most"),
            ("evict: yield limit=20", "evict, for 20 s at most"),
            (
                "restart: yield limit=120 restarts=true to=\"n2\"",
                "restart on n2: leave it to that node, for 120 s at most",
            ),
            ("start: release", "start"),
            ("release", "release"),
            ("move: release", "release, at the end of move"),
            ("yield limit=20", "leave it to another node, for 20 s at most"),
            // What is not understood stays as it is.
            ("yield limit=60 how=\"fast\"", "yield limit=60 how=\"fast\""),
            ("yield {\"limit\":60,\"to\":\"n", "yield {\"limit\":60,\"to\":\"n"),
            ("hold", "hold"),
        ] {
            assert_eq!(said("asked", what), words);
        }
        assert_eq!(said("note", "yield limit=20"), "yield limit=20");
    }

    #[test]
    fn a_reason_is_said_once() {
        let because = ["n3 is Primary", "held by alice", "n3 is Primary"].map(str::to_owned).to_vec();
        let entry = HistoryEntry { what: "stop r0.target".to_owned(), because, ..HistoryEntry::default() };
        assert_eq!(words(&entry), "stop r0.target; because n3 is Primary; held by alice");
    }
}
