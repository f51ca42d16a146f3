//! The program by its old name: every command, its whole output.

#![expect(clippy::unwrap_used, reason = "helpers of a test are a test")]

mod acts;
mod nodes;
#[path = "../played/mod.rs"]
mod played;
mod side_by_side;
mod snippets;
mod status;
mod world;
