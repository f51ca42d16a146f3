//! Answers to scrapes, and what the daemon knows of its own health.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reactor_core::ids::Mono;
use reactor_core::metrics::Health;
use reactor_core::metrics::health::{PromotedHealth, QueueHealth};
use reactor_core::plugin::promoter::report::ResourceReport;
use reactor_core::systemd::BusState;
use reactor_sys::control::REQUEST_QUEUE;
use reactor_sys::http::ScrapeRequest;

use super::Daemon;

/// Scrapes within this time are told the same of promoted resources.
const SAME_PROMOTED: Duration = Duration::from_millis(250);

/// What promoters said of their resources, and when.
#[derive(Default)]
pub(super) struct PromotedSeen {
    at: Option<Mono>,
    list: Vec<PromotedHealth>,
}

impl Daemon {
    /// A server wants to know what there is. It writes the text itself.
    pub(super) fn scrape(&mut self, request: ScrapeRequest) {
        self.look_at_promoted();
        request.answer(self.core.node(), || self.health());
    }

    /// Asks the promoters how they are, unless somebody has just asked: with a thousand resources they have a lot to say, and
    /// everybody who reaches the port may ask as often as they like.
    fn look_at_promoted(&mut self) {
        let (now, wall) = (self.clock.now(), SystemTime::now());
        if self.promoted_health.at.is_some_and(|at| now.since(at) < SAME_PROMOTED) {
            return;
        }
        let of = |report: &ResourceReport| {
            PromotedHealth::new(
                report,
                seconds(wall.checked_sub(now.since(report.since)).unwrap_or(UNIX_EPOCH)),
                self.core.node(),
            )
        };
        let list = self.core.promoted(now).iter().map(of).collect();
        self.promoted_health = PromotedSeen { at: Some(now), list };
    }

    fn health(&self) -> Health {
        let mut health = Health {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_s: seconds(self.clock.started),
            drbd: self.source.versions(),
            source: self.source.health(self.core.node()),
            queues: vec![
                QueueHealth {
                    name: "control-requests",
                    depth: Some(self.inbox.requests_waiting()),
                    limit: REQUEST_QUEUE as u64,
                    dropped: None,
                },
                self.logs.queue(),
                self.service.queue(),
            ],
            config: self.configuration.health(),
            handlers: self.handlers.health(),
            receivers: self.notify.health(),
            notify_disk_up: self.notify.is_disk_up(),
            recorder: self.recording.health(),
            history: self.chronicle.health(),
            control_up: Some(self.clients.is_served()),
            drained: self.core.drained().is_some(),
            leftovers: self.left.count(),
            loop_events: self.inbox.counts(),
            ..Health::default()
        };
        health.fill_from(&self.core);
        health.promoted.clone_from(&self.promoted_health.list);
        health.systemd_up = self.work.followed().map(|_| *self.core.node().units().bus() == BusState::Up);
        // The core does not know whether a server outside of it listens.
        for plugin in &mut health.plugins {
            let id = reactor_core::ids::InstanceId(plugin.id);
            if self.core.instance(id).is_some_and(|i| i.state == reactor_core::core::InstanceState::Outside) {
                plugin.up = self.servers.details(id).is_ok();
                plugin.counters = self.servers.counters(id);
            }
        }
        health
    }
}

/// Seconds since 1970, as metrics want them.
pub(super) fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map(|since| since.as_secs_f64()).unwrap_or_default()
}
