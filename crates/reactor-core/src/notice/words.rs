//! The words of [`Notice::what`](super::Notice::what) that are ours: everything but the types of storage events.
//!
//! The table is what the configuration is checked against, and what docs/notify.md lists.

use reactor_storage::event::Severity;

use super::Topic;

/// One word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// As filters spell it.
    pub name: &'static str,
    /// What it is about.
    pub topic: Topic,
    /// How bad it is; where `doc` says so, in some cases otherwise.
    pub severity: Severity,
    /// The word that says that this is over, if it is something that lasts.
    pub ended_by: Option<&'static str>,
    /// What it means, in one sentence.
    pub doc: &'static str,
}

/// Says something that happens and is no state.
const fn once(name: &'static str, topic: Topic, severity: Severity, doc: &'static str) -> Word {
    Word { name, topic, severity, ended_by: None, doc }
}

/// Says something that lasts until another word ends it.
const fn until(
    name: &'static str,
    topic: Topic,
    severity: Severity,
    ended_by: &'static str,
    doc: &'static str,
) -> Word {
    Word { name, topic, severity, ended_by: Some(ended_by), doc }
}

use Severity::{Critical, Error, Info, Notice, Warning};
use Topic::{Daemon, Drbd, Promoter};

/// All of them, in the order of the documentation.
pub static WORDS: &[Word] = &[
    until(
        "opened",
        Topic::Incident,
        Error,
        "over",
        "A storage incident is new. As bad as the worst of its events, as are the next two.",
    ),
    until("grew", Topic::Incident, Error, "over", "A storage incident reaches something more, or gets worse."),
    once(
        "over",
        Topic::Incident,
        Notice,
        "A storage incident is over: put right, quiet for long, or closed by a person.",
    ),
    until(
        "connection-lost",
        Drbd,
        Error,
        "connection-back",
        "A resource has no connection to a peer any more; `warning` if one of the two nodes asked for that (`Disconnecting`, `TearDown`).",
    ),
    until(
        "standalone",
        Drbd,
        Error,
        "connection-back",
        "DRBD has given up a lost connection that nobody told it to drop: it does not try again (`StandAlone`).",
    ),
    once("connection-back", Drbd, Notice, "The connection is there again."),
    until(
        "path-lost",
        Drbd,
        Warning,
        "path-back",
        "One of several paths of a connection is down; the connection is there.",
    ),
    once("path-back", Drbd, Notice, "That path is up again."),
    until(
        "disk-failed",
        Drbd,
        Critical,
        "disk-up-to-date",
        "The backing device of a volume failed, and DRBD has dropped it (`Failed`).",
    ),
    until(
        "disk-detached",
        Drbd,
        Warning,
        "disk-up-to-date",
        "A volume has no backing device any more, because somebody asked for that (`Detaching`, `Diskless`).",
    ),
    until(
        "disk-inconsistent",
        Drbd,
        Error,
        "disk-up-to-date",
        "The data of a volume can't be used here, and no resync puts them right (`Inconsistent`).",
    ),
    until(
        "disk-outdated",
        Drbd,
        Warning,
        "disk-up-to-date",
        "A peer has newer data of a volume than this node (`Outdated`).",
    ),
    once("disk-up-to-date", Drbd, Notice, "The data of the volume are good again (`UpToDate`)."),
    until(
        "peer-disk-failed",
        Drbd,
        Error,
        "peer-disk-up-to-date",
        "A connected peer has lost its backing device of a volume (`Failed`, `Diskless`): one copy less.",
    ),
    once("peer-disk-up-to-date", Drbd, Notice, "The peer's copy is good again."),
    until("quorum-lost", Drbd, Critical, "quorum-back", "This node has no quorum for a resource."),
    once("quorum-back", Drbd, Notice, "It has quorum again."),
    until(
        "suspended",
        Drbd,
        Error,
        "resumed",
        "I/O of a resource is suspended; `warning` if only a person asked for it (`user`).",
    ),
    once("resumed", Drbd, Notice, "I/O goes on."),
    until(
        "force-io-failures",
        Drbd,
        Error,
        "io-failures-over",
        "All I/O of a resource fails, because `secondary --force` was asked for while it was open.",
    ),
    once("io-failures-over", Drbd, Notice, "Its I/O fails no longer."),
    until(
        "split-brain",
        Drbd,
        Critical,
        "split-brain-over",
        "The data of two nodes differ, and DRBD does not connect them until a person decides.",
    ),
    once("split-brain-over", Drbd, Notice, "The two are connected again."),
    once("resync-began", Drbd, Notice, "A volume is made equal again between two nodes."),
    once("resync-ended", Drbd, Notice, "That is done."),
    once("promoted", Drbd, Info, "This node became Primary."),
    once("demoted", Drbd, Info, "This node became Secondary."),
    once("peer-promoted", Drbd, Info, "A peer became Primary."),
    once("peer-demoted", Drbd, Info, "A peer became Secondary."),
    once("removed", Drbd, Notice, "Something that was wrong is no longer configured: a connection, a volume."),
    once(
        "resource-down",
        Drbd,
        Notice,
        "A resource was taken down on this node; what was wrong with it is of no account here any more.",
    ),
    once("decision", Promoter, Info, "The promoter decided to do something."),
    until(
        "down",
        Promoter,
        Warning,
        "running",
        "The services of a resource run nowhere, as far as this node knows; `info` if a person wanted that.",
    ),
    once("running", Promoter, Notice, "They run on this node."),
    once("away", Promoter, Info, "They run on another node; `warning` if where is not known."),
    once("failure", Promoter, Error, "Services failed on this node; as bad as the history says."),
    once(
        "quorum",
        Promoter,
        Warning,
        "The promoter acts on a loss of quorum, or on its end; as bad as the history says.",
    ),
    once("note", Promoter, Warning, "Something else that promoters say in the log; as bad as there."),
    once(
        "daemon",
        Daemon,
        Info,
        "The daemon started, ended, or has other settings; `warning` or `error` if something is wrong.",
    ),
];

/// The word of this name.
pub fn word(name: &str) -> Option<&'static Word> {
    WORDS.iter().find(|word| word.name == name)
}

/// The words that `name` ends.
pub fn ended_by(name: &str) -> impl Iterator<Item = &'static Word> {
    WORDS.iter().filter(move |word| word.ended_by == Some(name))
}

/// The words as a table of docs/notify.md.
pub fn markdown() -> String {
    let mut page =
        "| word | topic | severity | what it means | ended by |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for Word { name, topic, severity, ended_by, doc } in WORDS {
        let end = ended_by.map(|end| format!("`{end}`")).unwrap_or_default();
        page.push_str(&format!("| `{name}` | {} | {severity} | {doc} | {end} |\n", topic.as_str()));
    }
    page
}

/// Whether `text` is what `pattern` says, in which `*` stands for any text.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    let mut rest = rest;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_word_is_there_once_and_what_ends_it_is_a_word_too() {
        let names: BTreeSet<&str> = WORDS.iter().map(|word| word.name).collect();
        assert_eq!(names.len(), WORDS.len());
        for word in WORDS {
            assert!(word.doc.ends_with('.'), "{}", word.name);
            let end = word.ended_by.map(|end| (end, super::word(end).expect("a word")));
            if let Some((name, end)) = end {
                assert_eq!(end.topic, word.topic, "{name}");
                assert!(end.severity <= word.severity && end.ended_by.is_none(), "{name}");
                assert!(ended_by(name).any(|begin| begin.name == word.name), "{name}");
            }
        }
    }

    #[test]
    fn an_asterisk_is_any_text() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "x"),
            ("SCSI_*", "SCSI_MEDIUM_ERROR"),
            ("*_ERROR", "SCSI_MEDIUM_ERROR"),
            ("S*M*R", "SCSI_MEDIUM_ERROR"),
            ("connection-lost", "connection-lost"),
            ("a*a", "aa"),
            ("**", "x"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "x"),
            ("SCSI_*", "ATA_X"),
            ("connection", "connection-lost"),
            ("a*a", "a"),
            ("*x*y", "yx"),
            ("ab*ba", "aba"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
