//! Where news of DRBD comes from: `drbdsetup events2` as a child process, or a recording that is played.
//!
//! ```text
//! drbdsetup ─pipe─▶ lines (whole lines) ─▶ bursts (where one change ends) ─┐
//!                                                                          ├─ Input ─▶ bounded channel ─▶ the loop
//! recording ─────────────────────▶ playback ───────────────────────────────┘
//! ```
//!
//! The channel is bounded and nothing is ever dropped at it: while the loop is busy the pipe is not read, and drbdsetup waits.
//! Memory stays flat whatever the rate.

mod alarm;
mod bursts;
pub mod child;
pub mod command;
pub(crate) mod config84;
mod lines;
pub mod options;
mod pipe;
pub mod playback;
pub mod program;
pub mod restart;
mod statistics84;
mod stream;
pub mod survivors;
pub mod tools;
pub mod version;

pub use config84::defined_in;
