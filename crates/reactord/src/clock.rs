//! The only clock of the daemon: what the core is told as the time.

use std::time::{Duration, Instant, SystemTime};

use reactor_core::ids::Mono;

/// Counts from the start of the daemon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
    /// Wall time of the start, for the status.
    pub(crate) started: SystemTime,
}

impl Clock {
    /// Starts counting.
    pub(crate) fn start() -> Self {
        Self { start: Instant::now(), started: SystemTime::now() }
    }

    /// Now.
    pub(crate) fn now(&self) -> Mono {
        Mono::ZERO.after(self.start.elapsed())
    }

    /// When `at` is for the runtime.
    pub(crate) fn instant(&self, at: Mono) -> tokio::time::Instant {
        (self.start + Duration::from_nanos(at.0)).into()
    }
}
