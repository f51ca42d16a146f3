//! DRBD's vocabulary: its words as types, one line of `drbdsetup events2` as a typed event, and what its refusals mean.

pub mod events2;
pub mod refusal;
pub mod types;
pub(crate) mod words;
