//! Storage incidents.

use super::Outcome;
use crate::WireIncident;
use crate::parameter::{Described, object};
use crate::verb::{ByLoop, Caller, FromSnapshot, Limit, Verb};
use crate::words::{IncidentId, Last};

object! {
    /// Asks for storage incidents: those that are open.
    Incidents {
        /// Only those whose id begins so, also if they are over.
        id: Option<IncidentId>,
        /// Also those that are over: the last so many.
        past: Option<Last>,
    }
}

object! {
    /// The answer to [`Incidents`].
    IncidentsReply {
        /// The incidents, the oldest first.
        incidents: Vec<Described<WireIncident>>,
    }
}

impl Verb for Incidents {
    const NAME: &'static str = "Incidents";
    const ABOUT: &'static str = "\
        The storage incidents that are open, and on request those that are over. docs/reactorctl-incidents.schema.json describes the\n\
        fields.";
    const CALLER: Caller = Caller::Reader;
    type Reply = IncidentsReply;
    type Answered = FromSnapshot;

    fn limit(&self) -> Limit {
        Limit::Long
    }
}

object! {
    /// Closes a storage incident: a person has seen to it.
    CloseIncident {
        /// Its id.
        incident: String,
    }
}

impl Verb for CloseIncident {
    const NAME: &'static str = "CloseIncident";
    const ABOUT: &'static str = "Close a storage incident: a person has seen to it.";
    const CALLER: Caller = Caller::Operator;
    type Reply = Outcome;
    type Answered = ByLoop;
}
