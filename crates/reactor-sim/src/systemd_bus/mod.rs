//! A mock of systemd's manager (`org.freedesktop.systemd1`) on a bus of its own, for tests and for the demo cluster.
//!
//! - [`file`], [`load`], [`name`]: unit files, drop-ins, names;
//! - [`engine`]: the rules, without process, clock or bus.

pub mod engine;
pub mod file;
pub mod load;
pub mod name;
