//! Tells what was heard in words, with the reasons that an administrator wants to hear.

use reactor_api::PromotedStatus;
use reactor_api::change::{WireChange, WireWhat};
use reactor_api::promoted::DecisionStatus;

/// One line for a change that matters, `None` for the others.
pub(crate) fn change(change: &WireChange) -> Option<String> {
    if change.origin != "live" && change.origin != "catch-up" {
        return None;
    }
    match &change.what {
        WireWhat::Resource { old: Some(old), new: Some(new) } if old.role != new.role => {
            Some(format!("role {} -> {}", old.role, new.role))
        }
        WireWhat::Resource { old: Some(old), new: Some(new) } if !old.may_promote && new.may_promote => {
            Some("may_promote no -> yes: data, quorum and peers agree".to_owned())
        }
        WireWhat::Connection { old: Some(old), new: Some(new), .. } if old.connection_state != new.connection_state => {
            let name = new.name.as_deref().unwrap_or("a peer");
            let why = match new.connection_state.as_str() {
                "NetworkFailure" => "no answer to pings",
                "StandAlone" => "DRBD gave up, and reconnects this by itself never",
                "Connected" => "they see each other again",
                _ => return None,
            };
            Some(format!("link to {name}: {} ({why})", new.connection_state))
        }
        WireWhat::Device { old: Some(old), new: Some(new), .. } if old.quorum != new.quorum => {
            Some(if new.quorum == Some(false) { "quorum yes -> no".to_owned() } else { "quorum no -> yes".to_owned() })
        }
        WireWhat::Device { old: Some(old), new: Some(new), .. } if old.disk_state != new.disk_state => {
            let why = match new.disk_state.as_str() {
                "Consistent" => "the survivors have to agree first",
                "UpToDate" => "good data",
                "Outdated" => "others may have newer data",
                "Inconsistent" => "being synced",
                _ => return None,
            };
            Some(format!("disk {} -> {} ({why})", old.disk_state, new.disk_state))
        }
        _ => None,
    }
}

/// What the promoter waits for, and links that it looks after.
pub(crate) fn state(report: &PromotedStatus, before: &str, warned: &[String]) -> Option<String> {
    let link = report.warnings.iter().find(|warning| warning.contains("StandAlone") && !warned.contains(warning));
    if let Some(link) = link {
        let adjusts = if link.contains("handshake") { ", so drbdadm adjust is run" } else { "" };
        return Some(format!("link keeper: {link}{adjusts}"));
    }
    let waits = report.state == "waiting" && before != "waiting";
    waits.then(|| format!("waits: {}", report.because.join("; ")))
}

/// A decision and the facts that it was made from. Preparations are not told.
pub(crate) fn decision(past: &DecisionStatus) -> Option<String> {
    let matters = ["start", "stop", "freeze", "thaw", "adjust", "reset"];
    let word = past.what.split(' ').next().unwrap_or_default();
    if !matters.contains(&word) || word == "reset" {
        return None;
    }
    let because = past.because.join("; ");
    Some(format!("decides: {}\n{:>14}because {because}", past.what, ""))
}

/// How a decision ended, if not well: the next lines show what went well. `promoted` says whether this node became Primary meanwhile.
pub(crate) fn outcome(past: &DecisionStatus, promoted: bool) -> Option<String> {
    decision(past)?;
    let outcome = past.outcome.as_deref().filter(|outcome| !outcome.starts_with("done"))?;
    let lost = past.what.starts_with("start ") && !promoted;
    let why = if lost && !outcome.contains("was faster") {
        ": another node was faster, and DRBD let only one of them"
    } else {
        ""
    };
    Some(format!("{}: {outcome}{why}", past.what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preparations_are_not_told_and_decisions_come_with_their_facts() {
        let past = |what: &str| DecisionStatus {
            what: what.to_owned(),
            because: vec!["quorum lost on volume 0".to_owned(), "it hurts".to_owned()],
            outcome: Some("job failed".to_owned()),
            ..DecisionStatus::default()
        };
        assert_eq!(decision(&past("write unit files")), None);
        assert_eq!(outcome(&past("write unit files"), true), None);
        let told = decision(&past("stop drbd-services@r1.target")).unwrap();
        assert!(told.ends_with("because quorum lost on volume 0; it hurts"), "{told}");
        assert_eq!(outcome(&past("stop x"), false).unwrap(), "stop x: job failed");
        assert!(outcome(&past("start x"), false).unwrap().contains("another node was faster"));
    }
}
