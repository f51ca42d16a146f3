//! What goes over the control socket: the words that the daemon, `reactorctl` and scripts share.
//!
//! These types are apart from the model on purpose: the model may change from release to release, these may only grow. A reader
//! ignores keys that it does not know and takes a missing key as "cannot be said"; so an old `reactorctl` understands a new daemon,
//! and the other way round. Keys and words are DRBD's own, as `drbdsetup status --json` spells them, where DRBD has one.
//!
//! This crate uses nothing of ours, so that a client needs no engine. How the model becomes these types is said in `reactor_core::api`.

pub mod change;
pub mod objects;
pub mod outcome;
pub mod promoted;
pub mod status;

pub use change::WireChange;
pub use outcome::HandlerOutcome;
pub use promoted::PromotedStatus;
pub use status::Status;
