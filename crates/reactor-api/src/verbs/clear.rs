//! Forgetting failures.

use super::Outcome;
use crate::parameter::object;
use crate::verb::{ByLoop, Caller, Verb};
use crate::words::Resource;

object! {
    /// Forgets the failures of a promoted resource.
    Clear {
        /// The resource.
        resource: Resource,
    }
}

impl Verb for Clear {
    const NAME: &'static str = "Clear";
    const ABOUT: &'static str = "Forget the failures of a promoted resource: what was blocked may run again.";
    const CALLER: Caller = Caller::Operator;
    type Reply = Outcome;
    type Answered = ByLoop;
}
