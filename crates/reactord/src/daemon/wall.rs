//! Tells the core the wall clock: at the start, when the clock jumps, and when local time moves against UTC. The kernel says when somebody sets the
//! clock; when summer time begins or ends is known before.

use std::future::pending;
use std::time::{Duration, Instant};

use reactor_core::operator::WallClock;
use reactor_sys::wall::{Jumps, LocalTime};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tracing::warn;

/// A clock that is this far from where it should be has jumped.
const JUMP: Duration = Duration::from_secs(2);

/// How often the time zone is read again, and a clock that is slowly put right is looked at.
const ZONE: Duration = Duration::from_secs(3600);

/// The same where the kernel does not tell of jumps.
const LOOK: Duration = Duration::from_secs(10);

/// How long the files of local time may take to be read at the start, before we go on with UTC.
const READ: Duration = Duration::from_secs(2);

/// What the core was told.
#[derive(Debug)]
pub(super) struct Wall {
    local: LocalTime,
    told: WallClock,
    told_at: Instant,
    read_at: Instant,
    reading: Option<JoinHandle<LocalTime>>,
    jumps: Jumps,
    /// When to look again.
    look_at: Instant,
}

impl Wall {
    /// With what the clock shows now.
    pub(super) async fn start() -> Self {
        // Reading it costs a few small files of /etc; a task that panics leaves UTC.
        let mut reading = spawn_blocking(LocalTime::read);
        let (local, reading) = match timeout(READ, &mut reading).await {
            Ok(local) => (local.unwrap_or_else(|_| LocalTime::utc()), None),
            Err(_) => {
                warn!("local time can't be read yet, its disk does not answer: times of day are UTC until it can");
                (LocalTime::utc(), Some(reading))
            }
        };
        let now = Instant::now();
        let mut wall = Self {
            told: local.now(),
            local,
            told_at: now,
            read_at: now,
            reading,
            jumps: Jumps::listen(),
            look_at: now,
        };
        wall.plan(now);
        wall
    }

    /// When the clock is to be looked at.
    pub(super) fn due(&self) -> Option<Instant> {
        Some(self.look_at)
    }

    fn plan(&mut self, now: Instant) {
        let look = if self.jumps.are_told() { ZONE } else { LOOK };
        // A moment later, so that it has changed.
        let change = self.local.until_change().map(|until| until.saturating_add(Duration::from_millis(100)));
        self.look_at = now + change.map_or(look, |change| change.min(look));
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
        let now = Instant::now();
        if self.reading.is_none() && self.read_at.elapsed() >= ZONE {
            self.read_again();
        }
        self.plan(now);
        let is = self.local.now();
        if !has_changed(self.told, self.told_at.elapsed(), is) {
            return None;
        }
        self.told = is;
        self.told_at = Instant::now();
        Some(is)
    }

    /// Begins to read the time zone, unless that goes on already.
    pub(super) fn read_again(&mut self) {
        if self.reading.is_none() {
            self.read_at = Instant::now();
            self.reading = Some(spawn_blocking(LocalTime::read));
        }
    }

    /// Waits until there is something to look at: the clock was set, or the time zone has been read. Cancel safe.
    pub(super) async fn next(&mut self) {
        let Self { local, reading, jumps, .. } = self;
        let zone = async {
            match reading {
                Some(running) => {
                    if let Ok(read) = running.await {
                        *local = read;
                    }
                    *reading = None;
                }
                None => pending().await,
            }
        };
        tokio::select! {
            () = zone => {}
            () = jumps.next() => {}
        }
    }
}

/// Whether the clock shows something else than `told` plus the time that passed.
fn has_changed(told: WallClock, passed: Duration, is: WallClock) -> bool {
    let expected = told.after(passed);
    is.utc_offset_s != expected.utc_offset_s || u128::from(expected.unix_ms.abs_diff(is.unix_ms)) > JUMP.as_millis()
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
