//! Ending a hold.

use super::Outcome;
use crate::parameter::object;
use crate::verb::{ByLoop, Caller, Verb};
use crate::words::Resource;

object! {
    /// Ends a hold of a promoted resource.
    Release {
        /// The resource.
        resource: Resource,
    }
}

impl Verb for Release {
    const NAME: &'static str = "Release";
    const ABOUT: &'static str = "End a hold.";
    const CALLER: Caller = Caller::Operator;
    type Reply = Outcome;
    type Answered = ByLoop;
}
