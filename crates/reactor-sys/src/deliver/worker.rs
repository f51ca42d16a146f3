//! The thread of one receiver: one attempt after the other, the oldest message first.
//!
//! ```text
//!  wait ─▶ attempt ─┬─ arrived ────────────▶ the next
//!    ▲              ├─ refused for good ───▶ said, dropped, the next
//!    └── a pause ◀──┴─ failed: again
//! ```
//!
//! Nothing overtakes a message: a pause is one for all that wait. The first failure and the recovery are said in the log, not each attempt.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use reactor_core::settings::notify::NotifySettings;
use tracing::{debug, error, info, warn};

use super::failure::{Failure, Then};
use super::parcel::{Parcel, line};
use super::receivers::{self, Receiver};
use super::{Pace, Shared, Slot, Trouble};

/// Bytes of a reason that the log and the status show.
const MAX_WHY: usize = 512;

/// What a thread does next.
enum Next {
    Send(Arc<NotifySettings>, Arc<Parcel>),
    /// Nothing waits: whoever stays connected looks after that.
    Idle(Arc<NotifySettings>),
    Over,
}

/// A receiver, the settings that it was made of, and how far it is.
struct Open {
    settings: Arc<NotifySettings>,
    receiver: Box<dyn Receiver>,
}

/// The message that is being sent, and how many of its notices have arrived: those are not sent again by the next attempt.
struct Begun {
    parcel: Arc<Parcel>,
    told: usize,
}

/// Until the receiver is removed, or everything ends.
pub(super) fn run(shared: &Shared, name: &str) {
    let mut open: Option<Open> = None;
    let mut begun: Option<Begun> = None;
    let mut idle = None;
    loop {
        match next(shared, name, idle) {
            Next::Send(settings, parcel) => {
                let open = opened(&mut open, settings, &shared.pace);
                let begun = match &mut begun {
                    Some(begun) if Arc::ptr_eq(&begun.parcel, &parcel) => begun,
                    other => other.insert(Begun { parcel, told: 0 }),
                };
                let result = attempt(open, begun, &shared.pace);
                idle = if result.is_ok() { open.receiver.idle() } else { None };
                ended(shared, name, &begun.parcel, result);
            }
            Next::Idle(settings) => idle = opened(&mut open, settings, &shared.pace).receiver.idle(),
            Next::Over => return,
        }
    }
}

/// The receiver of these settings.
fn opened<'a>(open: &'a mut Option<Open>, settings: Arc<NotifySettings>, pace: &Pace) -> &'a mut Open {
    let known = open.take().filter(|open| Arc::ptr_eq(&open.settings, &settings) || open.settings == settings);
    open.insert(known.unwrap_or_else(|| Open { receiver: receivers::make(&settings, pace), settings }))
}

/// One attempt. A bug of ours is a failure like any other.
fn attempt(open: &mut Open, begun: &mut Begun, pace: &Pace) -> Result<(), Failure> {
    let until = Instant::now() + open.settings.timeout;
    let told = begun.told;
    let deliver = AssertUnwindSafe(|| {
        let result = open.receiver.deliver(&begun.parcel, &mut begun.told, until);
        debug!(receiver = open.settings.name, id = begun.parcel.id, told, ok = result.is_ok(), "an attempt");
        result
    });
    catch_unwind(deliver).unwrap_or_else(|_| {
        open.receiver = receivers::make(&open.settings, pace);
        Err(Failure::again("an error in this program, which the log has"))
    })
}

/// Waits until there is something to do.
fn next(shared: &Shared, name: &str, idle: Option<Duration>) -> Next {
    let idle_at = idle.and_then(|idle| Instant::now().checked_add(idle));
    let mut state = shared.lock();
    loop {
        if state.over {
            return Next::Over;
        }
        let Some(slot) = state.slots.get_mut(name) else { return Next::Over };
        let Some(settings) = slot.settings.clone() else {
            state.slots.remove(name);
            return Next::Over;
        };
        let now = Instant::now();
        let ready_at = ready_at(slot, &shared.pace);
        if ready_at.is_none_or(|at| at <= now)
            && let Some(parcel) = slot.queue.begin()
        {
            if parcel.age() <= settings.keep {
                return Next::Send(settings, parcel);
            }
            too_old(slot, name, &parcel, settings.keep);
            shared.changed.notify_all();
            continue;
        }
        if idle_at.is_some_and(|at| at <= now) {
            return Next::Idle(settings);
        }
        // An empty queue waits for a message only.
        let ready_at = ready_at.filter(|at| *at > now && !slot.queue.is_empty());
        let wake = ready_at.into_iter().chain(idle_at).min();
        state = shared.wait(state, wake.map(|at| at.saturating_duration_since(now)));
    }
}

/// Before then nothing is sent.
fn ready_at(slot: &Slot, pace: &Pace) -> Option<Instant> {
    let loaded = if slot.queue.is_loaded() { None } else { slot.since.checked_add(pace.grace) };
    loaded.max(slot.rest_until)
}

fn too_old(slot: &mut Slot, name: &str, parcel: &Arc<Parcel>, keep: Duration) {
    slot.queue.end(parcel);
    slot.dropped += 1;
    let title = line(&parcel.message.title(), MAX_WHY);
    warn!(
        receiver = name,
        id = parcel.id,
        title,
        keep_s = keep.as_secs(),
        "a notification could not be delivered in time: it is dropped"
    );
}

/// An attempt is over.
fn ended(shared: &Shared, name: &str, parcel: &Arc<Parcel>, result: Result<(), Failure>) {
    let mut state = shared.lock();
    let Some(slot) = state.slots.get_mut(name) else { return };
    match result {
        Ok(()) => {
            slot.queue.end(parcel);
            slot.delivered += 1;
            recovered(slot, name);
        }
        Err(Failure { why, then: Then::Drop }) => {
            slot.queue.end(parcel);
            (slot.failed, slot.dropped) = (slot.failed + 1, slot.dropped + 1);
            let (why, title) = (line(&why, MAX_WHY), line(&parcel.message.title(), MAX_WHY));
            error!(receiver = name, id = parcel.id, why, title, "a notification was refused for good: it is dropped");
            // It answers: what failed before has ended.
            recovered(slot, name);
        }
        Err(Failure { why, then: Then::Again(wish) }) => {
            slot.queue.rest();
            slot.failed += 1;
            failed(slot, name, line(&why, MAX_WHY), wish, &shared.pace);
        }
    }
    if slot.queue.is_empty() && std::mem::take(&mut slot.overflows) {
        info!(receiver = name, dropped = slot.dropped, "no notifications wait any more");
    }
    shared.changed.notify_all();
}

fn recovered(slot: &mut Slot, name: &str) {
    slot.rest_until = None;
    if let Some(trouble) = slot.trouble.take() {
        let (attempts, waiting) = (trouble.attempts, slot.queue.len());
        info!(receiver = name, failed = attempts, waiting, "notifications are delivered again");
    }
}

fn failed(slot: &mut Slot, name: &str, why: String, wish: Option<Duration>, pace: &Pace) {
    let attempts = slot.trouble.as_ref().map_or(0, |trouble| trouble.attempts) + 1;
    let pause = pause(attempts, wish, pace);
    slot.rest_until = Instant::now().checked_add(pause);
    match &mut slot.trouble {
        Some(trouble) => {
            debug!(receiver = name, why, attempts, "a notification still can't be delivered");
            (trouble.why, trouble.attempts) = (why, attempts);
        }
        None => {
            let waiting = slot.queue.len();
            warn!(receiver = name, why, waiting, "a notification can't be delivered: it waits, and is tried again");
            slot.trouble = Some(Trouble { since: SystemTime::now(), why, attempts });
        }
    }
}

/// The pause after so many attempts have failed.
fn pause(attempts: u32, wish: Option<Duration>, pace: &Pace) -> Duration {
    let doubled = pace.first_pause.saturating_mul(1u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX));
    let own = doubled.min(pace.longest_pause);
    wish.map_or(own, |wish| own.max(wish.min(pace.longest_wish)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_a_servers_wish_has_one_of_its_own() {
        let (pace, seconds) = (Pace::default(), Duration::from_secs);
        let pauses: Vec<u64> = (1..=11).map(|attempts| pause(attempts, None, &pace).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(pause(u32::MAX, None, &pace), seconds(300));
        assert_eq!(pause(1, Some(seconds(20)), &pace), seconds(20));
        assert_eq!(pause(9, Some(seconds(20)), &pace), seconds(256), "our own is longer");
        assert_eq!(pause(1, Some(seconds(86_400)), &pace), seconds(3600));
    }
}
