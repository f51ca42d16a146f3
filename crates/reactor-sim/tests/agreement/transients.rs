//! States that come and go within moments in a recording, and that a history of the model may not have - or the other way
//! round. Each has its reason.

use crate::compare::Object;

/// A state that may be absent.
struct Transient {
    /// Kind of object.
    kind: &'static str,
    /// Start of the state's text, or all of it.
    state: &'static str,
    /// Why it may be absent.
    #[allow(dead_code, reason = "for who reads the table")]
    reason: &'static str,
}

const TABLE: &[Transient] = &[
];

/// Whether two sequences are equal, but for transient states. Gives how many of those are in only one of them.
pub fn equal(_scenario: &str, _node: usize, object: &Object, recorded: &[String], played: &[String]) -> Option<usize> {
    if recorded == played {
        return Some(0);
    }
    let strip = |sequence: &[String]| {
        let mut kept: Vec<String> = Vec::new();
        for (place, state) in sequence.iter().enumerate() {
            let transient = TABLE.iter().any(|row| row.kind == object.1 && state.starts_with(row.state));
            // The last state of all is never transient.
            if (!transient || place + 1 == sequence.len()) && kept.last() != Some(state) {
                kept.push(state.clone());
            }
        }
        kept
    };
    let (left, right) = (strip(recorded), strip(played));
    (left == right).then(|| recorded.len().abs_diff(left.len()))
}
