//! States that come and go within moments in a recording, and that a history of the model may not have - or the other way
//! round. Each has its reason.

use crate::compare::Object;

/// A state that may be absent, if the states around it are these (starts of their text; empty = any).
struct Transient {
    /// Kind of object.
    kind: &'static str,
    /// The state before it.
    before: &'static str,
    /// Start of the state's text, or all of it.
    state: &'static str,
    /// The state after it.
    after: &'static str,
    /// Why it may be absent.
    #[allow(dead_code, reason = "for who reads the table")]
    reason: &'static str,
}

const fn row(
    kind: &'static str,
    before: &'static str,
    state: &'static str,
    after: &'static str,
    reason: &'static str,
) -> Transient {
    Transient { kind, before, state, after, reason }
}

const TABLE: &[Transient] = &[
    row(
        "resource",
        "Secondary no no ",
        "Secondary no no no 1",
        "Secondary no no no 0",
        "a survivor of a lost primary: connection, own disks and peer disks change in one burst or in several",
    ),
    row(
        "resource",
        "Secondary no no no ",
        "Secondary no no yes 1",
        "Secondary no no no 0",
        "may_promote flickers to yes for a moment while survivors settle",
    ),
    row(
        "resource",
        "Secondary no no no 0",
        "Secondary no no yes 10",
        "Secondary no no yes 10",
        "peers say one after the other that their disks are good, in one burst or in several",
    ),
    row(
        "resource",
        "Primary no no no 10101",
        "Secondary no no no 10101",
        "Secondary no no yes 10101",
        "who is demoted while it is synced may be promoted again at once, or a moment later",
    ),
    row(
        "peer-device",
        "",
        "Established UpToDate no peer",
        "Established UpToDate no no",
        "the end of a sync and the end of its pause are told in one message or in two",
    ),
    row(
        "peer-device",
        "",
        "Established Consistent no no",
        "Established UpToDate no no",
        "the end of a sync is seen by a third node before the target calls itself good",
    ),
    row(
        "peer-device",
        "WFBitMapS",
        "SyncSource Inconsistent no no",
        "PausedSyncS",
        "the second source starts before it hears that it has to wait",
    ),
    row(
        "peer-device",
        "WFBitMapS",
        "WFBitMapS Inconsistent no",
        "PausedSyncS",
        "the second source hears that it has to wait before it starts",
    ),
    row(
        "peer-device",
        "Off DUnknown",
        "Off Outdated no no",
        "Established UpToDate no no",
        "a disconnected peer is known as outdated through a third node",
    ),
];

/// Whether two sequences are equal, but for transient states. Gives how many of those are in only one of them.
pub(crate) fn equal(
    _scenario: &str,
    _node: usize,
    object: &Object,
    recorded: &[String],
    played: &[String],
) -> Option<usize> {
    if recorded == played {
        return Some(0);
    }
    let (left, right) = (strip(&object.1, recorded), strip(&object.1, played));
    (left == right).then(|| recorded.len() - left.len() + played.len() - right.len())
}

/// The sequence without its transient states. The first and the last state of all are never transient.
fn strip(kind: &str, sequence: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for state in sequence {
        // The source of a sync sees the target's disk just before or just after that calls itself outdated, or both.
        let state = state.replace("WFBitMapS Consistent", "WFBitMapS Outdated");
        if kept.last() != Some(&state) {
            kept.push(state);
        }
    }
    while let Some(place) = (1..kept.len().saturating_sub(1)).find(|place| transient(kind, &kept, *place)) {
        kept.remove(place);
        kept.dedup();
    }
    kept
}

fn transient(kind: &str, states: &[String], place: usize) -> bool {
    TABLE.iter().any(|row| {
        row.kind == kind
            && states[place - 1].starts_with(row.before)
            && states[place].starts_with(row.state)
            && states[place + 1].starts_with(row.after)
    })
}
