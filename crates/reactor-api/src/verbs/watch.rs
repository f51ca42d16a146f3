//! What the daemon knows, again whenever it has changed.

use std::collections::BTreeSet;

use crate::parameter::{Described, object};
use crate::verb::{AsStream, Caller, Verb};

object! {
    /// Asks for what the daemon knows, again whenever it has changed.
    Watch {
        /// The resources that are wanted; none = all.
        resources: Option<BTreeSet<String>>,
    }
}

object! {
    /// One answer to [`Watch`].
    WatchReply {
        /// The whole status, as it is now.
        status: Described<crate::Status>,
    }
}

impl Verb for Watch {
    const NAME: &'static str = "Watch";
    const ABOUT: &'static str = "\
        What Status says, at once, and again whenever it has changed. Whoever reads slowly is told the newest only. What moves with\n\
        every I/O alone is no change; the progress of a resync or verify is. If resources are named, each has its peers, too.";
    const CALLER: Caller = Caller::Reader;
    type Reply = WatchReply;
    type Answered = AsStream;

    fn needs_more(&self) -> bool {
        true
    }
}
