//! The history: what of all that happens here is written down, and who reads it.
//!
//! The core says what it has decided ([`Core::news`](reactor_core::core::Core::news)); the rest (the daemon's own life, what people ask for) is
//! said here. All that the loop does is to put it into a queue.

use std::time::{Duration, Instant, SystemTime};

use reactor_api::call::CallError;
use reactor_api::verbs::{History as HistoryVerb, Spans};
use reactor_core::action::Reason;
use reactor_core::history::{Entry, Kind, News, Severity, Told};
use reactor_core::ids::{Mono, ResourceName};
use reactor_core::metrics::health::HistoryHealth;
use reactor_core::settings::{HistorySettings, Settings};
use reactor_sys::control::{Asked, Audited, CallOutcome};
use reactor_sys::history::{History, Ledgers, Limits};
use tracing::warn;

use super::Daemon;
use super::requests::Answer;
use super::status::node_name;

/// How long the last entries may take to reach the disk when the daemon ends.
const FINISH: Duration = Duration::from_secs(2);

/// The history, until the daemon ends.
pub(super) struct Chronicle(Option<History>);

impl Chronicle {
    /// Its thread opens the file.
    pub(super) fn start(settings: &Settings) -> Self {
        let node = node_name(&settings.daemon);
        Self(Some(History::start(&settings.daemon.state_dir, node, limits(&settings.history))))
    }

    /// Takes other bounds.
    pub(super) fn apply(&mut self, settings: &HistorySettings) {
        if let Some(history) = &mut self.0 {
            history.set_limits(limits(settings));
        }
    }

    /// What the core has told in a step.
    pub(super) fn write(&mut self, news: &[News]) {
        if news.is_empty() {
            return;
        }
        let now = SystemTime::now();
        for news in news {
            self.put(now, news);
        }
    }

    /// Something that no step of the core tells.
    pub(super) fn note(&mut self, resource: Option<ResourceName>, entry: Entry) {
        self.put(SystemTime::now(), &News { at: Mono::ZERO, resource, what: Told::Entry(entry) });
    }

    /// The daemon itself: it starts, ends, reads its configuration.
    pub(super) fn note_daemon(&mut self, severity: Severity, what: String) {
        self.note(None, Entry::new(Kind::Daemon, severity, what));
    }

    /// What a person has asked for, and what became of it.
    pub(super) fn write_asked(&mut self, audited: &Audited) {
        let resource = audited.resource.as_deref().map(ResourceName::new);
        self.put(audited.at, &News { at: Mono::ZERO, resource, what: Told::Entry(asked(audited)) });
    }

    fn put(&mut self, time: SystemTime, news: &News) {
        if let Some(history) = &mut self.0 {
            history.write(time, news);
        }
    }

    pub(super) fn ledgers(&self) -> Result<Ledgers, CallError> {
        self.0.as_ref().map(History::ledgers).ok_or(CallError::Unavailable { why: "daemon is stopping" })
    }

    /// The loop lives.
    pub(super) fn alive(&mut self, now: Instant) {
        if let Some(history) = &mut self.0 {
            history.alive(now);
        }
    }

    /// For the metrics.
    pub(super) fn health(&self) -> Option<HistoryHealth> {
        let status = self.0.as_ref()?.status();
        Some(HistoryHealth { up: status.failing.is_none(), written: status.written, lost: status.lost })
    }

    /// The last word before the daemon ends.
    pub(super) fn finish(&mut self) {
        if let Some(history) = self.0.take()
            && !history.finish(FINISH)
        {
            warn!("the last entries of the history are not written: the disk takes too long");
        }
    }
}

fn asked(audited: &Audited) -> Entry {
    let Audited { peer, verb, parameters, outcome, unsaid, .. } = audited;
    let pid = peer.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
    // Text that was cut is no JSON any more, and stays as it is.
    let told: serde_json::Value = serde_json::from_str(parameters).unwrap_or(serde_json::Value::Null);
    let why = told["why"].as_str().filter(|why| !why.is_empty());
    let more = match told.as_object() {
        Some(told) => {
            let others = told.iter().filter(|(name, _)| !matches!(name.as_str(), "resource" | "why" | "command"));
            others.map(|(name, value)| format!(" {name}={value}")).collect()
        }
        None => format!(" {parameters}"),
    };
    // What the person has typed, if that is not the name of the call.
    let command = told["command"].as_str().filter(|command| !command.is_empty());
    let command = command.map(|command| format!("{command}: ")).unwrap_or_default();
    let missing =
        if *unsaid > 0 { format!("; {unsaid} refused calls before it are not written down") } else { String::new() };
    let text = outcome.text();
    let colon = if text.is_empty() { "" } else { ": " };
    let severity = match outcome {
        CallOutcome::Denied { .. } => Severity::Warning,
        _ => Severity::Info,
    };
    Entry {
        who: Some(format!("{} (uid {}{pid})", peer.who(), peer.uid)),
        outcome: Some(format!("{}{colon}{text}{missing}", outcome.as_str())),
        because: why.map(|why| Reason(why.to_owned())).into_iter().collect(),
        ..Entry::new(Kind::Asked, severity, format!("{command}{}{more}", verb.to_lowercase()))
    }
}

fn limits(settings: &HistorySettings) -> Limits {
    Limits { max_age: settings.max_age, max_bytes: settings.max_bytes }
}

impl Answer<HistoryVerb> for Daemon {
    fn answer(&mut self, asked: Asked<HistoryVerb>) {
        let _ = asked.reply.send(self.chronicle.ledgers());
    }
}

impl Answer<Spans> for Daemon {
    fn answer(&mut self, asked: Asked<Spans>) {
        let _ = asked.reply.send(self.chronicle.ledgers());
    }
}

#[cfg(test)]
mod tests {
    use reactor_sys::control::Peer;

    use super::*;

    #[test]
    fn who_asked_what_and_what_became_of_it_is_one_entry() {
        let peer = Peer { uid: 1000, gid: 1000, user: Some("alice".into()), pid: Some(7) };
        let audited = Audited {
            at: SystemTime::UNIX_EPOCH,
            peer,
            verb: "Yield",
            resource: Some("r0".to_owned()),
            parameters: r#"{"resource":"r0","why":"new cables","to":"n2","limit":60}"#.to_owned(),
            outcome: CallOutcome::Done { text: "r0 is left to n2".to_owned() },
            unsaid: 0,
        };
        let entry = asked(&audited);
        assert_eq!(
            (entry.what.as_str(), entry.who.as_deref()),
            ("yield limit=60 to=\"n2\"", Some("alice (uid 1000, pid 7)"))
        );
        assert_eq!(
            (entry.because.as_slice(), entry.outcome.as_deref()),
            ([Reason("new cables".to_owned())].as_slice(), Some("done: r0 is left to n2"))
        );
        // A part of what a person has typed begins with that.
        let parameters = r#"{"resource":"r0","to":"n2","limit":60,"command":"move"}"#.to_owned();
        let moved = asked(&Audited { parameters, ..audited.clone() });
        assert_eq!(moved.what, "move: yield limit=60 to=\"n2\"");
        let denied = Audited { outcome: CallOutcome::Denied { why: "no".to_owned() }, unsaid: 3, ..audited };
        let entry = asked(&denied);
        assert_eq!(entry.severity, Severity::Warning);
        assert_eq!(entry.outcome.as_deref(), Some("denied: no; 3 refused calls before it are not written down"));
    }
}
