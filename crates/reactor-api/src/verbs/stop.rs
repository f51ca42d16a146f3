//! Stopping a promoted resource on this node.

use super::Outcome;
use crate::parameter::object;
use crate::verb::{ByLoop, Caller, Verb};
use crate::words::{Line, Resource};

object! {
    /// Stops a promoted resource here, and starts it here no more until it is released.
    Stop {
        /// The resource.
        resource: Resource,
        /// Why, for whoever looks later.
        why: Option<Line>,
    }
}

impl Verb for Stop {
    const NAME: &'static str = "Stop";
    const ABOUT: &'static str = "\
        Stop a promoted resource on this node. It is not started here until it is released; another node may take it over.";
    const CALLER: Caller = Caller::Operator;
    type Reply = Outcome;
    type Answered = ByLoop;
}
