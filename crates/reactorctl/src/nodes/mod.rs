//! One command on several nodes: the nodes of a context, each by ssh, this one directly.
//!
//! ```text
//! context ─▶ nodes ─┬─▶ this node: the command itself ─┐
//!                   └─▶ ssh NODE drbd-reactorctl ... ──┴─▶ output of each, whole, when it is done ─▶ one exit code
//! ```
//!
//! A node that is dead or fails is one line and an exit code; it keeps nobody else from answering.

pub(crate) mod context;
mod quote;
mod run;
mod ssh;

pub(crate) use run::run;
