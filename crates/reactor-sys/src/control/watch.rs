//! Pictures for those who watch: each is the status as it is now, and the next one is handed out when it differs.
//!
//! ```text
//!  loop: something is new ─▶ a number grows ─▶ server: asks the loop for a picture ─▶ differs from the last one? ─▶ client
//!                                                      (at most once in 50 ms)
//! ```
//!
//! Nothing is kept for a watcher: who reads slowly, or is asleep, gets the newest picture and none of those between.

use std::collections::BTreeSet;
use std::sync::Arc;

use reactor_api::Status;
use reactor_api::status::Counters;
use reactor_core::model::objects::Resource;
use reactor_core::plugin::promoter::report::ResourceReport;
use tokio::sync::watch;

use super::request::Snapshot;

/// One picture, and whether there is another.
#[derive(Debug)]
pub struct Watched {
    /// What is told.
    pub snapshot: Snapshot,
    /// What of it counts.
    pub picture: Picture,
    /// Says so when something is new.
    pub changed: watch::Receiver<u64>,
}

/// What a watcher is told again for. Left out is what moves all the time and says nothing: statistics, counters, the time of day.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    status: Status,
    /// With the daemon's own clock, in which a time that stays the same is the same number.
    promoted: Vec<ResourceReport>,
    resources: Vec<Seen>,
}

/// A resource as it was seen.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    name: String,
    shape: u64,
    /// While a resync or verify runs, its numbers count.
    generation: Option<u64>,
}

impl Picture {
    /// Of `resources`, those that are wanted; `None` = all.
    pub fn new(
        status: &Status,
        mut promoted: Vec<ResourceReport>,
        resources: &[Arc<Resource>],
        only: Option<&BTreeSet<String>>,
    ) -> Self {
        for report in &mut promoted {
            // What was decided shows in the state.
            report.history.clear();
        }
        let is_wanted = |resource: &&Arc<Resource>| only.is_none_or(|only| only.contains(resource.name.as_str()));
        let seen = |resource: &Arc<Resource>| Seen {
            name: resource.name.to_string(),
            shape: resource.shape,
            generation: has_progress(resource).then_some(resource.generation),
        };
        Self {
            status: what_counts(status),
            promoted,
            resources: resources.iter().filter(is_wanted).map(seen).collect(),
        }
    }
}

fn has_progress(resource: &Resource) -> bool {
    let mut devices = resource.connections.values().flat_map(|connection| connection.peer_devices.values());
    devices.any(|device| device.progress.is_some())
}

fn what_counts(status: &Status) -> Status {
    let mut status = Status { now: String::new(), handlers: Vec::new(), other_sources: Vec::new(), ..status.clone() };
    status.counters = Counters::default();
    for plugin in &mut status.plugins {
        plugin.counters.clear();
        plugin.details.clear();
    }
    status
}

/// Where the loop says that something is new.
#[derive(Debug, Default)]
pub struct Watchers(watch::Sender<u64>);

impl Watchers {
    /// Something may be new.
    pub fn wake(&self) {
        if self.0.receiver_count() > 0 {
            self.0.send_modify(|number| *number = number.wrapping_add(1));
        }
    }

    /// Says so from now on.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use reactor_core::core::Core;
    use reactor_core::ids::Mono;
    use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};

    use super::*;

    const BEGIN: &str = "\
        exists resource name:r0 role:Secondary suspended:no may_promote:no promotion_score:0\n\
        exists connection name:r0 peer-node-id:1 conn-name:n2 connection:Connected role:Secondary congested:no\n\
        exists device name:r0 volume:0 minor:10 disk:UpToDate client:no quorum:yes read:0\n\
        exists peer-device name:r0 peer-node-id:1 conn-name:n2 volume:0 replication:Established peer-disk:UpToDate out-of-sync:0\n\
        exists -\n";

    /// The picture of r0 after these lines.
    fn picture(core: &mut Core, lines: &str) -> Picture {
        for input in [Input::Lines(SourceId::Drbd, lines.to_owned()), Input::BurstEnd(SourceId::Drbd)] {
            core.step(Mono::ZERO, &input, &mut Vec::new());
        }
        let status = Status { now: core.counters().lines.to_string(), ..Status::default() };
        let only = BTreeSet::from(["r0".to_owned()]);
        Picture::new(&status, core.promoted(Mono::ZERO), &core.node().snapshot(), Some(&only))
    }

    #[test]
    fn statistics_are_no_news_unless_something_gets_on() {
        let mut core = Core::new();
        let started = SourceEvent::Started { command: String::new(), dialect: Some(Dialect::Drbd9) };
        core.step(Mono::ZERO, &Input::Source(SourceId::Drbd, started), &mut Vec::new());
        let first = picture(&mut core, BEGIN);
        let read = "change device name:r0 volume:0 minor:10 disk:UpToDate client:no quorum:yes read:96\n";
        assert_eq!(picture(&mut core, read), first);
        let other = "create resource name:r1 role:Secondary suspended:no may_promote:no promotion_score:0\n";
        assert_eq!(picture(&mut core, other), first);
        let sync = |done: u32| {
            format!(
                "change peer-device name:r0 peer-node-id:1 conn-name:n2 volume:0 replication:SyncSource \
                 peer-disk:Inconsistent done:{done}\n"
            )
        };
        let second = picture(&mut core, &sync(5));
        assert_ne!(second, first);
        let third = picture(&mut core, &sync(6));
        assert_ne!(third, second);
        assert_eq!(picture(&mut core, read), picture(&mut core, ""));
    }
}
