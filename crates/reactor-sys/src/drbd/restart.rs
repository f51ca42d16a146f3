//! How long to wait before a program that ended is started again.

use std::time::Duration;

/// Doubles from `first` to `longest`; starts over after a run that did its job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// The first wait.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// The wait after `failures` runs in a row that did not do their job.
    pub fn after(&self, failures: u32) -> Duration {
        self.first.saturating_mul(1u32.checked_shl(failures.min(30)).unwrap_or(u32::MAX)).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest() {
        let waits: Vec<u64> = (0..8).map(|failures| Backoff::default().after(failures).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(Backoff::default().after(u32::MAX).as_secs(), 30);
    }
}
