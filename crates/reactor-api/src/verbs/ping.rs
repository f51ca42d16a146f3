//! Whether the daemon answers.

use crate::parameter::object;
use crate::verb::{ByLoop, Caller, Verb};

object! {
    /// Asks whether the daemon answers.
    Ping {}
}

object! {
    /// The answer to [`Ping`].
    PingReply {
        /// Version of the daemon.
        version: String,
        /// Its process.
        pid: u64,
        /// For how many milliseconds it has run.
        running_ms: u64,
    }
}

impl Verb for Ping {
    const NAME: &'static str = "Ping";
    const ABOUT: &'static str = "\
        Whether the daemon answers: its version, its process, and for how many milliseconds it has run.\n\
        Its loop answers, so that a daemon that takes connections and does nothing else is told from one that works.";
    const CALLER: Caller = Caller::Reader;
    type Reply = PingReply;
    type Answered = ByLoop;
}
