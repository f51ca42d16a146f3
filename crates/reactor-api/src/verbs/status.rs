//! Everything that the daemon knows.

use std::collections::BTreeSet;

use crate::parameter::{Described, object};
use crate::verb::{Caller, FromSnapshot, Verb};

object! {
    /// Asks for everything that the daemon knows.
    Status {
        /// The resources that are wanted; none = all.
        resources: Option<BTreeSet<String>>,
    }
}

object! {
    /// The answer to [`Status`].
    StatusReply {
        /// The whole status.
        status: Described<crate::Status>,
    }
}

impl Verb for Status {
    const NAME: &'static str = "Status";
    const ABOUT: &'static str = "\
        Everything that the daemon knows; of resources, those that are named. The fields are described in docs/reactorctl.md.";
    const CALLER: Caller = Caller::Reader;
    type Reply = StatusReply;
    type Answered = FromSnapshot;
}
