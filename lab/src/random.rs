//! Random numbers that are the same for the same seed, for ever.
//!
//! The simulator has the same ten lines (`reactor-sim/src/rng.rs`). To take them from there, the lab and its agent in the nodes would need all of the
//! simulator and the daemon's I/O.

use std::time::Duration;

use crate::switch::PartsPerMillion;

/// splitmix64. The switch has one per direction of a link: what one link does is independent of the traffic on the others.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn hits(&mut self, share: PartsPerMillion) -> bool {
        share.0 > 0 && self.next() % 1_000_000 < u64::from(share.0)
    }

    pub(crate) fn around(&mut self, middle: Duration, spread: Duration) -> Duration {
        let nanos = u64::try_from(spread.as_nanos()).unwrap_or(u64::MAX / 4);
        if nanos == 0 {
            return middle;
        }
        let offset = Duration::from_nanos(self.next() % (2 * nanos.min(u64::MAX / 4) + 1));
        (middle + offset).saturating_sub(spread)
    }

    /// Whole milliseconds from the first to the second, both included.
    pub(crate) fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.next() % (most - least + 1))
    }
}
