//! A whole cluster on virtual time: N nodes, each with the real core, over the models of DRBD ([`drbd9`](crate::drbd9)) and of systemd
//! ([`systemd`]); faults by seed, and invariants after every step.
//!
//! ```text
//!  seed ─▶ Plan ─▶ World ─▶ one virtual hour with a fault a minute ─▶ peace ─▶ rest
//!                    │
//!          queue ────┼─▶ Cluster (DRBD) ─ bursts ─▶ delivery ─▶ Daemon: Core ─ calls ─▶ executor ─▶ Systemd, Cluster
//!                    └─▶ invariants: the first one that does not hold ends the seed with its story
//! ```
//!
//! There are no threads, no I/O and no clock: the same seed gives the same world. A [`Bug`] makes every daemon of a world behave as a
//! wrong program would; a test shows that each is caught.

mod apps;
pub mod bugs;
mod daemon;
mod events;
mod executor;
mod exit;
mod faults;
pub mod foresight;
pub mod guard;
mod hard;
pub mod invariants;
mod kernel_log;
mod operators;
mod others;
mod people;
pub mod plan;
mod run;
pub mod runner;
pub mod scenario;
mod shell;
mod stacks;
mod state;
mod storage;
mod story;
pub mod systemd;
mod wrong;

pub use bugs::Bug;
pub use invariants::Violation;
pub use plan::Plan;
pub use run::World;
pub use runner::{Report, run};

#[cfg(test)]
mod tests;
