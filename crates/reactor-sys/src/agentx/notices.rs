//! What managers are to be notified of: noticed beside the session, so that nothing is missed while there is none, and sent by it.
//!
//! The daemon says that something is new; then it is asked for a picture, a few times in a second at most. What the master agent has not answered
//! when its session ends is sent again in the next one. What nobody could be told for a while is dropped: the tables say how it is.

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

/// How often one is sent: a master agent that breaks off over it shall not be kept from all others.
const TRIES: u8 = 3;

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
struct Waiting {
    incident: Incident,
    since: Instant,
    /// How often it was sent.
    tries: u8,
}

#[derive(Debug)]
struct Inner {
    waiting: VecDeque<Waiting>,
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
            let answer = daemon.ask(Wanted::Metrics { have }, limit).await;
            let is_answered = answer.is_ok();
            if let Ok(scrape) = answer {
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
            // A loop that was too busy to say what is new may not say again that something is.
            if is_answered && news.changed().await.is_err() {
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
        inner.waiting.extend(incidents.into_iter().map(|incident| Waiting { incident, since: now, tries: 0 }));
        while inner.waiting.len() > WAITING {
            inner.waiting.pop_front();
            inner.dropped += 1;
        }
        drop(inner);
        self.more.notify_one();
    }

    /// The next one to send, as soon as there is one and it may be sent. Cancel safe: it stays there until it is [`told`](Self::told).
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
        while inner.waiting.front().is_some_and(|one| one.tries >= TRIES || now.duration_since(one.since) > TOO_LATE) {
            inner.waiting.pop_front();
            inner.dropped += 1;
        }
        let earned = now.duration_since(inner.since).as_millis() / ONE_MORE.as_millis();
        if earned > 0 {
            inner.allowed = inner.allowed.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX)).min(AT_ONCE);
            inner.since += ONE_MORE * u32::try_from(earned).unwrap_or(u32::MAX);
        }
        match inner.waiting.front() {
            Some(one) if inner.allowed > 0 => Ok(one.incident.clone()),
            Some(_) => Err(Some(inner.since + ONE_MORE)),
            None => Err(None),
        }
    }

    /// This one, which was the first, is on its way.
    pub(super) fn sent(&self, incident: &Incident) {
        let mut inner = self.inner();
        // It may have been dropped meanwhile.
        if let Some(first) = inner.waiting.front_mut().filter(|first| first.incident == *incident) {
            first.tries += 1;
        }
        inner.allowed = inner.allowed.saturating_sub(1);
    }

    /// The master agent has answered.
    pub(super) fn told(&self, incident: &Incident) {
        let mut inner = self.inner();
        if inner.waiting.front().is_some_and(|first| first.incident == *incident) {
            inner.waiting.pop_front();
        }
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
    use crate::http::scrape_channel;
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
            notices.told(&next);
        }
        assert_eq!(start.elapsed(), 5 * ONE_MORE);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_answered_is_sent_again_and_not_for_ever() {
        let notices = Notices::default();
        notices.add(incidents(2));
        for _ in 0..TRIES {
            let next = notices.next().await;
            assert_eq!(next.resource.as_str(), "r0");
            notices.sent(&next);
        }
        assert_eq!(notices.next().await.resource.as_str(), "r1");
        assert_eq!(notices.dropped(), 1);
    }

    /// A loop that is busy when something is new, and has nothing new after that.
    #[tokio::test(start_paused = true)]
    async fn a_look_that_had_no_answer_is_made_again() {
        let (daemon, mut asked) = scrape_channel();
        let (_news, changed) = watch::channel(0);
        let notices = Notices::default();
        let answers = async {
            let _busy = asked.recv().await;
            asked.recv().await
        };
        let again = tokio::time::timeout(TOO_LATE, answers);
        tokio::select! {
            () = notices.look(&daemon, changed, Duration::from_secs(5)) => unreachable!("it looks for ever"),
            again = again => assert!(matches!(again, Ok(Some(_))), "it waits for news that do not come"),
        }
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
