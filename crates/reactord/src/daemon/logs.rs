//! Log files. They are opened by a thread, because their disks may hang, and what else was configured must not wait for that. Whoever asked
//! for the reload does, for a moment.

use std::future::pending;
use std::time::Duration;

use reactor_core::metrics::health::QueueHealth;
use reactor_core::settings::LogSettings;
use reactor_sys::chain::chain;
use reactor_sys::log::{LogError, LogHandle, Opened};
use tracing::error;

/// How long the last lines may take to reach the log.
const FLUSH: Duration = Duration::from_secs(1);

/// Where log lines go.
pub(super) struct Logs {
    handle: LogHandle,
    /// Files that are still being opened.
    opening: Option<Opened>,
}

impl Logs {
    /// With log files that are still being opened.
    pub(super) fn new(handle: LogHandle, opening: Option<Opened>) -> Self {
        Self { handle, opening }
    }

    /// Opens log files anew.
    pub(super) fn apply(&mut self, settings: &[LogSettings]) {
        self.opening = Some(self.handle.apply(settings));
    }

    /// Waits until they are open: those that can't be opened. For ever if none is being opened. Cancel safe.
    pub(super) async fn next(&mut self) -> Vec<LogError> {
        let Some(opening) = &mut self.opening else { return pending().await };
        // An error means that newer settings came: their problems count.
        let problems = opening.await.unwrap_or_default();
        self.opening = None;
        problems
    }

    /// What is still being done, in words.
    pub(super) fn late(&self) -> Option<&'static str> {
        self.opening.as_ref().map(|_| "log files are still being opened; lines go where they went before")
    }

    /// Waits a moment for the last lines, before the daemon ends.
    pub(super) fn flush(&self) {
        self.handle.flush(FLUSH);
    }

    /// Lines that were dropped.
    pub(super) fn queue(&self) -> QueueHealth {
        let limit = LogHandle::QUEUE as u64;
        QueueHealth { name: "log-lines", depth: None, limit, dropped: Some(self.handle.lost()) }
    }
}

/// Log files that can't be used.
pub(crate) fn log_problems(problems: &[LogError]) {
    for problem in problems {
        error!(error = %chain(problem), "can't log as configured");
    }
}
