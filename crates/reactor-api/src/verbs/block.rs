//! Block devices.

use crate::parameter::{Described, object};
use crate::verb::{Caller, FromSnapshot, Limit, Verb};
use crate::words::DeviceName;

object! {
    /// Asks for a block device, or for all.
    BlockInfo {
        /// The device, by any name that logs and people have for it; none = all.
        device: Option<DeviceName>,
    }
}

object! {
    /// The answer to [`BlockInfo`].
    BlockInfoReply {
        /// All of them; of one, the one that was found, then others that are called so.
        devices: Vec<Described<serde_json::Value>>,
        /// What was odd, and is not of one device.
        remarks: Vec<String>,
    }
}

impl Verb for BlockInfo {
    const NAME: &'static str = "BlockInfo";
    const ABOUT: &'static str = "\
        Block devices: what each is, by an id that stays, how it is reached, what it is built on and what is built on it.\n\
        docs/reactorctl-block.schema.json describes the fields.";
    const CALLER: Caller = Caller::Reader;
    type Reply = BlockInfoReply;
    type Answered = FromSnapshot;

    fn limit(&self) -> Limit {
        Limit::Long
    }
}
