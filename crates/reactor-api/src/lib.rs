//! The control socket: its verbs, what goes over it, and a client. What the daemon, `reactorctl` and scripts share.
//!
//! ```text
//!  bytes ─ framing ─▶ message ─ call ─▶ verbs::Call ─▶ the server (reactor-sys), the loop (reactord)
//!  client ─ verb ─▶ message                verb, verbs: what each can be asked, by whom, how long, and with which reply
//!                                          interface: the same in Varlink's language and for the documents
//!  status, objects, change, promoted, plan, outcome, history: what the replies are made of
//! ```
//!
//! The wire types are apart from the model on purpose: the model may change from release to release, these may only grow. A reader
//! ignores keys that it does not know and takes a missing key as "cannot be said"; so an old `reactorctl` understands a new daemon,
//! and the other way round. Keys and words are DRBD's own, as `drbdsetup status --json` spells them, where DRBD has one.
//!
//! This crate uses nothing of ours, so that a client needs no engine. How the model becomes these types is said in `reactor_core::api`.

pub mod call;
pub mod change;
pub mod client;
pub mod doctor;
pub mod framing;
pub mod history;
pub mod incident;
pub mod interface;
pub mod objects;
pub mod outcome;
pub mod parameter;
pub mod plan;
pub mod promoted;
#[cfg(feature = "schema")]
pub mod schema;
pub mod status;
pub mod storage_event;
pub mod survey;
pub mod sync;
pub mod verb;
pub mod verbs;
pub mod words;

pub use change::WireChange;
pub use incident::WireIncident;
pub use outcome::HandlerOutcome;
pub use plan::PlanStatus;
pub use promoted::PromotedStatus;
pub use status::Status;
pub use storage_event::WireEvent;

/// Name of the socket in the runtime folder.
pub const SOCKET_NAME: &str = "control.sock";

/// Our interface.
pub const INTERFACE: &str = "io.storagereactor.Control";

/// The interface that every Varlink service has.
pub const SERVICE_INTERFACE: &str = "org.varlink.service";
