//! Chaos.
pub mod check;
pub mod ledger;
pub mod plan;
pub mod writer;
