//! The lab: a small cluster of real Linux nodes on one machine, for tests that need a kernel, systemd and DRBD.
//!
//! The nodes are User-Mode Linux processes, or QEMU's, so nothing here needs root once the image is built.

pub mod agent;
pub mod backend;
pub mod chaos;
pub mod cluster;
pub mod image;
pub mod keeper;
pub mod kernel;
pub mod pair;
pub mod qemu;
mod random;
pub mod switch;
pub mod uml;
