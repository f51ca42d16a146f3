//! What a promoted resource would do next.

use crate::PlanStatus;
use crate::parameter::{Described, object};
use crate::verb::{Caller, FromSnapshot, Verb};
use crate::words::{Event, Resource};

object! {
    /// Asks what a promoted resource would do next. Nothing is done.
    Plan {
        /// The resource.
        resource: Resource,
        /// What happens first, in thought; none = nothing.
        event: Option<Event>,
    }
}

object! {
    /// The answer to [`Plan`].
    PlanReply {
        /// The decisions, in their order.
        plan: Described<PlanStatus>,
    }
}

impl Verb for Plan {
    const NAME: &'static str = "Plan";
    const ABOUT: &'static str = "\
        The decisions that follow for a promoted resource on this node, now or after an event, with reasons and times.\n\
        Nothing is done. The fields are described in docs/reactorctl.md.";
    const CALLER: Caller = Caller::Reader;
    type Reply = PlanReply;
    type Answered = FromSnapshot;
}
