//! Us as a service of systemd: what it is told of us, and when.

use std::time::{Duration, Instant};

use reactor_core::metrics::health::QueueHealth;
use reactor_sys::notify::Notifier;

use super::due::has_come;

/// What systemd is told.
#[derive(Debug)]
pub(super) struct Service {
    notify: Notifier,
    /// The last line of `systemctl status`.
    line: String,
    /// When the watchdog is fed next; `None` = systemd does not watch.
    watchdog: Option<Instant>,
    /// When it is told again what it has not read.
    again: Option<Instant>,
}

impl Service {
    /// With a first beat of the watchdog at once.
    pub(super) fn new(notify: Notifier) -> Self {
        let watchdog = notify.watchdog_interval().map(|_| Instant::now());
        Self { notify, line: String::new(), watchdog, again: None }
    }

    /// The daemon starts its plugins, which may take so long.
    pub(super) fn starting(&self, within: Duration) {
        self.notify.status("Starting new plugins");
        self.notify.extend_timeout(within);
    }

    /// Everything has started.
    pub(super) fn started(&self) {
        self.notify.status("Plugins started");
        self.notify.ready();
    }

    /// The configuration is being read.
    pub(super) fn reloading(&self) {
        self.notify.reloading();
    }

    /// What was read runs, or not: the reload is over.
    pub(super) fn reloaded(&mut self) {
        self.notify.ready();
        // A reload ends the line, too.
        self.line.clear();
    }

    /// The daemon ends.
    pub(super) fn stopping(&self) {
        self.notify.stopping();
    }

    /// Its end takes so much longer from now on.
    pub(super) fn extend(&self, by: Duration) {
        self.notify.extend_timeout(by);
    }

    /// The line that `systemctl status` shows; it is told only if it is another one.
    pub(super) fn show(&mut self, line: String) {
        if line != self.line {
            self.notify.status(&line);
            self.line = line;
        }
    }

    /// When there is something to do.
    pub(super) fn due(&mut self) -> Option<Instant> {
        if let Some(pause) = self.notify.again_after() {
            self.again.get_or_insert_with(|| Instant::now() + pause);
        }
        [self.watchdog, self.again].into_iter().flatten().min()
    }

    /// Tells again what systemd has not read, if it is time.
    pub(super) fn tell_again(&mut self, now: Instant) {
        if has_come(&mut self.again, now) {
            self.notify.again();
        }
    }

    /// Whether the watchdog is to be fed: after a step, see [`beat`](Self::beat).
    pub(super) fn is_beat_due(&self, now: Instant) -> bool {
        self.watchdog.is_some_and(|at| at <= now)
    }

    /// Feeds the watchdog.
    pub(super) fn beat(&mut self, now: Instant) {
        self.watchdog = self.notify.watchdog_interval().map(|interval| now + interval);
        self.notify.watchdog();
    }

    /// Messages that wait, or were dropped.
    pub(super) fn queue(&self) -> QueueHealth {
        QueueHealth { name: "systemd-notifications", depth: None, limit: 2, dropped: Some(self.notify.lost()) }
    }
}
