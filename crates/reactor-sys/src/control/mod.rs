//! The control socket: how `reactorctl`, `reactor-helper` and scripts talk to the daemon.
//!
//! ```text
//!  client ── bytes ──▶ framing ─▶ protocol ─▶ server ── ControlRequest (bounded) ──▶ loop
//!         ◀─ JSON + NUL ───────────────────── server ◀─ oneshot reply ────────────── loop
//!                                             server ◀─ changes (bounded broadcast) ─ ChangeHub, owned by the loop
//! ```
//!
//! The wire format is Varlink's: one JSON object, then a NUL byte. docs/control.md has the methods and the permissions; the two
//! `.varlink` files here are what `GetInterfaceDescription` answers. The server decides nothing: it checks who asks and hands
//! the request to the loop. No client can make the loop wait: the loop answers into a oneshot and publishes into a broadcast
//! that drops what a slow reader leaves behind.

pub mod client;
pub mod framing;
mod hub;
mod picture;
pub mod protocol;
mod request;
mod server;
mod socket;

pub use hub::{ChangeHub, Past, Subscription, rfc3339};
pub use request::{ControlRequest, HelperRequest, LeftoversReply, Peer, Picture, REQUEST_QUEUE, ReloadReply};
pub use server::{ControlServer, Limits, ServiceInfo, Shared, serve_connection};
pub use socket::{BindError, ControlSocket};

/// Name of the socket in the runtime folder.
pub const SOCKET_NAME: &str = "control.sock";

/// Group whose members may read the status, if it exists.
pub const SOCKET_GROUP: &str = "storage-reactor";

/// Our interface.
pub const INTERFACE: &str = "io.storagereactor.Control";

/// Its description in Varlink's language.
pub const INTERFACE_DESCRIPTION: &str = include_str!("io.storagereactor.Control.varlink");

/// The interface that every Varlink service has.
pub const SERVICE_INTERFACE: &str = "org.varlink.service";

/// Its description in Varlink's language.
pub const SERVICE_DESCRIPTION: &str = include_str!("org.varlink.service.varlink");
