//! Collectors of storage events: what the kernel and the tools of storage say, each message once, over restarts of the daemon.
//!
//! ```text
//!   /dev/kmsg ── kernel_log.rs ──┐
//!   uevents ──── uevents.rs ─────┼─▶ inbox ─▶ thread `storage`: Collector ─▶ Stages (classification, identity, correlation)
//!   journalctl ─ child.rs ───────┘              │        ▲
//!                                    storage.json        └─ journalctl, for what /dev/kmsg has lost
//! ```
//!
//! The kernel's messages come from /dev/kmsg, so that a journal which can't write stops none of them. The journal has what /dev/kmsg does not: what
//! the ring has lost, earlier boots, and what programs say; and where /dev/kmsg can't be read, as in some containers, the kernel's messages until it can.
//! Without it everything else goes on.

pub mod blocks;
mod child;
mod collector;
pub mod events;
mod follower;
mod inbox;
pub mod incidents;
mod known;
pub mod position;
pub mod saved;

pub use collector::{Collector, Limits, Options, Stages, Taps, boot_id};
pub use inbox::{Lost, Piece};
pub use known::Known;
