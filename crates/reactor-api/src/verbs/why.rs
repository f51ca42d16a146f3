//! Why a promoted resource is as it is.

use crate::PromotedStatus;
use crate::parameter::{Described, object};
use crate::verb::{ByLoop, Caller, Verb};
use crate::words::Resource;

object! {
    /// Asks why a promoted resource is as it is.
    Why {
        /// The resource.
        resource: Resource,
    }
}

object! {
    /// The answer to [`Why`].
    WhyReply {
        /// The resource, with its last decisions.
        report: Described<PromotedStatus>,
    }
}

impl Verb for Why {
    const NAME: &'static str = "Why";
    const ABOUT: &'static str = "\
        Why a promoted resource is as it is, with its last decisions. The fields are described in docs/reactorctl.md.";
    const CALLER: Caller = Caller::Reader;
    type Reply = WhyReply;
    type Answered = ByLoop;
}
