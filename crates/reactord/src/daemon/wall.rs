//! Tells the core the wall clock: at the start, when the clock jumps, and when local time moves against UTC.

use std::future::pending;
use std::time::{Duration, Instant};

use reactor_core::operator::WallClock;
use reactor_sys::wall::LocalTime;
use tokio::task::{JoinHandle, spawn_blocking};

/// A clock that is this far from where it should be has jumped.
const JUMP: Duration = Duration::from_secs(2);

/// How often the time zone is read again.
const ZONE: Duration = Duration::from_secs(60);

/// What the core was told.
#[derive(Debug)]
pub(super) struct Wall {
    local: LocalTime,
    told: WallClock,
    told_at: Instant,
    read_at: Instant,
    reading: Option<JoinHandle<LocalTime>>,
}

impl Wall {
    /// With what the clock shows now.
    pub(super) async fn start() -> Self {
        // Reading it costs a few small files of /etc; a task that panics leaves UTC.
        let local = spawn_blocking(LocalTime::read).await.unwrap_or_else(|_| LocalTime::utc());
        let now = Instant::now();
        Self { told: local.now(), local, told_at: now, read_at: now, reading: None }
    }

    /// What the core must be told at the start.
    pub(super) fn told(&self) -> WallClock {
        self.told
    }

    /// What it shows now.
    pub(super) fn now(&self) -> WallClock {
        self.local.now()
    }

    /// Looks at the clock; `Some` if the core must be told again.
    pub(super) fn look(&mut self) -> Option<WallClock> {
        if self.reading.is_none() && self.read_at.elapsed() >= ZONE {
            self.read_at = Instant::now();
            self.reading = Some(spawn_blocking(LocalTime::read));
        }
        let is = self.local.now();
        if !has_changed(self.told, self.told_at.elapsed(), is) {
            return None;
        }
        self.told = is;
        self.told_at = Instant::now();
        Some(is)
    }

    /// Waits for the time zone that is being read; for ever if none is. Cancel safe.
    pub(super) async fn next(&mut self) {
        match &mut self.reading {
            Some(reading) => {
                if let Ok(local) = reading.await {
                    self.local = local;
                }
                self.reading = None;
            }
            None => pending().await,
        }
    }
}

/// Whether the clock shows something else than `told` plus the time that passed.
fn has_changed(told: WallClock, passed: Duration, is: WallClock) -> bool {
    let expected = told.unix_ms.saturating_add(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX));
    is.utc_offset_s != told.utc_offset_s || u128::from(expected.abs_diff(is.unix_ms)) > JUMP.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_jump_or_another_offset_is_news() {
        let told = WallClock { unix_ms: 1_000_000, utc_offset_s: 3600 };
        let passed = Duration::from_secs(100);
        let is = |unix_ms| WallClock { unix_ms, utc_offset_s: 3600 };
        assert!(!has_changed(told, passed, is(1_100_000)));
        assert!(!has_changed(told, passed, is(1_101_900)));
        assert!(has_changed(told, passed, is(1_103_000)));
        assert!(has_changed(told, passed, is(1_097_000)));
        assert!(has_changed(told, passed, WallClock { unix_ms: 1_100_000, utc_offset_s: 7200 }));
    }
}
