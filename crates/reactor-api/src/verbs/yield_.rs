//! Leaving a promoted resource to another node.

use super::Outcome;
use crate::parameter::object;
use crate::verb::{ByLoop, Caller, Verb};
use crate::words::{Limit, Line, Node, Resource};

object! {
    /// Leaves a promoted resource to another node for a time.
    Yield {
        /// The resource.
        resource: Resource,
        /// The node that shall become Primary, as DRBD names it; none = whichever.
        to: Option<Node>,
        /// So long at most, in seconds: 1 to 3600.
        limit: Limit,
        /// Why, for whoever looks later.
        why: Option<Line>,
        /// `to` has it now and restarts it there: it is left to it also while it is Primary.
        restarts: Option<bool>,
        /// The command that this is a part of, for whoever looks later: `evict`, `move`, `restart`.
        command: Option<Line>,
    }
}

impl Verb for Yield {
    const NAME: &'static str = "Yield";
    const ABOUT: &'static str = "\
        Leave a promoted resource to another node: what runs here is stopped, and nothing is started here, until that node is\n\
        Primary or the time is up. Then it may run here again. Refused while somebody holds it.";
    const CALLER: Caller = Caller::Operator;
    type Reply = Outcome;
    type Answered = ByLoop;
}
