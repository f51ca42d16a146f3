//! DRBD's vocabulary: its words as types, and one line of `drbdsetup events2` as a typed event.

pub mod events2;
pub mod types;
pub(crate) mod words;
