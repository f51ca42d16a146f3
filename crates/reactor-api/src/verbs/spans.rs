//! Where resources ran, and when they ran nowhere.

use crate::history::HistorySpan;
use crate::parameter::{Described, object};
use crate::verb::{AsStream, Caller, Limit, Verb};

object! {
    /// Asks where resources ran.
    Spans {
        /// This resource only.
        resource: Option<String>,
        /// From then on, Unix time in milliseconds.
        since_ms: Option<u64>,
        /// Until then, Unix time in milliseconds.
        until_ms: Option<u64>,
    }
}

object! {
    /// One answer to [`Spans`].
    SpansReply {
        /// In the order in which they were written.
        spans: Vec<Described<HistorySpan>>,
    }
}

impl Verb for Spans {
    const NAME: &'static str = "Spans";
    const ABOUT: &'static str = "\
        Where resources ran and when they ran nowhere, as far as this node knows: times that follow one another.\n\
        Needs \"more\". docs/history.md describes the fields.";
    const CALLER: Caller = Caller::Reader;
    type Reply = SpansReply;
    type Answered = AsStream;

    fn needs_more(&self) -> bool {
        true
    }

    fn limit(&self) -> Limit {
        Limit::Long
    }
}
