//! What managers are to be notified of: noticed beside the session, so that nothing is missed while there is none, and sent by it.
//!
//! The daemon says that something is new; then it is asked for a picture, a few times in a second at most. What nobody could be told for a while is
//! dropped: the tables say how it is.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reactor_core::snmp::{Facts, Incident, Incidents};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::http::{ScrapeHandle, Wanted};

/// Between two looks.
const BETWEEN: Duration = Duration::from_millis(250);

/// How many wait at most, and how long.
const WAITING: usize = 1024;
const TOO_LATE: Duration = Duration::from_secs(300);

/// So many at once, and one more each time this has passed.
const AT_ONCE: u32 = 100;
const ONE_MORE: Duration = Duration::from_millis(100);

/// Those that wait to be sent.
#[derive(Debug)]
pub(super) struct Notices {
    inner: Mutex<Inner>,
    more: Notify,
}

#[derive(Debug)]
struct Inner {
    waiting: VecDeque<(Instant, Incident)>,
    dropped: u64,
    /// How many may be sent now, and since when that is so.
    allowed: u32,
    since: Instant,
}

impl Default for Notices {
    fn default() -> Self {
        let inner = Inner { waiting: VecDeque::new(), dropped: 0, allowed: AT_ONCE, since: Instant::now() };
        Self { inner: Mutex::new(inner), more: Notify::new() }
    }
}

impl Notices {
    /// Looks at what is new, for ever.
    pub(super) async fn look(&self, daemon: &ScrapeHandle, mut news: watch::Receiver<u64>, limit: Duration) {
        let mut incidents = Incidents::default();
        let mut have = None;
        loop {
            let next = Instant::now() + BETWEEN;
            if let Ok(scrape) = daemon.ask(Wanted::Metrics { have }, limit).await {
                let resources = scrape.resources.as_ref();
                // While events are not read, a picture is not compared, and has to be asked for again.
                have = match (scrape.health.source.up, resources) {
                    (true, Some(all)) => Some(all.generation),
                    (true, None) => have,
                    (false, _) => None,
                };
                let list = resources.map(|all| all.list.as_slice());
                self.add(incidents.compare(&Facts { resources: list, health: &scrape.health }));
            }
            sleep_until(next).await;
            if news.changed().await.is_err() {
                // The daemon ends.
                return std::future::pending().await;
            }
        }
    }

    fn add(&self, incidents: Vec<Incident>) {
        if incidents.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut inner = self.inner();
        inner.waiting.extend(incidents.into_iter().map(|incident| (now, incident)));
        while inner.waiting.len() > WAITING {
            inner.waiting.pop_front();
            inner.dropped += 1;
        }
        drop(inner);
        self.more.notify_one();
    }

    /// The next one to send, as soon as there is one and it may be sent. Cancel safe: it stays there until [`sent`](Self::sent).
    pub(super) async fn next(&self) -> Incident {
        loop {
            let more = self.more.notified();
            let wait = match self.first() {
                Ok(incident) => return incident,
                Err(wait) => wait,
            };
            match wait {
                Some(until) => sleep_until(until).await,
                None => more.await,
            }
        }
    }

    /// The first one that may be sent, or until when to wait; `None` = until there is one.
    fn first(&self) -> Result<Incident, Option<Instant>> {
        let now = Instant::now();
        let mut inner = self.inner();
        while inner.waiting.front().is_some_and(|(at, _)| now.duration_since(*at) > TOO_LATE) {
            inner.waiting.pop_front();
            inner.dropped += 1;
        }
        let earned = now.duration_since(inner.since).as_millis() / ONE_MORE.as_millis();
        if earned > 0 {
            inner.allowed = inner.allowed.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX)).min(AT_ONCE);
            inner.since += ONE_MORE * u32::try_from(earned).unwrap_or(u32::MAX);
        }
        match inner.waiting.front() {
            Some((_, incident)) if inner.allowed > 0 => Ok(incident.clone()),
            Some(_) => Err(Some(inner.since + ONE_MORE)),
            None => Err(None),
        }
    }

    /// This one, which was the first, was sent.
    pub(super) fn sent(&self, incident: &Incident) {
        let mut inner = self.inner();
        // It may have been dropped meanwhile.
        if inner.waiting.front().is_some_and(|(_, first)| first == incident) {
            inner.waiting.pop_front();
        }
        inner.allowed = inner.allowed.saturating_sub(1);
    }

    /// How many nobody could be told.
    pub(super) fn dropped(&self) -> u64 {
        self.inner().dropped
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reactor_core::ids::ResourceName;
    use reactor_core::snmp::IncidentKind;

    fn incidents(count: usize) -> Vec<Incident> {
        let one = |number: usize| Incident {
            kind: IncidentKind::Primary,
            begins: true,
            resource: ResourceName::new(&format!("r{number}")),
            minor: None,
            text: String::new(),
        };
        (0..count).map(one).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn many_at_once_are_sent_slowly_and_too_many_are_dropped() {
        let notices = Notices::default();
        notices.add(incidents(WAITING + 10));
        assert_eq!(notices.dropped(), 10);
        let start = Instant::now();
        for number in 0..AT_ONCE + 5 {
            let next = notices.next().await;
            assert_eq!(next.resource.as_str(), format!("r{}", number + 10));
            notices.sent(&next);
        }
        assert_eq!(start.elapsed(), 5 * ONE_MORE);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_told_to_nobody_is_dropped_and_the_next_one_is_told_at_once() {
        let notices = Notices::default();
        notices.add(incidents(3));
        tokio::time::advance(TOO_LATE + Duration::from_millis(1)).await;
        let next = async {
            let first = notices.next().await;
            assert_eq!(first.resource.as_str(), "r0");
        };
        let later = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(notices.dropped(), 3);
            notices.add(incidents(1));
        };
        let start = Instant::now();
        tokio::join!(next, later);
        assert_eq!(start.elapsed(), Duration::from_secs(1));
    }
}
