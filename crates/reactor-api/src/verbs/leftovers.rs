//! What an earlier drbd-reactor left.

use std::collections::BTreeSet;

use crate::parameter::object;
use crate::verb::{ByLoop, Caller, Limit, Verb};

object! {
    /// Asks what an earlier drbd-reactor left in the unit folder, or removes it.
    Leftovers {
        /// Whether to remove it.
        remove: Option<bool>,
        /// Whose files go although they run: units, resources or paths.
        even: Option<BTreeSet<String>>,
    }
}

object! {
    /// The answer to [`Leftovers`].
    LeftoversReply {
        /// What was found, each as a path. When it was asked for: what was removed.
        files: Vec<String>,
        /// Whether it was asked for.
        removed: bool,
        /// What was not removed because its services run: path and reason, one line each.
        kept: Vec<String>,
        /// What could not be looked at or removed, one line each.
        errors: Vec<String>,
    }
}

impl Verb for Leftovers {
    const NAME: &'static str = "Leftovers";
    const ABOUT: &'static str = "\
        What an earlier drbd-reactor left in the unit folder. With remove it is removed, for root only; files then lists what was removed.\n\
        Files of services that run are kept, unless the unit, its resource or the path is named in even.";
    const CALLER: Caller = Caller::Reader;
    const ROOT_WITH: Option<&'static str> = Some("remove");
    type Reply = LeftoversReply;
    type Answered = ByLoop;

    fn caller(&self) -> Caller {
        if self.remove.unwrap_or(false) { Caller::Root } else { Caller::Reader }
    }

    fn limit(&self) -> Limit {
        Limit::Long
    }
}
