//! What there is to know of a node besides its status.

use crate::parameter::{Described, object};
use crate::survey::NodeFacts;
use crate::verb::{Caller, FromSnapshot, Limit, Verb};

object! {
    /// Asks for facts about this node.
    Survey {}
}

object! {
    /// The answer to [`Survey`].
    SurveyReply {
        /// The facts.
        facts: Described<NodeFacts>,
    }
}

impl Verb for Survey {
    const NAME: &'static str = "Survey";
    const ABOUT: &'static str = "\
        Facts about this node that are no state of a resource, for reactorctl doctor: checksums of configuration files, DRBD's options, masks\n\
        and drop-ins of units. Nothing is changed. No text of a file, and no value that is a secret, is in it; the checksum of a file that\n\
        not everybody may read is for root.";
    const CALLER: Caller = Caller::Reader;
    type Reply = SurveyReply;
    type Answered = FromSnapshot;

    fn limit(&self) -> Limit {
        Limit::Long
    }
}
