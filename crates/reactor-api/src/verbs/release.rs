//! Ending a hold.

use super::Outcome;
use crate::parameter::object;
use crate::verb::{ByLoop, Caller, Verb};
use crate::words::{Line, Resource};

object! {
    /// Ends a hold of a promoted resource.
    Release {
        /// The resource.
        resource: Resource,
        /// The command that this is a part of, for whoever looks later: `start`, `move`, `restart`.
        command: Option<Line>,
    }
}

impl Verb for Release {
    const NAME: &'static str = "Release";
    const ABOUT: &'static str = "End a hold.";
    const CALLER: Caller = Caller::Operator;
    type Reply = Outcome;
    type Answered = ByLoop;
}
