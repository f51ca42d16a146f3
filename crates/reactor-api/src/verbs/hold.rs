//! Leaving a promoted resource alone.

use crate::parameter::object;
use crate::verb::{ByLoop, Caller, Verb};
use crate::words::{Line, Resource};

object! {
    /// Leaves a promoted resource alone until it is released.
    Hold {
        /// The resource.
        resource: Resource,
        /// Why, for whoever looks later.
        why: Option<Line>,
    }
}

object! {
    /// What became of something that an operator asked for.
    Outcome {
        /// Whether there was something to do.
        changed: bool,
        /// What it means.
        text: String,
    }
}

impl Verb for Hold {
    const NAME: &'static str = "Hold";
    const ABOUT: &'static str = "\
        Leave a promoted resource alone until it is released: nothing is started, stopped, frozen, thawed or repaired.\n\
        changed is false if there was nothing to do; text says what it means.";
    const CALLER: Caller = Caller::Operator;
    type Reply = Outcome;
    type Answered = ByLoop;
}
