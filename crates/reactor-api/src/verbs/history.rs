//! What has happened: the entries of the history.

use crate::history::HistoryEntry;
use crate::parameter::{Described, object};
use crate::verb::{AsStream, Caller, Limit, Verb};
use crate::words::Last;

object! {
    /// Asks for entries of the history.
    History {
        /// Of this resource only.
        resource: Option<String>,
        /// From then on, Unix time in milliseconds.
        since_ms: Option<u64>,
        /// Until then, Unix time in milliseconds.
        until_ms: Option<u64>,
        /// The last so many of them; none = 100.
        last: Option<Last>,
        /// Whether to go on with each further one.
        follow: Option<bool>,
    }
}

object! {
    /// One answer to [`History`].
    HistoryReply {
        /// Oldest first.
        entries: Vec<Described<HistoryEntry>>,
    }
}

impl Verb for History {
    const NAME: &'static str = "History";
    const ABOUT: &'static str = "\
        What has happened, oldest first, and with follow (and \"more\") each further entry as it is written; an entry comes once more\n\
        when its outcome is known. More than 256 entries need \"more\", too. docs/history.md describes the fields.";
    const CALLER: Caller = Caller::Reader;
    type Reply = HistoryReply;
    type Answered = AsStream;

    fn limit(&self) -> Limit {
        Limit::Long
    }

    fn needs_more(&self) -> bool {
        self.follow.unwrap_or(false) || self.last() > History::PAGE
    }
}

impl History {
    /// So many entries are in one reply.
    pub const PAGE: u64 = 256;

    /// How many of the past are wanted.
    pub fn last(&self) -> u64 {
        self.last.map_or(100, |last| last.0)
    }
}
