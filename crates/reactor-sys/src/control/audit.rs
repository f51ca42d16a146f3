//! Who asked for a change, and what became of it: one value for each such call, for whoever keeps them (the log, a history).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use reactor_api::call::CallError;
use reactor_api::verbs::Call;
use serde_json::Value;

use super::request::Peer;

/// Bound of the channel to the loop. When it is full, the clients whose calls are done wait, and nobody else.
pub const AUDIT_QUEUE: usize = 256;

/// Longest text of the parameters that is kept.
const MAX_PARAMETERS: usize = 2048;

/// Refused callers that are written down within [`WINDOW`]; of the rest only the number. Whoever may only read must not be able to fill a disk.
const DENIED_IN_WINDOW: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);

/// One call that changes something, or that would have.
#[derive(Clone, PartialEq, Debug)]
pub struct Audited {
    /// When it had its outcome.
    pub at: SystemTime,
    /// Who asked, as the kernel says.
    pub peer: Peer,
    /// The verb, for example `Hold`.
    pub verb: &'static str,
    /// The resource that it is about, if it is about one.
    pub resource: Option<String>,
    /// All parameters, as JSON: at most 2 KiB of it.
    pub parameters: String,
    /// What became of it.
    pub outcome: CallOutcome,
    /// Calls of users who may not make them that were not written down since the last one that was: they came too fast.
    pub unsaid: u64,
}

/// What became of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallOutcome {
    /// It was done.
    Done {
        /// What the caller was told, if that was a sentence.
        text: String,
    },
    /// There was nothing to do.
    Unchanged {
        /// What the caller was told.
        text: String,
    },
    /// It was not done.
    Refused {
        /// Why.
        why: String,
    },
    /// Who asked may not do that.
    Denied {
        /// Why.
        why: String,
    },
    /// Nobody knows: no answer came in time, or the daemon ends.
    Unknown {
        /// Why.
        why: String,
    },
}

impl CallOutcome {
    /// In one word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Done { .. } => "done",
            Self::Unchanged { .. } => "unchanged",
            Self::Refused { .. } => "refused",
            Self::Denied { .. } => "denied",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// What there is to say about it; may be empty.
    pub fn text(&self) -> &str {
        match self {
            Self::Done { text } | Self::Unchanged { text } => text,
            Self::Refused { why } | Self::Denied { why } | Self::Unknown { why } => why,
        }
    }

    /// Of a reply. Those that say whether something has changed, and what, say it by these names.
    pub(super) fn of_reply(reply: &Value) -> Self {
        let text = ["text", "result"].iter().find_map(|name| reply[*name].as_str()).unwrap_or_default().to_owned();
        if reply["changed"] == false { Self::Unchanged { text } } else { Self::Done { text } }
    }

    /// Of an error.
    pub(super) fn of_error(error: &CallError) -> Self {
        let why = error.to_string();
        match error {
            CallError::PermissionDenied { .. } | CallError::NotThisWay { .. } => Self::Denied { why },
            CallError::TimedOut { .. } | CallError::Unavailable { .. } | CallError::Lagged { .. } => {
                Self::Unknown { why }
            }
            CallError::NotACall { .. }
            | CallError::InterfaceNotFound { .. }
            | CallError::MethodNotFound { .. }
            | CallError::MethodNotImplemented { .. }
            | CallError::InvalidParameter { .. }
            | CallError::ExpectedMore
            | CallError::NoSuchResource { .. }
            | CallError::Refused { .. } => Self::Refused { why },
        }
    }
}

impl Audited {
    /// A call, before its outcome is known.
    pub(super) fn new(call: &Call, peer: Peer) -> Self {
        let parameters = call.parameters();
        let mut text = parameters.to_string();
        if text.len() > MAX_PARAMETERS {
            let end = (0..=MAX_PARAMETERS).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or_default());
            text.push_str("...");
        }
        Self {
            at: SystemTime::UNIX_EPOCH,
            peer,
            verb: call.name(),
            resource: parameters["resource"].as_str().map(str::to_owned),
            parameters: text,
            outcome: CallOutcome::Unknown { why: "the daemon ends".to_owned() },
            unsaid: 0,
        }
    }
}

/// Counts callers that were refused, so that they can't flood whoever writes them down.
#[derive(Debug, Default)]
pub(super) struct Flood(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    since: Option<Instant>,
    said: u32,
    unsaid: u64,
}

impl Flood {
    /// Whether this one is written down; if so, how many before were not.
    pub(super) fn say(&self, now: Instant, outcome: &CallOutcome) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(outcome, CallOutcome::Denied { .. }) {
            return Some(std::mem::take(&mut window.unsaid));
        }
        if window.since.is_none_or(|since| now.saturating_duration_since(since) >= WINDOW) {
            (window.since, window.said) = (Some(now), 0);
        }
        if window.said == DENIED_IN_WINDOW {
            window.unsaid += 1;
            return None;
        }
        window.said += 1;
        Some(std::mem::take(&mut window.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use reactor_api::verbs::{Hold, Leftovers};
    use serde_json::json;

    use super::*;

    fn denied() -> CallOutcome {
        CallOutcome::Denied { why: String::new() }
    }

    #[test]
    fn a_flood_of_refused_callers_is_counted_and_what_was_done_is_always_said() {
        let flood = Flood::default();
        let now = Instant::now();
        for _ in 0..DENIED_IN_WINDOW {
            assert_eq!(flood.say(now, &denied()), Some(0));
        }
        assert_eq!((flood.say(now, &denied()), flood.say(now, &denied())), (None, None));
        assert_eq!(flood.say(now, &CallOutcome::Done { text: String::new() }), Some(2));
        assert_eq!(flood.say(now, &denied()), None);
        assert_eq!(flood.say(now + WINDOW, &denied()), Some(1));
    }

    #[test]
    fn outcomes_are_told_from_replies_and_errors() {
        let of = |reply: Value| {
            let outcome = CallOutcome::of_reply(&reply);
            (outcome.as_str(), outcome.text().to_owned())
        };
        assert_eq!(of(json!({ "changed": true, "text": "held" })), ("done", "held".to_owned()));
        assert_eq!(of(json!({ "changed": false, "text": "was held" })), ("unchanged", "was held".to_owned()));
        assert_eq!(of(json!({ "ok": false, "result": "partly" })), ("done", "partly".to_owned()));
        assert_eq!(of(json!({ "files": [] })), ("done", String::new()));
        let of = |error: CallError| CallOutcome::of_error(&error).as_str();
        assert_eq!(of(CallError::Refused { why: "no".to_owned() }), "refused");
        assert_eq!(of(CallError::TimedOut { seconds: 1 }), "unknown");
        assert_eq!(of(CallError::PermissionDenied { who: "a".to_owned(), whom: "root".to_owned() }), "denied");
    }

    #[test]
    fn what_a_call_is_about_is_kept_and_bounded() {
        let peer = Peer { uid: 1, gid: 1, user: None, pid: None };
        let hold = Hold { resource: "r0".into(), why: Some("new cables".into()) };
        let audited = Audited::new(&hold.into(), peer.clone());
        assert_eq!((audited.verb, audited.resource.as_deref()), ("Hold", Some("r0")));
        assert_eq!(audited.parameters, r#"{"resource":"r0","why":"new cables"}"#);
        let even = Some((0..1000).map(|n| format!("ä{n}")).collect());
        let audited = Audited::new(&Leftovers { remove: Some(true), even }.into(), peer);
        assert!(audited.parameters.len() <= MAX_PARAMETERS + 3, "{}", audited.parameters.len());
        assert_eq!(audited.resource, None);
    }
}
