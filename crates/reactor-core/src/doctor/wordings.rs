//! Whether the kernel's messages are worded as the rules for storage events know them: what is worded otherwise is missed.

use reactor_api::doctor::{Finding, Severity};
use reactor_api::survey::{Reworded, Wordings};

use super::{Cluster, finding};
use crate::settings::PluginSettings;

/// Types that are listed one by one.
const MAX_LISTED: usize = 8;

pub(super) fn check(cluster: &Cluster<'_>, out: &mut Vec<Finding>) {
    let has_events = |settings: &PluginSettings| matches!(settings, PluginSettings::Events(_));
    if !cluster.settings.plugins.iter().any(|entry| has_events(&entry.settings)) {
        return;
    }
    for node in cluster.nodes {
        if let Some(wordings) = node.facts.as_ref().and_then(|facts| facts.wordings.as_ref()) {
            out.push(judged(&node.name, wordings));
        }
    }
}

fn judged(node: &str, wordings: &Wordings) -> Finding {
    let Wordings { kernel, judged, reworded, why_not } = wordings;
    let of = |severity, what: String| finding(severity, "wordings", node, what);
    if let Some(why) = why_not {
        let what =
            format!("whether kernel {kernel} words its messages of storage as our rules know them was not checked");
        return Finding { why: why.clone(), ..of(Severity::Note, what) };
    }
    if reworded.is_empty() {
        let what = format!("kernel {kernel} has the messages of all {judged} storage rules that it could be asked for");
        return Finding { why: "none of these is missed for its words".to_owned(), ..of(Severity::Note, what) };
    }
    let is_bad = |one: &Reworded| matches!(one.severity.as_str(), "error" | "critical");
    let severity = if reworded.iter().any(is_bad) { Severity::Warning } else { Severity::Note };
    let line =
        |one: &Reworded| format!("{} ({}): nothing like it in {}", one.event, one.severity, one.files.join(", "));
    let mut facts: Vec<String> = reworded.iter().take(MAX_LISTED).map(line).collect();
    if let Some(more) = reworded.len().checked_sub(MAX_LISTED).filter(|more| *more > 0) {
        facts.push(format!("and {more} more"));
    }
    let what = format!(
        "kernel {kernel} words {} of the types of storage events otherwise than our rules know: they may be missed",
        reworded.len()
    );
    Finding {
        why: "the rules are of other kernels; what they do not know is no event, and opens no incident".to_owned(),
        facts,
        mend: vec![
            "a newer version of Storage Reactor may know them; until then write rules for the new words: [[events.rule]]"
                .to_owned(),
        ],
        ..of(severity, what)
    }
}
