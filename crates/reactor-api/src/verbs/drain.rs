//! Taking all services from this node.

use super::Outcome;
use crate::parameter::object;
use crate::verb::{ByLoop, Caller, Verb};
use crate::words::Line;

object! {
    /// Takes all promoted resources from this node.
    Drain {
        /// Why, for whoever looks later.
        why: Option<Line>,
    }
}

impl Verb for Drain {
    const NAME: &'static str = "Drain";
    const ABOUT: &'static str = "\
        Stop all promoted resources on this node, and start none, also after a restart, until Undrain. Held ones are left alone.";
    const CALLER: Caller = Caller::Operator;
    type Reply = Outcome;
    type Answered = ByLoop;
}
