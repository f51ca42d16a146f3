//! Wire types: what the control socket, `reactorctl` and scripts see.
//!
//! They are apart from the model on purpose: the model may change from release to release, these may only grow. A reader ignores
//! keys that it does not know and takes a missing key as "cannot be said"; so an old `reactorctl` understands a new daemon, and
//! the other way round. Keys and words are DRBD's own, as `drbdsetup status --json` spells them, where DRBD has one.
//!
//! ```text
//! Node, Change, Done ─▶ status, change, outcome        for the control socket (reactor-sys turns them into JSON text)
//!        Node        ─▶ drbdsetup_status               for `reactorctl replay --final`
//! ```

pub mod change;
pub mod drbdsetup_status;
pub mod objects;
pub mod outcome;
pub mod promoted;
pub mod status;

pub use change::WireChange;
pub use outcome::HandlerOutcome;
pub use promoted::PromotedStatus;
pub use status::Status;
