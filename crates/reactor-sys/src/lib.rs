//! All I/O of Storage Reactor.

pub mod control;
