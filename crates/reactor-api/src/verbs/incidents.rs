//! Storage incidents.

use super::Outcome;
use crate::WireIncident;
use crate::parameter::{Described, object};
use crate::verb::{ByLoop, Caller, Verb};

object! {
    /// Asks for the storage incidents that are open.
    Incidents {}
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
        The storage incidents that are open. The fields are described in docs/storage-events.md.";
    const CALLER: Caller = Caller::Reader;
    type Reply = IncidentsReply;
    type Answered = ByLoop;
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
