//! The simulated DRBD in real time, behind look-alikes of `drbdsetup` and `drbdadm`: for real daemons, tests and the demo.
//!
//! One process, `sim-drbd`, owns the [`crate::drbd9::Cluster`] and lets its time pass as the clock does. Everything else speaks to
//! it by a Unix socket or TCP, JSON objects a line each ([`protocol`]):
//! - `sim-drbdsetup` and `sim-drbdadm`, which a node's folder has under the names of the real programs;
//! - `sim-counter`, a service that writes a counter to a replicated device;
//! - `sim-ctl`, the power switch and the cable cutter.
//!
//! Who they are (which simulator, which node) is said by `SIM_DRBD` and `SIM_NODE`, or by `sim-drbd.json` in the folder that they
//! are called in ([`identity`]): a daemon that calls `/some/folder/drbdsetup` need not know that it is not the real one.
//!
//! [`Cluster::start`] makes all that in one call. None of it is ever installed.
//!
//! Not like the real one:
//! - `drbdadm sh-ll-dev` prints the configured backing device only if it is a block device of this machine, else `none`, as for
//!   a node without a disk: the simulated disks have no device file that anybody could wait for.
//! - On a node without power every program ends at once with 20, and a running `events2` ends; a program of a frozen node waits.
//!   The processes of the node are not touched: who cuts the power kills them too.

pub mod client;
pub mod control;
pub mod counting;
pub mod handle;
pub mod identity;
pub mod program;
pub mod protocol;
pub mod server;
pub mod simulator;
pub mod spec;
mod text;
mod tools;
pub mod units;
mod world;

pub use client::Client;
pub use handle::{Cluster, Events};
pub use identity::Identity;
pub use spec::{Resource, Spec};
