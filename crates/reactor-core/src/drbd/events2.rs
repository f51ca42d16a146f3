//! One line of `drbdsetup events2` as a typed event.
