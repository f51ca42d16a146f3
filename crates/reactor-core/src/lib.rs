//! What Storage Reactor knows and decides.
//!
//! ```text
//! events2 text ─▶ drbd::events2 ─▶ model.apply ─▶ Change ─▶ Plugin::on ─▶ Vec<Action>
//! ```
//!
//! This crate does no I/O, reads no clock and has no randomness of its own; its `clippy.toml` enforces that. The same inputs
//! at the same times give the same actions, so a recording of the inputs replays exactly.

pub mod action;
pub mod api;
pub mod change;
pub mod core;
pub mod doctor;
pub mod drbd;
pub mod facts;
pub mod history;
pub mod ids;
pub mod input;
mod isolation;
pub mod kernel_log;
pub mod metrics;
pub mod model;
pub mod names;
pub mod notice;
pub mod operator;
pub mod plugin;
pub mod settings;
pub mod snmp;
pub mod subject;
pub mod systemd;
pub mod uevent;
