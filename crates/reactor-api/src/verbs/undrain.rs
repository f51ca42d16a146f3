//! Letting a drained node run services again.

use super::Outcome;
use crate::parameter::object;
use crate::verb::{ByLoop, Caller, Verb};

object! {
    /// Ends a drain.
    Undrain {}
}

impl Verb for Undrain {
    const NAME: &'static str = "Undrain";
    const ABOUT: &'static str = "\
        End a drain: promoted resources may run on this node again.";
    const CALLER: Caller = Caller::Operator;
    type Reply = Outcome;
    type Answered = ByLoop;
}
