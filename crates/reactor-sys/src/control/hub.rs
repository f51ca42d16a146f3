//! Changes for those who follow: a ring of the past and a broadcast of the present, both owned by the loop.
//!
//! Because the loop alone publishes and subscribes, a subscription is exact: the ring holds all changes up to this moment, the
//! broadcast all changes after it. Nothing is missed between the two and nothing comes twice.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use reactor_api::WireChange;
use reactor_api::verbs::Changes;
use reactor_core::change::{Change, Origin};
use reactor_core::settings::Detail;
use tokio::sync::broadcast;

/// Changes that a follower may be behind before it is dropped. One burst may have 4,096 lines.
const BROADCAST: usize = 8192;

/// State changes that are remembered.
const RING: usize = 1024;

/// A change and when it happened. Shared: the ring is handed out as it is, and put into words by whoever wants it.
pub type Past = Arc<(SystemTime, Change)>;

/// Where the loop publishes changes.
#[derive(Debug)]
pub struct ChangeHub {
    /// State changes only: statistics would push them out within seconds. As the model made them: most are never asked for.
    ring: VecDeque<Past>,
    ring_limit: usize,
    /// Apart, so that a follower of states is not dropped for a flood of statistics.
    state: broadcast::Sender<Arc<WireChange>>,
    all: broadcast::Sender<Arc<WireChange>>,
}

/// What a follower gets.
#[derive(Debug)]
pub struct Subscription {
    /// The past, oldest first.
    pub backlog: Vec<Past>,
    /// The future, if it is wanted.
    pub live: Option<broadcast::Receiver<Arc<WireChange>>>,
}

impl Default for ChangeHub {
    fn default() -> Self {
        Self::new(RING, BROADCAST)
    }
}

impl ChangeHub {
    /// Remembers `ring` changes and lets followers be `behind` changes behind.
    pub fn new(ring: usize, behind: usize) -> Self {
        Self {
            ring: VecDeque::with_capacity(ring),
            ring_limit: ring,
            state: broadcast::Sender::new(behind.max(1)),
            all: broadcast::Sender::new(behind.max(1)),
        }
    }

    /// What must be published at least: statistics only while somebody follows them.
    pub fn wants(&self) -> Detail {
        if self.all.receiver_count() > 0 { Detail::All } else { Detail::State }
    }

    /// Takes the changes of one step, which happened at `time`. What was only told again to a new plugin is not a change.
    pub fn publish(&mut self, time: SystemTime, changes: &[Change]) {
        for change in changes.iter().filter(|change| change.origin != Origin::Replay) {
            let is_state = change.is_state();
            self.send(time, change, is_state);
            if is_state {
                self.remember(time, change);
            }
        }
    }

    fn send(&self, time: SystemTime, change: &Change, is_state: bool) {
        let to_state = is_state && self.state.receiver_count() > 0;
        let to_all = self.all.receiver_count() > 0;
        if !to_state && !to_all {
            return;
        }
        let wire = Arc::new(wire(time, change));
        // An error means that the last follower has just gone.
        if to_state {
            let _ = self.state.send(Arc::clone(&wire));
        }
        if to_all {
            let _ = self.all.send(wire);
        }
    }

    fn remember(&mut self, time: SystemTime, change: &Change) {
        if self.ring_limit == 0 {
            return;
        }
        if self.ring.len() == self.ring_limit {
            self.ring.pop_front();
        }
        self.ring.push_back(Arc::new((time, change.clone())));
    }

    /// What a follower asks for.
    pub fn answer(&self, call: &Changes) -> Subscription {
        let last = usize::try_from(call.last.unwrap_or_default().0).unwrap_or(usize::MAX);
        self.subscribe(call.detail.unwrap_or_default().into(), last, call.follow.unwrap_or(false))
    }

    /// The last `last` state changes, and with `follow` everything of `detail` that is published from now on.
    pub fn subscribe(&self, detail: Detail, last: usize, follow: bool) -> Subscription {
        let skip = self.ring.len().saturating_sub(last);
        let sender = match detail {
            Detail::State => &self.state,
            Detail::All => &self.all,
        };
        Subscription {
            backlog: self.ring.iter().skip(skip).cloned().collect(),
            live: follow.then(|| sender.subscribe()),
        }
    }
}

pub(super) fn wire(time: SystemTime, change: &Change) -> WireChange {
    WireChange { time: Some(rfc3339(time)), ..WireChange::from(change) }
}

/// UTC with milliseconds, as every time on the wire.
pub fn rfc3339(time: SystemTime) -> String {
    match jiff::Timestamp::try_from(time) {
        Ok(time) => format!("{time:.3}"),
        // Only a clock outside the years -9999 to 9999 gets here.
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use reactor_core::change::{DeviceView, EventKind, What};
    use reactor_core::ids::{EventSeq, ResourceName, Volume};

    use super::*;

    fn change(seq: u64, is_state: bool) -> Change {
        let old = DeviceView::default();
        let mut new = old.clone();
        if is_state {
            new.state.quorum = Some(true);
        } else {
            new.stats.read_kib = Some(seq);
        }
        Change {
            seq: EventSeq(seq),
            kind: EventKind::Change,
            origin: Origin::Live,
            implied: false,
            resource: ResourceName::new("r0"),
            what: What::Device { volume: Volume(0), old, new },
        }
    }

    fn seqs(subscription: &mut Subscription) -> (Vec<u64>, Vec<u64>) {
        let backlog = subscription.backlog.iter().map(|past| past.1.seq.0).collect();
        let live = subscription.live.as_mut().expect("it follows");
        let live = std::iter::from_fn(|| live.try_recv().ok().map(|change| change.seq)).collect();
        (backlog, live)
    }

    #[test]
    fn nothing_is_missed_and_nothing_comes_twice() {
        let mut hub = ChangeHub::new(3, 100);
        for seq in 1..=5 {
            hub.publish(UNIX_EPOCH, &[change(seq, true)]);
        }
        let mut follower = hub.subscribe(Detail::State, 2, true);
        let mut all = hub.subscribe(Detail::All, 99, true);
        hub.publish(UNIX_EPOCH, &[change(6, true), change(7, false), change(8, true)]);
        assert_eq!(seqs(&mut follower), (vec![4, 5], vec![6, 8]));
        assert_eq!(seqs(&mut all), (vec![3, 4, 5], vec![6, 7, 8]));
    }

    #[test]
    fn statistics_are_wanted_only_while_somebody_follows_them() {
        let hub = ChangeHub::new(3, 100);
        assert_eq!(hub.wants(), Detail::State);
        let follower = hub.subscribe(Detail::All, 0, true);
        assert_eq!(hub.wants(), Detail::All);
        drop(follower);
        assert_eq!(hub.wants(), Detail::State);
        assert!(hub.subscribe(Detail::All, 0, false).live.is_none());
        assert_eq!(hub.wants(), Detail::State);
    }

    #[test]
    fn what_a_new_plugin_is_told_again_is_no_change() {
        let mut hub = ChangeHub::default();
        let mut again = change(1, true);
        again.origin = Origin::Replay;
        hub.publish(UNIX_EPOCH, &[again]);
        assert!(hub.subscribe(Detail::State, 10, false).backlog.is_empty());
    }

    #[test]
    fn times_are_utc_with_milliseconds() {
        assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_micros(1_234_567)), "1970-01-01T00:00:01.234Z");
    }
}
