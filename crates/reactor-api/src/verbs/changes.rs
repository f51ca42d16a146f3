//! What has changed, and what changes.

use crate::WireChange;
use crate::parameter::{Described, object};
use crate::verb::{AsStream, Caller, Verb};
use crate::words::{Detail, Last};

object! {
    /// Asks for changes.
    Changes {
        /// Which; none = state changes.
        detail: Option<Detail>,
        /// How many of the past; none = none.
        last: Option<Last>,
        /// Whether to go on with each further one.
        follow: Option<bool>,
    }
}

object! {
    /// One answer to [`Changes`].
    ChangesReply {
        /// Oldest first.
        changes: Vec<Described<WireChange>>,
    }
}

impl Verb for Changes {
    const NAME: &'static str = "Changes";
    const ABOUT: &'static str = "\
        The last changes, oldest first, and with follow (and \"more\") each further one as it happens.\n\
        The first reply comes at once, also if it is empty: from then on no change is missed.";
    const CALLER: Caller = Caller::Reader;
    type Reply = ChangesReply;
    type Answered = AsStream;

    fn needs_more(&self) -> bool {
        self.follow.unwrap_or(false)
    }
}
