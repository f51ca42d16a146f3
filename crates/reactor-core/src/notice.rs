//! What people are told outside of this machine's log: by mail, chat, webhook and the like.
//!
//! ```text
//!  storage events, incidents, changes of DRBD, decisions ─▶ plugin::notify ─ Message ─▶ reactor-sys: queue on disk ─▶ receiver
//! ```
//!
//! The core decides what is told to whom and when, and says it once. That it arrives, also after an outage of the receiver, is the work of
//! `reactor-sys`. A message outlives a restart, so all of this can be read from its own JSON by a later version.

pub mod words;

use reactor_storage::event::{Event, Severity};
use serde::{Deserialize, Serialize};

/// What one receiver is told at once: one thing, or what came together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Message {
    /// `name` of the `[[notify]]` table.
    pub receiver: String,
    /// The node that says it.
    pub node: String,
    /// What happened, the oldest first; never empty.
    pub notices: Vec<Notice>,
    /// So many more were left out: a rate limit, or a bound of the group.
    #[serde(default)]
    pub left_out: u64,
}

/// One thing that people are told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Notice {
    /// When it happened, in milliseconds since 1970.
    pub unix_ms: u64,
    /// What it is about.
    pub topic: Topic,
    /// What happened, as a word that a filter can name: the type of a storage event, `opened`, `over`, `connection-lost`, `promoted`.
    pub what: String,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence without a full stop.
    pub text: String,
    /// Why, in the order in which it was reasoned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
    /// The DRBD resources that it is about or touches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// The id of the storage incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// The storage event, or the one that an incident is named by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Box<Event>>,
}

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// One storage event.
    Event,
    /// A storage incident: opened, reached something more, over.
    Incident,
    /// A change of DRBD.
    Drbd,
    /// What the promoter decided, and where services run.
    Promoter,
    /// The daemon itself, and what people asked it for.
    Daemon,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Event, Self::Incident, Self::Drbd, Self::Promoter, Self::Daemon];

    /// The word as configuration and output spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Incident => "incident",
            Self::Drbd => "drbd",
            Self::Promoter => "promoter",
            Self::Daemon => "daemon",
        }
    }
}

impl Message {
    /// The worst that it tells of.
    pub fn severity(&self) -> Severity {
        self.notices.iter().map(|notice| notice.severity).max().unwrap_or(Severity::Info)
    }

    /// One line for a subject or a chat: the worst thing, the first of those, and how much there is beside it.
    pub fn title(&self) -> String {
        let worst = self.severity();
        let first = self.notices.iter().find(|notice| notice.severity == worst);
        let text = first.map_or("", |notice| notice.text.as_str());
        let node = if self.node.is_empty() { String::new() } else { format!("{}: ", self.node) };
        let more = (self.notices.len() as u64).saturating_sub(1).saturating_add(self.left_out);
        match more {
            0 => format!("{node}{text}"),
            more => format!("{node}{text} (and {more} more)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(severity: Severity, text: &str) -> Notice {
        Notice {
            unix_ms: 1,
            topic: Topic::Drbd,
            what: "connection-lost".to_owned(),
            severity,
            text: text.to_owned(),
            because: Vec::new(),
            resources: vec!["r0".to_owned()],
            incident: None,
            event: None,
        }
    }

    #[test]
    fn the_title_is_the_first_of_the_worst_and_counts_the_rest() {
        let notices = vec![notice(Severity::Info, "a"), notice(Severity::Error, "b"), notice(Severity::Error, "c")];
        let message = Message { receiver: "chat".to_owned(), node: "n1".to_owned(), notices, left_out: 3 };
        assert_eq!(message.title(), "n1: b (and 5 more)");
        let alone = Message { notices: message.notices[..1].to_vec(), left_out: 0, ..message };
        assert_eq!(alone.title(), "n1: a");
    }

    #[test]
    fn what_an_earlier_version_has_left_on_the_disk_is_read() {
        let text = r#"{"receiver":"chat","node":"n1","notices":[{"unix-ms":1,"topic":"drbd","what":"connection-lost",
            "severity":"error","text":"b","resources":["r0"]}]}"#;
        let message: Message = serde_json::from_str(text).expect("it is whole");
        assert_eq!(message.notices, [notice(Severity::Error, "b")]);
        let again: Message =
            serde_json::from_str(&serde_json::to_string(&message).expect("JSON")).expect("it is whole");
        assert_eq!(again, message);
    }
}
