//! Whether systemd answers at all: how long it has been silent, and what a call has waited without that.
//!
//! systemd does one thing after the other. While it reads its units again (`daemon-reload`, ten seconds and more on a busy machine) or loads one
//! from a slow disk it answers nobody, and each call that waits then would be late by its own clock. So a call's age counts only while
//! something comes from the bus: silence is found by a question of our own, and is no fault of any call.

use std::time::{Duration, Instant};

/// Without a message for this long, while something is asked, systemd is asked whether it is there.
pub(super) const PROBE: Duration = Duration::from_secs(3);
/// Without a message for this long after that, the connection is given up.
pub(super) const SILENT: Duration = Duration::from_secs(90);

/// See the module's head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pulse {
    /// When the last message came.
    heard: Instant,
    /// Since when a question about its being there is open.
    silent: Option<Instant>,
    /// How long all silences were that are over.
    lost: Duration,
}

/// When something was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    at: Instant,
    lost: Duration,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Self {
        Self { heard: now, silent: None, lost: Duration::ZERO }
    }

    /// A message came.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        if let Some(since) = self.silent.take() {
            self.lost += now.saturating_duration_since(since);
        }
    }

    /// The question whether systemd is there was put.
    pub(super) fn probed(&mut self, now: Instant) {
        self.silent.get_or_insert(now);
    }

    /// When to put it, if something is asked since `busy`; `None` = it is open already.
    pub(super) fn probe_at(&self, busy: Instant) -> Option<Instant> {
        self.silent.is_none().then(|| self.heard.max(busy) + PROBE)
    }

    /// When the connection is to be given up.
    pub(super) fn dead_at(&self) -> Option<Instant> {
        self.silent.map(|since| since + SILENT)
    }

    /// Something is asked now.
    pub(super) fn ask(&self, now: Instant) -> Asked {
        Asked { at: now, lost: self.lost_at(now) }
    }

    /// When something that was asked is older than `limit`, if there is no silence from now on.
    pub(super) fn end(&self, now: Instant, asked: Asked, limit: Duration) -> Instant {
        asked.at + limit + self.lost_at(now).saturating_sub(asked.lost)
    }

    fn lost_at(&self, now: Instant) -> Duration {
        self.lost + self.silent.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_makes_no_call_late() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pulse = Pulse::new(start);
        let asked = pulse.ask(start);
        let limit = Duration::from_secs(10);
        assert_eq!(pulse.end(start, asked, limit), at(10));
        assert_eq!(pulse.probe_at(start), Some(at(3)));
        pulse.probed(at(3));
        assert_eq!((pulse.probe_at(start), pulse.dead_at()), (None, Some(at(93))));
        // systemd reads its units again until then.
        assert_eq!(pulse.end(at(60), asked, limit), at(67));
        pulse.heard(at(60));
        assert_eq!((pulse.end(at(60), asked, limit), pulse.dead_at()), (at(67), None));
        // From now on others are answered, and this one is not.
        pulse.heard(at(66));
        assert_eq!(pulse.end(at(66), asked, limit), at(67));
        // What is asked later has its own time.
        assert_eq!(pulse.end(at(66), pulse.ask(at(66)), limit), at(76));
    }

    #[test]
    fn an_idle_connection_is_not_silent() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let pulse = Pulse::new(start);
        assert_eq!(pulse.dead_at(), None);
        assert_eq!(pulse.probe_at(at(3600)), Some(at(3603)), "the first call after an hour has its time, too");
    }
}
