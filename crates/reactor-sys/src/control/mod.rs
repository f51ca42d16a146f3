//! The control socket: how `reactorctl`, `reactor-helper` and scripts talk to the daemon.
//!
//! ```text
//!  client ── bytes ──▶ framing ─▶ call ─▶ server ── ControlRequest (bounded) ──▶ loop
//!         ◀─ JSON + NUL ───────────────── server ◀─ oneshot reply ────────────── loop
//!                                         server ◀─ changes (bounded broadcast) ─ ChangeHub, owned by the loop
//!                                         server ◀─ "something is new" (a number) ─ Watchers, owned by the loop
//! ```
//!
//! The wire format is Varlink's: one JSON object, then a NUL byte. What can be asked, and the client, is `reactor-api`; docs/control.md has
//! the methods and the permissions. The server decides nothing: it checks who asks and hands the request to the loop. No client can make
//! the loop wait: the loop answers into a oneshot and publishes into a broadcast that drops what a slow reader leaves behind.

mod audit;
mod hub;
mod request;
mod roles;
mod server;
mod snapshot;
mod watch;

pub use crate::socket_file::{BindError, SocketFile as ControlSocket};
pub use audit::{AUDIT_QUEUE, Audited, CallOutcome};
pub use hub::{ChangeHub, Past, Subscription, rfc3339};
pub use reactor_api::SOCKET_NAME;
pub use request::{
    Answering, Asked, ControlRequest, Foresight, KnownIncidents, Peer, REQUEST_QUEUE, Reply, Served, Snapshot,
    StorageEvents,
};
pub use server::{ControlServer, Limits, ServiceInfo, Shared, ToLoop, serve_connection};
pub use watch::{Picture, Watched, Watchers};

/// Group whose members may read the status, if it exists.
pub const SOCKET_GROUP: &str = "storage-reactor";
