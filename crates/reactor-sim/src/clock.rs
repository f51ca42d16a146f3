//! The clock that processes of one machine share: `CLOCK_MONOTONIC`, in nanoseconds.

use rustix::time::{ClockId, clock_gettime};

/// Now. `Instant` is the same clock, but its number cannot be handed to another process.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}
