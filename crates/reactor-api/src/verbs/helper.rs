//! DRBD asks for a helper.

use crate::parameter::object;
use crate::verb::{ByLoop, Caller, Limit, Verb};
use crate::words::{HelperEnv, HelperName, HelperObject, HelperTimeout};

object! {
    /// DRBD asks for a helper.
    Helper {
        /// Name of the helper.
        helper: HelperName,
        /// The resource, or `minor-N`.
        object: HelperObject,
        /// DRBD's environment for it.
        env: HelperEnv,
        /// How long the caller waits.
        timeout_ms: HelperTimeout,
    }
}

object! {
    /// The answer to [`Helper`]: either `exit` and `rule`, or `fallback`.
    HelperReply {
        /// Exit with this code.
        exit: Option<i32>,
        /// The rule whose handler ran.
        rule: Option<String>,
        /// Why drbdadm must answer.
        fallback: Option<String>,
    }
}

impl Verb for Helper {
    const NAME: &'static str = "Helper";
    const ABOUT: &'static str = "\
        DRBD asks for a helper. Either exit and rule are set: exit with this code; or fallback: why drbdadm must answer it.";
    const CALLER: Caller = Caller::Root;
    type Reply = HelperReply;
    type Answered = ByLoop;

    /// DRBD asks, not a person; what it is answered is in the log.
    fn is_audited(&self) -> bool {
        false
    }

    fn limit(&self) -> Limit {
        Limit::Given(self.timeout_ms.duration())
    }
}
